//! Rules, incidents, what left and what happened, as the command line shows them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Site, Tenant, program};

const RULE: &str = "title: Odd tool
id: 7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f
status: test
description: A tool that nobody here uses.
logsource:
  product: windows
  category: process_creation
detection:
  selection:
    CommandLine|contains: ' -odd '
  condition: selection
falsepositives:
  - Tests of this program
level: high
tags:
  - attack.execution
  - attack.t1059.001
";

const TEST: &str = "rule: 7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f
cases:
  - name: odd
    expect: 1
    rows:
      - table: DeviceProcessEvents
        columns: {Timestamp: 2026-07-18T09:20:00Z, DeviceId: d1, ReportId: 1, ActionType: ProcessCreated, FileName: tool.exe, ProcessCommandLine: tool.exe -odd now}
  - name: even
    expect: 0
    rows:
      - table: DeviceProcessEvents
        columns: {Timestamp: 2026-07-18T09:20:00Z, DeviceId: d1, ReportId: 1, ActionType: ProcessCreated, FileName: tool.exe, ProcessCommandLine: tool.exe -even now}
";

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn run(args: &[&str]) -> Output {
    program().args(args).output().unwrap()
}

#[test]
fn rules_are_checked_tested_and_explained_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let rule = dir.path().join("odd.yml");
    let rule_name = rule.to_str().unwrap();
    std::fs::write(&rule, RULE).unwrap();
    let good = run(&["rule", "check", rule_name]);
    assert_eq!(good.status.code(), Some(0), "{}{}", out(&good), said(&good));

    let untested = run(&["rule", "test", rule_name]);
    assert_eq!(untested.status.code(), Some(1), "no test is no success");
    assert!(said(&untested).contains("has no test"));
    let tests = dir.path().join("tests");
    std::fs::create_dir(&tests).unwrap();
    let test = tests.join("7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f.yml");
    std::fs::write(&test, TEST).unwrap();
    let tested = run(&["rule", "test", rule_name]);
    assert_eq!(tested.status.code(), Some(0), "{}", said(&tested));
    assert!(said(&tested).contains("2 case(s), 0 failed"));
    std::fs::write(&test, TEST.replace("expect: 0", "expect: 1")).unwrap();
    let failed = run(&["rule", "test", rule_name]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(out(&failed).contains("FAILED"), "{}", out(&failed));

    let explained = out(&run(&["rule", "explain", rule_name]));
    for words in [
        "windows/process_creation",
        "CommandLine contains ` -odd `",
        "severity High",
        "T1059.001",
        "may look like it: Tests of this program",
    ] {
        assert!(explained.contains(words), "{words}: {explained}");
    }

    std::fs::write(
        &rule,
        RULE.replace("condition: selection", "condition: other"),
    )
    .unwrap();
    let bad = run(&["rule", "check", rule_name]);
    assert_eq!(bad.status.code(), Some(1));
    let place = format!("{rule_name}:");
    let line = out(&bad);
    let line = line.lines().find(|l| l.contains(" error: ")).unwrap();
    let place = line.strip_prefix(&place).unwrap();
    let numbers: Vec<&str> = place.splitn(3, ':').collect();
    assert!(numbers[0].parse::<u32>().is_ok() && numbers[1].parse::<u32>().is_ok());
    assert_eq!(run(&["rule", "check"]).status.code(), Some(2));
    let unknown = run(&["rule", "explain", "no-such-rule"]);
    assert_eq!(unknown.status.code(), Some(1));
}

const SCHEDULED: &str = "id: 5a1f6d52-4a0c-4a3e-9a0a-6a1b2c3d4e5f
title: Somebody did something
severity: Low
category: Discovery
service: endpoint
frequency: 1h
look_back: 6h
query: |
  DeviceProcessEvents
  | where FileName == 'x.exe'
  | project Timestamp, DeviceId
entities:
  - type: Machine
    columns: {DeviceId: DeviceId}
";

