//! What others encrypted: the test vectors of EIP-2335, and files of charon.

use std::fs;

use stayfound::keystore::{Cost, Password};
use stayfound::keystore::{Directory, Keystore, KeystoreError, KeystoreName, decrypt_all};
use stayfound_tests::{shared, unhex};

use super::{password, threads};

/// EIP-2335, test cases: one secret under one password, by scrypt and by PBKDF2.
const PASSWORD: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";
const SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
const PUBKEY: &str = "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07";
const SCRYPT: &str = r#"{
    "crypto": {
        "kdf": {
            "function": "scrypt",
            "params": {
                "dklen": 32,
                "n": 262144,
                "p": 1,
                "r": 8,
                "salt": "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
            },
            "message": ""
        },
        "checksum": {
            "function": "sha256",
            "params": {},
            "message": "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484"
        },
        "cipher": {
            "function": "aes-128-ctr",
            "params": { "iv": "264daa3f303d7259501c93d997d84fe6" },
            "message": "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f"
        }
    },
    "description": "This is a test keystore that uses scrypt to secure the secret.",
    "pubkey": "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
    "path": "m/12381/60/3141592653/589793238",
    "uuid": "1d85ae20-35c5-4611-98e8-aa14a633906f",
    "version": 4
}"#;
const PBKDF2: &str = r#"{
    "crypto": {
        "kdf": {
            "function": "pbkdf2",
            "params": {
                "dklen": 32,
                "c": 262144,
                "prf": "hmac-sha256",
                "salt": "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
            },
            "message": ""
        },
        "checksum": {
            "function": "sha256",
            "params": {},
            "message": "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1"
        },
        "cipher": {
            "function": "aes-128-ctr",
            "params": { "iv": "264daa3f303d7259501c93d997d84fe6" },
            "message": "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad"
        }
    },
    "description": "This is a test keystore that uses PBKDF2 to secure the secret.",
    "pubkey": "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
    "path": "m/12381/60/0/0",
    "uuid": "64625def-3331-4eea-ab6f-782f3ed16a83",
    "version": 4
}"#;

#[test]
fn the_vectors_of_eip_2335_are_opened() {
    for json in [SCRYPT, PBKDF2] {
        let keystore = Keystore::parse(json.as_bytes()).expect("a keystore");
        assert_eq!(keystore.pubkey().expect("is stated").as_slice(), unhex(PUBKEY));
        for same in [PASSWORD, "testpassword🔑", "\x07test\x7fpass\u{9b}word🔑\r\n"] {
            let secret = keystore.decrypt(&password(same)).expect("opens");
            assert_eq!(secret.as_bytes().as_slice(), unhex(SECRET));
        }
        assert!(keystore.decrypt(&password("testpassword")).is_none());
    }
}

/// The secrets were found with Python's hashlib and openssl.
#[test]
fn a_directory_of_charon_is_opened() {
    let Some(path) = shared("fixtures/charon/cdvn/validator_keys") else { return };
    let directory = Directory::open(&path).expect("opens");
    assert!(!directory.needs_password());
    let [opened] = &decrypt_all(&directory, None, threads(2), |_, _| {}).expect("decrypts")[..]
    else {
        panic!("one keystore")
    };
    assert_eq!(opened.name, KeystoreName { index: 0, cost: Cost::Standard });
    assert_eq!(opened.path, path.join("keystore-0.json"));
    let pubkey = "a3fd47653b13a3a0c09d3d1fee3e3c305b8336cbcbfb9bacaf138d21fe7c6b1159a219e70b2d1447143af141c5721b27";
    assert_eq!(opened.pubkey.expect("is stated").as_slice(), unhex(pubkey));
    let secret = "31213ce7991cdaa47502d59d161044cbb2ee06ea2f71ac0091764252bbf80758";
    assert_eq!(opened.secret.as_bytes().as_slice(), unhex(secret));
}

/// A keystore of charon's by scrypt, without `path`; its name has no index.
#[test]
fn a_keystore_of_charon_by_scrypt_is_opened() {
    let Some(path) = shared("fixtures/charon/charon/keystore") else { return };
    let error = Directory::open(&path).expect_err("must be refused");
    assert!(matches!(error, KeystoreError::Misnamed(_)), "{error}");
    let json = fs::read(path.join("keystore-scrypt.json")).expect("reads");
    let text = fs::read(path.join("keystore-scrypt.txt")).expect("reads");
    let password = Password::new(&text).expect("a password");
    let secret = Keystore::parse(&json).expect("a keystore").decrypt(&password).expect("opens");
    let expected = "10b16fc552aa607fa1399027f7b86ab789077e470b5653b338693dc2dde02468";
    assert_eq!(secret.as_bytes().as_slice(), unhex(expected));
}
