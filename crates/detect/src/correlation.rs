//! Correlations: several rows that mean something together.
//!
//! A rule that a correlation refers to makes [`Step`]s; [`CorrelationState`], one per tenant, keeps
//! the steps of each group within the window and says when the condition holds. Time is the rows'
//! own, never a clock's.
//!
//! A window is the time span before a row, that row included. When its condition holds the window is
//! *reported*: it reaches from its first row over the whole span, rows in it belong to the same
//! alert, and the group begins anew after it. The alert's id comes from rule, version, window end
//! and group.
//!
//! What a temporal correlation asks for is that certain things come together, so its window is the
//! shortest that has them: it begins at the latest row from which the condition still holds. A click
//! hours before the one that matters is not part of the alert. Where rows are counted, all count.
//!
//! Promises
//! - The same steps in the same order on the same state give the same alerts with the same ids.
//! - A step that was seen before changes nothing; if it was the one that made an alert, the alert is
//!   made again, so that going back to an older cursor loses none and invents none.
//! - Bounded by the `CORRELATION_*` limits, by number and by bytes; what had to go is counted.
//!
//! Does not know `window: tumbling` and `session`, which are no part of Sigma: refused when compiled.

use std::collections::{BTreeMap, BTreeSet};

use model::ticks::Span100ns;
use model::{AlertId, DetectionRuleId, Entity, RecordRef, RowId, ServiceName, Ticks, limits};
use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType,
    Quantifier, SelectorPattern, WindowMode,
};
use serde::{Deserialize, Serialize};

use crate::fit::{bounded, entities_bytes, entity_bytes, record_bytes, text_bytes};
use crate::rule::RuleSet;

/// A compiled correlation.
#[derive(Debug, Clone)]
pub(crate) struct Correlation {
    /// Index of the correlation among the set's rules.
    pub(crate) rule: usize,
    /// Indices of the rules it refers to, in its order.
    pub(crate) refs: Vec<usize>,
    /// What each of `refs` is called in the correlation.
    names: Vec<String>,
    kind: CorrelationType,
    group_by: Vec<String>,
    /// For each of `refs`, the field that stands for a grouping name.
    aliases: Vec<BTreeMap<String, String>>,
    span: Span100ns,
    predicates: Vec<(ConditionOperator, u64)>,
    values: Vec<String>,
    percentile: u64,
    expression: Option<ConditionExpr>,
    depth: usize,
}

/// What one correlation wants to know of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Index of the correlation in the set's list of them.
    pub(crate) correlation: usize,
    /// Which of its rules matched.
    pub(crate) which: Vec<usize>,
    /// Values of the grouping fields.
    pub(crate) group: Vec<String>,
    /// Values of the counted fields.
    pub(crate) values: Vec<String>,
}

/// A row that a correlation's rule matched.
#[derive(Debug, Clone)]
pub struct Step {
    /// Index of the rule that matched.
    pub rule: usize,
    /// The row.
    pub record: RecordRef,
    /// When the cell took the row.
    pub seen: Ticks,
    /// The service that placed the row.
    pub service: ServiceName,
    pub(crate) fields: Vec<Fields>,
    pub(crate) entities: Vec<Entity>,
    /// The rows behind it, if it is a correlation's and `record` no row.
    pub(crate) behind: Vec<RecordRef>,
}

impl Step {
    fn at(&self) -> Ticks {
        self.record.at.min(self.seen)
    }
}

/// A correlation whose condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationHit {
    /// Index of the correlation among the set's rules.
    pub rule: usize,
    /// The alert that it is, whenever it is evaluated.
    pub id: AlertId,
    /// First moment of the window.
    pub start: Ticks,
    /// Last moment of the window.
    pub end: Ticks,
    /// Grouping fields and their values; content.
    pub group: Vec<(String, String)>,
    /// Time of the last row that made the condition hold.
    pub last_at: Ticks,
    /// The rows, by time, at most [`limits::ALERT_RECORDS_MAX`].
    pub records: Vec<RecordRef>,
    /// How many rows there were.
    pub rows: u64,
    /// What they are about; content.
    pub entities: Vec<Entity>,
    /// The service of the row that completed it.
    pub service: ServiceName,
}

