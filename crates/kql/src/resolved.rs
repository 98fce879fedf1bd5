//! `Resolved`: a query with every name bound, every type known and every shorthand spelled out.
//!
//! The resolver reduces the language to few relational operators: `project-away`, `extend`, `print`
//! and their kin are [`Op::Project`]; `count` is [`Op::Summarize`]; `top` is [`Op::Sort`] then
//! [`Op::Take`]; `lookup` is [`Op::Join`] then [`Op::Project`]; `let` is inlined.
//!
//! Promises
//! - Columns are positions in the *input's* `columns`; a position is always in range.
//! - Every conversion is an explicit [`ExprKind::Cast`]; arguments have the types their function wants.
//! - `now()` and `ago()` are folded: nothing in here asks for the time.
//! - Output names and their order are Kusto's.
//!
//! Does not know how anything is computed: that is `query`'s.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{ColumnType, Span, Span100ns, TableName, Ticks};

use crate::functions::{AggregateFn, ScalarFn};

/// A whole query.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolved {
    /// What the query returns; its first result if it has several. No field of it is hidden.
    pub root: Relation,
    /// How the query calls it, if it does (`as`, `fork name = (…)`).
    pub name: Option<Arc<str>>,
    /// Further results, in the order of the text: of further statements, of the parts of a `fork`.
    pub also: Vec<Also>,
    /// Relations computed at most once each: `materialize()`, `toscalar()` and the right side of
    /// `in (tabular)`. One refers only to those before it.
    pub shared: Vec<Relation>,
    /// How the result wants to be drawn.
    pub render: Option<Render>,
    /// Columns that only the data can tell, in the order in which the query needs them: once the
    /// shared relation is computed, they are found and the query is resolved again with them.
    pub probes: Vec<Probe>,
    /// What stays null because the operator supplied no data for it: names of functions.
    pub without_data: BTreeSet<&'static str>,
    /// By which columns `FileProfile` was asked about files.
    pub profiled: BTreeSet<Profiled>,
}

/// A further result of a query.
#[derive(Clone, PartialEq, Debug)]
pub struct Also {
    /// How the query calls it, if it does.
    pub name: Option<Arc<str>>,
    /// What it is. No field of it is hidden.
    pub relation: Relation,
    /// How it wants to be drawn.
    pub render: Option<Render>,
}

/// One use of `FileProfile`. Files are known by their SHA-256 alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Profiled {
    /// The column that the query names, or the default.
    pub asked: Arc<str>,
    /// The column that holds the SHA-256 of the same file; nothing if the rows have none.
    pub by: Option<Arc<str>>,
}

/// The columns that `FileProfile` adds, in order.
pub const FILE_PROFILE: &[(&str, ColumnType)] = &[
    ("SHA1", ColumnType::String),
    ("SHA256", ColumnType::String),
    ("MD5", ColumnType::String),
    ("FileSize", ColumnType::Long),
    ("GlobalPrevalence", ColumnType::Long),
    ("GlobalFirstSeen", ColumnType::DateTime),
    ("GlobalLastSeen", ColumnType::DateTime),
    ("Signer", ColumnType::String),
    ("Issuer", ColumnType::String),
    ("SignerHash", ColumnType::String),
    ("IsCertificateValid", ColumnType::Bool),
    ("IsRootSignerMicrosoft", ColumnType::Bool),
    ("SignatureState", ColumnType::String),
    ("IsExecutable", ColumnType::Bool),
    ("ThreatName", ColumnType::String),
    ("Publisher", ColumnType::String),
    ("SoftwareName", ColumnType::String),
    ("ProfileAvailability", ColumnType::String),
];

/// Names that stand in the data: the keys of bags (`bag_unpack`) or values (`pivot`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The relation they are in.
    pub shared: SharedId,
    /// The column of it: a `dynamic` for keys, a `string` for values.
    pub column: usize,
    /// Which names.
    pub wanted: ProbeKind,
}

