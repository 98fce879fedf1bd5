//! Windows events: binary event logs and the JSON that shippers make of them.
//!
//! Whatever the form, an event becomes one [`event::Event`] (who wrote it, where, when, and its data
//! by the source's own names), and a mapping ([`table`]) makes rows of it. An event that no mapping
//! knows is still a row of `DeviceEvents`: nothing is dropped silently.

mod event;
mod evtx;
mod fields;
mod forms;
mod map;
mod special;
mod table;

use std::collections::BTreeSet;

use crate::context::SourceContext;
use crate::documents::{Read, Reader};
use crate::export::{rejected, within_limits};
use crate::json::{Fault, Kind, Member, Scanner};
use crate::outcome::{Rejected, Tally};
use crate::sink::{Refusal, Sink};
use model::{Code, limits};

pub use evtx::evtx_parts;
#[cfg(test)]
pub(crate) use evtx::read_within as read_evtx_within;
pub(crate) use evtx::{is_evtx, read as read_evtx};
#[cfg(test)]
pub(crate) use map::targets;

/// First byte of the identity of a row that its event log numbered.
const IDENTITY_RECORD: u8 = b'W';

/// Turns events into rows.
#[derive(Debug)]
pub(crate) struct Events<'a, 'c, 's> {
    pub(crate) context: &'s SourceContext<'c>,
    pub(crate) sink: &'s mut Sink<'c>,
    pub(crate) rejected: &'s mut Vec<Rejected>,
    pub(crate) tally: &'s mut Tally,
    pub(crate) controllers: &'s mut BTreeSet<String>,
    pub(crate) members: Vec<Member<'a>>,
}

impl<'a> Reader<'a> for Events<'a, '_, '_> {
    fn record(&mut self, scanner: &mut Scanner<'a>, record: u64) -> Result<Read, Fault> {
        let start = scanner.at;
        self.members.clear();
        let keep_to = start.saturating_add(limits::RECORD_BYTES_MAX);
        let depth = scanner.members(&mut self.members, keep_to)?;
        let members = std::mem::take(&mut self.members);
        let done =
            within_limits(scanner.at - start, depth).and_then(|()| self.event(&members, record));
        self.members = members;
        if let Err(refusal) = done {
            self.reject(rejected(refusal, record, start));
        }
        Ok(Read::Record)
    }

    fn reject(&mut self, rejected: Rejected) {
        self.rejected.push(rejected);
    }
}

impl Events<'_, '_, '_> {
    /// Makes the rows of one event.
    pub(crate) fn event(&mut self, members: &[Member<'_>], record: u64) -> Result<(), Refusal> {
        let data_text = forms::data_in_a_string(members);
        let Some(event) = forms::event(members, data_text.as_deref()) else {
            return Err(Refusal::new(
                Code::MalformedRecord,
                "the record is not a Windows event: it has no event id",
            ));
        };
        if event.time.is_none() {
            return Err(Refusal::new(
                Code::BadTime,
                "the event's time is missing or cannot be read",
            ));
        }
        let mut identity = Vec::new();
        event.write_identity(&mut identity);
        let computer = event.computer.to_ascii_lowercase();
        let on_controller = is_controller(&computer, self.context.domain_controllers);
        if event.proves_controller() && !computer.is_empty() {
            self.controllers.insert(computer.clone());
        }
        let mut mapped = false;
        for row in map::rows(&event, &computer, on_controller) {
            mapped |= row.mapped;
            let (table, cells) = row.finish();
            self.sink
                .append_mapped(table, &cells, &event.source, &identity, record)?;
        }
        if mapped {
            self.tally.mapped += 1;
        } else {
            self.tally.kept_raw(record);
        }
        Ok(())
    }
}

/// Whether the tenant says that the computer is a domain controller, by its full or short name.
fn is_controller(computer: &str, controllers: &BTreeSet<String>) -> bool {
    controllers.contains(computer)
        || computer
            .split_once('.')
            .is_some_and(|(short, _)| controllers.contains(short))
}

/// Whether a record looks like a Windows event in any of the forms: used to tell formats apart.
pub(crate) fn looks_like_event(members: &[Member<'_>]) -> bool {
    members.iter().any(|m| {
        let key = m.key.text;
        key.starts_with("winlog")
            || matches!(key, "EventID" | "EventId" | "event_id")
            || (matches!(key, "Event" | "System") && m.value.kind == Kind::Object)
    })
}
