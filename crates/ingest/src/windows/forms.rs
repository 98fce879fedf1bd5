//! The JSON forms in which Windows events arrive.
//!
//! | form | told by | data |
//! |---|---|---|
//! | event log as JSON | `Event` (or `System` at the top) | `EventData`, `UserData` |
//! | Winlogbeat 7 and later | `winlog` | `winlog.event_data`, `winlog.user_data` |
//! | Winlogbeat 6 and before | `event_id` with `event_data` or `log_name` | `event_data`, `user_data` |
//! | flat: NXLog, Azure, recordings | `EventID` at the top | the members themselves, or `EventData` |

use std::borrow::Cow;

use model::Ticks;

use super::event::{Event, Log};
use super::fields::Fields;
use crate::convert;
use crate::json::{self, Escapes, Kind, Member, Value};

type Data<'e> = Vec<(Cow<'e, str>, Value<'e>)>;

/// Members of flat records that are the shipper's or the log's own, not the event's data.
const NOT_DATA: &[&str] = &[
    "@metadata",
    "@timestamp",
    "@version",
    "AccountType",
    "ActivityID",
    "Category",
    "Channel",
    "Computer",
    "EventData",
    "EventID",
    "EventLevel",
    "EventLevelName",
    "EventOriginId",
    "EventReceivedTime",
    "EventRecordID",
    "EventTime",
    "ExecutionProcessID",
    "Hostname",
    "Keywords",
    "Level",
    "ManagementGroupName",
    "Message",
    "Opcode",
    "OpcodeValue",
    "Provider",
    "ProviderGuid",
    "Provider_Name",
    "RecordNumber",
    "RelatedActivityID",
    "Severity",
    "SeverityValue",
    "SourceModuleName",
    "SourceModuleType",
    "SourceName",
    "SourceSystem",
    "TenantId",
    "ThreadID",
    "TimeCreated",
    "TimeGenerated",
    "Type",
    "Version",
    "_ResourceId",
    "host",
    "port",
    "tags",
    "type",
];

/// The decoded text of an `EventData` that came as JSON inside a string.
pub(super) fn data_in_a_string(members: &[Member<'_>]) -> Option<String> {
    let value = find(members, "EventData")?;
    let text = (value.kind == Kind::String).then(|| value.text())?;
    text.trim_start()
        .starts_with('{')
        .then(|| text.into_owned())
}

/// The event that a record is; `None` if it has no event id.
pub(super) fn event<'e>(
    members: &'e [Member<'e>],
    data_text: Option<&'e str>,
) -> Option<Event<'e>> {
    if let Some(event) = object(members, "Event") {
        return log_form(&event.members());
    }
    if object(members, "System").is_some() {
        return log_form(members);
    }
    if object(members, "winlog").is_some() {
        return beat_form(members);
    }
    if members.iter().any(|m| m.key.text.starts_with("winlog.")) {
        return dotted_form(members);
    }
    if find(members, "event_id").is_some()
        && (find(members, "event_data").is_some() || find(members, "log_name").is_some())
    {
        return old_beat_form(members);
    }
    flat_form(members, data_text)
}

/// What every form must say about an event.
#[derive(Default)]
struct Head<'e> {
    id: Option<Value<'e>>,
    provider: Option<Value<'e>>,
    channel: Option<Value<'e>>,
    computer: Option<Value<'e>>,
    record: Option<Value<'e>>,
    /// The event's own clock.
    written: Option<Value<'e>>,
    /// Any other clock that will do.
    received: Option<Value<'e>>,
}