impl Correlation {
    pub(crate) fn new(
        rule: &CorrelationRule,
        at: usize,
        known: &BTreeMap<String, usize>,
        others: &[Self],
    ) -> Result<Self, String> {
        if rule.window != WindowMode::Sliding {
            return Err(format!(
                "window `{}` is not supported",
                rule.window.as_str()
            ));
        }
        let seconds = rule.timespan.seconds;
        if !(1..=limits::CORRELATION_SECONDS_MAX).contains(&seconds) {
            return Err("the time span is not between a second and 30 days".to_owned());
        }
        if rule.rules.is_empty() {
            return Err("the correlation names no rules".to_owned());
        }
        let refs: Vec<usize> = rule
            .rules
            .iter()
            .filter_map(|r| known.get(r))
            .copied()
            .collect();
        let fed_by = |r: &usize| others.iter().find(|o| o.rule == *r).map_or(0, |o| o.depth);
        let depth = refs.iter().map(fed_by).max().unwrap_or(0) + 1;
        if depth > limits::CORRELATION_CHAIN_MAX {
            return Err("correlations refer to correlations too deeply".to_owned());
        }
        let condition = condition(rule)?;
        let aliases = rule
            .rules
            .iter()
            .map(|name| aliases_of(rule, name))
            .collect();
        Ok(Self {
            rule: at,
            refs,
            names: rule.rules.clone(),
            kind: rule.correlation_type,
            group_by: rule.group_by.clone(),
            aliases,
            span: Span100ns::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)),
            predicates: condition.predicates,
            values: condition.values,
            percentile: condition.percentile,
            expression: condition.expression,
            depth,
        })
    }

    /// What the correlation wants to know of a row that `rule` matched. `None` if the row lacks a
    /// grouping field: rows without it have nothing in common.
    pub(crate) fn fields(
        &self,
        correlation: usize,
        rule: usize,
        value: impl Fn(&str) -> Option<String>,
    ) -> Option<Fields> {
        let which: Vec<usize> = (self.refs.iter().enumerate())
            .filter(|(_, r)| **r == rule)
            .map(|(at, _)| at)
            .collect();
        let aliases = self.aliases.get(*which.first()?)?;
        let named = |name: &String| value(aliases.get(name).unwrap_or(name));
        let group = self.group_by.iter().map(named).collect::<Option<_>>()?;
        let values = self.values.iter().map(named).collect::<Option<_>>()?;
        Some(Fields {
            correlation,
            which,
            group,
            values,
        })
    }

    /// Whether the condition holds for the rows of a window, in time order.
    fn holds(&self, entries: &[&Entry]) -> bool {
        match self.kind {
            CorrelationType::EventCount => self.counts(entries.len()),
            CorrelationType::ValueCount => {
                let distinct: BTreeSet<&[String]> =
                    entries.iter().map(|e| e.values.as_slice()).collect();
                self.counts(distinct.len())
            }
            CorrelationType::Temporal => self.together(entries),
            CorrelationType::TemporalOrdered => self.together(entries) && self.in_order(entries),
            CorrelationType::ValueSum
            | CorrelationType::ValueAvg
            | CorrelationType::ValuePercentile
            | CorrelationType::ValueMedian => {
                self.figures(entries).is_some_and(|f| self.compares(f))
            }
        }
    }

    fn counts(&self, n: usize) -> bool {
        let n = u64::try_from(n).unwrap_or(u64::MAX);
        self.predicates.iter().all(|(op, than)| match op {
            ConditionOperator::Lt => n < *than,
            ConditionOperator::Lte => n <= *than,
            ConditionOperator::Gt => n > *than,
            ConditionOperator::Gte => n >= *than,
            ConditionOperator::Eq => n == *than,
            ConditionOperator::Neq => n != *than,
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "a threshold is a small whole number, and `eq` asks for exactly it"
    )]
    fn compares(&self, figure: f64) -> bool {
        self.predicates.iter().all(|(op, than)| {
            let than = *than as f64;
            match op {
                ConditionOperator::Lt => figure < than,
                ConditionOperator::Lte => figure <= than,
                ConditionOperator::Gt => figure > than,
                ConditionOperator::Gte => figure >= than,
                ConditionOperator::Eq => figure == than,
                ConditionOperator::Neq => figure != than,
            }
        })
    }

    /// The sum, mean or percentile of the rows' values; values that are no numbers do not count.
    #[expect(clippy::cast_precision_loss, reason = "at most a thousand rows")]
    fn figures(&self, entries: &[&Entry]) -> Option<f64> {
        let mut numbers: Vec<f64> = entries
            .iter()
            .filter_map(|e| e.values.first()?.trim().parse().ok())
            .filter(|n: &f64| n.is_finite())
            .collect();
        if numbers.is_empty() {
            return None;
        }
        numbers.sort_by(f64::total_cmp);
        let sum: f64 = numbers.iter().sum();
        match self.kind {
            CorrelationType::ValueSum => Some(sum),
            CorrelationType::ValueAvg => Some(sum / numbers.len() as f64),
            CorrelationType::ValueMedian => quantile(&numbers, 50),
            _ => quantile(&numbers, self.percentile),
        }
    }

    /// Every rule matched, or the expression over them holds; then a count, if there is one.
    fn together(&self, entries: &[&Entry]) -> bool {
        let there: BTreeSet<usize> = entries
            .iter()
            .flat_map(|e| e.which.iter().copied())
            .collect();
        if let Some(expression) = &self.expression {
            return holds(expression, &|name| {
                let at = self.names.iter().position(|n| n == name);
                at.is_some_and(|at| there.contains(&at))
            });
        }
        if self.predicates.is_empty() {
            return there.len() == self.refs.len();
        }
        self.counts(there.len())
    }

    /// The shortest part of a window, up to its end, in which the condition still holds: of a temporal
    /// correlation. `entries` is a window in which it holds.
    fn shortest<'w, 'e>(&self, entries: &'w [&'e Entry]) -> &'w [&'e Entry] {
        let is_temporal = matches!(
            self.kind,
            CorrelationType::Temporal | CorrelationType::TemporalOrdered
        );
        // An expression may hold again after it did not: the shortest is then looked for from the end.
        let all = 1..entries.len();
        let tail = |at: usize| entries.get(at..).filter(|part| self.holds(part));
        let found = is_temporal.then(|| all.rev().find_map(tail)).flatten();
        found.unwrap_or(entries)
    }

    /// The rules matched one after the other, in the correlation's order.
    fn in_order(&self, entries: &[&Entry]) -> bool {
        let mut wanted = 0;
        for entry in entries {
            if entry.which.contains(&wanted) {
                wanted += 1;
            }
        }
        wanted == self.refs.len()
    }
}

