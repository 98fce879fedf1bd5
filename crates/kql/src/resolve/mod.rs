//! Syntax → [`Resolved`]: names bound, types known, shorthand spelled out.
//!
//! Recovery: what is wrong with one column does not hide what is wrong with the next; after an
//! operator that cannot be understood the rest of its pipeline is not judged. A name whose
//! definition failed is *poisoned*: using it is silent, the definition has been reported.
//!
//! Promises
//! - `None` only beside at least one error; `Some` only without. Warnings come after the errors and
//!   change nothing.
//! - What a query spells out to is bounded (`limits::QUERY_…_MAX`), whatever its `let`s multiply.

mod aggregate;
mod apply;
mod assertion;
mod calls;
mod carry;
mod checks;
mod columns;
mod expand;
mod extract;
mod fork;
mod graph_scope;
mod graphs;
mod habits;
mod invoke;
mod join;
mod literals;
mod lookups;
mod membership;
mod names;
mod nested;
mod operations;
mod others;
mod parts;
mod plugins;
mod rows;
mod sampling;
mod scalar;
mod scan;
mod scope;
mod search;
mod series;
mod settings;
mod sources;
mod statements;
mod stored;
mod tabular;
mod templates;
mod types;
mod warnings;
mod windows;

pub(crate) use invoke::NAMES as SERVICE_FUNCTION_NAMES;
pub use plugins::PLUGINS;
pub(crate) use scope::{Defined, Scope, scope};

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use model::{ColumnType, Diagnostic, Span, Ticks, limits};

use crate::codes;
use crate::resolved::{
    Also, Expr, ExprKind, Field, Found, PathKey, Probe, Relation, Render, Resolved, Set, SharedId,
};
use crate::schema::SchemaSource;
use crate::syntax::{Kind, Node, Syntax, span};

/// Binds `syntax` against `schema`, with `now` for every `now()` and `ago()`.
///
/// Gives the query if nothing is wrong with it, and every finding, those of the syntax included.
pub fn resolve(
    syntax: &Syntax,
    schema: &dyn SchemaSource,
    now: Ticks,
) -> (Option<Resolved>, Vec<Diagnostic>) {
    resolve_with(syntax, schema, now, &[])
}

/// As [`resolve`], with what the data told about the columns of the first probes
/// ([`Resolved::probes`]).
pub fn resolve_with(
    syntax: &Syntax,
    schema: &dyn SchemaSource,
    now: Ticks,
    found: &[Found],
) -> (Option<Resolved>, Vec<Diagnostic>) {
    let mut resolver = Resolver {
        diagnostics: syntax.diagnostics.clone(),
        stored: stored::asked_for(&syntax.root()),
        found,
        ..Resolver::new(schema, now)
    };
    // A tree with errors has holes; judging names in it would blame the wrong thing.
    let results = if syntax.diagnostics.is_empty() {
        resolver.query(&syntax.root()).ok()
    } else {
        None
    };
    let Resolver {
        shared,
        probes,
        without_data,
        profiled,
        mut diagnostics,
        warnings,
        ..
    } = resolver;
    let is_fine = diagnostics.is_empty();
    diagnostics.extend(warnings);
    diagnostics.truncate(limits::QUERY_DIAGNOSTICS_MAX);
    let resolved = results.filter(|_| is_fine).map(|(first, also)| Resolved {
        root: first.relation,
        name: first.name,
        also,
        shared,
        render: first.render,
        probes,
        without_data,
        profiled,
    });
    (resolved, diagnostics)
}

/// Something is wrong and has been reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Broken;

type Fallible<T> = Result<T, Broken>;

