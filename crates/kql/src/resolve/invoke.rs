//! `invoke`: a function of the input; and the functions of the service that enrich rows.
//!
//! What the service knows about files and devices the operator of a cell would have to supply; until
//! then the columns are there, hold nothing, and the result says so.

use model::{ColumnType, Span};

use super::columns::{identity, projected};
use super::names::Taken;
use super::{Binding, Fallible, Resolver, call_name};
use crate::codes;
use crate::resolved::{Expr, Field, Relation, Value};
use crate::syntax::{Kind, Node, span};

use ColumnType::{Bool, DateTime, Dynamic, Long, String as Text};

/// Columns that a function adds: names with types.
type Columns = &'static [(&'static str, ColumnType)];

const FILE_PROFILE: Columns = &[
    ("SHA1", Text),
    ("SHA256", Text),
    ("MD5", Text),
    ("FileSize", Long),
    ("GlobalPrevalence", Long),
    ("GlobalFirstSeen", DateTime),
    ("GlobalLastSeen", DateTime),
    ("Signer", Text),
    ("Issuer", Text),
    ("SignerHash", Text),
    ("IsCertificateValid", Bool),
    ("IsRootSignerMicrosoft", Bool),
    ("SignatureState", Text),
    ("IsExecutable", Bool),
    ("ThreatName", Text),
    ("Publisher", Text),
    ("SoftwareName", Text),
    ("ProfileAvailability", Text),
];

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
        self.without_data.insert(known);
        self.count_relations(1, at)?;
        Ok(enriched(input, columns, at))
    }

    /// A function of the service that gives a table of its own; empty without data.
    pub(super) fn service_table(&mut self, name: &str, at: Span) -> Option<Relation> {
        let found = SERVICE_FUNCTIONS
            .iter()
            .find(|(known, _, _)| *known == name);
        let (known, columns, _) = found?;
        self.without_data.insert(known);
        Some(Relation {
            op: crate::resolved::Op::Values { rows: Vec::new() },
            columns: columns
                .iter()
                .map(|(name, ty)| Field::new(*name, *ty))
                .collect(),
            span: at,
        })
    }
}

/// Whether the service has a function of that name.
pub(super) fn is_service_function(name: &str) -> bool {
    SERVICE_FUNCTIONS.iter().any(|(known, _, _)| *known == name)
}

/// The input with columns that hold nothing; names that clash get a number, as in a join.
fn enriched(input: Relation, added: Columns, at: Span) -> Relation {
    let mut exprs = identity(&input, at);
    let mut columns = input.columns.clone();
    let mut taken = Taken::new(columns.iter().map(|f| &*f.name));
    for (name, ty) in added {
        columns.push(Field::new(taken.unique(name), *ty));
        exprs.push(Expr::literal(Value::missing(*ty), at));
    }
    projected(input, exprs, columns, at)
}
