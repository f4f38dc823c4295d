//! An adversary among the nodes that only discover: it makes itself known to everybody, now and then,
//! and lies in one way.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use stayfound_core::chance::{Chance, Stream};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, NodeId, Signed};

use super::Adversary;
use crate::moment::Units;

/// How long it does nothing but answer, at most.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// How many datagrams it listens to between two times that it does something: two that challenge each
/// other would go on for ever.
const PATIENCE: u32 = 32;
/// How many nodes it keeps in mind.
const KNOWN_MAX: usize = 64;
/// How many nodes it invents.
const INVENTED: u64 = 48;
/// In how many packets a flooder answers.
const FLOOD_PACKETS: usize = 40;
/// How many packets from nowhere a flooder sends at once, and how many handshakes.
const FLOOD_SHOTS: usize = 20;
/// How close to an operator a Sybil is: closer than all but one in 2^7.
const SYBIL_DISTANCE: u16 = 249;

/// How an adversary lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Persona {
    /// It tells of nodes that do not exist.
    Poisoner,
    /// It answers without end, and sends packets from nowhere and handshakes in others' names.
    Flooder,
    /// It says that it sees everybody where nobody is.
    Misseer,
    /// It tells the oldest that it has heard of everybody.
    Archivist,
    /// Its id is close to an operator's, and it tells of nodes that do not exist.
    Sybil,
    /// It makes itself known, and answers nothing.
    Mute,
}

impl Persona {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Poisoner, Self::Flooder, Self::Misseer, Self::Archivist, Self::Sybil, Self::Mute];

    /// The key of one that lies so: a Sybil's is ground until its id is close to `target`.
    pub(crate) fn key(self, target: &NodeId, mut draw: impl FnMut() -> SecretKey) -> SecretKey {
        let close = |key: &SecretKey| {
            NodeId::of(&key.public_key().point()).log_distance(target) <= SYBIL_DISTANCE
        };
        loop {
            let key = draw();
            if self != Self::Sybil || close(&key) {
                return key;
            }
        }
    }
}

impl fmt::Display for Persona {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Poisoner => "poisoner",
            Self::Flooder => "flooder",
            Self::Misseer => "misseer",
            Self::Archivist => "archivist",
            Self::Sybil => "sybil",
            Self::Mute => "mute",
        })
    }
}

impl Adversary {
    /// One that lies so, and knows these nodes.
    pub(crate) fn walker(
        persona: Persona,
        (key, at): (SecretKey, SocketAddr),
        known: Vec<Signed>,
        chance: &Chance,
    ) -> Self {
        let mut draws = chance.stream("persona");
        let invents = matches!(persona, Persona::Poisoner | Persona::Sybil | Persona::Flooder);
        let invented = (0..INVENTED).filter(|_| invents).map(|_| invent(&mut draws));
        let invented: Vec<Signed> = invented.collect();
        Self {
            persona: Some(persona),
            serves: invented[..invented.len() / 4].to_vec(),
            invents: invented[invented.len() / 4..].to_vec(),
            floods: (persona == Persona::Flooder).then_some(FLOOD_PACKETS),
            sees: (persona == Persona::Misseer).then(|| nowhere(&mut draws)),
            answers: persona != Persona::Mute,
            learned: known,
            ..Self::new(key, at, chance)
        }
    }

    /// It makes itself known to somebody, or asks; answers how long it rests then.
    pub(crate) fn roams(&mut self) -> Duration {
        let persona = self.persona.expect("only a walker roams");
        self.forgets(persona);
        self.patience = PATIENCE;
        let reachable = |it: &&Signed| it.endpoints().udp_addresses().next().is_some();
        let known: Vec<Signed> = self.learned.iter().filter(reachable).cloned().collect();
        if !known.is_empty() {
            let node = &known[self.chance.below(known.len() as u64) as usize];
            let farthest = 256 - self.chance.below(4) as u16;
            let distances = [farthest, farthest - 1, farthest - 2];
            let asked = self.chance.below(4) as usize; // none is a PING
            self.asks(node, &distances[..asked]);
            if persona == Persona::Flooder {
                self.floods_with_packets(node);
            }
        }
        1.s() + Duration::from_millis(self.chance.below((PAUSE_MAX - 1.s()).as_millis() as u64))
    }

    fn floods_with_packets(&mut self, node: &Signed) {
        let to = node.endpoints().udp_addresses().next().expect("it is reachable");
        for _ in 0..FLOOD_SHOTS {
            let from = nowhere(&mut self.chance);
            let name = NodeId(self.fresh());
            let bytes = self.random(&node.node_id(), &name);
            self.shoots(Some(from), to, bytes);
        }
        let other = self.learned[self.chance.below(self.learned.len() as u64) as usize].clone();
        let bytes = self.blind_handshake(node, &other);
        self.shoots(other.endpoints().udp_addresses().next(), to, bytes);
    }

    /// Of each node it keeps one record: the newest, or the oldest, which it tells everybody.
    fn forgets(&mut self, persona: Persona) {
        let mut kept: Vec<Signed> = Vec::new();
        for record in std::mem::take(&mut self.learned) {
            match kept.iter().position(|it| it.node_id() == record.node_id()) {
                None if kept.len() < KNOWN_MAX => kept.push(record),
                Some(at) if persona != Persona::Archivist && kept[at].seq() < record.seq() => {
                    kept[at] = record;
                }
                _ => {}
            }
        }
        if persona == Persona::Archivist {
            self.serves = kept.iter().take(super::INVENTED_PER_ANSWER).cloned().collect();
        }
        self.learned = kept;
    }
}

/// A node that does not exist, in a prefix of its own (of 100.64.0.0/10, where no host is).
fn invent(draws: &mut Stream) -> Signed {
    let mut scalar = [1; 32];
    scalar[..8].copy_from_slice(&(draws.draw() >> 1).to_be_bytes());
    let key = SecretKey::from_bytes(&scalar).expect("below the order");
    Signed::sign(&key, 1, &Endpoints::at([nowhere(draws)]))
}

/// An address where nobody is, and that somebody could have.
fn nowhere(draws: &mut Stream) -> SocketAddr {
    let [.., a, b, c, d] = draws.draw().to_be_bytes();
    let port = 1_024 + u16::from_be_bytes([c & 0x7f, d]);
    (Ipv4Addr::new(203, a, b, 1 + c % 250), port).into()
}
