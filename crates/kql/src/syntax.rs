//! The syntax tree: lossless, also for text that is wrong.
//!
//! Tokens carry every byte of the text, blanks and comments included, so printing the tree gives
//! the text back. Chains (`a or b or c`, pipelines, `a.b[0].c`) are one flat node each: the depth of
//! the tree is the nesting that was written, never its length.
//!
//! Words are [`Kind::Word`]: the language has no reserved words, the parser decides by place.

use std::fmt::Write as _;

use model::{Diagnostic, Span};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a token or node is.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        const KINDS: &[Kind] = &[$(Kind::$name,)*];
    };
}

kinds! {
    // Tokens.
    /// Blanks and line ends.
    Blank,
    /// `// …`.
    Comment,
    /// A name or keyword; operators' names with hyphens (`mv-expand`) too.
    Word,
    /// `!has`, `!in~`, `in~`: words that only an operator can be.
    OperatorWord,
    /// `12`, `0x1f`.
    Integer,
    /// `1.5`, `2e6`.
    Real,
    /// `1d`, `2.5h`.
    TimeSpan,
    /// `datetime(…)`, `guid(…)`, `int(null)` …: a type's name and its text in brackets.
    TypedLiteral,
    /// A string in any quotes.
    String,
    /// A string without its end.
    OpenString,
    /// `|`.
    Pipe,
    /// `;`.
    Semicolon,
    /// `,`.
    Comma,
    /// `:`.
    Colon,
    /// `.`.
    Dot,
    /// `..`.
    DotDot,
    /// `(`.
    OpenParen,
    /// `)`.
    CloseParen,
    /// `[`.
    OpenBracket,
    /// `]`.
    CloseBracket,
    /// `{`.
    OpenBrace,
    /// `}`.
    CloseBrace,
    /// `=`.
    Assign,
    /// `=>`.
    Arrow,
    /// `==`.
    EqualEqual,
    /// `!=` and `<>`.
    NotEqual,
    /// `=~`.
    EqualTilde,
    /// `!~`.
    BangTilde,
    /// `<`.
    Less,
    /// `<=`.
    LessEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEqual,
    /// `+`.
    Plus,
    /// `-`.
    Minus,
    /// `*`.
    Star,
    /// `/`.
    Slash,
    /// `%`.
    Percent,
    /// Anything else.
    Unknown,

    // Nodes.
    /// The whole text: statements.
    Root,
    /// `let name = value` or `let name = (params) { body }`.
    Let,
    /// `set …`, `declare …`, `alias …`, `restrict …`: kept as tokens.
    OtherStatement,
    /// `declare query_parameters(a: string = "x")`.
    QueryParameters,
    /// `declare pattern name = (a: string)[b: string] { rules }`.
    PatternDecl,
    /// `("x").["y"] = { query }` of a declared pattern.
    PatternRule,
    /// `.command …`, to the end of the text.
    Command,
    /// A query or expression statement.
    Query,
    /// `(a: string, T: (*)) { … }`.
    Lambda,
    /// The parameters of a lambda.
    Params,
    /// One parameter.
    Param,
    /// Statements in braces.
    Body,
    /// A source, then operators after bars.
    Pipeline,
    /// One operator; its first token names it.
    Operator,
    /// An operator that is read as tokens only.
    OpaqueOperator,
    /// `name = value` options of an operator.
    OperatorOption,
    /// The list after `by`.
    ByList,
    /// The conditions after `on`.
    OnList,
    /// One key of `order by`: expression, direction.
    SortKey,
    /// One column of `mv-expand`.
    ExpandItem,
    /// `to typeof(type)`.
    ToType,
    /// `typeof(type)`.
    TypeOf,
    /// A name pattern with `*`.
    Wildcard,
    /// `name = expression`; also `(a, b) = expression`.
    Named,
    /// The names of `(a, b) = …`.
    NameList,
    /// A name in an expression.
    Name,
    /// `['name']` at the start of an expression.
    BracketName,
    /// A literal token, or adjacent string literals.
    Literal,
    /// `dynamic(…)`.
    DynamicLiteral,
    /// `[…]` in a dynamic literal.
    JsonArray,
    /// `{…}` in a dynamic literal.
    JsonObject,
    /// `"key": value` in a dynamic literal.
    JsonEntry,
    /// Operands and operators of one precedence, in turn.
    Chain,
    /// `-x`, `+x`.
    Unary,
    /// `(…)`.
    Paren,
    /// `(a, b, …)` after `in` and its kin.
    List,
    /// `(a .. b)` after `between`.
    Bounds,
    /// A base, then accesses.
    Path,
    /// `.name` or `.['name']`.
    Member,
    /// `[expression]`.
    Index,
    /// `name(arguments)`.
    Call,
    /// The arguments in brackets.
    Args,
    /// `*`.
    All,
    /// `datatable (columns) [values]`.
    DataTable,
    /// `(name: type, …)`.
    ColumnDecls,
    /// `name: type`.
    ColumnDecl,
    /// `externaldata (columns) [addresses] with (…)`.
    ExternalData,
    /// `"text"`, `name: type` or `*` in the pattern of `parse`.
    PatternPart,
    /// Operators in brackets that read the rows around them: `on (where … | …)`.
    SubPipeline,
    /// One aggregate of `make-series`: expression, then maybe `default = value`.
    SeriesItem,
    /// `on axis from a to b step c` of `make-series`.
    SeriesAxis,
    /// A word and the value that it introduces: `from a`, `default = 0`, `with others = x`.
    Clause,
    /// One level of `top-nested`.
    TopLevel,
    /// One step of `scan`.
    ScanStep,
    /// `(table, table)` after `in`.
    TableList,
    /// A pattern of nodes and edges of `graph-match`.
    GraphPattern,
    /// `(name)` in a graph's pattern.
    GraphNode,
    /// `-[name*1..3]->` in a graph's pattern.
    GraphEdge,
    /// `nodes as name with_node_id=id` of `graph-to-table`.
    GraphOutput,
    /// What was skipped after an error.
    Skipped,
}

