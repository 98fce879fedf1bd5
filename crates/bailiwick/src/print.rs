//! The only writer of standard output and standard error.

use std::io::{self, IsTerminal as _, Write as _};

use crate::environment;
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
    let lines: Vec<String> = text.split('\n').map(visible).collect();
    let _ = writeln!(io::stderr().lock(), "{}", lines.join("\n"));
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

/// How this program is called from here: by name if it is in the path, else where it lies.
pub(crate) fn program() -> String {
    let own = std::env::current_exe().ok();
    let dirs = environment::read(environment::PATH).unwrap_or_default();
    let in_path = std::env::split_paths(&dirs).map(|dir| dir.join("bailiwick"));
    let is_own = |path: std::path::PathBuf| path.canonicalize().ok() == own;
    match &own {
        Some(own) if !in_path.into_iter().any(is_own) => own.display().to_string(),
        _ => "bailiwick".to_owned(),
    }
}

/// Columns of the terminal, or what `COLUMNS` says; nothing if standard output is no terminal.
pub(crate) fn width() -> Option<usize> {
    let stated = environment::read(environment::COLUMNS).and_then(|text| text.parse().ok());
    let asked = || {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    };
    stated.or_else(asked)
}

/// Text that a terminal shows as it is: what it would obey (control characters, changes of direction)
/// is written as an escape.
pub(crate) fn visible(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(obeyed) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if obeyed(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// `1 row`, `2,345 rows`.
pub(crate) fn rows(n: u64) -> String {
    let word = if n == 1 { "row" } else { "rows" };
    format!("{} {word}", number(n))
}

/// Columns aligned with blanks; the last one is not padded. What a terminal would obey is escaped.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|h| visible(h)).collect();
    let shown = |row: &Vec<String>| row.iter().map(|cell| visible(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(shown).collect();
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in &rows {
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
    let mut out = line(header.iter().map(String::as_str).collect());
    for row in &rows {
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
