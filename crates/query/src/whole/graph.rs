//! Patterns in graphs, and components of graphs.
//!
//! The inputs are the nodes and the edges; ids are joined by a table of their positions. A pattern is
//! matched by depth-first search: a step binds a node, or follows an edge (or several) from a node
//! that is bound. Conditions on one element are columns that were computed before, so a branch that
//! cannot hold is left at once. LIMIT: matches and the length of paths are bounded; the guard is
//! looked at as the search goes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result, exec_err};
use kql::resolved::{Cycles, EdgeDirection, GraphIds, GraphPart, GraphPattern, GraphStep};
use model::{ColumnType, limits};

use crate::json::Json;
use crate::kernels::args::{Arg, Guard};
use crate::kernels::convert;

/// What is asked of a graph.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct MatchTask {
    pub(crate) pattern: GraphPattern,
    pub(crate) parts: Vec<GraphPart>,
    /// Types of the nodes' and the edges' columns.
    pub(crate) node_types: Vec<ColumnType>,
    pub(crate) edge_types: Vec<ColumnType>,
}

/// The components of a graph.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ComponentsTask {
    pub(crate) ids: GraphIds,
    pub(crate) strong: bool,
}

/// Looks at the guard every so many steps: a power of two.
const STEPS_PER_LOOK: usize = 4_096;

/// Nodes by position, edges by position, and which meet.
struct Graph {
    sources: Vec<usize>,
    targets: Vec<usize>,
    /// Edges that leave and reach each node.
    out: Vec<Vec<usize>>,
    into: Vec<Vec<usize>>,
}

/// The texts of a column of ids.
fn texts(batch: &RecordBatch, at: usize) -> Result<&StringArray> {
    let found = batch
        .columns()
        .get(at)
        .and_then(|a| a.as_any().downcast_ref::<StringArray>());
    match found {
        Some(array) => Ok(array),
        None => exec_err!("a graph without ids"),
    }
}

impl Graph {
    /// Edges whose ends are no nodes are left out: their ends stay unset, and no list has them.
    fn new(nodes: &RecordBatch, edges: &RecordBatch, ids: GraphIds) -> Result<Self> {
        let names = texts(nodes, ids.node)?;
        let mut positions: HashMap<&str, usize> = HashMap::new();
        for at in 0..names.len() {
            positions.entry(names.value(at)).or_insert(at);
        }
        let (from, to) = (texts(edges, ids.source)?, texts(edges, ids.target)?);
        let mut graph = Self {
            sources: vec![usize::MAX; edges.num_rows()],
            targets: vec![usize::MAX; edges.num_rows()],
            out: vec![Vec::new(); nodes.num_rows()],
            into: vec![Vec::new(); nodes.num_rows()],
        };
        for edge in 0..edges.num_rows() {
            let ends = (
                positions.get(from.value(edge)),
                positions.get(to.value(edge)),
            );
            let (Some(source), Some(target)) = ends else {
                continue;
            };
            for (all, end, list) in [
                (&mut graph.sources, *source, &mut graph.out),
                (&mut graph.targets, *target, &mut graph.into),
            ] {
                if let (Some(slot), Some(edges)) = (all.get_mut(edge), list.get_mut(end)) {
                    *slot = end;
                    edges.push(edge);
                }
            }
        }
        Ok(graph)
    }

    fn nodes(&self) -> usize {
        self.out.len()
    }

    /// The edges from `node` in a direction, each with the node at its other end.
    fn ways(&self, node: usize, direction: EdgeDirection) -> Vec<(usize, usize)> {
        let mut ways = Vec::new();
        let ends = |edges: &[Vec<usize>], ends: &[usize], ways: &mut Vec<(usize, usize)>| {
            for edge in edges.get(node).into_iter().flatten() {
                ways.extend(ends.get(*edge).map(|end| (*edge, *end)));
            }
        };
        if direction != EdgeDirection::Backward {
            ends(&self.out, &self.targets, &mut ways);
        }
        if direction != EdgeDirection::Forward {
            let before = ways.len();
            ends(&self.into, &self.sources, &mut ways);
            if direction == EdgeDirection::Either {
                // A loop is met once.
                let is_loop = |way: &(usize, usize)| way.1 == node;
                let back = ways.split_off(before);
                ways.extend(back.into_iter().filter(|way| !is_loop(way)));
            }
        }
        ways
    }
}

