//! Whom operators look for through discovery.

use std::collections::BTreeSet;
use std::time::Duration;

use stayfound_core::discovery::lookup::{ALPHA, QUERIES_MAX};
use stayfound_core::discovery::request::ROUND_TRIP_WITHIN;
use stayfound_core::discovery::{Goal, Sought};
use stayfound_core::node::{AGAIN_MAX, LOST_FOR, REFRESH_EVERY};

use super::deadlines::{Deadlines, Pair};
use super::{Finding, Oracle};
use crate::event::HostId;
use crate::moment::Moment;

/// How long a lookup takes at most: of all that it may ask nobody answers, and then it begins anew
/// with the boot nodes, of whom nobody answers either.
const LOOKUP: Duration =
    Duration::from_secs(2 * ROUND_TRIP_WITHIN.as_secs() * 2 * QUERIES_MAX.div_ceil(ALPHA) as u64);

/// By when a lookup for an operator that was lost has ended.
pub const LOST_WITHIN: Duration = Duration::from_secs(LOST_FOR.as_secs() + LOOKUP.as_secs());
/// By when the next has, after one for an operator that is still lost.
pub const AGAIN_WITHIN: Duration =
    Duration::from_secs(AGAIN_MAX.as_secs() * 5 / 4 + LOOKUP.as_secs());
/// By when the next has for an operator that is linked: its record may be newer elsewhere.
pub const REFRESHED_WITHIN: Duration =
    Duration::from_secs(REFRESH_EVERY.as_secs() * 51 / 50 * 5 / 4 + LOOKUP.as_secs());

/// Who is to look for whom.
#[derive(Default)]
pub(super) struct Searching {
    /// Whether operators discover.
    pub(super) discovers: bool,
    /// Who has said hello, on a link at its end, to whom.
    linked: BTreeSet<Pair>,
    due: Deadlines,
}

impl Searching {
    pub(super) fn halted(&mut self, who: usize) {
        self.due.retain(|(it, _)| it != who);
    }
}

impl Oracle {
    /// An operator has said hello to another, on whichever link.
    pub(super) fn search_greets(&mut self, now: Moment, host: HostId, far: usize) {
        let pair = (host.0, far);
        if self.searching.linked.insert(pair) {
            self.must_look_within(now, pair, REFRESHED_WITHIN);
        }
    }

    /// The last link of an operator to another is gone.
    pub(super) fn search_parts(&mut self, now: Moment, host: HostId, far: usize) {
        let pair = (host.0, far);
        if self.searching.linked.remove(&pair) && self.grants(host, far) {
            self.must_look_within(now, pair, LOST_WITHIN);
        }
    }

    /// An operator's lookup has ended.
    pub fn sought(&mut self, now: Moment, host: HostId, sought: &Sought) {
        let operators = &self.subjects[..self.operators];
        let far = operators.iter().position(|it| it.node_id == sought.target);
        let Some(far) = far.filter(|_| sought.goal == Goal::Resolve) else { return };
        let pair = (host.0, far);
        if self.searching.due.has(pair) {
            let linked = self.searching.linked.contains(&pair);
            let within = if linked { REFRESHED_WITHIN } else { AGAIN_WITHIN };
            self.must_look_within(now, pair, within);
        }
    }

    fn must_look_within(&mut self, now: Moment, pair: Pair, within: Duration) {
        if self.searching.discovers && !self.subjects[pair.0].traitor {
            self.searching.due.set(pair, now + within);
        }
    }

    /// Nothing is expected of this process any more.
    pub(super) fn search_ends(&mut self, host: HostId) {
        self.searching.due.retain(|(who, _)| who != host.0);
        self.searching.linked.retain(|(who, _)| *who != host.0);
    }

    /// Whom the manifest in force does not name, nobody is expected to look for.
    pub(super) fn search_by_manifest(&mut self, host: HostId) {
        let operators = 0..self.operators;
        let gone: BTreeSet<usize> = operators.filter(|far| !self.grants(host, *far)).collect();
        self.searching.due.retain(|(who, far)| who != host.0 || !gone.contains(&far));
        self.searching.linked.retain(|(who, far)| *who != host.0 || !gone.contains(far));
    }

    pub(super) fn searches_on_time(&mut self, now: Moment) -> Result<(), Finding> {
        let Some((who, far)) = self.searching.due.passed(now) else { return Ok(()) };
        let state = match self.searching.linked.contains(&(who, far)) {
            true => "is linked with",
            false => "has lost",
        };
        let [name, other] = [who, far].map(|it| self.name(HostId(it)));
        let sentence = format!("{name} {state} {other}, and has not looked for it for too long");
        Err(Finding::liveness(now, sentence))
    }
}