/// Nearest rank of sorted numbers.
fn quantile(numbers: &[f64], percent: u64) -> Option<f64> {
    let percent = usize::try_from(percent.min(100)).unwrap_or(100);
    let rank = (numbers.len() * percent).div_ceil(100).max(1);
    numbers.get(rank - 1).copied()
}

fn holds(expression: &ConditionExpr, is: &dyn Fn(&str) -> bool) -> bool {
    match expression {
        ConditionExpr::And(all) => all.iter().all(|e| holds(e, is)),
        ConditionExpr::Or(any) => any.iter().any(|e| holds(e, is)),
        ConditionExpr::Not(one) => !holds(one, is),
        ConditionExpr::Identifier(name) => is(name),
        // Refused when compiled.
        ConditionExpr::Selector { .. } => false,
    }
}

struct Condition {
    predicates: Vec<(ConditionOperator, u64)>,
    values: Vec<String>,
    percentile: u64,
    expression: Option<ConditionExpr>,
}

fn condition(rule: &CorrelationRule) -> Result<Condition, String> {
    let temporal = matches!(
        rule.correlation_type,
        CorrelationType::Temporal | CorrelationType::TemporalOrdered
    );
    match &rule.condition {
        CorrelationCondition::Extended(expression) if temporal => {
            names_in(expression, &rule.rules)?;
            Ok(Condition {
                predicates: Vec::new(),
                values: Vec::new(),
                percentile: 50,
                expression: Some(expression.clone()),
            })
        }
        CorrelationCondition::Extended(_) => {
            Err("only temporal correlations take an expression as condition".to_owned())
        }
        CorrelationCondition::Threshold {
            predicates,
            field,
            percentile,
        } => {
            let counted = matches!(
                rule.correlation_type,
                CorrelationType::EventCount | CorrelationType::ValueCount
            );
            let most = u64::try_from(limits::CORRELATION_GROUP_ROWS_MAX).unwrap_or(u64::MAX);
            if counted && predicates.iter().any(|(_, n)| *n > most) {
                return Err(format!(
                    "a group keeps {most} rows; the threshold is above that"
                ));
            }
            let values = field.clone().unwrap_or_default();
            let needs = !temporal && rule.correlation_type != CorrelationType::EventCount;
            if needs && values.is_empty() {
                return Err("the condition names no field whose values count".to_owned());
            }
            if !temporal && predicates.is_empty() {
                return Err("the condition has no threshold".to_owned());
            }
            // The parser's default where a temporal correlation states none: all of its rules.
            let unstated = temporal && *predicates == [(ConditionOperator::Gte, 1)];
            Ok(Condition {
                predicates: if unstated {
                    Vec::new()
                } else {
                    predicates.clone()
                },
                values: if needs { values } else { Vec::new() },
                percentile: percentile.unwrap_or(50),
                expression: None,
            })
        }
    }
}

