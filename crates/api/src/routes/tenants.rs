//! Tenants: planned, provisioned, changed.

use access::{AdministerTenant, Maintain, Operate, ReadTenant};
use axum::http::StatusCode;
use cell::ProvisionRequest;

use crate::call::{Answer, Call, json};
use crate::convert;
use crate::failure::Failure;
use crate::page::Page;
use crate::wire;

/// List the tenants of this region.
#[utoipa::path(
    get, path = "/api/v1/tenants", tag = "tenants", params(wire::PageQuery),
    responses((status = 200, description = "A page of tenants, by id.", body = wire::TenantPage))
)]
pub(crate) async fn list(call: Call) -> Answer {
    let grant = call.cell_grant::<Operate>().await?;
    let page = Page::of(call.cell(), "tenants".to_owned(), &call.query()?)?;
    let (views, next_page_token) = page.cut(call.cell().tenants(&grant), |t| {
        t.tenant.as_bytes().to_vec()
    });
    let tenants = views.iter().map(convert::tenant).collect();
    json(&wire::TenantPage {
        tenants,
        next_page_token,
    })
}

/// Show where a tenant's data would rest, without changing anything.
#[utoipa::path(
    post, path = "/api/v1/tenants/plan", tag = "tenants", request_body = wire::PlanRequest,
    responses((status = 200, description = "The plan, with the digest that confirms it.", body = wire::Plan))
)]
pub(crate) async fn plan(mut call: Call) -> Answer {
    let grant = call.cell_grant::<Operate>().await?;
    let request: wire::PlanRequest = call.json().await?;
    let registry = call.cell().registry();
    let facts = convert::facts(
        registry.as_deref(),
        &request.country,
        request.geography.as_ref(),
    )?;
    let plan = call.cell().plan(&grant, &facts)?;
    let registry = registry.ok_or_else(|| Failure::from(cell::Error::NoRegistry))?;
    json(&convert::plan(&registry, &plan))
}

/// Provision a tenant whose home is this region, with the plan that was shown.
#[utoipa::path(
    post, path = "/api/v1/tenants", tag = "tenants", request_body = wire::ProvisionRequest,
    responses((status = 201, description = "The tenant.", body = wire::Tenant))
)]
pub(crate) async fn provision(mut call: Call) -> Answer {
    let grant = call.cell_grant::<Operate>().await?;
    let request: wire::ProvisionRequest = call.json().await?;
    let registry = call.cell().registry();
    let request = ProvisionRequest {
        facts: convert::facts(
            registry.as_deref(),
            &request.country,
            request.geography.as_ref(),
        )?,
        name: request.name,
        confirmed: convert::digest(&request.confirmed)?,
        settings: convert::settings_in(request.settings)?,
        tenant: request.tenant,
    };
    let view = call.cell().provision(&grant, request).await?;
    let mut response = json(&convert::tenant(&view))?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Show one tenant.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}", tag = "tenants",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The tenant.", body = wire::Tenant))
)]
pub(crate) async fn show(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadTenant>().await?;
    let health = call.cell().detection_health(&grant);
    json(&wire::Tenant {
        detection: Some(convert::detection(&health)),
        ..convert::tenant(&call.cell().tenant(&grant)?)
    })
}

/// Put country and geography right before the first record.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/correct", tag = "tenants",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    request_body = wire::Correction,
    responses((status = 200, description = "The tenant as it is now.", body = wire::Tenant))
)]
pub(crate) async fn correct(mut call: Call) -> Answer {
    let grant = call.tenant_grant::<AdministerTenant>().await?;
    let request: wire::Correction = call.json().await?;
    let registry = call.cell().registry();
    let facts = convert::facts(
        registry.as_deref(),
        &request.country,
        request.geography.as_ref(),
    )?;
    let confirmed = convert::digest(&request.confirmed)?;
    let view = call
        .cell()
        .correct_tenant(&grant, &facts, confirmed)
        .await?;
    json(&convert::tenant(&view))
}

/// Show what accepting the newest registry would change.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/plan-newest", tag = "tenants",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The plan, with the digest that confirms it.", body = wire::Plan))
)]
pub(crate) async fn plan_newest(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadTenant>().await?;
    let plan = call.cell().plan_newest(&grant)?;
    let registry = call.cell().registry();
    let registry = registry.ok_or_else(|| Failure::from(cell::Error::NoRegistry))?;
    json(&convert::plan(&registry, &plan))
}

/// Let the tenant's new records follow the newest registry, with the plan that was shown.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/accept-registry", tag = "tenants",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    request_body = wire::Confirmed,
    responses((status = 200, description = "The tenant as it is now.", body = wire::Tenant))
)]
pub(crate) async fn accept_registry(mut call: Call) -> Answer {
    let grant = call.tenant_grant::<AdministerTenant>().await?;
    let request: wire::Confirmed = call.json().await?;
    let confirmed = convert::digest(&request.confirmed)?;
    let view = call.cell().accept_newest(&grant, confirmed).await?;
    json(&convert::tenant(&view))
}

/// Change retention, consent, or what the centre may be told; what is absent stays.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}/settings", tag = "tenants",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    request_body = wire::SettingsChange,
    responses((status = 200, description = "The tenant as it is now.", body = wire::Tenant))
)]
pub(crate) async fn change_settings(mut call: Call) -> Answer {
    let grant = call.tenant_grant::<AdministerTenant>().await?;
    let change: wire::SettingsChange = call.json().await?;
    let change = convert::change(change)?;
    let view = call.cell().change_settings(&grant, change).await?;
    json(&convert::tenant(&view))
}

/// Move what is in the log only into sealed files now.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/flush", tag = "tenants",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    responses((status = 200, description = "What was written.", body = wire::FlushReport))
)]
pub(crate) async fn flush(call: Call) -> Answer {
    let grant = call.tenant_grant::<Maintain>().await?;
    let report = call.cell().flush(&grant).await?;
    json(&wire::FlushReport {
        segments: report.flushed_segments,
        rows: report.flushed_rows,
        bytes: report.flushed_bytes,
    })
}
