//! Log lines.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use expect_test::expect;
use model::{Code, RegionCode, TableName, TenantId, Ticks};

use crate::{Actor, JsonLines, Level, Line, LogSink, Value};

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_is_one_json_object() {
    let out = Shared::default();
    let sink = JsonLines::new(Level::Info, out.clone());
    let fields = [
        ("tenant", TenantId::from_bytes([0xab; 16]).into()),
        ("region", (&RegionCode::new("eu").unwrap()).into()),
        ("offset", 4096_usize.into()),
        ("behind", Value::from(-3_i64)),
        ("kind", io::ErrorKind::StorageFull.into()),
        ("again", true.into()),
        ("actor", Actor::System("flush").into()),
    ];
    let line = |level| Line {
        at: Ticks::parse("2026-11-21T10:00:00Z").unwrap(),
        level,
        event: "log_damaged",
        code: Some(Code::LogDamaged),
        fields: &fields,
    };
    sink.write(&line(Level::Error));
    sink.write(&line(Level::Debug));
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    expect![[r#"
        {"at":"2026-11-21T10:00:00.0000000Z","level":"error","event":"log_damaged","code":"log_damaged","tenant":"abababababababababababababababab","region":"eu","offset":4096,"behind":-3,"kind":"storage_full","again":true,"actor":"system:flush"}
    "#]].assert_eq(&text);
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
}

#[test]
fn a_tenants_own_table_name_is_not_written() {
    let word = |name| match Value::from(&TableName::new(name).unwrap()) {
        Value::Word(word) => word.as_str().to_owned(),
        other => panic!("not a word: {other:?}"),
    };
    assert_eq!(word("EmailEvents"), "EmailEvents");
    assert_eq!(word("Layoffs_2027_Berlin_CL"), "other");
}
