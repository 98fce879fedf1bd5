//! The function table: every function and aggregate runs.

use std::collections::BTreeMap;

use kql::functions::{AggregateFn, ScalarFn};
use kql::resolved::{Expr, ExprKind, Field, Op, Relation, Resolved, Value};
use model::{ColumnType, Schema, Span};

use super::support::{describe, now, run_prepared};
use crate::lower::support::{aggregate_refusal, refusals};
use crate::{Error, Limits, Prepared};

/// A query that is one call of `function` over constants.
fn call(function: ScalarFn, args: &[Value], ty: ColumnType) -> Prepared {
    let span = Span::default();
    let args = args
        .iter()
        .map(|value| Expr::literal(value.clone(), span))
        .collect();
    let expr = Expr {
        kind: ExprKind::Call { function, args },
        ty,
        span,
    };
    let one = Relation {
        op: Op::Values {
            rows: vec![Vec::new()],
        },
        columns: Vec::new(),
        span,
    };
    let root = Relation {
        op: Op::Project {
            input: Box::new(one),
            exprs: vec![expr],
        },
        columns: vec![Field::new("x", ty)],
        span,
    };
    let resolved = Resolved {
        root,
        name: None,
        also: Vec::new(),
        shared: Vec::new(),
        render: None,
        probes: Vec::new(),
        without_data: std::collections::BTreeSet::new(),
        profiled: std::collections::BTreeSet::new(),
    };
    let diagnostics = refusals(&resolved);
    Prepared {
        now: now(),
        tables: resolved.tables(),
        resolved: diagnostics.is_empty().then(|| resolved.into()),
        diagnostics,
        again: None,
    }
}

/// Argument lists tried in turn: whatever the function wants, one of them has the arity.
fn attempts() -> Vec<Vec<Value>> {
    let text = Value::String("a".into());
    let long = Value::Long(3);
    let real = Value::Real(2.5);
    let dynamic = Value::Dynamic("[1,2]".into());
    let mut lists = vec![Vec::new()];
    for value in [text, long, real, dynamic, Value::Bool(true)] {
        for n in 1..=6 {
            lists.push(vec![value.clone(); n]);
        }
    }
    lists
}

#[test]
fn every_scalar_function_runs() {
    let types = [
        ColumnType::String,
        ColumnType::Bool,
        ColumnType::Long,
        ColumnType::Real,
        ColumnType::Dynamic,
        ColumnType::Decimal,
        ColumnType::Guid,
    ];
    let mut missing = Vec::new();
    for function in ScalarFn::ALL {
        let takes_nothing = matches!(function, ScalarFn::Pi | ScalarFn::DatetimeListTimezones);
        let mut ran = false;
        for args in attempts() {
            if args.is_empty() && !takes_nothing {
                continue;
            }
            for ty in types {
                let outcome = run_prepared(
                    &call(*function, &args, ty),
                    &BTreeMap::new(),
                    Limits::default(),
                );
                match outcome {
                    Ok(_) => ran = true,
                    Err(Error::Query { diagnostics }) => {
                        panic!("{} is refused: {diagnostics:?}", function.as_str());
                    }
                    Err(error) => {
                        let text = describe(&error);
                        assert!(!text.contains("is not a"), "{}: {text}", function.as_str());
                        assert!(!matches!(error, Error::Panicked), "{}", function.as_str());
                    }
                }
            }
            // The constant has no other attempt.
            if ran || takes_nothing {
                break;
            }
        }
        if !ran {
            missing.push(function.as_str());
        }
    }
    assert_eq!(missing, Vec::<&str>::new(), "do not run");
}

#[test]
fn every_aggregate_runs() {
    for function in AggregateFn::ALL {
        assert_eq!(aggregate_refusal(*function), None, "{}", function.as_str());
        let name = function.as_str();
        let args = match function {
            AggregateFn::Count => "",
            AggregateFn::MakeBag | AggregateFn::Buildschema => "bag_pack('a', x)",
            AggregateFn::HllMerge | AggregateFn::TdigestMerge => "pack_array(x)",
            AggregateFn::Percentile => "x, 50",
            AggregateFn::PercentilesArray => "x, 50, 90",
            AggregateFn::WeightedPercentile => "x, x, 50",
            AggregateFn::WeightedPercentilesArray => "x, x, 50, 90",
            AggregateFn::Covariance | AggregateFn::Covariancep => "x, x",
            AggregateFn::ArgMax | AggregateFn::ArgMin => "x, y",
            _ => "x",
        };
        let query =
            format!("datatable(x:long, y:string)[1,'a', 2,'b', 2,'c'] | summarize {name}({args})");
        let result = super::support::run(&query, Schema::hunting(), &BTreeMap::new());
        assert_eq!(
            result.map(|r| r.rows()).map_err(|e| describe(&e)),
            Ok(1),
            "{query}"
        );
    }
}
