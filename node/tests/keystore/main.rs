//! EIP-2335 keystores: what others wrote, what we write, and what bad files get.

use std::num::NonZeroUsize;

use proptest::array::uniform32;
use proptest::collection::vec;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;
use stayfound::keystore::{Cost, Keystore, Password, PasswordFlaw, Secret, encrypt};
use stayfound_tests::{proptest_config, unhex};

mod directory;
mod hostile;
mod vectors;

const SECRET: [u8; 32] = [0x5e; 32];
const PUBKEY: [u8; 48] = [0xb0; 48];

fn password(text: &str) -> Password {
    Password::new(text.as_bytes()).expect("a password")
}

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("more than none")
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A keystore of [`SECRET`], cheap to open.
fn insecure(text: &str) -> String {
    encrypt(&Secret::new(&SECRET), &PUBKEY, &password(text), Cost::Insecure, &mut rng(0))
}

proptest! {
    #![proptest_config(proptest_config(256))]

    #[test]
    fn what_is_encrypted_is_opened_with_its_password_alone(
        secret in uniform32(any::<u8>()),
        pubkey in vec(any::<u8>(), 48),
        text in any::<String>(),
        seed in any::<u64>(),
    ) {
        let pubkey: [u8; 48] = pubkey.try_into().expect("48 bytes");
        let Ok(password) = Password::new(text.as_bytes()) else { return Ok(()) };
        let json =
            encrypt(&Secret::new(&secret), &pubkey, &password, Cost::Insecure, &mut rng(seed));
        let keystore = Keystore::parse(json.as_bytes()).expect("a keystore");
        prop_assert_eq!(keystore.pubkey(), Some(&pubkey));
        let opened = keystore.decrypt(&password).expect("opens");
        prop_assert_eq!(opened.as_bytes(), &secret);
        // No text ends as itself and one letter more.
        let Ok(other) = Password::new(format!("{text}x").as_bytes()) else { return Ok(()) };
        prop_assert!(keystore.decrypt(&other).is_none());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Keystore::parse(&bytes).is_err());
        if let Ok(password) = Password::new(&bytes) {
            prop_assert!(str::from_utf8(&bytes).is_ok());
            prop_assert!(Keystore::parse(insecure("right").as_bytes()).expect("a keystore")
                .decrypt(&password).is_none());
        }
    }

    #[test]
    fn uuids_are_random_ones(seed in any::<u64>()) {
        let secret = Secret::new(&SECRET);
        let json = encrypt(&secret, &PUBKEY, &password("x"), Cost::Insecure, &mut rng(seed));
        let json: Value = serde_json::from_str(&json).expect("JSON");
        let uuid = json["uuid"].as_str().expect("a text");
        let parts: Vec<_> = uuid.split('-').collect();
        prop_assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        prop_assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'A', 'B']));
        prop_assert_eq!(uuid, uuid.to_uppercase());
    }
}

/// Whoever runs a ceremony twice from one seed gets the same files.
#[test]
fn a_generator_decides_what_is_written() {
    let [one, same, other] = [1, 1, 2].map(|seed| {
        let password = Password::generate(&mut rng(seed));
        encrypt(&Secret::new(&SECRET), &PUBKEY, &password, Cost::Insecure, &mut rng(seed))
    });
    assert_eq!(one, same);
    let [one, other]: [Value; 2] =
        [one, other].map(|json| serde_json::from_str(&json).expect("JSON"));
    for pointer in
        ["/uuid", "/crypto/kdf/params/salt", "/crypto/cipher/params/iv", "/crypto/cipher/message"]
    {
        let of = |json: &Value| json.pointer(pointer).expect("is there").clone();
        assert_ne!(of(&one), of(&other), "{pointer}");
    }
}

#[test]
fn keystores_are_written_as_charon_writes_them() {
    for (cost, rounds) in [(Cost::Standard, 262_144), (Cost::Insecure, 16)] {
        let json = encrypt(&Secret::new(&SECRET), &PUBKEY, &password("x"), cost, &mut rng(0));
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["version"], 4);
        assert_eq!(json["path"], "m/12381/3600/0/0/0");
        assert_eq!(json["description"], "");
        assert_eq!(unhex(json["pubkey"].as_str().expect("a text")), PUBKEY);
        let kdf = &json["crypto"]["kdf"];
        assert_eq!((&kdf["function"], &kdf["message"]), (&"pbkdf2".into(), &"".into()));
        assert_eq!((&kdf["params"]["c"], &kdf["params"]["dklen"]), (&rounds.into(), &32.into()));
        assert_eq!(kdf["params"]["prf"], "hmac-sha256");
        assert_eq!(unhex(kdf["params"]["salt"].as_str().expect("a text")).len(), 32);
    }
}

#[test]
fn a_password_is_text_of_a_sensible_length() {
    for (text, flaw) in [
        (&b""[..], PasswordFlaw::Empty),
        (b"\n", PasswordFlaw::Empty),
        (b"\x00\x1f\x7f\xc2\x80\xc2\x9f", PasswordFlaw::Empty),
        (b"p\xff", PasswordFlaw::NotUtf8),
        (&[b'x'; 1_025], PasswordFlaw::TooLong),
    ] {
        assert_eq!(Password::new(text).expect_err("must be refused"), flaw);
    }
    for text in [&b" "[..], "é".as_bytes(), &[b'x'; 1_024]] {
        Password::new(text).expect("a password");
    }
}

#[test]
fn generated_passwords_differ_and_nothing_secret_is_shown() {
    let rng = &mut rng(3);
    let [first, second] = [(); 2].map(|()| Password::generate(rng));
    let json = encrypt(&Secret::new(&SECRET), &PUBKEY, &first, Cost::Insecure, rng);
    let keystore = Keystore::parse(json.as_bytes()).expect("a keystore");
    assert!(keystore.decrypt(&second).is_none());
    assert_eq!(format!("{first:?}"), "Password");
    assert_eq!(format!("{:?}", keystore.decrypt(&first).expect("opens")), "Secret");
}
