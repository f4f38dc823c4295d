//! What a node is made of, as bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use super::code::{Reader, Writer};
use super::input::{owned, record};
use crate::cluster::{Manifest, OperatorIndex};
use crate::database::Row;
use crate::discovery::{PROTOCOLS_MAX, Settings};
use crate::keys::{Holder, PublicKey, SecretKey};
use crate::node::Config;
use crate::record::NodeId;
use crate::time::{Mono, Wall};

/// What a node was made of, but for the rows that were stored and for its secret key.
#[derive(Clone, Debug)]
pub struct Start {
    /// Which version of which program made it, for people.
    pub made_by: String,
    /// The seed of all its chance.
    pub seed: [u8; 32],
    /// What time it was.
    pub now: Mono,
    /// What its wall clock showed.
    pub wall: Wall,
    public_key: PublicKey,
    manifest: Manifest,
    external: Vec<SocketAddr>,
    hints: Vec<(OperatorIndex, SocketAddr)>,
    discovery: Option<Settings>,
}

impl Start {
    pub(super) fn of(
        made_by: &str,
        config: &Config,
        seed: [u8; 32],
        (now, wall): (Mono, Wall),
    ) -> Self {
        let Config { key, manifest, external, hints, discovery } = config.clone();
        let (made_by, public_key) = (made_by.into(), key.public_key());
        Self { made_by, seed, now, wall, public_key, manifest, external, hints, discovery }
    }

    /// Whose node it was.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Its cluster.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The configuration, with a holder of the key in the key's place.
    #[must_use]
    pub fn config(&self, holder: Arc<dyn Holder>) -> Config {
        let Self { public_key, manifest, external, hints, discovery, .. } = self.clone();
        Config { key: SecretKey::held_by(public_key, holder), manifest, external, hints, discovery }
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.bytes(self.made_by.as_bytes());
        out.array(&self.seed);
        out.u64(self.now.0);
        out.u64(self.wall.0);
        out.array(self.public_key.as_bytes());
        encode_manifest(&self.manifest, out);
        out.many(&self.external, |out, address| out.address(*address));
        out.many(&self.hints, |out, (operator, address)| {
            out.u8(operator.0);
            out.address(*address);
        });
        out.maybe(self.discovery.as_ref(), |out, Settings { boot, protocols }| {
            out.many(boot, |out, node| out.bytes(node.as_bytes()));
            out.many(protocols, |out, protocol| out.bytes(protocol));
        });
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            made_by: from.text()?,
            seed: from.array()?,
            now: Mono(from.u64()?),
            wall: Wall(from.u64()?),
            public_key: PublicKey::from_bytes(&from.array::<33>()?).ok()?,
            manifest: decode_manifest(from)?,
            external: from.many(Reader::address)?,
            hints: from.many(|from| Some((OperatorIndex(from.u8()?), from.address()?)))?,
            discovery: from.maybe(|from| {
                let settings = Settings { boot: from.many(record)?, protocols: from.many(owned)? };
                Some(settings).filter(|it| it.protocols.len() <= PROTOCOLS_MAX)
            })?,
        })
    }
}

pub(super) fn encode_row(row: &Row, out: &mut Writer<'_>) {
    out.array(&row.key.0);
    out.bytes(&row.value);
}

pub(super) fn decode_row(from: &mut Reader<'_>) -> Option<Row> {
    Some(Row { key: NodeId(from.array()?), value: owned(from)? })
}

/// Who belongs. On whose word, and whether that was verified, is told to people alone and left out.
pub(super) fn encode_manifest(manifest: &Manifest, out: &mut Writer<'_>) {
    out.bytes(manifest.name().as_bytes());
    out.bytes(manifest.uuid().as_bytes());
    out.array(manifest.hash());
    out.u16(u16::try_from(manifest.threshold()).expect("at most 256"));
    out.many(manifest.operators(), |out, operator| out.bytes(operator.record.as_bytes()));
}

pub(super) fn decode_manifest(from: &mut Reader<'_>) -> Option<Manifest> {
    let (name, uuid, hash) = (from.text()?, from.text()?, from.array()?);
    let threshold = usize::from(from.u16()?);
    Manifest::new(name, uuid, hash, threshold, from.many(record)?).ok()
}
