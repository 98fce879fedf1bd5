//! Chains of operators: which operand types they take, and what comes out.

use model::{ColumnType, Span};

use super::habits::Likely;
use super::types::{cast, is_integer, is_number, is_small, wider};
use super::{Broken, Fallible, Resolver, Row};
use crate::codes;
use crate::functions::ScalarFn;
use crate::resolved::{Expr, ExprKind, Value};
use crate::syntax::{Kind, Node, Token, span, span_of};

/// An operator of a chain, between two operands.
pub(super) struct Infix {
    pub(super) text: String,
    pub(super) at: Span,
}

impl Resolver<'_> {
    /// `a op b op c`, all of one precedence.
    pub(super) fn chain(&mut self, node: &Node, row: Row<'_>) -> Fallible<Expr> {
        let (first, rest) = parts(node);
        let Some(first) = first else {
            return Err(Broken);
        };
        let is_logic = rest
            .first()
            .is_some_and(|(op, _)| matches!(op.text.as_str(), "and" | "or"));
        if is_logic {
            return self.logic(node, &first, &rest, row);
        }
        if rest.len() > model::limits::QUERY_DEPTH_MAX {
            let message = format!(
                "more than {} operators stand in one chain",
                model::limits::QUERY_DEPTH_MAX
            );
            return Err(self.error_help(
                codes::TOO_DEEP,
                span(node),
                message,
                "name parts of it with `extend`",
            ));
        }
        if first.kind() == Kind::All {
            return self.any_column(&rest, row, span(node));
        }
        let outer = self.likely;
        let is_equality = rest.first().is_some_and(|(op, _)| op.text == "==");
        let is_item = |n: &Node| {
            let words = ["extend", "project"];
            n.kind() == Kind::Operator && words.contains(&super::first_word(n).as_str())
        };
        if is_equality && node.parent().is_some_and(|above| is_item(&above)) {
            self.likely = Some((span(&first), Likely::NewName));
        }
        let mut left = self.expr(&first, row);
        self.likely = outer;
        for (op, right) in rest {
            // The right side is judged too when the left is wrong.
            left = match is_member_operator(&op.text) {
                true => {
                    let left = left;
                    match left {
                        Ok(left) => self.membership(&op.text, op.at, left, &right, row),
                        Err(broken) => Err(broken),
                    }
                }
                false if op.text.ends_with("between") => match left {
                    Ok(left) => self.between(op.text.starts_with('!'), left, &right, row),
                    Err(broken) => Err(broken),
                },
                false => {
                    let outer = self.likely;
                    let is_text = matches!(&left, Ok(left) if left.ty == ColumnType::String);
                    if is_text && matches!(right.kind(), Kind::Name | Kind::Path) {
                        self.likely = Some((span(&right), Likely::Text));
                    } else if op.text == "-" && right.kind() == Kind::Unary {
                        self.likely = Some((span(&right), Likely::Comment));
                    }
                    let right = self.expr(&right, row);
                    self.likely = outer;
                    match (left, right) {
                        (Ok(left), Ok(right)) => self.binary(&op, left, right),
                        _ => Err(Broken),
                    }
                }
            };
        }
        left
    }

    /// `and` and `or` are calls with as many arguments as there are conditions.
    fn logic(
        &mut self,
        node: &Node,
        first: &Node,
        rest: &[(Infix, Node)],
        row: Row<'_>,
    ) -> Fallible<Expr> {
        let is_and = rest.first().is_some_and(|(op, _)| op.text == "and");
        let mut args = Vec::new();
        let mut broken = false;
        for operand in std::iter::once(first).chain(rest.iter().map(|(_, right)| right)) {
            match self.expr(operand, row).and_then(|expr| {
                let name = if is_and { "and" } else { "or" };
                self.operand_bool(expr, name)
            }) {
                Ok(expr) => args.push(expr),
                Err(Broken) => broken = true,
            }
        }
        if broken {
            return Err(Broken);
        }
        let function = if is_and { ScalarFn::And } else { ScalarFn::Or };
        Ok(call(function, args, ColumnType::Bool, span(node)))
    }

    fn operand_bool(&mut self, expr: Expr, operator: &str) -> Fallible<Expr> {
        match expr.ty {
            ColumnType::Bool => Ok(expr),
            ColumnType::Dynamic | ColumnType::Int | ColumnType::Long => {
                Ok(cast(expr, ColumnType::Bool))
            }
            ty => Err(self.error_help(
                codes::TYPE_MISMATCH,
                expr.span,
                format!("`{operator}` takes conditions, and this is of type `{ty}`"),
                format!("write the whole comparison on both sides of `{operator}`"),
            )),
        }
    }

    /// `* has "x"`: any string column.
    fn any_column(&mut self, rest: &[(Infix, Node)], row: Row<'_>, at: Span) -> Fallible<Expr> {
        let [(op, right)] = rest else {
            return Err(self.error(codes::EXPECTED, at, "`*` cannot stand here"));
        };
        let right = self.expr(right, row)?;
        let mut args = Vec::new();
        for (position, field) in row.columns.iter().enumerate().filter(|(_, f)| !f.hidden) {
            let is_text = matches!(field.ty, ColumnType::String | ColumnType::Dynamic);
            if is_text || op.text == "==" && field.ty == right.ty {
                let column = super::column(position, field.ty, at);
                args.push(self.binary(op, column, right.clone())?);
            }
        }
        self.count_expressions(args.len() * 3, at)?;
        Ok(match args.len() {
            0 => Expr::literal(Value::Bool(false), at),
            1 => args.remove(0),
            _ => call(ScalarFn::Or, args, ColumnType::Bool, at),
        })
    }

    fn binary(&mut self, op: &Infix, left: Expr, right: Expr) -> Fallible<Expr> {
        let at = left.span.cover(right.span);
        self.count_expressions(1, at)?;
        match op.text.as_str() {
            "+" | "-" | "*" | "/" | "%" => self.arithmetic(op, left, right, at),
            "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" => self.comparison(op, left, right, at),
            "=" => Err(self.error_help(
                codes::EXPECTED,
                op.at,
                "`=` gives a name and does not compare",
                "compare with `==`",
            )),
            _ => self.string_operation(op, left, right, at),
        }
    }

    fn mismatch(
        &mut self,
        op: &str,
        left: &Expr,
        right: &Expr,
        at: Span,
        help: Option<&str>,
    ) -> Broken {
        let message = format!("`{op}` does not take `{}` and `{}`", left.ty, right.ty);
        match help {
            Some(help) => self.error_help(codes::TYPE_MISMATCH, at, message, help),
            None => self.error(codes::TYPE_MISMATCH, at, message),
        }
    }

    fn arithmetic(&mut self, op: &Infix, left: Expr, right: Expr, at: Span) -> Fallible<Expr> {
        use ColumnType::{DateTime, Dynamic, Real, TimeSpan};
        let function = match op.text.as_str() {
            "+" => ScalarFn::Add,
            "-" => ScalarFn::Subtract,
            "*" => ScalarFn::Multiply,
            "/" => ScalarFn::Divide,
            _ => ScalarFn::Modulo,
        };
        let (left, right) = match (left.ty, right.ty) {
            (Dynamic, Dynamic) => {
                let help = "convert them first, for example with `tolong(…)`";
                return Err(self.mismatch(&op.text, &left, &right, at, Some(help)));
            }
            (Dynamic, DateTime) | (DateTime, Dynamic) if function == ScalarFn::Subtract => {
                (cast(left, DateTime), cast(right, DateTime))
            }
            (Dynamic, ty) if is_number(ty) || ty == TimeSpan => (cast(left, ty), right),
            (ty, Dynamic) if is_number(ty) || ty == TimeSpan => {
                let right = cast(right, ty);
                (left, right)
            }
            _ => (left, right),
        };
        let ty = match (function, left.ty, right.ty) {
            (_, a, b) if is_number(a) && is_number(b) => {
                let mut ty = wider(a, b).unwrap_or(Real);
                if ty == ColumnType::Int {
                    ty = ColumnType::Long;
                }
                let folded = call(function, vec![cast(left, ty), cast(right, ty)], ty, at);
                return Ok(fold(folded));
            }
            (ScalarFn::Add | ScalarFn::Subtract, DateTime, TimeSpan)
            | (ScalarFn::Add, TimeSpan, DateTime) => DateTime,
            (ScalarFn::Subtract, DateTime, DateTime)
            | (ScalarFn::Modulo, DateTime, TimeSpan)
            | (ScalarFn::Add | ScalarFn::Subtract | ScalarFn::Modulo, TimeSpan, TimeSpan) => {
                TimeSpan
            }
            (ScalarFn::Divide, TimeSpan, TimeSpan) => Real,
            (ScalarFn::Multiply | ScalarFn::Divide, TimeSpan, number) if is_number(number) => {
                TimeSpan
            }
            (ScalarFn::Multiply, number, TimeSpan) if is_number(number) => TimeSpan,
            _ => {
                let both_text = left.ty == ColumnType::String || right.ty == ColumnType::String;
                let with_time = |e: &Expr| matches!(e.ty, DateTime | TimeSpan);
                let other = if with_time(&left) { right.ty } else { left.ty };
                let help = if with_time(&left) || with_time(&right) {
                    super::habits::span_wanted(other)
                } else {
                    (both_text && function == ScalarFn::Add)
                        .then_some("join strings with `strcat()`")
                };
                return Err(self.mismatch(&op.text, &left, &right, at, help));
            }
        };
        let widened = |e: Expr| match e.ty {
            ColumnType::Int => cast(e, ColumnType::Long),
            ColumnType::Decimal => cast(e, Real),
            _ => e,
        };
        Ok(fold(call(
            function,
            vec![widened(left), widened(right)],
            ty,
            at,
        )))
    }

    pub(super) fn negate(&mut self, expr: Expr, sign: &str, at: Span) -> Fallible<Expr> {
        let ty = match expr.ty {
            ColumnType::Int => ColumnType::Long,
            ColumnType::Dynamic => ColumnType::Real,
            ty if is_number(ty) || ty == ColumnType::TimeSpan => ty,
            ty => {
                let message = format!("`{sign}` does not take `{ty}`");
                return Err(self.error(codes::TYPE_MISMATCH, at, message));
            }
        };
        Ok(fold(call(ScalarFn::Negate, vec![cast(expr, ty)], ty, at)))
    }

    fn comparison(&mut self, op: &Infix, left: Expr, right: Expr, at: Span) -> Fallible<Expr> {
        let function = match op.text.as_str() {
            "==" => ScalarFn::Equal,
            "!=" | "<>" => ScalarFn::NotEqual,
            "<" => ScalarFn::Less,
            "<=" => ScalarFn::LessOrEqual,
            ">" => ScalarFn::Greater,
            _ => ScalarFn::GreaterOrEqual,
        };
        let is_equality = matches!(function, ScalarFn::Equal | ScalarFn::NotEqual);
        let both_dynamic = left.ty == ColumnType::Dynamic && right.ty == ColumnType::Dynamic;
        let ty = compared_as(&left, &right, is_equality).filter(|_| !both_dynamic);
        let Some(ty) = ty else {
            let help = match (left.ty, right.ty) {
                (ColumnType::Dynamic, ColumnType::Dynamic) => {
                    Some("convert them first, for example with `tostring(…)`".to_owned())
                }
                (ColumnType::Dynamic, ty) | (ty, ColumnType::Dynamic) => {
                    Some(format!("convert the dynamic value first: `to{ty}(…)`"))
                }
                (ColumnType::DateTime, ColumnType::String)
                | (ColumnType::String, ColumnType::DateTime) => Some(
                    "write instants as `datetime(2024-12-31)`, convert text with `todatetime()`"
                        .to_owned(),
                ),
                (ColumnType::DateTime, ColumnType::TimeSpan) => {
                    Some("compare with an instant, such as `ago(7d)`".to_owned())
                }
                (ColumnType::DateTime, ty) | (ty, ColumnType::DateTime) if is_number(ty) => {
                    Some("write instants as `datetime(2024-12-31)`".to_owned())
                }
                (ColumnType::TimeSpan, ty) | (ty, ColumnType::TimeSpan) if is_number(ty) => {
                    super::habits::span_wanted(ty).map(str::to_owned)
                }
                (ColumnType::String, ty) | (ty, ColumnType::String) if is_number(ty) => {
                    Some(format!("convert one side: `to{ty}(…)` or `tostring(…)`"))
                }
                _ => None,
            };
            return Err(self.mismatch(&op.text, &left, &right, at, help.as_deref()));
        };
        if is_equality {
            self.warn_never_equal(&left, &right);
            self.warn_array(&op.text, &left, &right);
        }
        Ok(call(
            function,
            vec![cast(left, ty), cast(right, ty)],
            ColumnType::Bool,
            at,
        ))
    }

    fn string_operation(
        &mut self,
        op: &Infix,
        left: Expr,
        right: Expr,
        at: Span,
    ) -> Fallible<Expr> {
        let Some(function) = string_function(&op.text) else {
            let message = format!("the operator `{}` is not supported yet", op.text);
            let help = "for a part of a text use `contains`, for a whole word `has`, for a pattern `matches regex`";
            return Err(self.error_help(codes::OPERATOR_NOT_YET, op.at, message, help));
        };
        let is_text = |e: &Expr| matches!(e.ty, ColumnType::String | ColumnType::Dynamic);
        if !is_text(&left) || !is_text(&right) {
            let help = "convert the value that is no string with `tostring()`";
            return Err(self.mismatch(&op.text, &left, &right, at, Some(help)));
        }
        self.warn_array(&op.text, &left, &right);
        let (left, right) = (
            cast(left, ColumnType::String),
            cast(right, ColumnType::String),
        );
        if function == ScalarFn::MatchesRegex {
            self.check_regex(&right)?;
        }
        Ok(call(function, vec![left, right], ColumnType::Bool, at))
    }

    /// Refuses a literal that the engine's regular expressions do not take.
    pub(super) fn check_regex(&mut self, expr: &Expr) -> Fallible<()> {
        let Some(Value::String(pattern)) = expr.as_literal() else {
            return Ok(());
        };
        match regex::Regex::new(&crate::pattern(pattern)) {
            Ok(_) => Ok(()),
            Err(error) => {
                let text = error.to_string();
                let cause = text
                    .lines()
                    .rev()
                    .find_map(|line| line.trim().strip_prefix("error: "))
                    .unwrap_or("too large once compiled");
                let message = format!("the regular expression does not compile: {cause}");
                let help = if cause.contains("look-around") {
                    "look-around and back-references do not exist here"
                } else if cause.contains("backreference") {
                    "back-references do not exist here; the code of a letter has three digits: `\\101`"
                } else {
                    return Err(self.error(codes::BAD_REGEX, expr.span, message));
                };
                Err(self.error_help(codes::BAD_REGEX, expr.span, message, help))
            }
        }
    }

    fn between(
        &mut self,
        negated: bool,
        value: Expr,
        bounds: &Node,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        let mut ends = bounds.children();
        let (Some(low), Some(high)) = (ends.next(), ends.next()) else {
            return Err(Broken);
        };
        let low = self.expr(&low, row);
        let high = self.expr(&high, row);
        let (low, mut high) = (low?, high?);
        let at = value.span.cover(span(bounds));
        // `t between (start .. 1d)`: the end is counted from the start.
        if low.ty == ColumnType::DateTime && high.ty == ColumnType::TimeSpan {
            let high_span = high.span;
            high = fold(call(
                ScalarFn::Add,
                vec![low.clone(), high],
                ColumnType::DateTime,
                high_span,
            ));
        }
        let ty = compared_as(&value, &low, false)
            .filter(|ty| *ty != ColumnType::String && *ty != ColumnType::Bool)
            .and_then(|ty| match high.ty {
                _ if high.ty == ty => Some(ty),
                ColumnType::Long if ty == ColumnType::Int && is_small(&high) => Some(ty),
                other => wider(ty, other),
            });
        let Some(ty) = ty else {
            let name = if negated { "!between" } else { "between" };
            let message = format!(
                "`{name}` does not take `{}`, `{}` and `{}`",
                value.ty, low.ty, high.ty
            );
            if value.ty == ColumnType::DateTime {
                let help = "write the bounds as instants: `datetime(2024-12-31)`, `ago(7d)`";
                return Err(self.error_help(codes::TYPE_MISMATCH, at, message, help));
            }
            return Err(self.error(codes::TYPE_MISMATCH, at, message));
        };
        let function = if negated {
            ScalarFn::NotBetween
        } else {
            ScalarFn::Between
        };
        let args = vec![cast(value, ty), cast(low, ty), cast(high, ty)];
        Ok(call(function, args, ColumnType::Bool, at))
    }
}

