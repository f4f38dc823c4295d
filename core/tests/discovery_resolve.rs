//! An operator's node and discovery: whom it looks for and when, and what it does with what is
//! found.

mod lone;
mod peer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use lone::{Lone, address, config, key, manifest, node_id, operator, record, seen};
use peer::hands::ping;
use peer::{Heard, Peer, pass, settings};
use stayfound_core::cluster::Manifest;
use stayfound_core::database::Row;
use stayfound_core::discovery::Ask;
use stayfound_core::discovery::message::Message;
use stayfound_core::discovery::seeds::SEEDS_KEY;
use stayfound_core::discovery::vote::VOTES_NEEDED;
use stayfound_core::node::{Config, Event, FLOOR_WITHIN};
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_core::time::Mono;

const HOME: &str = peer::HOME;

/// A stranger that answers, facing operator 0.
fn stranger(number: u16) -> Peer {
    Peer::new(number, &format!("20.0.{number}.7:9000")).facing(&key(0))
}

/// Operator 0 of a cluster of four, which knows these strangers.
fn cluster(boot: &[&Peer]) -> Config {
    let boot = boot.iter().map(|peer| peer.record.clone()).collect();
    Config { discovery: Some(settings(boot)), ..config(4) }
}

fn found(lone: &Lone, who: u8) -> Option<Signed> {
    lone.events.iter().rev().find_map(|event| match event {
        Event::Record { operator: of, record } if *of == operator(who) => Some(record.clone()),
        _ => None,
    })
}

/// Everybody else moved at once and nobody is linked: strangers know where they are.
#[test]
fn operators_that_moved_are_found_through_strangers() {
    let mut strangers: Vec<Peer> = (1..5).map(stranger).collect();
    let boot: Vec<&Peer> = strangers.iter().collect();
    let mut lone = Lone::settled(cluster(&boot), &[HOME]);
    pass(&mut lone, &mut strangers, Duration::from_secs(5));
    let olds = [1, 2, 3].map(|who| lone.greet(who, &format!("192.0.2.{who}:3610")));
    let news: Vec<Signed> =
        (1..4).map(|who| record(who, 5, &[&format!("203.0.113.{who}:3610")])).collect();
    for place in 0..3 {
        strangers[place].serves = vec![news[place].clone()];
        lone.close(olds[place]);
    }
    lone.dials.clear();
    pass(&mut lone, &mut strangers, Duration::from_secs(12));
    for (who, news) in (1..4).zip(&news) {
        assert_eq!(found(&lone, who).as_ref(), Some(news), "operator {who}");
        let at = address(&format!("203.0.113.{who}:3610"));
        assert!(lone.dials.iter().any(|(_, _, address)| *address == at), "{at} is dialled");
    }
}

/// An operator is asked for its record where it was last, and strangers for it; the highest seq of
/// all answers is what counts.
#[test]
fn c08_an_operator_is_asked_where_it_was_last() {
    let at = "203.0.113.1:3610";
    let addresses: [&[&str]; 4] = [&[], &[at], &[], &[]];
    let records = (0..4).map(|who| record(who, 0, addresses[usize::from(who)])).collect();
    let manifest = Manifest::new("test".into(), "UUID".into(), lone::CLUSTER, 1, records).unwrap();
    let mut one = Peer::of(key(1), address(at), 7).facing(&key(0));
    let mut knows = stranger(1);
    knows.serves = vec![record(1, 6, &["192.0.2.6:3610"])];
    let mut lone = Lone::on_host(Config { manifest, ..cluster(&[&knows]) }, &[HOME]);
    let heard = one.hear_all(&mut lone);
    let [Heard::Sealed(nonce)] = &heard[..] else { panic!("{heard:?} at once") };
    let challenge = one.challenge(nonce, 0);
    one.send(&mut lone, &challenge);
    let heard = one.hear_all(&mut lone);
    let [Heard::Handshake(_, text, _)] = &heard[..] else { panic!("{heard:?}") };
    one.replies(&mut lone, text);
    let texts = [one.told(&mut lone), vec![text.clone()]].concat();
    let fetches = |text: &Vec<u8>| match Message::decode(text) {
        Ok(Message::FindNode { distances, .. }) => distances.iter().eq([0]),
        _ => false,
    };
    assert!(texts.iter().any(fetches), "{texts:?}");
    texts.iter().for_each(|text| one.replies(&mut lone, text));
    one.answers(&mut lone);
    pass(&mut lone, &mut [knows], Duration::from_secs(3));
    assert_eq!(found(&lone, 1), Some(one.record));
}

