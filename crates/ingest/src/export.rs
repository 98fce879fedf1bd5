//! Records of the Microsoft Defender streaming export, and plain JSON objects.
//!
//! An export record is an envelope whose `category` names the table and whose `properties` are the
//! row. The envelope's `time` is the export's clock and is not used; its `tenantId` must be the one
//! that the source states. Everything else of the envelope is the same in every record and is not
//! kept.
//!
//! Plain objects ([`Plain`]) are rows of one raw table that the caller names.

use model::{Code, TableName, limits};

use crate::context::SourceContext;
use crate::documents::{Read, Reader};
use crate::json::{Fault, Kind, Member, Scanner, Value};
use crate::outcome::{Rejected, Tally};
use crate::sink::{Refusal, Sink};

/// What the category of an export record has before the table's name.
const CATEGORY_PREFIX: &str = "AdvancedHunting-";

/// First byte of the identity of a row that is known by its canonical content.
pub(crate) const IDENTITY_CONTENT: &[u8] = b"C";

/// What an envelope was found to hold.
#[derive(Debug, Default)]
struct Envelope<'a> {
    tenant: Option<Value<'a>>,
    category: Option<Value<'a>>,
    properties: Properties,
    records: Option<usize>,
    depth: u32,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Properties {
    #[default]
    Absent,
    Object,
    Other,
}

/// Reads export records.
#[derive(Debug)]
pub(crate) struct Export<'a, 'c, 's> {
    pub(crate) context: &'s SourceContext<'c>,
    pub(crate) sink: &'s mut Sink<'c>,
    pub(crate) rejected: &'s mut Vec<Rejected>,
    pub(crate) tally: &'s mut Tally,
    pub(crate) members: Vec<Member<'a>>,
}

impl<'a> Reader<'a> for Export<'a, '_, '_> {
    fn record(&mut self, scanner: &mut Scanner<'a>, record: u64) -> Result<Read, Fault> {
        let start = scanner.at;
        self.members.clear();
        let envelope = envelope(scanner, &mut self.members)?;
        if let (Some(at), None) = (envelope.records, envelope.category) {
            return Ok(Read::Wrapper(at));
        }
        let bytes = scanner.at - start;
        if let Err(refusal) = self.row(&envelope, record, bytes) {
            self.reject(rejected(refusal, record, start));
        }
        Ok(Read::Record)
    }

    fn reject(&mut self, rejected: Rejected) {
        self.rejected.push(rejected);
    }
}

impl Export<'_, '_, '_> {
    fn row(&mut self, envelope: &Envelope<'_>, record: u64, bytes: usize) -> Result<(), Refusal> {
        within_limits(bytes, envelope.depth)?;
        tenant_is(envelope.tenant, self.context.envelope_tenant)?;
        let category = match envelope.category {
            Some(value) if value.kind == Kind::String => value.text(),
            Some(_) => {
                return Err(Refusal::new(
                    Code::BadCategory,
                    "the envelope's category is not a string",
                ));
            }
            None => {
                return Err(Refusal::new(
                    Code::BadCategory,
                    "the envelope has no category",
                ));
            }
        };
        match envelope.properties {
            Properties::Object => {}
            Properties::Other => {
                return Err(Refusal::new(
                    Code::MalformedRecord,
                    "the envelope's properties are not an object",
                ));
            }
            Properties::Absent => {
                return Err(Refusal::new(
                    Code::MalformedRecord,
                    "the envelope has no properties",
                ));
            }
        }
        let table = table_of(&category);
        self.sink
            .append_members(table, &self.members, record, bytes, IDENTITY_CONTENT)?;
        if Sink::is_raw(table) {
            self.tally.kept_raw(record);
        } else {
            self.tally.mapped += 1;
        }
        Ok(())
    }
}

/// The table that a category names: the export's prefix is optional and its case does not matter.
fn table_of(category: &str) -> &str {
    match category.split_at_checked(CATEGORY_PREFIX.len()) {
        Some((prefix, table)) if prefix.eq_ignore_ascii_case(CATEGORY_PREFIX) => table,
        _ => category,
    }
}

