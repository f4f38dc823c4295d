//! Quantiles, shares and how sure one may be of them.

use stayfound_core::chance::Chance;

/// Of so many resamples is a bootstrap interval.
const RESAMPLES: usize = 1000;
/// The standard normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;
/// Above so many observations fewer resamples are drawn, so that a report takes seconds.
const WORK: usize = 50_000_000;

/// Observations of one quantity, in groups (runs) within which they depend on each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Value and group, sorted by value. What never happened is infinite.
    sorted: Vec<(f64, usize)>,
    groups: usize,
}

/// An interval of 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// A point of an empirical distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// A value.
    pub value: f64,
    /// The share of observations that are at most this.
    pub share: f64,
    /// Where that share may be.
    pub interval: Interval,
}

impl Sample {
    /// The observations of each run.
    ///
    /// # Panics
    /// If one is not a number.
    #[must_use]
    pub fn new(groups: impl IntoIterator<Item = Vec<f64>>) -> Self {
        let groups: Vec<Vec<f64>> = groups.into_iter().filter(|it| !it.is_empty()).collect();
        // One run is no sample of runs: its observations are taken for independent.
        let single = groups.len() == 1;
        let mut sorted: Vec<(f64, usize)> = Vec::new();
        for (group, values) in groups.iter().enumerate() {
            for value in values {
                assert!(!value.is_nan(), "an observation is a number");
                sorted.push((*value, if single { sorted.len() } else { group }));
            }
        }
        let groups = if single { sorted.len() } else { groups.len() };
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Self { sorted, groups }
    }

    /// How many observations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether nothing was observed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// How many of them happened.
    #[must_use]
    pub fn finite(&self) -> usize {
        self.sorted.partition_point(|it| it.0 < f64::INFINITY)
    }

    /// The largest that happened.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        self.sorted[..self.finite()].last().map(|it| it.0)
    }

    /// The nearest rank: of n sorted values the one in place ⌈n · percent / 100⌉.
    #[must_use]
    pub fn quantile(&self, percent: usize) -> Option<f64> {
        let place = (self.len() * percent).div_ceil(100).saturating_sub(1);
        self.sorted.get(place).map(|it| it.0)
    }

    /// Where quantiles may be: the percentile bootstrap over groups (Efron 1979; Field and Welsh
    /// 2007 for groups), drawn from a seed of its own so that the same sample has the same one.
    #[must_use]
    pub fn quantile_intervals<const N: usize>(&self, percents: [usize; N]) -> [Interval; N] {
        let mut drawn: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
        self.resample(|total, weights| {
            let ranks = percents.map(|percent| (total * percent).div_ceil(100).max(1));
            let (mut seen, mut found) = (0, [None; N]);
            for (value, group) in &self.sorted {
                seen += weights[*group];
                for (found, rank) in found.iter_mut().zip(ranks) {
                    if found.is_none() && seen >= rank {
                        *found = Some(*value);
                    }
                }
            }
            for (drawn, found) in drawn.iter_mut().zip(found) {
                drawn.push(found.expect("a rank is at most the total"));
            }
        });
        drawn.map(middle)
    }

    /// The empirical distribution at these values, in increasing order, with pointwise intervals
    /// of the same bootstrap.
    #[must_use]
    pub fn distribution(&self, at: &[f64]) -> Vec<Point> {
        let mut drawn: Vec<Vec<f64>> = vec![Vec::new(); at.len()];
        self.resample(|total, weights| {
            let (mut seen, mut rest) = (0, self.sorted.iter().peekable());
            for (value, drawn) in at.iter().zip(&mut drawn) {
                while let Some((_, group)) = rest.next_if(|it| it.0 <= *value) {
                    seen += weights[*group];
                }
                drawn.push(seen as f64 / total as f64);
            }
        });
        let share = |value: f64| self.sorted.partition_point(|it| it.0 <= value) as f64;
        let points = at.iter().zip(drawn).map(|(value, drawn)| Point {
            value: *value,
            share: share(*value) / self.len() as f64,
            interval: middle(drawn),
        });
        points.collect()
    }

    /// At most so many of its values that stand for all, in order: each if there are few.
    #[must_use]
    pub fn values(&self, most: usize) -> Vec<f64> {
        let mut values: Vec<f64> = self.sorted[..self.finite()].iter().map(|it| it.0).collect();
        values.dedup();
        if values.len() > most {
            let last = values.len() - 1;
            values = (0..most).map(|i| values[i * last / (most - 1)]).collect();
            values.dedup();
        }
        values
    }

    /// Draws as many groups as there are, again and again; `each` gets the number of observations
    /// in them and how often each group was drawn.
    fn resample(&self, mut each: impl FnMut(usize, &[usize])) {
        if self.is_empty() {
            return;
        }
        let mut sizes = vec![0; self.groups];
        self.sorted.iter().for_each(|it| sizes[it.1] += 1);
        let mut draws = Chance::new([0; 32]).stream("bootstrap");
        for _ in 0..RESAMPLES.min(WORK / self.len()).max(100) {
            let mut weights = vec![0; self.groups];
            for _ in 0..self.groups {
                weights[draws.below(self.groups as u64) as usize] += 1;
            }
            let total = weights.iter().zip(&sizes).map(|(weight, size)| weight * size).sum();
            each(total, &weights);
        }
    }
}