impl<'e> Head<'e> {
    fn event(self, data: Data<'e>, own: Vec<bool>, source: String) -> Option<Event<'e>> {
        let mut scratch = String::new();
        let id = convert::integer(self.id?, &mut scratch)?;
        let text = |v: Option<Value<'e>>| v.map(Value::text).unwrap_or_default();
        let channel = text(self.channel);
        let log = Log::of(&text(self.provider), &channel);
        let mut read = |v: Option<Value<'_>>| convert::time(v?, &mut scratch);
        let written = read(self.written);
        let received = read(self.received);
        let happened = (log == Log::Sysmon)
            .then(|| read(lookup(&data, "UtcTime")))
            .flatten();
        Some(Event {
            log,
            channel,
            id: u32::try_from(id).ok()?,
            computer: text(self.computer),
            record: self
                .record
                .and_then(|v| convert::integer(v, &mut scratch))
                .and_then(|n| u64::try_from(n).ok()),
            written,
            time: happened.or(written).or(received),
            data,
            own,
            source,
        })
    }
}

/// `{"System": …, "EventData": …}`, as event log readers write it.
fn log_form<'e>(members: &[Member<'e>]) -> Option<Event<'e>> {
    let system = object(members, "System")?.members();
    let mut data = Data::new();
    let mut fields = Fields::new();
    if let Some(event_data) = find(members, "EventData") {
        event_members(event_data, &mut data);
    }
    if let Some(user_data) = object(members, "UserData") {
        user_members(user_data, &mut data);
    }
    for (name, value) in &data {
        fields.data(name.clone(), *value);
    }
    system_fields(&system, &mut fields);
    let head = Head {
        id: find(&system, "EventID").map(content),
        provider: find(&system, "Provider").and_then(|p| attribute(p, "Name")),
        channel: find(&system, "Channel").map(content),
        computer: find(&system, "Computer").map(content),
        record: find(&system, "EventRecordID").map(content),
        written: find(&system, "TimeCreated").and_then(|t| attribute(t, "SystemTime")),
        received: None,
    };
    let source = fields.finish();
    let own = vec![true; data.len()];
    head.event(data, own, source)
}

/// Data of `EventData`: named values, or `Data` with a list of unnamed ones.
fn event_members<'e>(event_data: Value<'e>, data: &mut Data<'e>) {
    for member in event_data.members() {
        match member.key.text {
            "#attributes" => {}
            "Data" => data_elements(member, data),
            _ => data.push((member.key.text(), content(member.value))),
        }
    }
}

/// `<Data>` elements: `[{"@Name": …, "#text": …}, …]` become named values; a list stays a list.
fn data_elements<'e>(member: Member<'e>, data: &mut Data<'e>) {
    let items = member.value.items();
    let named: Data<'e> = items
        .iter()
        .filter_map(|item| {
            let name = item
                .get("@Name")
                .or_else(|| item.get("Name"))
                .or_else(|| attribute(*item, "Name"))?;
            Some((name.text(), item.get("#text").unwrap_or(MISSING)))
        })
        .collect();
    if !items.is_empty() && named.len() == items.len() {
        data.extend(named);
    } else {
        data.push((member.key.text(), content(member.value)));
    }
}

const MISSING: Value<'static> = Value {
    kind: Kind::Null,
    text: "null",
    escapes: Escapes::None,
};

/// Data of `UserData`: the members of its one element, whose own name is kept as `UserData`.
fn user_members<'e>(user_data: Value<'e>, data: &mut Data<'e>) {
    for element in user_data.members() {
        if element.value.kind != Kind::Object {
            if element.key.text != "#attributes" {
                data.push((element.key.text(), element.value));
            }
            continue;
        }
        data.push((Cow::Borrowed("UserData"), element.key));
        for member in element.value.members() {
            if member.key.text != "#attributes" {
                data.push((member.key.text(), content(member.value)));
            }
        }
    }
}

/// System fields under the names that rules use.
fn system_fields<'n>(system: &[Member<'n>], fields: &mut Fields<'n>) {
    for member in system {
        let name = member.key.text();
        if name.ends_with("_attributes") || name == "#attributes" {
            continue;
        }
        if member.value.kind != Kind::Object {
            fields.system(name, member.value);
            continue;
        }
        if let Some(text) = member.value.get("#text") {
            fields.system(name.clone(), text);
        }
        let attributes = member.value.get("#attributes").unwrap_or(member.value);
        for attribute in attributes.members() {
            let inner = attribute.key.text();
            match (&*name, &*inner) {
                ("TimeCreated", "SystemTime") => fields.system("TimeCreated", attribute.value),
                // `Execution` and `Security` are only brackets around names of their own.
                ("Execution" | "Security" | "Correlation", _) => {
                    fields.system(inner, attribute.value);
                }
                (_, "#text") => {}
                _ => fields.system(format!("{name}_{inner}"), attribute.value),
            }
        }
    }
}

