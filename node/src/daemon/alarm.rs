//! The one timer of a node.

use std::future::pending;
use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep_until};

/// Rings at a deadline, or before it: deadlines move with nearly every datagram, and a timer that
/// is left where it is costs nothing.
#[derive(Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    at: Option<Instant>,
}

impl Alarm {
    /// It has to ring at this time at the latest.
    pub(super) fn set(&mut self, at: Option<Instant>) {
        let Some(at) = at.filter(|at| self.at.is_none_or(|set| *at < set)) else { return };
        self.at = Some(at);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.sleep = Some(Box::pin(sleep_until(at))),
        }
    }

    /// Waits until it rings; answers when that is.
    pub(super) async fn rings(&mut self) -> Instant {
        match (&mut self.sleep, self.at) {
            (Some(sleep), Some(_)) => sleep.as_mut().await,
            _ => pending().await,
        }
        self.at = None;
        Instant::now()
    }
}
