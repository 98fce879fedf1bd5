//! Several results of one text: further statements, and `fork`.
//!
//! The input of a `fork` is computed once; its parts read the same rows. A `fork` ends a statement: the
//! results go to the reader, and nothing can be done with them.

use std::sync::Arc;

use model::{Span, limits};

use super::{
    Broken, Fallible, Resolver, child, first_word, items, plain_name, without_hidden, words,
};
use crate::codes;
use crate::operators::Operator;
use crate::resolved::{Also, Op, Relation};
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
        if self.fork.may_stand != Some(at) {
            return Err(self.error_help(
                codes::FORM_NOT_YET,
                Span::new(at.start, at.start + 4),
                "`fork` gives several results, so a query ends with it",
                "write what follows into each of its parts",
            ));
        }
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
            relation: self.without_nothing(relation, span(&query))?,
            render,
        })
    }
}

fn is_fork(operator: &Node) -> bool {
    Operator::named(&first_word(operator)) == Some(Operator::Fork)
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
