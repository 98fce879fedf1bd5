//! Regions come, go missing and fall ill: what can be served is served, what is wrong is named.

use crate::support::{Site, Tenant, now, process_event, program};

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_region_is_added_to_a_deployed_configuration() {
    let mut site = Site::init(&["eu"]);
    let server = site.serve();
    let output = site.run(&["region", "add", "uk", "--listen", "127.0.0.1:0"]);
    assert!(
        output.status.success(),
        "beside a running one: {}",
        said(&output)
    );
    drop(server);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (region, token) = text.trim().split_once(' ').unwrap();
    site.operators.insert(region.to_owned(), token.to_owned());
    let server = site.serve();
    Tenant::provision(
        &server.client("uk", &site.operators["uk"]),
        "GB",
        &["endpoint"],
    );
    drop(server);
    let check = site.run(&["config", "check"]);
    assert!(check.status.success(), "{}", said(&check));
    let again = site.run(&["region", "add", "uk"]);
    assert_eq!(
        again.status.code(),
        Some(1),
        "a key ring is never made over"
    );
    let unknown = site.run(&["region", "add", "mars"]);
    assert!(said(&unknown).contains("the registry has no region `mars`"));
}

#[test]
fn what_is_missing_is_named_and_never_made_anew() {
    let site = Site::init(&["eu", "uk"]);
    std::fs::rename(site.root().join("data/uk"), site.root().join("away")).unwrap();
    let check = site.run(&["config", "check"]);
    assert_eq!(check.status.code(), Some(2));
    assert!(
        said(&check).contains("data/uk` is missing [catalogue_failed]"),
        "{}",
        said(&check)
    );
    // The other region is served.
    let server = site.serve_some(1);
    let operator = server.client("eu", &site.operators["eu"]);
    let tenant = Tenant::provision(&operator, "IE", &["endpoint"]);
    let client = server.client("eu", &tenant.token);
    let path = format!("/api/v1/ingest?source={}", tenant.source);
    let (status, _) = client
        .send("POST", &path, process_event("x", &now()).as_bytes())
        .unwrap();
    assert_eq!(status, 200);
    drop(server);
    assert!(
        !site.root().join("data/uk").exists(),
        "an unmounted volume is not made"
    );

    std::fs::rename(site.root().join("away"), site.root().join("data/uk")).unwrap();
    std::fs::write(site.root().join("data/uk/catalogue.db"), "").unwrap();
    let check = site.run(&["config", "check"]);
    assert!(
        said(&check).contains("catalogue.db` is empty [catalogue_failed]"),
        "{}",
        said(&check)
    );
    std::fs::remove_file(site.root().join("keys/eu.ring")).unwrap();
    let none = site.run(&["tenant", "list"]);
    let text = said(&none);
    assert!(
        !none.status.success() && text.contains("keys/eu.ring` is missing [wrong_key]"),
        "{text}"
    );
}

