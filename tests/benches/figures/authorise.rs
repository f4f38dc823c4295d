//! What it costs to know that 10 operators × 1,000 key shares authorised their ENR keys, beside the
//! bare curve operations and beside one pairing for each signature.

use std::hint::black_box;
use std::time::Instant;

use blst::min_pk::{self, AggregatePublicKey};
use blst::{BLST_ERROR, MultiPoint, Pairing, blst_p1_affine, blst_p2_affine};
use stayfound_core::chance::{Chance, Stream};
use stayfound_core::cluster::OperatorIndex;
use stayfound_core::cluster::authorisation::{Authorisation, ClusterId, message, sign};
use stayfound_core::cluster::manifest::{Document, Operator};
use stayfound_core::cluster::shares::{Keys, Validator};
use stayfound_core::keys;
use stayfound_core::keys::bls::{self, Domain, SecretKey, Signed as SignedMessage};
use stayfound_core::record::{Endpoints, Signed};

use crate::measure::{cpu, judge, judge_at_least, percentile, report, rounds, size};

const OPERATORS: usize = 10;
const THRESHOLD: usize = 7;
const VALIDATORS: u32 = 1_000;
const ROUNDS: usize = 15;
const NAIVE: usize = 200;
const THREADS: usize = 2;
const DOMAIN: &[u8] = b"STAYFOUND-AUTHORISATION-V01-CS01-with-BLS12381G2_XMD:SHA-256_SSWU_RO_";

const FLOOR_TARGET: f64 = 1.2;
const NAIVE_TARGET: f64 = 100.0;
const FILE_TARGET: f64 = 1.25;
const FILE_NAIVE_TARGET: f64 = 15.0;

/// A cluster with every secret known, and its manifest with everybody authorised.
pub struct World {
    pub document: Document,
    secrets: Vec<Vec<SecretKey>>,
}

fn secret(chance: &mut Stream) -> SecretKey {
    let mut bytes = [0; 32];
    bytes.as_chunks_mut().0.iter_mut().for_each(|word| *word = chance.draw().to_be_bytes());
    bytes[0] &= 0x3f;
    SecretKey::from_bytes(&bytes).expect("drawn at random below the order")
}

impl World {
    pub fn new(validators: usize) -> Self {
        let mut chance = Chance::new([4; 32]).stream("shares");
        let split = |_| {
            let coefficients: Vec<_> = (0..THRESHOLD).map(|_| secret(&mut chance)).collect();
            let shares = SecretKey::split(&coefficients, OPERATORS).expect("none is zero");
            let validator = Validator {
                public_key: coefficients[0].public_key().to_bytes(),
                shares: shares.iter().map(|share| share.public_key().to_bytes()).collect(),
            };
            (shares, validator)
        };
        let (secrets, validators): (Vec<_>, Vec<_>) = (0..validators).map(split).unzip();
        let operators = (1..=OPERATORS as u8).map(|place| {
            let key = keys::SecretKey::from_bytes(&[place; 32]).expect("in range");
            let record = Signed::sign(&key, 0, &Endpoints::default());
            Operator { record, address: None, authorisation: None }
        });
        let document = Document {
            cluster: ClusterId::Lock { uuid: "6F7A".into(), hash: [7; 32] },
            name: String::new(),
            threshold: THRESHOLD,
            require_authorisation: true,
            operators: operators.collect(),
            validators,
        };
        let mut world = Self { document, secrets };
        for place in 0..OPERATORS {
            let authorisation = sign(&world.keys(), &world.of(place), &world.message(place));
            world.document.operators[place].authorisation = authorisation;
        }
        world
    }

    fn keys(&self) -> Keys<'_> {
        Keys::new(&self.document.validators, OPERATORS, THRESHOLD).expect("of one shape")
    }

    fn of(&self, place: usize) -> Vec<SecretKey> {
        self.secrets.iter().map(|shares| shares[place].clone()).collect()
    }

    fn message(&self, place: usize) -> Vec<u8> {
        let operator = OperatorIndex(u8::try_from(place).expect("ten operators"));
        message(
            &self.document.cluster,
            operator,
            self.document.operators[place].record.public_key(),
        )
    }

    fn signature(&self, place: usize) -> [u8; 96] {
        match &self.document.operators[place].authorisation {
            Some(Authorisation::Combined(signature)) => *signature,
            other => panic!("the combined form is written: {other:?}"),
        }
    }

    fn shares(&self) -> f64 {
        (OPERATORS * self.document.validators.len()) as f64
    }

    /// Every key of the file, compressed.
    fn compressed(&self) -> Vec<[u8; 48]> {
        let validators = self.document.validators.iter();
        validators.flat_map(|it| std::iter::once(it.public_key).chain(it.shares.clone())).collect()
    }
}

