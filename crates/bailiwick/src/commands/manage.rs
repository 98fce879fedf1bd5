//! `tenant`, `source` and `token`.

use model::Code;
use serde_json::{Value, json};

use super::{show, tenant_id};
use crate::cli::{Facts, Global, Source, Tenant, Token};
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
const SOURCES: [Column; 10] = [
    ("SOURCE", "/source"),
    ("NAME", "/name"),
    ("REGION", "/region"),
    ("SERVICES", "/services"),
    ("DISABLED", "/disabled"),
    ("STORED", "/counts/stored"),
    ("RAW", "/counts/raw"),
    ("REPEATED", "/counts/duplicate"),
    ("REJECTED", "/counts/rejected"),
    ("WRONG REGION", "/counts/wrong_region"),
];
const TOKENS: [Column; 6] = [
    ("TOKEN", "/token"),
    ("NAME", "/name"),
    ("REGION", "/region"),
    ("PERMISSIONS", "/permissions"),
    ("EXPIRES", "/expires_at"),
    ("REVOKED", "/revoked_at"),
];

pub(crate) fn tenant(global: &Global, command: Tenant) -> anyhow::Result<i32> {
    let client = Client::connect(global)?;
    match command {
        Tenant::Plan(facts) => {
            let plan = client
                .call(&Ask::post("/api/v1/tenants/plan", &facts_json(&facts)))?
                .json()?;
            match plan.get("rendered").and_then(Value::as_str) {
                Some(text) if global.format.is_none() => {
                    print::out(&format!("{}\n", text.trim_end()))?;
                }
                _ => return show(global, &plan),
            }
            Ok(0)
        }
        Tenant::Provision {
            facts,
            name,
            confirm,
            retention_days,
            sharing,
        } => {
            let mut body = facts_json(&facts);
            if let Some(fields) = body.as_object_mut() {
                fields.insert("name".to_owned(), json!(name));
                let sharing = sharing_json(&sharing)?;
                let settings = json!({ "retention_days": retention_days, "sharing": sharing });
                fields.insert("confirmed".to_owned(), json!(confirm));
                fields.insert("settings".to_owned(), settings);
            }
            let plan = client
                .call(&Ask::post("/api/v1/tenants/plan", &facts_json(&facts)))?
                .json()?;
            let home = plan.get("home").and_then(Value::as_str).unwrap_or_default();
            show(
                global,
                &client
                    .call_region(home, &Ask::post("/api/v1/tenants", &body))?
                    .json()?,
            )
        }
        Tenant::List => {
            let tenants = client.list(Reach::Cells, "/api/v1/tenants", "tenants")?;
            view::list(global, &tenants, &TENANTS, "no tenants")
        }
        Tenant::Show { tenant } => {
            let tenant = tenant_id(&tenant)?;
            show(
                global,
                &client
                    .call_home(tenant, &Ask::get(format!("/api/v1/tenants/{tenant}")))?
                    .json()?,
            )
        }
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

pub(crate) fn source(global: &Global, command: Source) -> anyhow::Result<i32> {
    let client = Client::connect(global)?;
    match command {
        Source::Add {
            tenant,
            name,
            services,
            envelope_tenant,
            domain_controllers,
        } => {
            let tenant = tenant_id(&tenant)?;
            let body = json!({
                "name": name,
                "services": services,
                "envelope_tenant": envelope_tenant,
                "domain_controllers": domain_controllers,
            });
            let ask = Ask::post(format!("/api/v1/tenants/{tenant}/sources"), &body);
            show(global, &client.call_home(tenant, &ask)?.json()?)
        }
        Source::List { tenant } => {
            let tenant = tenant_id(&tenant)?;
            let path = format!("/api/v1/tenants/{tenant}/sources");
            let sources = client.list(Reach::Each(tenant), &path, "sources")?;
            view::list(global, &sources, &SOURCES, "no sources")
        }
        Source::Show { tenant, source } => {
            let tenant = tenant_id(&tenant)?;
            let ask = Ask::get(format!("/api/v1/tenants/{tenant}/sources/{source}"));
            show(global, &client.call_home(tenant, &ask)?.json()?)
        }
        Source::Disable { tenant, source } => {
            let tenant = tenant_id(&tenant)?;
            let path = format!("/api/v1/tenants/{tenant}/sources/{source}/disable");
            show(
                global,
                &client
                    .call_home(tenant, &Ask::post(path, &Value::Null))?
                    .json()?,
            )
        }
    }
}

pub(crate) fn token(global: &Global, command: Token) -> anyhow::Result<i32> {
    let client = Client::connect(global)?;
    match command {
        Token::Create {
            tenant,
            name,
            permissions,
            sources,
            tables,
            days,
        } => {
            let tenant = tenant_id(&tenant)?;
            let mut body = json!({ "name": name, "permissions": permissions, "days": days });
            if let Some(fields) = body.as_object_mut() {
                let only = [("sources", sources), ("tables", tables)];
                for (field, values) in only.into_iter().filter(|(_, v)| !v.is_empty()) {
                    fields.insert(field.to_owned(), json!(values));
                }
            }
            let ask = Ask::post(format!("/api/v1/tenants/{tenant}/tokens"), &body);
            let minted = client.call_home(tenant, &ask)?.json()?;
            print::note("The token is shown only now.");
            show(global, &minted)
        }
        Token::List { tenant } => {
            let tenant = tenant_id(&tenant)?;
            let path = format!("/api/v1/tenants/{tenant}/tokens");
            let tokens = client.list(Reach::Each(tenant), &path, "tokens")?;
            view::list(global, &tokens, &TOKENS, "no tokens")
        }
        Token::Revoke { tenant, token } => {
            let tenant = tenant_id(&tenant)?;
            let ask = Ask::delete(format!("/api/v1/tenants/{tenant}/tokens/{token}"));
            client.call_home(tenant, &ask)?.good()?;
            print::note("revoked");
            Ok(0)
        }
    }
}
