//! A small vocabulary for worlds in which what happens is written down, not drawn.
//!
//! ```
//! use stayfound_sim::moment::Units;
//! use stayfound_sim::scenario::Options;
//! use stayfound_sim::script::Script;
//!
//! let mut world = Script::started(&Options::plain(4));
//! world.at(60.s()).node("B").moves_to("198.18.9.2:3610");
//! world.heals_within(5.s());
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use stayfound_core::chance::Chance;
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::node::{Counter, LinkId, Node};

use crate::adversary::{Adversary, Lie};
use crate::event::HostId;
use crate::moment::{Moment, Units};
use crate::observe::Observed;
use crate::oracle::Finding;
use crate::scenario::{Fault, Options, Roster, What, build, draw};
use crate::trace::Trace;
use crate::world::{Setup, World};

/// A world whose hosts are called `A`, `B`, … in order: the operators, then spares, strangers, boot nodes
/// and walkers (beyond `Z` by number). Whatever must not be panics, with what was done until then.
pub struct Script {
    world: World,
    done: Vec<String>,
    asks: u64,
}

/// One host, to which something is to happen now.
pub struct Actor<'a> {
    script: &'a mut Script,
    host: HostId,
}

impl Script {
    /// A world in which nothing runs yet.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let chance = draw::chance(0);
        Self::of(&build::setup(options, &chance), &chance)
    }

    /// A world of one's own making, in which nothing runs yet.
    #[must_use]
    pub fn of(setup: &Setup, chance: &Chance) -> Self {
        Self { world: World::new(setup, chance, Trace::default()), done: Vec::new(), asks: 0 }
    }

    /// A world in which all nodes but the spare ones were started at the same moment, and everything is well.
    #[must_use]
    pub fn started(options: &Options) -> Self {
        let mut script = Self::new(options);
        let others = options.operators + options.spares..options.hosts();
        for host in (0..options.operators).chain(others) {
            script.number(host).starts();
        }
        script.heals_within(30.s());
        script
    }

    /// Measures what happens from now on; nothing may have happened before.
    pub fn watch(&mut self) {
        self.world.watch(false);
    }

    /// What was measured until now, after which nothing is measured any more.
    ///
    /// # Panics
    /// If nobody watched.
    pub fn observed(&mut self) -> Observed {
        self.world.observed().expect("it is watched")
    }

    /// The host with this number.
    pub fn number(&mut self, host: usize) -> Actor<'_> {
        self.actor(HostId(host))
    }

    /// The node that runs on the host with this number.
    #[must_use]
    pub fn node_of(&self, host: usize) -> &Node {
        self.world.node(HostId(host)).expect("it runs")
    }

    /// Has a node ask something, and lets time pass until it has its answer.
    pub fn ask(&mut self, host: usize, ask: &Ask) -> Answer {
        self.ask_while(host, ask, |_| {})
    }

    /// Has a node ask something, and something happen every 10 ms until it has its answer.
    pub fn ask_while(
        &mut self,
        host: usize,
        ask: &Ask,
        mut happens: impl FnMut(&mut Self),
    ) -> Answer {
        self.asks += 1;
        let (host, id) = (HostId(host), self.asks);
        let asked = self.world.ask(host, id, ask);
        self.hold(asked);
        loop {
            if let Some(answer) = self.world.answer(host, id) {
                return answer;
            }
            happens(self);
            self.after(10.ms());
        }
    }

    /// An adversary is on this host, where no node runs.
    pub fn corrupts(&mut self, host: usize, adversary: Adversary) -> &mut Self {
        self.world.corrupt(HostId(host), adversary);
        self
    }

    /// The adversary on this host does something.
    pub fn conspires<T>(&mut self, host: usize, deed: impl FnOnce(&mut Adversary) -> T) -> T {
        self.world.conspire(HostId(host), deed)
    }

    /// Lets time pass until this moment of the world.
    pub fn at(&mut self, time: Duration) -> &mut Self {
        let advanced = self.world.advance(Moment::default() + time);
        self.hold(advanced);
        self
    }

    /// Lets time pass.
    pub fn after(&mut self, span: Duration) -> &mut Self {
        self.at(self.world.now() - Moment::default() + span)
    }

    /// The host of this name.
    pub fn node(&mut self, name: &str) -> Actor<'_> {
        self.actor(host(name))
    }

    fn actor(&mut self, host: HostId) -> Actor<'_> {
        Actor { script: self, host }
    }

    /// Lets time pass until everything that is owed is so; answers how long it took.
    pub fn heals_within(&mut self, span: Duration) -> Duration {
        let healed = self.world.advance_to_health(span);
        self.hold(healed)
    }

    /// Panics unless everything that is owed is so.
    pub fn is_well(&mut self) {
        let verdict = self.world.expect_health();
        self.hold(verdict);
    }

    /// The sequence number of a node's own record.
    #[must_use]
    pub fn seq_of(&self, name: &str) -> u64 {
        self.running(name).own_record().expect("it has a record of its own").seq()
    }

    /// The node that runs on a host.
    #[must_use]
    pub fn running(&self, name: &str) -> &Node {
        self.world.node(host(name)).expect("it runs")
    }

    /// How often something happened at a node.
    #[must_use]
    pub fn count(&self, name: &str, counter: Counter) -> u64 {
        self.world.count(host(name), counter)
    }

    /// How often something happened at the node of this number.
    #[must_use]
    pub fn count_of(&self, host: usize, counter: Counter) -> u64 {
        self.world.count(HostId(host), counter)
    }

    /// How many seconds of the world have passed.
    #[must_use]
    pub fn now_in_seconds(&self) -> u64 {
        (self.world.now() - Moment::default()).as_secs()
    }

    /// The numbers, at the ends of `a` and `b`, of every link between them.
    #[must_use]
    pub fn links(&self, a: &str, b: &str) -> Vec<(LinkId, LinkId)> {
        let (a, b) = (host(a), host(b));
        let ends = self.world.open_links().map(|link| link.ends);
        ends.filter_map(|[(x, of_x), (y, of_y)]| match (x, y) {
            _ if (x, y) == (a, b) => Some((of_x, of_y)),
            _ if (x, y) == (b, a) => Some((of_y, of_x)),
            _ => None,
        })
        .collect()
    }

    fn hold<T>(&self, result: Result<T, Finding>) -> T {
        result.unwrap_or_else(|finding| panic!("{finding}, after:\n  {}", self.done.join("\n  ")))
    }
}

