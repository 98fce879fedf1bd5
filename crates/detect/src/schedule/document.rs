//! The document of a scheduled rule, YAML or JSON, and what it must be.
//!
//! Frequency and look-back keep the bounds that the vendor documents for custom detections: 5
//! minutes to 14 days between runs, and the look-back at least that, below 48 hours under an hour,
//! at most 14 days under a day, else at most 30.

use std::collections::{BTreeMap, BTreeSet};

use model::ticks::Span100ns;
use model::{
    AlertSeverity, DetectionRuleId, EntityKind, EntityRole, RuleKind, RuleRef, ServiceName, limits,
};
use serde::Deserialize;

use crate::attack;
use crate::compile::nests_too_deep;
use crate::place;
use crate::rule::{Problem, RuleText, cut, sorted};
use crate::version::Version;

/// A scheduled rule that is as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledRule {
    /// Who it is.
    pub reference: RuleRef,
    /// One line.
    pub title: String,
    /// What it means.
    pub description: String,
    /// How bad.
    pub severity: AlertSeverity,
    /// Tactic as in `AlertInfo.Category`.
    pub category: String,
    /// ATT&CK technique ids, sorted.
    pub techniques: Vec<String>,
    /// The service that its alerts count to.
    pub service: ServiceName,
    /// The query's text.
    pub query: String,
    /// Time between two runs.
    pub frequency: Span100ns,
    /// How far back a run looks.
    pub look_back: Span100ns,
    /// Columns that the result must have: those stated, the time's, and those that are mapped.
    pub required_columns: Vec<String>,
    /// The column with a row's time.
    pub time_column: String,
    /// Which columns name what the alert is about; at least one.
    pub entities: Vec<EntityMapping>,
    /// Whether rows with the same entities are one alert, and rows reported before are none.
    pub deduplicate: bool,
    /// The name of its text.
    pub text: String,
}

impl ScheduledRule {
    /// A problem of the rule's query, with its place in the rule's text; `offset` is a byte of the query.
    pub fn query_problem(&self, text: &RuleText<'_>, offset: usize, message: String) -> Problem {
        let problem = Problem::error(text.name, Some(&self.title), message);
        let (line, column) = place::of_query(text.text, &self.query, offset).unzip();
        Problem {
            line,
            column,
            ..problem
        }
    }

    /// What the rule needs of the query's result and the result does not have, with its place.
    pub fn column_problems(&self, text: &RuleText<'_>, columns: &[String]) -> Vec<Problem> {
        let missing = self.missing_columns(columns).into_iter();
        let problem = |name: &str| {
            let message = format!("the query's result has no column `{name}`");
            let problem = Problem::error(text.name, Some(&self.title), message);
            at_key(text, "required_columns", problem)
        };
        missing.map(problem).collect()
    }
}

/// Columns that name one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityMapping {
    /// What it is.
    pub kind: EntityKind,
    /// Its part.
    pub role: EntityRole,
    /// What each column says, by the name that `AlertEvidence` has for it.
    pub columns: BTreeMap<String, String>,
}

/// Scheduled rules by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduledRules {
    /// The rules, in the order of their texts.
    pub rules: Vec<ScheduledRule>,
    /// What is wrong with the others.
    pub problems: Vec<Problem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    id: String,
    title: String,
    #[serde(default)]
    description: String,
    severity: String,
    category: String,
    #[serde(default)]
    techniques: Vec<String>,
    #[serde(default)]
    service: Option<String>,
    query: String,
    frequency: String,
    look_back: String,
    #[serde(default)]
    required_columns: Vec<String>,
    #[serde(default)]
    time_column: Option<String>,
    entities: Vec<Mapping>,
    #[serde(default = "yes")]
    deduplicate: bool,
    /// For people; not read.
    #[serde(default, rename = "author")]
    _author: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    role: Option<String>,
    columns: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// Reads scheduled rules. What is wrong with one costs the others nothing.