/// Where a share may be of which `hits` of `n` were seen (Wilson 1927).
///
/// # Panics
/// If there are more hits than observations.
#[must_use]
pub fn wilson(hits: u64, n: u64) -> Interval {
    assert!(hits <= n, "{hits} of {n}");
    if n == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, share) = (n as f64, hits as f64 / n as f64);
    let (square, scale) = (Z * Z, 1.0 + Z * Z / n);
    let centre = (share + square / (2.0 * n)) / scale;
    let half = Z * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt() / scale;
    Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}

/// The middle 95 % of what was drawn.
fn middle(mut drawn: Vec<f64>) -> Interval {
    drawn.sort_by(f64::total_cmp);
    let cut = drawn.len() * 25 / 1000;
    let at = |place: usize| drawn.get(place).copied().unwrap_or(f64::NAN);
    Interval { low: at(cut), high: at(drawn.len().saturating_sub(cut + 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each_of_its_own(values: impl IntoIterator<Item = f64>) -> Sample {
        Sample::new(values.into_iter().map(|value| vec![value]))
    }

    #[test]
    fn shares_are_as_sure_as_wilson_says() {
        // Newcombe 1998, table I, method 3.
        for (hits, n, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let found = wilson(hits, n);
            assert!((found.low - low).abs() < 5e-5, "{hits} of {n}: {found:?}");
            assert!((found.high - high).abs() < 5e-5, "{hits} of {n}: {found:?}");
        }
        assert_eq!(wilson(0, 0), Interval { low: 0.0, high: 1.0 });
    }

    #[test]
    fn quantiles_are_values_and_their_intervals_hold_them() {
        let sample = each_of_its_own((1..=200).map(f64::from));
        assert_eq!([50, 99, 100].map(|it| sample.quantile(it).unwrap()), [100.0, 198.0, 200.0]);
        let [median, p99] = sample.quantile_intervals([50, 99]);
        // By the binomial distribution, ranks 87 to 115 hold the median of 200 in 95 of 100.
        assert!((84.0..=90.0).contains(&median.low), "{median:?}");
        assert!((110.0..=118.0).contains(&median.high), "{median:?}");
        assert!(p99.low <= 198.0 && p99.high >= 198.0, "{p99:?}");
        assert_eq!(sample.quantile_intervals([50, 99]), [median, p99], "the same each time");
    }

    #[test]
    fn observations_of_one_run_are_not_taken_for_many_runs() {
        let runs = |copies: usize| Sample::new((0..40).map(|run| vec![f64::from(run); copies]));
        assert_eq!(runs(1).quantile_intervals([50]), runs(50).quantile_intervals([50]));
    }

    #[test]
    fn what_never_happened_counts_and_has_no_time() {
        let sample = each_of_its_own([1.0, 2.0, f64::INFINITY, f64::INFINITY]);
        assert_eq!((sample.len(), sample.finite(), sample.max()), (4, 2, Some(2.0)));
        assert_eq!(sample.quantile(99), Some(f64::INFINITY));
        let shares: Vec<f64> =
            sample.distribution(&[0.5, 1.0, 2.0]).iter().map(|it| it.share).collect();
        assert_eq!(shares, [0.0, 0.25, 0.5]);
    }

    #[test]
    fn bands_hold_the_curve() {
        let sample = each_of_its_own((0..50).map(|it| f64::from(it * it % 37)));
        for point in sample.distribution(&sample.values(20)) {
            let Interval { low, high } = point.interval;
            assert!(low <= point.share && point.share <= high, "{point:?}");
        }
        assert!(sample.values(20).len() <= 20);
    }

    #[test]
    fn of_nothing_nothing_is_said() {
        let sample = Sample::new([Vec::new()]);
        assert!(sample.is_empty());
        assert_eq!((sample.quantile(50), sample.max()), (None, None));
    }
}
