//! `in`, `has_any`, `has_all` and their kin.

use model::{ColumnType, Span};

use super::operations::{call, compared_as};
use super::types::cast;
use super::{Broken, Fallible, Resolver, Row, literals};
use crate::codes;
use crate::functions::ScalarFn;
use crate::resolved::{Expr, ExprKind, MemberOp, Op, Relation, Set, Value};
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    pub(super) fn membership(
        &mut self,
        operator: &str,
        at: Span,
        value: Expr,
        list: &Node,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        let op = match operator {
            "in" => MemberOp::In,
            "!in" => MemberOp::NotIn,
            "in~" => MemberOp::InCi,
            "!in~" => MemberOp::NotInCi,
            "has_any" => MemberOp::HasAny,
            _ => MemberOp::HasAll,
        };
        let wants_text = !matches!(op, MemberOp::In | MemberOp::NotIn);
        let is_text = matches!(value.ty, ColumnType::String | ColumnType::Dynamic);
        if wants_text && !is_text {
            let message = format!(
                "`{operator}` takes strings, and this is of type `{}`",
                value.ty
            );
            return Err(self.error_help(
                codes::TYPE_MISMATCH,
                value.span,
                message,
                "convert it with `tostring()`",
            ));
        }
        let value = if wants_text {
            cast(value, ColumnType::String)
        } else {
            value
        };
        let whole = value.span.cover(span(list)).cover(at);
        let items: Vec<Node> = list
            .children()
            .filter(|c| c.kind() != Kind::Skipped)
            .collect();
        if let [item] = items.as_slice()
            && self.is_tabular(item)
        {
            return self.member_of_table(op, value, item, whole);
        }
        self.warn_joined_texts(&items);
        self.member_of_list(op, value, &items, whole, row)
    }

    fn member_of_table(
        &mut self,
        op: MemberOp,
        value: Expr,
        item: &Node,
        whole: Span,
    ) -> Fallible<Expr> {
        let relation = self.subquery(item)?;
        let at = span(item);
        let Some(first) = relation.columns.iter().position(|f| !f.hidden) else {
            if self.awaits_columns() {
                self.share(relation);
                return Ok(Expr::literal(Value::Bool(false), at));
            }
            return Err(self.error(codes::NOT_A_SCALAR, at, "the table has no column"));
        };
        let field = relation.columns.get(first).cloned().ok_or(Broken)?;
        let probe = super::column(first, field.ty, at);
        // The table's values become of the left side's type; a dynamic left side becomes of theirs.
        let ty = compared_as(&value, &probe, true).ok_or(Broken);
        let Ok(ty) = ty else {
            let message = format!(
                "a `{}` is never among values of type `{}`",
                value.ty, field.ty
            );
            return Err(self.error(codes::TYPE_MISMATCH, whole, message));
        };
        let project = Relation {
            span: relation.span,
            columns: vec![crate::resolved::Field { ty, ..field }],
            op: Op::Project {
                exprs: vec![cast(probe, ty)],
                input: Box::new(relation),
            },
        };
        let shared = self.share(project);
        Ok(member(op, cast(value, ty), Set::Shared(shared), whole))
    }

    fn member_of_list(
        &mut self,
        op: MemberOp,
        value: Expr,
        items: &[Node],
        whole: Span,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        let mut scalars = Vec::new();
        let mut arrays = Vec::new();
        let mut broken = false;
        for item in items {
            let Ok(expr) = self.expr(item, row) else {
                broken = true;
                continue;
            };
            match expr.as_literal() {
                Some(Value::Dynamic(json)) => match literals::elements(json) {
                    Some(values) => {
                        self.count_expressions(values.len(), expr.span)?;
                        scalars.extend(values.into_iter().map(|v| Expr::literal(v, expr.span)));
                    }
                    None => arrays.push(expr),
                },
                _ if expr.ty == ColumnType::Dynamic => arrays.push(expr),
                _ => scalars.push(expr),
            }
        }
        if broken {
            return Err(Broken);
        }
        let (value, scalars) = self.same_type(value, scalars, whole)?;
        let mut tests = Vec::new();
        if !scalars.is_empty() || arrays.is_empty() {
            tests.push(member(op, value.clone(), Set::Exprs(scalars), whole));
        }
        for array in arrays {
            tests.push(member(
                op,
                value.clone(),
                Set::Array(Box::new(array)),
                whole,
            ));
        }
        // `x !in (a, b)` is outside of each; `has_all` has each; the others have one.
        let function = match op {
            MemberOp::NotIn | MemberOp::NotInCi | MemberOp::HasAll => ScalarFn::And,
            MemberOp::In | MemberOp::InCi | MemberOp::HasAny => ScalarFn::Or,
        };
        Ok(if tests.len() == 1 {
            tests.remove(0)
        } else {
            call(function, tests, ColumnType::Bool, whole)
        })
    }

    /// The value and the members in one type.
    fn same_type(
        &mut self,
        value: Expr,
        members: Vec<Expr>,
        whole: Span,
    ) -> Fallible<(Expr, Vec<Expr>)> {
        let mut ty = value.ty;
        if ty == ColumnType::Dynamic
            && let Some(first) = members.iter().find(|m| m.ty != ColumnType::Dynamic)
        {
            ty = if super::types::is_number(first.ty) {
                ColumnType::Real
            } else {
                first.ty
            };
        }
        let is_small = |m: &Expr| super::types::is_small(m) || m.ty == ColumnType::Int;
        let stays_int = ty == ColumnType::Int && members.iter().all(is_small);
        for member in members.iter().filter(|_| !stays_int) {
            if let Some(wider) = super::types::wider(ty, member.ty) {
                ty = wider;
            }
        }
        let mut out = Vec::with_capacity(members.len());
        for member in members {
            let probe = Expr {
                ty,
                ..value.clone()
            };
            if compared_as(&probe, &member, true).is_none() {
                let message = format!("a `{ty}` is never equal to a `{}`", member.ty);
                return Err(self.error(codes::TYPE_MISMATCH, whole, message));
            }
            self.warn_never_equal(&value, &member);
            out.push(cast(member, ty));
        }
        Ok((cast(value, ty), out))
    }
}

fn member(op: MemberOp, value: Expr, set: Set, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Member {
            op,
            value: Box::new(value),
            set,
        },
        ty: ColumnType::Bool,
        span,
    }
}
