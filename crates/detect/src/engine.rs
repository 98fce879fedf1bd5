//! The engine: rows in, detections out. One for all tenants of a process.
//!
//! [`Engine`] is our own trait, so that the library behind it can be another; [`SigmaEngine`] is the
//! implementation. An engine never changes: new rules are another engine, which the caller puts in
//! the old one's place (compile it beside, then swap the `Arc`).
//!
//! Promises
//! - A function of its arguments: the same rows and rules give the same detections in the same order.
//! - A rule sees only rows of the log source it names.
//! - No more than [`limits::DETECTIONS_PER_BATCH_MAX`] detections a batch; the rest are counted.

use std::collections::BTreeMap;
use std::fmt;

use model::{RecordRef, ServiceName, TableName, Ticks, limits};
use rows::{RecordBatch, hidden};
use rsigma_eval::ResultBody;
use rsigma_parser::LogSource;

use crate::cells::Rows;
use crate::correlation::{Fields, Step};
use crate::entities;
use crate::logsource::{self, NONE, OWN, Source};
use crate::rule::RuleSet;
use crate::taxonomy;
use crate::view::{Naming, Parsed, View};

/// Compiled rules that rows are shown to.
pub trait Engine: fmt::Debug + Send + Sync {
    /// The rules.
    fn rules(&self) -> &RuleSet;

    /// What the rules find in a stamped batch of a table.
    fn evaluate(&self, table: &TableName, batch: &RecordBatch) -> Evaluated;
}

/// A rule that matched a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// Index of the rule in the set.
    pub rule: usize,
    /// Index of the row in the batch.
    pub row: usize,
    /// The row.
    pub record: RecordRef,
    /// The service that placed the row.
    pub service: ServiceName,
    /// The fields that the rule matched on, by the rule's names, in the rule's order; content.
    pub matched: Vec<(String, String)>,
}

/// What a batch gave.
#[derive(Debug, Default)]
pub struct Evaluated {
    /// Rules that matched, by row, then by rule.
    pub detections: Vec<Detection>,
    /// What correlations want to know of the rows, in the same order.
    pub steps: Vec<Step>,
    /// Rows looked at.
    pub rows: u64,
    /// Matches beyond the limit.
    pub dropped: u64,
    /// Rows without an id or a service: the cell has not stamped them, so nothing can name them.
    pub unstamped: u64,
}

/// The engine on `rsigma-eval`.
pub struct SigmaEngine {
    engine: rsigma_eval::Engine,
    set: RuleSet,
    /// The distinct log sources of the rules.
    wanted: Vec<LogSource>,
    /// Correlations by the rule that feeds them.
    feeds: BTreeMap<usize, Vec<usize>>,
}

impl fmt::Debug for SigmaEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigmaEngine")
            .field("rules", &self.set.rules.len())
            .field("version", &self.set.version)
            .finish_non_exhaustive()
    }
}

impl SigmaEngine {
    pub(crate) fn new(engine: rsigma_eval::Engine, set: RuleSet, sources: Vec<LogSource>) -> Self {
        let mut wanted: Vec<LogSource> = Vec::new();
        for source in sources {
            let stripped = LogSource {
                definition: None,
                ..source
            };
            if !wanted.contains(&stripped) {
                wanted.push(stripped);
            }
        }
        let mut feeds: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, correlation) in set.correlations.iter().enumerate() {
            for rule in &correlation.refs {
                let fed = feeds.entry(*rule).or_default();
                if !fed.contains(&at) {
                    fed.push(at);
                }
            }
        }
        Self {
            engine,
            set,
            wanted,
            feeds,
        }
    }
}

impl Engine for SigmaEngine {
    fn rules(&self) -> &RuleSet {
        &self.set
    }

    fn evaluate(&self, table: &TableName, batch: &RecordBatch) -> Evaluated {
        let rows = Rows::new(table, batch);
        let mut pass = Pass {
            engine: self,
            rows: &rows,
            routes: BTreeMap::new(),
            out: Evaluated::default(),
        };
        for row in 0..rows.len() {
            pass.row(row);
        }
        pass.out
    }
}

/// One batch's evaluation.
struct Pass<'e, 'a> {
    engine: &'e SigmaEngine,
    rows: &'a Rows<'a>,
    /// The library's form of a log source, or that no rule wants it.
    routes: BTreeMap<Source<'a>, Option<LogSource>>,
    out: Evaluated,
}

