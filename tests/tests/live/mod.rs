//! Nodes of ours and of the public `discv5` crate, over sockets on loopback.
#![allow(dead_code, clippy::allow_attributes, reason = "each user tells its own part of the story")]

use std::time::Duration;

use tokio::time::{interval, timeout};

mod ours;
pub mod theirs;

pub use ours::Ours;
pub use theirs::Theirs;

/// How long anything may take before a test gives up.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How long one question of theirs may take: more than twice what the crate waits for an answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Our protocol of TALKREQ: the answer is the request, with a word before it.
pub const PROTOCOL: &[u8] = b"stayfound-echo";

/// What is answered to this request.
pub fn echo(request: &[u8]) -> Vec<u8> {
    [b"re: ", request].concat()
}

/// A scalar for each place.
pub fn scalar(place: u32) -> [u8; 32] {
    let mut scalar = [5; 32];
    scalar[28..].copy_from_slice(&place.to_be_bytes());
    scalar
}

/// Asks until the answer is yes.
///
/// # Panics
/// If it takes too long.
pub async fn until_async(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let mut ticks = interval(Duration::from_millis(100));
    let condition = async {
        while !is_so().await {
            ticks.tick().await;
        }
    };
    timeout(DEADLINE, condition).await.unwrap_or_else(|_| panic!("never: {what}"));
}
