//! What is wrong with a rule's text, whatever sort of rule it is.
//!
//! A scheduled rule's query is read and bound to tables and columns as a hunt's is, and its result must
//! have the columns that the rule needs: what cannot run is told before it is kept.

use std::sync::atomic::{AtomicBool, Ordering};

use detect::schedule::{ScheduledRule, compile_scheduled};
use detect::{Problem, RuleText, Weight};
use model::{Severity, TableName, Ticks};

use crate::hunt::{HuntSchema, Hunting, Prepared};

/// `kql`'s code of a table that does not exist.
const UNKNOWN_TABLE: &str = "KQL0203";
/// How names of tables that a source makes up usually end.
const OWN_TABLE: &str = "_CL";

/// What queries are checked against.
#[derive(Debug)]
pub struct Queries<'a> {
    /// The engine that would run them.
    pub hunting: &'a dyn Hunting,
    /// Tables beyond the shipped schema.
    pub schema: &'a HuntSchema,
    /// What `now()` is.
    pub now: Ticks,
    /// Whether there may be tables outside the schema that are not known here: of a tenant that nobody
    /// named, or in another region of it. A query that names one cannot be checked, and that is said.
    pub others: bool,
}

/// Whether a text is a query on a schedule rather than Sigma: only those have a `query`.
pub fn is_scheduled_rule(text: &str) -> bool {
    let json = || text.trim_start().starts_with('{') && text.contains("\"query\"");
    text.lines().any(|line| line.starts_with("query:")) || json()
}

/// Everything that is wrong with rules, in the order of the texts. Nothing is stored. Stops between two
/// parts of the work if nobody wants to know any more.
pub fn check_rules(
    texts: &[RuleText<'_>],
    queries: &Queries<'_>,
    stop: &AtomicBool,
) -> Vec<Problem> {
    let is_scheduled = |t: &&RuleText<'_>| is_scheduled_rule(t.text);
    let sigma: Vec<RuleText<'_>> = texts.iter().filter(|t| !is_scheduled(t)).copied().collect();
    let mut problems = detect::check(&sigma);
    let scheduled: Vec<RuleText<'_>> = texts.iter().filter(is_scheduled).copied().collect();
    let compiled = compile_scheduled(&scheduled);
    problems.extend(compiled.problems);
    for rule in &compiled.rules {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let text = scheduled.iter().find(|t| t.name == rule.text);
        if let Some(text) = text {
            problems.extend(query_problems(text, rule, queries).0);
        }
    }
    let place = |name: &str| texts.iter().position(|t| t.name == name);
    problems.sort_by_key(|p| place(&p.source));
    problems
}

/// What is wrong with a scheduled rule's query, and the tables that it reads.
pub(crate) fn query_problems(
    text: &RuleText<'_>,
    rule: &ScheduledRule,
    queries: &Queries<'_>,
) -> (Vec<Problem>, std::collections::BTreeSet<TableName>) {
    let Queries {
        hunting, schema, ..
    } = queries;
    let Prepared {
        tables,
        diagnostics,
        columns,
        has_several,
        plan,
    } = hunting.prepare(&rule.query, schema, queries.now);
    let mut problems = Vec::new();
    for finding in &diagnostics {
        let weight = match finding.severity {
            Severity::Error if queries.others && is_own_table(finding) => Weight::Warning,
            Severity::Error => Weight::Error,
            Severity::Warning => Weight::Warning,
            Severity::Notice => continue,
        };
        let start = usize::try_from(finding.span.start).unwrap_or(usize::MAX);
        let before = rule.query.get(..rule.query.floor_char_boundary(start));
        let before = before.unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        let (code, said) = (&finding.code, &finding.message);
        let help = finding.help.as_deref().map(|help| format!(" ({help})"));
        let message = format!(
            "{code}: {said}{} [line {line}, column {column} of the query]",
            help.unwrap_or_default()
        );
        problems.push(Problem {
            weight,
            ..rule.query_problem(text, start, message)
        });
    }
    if has_several {
        let message = "a rule's query has one result, and this one has several".to_owned();
        problems.push(rule.query_problem(text, 0, message));
    }
    if let (Some(columns), true) = (columns, plan.is_some()) {
        let names: Vec<String> = columns.into_iter().map(|c| c.name).collect();
        problems.extend(rule.column_problems(text, &names));
    }
    (problems, tables)
}

/// Whether a finding is about a table that a source may have made up elsewhere.
fn is_own_table(finding: &model::Diagnostic) -> bool {
    let mut quoted = finding.message.split('`').skip(1).step_by(2);
    finding.code == UNKNOWN_TABLE && quoted.any(|name| name.ends_with(OWN_TABLE))
}