fn names_in(expression: &ConditionExpr, rules: &[String]) -> Result<(), String> {
    match expression {
        ConditionExpr::And(all) | ConditionExpr::Or(all) => {
            all.iter().try_for_each(|e| names_in(e, rules))
        }
        ConditionExpr::Not(one) => names_in(one, rules),
        ConditionExpr::Identifier(name) if rules.contains(name) => Ok(()),
        ConditionExpr::Identifier(name) => Err(format!(
            "the condition names `{name}`, which is not among the rules"
        )),
        ConditionExpr::Selector {
            quantifier: Quantifier::Any | Quantifier::All | Quantifier::Count(_),
            pattern: SelectorPattern::Them | SelectorPattern::Pattern(_),
        } => Err("a correlation's condition names its rules one by one".to_owned()),
    }
}

fn aliases_of(rule: &CorrelationRule, name: &str) -> BTreeMap<String, String> {
    let aliases = rule.aliases.iter();
    aliases
        .filter_map(|a| Some((a.alias.clone(), a.mapping.get(name)?.clone())))
        .collect()
}

/// One row of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The row's time, or its arrival if it claims to come from the future: a wrong clock must not
    /// take a row out of the windows of now.
    at: Ticks,
    /// When the cell took the row.
    seen: Ticks,
    record: RecordRef,
    which: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
    /// What stands for the row in an alert if it is itself a correlation's: the rows behind that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    behind: Vec<RecordRef>,
}

impl Entry {
    fn records(&self) -> &[RecordRef] {
        if self.behind.is_empty() {
            std::slice::from_ref(&self.record)
        } else {
            &self.behind
        }
    }

    fn key(&self) -> (Ticks, RowId) {
        (self.at, self.record.row)
    }

    fn bytes(&self) -> usize {
        let values: usize = self.values.iter().map(|v| text_bytes(v)).sum();
        let behind: usize = self.behind.iter().map(record_bytes).sum();
        ENTRY_BYTES + record_bytes(&self.record) + values + behind
    }
}

/// Bytes at rest around an entry, a reported window and a group.
const ENTRY_BYTES: usize = 128;
const FIRED_BYTES: usize = 256;
const GROUP_BYTES: usize = 256;

/// A window that was reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fired {
    start: Ticks,
    end: Ticks,
    /// The row that completed it.
    trigger: RowId,
    /// When the cell took that row.
    seen: Ticks,
    last_at: Ticks,
    records: Vec<RecordRef>,
    rows: u64,
    entities: Vec<Entity>,
    service: ServiceName,
    /// Bytes at rest.
    #[serde(skip)]
    bytes: usize,
}

