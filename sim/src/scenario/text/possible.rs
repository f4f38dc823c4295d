//! What cannot be: known from the lines alone, before anything runs.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use stayfound_core::record::Scope;

use crate::event::HostId;
use crate::host::Uplink;
use crate::scenario::{Line, What};
use crate::world::Setup;

/// Where a host will be.
struct Site {
    address: SocketAddr,
    online: bool,
    /// Whether whoever sends to the address reaches it: no router before it drops that.
    open: bool,
    others: BTreeSet<IpAddr>,
}

/// The first line that cannot be, by its number from 0, and why.
pub(super) fn check(setup: &Setup, schedule: &[Line]) -> Result<(), (usize, String)> {
    let mut sites: Vec<Site> = setup
        .hosts
        .iter()
        .map(|host| Site {
            address: host.address,
            online: true,
            open: !matches!(host.uplink, Uplink::Nat(_)),
            others: host.others.clone(),
        })
        .collect();
    for (place, line) in schedule.iter().enumerate() {
        let before = place.checked_sub(1).map(|before| schedule[before].at);
        if before.is_some_and(|before| before > line.at) {
            return Err((place, "time runs backwards".into()));
        }
        let Some(fault) = line.fault else { continue };
        let (host, what) = (fault.host, fault.what);
        if host.0 >= sites.len() {
            return Err((place, format!("there is no host {}", host.0)));
        }
        if matches!(what, What::Cut(to) | What::Mend(to) if to == host || to.0 >= sites.len()) {
            return Err((place, "the other host is to be another, and one that there is".into()));
        }
        if !apply(&mut sites[host.0], what) {
            continue;
        }
        if let Some(why) = collision(&sites, host) {
            return Err((place, why));
        }
    }
    Ok(())
}

/// Answers whether others may have been there before.
fn apply(site: &mut Site, what: What) -> bool {
    match what {
        What::Move(to) => (site.address, site.online) = (to, true),
        What::Offline => site.online = false,
        What::Up(ip) => drop(site.others.insert(ip)),
        What::Down(ip) => drop(site.others.remove(&ip)),
        What::Direct | What::Forward => site.open = true,
        What::Nat(_) | What::Unforward => site.open = false,
        _ => return false, // it is where it was
    }
    true
}

impl Site {
    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let others = self.others.iter().filter(|ip| Scope::of(**ip) == Scope::Global);
        let others = others.map(|ip| SocketAddr::new(*ip, self.address.port()));
        (self.online && self.open).then_some(self.address).into_iter().chain(others)
    }
}

/// Whoever else is where this host is.
fn collision(sites: &[Site], host: HostId) -> Option<String> {
    sites[host.0].addresses().find_map(|address| {
        let there =
            |it: &(usize, &Site)| it.0 != host.0 && it.1.addresses().any(|at| at == address);
        let (other, _) = sites.iter().enumerate().find(there)?;
        Some(format!("two hosts at one address: host {other} is at {address} then"))
    })
}
