//! `invoke`: a function of the input; and the functions of the service that enrich rows.
//!
//! `FileProfile` is an operator of its own, answered from what the cell was told of files by their
//! SHA-256. What the service knows of devices the operator of a cell would have to supply; until then
//! the columns are there, hold nothing, and the result says so.

use std::sync::Arc;

use model::{ColumnType, Span, limits};

use super::columns::{identity, projected};
use super::names::Taken;
use super::{Binding, Fallible, Resolver, Row, call_name};
use crate::codes;
use crate::resolved::{Expr, ExprKind, FILE_PROFILE, Field, Op, Profiled, Relation, Value};
use crate::syntax::{Kind, Node, span};

use ColumnType::{DateTime, Dynamic, Long, String as Text};

/// Columns that a function adds: names with types.
type Columns = &'static [(&'static str, ColumnType)];

const ASSIGNED_ADDRESSES: Columns = &[
    ("Timestamp", DateTime),
    ("IPAddress", Text),
    ("IPType", Text),
    ("NetworkAdapterType", Long),
    ("ConnectedNetworks", Dynamic),
];

/// One row per function of the service: name, what it adds, and whether it takes rows.
const SERVICE_FUNCTIONS: &[(&str, Columns, bool)] = &[
    ("AssignedIPAddresses", ASSIGNED_ADDRESSES, false),
    ("DeviceFromIP", &[("IP", Text), ("DeviceId", Text)], true),
    ("FileProfile", FILE_PROFILE, true),
    ("SeenBy", &[("SeenBy", Text), ("DeviceId", Text)], true),
];

/// Those that take rows, with what they do: for completions.
pub(crate) const NAMES: &[(&str, &str)] = &[
    (
        "DeviceFromIP",
        "the device that had an address, if the operator supplies it",
    ),
    (
        "FileProfile",
        "what is known of a file, if the operator supplies it",
    ),
    (
        "SeenBy",
        "devices that saw another one, if the operator supplies them",
    ),
];

