//! The proof that the oracle can fail: it is fed lies.

use super::*;
use crate::host::Uplink;
use crate::network::OpenLink;
use crate::scenario::{Fault, What};
use stayfound_core::database::Provenance;
use stayfound_core::keys::SecretKey;
use stayfound_core::mesh::Violation;
use stayfound_core::record::Endpoints;
use stayfound_core::time::Wall;

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const STRANGER: HostId = HostId(2);

/// Two operators and a stranger, and what the lies are made of.
struct Lie {
    oracle: Oracle,
    now: Moment,
    tickets: u64,
}

fn key(host: HostId) -> SecretKey {
    SecretKey::from_bytes(&[host.0 as u8 + 1; 32]).unwrap()
}

fn at(n: u8) -> SocketAddr {
    SocketAddr::from(([198, 18, 0, n], 3610))
}

fn record(of: HostId, seq: u64, n: u8) -> Signed {
    Signed::sign(&key(of), seq, &Endpoints::at([at(n)]))
}

fn holding(records: &[Signed]) -> Database {
    let mut database = Database::default();
    for record in records {
        let _ = database.merge(record.clone(), Provenance::Discovery, Wall(0));
    }
    database
}

fn view<'a>(database: &'a Database, own: Option<&'a Signed>) -> View<'a> {
    View { database, own, links: &[] }
}

impl Lie {
    fn new() -> Self {
        let mut oracle = Oracle::default();
        for (host, n) in [(A, 1), (B, 2)] {
            oracle.add_operator(&record(host, 1, n));
        }
        oracle.add_stranger(key(STRANGER).public_key());
        Self { oracle, now: Moment(1_000_000_000), tickets: 0 }
    }

    /// A node stores a record of its own, properly.
    fn stores(&mut self, host: HostId, own: &Signed) {
        let ticket = self.writes(host, own);
        self.oracle.durable(self.now, host, ticket);
    }

    fn writes(&mut self, host: HostId, record: &Signed) -> Ticket {
        self.tickets += 1;
        let row = holding(std::slice::from_ref(record)).row(&record.node_id());
        self.oracle.wrote(host, Ticket(self.tickets), &row);
        Ticket(self.tickets)
    }

    fn sees(&mut self, host: HostId, view: View<'_>) -> Result<(), String> {
        self.oracle.observe(self.now, host, view).map_err(|finding| {
            assert_eq!(finding.kind, Kind::Safety);
            finding.sentence
        })
    }
}

#[test]
fn a_record_handed_back_is_found() {
    let mut lie = Lie::new();
    let (old, new) = (record(B, 1, 2), record(B, 2, 3));
    lie.stores(B, &new);
    lie.writes(A, &new);
    lie.sees(A, view(&holding(&[new]), None)).unwrap();
    let sentence = lie.sees(A, view(&holding(&[old]), None)).unwrap_err();
    assert!(sentence.starts_with("operator 0 went back from seq 2 to 1 of "), "{sentence}");
}

#[test]
fn a_dropped_record_is_found() {
    let mut lie = Lie::new();
    let (kept, dropped) = (record(A, 1, 1), record(B, 1, 2));
    lie.writes(A, &kept);
    lie.writes(A, &dropped);
    lie.sees(A, view(&holding(&[kept.clone(), dropped]), None)).unwrap();
    let sentence = lie.sees(A, view(&holding(&[kept]), None)).unwrap_err();
    assert!(sentence.starts_with("operator 0 dropped the record of "), "{sentence}");
}

#[test]
fn a_record_that_is_held_and_not_to_be_stored_is_found() {
    let mut lie = Lie::new();
    let news = record(B, 1, 2);
    lie.writes(A, &record(A, 1, 1));
    let sentence = lie.sees(A, view(&holding(&[news]), None)).unwrap_err();
    assert!(sentence.starts_with("operator 0 took seq 1 of "), "{sentence}");
    assert!(sentence.ends_with(" and did not want it stored"), "{sentence}");
}

#[test]
fn a_record_that_was_durable_and_is_gone_after_a_restart_is_found() {
    let mut lie = Lie::new();
    let new = record(B, 2, 3);
    lie.stores(B, &new);
    lie.sees(B, view(&holding(&[new]), None)).unwrap();
    lie.oracle.died(lie.now, B);
    let lost = lie.oracle.started(lie.now, B, &holding(&[record(B, 1, 2)])).unwrap_err();
    assert!(lost.sentence.contains("went back from seq 2 to 1"), "{lost}");
    lie.oracle.holds(B, [].iter());
    lie.oracle.started(lie.now, B, &holding(&[record(B, 1, 2)])).expect("a lost disk may");
}

