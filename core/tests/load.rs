//! A running node takes another manifest: whose authority ends, whose begins, and what stays.

mod lone;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lone::*;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::cluster::{Change, Manifest};
use stayfound_core::discovery::Settings;
use stayfound_core::mesh::{Frame, Hello, RELOADS_AT_ONCE};
use stayfound_core::node::{
    CHANGES_AT_ONCE, CloseReason, Config, Counter, Event, Input, LinkId, Violation,
};
use stayfound_core::record::Signed;

/// A manifest of these keys, in the order of their places, each with the record that charon makes.
fn of(keys: &[u8]) -> Manifest {
    of_records(keys.iter().map(|key| record(*key, 0, &[])).collect())
}

/// Each has a lock hash of its own.
fn of_records(records: Vec<Signed>) -> Manifest {
    let mut hash = [0; 32];
    for (place, record) in records.iter().enumerate() {
        hash[place % 32] ^= record.content_hash()[place % 32];
    }
    Manifest::new("test".into(), "UUID".into(), hash, 1, records).unwrap()
}

fn loads(lone: &mut Lone, manifest: &Manifest) {
    lone.input(Input::Manifest { manifest });
}

/// A node of a cluster of these keys, linked with all others of them; key k is at 198.18.1.k.
fn linked(keys: &[u8]) -> (Lone, BTreeMap<u8, LinkId>) {
    let mut lone = Lone::on_host(Config { manifest: of(keys), ..config(1) }, &["198.18.0.1"]);
    let others = keys.iter().filter(|key| **key != 0);
    let links = others.map(|key| (*key, lone.greet(*key, &format!("198.18.1.{key}:1")))).collect();
    lone.events.clear();
    (lone, links)
}

/// With whom the node is linked, by place.
fn places(lone: &Lone) -> Vec<(u8, LinkId)> {
    lone.node.links().map(|(operator, link, _)| (operator.0, link)).collect()
}

#[test]
fn a_key_that_is_replaced_loses_its_link_at_once_and_the_new_one_is_dialled() {
    let (mut lone, links) = linked(&[0, 1, 2, 3]);
    let old = record(3, 5, &["198.18.1.3:1"]);
    lone.say(links[&3], &records(&[&old]));
    lone.events.clear();
    lone.dials.clear();
    let new = record(4, 0, &["198.18.1.4:1"]);
    let kept = [0, 1, 2].map(|key| record(key, 0, &[]));
    loads(&mut lone, &of_records(kept.into_iter().chain([new]).collect()));

    assert_eq!(lone.closed, [(links[&3], CloseReason::Unauthorised)]);
    let (before, node_id_of_4) = (node_id(3), node_id(4));
    let change = Change::Replaced { operator: operator(3), before, node_id: node_id_of_4 };
    let [lost, manifest, Event::Record { .. }] = &lone.events[..] else {
        panic!("{:?}", lone.events)
    };
    assert_eq!(lost, &Event::Lost { operator: operator(3) });
    assert_eq!(manifest, &Event::Manifest { changes: vec![change] });
    assert_eq!(places(&lone), [(1, links[&1]), (2, links[&2])], "the others go on");
    let dialled: Vec<String> = lone.dials.iter().map(|(_, _, at)| at.to_string()).collect();
    assert_eq!(dialled, ["198.18.1.4:1"]);
    assert!(!lone.node.admits(key(3).public_key().as_bytes()));
    assert!(lone.node.admits(key(4).public_key().as_bytes()));

    assert_eq!(lone.database().newest(&node_id(3)), Some(&old), "nothing is forgotten");
    assert!(lone.disk.contains_key(&node_id(3)) && lone.disk.contains_key(&node_id(4)));
    lone.say_bytes(links[&3], &[0xff; 64]); // was on its way
    let again = lone.open(3, "198.18.1.3:2", None);
    assert_eq!(lone.closed.last(), Some(&(again, CloseReason::Stranger)));
    lone.say(links[&1], &records(&[&record(3, 6, &["198.18.1.33:1"])]));
    assert_eq!(lone.count(Counter::RecordsStrange), 1, "and nobody carries its records");
    lone.greet(4, "198.18.1.4:1");
    assert_eq!(
        lone.events.last(),
        Some(&Event::Linked { operator: operator(3), remote: address("198.18.1.4:1") })
    );
}

