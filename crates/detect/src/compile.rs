//! Texts to an engine: parsing, ids, references of correlations and filters, compiling.

use std::collections::{BTreeMap, BTreeSet};

use model::{DetectionRuleId, RuleKind, RuleRef, limits};
use rsigma_eval::{CompiledRule, compile_rule};
use rsigma_parser::{
    CorrelationRule, FilterRule, FilterRuleTarget, SigmaCollection, SigmaRule, parse_sigma_yaml,
};

use crate::bulk::{pattern_bytes, too_deep};
use crate::correlation::Correlation;
use crate::engine::SigmaEngine;
use crate::place::locate;
use crate::rule::{Head, Problem, Rule, RuleSet, RuleText, WantedSource};
use crate::version::Version;

/// An engine of what compiled, and what did not.
#[derive(Debug)]
pub struct Compiled {
    /// The engine.
    pub engine: SigmaEngine,
    /// What is wrong, in the order of the texts.
    pub problems: Vec<Problem>,
}

/// Compiles a set of rule texts. What is wrong with one costs the others nothing.
pub fn compile(texts: &[RuleText<'_>]) -> Compiled {
    let mut build = Build::default();
    let mut version = Version::new();
    for text in texts {
        version = version
            .part(text.name.as_bytes())
            .part(text.text.as_bytes());
    }
    build.set.version = version.finish();
    if texts.len() > limits::RULES_MAX {
        let message = format!("only the first {} texts are taken", limits::RULES_MAX);
        build.problems.push(Problem::error("", None, message));
    }
    let taken = texts.get(..limits::RULES_MAX).unwrap_or(texts);
    let parsed: Vec<(&RuleText<'_>, SigmaCollection)> = taken
        .iter()
        .filter_map(|text| Some((text, build.parse(text)?)))
        .collect();
    build.filters_version = filters_version(&parsed);
    for (text, collection) in &parsed {
        for rule in &collection.rules {
            build.rule(text, rule);
        }
    }
    for (text, collection) in &parsed {
        for filter in &collection.filters {
            build.filter(text, filter);
        }
    }
    let correlations = parsed.iter().flat_map(|(text, collection)| {
        let of_text = collection.correlations.iter();
        of_text.map(|correlation| (*text, correlation))
    });
    build.correlations(correlations.collect());
    let mut compiled = build.finish();
    for text in taken {
        locate(&mut compiled.problems, text.name, text.text);
    }
    compiled
}

/// Versions of all filter texts: a rule whose exclusions change is another version.
fn filters_version(parsed: &[(&RuleText<'_>, SigmaCollection)]) -> u64 {
    let filters = parsed.iter().filter(|(_, c)| !c.filters.is_empty());
    let mut all = filters.peekable();
    if all.peek().is_none() {
        return 0;
    }
    all.fold(Version::new(), |v, (text, _)| v.part(text.text.as_bytes()))
        .finish()
}

#[derive(Default)]
struct Build {
    set: RuleSet,
    problems: Vec<Problem>,
    compiled: Vec<CompiledRule>,
    filters: Vec<FilterRule>,
    ids: BTreeSet<DetectionRuleId>,
    /// Rules by id and by name, for references.
    known: BTreeMap<String, usize>,
    /// Rules that a correlation uses up, and those that it lets speak beside it.
    silent: BTreeSet<usize>,
    loud: BTreeSet<usize>,
    filters_version: u64,
    /// Bytes of compiled patterns: of the text that is being read, and of all.
    pattern_bytes: (String, usize),
    all_pattern_bytes: usize,
}

/// The reader takes very long to give up on such a text.
pub(crate) fn nests_too_deep(text: &RuleText<'_>) -> Option<Problem> {
    let (line, column) = too_deep(text.text)?;
    let message = format!("the text nests deeper than {}", limits::RULE_DEPTH_MAX);
    Some(Problem {
        line: Some(line),
        column: Some(column),
        ..Problem::error(text.name, None, message)
    })
}

impl Build {
    fn parse(&mut self, text: &RuleText<'_>) -> Option<SigmaCollection> {
        if text.text.len() > limits::RULE_BYTES_MAX {
            let message = format!("the text is longer than {} bytes", limits::RULE_BYTES_MAX);
            self.problems.push(Problem::error(text.name, None, message));
            return None;
        }
        if let Some(problem) = nests_too_deep(text) {
            self.problems.push(problem);
            return None;
        }
        match parse_sigma_yaml(text.text) {
            Ok(collection) => {
                for message in &collection.errors {
                    self.problems
                        .push(Problem::error(text.name, None, message.as_str()));
                }
                Some(collection)
            }
            Err(e) => {
                self.problems
                    .push(Problem::error(text.name, None, e.to_string()));
                None
            }
        }
    }

    fn rule(&mut self, text: &RuleText<'_>, rule: &SigmaRule) {
        let head = Head {
            title: &rule.title,
            description: rule.description.as_deref(),
            author: rule.author.as_deref(),
            level: rule.level,
            tags: &rule.tags,
            false_positives: &rule.falsepositives,
        };
        let Some(reference) =
            self.reference(text, &rule.title, rule.id.as_deref(), RuleKind::Sigma)
        else {
            return;
        };
        if let Some(message) = self.patterns_too_large(text.name, rule) {
            let problem = Problem::error(text.name, Some(&rule.title), message);
            self.problems.push(problem);
            return;
        }
        let at = self.set.rules.len();
        // The library gives back the id it was given, so it is given the index.
        let numbered = SigmaRule {
            id: Some(at.to_string()),
            ..rule.clone()
        };
        match compile_rule(&numbered) {
            Ok(compiled) => self.compiled.push(compiled),
            Err(e) => {
                self.problems
                    .push(Problem::error(text.name, Some(&rule.title), e.to_string()));
                return;
            }
        }
        self.know(&[rule.id.as_deref(), rule.name.as_deref()], &reference, at);
        let source = WantedSource::of(&rule.logsource);
        self.set
            .rules
            .push(Rule::new(reference, &head, source, text.name));
    }

    /// What is said of a rule whose patterns would take too much memory; else counts them.
    fn patterns_too_large(&mut self, text: &str, rule: &SigmaRule) -> Option<String> {
        if self.pattern_bytes.0 != text {
            self.pattern_bytes = (text.to_owned(), 0);
        }
        let of_text = limits::RULE_PATTERN_BYTES_MAX - self.pattern_bytes.1;
        let of_all = limits::RULES_PATTERN_BYTES_MAX.saturating_sub(self.all_pattern_bytes);
        match pattern_bytes(rule, of_text.min(of_all)) {
            Some(bytes) => {
                self.pattern_bytes.1 += bytes;
                self.all_pattern_bytes += bytes;
                None
            }
            None if of_all < of_text => Some(format!(
                "the patterns of all rules together would be larger than {} bytes compiled",
                limits::RULES_PATTERN_BYTES_MAX
            )),
            None => Some(format!(
                "the patterns of one text may be {} bytes compiled; these are larger",
                limits::RULE_PATTERN_BYTES_MAX
            )),
        }
    }

    fn filter(&mut self, text: &RuleText<'_>, filter: &FilterRule) {
        let mut filter = filter.clone();
        if let FilterRuleTarget::Specific(wanted) = &filter.rules {
            let mut found = Vec::new();
            for name in wanted {
                match self.known.get(name) {
                    Some(at) => found.push(at.to_string()),
                    None => self.problems.push(Problem::warning(
                        text.name,
                        Some(&filter.title),
                        format!("the filter names `{name}`, which is no rule here"),
                    )),
                }
            }
            if found.is_empty() {
                return;
            }
            filter.rules = FilterRuleTarget::Specific(found);
        }
        self.filters.push(filter);
    }

    /// Adds correlations, those that others refer to first.
    fn correlations(&mut self, mut waiting: Vec<(&RuleText<'_>, &CorrelationRule)>) {
        loop {
            let (ready, rest): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .partition(|(_, rule)| rule.rules.iter().all(|r| self.known.contains_key(r)));
            for (text, rule) in &ready {
                self.correlation(text, rule);
            }
            waiting = rest;
            if ready.is_empty() {
                break;
            }
        }
        for (text, rule) in waiting {
            let unknown = rule.rules.iter().find(|r| !self.known.contains_key(*r));
            let message = format!(
                "the correlation names `{}`, which is no rule here, or is the correlation itself",
                unknown.map_or("", String::as_str)
            );
            self.problems
                .push(Problem::error(text.name, Some(&rule.title), message));
        }
    }

    fn correlation(&mut self, text: &RuleText<'_>, rule: &CorrelationRule) {
        let at = self.set.rules.len();
        let correlation = match Correlation::new(rule, at, &self.known, &self.set.correlations) {
            Ok(correlation) => correlation,
            Err(message) => {
                self.problems
                    .push(Problem::error(text.name, Some(&rule.title), message));
                return;
            }
        };
        let kind = RuleKind::Correlation;
        let Some(reference) = self.reference(text, &rule.title, rule.id.as_deref(), kind) else {
            return;
        };
        let head = Head {
            title: &rule.title,
            description: rule.description.as_deref(),
            author: rule.author.as_deref(),
            level: rule.level,
            tags: &rule.tags,
            false_positives: &rule.falsepositives,
        };
        self.know(&[rule.id.as_deref(), rule.name.as_deref()], &reference, at);
        let source = WantedSource::default();
        self.set
            .rules
            .push(Rule::new(reference, &head, source, text.name));
        let used = correlation.refs.iter().copied();
        if rule.generate {
            self.loud.extend(used);
        } else {
            self.silent.extend(used);
        }
        self.set.correlations.push(correlation);
    }

    /// The id, version and sort of a rule; a problem if its id is no id or another rule's.
    fn reference(
        &mut self,
        text: &RuleText<'_>,
        title: &str,
        id: Option<&str>,
        kind: RuleKind,
    ) -> Option<RuleRef> {
        let made = || {
            let hash = Version::new()
                .part(text.name.as_bytes())
                .part(title.as_bytes());
            format!("unnamed-{:016x}", hash.finish())
        };
        let word = id.map_or_else(made, str::to_owned);
        let Ok(id) = DetectionRuleId::new(&word) else {
            let message = format!("`{word}` cannot be a rule's id");
            self.problems
                .push(Problem::error(text.name, Some(title), message));
            return None;
        };
        if !self.ids.insert(id.clone()) {
            let message = format!("another rule has the id `{word}`");
            self.problems
                .push(Problem::error(text.name, Some(title), message));
            return None;
        }
        let version = Version::new().part(text.text.as_bytes());
        let filters = self.filters_version.to_le_bytes();
        Some(RuleRef {
            id,
            version: version.part(&filters).finish(),
            kind,
        })
    }

    fn know(&mut self, names: &[Option<&str>], reference: &RuleRef, at: usize) {
        let own = Some(reference.id.as_str());
        for name in names.iter().copied().chain([own]).flatten() {
            self.known.entry(name.to_owned()).or_insert(at);
        }
    }

    fn finish(mut self) -> Compiled {
        for (at, rule) in self.set.rules.iter_mut().enumerate() {
            rule.alerts = self.loud.contains(&at) || !self.silent.contains(&at);
        }
        let sources = self.compiled.iter().map(|r| r.logsource.clone()).collect();
        let mut engine = rsigma_eval::Engine::new();
        engine.extend_compiled_rules(self.compiled);
        for filter in &self.filters {
            if let Err(e) = engine.apply_filter(filter) {
                let title = Some(filter.title.as_str());
                self.problems.push(Problem::error("", title, e.to_string()));
            }
        }
        Compiled {
            engine: SigmaEngine::new(engine, self.set, sources),
            problems: self.problems,
        }
    }
}