/// Winlogbeat 7 and later.
fn beat_form<'e>(members: &[Member<'e>]) -> Option<Event<'e>> {
    let winlog = object(members, "winlog")?.members();
    let mut data = Data::new();
    let mut fields = Fields::new();
    for name in ["event_data", "user_data"] {
        if let Some(value) = object(&winlog, name) {
            event_members(value, &mut data);
        }
    }
    for (name, value) in &data {
        fields.data(name.clone(), *value);
    }
    let head = beat_head(members, |name| find(&winlog, name));
    canonical_names(&head, &mut fields);
    for member in &winlog {
        if !matches!(member.key.text, "event_data" | "user_data") {
            fields.data(format!("winlog.{}", member.key.text()), member.value);
        }
    }
    rest(members, &["winlog"], &mut fields);
    let source = fields.finish();
    let own = vec![true; data.len()];
    head.event(data, own, source)
}

/// Winlogbeat's documents with dotted names, as some pipelines flatten them.
fn dotted_form<'e>(members: &[Member<'e>]) -> Option<Event<'e>> {
    let mut data = Data::new();
    let mut fields = Fields::new();
    let data_name = |m: &Member<'e>| {
        let key = m.key.text;
        let name = key.strip_prefix("winlog.event_data.");
        name.or_else(|| key.strip_prefix("winlog.user_data."))
    };
    for member in members {
        if let Some(name) = data_name(member) {
            data.push((Cow::Borrowed(name), member.value));
            fields.data(name, member.value);
        }
    }
    let head = beat_head(members, |name| {
        let found = members
            .iter()
            .find(|m| m.key.text.strip_prefix("winlog.") == Some(name));
        found.map(|m| m.value)
    });
    canonical_names(&head, &mut fields);
    for member in members.iter().filter(|m| data_name(m).is_none()) {
        fields.data(member.key.text(), member.value);
    }
    let source = fields.finish();
    let own = vec![true; data.len()];
    head.event(data, own, source)
}

fn beat_head<'e>(members: &[Member<'e>], winlog: impl Fn(&str) -> Option<Value<'e>>) -> Head<'e> {
    let id = winlog("event_id").or_else(|| object(members, "event").and_then(|e| e.get("code")));
    Head {
        id: id.or_else(|| find(members, "event.code")),
        provider: winlog("provider_name"),
        channel: winlog("channel"),
        computer: winlog("computer_name"),
        record: winlog("record_id"),
        // Winlogbeat sets it to the event's own time.
        written: find(members, "@timestamp"),
        received: None,
    }
}

/// Winlogbeat 6 and before.
fn old_beat_form<'e>(members: &[Member<'e>]) -> Option<Event<'e>> {
    let mut data = Data::new();
    let mut fields = Fields::new();
    for name in ["event_data", "user_data"] {
        if let Some(value) = object(members, name) {
            event_members(value, &mut data);
        }
    }
    for (name, value) in &data {
        fields.data(name.clone(), *value);
    }
    let head = Head {
        id: find(members, "event_id"),
        provider: find(members, "source_name"),
        channel: find(members, "log_name"),
        computer: find(members, "computer_name"),
        record: find(members, "record_number"),
        written: find(members, "@timestamp"),
        received: None,
    };
    canonical_names(&head, &mut fields);
    rest(members, &["event_data", "user_data"], &mut fields);
    let source = fields.finish();
    let own = vec![true; data.len()];
    head.event(data, own, source)
}