#[test]
fn keys_that_change_places_keep_their_links() {
    let (mut lone, links) = linked(&[0, 1, 2, 3]);
    loads(&mut lone, &of(&[3, 0, 1, 2]));
    assert!(lone.closed.is_empty());
    assert_eq!(lone.node.own_index(), Some(operator(1)));
    let mut expected = [(0, links[&3]), (2, links[&1]), (3, links[&2])];
    expected.sort_by_key(|(_, link)| *link);
    assert_eq!(places(&lone), expected);
    let news = record(2, 7, &["198.18.1.22:1"]);
    lone.say(links[&1], &records(&[&news]));
    assert_eq!(lone.events.last(), Some(&Event::Record { operator: operator(3), record: news }));
    lone.close(links[&3]);
    assert_eq!(lone.events.last(), Some(&Event::Lost { operator: operator(0) }));
}

#[test]
fn a_dial_goes_on_with_its_key_and_comes_to_nothing_without() {
    let hints =
        vec![(operator(1), address("198.18.1.1:1")), (operator(2), address("198.18.1.2:1"))];
    let config = Config { manifest: of(&[0, 1, 2]), hints, ..config(1) };
    let mut lone = Lone::on_host(config, &["198.18.0.1"]);
    let dial = |at| lone.dials.iter().find(|(_, _, to)| *to == address(at)).expect("dialled").1;
    let (to_1, to_2) = (dial("198.18.1.1:1"), dial("198.18.1.2:1"));
    loads(&mut lone, &of(&[0, 3, 1]));
    let stranger = lone.open(2, "198.18.1.2:1", Some(to_2));
    assert_eq!(lone.closed, [(stranger, CloseReason::Stranger)]);
    let link = lone.open(1, "198.18.1.1:1", Some(to_1));
    lone.say(link, &hello(&[]));
    assert_eq!(places(&lone), [(2, link)]);
}

#[test]
fn whoever_takes_a_place_over_may_answer_where_the_one_before_was_said_to() {
    let hints = vec![(operator(1), address("198.18.1.1:1"))];
    let config = Config { manifest: of(&[0, 1, 2]), hints, ..config(1) };
    let mut lone = Lone::on_host(config, &["198.18.0.1"]);
    lone.dials.clear();
    loads(&mut lone, &of(&[0, 3, 2]));
    let (_, dial, to) = lone.dials[0];
    assert_eq!((lone.dials.len(), to), (1, address("198.18.1.1:1")));
    let link = lone.open(3, "198.18.1.1:1", Some(dial));
    lone.say(link, &hello(&[]));
    assert_eq!(places(&lone), [(1, link)]);
}

#[test]
fn without_authority_of_our_own_nobody_is_linked_until_a_manifest_names_us_again() {
    let (mut lone, links) = linked(&[0, 1, 2]);
    let (seq, held) = (lone.own().seq(), lone.database());
    lone.dials.clear();
    loads(&mut lone, &of(&[4, 1, 2]));
    let why = CloseReason::Unauthorised;
    assert_eq!(lone.closed, [(links[&1], why), (links[&2], why)]);
    assert!(lone.events.contains(&Event::Unauthorised));
    assert_eq!(lone.node.own_index(), None);
    for peer in 0..5 {
        assert!(!lone.node.admits(key(peer).public_key().as_bytes()));
    }
    lone.input(Input::Hint { operator: operator(1), address: address("198.18.1.1:1") });
    let refused = lone.open(1, "198.18.1.1:1", None);
    assert_eq!(lone.closed.last(), Some(&(refused, CloseReason::Stranger)));
    lone.bind("0.0.0.0:3611"); // moves, and tells nobody
    lone.pass(Duration::from_secs(3_600));
    assert!(lone.dials.is_empty());
    assert!(lone.own().seq() > seq, "our own record is ours all the same");
    assert!(held.iter().all(|(node, _)| lone.database().get(node).is_some()));

    lone.events.clear();
    loads(&mut lone, &of(&[1, 0]));
    let dialled: Vec<String> = lone.dials.iter().map(|(_, _, at)| at.to_string()).collect();
    assert_eq!(dialled, ["198.18.1.1:1"], "it was reached there before");
    let link = lone.greet(1, "198.18.1.1:1");
    assert_eq!(places(&lone), [(0, link)]);
}