impl<'a> Pass<'_, 'a> {
    fn row(&mut self, row: usize) {
        self.out.rows += 1;
        let (Some(id), Some(service)) = (self.rows.id(row), self.rows.service(row)) else {
            self.out.unstamped += 1;
            return;
        };
        let record = RecordRef {
            table: self.rows.table.clone(),
            row: id,
            at: self.rows.at(row),
        };
        let parsed = Parsed::new(self.rows, row);
        let mut found: BTreeMap<usize, Found> = BTreeMap::new();
        for (source, naming) in sources(self.rows, row, &parsed) {
            self.look(
                source,
                View {
                    parsed: &parsed,
                    naming,
                },
                &mut found,
            );
        }
        for (rule, found) in found {
            self.found(rule, found, row, &record, &service, &parsed);
        }
    }

    /// Shows a view to the rules of its log source.
    fn look(&mut self, source: Source<'a>, view: View<'_, 'a>, found: &mut BTreeMap<usize, Found>) {
        let wanted = &self.engine.wanted;
        let route = self.routes.entry(source).or_insert_with(|| {
            let any = wanted.iter().any(|w| source.serves(w));
            any.then(|| source.to_rsigma())
        });
        let Some(route) = route else { return };
        for result in self.engine.engine.evaluate_pruned(&view, route) {
            let rule = result
                .header
                .rule_id
                .as_deref()
                .and_then(|id| id.parse().ok());
            let (Some(rule), ResultBody::Detection(body)) = (rule, result.body) else {
                continue;
            };
            found.entry(rule).or_insert_with(|| Found {
                naming: view.naming,
                matched: matched(body.matched_fields),
            });
        }
    }

    fn found(
        &mut self,
        rule: usize,
        found: Found,
        row: usize,
        record: &RecordRef,
        service: &ServiceName,
        parsed: &Parsed<'a>,
    ) {
        if self.out.detections.len() + self.out.steps.len() >= limits::DETECTIONS_PER_BATCH_MAX {
            self.out.dropped += 1;
            return;
        }
        if let Some(fed) = self.engine.feeds.get(&rule) {
            let view = View {
                parsed,
                naming: found.naming,
            };
            let fields: Vec<Fields> = fed
                .iter()
                .filter_map(|at| {
                    let correlation = self.engine.set.correlations.get(*at)?;
                    correlation.fields(*at, rule, |name| view.text(name))
                })
                .collect();
            if !fields.is_empty() {
                self.out.steps.push(Step {
                    rule,
                    record: record.clone(),
                    seen: self.rows.ingested_at(row),
                    service: service.clone(),
                    fields,
                    entities: entities::of_row(self.rows, row),
                    behind: Vec::new(),
                });
            }
        }
        if self.engine.set.rules.get(rule).is_some_and(|r| r.alerts) {
            self.out.detections.push(Detection {
                rule,
                row,
                record: record.clone(),
                service: service.clone(),
                matched: found.matched,
            });
        }
    }
}

struct Found {
    naming: Naming,
    matched: Vec<(String, String)>,
}

fn matched(fields: Vec<rsigma_eval::result::FieldMatch>) -> Vec<(String, String)> {
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let cut = |t: String| crate::rule::cut(&t, limits::ALERT_VALUE_BYTES_MAX);
    fields
        .into_iter()
        .map(|f| (f.field, cut(text(f.value))))
        .collect()
}

/// The log sources of a row, each with the names that its rules use.
fn sources<'a>(rows: &Rows<'a>, row: usize, parsed: &Parsed<'a>) -> Vec<(Source<'a>, Naming)> {
    let mut all = Vec::with_capacity(3);
    let table: &'a str = rows.table.as_str();
    match parsed.own().and_then(|own| {
        let id = own.int("System.EventID").or_else(|| own.int("EventID"))?;
        let channel = own.system_text("Channel");
        let provider = own.system_text("Provider_Name");
        (!channel.is_empty() || !provider.is_empty()).then(|| {
            (
                id,
                logsource::windows(channel, provider, id, own.text("EventType")),
            )
        })
    }) {
        // The same logon is a row of the device too, and rules see it there.
        Some((4624 | 4625, _)) if table == "IdentityLogonEvents" => {}
        Some((_, windows)) => {
            let [first, second] = windows.categories;
            let source = |c| Source::new("windows", windows.service, c);
            all.push((source(first), Naming::Own(windows.renames)));
            if second != NONE {
                all.push((source(second), Naming::Own(windows.renames)));
            }
        }
        None => columns_as_sigma(rows, row, table, &mut all),
    }
    all.push((Source::new(OWN, table, NONE), Naming::Columns(&[])));
    all
}

fn columns_as_sigma<'a>(
    rows: &Rows<'a>,
    row: usize,
    table: &'a str,
    all: &mut Vec<(Source<'a>, Naming)>,
) {
    if model::Schema::hunting().table(table).is_none() {
        if let Some((source, renames)) = taxonomy::raw(table) {
            all.push((source, Naming::Columns(renames)));
        }
        return;
    }
    let application = match table {
        "CloudAuditEvents" => rows.text(row, "DataSource"),
        _ => rows.text(row, "Application"),
    };
    let Some(kind) = taxonomy::kind(table, rows.text(row, "ActionType"), application) else {
        return;
    };
    all.push((kind.source, Naming::Sigma(kind.names)));
    if let Some(category) = kind.second {
        let second = Source {
            category,
            ..kind.source
        };
        all.push((second, Naming::Sigma(kind.names)));
    }
}

/// The time of a batch's newest row, for callers that keep a watermark.
pub fn newest(table: &TableName, batch: &RecordBatch) -> Option<Ticks> {
    let rows = Rows::new(table, batch);
    (0..rows.len()).map(|row| rows.at(row)).max()
}

/// Whether the cell has stamped a batch, so that its rows have names.
pub fn is_stamped(batch: &RecordBatch) -> bool {
    batch.column_by_name(hidden::ROW_ID).is_some()
        && batch.column_by_name(hidden::SERVICE).is_some()
}
