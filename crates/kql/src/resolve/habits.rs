//! Remedies for names of other languages: what they are called here.
//!
//! Changes the help of a finding only, never whether there is one.

use model::ColumnType;

use crate::functions;

/// A function of another language and what does its work here.
const FUNCTIONS: &[(&str, &str)] = &[
    (
        "cast",
        "convert with `tostring()`, `tolong()`, `todatetime()` and their kin",
    ),
    ("charindex", "the position of a text is `indexof()`"),
    ("concat", "texts are joined with `strcat()`"),
    (
        "convert",
        "convert with `tostring()`, `tolong()`, `todatetime()` and their kin",
    ),
    (
        "count_if",
        "rows that meet a condition are counted with `countif()`",
    ),
    ("curdate", "midnight of today is `startofday(now())`"),
    (
        "date_add",
        "time is added with `+` and a span, or `datetime_add()`",
    ),
    (
        "date_diff",
        "the time between two instants is `datetime_diff()`, or their difference",
    ),
    (
        "date_trunc",
        "instants are rounded down with `bin()`, or `startofday()` and its kin",
    ),
    (
        "dateadd",
        "time is added with `+` and a span, or `datetime_add()`",
    ),
    (
        "datediff",
        "the time between two instants is `datetime_diff()`, or their difference",
    ),
    ("day", "the day of the month is `dayofmonth()`"),
    (
        "distinct",
        "distinct values are counted with `dcount()`, listed with `make_set()`",
    ),
    (
        "explode",
        "an array has a row per element with `| mv-expand`",
    ),
    ("getdate", "the present is `now()`"),
    (
        "group_concat",
        "texts of a group are joined with `strcat_array(make_list(…), \",\")`",
    ),
    ("hour", "the hour of the day is `hourofday()`"),
    (
        "if",
        "one of two values is chosen with `iff(condition, then, else)`",
    ),
    ("ifnull", "the first value that is there is `coalesce()`"),
    ("instr", "the position of a text is `indexof()`"),
    ("isin", "membership is asked with `in (…)`"),
    (
        "json_extract",
        "read JSON with `parse_json()`, then name its parts: `.part`",
    ),
    (
        "json_value",
        "read JSON with `parse_json()`, then name its parts: `.part`",
    ),
    ("lcase", "lower case is `tolower()`"),
    (
        "len",
        "the length of a text is `strlen()`, of an array `array_length()`",
    ),
    (
        "length",
        "the length of a text is `strlen()`, of an array `array_length()`",
    ),
    ("lower", "lower case is `tolower()`"),
    (
        "ltrim",
        "a pattern is cut from the start with `trim_start()`",
    ),
    ("md5", "MD5 is `hash_md5()`"),
    ("mean", "the mean is `avg()`"),
    ("median", "the median is `percentile(value, 50)`"),
    (
        "minute",
        "parts of an instant are `datetime_part(\"minute\", …)`",
    ),
    ("month", "the month is `monthofyear()`"),
    ("nvl", "the first value that is there is `coalesce()`"),
    (
        "parse_datetime",
        "a text is read as an instant with `todatetime()`",
    ),
    (
        "regex_extract",
        "a part that matches is `extract(regex, group, text)`",
    ),
    (
        "regexp_extract",
        "a part that matches is `extract(regex, group, text)`",
    ),
    ("regexp_like", "a pattern is asked for with `matches regex`"),
    (
        "regexp_replace",
        "matches are replaced with `replace_regex()`",
    ),
    ("rtrim", "a pattern is cut from the end with `trim_end()`"),
    ("sha1", "SHA-1 is `hash_sha1()`"),
    ("sha256", "SHA-256 is `hash_sha256()`"),
    ("size", "the length of an array is `array_length()`"),
    ("std", "the standard deviation is `stdev()`"),
    (
        "string_agg",
        "texts of a group are joined with `strcat_array(make_list(…), \",\")`",
    ),
    ("stringof", "a value as text is `tostring()`"),
    ("strftime", "an instant is written with `format_datetime()`"),
    (
        "substr",
        "part of a text is `substring(text, start, length)`",
    ),
    ("to_char", "an instant is written with `format_datetime()`"),
    (
        "to_date",
        "a value is read as an instant with `todatetime()`",
    ),
    (
        "todate",
        "a value is read as an instant with `todatetime()`",
    ),
    (
        "toint32",
        "a value is read as a whole number with `toint()`",
    ),
    ("tolowercase", "lower case is `tolower()`"),
    ("touppercase", "upper case is `toupper()`"),
    ("ucase", "upper case is `toupper()`"),
    ("uniq", "distinct values are counted with `dcount()`"),
    ("upper", "upper case is `toupper()`"),
    ("values", "distinct values are listed with `make_set()`"),
    ("year", "the year is `getyear()`"),
];