impl Fired {
    fn measured(mut self) -> Self {
        let records: usize = self.records.iter().map(record_bytes).sum();
        self.bytes = FIRED_BYTES + records + entities_bytes(&self.entities);
        self
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    /// By time and row.
    entries: Vec<Entry>,
    fired: Vec<Fired>,
    entities: Vec<Entity>,
    /// The first and the last row's time at which each of `entities` was named; one that has none (a
    /// state written before there were any) counts as always named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    named: Vec<(Ticks, Ticks)>,
    /// When the cell took the last row that touched the group.
    touched: Ticks,
    /// Bytes at rest of `entities`, and of all of it but its key.
    #[serde(skip)]
    entity_bytes: usize,
    #[serde(skip)]
    bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct GroupKey {
    rule: DetectionRuleId,
    version: u64,
    group: Vec<String>,
}

/// One tenant's correlations in progress. Content: it holds values of rows, and rests sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct CorrelationState {
    groups: BTreeMap<GroupKey, Group>,
    /// The newest row's time of arrival.
    seen: Ticks,
    /// Rows forgotten because of a limit.
    forgotten: u64,
    /// Rows kept in all groups.
    rows: usize,
    /// Bytes at rest of all groups, at most.
    bytes: usize,
}

/// The state's form at rest.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    groups: Vec<(GroupKey, Group)>,
    seen: Ticks,
    forgotten: u64,
}

impl From<Stored> for CorrelationState {
    fn from(stored: Stored) -> Self {
        let mut groups: BTreeMap<GroupKey, Group> = stored.groups.into_iter().collect();
        for group in groups.values_mut() {
            let fired = std::mem::take(&mut group.fired).into_iter();
            group.fired = fired.map(Fired::measured).collect();
            group.entity_bytes = entities_bytes(&group.entities);
            group.bytes = group.measure();
        }
        let mut state = Self {
            groups,
            seen: stored.seen,
            forgotten: stored.forgotten,
            ..Self::default()
        };
        state.count();
        state
    }
}

impl From<CorrelationState> for Stored {
    fn from(state: CorrelationState) -> Self {
        Self {
            groups: state.groups.into_iter().collect(),
            seen: state.seen,
            forgotten: state.forgotten,
        }
    }
}

impl CorrelationState {
    /// Takes steps in the order in which the engine gave them. `hash` is the keyed hash under the
    /// tenant's key that alert ids are made with.
    pub fn advance(
        &mut self,
        rules: &RuleSet,
        steps: &[Step],
        hash: &dyn Fn(&[u8]) -> [u8; 16],
    ) -> Vec<CorrelationHit> {
        let mut hits = Vec::new();
        for step in steps {
            self.step(rules, step, hash, 0, &mut hits);
        }
        self.keep_bounds(rules);
        // A row that two of a correlation's rules matched completes its window once.
        let mut seen = BTreeSet::new();
        hits.retain(|hit| seen.insert(hit.id));
        hits
    }

    /// Forgets what belongs to rules, or versions of rules, that are in none of the sets: those for all
    /// tenants and the tenant's own. A rule that is switched off keeps what it has seen.
    pub fn retain(&mut self, sets: &[&RuleSet]) {
        let versions: BTreeSet<(&DetectionRuleId, u64)> = sets
            .iter()
            .flat_map(|set| set.correlations.iter().map(|c| set.rules.get(c.rule)))
            .flatten()
            .map(|r| (&r.reference.id, r.reference.version))
            .collect();
        self.groups
            .retain(|key, _| versions.contains(&(&key.rule, key.version)));
        self.count();
    }

    /// Forgets the groups untouched longest until the rest is at most so many bytes at rest.
    pub fn shrink(&mut self, bytes_max: usize) {
        self.forget_oldest(limits::CORRELATION_GROUPS_MAX, usize::MAX, bytes_max);
    }

    /// Works out anew what is counted.
    fn count(&mut self) {
        self.rows = self.groups.values().map(|g| g.entries.len()).sum();
        self.bytes = self.groups.iter().map(|(k, g)| k.bytes() + g.bytes).sum();
    }

