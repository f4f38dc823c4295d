use super::*;
use crate::moment::Units;
use crate::scenario::{Fault, What};
use stayfound_core::keys::SecretKey;

/// Hosts without nodes: what arrives is kept.
struct Bench {
    network: Network,
    queue: Queue<Event>,
    now: Moment,
    arrived: Vec<(Moment, HostId, Arrival)>,
    /// Whose keys nobody admits.
    strangers: Vec<PublicKey>,
}

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const C: HostId = HostId(2);

fn key(host: HostId) -> PublicKey {
    SecretKey::from_bytes(&[host.0 as u8 + 1; 32]).unwrap().public_key()
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([198, 18, 0, n], 3610))
}

impl Bench {
    fn new() -> Self {
        let chance = Chance::new([9; 32]);
        let mut bench = Self {
            network: Network::new(Latency::Continental, Loss(0), Noise::default(), &chance),
            queue: Queue::default(),
            now: Moment::default(),
            arrived: Vec::new(),
            strangers: Vec::new(),
        };
        for host in [A, B, C] {
            assert_eq!(bench.network.add(key(host), &chance), host);
            bench.moves(host, Some(host.0 as u8 + 1));
            bench.network.started(host, 1);
        }
        bench
    }

    fn moves(&mut self, host: HostId, to: Option<u8>) {
        self.is_at(host, to.map(address).into_iter().collect());
    }

    fn is_at(&mut self, host: HostId, addresses: Vec<SocketAddr>) {
        let at = Attachment { addresses, behind: None };
        self.network.attach(host, at, self.now, &mut self.queue);
    }

    fn dial(&mut self, from: HostId, number: u64, expected: HostId, at: u8) {
        let far = (key(expected), address(at));
        self.network.dial((from, DialId(number)), far, self.now, &mut self.queue);
    }

    fn say(&mut self, from: HostId, link: u64, text: &'static str) {
        let (end, bytes) = ((from, LinkId(link)), Bytes::from_static(text.as_bytes()));
        self.network.say(end, bytes, self.now, &mut self.queue).unwrap();
    }

    fn close(&mut self, from: HostId, link: u64) {
        self.network.close((from, LinkId(link)), self.now, &mut self.queue).unwrap();
    }

    fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some((at, event)) = self.queue.pop_until(until) {
            let Event::Network(due) = event else { unreachable!() };
            let strangers = self.strangers.clone();
            let admits = move |_: HostId, key: &PublicKey| !strangers.contains(key);
            self.network.handle(due, at, &mut self.queue, &admits);
            while let Some(delivery) = self.network.deliver() {
                self.arrived.push((at, delivery.host, delivery.what));
            }
        }
        self.now = until;
    }

    /// What arrived at a host since the last look, bytes joined.
    fn take(&mut self, host: HostId) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        for (_, at, what) in self.arrived.extract_if(.., |(_, at, _)| *at == host) {
            assert_eq!(at, host);
            match what {
                Arrival::Datagram(..) => unreachable!("nobody sends datagrams here"),
                Arrival::Bytes(_, bytes) => {
                    let text = String::from_utf8(bytes.to_vec()).unwrap();
                    match seen.last_mut().filter(|last| last.starts_with('"')) {
                        Some(last) => last.push_str(&text),
                        None => seen.push(format!("\"{text}")),
                    }
                }
                Arrival::Opened { dial: Some(_), .. } => seen.push("dialled".into()),
                Arrival::Opened { dial: None, .. } => seen.push("accepted".into()),
                Arrival::DialFailed(_) => seen.push("failed".into()),
                Arrival::Moved(..) => seen.push("moved".into()),
                Arrival::Closed(_) => seen.push("closed".into()),
            }
        }
        seen
    }

    /// A link from `A` to `B`, open at both ends.
    fn linked() -> Self {
        let mut bench = Self::new();
        bench.dial(A, 1, B, 2);
        bench.accepts(B, 0);
        bench.run(1.s());
        assert_eq!(bench.take(A), ["dialled", "\"hello"]);
        bench
    }

    /// Lets an acceptor open its end and say hello, as every node does.
    fn accepts(&mut self, host: HostId, link: u64) {
        self.run(500.ms());
        assert_eq!(self.take(host), ["accepted"]);
        self.say(host, link, "hello");
    }

    fn quiet(&mut self, host: HostId) -> bool {
        self.take(host).is_empty()
    }
}

