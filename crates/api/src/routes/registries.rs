//! The registry of regions, geographies, services and storage rules.

use access::Operate;
use model::limits;

use crate::call::{Answer, Call, json};
use crate::convert;
use crate::failure::Failure;
use crate::wire;

/// Bytes of the line that stands before a signed document's payload.
const ENVELOPE_BYTES_MAX: usize = 1024;

/// Show the registry accepted last.
#[utoipa::path(
    get, path = "/api/v1/registry", tag = "region", params(wire::RegistryQuery),
    responses((status = 200, description = "The registry.", body = wire::RegistryView))
)]
pub(crate) async fn show(call: Call) -> Answer {
    let _grant = call.cell_grant::<Operate>().await?;
    let query: wire::RegistryQuery = call.query()?;
    let registry = call.cell().registry();
    let registry = registry.ok_or_else(|| Failure::from(cell::Error::NoRegistry))?;
    json(&convert::registry(&registry, query.full)?)
}

/// Accept a signed registry. The one accepted last may be given again.
#[utoipa::path(
    post, path = "/api/v1/registry", tag = "region",
    request_body(content = wire::Octets, content_type = "application/octet-stream"),
    responses((status = 200, description = "Its version and digest.", body = wire::RegistryAccepted))
)]
pub(crate) async fn accept(mut call: Call) -> Answer {
    let grant = call.cell_grant::<Operate>().await?;
    let body = call
        .body(limits::DOCUMENT_BYTES_MAX + ENVELOPE_BYTES_MAX)
        .await?;
    let accepted = call.cell().accept_registry(&grant, &body.bytes).await?;
    json(&wire::RegistryAccepted {
        version: accepted.version,
        digest: accepted.digest.to_string(),
    })
}
