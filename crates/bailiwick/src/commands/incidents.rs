//! `alert` and `incident`: what was found, as lists and as a story.

use std::fmt::Write as _;

use model::{Code, TenantId};
use serde_json::{Value, json};

use super::{show, tenant_id};
use crate::cli::{Alert, Global, Incident, IncidentUpdate};
use crate::client::{Ask, Client, Reach, encoded, query};
use crate::failure::Failure;
use crate::print;
use crate::view::{self, Column};

pub(super) const ALERTS: [Column; 8] = [
    ("CREATED", "/created_at"),
    ("SEVERITY", "/severity"),
    ("TITLE", "/title"),
    ("CATEGORY", "/category"),
    ("SERVICE", "/service"),
    ("RESTS IN", "/origin"),
    ("INCIDENT", "/incident"),
    ("ALERT", "/id"),
];
pub(super) const INCIDENTS: [Column; 9] = [
    ("INCIDENT", "/id"),
    ("SEVERITY", "/severity"),
    ("SCORE", "/score"),
    ("STATUS", "/status"),
    ("ASSIGNED", "/assigned_to"),
    ("ALERTS", "/alert_count"),
    ("FIRST", "/first_at"),
    ("LAST", "/last_at"),
    ("NAME", "/name"),
];
const ACTIVITY: [Column; 8] = [
    ("NUMBER", "/sequence"),
    ("AT", "/at"),
    ("WHO", "/who"),
    ("WHAT", "/what"),
    ("FROM", "/from"),
    ("TO", "/to"),
    ("ALERT", "/alert"),
    ("WHY", "/why"),
];

pub(crate) fn alert(global: &Global, command: Alert) -> anyhow::Result<i32> {
    let client = Client::connect(global)?;
    match command {
        Alert::List {
            tenant,
            severity,
            incident,
            from,
            to,
            limit,
        } => {
            let tenant = tenant_id(&tenant)?;
            let incident = incident.map(|n| n.to_string());
            let path = query(
                &format!("/api/v1/tenants/{tenant}/alerts"),
                &[
                    ("severity", severity.as_deref()),
                    ("incident", incident.as_deref()),
                    ("from", from.as_deref()),
                    ("to", to.as_deref()),
                ],
            );
            let alerts = client.list_some(Reach::Home(tenant), &path, "alerts", limit)?;
            view::list(global, &alerts, &ALERTS, "no alerts")
        }
        Alert::Show { tenant, alert } => {
            let tenant = tenant_id(&tenant)?;
            let path = format!("/api/v1/tenants/{tenant}/alerts/{}", encoded(&alert));
            show(global, &client.call_home(tenant, &Ask::get(path))?.json()?)
        }
    }
}

pub(crate) fn incident(global: &Global, command: Incident) -> anyhow::Result<i32> {
    let client = Client::connect(global)?;
    match command {
        Incident::List {
            tenant,
            status,
            severity,
            assigned_to,
            updated_since,
            limit,
        } => {
            let tenant = tenant_id(&tenant)?;
            let path = query(
                &format!("/api/v1/tenants/{tenant}/incidents"),
                &[
                    ("status", status.as_deref()),
                    ("severity", severity.as_deref()),
                    ("assigned_to", assigned_to.as_deref()),
                    ("updated_since", updated_since.as_deref()),
                ],
            );
            let found = client.list_some(Reach::Home(tenant), &path, "incidents", limit)?;
            view::list(global, &found, &INCIDENTS, "no incidents")
        }
        Incident::Show { tenant, incident } => {
            let tenant = tenant_id(&tenant)?;
            let ask = Ask::get(path_of(tenant, incident));
            let found = client.call_home(tenant, &ask)?.json()?;
            if !view::is_for_people(global) {
                return show(global, &found);
            }
            print::out(&story(&found))?;
            Ok(0)
        }
        Incident::Update(update) => {
            let tenant = tenant_id(&update.tenant)?;
            let ask = Ask {
                method: "PATCH",
                ..Ask::post(path_of(tenant, update.incident), &change(&update)?)
            };
            show(global, &client.call_home(tenant, &ask)?.json()?)
        }
        Incident::Activity { tenant, incident } => {
            let tenant = tenant_id(&tenant)?;
            let path = format!("{}/activity", path_of(tenant, incident));
            let entries = client.list(Reach::Home(tenant), &path, "activity")?;
            view::list(global, &entries, &ACTIVITY, "nothing was done yet")
        }
    }
}

