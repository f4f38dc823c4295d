//! What a node asks and answers within sessions. Tests are named after the statements of the
//! specification that they check, and after its consequences.

mod lone;
mod peer;

use std::time::Duration;

use bytes::Bytes;
use lone::Lone;
use peer::hands::{drawn, refused};
use peer::{Forgery, Heard, Peer, answer, ask, key, node, nodes, pass};
use stayfound_core::discovery::message::{Distances, Message, RequestId};
use stayfound_core::discovery::packet::PACKET_BYTES_MAX;
use stayfound_core::discovery::request::{FETCHES_MAX, NODES_PACKETS_MAX, ROUND_TRIP_WITHIN};
use stayfound_core::discovery::table::BUCKET_INBOUND;
use stayfound_core::discovery::talk::{TALK_WITHIN, TALKS_PER_CONTACT_MAX};
use stayfound_core::discovery::{Answer, Ask, Talk};
use stayfound_core::node::{Counter, Event, Input};
use stayfound_core::record::{Endpoints, NodeId, RECORDS_REMEMBERED_MAX, Signed};

const NEAR: &str = "192.0.2.7:9000";

fn connected(number: u16, at: &str) -> (Lone, Peer) {
    let mut lone = node();
    let mut peer = Peer::new(number, at);
    peer.connects(&mut lone);
    (lone, peer)
}

/// The id of the FINDNODE that the application has just had sent to this peer.
fn asked(lone: &mut Lone, peer: &mut Peer) -> RequestId {
    let texts = peer.told(lone);
    let [text] = &texts[..] else { panic!("{texts:?}") };
    let Ok(Message::FindNode { id, .. }) = Message::decode(text) else { panic!("no FINDNODE") };
    id
}

/// A peer whose answers are all about the others, which it knows at this distance from itself.
fn known_to(peer: &Peer, distance: u16, n: usize) -> Vec<Signed> {
    let mut from = 1;
    let others = (0..n).map(|place| {
        let (key, number) = peer::key_at(&peer.id, distance, from);
        from = number + 1;
        let at = format!("20.0.{place}.1:9000").parse().unwrap();
        Signed::sign(&key, 1, &Endpoints::at([at]))
    });
    others.collect()
}

#[test]
fn r03_nothing_is_sent_again_for_want_of_an_answer() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    lone.pass(Duration::from_secs(30));
    assert_eq!(peer.inbox(&mut lone).len(), 1);
    let (mut lone, mut peer) = connected(1, NEAR);
    ask(&mut lone, 1, &Ask::FindNode(peer.record.clone(), vec![0]));
    lone.pass(Duration::from_secs(5));
    let texts = peer.told(&mut lone);
    let finds = texts.iter().filter(|text| match Message::decode(text) {
        Ok(Message::FindNode { distances, .. }) => distances.iter().eq([0]),
        _ => false,
    });
    assert_eq!(finds.count(), 1, "whatever else comes is another question");
}

#[test]
fn r04_a_request_has_its_time_and_a_handshake_as_much_again() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    lone.pass(ROUND_TRIP_WITHIN - Duration::from_millis(1));
    assert_eq!(answer(&lone, 1), None);
    let heard = peer.hear_all(&mut lone);
    let [Heard::Sealed(nonce)] = &heard[..] else { panic!("{heard:?}") };
    let challenge = peer.challenge(nonce, 0);
    peer.send(&mut lone, &challenge);
    lone.pass(ROUND_TRIP_WITHIN - Duration::from_millis(1));
    assert_eq!(answer(&lone, 1), None);
    lone.pass(Duration::from_millis(1));
    assert_eq!(answer(&lone, 1), Some(Answer::Silence));
}

#[test]
fn r05_an_answer_goes_to_where_the_question_came_from() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.at = "192.0.2.99:1234".parse().unwrap(); // its record says otherwise
    peer.connects(&mut lone);
    let id = peer.request_id();
    let texts = peer.asks(&mut lone, &Message::Ping { id, enr_seq: 1 });
    let observed = peer.at;
    let pong = Message::Pong { id, enr_seq: lone.own().seq(), observed };
    assert_eq!(Message::decode(&texts[0]), Ok(pong));
    assert!(lone.datagrams.is_empty(), "and nothing to where its record says");
}