pub(super) fn parts(node: &Node) -> (Option<Node>, Vec<(Infix, Node)>) {
    let mut first = None;
    let mut rest = Vec::new();
    let mut open: Option<Infix> = None;
    for element in node.children_with_tokens() {
        match element {
            rowan::NodeOrToken::Node(operand) if first.is_none() => first = Some(operand),
            rowan::NodeOrToken::Node(operand) => {
                if let Some(op) = open.take() {
                    rest.push((op, operand));
                }
            }
            rowan::NodeOrToken::Token(token) if token.kind().matters() => {
                open = Some(extended(open.take(), &token));
            }
            rowan::NodeOrToken::Token(_) => {}
        }
    }
    (first, rest)
}

/// `matches` then `regex` are one operator.
fn extended(open: Option<Infix>, token: &Token) -> Infix {
    let at = span_of(token.text_range());
    match open {
        Some(before) => Infix {
            text: format!("{} {}", before.text, token.text()),
            at: before.at.cover(at),
        },
        None => Infix {
            text: token.text().to_owned(),
            at,
        },
    }
}

/// The type in which two values are compared.
pub(super) fn compared_as(left: &Expr, right: &Expr, is_equality: bool) -> Option<ColumnType> {
    use ColumnType::{Bool, DateTime, Dynamic, Guid, String, TimeSpan};
    let (a, b) = (left.ty, right.ty);
    if a == b {
        return Some(a);
    }
    match (a, b) {
        (ColumnType::Int, ColumnType::Long) if is_small(right) => return Some(ColumnType::Int),
        (ColumnType::Long, ColumnType::Int) if is_small(left) => return Some(ColumnType::Int),
        _ => {}
    }
    if let Some(ty) = wider(a, b) {
        return Some(ty);
    }
    match (a, b) {
        (Dynamic, number) | (number, Dynamic) if is_number(number) => {
            Some(number_of_dynamic(left, right, number))
        }
        (Dynamic, ty @ (String | Bool | Guid | TimeSpan | DateTime))
        | (ty @ (String | Bool | Guid | TimeSpan | DateTime), Dynamic)
            if is_equality =>
        {
            Some(ty)
        }
        (Bool, number) | (number, Bool) if is_integer(number) && is_equality => {
            Some(ColumnType::Long)
        }
        (String, ty) | (ty, String) if is_equality => Some(ty),
        _ => None,
    }
}

