//! `tenant`: planned, provisioned, shown and changed.

use model::{Code, TenantId};
use serde_json::{Value, json};

use super::{show, tenant_id};
use crate::cli::{Facts, Global, Tenant};
use crate::client::{Ask, Client, Reach};
use crate::failure::Failure;
use crate::print;
use crate::view::{self, Column};

const TENANTS: [Column; 7] = [
    ("TENANT", "/tenant"),
    ("NAME", "/name"),
    ("HOME", "/home"),
    ("COUNTRY", "/country"),
    ("GEOGRAPHY", "/geography"),
    ("CENTRE", "/settings/centre"),
    ("FIRST RECORD", "/first_record_at"),
];
const LEAVES: [Column; 6] = [
    ("SEQUENCE", "/sequence"),
    ("AT", "/at"),
    ("ACTOR", "/actor"),
    ("HAPPENING", "/happening"),
    ("REGION", "/region"),
    ("DETAILS", "/details"),
];

pub(crate) fn run(global: &Global, command: Tenant) -> anyhow::Result<i32> {
    let client = Client::connect(global)?;
    match command {
        Tenant::Plan(facts) => plan(global, &client, &facts),
        Tenant::Provision {
            facts,
            name,
            confirm,
            retention_days,
            sharing,
        } => {
            let settings =
                json!({ "retention_days": retention_days, "sharing": sharing_json(&sharing)? });
            let mut body = facts_json(&facts);
            put(&mut body, "name", json!(name));
            put(&mut body, "confirmed", json!(confirm));
            put(&mut body, "settings", settings);
            let plan = client
                .call(&Ask::post("/api/v1/tenants/plan", &facts_json(&facts)))?
                .json()?;
            let home = plan.get("home").and_then(Value::as_str).unwrap_or_default();
            let reply = client.call_region(home, &Ask::post("/api/v1/tenants", &body))?;
            show(global, &reply.json()?)
        }
        Tenant::List => {
            let tenants = client.list(Reach::Cells, "/api/v1/tenants", "tenants")?;
            view::list(global, &tenants, &TENANTS, "no tenants")
        }
        Tenant::Show { tenant } => {
            let id = tenant_id(&tenant)?;
            at_home(
                global,
                &client,
                id,
                &Ask::get(format!("/api/v1/tenants/{id}")),
            )
        }
        Tenant::PlanNewest { tenant } => {
            let id = tenant_id(&tenant)?;
            let ask = Ask::get(format!("/api/v1/tenants/{id}/plan-newest"));
            show_plan(global, &client.call_home(id, &ask)?.json()?)
        }
        Tenant::Ledger { tenant } => {
            let id = tenant_id(&tenant)?;
            let path = format!("/api/v1/tenants/{id}/ledger");
            let leaves = client.list(Reach::Each(id), &path, "leaves")?;
            view::list(global, &leaves, &LEAVES, "nothing happened yet")
        }
        change => change_one(global, &client, change),
    }
}

/// The commands that change a tenant which is there.
fn change_one(global: &Global, client: &Client, command: Tenant) -> anyhow::Result<i32> {
    let (tenant, method, what, body) = match command {
        Tenant::Correct {
            tenant,
            facts,
            confirm,
        } => {
            let mut body = facts_json(&facts);
            put(&mut body, "confirmed", json!(confirm));
            (tenant, "POST", "correct", body)
        }
        Tenant::AcceptRegistry { tenant, confirm } => (
            tenant,
            "POST",
            "accept-registry",
            json!({ "confirmed": confirm }),
        ),
        Tenant::Settings {
            tenant,
            retention_days,
            sharing,
            centre,
            federated_reads,
        } => {
            let sharing = sharing.as_deref().map(sharing_json).transpose()?;
            let fields = [
                ("retention_days", retention_days.map(|v| json!(v))),
                ("sharing", sharing),
                ("centre", centre.map(|v| json!(v))),
                ("federated_reads", federated_reads.map(|v| json!(v))),
            ];
            let mut body = json!({});
            for (name, value) in fields {
                if let Some(value) = value {
                    put(&mut body, name, value);
                }
            }
            if body == json!({}) {
                let failure = Failure::new(Code::BadRequest, "no setting was given to change");
                return Err(failure
                    .with_help("`bailiwick tenant settings --help` lists them")
                    .into());
            }
            (tenant, "PATCH", "settings", body)
        }
        Tenant::Consent { tenant, sharing } => {
            let body = json!({ "sharing": sharing_json(&sharing)? });
            (tenant, "PATCH", "settings", body)
        }
        Tenant::Central { tenant, mode } => {
            (tenant, "PATCH", "settings", json!({ "centre": mode }))
        }
        _ => return Err(Failure::new(Code::BadRequest, "not a change").into()),
    };
    let id = tenant_id(&tenant)?;
    let ask = Ask {
        method,
        ..Ask::post(format!("/api/v1/tenants/{id}/{what}"), &body)
    };
    at_home(global, client, id, &ask)
}

fn at_home(global: &Global, client: &Client, id: TenantId, ask: &Ask) -> anyhow::Result<i32> {
    let tenant = client.call_home(id, ask)?.json()?;
    if let Some(waits) = tenant.get("export_waits_for").and_then(Value::as_str) {
        print::note(&format!(
            "nothing leaves for the centre yet, it waits for {waits}"
        ));
    }
    show(global, &tenant)
}

fn plan(global: &Global, client: &Client, facts: &Facts) -> anyhow::Result<i32> {
    let ask = Ask::post("/api/v1/tenants/plan", &facts_json(facts));
    show_plan(global, &client.call(&ask)?.json()?)
}

/// A plan as the text that is confirmed by its digest; other formats get its fields.
fn show_plan(global: &Global, plan: &Value) -> anyhow::Result<i32> {
    let for_people = global.format.is_none() || view::is_for_people(global);
    match plan.get("rendered").and_then(Value::as_str) {
        Some(text) if for_people => print::out(&format!("{}\n", text.trim_end()))?,
        _ => return show(global, plan),
    }
    Ok(0)
}

fn put(body: &mut Value, name: &str, value: Value) {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn facts_json(facts: &Facts) -> Value {
    let mut body = json!({ "country": facts.country });
    if let (Some(geography), Some(fields)) = (&facts.geography, body.as_object_mut()) {
        fields.insert("geography".to_owned(), json!(geography));
    }
    body
}

/// `none`, `all`, or `a+b,c+d`.
fn sharing_json(text: &str) -> anyhow::Result<Value> {
    if matches!(text, "none" | "all") {
        return Ok(json!(text));
    }
    let pair = |p: &str| {
        let (a, b) = p.split_once('+').ok_or_else(|| {
            Failure::new(Code::BadRequest, format!("`{p}` is not a pair of services"))
                .with_help("write `none`, `all`, or pairs like `endpoint+identity,email+endpoint`")
        })?;
        anyhow::Ok(json!([a, b]))
    };
    let pairs = text
        .split(',')
        .map(pair)
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(json!({ "pairs": pairs }))
}
