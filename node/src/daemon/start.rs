//! What is opened before a node runs.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use stayfound_core::cluster::Manifest;
use stayfound_core::database::Row;
use stayfound_core::discovery::cipher::Mask;
use stayfound_core::keys::PublicKey;
use stayfound_core::node::{Config, Node};
use stayfound_core::record::NodeId;
use stayfound_core::time::{Mono, Wall};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::MeshError;
use crate::interfaces::{self, Change};
use crate::link::Identity;
use crate::link::endpoint::Endpoint;
use crate::link::report::Report;
use crate::recording::{Recording, Tape};
use crate::socket::{self, Inbox, Port, Split};

/// A node that knows nothing of its surroundings yet, and its surroundings.
pub(super) struct Opened {
    pub(super) node: Node,
    pub(super) tape: Option<Tape>,
    pub(super) started: (Instant, Wall),
    pub(super) endpoint: Endpoint,
    pub(super) reports: mpsc::Receiver<Report>,
    pub(super) split: Option<Split>,
    pub(super) port: Arc<Port>,
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) changes: Option<mpsc::Receiver<Change>>,
}

impl Opened {
    pub(super) async fn new(
        mut config: Config,
        listen: SocketAddr,
        rows: &[Row],
        recording: Option<Recording>,
    ) -> Result<Self, MeshError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| MeshError::Randomness)?;
        let identity = Identity::new(&config.key).map_err(|_| MeshError::Randomness)?;
        let own = config.key.public_key();
        let admitted = admitted(&config.manifest, &own);
        let split = config.discovery.is_some().then(|| Split {
            own: Mask::of(&NodeId::of(&own.point())),
            inbox: Arc::<Inbox>::default(),
        });
        let started = (Instant::now(), wall());
        let times = (Mono(0), started.1);
        // From here on the configuration's key is one that is noted down: the links have their own.
        let tape =
            recording.map(|recording| Tape::start(recording, &mut config, seed, times, rows));
        let node = Node::new(config, seed, Mono(0), started.1, rows).map_err(MeshError::Start)?;

        let bind = |error| MeshError::bind(listen, error);
        let socket = socket::bind(listen).map_err(bind)?;
        let port = Arc::new(Port::new(socket, split.clone()).map_err(bind)?);
        let (addresses, changes) = match port.local().ip().is_unspecified() {
            true => {
                let (addresses, changes) =
                    interfaces::watch().await.map_err(MeshError::Interfaces)?;
                (addresses, Some(changes))
            }
            false => (BTreeSet::new(), None),
        };
        let (endpoint, reports) =
            Endpoint::start(port.clone(), identity, admitted).map_err(bind)?;
        Ok(Self { node, tape, started, endpoint, reports, split, port, addresses, changes })
    }
}

/// The keys of those that are let in by the holder of the key `own`: of all other operators, or of
/// nobody if it is none itself.
pub(super) fn admitted(manifest: &Manifest, own: &PublicKey) -> Arc<[PublicKey]> {
    if manifest.by_key(own.as_bytes()).is_none() {
        return Arc::default();
    }
    let keys = manifest.operators().iter().map(|operator| operator.public_key);
    keys.filter(|key| key != own).collect()
}

/// A clock set before 1970 counts as 1970: the time is only ever a floor of sequence numbers.
fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