/// Which names a [`Probe`] looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeKind {
    /// The keys of the bags in the column, with the type that all their values have.
    Keys,
    /// The distinct values of the column.
    Values,
}

/// What a [`Probe`] found: names with types, in order.
pub type Found = Vec<(Arc<str>, ColumnType)>;

/// A position in [`Resolved::shared`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct SharedId(pub usize);

/// `render kind with (name = value, …)`: a property of the result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Render {
    /// For example `timechart`.
    pub kind: String,
    /// Properties in written order.
    pub properties: Vec<(String, String)>,
}

/// A relational operator with the columns it puts out.
#[derive(Clone, PartialEq, Debug)]
pub struct Relation {
    /// What makes the rows.
    pub op: Op,
    /// The output, in order. Visible names are unique.
    pub columns: Vec<Field>,
    /// Where it stands in the text.
    pub span: Span,
}

/// One output column of a relation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Case-sensitive name.
    pub name: Arc<str>,
    /// Type of its values.
    pub ty: ColumnType,
    /// Carried along: what `ingestion_time()`, `row_id()` and `_source_fields` read, and an operator's
    /// own helpers. Never reaches the result.
    pub hidden: bool,
}

impl Field {
    /// A column that can be named.
    pub fn new(name: impl Into<Arc<str>>, ty: ColumnType) -> Self {
        Self {
            name: name.into(),
            ty,
            hidden: false,
        }
    }
}

