//! Who dials whom and when, which of several links stays, and who tells whom what.

mod lone;

use std::time::Duration;

use lone::*;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::database::Database;
use stayfound_core::mesh::{BACKOFF_MAX, BACKOFF_MIN, CROSSING, Frame};
use stayfound_core::node::{CloseReason, Config, Event, Input};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A lone node of two operators that knows these hints for its peer.
fn pair(hints: &[&str]) -> Config {
    let hints = hints.iter().map(|hint| (operator(1), address(hint))).collect();
    Config { hints, ..config(2) }
}

fn dialled(lone: &Lone) -> Vec<String> {
    lone.dials.iter().map(|(_, _, address)| address.to_string()).collect()
}

/// Answers every dial with failure as it comes, for this long.
fn pass_with_failures(lone: &mut Lone, span: Duration) {
    let end = lone.now + span;
    let mut answered = 0;
    loop {
        while let Some((_, dial, _)) = lone.dials.get(answered).copied() {
            answered += 1;
            lone.input(Input::DialFailed { dial });
        }
        match lone.next_wake.filter(|at| *at <= end) {
            Some(at) => lone.pass(at - lone.now),
            None => break,
        }
    }
    lone.now = end;
}

#[test]
fn nothing_is_dialled_before_the_socket_is_bound() {
    let mut lone = Lone::new(pair(&["198.18.0.2:3610"]));
    lone.up("198.18.0.1");
    assert_eq!((dialled(&lone), lone.next_wake), (vec![], None));
    lone.bind("0.0.0.0:3610");
    assert_eq!(dialled(&lone), ["198.18.0.2:3610"]);
}

#[test]
fn candidates_are_tried_in_order_newest_record_then_last_reached_then_hints() {
    let mut lone = Lone::on_host(pair(&["198.18.0.4:4"]), &["198.18.0.1"]);
    let link = lone.greet(1, "198.18.0.3:3"); // reached here
    lone.say(link, &records(&[&record(1, 9, &["198.18.0.2:2", "[2001:db8::2]:2"])]));
    pass_with_failures(&mut lone, ms(60_000));
    lone.dials.clear();
    lone.close(link);
    pass_with_failures(&mut lone, ms(200));
    let order = ["198.18.0.2:2", "[2001:db8::2]:2", "198.18.0.3:3", "198.18.0.4:4"];
    assert_eq!(dialled(&lone), order, "a dial that fails makes room for the next at once");
}

#[test]
fn where_a_peer_was_reached_is_on_disk_once_it_has_said_hello_there() {
    let mut lone = Lone::on_host(config(3), &["198.18.0.1"]);
    let reached = |lone: &Lone, peer| lone.node.database().get(&node_id(peer)).unwrap().reached;
    let link = lone.open(1, "198.18.1.1:1", None);
    lone.input(Input::LinkMoved { link, remote: address("198.18.1.1:2") });
    assert_eq!(reached(&lone, 1), None, "it has not answered yet");
    lone.say(link, &hello(&[]));
    assert_eq!(reached(&lone, 1), Some(address("198.18.1.1:2")));
    lone.input(Input::LinkMoved { link, remote: address("[2001:db8::1]:3") });
    assert_eq!(reached(&lone, 1), Some(address("[2001:db8::1]:3")));
    assert_eq!(reached(&lone, 2), None);
    let rows: Vec<_> = lone.disk.values().cloned().collect();
    assert_eq!(Database::load(&rows), (lone.database(), vec![]));
}

#[test]
fn a_dial_that_hangs_is_joined_by_the_next_and_not_repeated() {
    let mut lone = Lone::on_host(pair(&["198.18.0.3:3", "198.18.0.2:2"]), &["198.18.0.1"]);
    assert_eq!(dialled(&lone), ["198.18.0.2:2"], "the latest hint first");
    lone.pass(ms(250));
    assert_eq!(dialled(&lone), ["198.18.0.2:2", "198.18.0.3:3"]);
    lone.pass(ms(4_000));
    assert_eq!(lone.dials.len(), 2, "both are still under way");
}

