//! Clusters whose secrets are known.

use proptest::prelude::*;
use stayfound_core::cluster::authorisation::ClusterId;
use stayfound_core::cluster::shares::{Keys, Validator};
use stayfound_core::keys::bls::SecretKey;

/// A cluster whose secrets are known: `secrets[validator][operator]`.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub threshold: usize,
    pub secrets: Vec<Vec<SecretKey>>,
    pub validators: Vec<Validator>,
}

fn secret(bytes: [u8; 32]) -> SecretKey {
    let mut bytes = bytes;
    bytes[0] &= 0x3f; // below the order
    bytes[31] |= 1;
    SecretKey::from_bytes(&bytes).expect("in range")
}

fn cluster(threshold: usize, operators: usize, coefficients: &[Vec<[u8; 32]>]) -> Cluster {
    let (mut secrets, mut validators) = (Vec::new(), Vec::new());
    for coefficients in coefficients {
        let coefficients: Vec<_> = coefficients.iter().map(|it| secret(*it)).collect();
        let shares = SecretKey::split(&coefficients, operators).expect("no share is zero");
        validators.push(Validator {
            public_key: coefficients[0].public_key().to_bytes(),
            shares: shares.iter().map(|share| share.public_key().to_bytes()).collect(),
        });
        secrets.push(shares);
    }
    Cluster { threshold, secrets, validators }
}

impl Cluster {
    pub fn operators(&self) -> usize {
        self.secrets[0].len()
    }

    pub fn keys(&self) -> Keys<'_> {
        Keys::new(&self.validators, self.operators(), self.threshold).expect("of one shape")
    }

    pub fn of(&self, operator: usize) -> Vec<SecretKey> {
        self.secrets.iter().map(|shares| shares[operator].clone()).collect()
    }
}

prop_compose! {
    pub fn any_cluster()(operators in 1usize..7, validators in 1usize..5)(
        // With a threshold of one all shares of a validator are one key, which is refused.
        threshold in operators.min(2)..=operators,
        operators in Just(operators),
        coefficients in prop::collection::vec(
            prop::collection::vec(any::<[u8; 32]>(), operators), validators),
    ) -> Cluster {
        let coefficients: Vec<_> =
            coefficients.iter().map(|all| all[..threshold].to_vec()).collect();
        cluster(threshold, operators, &coefficients)
    }
}

pub fn three_of_four() -> Cluster {
    let coefficients: Vec<Vec<[u8; 32]>> = (0..3u8)
        .map(|validator| (0..3u8).map(|it| [1 + 16 * validator + it; 32]).collect())
        .collect();
    cluster(3, 4, &coefficients)
}

pub fn id() -> ClusterId {
    ClusterId::Lock { uuid: "6F7A".into(), hash: [7; 32] }
}
