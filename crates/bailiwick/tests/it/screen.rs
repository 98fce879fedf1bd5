//! What a person sees: nothing stored reaches the terminal as a command to it, and wide tables fit.

use crate::support::{Site, Tenant, now, process_event};

#[test]
fn stored_text_is_shown_and_not_obeyed_and_wide_rows_fit() {
    let site = Site::init(&["eu"]);
    let server = site.serve();
    let operator = server.client("eu", &site.operators["eu"]);
    let tenant = Tenant::provision(&operator, "IE", &["endpoint"]);
    let client = server.client("eu", &tenant.token);
    let path = format!("/api/v1/ingest?source={}", tenant.source);
    let long = "y".repeat(300);
    let rows: Vec<String> = (0..5)
        .map(|n| process_event(&format!("a\u{1b}[2J\nb\tc\u{202e} {n} {long}"), &now()))
        .collect();
    let (status, answer) = client
        .send("POST", &path, rows.join("\n").as_bytes())
        .unwrap();
    assert_eq!((status, &answer["stored"]), (200, &5.into()));
    let hunt = |query: &str, more: &[&str]| {
        let mut command = server.command("eu", &tenant.token);
        command
            .args(["--format", "table", "hunt", query])
            .args(more)
            .env("COLUMNS", "100");
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    };
    let (table, notes) = hunt("DeviceProcessEvents", &[]);
    assert!(table.lines().all(|l| l.chars().count() <= 100), "{table}");
    assert!(
        table.contains('…') && notes.contains("empty in all rows"),
        "{table}{notes}"
    );
    assert_eq!(table.lines().count(), 6, "a heading and five rows");
    let (wide, _) = hunt(
        "DeviceProcessEvents | project ProcessCommandLine",
        &["--wide"],
    );
    assert!(
        wide.contains(r"a\u{1b}[2J\nb\tc\u{202e}") && wide.contains(&long),
        "{wide}"
    );
    let (one, notes) = hunt("DeviceProcessEvents | take 1", &[]);
    assert!(
        one.lines()
            .any(|l| l.starts_with("FileName") && l.ends_with("cmd.exe")),
        "{one}"
    );
    assert!(
        notes.contains("1 row,") && notes.contains("datetime(2019-01-01)"),
        "{notes}"
    );
    let (nothing, notes) = hunt("DeviceProcessEvents | where FileName == 'none'", &[]);
    assert!(
        nothing.is_empty() && notes.contains("no rows"),
        "{nothing}{notes}"
    );
    let (time, _) = hunt("print t = datetime(2026-01-02T03:04:05.1)", &[]);
    assert!(time.contains("2026-01-02T03:04:05.1Z"), "{time}");
}