#[test]
fn what_was_not_durable_may_be_gone_after_a_restart() {
    let mut lie = Lie::new();
    lie.writes(B, &record(B, 2, 3));
    lie.sees(B, view(&holding(&[record(B, 2, 3)]), None)).unwrap();
    lie.oracle.died(lie.now, B);
    lie.oracle.started(lie.now, B, &holding(&[record(B, 1, 2)])).unwrap();
}

#[test]
fn two_records_with_one_seq_are_found() {
    let mut lie = Lie::new();
    let (one, two) = (record(B, 2, 3), record(B, 2, 4));
    lie.stores(B, &one);
    lie.stores(B, &two);
    lie.oracle.configured(B, [at(3)]);
    lie.sees(B, view(&holding(std::slice::from_ref(&one)), Some(&one))).unwrap();
    let sentence = lie.sees(A, view(&holding(&[two]), None)).unwrap_err();
    assert_eq!(sentence, "operator 1 has signed two different records with seq 2");
}

#[test]
fn an_address_that_liars_alone_can_have_told_is_found() {
    let mut lie = Lie::new();
    let (own, empty) = (record(A, 2, 9), holding(&[]));
    lie.stores(A, &own);
    let sentence = lie.sees(A, view(&empty, Some(&own))).unwrap_err();
    let expected = "operator 0 names 198.18.0.9:3610 in seq 2, where only 0 of its peers saw it";
    assert_eq!(sentence, expected);
    lie.oracle.link_opened(lie.now, B, LinkId(1), key(A).public_key()).unwrap();
    lie.oracle.link_seen(B, LinkId(1), at(8));
    assert_eq!(lie.sees(A, view(&empty, Some(&own))).unwrap_err(), expected, "elsewhere");
    lie.oracle.link_seen(B, LinkId(1), at(9));
    lie.sees(A, view(&empty, Some(&own))).expect("one of two is f + 1");
}

#[test]
fn an_address_takes_one_honest_witness_more_than_there_may_be_liars() {
    const OTHERS: [HostId; 3] = [B, HostId(2), HostId(3)];
    let mut oracle = Oracle::default();
    for host in [A].into_iter().chain(OTHERS) {
        oracle.add_operator(&record(host, 1, host.0 as u8));
    }
    let own = record(A, 2, 9);
    let row = holding(std::slice::from_ref(&own)).row(&own.node_id());
    oracle.wrote(A, Ticket(1), &row);
    oracle.durable(Moment(1), A, Ticket(1));
    let empty = holding(&[]);
    let sees = |oracle: &mut Oracle| oracle.observe(Moment(1), A, view(&empty, Some(&own)));
    oracle.turned(B);
    sees(&mut oracle).expect_err("one may lie, two may not");
    for (place, host) in OTHERS.into_iter().enumerate() {
        oracle.link_opened(Moment(1), host, LinkId(1), key(A).public_key()).unwrap();
        oracle.link_seen(host, LinkId(1), at(9));
        // What the liar says it has seen counts once, whether it has or not.
        assert_eq!(sees(&mut oracle).is_ok(), place > 0);
    }
}

#[test]
fn a_record_of_somebody_who_is_no_operator_is_found() {
    let mut lie = Lie::new();
    let strange = record(STRANGER, 1, 3);
    lie.stores(STRANGER, &strange);
    lie.writes(A, &strange);
    let sentence = lie.sees(A, view(&holding(std::slice::from_ref(&strange)), None)).unwrap_err();
    assert!(sentence.starts_with("operator 0 holds a record of "), "{sentence}");
    assert!(sentence.ends_with(", which is no operator"), "{sentence}");
    lie.writes(STRANGER, &strange);
    lie.sees(STRANGER, view(&holding(&[strange]), None)).expect("what a stranger holds");
}

#[test]
fn a_record_held_before_it_is_durable_is_found() {
    let mut lie = Lie::new();
    let early = record(B, 2, 3);
    lie.writes(B, &early);
    lie.sees(B, view(&holding(std::slice::from_ref(&early)), None)).unwrap();
    let sentence = lie.sees(A, view(&holding(&[early]), None)).unwrap_err();
    assert_eq!(
        sentence,
        "operator 0 holds operator 1's record with seq 2, which was never durable there"
    );
}

#[test]
fn a_record_said_before_it_is_durable_is_found() {
    let mut lie = Lie::new();
    let early = record(B, 2, 3);
    let ticket = lie.writes(B, &early);
    let frame = [b"frame", early.as_bytes()].concat();
    let finding = lie.oracle.said(lie.now, B, &frame).unwrap_err();
    assert_eq!(finding.sentence, "operator 1 says its record with seq 2 before it is durable");
    lie.oracle.durable(lie.now, B, ticket);
    lie.oracle.said(lie.now, B, &frame).unwrap();
}

