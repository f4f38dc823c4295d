//! What is done at intervals: nodes are checked, buckets refreshed, and an empty table filled.

use std::time::Duration;

use super::Discovery;
use super::contact::Contact;
use super::lookup::{ALPHA, Distances};
use super::request::{Body, FETCHES_MAX, Purpose, REQUESTS_MAX};
use super::seek::{Goal, NEIGHBOURS, SEEKS_MAX};
use super::table::Due;
use crate::planted::{Bug, planted};
use crate::record::Signed;
use crate::time::Mono;

/// How often the bucket that was refreshed longest ago is looked up (R78), and our own
/// neighbourhood, where others come and go.
pub const REFRESH_EVERY: Duration = Duration::from_secs(300);
/// After how many such refreshes the boot nodes are asked as well, however many others are known:
/// each half of a network that was parted for long has enough, and has forgotten the other.
pub const REFRESHES_PER_BOOT: u32 = 6;
/// How many boot nodes are asked then.
pub const BOOT_ASKED_MAX: usize = 16;
/// How soon a node that knows nobody tries again, at first.
pub const JOIN_AGAIN_MIN: Duration = Duration::from_secs(1);
/// How soon at last.
pub const JOIN_AGAIN_MAX: Duration = Duration::from_secs(60);
/// How many sessions hear at once that our record changed; others hear with the next message. Each
/// is told by a handshake if we moved: this many are some 10 ms of one core, and 22 kB.
pub const TOLD_MAX: usize = 64;

// As many as are told of a record at once may be asked for one at once: those who are told of ours
// are those who tell us of theirs. And whoever moves has room left to look for others.
const _: () = assert!(FETCHES_MAX == TOLD_MAX);
const _: () = assert!(TOLD_MAX + NEIGHBOURS + FETCHES_MAX + SEEKS_MAX * ALPHA < REQUESTS_MAX / 2);

/// When what is due.
#[derive(Default)]
pub(super) struct Upkeep {
    /// When to look for our own neighbourhood, and how long the pause after that will be while
    /// nobody answers.
    join: Option<(Mono, Duration)>,
    refresh: Option<Mono>,
    /// How many refreshes there were.
    refreshes: u32,
}

impl Upkeep {
    fn deadline(&self) -> Option<Mono> {
        let join = self.join.map(|(at, _)| at);
        join.into_iter().chain(self.refresh).min()
    }
}

impl Discovery {
    /// We are there, or somewhere else: whoever is near or in touch hears of it at once, and our
    /// neighbourhood is looked up anew.
    pub(super) fn start_or_tell(&mut self, now: Mono) {
        let near = self.table.closest(&self.id, NEIGHBOURS);
        let mut told: Vec<(Signed, Contact)> = near
            .into_iter()
            .map(|(record, at)| (record.clone(), Contact::new(record.node_id(), at)))
            .collect();
        for (contact, session) in self.sessions.iter().take(TOLD_MAX) {
            if !told.iter().any(|(_, other)| other == contact) {
                told.push((session.record.clone(), *contact));
            }
        }
        for (record, contact) in told {
            self.announce(now, record, contact.at);
        }
        self.upkeep.join = Some((now, JOIN_AGAIN_MIN));
        if self.upkeep.refresh.is_none() {
            self.upkeep.refresh = Some(now + self.jitter.jittered(REFRESH_EVERY));
        }
        self.wake(now);
    }

    /// When [`Discovery::wake`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let table = self.own.as_ref().and_then(|_| self.table.deadline());
        let all = [self.requests.deadline(), table, self.upkeep.deadline(), self.talks.deadline()];
        all.into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Mono) {
        while let Some(id) = self.requests.due(now) {
            self.fail(now, id);
        }
        while let Some((from, id)) = self.talks.due(now) {
            self.leave_unanswered(from, id);
        }
        if self.own.is_none() {
            return;
        }
        while let Some(Due { record, at }) = self.table.due(now) {
            let node = record.node_id();
            if !self.ask(now, record, at, Body::Ping, Purpose::Check) {
                self.table.put_off(now, &node);
            }
        }
        if self.upkeep.join.is_some_and(|(at, _)| at <= now) {
            self.join(now);
        }
        if self.upkeep.refresh.is_some_and(|at| at <= now) {
            self.upkeep.refresh = Some(now + self.jitter.jittered(REFRESH_EVERY));
            let (distance, _) = self.table.stalest();
            let target = self.table.target_at(distance, &mut self.jitter);
            if self.seek(now, target, Goal::Refresh) {
                self.table.refreshed(now, distance);
            }
            self.upkeep.refreshes = self.upkeep.refreshes.wrapping_add(1);
            if self.upkeep.refreshes.is_multiple_of(REFRESHES_PER_BOOT) {
                self.ask_boot(now);
            }
        }
    }

    /// Asks the boot nodes who is near us. What they tell goes where there is room in the table;
    /// the next look-up of our neighbourhood does the rest.
    fn ask_boot(&mut self, now: Mono) {
        let asked = |node: &Signed| {
            let known = self.table.get(&node.node_id()).filter(|known| known.is_verified());
            let known = known.map(|known| (known.record().clone(), known.at()));
            known.or_else(|| Some((node.clone(), self.at(node)?)))
        };
        let boot: Vec<_> = self.boot.iter().take(BOOT_ASKED_MAX).filter_map(asked).collect();
        for (record, at) in boot {
            let distances = Distances::towards(&self.id, &record.node_id()).to_vec();
            self.ask(now, record, at, Body::FindNode(distances), Purpose::Consult);
        }
    }

    /// Looks for our own neighbourhood; soon again, if nobody answers.
    fn join(&mut self, now: Mono) {
        let (_, pause) = self.upkeep.join.expect("it is due");
        let next = (pause * 2).min(JOIN_AGAIN_MAX);
        self.upkeep.join = Some((now + self.jitter.jittered(pause), next));
        if !planted(Bug::NeverJoins) {
            self.seek(now, self.id, Goal::Own);
        }
    }

    /// Our neighbourhood has answered.
    pub(super) fn joined(&mut self, now: Mono) {
        let again = now + self.jitter.jittered(REFRESH_EVERY);
        self.upkeep.join = Some((again, JOIN_AGAIN_MIN));
    }
}
