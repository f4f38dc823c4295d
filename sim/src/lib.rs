//! A seeded world around the stayfound core: the same state machine as in production, under
//! changing addresses, loss, crashes and lost disks, byte for byte repeatable.

pub mod event;
pub mod moment;
pub mod network;
pub mod queue;
pub mod trace;