#[test]
fn a_link_of_a_stranger_is_found() {
    let mut lie = Lie::new();
    let mut open = |host: HostId, peer: HostId| {
        lie.oracle.link_opened(lie.now, host, LinkId(0), key(peer).public_key())
    };
    open(A, B).unwrap();
    open(STRANGER, A).expect("what a stranger believes is its own affair");
    let finding = open(A, STRANGER).unwrap_err();
    assert_eq!(finding.sentence, "operator 0 has a link to stranger 0");
    let finding = open(A, HostId(77)).unwrap_err();
    assert_eq!(finding.sentence, "operator 0 has a link to an unknown key");
    open(B, B).expect_err("nobody is linked with itself");
}

#[test]
fn a_link_that_only_a_node_believes_in_is_found() {
    let mut lie = Lie::new();
    lie.oracle.link_opened(lie.now, A, LinkId(4), key(B).public_key()).unwrap();
    let database = holding(&[]);
    let links = [(OperatorIndex(1), LinkId(4))];
    let believes = View { database: &database, own: None, links: &links };
    lie.sees(A, believes).unwrap();
    lie.oracle.link_closed(lie.now, A, LinkId(4));
    let sentence = lie.sees(A, believes).unwrap_err();
    assert_eq!(sentence, "operator 0 believes that link 4 is open to operator 1");
}

#[test]
fn a_link_that_outlives_its_authority_is_found() {
    let mut lie = Lie::new();
    lie.oracle.link_opened(lie.now, A, LinkId(4), key(B).public_key()).unwrap();
    let database = holding(&[]);
    let sees = view(&database, None);
    lie.oracle.loaded(A, &[B, A]);
    lie.sees(A, sees).unwrap();
    for named in [&[A][..], &[B]] {
        lie.oracle.loaded(A, named);
        let sentence = lie.sees(A, sees).unwrap_err();
        assert_eq!(sentence, "operator 0 keeps link 4 to operator 1 against the manifest in force");
    }
    lie.oracle.link_closed(lie.now, A, LinkId(4));
    lie.sees(A, sees).unwrap();
}

/// Two operators in perfect health, and one thing less each time.
#[test]
fn whatever_is_lacking_at_the_end_is_said() {
    let mut lie = Lie::new();
    for (place, n) in [1, 2].into_iter().enumerate() {
        lie.oracle.reach.add(Uplink::Direct, at(n), Some(at(n)), Vec::new());
        let host = HostId(place);
        lie.oracle.reach.apply(&Fault { host, what: What::Start });
    }
    let (of_a, of_b) = (record(A, 5, 1), record(B, 6, 2));
    for (host, own) in [(A, &of_a), (B, &of_b)] {
        lie.stores(host, own);
    }
    let all = holding(&[of_a.clone(), of_b.clone()]);
    let to_b = [(OperatorIndex(1), LinkId(3))];
    let to_a = [(OperatorIndex(0), LinkId(4))];
    let well_a = View { database: &all, own: Some(&of_a), links: &to_b };
    let well_b = View { database: &all, own: Some(&of_b), links: &to_a };
    let (a, b) = (Some(well_a), Some(well_b));
    let link = OpenLink { ends: [(A, LinkId(3)), (B, LinkId(4))], works: true };
    let addresses: [&[SocketAddr]; 2] = [&[at(9), at(1)], &[at(2)]];
    let verdict = |views: &[Option<View<'_>>], links: &[OpenLink], addresses: &[&[_]]| {
        lie.oracle.verdict(views, links, addresses)
    };
    verdict(&[a, b], &[link], &addresses).unwrap();

    let lacks = |verdict: Result<(), String>| verdict.unwrap_err();
    let none = lacks(verdict(&[a, b], &[], &addresses));
    assert_eq!(none, "operator 0 and operator 1 are not linked, from the beginning");
    let dead = OpenLink { works: false, ..link };
    assert_eq!(lacks(verdict(&[a, b], &[dead], &addresses)), none);
    let two = lacks(verdict(&[a, b], &[link, link], &addresses));
    assert_eq!(two, "operator 0 and operator 1 have 2 links");
    let mute = Some(View { links: &[], ..well_b });
    let mute = lacks(verdict(&[a, mute], &[link], &addresses));
    assert_eq!(mute, "operator 0 and operator 1 have a link but have not greeted each other");

    let older = holding(&[record(A, 1, 1), of_b.clone()]);
    let behind = Some(View { database: &older, ..well_b });
    let behind = lacks(verdict(&[a, behind], &[link], &addresses));
    let expected = "operator 1 does not hold operator 0's newest record \
                    (seq 5, durable since 1.000s; has 1)";
    assert_eq!(behind, expected);
    let nameless = Some(View { own: None, ..well_a });
    let nameless = lacks(verdict(&[nameless, b], &[link], &addresses));
    assert_eq!(nameless, "operator 0 has no record of its own");
    let elsewhere: [&[SocketAddr]; 2] = [&[at(9), at(8)], &[at(2)]];
    let elsewhere = lacks(verdict(&[a, b], &[link], &elsewhere));
    let expected = "operator 0 is at 198.18.0.9:3610 and 198.18.0.8:3610, \
                    which its record (seq 5) does not say";
    assert_eq!(elsewhere, expected);
}

