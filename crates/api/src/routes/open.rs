//! What needs no token: which region this is, whether it serves, the interface's description, and
//! what other cells bring under their own signature.

use std::sync::LazyLock;

use access::Operate;
use axum::body::Bytes;
use axum::http::Response;
use model::{RegionCode, limits};

use crate::call::{Answer, Call, json, text};
use crate::failure::Failure;
use crate::wire;

/// Header in which a cell says which region's it is.
const HOME: &str = "x-bailiwick-home";

/// Bytes of the line that stands before a signed document's payload.
const ENVELOPE_BYTES_MAX: usize = 1024;

/// Say which region this is.
#[utoipa::path(
    get, path = "/api/v1/region", tag = "region",
    responses((status = 200, description = "The region; nothing of any tenant.", body = wire::RegionView))
)]
pub(crate) async fn region(call: Call) -> Answer {
    let cell = call.cell();
    let registry = cell.registry();
    let own = registry.as_deref().and_then(|r| r.region(cell.region()));
    json(&wire::RegionView {
        region: cell.region().clone(),
        geography: cell.geography().clone(),
        country: own.map(|r| r.country.to_string()),
        registry_version: registry.as_deref().map(cell::Registry::version),
        cell_key: cell.public_key().to_string(),
        note: call.api.options.note.clone(),
    })
}

/// Describe this interface.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "region",
    responses((status = 200, description = "An OpenAPI document.", body = Object))
)]
pub(crate) async fn openapi(_call: Call) -> Answer {
    // The same text for the same program, so it is made once.
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| crate::openapi().into());
    Ok(text("application/json", TEXT.clone()))
}

/// Say whether the cell serves.
#[utoipa::path(
    get, path = "/healthz", tag = "region",
    responses((status = 200, description = "It does.", body = wire::Health))
)]
pub(crate) async fn health(call: Call) -> Answer {
    json(&wire::Health {
        status: "ok".to_owned(),
        region: call.cell().region().clone(),
    })
}

/// Show the cell's figures, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "region",
    responses((status = 200, description = "The figures.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(call: Call) -> Answer {
    if !call.api.options.metrics_open {
        let _grant = call.cell_grant::<Operate>().await?;
    }
    Ok(text(
        "text/plain; version=0.0.4",
        call.cell().cx().metrics.render(),
    ))
}

/// Take a cell profile from a tenant's home cell. The document's signature says whose it is; no
/// token is asked for.
#[utoipa::path(
    post, path = "/api/v1/peers/profile", tag = "peers",
    params(("x-bailiwick-home" = String, Header, description = "The region whose cell signed the profile.")),
    request_body(content = wire::Octets, content_type = "application/octet-stream"),
    responses((status = 204, description = "It is kept."))
)]
pub(crate) async fn accept_profile(mut call: Call) -> Answer {
    let home = call
        .header(HOME)?
        .ok_or_else(|| Failure::bad("the header `x-bailiwick-home` is missing"))?;
    let home = RegionCode::new(home).map_err(|e| Failure::bad(e.to_string()))?;
    let body = call
        .body(limits::DOCUMENT_BYTES_MAX + ENVELOPE_BYTES_MAX)
        .await?;
    call.cell().accept_profile(&home, &body.bytes).await?;
    let mut response = Response::default();
    *response.status_mut() = axum::http::StatusCode::NO_CONTENT;
    Ok(response)
}
