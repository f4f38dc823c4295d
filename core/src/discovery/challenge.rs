//! Challenges that wait for a handshake, and what limits the public-key work that strangers cause.

use std::time::Duration;

use super::contact::Contact;
use super::handshake::ChallengeData;
use crate::lru::Lru;
use crate::record::Signed;
use crate::time::Mono;

/// How many challenges are kept; the oldest goes first. One is 63 bytes and its key.
pub const CHALLENGES_MAX: usize = 1024;
/// How long a challenge lives, and is repeated rather than replaced (R36; R4 gives a handshake 1 s).
pub const CHALLENGE_WITHIN: Duration = Duration::from_secs(1);
/// How many handshakes may fail against one challenge (R37): at the first failure anybody who
/// spoofs the address could cancel a handshake; without end one challenge would cost without end.
pub const FAILURES_MAX: u8 = 3;

/// One WHOAREYOU that we sent.
pub(super) struct Challenge {
    pub(super) data: ChallengeData,
    /// The record whose seq it named (R23).
    pub(super) record: Option<Signed>,
    until: Mono,
    failures: u8,
}

/// All of them, by who was challenged where.
pub(super) struct Challenges(Lru<Contact, Challenge>);

impl Default for Challenges {
    fn default() -> Self {
        Self(Lru::new(CHALLENGES_MAX))
    }
}

impl Challenges {
    /// The challenge that still waits, if there is one.
    pub(super) fn live(&mut self, now: Mono, contact: &Contact) -> Option<&Challenge> {
        self.0.get(contact).filter(|challenge| challenge.until > now).map(|challenge| &*challenge)
    }

    pub(super) fn add(
        &mut self,
        now: Mono,
        contact: Contact,
        data: ChallengeData,
        record: Option<Signed>,
    ) {
        let until = now + CHALLENGE_WITHIN;
        self.0.insert(contact, Challenge { data, record, until, failures: 0 });
    }

    /// A handshake against it failed.
    pub(super) fn failed(&mut self, contact: &Contact) {
        let Some(challenge) = self.0.get(contact) else { return };
        challenge.failures += 1;
        if challenge.failures >= FAILURES_MAX {
            self.0.remove(contact);
        }
    }

    /// It was met: the same handshake must not be taken twice (R38).
    pub(super) fn met(&mut self, contact: &Contact) {
        self.0.remove(contact);
    }
}
