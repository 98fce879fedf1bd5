//! Microseconds per record of decoding, identity included, on one thread.
//!
//! `cargo bench -p ingest`. Records are made here: 3.6 KB `DeviceProcessEvents` with all 68 columns,
//! in the order the export writes them, and a Sysmon process start as Winlogbeat writes it.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hint::black_box;

use ingest::{Format, RawSchema, SourceContext, decode};
use model::{ColumnType, Schema};

const TENANT: &str = "aaaabbbb-0000-1111-2222-ccccdddd0000";
const RECORDS: usize = 500;

fn main() {
    let export = lines(process_event);
    measure("defender", Format::DefenderExport, &export);
    let windows = lines(sysmon_event);
    measure("windows-json", Format::WindowsJson, &windows);
}

fn lines(record: impl Fn(usize) -> String) -> String {
    (0..RECORDS).fold(String::new(), |mut out, n| {
        let _ = writeln!(out, "{}", record(n));
        out
    })
}

fn process_event(n: usize) -> String {
    let Some(table) = Schema::hunting().table("DeviceProcessEvents") else {
        return String::new();
    };
    let mut properties = String::new();
    for column in &table.columns {
        let comma = if properties.is_empty() { "" } else { "," };
        let _ = write!(properties, "{comma}\"{}\":", column.name);
        let _ = match column.column_type {
            ColumnType::DateTime => {
                write!(properties, "\"2026-07-18T15:00:{:02}.0606781Z\"", n % 60)
            }
            ColumnType::Long | ColumnType::Int => write!(properties, "{}", 1000 + n),
            ColumnType::Bool => write!(properties, "false"),
            _ if column.name.contains("CommandLine") => write!(
                properties,
                "\"\\\"C:\\\\Program Files\\\\Vendor\\\\Agent\\\\agent.exe\\\" --service --config \\\"C:\\\\ProgramData\\\\Vendor\\\\agent-{n}.conf\\\" --log-level warn --session 7f3a\""
            ),
            _ if column.name.contains("FolderPath") => write!(
                properties,
                "\"C:\\\\Program Files\\\\Vendor\\\\Agent\\\\agent{n}.exe\""
            ),
            _ if column.name.contains("SHA256") => write!(properties, "\"{n:064x}\""),
            _ if column.name.contains("SHA1") => write!(properties, "\"{n:040x}\""),
            _ if &*column.name == "AdditionalFields" => {
                write!(properties, "\"{{\\\"Key\\\":\\\"Value {n}\\\"}}\"")
            }
            _ if column.name.contains("Remote") || column.name.contains("Upn") => {
                write!(properties, "null")
            }
            _ => write!(properties, "\"value of a column {n}\""),
        };
    }
    format!(
        "{{\"time\":\"2026-07-18T15:02:23.0616003Z\",\"tenantId\":\"{TENANT}\",\"operationName\":\"Publish\",\"category\":\"AdvancedHunting-DeviceProcessEvents\",\"properties\":{{{properties}}},\"Tenant\":\"DefaultTenant\"}}"
    )
}

fn sysmon_event(n: usize) -> String {
    format!(
        r#"{{"@timestamp":"2026-02-03T04:05:06.789Z","agent":{{"type":"winlogbeat","version":"8.14.0"}},"event":{{"code":"1","kind":"event"}},"host":{{"name":"ws1"}},"winlog":{{"channel":"Microsoft-Windows-Sysmon/Operational","computer_name":"ws1.corp.example","event_id":"1","provider_name":"Microsoft-Windows-Sysmon","record_id":{n},"event_data":{{"UtcTime":"2026-02-03 04:05:06.700","ProcessGuid":"{{a-{n}}}","ProcessId":"{n}","Image":"C:\\Windows\\System32\\cmd.exe","CommandLine":"cmd /c \"echo {n}\"","CurrentDirectory":"C:\\","User":"CORP\\ann","LogonId":"0x3e7","IntegrityLevel":"High","Hashes":"MD5={n:032x},SHA256={n:064x},IMPHASH={n:032x}","ParentImage":"C:\\Windows\\explorer.exe","ParentCommandLine":"explorer","ParentProcessId":"12","OriginalFileName":"Cmd.Exe","Company":"Vendor","Product":"System","Description":"Shell"}}}},"message":"Process Create:"}}"#
    )
}

fn measure(name: &str, format: Format, body: &str) {
    let known = RawSchema::new();
    let controllers = BTreeSet::new();
    let context = SourceContext {
        envelope_tenant: Some(TENANT),
        known_raw: &known,
        domain_controllers: &controllers,
        raw_table: None,
        time_column: None,
    };
    let mut best = f64::MAX;
    for _ in 0..300 {
        let begun = std::time::Instant::now();
        let decoded = decode(format, body.as_bytes(), &context);
        let seconds = begun.elapsed().as_secs_f64();
        match black_box(decoded) {
            Ok(decoded) if decoded.rejected.is_empty() => best = best.min(seconds),
            other => println!("{name}: not decoded: {:?}", other.map(|d| d.rejected)),
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let (records, bytes) = (RECORDS as f64, body.len() as f64);
    println!(
        "{name}: {:.2} us/record, {:.0} bytes/record, {:.0} MB/s",
        best * 1e6 / records,
        bytes / records,
        bytes / best / 1e6
    );
}
