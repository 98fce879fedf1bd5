//! Remedies for what people write who know another language, or this one half.
//!
//! The parser says where it could not go on; from the words there this guesses what was meant.
//! A guess changes the help of a finding only, never whether there is one.

use super::Parser;
use super::expressions::STRING_OPERATORS;
use crate::operators::Operator;
use crate::suggest;
use crate::syntax::Kind;

/// A word of another language that begins a clause, and what does its work here.
const CLAUSES: &[(&str, &str)] = &[
    (
        "select",
        "begin with the table, then choose columns with `| project`",
    ),
    (
        "from",
        "begin with the table: `Table | where … | project …`",
    ),
    ("where", "filter with `| where`"),
    ("group", "aggregate with `| summarize … by …`"),
    ("having", "filter after `summarize` with `| where`"),
    ("order", "sort with `| sort by`"),
    ("sort", "sort with `| sort by`"),
    ("limit", "take some rows with `| take`"),
    ("top", "take the first rows with `| top 10 by column`"),
    (
        "offset",
        "there is no offset: sort, number the rows with `row_number()`, and filter",
    ),
    ("inner", "join with `| join kind=inner (table) on column`"),
    (
        "left",
        "join with `| join kind=leftouter (table) on column`",
    ),
    (
        "right",
        "join with `| join kind=rightouter (table) on column`",
    ),
    (
        "outer",
        "join with `| join kind=fullouter (table) on column`",
    ),
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

/// Words that people compare with, and what does it here.
const COMPARISONS: &[(&str, &str)] = &[
    (
        "doesnotcontain",
        "the opposite of `contains` is `!contains`",
    ),
    ("doesnotend", "the opposite of `endswith` is `!endswith`"),
    ("doesnothave", "the opposite of `has` is `!has`"),
    (
        "doesnotmatch",
        "a pattern that is not there is `not(… matches regex …)`",
    ),
    (
        "doesnotstart",
        "the opposite of `startswith` is `!startswith`",
    ),
    ("eq", "compare with `==`"),
    ("equal", "compare with `==`"),
    ("equals", "compare with `==`"),
    ("ge", "compare with `>=`"),
    ("gt", "compare with `>`"),
    (
        "includes",
        "a part of a text is asked for with `contains`, a whole word with `has`",
    ),
    ("le", "compare with `<=`"),
    ("lt", "compare with `<`"),
    ("match", "a pattern is asked for with `matches regex`"),
    ("matches", "a pattern is asked for with `matches regex`"),
    ("ne", "not equal is `!=`"),
    ("notequals", "not equal is `!=`"),
    ("regex", "a pattern is asked for with `matches regex`"),
    ("regexp", "a pattern is asked for with `matches regex`"),
];

impl Parser<'_> {
    /// What to do about the token that could not be read here, where `wanted` was expected.
    pub(super) fn habit(&self, wanted: &str) -> Option<String> {
        let Some((kind, text)) = self.token(0) else {
            return self.habit_at_end(wanted);
        };
        let lower = text.to_ascii_lowercase();
        let next = self.token(1).map_or("", |(_, text)| text);
        let (previous, before_that) = (self.previous(1), self.previous(2));
        if self.begins_with("select") {
            return clause("select");
        }
        if let Some(help) = self.quoted_habit().or_else(|| self.operator_form(wanted)) {
            return Some(help);
        }
        let is_sql_comment = (1..8).any(|n| self.previous(n) == "-" && self.previous(n + 1) == "-");
        if is_sql_comment || (before_that, previous) == ("/", "*") || (previous, text) == ("/", "*")
        {
            return Some("a comment begins with `//`".to_owned());
        }
        let fixed = match (kind, lower.as_str()) {
            (Kind::Word, _) if self.begun_with_let => "end the `let` before it with `;`".to_owned(),
            (Kind::Word, "and" | "or" | "in" | "asc" | "desc" | "by" | "on") if text != lower => {
                format!("write it in lower case: `{lower}`")
            }
            (Kind::Word, "not") => negated(next)?,
            (Kind::Word, "is") => null_check(next, self.previous_ahead(2)),
            (Kind::Word, "as") => "a new name stands before its value: `name = value`".to_owned(),
            (Kind::Word, "like" | "ilike" | "rlike") => LIKE.to_owned(),
            (Kind::Word, "when") if previous == "case" => {
                "write it as `case(condition, value, otherwise)`".to_owned()
            }
            (Kind::Word, "by") if previous == "count" => {
                "count per group with `| summarize count() by …`".to_owned()
            }
            (Kind::Word, unit) if self.follows_number() && unit_of(unit).is_some() => {
                format!("write the span as `{previous}{}`", unit_of(unit)?)
            }
            (Kind::Word, _) if previous == "distinct" => {
                "count distinct values with `dcount(…)`".to_owned()
            }
            (Kind::Word, _) if previous == "not" => "put it in brackets: `not(…)`".to_owned(),
            (Kind::OperatorWord, word) if next == "(" => {
                format!("negate with `not({}(…))`", word.trim_start_matches('!'))
            }
            (Kind::Pipe, _) if previous == "|" && !self.is_operator(1) => {
                "two conditions are joined with `or`, two texts with `strcat(a, b)`".to_owned()
            }
            (Kind::Pipe, _) if previous == "|" => "one bar stands between two operators".to_owned(),
            (Kind::Pipe, _) if previous == ";" => {
                "no `;` stands before a bar: it ends the query".to_owned()
            }
            (Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace, _)
                if wanted == "`|` or `;`" =>
            {
                "no bracket was opened before it".to_owned()
            }
            (Kind::Minus, _) if next == "-" => "a comment begins with `//`".to_owned(),
            (Kind::Assign, _) if matches!(self.operator_here(), "extend" | "project") => {
                "a column has one name, and its value follows: `name = value`".to_owned()
            }
            (Kind::Assign, _) if wanted == "`|` or `;`" => LET.to_owned(),
            (Kind::Colon, _) if next == "=" => LET.to_owned(),
            (Kind::OpenBracket, _) if wanted == "an expression" => {
                "an array is written as `dynamic([\"a\", \"b\"])`".to_owned()
            }
            (Kind::EqualEqual | Kind::Assign, _) => "compare with `==`".to_owned(),
            (Kind::Comma, _) if wanted == "`..`" => BOUNDS.to_owned(),
            (Kind::Comma, _) if self.bracket_follows_text_operator() => {
                "for one of several texts use `has_any (\"a\", \"b\")`".to_owned()
            }
            (Kind::DotDot, _) if self.opened_after(&["in", "!in"]) => {
                "bounds are asked for with `between (low .. high)`".to_owned()
            }
            (Kind::Comma, _) if self.opened_after(&["dynamic"]) => {
                "an array is written as `dynamic([\"a\", \"b\"])`".to_owned()
            }
            (Kind::Comma, _) if self.opened_after(&["="]) => {
                "a list of values is written as `dynamic([\"a\", \"b\"])`".to_owned()
            }
            (Kind::Word, _) if is_membership(previous) => {
                format!("write the list in brackets: `{previous} ({text})`")
            }
            (Kind::OpenBracket, _) if is_membership(previous) => {
                "write the list in round brackets: `(\"a\", \"b\")`".to_owned()
            }
            (_, _) if is_membership(previous) => {
                "write the list in brackets: `(\"a\", \"b\")`".to_owned()
            }
            (_, _) if previous.ends_with("between") => BOUNDS.to_owned(),
            (Kind::Word, _) if wanted == "`by`" && previous == "by" => TOP.to_owned(),
            (Kind::Word, _) if wanted == "`by`" => "write `by` before the columns".to_owned(),
            (Kind::Word, _) if self.is_operator(0) => {
                format!("an operator stands after a bar: `| {text}`")
            }
            (Kind::Unknown, _) => self.character_habit(text)?.to_owned(),
            (Kind::Word, "descending") => "the direction is `desc`".to_owned(),
            (Kind::Word, "ascending") => "the direction is `asc`".to_owned(),
            (Kind::Word, word) => {
                if wanted == "`|` or `;`" && matches!(previous, "var" | "const" | "declare") {
                    return Some(LET.to_owned());
                }
                return self
                    .compared(word)
                    .or_else(|| clause(word))
                    .or_else(|| self.separated(wanted));
            }
            _ => return None,
        };
        Some(fixed)
    }

    /// What to do where the query ends too early.
    fn habit_at_end(&self, wanted: &str) -> Option<String> {
        match (wanted, self.operator_here()) {
            ("`by`", "top") => Some(TOP.to_owned()),
            (_, "project" | "extend") if self.previous(1) == "*" => Some(PATTERNS.to_owned()),
            _ if matches!(self.previous(1), "take" | "limit") => {
                Some("say how many rows: `| take 10`".to_owned())
            }
            _ => None,
        }
    }

    /// A quote inside of a text ends it: a word stands against the end of a text.
    fn quoted_habit(&self) -> Option<String> {
        let before = self.at.checked_sub(1).and_then(|at| self.matter.get(at));
        let is_joined = match (before, self.matter.get(self.at)) {
            (Some(a), Some(b)) => a + 1 == *b,
            _ => false,
        };
        let quote = self.previous(1).chars().last()?;
        let is_text = matches!(quote, '"' | '\'') && self.previous(1).len() > 1;
        let help = "a quote inside of a text is written with a backslash: `\\\"`, `\\'`; or put the text in the other quotes";
        (is_text && is_joined && self.kind(0) == Some(Kind::Word)).then(|| help.to_owned())
    }

    /// What is wrong with the parts of the operator that is read.
    fn operator_form(&self, wanted: &str) -> Option<String> {
        let (kind, text) = self.token(0)?;
        let (previous, before_that) = (self.previous(1), self.previous(2));
        let help = match (self.operator_here(), text) {
            ("join" | "lookup", "using") => "name the columns after `on`: `join (table) on column`",
            ("join" | "lookup", "on") if wanted == "`)`" => {
                "close the bracket of the table before `on`: `join (table) on column`"
            }
            ("join" | "lookup", _) if before_that == "on" && kind == Kind::OpenParen => TABLE_FIRST,
            ("join" | "lookup", _) if previous == "on" => TABLE_FIRST,
            ("where" | "project" | "extend" | "summarize", "on") => {
                "put the table of the join in brackets: `join (table | where …) on column`"
            }
            ("count", "(") => {
                "`count` is the number of all rows; count others with `summarize dcount(column)` or `countif(condition)`"
            }
            ("project" | "extend", "," | "|") if previous == "*" => PATTERNS,
            ("summarize", _) if previous == "by" && before_that == "," => {
                "no comma stands before `by`"
            }
            _ => return None,
        };
        Some(help.to_owned())
    }

    /// A word that compares in another language, or is misspelt.
    fn compared(&self, word: &str) -> Option<String> {
        let known = COMPARISONS.iter().find(|(known, _)| *known == word);
        if let Some((_, help)) = known {
            return Some((*help).to_owned());
        }
        if !matches!(self.kind(1), Some(Kind::String)) {
            return None;
        }
        let similar = suggest::similar(word, STRING_OPERATORS.iter().copied())?;
        Some(format!(
            "an operator with a similar name exists: `{similar}`"
        ))
    }

    /// A word that nothing separates from what is before it.
    fn separated(&self, wanted: &str) -> Option<String> {
        if wanted == "`|` or `;`" {
            let help = "operators stand after a bar `|`, and statements end with `;`";
            return Some(help.to_owned());
        }
        if wanted != "`|` or the end of the operator" {
            return None;
        }
        let help = match self.operator_here() {
            "where" | "filter" => {
                "conditions are joined with `and` or `or`, and compare with `==`, `has`, `in` …"
            }
            "join" | "lookup" => "write it as `join kind=inner (table) on column`",
            _ => "columns are separated by commas, and groups stand after `by`",
        };
        Some(help.to_owned())
    }

    /// The operator whose text is being read.
    fn operator_here(&self) -> &str {
        // LIMIT: whoever writes so much into one operator has made no slip at its begin.
        const TOKENS_MAX: usize = 200;
        let bar = (1..=TOKENS_MAX).find(|n| matches!(self.previous(*n), "|" | ""));
        bar.map_or("", |n| if n == 1 { "" } else { self.previous(n - 1) })
    }

    /// Whether the bracket that is open here follows one of the words.
    fn opened_after(&self, words: &[&str]) -> bool {
        // A list as long as this is no slip.
        const TOKENS_MAX: usize = 16;
        let mut depth = 0_usize;
        for n in 1..=TOKENS_MAX {
            match self.previous(n) {
                ")" => depth += 1,
                "(" if depth == 0 => return words.contains(&self.previous(n + 1)),
                "(" => depth -= 1,
                "" => return false,
                _ => {}
            }
        }
        false
    }

    /// What to do about a word that is no operator.
    pub(super) fn operator_habit(name: &str) -> Option<String> {
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
            "!" if self.previous(1) == "=" => Some("not equal is `!=`"),
            "!" => Some("a condition is negated with `not(…)`"),
            "?" => Some("choose between two values with `iff(condition, then, else)`"),
            "^" => Some("raise to a power with `pow()`"),
            "@" => Some("a verbatim string is written as `@\"…\"`"),
            "\\" => Some("a path is written in a string: `@\"C:\\…\"`"),
            "`" => Some("a name with other characters is written as `['name']`"),
            _ => None,
        }
    }

    /// The text of the `n`th token before the next one.
    fn previous(&self, n: usize) -> &str {
        let position = self.at.checked_sub(n).and_then(|at| self.matter.get(at));
        let token = position.and_then(|position| self.tokens.get(*position));
        token.map_or("", |(_, text)| text)
    }

    fn previous_ahead(&self, n: usize) -> &str {
        self.token(n).map_or("", |(_, text)| text)
    }

    fn begins_with(&self, word: &str) -> bool {
        let first = self.matter.first().and_then(|at| self.tokens.get(*at));
        first.is_some_and(|(_, text)| text.eq_ignore_ascii_case(word))
    }

    fn is_operator(&self, ahead: usize) -> bool {
        self.word(ahead)
            .is_some_and(|w| Operator::named(w).is_some())
    }

    fn follows_number(&self) -> bool {
        self.previous(1).starts_with(|c: char| c.is_ascii_digit())
    }

    /// Whether the statement that begins at that token is a `let`.
    pub(super) fn starts_with_let(&self, at: usize) -> bool {
        let token = self.matter.get(at).and_then(|at| self.tokens.get(*at));
        token.is_some_and(|(_, text)| *text == "let")
    }

    /// Whether the token before is the same character, joined to it.
    pub(super) fn is_repeated(&self, text: &str) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.matter.get(at));
        let here = self.matter.get(self.at);
        let joined = matches!((before, here), (Some(a), Some(b)) if a + 1 == *b);
        joined && self.previous(1) == text
    }

    pub(super) fn is_after_two_bars(&self) -> bool {
        self.previous(1) == "|" && self.previous(2) == "|"
    }

    /// Whether the bracket that is open here follows `has`, `contains` …
    fn bracket_follows_text_operator(&self) -> bool {
        // A list as long as this is no slip.
        const TOKENS_MAX: usize = 16;
        let open = (1..=TOKENS_MAX).find(|n| self.previous(*n) == "(");
        open.is_some_and(|n| is_text_operator(self.previous(n + 1)))
    }
}

const LET: &str = "a variable is made with `let name = value;`";

const PATTERNS: &str = "patterns of names stand after `project-keep` and `project-away`";

const TOP: &str = "say how many rows, and by what: `top 10 by column`";

const TABLE_FIRST: &str = "the table stands before `on`: `join kind=inner (table) on column`";

const BOUNDS: &str = "write the bounds as `(low .. high)`";

/// The letter of a unit of time.
fn unit_of(word: &str) -> Option<&'static str> {
    match word {
        "d" | "day" | "days" => Some("d"),
        "h" | "hour" | "hours" => Some("h"),
        "m" | "min" | "minute" | "minutes" => Some("m"),
        "s" | "sec" | "second" | "seconds" => Some("s"),
        _ => None,
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
    matches!(word, "in" | "!in" | "in~" | "!in~" | "has_any" | "has_all")
}

fn is_text_operator(word: &str) -> bool {
    STRING_OPERATORS.contains(&word.trim_start_matches('!'))
}