#[test]
fn the_back_off_doubles_from_half_a_second_to_thirty_seconds() {
    let mut lone = Lone::on_host(pair(&["198.18.0.2:2"]), &["198.18.0.1"]);
    pass_with_failures(&mut lone, ms(300_000));
    let gaps: Vec<Duration> = lone.dials.windows(2).map(|w| w[1].0 - w[0].0).collect();
    let mut expected = BACKOFF_MIN;
    for gap in &gaps {
        assert!((expected * 3 / 4..=expected * 5 / 4).contains(gap), "{gap:?}, not {expected:?}");
        expected = (expected * 2).min(BACKOFF_MAX);
    }
    assert!(gaps.len() > 10, "{gaps:?}");
}

#[test]
fn a_new_record_of_the_peer_resets_the_back_off() {
    let mut lone = Lone::on_host(config(3), &["198.18.0.1"]);
    let link = lone.greet(2, "198.18.0.3:3");
    lone.say(link, &records(&[&record(1, 9, &["198.18.0.2:2"])]));
    pass_with_failures(&mut lone, ms(120_000));
    lone.dials.clear();
    lone.say(link, &records(&[&record(1, 10, &["198.18.0.22:2"])]));
    pass_with_failures(&mut lone, ms(800));
    assert_eq!(dialled(&lone), ["198.18.0.22:2", "198.18.0.22:2"]);
}

#[test]
fn a_linked_peer_is_not_dialled() {
    let mut lone = Lone::on_host(pair(&["198.18.0.2:2"]), &["198.18.0.1"]);
    let (_, dial, _) = lone.dials[0];
    let link = lone.open(1, "198.18.0.2:2", Some(dial));
    lone.say(link, &hello(&[]));
    lone.pass(ms(600_000));
    assert_eq!(lone.dials.len(), 1);
}

#[test]
fn a_link_that_was_good_is_dialled_again_at_once_a_flapping_one_is_not() {
    let mut lone = Lone::on_host(pair(&["198.18.0.2:2"]), &["198.18.0.1"]);
    let good = lone.greet(1, "198.18.0.2:2");
    pass_with_failures(&mut lone, ms(10_000));
    lone.dials.clear();
    lone.close(good);
    assert_eq!(lone.dials.len(), 1);
    pass_with_failures(&mut lone, ms(0));
    for round in 1..=6 {
        let link = lone.greet(1, "198.18.0.2:2");
        lone.dials.clear();
        lone.close(link);
        assert_eq!(lone.dials.len(), 0, "round {round}");
        lone.pass(ms(1));
    }
    lone.pass(ms(10_000));
    assert_eq!(lone.dials.len(), 0, "by now the back-off is at 16 s or more");
}

#[test]
fn whoever_signs_record_after_record_does_not_make_us_dial_them_all() {
    let mut lone = Lone::on_host(config(3), &["198.18.0.1"]);
    let link = lone.greet(2, "198.18.0.3:3");
    for n in 1..=2_000u16 {
        let victim = format!("203.0.113.7:{n}");
        lone.say(link, &records(&[&record(1, u64::from(n), &[&victim])]));
    }
    assert_eq!(lone.dials.len(), 1, "one in a breath");
    lone.pass(ms(4_000));
    assert!(lone.dials.len() <= 8, "{} dials hang", lone.dials.len());
}

#[test]
fn a_new_record_with_the_same_address_resets_the_back_off_too() {
    let mut lone = Lone::on_host(config(3), &["198.18.0.1"]);
    let link = lone.greet(2, "198.18.0.3:3");
    lone.say(link, &records(&[&record(1, 9, &["198.18.0.2:2"])]));
    pass_with_failures(&mut lone, ms(120_000));
    lone.dials.clear();
    lone.say(link, &records(&[&record(1, 10, &["198.18.0.2:2"])]));
    assert_eq!(dialled(&lone), ["198.18.0.2:2"]);
}

