//! Words of the language that are neither operators of a pipeline nor functions: what they are and
//! where they may stand. The table of `kql::complete` beside the operator and function tables.

/// Operators between two values.
pub(super) const INFIX: &[(&str, &str)] = &[
    ("==", "equal"),
    ("!=", "not equal"),
    ("=~", "equal but for case"),
    ("!~", "not equal, case aside"),
    ("and", "both"),
    ("or", "either"),
    ("in", "is one of a list"),
    ("!in", "is none of a list"),
    ("in~", "is one of a list, case aside"),
    ("!in~", "is none of a list, case aside"),
    ("between", "lies between two values, both included"),
    ("!between", "does not lie between two values"),
    ("has", "has a whole term"),
    ("!has", "does not have a term"),
    ("has_cs", "has a whole term, in the same case"),
    ("!has_cs", "does not have a term in the same case"),
    ("has_any", "has one of several terms"),
    ("has_all", "has all of several terms"),
    ("hasprefix", "has a term that starts so"),
    ("!hasprefix", "has no term that starts so"),
    (
        "hasprefix_cs",
        "has a term that starts so, in the same case",
    ),
    (
        "!hasprefix_cs",
        "has no term that starts so, in the same case",
    ),
    ("hassuffix", "has a term that ends so"),
    ("!hassuffix", "has no term that ends so"),
    ("hassuffix_cs", "has a term that ends so, in the same case"),
    (
        "!hassuffix_cs",
        "has no term that ends so, in the same case",
    ),
    ("contains", "has a text anywhere"),
    ("!contains", "does not have a text anywhere"),
    ("contains_cs", "has a text anywhere, in the same case"),
    (
        "!contains_cs",
        "does not have a text anywhere, in the same case",
    ),
    ("startswith", "starts with a text"),
    ("!startswith", "does not start with a text"),
    ("startswith_cs", "starts with a text, in the same case"),
    (
        "!startswith_cs",
        "does not start with a text, in the same case",
    ),
    ("endswith", "ends with a text"),
    ("!endswith", "does not end with a text"),
    ("endswith_cs", "ends with a text, in the same case"),
    ("!endswith_cs", "does not end with a text, in the same case"),
    ("matches regex", "a regular expression matches somewhere"),
];

/// Kinds of `join`.
pub(super) const JOIN_KINDS: &[(&str, &str)] = &[
    (
        "innerunique",
        "each left key once, with every match (the default)",
    ),
    ("inner", "every pair of matching rows"),
    ("leftouter", "every left row, with its matches if any"),
    ("rightouter", "every right row, with its matches if any"),
    ("fullouter", "every row of both sides"),
    ("leftsemi", "left rows that have a match"),
    ("rightsemi", "right rows that have a match"),
    ("leftanti", "left rows without a match"),
    ("rightanti", "right rows without a match"),
];

/// Kinds of `lookup`.
pub(super) const LOOKUP_KINDS: &[(&str, &str)] = &[
    (
        "leftouter",
        "every left row, with its matches if any (the default)",
    ),
    ("inner", "left rows that have a match"),
];

/// Kinds of `union`.
pub(super) const UNION_KINDS: &[(&str, &str)] = &[
    ("outer", "the columns of any table (the default)"),
    ("inner", "the columns that all tables have"),
];

/// Kinds of `parse`.
pub(super) const PARSE_KINDS: &[(&str, &str)] = &[
    ("simple", "texts as they are (the default)"),
    ("regex", "texts are regular expressions"),
    ("relaxed", "a value that is not of its type is null"),
];

/// Charts that `render` can ask for.
pub(super) const CHARTS: &[(&str, &str)] = &[
    ("anomalychart", "a time chart with anomalies marked"),
    ("areachart", "areas"),
    ("barchart", "horizontal bars"),
    ("card", "one value"),
    ("columnchart", "vertical bars"),
    ("linechart", "lines"),
    ("piechart", "a pie"),
    ("scatterchart", "points"),
    ("stackedareachart", "areas on each other"),
    ("table", "a table"),
    ("timechart", "lines over time"),
];

