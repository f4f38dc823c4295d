//! The database is a join: commutative, associative, idempotent (wall 4 of the house).

use std::net::Ipv4Addr;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::cluster::OperatorIndex;
use stayfound_core::database::{Database, Provenance, Verdict, Versions};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Claimed, Endpoints, Signed};
use stayfound_core::time::Wall;

/// The example of EIP-778, and the same content signed with another nonce.
const SAME_CONTENT: [&str; 2] = [
    "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8",
    "enr:-IS4QLJYdRwxdy-AbzWC6wL9ooB6O6uvCvJsJ36rbJztiAs1JzPY0__YkgFzZwNUuNhm1BDN6c4-UVRCJP9bXNCmoDYBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8",
];

const FROM: Provenance = Provenance::Peer(OperatorIndex(1));

/// One of few nodes, few seqs and few contents, so that everything collides with everything.
fn record() -> impl Strategy<Value = Signed> {
    (1u8..3, 1u64..4, 0u8..4).prop_map(|(node, seq, content)| of_node(node, seq, content))
}

fn of_node(node: u8, seq: u64, content: u8) -> Signed {
    let ip = Some(Ipv4Addr::new(198, 18, 0, content));
    let key = SecretKey::from_bytes(&[node; 32]).unwrap();
    Signed::sign(&key, seq, &Endpoints { ip, ..Endpoints::default() })
}

fn records() -> impl Strategy<Value = Vec<Signed>> {
    prop::collection::vec(record(), 1..8)
}

fn versions(records: &[Signed]) -> Versions {
    let mut records = records.iter().cloned();
    let mut versions = Versions::from(records.next().expect("one at least"));
    records.for_each(|record| versions.merge(record));
    versions
}

fn of_one_node() -> impl Strategy<Value = Versions> {
    prop::collection::vec((1u64..3, 0u8..4), 1..5).prop_map(|contents| {
        let records: Vec<_> = contents.into_iter().map(|(s, c)| of_node(1, s, c)).collect();
        versions(&records)
    })
}

fn join(mut a: Versions, b: &Versions) -> Versions {
    a.join(b);
    a
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/join.txt"
        )))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn join_is_commutative(a in of_one_node(), b in of_one_node()) {
        prop_assert_eq!(join(a.clone(), &b), join(b, &a));
    }

    #[test]
    fn join_is_associative(a in of_one_node(), b in of_one_node(), c in of_one_node()) {
        prop_assert_eq!(join(join(a.clone(), &b), &c), join(a, &join(b, &c)));
    }

    #[test]
    fn join_is_idempotent(a in of_one_node(), b in of_one_node()) {
        prop_assert_eq!(join(a.clone(), &a), a.clone());
        let ab = join(a, &b);
        prop_assert_eq!(join(ab.clone(), &b), ab);
    }

    /// Whatever the order in which the same records arrive, every database ends the same, never
    /// went back on the way, and a record that a database did not want would have changed nothing.
    #[test]
    fn databases_agree_whatever_the_order(
        records in records(),
        order in any::<prop::sample::Index>(),
        swaps in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let mut other = records.clone();
        for (place, swap) in swaps.iter().enumerate().take(other.len()) {
            let to = swap.index(other.len());
            other.swap(place, to);
        }
        other.push(order.get(&records).clone()); // and one of them twice
        let (a, b) = (database(&records), database(&other));
        for (id, entry) in a.iter() {
            prop_assert_eq!(Some(&entry.versions), b.get(id).map(|entry| &entry.versions));
        }
        prop_assert_eq!(a.iter().count(), b.iter().count());
    }

    #[test]
    fn a_stored_database_comes_back_whole(records in records()) {
        let database = database(&records);
        let rows: Vec<_> = database.iter().map(|(id, _)| database.row(id)).collect();
        let (loaded, damages) = Database::load(&rows);
        prop_assert_eq!(damages, vec![]);
        prop_assert_eq!(loaded, database);
    }

    #[test]
    fn a_damaged_row_is_reported_and_harms_no_other(
        records in records(),
        place in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let database = database(&records);
        let mut rows: Vec<_> = database.iter().map(|(id, _)| database.row(id)).collect();
        let mut bytes = rows[0].value.to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        rows[0].value = bytes.into();
        let (loaded, damages) = Database::load(&rows);
        prop_assert_eq!(loaded.iter().count() + damages.len(), rows.len());
        for row in &rows[1..] {
            prop_assert_eq!(loaded.get(&row.key), database.get(&row.key));
        }
        // Whatever survived carries the node's signature.
        if let Some(entry) = loaded.get(&rows[0].key) {
            for record in entry.versions.iter() {
                prop_assert!(records.contains(record));
            }
        }
    }
}

fn database(records: &[Signed]) -> Database {
    let mut database = Database::default();
    for (time, record) in (0..).zip(records) {
        let before = database.newest(&record.node_id()).cloned();
        let wanted = database.wants(&record.node_id(), &Claimed::parse(record.as_bytes()).unwrap());
        let verdict = database.merge(record.clone(), FROM, Wall(time));
        assert_eq!(wanted, verdict != Verdict::Stale, "{record:?}");
        let after = database.newest(&record.node_id()).expect("merged");
        assert!(
            before.is_none_or(|before| before.rank() <= after.rank()),
            "the database went back"
        );
    }
    database
}

#[test]
fn one_seq_and_two_contents_is_equivocation_and_the_greater_content_wins() {
    let (a, b) = (of_node(1, 5, 1), of_node(1, 5, 2));
    let mut database = Database::default();
    assert_eq!(database.merge(a.clone(), FROM, Wall(1)), Verdict::Newest);
    assert_eq!(database.merge(b.clone(), FROM, Wall(2)), Verdict::Equivocation);
    let (greater, lesser) = if a.content_hash() > b.content_hash() { (a, b) } else { (b, a) };
    let versions = &database.get(&greater.node_id()).unwrap().versions;
    assert_eq!((versions.newest(), versions.rival()), (&greater, Some(&lesser)));
}

#[test]
fn one_content_signed_twice_is_no_equivocation() {
    let [a, b] = SAME_CONTENT.map(|text| Signed::from_text(text).unwrap());
    assert_eq!(a.content_hash(), b.content_hash());
    assert_ne!(a, b);
    for order in [[&a, &b], [&b, &a]] {
        let versions = versions(&order.map(Signed::clone));
        assert_eq!(versions.rival(), None);
        assert_eq!(versions.newest().as_bytes(), a.as_bytes().max(b.as_bytes()));
    }
}