#[test]
fn an_acceptor_opens_first_and_the_dialler_when_it_is_spoken_to() {
    let mut bench = Bench::new();
    bench.dial(A, 1, B, 2);
    bench.run(1.s());
    let trip = Duration::from_micros(5_000); // the least, one way
    let [(opened, B, Arrival::Opened { dial: None, .. })] = bench.arrived[..] else {
        panic!("the acceptor alone opens: {:?}", bench.arrived)
    };
    assert!(opened >= Moment::default() + 3 * trip, "three flights: {opened}");
    bench.say(B, 0, "hello");
    let said = bench.now;
    bench.run(1.s());
    let (opened, host, what) = &bench.arrived[1];
    assert_eq!(
        (*host, what.input()),
        (
            A,
            Input::LinkOpened {
                link: LinkId(0),
                peer: key(B),
                remote: address(2),
                dial: Some(DialId(1)),
            }
        )
    );
    assert!(*opened >= said + trip, "{opened}");
    assert!(matches!(bench.arrived[2], (at, A, Arrival::Bytes(..)) if at == *opened));
}

#[test]
fn a_dial_fails_if_the_acceptor_does_not_speak_and_the_acceptor_is_told() {
    let mut bench = Bench::new();
    bench.dial(A, 1, B, 2);
    bench.run(4999.ms());
    assert!(bench.quiet(A));
    bench.run(1.s());
    assert_eq!(bench.take(A), ["failed"]);
    assert_eq!(bench.take(B), ["accepted", "closed"]);
    assert!(bench.network.links.is_empty());
}

#[test]
fn a_dial_fails_at_once_if_the_acceptor_closes_before_it_speaks() {
    let mut bench = Bench::new();
    bench.dial(A, 1, B, 2);
    bench.run(1.s());
    bench.close(B, 0);
    bench.run(1.s());
    assert_eq!(bench.take(A), ["failed"]);
    assert!(bench.network.links.is_empty());
}

#[test]
fn a_crash_before_the_acceptor_is_heard_leaves_it_a_silent_link() {
    let mut bench = Bench::new();
    bench.dial(A, 1, B, 2);
    bench.accepts(B, 0);
    bench.network.died(A, bench.now, &mut bench.queue);
    bench.run(31.s());
    assert!(bench.quiet(A));
    assert_eq!(bench.take(B), ["closed"]);
    assert!(bench.network.links.is_empty());
}

#[test]
fn nobody_at_the_address_is_a_dial_that_fails_after_five_seconds() {
    let mut bench = Bench::new();
    bench.dial(A, 1, B, 77);
    bench.run(4999.ms());
    assert!(bench.quiet(A));
    bench.run(1.ms());
    assert_eq!(bench.take(A), ["failed"]);
}

#[test]
fn another_key_at_the_address_is_refused_at_once_and_the_holder_hears_nothing() {
    let mut bench = Bench::new();
    bench.dial(A, 1, B, 3);
    bench.run(1.s());
    assert_eq!(bench.take(A), ["failed"]);
    bench.run(60.s());
    assert!(bench.quiet(C));
    assert!(bench.network.links.is_empty());
}

#[test]
fn a_stranger_is_refused_on_both_sides() {
    let mut bench = Bench::new();
    bench.strangers.push(key(C));
    bench.dial(A, 1, C, 3); // A does not admit C
    bench.dial(C, 1, B, 2); // B does not admit C
    bench.run(1.s());
    assert_eq!(bench.take(A), ["failed"]);
    assert_eq!(bench.take(C), ["failed"]);
    assert!(bench.quiet(B));
    assert!(bench.network.links.is_empty());
}

#[test]
fn bytes_arrive_in_order_under_loss() {
    let mut bench = Bench::linked();
    bench.network.paths.loss = Loss(200);
    let words = ["the ", "quick ", "brown ", "fox ", "jumps ", "over ", "it"];
    for word in words {
        bench.say(A, 0, word);
        bench.run(3.ms());
    }
    bench.run(60.s());
    assert_eq!(bench.take(B), [format!("\"{}", words.concat())]);
}