/// When the stranger was asked for operator 1, in milliseconds: a look-up that finds hardly anybody
/// begins again with the boot nodes, and asks it twice.
fn asked(lone: &mut Lone, peer: &mut Peer, distance: u16, span: Duration) -> Vec<u128> {
    let mut times = Vec::new();
    let end = lone.now + span;
    while lone.now < end {
        for heard in peer.hear_all(lone) {
            let text = match heard {
                Heard::Sealed(nonce) => {
                    let bytes = peer.challenge(&nonce, 0);
                    peer.send(lone, &bytes);
                    continue;
                }
                Heard::Message(_, text) | Heard::Handshake(_, text, _) => text,
                Heard::Challenge { .. } => panic!("the stranger's keys are known"),
            };
            if let Ok(Message::FindNode { distances, .. }) = Message::decode(&text)
                && distances.iter().next() == Some(distance)
            {
                let time = lone.now.since(Mono(0)).as_millis();
                if times.last().is_none_or(|last| time - last > 1_000) {
                    times.push(time);
                }
            }
            peer.replies(lone, &text);
        }
        lone.pass(Duration::from_millis(50));
    }
    times
}

/// At once, again and again with growing pauses, five seconds after a loss, and now and then.
#[test]
fn an_operator_is_looked_for_with_growing_pauses() {
    let distance = 248; // nobody else is as near to it
    let (stranger_key, _) = peer::key_at(&node_id(1), distance, 1);
    let mut peer = Peer::of(stranger_key, address("20.0.1.7:9000"), 1).facing(&key(0));
    let mut lone = Lone::on_host(cluster(&[&peer]), &[HOME]);
    let times = asked(&mut lone, &mut peer, distance, Duration::from_secs(1500));
    assert!(times[0] < 500, "at once, not after {} ms", times[0]);
    let pauses: Vec<u128> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (place, pause) in pauses.iter().enumerate() {
        let due = (5_000 << place.min(6)).min(300_000);
        // Seen every 50 ms, and twice rounded.
        let fits = (due * 3 / 4 - 100..=due * 5 / 4 + 100).contains(pause);
        assert!(fits, "pause {place} is of {pause} ms, not of {due}");
    }
    assert!(pauses.len() >= 7, "{pauses:?}");
    // Linked, it is looked for every half an hour.
    let link = lone.greet(1, "192.0.2.1:3610");
    let linked = lone.now.since(Mono(0)).as_millis();
    let times = asked(&mut lone, &mut peer, distance, Duration::from_secs(2_300));
    let [time] = times[..] else { panic!("{times:?} in 2300 s") };
    assert!((1_350_000..=2_251_000).contains(&(time - linked)), "after {} ms", time - linked);
    // Lost, it is looked for when it had five seconds to come back.
    lone.close(link);
    let lost = lone.now.since(Mono(0)).as_millis();
    let times = asked(&mut lone, &mut peer, distance, Duration::from_secs(30));
    assert!((5_000..5_200).contains(&(times[0] - lost)), "after {} ms", times[0] - lost);
}

/// All data is lost and the clock is behind what was signed before: what strangers hold of us is
/// what counts, even if no operator can be reached.
#[test]
fn a_wiped_node_learns_its_seq_from_strangers() {
    let before = record(0, lone::EPOCH.0 + 1_000_000_000, &["192.0.2.200:3610"]);
    let mut strangers: Vec<Peer> = (1..5).map(stranger).collect();
    strangers[2].serves = vec![before.clone()];
    let boot: Vec<&Peer> = strangers.iter().collect();
    let mut lone = Lone::on_host(cluster(&boot), &[HOME]);
    pass(&mut lone, &mut strangers, Duration::from_secs(10));
    assert!(lone.own().seq() > before.seq(), "{:?} is published", lone.own());
    assert_eq!(lone.own_address(), Some(address("198.51.100.1:3610")));
    let heard: Vec<u64> = lone.events.iter().filter_map(own_seq).collect();
    assert!(heard.iter().all(|seq| *seq > before.seq()), "{heard:?} were published");
}

