//! How often an operator may change something: what it signs is stored and carried on by everybody,
//! and where it sees us may be what we sign, so an operator that says something new without end must
//! not be able to make everybody work without end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::allowance::Allowance;
use crate::cluster::{Authorised, Manifest, OperatorIndex, Places};
use crate::mesh::LinkId;
use crate::record::Claimed;
use crate::time::Mono;

/// How many changes of one operator are taken at once. No honest node moves that often.
pub const CHANGES_AT_ONCE: u32 = 64;
/// How long each change takes to be forgotten.
pub const CHANGE_EVERY: Duration = Duration::from_millis(100);

/// News that waits for its turn.
pub(super) struct Waiting {
    /// Over which link, and who sent it; `None` if discovery found it.
    pub(super) from: Option<(LinkId, OperatorIndex)>,
    pub(super) news: Authorised,
}

/// The changes that each operator has left. What comes beyond waits, and only the newest of it:
/// nothing is lost that would still count.
#[derive(Default)]
pub(super) struct Quotas(BTreeMap<OperatorIndex, Turns>);

#[derive(Default)]
struct Turns {
    allowance: Allowance,
    waiting: Option<Waiting>,
}

/// The words about where we are that each operator has left. What comes beyond is ignored: no honest
/// peer's sight of us changes that often.
#[derive(Default)]
pub(super) struct Sightings(BTreeMap<OperatorIndex, Allowance>);

impl Quotas {
    /// Whether something as new waits already: then it need not even be verified.
    pub(super) fn holds(&self, operator: OperatorIndex, claimed: &Claimed<'_>) -> bool {
        let waiting = self.0.get(&operator).and_then(|turns| turns.waiting.as_ref());
        waiting.is_some_and(|waiting| {
            let claimed = (claimed.seq(), &claimed.content_hash(), claimed.as_bytes());
            waiting.news.record().rank() >= claimed
        })
    }

    /// Takes a change: answers with it if it may happen now; otherwise it waits.
    pub(super) fn take(&mut self, now: Mono, change: Waiting) -> Option<Waiting> {
        let turns = self.0.entry(change.news.operator()).or_default();
        let rank = |waiting: &Waiting| waiting.news.record().clone();
        match turns.waiting.as_ref().map(rank) {
            None if turns.take(now) => return Some(change),
            Some(waiting) if waiting.rank() >= change.news.record().rank() => {}
            _ => turns.waiting = Some(change),
        }
        None
    }

    /// A change whose turn has come.
    pub(super) fn due(&mut self, now: Mono) -> Option<Waiting> {
        self.0.values_mut().find_map(|turns| {
            let due = turns.waiting.is_some() && turns.take(now);
            due.then(|| turns.waiting.take().expect("one waits"))
        })
    }

    /// Another manifest is in force: what waits goes on if its signer is still an operator, whoever
    /// brought it.
    pub(super) fn load(&mut self, places: &Places, manifest: &Manifest) {
        places.renumber(&mut self.0);
        for (operator, turns) in &mut self.0 {
            let Some(Waiting { from, news }) = turns.waiting.take() else { continue };
            let from = from.and_then(|(link, from)| Some((link, places.of(from)?)));
            let news = manifest.authorise(news.record().clone()).expect("its signer stays");
            assert_eq!(news.operator(), *operator, "its signer's place");
            turns.waiting = Some(Waiting { from, news });
        }
    }

    /// Whose changes are counted.
    pub(super) fn operators(&self) -> impl Iterator<Item = OperatorIndex> {
        self.0.keys().copied()
    }

    /// When the next turn comes.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let waits = self.0.values().filter(|turns| turns.waiting.is_some());
        waits.map(|turns| turns.allowance.next(CHANGE_EVERY)).min()
    }
}

impl Sightings {
    /// Whether an operator may say once more where it sees us.
    pub(super) fn take(&mut self, now: Mono, from: OperatorIndex) -> bool {
        self.0.entry(from).or_default().take(now, CHANGES_AT_ONCE, CHANGE_EVERY)
    }

    /// Another manifest is in force.
    pub(super) fn load(&mut self, places: &Places) {
        places.renumber(&mut self.0);
    }
}

impl Turns {
    /// Takes one change, if one is left.
    fn take(&mut self, now: Mono) -> bool {
        self.allowance.take(now, CHANGES_AT_ONCE, CHANGE_EVERY)
    }
}