/// One match: the nodes of the pattern and the edges of each of its edges.
#[derive(Clone, Debug)]
struct Match {
    nodes: Vec<usize>,
    edges: Vec<Vec<usize>>,
}

struct Search<'a> {
    task: &'a MatchTask,
    graph: Graph,
    nodes: &'a RecordBatch,
    edges: &'a RecordBatch,
    guard: &'a Guard,
    steps: usize,
    bound: Vec<Option<usize>>,
    walked: Vec<Vec<usize>>,
    used_edges: HashSet<usize>,
    /// How often each node is on the way.
    used_nodes: HashMap<usize, usize>,
    found: Vec<Match>,
}

/// Whether the columns (bools) are true in a row.
fn holds(batch: &RecordBatch, columns: &[usize], row: usize) -> bool {
    columns.iter().all(|at| {
        let column = batch.columns().get(*at);
        let column = column.and_then(|c| c.as_any().downcast_ref::<BooleanArray>());
        column.is_some_and(|c| c.is_valid(row) && c.value(row))
    })
}

impl Search<'_> {
    fn look(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_PER_LOOK) {
            self.guard.check()?;
        }
        Ok(())
    }

    fn step(&mut self, at: usize) -> Result<()> {
        self.look()?;
        let task = self.task;
        match task.pattern.steps.get(at) {
            None => self.record(),
            Some(GraphStep::Start { node, filters }) => {
                if let Some(known) = self.bound.get(*node).copied().flatten() {
                    return if holds(self.nodes, filters, known) {
                        self.step(at + 1)
                    } else {
                        Ok(())
                    };
                }
                for candidate in 0..self.graph.nodes() {
                    self.look()?;
                    if holds(self.nodes, filters, candidate) {
                        self.bind(*node, candidate, |search| search.step(at + 1))?;
                    }
                }
                Ok(())
            }
            Some(GraphStep::Hop {
                from,
                range: None,
                direction,
                edge,
                edge_filters,
                ..
            }) => {
                let Some(here) = self.bound.get(*from).copied().flatten() else {
                    return Ok(());
                };
                for (way, end) in self.graph.ways(here, *direction) {
                    if self.may_use(way, edge_filters) {
                        self.walk(*edge, way, |search| search.arrive(at, end))?;
                    }
                }
                Ok(())
            }
            Some(GraphStep::Hop {
                from,
                range: Some((least, most)),
                ..
            }) => {
                let Some(here) = self.bound.get(*from).copied().flatten() else {
                    return Ok(());
                };
                if *least == 0 {
                    self.arrive(at, here)?;
                }
                self.along(at, here, 1, (*least).max(1), *most)
            }
        }
    }

    /// Further edges of a path, `length` counting the next one.
    fn along(&mut self, at: usize, here: usize, length: u32, least: u32, most: u32) -> Result<()> {
        let task = self.task;
        let Some(GraphStep::Hop {
            edge,
            direction,
            edge_filters,
            ..
        }) = task.pattern.steps.get(at)
        else {
            return Ok(());
        };
        if length > most {
            return Ok(());
        }
        for (way, end) in self.graph.ways(here, *direction) {
            self.look()?;
            if !self.may_use(way, edge_filters) {
                continue;
            }
            self.walk(*edge, way, |search| {
                if length >= least {
                    search.arrive(at, end)?;
                }
                if task.pattern.cycles == Cycles::None && search.is_on_the_way(end) {
                    return Ok(());
                }
                search.pass(end, |search| search.along(at, end, length + 1, least, most))
            })?;
        }
        Ok(())
    }

    /// Whether an edge may be followed now.
    fn may_use(&self, way: usize, filters: &[usize]) -> bool {
        let is_free = self.task.pattern.cycles == Cycles::All || !self.used_edges.contains(&way);
        is_free && holds(self.edges, filters, way)
    }

    fn is_on_the_way(&self, node: usize) -> bool {
        self.used_nodes.get(&node).is_some_and(|n| *n > 0)
    }

    /// At the end of a hop: the node is bound, or must be the one that is.
    fn arrive(&mut self, at: usize, end: usize) -> Result<()> {
        let task = self.task;
        let Some(GraphStep::Hop {
            to, node_filters, ..
        }) = task.pattern.steps.get(at)
        else {
            return Ok(());
        };
        if !holds(self.nodes, node_filters, end) {
            return Ok(());
        }
        match self.bound.get(*to).copied().flatten() {
            Some(known) if known == end => self.step(at + 1),
            Some(_) => Ok(()),
            None if task.pattern.cycles == Cycles::None && self.is_on_the_way(end) => Ok(()),
            None => self.bind(*to, end, |search| search.step(at + 1)),
        }
    }

    fn bind(
        &mut self,
        node: usize,
        value: usize,
        inside: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if let Some(slot) = self.bound.get_mut(node) {
            *slot = Some(value);
        }
        let result = self.pass(value, inside);
        if let Some(slot) = self.bound.get_mut(node) {
            *slot = None;
        }
        result
    }

    fn pass(&mut self, node: usize, inside: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        *self.used_nodes.entry(node).or_default() += 1;
        let result = inside(self);
        if let Some(times) = self.used_nodes.get_mut(&node) {
            *times -= 1;
        }
        result
    }

    fn walk(
        &mut self,
        edge: usize,
        way: usize,
        inside: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let is_new = self.used_edges.insert(way);
        if let Some(walked) = self.walked.get_mut(edge) {
            walked.push(way);
        }
        let result = inside(self);
        if let Some(walked) = self.walked.get_mut(edge) {
            walked.pop();
        }
        if is_new {
            self.used_edges.remove(&way);
        }
        result
    }

    fn record(&mut self) -> Result<()> {
        if self.found.len() >= limits::GRAPH_MATCHES_MAX {
            let what = format!(
                "the pattern is found more than {} times",
                limits::GRAPH_MATCHES_MAX
            );
            return Err(DataFusionError::ResourcesExhausted(what));
        }
        let bound = self.bound.iter().map(|n| n.unwrap_or_default());
        self.found.push(Match {
            nodes: bound.collect(),
            edges: self.walked.clone(),
        });
        Ok(())
    }

    /// The shortest paths of the one hop from each node that may begin one.
    fn shortest(&mut self, all: bool) -> Result<()> {
        let task = self.task;
        let [
            GraphStep::Start { node, filters },
            GraphStep::Hop {
                edge,
                to,
                direction,
                range: Some((least, most)),
                edge_filters,
                node_filters,
                ..
            },
        ] = task.pattern.steps.as_slice()
        else {
            return exec_err!("shortest paths of another pattern");
        };
        for start in 0..self.graph.nodes() {
            self.guard.check()?;
            if !holds(self.nodes, filters, start) {
                continue;
            }
            let before = self.reached(start, *direction, edge_filters, *most)?;
            for end in 0..self.graph.nodes() {
                let Some((distance, _)) = before.get(&end) else {
                    continue;
                };
                if end == start || distance < least || !holds(self.nodes, node_filters, end) {
                    continue;
                }
                for path in paths_to(end, start, &before, all) {
                    let mut edges = vec![Vec::new(); task.pattern.edges];
                    if let Some(slot) = edges.get_mut(*edge) {
                        *slot = path;
                    }
                    self.walked = edges;
                    for (slot, value) in [(*node, start), (*to, end)] {
                        if let Some(slot) = self.bound.get_mut(slot) {
                            *slot = Some(value);
                        }
                    }
                    self.record()?;
                }
            }
        }
        Ok(())
    }

    /// Distance of each node that can be reached, and the edges over which the shortest ways come.
    fn reached(
        &mut self,
        start: usize,
        direction: EdgeDirection,
        filters: &[usize],
        most: u32,
    ) -> Result<Reached> {
        let mut before: Reached = HashMap::from([(start, (0, Vec::new()))]);
        let mut open = VecDeque::from([(start, 0)]);
        while let Some((here, distance)) = open.pop_front() {
            if distance >= most {
                continue;
            }
            for (way, end) in self.graph.ways(here, direction) {
                self.look()?;
                if !holds(self.edges, filters, way) {
                    continue;
                }
                let known = before.entry(end).or_insert_with(|| {
                    open.push_back((end, distance + 1));
                    (distance + 1, Vec::new())
                });
                if known.0 == distance + 1 {
                    known.1.push((way, here));
                }
            }
        }
        Ok(before)
    }
}

