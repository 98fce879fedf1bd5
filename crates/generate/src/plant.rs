//! Planted identities: rows whose every value is a marker that can be found again.
//!
//! The residency proof stores these rows and then searches every byte that rests anywhere. So each
//! marker leads back to one tenant, one table and one column, and occurs nowhere else: not in the
//! background, not in another column, not in another tenant of the same world.
//!
//! What a column gets
//! - text: a value of the column's own kind (a mail address, a path, a URL, a host …) around a
//!   token of 26 characters, `zq` and 24 hex digits, all lower case;
//! - dynamic: an object with one token as a key and another as its value, in the encoding that the
//!   table uses;
//! - int, long, real: a number of its own, above every number of the background;
//! - guid: a guid of its own;
//! - datetime and bool: exempt. An instant or a truth value identifies nobody, and cannot be unique.
//!
//! [`World::plant`] stays inside the schema but for `MachineGroup`, which the export adds;
//! [`World::plant_unknown`] goes outside it, where names of columns are a tenant's content too.

use std::sync::Arc;

use model::{Column, ColumnType, Schema, Span100ns, Table, Ticks};

use crate::dice::Dice;
use crate::record::{Envelope, Record};
use crate::tables::{dynamic_is_text, has_machine_group};
use crate::text::Row;
use crate::world::{Tenant, World};

/// Room for the columns of one tenant in the numbering of numbers; the schema has 1,659.
const COLUMNS_MAX: u64 = 4_096;
/// Integers lie in the upper half of what 32 bits hold, longs in a quarter of what 64 hold.
const INT_BASE: u64 = 1 << 30;
const LONG_BASE: u64 = 1 << 62;

/// Rows full of markers, and where each marker went.
#[derive(Clone, Debug, Default)]
pub struct Planting {
    /// One record for each table of the schema.
    pub records: Vec<Record>,
    /// Every marker, in the order of the records and their columns.
    pub planted: Vec<Planted>,
}

/// One marker and its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Planted {
    /// Position of the tenant in the world.
    pub tenant: usize,
    /// The table.
    pub table: &'static str,
    /// The column; for a dynamic one also of its key.
    pub column: Arc<str>,
    /// What to search for.
    pub marker: Marker,
    /// Position in [`Planting::records`].
    pub record_index: usize,
}

/// Something that can be found again.
#[derive(Clone, PartialEq, Debug)]
pub enum Marker {
    /// A text.
    Text {
        /// Unique and searchable as bytes.
        token: String,
        /// The whole value of the column; holds the token once or more. For a dynamic column, the token.
        value: String,
    },
    /// The value of an int or long column.
    Number(i64),
    /// The value of a real column.
    Real(f64),
    /// The value of a guid column, hyphenated and lower case.
    Guid(String),
}

impl World {
    /// Rows of all tables for that tenant, every value a marker made from `seed`; nothing if there is
    /// no such tenant.
    pub fn plant(&self, tenant: usize, seed: u64) -> Planting {
        let mut planting = Planting::default();
        let Some(of) = self.tenants().get(tenant) else {
            return planting;
        };
        let mut planter = Planter {
            tenant: of,
            seed,
            slot: of.index as u64 * COLUMNS_MAX,
            row: Row::default(),
        };
        for (number, table) in Schema::hunting().tables().enumerate() {
            let number = i64::try_from(number).unwrap_or(0);
            let at = self
                .start
                .saturating_add(Span100ns::seconds(3_600 + number));
            planter.table(table, at, &mut planting);
        }
        planting
    }
}

/// A table that is not in the schema.
const UNKNOWN_TABLE: &str = "PlantedUnknown_CL";
/// Columns outside the schema in each of the two rows of [`World::plant_unknown`].
const UNKNOWN_COLUMNS: usize = 8;

impl World {
    /// Rows outside the schema: one of a table that nobody knows, one of `DeviceEvents` with columns
    /// that nobody knows. Each column's name is a marker and its value another.
    pub fn plant_unknown(&self, tenant: usize, seed: u64) -> Planting {
        let mut planting = Planting::default();
        let Some(of) = self.tenants().get(tenant) else {
            return planting;
        };
        let id = &of.spec.envelope_tenant_id;
        let at = self.start.saturating_add(Span100ns::seconds(7_200));
        for (record_index, table) in [UNKNOWN_TABLE, "DeviceEvents"].into_iter().enumerate() {
            let mut dice = Dice::new(seed, &["planted outside", id, table]);
            let mut row = Row::default();
            row.time("Timestamp", at);
            for _ in 0..UNKNOWN_COLUMNS {
                let (name, value) = (dice.token(), dice.token());
                row.text(&name, &value);
                let column: Arc<str> = name.as_str().into();
                planting.planted.extend([name, value].map(|token| Planted {
                    tenant,
                    table,
                    column: column.clone(),
                    marker: Marker::token(token),
                    record_index,
                }));
            }
            planting
                .records
                .push(envelope(table, id, at).close_over(row.as_str()));
        }
        planting
    }
}

impl Marker {
    fn token(token: String) -> Self {
        Self::Text {
            value: token.clone(),
            token,
        }
    }
}

fn envelope<'a>(table: &'static str, tenant_id: &'a str, at: Ticks) -> Envelope<'a> {
    Envelope {
        table,
        tenant_id,
        time: at,
        received: None,
        delivered: at.saturating_add(Span100ns::seconds(100)),
        repeat: false,
        constant_first: false,
    }
}

