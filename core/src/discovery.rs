//! discv5 v5.1: finds the newest record of a node by its id, with no fixed address to ask.
//!
//! Source: ethereum/devp2p, discv5-wire.md and discv5-theory.md. R-numbers name the statements of
//! those texts that a test of ours checks.

pub mod lookup;
pub mod relay;
pub mod table;
pub mod vote;
