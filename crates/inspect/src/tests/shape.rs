//! What looks sealed and what does not.

use testkit::SeededRandom;

use crate::shape::looks_sealed;

#[test]
fn random_bytes_of_any_length_look_sealed() {
    let random = SeededRandom::new(3);
    for len in (28..2_000).chain([65_535, 65_536, 65_537, 70_000, 1 << 20]) {
        assert!(looks_sealed(&random.bytes(len)), "{len} bytes");
    }
}

#[test]
fn clear_bytes_do_not() {
    let text = "the quick brown fox jumps over the lazy dog and on and on".repeat(3);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hex = crypto::hex(&SeededRandom::new(4).bytes(64));
    assert!(!looks_sealed(text.as_bytes()));
    assert!(!looks_sealed(&utf16));
    assert!(!looks_sealed(hex.as_bytes()));
    assert!(!looks_sealed(&[0; 64]));
    assert!(!looks_sealed(&[0xaa; 4_096]));
    assert!(
        !looks_sealed(&SeededRandom::new(4).bytes(27)),
        "shorter than nonce and tag"
    );
}

#[test]
fn a_clear_part_of_something_sealed_shows() {
    let mut bytes = SeededRandom::new(5).bytes(200_000);
    bytes[150_000..150_040].copy_from_slice(b"{\"AccountUpn\":\"someone@contoso.example\"}");
    assert!(!looks_sealed(&bytes));
}
