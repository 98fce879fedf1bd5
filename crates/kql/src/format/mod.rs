//! Syntax → text in one form: the same query, laid out as one would read it.
//!
//! A statement begins a line. A pipeline of several operators, or one that does not fit, has one
//! operator a line; lists that do not fit have one item a line. Comments stay where they are, with a
//! line of their own or at the end of one; one empty line between statements is kept.
//!
//! Promises
//! - The result has the same syntax, blanks aside, and the same comments. Where the layout would
//!   change it (a type's name and its brackets on two lines are a call, on one a literal) the text
//!   is given back as it is.
//! - Formatting what was formatted changes nothing.
//! - A text with errors is given back as it is.
//!
//! Does not change spelling: names, quotes and literals stay as they were written.

mod layout;
mod walk;

use crate::lexer;
use crate::syntax::{Kind, Syntax};

/// `text` in the one form; as it is, if it has errors.
pub fn format(text: &str) -> String {
    formatted(&crate::parse(text)).unwrap_or_else(|| text.to_owned())
}

/// The text of `syntax` in the one form; `None` if it has errors, or no form that says the same.
pub fn formatted(syntax: &Syntax) -> Option<String> {
    if !syntax.diagnostics.is_empty() {
        return None;
    }
    let root = syntax.root();
    let text = root.text().to_string();
    let result = laid_out(&root, &text);
    let again = crate::parse(&result);
    let is_same = again.diagnostics.is_empty()
        && comments(&text) == comments(&result)
        && same_shape(&root, &again.root());
    is_same.then_some(result)
}

/// The layout alone, unchecked.
pub(crate) fn laid_out(root: &crate::syntax::Node, text: &str) -> String {
    layout::print(&walk::pieces(root, &lexer::tokens(text)))
}

/// The comments of a text, without blanks at their ends.
pub(crate) fn comments(text: &str) -> Vec<&str> {
    let tokens = lexer::tokens(text).into_iter();
    tokens
        .filter(|(kind, _)| *kind == Kind::Comment)
        .map(|(_, text)| text.trim_end())
        .collect()
}

/// Whether two trees are equal but for blanks and comments.
pub(crate) fn same_shape(a: &crate::syntax::Node, b: &crate::syntax::Node) -> bool {
    let events = |node: &crate::syntax::Node| {
        node.preorder_with_tokens().filter_map(|event| match event {
            rowan::WalkEvent::Enter(rowan::NodeOrToken::Token(token)) => token
                .kind()
                .matters()
                .then(|| (token.kind(), token.text().to_owned())),
            rowan::WalkEvent::Enter(rowan::NodeOrToken::Node(node)) => {
                Some((node.kind(), String::new()))
            }
            // The end of a node is told from its beginning.
            rowan::WalkEvent::Leave(rowan::NodeOrToken::Node(node)) => {
                Some((node.kind(), "end".to_owned()))
            }
            rowan::WalkEvent::Leave(_) => None,
        })
    };
    events(a).eq(events(b))
}