impl Resolver<'_> {
    pub(super) fn invoke(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let Some(callee) = super::items(node).find(|c| matches!(c.kind(), Kind::Call | Kind::Name))
        else {
            return Err(self.error(codes::EXPECTED, at, "expected a function's name"));
        };
        let name = match callee.kind() {
            Kind::Call => call_name(&callee),
            _ => super::plain_name(&callee),
        };
        let args = super::calls::arguments(&callee);
        if let Some(binding) = self.lookup(&name) {
            return match &*binding {
                Binding::Function { lambda, env_len } => {
                    self.applied_function(&name, lambda, *env_len, input, &args, at)
                }
                Binding::Poisoned => Err(super::Broken),
                _ => {
                    let message = format!("`{name}` is no function");
                    Err(self.error(codes::UNKNOWN_FUNCTION, span(&callee), message))
                }
            };
        }
        let known = SERVICE_FUNCTIONS
            .iter()
            .find(|(known, _, takes_rows)| *known == name && *takes_rows);
        let Some((known, columns, _)) = known else {
            return Err(self.unknown_function(&callee, &name));
        };
        self.count_relations(1, at)?;
        if *known == "FileProfile" {
            return self.file_profile(input, &args, at);
        }
        self.without_data.insert(known);
        Ok(enriched(input, columns, at))
    }

    /// `invoke FileProfile(column, files)`: both may be left out. Files are known by their SHA-256;
    /// asked by another hash, the column of the same row that has the SHA-256 answers.
    fn file_profile(&mut self, input: Relation, args: &[Node], at: Span) -> Fallible<Relation> {
        let asked = self.hash_column(&input, args.first(), at)?;
        let files_max = match args.get(1) {
            None => limits::FILE_PROFILES_DEFAULT,
            Some(arg) => self.files_max(arg)?,
        };
        let by = asked
            .as_deref()
            .and_then(|name| sha256_beside(&input, name));
        let name_of = |position: usize| input.columns.get(position).map(|f| f.name.clone());
        self.profiled.insert(Profiled {
            asked: asked.unwrap_or_else(|| HASH_DEFAULT.into()),
            by: by.and_then(name_of),
        });
        let Some(sha256) = by else {
            return Ok(enriched(input, FILE_PROFILE, at));
        };
        Ok(Relation {
            columns: with_names(&input.columns, FILE_PROFILE),
            op: Op::FileProfile {
                input: Box::new(input),
                sha256,
                files_max,
            },
            span: at,
        })
    }

    /// The name of the column with the hash, bare or quoted; nothing if none was named and the rows
    /// have none of the default's name.
    fn hash_column(
        &mut self,
        input: &Relation,
        arg: Option<&Node>,
        at: Span,
    ) -> Fallible<Option<Arc<str>>> {
        let named = |name: &str| {
            let mut columns = input.columns.iter();
            columns.find(|f| !f.hidden && *f.name == *name)
        };
        let field = match arg {
            None => match named(HASH_DEFAULT) {
                Some(field) => field,
                None => return Ok(None),
            },
            Some(arg) => {
                let columns = &input.columns;
                let expr = self.expr(arg, Row { columns })?;
                let found = match (&expr.kind, expr.as_literal()) {
                    (ExprKind::Column(position), _) => columns.get(*position),
                    (_, Some(Value::String(name))) => {
                        if let Some(field) = named(name) {
                            Some(field)
                        } else {
                            let message = format!("no column is called `{name}`");
                            return Err(self.error(codes::UNKNOWN_COLUMN, expr.span, message));
                        }
                    }
                    _ => None,
                };
                let Some(field) = found else {
                    let message = "expected the name of a column with hashes";
                    return Err(self.error(codes::EXPECTED, expr.span, message));
                };
                field
            }
        };
        if field.ty != Text {
            let message = format!(
                "`FileProfile` wants a column with hashes, and `{}` is of type `{}`",
                field.name, field.ty
            );
            return Err(self.error(codes::TYPE_MISMATCH, at, message));
        }
        Ok(Some(field.name.clone()))
    }

    /// How many files; more than the limit is the limit.
    fn files_max(&mut self, arg: &Node) -> Fallible<u64> {
        let expr = self.expr(arg, Row::NONE)?;
        let files = match expr.as_literal() {
            Some(Value::Long(n)) => Some(*n),
            Some(Value::Int(n)) => Some(i64::from(*n)),
            _ => None,
        };
        match files.and_then(|n| u64::try_from(n).ok()) {
            Some(n) if n > 0 => Ok(n.min(limits::FILE_PROFILES_MAX)),
            _ => {
                let message = "expected a number of files, written out";
                Err(self.error(codes::BAD_ARGUMENTS, expr.span, message))
            }
        }
    }

    /// A function of the service that gives a table of its own; empty without data.
    pub(super) fn service_table(&mut self, name: &str, at: Span) -> Option<Relation> {
        let found = SERVICE_FUNCTIONS
            .iter()
            .find(|(known, _, _)| *known == name);
        let (known, columns, _) = found?;
        self.without_data.insert(known);
        Some(Relation {
            op: Op::Values { rows: Vec::new() },
            columns: columns
                .iter()
                .map(|(name, ty)| Field::new(*name, *ty))
                .collect(),
            span: at,
        })
    }
}

/// The column by which `FileProfile` asks if none is named.
const HASH_DEFAULT: &str = "SHA1";

/// Where the SHA-256 of the file stands whose hash is in the column `name`: there, or in the column
/// that is named alike but for the hash.
fn sha256_beside(input: &Relation, name: &str) -> Option<usize> {
    let other = ["SHA1", "MD5"].iter().find(|hash| name.contains(**hash));
    let wanted = match other {
        Some(hash) => name.replacen(hash, "SHA256", 1),
        None => name.to_owned(),
    };
    let mut columns = input.columns.iter();
    columns.position(|f| !f.hidden && f.ty == Text && *f.name == *wanted)
}

/// The columns of the input, then the added ones; names that clash get a number, as in a join.
fn with_names(columns: &[Field], added: Columns) -> Vec<Field> {
    let mut all = columns.to_vec();
    let mut taken = Taken::new(columns.iter().map(|f| &*f.name));
    all.extend(
        added
            .iter()
            .map(|(name, ty)| Field::new(taken.unique(name), *ty)),
    );
    all
}

/// Whether the service has a function of that name.
pub(super) fn is_service_function(name: &str) -> bool {
    SERVICE_FUNCTIONS.iter().any(|(known, _, _)| *known == name)
}

/// The input with columns that hold nothing.
fn enriched(input: Relation, added: Columns, at: Span) -> Relation {
    let mut exprs = identity(&input, at);
    let columns = with_names(&input.columns, added);
    let nothing = |(_, ty): &(&str, ColumnType)| Expr::literal(Value::missing(*ty), at);
    exprs.extend(added.iter().map(nothing));
    projected(input, exprs, columns, at)
}
