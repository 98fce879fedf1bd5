//! What left, what happened, and what is known of a file, a device or a user.

use access::{Granted, Hunt, ManageRules, ReadAudit, ReadEgress, ReadIncidents};
use cell::{AuditRange, Subject};
use model::{Code, SegmentId};

use crate::call::{Answer, Call, json};
use crate::convert;
use crate::failure::Failure;
use crate::page::Page;
use crate::wire;

/// List what left for the centre, batch by batch, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/egress", tag = "egress",
    params(("tenant" = String, Path, description = "The tenant's id."), wire::PageQuery),
    responses((status = 200, description = "A page of batches.", body = wire::EgressPage))
)]
pub(crate) async fn egress(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadEgress>().await?;
    let list = format!("egress/{}", grant.tenant());
    let page = Page::of(call.cell(), list, &call.query()?)?;
    let before = page.after.as_deref().map(number).transpose()?;
    let found = call.cell().egress(&grant, before, page.limit + 1);
    let mut found = found.await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let last = found.last().filter(|_| more);
    let waiting = call.cell().store().parcel_counts(&grant).await;
    let waiting = waiting.map_err(cell::Error::from)?;
    json(&wire::EgressPage {
        waiting: wire::Waiting {
            batches: waiting.waiting,
            facts: waiting.facts,
            bytes: waiting.bytes,
        },
        next_page_token: last.map(|e| page.token(&e.entry.sequence.to_be_bytes())),
        egress: found.into_iter().map(convert::egress).collect(),
    })
}

/// Show what crossed the tenant link, and what is held back.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/link", tag = "egress",
    params(("tenant" = String, Path, description = "The tenant's id.")),
    responses((status = 200, description = "One entry per region at the other end.", body = wire::LinkPage))
)]
pub(crate) async fn link(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadEgress>().await?;
    let views = call.cell().link_views(&grant).await?;
    json(&wire::LinkPage {
        links: views.into_iter().map(convert::link).collect(),
    })
}

/// Show what left in one batch, column by column.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/egress/{batch}", tag = "egress",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("batch" = String, Path, description = "The batch's id."),
    ),
    responses((status = 200, description = "The batch.", body = wire::Egress))
)]
pub(crate) async fn egress_of(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadEgress>().await?;
    let batch: SegmentId = call.path_id("batch")?;
    let found = call.cell().egress_of(&grant, batch).await?;
    json(&convert::egress(found))
}

/// List what happened to a tenant in this region, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/audit", tag = "audit",
    params(("tenant" = String, Path, description = "The tenant's id."), wire::AuditQuery),
    responses((status = 200, description = "A page of rows.", body = wire::AuditPage))
)]
pub(crate) async fn audit(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadAudit>().await?;
    let (page, range) = part(&call, format!("audit/{}", grant.tenant()))?;
    let store = call.cell().store();
    let rows = store.audit(&grant, range, page.limit + 1).await;
    let may = Readable::of(&call, grant.tenant()).await?;
    audit_page(&page, rows.map_err(cell::Error::from)?, may)
}

/// What of the record is content that the asker may read.
#[derive(Clone, Copy)]
struct Readable {
    /// Who may hunt in all tables reads what was hunted.
    rows: bool,
    /// Who may read incidents reads whose were looked at.
    incidents: bool,
    /// Who manages rules reads what they are called.
    rules: bool,
}

impl Readable {
    async fn of(call: &Call, tenant: model::TenantId) -> Result<Self, Failure> {
        let credential = call.credential().await?;
        let (policy, now) = (&call.cell().cx().policy, call.cell().cx().now());
        let hunt = access::decide::<Hunt>(policy, &credential, tenant, now);
        let incidents = access::decide::<ReadIncidents>(policy, &credential, tenant, now);
        let rules = access::decide::<ManageRules>(policy, &credential, tenant, now);
        let all = |grant: &Granted<Hunt>| grant.scope().tables.covers(&access::Only::All);
        Ok(Self {
            rows: hunt.as_ref().is_ok_and(all),
            incidents: incidents.is_ok(),
            rules: rules.is_ok(),
        })
    }