/// The same, when they are asked only after our record would have been issued with it: what is
/// found makes the record due at that very moment.
#[test]
fn a_record_of_ours_that_is_found_late_ends_the_wait_for_it() {
    let before = record(0, lone::EPOCH.0 + 1_000_000_000, &["192.0.2.200:3610"]);
    let manifest = manifest(4, lone::EPOCH.0 + 500_000_000); // the clock is behind that as well
    let mut strangers: Vec<Peer> = (1..5).map(stranger).collect();
    let boot: Vec<&Peer> = strangers.iter().collect();
    let mut lone = Lone::on_host(Config { manifest, ..cluster(&boot) }, &[HOME]);
    pass(&mut lone, &mut strangers, FLOOR_WITHIN + Duration::from_secs(3));
    assert!(!lone.events.iter().any(|event| own_seq(event).is_some()), "it waits");
    let mut visitor = stranger(9);
    visitor.serves = vec![before.clone()];
    let distance = before.node_id().log_distance(&visitor.id);
    peer::ask(&mut lone, 1, &Ask::FindNode(visitor.record.clone(), vec![distance]));
    visitor.answers(&mut lone);
    let heard: Vec<u64> = lone.events.iter().filter_map(own_seq).collect();
    assert!(!heard.is_empty() && heard.iter().all(|seq| *seq > before.seq()), "{heard:?}");
}

fn own_seq(event: &Event) -> Option<u64> {
    match event {
        Event::OwnRecord { record } => Some(record.seq()),
        _ => None,
    }
}

/// The neighbourhood hears of it, and whoever is in touch.
#[test]
fn a_new_record_of_ours_is_told_at_once() {
    let mut strangers: Vec<Peer> = (1..5).map(stranger).collect();
    let boot: Vec<&Peer> = strangers.iter().collect();
    let mut lone = Lone::on_host(cluster(&boot), &[HOME]);
    pass(&mut lone, &mut strangers, Duration::from_secs(20));
    strangers.iter_mut().for_each(|peer| drop(peer.inbox(&mut lone)));
    // One that came by itself, from where its record does not say: in touch, in no table.
    let mut visitor = Peer::new(9, "203.0.113.9:9000").facing(&key(0)).moved("203.0.113.8:9000");
    visitor.connects(&mut lone);
    lone.up("203.0.113.77");
    lone.down(HOME);
    let seq = lone.own().seq();
    for peer in strangers.iter_mut().chain([&mut visitor]) {
        // We are somewhere else: a handshake brings the record itself, whatever session there was.
        for heard in peer.hear_all(&mut lone) {
            if let Heard::Sealed(nonce) = heard {
                let bytes = peer.challenge(&nonce, seq - 1);
                peer.send(&mut lone, &bytes);
            }
        }
        let told = peer.hear_all(&mut lone).into_iter().any(|heard| match heard {
            Heard::Handshake(_, _, Some(record)) => record.seq() == seq,
            _ => false,
        });
        assert!(told, "{} has not heard of seq {seq}", peer.at);
    }
}

/// What an operator says of its own seq is fetched from it, and kept.
#[test]
fn the_seq_that_an_operator_tells_is_fetched() {
    let mut lone = Lone::settled(cluster(&[]), &[HOME]);
    let at = address("203.0.113.1:3610");
    let mut one = Peer::of(key(1), at, 7).facing(&key(0));
    one.connects(&mut lone);
    assert_eq!(found(&lone, 1).map(|record| record.seq()), Some(7), "by its handshake");
    one.reissues(8, &["203.0.113.1:3610"]);
    one.claims = Some(8);
    let id = one.request_id();
    one.say(&mut lone, &Message::Ping { id, enr_seq: 8 });
    one.answers(&mut lone);
    assert_eq!(found(&lone, 1), Some(one.record.clone()), "by its PING");
    // A number alone moves nothing.
    one.claims = Some(u64::MAX);
    let ping = ping(&mut one);
    one.say(&mut lone, &ping);
    let id = one.request_id();
    one.say(&mut lone, &Message::Ping { id, enr_seq: u64::MAX });
    one.answers(&mut lone);
    assert_eq!(found(&lone, 1), Some(one.record));
}

#[test]
fn a_damaged_row_of_seeds_is_told_and_not_fatal() {
    let started = |value: Vec<u8>| {
        let row = Row { key: SEEDS_KEY, value: value.into() };
        let disk = BTreeMap::<NodeId, Row>::from([(SEEDS_KEY, row)]);
        let mut lone = Lone::restarted(cluster(&[]), disk, Mono(0));
        lone.up(HOME);
        lone.bind("0.0.0.0:3610");
        lone
    };
    let damages = |lone: &Lone| {
        let damaged = |event: &&Event| matches!(event, Event::Damaged { .. });
        lone.events.iter().filter(damaged).count()
    };
    let mut peer = stranger(1);
    let good: Vec<u8> = alloy_rlp::encode(vec![Bytes::copy_from_slice(peer.record.as_bytes())]);
    let mut lone = started(good.clone());
    assert_eq!(damages(&lone), 0);
    assert_eq!(peer.inbox(&mut lone).len(), 1, "it is asked at once");
    assert_eq!(damages(&started(vec![0xff; 40])), 1);
    assert_eq!(damages(&started(good[..good.len() - 1].to_vec())), 1);
    // One record of several is damaged: the other is asked.
    let mut forged = stranger(2).record.as_bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let both: Vec<Bytes> = vec![forged.into(), Bytes::copy_from_slice(peer.record.as_bytes())];
    let mut lone = started(alloy_rlp::encode(both));
    assert_eq!(damages(&lone), 1);
    assert_eq!(peer.inbox(&mut lone).len(), 1);
}

