//! `graph-match` and `graph-shortest-paths`: what the names of a pattern stand for.
//!
//! `where` and `project` are resolved over a row of every column of every element (`a.name`), and
//! of what functions of paths add to it. Afterwards only the columns that are used are asked of the
//! graph, and conditions on one element go into the search itself.

use std::collections::BTreeMap;

use model::{ColumnType, Span, limits};

use super::carry::hidden;
use super::columns::{identity, projected};
use super::graphs::Graph;
use super::{Broken, Fallible, Resolver, Row, call_name, column, plain_name, words};
use crate::codes;
use crate::functions::ScalarFn;
use crate::resolved::{
    Cycles, EdgeDirection, Expr, ExprKind, Field, GraphPart, GraphPattern, GraphStep, Op, PathKey,
    Relation, Set, Value,
};
use crate::syntax::{Kind, Node, span};

/// What an element of a pattern is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Element {
    Node(usize),
    Edge(usize),
    /// Several edges.
    Path(usize),
}

/// An edge of the pattern: its number, its direction, how many it stands for.
type Edge = (usize, EdgeDirection, Option<(u32, u32)>);

/// What names and functions inside of `graph-match` mean.
#[derive(Clone, Debug)]
pub(super) struct GraphScope {
    elements: BTreeMap<String, Element>,
    /// What the columns of the row are; those that functions add come last.
    parts: Vec<(ColumnType, GraphPart)>,
    node_fields: Vec<Field>,
    edge_fields: Vec<Field>,
    /// Further columns of nodes and edges, computed before the search.
    node_exprs: Vec<Expr>,
    edge_exprs: Vec<Expr>,
}

/// The functions of elements of a pattern.
const FUNCTIONS: &[&str] = &[
    "all",
    "any",
    "map",
    "inner_nodes",
    "node_id",
    "node_degree_in",
    "node_degree_out",
];

impl GraphScope {
    fn new(graph: &Graph) -> Self {
        Self {
            elements: BTreeMap::new(),
            parts: Vec::new(),
            node_fields: graph.nodes.columns.clone(),
            edge_fields: graph.edges.columns.clone(),
            node_exprs: Vec::new(),
            edge_exprs: Vec::new(),
        }
    }

    /// The row of all named elements' columns.
    fn row(&mut self) -> Vec<Field> {
        let mut fields = Vec::new();
        for (name, element) in &self.elements {
            let columns = match element {
                Element::Node(_) => &self.node_fields,
                Element::Edge(_) | Element::Path(_) => &self.edge_fields,
            };
            for (position, field) in columns.iter().enumerate().filter(|(_, f)| !f.hidden) {
                let (ty, part) = match element {
                    Element::Node(n) => (field.ty, GraphPart::Node(*n, position)),
                    Element::Edge(n) => (field.ty, GraphPart::Edge(*n, position)),
                    Element::Path(n) => (ColumnType::Dynamic, GraphPart::Edges(*n, position)),
                };
                fields.push(Field::new(format!("{name}.{}", field.name), ty));
                self.parts.push((ty, part));
            }
        }
        fields
    }

    /// A further column of the row.
    fn add(&mut self, part: GraphPart, ty: ColumnType, at: Span) -> Expr {
        let known = self.parts.iter().position(|(_, p)| *p == part);
        let position = known.unwrap_or(self.parts.len());
        if known.is_none() {
            self.parts.push((ty, part));
        }
        column(position, ty, at)
    }

    /// A further column of nodes or edges; gives its position.
    fn compute(&mut self, of_nodes: bool, expr: Expr) -> usize {
        if let ExprKind::Column(position) = expr.kind {
            return position;
        }
        let (fields, exprs) = if of_nodes {
            (&self.node_fields, &mut self.node_exprs)
        } else {
            (&self.edge_fields, &mut self.edge_exprs)
        };
        exprs.push(expr);
        fields.len() + exprs.len() - 1
    }
}

