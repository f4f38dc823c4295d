//! What stayfound costs, each figure beside its floor in the same run:
//! `cargo bench -p stayfound-tests`. Every result is also a line `figure <name> <value> <unit>`.
//! `cargo test -p stayfound-tests --bench figures` only shows that every figure can be measured.

#[path = "figures/bare.rs"]
mod bare;
#[path = "figures/healing.rs"]
mod healing;
#[path = "figures/link.rs"]
mod link;
#[path = "figures/measure.rs"]
mod measure;

fn main() {
    // Cargo passes options of its own harness; the only one of ours is a name to pick figures by.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| name.contains(wanted));
    if is_wanted("mesh.link_cpu_ratio") {
        link::figures();
    }
    if is_wanted("mesh.move_to_healed") {
        healing::figures();
    }
}
