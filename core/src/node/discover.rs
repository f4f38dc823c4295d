//! What a node does with discovery: whom it looks for, and what it takes from it.

use std::net::SocketAddr;
use std::time::Duration;

use super::quota::Waiting;
use super::{Event, Input, Node, Output, others};
use crate::chance::Chance;
use crate::cluster::{Manifest, OperatorIndex};
use crate::count::Counter;
use crate::database::Row;
use crate::discovery::{Act, Answer, Discovery, Settings};
use crate::keys::SecretKey;
use crate::planted::{Bug, planted};
use crate::record::{Claimed, Signed};
use crate::time::Mono;

/// How often the nodes that answer are written down, if they are others than before.
pub const SEEDS_EVERY: Duration = Duration::from_secs(60);
/// How soon after the start for the first time: a node that runs for less than a minute is to know
/// somebody the next time as well.
pub const SEEDS_FIRST: Duration = Duration::from_secs(10);

/// The discovery of a node, and what was written down of it last.
pub(super) struct Searching {
    pub(super) discovery: Discovery,
    seeds: Row,
    seeds_at: Mono,
}

impl Searching {
    pub(super) fn new(
        key: SecretKey,
        settings: Settings,
        chance: &Chance,
        manifest: &Manifest,
        now: Mono,
    ) -> Self {
        let mut discovery = Discovery::new(key, chance, settings);
        discovery.watch(manifest.operators().iter().map(|operator| operator.node_id));
        let seeds = discovery.seeds_row();
        Self { discovery, seeds, seeds_at: now + SEEDS_FIRST }
    }

    /// Takes what was written down before. Answers whether all of it could be read; what could not
    /// costs time only.
    pub(super) fn load(&mut self, stored: &Row) -> bool {
        self.seeds = stored.clone();
        self.discovery.load_seeds(stored)
    }

    pub(super) fn deadline(&self) -> Mono {
        self.discovery.deadline().map_or(self.seeds_at, |at| at.min(self.seeds_at))
    }

    /// The row to write down, if it is time and there is news. A node that knows nobody for now
    /// keeps what it knew.
    fn seeds(&mut self, now: Mono) -> Option<Row> {
        if self.seeds_at > now {
            return None;
        }
        self.seeds_at = now + SEEDS_EVERY;
        let seeds = self.discovery.seeds_row();
        let news = self.discovery.table().verified().next().is_some() && seeds != self.seeds;
        news.then(|| {
            self.seeds = seeds.clone();
            seeds
        })
    }
}

impl Node {
    /// Routes what concerns discovery alone.
    pub(super) fn search(&mut self, input: Input<'_>) {
        let now = self.now;
        match (input, &mut self.searching) {
            (Input::Datagram { from, bytes }, Some(it)) => it.discovery.datagram(now, from, bytes),
            (Input::Ask { id, ask }, Some(it)) => it.discovery.ask_for(now, id, ask),
            (Input::TalkBack { talk, response }, Some(it)) => {
                it.discovery.talk_back(talk, response)
            }
            (Input::Entropy { fresh }, Some(it)) => it.discovery.mix(fresh),
            (Input::Ask { id, .. }, None) => {
                self.emit(Event::Answered { id, answer: Answer::Silence })
            }
            (Input::Datagram { .. }, None) => self.count(Counter::PacketsIgnored),
            _ => {}
        }
    }

    /// Our socket is bound for the first time.
    pub(super) fn begin_search(&mut self) {
        let now = self.now;
        // What we know of the others is where a search begins.
        let own = self.identity.node_id();
        let records: Vec<Signed> = self.operators_newest().cloned().collect();
        let Some(it) = &mut self.searching else { return };
        records.iter().filter(|r| r.node_id() != own).for_each(|r| it.discovery.learn(now, r));
        // Until we may sign a new record, an old one of ours proves who we are as well.
        let own = self.published.as_ref().or(self.database.newest(&own));
        if let Some(own) = own {
            it.discovery.set_record(now, own.clone());
        }
        for operator in others(&self.manifest, self.own_index) {
            self.resolver.start(now, operator.index);
        }
    }

    /// We are somewhere else: our neighbours must hear from where, and whoever we have lost may
    /// have moved as well.
    pub(super) fn search_anew(&mut self) {
        let now = self.now;
        let Some(it) = &mut self.searching else { return };
        if it.discovery.own_record().is_none() {
            return; // not yet bound: nothing has begun
        }
        it.discovery.moved(now);
        for operator in others(&self.manifest, self.own_index) {
            if !self.mesh.is_linked(operator.index) {
                self.resolver.start(now, operator.index);
            }
        }
    }

