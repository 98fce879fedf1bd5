//! Functions of neighbouring rows: `prev`, `next`, `row_number` and their kin.
//!
//! They may stand anywhere in an expression over serialised rows. Each becomes a column of its own
//! below the operator, in the order in which they are met, so that one may be the argument of
//! another.

use model::{ColumnType, Span};

use super::carry::{self, hidden, is_serialized};
use super::column;
use super::types::cast;
use super::{Fallible, Resolver, Row};
use crate::codes;
use crate::functions::Function;
use crate::resolved::{Expr, Relation, Value, WindowFn};
use crate::signatures;
use crate::syntax::Node;

/// The functions met so far in one operator.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    /// Columns of the operator's input.
    width: usize,
    calls: Vec<(WindowFn, Vec<Expr>, ColumnType)>,
}

impl Resolver<'_> {
    /// Reads expressions over `input` with `read`; gives the input with a column per function of
    /// neighbouring rows met in them.
    pub(super) fn with_windows<T>(
        &mut self,
        input: Relation,
        at: Span,
        read: impl FnOnce(&mut Self, &Relation) -> T,
    ) -> (Relation, T) {
        let outer = self.windows.take();
        self.windows = is_serialized(&input).then(|| Windows {
            width: input.columns.len(),
            calls: Vec::new(),
        });
        let result = read(self, &input);
        let windows = std::mem::replace(&mut self.windows, outer);
        let mut relation = input;
        for (function, args, ty) in windows.map(|w| w.calls).unwrap_or_default() {
            relation = carry::windowed(relation, function, args, hidden("$w", ty), at);
        }
        (relation, result)
    }

    pub(super) fn window_call(
        &mut self,
        window: WindowFn,
        function: &'static Function,
        args: &[Node],
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        if self.windows.is_none() {
            return Err(self.error_help(
                codes::NOT_SERIALIZED,
                at,
                format!("`{}` wants rows in an order", function.name),
                "put `sort by …` or `serialize` before it",
            ));
        }
        let exprs = self.exprs(args, function, row)?;
        let signature = signatures::of(function)
            .iter()
            .find(|s| super::calls::accepts(s, &exprs, false));
        let Some(signature) = signature else {
            return Err(self.bad_arguments(function, &exprs, at));
        };
        let (args, _) = self.converted(signature, exprs, at)?;
        let (args, ty) = self.window_args(window, args, at)?;
        let Some(windows) = &mut self.windows else {
            return Err(super::Broken);
        };
        windows.calls.push((window, args, ty));
        let position = windows.width + windows.calls.len() - 1;
        Ok(column(position, ty, at))
    }

    /// The arguments with what was left out, and the type of the result.
    fn window_args(
        &mut self,
        window: WindowFn,
        args: Vec<Expr>,
        at: Span,
    ) -> Fallible<(Vec<Expr>, ColumnType)> {
        let long = |n: i64| Expr::literal(Value::Long(n), at);
        let no = || Expr::literal(Value::Bool(false), at);
        let mut args = args.into_iter();
        let first = args.next();
        match window {
            WindowFn::Prev | WindowFn::Next => {
                let value = first.ok_or(super::Broken)?;
                let ty = value.ty;
                let offset = args.next().unwrap_or_else(|| long(1));
                let default = args
                    .next()
                    .unwrap_or_else(|| Expr::literal(Value::missing(ty), at));
                for constant in [&offset, &default] {
                    if reads_row(constant) {
                        let message = "the offset and the default must be constants";
                        return Err(self.error(codes::NOT_CONSTANT, constant.span, message));
                    }
                }
                Ok((vec![value, offset, cast(default, ty)], ty))
            }
            WindowFn::RowNumber => {
                let start = first.unwrap_or_else(|| long(1));
                if reads_row(&start) {
                    let message = "the first number must be a constant";
                    return Err(self.error(codes::NOT_CONSTANT, start.span, message));
                }
                let args = vec![start, args.next().unwrap_or_else(no)];
                Ok((args, ColumnType::Long))
            }
            WindowFn::RowCumsum => {
                let term = first.ok_or(super::Broken)?;
                let ty = match term.ty {
                    ColumnType::Int => ColumnType::Long,
                    ty => ty,
                };
                Ok((vec![cast(term, ty), args.next().unwrap_or_else(no)], ty))
            }
            WindowFn::RowRankDense | WindowFn::RowRankMin => {
                let term = first.ok_or(super::Broken)?;
                let args = vec![term, args.next().unwrap_or_else(no)];
                Ok((args, ColumnType::Long))
            }
            WindowFn::RowWindowSession => {
                let time = first.ok_or(super::Broken)?;
                let mut all = vec![time];
                all.extend(args);
                if all.len() == 3 {
                    all.push(no());
                }
                Ok((all, ColumnType::DateTime))
            }
        }
    }
}

fn reads_row(expr: &Expr) -> bool {
    super::weigh(expr).reads_row
}
