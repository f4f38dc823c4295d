use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

use bytes::Bytes;
use proptest::prelude::*;

use super::code::Reader;
use super::*;
use crate::cluster::{Manifest, OperatorIndex};
use crate::discovery::contact::Contact;
use crate::discovery::message::RequestId;
use crate::discovery::{Ask, Settings, Talk};
use crate::node::{DialId, LinkId, Ticket};
use crate::record::{Endpoints, NodeId, Signed};

/// An input that owns what it is made of.
#[derive(Clone, Debug)]
enum Owned {
    Plain(Input<'static>),
    LinkBytes(LinkId, Vec<u8>),
    Datagram(SocketAddr, Vec<u8>),
    Ask(u64, Ask),
    TalkBack(Talk, Vec<u8>),
    Manifest(Manifest),
    Entropy([u8; 32]),
}

impl Owned {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Plain(input) => *input,
            Self::LinkBytes(link, bytes) => Input::LinkBytes { link: *link, bytes },
            Self::Datagram(from, bytes) => Input::Datagram { from: *from, bytes },
            Self::Ask(id, ask) => Input::Ask { id: *id, ask },
            Self::TalkBack(talk, response) => Input::TalkBack { talk, response },
            Self::Manifest(manifest) => Input::Manifest { manifest },
            Self::Entropy(fresh) => Input::Entropy { fresh },
        }
    }
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a key")
}

fn record() -> impl Strategy<Value = Signed> {
    (1..20_u8, any::<u64>(), 1..u16::MAX).prop_map(|(byte, seq, port)| {
        let at = ([203, 0, 113, byte], port).into();
        Signed::sign(&key(byte), seq, &Endpoints::at([at]))
    })
}

fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>())
            .prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port).into()),
        // Mapped ones, scopes and flow labels included.
        (any::<[u8; 16]>(), any::<bool>(), any::<u16>(), any::<u32>(), any::<u32>()).prop_map(
            |(mut ip, mapped, port, flow, scope)| {
                if mapped {
                    ip[..12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
                }
                SocketAddrV6::new(ip.into(), port, flow, scope).into()
            }
        ),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..300)
}

fn manifest() -> impl Strategy<Value = Manifest> {
    (".{0,20}", ".{0,20}", any::<[u8; 32]>(), 1..9_u8, any::<u8>(), any::<u64>()).prop_map(
        |(name, uuid, hash, count, threshold, seq)| {
            let sign = |byte| Signed::sign(&key(byte), seq, &Endpoints::default());
            let records = (1..=count).map(sign).collect();
            let threshold = usize::from(threshold % count) + 1;
            Manifest::new(name, uuid, hash, threshold, records).expect("a cluster")
        },
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    let distances = proptest::collection::vec(any::<u16>(), 0..20);
    prop_oneof![
        record().prop_map(Ask::Ping),
        (record(), distances).prop_map(|(node, distances)| Ask::FindNode(node, distances)),
        (record(), bytes(), bytes()).prop_map(|(node, protocol, request)| Ask::Talk {
            node,
            protocol: protocol.into(),
            request: request.into()
        }),
        any::<[u8; 32]>().prop_map(|id| Ask::Find(NodeId(id))),
    ]
}

fn talk() -> impl Strategy<Value = Talk> {
    let id = proptest::collection::vec(any::<u8>(), 0..=8);
    (any::<[u8; 32]>(), address(), id, bytes(), bytes()).prop_map(
        |(node, at, id, protocol, request)| Talk {
            from: Contact { id: NodeId(node), at },
            id: RequestId::new(&id).expect("at most 8"),
            protocol: Bytes::from(protocol),
            request: Bytes::from(request),
        },
    )
}

/// An input that borrows nothing.
fn plain() -> impl Strategy<Value = Input<'static>> {
    let ip = || address().prop_map(|at| at.ip());
    let link = || any::<u64>().prop_map(LinkId);
    let peer = (1..20_u8).prop_map(|byte| key(byte).public_key());
    prop_oneof![
        (link(), peer, address(), any::<Option<u64>>()).prop_map(|(link, peer, remote, dial)| {
            let dial = dial.map(DialId);
            Input::LinkOpened { link, peer, remote, dial }
        }),
        any::<u64>().prop_map(|dial| Input::DialFailed { dial: DialId(dial) }),
        (link(), address()).prop_map(|(link, remote)| Input::LinkMoved { link, remote }),
        link().prop_map(|link| Input::LinkClosed { link }),
        address().prop_map(|local| Input::Bound { local }),
        ip().prop_map(|ip: IpAddr| Input::AddressUp { ip }),
        ip().prop_map(|ip: IpAddr| Input::AddressDown { ip }),
        any::<u64>().prop_map(|ticket| Input::Durable { ticket: Ticket(ticket) }),
        (any::<u8>(), address()).prop_map(|(operator, address)| {
            Input::Hint { operator: OperatorIndex(operator), address }
        }),
        Just(Input::Wake),
    ]
}

