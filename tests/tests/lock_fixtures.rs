//! Of every public lock of charon, the cluster is read, or refused, as stated here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::process::Command;
use std::{env, fs};

use enr::k256::ecdsa::SigningKey;
use serde_json::Value;
use stayfound_core::cluster::lock::{Lock, LockError};
use stayfound_core::cluster::{Manifest, ManifestError};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, RecordError, Signed};
use stayfound_tests::{json_files, shared, unhex};

/// Every lock of the shared fixtures, with operators, threshold, uuid and lock hash, or with why it
/// is refused. charon's random test data (two operators, threshold 3) is refused by its threshold,
/// and that is meant: no such cluster can sign anything.
const LOCKS: &str = "
charon/cdvn/source-cluster-lock.json no-version
charon/cdvn/target-cluster-lock.json no-version
charon/charon-history/manifest-lock.json 4 3 6325253F-EC73-8DD7-A9E2-8BF921119C16 40246eca03a901a6a16dbc5d1cae3af540b3601a8bde355ea7b9d3c6066983a6
charon/charon-history/manifest-lock2.json 4 3 5071DE4C-E40F-2380-F5FB-7E4B851540F1 a9226f290fdc9cc456fd7fad1bfcd6ca0a3a7deb369e6a8f6c5b233e3aa41bdc
charon/charon-history/manifest-lock3.json 4 3 AADB7802-4799-1F64-8A50-A0DC06E150B5 4073fe5423f22cee5e717c4a130699bb5a9c047c57cceb4054e5edbf5239b6d2
charon/charon/app/test-cluster-lock.json no-enr
charon/charon/cmd/test_cluster_lock.json 4 3 D33605BA-C83C-38ED-D690-47293B0AC62C 2c1d2fe5d31d7d6aa0eef13911a8f59e14a5af05547a5d7f3436f12811fce093
charon/charon/examples/cluster-lock-000.json 4 3 A5E888D3-9A64-6D9D-8555-CE27DACC9AF4 736c122ec0a9d47bf1513b274b4c8a7ec8a4414cc77d0886127c59a029480316
charon/charon/examples/cluster-lock-002.json 4 3 B13CF764-AFB4-1783-C620-205ABF26B9FE 59d5440d155cdb5bce74c0ae208cde2839363c6450cb829a1986a461a30d0a35
charon/charon/examples/cluster-lock-003.json 4 3 4FC27735-C7AE-479D-B1EE-F3F570F8790A 4bdc5e45df93f492f62503d124ef1f73feccee53cff3925abf9965e4fa956929
charon/charon/testdata/cluster_lock_v1_0_0.json threshold
charon/charon/testdata/cluster_lock_v1_1_0.json threshold
charon/charon/testdata/cluster_lock_v1_2_0.json threshold
charon/charon/testdata/cluster_lock_v1_3_0.json threshold
charon/charon/testdata/cluster_lock_v1_4_0.json threshold
charon/charon/testdata/cluster_lock_v1_5_0.json threshold
charon/charon/testdata/cluster_lock_v1_6_0.json threshold
charon/charon/testdata/cluster_lock_v1_7_0.json threshold
charon/charon/testdata/cluster_lock_v1_8_0.json threshold
charon/charon/testdata/cluster_lock_v1_9_0.json threshold
charon/charon/testdata/cluster_lock_v1_10_0.json threshold
charon/charon/testdata/cluster_lock_v1_11_0.json threshold
charon/dv-spec/lock-real_keys_3_of_4.json 4 3 0194FDC2-FA2F-4CC0-81D3-FF12045B73C8 bea9a6627a8723a4038de4cb74b0e8b6b2e855a5023f6f79f2e41e067d7db9ee
charon/dv-spec/lock-three_validators.json 2 2 0194FDC2-FA2F-4CC0-81D3-FF12045B73C8 2e5db48533646b43984fd25a2151f896329f948e8e1364b8b8e4c22442da3a4f
charon/dv-spec/lock-validator_without_deposit_data.json 2 2 0194FDC2-FA2F-4CC0-81D3-FF12045B73C8 0044ddf511e99b25406d11c1898c76473e93f4d366895daf7ca1c6d9ebf44331
charon/obol-sdk/cluster-lock-with-safe.json 4 3 d653dff4-fd60-4bfc-b9f8-c739d2de0ac7 abff2cc9e569c815a27807bfe460e5a46e49df654ff04edde06efa338a011c74
charon/obol-sdk/clusterLockV1X10-8ba7ab3.json 4 3 7D726A65-0AF6-7D4F-F10D-6F27A7ACE5C7 3b6fc91acfb03ef4e8dd549bad50e21d70abafea82a3678ef52a3804b0751d10
charon/obol-sdk/clusterLockV1X10-d05fb39.json 4 3 BB338EAD-08C1-BEAD-D9C6-8568D844D7AE cd689de27f3e954b38e44faca15edaf9a484573df696f4363fbff19cdd84a7db
charon/obol-sdk/clusterLockV1X6-d05fb39.json 4 3 f96771cf-290a-430f-8a8a-f999f5e9d35b 6d2b38d098143c8f0bc5076f4e9b6081cbba040a5aea6649e6223e7a4131241b
charon/obol-sdk/clusterLockV1X7-d05fb39.json 4 3 a1d642aa-07ed-4d48-9eda-0e70cb4bb03f db19ef9c0677713f55502448b7c63d58fb25c81d34a5a8ce07a19bcfb3a9c0a0
charon/obol-sdk/clusterLockV1X8-9905321.json 3 3 8D019192-C242-24E2-CAFC-CAE3A61FB586 1f598e309b715ba0141034b495975e3bed0231ad92da49dfff462765049df671
charon/obol-sdk/clusterLockV1X8-d05fb39.json 4 3 bc2fec0c-0b8b-4415-bf48-1e96b07f50eb 186e7e61fb49373d9034d101f2f08429cb379bfcc2f7fa5e9598e8a14ae13ed7
charon/obol-sdk/clusterLockWithCompoundingWithdrawals-d05fb39.json 4 3 0CB6B203-39FF-3E52-898D-CC50D122694D 5207f99c483863cb494332bb2c91e9f5260c00d6f49f27036426e5f83ff71b41
charon/obol-sdk/clusterLockWithSafe-d05fb39.json 4 3 3ac43657-b465-49a8-94aa-25b7f7979c2a e03b0fdf6d6a7d38360b0ceac1f0380b051f710e80d0e166b855ef3148d46733
charon/obol-sdk/nullDepositAmountsClusterLockV1X8-90cf255.json 4 3 23C75265-554C-83C1-4B82-A0F30159137E a79a0f71a7e0412faefd88197785cf4edeb36d4c07343e91132fdd38a649926f
synthetic/cluster_lock_v1_11_0.json 4 3 5D1A2C3E-0000-4000-8000-00000000000B 3d1ca870f68d60e3b47208f0ef154ba54213670ad237fdcf3cfdb9a44c18911f
synthetic/cluster_lock_v1_3_0.json 4 3 5D1A2C3E-0000-4000-8000-000000000003 2cafbaeeff1fe21e8d6ae82f5d37d7ea4a84dd5abdd506d9c38c545220609408
synthetic/cluster_lock_v1_5_0.json 4 3 5D1A2C3E-0000-4000-8000-000000000005 39fb24043f5edd38e71bb274bb4e13a914f1a7dc3b9508aab37bc72bc0da657b
synthetic/cluster_lock_v1_9_0.json 4 3 5D1A2C3E-0000-4000-8000-000000000009 e9e4df9179cc5c601d27350223c49a3948cfbe680a98ef8793a684367a44b588
synthetic/rogue_share_lock_v1_10_0.json 4 3 5D1A2C3E-0000-4000-8000-00000000000A 29c8f1b5c64f2bc4395202a0e8a5a6f5afad97c0e256fb650f946f7e9da139de
";

