//! Remedies for what people write who know another language, or this one half.
//!
//! The parser says where it could not go on; from the words there this guesses what was meant.
//! A guess changes the help of a finding only, never whether there is one.

use super::Parser;
use crate::operators::Operator;
use crate::syntax::Kind;

/// A word of another language that begins a clause, and what does its work here.
const CLAUSES: &[(&str, &str)] = &[
    ("select", "begin with the table, then choose columns with `| project`"),
    ("from", "begin with the table: `Table | where … | project …`"),
    ("where", "filter with `| where`"),
    ("group", "aggregate with `| summarize … by …`"),
    ("having", "filter after `summarize` with `| where`"),
    ("order", "sort with `| sort by`"),
    ("sort", "sort with `| sort by`"),
    ("limit", "take some rows with `| take`"),
    ("top", "take the first rows with `| top 10 by column`"),
    ("offset", "there is no offset: sort, number the rows with `row_number()`, and filter"),
    ("inner", "join with `| join kind=inner (table) on column`"),
    ("left", "join with `| join kind=leftouter (table) on column`"),
    ("right", "join with `| join kind=rightouter (table) on column`"),
    ("outer", "join with `| join kind=fullouter (table) on column`"),
    ("join", "join with `| join kind=inner (table) on column`"),
    ("stats", "aggregate with `| summarize … by …`"),
    ("eval", "make columns with `| extend name = value`"),
    ("table", "choose columns with `| project`"),
    ("fields", "choose columns with `| project`"),
    ("dedup", "take each combination once with `| distinct`"),
    ("head", "take some rows with `| take`"),
    ("rename", "rename with `| project-rename new = old`"),
    ("groupby", "aggregate with `| summarize … by …`"),
    ("filter", "filter with `| where`"),
    ("orderby", "sort with `| sort by`"),
    ("rex", "take texts apart with `| parse` or `extract()`"),
    ("with", "name a query with `let name = …;`"),
];

impl Parser<'_> {
    /// What to do about the token that could not be read here.
    pub(super) fn habit(&self) -> Option<String> {
        let (kind, text) = self.token(0)?;
        let lower = text.to_ascii_lowercase();
        let next = self.token(1).map_or("", |(_, text)| text);
        let previous = self.previous();
        let fixed = match (kind, lower.as_str()) {
            (Kind::Word, "and" | "or") if text != lower => format!("write it in lower case: `{lower}`"),
            (Kind::Word, "not") => negated(next)?,
            (Kind::Word, "is") => null_check(next, self.token(2).map_or("", |(_, text)| text)),
            (Kind::Word, "as") => {
                "a new name stands before its value: `name = value`".to_owned()
            }
            (Kind::Word, "in") if text != lower => "write it in lower case: `in`".to_owned(),
            (Kind::Word, "like" | "ilike" | "rlike") => LIKE.to_owned(),
            (Kind::Word, "asc" | "desc") if text != lower => {
                format!("write it in lower case: `{lower}`")
            }
            (Kind::Pipe, _) if previous == "|" => "two conditions are joined with `or`".to_owned(),
            (Kind::Minus, _) if next == "-" => "a comment begins with `//`".to_owned(),
            (Kind::Slash, _) if next == "*" => "a comment begins with `//`".to_owned(),
            (Kind::EqualEqual | Kind::Assign, _) if previous == "==" => "compare with `==`".to_owned(),
            (Kind::Assign, _) if previous == "=" => "compare with `==`".to_owned(),
            (Kind::OpenBracket, _) if is_membership(previous) => {
                "write the list in round brackets: `(1, 2)`".to_owned()
            }
            (_, _) if is_membership(previous) => "write the list in brackets: `(\"a\", \"b\")`".to_owned(),
            (_, _) if previous.ends_with("between") => {
                "write the bounds as `(low .. high)`".to_owned()
            }
            (Kind::OpenParen, _) if is_text_operator(previous) => {
                "for one of several texts use `has_any (\"a\", \"b\")`".to_owned()
            }
            (Kind::Word, _) if Operator::named(text).is_some() => {
                format!("an operator stands after a bar: `| {text}`")
            }
            (Kind::Word, word) => return clause(word),
            _ => return None,
        };
        Some(fixed)
    }

    /// What to do about a word that is no operator.
    pub(super) fn operator_habit(&self, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        if let Some(operator) = Operator::named(&lower)
            && lower != name
        {
            return Some(format!("write it in lower case: `{}`", operator.as_str()));
        }
        clause(&lower)
    }

    /// What to do about a character that begins no token.
    pub(super) fn character_habit(&self, text: &str) -> Option<&'static str> {
        match text {
            "&" => Some("two conditions are joined with `and`"),
            "!" => Some("a condition is negated with `not(…)`"),
            "?" => Some("choose between two values with `iff(condition, then, else)`"),
            "^" => Some("raise to a power with `pow()`"),
            "@" => Some("a verbatim string is written as `@\"…\"`"),
            "\\" => Some("a path is written in a string: `@\"C:\\…\"`"),
            "`" => Some("a name with other characters is written as `['name']`"),
            _ => None,
        }
    }

    /// The text of the token before the next one.
    fn previous(&self) -> &str {
        let position = self.at.checked_sub(1).and_then(|at| self.matter.get(at));
        let token = position.and_then(|position| self.tokens.get(*position));
        token.map_or("", |(_, text)| text)
    }
}

const LIKE: &str =
    "for a part of a text use `contains`, for a whole word `has`, for a pattern `matches regex`";

fn clause(word: &str) -> Option<String> {
    let found = CLAUSES.iter().find(|(known, _)| *known == word);
    found.map(|(_, help)| (*help).to_owned())
}

/// `not in`, `not contains` …
fn negated(next: &str) -> Option<String> {
    let next = next.to_ascii_lowercase();
    match next.as_str() {
        "like" => Some(LIKE.replace("use `contains`", "use `!contains`")),
        "in" | "has" | "contains" | "startswith" | "endswith" | "between" | "hasprefix"
        | "hassuffix" => Some(format!("write it as `!{next}`")),
        _ => None,
    }
}

/// `is null`, `is not null`.
fn null_check(next: &str, after: &str) -> String {
    let is_negated = next.eq_ignore_ascii_case("not");
    let subject = if is_negated { after } else { next };
    match (subject.eq_ignore_ascii_case("null"), is_negated) {
        (true, false) => "ask with `isnull(…)`, for a string with `isempty(…)`".to_owned(),
        (true, true) => "ask with `isnotnull(…)`, for a string with `isnotempty(…)`".to_owned(),
        (false, false) => "compare with `==`".to_owned(),
        (false, true) => "compare with `!=`".to_owned(),
    }
}

fn is_membership(word: &str) -> bool {
    matches!(
        word,
        "in" | "!in" | "in~" | "!in~" | "has_any" | "has_all"
    )
}

fn is_text_operator(word: &str) -> bool {
    super::expressions::STRING_OPERATORS.contains(&word.trim_start_matches('!'))
}