    /// Groups kept.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Rows kept.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that they are at rest, at most.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Rows that had to be forgotten because of a limit.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn step(
        &mut self,
        rules: &RuleSet,
        step: &Step,
        hash: &dyn Fn(&[u8]) -> [u8; 16],
        depth: usize,
        hits: &mut Vec<CorrelationHit>,
    ) {
        self.seen = self.seen.max(step.seen);
        for fields in &step.fields {
            let Some(hit) = self.add(rules, step, fields, hash) else {
                continue;
            };
            if depth < limits::CORRELATION_CHAIN_MAX
                && let Some(chained) = chained(rules, &hit, step.seen)
            {
                self.step(rules, &chained, hash, depth + 1, hits);
            }
            if rules.rules.get(hit.rule).is_some_and(|r| r.alerts) {
                hits.push(hit);
            }
        }
    }

    fn add(
        &mut self,
        rules: &RuleSet,
        step: &Step,
        fields: &Fields,
        hash: &dyn Fn(&[u8]) -> [u8; 16],
    ) -> Option<CorrelationHit> {
        let correlation = rules.correlations.get(fields.correlation)?;
        let reference = &rules.rules.get(correlation.rule)?.reference;
        let short = |value: &String| bounded(value, limits::CORRELATION_VALUE_BYTES_MAX, hash);
        let key = GroupKey {
            rule: reference.id.clone(),
            version: reference.version,
            group: fields.group.iter().map(short).collect(),
        };
        let values = fields.values.iter().map(short).collect();
        let is_new = !self.groups.contains_key(&key);
        self.bytes += if is_new { key.bytes() } else { 0 };
        let group = self.groups.entry(key.clone()).or_default();
        let before = (group.entries.len(), group.bytes);
        group.touched = group.touched.max(step.seen);
        let fired = group.add(correlation, step, fields, values, &mut self.forgotten);
        group.bytes = group.measure();
        self.rows = (self.rows + group.entries.len()).saturating_sub(before.0);
        self.bytes = (self.bytes + group.bytes).saturating_sub(before.1);
        fired.map(|fired| CorrelationHit {
            rule: correlation.rule,
            id: alert_id(&key, fired.end, hash),
            start: fired.start,
            end: fired.end,
            group: std::iter::zip(&correlation.group_by, &key.group)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            last_at: fired.last_at,
            records: fired.records,
            rows: fired.rows,
            entities: fired.entities,
            service: fired.service,
        })
    }

    /// Beyond the limits, forgets groups that nothing touched for long, then the least recently
    /// touched ones.
    fn keep_bounds(&mut self, rules: &RuleSet) {
        let over = self.groups.len() > limits::CORRELATION_GROUPS_MAX
            || self.rows > limits::CORRELATION_ROWS_MAX
            || self.bytes > limits::CORRELATION_BYTES_MAX;
        if !over {
            return;
        }
        let spans: BTreeMap<&DetectionRuleId, Span100ns> = rules
            .correlations
            .iter()
            .filter_map(|c| Some((&rules.rules.get(c.rule)?.reference.id, c.span)))
            .collect();
        let seen = self.seen;
        self.groups.retain(|key, group| {
            let span = spans.get(&key.rule).copied().unwrap_or_default();
            seen.since(group.touched).0 <= horizon(span).0
        });
        self.count();
        // A tenth below the limits, so that not every batch has to do this.
        self.forget_oldest(
            limits::CORRELATION_GROUPS_MAX / 10 * 9,
            limits::CORRELATION_ROWS_MAX / 10 * 9,
            limits::CORRELATION_BYTES_MAX / 10 * 9,
        );
    }

    /// Forgets the least recently touched groups until the rest is within these figures.
    fn forget_oldest(&mut self, groups: usize, rows: usize, bytes: usize) {
        let mut oldest: Vec<(Ticks, GroupKey)> = (self.groups.iter())
            .map(|(key, group)| (group.touched, key.clone()))
            .collect();
        oldest.sort();
        for (_, key) in oldest {
            if self.groups.len() <= groups && self.rows <= rows && self.bytes <= bytes {
                break;
            }
            if let Some(group) = self.groups.remove(&key) {
                self.rows -= group.entries.len();
                self.bytes = self.bytes.saturating_sub(key.bytes() + group.bytes);
                self.forgotten += u64::try_from(group.entries.len()).unwrap_or(u64::MAX);
            }
        }
    }
}