/// Distance, and the last edges with the nodes that they come from.
type Reached = HashMap<usize, (u32, Vec<(usize, usize)>)>;

/// The paths that end at `end`, or one of them.
fn paths_to(end: usize, start: usize, before: &Reached, all: bool) -> Vec<Vec<usize>> {
    let mut done = Vec::new();
    let mut open = vec![(end, Vec::new())];
    while let Some((here, path)) = open.pop() {
        if here == start {
            let mut path: Vec<usize> = path;
            path.reverse();
            done.push(path);
            if !all || done.len() > limits::GRAPH_MATCHES_MAX {
                return done;
            }
            continue;
        }
        let ways = before
            .get(&here)
            .map_or(&[][..], |(_, ways)| ways.as_slice());
        for (way, from) in ways.iter().take(if all { usize::MAX } else { 1 }) {
            let mut longer = path.clone();
            longer.push(*way);
            open.push((*from, longer));
        }
    }
    done
}

impl MatchTask {
    pub(super) fn run(
        &self,
        nodes: &RecordBatch,
        edges: &RecordBatch,
        schema: &SchemaRef,
        guard: &Guard,
    ) -> Result<RecordBatch> {
        let mut search = Search {
            task: self,
            graph: Graph::new(nodes, edges, self.pattern.ids)?,
            nodes,
            edges,
            guard,
            steps: 0,
            bound: vec![None; self.pattern.nodes],
            walked: vec![Vec::new(); self.pattern.edges],
            used_edges: HashSet::new(),
            used_nodes: HashMap::new(),
            found: Vec::new(),
        };
        match self.pattern.shortest {
            Some(all) => search.shortest(all)?,
            None => search.step(0)?,
        }
        let mut columns = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            guard.check()?;
            columns.push(self.part(*part, &search)?);
        }
        let options = datafusion::arrow::array::RecordBatchOptions::new()
            .with_row_count(Some(search.found.len()));
        Ok(RecordBatch::try_new_with_options(
            schema.clone(),
            columns,
            &options,
        )?)
    }

    fn part(&self, part: GraphPart, search: &Search<'_>) -> Result<ArrayRef> {
        let found = &search.found;
        let positions = |of: &dyn Fn(&Match) -> Option<usize>| -> UInt64Array {
            let all = found
                .iter()
                .map(|m| of(m).and_then(|p| u64::try_from(p).ok()));
            all.collect()
        };
        Ok(match part {
            GraphPart::Node(node, column) => {
                let rows = positions(&|m| m.nodes.get(node).copied());
                taken(search.nodes, column, &rows)?
            }
            GraphPart::Edge(edge, column) => {
                let rows = positions(&|m| m.edges.get(edge)?.first().copied());
                taken(search.edges, column, &rows)?
            }
            GraphPart::Edges(edge, column) => {
                let values = argument(search.edges, column, &self.edge_types)?;
                lists(found, |m| m.edges.get(edge).cloned(), &values)
            }
            GraphPart::Inner(edge, column) => {
                let values = argument(search.nodes, column, &self.node_types)?;
                lists(found, |m| Some(self.between(m, edge, search)), &values)
            }
            GraphPart::All(edge, column, inner) => {
                self.quantified(search, edge, inner, |batch, rows| {
                    rows.iter().all(|row| holds(batch, &[column], *row))
                })
            }
            GraphPart::Any(edge, column, inner) => {
                self.quantified(search, edge, inner, |batch, rows| {
                    rows.iter().any(|row| holds(batch, &[column], *row))
                })
            }
            GraphPart::DegreeIn(node) => degrees(found, node, &search.graph.into),
            GraphPart::DegreeOut(node) => degrees(found, node, &search.graph.out),
        })
    }

    fn quantified(
        &self,
        search: &Search<'_>,
        edge: usize,
        inner: bool,
        holds: impl Fn(&RecordBatch, &[usize]) -> bool,
    ) -> ArrayRef {
        let answers = search.found.iter().map(|m| {
            if inner {
                holds(search.nodes, &self.between(m, edge, search))
            } else {
                holds(search.edges, m.edges.get(edge).map_or(&[], Vec::as_slice))
            }
        });
        Arc::new(BooleanArray::from(answers.collect::<Vec<bool>>()))
    }

    /// The nodes between the edges of a path.
    fn between(&self, found: &Match, edge: usize, search: &Search<'_>) -> Vec<usize> {
        let steps = self.pattern.steps.iter();
        let start = steps.filter_map(|step| match step {
            GraphStep::Hop {
                from, edge: this, ..
            } if *this == edge => found.nodes.get(*from).copied(),
            _ => None,
        });
        let Some(mut here) = start.into_iter().next() else {
            return Vec::new();
        };
        let way = found.edges.get(edge).map_or(&[][..], Vec::as_slice);
        let mut nodes = Vec::new();
        for edge in way {
            let (source, target) = (
                search.graph.sources.get(*edge),
                search.graph.targets.get(*edge),
            );
            let (Some(source), Some(target)) = (source, target) else {
                break;
            };
            here = if here == *source { *target } else { *source };
            nodes.push(here);
        }
        nodes.pop();
        nodes
    }
}

