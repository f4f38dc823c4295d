use std::net::{Ipv4Addr, UdpSocket};

use bytes::Bytes;
use stayfound_core::keys::SecretKey;
use stayfound_core::mesh::CloseReason;

use super::*;
use crate::link::handle::Link;
use crate::socket::{self, Port};

/// One end under test, and what it reports.
struct End {
    endpoint: Endpoint,
    reports: mpsc::Receiver<Report>,
    address: SocketAddr,
}

struct Opened {
    id: LinkId,
    link: Link,
    peer: PublicKey,
    remote: SocketAddr,
}

fn secret(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("below the order of the curve")
}

fn key(byte: u8) -> PublicKey {
    secret(byte).public_key()
}

fn loopback() -> UdpSocket {
    socket::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port")
}

fn port(socket: UdpSocket) -> Arc<Port> {
    Arc::new(Port::new(socket, None).expect("a socket"))
}

/// The holder of key `own`, who lets in the holders of the keys `admitted`.
fn end(own: u8, admitted: &[u8]) -> End {
    let socket = loopback();
    let address = socket.local_addr().expect("bound");
    let identity = Identity::new(&secret(own)).expect("randomness");
    let admitted = admitted.iter().copied().map(key).collect();
    let (endpoint, reports) = Endpoint::start(port(socket), identity, admitted).expect("starts");
    End { endpoint, reports, address }
}

impl End {
    async fn next(&mut self) -> Report {
        let report = timeout(Duration::from_secs(20), self.reports.recv()).await;
        report.expect("something happens").expect("the endpoint lives")
    }

    async fn opened(&mut self) -> (Opened, Option<DialId>) {
        match self.next().await {
            Report::Opened { id, link, peer, remote, dial } => {
                (Opened { id, link, peer, remote }, dial)
            }
            other => panic!("not opened: {}", say(&other)),
        }
    }

    /// The next `length` bytes of a link.
    async fn bytes(&mut self, link: LinkId, length: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < length {
            match self.next().await {
                Report::Bytes { id, bytes } if id == link => all.extend_from_slice(&bytes),
                other => panic!("no bytes: {}", say(&other)),
            }
        }
        all
    }

    async fn closed(&mut self, link: LinkId) -> String {
        loop {
            match self.next().await {
                Report::Closed { id, why } if id == link => return why,
                Report::Bytes { .. } => {}
                other => panic!("not closed: {}", say(&other)),
            }
        }
    }
}

fn say(report: &Report) -> String {
    let failure = |why: &Failure| match why {
        Failure::Stranger => "stranger".to_owned(),
        Failure::Unwelcome => "unwelcome".to_owned(),
        Failure::Other(why) => why.clone(),
    };
    match report {
        Report::Opened { remote, .. } => format!("a link with {remote} opened"),
        Report::DialFailed { why, .. } => format!("dial failed: {}", failure(why)),
        Report::Refused { why, .. } => format!("refused: {}", failure(why)),
        Report::Bytes { bytes, .. } => format!("{} bytes", bytes.len()),
        Report::Moved { remote, .. } => format!("moved to {remote}"),
        Report::Closed { why, .. } => format!("closed: {why}"),
        Report::Died => "died".into(),
    }
}

/// Two ends and the link between them; the first dialled.
async fn linked() -> [(End, Opened); 2] {
    let (mut a, mut b) = (end(1, &[2]), end(2, &[1]));
    a.endpoint.dial(DialId(7), key(2), b.address);
    let (of_b, dial) = b.opened().await;
    assert_eq!(dial, None);
    of_b.link.send(Bytes::from_static(b"hello")).expect("room");
    let (of_a, dial) = a.opened().await;
    assert_eq!(dial, Some(DialId(7)));
    assert_eq!(a.bytes(of_a.id, 5).await, b"hello");
    [(a, of_a), (b, of_b)]
}

#[tokio::test]
async fn an_admitted_peer_links() {
    let [(a, of_a), (mut b, of_b)] = linked().await;
    assert_eq!((of_a.peer, of_b.peer), (key(2), key(1)));
    assert_eq!((of_a.remote, of_b.remote), (b.address, a.address));
    let long: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for piece in long.chunks(60_000) {
        of_a.link.send(Bytes::copy_from_slice(piece)).expect("room");
    }
    assert!(b.bytes(of_b.id, long.len()).await == long, "in order and whole");
}

