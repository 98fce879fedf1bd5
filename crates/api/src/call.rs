//! One request being answered: who asks, what was sent, within which limits.
//!
//! A handler is a function from a [`Call`] to an answer or a [`Failure`]. What every route needs is a
//! method here that gives a value back: [`Call::credential`], [`Call::tenant_grant`], [`Call::json`].
//!
//! Promises
//! - The credential is looked at before the first byte of the body is read, so that a request for
//!   another region is turned away without its body.
//! - A body is read up to its limit, whatever the `content-length` says, and all bodies being held
//!   together are bounded too, each tenant's share of them as well; a body that arrives too slowly is
//!   not waited for.
//! - A credential is looked at again when the body has arrived: one that was taken back meanwhile opens
//!   nothing.
//! - The handler runs as a task of its own: a panic is one request's failure, and a write that was
//!   begun is ended although the client went away. Hunts notice that and stop.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use access::{
    Actor, CellAction, Counter, Credential, Granted, GrantedCell, Histogram, Label, TenantAction,
};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Query, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Response, header};
use cell::{Cell, Refusal};
use futures::StreamExt as _;
use model::{Code, RequestId, TenantId, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Sleep, sleep};

use crate::ApiOptions;
use crate::failure::Failure;

/// The header that carries the request's id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const REQUESTS: Counter = Counter::new(
    "http_requests_total",
    "Requests answered, by route and status.",
);
const SECONDS: Histogram = Histogram::new(
    "http_request_seconds",
    "Time from the head of a request to the head of its answer, by route.",
    access::SECONDS,
);

/// What a handler gives back.
pub(crate) type Answer = Result<Response<Body>, Failure>;

/// What all requests of a listener share.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) cell: Cell,
    pub(crate) options: Arc<ApiOptions>,
    /// Somebody at the machine asks, not the network.
    local: Option<Local>,
    /// Bytes of request bodies that are held now.
    held: Arc<Holding>,
}

/// Requests of the local operator, who opened the key ring and has no token.
#[derive(Debug, Clone, Copy)]
struct Local {
    /// Whose rows, where a token would say so.
    tenant: Option<TenantId>,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) api: Api,
    pub(crate) request: RequestId,
    parts: Parts,
    path: Vec<(String, String)>,
    /// In a lock only so that a call may be shared between threads.
    body: Mutex<Body>,
    /// Whose credential it is, once that was asked.
    known: OnceLock<Option<TenantId>>,
    /// Set when the client has gone away.
    pub(crate) cancel: Arc<AtomicBool>,
}

/// Bytes of bodies that are held now: in all, and of whom. Those who hold none are not in it.
#[derive(Debug, Default)]
pub(crate) struct Holding(Mutex<BTreeMap<Option<TenantId>, usize>>);

/// Bytes of a body, counted among those that are held until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    counted: usize,
    /// Whose they are; nobody's if it is no tenant's credential, and that is a share as well.
    of: Option<TenantId>,
    all: Arc<Holding>,
}

impl Held {
    pub(crate) fn new(all: Arc<Holding>, of: Option<TenantId>) -> Self {
        Self {
            bytes: Vec::new(),
            counted: 0,
            of,
            all,
        }
    }

    /// LIMIT: `REQUESTS_HELD_BYTES_MAX` of all bodies together, `REQUESTS_HELD_TENANT_BYTES_MAX` of one
    /// tenant's.
    pub(crate) fn count(&mut self, n: usize) -> Result<(), Failure> {
        let mut shares = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = shares.values().sum();
        let own = shares.get(&self.of).copied().unwrap_or_default();
        if all + n > limits::REQUESTS_HELD_BYTES_MAX
            || own + n > limits::REQUESTS_HELD_TENANT_BYTES_MAX
        {
            return Err(Failure::of(Code::Busy));
        }
        shares.insert(self.of, own + n);
        self.counted += n;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut shares = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = shares.get_mut(&self.of) {
            *own -= self.counted;
            if *own == 0 {
                shares.remove(&self.of);
            }
        }
    }
}