impl Kind {
    /// Neither blank nor comment.
    pub(crate) fn matters(self) -> bool {
        self != Self::Blank && self != Self::Comment
    }
}

/// The language of the tree, for rowan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kql {}

impl rowan::Language for Kql {
    type Kind = Kind;

    fn kind_from_raw(raw: rowan::SyntaxKind) -> Kind {
        KINDS
            .get(usize::from(raw.0))
            .copied()
            .unwrap_or(Kind::Unknown)
    }

    fn kind_to_raw(kind: Kind) -> rowan::SyntaxKind {
        rowan::SyntaxKind(kind as u16)
    }
}

/// A node of the tree.
pub type Node = rowan::SyntaxNode<Kql>;
/// A token of the tree.
pub type Token = rowan::SyntaxToken<Kql>;

/// A parsed text with what is wrong with it.
#[derive(Clone, Debug)]
pub struct Syntax {
    pub(crate) green: rowan::GreenNode,
    /// What is wrong, in the order of the text, at most [`model::limits::QUERY_DIAGNOSTICS_MAX`].
    pub diagnostics: Vec<Diagnostic>,
}

impl Syntax {
    /// The root of the tree.
    pub fn root(&self) -> Node {
        Node::new_root(self.green.clone())
    }
}

/// The tree with one node or token per line, indented: for tests and for `--explain`.
pub fn dump(node: &Node) -> String {
    let mut out = String::new();
    let mut depth = 0_usize;
    for event in node.preorder_with_tokens() {
        match event {
            rowan::WalkEvent::Enter(element) => {
                if element.kind().matters() {
                    let indent = "  ".repeat(depth);
                    match &element {
                        rowan::NodeOrToken::Node(n) => {
                            {
                                let _ = writeln!(out, "{indent}{:?}", n.kind());
                            };
                        }
                        rowan::NodeOrToken::Token(t) => {
                            let _ = writeln!(out, "{indent}{:?} {}", t.kind(), t.text());
                        }
                    }
                }
                depth += 1;
            }
            rowan::WalkEvent::Leave(_) => depth = depth.saturating_sub(1),
        }
    }
    out
}

pub(crate) fn span_of(range: rowan::TextRange) -> Span {
    Span::new(range.start().into(), range.end().into())
}

/// The span of a node without the blanks and comments at its ends.
pub(crate) fn span(node: &Node) -> Span {
    let whole = span_of(node.text_range());
    // Blanks go into the tree before the node that follows them, so almost every node begins and
    // ends with a token that matters; only the root and empty nodes need the walk.
    let matters = |token: Option<Token>| token.is_some_and(|t| t.kind().matters());
    if matters(node.first_token()) && matters(node.last_token()) {
        return whole;
    }
    let tokens = node
        .descendants_with_tokens()
        .filter_map(rowan::NodeOrToken::into_token);
    tokens
        .filter(|t| t.kind().matters())
        .map(|t| span_of(t.text_range()))
        .reduce(Span::cover)
        .unwrap_or(whole)
}
