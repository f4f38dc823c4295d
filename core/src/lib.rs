//! The pure, deterministic core of stayfound.
//!
//! A [`node::Node`] is the whole of an operator's logic as a state machine: [`node::Input`]s go in,
//! [`node::Output`]s come out, and nothing here can open a socket, read a clock or a file, start a
//! thread or draw randomness of its own. The driver (`stayfound`) runs it for real, the simulator
//! (`stayfound-sim`) under every fault; both through the one function [`step`].

#![warn(clippy::unwrap_used)]

mod allowance;
pub mod chance;
pub mod cluster;
pub mod count;
pub mod database;
pub mod discovery;
pub mod identity;
pub mod keys;
mod lru;
#[cfg(feature = "marks")]
pub mod marks;
#[cfg(not(feature = "marks"))]
mod marks;
pub mod mesh;
pub mod node;
#[cfg(feature = "planted")]
pub mod planted;
#[cfg(not(feature = "planted"))]
mod planted;
pub mod record;
pub mod recording;
pub mod time;
mod wire;

pub use node::step;
