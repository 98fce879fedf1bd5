//! What cells ask of the centre, over mutual TLS, on its one listener.
//!
//! ```text
//! POST /centre/v1/batches    a parcel, as the egress gate of the caller's region packed it; the answer
//!                            is the signed acknowledgement
//! GET  /centre/v1/snapshot   the newest signed snapshot; 204 before the first
//! ```
//!
//! Promises
//! - The region is that of the caller's certificate; nothing in the request can say another. The centre
//!   then wants the parcel to be signed with that region's key.
//! - Whoever is not a known cell gets nothing, not even the snapshot.
//! - LIMIT: a body has at most `limits::LINK_REQUEST_BYTES_MAX` bytes.
//!
//! A refusal is its code as the first word of a text. There is no question about one indicator, and no
//! way to make a snapshot or change a list from here.

use std::io;
use std::sync::Arc;

use access::Cx;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::Response;
use axum::routing::{get, post};
use centre::Centre;
use model::{Code, RegionCode, limits};

use crate::peers::{PeerListener, WhoIs, answer, caller};
use crate::secure::{Peer, Secure};
use crate::serving::serve_streams;

#[derive(Clone)]
struct Shared {
    centre: Arc<Centre>,
    cx: Cx,
    who: WhoIs,
}

/// Serves the centre to the cells until `until` ends.
pub async fn serve_centre(
    cells: PeerListener,
    centre: Arc<Centre>,
    cx: Cx,
    until: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let secure = Secure::new(cells.listener, cells.tls);
    let shared = Shared {
        centre,
        cx,
        who: cells.who,
    };
    let router = Router::new()
        .route("/centre/v1/batches", post(batch))
        .route("/centre/v1/snapshot", get(snapshot))
        .layer(DefaultBodyLimit::max(limits::LINK_REQUEST_BYTES_MAX))
        .with_state(shared);
    let note = |peer: &Peer, request: &mut Request| {
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
    };
    serve_streams(secure, router, note, until).await
}

impl Shared {
    fn caller(&self, peer: &Peer) -> Result<RegionCode, Code> {
        caller(&self.cx, &self.who, peer)
    }
}

async fn batch(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response<Body> {
    let taken = match shared.caller(&peer) {
        Ok(region) => {
            let taken = shared.centre.receive(&region, &body, shared.cx.now()).await;
            taken.map(|ack| Some(ack.signed)).map_err(|e| e.code())
        }
        Err(code) => Err(code),
    };
    answer(&shared.cx, taken)
}

async fn snapshot(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Response<Body> {
    let found = match shared.caller(&peer) {
        Ok(_) => shared.centre.snapshot().await.map_err(|e| e.code()),
        Err(code) => Err(code),
    };
    answer(&shared.cx, found)
}