#[test]
fn words_about_us_count_no_longer_than_their_speakers_authority() {
    // Behind a NAT: where we are, f + 1 = 2 of 4 have to say.
    let mut lone =
        Lone::on_host(Config { manifest: of(&[0, 1, 2, 3]), ..config(1) }, &["10.0.0.2"]);
    lone.pass(Duration::from_secs(3));
    let link = lone.greet(1, "198.18.1.1:1");
    lone.say(link, &seen("198.18.9.9:1"));
    loads(&mut lone, &of(&[0, 4, 2, 3]));
    let new = lone.greet(4, "198.18.1.4:1"); // at the place that key 1 had
    lone.say(new, &seen("198.18.9.9:1"));
    assert_eq!(lone.own_address(), Some(address("10.0.0.2:3610")), "one word, not two");
    let other = lone.greet(2, "198.18.1.2:1");
    lone.say(other, &seen("198.18.9.9:1"));
    assert_eq!(lone.own_address(), Some(address("198.18.9.9:1")));
}

#[test]
fn a_smaller_quorum_may_be_there_already() {
    let mut lone =
        Lone::on_host(Config { manifest: of(&[0, 1, 2, 3]), ..config(1) }, &["10.0.0.2"]);
    lone.pass(Duration::from_secs(3));
    let link = lone.greet(1, "198.18.1.1:1");
    lone.say(link, &seen("198.18.9.9:1"));
    assert_eq!(lone.own_address(), Some(address("10.0.0.2:3610")));
    loads(&mut lone, &of(&[0, 1, 2])); // nobody may lie
    assert_eq!(lone.own_address(), Some(address("198.18.9.9:1")));
}

#[test]
fn who_loads_says_so_and_is_sent_what_it_refused_before() {
    let (mut lone, links) = linked(&[0, 1, 2]);
    let link = links[&1];
    let early = record(3, 9, &["198.18.1.3:1"]);
    lone.say(link, &records(&[&early]));
    assert_eq!(lone.count(Counter::RecordsStrange), 1);
    lone.told.clear();
    let manifest = of(&[0, 1, 2, 3]);
    loads(&mut lone, &manifest);
    for link in links.values() {
        let said = lone.told[link].iter().find_map(|frame| match frame {
            Frame::Reloaded(hello) => Some(hello.clone()),
            _ => None,
        });
        let Hello { cluster, digest, .. } = said.expect("it says that it loaded");
        assert_eq!((&cluster, digest.len()), (manifest.hash(), 4));
        assert!(digest.iter().any(|held| (held.node_id, held.seq) == (node_id(3), 0)));
    }
    // The peer that hears this answers as to a hello.
    lone.say(link, &records(&[&early]));
    assert_eq!(lone.database().newest(&node_id(3)), Some(&early));
    lone.told.clear();
    let digest = [record(0, 0, &[]), record(1, 0, &[])].iter().map(|r| r.into()).collect();
    let said =
        Hello { cluster: [8; 32], record: record(1, 3, &[]).as_bytes().to_vec().into(), digest };
    lone.say(links[&2], &Frame::Reloaded(said));
    let told: BTreeSet<u64> = lone.records_told(links[&2]).iter().map(Signed::seq).collect();
    assert!(told.contains(&9) && told.contains(&lone.own().seq()), "{told:?}");
    assert_eq!(lone.database().newest(&node_id(1)).map(Signed::seq), Some(3));
    let theirs = [8; 32];
    assert!(lone.events.contains(&Event::OtherCluster { operator: operator(2), theirs }));
}

#[test]
fn a_peer_that_reloads_without_end_is_closed() {
    let (mut lone, links) = linked(&[0, 1]);
    let Frame::Hello(hello) = hello(&[]) else { panic!("not a hello") };
    for _ in 0..RELOADS_AT_ONCE {
        lone.say(links[&1], &Frame::Reloaded(hello.clone()));
    }
    assert!(lone.closed.is_empty());
    lone.say(links[&1], &Frame::Reloaded(hello));
    assert_eq!(lone.closed, [(links[&1], CloseReason::Violation)]);
    let (operator, how) = (operator(1), Violation::Reloads);
    assert!(lone.events.contains(&Event::Violated { operator, how }));
}

