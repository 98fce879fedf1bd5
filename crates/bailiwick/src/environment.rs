//! Every environment variable that the program reads.

/// Address of a running server, for example `http://127.0.0.1:7401`; several with commas.
pub(crate) const SERVER: &str = "BAILIWICK_SERVER";
/// Token presented to it; several with commas.
pub(crate) const TOKEN: &str = "BAILIWICK_TOKEN";
/// Configuration file of a data directory.
pub(crate) const CONFIG: &str = "BAILIWICK_CONFIG";
/// Passphrase of key rings and of the operator's key. Prefer `--passphrase-file`: other processes of
/// the same user can read a process's environment.
pub(crate) const PASSPHRASE: &str = "BAILIWICK_PASSPHRASE";

/// Width of the terminal, as shells set it; for people's tables only.
pub(crate) const COLUMNS: &str = "COLUMNS";

/// Where programs are looked for; only to say how this one is called.
pub(crate) const PATH: &str = "PATH";

/// The variable's text; nothing if it is unset, empty or not UTF-8.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(crate) fn read(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
