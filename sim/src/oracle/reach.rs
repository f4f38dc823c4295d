//! What the network allows: who can come to talk with whom, whatever the protocol does.
//!
//! Two operators can talk if either can learn where the other is now. Where somebody is, one
//! knows from before (everybody knew at the last time that all was well, and nobody has moved
//! since), from the configuration (which survives a lost disk), or from third parties: whoever is
//! connected, however indirectly, with an operator whose record names its address has that record.
//! An operator behind a forwarding router cannot name its address before a quorum sees it there; one
//! behind a router that forwards nothing cannot be dialled at all, whatever it names.
//!
//! Only operators that the manifests of both name can talk, and only those that have loaded the same
//! operators carry one another's records.
//!
//! The model is careful: it grants only what a correct protocol cannot miss.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use stayfound_core::node::Config;
use stayfound_core::record::Scope;

use crate::event::HostId;
use crate::host::Uplink;
use crate::scenario::{Fault, Roster, What};
use crate::world::HostSetup;

/// A path must carry packets of so many bytes for QUIC (RFC 9000 §14), by IPv6.
const QUIC_MTU: u16 = 1_248;

/// What everybody could know.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    operators: Vec<Operator>,
    /// Who has moved since all was well the last time: the manifest's word on them may have been
    /// overtaken by a record that is out of date in its turn.
    movers: BTreeSet<usize>,
    /// Whether strangers carry the records of whoever names its address, so that nobody need know
    /// anybody's address before.
    discovery: bool,
    /// From whom to whom nothing passes.
    cuts: BTreeSet<(usize, usize)>,
}

#[derive(Clone, Debug)]
struct Operator {
    uplink: Uplink,
    /// Whether the router before it forwards its port.
    forwards: bool,
    /// Where it is by its first interface, if that is connected, and where it was last. What it is
    /// worth to be connected by others is not counted on.
    at: Option<SocketAddr>,
    last: SocketAddr,
    /// The public addresses of its other interfaces. Its record may name one of these while its
    /// datagrams leave from the first: strangers then have no answer from where it says it is.
    homes: BTreeSet<IpAddr>,
    running: bool,
    /// Whether its process goes on, and packets of QUIC pass its firewall and its line.
    halted: bool,
    blocked: bool,
    narrow: bool,
    /// On which side of a partition it is.
    side: u8,
    /// The address in the manifest.
    listed: Option<SocketAddr>,
    hints: Vec<(usize, SocketAddr)>,
    /// Of whom it is known to know where they are now.
    knows: BTreeSet<usize>,
    /// Whether it has held anything but the manifest since its disk was empty.
    fresh: bool,
    /// Whom the manifest in force there names; all, if that was not said.
    named: Option<BTreeSet<usize>>,
    /// Whether it is Byzantine: it is owed nothing, and counted on for nothing.
    traitor: bool,
}

/// Who is owed a link, and who can name its own address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Pairs of operators that can talk, the lower index first.
    pub pairs: BTreeSet<(usize, usize)>,
    /// Operators that can name their address.
    pub truthful: BTreeSet<usize>,
}

impl Reach {
    /// One more operator, which does not run yet: how it is connected and where, where the
    /// manifest says it is, and the hints that it is given.
    pub fn add(
        &mut self,
        uplink: Uplink,
        at: SocketAddr,
        listed: Option<SocketAddr>,
        hints: Vec<(usize, SocketAddr)>,
    ) {
        let (running, knows, fresh) = (false, BTreeSet::new(), true);
        let (at, last) = (Some(at), at);
        let forwards = matches!(uplink, Uplink::Forwarded { .. });
        self.operators.push(Operator {
            uplink,
            forwards,
            at,
            last,
            homes: BTreeSet::new(),
            running,
            halted: false,
            blocked: false,
            narrow: false,
            side: 0,
            listed,
            hints,
            knows,
            fresh,
            named: None,
            traitor: false,
        });
    }