    /// The row without what the asker may not read; its digests and tokens stay.
    fn cut(self, mut row: wire::AuditRow) -> wire::AuditRow {
        let fine = match row.happening.as_str() {
            "rows_hunted" | "rows_lent" => self.rows,
            "incidents_read" => self.incidents,
            "rule_changed" | "rule_switched" => self.rules,
            _ => true,
        };
        if !fine {
            row.private.clear();
        }
        row
    }
}

/// List what happened to the cell itself, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit",
    params(wire::AuditQuery),
    responses((status = 200, description = "A page of rows.", body = wire::AuditPage))
)]
pub(crate) async fn cell_audit(call: Call) -> Answer {
    let grant = call.cell_grant::<ReadAudit>().await?;
    let (page, range) = part(&call, "audit".to_owned())?;
    let store = call.cell().store();
    let rows = store.cell_audit(&grant, range, page.limit + 1).await;
    let all = Readable {
        rows: true,
        incidents: true,
        rules: true,
    };
    audit_page(&page, rows.map_err(cell::Error::from)?, all)
}

fn part(call: &Call, list: String) -> Result<(Page<'_>, AuditRange), Failure> {
    let query: wire::AuditQuery = call.query()?;
    let paging = wire::PageQuery {
        limit: query.limit,
        page_token: query.page_token,
    };
    let page = Page::of(call.cell(), list, &paging)?;
    let last = page.after.as_deref().map(number).transpose()?;
    let range = AuditRange {
        from: last.map_or(0, |last| last.saturating_add(1)),
        since: query.since,
        until: query.until,
    };
    Ok((page, range))
}

fn audit_page(page: &Page<'_>, rows: Vec<cell::AuditEntry>, may: Readable) -> Answer {
    let (rows, next_page_token) = page.cut(rows, |r| r.leaf.sequence.to_be_bytes().to_vec());
    json(&wire::AuditPage {
        audit: (rows.into_iter())
            .map(|row| may.cut(convert::audit_row(row)))
            .collect(),
        next_page_token,
    })
}

/// Show what the centre's last snapshot says of a file; answered in this region.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/files/{sha256}", tag = "entities",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("sha256" = String, Path, description = "The file's SHA-256, 64 hex digits."),
    ),
    responses((status = 200, description = "The profile.", body = wire::FileProfile))
)]
pub(crate) async fn file(call: Call) -> Answer {
    let grant = call.tenant_grant::<Hunt>().await?;
    let sha256 = call.path("sha256").to_ascii_lowercase();
    let profile = call.cell().file_profile(&grant, &sha256).await?;
    json(&convert::file_profile(sha256, profile))
}

/// Show the alerts and incidents that name a device.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/devices/{device}", tag = "entities",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("device" = String, Path, description = "Its id, its full name, or the first part of it."),
    ),
    responses((status = 200, description = "What is known.", body = wire::EntityDetail))
)]
pub(crate) async fn device(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadIncidents>().await?;
    entity(&call, &grant, Subject::Device, "device").await
}

/// Show the alerts and incidents that name a user.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/users/{user}", tag = "entities",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        (
            "user" = String, Path,
            description = "Address, object id, security identifier or `domain\\name`."
        ),
    ),
    responses((status = 200, description = "What is known.", body = wire::EntityDetail))
)]
pub(crate) async fn user(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadIncidents>().await?;
    entity(&call, &grant, Subject::User, "user").await
}

async fn entity(
    call: &Call,
    grant: &Granted<ReadIncidents>,
    subject: Subject,
    parameter: &str,
) -> Answer {
    let text = call.path(parameter);
    let view = call.cell().entity(grant, subject, text).await?;
    json(&convert::entity_detail(view))
}

fn number(key: &[u8]) -> Result<u64, Failure> {
    let key = key.try_into().map(u64::from_be_bytes);
    key.map_err(|_| Failure::of(Code::BadPageToken))
}