    /// Another manifest is in force: these are new to it. Without authority of our own we look for
    /// nobody.
    pub(super) fn search_for(&mut self, added: &[OperatorIndex]) {
        let now = self.now;
        let Some(it) = &mut self.searching else { return };
        let operators = self.own_index.map(|_| self.manifest.operators()).unwrap_or_default();
        it.discovery.watch(operators.iter().map(|operator| operator.node_id));
        if it.discovery.own_record().is_none() {
            return; // not yet bound: nothing has begun
        }
        for operator in added.iter().filter_map(|added| self.manifest.get(*added)) {
            let newest = self.database.newest(&operator.node_id).expect("the manifest's at least");
            it.discovery.learn(now, newest);
            self.resolver.start(now, operator.index);
        }
    }

    /// Our record is this one now, for everybody.
    pub(super) fn search_as(&mut self, record: &Signed) {
        let now = self.now;
        if let Some(it) = &mut self.searching {
            it.discovery.set_record(now, record.clone());
        }
    }

    /// What an operator's record says is where it is looked for first.
    pub(super) fn search_learns(&mut self, record: &Signed) {
        let now = self.now;
        if let Some(it) = &mut self.searching {
            it.discovery.learn(now, record);
        }
    }

    /// Does what is due, and what discovery wants done; answers whether there was anything.
    pub(super) fn drive_search(&mut self) -> bool {
        let now = self.now;
        let Some(it) = &mut self.searching else { return false };
        let mut busy = false;
        if it.discovery.deadline().is_some_and(|at| at <= now) {
            it.discovery.wake(now);
            busy = true;
        }
        if let Some(row) = it.seeds(now) {
            self.write(row);
        }
        while let Some(operator) = self.resolver.due(now, &mut self.jitter) {
            self.resolve(operator);
            busy = true;
        }
        while let Some(act) = self.searching.as_mut().and_then(|it| it.discovery.poll()) {
            self.act_on(act);
            busy = true;
        }
        busy
    }

    /// Looks for an operator's newest record (and for ours: somebody may hold a newer one than we
    /// do, if we lost our data).
    fn resolve(&mut self, operator: OperatorIndex) {
        let node = self.manifest.get(operator).expect("an operator of ours").node_id;
        let Some(entry) = self.database.get(&node) else { return };
        let known: Vec<&Signed> = entry.versions.iter().collect();
        let now = self.now;
        let it = self.searching.as_mut().expect("only discovery resolves");
        if !it.discovery.resolve(now, &known, entry.reached) {
            self.resolver.crowded(now, operator);
        }
    }

    fn act_on(&mut self, act: Act) {
        match act {
            Act::Send { to, bytes } => self.outputs.push_back(Output::Datagram { to, bytes }),
            Act::Record(record) => self.discovered(record),
            Act::Answered { id, answer } => self.emit(Event::Answered { id, answer }),
            Act::Talk(talk) => self.emit(Event::Talk(talk)),
            Act::Observed => self.voted(),
            Act::Count(counter) => self.count(counter),
            Act::Sought(sought) => self.outputs.push_back(Output::Sought(sought)),
        }
    }

    /// Discovery found a record of an operator. Its signature is verified, its key an operator's:
    /// from here on it is as good as one that a peer sent.
    fn discovered(&mut self, record: Signed) {
        let Some(news) = self.manifest.authorise(record) else { return };
        let claimed = Claimed::parse(news.record().as_bytes()).expect("a signed record is one");
        let wants = self.database.wants(&news.record().node_id(), &claimed);
        if !wants || planted(Bug::IgnoresFound) {
            return;
        }
        let change = Waiting { from: None, news };
        if let Some(change) = self.quotas.take(self.now, change) {
            self.accept(&change);
            self.count(Counter::RecordsAccepted);
        } else {
            self.count(Counter::RecordsDelayed);
        }
    }

    /// Strangers see us somewhere: that counts for as long as no quorum of operators says more.
    fn voted(&mut self) {
        let now = self.now;
        let Some(it) = &mut self.searching else { return };
        let seen: Vec<SocketAddr> =
            [false, true].into_iter().filter_map(|v6| it.discovery.observed(now, v6)).collect();
        if self.identity.voted(seen) {
            self.reconsider();
        }
    }
}
