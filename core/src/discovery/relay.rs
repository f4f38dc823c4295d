//! Who may hear of an address, and from whom an address is believed (R55).

use std::net::IpAddr;

use crate::record::Scope;

/// Whether a record at this address may be given to whoever asks from that one: an address of this
/// host to this host only, a private one within private networks and this host, an unusable one to
/// nobody. Documentation and benchmarking networks count as the Internet: nobody is harmed by a
/// record that leads nowhere, and networks of tests live there.
#[must_use]
pub fn may_relay(record_at: IpAddr, requester: IpAddr) -> bool {
    match Scope::of(record_at) {
        Scope::None | Scope::Link => false,
        Scope::Loopback => Scope::of(requester) == Scope::Loopback,
        Scope::Private => matches!(Scope::of(requester), Scope::Loopback | Scope::Private),
        Scope::Global => true,
    }
}

/// Whether a record at this address is believed when somebody at that one tells of it: the mirror
/// of [`may_relay`]. Otherwise a stranger could make us probe our own network.
#[must_use]
pub fn may_accept(record_at: IpAddr, from: IpAddr) -> bool {
    may_relay(record_at, from)
}
