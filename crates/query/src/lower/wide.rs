//! Operators beyond rows one by one: functions of neighbouring rows, `make-series`, `scan`, texts
//! taken apart, rows from elsewhere.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::{DFSchema, DFSchemaRef, ScalarValue};
use datafusion::logical_expr::{Expr as Plan, Extension, LogicalPlan};
use kql::resolved::{Axis, Expr, Op, Relation, TextForm, Value, WindowFn};
use model::ColumnType;

use super::{Lowered, Lowering, Scope, constant, exprs, in_order, plans};
use crate::error::Error;
use crate::external::Unread;
use crate::kernels::Work;
use crate::kernels::extract::Extraction;
use crate::profiles::FileProfile;
use crate::whole::{
    ComponentsTask, MatchTask, ScanTask, SeriesTask, StepPlan, Task, Whole, WindowTask,
    window_schema,
};

impl Lowering<'_> {
    pub(super) fn wide(&mut self, relation: &Relation) -> Result<Lowered, Error> {
        match &relation.op {
            Op::Serialize { input } => {
                let input = self.relation(input)?;
                Ok(Lowered {
                    ordered: true,
                    ..input
                })
            }
            Op::Window {
                input,
                function,
                args,
                keys,
            } => self.window(relation, input, *function, args, keys),
            Op::Extract {
                input,
                source,
                form,
                captures,
            } => self.extract(relation, input, source, form, captures),
            Op::Series {
                input,
                keys,
                axis,
                defaults,
            } => self.series(relation, input, *keys, axis, defaults),
            Op::Scan { input, .. } => self.scan(relation, input),
            Op::GraphMatch {
                nodes,
                edges,
                pattern,
                parts,
            } => {
                let types = |r: &Relation| r.columns.iter().map(|f| f.ty).collect();
                let task = Task::Match(MatchTask {
                    pattern: pattern.clone(),
                    parts: parts.clone(),
                    node_types: types(nodes),
                    edge_types: types(edges),
                });
                self.graph(relation, nodes, edges, task)
            }
            Op::GraphComponents {
                nodes,
                edges,
                ids,
                strong,
            } => {
                let task = Task::Components(ComponentsTask {
                    ids: *ids,
                    strong: *strong,
                });
                self.graph(relation, nodes, edges, task)
            }
            Op::FileProfile {
                input,
                sha256,
                files_max,
            } => self.file_profile(relation, input, *sha256, *files_max),
            Op::External {
                addresses,
                properties,
            } => self.external_rows(relation, addresses, properties),
            _ => Err(Error::internal("an operator without lowering")),
        }
    }

    /// The input in its order, with more columns.
    fn ordered_with(
        &mut self,
        input: Lowered,
        more: Vec<Plan>,
    ) -> Result<(LogicalPlan, Vec<String>), Error> {
        let input = if input.ordered {
            in_order(input)
        } else {
            input
        };
        let mut all: Vec<Plan> = input.columns.iter().map(|n| exprs::named(n)).collect();
        let mut names = input.columns.clone();
        for expr in more {
            let name = self.next_name();
            all.push(expr.alias(&name));
            names.push(name);
        }
        if all.is_empty() {
            return Ok((input.plan, names));
        }
        let plan = plans::projected(input.plan, all)?;
        Ok((plan, names))
    }

    /// The schema of columns that a task puts out.
    fn made_schema(
        &mut self,
        types: impl Iterator<Item = ColumnType>,
    ) -> Result<(DFSchemaRef, Vec<String>), Error> {
        let mut fields = Vec::new();
        let mut names = Vec::new();
        for ty in types {
            let name = self.next_name();
            fields.push(Field::new(
                &name,
                crate::kernels::decimals::data_type(ty),
                true,
            ));
            names.push(name);
        }
        let schema = DFSchema::from_unqualified_fields(fields.into(), HashMap::new())?;
        Ok((Arc::new(schema), names))
    }

    fn whole(
        &mut self,
        relation: &Relation,
        inputs: Vec<LogicalPlan>,
        task: Task,
        ordered: bool,
    ) -> Result<Lowered, Error> {
        let types = relation.columns.iter().map(|f| f.ty);
        let (schema, columns) = self.made_schema(types)?;
        let node = Arc::new(Whole {
            inputs,
            task,
            schema,
        });
        Ok(Lowered {
            plan: LogicalPlan::Extension(Extension { node }),
            columns,
            ordered,
        })
    }

    /// A task over nodes and edges, each with its columns in order.
    fn graph(
        &mut self,
        relation: &Relation,
        nodes: &Relation,
        edges: &Relation,
        task: Task,
    ) -> Result<Lowered, Error> {
        let nodes = self.finished(nodes)?;
        let edges = self.finished(edges)?;
        self.whole(relation, vec![nodes, edges], task, false)
    }

    fn window(
        &mut self,
        relation: &Relation,
        input: &Relation,
        function: WindowFn,
        args: &[Expr],
        keys: &[Expr],
    ) -> Result<Lowered, Error> {
        let lowered = self.relation(input)?;
        let scope = Scope(&lowered.columns);
        let mut more = Vec::new();
        for expr in args.iter().chain(keys) {
            more.push(self.expr(expr, &scope)?);
        }
        let width = lowered.columns.len();
        let (plan, mut columns) = self.ordered_with(lowered, more)?;
        let offset = match args.get(1).and_then(Expr::as_literal) {
            Some(Value::Int(rows)) => Some(i64::from(*rows)),
            Some(Value::Long(rows)) => Some(*rows),
            _ => None,
        };
        let task = WindowTask {
            function,
            width,
            args: args.iter().map(|e| e.ty).collect(),
            keys: keys.iter().map(|e| e.ty).collect(),
            offset,
        };
        // Columns that go on keep their names, so that those that nothing reads can be left out.
        let made = relation.columns.last().map(|field| field.ty);
        let (made, name) = self.made_schema(made.into_iter())?;
        let schema = window_schema(&made, plan.schema(), width)?;
        columns.truncate(width);
        columns.extend(name);
        let node = Arc::new(Whole {
            inputs: vec![plan],
            task: Task::Window(task),
            schema,
        });
        Ok(Lowered {
            plan: LogicalPlan::Extension(Extension { node }),
            columns,
            ordered: true,
        })
    }

    fn series(
        &mut self,
        relation: &Relation,
        input: &Relation,
        keys: usize,
        axis: &Axis,
        defaults: &[Expr],
    ) -> Result<Lowered, Error> {
        let lowered = self.relation(input)?;
        let (plan, _) = self.ordered_with(lowered, Vec::new())?;
        let task = Task::Series(SeriesTask {
            keys,
            axis: axis.ty,
            aggregates: input.columns.iter().skip(keys + 1).map(|f| f.ty).collect(),
            from: axis.from.as_ref().map(|e| self.known(e)).transpose()?,
            to: axis.to.as_ref().map(|e| self.known(e)).transpose()?,
            step: self.known(&axis.step)?,
            inclusive: axis.inclusive,
            nonempty: axis.nonempty,
            defaults: defaults
                .iter()
                .map(|e| self.known(e))
                .collect::<Result<_, _>>()?,
        });
        self.whole(relation, vec![plan], task, false)
    }

    /// The value of an expression that reads no column.
    fn known(&mut self, expr: &Expr) -> Result<ScalarValue, Error> {
        let plan = self.expr(expr, &Scope(&[]))?;
        constant(&plan)
    }

    fn scan(&mut self, relation: &Relation, input: &Relation) -> Result<Lowered, Error> {
        let Op::Scan {
            declared,
            steps,
            match_id,
            keys,
            ..
        } = &relation.op
        else {
            return Err(Error::internal("a scan that is none"));
        };
        let lowered = self.relation(input)?;
        let (plan, _) = self.ordered_with(lowered, Vec::new())?;
        let input_types = || input.columns.iter().map(|f| f.ty);
        let declared_types = || declared.iter().map(|(ty, _)| *ty);
        let mut types: Vec<ColumnType> = input_types().collect();
        for _ in steps {
            types.extend(input_types().chain(declared_types()));
        }
        types.extend(declared_types());
        let (scope, names) = self.made_schema(types.into_iter())?;
        let names = Scope(&names);
        let mut exprs = Vec::new();
        let mut plans = Vec::new();
        for step in steps {
            let condition = exprs.len();
            exprs.push(self.expr(&step.condition, &names)?);
            let mut assignments = Vec::new();
            for (column, value) in &step.assignments {
                assignments.push((*column, exprs.len()));
                exprs.push(self.expr(value, &names)?);
            }
            plans.push(StepPlan {
                condition,
                assignments,
                output: StepPlan::output_code(step.output),
                optional: step.optional,
            });
        }
        let initial = exprs.len();
        for (_, value) in declared {
            exprs.push(self.expr(value, &names)?);
        }
        let missing = input_types().map(|ty| exprs::missing(ty).and_then(|plan| constant(&plan)));
        let missing = missing.collect::<Result<_, _>>()?;
        let task = Task::Scan(ScanTask {
            exprs,
            scope,
            steps: plans,
            initial,
            declared: declared.len(),
            missing,
            match_id: *match_id,
            keys: keys.clone(),
        });
        self.whole(relation, vec![plan], task, true)
    }

    fn extract(
        &mut self,
        relation: &Relation,
        input: &Relation,
        source: &Expr,
        form: &TextForm,
        captures: &[ColumnType],
    ) -> Result<Lowered, Error> {
        let lowered = self.relation(input)?;
        let extraction = Extraction::new(form, captures).ok_or_else(|| {
            Error::internal("a pattern that the resolver accepted does not compile")
        })?;
        let text = self.expr(source, &Scope(&lowered.columns))?;
        let work = Work::Extract(Arc::new(extraction));
        let made = self.kernel(work, vec![(text, ColumnType::String)], ColumnType::Dynamic);
        let name = self.next_name();
        let mut kept: Vec<Plan> = lowered.columns.iter().map(|n| exprs::named(n)).collect();
        kept.push(made.alias(&name));
        let plan = plans::projected(lowered.plan, kept)?;
        let mut all: Vec<Plan> = lowered.columns.iter().map(|n| exprs::named(n)).collect();
        let types = captures.iter().copied().chain([ColumnType::Bool]);
        for (at, ty) in types.enumerate() {
            all.push(self.kernel(Work::Field(at), vec![(exprs::named(&name), ty)], ty));
        }
        let projected = self.project(plan, all, relation)?;
        Ok(Lowered {
            ordered: lowered.ordered,
            ..projected
        })
    }

    fn file_profile(
        &mut self,
        relation: &Relation,
        input: &Relation,
        sha256: usize,
        files_max: u64,
    ) -> Result<Lowered, Error> {
        let lowered = self.relation(input)?;
        let ordered = lowered.ordered;
        let (plan, _) = self.ordered_with(lowered, Vec::new())?;
        let types = relation.columns.iter().map(|f| f.ty);
        let (schema, columns) = self.made_schema(types)?;
        let node = Arc::new(FileProfile {
            input: plan,
            sha256,
            files_max: usize::try_from(files_max).unwrap_or(usize::MAX),
            schema,
        });
        Ok(Lowered {
            plan: LogicalPlan::Extension(Extension { node }),
            columns,
            ordered,
        })
    }

    fn external_rows(
        &mut self,
        relation: &Relation,
        addresses: &[Arc<str>],
        properties: &[(String, String)],
    ) -> Result<Lowered, Error> {
        let Some(external) = self.external.clone() else {
            return Err(Error::ExternalData);
        };
        let columns: Vec<(Arc<str>, ColumnType)> = relation
            .columns
            .iter()
            .map(|f| (f.name.clone(), f.ty))
            .collect();
        let mut arrays = crate::external::Columns::new(&columns);
        for address in addresses {
            let bytes = external.read(address).map_err(|unread| match unread {
                Unread::NotListed => Error::ExternalData,
                Unread::Failed(why) => Error::ExternalFailed {
                    address: address.to_string(),
                    why,
                },
            })?;
            arrays.add(address, &bytes, properties);
            self.guard.check()?;
        }
        let arrays = arrays.finish()?;
        let fields: Vec<Field> = columns
            .iter()
            .map(|(_, ty)| {
                Field::new(
                    self.next_name(),
                    crate::kernels::decimals::data_type(*ty),
                    true,
                )
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let batch = datafusion::arrow::array::RecordBatch::try_new(schema.clone(), arrays)?;
        self.memory(&schema, vec![batch])
    }
}