#[test]
fn r48_distance_zero_is_our_own_current_record() {
    let (mut lone, mut peer) = connected(1, NEAR);
    assert_eq!(peer.finds(&mut lone, &[0]), [lone.own().clone()]);
    let before = lone.own().clone();
    lone.up("203.0.113.77");
    lone.down(peer::HOME);
    peer.inbox(&mut lone);
    assert!(lone.own().seq() > before.seq());
    assert_eq!(peer.finds(&mut lone, &[0]), [lone.own().clone()]);
}

#[test]
fn r51_an_answer_has_so_many_packets_and_no_more() {
    let (mut lone, mut peer) = connected(1, NEAR);
    ask(&mut lone, 1, &Ask::FindNode(peer.record.clone(), vec![256]));
    let id = asked(&mut lone, &mut peer);
    for sent in 1..=NODES_PACKETS_MAX + 4 {
        assert_eq!(answer(&lone, 1).is_some(), sent > NODES_PACKETS_MAX, "before packet {sent}");
        peer.say(&mut lone, &nodes(id, 1 << 32, &[]));
    }
    assert_eq!(lone.count(Counter::ResponsesUnasked), 4);
    assert_eq!(answer(&lone, 1), Some(Answer::Nodes(vec![])));
}

#[test]
fn r52_only_records_that_were_asked_for_count() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let good = known_to(&peer, 255, 2);
    let wrong = known_to(&peer, 254, 1);
    ask(&mut lone, 1, &Ask::FindNode(peer.record.clone(), vec![255, peer.distance()]));
    let id = asked(&mut lone, &mut peer);
    let own = lone.own().clone();
    let told = [good[0].clone(), wrong[0].clone(), own, good[0].clone(), good[1].clone()];
    let mut bytes = peer.seal(&nodes(id, 2, &told));
    peer.send(&mut lone, &bytes);
    // A record whose signature does not verify, in the second packet.
    let forged = known_to(&peer, 255, 3).remove(2);
    let mut list = forged.as_bytes().to_vec();
    *list.last_mut().unwrap() ^= 1;
    assert!(Signed::from_bytes(&list).is_err());
    bytes = peer.seal_records(id, 2, &list);
    peer.send(&mut lone, &bytes);
    assert_eq!(answer(&lone, 1), Some(Answer::Nodes(good)));
}

#[test]
fn r54_a_record_without_an_endpoint_is_not_relayed() {
    let mut lone = node();
    let mut homeless = Peer::new(1, NEAR);
    homeless.record = Signed::sign(&homeless.key, 1, &Endpoints::default());
    homeless.connects(&mut lone);
    let mut peer = Peer::new(2, "203.0.113.3:9000");
    peer.connects(&mut lone);
    assert_eq!(peer.finds(&mut lone, &[homeless.distance()]), []);
    assert_eq!(homeless.finds(&mut lone, &[peer.distance()]), [peer.record.clone()]);
}

#[test]
fn r55_special_addresses_do_not_cross_networks() {
    let mut lone = node();
    let mut local = Peer::new(1, "127.0.0.1:9000");
    let mut private = Peer::new(2, "10.0.0.2:9000");
    let mut public = Peer::new(3, "203.0.113.3:9000");
    for peer in [&mut local, &mut private, &mut public] {
        peer.connects(&mut lone);
    }
    let mut all: Vec<u16> = [&local, &private, &public].map(Peer::distance).to_vec();
    all.dedup();
    let ids = |found: Vec<Signed>| {
        let mut ids: Vec<NodeId> = found.iter().map(Signed::node_id).collect();
        ids.sort_unstable();
        ids
    };
    let expected = |peers: &[&Peer]| {
        let mut ids: Vec<NodeId> = peers.iter().map(|peer| peer.id).collect();
        ids.sort_unstable();
        ids
    };
    let everyone = expected(&[&local, &private, &public]);
    assert_eq!(ids(local.finds(&mut lone, &all)), everyone);
    assert_eq!(ids(private.finds(&mut lone, &all)), expected(&[&private, &public]));
    assert_eq!(ids(public.finds(&mut lone, &all)), expected(&[&public]));
    // Nor are they believed when somebody out there tells of them.
    let distance = 255;
    let (key, _) = peer::key_at(&public.id, distance, 1);
    for at in ["127.0.0.1:80", "192.168.1.1:80", "169.254.0.1:80", "[fe80::1]:80"] {
        ask(&mut lone, 1, &Ask::FindNode(public.record.clone(), vec![distance]));
        let id = asked(&mut lone, &mut public);
        let endpoints = match at.parse().unwrap() {
            std::net::SocketAddr::V4(at) => {
                Endpoints { ip: Some(*at.ip()), udp: Some(at.port()), ..Endpoints::default() }
            }
            std::net::SocketAddr::V6(at) => {
                Endpoints { ip6: Some(*at.ip()), udp6: Some(at.port()), ..Endpoints::default() }
            }
        };
        let told = [Signed::sign(&key, 1, &endpoints)];
        public.say(&mut lone, &nodes(id, 1, &told));
        assert_eq!(answer(&lone, 1), Some(Answer::Nodes(vec![])), "{at}");
        lone.events.clear();
        assert!(lone.datagrams.is_empty(), "nothing goes to {at}");
    }
}

