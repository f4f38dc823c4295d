//! Our own record: when it is reissued, with which address, and with which sequence number.

mod lone;

use std::collections::BTreeMap;

use lone::*;
use std::time::Duration;

use stayfound_core::node::{
    Config, Counter, Event, FLOOR_ALONE, FLOOR_WITHIN, SEQ_LEAP, StartError,
};
use stayfound_core::record::Signed;

/// Whether a sequence number is above a floor that the clock is behind.
fn leaps(seq: u64, floor: u64) -> bool {
    (floor + 1..=floor + SEQ_LEAP).contains(&seq)
}

#[test]
fn the_first_record_starts_at_unix_milliseconds() {
    let lone = Lone::settled(config(4), &["198.18.0.1"]);
    assert_eq!(lone.own().seq(), EPOCH.0 + 3_000);
    assert_eq!(lone.own_address(), Some(address("198.18.0.1:3610")));
}

#[test]
fn the_first_record_is_above_the_one_in_the_manifest() {
    // Real locks carry Unix milliseconds, perhaps of a clock that was ahead.
    let ahead = EPOCH.0 + 5_000;
    let config = Config { manifest: manifest(4, ahead), ..config(4) };
    let mut lone = Lone::settled(config, &["198.18.0.1"]);
    lone.greet(1, "203.0.113.1:3610");
    assert!(leaps(lone.own().seq(), ahead), "{}", lone.own().seq());
}

#[test]
fn a_restart_with_the_same_address_says_the_same() {
    let before = Lone::settled(config(4), &["198.18.0.1"]);
    let mut after = Lone::restarted(config(4), before.disk.clone(), before.now);
    after.up("198.18.0.1");
    after.bind("0.0.0.0:3610");
    assert_eq!(after.own(), before.own());
    assert_eq!(after.events, vec![], "nothing changed, so nothing is reissued");
}

#[test]
fn an_interface_address_is_adopted_at_once_the_widest_first() {
    let mut lone = Lone::settled(config(4), &["127.0.0.1", "192.168.1.5"]);
    assert_eq!(lone.own_address(), Some(address("192.168.1.5:3610")));
    let seq = lone.own().seq();
    lone.up("198.18.0.9");
    assert_eq!(lone.own_address(), Some(address("198.18.0.9:3610")));
    assert_eq!(lone.own().seq(), seq + 1);
    lone.up("10.0.0.1"); // a container bridge, say
    assert_eq!(lone.own().seq(), seq + 1);
}

#[test]
fn unusable_addresses_are_never_published() {
    let lone = Lone::settled(config(4), &["0.0.0.0", "169.254.3.4", "224.0.0.1", "fe80::1"]);
    assert_eq!(lone.own_address(), None);
}

#[test]
fn an_ipv6_address_stands_beside_the_ipv4_one() {
    let mut lone = Lone::new(config(4));
    lone.up("198.18.0.1");
    lone.up("2001:db8::1");
    lone.bind("[::]:3610");
    lone.pass(FLOOR_WITHIN);
    let addresses: Vec<_> = lone.own().endpoints().quic_addresses().collect();
    assert_eq!(addresses, [address("198.18.0.1:3610"), address("[2001:db8::1]:3610")]);
    lone.bind("0.0.0.0:3610");
    assert_eq!(lone.own().endpoints().ip6, None, "nobody listens there any more");
    lone.bind("[2001:db8::1]:3610");
    assert_eq!(lone.own_address(), Some(address("[2001:db8::1]:3610")));
}

#[test]
fn f_observers_are_not_believed_and_f_plus_one_are() {
    for (operators, quorum) in [(4, 2), (7, 3), (10, 4)] {
        let mut lone = Lone::settled(config(operators), &["192.168.1.5"]);
        for peer in 1..=quorum {
            assert_eq!(lone.own_address(), Some(address("192.168.1.5:3610")), "{operators}");
            let link = lone.greet(peer, &format!("203.0.113.{peer}:3610"));
            lone.say(link, &seen("198.18.0.77:40000"));
        }
        assert_eq!(lone.own_address(), Some(address("198.18.0.77:40000")), "{operators}");
    }
}

#[test]
fn one_operator_over_two_links_is_one_observer() {
    let mut lone = Lone::settled(config(4), &["192.168.1.5"]);
    for remote in ["203.0.113.1:3610", "203.0.113.2:3610"] {
        let link = lone.greet(1, remote);
        lone.say(link, &seen("198.18.0.77:40000"));
    }
    assert_eq!(lone.own_address(), Some(address("192.168.1.5:3610")));
}

