//! How many handshakes of others are worked on at a time: in all, and for each network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

/// How many handshakes of others are worked on at a time.
pub(super) const HANDSHAKES_MAX: usize = 256;
/// How many of these with peers of one network. Whoever has one address mostly has its whole
/// network, and must not keep everybody else out. Far more than a cluster behind one NAT needs, so
/// that no network, loopback neither, has to be exempt.
pub(super) const HANDSHAKES_PER_NETWORK_MAX: usize = 64;

const _: () = assert!(4 * HANDSHAKES_PER_NETWORK_MAX <= HANDSHAKES_MAX);

/// All places. Clones are the same ones.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    count: usize,
    /// Only networks that have a place, and so never more than there are places.
    by_network: BTreeMap<IpAddr, usize>,
}

/// One place, given back when it is dropped.
pub(super) struct Place {
    places: Places,
    network: IpAddr,
}

impl Places {
    /// A place for a handshake with a peer at this address, if there is room.
    pub(super) fn take(&self, remote: IpAddr) -> Option<Place> {
        let network = network(remote);
        let mut taken = self.lock();
        let theirs = taken.by_network.get(&network).copied().unwrap_or(0);
        if taken.count == HANDSHAKES_MAX || theirs == HANDSHAKES_PER_NETWORK_MAX {
            return None;
        }
        taken.count += 1;
        taken.by_network.insert(network, theirs + 1);
        drop(taken);
        Some(Place { places: self.clone(), network })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.lock().count
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().expect("nobody panics while holding the places")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        let theirs = taken.by_network.remove(&self.network).expect("it has this place");
        taken.count -= 1;
        if theirs > 1 {
            taken.by_network.insert(self.network, theirs - 1);
        }
    }
}

/// What one customer of a provider usually gets at most: a /24 of IPv4, a /48 of IPv6 (RFC 6177).
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !0 << 8).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !0 << 80).into(),
    }
}