/// What makes the rows of a relation.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// Rows of a table: all its columns in order. Those that nothing above reads are the engine's
    /// to leave out.
    Source {
        /// The table.
        table: TableName,
        /// Stored column names, position by position; hidden ones last.
        columns: Vec<Arc<str>>,
    },
    /// Given rows (`datatable`); `print` is a projection of one row without columns.
    Values {
        /// One value per output column in each row.
        rows: Vec<Vec<Value>>,
    },
    /// `range name from a to b step c`: one column. The bounds read no column.
    Range {
        /// First value.
        from: Expr,
        /// Last value at most (or at least, with a negative step).
        to: Expr,
        /// Distance; for instants a timespan.
        step: Expr,
    },
    /// The rows of a shared relation.
    Shared(SharedId),
    /// Rows for which `predicate` is true (null is not).
    Filter {
        /// Input.
        input: Box<Relation>,
        /// A `bool`.
        predicate: Expr,
    },
    /// One expression per output column.
    Project {
        /// Input.
        input: Box<Relation>,
        /// Position by position.
        exprs: Vec<Expr>,
    },
    /// Groups. Output: `by` columns, then the outputs of each aggregate in order. Nulls form a
    /// group. No `by`: exactly one row, also for no input.
    Summarize {
        /// Input.
        input: Box<Relation>,
        /// Group keys.
        by: Vec<Expr>,
        /// Aggregates.
        aggregates: Vec<Aggregate>,
    },
    /// Rows without their duplicates.
    Distinct {
        /// Input.
        input: Box<Relation>,
    },
    /// At most so many rows.
    Take {
        /// Input.
        input: Box<Relation>,
        /// How many.
        rows: u64,
    },
    /// Rows in order.
    Sort {
        /// Input.
        input: Box<Relation>,
        /// Most significant first.
        keys: Vec<SortKey>,
    },
    /// Two inputs. Output: the columns of `left`, then those of `right` (semi and anti joins: of one
    /// side), hidden ones included; clashing right names are already changed (`k1`). Unlike `==`,
    /// null keys match null keys. Columns without a partner are null (strings `""`).
    Join {
        /// Left input.
        left: Box<Relation>,
        /// Right input.
        right: Box<Relation>,
        /// Which pairs.
        kind: JoinKind,
        /// Equal keys: an expression over the left input, one over the right, of the same type.
        /// Empty: every pair.
        on: Vec<(Expr, Expr)>,
    },
    /// All rows of all inputs, which have the output's columns, position by position.
    Union {
        /// Inputs, at least one.
        inputs: Vec<Relation>,
    },
    /// One row per element. Output: the input's columns with the expanded ones replaced, then the
    /// item index if `item_index`. Several columns expand in parallel, the shorter padded with
    /// null. Null gives one row with null, an empty array or bag no row.
    MvExpand {
        /// Input.
        input: Box<Relation>,
        /// What is expanded, at least one.
        columns: Vec<Expanded>,
        /// How a bag's entries look.
        bags: BagExpansion,
        /// Whether a last column holds the position of the element, from 0.
        item_index: bool,
        /// Rows that one input row may become.
        rows_max: Option<u64>,
    },
    /// The rows in the order they have now, which the operators above may ask about.
    Serialize {
        /// Input.
        input: Box<Relation>,
    },
    /// A function of neighbouring rows. Output: the input's columns, then the function's.
    Window {
        /// Input, whose rows have an order.
        input: Box<Relation>,
        /// Which.
        function: WindowFn,
        /// Over the input, of the types the function wants, none left out.
        args: Vec<Expr>,
        /// The function begins anew where one of these changes.
        keys: Vec<Expr>,
    },
    /// Values read out of a text. Output: the input's columns, then the captures, then a `bool`:
    /// whether the text has the form.
    Extract {
        /// Input.
        input: Box<Relation>,
        /// A `string`.
        source: Expr,
        /// How it is read.
        form: TextForm,
        /// One type per capture.
        captures: Vec<ColumnType>,
    },
    /// `make-series`. The input has the keys, then the axis (start of each bin), then the
    /// aggregates. Output: the keys, then one array per aggregate, then the array of the axis.
    Series {
        /// Input: a summary.
        input: Box<Relation>,
        /// Columns that are keys.
        keys: usize,
        /// The axis.
        axis: Axis,
        /// What stands in a bin without rows: one per aggregate, reading no column.
        defaults: Vec<Expr>,
    },
    /// `scan`. Output: the input's columns, then the declared ones, then the match's number if
    /// `match_id`.
    Scan {
        /// Input, whose rows have an order.
        input: Box<Relation>,
        /// The declared columns and what they hold at first.
        declared: Vec<(ColumnType, Expr)>,
        /// The steps in order.
        steps: Vec<ScanStep>,
        /// Whether the last column numbers the matches.
        match_id: bool,
        /// Columns of the input: all matches end, and their numbers begin anew, where one changes.
        keys: Vec<usize>,
    },
    /// Patterns in a graph. Output: the parts, in order.
    GraphMatch {
        /// One row per node.
        nodes: Box<Relation>,
        /// One row per edge.
        edges: Box<Relation>,
        /// What is looked for.
        pattern: GraphPattern,
        /// One per output column.
        parts: Vec<GraphPart>,
    },
    /// Components of a graph. Output: the nodes' columns, then the component's number from 0.
    GraphComponents {
        /// One row per node.
        nodes: Box<Relation>,
        /// One row per edge.
        edges: Box<Relation>,
        /// Where the ids are.
        ids: GraphIds,
        /// Both ways must be open between two nodes of a component.
        strong: bool,
    },
    /// What is known of files beyond the tenant. Output: the input's columns, then those of
    /// [`FILE_PROFILE`].
    FileProfile {
        /// Input.
        input: Box<Relation>,
        /// Position of the `string` that is the file's SHA-256.
        sha256: usize,
        /// Different files that are looked up at most; the rows of others get nothing.
        files_max: u64,
    },
    /// Rows of what the operator allows the query to read beside the tenant's tables.
    External {
        /// Where from, as the query says it.
        addresses: Vec<Arc<str>>,
        /// `format` and the other properties.
        properties: Vec<(String, String)>,
    },
}

