//! Scalar expressions to DataFusion's.
//!
//! Where SQL and Kusto agree (three-valued logic, comparisons with a constant in a filter), plain
//! plan expressions are made, so that statistics prune; everything else is a [`Kernel`]. In a filter
//! null and false are the same, which lets more comparisons be plain ([`Lowering::predicate`]).

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Case, Cast, Expr as Plan, Operator, lit};
use kql::functions::ScalarFn as F;
use kql::resolved::{Expr, ExprKind, LookupBy, MemberOp, PathKey, Set, SharedId, Value};
use model::ColumnType;

use super::{Lowering, Scope};
use crate::error::Error;
use crate::json::{Branch, Step};
use crate::kernels::args::Arg;
use crate::kernels::decimals;
use crate::kernels::geo::lookup::Shapes;
use crate::kernels::member::{self, Known};
use crate::kernels::net::Networks;
use crate::kernels::{Kernel, Work, regexes};

/// Elements of an `in` list that is handed to the planner as it is, and so can prune.
const PLAIN_LIST_MAX: usize = 20;

/// A literal regular expression among a call's arguments, compiled.
pub(crate) fn literal_pattern(function: F, args: &[Expr]) -> Option<Result<(), regex::Error>> {
    let at = match function {
        F::MatchesRegex | F::ReplaceRegex | F::IndexofRegex => 1,
        F::Extract | F::ExtractAll | F::Replace | F::Trim | F::TrimStart | F::TrimEnd => 0,
        _ => return None,
    };
    match args.get(at)?.as_literal()? {
        Value::String(pattern) => Some(regexes::compile(pattern).map(|_| ())),
        _ => None,
    }
}

/// A constant.
pub(crate) fn scalar(value: &Value) -> Result<ScalarValue, Error> {
    Ok(match value {
        Value::Null(ColumnType::String) => ScalarValue::Utf8(Some(String::new())),
        Value::Null(ty) => ScalarValue::try_new_null(&decimals::data_type(*ty))?,
        Value::Bool(b) => ScalarValue::Boolean(Some(*b)),
        Value::Int(n) => ScalarValue::Int32(Some(*n)),
        Value::Long(n) => ScalarValue::Int64(Some(*n)),
        Value::Real(x) => ScalarValue::Float64(Some(*x)),
        Value::Decimal(digits) => ScalarValue::Decimal256(
            decimals::parse(digits),
            decimals::PRECISION,
            decimals::SCALE,
        ),
        Value::String(text) | Value::Dynamic(text) => ScalarValue::Utf8(Some(text.to_string())),
        Value::DateTime(t) => ScalarValue::Int64(Some(t.0)),
        Value::TimeSpan(t) => ScalarValue::Int64(Some(t.0)),
        Value::Guid(bytes) => ScalarValue::Utf8(Some(guid_text(*bytes))),
    })
}

fn guid_text(bytes: [u8; 16]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// What a column without a value holds.
pub(crate) fn missing(ty: ColumnType) -> Result<Plan, Error> {
    Ok(Plan::Literal(scalar(&Value::missing(ty))?, None))
}

/// A chain as a tree that is as shallow as it can be: planning walks it again and again, and a chain of
/// thousands would make that quadratic.
pub(crate) fn balanced(mut parts: Vec<Plan>, op: Operator) -> Plan {
    while parts.len() > 1 {
        let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => binary(left, op, right),
                None => left,
            });
        }
        parts = pairs;
    }
    parts.pop().unwrap_or_else(|| lit(op == Operator::And))
}

