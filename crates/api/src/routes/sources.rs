//! Sources of a tenant.

use access::{ManageSources, ReadTenant};
use axum::http::StatusCode;
use cell::SourceRequest;
use model::{Code, SourceId};

use crate::call::{Answer, Call, json};
use crate::convert;
use crate::failure::Failure;
use crate::page::Page;
use crate::wire;

/// List a tenant's sources with what they brought to this region.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/sources", tag = "sources",
    params(("tenant" = String, Path, description = "The tenant's id."), wire::PageQuery),
    responses((status = 200, description = "A page of sources, by id.", body = wire::SourcePage))
)]
pub(crate) async fn list(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadTenant>().await?;
    let list = format!("sources/{}", grant.tenant());
    let page = Page::of(call.cell(), list, &call.query()?)?;
    let mut views = call.cell().sources(&grant);
    views.retain(|view| grant.scope().sources.allows(&view.entry.source));
    let (views, next_page_token) = page.cut(views, |v| v.entry.source.as_bytes().to_vec());
    let sources = views.iter().map(convert::source).collect();
    json(&wire::SourcePage {
        sources,
        next_page_token,
    })
}

/// Show one source with what it brought to this region.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/sources/{source}", tag = "sources",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("source" = String, Path, description = "The source's id."),
    ),
    responses((status = 200, description = "The source.", body = wire::Source))
)]
pub(crate) async fn show(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadTenant>().await?;
    let source: SourceId = call.path_id("source")?;
    let views = call.cell().sources(&grant);
    let own =
        |v: &&cell::SourceView| v.entry.source == source && grant.scope().sources.allows(&source);
    let view = views
        .iter()
        .find(own)
        .ok_or_else(|| Failure::of(Code::NotFound))?;
    json(&convert::source(view))
}

/// Add a source; the tenant's second cells are told.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/sources", tag = "sources",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    request_body = wire::SourceRequest,
    responses((status = 201, description = "The source.", body = wire::Source))
)]
pub(crate) async fn add(mut call: Call) -> Answer {
    let grant = call.tenant_grant::<ManageSources>().await?;
    let request: wire::SourceRequest = call.json().await?;
    let request = SourceRequest {
        name: request.name,
        services: request.services,
        envelope_tenant: request.envelope_tenant,
        domain_controllers: request.domain_controllers,
        source: request.source,
    };
    let view = call.cell().add_source(&grant, request).await?;
    let mut response = json(&convert::source(&view))?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Switch a source off, here and in the tenant's second cells.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/sources/{source}/disable", tag = "sources",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("source" = String, Path, description = "The source's id."),
    ),
    responses((status = 200, description = "The source as it is now.", body = wire::Source))
)]
pub(crate) async fn disable(call: Call) -> Answer {
    switch(call, true).await
}

/// Switch a source on again.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/sources/{source}/enable", tag = "sources",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("source" = String, Path, description = "The source's id."),
    ),
    responses((status = 200, description = "The source as it is now.", body = wire::Source))
)]
pub(crate) async fn enable(call: Call) -> Answer {
    switch(call, false).await
}

async fn switch(call: Call, disabled: bool) -> Answer {
    let grant = call.tenant_grant::<ManageSources>().await?;
    let source: SourceId = call.path_id("source")?;
    grant.check_source(source)?;
    let view = call
        .cell()
        .set_source_disabled(&grant, source, disabled)
        .await?;
    json(&convert::source(&view))
}
