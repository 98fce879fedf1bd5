//! `source`: what may bring a tenant's records.

use model::Code;
use serde_json::{Value, json};

use super::{show, tenant_id};
use crate::cli::{Global, Source};
use crate::client::{Ask, Client, Reach, encoded};
use crate::failure::Failure;
use crate::view::{self, Column};

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

pub(crate) fn run(global: &Global, command: Source) -> anyhow::Result<i32> {
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
            if let Some(guid) = &envelope_tenant {
                guid_only(guid)?;
            }
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
            let sources: Vec<Value> = sources.into_iter().map(named).collect();
            view::list(global, &sources, &SOURCES, "no sources")
        }
        Source::Show { tenant, source } => {
            let tenant = tenant_id(&tenant)?;
            let ask = Ask::get(format!(
                "/api/v1/tenants/{tenant}/sources/{}",
                encoded(&source)
            ));
            show(global, &client.call_home(tenant, &ask)?.json()?)
        }
        Source::Disable { tenant, source } => switch(global, &client, &tenant, &source, "disable"),
        Source::Enable { tenant, source } => switch(global, &client, &tenant, &source, "enable"),
    }
}

fn switch(
    global: &Global,
    client: &Client,
    tenant: &str,
    source: &str,
    what: &str,
) -> anyhow::Result<i32> {
    let tenant = tenant_id(tenant)?;
    let path = format!(
        "/api/v1/tenants/{tenant}/sources/{}/{what}",
        encoded(source)
    );
    let reply = client.call_home(tenant, &Ask::post(path, &Value::Null))?;
    show(global, &reply.json()?)
}

/// Envelopes carry a tenant's guid: anything else would refuse every record.
fn guid_only(text: &str) -> Result<(), Failure> {
    let is_guid = text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        });
    if is_guid {
        return Ok(());
    }
    let message = format!("`{text}` is not a tenant id of envelopes");
    Err(Failure::new(Code::BadRequest, message)
        .with_help("it is a guid, like `11111111-2222-4333-8444-555555555555`, as the records have it in `tenantId`"))
}

/// A source is named in its tenant's home only.
fn named(mut source: Value) -> Value {
    let is_nameless = source.get("name").is_none_or(|n| n.is_null() || n == "");
    if let (true, Some(fields)) = (is_nameless, source.as_object_mut()) {
        fields.insert("name".to_owned(), "(named at home)".into());
    }
    source
}