/// Types.
pub(super) const TYPES: &[(&str, &str)] = &[
    ("bool", "true or false"),
    ("datetime", "an instant"),
    ("decimal", "a decimal number"),
    ("dynamic", "a value with parts"),
    ("guid", "an identifier of 128 bits"),
    ("int", "an integer of 32 bits"),
    ("long", "an integer of 64 bits"),
    ("real", "a floating-point number"),
    ("string", "a text"),
    ("timespan", "a duration"),
];

/// Which way a sort key goes.
pub(super) const DIRECTIONS: &[(&str, &str)] =
    &[("asc", "rising"), ("desc", "falling (the default)")];

/// Where a sort key puts nulls.
pub(super) const NULLS: &[(&str, &str)] = &[
    ("nulls first", "rows without a value first"),
    ("nulls last", "rows without a value last"),
];

/// The same after `nulls`.
pub(super) const NULLS_AFTER: &[(&str, &str)] = &[
    ("first", "rows without a value first"),
    ("last", "rows without a value last"),
];

/// What begins a statement beside a table.
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("let", "a name for a value, table or function"),
    ("print", "one row of given values"),
    ("range", "a column of evenly spaced values"),
    ("union", "rows of several tables"),
    ("search", "rows that have a text anywhere"),
    ("find", "rows of several tables that meet a condition"),
    ("datatable", "a table written out"),
    (
        "externaldata",
        "a table from an address that the operator allows",
    ),
];

/// Options of an operator, with `=`.
pub(super) fn options(operator: &str) -> &'static [(&'static str, &'static str)] {
    match operator {
        "join" | "lookup" => &[("kind=", "which rows come out")],
        "union" => &[
            ("kind=", "which columns come out"),
            ("withsource=", "a column that names each row's table"),
            ("isfuzzy=", "whether a table may be missing"),
        ],
        "mv-expand" | "mv-apply" => &[
            ("kind=", "`bag` or `array`: how a bag is taken apart"),
            ("with_itemindex=", "a column with each element's position"),
        ],
        "parse" | "parse-where" => &[("kind=", "how texts are matched")],
        "search" => &[("kind=", "`case_sensitive` or `case_insensitive`")],
        "find" => &[("withsource=", "a column that names each row's table")],
        _ => &[],
    }
}

/// Words that go on with an operator after an operand.
pub(super) fn clauses(operator: &str) -> &'static [(&'static str, &'static str)] {
    const BY: (&str, &str) = ("by", "per what");
    match operator {
        "summarize" | "top" | "sort" | "order" | "reduce" | "sample-distinct" | "partition"
        | "top-hitters" => &[BY],
        "top-nested" => &[
            ("of", "which value"),
            ("with others =", "a row for all other values, called so"),
            BY,
        ],
        "join" | "lookup" => &[("on", "the columns that must be equal")],
        "make-series" => &[
            ("default=", "the value of empty bins"),
            ("on", "the axis"),
            ("from", "where the axis begins"),
            ("to", "where the axis ends"),
            ("step", "the size of a bin"),
            BY,
        ],
        "mv-expand" => &[
            ("to typeof(", "the type of the elements"),
            ("limit", "rows at most"),
        ],
        "mv-apply" => &[
            ("to typeof(", "the type of the elements"),
            ("on (", "a query over the elements"),
        ],
        "parse" | "parse-where" => &[("with", "the pattern")],
        "parse-kv" => &[("as (", "the columns"), ("with (", "the delimiters")],
        "range" => &[
            ("from", "first value"),
            ("to", "last value"),
            ("step", "difference"),
        ],
        "render" => &[("with (", "properties of the chart")],
        "scan" => &[
            ("declare (", "columns that steps set"),
            ("with (", "the steps"),
        ],
        _ => &[],
    }
}