    /// The manifest that an operator begins with names these.
    pub fn begins_with(&mut self, who: HostId, named: &[HostId]) {
        self.operators[who.0].named = Some(named.iter().map(|host| host.0).collect());
    }

    /// One more operator, as it is set up.
    pub fn add_configured(&mut self, setup: &HostSetup) {
        let Config { key, manifest, hints, .. } = &setup.config;
        let own = manifest.by_key(key.public_key().as_bytes()).expect("an operator is listed");
        let listed = own.record.endpoints().quic_addresses().next();
        let hints = hints.iter().map(|(who, at)| (usize::from(who.0), *at)).collect();
        self.add(setup.uplink, setup.address, listed, hints);
        let homes = setup.others.iter().copied().filter(|ip| Scope::of(*ip) == Scope::Global);
        self.operators.last_mut().expect("it was added").homes.extend(homes);
    }

    /// Strangers carry everybody's records from now on, as long as everybody is on one side.
    pub fn add_discovery(&mut self) {
        self.discovery = true;
    }

    /// Something happened to an operator.
    pub fn apply(&mut self, fault: &Fault) {
        let Fault { host: HostId(who), what } = *fault;
        let operator = &mut self.operators[who];
        match what {
            What::Start => operator.running = true,
            What::Crash => (operator.running, operator.halted) = (false, false),
            What::Tear | What::Unsync(_) => {
                (operator.running, operator.halted) = (false, false);
                operator.forgets();
            }
            What::Rollback | What::Rot => operator.forgets(),
            What::Pause | What::Suspend => operator.halted = true,
            What::Resume => operator.halted = false,
            What::Block => operator.blocked = true,
            What::Unblock => operator.blocked = false,
            What::Mtu(bytes) => operator.narrow = bytes < QUIC_MTU,
            What::Cut(HostId(to)) => drop(self.cuts.insert((who, to))),
            What::Mend(HostId(to)) => drop(self.cuts.remove(&(who, to))),
            What::Nat(router) => {
                (operator.uplink, operator.forwards) = (Uplink::Nat(router), false);
                self.lost_sight_of(who);
            }
            What::Direct => {
                (operator.uplink, operator.forwards) = (Uplink::Direct, false);
                self.lost_sight_of(who);
            }
            What::Forward => {
                operator.forwards = true;
                if let Uplink::Nat(_) = operator.uplink {
                    self.lost_sight_of(who);
                }
            }
            What::Unforward => operator.forwards = false,
            What::Access(_) | What::Reboot | What::Clock(_) | What::Drift(_) | What::Snapshot => {}
            What::Offline => operator.at = None,
            // It stays where it was as well.
            What::Up(ip) if Scope::of(ip) == Scope::Global => drop(operator.homes.insert(ip)),
            What::Up(_) => {}
            What::Side(side) => operator.side = side,
            What::Load(roster) => self.load(who, &roster),
            What::Lie(_) | What::Missee(_) => operator.traitor = true,
            What::Wipe => {
                operator.knows.clear();
                operator.fresh = true;
            }
            What::Move(to) => {
                operator.at = Some(to);
                if std::mem::replace(&mut operator.last, to) != to {
                    self.lost_sight_of(who);
                }
            }
            // Its record may have named that address, and so nothing else of that family.
            What::Down(ip) if Scope::of(ip) == Scope::Global => {
                operator.homes.remove(&ip);
                self.lost_sight_of(who);
            }
            What::Down(_) => {}
        }
    }

    /// Whether the addresses of an operator's first interface are its own.
    #[must_use]
    pub fn is_direct(&self, who: usize) -> bool {
        self.operators[who].uplink == Uplink::Direct
    }

    /// Whether whoever dials an operator where it is gets to it.
    #[must_use]
    pub fn is_dialable(&self, who: usize) -> bool {
        self.operators[who].is_dialable()
    }

