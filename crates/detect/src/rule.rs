//! Rules as the rest of the program sees them: who they are, what they look at, how bad it is.
//!
//! A set of texts becomes a [`RuleSet`] and a list of [`Problem`]s. A text that is wrong costs the
//! rules in it and nothing else.

use std::collections::BTreeMap;

use model::{AlertSeverity, DetectionRuleId, RuleKind, RuleRef};
use rsigma_parser::{Level, LogSource};

use crate::attack;
use crate::correlation::Correlation;

/// A rule's text and the name under which problems speak of it, for example a file name.
#[derive(Debug, Clone, Copy)]
pub struct RuleText<'a> {
    /// The name.
    pub name: &'a str,
    /// YAML: one or several Sigma documents.
    pub text: &'a str,
}

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The rule is not in the set.
    Error,
    /// The rule is in the set and does not do what its writer may think.
    Warning,
    /// Style.
    Hint,
}

/// Something wrong with a rule's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the text.
    pub source: String,
    /// Title of the rule, if it got that far.
    pub rule: Option<String>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
    /// How much it matters.
    pub weight: Weight,
    /// What is wrong; may quote the rule.
    pub message: String,
}

impl Problem {
    pub(crate) fn error(source: &str, rule: Option<&str>, message: impl Into<String>) -> Self {
        let message = message.into();
        let (line, column) = position(&message);
        Self {
            source: source.to_owned(),
            rule: rule.map(str::to_owned),
            line,
            column,
            weight: Weight::Error,
            message,
        }
    }

    pub(crate) fn warning(source: &str, rule: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            weight: Weight::Warning,
            ..Self::error(source, rule, message)
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)?;
        if let Some(line) = self.line {
            write!(f, ":{line}:{}", self.column.unwrap_or(1))?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The place that the YAML reader names in words.
fn position(message: &str) -> (Option<u32>, Option<u32>) {
    let number_after = |word: &str| {
        let (_, rest) = message.split_once(word)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    (number_after("line "), number_after("column "))
}

/// What a rule looks at, in Sigma's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedSource {
    /// For example `windows`; `bailiwick` for rules on our own columns.
    pub product: Option<String>,
    /// For example `security`; the table's name in lower case for rules on our own columns.
    pub service: Option<String>,
    /// For example `process_creation`.
    pub category: Option<String>,
}

impl WantedSource {
    pub(crate) fn of(source: &LogSource) -> Self {
        Self {
            product: source.product.clone(),
            service: source.service.clone(),
            category: source.category.clone(),
        }
    }
}

impl std::fmt::Display for WantedSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [&self.product, &self.service, &self.category];
        let words: Vec<&str> = parts.into_iter().filter_map(Option::as_deref).collect();
        f.write_str(&words.join("/"))
    }
}

/// A rule that compiled.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Who it is: the id, the version of its text, and its sort.
    pub reference: RuleRef,
    /// One line.
    pub title: String,
    /// What it means.
    pub description: String,
    /// Who wrote it; some licences ask that alerts say so.
    pub author: String,
    /// The level as written, `medium` if it has none.
    pub level: &'static str,
    /// The level as alerts have it.
    pub severity: AlertSeverity,
    /// Tactic as in `AlertInfo.Category`: that of the first tactic tag.
    pub category: String,
    /// ATT&CK ids as the rule has them, sorted.
    pub techniques: Vec<String>,
    /// The same as version 19 of ATT&CK calls them, sorted.
    pub techniques_now: Vec<String>,
    /// What it looks at; empty for correlations.
    pub source: WantedSource,
    /// The text it comes from.
    pub text: String,
    /// Whether its detections become alerts; a rule that only feeds a correlation makes none.
    pub alerts: bool,
    /// What else may look like it, in the writer's words.
    pub false_positives: Vec<String>,
}

/// What describes any rule document.
pub(crate) struct Head<'a> {
    pub(crate) title: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) author: Option<&'a str>,
    pub(crate) level: Option<Level>,
    pub(crate) tags: &'a [String],
    pub(crate) false_positives: &'a [String],
}

impl Rule {
    pub(crate) fn new(
        reference: RuleRef,
        head: &Head<'_>,
        source: WantedSource,
        text: &str,
    ) -> Self {
        let techniques = sorted(head.tags.iter().filter_map(|t| attack::technique(t)));
        let now = techniques.iter().map(|t| attack::current(t).to_owned());
        let level = head.level.unwrap_or(Level::Medium);
        Self {
            reference,
            title: cut(head.title, model::limits::ALERT_TITLE_BYTES_MAX),
            description: head.description.unwrap_or_default().trim().to_owned(),
            author: head.author.unwrap_or_default().to_owned(),
            level: level.as_str(),
            severity: severity(level),
            category: category(head.tags).to_owned(),
            techniques_now: sorted(now),
            techniques,
            source,
            text: text.to_owned(),
            alerts: true,
            false_positives: head.false_positives.to_vec(),
        }
    }
}

/// Compiled rules, in the order of their texts: single-row rules first, then correlations.
#[derive(Debug, Default)]
pub struct RuleSet {
    pub(crate) rules: Vec<Rule>,
    pub(crate) correlations: Vec<Correlation>,
    pub(crate) version: u64,
}

impl RuleSet {
    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule with this id.
    pub fn rule(&self, id: &DetectionRuleId) -> Option<&Rule> {
        self.rules.iter().find(|r| r.reference.id == *id)
    }

    /// A hash of all texts in their order: another content is another version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many rules of each sort there are.
    pub fn counts(&self) -> BTreeMap<RuleKind, usize> {
        let mut counts = BTreeMap::new();
        for rule in &self.rules {
            *counts.entry(rule.reference.kind).or_default() += 1;
        }
        counts
    }
}

pub(crate) fn severity(level: Level) -> AlertSeverity {
    match level {
        Level::Informational => AlertSeverity::Informational,
        Level::Low => AlertSeverity::Low,
        Level::Medium => AlertSeverity::Medium,
        Level::High | Level::Critical => AlertSeverity::High,
    }
}

fn category(tags: &[String]) -> &'static str {
    let mut tactics = tags.iter().filter_map(|t| attack::tactic(t));
    tactics.next().unwrap_or(attack::NO_TACTIC)
}

pub(crate) fn sorted(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = items.collect();
    all.sort();
    all.dedup();
    all
}

/// The start of a text, at most so many bytes, whole characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    text.get(..text.floor_char_boundary(bytes_max))
        .unwrap_or_default()
        .to_owned()
}
