//! A seeded world around the stayfound core: the same state machine as in production, under
//! changing addresses, loss, crashes and lost disks, byte for byte repeatable.
//!
//! A run is a pure function of its [`scenario::Scenario`], and [`scenario::Scenario::draw`] one of
//! a seed.

pub mod adversary;
pub mod blame;
pub mod coverage;
pub mod event;
pub mod exit;
pub mod host;
pub mod marks;
pub mod moment;
#[cfg(feature = "planted")]
pub mod mutants;
pub mod network;
pub mod observe;
pub mod occupant;
pub mod oracle;
pub mod queue;
pub mod replay;
pub mod report;
pub mod results;
pub mod run;
pub mod scenario;
pub mod script;
pub mod shrink;
pub mod sweep;
pub mod table;
pub mod trace;
pub mod validate;
#[cfg(target_family = "wasm")]
pub mod wasm;
pub mod world;