#[tokio::test]
async fn whoever_accepts_refuses_a_stranger() {
    let (mut stranger, mut b) = (end(3, &[2]), end(2, &[1]));
    stranger.endpoint.dial(DialId(0), key(2), b.address);
    assert_eq!(say(&b.next().await), "refused: stranger");
    assert_eq!(say(&stranger.next().await), "dial failed: unwelcome");
}

#[tokio::test]
async fn whoever_dials_refuses_another_key_than_expected() {
    // Key 3 answers where key 2 was expected. That it is admitted elsewhere does not help it.
    let (mut a, mut other) = (end(1, &[2, 3]), end(3, &[1]));
    a.endpoint.dial(DialId(0), key(2), other.address);
    assert_eq!(say(&a.next().await), "dial failed: stranger");
    assert_eq!(say(&other.next().await), "refused: unwelcome");
}

#[tokio::test]
async fn our_own_key_is_no_peer() {
    let mut a = end(1, &[2]);
    a.endpoint.dial(DialId(0), key(1), a.address);
    let said = [say(&a.next().await), say(&a.next().await)];
    assert!(said.contains(&"refused: stranger".to_owned()), "{said:?}");
    assert!(said.contains(&"dial failed: unwelcome".to_owned()), "{said:?}");
}

#[tokio::test]
async fn another_application_protocol_is_refused() {
    let mut b = end(2, &[1]);
    let mut tls = Identity::new(&secret(1)).expect("randomness").client(key(2));
    tls.alpn_protocols = vec![b"libp2p".to_vec()];
    let tls = QuicClientConfig::try_from(tls).expect("the suites");
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let client = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let dial = client.connect_with(config, b.address, "x").expect("a valid address");
    assert!(dial.await.is_err());
    assert!(say(&b.next().await).contains("protocol"));
}

#[tokio::test]
async fn an_address_of_a_family_that_the_socket_lacks_fails_at_once() {
    let mut a = end(1, &[2]);
    a.endpoint.dial(DialId(4), key(2), "[::1]:9".parse().expect("an address"));
    assert!(matches!(a.next().await, Report::DialFailed { dial: DialId(4), .. }));
}

#[tokio::test]
async fn an_ipv6_socket_reaches_ipv4_and_calls_it_so() {
    let Ok(socket) = socket::bind("[::]:0".parse().expect("an address")) else {
        return eprintln!("skipped: this host has no IPv6");
    };
    let mut b = end(2, &[1]);
    let identity = Identity::new(&secret(1)).expect("randomness");
    let admitted = [key(2)].into();
    let (endpoint, reports) = Endpoint::start(port(socket), identity, admitted).expect("starts");
    let mut a = End { endpoint, reports, address: b.address };
    a.endpoint.dial(DialId(0), key(2), b.address);
    let (of_b, _) = b.opened().await;
    assert_eq!(of_b.remote.ip(), Ipv4Addr::LOCALHOST);
    of_b.link.send(Bytes::from_static(b"hello")).expect("room");
    assert_eq!(a.opened().await.0.remote, b.address);
}

#[tokio::test]
async fn a_link_is_closed_with_a_reason() {
    let [(mut a, of_a), (mut b, of_b)] = linked().await;
    of_b.link.close(CloseReason::Superseded);
    assert_eq!(a.closed(of_a.id).await, "closed by the peer: superseded by another link");
    assert_eq!(b.closed(of_b.id).await, "closed by us");
}

#[tokio::test]
async fn stopping_tells_the_peer_and_frees_the_port() {
    let [(mut a, of_a), (b, of_b)] = linked().await;
    drop((of_b, b.reports));
    b.endpoint.close().await;
    assert_eq!(a.closed(of_a.id).await, "closed by the peer: stopping");
    socket::bind(b.address).expect("the port is free again");
}

#[tokio::test]
async fn stopping_in_the_middle_of_a_dial_frees_every_port() {
    let mut a = end(1, &[2]);
    let silent = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    a.endpoint.dial(DialId(0), key(2), silent.local_addr().expect("bound"));
    silent.recv(&mut [0; 2048]).await.expect("the dial has begun");
    let socket = loopback();
    let moved = socket.local_addr().expect("bound");
    a.endpoint.rebind(port(socket)).expect("moves");
    drop(a.reports);
    a.endpoint.close().await;
    for address in [a.address, moved] {
        socket::bind(address).expect("the port is free again");
    }
}

