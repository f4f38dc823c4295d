//! The hosts that only ping ([`Pinger`]) in the words of madsim and of turmoil: two tasks each, one
//! that sends a ping in every period, one that answers what it hears. A message is a datagram received.

use std::time::Duration;

#[cfg(doc)]
use stayfound_sim::occupant::Pinger;

#[cfg(not(madsim))]
compile_error!(
    "run cargo in tests/rivals, whose .cargo/config.toml sets --cfg madsim (RUSTFLAGS overrides it)"
);

pub mod in_madsim;
pub mod in_turmoil;

/// The least and the most that a message takes one way: those of `Latency::Continental`.
pub const LATENCY: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(45)];

const SEED: u64 = 1;
