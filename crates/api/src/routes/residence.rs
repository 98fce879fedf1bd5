//! Where a tenant's data rests, why, and what was done with it.

use access::{ReadTenant, ResidencyRead};
use model::{Code, RowId};

use crate::call::{Answer, Call, json};
use crate::convert;
use crate::failure::Failure;
use crate::page::Page;
use crate::wire;

/// Show what rests in this region of a tenant, by service, table and rule.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/residency", tag = "residency",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    responses((status = 200, description = "What rests here.", body = wire::ResidencyReport))
)]
pub(crate) async fn report(call: Call) -> Answer {
    let grant = call.tenant_grant::<ResidencyRead>().await?;
    json(&convert::residency(call.cell().residency_report(&grant)?))
}

/// Say why one record is here.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/residency/explain/{row_id}", tag = "residency",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("row_id" = String, Path, description = "The record's row id, 32 hex digits."),
    ),
    responses((status = 200, description = "The rule that placed it.", body = wire::Explanation))
)]
pub(crate) async fn explain(call: Call) -> Answer {
    let grant = call.tenant_grant::<ResidencyRead>().await?;
    let row: RowId = call.path_id("row_id")?;
    let cell = call.cell().clone();
    // Looks through sealed files: not on a thread that serves others.
    let found = tokio::task::spawn_blocking(move || cell.explain_row(&grant, row)).await;
    let found = found.map_err(|_| Failure::of(Code::Internal))?;
    json(&convert::explanation(found?))
}

/// List what happened to a tenant in this region, oldest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/ledger", tag = "residency",
    params(("tenant" = String, Path, description = "The tenant's id."), wire::PageQuery),
    responses((status = 200, description = "A page of leaves, by sequence.", body = wire::LeafPage))
)]
pub(crate) async fn ledger(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadTenant>().await?;
    let list = format!("ledger/{}", grant.tenant());
    let page = Page::of(call.cell(), list, &call.query()?)?;
    let from = match &page.after {
        None => 0,
        Some(key) => {
            let key = key.as_slice().try_into();
            let last = key.map(u64::from_be_bytes);
            last.map_err(|_| Failure::of(Code::BadPageToken))?
                .saturating_add(1)
        }
    };
    let leaves = call
        .cell()
        .store()
        .leaves(&grant, from, page.limit + 1)
        .await;
    let leaves = leaves.map_err(cell::Error::from)?;
    let (leaves, next_page_token) = page.cut(leaves, |l| l.sequence.to_be_bytes().to_vec());
    json(&wire::LeafPage {
        leaves: leaves.into_iter().map(convert::leaf).collect(),
        next_page_token,
    })
}
