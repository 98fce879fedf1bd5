//! Connections of a listener: a bounded number, none of which stands still for ever.
//!
//! Promises
//! - LIMIT: at most `limits::CONNECTIONS_MAX` at a time; the next waits in the system's queue until one
//!   ends.
//! - LIMIT: a connection on which no byte moved for `limits::CONNECTION_IDLE_SECONDS_MAX` fails, at the
//!   latest after twice that. It is longer than the longest hunt, during which nothing moves.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use model::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

const IDLE: Duration = Duration::from_secs(limits::CONNECTION_IDLE_SECONDS_MAX);

/// A listener with a bounded number of seats.
#[derive(Debug)]
pub(crate) struct Seats {
    listener: TcpListener,
    free: Arc<Semaphore>,
}

/// A connection that has a seat.
#[derive(Debug)]
pub(crate) struct Seated<S> {
    stream: S,
    /// Whether a byte moved since `patience` began.
    moved: bool,
    patience: Pin<Box<Sleep>>,
    _seat: Option<OwnedSemaphorePermit>,
}

impl Seats {
    pub(crate) fn new(listener: TcpListener, seats: usize) -> Self {
        Self {
            listener,
            free: Arc::new(Semaphore::new(seats)),
        }
    }
}

impl Listener for Seats {
    type Io = Seated<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The semaphore is never closed.
        let seat = self.free.clone().acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small answers go out at once; a socket that refuses this still works.
        let _ = stream.set_nodelay(true);
        (Seated::new(stream, seat), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl<S> Seated<S> {
    pub(crate) fn new(stream: S, seat: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            stream,
            moved: false,
            patience: Box::pin(sleep(IDLE)),
            _seat: seat,
        }
    }

    /// Looks at the patience while nothing moves; otherwise notes that something did.
    fn note<T>(&mut self, cx: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.moved = true;
            return moved;
        }
        while self.patience.as_mut().poll(cx).is_ready() {
            if !std::mem::take(&mut self.moved) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.patience.set(sleep(IDLE));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Seated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.note(cx, read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Seated<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
