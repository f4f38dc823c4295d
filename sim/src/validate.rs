//! What the simulator measures beside what others have measured, or calculated, of the real world.
//!
//! Not runs of scenarios: each part takes the piece that it is about (the distance between ids, the
//! core's table, its look-up, the network's routers) and puts it where the published figure was
//! taken. `docs/validation.md` says what differs, and why.

use stayfound_core::chance::Chance;

mod ideal;
mod lookups;
mod occupancy;
mod punch;

pub use occupancy::{CRAWL, LOOKS_EVERY, SESSIONS};
pub use punch::{ATTEMPTS_MAX, CARRIER_PER_MILLE, ROUTERS};

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Of how many nodes the neighbourhood is looked at.
    pub sampled: usize,
    /// How many nodes have a record that the core's table is offered.
    pub recorded: u32,
    /// How many pairs of hosts try to reach each other.
    pub pairs: u32,
    /// The sizes of the networks in which nodes are looked up, at most.
    pub network_max: u32,
    /// How many look-ups there are in each.
    pub lookups: u32,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it belongs to.
    pub part: &'static str,
    /// What it is.
    pub name: String,
    /// In what it is measured.
    pub unit: &'static str,
    /// What others say.
    pub published: f64,
    /// How far from it is as good as equal.
    pub tolerance: f64,
    /// What came out here.
    pub measured: f64,
    /// Who said it.
    pub source: &'static str,
}

impl Scale {
    /// What the command does.
    pub const FULL: Self =
        Self { sampled: 2_000, recorded: 15_371, pairs: 10_000, network_max: 10_000, lookups: 300 };
    /// As little as still says something.
    pub const SMOKE: Self =
        Self { sampled: 100, recorded: 200, pairs: 400, network_max: 100, lookups: 300 };
}

impl Figure {
    /// Whether both are as good as equal.
    #[must_use]
    pub fn agrees(&self) -> bool {
        (self.measured - self.published).abs() <= self.tolerance
    }
}

/// One part of all that is measured.
pub type Part = fn(&Scale, &Chance) -> Vec<Figure>;

/// The parts, each with what it is about.
pub const PARTS: [(&str, Part); 4] = [
    (occupancy::PART, occupancy::figures),
    (ideal::PART, ideal::figures),
    (punch::PART, punch::figures),
    (lookups::PART, lookups::figures),
];

/// Everything, in that order. The same chance gives the same figures.
#[must_use]
pub fn figures(scale: &Scale, chance: &Chance) -> Vec<Figure> {
    PARTS.iter().flat_map(|(_, part)| part(scale, chance)).collect()
}

/// A share in per cent.
fn per_cent(some: usize, all: usize) -> f64 {
    assert!(some <= all && all > 0, "{some} of {all}");
    100.0 * some as f64 / all as f64
}

/// The mean of whole numbers.
fn mean(values: &[usize]) -> f64 {
    assert!(!values.is_empty(), "a mean of nothing");
    values.iter().sum::<usize>() as f64 / values.len() as f64
}

/// The least value that so many per cent do not exceed.
fn percentile(values: &[usize], share: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[(values.len() * share).div_ceil(100) - 1] as f64
}
