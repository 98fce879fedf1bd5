//! Graphs: `make-graph` and the operators after it.
//!
//! A graph is two shared relations: its nodes, one row per id (hidden column `$id`, a string), and
//! its edges (`$s`, `$t`). What stands for it in a pipeline is a relation of one hidden column whose
//! name is the graph's number; any operator but those on graphs refuses it.

use model::{ColumnType, Span};

use super::carry::hidden;
use super::columns::{identity, projected};
use super::types::cast;
use super::{Broken, Fallible, Resolver, Row, child, column, plain_name, words};
use crate::codes;
use crate::functions::{AggregateFn, ScalarFn};
use crate::operators::Operator;
use crate::resolved::{Aggregate, Expr, Field, GraphIds, JoinKind, Op, Relation, Value};
use crate::syntax::{Kind, Node, span};

/// Begins the name of the column that stands for a graph.
const GRAPH: &str = "$graph";
/// The column that is a node's id.
const ID: &str = "$id";

/// A graph of the query.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// The columns that may be named, then `$id`.
    pub(super) nodes: Relation,
    /// The columns that may be named, then `$s` and `$t`.
    pub(super) edges: Relation,
}

impl Graph {
    pub(super) fn ids(&self) -> GraphIds {
        GraphIds {
            node: self.nodes.columns.len().saturating_sub(1),
            source: self.edges.columns.len().saturating_sub(2),
            target: self.edges.columns.len().saturating_sub(1),
        }
    }
}

/// Whether a relation stands for a graph.
pub(super) fn is_graph(relation: &Relation) -> bool {
    number(relation).is_some()
}

fn number(relation: &Relation) -> Option<usize> {
    match relation.columns.as_slice() {
        [only] if only.hidden => only.name.strip_prefix(GRAPH)?.parse().ok(),
        _ => None,
    }
}