#[test]
fn r56_talk_is_always_answered() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let id = RequestId::new(&[]).unwrap();
    let texts =
        peer.asks(&mut lone, &Message::TalkRequest { id, protocol: b"unknown", request: b"x" });
    assert_eq!(Message::decode(&texts[0]), Ok(Message::TalkResponse { id, response: &[] }));
}

#[test]
fn r58_an_answer_counts_if_it_was_asked_for() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let mut other = Peer::new(2, "192.0.2.99:9000");
    other.connects(&mut lone);
    ask(&mut lone, 1, &Ask::FindNode(peer.record.clone(), vec![0]));
    let id = asked(&mut lone, &mut peer);
    let own = [peer.record.clone()];
    other.say(&mut lone, &nodes(id, 1, &own)); // of whom nothing was asked
    peer.say(&mut lone, &Message::TalkResponse { id, response: b"x" });
    peer.say(&mut lone, &Message::Pong { id, enr_seq: 1, observed: peer::home() });
    let strange = peer.request_id();
    peer.say(&mut lone, &nodes(strange, 1, &own));
    let short = RequestId::new(&[1]).unwrap();
    peer.say(&mut lone, &nodes(short, 1, &own));
    assert_eq!(lone.count(Counter::ResponsesUnasked), 5);
    assert_eq!(answer(&lone, 1), None);
    peer.say(&mut lone, &nodes(id, 1, &own));
    assert_eq!(answer(&lone, 1), Some(Answer::Nodes(own.to_vec())));
    peer.say(&mut lone, &nodes(id, 1, &own));
    assert_eq!(lone.count(Counter::ResponsesUnasked), 6, "it has ended");
}

#[test]
fn r69_a_record_is_replaced_by_a_newer_one_only() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let mut asker = Peer::new(2, "203.0.113.3:9000");
    asker.connects(&mut lone);
    let older = peer.record.clone();
    peer.reissues(5, &[NEAR]);
    for (told, held) in [(peer.record.clone(), 5), (older, 5)] {
        ask(&mut lone, 1, &Ask::FindNode(peer.record.clone(), vec![0]));
        let id = asked(&mut lone, &mut peer);
        peer.say(&mut lone, &nodes(id, 1, &[told]));
        let found = asker.finds(&mut lone, &[peer.distance()]);
        assert_eq!(found.iter().map(Signed::seq).collect::<Vec<_>>(), [held]);
    }
}

/// Our memory of verified records is limited: what is forgotten there does not come back older.
#[test]
fn r69_what_is_forgotten_comes_not_back_older() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let older = peer.record.clone();
    peer.reissues(5, &[NEAR]);
    peer.connects(&mut lone);
    for place in 0..RECORDS_REMEMBERED_MAX as u16 {
        let [high, low] = place.to_be_bytes();
        Peer::new(place + 10, &format!("21.{high}.{low}.7:9000")).shakes_hands(&mut lone);
        lone.datagrams.clear();
        lone.now = lone.now + Duration::from_millis(1);
    }
    let mut liar = Peer::new(2, "203.0.113.3:9000");
    liar.serves = vec![older];
    liar.connects(&mut lone);
    ask(&mut lone, 1, &Ask::FindNode(liar.record.clone(), vec![liar.id.log_distance(&peer.id)]));
    liar.answers(&mut lone);
    assert!(answer(&lone, 1).is_some());
    let (_, enr_seq) = drawn(&mut lone, &mut peer.moved("192.0.2.8:9000"));
    assert_eq!(enr_seq, 5);
}

