//! Faults of the network around an operator, of its host and of its disk.

use std::time::Duration;

use super::{Draft, line, one_of};
use crate::event::HostId;
use crate::host::{UNSYNCED_MAX, Uplink};
use crate::moment::{Moment, Units};
use crate::network::{Access, MTU};
use crate::scenario::build::home_router;
use crate::scenario::{Families, FaultKind, Line, What};

/// Clocks that are wrong by so many milliseconds: what synchronisation leaves, a wrong time zone, a
/// dead battery.
const CLOCK_ERRORS: [i64; 4] = [20, 5_000, 3_600_000, 365 * 24 * 3_600_000];
/// Millionths: quartz that is good, usual and bad, and a virtual machine that is starved.
const DRIFTS: [i32; 4] = [5, 50, 200, 5_000];

impl Draft<'_> {
    pub(super) fn disturbs(
        &mut self,
        kind: FaultKind,
        movable: &[usize],
        anybody: &[usize],
        at: Moment,
    ) -> Vec<Line> {
        let who = *one_of(anybody, &mut self.draws);
        match kind {
            FaultKind::Cut => self.cut(anybody, 1, 120.s(), at),
            FaultKind::Flaky => {
                let times = 3 + self.draws.below(6);
                self.cut(anybody, times, 20.s(), at)
            }
            FaultKind::Partition => self.partition(anybody, at),
            FaultKind::Block => self.for_a_while(who, What::Block, What::Unblock, at),
            FaultKind::Roam if !movable.is_empty() => self.roam(movable, at),
            FaultKind::Router => self.router(anybody, at),
            FaultKind::Narrow => {
                let bytes = *one_of(&[1_492, 1_400, 1_280, 1_000, 576], &mut self.draws);
                self.for_a_while(who, What::Mtu(bytes), What::Mtu(MTU), at)
            }
            FaultKind::Pause => self.for_a_while(who, What::Pause, What::Resume, at),
            FaultKind::Suspend => self.for_a_while(who, What::Suspend, What::Resume, at),
            FaultKind::Clock => self.clock(who, at),
            FaultKind::Drift => {
                let rate = *one_of(&DRIFTS, &mut self.draws);
                let rate = if self.draws.hits(1, 2) { rate } else { -rate };
                vec![line(at, who, What::Drift(rate))]
            }
            FaultKind::Tear => self.dies(who, &[What::Tear], at),
            FaultKind::Unsync => {
                let writes = 1 + self.draws.below(UNSYNCED_MAX as u64) as u8;
                self.dies(who, &[What::Unsync(writes)], at)
            }
            FaultKind::Rollback => self.rollback(who, at),
            FaultKind::Rot => self.dies(who, &[What::Crash, What::Rot], at),
            _ => Vec::new(),
        }
    }

    fn for_a_while(&mut self, who: usize, begins: What, ends: What, at: Moment) -> Vec<Line> {
        let over = self.later(at);
        vec![line(at, who, begins), line(over, who, ends)]
    }

    fn cut(&mut self, anybody: &[usize], times: u64, pace: Duration, at: Moment) -> Vec<Line> {
        let [Some(a), Some(b)] = self.two_of(anybody) else { return Vec::new() };
        let mut lines = Vec::new();
        let mut at = at;
        for _ in 0..times {
            let mended = at + 1.ms() + self.up_to(pace);
            lines.push(line(at, a, What::Cut(HostId(b))));
            lines.push(line(mended, a, What::Mend(HostId(b))));
            at = mended + 1.ms() + self.up_to(pace);
        }
        lines
    }

    fn two_of(&mut self, anybody: &[usize]) -> [Option<usize>; 2] {
        let mut anybody = anybody.to_vec();
        [(); 2].map(|()| {
            let place = (!anybody.is_empty()).then(|| self.draws.below(anybody.len() as u64))?;
            Some(anybody.swap_remove(place as usize))
        })
    }

    fn partition(&mut self, anybody: &[usize], at: Moment) -> Vec<Line> {
        let mut anybody = anybody.to_vec();
        let many = 1 + self.draws.below(anybody.len() as u64 / 2 + 1) as usize;
        let over = self.later(at + 51.ms());
        (0..many.min(anybody.len()))
            .flat_map(|_| {
                let who = anybody.swap_remove(self.draws.below(anybody.len() as u64) as usize);
                let (cut, mended) = (at + self.up_to(50.ms()), over + self.up_to(50.ms()));
                [line(cut, who, What::Side(1)), line(mended, who, What::Side(0))]
            })
            .collect()
    }

    /// Out of one network, into another after a dead window.
    fn roam(&mut self, movable: &[usize], at: Moment) -> Vec<Line> {
        let who = *one_of(movable, &mut self.draws);
        let access = *one_of(&Access::ALL, &mut self.draws);
        let to = self.address_for(who);
        let window = *one_of(&[2.s(), 20.s()], &mut self.draws);
        let back = at + 1.ms() + self.up_to(window);
        let behind = match self.setup.hosts[who].uplink {
            Uplink::Forwarded { .. } => None, // its operator sees to it that the port is forwarded
            _ if self.families != Families::V4 => None,
            Uplink::Direct | Uplink::Nat(_) if self.draws.hits(1, 2) => Some(What::Direct),
            Uplink::Direct | Uplink::Nat(_) => Some(What::Nat(home_router(&mut self.draws))),
        };
        let mut lines = vec![line(at, who, What::Offline)];
        lines.extend(behind.map(|what| line(back, who, what)));
        lines.push(line(back, who, What::Access(access)));
        lines.push(line(back, who, What::Move(to)));
        lines
    }

    fn router(&mut self, anybody: &[usize], at: Moment) -> Vec<Line> {
        let (mut natted, mut forwarded) = (Vec::new(), Vec::new());
        for who in anybody {
            match self.setup.hosts[*who].uplink {
                Uplink::Direct => {}
                Uplink::Forwarded { .. } => forwarded.push(*who),
                Uplink::Nat(_) => natted.push(*who),
            }
        }
        match (&natted[..], &forwarded[..]) {
            ([_, ..], _) => vec![line(at, *one_of(&natted, &mut self.draws), What::Reboot)],
            (_, [_, ..]) => {
                let who = *one_of(&forwarded, &mut self.draws);
                self.for_a_while(who, What::Unforward, What::Forward, at)
            }
            _ => Vec::new(),
        }
    }

    fn clock(&mut self, who: usize, at: Moment) -> Vec<Line> {
        let by = *one_of(&CLOCK_ERRORS, &mut self.draws);
        let by = if self.draws.hits(1, 2) { by } else { -by };
        let mut lines = vec![line(at, who, What::Clock(by))];
        if self.draws.hits(2, 3) {
            lines.extend(self.dies(who, &[What::Crash], at));
        }
        lines
    }

    /// Its node dies, this happens to it, and it starts again.
    fn dies(&mut self, who: usize, by: &[What], at: Moment) -> Vec<Line> {
        let mut lines: Vec<Line> = by.iter().map(|what| line(at, who, *what)).collect();
        if !self.is_fixed(who) && self.draws.hits(1, 4) {
            let to = self.address_for(who);
            lines.push(line(at, who, What::Move(to)));
        }
        lines.push(line(self.later(at), who, What::Start));
        lines
    }

    /// What its disk held before it moved, and moved again, comes back.
    fn rollback(&mut self, who: usize, at: Moment) -> Vec<Line> {
        let mut lines = vec![line(at, who, What::Snapshot)];
        let mut at = at;
        for _ in 0..self.draws.below(4) {
            at = at + self.up_to(20.s());
            if !self.is_fixed(who) {
                let to = self.new_address_for(who);
                lines.push(line(at, who, What::Move(to)));
            }
        }
        let died = self.dies(who, &[What::Crash, What::Rollback], at + 5.s());
        lines.extend(died);
        lines
    }

    fn later(&mut self, at: Moment) -> Moment {
        let span = *one_of(&[100.ms(), 5.s(), 90.s(), 600.s()], &mut self.draws);
        at + 1.ms() + self.up_to(span)
    }
}