#[test]
fn what_waits_for_its_turn_goes_on_with_its_signer() {
    let (mut lone, links) = linked(&[0, 1, 2, 3]);
    for key in [1, 2] {
        for seq in 1..=u64::from(CHANGES_AT_ONCE) + 2 {
            lone.say(links[&3], &records(&[&record(key, seq, &[])]));
        }
    }
    let seqs = |lone: &Lone| [1, 2].map(|key| lone.database().newest(&node_id(key)).unwrap().seq());
    let taken = u64::from(CHANGES_AT_ONCE);
    assert_eq!(seqs(&lone), [taken; 2]);
    loads(&mut lone, &of(&[2, 0])); // 3 brought it and is gone, as is 1
    lone.pass(Duration::from_secs(60));
    assert_eq!(seqs(&lone), [taken, taken + 2]);
}

#[test]
fn a_manifest_with_a_record_of_ours_that_we_did_not_issue_is_outrun() {
    let (mut lone, links) = linked(&[0, 1]);
    let ahead = lone.own().seq() + 1_000_000_000;
    loads(&mut lone, &of_records(vec![record(0, ahead, &[]), record(1, 4, &["198.18.1.1:7"])]));
    assert!(lone.own().seq() > ahead);
    assert_eq!(lone.own_address(), Some(address("198.18.0.1:3610")));
    let told: Vec<u64> = lone.records_told(links[&1]).iter().map(Signed::seq).collect();
    assert!(told.contains(&lone.own().seq()));
    let (operator, record) = (operator(1), record(1, 4, &["198.18.1.1:7"]));
    assert!(lone.events.contains(&Event::Record { operator, record }));
}

#[test]
fn a_manifest_that_comes_before_the_socket_is_bound_is_the_one_that_counts() {
    let hints = vec![(operator(1), address("198.18.1.1:1"))];
    let discovery = Some(Settings::default());
    let mut lone = Lone::new(Config { manifest: of(&[0, 1, 2]), hints, discovery, ..config(1) });
    lone.up("198.18.0.1");
    loads(&mut lone, &of_records(vec![record(3, 1, &["198.18.1.3:1"]), record(0, 0, &[])]));
    assert!(lone.dials.is_empty() && lone.datagrams.is_empty());
    lone.bind("0.0.0.0:3610");
    let dialled: Vec<String> = lone.dials.iter().map(|(_, _, at)| at.to_string()).collect();
    assert_eq!(dialled, ["198.18.1.3:1"]);
    assert!(lone.datagrams.iter().all(|(to, _)| *to == address("198.18.1.3:1")));
    assert!(!lone.datagrams.is_empty(), "it is looked for, too");
}

#[test]
fn the_same_manifest_again_changes_nothing() {
    let (mut lone, _) = linked(&[0, 1, 2]);
    let (held, told) = (lone.database(), lone.told.clone());
    loads(&mut lone, &of(&[0, 1, 2]));
    assert_eq!(lone.events, [Event::Manifest { changes: vec![] }]);
    assert_eq!((lone.database(), &lone.told), (held, &told));
}

/// What may happen between manifests.
#[derive(Clone, Debug)]
enum Deed {
    Load(Vec<u8>),
    Open(u8, bool),
    Hear(u8, u8, u64),
    See(u8, u8),
    Close(u8),
    Pass(u16),
}

const KEYS: u8 = 6;

fn deed() -> impl Strategy<Value = Deed> {
    let keys: Vec<u8> = (0..KEYS).collect();
    let keys = prop::sample::subsequence(keys, 1..=usize::from(KEYS)).prop_shuffle();
    prop_oneof![
        2 => keys.prop_map(Deed::Load),
        4 => (1..KEYS, any::<bool>()).prop_map(|(key, greets)| Deed::Open(key, greets)),
        3 => (1..KEYS, 0..KEYS, 1..9u64).prop_map(|(by, of, seq)| Deed::Hear(by, of, seq)),
        2 => (1..KEYS, 1..4u8).prop_map(|(by, at)| Deed::See(by, at)),
        1 => (1..KEYS).prop_map(Deed::Close),
        1 => (0..2_000u16).prop_map(Deed::Pass),
    ]
}

