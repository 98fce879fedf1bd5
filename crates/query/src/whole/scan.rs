//! `scan`: each row is compared with the steps, last to first, under the state that earlier rows
//! left.
//!
//! The expressions read a scope of one row: the input's columns; per step the columns of the row
//! that its state holds and its declared columns; the declared columns as they begin.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt64Array, new_null_array,
};
use datafusion::arrow::compute::{concat, partition, take};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DFSchemaRef, Result, ScalarValue, exec_err};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use kql::resolved::ScanOutput;

use crate::kernels::args::Guard;

/// Rows between two looks at the guard.
const ROWS_PER_LOOK: usize = 64;

/// One step: positions in the task's expressions.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct StepPlan {
    pub(crate) condition: usize,
    /// Declared column and expression.
    pub(crate) assignments: Vec<(usize, usize)>,
    pub(crate) output: u8,
    pub(crate) optional: bool,
}

impl StepPlan {
    pub(crate) fn output_code(output: ScanOutput) -> u8 {
        match output {
            ScanOutput::All => 0,
            ScanOutput::Last => 1,
            ScanOutput::None => 2,
        }
    }
}

/// What one `scan` does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ScanTask {
    /// Of the conditions, assignments, and what the declared columns hold at first, in that order.
    pub(crate) exprs: Vec<Expr>,
    /// What the expressions read.
    pub(crate) scope: DFSchemaRef,
    pub(crate) steps: Vec<StepPlan>,
    /// Position of the first expression that a declared column begins with.
    pub(crate) initial: usize,
    pub(crate) declared: usize,
    /// What a step's columns of the input hold before it took a row.
    pub(crate) missing: Vec<ScalarValue>,
    pub(crate) match_id: bool,
    /// Columns of the input; no match goes on where one of them changes.
    pub(crate) keys: Vec<usize>,
}

/// The row and the declared values that a step holds.
#[derive(Clone)]
struct Held {
    row: usize,
    values: Vec<ArrayRef>,
}

/// The state of a step: what each step up to it holds.
#[derive(Clone)]
struct State {
    held: Vec<Option<Held>>,
    id: i64,
}

struct Run<'a> {
    task: &'a ScanTask,
    input: &'a RecordBatch,
    exprs: &'a [Arc<dyn PhysicalExpr>],
    scope: SchemaRef,
    /// Columns of the scope that some expression reads.
    used: Vec<bool>,
    initial: Vec<ArrayRef>,
}

impl ScanTask {
    pub(super) fn run(
        &self,
        input: &RecordBatch,
        exprs: &[Arc<dyn PhysicalExpr>],
        schema: &SchemaRef,
        guard: &Guard,
    ) -> Result<RecordBatch> {
        let scope: SchemaRef = Arc::new(self.scope.as_arrow().clone());
        let mut used = vec![false; scope.fields().len()];
        for expr in exprs {
            for column in collect_columns(expr) {
                if let Some(slot) = used.get_mut(column.index()) {
                    *slot = true;
                }
            }
        }
        let mut run = Run {
            task: self,
            input,
            exprs,
            scope,
            used,
            initial: Vec::new(),
        };
        let begin = input.slice(0, input.num_rows().min(1));
        if begin.num_rows() == 1 {
            for at in 0..self.declared {
                let value = run.value(self.initial + at, 0, None)?;
                run.initial.push(value);
            }
        }
        run.rows(schema, guard)
    }
}

