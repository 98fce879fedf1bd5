//! The leaf's form is fixed.

use model::{TenantId, Ticks};

use crate::{Happening, Leaf};

#[test]
fn a_leaf_has_one_spelling_and_round_trips() {
    let tenant = TenantId::from_bytes([7; 16]);
    let at = Ticks::parse("2026-11-21T10:00:00Z").unwrap();
    let leaf = Leaf::new(
        3,
        Some(tenant),
        at,
        "system:flush",
        Happening::SegmentsFlushed,
    )
    .with("segments", 2)
    .with("rows", 10);
    let text = String::from_utf8(leaf.to_bytes()).unwrap();
    assert_eq!(
        text,
        "{\"version\":1,\"sequence\":3,\"tenant\":\"07070707070707070707070707070707\",\
         \"at\":\"2026-11-21T10:00:00.0000000Z\",\"actor\":\"system:flush\",\
         \"happening\":\"segments_flushed\",\"details\":{\"rows\":\"10\",\"segments\":\"2\"}}"
    );
    assert_eq!(Leaf::from_bytes(text.as_bytes()), Some(leaf));
    assert_eq!(Leaf::from_bytes(b"{}"), None);
}
