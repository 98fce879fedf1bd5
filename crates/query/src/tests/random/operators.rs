//! Operators of arrays, texts and sequences, for random queries.
//!
//! What no documentation determines is left out: rows that `take` chooses among different ones, the
//! element that `make_bag` keeps of several, patterns of `parse` that end with a text.

use std::fmt::Write as _;

use model::ColumnType;

use super::{Writer, pick, pick_type};

impl Writer<'_> {
    pub(super) fn wide_operator(&mut self) -> String {
        use ColumnType::{Bool, Long};
        match self.rng.below(22) {
            0 => {
                let keys = self.sort().replacen("sort ", "", 1);
                format!("top {} {keys}", self.rng.below(4))
            }
            1 if self.rng.chance(40) => {
                self.columns = vec![("Count".to_owned(), Long)];
                "count".to_owned()
            }
            1..=4 => self.mv_expand(),
            5 => self.scan(),
            6 => self.lookup(),
            7..=8 => self.mv_apply(),
            9..=10 => self.parse(),
            11 => {
                let (filter, part) = (self.expr(Bool, 2), self.name());
                format!(
                    "as P{part}\n| where {filter}\n| union (P{part} | where not(coalesce({filter}, false)))"
                )
            }
            12 => self.make_series(),
            13 => self.make_series_over_time(),
            14..=16 => self.lists(),
            17 => self.arg_extreme(),
            18 => self.partition(),
            19 => self.innerunique(),
            20 => self.windows(),
            _ => self.away(),
        }
    }

    /// An array, with the type of its elements if they have one.
    fn array_of(&self, ty: ColumnType) -> String {
        match ty {
            ColumnType::Long if self.rng.chance(50) => {
                format!("range(0, {} % 3, 1)", self.expr(ColumnType::Long, 1))
            }
            _ => self.array(2),
        }
    }

    fn mv_expand(&mut self) -> String {
        use ColumnType::{Bool, Dynamic, Long, Real, String as Text};
        let to = |ty: ColumnType| match ty {
            Dynamic => String::new(),
            ty => format!(" to typeof({})", ty.as_str()),
        };
        let ty = pick_type(self.rng, &[Long, Text, Real, Bool, Dynamic]);
        let index = self.rng.chance(25).then(|| self.name());
        let mut text = "mv-expand".to_owned();
        if self.rng.chance(10) {
            text.push_str(" bagexpansion=array");
        }
        if let Some(index) = &index {
            let _ = write!(text, " with_itemindex={index}");
        }
        let known = self.columns.iter().position(|(_, ty)| *ty == Dynamic);
        if let Some(at) = known.filter(|_| self.rng.chance(40)) {
            // In its own place.
            let (name, known) = self.columns.get_mut(at).expect("a column");
            *known = ty;
            let _ = write!(text, " {name}{}", to(ty));
        } else {
            let value = if self.rng.chance(40) {
                self.expr(Dynamic, 2)
            } else {
                self.array_of(ty)
            };
            let other = self.rng.chance(25).then(|| self.expr(Dynamic, 2));
            let name = self.made(ty);
            let _ = write!(text, " {name} = {value}{}", to(ty));
            if let Some(other) = other {
                let name = self.made(Dynamic);
                let _ = write!(text, ", {name} = {other}");
            }
        }
        if let Some(index) = index {
            self.columns.push((index, Long));
        }
        if self.rng.chance(15) {
            let _ = write!(text, " limit {}", 1 + self.rng.below(3));
        }
        text
    }

    fn mv_apply(&mut self) -> String {
        use ColumnType::{Bool, Dynamic, Long};
        let array = self.array_of(Long);
        let filter = self.expr(Bool, 1);
        let element = self.name();
        let (query, made) = match self.rng.below(5) {
            0 => (format!("where {filter} or {element} == 2"), None),
            1 => {
                let sum = self.name();
                (
                    format!("where {filter} | summarize {sum} = sum({element})"),
                    Some((sum, Long)),
                )
            }
            2 => {
                let list = self.name();
                (
                    format!("summarize {list} = make_list({element})"),
                    Some((list, Dynamic)),
                )
            }
            3 => (format!("top 1 by {element}"), None),
            _ => {
                let row = self.name();
                self.columns.push((element.clone(), Long));
                self.columns.push((row.clone(), Long));
                return format!(
                    "mv-apply {element} = {array} to typeof(long) on (sort by {element} asc | extend {row} = row_number())"
                );
            }
        };
        self.columns.push(made.unwrap_or((element.clone(), Long)));
        format!("mv-apply {element} = {array} to typeof(long) on ({query})")
    }

    fn scan(&mut self) -> String {
        use ColumnType::{Bool, Long};
        if self.rng.chance(50) {
            return self.scan_of_steps();
        }
        let (sort, term) = (self.sort(), self.expr(Long, 1));
        let condition = if self.rng.chance(50) {
            "true".to_owned()
        } else {
            self.expr(Bool, 1)
        };
        let total = self.made(Long);
        format!(
            "{sort}\n| scan declare ({total}: long = 0) with (step s: {condition} => {total} = s.{total} + coalesce({term}, 0);)"
        )
    }

    /// Up to three steps, which look at the rows that those before them took.
    fn scan_of_steps(&mut self) -> String {
        use ColumnType::{Bool, Dynamic, Long};
        let sort = self.sort();
        let names = ["q", "r", "u"];
        let mut steps = String::new();
        let (total, id) = (self.name(), self.rng.chance(50).then(|| self.name()));
        for (at, name) in names.iter().enumerate().take(2 + self.rng.index(2)) {
            let mut condition = self.expr(Bool, 1);
            let earlier = names.get(self.rng.index(at + 1)).expect("a step");
            let (column, ty) = self.column_of_any();
            if ty != Dynamic && self.rng.chance(60) {
                let word = pick(self.rng, &["or", "and"]);
                let operator = pick(self.rng, &["==", "!="]);
                condition = format!("{condition} {word} {column} {operator} {earlier}.{column}");
            }
            let output = pick(self.rng, &["", "", " output=all", " output=none"]);
            let term = self.expr(Long, 1);
            let _ = write!(
                steps,
                "step {name}{output}: {condition} => {total} = {earlier}.{total} + coalesce({term}, 1); "
            );
        }
        self.columns.push((total.clone(), Long));
        let with_id = match id {
            Some(id) => {
                self.columns.push((id.clone(), Long));
                format!(" with_match_id = {id}")
            }
            None => String::new(),
        };
        format!("{sort}\n| scan{with_id} declare ({total}: long = 0) with ({steps})")
    }

    fn has_key(&self) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|(name, ty)| name == "k" && *ty == ColumnType::Long)
    }

    fn lookup(&mut self) -> String {
        if !self.has_key() {
            return self.extend();
        }
        let z = self.made(ColumnType::Long);
        let kind = pick(self.rng, &["leftouter", "inner"]);
        if self.rng.chance(50) {
            format!("lookup kind={kind} (B | summarize {z} = max(y) by k) on k")
        } else {
            format!("lookup kind={kind} (B | project k, {z} = y) on k")
        }
    }

    /// A join of the default kind, whose left side has one row per key.
    fn innerunique(&mut self) -> String {
        if !self.has_key() {
            return self.extend();
        }
        let (sum, z) = (self.name(), self.name());
        let term = self.expr(ColumnType::Long, 1);
        self.columns = ["k", &sum, &z]
            .map(|name| (name.to_owned(), ColumnType::Long))
            .to_vec();
        let kind = pick(self.rng, &["", " kind=innerunique"]);
        format!(
            "summarize {sum} = sum({term}) by k\n| join{kind} (B | project k, {z} = y) on k\n| project-away k1"
        )
    }

    fn parse(&mut self) -> String {
        use ColumnType::{Long, Real, String as Text};
        let source = self.expr(Text, 2);
        let operator = pick(
            self.rng,
            &[
                "parse",
                "parse",
                "parse-where",
                "parse kind=relaxed",
                "parse-where kind=relaxed",
            ],
        );
        let ty = pick_type(self.rng, &[Text, Long, Real]);
        let separator = pick(self.rng, &["-", " ", "a", ".", "be"]);
        let begin = pick(self.rng, &["", "* '", "'"]);
        let (first, second) = (self.made(Text), self.made(ty));
        let begin = if begin.is_empty() {
            String::new()
        } else {
            format!("{begin}{}' ", pick(self.rng, &["b", "1", "c"]))
        };
        format!(
            "{operator} {source} with {begin}{first}:string '{separator}' {second}:{}",
            ty.as_str()
        )
    }

    fn make_series(&mut self) -> String {
        let is_plain = |ty: &ColumnType| !matches!(ty, ColumnType::Real | ColumnType::Dynamic);
        let plain = self.columns.iter().filter(|(_, ty)| is_plain(ty));
        let texts: Vec<_> = plain.map(|(name, _)| format!("tostring({name})")).collect();
        let length = format!("strlen(strcat('', {}))", texts.join(", ")).replace(", )", ")");
        let Some(by) = self.some_columns(true) else {
            return self.extend();
        };
        let (count, at) = (self.made(ColumnType::Long), self.name());
        let expansion = if self.rng.chance(50) {
            format!("\n| mv-expand {count} to typeof(long)")
        } else {
            self.columns.last_mut().expect("a column").1 = ColumnType::Dynamic;
            String::new()
        };
        let away = if self.rng.chance(50) {
            format!("\n| project-away {at}")
        } else {
            self.columns.push((at.clone(), ColumnType::Dynamic));
            String::new()
        };
        let bounds = pick(self.rng, &["from 0 to 60 ", "from 7 to 51 ", "", "from 3 "]);
        format!(
            "extend {at} = {length}\n| make-series {count} = count() default = 0 on {at} {bounds}step {} by {by}{expansion}{away}",
            pick(self.rng, &["30", "7"])
        )
    }

    fn make_series_over_time(&mut self) -> String {
        use ColumnType::{DateTime, Dynamic, Long};
        let term = self.expr(Long, 1);
        let time = self.expr(DateTime, 1);
        let by = self.some_columns(true);
        if by.is_none() {
            self.columns.clear();
        }
        let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
        let (sum, at) = (self.made(Dynamic), self.name());
        let aggregate = pick(self.rng, &["sum", "max", "min"]);
        format!(
            "extend {at} = {time}\n| make-series {sum} = {aggregate}({term}) default = long(null) on {at} from datetime(2024-06-14T20:00Z) to datetime(2024-06-15T06:00Z) step 90m{by}\n| project-away {at}"
        )
    }

    /// Lists and sets of sorted rows.
    fn lists(&mut self) -> String {
        use ColumnType::{Bool, Dynamic, Int, Long, String as Text};
        let sort = self.sort();
        let ty = pick_type(self.rng, &[Long, Text, Int, Bool]);
        let (value, filter) = (self.expr(ty, 2), self.expr(Bool, 1));
        let key = self.expr(Text, 1);
        let calls = [
            format!("make_list({value})"),
            format!("make_list_with_nulls({value})"),
            format!("make_list_if({value}, {filter})"),
            format!("make_set({value})"),
            format!("make_set_if({value}, {filter})"),
            format!("make_list({})", self.expr(Dynamic, 1)),
            // The value is that of the key, so that it does not matter which stays.
            format!("make_bag(bag_pack({key}, strlen({key})))"),
        ];
        let call = calls.get(self.rng.index(calls.len())).expect("a call");
        let by = self.rng.chance(75).then(|| self.some_columns(true));
        let by = if let Some(by) = by.flatten() {
            format!(" by {by}")
        } else {
            self.columns.clear();
            String::new()
        };
        let list = self.made(Dynamic);
        format!("{sort}\n| summarize {list} = {call}{by}")
    }

    /// The row with the greatest number, of rows that are numbered.
    fn arg_extreme(&mut self) -> String {
        let sort = self.sort();
        let row = self.name();
        let all = self.columns.clone();
        let Some(by) = self.some_columns(true) else {
            return self.extend();
        };
        let call = pick(self.rng, &["arg_max", "arg_min"]);
        let rest: Vec<_> = all
            .into_iter()
            .filter(|column| !self.columns.contains(column))
            .collect();
        let names: Vec<_> = rest.iter().map(|(name, _)| format!(", {name}")).collect();
        self.columns.push((row.clone(), ColumnType::Long));
        self.columns.extend(rest);
        let names = if names.is_empty() || self.rng.chance(30) {
            ", *".to_owned()
        } else {
            names.concat()
        };
        format!("{sort}\n| extend {row} = row_number()\n| summarize {call}({row}{names}) by {by}")
    }

    fn partition(&mut self) -> String {
        let Some((key, _)) = self.groupable() else {
            return self.extend();
        };
        let sort = self.sort();
        let query = match self.rng.below(4) {
            0 => format!("{sort} | take {}", self.rng.below(3)),
            1 => format!("where {}", self.expr(ColumnType::Bool, 2)),
            2 => {
                let row = self.made(ColumnType::Long);
                format!("{sort} | extend {row} = row_number()")
            }
            _ => {
                let (count, term) = (self.name(), self.expr(ColumnType::Long, 1));
                let max = self.name();
                self.columns = vec![
                    (count.clone(), ColumnType::Long),
                    (max.clone(), ColumnType::Long),
                ];
                format!("summarize {count} = count(), {max} = max({term})")
            }
        };
        // Of a null key nothing says whether it has a part.
        format!("where isnotnull({key})\n| partition by {key} ({query})")
    }

    fn windows(&mut self) -> String {
        use ColumnType::Long;
        let (name, ty) = self.column_of_any();
        let sort = self.sort();
        let restart = match self.groupable() {
            Some((key, _)) => format!("{key} != prev({key})"),
            None => "false".to_owned(),
        };
        let (value, ty) = match self.rng.below(7) {
            4..=5 if !matches!(ty, ColumnType::Dynamic) => {
                let call = pick(self.rng, &["row_rank_dense", "row_rank_min"]);
                (format!("{call}({name}, {restart})"), Long)
            }
            6 => {
                let (time, ty) = (self.expr(ColumnType::DateTime, 1), ColumnType::DateTime);
                let longest = pick(self.rng, &["1h", "2h", "1d"]);
                let gap = pick(self.rng, &["30m", "1h", "17m"]);
                (
                    format!("row_window_session({time}, {longest}, {gap}, {restart})"),
                    ty,
                )
            }
            0 => (
                format!("row_number({}, {restart})", self.rng.below(3)),
                Long,
            ),
            1 => {
                let term = self.expr(Long, 1);
                (format!("row_cumsum({term}, {restart})"), Long)
            }
            2 if ty == Long => (format!("prev({name}, 2, -7)"), Long),
            _ => (format!("next({name})"), ty),
        };
        let made = self.made(ty);
        format!("{sort}\n| extend {made} = {value}")
    }

    /// Fewer columns, or the same in another order.
    fn away(&mut self) -> String {
        let at = self.rng.index(self.columns.len());
        let (name, _) = self.columns.get(at).cloned().expect("a column");
        match self.rng.below(3) {
            0 if self.columns.len() > 1 => {
                self.columns.remove(at);
                format!("project-away {name}")
            }
            1 => {
                let column = self.columns.remove(at);
                self.columns.insert(0, column);
                format!("project-reorder {name}")
            }
            _ => {
                let new = self.name();
                if let Some((known, _)) = self.columns.get_mut(at) {
                    known.clone_from(&new);
                }
                format!("project-rename {new} = {name}")
            }
        }
    }

    fn groupable(&self) -> Option<(String, ColumnType)> {
        let all = self.columns.iter();
        let all: Vec<_> = all.filter(|(_, ty)| *ty != ColumnType::Dynamic).collect();
        all.get(self.rng.index(all.len())).map(|c| (*c).clone())
    }
}