fn taken(batch: &RecordBatch, column: usize, rows: &UInt64Array) -> Result<ArrayRef> {
    match batch.columns().get(column) {
        Some(column) => Ok(take(column, rows, None)?),
        None => exec_err!("a graph has no column {column}"),
    }
}

fn argument(batch: &RecordBatch, column: usize, types: &[ColumnType]) -> Result<Arg> {
    match (batch.columns().get(column), types.get(column)) {
        (Some(array), Some(ty)) => Arg::of_array(array, *ty, false),
        _ => exec_err!("a graph has no column {column}"),
    }
}

fn lists(found: &[Match], of: impl Fn(&Match) -> Option<Vec<usize>>, values: &Arg) -> ArrayRef {
    let all = found.iter().map(|m| {
        let rows = of(m).unwrap_or_default();
        let items = rows
            .iter()
            .map(|row| values.json(*row).unwrap_or(Json::Null));
        Some(Json::Array(items.collect()).to_text())
    });
    Arc::new(all.collect::<StringArray>())
}

fn degrees(found: &[Match], node: usize, edges: &[Vec<usize>]) -> ArrayRef {
    let all = found.iter().map(|m| {
        let edges = m.nodes.get(node).and_then(|n| edges.get(*n))?;
        Some(convert::long_of(edges.len()))
    });
    Arc::new(all.collect::<Int64Array>())
}

