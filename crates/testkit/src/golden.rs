//! Golden files: an expected text in a file of its own.
//!
//! `UPDATE_EXPECT=1` rewrites the files, as it does for inline expectations; then read the diff.

use std::path::Path;

/// Whether this run rewrites expected files instead of comparing.
#[expect(
    clippy::disallowed_methods,
    reason = "testkit is the one library that may read the environment"
)]
pub fn is_updating() -> bool {
    std::env::var("UPDATE_EXPECT").is_ok_and(|value| value == "1")
}

/// Asserts that `actual` is the content of the file at `path` (relative to the crate's folder, where
/// cargo runs tests). With `UPDATE_EXPECT=1` the file is written instead.
#[expect(
    clippy::disallowed_methods,
    reason = "a golden file is source, not data at rest"
)]
pub fn golden(path: impl AsRef<Path>, actual: &str) {
    let path = path.as_ref();
    if is_updating() {
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(path, actual));
        assert!(
            written.is_ok(),
            "cannot write golden file `{}`: {written:?}",
            path.display()
        );
        return;
    }
    let difference = compare(path, actual).err().unwrap_or_default();
    assert!(
        difference.is_empty(),
        "golden file `{}` differs: {difference}\nset UPDATE_EXPECT=1 to rewrite it, then read the diff",
        path.display()
    );
}

/// The first difference between the file and `actual`, in words.
pub(crate) fn compare(path: &Path, actual: &str) -> Result<(), String> {
    let expected =
        std::fs::read_to_string(path).map_err(|source| format!("cannot read it: {source}"))?;
    if expected == actual {
        return Ok(());
    }
    let (mut old, mut new) = (expected.lines(), actual.lines());
    for number in 1_usize.. {
        match (old.next(), new.next()) {
            (None, None) => break,
            (left, right) if left == right => {}
            (left, right) => {
                let text = |line: Option<&str>| line.unwrap_or("(end of text)").to_owned();
                return Err(format!(
                    "line {number}\n  expected: {}\n    actual: {}",
                    text(left),
                    text(right)
                ));
            }
        }
    }
    Err("only in line endings".to_owned())
}
