//! When to look for an operator through discovery: `resolve` asks the node where it was last, and
//! the nodes closest to its id. (Operators that are linked need no question: they say all they
//! hold when the link opens, and every change at once.)

use std::collections::BTreeMap;
use std::time::Duration;

use crate::chance::Stream;
use crate::cluster::{OperatorIndex, Places};
use crate::planted::{Bug, planted};
use crate::time::Mono;

/// How long an operator is lost before it is looked for: most come back by themselves.
pub const LOST_FOR: Duration = Duration::from_secs(5);
/// How long the pause between two lookups of a lost operator grows.
pub const AGAIN_MAX: Duration = Duration::from_secs(300);
/// How often an operator that is linked is looked for all the same: its record may be newer
/// elsewhere.
pub const REFRESH_EVERY: Duration = Duration::from_secs(1800);
/// How soon a lookup is tried again that there was no room for.
pub const CROWDED_FOR: Duration = Duration::from_secs(1);

/// When each operator is looked for next.
#[derive(Default)]
pub(super) struct Resolver(BTreeMap<OperatorIndex, Search>);

struct Search {
    at: Mono,
    /// How long the next pause will be; `None` while the operator is linked.
    pause: Option<Duration>,
}

impl Resolver {
    /// Looks for this operator at once.
    pub(super) fn start(&mut self, now: Mono, operator: OperatorIndex) {
        self.0.insert(operator, Search { at: now, pause: Some(LOST_FOR) });
    }

    /// Its last link is gone.
    pub(super) fn lost(&mut self, now: Mono, operator: OperatorIndex) {
        self.0.insert(operator, Search { at: now + LOST_FOR, pause: Some(LOST_FOR) });
    }

    /// It is linked.
    pub(super) fn linked(&mut self, now: Mono, operator: OperatorIndex, jitter: &mut Stream) {
        if planted(Bug::NeverRefreshes) {
            self.0.remove(&operator);
            return;
        }
        let at = now + jitter.jittered(REFRESH_EVERY);
        self.0.insert(operator, Search { at, pause: None });
    }

    /// An operator whose turn has come.
    pub(super) fn due(&mut self, now: Mono, jitter: &mut Stream) -> Option<OperatorIndex> {
        let (operator, search) = self.0.iter_mut().find(|(_, search)| search.at <= now)?;
        let pause = search.pause.unwrap_or(REFRESH_EVERY);
        search.at = now + jitter.jittered(pause);
        search.pause = search.pause.map(|pause| (pause * 2).min(AGAIN_MAX));
        Some(*operator)
    }

    /// There was no room for its lookup.
    pub(super) fn crowded(&mut self, now: Mono, operator: OperatorIndex) {
        if let Some(search) = self.0.get_mut(&operator) {
            search.at = now + CROWDED_FOR;
            // What did not happen makes no pause longer.
            search.pause = search.pause.map(|pause| (pause / 2).max(LOST_FOR));
        }
    }

    /// Another manifest is in force: whose authority is gone is looked for no more.
    pub(super) fn load(&mut self, places: &Places) {
        places.renumber(&mut self.0);
    }

    /// Who is looked for.
    pub(super) fn operators(&self) -> impl Iterator<Item = OperatorIndex> {
        self.0.keys().copied()
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.0.values().map(|search| search.at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn a_lookup_that_finds_no_room_is_tried_soon_and_makes_no_pause_longer() {
        let mut jitter = Chance::new([1; 32]).stream("test");
        let mut resolver = Resolver::default();
        let operator = OperatorIndex(1);
        let mut now = Mono(0);
        resolver.start(now, operator);
        for _ in 0..60 {
            assert_eq!(resolver.due(now, &mut jitter), Some(operator));
            resolver.crowded(now, operator);
            assert_eq!(resolver.deadline(), Some(now + CROWDED_FOR));
            now = now + CROWDED_FOR;
        }
        assert_eq!(resolver.due(now, &mut jitter), Some(operator));
        let pause = resolver.deadline().unwrap() - now;
        assert!(pause <= LOST_FOR * 5 / 4, "the first lookup is followed by a pause of {pause:?}");
    }
}
