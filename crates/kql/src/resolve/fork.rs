//! Several results of one text: further statements, `fork` and `facet`.
//!
//! Their input is computed once; the parts read the same rows. Both end a statement: the
//! results go to the reader, and nothing can be done with them.

use std::sync::Arc;

use model::{ColumnType, Span, limits};

use super::{
    Broken, Fallible, Resolver, Row, child, first_word, items, plain_name, without_hidden, words,
};
use crate::codes;
use crate::functions::AggregateFn;
use crate::operators::Operator;
use crate::resolved::{Aggregate, Also, Expr, Field, Op, Relation};
use crate::syntax::{Kind, Node, span};

/// Where a `fork` may stand, and what the one that stood there gave.
#[derive(Default)]
pub(super) struct Fork {
    may_stand: Option<Span>,
    gave: Vec<Also>,
}

impl Resolver<'_> {
    /// LIMIT: results of one text.
    pub(super) fn check_results(&mut self, results: usize, at: Span) -> Fallible<()> {
        if results <= limits::QUERY_RESULTS_MAX {
            return Ok(());
        }
        let message = format!(
            "the text has more than {} results",
            limits::QUERY_RESULTS_MAX
        );
        Err(self.error_help(codes::TOO_LARGE, at, message, "send the queries in parts"))
    }

    /// What one statement returns: one result, or those of the `fork` at its end.
    pub(super) fn query_statement(&mut self, statement: &Node) -> Vec<Also> {
        let Some(node) = statement.children().next() else {
            return Vec::new();
        };
        let last = match node.kind() {
            Kind::Pipeline => node.children().last(),
            _ => None,
        };
        self.render = None;
        self.fork = Fork {
            may_stand: last.as_ref().filter(|l| is_fork(l)).map(span),
            gave: Vec::new(),
        };
        let Ok(relation) = self.result(&node) else {
            return Vec::new();
        };
        let gave = std::mem::take(&mut self.fork.gave);
        if !gave.is_empty() {
            return gave;
        }
        vec![Also {
            name: last.as_ref().and_then(name_of),
            relation,
            render: self.render.take(),
        }]
    }

    fn result(&mut self, node: &Node) -> Fallible<Relation> {
        let relation = self.table(node)?;
        self.refuse_graph(&relation)?;
        let relation = self.without_nothing(relation, span(node))?;
        Ok(self.limited(relation, span(node)))
    }

    /// The result, which has a column, unless the data decided that it has none: then it has no rows.
    fn without_nothing(&mut self, relation: Relation, at: Span) -> Fallible<Relation> {
        let relation = without_hidden(relation);
        if !self.diagnostics.is_empty() || !relation.columns.is_empty() {
            return Ok(relation);
        }
        // `consume` has neither rows nor columns.
        let has_rows = |r: &Relation| !matches!(r.op, Op::Take { rows: 0, .. });
        if matches!(&relation.op, Op::Project { input, .. } if !has_rows(input)) {
            return Ok(relation);
        }
        if !self.probes.is_empty() {
            return Ok(super::sampling::consumed(relation, at));
        }
        let message = "the result has no column";
        let help = "keep one with `project`, or count the rows with `count`";
        Err(self.error_help(codes::EXPECTED, at, message, help))
    }

    /// `fork name = (operators) (operators)`.
    pub(super) fn fork(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        self.check_last(
            node,
            "`fork` gives several results, so a query ends with it",
        )?;
        let parts: Vec<Node> = items(node).collect();
        self.check_results(parts.len(), at)?;
        let input = self.shared_relation(input, at);
        self.count_relations(parts.len(), at)?;
        let mut results = Vec::new();
        for part in parts {
            // One part that is wrong does not hide what is wrong with the next.
            results.push(self.part(input.clone(), &part));
        }
        let results: Vec<Also> = results.into_iter().collect::<Fallible<_>>()?;
        let first = results.first().ok_or(Broken)?.relation.clone();
        self.fork.gave = results;
        Ok(first)
    }

    /// Several results stand at the end of a query only.
    fn check_last(&mut self, node: &Node, message: &str) -> Fallible<()> {
        let at = span(node);
        if self.fork.may_stand == Some(at) {
            return Ok(());
        }
        let length = u32::try_from(first_word(node).len()).unwrap_or_default();
        Err(self.error_help(
            codes::FORM_NOT_YET,
            Span::new(at.start, at.start + length),
            message,
            "write what follows into each of its parts",
        ))
    }

    /// `facet by column, column with (operators)`: what the operators give, then the values of each
    /// column and how often each is there.
    pub(super) fn facet(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        self.check_last(
            node,
            "`facet` gives several results, so a query ends with it",
        )?;
        let query = child(node, Kind::SubPipeline);
        let columns: Vec<Node> = items(node)
            .filter(|item| item.kind() != Kind::SubPipeline)
            .collect();
        self.check_results(columns.len() + usize::from(query.is_some()), at)?;
        let input = self.shared_relation(input, at);
        self.count_relations(columns.len() + 1, at)?;
        let mut results = Vec::new();
        if let Some(query) = query {
            let relation = self.operators_of(input.clone(), &query)?;
            self.refuse_graph(&relation)?;
            let relation = self.without_nothing(relation, span(&query))?;
            results.push(nameless(self.limited(relation, at)));
        }
        for item in columns {
            let row = Row {
                columns: &input.columns,
            };
            for position in self.pattern(&item, row)? {
                let field = input.columns.get(position).cloned().ok_or(Broken)?;
                let key = super::column(position, field.ty, span(&item));
                self.refuse_dynamic(&key, "count the values of")?;
                let counted = values_counted(input.clone(), key, field, at);
                results.push(nameless(self.limited(counted, at)));
            }
        }
        let first = results.first().ok_or(Broken)?.relation.clone();
        self.fork.gave = results;
        Ok(first)
    }

    fn part(&mut self, input: Relation, part: &Node) -> Fallible<Also> {
        let (name, brackets) = match part.kind() {
            Kind::Named => {
                let name = part.children().next().ok_or(Broken)?;
                let brackets = child(part, Kind::Paren).ok_or(Broken)?;
                (Some(Arc::from(plain_name(&name))), brackets)
            }
            _ => (None, part.clone()),
        };
        let query = child(&brackets, Kind::SubPipeline).ok_or(Broken)?;
        let drawn = self.render.take();
        let relation = self.operators_of(input, &query);
        let render = std::mem::replace(&mut self.render, drawn);
        let relation = relation?;
        self.refuse_graph(&relation)?;
        Ok(Also {
            name: name.or_else(|| name_of(&query.children().last()?)),
            relation: {
                let relation = self.without_nothing(relation, span(&query))?;
                self.limited(relation, span(&query))
            },
            render,
        })
    }
}

fn is_fork(operator: &Node) -> bool {
    let operator = Operator::named(&first_word(operator));
    matches!(operator, Some(Operator::Fork | Operator::Facet))
}

fn nameless(relation: Relation) -> Also {
    Also {
        name: None,
        relation,
        render: None,
    }
}

/// Each value of a column and how often it is there.
fn values_counted(input: Relation, key: Expr, field: Field, at: Span) -> Relation {
    let count = Aggregate {
        function: AggregateFn::Count,
        args: Vec::new(),
        filter: None,
        outputs: vec![ColumnType::Long],
        span: at,
    };
    let name = format!("count_{}", field.name);
    Relation {
        op: Op::Summarize {
            input: Box::new(input),
            by: vec![key],
            aggregates: vec![count],
        },
        columns: vec![field, Field::new(name, ColumnType::Long)],
        span: at,
    }
}

/// The name that `as` gives.
fn name_of(operator: &Node) -> Option<Arc<str>> {
    if Operator::named(&first_word(operator)) != Some(Operator::As) {
        return None;
    }
    let said = words(operator);
    let name = super::last_name(&said).filter(|_| said.len() > 1)?;
    Some(Arc::from(name.as_str()))
}
