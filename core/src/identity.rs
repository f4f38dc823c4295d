//! Our own record: which addresses it should name, when it is to be reissued, and with which
//! sequence number.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::chance::Stream;
use crate::cluster::{OperatorIndex, Places};
use crate::database::{Entry, Provenance};
use crate::keys::SecretKey;
use crate::marks::{Mark, mark};
use crate::mesh::LinkId;
use crate::planted::{Bug, planted};
use crate::record::{Endpoints, NodeId, Scope, Signed, is_usable};
use crate::time::Wall;

/// How far a sequence number may leap that no clock can vouch for: two such leaps from one number
/// meet once in so many.
pub const SEQ_LEAP: u64 = 1 << 32;

/// Our key, and what we know of where we are.
pub(crate) struct Identity {
    key: SecretKey,
    node_id: NodeId,
    /// Fixed by the operator.
    fixed: Vec<SocketAddr>,
    /// Where our socket is bound.
    bound: Option<SocketAddr>,
    /// Addresses of our interfaces, the latest last.
    interfaces: Vec<IpAddr>,
    /// Where operators see us: the latest word of each.
    observed: BTreeMap<OperatorIndex, Observation>,
    /// How many words of that kind there were.
    words: u64,
    /// Where many strangers see us, per family: what counts while no quorum of operators says more.
    voted: Endpoints,
    /// Who has told how far our own seq has come, as far as they know.
    vouchers: BTreeSet<OperatorIndex>,
    /// Whether nobody else is waited for to tell.
    floor_known: bool,
    /// f + 1: of so many operators one at least tells the truth.
    quorum: usize,
    /// Whether we have issued a record since we started: then nobody has put our store back since.
    issued: bool,
    leaps: Stream,
    /// The highest number that a peer claimed for a record of ours: to be believed by mistake.
    #[cfg(feature = "planted")]
    claimed: u64,
}

/// What one operator said about where we are.
struct Observation {
    /// The link that it was said over, and stands and falls with.
    link: LinkId,
    seen: SocketAddr,
    /// Its place among all such words.
    word: u64,
}

