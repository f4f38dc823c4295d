//! How a node stands: one struct behind the command line, the JSON and the metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Serialize, Serializer};
use stayfound_core::cluster::OperatorIndex;
use stayfound_core::cluster::authorisation::Authority;
use stayfound_core::discovery::Discovery;
use stayfound_core::node::{Counter, Node};
use stayfound_core::record::{NodeId, Signed};
use stayfound_core::time::Wall;

mod name;
mod table;

pub use name::name;
pub use table::{Row, Table};

/// How a node stands at one moment. As JSON, records carry their text, seq and addresses, and
/// times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Our own place in the cluster, counted from 0; `None` if the manifest in force does not name
    /// our key: then we have no authority, and no links.
    pub own: Option<OperatorIndex>,
    /// Whether the lock or manifest that says who belongs has been verified (`--no-verify`).
    pub verified: bool,
    /// Our own record as it is published; `None` until the first is durable.
    pub record: Option<Signed>,
    /// Every operator of the cluster, in the order of indices, ourselves included.
    pub operators: Vec<OperatorStatus>,
    /// How discovery stands, if there is any.
    pub discovery: Option<DiscoveryStatus>,
    /// What has been counted since the node started.
    pub counters: Counters,
}

/// Metrics that go up and down.
#[derive(Serialize)]
struct Gauges {
    /// 1 as long as nobody looked at what the lock or manifest says (`--no-verify`).
    manifest_unverified: u8,
    operators_authorised_by_shares: usize,
}

/// How discovery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiscoveryStatus {
    /// How many nodes are in its table.
    pub nodes: usize,
    /// How many of them have answered us.
    pub verified: usize,
    /// How many sessions are open.
    pub sessions: usize,
}

/// How one operator stands, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorStatus {
    /// Its place in the cluster, counted from 0.
    pub index: OperatorIndex,
    /// Its node id.
    pub node_id: NodeId,
    /// On whose word its key speaks for it.
    pub authority: Authority,
    /// Its newest record that is known; the cluster lock's if there is no newer one.
    pub record: Signed,
    /// Where it is seen, one address for each link with it. Always empty for ourselves.
    pub links: Vec<SocketAddr>,
    /// When its record or its links last changed; `None` if that was never seen.
    pub changed: Option<Wall>,
}

/// What has been counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<Counter, u64>);

impl Status {
    /// How `node` stands at `now`. What differs from the status `before` counts as changed now.
    #[must_use]
    pub fn of(node: &Node, counters: &Counters, before: Option<&Self>, now: Wall) -> Self {
        let mut links: BTreeMap<OperatorIndex, Vec<SocketAddr>> = BTreeMap::new();
        for (operator, _, remote) in node.links() {
            links.entry(operator).or_default().push(remote);
        }
        let own = node.own_index();
        let operators = node.manifest().operators().iter().map(|operator| {
            let entry = node.database().get(&operator.node_id);
            let newest = entry.map(|entry| entry.versions.newest());
            let published = if Some(operator.index) == own { node.own_record() } else { newest };
            let mut status = OperatorStatus {
                index: operator.index,
                node_id: operator.node_id,
                authority: operator.authority,
                record: published.unwrap_or(&operator.record).clone(),
                links: links.remove(&operator.index).unwrap_or_default(),
                changed: entry.map(|entry| entry.updated),
            };
            if let Some(before) = before.and_then(|before| before.holder(&operator.node_id)) {
                status.changed = if status.differs(before) { Some(now) } else { before.changed };
            }
            status
        });
        let operators = operators.collect();
        let discovery = node.discovery().map(DiscoveryStatus::of);
        let (record, counters) = (node.own_record().cloned(), counters.clone());
        let verified = node.manifest().is_verified();
        Self { own, verified, record, operators, discovery, counters }
    }

    fn holder(&self, key: &NodeId) -> Option<&OperatorStatus> {
        self.operators.iter().find(|operator| operator.node_id == *key)
    }

    fn gauges(&self) -> Gauges {
        let by_shares = |operator: &&OperatorStatus| operator.authority == Authority::Shares;
        Gauges {
            manifest_unverified: (!self.verified).into(),
            operators_authorised_by_shares: self.operators.iter().filter(by_shares).count(),
        }
    }

    /// How the operator at this place stands, if the cluster has it.
    #[must_use]
    pub fn operator(&self, index: OperatorIndex) -> Option<&OperatorStatus> {
        self.operators.get(usize::from(index.0))
    }
}

impl DiscoveryStatus {
    fn of(discovery: &Discovery) -> Self {
        let table = discovery.table();
        Self {
            nodes: table.len(),
            verified: table.verified().count(),
            sessions: discovery.sessions(),
        }
    }
}

impl OperatorStatus {
    fn differs(&self, before: &Self) -> bool {
        self.record != before.record || self.links != before.links
    }
}

impl Counters {
    /// Counts once more.
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts so often.
    pub fn add(&mut self, counter: Counter, times: u64) {
        if times > 0 {
            *self.0.entry(counter).or_default() += times;
        }
    }

    /// How often.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(&counter).copied().unwrap_or_default()
    }
}

