//! What a hunt gives: named columns, batches, notices, and what it read.
//!
//! [`HuntResult::result_batches`] gives values by Kusto type; writing them is the caller's.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use kql::resolved::Render;
use model::ColumnType;

use crate::kernels::args::{Arg, Cell};

/// Something the reader of a result should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// There are more rows.
    RowsCut {
        /// The limit.
        rows: usize,
    },
    /// The result would be larger.
    BytesCut {
        /// The limit.
        bytes: usize,
    },
    /// A function has no data to answer from.
    NoData {
        /// Its name.
        function: &'static str,
    },
    /// Where the values of `FileProfile` are from.
    FileProfile {
        /// In words.
        source: String,
    },
    /// `FileProfile` was asked by another hash than files are known by.
    FileProfileBy {
        /// The column that was named.
        asked: String,
        /// The column that answered; nothing if no row has a SHA-256 beside it.
        by: Option<String>,
    },
    /// `FileProfile` met more files than it may look up.
    FileProfileCut,
    /// Some table was not restricted in time and was read only so far back.
    LookBack {
        /// How far.
        days: i64,
    },
}

impl Notice {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RowsCut { .. } => "rows_cut",
            Self::BytesCut { .. } => "bytes_cut",
            Self::NoData { .. } => "no_data",
            Self::FileProfile { .. } => "file_profile",
            Self::FileProfileBy { .. } => "file_profile_by",
            Self::FileProfileCut => "file_profile_cut",
            Self::LookBack { .. } => "look_back",
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowsCut { rows } => write!(f, "the result was cut at {rows} rows"),
            Self::BytesCut { bytes } => write!(f, "the result was cut at {bytes} bytes"),
            Self::NoData { function } => {
                write!(
                    f,
                    "`{function}` gives no values: no data for it was supplied"
                )?;
                match *function {
                    "parse_user_agent" => f.write_str(
                        "; the operator names a file of patterns as `user_agents` under `[hunting]`",
                    ),
                    "geo_info_from_ip_address" => f.write_str(
                        "; the operator names a database of cities as `places` under `[hunting]`",
                    ),
                    _ => Ok(()),
                }
            }
            Self::FileProfile { source } => write!(
                f,
                "`FileProfile` answers from {source}: GlobalPrevalence is the least number of owner groups, nothing below {}, and GlobalFirstSeen the first day it could be told; the other columns hold nothing",
                model::limits::PREVALENCE_GROUPS_MIN
            ),
            Self::FileProfileBy {
                asked,
                by: Some(by),
            } => write!(
                f,
                "files are known by their SHA-256: `FileProfile({asked})` was answered by `{by}` of the same row"
            ),
            Self::FileProfileBy { asked, by: None } => write!(
                f,
                "files are known by their SHA-256, and the rows have none beside `{asked}`: `FileProfile` gives no values"
            ),
            Self::FileProfileCut => f.write_str(
                "`FileProfile` met more files than it looks up; the rows of the others have no values",
            ),
            Self::LookBack { days } => {
                write!(
                    f,
                    "a table without a condition on its time was read {days} days back"
                )
            }
        }
    }
}

/// What a hunt read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Segments that were planned to be read.
    pub segments_read: u64,
    /// Segments that time conditions left out.
    pub segments_pruned: u64,
    /// Bytes of the segments opened.
    pub segment_bytes: u64,
    /// Rows of the segments opened, before any filter.
    pub segment_rows: u64,
    /// Rows in memory that were read, before any filter.
    pub memory_rows: u64,
}

/// The result of a hunt.
#[derive(Clone, Debug)]
pub struct HuntResult {
    /// Names and types, in order.
    pub columns: Vec<(Arc<str>, ColumnType)>,
    /// Rows, in batches with the columns' names and types (`rows::types`; decimals are wider).
    pub batches: Vec<RecordBatch>,
    /// What the reader should know.
    pub notices: Vec<Notice>,
    /// What was read.
    pub stats: Stats,
    /// How the query wants to be drawn.
    pub render: Option<Render>,
    /// How the query calls it, if it does.
    pub name: Option<Arc<str>>,
    /// Further results, in the order of the text: of further statements, of the parts of a `fork`.
    /// Notices and what was read are those of all of them, and stand here.
    pub also: Vec<AlsoResult>,
}

/// A further result of a hunt.
#[derive(Clone, Debug)]
pub struct AlsoResult {
    /// How the query calls it, if it does.
    pub name: Option<Arc<str>>,
    /// Names and types, in order.
    pub columns: Vec<(Arc<str>, ColumnType)>,
    /// Rows, as in [`HuntResult::batches`].
    pub batches: Vec<RecordBatch>,
    /// How it wants to be drawn.
    pub render: Option<Render>,
}

/// One batch of a result, by cells.
#[derive(Debug)]
pub struct ResultBatch {
    columns: Vec<Arg>,
    rows: usize,
}

impl ResultBatch {
    /// Rows in it.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The value at a row and column; null where there is none.
    pub fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        match self.columns.get(column) {
            Some(values) if row < self.rows => values.cell(row),
            _ => Cell::Null,
        }
    }

    /// One row's values.
    pub fn cells(&self, row: usize) -> impl Iterator<Item = Cell<'_>> {
        self.columns.iter().map(move |column| column.cell(row))
    }
}

impl HuntResult {
    /// Rows in all batches.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The batches by cells. A batch whose columns are not of the promised types is left out; the
    /// engine makes none.
    pub fn result_batches(&self) -> impl Iterator<Item = ResultBatch> + '_ {
        by_cells(&self.columns, &self.batches)
    }
}

impl AlsoResult {
    /// The batches by cells, as [`HuntResult::result_batches`].
    pub fn result_batches(&self) -> impl Iterator<Item = ResultBatch> + '_ {
        by_cells(&self.columns, &self.batches)
    }
}

fn by_cells<'a>(
    columns: &'a [(Arc<str>, ColumnType)],
    batches: &'a [RecordBatch],
) -> impl Iterator<Item = ResultBatch> + 'a {
    batches.iter().filter_map(|batch| {
        let columns = columns
            .iter()
            .zip(batch.columns())
            .map(|((_, ty), array)| Arg::of_array(array, *ty, false))
            .collect::<Result<_, _>>()
            .ok()?;
        Some(ResultBatch {
            columns,
            rows: batch.num_rows(),
        })
    })
}