/// Events whose data stand beside the log's and the shipper's own fields.
fn flat_form<'e>(members: &'e [Member<'e>], data_text: Option<&'e str>) -> Option<Event<'e>> {
    let mut data = Data::new();
    let mut own = Vec::new();
    let mut fields = Fields::new();
    let nested = match data_text {
        Some(text) => json::parse(text).map(|(value, _)| value),
        None => object(members, "EventData"),
    };
    if let Some(nested) = nested {
        event_members(nested, &mut data);
        own.resize(data.len(), true);
        for (name, value) in &data {
            fields.data(name.clone(), *value);
        }
    }
    for member in members {
        let name = member.key.text();
        if name == "EventData" && nested.is_some() {
            continue;
        }
        fields.data(name.clone(), member.value);
        own.push(!NOT_DATA.contains(&&*name));
        data.push((name, member.value));
    }
    let any = |names: &[&str]| names.iter().find_map(|name| find(members, name));
    let event_time = find(members, "EventTime");
    // NXLog's `EventTime` is the computer's local time and says no zone; `@timestamp` is UTC but
    // the moment of arrival. The second is wrong by seconds, the first by hours.
    let arrived = find(members, "@timestamp");
    let head = Head {
        id: any(&["EventID", "EventId", "event_id"]),
        provider: any(&[
            "Provider_Name",
            "ProviderName",
            "SourceName",
            "Provider",
            "Source",
        ]),
        channel: any(&["Channel", "LogName"]),
        computer: any(&["Computer", "Hostname", "ComputerName", "MachineName"]),
        record: any(&["EventRecordID", "EventRecordId", "RecordNumber", "RecordId"]),
        written: any(&["TimeCreated", "SystemTime"]).or(event_time),
        received: arrived.or_else(|| any(&["TimeGenerated", "EventReceivedTime"])),
    };
    canonical_names(&head, &mut fields);
    let local = event_time.is_some() && any(&["TimeCreated", "SystemTime"]).is_none();
    let source = fields.finish();
    let mut event = head.event(data, own, source)?;
    if local && event.log != Log::Sysmon {
        event.time = zoned(event_time)
            .or_else(|| time_of(arrived))
            .or(event.time);
    }
    Some(event)
}

/// An instant whose text says its zone.
fn zoned(value: Option<Value<'_>>) -> Option<Ticks> {
    let value = value?;
    let clock = value.text.split_at_checked(10)?.1;
    clock
        .contains(['Z', 'z', '+', '-'])
        .then(|| time_of(Some(value)))?
}

fn time_of(value: Option<Value<'_>>) -> Option<Ticks> {
    convert::time(value?, &mut String::new())
}

/// The log's names for what the shipper calls otherwise.
fn canonical_names(head: &Head<'_>, fields: &mut Fields<'_>) {
    fields.alias("EventID", head.id);
    fields.alias("Provider_Name", head.provider);
    fields.alias("Channel", head.channel);
    fields.alias("Computer", head.computer);
    fields.alias("EventRecordID", head.record);
}

fn rest<'n>(members: &[Member<'n>], but: &[&str], fields: &mut Fields<'n>) {
    for member in members {
        let name = member.key.text();
        if !but.contains(&&*name) {
            fields.data(name, member.value);
        }
    }
}

fn find<'e>(members: &[Member<'e>], name: &str) -> Option<Value<'e>> {
    members.iter().find(|m| m.key.text == name).map(|m| m.value)
}

fn object<'e>(members: &[Member<'e>], name: &str) -> Option<Value<'e>> {
    find(members, name).filter(|v| v.kind == Kind::Object)
}

fn lookup<'e>(data: &Data<'e>, name: &str) -> Option<Value<'e>> {
    data.iter().find(|(key, _)| key == name).map(|(_, v)| *v)
}

/// The text of an element that also has attributes.
fn content(value: Value<'_>) -> Value<'_> {
    if value.kind == Kind::Object {
        value.get("#text").unwrap_or(value)
    } else {
        value
    }
}

/// An attribute of an element, written as `#attributes` or directly.
fn attribute<'e>(value: Value<'e>, name: &str) -> Option<Value<'e>> {
    value
        .get("#attributes")
        .and_then(|attributes| attributes.get(name))
        .or_else(|| value.get(name))
}
