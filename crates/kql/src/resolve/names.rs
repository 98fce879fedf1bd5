//! What Kusto calls a column that the query does not name.

use crate::functions::{self, Naming};
use crate::syntax::{Kind, Node};

use super::{call_name, plain_name};

/// A name that an expression suggests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Suggested {
    /// The expression is a column: taken as it is, and a clash is an error.
    Column(String),
    /// Made from the expression: a clash gets a number.
    Derived(String),
    /// Nothing: `Column1`.
    Nothing,
}

impl Suggested {
    /// The name, if there is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Column(name) | Self::Derived(name) => Some(name),
            Self::Nothing => None,
        }
    }
}

/// The name that `node` suggests. `is_aggregate` says whether aggregates may stand here.
pub(super) fn suggested(node: &Node, is_aggregate: bool) -> Suggested {
    match node.kind() {
        Kind::Name | Kind::BracketName => Suggested::Column(plain_name(node)),
        Kind::Paren => node
            .children()
            .next()
            .map_or(Suggested::Nothing, |inner| suggested(&inner, is_aggregate)),
        Kind::Path => path(node, is_aggregate),
        Kind::Call => call(node, is_aggregate),
        Kind::Named => node.children().next().map_or(Suggested::Nothing, |name| {
            Suggested::Derived(plain_name(&name))
        }),
        _ => Suggested::Nothing,
    }
}

fn path(node: &Node, is_aggregate: bool) -> Suggested {
    let mut parts = node.children();
    let Some(base) = parts.next() else {
        return Suggested::Nothing;
    };
    let base = suggested(&base, is_aggregate);
    let mut name = base.text().unwrap_or_default().to_owned();
    // Without a name before them, the last of several properties is the name.
    let is_nameless = name.is_empty();
    let mut last_kind = None;
    for part in parts {
        if is_nameless && part.kind() == Kind::Member && last_kind == Some(Kind::Member) {
            name.clear();
        }
        last_kind = Some(part.kind());
        if !name.is_empty() {
            name.push('_');
        }
        let Some(key) = part.children().next() else {
            continue;
        };
        match key.kind() {
            Kind::Name | Kind::BracketName if part.kind() == Kind::Member => {
                name.push_str(&plain_name(&key));
            }
            Kind::Literal => match super::literals::literal(&key) {
                Ok(crate::resolved::Value::String(text)) => name.push_str(&text),
                Ok(crate::resolved::Value::Long(n)) => name.push_str(&n.to_string()),
                _ => {}
            },
            _ => {}
        }
    }
    if name.is_empty() {
        return Suggested::Nothing;
    }
    Suggested::Derived(name)
}

fn call(node: &Node, is_aggregate: bool) -> Suggested {
    let name = call_name(node);
    let args: Vec<Node> = node
        .children()
        .nth(1)
        .map(|args| args.children().collect())
        .unwrap_or_default();
    // An aggregate's argument is a scalar; round(avg(x)) is called as avg(x) is.
    let aggregate = functions::aggregate_named(&name).filter(|_| is_aggregate);
    let first = args.first().map_or(Suggested::Nothing, |arg| {
        suggested(arg, is_aggregate && aggregate.is_none())
    });
    let function = aggregate.or_else(|| functions::scalar(&name));
    let naming = function.map_or(Naming::None, |f| f.naming);
    let naming = match name.as_str() {
        "any" if is_aggregate => Naming::Prefix("any"),
        "anyif" if is_aggregate => Naming::Prefix("anyif"),
        "percentile" if is_aggregate => return percentile(&args),
        _ => naming,
    };
    match naming {
        Naming::None => Suggested::Nothing,
        Naming::Fixed(name) | Naming::Whole(name) => Suggested::Derived(name.to_owned()),
        Naming::Only if args.len() != 1 => Suggested::Nothing,
        Naming::First | Naming::Only => first.text().map_or(Suggested::Nothing, |name| {
            Suggested::Derived(name.to_owned())
        }),
        Naming::Prefix(prefix) => {
            Suggested::Derived(format!("{prefix}_{}", first.text().unwrap_or_default()))
        }
        Naming::Pair(prefix) => {
            let second = args
                .get(1)
                .map_or(Suggested::Nothing, |arg| suggested(arg, false));
            Suggested::Derived(format!(
                "{prefix}_{}_{}",
                first.text().unwrap_or_default(),
                second.text().unwrap_or_default()
            ))
        }
        Naming::Suffix(suffix) => first.text().map_or(Suggested::Nothing, |name| {
            Suggested::Derived(format!("{name}_{suffix}"))
        }),
    }
}

/// `percentile(x, 95)` → `percentile_x_95`.
fn percentile(args: &[Node]) -> Suggested {
    let value = args
        .first()
        .map_or(Suggested::Nothing, |arg| suggested(arg, false));
    let rank = args.get(1).map(rank_text).unwrap_or_default();
    Suggested::Derived(percentile_name(value.text().unwrap_or_default(), &rank))
}

/// What a percentile adds to its column's name: its digits, if it is written as such.
pub(super) fn rank_text(rank: &Node) -> String {
    match rank.kind() {
        Kind::Literal => rank.text().to_string(),
        _ => String::new(),
    }
}

pub(super) fn percentile_name(value: &str, rank: &str) -> String {
    format!("percentile_{value}_{}", rank.trim().replace('.', "_"))
}

/// Names already given to the columns of one relation.
#[derive(Debug, Default)]
pub(super) struct Taken {
    names: std::collections::HashSet<String>,
    /// The next number to try after each base, so that many clashes stay linear.
    next: std::collections::HashMap<String, usize>,
}

impl Taken {
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        Self {
            names: names.map(str::to_owned).collect(),
            next: std::collections::HashMap::new(),
        }
    }

    /// Takes `name` as it is; `false` if it is taken.
    pub(super) fn take(&mut self, name: &str) -> bool {
        self.names.insert(name.to_owned())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Takes `name`, or `name1`, `name2` ….
    pub(super) fn unique(&mut self, name: &str) -> String {
        if self.take(name) {
            return name.to_owned();
        }
        self.numbered(name)
    }

    /// Takes `base1`, or `base2` ….
    pub(super) fn numbered(&mut self, base: &str) -> String {
        let mut number = self.next.get(base).copied().unwrap_or(1);
        loop {
            let name = format!("{base}{number}");
            number += 1;
            if self.take(&name) {
                self.next.insert(base.to_owned(), number);
                return name;
            }
        }
    }
}
