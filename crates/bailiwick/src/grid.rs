//! Rows of many columns on a terminal: what is empty everywhere is left out, what is long is cut with
//! `…`, and a few records of many columns are written one value a line.

use crate::print::{self, visible};

/// Rows that are still written one value a line.
const RECORDS_MAX: usize = 3;
/// Below this many characters a cut value says nothing.
const CELL_MIN: usize = 12;
/// Blanks between columns.
const GAP: usize = 2;

/// What is to be printed.
pub(crate) struct Shown {
    pub(crate) text: String,
    /// What was left out, for people.
    pub(crate) hidden: Option<String>,
}

/// Rows within `width` characters; all of everything without a width.
pub(crate) fn fit(names: &[String], rows: &[Vec<String>], width: Option<usize>) -> Shown {
    let Some(width) = width else {
        return Shown {
            text: aligned(names, rows),
            hidden: None,
        };
    };
    let cell = |row: &Vec<String>, at: usize| row.get(at).map_or("", String::as_str).to_owned();
    let is_empty = |at: &usize| rows.iter().all(|row| cell(row, *at).is_empty());
    let (empty, kept): (Vec<usize>, Vec<usize>) = (0..names.len()).partition(is_empty);
    let name = |at: &usize| names.get(*at).map(|n| visible(n)).unwrap_or_default();
    let names: Vec<String> = kept.iter().map(name).collect();
    let pick = |row: &Vec<String>| kept.iter().map(|at| visible(&cell(row, *at))).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(pick).collect();
    let mut hidden = Vec::new();
    if !empty.is_empty() {
        hidden.push(format!("{} empty in all rows", columns(empty.len())));
    }
    let widths = widths(&names, &rows);
    let text = if line_width(&widths) <= width {
        aligned(&names, &rows)
    } else if rows.len() <= RECORDS_MAX {
        records(&names, &rows)
    } else {
        let shown = shown(&widths, width);
        if shown < names.len() {
            hidden.push(format!("{} beyond the width", columns(names.len() - shown)));
        }
        let cap = cap(widths.get(..shown).unwrap_or_default(), width);
        let cut = |cells: &Vec<String>| cells.iter().take(shown).map(|c| shorten(c, cap)).collect();
        let names: Vec<String> = cut(&names);
        aligned(&names, &rows.iter().map(cut).collect::<Vec<_>>())
    };
    let hidden = (!hidden.is_empty())
        .then(|| format!("not shown: {} (`--wide` shows all)", hidden.join(", ")));
    Shown { text, hidden }
}

fn columns(n: usize) -> String {
    if n == 1 {
        "1 column".to_owned()
    } else {
        format!("{n} columns")
    }
}

fn aligned(names: &[String], rows: &[Vec<String>]) -> String {
    print::table(&names.iter().map(String::as_str).collect::<Vec<_>>(), rows)
}

/// One value a line, a blank line between records; empty ones are left out.
fn records(names: &[String], rows: &[Vec<String>]) -> String {
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let record = |row: &Vec<String>| {
        let pairs = names.iter().zip(row).filter(|(_, value)| !value.is_empty());
        let line = |(name, value): (&String, &String)| format!("{name:<width$}  {value}");
        let lines: Vec<String> = pairs.map(line).collect();
        format!("{}\n", lines.join("\n"))
    };
    rows.iter().map(record).collect::<Vec<_>>().join("\n")
}

fn widths(names: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let of = |at: usize, name: &String| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(name.chars().count())
    };
    names
        .iter()
        .enumerate()
        .map(|(at, name)| of(at, name))
        .collect()
}

fn line_width(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// How many columns fit when each has at least [`CELL_MIN`] characters, or what it needs.
fn shown(widths: &[usize], width: usize) -> usize {
    let mut used = 0;
    let fits = |w: &&usize| {
        used += (**w).min(CELL_MIN) + GAP;
        used <= width + GAP
    };
    widths.iter().take_while(fits).count().max(1)
}

/// The largest width of a cell with which the columns fit.
fn cap(widths: &[usize], width: usize) -> usize {
    let fits = |cap: usize| {
        let cut: Vec<usize> = widths.iter().map(|w| (*w).min(cap)).collect();
        line_width(&cut) <= width
    };
    (CELL_MIN..=width)
        .rev()
        .find(|cap| fits(*cap))
        .unwrap_or(CELL_MIN)
}

fn shorten(text: &str, cap: usize) -> String {
    if text.chars().count() <= cap {
        return text.to_owned();
    }
    let kept: String = text.chars().take(cap.saturating_sub(1)).collect();
    format!("{kept}…")
}