/// What a name defined by `let` or a parameter stands for.
#[derive(Clone, Debug)]
enum Binding {
    Scalar {
        expr: Expr,
        size: usize,
        /// The row depth at which its columns are meant; `None` if it reads none.
        row_depth: Option<usize>,
    },
    Table {
        relation: Relation,
        cost: Cost,
    },
    Function {
        lambda: Node,
        /// The definitions it sees: those before it.
        env_len: usize,
    },
    /// `declare pattern`: a table per combination of texts.
    Pattern {
        declaration: Node,
        /// The definitions it sees: those before it.
        env_len: usize,
    },
    Poisoned,
}

/// What a relation comes to wherever its name is used: it is spelled out there again.
#[derive(Clone, Copy, Debug)]
struct Cost {
    relations: usize,
    expressions: usize,
    columns: usize,
}

/// The columns an expression may name.
#[derive(Clone, Copy)]
struct Row<'a> {
    columns: &'a [Field],
}

impl Row<'_> {
    const NONE: Row<'static> = Row { columns: &[] };
}

/// LIMIT: a text nests [`limits::QUERY_DEPTH_MAX`] deep, and every level may add a conversion.
const EXPRESSION_DEPTH_MAX: usize = 2 * limits::QUERY_DEPTH_MAX;

struct Resolver<'a> {
    schema: &'a dyn SchemaSource,
    now: Ticks,
    /// What is wrong; whoever tries something out counts these.
    diagnostics: Vec<Diagnostic>,
    /// What is probably not meant.
    warnings: Vec<Diagnostic>,
    env: Vec<(Arc<str>, Rc<Binding>)>,
    shared: Vec<Relation>,
    render: Option<Render>,
    /// Columns whose definition failed.
    poisoned: BTreeSet<String>,
    /// Inside the aggregates of a `summarize`.
    aggregates: Option<aggregate::Collector>,
    relations: usize,
    expressions: usize,
    columns: usize,
    /// What was spelled out when the pipeline began that is being read.
    pipeline: (usize, usize),
    /// Functions being inlined, one in the other.
    calls: usize,
    row_depth: usize,
    /// Stored columns that are carried along because the query asks for them.
    stored: Vec<Field>,
    /// Inside an operator whose rows have an order.
    windows: Option<windows::Windows>,
    /// Queries in queries so far, and other things that need a number.
    applied: usize,
    /// Where the rows of the parts begin of the queries in queries that are being read, innermost last.
    parts: Vec<Span>,
    /// What earlier runs found for the first probes.
    found: &'a [Found],
    probes: Vec<Probe>,
    /// Places where a name stands for a property of a hidden bag.
    open_spans: BTreeSet<Span>,
    /// Calls whose function is written in an old spelling, and which.
    spellings: BTreeMap<Span, &'static str>,
    without_data: BTreeSet<&'static str>,
    /// The graphs made so far; a relation that is one names it by a hidden column.
    graphs: Vec<graphs::Graph>,
    /// Inside `graph-match`: what its names stand for.
    graph_scope: Option<graph_scope::GraphScope>,
    /// The last statement gave its tables names instead of a result.
    gave_names: bool,
    profiled: BTreeSet<crate::resolved::Profiled>,
    fork: fork::Fork,
    /// What a name that nothing has would most likely be, in that place.
    likely: Option<(Span, habits::Likely)>,
    /// What `set` statements said.
    settings: settings::Settings,
    /// Definitions that the function being inlined does not see: only `table()` finds tables there.
    later: Vec<(Arc<str>, Rc<Binding>)>,
}

impl<'a> Resolver<'a> {
    /// Before anything is read.
    fn new(schema: &'a dyn SchemaSource, now: Ticks) -> Self {
        Self {
            schema,
            now,
            diagnostics: Vec::new(),
            warnings: Vec::new(),
            env: Vec::new(),
            shared: Vec::new(),
            render: None,
            poisoned: BTreeSet::new(),
            aggregates: None,
            relations: 0,
            expressions: 0,
            columns: 0,
            pipeline: (0, 0),
            calls: 0,
            row_depth: 0,
            stored: Vec::new(),
            windows: None,
            applied: 0,
            parts: Vec::new(),
            found: &[],
            probes: Vec::new(),
            open_spans: BTreeSet::new(),
            spellings: BTreeMap::new(),
            without_data: BTreeSet::new(),
            graphs: Vec::new(),
            graph_scope: None,
            gave_names: false,
            profiled: BTreeSet::new(),
            fork: fork::Fork::default(),
            likely: None,
            settings: settings::Settings::default(),
            later: Vec::new(),
        }
    }
}

