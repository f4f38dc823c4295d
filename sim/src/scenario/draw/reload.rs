//! Other manifests: whom they name, and who loads them when.

use std::time::Duration;

use super::{Draft, line, one_of};
use crate::event::HostId;
use crate::moment::{Moment, Units};
use crate::scenario::{Line, ROSTER_MAX, Roster, What};

/// No fewer are named: of three none may lie, and of one there is nobody to find.
const NAMED_MIN: usize = 4;
/// After this long whoever has loaded a manifest is mostly linked with whoever is new to it.
const SOON_LINKED: Duration = Duration::from_secs(5);

impl Draft<'_> {
    /// Everybody whom the manifest before names, or this one, loads it, one after the other. Now and
    /// then somebody moves or dies in the middle of it; or whoever is new dies, so that those who load
    /// later hear of it from others alone.
    pub(super) fn reload(&mut self, movable: &[usize], anybody: &[usize], at: Moment) -> Vec<Line> {
        // Nobody answers for a process that is halted, and one manifest after the other is enough.
        let busy = |line: &Line| {
            let what = line.fault.map(|it| it.what);
            matches!(what, Some(What::Pause | What::Suspend | What::Load(_)))
        };
        if self.schedule.iter().rev().take_while(|it| it.fault.is_some()).any(busy) {
            return Vec::new();
        }
        let Some(named) = self.another_roster() else { return Vec::new() };
        let roster = Roster::new(&named.iter().map(|it| HostId(*it)).collect::<Vec<_>>());
        let added = |who: &usize| !self.named.contains(who);
        let added: Vec<usize> = named.iter().copied().filter(added).collect();
        let mut all: Vec<usize> = self.named.iter().chain(&added).copied().collect();
        for last in (1..all.len()).rev() {
            all.swap(last, self.draws.below(last as u64 + 1) as usize);
        }
        let dies = !added.is_empty() && self.draws.hits(1, 3);
        if dies {
            all.sort_by_key(|who| !added.contains(who));
        }
        let span = *one_of(&[1.s(), 10.s(), 60.s()], &mut self.draws);
        let mut lines = Vec::new();
        let mut then = at;
        for (place, who) in all.into_iter().enumerate() {
            if dies && place == 2 {
                then = then + SOON_LINKED + self.up_to(span);
                lines.push(line(then, added[0], What::Crash));
            }
            lines.push(line(then, who, What::Load(roster)));
            if added.contains(&who) {
                lines.push(line(then + self.up_to(1.s()), who, What::Start));
            }
            then = then + 1.ms() + self.up_to(span);
        }
        let middle = at + self.up_to(then - at);
        match self.draws.below(4) {
            0 if !movable.is_empty() => lines.extend(self.moves(movable, 1, middle)),
            1 => lines.extend(self.crash(anybody, false, middle)),
            _ => {}
        }
        lines.sort_by_key(|line| line.at);
        lines
    }

    /// As many liars as there are must be tolerated by those who are named then.
    fn another_roster(&mut self) -> Option<Vec<usize>> {
        let mut named = self.named.clone();
        let unnamed = |who: &usize| !named.contains(who);
        let spares: Vec<usize> = (0..self.setup.operators).filter(unnamed).collect();
        let place = self.draws.below(named.len() as u64) as usize;
        match (self.draws.below(4), &spares[..]) {
            (0 | 1, [_, ..]) if named.len() < ROSTER_MAX => {
                named.insert(place, *one_of(&spares, &mut self.draws));
            }
            (2, [_, ..]) => named[place] = *one_of(&spares, &mut self.draws),
            (0 | 2, _) => drop(named.remove(place)),
            _ => {
                let by = 1 + self.draws.below(named.len() as u64 - 1) as usize;
                named.rotate_left(by);
            }
        }
        let tolerated = (named.len() - 1) / 3;
        (named.len() >= NAMED_MIN && tolerated >= self.traitors.len()).then_some(named)
    }

    /// These lines happen.
    pub(super) fn reloaded(&mut self, lines: &[Line]) {
        for fault in lines.iter().filter_map(|line| line.fault) {
            match fault.what {
                What::Load(roster) => self.named = roster.hosts().map(|host| host.0).collect(),
                What::Start => drop(self.absent.remove(&fault.host.0)),
                What::Crash => drop(self.absent.insert(fault.host.0)),
                _ => {}
            }
        }
    }
}
