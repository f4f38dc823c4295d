//! stayfound keeps the operators of a distributed-validator cluster findable for one another,
//! however their addresses move, with no relay in the middle.
//!
//! This is the driver: it runs the pure core (`stayfound-core`) over real QUIC. [`Mesh`] is the
//! handle that other programs embed; the binary `stayfound` is a thin shell over it. No global
//! state, and nothing here ends the process.

pub mod ceremony;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod keyfile;
pub mod keystore;
pub mod link;
pub mod mesh;
pub mod recording;
pub mod status;
pub mod store;
pub mod talk;
pub mod testnet;

mod daemon;
mod error;
mod interfaces;
mod parallel;
mod socket;

pub use error::MeshError;
pub use mesh::{Builder, Mesh};
pub use stayfound_core as core;
