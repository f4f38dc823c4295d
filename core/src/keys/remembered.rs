//! The curve with a memory (feature `remembered-keys`): what was computed before is looked up.
//!
//! For many nodes in one process, which verify the same records and both ends of whose handshakes
//! compute the same secret. Every function here is pure and its whole input is the key under which
//! its result is kept, so no verdict and no byte can differ; forgetting costs time only. Memory and
//! switch are of a thread, and a thread remembers inside [`remembering`] only. What is kept, shared
//! secrets and scalars included, is not erased: for keys that protect nothing.

use std::cell::{Cell, RefCell};

use super::{k256, plain};
use crate::lru::Lru;

/// How many results of each function are kept (all functions together: at most about 100 MB).
pub const RESULTS_REMEMBERED_MAX: usize = 1 << 16;

/// A secret scalar.
#[derive(Clone)]
pub struct Secret {
    secret: plain::Secret,
    scalar: [u8; 32],
    public_key: [u8; 33],
}

/// A parsed public key, which knows its bytes.
#[derive(Clone, Copy)]
pub struct Point {
    point: plain::Point,
    bytes: [u8; 33],
}

/// Public key, digest, signature.
type Claim = ([u8; 33], [u8; 32], [u8; 64]);
type Agreed = Option<([u8; 33], [u8; 33])>;

struct Memory {
    /// The scalars of those that have signed something.
    secrets: Lru<[u8; 33], [u8; 32]>,
    points: Lru<[u8; 33], Option<plain::Point>>,
    signed: Lru<([u8; 33], [u8; 32]), [u8; 64]>,
    verified: Lru<Claim, bool>,
    /// By both public keys, the lower one first: either side computes the same point.
    shared: Lru<([u8; 33], [u8; 33]), [u8; 33]>,
    ephemeral: Lru<([u8; 32], [u8; 33]), Agreed>,
}

thread_local! {
    static REMEMBERS: Cell<bool> = const { Cell::new(false) };
    static MEMORY: RefCell<Memory> = RefCell::new(Memory::new());
}

/// Does `work` with a memory, which this thread keeps for the next time.
pub fn remembering<R>(work: impl FnOnce() -> R) -> R {
    let _before = Before(REMEMBERS.replace(true));
    work()
}

/// Sets the switch back, whether the work returned or panicked.
struct Before(bool);

impl Drop for Before {
    fn drop(&mut self) {
        REMEMBERS.set(self.0);
    }
}

impl Memory {
    fn new() -> Self {
        Self {
            secrets: Lru::new(RESULTS_REMEMBERED_MAX),
            points: Lru::new(RESULTS_REMEMBERED_MAX),
            signed: Lru::new(RESULTS_REMEMBERED_MAX),
            verified: Lru::new(RESULTS_REMEMBERED_MAX),
            shared: Lru::new(RESULTS_REMEMBERED_MAX),
            ephemeral: Lru::new(RESULTS_REMEMBERED_MAX),
        }
    }
}

/// The result kept under `key`, or else computed now, and kept.
fn remembered<K: Ord + Copy, V: Copy>(
    of: impl FnOnce(&mut Memory) -> &mut Lru<K, V>,
    key: K,
    compute: impl FnOnce() -> V,
) -> V {
    if !REMEMBERS.get() {
        return compute();
    }
    MEMORY.with_borrow_mut(|memory| {
        let results = of(memory);
        if let Some(result) = results.get(&key) {
            return *result;
        }
        let result = compute();
        results.insert(key, result);
        result
    })
}

impl Secret {
    /// `None` for zero and for values not below the order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let secret = plain::Secret::from_bytes(bytes)?;
        let public_key = secret.public_key();
        Some(Self { secret, scalar: *bytes, public_key })
    }

    /// 33 bytes, compressed.
    #[must_use]
    pub fn public_key(&self) -> [u8; 33] {
        self.public_key
    }

    /// r ‖ s by RFC 6979, low S.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> [u8; 64] {
        remembered(|memory| &mut memory.secrets, self.public_key, || self.scalar);
        let key = (self.public_key, *digest);
        let signature = remembered(|memory| &mut memory.signed, key, || self.secret.sign(digest));
        // Whoever it is shown to comes to verify it.
        remembered(|memory| &mut memory.verified, (key.0, key.1, signature), || true);
        signature
    }

    /// The shared point, 33 bytes compressed.
    #[must_use]
    pub fn agree(&self, with: &Point) -> [u8; 33] {
        let key = pair(self.public_key, with.bytes);
        remembered(|memory| &mut memory.shared, key, || self.secret.agree(&with.point))
    }
}