fn envelope<'a>(
    scanner: &mut Scanner<'a>,
    members: &mut Vec<Member<'a>>,
) -> Result<Envelope<'a>, Fault> {
    let keep_to = scanner.at.saturating_add(limits::RECORD_BYTES_MAX);
    let mut found = Envelope::default();
    scanner.object(|scanner, key| {
        let start = scanner.at;
        // The last of several members of one name counts, as most readers have it.
        let depth = match (key.text, scanner.peek()) {
            ("properties", Some(b'{')) => {
                members.clear();
                found.properties = Properties::Object;
                scanner.members(members, keep_to)?
            }
            (name, _) => {
                let (value, depth) = scanner.value()?;
                match name {
                    "properties" => found.properties = Properties::Other,
                    "tenantId" => found.tenant = Some(value),
                    "category" => found.category = Some(value),
                    "records" if value.kind == Kind::Array => found.records = Some(start),
                    _ => {}
                }
                depth
            }
        };
        found.depth = found.depth.max(depth);
        Ok(())
    })?;
    found.depth += 1;
    Ok(found)
}

/// The envelope's tenant id must be the source's; a source that states none expects none.
fn tenant_is(found: Option<Value<'_>>, expected: Option<&str>) -> Result<(), Refusal> {
    let found = found.filter(|value| !value.is_missing());
    let refuse = |reason| Err(Refusal::new(Code::TenantMismatch, reason));
    match (found, expected) {
        (None, None) => Ok(()),
        (None, Some(_)) => refuse("the envelope has no tenant id where the source states one"),
        (Some(_), None) => refuse("the envelope has a tenant id where the source states none"),
        (Some(found), Some(expected)) => {
            if found.kind == Kind::String
                && found.text().trim().eq_ignore_ascii_case(expected.trim())
            {
                Ok(())
            } else {
                refuse("the envelope's tenant id is not the one that the source states")
            }
        }
    }
}

/// Reads plain objects into one raw table.
#[derive(Debug)]
pub(crate) struct Plain<'a, 'c, 's> {
    pub(crate) table: Option<&'c TableName>,
    pub(crate) sink: &'s mut Sink<'c>,
    pub(crate) rejected: &'s mut Vec<Rejected>,
    pub(crate) tally: &'s mut Tally,
    pub(crate) members: Vec<Member<'a>>,
}

impl<'a> Reader<'a> for Plain<'a, '_, '_> {
    fn record(&mut self, scanner: &mut Scanner<'a>, record: u64) -> Result<Read, Fault> {
        let start = scanner.at;
        self.members.clear();
        let keep_to = start.saturating_add(limits::RECORD_BYTES_MAX);
        let depth = scanner.members(&mut self.members, keep_to)?;
        let bytes = scanner.at - start;
        if let Err(refusal) = self.row(depth, record, bytes) {
            self.reject(rejected(refusal, record, start));
        }
        Ok(Read::Record)
    }

    fn reject(&mut self, rejected: Rejected) {
        self.rejected.push(rejected);
    }
}

impl Plain<'_, '_, '_> {
    fn row(&mut self, depth: u32, record: u64, bytes: usize) -> Result<(), Refusal> {
        within_limits(bytes, depth)?;
        let table = self.table.ok_or(Refusal::new(
            Code::BadCategory,
            "the source names no table for plain records",
        ))?;
        if !Sink::is_raw(table.as_str()) {
            return Err(Refusal::new(
                Code::BadCategory,
                "plain records go to a table outside the schema only",
            ));
        }
        self.sink.append_members(
            table.as_str(),
            &self.members,
            record,
            bytes,
            IDENTITY_CONTENT,
        )?;
        self.tally.kept_raw(record);
        Ok(())
    }
}

/// Refuses a record that is longer or nests deeper than it may.
pub(crate) fn within_limits(bytes: usize, depth: u32) -> Result<(), Refusal> {
    if bytes > limits::RECORD_BYTES_MAX {
        return Err(Refusal::new(
            Code::RecordTooLarge,
            "the record is longer than one may be",
        ));
    }
    if depth as usize > limits::JSON_DEPTH_MAX {
        return Err(Refusal::new(
            Code::TooDeep,
            "the record nests deeper than one may",
        ));
    }
    Ok(())
}

/// The refusal of the record that begins at `start`.
pub(crate) fn rejected(refusal: Refusal, record: u64, start: usize) -> Rejected {
    Rejected::new(record, Some(start as u64), refusal.code, refusal.reason)
}

/// Whether a record looks like an export envelope: used to tell formats apart.
pub(crate) fn looks_like_envelope(members: &[Member<'_>]) -> bool {
    let has = |name: &str| members.iter().any(|m| m.key.text == name);
    (has("category") && has("properties")) || (has("properties") && has("tenantId"))
}
