//! The generator: from a seed to a scenario.
//!
//! Most runs leave most faults out. Every schedule leaves the network a way to heal: a fault after
//! which it had none (as [`Reach`] sees it) is not drawn. After each burst of faults there is
//! quiet for as long as healing may take ([`Options::heals_within`]), and then everything is
//! expected to be well.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use stayfound_core::chance::{Chance, Stream};

mod disturb;
mod reload;

use super::build::{self, Addresses};
use super::{Bootstrap, Families, Fault, FaultKind, Interfaces, Line, Miles, Neighbours, Options};
use super::{Scenario, SeqStyle, What};
use crate::adversary::Lie;
use crate::event::HostId;
use crate::host::{DiskSpeed, Uplink};
use crate::moment::{Moment, Units};
use crate::network::{Access, Latency, Loss, Noise};
use crate::oracle::Reach;
use crate::world::Setup;

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let chance = chance(seed);
        let mut options = draw_options(&mut chance.stream("options"));
        let build = |options: &Options| {
            let mut addresses = Addresses::new(options.families, &chance);
            (build::setup_at(options, &mut addresses, &chance), addresses)
        };
        let (mut setup, mut addresses) = build(&options);
        if !bootstraps(&setup, options.operators) {
            options.bootstrap = Bootstrap::Hints;
            (setup, addresses) = build(&options);
        }
        let mut draft = Draft {
            reach: build_reach(&setup, options.operators),
            named: (0..options.operators).collect(),
            at: setup.hosts.iter().map(|host| host.address).collect(),
            free: Vec::new(),
            others: setup.hosts.iter().map(|host| host.others.clone()).collect(),
            absent: BTreeSet::new(),
            traitors: BTreeSet::new(),
            draws: chance.stream("schedule"),
            schedule: Vec::new(),
            addresses,
            setup: &setup,
            families: options.families,
            strangers: options.strangers,
            quiet: options.heals_within(),
            happened: BTreeSet::new(),
        };
        draft.start();
        for _ in 0..options.episodes {
            draft.episode(&options.mix);
        }
        let (schedule, happened) = (draft.schedule, draft.happened);
        options.mix = happened.into_iter().collect();
        Self { seed, options, setup, schedule }
    }

    /// The chance of everything in this scenario.
    #[must_use]
    pub fn chance(&self) -> Chance {
        chance(self.seed)
    }
}

/// All chance of a seed.
pub(crate) fn chance(seed: u64) -> Chance {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Chance::new(bytes)
}

fn draw_options(draws: &mut Stream) -> Options {
    let operators = *one_of(&[4, 4, 4, 4, 5, 6, 7, 7, 10], draws);
    let forwarded = match draws.below(3) {
        0 => 0,
        1 => 1 + draws.below(operators as u64 / 2) as usize,
        _ => operators,
    };
    let fixed = if draws.hits(1, 3) { draws.below(forwarded as u64 + 1) as usize } else { 0 };
    let discovery = draw_neighbours(draws);
    let natted = match draws.below(5) {
        0 => draws.below((operators - forwarded).min(operators / 2) as u64 + 1) as usize,
        _ => 0,
    };
    let mix = draw_mix(draws);
    let spares = if mix.contains(&FaultKind::Reload) { draws.below(3) as usize } else { 0 };
    let latency = *one_of(&Latency::ALL, draws);
    let miles = match draws.below(4) {
        // By way of three satellites no dial is in time.
        _ if latency == Latency::Satellite => Miles::All(Access::Wired),
        0 => Miles::Mixed,
        1 => Miles::All(*one_of(&Access::ALL, draws)),
        _ => Miles::All(Access::Wired),
    };
    Options {
        operators,
        spares,
        strangers: draws.below(2) as usize,
        forwarded,
        fixed,
        natted,
        miles,
        discovery,
        liars: draw_liars(discovery, draws),
        pingers: 0,
        latency,
        loss: *one_of(&[Loss(0), Loss(0), Loss(1), Loss(10), Loss(50), Loss(100)], draws),
        noise: match draws.below(4) {
            0 => Noise { duplicated: draws.below(200) as u16, corrupted: draws.below(50) as u16 },
            _ => Noise::default(),
        },
        disks: *one_of(&[DiskSpeed::Fast, DiskSpeed::Slow], draws),
        families: match discovery {
            Some(_) => Families::V4,         // as the neighbours
            _ if natted > 0 => Families::V4, // as routers
            None => *one_of(&[Families::V4, Families::V4, Families::V6, Families::Mixed], draws),
        },
        interfaces: *one_of(
            &[
                Interfaces::One,
                Interfaces::One,
                Interfaces::Private,
                Interfaces::Public,
                Interfaces::Mixed,
            ],
            draws,
        ),
        bootstrap: match discovery {
            Some(_) if draws.hits(1, 2) => Bootstrap::Discovery,
            _ => *one_of(
                &[Bootstrap::Manifest, Bootstrap::Outdated, Bootstrap::Hints, Bootstrap::Line],
                draws,
            ),
        },
        seqs: *one_of(&[SeqStyle::One, SeqStyle::Millis, SeqStyle::Ahead], draws),
        mix,
        episodes: 1 + draws.below(4) as usize,
    }
}

