//! In turmoil.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use stayfound_sim::occupant::{PING_BYTES, PING_PERIOD, Pinger};
use tokio::time::{Instant, sleep_until};
use turmoil::net::UdpSocket;
use turmoil::{Builder, Sim};

use crate::{LATENCY, SEED};

/// Hosts, and how many messages they have received.
pub struct World {
    sim: Sim<'static>,
    tick: Duration,
    received: Rc<Cell<u64>>,
}

impl World {
    /// So many hosts, of which all have started, in steps of so much time (turmoil's default: 1 ms).
    #[must_use]
    pub fn new(hosts: u32, tick: Duration) -> Self {
        let sim = Builder::new()
            .rng_seed(SEED)
            .tick_duration(tick)
            .simulation_duration(Duration::MAX)
            .min_message_latency(LATENCY[0])
            .max_message_latency(LATENCY[1])
            .build();
        let mut world = Self { sim, tick, received: Rc::default() };
        for place in 0..hosts {
            let received = Rc::clone(&world.received);
            let host = move || host(place, hosts, Rc::clone(&received));
            world.sim.host(Pinger::address(place).ip(), host);
        }
        world
    }

    /// Lets so much time pass, a multiple of a step; answers how many messages were received.
    pub fn advance(&mut self, span: Duration) -> u64 {
        let (before, until) = (self.received.get(), self.sim.elapsed() + span);
        while self.sim.elapsed() < until {
            self.sim.step().expect("no host fails");
        }
        assert_eq!(self.sim.elapsed(), until, "in steps of {:?}", self.tick);
        self.received.get() - before
    }
}

async fn host(place: u32, of: u32, received: Rc<Cell<u64>>) -> turmoil::Result {
    let port = Pinger::address(place).port();
    let socket = Rc::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await?);
    let mut pinger = Pinger::new(place, of);
    let answering = answers(Pinger::new(place, of), Rc::clone(&socket), received);
    drop(tokio::task::spawn_local(answering));
    let mut at = Instant::now() + pinger.first();
    loop {
        sleep_until(at).await;
        let (to, ping) = pinger.pings();
        socket.send_to(&ping, to).await?;
        at += PING_PERIOD;
    }
}

async fn answers(mut pinger: Pinger, socket: Rc<UdpSocket>, received: Rc<Cell<u64>>) {
    let mut heard = [0; PING_BYTES];
    loop {
        let (len, from) = socket.recv_from(&mut heard).await.expect("a datagram");
        received.set(received.get() + 1);
        if let Some(answer) = pinger.hears(Bytes::copy_from_slice(&heard[..len])) {
            socket.send_to(&answer, from).await.expect("it is sent");
        }
    }
}
