//! The formats of a body, and telling them apart.

use crate::export;
use crate::json::{Escapes, Kind, Member, Scanner, Value};
use crate::windows;

/// What a body's records are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Records of the Microsoft Defender streaming export.
    DefenderExport,
    /// A binary Windows event log.
    WindowsEvtx,
    /// Windows events as JSON: Winlogbeat, NXLog, event log readers.
    WindowsJson,
    /// Plain JSON objects, kept raw in the table that the source names. Only ever by choice.
    Json,
}

impl Format {
    /// All formats, in the order of the documentation.
    pub const ALL: [Self; 4] = [
        Self::DefenderExport,
        Self::WindowsEvtx,
        Self::WindowsJson,
        Self::Json,
    ];

    /// The name used in requests and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DefenderExport => "defender",
            Self::WindowsEvtx => "evtx",
            Self::WindowsJson => "windows-json",
            Self::Json => "json",
        }
    }

    /// The format of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.as_str() == name)
    }

    /// The format of a decompressed body: by its first bytes and its first record, else by the
    /// file's name, else by the content type. `None`: it must be stated.
    pub fn sniff(body: &[u8], file_name: Option<&str>, content_type: Option<&str>) -> Option<Self> {
        if windows::is_evtx(body) {
            return Some(Self::WindowsEvtx);
        }
        let named = |end: &str| {
            file_name.is_some_and(|name| {
                name.get(name.len().saturating_sub(end.len())..)
                    .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
            })
        };
        by_first_record(body)
            .or_else(|| named(".evtx").then_some(Self::WindowsEvtx))
            .or_else(|| {
                let evtx = "application/x-ms-evtx";
                content_type
                    .is_some_and(|t| t.trim().eq_ignore_ascii_case(evtx))
                    .then_some(Self::WindowsEvtx)
            })
    }
}

/// Bytes of a body that are looked at: enough for the longest record.
const LOOK_BYTES_MAX: usize = model::limits::RECORD_BYTES_MAX + 4096;

fn by_first_record(body: &[u8]) -> Option<Format> {
    let head = body.get(..LOOK_BYTES_MAX).unwrap_or(body);
    let head = head.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(head);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(head.get(..e.valid_up_to())?).ok()?,
    };
    let mut scanner = Scanner::new(text);
    scanner.blanks();
    if scanner.peek() == Some(b'[') {
        scanner.at += 1;
        scanner.blanks();
    }
    of_members(&mut scanner, true)
}

/// Tells by the members that can be read before the text breaks off.
fn of_members(scanner: &mut Scanner<'_>, outermost: bool) -> Option<Format> {
    let mut members: Vec<Member<'_>> = Vec::new();
    let mut inner = None;
    let _ = scanner.object(|scanner, key| {
        if outermost && key.text == "records" && scanner.peek() == Some(b'[') {
            let mut first = Scanner::new(scanner.rest());
            first.at = 1;
            first.blanks();
            inner = of_members(&mut first, false);
        }
        let start = scanner.at;
        match scanner.value() {
            Ok((value, _)) => members.push(Member { key, value }),
            Err(fault) => {
                // A record longer than the look: its key still tells.
                let kind = match scanner.rest_at(start) {
                    Some(b'{') => Kind::Object,
                    _ => Kind::String,
                };
                members.push(Member {
                    key,
                    value: Value {
                        kind,
                        text: "",
                        escapes: Escapes::None,
                    },
                });
                return Err(fault);
            }
        }
        Ok(())
    });
    if inner.is_some() {
        return inner;
    }
    if export::looks_like_envelope(&members) {
        Some(Format::DefenderExport)
    } else if windows::looks_like_event(&members) {
        Some(Format::WindowsJson)
    } else {
        None
    }
}