struct Planter<'a> {
    tenant: &'a Tenant,
    seed: u64,
    slot: u64,
    row: Row,
}

impl Planter<'_> {
    fn table(&mut self, table: &'static Table, at: Ticks, planting: &mut Planting) {
        let name = table.name.as_str();
        let record_index = planting.records.len();
        self.row.begin(0);
        let mut note = |column: &Arc<str>, marker| {
            planting.planted.push(Planted {
                tenant: self.tenant.index,
                table: name,
                column: column.clone(),
                marker,
                record_index,
            });
        };
        for column in &table.columns {
            self.slot += 1;
            for marker in self.column(name, column, at) {
                note(&column.name, marker);
            }
        }
        if has_machine_group(name) {
            let column: Arc<str> = "MachineGroup".into();
            let token = self.token(name, &column, "value");
            self.row.text(&column, &token);
            note(&column, Marker::token(token));
        }
        let envelope = envelope(name, &self.tenant.spec.envelope_tenant_id, at);
        let record = envelope.close_over(self.row.as_str());
        planting.records.push(record);
    }

    /// Writes one value and returns what can be found of it.
    fn column(&mut self, table: &str, column: &Column, at: Ticks) -> Vec<Marker> {
        let key = &column.name;
        match column.column_type {
            ColumnType::DateTime => {
                self.row.time(key, at);
                Vec::new()
            }
            ColumnType::Bool => {
                self.row.flag(key, true);
                Vec::new()
            }
            ColumnType::Int => self.number(key, INT_BASE, INT_BASE - 1),
            ColumnType::Long => self.number(key, LONG_BASE, (1 << 61) - 1),
            ColumnType::Real | ColumnType::Decimal => {
                let whole = u32::try_from(unique(self.seed, self.slot, INT_BASE - 1)).unwrap_or(0);
                self.row.native(key, &format!("{whole}.5"));
                vec![Marker::Real(f64::from(whole) + 0.5)]
            }
            ColumnType::Guid => {
                let guid = self.dice(table, key, "guid").guid();
                self.row.text(key, &guid);
                vec![Marker::Guid(guid)]
            }
            ColumnType::Dynamic => {
                let (name, value) = (
                    self.token(table, key, "key"),
                    self.token(table, key, "value"),
                );
                let json = format!("{{\"{name}\":\"{value}\"}}");
                if dynamic_is_text(table) {
                    self.row.text(key, &json);
                } else {
                    self.row.native(key, &json);
                }
                [name, value].map(Marker::token).into()
            }
            ColumnType::String | ColumnType::TimeSpan => {
                let token = self.token(table, key, "value");
                let value = dress(key, &token, &self.tenant.spec.mail_domain);
                self.row.text(key, &value);
                vec![Marker::Text { token, value }]
            }
        }
    }

    fn number(&mut self, key: &str, base: u64, mask: u64) -> Vec<Marker> {
        let number = base + unique(self.seed, self.slot, mask);
        self.row.number(key, number);
        vec![Marker::Number(i64::try_from(number).unwrap_or(i64::MAX))]
    }

    fn token(&self, table: &str, column: &str, part: &str) -> String {
        self.dice(table, column, part).token()
    }

    fn dice(&self, table: &str, column: &str, part: &str) -> Dice {
        let id = &self.tenant.spec.envelope_tenant_id;
        Dice::new(self.seed, &["planted", id, table, column, part])
    }
}

/// A number below `mask + 1`, a power of two, that no other slot of this seed gets.
fn unique(seed: u64, slot: u64, mask: u64) -> u64 {
    // Multiplying by an odd number and adding a constant permutes the numbers of that many bits.
    let offset = Dice::new(seed, &["numbers"]).next();
    slot.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(offset)
        & mask
}

/// A value of the kind that a text column holds, around `token`.
fn dress(column: &str, token: &str, mail_domain: &str) -> String {
    let has = |part: &str| column.contains(part);
    let ends = |part: &str| column.ends_with(part);
    if has("Upn") || has("EmailAddress") || ends("FromAddress") || ends("ProxyAddress") {
        format!("{token}@{mail_domain}")
    } else if ends("CommandLine") {
        format!("\"C:\\Tools\\{token}.exe\" --title {token}")
    } else if has("FolderPath") || ends("Directory") {
        format!("C:\\Users\\{token}\\{token}.docx")
    } else if ends("Url") || ends("Uri") {
        format!("https://{token}.{mail_domain}/{token}?for={token}")
    } else if ends("RegistryKey") {
        format!("HKEY_CURRENT_USER\\Software\\{token}")
    } else if ends("FileName") {
        format!("{token}.docx")
    } else if ends("DeviceName") || ends("HostName") {
        format!("{token}.corp.{mail_domain}")
    } else if ends("Domain") {
        format!("{token}.example")
    } else if ends("Subject") || ends("Title") || ends("Description") {
        // Not ASCII alone: encodings differ only beyond it.
        format!("Über {token}, größer")
    } else if ends("AdditionalFields") {
        format!("{{\"note\":\"{token}\"}}")
    } else if ends("DisplayName") || ends("Surname") || ends("GivenName") {
        format!("Ms {token}")
    } else {
        token.to_owned()
    }
}
