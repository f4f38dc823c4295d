//! What a host of this library as WebAssembly can call. It imports nothing from its host.

use crate::run::run;
use crate::scenario::Scenario;
use crate::trace::Trace;

/// The trace hash of the run that is drawn from a seed. A host without unsigned integers sees both
/// as signed, with the same bits.
#[expect(unsafe_code, reason = "whoever is called from outside must have the name that is called")]
#[unsafe(no_mangle)]
pub extern "C" fn trace_hash(seed: u64) -> u64 {
    run(&Scenario::draw(seed), Trace::default()).trace.hash()
}