impl Resolver<'_> {
    // Reporting.

    fn error(&mut self, code: &str, span: Span, message: impl Into<String>) -> Broken {
        self.report(Diagnostic::error(
            code,
            span,
            message.into().replace(['\n', '\r'], " "),
        ))
    }

    fn error_help(
        &mut self,
        code: &str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Broken {
        let message = message.into().replace(['\n', '\r'], " ");
        self.report(Diagnostic::error(code, span, message).with_help(help))
    }

    /// Something that is accepted and probably not meant.
    fn warn(
        &mut self,
        code: &str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let message = message.into().replace(['\n', '\r'], " ");
        let warning = Diagnostic::warning(code, span, message).with_help(help);
        if self.warnings.len() < limits::QUERY_DIAGNOSTICS_MAX && !self.warnings.contains(&warning)
        {
            self.warnings.push(warning);
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) -> Broken {
        // One definition used twice would be blamed twice; one limit says all.
        let is_large = |d: &Diagnostic| d.code == codes::TOO_LARGE || d.code == codes::GIVEN_UP;
        if is_large(&diagnostic) && self.diagnostics.iter().any(is_large) {
            return Broken;
        }
        if self.diagnostics.len() < limits::QUERY_DIAGNOSTICS_MAX
            && !self.diagnostics.contains(&diagnostic)
        {
            self.diagnostics.push(diagnostic);
        }
        Broken
    }

    // Limits.

    /// A query that nobody waits for any more is not read to its end.
    fn check_wanted(&mut self, span: Span) -> Fallible<()> {
        if self.schema.is_given_up() {
            let message = "reading the query took longer than allowed";
            return Err(self.error(codes::GIVEN_UP, span, message));
        }
        Ok(())
    }

    fn count_relations(&mut self, n: usize, span: Span) -> Fallible<()> {
        self.check_wanted(span)?;
        self.relations += n;
        if self.relations <= limits::QUERY_OPERATORS_MAX {
            return Ok(());
        }
        let message = format!(
            "the query spells out to more than {} operators",
            limits::QUERY_OPERATORS_MAX
        );
        Err(self.error_help(
            codes::TOO_LARGE,
            span,
            message,
            "use a variable fewer times, or put its value into `materialize()`",
        ))
    }

    fn count_expressions(&mut self, n: usize, span: Span) -> Fallible<()> {
        self.check_wanted(span)?;
        self.expressions += n;
        if self.expressions <= limits::QUERY_EXPRESSIONS_MAX {
            return Ok(());
        }
        let message = format!(
            "the query spells out to more than {} expressions",
            limits::QUERY_EXPRESSIONS_MAX
        );
        Err(self.error(codes::TOO_LARGE, span, message))
    }

    fn count_columns(&mut self, n: usize, span: Span) -> Fallible<()> {
        self.columns += n;
        if self.columns <= limits::QUERY_COLUMNS_MAX {
            return Ok(());
        }
        let message = format!(
            "the operators of the query have more than {} columns together",
            limits::QUERY_COLUMNS_MAX
        );
        Err(self.error_help(
            codes::TOO_LARGE,
            span,
            message,
            "keep the columns that matter with `project`",
        ))
    }

    /// Counts a relation that is spelled out again.
    fn count_again(&mut self, cost: Cost, span: Span) -> Fallible<()> {
        self.count_relations(cost.relations, span)?;
        self.count_expressions(cost.expressions, span)?;
        self.count_columns(cost.columns, span)
    }

    fn check_depth(&mut self, depth: usize, span: Span) -> Fallible<()> {
        if depth <= limits::QUERY_OPERATORS_DEPTH_MAX {
            return Ok(());
        }
        let message = format!(
            "the query has more than {} operators one after the other",
            limits::QUERY_OPERATORS_DEPTH_MAX
        );
        Err(self.error(codes::TOO_LARGE, span, message))
    }

    // Statements.

    /// The results of the text, the first apart.
    fn query(&mut self, root: &Node) -> Fallible<(Also, Vec<Also>)> {
        let mut results = Vec::new();
        for statement in root.children() {
            match statement.kind() {
                Kind::Let => self.let_statement(&statement),
                Kind::QueryParameters => self.query_parameters(&statement),
                Kind::PatternDecl => self.pattern_declaration(&statement),
                Kind::Query => {
                    if std::mem::take(&mut self.gave_names) {
                        results.pop();
                    }
                    results.extend(self.query_statement(&statement));
                    self.check_results(results.len(), span(&statement))?;
                }
                Kind::OtherStatement => self.other_statement(&statement),
                Kind::Command => {
                    let at = span(&statement);
                    let _ = self.error(
                        codes::FORBIDDEN,
                        Span::new(at.start, at.start + 1),
                        "management commands are not part of hunting",
                    );
                }
                _ => {}
            }
        }
        let at = span(root);
        if results.is_empty() {
            if !self.diagnostics.is_empty() {
                return Err(Broken);
            }
            return Err(self.error_help(
                codes::EMPTY_QUERY,
                Span::new(at.end, at.end),
                "the text has no query",
                "after the `let` statements, name a table",
            ));
        }
        let first = results.remove(0);
        Ok((first, results))
    }

    fn let_statement(&mut self, statement: &Node) {
        let mut parts = statement.children();
        let (Some(name_node), Some(value)) = (parts.next(), parts.next()) else {
            return;
        };
        let at = span(&name_node);
        let Ok(name) = self.declared(&name_node) else {
            return;
        };
        if self.env.len() >= limits::QUERY_LETS_MAX {
            let message = format!(
                "the query has more than {} variables",
                limits::QUERY_LETS_MAX
            );
            let _ = self.error(codes::MANY_LETS, at, message);
            return;
        }
        let binding = self.let_value(&value).unwrap_or(Binding::Poisoned);
        self.env.push((name.as_str().into(), Rc::new(binding)));
    }

    fn let_value(&mut self, value: &Node) -> Fallible<Binding> {
        if value.kind() == Kind::Lambda {
            return Ok(Binding::Function {
                lambda: value.clone(),
                env_len: self.env.len(),
            });
        }
        if self.is_tabular(value) {
            let before = self.spelled_out();
            let relation = self.table(value)?;
            return Ok(self.table_binding(relation, before));
        }
        let expr = self.expr(value, Row::NONE)?;
        self.scalar_binding(expr, None)
    }

    /// Expressions and columns so far.
    fn spelled_out(&self) -> (usize, usize) {
        (self.expressions, self.columns)
    }

    /// Whether columns may come that only the data can tell: nothing that lacks one is wrong yet.
    fn awaits_columns(&self) -> bool {
        self.found.len() < self.probes.len()
    }

    /// What stands for a table wherever its name is used; it was begun when `before` was spelled out.
    fn table_binding(&self, relation: Relation, before: (usize, usize)) -> Binding {
        let (relations, _) = measure(&relation);
        let cost = Cost {
            relations,
            expressions: self.expressions.saturating_sub(before.0),
            columns: self.columns.saturating_sub(before.1),
        };
        Binding::Table { relation, cost }
    }

    /// What stands for a scalar wherever its name is used. Variables in variables could nest
    /// without end: the depth is bounded here.
    fn scalar_binding(&mut self, expr: Expr, row_depth: Option<usize>) -> Fallible<Binding> {
        let weight = weigh(&expr);
        if weight.depth > EXPRESSION_DEPTH_MAX {
            let message =
                format!("the value is nested more than {EXPRESSION_DEPTH_MAX} levels deep");
            return Err(self.error(codes::TOO_DEEP, expr.span, message));
        }
        Ok(Binding::Scalar {
            expr,
            size: weight.size,
            row_depth: row_depth.filter(|_| weight.reads_row),
        })
    }

    fn lookup(&self, name: &str) -> Option<Rc<Binding>> {
        self.env
            .iter()
            .rev()
            .find(|(known, _)| &**known == name)
            .map(|(_, binding)| binding.clone())
    }

    /// Whether an expression is a table, judged by its shape and the names in it.
    fn is_tabular(&self, node: &Node) -> bool {
        match node.kind() {
            Kind::Pipeline | Kind::DataTable | Kind::ExternalData => true,
            Kind::Paren => node
                .children()
                .next()
                .is_some_and(|inner| self.is_tabular(&inner)),
            Kind::Name | Kind::BracketName => {
                let name = plain_name(node);
                match self.lookup(&name).as_deref() {
                    Some(Binding::Table { .. }) => true,
                    Some(Binding::Function { lambda, .. }) => self.is_tabular_function(lambda),
                    Some(Binding::Scalar { .. } | Binding::Pattern { .. } | Binding::Poisoned) => {
                        false
                    }
                    None => self.schema.table(&name).is_some(),
                }
            }
            Kind::Path => self.is_pattern(node),
            Kind::Call => {
                let name = call_name(node);
                match self.lookup(&name).as_deref() {
                    Some(Binding::Function { lambda, .. }) => self.is_tabular_function(lambda),
                    Some(Binding::Pattern { .. }) => true,
                    _ => {
                        matches!(name.as_str(), "materialize" | "table" | "view")
                            || invoke::is_service_function(&name)
                    }
                }
            }
            _ => false,
        }
    }

    fn is_tabular_function(&self, lambda: &Node) -> bool {
        let Some(body) = child(lambda, Kind::Body) else {
            return false;
        };
        let Some(last) = body.children().filter(|c| c.kind() == Kind::Query).last() else {
            return false;
        };
        let Some(value) = last.children().next() else {
            return false;
        };
        if value.kind() == Kind::Name {
            let name = plain_name(&value);
            let is_let = body
                .children()
                .filter(|c| c.kind() == Kind::Let)
                .find(|c| c.children().next().is_some_and(|n| plain_name(&n) == name))
                .and_then(|c| c.children().nth(1));
            if let Some(definition) = is_let {
                return definition.kind() != Kind::Name && self.is_tabular(&definition);
            }
            let params = child(lambda, Kind::Params);
            let is_param = params.into_iter().flat_map(|p| p.children()).any(|p| {
                p.children().next().is_some_and(|n| plain_name(&n) == name)
                    && child(&p, Kind::ColumnDecls).is_some()
            });
            if is_param {
                return true;
            }
        }
        self.is_tabular(&value)
    }
}

/// Size and depth of a relation, without recursion.
fn measure(relation: &Relation) -> (usize, usize) {
    let (mut size, mut depth) = (0, 0);
    let mut open = vec![(relation, 1)];
    while let Some((relation, level)) = open.pop() {
        size += 1;
        depth = depth.max(level);
        open.extend(
            relation
                .inputs()
                .into_iter()
                .map(|input| (input, level + 1)),
        );
    }
    (size, depth)
}

/// What an expression comes to, found without recursion.
struct Weight {
    size: usize,
    depth: usize,
    reads_row: bool,
}

fn weigh(expr: &Expr) -> Weight {
    let mut weight = Weight {
        size: 0,
        depth: 0,
        reads_row: false,
    };
    let mut open = vec![(expr, 1)];
    while let Some((expr, level)) = open.pop() {
        weight.size += 1;
        weight.depth = weight.depth.max(level);
        let mut inner: Vec<&Expr> = Vec::new();
        match &expr.kind {
            ExprKind::Column(_) => weight.reads_row = true,
            ExprKind::Literal(_) | ExprKind::ToScalar(SharedId(_)) => {}
            ExprKind::Call { args, .. } => inner.extend(args),
            ExprKind::Cast(base) => inner.push(base),
            ExprKind::LookedUp { keys, .. } => inner.extend(keys),
            ExprKind::Path { base, key } => {
                inner.push(base);
                if let PathKey::Computed(key) = key {
                    inner.push(key);
                }
            }
            ExprKind::Member { value, set, .. } => {
                inner.push(value);
                match set {
                    Set::Exprs(exprs) => inner.extend(exprs),
                    Set::Array(array) => inner.push(array),
                    Set::Shared(_) => {}
                }
            }
        }
        open.extend(inner.into_iter().map(|e| (e, level + 1)));
    }
    weight
}

/// Drops the columns that are only carried along.
fn without_hidden(relation: Relation) -> Relation {
    if relation.columns.iter().all(|f| !f.hidden) {
        return relation;
    }
    let at = relation.span;
    let kept: Vec<(usize, Field)> = relation
        .columns
        .iter()
        .enumerate()
        .filter(|(_, f)| !f.hidden)
        .map(|(position, f)| (position, f.clone()))
        .collect();
    let exprs = kept
        .iter()
        .map(|(position, f)| column(*position, f.ty, at))
        .collect();
    Relation {
        op: crate::resolved::Op::Project {
            input: Box::new(relation),
            exprs,
        },
        columns: kept.into_iter().map(|(_, f)| f).collect(),
        span: at,
    }
}

fn column(position: usize, ty: ColumnType, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Column(position),
        ty,
        span,
    }
}

