//! Encodings of text, and texts with a structure: base64, percent-encoding, URLs, paths, CSV.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;

use super::args::Call;
use super::text::shown;
use crate::json::Json;

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    match function {
        F::UrlEncode => call.texts(|row, out| percent_encode(a.text(row), true, out)),
        F::UrlEncodeComponent => call.texts(|row, out| percent_encode(a.text(row), false, out)),
        F::UrlDecode => call.texts(|row, out| out.push_str(&percent_decode(a.text(row), true))),
        F::Base64EncodeTostring => {
            call.texts(|row, out| base64_encode(a.text(row).as_bytes(), out))
        }
        F::Base64DecodeTostring => call.texts(|row, out| {
            if let Some(text) = base64_decode(a.text(row)).and_then(|b| String::from_utf8(b).ok()) {
                out.push_str(&text);
            }
        }),
        F::Base64DecodeToarray => call.dynamics(|row| {
            let bytes = base64_decode(a.text(row))?;
            Some(Json::Array(
                bytes
                    .into_iter()
                    .map(|b| Json::Long(i64::from(b)))
                    .collect(),
            ))
        }),
        F::ParseUrl => call.dynamics(|row| Some(parse_url(a.text(row)))),
        F::ParseUrlquery => call.dynamics(|row| {
            let query = Json::Bag(query_parameters(a.text(row).trim_start_matches('?')));
            Some(Json::Bag(vec![("Query Parameters".to_owned(), query)]))
        }),
        F::ParsePath => call.dynamics(|row| Some(parse_path(a.text(row)))),
        F::ParseCsv => call.dynamics(|row| Some(parse_csv(&shown(a, row)))),
        other => exec_err!("`{}` is not an encoding", other.as_str()),
    }
}

fn percent_encode(text: &str, form: bool, out: &mut String) {
    use std::fmt::Write as _;
    for b in text.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(b)),
            b'~' if !form => out.push('~'),
            b'!' | b'*' | b'(' | b')' if form => out.push(char::from(b)),
            b' ' if form => out.push('+'),
            other if form => {
                let _ = write!(out, "%{other:02x}");
            }
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
}

fn percent_decode(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        let hex = |b: u8| {
            char::from(b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        let mut ahead = rest.clone();
        let pair = (ahead.next().and_then(hex), ahead.next().and_then(hex));
        match (b, pair) {
            (b'%', (Some(high), Some(low))) => {
                bytes.push(high << 4 | low);
                rest = ahead;
            }
            (b'+', _) if plus => bytes.push(b' '),
            _ => bytes.push(b),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn base64_encode(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(3) {
        let at = |i: usize| chunk.get(i).copied().map_or(0, u32::from);
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4_usize {
            let digit = usize::try_from(bits >> (18 - 6 * i) & 63).unwrap_or(0);
            let symbol = ALPHABET.get(digit).copied().unwrap_or(b'=');
            out.push(if i <= chunk.len() {
                char::from(symbol)
            } else {
                '='
            });
        }
    }
}

pub(super) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.trim().trim_end_matches('=').bytes().collect();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in chunk {
            let value = ALPHABET.iter().position(|symbol| symbol == digit)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        match chunk.len() {
            4 => bytes.extend(bits.to_be_bytes().get(1..)?),
            3 => bytes.extend((bits << 6).to_be_bytes().get(1..3)?),
            2 => bytes.extend((bits << 12).to_be_bytes().get(1..2)?),
            _ => return None,
        }
    }
    Some(bytes)
}

fn query_parameters(query: &str) -> Vec<(String, Json)> {
    let mut entries: Vec<(String, Json)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (
            percent_decode(key, true),
            Json::Text(percent_decode(value, true)),
        );
        match entries.iter_mut().find(|(k, _)| *k == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }
    entries
}

/// The parts of a URL; what is not one gives empty parts.
fn parse_url(text: &str) -> Json {
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
        Some(split) => split,
        None => (rest, ""),
    };
    let (user_info, host_port) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        _ => (host_port, ""),
    };
    let text = |key: &str, value: &str| (key.to_owned(), Json::Text(value.to_owned()));
    Json::Bag(vec![
        text("Scheme", scheme),
        text("Host", host),
        text("Port", port),
        text("Path", path),
        text("Username", user),
        text("Password", password),
        (
            "Query Parameters".to_owned(),
            Json::Bag(query_parameters(query)),
        ),
        text("Fragment", fragment),
    ])
}

fn parse_path(text: &str) -> Json {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (rest, stream) = match rest.rsplit_once(':') {
        // `C:\…`: a drive, not a stream.
        Some((path, stream)) if !stream.contains(['\\', '/']) && path.len() > 1 => (path, stream),
        _ => (rest, ""),
    };
    let (directory, file) = match rest.rfind(['\\', '/']) {
        Some(at) => (
            rest.get(..at).unwrap_or(""),
            rest.get(at + 1..).unwrap_or(""),
        ),
        None => ("", rest),
    };
    let name = directory.rsplit(['\\', '/']).next().unwrap_or("");
    let root = match rest.as_bytes() {
        [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic() => {
            rest.get(..3).unwrap_or("")
        }
        [b'/', ..] => "/",
        _ => "",
    };
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    let text = |key: &str, value: &str| (key.to_owned(), Json::Text(value.to_owned()));
    Json::Bag(vec![
        text("Scheme", scheme),
        text("RootPath", root),
        text("DirectoryPath", directory),
        text("DirectoryName", name),
        text("Filename", file),
        text("Extension", extension),
        text("AlternateDataStreamName", stream),
    ])
}

/// The fields of the first record.
fn parse_csv(text: &str) -> Json {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted => {
                if chars.next_if_eq(&'"').is_some() {
                    field.push('"');
                } else {
                    quoted = false;
                }
            }
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(Json::Text(std::mem::take(&mut field))),
            '\n' if !quoted => break,
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            other => field.push(other),
        }
    }
    fields.push(Json::Text(field));
    Json::Array(fields)
}