impl Run<'_> {
    /// One row of the scope under a state.
    fn scope_row(&self, row: usize, state: Option<&State>) -> Result<RecordBatch> {
        let width = self.input.num_columns();
        let per_step = width + self.task.declared;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.scope.fields().len());
        for (at, field) in self.scope.fields().iter().enumerate() {
            let null = || new_null_array(field.data_type(), 1);
            if !self.used.get(at).copied().unwrap_or(false) {
                columns.push(null());
                continue;
            }
            let steps_end = width + per_step * self.task.steps.len();
            let array = if at < width {
                self.input.columns().get(at).map(|c| c.slice(row, 1))
            } else if at < steps_end {
                let (step, inside) = ((at - width) / per_step, (at - width) % per_step);
                self.of_step(state, step, inside)
            } else {
                self.initial.get(at - steps_end).cloned()
            };
            columns.push(array.unwrap_or_else(null));
        }
        Ok(RecordBatch::try_new(self.scope.clone(), columns)?)
    }

    fn of_step(&self, state: Option<&State>, step: usize, inside: usize) -> Option<ArrayRef> {
        let width = self.input.num_columns();
        let held = state.and_then(|s| s.held.get(step)?.as_ref());
        match (held, inside.checked_sub(width)) {
            (Some(held), None) => self
                .input
                .columns()
                .get(inside)
                .map(|c| c.slice(held.row, 1)),
            (Some(held), Some(at)) => held.values.get(at).cloned(),
            (None, None) => self.task.missing.get(inside)?.to_array_of_size(1).ok(),
            (None, Some(at)) => self.initial.get(at).cloned(),
        }
    }

    fn value(&self, expr: usize, row: usize, state: Option<&State>) -> Result<ArrayRef> {
        let Some(expr) = self.exprs.get(expr) else {
            return exec_err!("a step without its expression");
        };
        let scope = self.scope_row(row, state)?;
        expr.evaluate(&scope)?.into_array(1)
    }

    fn is_true(&self, step: &StepPlan, row: usize, state: Option<&State>) -> Result<bool> {
        let value = self.value(step.condition, row, state)?;
        let bools = value.as_any().downcast_ref::<BooleanArray>();
        Ok(bools.is_some_and(|b| b.is_valid(0) && b.value(0)))
    }

    /// The state after step `at` took the row.
    fn taken(&self, at: usize, row: usize, before: Option<&State>, id: i64) -> Result<State> {
        let mut values = match before.and_then(|s| s.held.get(at)?.as_ref()) {
            Some(held) => held.values.clone(),
            None => self.initial.clone(),
        };
        // What a step does not assign holds what it began with.
        values.clone_from_slice(&self.initial);
        if let Some(step) = self.task.steps.get(at) {
            for (declared, expr) in &step.assignments {
                let value = self.value(*expr, row, before)?;
                if let Some(slot) = values.get_mut(*declared) {
                    *slot = value;
                }
            }
        }
        let mut held = before.map_or_else(Vec::new, |s| s.held.clone());
        held.resize(self.task.steps.len(), None);
        if let Some(slot) = held.get_mut(at) {
            *slot = Some(Held { row, values });
        }
        Ok(State { held, id })
    }

    fn rows(&self, schema: &SchemaRef, guard: &Guard) -> Result<RecordBatch> {
        let mut out = Output::default();
        for part in self.parts()? {
            self.part(part, guard, &mut out)?;
        }
        self.assembled(out, schema)
    }

    /// Runs of rows with the same keys.
    fn parts(&self) -> Result<Vec<Range<usize>>> {
        let all = self.input.columns();
        let keys: Vec<ArrayRef> = (self.task.keys.iter())
            .filter_map(|key| all.get(*key).cloned())
            .collect();
        if keys.is_empty() {
            return Ok(std::iter::once(0..self.input.num_rows()).collect());
        }
        Ok(partition(&keys)?.ranges())
    }

    fn part(&self, rows: Range<usize>, guard: &Guard, out: &mut Output) -> Result<()> {
        let count = self.task.steps.len();
        let mut states: Vec<Option<State>> = vec![None; count];
        let mut next_id = 0;
        for row in rows {
            if row.is_multiple_of(ROWS_PER_LOOK) {
                guard.check()?;
            }
            for at in (0..count).rev() {
                let Some(step) = self.task.steps.get(at) else {
                    continue;
                };
                let moved = self.promoted(step, at, row, &mut states, out)?;
                let state = match moved {
                    Some(state) => Some(state),
                    None => self.extended(step, at, row, &states, &mut next_id)?,
                };
                if let Some(state) = state {
                    if step.output == 0 {
                        out.push(&state, at);
                    }
                    if let Some(slot) = states.get_mut(at) {
                        *slot = Some(state);
                    }
                }
            }
        }
        for (at, step) in self.task.steps.iter().enumerate() {
            if let Some(state) = states.get(at).and_then(Option::as_ref)
                && step.output == 1
            {
                out.push(state, at);
            }
        }
        Ok(())
    }

    /// The match of the step before goes on to this one.
    fn promoted(
        &self,
        step: &StepPlan,
        at: usize,
        row: usize,
        states: &mut [Option<State>],
        out: &mut Output,
    ) -> Result<Option<State>> {
        let mut from = at;
        while let Some(before) = from.checked_sub(1) {
            let state = states.get(before).cloned().flatten();
            if let Some(state) = state
                && self.is_true(step, row, Some(&state))?
            {
                let ends_last = self.task.steps.get(before).is_some_and(|s| s.output == 1);
                if ends_last {
                    out.push(&state, before);
                }
                if let Some(slot) = states.get_mut(before) {
                    *slot = None;
                }
                let id = state.id;
                return Ok(Some(self.taken(at, row, Some(&state), id)?));
            }
            // A step that may be left out lets the one before it go on.
            if !self.task.steps.get(before).is_some_and(|s| s.optional) {
                return Ok(None);
            }
            from = before;
        }
        Ok(None)
    }

    /// The step's own match goes on, or (the first step) begins.
    fn extended(
        &self,
        step: &StepPlan,
        at: usize,
        row: usize,
        states: &[Option<State>],
        next_id: &mut i64,
    ) -> Result<Option<State>> {
        let state = states.get(at).and_then(Option::as_ref);
        let is_first = self.task.steps.iter().take(at).all(|s| s.optional);
        if state.is_none() && !is_first {
            return Ok(None);
        }
        if !self.is_true(step, row, state)? {
            return Ok(None);
        }
        let id = state.map_or(*next_id, |s| s.id);
        if state.is_none() {
            *next_id += 1;
        }
        Ok(Some(self.taken(at, row, state, id)?))
    }

    fn assembled(&self, out: Output, schema: &SchemaRef) -> Result<RecordBatch> {
        let indices = UInt64Array::from(out.rows);
        let mut columns: Vec<ArrayRef> = Vec::new();
        for column in self.input.columns() {
            columns.push(take(column, &indices, None)?);
        }
        for at in 0..self.task.declared {
            let pieces: Vec<&dyn datafusion::arrow::array::Array> = out
                .values
                .iter()
                .filter_map(|values| values.get(at).map(AsRef::as_ref))
                .collect();
            let ty = schema
                .fields()
                .get(self.input.num_columns() + at)
                .map(|f| f.data_type().clone());
            columns.push(match (pieces.is_empty(), ty) {
                (true, Some(ty)) => datafusion::arrow::array::new_empty_array(&ty),
                _ => concat(&pieces)?,
            });
        }
        if self.task.match_id {
            columns.push(Arc::new(Int64Array::from(out.ids)));
        }
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }
}

/// Rows put out so far.
#[derive(Default)]
struct Output {
    rows: Vec<u64>,
    values: Vec<Vec<ArrayRef>>,
    ids: Vec<i64>,
}

impl Output {
    fn push(&mut self, state: &State, step: usize) {
        let Some(held) = state.held.get(step).and_then(Option::as_ref) else {
            return;
        };
        self.rows.push(u64::try_from(held.row).unwrap_or(u64::MAX));
        self.values.push(held.values.clone());
        self.ids.push(state.id);
    }
}