/// What the table's words stand for.
fn refusal(word: &str) -> String {
    match word {
        "no-version" => LockError::Missing("cluster_definition.version".into()).to_string(),
        "threshold" => ManifestError::Threshold { threshold: 3, operators: 2 }.to_string(),
        "no-enr" => {
            let why = RecordError::Base64("Invalid symbol 47, offset 0.".into());
            ManifestError::Enr { operator: 0, why }.to_string()
        }
        _ => panic!("{word} stands for nothing"),
    }
}

/// Who belongs, or why that cannot be told.
fn read(json: &[u8]) -> Result<Manifest, String> {
    let lock = Lock::read(json).map_err(|error| error.to_string())?;
    lock.manifest().map_err(|error| error.to_string())
}

#[test]
fn every_public_lock_is_decided_as_stated() {
    let Some(root) = shared("fixtures") else { return };
    let rows = LOCKS.lines().filter_map(|line| line.split_once(' '));
    let mut expected: BTreeMap<_, _> = rows.collect();
    for path in json_files(&root) {
        let bytes = fs::read(&path).unwrap();
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let json: Value = serde_json::from_slice(&bytes).unwrap();
        if json.get("cluster_definition").is_none() {
            // A definition, a key store, …: not a lock, and said to be none.
            let missing = LockError::Missing("cluster_definition".into()).to_string();
            assert_eq!(read(&bytes).unwrap_err(), missing, "{name}");
            continue;
        }
        let row = expected.remove(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        match row.split(' ').collect::<Vec<_>>()[..] {
            [word] => assert_eq!(read(&bytes).unwrap_err(), refusal(word), "{name}"),
            [operators, threshold, uuid, hash] => {
                let manifest = read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(manifest.operators().len().to_string(), operators, "{name}");
                assert_eq!(manifest.threshold().to_string(), threshold, "{name}");
                assert_eq!(manifest.uuid(), uuid, "{name}");
                assert_eq!(manifest.hash().as_slice(), unhex(hash), "{name}");
                let definition = &json["cluster_definition"];
                assert_eq!(manifest.name(), definition["name"].as_str().unwrap_or_default());
                assert_operators(&manifest, &definition["operators"], name);
            }
            _ => panic!("{row} is no row"),
        }
    }
    assert!(expected.is_empty(), "not found: {:?}", expected.keys());
}

/// The `enr` crate, which knows nothing of ours, reads the same keys in the same order.
fn assert_operators(manifest: &Manifest, operators: &Value, name: &str) {
    let expected = operators.as_array().unwrap().iter().map(|operator| {
        let text = operator["enr"].as_str().unwrap().trim_end_matches('=');
        let record: enr::Enr<SigningKey> = text.parse().unwrap();
        let key = record.public_key().to_sec1_point(true).as_bytes().to_vec();
        (record.seq(), record.node_id().raw(), key)
    });
    let got = manifest.operators().iter().map(|operator| {
        (operator.record.seq(), operator.node_id.0, operator.public_key.as_bytes().to_vec())
    });
    assert!(expected.eq(got), "{name}: other keys, node ids or sequence numbers");
}

#[test]
fn the_published_scalars_are_the_operators_of_lock_003() {
    let lock = "fixtures/charon/charon/examples/cluster-lock-003.json";
    let Some(path) = shared(lock) else { return };
    let manifest = read(&fs::read(path).unwrap()).unwrap();
    assert_eq!(manifest.operators().len(), 4);
    for (operator, scalar) in manifest.operators().iter().zip(1..) {
        let key = SecretKey::from_bytes(&[scalar; 32]).unwrap();
        assert_eq!(operator.public_key, key.public_key());
        // charon signs deterministically too: from the same key we make the same bytes.
        assert_eq!(operator.record, Signed::sign(&key, 0, &Endpoints::default()));
    }
}

/// Only of use if it is noticed: this test runs the one above as a process of its own.
#[test]
fn missing_fixtures_fail_in_ci_and_are_said_to_be_skipped_elsewhere() {
    let nowhere = tempfile::tempdir().unwrap();
    for (ci, passes, words) in [("true", false, "is missing"), ("", true, "skipped: ")] {
        let mut test = Command::new(env::current_exe().unwrap());
        test.args(["--exact", "the_published_scalars_are_the_operators_of_lock_003"]);
        let run = test.env("CI", ci).env("STAYFOUND_SHARED", nowhere.path()).output().unwrap();
        let said = [run.stdout, run.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("running 1 test") && said.contains(words), "CI={ci}: {said}");
        assert_eq!(run.status.success(), passes, "CI={ci}: {said}");
    }
}
