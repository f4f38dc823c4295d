//! Files that are damaged, or that want more than they should get.

use serde_json::{Value, json};
use stayfound::keystore::{Flaw, Keystore};

use super::{SECRET, insecure, password};

/// What a keystore is told that says `value` at `pointer` (or nothing, where it is `null`).
fn flaw(pointer: &str, value: &Value) -> Option<Flaw> {
    let mut keystore: Value = serde_json::from_str(&insecure("right")).expect("JSON");
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = keystore.pointer_mut(parent).expect("is there").as_object_mut().expect("a map");
    match value {
        Value::Null => assert!(parent.remove(key).is_some(), "{pointer} is not there"),
        value => _ = parent.insert(key.into(), value.clone()),
    }
    Keystore::parse(keystore.to_string().as_bytes()).err()
}

fn assert_flaw(pointer: &str, value: &Value, words: &str) {
    let Some(flaw) = flaw(pointer, value) else { panic!("{pointer} = {value} is taken") };
    let flaw = flaw.to_string();
    let path = pointer[1..].replace('/', ".");
    assert!(flaw.contains(words), "{pointer} = {value}: {flaw}");
    assert!(flaw.contains(&path) || pointer == "/version", "{pointer} = {value}: {flaw}");
}

#[test]
fn a_missing_member_is_named() {
    for pointer in [
        "/version",
        "/crypto/checksum/function",
        "/crypto/checksum/message",
        "/crypto/cipher/function",
        "/crypto/cipher/params/iv",
        "/crypto/cipher/message",
        "/crypto/kdf/function",
        "/crypto/kdf/params/c",
        "/crypto/kdf/params/dklen",
        "/crypto/kdf/params/prf",
        "/crypto/kdf/params/salt",
    ] {
        assert_flaw(pointer, &Value::Null, "missing");
    }
    for pointer in ["/crypto", "/crypto/kdf", "/crypto/kdf/params", "/crypto/cipher"] {
        let Some(flaw) = flaw(pointer, &Value::Null) else { panic!("{pointer} is not needed") };
        assert!(matches!(flaw, Flaw::Missing(_)), "{pointer}: {flaw}");
    }
}

#[test]
fn what_is_not_needed_may_be_anything() {
    for pointer in ["/uuid", "/path", "/description", "/pubkey", "/crypto/kdf/message"] {
        assert!(flaw(pointer, &Value::Null).is_none(), "{pointer}");
    }
    for pointer in ["/uuid", "/path", "/description", "/name", "/crypto/cipher/params/unknown"] {
        assert!(flaw(pointer, &json!([1])).is_none(), "{pointer}");
    }
}

#[test]
fn a_damaged_member_is_named() {
    let hex = |bytes: usize| json!("0".repeat(2 * bytes));
    for pointer in [
        "/crypto/checksum/message",
        "/crypto/cipher/message",
        "/crypto/cipher/params/iv",
        "/pubkey",
    ] {
        assert_flaw(pointer, &hex(0), "0 bytes");
        assert_flaw(pointer, &hex(31), "31 bytes");
        assert_flaw(pointer, &hex(33), "33 bytes");
        assert_flaw(pointer, &json!("0".repeat(63)), "hex");
        assert_flaw(pointer, &json!(format!("0x{}", "0".repeat(64))), "hex");
        assert_flaw(pointer, &json!("é".repeat(32)), "hex");
        assert_flaw(pointer, &json!(7), "no text");
        assert_flaw(pointer, &json!({"deep": []}), "no text");
    }
    assert_flaw("/crypto/kdf/params/salt", &json!("zz"), "hex");
    assert_flaw("/version", &json!(3), "version 3");
    assert_flaw("/version", &json!("4"), "whole number");
    assert_flaw(
        "/crypto/kdf/function",
        &json!("argon2id"),
        "\"argon2id\", and only pbkdf2 or scrypt",
    );
    assert_flaw("/crypto/kdf/params/prf", &json!("hmac-sha512"), "only hmac-sha256");
    assert_flaw("/crypto/cipher/function", &json!("aes-256-ctr"), "only aes-128-ctr");
    assert_flaw("/crypto/checksum/function", &json!("md5"), "only sha256");
    let long = flaw("/crypto/checksum/function", &json!("\u{1b}[2J".repeat(1_000)));
    let long = long.expect("must be refused").to_string();
    assert!(long.len() < 300 && !long.contains('\u{1b}'), "{long}");
}

