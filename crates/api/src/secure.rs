//! A listener behind mutual TLS.
//!
//! Promises
//! - A handshake runs in a task of its own, so that a slow client holds up nobody.
//! - LIMIT: `limits::HANDSHAKES_MAX` handshakes at a time, each `limits::HANDSHAKE_SECONDS_MAX` long at
//!   most; a connection that fails its handshake is dropped without a word.
//!
//! Does not choose certificates or whom to believe: the TLS configuration says so, the newest that there
//! is at each handshake. A connection keeps what it began with.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use model::limits;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::connection::{Seated, Seats};

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

/// Takes connections until nobody waits for them any more.
async fn shake_hands(
    mut seats: Seats,
    config: watch::Receiver<Arc<ServerConfig>>,
    send: mpsc::Sender<(Stream, Peer)>,
) {
    let room = Arc::new(Semaphore::new(limits::HANDSHAKES_MAX));
    loop {
        // The semaphore is never closed.
        let place = room.clone().acquire_owned().await.ok();
        let (stream, _) = tokio::select! {
            accepted = seats.accept() => accepted,
            () = send.closed() => return,
        };
        // Certificates may have been renewed since the last connection.
        let acceptor = TlsAcceptor::from(config.borrow().clone());
        let send = send.clone();
        tokio::spawn(async move {
            let patience = Duration::from_secs(limits::HANDSHAKE_SECONDS_MAX);
            let shaken = tokio::time::timeout(patience, acceptor.accept(stream)).await;
            drop(place);
            if let Ok(Ok(stream)) = shaken {
                let chain = stream.get_ref().1.peer_certificates();
                let certificate = chain.and_then(<[_]>::first).map(|c| c.clone().into_owned());
                let peer = Peer { certificate };
                // Nobody takes it once the listener has ended.
                let _ = send.send((stream, peer)).await;
            }
        });
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
