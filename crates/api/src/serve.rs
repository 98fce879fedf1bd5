//! Listening.

use std::io;

use cell::Cell;
use tokio::net::TcpListener;

use crate::connection::Seats;
use crate::serving::serve_streams;
use crate::{ApiOptions, router};

/// Serves a cell on a listener until `until` ends: then no connection is taken any more, and those
/// that are being answered have `limits::SHUTDOWN_SECONDS_MAX` to end.
pub async fn serve(
    listener: TcpListener,
    cell: Cell,
    options: ApiOptions,
    until: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_streams(Seats::of(listener), router(cell, options), |_, _| {}, until).await
}