fn act(lone: &mut Lone, open: &mut BTreeMap<LinkId, u8>, deed: &Deed) {
    let with = |peer: &u8| open.iter().find(|(_, key)| *key == peer).map(|(link, _)| *link);
    match deed {
        Deed::Load(keys) => loads(lone, &of(keys)),
        Deed::Open(key, greets) => {
            let link = lone.open(*key, &format!("198.18.1.{key}:1"), None);
            open.insert(link, *key);
            if *greets && lone.closed.iter().all(|(closed, _)| *closed != link) {
                lone.say(link, &hello(&[]));
            }
        }
        Deed::Hear(by, of, seq) => {
            let link = with(by);
            let record = record(*of, *seq, &[&format!("198.18.2.{of}:{seq}")]);
            link.into_iter().for_each(|link| lone.say(link, &records(&[&record])));
        }
        Deed::See(by, at) => {
            let link = with(by);
            link.into_iter().for_each(|link| lone.say(link, &seen(&format!("198.18.9.{at}:1"))));
        }
        Deed::Close(key) => {
            if let Some(link) = with(key) {
                open.remove(&link);
                lone.close(link);
            }
        }
        Deed::Pass(millis) => lone.pass(Duration::from_millis(u64::from(*millis))),
    }
    open.retain(|link, _| lone.closed.iter().all(|(closed, _)| closed != link));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/load.txt"
        )))),
        cases: 96,
        ..ProptestConfig::default()
    })]

    /// Whatever happens between manifests: right after each event nobody is linked but operators of
    /// the manifest in force, under their places in it; nothing that was held is forgotten; and what
    /// is on disk is what is held. (That nothing else counts, the node checks itself.)
    #[test]
    fn only_the_manifest_in_force_counts(
        deeds in prop::collection::vec(deed(), 1..50),
        discovers in any::<bool>(),
    ) {
        let discovery = discovers.then(Settings::default);
        let config = Config { manifest: of(&[0, 1, 2, 3]), discovery, ..config(1) };
        let mut lone = Lone::on_host(config, &["10.0.0.2"]);
        let mut open = BTreeMap::new();
        let mut force = vec![0, 1, 2, 3];
        for deed in &deeds {
            let held = lone.database();
            let linked_before: BTreeSet<LinkId> = lone.node.links().map(|(_, link, _)| link).collect();
            if let Deed::Load(keys) = deed {
                force.clone_from(keys);
            }
            let authorised = |key: u8| force.contains(&0) && key != 0 && force.contains(&key);
            act(&mut lone, &mut open, deed);
            for (link, key) in &open {
                prop_assert!(authorised(*key), "{link:?} to key {key} after {deed:?}");
            }
            for (operator, link, _) in lone.node.links() {
                prop_assert_eq!(force.get(usize::from(operator.0)), open.get(&link));
            }
            if matches!(deed, Deed::Load(_)) {
                for (link, key) in &open {
                    let is = lone.node.links().any(|(_, it, _)| it == *link);
                    prop_assert_eq!(linked_before.contains(link), is, "{:?} to key {}", link, key);
                }
            }
            for key in 0..KEYS {
                prop_assert_eq!(lone.node.admits(self::key(key).public_key().as_bytes()), authorised(key));
            }
            for (node, entry) in held.iter() {
                let now = lone.node.database().newest(node).expect("nothing is forgotten");
                prop_assert!(now.rank() >= entry.versions.newest().rank());
            }
        }
        let rows: Vec<_> = lone.disk.values().cloned().collect();
        let (loaded, damages) = stayfound_core::database::Database::load(&rows);
        prop_assert_eq!((loaded, damages), (lone.database(), vec![]));
    }

    /// What is said to have changed is what turns the one list of keys into the other.
    #[test]
    fn changes_turn_the_one_manifest_into_the_other(
        before in prop::sample::subsequence((0..8u8).collect::<Vec<_>>(), 1..=8).prop_shuffle(),
        after in prop::sample::subsequence((0..8u8).collect::<Vec<_>>(), 1..=8).prop_shuffle(),
    ) {
        let mut places: BTreeMap<_, _> =
            of(&before).operators().iter().map(|it| (it.node_id, it.index)).collect();
        for change in of(&before).changes_to(&of(&after)) {
            match change {
                Change::Added { operator, node_id } => {
                    prop_assert_eq!(places.insert(node_id, operator), None);
                }
                Change::Replaced { operator, before, node_id } => {
                    prop_assert_eq!(places.remove(&before), Some(operator));
                    prop_assert_eq!(places.insert(node_id, operator), None);
                }
                Change::Removed { operator, node_id } => {
                    prop_assert_eq!(places.remove(&node_id), Some(operator));
                }
                Change::Moved { from, operator, node_id } => {
                    prop_assert_eq!(places.insert(node_id, operator), Some(from));
                }
            }
        }
        let expected: BTreeMap<_, _> =
            of(&after).operators().iter().map(|it| (it.node_id, it.index)).collect();
        prop_assert_eq!(places, expected);
    }
}
