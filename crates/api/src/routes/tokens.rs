//! API tokens of a tenant.

use access::ManageTokens;
use axum::http::StatusCode;
use cell::TokenRequest;
use model::TokenId;

use crate::call::{Answer, Call, json};
use crate::convert;
use crate::page::Page;
use crate::wire;

/// List a tenant's tokens, without their secrets; revoked and expired ones too.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/tokens", tag = "tokens",
    params(("tenant" = String, Path, description = "The tenant's id."), wire::PageQuery),
    responses((status = 200, description = "A page of tokens, by id.", body = wire::TokenPage))
)]
pub(crate) async fn list(call: Call) -> Answer {
    let grant = call.tenant_grant::<ManageTokens>().await?;
    let list = format!("tokens/{}", grant.tenant());
    let page = Page::of(call.cell(), list, &call.query()?)?;
    let mut entries = call.cell().tokens(&grant).await?;
    entries.sort_by_key(|entry| entry.token);
    let (entries, next_page_token) = page.cut(entries, |e| e.token.as_bytes().to_vec());
    let tokens = entries.iter().map(convert::token).collect();
    json(&wire::TokenPage {
        tokens,
        next_page_token,
    })
}

/// Mint a token. Its secret is shown this once.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/tokens", tag = "tokens",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    request_body = wire::TokenRequest,
    responses((status = 201, description = "The token and its secret.", body = wire::MintedToken))
)]
pub(crate) async fn mint(mut call: Call) -> Answer {
    let grant = call.tenant_grant::<ManageTokens>().await?;
    let request: wire::TokenRequest = call.json().await?;
    let scope = convert::scope(&request);
    grant.check_mint(&scope)?;
    let request = TokenRequest {
        name: request.name,
        scope,
        days: request.days,
    };
    let minted = call.cell().mint_token(&grant, request).await?;
    let mut response = json(&wire::MintedToken {
        token: convert::token(&minted.entry),
        secret: minted.text.as_str().to_owned(),
    })?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Take a token back; it opens nothing from now on.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/tokens/{token}", tag = "tokens",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("token" = String, Path, description = "The token's id."),
    ),
    responses((status = 204, description = "It is taken back."))
)]
pub(crate) async fn revoke(call: Call) -> Answer {
    let grant = call.tenant_grant::<ManageTokens>().await?;
    let token: TokenId = call.path_id("token")?;
    call.cell().revoke_token(&grant, token).await?;
    let mut response = axum::http::Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