fn input() -> impl Strategy<Value = Owned> {
    let link = any::<u64>().prop_map(LinkId);
    prop_oneof![
        6 => plain().prop_map(Owned::Plain),
        1 => (link, bytes()).prop_map(|(link, bytes)| Owned::LinkBytes(link, bytes)),
        1 => (address(), bytes()).prop_map(|(from, bytes)| Owned::Datagram(from, bytes)),
        1 => (any::<u64>(), ask()).prop_map(|(id, ask)| Owned::Ask(id, ask)),
        1 => (talk(), bytes()).prop_map(|(talk, response)| Owned::TalkBack(talk, response)),
        1 => manifest().prop_map(Owned::Manifest),
        1 => any::<[u8; 32]>().prop_map(Owned::Entropy),
    ]
}

fn encoded(now: Mono, input: &Input<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    input::encode(now, input, &mut Writer(&mut out));
    out
}

fn config() -> impl Strategy<Value = Config> {
    let hint = (any::<u8>().prop_map(OperatorIndex), address());
    let boot = proptest::collection::vec(record(), 0..3);
    let protocols = proptest::collection::vec(bytes().prop_map(Bytes::from), 0..3);
    let discovery = (boot, protocols).prop_map(|(boot, protocols)| Settings { boot, protocols });
    (
        manifest(),
        proptest::collection::vec(address(), 0..3),
        proptest::collection::vec(hint, 0..3),
        proptest::option::of(discovery),
    )
        .prop_map(|(manifest, external, hints, discovery)| {
            let key = key(1);
            Config { key, manifest, external, hints, discovery }
        })
}

/// The key that stands in where none is asked for anything.
struct Nobody;

impl Holder for Nobody {
    fn sign(&self, _: &[u8; 32]) -> Signature {
        unreachable!("nothing is signed")
    }

    fn agree(&self, _: &Point) -> [u8; 33] {
        unreachable!("nothing is agreed on")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_input_is_read_as_it_was_written(input in input(), now in any::<u64>()) {
        let written = encoded(Mono(now), &input.input());
        let (mut room, mut from) = (Room::default(), Reader(&written));
        let read = input::decode(&mut from, &mut room);
        prop_assert_eq!(read, Some((Mono(now), input.input())));
        prop_assert!(from.is_at_end());
        // Of one form only: what was cut off or added to is no input.
        let mut room = Room::default();
        prop_assert_eq!(input::decode(&mut Reader(&written[..written.len() - 1]), &mut room), None);
    }

    /// Behind the checks of frames there is no other that keeps damage out.
    #[test]
    fn damaged_content_is_refused_or_is_another_input(
        input in input(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut written = encoded(Mono(1), &input.input());
        let at = at.index(written.len());
        written[at] = byte;
        let (mut room, mut from) = (Room::default(), Reader(&written));
        if let Some((now, input)) = input::decode(&mut from, &mut room) && from.is_at_end() {
            prop_assert_eq!(encoded(now, &input), written);
        }
    }

    #[test]
    fn a_start_is_read_as_it_was_written(
        config in config(),
        seed in any::<[u8; 32]>(),
        times in any::<(u64, u64)>(),
        values in proptest::collection::vec(bytes(), 0..4),
    ) {
        let rows = values.into_iter().map(|value| Row { key: NodeId(seed), value: value.into() });
        let rows: Vec<Row> = rows.collect();
        let (times, mut recorded, mut out) = ((Mono(times.0), Wall(times.1)), config.clone(), Vec::new());
        drop(Recorder::start("a test", &mut recorded, seed, times, &rows, &mut out));
        let mut frames = Frames::of(&out).expect("a recording");
        let Ok(Some(Frame::Start(start))) = frames.next() else { panic!("no start") };
        prop_assert_eq!((start.made_by.as_str(), start.seed, (start.now, start.wall)), ("a test", seed, times));
        let read = start.config(Arc::new(Nobody));
        prop_assert_eq!(read.key.public_key(), config.key.public_key());
        prop_assert_eq!(read.manifest, config.manifest);
        prop_assert_eq!((read.external, read.hints), (config.external, config.hints));
        let of = |it: Option<Settings>| it.map(|Settings { boot, protocols }| (boot, protocols));
        prop_assert_eq!(of(read.discovery), of(config.discovery));
        for row in rows {
            prop_assert!(matches!(frames.next(), Ok(Some(Frame::Row(read))) if read == row));
        }
        prop_assert!(matches!(frames.next(), Ok(None)));
        prop_assert_eq!(frames.left(), 0);
    }

    #[test]
    fn whatever_is_read_as_a_recording_is_no_panic(tail in bytes(), whole in any::<bool>()) {
        let mut recording = Vec::new();
        let mut chain = frame::Chain::begin(&mut recording);
        let kind = tail.first().copied().unwrap_or(1) % 7;
        match whole {
            // Checks that hold, over anything.
            true => chain.frame(kind, &mut recording, |content| content.0.extend_from_slice(&tail)),
            false => recording.extend_from_slice(&tail),
        }
        let mut frames = Frames::of(&recording).expect("it begins as one");
        while let Ok(Some(_)) = frames.next() {}
    }
}
