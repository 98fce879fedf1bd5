//! How far each input was sent: a file of the user's, so that an interrupted run goes on.
//!
//! An entry counts bytes and has the digest of these bytes: an input that begins otherwise is another
//! one, whatever its name says, and is sent from its beginning.
//!
//! ```text
//! { "NAME": { "bytes": n, "records": n, "digest": "64 hex digits", "may_grow": bool } … }
//! ```

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::Code;
use serde::{Deserialize, Serialize};

use super::parts::newlines;
use crate::commands::{file_error, write_file};
use crate::failure::Failure;

/// What was sent of one input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Done {
    pub(super) bytes: u64,
    /// Records that these bytes hold, for the numbers of those that follow.
    pub(super) records: u64,
    /// Of the bytes, see [`Prefix`].
    pub(super) digest: String,
    /// Whether more bytes may have been added since: lines, the last of them ended.
    pub(super) may_grow: bool,
}

pub(super) struct Resume {
    path: Option<PathBuf>,
    done: BTreeMap<String, Done>,
}

impl Resume {
    pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let done = match path {
            Some(path) if path.exists() => {
                let bytes = std::fs::read(path).map_err(|e| file_error("read", path, e))?;
                serde_json::from_slice(&bytes).map_err(|_| {
                    let message = format!("`{}` is not a resume file of this version", path.display());
                    Failure::new(Code::BadRequest, message)
                        .with_help("name a new file: what was stored before is not stored twice if its source says what identifies it")
                })?
            }
            _ => BTreeMap::new(),
        };
        Ok(Self {
            path: path.map(Path::to_owned),
            done,
        })
    }

    /// Whether a file of earlier runs was read.
    pub(super) fn goes_on(&self) -> bool {
        !self.done.is_empty()
    }

    pub(super) fn done(&self, input: &str) -> Option<&Done> {
        self.done.get(input)
    }

    pub(super) fn forget(&mut self, input: &str) {
        self.done.remove(input);
    }

    pub(super) fn note(&mut self, input: &str, done: Done) -> anyhow::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        self.done.insert(input.to_owned(), done);
        write_file(path, &serde_json::to_vec_pretty(&self.done)?)
    }
}

/// Digest of a growing prefix: a chain over blocks of one size, so that it can be taken at any byte.
#[derive(Debug, Clone, Default)]
pub(super) struct Prefix {
    chain: [u8; 32],
    block: Vec<u8>,
    pub(super) bytes: u64,
}

const BLOCK: usize = 1 << 16;

/// What an input is, seen against what was sent of it.
pub(super) enum Passed {
    /// All of it was sent.
    All,
    /// It begins with what was sent; this is the next byte. So many lines were passed.
    Begins {
        prefix: Prefix,
        lines: u64,
        next: u8,
    },
    /// It is another one.
    Changed,
}

/// Reads what was sent of an input.
pub(super) fn pass(reader: &mut dyn Read, done: &Done) -> anyhow::Result<Passed> {
    let (mut prefix, mut lines) = (Prefix::default(), 0);
    let mut block = vec![0; BLOCK];
    let mut sent = (&mut *reader).take(done.bytes);
    loop {
        let n = sent.read(&mut block)?;
        if n == 0 {
            break;
        }
        let bytes = block.get(..n).unwrap_or_default();
        lines += newlines(bytes);
        prefix.add(bytes);
    }
    if prefix.bytes != done.bytes || prefix.digest() != done.digest {
        return Ok(Passed::Changed);
    }
    let mut next = [0];
    Ok(match (reader.read(&mut next)?, next) {
        (0, _) => Passed::All,
        _ if !done.may_grow => Passed::Changed,
        (_, [next]) => Passed::Begins {
            prefix,
            lines,
            next,
        },
    })
}

impl Prefix {
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let free = BLOCK - self.block.len();
            let (now, rest) = bytes.split_at(free.min(bytes.len()));
            self.block.extend_from_slice(now);
            bytes = rest;
            if self.block.len() == BLOCK {
                self.chain = self.link();
                self.block.clear();
            }
        }
    }

    fn link(&self) -> [u8; 32] {
        let fields = crypto::Fields::new("file-prefix")
            .with(&self.chain)
            .with(&self.block);
        crypto::sha256(fields.as_bytes())
    }

    pub(super) fn digest(&self) -> String {
        crypto::hex(&self.link())
    }
}
