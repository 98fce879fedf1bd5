//! Alerts and incidents of a tenant.

use access::{Granted, ManageIncidents, ReadIncidents};
use cell::{AlertFilter, Change, IncidentFilter, Update};
use model::{
    AlertId, AlertSeverity, Classification, Code, Determination, IncidentId, IncidentStatus, Ticks,
};

use crate::call::{Answer, Call, json};
use crate::convert;
use crate::failure::Failure;
use crate::page::Page;
use crate::wire;

/// List alerts, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/alerts", tag = "incidents",
    params(("tenant" = String, Path, description = "The tenant's id."), wire::AlertQuery),
    responses((status = 200, description = "A page of alerts.", body = wire::AlertPage))
)]
pub(crate) async fn list(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadIncidents>().await?;
    let query: wire::AlertQuery = call.query()?;
    let list = format!("alerts/{}", grant.tenant());
    let page = Page::of(
        call.cell(),
        list,
        &paging(query.limit, query.page_token.as_ref()),
    )?;
    let filter = AlertFilter {
        from: query.from,
        to: query.to,
        severity_min: word(
            query.severity.as_deref(),
            "severity",
            AlertSeverity::ALL,
            AlertSeverity::as_str,
        )?,
        incident: query.incident.map(IncidentId),
        after: page.after.as_deref().map(after).transpose()?,
        ..AlertFilter::default()
    };
    let mut alerts = call.cell().alerts(&grant, &filter, page.limit + 1).await?;
    let more = alerts.len() > page.limit;
    alerts.truncate(page.limit);
    let last = alerts.last().filter(|_| more).map(|a| {
        let mut key = a.created_at.0.to_be_bytes().to_vec();
        key.extend_from_slice(a.id.as_bytes());
        page.token(&key)
    });
    json(&wire::AlertPage {
        alerts: alerts.iter().map(convert::alert).collect(),
        damaged: damaged(&call, &grant)?,
        next_page_token: last,
    })
}

/// Show one alert with its content, which is read where it rests.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/alerts/{alert}", tag = "incidents",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("alert" = String, Path, description = "The alert's id, 32 hex digits."),
    ),
    responses((status = 200, description = "The alert.", body = wire::AlertDetail))
)]
pub(crate) async fn show(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadIncidents>().await?;
    let alert: AlertId = call.path_id("alert")?;
    json(&convert::alert_detail(
        call.cell().alert(&grant, alert).await?,
    ))
}

/// List incidents, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/incidents", tag = "incidents",
    params(("tenant" = String, Path, description = "The tenant's id."), wire::IncidentQuery),
    responses((status = 200, description = "A page of incidents.", body = wire::IncidentPage))
)]
pub(crate) async fn incidents(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadIncidents>().await?;
    let query: wire::IncidentQuery = call.query()?;
    let list = format!("incidents/{}", grant.tenant());
    let page = Page::of(
        call.cell(),
        list,
        &paging(query.limit, query.page_token.as_ref()),
    )?;
    let filter = IncidentFilter {
        status: word(
            query.status.as_deref(),
            "status",
            IncidentStatus::ALL,
            IncidentStatus::as_str,
        )?,
        severity_min: word(
            query.severity.as_deref(),
            "severity",
            AlertSeverity::ALL,
            AlertSeverity::as_str,
        )?,
        assigned: query.assigned_to,
        updated_since: query.updated_since,
        before: page
            .after
            .as_deref()
            .map(number)
            .transpose()?
            .map(IncidentId),
    };
    let cell = call.cell();
    let mut found = cell.incidents(&grant, &filter, page.limit + 1).await?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let last = found.last().filter(|_| more);
    json(&wire::IncidentPage {
        next_page_token: last.map(|i| page.token(&i.summary.id.0.to_be_bytes())),
        incidents: found.iter().map(convert::incident).collect(),
        damaged: damaged(&call, &grant)?,
    })
}

/// The tenant's rows that lists leave out.
fn damaged(call: &Call, grant: &Granted<ReadIncidents>) -> Result<Vec<wire::DamagedRow>, Failure> {
    let rows = call.cell().store().damaged_rows(grant);
    let rows = rows.map_err(cell::Error::from)?.into_iter();
    let row = |row: cell::DamagedRow| wire::DamagedRow {
        table: row.table.to_owned(),
        number: row.number,
    };
    Ok(rows.map(row).collect())
}

/// Show one incident with its alerts, its path and hunts to go on with.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/incidents/{incident}", tag = "incidents",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("incident" = u64, Path, description = "The incident's number."),
        wire::PageQuery,
    ),
    responses((status = 200, description = "The incident.", body = wire::IncidentDetail))
)]
pub(crate) async fn incident(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadIncidents>().await?;
    let incident: IncidentId = call.path_id("incident")?;
    let list = format!("entities/{}/{incident}", grant.tenant());
    let page = Page::of(call.cell(), list, &call.query()?)?;
    let skip = page.after.as_deref().map(number).transpose()?.unwrap_or(0);
    let skip = usize::try_from(skip).map_err(|_| Failure::of(Code::BadPageToken))?;
    let cell = call.cell();
    let found = cell
        .incident_part(&grant, incident, skip, page.limit)
        .await?;
    let seen = skip.saturating_add(found.entities.len());
    let next = (seen < found.entities_found).then(|| u64::try_from(seen).ok());
    let next = next.flatten().map(|seen| page.token(&seen.to_be_bytes()));
    json(&convert::incident_detail(found, next))
}

