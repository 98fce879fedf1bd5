//! Pipelines: which operator does what to the table before it.

use model::{ColumnType, Span};

use super::columns::{Rest, projected};
use super::names::Taken;
use super::types::cast;
use super::{Broken, Fallible, Resolver, Row, first_word, items, measure, plain_name, words};
use crate::codes;
use crate::operators::Operator;
use crate::resolved::{Field, Op, Relation, Render, Value};
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    pub(super) fn pipeline(&mut self, node: &Node) -> Fallible<Relation> {
        let before = self.spelled_out();
        let outer = std::mem::replace(&mut self.pipeline, before);
        let result = self.pipeline_here(node);
        self.pipeline = outer;
        result
    }

    fn pipeline_here(&mut self, node: &Node) -> Fallible<Relation> {
        let mut parts = node.children().filter(|c| c.kind() != Kind::Skipped);
        let Some(first) = parts.next() else {
            return Err(Broken);
        };
        let is_leading = matches!(first.kind(), Kind::Operator | Kind::OpaqueOperator);
        let mut relation = if is_leading {
            self.leading(&first)?
        } else {
            self.table(&first)?
        };
        let (_, mut depth) = measure(&relation);
        for operator in parts {
            let at = span(&operator);
            depth += 1;
            self.check_depth(depth, at)?;
            self.count_relations(1, at)?;
            relation = self.operator(relation, &operator)?;
            self.count_columns(relation.columns.len(), at)?;
            // Joins and unions bring a depth of their own.
            if matches!(
                relation.op,
                Op::Join { .. } | Op::Union { .. } | Op::Project { .. }
            ) {
                (_, depth) = measure(&relation);
                self.check_depth(depth, at)?;
            }
        }
        Ok(relation)
    }

    /// An operator that begins a pipeline.
    pub(super) fn leading(&mut self, node: &Node) -> Fallible<Relation> {
        let name = first_word(node);
        let at = span(node);
        match Operator::named(&name) {
            Some(Operator::Print) => self.print(node),
            Some(Operator::Range) => self.range(node),
            Some(Operator::Union) => self.union(None, node),
            Some(Operator::Search) => self.search(None, node),
            Some(Operator::Find) => self.find(None, node),
            _ => Err(self.operator_not_yet(&name, at)),
        }
    }

    pub(super) fn operator_not_yet(&mut self, name: &str, at: Span) -> Broken {
        let length = u32::try_from(name.len()).unwrap_or_default();
        let place = Span::new(at.start, at.start + length);
        let message = format!("the operator `{name}` is not supported yet");
        self.error(codes::OPERATOR_NOT_YET, place, message)
    }

    pub(super) fn operator(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let name = first_word(node);
        let at = span(node);
        let Some(operator) = Operator::named(&name) else {
            return Err(Broken);
        };
        if !operator.is_supported() {
            return Err(self.operator_not_yet(&name, at));
        }
        if super::graphs::is_graph(&input) {
            return self.graph_operator(&input, operator, node);
        }
        self.check_hints(node);
        match operator {
            Operator::Where => self.filter(input, node),
            Operator::Project => Ok(self.project(input, node)),
            Operator::ProjectByNames => self.project_by_names(input, node),
            Operator::Serialize => {
                let input = serialized(input, at);
                if items(node).next().is_none() {
                    return Ok(input);
                }
                Ok(self.extend(input, node))
            }
            Operator::Extend => Ok(self.extend(input, node)),
            Operator::ProjectAway => Ok(self.project_away(input, node)),
            Operator::ProjectKeep => Ok(self.project_keep(input, node)),
            Operator::ProjectRename => self.project_rename(input, node),
            Operator::ProjectReorder => Ok(self.project_reorder(input, node)),
            Operator::Summarize => self.summarize(input, node),
            Operator::Distinct => self.distinct(input, node),
            Operator::Take | Operator::Sample => Ok(self.take(input, node)),
            Operator::Top => Ok(self.top(input, node)),
            Operator::Sort => Ok(self.sort(input, node)),
            Operator::Count => {
                let mut names = node.children();
                let name = names
                    .find(|c| matches!(c.kind(), Kind::Name | Kind::BracketName))
                    .map(|n| plain_name(&n));
                let name = name.as_deref().unwrap_or("Count");
                self.count(input, name, at)
            }
            Operator::Join => self.join(input, node, false),
            Operator::Lookup => self.join(input, node, true),
            Operator::Union => self.union(Some(input), node),
            Operator::MvExpand => self.mv_expand(input, node),
            Operator::MvApply => self.mv_apply(input, node),
            Operator::Partition => self.partition(input, node),
            Operator::Fork => self.fork(input, node),
            Operator::Facet => self.facet(input, node),
            Operator::Parse | Operator::ParseWhere => self.parse_pattern(input, node),
            Operator::ParseKv => self.parse_pairs(input, node),
            Operator::MakeSeries => self.make_series(input, node),
            Operator::TopNested => self.top_nested(input, node),
            Operator::Search => self.search(Some(input), node),
            Operator::Find => self.find(Some(input), node),
            Operator::Evaluate => self.evaluate(input, node),
            Operator::Invoke => self.invoke(input, node),
            Operator::Scan => self.scan(input, node),
            Operator::SampleDistinct => self.rows_of(input, node, false),
            Operator::TopHitters => self.rows_of(input, node, true),
            Operator::Reduce => self.reduce(input, node),
            Operator::Consume => Ok(super::sampling::consumed(input, at)),
            Operator::GetSchema => Ok(serialized(get_schema(&input, at), at)),
            Operator::As => self.name_input(input, node),
            Operator::Render => {
                self.check_render(&input, node);
                self.render = Some(render(node));
                Ok(input)
            }
            Operator::MakeGraph => self.make_graph(input, node),
            Operator::GraphMatch
            | Operator::GraphShortestPaths
            | Operator::GraphMarkComponents
            | Operator::GraphWhereNodes
            | Operator::GraphWhereEdges
            | Operator::GraphToTable => Err(self.error_help(
                codes::NOT_A_TABLE,
                at,
                format!("`{name}` wants a graph, and this is a table"),
                "make one with `make-graph source --> target with nodes on id`",
            )),
            _ => Err(self.error(
                codes::FORM_NOT_YET,
                at,
                format!("`{name}` cannot stand after a bar"),
            )),
        }
    }

    fn print(&mut self, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        let mut taken = Taken::default();
        for (position, item) in items(node).enumerate() {
            // One name takes the first of several values.
            let has_one_name =
                item.kind() == Kind::Named && super::child(&item, Kind::NameList).is_none();
            let made = if has_one_name {
                None
            } else {
                self.tuple_item(&item, Row::NONE, Rest::Dropped)
            };
            if let Some(made) = made {
                for (name, expr) in made? {
                    columns.push(Field::new(taken.unique(&name), expr.ty));
                    exprs.push(expr);
                }
                continue;
            }
            let (given, value) = self.named(&item)?;
            let name = match given {
                Some(name) => {
                    if !taken.take(&name) {
                        let _ = self.duplicate(&name, span(&item));
                    }
                    name
                }
                None => taken.unique(&format!("print_{position}")),
            };
            if let Ok(expr) = self.expr(&value, Row::NONE) {
                columns.push(Field::new(name, expr.ty));
                exprs.push(expr);
            } else {
                self.poisoned.insert(name);
            }
        }
        let one_row = Relation {
            op: Op::Values {
                rows: vec![Vec::new()],
            },
            columns: Vec::new(),
            span: at,
        };
        self.count_relations(2, at)?;
        Ok(projected(one_row, exprs, columns, at))
    }

    fn range(&mut self, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let parts: Vec<Node> = items(node).collect();
        let [name, from, to, step] = parts.as_slice() else {
            return Err(Broken);
        };
        let name = self.declared(name)?;
        let (from, to, step) = (
            self.expr(from, Row::NONE)?,
            self.expr(to, Row::NONE)?,
            self.expr(step, Row::NONE)?,
        );
        let ty = match (from.ty, to.ty, step.ty) {
            (ColumnType::DateTime, ColumnType::DateTime, ColumnType::TimeSpan) => {
                ColumnType::DateTime
            }
            (ColumnType::TimeSpan, ColumnType::TimeSpan, ColumnType::TimeSpan) => {
                ColumnType::TimeSpan
            }
            (a, b, c) => {
                let widest = super::types::wider(a, b).and_then(|ab| super::types::wider(ab, c));
                let Some(ty) = widest else {
                    let message = format!("`range` does not go from `{a}` to `{b}` by `{c}`");
                    return Err(self.error(codes::TYPE_MISMATCH, at, message));
                };
                match ty {
                    ColumnType::Int => ColumnType::Long,
                    ColumnType::Decimal => {
                        let message = "`range` does not count in decimals";
                        let help = "use `real`, and convert afterwards with `todecimal()`";
                        return Err(self.error_help(codes::TYPE_MISMATCH, at, message, help));
                    }
                    ty => ty,
                }
            }
        };
        let step = match ty {
            ColumnType::DateTime | ColumnType::TimeSpan => step,
            number => cast(step, number),
        };
        self.count_relations(1, at)?;
        Ok(Relation {
            op: Op::Range {
                from: cast(from, ty),
                to: cast(to, ty),
                step,
            },
            columns: vec![Field::new(name, ty)],
            span: at,
        })
    }

    /// `as name`: the input under a name for the operators that follow.
    fn name_input(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let said = words(node);
        let Some(name) = super::last_name(&said).filter(|_| said.len() > 1) else {
            return Err(self.error(codes::EXPECTED, span(node), "expected a name"));
        };
        let binding = self.table_binding(input.clone(), self.pipeline);
        self.env
            .push((name.as_str().into(), std::rc::Rc::new(binding)));
        Ok(input)
    }
}

