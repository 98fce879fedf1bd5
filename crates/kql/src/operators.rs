//! The operators of the language, one row each: name, old spellings, grammar, whether supported.

/// How an operator's text is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grammar {
    /// Only the name.
    Nothing,
    /// `as name` or nothing.
    Count,
    /// One condition.
    Condition,
    /// One number.
    Rows,
    /// `a, b = c`.
    NamedList,
    /// The same or nothing.
    OptionalNamedList,
    /// Column names and patterns.
    Patterns,
    /// Expressions.
    Expressions,
    /// Aggregates, then `by`.
    Summarize,
    /// Options, a table, `on`.
    Join,
    /// Options, tables.
    Union,
    /// A number, `by`, keys.
    Top,
    /// `by`, keys.
    Sort,
    /// Columns with types and a limit.
    MvExpand,
    /// `name from a to b step c`.
    Range,
    /// A kind and properties, kept as tokens.
    Render,
    /// A name and options, kept as tokens.
    Tokens,
    /// An expression, `with`, texts and columns.
    Parse,
    /// An expression, `as`, columns, `with`, options.
    ParseKv,
    /// As [`Grammar::MvExpand`], then `on`, operators in brackets.
    MvApply,
    /// `by` a column, operators in brackets.
    Partition,
    /// Aggregates, `on` an axis, `by`.
    MakeSeries,
    /// Levels, each with `of` and `by`.
    TopNested,
    /// Options, `in` tables, a condition.
    Search,
    /// Options, `in` tables, a condition, columns.
    Find,
    /// A call.
    Invoke,
    /// Hints, a call, maybe its columns.
    Evaluate,
    /// A number, `of`, an expression, maybe `by`.
    RowsOf,
    /// `by` an expression, `with` options.
    Reduce,
    /// Options, `declare`, `with`, steps.
    Scan,
    /// `source --> target with nodes on key`.
    MakeGraph,
    /// Options, patterns, `where`, `project`.
    GraphMatch,
    /// Options.
    GraphComponents,
    /// `nodes`, `edges`, with options.
    GraphToTable,
    /// Operators in brackets, each with a name or without.
    Fork,
    /// `by` columns, maybe `with` operators in brackets.
    Facet,
    /// Not supported yet: balanced tokens.
    Opaque,
}

macro_rules! operators {
    ($($variant:ident $name:literal [$($synonym:literal),*] $grammar:ident $doc:literal;)*) => {
        /// An operator.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Operator {
            $(#[doc = concat!("`", $name, "`: ", $doc, ".")] $variant,)*
        }

        impl Operator {
            /// All operators, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The operator of that exact name or old spelling.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name $(| $synonym)* => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name in today's spelling.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One line for the reader.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }

            pub(crate) const fn grammar(self) -> Grammar {
                match self { $(Self::$variant => Grammar::$grammar,)* }
            }
        }
    };
}

impl Operator {
    /// The names in today's spelling.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|operator| operator.as_str())
    }

    /// Whether queries may use it.
    pub fn is_supported(self) -> bool {
        self.grammar() != Grammar::Opaque
    }
}

operators! {
    Where "where" ["filter"] Condition "rows that meet a condition";
    Project "project" [] NamedList "exactly these columns";
    ProjectByNames "project-by-names" [] Expressions "the columns that texts name";
    ProjectAway "project-away" [] Patterns "all but these columns";
    ProjectKeep "project-keep" [] Patterns "these columns, in the order they had";
    ProjectRename "project-rename" [] Patterns "the same columns, some under new names";
    ProjectReorder "project-reorder" [] Patterns "the same columns, these first";
    Extend "extend" [] NamedList "more columns";
    Summarize "summarize" [] Summarize "one row per group";
    Distinct "distinct" [] NamedList "each combination once";
    Take "take" ["limit"] Rows "some rows";
    Top "top" [] Top "the first rows in an order";
    Sort "sort" ["order"] Sort "rows in order";
    Count "count" [] Count "the number of rows";
    Join "join" [] Join "rows of two tables with equal keys";
    Lookup "lookup" [] Join "a table extended from a smaller one";
    Union "union" [] Union "rows of several tables";
    MvExpand "mv-expand" ["mvexpand"] MvExpand "one row per element of an array";
    Print "print" [] NamedList "one row of given values";
    Range "range" [] Range "a column of evenly spaced values";
    Render "render" [] Render "how the result wants to be drawn";
    Serialize "serialize" [] OptionalNamedList "rows in a fixed order";
    GetSchema "getschema" [] Nothing "the columns of the input";
    AssertSchema "assert-schema" [] Opaque "the input, if it has these columns";
    As "as" [] Tokens "a name for the input";
    Consume "consume" [] Tokens "the input, thrown away";
    Evaluate "evaluate" [] Evaluate "a plugin";
    ExecuteAndCache "execute-and-cache" [] Opaque "the input, kept for the next query";
    Facet "facet" [] Facet "the values of several columns, each with its count";
    Find "find" [] Find "rows of several tables that meet a condition";
    Fork "fork" [] Fork "several queries of one input";
    GraphMatch "graph-match" [] GraphMatch "patterns in a graph";
    GraphMarkComponents "graph-mark-components" [] GraphComponents "components of a graph";
    GraphShortestPaths "graph-shortest-paths" [] GraphMatch "shortest paths in a graph";
    GraphToTable "graph-to-table" [] GraphToTable "a graph as tables";
    GraphWhereEdges "graph-where-edges" [] Condition "edges that meet a condition";
    GraphWhereNodes "graph-where-nodes" [] Condition "nodes that meet a condition";
    Invoke "invoke" [] Invoke "a function of the input";
    MakeGraph "make-graph" [] MakeGraph "a graph of edges and nodes";
    MakeSeries "make-series" [] MakeSeries "aggregates along an axis";
    MacroExpand "macro-expand" [] Opaque "a query per entity";
    MvApply "mv-apply" [] MvApply "a query per array";
    Parse "parse" [] Parse "columns from a text's pattern";
    ParseKv "parse-kv" [] ParseKv "columns from keys and values in a text";
    ParseWhere "parse-where" [] Parse "columns from a text's pattern, rows that match";
    Partition "partition" [] Partition "a query per value";
    Reduce "reduce" [] Reduce "patterns of similar texts";
    Sample "sample" [] Rows "random rows";
    SampleDistinct "sample-distinct" [] RowsOf "random values";
    Scan "scan" [] Scan "sequences of rows";
    Search "search" [] Search "rows that have a text anywhere";
    TopHitters "top-hitters" [] RowsOf "the commonest values, estimated";
    TopNested "top-nested" [] TopNested "the first values per level";
}