#[test]
fn r70_a_higher_seq_is_fetched() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let mut asker = Peer::new(2, "203.0.113.3:9000");
    asker.connects(&mut lone);
    // By a PING of its own.
    peer.reissues(6, &[NEAR]);
    let id = peer.request_id();
    peer.say(&mut lone, &Message::Ping { id, enr_seq: 6 });
    peer.answers(&mut lone);
    assert_eq!(asker.finds(&mut lone, &[peer.distance()]), [peer.record.clone()]);
    // By its PONG.
    peer.reissues(7, &[NEAR]);
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    peer.answers(&mut lone);
    assert_eq!(asker.finds(&mut lone, &[peer.distance()]), [peer.record.clone()]);
}

#[test]
fn r70_nobody_has_us_fetch_without_end() {
    let mut lone = node();
    let mut asked = 0;
    for number in 0..2 * FETCHES_MAX as u16 {
        let mut peer = Peer::new(number + 1, &format!("20.0.{number}.7:9000"));
        peer.claims = Some(u64::MAX);
        peer.shakes_hands(&mut lone);
        let find = |heard: &Heard| match heard {
            Heard::Message(_, text) => {
                matches!(Message::decode(text), Ok(Message::FindNode { .. }))
            }
            _ => false,
        };
        asked += peer.hear_all(&mut lone).iter().filter(|heard| find(heard)).count();
    }
    assert_eq!(asked, FETCHES_MAX);
}

#[test]
fn r71_who_does_not_know_where_it_is_says_nothing_of_it() {
    let lone = Lone::on_host(peer::alone(vec![]), &[]);
    assert_eq!(lone.own().endpoints(), Endpoints::default());
}

#[test]
fn r72_where_we_are_is_what_many_see() {
    let mut lone = Lone::on_host(peer::alone(vec![]), &["10.0.0.2"]);
    let seen = "198.51.100.99:4444".parse().unwrap();
    let mut peers: Vec<Peer> =
        (0..10).map(|n| Peer::new(n + 1, &format!("20.0.{n}.7:9000"))).collect();
    for (place, peer) in peers.iter_mut().enumerate() {
        assert_ne!(lone.own().endpoints(), Endpoints::at([seen]), "{place} do not suffice");
        peer.sees = seen;
        peer.connects(&mut lone); // it is pinged back
    }
    assert_eq!(lone.own().endpoints(), Endpoints::at([seen]));
}

#[test]
fn r81_a_contact_is_pinged_back_at_once() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.shakes_hands(&mut lone);
    let texts = peer.told(&mut lone);
    let pings = texts.iter().filter(|t| matches!(Message::decode(t), Ok(Message::Ping { .. })));
    assert_eq!(pings.count(), 1);
}

/// Consequence 5: up to 16 packets in any order, wrong distances do not cost the rest.
#[test]
fn c05_an_answer_may_come_in_sixteen_packets() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let known = known_to(&peer, 256, 20);
    let wrong = known_to(&peer, 253, 1);
    ask(&mut lone, 1, &Ask::FindNode(peer.record.clone(), vec![256]));
    let id = asked(&mut lone, &mut peer);
    for place in (0..16).rev() {
        let part: Vec<Signed> =
            known.iter().skip(place).step_by(16).chain(&wrong).cloned().collect();
        peer.say(&mut lone, &nodes(id, 16, &part));
    }
    let Some(Answer::Nodes(found)) = answer(&lone, 1) else { panic!("no answer") };
    assert_eq!(found.len(), 20);
}

#[test]
fn c05_what_came_counts_when_the_rest_is_lost() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let known = known_to(&peer, 256, 3);
    ask(&mut lone, 1, &Ask::FindNode(peer.record.clone(), vec![256]));
    let id = asked(&mut lone, &mut peer);
    peer.say(&mut lone, &nodes(id, 5, &known));
    assert_eq!(answer(&lone, 1), None);
    lone.pass(ROUND_TRIP_WITHIN);
    assert_eq!(answer(&lone, 1), Some(Answer::Nodes(known)));
}