// Reading the tree.

/// The operands of an operator: its nodes without options and what was skipped.
fn items(node: &Node) -> impl Iterator<Item = Node> + use<> {
    node.children()
        .filter(|c| !matches!(c.kind(), Kind::OperatorOption | Kind::Skipped))
}

fn child(node: &Node, kind: Kind) -> Option<Node> {
    node.children().find(|c| c.kind() == kind)
}

fn first_word(node: &Node) -> String {
    words(node).into_iter().next().unwrap_or_default()
}

/// The texts of the tokens that stand directly in `node`, blanks aside.
fn words(node: &Node) -> Vec<String> {
    node.children_with_tokens()
        .filter_map(rowan::NodeOrToken::into_token)
        .filter(|t| t.kind().matters())
        .map(|t| t.text().to_owned())
        .collect()
}

/// The name that the last of the words say: a word, or a text in brackets.
fn last_name(said: &[String]) -> Option<String> {
    match said {
        [.., open, text, close] if open == "[" && close == "]" => literals::string(text).ok(),
        [.., last] => Some(last.clone()),
        [] => None,
    }
}

/// The name that a [`Kind::Name`] or [`Kind::BracketName`] says; a bad escape stays as it is.
fn plain_name(node: &Node) -> String {
    let token = node
        .children_with_tokens()
        .filter_map(rowan::NodeOrToken::into_token)
        .find(|t| matches!(t.kind(), Kind::Word | Kind::String | Kind::Integer));
    token.map_or_else(String::new, |t| match t.kind() {
        Kind::String => literals::string(t.text()).unwrap_or_else(|_| t.text().to_owned()),
        _ => t.text().to_owned(),
    })
}

fn call_name(node: &Node) -> String {
    node.children()
        .next()
        .map_or_else(String::new, |n| plain_name(&n))
}

impl Resolver<'_> {
    /// The name that a declaration gives.
    fn declared(&mut self, node: &Node) -> Fallible<String> {
        let name = plain_name(node);
        if name.is_empty() {
            return Err(self.error(codes::EXPECTED, span(node), "a name cannot be empty"));
        }
        Ok(name)
    }
}
