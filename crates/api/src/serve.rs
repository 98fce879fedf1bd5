//! Listening.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cell::Cell;
use model::limits;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::connection::Seats;
use crate::{ApiOptions, router};

/// Serves a cell on a listener until `until` ends: then no connection is taken any more, and those
/// that are being answered have `limits::SHUTDOWN_SECONDS_MAX` to end.
pub async fn serve(
    listener: TcpListener,
    cell: Cell,
    options: ApiOptions,
    until: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let ending = Arc::new(Notify::new());
    let graceful = {
        let ending = ending.clone();
        async move {
            until.await;
            ending.notify_one();
        }
    };
    let seats = Seats::new(listener, limits::CONNECTIONS_MAX);
    let serving = axum::serve(seats, router(cell, options)).with_graceful_shutdown(graceful);
    let patience = async {
        ending.notified().await;
        tokio::time::sleep(Duration::from_secs(limits::SHUTDOWN_SECONDS_MAX)).await;
    };
    tokio::select! {
        ended = async { serving.await } => ended,
        () = patience => Ok(()),
    }
}
