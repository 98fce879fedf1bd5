//! One record as it is delivered.

use std::ops::Range;

use model::Ticks;

use crate::tables::Service;
use crate::text::push_time;

/// One line of the export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// The table its row belongs to.
    pub table: &'static str,
    /// The service that exports the table.
    pub service: Service,
    /// When it happened: the row's own time, as printed in it.
    pub time: Ticks,
    /// When it was delivered: the envelope's clock.
    pub delivered: Ticks,
    /// Whether the same row was delivered before.
    pub repeat: bool,
    /// The whole envelope, without a line end.
    pub json: String,
    /// Where the row is in `json`, braces included.
    pub properties: Range<usize>,
    /// What the row is if it is not of the background. Not written anywhere in `json`.
    pub woven: Option<Woven>,
}

/// What a row is that was woven into the background.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woven {
    /// Of that intrusion, by its position in the ground truth: a stage of it.
    Stage(usize),
    /// Of that intrusion: an alert that the vendor raised.
    VendorAlert(usize),
    /// Harmless, but like a stage.
    LookAlike,
    /// The tool that runs in every tenant, or the private document.
    Fixture,
}

impl Record {
    /// The row alone: equal bytes for every delivery of it.
    pub fn row(&self) -> &str {
        self.json.get(self.properties.clone()).unwrap_or("")
    }
}

/// What an envelope says besides its row.
#[derive(Clone, Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) table: &'static str,
    pub(crate) tenant_id: &'a str,
    pub(crate) time: Ticks,
    /// When the service saw it; not every record says.
    pub(crate) received: Option<Ticks>,
    pub(crate) delivered: Ticks,
    pub(crate) repeat: bool,
    /// Keys come in more than one order.
    pub(crate) constant_first: bool,
}

impl Envelope<'_> {
    /// The record around `row`, the inside of the row's object.
    pub(crate) fn close_over(&self, row: &str) -> Record {
        let mut json = String::with_capacity(row.len() + 340);
        json.push('{');
        if self.constant_first {
            json.push_str("\"Tenant\":\"DefaultTenant\",");
        }
        json.push_str("\"time\":\"");
        push_time(&mut json, self.delivered);
        json.push_str("Z\",\"tenantId\":\"");
        json.push_str(self.tenant_id);
        json.push_str("\",\"operationName\":\"Publish\",\"category\":\"AdvancedHunting-");
        json.push_str(self.table);
        json.push('"');
        if let Some(received) = self.received {
            json.push_str(",\"_TimeReceivedBySvc\":\"");
            push_time(&mut json, received);
            // The mail tables write this one instant without its zone.
            let zone = if self.table.starts_with("Email") {
                "\""
            } else {
                "Z\""
            };
            json.push_str(zone);
        }
        json.push_str(",\"properties\":{");
        let begin = json.len() - 1;
        json.push_str(row);
        json.push('}');
        let properties = begin..json.len();
        if !self.constant_first {
            json.push_str(",\"Tenant\":\"DefaultTenant\"");
        }
        json.push('}');
        Record {
            table: self.table,
            service: Service::of(self.table),
            time: self.time,
            delivered: self.delivered,
            repeat: self.repeat,
            json,
            properties,
            woven: None,
        }
    }
}