/// What each round took: ours, the floor, and one pairing for each signature.
#[derive(Default)]
struct Rounds(Vec<[f64; 3]>);

impl Rounds {
    fn median(&self, of: impl Fn(&[f64; 3]) -> f64) -> f64 {
        percentile(&mut self.0.iter().map(of).collect::<Vec<_>>(), 50)
    }

    fn tell(&self, name: &str, kind: &str, [ours, floor]: [&str; 2], most: f64, least: f64) {
        let spans = [("", ours), ("_floor", floor), ("_naive", "one pairing for each signature")];
        for (place, (which, remark)) in spans.into_iter().enumerate() {
            let span = self.median(|round| round[place]);
            report(&format!("{name}{kind}{which}"), span, "ms", remark);
        }
        let ratio = self.median(|[ours, floor, _]| ours / floor);
        let remark = "median of the rounds' ratios";
        judge(&format!("{name}_ratio"), ratio, "x", most, remark);
        let faster = self.median(|[ours, _, naive]| naive / ours);
        judge_at_least(&format!("{name}_over_naive"), faster, "x", least, remark);
    }
}

fn spent(work: impl FnOnce()) -> f64 {
    let before = cpu();
    work();
    (cpu() - before).as_secs_f64() * 1e3
}

fn elapsed(work: impl FnOnce()) -> f64 {
    let before = Instant::now();
    work();
    before.elapsed().as_secs_f64() * 1e3
}

/// One multi-scalar multiplication for each operator, and one pairing of all: with blst alone.
fn floor(columns: &[Vec<min_pk::PublicKey>], weights: &[u8], world: &World) {
    let mut pairing = Pairing::new(true, DOMAIN);
    for (place, column) in columns.iter().enumerate() {
        let sum: AggregatePublicKey = column.mult(weights, 128);
        let key: blst_p1_affine = sum.to_public_key().into();
        let signature = min_pk::Signature::sig_validate(&world.signature(place), true);
        let signature: blst_p2_affine = signature.expect("a signature").into();
        let said = world.message(place);
        let weight = [place as u8 + 1; 16];
        let added =
            pairing.mul_n_aggregate(&key, false, &signature, false, &weight, 128, &said, &[]);
        assert_eq!(added, BLST_ERROR::BLST_SUCCESS);
    }
    pairing.commit();
    black_box(pairing.finalverify(None));
}

/// The same by the core: keys that were read before.
fn ours(points: &stayfound_core::cluster::shares::Points<'_>, world: &World) {
    let sums = points.weigh();
    let messages: Vec<_> = (0..OPERATORS).map(|place| world.message(place)).collect();
    let keys = world.keys();
    let batch: Vec<_> = (0..OPERATORS)
        .map(|place| {
            let authorisation = world.document.operators[place].authorisation.as_ref();
            let parts = authorisation.expect("of everybody").parts(&keys, 1).expect("counted");
            let signature = Authorisation::conclude(parts.iter().map(|part| part.run()));
            let signature = signature.expect("a signature");
            SignedMessage { key: sums[place + 1], message: &messages[place], signature }
        })
        .collect();
    assert!(bls::verify_all(Domain::AUTHORISATION, &batch), "everybody is authorised");
}

/// A key and its signature, compressed.
type Pair = ([u8; 48], [u8; 96]);

/// Some of operator 0's signatures.
fn signed(world: &World, message: &[u8]) -> Vec<Pair> {
    let sign = |it: &SecretKey| {
        let signature = it.sign(Domain::AUTHORISATION, message);
        (it.public_key().to_bytes(), signature.to_bytes())
    };
    world.of(0).iter().take(NAIVE).map(sign).collect()
}