impl Resolver<'_> {
    pub(super) fn graph_match(
        &mut self,
        graph: &Graph,
        node: &Node,
        shortest: bool,
    ) -> Fallible<Relation> {
        let at = span(node);
        let mut scope = GraphScope::new(graph);
        let mut pattern = self.graph_pattern(graph, node, &mut scope)?;
        if shortest {
            pattern.shortest = Some(option(node, "output").as_deref() == Some("all"));
            let paths = pattern.steps.iter();
            let paths = paths.filter(|s| matches!(s, GraphStep::Hop { range: Some(_), .. }));
            if pattern.steps.len() != 2 || paths.count() != 1 {
                let message = "`graph-shortest-paths` wants one path: `(a)-[e*1..5]->(b)`";
                return Err(self.error(codes::EXPECTED, at, message));
            }
        }
        let clauses: Vec<Node> = node
            .children()
            .filter(|c| c.kind() == Kind::Clause)
            .collect();
        let named = |word: &str| {
            clauses
                .iter()
                .find(|c| super::first_word(c) == word)
                .cloned()
        };
        let Some(project) = named("project") else {
            let message = "the pattern wants `project` and what it gives";
            return Err(self.error(codes::EXPECTED, at, message));
        };
        let fields = scope.row();
        self.count_expressions(fields.len(), at)?;
        let outer = self.graph_scope.replace(scope);
        let read = self.graph_clauses(&fields, named("where").as_ref(), &project, at);
        let Some(mut scope) = std::mem::replace(&mut self.graph_scope, outer) else {
            return Err(Broken);
        };
        let (conditions, exprs, columns) = read?;
        let rest = pushed(conditions, &mut pattern, &mut scope);
        self.count_relations(4, at)?;
        Ok(matched(graph, &scope, pattern, rest, exprs, columns, at))
    }

    /// The conditions, then what is projected.
    fn graph_clauses(
        &mut self,
        fields: &[Field],
        condition: Option<&Node>,
        project: &Node,
        at: Span,
    ) -> Fallible<(Vec<Expr>, Vec<Expr>, Vec<Field>)> {
        let row = Row { columns: fields };
        let mut conditions = Vec::new();
        if let Some(condition) = condition.and_then(|c| c.children().next()) {
            conditions = conjuncts(self.search_predicate(&condition, row)?);
        }
        let reported = self.diagnostics.len();
        let all = Relation {
            op: Op::Values { rows: Vec::new() },
            columns: fields.to_vec(),
            span: at,
        };
        let (exprs, columns) = self.projected_items(&all, project);
        if self.diagnostics.len() > reported {
            return Err(Broken);
        }
        Ok((conditions, exprs, columns))
    }

    fn graph_pattern(
        &mut self,
        graph: &Graph,
        node: &Node,
        scope: &mut GraphScope,
    ) -> Fallible<GraphPattern> {
        let cycles = match option(node, "cycles").as_deref() {
            Some("all") => Cycles::All,
            Some("none") => Cycles::None,
            _ => Cycles::UniqueEdges,
        };
        let mut pattern = GraphPattern {
            ids: graph.ids(),
            steps: Vec::new(),
            nodes: 0,
            edges: 0,
            cycles,
            shortest: None,
        };
        for chain in node.children().filter(|c| c.kind() == Kind::GraphPattern) {
            let mut from = None;
            let mut edge = None;
            for part in chain.children() {
                if part.kind() == Kind::GraphEdge {
                    edge = Some(self.pattern_edge(&part, scope, &mut pattern)?);
                    continue;
                }
                let to = self.pattern_node(&part, scope, &mut pattern)?;
                match (from, edge.take()) {
                    (Some(from), Some((edge, direction, range))) => {
                        pattern.steps.push(GraphStep::Hop {
                            from,
                            edge,
                            to,
                            direction,
                            range,
                            edge_filters: Vec::new(),
                            node_filters: Vec::new(),
                        });
                    }
                    _ => pattern.steps.push(GraphStep::Start {
                        node: to,
                        filters: Vec::new(),
                    }),
                }
                from = Some(to);
            }
        }
        Ok(pattern)
    }

    fn pattern_node(
        &mut self,
        part: &Node,
        scope: &mut GraphScope,
        pattern: &mut GraphPattern,
    ) -> Fallible<usize> {
        let name = part.children().next().map(|n| plain_name(&n));
        if let Some(name) = &name
            && let Some(known) = scope.elements.get(name)
        {
            return match known {
                Element::Node(number) => Ok(*number),
                _ => Err(self.error(
                    codes::DUPLICATE_COLUMN,
                    span(part),
                    format!("`{name}` names an edge already"),
                )),
            };
        }
        pattern.nodes += 1;
        let number = pattern.nodes - 1;
        if let Some(name) = name {
            scope.elements.insert(name, Element::Node(number));
        }
        Ok(number)
    }

    fn pattern_edge(
        &mut self,
        part: &Node,
        scope: &mut GraphScope,
        pattern: &mut GraphPattern,
    ) -> Fallible<Edge> {
        let at = span(part);
        let said = words(part);
        let is = |word: &str| said.iter().any(|w| w == word);
        let direction = match (is("<"), is(">")) {
            (false, true) => EdgeDirection::Forward,
            (true, false) => EdgeDirection::Backward,
            _ => EdgeDirection::Either,
        };
        let range = if is("*") {
            Some(self.path_bounds(part)?)
        } else {
            None
        };
        pattern.edges += 1;
        let number = pattern.edges - 1;
        let mut names = part.children().filter(|c| c.kind() != Kind::Clause);
        if let Some(name) = names.next().map(|n| plain_name(&n)) {
            let element = match range {
                Some(_) => Element::Path(number),
                None => Element::Edge(number),
            };
            if scope.elements.insert(name.clone(), element).is_some() {
                let message = format!("`{name}` names two parts of the pattern");
                return Err(self.error(codes::DUPLICATE_COLUMN, at, message));
            }
        }
        Ok((number, direction, range))
    }

    /// The least and the most edges of `*least..most`.
    fn path_bounds(&mut self, part: &Node) -> Fallible<(u32, u32)> {
        let (mut least, mut most, mut is_range) = (None, None, false);
        for element in part.children_with_tokens() {
            match element {
                rowan::NodeOrToken::Node(bound) if bound.kind() == Kind::Clause => {
                    let number = self.path_bound(&bound)?;
                    *(if is_range { &mut most } else { &mut least }) = Some(number);
                }
                rowan::NodeOrToken::Token(token) => is_range |= token.kind() == Kind::DotDot,
                rowan::NodeOrToken::Node(_) => {}
            }
        }
        let least = least.unwrap_or(1);
        let most = most.unwrap_or(if is_range {
            limits::GRAPH_PATH_EDGES_MAX
        } else {
            least
        });
        Ok((least, most.min(limits::GRAPH_PATH_EDGES_MAX)))
    }

    fn path_bound(&mut self, bound: &Node) -> Fallible<u32> {
        let Some(value) = bound.children().next() else {
            return Err(Broken);
        };
        let expr = self.expr(&value, Row::NONE)?;
        let number = match expr.as_literal() {
            Some(Value::Long(n)) => u32::try_from(*n).ok(),
            Some(Value::Int(n)) => u32::try_from(*n).ok(),
            _ => None,
        };
        number.ok_or_else(|| {
            let message = "the bounds of a path must be constant whole numbers";
            self.error(codes::NOT_CONSTANT, span(bound), message)
        })
    }

    /// A function of an element, if `name` is one and a pattern is being read.
    pub(super) fn graph_call(
        &mut self,
        name: &str,
        args: &[Node],
        at: Span,
    ) -> Option<Fallible<Expr>> {
        if self.graph_scope.is_none() || !FUNCTIONS.contains(&name) {
            return None;
        }
        Some(self.element_call(name, args, at))
    }

    fn element_call(&mut self, name: &str, args: &[Node], at: Span) -> Fallible<Expr> {
        let Some((element, is_inner)) = args.first().and_then(|arg| self.element(arg)) else {
            let message = format!("`{name}` wants a part of the pattern");
            return Err(self.error(codes::BAD_ARGUMENTS, at, message));
        };
        match (name, element, args.get(1)) {
            ("all" | "any" | "map", Element::Path(number), Some(inner)) => {
                self.path_call(name, number, is_inner, inner, at)
            }
            ("node_id", Element::Node(number), None) => {
                let scope = self.graph_scope.as_mut().ok_or(Broken)?;
                let id = scope.node_fields.len().saturating_sub(1);
                Ok(scope.add(GraphPart::Node(number, id), ColumnType::String, at))
            }
            ("node_degree_in" | "node_degree_out", Element::Node(number), None) => {
                let scope = self.graph_scope.as_mut().ok_or(Broken)?;
                let part = if name == "node_degree_in" {
                    GraphPart::DegreeIn(number)
                } else {
                    GraphPart::DegreeOut(number)
                };
                Ok(scope.add(part, ColumnType::Long, at))
            }
            _ => {
                let message = format!("`{name}` does not take these parts of the pattern");
                Err(self.error(codes::BAD_ARGUMENTS, at, message))
            }
        }
    }

    /// What to do about a part of the pattern that stands as if it were a value.
    pub(super) fn element_help(&self, name: &str) -> Option<String> {
        let scope = self.graph_scope.as_ref()?;
        Some(match scope.elements.get(name)? {
            Element::Path(_) => format!(
                "name a column of the path's edges: `{name}.column`, or `map({name}, column)`"
            ),
            _ => format!("name a column of it: `{name}.column`"),
        })
    }

    /// The element that a name means; the flag: the nodes between its edges.
    fn element(&self, node: &Node) -> Option<(Element, bool)> {
        let scope = self.graph_scope.as_ref()?;
        match node.kind() {
            Kind::Name | Kind::BracketName => {
                let found = scope.elements.get(&plain_name(node))?;
                Some((*found, false))
            }
            Kind::Call if call_name(node) == "inner_nodes" => {
                let args = super::calls::arguments(node);
                let (found, _) = self.element(args.first()?)?;
                Some((found, true))
            }
            _ => None,
        }
    }

    /// `all(path, condition)` and its kin: the inner expression is over an edge, or a node.
    fn path_call(
        &mut self,
        name: &str,
        number: usize,
        is_inner: bool,
        inner: &Node,
        at: Span,
    ) -> Fallible<Expr> {
        let Some(mut scope) = self.graph_scope.take() else {
            return Err(Broken);
        };
        let fields = if is_inner {
            scope.node_fields.clone()
        } else {
            scope.edge_fields.clone()
        };
        let row = Row { columns: &fields };
        let expr = if name == "map" {
            self.expr(inner, row)
        } else {
            self.search_predicate(inner, row)
        };
        let result = expr.map(|expr| {
            let position = scope.compute(is_inner, expr);
            let (part, ty) = match (name, is_inner) {
                ("all", _) => (GraphPart::All(number, position, is_inner), ColumnType::Bool),
                ("any", _) => (GraphPart::Any(number, position, is_inner), ColumnType::Bool),
                (_, true) => (GraphPart::Inner(number, position), ColumnType::Dynamic),
                (_, false) => (GraphPart::Edges(number, position), ColumnType::Dynamic),
            };
            scope.add(part, ty, at)
        });
        self.graph_scope = Some(scope);
        result
    }

    /// `inner_nodes(e).name`, and an element alone.
    pub(super) fn inner_nodes(&mut self, base: &Node, key: &Node, at: Span) -> Option<Expr> {
        let (Element::Path(number), true) = self.element(base)? else {
            return None;
        };
        let name = key
            .children()
            .next()
            .filter(|k| matches!(k.kind(), Kind::Name | Kind::BracketName))?;
        let scope = self.graph_scope.as_mut()?;
        let name = plain_name(&name);
        let mut all = scope.node_fields.iter();
        let position = all.position(|f| !f.hidden && *f.name == *name)?;
        Some(scope.add(GraphPart::Inner(number, position), ColumnType::Dynamic, at))
    }
}

