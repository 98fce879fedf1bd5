//! Properties that hold without any vector file.

use crate::aead::{AeadKey, DoesNotOpen};
use crate::kdf::{MacKey, hkdf};
use crate::{Fields, PublicKey, Secret, hex, sha256, unhex};

fn secret(byte: u8) -> Secret<32> {
    Secret::take(&mut [byte; 32])
}

#[test]
fn sha256_of_abc() {
    // FIPS 180-4, appendix B.1.
    assert_eq!(
        hex(&sha256(b"abc")),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn sealed_bytes_open_only_with_key_nonce_and_place() {
    let key = AeadKey::new(&secret(1));
    let sealed = key.seal([7; 12], b"eu", b"hello");
    assert_eq!(key.open(b"eu", &sealed).unwrap(), b"hello");
    assert_eq!(key.open(b"us", &sealed), Err(DoesNotOpen));
    assert_eq!(
        AeadKey::new(&secret(2)).open(b"eu", &sealed),
        Err(DoesNotOpen)
    );
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 1;
        assert_eq!(key.open(b"eu", &damaged), Err(DoesNotOpen), "byte {at}");
    }
    assert_eq!(key.open(b"eu", &sealed[..11]), Err(DoesNotOpen));
}

#[test]
fn fields_are_unambiguous() {
    let a = Fields::new("x").with(b"ab").with(b"c");
    let b = Fields::new("x").with(b"a").with(b"bc");
    assert_ne!(a.as_bytes(), b.as_bytes());
}

#[test]
fn derived_keys_differ_by_label_and_salt() {
    let root = secret(3);
    let one = hkdf(&root, b"s", b"a");
    assert_ne!(one.expose(), hkdf(&root, b"s", b"b").expose());
    assert_ne!(one.expose(), hkdf(&root, b"t", b"a").expose());
}

#[test]
fn macs_verify() {
    let key = MacKey::new(&secret(4));
    let tag = key.mac(b"m");
    assert!(key.verify(b"m", &tag));
    assert!(!key.verify(b"n", &tag));
    assert_eq!(key.mac_128(b"m"), tag[..16]);
}

#[test]
fn secrets_do_not_print() {
    assert_eq!(format!("{:?}", secret(5)), "Secret(…)");
    assert_eq!(format!("{:?}", AeadKey::new(&secret(5))), "AeadKey(…)");
}

#[test]
fn hex_round_trips_and_refuses() {
    assert_eq!(unhex("00FFa0").unwrap(), [0, 255, 160]);
    assert_eq!(unhex("0"), None);
    assert_eq!(unhex("zz"), None);
    assert!("00".parse::<PublicKey>().is_err());
}