/// `a op b` as the planner knows it.
pub(crate) fn binary(left: Plan, op: Operator, right: Plan) -> Plan {
    Plan::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// `case when … then … else … end`.
fn choose(when: Vec<(Plan, Plan)>, otherwise: Plan) -> Plan {
    let when = when
        .into_iter()
        .map(|(w, t)| (Box::new(w), Box::new(t)))
        .collect();
    Plan::Case(Case::new(None, when, Some(Box::new(otherwise))))
}

/// The value, or another where it is null.
pub(crate) fn or_else(value: Plan, other: Plan) -> Plan {
    choose(vec![(value.clone().is_not_null(), value)], other)
}

fn is_string(expr: &Expr) -> bool {
    expr.ty == ColumnType::String
}

/// A constant that is neither null nor NaN.
fn is_plain_literal(expr: &Expr) -> bool {
    match expr.as_literal() {
        Some(Value::Real(x)) => !x.is_nan(),
        Some(Value::Null(_)) | None => false,
        Some(_) => true,
    }
}

/// Types whose order and equality the planner shares.
fn is_comparable(ty: ColumnType) -> bool {
    !matches!(
        ty,
        ColumnType::Dynamic | ColumnType::Real | ColumnType::Decimal
    )
}

impl Lowering<'_> {
    /// An expression with its exact value, nulls included.
    pub(crate) fn expr(&mut self, expr: &Expr, scope: &Scope<'_>) -> Result<Plan, Error> {
        match &expr.kind {
            ExprKind::Column(at) => scope.column(*at),
            ExprKind::Literal(value) => Ok(Plan::Literal(scalar(value)?, None)),
            ExprKind::Call { function, args } => self.call(expr, *function, args, scope),
            ExprKind::Cast(inner) => self.cast(expr, inner, scope),
            ExprKind::Path { .. } => self.path(expr, scope),
            ExprKind::Member { op, value, set } => self.member(*op, value, set, scope),
            ExprKind::LookedUp { by, keys, among } => {
                let texts = self.shared_texts(*among)?;
                let set = self.next_set();
                let work = match by {
                    LookupBy::Network => Work::Networks(Networks::new(&texts), set),
                    LookupBy::Line | LookupBy::Polygon => {
                        Work::Shapes(Arc::new(Shapes::new(*by, &texts)), set)
                    }
                };
                let mut args = Vec::with_capacity(keys.len());
                for key in keys {
                    args.push((self.expr(key, scope)?, key.ty));
                }
                Ok(self.kernel(work, args, ColumnType::Dynamic))
            }
            ExprKind::ToScalar(id) => {
                let value = self.to_scalar(*id)?;
                Ok(Plan::Literal(value, None))
            }
        }
    }

    /// A condition for which null and false are the same.
    pub(crate) fn predicate(&mut self, expr: &Expr, scope: &Scope<'_>) -> Result<Plan, Error> {
        let ExprKind::Call { function, args } = &expr.kind else {
            return self.expr(expr, scope);
        };
        let plain = match (function, args.as_slice()) {
            (F::And | F::Or, [_, ..]) => {
                let op = if *function == F::And {
                    Operator::And
                } else {
                    Operator::Or
                };
                let parts = args.iter().map(|part| self.predicate(part, scope));
                Some(balanced(parts.collect::<Result<_, _>>()?, op))
            }
            (F::Equal | F::NotEqual, [a, b]) if is_comparable(a.ty) && a.ty == b.ty => {
                let equal = *function == F::Equal;
                let plain = equal || is_string(a) || is_plain_literal(a) || is_plain_literal(b);
                if plain {
                    let op = match (equal, is_string(a)) {
                        (true, _) => Operator::Eq,
                        (false, true) => Operator::NotEq,
                        // A null differs from every value.
                        (false, false) => Operator::IsDistinctFrom,
                    };
                    Some(binary(self.expr(a, scope)?, op, self.expr(b, scope)?))
                } else {
                    None
                }
            }
            _ => None,
        };
        match plain {
            Some(plain) => Ok(plain),
            None => self.expr(expr, scope),
        }
    }

    fn exprs(&mut self, exprs: &[Expr], scope: &Scope<'_>) -> Result<Vec<Plan>, Error> {
        exprs.iter().map(|expr| self.expr(expr, scope)).collect()
    }

    pub(crate) fn kernel(
        &self,
        work: Work,
        args: Vec<(Plan, ColumnType)>,
        result: ColumnType,
    ) -> Plan {
        let (args, types) = args.into_iter().unzip();
        let kernel = Kernel::new(work, types, result, &self.guard, &self.patterns);
        Plan::ScalarFunction(ScalarFunction::new_udf(kernel.into_udf(), args))
    }

    fn call(
        &mut self,
        expr: &Expr,
        function: F,
        args: &[Expr],
        scope: &Scope<'_>,
    ) -> Result<Plan, Error> {
        if let Some(plain) = self.plain_call(function, args, scope)? {
            let copies = matches!(function, F::Iff | F::Case | F::Coalesce)
                && matches!(expr.ty, ColumnType::String | ColumnType::Dynamic);
            return Ok(if copies {
                self.kernel(Work::Counted, vec![(plain, expr.ty)], expr.ty)
            } else {
                plain
            });
        }
        if args.is_empty() {
            return match function {
                F::Pi => Ok(lit(std::f64::consts::PI)),
                F::DatetimeListTimezones => Ok(lit(crate::kernels::time_zones())),
                F::PackArray => Ok(lit("[]")),
                F::BagPack => Ok(lit("{}")),
                other => Err(Error::internal(format!(
                    "`{}` without arguments",
                    other.as_str()
                ))),
            };
        }
        let args = if let (F::BagKeys, [bag]) = (function, args) {
            vec![self.read_within(bag, scope)?]
        } else {
            let types = args.iter().map(|arg| arg.ty);
            self.exprs(args, scope)?.into_iter().zip(types).collect()
        };
        let work = match function {
            F::GeoInfoFromIpAddress | F::ParseUserAgent => {
                Work::LookUp(function, self.reference.clone())
            }
            _ => Work::Function(function),
        };
        Ok(self.kernel(work, args, expr.ty))
    }

    /// A dynamic of which only what is inside matters: `parse_json(tostring(x))` is written by many
    /// for a dynamic `x`, and only its text would be made anew.
    fn read_within(&mut self, bag: &Expr, scope: &Scope<'_>) -> Result<(Plan, ColumnType), Error> {
        if let ExprKind::Call {
            function: F::ParseJson,
            args,
        } = &bag.kind
            && let [text] = args.as_slice()
            && let ExprKind::Cast(inner) = &text.kind
            && is_string(text)
            && inner.ty == ColumnType::Dynamic
        {
            let inner = vec![(self.expr(inner, scope)?, ColumnType::Dynamic)];
            let read = self.kernel(Work::Function(F::ParseJson), inner, bag.ty);
            return Ok((read, bag.ty));
        }
        Ok((self.expr(bag, scope)?, bag.ty))
    }

    /// The functions that the planner has itself.
    fn plain_call(
        &mut self,
        function: F,
        args: &[Expr],
        scope: &Scope<'_>,
    ) -> Result<Option<Plan>, Error> {
        Ok(Some(match (function, args) {
            (F::And | F::Or, [_, ..]) => {
                let op = if function == F::And {
                    Operator::And
                } else {
                    Operator::Or
                };
                balanced(self.exprs(args, scope)?, op)
            }
            (F::Not, [a]) => Plan::Not(Box::new(self.expr(a, scope)?)),
            (F::Iff, [condition, then, otherwise]) => choose(
                vec![(self.predicate(condition, scope)?, self.expr(then, scope)?)],
                self.expr(otherwise, scope)?,
            ),
            (F::Case, [pairs @ .., otherwise]) => {
                let mut when = Vec::new();
                for pair in pairs.chunks(2) {
                    if let [condition, then] = pair {
                        when.push((self.predicate(condition, scope)?, self.expr(then, scope)?));
                    }
                }
                choose(when, self.expr(otherwise, scope)?)
            }
            (F::Coalesce, [all @ .., last]) => {
                let mut when = Vec::new();
                for value in all {
                    let present = self.presence(value, scope)?;
                    when.push((present, self.expr(value, scope)?));
                }
                choose(when, self.expr(last, scope)?)
            }
            (F::Isnull, [a]) if is_string(a) => lit(false),
            (F::Isnotnull, [a]) if is_string(a) => lit(true),
            (F::Isnull, [a]) => self.expr(a, scope)?.is_null(),
            (F::Isnotnull, [a]) => self.expr(a, scope)?.is_not_null(),
            (F::Isempty, [a]) => Plan::Not(Box::new(self.presence(a, scope)?)),
            (F::Isnotempty, [a]) => self.presence(a, scope)?,
            _ => return self.plain_comparison(function, args, scope),
        }))
    }

    /// Comparisons whose nulls SQL treats as Kusto does.
    fn plain_comparison(
        &mut self,
        function: F,
        args: &[Expr],
        scope: &Scope<'_>,
    ) -> Result<Option<Plan>, Error> {
        let Some(first) = args.first() else {
            return Ok(None);
        };
        if !is_comparable(first.ty) || args.iter().any(|arg| arg.ty != first.ty) {
            return Ok(None);
        }
        Ok(Some(match (function, args) {
            (F::Equal, [a, b]) if is_string(a) => {
                binary(self.expr(a, scope)?, Operator::Eq, self.expr(b, scope)?)
            }
            (F::NotEqual, [a, b]) if is_string(a) => {
                binary(self.expr(a, scope)?, Operator::NotEq, self.expr(b, scope)?)
            }
            (F::Less | F::LessOrEqual | F::Greater | F::GreaterOrEqual, [a, b]) => {
                let op = match function {
                    F::Less => Operator::Lt,
                    F::LessOrEqual => Operator::LtEq,
                    F::Greater => Operator::Gt,
                    _ => Operator::GtEq,
                };
                binary(self.expr(a, scope)?, op, self.expr(b, scope)?)
            }
            (F::Between | F::NotBetween, [value, low, high]) => {
                let value = self.expr(value, scope)?;
                let low = binary(value.clone(), Operator::GtEq, self.expr(low, scope)?);
                let high = binary(value, Operator::LtEq, self.expr(high, scope)?);
                let inside = binary(low, Operator::And, high);
                if function == F::Between {
                    inside
                } else {
                    Plan::Not(Box::new(inside))
                }
            }
            _ => return Ok(None),
        }))
    }

    /// Neither null nor an empty string.
    fn presence(&mut self, value: &Expr, scope: &Scope<'_>) -> Result<Plan, Error> {
        let plan = self.expr(value, scope)?;
        Ok(match value.ty {
            ColumnType::String => binary(plan, Operator::NotEq, lit("")),
            ColumnType::Dynamic => binary(
                plan.clone().is_not_null(),
                Operator::And,
                binary(plan, Operator::NotEq, lit("\"\"")),
            ),
            _ => plan.is_not_null(),
        })
    }

    fn cast(&mut self, expr: &Expr, inner: &Expr, scope: &Scope<'_>) -> Result<Plan, Error> {
        if let (true, Some(([text, delimiter], at))) = (is_string(expr), split_part(inner)) {
            let args = vec![
                (self.expr(text, scope)?, text.ty),
                (self.expr(delimiter, scope)?, delimiter.ty),
            ];
            return Ok(self.kernel(Work::SplitPart(at), args, expr.ty));
        }
        let value = self.expr(inner, scope)?;
        Ok(match (inner.ty, expr.ty) {
            (from, to) if from == to => value,
            (ColumnType::Int, ColumnType::Long | ColumnType::Real)
            | (ColumnType::Long, ColumnType::Real) => {
                Plan::Cast(Cast::new(Box::new(value), decimals::data_type(expr.ty)))
            }
            (ColumnType::DateTime | ColumnType::TimeSpan, ColumnType::Long)
            | (ColumnType::Long, ColumnType::TimeSpan) => value,
            (from, to) => self.kernel(Work::Cast, vec![(value, from)], to),
        })
    }

    /// A chain of constant steps becomes one walk over the text; `parse_json` under it is part of it.
    /// Where an operator takes several chains of one value, all of them are found in one walk.
    fn path(&mut self, expr: &Expr, scope: &Scope<'_>) -> Result<Plan, Error> {
        let Some((base, steps)) = chain(expr) else {
            let ExprKind::Path {
                base,
                key: PathKey::Computed(key),
            } = &expr.kind
            else {
                return Err(Error::internal("a path without steps"));
            };
            let args = vec![
                (self.expr(base, scope)?, base.ty),
                (self.expr(key, scope)?, key.ty),
            ];
            return Ok(self.kernel(Work::ComputedPath, args, ColumnType::Dynamic));
        };
        let args = vec![(self.expr(base, scope)?, base.ty)];
        if let Some(shared) = self.paths.iter().find(|shared| shared.base == *base)
            && let Some(at) = shared.chains.iter().position(|known| *known == steps)
        {
            let work = Work::Paths(shared.tree.clone(), shared.chains.len());
            let all = self.kernel(work, args, ColumnType::Dynamic);
            let args = vec![(all, ColumnType::Dynamic)];
            return Ok(self.kernel(Work::Field(at), args, ColumnType::Dynamic));
        }
        Ok(self.kernel(Work::Path(steps), args, ColumnType::Dynamic))
    }

    /// Remembers the chains into values that the expressions of one operator take more than once.
    pub(crate) fn share_paths<'e>(&mut self, exprs: impl Iterator<Item = &'e Expr>) {
        let mut all: Vec<SharedPaths> = Vec::new();
        let mut open: Vec<&Expr> = exprs.collect();
        while let Some(expr) = open.pop() {
            if let Some((base, steps)) = chain(expr) {
                match all.iter_mut().find(|shared| shared.base == *base) {
                    Some(shared) if shared.chains.contains(&steps) => {}
                    Some(shared) => shared.chains.push(steps),
                    None => all.push(SharedPaths {
                        base: base.clone(),
                        chains: vec![steps],
                        tree: Arc::default(),
                    }),
                }
                open.push(base);
                continue;
            }
            match &expr.kind {
                ExprKind::Call { args, .. } => open.extend(args),
                ExprKind::Cast(inner) => open.push(inner),
                ExprKind::Member { value, .. } => open.push(value),
                _ => {}
            }
        }
        all.retain(|shared| shared.chains.len() > 1);
        for shared in &mut all {
            shared.tree = Arc::new(Branch::of(&shared.chains));
        }
        self.paths = all;
    }

    fn member(
        &mut self,
        op: MemberOp,
        value: &Expr,
        set: &Set,
        scope: &Scope<'_>,
    ) -> Result<Plan, Error> {
        let plan = self.expr(value, scope)?;
        match set {
            Set::Exprs(elements) => {
                if let Some(literals) = literals(elements) {
                    return self.literal_member(op, value, plan, &literals);
                }
                let mut args = vec![(plan, value.ty)];
                for element in elements {
                    args.push((self.expr(element, scope)?, element.ty));
                }
                Ok(self.kernel(Work::Member(op, false), args, ColumnType::Bool))
            }
            Set::Array(array) => {
                let args = vec![(plan, value.ty), (self.expr(array, scope)?, array.ty)];
                Ok(self.kernel(Work::Member(op, true), args, ColumnType::Bool))
            }
            Set::Shared(id) => {
                let elements = self.shared_elements(*id)?;
                let known = Known::new(op, elements.into_iter());
                let set = self.next_set();
                let work = Work::KnownMember(op, known, set);
                Ok(self.kernel(work, vec![(plan, value.ty)], ColumnType::Bool))
            }
        }
    }

    fn literal_member(
        &mut self,
        op: MemberOp,
        value: &Expr,
        plan: Plan,
        literals: &[&Value],
    ) -> Result<Plan, Error> {
        let same_type = literals.iter().all(|literal| literal.ty() == value.ty);
        let plain = matches!(op, MemberOp::In | MemberOp::NotIn)
            && is_comparable(value.ty)
            && same_type
            && (1..=PLAIN_LIST_MAX).contains(&literals.len())
            && !literals
                .iter()
                .any(|literal| matches!(literal, Value::Null(_)));
        if plain {
            let negated = op == MemberOp::NotIn;
            let list = literals
                .iter()
                .map(|literal| Ok(Plan::Literal(scalar(literal)?, None)))
                .collect::<Result<_, Error>>()?;
            let list = Plan::InList(InList::new(Box::new(plan), list, negated));
            // A null is in no list; strings have none.
            return Ok(match (is_string(value), negated) {
                (true, _) => list,
                (false, false) => list.is_true(),
                (false, true) => list.is_not_false(),
            });
        }
        let mut elements = Vec::with_capacity(literals.len());
        for literal in literals {
            elements.extend(canonical(literal)?);
        }
        let set = self.next_set();
        let work = Work::KnownMember(op, Known::new(op, elements.into_iter()), set);
        Ok(self.kernel(work, vec![(plan, value.ty)], ColumnType::Bool))
    }

    fn to_scalar(&self, id: SharedId) -> Result<ScalarValue, Error> {
        let shared = self.shared_rows(id)?;
        let ty = shared.types.first().copied().unwrap_or(ColumnType::Dynamic);
        for batch in shared.batches.iter().filter(|batch| batch.num_rows() > 0) {
            if let Some(column) = batch.columns().first() {
                return Ok(ScalarValue::try_from_array(column, 0)?);
            }
        }
        scalar(&Value::missing(ty))
    }

    /// The first column of a shared relation, a string, row by row.
    fn shared_texts(&self, id: SharedId) -> Result<Vec<String>, Error> {
        let shared = self.shared_rows(id)?;
        let mut texts = Vec::new();
        for batch in &shared.batches {
            if let Some(column) = batch.columns().first() {
                let values = Arg::of_array(column, ColumnType::String, false)?;
                texts.extend((0..batch.num_rows()).map(|row| values.text(row).to_owned()));
            }
        }
        Ok(texts)
    }

    /// The first column of a shared relation, each value as its canonical text.
    fn shared_elements(&self, id: SharedId) -> Result<Vec<String>, Error> {
        let shared = self.shared_rows(id)?;
        let ty = shared.types.first().copied().unwrap_or(ColumnType::Dynamic);
        let mut elements = Vec::new();
        for batch in &shared.batches {
            if let Some(column) = batch.columns().first() {
                let values = Arg::of_array(column, ty, false)?;
                elements.extend(
                    (0..batch.num_rows()).filter_map(|row| member::canonical(values.cell(row))),
                );
            }
        }
        Ok(elements)
    }
}

