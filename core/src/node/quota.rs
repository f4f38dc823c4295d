//! How often an operator's record may change: what it signs is stored and carried on by everybody,
//! so an operator that signs without end must not be able to make everybody work without end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::allowance::Allowance;
use crate::cluster::{Authorised, OperatorIndex};
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
pub(super) struct Quotas(BTreeMap<OperatorIndex, Quota>);

#[derive(Default)]
struct Quota {
    allowance: Allowance,
    waiting: Option<Waiting>,
}

impl Quotas {
    /// Whether something as new waits already: then it need not even be verified.
    pub(super) fn holds(&self, operator: OperatorIndex, claimed: &Claimed<'_>) -> bool {
        let waiting = self.0.get(&operator).and_then(|quota| quota.waiting.as_ref());
        waiting.is_some_and(|waiting| {
            let claimed = (claimed.seq(), &claimed.content_hash(), claimed.as_bytes());
            waiting.news.record().rank() >= claimed
        })
    }

    /// Takes a change: answers with it if it may happen now; otherwise it waits.
    pub(super) fn take(&mut self, now: Mono, change: Waiting) -> Option<Waiting> {
        let quota = self.0.entry(change.news.operator()).or_default();
        if quota.waiting.is_none() && quota.take(now) {
            return Some(change);
        }
        let rank = |waiting: &Waiting| waiting.news.record().clone();
        let newer = quota.waiting.as_ref().map(rank);
        if newer.is_none_or(|waiting| waiting.rank() < change.news.record().rank()) {
            quota.waiting = Some(change);
        }
        None
    }

    /// A change whose turn has come.
    pub(super) fn due(&mut self, now: Mono) -> Option<Waiting> {
        self.0.values_mut().find_map(|quota| {
            let may = quota.waiting.is_some() && quota.take(now);
            may.then(|| quota.waiting.take().expect("one waits"))
        })
    }

    /// When the next turn comes.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let waits = self.0.values().filter(|quota| quota.waiting.is_some());
        waits.map(|quota| quota.allowance.next(CHANGE_EVERY)).min()
    }
}

impl Quota {
    fn take(&mut self, now: Mono) -> bool {
        self.allowance.take(now, CHANGES_AT_ONCE, CHANGE_EVERY)
    }
}