#[test]
fn what_a_closed_link_said_counts_no_more() {
    let mut lone = Lone::settled(config(4), &["192.168.1.5"]);
    let first = lone.greet(1, "203.0.113.1:3610");
    lone.say(first, &seen("198.18.0.77:40000"));
    lone.close(first);
    let second = lone.greet(2, "203.0.113.2:3610");
    lone.say(second, &seen("198.18.0.77:40000"));
    assert_eq!(lone.own_address(), Some(address("192.168.1.5:3610")));
}

#[test]
fn an_address_of_another_scope_is_never_adopted() {
    for nonsense in ["10.1.2.3:3610", "127.0.0.1:3610", "0.0.0.0:3610", "224.0.0.1:1", "[::]:1"] {
        let mut lone = Lone::settled(config(4), &[]);
        for peer in 1..=3 {
            let link = lone.greet(peer, &format!("203.0.113.{peer}:3610"));
            lone.say(link, &seen(nonsense));
        }
        assert_eq!(lone.own_address(), None, "{nonsense}");
    }
}

#[test]
fn neighbours_on_a_private_network_may_tell_a_private_address() {
    let mut lone = Lone::settled(config(4), &[]);
    for peer in 1..=2 {
        let link = lone.greet(peer, &format!("10.0.0.{peer}:3610"));
        lone.say(link, &seen("10.0.0.9:3610"));
    }
    assert_eq!(lone.own_address(), Some(address("10.0.0.9:3610")));
}

#[test]
fn an_address_fixed_by_the_operator_outranks_all() {
    let fixed = address("198.18.0.1:9000");
    let config = Config { external: vec![fixed], ..config(4) };
    let mut lone = Lone::settled(config, &["198.18.0.2"]);
    for peer in 1..=3 {
        let link = lone.greet(peer, &format!("203.0.113.{peer}:3610"));
        lone.say(link, &seen("198.18.0.77:40000"));
    }
    assert_eq!(lone.own_address(), Some(fixed));
}

#[test]
fn late_words_about_an_address_that_we_left_do_not_bring_it_back() {
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let links: Vec<_> =
        (1..=3).map(|peer| lone.greet(peer, &format!("203.0.113.{peer}:3610"))).collect();
    lone.up("198.18.0.2");
    lone.down("198.18.0.1");
    assert_eq!(lone.own_address(), Some(address("198.18.0.2:3610")));
    for link in &links {
        lone.say(*link, &seen("198.18.0.1:3610"));
    }
    assert_eq!(lone.own_address(), Some(address("198.18.0.2:3610")));
    lone.bind("0.0.0.0:4000");
    for link in &links {
        lone.say(*link, &seen("198.18.0.2:3610"));
    }
    assert_eq!(lone.own_address(), Some(address("198.18.0.2:4000")));
}

#[test]
fn behind_a_nat_the_last_known_address_is_kept_until_peers_tell_another() {
    let mut before = Lone::settled(config(4), &["192.168.1.5"]);
    for peer in 1..=2 {
        let link = before.greet(peer, &format!("203.0.113.{peer}:3610"));
        before.say(link, &seen("198.18.0.77:3610"));
    }
    let mut after = Lone::restarted(config(4), before.disk.clone(), before.now);
    after.up("192.168.1.5");
    after.bind("0.0.0.0:3610");
    assert_eq!(after.own_address(), Some(address("198.18.0.77:3610")));
    for peer in 1..=2 {
        let link = after.greet(peer, &format!("203.0.113.{peer}:3610"));
        after.say(link, &seen("198.18.0.78:3610"));
    }
    assert_eq!(after.own_address(), Some(address("198.18.0.78:3610")));
}

#[test]
fn the_newer_of_two_quorums_is_believed_and_one_that_dead_links_hid_appears() {
    let mut lone = Lone::settled(config(7), &["192.168.1.5"]);
    let link = |lone: &mut Lone, peer: u8, at: &str| {
        let link = lone.greet(peer, &format!("203.0.113.{peer}:3610"));
        lone.say(link, &seen(at));
        link
    };
    let dead = [1, 2, 3].map(|peer| link(&mut lone, peer, "198.18.0.77:3610"));
    assert_eq!(lone.own_address(), Some(address("198.18.0.77:3610")));
    for peer in 4..=6 {
        link(&mut lone, peer, "198.18.0.78:3610");
    }
    assert_eq!(lone.own_address(), Some(address("198.18.0.78:3610")));
    lone.say(dead[0], &seen("198.18.0.77:3610"));
    assert_eq!(lone.own_address(), Some(address("198.18.0.78:3610")), "it says nothing new");
    lone.close(dead[0]);
    assert_eq!(lone.own_address(), Some(address("198.18.0.78:3610")));
}

