//! Results as a page: one HTML file that needs nothing else, with plots and, of one run, playback.
//!
//! A page is a pure function of the results and of the command that made it.

mod groups;
pub mod measures;
mod page;
pub mod playback;
pub mod plot;
pub mod statistics;

use serde_json::Value as Json;

use crate::results::Results;
use measures::Observation;

/// A page of these results. `command` makes it again; `playback` is what
/// [`playback::of`] says of the only run.
#[must_use]
pub fn page(results: &Results, command: &str, playback: Option<&Json>) -> String {
    let observations: Vec<_> =
        results.runs().map(|(key, rows)| Observation::of(key, rows)).collect();
    page::write(&observations, &results.manifest().json(), command, playback)
}
