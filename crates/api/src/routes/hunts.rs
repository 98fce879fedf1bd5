//! Hunting.

use std::sync::Arc;

use access::Hunt;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue};
use cell::{HuntAnswer, HuntOptions};
use futures::{Stream, StreamExt as _, stream};
use model::Code;

use crate::call::{Answer, Call, json, text};
use crate::failure::Failure;
use crate::{hunting, present, wire};

/// Whether rows were left out, where the form of the answer has no other place for it.
const PARTIAL: HeaderName = HeaderName::from_static("bailiwick-partial");

/// Run a query.
///
/// The query is KQL over the hunting tables. It is refused if a table that it names rests in another
/// geography. A client that closes the connection ends its hunt.
#[utoipa::path(
    post, path = "/api/v1/hunt", tag = "hunting", request_body = wire::HuntRequest,
    responses((
        status = 200,
        description = "The rows. As `ndjson` and `csv` the header `bailiwick-partial` says whether rows were left out.",
        content(
            (wire::HuntAnswer = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )
    ))
)]
pub(crate) async fn hunt(mut call: Call) -> Answer {
    let credential = call.credential().await?;
    let tenant = call.own_tenant(&credential)?;
    let grant = call.cell().cx().decide::<Hunt>(&credential, tenant)?;
    let request = read(&mut call).await?;
    let options = HuntOptions {
        cancel: call.cancel.clone(),
        ..HuntOptions::default()
    };
    let answer = call.cell().hunt(&grant, &request.query, options).await;
    let answer = answer.map_err(|e| Failure::of_hunt(&e, &request.query))?;
    if !answer.also.is_empty() && request.format != wire::HuntFormat::Json {
        let message = "the query has several results, and this form of an answer holds one";
        return Err(Failure::bad(message).with_help("ask for `json`"));
    }
    match request.format {
        wire::HuntFormat::Json => {
            let write = move || hunting::json(&answer, &request.query);
            let written = tokio::task::spawn_blocking(write).await;
            let bytes = written.ok().and_then(Result::ok);
            Ok(text(
                "application/json",
                bytes.ok_or_else(|| Failure::of(Code::Internal))?,
            ))
        }
        wire::HuntFormat::Ndjson => Ok(lines(
            "application/x-ndjson",
            answer,
            String::new(),
            |a, b| present::ndjson(&a.columns, b),
        )),
        wire::HuntFormat::Csv => {
            let header = present::csv_header(&answer.columns);
            Ok(lines("text/csv; charset=utf-8", answer, header, |a, b| {
                present::csv(&a.columns, b)
            }))
        }
    }
}

/// Read a query without running it.
#[utoipa::path(
    post, path = "/api/v1/hunt/check", tag = "hunting", request_body = wire::HuntRequest,
    responses((status = 200, description = "What there is to say of it; nothing if it is fine.", body = wire::Findings))
)]
pub(crate) async fn check(mut call: Call) -> Answer {
    let credential = call.credential().await?;
    let tenant = call.own_tenant(&credential)?;
    let grant = call.cell().cx().decide::<Hunt>(&credential, tenant)?;
    let request = read(&mut call).await?;
    let cancel = call.cancel.clone();
    let found = call
        .cell()
        .check_hunt(&grant, &request.query, cancel)
        .await?;
    let finding = |d| hunting::finding(d, &request.query);
    json(&wire::Findings {
        diagnostics: found.iter().map(finding).collect(),
    })
}

