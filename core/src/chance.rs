//! The seed, and one labelled stream per use, so that a new draw shifts no old one.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sha3::{Digest, Keccak256};

/// Where all chance of one core comes from.
#[derive(Clone)]
pub struct Chance {
    seed: [u8; 32],
}

/// One labelled sequence of draws (ChaCha8), a pure function of seed and label.
#[derive(Clone)]
pub struct Stream(ChaCha8Rng);

impl Chance {
    /// All chance that follows from `seed`. In production the driver draws it from the operating
    /// system, in the simulator from the run's seed.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed }
    }

    /// The stream of one use. It depends on seed and label only: adding a stream shifts no other.
    #[must_use]
    pub fn stream(&self, label: &str) -> Stream {
        let key = Keccak256::new().chain_update(self.seed).chain_update(label).finalize();
        Stream(ChaCha8Rng::from_seed(key.into()))
    }
}

impl Stream {
    /// Uniform in `0..=u64::MAX`.
    #[inline]
    pub fn draw(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..bound`, integers only, so that every machine agrees.
    ///
    /// # Panics
    /// If `bound` is zero.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a draw needs at least one outcome");
        // Multiply-shift: the bias is below bound / 2^64.
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether an event of probability `numerator / denominator` happens.
    #[inline]
    pub fn hits(&mut self, numerator: u64, denominator: u64) -> bool {
        assert!(numerator <= denominator, "a probability above one: {numerator}/{denominator}");
        self.below(denominator) < numerator
    }

    /// Goes on with a key that it draws from itself: whoever learns the state of the stream, now or
    /// later, does not learn what was drawn before (forward secrecy of whatever was made of it).
    pub fn ratchet(&mut self) {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        *self = Self(ChaCha8Rng::from_seed(seed));
    }

    /// Goes on with a key made of what it would have drawn and of these bytes: whoever restores an
    /// earlier state of this host does not draw the same again (a nonce used twice betrays what it
    /// sealed). Bytes that somebody knows or chose make nothing worse.
    pub fn mix(&mut self, fresh: &[u8; 32]) {
        let mut drawn = [0; 32];
        self.0.fill_bytes(&mut drawn);
        let key = Keccak256::new().chain_update(drawn).chain_update(fresh).finalize();
        *self = Self(ChaCha8Rng::from_seed(key.into()));
    }

    /// `span` varied by ± a quarter, so that peers that failed together do not retry together.
    pub fn jittered(&mut self, span: Duration) -> Duration {
        let quarter = u64::try_from(span.as_nanos() / 4).unwrap_or(u64::MAX / 2);
        span - Duration::from_nanos(quarter) + Duration::from_nanos(self.below(2 * quarter + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_and_label_only() {
        let draws = |seed: u8, label: &str| {
            let mut stream = Chance::new([seed; 32]).stream(label);
            [stream.draw(), stream.draw()]
        };
        assert_eq!(draws(1, "dial"), draws(1, "dial"));
        assert_ne!(draws(1, "dial"), draws(2, "dial"));
        assert_ne!(draws(1, "dial"), draws(1, "back-off"));
    }

    #[test]
    fn what_is_mixed_in_changes_what_is_drawn_and_nothing_else_does() {
        let draw = |fresh: Option<[u8; 32]>| {
            let mut stream = Chance::new([1; 32]).stream("test");
            fresh.iter().for_each(|fresh| stream.mix(fresh));
            stream.draw()
        };
        assert_eq!(draw(Some([5; 32])), draw(Some([5; 32])));
        assert_ne!(draw(Some([5; 32])), draw(Some([6; 32])));
        assert_ne!(draw(Some([5; 32])), draw(None));
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        let mut stream = Chance::new([7; 32]).stream("test");
        for _ in 0..1_000 {
            let span = stream.jittered(Duration::from_millis(500)).as_millis();
            assert!((375..=625).contains(&span), "{span} ms");
        }
    }
}