/// An address family: a record names one address of each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn has(self, ip: IpAddr) -> bool {
        match self {
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

/// Why our record cannot be reissued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeqExhausted;

/// Whether the newest record of ours is one that we issued with this data directory, and the only
/// one with its seq.
pub(crate) fn of_this_store(held: Option<&Entry>) -> bool {
    held.is_some_and(|entry| {
        entry.provenance == Provenance::Own && entry.versions.rival().is_none()
    })
}

impl Identity {
    /// An identity that knows no address yet but those that the operator fixed.
    pub(crate) fn new(
        key: SecretKey,
        fixed: Vec<SocketAddr>,
        quorum: usize,
        leaps: Stream,
    ) -> Self {
        assert!(quorum >= 1);
        let node_id = NodeId::of(&key.public_key().point());
        Self {
            key,
            node_id,
            fixed,
            bound: None,
            interfaces: Vec::new(),
            observed: BTreeMap::new(),
            words: 0,
            voted: Endpoints::default(),
            vouchers: BTreeSet::new(),
            floor_known: false,
            quorum,
            issued: false,
            leaps,
            #[cfg(feature = "planted")]
            claimed: 0,
        }
    }

    /// A peer claims to hold a record of ours with this number.
    #[cfg(feature = "planted")]
    pub(crate) fn claims(&mut self, seq: u64) {
        if planted(Bug::BelievesClaimedSeq) {
            self.claimed = self.claimed.max(seq);
        }
    }

    #[cfg(feature = "planted")]
    fn claimed(&self) -> u64 {
        self.claimed
    }

    /// A claim is no proof, and so no news.
    #[cfg(not(feature = "planted"))]
    const fn claimed(&self) -> u64 {
        0
    }

    /// Our node id.
    pub(crate) fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Our socket is bound here now; answers where it was before. What was observed of another
    /// socket counts no more.
    pub(crate) fn bound(&mut self, local: SocketAddr) -> Option<SocketAddr> {
        let before = match self.bound {
            Some(before) if planted(Bug::ForgetsRebinding) => Some(before),
            _ => self.bound.replace(local),
        };
        if before != Some(local) {
            self.observed.clear();
            self.voted = Endpoints::default();
        }
        before
    }

    /// An interface has this address now. Answers whether it had none before that could matter to
    /// us: then every link is in doubt.
    pub(crate) fn address_up(&mut self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let was_offline = !self.interfaces.iter().any(|ip| self.concerns(*ip));
        if !self.interfaces.contains(&ip) {
            self.interfaces.push(ip);
        }
        was_offline && self.concerns(ip)
    }

    /// No interface has this address any more.
    pub(crate) fn address_down(&mut self, ip: IpAddr) {
        let ip = ip.to_canonical();
        self.interfaces.retain(|known| *known != ip);
        self.observed.retain(|_, observation| observation.seen.ip() != ip);
    }

    /// An operator, itself seen at `observer`, says over this link that it sees us at `seen`. An
    /// address that means something only where the observer is, and we may not be, is no news.
    pub(crate) fn observed(
        &mut self,
        by: OperatorIndex,
        link: LinkId,
        observer: SocketAddr,
        seen: SocketAddr,
    ) {
        let seen = SocketAddr::new(seen.ip().to_canonical(), seen.port());
        let scope = Scope::of(seen.ip());
        if is_usable(seen) && (scope == Scope::Global || scope == Scope::of(observer.ip())) {
            let known = self.observed.get(&by);
            if known.is_some_and(|known| known.link == link && known.seen == seen) {
                return; // saying it again makes it no newer
            }
            self.words += 1;
            self.observed.insert(by, Observation { link, seen, word: self.words });
        } else {
            self.observed.remove(&by);
        }
    }

    /// Many strangers see us at these addresses, one per family; answers whether that is news.
    pub(crate) fn voted(&mut self, seen: impl IntoIterator<Item = SocketAddr>) -> bool {
        let voted = Endpoints::at(seen);
        std::mem::replace(&mut self.voted, voted) != voted
    }

    /// What was said over this link counts no more.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.observed.retain(|_, observation| observation.link != link);
    }

    /// An operator told what it holds of us, and proved it if it is news. A first record may be
    /// issued when f + 1 have.
    pub(crate) fn vouched(&mut self, by: OperatorIndex) {
        self.vouchers.insert(by);
        if self.vouchers.len() >= self.quorum {
            self.know_floor();
        }
    }

    /// Other operators belong from now on, of whom so many may lie and one more may not: what was
    /// said by keys that lost their authority counts no more.
    pub(crate) fn load(&mut self, places: &Places, quorum: usize) {
        assert!(quorum >= 1);
        self.quorum = quorum;
        places.renumber(&mut self.observed);
        let vouchers = std::mem::take(&mut self.vouchers);
        self.vouchers = vouchers.into_iter().filter_map(|voucher| places.of(voucher)).collect();
        if self.vouchers.len() >= quorum {
            self.know_floor();
        }
    }

    /// Whose words about us count.
    pub(crate) fn informants(&self) -> impl Iterator<Item = OperatorIndex> {
        self.observed.keys().chain(&self.vouchers).copied()
    }

    /// Whether anybody has told what it holds of us.
    pub(crate) fn is_vouched(&self) -> bool {
        !self.vouchers.is_empty()
    }

    /// From now on a first record may be issued.
    pub(crate) fn know_floor(&mut self) {
        self.floor_known = true;
        self.vouchers.clear();
    }

    /// Whether a record waits for somebody to tell how far our seq has come.
    pub(crate) fn waits_for_floor(&self, held: Option<&Entry>) -> bool {
        self.bound.is_some() && !self.floor_known && !of_this_store(held)
    }

    /// Whether the newest record of ours is not the one that we issued, and nothing is waited for.
    pub(crate) fn must_outrun(&self, held: Option<&Entry>) -> bool {
        self.bound.is_some() && self.floor_known && !of_this_store(held)
    }

    /// A new record, if what is held of us (`held`) is not what we would say now: our addresses
    /// changed; or the newest record is not of this data directory (the first start, or the data
    /// was lost and a peer handed our record back); or we signed two records with one seq.
    ///
    /// The sequence number rises above every record that carries our signature, never above a
    /// number that somebody claims; a first record also starts at Unix milliseconds at least,
    /// because locks of 2022 carry such values. And it waits: if our data was lost, a clock that is
    /// behind our old records would make us sign one of their numbers again. Waiting does not help
    /// if all who can be asked have lost their data as well: neither they nor we can know what we
    /// signed before. With such a clock we leap, so that the number is new all the same. The first
    /// that is issued after a start does the same: the store may be an older one that was put back,
    /// and cannot know it, and the next number may have been signed.
    pub(crate) fn reissue(
        &mut self,
        held: Option<&Entry>,
        wall: Wall,
    ) -> Option<Result<Signed, SeqExhausted>> {
        self.bound?;
        if self.waits_for_floor(held) && !planted(Bug::SignsOldSeq) {
            return None;
        }
        let newest = held.map(|entry| entry.versions.newest());
        let of_this_store = of_this_store(held);
        let said = newest.map(Signed::endpoints).unwrap_or_default();
        let endpoints = self.endpoints(&said);
        let floor = newest.map_or(0, Signed::seq);
        if of_this_store && endpoints == said && floor >= self.claimed() {
            return None;
        }
        let floor = floor.max(self.claimed());
        let Some(next) = floor.checked_add(1) else { return Some(Err(SeqExhausted)) };
        let newest_ever = of_this_store && self.issued || planted(Bug::SignsOldSeq);
        let seq = match (newest_ever, wall.0 > floor) {
            (true, _) => next,
            (false, true) => wall.0,
            (false, false) => {
                mark(Mark::LeapsSeq);
                next.checked_add(self.leaps.below(SEQ_LEAP)).unwrap_or(next)
            }
        };
        self.issued = true;
        Some(Ok(Signed::sign(&self.key, seq, &endpoints)))
    }

    /// What our record should name, given what it names.
    fn endpoints(&self, said: &Endpoints) -> Endpoints {
        let address = |family: Family| {
            // Of the record, too, only what can be published: other software may have signed it.
            let said = said.quic_addresses().find(|said| family.has(said.ip()));
            self.address(family, said)
        };
        Endpoints::at([Family::V4, Family::V6].into_iter().filter_map(address))
    }

    /// The one address of a family to publish: fixed by the operator, else as a quorum of
    /// operators sees us, else of an interface.
    fn address(&self, family: Family, said: Option<SocketAddr>) -> Option<SocketAddr> {
        if let Some(fixed) = self.fixed.iter().find(|fixed| family.has(fixed.ip())) {
            return Some(*fixed);
        }
        if !self.listens(family) {
            return None;
        }
        let of_interface = self.interface_address(family);
        if let Some(seen) = self.seen_by_quorum(family, of_interface) {
            if Some(seen) != of_interface {
                mark(Mark::SeenByQuorum);
            }
            return Some(seen);
        }
        let voted = self.voted.quic_addresses().find(|voted| family.has(voted.ip()));
        if let Some(voted) = voted.filter(|voted| self.is_possible(*voted, of_interface)) {
            if Some(voted) != of_interface {
                mark(Mark::BelievesStrangers);
            }
            return Some(voted);
        }
        // Behind a NAT only peers can tell where we are. Until they do, what our record says (they
        // told us before, or the manifest does) is better than an address that they cannot reach.
        let reach = |address: SocketAddr| Scope::of(address.ip());
        match (of_interface, said) {
            (Some(own), Some(said)) if reach(said) > reach(own) => {
                mark(Mark::KeepsSaidAddress);
                Some(said)
            }
            (Some(own), _) => Some(own),
            (None, said) => said,
        }
    }

    /// Whether an address of this host can matter to us: our socket takes its family, and it reaches
    /// beyond this host and this link.
    pub(crate) fn concerns(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
        let bound = self.bound.map(|local| local.ip().to_canonical());
        let ours = bound.is_some_and(|bound| bound.is_unspecified() || bound == ip);
        ours && self.listens(family) && Scope::of(ip) > Scope::Link
    }

    /// Whether an address that somebody else names can mean the same place to us: a private one
    /// only if we are on a private network ourselves, one of this host only if we are on no network
    /// at all. Otherwise any operator could aim us at our own neighbours.
    pub(crate) fn reaches(&self, address: SocketAddr) -> bool {
        let own = || self.own_addresses().map(Scope::of);
        match Scope::of(address.ip()) {
            Scope::None | Scope::Link => false,
            Scope::Loopback => own().max() <= Some(Scope::Loopback),
            Scope::Private => own().any(|scope| scope == Scope::Private),
            Scope::Global => true,
        }
    }

    /// Whether our socket can be reached over this family: an IPv6 socket bound to no address in
    /// particular serves both.
    fn listens(&self, family: Family) -> bool {
        let bound = self.bound.map(|local| local.ip().to_canonical());
        bound.is_some_and(|ip| family.has(ip) || (ip.is_ipv6() && ip.is_unspecified()))
    }

    /// The interface address of widest scope, of these the latest to appear.
    fn interface_address(&self, family: Family) -> Option<SocketAddr> {
        let bound = self.bound?;
        self.own_addresses()
            .filter(|ip| family.has(*ip))
            .map(|ip| SocketAddr::new(ip, bound.port()))
            .filter(|address| is_usable(*address))
            .max_by_key(|address| Scope::of(address.ip()))
    }

    /// The addresses at which our socket answers on this host.
    fn own_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let bound = self.bound.map(|local| local.ip().to_canonical());
        let specific = bound.filter(|ip| !ip.is_unspecified());
        let any_v6 = bound.is_some_and(|ip| ip.is_ipv6());
        let of_interfaces =
            self.interfaces.iter().copied().filter(move |ip| {
                specific.is_none() && bound.is_some() && (ip.is_ipv4() || any_v6)
            });
        specific.into_iter().chain(of_interfaces)
    }

    /// Whether others can see us there: at a NAT before us, or at one of our interfaces at the port
    /// we are bound to. A host that has an address of that scope itself is behind no NAT of it:
    /// there, another address is of the past.
    fn is_possible(&self, seen: SocketAddr, of_interface: Option<SocketAddr>) -> bool {
        let widest = of_interface.map_or(Scope::None, |own| Scope::of(own.ip()));
        let port = self.bound.map(|bound| bound.port());
        match self.own_addresses().any(|own| own == seen.ip()) {
            true => Some(seen.port()) == port && Scope::of(seen.ip()) == widest,
            false => Scope::of(seen.ip()) > widest,
        }
    }

    /// The address at which f + 1 distinct operators see us, if it can be ours. Which of several
    /// interfaces peers see is theirs to tell, and until a quorum has, one word is better than none.
    fn seen_by_quorum(
        &self,
        family: Family,
        of_interface: Option<SocketAddr>,
    ) -> Option<SocketAddr> {
        // For each address, how many operators see us there, and the latest word about it.
        let mut votes: BTreeMap<SocketAddr, (usize, u64)> = BTreeMap::new();
        let observed = self.observed.values();
        for Observation { seen, word, .. } in observed.filter(|it| family.has(it.seen.ip())) {
            let (count, latest) = votes.entry(*seen).or_default();
            *count += 1;
            *latest = (*latest).max(*word);
        }
        // Of two addresses the newer: after a move, dead links speak for the old one, perhaps in
        // greater number.
        let quorum = if planted(Bug::TrustsOneObserver) { 1 } else { self.quorum };
        votes
            .into_iter()
            .filter(|(seen, (count, _))| {
                let own = self.own_addresses().any(|own| own == seen.ip());
                (own || *count >= quorum) && self.is_possible(*seen, of_interface)
            })
            .max_by_key(|(seen, (count, latest))| (Scope::of(seen.ip()), *count >= quorum, *latest))
            .map(|(seen, _)| seen)
    }
}
