//! Plugins that count users and sessions along a time line, each spelled out as a query.
//!
//! A template is KQL text over the plugin's input (`__rows`) into which the arguments are put as
//! they are written; it is resolved where the plugin stands, so that the arguments mean what they
//! mean there. What is wrong inside is reported at the plugin.

use std::fmt::Write as _;
use std::rc::Rc;

use model::{Diagnostic, Span};

use super::names::suggested;
use super::{Broken, Fallible, Resolver, plain_name};
use crate::codes;
use crate::resolved::Relation;
use crate::syntax::{Kind, Node, span};

/// The name under which a template reads the plugin's input.
const ROWS: &str = "__rows";

/// What a template is made of.
struct Arguments {
    /// Texts of the arguments.
    texts: Vec<String>,
    /// The names that the arguments suggest for columns.
    names: Vec<String>,
}

impl Arguments {
    fn text(&self, at: usize) -> &str {
        self.texts.get(at).map_or("", String::as_str)
    }

    /// The name of the column that argument `at` is, quoted.
    fn name(&self, at: usize) -> String {
        quoted(self.names.get(at).map_or("", String::as_str))
    }

    /// The dimensions from argument `at` on, as a list that ends with a comma.
    fn dimensions(&self, at: usize) -> String {
        let mut list = String::new();
        for name in self.names.iter().skip(at) {
            list.push_str(&quoted(name));
            list.push_str(", ");
        }
        list
    }

    /// Whether a dimension from argument `at` on differs from the row's before.
    fn prefix_changes(&self, at: usize) -> String {
        let mut list = String::from("false");
        for name in self.names.iter().skip(at) {
            let name = quoted(name);
            let _ = write!(list, " or {name} != prev({name})");
        }
        list
    }
}

fn quoted(name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('\'', "\\'");
    format!("['{escaped}']")
}

/// The windows of a plugin: so long each, or those of the calendar.
enum Windows<'a> {
    Long { window: &'a str, start: &'a str },
    Calendar(&'static str),
}

impl<'a> Windows<'a> {
    fn new(window: &'a str, start: &'a str) -> Self {
        match calendar(window) {
            Some(function) => Self::Calendar(function),
            None => Self::Long { window, start },
        }
    }

    /// Where the window of `__t` begins.
    fn bin(&self) -> String {
        match self {
            Self::Long { window, start } => format!("bin_at(__t, {window}, {start})"),
            Self::Calendar(function) => format!("{function}(__t)"),
        }
    }

    /// A step that leaves out no window.
    fn step(&self) -> &str {
        match self {
            Self::Long { window, .. } => window,
            Self::Calendar(_) => "1d",
        }
    }

    /// Where the window after `__b` begins.
    fn next(&self) -> String {
        match self {
            Self::Long { window, .. } => format!("__b + {window}"),
            Self::Calendar(function) => format!("{function}(__b, 1)"),
        }
    }
}

/// The function that gives the beginning of the calendar's window, if an argument names one.
fn calendar(argument: &str) -> Option<&'static str> {
    let text = argument.strip_prefix('(')?.strip_suffix(')')?.trim();
    let name = match text.as_bytes() {
        [b'"', .., b'"'] | [b'\'', .., b'\''] => text.get(1..text.len() - 1)?,
        _ => return None,
    };
    match name {
        "week" => Some("startofweek"),
        "month" => Some("startofmonth"),
        "year" => Some("startofyear"),
        _ => None,
    }
}