pub fn compile_scheduled(texts: &[RuleText<'_>]) -> ScheduledRules {
    let mut out = ScheduledRules::default();
    let mut ids = BTreeSet::new();
    for text in texts.iter().take(limits::RULES_MAX) {
        match rule(text) {
            Ok(rule) if ids.insert(rule.reference.id.clone()) => out.rules.push(rule),
            Ok(rule) => out.problems.push(Problem::error(
                text.name,
                Some(&rule.title),
                format!("another rule has the id `{}`", rule.reference.id),
            )),
            Err(problems) => out.problems.extend(problems),
        }
    }
    out
}

fn rule(text: &RuleText<'_>) -> Result<ScheduledRule, Vec<Problem>> {
    let problem = |title: Option<&str>, message: String| Problem::error(text.name, title, message);
    if text.text.len() > limits::RULE_BYTES_MAX {
        let message = format!("the text is longer than {} bytes", limits::RULE_BYTES_MAX);
        return Err(vec![problem(None, message)]);
    }
    if let Some(problem) = nests_too_deep(text) {
        return Err(vec![problem]);
    }
    // JSON is YAML.
    let document: Document =
        yaml_serde::from_str(text.text).map_err(|e| vec![problem(None, e.to_string())])?;
    let title = document.title.clone();
    let mut wrong = Wrong::default();
    let checked = check(text, document, &mut wrong);
    match checked {
        Some(rule) if wrong.is_empty() => Ok(rule),
        _ => Err(wrong
            .0
            .into_iter()
            .map(|(key, message)| at_key(text, key, problem(Some(&title), message)))
            .collect()),
    }
}

/// What is wrong with a document, by the key that says it.
#[derive(Default)]
struct Wrong(Vec<(&'static str, String)>);

impl Wrong {
    fn push(&mut self, key: &'static str, message: String) {
        self.0.push((key, message));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The problem with the place of its key; of a list's member with that of the word that it quotes.
pub(super) fn at_key(text: &RuleText<'_>, key: &str, problem: Problem) -> Problem {
    let of_list = matches!(key, "entities" | "techniques" | "required_columns");
    let mut quoted = problem.message.split('`').skip(1).step_by(2);
    let word = quoted.next().filter(|_| of_list);
    let place = word.and_then(|word| place::of_word(text.text, word));
    match place.or_else(|| place::of_key(text.text, key)) {
        Some((line, column)) => Problem {
            line: Some(line),
            column: Some(column),
            ..problem
        },
        None => problem,
    }
}

fn check(text: &RuleText<'_>, document: Document, wrong: &mut Wrong) -> Option<ScheduledRule> {
    let id = DetectionRuleId::new(&document.id).ok();
    let severity = AlertSeverity::parse(&document.severity);
    let service = ServiceName::new(document.service.as_deref().unwrap_or("xdr")).ok();
    let frequency = span(&document.frequency);
    let look_back = span(&document.look_back);
    words(&document, wrong);
    let entities: Vec<EntityMapping> = document
        .entities
        .iter()
        .filter_map(|m| mapping(m, wrong))
        .collect();
    if entities.is_empty() && wrong.is_empty() {
        wrong.push("entities", "no entity is mapped".to_owned());
    }
    let (frequency, look_back) = (frequency?, look_back?);
    bounds(frequency, look_back, wrong);
    let time_column = document
        .time_column
        .unwrap_or_else(|| "Timestamp".to_owned());
    let mapped = entities.iter().flat_map(|e| e.columns.values().cloned());
    let required = document
        .required_columns
        .into_iter()
        .chain([time_column.clone()])
        .chain(mapped);
    Some(ScheduledRule {
        reference: RuleRef {
            id: id?,
            version: Version::new().part(text.text.as_bytes()).finish(),
            kind: RuleKind::Scheduled,
        },
        title: cut(&document.title, limits::ALERT_TITLE_BYTES_MAX),
        description: document.description.trim().to_owned(),
        severity: severity?,
        category: document.category,
        techniques: sorted(document.techniques.iter().map(|t| t.to_ascii_uppercase())),
        service: service?,
        query: document.query,
        frequency,
        look_back,
        required_columns: sorted(required),
        time_column,
        entities,
        deduplicate: document.deduplicate,
        text: text.name.to_owned(),
    })
}

/// Words that are none of those there are.
fn words(document: &Document, wrong: &mut Wrong) {
    let service = document.service.as_deref().unwrap_or("xdr");
    let missing = [
        (
            DetectionRuleId::new(&document.id).is_err(),
            "id",
            document.id.as_str(),
        ),
        (
            AlertSeverity::parse(&document.severity).is_none(),
            "severity",
            &document.severity,
        ),
        (
            span(&document.frequency).is_none(),
            "frequency",
            &document.frequency,
        ),
        (
            span(&document.look_back).is_none(),
            "look_back",
            &document.look_back,
        ),
        (ServiceName::new(service).is_err(), "service", service),
        (
            !attack::CATEGORIES.contains(&document.category.as_str()),
            "category",
            &document.category,
        ),
    ];
    for (is, what, value) in missing {
        if is {
            wrong.push(what, format!("`{}` is no {what}", cut(value, 80)));
        }
    }
    for technique in &document.techniques {
        if !attack::is_technique(technique) {
            let message = format!("`{}` is no technique id", cut(technique, 80));
            wrong.push("techniques", message);
        }
    }
    if document.query.trim().is_empty() {
        wrong.push("query", "the query is empty".to_owned());
    }
}

fn bounds(frequency: Span100ns, look_back: Span100ns, wrong: &mut Wrong) {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;
    const DAY: i64 = 86_400;
    let (every, back) = (frequency.0, look_back.0);
    let seconds = |n: i64| Span100ns::seconds(n).0;
    if !(seconds(5 * MINUTE)..=seconds(14 * DAY)).contains(&every) {
        let message = "the frequency is not between 5 minutes and 14 days";
        wrong.push("frequency", message.to_owned());
    }
    if back < every {
        let message = "the look-back is shorter than the frequency: rows would be missed";
        wrong.push("look_back", message.to_owned());
    }
    let (most, said) = if every < seconds(HOUR) {
        (
            seconds(48 * HOUR) - 1,
            "below 48 hours for a rule that runs more than hourly",
        )
    } else if every < seconds(DAY) {
        (
            seconds(14 * DAY),
            "at most 14 days for a rule that runs more than daily",
        )
    } else {
        (seconds(30 * DAY), "at most 30 days")
    };
    if back > most {
        wrong.push("look_back", format!("the look-back must be {said}"));
    }
}

/// `15m`, `1h`, `14d`.
fn span(text: &str) -> Option<Span100ns> {
    let text = text.trim();
    let unit = text.chars().last()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let number: i64 = text.strip_suffix(unit)?.trim().parse().ok()?;
    let all = number.checked_mul(seconds)?;
    // More than a year is beyond every bound, and would overflow ticks.
    (0..=366 * 86_400)
        .contains(&all)
        .then(|| Span100ns::seconds(all))
}

/// Names of `AlertEvidence` that a mapping may give columns for.
pub(super) const KEYS: &[&str] = &[
    "DeviceId",
    "DeviceName",
    "AccountUpn",
    "AccountSid",
    "AccountObjectId",
    "AccountName",
    "AccountDomain",
    "SHA256",
    "SHA1",
    "FileName",
    "FolderPath",
    "RemoteIP",
    "RemoteUrl",
    "NetworkMessageId",
    "EmailSubject",
    "OAuthApplicationId",
    "Application",
    "ResourceID",
    "RegistryKey",
    "RegistryValueName",
    "ProcessCommandLine",
    "SessionId",
];

fn mapping(mapping: &Mapping, wrong: &mut Wrong) -> Option<EntityMapping> {
    let Some(kind) = EntityKind::parse(&mapping.kind) else {
        let message = format!("`{}` is no entity type", cut(&mapping.kind, 80));
        wrong.push("entities", message);
        return None;
    };
    let word = mapping.role.as_deref().unwrap_or("Impacted");
    let Some(role) = EntityRole::parse(word) else {
        let message = format!("`{}` is no evidence role", cut(word, 80));
        wrong.push("entities", message);
        return None;
    };
    if mapping.columns.is_empty() {
        wrong.push("entities", format!("the entity `{kind}` has no column"));
    }
    for name in mapping.columns.keys() {
        if !KEYS.contains(&name.as_str()) {
            let message = format!("`{}` is nothing that an entity is known by", cut(name, 80));
            wrong.push("entities", message);
        }
    }
    Some(EntityMapping {
        kind,
        role,
        columns: mapping.columns.clone(),
    })
}