/// The value of an operator's option.
fn option(node: &Node, name: &str) -> Option<String> {
    let options = node.children().filter(|c| c.kind() == Kind::OperatorOption);
    options
        .map(|o| words(&o))
        .find(|said| said.first().is_some_and(|w| w == name))
        .and_then(|said| said.last().cloned())
}

/// The parts of a condition that must all hold.
fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition.kind {
        ExprKind::Call {
            function: ScalarFn::And,
            args,
        } => args.into_iter().flat_map(conjuncts).collect(),
        _ => vec![condition],
    }
}

/// The columns of the row that an expression reads.
fn read_by(expr: &Expr, into: &mut Vec<usize>) {
    visit(expr, &mut |position| {
        if !into.contains(&position) {
            into.push(position);
        }
    });
}

fn visit(expr: &Expr, f: &mut impl FnMut(usize)) {
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        if let ExprKind::Column(position) = expr.kind {
            f(position);
        }
        open.extend(children(expr));
    }
}

pub(super) fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Column(_) | ExprKind::Literal(_) | ExprKind::ToScalar(_) => Vec::new(),
        ExprKind::Call { args, .. } => args.iter().collect(),
        ExprKind::Cast(inner) => vec![inner],
        ExprKind::LookedUp { keys, .. } => keys.iter().collect(),
        ExprKind::Path { base, key } => match key {
            PathKey::Computed(key) => vec![base, key],
            _ => vec![base],
        },
        ExprKind::Member { value, set, .. } => {
            let mut all: Vec<&Expr> = vec![value];
            match set {
                Set::Exprs(exprs) => all.extend(exprs),
                Set::Array(array) => all.push(array),
                Set::Shared(_) => {}
            }
            all
        }
    }
}