/// A plugin's name, how many arguments it wants at least, its text.
type Template = (&'static str, usize, fn(&Arguments) -> String);

/// The plugins of this module.
const TEMPLATES: &[Template] = &[
    ("active_users_count", 8, active_users_count),
    ("activity_counts_metrics", 5, activity_counts_metrics),
    ("activity_engagement", 4, activity_engagement),
    ("activity_metrics", 3, activity_metrics),
    ("dcount_intersect", 2, dcount_intersect),
    ("new_activity_metrics", 5, new_activity_metrics),
    ("rolling_percentile", 5, rolling_percentile),
    ("rows_near", 2, rows_near),
    ("session_count", 6, session_count),
    ("sliding_window_counts", 6, sliding_window_counts),
];

impl Resolver<'_> {
    /// A plugin of this module; `None` if it is none.
    pub(super) fn template(
        &mut self,
        input: &Relation,
        name: &str,
        args: &[Node],
        at: Span,
    ) -> Option<Fallible<Relation>> {
        let (_, least, write) = TEMPLATES.iter().find(|(known, ..)| *known == name)?;
        if args.len() < *least {
            let message = format!("`{name}` wants at least {least} arguments");
            return Some(Err(self.error(codes::BAD_ARGUMENTS, at, message)));
        }
        let mut arguments = Arguments {
            texts: Vec::new(),
            names: Vec::new(),
        };
        for arg in args {
            let value = match arg.kind() {
                Kind::Named => arg.children().nth(1).unwrap_or_else(|| arg.clone()),
                _ => arg.clone(),
            };
            let name = match value.kind() {
                Kind::Name | Kind::BracketName => plain_name(&value),
                _ => suggested(&value, false)
                    .text()
                    .unwrap_or_default()
                    .to_owned(),
            };
            arguments.texts.push(format!("({})", value.text()));
            arguments.names.push(name);
        }
        let calendars = [
            "activity_counts_metrics",
            "activity_metrics",
            "new_activity_metrics",
        ];
        let place = arguments.texts.iter().position(|t| calendar(t).is_some());
        if let Some(arg) = place.and_then(|place| args.get(place))
            && !calendars.contains(&name)
        {
            let message = format!("windows of the calendar are not supported yet in `{name}`");
            let help = "say how long they are: `7d`";
            return Some(Err(self.error_help(
                codes::FORM_NOT_YET,
                span(arg),
                message,
                help,
            )));
        }
        Some(self.written(input, &write(&arguments), name, at))
    }

    /// Resolves the text of a template over `input`.
    fn written(
        &mut self,
        input: &Relation,
        text: &str,
        name: &str,
        at: Span,
    ) -> Fallible<Relation> {
        let (reported, warned) = (self.diagnostics.len(), self.warnings.len());
        let syntax = crate::parse(text);
        let known = self.env.len();
        let rows = self.shared_relation(input.clone(), at);
        let binding = Rc::new(self.table_binding(rows, self.pipeline));
        self.env.push((ROWS.into(), binding));
        let mut result = Err(Broken);
        if syntax.diagnostics.is_empty() {
            for statement in syntax.root().children() {
                match statement.kind() {
                    Kind::Let => self.let_statement(&statement),
                    _ => {
                        if let Some(query) = statement.children().next() {
                            result = self.table(&query);
                        }
                    }
                }
            }
        }
        self.env.truncate(known);
        self.warnings.truncate(warned);
        match result {
            Ok(relation) if self.diagnostics.len() == reported => Ok(relation),
            _ => {
                // What is wrong stands in the template's text, which nobody wrote.
                let inner = self
                    .diagnostics
                    .split_off(reported.min(self.diagnostics.len()));
                let why = inner
                    .first()
                    .map_or("", |d: &Diagnostic| d.message.as_str());
                let message = format!("`{name}` does not take these arguments: {why}");
                Err(self.error(codes::BAD_ARGUMENTS, at, message))
            }
        }
    }
}

/// Counts, distinct counts, and how many of them are new, per window.
fn activity_counts_metrics(a: &Arguments) -> String {
    let (id, time, start, end, window) = (a.text(0), a.text(1), a.text(2), a.text(3), a.text(4));
    let (dims, out, changes) = (a.dimensions(5), a.name(1), a.prefix_changes(5));
    let bin = Windows::new(window, start).bin();
    format!(
        "let __r = materialize({ROWS} | extend __id = {id}, __t = {time} \
           | where __t between ({start} .. {end}) | extend __b = {bin}); \
         let __n = __r | summarize __b = min(__b) by {dims}__id | summarize __new = count() by {dims}__b; \
         __r | summarize __c = count(), __d = count_distinct(__id) by {dims}__b \
         | join kind=leftouter (__n) on {dims}__b | extend __new = coalesce(__new, 0) \
         | sort by {sorted}__b asc | extend __sum = row_cumsum(__new, {changes}) | sort by __b asc \
         | project {out} = __b, {dims}['count'] = __c, ['dcount'] = __d, new_dcount = __new, \
           aggregated_dcount = __sum",
        sorted = dims.replace("'], ", "'] asc, "),
    )
}