#[test]
fn the_query_of_a_scheduled_rule_is_checked_with_its_place_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let rule = dir.path().join("scheduled.yml");
    let name = rule.to_str().unwrap();
    let check = |text: &str| {
        std::fs::write(&rule, text).unwrap();
        let checked = run(&["rule", "check", name]);
        let lines = out(&checked);
        let first = lines.lines().next().unwrap_or_default().to_owned();
        let place = first.strip_prefix(&format!("{name}:")).unwrap_or_default();
        (checked.status.code(), place.to_owned())
    };
    assert_eq!(check(SCHEDULED), (Some(0), String::new()));
    for (from, to, place, what) in [
        (
            "| where FileName == 'x.exe'",
            "| whre FileName ==",
            "10:",
            "error: KQL0201",
        ),
        (
            "DeviceProcessEvents",
            "DeviceProcesEvents",
            "9:3:",
            "error: KQL0203",
        ),
        (
            "where FileName",
            "where FilName",
            "10:11:",
            "error: KQL0207",
        ),
        (
            "DeviceId: DeviceId",
            "DeviceId: DevceId",
            "14:25:",
            "no column `DevceId`",
        ),
        (
            "severity: Low",
            "severity: Bad",
            "3:1:",
            "`Bad` is no severity",
        ),
    ] {
        let (code, line) = check(&SCHEDULED.replace(from, to));
        assert_eq!(code, Some(1), "{to}");
        assert!(
            line.starts_with(place) && line.contains(what),
            "{to}: {line}"
        );
    }
    // A table of a tenant's own may be there: nobody named a tenant.
    let own = SCHEDULED.replace("DeviceProcessEvents", "Ours_CL");
    let (code, line) = check(&own);
    assert_eq!(code, Some(0));
    assert!(line.contains("warning: KQL0203"), "{line}");
    std::fs::write(&rule, SCHEDULED.replace("where FileName", "where FilName")).unwrap();
    let tested = run(&["rule", "test", name]);
    assert_eq!(tested.status.code(), Some(2), "{}", said(&tested));
    std::fs::write(&rule, RULE.replace("|contains", "|contians")).unwrap();
    let modifier = out(&run(&["rule", "check", name]));
    assert!(modifier.contains(":10:17: error:"), "{modifier}");
}

#[test]
fn the_shipped_rules_pass_their_tests_and_are_explained_by_id() {
    let tested = run(&["rule", "test"]);
    assert_eq!(tested.status.code(), Some(0), "{}", out(&tested));
    // A scheduled one.
    let explained = run(&["rule", "explain", "b17e0b68-88a4-45b4-965a-b342b6ec9530"]);
    let text = out(&explained);
    assert!(
        text.contains("runs every 3 hour(s) over the last 2 day(s)"),
        "{text}"
    );
}

#[test]
fn what_is_woven_in_is_written_beside() {
    let dir = tempfile::tempdir().unwrap();
    let truth = dir.path().join("truth.jsonl");
    let truth_name = truth.to_str().unwrap();
    let base = [
        "generate",
        "--events",
        "300",
        "--start",
        "2026-07-13T00:00:00Z",
    ];
    let with = |more: &[&str]| run(&[&base[..], more].concat());
    let story = with(&["--attack", "story", "--truth", truth_name]);
    assert_eq!(story.status.code(), Some(0), "{}", said(&story));
    let lines = std::fs::read_to_string(&truth).unwrap();
    let kinds: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(
        kinds.iter().filter(|k| *k == "stage").count(),
        12,
        "{kinds:?}"
    );
    let again = with(&["--attack", "story", "--truth", truth_name]);
    assert_eq!(
        again.status.code(),
        Some(1),
        "a file is not replaced unasked"
    );
    let rows = |output: &Output| out(output).lines().count();
    let quiet = with(&["--attack", "none"]);
    let hardest = with(&["--attack", "story", "--hardest"]);
    assert_eq!(out(&quiet), out(&with(&[])), "nothing is the default");
    assert!(rows(&quiet) < rows(&story) && rows(&story) < rows(&hardest));
    for bad in ["many=0", "many=x", "worst"] {
        let refused = with(&["--attack", bad]);
        assert_eq!(refused.status.code(), Some(2), "{bad}");
    }
}

