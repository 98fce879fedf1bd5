//! What cells of other processes ask of a cell, over mutual TLS, on a listener of its own.
//!
//! ```text
//! POST /peer/v1/profile?home=REGION   a signed cell profile           (tenant link, kind 0)
//! POST /peer/v1/alerts                signed alerts without content   (kind 1)
//! POST /peer/v1/read                  a signed read of one alert; the answer is sealed
//! ```
//!
//! Promises
//! - The region in the caller's certificate is the one that signed what it brings; another's message,
//!   however well signed, is refused: no cell speaks for another.
//! - LIMIT: a body has at most `limits::LINK_REQUEST_BYTES_MAX` bytes.
//!
//! A refusal is its code as the first word of a text.

use std::fmt;
use std::io;
use std::sync::Arc;

use access::Cx;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::post;
use cell::Cell;
use model::{Code, RegionCode, limits};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::secure::{Peer, Secure};
use crate::serving::serve_streams;

/// Says which region's cell a verified certificate is of; nothing if it is of none.
pub type WhoIs = Arc<dyn Fn(&CertificateDer<'_>) -> Option<RegionCode> + Send + Sync>;

/// A listener for other cells.
pub struct PeerListener {
    /// Where.
    pub listener: TcpListener,
    /// Certificates: a client must show one. The newest is asked for at each handshake.
    pub tls: watch::Receiver<Arc<ServerConfig>>,
    /// Whose certificate it is.
    pub who: WhoIs,
}

impl fmt::Debug for PeerListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerListener")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Shared {
    cell: Cell,
    who: WhoIs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Home {
    home: RegionCode,
}

/// Serves a cell to the other cells until `until` ends.
pub async fn serve_peers(
    peers: PeerListener,
    cell: Cell,
    until: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let secure = Secure::new(peers.listener, peers.tls);
    let shared = Shared {
        cell,
        who: peers.who,
    };
    let router = Router::new()
        .route("/peer/v1/profile", post(profile))
        .route("/peer/v1/alerts", post(alerts))
        .route("/peer/v1/read", post(read))
        .layer(DefaultBodyLimit::max(limits::LINK_REQUEST_BYTES_MAX))
        .with_state(shared);
    let note = |peer: &Peer, request: &mut Request| {
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
    };
    serve_streams(secure, router, note, until).await
}

impl Shared {
    fn caller(&self, peer: &Peer) -> Result<RegionCode, Code> {
        caller(self.cell.cx(), &self.who, peer)
    }

    fn answer(&self, what: Result<Option<Vec<u8>>, Code>) -> Response<Body> {
        answer(self.cell.cx(), what)
    }
}

/// The caller's region, by its certificate.
pub(crate) fn caller(cx: &Cx, who: &WhoIs, peer: &Peer) -> Result<RegionCode, Code> {
    let region = peer.certificate.as_ref().and_then(|c| who(c));
    region.ok_or_else(|| {
        cx.warn("peer_unknown", Code::Unauthenticated, &[]);
        Code::Unauthenticated
    })
}

/// Bytes, nothing, or a refusal's code.
pub(crate) fn answer(cx: &Cx, what: Result<Option<Vec<u8>>, Code>) -> Response<Body> {
    match what {
        Ok(Some(bytes)) => Response::new(bytes.into()),
        Ok(None) => with_status(StatusCode::NO_CONTENT, Body::empty()),
        Err(code) => {
            cx.warn("peer_refused", code, &[]);
            let status = StatusCode::from_u16(code.status());
            with_status(
                status.unwrap_or(StatusCode::BAD_REQUEST),
                code.as_str().into(),
            )
        }
    }
}

fn with_status(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

async fn profile(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(Home { home }): Query<Home>,
    body: Bytes,
) -> Response<Body> {
    let taken = match shared.caller(&peer) {
        Ok(region) if region == home => {
            let taken = shared.cell.accept_profile(&home, &body).await;
            taken.map(|()| None).map_err(|e| e.code())
        }
        Ok(_) => Err(Code::Denied),
        Err(code) => Err(code),
    };
    shared.answer(taken)
}

async fn alerts(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response<Body> {
    let taken = match shared.caller(&peer) {
        Ok(region) => {
            let taken = shared.cell.accept_alerts(&region, &body).await;
            taken.map(|()| None).map_err(|e| e.code())
        }
        Err(code) => Err(code),
    };
    shared.answer(taken)
}

async fn read(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response<Body> {
    let read = match shared.caller(&peer) {
        Ok(region) => {
            let read = shared.cell.answer_read(&region, &body).await;
            read.map(Some).map_err(|e| e.code())
        }
        Err(code) => Err(code),
    };
    shared.answer(read)
}