/// Columns (strings) that say which edge joins which nodes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GraphIds {
    /// Of the nodes.
    pub node: usize,
    /// Of the edges: where it begins.
    pub source: usize,
    /// Of the edges: where it ends.
    pub target: usize,
}

/// What `graph-match` looks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct GraphPattern {
    /// Where the ids are.
    pub ids: GraphIds,
    /// In the order in which they are matched.
    pub steps: Vec<GraphStep>,
    /// Named and unnamed nodes of the pattern.
    pub nodes: usize,
    /// Edges of the pattern.
    pub edges: usize,
    /// What may be met twice.
    pub cycles: Cycles,
    /// Only the shortest ways between the ends: all of the same length, or any one.
    pub shortest: Option<bool>,
}

/// What one match may meet twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cycles {
    /// Nodes and edges.
    All,
    /// Nodes.
    UniqueEdges,
    /// Neither.
    None,
}

/// One step of a pattern. Filters are columns (bools) of nodes or edges that must be true.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum GraphStep {
    /// A node, which an earlier step may have found already.
    Start {
        /// Which node of the pattern.
        node: usize,
        /// Of the nodes.
        filters: Vec<usize>,
    },
    /// Along an edge, or several, to a node.
    Hop {
        /// From this node of the pattern.
        from: usize,
        /// Along this edge of the pattern.
        edge: usize,
        /// To this node of the pattern.
        to: usize,
        /// Which way.
        direction: EdgeDirection,
        /// Least and most edges; `None`: exactly one, whose columns are its own.
        range: Option<(u32, u32)>,
        /// Of the edges.
        edge_filters: Vec<usize>,
        /// Of the nodes.
        node_filters: Vec<usize>,
    },
}

/// Which way an edge is followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EdgeDirection {
    /// `-->`.
    Forward,
    /// `<--`.
    Backward,
    /// `--`.
    Either,
}

/// One column of what `graph-match` found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GraphPart {
    /// A column of a node: the pattern's node, the column.
    Node(usize, usize),
    /// A column of the one edge.
    Edge(usize, usize),
    /// An array: a column of each edge of several.
    Edges(usize, usize),
    /// An array: a column of each node between the edges of several.
    Inner(usize, usize),
    /// Whether a column (a bool) is true of all edges (`false`) or inner nodes (`true`).
    All(usize, usize, bool),
    /// The same of any.
    Any(usize, usize, bool),
    /// How many edges end at a node of the pattern.
    DegreeIn(usize),
    /// How many edges begin there.
    DegreeOut(usize),
}

/// Functions of neighbouring rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WindowFn {
    /// `prev(value, offset, default)`: the value of an earlier row.
    Prev,
    /// `next(value, offset, default)`: the value of a later row.
    Next,
    /// `row_number(first, restart)`.
    RowNumber,
    /// `row_cumsum(term, restart)`.
    RowCumsum,
    /// `row_rank_dense(term, restart)`.
    RowRankDense,
    /// `row_rank_min(term, restart)`.
    RowRankMin,
    /// `row_window_session(time, span, gap, restart)`.
    RowWindowSession,
}

/// How a text is read.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum TextForm {
    /// `parse`.
    Pattern {
        /// The parts in order.
        parts: Vec<TextPart>,
        /// What does not fit.
        mode: PatternMode,
    },
    /// `parse-kv`.
    Pairs(Pairs),
}

/// One part of the pattern of `parse`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum TextPart {
    /// A text (a regular expression in [`PatternMode::Regex`]) that must be there.
    Text(Arc<str>),
    /// Anything.
    Skip,
    /// The next capture.
    Capture,
}

/// How `parse` reads its pattern.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PatternMode {
    /// What does not fit leaves all captures without a value.
    Simple,
    /// A capture whose text does not convert is null, the others stay.
    Relaxed,
    /// The texts are regular expressions; the flags are those of the query.
    Regex(String),
}