#[test]
fn two_people_bring_the_linkage_secret() {
    let site = Site::init(&["eu", "uk"]);
    let share = |name: &str, epoch: &str| {
        let path = site.dir.path().join(name);
        let output = run(&[
            "key",
            "share",
            "--epoch",
            epoch,
            "--output",
            path.to_str().unwrap(),
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        path.to_str().unwrap().to_owned()
    };
    let (first, second) = (share("first", "684"), share("second", "684"));
    let over = run(&["key", "share", "--epoch", "684", "--output", &first]);
    assert_eq!(over.status.code(), Some(1), "a share is never overwritten");
    let import = |person: &str, share: &str, epoch: &str| {
        let args = ["key", "import", "--purpose", "linkage", "--epoch", epoch];
        let who = ["--person", person, "--format", "json", share];
        site.run(&[&args[..], &who].concat())
    };
    let wrong = import("ada", &first, "685");
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    let one = import("ada", &first, "684");
    assert_eq!(one.status.code(), Some(0), "{}", said(&one));
    let same = import("ada", &second, "684");
    assert_ne!(same.status.code(), Some(0), "the same person twice");
    let two = import("grace", &second, "684");
    assert_eq!(two.status.code(), Some(0), "{}", said(&two));
    let done: Value = serde_json::from_str(&out(&two)).unwrap();
    let prints: Vec<&Value> = (done.as_array().unwrap().iter())
        .map(|r| &r["fingerprint"])
        .collect();
    assert_eq!(prints.len(), 2);
    assert_eq!(prints[0], prints[1], "both regions have the same secret");
    assert_eq!(prints[0].as_str().map(str::len), Some(16));
    let kept = site.run(&["key", "list", "--format", "json"]);
    let kept: Value = serde_json::from_str(&out(&kept)).unwrap();
    assert_eq!(&kept[0]["fingerprint"], prints[0]);
    let audit = out(&site.run(&["audit", "list", "--format", "ndjson"]));
    let imported = audit.lines().filter(|l| l.contains("key_imported")).count();
    assert_eq!(imported, 4, "two people, two regions: {audit}");
    let line = std::fs::read_to_string(&first).unwrap();
    let secret = line.split_whitespace().nth(3).unwrap();
    assert!(!audit.contains(secret));
}

#[test]
fn consent_and_the_centre_are_changed_and_the_record_says_so() {
    let site = Site::init(&["eu"]);
    let mut server = site.serve();
    let operator = server.client("eu", &site.operators["eu"]);
    let tenant = Tenant::provision(&operator, "IE", &["endpoint", "identity"]);
    server.kill();
    let id = tenant.id.as_str();
    let ask = |args: &[&str]| site.run(&[args, &["--format", "ndjson"]].concat());
    let central = ask(&["tenant", "central", id, "facts"]);
    assert_eq!(central.status.code(), Some(0), "{}", said(&central));
    let consent = ask(&["tenant", "consent", id, "endpoint+identity"]);
    assert_eq!(consent.status.code(), Some(0), "{}", said(&consent));
    let shown: Value = serde_json::from_str(&out(&ask(&["tenant", "show", id]))).unwrap();
    assert_eq!(shown["settings"]["centre"], "facts");
    assert_eq!(
        shown["settings"]["sharing"]["pairs"],
        json!([["endpoint", "identity"]])
    );
    let rows = ask(&["tenant", "central", id, "rows"]);
    assert_eq!(
        rows.status.code(),
        Some(2),
        "there is no such mode to choose"
    );
    let audit = out(&ask(&["audit", "list", "--tenant", id]));
    for what in ["centre_changed", "consent_changed", "endpoint+identity"] {
        assert!(audit.contains(what), "{what}: {audit}");
    }
    assert!(audit.contains("local_operator"), "{audit}");

    let rule = site.dir.path().join("odd.yml");
    std::fs::write(&rule, RULE).unwrap();
    let added = ask(&["rule", "add", "--tenant", id, rule.to_str().unwrap()]);
    assert_eq!(added.status.code(), Some(0), "{}", said(&added));
    let rule = "7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f";
    let off = ask(&["rule", "disable", "--tenant", id, rule]);
    assert_eq!(off.status.code(), Some(0), "{}", said(&off));
    let rules = out(&ask(&["rule", "list", "--tenant", id]));
    let own = rules.lines().find(|l| l.contains(rule)).unwrap();
    let own: Value = serde_json::from_str(own).unwrap();
    assert_eq!(
        (&own["origin"], &own["enabled"]),
        (&json!("tenant"), &json!(false))
    );

    for nothing in ["alert", "incident"] {
        let listed = ask(&[nothing, "list", "--tenant", id]);
        assert_eq!((listed.status.code(), out(&listed).as_str()), (Some(0), ""));
    }
    let egress = ask(&["egress", "list", "--tenant", id]);
    assert_eq!((egress.status.code(), out(&egress).as_str()), (Some(0), ""));
    let known = ask(&["device", "show", "--tenant", id, "laptop-1.alder.example"]);
    let known: Value = serde_json::from_str(&out(&known)).unwrap();
    assert_eq!(known["alerts_found"], 0);
    let file = "ab".repeat(32);
    let file = ask(&["file", "show", "--tenant", id, &file]);
    assert_eq!(file.status.code(), Some(0), "{}", said(&file));
    let none = ask(&["incident", "show", "--tenant", id, "1"]);
    assert_eq!(none.status.code(), Some(1), "{}", said(&none));
}

#[test]
fn changes_of_an_incident_are_named_before_anybody_is_asked() {
    let tenant = "00112233445566778899aabbccddeeff";
    let update = |more: &[&str]| {
        let base = ["--server", "http://127.0.0.1:9", "incident", "update"];
        let output = run(&[&base[..], &["--tenant", tenant, "1"], more].concat());
        (output.status.code(), said(&output))
    };
    let (code, text) = update(&[]);
    assert_eq!(code, Some(2));
    assert!(text.contains("nothing was given to change"), "{text}");
    let alert = "0".repeat(32);
    let (code, text) = update(&["--link", &alert, "--unlink", &alert]);
    assert_eq!(code, Some(2));
    assert!(text.contains("cannot be used with"), "{text}");
}

/// Answers one request with this, and gives what was asked for.
fn answering(body: &Value) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let body = body.to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        while lines.next().is_some_and(|l| l.is_ok_and(|l| !l.is_empty())) {}
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
        write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        first
    });
    (address, thread)
}

