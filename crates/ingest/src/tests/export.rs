//! The streaming export as it is on the wire: one test for each of its habits.

use model::{ColumnType, TableName, limits};

use super::{TENANT, cell, codes, record, row, run, run_with, table, text};
use crate::{Decoded, Format, RawSchema};

const TIME: &str = r#""Timestamp":"2026-07-18T15:00:36.0606781Z""#;

/// The cell that one value of one column makes.
fn value(table_name: &str, column: &str, json: &str) -> String {
    let decoded = row(table_name, &format!(r#"{{{TIME},"{column}":{json}}}"#));
    cell(table(&decoded, table_name), column, 0)
}

fn source_fields(decoded: &Decoded) -> String {
    text(&decoded.batches[0], "_source_fields", 0)
}

fn identity(body: &str) -> Vec<u8> {
    let decoded = run(Format::DefenderExport, body.as_bytes());
    assert_eq!(decoded.rejected, []);
    decoded.batches[0].identity.iter().next().unwrap().to_vec()
}

#[test]
fn the_row_time_is_the_event_s_with_any_fraction_and_without_a_zone() {
    for (sent, read) in [
        ("2026-07-18T15:00:36Z", "2026-07-18T15:00:36.0000000Z"),
        ("2026-07-18T15:00:36.1Z", "2026-07-18T15:00:36.1000000Z"),
        ("2026-07-18T15:00:36.123Z", "2026-07-18T15:00:36.1230000Z"),
        (
            "2026-07-18T15:00:36.0616003Z",
            "2026-07-18T15:00:36.0616003Z",
        ),
        (
            "2026-07-18T15:00:36.0616003",
            "2026-07-18T15:00:36.0616003Z",
        ),
        ("2026-07-18T17:00:36+02:00", "2026-07-18T15:00:36.0000000Z"),
    ] {
        let decoded = row("DeviceEvents", &format!(r#"{{"Timestamp":"{sent}"}}"#));
        assert_eq!(cell(&decoded.batches[0], "Timestamp", 0), read);
    }
}

#[test]
fn an_event_without_a_readable_time_of_its_own_is_refused() {
    // The envelope's `time` is the export's clock and must not stand in.
    for properties in [
        "{}",
        r#"{"Timestamp":null}"#,
        r#"{"Timestamp":""}"#,
        r#"{"Timestamp":"yesterday"}"#,
        r#"{"Timestamp":1789}"#,
    ] {
        let decoded = run(
            Format::DefenderExport,
            record("DeviceEvents", properties).as_bytes(),
        );
        assert_eq!(codes(&decoded), ["bad_time"], "{properties}");
    }
    // Nothing of a refused record stays behind.
    let bad = record("DeviceEvents", r#"{"FileName":"left","Extra":1}"#);
    let good = record("DeviceEvents", &format!("{{{TIME}}}"));
    let decoded = run(Format::DefenderExport, format!("{bad}\n{good}").as_bytes());
    assert_eq!(cell(&decoded.batches[0], "FileName", 0), "\"\"");
    assert!(decoded.new_raw.is_empty());
    // A table of state may lack its time, and one of another name has another column.
    row("ExposureGraphNodes", r#"{"NodeId":"n"}"#);
    let decoded = row(
        "DeviceTvmSoftwareVulnerabilitiesKB",
        r#"{"LastModifiedTime":"2026-01-02"}"#,
    );
    assert_eq!(
        cell(&decoded.batches[0], "LastModifiedTime", 0),
        "2026-01-02T00:00:00.0000000Z"
    );
}

#[test]
fn time_generated_is_another_name_of_the_time() {
    let decoded = row("DeviceEvents", r#"{"TimeGenerated":"2026-07-18"}"#);
    assert_eq!(
        cell(&decoded.batches[0], "Timestamp", 0),
        "2026-07-18T00:00:00.0000000Z"
    );
    assert_eq!(cell(&decoded.batches[0], "TimeGenerated", 0), "no column");
    let decoded = row(
        "DeviceEvents",
        r#"{"TimeGenerated":"2026-07-19","Timestamp":null}"#,
    );
    assert_eq!(
        cell(&decoded.batches[0], "Timestamp", 0),
        "2026-07-19T00:00:00.0000000Z"
    );
    let decoded = row(
        "DeviceEvents",
        r#"{"TimeGenerated":"2026-07-19","Timestamp":"2026-07-18"}"#,
    );
    assert_eq!(
        cell(&decoded.batches[0], "Timestamp", 0),
        "2026-07-18T00:00:00.0000000Z"
    );
    assert_eq!(source_fields(&decoded), r#"{"TimeGenerated":"2026-07-19"}"#);
}

#[test]
fn dynamic_columns_take_json_and_json_in_a_string() {
    let dynamic = |json: &str| value("CloudAppEvents", "RawEventData", json);
    assert_eq!(dynamic(r#"{"k" : [1, "a b"]}"#), r#""{\"k\":[1,\"a b\"]}""#);
    assert_eq!(
        dynamic(r#""{\"k\" : [1, \"a b\"]}""#),
        r#""{\"k\":[1,\"a b\"]}""#
    );
    assert_eq!(dynamic(r#""[\"T1059\"]""#), r#""[\"T1059\"]""#);
    assert_eq!(dynamic(r#""not json {""#), r#""\"not json {\"""#);
    assert_eq!(dynamic(r#""{broken""#), r#""\"{broken\"""#);
    assert_eq!(dynamic(r#""007""#), r#""\"007\"""#);
    assert_eq!(dynamic("12345678901234567890"), "\"12345678901234567890\"");
    assert_eq!(dynamic("true"), "\"true\"");
    assert_eq!(dynamic("null"), "null");
    assert_eq!(dynamic(r#""""#), "null");
    assert_eq!(dynamic(r#""null""#), "null");
}

#[test]
fn additional_fields_follow_the_type_in_their_table() {
    // A string in DeviceEvents, dynamic in CloudAppEvents; both encodings for both.
    for sent in [r#"{"k": 1}"#, r#""{\"k\":1}""#] {
        assert_eq!(
            value("DeviceEvents", "AdditionalFields", sent),
            r#""{\"k\":1}""#
        );
        assert_eq!(
            value("CloudAppEvents", "AdditionalFields", sent),
            r#""{\"k\":1}""#
        );
    }
    assert_eq!(
        value("DeviceEvents", "AdditionalFields", "\"free text\""),
        "\"free text\""
    );
    assert_eq!(
        value("CloudAppEvents", "AdditionalFields", "\"free text\""),
        r#""\"free text\"""#
    );
}

#[test]
fn missing_is_null_or_empty() {
    for sent in ["null", "\"\""] {
        assert_eq!(
            value("DeviceProcessEvents", "AppGuardContainerId", sent),
            "\"\""
        );
        assert_eq!(value("DeviceProcessEvents", "ProcessId", sent), "null");
        assert_eq!(
            value("DeviceProcessEvents", "ProcessCreationTime", sent),
            "null"
        );
        assert_eq!(value("CloudAppEvents", "IsAdminOperation", sent), "null");
        let decoded = row(
            "DeviceProcessEvents",
            &format!(r#"{{{TIME},"ProcessId":{sent}}}"#),
        );
        assert_eq!(source_fields(&decoded), "null");
    }
}

#[test]
fn bools_come_in_many_dresses() {
    for (sent, read) in [
        ("true", "true"),
        ("false", "false"),
        ("1", "true"),
        ("0", "false"),
        ("\"1\"", "true"),
        ("\"0\"", "false"),
        ("\"True\"", "true"),
        ("\"false\"", "false"),
        ("\"\"", "null"),
        ("\" \"", "null"),
    ] {
        assert_eq!(
            value("CloudAppEvents", "IsAdminOperation", sent),
            read,
            "{sent}"
        );
    }
}

#[test]
fn numbers_keep_every_digit_and_may_be_text() {
    let long = |sent: &str| value("DeviceInfo", "ReportId", sent);
    assert_eq!(long("639199803770463703"), "639199803770463703");
    assert_eq!(long("\"639199803770463703\""), "639199803770463703");
    assert_eq!(long("-9223372036854775808"), "-9223372036854775808");
    assert_eq!(long("9223372036854775807"), "9223372036854775807");
    assert_eq!(long("12.0"), "12");
    let int = |sent: &str| value("IdentityLogonEvents", "Port", sent);
    assert_eq!(int("\"443\""), "443");
    assert_eq!(int("\"\""), "null");
    assert_eq!(int("2147483647"), "2147483647");
    // The same name is a string elsewhere; numbers of any size become their text.
    assert_eq!(
        value("EmailEvents", "ReportId", "639199803770463703"),
        "\"639199803770463703\""
    );
    assert_eq!(
        value("DeviceProcessEvents", "ProcessUniqueId", "0"),
        "\"0\""
    );
}

#[test]
fn what_does_not_convert_is_kept_in_its_original_form() {
    for (table, column, sent) in [
        ("IdentityLogonEvents", "Port", "2147483648"),
        ("IdentityLogonEvents", "Port", "\"https\""),
        ("DeviceInfo", "ReportId", "9223372036854775808"),
        ("DeviceInfo", "ReportId", "1.5"),
        ("DeviceInfo", "ReportId", "9007199254740993.0"),
        ("DeviceInfo", "ReportId", "true"),
        ("CloudAppEvents", "IsAdminOperation", "\"perhaps\""),
        ("CloudAppEvents", "IsAdminOperation", "2"),
        ("DeviceProcessEvents", "ProcessCreationTime", "\"soon\""),
        ("DeviceProcessEvents", "LogonId", r#"{"a":[1]}"#),
    ] {
        let decoded = row(table, &format!(r#"{{{TIME},"{column}":{sent}}}"#));
        assert_eq!(
            cell(&decoded.batches[0], column, 0),
            "null",
            "{column} {sent}"
        );
        assert_eq!(source_fields(&decoded), format!(r#"{{"{column}":{sent}}}"#));
    }
}

#[test]
fn strings_are_decoded_and_take_any_value() {
    let string = |sent: &str| value("DeviceEvents", "FileName", sent);
    assert_eq!(string(r#""a\\b\u00e9\n""#), r#""a\\bé\n""#);
    assert_eq!(string("5"), "\"5\"");
    assert_eq!(string("false"), "\"false\"");
    assert_eq!(string(r#"[ 1, {"a" : 2} ]"#), r#""[1,{\"a\":2}]""#);
}

#[test]
fn guids_are_normalised() {
    let guid_column = model::Schema::hunting()
        .tables()
        .find_map(|t| {
            let column = t
                .columns
                .iter()
                .find(|c| c.column_type == ColumnType::Guid)?;
            Some((t.name.clone(), column.name.clone()))
        })
        .unwrap();
    let (name, column) = guid_column;
    let time = model::Schema::hunting()
        .table(name.as_str())
        .unwrap()
        .time_column
        .clone()
        .unwrap();
    let guid = |sent: &str| {
        let decoded = row(
            name.as_str(),
            &format!(r#"{{"{time}":"2026-01-01","{column}":"{sent}"}}"#),
        );
        cell(&decoded.batches[0], &column, 0)
    };
    let normal = "\"0a1b2c3d-0000-1111-2222-333344445555\"";
    assert_eq!(guid("0A1B2C3D-0000-1111-2222-333344445555"), normal);
    assert_eq!(guid("{0a1b2c3d-0000-1111-2222-333344445555}"), normal);
    assert_eq!(guid("0a1b2c3d000011112222333344445555"), normal);
    assert_eq!(guid("0a1b2c3d0-000-1111-2222-333344445555"), "null");
    assert_eq!(guid("not a guid"), "null");
}

#[test]
fn the_tenant_of_the_envelope_must_be_the_source_s() {
    let good = record("DeviceEvents", &format!("{{{TIME}}}"));
    let with = |tenant: &str| good.replace(&format!("\"{TENANT}\""), tenant);
    let outcome = |body: String| codes(&run(Format::DefenderExport, body.as_bytes()));
    assert_eq!(
        outcome(with(&format!("\"{}\"", TENANT.to_uppercase()))),
        [""; 0]
    );
    for other in ["\"other\"", "null", "\"\"", "5"] {
        assert_eq!(outcome(with(other)), ["tenant_mismatch"], "{other}");
    }
    assert_eq!(
        outcome(good.replace("tenantId", "tenant")),
        ["tenant_mismatch"]
    );
    // A source without one takes none.
    let known = RawSchema::new();
    let none = std::collections::BTreeSet::new();
    let context = crate::SourceContext {
        envelope_tenant: None,
        known_raw: &known,
        domain_controllers: &none,
        raw_table: None,
        time_column: None,
    };
    let plain = |body: &str| {
        codes(&crate::decode(Format::DefenderExport, body.as_bytes(), &context).unwrap())
    };
    assert_eq!(plain(&good), ["tenant_mismatch"]);
    assert_eq!(plain(&with("null")), [""; 0]);
}

#[test]
fn the_envelope_s_keys_come_in_any_order() {
    let row = format!(
        r#"{{"properties":{{{TIME},"FileName":"x"}},"Tenant":"DefaultTenant","_TimeReceivedBySvc":"2026-07-18T15:00:43","category":"DeviceEvents","tenantId":"{TENANT}"}}"#
    );
    let decoded = run(Format::DefenderExport, row.as_bytes());
    assert_eq!(cell(&decoded.batches[0], "FileName", 0), "\"x\"");
}

#[test]
fn a_category_names_a_table() {
    let with = |category: &str| {
        let body = record("X", &format!("{{{TIME}}}")).replace("\"AdvancedHunting-X\"", category);
        let decoded = run(Format::DefenderExport, body.as_bytes());
        decoded.batches.first().map_or_else(
            || decoded.rejected[0].code.to_string(),
            |b| format!("{} {}", b.table, b.known),
        )
    };
    assert_eq!(
        with("\"AdvancedHunting-BehaviorInfo\""),
        "BehaviorInfo true"
    );
    assert_eq!(with("\"BehaviorInfo\""), "BehaviorInfo true");
    assert_eq!(
        with("\"advancedhunting-BehaviorInfo\""),
        "BehaviorInfo true"
    );
    assert_eq!(with("\"AdvancedHunting-Foo\""), "Foo false");
    for bad in [
        "\"\"",
        "\"AdvancedHunting-\"",
        "\"a b\"",
        "\"1a\"",
        "null",
        "5",
        "\"é\"",
        &format!("\"{}\"", "a".repeat(129)),
    ] {
        assert_eq!(with(bad), "bad_category", "{bad}");
    }
    let missing = record("X", "{}").replace("category", "kategory");
    assert_eq!(
        codes(&run(Format::DefenderExport, missing.as_bytes())),
        ["bad_category"]
    );
    for bad in ["null", "[]", "\"{}\""] {
        assert_eq!(
            codes(&run(
                Format::DefenderExport,
                record("DeviceEvents", bad).as_bytes()
            )),
            ["malformed_record"]
        );
    }
}

#[test]
fn unknown_tables_and_columns_are_kept_raw() {
    let decoded = row(
        "Foo",
        &format!(r#"{{{TIME},"b":"text","a":{{"x": 1}},"n":5,"gone":null}}"#),
    );
    let rows = &decoded.batches[0];
    assert!(!rows.known);
    let names: Vec<&String> = rows
        .batch
        .schema_ref()
        .fields()
        .iter()
        .map(|f| f.name())
        .collect();
    assert_eq!(
        names,
        ["Timestamp", "a", "b", "gone", "n", "_source_fields"]
    );
    assert_eq!(cell(rows, "Timestamp", 0), "2026-07-18T15:00:36.0606781Z");
    assert_eq!(text(rows, "a", 0), r#"{"x":1}"#);
    assert_eq!(text(rows, "b", 0), "\"text\"");
    assert_eq!(text(rows, "n", 0), "5");
    assert_eq!(cell(rows, "gone", 0), "null");
    assert_eq!((decoded.tally.mapped, decoded.tally.raw), (0, 1));
    // A raw table needs no time, and keeps one that cannot be read.
    let decoded = row("Foo", r#"{"Timestamp":"later"}"#);
    assert_eq!(source_fields(&decoded), r#"{"Timestamp":"later"}"#);

    let decoded = row(
        "DeviceEvents",
        &format!(r#"{{{TIME},"Zeta":[1, 2],"Alpha":"x","LogonID":7}}"#),
    );
    let rows = &decoded.batches[0];
    let columns = rows.batch.schema_ref();
    let known = model::Schema::hunting().table("DeviceEvents").unwrap();
    let names: Vec<&str> = columns.fields().iter().map(|f| f.name().as_str()).collect();
    let mut expected: Vec<&str> = known.columns.iter().map(|c| &*c.name).collect();
    expected.extend(["Alpha", "LogonID", "Zeta", "_source_fields"]);
    assert_eq!(
        names, expected,
        "known in documented order, raw by name, then the source's fields"
    );
    assert_eq!(text(rows, "Zeta", 0), "[1,2]");
    assert_eq!(cell(rows, "LogonId", 0), "null", "names are case-sensitive");
    let table = TableName::new("DeviceEvents").unwrap();
    assert_eq!(
        decoded.new_raw.column(&table, "Zeta"),
        Some(ColumnType::Dynamic)
    );
    assert_eq!(decoded.new_raw.columns_counted(), 3);
}

#[test]
fn machine_group_is_raw_but_free() {
    let decoded = row(
        "DeviceEvents",
        &format!(r#"{{{TIME},"MachineGroup":"servers"}}"#),
    );
    assert_eq!(text(&decoded.batches[0], "MachineGroup", 0), "\"servers\"");
    assert_eq!(decoded.new_raw.columns_counted(), 0);
    assert!(!decoded.new_raw.is_empty());
}

#[test]
fn names_of_ours_cannot_be_taken() {
    let decoded = row(
        "DeviceEvents",
        &format!(r#"{{{TIME},"_row_id":1,"_source_fields":"x","RawColumns":2,"":3}}"#),
    );
    let rows = &decoded.batches[0];
    assert_eq!(
        text(rows, "RawColumns", 0),
        r#"{"_row_id":1,"_source_fields":"x","RawColumns":2,"":3}"#
    );
    assert_eq!(source_fields(&decoded), "null");
    assert_eq!(decoded.new_raw.columns_counted(), 0);
}

#[test]
fn beyond_the_quota_columns_go_to_the_bag() {
    let name = TableName::new("DeviceEvents").unwrap();
    let mut known = RawSchema::new();
    for n in 0..limits::RAW_COLUMNS_MAX - 1 {
        known.add(&name, &format!("C{n}"), ColumnType::Dynamic);
    }
    let body = record(
        "DeviceEvents",
        &format!(r#"{{{TIME},"C5":0,"Last":1,"Over":2,"MachineGroup":"g","Further":"f"}}"#),
    );
    let decoded = run_with(Format::DefenderExport, body.as_bytes(), &known, &[]);
    let rows = &decoded.batches[0];
    assert_eq!(text(rows, "C5", 0), "0");
    assert_eq!(text(rows, "Last", 0), "1");
    assert_eq!(cell(rows, "Over", 0), "no column");
    assert_eq!(text(rows, "RawColumns", 0), r#"{"Over":2,"Further":"f"}"#);
    assert_eq!(text(rows, "MachineGroup", 0), "\"g\"");
    known.merge(&decoded.new_raw);
    assert_eq!(known.columns_counted(), limits::RAW_COLUMNS_MAX);
}

#[test]
fn beyond_the_quota_tables_are_refused() {
    let mut known = RawSchema::new();
    for n in 0..limits::RAW_TABLES_MAX - 1 {
        known.add_table(&TableName::new(&format!("T{n}")).unwrap());
    }
    let of = |name: &str| record(name, "{}");
    let body = [
        of("T0"),
        of("Last"),
        of("Over"),
        of("Last"),
        record("DeviceEvents", &format!("{{{TIME}}}")),
    ]
    .join("\n");
    let decoded = run_with(Format::DefenderExport, body.as_bytes(), &known, &[]);
    assert_eq!(codes(&decoded), ["table_quota"]);
    assert_eq!(decoded.rejected[0].record, 2);
    assert_eq!(
        decoded
            .batches
            .iter()
            .map(|b| b.batch.num_rows())
            .sum::<usize>(),
        4
    );
}

#[test]
fn old_misspellings_of_columns_are_read() {
    let known = model::Schema::hunting().tables().find_map(|t| {
        let column = t.columns.iter().find(|c| c.alias.is_some())?;
        Some((t.clone(), column.clone()))
    });
    let (table, column) = known.unwrap();
    let time = table.time_column.clone().unwrap();
    let decoded = row(
        table.name.as_str(),
        &format!(
            r#"{{"{time}":"2026-01-01","{}":"v"}}"#,
            column.alias.unwrap()
        ),
    );
    assert_eq!(
        text(&decoded.batches[0], &column.name, 0).trim_matches('"'),
        "v"
    );
}

#[test]
fn a_repeated_name_keeps_its_first_value_and_loses_none() {
    let decoded = row(
        "DeviceEvents",
        &format!(r#"{{{TIME},"FileName":"one","FileName":"two"}}"#),
    );
    assert_eq!(cell(&decoded.batches[0], "FileName", 0), "\"one\"");
    assert_eq!(source_fields(&decoded), r#"{"FileName":"two"}"#);
}

#[test]
fn a_redelivery_has_the_same_identity() {
    let first = record(
        "DeviceEvents",
        &format!(
            r#"{{{TIME},"FileName":"é","AdditionalFields":{{"b":1,"a":[1,2]}},"ReportId":5}}"#
        ),
    );
    let again = first
        .replace("2026-07-18T15:02:23.0616003Z", "2026-07-18T15:22:41.1Z")
        .replace("é", "\\u00e9")
        .replace("{\"b\":1,\"a\":[1,2]}", "{ \"a\" : [ 1, 2 ] , \"b\":1 }")
        .replace("\"ReportId\":5", "  \"ReportId\" : 5 ");
    let reordered = record(
        "DeviceEvents",
        &format!(
            r#"{{"ReportId":5,"AdditionalFields":{{"a":[1,2],"b":1}},"FileName":"é",{TIME}}}"#
        ),
    );
    assert_eq!(identity(&first), identity(&again));
    assert_eq!(identity(&first), identity(&reordered));
    assert_eq!(
        identity(&format!("[{first}]")),
        identity(&first),
        "nor on the request"
    );
    for other in ["\"ReportId\":6", "\"ReportId\":\"5\"", "\"reportId\":5"] {
        assert_ne!(
            identity(&first),
            identity(&first.replace("\"ReportId\":5", other))
        );
    }
    assert_ne!(identity(&first), identity(&first.replace("[1,2]", "[2,1]")));
}

#[test]
fn identity_does_not_depend_on_what_came_before() {
    // Columns in changing order: the remembered order must never be taken for another.
    let a = record(
        "DeviceEvents",
        &format!(r#"{{{TIME},"FileName":"a","MD5":"m","Raw":1}}"#),
    );
    let b = record(
        "DeviceEvents",
        &format!(r#"{{"MD5":"m","Raw":1,{TIME},"FileName":"a"}}"#),
    );
    let c = record(
        "DeviceEvents",
        &format!(r#"{{"Raw":1,{TIME},"FileName":"a","MD5":"m"}}"#),
    );
    let d = record(
        "DeviceEvents",
        &format!(r#"{{"Raw":1,"\u0046ileName":"a","MD5":"m",{TIME}}}"#),
    );
    let body = [&a, &b, &c, &d, &a, &d, &b].map(String::as_str).join("\n");
    let decoded = run(Format::DefenderExport, body.as_bytes());
    let rows = &decoded.batches[0];
    let wanted = identity(&a);
    assert!(rows.identity.iter().all(|i| i == wanted));
    for at in 0..7 {
        assert_eq!(cell(rows, "FileName", at), "\"a\"");
        assert_eq!(cell(rows, "MD5", at), "\"m\"");
        assert_eq!(text(rows, "Raw", at), "1");
    }
}

#[test]
fn reasons_quote_no_value() {
    let secret = "s3cr3t-marker";
    let bodies = [
        record("DeviceEvents", &format!(r#"{{"Timestamp":"{secret}"}}"#)),
        record(&format!("{secret} table"), "{}"),
        record("DeviceEvents", "{}").replace(TENANT, secret),
        format!("{{\"a\":\"{secret}\" x"),
    ];
    for body in bodies {
        let decoded = run(Format::DefenderExport, body.as_bytes());
        let reason = &decoded.rejected[0].reason;
        assert!(!reason.is_empty() && !reason.contains(secret), "{reason}");
    }
}

/// Half a character has no place in a text: the row is kept, counted, and says what was sent.
#[test]
fn a_lone_surrogate_is_replaced_counted_and_kept_as_sent() {
    let properties = |half: &str| {
        format!(
            r#"{{"Timestamp":"2026-07-18T15:02:23Z","FileName":"a{half}b","FolderPath":"\ud83d\ude00","AdditionalFields":"{{\"k\":\"\\ud801\"}}","Extra":["{half}"]}}"#
        )
    };
    let decoded = row("DeviceEvents", &properties("\\ud800"));
    assert_eq!(decoded.tally.replaced, 1);
    let rows = &decoded.batches[0];
    assert_eq!(text(rows, "FileName", 0), "a\u{fffd}b");
    assert_eq!(text(rows, "FolderPath", 0), "😀");
    // A string column holds the JSON that was in a string as it is.
    assert_eq!(text(rows, "AdditionalFields", 0), r#"{"k":"\ud801"}"#);
    assert_eq!(text(rows, "Extra", 0), "[\"\u{fffd}\"]");
    let kept: serde_json::Value = serde_json::from_str(&source_fields(&decoded)).unwrap();
    assert_eq!(
        kept,
        serde_json::json!({
            "FileName": r"a\ud800b",
            "Extra": r#"["\ud800"]"#,
        })
    );
    // Two records that differ in nothing else are two.
    let other = row("DeviceEvents", &properties("\\ud802"));
    let identity = |d: &Decoded| d.batches[0].identity.iter().next().unwrap().to_vec();
    assert_ne!(identity(&decoded), identity(&other));
    let same = row("DeviceEvents", &properties("\\uD800"));
    assert_eq!(identity(&decoded), identity(&same));
    let whole = row("DeviceEvents", &properties("\\ud83d\\ude00"));
    assert_eq!(
        (whole.tally.replaced, source_fields(&whole)),
        (0, "null".to_owned())
    );
    // A dynamic column does not, so the string is kept.
    let inside = row(
        "CloudAppEvents",
        r#"{"Timestamp":"2026-07-18T15:02:23Z","RawEventData":"{\"k\":\"\\ud801\"}"}"#,
    );
    assert_eq!(
        text(&inside.batches[0], "RawEventData", 0),
        "{\"k\":\"\u{fffd}\"}"
    );
    assert_eq!(inside.tally.replaced, 1);
    assert_eq!(
        source_fields(&inside),
        r#"{"RawEventData":"{\"k\":\"\\ud801\"}"}"#
    );
}
