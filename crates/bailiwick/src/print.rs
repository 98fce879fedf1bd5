//! The only writer of standard output and standard error.

use std::io::{self, IsTerminal as _, Write as _};

use crate::failure::Failure;

/// Data, to standard output.
pub(crate) fn out(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// A line for people, to standard error.
pub(crate) fn note(text: &str) {
    // Nobody can be told that standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether standard output is a terminal: a table there, lines of JSON in a pipe.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// The chain of causes and the remedy.
pub(crate) fn error(error: &anyhow::Error) {
    note(&format!("error: {error}"));
    for cause in error.chain().skip(1) {
        note(&format!("  caused by: {cause}"));
    }
    if let Some(help) = error
        .downcast_ref::<Failure>()
        .and_then(|f| f.help.as_deref())
    {
        note(&format!("\nhint: {help}"));
    }
}

/// Columns aligned with blanks; the last one is not padded.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let last = cells.len().saturating_sub(1);
        let mut out = String::new();
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            out.push_str(cell);
            if at < last {
                let pad = width.saturating_sub(cell.chars().count()) + 2;
                out.push_str(&" ".repeat(pad));
            }
        }
        out.push('\n');
        out
    };
    let mut out = line(header.to_vec());
    for row in rows {
        out.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    out
}

/// `1234567` as `1,234,567`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes for people.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..1_024 => format!("{n} B"),
        1_024..1_048_576 => format!("{}.{} KiB", n / 1_024, n % 1_024 * 10 / 1_024),
        _ => format!("{}.{} MiB", n / 1_048_576, n % 1_048_576 * 10 / 1_048_576),
    }
}
