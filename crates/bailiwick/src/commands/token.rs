//! `token`: credentials of a tenant.

use access::{Permission, Permissions};
use model::{Code, Schema, TableName};
use serde_json::json;

use super::{show, tenant_id};
use crate::cli::{Global, Token};
use crate::client::{Ask, Client, Reach, encoded};
use crate::failure::Failure;
use crate::print;
use crate::view::{self, Column};

const TOKENS: [Column; 6] = [
    ("TOKEN", "/token"),
    ("NAME", "/name"),
    ("REGION", "/region"),
    ("PERMISSIONS", "/permissions"),
    ("EXPIRES", "/expires_at"),
    ("REVOKED", "/revoked_at"),
];

pub(crate) fn run(global: &Global, command: Token) -> anyhow::Result<i32> {
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
            check_permissions(&permissions)?;
            check_tables(&tables)?;
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
        Token::Revoke { tenant, token_id } => {
            let tenant = tenant_id(&tenant)?;
            let ask = Ask::delete(format!(
                "/api/v1/tenants/{tenant}/tokens/{}",
                encoded(&token_id)
            ));
            client.call_home(tenant, &ask)?.good()?;
            print::note("revoked");
            Ok(0)
        }
    }
}

/// Permissions of a tenant's token: the operator's is not among them.
fn check_permissions(names: &[String]) -> Result<(), Failure> {
    let known: Vec<&str> = Permissions::TENANT.iter().map(Permission::as_str).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let failure =
                Failure::new(Code::BadRequest, format!("there is no permission `{name}`"));
            Err(failure.with_help(format!("one of {}", known.join(", "))))
        }
    }
}

/// A table outside the schema may come later; one that is misspelt never does.
fn check_tables(names: &[String]) -> Result<(), Failure> {
    for name in names {
        TableName::new(name).map_err(|e| Failure::new(Code::BadRequest, e.to_string()))?;
        if Schema::hunting().table(name).is_none() {
            print::note(&format!(
                "note: `{name}` is not a table of the schema; the token is good for it once records make it"
            ));
        }
    }
    Ok(())
}
