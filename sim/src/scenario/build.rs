//! From the options of a run to the world it happens in.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use stayfound_core::chance::{Chance, Stream};
use stayfound_core::cluster::{Manifest, OperatorIndex};
use stayfound_core::discovery::Settings;
use stayfound_core::keys::SecretKey;
use stayfound_core::node::Config;
use stayfound_core::record::{Endpoints, NodeId, Signed};

use super::{Bootstrap, Families, Interfaces, Miles, Neighbours, Options, PORT, Roster, SeqStyle};
use crate::adversary::Persona;
use crate::host::{EPOCH, Uplink};
use crate::network::nat::NatKind;
use crate::network::{Access, Router};
use crate::occupant::{Pinger, Role};
use crate::world::{HostSetup, Setup};

const YEAR_MS: u64 = 365 * 24 * 3_600 * 1_000;

/// Addresses that nobody has had before.
pub(super) struct Addresses {
    families: Families,
    given: u16,
    private_given: u16,
    chance: Stream,
}

impl Addresses {
    pub(super) fn new(families: Families, chance: &Chance) -> Self {
        Self { families, given: 0, private_given: 0, chance: chance.stream("addresses") }
    }

    /// A new address of a private network where nobody else is.
    pub(super) fn private(&mut self) -> IpAddr {
        let n = self.private_given;
        self.private_given += 1;
        if n % 4 == 3 {
            return Ipv6Addr::new(0xfd01, 0, 0, n, 0, 0, 0, 1).into(); // RFC 4193
        }
        let [high, low] = n.to_be_bytes();
        Ipv4Addr::new(172, 16 + high % 16, low, 1).into() // RFC 1918
    }

    /// A new address of any family that there is.
    pub(super) fn fresh(&mut self) -> SocketAddr {
        let v6 = match self.families {
            Families::V4 => false,
            Families::V6 => true,
            Families::Mixed => self.chance.hits(1, 2),
        };
        self.of_family(v6)
    }

    /// A new address of this family.
    pub(super) fn of_family(&mut self, v6: bool) -> SocketAddr {
        let n = self.given;
        self.given += 1;
        if v6 {
            // 2001:db8::/32 (RFC 3849)
            return (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n + 1), PORT).into();
        }
        // 198.18.0.0/15 (RFC 2544)
        let [high, low] = (n / 250 * 256 + n % 250 + 1).to_be_bytes();
        (Ipv4Addr::new(198, 18, high, low), PORT).into()
    }
}

/// Where the discovery nodes are, each in a /24 of its own: tables take few of one.
fn apart(n: usize) -> SocketAddr {
    let [high, low] = u16::try_from(n).expect("at most 65,536 of them").to_be_bytes();
    (Ipv4Addr::new(24, high, low, 1), PORT).into()
}

/// The hosts of a world.
pub(crate) fn setup(options: &Options, chance: &Chance) -> Setup {
    setup_at(options, &mut Addresses::new(options.families, chance), chance)
}

