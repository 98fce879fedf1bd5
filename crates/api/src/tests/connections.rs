//! Real connections: a listener on this machine, and text written by hand.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::kit::Region;
use crate::connection::{Seated, Seats};
use crate::{ApiOptions, serve};

/// A server that is told to stop by the sender, and gone when the task ends.
async fn listen(region: &Region) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let cell = region.cell.clone();
    let server = tokio::spawn(async move {
        let until = async {
            let _ = stopped.await;
        };
        serve(listener, cell, ApiOptions::default(), until)
            .await
            .unwrap();
    });
    (address, stop, server)
}

fn head(method: &str, path: &str, token: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n{more}\r\n\r\n"
    )
}

async fn status(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let byte = stream.read_u8().await.unwrap();
        line.push(byte);
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

#[tokio::test]
async fn a_listener_answers_and_stops() {
    let region = Region::new("eu").await;
    let (address, stop, server) = listen(&region).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(head("GET", "/healthz", "", "").as_bytes())
        .await
        .unwrap();
    assert_eq!(status(&mut stream).await, "HTTP/1.1 200 OK");
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_closed_connection_ends_its_hunt() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let (address, _stop, _server) = listen(&region).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = r#"{"query":"wait"}"#;
    let head = head(
        "POST",
        "/api/v1/hunt",
        &customer.token,
        &format!("content-length: {}", body.len()),
    );
    stream.write_all((head + body).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!region.engine.cancelled.load(Ordering::Acquire));
    drop(stream);
    for _ in 0..500 {
        if region.engine.cancelled.load(Ordering::Acquire) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the hunt was not told to stop");
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_the_body() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let (address, _stop, _server) = listen(&region).await;
    let path = format!("/api/v1/ingest?source={}", customer.source);
    let foreign = format!("bwt_uk_{}", "0".repeat(64));
    let too_long = limits::REQUEST_BYTES_MAX + 1;
    for (token, length, wanted) in [
        (foreign.as_str(), 1000, "HTTP/1.1 421 Misdirected Request"),
        ("nothing", 1000, "HTTP/1.1 401 Unauthorized"),
        (
            customer.token.as_str(),
            too_long,
            "HTTP/1.1 413 Payload Too Large",
        ),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = head("POST", &path, token, &format!("content-length: {length}"));
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(status(&mut stream).await, wanted);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing() {
    let region = Region::new("eu").await;
    let customer = region.customer("IE").await;
    let (address, _stop, _server) = listen(&region).await;
    let path = format!("/api/v1/ingest?source={}", customer.source);
    let body = super::kit::export(&["DeviceInfo"], 1).to_string();
    let stated = format!("content-length: {}", body.len() + 1);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = head("POST", &path, &customer.token, &stated);
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    drop(stream);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let source = format!(
        "/api/v1/tenants/{}/sources/{}",
        customer.tenant, customer.source
    );
    let source = region.get(&source, &customer.token).await.json();
    assert_eq!(source["counts"]["stored"], 0);
}

#[tokio::test]
async fn a_listener_has_a_number_of_seats() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut seats = Seats::new(listener, 1, 9);
    let _clients = (
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    );
    let first = axum::serve::Listener::accept(&mut seats).await;
    let soon = Duration::from_millis(50);
    let second = tokio::time::timeout(soon, axum::serve::Listener::accept(&mut seats)).await;
    assert!(second.is_err(), "a second seat was given");
    drop(first);
    tokio::time::timeout(soon, axum::serve::Listener::accept(&mut seats))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stands_still_fails() {
    let (here, mut there) = tokio::io::duplex(64);
    let mut seated = Seated::new(here, None);
    let idle = Duration::from_secs(limits::CONNECTION_IDLE_SECONDS_MAX);
    tokio::time::sleep(idle / 2).await;
    there.write_all(b"x").await.unwrap();
    assert_eq!(seated.read_u8().await.unwrap(), b'x');
    // Half of the patience has passed, and the byte begins it anew: it fails after one and a half.
    let soon = tokio::time::timeout(idle, seated.read_u8()).await;
    assert!(soon.is_err(), "it failed although a byte had moved");
    let failed = tokio::time::timeout(idle, seated.read_u8())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(failed.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn one_address_does_not_take_all_seats() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut seats = Seats::new(listener, 100, 2);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(TcpStream::connect(address).await.unwrap());
    }
    let accept = async |seats: &mut Seats| {
        let soon = Duration::from_millis(100);
        tokio::time::timeout(soon, axum::serve::Listener::accept(seats)).await
    };
    let first = accept(&mut seats).await.unwrap();
    let _second = accept(&mut seats).await.unwrap();
    accept(&mut seats)
        .await
        .expect_err("a third seat was given");
    // It was told so, and did not take the place of another address.
    assert_eq!(clients[2].read(&mut [0]).await.unwrap_or(0), 0);
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let _other = other.connect(address).await.unwrap();
    accept(&mut seats).await.expect("another address has seats");
    drop(first);
    clients.push(TcpStream::connect(address).await.unwrap());
    accept(&mut seats).await.expect("the place was given back");
}

/// Connections as they are handed in.
struct Handed(tokio::sync::mpsc::Receiver<tokio::io::DuplexStream>);

impl axum::serve::Listener for Handed {
    type Io = tokio::io::DuplexStream;
    type Addr = &'static str;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.0.recv().await {
            Some(stream) => (stream, "there"),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok("here")
    }
}

/// A server of `/slow`, which takes a minute, and `/large`; the end by which connections are handed in.
fn serve_handed() -> (
    tokio::sync::mpsc::Sender<tokio::io::DuplexStream>,
    oneshot::Sender<()>,
    tokio::task::JoinHandle<()>,
) {
    let slow = async || {
        tokio::time::sleep(Duration::from_mins(1)).await;
        "slow"
    };
    let router = axum::Router::new()
        .route("/slow", axum::routing::get(slow))
        .route("/large", axum::routing::get(async || vec![b'x'; 1 << 20]));
    let (hand, handed) = tokio::sync::mpsc::channel(1);
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async {
        let _ = stopped.await;
    };
    let server = tokio::spawn(async move {
        crate::serving::serve_streams(Handed(handed), router, |_, _| {}, until)
            .await
            .unwrap();
    });
    (hand, stop, server)
}

async fn connect(
    hand: &tokio::sync::mpsc::Sender<tokio::io::DuplexStream>,
) -> tokio::io::DuplexStream {
    let (here, there) = tokio::io::duplex(4 << 10);
    hand.send(there).await.unwrap();
    here
}

/// Seconds that something takes on the paused clock, a day at most, and what came of it.
pub(super) async fn seconds_of<T>(work: impl Future<Output = T>) -> (u64, Option<T>) {
    let mut work = std::pin::pin!(work);
    for seconds in 0..86_400 {
        if let Ok(done) = tokio::time::timeout(Duration::from_secs(1), work.as_mut()).await {
            return (seconds, Some(done));
        }
    }
    (86_400, None)
}

/// Seconds until the other end closes; what it sends until then.
async fn until_closed(stream: &mut tokio::io::DuplexStream) -> (u64, String) {
    let mut said = Vec::new();
    // However it closes, if it does.
    let (seconds, _) = seconds_of(stream.read_to_end(&mut said)).await;
    (seconds, String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let (hand, _stop, _server) = serve_handed();
    let patience = limits::REQUEST_HEAD_SECONDS_MAX;
    // HTTP/2 as well: its preface and an empty frame of settings.
    let http2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for begun in [
        &b""[..],
        b"PRI",
        b"GET /slow HTTP/1.1\r\nhost: x\r\nx-",
        http2,
    ] {
        let mut stream = connect(&hand).await;
        stream.write_all(begun).await.unwrap();
        let (seconds, _) = until_closed(&mut stream).await;
        assert!(seconds.abs_diff(patience) <= 1, "{begun:?}: {seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_do_not_renew_the_patience_with_a_head() {
    let (hand, _stop, _server) = serve_handed();
    let (mut reading, mut writing) = tokio::io::split(connect(&hand).await);
    let head = b"GET /slow HTTP/1.1\r\nhost: x\r\n";
    writing.write_all(head).await.unwrap();
    let drip = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            if writing.write_all(b"x").await.is_err() {
                return;
            }
        }
    });
    let (seconds, _) = seconds_of(reading.read_to_end(&mut Vec::new())).await;
    assert!(seconds <= limits::REQUEST_HEAD_SECONDS_MAX + 1, "{seconds}");
    drip.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_in_hand_is_waited_for_and_then_the_connection_kept_for_a_while() {
    let (hand, _stop, _server) = serve_handed();
    let mut stream = connect(&hand).await;
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let (seconds, said) = until_closed(&mut stream).await;
    assert!(said.ends_with("slow"), "{said}");
    let wanted = 60 + limits::REQUEST_HEAD_SECONDS_MAX;
    assert!(seconds.abs_diff(wanted) <= 1, "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_all_of_its_answer() {
    let (hand, _stop, _server) = serve_handed();
    let mut stream = connect(&hand).await;
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let (mut said, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    while said.len() < 1 << 20 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let n = stream.read(&mut piece).await.unwrap();
        assert!(n > 0, "cut off after {} bytes", said.len());
        said.extend_from_slice(&piece[..n]);
    }
    let head = String::from_utf8_lossy(&said[..200]).to_lowercase();
    assert!(head.contains("content-length: 1048576"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_lets_answers_end_for_a_while() {
    for (wait, answered) in [(55, true), (10, false)] {
        let (hand, stop, server) = serve_handed();
        let mut busy = connect(&hand).await;
        busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut idle = connect(&hand).await;
        tokio::time::sleep(Duration::from_secs(wait.min(20))).await;
        let mut later = wait - wait.min(20);
        while later > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            later -= 1;
        }
        stop.send(()).unwrap();
        let (closing, said) = until_closed(&mut busy).await;
        assert_eq!(said.ends_with("slow"), answered, "{wait}: {said}");
        let (ending, _) = seconds_of(server).await;
        assert!(closing + ending <= limits::SHUTDOWN_SECONDS_MAX + 1);
        let _ = until_closed(&mut idle).await;
    }
}