/// How many ids were seen, and how many of them were not, or were, in the window before.
fn activity_metrics(a: &Arguments) -> String {
    // Start and end may be left out: then the third argument is the window.
    let bounded = a.texts.len() >= 5;
    let (id, time) = (a.text(0), a.text(1));
    let (window, dims) = if bounded {
        (a.text(4), a.dimensions(5))
    } else {
        (a.text(2), String::new())
    };
    let (bounds, start) = if bounded {
        let (start, end) = (a.text(2), a.text(3));
        (
            format!("| where __t between ({start} .. {end})"),
            start.to_owned(),
        )
    } else {
        let first = format!("toscalar({ROWS} | summarize min({time}))");
        (String::new(), first)
    };
    let windows = Windows::new(window, &start);
    let (out, bin, next) = (a.name(1), windows.bin(), windows.next());
    format!(
        "let __r = materialize({ROWS} | extend __id = {id}, __t = {time} {bounds} \
           | summarize by {dims}__id, __b = {bin}); \
         let __again = __r | join kind=inner (__r | extend __b = {next}) on {dims}__id, __b \
           | summarize __back = count_distinct(__id) by {dims}__b; \
         let __c = materialize(__r | summarize __d = count_distinct(__id) by {dims}__b); \
         __c | join kind=leftouter (__again) on {dims}__b \
         | join kind=leftouter (__c | project {dims}__b = {next}, __before = __d) on {dims}__b \
         | extend __kept = iff(isnull(__before), real(nan), todouble(coalesce(__back, 0)) / __before) \
         | sort by __b asc \
         | project {out} = __b, {dims}dcount_values = __d, dcount_newvalues = __d - coalesce(__back, 0), \
           retention_rate = __kept, churn_rate = 1.0 - __kept"
    )
}

/// Ids first seen in a window, and how many of them are there in later ones.
fn new_activity_metrics(a: &Arguments) -> String {
    let (id, time, start, end, window) = (a.text(0), a.text(1), a.text(2), a.text(3), a.text(4));
    // A cohort is an instant, not a dimension; its column would have a name.
    let has_cohort = a.texts.len() > 5 && a.names.get(5).is_some_and(String::is_empty);
    let dims = a.dimensions(if has_cohort { 6 } else { 5 });
    let cohort = if has_cohort {
        format!("| where __from == {}", a.text(5))
    } else {
        String::new()
    };
    let (from, to) = (
        quoted(&format!(
            "from_{}",
            a.names.get(1).map_or("", String::as_str)
        )),
        quoted(&format!("to_{}", a.names.get(1).map_or("", String::as_str))),
    );
    let windows = Windows::new(window, start);
    let (bin, step) = (windows.bin(), windows.step());
    format!(
        "let __r = materialize({ROWS} | extend __id = {id}, __t = {time} \
           | where __t between ({start} .. {end}) \
           | summarize by {dims}__id, __b = {bin}); \
         let __first = materialize(__r | summarize __from = min(__b) by {dims}__id); \
         let __n = materialize(__first {cohort}); \
         let __size = materialize(__n | summarize __all = count() by {dims}__from); \
         let __seen = __n | join kind=inner (__r) on {dims}__id \
           | summarize __kept = count_distinct(__id) by {dims}__from, __b; \
         let __firsts = materialize(__r | join kind=inner (__first) on {dims}__id \
           | summarize __ids = count() by {dims}__b, __first = __from); \
         let __pairs = materialize(__size | extend __k = 1 \
           | join kind=inner (range __t from {start} to {end} step {step} \
             | summarize by __b = {bin} | extend __k = 1) on __k \
           | where __b >= __from); \
         let __fresh = __pairs | join kind=inner (__firsts) on {dims}__b \
           | where __first > __from or (__b == __from and __first == __from) \
           | summarize __new = sum(__ids) by {dims}__from, __b; \
         __pairs | join kind=leftouter (__seen) on {dims}__from, __b \
         | join kind=leftouter (__fresh) on {dims}__from, __b \
         | extend __kept = coalesce(__kept, 0), __new = coalesce(__new, 0) \
         | sort by __from asc, __b asc \
         | project {from} = __from, {to} = __b, {dims}dcount_new_values = __new, \
           dcount_retained_values = __kept, dcount_churn_values = __all - __kept, \
           retention_rate = todouble(__kept) / __all, churn_rate = todouble(__all - __kept) / __all"
    )
}

