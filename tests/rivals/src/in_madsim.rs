//! In madsim. It adds to every message what it takes to send, 1 ms (the least that it sleeps).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use madsim::net::UdpSocket;
use madsim::runtime::Runtime;
use madsim::time::{Instant, sleep, sleep_until};
use stayfound_sim::occupant::{PING_BYTES, PING_PERIOD, Pinger};

use crate::{LATENCY, SEED};

/// Hosts, and how many messages they have received.
pub struct World {
    runtime: Runtime,
    received: Arc<AtomicU64>,
}

impl World {
    /// So many hosts, of which all have started.
    #[must_use]
    pub fn new(hosts: u32) -> Self {
        let mut config = madsim::Config::default();
        config.net.send_latency = LATENCY[0]..LATENCY[1];
        let world =
            Self { runtime: Runtime::with_seed_and_config(SEED, config), received: Arc::default() };
        for place in 0..hosts {
            let node = world.runtime.create_node().ip(Pinger::address(place).ip()).build();
            drop(node.spawn(host(place, hosts, Arc::clone(&world.received))));
        }
        world
    }

    /// Lets so much time pass; answers how many messages were received.
    pub fn advance(&mut self, span: Duration) -> u64 {
        let before = self.received.load(Ordering::Relaxed);
        self.runtime.block_on(async { sleep(span).await });
        self.received.load(Ordering::Relaxed) - before
    }
}

async fn host(place: u32, of: u32, received: Arc<AtomicU64>) {
    let socket = UdpSocket::bind(Pinger::address(place)).await.expect("its own address");
    let socket = Arc::new(socket);
    drop(madsim::task::spawn(answers(Pinger::new(place, of), Arc::clone(&socket), received)));
    let mut pinger = Pinger::new(place, of);
    let mut at = Instant::now() + pinger.first();
    loop {
        sleep_until(at).await;
        let (to, ping) = pinger.pings();
        socket.send_to(to, &ping).await.expect("it is sent");
        at += PING_PERIOD;
    }
}

async fn answers(mut pinger: Pinger, socket: Arc<UdpSocket>, received: Arc<AtomicU64>) {
    let mut heard = [0; PING_BYTES];
    loop {
        let (len, from) = socket.recv_from(&mut heard).await.expect("a datagram");
        received.fetch_add(1, Ordering::Relaxed);
        if let Some(answer) = pinger.hears(Bytes::copy_from_slice(&heard[..len])) {
            socket.send_to(from, &answer).await.expect("it is sent");
        }
    }
}