#[tokio::test]
async fn a_dialler_that_moves_keeps_its_link() {
    let [(mut a, of_a), (mut b, of_b)] = linked().await;
    let socket = loopback();
    let address = socket.local_addr().expect("bound");
    a.endpoint.rebind(port(socket)).expect("moves");
    of_a.link.send(Bytes::from_static(b"here")).expect("room");
    match b.next().await {
        Report::Moved { id, remote } => assert_eq!((id, remote), (of_b.id, address)),
        other => panic!("first where the peer is: {}", say(&other)),
    }
    assert_eq!(b.bytes(of_b.id, 4).await, b"here");
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed() {
    let [(mut a, of_a), (mut b, of_b)] = linked().await;
    let frame = Bytes::from(vec![0; 60_000]);
    // What fits into all windows and queues on the way is finite, and then comes the limit.
    let limit = 1000;
    let mut sent = 0;
    while of_a.link.send(frame.clone()).is_ok() {
        sent += 1;
        assert!(sent < limit, "nothing ever stops us");
        tokio::task::yield_now().await;
    }
    assert_eq!(a.closed(of_a.id).await, "closed by us");
    assert_eq!(b.closed(of_b.id).await, "closed by the peer: too much was left unread");
}

/// Key 1 as somebody else's program, which does as it likes.
async fn rogue(b: &End) -> quinn::Connection {
    let tls = Identity::new(&secret(1)).expect("randomness").client(key(2));
    let tls = QuicClientConfig::try_from(tls).expect("the suites");
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let client = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let dial = client.connect_with(config, b.address, "x").expect("a valid address");
    dial.await.expect("its key is admitted")
}

#[tokio::test]
async fn a_peer_gets_one_stream_and_no_datagrams() {
    let mut b = end(2, &[1]);
    let rogue = rogue(&b).await;
    let (of_b, _) = b.opened().await;
    let mut stream = rogue.open_uni().await.expect("one");
    stream.write_all(b"hello").await.expect("room");
    assert_eq!(b.bytes(of_b.id, 5).await, b"hello");
    let wait = Duration::from_millis(50);
    assert!(timeout(wait, rogue.open_uni()).await.is_err(), "a second stream");
    assert!(timeout(wait, rogue.open_bi()).await.is_err(), "a stream of both directions");
    assert!(rogue.send_datagram(Bytes::from_static(b"x")).is_err(), "a datagram");
}

#[tokio::test]
async fn a_peer_that_ends_its_stream_is_closed() {
    let mut b = end(2, &[1]);
    let rogue = rogue(&b).await;
    let (of_b, _) = b.opened().await;
    let mut stream = rogue.open_uni().await.expect("one");
    stream.write_all(b"hello").await.expect("room");
    stream.finish().expect("open");
    assert_eq!(b.closed(of_b.id).await, "the peer ended its stream");
    let reason = rogue.closed().await.to_string();
    assert!(reason.contains("the stream ended"), "{reason}");
}

#[tokio::test]
async fn a_dial_counts_only_when_the_far_side_has_let_us_in() {
    // The far side completes TLS and never speaks: the dial is not answered yet.
    let mut a = end(1, &[2]);
    let mut b = end(2, &[1]);
    a.endpoint.dial(DialId(0), key(2), b.address);
    let (of_b, _) = b.opened().await;
    assert!(timeout(Duration::from_millis(50), a.reports.recv()).await.is_err());
    of_b.link.close(CloseReason::Superseded);
    assert!(matches!(a.next().await, Report::DialFailed { .. }));
}

#[tokio::test]
async fn a_crowd_gets_in() {
    let (mut a, mut b) = (end(1, &[2]), end(2, &[1]));
    let crowd = 3 * HANDSHAKES_UNVALIDATED_MAX;
    for dial in 0..crowd {
        a.endpoint.dial(DialId(dial as u64), key(2), b.address);
    }
    let mut links = Vec::new();
    for _ in 0..crowd {
        let (opened, _) = b.opened().await;
        opened.link.send(Bytes::from_static(b"hello")).expect("room");
        links.push(opened);
    }
    for _ in 0..crowd {
        while !matches!(a.next().await, Report::Opened { .. }) {}
    }
}

/// Nobody takes the reports of `b`: whoever comes when they are full holds its place, and the next
/// find none.
#[tokio::test]
async fn refusals_that_are_not_taken_do_not_pile_up() {
    let (mut stranger, b) = (end(3, &[2]), end(2, &[1]));
    let room = REPORTS_MAX + HANDSHAKES_PER_NETWORK_MAX;
    let mut refused = 0;
    for batch in 0..=room / HANDSHAKES_UNVALIDATED_MAX {
        for dial in 0..HANDSHAKES_UNVALIDATED_MAX {
            stranger.endpoint.dial(DialId((batch << 8 | dial) as u64), key(2), b.address);
        }
        for _ in 0..HANDSHAKES_UNVALIDATED_MAX {
            let Report::DialFailed { why, .. } = stranger.next().await else {
                panic!("a stranger was let in")
            };
            refused += usize::from(matches!(why, Failure::Unwelcome));
        }
    }
    assert!((REPORTS_MAX..=room).contains(&refused), "{refused} of {room} were refused");
}

#[tokio::test]
async fn an_endpoint_whose_socket_fails_for_good_is_reported() {
    let [(mut a, of_a), _b] = linked().await;
    a.endpoint.break_socket();
    // The link and the endpoint end in either order.
    let mut said = Vec::new();
    while !said.contains(&"died".to_owned()) {
        said.push(say(&a.next().await));
    }
    drop(of_a);
}

#[test]
fn one_network_does_not_take_the_places_of_all() {
    let places = Places::default();
    let take = |address: &str| places.take(address.parse().expect("an address"));
    let strangers = ["203.0.113.1", "203.0.113.255", "::ffff:203.0.113.7"];
    let crowd = strangers.into_iter().cycle().map(take).take(HANDSHAKES_MAX);
    let mut crowd: Vec<_> = crowd.flatten().collect();
    assert_eq!(crowd.len(), HANDSHAKES_PER_NETWORK_MAX);
    let others = ["203.0.112.255", "203.0.114.0", "127.0.0.1"].map(take);
    assert!(others.iter().all(Option::is_some), "other networks find room");
    drop(crowd.pop());
    assert!(take("203.0.113.9").is_some(), "a place that was given back");

    let crowd: Vec<_> =
        (0..HANDSHAKES_MAX).map_while(|host| take(&format!("2001:db8:7:{host:x}::1"))).collect();
    assert_eq!(crowd.len(), HANDSHAKES_PER_NETWORK_MAX);
    assert!(take("2001:db8:8::1").is_some(), "other networks find room");
}

#[test]
fn there_are_so_many_places_and_all_come_back() {
    let places = Places::default();
    let take = |host: u32| places.take(Ipv4Addr::from_bits(host << 8).into());
    for _ in 0..2 {
        let all: Vec<_> = (0..2 * HANDSHAKES_MAX as u32).map_while(take).collect();
        assert_eq!((all.len(), places.taken()), (HANDSHAKES_MAX, HANDSHAKES_MAX));
        drop(all);
        assert_eq!(places.taken(), 0);
    }
}

#[tokio::test]
async fn whoever_is_admitted_no_more_gets_in_no_more() {
    let [(mut a, of_a), (mut b, of_b)] = linked().await;
    let mut c = end(3, &[2]);
    b.endpoint.admit([key(3)].into());
    // The link that is open is the core's to close.
    of_a.link.send(Bytes::from_static(b"still")).expect("room");
    assert_eq!(b.bytes(of_b.id, 5).await, b"still");
    a.endpoint.dial(DialId(8), key(2), b.address);
    let refused = b.next().await;
    assert!(matches!(refused, Report::Refused { why: Failure::Stranger, .. }), "{}", say(&refused));
    let failed = a.next().await;
    let unwelcome = matches!(failed, Report::DialFailed { why: Failure::Unwelcome, .. });
    assert!(unwelcome, "{}", say(&failed));
    c.endpoint.dial(DialId(9), key(2), b.address);
    let (of_c, _) = b.opened().await;
    assert_eq!(of_c.peer, key(3));
    of_c.link.send(Bytes::from_static(b"hello")).expect("room");
    assert_eq!(c.opened().await.1, Some(DialId(9)));

    b.endpoint.admit([].into());
    c.endpoint.dial(DialId(10), key(2), b.address);
    b.endpoint.admit([key(1)].into());
    a.endpoint.dial(DialId(11), key(2), b.address);
    loop {
        match b.next().await {
            Report::Opened { peer, .. } => break assert_eq!(peer, key(1)),
            Report::Refused { .. } | Report::Bytes { .. } => {}
            other => panic!("neither refused nor opened: {}", say(&other)),
        }
    }
}