/// Tells the handler when nobody waits for it any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Api {
    pub(crate) fn new(cell: Cell, options: ApiOptions) -> Self {
        Self {
            cell,
            options: Arc::new(options),
            local: None,
            held: Arc::default(),
        }
    }

    /// For requests that did not come over the network. Never behind a listener.
    pub(crate) fn local(cell: Cell, tenant: Option<TenantId>) -> Self {
        Self {
            local: Some(Local { tenant }),
            ..Self::new(cell, ApiOptions::default())
        }
    }

    /// Runs `handler` on a request and finishes its answer.
    pub(crate) async fn answer<F, Fut>(
        self,
        route: &'static str,
        request: Request,
        handler: F,
    ) -> Response<Body>
    where
        F: FnOnce(Call) -> Fut + Send + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        let cx = self.cell.cx().clone();
        let began = cx.now();
        let id = RequestId::random(&*cx.random);
        let cancel = Arc::<AtomicBool>::default();
        let waiting = Waiting(cancel.clone());
        let task = tokio::spawn(async move {
            let call = Call::of(self, id, request, cancel).await?;
            handler(call).await
        });
        let answer = task
            .await
            .unwrap_or_else(|_| Err(Failure::of(Code::Internal)));
        drop(waiting);
        let mut response = match answer {
            Ok(response) => response,
            Err(failure) => {
                let fields = [("request", id.into()), ("route", route.into())];
                if failure.status().is_server_error() {
                    cx.error("request_failed", failure.code, &fields);
                } else {
                    cx.warn("request_refused", failure.code, &fields);
                }
                failure.into_response(id)
            }
        };
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
            headers.insert(REQUEST_ID, value);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        let labels = [
            ("route", Label::from(route)),
            ("status", status_label(&response)),
        ];
        cx.metrics.add(&REQUESTS, &labels, 1);
        let seconds = cx.now().since(began).as_seconds_f64();
        cx.metrics
            .observe(&SECONDS, &[("route", Label::from(route))], seconds);
        response
    }
}

fn status_label(response: &Response<Body>) -> Label {
    Label::from(match response.status().as_u16() {
        200..=299 => "2xx",
        421 => "421",
        429 => "429",
        400..=499 => "4xx",
        _ => "5xx",
    })
}

impl Call {
    async fn of(
        api: Api,
        request_id: RequestId,
        request: Request,
        cancel: Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let found = RawPathParams::from_request_parts(&mut parts, &()).await;
        let found = found.map_err(|_| Failure::bad("the path is not UTF-8"))?;
        let path = found
            .iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        Ok(Self {
            api,
            request: request_id,
            parts,
            path,
            body: Mutex::new(body),
            known: OnceLock::new(),
            cancel,
        })
    }

    pub(crate) fn cell(&self) -> &Cell {
        &self.api.cell
    }

    /// Who asks. The body has not been touched.
    pub(crate) async fn credential(&self) -> Result<Credential, Failure> {
        if self.api.local.is_some() {
            return Ok(Credential::local_operator());
        }
        let credential = self.authenticated().await?;
        let tenant = match credential.actor {
            Actor::Token { tenant, .. } => tenant,
            _ => None,
        };
        // The first answer stays; asking again gives the same or fails.
        let _ = self.known.set(tenant);
        Ok(credential)
    }

    async fn authenticated(&self) -> Result<Credential, Failure> {
        let presented = self
            .bearer()
            .ok_or_else(|| Failure::of(Code::Unauthenticated))?;
        let cell = self.cell();
        cell.authenticate(presented)
            .await
            .map_err(|refusal| match refusal {
                Refusal::Unauthenticated => Failure::of(Code::Unauthenticated),
                Refusal::Failed(code) => Failure::of(code),
                Refusal::WrongRegion(region) => {
                    let registry = cell.registry();
                    let known = registry.as_deref().and_then(|r| r.region(&region));
                    Failure::elsewhere(&region, known.and_then(|r| r.url.as_deref()))
                }
            })
    }

    fn bearer(&self) -> Option<&str> {
        let mut all = self.parts.headers.get_all(header::AUTHORIZATION).iter();
        let value = all.next()?.to_str().ok()?;
        // Two credentials: nobody is to guess which one counts.
        if all.next().is_some() {
            return None;
        }
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    }

    /// The tenant whose credential it is.
    pub(crate) fn own_tenant(&self, credential: &Credential) -> Result<TenantId, Failure> {
        match (credential.actor, self.api.local) {
            (
                Actor::Token {
                    tenant: Some(tenant),
                    ..
                },
                _,
            )
            | (
                Actor::LocalOperator,
                Some(Local {
                    tenant: Some(tenant),
                }),
            ) => Ok(tenant),
            _ => Err(Failure::of(Code::Denied).with_help("this takes a token of a tenant")),
        }
    }

    /// Whether the asker may do `A` to the tenant that the path names.
    pub(crate) async fn tenant_grant<A: TenantAction>(&self) -> Result<Granted<A>, Failure> {
        let credential = self.credential().await?;
        // Text that is no tenant's id answers as a tenant that does not exist.
        let tenant: TenantId = self
            .path("tenant")
            .parse()
            .map_err(|_| Failure::of(Code::NotFound))?;
        let grant = self.cell().cx().decide::<A>(&credential, tenant)?;
        // After the policy: who may not know of the tenant is not told of its trouble.
        self.cell().check_served(tenant)?;
        Ok(grant)
    }

    /// Whether the asker may do `A` to the cell.
    pub(crate) async fn cell_grant<A: CellAction>(&self) -> Result<GrantedCell<A>, Failure> {
        let credential = self.credential().await?;
        Ok(self.cell().cx().decide_cell::<A>(&credential)?)
    }

