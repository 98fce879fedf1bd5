//! Commands about the text of queries.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Kql {
    /// Write queries in one form: standard output, unless `--write` or `--check` says otherwise.
    Fmt(FormatQueries),
    /// Say what is wrong with queries over the hunting schema: as text, or as `--format` says.
    ///
    /// A file may hold several queries with empty lines between.
    /// Exit code: 0 if none is wrong, 1 if one is, 2 or 3 if a file cannot be read.
    Check {
        /// Files of queries; `-` reads standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// List what can be written at a place of a query.
    Complete(CompleteQuery),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FormatQueries {
    /// Files of queries, with empty lines between them; `-`, or nothing, reads standard input.
    pub(crate) files: Vec<PathBuf>,
    /// Change nothing: name the files that have another form, with exit code 1 if there is one.
    #[arg(long)]
    pub(crate) check: bool,
    /// Replace the files.
    #[arg(long, conflicts_with = "check")]
    pub(crate) write: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CompleteQuery {
    /// File with the query; `-` reads standard input.
    pub(crate) file: PathBuf,
    /// The place, in bytes from the start; by default the end of what is written.
    #[arg(long)]
    pub(crate) offset: Option<usize>,
}