    /// Of those that a manifest names and the one before did not, it says where they are.
    fn load(&mut self, who: usize, roster: &Roster) {
        let named: BTreeSet<usize> = roster.hosts().map(|host| host.0).collect();
        let is_new = |other: &usize| !self.names(who, *other);
        let stayed = |other: &usize| {
            let it = &self.operators[*other];
            it.listed.is_some() && it.listed == it.at && !self.movers.contains(other)
        };
        let found: Vec<usize> = named.iter().copied().filter(is_new).filter(stayed).collect();
        self.operators[who].knows.extend(found);
        self.operators[who].named = Some(named);
    }

    /// Whether the manifest in force at `who` names `other`.
    fn names(&self, who: usize, other: usize) -> bool {
        self.operators[who].named.as_ref().is_none_or(|named| named.contains(&other))
    }

    /// Whether both manifests name both.
    fn may_link(&self, a: usize, b: usize) -> bool {
        [a, b].into_iter().all(|by| self.names(by, a) && self.names(by, b))
    }

    /// Whether they have the same operators, and so carry the same records.
    fn agree(&self, a: usize, b: usize) -> bool {
        self.operators[a].named == self.operators[b].named
    }

    /// f + 1 by the manifest in force there.
    fn quorum(&self, who: usize) -> usize {
        let named = self.operators[who].named.as_ref();
        (named.map_or(self.operators.len(), BTreeSet::len) - 1) / 3 + 1
    }

    /// Nobody can be expected to know any more where an operator is.
    fn lost_sight_of(&mut self, operator: usize) {
        for other in &mut self.operators {
            other.knows.remove(&operator);
        }
        self.movers.insert(operator);
    }

    /// All that is owed has been seen to be so.
    pub fn settled(&mut self) {
        for (a, b) in self.owed().pairs {
            self.operators[a].knows.insert(b);
            self.operators[b].knows.insert(a);
            self.operators[a].fresh = false;
            self.operators[b].fresh = false;
        }
        self.movers.clear();
    }

    /// Whether every two operators between which nothing stands are owed a link.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.owed().pairs.len() == self.able().count()
    }

    /// Pairs of operators between which nothing stands but that they may not know where the other is.
    fn able(&self) -> impl Iterator<Item = (usize, usize)> {
        let n = self.operators.len();
        let pairs = (0..n).flat_map(move |a| (a + 1..n).map(move |b| (a, b)));
        pairs.filter(|&(a, b)| {
            let [near, far] = [a, b].map(|who| &self.operators[who]);
            let cut = self.cuts.contains(&(a, b)) || self.cuts.contains(&(b, a));
            let dialable = near.is_dialable() || far.is_dialable();
            near.is_up()
                && far.is_up()
                && near.side == far.side
                && !cut
                && dialable
                && self.may_link(a, b)
        })
    }

    /// Who is owed what, if nothing happens any more.
    #[must_use]
    pub fn owed(&self) -> Owed {
        let n = self.operators.len();
        let up = |who: usize| self.operators[who].is_up();
        let able: Vec<(usize, usize)> = self.able().collect();
        let knows = |&(a, b): &(usize, usize)| self.knows(a, b) || self.knows(b, a);
        let mut linked: BTreeSet<(usize, usize)> = able.iter().copied().filter(knows).collect();
        loop {
            let truthful: BTreeSet<usize> =
                (0..n).filter(|&who| up(who) && self.names_its_address(who, &linked)).collect();
            let agreed = linked.iter().copied().filter(|&(a, b)| self.agree(a, b)).collect();
            let group = groups(n, &agreed);
            let told = |&(a, b): &(usize, usize)| {
                let carried = |who: usize| {
                    let by_strangers = self.discovery && self.operators[who].homes.is_empty();
                    truthful.contains(&who) && (group[a] == group[b] || by_strangers)
                };
                self.agree(a, b) && (carried(a) || carried(b))
            };
            let before = linked.len();
            linked.extend(able.iter().copied().filter(told));
            if linked.len() == before {
                return Owed { pairs: linked, truthful };
            }
        }
    }

    /// Whether `a` knows by itself where `b` is now, and can dial it there.
    fn knows(&self, a: usize, b: usize) -> bool {
        let there = self.operators[b].at;
        let a = &self.operators[a];
        let hinted = a.hints.iter().any(|(who, at)| *who == b && Some(*at) == there);
        let listed = a.fresh && self.operators[b].listed == there && !self.movers.contains(&b);
        self.operators[b].is_dialable() && (hinted || listed || a.knows.contains(&b))
    }

    fn names_its_address(&self, who: usize, linked: &BTreeSet<(usize, usize)>) -> bool {
        let operator = &self.operators[who];
        match operator.uplink {
            Uplink::Direct => true,
            _ if !operator.forwards => false,
            Uplink::Forwarded { fixed: Some(fixed) } => operator.at == Some(fixed),
            Uplink::Forwarded { fixed: None } | Uplink::Nat(_) => {
                linked.iter().filter(|(a, b)| *a == who || *b == who).count() >= self.quorum(who)
            }
        }
    }
}

