//! The envelope.

use crypto::Signer;
use expect_test::expect;

use super::{TestKey, told};
use crate::signed::{Kind, sign, verify};

#[test]
fn an_unchanged_document_verifies() {
    let key = TestKey::new(1);
    for payload in [&b""[..], b"{}", b"line\nline\n", &[0, 255, 10]] {
        let bytes = sign(Kind::Registry, payload, &key);
        assert_eq!(
            verify(&bytes, Kind::Registry, &key.public_key()).unwrap(),
            payload
        );
    }
}

#[test]
fn one_changed_byte_anywhere_fails() {
    let key = TestKey::new(1);
    let bytes = sign(Kind::Registry, b"{\"a\": \"payload\"}", &key);
    for at in 0..bytes.len() {
        for flip in [1, 0x20, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            assert!(
                verify(&damaged, Kind::Registry, &key.public_key()).is_err(),
                "byte {at} ^ {flip}"
            );
        }
    }
    for at in 0..bytes.len() {
        assert!(
            verify(&bytes[..at], Kind::Registry, &key.public_key()).is_err(),
            "cut at {at}"
        );
    }
    let mut longer = bytes;
    longer.push(b'\n');
    assert!(verify(&longer, Kind::Registry, &key.public_key()).is_err());
}

#[test]
fn kinds_and_keys_do_not_stand_for_each_other() {
    let (key, other) = (TestKey::new(1), TestKey::new(2));
    let bytes = sign(Kind::Registry, b"{}", &key);
    let error = verify(&bytes, Kind::Registry, &other.public_key()).unwrap_err();
    expect!["bad_signature: the registry document names the key 8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c, which is not the pinned one"]
        .assert_eq(&told(&error));
    let error = verify(&bytes, Kind::Provisioning, &key.public_key()).unwrap_err();
    expect!["bad_document: the bytes are not a signed document of kind `provisioning`"]
        .assert_eq(&told(&error));

    let error = verify(&bytes, Kind::Provisioning, &other.public_key()).unwrap_err();
    assert_eq!(
        error.code(),
        model::Code::BadDocument,
        "the kind is told before the key"
    );

    // Renaming the kind in the first line does not help: it is part of what is signed.
    let renamed = String::from_utf8(bytes)
        .unwrap()
        .replace(" registry ", " provisioning ");
    let error = verify(renamed.as_bytes(), Kind::Provisioning, &key.public_key()).unwrap_err();
    expect!["bad_signature: the signature of the provisioning document does not verify"]
        .assert_eq(&told(&error));
}

#[test]
fn a_signature_by_another_key_under_the_pinned_name_fails() {
    let (key, other) = (TestKey::new(1), TestKey::new(2));
    let forged = String::from_utf8(sign(Kind::Registry, b"{}", &other)).unwrap();
    let forged = forged.replace(
        &other.public_key().to_string(),
        &key.public_key().to_string(),
    );
    let error = verify(forged.as_bytes(), Kind::Registry, &key.public_key()).unwrap_err();
    assert_eq!(error.code(), model::Code::BadSignature);
}

#[test]
fn what_is_no_signed_document_is_told() {
    let key = TestKey::new(1).public_key();
    let long_line = vec![b'a'; 10_000];
    for bytes in [
        &b""[..],
        b"\n",
        b"{}",
        b"bailiwick-signed v1\n",
        b"bailiwick-signed v2 registry",
        &long_line,
    ] {
        let error = verify(bytes, Kind::Registry, &key).unwrap_err();
        assert_eq!(error.code(), model::Code::BadDocument);
    }
    let too_long = vec![b'a'; model::limits::DOCUMENT_BYTES_MAX + 1];
    let error = verify(&too_long, Kind::Registry, &key).unwrap_err();
    assert_eq!(error.code(), model::Code::TooLarge);
}

#[test]
fn the_signed_bytes_are_the_documented_ones() {
    // Put together by hand from docs/formats/registry.md: this is frozen.
    let key = TestKey::new(1);
    let payload = b"{}";
    let mut message = Vec::new();
    let public = key.public_key();
    for field in [
        &b"bailiwick-signed-v1"[..],
        b"registry",
        public.as_bytes(),
        payload,
    ] {
        message.extend_from_slice(&u32::try_from(field.len()).unwrap().to_le_bytes());
        message.extend_from_slice(field);
    }
    let signature = Signer::sign(&key, &message);
    let expected = format!("bailiwick-signed v1 registry {public} {signature}\n{{}}");
    assert_eq!(
        String::from_utf8(sign(Kind::Registry, payload, &key)).unwrap(),
        expected
    );
    expect![[r#"
        bailiwick-signed v1 registry 8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c 82a1521e9ed54c1ef4c80714303d460779e314111a779d77c1fbfb113ade97d69c07f32efb52469260a35347cab462ab44b8c07ef887ba1ac06a9ba0f200e40f
        {}"#]].assert_eq(&expected);
}