/// The rows in the order they have.
fn serialized(input: Relation, at: Span) -> Relation {
    Relation {
        columns: input.columns.clone(),
        op: Op::Serialize {
            input: Box::new(input),
        },
        span: at,
    }
}

fn get_schema(input: &Relation, at: Span) -> Relation {
    let rows = input
        .columns
        .iter()
        .filter(|f| !f.hidden)
        .enumerate()
        .map(|(ordinal, f)| {
            vec![
                Value::String(f.name.clone()),
                Value::Int(i32::try_from(ordinal).unwrap_or_default()),
                Value::String(engine_type(f.ty).into()),
                Value::String(f.ty.as_str().into()),
            ]
        })
        .collect();
    Relation {
        op: Op::Values { rows },
        columns: vec![
            Field::new("ColumnName", ColumnType::String),
            Field::new("ColumnOrdinal", ColumnType::Int),
            Field::new("DataType", ColumnType::String),
            Field::new("ColumnType", ColumnType::String),
        ],
        span: at,
    }
}

/// The name that `getschema` gives the type in the service's own runtime.
fn engine_type(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Bool => "System.SByte",
        ColumnType::DateTime => "System.DateTime",
        ColumnType::Decimal => "System.Data.SqlTypes.SqlDecimal",
        ColumnType::Dynamic => "System.Object",
        ColumnType::Guid => "System.Guid",
        ColumnType::Int => "System.Int32",
        ColumnType::Long => "System.Int64",
        ColumnType::Real => "System.Double",
        ColumnType::String => "System.String",
        ColumnType::TimeSpan => "System.TimeSpan",
    }
}

/// `render kind with (name = value, …)`.
fn render(node: &Node) -> Render {
    let said = words(node);
    Render {
        properties: properties(&said),
        kind: said.into_iter().nth(1).unwrap_or_default(),
    }
}

/// The pairs around each `=`.
pub(super) fn properties(said: &[String]) -> Vec<(String, String)> {
    let mut properties = Vec::new();
    for (position, word) in said.iter().enumerate() {
        if word == "=" {
            let name = position.checked_sub(1).and_then(|p| said.get(p));
            if let (Some(name), Some(value)) = (name, said.get(position + 1)) {
                let value = super::literals::string(value)
                    .ok()
                    .filter(|_| value.starts_with(['"', '\'', '@']))
                    .unwrap_or_else(|| value.clone());
                properties.push((name.clone(), value));
            }
        }
    }
    properties
}