/// Consequence 6, R49: at most 16 records, as few packets as fit.
#[test]
fn c06_an_answer_is_packed_by_size() {
    let mut lone = node();
    let distances = [256, 255, 254];
    strangers(&mut lone, &distances, |_| true);
    let mut asker = Peer::new(1, NEAR);
    asker.connects(&mut lone);
    let id = asker.request_id();
    let distances = Distances::from(&[256, 0, 255, 254][..]);
    asker.say(&mut lone, &Message::FindNode { id, distances });
    let inbox = asker.inbox(&mut lone);
    assert!(inbox.iter().all(|bytes| bytes.len() <= PACKET_BYTES_MAX));
    let mut counts = Vec::new();
    for bytes in &inbox {
        let Heard::Message(_, text) = asker.hear(bytes) else { panic!("no message") };
        let Ok(Message::Nodes { records, total, .. }) = Message::decode(&text) else {
            panic!("no NODES")
        };
        assert_eq!(total, inbox.len() as u64);
        counts.push(records.iter().count());
    }
    assert_eq!(counts, [8, 8], "our own and fifteen others, eight in a packet");
}

/// Eight peers at each of these distances from the node, of which some answer.
fn strangers(lone: &mut Lone, distances: &[u16], answers: impl Fn(usize) -> bool) -> Vec<Peer> {
    let home = NodeId::of(&key(0).public_key().point());
    let mut peers: Vec<Peer> = Vec::new();
    for distance in distances {
        let mut from = 1;
        for place in 0..8 {
            let (key, number) = peer::key_at(&home, *distance, from);
            from = number + 1;
            let at = format!("20.{distance}.{place}.7:9000").replace("256", "253");
            let mut other = Peer::of(key, at.parse().unwrap(), 1);
            if answers(place) {
                other.connects(lone)
            } else {
                other.shakes_hands(lone)
            }
            peers.push(other);
        }
    }
    peers
}

#[test]
fn r53_who_never_answered_is_told_to_nobody() {
    let mut lone = node();
    let peers = strangers(&mut lone, &[256], |place| place % 2 == 0);
    let mut asker = Peer::new(1, "127.0.0.1:9000");
    asker.shakes_hands(&mut lone);
    asker.inbox(&mut lone);
    let mut found = asker.finds(&mut lone, &[256]);
    let mut expected: Vec<Signed> = peers.iter().step_by(2).map(|p| p.record.clone()).collect();
    found.sort_by_key(Signed::node_id);
    expected.sort_by_key(Signed::node_id);
    assert_eq!(found, expected);
}

/// Whoever connects gets half of a bucket; whom we hear of elsewhere has the rest.
#[test]
fn r80_whoever_connects_does_not_own_a_bucket() {
    let mut lone = node();
    let inbound = strangers(&mut lone, &[256], |_| true);
    let home = NodeId::of(&key(0).public_key().point());
    let mut number = 1_000;
    for place in 0..8u8 {
        let key;
        (key, number) = peer::key_at(&home, 256, number + 1);
        Peer::of(key, format!("21.0.{place}.7:9000").parse().unwrap(), 1).connects(&mut lone);
    }
    let mut asker = Peer::new(1, "127.0.0.1:9000");
    asker.connects(&mut lone);
    let found = asker.finds(&mut lone, &[256]);
    assert_eq!(found.len(), BUCKET_INBOUND);
    assert!(found.iter().all(|record| inbound.iter().any(|peer| peer.record == *record)));
}

/// Consequence 7: who fell silent is asked again only after a while.
#[test]
fn c07_who_is_silent_is_left_alone() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    lone.pass(Duration::from_secs(300));
    let quiet = peer.inbox(&mut lone).len();
    assert!(quiet <= 300 / 2, "{quiet} packets in five minutes of silence");
}