/// How `parse-kv` splits its text.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pairs {
    /// The keys of the captures.
    pub keys: Vec<Arc<str>>,
    /// Between two pairs; empty: anything that is no part of a name.
    pub pair_delimiter: Arc<str>,
    /// Between key and value; empty: anything that is no part of a name.
    pub kv_delimiter: Arc<str>,
    /// Around keys and values: what opens, and what closes.
    pub quotes: Vec<(char, char)>,
    /// Before a quote that is meant.
    pub escapes: Vec<char>,
    /// A value goes on to the next pair.
    pub greedy: bool,
    /// A regular expression whose groups are the pairs.
    pub regex: Option<Arc<str>>,
}

/// The axis of `make-series`. The expressions read no column.
#[derive(Clone, PartialEq, Debug)]
pub struct Axis {
    /// Type of the axis.
    pub ty: ColumnType,
    /// Start of the first bin; `None`: that of the first row.
    pub from: Option<Expr>,
    /// End; `None`: after the last row.
    pub to: Option<Expr>,
    /// Width of a bin.
    pub step: Expr,
    /// A bin at `to` belongs to it.
    pub inclusive: bool,
    /// No rows give one series of defaults rather than none.
    pub nonempty: bool,
}

/// One step of `scan`. Its expressions read the input's columns, then for each step the declared
/// columns of its state, then the declared columns as they begin.
#[derive(Clone, PartialEq, Debug)]
pub struct ScanStep {
    /// When a row is taken.
    pub condition: Expr,
    /// Declared columns that get a value, by position.
    pub assignments: Vec<(usize, Expr)>,
    /// Which rows of it are put out.
    pub output: ScanOutput,
    /// May be left out of a match.
    pub optional: bool,
}

/// Which rows of a step are put out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScanOutput {
    /// Each, as it is taken.
    All,
    /// Only the last, when the match goes on.
    Last,
    /// None.
    None,
}

/// One column of `mv-expand`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expanded {
    /// Position in the input: a `dynamic`.
    pub column: usize,
    /// Type of the elements: `dynamic` without `to typeof(…)`.
    pub to: ColumnType,
}

/// How `mv-expand` presents the entries of a property bag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BagExpansion {
    /// Bags of one entry.
    Bag,
    /// Arrays `[key, value]`.
    Array,
}

/// One key of `order by`.
#[derive(Clone, PartialEq, Debug)]
pub struct SortKey {
    /// Over the input.
    pub expr: Expr,
    /// Largest first.
    pub descending: bool,
    /// Nulls (and NaN, which sorts with them) before the rest.
    pub nulls_first: bool,
}

/// Which pairs a join makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    /// As `Inner`, over a left side of which one row per key is kept (the first seen).
    InnerUnique,
    /// All pairs.
    Inner,
    /// All pairs, and left rows without a partner.
    LeftOuter,
    /// All pairs, and right rows without a partner.
    RightOuter,
    /// All pairs, and rows of both sides without a partner.
    FullOuter,
    /// Left rows without a partner.
    LeftAnti,
    /// Right rows without a partner.
    RightAnti,
    /// Left rows with a partner, each once.
    LeftSemi,
    /// Right rows with a partner, each once.
    RightSemi,
}

/// One aggregate of a group.
#[derive(Clone, PartialEq, Debug)]
pub struct Aggregate {
    /// Which.
    pub function: AggregateFn,
    /// Over the input. `arg_max(t, a, b)`: the compared value, then what is returned beside it
    /// (`*` is spelled out). `take_any(a, b)`: what is returned. `percentile(x, 5, 50)`: the
    /// value, then literals of type `real` (`percentiles_array`: one literal `dynamic`).
    pub args: Vec<Expr>,
    /// The rows that count: `countif(p)` is `count` with a filter.
    pub filter: Option<Expr>,
    /// One type per output: one, but for `arg_max`, `arg_min` (the compared value first),
    /// `take_any` and `percentiles`.
    pub outputs: Vec<ColumnType>,
    /// Where it stands in the text.
    pub span: Span,
}

