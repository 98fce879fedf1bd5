//! What decoding gives back: rows, refusals and counts, or the one reason why nothing was read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use model::{Code, ServiceName, TableName};
use rows::TableRows;

use crate::RawSchema;

/// Why a whole request was refused. Everything smaller is a [`Rejected`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The header names an encoding that is not taken.
    #[error("the body's content encoding is not identity, gzip or zstd")]
    UnknownEncoding,
    /// The body is larger than the limit as it arrived.
    #[error("the body has more than {limit} bytes")]
    TooLarge {
        /// Bytes.
        limit: usize,
    },
    /// The body grew beyond the limit while it was decompressed.
    #[error("the body has more than {limit} bytes when decompressed")]
    DecompressionBomb {
        /// Bytes.
        limit: usize,
    },
    /// The compressed body is cut short or damaged.
    #[error("the compressed body is cut short or damaged")]
    DamagedCompression(#[source] io::Error),
    /// The text is not UTF-8 from this byte on.
    #[error("the body is not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Byte of the decompressed body.
        at: usize,
    },
    /// The file is not a Windows event log.
    #[error("the body is not a Windows event log file")]
    NotEvtx,
    /// No format was stated and the body shows none.
    #[error("the body's format cannot be told from its first bytes")]
    UnknownFormat,
    /// Columns could not be put together.
    #[error("rows could not be built")]
    Rows(#[source] rows::arrow::error::ArrowError),
}

impl Error {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::UnknownEncoding => Code::UnsupportedMedia,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::DecompressionBomb { .. } => Code::DecompressionBomb,
            Self::DamagedCompression(_) => Code::DamagedCompression,
            Self::NotUtf8 { .. } | Self::NotEvtx | Self::UnknownFormat => Code::BadFormat,
            Self::Rows(_) => Code::Internal,
        }
    }
}

/// A record, or the rest of a body, that made no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Index in the request, from 0. Refusals that stand for "all that follows" have the index of
    /// the first record not read.
    pub record: u64,
    /// Byte of the decompressed body where the record begins, or where the text stops being JSON.
    pub offset: Option<u64>,
    /// The stable code.
    pub code: Code,
    /// What is wrong, in words of ours: no value of the record is ever quoted.
    pub reason: Cow<'static, str>,
    /// The table of the row that was refused, once the record had come so far.
    pub table: Option<TableName>,
    /// The service of that table, if the refusal is about it. Decoding knows no services: whoever
    /// places rows says so.
    pub service: Option<ServiceName>,
}

impl Rejected {
    /// A refusal of a record that had no table yet.
    pub const fn new(
        record: u64,
        offset: Option<u64>,
        code: Code,
        reason: Cow<'static, str>,
    ) -> Self {
        Self {
            record,
            offset,
            code,
            reason,
            table: None,
            service: None,
        }
    }
}

/// How the rows came to their tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that made a row of a table of the schema by a mapping or by their own category.
    pub mapped: u64,
    /// Records kept as raw rows: a table outside the schema, or a Windows event that no mapping
    /// knows (`DeviceEvents`, `ActionType` `WindowsEvent:…`).
    pub raw: u64,
    /// Which records these are, in order: one that is refused later is not counted as kept.
    pub raw_records: Vec<u64>,
    /// Rows of tables outside the schema that have no time of their own. A hunt that does not ask
    /// for them looks back from now and does not see them.
    pub untimed: u64,
    /// Rows with an escape that is no character, a lone surrogate: it is U+FFFD in the columns, and
    /// the text as it was sent is in `_source_fields`.
    pub replaced: u64,
}

impl Tally {
    pub(crate) fn kept_raw(&mut self, record: u64) {
        self.raw += 1;
        self.raw_records.push(record);
    }
}

/// The rows and refusals of one request.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Rows by table name. A table comes more than once if its rows are many.
    pub batches: Vec<TableRows>,
    /// Refusals in the order of the records.
    pub rejected: Vec<Rejected>,
    /// Records read. Each made at least one row or one refusal.
    pub read: u64,
    /// Where each record begins, in bytes of the decompressed body.
    pub starts: Vec<u64>,
    /// How the records that made rows came to their tables.
    pub tally: Tally,
    /// Tables and columns outside the schema that the tenant did not have before.
    pub new_raw: RawSchema,
    /// Lower-case names of computers that wrote events which only domain controllers write. A
    /// caller that remembers them and gives them back in the next [`crate::SourceContext`] gets
    /// the identity rows of their logons.
    pub domain_controllers: BTreeSet<String>,
}

impl Decoded {
    /// Rows per table, for reports.
    pub fn rows_by_table(&self) -> BTreeMap<&TableName, usize> {
        let mut out = BTreeMap::new();
        for rows in &self.batches {
            *out.entry(&rows.table).or_default() += rows.batch.num_rows();
        }
        out
    }
}