#[test]
fn a_private_address_does_not_displace_the_public_one_of_the_manifest() {
    let listed = (0..4).map(|i| record(i, 0, &[&format!("198.18.0.{}:3610", i + 1)])).collect();
    let manifest =
        stayfound_core::cluster::Manifest::new("test".into(), "UUID".into(), CLUSTER, 1, listed);
    let config = Config { manifest: manifest.unwrap(), ..config(4) };
    let mut lone = Lone::settled(config, &["192.168.1.5"]);
    assert_eq!(lone.own_address(), Some(address("198.18.0.1:3610")));
    // Nor does a peer's private address make us forget where the manifest says that it is.
    let link = lone.greet(1, "198.18.0.2:3610");
    lone.say(link, &records(&[&record(2, 9, &["10.0.0.2:3610"])]));
    for (_, dial, _) in std::mem::take(&mut lone.dials) {
        lone.input(stayfound_core::node::Input::DialFailed { dial });
    }
    lone.pass(std::time::Duration::from_secs(60));
    let dialled: Vec<_> = lone.dials.iter().map(|(_, _, address)| address.to_string()).collect();
    assert!(dialled.contains(&"198.18.0.3:3610".to_owned()), "{dialled:?}");
}

#[test]
fn after_data_loss_we_publish_above_the_record_that_peers_hand_back() {
    let lost = record(0, EPOCH.0 + 1_000_000, &["198.18.0.50:3610"]);
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let (told, untold) = (lone.greet(1, "203.0.113.1:3610"), lone.greet(2, "203.0.113.2:3610"));
    lone.say(told, &records(&[&lost]));
    assert!(leaps(lone.own().seq(), lost.seq()), "{}", lone.own().seq());
    assert_eq!(lone.own_address(), Some(address("198.18.0.1:3610")));
    for link in [told, untold] {
        assert_eq!(lone.records_told(link).last(), Some(lone.own()));
    }
}

#[test]
fn a_first_record_waits_for_a_peer_that_may_know_an_earlier_one() {
    // The clock is behind what we signed before our data was lost.
    let lost = record(0, EPOCH.0 + 1_000_000, &["198.18.0.50:3610"]);
    let mut lone = Lone::on_host(config(4), &["198.18.0.1"]);
    assert_eq!(lone.node.own_record(), None);
    let link = lone.open(1, "203.0.113.1:3610", None);
    lone.say(link, &hello(&[&lost]));
    assert_eq!(lone.node.own_record(), None, "the peer is about to send it");
    lone.say(link, &records(&[&lost]));
    assert_eq!(lone.node.own_record(), None, "another may know a later one");
    let link = lone.open(2, "203.0.113.2:3610", None);
    lone.say(link, &hello(&[&lost]));
    assert!(leaps(lone.own().seq(), lost.seq()), "{}", lone.own().seq());
}

#[test]
fn a_first_record_waits_no_longer_once_a_peer_knows_of_none() {
    let mut lone = Lone::on_host(config(4), &["198.18.0.1"]);
    lone.greet(1, "203.0.113.1:3610");
    assert_eq!(lone.node.own_record(), None, "one of four may be lying, or new itself");
    lone.greet(2, "203.0.113.2:3610");
    assert_eq!(lone.own().seq(), EPOCH.0);
}

#[test]
fn a_key_that_runs_twice_is_reported_and_slows_down() {
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let link = lone.greet(1, "203.0.113.1:3610");
    let before = lone.own().seq();
    for _ in 0..10_000 {
        let other = record(0, lone.node.database().newest(&node_id(0)).unwrap().seq() + 1, &[]);
        lone.say(link, &records(&[&other]));
        lone.pass(std::time::Duration::from_millis(10));
    }
    // A hundred seconds of it: at once, then after 0.5 s, 1 s, 2 s, … 30 s.
    assert!(lone.events.contains(&Event::KeyInUseElsewhere));
    let own = lone.records_told(link).into_iter().filter(|told| told.node_id() == node_id(0));
    assert!(own.count() < 12, "each answer provokes the next");
    assert!(lone.own().seq() > before);
}

