//! How often two hosts behind routers reach each other by sending at once: real packets through two
//! translators of the simulated network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::chance::{Chance, Stream};
use stayfound_core::keys::SecretKey;

use super::{Figure, Scale, per_cent};
use crate::event::{Event, HostId};
use crate::moment::{Moment, Units};
use crate::network::nat::NatKind;
use crate::network::{Access, Arrival, Attachment, Behind, Latency, Loss, Network, Noise, Router};
use crate::queue::Queue;

pub(super) const PART: &str = "hole punching";
const SOURCE: &str = "Trautwein et al. 2025, arXiv 2510.27500";

/// What routers of homes do: of a thousand homes so many. The missing 50 have no router, so they
/// take no part. Shares are calibrated (no measurement of RFC 4787 classes in homes is recent); that
/// pairs of these reach each other as often as measured is what is validated.
pub const ROUTERS: [(NatKind, u64); 3] =
    [(NatKind::PortRestricted, 700), (NatKind::FullCone, 80), (NatKind::Symmetric, 170)];
/// Of a thousand homes so many are behind a carrier's router too (Richter et al., IMC 2016: 17 to
/// 18 % of the providers of homes).
pub const CARRIER_PER_MILLE: u64 = 150;
/// How often both try (rust-libp2p).
pub const ATTEMPTS_MAX: usize = 3;
/// How long an attempt waits for an answer; no path here is so slow.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Of a thousand packets so many are lost between the last miles.
const LOST: Loss = Loss(1);

/// Where both learn how the other is seen.
const MEETING: HostId = HostId(0);
const PAIR: [HostId; 2] = [HostId(1), HostId(2)];

/// What is sent.
const CALL: Bytes = Bytes::from_static(b"call");
const ANSWER: Bytes = Bytes::from_static(b"answer");

pub(super) fn figures(scale: &Scale, chance: &Chance) -> Vec<Figure> {
    let mut stream = chance.stream("validate: routers");
    let mut reached = Vec::new();
    for pair in 0..scale.pairs {
        let routers = [(); 2].map(|()| router(&mut stream));
        reached.extend(Punch::new(pair, routers, chance).attempts());
    }
    let first = reached.iter().filter(|attempts| **attempts == 1).count();
    let figure = |name: &str, published, tolerance, measured| Figure {
        part: PART,
        name: name.into(),
        unit: "%",
        published,
        tolerance,
        measured,
        source: SOURCE,
    };
    vec![
        figure("pairs that succeed", 70.0, 7.1, per_cent(reached.len(), scale.pairs as usize)),
        figure("of these at once", 97.6, 2.4, per_cent(first, reached.len())),
    ]
}

fn router(stream: &mut Stream) -> Router {
    let mut place = stream.below(ROUTERS.iter().map(|(_, share)| share).sum());
    let mut kinds = ROUTERS.iter();
    let kind = loop {
        let (kind, share) = kinds.next().expect("the place is one of theirs");
        match place.checked_sub(*share) {
            Some(rest) => place = rest,
            None => break *kind,
        }
    };
    Router { carrier: stream.hits(CARRIER_PER_MILLE, 1_000), ..Router::new(kind) }
}

/// The outermost router's address.
fn outside(host: HostId) -> IpAddr {
    Ipv4Addr::new(198, 18, 1, host.0 as u8).into()
}

/// Two hosts behind routers, and one that both can reach.
struct Punch {
    network: Network,
    queue: Queue<Event>,
    now: Moment,
    /// Where the third sees both.
    seen: [Option<SocketAddr>; 2],
    /// Whether one had the other's answer.
    answered: bool,
}

impl Punch {
    fn new(number: u32, routers: [Router; 2], chance: &Chance) -> Self {
        let mut stream = chance.stream(&format!("validate: pair {number}"));
        let mut seed = [0; 32];
        seed.chunks_mut(8).for_each(|bytes| bytes.copy_from_slice(&stream.draw().to_be_bytes()));
        let chance = Chance::new(seed);
        let mut punch = Self {
            network: Network::new(Latency::Continental, LOST, Noise::default(), &chance),
            queue: Queue::default(),
            now: Moment::default(),
            seen: [None; 2],
            answered: false,
        };
        let address = SocketAddr::from(([198, 18, 0, 1], 9_000));
        punch.add(MEETING, Attachment { addresses: vec![address], behind: None }, &chance);
        for (host, router) in PAIR.into_iter().zip(routers) {
            let behind = Some(Behind { outside: outside(host), port: 9_000, router });
            punch.add(host, Attachment { addresses: Vec::new(), behind }, &chance);
            punch.network.begins_with(host, Access::HomeWifi);
        }
        punch
    }

    fn add(&mut self, host: HostId, at: Attachment, chance: &Chance) {
        let key = SecretKey::from_bytes(&[host.0 as u8 + 1; 32]).expect("a small number");
        assert_eq!(self.network.add(key.public_key(), chance), host);
        self.network.attach(host, at, self.now, &mut self.queue);
        self.network.started(host, 1);
    }

    /// After how many attempts one has had the other's answer, which proves both ways.
    fn attempts(mut self) -> Option<usize> {
        let meeting = self.network.addresses(MEETING)[0];
        while self.seen.contains(&None) {
            PAIR.iter().for_each(|host| self.send(*host, meeting, CALL));
            self.run(1.s());
        }
        let [one, other] = self.seen.map(|seen| seen.expect("both are seen"));
        (1..=ATTEMPTS_MAX).find(|_| {
            self.send(PAIR[0], other, CALL);
            self.send(PAIR[1], one, CALL);
            self.run(ATTEMPT);
            self.answered
        })
    }

    fn send(&mut self, from: HostId, to: SocketAddr, bytes: Bytes) {
        self.network.send(from, None, (to, bytes), self.now, &mut self.queue);
    }

    fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some((at, event)) = self.queue.pop_until(until) {
            let Event::Network(due) = event else { unreachable!("nothing else is planned") };
            self.now = at;
            self.network.handle(due, at, &mut self.queue, &|_, _| true);
            while let Some(delivery) = self.network.deliver() {
                let Arrival::Datagram(from, bytes) = delivery.what else { continue };
                self.arrives(delivery.host, from, &bytes);
            }
        }
        self.now = until;
    }

    /// Whoever is called answers to where the call came from, whatever the third says.
    fn arrives(&mut self, host: HostId, from: SocketAddr, bytes: &Bytes) {
        if host == MEETING {
            let caller = PAIR.iter().position(|it| outside(*it) == from.ip());
            self.seen[caller.expect("nobody else calls")] = Some(from);
            return;
        }
        if *bytes == CALL {
            return self.send(host, from, ANSWER);
        }
        self.answered = true;
    }
}