fn path_of(tenant: TenantId, incident: u64) -> String {
    format!("/api/v1/tenants/{tenant}/incidents/{incident}")
}

/// The change as the interface wants it.
fn change(update: &IncidentUpdate) -> anyhow::Result<Value> {
    let texts = [
        ("status", &update.status),
        ("assigned_to", &update.assign),
        ("classification", &update.classification),
        ("determination", &update.determination),
        ("severity", &update.severity),
        ("name", &update.name),
        ("comment", &update.comment),
        ("link", &update.link),
        ("unlink", &update.unlink),
    ];
    let mut fields = serde_json::Map::new();
    for (name, value) in texts {
        if let Some(value) = value {
            fields.insert(name.to_owned(), json!(value));
        }
    }
    for (name, values) in [("add_tags", &update.tag), ("remove_tags", &update.untag)] {
        if !values.is_empty() {
            fields.insert(name.to_owned(), json!(values));
        }
    }
    if !update.merge.is_empty() {
        fields.insert("merge".to_owned(), json!(update.merge));
    }
    if fields.is_empty() {
        let failure = Failure::new(Code::BadRequest, "nothing was given to change");
        return Err(failure
            .with_help("`bailiwick incident update --help` lists what there is")
            .into());
    }
    Ok(Value::Object(fields))
}

/// An incident as people read it: what it is, the way it took, and how to go on.
pub(super) fn story(found: &Value) -> String {
    let mut out = String::new();
    head(found, &mut out);
    steps(found, &mut out);
    let alerts = items(found, "alerts");
    section(&mut out, "Alerts", &alerts, &ALERTS);
    let entities: Vec<Value> = items(found, "entities").iter().map(entity).collect();
    section(&mut out, "What they are about", &entities, &ENTITIES);
    rests(found, &alerts, &mut out);
    out.push_str(&hunts(found));
    out
}

fn head(found: &Value, out: &mut String) {
    let text = |name: &str| view::text(found.get(name).unwrap_or(&Value::Null));
    // Writing to a text cannot fail.
    let _ = writeln!(out, "incident {}  {}", text("id"), visible(&text("name")));
    let assigned = text("assigned_to");
    let assigned = if assigned.is_empty() {
        "assigned to nobody".to_owned()
    } else {
        format!("assigned to {}", visible(&assigned))
    };
    let _ = writeln!(
        out,
        "{} severity, score {} of 100, {}, {assigned}",
        text("severity"),
        text("score"),
        text("status"),
    );
    let _ = writeln!(
        out,
        "classified {} ({}); tags: {}",
        text("classification"),
        text("determination"),
        or_none(&visible(&text("tags"))),
    );
    let merged = text("redirected_to");
    if !merged.is_empty() {
        let _ = writeln!(out, "merged into incident {merged}");
    }
    let _ = writeln!(
        out,
        "{} to {}: {} alert(s), {} device(s), {} account(s), services {}",
        text("first_at"),
        text("last_at"),
        text("alert_count"),
        text("devices"),
        text("accounts"),
        text("services"),
    );
    let _ = writeln!(
        out,
        "tactics {}; techniques {}",
        or_none(&text("tactics")),
        or_none(&text("techniques"))
    );
    let _ = writeln!(out, "\npath: {}", or_none(&text("path")));
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "none" } else { text }.to_owned()
}

fn visible(text: &str) -> String {
    print::visible(text)
}

const STEPS: [Column; 5] = [
    ("FIRST", "/first_at"),
    ("LAST", "/last_at"),
    ("STEP", "/stage"),
    ("ALERTS", "/titles"),
    ("CONNECTED BY", "/via"),
];

