//! What is wrong with a rule's text, whatever sort of rule it is.

use detect::schedule::compile_scheduled;
use detect::{Problem, RuleText};

/// Whether a text is a query on a schedule rather than Sigma: only those have a `query`.
pub fn is_scheduled_rule(text: &str) -> bool {
    let json = || text.trim_start().starts_with('{') && text.contains("\"query\"");
    text.lines().any(|line| line.starts_with("query:")) || json()
}

/// Everything that is wrong with rules, in the order of the texts. Nothing is stored.
pub fn check_rules(texts: &[RuleText<'_>]) -> Vec<Problem> {
    let is_scheduled = |t: &&RuleText<'_>| is_scheduled_rule(t.text);
    let scheduled: Vec<RuleText<'_>> = texts.iter().filter(is_scheduled).copied().collect();
    let sigma: Vec<RuleText<'_>> = texts.iter().filter(|t| !is_scheduled(t)).copied().collect();
    let mut problems = detect::check(&sigma);
    problems.extend(compile_scheduled(&scheduled).problems);
    let place = |name: &str| texts.iter().position(|t| t.name == name);
    problems.sort_by_key(|p| place(&p.source));
    problems
}