/// Whoever starts while nearly all of its network is away keeps what it knew, and finds whoever is
/// there, even if a lookup cannot begin with all that are stored.
#[test]
fn seeds_outlive_a_start_at_which_hardly_anybody_answers() {
    let mut peers: Vec<Peer> = (1..=100).map(stranger).collect();
    let records = || peers.iter().map(|peer| Bytes::copy_from_slice(peer.record.as_bytes()));
    let mut stored: Vec<Bytes> = records().collect();
    stored.sort_unstable();
    let last = peers.iter().position(|peer| peer.record.as_bytes() == &stored[99][..]).unwrap();
    let row = Row { key: SEEDS_KEY, value: alloy_rlp::encode(stored).into() };
    let disk = BTreeMap::<NodeId, Row>::from([(SEEDS_KEY, row.clone())]);
    let mut lone = Lone::restarted(cluster(&[]), disk, Mono(0));
    lone.up(HOME);
    lone.bind("0.0.0.0:3610");
    let mut there = [peers.swap_remove(last)];
    pass(&mut lone, &mut there, Duration::from_secs(1200));
    let table = lone.node.discovery().unwrap().table();
    assert_eq!(table.verified().count(), 1, "the only one that is there is found");
    assert_eq!(lone.disk[&SEEDS_KEY], row, "nobody is forgotten");
}

/// Behind a NAT, as many strangers as it takes say that we are somewhere else: while f + 1 operators
/// see us, what they see counts.
#[test]
fn r72_what_operators_see_outranks_the_votes_of_strangers() {
    let mut lone = Lone::settled(cluster(&[]), &["10.0.0.2"]);
    let truth = "198.51.100.7:3610";
    let links = [1, 2].map(|who| lone.greet(who, &format!("192.0.2.{who}:3610")));
    links.iter().for_each(|link| lone.say(*link, &seen(truth)));
    assert_eq!(lone.own_address(), Some(address(truth)));
    let lie = address("203.0.113.66:3610");
    for number in 1..=VOTES_NEEDED as u16 {
        let mut liar = stranger(number);
        liar.sees = lie;
        liar.connects(&mut lone);
    }
    assert_eq!(lone.own_address(), Some(address(truth)), "strangers are outranked");
    links.iter().for_each(|link| lone.close(*link));
    assert_eq!(lone.own_address(), Some(lie), "without operators it was enough");
}

/// A node of both families is asked where our socket can send to: IPv4 first, if it can.
#[test]
fn a_node_is_asked_at_an_address_of_a_family_that_we_have() {
    let both = [address("20.0.1.7:9000"), address("[2001:db8::7]:9000")];
    let node = Signed::sign(&key(7), 1, &Endpoints::at(both));
    for (local, asked) in [("0.0.0.0:3610", 0), ("[::]:3610", 0), ("[2001:db8::1]:3610", 1)] {
        let mut lone = Lone::new(peer::alone(vec![]));
        lone.up(HOME);
        lone.bind(local);
        peer::ask(&mut lone, 1, &Ask::Ping(node.clone()));
        let to: Vec<SocketAddr> = lone.datagrams.iter().map(|(to, _)| *to).collect();
        assert_eq!(to, [both[asked]], "bound to {local}");
    }
}

/// An operator that signed two records with one seq may be where either says; and where our socket
/// leads nowhere, it is not asked.
#[test]
fn an_operator_is_asked_wherever_a_record_of_it_leads() {
    let mut lone = Lone::settled(cluster(&[]), &[HOME]);
    let link = lone.greet(2, "192.0.2.2:3610");
    let one = record(1, 5, &["203.0.113.1:3610", "[2001:db8::1]:3610"]);
    let other = record(1, 5, &["203.0.113.9:3610"]);
    lone.say(link, &lone::records(&[&one, &other]));
    lone.datagrams.clear();
    lone.pass(Duration::from_secs(60));
    let asked = |at: &str| lone.datagrams.iter().any(|(to, _)| *to == address(at));
    assert!(asked("203.0.113.1:3610") && asked("203.0.113.9:3610"));
    assert!(!asked("[2001:db8::1]:3610"), "our socket is IPv4's");
}