impl Point {
    /// `None` if the bytes are no point of the curve.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 33]) -> Option<Self> {
        let parse = || plain::Point::from_bytes(bytes);
        let point = remembered(|memory| &mut memory.points, *bytes, parse)?;
        Some(Self { point, bytes: *bytes })
    }

    /// x ‖ y.
    #[must_use]
    pub fn coordinates(&self) -> [u8; 64] {
        self.point.coordinates()
    }

    /// Refuses a high S.
    #[must_use]
    pub fn verifies(&self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let key = (self.bytes, *digest, *signature);
        let verify = || self.point.verifies(digest, signature);
        remembered(|memory| &mut memory.verified, key, verify)
    }
}

/// As of the curve itself: asked too seldom to be kept.
pub use super::plain::recover;

/// Public key and shared point of a scalar, each 33 bytes compressed; `None` for zero and for values
/// not below the order. The other side finds the shared point when it comes to agree.
#[must_use]
pub fn agree_ephemeral(scalar: &[u8; 32], with: &Point) -> Agreed {
    let known = |memory: &mut Memory| memory.secrets.get(&with.bytes).copied();
    let known = if REMEMBERS.get() { MEMORY.with_borrow_mut(known) } else { None };
    let compute = || match known {
        Some(other) => agree_with_both(scalar, &other),
        None => plain::agree_ephemeral(scalar, &with.point),
    };
    let agreed = remembered(|memory| &mut memory.ephemeral, (*scalar, with.bytes), compute);
    if let Some((public_key, shared)) = agreed {
        remembered(|memory| &mut memory.shared, pair(public_key, with.bytes), || shared);
    }
    agreed
}

/// The same, if the other side's scalar is known as well: the shared point is the product of both times
/// the generator, of which the curve has tables.
fn agree_with_both(scalar: &[u8; 32], other: &[u8; 32]) -> Agreed {
    let public_key = plain::Secret::from_bytes(scalar)?.public_key();
    let product = k256::product(scalar, other);
    let product = plain::Secret::from_bytes(&product).expect("scalars of a group of prime order");
    Some((public_key, product.public_key()))
}

fn pair(one: [u8; 33], other: [u8; 33]) -> ([u8; 33], [u8; 33]) {
    (one.min(other), one.max(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every function of the curve on good and on bad input.
    fn everything() -> impl PartialEq + std::fmt::Debug {
        let secrets = [1, 2, 7].map(|byte| Secret::from_bytes(&[byte; 32]).unwrap());
        let mut results = Vec::new();
        for one in &secrets {
            let digest = one.public_key[..32].try_into().unwrap();
            let signature = one.sign(&digest);
            let mut forged = signature;
            forged[40] ^= 1;
            for other in &secrets {
                let point = Point::from_bytes(&other.public_key).unwrap();
                results.push((
                    one.agree(&point),
                    [signature, forged].map(|signature| point.verifies(&digest, &signature)),
                    [[9; 32], [0xff; 32]].map(|scalar| agree_ephemeral(&scalar, &point)),
                    (signature, point.coordinates()),
                ));
            }
        }
        assert!(Point::from_bytes(&[2; 33]).is_some() && Point::from_bytes(&[9; 33]).is_none());
        results
    }

    #[test]
    fn what_is_remembered_is_what_is_computed() {
        let computed = everything();
        assert_eq!(MEMORY.with_borrow(|memory| memory.shared.len()), 0, "it was not switched on");
        let [first, again] = [(); 2].map(|()| remembering(everything));
        assert!(first == computed && again == computed, "{first:?} is not {computed:?}");
        // Six pairs of three keys, and one for each with the ephemeral key.
        assert_eq!(MEMORY.with_borrow(|memory| memory.shared.len()), 6 + 3);
        assert!(!REMEMBERS.get(), "the switch was not set back");
    }

    #[test]
    fn either_side_finds_what_the_other_computed() {
        let ours = Secret::from_bytes(&[3; 32]).unwrap();
        let point = Point::from_bytes(&ours.public_key).unwrap();
        remembering(|| {
            let (public_key, shared) = agree_ephemeral(&[4; 32], &point).unwrap();
            let kept = MEMORY.with_borrow(|memory| memory.shared.len());
            assert_eq!(ours.agree(&Point::from_bytes(&public_key).unwrap()), shared);
            assert_eq!(MEMORY.with_borrow(|memory| memory.shared.len()), kept);
        });
        let (public_key, shared) = agree_ephemeral(&[4; 32], &point).unwrap();
        assert_eq!(ours.agree(&Point::from_bytes(&public_key).unwrap()), shared);
    }
}
