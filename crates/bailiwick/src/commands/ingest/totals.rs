//! Figures of inputs and of all together, and how they are shown.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cli::Global;
use crate::print;
use crate::view;

/// Figures summed over requests.
#[derive(Debug, Default, Clone)]
pub(super) struct Totals {
    counts: BTreeMap<&'static str, u64>,
    tables: BTreeMap<String, u64>,
    codes: BTreeMap<String, u64>,
}

/// What became of one input.
pub(super) struct FileTotals {
    pub(super) name: String,
    pub(super) totals: Totals,
    /// Why it was not read to its end.
    pub(super) failure: Option<String>,
}

impl Totals {
    /// The names in the answer, and ours.
    const COUNTS: [(&'static str, &'static str); 9] = [
        ("read", "read"),
        ("mapped", "mapped"),
        ("raw", "raw"),
        ("stored", "stored"),
        ("duplicates", "repeated"),
        ("rejected_total", "rejected"),
        ("wrong_region_total", "wrong_region"),
        ("untimed", "untimed"),
        ("replaced", "replaced"),
    ];

    pub(super) fn add(&mut self, answer: &Value) {
        for (field, name) in Self::COUNTS {
            let n = answer.get(field).and_then(Value::as_u64).unwrap_or(0);
            *self.counts.entry(name).or_default() += n;
        }
        let sums = [
            ("tables", &mut self.tables),
            ("rejected_codes", &mut self.codes),
        ];
        for (field, into) in sums {
            let each = answer.get(field).and_then(Value::as_object);
            for (name, n) in each.into_iter().flatten() {
                *into.entry(name.clone()).or_default() += n.as_u64().unwrap_or(0);
            }
        }
    }

    /// A record that was refused before it was sent.
    pub(super) fn refuse(&mut self, code: model::Code) {
        for name in ["read", "rejected"] {
            *self.counts.entry(name).or_default() += 1;
        }
        *self.codes.entry(code.as_str().to_owned()).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (name, n) in &other.counts {
            *self.counts.entry(name).or_default() += n;
        }
        let maps = [
            (&mut self.tables, &other.tables),
            (&mut self.codes, &other.codes),
        ];
        for (into, from) in maps {
            for (name, n) in from {
                *into.entry(name.clone()).or_default() += n;
            }
        }
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    fn counts_json(&self, dry_run: bool) -> Value {
        let name = |name: &'static str| match name {
            "stored" if dry_run => "would_store",
            name => name,
        };
        let counts = Self::COUNTS
            .iter()
            .map(|(_, ours)| (name(ours), self.count(ours)));
        counts
            .map(|(name, n)| (name.to_owned(), json!(n)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// Prints a line for each input, the total, and what the rows and refusals were.
pub(super) fn show(
    global: &Global,
    files: &[FileTotals],
    total: &Totals,
    dry_run: bool,
) -> anyhow::Result<()> {
    let stored = if dry_run { "WOULD STORE" } else { "STORED" };
    let pointer = if dry_run { "/would_store" } else { "/stored" };
    let columns = [
        ("READ", "/read"),
        ("MAPPED", "/mapped"),
        ("RAW", "/raw"),
        (stored, pointer),
        ("REPEATED", "/repeated"),
        ("REJECTED", "/rejected"),
        ("WRONG REGION", "/wrong_region"),
        ("FILE", "/file"),
        ("FAILED", "/failed"),
    ];
    let line = |name: &str, totals: &Totals, failure: Option<&str>| {
        let mut item = totals.counts_json(dry_run);
        if let Some(fields) = item.as_object_mut() {
            fields.insert("file".to_owned(), json!(name));
            fields.extend(failure.map(|f| ("failed".to_owned(), json!(f))));
        }
        item
    };
    let mut items: Vec<Value> = files
        .iter()
        .map(|f| line(&f.name, &f.totals, f.failure.as_deref()))
        .collect();
    if !view::is_for_people(global) {
        let all = json!({
            "files": items,
            "counts": total.counts_json(dry_run),
            "tables": total.tables,
            "rejected_codes": total.codes,
        });
        view::item(global, &all)?;
        return Ok(());
    }
    if files.len() > 1 {
        items.push(line("total", total, None));
    }
    view::list(global, &items, &columns, "nothing was read")?;
    let rows = |map: &BTreeMap<String, u64>| {
        map.iter()
            .map(|(name, n)| vec![name.clone(), print::number(*n)])
            .collect::<Vec<_>>()
    };
    for (heading, map) in [("TABLE", &total.tables), ("REJECTED AS", &total.codes)] {
        if !map.is_empty() {
            print::out(&format!(
                "\n{}",
                print::table(&[heading, "COUNT"], &rows(map))
            ))?;
        }
    }
    Ok(())
}
