//! Inputs as bytes.

use bytes::Bytes;

use super::code::{Reader, Writer};
use super::start;
use crate::cluster::{Manifest, OperatorIndex};
use crate::discovery::contact::Contact;
use crate::discovery::message::RequestId;
use crate::discovery::{Ask, Talk};
use crate::keys::PublicKey;
use crate::node::{DialId, Input, LinkId, Ticket};
use crate::record::{NodeId, Signed};
use crate::time::Mono;

/// Room for what an input borrows.
#[derive(Clone, Debug, Default)]
pub struct Room {
    manifest: Option<Manifest>,
    ask: Option<Ask>,
    talk: Option<Talk>,
    fresh: [u8; 32],
}

pub(super) fn encode(now: Mono, input: &Input<'_>, out: &mut Writer<'_>) {
    out.u64(now.0);
    match *input {
        Input::LinkOpened { link, peer, remote, dial } => {
            out.u8(1);
            out.u64(link.0);
            out.array(peer.as_bytes());
            out.address(remote);
            out.maybe(dial, |out, dial| out.u64(dial.0));
        }
        Input::DialFailed { dial } => tagged(2, dial.0, out),
        Input::LinkBytes { link, bytes } => {
            tagged(3, link.0, out);
            out.bytes(bytes);
        }
        Input::LinkMoved { link, remote } => {
            tagged(4, link.0, out);
            out.address(remote);
        }
        Input::LinkClosed { link } => tagged(5, link.0, out),
        Input::Bound { local } => {
            out.u8(6);
            out.address(local);
        }
        Input::AddressUp { ip } => {
            out.u8(7);
            out.ip(ip);
        }
        Input::AddressDown { ip } => {
            out.u8(8);
            out.ip(ip);
        }
        Input::Durable { ticket } => tagged(9, ticket.0, out),
        Input::Hint { operator, address } => {
            out.u8(10);
            out.u8(operator.0);
            out.address(address);
        }
        Input::Wake => out.u8(11),
        Input::Datagram { from, bytes } => {
            out.u8(12);
            out.address(from);
            out.bytes(bytes);
        }
        Input::Ask { id, ask } => {
            tagged(13, id, out);
            encode_ask(ask, out);
        }
        Input::TalkBack { talk, response } => {
            out.u8(14);
            encode_talk(talk, out);
            out.bytes(response);
        }
        Input::Manifest { manifest } => {
            out.u8(15);
            start::encode_manifest(manifest, out);
        }
        Input::Entropy { fresh } => {
            out.u8(16);
            out.array(fresh);
        }
    }
}

fn tagged(tag: u8, number: u64, out: &mut Writer<'_>) {
    out.u8(tag);
    out.u64(number);
}

pub(super) fn decode<'a, 'b: 'a>(
    from: &mut Reader<'b>,
    room: &'a mut Room,
) -> Option<(Mono, Input<'a>)> {
    let now = Mono(from.u64()?);
    let input = match from.u8()? {
        1 => Input::LinkOpened {
            link: LinkId(from.u64()?),
            peer: PublicKey::from_bytes(&from.array::<33>()?).ok()?,
            remote: from.address()?,
            dial: from.maybe(|from| from.u64().map(DialId))?,
        },
        2 => Input::DialFailed { dial: DialId(from.u64()?) },
        3 => Input::LinkBytes { link: LinkId(from.u64()?), bytes: from.bytes()? },
        4 => Input::LinkMoved { link: LinkId(from.u64()?), remote: from.address()? },
        5 => Input::LinkClosed { link: LinkId(from.u64()?) },
        6 => Input::Bound { local: from.address()? },
        7 => Input::AddressUp { ip: from.ip()? },
        8 => Input::AddressDown { ip: from.ip()? },
        9 => Input::Durable { ticket: Ticket(from.u64()?) },
        10 => Input::Hint { operator: OperatorIndex(from.u8()?), address: from.address()? },
        11 => Input::Wake,
        12 => Input::Datagram { from: from.address()?, bytes: from.bytes()? },
        13 => Input::Ask { id: from.u64()?, ask: room.ask.insert(decode_ask(from)?) },
        14 => {
            let talk = room.talk.insert(decode_talk(from)?);
            Input::TalkBack { talk, response: from.bytes()? }
        }
        15 => Input::Manifest { manifest: room.manifest.insert(start::decode_manifest(from)?) },
        16 => {
            room.fresh = from.array()?;
            Input::Entropy { fresh: &room.fresh }
        }
        _ => return None,
    };
    Some((now, input))
}

fn encode_ask(ask: &Ask, out: &mut Writer<'_>) {
    match ask {
        Ask::Ping(node) => {
            out.u8(1);
            out.bytes(node.as_bytes());
        }
        Ask::FindNode(node, distances) => {
            out.u8(2);
            out.bytes(node.as_bytes());
            out.many(distances, |out, distance| out.u16(*distance));
        }
        Ask::Talk { node, protocol, request } => {
            out.u8(3);
            out.bytes(node.as_bytes());
            out.bytes(protocol);
            out.bytes(request);
        }
        Ask::Find(NodeId(id)) => {
            out.u8(4);
            out.array(id);
        }
    }
}

fn decode_ask(from: &mut Reader<'_>) -> Option<Ask> {
    Some(match from.u8()? {
        1 => Ask::Ping(record(from)?),
        2 => Ask::FindNode(record(from)?, from.many(Reader::u16)?),
        3 => Ask::Talk { node: record(from)?, protocol: owned(from)?, request: owned(from)? },
        4 => Ask::Find(NodeId(from.array()?)),
        _ => return None,
    })
}

fn encode_talk(talk: &Talk, out: &mut Writer<'_>) {
    let Talk { from: Contact { id: NodeId(node), at }, id, protocol, request } = talk;
    out.array(node);
    out.address(*at);
    out.bytes(id.as_bytes());
    out.bytes(protocol);
    out.bytes(request);
}

fn decode_talk(from: &mut Reader<'_>) -> Option<Talk> {
    Some(Talk {
        from: Contact { id: NodeId(from.array()?), at: from.address()? },
        id: RequestId::new(from.bytes()?)?,
        protocol: owned(from)?,
        request: owned(from)?,
    })
}

pub(super) fn record(from: &mut Reader<'_>) -> Option<Signed> {
    Signed::from_bytes(from.bytes()?).ok()
}

pub(super) fn owned(from: &mut Reader<'_>) -> Option<Bytes> {
    from.bytes().map(Bytes::copy_from_slice)
}
