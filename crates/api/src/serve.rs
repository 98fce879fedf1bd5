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
    let seats = Seats::new(listener, limits::CONNECTIONS_MAX);
    let (graceful, patience) = ending(until);
    let serving = axum::serve(seats, router(cell, options)).with_graceful_shutdown(graceful);
    tokio::select! {
        ended = async { serving.await } => ended,
        () = patience => Ok(()),
    }
}

/// Two futures out of `until`: one that ends with it, and one that does so
/// `limits::SHUTDOWN_SECONDS_MAX` later.
pub(crate) fn ending(
    until: impl Future<Output = ()> + Send + 'static,
) -> (
    impl Future<Output = ()> + Send + 'static,
    impl Future<Output = ()> + Send + 'static,
) {
    let ending = Arc::new(Notify::new());
    let ended = ending.clone();
    let graceful = async move {
        until.await;
        ending.notify_one();
    };
    let patience = async move {
        ended.notified().await;
        tokio::time::sleep(Duration::from_secs(limits::SHUTDOWN_SECONDS_MAX)).await;
    };
    (graceful, patience)
}