impl Resolver<'_> {
    /// A graph is no result.
    pub(super) fn refuse_graph(&mut self, relation: &Relation) -> Fallible<()> {
        if !is_graph(relation) {
            return Ok(());
        }
        Err(self.error_help(
            codes::NOT_A_TABLE,
            relation.span,
            "a graph stands where a table is wanted",
            "look for patterns with `graph-match`, or give its nodes with `graph-to-table`",
        ))
    }

    fn added_graph(&mut self, nodes: Relation, edges: Relation, at: Span) -> Relation {
        let nodes = self.shared_relation(nodes, at);
        let edges = self.shared_relation(edges, at);
        self.graphs.push(Graph { nodes, edges });
        let name = format!("{GRAPH}{}", self.graphs.len() - 1);
        Relation {
            op: Op::Values { rows: Vec::new() },
            columns: vec![hidden(&name, ColumnType::Long)],
            span: at,
        }
    }

    pub(super) fn make_graph(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let input = super::without_hidden(input);
        let names: Vec<Node> = node
            .children()
            .filter(|c| matches!(c.kind(), Kind::Name | Kind::BracketName))
            .collect();
        let [source, target] = names.as_slice() else {
            return Err(Broken);
        };
        if words(node).iter().any(|w| w == "partitioned-by") {
            let message = "`make-graph … partitioned-by` is not supported yet";
            return Err(self.error(codes::FORM_NOT_YET, at, message));
        }
        let row = Row {
            columns: &input.columns,
        };
        let source = self.expr(source, row)?;
        let target = self.expr(target, row)?;
        let id_type = source.ty;
        self.count_relations(12, at)?;
        let mut exprs = identity(&input, at);
        let mut columns = input.columns.clone();
        for (name, end) in [("$s", source), ("$t", target)] {
            exprs.push(cast(end, ColumnType::String));
            columns.push(hidden(name, ColumnType::String));
        }
        let edges = projected(input, exprs, columns, at);
        let edges = self.shared_relation(edges, at);
        let option = node.children().find(|c| c.kind() == Kind::OperatorOption);
        let id_name = option.and_then(|o| words(&o).last().cloned());
        let nodes = self.graph_nodes(node, &edges, id_name, id_type)?;
        Ok(self.added_graph(nodes, edges, at))
    }

    /// One row per id: those of the tables, the first of each wins, then what only edges name.
    fn graph_nodes(
        &mut self,
        node: &Node,
        edges: &Relation,
        id_name: Option<String>,
        id_type: ColumnType,
    ) -> Fallible<Relation> {
        let at = span(node);
        let mut inputs: Vec<(String, Relation)> = Vec::new();
        let tables: Vec<Node> = node
            .children()
            .filter(|c| c.kind() == Kind::Clause)
            .collect();
        let mut named = id_name.map(|name| (name, id_type));
        for clause in &tables {
            let mut parts = clause.children();
            let (Some(table), Some(key)) = (parts.next(), parts.next()) else {
                return Err(Broken);
            };
            let table = self.subquery(&table)?;
            let row = Row {
                columns: &table.columns,
            };
            let id = self.expr(&key, row)?;
            if named.is_none() {
                named = Some((plain_name(&key), id.ty));
            }
            let id = cast(id, ColumnType::String);
            inputs.push((String::new(), with_id(table, id, inputs.len(), at)));
        }
        let width = edges.columns.len();
        for end in [width.saturating_sub(2), width.saturating_sub(1)] {
            let id = column(end, ColumnType::String, at);
            let mut exprs = vec![id.clone(), order(tables.len(), at)];
            let mut columns = vec![
                Field::new(ID, ColumnType::String),
                Field::new("$n", ColumnType::Long),
            ];
            if let Some((name, ty)) = &named {
                exprs.push(cast(id, *ty));
                columns.push(Field::new(name.as_str(), *ty));
            }
            let ends = projected(edges.clone(), exprs, columns, at);
            inputs.push((String::new(), ends));
        }
        let all = self.union_of(inputs, None, at)?;
        Ok(first_of_each(all, at))
    }

    /// An operator over a graph.
    pub(super) fn graph_operator(
        &mut self,
        input: &Relation,
        operator: Operator,
        node: &Node,
    ) -> Fallible<Relation> {
        let at = span(node);
        let found = number(input).and_then(|n| self.graphs.get(n)).cloned();
        let Some(graph) = found else {
            return Err(Broken);
        };
        match operator {
            Operator::GraphMatch => self.graph_match(&graph, node, false),
            Operator::GraphShortestPaths => self.graph_match(&graph, node, true),
            Operator::GraphMarkComponents => Ok(self.graph_components(graph, node)),
            Operator::GraphWhereNodes => self.graph_where(graph, node, true),
            Operator::GraphWhereEdges => self.graph_where(graph, node, false),
            Operator::GraphToTable => self.graph_to_table(&graph, node),
            _ => {
                self.refuse_graph(&Relation {
                    span: at,
                    ..input.clone()
                })?;
                Err(Broken)
            }
        }
    }

    fn graph_where(&mut self, graph: Graph, node: &Node, of_nodes: bool) -> Fallible<Relation> {
        let at = span(node);
        let kept = if of_nodes { &graph.nodes } else { &graph.edges };
        let Some(condition) = super::items(node).next() else {
            return Err(Broken);
        };
        let row = Row {
            columns: &kept.columns,
        };
        let predicate = self.search_predicate(&condition, row)?;
        self.count_relations(4, at)?;
        let filtered = Relation {
            columns: kept.columns.clone(),
            op: Op::Filter {
                input: Box::new(kept.clone()),
                predicate,
            },
            span: at,
        };
        if !of_nodes {
            return Ok(self.added_graph(graph.nodes, filtered, at));
        }
        // Edges of nodes that are gone go with them.
        let ids = graph.ids();
        let nodes = self.shared_relation(filtered, at);
        let mut edges = graph.edges;
        for end in [ids.source, ids.target] {
            let on = vec![(
                column(end, ColumnType::String, at),
                column(ids.node, ColumnType::String, at),
            )];
            edges = super::join::joined(edges, nodes.clone(), JoinKind::LeftSemi, on, at);
        }
        Ok(self.added_graph(nodes, edges, at))
    }

    fn graph_components(&mut self, graph: Graph, node: &Node) -> Relation {
        let at = span(node);
        let (mut strong, mut name) = (false, "ComponentId".to_owned());
        for option in node.children().filter(|c| c.kind() == Kind::OperatorOption) {
            let said = words(&option);
            match (said.first().map(String::as_str), said.last()) {
                (Some("kind"), Some(kind)) => strong = kind == "strong",
                (Some("with_component_id"), Some(given)) => name.clone_from(given),
                _ => {}
            }
        }
        let ids = graph.ids();
        let mut columns = graph.nodes.columns.clone();
        columns.push(Field::new(name, ColumnType::Long));
        let marked = Relation {
            op: Op::GraphComponents {
                nodes: Box::new(graph.nodes),
                edges: Box::new(graph.edges.clone()),
                ids,
                strong,
            },
            columns,
            span: at,
        };
        // The id stays last.
        let mut order: Vec<usize> = (0..marked.columns.len()).collect();
        order.swap(ids.node, ids.node + 1);
        let fields: Vec<(usize, Field)> = order
            .into_iter()
            .filter_map(|p| Some((p, marked.columns.get(p)?.clone())))
            .collect();
        let exprs = fields.iter().map(|(p, f)| column(*p, f.ty, at)).collect();
        let columns = fields.into_iter().map(|(_, f)| f).collect();
        let nodes = projected(marked, exprs, columns, at);
        self.added_graph(nodes, graph.edges, at)
    }

    /// The tables of a graph; named ones become variables, one alone is the result.
    fn graph_to_table(&mut self, graph: &Graph, node: &Node) -> Fallible<Relation> {
        let outputs: Vec<Node> = node
            .children()
            .filter(|c| c.kind() == Kind::GraphOutput)
            .collect();
        let mut last = Err(Broken);
        for output in &outputs {
            let at = span(output);
            let of_nodes = words(output).first().is_some_and(|w| w == "nodes");
            let rows = if of_nodes { &graph.nodes } else { &graph.edges };
            let ids = graph.ids();
            let mut exprs = Vec::new();
            let mut columns = Vec::new();
            for option in output
                .children()
                .filter(|c| c.kind() == Kind::OperatorOption)
            {
                let said = words(&option);
                let position = match said.first().map(String::as_str) {
                    Some("with_node_id") => ids.node,
                    Some("with_source_id") => ids.source,
                    _ => ids.target,
                };
                let id = column(position, ColumnType::String, at);
                exprs.push(super::operations::call(
                    ScalarFn::Hash,
                    vec![id],
                    ColumnType::Long,
                    at,
                ));
                let name = said.last().map_or("", String::as_str);
                columns.push(Field::new(name, ColumnType::Long));
            }
            for (position, field) in rows.columns.iter().enumerate().filter(|(_, f)| !f.hidden) {
                exprs.push(column(position, field.ty, at));
                columns.push(field.clone());
            }
            let table = projected(rows.clone(), exprs, columns, at);
            if let Some(name) = child(output, Kind::Name) {
                let binding = self.table_binding(table.clone(), self.pipeline);
                let name = plain_name(&name);
                self.env
                    .push((name.as_str().into(), std::rc::Rc::new(binding)));
                self.gave_names = true;
            } else if outputs.len() > 1 {
                let message =
                    "several tables of a graph want a name each: `nodes as N, edges as E`";
                return Err(self.error(codes::EXPECTED, at, message));
            }
            last = Ok(table);
        }
        last
    }
}

