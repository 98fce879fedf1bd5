//! `kill -9` under load: every acknowledged record is returned exactly once.
//!
//! The oracle is the client's journal: what was acknowledged. What was sent and not acknowledged may
//! be there or not, but never twice, even though it is sent again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use testkit::SeededRandom;

use crate::support::{Client, Site, Tenant, now, process_event};

const KILLS: u64 = 20;
const WRITERS: usize = 4;
/// Records of one request.
const BATCH: usize = 3;

#[test]
fn every_acknowledged_record_survives_kills_exactly_once() {
    let random = SeededRandom::new(testkit::seed(1));
    let site = Site::init(&["eu"]);
    let mut server = site.serve();
    let operator = server.client("eu", &site.operators["eu"]);
    let tenant = Tenant::provision(&operator, "IE", &["endpoint"]);
    let path = format!("/api/v1/ingest?source={}", tenant.source);
    let acknowledged: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    for kill in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, path) = (server.client("eu", &tenant.token), path.clone());
                let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
                std::thread::spawn(move || {
                    write(&client, &path, kill, writer, &stop, &acknowledged);
                })
            })
            .collect();
        // Some kills come while a flush runs.
        if kill % 3 == 1 {
            let client = server.client("eu", &site.operators["eu"]);
            let path = format!("/api/v1/tenants/{}/flush", tenant.id);
            std::thread::spawn(move || drop(client.send("POST", &path, b"null")));
        }
        std::thread::sleep(Duration::from_millis(20 + random.below(150)));
        server.kill();
        stop.store(true, Ordering::Release);
        for writer in writers {
            writer.join().unwrap();
        }
        server = site.serve();
    }
    let client = server.client("eu", &tenant.token);
    let rows = client.hunt(
        "DeviceProcessEvents | summarize n = count() by ProcessCommandLine | project ProcessCommandLine, n",
    );
    let mut found = BTreeSet::new();
    for row in rows {
        assert_eq!(
            row[1],
            Value::from(1),
            "{} is there {} times",
            row[0],
            row[1]
        );
        found.insert(row[0].as_str().unwrap().to_owned());
    }
    let acknowledged = acknowledged.lock().unwrap();
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged records are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    assert!(
        acknowledged.len() > 100,
        "too few records to mean anything: {}",
        acknowledged.len()
    );
}

/// Sends batches until the server dies; each batch is sent again if its answer was lost.
fn write(
    client: &Client,
    path: &str,
    kill: u64,
    writer: usize,
    stop: &AtomicBool,
    acknowledged: &Mutex<BTreeSet<String>>,
) {
    for n in 0.. {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let at = now();
        let lines: Vec<String> = (0..BATCH)
            .map(|i| format!("k{kill}-w{writer}-n{n}-i{i}"))
            .collect();
        let body: Vec<String> = lines.iter().map(|line| process_event(line, &at)).collect();
        // Sent twice on purpose now and then: a shipper that timed out does the same.
        for _ in 0..=usize::from(n % 5 == 0) {
            match client.send("POST", path, body.join("\n").as_bytes()) {
                Ok((200, _)) => acknowledged.lock().unwrap().extend(lines.iter().cloned()),
                Ok((status, answer)) => panic!("{status}: {answer}"),
                Err(_) => return,
            }
        }
    }
}