impl<'a> Actor<'a> {
    /// It is at this address from now on.
    pub fn moves_to(self, address: &str) -> &'a mut Script {
        let address: SocketAddr = address.parse().expect("an address and a port");
        self.suffers(What::Move(address))
    }

    /// An interface beside its first has this address from now on.
    pub fn gains(self, ip: &str) -> &'a mut Script {
        self.suffers(What::Up(ip.parse().expect("an address")))
    }

    /// That interface is gone.
    pub fn loses(self, ip: &str) -> &'a mut Script {
        self.suffers(What::Down(ip.parse().expect("an address")))
    }

    /// Its first interface is cut off.
    pub fn goes_offline(self) -> &'a mut Script {
        self.suffers(What::Offline)
    }

    /// Its node dies.
    pub fn crashes(self) -> &'a mut Script {
        self.suffers(What::Crash)
    }

    /// Its disk is emptied.
    pub fn loses_its_disk(self) -> &'a mut Script {
        self.suffers(What::Wipe)
    }

    /// It is on this side of a partition from now on.
    pub fn is_on_side(self, side: u8) -> &'a mut Script {
        self.suffers(What::Side(side))
    }

    /// Its node has the manifest in which these hosts, each a letter, have the places in this order.
    pub fn loads(self, named: &str) -> &'a mut Script {
        let named: Vec<HostId> = named.split("").filter(|it| !it.is_empty()).map(host).collect();
        self.suffers(What::Load(Roster::new(&named)))
    }

    /// Its operator is Byzantine from now on, and does this.
    pub fn lies(self, lie: Lie) -> &'a mut Script {
        self.suffers(What::Lie(lie))
    }

    /// Its operator is Byzantine from now on, and says that it sees everybody at this address.
    pub fn missees(self, address: &str) -> &'a mut Script {
        self.suffers(What::Missee(address.parse().expect("an address and a port")))
    }

    /// Its node starts.
    pub fn starts(self) -> &'a mut Script {
        self.suffers(What::Start)
    }

    fn suffers(self, what: What) -> &'a mut Script {
        let Self { script, host } = self;
        let fault = Fault { host, what };
        script.done.push(format!("{} {fault}", script.world.now()));
        let applied = script.world.apply(&fault);
        assert!(script.hold(applied), "impossible now: {fault}");
        script
    }
}

fn host(name: &str) -> HostId {
    match name.as_bytes() {
        [letter @ b'A'..=b'Z'] => HostId(usize::from(letter - b'A')),
        _ => panic!("hosts are called A to Z, not {name}"),
    }
}