fn order(number: usize, at: Span) -> Expr {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    Expr::literal(Value::Long(number), at)
}

/// A table of nodes: id, number of the table, columns.
fn with_id(table: Relation, id: Expr, number: usize, at: Span) -> Relation {
    let mut exprs = vec![id, order(number, at)];
    let mut columns = vec![
        Field::new(ID, ColumnType::String),
        Field::new("$n", ColumnType::Long),
    ];
    exprs.extend(identity(&table, at));
    columns.extend(table.columns.iter().cloned());
    projected(table, exprs, columns, at)
}

/// Of rows that begin with an id and a number, the one with the least number of each id; the id
/// comes last.
fn first_of_each(all: Relation, at: Span) -> Relation {
    let fields: Vec<(usize, Field)> = all.columns.iter().cloned().enumerate().skip(1).collect();
    let aggregate = Aggregate {
        function: AggregateFn::ArgMin,
        args: fields.iter().map(|(p, f)| column(*p, f.ty, at)).collect(),
        filter: None,
        outputs: fields.iter().map(|(_, f)| f.ty).collect(),
        span: at,
    };
    let mut columns = vec![hidden(ID, ColumnType::String)];
    columns.extend(fields.iter().map(|(_, f)| f.clone()));
    let by = vec![column(0, ColumnType::String, at)];
    let firsts = Relation {
        op: Op::Summarize {
            input: Box::new(all),
            by,
            aggregates: vec![aggregate],
        },
        columns,
        span: at,
    };
    let mut kept: Vec<(usize, Field)> =
        firsts.columns.iter().cloned().enumerate().skip(2).collect();
    kept.extend(firsts.columns.first().cloned().map(|f| (0, f)));
    let exprs = kept.iter().map(|(p, f)| column(*p, f.ty, at)).collect();
    let columns = kept.into_iter().map(|(_, f)| f).collect();
    projected(firsts, exprs, columns, at)
}
