//! A refusal or failure on its way to the client.
//!
//! The client gets the stable code, a sentence and the request's id. The text of a cause never leaves:
//! it may quote data.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use cell::StoreError;
use model::{Code, RegionCode, RequestId};
use serde_json::{Value, json};

use crate::hunting::finding;
use crate::wire;

/// Seconds after which a client may try again: when there is too much work, and when the cell cannot
/// serve.
const RETRY_BUSY_SECONDS: u16 = 1;
const RETRY_UNAVAILABLE_SECONDS: u16 = 5;
/// The same while rows wait for detection: a step takes about so long.
const RETRY_BEHIND_SECONDS: u16 = 3;

/// Why a request has no good answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) details: Option<Box<Value>>,
}

impl Failure {
    /// With the code's own sentence.
    pub(crate) fn of(code: Code) -> Self {
        Self::new(code, sentence(code))
    }

    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            details: None,
        }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The credential or the data belongs to `region`.
    pub(crate) fn elsewhere(region: &RegionCode, url: Option<&str>) -> Self {
        let mut details = json!({ "region": region });
        if let (Some(url), Some(members)) = (url, details.as_object_mut()) {
            members.insert("url".to_owned(), url.into());
        }
        Self::new(
            Code::WrongRegion,
            format!("this belongs to region `{region}`"),
        )
        .with_help("send it to the address of that region")
        .with_details(details)
    }

    /// An error of the cell; `query` is the text that findings point into.
    pub(crate) fn of_hunt(error: &cell::Error, query: &str) -> Self {
        let cell::Error::Query(diagnostics) = error else {
            return error.into();
        };
        let findings: Vec<_> = diagnostics.iter().map(|d| finding(d, query)).collect();
        Self::new(Code::BadQuery, error.to_string())
            .with_details(json!({ "diagnostics": findings }))
    }

    /// The answer's status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn into_response(self, request: RequestId) -> Response<Body> {
        let status = self.status();
        let wait = match (self.code, status.as_u16()) {
            (Code::DetectionBehind, _) => Some(RETRY_BEHIND_SECONDS),
            (_, 429) => Some(RETRY_BUSY_SECONDS),
            (_, 503) => Some(RETRY_UNAVAILABLE_SECONDS),
            _ => None,
        };
        // What is damaged does not come right by waiting.
        let say = wait.filter(|_| status.as_u16() == 429);
        let body = wire::Error {
            code: self.code.as_str().to_owned(),
            message: self.message,
            request_id: request.to_string(),
            help: self
                .help
                .or_else(|| say.map(|s| format!("try again after {s} second(s)"))),
            details: self.details.map(|details| *details),
        };
        // Strings and JSON values always serialise.
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if status.as_u16() == 401 {
            let challenge = HeaderValue::from_static("Bearer realm=\"bailiwick\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = wait {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Where something is damaged: ids and offsets, which are no data.
fn damage(error: &StoreError) -> Option<Value> {
    match error {
        StoreError::LogDamaged { tenant, offset } => {
            Some(json!({ "tenant": tenant, "offset": offset }))
        }
        StoreError::SegmentDamaged { segment } => Some(json!({ "segment": segment })),
        StoreError::RowDamaged { table, number } => {
            Some(json!({ "table": table, "number": number }))
        }
        _ => None,
    }
}

/// The code's summary as a message: lower case, no final stop.
fn sentence(code: Code) -> String {
    let mut chars = code.summary().chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    let rest = chars.as_str();
    first
        .into_iter()
        .chain(rest.trim_end_matches('.').chars())
        .collect()
}

impl From<access::Denied> for Failure {
    fn from(denied: access::Denied) -> Self {
        Self::of(denied.code())
    }
}

impl From<cell::Error> for Failure {
    fn from(error: cell::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&cell::Error> for Failure {
    fn from(error: &cell::Error) -> Self {
        use cell::Error as E;
        match error {
            E::Store(store) if let Some(details) = damage(store) => {
                Self::of(error.code()).with_details(details)
            }
            // Their own text speaks of the machine; the client gets the code's sentence.
            E::Denied(_) | E::Store(_) | E::Key(_) | E::Internal => Self::of(error.code()),
            E::ElsewhereTable { table, region } => Self::new(error.code(), error.to_string())
                .with_details(json!({ "region": region, "table": table })),
            E::SeveralGeographies(tables) => {
                let tables: Vec<_> = tables
                    .iter()
                    .map(|(table, geography)| json!({ "table": table, "geography": geography }))
                    .collect();
                Self::new(error.code(), error.to_string())
                    .with_help("ask each region for its own tables")
                    .with_details(json!({ "tables": tables }))
            }
            E::RefusedService { table, service } => Self::new(error.code(), error.to_string())
                .with_details(json!({ "table": table, "service": service })),
            E::NoRegistry => Self::new(error.code(), error.to_string())
                .with_help("an operator hands the cell a signed registry first"),
            _ => Self::new(error.code(), error.to_string()),
        }
    }
}