#[test]
fn what_our_key_signed_elsewhere_cannot_make_us_publish_nonsense() {
    use stayfound_core::record::Endpoints;
    let port_zero =
        Endpoints { ip: Some([203, 0, 113, 9].into()), quic: Some(0), ..Default::default() };
    let unspecified = Endpoints { ip: Some([0; 4].into()), quic: Some(9), ..Default::default() };
    for said in [port_zero, unspecified] {
        let mut lone = Lone::settled(config(4), &["192.168.1.5"]);
        let link = lone.greet(1, "203.0.113.1:3610");
        let seq = lone.own().seq();
        let odd = stayfound_core::record::Signed::sign(&key(0), seq + 9, &said);
        lone.say(link, &records(&[&odd]));
        assert!(leaps(lone.own().seq(), seq + 9), "{}", lone.own().seq());
        assert_eq!(lone.own_address(), Some(address("192.168.1.5:3610")));
    }
}

#[test]
fn one_peer_can_tell_which_of_our_interfaces_it_sees_but_a_quorum_outranks_it() {
    let mut lone = Lone::settled(config(7), &["10.0.0.1", "172.17.0.1"]);
    assert_eq!(lone.own_address(), Some(address("172.17.0.1:3610")), "nobody can know yet");
    let link = lone.greet(1, "10.0.0.2:3610");
    lone.say(link, &seen("10.0.0.1:3610"));
    assert_eq!(lone.own_address(), Some(address("10.0.0.1:3610")));
    for peer in 2..=4 {
        let link = lone.greet(peer, &format!("10.0.0.{peer}:3610"));
        lone.say(link, &seen("10.0.0.1:3610"));
    }
    let liar = lone.greet(5, "10.0.0.9:3610");
    lone.say(liar, &seen("172.17.0.1:3610"));
    assert_eq!(lone.own_address(), Some(address("10.0.0.1:3610")));
}

#[test]
fn a_first_record_does_not_wait_for_ever_for_a_proof_that_was_only_claimed() {
    let claimed = record(0, u64::MAX, &[]);
    let mut lone = Lone::on_host(config(4), &["198.18.0.1"]);
    let link = lone.open(1, "203.0.113.1:3610", None);
    lone.say(link, &hello(&[&claimed]));
    lone.pass(FLOOR_WITHIN);
    assert_eq!(lone.own().seq(), EPOCH.0 + 3_000);
}

#[test]
fn a_clock_that_is_behind_what_we_signed_waits_longer_for_a_peer() {
    let ahead = EPOCH.0 + 1_000_000_000;
    let config = Config { manifest: manifest(4, ahead), ..config(4) };
    let mut lone = Lone::on_host(config, &["198.18.0.1"]);
    lone.pass(FLOOR_WITHIN + FLOOR_ALONE - Duration::from_millis(1));
    assert_eq!(lone.node.own_record(), None);
    // One peer is enough then: f + 1 have had their time.
    let link = lone.open(1, "203.0.113.1:3610", None);
    let lost = record(0, ahead + 7, &[]);
    lone.say(link, &hello(&[&lost]));
    assert_eq!(lone.node.own_record(), None, "the peer is about to send it");
    lone.say(link, &records(&[&lost]));
    assert!(leaps(lone.own().seq(), lost.seq()), "{}", lone.own().seq());
}

/// All have moved, say: without a record of ours nobody could find us, nor tell us anything.
#[test]
fn a_clock_that_is_behind_what_we_signed_does_not_wait_for_ever() {
    let ahead = EPOCH.0 + 1_000_000_000;
    let config = Config { manifest: manifest(4, ahead), ..config(4) };
    let mut lone = Lone::on_host(config, &["198.18.0.1"]);
    lone.pass(FLOOR_WITHIN + FLOOR_ALONE);
    assert!(leaps(lone.own().seq(), ahead), "{}", lone.own().seq());
}

#[test]
fn even_our_present_address_is_published_anew_after_data_loss() {
    let lost = record(0, EPOCH.0 + 1_000_000, &["198.18.0.1:3610"]);
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let link = lone.greet(1, "203.0.113.1:3610");
    lone.say(link, &records(&[&lost]));
    assert!(leaps(lone.own().seq(), lost.seq()), "{}", lone.own().seq());
}

