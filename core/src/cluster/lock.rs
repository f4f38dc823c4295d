//! Reading charon's `cluster-lock.json`, schema v1.0.0 to v1.11.0.
use super::Manifest;
/// Why a file is no lock that can be read.
#[derive(Debug)]
pub enum LockError {}
/// Reads
pub fn read(_json: &[u8]) -> Result<Manifest, LockError> {
    todo!()
}