/// JSON numbers may have fractions, so they are compared as `real`; but a literal beyond 2^53
/// says that identifiers are meant, and those must not be rounded.
fn number_of_dynamic(left: &Expr, right: &Expr, number: ColumnType) -> ColumnType {
    const EXACT_MAX: u64 = 1 << 53;
    let is_large =
        |e: &Expr| matches!(e.as_literal(), Some(Value::Long(n)) if n.unsigned_abs() > EXACT_MAX);
    match number {
        ColumnType::Decimal => ColumnType::Decimal,
        _ if is_large(left) || is_large(right) => ColumnType::Long,
        _ => ColumnType::Real,
    }
}

fn string_function(text: &str) -> Option<ScalarFn> {
    Some(match text {
        "=~" => ScalarFn::EqualCi,
        "!~" => ScalarFn::NotEqualCi,
        // The colon of `search`: the term is there.
        ":" => ScalarFn::Has,
        "notcontains" => ScalarFn::NotContains,
        "containscs" => ScalarFn::ContainsCs,
        "notcontainscs" => ScalarFn::NotContainsCs,
        _ => ScalarFn::ALL
            .iter()
            .copied()
            .skip_while(|f| *f != ScalarFn::Has)
            .find(|f| f.as_str() == text)?,
    })
}