#[test]
fn a_price_beyond_the_limits_is_refused() {
    let c = "/crypto/kdf/params/c";
    for value in [json!(0), json!((1 << 24) + 1), json!(u64::MAX), json!(1_u64 << 32)] {
        assert_flaw(c, &value, "not within 1 to 16777216");
    }
    for value in [json!(-1), json!(1e30), json!(1.5), json!("262144"), json!([])] {
        assert_flaw(c, &value, "no whole number");
    }
    for value in [json!(0), json!(16), json!(31), json!(33), json!(u64::MAX)] {
        assert_flaw("/crypto/kdf/params/dklen", &value, "not within 32 to 32");
    }
    assert!(flaw(c, &json!(1 << 24)).is_none());
}

#[test]
fn scrypt_gets_no_more_memory_than_it_should() {
    let told = |n: Value, r: Value, p: Value| {
        let salt = "00".repeat(32);
        let params = json!({"dklen": 32, "n": n, "r": r, "p": p, "salt": salt});
        let kdf = json!({"function": "scrypt", "message": "", "params": params});
        flaw("/crypto/kdf", &kdf).map_or_else(String::new, |flaw| flaw.to_string())
    };
    for n in [json!(0), json!(1), json!(1_u64 << 62), json!(u64::MAX), json!(1 << 21)] {
        assert!(told(n, json!(8), json!(1)).contains("n is"));
    }
    assert!(told(json!(262_143), json!(8), json!(1)).contains("no power of two"));
    // r * p = 2^64, and 2^32: both would wrap somewhere.
    let large = 1_u64 << 32;
    assert!(told(json!(2), json!(large), json!(large)).contains("r is 4294967296"));
    assert!(told(json!(2), json!(1), json!(large)).contains("p is 4294967296"));
    assert!(told(json!(2), json!(65_536), json!(65_536)).contains("r is 65536"));
    assert!(told(json!(2), json!(8), json!(u64::MAX)).contains("p is"));
    assert!(told(json!(2), json!(0), json!(1)).contains("r is 0"));
    assert!(told(json!(2), json!(1), json!(0)).contains("p is 0"));
    assert!(told(json!(1 << 20), json!(8), json!(1)).contains("1024 MiB"));
    for (n, r, p) in [(2, 64, 16), (1 << 18, 8, 1), (1 << 18, 1, 8), (1 << 19, 8, 1)] {
        assert_eq!(told(json!(n), json!(r), json!(p)), "");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    let whole = insecure("right");
    let deep = "[".repeat(60_000);
    for text in ["", "{", "[]", "null", "\u{feff}{}", &whole[..whole.len() - 3], &deep] {
        let flaw = Keystore::parse(text.as_bytes()).expect_err("must be refused");
        assert!(matches!(flaw, Flaw::NotJson(_) | Flaw::Missing("version")), "{flaw}");
    }
    assert!(Keystore::parse(format!("{whole}{whole}").as_bytes()).is_err());
}

/// Every digit counts: but the checksum does not see the initialisation vector.
#[test]
fn a_changed_digit_shows_except_in_the_vector() {
    let keystore: Value = serde_json::from_str(&insecure("right")).expect("JSON");
    for pointer in [
        "/crypto/checksum/message",
        "/crypto/cipher/message",
        "/crypto/kdf/params/salt",
        "/crypto/cipher/params/iv",
    ] {
        let digits = keystore.pointer(pointer).expect("is there").as_str().expect("a text");
        for at in 0..digits.len() {
            let other = if &digits[at..=at] == "0" { "1" } else { "0" };
            let mut damaged = keystore.clone();
            let changed = [&digits[..at], other, &digits[at + 1..]].concat();
            *damaged.pointer_mut(pointer).expect("is there") = changed.into();
            let damaged = Keystore::parse(damaged.to_string().as_bytes()).expect("a keystore");
            match damaged.decrypt(&password("right")) {
                None => assert!(!pointer.ends_with("iv")),
                Some(secret) => {
                    assert!(pointer.ends_with("iv"), "{pointer} at {at}");
                    assert_ne!(secret.as_bytes(), &SECRET);
                }
            }
        }
    }
}