#[test]
fn a_record_cannot_aim_us_at_our_own_host_or_network() {
    for (nowhere, own) in [("127.0.0.1:8545", "198.18.0.1"), ("192.168.1.1:53", "198.18.0.1")] {
        let mut lone = Lone::on_host(config(3), &["127.0.0.1", own]);
        let link = lone.greet(2, "198.18.0.3:3");
        lone.say(link, &records(&[&record(1, 9, &[nowhere])]));
        pass_with_failures(&mut lone, ms(60_000));
        assert_eq!(dialled(&lone), Vec::<String>::new(), "{nowhere}");
    }
    // On a network of that kind it is where neighbours are.
    let mut lone = Lone::on_host(config(3), &["127.0.0.1", "192.168.1.5"]);
    let link = lone.greet(2, "192.168.1.6:3");
    lone.say(link, &records(&[&record(1, 9, &["192.168.1.7:3610"])]));
    assert_eq!(dialled(&lone), ["192.168.1.7:3610"]);
}

#[test]
fn an_interface_more_is_no_reason_to_dial_but_coming_back_online_is() {
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    lone.greet(1, "198.18.1.1:3610");
    pass_with_failures(&mut lone, ms(60_000));
    lone.dials.clear();
    lone.up("172.18.0.1");
    lone.up("172.18.0.1");
    assert_eq!(dialled(&lone), Vec::<String>::new());
    lone.down("172.18.0.1");
    lone.down("198.18.0.1");
    pass_with_failures(&mut lone, ms(40_000));
    lone.dials.clear();
    lone.up("198.18.0.1");
    assert_eq!(dialled(&lone), ["198.18.1.1:3610"], "our record is the same, the link in doubt");
}

#[test]
fn a_silent_peer_is_closed() {
    let mut lone = Lone::on_host(pair(&[]), &["198.18.0.1"]);
    let link = lone.open(1, "198.18.0.2:2", None);
    lone.pass(ms(4_999));
    assert_eq!(lone.closed, vec![]);
    lone.pass(ms(1));
    assert_eq!(lone.closed, [(link, CloseReason::Silent)]);
}

/// Whether operator 0, the node under test, has the lower node id than operator 1.
fn we_are_lower() -> bool {
    node_id(0) < node_id(1)
}

/// The same two operators, the node under test being the one with the lower, or higher, id.
fn lower_or_higher(lower: bool) -> (Lone, u8) {
    // Among five operators there is one on either side of operator 0, unless 0 is an extreme.
    let peer = (1..20).find(|peer| (node_id(0) < node_id(*peer)) == lower).unwrap();
    (Lone::on_host(config(20), &["198.18.0.1"]), peer)
}

#[test]
fn of_two_links_that_crossed_the_one_dialled_by_the_lower_id_stays() {
    let (mut lone, peer) = lower_or_higher(true);
    for ours_first in [true, false] {
        let dial = Some(stayfound_core::node::DialId(0));
        let order = if ours_first { [dial, None] } else { [None, dial] };
        let links = order.map(|dial| lone.open(peer, "198.18.0.2:2", dial));
        let theirs = if ours_first { links[1] } else { links[0] };
        assert_eq!(lone.closed.last(), Some(&(theirs, CloseReason::Superseded)));
        let ours = if ours_first { links[0] } else { links[1] };
        lone.close(ours);
    }
}

#[test]
fn the_higher_id_leaves_the_choice_between_crossed_links_to_the_lower() {
    let (mut lone, peer) = lower_or_higher(false);
    lone.open(peer, "198.18.0.2:2", None);
    lone.open(peer, "198.18.0.2:2", Some(stayfound_core::node::DialId(0)));
    assert_eq!(lone.closed, vec![]);
}