/// Ids seen in enough of the periods before one in which they are seen.
fn active_users_count(a: &Arguments) -> String {
    let (id, time, start, end) = (a.text(0), a.text(1), a.text(2), a.text(3));
    let (lookback, period, active, bin) = (a.text(4), a.text(5), a.text(6), a.text(7));
    let (dims, out) = (a.dimensions(8), a.name(1));
    format!(
        "let __r = materialize({ROWS} | extend __id = {id}, __t = {time} \
           | where __t >= {start} - {lookback} and __t <= {end} \
           | summarize by {dims}__id, __p = bin_at(__t, {period}, {start})); \
         __r | where __p >= {start} \
         | join kind=inner (__r | project {dims}__id, __q = __p) on {dims}__id \
         | where __q <= __p and __q > __p - {lookback} \
         | summarize __n = count() by {dims}__id, __p | where __n >= {active} \
         | summarize ['dcount'] = count_distinct(__id) by {dims}__b = bin_at(__p, {bin}, {start}) \
         | sort by __b asc | project {out} = __b, {dims}['dcount']"
    )
}

/// Distinct ids of inner windows beside those of the outer window that ends with each.
fn activity_engagement(a: &Arguments) -> String {
    let bounded = a.texts.len() >= 6;
    let (id, time, out) = (a.text(0), a.text(1), a.name(1));
    let (inner, outer, dims) = if bounded {
        (a.text(4), a.text(5), a.dimensions(6))
    } else {
        (a.text(2), a.text(3), String::new())
    };
    let (bounds, start, keep) = if bounded {
        let (start, end) = (a.text(2), a.text(3));
        (
            format!("| where __t >= {start} - {outer} and __t <= {end}"),
            start.to_owned(),
            format!("| where __b between ({start} .. {end})"),
        )
    } else {
        let first = format!("toscalar({ROWS} | summarize min({time}))");
        (String::new(), first, String::new())
    };
    format!(
        "let __r = materialize({ROWS} | extend __id = {id}, __t = {time} {bounds} \
           | summarize by {dims}__id, __b = bin_at(__t, {inner}, {start})); \
         let __in = materialize(__r | summarize __i = count_distinct(__id) by {dims}__b {keep}); \
         let __out = __r | extend __k = range(0, tolong({outer} / {inner}) - 1, 1) \
           | mv-expand __k to typeof(long) \
           | summarize __o = count_distinct(__id) by {dims}__b = __b + __k * {inner}; \
         __in | join kind=inner (__out) on {dims}__b | sort by __b asc \
         | project {out} = __b, {dims}dcount_activities_inner = __i, \
           dcount_activities_outer = __o, activity_ratio = todouble(__i) / __o"
    )
}

/// Counts and distinct counts over a window that slides.
fn sliding_window_counts(a: &Arguments) -> String {
    let (id, time, start, end) = (a.text(0), a.text(1), a.text(2), a.text(3));
    let (lookback, bin) = (a.text(4), a.text(5));
    let (dims, out) = (a.dimensions(6), a.name(1));
    format!(
        "{ROWS} | extend __id = {id}, __t = {time} \
         | where __t >= {start} - {lookback} and __t <= {end} \
         | extend __b = bin_at(__t, {bin}, {start}), \
                  __k = range(0, tolong({lookback} / {bin}) - 1, 1) \
         | mv-expand __k to typeof(long) | extend __b = __b + __k * {bin} \
         | where __b between ({start} .. {end}) \
         | summarize Count = count(), Dcount = count_distinct(__id) by {dims}__b \
         | sort by __b asc | project {out} = __b, {dims}Count, Dcount"
    )
}

