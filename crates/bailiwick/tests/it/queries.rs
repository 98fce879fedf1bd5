//! `kql fmt`, `kql check`, `kql complete`, and how values of each type come to the caller.

use std::io::Write as _;
use std::process::{Output, Stdio};

use crate::support::{Site, Tenant, program};

const SHORT: &str = "DeviceEvents|take 5";
const WRONG: &str =
    "// fine\nDeviceEvents\n| take 5\n\nDeviceEvents | where ActionTyp == 'x' and Nothing > 1\n";

fn run(args: &[&str], input: &str) -> Output {
    let mut command = program();
    command.arg("kql").args(args);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn formatting_writes_checks_and_replaces() {
    let output = run(&["fmt"], SHORT);
    assert_eq!(out(&output), "DeviceEvents | take 5\n");
    assert_eq!(output.status.code(), Some(0));
    // Several queries, each with its comment.
    let output = run(
        &["fmt", "-"],
        "// a\nprint 1+1\n\n\n\n// b\nprint 2 // two\n",
    );
    assert_eq!(out(&output), "// a\nprint 1 + 1\n\n// b\nprint 2 // two\n");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hunt.kql");
    std::fs::write(&file, SHORT).unwrap();
    let path = file.to_str().unwrap();
    let output = run(&["fmt", "--check", path], "");
    assert_eq!(
        (out(&output), output.status.code()),
        (format!("{path}\n"), Some(1))
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), SHORT);
    assert_eq!(run(&["fmt", "--write", path], "").status.code(), Some(0));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "DeviceEvents | take 5\n"
    );
    assert_eq!(run(&["fmt", "--check", path], "").status.code(), Some(0));
    // What is wrong stays as it is, and is said.
    std::fs::write(&file, "DeviceEvents | where (").unwrap();
    let output = run(&["fmt", "--write", path], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[KQL0003]"));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "DeviceEvents | where ("
    );
}

#[test]
fn checking_shows_every_finding_with_its_line() {
    let output = run(&["check", "-"], WRONG);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("--> standard input:5:22\n  5 | DeviceEvents | where ActionTyp"),
        "{text}"
    );
    assert!(
        text.contains("`ActionType`") && text.contains("`Nothing`"),
        "{text}"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("2 queries, 2 errors"));

    let output = run(&["check", "--format", "json", "-"], WRONG);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["query"], 2);
    assert_eq!(
        (&found[0]["line"], &found[0]["column"]),
        (&5.into(), &22.into())
    );
    assert_eq!(found[0]["code"], "KQL0207");
    assert_eq!(found.as_array().unwrap().len(), 2);

    let output = run(&["check", "-"], SHORT);
    assert_eq!((out(&output).as_str(), output.status.code()), ("", Some(0)));
    assert_eq!(run(&["check", "/no/such.kql"], "").status.code(), Some(2));
}

#[test]
fn completing_offers_columns_of_the_place() {
    let output = run(
        &["complete", "--format", "json", "-"],
        "DeviceEvents | where ActionTy\n",
    );
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["label"], "ActionType");
    assert_eq!(found[0]["kind"], "column");
    assert_eq!(
        (&found[0]["start"], &found[0]["end"]),
        (&21.into(), &29.into())
    );
    let output = run(
        &["complete", "--offset", "13", "--format", "csv", "-"],
        "DeviceEvents | take 5",
    );
    assert!(out(&output).starts_with("LABEL,KIND"));
    assert_eq!(
        run(&["complete", "--offset", "99", "-"], "x").status.code(),
        Some(2)
    );
}

/// From the engine through the answer to the screen: no type is lost on the way, and no value that
/// somebody put into an event keeps the rows beside it from being shown.
#[test]
fn values_of_every_type_reach_the_caller() {
    let site = Site::init(&["eu"]);
    let server = site.serve();
    let operator = server.client("eu", &site.operators["eu"]);
    let tenant = Tenant::provision(&operator, "IE", &["endpoint"]);
    let hunt = |format: &str, query: &str| {
        let mut command = server.command("eu", &tenant.token);
        let output = command.args(["hunt", "--format", format, query]).output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{query}: {error}");
        out(&output)
    };
    let typed =
        "print decimal(1.25), todecimal('-3.5') / 2, decimal(5), decimal(null), 2.0, 7, true,
        datetime(2026-01-02), 1h, dynamic([1]), 'a', guid(74be27de-1e4e-49d9-b579-fe0b331d3642)";
    let rows = server.client("eu", &tenant.token).hunt(typed);
    let expected = serde_json::json!([
        "1.25",
        "-1.75",
        "5",
        null,
        2.0,
        7,
        true,
        "2026-01-02T00:00:00.0000000Z",
        "01:00:00",
        [1],
        "a",
        "74be27de-1e4e-49d9-b579-fe0b331d3642",
    ]);
    assert_eq!(serde_json::json!(rows[0]), expected);
    let line = hunt("csv", typed);
    assert!(line.contains("\r\n1.25,-1.75,5,,2.0,7,true,"), "{line}");
    let sums =
        "range x from 1 to 3 step 1 | summarize s = sum(todecimal(x) / 8), m = max(todecimal(x))";
    assert!(
        hunt("csv", sums).contains("\r\n0.75,3\r\n"),
        "{}",
        hunt("csv", sums)
    );
    let hostile = r#"datatable(s:string)[@'{"Cmd":"\ud800"}', @'{"Cmd":"ok"}'] | extend j = parse_json(s) | project j"#;
    let deep = "print a = parse_json(strcat(strrep('[', 200), strrep(']', 200))), b = 'beside'";
    for format in ["table", "json", "ndjson", "csv"] {
        assert!(hunt(format, hostile).contains("ok"), "{format}");
        assert!(hunt(format, deep).contains("beside"), "{format}");
    }
}