#[test]
fn of_too_many_links_the_one_that_just_opened_is_never_the_one_to_go() {
    // Four links of the peer that died when we moved, and the one that we dialled from there.
    let (mut lone, peer) = lower_or_higher(false);
    for _ in 0..4 {
        lone.open(peer, "198.18.0.2:2", None);
    }
    let newest = lone.open(peer, "198.18.0.2:2", Some(stayfound_core::node::DialId(0)));
    assert_eq!(lone.closed.len(), 1);
    assert!(!lone.closed.contains(&(newest, CloseReason::Superseded)));
}

#[test]
fn a_newer_link_replaces_an_older_one_on_both_sides() {
    for lower in [true, false] {
        let (mut lone, peer) = lower_or_higher(lower);
        let old = lone.greet(peer, "198.18.0.2:2");
        lone.pass(2 * CROSSING);
        let new = lone.greet(peer, "198.18.0.2:2");
        assert_eq!(lone.closed, [(old, CloseReason::Superseded)]);
        assert_eq!(lone.node.links().map(|(_, link, _)| link).collect::<Vec<_>>(), [new]);
        let lost = |event: &&Event| matches!(event, Event::Lost { .. });
        assert_eq!(lone.events.iter().find(lost), None, "the peer was linked all the while");
    }
}

#[test]
fn a_peer_that_moved_does_not_wait_for_a_dead_link_that_just_opened() {
    let (mut lone, peer) = lower_or_higher(true);
    let old = lone.open(peer, "198.18.0.2:2", Some(stayfound_core::node::DialId(0)));
    lone.pass(CROSSING / 10);
    lone.open(peer, "198.18.0.22:2", None);
    assert_eq!(lone.closed, [(old, CloseReason::Superseded)]);
}

#[test]
fn a_node_that_moved_dials_everybody_again_at_once() {
    let mut lone = Lone::on_host(config(4), &["198.18.0.1"]);
    for peer in 1..4 {
        lone.greet(peer, &format!("198.18.1.{peer}:3610"));
    }
    lone.pass(ms(60_000));
    lone.dials.clear();
    lone.up("198.18.0.99");
    assert_eq!(dialled(&lone), ["198.18.1.1:3610", "198.18.1.2:3610", "198.18.1.3:3610"]);
    lone.dials.clear();
    lone.bind("0.0.0.0:4000");
    assert_eq!(dialled(&lone).len(), 3, "dials from the socket that is gone do not count");
    lone.dials.clear();
    for elsewhere in ["2001:db8::1", "127.0.0.5", "169.254.0.1"] {
        lone.up(elsewhere);
        lone.down(elsewhere);
    }
    assert_eq!(dialled(&lone).len(), 0, "our IPv4 socket does not use these");
}

#[test]
fn a_linked_peer_that_published_another_address_is_dialled_there_if_it_does_not_dial_us() {
    let mut lone = Lone::on_host(config(3), &["198.18.0.1"]);
    lone.greet(1, "198.18.0.2:2");
    let informer = lone.greet(2, "198.18.0.3:3");
    lone.say(informer, &records(&[&record(1, 9, &["198.18.0.22:2"])]));
    assert_eq!(dialled(&lone), Vec::<String>::new());
    lone.pass(ms(250));
    assert_eq!(dialled(&lone), ["198.18.0.22:2"]);
    lone.greet(1, "198.18.0.22:2");
    lone.dials.clear();
    lone.say(informer, &records(&[&record(1, 10, &["198.18.0.22:2"])]));
    lone.pass(ms(60_000));
    assert_eq!(dialled(&lone), Vec::<String>::new(), "the same address is no news");
}

#[test]
fn each_side_sends_what_the_other_lacks_its_own_newer_record_included() {
    let (old, new) = (record(1, 5, &["198.18.0.2:1"]), record(1, 6, &["198.18.0.2:2"]));
    let other = record(2, 9, &["198.18.0.3:3"]);
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let informer = lone.greet(3, "198.18.0.4:4");
    lone.say(informer, &records(&[&new, &other]));
    // Operator 1 comes back without its data.
    let link = lone.open(1, "198.18.0.2:3", None);
    lone.say(link, &hello(&[&old, lone.own(), &record(3, 0, &[])]));
    assert_eq!(lone.records_told(link), [lone.own().clone(), new, other]);
}

