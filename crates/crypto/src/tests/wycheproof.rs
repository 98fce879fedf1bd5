//! The published Wycheproof vectors, read in place where the shared data folder is.

use serde_json::Value;

use crate::aead::AeadKey;
use crate::kdf::{MacKey, hkdf};
use crate::{Secret, unhex};

/// Every test of a file with its group's parameters; nothing (and a skip line) without the folder.
fn cases(file: &str) -> Vec<(Value, Value)> {
    let Some(dir) = testkit::shared_data() else {
        testkit::skip(&format!(
            "vectors {file}: the shared data folder is not here"
        ));
        return Vec::new();
    };
    let text = std::fs::read_to_string(dir.join("vectors/wycheproof").join(file)).unwrap();
    let root: Value = serde_json::from_str(&text).unwrap();
    let groups = root["testGroups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|g| {
            g["tests"]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| (g.clone(), t.clone()))
        })
        .collect()
}

fn bytes(test: &Value, field: &str) -> Vec<u8> {
    unhex(test[field].as_str().unwrap()).unwrap()
}

#[test]
fn aes_256_gcm() {
    let cases = cases("aes_gcm_test.json");
    let (mut ran, all) = (0, cases.len());
    for (group, test) in &cases {
        if (group["keySize"].as_u64(), group["ivSize"].as_u64()) != (Some(256), Some(96)) {
            continue;
        }
        let key = AeadKey::new(&Secret::from_slice(&bytes(test, "key")).unwrap());
        let sealed = [bytes(test, "iv"), bytes(test, "ct"), bytes(test, "tag")].concat();
        let opened = key.open(&bytes(test, "aad"), &sealed);
        if test["result"] == "invalid" {
            assert!(opened.is_err(), "{test}");
        } else {
            let message = bytes(test, "msg");
            assert_eq!(opened.unwrap(), message, "{test}");
            let nonce = bytes(test, "iv").try_into().unwrap();
            assert_eq!(key.seal(nonce, &bytes(test, "aad"), &message), sealed);
        }
        ran += 1;
    }
    assert!(all == 0 || ran > 50, "{ran} of {all}");
}

#[test]
fn hmac_sha_256() {
    let cases = cases("hmac_sha256_test.json");
    let mut ran = 0;
    for (_, test) in &cases {
        let Some(key) = Secret::from_slice(&bytes(test, "key")) else {
            continue;
        };
        let tag = bytes(test, "tag");
        let ours = MacKey::new(&key).mac(&bytes(test, "msg"));
        assert_eq!(
            ours.starts_with(&tag),
            test["result"] != "invalid",
            "{test}"
        );
        ran += 1;
    }
    assert!(cases.is_empty() || ran > 50, "{ran}");
}

#[test]
fn hkdf_sha_256() {
    let cases = cases("hkdf_sha256_test.json");
    let mut ran = 0;
    for (_, test) in &cases {
        let Some(key) = Secret::from_slice(&bytes(test, "ikm")) else {
            continue;
        };
        if test["result"] == "invalid" {
            continue;
        }
        // The first 32 bytes of a longer output are the same bytes; a shorter one is a prefix.
        let derived = hkdf(&key, &bytes(test, "salt"), &bytes(test, "info"));
        let okm = bytes(test, "okm");
        let n = okm.len().min(32);
        assert_eq!(derived.expose()[..n], okm[..n], "{test}");
        ran += 1;
    }
    assert!(cases.is_empty() || ran > 5, "{ran}");
}
