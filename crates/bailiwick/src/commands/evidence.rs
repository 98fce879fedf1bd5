//! `device`, `user`, `file`, `egress`, `audit`: what is known, what left, what happened.

use std::fmt::Write as _;

use model::Code;
use serde_json::Value;

use super::incidents::{ALERTS, INCIDENTS, entity_section, hunts, items, section};
use super::{show, tenant_id};
use crate::cli::{Audit, Device, Egress, File, Global, User};
use crate::client::{Ask, Client, Reach, encoded, query};
use crate::failure::Failure;
use crate::print;
use crate::view::{self, Column};

const EGRESS: [Column; 8] = [
    ("AT", "/at"),
    ("REGION", "/region"),
    ("BATCH", "/batch"),
    ("OUTCOME", "/outcome"),
    ("ROWS", "/rows"),
    ("FACTS", "/facts"),
    ("BYTES", "/bytes"),
    ("ACKNOWLEDGED", "/acknowledged_at"),
];
const LEFT: [Column; 4] = [
    ("TABLE", "/table"),
    ("COLUMN", "/column"),
    ("FORM", "/transform"),
    ("FACTS", "/facts"),
];
const AUDIT: [Column; 7] = [
    ("SEQUENCE", "/sequence"),
    ("AT", "/at"),
    ("REGION", "/region"),
    ("WHO", "/actor"),
    ("WHAT", "/happening"),
    ("DETAILS", "/details"),
    ("PRIVATE", "/private"),
];

pub(crate) fn device(global: &Global, command: Device) -> anyhow::Result<i32> {
    let Device::Show { tenant, device } = command;
    entity(global, &tenant, "devices", &device)
}

pub(crate) fn user(global: &Global, command: User) -> anyhow::Result<i32> {
    let User::Show { tenant, user } = command;
    entity(global, &tenant, "users", &user)
}

fn entity(global: &Global, tenant: &str, what: &str, name: &str) -> anyhow::Result<i32> {
    let tenant = tenant_id(tenant)?;
    let client = Client::connect(global)?;
    let ask = Ask::get(format!("/api/v1/tenants/{tenant}/{what}/{}", encoded(name)));
    let found = client.call_home(tenant, &ask)?.json()?;
    if !view::is_for_people(global) {
        return show(global, &found);
    }
    print::out(&known(name, &found))?;
    Ok(0)
}

/// What is known of a device or user, as people read it.
fn known(name: &str, found: &Value) -> String {
    let mut out = String::new();
    let alerts = found.get("alerts_found").and_then(Value::as_u64);
    let alerts = alerts.unwrap_or(0);
    // Writing to a text cannot fail.
    let _ = writeln!(
        out,
        "{}: {} alert(s) name it",
        print::visible(name),
        print::number(alerts)
    );
    if found.get("is_cut").and_then(Value::as_bool) == Some(true) {
        let _ = writeln!(out, "older alerts were not looked through");
    }
    entity_section(&mut out, found);
    section(
        &mut out,
        "Incidents",
        &items(found, "incidents"),
        &INCIDENTS,
    );
    section(&mut out, "Alerts", &items(found, "alerts"), &ALERTS);
    out.push_str(&hunts(found));
    out
}

pub(crate) fn file(global: &Global, command: File) -> anyhow::Result<i32> {
    let File::Show { tenant, sha256 } = command;
    let tenant = tenant_id(&tenant)?;
    let client = Client::connect(global)?;
    let ask = Ask::get(format!(
        "/api/v1/tenants/{tenant}/files/{}",
        encoded(&sha256)
    ));
    let profile = client.call_home(tenant, &ask)?.json()?;
    if view::is_for_people(global) && profile.get("snapshot").is_none() {
        print::note("no snapshot of the centre was pulled yet: nothing is known beyond the tenant");
    }
    show(global, &profile)
}

