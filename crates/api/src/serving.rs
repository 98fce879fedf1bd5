//! Serving the connections of any listener: TCP, or TLS on top of it.
//!
//! Promises
//! - LIMIT: a connection on which no request is in hand for `limits::REQUEST_HEAD_SECONDS_MAX` is closed:
//!   one that says nothing, one whose head of a request does not end, one kept for later use. Bytes that
//!   arrive do not renew that.
//! - A request is in hand until the last byte of its answer was taken over for sending; at most some
//!   `BUFFER_BYTES` are left to send then, so a client that takes 4 KiB a second gets all of it.
//! - When told to end, no connection is taken any more, idle ones close, and those that are being
//!   answered have `limits::SHUTDOWN_SECONDS_MAX` to end.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::serve::Listener;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use model::limits;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

const HEAD: Duration = Duration::from_secs(limits::REQUEST_HEAD_SECONDS_MAX);
const SHUTDOWN: Duration = Duration::from_secs(limits::SHUTDOWN_SECONDS_MAX);

/// Bytes of an answer that are handed over for sending at a time.
const PIECE_BYTES: usize = 16 << 10;
/// Bytes that are kept of what is to be sent, and of the head of a request.
const BUFFER_BYTES: usize = 64 << 10;

/// Serves what `listener` accepts with `router` until `until` ends. `note` puts into each request what
/// is to be known of its connection.
pub(crate) async fn serve_streams<L: Listener>(
    mut listener: L,
    router: Router,
    note: impl Fn(&L::Addr, &mut Request) + Clone + Send + Sync + 'static,
    until: impl Future<Output = ()> + Send,
) -> io::Result<()>
where
    L::Addr: Send + Sync + 'static,
{
    let (ending, ended) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut until = pin!(until);
    loop {
        tokio::select! {
            biased;
            () = &mut until => break,
            // What a connection ended with concerns its client only.
            Some(_) = connections.join_next() => {}
            (stream, address) = listener.accept() => {
                let (router, note, address) = (router.clone(), note.clone(), Arc::new(address));
                let noted = move |request: &mut Request| note(&address, request);
                connections.spawn(serve_one(stream, router, noted, ended.clone()));
            }
        }
    }
    drop(listener);
    let _ = ending.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    // Those that are left are cut off with the set.
    let _ = tokio::time::timeout(SHUTDOWN, all).await;
    Ok(())
}

async fn serve_one<S>(
    stream: S,
    router: Router,
    note: impl Fn(&mut Request) + Clone + Send + Sync + 'static,
    mut ended: watch::Receiver<bool>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (in_hand, changed) = watch::channel(0_usize);
    let in_hand = Arc::new(in_hand);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (router, note, taken) = (router.clone(), note.clone(), InHand::take(&in_hand));
        async move {
            let mut request = request.map(Body::new);
            note(&mut request);
            let response = router.oneshot(request).await?;
            Ok::<_, Infallible>(response.map(|body| Pieces::new(body, taken)))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_send_buf_size(BUFFER_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut quiet = pin!(stands_quiet(changed));
    let mut told = false;
    loop {
        tokio::select! {
            // It ended, well or not: the client knows.
            _ = connection.as_mut() => return,
            _ = ended.wait_for(|ended| *ended), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            () = quiet.as_mut() => return,
        }
    }
}

/// Ends when no request was in hand for as long as the head of one may take.
async fn stands_quiet(mut in_hand: watch::Receiver<usize>) {
    loop {
        let is_idle = *in_hand.borrow_and_update() == 0;
        let next = in_hand.changed();
        if !is_idle {
            if next.await.is_err() {
                return;
            }
        } else if tokio::time::timeout(HEAD, next).await.is_err() {
            return;
        }
    }
}

/// A request that is being answered.
struct InHand(Arc<watch::Sender<usize>>);

impl InHand {
    fn take(all: &Arc<watch::Sender<usize>>) -> Self {
        all.send_modify(|n| *n += 1);
        Self(all.clone())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

/// An answer's body in small pieces: a whole one that is handed over at once would look finished long
/// before a slow client has it.
struct Pieces {
    body: Body,
    rest: Bytes,
    _taken: InHand,
}

impl Pieces {
    fn new(body: Body, taken: InHand) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            _taken: taken,
        }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return Poll::Ready(other),
            }
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper().and_then(|upper| upper.checked_add(rest)) {
            hint.set_upper(upper);
        }
        hint
    }
}
