//! What a failed command says and which exit code it gives.

use std::fmt;
use std::io;

use model::Code;

/// A refusal with a stable code, and a remedy if there is one.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The code stands with the sentence, before what a query's findings add below it.
        let (sentence, rest) = self
            .message
            .split_at(self.message.find('\n').unwrap_or(self.message.len()));
        write!(f, "{sentence} [{}]{rest}", self.code)
    }
}

impl std::error::Error for Failure {}

/// 1 for "no", 2 for wrong input or usage, 3 for a failed system.
pub(crate) fn exit_code(error: &anyhow::Error) -> i32 {
    let code = error.downcast_ref::<Failure>().map(|f| f.code);
    match code.map(Code::status) {
        Some(401 | 403 | 404 | 409 | 421) => 1,
        Some(400..=499) => 2,
        _ => 3,
    }
}

/// Whether whoever read our output went away, which is not an error.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}
