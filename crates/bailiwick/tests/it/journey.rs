//! The whole path as a user walks it: init, serve, provision, ingest, hunt, explain, and back on the
//! command line without a server.

use serde_json::Value;

use crate::support::{Site, Tenant, contains, now, process_event, program};

#[test]
fn a_user_goes_from_init_to_an_answer_and_back() {
    let site = Site::init(&["eu", "uk"]);
    assert_eq!(site.operators.len(), 2);
    let mut server = site.serve();
    let eu = server.client("eu", &site.operators["eu"]);
    let tenant = Tenant::provision(&eu, "IE", &["endpoint"]);
    let client = server.client("eu", &tenant.token);

    let at = now();
    let body = [
        process_event("first needle-4711", &at),
        "not json".to_owned(),
    ]
    .join("\n");
    let path = format!("/api/v1/ingest?source={}", tenant.source);
    let (status, answer) = client.send("POST", &path, body.as_bytes()).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["stored"], &answer["rejected_total"]),
        (&Value::from(1), &Value::from(1))
    );
    let (_, again) = client.send("POST", &path, body.as_bytes()).unwrap();
    assert_eq!(
        (&again["stored"], &again["duplicates"]),
        (&Value::from(0), &Value::from(1))
    );

    let query =
        "DeviceProcessEvents | where ProcessCommandLine has 'needle' | project ProcessCommandLine";
    assert_eq!(client.hunt(query), [[Value::from("first needle-4711")]]);

    // A token of one region knocks at the other: its prefix is enough.
    let uk = server.client("uk", &tenant.token);
    let (status, refusal) = uk.send("POST", &path, body.as_bytes()).unwrap();
    assert_eq!(
        (status, &refusal["code"]),
        (421, &Value::from("wrong_region"))
    );
    assert_eq!(refusal["details"]["region"], "eu");

    // The directory is locked while it is served.
    let locked = site.run(&["tenant", "list"]);
    assert_eq!(locked.status.code(), Some(3));
    let said = String::from_utf8_lossy(&locked.stderr).into_owned();
    assert!(
        said.contains("directory_locked") || said.contains("lock"),
        "{said}"
    );

    server.kill();
    assert!(
        !contains(&site.root(), b"needle-4711"),
        "a command line lies on disk in clear"
    );

    // The same hunt on the stopped directory, as the local operator.
    let output = site.run(&["--format", "ndjson", "hunt", "--tenant", &tenant.id, query]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(text.trim(), r#"{"ProcessCommandLine":"first needle-4711"}"#);
}

#[test]
fn mistakes_get_a_code_and_an_exit_code() {
    let none = program()
        .args(["hunt", "DeviceInfo | count"])
        .output()
        .unwrap();
    assert_eq!(none.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&none.stderr).contains("hint: use `--server"),
        "a remedy is said"
    );

    let site = Site::init(&["eu"]);
    let again = program()
        .arg("init")
        .arg(site.root())
        .arg("--passphrase-file")
        .arg(site.dir.path().join("passphrase"))
        .output()
        .unwrap();
    assert_eq!(
        again.status.code(),
        Some(1),
        "a directory is never made over"
    );

    std::fs::write(site.dir.path().join("passphrase"), "wrong\n").unwrap();
    let wrong = site.run(&["tenant", "list"]);
    assert_eq!(wrong.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("wrong_key"));

    let config = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), format!("{config}\nsurprise = 1\n")).unwrap();
    let unknown = site.run(&["config", "check"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("surprise"));

    let inside = config.replace("keys/eu.ring", "data/eu/eu.ring");
    std::fs::write(site.config(), inside).unwrap();
    let ring = site.run(&["config", "check"]);
    assert_eq!(
        ring.status.code(),
        Some(2),
        "a key ring inside a data directory is refused"
    );
}
