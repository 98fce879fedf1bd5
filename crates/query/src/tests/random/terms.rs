//! Expressions of dynamic values, time and texts, for random queries.
//!
//! What no documentation determines is left out: the text of a real that is whole, functions of arrays
//! of what is none, text positions behind the end.

use model::ColumnType;

use super::{NEEDLES, TEXTS, Writer, pick, pick_type};

/// What the column `d` holds, and literals.
pub(super) const DYNAMICS: &[&str] = &[
    r#"{"a":1,"b":[1,2,3]}"#,
    r#"{"a":"x_1","c":{"d":5,"a":"cmd"}}"#,
    r#"{"a":null,"b":[]}"#,
    r#"{"b":{"a":-3},"a":true}"#,
    "[1,2,3]",
    "[]",
    "{}",
    r#"["a","B",null]"#,
    r#"[1,"1",1.5,true]"#,
    "[[1],[2,3]]",
    r#"[{"a":1},{"a":2,"b":"x"}]"#,
    "7",
    "2.5",
    "true",
    r#""cmd""#,
    r#""12""#,
];
const PATHS: &[&str] = &[
    ".a",
    ".b",
    "['a']",
    ".b.a",
    ".c.d",
    "['c']['a']",
    "[0]",
    "[1]",
    "[-1]",
    ".b[0]",
    ".b[-2]",
    "[1].a",
    ".nothing",
    "[9]",
];
/// Patterns that match no empty text; what `\w` is beyond ASCII nothing says.
const PATTERNS: &[&str] = &[
    r"(\d+)",
    r"([a-z]+)\.exe",
    r"^([a-zA-Z]+)[- ]([a-z0-9]+)$",
    r"(\d+)\.(\d+)",
    "(a|be|b)(.?)",
    "([^a-z ]+)",
    r"(/[a-z])\s(.*)",
    "(^a|C)",
];
const PARTS: &[&str] = &[
    "year", "month", "day", "hour", "minute", "second", "week", "quarter",
];

