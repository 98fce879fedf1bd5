//! What `rule check` and `rule explain` say: problems beyond not compiling, and a rule in words.
//!
//! The library's own lint knows Sigma; what is added here knows our rows: a field that no row of the
//! log source has can never match, and a log source that nothing makes is one for nobody.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use model::{Schema, limits};
use rsigma_parser::{
    CorrelationRule, Detection, LogSource, Severity, SigmaRule, lint_yaml_str, parse_sigma_yaml,
};

use crate::compile::{compile, nests_too_deep};
use crate::logsource::{self, OWN};
use crate::place::locate;
use crate::rule::{Problem, RuleText, WantedSource, Weight};
use crate::taxonomy;

/// Everything that is wrong with some texts, in their order: what does not compile, what can never
/// match, what is missing, and style.
pub fn check(texts: &[RuleText<'_>]) -> Vec<Problem> {
    let mut problems = compile(texts).problems;
    for text in texts {
        if text.text.len() > limits::RULE_BYTES_MAX || nests_too_deep(text).is_some() {
            continue;
        }
        problems.extend(lint(text));
        let Ok(parsed) = parse_sigma_yaml(text.text) else {
            continue;
        };
        for rule in &parsed.rules {
            problems.extend(of_rule(text, rule));
        }
        for rule in &parsed.correlations {
            problems.extend(missing(
                text,
                &rule.title,
                rule.id.is_none(),
                rule.level.is_none(),
            ));
        }
    }
    for text in texts {
        locate(&mut problems, text.name, text.text);
    }
    let place = |name: &str| texts.iter().position(|t| t.name == name);
    problems.sort_by_key(|p| (place(&p.source), p.line, p.weight));
    problems.dedup();
    problems
}

fn lint(text: &RuleText<'_>) -> Vec<Problem> {
    let weight = |severity| match severity {
        Severity::Error => Weight::Error,
        Severity::Warning => Weight::Warning,
        Severity::Info | Severity::Hint => Weight::Hint,
    };
    lint_yaml_str(text.text)
        .into_iter()
        .map(|w| Problem {
            source: text.name.to_owned(),
            rule: None,
            line: w.span.map(|s| s.start_line + 1),
            column: w.span.map(|s| s.start_col + 1),
            weight: weight(w.severity),
            message: w.message,
        })
        .collect()
}

fn missing(text: &RuleText<'_>, title: &str, id: bool, level: bool) -> Vec<Problem> {
    let warn =
        |is: bool, message: &str| is.then(|| Problem::warning(text.name, Some(title), message));
    [
        warn(
            id,
            "the rule has no id: a change of its title makes it another rule",
        ),
        warn(level, "the rule has no level: `medium` is assumed"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn of_rule(text: &RuleText<'_>, rule: &SigmaRule) -> Vec<Problem> {
    let mut problems = missing(text, &rule.title, rule.id.is_none(), rule.level.is_none());
    let warning = |message: String| Problem::warning(text.name, Some(&rule.title), message);
    match fields_of(&rule.logsource) {
        Known::Nothing => problems.push(warning(format!(
            "no row has the log source `{}`",
            WantedSource::of(&rule.logsource)
        ))),
        Known::Any => {}
        Known::Fields(known) => {
            for field in fields(rule) {
                let root = field.split(['.', '[']).next().unwrap_or(&field);
                if !known.contains(field.as_str()) && !known.contains(root) {
                    problems.push(warning(format!(
                        "no row of `{}` has a field `{field}`",
                        WantedSource::of(&rule.logsource)
                    )));
                }
            }
        }
    }
    problems
}

/// What is known of a log source's fields.
enum Known {
    /// No row has the source.
    Nothing,
    /// Its rows keep their source's own names, whatever these are.
    Any,
    /// All of them.
    Fields(BTreeSet<&'static str>),
}

fn fields_of(source: &LogSource) -> Known {
    let is = |part: &Option<String>, word: &str| {
        part.as_deref()
            .is_some_and(|p| p.eq_ignore_ascii_case(word))
    };
    if is(&source.product, OWN) {
        let service = source.service.as_deref().unwrap_or_default();
        let mut tables = Schema::hunting().tables();
        let table = tables.find(|t| t.name.as_str().eq_ignore_ascii_case(service));
        // A tenant's own tables are not known here.
        return table.map_or(Known::Any, |table| {
            Known::Fields(table.columns.iter().map(|c| &*c.name).collect())
        });
    }
    if is(&source.product, "windows") {
        let known = |category: &str| logsource::is_windows_category(category);
        let none = source.category.as_deref().is_some_and(|c| !known(c));
        return if none { Known::Nothing } else { Known::Any };
    }
    if let (Some(product), Some(service)) = (&source.product, &source.service)
        && let Some(names) = taxonomy::names_of(product, service)
    {
        return Known::Fields(names.iter().map(|(name, _)| *name).collect());
    }
    Known::Any
}

/// The fields that a rule names, without modifiers, sorted.
fn fields(rule: &SigmaRule) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    // The order of the map does not reach the set's.
    #[expect(clippy::iter_over_hash_type, reason = "collected into a sorted set")]
    for detection in rule.detection.named.values() {
        collect(detection, &mut all);
    }
    all
}

fn collect(detection: &Detection, all: &mut BTreeSet<String>) {
    match detection {
        Detection::AllOf(items) => all.extend(items.iter().filter_map(|i| i.field.name.clone())),
        Detection::AnyOf(parts) | Detection::And(parts) => {
            for part in parts {
                collect(part, all);
            }
        }
        Detection::ArrayMatch { field, .. } => {
            all.insert(field.clone());
        }
        Detection::Keywords(_) | Detection::Conditional { .. } => {}
    }
}

/// What the rules of a text want, in words.
pub fn explain(text: &RuleText<'_>) -> Result<String, Problem> {
    let parsed =
        parse_sigma_yaml(text.text).map_err(|e| Problem::error(text.name, None, e.to_string()))?;
    if let Some(message) = parsed.errors.first() {
        return Err(Problem::error(text.name, None, message.as_str()));
    }
    let mut out = String::new();
    for rule in &parsed.rules {
        explain_rule(rule, &mut out);
    }
    for rule in &parsed.correlations {
        explain_correlation(rule, &mut out);
    }
    Ok(out)
}

fn explain_rule(rule: &SigmaRule, out: &mut String) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{}", rule.title);
    let _ = writeln!(out, "  looks at {}", sees(&rule.logsource));
    let mut names: Vec<&String> = rule.detection.named.keys().collect();
    names.sort();
    for name in names {
        let _ = writeln!(out, "  {name}:");
        if let Some(detection) = rule.detection.named.get(name) {
            explain_detection(detection, 2, out);
        }
    }
    for condition in &rule.detection.conditions {
        let _ = writeln!(out, "  alerts when {condition}");
    }
}

fn sees(source: &LogSource) -> String {
    let wanted = WantedSource::of(source);
    match (&source.product, &source.service) {
        (Some(product), Some(service)) if product.eq_ignore_ascii_case(OWN) => {
            format!("rows of the table `{service}`, by our columns")
        }
        _ if wanted.to_string().is_empty() => "rows of every log source".to_owned(),
        _ => format!("rows of `{wanted}`"),
    }
}

fn explain_detection(detection: &Detection, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match detection {
        Detection::AllOf(items) => {
            for item in items {
                let words: Vec<String> = (item.field.modifiers.iter())
                    .map(|m| format!("{m:?}").to_lowercase())
                    .collect();
                let how = if words.is_empty() {
                    "is".to_owned()
                } else {
                    words.join(" ")
                };
                let every = item.field.has_modifier(rsigma_parser::Modifier::All);
                let joined = if every { " and " } else { " or " };
                let values: Vec<String> = item.values.iter().map(|v| format!("`{v}`")).collect();
                let name = item.field.name.as_deref().unwrap_or("any text");
                let _ = writeln!(out, "{indent}{name} {how} {}", values.join(joined));
            }
        }
        Detection::AnyOf(parts) => explain_parts("any of", parts, depth, out),
        Detection::And(parts) => explain_parts("all of", parts, depth, out),
        Detection::Keywords(values) => {
            let values: Vec<String> = values.iter().map(|v| format!("`{v}`")).collect();
            let _ = writeln!(out, "{indent}any text has {}", values.join(" or "));
        }
        Detection::ArrayMatch {
            field,
            quantifier,
            body,
        } => {
            let _ = writeln!(out, "{indent}{quantifier} of the members of {field}:");
            explain_detection(body, depth + 1, out);
        }
        Detection::Conditional { condition, .. } => {
            let _ = writeln!(out, "{indent}{condition}");
        }
    }
}

fn explain_parts(word: &str, parts: &[Detection], depth: usize, out: &mut String) {
    let _ = writeln!(out, "{}{word}:", "  ".repeat(depth));
    for part in parts {
        explain_detection(part, depth + 1, out);
    }
}

fn explain_correlation(rule: &CorrelationRule, out: &mut String) {
    let _ = writeln!(out, "{}", rule.title);
    let _ = writeln!(
        out,
        "  {} of {}",
        rule.correlation_type.as_str(),
        rule.rules.join(", ")
    );
    let _ = writeln!(out, "  within {}", rule.timespan);
    if !rule.group_by.is_empty() {
        let _ = writeln!(out, "  with the same {}", rule.group_by.join(", "));
    }
    match &rule.condition {
        rsigma_parser::CorrelationCondition::Extended(e) => {
            let _ = writeln!(out, "  alerts when {e}");
        }
        rsigma_parser::CorrelationCondition::Threshold {
            predicates, field, ..
        } => {
            for (op, than) in predicates {
                let what = field.as_ref().map_or_else(String::new, |f| {
                    format!("different values of {} ", f.join(", "))
                });
                let op = format!("{op:?}").to_lowercase();
                let _ = writeln!(out, "  alerts when the number {what}is {op} {than}");
            }
        }
    }
    for alias in &rule.aliases {
        let mut fields: Vec<String> = (alias.mapping.iter())
            .map(|(rule, field)| format!("{field} of {rule}"))
            .collect();
        fields.sort();
        let _ = writeln!(out, "  where {} is {}", alias.alias, fields.join(", "));
    }
}
