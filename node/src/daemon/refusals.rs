//! What the log says of handshakes that failed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::link::report::Failure;

/// Refusals are said this often at most: anybody can make us refuse somebody.
const EVERY: Duration = Duration::from_secs(10);

/// Refusals, as far as they are said.
#[derive(Default)]
pub(super) struct Refusals {
    said: Option<Instant>,
    unsaid: u64,
}

impl Refusals {
    /// A handshake with somebody failed. `dialled` if we dialled.
    pub(super) fn happened(&mut self, remote: SocketAddr, dialled: bool, why: &Failure) {
        let what = match (why, dialled) {
            (Failure::Stranger, false) => "a stranger was refused: its key is no operator's",
            (Failure::Stranger, true) => "another key than the operator's answers there; refused",
            (Failure::Unwelcome, _) => "the far side refuses our key: compare the cluster locks",
            (Failure::Other(why), true) => return debug!(%remote, why, "a dial failed"),
            (Failure::Other(why), false) => return debug!(%remote, why, "a handshake failed"),
        };
        if self.said.is_some_and(|said| said.elapsed() < EVERY) {
            self.unsaid += 1;
            debug!(%remote, "{what}");
            return;
        }
        let unsaid = std::mem::take(&mut self.unsaid);
        self.said = Some(Instant::now());
        warn!(%remote, unsaid, "{what}");
    }
}
