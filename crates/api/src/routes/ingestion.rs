//! Sending records.

use access::{Credential, Ingest, Only, Target};
use axum::http::header;
use cell::{Format, IngestRequest};
use model::{Code, SourceId, limits};
use serde_json::Value;

use crate::call::{Answer, Call, json};
use crate::convert;
use crate::failure::Failure;
use crate::wire;

/// Header with a request id of the client's own, so that a retry of plain JSON is stored once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Store records.
///
/// The body is a Defender streaming export, a Windows event log, Windows events as JSON lines, or
/// plain JSON, as it is or compressed (`content-encoding: gzip` or `zstd`). Each record goes its own
/// way: what belongs here is durable when the answer comes, what belongs to another region is
/// neither stored nor forwarded, and what cannot be used is listed with its code. If every record
/// belongs elsewhere the answer is 421.
///
/// A repeated delivery is stored once, by what the source says identifies its records. Plain JSON
/// says nothing: two equal records are two, and a retry is stored once if it carries the same
/// `idempotency-key` (32 hex digits).
#[utoipa::path(
    post, path = "/api/v1/ingest", tag = "records", params(wire::IngestQuery),
    request_body(content = wire::Octets, content_type = "application/octet-stream"),
    responses((status = 200, description = "What became of the records.", body = wire::IngestAnswer))
)]
pub(crate) async fn ingest(mut call: Call) -> Answer {
    let credential = call.credential().await?;
    let tenant = call.own_tenant(&credential)?;
    let query: wire::IngestQuery = call.query()?;
    let source = source_of(&credential, &query)?;
    let grant = {
        let target = Target::tenant(tenant).source(source);
        let target = query
            .table
            .as_ref()
            .map_or(target, |table| target.table(table));
        call.cell().cx().decide::<Ingest>(&credential, target)?
    };
    let format = query.format.as_deref().map(format_of).transpose()?;
    let encoding = call.header(header::CONTENT_ENCODING)?.map(str::to_owned);
    let content_type = call.header(header::CONTENT_TYPE)?.map(str::to_owned);
    let request = match call.header(IDEMPOTENCY_KEY)? {
        None => call.request,
        Some(key) => key
            .parse()
            .map_err(|_| Failure::bad("`idempotency-key` is 32 hex digits"))?,
    };
    let mut body = call.body(limits::REQUEST_BYTES_MAX).await?;
    let request = IngestRequest {
        format,
        encoding,
        content_type,
        raw_table: query.table.clone(),
        time_column: query.time_column.clone(),
        body: std::mem::take(&mut body.bytes),
        request,
        dry_run: query.dry_run,
    };
    let outcome = call.cell().ingest(&grant, source, request).await?;
    // The bytes count as held until here: decoding and committing hold them, too.
    drop(body);
    let all_elsewhere = outcome.is_all_elsewhere();
    let answer = convert::ingest_answer(outcome, &query);
    if all_elsewhere {
        Err(elsewhere(&call, &answer))
    } else {
        json(&answer)
    }
}

fn source_of(credential: &Credential, query: &wire::IngestQuery) -> Result<SourceId, Failure> {
    if let Some(source) = query.source {
        return Ok(source);
    }
    let only = match &credential.scope.sources {
        Only::These(set) if set.len() == 1 => set.first(),
        _ => None,
    };
    only.copied().ok_or_else(|| {
        Failure::bad("the source is not said and the token is not for exactly one").with_help(
            "name it: `--source ID` on the command line, `source=ID` in a request's address",
        )
    })
}

fn format_of(name: &str) -> Result<Format, Failure> {
    Format::parse(name).ok_or_else(|| {
        let names: Vec<_> = Format::ALL.iter().map(|f| f.as_str()).collect();
        Failure::bad("there is no such format").with_help(format!("one of {}", names.join(", ")))
    })
}

/// Nothing of the body belongs here: 421 with the region of its first record, and the answer's members.
fn elsewhere(call: &Call, answer: &wire::IngestAnswer) -> Failure {
    let Some(first) = answer.wrong_region.first() else {
        return Failure::of(Code::Internal);
    };
    let registry = call.cell().registry();
    let known = registry.as_deref().and_then(|r| r.region(&first.region));
    let mut failure = Failure::elsewhere(&first.region, known.and_then(|r| r.url.as_deref()));
    let details = failure
        .details
        .as_deref_mut()
        .and_then(Value::as_object_mut);
    if let (Some(details), Ok(answer)) = (details, serde_json::to_value(answer)) {
        let answer = answer.as_object().cloned().unwrap_or_default();
        details.extend(answer);
    }
    failure
}