#[test]
fn bytes_come_joined_and_in_pieces() {
    let mut bench = Bench::linked();
    for _ in 0..200 {
        bench.say(A, 0, "word ");
    }
    bench.run(60.s());
    let sizes: Vec<usize> = (bench.arrived.iter())
        .filter_map(|(_, _, what)| match what {
            Arrival::Bytes(_, bytes) => Some(bytes.len()),
            _ => None,
        })
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 200 * 5);
    assert!(sizes.iter().any(|size| *size < 5) && sizes.iter().any(|size| *size > 5), "{sizes:?}");
}

#[test]
fn a_close_reaches_the_far_end() {
    let mut bench = Bench::linked();
    bench.close(B, 0);
    bench.run(1.s());
    assert_eq!(bench.take(A), ["closed"]);
    assert!(bench.quiet(B), "whoever closes is told nothing");
    assert!(bench.network.links.is_empty());
    let again = bench.network.close((B, LinkId(0)), bench.now, &mut bench.queue);
    assert_eq!(again, Err(NoSuchLink(LinkId(0))));
}

#[test]
fn a_crash_is_silent_until_the_idle_time_out() {
    let mut bench = Bench::linked();
    bench.network.died(B, bench.now, &mut bench.queue);
    bench.say(A, 0, "anybody?");
    bench.run(20.s());
    assert!(bench.quiet(A));
    bench.run(10.s());
    assert_eq!(bench.take(A), ["closed"]);
    assert!(bench.quiet(B));
    assert!(bench.network.links.is_empty());
}

#[test]
fn a_moving_dialler_keeps_its_link_and_what_was_said_meanwhile() {
    let mut bench = Bench::linked();
    bench.moves(A, Some(9));
    bench.say(B, 0, "where are you?");
    bench.run(11.s()); // one keep-alive
    assert_eq!(bench.take(B), ["moved"]);
    assert_eq!(bench.take(A), ["\"where are you?"]);
    bench.moves(A, Some(10));
    bench.say(A, 0, "here"); // no need to wait for the keep-alive
    bench.run(1.s());
    assert_eq!(bench.take(B), ["moved", "\"here"]);
    bench.run(60.s());
    assert!(bench.quiet(A) && bench.quiet(B));
}

#[test]
fn an_acceptor_that_moves_loses_the_link_and_both_find_out_by_silence() {
    let mut bench = Bench::linked();
    bench.moves(B, Some(9));
    bench.say(A, 0, "hello?");
    bench.say(B, 0, "hello?");
    bench.run(20.s());
    assert!(bench.quiet(A) && bench.quiet(B));
    assert!(!bench.network.open_links().next().unwrap().works);
    bench.run(10.s());
    assert_eq!((bench.take(A), bench.take(B)), (vec!["closed".into()], vec!["closed".into()]));
}

#[test]
fn an_outage_shorter_than_the_time_out_only_delays() {
    let mut bench = Bench::linked();
    bench.moves(B, None);
    bench.say(A, 0, "one ");
    bench.run(15.s());
    bench.say(A, 0, "two");
    bench.moves(B, Some(2));
    bench.run(60.s());
    assert_eq!(bench.take(B), ["\"one two"]);
    assert!(bench.quiet(A));
}

#[test]
fn a_process_that_starts_anew_has_no_links_and_numbers_them_anew() {
    let mut bench = Bench::linked();
    bench.network.died(B, bench.now, &mut bench.queue);
    bench.network.started(B, 2);
    bench.dial(A, 2, B, 2);
    bench.accepts(B, 0);
    bench.run(1.s());
    assert_eq!(bench.take(A), ["dialled", "\"hello"]);
    let ends = |link: OpenLink| link.ends;
    let open: Vec<_> = bench.network.open_links().map(ends).collect();
    assert_eq!(open, [[(A, LinkId(1)), (B, LinkId(0))]]);
    bench.run(60.s());
    assert_eq!(bench.take(A), ["closed"], "the link to the old process");
}