/// A scalar expression over the columns of one relation.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Type of its value.
    pub ty: ColumnType,
    /// Where it stands in the text.
    pub span: Span,
}

/// What a scalar expression is.
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// A column of the input, by position.
    Column(usize),
    /// A constant.
    Literal(Value),
    /// A function or operator of the table in `functions`. `and` and `or` have two arguments or
    /// more.
    Call {
        /// Which.
        function: ScalarFn,
        /// Of the types it wants.
        args: Vec<Expr>,
    },
    /// To `ty` as `to<ty>()` does it: what does not convert is null (a string: `""`). Explicit and
    /// implicit conversions alike; `dynamic` from a scalar wraps, without parsing.
    Cast(Box<Expr>),
    /// Access into a `dynamic`; what is missing is null. The result is `dynamic`.
    Path {
        /// A `dynamic`.
        base: Box<Expr>,
        /// Where in it.
        key: PathKey,
    },
    /// `in`, `has_any`, `has_all` and their kin. Never null.
    Member {
        /// Which.
        op: MemberOp,
        /// The value on the left.
        value: Box<Expr>,
        /// What it is compared with.
        set: Set,
    },
    /// First column of the first row of a shared relation; null if it has no row.
    ToScalar(SharedId),
    /// The rows of a shared relation, by number from 0 in an array, whose first column (a `string`)
    /// has the keys.
    LookedUp {
        /// What the keys and the column are.
        by: LookupBy,
        /// An address; or longitude, latitude and, if need be, a radius.
        keys: Vec<Expr>,
        /// What is looked through.
        among: SharedId,
    },
}

/// How a shared relation is looked through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookupBy {
    /// Networks that have an address; the longest prefix only.
    Network,
    /// Lines that a place is within a radius of.
    Line,
    /// Polygons that have a place, or that it is within a radius of.
    Polygon,
}

/// Access into a `dynamic`.
#[derive(Clone, PartialEq, Debug)]
pub enum PathKey {
    /// `.name` and `["name"]`.
    Property(Arc<str>),
    /// `[3]`; negative counts from the end.
    Index(i64),
    /// `[expr]`: a `string` is a property, a `long` an index.
    Computed(Box<Expr>),
}

/// The set operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberOp {
    /// `in`.
    In,
    /// `!in`.
    NotIn,
    /// `in~`: strings without regard to case.
    InCi,
    /// `!in~`.
    NotInCi,
    /// `has_any`: `has` of at least one.
    HasAny,
    /// `has_all`: `has` of each.
    HasAll,
}

/// The right side of a set operator.
#[derive(Clone, PartialEq, Debug)]
pub enum Set {
    /// Expressions of the left side's type; literal arrays are already spelled out.
    Exprs(Vec<Expr>),
    /// An array known only at run time: a `dynamic`.
    Array(Box<Expr>),
    /// The one column of a shared relation, of the left side's type.
    Shared(SharedId),
}

/// A constant of a Kusto type.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// The null of a type. There is no null string.
    Null(ColumnType),
    /// `bool`.
    Bool(bool),
    /// `int`.
    Int(i32),
    /// `long`.
    Long(i64),
    /// `real`; NaN and the infinities included.
    Real(f64),
    /// `decimal`, as its digits: `-12.50`.
    Decimal(Arc<str>),
    /// `string`.
    String(Arc<str>),
    /// `datetime`.
    DateTime(Ticks),
    /// `timespan`.
    TimeSpan(Span100ns),
    /// `guid`, the bytes in the order they are written.
    Guid([u8; 16]),
    /// `dynamic`, as compact JSON text. JSON's `null` is [`Value::Null`].
    Dynamic(Arc<str>),
}

