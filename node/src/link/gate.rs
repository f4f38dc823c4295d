//! Who is let in at the moment.

use std::sync::{Arc, PoisonError, RwLock};

use stayfound_core::keys::PublicKey;

/// The keys that are let in, and how their holders are accepted.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) admitted: Arc<[PublicKey]>,
    /// `None` if nobody is let in.
    pub(super) server: Option<Arc<quinn::ServerConfig>>,
}

/// The gate in force, replaced as a whole. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Gates(Arc<RwLock<Arc<Gate>>>);

impl Gates {
    /// The gate in force.
    pub(super) fn now(&self) -> Arc<Gate> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another in its place.
    pub(super) fn replace(&self, gate: Gate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gate);
    }
}