impl GroupKey {
    fn bytes(&self) -> usize {
        let group: usize = self.group.iter().map(|v| text_bytes(v)).sum();
        GROUP_BYTES + text_bytes(self.rule.as_str()) + group
    }
}

impl Group {
    fn measure(&self) -> usize {
        let entries: usize = self.entries.iter().map(Entry::bytes).sum();
        let fired: usize = self.fired.iter().map(|f| f.bytes).sum();
        entries + fired + self.entity_bytes
    }

    fn add(
        &mut self,
        correlation: &Correlation,
        step: &Step,
        fields: &Fields,
        values: Vec<String>,
        forgotten: &mut u64,
    ) -> Option<Fired> {
        let (at, row) = (step.at(), step.record.row);
        if let Some(fired) = self.fired.iter().find(|f| f.trigger == row) {
            return Some(fired.clone());
        }
        if self.fired.iter().any(|f| (f.start..=f.end).contains(&at)) {
            return None;
        }
        let entry = Entry {
            at,
            seen: step.seen,
            record: step.record.clone(),
            which: fields.which.clone(),
            values,
            behind: step.behind.clone(),
        };
        match self.entries.binary_search_by_key(&entry.key(), Entry::key) {
            Ok(here) => self.merge(here, &entry)?,
            Err(here) => self.entries.insert(here, entry),
        }
        self.remember(&step.entities, at);
        let fired = self.fire(correlation, step);
        self.forget(correlation, forgotten);
        fired
    }

    /// A row that another of the correlation's rules matched before: it stands for both. `None` if
    /// it says nothing new.
    fn merge(&mut self, here: usize, entry: &Entry) -> Option<()> {
        let known = self.entries.get_mut(here)?;
        let before = known.which.len();
        known.which.extend(&entry.which);
        known.which.sort_unstable();
        known.which.dedup();
        (known.which.len() > before).then_some(())
    }

    fn remember(&mut self, entities: &[Entity], at: Ticks) {
        self.named
            .resize(self.entities.len(), (Ticks::MIN, Ticks::MAX));
        for entity in entities {
            let same = |e: &Entity| {
                e.kind == entity.kind && e.keys == entity.keys && e.name == entity.name
            };
            if let Some(known) = self.entities.iter().position(same) {
                if let Some((first, last)) = self.named.get_mut(known) {
                    (*first, *last) = ((*first).min(at), (*last).max(at));
                }
                continue;
            }
            if self.entities.len() >= limits::CORRELATION_ENTITIES_MAX {
                continue;
            }
            // What it is called and joined by stays if its details have no room.
            let mut entity = entity.clone();
            let room = limits::CORRELATION_ENTITY_BYTES_MAX.saturating_sub(self.entity_bytes);
            if entity_bytes(&entity) > room {
                entity.details.clear();
            }
            let more = entity_bytes(&entity);
            if more <= room {
                self.entity_bytes += more;
                self.entities.push(entity);
                self.named.push((at, at));
            }
        }
    }

    /// Takes out what rows of a window name. What only earlier rows name stays with these; a later
    /// window may begin among them.
    fn named_in(&mut self, start: Ticks, end: Ticks) -> Vec<Entity> {
        self.named
            .resize(self.entities.len(), (Ticks::MIN, Ticks::MAX));
        let all = std::iter::zip(
            std::mem::take(&mut self.entities),
            std::mem::take(&mut self.named),
        );
        let mut inside = Vec::new();
        for (entity, (first, last)) in all {
            if first <= end && last >= start {
                inside.push(entity);
            } else {
                self.entities.push(entity);
                self.named.push((first, last));
            }
        }
        self.entity_bytes = entities_bytes(&self.entities);
        inside
    }