/// Consequence 10: who joins makes itself known, so that a look-up of its id succeeds at once.
#[test]
fn c10_a_joiner_is_known_to_those_closest() {
    let mut boot = Peer::new(1, NEAR);
    let mut near: Vec<Peer> = (2..12).map(|n| Peer::new(n, &format!("20.0.{n}.7:9000"))).collect();
    boot.serves = near.iter().map(|peer| peer.record.clone()).collect();
    let mut lone = Lone::on_host(peer::alone(vec![boot.record.clone()]), &[peer::HOME]);
    near.push(boot);
    pass(&mut lone, &mut near, Duration::from_secs(5));
    let told = near.iter().filter(|peer| peer.packets > 0).count();
    let asked: Vec<u16> = near.iter().map(Peer::distance).collect();
    assert!(told >= 4, "{told} of {asked:?} know that there is somebody new");
}

#[test]
fn a_talk_of_the_application_goes_both_ways() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let talk = Ask::Talk {
        node: peer.record.clone(),
        protocol: Bytes::from_static(b"p"),
        request: Bytes::from_static(b"q"),
    };
    ask(&mut lone, 1, &talk);
    let texts = peer.told(&mut lone);
    let Ok(Message::TalkRequest { id, protocol: b"p", request: b"q" }) = Message::decode(&texts[0])
    else {
        panic!()
    };
    peer.say(&mut lone, &Message::TalkResponse { id, response: b"r" });
    assert_eq!(answer(&lone, 1), Some(Answer::Talk(Bytes::from_static(b"r"))));
}

/// Who did not answer is left alone for a minute, unless it comes by itself.
#[test]
fn r81_who_was_silent_and_comes_back_is_pinged_back_at_once() {
    let mut lone = node();
    let (_, mut teller) = connected(1, NEAR);
    let mut peer = Peer::new(2, "192.0.2.8:9000");
    teller.connects(&mut lone);
    let distance = peer.id.log_distance(&teller.id);
    ask(&mut lone, 1, &Ask::FindNode(teller.record.clone(), vec![distance]));
    teller.serves = vec![peer.record.clone()];
    teller.answers(&mut lone);
    assert_eq!(peer.inbox(&mut lone).len(), 1, "it was told of and is probed");
    lone.pass(Duration::from_secs(5));
    assert_eq!(peer.inbox(&mut lone).len(), 0, "it is left alone");
    peer.shakes_hands(&mut lone);
    let texts = peer.told(&mut lone);
    let pings = texts.iter().filter(|t| matches!(Message::decode(t), Ok(Message::Ping { .. })));
    assert_eq!(pings.count(), 1);
}

/// Nor does a stranger's word of itself have us probe our own network.
#[test]
fn r55_nobody_says_of_itself_that_it_is_in_our_network() {
    let (mut lone, mut peer) = connected(1, NEAR);
    peer.reissues(2, &["192.168.1.1:80"]);
    lone.datagrams.clear();
    let id = peer.request_id();
    peer.say(&mut lone, &Message::Ping { id, enr_seq: 2 });
    peer.answers(&mut lone);
    lone.pass(Duration::from_secs(60));
    let inside =
        |(to, _): &&(std::net::SocketAddr, bytes::Bytes)| to.ip().to_string() == "192.168.1.1";
    assert_eq!(lone.datagrams.iter().filter(inside).count(), 0);
}

/// TALKREQs in the protocol that the application answers, and what it was handed of them.
fn handed(lone: &mut Lone, peer: &mut Peer, ids: impl IntoIterator<Item = u64>) -> Vec<Talk> {
    for id in ids {
        let id = RequestId::from_u64(id);
        peer.say(lone, &Message::TalkRequest { id, protocol: b"echo", request: b"q" });
    }
    let events = lone.events.drain(..);
    events.filter_map(|e| if let Event::Talk(talk) = e { Some(talk) } else { None }).collect()
}

/// What came of TALKREQs: their ids, and what was said.
fn talked(lone: &mut Lone, peer: &mut Peer) -> Vec<(u64, Vec<u8>)> {
    let texts = peer.told(lone);
    let responses = texts.iter().filter_map(|text| match Message::decode(text) {
        Ok(Message::TalkResponse { id, response }) => {
            Some((u64::from_be_bytes(id.as_bytes().try_into().unwrap()), response.to_vec()))
        }
        _ => None,
    });
    responses.collect()
}