/// Chains into one value that an operator takes.
#[derive(Debug)]
pub(crate) struct SharedPaths {
    base: Expr,
    chains: Vec<Vec<Step>>,
    tree: Arc<Branch>,
}

/// The value that a chain of constant steps goes into, and the steps; `None` if it is none.
fn chain(expr: &Expr) -> Option<(&Expr, Vec<Step>)> {
    let mut steps = Vec::new();
    let mut base = expr;
    while let ExprKind::Path { base: inner, key } = &base.kind {
        match key {
            PathKey::Property(name) => steps.push(Step::Property(name.to_string())),
            PathKey::Index(at) => steps.push(Step::Index(*at)),
            PathKey::Computed(_) => break,
        }
        base = inner;
    }
    if steps.is_empty() {
        return None;
    }
    steps.reverse();
    if let ExprKind::Call {
        function: F::ParseJson,
        args,
    } = &base.kind
        && let [text] = args.as_slice()
        && is_string(text)
    {
        base = text;
    }
    Some((base, steps))
}

/// What `split(text, delimiter)[at]` takes.
fn split_part(expr: &Expr) -> Option<(&[Expr; 2], i64)> {
    let (base, steps) = chain(expr)?;
    match (&base.kind, steps.as_slice()) {
        (
            ExprKind::Call {
                function: F::Split,
                args,
            },
            [Step::Index(at)],
        ) => Some((args.as_slice().try_into().ok()?, *at)),
        _ => None,
    }
}

fn literals(elements: &[Expr]) -> Option<Vec<&Value>> {
    elements.iter().map(Expr::as_literal).collect()
}

fn canonical(literal: &Value) -> Result<Option<String>, Error> {
    let array = scalar(literal)?.to_array()?;
    Ok(member::canonical(
        Arg::of_array(&array, literal.ty(), true)?.cell(0),
    ))
}

/// A column by its exact name, never split at points nor folded.
pub(crate) fn named(name: &str) -> Plan {
    Plan::Column(Column::new_unqualified(name))
}