    /// Looks at the window that ends with the new row, and at those that end with later rows and
    /// hold it; the first whose condition holds is reported.
    fn fire(&mut self, correlation: &Correlation, step: &Step) -> Option<Fired> {
        let at = step.at();
        let last = at.saturating_add(correlation.span);
        let mut ends: Vec<Ticks> = (self.entries.iter())
            .map(|e| e.at)
            .filter(|t| (at..last).contains(t))
            .collect();
        ends.dedup();
        // Of many, the last as well: it closes the longest window that holds the row.
        if ends.len() > LATER_WINDOWS_MAX {
            ends.drain(LATER_WINDOWS_MAX - 1..ends.len() - 1);
        }
        for end in ends {
            let window: Vec<&Entry> = (self.entries.iter())
                .filter(|e| e.at <= end && end.since(e.at) < correlation.span)
                .collect();
            if !correlation.holds(&window) {
                continue;
            }
            let window = correlation.shortest(&window);
            let start = window.first().map_or(at, |e| e.at);
            let records = window.iter().flat_map(|e| e.records());
            let records = records.take(limits::ALERT_RECORDS_MAX).cloned().collect();
            let rows = u64::try_from(window.len()).unwrap_or(u64::MAX);
            let fired = Fired {
                start,
                end: start.saturating_add(correlation.span),
                trigger: step.record.row,
                seen: step.seen,
                last_at: end,
                records,
                rows,
                entities: self.named_in(start, end),
                service: step.service.clone(),
                bytes: 0,
            };
            let fired = fired.measured();
            self.entries
                .retain(|e| !(fired.start..=fired.end).contains(&e.at));
            self.fired.push(fired.clone());
            return Some(fired);
        }
        None
    }

    /// Lets go of what came too long ago. That goes by arrival: rows of one table may be days ahead
    /// of another's when a backlog comes in.
    fn forget(&mut self, correlation: &Correlation, forgotten: &mut u64) {
        let horizon = horizon(correlation.span);
        let touched = self.touched;
        let recent = |seen: Ticks| touched.since(seen).0 <= horizon.0;
        self.entries.retain(|e| recent(e.seen));
        let over = self
            .entries
            .len()
            .saturating_sub(limits::CORRELATION_GROUP_ROWS_MAX);
        self.entries.drain(..over);
        *forgotten += u64::try_from(over).unwrap_or(u64::MAX);
        self.fired.retain(|f| recent(f.seen));
        let over = self
            .fired
            .len()
            .saturating_sub(limits::CORRELATION_FIRED_MAX);
        self.fired.drain(..over);
        if self.entries.is_empty() {
            self.entities.clear();
            self.named.clear();
            self.entity_bytes = 0;
        }
    }
}

/// How long after its arrival a row is kept: twice the span, a day at least, since what belongs
/// together may be delivered hours apart.
fn horizon(span: Span100ns) -> Span100ns {
    Span100ns(span.0.saturating_mul(2).max(Span100ns::days(1).0))
}

/// Windows looked at when a row comes late: the one that ends with it, some that end after it, and
/// the one that ends last.
const LATER_WINDOWS_MAX: usize = 16;

fn alert_id(key: &GroupKey, end: Ticks, hash: &dyn Fn(&[u8]) -> [u8; 16]) -> AlertId {
    let (version, end) = (key.version.to_be_bytes(), end.0.to_be_bytes());
    let mut parts: Vec<&[u8]> = vec![key.rule.as_str().as_bytes(), &version, &end];
    parts.extend(key.group.iter().map(String::as_bytes));
    AlertId::from_bytes(hash(&crate::alert::labelled("correlation", &parts)))
}

/// The step that a hit is for correlations of correlations.
fn chained(rules: &RuleSet, hit: &CorrelationHit, seen: Ticks) -> Option<Step> {
    let value = |name: &str| {
        let (_, value) = hit.group.iter().find(|(n, _)| n == name)?;
        Some(value.clone())
    };
    let fields: Vec<Fields> = (rules.correlations.iter().enumerate())
        .filter(|(_, c)| c.refs.contains(&hit.rule))
        .filter_map(|(at, c)| c.fields(at, hit.rule, value))
        .collect();
    let table = hit.records.last()?.table.clone();
    (!fields.is_empty()).then(|| Step {
        rule: hit.rule,
        record: RecordRef {
            table,
            row: RowId::from_bytes(*hit.id.as_bytes()),
            at: hit.last_at,
        },
        seen,
        service: hit.service.clone(),
        fields,
        entities: hit.entities.clone(),
        behind: hit.records.clone(),
    })
}