/// Say what can be written at a place of a query.
///
/// For an editor: tables, columns, operators, functions and words that fit there, the likeliest first.
/// Tables that the credential may not read are not among them.
#[utoipa::path(
    post, path = "/api/v1/hunt/complete", tag = "hunting", request_body = wire::CompletionRequest,
    responses((status = 200, description = "What can be written there; nothing inside of texts and comments.", body = wire::Completions))
)]
pub(crate) async fn complete(mut call: Call) -> Answer {
    let credential = call.credential().await?;
    let tenant = call.own_tenant(&credential)?;
    let grant = call.cell().cx().decide::<Hunt>(&credential, tenant)?;
    let request: wire::CompletionRequest = call.json().await?;
    check_length(&request.query)?;
    let offset = usize::try_from(request.offset).unwrap_or(usize::MAX);
    let found = call
        .cell()
        .complete_hunt(&grant, &request.query, offset)
        .await?;
    let items = found.items.into_iter().map(|item| wire::Completion {
        label: item.label,
        kind: item.kind.to_owned(),
        detail: item.detail,
        doc: item.doc,
    });
    json(&wire::Completions {
        start: found.span.start,
        end: found.span.end,
        items: items.collect(),
    })
}

/// Write a query in the one form.
#[utoipa::path(
    post, path = "/api/v1/hunt/format", tag = "hunting", request_body = wire::FormatRequest,
    responses((status = 200, description = "The same query, laid out.", body = wire::Formatted))
)]
pub(crate) async fn format(mut call: Call) -> Answer {
    let credential = call.credential().await?;
    let tenant = call.own_tenant(&credential)?;
    let grant = call.cell().cx().decide::<Hunt>(&credential, tenant)?;
    let request: wire::FormatRequest = call.json().await?;
    check_length(&request.query)?;
    let formatted = call.cell().format_hunt(&grant, &request.query).await;
    let query = formatted.map_err(|e| Failure::of_hunt(&e, &request.query))?;
    json(&wire::Formatted { query })
}

fn check_length(query: &str) -> Result<(), Failure> {
    let max = model::limits::QUERY_BYTES_MAX;
    if query.len() > max {
        return Err(Failure::new(
            Code::TooLarge,
            format!("the query has more than {max} bytes"),
        ));
    }
    Ok(())
}

async fn read(call: &mut Call) -> Result<wire::HuntRequest, Failure> {
    let request: wire::HuntRequest = call.json().await?;
    check_length(&request.query)?;
    if request.timespan.is_some() {
        return Err(Failure::bad("`timespan` is not supported yet")
            .with_help("say it in the query: `| where Timestamp > ago(1d)`"));
    }
    Ok(request)
}

type Encode = fn(&HuntAnswer, &rows::RecordBatch) -> String;

/// An answer that is encoded as the client reads it, a few thousand rows at a time.
fn lines(
    content_type: &'static str,
    answer: HuntAnswer,
    header: String,
    encode: Encode,
) -> axum::http::Response<Body> {
    let is_partial = if answer.is_partial { "true" } else { "false" };
    let chunks = chunks(Arc::new(answer), header, encode);
    let mut response = text(content_type, Body::from_stream(chunks));
    response
        .headers_mut()
        .insert(PARTIAL, HeaderValue::from_static(is_partial));
    response
}

fn chunks(
    answer: Arc<HuntAnswer>,
    header: String,
    encode: Encode,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    let first = (!header.is_empty()).then(|| Ok(Bytes::from(header)));
    let runs = runs(&answer);
    let rest = stream::iter(runs).then(move |(batch, from, len)| {
        let answer = answer.clone();
        async move {
            let work = move || {
                let rows = answer.batches.get(batch).map(|b| b.slice(from, len));
                rows.map(|rows| encode(&answer, &rows)).unwrap_or_default()
            };
            // A broken task breaks the answer off: better than rows that are missing unseen.
            let done = tokio::task::spawn_blocking(work).await;
            done.map(Bytes::from).map_err(std::io::Error::other)
        }
    });
    stream::iter(first).chain(rest)
}

/// Batch, first row and number of rows of each chunk.
fn runs(answer: &HuntAnswer) -> Vec<(usize, usize, usize)> {
    let mut runs = Vec::new();
    for (at, batch) in answer.batches.iter().enumerate() {
        let rows = batch.num_rows();
        for from in (0..rows).step_by(present::ROWS_PER_CHUNK) {
            runs.push((at, from, present::ROWS_PER_CHUNK.min(rows - from)));
        }
    }
    runs
}