impl Writer<'_> {
    pub(super) fn dynamic(&self, depth: u32) -> String {
        let of = |ty| self.expr(ty, depth.saturating_sub(1));
        match self.rng.below(8) {
            0..=2 => format!("{}{}", self.path_base(), pick(self.rng, PATHS)),
            3 => self.array(depth),
            4 => self.bag(depth),
            5 if self.rng.chance(50) => format!(
                "split({}, '-')[{}]",
                of(ColumnType::String),
                self.rng.below(2)
            ),
            5 => format!("parse_json('{}')", pick(self.rng, DYNAMICS)),
            6 => format!("parse_json(tostring({}))", self.leaf(ColumnType::Dynamic)),
            _ => format!(
                "iff({}, {}, {})",
                of(ColumnType::Bool),
                of(ColumnType::Dynamic),
                of(ColumnType::Dynamic)
            ),
        }
    }

    fn path_base(&self) -> String {
        let leaf = self.leaf(ColumnType::Dynamic);
        if leaf.starts_with("dynamic(") {
            return format!("parse_json('{}')", pick(self.rng, DYNAMICS));
        }
        leaf
    }

    /// An array, never null.
    pub(super) fn array(&self, depth: u32) -> String {
        use ColumnType::{Bool, Dynamic, Long, String as Text};
        let below = depth.saturating_sub(1);
        let literals = &[
            "[1,2,3]",
            "[]",
            r#"["a","cmd",null]"#,
            "[2,1,2]",
            r#"["1",1]"#,
        ];
        let literal = || format!("dynamic({})", pick(self.rng, literals));
        if depth == 0 {
            return literal();
        }
        let of = |ty| self.expr(ty, below);
        match self.rng.below(13) {
            0..=1 => literal(),
            2..=3 => {
                let ty = pick_type(self.rng, &[Long, Text, Bool, Dynamic]);
                format!("pack_array({}, {})", of(ty), of(ty))
            }
            4..=5 => format!(
                "split({}, '{}')",
                of(Text),
                pick(self.rng, &["-", " ", ".", "a"])
            ),
            6 => format!("array_concat({}, {})", self.array(below), self.array(below)),
            7 => format!(
                "array_slice({}, {}, {})",
                self.array(below),
                pick(self.rng, &["0", "1", "-2"]),
                pick(self.rng, &["0", "1", "-1"])
            ),
            8 => format!("array_reverse({})", self.array(below)),
            9 => format!(
                "{}({}, {})",
                pick(self.rng, &["set_union", "set_intersect", "set_difference"]),
                self.array(below),
                self.array(below)
            ),
            10 => format!("bag_keys({})", self.bag(below)),
            11 => format!("split({}, ' ', 0)", of(Text)),
            _ => format!(
                "array_sort_{}(pack_array({}, {}, {}))",
                pick(self.rng, &["asc", "desc"]),
                of(Long),
                of(Long),
                of(Long)
            ),
        }
    }

    fn bag(&self, depth: u32) -> String {
        use ColumnType::{Bool, Dynamic, Long, String as Text};
        let below = depth.saturating_sub(1);
        let of = |ty| self.expr(ty, below);
        match self.rng.below(3) {
            0 => "dynamic({\"a\":1,\"b\":[2]})".to_owned(),
            1 if depth > 0 => format!("bag_merge({}, {})", self.bag(below), self.bag(below)),
            _ => {
                let ty = pick_type(self.rng, &[Long, Text, Bool, Dynamic]);
                let call = pick(self.rng, &["pack", "bag_pack"]);
                format!("{call}('a', {}, 'c', {})", of(ty), of(Long))
            }
        }
    }

    pub(super) fn more_long(&self, depth: u32) -> String {
        use ColumnType::{Bool, DateTime, Dynamic, Real, String as Text};
        let of = |ty| self.expr(ty, depth - 1);
        match self.rng.below(12) {
            0 => format!("array_length({})", of(Dynamic)),
            1..=2 => format!("tolong({})", of(Dynamic)),
            3 => format!(
                "datetime_diff('{}', {}, {})",
                pick(self.rng, PARTS),
                of(DateTime),
                of(DateTime)
            ),
            4 => format!("tolong({})", of(Bool)),
            5 => format!("tolong({})", of(Text)),
            6 => format!("countof({}, '{}')", of(Text), pick(self.rng, NEEDLES)),
            7 => format!(
                "indexof(strcat('ab', {}), '{}', {}, {}, {})",
                of(Text),
                pick(self.rng, NEEDLES),
                self.rng.below(3),
                pick(self.rng, &["-1", "3", "6"]),
                self.rng.below(2) + 1
            ),
            8 => format!("strcmp({}, {})", of(Text), of(Text)),
            9 => format!("array_index_of({}, {})", self.array(depth - 1), of(Text)),
            10 => format!("string_size({})", of(Text)),
            _ => format!("tolong({} * 1.5)", of(Real)),
        }
    }

    pub(super) fn more_int(&self, depth: u32) -> String {
        use ColumnType::{DateTime, Dynamic};
        let of = |ty| self.expr(ty, depth - 1);
        match self.rng.below(4) {
            0 => format!("toint({})", of(Dynamic)),
            1 => {
                let parts = &[
                    "year",
                    "month",
                    "day",
                    "hour",
                    "minute",
                    "second",
                    "dayofyear",
                ];
                format!(
                    "datetime_part('{}', {})",
                    pick(self.rng, parts),
                    of(DateTime)
                )
            }
            _ => {
                let calls = &[
                    "hourofday",
                    "dayofmonth",
                    "dayofyear",
                    "getmonth",
                    "getyear",
                ];
                format!("{}({})", pick(self.rng, calls), of(DateTime))
            }
        }
    }

    pub(super) fn more_real(&self, depth: u32) -> String {
        use ColumnType::{Dynamic, Long, Real, String as Text, TimeSpan};
        let of = |ty| self.expr(ty, depth - 1);
        match self.rng.below(8) {
            0..=1 => format!("todouble({})", of(Dynamic)),
            2 => format!("({} / {})", of(TimeSpan), pick(self.rng, &["1h", "40m"])),
            3 => format!("bin({}, 0.5)", of(Real)),
            4 => format!("({} / {})", of(Real), of(Real)),
            5 => format!("round({})", of(Real)),
            6 => format!("todouble({})", of(Text)),
            _ => format!("({} / {})", of(Long), of(Real)),
        }
    }

    pub(super) fn more_text(&self, depth: u32) -> String {
        use ColumnType::{Bool, DateTime, Dynamic, Int, Long, String as Text, TimeSpan};
        let of = |ty| self.expr(ty, depth - 1);
        match self.rng.below(17) {
            0..=2 => format!("tostring({})", of(Dynamic)),
            3 => format!(
                "strcat_array({}, '{}')",
                self.array(depth - 1),
                pick(self.rng, &["-", "", ", "])
            ),
            4 => format!(
                "strcat_delim('{}', {}, {}, {})",
                pick(self.rng, &["-", "."]),
                of(Text),
                of(Long),
                of(Bool)
            ),
            5 => format!(
                "replace_string({}, '{}', '{}')",
                of(Text),
                pick(self.rng, NEEDLES),
                pick(self.rng, TEXTS)
            ),
            6 => {
                let ty = pick_type(self.rng, &[Bool, Int, DateTime, TimeSpan]);
                format!("tostring({})", of(ty))
            }
            7 => {
                let forms = &[
                    "yyyy-MM-dd HH:mm:ss",
                    "yyyy-MM-dd",
                    "HH:mm",
                    "d/M/yy",
                    "yyyy.MM",
                ];
                format!(
                    "format_datetime({}, '{}')",
                    of(DateTime),
                    pick(self.rng, forms)
                )
            }
            8 => format!("gettype({})", of(Dynamic)),
            12..=13 => format!(
                "extract(@'{}', {}, {})",
                pick(self.rng, PATTERNS),
                self.rng.below(2),
                of(Text)
            ),
            14 => format!(
                "replace_regex({}, @'{}', '{}')",
                of(Text),
                pick(self.rng, PATTERNS),
                pick(self.rng, &["", "-", "xa"])
            ),
            15 => format!(
                "{}(@'{}', {})",
                pick(self.rng, &["trim", "trim_start", "trim_end"]),
                pick(self.rng, &["[a-z]+", r"\d+", "[- .]+", "[^a-z]+"]),
                of(Text)
            ),
            9 => format!("substring({}, -{})", of(Text), 1 + self.rng.below(3)),
            10 => format!("strcat({}, {}, {})", of(Bool), of(DateTime), of(Dynamic)),
            16 => format!(
                "tostring(extract_all(@'{}', {}))",
                pick(self.rng, PATTERNS),
                of(Text)
            ),
            _ => format!("strrep({}, {})", of(Text), self.rng.below(3)),
        }
    }

    pub(super) fn more_time(&self, depth: u32) -> String {
        use ColumnType::{DateTime, TimeSpan};
        let of = |ty| self.expr(ty, depth - 1);
        let offset = i64::try_from(self.rng.below(5)).unwrap_or(0) - 2;
        match self.rng.below(5) {
            0..=1 => {
                let units = &["day", "week", "month", "year"];
                let unit = pick(self.rng, units);
                let end = pick(self.rng, &["startof", "endof"]);
                format!("{end}{unit}({}, {offset})", of(DateTime))
            }
            2 => format!(
                "datetime_add('{}', {offset}, {})",
                pick(self.rng, PARTS),
                of(DateTime)
            ),
            3 => format!("todatetime(tostring({}))", of(DateTime)),
            _ => format!("({} - {})", of(DateTime), of(TimeSpan)),
        }
    }

    pub(super) fn more_span(&self, depth: u32) -> String {
        use ColumnType::{DateTime, TimeSpan};
        let of = |ty| self.expr(ty, depth - 1);
        match self.rng.below(5) {
            0 => format!("bin({}, 1h)", of(TimeSpan)),
            1 => format!("dayofweek({})", of(DateTime)),
            2 => format!("({} + {})", of(TimeSpan), of(TimeSpan)),
            3 => format!("({} * 2)", of(TimeSpan)),
            _ => format!("abs({})", of(TimeSpan)),
        }
    }

    pub(super) fn more_condition(&self, depth: u32) -> String {
        use ColumnType::{Bool, DateTime, Dynamic, Long, Real, String as Text, TimeSpan};
        let of = |ty| self.expr(ty, depth - 1);
        let operator = pick(self.rng, &["==", "!=", "<", "<=", ">", ">="]);
        match self.rng.below(16) {
            0 => format!("tobool({})", of(Dynamic)),
            1 => format!("set_has_element({}, {})", self.array(depth - 1), of(Text)),
            2 => format!("({} == {})", of(Dynamic), of(Text)),
            3 => format!("({} {operator} {})", of(Dynamic), of(Long)),
            4 => {
                let operators = &["has", "contains", "startswith", "=~", "!has"];
                format!(
                    "({} {} '{}')",
                    of(Dynamic),
                    pick(self.rng, operators),
                    pick(self.rng, NEEDLES)
                )
            }
            5 => format!("({} {operator} {})", of(TimeSpan), of(TimeSpan)),
            6 => format!(
                "({} between ({} .. {}))",
                of(TimeSpan),
                of(TimeSpan),
                of(TimeSpan)
            ),
            7 => format!(
                "({} between ({} .. {}))",
                of(DateTime),
                of(DateTime),
                of(DateTime)
            ),
            8 => {
                let word = pick(self.rng, &["in", "!in"]);
                format!("({} {word} ({}))", of(Text), self.array(depth - 1))
            }
            9 => format!("({} has_any (dynamic(['cmd','beta'])))", of(Text)),
            10 => format!(
                "({} {} {})",
                of(Bool),
                pick(self.rng, &["==", "!="]),
                of(Bool)
            ),
            11 => format!("({} in ({}, 1.5, {}))", of(Real), of(Real), of(Real)),
            12 => format!("tobool({})", of(Text)),
            13..=14 => format!(
                "({} matches regex @'{}')",
                of(Text),
                pick(self.rng, PATTERNS)
            ),
            _ => format!("({} {operator} '')", of(Text)),
        }
    }
}