/// Mostly there are none: a run with them has many more nodes.
fn draw_neighbours(draws: &mut Stream) -> Option<Neighbours> {
    draws.hits(1, 8).then(|| Neighbours {
        boots: 1 + draws.below(2) as usize,
        walkers: 4 + draws.below(13) as usize,
    })
}

/// In half of the runs with walkers there are none; never so many that strangers are mostly liars.
fn draw_liars(discovery: Option<Neighbours>, draws: &mut Stream) -> usize {
    let third = discovery.map_or(0, |it| it.walkers / 3) as u64;
    if third > 0 && draws.hits(1, 2) { 1 + draws.below(third) as usize } else { 0 }
}

/// One to three kinds of faults mostly, all of them seldom.
fn draw_mix(draws: &mut Stream) -> Vec<FaultKind> {
    let mut pool = FaultKind::ALL.to_vec();
    let keep = if draws.hits(1, 10) { pool.len() } else { 1 + draws.below(3) as usize };
    let mut mix: Vec<FaultKind> =
        (0..keep).map(|_| pool.swap_remove(draws.below(pool.len() as u64) as usize)).collect();
    mix.sort_unstable();
    mix
}

fn one_of<'a, T>(choices: &'a [T], draws: &mut Stream) -> &'a T {
    &choices[draws.below(choices.len() as u64) as usize]
}

/// Whether everybody finds everybody if all start and nothing happens. Operators behind routers,
/// of whom each is told of too few others to learn from them where it is, do not.
fn bootstraps(setup: &Setup, named: usize) -> bool {
    let mut reach = build_reach(setup, named);
    for host in (0..named).map(HostId) {
        reach.apply(&Fault { host, what: What::Start });
    }
    reach.is_whole()
}

/// The first so many are named by the first manifest; whoever is not begins with one of all.
fn build_reach(setup: &Setup, named: usize) -> Reach {
    let mut reach = Reach::default();
    if setup.discovery {
        reach.add_discovery();
    }
    for host in &setup.hosts[..setup.operators] {
        reach.add_configured(host);
    }
    let all: Vec<HostId> = (0..setup.operators).map(HostId).collect();
    for host in &all {
        reach.begins_with(*host, if host.0 < named { &all[..named] } else { &all });
    }
    reach
}

