//! What needs no token: which region this is, whether it serves, and the interface's description.

use std::sync::LazyLock;

use access::Operate;
use axum::body::Bytes;

use crate::call::{Answer, Call, json, text};
use crate::wire;

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
        // Of whom and why is for those who may know: the metrics and `tenant show`.
        detection: match call.cell().tenants_failing() {
            0 => "ok",
            _ => "failing",
        }
        .to_owned(),
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
