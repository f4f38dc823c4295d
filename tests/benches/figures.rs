//! What stayfound costs, each figure beside its floor in the same run:
//! `cargo bench -p stayfound-tests`. Every result is also a line `figure <name> <value> <unit>`.
//! `cargo test -p stayfound-tests --bench figures` only shows that every figure can be measured.

#[path = "figures/authorise.rs"]
mod authorise;
#[path = "figures/bare.rs"]
mod bare;
#[path = "figures/garbage.rs"]
mod garbage;
#[path = "figures/handshake.rs"]
mod handshake;
#[path = "figures/healing.rs"]
mod healing;
#[path = "figures/link.rs"]
mod link;
#[path = "../tests/live/mod.rs"]
mod live;
#[path = "figures/lock.rs"]
mod lock;
#[path = "figures/lone.rs"]
mod lone;
#[path = "figures/measure.rs"]
mod measure;
#[path = "figures/memory.rs"]
mod memory;
#[path = "figures/packet.rs"]
mod packet;
#[path = "figures/pingers.rs"]
mod pingers;
#[path = "figures/simulator.rs"]
mod simulator;
#[path = "figures/sockets.rs"]
mod sockets;

fn main() {
    // Cargo passes options of its own harness; the only one of ours is a name to pick figures by.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| name.contains(wanted));
    // Memory first: what others free would be used again, and not be seen.
    let all: [(&str, fn()); _] = [
        ("discovery.memory", memory::figures),
        ("cluster.memory", lock::memory_figures),
        ("cluster.authorisations", authorise::figures),
        ("cluster.lock", lock::figures),
        ("discovery.handshake", handshake::figures),
        ("discovery.packet", packet::figures),
        ("discovery.garbage", garbage::figures),
        ("discovery.socket_handshake", sockets::handshake_figures),
        ("discovery.talk", sockets::talk_figures),
        ("discovery.lookup", sockets::lookup_figures),
        ("discovery.findability", sockets::find_figures),
        ("mesh.link_cpu_ratio", link::figures),
        ("mesh.move_to_healed", healing::figures),
        ("sim.ping", simulator::ping_figures),
        ("sim.idle_day", simulator::idle_figures),
        ("sim.week_of_moves", simulator::week_figures),
    ];
    all.iter().filter(|(name, _)| is_wanted(name)).for_each(|(_, figures)| figures());
}