pub(super) fn setup_at(options: &Options, addresses: &mut Addresses, chance: &Chance) -> Setup {
    let (named, n) = (options.operators, options.operators + options.spares);
    let hosts = n + options.strangers;
    let Neighbours { boots, walkers } =
        options.discovery.unwrap_or(Neighbours { boots: 0, walkers: 0 });
    let mut at: Vec<SocketAddr> = (0..hosts).map(|_| addresses.fresh()).collect();
    at.extend((0..boots + walkers).map(apart));
    let mut keys: Vec<SecretKey> = (0..at.len()).map(|host| secret(host, chance)).collect();
    let roles = roles(options, &mut keys, chance);
    let boot = (hosts..hosts + boots).map(|b| Signed::sign(&keys[b], 1, &Endpoints::at([at[b]])));
    let settings = Settings { boot: boot.collect(), protocols: Vec::new() };
    let records: Vec<Signed> = (0..n)
        .map(|who| {
            let elsewhere = addresses.fresh();
            let listed = match options.bootstrap {
                Bootstrap::Manifest => Some(at[who]),
                Bootstrap::Outdated if who % 3 == 2 => Some(elsewhere),
                Bootstrap::Outdated => Some(at[who]),
                Bootstrap::Hints | Bootstrap::Line | Bootstrap::Discovery => None,
            };
            Signed::sign(&keys[who], first_seq(options.seqs, who, chance), &Endpoints::at(listed))
        })
        .collect();
    let uplinks = uplinks(options, &at, chance);
    let configs = (0..at.len()).map(|host| {
        if host < n {
            let discovery = options.discovery.map(|_| settings.clone());
            // Whoever is named by no manifest yet starts with one of all.
            let records = if host < named { &records[..named] } else { &records };
            Config { discovery, ..operator(host, &keys[host], records, &at, &uplinks, options) }
        } else if host < hosts {
            stranger(&keys[host], &records[..named], &at)
        } else {
            walker(&keys[host], settings.clone())
        }
    });
    let dual_stack = options.families != Families::V4;
    let mut draws = chance.stream("interfaces");
    let mut miles = chance.stream("last miles");
    let hosts = configs
        .zip(&at)
        .zip(&uplinks)
        .enumerate()
        .map(|(host, ((config, address), uplink))| HostSetup {
            config,
            uplink: *uplink,
            address: *address,
            others: match host < n {
                true => others(options.interfaces, addresses, &mut draws),
                false => BTreeSet::new(),
            },
            access: match (options.miles, host < n) {
                (Miles::All(access), true) => access,
                (Miles::Mixed, true) => Access::ALL[miles.below(Access::ALL.len() as u64) as usize],
                (_, false) => Access::Wired,
            },
            dual_stack,
            role: roles[host],
        })
        .chain(pingers(options.pingers, chance))
        .collect();
    let Options { latency, loss, noise, disks, .. } = *options;
    let discovery = options.discovery.is_some();
    let relinks_within = options.relinks_within();
    Setup { hosts, operators: n, discovery, latency, loss, noise, disks, relinks_within }
}

fn operator(
    who: usize,
    key: &SecretKey,
    records: &[Signed],
    at: &[SocketAddr],
    uplinks: &[Uplink],
    options: &Options,
) -> Config {
    let n = records.len();
    let told: Vec<usize> = match options.bootstrap {
        Bootstrap::Manifest | Bootstrap::Outdated | Bootstrap::Discovery => Vec::new(),
        Bootstrap::Hints => (0..n).filter(|other| *other != who).collect(),
        Bootstrap::Line => Some(who + 1).filter(|next| *next < n).into_iter().collect(),
    };
    let external = match uplinks[who] {
        Uplink::Forwarded { fixed } => fixed.into_iter().collect(),
        Uplink::Direct | Uplink::Nat(_) => Vec::new(),
    };
    let hints = told.into_iter().map(|other| (index(other), at[other])).collect();
    let manifest = manifest("cluster", 0xc1, records);
    Config { key: key.clone(), manifest, external, hints, discovery: None }
}

/// A stranger believes in a cluster of its own making, to which it counts the operators: so it
/// dials them, and would let them in.
fn stranger(key: &SecretKey, records: &[Signed], at: &[SocketAddr]) -> Config {
    let forged: Vec<Signed> =
        records.iter().cloned().chain([Signed::sign(key, 1, &Endpoints::default())]).collect();
    let hints = (0..records.len()).map(|who| (index(who), at[who])).collect();
    let manifest = manifest("forged cluster", 0xf0, &forged);
    Config { key: key.clone(), manifest, external: Vec::new(), hints, discovery: None }
}

/// A node that only discovers.
fn walker(key: &SecretKey, settings: Settings) -> Config {
    let (key, manifest) = (key.clone(), Manifest::alone(key));
    let (external, hints, discovery) = (Vec::new(), Vec::new(), Some(settings));
    Config { key, manifest, external, hints, discovery }
}

/// The manifest of these hosts, of which these are the records.
pub(crate) fn manifest_of(roster: &Roster, listed: &[Signed]) -> Manifest {
    let records: Vec<Signed> = roster.hosts().map(|host| listed[host.0].clone()).collect();
    let mark = roster.hosts().fold(0, |mark: u8, host| mark.wrapping_mul(31) ^ host.0 as u8);
    manifest("cluster", mark, &records)
}

fn manifest(name: &str, mark: u8, records: &[Signed]) -> Manifest {
    let threshold = (2 * records.len()).div_ceil(3); // charon's
    Manifest::new(name.into(), name.into(), [mark; 32], threshold, records.to_vec())
        .expect("a drawn cluster is a cluster")
}

