//! The hunted rows for other programs: one Arrow file per table, in clear.
//!
//! The rows are invented. They come out as answers of hunts, a stretch of time after the other, so
//! that what the peers read is what a hunt sees.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use cell::{HuntAnswer, HuntOptions};
use model::{Schema, Ticks};
use rows::arrow::array::{Array, AsArray};
use rows::arrow::datatypes::Int64Type;
use rows::arrow::ipc::CompressionType;
use rows::arrow::ipc::writer::{FileWriter, IpcWriteOptions};

use super::hunts::ask;
use super::subject::Subject;
use crate::print;

/// Rows of one hunt, about.
const ROWS: i64 = 60_000;
/// LIMIT: bytes of one hunt's answer.
const BYTES_MAX: usize = 1 << 30;

/// Writes the tables as `DIR/TABLE.arrow`; one that is there, or its Parquet, stays.
pub(super) async fn tables(
    subject: &Subject,
    tables: &[&String],
    dir: &Path,
) -> anyhow::Result<()> {
    for table in tables {
        let path = dir.join(format!("{table}.arrow"));
        if path.exists() || path.with_extension("parquet").exists() {
            continue;
        }
        let rows = one(subject, table, &path).await;
        let rows = rows.with_context(|| format!("exporting `{table}`"))?;
        print::note(&format!(
            "{} of {table} in `{}`",
            print::rows(rows),
            path.display()
        ));
    }
    Ok(())
}

async fn one(subject: &Subject, table: &str, path: &Path) -> anyhow::Result<u64> {
    let known = Schema::hunting().table(table).context("no such table")?;
    let time = known
        .time_column
        .as_ref()
        .context("a table without a time")?;
    let mut rows = 0;
    let mut writer: Option<FileWriter<File>> = None;
    for (from, until) in stretches(subject, table, time).await? {
        let text = format!(
            "{table} | where {time} >= datetime({from}) and {time} < datetime({until}) | sort by {time} asc"
        );
        let answer = ask(subject, &text, wide()).await?;
        anyhow::ensure!(!answer.is_partial, "an answer was cut");
        rows += u64::try_from(answer.rows())?;
        for batch in &answer.batches {
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let options = IpcWriteOptions::default()
                        .try_with_compression(Some(CompressionType::ZSTD))?;
                    let file = File::create(path)?;
                    let made = FileWriter::try_new_with_options(file, &batch.schema(), options)?;
                    none.insert(made)
                }
            };
            writer.write(batch)?;
        }
    }
    if let Some(mut writer) = writer {
        writer.finish()?;
    }
    Ok(rows)
}

fn wide() -> HuntOptions {
    HuntOptions {
        rows_max: usize::MAX >> 1,
        bytes_max: BYTES_MAX,
        memory_bytes_max: 4 * BYTES_MAX,
        ..HuntOptions::default()
    }
}

/// Stretches of whole hours with about [`ROWS`] rows each, in order.
async fn stretches(
    subject: &Subject,
    table: &str,
    time: &str,
) -> anyhow::Result<Vec<(Ticks, Ticks)>> {
    let text = format!(
        "{table} | where {time} >= datetime(2000-01-01) | summarize n = count() by hour = bin({time}, 1h) | sort by hour asc"
    );
    let answer = ask(subject, &text, HuntOptions::default()).await?;
    let hours = longs(&answer, "hour")?;
    let counts = longs(&answer, "n")?;
    let mut found = Vec::new();
    let (mut from, mut waiting) = (None, 0);
    for (hour, n) in hours.iter().zip(counts) {
        let begin = *from.get_or_insert(*hour);
        waiting += n;
        let until = hour + 36_000_000_000;
        if waiting >= ROWS || Some(hour) == hours.last() {
            found.push((Ticks(begin), Ticks(until)));
            (from, waiting) = (None, 0);
        }
    }
    Ok(found)
}

fn longs(answer: &HuntAnswer, name: &str) -> anyhow::Result<Vec<i64>> {
    let mut out = Vec::new();
    for batch in &answer.batches {
        let column = batch.column_by_name(name).context("no such column")?;
        let values = column.as_primitive_opt::<Int64Type>().context("a long")?;
        anyhow::ensure!(values.null_count() == 0, "a row without a time");
        out.extend(values.values());
    }
    Ok(out)
}
