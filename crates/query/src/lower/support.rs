//! What the engine refuses: found by a walk over the resolved query before anything is lowered, and
//! said with a code and a place.

use kql::functions::AggregateFn;
use kql::resolved::{Expr, ExprKind, Op, PathKey, Relation, Resolved, Set};
use model::{Diagnostic, Span};

/// A function that does not run yet.
const FUNCTION_NOT_YET: &str = "KQL0402";
/// A pattern that does not compile.
const BAD_REGEX: &str = "KQL0307";

/// Why an aggregate does not run yet; `None` if it does.
pub(crate) fn aggregate_refusal(function: AggregateFn) -> Option<&'static str> {
    match function {
        AggregateFn::Count
        | AggregateFn::Dcount
        | AggregateFn::CountDistinct
        | AggregateFn::Sum
        | AggregateFn::Avg
        | AggregateFn::Min
        | AggregateFn::Max
        | AggregateFn::ArgMin
        | AggregateFn::ArgMax
        | AggregateFn::TakeAny
        | AggregateFn::MakeList
        | AggregateFn::MakeListWithNulls
        | AggregateFn::MakeSet
        | AggregateFn::MakeBag
        | AggregateFn::Percentile
        | AggregateFn::PercentilesArray
        | AggregateFn::WeightedPercentile
        | AggregateFn::WeightedPercentilesArray
        | AggregateFn::Covariance
        | AggregateFn::Covariancep
        | AggregateFn::Stdev
        | AggregateFn::Stdevp
        | AggregateFn::Variance
        | AggregateFn::Variancep
        | AggregateFn::BinaryAllAnd
        | AggregateFn::BinaryAllOr
        | AggregateFn::BinaryAllXor
        | AggregateFn::Hll
        | AggregateFn::HllMerge
        | AggregateFn::Tdigest
        | AggregateFn::TdigestMerge
        | AggregateFn::Buildschema => None,
    }
}

/// Everything in the query that does not run.
pub(crate) fn refusals(resolved: &Resolved) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for relation in resolved.relations() {
        check_relation(relation, &mut found);
    }
    found
}

fn refuse(found: &mut Vec<Diagnostic>, code: &str, span: Span, message: String) {
    let diagnostic = Diagnostic::error(code, span, message);
    if !found.contains(&diagnostic) {
        found.push(diagnostic);
    }
}

fn check_relation(relation: &Relation, found: &mut Vec<Diagnostic>) {
    let mut exprs: Vec<&Expr> = Vec::new();
    match &relation.op {
        Op::Filter { predicate, .. } => exprs.push(predicate),
        Op::Project { exprs: all, .. } => exprs.extend(all),
        Op::Range { from, to, step } => exprs.extend([from, to, step]),
        Op::Summarize { by, aggregates, .. } => {
            exprs.extend(by);
            for aggregate in aggregates {
                if let Some(why) = aggregate_refusal(aggregate.function) {
                    let message = format!("`{}`: {why}", aggregate.function.as_str());
                    refuse(found, FUNCTION_NOT_YET, aggregate.span, message);
                }
                exprs.extend(aggregate.args.iter().chain(&aggregate.filter));
            }
        }
        Op::Window { args, keys, .. } => exprs.extend(args.iter().chain(keys)),
        Op::Extract { source, .. } => exprs.push(source),
        Op::Series { axis, defaults, .. } => {
            exprs.extend(defaults);
            exprs.extend(axis.from.iter().chain(&axis.to).chain([&axis.step]));
        }
        Op::Scan {
            declared, steps, ..
        } => {
            exprs.extend(declared.iter().map(|(_, initial)| initial));
            for step in steps {
                exprs.push(&step.condition);
                exprs.extend(step.assignments.iter().map(|(_, value)| value));
            }
        }
        Op::Sort { keys, .. } => exprs.extend(keys.iter().map(|key| &key.expr)),
        Op::Join { on, .. } => exprs.extend(on.iter().flat_map(|(l, r)| [l, r])),
        _ => {}
    }
    for expr in exprs {
        check_expr(expr, found);
    }
    for input in relation.inputs() {
        check_relation(input, found);
    }
}

fn check_expr(expr: &Expr, found: &mut Vec<Diagnostic>) {
    match &expr.kind {
        ExprKind::Column(_) | ExprKind::Literal(_) | ExprKind::ToScalar(_) => {}
        ExprKind::Call { function, args } => {
            if let Some(Err(_)) = super::exprs::literal_pattern(*function, args) {
                let message = "the regular expression does not compile".to_owned();
                refuse(found, BAD_REGEX, expr.span, message);
            }
            for arg in args {
                check_expr(arg, found);
            }
        }
        ExprKind::Cast(inner) => check_expr(inner, found),
        ExprKind::LookedUp { keys, .. } => {
            for key in keys {
                check_expr(key, found);
            }
        }
        ExprKind::Path { base, key } => {
            check_expr(base, found);
            if let PathKey::Computed(key) = key {
                check_expr(key, found);
            }
        }
        ExprKind::Member { value, set, .. } => {
            check_expr(value, found);
            match set {
                Set::Exprs(all) => {
                    for expr in all {
                        check_expr(expr, found);
                    }
                }
                Set::Array(array) => check_expr(array, found),
                Set::Shared(_) => {}
            }
        }
    }
}