#[test]
fn a_dialler_that_moves_during_the_handshake_fails() {
    let mut bench = Bench::new();
    bench.dial(A, 1, B, 2);
    bench.run(5.ms());
    bench.moves(A, Some(9));
    bench.run(10.s());
    assert_eq!(bench.take(A), ["failed"]);
    assert!(bench.quiet(B));
}

#[test]
fn a_host_with_two_addresses_answers_at_both_and_sends_from_the_first() {
    let mut bench = Bench::new();
    bench.is_at(A, vec![address(1), address(11)]);
    bench.is_at(B, vec![address(2), address(12)]);
    bench.dial(A, 1, B, 12);
    bench.accepts(B, 0);
    bench.run(1.s());
    assert_eq!(bench.take(A), ["dialled", "\"hello"]);
    let seen = |bench: &Bench| bench.network.links.values().next().unwrap().sent_from;
    assert_eq!(seen(&bench), Some(address(1)));
    bench.is_at(B, vec![address(12)]);
    bench.is_at(A, vec![address(11)]); // its first interface is gone: the link goes on from the second
    bench.run(11.s());
    assert_eq!(bench.take(B), ["moved"]);
    assert_eq!(seen(&bench), Some(address(11)));
    bench.is_at(B, vec![address(2)]);
    bench.run(31.s());
    assert_eq!((bench.take(A), bench.take(B)), (vec!["closed".into()], vec!["closed".into()]));
}

#[test]
fn a_host_sends_from_an_address_of_the_family_that_it_sends_to() {
    let mut bench = Bench::new();
    let six: SocketAddr = "[2001:db8::1]:3610".parse().unwrap();
    bench.is_at(A, vec![address(1), six]);
    assert_eq!(bench.network.seen_from(A, address(2), bench.now), Some(address(1)));
    assert_eq!(bench.network.seen_from(A, six, bench.now), Some(six));
    bench.is_at(A, vec![six]);
    assert_eq!(
        bench.network.seen_from(A, address(2), bench.now),
        Some(six),
        "the way there translates"
    );
}

/// A host behind a router of this kind at an outside address.
fn behind(bench: &mut Bench, host: HostId, n: u8, router: Router) {
    let port = 3610 + host.0 as u16;
    let behind = Some(Behind { outside: address(n).ip(), port, router });
    let at = Attachment { addresses: Vec::new(), behind };
    bench.network.attach(host, at, bench.now, &mut bench.queue);
}

#[test]
fn a_link_across_a_router_lives_on_and_moves_when_the_router_loses_its_mappings() {
    for kind in nat::NatKind::ALL {
        for carrier in [false, true] {
            let mut bench = Bench::new();
            behind(&mut bench, A, 9, Router { carrier, ..Router::new(kind) });
            bench.dial(A, 1, B, 2);
            bench.accepts(B, 0);
            bench.run(1_000.s());
            assert_eq!(bench.take(A), ["dialled", "\"hello"], "{kind}");
            assert!(bench.take(B).is_empty(), "what keeps a mapping alive moves nothing");
            let reboot = Fault { host: A, what: What::Reboot };
            bench.network.apply(&reboot, bench.now, &mut bench.queue);
            bench.run(KEEP_ALIVE * 2);
            bench.say(B, 0, "there?");
            bench.run(1.s());
            assert_eq!(bench.take(A), ["\"there?"], "{kind}: the same link");
            bench.dial(B, 7, A, 9);
            bench.run(DIAL_TIMEOUT);
            let answered = bench.take(B).contains(&"failed".into());
            assert!(answered, "{kind}: nobody dials a port that was never mapped");
        }
    }
}

#[test]
fn hosts_behind_one_router_reach_one_another_if_it_hairpins() {
    for hairpin in [false, true] {
        let mut bench = Bench::new();
        let router = Router { hairpin, ..Router::new(nat::NatKind::FullCone) };
        [A, B].into_iter().for_each(|host| behind(&mut bench, host, 9, router));
        bench.network.sends(B, address(3), bench.now).expect("it is mapped now");
        let there = SocketAddr::new(address(9).ip(), 3611);
        bench.network.dial((A, DialId(1)), (key(B), there), bench.now, &mut bench.queue);
        bench.run(DIAL_TIMEOUT);
        let expected = if hairpin { "accepted" } else { "" };
        assert_eq!(bench.take(B).concat(), expected);
    }
}
