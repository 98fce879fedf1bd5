//! Connections of a listener: a bounded number, none of which stands still for ever.
//!
//! Promises
//! - LIMIT: at most `limits::CONNECTIONS_MAX` at a time; the next waits in the system's queue until one
//!   ends.
//! - LIMIT: at most `limits::CONNECTIONS_PER_ADDRESS_MAX` of them from one address; the next is closed at
//!   once, so that one address cannot take all seats.
//! - LIMIT: a connection on which no byte moved for `limits::CONNECTION_IDLE_SECONDS_MAX` fails, at the
//!   latest after twice that. It is longer than the longest hunt, during which nothing moves.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
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
    addresses: Arc<Addresses>,
}

/// Connections by address; those that have none are not in it.
#[derive(Debug)]
pub(crate) struct Addresses {
    max: usize,
    taken: Mutex<BTreeMap<IpAddr, usize>>,
}

/// A place of its address, and one among all.
#[derive(Debug)]
pub(crate) struct Seat {
    _one_of_all: Option<OwnedSemaphorePermit>,
    address: IpAddr,
    addresses: Arc<Addresses>,
}

impl Addresses {
    /// What counts as one address: a client of IPv6 has a network of 64 bits for itself.
    pub(crate) fn of(address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
            v4 @ IpAddr::V4(_) => v4,
        }
    }

    /// Whether there was a place; then it is taken.
    fn take(&self, address: IpAddr) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        let is_free = *count < self.max;
        *count += usize::from(is_free);
        is_free
    }

    fn give_back(&self, address: IpAddr) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&address);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.addresses.give_back(self.address);
    }
}

/// A connection that has a seat.
#[derive(Debug)]
pub(crate) struct Seated<S> {
    stream: S,
    /// Whether a byte moved since `patience` began.
    moved: bool,
    patience: Pin<Box<Sleep>>,
    _seat: Option<Seat>,
}

impl Seats {
    /// With the limits of a listener.
    pub(crate) fn of(listener: TcpListener) -> Self {
        let (all, one) = (limits::CONNECTIONS_MAX, limits::CONNECTIONS_PER_ADDRESS_MAX);
        Self::new(listener, all, one)
    }

    pub(crate) fn new(listener: TcpListener, seats: usize, of_one_address: usize) -> Self {
        Self {
            listener,
            free: Arc::new(Semaphore::new(seats)),
            addresses: Arc::new(Addresses {
                max: of_one_address,
                taken: Mutex::default(),
            }),
        }
    }
}

impl Listener for Seats {
    type Io = Seated<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The semaphore is never closed.
        let seat = self.free.clone().acquire_owned().await.ok();
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            let of = Addresses::of(address.ip());
            if !self.addresses.take(of) {
                continue;
            }
            // Small answers go out at once; a socket that refuses this still works.
            let _ = stream.set_nodelay(true);
            let seat = Seat {
                _one_of_all: seat,
                address: of,
                addresses: self.addresses.clone(),
            };
            return (Seated::new(stream, Some(seat)), address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl<S> Seated<S> {
    pub(crate) fn new(stream: S, seat: Option<Seat>) -> Self {
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