/// A record as JSON has it.
#[derive(Serialize)]
struct RecordView {
    text: String,
    seq: u64,
    addresses: Vec<SocketAddr>,
}

impl From<&Signed> for RecordView {
    fn from(record: &Signed) -> Self {
        Self {
            text: record.to_text(),
            seq: record.seq(),
            addresses: record.endpoints().quic_addresses().collect(),
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            own: Option<u8>,
            authorised: bool,
            verified: bool,
            record: Option<RecordView>,
            operators: &'a [OperatorStatus],
            discovery: Option<DiscoveryStatus>,
            gauges: Gauges,
            counters: &'a Counters,
        }
        let record = self.record.as_ref().map(RecordView::from);
        let Self { own, verified, operators, discovery, counters, .. } = self;
        let (own, authorised, verified) = (own.map(|own| own.0), own.is_some(), *verified);
        let (discovery, gauges) = (*discovery, self.gauges());
        View { own, authorised, verified, record, operators, discovery, gauges, counters }
            .serialize(serializer)
    }
}

impl Serialize for OperatorStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            index: u8,
            node_id: String,
            name: String,
            authority: Authority,
            record: RecordView,
            links: &'a [SocketAddr],
            changed_ms: Option<u64>,
        }
        View {
            index: self.index.0,
            node_id: self.node_id.to_string(),
            name: name(&self.node_id),
            authority: self.authority,
            record: (&self.record).into(),
            links: &self.links,
            changed_ms: self.changed.map(|changed| changed.0),
        }
        .serialize(serializer)
    }
}

impl Serialize for Counters {
    /// Every counter by its name, zeros included, so that a reader can tell zero from unknown.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Counter::ALL.map(|counter| (counter.name(), self.get(counter))))
    }
}

#[cfg(test)]
mod tests {
    use stayfound_core::cluster::Manifest;
    use stayfound_core::keys::SecretKey;
    use stayfound_core::node::{Config, FLOOR_WITHIN, Input, Output, step};
    use stayfound_core::record::Endpoints;
    use stayfound_core::time::Mono;

    use super::*;

    /// Operator 1 of 3, before it is bound.
    fn node() -> Node {
        let keys = [1, 2, 3].map(|byte| SecretKey::from_bytes(&[byte; 32]).expect("a key"));
        let records = keys.each_ref().map(|key| Signed::sign(key, 0, &Endpoints::default()));
        let manifest = Manifest::new("name".into(), "uuid".into(), [0; 32], 2, records.into());
        let (manifest, [_, key, _]) = (manifest.expect("a cluster"), keys);
        let config =
            Config { key, manifest, external: Vec::new(), hints: Vec::new(), discovery: None };
        Node::new(config, [0; 32], Mono(0), Wall(1_000), &[]).expect("starts")
    }

    /// Binds a node that nobody answers, and waits until it has published a record.
    fn bind(node: &mut Node, local: &str) {
        let local = local.parse().expect("an address");
        step(node, Mono(1), Input::Bound { local }, drop);
        let later = Mono(1) + FLOOR_WITHIN;
        let mut latest = None;
        step(node, later, Input::Wake, |output| {
            if let Output::Persist { ticket, .. } = output {
                latest = Some(ticket);
            }
        });
        let ticket = latest.expect("a new record is persisted");
        step(node, later, Input::Durable { ticket }, drop);
    }

    #[test]
    fn only_what_differs_has_changed() {
        let mut node = node();
        let counters = Counters::default();
        let before = Status::of(&node, &counters, None, Wall(2_000));
        assert_eq!((before.own, &before.record), (Some(OperatorIndex(1)), &None));
        assert_eq!(before.operators[1].record.seq(), 0, "the lock's, until there is another");
        assert_eq!(Status::of(&node, &counters, Some(&before), Wall(3_000)), before);

        bind(&mut node, "127.0.0.1:3610");
        let after = Status::of(&node, &counters, Some(&before), Wall(3_000));
        assert_eq!(after.record.as_ref(), Some(&after.operators[1].record));
        assert_eq!(after.operators[1].changed, Some(Wall(3_000)));
        for other in [0, 2] {
            assert_eq!(after.operators[other], before.operators[other]);
        }
    }

    #[test]
    fn as_json_it_says_everything_by_name() {
        let mut node = node();
        bind(&mut node, "127.0.0.1:3610");
        let mut counters = Counters::default();
        counters.count(Counter::Dials);
        let status = Status::of(&node, &counters, None, Wall(2_000));
        let json = serde_json::to_value(&status).expect("is JSON");
        assert_eq!(json["own"], 1);
        assert_eq!(json["record"]["addresses"][0], "127.0.0.1:3610");
        assert_eq!(json["record"], json["operators"][1]["record"]);
        assert_eq!(json["operators"][2]["node_id"], status.operators[2].node_id.to_string());
        assert_eq!(json["operators"][2]["links"], serde_json::json!([]));
        assert_eq!(json["counters"]["dials"], 1);
        assert_eq!(json["counters"]["strangers"], 0);
        assert_eq!(
            (&json["verified"], &json["operators"][2]["authority"]),
            (&false.into(), &"lock".into())
        );
        assert_eq!(json["gauges"]["manifest_unverified"], 1);
    }
}