/// A percentile over a window of bins.
fn rolling_percentile(a: &Arguments) -> String {
    let (value, percent, index) = (a.text(0), a.text(1), a.text(2));
    let (bin, bins, dims) = (a.text(3), a.text(4), a.dimensions(5));
    let plain = |at: usize| a.text(at).trim_matches(['(', ')']).trim().to_owned();
    let result = quoted(&format!(
        "rolling_{}_percentile_{}_{}",
        plain(4),
        a.names.first().map_or("", String::as_str),
        plain(1)
    ));
    let out = a.name(2);
    format!(
        "let __r = materialize({ROWS} | extend __v = {value}, __b = bin({index}, {bin})); \
         let __last = toscalar(__r | summarize max(__b)); \
         __r | extend __k = range(0, {bins} - 1, 1) | mv-expand __k to typeof(long) \
         | extend __b = __b + __k * {bin} | where __b <= __last \
         | summarize __p = percentile(__v, {percent}) by {dims}__b \
         | sort by __b asc | project {out} = __b, {dims}{result} = __p"
    )
}

/// Sessions that begin in each bin: an id that was not seen for the look-back begins one.
fn session_count(a: &Arguments) -> String {
    let (id, time, start, end) = (a.text(0), a.text(1), a.text(2), a.text(3));
    let (bin, lookback) = (a.text(4), a.text(5));
    let (dims, out) = (a.dimensions(6), a.name(1));
    let mut changes = a.prefix_changes(6);
    changes.push_str(" or __id != prev(__id)");
    format!(
        "{ROWS} | extend __id = {id}, __t = {time} | where __t between ({start} .. {end}) \
         | sort by {sorted}__id asc, __t asc \
         | extend __new = row_number() == 1 or {changes} or __t - prev(__t) > {lookback} \
         | where __new | summarize count_sessions = count() by {dims}__b = bin_at(__t, {bin}, {start}) \
         | sort by __b asc | project {out} = __b, {dims}count_sessions",
        sorted = dims.replace("'], ", "'] asc, "),
    )
}

/// The rows before and after each that meets a condition.
fn rows_near(a: &Arguments) -> String {
    let (condition, before) = (a.text(0), a.text(1));
    let after = if a.texts.len() > 2 { a.text(2) } else { before };
    format!(
        "let __r = materialize({ROWS} | serialize __n = row_number()); \
         let __near = __r | where {condition} | mv-expand __n = range(__n - {before}, __n + {after}, 1) \
           to typeof(long) | distinct __n; \
         __r | where __n in (__near) | sort by __n asc | project-away __n"
    )
}

/// Sketches that `dcount_intersect` takes: the counts of every union of them are needed.
const SKETCHES_MAX: usize = 8;

/// How many values are in the first sketch, in the first two, in the first three …: by inclusion
/// and exclusion over the unions.
fn dcount_intersect(a: &Arguments) -> String {
    let mut counts = String::new();
    for last in 0..a.texts.len().min(SKETCHES_MAX) {
        let mut terms = String::new();
        for chosen in 1_usize..(2 << last) {
            let members: Vec<&str> = (0..=last)
                .filter(|at| chosen & (1 << at) != 0)
                .map(|at| a.text(at))
                .collect();
            let union = match members.as_slice() {
                [one] => (*one).to_owned(),
                several => format!("hll_merge({})", several.join(", ")),
            };
            let sign = if members.len() % 2 == 1 { "+" } else { "-" };
            let _ = write!(terms, " {sign} dcount_hll({union})");
        }
        let _ = write!(counts, ", s{last} = max_of(0, 0{terms})");
    }
    format!("{ROWS} | extend {}", counts.trim_start_matches(", "))
}