pub(super) fn call(function: ScalarFn, args: Vec<Expr>, ty: ColumnType, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Call { function, args },
        ty,
        span,
    }
}

/// Works out sums, differences and products of literal numbers, timespans and instants, so that
/// `take 10 * 10`, `percentile(x, 0.95 * 100)` and `Timestamp > ago(2 * 1d)` have a constant to show. What overflows is left
/// to the engine.
pub(super) fn fold(expr: Expr) -> Expr {
    let ExprKind::Call { function, args } = &expr.kind else {
        return expr;
    };
    let values: Option<Vec<&Value>> = args.iter().map(Expr::as_literal).collect();
    let value = match (function, values.as_deref()) {
        (ScalarFn::Negate, Some([value])) => negated(value),
        (function, Some([a, b])) => folded(*function, a, b),
        _ => None,
    };
    match value {
        Some(value) => Expr::literal(value, expr.span),
        None => expr,
    }
}

fn negated(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Long(n) => Value::Long(n.checked_neg()?),
        Value::Real(n) => Value::Real(-n),
        Value::TimeSpan(s) => Value::TimeSpan(model::Span100ns(s.0.checked_neg()?)),
        _ => return None,
    })
}

fn folded(function: ScalarFn, a: &Value, b: &Value) -> Option<Value> {
    use ScalarFn::{Add, Multiply, Subtract};
    let integers = |a: i64, b: i64| match function {
        Add => a.checked_add(b),
        Subtract => a.checked_sub(b),
        Multiply => a.checked_mul(b),
        _ => None,
    };
    Some(match (a, b) {
        (Value::Long(a), Value::Long(b)) => Value::Long(integers(*a, *b)?),
        (Value::Real(a), Value::Real(b)) => {
            let value = match function {
                Add => a + b,
                Subtract => a - b,
                Multiply => a * b,
                _ => return None,
            };
            value.is_finite().then_some(Value::Real(value))?
        }
        (Value::TimeSpan(a), Value::TimeSpan(b)) if function != Multiply => {
            Value::TimeSpan(model::Span100ns(integers(a.0, b.0)?))
        }
        (Value::TimeSpan(s), Value::Long(n)) | (Value::Long(n), Value::TimeSpan(s))
            if function == Multiply =>
        {
            Value::TimeSpan(model::Span100ns(s.0.checked_mul(*n)?))
        }
        (Value::DateTime(t), Value::TimeSpan(s)) if function != Multiply => {
            let ticks = integers(t.0, s.0)?;
            let range = model::Ticks::MIN.0..=model::Ticks::MAX.0;
            range
                .contains(&ticks)
                .then_some(Value::DateTime(model::Ticks(ticks)))?
        }
        _ => return None,
    })
}

fn is_member_operator(text: &str) -> bool {
    matches!(text, "in" | "!in" | "in~" | "!in~" | "has_any" | "has_all")
}