#[test]
fn r56_what_the_application_does_not_answer_is_answered_with_nothing() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let talks = handed(&mut lone, &mut peer, [1, 1, 2]);
    assert_eq!(talks.len(), 2, "the same request is one request");
    lone.input(Input::TalkBack { talk: &talks[1], response: b"r" });
    assert_eq!(talked(&mut lone, &mut peer), [(2, b"r".to_vec())]);
    lone.pass(TALK_WITHIN - Duration::from_millis(1));
    assert_eq!(talked(&mut lone, &mut peer), []);
    lone.pass(Duration::from_millis(1));
    assert_eq!(talked(&mut lone, &mut peer), [(1, vec![])]);
    assert_eq!(lone.count(Counter::TalksUnanswered), 1);
    // Whatever it says then comes too late: one request has one answer.
    talks.iter().for_each(|talk| lone.input(Input::TalkBack { talk, response: b"late" }));
    lone.pass(2 * TALK_WITHIN);
    assert_eq!(talked(&mut lone, &mut peer), []);
}

/// One peer that talks without end takes its share of the application's time, and no more.
#[test]
fn r56_what_is_too_much_for_the_application_is_answered_at_once() {
    let (mut lone, mut peer) = connected(1, NEAR);
    let all = TALKS_PER_CONTACT_MAX as u64 + 8;
    assert_eq!(handed(&mut lone, &mut peer, 0..all).len(), TALKS_PER_CONTACT_MAX);
    let nothing: Vec<(u64, Vec<u8>)> =
        (TALKS_PER_CONTACT_MAX as u64..all).map(|id| (id, vec![])).collect();
    assert_eq!(talked(&mut lone, &mut peer), nothing);
    let mut other = Peer::new(2, "192.0.2.8:9000");
    other.connects(&mut lone);
    assert_eq!(handed(&mut lone, &mut other, [1]).len(), 1);
}

/// Whatever is refused is counted, and why.
#[test]
fn what_is_refused_is_counted_with_its_reason() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    let (own, home) = (peer.id.0, NodeId::of(&key(0).public_key().point()).0);
    let with_sizes = |sizes: [u8; 2], rest: usize| [&own[..], &sizes, &vec![1; rest]].concat();
    let cases = [
        (vec![1; 62], Counter::PacketsOfWrongSize),
        (vec![1; 100], Counter::PacketsForeign),
        (peer.raw(3, &own, &[1; 44]), Counter::PacketsOfNoKind),
        (peer.raw(0, &own[1..], &[1; 44]), Counter::PacketsOfWrongAuthdata),
        (peer.raw(1, &[1; 24], &[1; 16]), Counter::PacketsWithMessage),
        (peer.raw(0, &own, &[1; 15]), Counter::PacketsWithoutTag),
        (peer.raw(2, &own[1..], &[1; 44]), Counter::PacketsCutInHead),
        (peer.raw(2, &with_sizes([64, 33], 96), &[1; 44]), Counter::PacketsCutInHandshake),
        (peer.raw(2, &with_sizes([65, 33], 98), &[1; 44]), Counter::PacketsOfOtherScheme),
        (peer.raw(0, &home, &[1; 44]), Counter::PacketsOfOurOwn),
    ];
    for (place, (bytes, reason)) in cases.iter().enumerate() {
        peer.send(&mut lone, bytes);
        assert_eq!(lone.count(*reason), 1, "{reason:?}");
        assert_eq!(lone.count(Counter::PacketsInvalid), place + 1);
    }
    let forgeries = [
        (Forgery { record: Some(None), ..Forgery::default() }, Counter::HandshakesOfNoRecord),
        (Forgery { signer: Some(key(9)), ..Forgery::default() }, Counter::HandshakesUnproved),
        (Forgery { bad_message: true, ..Forgery::default() }, Counter::HandshakesSealed),
    ];
    for (place, (forgery, reason)) in forgeries.iter().enumerate() {
        let mut peer = Peer::new(place as u16 + 2, NEAR);
        let (data, _) = drawn(&mut lone, &mut peer);
        refused(&mut lone, &mut peer, &data, forgery);
        assert_eq!(lone.count(*reason), 1, "{reason:?}");
        assert_eq!(lone.count(Counter::HandshakesInvalid), place + 1);
    }
}
