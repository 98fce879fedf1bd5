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
    let mut seats = Seats::new(listener, 1);
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