impl Value {
    /// Its type.
    pub fn ty(&self) -> ColumnType {
        match self {
            Self::Null(ty) => *ty,
            Self::Bool(_) => ColumnType::Bool,
            Self::Int(_) => ColumnType::Int,
            Self::Long(_) => ColumnType::Long,
            Self::Real(_) => ColumnType::Real,
            Self::Decimal(_) => ColumnType::Decimal,
            Self::String(_) => ColumnType::String,
            Self::DateTime(_) => ColumnType::DateTime,
            Self::TimeSpan(_) => ColumnType::TimeSpan,
            Self::Guid(_) => ColumnType::Guid,
            Self::Dynamic(_) => ColumnType::Dynamic,
        }
    }

    /// What a column without a value holds: null, or `""` for strings.
    pub fn missing(ty: ColumnType) -> Self {
        match ty {
            ColumnType::String => Self::String("".into()),
            ty => Self::Null(ty),
        }
    }
}

impl Resolved {
    /// Every relation that is computed, in that order: shared ones, then the results.
    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        let also = self.also.iter().map(|also| &also.relation);
        self.shared.iter().chain([&self.root]).chain(also)
    }

    /// The tables whose rows the query reads: what placement and scope are checked against.
    pub fn tables(&self) -> BTreeSet<TableName> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&Relation> = self.relations().collect();
        while let Some(relation) = open.pop() {
            if let Op::Source { table, .. } = &relation.op {
                found.insert(table.clone());
            }
            open.extend(relation.inputs());
        }
        found
    }
}

impl Relation {
    /// The relations it reads, left to right (shared ones are not among them).
    pub fn inputs(&self) -> Vec<&Self> {
        match &self.op {
            Op::Source { .. }
            | Op::Values { .. }
            | Op::Range { .. }
            | Op::External { .. }
            | Op::Shared(_) => Vec::new(),
            Op::Filter { input, .. }
            | Op::Project { input, .. }
            | Op::Summarize { input, .. }
            | Op::Distinct { input }
            | Op::Take { input, .. }
            | Op::Sort { input, .. }
            | Op::Serialize { input }
            | Op::Window { input, .. }
            | Op::Extract { input, .. }
            | Op::Series { input, .. }
            | Op::Scan { input, .. }
            | Op::FileProfile { input, .. }
            | Op::MvExpand { input, .. } => vec![input],
            Op::Join { left, right, .. } => vec![left, right],
            Op::GraphMatch { nodes, edges, .. } | Op::GraphComponents { nodes, edges, .. } => {
                vec![nodes, edges]
            }
            Op::Union { inputs } => inputs.iter().collect(),
        }
    }

    /// The same, to be changed.
    pub(crate) fn inputs_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.op {
            Op::Source { .. }
            | Op::Values { .. }
            | Op::Range { .. }
            | Op::External { .. }
            | Op::Shared(_) => Vec::new(),
            Op::Filter { input, .. }
            | Op::Project { input, .. }
            | Op::Summarize { input, .. }
            | Op::Distinct { input }
            | Op::Take { input, .. }
            | Op::Sort { input, .. }
            | Op::Serialize { input }
            | Op::Window { input, .. }
            | Op::Extract { input, .. }
            | Op::Series { input, .. }
            | Op::Scan { input, .. }
            | Op::FileProfile { input, .. }
            | Op::MvExpand { input, .. } => vec![input],
            Op::Join { left, right, .. } => vec![left, right],
            Op::GraphMatch { nodes, edges, .. } | Op::GraphComponents { nodes, edges, .. } => {
                vec![nodes, edges]
            }
            Op::Union { inputs } => inputs.iter_mut().collect(),
        }
    }
}

impl Expr {
    /// A constant.
    pub fn literal(value: Value, span: Span) -> Self {
        Self {
            ty: value.ty(),
            kind: ExprKind::Literal(value),
            span,
        }
    }

    /// The constant it is, if it is one.
    pub fn as_literal(&self) -> Option<&Value> {
        match &self.kind {
            ExprKind::Literal(value) => Some(value),
            _ => None,
        }
    }
}
