//! Signatures as the function table writes them, read once.
//!
//! Kinds of parameters: a type's name (numbers widen; a `dynamic` is converted), and
//! `any` · `text` any scalar, made a string · `stringish` a string or dynamic, made a string ·
//! `regex` a string, checked if it is a literal · `integer` · `number` · `summable` number, timespan
//! or datetime · `orderable` and `notdynamic` all but dynamic · `array` a dynamic · `common` all of
//! one type · `type` a `typeof(…)` · `table`.

use std::collections::HashMap;
use std::sync::LazyLock;

use model::ColumnType;

use crate::functions;

/// What a parameter accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Accepts {
    Type(ColumnType),
    Any,
    Text,
    Stringish,
    Regex,
    Integer,
    Number,
    Summable,
    Orderable,
    NotDynamic,
    Array,
    Common,
    TypeName,
    Table,
}

/// How often a parameter stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Times {
    Once,
    Maybe,
    Many,
    OnceOrMore,
}

/// What comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gives {
    Type(ColumnType),
    /// As the first argument.
    First,
    /// The widest of the numbers, at least `long`.
    Widest,
    /// The common type of the `common` arguments.
    Common,
    /// What `typeof(…)` names.
    TypeName,
    /// As the first argument, `int` made `long`.
    Promoted,
    /// `real`, or as the first argument if that is no integer.
    Mean,
    /// Several columns.
    Row,
    Any,
}

/// One way to call a function.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) params: Vec<(Accepts, Times)>,
    pub(crate) gives: Gives,
}

/// The signatures of a row of the table.
pub(crate) fn of(function: &functions::Function) -> &'static [Signature] {
    // A name may be a function and an aggregate.
    type Key = (&'static str, bool);
    static ALL: LazyLock<HashMap<Key, Vec<Signature>>> = LazyLock::new(|| {
        // A row that does not read would be left out; a test reads them all.
        functions::all()
            .map(|f| {
                (
                    key(f),
                    f.signatures.iter().filter_map(|s| read(s)).collect(),
                )
            })
            .collect()
    });
    ALL.get(&key(function)).map_or(&[], Vec::as_slice)
}

fn key(function: &functions::Function) -> (&'static str, bool) {
    let is_aggregate = matches!(function.meaning, functions::Meaning::Aggregate(..));
    (function.name, is_aggregate)
}

/// Reads `(name: kind?, …) -> result`.
pub(crate) fn read(text: &str) -> Option<Signature> {
    let (params, gives) = text.split_once(") -> ")?;
    let params = params
        .strip_prefix('(')?
        .split(", ")
        .filter(|p| !p.is_empty())
        .map(read_param)
        .collect::<Option<Vec<_>>>()?;
    let gives = match gives {
        "arg1" => Gives::First,
        "widest" => Gives::Widest,
        "common" => Gives::Common,
        "type" => Gives::TypeName,
        "promoted" => Gives::Promoted,
        "mean" => Gives::Mean,
        "row" => Gives::Row,
        "any" => Gives::Any,
        name => Gives::Type(ColumnType::parse(name)?),
    };
    Some(Signature { params, gives })
}

fn read_param(text: &str) -> Option<(Accepts, Times)> {
    let (_, kind) = text.split_once(": ")?;
    let (kind, times) = if let Some(kind) = kind.strip_suffix('?') {
        (kind, Times::Maybe)
    } else if let Some(kind) = kind.strip_suffix('*') {
        (kind, Times::Many)
    } else if let Some(kind) = kind.strip_suffix('+') {
        (kind, Times::OnceOrMore)
    } else {
        (kind, Times::Once)
    };
    let accepts = match kind {
        "any" => Accepts::Any,
        "text" => Accepts::Text,
        "stringish" => Accepts::Stringish,
        "regex" => Accepts::Regex,
        "integer" => Accepts::Integer,
        "number" => Accepts::Number,
        "summable" => Accepts::Summable,
        "orderable" => Accepts::Orderable,
        "notdynamic" => Accepts::NotDynamic,
        "array" => Accepts::Array,
        "common" => Accepts::Common,
        "type" => Accepts::TypeName,
        "table" => Accepts::Table,
        name => Accepts::Type(ColumnType::parse(name)?),
    };
    Some((accepts, times))
}

/// The ways to call a function by one of its names, for people: `substring(text: any, start: integer, length: integer?)`.
pub(crate) fn usage(function: &functions::Function, name: &str) -> String {
    let ways: Vec<String> = ways_called(function, name)
        .iter()
        .map(|way| format!("`{}`", way.split(" -> ").next().unwrap_or(way)))
        .collect();
    ways.join(" or ")
}

/// The ways to call a function with what comes out, in words for people.
pub(crate) fn ways(function: &functions::Function) -> Vec<String> {
    ways_called(function, function.name)
}

fn ways_called(function: &functions::Function, name: &str) -> Vec<String> {
    const WORDS: &[(&str, &str)] = &[
        (": text", ": any"),
        (": stringish", ": string or dynamic"),
        (": regex", ": string"),
        (": summable", ": number, timespan or datetime"),
        (": orderable", ": any but dynamic"),
        (": notdynamic", ": any but dynamic"),
        (": common", ": any"),
        (": type", ": typeof(…)"),
        (" -> arg1", " -> as the first"),
        (" -> promoted", " -> as the first"),
        (" -> mean", " -> as the first"),
        (" -> widest", " -> number"),
        (" -> common", " -> their type"),
        (" -> type", " -> that type"),
        (" -> row", " -> columns"),
    ];
    let in_words = |signature: &&str| {
        let mut said = (*signature).to_owned();
        for (kind, words) in WORDS {
            said = said.replace(kind, words);
        }
        format!("{name}{said}")
    };
    function.signatures.iter().map(in_words).collect()
}
