//! Hidden columns that travel through the operators of a query in a query (`mv-apply`, `partition`).
//!
//! Such a query is not run once per row or group: its operators run over all of them at once, with
//! the number of the row (or the value of the group) as a hidden key. `$k…` are keys: groups and
//! orders begin with them. `$c…` are copies of the outer columns, which depend on the keys. `$b…`
//! is a bag whose keys may be named like columns (after `bag_unpack`).

use model::{ColumnType, Span};

use super::column;
use super::columns::{identity, projected};
use crate::resolved::{Expr, ExprKind, Field, Op, PathKey, Relation, SortKey, WindowFn};

/// Begins the name of a hidden key.
const KEY: &str = "$k";
/// Begins the name of a hidden copy.
const COPY: &str = "$c";
/// Begins the name of a hidden bag.
const BAG: &str = "$b";

pub(super) fn key_name(number: usize) -> String {
    format!("{KEY}{number}")
}

pub(super) fn copy_name(number: usize, column: usize) -> String {
    format!("{COPY}{number}.{column}")
}

pub(super) fn bag_name(number: usize, prefix: &str) -> String {
    format!("{BAG}{number}.{prefix}")
}

pub(super) fn is_key(field: &Field) -> bool {
    field.hidden && field.name.starts_with(KEY)
}

/// Whether operators that make new rows of old ones keep it.
pub(super) fn is_carried(field: &Field) -> bool {
    field.hidden && (field.name.starts_with(KEY) || field.name.starts_with(COPY))
}

/// The carried columns with their positions.
pub(super) fn carried(columns: &[Field]) -> Vec<(usize, Field)> {
    let all = columns.iter().enumerate();
    all.filter(|(_, f)| is_carried(f))
        .map(|(position, f)| (position, f.clone()))
        .collect()
}

/// The keys among the columns, as expressions.
pub(super) fn keys(columns: &[Field], at: Span) -> Vec<Expr> {
    let all = columns.iter().enumerate();
    all.filter(|(_, f)| is_key(f))
        .map(|(position, f)| column(position, f.ty, at))
        .collect()
}

/// Where the keys are among the columns.
pub(super) fn key_positions(columns: &[Field]) -> Vec<usize> {
    let all = columns.iter().enumerate();
    all.filter(|(_, f)| is_key(f)).map(|(p, _)| p).collect()
}

/// Whether the rows belong to parts.
pub(super) fn has_keys(columns: &[Field]) -> bool {
    columns.iter().any(is_key)
}

/// Carried columns of which one value per key is as good as any.
pub(super) fn copies(columns: &[Field]) -> Vec<(usize, Field)> {
    carried(columns)
        .into_iter()
        .filter(|(_, f)| !is_key(f))
        .collect()
}

/// The hidden bag that may have a property of that name, and what the property is called.
pub(super) fn open_property(columns: &[Field], name: &str) -> Option<(usize, String)> {
    columns.iter().enumerate().rev().find_map(|(position, f)| {
        let rest = f.name.strip_prefix(BAG).filter(|_| f.hidden)?;
        let (_, prefix) = rest.split_once('.')?;
        Some((position, name.strip_prefix(prefix)?.to_owned()))
    })
}

/// Whether names that are no columns may be properties of a hidden bag.
pub(super) fn is_open(columns: &[Field]) -> bool {
    columns.iter().any(|f| f.hidden && f.name.starts_with(BAG))
}

/// Access into the hidden bag.
pub(super) fn property(position: usize, name: &str, at: Span) -> Expr {
    Expr {
        kind: ExprKind::Path {
            base: Box::new(column(position, ColumnType::Dynamic, at)),
            key: PathKey::Property(name.into()),
        },
        ty: ColumnType::Dynamic,
        span: at,
    }
}

/// The input with one more column from a function of neighbouring rows.
pub(super) fn windowed(
    input: Relation,
    function: WindowFn,
    args: Vec<Expr>,
    field: Field,
    at: Span,
) -> Relation {
    let keys = keys(&input.columns, at);
    windowed_by(input, function, args, keys, field, at)
}

/// As [`windowed`], beginning anew where one of `keys` changes.
pub(super) fn windowed_by(
    input: Relation,
    function: WindowFn,
    args: Vec<Expr>,
    keys: Vec<Expr>,
    field: Field,
    at: Span,
) -> Relation {
    let mut columns = input.columns.clone();
    columns.push(field);
    Relation {
        op: Op::Window {
            input: Box::new(input),
            function,
            args,
            keys,
        },
        columns,
        span: at,
    }
}

/// The first `rows` rows of each key.
pub(super) fn take_each(input: Relation, rows: u64, at: Span) -> Relation {
    let keys = keys(&input.columns, at);
    take_each_by(input, keys, rows, at)
}

/// The first `rows` rows of each group of neighbours with the same `keys`.
pub(super) fn take_each_by(input: Relation, keys: Vec<Expr>, rows: u64, at: Span) -> Relation {
    use crate::functions::ScalarFn;
    use crate::resolved::Value;
    let width = input.columns.len();
    let long = |n: i64| Expr::literal(Value::Long(n), at);
    let args = vec![long(1), Expr::literal(Value::Bool(false), at)];
    let field = hidden("$n", ColumnType::Long);
    let numbered = windowed_by(input, WindowFn::RowNumber, args, keys, field, at);
    let most = long(i64::try_from(rows).unwrap_or(i64::MAX));
    let number = column(width, ColumnType::Long, at);
    let predicate = super::operations::call(
        ScalarFn::LessOrEqual,
        vec![number, most],
        ColumnType::Bool,
        at,
    );
    let filtered = Relation {
        columns: numbered.columns.clone(),
        op: Op::Filter {
            input: Box::new(numbered),
            predicate,
        },
        span: at,
    };
    first_columns(filtered, width, at)
}

pub(super) fn hidden(name: &str, ty: ColumnType) -> Field {
    Field {
        name: name.into(),
        ty,
        hidden: true,
    }
}

/// The first `width` columns.
pub(super) fn first_columns(input: Relation, width: usize, at: Span) -> Relation {
    let mut exprs = identity(&input, at);
    exprs.truncate(width);
    let columns = input.columns.iter().take(width).cloned().collect();
    projected(input, exprs, columns, at)
}

fn rising(expr: Expr) -> SortKey {
    SortKey {
        expr,
        descending: false,
        nulls_first: true,
    }
}

/// What puts the rows of each part beside each other.
pub(super) fn by_part(columns: &[Field], at: Span) -> Vec<SortKey> {
    keys(columns, at).into_iter().map(rising).collect()
}

/// Rows in the order of the expressions, rising.
pub(super) fn sorted(input: Relation, exprs: Vec<Expr>, at: Span) -> Relation {
    let keys = exprs.into_iter().map(rising).collect();
    Relation {
        columns: input.columns.clone(),
        op: Op::Sort {
            input: Box::new(input),
            keys,
        },
        span: at,
    }
}

/// Whether the rows have an order that functions of neighbouring rows may rely on.
pub(super) fn is_serialized(relation: &Relation) -> bool {
    let mut relation = relation;
    loop {
        relation = match &relation.op {
            Op::Sort { .. } | Op::Serialize { .. } | Op::Range { .. } | Op::Scan { .. } => {
                return true;
            }
            Op::Filter { input, .. }
            | Op::Project { input, .. }
            | Op::Take { input, .. }
            | Op::Window { input, .. }
            | Op::Extract { input, .. }
            | Op::FileProfile { input, .. }
            | Op::MvExpand { input, .. } => input,
            _ => return false,
        };
    }
}
