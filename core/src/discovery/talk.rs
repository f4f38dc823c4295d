//! TALKREQs that were handed to the application: each is answered once, by it or by us (R56).

use std::collections::VecDeque;
use std::time::Duration;

use super::contact::Contact;
use super::message::RequestId;
use super::request::{REQUESTS_PER_CONTACT_MAX, ROUND_TRIP_WITHIN};
use crate::time::Mono;

/// How long the application may take. Then the asker is told nothing, in an answer: whoever is as
/// patient as we are must hear it in time.
pub const TALK_WITHIN: Duration = Duration::from_millis(800);
/// How many wait for the application, in all. More are answered with nothing at once.
pub const TALKS_MAX: usize = 512;
/// How many of them may be of one contact: as many as we ask of one.
pub const TALKS_PER_CONTACT_MAX: usize = REQUESTS_PER_CONTACT_MAX;

const _: () = assert!(TALK_WITHIN.as_millis() < ROUND_TRIP_WITHIN.as_millis());
const _: () = assert!(4 * TALKS_PER_CONTACT_MAX < TALKS_MAX);

/// What is owed an answer: who asked, and its request id.
type Owed = (Contact, RequestId);

/// All of them, the oldest first.
#[derive(Default)]
pub(super) struct Talks(VecDeque<(Mono, Owed)>);

/// What became of a TALKREQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// The application is to answer it.
    New,
    /// It was asked already, and will be answered.
    Again,
    /// There are too many.
    Full,
}

impl Talks {
    pub(super) fn open(&mut self, now: Mono, from: Contact, id: RequestId) -> Opened {
        if self.0.iter().any(|(_, owed)| *owed == (from, id)) {
            return Opened::Again;
        }
        let of_contact = self.0.iter().filter(|(_, (contact, _))| *contact == from).count();
        if self.0.len() >= TALKS_MAX || of_contact >= TALKS_PER_CONTACT_MAX {
            return Opened::Full;
        }
        self.0.push_back((now + TALK_WITHIN, (from, id)));
        Opened::New
    }

    /// It is answered; `false` if it was before.
    pub(super) fn close(&mut self, from: Contact, id: RequestId) -> bool {
        let place = self.0.iter().position(|(_, owed)| *owed == (from, id));
        place.map(|place| self.0.remove(place)).is_some()
    }

    /// One whose time is up, which is answered now.
    pub(super) fn due(&mut self, now: Mono) -> Option<Owed> {
        let is_due = self.0.front().is_some_and(|(until, _)| *until <= now);
        let due = if is_due { self.0.pop_front() } else { None };
        due.map(|(_, owed)| owed)
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.0.front().map(|(until, _)| *until)
    }
}