/// The expression with its columns elsewhere. Depth is bounded, as that of every expression is.
fn moved(mut expr: Expr, to: &impl Fn(usize) -> usize) -> Expr {
    match &mut expr.kind {
        ExprKind::Column(position) => *position = to(*position),
        ExprKind::Literal(_) | ExprKind::ToScalar(_) => {}
        ExprKind::Call { args, .. } | ExprKind::LookedUp { keys: args, .. } => {
            for arg in args {
                *arg = moved(arg.clone(), to);
            }
        }
        ExprKind::Cast(inner) => **inner = moved((**inner).clone(), to),
        ExprKind::Path { base, key } => {
            **base = moved((**base).clone(), to);
            if let PathKey::Computed(key) = key {
                **key = moved((**key).clone(), to);
            }
        }
        ExprKind::Member { value, set, .. } => {
            **value = moved((**value).clone(), to);
            match set {
                Set::Exprs(exprs) => {
                    for expr in exprs {
                        *expr = moved(expr.clone(), to);
                    }
                }
                Set::Array(array) => **array = moved((**array).clone(), to),
                Set::Shared(_) => {}
            }
        }
    }
    expr
}

/// Puts what concerns one element into the search; gives the other conditions.
fn pushed(conditions: Vec<Expr>, pattern: &mut GraphPattern, scope: &mut GraphScope) -> Vec<Expr> {
    let mut rest = Vec::new();
    for condition in conditions {
        if let ExprKind::Column(position) = condition.kind
            && let Some((_, GraphPart::All(edge, column, false))) = scope.parts.get(position)
        {
            filter_edges(pattern, *edge, *column);
            continue;
        }
        let mut read = Vec::new();
        read_by(&condition, &mut read);
        let parts: Vec<GraphPart> = read
            .iter()
            .filter_map(|p| scope.parts.get(*p).map(|(_, part)| *part))
            .collect();
        let (of_nodes, number) = match parts.first() {
            Some(GraphPart::Node(n, _)) if parts.iter().all(|p| is_node(*p, *n)) => (true, *n),
            Some(GraphPart::Edge(n, _)) if parts.iter().all(|p| is_edge(*p, *n)) => (false, *n),
            _ => {
                rest.push(condition);
                continue;
            }
        };
        let to = |position: usize| match scope.parts.get(position) {
            Some((_, GraphPart::Node(_, column) | GraphPart::Edge(_, column))) => *column,
            _ => position,
        };
        let own = moved(condition, &to);
        let column = scope.compute(of_nodes, own);
        if of_nodes {
            filter_nodes(pattern, number, column);
        } else {
            filter_edges(pattern, number, column);
        }
    }
    rest
}

