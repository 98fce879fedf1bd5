//! The clock, the randomness, golden files, skips and `check_matches!`.

use std::path::Path;

use model::{Clock as _, Random as _, Span100ns};

use crate::{FakeClock, SeededRandom, check_matches, data, golden};

#[test]
fn a_clock_moves_only_when_told() {
    let clock = FakeClock::default();
    let start = clock.now();
    assert_eq!(start.to_string(), "2026-01-01T12:00:00.0000000Z");
    assert_eq!(clock.now(), start);
    let shared = clock.clone();
    assert_eq!(
        shared.advance(Span100ns::seconds(5)).since(start),
        Span100ns::seconds(5)
    );
    assert_eq!(clock.now().since(start), Span100ns::seconds(5));
    clock.set(start);
    assert_eq!(shared.now(), start);
}

#[test]
fn a_seed_gives_one_stream() {
    let (one, two) = (SeededRandom::new(7), SeededRandom::new(7));
    assert_eq!(one.bytes(37), two.bytes(37));
    assert_ne!(one.bytes(16), SeededRandom::new(8).bytes(16));
    // SplitMix64's published first output for seed 0.
    assert_eq!(SeededRandom::new(0).next_u64(), 0xE220_A839_7B1D_CDAF);
    let mut buffer = [0; 3];
    one.fill(&mut buffer);
    assert_ne!(buffer, [0; 3]);
    assert_eq!(one.below(0), 0);
    assert!((0..1000).all(|_| one.below(10) < 10));
    let hits = (0..1000).filter(|_| one.chance(50)).count();
    assert!((400..600).contains(&hits), "{hits}");
}

#[test]
fn check_matches_fails_when_it_should() {
    check_matches!(Some(3), Some(n) if n > 2);
    let failed = std::panic::catch_unwind(|| check_matches!(Some(1), None::<i32>));
    let text = failed.expect_err("it does not match");
    let text = text.downcast_ref::<String>().expect("a message");
    assert_eq!(text, "expected `None::<i32>`, got `Some(1)`");
}

#[test]
fn a_golden_file_names_the_first_difference() {
    let path = Path::new("src/tests/golden.txt");
    golden(path, "one\ntwo\n");
    let difference = golden::compare(path, "one\nzwei\n").expect_err("it differs");
    assert_eq!(difference, "line 2\n  expected: two\n    actual: zwei");
    let difference = golden::compare(path, "one\ntwo").expect_err("it differs");
    assert_eq!(difference, "only in line endings");
    assert!(golden::compare(Path::new("src/tests/none.txt"), "").is_err());
}

#[test]
fn a_skip_is_one_line() {
    let path = std::env::temp_dir().join(format!("testkit-skip-{}", std::process::id()));
    data::append_line(&path, "no data\nhere").expect("the temporary folder takes a file");
    data::append_line(&path, "again").expect("the temporary folder takes a file");
    let text = std::fs::read_to_string(&path).expect("it was just written");
    std::fs::remove_file(&path).expect("it was just written");
    assert_eq!(text, "no data here\nagain\n");
}
