//! How full buckets are, and who knows all of its neighbourhood, in a network of the size of the
//! IPFS DHT in April 2022 (ProbeLab, RFM19: 28 crawls, 15,371 nodes reachable on average).
//!
//! What is the core's here is the distance between ids. What is modelled is a network in which
//! nodes come and go and each looks around every few minutes: buckets of 20 are not the core's,
//! whose own table is looked at in [`super::ideal`].

use stayfound_core::chance::{Chance, Stream};
use stayfound_core::discovery::table::DISTANCE_MAX;
use stayfound_core::record::NodeId;

use super::{Figure, Scale, mean, per_cent};

pub(super) const PART: &str = "IPFS tables";
const SOURCE: &str = "ProbeLab RFM19 (2022-07)";

/// How many nodes were reachable.
const NODES: usize = 15_371;
/// How many nodes a bucket holds there: k.
const BUCKET: usize = 20;
/// The buckets that are full there, by the length of the common prefix.
const FULL: std::ops::Range<usize> = 0..9;

/// How long nodes stay: of a thousand so many between these seconds, evenly. Half stay two hours at
/// most, eight of ten eight hours (ProbeLab RFM2); that nobody stays beyond a day is assumed.
pub const SESSIONS: [(u64, [u64; 2]); 3] =
    [(500, [0, 7_200]), (300, [7_200, 28_800]), (200, [28_800, 86_400])];
/// A node looks around that often, in seconds, and learns who is there (go-libp2p-kad-dht refreshes
/// its table every ten minutes).
pub const LOOKS_EVERY: u64 = 600;
/// How long it takes to ask every node for its table, in seconds (ProbeLab RFM2: about five
/// minutes). Whoever comes meanwhile counts, although those asked before cannot know.
pub const CRAWL: u64 = 300;

/// What one node knows of the others.
struct View {
    /// How many it knows in each bucket.
    buckets: Vec<usize>,
    /// In which buckets its 20 closest are, closest first.
    closest: Vec<usize>,
    /// How many of them it knows.
    known: usize,
}

pub(super) fn figures(scale: &Scale, chance: &Chance) -> Vec<Figure> {
    let mut stream = chance.stream("validate: occupancy");
    let nodes: Vec<(NodeId, u64)> =
        (0..NODES).map(|_| (random_id(&mut stream), age(&mut stream))).collect();
    let views: Vec<View> = (0..scale.sampled.min(NODES))
        .map(|own| View::of(&nodes, own, stream.below(CRAWL)))
        .collect();
    let figure = |name: &str, unit, published, tolerance, measured| Figure {
        part: PART,
        name: name.into(),
        unit,
        published,
        tolerance,
        measured,
        source: SOURCE,
    };
    let filled =
        |bucket: usize| -> Vec<usize> { views.iter().map(|view| view.buckets[bucket]).collect() };
    let low: Vec<usize> = FULL.flat_map(filled).collect();
    let full = low.iter().filter(|nodes| **nodes == BUCKET).count();
    let closest =
        |place: usize| -> Vec<usize> { views.iter().map(|view| view.closest[place]).collect() };
    let knows = |least: usize| {
        per_cent(views.iter().filter(|view| view.known >= least).count(), views.len())
    };
    vec![
        figure("nodes in bucket 9", "nodes", 14.16, 1.0, mean(&filled(9))),
        figure("nodes in bucket 13", "nodes", 0.908, 0.1, mean(&filled(13))),
        figure("nodes in buckets 0 to 8", "nodes", 19.88, 0.2, mean(&low)),
        figure("full buckets of 0 to 8", "%", 98.06, 3.0, per_cent(full, low.len())),
        figure("common prefix of the closest", "bits", 14.0, 0.5, mean(&closest(0))),
        figure("common prefix of the 20th", "bits", 9.0, 0.5, mean(&closest(BUCKET - 1))),
        figure("know all 20 closest", "%", 61.09, 5.0, knows(BUCKET)),
        figure("know fewer than 18 of them", "%", 4.79, 3.0, 100.0 - knows(18)),
        figure("know fewer than 5 of them", "%", 0.102, 0.2, 100.0 - knows(5)),
    ]
}

impl View {
    /// What the table of one node held that was asked for so many seconds before the crawl ended.
    fn of(nodes: &[(NodeId, u64)], own: usize, asked: u64) -> Self {
        let (id, age) = nodes[own];
        let asked = asked.min(age);
        // It joined, which was its first look around, `age` ago.
        let looked = asked + (age - asked) % LOOKS_EVERY;
        let mut candidates = vec![Vec::new(); 256];
        let mut others = Vec::with_capacity(nodes.len());
        for (place, (far, age)) in nodes.iter().enumerate().filter(|(place, _)| *place != own) {
            let bucket = usize::from(DISTANCE_MAX - id.log_distance(far));
            if *age >= looked {
                candidates[bucket].push((*age, place));
            }
            others.push((id.xor(far), place, bucket));
        }
        // Who came first has the place: a node that answers is never put out.
        for bucket in &mut candidates {
            bucket.sort_unstable_by(|a, b| b.cmp(a));
            bucket.truncate(BUCKET);
        }
        others.select_nth_unstable(BUCKET);
        others.truncate(BUCKET);
        others.sort_unstable();
        let knows = |(_, place, bucket): &&(_, usize, usize)| {
            candidates[*bucket].iter().any(|(_, known)| known == place)
        };
        Self {
            buckets: candidates.iter().map(Vec::len).collect(),
            known: others.iter().filter(knows).count(),
            closest: others.iter().map(|(_, _, bucket)| *bucket).collect(),
        }
    }
}

fn random_id(stream: &mut Stream) -> NodeId {
    let mut id = [0; 32];
    id.chunks_mut(8).for_each(|bytes| bytes.copy_from_slice(&stream.draw().to_be_bytes()));
    NodeId(id)
}

/// How long ago a node that is there now has come, in seconds. Who stays long is met more often: a
/// session is met in proportion to its length, at any of its seconds.
fn age(stream: &mut Stream) -> u64 {
    let longest = SESSIONS.iter().map(|(_, [_, end])| *end).max().expect("there are sessions");
    loop {
        let mut place = stream.below(1_000);
        let mut classes = SESSIONS.iter();
        let [least, end] = loop {
            let (share, span) = classes.next().expect("the shares make a thousand");
            match place.checked_sub(*share) {
                Some(rest) => place = rest,
                None => break *span,
            }
        };
        let session = least + stream.below(end - least);
        if stream.below(longest) < session {
            return stream.below(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean age of a renewal process: half of E(S²) / E(S).
    #[test]
    fn ages_are_those_of_whoever_is_met_at_any_moment() {
        assert_eq!(SESSIONS.iter().map(|(share, _)| share).sum::<u64>(), 1_000);
        let moment = |power: i32| -> f64 {
            let of = |(share, [a, b]): &(u64, [u64; 2])| {
                let (a, b, n) = (*a as f64, *b as f64, f64::from(power + 1));
                *share as f64 / 1e3 * (b.powi(power + 1) - a.powi(power + 1)) / (n * (b - a))
            };
            SESSIONS.iter().map(of).sum()
        };
        let mut stream = Chance::new([1; 32]).stream("ages");
        let ages: Vec<usize> = (0..50_000).map(|_| age(&mut stream) as usize).collect();
        let expected = moment(2) / moment(1) / 2.0;
        assert!((mean(&ages) / expected - 1.0).abs() < 0.02, "{} {expected}", mean(&ages));
    }
}
