//! The same routes without a network: for a command on a data directory that this process opened.
//!
//! The asker is the local operator, who holds the passphrase: the policy is asked about every request
//! all the same, and whoever opens the directory leaves a ledger leaf.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};
use cell::Cell;
use model::{Code, RequestId, TenantId};
use tower::ServiceExt as _;

use crate::call::Api;
use crate::failure::Failure;
use crate::router::service;

/// A request of the local operator.
#[derive(Debug, Clone, Default)]
pub struct LocalRequest {
    /// `GET`, `POST` …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers; no credential is among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whose rows, where a token would say so.
    pub tenant: Option<TenantId>,
}

/// Its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Answers a request of the local operator.
pub async fn call_locally(cell: &Cell, request: LocalRequest) -> LocalAnswer {
    let tenant = request.tenant;
    let response = if let Some(request) = http(request) {
        let answered = service(Api::local(cell.clone(), tenant))
            .oneshot(request)
            .await;
        answered.unwrap_or_else(|never| match never {})
    } else {
        let id = RequestId::random(&*cell.cx().random);
        Failure::of(Code::BadRequest).into_response(id)
    };
    let (parts, body) = response.into_parts();
    let content_type = parts
        .headers
        .get("content-type")
        .and_then(|v| v.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    match to_bytes(body, usize::MAX).await {
        Ok(body) => LocalAnswer {
            status: parts.status.as_u16(),
            content_type,
            body: body.into(),
        },
        // An answer that broke off is not taken for the whole.
        Err(_) => LocalAnswer {
            status: Code::Internal.status(),
            ..LocalAnswer::default()
        },
    }
}

fn http(request: LocalRequest) -> Option<Request<Body>> {
    let mut out = Request::new(Body::from(request.body));
    *out.method_mut() = Method::from_bytes(request.method.as_bytes()).ok()?;
    *out.uri_mut() = request.path.parse::<Uri>().ok()?;
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        out.headers_mut()
            .insert(name, HeaderValue::from_str(value).ok()?);
    }
    Some(out)
}
