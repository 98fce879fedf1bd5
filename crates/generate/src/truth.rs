//! Ground truth: what was woven into a stream, record by record.
//!
//! Nothing in the rows says what they are; this says it beside them. A record is known by the key
//! columns of its table and its own time, so that it is found again wherever rows rest.
//!
//! Promises
//! - A key occurs exactly once among the distinct records of its tenant.
//! - Every record that is not named here belongs to the background and is harmless.
//!
//! As JSON Lines ([`Truth::write_lines`]) each line has a `type`:
//!
//! | type | says |
//! |---|---|
//! | `world` | seed, kind of attack, share of true alerts, how many lines of each type follow |
//! | `intrusion` | id, tenant, form, campaign, who and what it touches, what it shares with others |
//! | `stage` | one step of an intrusion: name, tactic, technique, time, entities, records |
//! | `vendor_alert` | an alert that the vendor raised about an intrusion: id, title, severity, records |
//! | `look_alike` | something harmless that resembles a stage: kind, time, entities, records |
//! | `tool` | a program that runs in every tenant: SHA-256, and when it first ran where |
//! | `private_document` | a document whose hash is in mail and file rows only |

use std::collections::BTreeMap;
use std::io::{self, Write};

use model::{EntityKind, Ticks};

use crate::record::Woven;
use crate::text::{Row, push_number, push_text};

/// Everything that was woven into the streams of a world.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Truth {
    /// The world's seed.
    pub seed: u64,
    /// The attack as its option is written: `none`, `story`, `variant`, `many 3`.
    pub attack: String,
    /// As in [`AttackOptions::true_alerts_permille`](crate::AttackOptions).
    pub true_alerts_permille: u32,
    /// As in [`AttackOptions::close_permille`](crate::AttackOptions).
    pub close_permille: u32,
    /// What happened, in the order of planning.
    pub intrusions: Vec<IntrusionTruth>,
    /// What only looks like it, by tenant and then time.
    pub look_alikes: Vec<Scene>,
    /// The program that runs everywhere; nothing in a world without look-alikes and attacks.
    pub tool: Option<ToolTruth>,
    /// One document per tenant.
    pub documents: Vec<DocumentTruth>,
}

/// One intrusion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IntrusionTruth {
    /// Its position in the plan of the world; [`Woven`](crate::Woven) refers to it.
    pub number: usize,
    /// `intrusion-1` and so on, unique in a world.
    pub id: String,
    /// Position of the tenant in the world.
    pub tenant: usize,
    /// Its envelope tenant id.
    pub envelope_tenant_id: String,
    /// `story` or `variant`.
    pub form: &'static str,
    /// Intrusions with the same campaign use the same servers and tools.
    pub campaign: String,
    /// What intrusions of the same tenant have in common with this one: the other's id and the entity.
    pub shares: Vec<(String, Entity)>,
    /// Its steps in the order of time.
    pub stages: Vec<Scene>,
    /// The vendor's alerts about it.
    pub alerts: Vec<VendorAlertTruth>,
}

/// A few records that belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scene {
    /// Position of the tenant in the world.
    pub tenant: usize,
    /// Name of the stage, or kind of the look-alike.
    pub name: &'static str,
    /// Tactic as in `AlertInfo.Category`; of a look-alike the one it could be taken for.
    pub tactic: &'static str,
    /// Technique by number; of a look-alike the one it could be taken for.
    pub technique: &'static str,
    /// When it began.
    pub time: Ticks,
    /// Who and what is involved.
    pub entities: Vec<Entity>,
    /// Its records.
    pub records: Vec<RecordKey>,
}

/// Somebody or something, with a value as rows write it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entity {
    /// Its kind.
    pub kind: EntityKind,
    /// Device id, sign-in name, hash, address, link, message id, app id, session id.
    pub value: String,
}

/// How a record is found again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RecordKey {
    /// Its table.
    pub table: &'static str,
    /// Its time as printed.
    pub time: Ticks,
    /// Columns and their values as text.
    pub columns: Vec<(&'static str, String)>,
}

/// An alert that the vendor raised about an intrusion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VendorAlertTruth {
    /// `AlertId`.
    pub id: String,
    /// `Title`.
    pub title: String,
    /// `Severity`.
    pub severity: String,
    /// Its rows of `AlertInfo` and `AlertEvidence`.
    pub records: Vec<RecordKey>,
}

/// A program that runs in every tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ToolTruth {
    /// Name of the file.
    pub file_name: String,
    /// Its hash.
    pub sha256: String,
    /// Where it ran: tenant, first time, and the records that show it running.
    pub runs: Vec<(usize, Ticks, Vec<RecordKey>)>,
}