/// The path's steps with the titles of their alerts and what joins each to an earlier one.
fn steps(found: &Value, out: &mut String) {
    let alerts = items(found, "alerts");
    let title = |id: &Value| {
        let alert = alerts.iter().find(|a| a.get("id") == Some(id));
        alert
            .and_then(|a| a.get("title"))
            .cloned()
            .unwrap_or_else(|| id.clone())
    };
    let row = |step: &Value| {
        let ids = items(step, "alerts");
        let mut titles: Vec<Value> = ids.iter().map(title).collect();
        titles.dedup();
        json!({
            "first_at": step.get("first_at"),
            "last_at": step.get("last_at"),
            "stage": step.get("stage"),
            "titles": titles,
            "via": step.get("via").map(|via| connection(via, &title)),
        })
    };
    let rows: Vec<Value> = items(found, "steps").iter().map(row).collect();
    section(out, "Steps", &rows, &STEPS);
}

fn connection(via: &Value, title: &impl Fn(&Value) -> Value) -> String {
    let key = via.get("key").map(view::text).unwrap_or_default();
    let seconds = via.get("seconds").and_then(Value::as_i64).unwrap_or(0);
    let from = via.get("from").map(title).unwrap_or_default();
    format!(
        "same {} as \"{}\", {}",
        key.replace('_', " "),
        view::text(&from),
        apart(seconds)
    )
}

/// A distance in time in words.
fn apart(seconds: i64) -> String {
    let (n, when) = (
        seconds.unsigned_abs(),
        if seconds < 0 { "before" } else { "after" },
    );
    match n {
        0..120 => format!("{n} s {when}"),
        120..7_200 => format!("{} min {when}", n / 60),
        7_200..172_800 => format!("{} h {when}", n / 3_600),
        _ => format!("{} days {when}", n / 86_400),
    }
}

const ENTITIES: [Column; 4] = [
    ("KIND", "/kind"),
    ("PART", "/role"),
    ("NAME", "/name"),
    ("KNOWN BY", "/known_by"),
];

/// An entity with its keys on one line.
fn entity(entity: &Value) -> Value {
    let keys = entity.get("keys").and_then(Value::as_object);
    let known = keys.into_iter().flatten().map(|(kind, values)| {
        let values = view::text(values);
        format!("{} {values}", kind.replace('_', " "))
    });
    json!({
        "kind": entity.get("kind"),
        "role": entity.get("role"),
        "name": entity.get("name"),
        "known_by": known.collect::<Vec<_>>().join("; "),
    })
}

/// Where the alerts' content rests; what rests elsewhere is read there when somebody looks at it.
fn rests(found: &Value, alerts: &[Value], out: &mut String) {
    let elsewhere = found.get("elsewhere").and_then(Value::as_object);
    let here = alerts
        .iter()
        .filter(|a| a.get("is_here") == Some(&json!(true)));
    let _ = write!(
        out,
        "\nWhere the content rests\n  in this region: {} alert(s)\n",
        here.count()
    );
    for (region, n) in elsewhere.into_iter().flatten() {
        let _ = writeln!(
            out,
            "  in region {region}: {n} alert(s), read there by `alert show`"
        );
    }
}

/// Ready-made hunts, each query as it can be pasted.
pub(super) fn hunts(found: &Value) -> String {
    let mut out = String::new();
    for hunt in items(found, "hunts") {
        let text = |name: &str| hunt.get(name).and_then(Value::as_str).unwrap_or_default();
        let place = match text("region") {
            "" => "no region takes its rows".to_owned(),
            region => format!("runs in region {region}"),
        };
        let _ = writeln!(out, "\nHunt: {} ({place})", text("title"));
        for line in text("query").lines() {
            let _ = writeln!(out, "  {}", visible(line));
        }
    }
    out
}

/// A heading and a table below it; nothing if there is nothing.
pub(super) fn section(out: &mut String, heading: &str, rows: &[Value], columns: &[Column]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{heading}");
    for line in view::table(rows, columns).lines() {
        let _ = writeln!(out, "  {line}");
    }
}

pub(super) fn items(value: &Value, name: &str) -> Vec<Value> {
    let found = value.get(name).and_then(Value::as_array);
    found.cloned().unwrap_or_default()
}

/// Entities as `device show` and `user show` list them.
pub(super) fn entity_section(out: &mut String, found: &Value) {
    let entities: Vec<Value> = items(found, "entities").iter().map(entity).collect();
    section(out, "As alerts name it", &entities, &ENTITIES);
}
