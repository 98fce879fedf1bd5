//! `ingest` as people use it: what was refused can be found, cut out, repaired and sent again; files
//! of every kind and size go; an interrupted run goes on.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{self, ENVELOPE, Server, Site, Tenant, now, process_event};

/// A served region with a tenant, and a folder for files.
struct Desk {
    site: Site,
    server: Server,
    tenant: Tenant,
}

impl Desk {
    fn new() -> Self {
        let site = Site::init(&["eu"]);
        let server = site.serve();
        let operator = server.client("eu", &site.operators["eu"]);
        let tenant = Tenant::provision(&operator, "IE", &["endpoint"]);
        Self {
            site,
            server,
            tenant,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.site.dir.path().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn ingest(&self, args: &[&str]) -> Output {
        let mut command = self.server.command("eu", &self.tenant.token);
        command.args(["ingest", "--source", &self.tenant.source]);
        command.args(args).output().unwrap()
    }

    /// Sends files and gives exit code and figures.
    fn sent(&self, args: &[&str]) -> (Option<i32>, Value) {
        let output = self.ingest(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer = serde_json::from_slice(&output.stdout);
        (
            output.status.code(),
            answer.unwrap_or_else(|_| panic!("{said}")),
        )
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A record of a service that the source does not declare.
fn undeclared() -> String {
    process_event("mail", &now()).replace("DeviceProcessEvents", "EmailEvents")
}

#[test]
fn every_refused_record_is_written_with_its_place_and_its_text() {
    let desk = Desk::new();
    let mut records = vec![
        process_event("first", &now()),
        "not json".to_owned(),
        undeclared(),
    ];
    let foreign =
        process_event("foreign", &now()).replace(ENVELOPE, "00000000-0000-4000-8000-000000000009");
    records.extend(std::iter::repeat_n(foreign.clone(), 1_200));
    records.push(process_event("last", &now()));
    let file = desk.file("export.jsonl", records.join("\n") + "\n");
    let rejects = desk.path("rejects.jsonl");
    let (code, answer) = desk.sent(&[text(&file), "--rejects", text(&rejects)]);
    assert_eq!(code, Some(1), "not everything was stored");
    assert_eq!(
        (&answer["counts"]["stored"], &answer["counts"]["rejected"]),
        (&json!(2), &json!(1_202))
    );
    assert_eq!(
        answer["rejected_codes"],
        json!({ "malformed_json": 1, "service_not_declared": 1, "tenant_mismatch": 1_200 }),
        "counted in full"
    );
    let refused = lines(&rejects);
    assert_eq!(refused.len(), 1_202, "none is left out");
    let bytes = std::fs::read_to_string(&file).unwrap();
    for item in &refused {
        let line = usize::try_from(item["line"].as_u64().unwrap()).unwrap();
        assert_eq!(
            item["text"],
            records[line - 1],
            "the line number and the text belong together"
        );
        assert_eq!(item["record"], json!(line - 1));
        let offset = usize::try_from(item["offset"].as_u64().unwrap()).unwrap();
        if item["code"] != "malformed_json" {
            assert!(
                bytes
                    .get(offset..)
                    .unwrap()
                    .starts_with(item["text"].as_str().unwrap())
            );
        }
    }
    let mail = refused
        .iter()
        .find(|r| r["code"] == "service_not_declared")
        .unwrap();
    assert_eq!(
        (&mail["table"], &mail["service"]),
        (&json!("EmailEvents"), &json!("email"))
    );
}

#[test]
fn an_interrupted_run_goes_on_and_a_changed_file_is_noticed() {
    let desk = Desk::new();
    let file = desk.file(
        "a.jsonl",
        format!("{}\nnone\n", process_event("one", &now())),
    );
    let (state, rejects) = (desk.path("state"), desk.path("rejects"));
    let args = [
        text(&file),
        "--resume",
        text(&state),
        "--rejects",
        text(&rejects),
    ];
    assert_eq!(desk.sent(&args).1["counts"]["read"], 2);
    assert_eq!(
        desk.sent(&args).1["counts"]["read"],
        0,
        "all of it was sent"
    );

    let grown = format!(
        "{}{}\nnope\n",
        std::fs::read_to_string(&file).unwrap(),
        process_event("two", &now())
    );
    std::fs::write(&file, &grown).unwrap();
    let (_, answer) = desk.sent(&args);
    assert_eq!(
        (&answer["counts"]["read"], &answer["counts"]["stored"]),
        (&json!(2), &json!(1))
    );
    let places: Vec<_> = lines(&rejects)
        .iter()
        .map(|r| (r["line"].clone(), r["record"].clone()))
        .collect();
    assert_eq!(
        places,
        [(json!(2), json!(1)), (json!(4), json!(3))],
        "both runs' refusals, by their place in the file"
    );

    // Another file of the same name, and a shorter one.
    std::fs::write(&file, format!("{}\n", process_event("three", &now()))).unwrap();
    let output = desk.ingest(&args);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("is not the file that was sent before")
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["counts"]["stored"], 1);
}

#[test]
fn a_grown_file_of_plain_records_is_stored_once() {
    let desk = Desk::new();
    let file = desk.file("plain.jsonl", "{\"a\":1}\n{\"a\":2}\n");
    let state = desk.path("state");
    let args = [
        text(&file),
        "--as",
        "json",
        "--table",
        "Plain_CL",
        "--resume",
        text(&state),
    ];
    assert_eq!(desk.sent(&args).1["counts"]["stored"], 2);
    std::fs::write(&file, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n").unwrap();
    let (code, answer) = desk.sent(&args);
    assert_eq!((code, &answer["counts"]["stored"]), (Some(0), &json!(1)));
    assert_eq!(answer["counts"]["untimed"], 1);
}

/// Of tables that a token does not cover not even the names are told.
#[test]
fn a_token_limited_to_tables_learns_no_raw_tables_name() {
    let desk = Desk::new();
    let file = desk.file("plain.jsonl", "{\"a\":1}\n");
    let args = [text(&file), "--as", "json", "--table", "Sesame_CL"];
    assert_eq!(desk.sent(&args).1["counts"]["stored"], 1);
    let operator = desk.server.client("eu", &desk.site.operators["eu"]);
    let narrow = operator.post(
        &format!("/api/v1/tenants/{}/tokens", desk.tenant.id),
        &json!({ "name": "narrow", "permissions": ["hunt"], "tables": ["DeviceInfo"], "days": 1 }),
    );
    let ask = |token: &str, query: &str| {
        let mut command = desk.server.command("eu", token);
        command.args(["hunt", "--format", "json", query]);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8(said).unwrap()
    };
    let whole = |query| ask(&desk.tenant.token, query);
    let narrow = |query| ask(narrow["secret"].as_str().unwrap(), query);
    let near = "Sesame_C | count";
    assert!(whole(near).contains("`Sesame_CL`"), "{}", whole(near));
    assert!(!narrow(near).contains("Sesame_CL"), "{}", narrow(near));
    // Nor whether a table of a name that was guessed is there.
    let columns = whole("Sesame_CL | getschema | project ColumnName");
    assert!(columns.contains("\"a\""), "{columns}");
    let guessed = narrow("Sesame_CL | getschema | project ColumnName");
    let invented = narrow("Riddle_CL | getschema | project ColumnName");
    assert!(!invented.is_empty());
    assert_eq!(
        guessed.replace("Sesame_CL", "Riddle_CL").lines().next(),
        invented.lines().next()
    );
}

#[test]
fn a_line_that_is_too_long_costs_that_line() {
    let desk = Desk::new();
    let mut bytes = format!("{}\n", process_event("before", &now())).into_bytes();
    let second = bytes.len();
    let long = process_event(&"x".repeat(40 << 20), &now());
    bytes.extend_from_slice(long.as_bytes());
    bytes.extend_from_slice(format!("\n{}\nnone\n", process_event("after", &now())).as_bytes());
    let file = desk.file("long.jsonl", bytes);
    let rejects = desk.path("rejects");
    let (code, answer) = desk.sent(&[text(&file), "--rejects", text(&rejects)]);
    assert_eq!(
        (code, &answer["counts"]["stored"]),
        (Some(1), &json!(2)),
        "{answer}"
    );
    let refused = lines(&rejects);
    let place = |n: usize, name: &str| refused[n][name].clone();
    assert_eq!(place(0, "code"), "record_too_large");
    assert_eq!(
        (place(0, "line"), place(0, "offset"), place(0, "record")),
        (json!(2), json!(second), json!(1))
    );
    assert_eq!(
        (place(1, "line"), place(1, "record"), place(1, "text")),
        (json!(4), json!(3), json!("none"))
    );
}

/// A tar of two events, a folder and a link among them, compressed and then cut off behind the
/// second: what was whole is read, and the rest is told.
fn tarball() -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    let mut tar = tar::Builder::new(gzip);
    let mut add = |name: &str, kind: tar::EntryType, text: &str| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    };
    add("day", tar::EntryType::Directory, "");
    add(
        "day/three.json",
        tar::EntryType::Regular,
        &process_event("member three", &now()),
    );
    add("day/link", tar::EntryType::Symlink, "");
    add(
        "four.json",
        tar::EntryType::Regular,
        &process_event("member four", &now()),
    );
    let mut bytes = tar.into_inner().unwrap().finish().unwrap();
    // The trailer of gzip and most of the two empty blocks at the end.
    bytes.truncate(bytes.len() - 900);
    bytes
}

#[test]
fn archives_and_large_compressed_files_are_opened() {
    let desk = Desk::new();
    // 140 MiB of text in a few kilobytes: more than one request may hold.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let padding = " ".repeat(1 << 20);
    for n in 0..140 {
        writeln!(
            gzip,
            "{}{padding}",
            process_event(&format!("line {n}"), &now())
        )
        .unwrap();
    }
    let large = desk.file("large.jsonl.gz", gzip.finish().unwrap());
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let members = [
        ("day/one.json", process_event("member one", &now())),
        ("__MACOSX/day/._one.json", "\u{0}\u{5}\u{16}".to_owned()),
        (
            "two.json",
            format!("{}\nnone\n", process_event("member two", &now())),
        ),
    ];
    for (name, text) in members {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    let archive = desk.file("week.zip", zip.finish().unwrap().into_inner());
    let tarball = desk.file("month.tar.gz", tarball());
    let rejects = desk.path("rejects");
    let missing = desk.path("missing.json");
    let args = [
        text(&missing),
        text(&large),
        text(&archive),
        text(&tarball),
        "--rejects",
        text(&rejects),
    ];
    let output = desk.ingest(&args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("skipped 1 resource forks"), "{said}");
    assert!(said.contains("missing.json` [file_failed]"), "{said}");
    let cut_off = "month.tar.gz`: incomplete deflate stream [bad_format]";
    assert!(said.contains(cut_off), "{said}");
    assert_eq!(
        output.status.code(),
        Some(2),
        "one file failed, the others were sent"
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let files: Vec<(String, Value)> = answer["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            let name = f["file"].as_str().unwrap().rsplit_once('/').unwrap().1;
            (name.to_owned(), f["stored"].clone())
        })
        .collect();
    let expected = [
        ("missing.json", 0),
        ("large.jsonl.gz", 140),
        ("one.json", 1),
        ("two.json", 1),
        ("three.json", 1),
        ("four.json", 1),
        ("month.tar.gz", 0),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(n, stored)| ((*n).to_owned(), json!(stored)))
        .collect();
    assert_eq!(files, expected);
    let refused = lines(&rejects);
    assert!(
        refused[0]["file"]
            .as_str()
            .unwrap()
            .ends_with("week.zip/two.json"),
        "{refused:?}"
    );
    assert_eq!(refused[0]["line"], 2);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_a_server_is_heard_early() {
    let desk = Desk::new();
    let file = desk.file("one.jsonl", process_event("dry", &now()));
    let (code, answer) = desk.sent(&[text(&file), "--dry-run"]);
    assert_eq!(
        (code, &answer["counts"]["would_store"]),
        (Some(0), &json!(1))
    );
    assert_eq!(answer["counts"]["stored"], Value::Null);
    // A wrong token is refused before the body is read: the reason must not be lost in a broken pipe.
    let big = desk.file(
        "big.jsonl",
        format!("{}\n", process_event("big", &now())).repeat(40_000),
    );
    let mut command = desk.server.command("eu", "bwt_eu_wrong");
    let output = command
        .args(["ingest", "--source", &desk.tenant.source, text(&big)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("[unauthenticated]"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    // Names go in the address as they are, whatever they hold.
    let output = desk.ingest(&[text(&file), "--as", "json", "--table", "bad name"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("[bad_request]") && !said.contains("uri"),
        "{said}"
    );
}

#[test]
fn offline_each_record_goes_to_its_own_region_and_so_does_a_hunt() {
    let site = Site::init(&["eu", "uk"]);
    let mut server = site.serve();
    let operator = server.client("uk", &site.operators["uk"]);
    let tenant = Tenant::provision(&operator, "GB", &["endpoint", "identity"]);
    assert_eq!(
        server.terminate(),
        Some(0),
        "asked to end, it ends in order"
    );
    let logon =
        process_event("logon", &now()).replace("DeviceProcessEvents", "IdentityLogonEvents");
    let path = site.dir.path().join("mixed.jsonl");
    std::fs::write(
        &path,
        format!("{}\n{logon}\n", process_event("start", &now())),
    )
    .unwrap();
    let output = site.run(&[
        "ingest",
        "--tenant",
        &tenant.id,
        "--source",
        &tenant.source,
        text(&path),
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = &answer["counts"];
    assert_eq!(
        (
            &counts["read"],
            &counts["stored"],
            &counts["wrong_region"],
            &counts["mapped"]
        ),
        (&json!(2), &json!(2), &json!(0), &json!(2))
    );
    let output = site.run(&[
        "hunt",
        "--tenant",
        &tenant.id,
        "IdentityLogonEvents | count",
    ]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        r#"{"Count":1}"#
    );
    let nobody = site.run(&["hunt", "IdentityLogonEvents | count"]);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("--tenant"));
}

/// With a server and a token of each region, records find their own way; without, they are reported.
#[test]
fn online_each_record_goes_to_its_own_region_if_there_is_a_way() {
    let site = Site::init(&["eu", "uk"]);
    let server = site.serve();
    let operator = server.client("uk", &site.operators["uk"]);
    let tenant = Tenant::provision(&operator, "GB", &["endpoint", "identity"]);
    let second = server.client("eu", &site.operators["eu"]).post(
        &format!("/api/v1/tenants/{}/tokens", tenant.id),
        &json!({ "name": "eu", "permissions": ["ingest", "hunt"], "days": 1 }),
    );
    let second = second["secret"].as_str().unwrap().to_owned();
    let logon =
        process_event("logon", &now()).replace("DeviceProcessEvents", "IdentityLogonEvents");
    let broken = logon.replace("\"properties\"", "\"nothing\"");
    let path = site.dir.path().join("mixed.jsonl");
    let lines = format!(
        "{logon}\n{}\n{broken}\n{logon}\n",
        process_event("start", &now())
    );
    std::fs::write(&path, lines).unwrap();
    let (uk, eu) = (&server.addresses["uk"], &server.addresses["eu"]);
    let run = |servers: &[&String], tokens: &[&String]| {
        let mut command = support::program();
        for server in servers {
            command.args(["--server", server]);
        }
        let tokens: Vec<&str> = tokens.iter().map(|t| t.as_str()).collect();
        command.args(["--token", &tokens.join(",")]);
        let output = command
            .args(["ingest", "--source", &tenant.source, text(&path)])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (answer["counts"].clone(), said)
    };
    let figures = |counts: &Value| {
        ["read", "stored", "repeated", "rejected", "wrong_region"]
            .map(|name| counts[name].as_u64().unwrap_or(u64::MAX))
    };
    // One way only: what has none is reported, with what is wanting.
    let (counts, said) = run(&[uk], &[&tenant.token]);
    assert_eq!(figures(&counts), [4, 1, 0, 1, 2], "{said}");
    assert!(
        said.contains("to region `eu`, give a token of it"),
        "{said}"
    );
    let (counts, said) = run(&[uk], &[&second, &tenant.token]);
    assert_eq!(figures(&counts), [4, 0, 1, 1, 2], "{said}");
    assert!(said.contains("to region `eu`, give its server"), "{said}");
    // All ways, whichever token comes first. Equal records of an export are one.
    let (counts, said) = run(&[uk, eu], &[&second, &tenant.token]);
    assert_eq!(figures(&counts), [4, 1, 2, 1, 0], "{said}");
    let stored = server
        .client("eu", &second)
        .hunt("IdentityLogonEvents | count");
    assert_eq!(stored, [[json!(1)]]);
    // From the other side nothing but the process start is sent on.
    let (counts, said) = run(&[eu, uk], &[&tenant.token, &second]);
    assert_eq!(figures(&counts), [4, 0, 3, 1, 0], "{said}");
    // A token that says nothing of a region cannot be one of several.
    let (_, said) = run(&[uk, eu], &[&"secret".to_owned(), &second]);
    assert!(
        said.contains("[bad_request]") && !said.contains("secret"),
        "{said}"
    );
}

/// From a Windows event to its row, to the row's id, to why it is here; and what the event said under
/// its own names. The same on a server and on the stopped directory.
#[test]
fn a_hunt_gives_the_id_that_explain_takes() {
    let mut desk = Desk::new();
    let event = json!({
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "SourceName": "Microsoft-Windows-Sysmon",
        "Hostname": "ws7.test.example",
        "EventTime": now(),
        "UtcTime": now(),
        "RecordNumber": 77,
        "ProcessGuid": "{aaaabbbb-0000-1111-2222-ccccdddd0000}",
        "ProcessId": "4242",
        "Image": r"C:\Windows\System32\whoami.exe",
        "CommandLine": "whoami /all",
        "RuleName": "a rule of ours",
    });
    let events = desk.file("sysmon.jsonl", format!("{event}\n"));
    let (code, answer) = desk.sent(&[text(&events), "--as", "windows-json"]);
    assert_eq!(
        (code, &answer["counts"]["stored"]),
        (Some(0), &json!(1)),
        "{answer}"
    );
    let query = "DeviceProcessEvents | where FileName == 'whoami.exe' \
        | project id = row_id(), rule = tostring(_source_fields.RuleName), event = _source_fields.EventID";
    let out = |output: Output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let read = serde_json::from_slice::<Value>(&output.stdout);
        read.unwrap_or_else(|_| panic!("{said}"))
    };
    let tenant = desk.tenant.id.clone();
    let mut ids = Vec::new();
    for online in [true, false] {
        if !online {
            desk.server.terminate();
        }
        let run = |args: &[&str]| {
            if online {
                let mut command = desk.server.command("eu", &desk.tenant.token);
                out(command.args(args).output().unwrap())
            } else {
                out(desk.site.run(args))
            }
        };
        let mut hunt = vec!["hunt", query];
        if !online {
            hunt.extend(["--tenant", &tenant]);
        }
        let row = run(&hunt);
        assert_eq!(
            (&row["rule"], &row["event"]),
            (&json!("a rule of ours"), &json!(1)),
            "{row}"
        );
        let id = row["id"].as_str().unwrap().to_owned();
        let why = run(&["residency", "explain", "--tenant", &tenant, &id]);
        assert_eq!(
            (&why["table"], &why["service"], &why["region"]),
            (
                &json!("DeviceProcessEvents"),
                &json!("endpoint"),
                &json!("eu")
            ),
            "{why}"
        );
        ids.push(id);
    }
    assert_eq!(ids[0], ids[1]);
}