    /// The value of a parameter of the path.
    pub(crate) fn path(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// An id of the path that must be of its form.
    pub(crate) fn path_id<T: std::str::FromStr>(&self, name: &str) -> Result<T, Failure> {
        // Text that is no id answers as an id that does not exist.
        self.path(name)
            .parse()
            .map_err(|_| Failure::of(Code::NotFound))
    }

    /// The query string.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let parsed = Query::<T>::try_from_uri(&self.parts.uri);
        parsed.map(|Query(value)| value).map_err(|e| {
            let text = e.body_text();
            let what = text.strip_prefix("Failed to deserialize query string: ");
            Failure::bad(format!("the address: {}", what.unwrap_or(&text)))
        })
    }

    /// A header as text.
    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> Result<Option<&str>, Failure> {
        let Some(value) = self.parts.headers.get(name) else {
            return Ok(None);
        };
        value
            .to_str()
            .map(Some)
            .map_err(|_| Failure::bad("a header is not ASCII"))
    }

    /// The body, read up to `max` bytes.
    pub(crate) async fn body(&mut self, max: usize) -> Result<Held, Failure> {
        let stated = self
            .header(header::CONTENT_LENGTH)?
            .and_then(|n| n.parse::<usize>().ok());
        if stated.is_some_and(|stated| stated > max) {
            return Err(too_large(max));
        }
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let body = std::mem::replace(body, Body::empty());
        let known = self.known.get().copied();
        let held = Held::new(self.api.held.clone(), known.flatten());
        let read = read(body, held, max).await?;
        // It may have taken minutes, and the grant that follows from it is good for longer.
        if known.is_some() {
            self.authenticated().await?;
        }
        Ok(read)
    }

    /// The body as JSON of that shape.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let stated = self
            .header(header::CONTENT_TYPE)?
            .unwrap_or("application/json");
        let media = stated.split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/json") {
            return Err(Failure::of(Code::UnsupportedMedia)
                .with_help("send `content-type: application/json`"));
        }
        let body = self.body(limits::JSON_REQUEST_BYTES_MAX).await?;
        // The text of this error names fields and positions of the client's own request.
        serde_json::from_slice(&body.bytes).map_err(|e| Failure::bad(e.to_string()))
    }
}

/// A body up to `max` bytes, each of them counted.
pub(crate) async fn read(body: Body, mut held: Held, max: usize) -> Result<Held, Failure> {
    let mut chunks = body.into_data_stream();
    let whole = async {
        let mut pace = Pace::new();
        while let Some(chunk) = pace.next_chunk(&mut chunks).await? {
            // What arrived counts, not what was announced: announcing costs a client nothing.
            if held.bytes.len() + chunk.len() > max {
                return Err(too_large(max));
            }
            held.count(chunk.len())?;
            held.bytes.extend_from_slice(&chunk);
        }
        Ok(())
    };
    let patience = Duration::from_secs(limits::BODY_SECONDS_MAX);
    let late = |_| Failure::bad("the body took too long to arrive");
    tokio::time::timeout(patience, whole)
        .await
        .map_err(late)??;
    Ok(held)
}

fn too_large(max: usize) -> Failure {
    Failure::new(
        Code::TooLarge,
        format!("the body has more than {max} bytes"),
    )
}

/// How fast a body arrives.
struct Pace {
    /// When the next `BODY_BYTES_MIN` must have arrived.
    patience: Pin<Box<Sleep>>,
    /// Bytes since then.
    arrived: usize,
}

impl Pace {
    fn new() -> Self {
        let idle = Duration::from_secs(limits::BODY_IDLE_SECONDS_MAX);
        Self {
            patience: Box::pin(sleep(idle)),
            arrived: 0,
        }
    }

    /// The next bytes. LIMIT: `BODY_BYTES_MIN` in each `BODY_IDLE_SECONDS_MAX`, or the end.
    async fn next_chunk(
        &mut self,
        chunks: &mut axum::body::BodyDataStream,
    ) -> Result<Option<Bytes>, Failure> {
        let chunk = tokio::select! {
            biased;
            chunk = chunks.next() => chunk,
            () = self.patience.as_mut() => {
                return Err(Failure::bad("the body stopped arriving, or arrives too slowly"));
            }
        };
        let chunk = match chunk {
            None => return Ok(None),
            Some(Ok(chunk)) => chunk,
            Some(Err(_)) => return Err(Failure::bad("the body broke off")),
        };
        self.arrived += chunk.len();
        if self.arrived >= limits::BODY_BYTES_MIN {
            *self = Self::new();
        }
        Ok(Some(chunk))
    }
}

/// An answer of JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Answer {
    let bytes = serde_json::to_vec(value).map_err(|_| Failure::of(Code::Internal))?;
    Ok(text("application/json", bytes))
}

/// An answer of these bytes.
pub(crate) fn text(content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