/// A schedule in the making.
struct Draft<'a> {
    setup: &'a Setup,
    families: Families,
    strangers: usize,
    /// How long healing may take.
    quiet: Duration,
    reach: Reach,
    /// Where everybody will be.
    at: Vec<SocketAddr>,
    /// Addresses that somebody has left.
    free: Vec<SocketAddr>,
    /// The addresses that everybody's other interfaces will have.
    others: Vec<BTreeSet<IpAddr>>,
    /// Whom the manifest names that everybody has loaded last, by place.
    named: Vec<usize>,
    /// Who has died and not started again.
    absent: BTreeSet<usize>,
    /// Who lies.
    traitors: BTreeSet<usize>,
    addresses: Addresses,
    draws: Stream,
    schedule: Vec<Line>,
    /// The kinds of faults in it.
    happened: BTreeSet<FaultKind>,
}

impl Draft<'_> {
    fn start(&mut self) {
        let spares = self.named.len()..self.setup.operators;
        for host in (0..self.setup.hosts.len()).filter(|host| !spares.contains(host)) {
            let at = Moment::default() + self.up_to(3.s());
            self.schedule.push(line(at, host, What::Start));
        }
        self.finish(0);
        assert!(self.reach.is_whole(), "nobody bootstraps into less than a mesh");
    }

    /// Some faults close to one another, then quiet.
    fn episode(&mut self, mix: &[FaultKind]) {
        let pause = *one_of(&[0.s(), 60.s(), 300.s()], &mut self.draws);
        let begin = self.end() + self.up_to(pause);
        let first = self.schedule.len();
        for who in self.absent.clone() {
            if self.draws.hits(2, 3) {
                let back = self.comes_back(who, begin);
                self.schedule.extend(back);
                self.absent.remove(&who);
            }
        }
        let returned = self.schedule[first..].iter().filter_map(|line| line.fault);
        let mut touched: BTreeSet<usize> = returned.map(|it| it.host.0).collect();
        touched.extend(&self.absent);
        for _ in 0..=self.draws.below(4) {
            let kind = *one_of(mix, &mut self.draws);
            let at = match self.schedule[first..].last() {
                // What happens within the same second is what protocols forget.
                Some(last) if self.draws.hits(1, 2) => last.at + self.up_to(1.s()),
                _ => begin + self.up_to(20.s()),
            };
            let lines = self.propose(kind, at, &touched);
            if self.can_heal(&self.schedule[first..], &lines) {
                if kind == FaultKind::Absence {
                    self.absent.extend(lines.iter().filter_map(|it| Some(it.fault?.host.0)));
                }
                if kind == FaultKind::Treason {
                    self.traitors.extend(lines.iter().filter_map(|it| Some(it.fault?.host.0)));
                }
                if kind == FaultKind::Reload {
                    self.reloaded(&lines);
                }
                touched.extend(lines.iter().filter_map(|line| line.fault).map(|it| it.host.0));
                if !lines.is_empty() {
                    self.happened.insert(kind);
                }
                self.schedule.extend(lines);
            }
        }
        self.finish(first);
    }

    /// Whether the mesh can come together again after these faults and those.
    fn can_heal(&self, before: &[Line], lines: &[Line]) -> bool {
        let mut reach = self.reach.clone();
        let mut all: Vec<Line> = before.iter().chain(lines).copied().collect();
        all.sort_by_key(|line| line.at);
        self.foresee(&mut reach, &all);
        reach.is_whole()
    }

    fn foresee(&self, reach: &mut Reach, lines: &[Line]) {
        let faults = lines.iter().filter_map(|line| line.fault);
        faults.filter(|it| it.host.0 < self.setup.operators).for_each(|it| reach.apply(&it));
    }

    /// Puts what was drawn since `first` in order, and lets it come to rest.
    fn finish(&mut self, first: usize) {
        self.schedule[first..].sort_by_key(|line| line.at);
        let mut reach = self.reach.clone();
        self.foresee(&mut reach, &self.schedule[first..]);
        reach.settled();
        self.reach = reach;
        for index in first..self.schedule.len() {
            let Some(Fault { host: HostId(host), what }) = self.schedule[index].fault else {
                continue;
            };
            match what {
                What::Move(to) => self.free.push(std::mem::replace(&mut self.at[host], to)),
                What::Up(ip) => drop(self.others[host].insert(ip)),
                What::Down(ip) => drop(self.others[host].remove(&ip)),
                _ => {}
            }
        }
        let at = &self.at;
        self.free.retain(|free| !at.contains(free));
        self.schedule.push(Line { at: self.end() + self.quiet, fault: None });
    }

    /// A fault of this kind that begins at this time; nothing if there is nobody to suffer it.
    fn propose(&mut self, kind: FaultKind, at: Moment, touched: &BTreeSet<usize>) -> Vec<Line> {
        let n = self.setup.operators;
        let alone = |who: &usize| !touched.contains(who);
        let anybody: Vec<usize> = self.named.iter().copied().filter(alone).collect();
        let movable: Vec<usize> =
            anybody.iter().copied().filter(|who| !self.is_fixed(*who)).collect();
        let stranger = (n..n + self.strangers).find(alone);
        match (kind, &movable[..], &anybody[..]) {
            (FaultKind::Move, [_, ..], _) => self.moves(&movable, 1, at),
            (FaultKind::MoveMany, [_, _, ..], _) => {
                let many = 2 + self.draws.below(movable.len() as u64 - 1) as usize;
                self.moves(&movable, many, at)
            }
            (FaultKind::Flap, [_, ..], _) => self.flap(&movable, at),
            (FaultKind::Rebind, [_, ..], _) => self.rebind(&movable, at),
            (FaultKind::Swap, [_, _, ..], _) => self.swap(&movable, at),
            (FaultKind::Handover, [_, ..], _) => match stranger {
                Some(stranger) => self.handover(&movable, stranger, at),
                None => self.moves(&movable, 1, at),
            },
            (FaultKind::Outage, _, [_, ..]) => self.outage(&anybody, at),
            (FaultKind::Crash, _, [_, ..]) => self.crash(&anybody, false, at),
            (FaultKind::Wipe, _, [_, ..]) => self.crash(&anybody, true, at),
            (FaultKind::Interface, _, [_, ..]) => self.interface(&anybody, at),
            (FaultKind::Exodus, [_, ..], _) => self.exodus(&movable, at),
            (FaultKind::Treason, _, [_, ..]) => self.treason(&anybody, at),
            (FaultKind::Reload, _, [_, ..]) => self.reload(&movable, &anybody, at),
            (FaultKind::Blackout, _, [_, _, ..]) => self.blackout(&anybody, at),
            (FaultKind::Absence, _, [_, ..]) => {
                vec![line(at, *one_of(&anybody, &mut self.draws), What::Crash)]
            }
            (kind, _, [_, ..]) => self.disturbs(kind, &movable, &anybody, at),
            _ => Vec::new(),
        }
    }

    fn moves(&mut self, movable: &[usize], many: usize, at: Moment) -> Vec<Line> {
        let mut movable = movable.to_vec();
        (0..many)
            .map(|_| {
                let who = movable.swap_remove(self.draws.below(movable.len() as u64) as usize);
                let to = self.address_for(who);
                line(at + self.up_to(50.ms()), who, What::Move(to))
            })
            .collect()
    }

    fn exodus(&mut self, movable: &[usize], at: Moment) -> Vec<Line> {
        let mut lines = self.moves(movable, movable.len(), at);
        for who in movable {
            if self.draws.hits(1, 4) {
                let back = at + 51.ms() + self.up_to(10.s());
                lines.extend([line(at, *who, What::Crash), line(at, *who, What::Wipe)]);
                lines.push(line(back, *who, What::Start));
            }
        }
        lines
    }

    /// One who lies already, or one more if so many are tolerated; it lies again and again.
    fn treason(&mut self, anybody: &[usize], at: Moment) -> Vec<Line> {
        let tolerated = (self.named.len() - 1) / 3;
        let may = |who: &&usize| self.traitors.contains(who) || self.traitors.len() < tolerated;
        let may: Vec<usize> = anybody.iter().filter(may).copied().collect();
        if may.is_empty() {
            return Vec::new();
        }
        let who = *one_of(&may, &mut self.draws);
        let mut at = at;
        (0..1 + self.draws.below(4))
            .map(|_| {
                at = at + self.up_to(2.s());
                let lie = self.lie(who);
                line(at, who, lie)
            })
            .collect()
    }

    fn lie(&mut self, who: usize) -> What {
        if !self.draws.hits(1, 4) {
            return What::Lie(*one_of(&Lie::ALL, &mut self.draws));
        }
        // Where somebody is, was, or nobody has ever been.
        let at = match self.draws.below(3) {
            0 => self.at[self.draws.below(self.setup.operators as u64) as usize],
            1 if !self.free.is_empty() => *one_of(&self.free, &mut self.draws),
            _ => self.new_address_for(who),
        };
        What::Missee(at)
    }

    fn flap(&mut self, movable: &[usize], mut at: Moment) -> Vec<Line> {
        let who = *one_of(movable, &mut self.draws);
        let pace = *one_of(&[1.s(), 10.s(), 60.s()], &mut self.draws);
        (0..4 + self.draws.below(8))
            .map(|_| {
                at = at + self.up_to(pace);
                let to = self.new_address_for(who);
                line(at, who, What::Move(to))
            })
            .collect()
    }

    fn rebind(&mut self, movable: &[usize], at: Moment) -> Vec<Line> {
        let who = *one_of(movable, &mut self.draws);
        let mut to = self.at[who];
        to.set_port(to.port() + 1);
        vec![line(at, who, What::Move(to))]
    }

    fn swap(&mut self, movable: &[usize], at: Moment) -> Vec<Line> {
        let same_family = |a: usize, b: usize| {
            let direct = |who: usize| self.setup.hosts[who].uplink == Uplink::Direct;
            self.at[a].is_ipv4() == self.at[b].is_ipv4() || (direct(a) && direct(b))
        };
        let pairs: Vec<(usize, usize)> = movable
            .iter()
            .flat_map(|&a| movable.iter().map(move |&b| (a, b)))
            .filter(|&(a, b)| a < b && same_family(a, b))
            .collect();
        let Some(&(a, b)) = pairs.get(self.draws.below(pairs.len().max(1) as u64) as usize) else {
            return Vec::new();
        };
        let back = at + 1.ms() + self.up_to(10.s());
        vec![
            line(at, a, What::Offline),
            line(at, b, What::Offline),
            line(back, a, What::Move(self.at[b])),
            line(back + self.up_to(1.s()), b, What::Move(self.at[a])),
        ]
    }

    fn handover(&mut self, movable: &[usize], stranger: usize, at: Moment) -> Vec<Line> {
        let who = *one_of(movable, &mut self.draws);
        let (left, to) = (self.at[who], self.address_for(who));
        let later = at + 1.ms() + self.up_to(10.s());
        vec![line(at, who, What::Move(to)), line(later, stranger, What::Move(left))]
    }

    fn outage(&mut self, anybody: &[usize], at: Moment) -> Vec<Line> {
        let who = *one_of(anybody, &mut self.draws);
        let elsewhere = !self.is_fixed(who) && self.draws.hits(1, 2);
        let to = if elsewhere { self.address_for(who) } else { self.at[who] };
        let span = *one_of(&[20.s(), 120.s(), 600.s()], &mut self.draws);
        let back = at + 1.ms() + self.up_to(span);
        vec![line(at, who, What::Offline), line(back, who, What::Move(to))]
    }

    fn crash(&mut self, anybody: &[usize], wipe: bool, at: Moment) -> Vec<Line> {
        let who = *one_of(anybody, &mut self.draws);
        let mut lines = vec![line(at, who, What::Crash)];
        if wipe {
            lines.push(line(at, who, What::Wipe));
        }
        if !self.is_fixed(who) && self.draws.hits(1, 3) {
            let to = self.address_for(who);
            lines.push(line(at, who, What::Move(to)));
        }
        let span = *one_of(&[100.ms(), 5.s(), 90.s(), 600.s()], &mut self.draws);
        lines.push(line(at + 1.ms() + self.up_to(span), who, What::Start));
        lines
    }

    fn interface(&mut self, anybody: &[usize], at: Moment) -> Vec<Line> {
        let who = *one_of(anybody, &mut self.draws);
        let there: Vec<IpAddr> = self.others[who].iter().copied().collect();
        let (first, then) = if !there.is_empty() && self.draws.hits(1, 2) {
            let ip = *one_of(&there, &mut self.draws);
            (What::Down(ip), What::Up(ip))
        } else {
            let private = self.draws.hits(1, 4);
            let addresses = &mut self.addresses;
            let ip = if private { addresses.private() } else { addresses.fresh().ip() };
            (What::Up(ip), What::Down(ip))
        };
        let span = *one_of(&[100.ms(), 10.s(), 120.s()], &mut self.draws);
        let later = at + 1.ms() + self.up_to(span);
        let back = self.draws.hits(1, 2).then(|| line(later, who, then));
        [line(at, who, first)].into_iter().chain(back).collect()
    }

    fn blackout(&mut self, anybody: &[usize], at: Moment) -> Vec<Line> {
        let mut anybody = anybody.to_vec();
        let span = *one_of(&[1.s(), 60.s()], &mut self.draws);
        (0..2 + self.draws.below(anybody.len() as u64 - 1))
            .flat_map(|_| {
                let who = anybody.swap_remove(self.draws.below(anybody.len() as u64) as usize);
                let back = at + 51.ms() + self.up_to(span);
                [line(at + self.up_to(50.ms()), who, What::Crash), line(back, who, What::Start)]
            })
            .collect()
    }

    /// Who was absent starts again, perhaps elsewhere: where, matters only if somebody it knows
    /// has stayed.
    fn comes_back(&mut self, who: usize, at: Moment) -> Vec<Line> {
        let back = at + self.up_to(20.s());
        let start = line(back, who, What::Start);
        if self.is_fixed(who) || self.draws.hits(2, 3) {
            return vec![start];
        }
        let moved = vec![line(at, who, What::Move(self.address_for(who))), start];
        if self.can_heal(&[], &moved) { moved } else { vec![start] }
    }

    /// Where an operator goes: mostly where nobody has been, sometimes where somebody was.
    fn address_for(&mut self, who: usize) -> SocketAddr {
        let fits = |free: &SocketAddr| {
            self.setup.hosts[who].uplink == Uplink::Direct
                || free.is_ipv4() == self.at[who].is_ipv4()
        };
        let place = self.free.iter().position(fits);
        match place {
            Some(place) if self.draws.hits(1, 3) => self.free.remove(place),
            _ => self.new_address_for(who),
        }
    }

    /// Behind a router a host keeps its family.
    fn new_address_for(&mut self, who: usize) -> SocketAddr {
        match self.setup.hosts[who].uplink {
            Uplink::Direct => self.addresses.fresh(),
            Uplink::Forwarded { .. } | Uplink::Nat(_) => {
                self.addresses.of_family(self.at[who].is_ipv6())
            }
        }
    }

    fn is_fixed(&self, who: usize) -> bool {
        matches!(self.setup.hosts[who].uplink, Uplink::Forwarded { fixed: Some(_) })
    }

    fn end(&self) -> Moment {
        self.schedule.last().map_or(Moment::default(), |line| line.at)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.draws.below(most.as_millis() as u64 + 1))
    }
}

fn line(at: Moment, host: usize, what: What) -> Line {
    Line { at, fault: Some(Fault { host: HostId(host), what }) }
}
