//! Relations: every operator is a loop over rows.

use std::cmp::Ordering;

use kql::Resolved;
use kql::resolved::{Expr, JoinKind, Op, Relation, SharedId, SortKey, Value};
use model::TableName;

use crate::Unsupported;
use crate::aggregates::aggregate;
use crate::expand::{Expansion, captured};
use crate::scalars::{holds, text, value};
use crate::sequences::{Scan, Window, series};
use crate::values::{are_same, arithmetic, compare, is_null};

/// One value per column.
pub type Row = Vec<Value>;
/// Rows in an order, which means something only after a sort.
pub type Rows = Vec<Row>;

/// LIMIT: rows of one relation, so that a wrong query ends.
const ROWS_MAX: usize = 1_000_000;

/// The rows of `query` over the rows that `table` gives, columns as the query names them.
///
/// # Errors
/// What is outside of the core.
pub fn run(
    query: &Resolved,
    table: &dyn Fn(&TableName) -> Option<Rows>,
) -> Result<Rows, Unsupported> {
    let mut shared = Vec::new();
    for relation in &query.shared {
        let rows = rows(relation, table, &shared)?;
        shared.push(rows);
    }
    rows(&query.root, table, &shared)
}

fn rows(
    this: &Relation,
    table: &dyn Fn(&TableName) -> Option<Rows>,
    shared: &[Rows],
) -> Result<Rows, Unsupported> {
    let of = |input: &Relation| rows(input, table, shared);
    let rows = match &this.op {
        Op::Source { table: name, .. } => table(name).ok_or_else(|| Unsupported::new(name))?,
        Op::Values { rows } => rows.clone(),
        Op::Range { from, to, step } => range(from, to, step, shared)?,
        Op::Shared(SharedId(at)) => shared.get(*at).cloned().unwrap_or_default(),
        Op::Filter { input, predicate } => {
            let mut kept = Vec::new();
            for row in of(input)? {
                if holds(predicate, &row, shared)? {
                    kept.push(row);
                }
            }
            kept
        }
        Op::Project { input, exprs } => {
            let projected = |row: Row| values(exprs, &row, shared);
            of(input)?
                .into_iter()
                .map(projected)
                .collect::<Result<_, _>>()?
        }
        Op::Summarize {
            input,
            by,
            aggregates,
        } => {
            let mut out = Vec::new();
            for (key, members) in groups(by, of(input)?, shared)? {
                let mut row = key;
                for one in aggregates {
                    row.extend(aggregate(one, &members, shared)?);
                }
                out.push(row);
            }
            out
        }
        Op::Distinct { input } => {
            let mut kept: Rows = Vec::new();
            for row in of(input)? {
                let mut is_new = true;
                for known in &kept {
                    is_new &= !are_same(known, &row)?;
                }
                if is_new {
                    kept.push(row);
                }
            }
            kept
        }
        Op::Take { input, rows } => {
            let most = usize::try_from(*rows).unwrap_or(usize::MAX);
            of(input)?.into_iter().take(most).collect()
        }
        Op::Sort { input, keys } => sorted(of(input)?, keys, shared)?,
        Op::Join {
            left,
            right,
            kind,
            on,
        } => Join {
            left: of(left)?,
            right: of(right)?,
            left_nothing: missing(left),
            right_nothing: missing(right),
            on,
        }
        .rows(*kind, shared)?,
        Op::Union { inputs } => {
            let mut all = Vec::new();
            for input in inputs {
                all.extend(of(input)?);
            }
            all
        }
        Op::Serialize { input } => of(input)?,
        Op::Window {
            input,
            function,
            args,
            keys,
        } => Window {
            function: *function,
            args,
            keys,
        }
        .rows(of(input)?, shared)?,
        other => more(other, of, shared)?,
    };
    if rows.len() > ROWS_MAX {
        return Err(Unsupported::new(rows.len()));
    }
    Ok(rows)
}

/// Operators of arrays, texts and sequences.
fn more(
    op: &Op,
    of: impl Fn(&Relation) -> Result<Rows, Unsupported>,
    shared: &[Rows],
) -> Result<Rows, Unsupported> {
    match op {
        Op::MvExpand {
            input,
            columns,
            bags,
            item_index,
            rows_max,
        } => Expansion {
            columns,
            bags: *bags,
            item_index: *item_index,
            rows_max: *rows_max,
        }
        .rows(of(input)?),
        Op::Extract {
            input,
            source,
            form,
            captures,
        } => {
            let mut out = Vec::new();
            for row in of(input)? {
                let read = captured(&text(&value(source, &row, shared)?), form, captures)?;
                out.push([row, read].concat());
            }
            Ok(out)
        }
        Op::Series {
            input,
            keys,
            axis,
            defaults,
        } => series(of(input)?, *keys, axis, defaults, shared),
        Op::Scan {
            input,
            declared,
            steps,
            match_id,
            keys,
        } => Scan {
            missing: missing(input),
            declared,
            steps,
            match_id: *match_id,
            keys,
        }
        .rows(of(input)?, shared),
        other => Err(Unsupported::new(std::mem::discriminant(other))),
    }
}

pub(crate) fn values(exprs: &[Expr], row: &[Value], shared: &[Rows]) -> Result<Row, Unsupported> {
    exprs.iter().map(|e| value(e, row, shared)).collect()
}