#[test]
fn a_change_is_told_to_every_other_link_at_once_and_never_back() {
    let mut lone = Lone::on_host(config(4), &["198.18.0.1"]);
    let links = [1, 2, 3].map(|peer| lone.greet(peer, &format!("198.18.1.{peer}:3610")));
    lone.told.clear();
    let news = record(1, 7, &["198.18.0.2:2"]);
    lone.say(links[1], &records(&[&news]));
    assert_eq!(links.map(|link| lone.records_told(link).contains(&news)), [true, false, true]);
    lone.told.clear();
    lone.say(links[2], &records(&[&news]));
    assert!(lone.told.is_empty(), "what is known is not told again");
}

#[test]
fn each_side_is_told_where_it_is_seen_and_again_when_that_changes() {
    let mut lone = Lone::on_host(config(4), &["198.18.0.1"]);
    let link = lone.greet(1, "198.18.0.2:2");
    assert!(lone.told[&link].contains(&seen("198.18.0.2:2")));
    lone.input(Input::LinkMoved { link, remote: address("198.18.0.2:9") });
    assert_eq!(lone.told[&link].last(), Some(&seen("198.18.0.2:9")));
    let words = lone.told[&link].len();
    lone.input(Input::LinkMoved { link, remote: address("198.18.0.2:9") });
    assert_eq!(lone.told[&link].len(), words, "no news");
}

#[test]
fn a_peer_of_another_lock_is_reported_and_still_linked() {
    let mut lone = Lone::on_host(config(4), &["198.18.0.1"]);
    let link = lone.open(1, "198.18.0.2:2", None);
    let Frame::Hello(hello) = hello(&[]) else { unreachable!() };
    lone.say(link, &Frame::Hello(stayfound_core::mesh::Hello { cluster: [8; 32], ..hello }));
    assert!(lone.events.contains(&Event::OtherCluster { operator: operator(1), theirs: [8; 32] }));
    assert_eq!(lone.node.links().count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/mesh.txt"
        )))),
        ..ProptestConfig::default()
    })]

    /// Two ends of the same links decide about them in their own order and at their own times:
    /// never so that both close one and none is left.
    #[test]
    fn two_ends_never_close_one_link_each(
        // For each link: who dialled it, and when either end saw it open.
        links in prop::collection::vec((any::<bool>(), 0u64..3_000, 0u64..200), 2..5),
    ) {
        let peer = if we_are_lower() { 1 } else { (1..20).find(|p| node_id(0) < node_id(*p)).unwrap() };
        let survivors = |lower: bool| {
            let (mut lone, other) = lower_or_higher(lower);
            let other = if lower { peer } else { other };
            let mut order: Vec<(u64, usize)> = links.iter().enumerate()
                .map(|(place, (_, at, skew))| (if lower { *at } else { at + skew }, place))
                .collect();
            order.sort_unstable();
            let mut opened = vec![None; links.len()];
            for (at, place) in order {
                let span = Duration::from_millis(at).saturating_sub(lone.now.since(Default::default()));
                lone.pass(span);
                let by_lower = links[place].0;
                let dial = (by_lower == lower).then_some(stayfound_core::node::DialId(place as u64));
                opened[place] = Some(lone.open(other, "198.18.0.2:2", dial));
            }
            let closed: Vec<_> = lone.closed.iter()
                .filter(|(_, why)| *why == CloseReason::Superseded).map(|(link, _)| *link).collect();
            opened.into_iter().map(|link| !closed.contains(&link.unwrap())).collect::<Vec<_>>()
        };
        let (low, high) = (survivors(true), survivors(false));
        prop_assert!(
            low.iter().zip(&high).any(|(a, b)| *a && *b),
            "the lower side keeps {low:?}, the higher {high:?}"
        );
    }
}
