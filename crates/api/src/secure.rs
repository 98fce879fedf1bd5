//! A listener behind mutual TLS.
//!
//! Promises
//! - A handshake runs in a task of its own, so that a slow client holds up nobody.
//! - LIMIT: `limits::HANDSHAKES_PER_ADDRESS_MAX` handshakes of one address at a time, and
//!   `limits::HANDSHAKES_MAX` of all, each `limits::HANDSHAKE_SECONDS_MAX` long at most. Nobody waits for
//!   a place: the next connection ends the handshake that takes longest, of its own address or of the one
//!   that has most. Whoever shakes hands at once is done long before its turn comes, so that connections
//!   that say nothing keep no peer out, not even one behind their own address.
//! - A connection that fails its handshake is dropped without a word.
//!
//! Does not choose certificates or whom to believe: the TLS configuration says so, the newest that there
//! is at each handshake. A connection keeps what it began with.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::serve::Listener;
use model::limits;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::connection::{Addresses, Seated, Seats};

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its own certificate, verified against the authority; nothing if none was asked for.
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

type Stream = TlsStream<Seated<TcpStream>>;

/// Connections whose handshake is done.
#[derive(Debug)]
pub(crate) struct Secure {
    ready: mpsc::Receiver<(Stream, Peer)>,
}

impl Secure {
    pub(crate) fn new(listener: TcpListener, config: watch::Receiver<Arc<ServerConfig>>) -> Self {
        let (send, ready) = mpsc::channel(1);
        let seats = Seats::of(listener);
        tokio::spawn(shake_hands(seats, config, send));
        Self { ready }
    }
}

/// Handshakes under way, by the order of their beginning.
#[derive(Debug, Default)]
struct Handshakes {
    next: u64,
    under_way: BTreeMap<u64, (IpAddr, AbortHandle)>,
}

impl Handshakes {
    /// Ends those that are one too many with the next of `address`.
    fn make_room(&mut self, address: IpAddr) {
        let all = || self.under_way.values().map(|(of, _)| *of);
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        all().for_each(|of| *counts.entry(of).or_default() += 1);
        let mine = counts.get(&address).copied().unwrap_or(0);
        let from = if mine >= limits::HANDSHAKES_PER_ADDRESS_MAX {
            Some(address)
        } else if self.under_way.len() >= limits::HANDSHAKES_MAX {
            let most = counts.iter().max_by_key(|(_, count)| **count);
            most.map(|(of, _)| *of)
        } else {
            None
        };
        let mut oldest = self.under_way.iter();
        let oldest = oldest.find(|(_, (of, _))| Some(*of) == from);
        if let Some(number) = oldest.map(|(number, _)| *number)
            && let Some((_, task)) = self.under_way.remove(&number)
        {
            task.abort();
        }
    }
}

fn take_out(handshakes: &Mutex<Handshakes>, number: u64) {
    let mut known = handshakes.lock().unwrap_or_else(PoisonError::into_inner);
    known.under_way.remove(&number);
}

/// Takes connections until nobody waits for them any more.
async fn shake_hands(
    mut seats: Seats,
    config: watch::Receiver<Arc<ServerConfig>>,
    send: mpsc::Sender<(Stream, Peer)>,
) {
    let handshakes = Arc::new(Mutex::new(Handshakes::default()));
    loop {
        let (stream, address) = tokio::select! {
            accepted = seats.accept() => accepted,
            () = send.closed() => return,
        };
        let address = Addresses::of(address.ip());
        // Certificates may have been renewed since the last connection.
        let acceptor = TlsAcceptor::from(config.borrow().clone());
        let (send, done) = (send.clone(), handshakes.clone());
        let mut known = handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        known.make_room(address);
        let number = known.next;
        known.next += 1;
        let task = tokio::spawn(async move {
            let patience = Duration::from_secs(limits::HANDSHAKE_SECONDS_MAX);
            let shaken = tokio::time::timeout(patience, acceptor.accept(stream)).await;
            // From here on nobody ends it: it is a connection, or nothing.
            take_out(&done, number);
            if let Ok(Ok(stream)) = shaken {
                let chain = stream.get_ref().1.peer_certificates();
                let certificate = chain.and_then(<[_]>::first).map(|c| c.clone().into_owned());
                let peer = Peer { certificate };
                // Nobody takes it once the listener has ended.
                let _ = send.send((stream, peer)).await;
            }
        });
        // The task waits for the lock before it could take itself out.
        known
            .under_way
            .insert(number, (address, task.abort_handle()));
    }
}

impl Listener for Secure {
    type Io = Stream;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // The task that shakes hands ends only with this listener.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Peer { certificate: None })
    }
}