pub(crate) fn egress(global: &Global, command: Egress) -> anyhow::Result<i32> {
    let client = Client::connect(global)?;
    match command {
        Egress::List { tenant } => {
            let tenant = tenant_id(&tenant)?;
            let path = format!("/api/v1/tenants/{tenant}/egress");
            let batches = client.list(Reach::Each(tenant), &path, "egress")?;
            let code = view::list(global, &batches, &EGRESS, "nothing left")?;
            if view::is_for_people(global) {
                let sum = |name: &str| {
                    let each = batches.iter().filter_map(|b| b.get(name)?.as_u64());
                    each.sum::<u64>()
                };
                print::note(&format!(
                    "{} fact(s), {} byte(s) left in all",
                    print::number(sum("facts")),
                    print::number(sum("bytes"))
                ));
                let path = format!("/api/v1/tenants/{tenant}/link");
                for link in client.list(Reach::Each(tenant), &path, "links")? {
                    print::note(&of_link(&link));
                }
            }
            Ok(code)
        }
        Egress::Show { tenant, batch } => {
            let tenant = tenant_id(&tenant)?;
            let ask = Ask::get(format!(
                "/api/v1/tenants/{tenant}/egress/{}",
                encoded(&batch)
            ));
            // A batch left one region; the others do not know it.
            let replies = client.call_each(Some(tenant), &ask)?;
            let found = replies.values().find(|r| r.status == 200);
            let reply = found.or(replies.values().next()).cloned();
            let none = || Failure::new(Code::NotFound, "no such batch");
            let batch = reply.ok_or_else(none)?.json()?;
            if !view::is_for_people(global) {
                return show(global, &batch);
            }
            print::out(&left(&batch))?;
            Ok(0)
        }
    }
}

/// What crossed the tenant link, or does not, in a sentence.
fn of_link(link: &Value) -> String {
    let n = |name: &str| link.get(name).and_then(Value::as_u64);
    let text = |name: &str| print::visible(link.get(name).and_then(Value::as_str).unwrap_or("?"));
    let held_back = print::number(n("held_back").unwrap_or(0));
    match n("entries") {
        Some(entries) => format!(
            "tenant link to {}: {} alert(s) without content, {} byte(s), {} waiting; {held_back} held back by the cap per rule and day",
            text("with"),
            print::number(entries),
            print::number(n("bytes").unwrap_or(0)),
            print::number(n("waiting").unwrap_or(0)),
        ),
        None => format!(
            "tenant link from {}: {held_back} alert(s) stay there, by the cap per rule and day",
            text("with")
        ),
    }
}

/// A batch, and column by column what it held.
fn left(batch: &Value) -> String {
    let mut out = String::new();
    let text = |at: &str| view::text(batch.pointer(at).unwrap_or(&Value::Null));
    // Writing to a text cannot fail.
    let _ = writeln!(
        out,
        "batch {} {} {}\n{} row(s) looked at, {} fact(s) left in {} byte(s)",
        text("/batch"),
        text("/outcome"),
        text("/at"),
        text("/rows"),
        text("/facts"),
        text("/bytes"),
    );
    let Some(receipt) = batch.get("receipt").filter(|r| !r.is_null()) else {
        out.push_str("nothing left, so there is no receipt\n");
        return out;
    };
    let _ = writeln!(
        out,
        "receipt of region {}, epoch {}, allow-list version {} ({})\nSHA-256 of what left {}",
        text("/receipt/region"),
        text("/receipt/epoch"),
        text("/receipt/allow_list_version"),
        text("/receipt/allow_list_digest"),
        text("/receipt/digest"),
    );
    section(&mut out, "What left", &items(receipt, "left"), &LEFT);
    out
}

pub(crate) fn audit(global: &Global, command: Audit) -> anyhow::Result<i32> {
    let Audit::List {
        tenant,
        since,
        until,
    } = command;
    let client = Client::connect(global)?;
    let (reach, path) = match tenant {
        Some(tenant) => {
            let tenant = tenant_id(&tenant)?;
            let path = format!("/api/v1/tenants/{tenant}/audit");
            (Reach::Each(tenant), path)
        }
        None => (Reach::Cells, "/api/v1/audit".to_owned()),
    };
    let bounds = [("since", since.as_deref()), ("until", until.as_deref())];
    let rows = client.list(reach, &query(&path, &bounds), "audit")?;
    view::list(global, &rows, &AUDIT, "nothing happened")
}