/// A document whose hash must never leave: nobody ran or loaded it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentTruth {
    /// Position of the tenant in the world.
    pub tenant: usize,
    /// Name of the file.
    pub file_name: String,
    /// Its hash.
    pub sha256: String,
    /// Every record that has it.
    pub records: Vec<RecordKey>,
}

impl Truth {
    /// Takes in what another stream of the same world had.
    pub fn merge(&mut self, other: Self) {
        if self.attack.is_empty() {
            self.seed = other.seed;
            self.attack = other.attack;
            self.true_alerts_permille = other.true_alerts_permille;
            self.close_permille = other.close_permille;
        }
        self.intrusions.extend(other.intrusions);
        self.look_alikes.extend(other.look_alikes);
        self.documents.extend(other.documents);
        self.intrusions.sort_by_key(|i| i.number);
        match (&mut self.tool, other.tool) {
            (Some(mine), Some(theirs)) => mine.runs.extend(theirs.runs),
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
    }

    /// Stages of all intrusions.
    pub fn stages(&self) -> impl Iterator<Item = (&IntrusionTruth, &Scene)> {
        self.intrusions
            .iter()
            .flat_map(|i| i.stages.iter().map(move |s| (i, s)))
    }

    /// Every woven record by tenant and key, to ask what a row is.
    pub fn index(&self) -> Index {
        let mut index = Index::default();
        for i in &self.intrusions {
            for stage in &i.stages {
                index.add(i.tenant, &stage.records, Woven::Stage(i.number));
            }
            for alert in &i.alerts {
                index.add(i.tenant, &alert.records, Woven::VendorAlert(i.number));
            }
        }
        for scene in &self.look_alikes {
            index.add(scene.tenant, &scene.records, Woven::LookAlike);
        }
        for (tenant, _, records) in self.tool.iter().flat_map(|t| &t.runs) {
            index.add(*tenant, records, Woven::Fixture);
        }
        for document in &self.documents {
            index.add(document.tenant, &document.records, Woven::Fixture);
        }
        index
    }

    pub(crate) fn intrusion(&mut self, number: usize) -> Option<&mut IntrusionTruth> {
        self.intrusions.iter_mut().find(|i| i.number == number)
    }

    /// Writes one JSON object per line and returns how many.
    pub fn write_lines(&self, out: &mut impl Write) -> io::Result<u64> {
        let mut lines = vec![self.head()];
        for intrusion in &self.intrusions {
            lines.push(intrusion.line());
            let stages = intrusion.stages.iter().enumerate();
            lines.extend(stages.map(|(n, stage)| {
                let mut row = Row::default();
                row.text("type", "stage")
                    .text("intrusion", &intrusion.id)
                    .number("number", n as u64 + 1);
                stage.line(row)
            }));
            lines.extend(intrusion.alerts.iter().map(|a| a.line(&intrusion.id)));
        }
        lines.extend(self.look_alikes.iter().map(|scene| {
            let mut row = Row::default();
            row.text("type", "look_alike");
            scene.line(row)
        }));
        lines.extend(self.tool.iter().map(ToolTruth::line));
        lines.extend(self.documents.iter().map(DocumentTruth::line));
        for line in &lines {
            writeln!(out, "{{{line}}}")?;
        }
        Ok(lines.len() as u64)
    }

    fn head(&self) -> String {
        let mut row = Row::default();
        row.text("type", "world")
            .number("seed", self.seed)
            .text("attack", &self.attack)
            .number("true_alerts_permille", self.true_alerts_permille.into())
            .number("close_permille", self.close_permille.into())
            .number("intrusions", self.intrusions.len() as u64)
            .number("stages", self.stages().count() as u64)
            .number("look_alikes", self.look_alikes.len() as u64);
        row.into_string()
    }
}

/// What each woven record is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Index {
    by_key: BTreeMap<(usize, String), Woven>,
}

impl Index {
    /// What the row of `table` is whose key columns ([`key_columns`]) have these values, as text;
    /// nothing if it belongs to the background.
    pub fn find(&self, tenant: usize, table: &str, values: &[&str]) -> Option<Woven> {
        self.by_key
            .get(&(tenant, index_key(table, values)))
            .copied()
    }

    fn add(&mut self, tenant: usize, records: &[RecordKey], woven: Woven) {
        for record in records {
            let values: Vec<&str> = record.columns.iter().map(|(_, v)| v.as_str()).collect();
            let key = (tenant, index_key(record.table, &values));
            self.by_key.insert(key, woven);
        }
    }
}

