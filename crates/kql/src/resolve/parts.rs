//! Parts of which a query in a query keeps no row.
//!
//! The queries of `mv-apply` and `partition` run over all parts at once (see [`super::carry`]), and a
//! part without rows leaves no trace there. A summary without keys has a row for it all the same: a
//! count of 0, an empty list. So such a summary reads rows of every part, and its aggregates read a
//! last column that says which of them count.
//!
//! Where only conditions dropped rows, they become that column. Otherwise the rows with which the
//! query began are computed once, and a row of each of their parts is added that does not count.

use model::{ColumnType, Span};

use super::aggregate::{count, missing};
use super::carry::{self, hidden};
use super::columns::{identity, projected};
use super::operations::call;
use super::{Fallible, Resolver, column};
use crate::functions::ScalarFn;
use crate::resolved::{Expr, Field, Op, Relation, Value, WindowFn};

/// The column that says whether a row counts.
const COUNTS: &str = "$f";

impl Resolver<'_> {
    /// Rows of every part, for a summary without keys of its own. With it the position of the column
    /// that says which rows count, unless all do.
    pub(super) fn of_every_part(
        &mut self,
        input: Relation,
        at: Span,
    ) -> Fallible<(Relation, Option<usize>)> {
        let Some(begin) = self.parts.last().copied() else {
            return Ok((input, None));
        };
        if !carry::has_keys(&input.columns) || keeps_parts(&input, begin) {
            return Ok((input, None));
        }
        let width = input.columns.len();
        if has_conditions_only(&input, begin) {
            return Ok((with_conditions_kept(input, begin).0, Some(width)));
        }
        self.count_relations(6, at)?;
        self.count_expressions(2 * width, at)?;
        Ok(match self.with_rows_added(input, begin, at) {
            Ok(all) => (all, Some(width)),
            Err(input) => (*input, None),
        })
    }

    /// The rows, then one of each part that does not count; as it is if where it began is not found.
    fn with_rows_added(
        &mut self,
        mut input: Relation,
        begin: Span,
        at: Span,
    ) -> Result<Relation, Box<Relation>> {
        let Some(slot) = beginning(&mut input, begin) else {
            return Err(Box::new(input));
        };
        let nothing = Relation {
            op: Op::Values { rows: Vec::new() },
            columns: Vec::new(),
            span: at,
        };
        let began = std::mem::replace(slot, nothing);
        let began = self.shared_relation(began, begin);
        *slot = began.clone();
        let is_serialized = carry::is_serialized(&input);
        let columns = input.columns.clone();
        let one = |n: i64| Expr::literal(Value::Long(n), at);
        let yes = |value: bool| Expr::literal(Value::Bool(value), at);
        let number = hidden("$n", ColumnType::Long);
        let numbered = if is_serialized {
            let args = vec![one(1), yes(false)];
            let function = WindowFn::RowNumber;
            carry::windowed_by(input, function, args, Vec::new(), number.clone(), at)
        } else {
            input
        };
        let parts = count(began, "$n", at);
        let mut added: Vec<Expr> = Vec::new();
        for field in &columns {
            let position = parts.columns.iter().position(|f| f.hidden && f == field);
            added.push(match position {
                Some(position) => column(position, field.ty, at),
                None => missing(field.ty, at),
            });
        }
        let mut fields = columns;
        let counts = hidden(COUNTS, ColumnType::Bool);
        let mut kept = identity(&numbered, at);
        kept.insert(fields.len(), yes(true));
        added.push(yes(false));
        fields.push(counts);
        if is_serialized {
            added.push(one(0));
            fields.push(number);
        }
        let order = fields.len().saturating_sub(1);
        let inputs = vec![
            projected(numbered, kept, fields.clone(), at),
            projected(parts, added, fields.clone(), at),
        ];
        let all = Relation {
            op: Op::Union { inputs },
            columns: fields,
            span: at,
        };
        Ok(if is_serialized {
            carry::sorted(all, vec![column(order, ColumnType::Long, at)], at)
        } else {
            all
        })
    }
}

/// Whether each part has the rows with which it began.
fn keeps_parts(relation: &Relation, begin: Span) -> bool {
    let mut relation = relation;
    while relation.span != begin {
        relation = match &relation.op {
            Op::Project { input, .. }
            | Op::Sort { input, .. }
            | Op::Serialize { input }
            | Op::Window { input, .. }
            | Op::Extract { input, .. }
            | Op::FileProfile { input, .. } => input,
            _ => return false,
        };
    }
    true
}

/// Whether rows were dropped by conditions alone, and nothing asked afterwards which ones are left.
fn has_conditions_only(relation: &Relation, begin: Span) -> bool {
    let mut relation = relation;
    let mut asked = false;
    while relation.span != begin {
        relation = match &relation.op {
            Op::Filter { input, .. } if !asked => input,
            Op::Project { input, .. } | Op::Sort { input, .. } | Op::Serialize { input } => input,
            Op::Window { input, .. } | Op::Extract { input, .. } => {
                asked = true;
                input
            }
            _ => return false,
        };
    }
    true
}

/// The rows with which the query began; what was a condition is a last column, if there was any.
fn with_conditions_kept(relation: Relation, begin: Span) -> (Relation, bool) {
    if relation.span == begin {
        return (relation, false);
    }
    let at = relation.span;
    let counts = hidden(COUNTS, ColumnType::Bool);
    match relation.op {
        Op::Filter { input, predicate } => {
            let (inner, has_column) = with_conditions_kept(*input, begin);
            let mut exprs = identity(&inner, at);
            let mut columns: Vec<Field> = inner.columns.clone();
            let before = if has_column { exprs.pop() } else { None };
            columns.truncate(exprs.len());
            exprs.push(match before {
                Some(before) => call(ScalarFn::And, vec![before, predicate], ColumnType::Bool, at),
                None => predicate,
            });
            columns.push(counts);
            (projected(inner, exprs, columns, at), true)
        }
        Op::Project { input, mut exprs } => {
            let (inner, has_column) = with_conditions_kept(*input, begin);
            let mut columns = relation.columns;
            if has_column {
                let last = inner.columns.len().saturating_sub(1);
                exprs.push(column(last, ColumnType::Bool, at));
                columns.push(counts);
            }
            (projected(inner, exprs, columns, at), has_column)
        }
        Op::Sort { input, keys } => {
            let (inner, has_column) = with_conditions_kept(*input, begin);
            let columns = inner.columns.clone();
            let input = Box::new(inner);
            let op = Op::Sort { input, keys };
            let span = at;
            (Relation { op, columns, span }, has_column)
        }
        Op::Serialize { input } => {
            let (inner, has_column) = with_conditions_kept(*input, begin);
            let columns = inner.columns.clone();
            let input = Box::new(inner);
            let op = Op::Serialize { input };
            let span = at;
            (Relation { op, columns, span }, has_column)
        }
        op => {
            let columns = relation.columns;
            let span = at;
            (Relation { op, columns, span }, false)
        }
    }
}

/// The relation with which the query began.
fn beginning(relation: &mut Relation, begin: Span) -> Option<&mut Relation> {
    if relation.span == begin {
        return Some(relation);
    }
    let mut inputs = relation.inputs_mut().into_iter();
    inputs.find_map(|input| beginning(input, begin))
}
