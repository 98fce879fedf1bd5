//! What the centre tells of a file is read in a hunt: ten owner groups ran a tool, and one has a
//! document that never left.

use std::time::{Duration, Instant};

use model::{Epoch, Ticks};
use serde_json::{Value, json};

use crate::support::{Client, ENVELOPE, Server, Site, Tenant, now};

const TOOL: &str = "5e9a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8";
const NINE: &str = "bb9a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8";
const PRIVATE: &str = "aa9a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8";
/// How long a reconciler of a busy machine may take.
const PATIENCE: Duration = Duration::from_mins(2);

fn record(table: &str, report: u32, file: &str, sha256: &str) -> String {
    let at = now();
    json!({
        "time": at, "tenantId": ENVELOPE, "operationName": "Publish",
        "category": format!("AdvancedHunting-{table}"),
        "properties": {
            "Timestamp": at, "ReportId": report, "DeviceId": "d0",
            "DeviceName": "host.test.example",
            "ActionType": if table == "DeviceFileEvents" { "FileCreated" } else { "ProcessCreated" },
            "FileName": file, "SHA256": sha256, "SHA1": sha256.get(..40),
        },
        "Tenant": "DefaultTenant",
    })
    .to_string()
}

fn bring_linkage_secret(site: &Site) {
    let epoch = Epoch::at(Ticks::parse(&now()).unwrap()).0.to_string();
    for person in ["ada", "grace"] {
        let file = site.dir.path().join(person).display().to_string();
        let share = ["key", "share", "--epoch", &epoch, "--output", &file];
        let import = [
            "key",
            "import",
            "--purpose",
            "linkage",
            "--epoch",
            &epoch,
            "--person",
            person,
            &file,
        ];
        for args in [&share[..], &import[..]] {
            let output = site.run(args);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{said}");
        }
    }
}

fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Ten tenants; all ran the tool, nine ran another, the first has a document.
fn feed(server: &Server, operator: &Client) -> Tenant {
    let mut first = None;
    for n in 0..10 {
        let tenant = Tenant::provision(operator, "IE", &["endpoint"]);
        let path = format!("/api/v1/tenants/{}/settings", tenant.id);
        let told = operator.send("PATCH", &path, br#"{"centre":"facts"}"#);
        let (status, answer) = told.unwrap();
        assert_eq!(status, 200, "{answer}");
        let mut lines = vec![record("DeviceProcessEvents", 1, "tool.exe", TOOL)];
        if n < 9 {
            lines.push(record("DeviceProcessEvents", 2, "nine.exe", NINE));
        }
        if n == 0 {
            lines.push(record("DeviceFileEvents", 3, "salaries.xlsx", PRIVATE));
        }
        let client = server.client("eu", &tenant.token);
        let path = format!("/api/v1/ingest?source={}", tenant.source);
        let (_, answer) = client
            .send("POST", &path, lines.join("\n").as_bytes())
            .unwrap();
        assert_eq!(answer["stored"], json!(lines.len()), "{answer}");
        operator.post(
            &format!("/api/v1/tenants/{}/flush", tenant.id),
            &Value::Null,
        );
        until("its facts leave", || {
            let path = format!("/api/v1/tenants/{}/egress", tenant.id);
            let (_, page) = operator.send("GET", &path, b"").unwrap();
            let all = page["egress"].as_array().unwrap();
            all.iter()
                .any(|e| e["facts"].as_u64() > Some(0))
                .then_some(())
        });
        first.get_or_insert(tenant);
    }
    first.unwrap()
}

#[test]
fn a_hunt_says_how_many_owner_groups_have_a_file_at_least_or_nothing() {
    let site = Site::init(&["eu"]);
    bring_linkage_secret(&site);
    let mut server = site.serve();
    let operator = server.client("eu", &site.operators["eu"]);
    let tenant = feed(&server, &operator);
    let hunter = |server: &Server| server.client("eu", &tenant.token);
    let query = "union DeviceProcessEvents, DeviceFileEvents | invoke FileProfile()
                 | sort by FileName asc | project FileName, GlobalPrevalence, GlobalFirstSeen";
    let ask = |server: &Server| hunter(server).post("/api/v1/hunt", &json!({ "query": query }));
    let figures = |answer: &Value| -> Vec<Value> {
        let rows = answer["rows"].as_array().unwrap();
        rows.iter().map(|row| row[1].clone()).collect()
    };
    // What was published before has none of it.
    assert_eq!(
        figures(&ask(&server)),
        [Value::Null, Value::Null, Value::Null]
    );

    server.terminate();
    let published = site.run(&["centre", "publish", "--format", "ndjson"]);
    assert_eq!(published.status.code(), Some(0));
    server = site.serve();
    let answer = until("the snapshot is pulled", || {
        let answer = ask(&server);
        figures(&answer)
            .iter()
            .any(|n| !n.is_null())
            .then_some(answer)
    });
    let rows = answer["rows"].as_array().unwrap();
    let day = model::Day::of(Ticks::parse(&now()).unwrap())
        .start()
        .to_string();
    assert_eq!(rows[0], json!(["nine.exe", null, null]), "{answer}");
    assert_eq!(rows[1], json!(["salaries.xlsx", null, null]), "{answer}");
    assert_eq!(rows[2][1], json!(10), "{answer}");
    assert!(rows[2][2].as_str().unwrap() <= day.as_str(), "{answer}");
    let notices = answer["notices"].as_array().unwrap().iter();
    let codes: Vec<_> = notices.map(|n| n["code"].as_str().unwrap()).collect();
    assert!(
        codes.contains(&"file_profile") && codes.contains(&"file_profile_by"),
        "{answer}"
    );
}