fn index_key(table: &str, values: &[&str]) -> String {
    let mut key = String::from(table);
    for value in values {
        key.push('\n');
        key.push_str(value);
    }
    key
}

impl IntrusionTruth {
    fn line(&self) -> String {
        let mut shares = String::from("[");
        for (number, (id, entity)) in self.shares.iter().enumerate() {
            shares.push_str(if number == 0 { "{" } else { ",{" });
            let mut row = Row::default();
            row.text("with", id);
            entity.write(&mut row);
            shares.push_str(row.as_str());
            shares.push('}');
        }
        shares.push(']');
        let mut row = Row::default();
        row.text("type", "intrusion")
            .text("id", &self.id)
            .number("tenant", self.tenant as u64)
            .text("tenantId", &self.envelope_tenant_id)
            .text("form", self.form)
            .text("campaign", &self.campaign)
            .native("shares", &shares);
        row.into_string()
    }
}

impl Scene {
    fn line(&self, mut row: Row) -> String {
        let mut entities = String::from("[");
        for (number, entity) in self.entities.iter().enumerate() {
            entities.push_str(if number == 0 { "{" } else { ",{" });
            let mut inner = Row::default();
            entity.write(&mut inner);
            entities.push_str(inner.as_str());
            entities.push('}');
        }
        entities.push(']');
        row.number("tenant", self.tenant as u64)
            .text("name", self.name)
            .text("tactic", self.tactic)
            .text("technique", self.technique)
            .time("time", self.time)
            .native("entities", &entities)
            .native("records", &keys(&self.records));
        row.into_string()
    }
}

impl Entity {
    fn write(&self, row: &mut Row) {
        row.text("kind", self.kind.as_str())
            .text("value", &self.value);
    }
}

impl VendorAlertTruth {
    fn line(&self, intrusion: &str) -> String {
        let mut row = Row::default();
        row.text("type", "vendor_alert")
            .text("intrusion", intrusion)
            .text("id", &self.id)
            .text("title", &self.title)
            .text("severity", &self.severity)
            .native("records", &keys(&self.records));
        row.into_string()
    }
}

impl ToolTruth {
    fn line(&self) -> String {
        let mut runs = String::from("[");
        for (number, (tenant, first, records)) in self.runs.iter().enumerate() {
            runs.push_str(if number == 0 { "{" } else { ",{" });
            let mut row = Row::default();
            row.number("tenant", *tenant as u64)
                .time("first", *first)
                .native("records", &keys(records));
            runs.push_str(row.as_str());
            runs.push('}');
        }
        runs.push(']');
        let mut row = Row::default();
        row.text("type", "tool")
            .text("file_name", &self.file_name)
            .text("sha256", &self.sha256)
            .native("runs", &runs);
        row.into_string()
    }
}

impl DocumentTruth {
    fn line(&self) -> String {
        let mut row = Row::default();
        row.text("type", "private_document")
            .number("tenant", self.tenant as u64)
            .text("file_name", &self.file_name)
            .text("sha256", &self.sha256)
            .native("records", &keys(&self.records));
        row.into_string()
    }
}

fn keys(records: &[RecordKey]) -> String {
    let mut json = String::from("[");
    for (number, key) in records.iter().enumerate() {
        json.push_str(if number == 0 {
            "{\"table\":"
        } else {
            ",{\"table\":"
        });
        push_text(&mut json, key.table);
        json.push_str(",\"Timestamp\":\"");
        crate::text::push_time(&mut json, key.time);
        json.push_str("Z\"");
        for (column, value) in &key.columns {
            json.push(',');
            push_text(&mut json, column);
            json.push(':');
            // A report's number of a device is a number in its row, too.
            match value.parse() {
                Ok(number) if key.table.starts_with("Device") && *column == "ReportId" => {
                    push_number(&mut json, number);
                }
                _ => push_text(&mut json, value),
            }
        }
        json.push('}');
    }
    json.push(']');
    json
}

/// The columns that tell the rows of `table` apart.
pub fn key_columns(table: &str) -> &'static [&'static str] {
    match table {
        "AlertInfo" => &["AlertId"],
        "AlertEvidence" => &["AlertId", "EntityType"],
        t if t.starts_with("Device") => &["DeviceId", "ReportId"],
        t if t.starts_with("Email") || t == "UrlClickEvents" => &["NetworkMessageId", "ReportId"],
        _ => &["ReportId"],
    }
}