fn uplinks(options: &Options, at: &[SocketAddr], chance: &Chance) -> Vec<Uplink> {
    let mut draws = chance.stream("uplinks");
    let mut direct: Vec<usize> = (0..options.operators).collect();
    let mut uplinks = vec![Uplink::Direct; at.len()];
    for place in 0..options.forwarded {
        let who = direct.swap_remove(draws.below(direct.len() as u64) as usize);
        let fixed = (place < options.fixed).then_some(at[who]);
        uplinks[who] = Uplink::Forwarded { fixed };
    }
    for _ in 0..options.natted {
        let who = direct.swap_remove(draws.below(direct.len() as u64) as usize);
        uplinks[who] = Uplink::Nat(home_router(&mut draws));
    }
    uplinks
}

/// A router as homes have them, in hundredths: endpoint-independent mapping with filtering by address
/// and port 75, without 8, symmetric 17; and before 15 of them a carrier's (the mix of the field's
/// hole-punching measurements).
pub(crate) fn home_router(draws: &mut Stream) -> Router {
    let kind = match draws.below(100) {
        0..75 => NatKind::PortRestricted,
        75..83 => NatKind::FullCone,
        _ => NatKind::Symmetric,
    };
    Router { carrier: draws.hits(15, 100), ..Router::new(kind) }
}

fn others(style: Interfaces, addresses: &mut Addresses, draws: &mut Stream) -> BTreeSet<IpAddr> {
    let (private, public) = match style {
        Interfaces::One => (false, false),
        Interfaces::Private => (true, false),
        Interfaces::Public => (false, draws.hits(1, 2)),
        Interfaces::Mixed => (draws.hits(1, 2), draws.hits(1, 2)),
    };
    let private = private.then(|| addresses.private());
    let public = public.then(|| addresses.fresh().ip());
    private.into_iter().chain(public).collect()
}

/// Who lies, and how: the last walkers. A Sybil has another key, ground close to an operator's.
fn roles(options: &Options, keys: &mut [SecretKey], chance: &Chance) -> Vec<Role> {
    let mut draws = chance.stream("personas");
    let mut roles = vec![Role::Node; keys.len()];
    let near: Vec<NodeId> =
        keys[..options.operators].iter().map(|it| NodeId::of(&it.public_key().point())).collect();
    for host in keys.len() - options.liars..keys.len() {
        let persona = Persona::ALL[draws.below(Persona::ALL.len() as u64) as usize];
        if !near.is_empty() {
            let target = near[draws.below(near.len() as u64) as usize];
            keys[host] = persona.key(&target, || draw_key(&mut draws));
        }
        roles[host] = Role::Liar(persona);
    }
    roles
}

/// Hosts that only ping. They have no use for a key: one is everybody's.
fn pingers(of: usize, chance: &Chance) -> impl Iterator<Item = HostSetup> {
    let of = u32::try_from(of).expect("fewer than 2^32 pingers");
    let key = draw_key(&mut chance.stream("key of pingers"));
    let config = Config { discovery: None, ..walker(&key, Settings::default()) };
    (0..of).map(move |place| HostSetup {
        config: config.clone(),
        uplink: Uplink::Direct,
        address: Pinger::address(place),
        others: BTreeSet::new(),
        access: Access::Wired,
        dual_stack: false,
        role: Role::Pinger { place, of },
    })
}

fn secret(host: usize, chance: &Chance) -> SecretKey {
    draw_key(&mut chance.stream(&format!("key of host {host}")))
}

fn draw_key(draws: &mut Stream) -> SecretKey {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&draws.draw().to_be_bytes());
    }
    SecretKey::from_bytes(&bytes).expect("all but one in 2^127 scalars are below the order")
}

fn first_seq(style: SeqStyle, who: usize, chance: &Chance) -> u64 {
    match style {
        SeqStyle::One => 1,
        SeqStyle::Millis => {
            EPOCH.0 - chance.stream(&format!("seq of operator {who}")).below(YEAR_MS)
        }
        SeqStyle::Ahead => EPOCH.0 + YEAR_MS,
    }
}

fn index(who: usize) -> OperatorIndex {
    OperatorIndex(u8::try_from(who).expect("a cluster has at most 256 operators"))
}