impl ComponentsTask {
    pub(super) fn run(
        &self,
        nodes: &RecordBatch,
        edges: &RecordBatch,
        schema: &SchemaRef,
        guard: &Guard,
    ) -> Result<RecordBatch> {
        let graph = Graph::new(nodes, edges, self.ids)?;
        guard.check()?;
        let marks = if self.strong {
            strong(&graph, guard)?
        } else {
            weak(&graph)
        };
        let mut columns = nodes.columns().to_vec();
        columns.push(Arc::new(Int64Array::from(marks)));
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }
}

/// Components in the order of their first nodes.
fn weak(graph: &Graph) -> Vec<i64> {
    let mut marks: Vec<Option<i64>> = vec![None; graph.nodes()];
    let mut next = 0;
    for start in 0..graph.nodes() {
        if marks.get(start).copied().flatten().is_some() {
            continue;
        }
        let mut open = vec![start];
        while let Some(here) = open.pop() {
            let Some(mark @ None) = marks.get_mut(here) else {
                continue;
            };
            *mark = Some(next);
            let ways = graph.ways(here, EdgeDirection::Either);
            open.extend(ways.into_iter().map(|(_, end)| end));
        }
        next += 1;
    }
    marks.into_iter().map(Option::unwrap_or_default).collect()
}

/// Kosaraju: nodes in the order in which they are left, then backwards.
fn strong(graph: &Graph, guard: &Guard) -> Result<Vec<i64>> {
    let mut left = Vec::new();
    let mut seen = vec![false; graph.nodes()];
    for start in 0..graph.nodes() {
        guard.check()?;
        let mut open = vec![(start, false)];
        while let Some((here, is_done)) = open.pop() {
            if is_done {
                left.push(here);
                continue;
            }
            let Some(known @ false) = seen.get_mut(here) else {
                continue;
            };
            *known = true;
            open.push((here, true));
            let ways = graph.ways(here, EdgeDirection::Forward);
            open.extend(ways.into_iter().map(|(_, end)| (end, false)));
        }
    }
    let mut marks: Vec<Option<i64>> = vec![None; graph.nodes()];
    let mut next = 0;
    for start in left.into_iter().rev() {
        if marks.get(start).copied().flatten().is_some() {
            continue;
        }
        let mut open = vec![start];
        while let Some(here) = open.pop() {
            let Some(mark @ None) = marks.get_mut(here) else {
                continue;
            };
            *mark = Some(next);
            let ways = graph.ways(here, EdgeDirection::Backward);
            open.extend(ways.into_iter().map(|(_, end)| end));
        }
        next += 1;
    }
    Ok(marks.into_iter().map(Option::unwrap_or_default).collect())
}