#[test]
fn whoever_dials_no_more_where_it_reached_the_other_is_found() {
    let mut lie = Lie::new();
    let mut now = Moment(0);
    lie.oracle.link_opened(now, A, LinkId(1), key(B).public_key()).unwrap();
    lie.oracle.link_seen(A, LinkId(1), at(7));
    let links = [(OperatorIndex(1), LinkId(1))];
    lie.sees(A, View { links: &links, ..view(&Database::default(), None) }).unwrap();
    lie.oracle.link_closed(now, A, LinkId(1));
    for address in [at(7), at(8)] {
        now = now + dialling::DIALS_EVERY;
        lie.oracle.on_time(now, |_, _| false).unwrap();
        lie.oracle.dialled(now, A, key(B).public_key(), address);
    }
    now = now + Duration::from_nanos(1);
    let late = lie.oracle.on_time(now, |_, _| false).unwrap_err();
    let expected =
        "operator 0 has not dialled operator 1 at 198.18.0.7:3610, where it reached it last";
    assert!(late.sentence.starts_with(expected), "{late}");
    lie.oracle.died(now, A);
    lie.oracle.on_time(now, |_, _| false).expect("the dead dial nobody");
}

#[test]
fn whoever_has_moved_and_is_not_linked_again_is_found() {
    let within = Duration::from_secs(10);
    let moved = |also: Option<Fault>| {
        let mut lie = Lie::new();
        lie.oracle.expect_relinks_within(within);
        for (host, n) in [(A, 1), (B, 2)] {
            lie.oracle.reach.add(Uplink::Direct, at(n), Some(at(n)), Vec::new());
            lie.oracle.reach.apply(&Fault { host, what: What::Start });
        }
        lie.oracle.settled();
        lie.oracle.suffers(lie.now, &Fault { host: A, what: What::Move(at(3)) }, true);
        also.into_iter().for_each(|fault| lie.oracle.suffers(lie.now, &fault, true));
        let later = lie.now + within;
        lie.oracle.on_time(later, |_, _| false).expect("it has time");
        move |linked| lie.oracle.on_time(later + Duration::from_nanos(1), |_, _| linked)
    };
    moved(None)(true).expect("they are linked");
    let late = moved(None)(false).unwrap_err();
    assert_eq!(late.sentence, "operator 0 moved, and is not linked with operator 1 10.0 s later");
    let crash = Fault { host: B, what: What::Crash };
    moved(Some(crash))(false).expect("more has happened than a move");
}

#[test]
fn an_honest_peer_that_is_said_to_break_the_protocol_is_found() {
    let mut lie = Lie::new();
    let place = OperatorIndex(1);
    let accuses = |lie: &Lie, how| lie.oracle.accuses(lie.now, A, place, how);
    accuses(&lie, Violation::Reloads).expect("its operator may load what it likes");
    let accused = accuses(&lie, Violation::Malformed).unwrap_err();
    assert_eq!(accused.sentence, "operator 0 says that operator 1 broke the protocol: Malformed");
    lie.oracle.turned(B);
    accuses(&lie, Violation::Malformed).expect("a liar may be accused");
}

#[test]
fn an_address_that_is_gone_and_named_is_found() {
    let mut lie = Lie::new();
    let named = record(A, 2, 5);
    for n in [5, 6] {
        lie.oracle.told_of_interface(A, at(n).ip(), true);
    }
    lie.oracle.told_of_interface(A, at(5).ip(), false);
    let gone = lie.oracle.left(lie.now, A, at(5).ip(), &named).unwrap_err();
    assert_eq!(gone.sentence, "operator 0 names 198.18.0.5 in seq 2, and knows that it is gone");
    lie.oracle.left(lie.now, A, at(5).ip(), &record(A, 3, 6)).unwrap();
    lie.oracle.told_of_interface(A, at(6).ip(), false);
    lie.oracle.left(lie.now, A, at(5).ip(), &named).expect("there is nothing better to say");
}
