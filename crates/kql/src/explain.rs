//! A resolved query as text, one operator a line, innermost first: what `--explain` shows.
//!
//! Columns are shown by name with their position (`FileName#3`), conversions as `type(…)`.
//! The form is for people and tests; nothing reads it back.

use std::fmt::Write as _;

use crate::resolved::{
    Aggregate, Expr, ExprKind, Field, LookupBy, Op, PathKey, Relation, Resolved, Set, SharedId,
    SortKey, Value,
};

/// The query's operators, shared relations first.
pub fn explain(query: &Resolved) -> String {
    let mut out = String::new();
    for (position, shared) in query.shared.iter().enumerate() {
        let _ = writeln!(out, "shared {position}:");
        relation(shared, 1, &mut out);
    }
    relation(&query.root, 0, &mut out);
    if let Some(render) = &query.render {
        let _ = writeln!(out, "render {}", render.kind);
    }
    for also in &query.also {
        let _ = writeln!(out, "also {}:", also.name.as_deref().unwrap_or_default());
        relation(&also.relation, 0, &mut out);
    }
    out
}

/// `name: type, …`, hidden columns in brackets.
pub fn columns(fields: &[Field]) -> String {
    let shown = fields.iter().map(|f| {
        if f.hidden {
            format!("[{}: {}]", f.name, f.ty)
        } else {
            format!("{}: {}", f.name, f.ty)
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn relation(this: &Relation, level: usize, out: &mut String) {
    // Inputs stand above, deeper only where there are several: a pipeline reads downwards.
    let inputs = this.inputs();
    let is_branching = matches!(this.op, Op::Join { .. } | Op::Union { .. });
    for input in &inputs {
        relation(input, level + usize::from(is_branching), out);
    }
    let indent = "  ".repeat(level);
    let _ = writeln!(out, "{indent}{}", line(this));
}

fn line(this: &Relation) -> String {
    match &this.op {
        Op::Source { table, .. } => format!("source {table}"),
        Op::Values { rows } => format!("values {} rows ({})", rows.len(), columns(&this.columns)),
        Op::Range { from, to, step } => {
            let none = &[];
            format!(
                "range {} to {} step {}",
                expr(from, none),
                expr(to, none),
                expr(step, none)
            )
        }
        Op::Shared(SharedId(id)) => format!("shared {id}"),
        Op::Filter { input, predicate } => format!("filter {}", expr(predicate, &input.columns)),
        Op::Project { input, exprs } => {
            let items = this.columns.iter().zip(exprs);
            let items = items.map(|(f, e)| projected(f, &expr(e, &input.columns)));
            format!("project {}", items.collect::<Vec<_>>().join(", "))
        }
        Op::Summarize {
            input,
            by,
            aggregates,
        } => {
            let keys: Vec<String> = by.iter().map(|e| expr(e, &input.columns)).collect();
            let parts: Vec<String> = aggregates
                .iter()
                .map(|a| aggregate(a, &input.columns))
                .collect();
            format!("summarize {} by {}", parts.join(", "), keys.join(", "))
        }
        Op::Distinct { .. } => "distinct".to_owned(),
        Op::Take { rows, .. } => format!("take {rows}"),
        Op::Sort { input, keys } => {
            let keys: Vec<String> = keys.iter().map(|k| sort_key(k, &input.columns)).collect();
            format!("sort {}", keys.join(", "))
        }
        Op::Join {
            left,
            right,
            kind,
            on,
        } => {
            let pair = |(a, b): &(Expr, Expr)| {
                format!("{} = {}", expr(a, &left.columns), expr(b, &right.columns))
            };
            let keys: Vec<String> = on.iter().map(pair).collect();
            format!("join {kind:?} on {}", keys.join(", "))
        }
        Op::Union { .. } => format!("union ({})", columns(&this.columns)),
        Op::MvExpand {
            columns,
            bags,
            item_index,
            rows_max,
            ..
        } => {
            let parts: Vec<String> = columns
                .iter()
                .map(|c| format!("#{} to {}", c.column, c.to))
                .collect();
            format!(
                "mv-expand {} {bags:?} index={item_index} max={rows_max:?}",
                parts.join(", ")
            )
        }
        _ => wide_line(this),
    }
}

/// Operators that see more than one row, or read a text.
fn wide_line(this: &Relation) -> String {
    let list = |exprs: &[Expr], fields: &[Field]| {
        let shown: Vec<String> = exprs.iter().map(|e| expr(e, fields)).collect();
        shown.join(", ")
    };
    match &this.op {
        Op::Window {
            input,
            function,
            args,
            keys,
        } => format!(
            "window {function:?}({}) per ({})",
            list(args, &input.columns),
            list(keys, &input.columns)
        ),
        Op::Extract {
            input,
            source,
            form,
            captures,
        } => {
            let source = expr(source, &input.columns);
            format!("extract {source} {form:?} to {captures:?}")
        }
        Op::Series { keys, axis, .. } => {
            let step = expr(&axis.step, &[]);
            format!("series after {keys} keys, step {step}")
        }
        Op::Scan {
            declared, steps, ..
        } => format!("scan {} columns, {} steps", declared.len(), steps.len()),
        Op::GraphMatch { pattern, parts, .. } => format!(
            "graph-match {} steps to {parts:?}, {:?}",
            pattern.steps.len(),
            pattern.cycles
        ),
        Op::GraphComponents { strong, .. } => format!("graph components, strong={strong}"),
        Op::FileProfile {
            sha256, files_max, ..
        } => format!("file-profile #{sha256} max={files_max}"),
        Op::External { addresses, .. } => format!("external {}", addresses.join(", ")),
        _ => "serialize".to_owned(),
    }
}

/// `name#3` if the column keeps its name, `new = …` if not.
fn projected(field: &Field, text: &str) -> String {
    match text.split_once('#') {
        Some((name, at)) if name == &*field.name && at.parse::<usize>().is_ok() => text.to_owned(),
        _ => format!("{} = {text}", field.name),
    }
}

fn sort_key(key: &SortKey, fields: &[Field]) -> String {
    let direction = if key.descending { "desc" } else { "asc" };
    let nulls = if key.nulls_first { "first" } else { "last" };
    format!("{} {direction} nulls {nulls}", expr(&key.expr, fields))
}

fn aggregate(this: &Aggregate, fields: &[Field]) -> String {
    let args: Vec<String> = this.args.iter().map(|e| expr(e, fields)).collect();
    let filter = this
        .filter
        .as_ref()
        .map_or_else(String::new, |f| format!(" if {}", expr(f, fields)));
    format!("{}({}){filter}", this.function.as_str(), args.join(", "))
}

/// An expression over `fields`.
pub fn expr(this: &Expr, fields: &[Field]) -> String {
    let list = |exprs: &[Expr]| {
        exprs
            .iter()
            .map(|e| expr(e, fields))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match &this.kind {
        ExprKind::Column(position) => {
            let name = fields.get(*position).map_or("?", |f| &*f.name);
            format!("{name}#{position}")
        }
        ExprKind::Literal(value) => literal(value),
        ExprKind::Call { function, args } => format!("{}({})", function.as_str(), list(args)),
        ExprKind::Cast(inner) => format!("{}({})", this.ty, expr(inner, fields)),
        ExprKind::Path { base, key } => {
            let key = match key {
                PathKey::Property(name) => format!("{name:?}"),
                PathKey::Index(n) => n.to_string(),
                PathKey::Computed(key) => expr(key, fields),
            };
            format!("{}[{key}]", expr(base, fields))
        }
        ExprKind::Member { op, value, set } => {
            let set = match set {
                Set::Exprs(exprs) => list(exprs),
                Set::Array(array) => format!("elements of {}", expr(array, fields)),
                Set::Shared(SharedId(id)) => format!("shared {id}"),
            };
            format!("{} {op:?} ({set})", expr(value, fields))
        }
        ExprKind::ToScalar(SharedId(id)) => format!("first of shared {id}"),
        ExprKind::LookedUp {
            by,
            keys,
            among: SharedId(id),
        } => {
            let what = match by {
                LookupBy::Network => "networks",
                LookupBy::Line => "lines",
                LookupBy::Polygon => "polygons",
            };
            let keys: Vec<String> = keys.iter().map(|key| expr(key, fields)).collect();
            format!("{what} of shared {id} that have {}", keys.join(", "))
        }
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null(ty) => format!("{ty}(null)"),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => format!("int({n})"),
        Value::Long(n) => n.to_string(),
        Value::Real(n) => format!("{n:?}"),
        Value::Decimal(text) => format!("decimal({text})"),
        Value::String(text) => format!("{text:?}"),
        Value::DateTime(t) => t.to_string(),
        Value::TimeSpan(s) => s.to_string(),
        Value::Guid(bytes) => format!("guid({})", hex(bytes)),
        Value::Dynamic(json) => format!("dynamic({json})"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