/// Change an incident: all of it or nothing.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}/incidents/{incident}", tag = "incidents",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("incident" = u64, Path, description = "The incident's number."),
    ),
    request_body = wire::IncidentChange,
    responses((status = 200, description = "The incident as it is now.", body = wire::Incident))
)]
pub(crate) async fn change(mut call: Call) -> Answer {
    let grant = call.tenant_grant::<ManageIncidents>().await?;
    let incident: IncidentId = call.path_id("incident")?;
    let asked: wire::IncidentChange = call.json().await?;
    let change = changed(asked)?;
    let view = call
        .cell()
        .change_incident(&grant, incident, change)
        .await?;
    json(&convert::incident(&view))
}

/// List what was done to an incident, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/incidents/{incident}/activity", tag = "incidents",
    params(
        ("tenant" = String, Path, description = "The tenant's id."),
        ("incident" = u64, Path, description = "The incident's number."),
        wire::PageQuery,
    ),
    responses((status = 200, description = "A page of entries.", body = wire::ActivityPage))
)]
pub(crate) async fn activity(call: Call) -> Answer {
    let grant = call.tenant_grant::<ReadIncidents>().await?;
    let incident: IncidentId = call.path_id("incident")?;
    let list = format!("activity/{}/{incident}", grant.tenant());
    let page = Page::of(call.cell(), list, &call.query()?)?;
    let from = page.after.as_deref().map(number).transpose()?.unwrap_or(0);
    let cell = call.cell();
    let entries = cell.incident_activity(&grant, incident, from, page.limit + 1);
    let (entries, next_page_token) =
        page.cut(entries.await?, |e| e.sequence.to_be_bytes().to_vec());
    json(&wire::ActivityPage {
        activity: entries.into_iter().map(convert::activity).collect(),
        next_page_token,
    })
}

fn changed(asked: wire::IncidentChange) -> Result<Change, Failure> {
    let wire::IncidentChange {
        link,
        unlink,
        merge,
        ..
    } = &asked;
    let moves = usize::from(link.is_some()) + usize::from(unlink.is_some());
    let moves = moves + usize::from(!merge.is_empty());
    let update = Update {
        status: word(
            asked.status.as_deref(),
            "status",
            IncidentStatus::ALL,
            IncidentStatus::as_str,
        )?,
        assigned: asked.assigned_to.clone().map(unless_empty),
        classification: word(
            asked.classification.as_deref(),
            "classification",
            Classification::ALL,
            Classification::as_str,
        )?,
        determination: word(
            asked.determination.as_deref(),
            "determination",
            Determination::ALL,
            Determination::as_str,
        )?,
        severity: match asked.severity.as_deref() {
            None => None,
            Some("") => Some(None),
            text => Some(word(
                text,
                "severity",
                AlertSeverity::ALL,
                AlertSeverity::as_str,
            )?),
        },
        name: asked.name.clone().map(unless_empty),
        add_tags: asked.add_tags.clone(),
        remove_tags: asked.remove_tags.clone(),
        comment: asked.comment.clone(),
    };
    let updates = update != Update::default();
    match (moves, updates) {
        (0, true) => Ok(Change::Update(Box::new(update))),
        (0, false) => Err(Failure::bad("nothing to change was named")),
        (1, false) => Ok(match (link, unlink) {
            (Some(alert), _) => Change::Link(*alert),
            (_, Some(alert)) => Change::Unlink(*alert),
            _ => Change::Merge(merge.clone()),
        }),
        _ => Err(Failure::bad("`link`, `unlink` and `merge` stand alone")),
    }
}

fn unless_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A word of a fixed list, whatever its case.
fn word<T: Copy>(
    text: Option<&str>,
    name: &str,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Failure> {
    let known = |text: &str| {
        let same = |v: &T| as_str(*v).eq_ignore_ascii_case(text);
        all.iter().copied().find(same).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|v| as_str(*v)).collect();
            Failure::bad(format!("no such {name}"))
                .with_help(format!("one of {}", names.join(", ")))
        })
    };
    text.map(known).transpose()
}

fn paging(limit: Option<usize>, page_token: Option<&String>) -> wire::PageQuery {
    wire::PageQuery {
        limit,
        page_token: page_token.cloned(),
    }
}

fn number(key: &[u8]) -> Result<u64, Failure> {
    let key = key.try_into().map(u64::from_be_bytes);
    key.map_err(|_| Failure::of(Code::BadPageToken))
}

fn after(key: &[u8]) -> Result<(Ticks, AlertId), Failure> {
    let bad = || Failure::of(Code::BadPageToken);
    let (at, id) = key.split_first_chunk::<8>().ok_or_else(bad)?;
    let id: [u8; 16] = id.try_into().map_err(|_| bad())?;
    Ok((Ticks(i64::from_be_bytes(*at)), AlertId::from_bytes(id)))
}