/// A table of Microsoft Sentinel and where its events are here.
const TABLES: &[(&str, &str)] = &[
    ("aadnoninteractiveusersigninlogs", SIGN_INS),
    (
        "aadserviceprincipalsigninlogs",
        "sign-ins of apps are in `EntraIdSpnSignInEvents`",
    ),
    (
        "auditlogs",
        "changes in the cloud directory are in `CloudAppEvents`",
    ),
    (
        "azureactivity",
        "activities in the cloud are in `CloudAppEvents`",
    ),
    (
        "dnsevents",
        "questions of devices are in `DeviceNetworkEvents`",
    ),
    ("event", WINDOWS),
    (
        "officeactivity",
        "activities in mail and files are in `CloudAppEvents`",
    ),
    (
        "securityalert",
        "alerts are in `AlertInfo` and `AlertEvidence`",
    ),
    ("securityevent", WINDOWS),
    (
        "securityincident",
        "alerts are in `AlertInfo` and `AlertEvidence`",
    ),
    ("signinlogs", SIGN_INS),
    ("sysmon", WINDOWS),
    ("vmconnection", "connections are in `DeviceNetworkEvents`"),
    ("windowsevent", WINDOWS),
];
const SIGN_INS: &str = "sign-ins are in `EntraIdSignInEvents` and `IdentityLogonEvents`";
const WINDOWS: &str = "events of Windows are in `DeviceProcessEvents`, `DeviceLogonEvents`, `DeviceEvents` and the other device tables";

/// Where the events of a table of Microsoft Sentinel are here.
pub(super) fn table(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let found = TABLES.iter().find(|(known, _)| *known == lower);
    found.map(|(_, help)| *help)
}

/// What a function of another language is here.
pub(super) fn function(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let found = FUNCTIONS.iter().find(|(known, _)| *known == lower);
    found.map(|(_, help)| *help)
}

/// What a name that nothing has may be, by its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Likely {
    /// A text without its quotes.
    Text,
    /// A new name before `==` instead of `=`.
    NewName,
    /// The comment of another language.
    Comment,
}

impl Likely {
    pub(super) fn help(self, name: &str) -> String {
        match self {
            Self::Text => format!("a text stands in quotes: `\"{name}\"`"),
            Self::NewName => format!("a new column is named with one sign: `{name} = …`"),
            Self::Comment => "a comment begins with `//`".to_owned(),
        }
    }
}

/// What a name that is no column may have been meant as.
pub(super) fn name(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if matches!(lower.as_str(), "null" | "nil" | "none") {
        let help = "ask with `isnull(…)` and `isnotnull(…)`, for a string with `isempty(…)` and `isnotempty(…)`";
        return Some(help.to_owned());
    }
    if let Some(help) = span_of_time(&lower) {
        return Some(help);
    }
    let is_function = functions::scalar(name).or_else(|| functions::aggregate_named(name));
    is_function.map(|_| format!("a function has brackets: `{name}()`"))
}

/// `1w`, `3mo`: digits and the letters of a unit that spans do not have.
fn span_of_time(name: &str) -> Option<String> {
    let at = name.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = name.split_at_checked(at)?;
    let number: u32 = number.parse().ok()?;
    let days = match unit {
        "w" | "week" | "weeks" => 7,
        "mo" | "mon" | "month" | "months" => 30,
        "y" | "year" | "years" => 365,
        _ => return None,
    };
    let days = number.checked_mul(days)?;
    Some(format!(
        "the units of spans are d, h, m, s, ms …: write `{days}d`"
    ))
}

/// The help where a span of time is wanted and `ty` stands.
pub(super) fn span_wanted(ty: ColumnType) -> Option<&'static str> {
    match ty {
        ColumnType::Int | ColumnType::Long | ColumnType::Real => {
            Some("a span of time has a unit: `7d`, `1h`, `30m`")
        }
        ColumnType::String => Some("a span of time stands without quotes: `7d`"),
        _ => None,
    }
}