#[test]
fn an_incident_is_told_as_a_story() {
    let at = |minute: u32| format!("2026-07-18T09:{minute:02}:00.0000000Z");
    let alert = |n: u32, title: &str, here: bool| {
        json!({
            "id": format!("{n:032x}"), "title": title, "severity": "High", "category": "Execution",
            "techniques": ["T1059.001"], "service": "endpoint", "origin": if here { "uk" } else { "eu" },
            "is_here": here, "rule": { "id": "r", "version": "1", "kind": "sigma" },
            "created_at": at(n), "first_at": at(n), "last_at": at(n), "incident": 7,
        })
    };
    let body = json!({
        "id": 7, "name": "From a \u{1b}[2J mail to consent", "status": "active", "severity": "High",
        "score": 87, "classification": "unknown", "determination": "unknown", "tags": ["vip"],
        "tactics": ["InitialAccess", "Execution"], "techniques": ["T1059.001", "T1566"],
        "services": ["email", "endpoint"], "origins": ["eu", "uk"], "alert_count": 2, "devices": 1,
        "accounts": 1, "created_at": at(1), "updated_at": at(9), "first_at": at(1), "last_at": at(4),
        "path": "mail → process",
        "steps": [
            { "stage": "mail", "first_at": at(1), "last_at": at(1), "alerts": [format!("{:032x}", 1)] },
            { "stage": "process", "first_at": at(4), "last_at": at(4), "alerts": [format!("{:032x}", 4)],
              "via": { "from": format!("{:032x}", 1), "key": "address", "seconds": 180 } },
        ],
        "alerts": [alert(1, "Mail that phishes", false), alert(4, "Encoded command", true)],
        "entities": [{ "kind": "User", "role": "Impacted", "name": "ada",
                       "keys": { "address": ["ada@alder.example"] } }],
        "elsewhere": { "eu": 1 },
        "hunts": [{ "title": "What ran", "region": "uk",
                    "query": "DeviceProcessEvents\n| take 5" }],
    });
    let (address, server) = answering(&body);
    let tenant = "00112233445566778899aabbccddeeff";
    let base = ["--server", &address, "--token", "t", "--format", "table"];
    let output = run(&[&base[..], &["incident", "show", "--tenant", tenant, "7"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let asked = server.join().unwrap();
    assert!(
        asked.contains(&format!("/api/v1/tenants/{tenant}/incidents/7")),
        "{asked}"
    );
    let text = out(&output);
    for words in [
        "incident 7",
        "High severity, score 87 of 100, active, assigned to nobody",
        "path: mail → process",
        "same address as \"Mail that phishes\", 3 min after",
        "Encoded command",
        "address ada@alder.example",
        "in this region: 1 alert(s)",
        "in region eu: 1 alert(s)",
        "Hunt: What ran (runs in region uk)\n  DeviceProcessEvents\n  | take 5",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "a name obeys nobody's terminal");
}