#[test]
fn a_clock_behind_what_we_signed_repeats_no_number_though_nobody_remembers_it() {
    let config = Config { manifest: manifest(4, EPOCH.0 + 1_000_000_000), ..config(4) };
    let first = |seed: u8, own: &str| {
        let mut lone = Lone::seeded([seed; 32], config.clone(), &[own]);
        lone.greet(1, "203.0.113.1:3610"); // as ignorant as we are
        lone.pass(FLOOR_WITHIN);
        lone.own().seq()
    };
    assert_ne!(first(1, "198.18.0.1"), first(2, "198.18.0.2"), "two lives without memory");
}

#[test]
fn the_largest_numbers_are_still_used_one_by_one() {
    let config = Config { manifest: manifest(4, u64::MAX - 1), ..config(4) };
    let mut lone = Lone::settled(config, &["198.18.0.1"]);
    lone.greet(1, "203.0.113.1:3610");
    assert_eq!(lone.own().seq(), u64::MAX);
}

#[test]
fn the_sequence_floor_moves_only_on_proof() {
    let mut forged = record(0, EPOCH.0 + 1_000_000, &["198.18.0.50:3610"]).as_bytes().to_vec();
    forged[10] ^= 1;
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let (before, database) = (lone.own().clone(), lone.database());
    let link = lone.greet(1, "203.0.113.1:3610");
    let held = lone.database();
    lone.say(link, &stayfound_core::mesh::Frame::Records(vec![forged.into()]));
    assert_eq!((lone.own(), lone.count(Counter::RecordsInvalid)), (&before, 1));
    assert_eq!(lone.database(), held);
    assert_eq!(database.newest(&node_id(0)), held.newest(&node_id(0)));
}

#[test]
fn two_records_of_ours_with_one_seq_are_both_outrun() {
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let twin = record(0, lone.own().seq(), &["198.18.0.50:3610"]);
    let link = lone.greet(1, "203.0.113.1:3610");
    lone.say(link, &records(&[&twin]));
    assert!(leaps(lone.own().seq(), twin.seq()), "{}", lone.own().seq());
    assert!(lone.events.contains(&Event::Equivocation { operator: operator(0), seq: twin.seq() }));
}

#[test]
fn the_largest_seq_is_an_event_not_a_panic() {
    let last = record(0, u64::MAX, &["198.18.0.50:3610"]);
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let link = lone.greet(1, "203.0.113.1:3610");
    lone.say(link, &records(&[&last]));
    assert!(lone.events.contains(&Event::SeqExhausted));
}

#[test]
fn a_damaged_row_of_our_own_is_reported_and_outrun() {
    let before = Lone::settled(config(4), &["198.18.0.1"]);
    let mut disk: BTreeMap<_, _> = before.disk.clone();
    let row = disk.get_mut(&node_id(0)).unwrap();
    let mut bytes = row.value.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    row.value = bytes.into();
    let mut after = Lone::restarted(config(4), disk, stayfound_core::time::Mono(1_000_000_000));
    after.up("198.18.0.1");
    after.bind("0.0.0.0:3610");
    after.pass(FLOOR_WITHIN);
    assert!(matches!(&after.events[0], Event::Damaged { what } if what.contains("damaged")));
    assert!(after.own().seq() > before.own().seq());
}

#[test]
fn a_start_that_cannot_be_is_refused_with_its_reason() {
    let start = |config: Config| {
        stayfound_core::node::Node::new(config, [0; 32], Default::default(), EPOCH, &[]).err()
    };
    let stranger = Config { key: key(200), ..config(4) };
    assert_eq!(start(stranger), Some(StartError::NotAnOperator));
    let (a, b) = (address("198.18.0.1:1"), address("198.18.0.2:1"));
    let two = Config { external: vec![a, b], ..config(4) };
    assert_eq!(start(two), Some(StartError::External(b)));
    for useless in ["0.0.0.0:3610", "198.18.0.1:0"].map(address) {
        let config = Config { external: vec![useless], ..config(4) };
        assert_eq!(start(config), Some(StartError::External(useless)));
    }
    for (who, whom) in [(4, a), (0, a), (1, address("0.0.0.0:1"))] {
        let config = Config { hints: vec![(operator(who), whom)], ..config(4) };
        assert_eq!(start(config), Some(StartError::Hint(operator(who), whom)));
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let own = |_| Lone::settled(config(4), &["198.18.0.1"]).own().clone();
    let [a, b]: [Signed; 2] = [0, 1].map(own);
    assert_eq!(a.as_bytes(), b.as_bytes());
}
