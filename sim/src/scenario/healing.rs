//! How long healing may take: what follows from the constants of the protocol and of the network.

use std::time::Duration;

use stayfound_core::discovery::lookup::{ALPHA, QUERIES_MAX};
use stayfound_core::discovery::request::ROUND_TRIP_WITHIN;
use stayfound_core::mesh::{
    BACKOFF_MAX, BACKOFF_MIN, CANDIDATES_MAX, CROSSING, GRACE, HELLO_WITHIN, STAGGER,
};
use stayfound_core::node::{AGAIN_MAX, FLOOR_ALONE, FLOOR_WITHIN, LOST_FOR};

use super::{Miles, Options};
use crate::host::NOTICE_MAX;
use crate::network::{DIAL_TIMEOUT, IDLE_TIMEOUT, KEEP_ALIVE, Mile};

/// Bad luck that happens to one pair in fewer than so many is not allowed for.
const RARE: u128 = 100_000;

impl Options {
    /// After this long without a fault everything that is owed is so. Each term is the longest
    /// that one step takes, and the steps are taken one after the other, which they seldom are.
    #[must_use]
    pub fn heals_within(&self) -> Duration {
        // The last change is noticed, and every link that it left dead.
        // (Of a link that is cut one way, one end gives up only when the other has.)
        let noticed = NOTICE_MAX + IDLE_TIMEOUT * 2;
        // Who knows where the other is dials in the next round, at whichever address is the right
        // one; if by bad luck that fails, in the round after.
        let (mile, lost) = (self.worst_mile(), self.lost());
        let found = (back_off(BACKOFF_MAX) + self.round()) * rounds(lost);
        // A first record has waited for its floor, then for the disk; a record of ours that was
        // lost, and another that comes to light, are outrun; then our true address is seen.
        let outrun = BACKOFF_MIN * (1 + 2 + 4);
        let issued = FLOOR_WITHIN + FLOOR_ALONE + outrun + self.disks.slowest() * 3;
        // It goes from one to the next, at most through all. Where we are seen, and what we are
        // called then, may be held up on the way.
        let operators =
            u32::try_from(self.operators + self.spares).expect("a cluster has 256 at most");
        let held_up = self.latency.slowest(mile, losses_in_a_row(lost, 10_000));
        let told = self.latency.slowest(mile, 0) * operators + held_up * 2;
        // Who had to be told dials, with a back-off that began anew.
        let dialled = GRACE + (back_off(BACKOFF_MIN * 8) + self.round()) * rounds(lost);
        // Of several links one stays, and whoever closes the others may not be heard at first.
        let settled = CROSSING * 2 + if lost == 0 { CROSSING } else { KEEP_ALIVE };
        let all = noticed + found + issued + told + dialled + settled + self.searched();
        all + all / 50 // by a slow clock
    }

    /// Who moves and notices it is linked again within this time with whoever stayed where it was: it
    /// dials everybody at once, and again as often as a dial can fail by bad luck.
    #[must_use]
    pub fn relinks_within(&self) -> Duration {
        let dials = (back_off(BACKOFF_MIN * 8) + self.round()) * rounds(self.lost());
        let all = NOTICE_MAX + dials;
        all + all / 50 // by a slow clock
    }

    /// Who knows no address at which the other answers looks for it, in the worst case after the
    /// longest pause between two searches, and once more if the first came before the other had
    /// said where it is; each search asks whomever it can, all of them slow.
    fn searched(&self) -> Duration {
        let lookup = ROUND_TRIP_WITHIN * 2 * QUERIES_MAX.div_ceil(ALPHA) as u32;
        match self.discovery {
            Some(_) => LOST_FOR + (back_off(AGAIN_MAX) + lookup) * 2,
            None => Duration::ZERO,
        }
    }

    /// Of ten thousand packets so many are lost between two operators, at worst.
    fn lost(&self) -> u128 {
        u128::from(self.loss.0) * 10 + 2 * u128::from(self.worst_mile().loss)
    }

    fn worst_mile(&self) -> Mile {
        match self.miles {
            Miles::All(access) => access.mile(),
            Miles::Mixed => Mile::worst(),
        }
    }

    /// Every address of a peer is dialled, the last of them in vain or to a peer that is slow to
    /// say hello.
    fn round(&self) -> Duration {
        const _: () = assert!(HELLO_WITHIN.as_secs() <= DIAL_TIMEOUT.as_secs());
        STAGGER * CANDIDATES_MAX as u32 + DIAL_TIMEOUT
    }
}

/// The longest that a back-off becomes by its jitter of a quarter.
fn back_off(span: Duration) -> Duration {
    span + span / 4
}

/// How many dials it takes until one does not fail by loss. One fails if any of its four flights
/// is lost twice in a row: that takes 3 s of the 5 s of [`DIAL_TIMEOUT`], or more.
fn rounds(lost: u128) -> u32 {
    losses_in_a_row(4 * lost.pow(2), 100_000_000)
}

/// How often in a row something of this probability happens that happens at all: the least k for
/// which k times in a row is rare.
fn losses_in_a_row(numerator: u128, denominator: u128) -> u32 {
    const ONE: u128 = 1_000_000_000;
    let once = (numerator * ONE).div_ceil(denominator);
    let (mut in_a_row, mut k) = (once, 1);
    while in_a_row * RARE > ONE {
        in_a_row = (in_a_row * once).div_ceil(ONE);
        k += 1;
        assert!(k < 20, "no drawn loss is that bad");
    }
    k
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Latency, Loss};

    fn seconds(latency: Latency, loss: u16) -> u64 {
        Options { latency, loss: Loss(loss), ..Options::plain(4) }.heals_within().as_secs()
    }

    #[test]
    fn the_idle_time_out_and_one_round_of_dials_are_most_of_it_unless_packets_are_lost() {
        let least = IDLE_TIMEOUT + back_off(BACKOFF_MAX);
        let lossless = Latency::ALL.map(|latency| seconds(latency, 0));
        assert!(lossless.is_sorted(), "{lossless:?}");
        assert!(lossless.iter().all(|it| (least.as_secs()..180).contains(it)), "{lossless:?}");
        let lossy = [0, 1, 10, 50, 100].map(|loss| seconds(Latency::Continental, loss));
        assert!(lossy.is_sorted(), "{lossy:?}");
    }
}