/// One pairing for each signature, the keys read before: CPU of one, in milliseconds.
fn naive(pairs: &[Pair], message: &[u8]) -> f64 {
    let read =
        |(key, signature): &Pair| (bls::PublicKey::from_bytes(key).expect("a key"), *signature);
    let pairs: Vec<_> = pairs.iter().map(read).collect();
    let one = |(key, signature): &(bls::PublicKey, [u8; 96])| {
        let signature = bls::Signature::from_bytes(signature).expect("a signature");
        assert!(key.verifies(Domain::AUTHORISATION, message, &signature));
    };
    spent(|| pairs.iter().for_each(one)) / pairs.len() as f64
}

/// The same from compressed keys, on as many threads as ours: wall clock of one.
fn naive_from_bytes(pairs: &[Pair], message: &[u8]) -> f64 {
    let one = |(key, signature): &Pair| {
        let key = bls::PublicKey::from_bytes(key).expect("a key");
        let signature = bls::Signature::from_bytes(signature).expect("a signature");
        assert!(key.verifies(Domain::AUTHORISATION, message, &signature));
    };
    let all = || {
        std::thread::scope(|scope| {
            for part in pairs.chunks(pairs.len().div_ceil(THREADS)) {
                scope.spawn(|| part.iter().for_each(one));
            }
        });
    };
    elapsed(all) / pairs.len() as f64
}

fn with_keys_read(world: &World) {
    let keys = world.keys();
    let parts = keys.parts(1);
    let points = parts[0].read().expect("points");
    let read = |bytes: &[u8; 48]| min_pk::PublicKey::key_validate(bytes).expect("a point");
    let column = |place: usize| {
        world.document.validators.iter().map(|it| read(&it.shares[place])).collect::<Vec<_>>()
    };
    let columns: Vec<_> = (0..OPERATORS).map(column).collect();
    let weights = keys.weights(0..world.document.validators.len()).concat();
    let (said, mut rounds_of) = (world.message(0), Rounds::default());
    let pairs = signed(world, &said);
    for _ in 0..rounds(ROUNDS) {
        let span = spent(|| ours(&points, world));
        let floor = spent(|| floor(&columns, &weights, world));
        rounds_of.0.push([span, floor, naive(&pairs, &said) * world.shares()]);
    }
    let ours = format!("{OPERATORS} x {} shares, keys read before, one thread", columns[0].len());
    let remarks = [&ours, "multi-scalar multiplications and pairing, bare"];
    rounds_of.tell("cluster.authorisations", "_cpu", remarks, FLOOR_TARGET, NAIVE_TARGET);
}

/// From the file's bytes to the verdict, on two threads.
fn from_file(json: &[u8]) {
    let document = Document::read(json).expect("a manifest");
    let parts = document.parts(THREADS);
    let partials = std::thread::scope(|scope| {
        let threads: Vec<_> = parts.iter().map(|part| scope.spawn(|| part.run())).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let verdict = document.conclude(partials);
    assert!(verdict.failures().next().is_none(), "{verdict:?}");
}

/// Decompression and subgroup checks of every key in the file, with blst alone, on two threads.
fn reading(keys: &[[u8; 48]]) {
    std::thread::scope(|scope| {
        for part in keys.chunks(keys.len().div_ceil(THREADS)) {
            scope.spawn(|| {
                let read = |bytes: &[u8; 48]| {
                    black_box(min_pk::PublicKey::key_validate(bytes).expect("a point"));
                };
                part.iter().for_each(read);
            });
        }
    });
}

fn with_file(world: &World) {
    let (json, keys) = (world.document.to_json(), world.compressed());
    let (said, mut rounds_of) = (world.message(0), Rounds::default());
    let pairs = signed(world, &said);
    for _ in 0..rounds(ROUNDS) {
        let floor = elapsed(|| reading(&keys));
        let span = elapsed(|| from_file(&json));
        rounds_of.0.push([span, floor, naive_from_bytes(&pairs, &said) * world.shares()]);
    }
    let ours = format!("a file of {} kB, {THREADS} threads, wall clock", json.len() / 1000);
    let remarks = [&ours, "decompression and subgroup checks, bare"];
    rounds_of.tell("cluster.manifest_verify", "", remarks, FILE_TARGET, FILE_NAIVE_TARGET);
}

/// Prints the figures.
pub fn figures() {
    let world = World::new(size(VALIDATORS, 6) as usize);
    with_keys_read(&world);
    with_file(&world);
}
