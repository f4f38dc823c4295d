//! Certificates that were verified before.
//!
//! A node keeps its certificate for as long as it runs, and its links are opened again whenever
//! somebody moves. Whether a certificate's signatures are good is a function of its bytes alone, so
//! they are checked once. That the peer holds the certificate's key is proved in every handshake.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use stayfound_core::keys::PublicKey;

/// The latest certificate of each host key that was let in: as many as there are operators.
#[derive(Default)]
pub(super) struct Known(Mutex<BTreeMap<[u8; 33], CertificateDer<'static>>>);

impl Known {
    /// Whether these very bytes were verified for this key.
    pub(super) fn has(&self, key: &[u8; 33], certificate: &CertificateDer<'_>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).is_some_and(|known| known == certificate)
    }

    /// Remembers a certificate whose signatures are good, in place of the key's last one.
    pub(super) fn remember(&self, key: &[u8; 33], certificate: &CertificateDer<'_>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(*key, certificate.clone().into_owned());
    }

    /// Forgets the certificates of all other keys than these.
    pub(super) fn retain(&self, admitted: &[PublicKey]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|key, _| admitted.iter().any(|admitted| admitted.as_bytes() == key));
    }
}

#[cfg(test)]
mod tests {
    use stayfound_core::keys::SecretKey;

    use super::*;

    #[test]
    fn only_those_that_are_admitted_are_remembered() {
        let keys = [1, 2].map(|byte| SecretKey::from_bytes(&[byte; 32]).expect("a key"));
        let [one, two] = keys.map(|key| key.public_key());
        let certificate = CertificateDer::from(vec![7; 9]);
        let known = Known::default();
        for key in [one, two] {
            known.remember(key.as_bytes(), &certificate);
        }
        known.retain(&[two]);
        assert!(!known.has(one.as_bytes(), &certificate));
        assert!(known.has(two.as_bytes(), &certificate));
    }
}
