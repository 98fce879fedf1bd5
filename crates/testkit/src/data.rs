//! Data beside the checkout, and the one honest way to skip a test without it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder of shared data: `BAILIWICK_SHARED` if that is set, else `../shared/data` beside the
/// checkout; `None` if there is no such folder.
#[expect(
    clippy::disallowed_methods,
    reason = "testkit is the one library that may read the environment"
)]
pub fn shared_data() -> Option<PathBuf> {
    let folder = std::env::var("BAILIWICK_SHARED").map_or_else(
        |_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    folder.canonicalize().ok().filter(|path| path.is_dir())
}

/// Says that the calling test did not run, and why: on stderr, and as a line of the file that
/// `BAILIWICK_SKIP_FILE` names, if it is set. CI fails on such a line.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "testkit is the one library that may read the environment and speak to the person"
)]
pub fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
    if let Ok(path) = std::env::var("BAILIWICK_SKIP_FILE") {
        let written = append_line(Path::new(&path), reason);
        assert!(
            written.is_ok(),
            "cannot note the skip in `{path}`: {written:?}"
        );
    }
}

/// One `write` of a whole line in append mode, so that lines of parallel tests do not mix.
pub(crate) fn append_line(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    file.write_all(format!("{}\n", line.replace(['\r', '\n'], " ")).as_bytes())
}