#[test]
fn the_command_line_goes_before_the_environment_and_addresses_are_read_kindly() {
    let site = Site::init(&["eu"]);
    let output = site
        .command()
        .env("BAILIWICK_SERVER", "http://127.0.0.1:1")
        .args(["tenant", "list"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let ask = |address: &str| {
        program()
            .args(["--server", address, "tenant", "list"])
            .output()
            .unwrap()
    };
    assert!(said(&ask("127.0.0.1:7401")).contains("`http://127.0.0.1:7401`"));
    let dead = ask("http://127.0.0.1:1");
    assert!(said(&dead).contains("[unreachable]"), "{}", said(&dead));
}

#[test]
fn a_token_is_revoked_by_its_id_not_presented() {
    let site = Site::init(&["eu"]);
    let server = site.serve();
    let operator = server.client("eu", &site.operators["eu"]);
    let tenant = Tenant::provision(&operator, "IE", &["endpoint"]);
    let run = |args: &[&str]| {
        server
            .command("eu", &site.operators["eu"])
            .args(args)
            .output()
            .unwrap()
    };
    let listed = run(&["token", "list", "--tenant", &tenant.id]);
    let token: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let id = token["token"].as_str().unwrap();
    let revoked = run(&["token", "revoke", "--tenant", &tenant.id, id]);
    assert!(revoked.status.success(), "{}", said(&revoked));
    let client = server.client("eu", &tenant.token);
    assert_eq!(client.send("GET", "/api/v1/tenants", b"").unwrap().0, 401);
    // What a tenant's token may do is checked before it is asked for.
    let typo = run(&[
        "token",
        "create",
        "--tenant",
        &tenant.id,
        "--name",
        "x",
        "--permissions",
        "igest",
    ]);
    let text = said(&typo);
    assert!(
        text.contains("one of ingest, hunt") && !text.contains("operator"),
        "{text}"
    );
    let guid = run(&[
        "source",
        "add",
        "--tenant",
        &tenant.id,
        "--name",
        "x",
        "--services",
        "endpoint",
        "--envelope-tenant",
        "no",
    ]);
    assert!(said(&guid).contains("it is a guid"), "{}", said(&guid));
    // Switched off and on again, settings changed, and the ledger says so.
    for what in ["disable", "enable"] {
        let done = run(&["source", what, "--tenant", &tenant.id, &tenant.source]);
        assert!(done.status.success(), "{}", said(&done));
    }
    let changed = run(&["tenant", "settings", &tenant.id, "--retention-days", "60"]);
    let changed: serde_json::Value = serde_json::from_slice(&changed.stdout).unwrap();
    assert_eq!(changed["settings"]["retention_days"], 60);
    let ledger = run(&["tenant", "ledger", &tenant.id, "--format", "csv"]);
    assert!(String::from_utf8_lossy(&ledger.stdout).lines().count() > 3);
}

#[test]
fn files_are_not_lost_by_accident() {
    let dir = tempfile::tempdir().unwrap();
    let generate = |more: &[&str]| {
        let out = dir.path().join("out");
        let mut command = program();
        command
            .args(["generate", "--events", "20", "--output"])
            .arg(out);
        command.args(more).output().unwrap()
    };
    assert!(generate(&[]).status.success());
    let again = generate(&[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("--force"), "{}", said(&again));
    assert!(generate(&["--force"]).status.success());
}

#[test]
fn a_scan_says_what_it_saw_and_does_not_look_at_running_cells() {
    let site = Site::init(&["eu"]);
    let mut server = site.serve();
    let operator = server.client("eu", &site.operators["eu"]);
    let tenant = Tenant::provision(&operator, "IE", &["endpoint"]);
    let client = server.client("eu", &tenant.token);
    let path = format!("/api/v1/ingest?source={}", tenant.source);
    client
        .send(
            "POST",
            &path,
            process_event("marker-4711-marker", &now()).as_bytes(),
        )
        .unwrap();
    let running = site.run(&["residency", "scan"]);
    assert!(
        said(&running).contains("[directory_locked]"),
        "{}",
        said(&running)
    );
    server.kill();
    let short = site.run(&["residency", "scan", "--marker", "alder"]);
    let text = said(&short);
    assert!(
        text.contains("`alder`") && text.contains("[bad_request]"),
        "{text}"
    );
    let scan = site.run(&["residency", "scan", "--marker", "marker-4711-marker"]);
    let text = said(&scan);
    assert_eq!(scan.status.code(), Some(0), "{text}");
    assert!(
        text.contains("sealed: `marker-4711-marker` in region eu, DeviceProcessEvents"),
        "{text}"
    );
    assert!(text.contains("nothing is wrong"), "{text}");
    let regions = |output: &std::process::Output| -> Vec<serde_json::Value> {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let lines = text.lines();
        lines.map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let region = regions(&scan).remove(0);
    assert_eq!(region["findings"], 0, "{region}");
    assert_eq!(
        (&region["region"], &region["log_rows"]),
        (&"eu".into(), &1.into()),
        "{region}"
    );
    assert!(region["values"].as_u64() > Some(10) && region["files"].as_u64() > Some(2));
    std::fs::write(site.root().join("data/eu/log/stray"), "marker-4711-marker").unwrap();
    let clear = site.run(&["residency", "scan", "--marker", "marker-4711-marker"]);
    assert_eq!(clear.status.code(), Some(1));
    assert!(
        said(&clear).contains("in clear: `marker-4711-marker`"),
        "{}",
        said(&clear)
    );
    let region = regions(&clear).remove(0);
    assert_eq!(
        (&region["findings"], &region["markers_in_clear"]),
        (&1.into(), &1.into())
    );
    assert_eq!(region["found"][0]["what"], "unknown_file", "{region}");
    assert_eq!(
        region["in_clear"][0]["marker"], "marker-4711-marker",
        "{region}"
    );
    let explain = site.run(&["residency", "explain", "--tenant", &tenant.id, "7"]);
    assert!(
        said(&explain).contains("32 hex digits"),
        "{}",
        said(&explain)
    );
}