fn missing(relation: &Relation) -> Row {
    let columns = relation.columns.iter();
    columns.map(|f| Value::missing(f.ty)).collect()
}

/// Both ends included; a step the wrong way gives nothing.
fn range(from: &Expr, to: &Expr, step: &Expr, shared: &[Rows]) -> Result<Rows, Unsupported> {
    let (mut at, to) = (value(from, &[], shared)?, value(to, &[], shared)?);
    let step = value(step, &[], shared)?;
    let Value::Long(size) = step else {
        return Err(Unsupported::new(step.ty()));
    };
    let past = if size > 0 {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    let mut out = Vec::new();
    while size != 0 && out.len() <= ROWS_MAX && compare(&at, &to)? != Some(past) {
        out.push(vec![at.clone()]);
        at = arithmetic('+', &at, &step, at.ty())?;
    }
    Ok(out)
}

/// Keys with the rows that have them. Without keys one group, also of no rows.
fn groups(by: &[Expr], rows: Rows, shared: &[Rows]) -> Result<Vec<(Row, Rows)>, Unsupported> {
    let mut groups: Vec<(Row, Rows)> = Vec::new();
    if by.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    for row in rows {
        let key = values(by, &row, shared)?;
        let mut found = None;
        for (at, (known, _)) in groups.iter().enumerate() {
            if are_same(known, &key)? {
                found = Some(at);
            }
        }
        match found.and_then(|at| groups.get_mut(at)) {
            Some((_, members)) => members.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    Ok(groups)
}

/// Rows with equal keys stay in the order they had.
fn sorted(rows: Rows, keys: &[SortKey], shared: &[Rows]) -> Result<Rows, Unsupported> {
    let mut keyed = Vec::new();
    for row in rows {
        let key: Row = keys
            .iter()
            .map(|k| value(&k.expr, &row, shared))
            .collect::<Result<_, _>>()?;
        keyed.push((key, row));
    }
    let mut wrong = None;
    keyed.sort_by(|(a, _), (b, _)| {
        for ((a, b), key) in a.iter().zip(b).zip(keys) {
            match one_key(a, b, key) {
                Ok(Ordering::Equal) => {}
                Ok(order) => return order,
                Err(error) => wrong = Some(error),
            }
        }
        Ordering::Equal
    });
    match wrong {
        Some(error) => Err(error),
        None => Ok(keyed.into_iter().map(|(_, row)| row).collect()),
    }
}

/// Nulls are outermost, what is not a number comes next to them.
fn one_key(a: &Value, b: &Value, key: &SortKey) -> Result<Ordering, Unsupported> {
    let rank = |value: &Value| match value {
        value if is_null(value) => 2,
        Value::Real(x) if x.is_nan() => 1,
        _ => 0,
    };
    let ranks = rank(a).cmp(&rank(b));
    Ok(match (ranks, rank(a)) {
        (Ordering::Equal, 0) => {
            let order = compare(a, b)?.unwrap_or(Ordering::Equal);
            if key.descending {
                order.reverse()
            } else {
                order
            }
        }
        (ranks, _) if key.nulls_first => ranks.reverse(),
        (ranks, _) => ranks,
    })
}

struct Join<'a> {
    left: Rows,
    right: Rows,
    left_nothing: Row,
    right_nothing: Row,
    on: &'a [(Expr, Expr)],
}

impl Join<'_> {
    fn rows(mut self, kind: JoinKind, shared: &[Rows]) -> Result<Rows, Unsupported> {
        let (lefts, rights): (Vec<Expr>, Vec<Expr>) = self.on.iter().cloned().unzip();
        if kind == JoinKind::InnerUnique {
            let mut firsts = Vec::new();
            for (_, rows) in groups(&lefts, self.left, shared)? {
                firsts.extend(rows.into_iter().next());
            }
            self.left = firsts;
        }
        let mut pairs = Vec::new();
        let mut left_met = vec![false; self.left.len()];
        let mut right_met = vec![false; self.right.len()];
        for (left, left_met) in self.left.iter().zip(&mut left_met) {
            let key = values(&lefts, left, shared)?;
            for (right, right_met) in self.right.iter().zip(&mut right_met) {
                if are_same(&key, &values(&rights, right, shared)?)? {
                    (*left_met, *right_met) = (true, true);
                    pairs.push([left.as_slice(), right].concat());
                }
            }
        }
        let of = |rows: &Rows, met: &[bool], wanted: bool| -> Rows {
            let both = rows.iter().zip(met);
            both.filter(|(_, met)| **met == wanted)
                .map(|(row, _)| row.clone())
                .collect()
        };
        let with_left = |row: Row| [row.as_slice(), &self.right_nothing].concat();
        let with_right = |row: Row| [self.left_nothing.as_slice(), &row].concat();
        match kind {
            JoinKind::LeftSemi => return Ok(of(&self.left, &left_met, true)),
            JoinKind::LeftAnti => return Ok(of(&self.left, &left_met, false)),
            JoinKind::RightSemi => return Ok(of(&self.right, &right_met, true)),
            JoinKind::RightAnti => return Ok(of(&self.right, &right_met, false)),
            _ => {}
        }
        if matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter) {
            pairs.extend(of(&self.left, &left_met, false).into_iter().map(with_left));
        }
        if matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter) {
            pairs.extend(
                of(&self.right, &right_met, false)
                    .into_iter()
                    .map(with_right),
            );
        }
        Ok(pairs)
    }
}
