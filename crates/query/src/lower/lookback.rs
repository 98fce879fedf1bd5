//! Which tables a query reads without saying from when.
//!
//! A table is restricted if some filter reads a column that came from its time column through
//! projections, joins, unions or group keys. The others get the default look-back.

use std::collections::BTreeSet;

use kql::resolved::{Expr, ExprKind, JoinKind, Op, PathKey, Relation, Resolved, Set};
use model::TableName;

/// Sources in the order in which a walk meets them; see [`SourceIds`].
pub(crate) type SourceId = usize;

/// For each output column of a relation, the sources whose time column it derives from.
type Marks = Vec<BTreeSet<SourceId>>;

/// Numbers the sources of a query: the same walk gives the same numbers.
#[derive(Debug, Default)]
pub(crate) struct SourceIds(usize);

impl SourceIds {
    pub(crate) fn next(&mut self) -> SourceId {
        self.0 += 1;
        self.0 - 1
    }

    pub(crate) fn skip(&mut self, sources: usize) {
        self.0 += sources;
    }
}

/// The sources of the query, shared relations first, that no filter restricts in time.
pub(crate) fn unrestricted(
    resolved: &Resolved,
    time_column: &dyn Fn(&TableName) -> Option<String>,
) -> BTreeSet<SourceId> {
    let walk = walked(resolved, time_column);
    walk.timed.difference(&walk.restricted).copied().collect()
}

/// The sources of the query that have a time column, shared relations first.
pub(crate) fn timed(
    resolved: &Resolved,
    time_column: &dyn Fn(&TableName) -> Option<String>,
) -> BTreeSet<SourceId> {
    walked(resolved, time_column).timed
}

fn walked<'a>(
    resolved: &Resolved,
    time_column: &'a dyn Fn(&TableName) -> Option<String>,
) -> Walk<'a> {
    let mut walk = Walk {
        time_column,
        ids: SourceIds::default(),
        shared: Vec::new(),
        timed: BTreeSet::new(),
        restricted: BTreeSet::new(),
    };
    for relation in &resolved.shared {
        let marks = walk.relation(relation);
        walk.shared.push(marks);
    }
    walk.relation(&resolved.root);
    for also in &resolved.also {
        walk.relation(&also.relation);
    }
    walk
}

/// How many sources a relation has.
pub(crate) fn count(relation: &Relation) -> usize {
    let here = usize::from(matches!(relation.op, Op::Source { .. }));
    here + relation.inputs().into_iter().map(count).sum::<usize>()
}

struct Walk<'a> {
    time_column: &'a dyn Fn(&TableName) -> Option<String>,
    ids: SourceIds,
    shared: Vec<Marks>,
    timed: BTreeSet<SourceId>,
    restricted: BTreeSet<SourceId>,
}

impl Walk<'_> {
    fn relation(&mut self, relation: &Relation) -> Marks {
        let width = relation.columns.len();
        let mut marks = match &relation.op {
            Op::Source { table, columns } => self.source(table, columns),
            Op::Values { .. } | Op::Range { .. } | Op::External { .. } => Vec::new(),
            Op::Shared(id) => self.shared.get(id.0).cloned().unwrap_or_default(),
            Op::Filter { input, predicate } => {
                let marks = self.relation(input);
                self.restricted.extend(read(predicate, &marks));
                marks
            }
            Op::Project { input, exprs } => {
                let marks = self.relation(input);
                exprs.iter().map(|expr| read(expr, &marks)).collect()
            }
            Op::Summarize { input, by, .. } => {
                let marks = self.relation(input);
                by.iter().map(|expr| read(expr, &marks)).collect()
            }
            Op::Distinct { input }
            | Op::Take { input, .. }
            | Op::Sort { input, .. }
            | Op::Serialize { input }
            | Op::Window { input, .. }
            | Op::Extract { input, .. }
            | Op::Scan { input, .. }
            | Op::FileProfile { input, .. }
            | Op::MvExpand { input, .. } => self.relation(input),
            Op::Series { input, keys, .. } => {
                let mut marks = self.relation(input);
                marks.truncate(*keys);
                marks
            }
            Op::Join {
                left, right, kind, ..
            } => {
                let (mut left, right) = (self.relation(left), self.relation(right));
                match kind {
                    JoinKind::LeftAnti | JoinKind::LeftSemi => left,
                    JoinKind::RightAnti | JoinKind::RightSemi => right,
                    _ => {
                        left.extend(right);
                        left
                    }
                }
            }
            // What a graph puts out is no column of a source any more.
            Op::GraphMatch { nodes, edges, .. } | Op::GraphComponents { nodes, edges, .. } => {
                self.relation(nodes);
                self.relation(edges);
                Vec::new()
            }
            Op::Union { inputs } => {
                let mut all: Marks = Vec::new();
                for input in inputs {
                    let marks = self.relation(input);
                    all.resize(all.len().max(marks.len()), BTreeSet::new());
                    all.iter_mut().zip(marks).for_each(|(a, b)| a.extend(b));
                }
                all
            }
        };
        marks.resize(width, BTreeSet::new());
        marks
    }

    fn source(&mut self, table: &TableName, columns: &[std::sync::Arc<str>]) -> Marks {
        let id = self.ids.next();
        let Some(time) = (self.time_column)(table) else {
            return vec![BTreeSet::new(); columns.len()];
        };
        self.timed.insert(id);
        columns
            .iter()
            .map(|name| {
                if **name == *time || &**name == rows::hidden::INGESTED_AT {
                    BTreeSet::from([id])
                } else {
                    BTreeSet::new()
                }
            })
            .collect()
    }
}

/// The sources whose time an expression reads.
fn read(expr: &Expr, marks: &Marks) -> BTreeSet<SourceId> {
    let mut found = BTreeSet::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match &expr.kind {
            ExprKind::Column(at) => found.extend(marks.get(*at).into_iter().flatten()),
            ExprKind::Literal(_) | ExprKind::ToScalar(_) => {}
            ExprKind::LookedUp { keys, .. } => open.extend(keys),
            ExprKind::Call { args, .. } => open.extend(args),
            ExprKind::Cast(inner) => open.push(inner),
            ExprKind::Path { base, key } => {
                open.push(base);
                if let PathKey::Computed(key) = key {
                    open.push(key);
                }
            }
            ExprKind::Member { value, set, .. } => {
                open.push(value);
                match set {
                    Set::Exprs(all) => open.extend(all),
                    Set::Array(array) => open.push(array),
                    Set::Shared(_) => {}
                }
            }
        }
    }
    found
}
