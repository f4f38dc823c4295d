//! Whom operators dial, where and how soon.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use stayfound_core::keys::PublicKey;
use stayfound_core::mesh::{BACKOFF_MAX, CANDIDATES_MAX, STAGGER};

use super::deadlines::{Deadlines, Pair};
use super::{Finding, Oracle};
use crate::event::HostId;
use crate::moment::Moment;
use crate::network::DIAL_TIMEOUT;
use crate::scenario::{Fault, What};

/// Whoever has no link to an operator any more dials where it reached it last at least this often. A
/// round tries every address; one that is being dialled already is left out of a round; the next round
/// begins when the longest back-off is over, jitter included. A fiftieth more for a slow clock.
pub const DIALS_EVERY: Duration = Duration::from_millis(
    (BACKOFF_MAX.as_millis() as u64 * 5 / 4
        + STAGGER.as_millis() as u64 * CANDIDATES_MAX as u64
        + DIAL_TIMEOUT.as_millis() as u64)
        * 51
        / 50,
);

/// Who is to dial whom.
#[derive(Default)]
pub(super) struct Dialling {
    /// Where an operator was reached last by another's present process.
    reached: BTreeMap<Pair, SocketAddr>,
    /// Until when it must be dialled there.
    due: Deadlines,
    /// Pairs, the lower number first, that were linked when all was well, and to whom nothing has
    /// happened since; and who named its address then.
    calm: BTreeSet<Pair>,
    truthful: BTreeSet<usize>,
    /// Whose last mile is another than at the beginning.
    roamed: BTreeSet<usize>,
    /// Until when who has moved must be linked again.
    moved: Deadlines,
    /// How soon that is.
    relinks_within: Option<Duration>,
}

impl Oracle {
    /// Who moves, and can notice it, is linked again within this time with whoever stays: so long take
    /// the rounds of dials that bad luck may cost ([`Options`](crate::scenario::Options)).
    pub fn expect_relinks_within(&mut self, within: Duration) {
        self.dialling.relinks_within = Some(within);
    }

    /// Something happens to an operator, whose process runs or does not.
    pub fn suffers(&mut self, now: Moment, fault: &Fault, runs: bool) {
        self.reach.apply(fault);
        let who = fault.host.0;
        let dialling = &mut self.dialling;
        dialling.moved.retain(|(a, b)| a != who && b != who);
        match fault.what {
            What::Move(_) if runs && self.reach.is_direct(who) => self.must_relink(now, who),
            What::Cut(HostId(to)) | What::Mend(HostId(to)) => {
                dialling.moved.retain(|(a, b)| a != to && b != to);
                dialling.calm.retain(|(a, b)| *a != to && *b != to);
            }
            What::Access(_) => drop(dialling.roamed.insert(who)),
            What::Pause | What::Suspend => {
                dialling.due.retain(|(it, _)| it != who);
                self.searching.halted(who);
            }
            What::Resume => self.goes_on(now, who),
            _ => {}
        }
        self.dialling.calm.retain(|(a, b)| *a != who && *b != who);
    }

    fn must_relink(&mut self, now: Moment, who: usize) {
        let Some(within) = self.dialling.relinks_within else { return };
        let Dialling { calm, truthful, moved, .. } = &mut self.dialling;
        for &(a, b) in calm.iter().filter(|(a, b)| *a == who || *b == who) {
            let other = if a == who { b } else { a };
            if truthful.contains(&other) && self.reach.is_dialable(other) {
                moved.set((who, other), now + within);
            }
        }
    }

    /// All that is owed is so.
    pub fn settled(&mut self) {
        let owed = self.reach.owed();
        let Dialling { calm, truthful, roamed, .. } = &mut self.dialling;
        let still = |who: usize| !roamed.contains(&who);
        *calm = owed.pairs.into_iter().filter(|&(a, b)| still(a) && still(b)).collect();
        *truthful = owed.truthful;
        self.reach.settled();
        self.parting.settled();
    }

    /// An operator dials somebody.
    pub fn dialled(&mut self, now: Moment, host: HostId, peer: PublicKey, at: SocketAddr) {
        let operators = &self.subjects[..self.operators];
        let Some(far) = operators.iter().position(|it| it.key == peer) else { return };
        let pair = (host.0, far);
        let Dialling { reached, due, .. } = &mut self.dialling;
        if due.has(pair) && reached.get(&pair) == Some(&at) {
            due.set(pair, now + DIALS_EVERY);
        }
    }

    /// The far end of an open link has said hello, and is seen there.
    pub(super) fn reaches(&mut self, host: HostId, far: usize, at: SocketAddr) {
        self.dialling.reached.insert((host.0, far), at);
    }

    /// An operator has a link to another again, at its end.
    pub(super) fn meets(&mut self, host: HostId, far: usize) {
        self.dialling.due.lift((host.0, far));
    }

    /// The last link of an operator to another is gone, at its end.
    pub(super) fn parts(&mut self, now: Moment, host: HostId, far: usize) {
        let pair = (host.0, far);
        let dials = !self.subjects[host.0].traitor && self.grants(host, far);
        if dials && self.dialling.reached.contains_key(&pair) {
            self.dialling.due.set(pair, now + DIALS_EVERY);
        }
    }

    /// Nothing is expected of this process any more.
    pub(super) fn rests(&mut self, host: HostId) {
        self.dialling.reached.retain(|(who, _), _| *who != host.0);
        self.dialling.due.retain(|(who, _)| who != host.0);
    }

    /// Of whom another manifest has no word any more, nobody is expected to dial.
    pub(super) fn dials_by_manifest(&mut self, host: HostId) {
        let operators = 0..self.operators;
        let gone: BTreeSet<usize> = operators.filter(|far| !self.grants(host, *far)).collect();
        self.dialling.reached.retain(|(who, far), _| *who != host.0 || !gone.contains(far));
        self.dialling.due.retain(|(who, far)| who != host.0 || !gone.contains(&far));
    }

    fn goes_on(&mut self, now: Moment, who: usize) {
        let subject = &self.subjects[who];
        let linked = |far: usize| subject.links.values().any(|end| end.far == Some(far));
        let apart = self.dialling.reached.keys().filter(|(it, far)| *it == who && !linked(*far));
        for (_, far) in apart.copied().collect::<Vec<_>>() {
            self.parts(now, HostId(who), far);
        }
    }

    /// Somebody must have done something by now; `linked` answers whether two operators have a link
    /// that works.
    ///
    /// # Errors
    /// Who has not done what.
    pub fn on_time(
        &mut self,
        now: Moment,
        linked: impl Fn(HostId, HostId) -> bool,
    ) -> Result<(), Finding> {
        if let Some((who, far)) = self.dialling.due.passed(now) {
            let at = self.dialling.reached[&(who, far)];
            let [name, other] = [who, far].map(|it| self.name(HostId(it)));
            let sentence = format!(
                "{name} has not dialled {other} at {at}, where it reached it last, for {:.1} s",
                DIALS_EVERY.as_secs_f64()
            );
            return Err(Finding::liveness(now, sentence));
        }
        while let Some(pair) = self.dialling.moved.passed(now) {
            self.dialling.moved.lift(pair);
            let [mover, other] = [pair.0, pair.1].map(HostId);
            if !linked(mover, other) {
                let within = self.dialling.relinks_within.expect("it was expected").as_secs_f64();
                let [mover, other] = [mover, other].map(|it| self.name(it));
                let sentence =
                    format!("{mover} moved, and is not linked with {other} {within:.1} s later");
                return Err(Finding::liveness(now, sentence));
            }
        }
        self.searches_on_time(now)
    }
}