impl Operator {
    fn is_up(&self) -> bool {
        let works = self.running && !self.halted && !self.traitor;
        works && !self.blocked && !self.narrow && self.at.is_some()
    }

    fn is_dialable(&self) -> bool {
        self.uplink == Uplink::Direct || self.forwards
    }

    /// What is left on its disk may be out of date, and outrank the manifest.
    fn forgets(&mut self) {
        self.knows.clear();
        self.fresh = false;
    }
}

/// The connected part of the mesh that each operator is in, by its lowest member.
fn groups(n: usize, linked: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    let mut group: Vec<usize> = (0..n).collect();
    for _ in 0..n {
        for &(a, b) in linked {
            let lowest = group[a].min(group[b]);
            (group[a], group[b]) = (lowest, lowest);
        }
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECT: Uplink = Uplink::Direct;
    const FORWARDED: Uplink = Uplink::Forwarded { fixed: None };

    fn at(who: usize) -> SocketAddr {
        SocketAddr::from(([198, 18, 0, who as u8], 3610))
    }

    fn apply(reach: &mut Reach, who: usize, what: What) {
        reach.apply(&Fault { host: HostId(who), what });
    }

    /// All run, all is well.
    fn whole(uplinks: &[Uplink]) -> Reach {
        let mut reach = Reach::default();
        for (who, uplink) in uplinks.iter().enumerate() {
            reach.add(*uplink, at(who), Some(at(who)), Vec::new());
            apply(&mut reach, who, What::Start);
        }
        assert!(reach.is_whole());
        reach.settled();
        reach
    }

    fn moves(reach: &mut Reach, who: usize) {
        apply(reach, who, What::Move(at(who + 100)));
    }

    #[test]
    fn one_that_stays_is_enough_for_all_others_to_move() {
        let mut reach = whole(&[DIRECT; 4]);
        for who in 0..3 {
            moves(&mut reach, who);
        }
        assert!(reach.is_whole());
        moves(&mut reach, 3);
        assert!(reach.owed().pairs.is_empty());
    }

    #[test]
    fn whoever_comes_back_to_its_address_has_not_moved() {
        let mut reach = whole(&[DIRECT; 4]);
        for who in 0..4 {
            apply(&mut reach, who, What::Offline);
        }
        assert!(reach.owed().pairs.is_empty() && reach.is_whole());
        for who in 0..4 {
            apply(&mut reach, who, What::Move(at(who)));
        }
        assert!(reach.is_whole());
    }

    #[test]
    fn behind_a_router_a_quorum_must_stay() {
        let mut reach = whole(&[FORWARDED; 4]);
        moves(&mut reach, 0);
        moves(&mut reach, 1);
        assert!(reach.is_whole(), "two that stay tell both movers where they are");
        moves(&mut reach, 2);
        let owed = reach.owed();
        assert_eq!(owed.pairs, BTreeSet::from([(0, 3), (1, 3), (2, 3)]));
        assert_eq!(owed.truthful, BTreeSet::from([3]));
    }

    #[test]
    fn a_lost_disk_leaves_the_configuration() {
        let mut reach = whole(&[DIRECT; 4]);
        moves(&mut reach, 0);
        reach.settled();
        apply(&mut reach, 1, What::Wipe); // knows 2 and 3 from the manifest, and 0 knows it
        assert!(reach.knows(1, 2) && !reach.knows(1, 0) && reach.knows(0, 1));
        moves(&mut reach, 1);
        assert!(reach.is_whole(), "2 and 3 tell it where 0 is");
        for who in [2, 3] {
            moves(&mut reach, who);
        }
        assert!(!reach.is_whole(), "0 alone stayed, and 1 does not know where");
    }

    #[test]
    fn who_does_not_run_is_owed_nothing() {
        let mut reach = whole(&[DIRECT; 4]);
        apply(&mut reach, 2, What::Crash);
        assert_eq!(reach.owed().pairs, BTreeSet::from([(0, 1), (0, 3), (1, 3)]));
        assert!(reach.is_whole());
        for who in [0, 1, 3] {
            moves(&mut reach, who);
        }
        assert!(reach.owed().pairs.is_empty() && !reach.is_whole());
    }

    #[test]
    fn whoever_loses_another_interface_may_have_been_known_by_that_alone() {
        let mut reach = whole(&[DIRECT; 4]);
        apply(&mut reach, 0, What::Up([198, 18, 0, 200].into()));
        assert!(reach.knows(1, 0));
        apply(&mut reach, 0, What::Down([192, 168, 0, 1].into()));
        assert!(reach.knows(1, 0), "of a private one nobody knew");
        apply(&mut reach, 0, What::Down([198, 18, 0, 200].into()));
        assert!(!reach.knows(1, 0) && reach.knows(0, 1) && reach.is_whole());
    }

    #[test]
    fn strangers_find_whoever_answers_from_where_it_says_that_it_is() {
        let mut reach = Reach::default();
        reach.add_discovery();
        for who in 0..4 {
            reach.add(DIRECT, at(who), None, Vec::new());
            apply(&mut reach, who, What::Start);
        }
        assert!(reach.is_whole());
        for who in 0..3 {
            apply(&mut reach, who, What::Up([198, 18, 0, 200 + who as u8].into()));
        }
        assert!(reach.is_whole(), "one that is found brings all together");
        apply(&mut reach, 3, What::Up([198, 18, 0, 203].into()));
        assert!(reach.owed().pairs.is_empty());
        apply(&mut reach, 0, What::Down([198, 18, 0, 200].into()));
        assert!(reach.is_whole());
    }

    #[test]
    fn only_those_that_name_one_another_are_owed_a_link() {
        let mut reach = whole(&[DIRECT; 4]);
        let of = |hosts: &[usize]| {
            What::Load(Roster::new(&hosts.iter().map(|it| HostId(*it)).collect::<Vec<_>>()))
        };
        for who in [0, 1] {
            apply(&mut reach, who, of(&[0, 1, 2]));
        }
        assert_eq!(reach.owed().pairs, BTreeSet::from([(0, 1), (0, 2), (1, 2), (2, 3)]));
        assert!(reach.is_whole());
        moves(&mut reach, 3);
        moves(&mut reach, 0);
        apply(&mut reach, 0, of(&[0, 1, 2, 3]));
        apply(&mut reach, 1, of(&[3, 2, 1, 0]));
        let owed = reach.owed().pairs;
        assert!(
            owed.contains(&(2, 3)) && !owed.contains(&(0, 3)),
            "2 carries nothing between them yet"
        );
        for who in [2, 3] {
            apply(&mut reach, who, of(&[0, 1, 2, 3]));
        }
        assert!(reach.is_whole() && reach.owed().pairs.len() == 6);
    }

    #[test]
    fn hints_along_a_line_are_enough_for_a_mesh() {
        let mut reach = Reach::default();
        for who in 0..5 {
            let next = if who < 4 { vec![(who + 1, at(who + 1))] } else { Vec::new() };
            reach.add(DIRECT, at(who), None, next);
            apply(&mut reach, who, What::Start);
        }
        assert!(reach.is_whole());
    }
}