fn is_node(part: GraphPart, number: usize) -> bool {
    matches!(part, GraphPart::Node(n, _) if n == number)
}

fn is_edge(part: GraphPart, number: usize) -> bool {
    matches!(part, GraphPart::Edge(n, _) if n == number)
}

fn filter_nodes(pattern: &mut GraphPattern, number: usize, column: usize) {
    for step in &mut pattern.steps {
        match step {
            GraphStep::Start { node, filters } if *node == number => filters.push(column),
            GraphStep::Hop {
                to, node_filters, ..
            } if *to == number => node_filters.push(column),
            _ => {}
        }
    }
}

fn filter_edges(pattern: &mut GraphPattern, number: usize, column: usize) {
    for step in &mut pattern.steps {
        if let GraphStep::Hop {
            edge, edge_filters, ..
        } = step
            && *edge == number
        {
            edge_filters.push(column);
        }
    }
}

/// The search, the conditions that are left, and the projection.
fn matched(
    graph: &Graph,
    scope: &GraphScope,
    pattern: GraphPattern,
    rest: Vec<Expr>,
    exprs: Vec<Expr>,
    columns: Vec<Field>,
    at: Span,
) -> Relation {
    let mut used = Vec::new();
    for expr in rest.iter().chain(&exprs) {
        read_by(expr, &mut used);
    }
    let to = |position: usize| used.iter().position(|p| *p == position).unwrap_or_default();
    let parts: Vec<(ColumnType, GraphPart)> = used
        .iter()
        .filter_map(|p| scope.parts.get(*p).copied())
        .collect();
    let found = Relation {
        op: Op::GraphMatch {
            nodes: Box::new(widened(&graph.nodes, &scope.node_exprs, at)),
            edges: Box::new(widened(&graph.edges, &scope.edge_exprs, at)),
            pattern,
            parts: parts.iter().map(|(_, part)| *part).collect(),
        },
        columns: parts.iter().map(|(ty, _)| hidden("$g", *ty)).collect(),
        span: at,
    };
    let filtered = match conjunction(rest.into_iter().map(|e| moved(e, &to)).collect(), at) {
        Some(predicate) => Relation {
            columns: found.columns.clone(),
            op: Op::Filter {
                input: Box::new(found),
                predicate,
            },
            span: at,
        },
        None => found,
    };
    let exprs = exprs.into_iter().map(|e| moved(e, &to)).collect();
    projected(filtered, exprs, columns, at)
}

fn conjunction(mut conditions: Vec<Expr>, at: Span) -> Option<Expr> {
    match conditions.len() {
        0 | 1 => conditions.pop(),
        _ => Some(super::operations::call(
            ScalarFn::And,
            conditions,
            ColumnType::Bool,
            at,
        )),
    }
}

/// Nodes or edges with further columns.
fn widened(rows: &Relation, more: &[Expr], at: Span) -> Relation {
    if more.is_empty() {
        return rows.clone();
    }
    let mut exprs = identity(rows, at);
    let mut columns = rows.columns.clone();
    for expr in more {
        columns.push(hidden("$x", expr.ty));
        exprs.push(expr.clone());
    }
    projected(rows.clone(), exprs, columns, at)
}
