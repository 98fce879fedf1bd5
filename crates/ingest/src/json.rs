//! A scanner over JSON text that borrows what it finds.
//!
//! Decoding a record needs the members of two objects, not a tree: a value is a kind and a slice of
//! the request's text, and is looked into only where a column asks for it. Nested values are
//! checked without recursion, so depth cannot exhaust the stack; how deep they go is reported.
//!
//! Promises
//! - Accepts exactly the JSON of RFC 8259. The escape of a lone surrogate is no character: it reads as
//!   U+FFFD, and [`Value::is_inexact`] says that something was lost.
//! - Numbers keep their text: no digit of a 64-bit id is lost.
//! - A [`Fault`] says at which byte the text stops being JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    Number,
    String,
    Object,
    Array,
}

/// One value, borrowed from the text it was found in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) kind: Kind,
    /// The JSON text; of a string what stands between the quotes.
    pub(crate) text: &'a str,
    /// What of a string must be decoded before use.
    pub(crate) escapes: Escapes,
}

/// The escapes of a string.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Escapes {
    None,
    /// Only such as [`write_string`] writes too: `\"`, `\\`, `\n`, `\r`, `\t`.
    Canonical,
    /// Others too: a character may be named by its number.
    Any,
}

/// One member of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) key: Value<'a>,
    pub(crate) value: Value<'a>,
}

/// The text is not JSON from this byte on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) at: usize,
}

impl<'a> Value<'a> {
    /// A string value of plain text.
    pub(crate) const fn plain(text: &'a str) -> Self {
        Self {
            kind: Kind::String,
            text,
            escapes: Escapes::None,
        }
    }

    /// Whether it is a string that must be decoded before use.
    pub(crate) fn is_escaped(self) -> bool {
        self.kind == Kind::String && self.escapes != Escapes::None
    }

    /// Whether it is a string that may name a character by its number.
    fn may_name_units(self) -> bool {
        self.kind == Kind::String && self.escapes == Escapes::Any
    }

    /// Null, or a string without characters: senders write either for a missing value.
    pub(crate) fn is_missing(self) -> bool {
        self.kind == Kind::Null || (self.kind == Kind::String && self.text.is_empty())
    }

    /// The characters of a string; of anything else its JSON text.
    pub(crate) fn text(self) -> Cow<'a, str> {
        if self.is_escaped() {
            let mut out = String::with_capacity(self.text.len());
            unescape(self.text, &mut out, replace_lone);
            Cow::Owned(out)
        } else {
            Cow::Borrowed(self.text)
        }
    }

    /// The characters of a string as a slice, decoded into `scratch` if they must be.
    pub(crate) fn text_in<'s>(self, scratch: &'s mut String) -> &'s str
    where
        'a: 's,
    {
        if self.is_escaped() {
            scratch.clear();
            unescape(self.text, scratch, replace_lone);
            scratch
        } else {
            self.text
        }
    }

    /// The members of an object; none for other values.
    pub(crate) fn members(self) -> Vec<Member<'a>> {
        let mut out = Vec::new();
        if self.kind == Kind::Object {
            // The value was scanned before, so it cannot fail here.
            let _ = Scanner::new(self.text).members(&mut out, usize::MAX);
        }
        out
    }

    /// The items of an array; none for other values.
    pub(crate) fn items(self) -> Vec<Self> {
        let mut out = Vec::new();
        if self.kind != Kind::Array {
            return out;
        }
        let mut scanner = Scanner::new(self.text);
        scanner.at = 1;
        while let Ok(Some(())) = scanner.next_item(out.is_empty()) {
            match scanner.value() {
                Ok((value, _)) => out.push(value),
                Err(_) => break,
            }
        }
        out
    }

    /// The first member of that name; `None` also for what is not an object.
    pub(crate) fn get(self, name: &str) -> Option<Self> {
        let found = self.members().into_iter().find(|m| m.key.text() == name)?;
        Some(found.value)
    }

    /// Whether reading the value loses something: it has the escape of half a character.
    pub(crate) fn is_inexact(self) -> bool {
        match self.kind {
            Kind::String => self.may_name_units() && has_lone_surrogate(self.text),
            Kind::Object | Kind::Array => has_lone_surrogate(self.text),
            _ => false,
        }
    }

    /// Appends what was sent, escapes and all, as the text of a JSON string.
    pub(crate) fn write_as_sent(self, out: &mut String) {
        write_string(self.text, out);
    }

    /// Appends the value as JSON without blanks between its tokens.
    pub(crate) fn write_compact(self, out: &mut String) {
        match self.kind {
            Kind::String => write_token(self, out),
            Kind::Object | Kind::Array => compact(self.text, out),
            _ => out.push_str(self.text),
        }
    }

    /// Appends the value in a form that depends neither on blanks, nor on the order of keys, nor on
    /// how a character was escaped.
    pub(crate) fn write_canonical(self, out: &mut Vec<u8>) {
        match self.kind {
            Kind::String => canonical_string(self, out),
            Kind::Object => canonical_members(&self.members(), out),
            Kind::Array => {
                out.push(b'[');
                for (n, item) in self.items().into_iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    item.write_canonical(out);
                }
                out.push(b']');
            }
            _ => out.extend_from_slice(self.text.as_bytes()),
        }
    }
}

/// Appends `members` as one canonical object.
pub(crate) fn canonical_members(members: &[Member<'_>], out: &mut Vec<u8>) {
    let mut order: Vec<(Cow<'_, str>, usize)> = members
        .iter()
        .enumerate()
        .map(|(n, m)| (m.key.text(), n))
        .collect();
    order.sort();
    canonical_in_order(members, order.iter().map(|(_, n)| *n), out);
}

/// Appends `members` as one canonical object; `order` must sort them by decoded key.
pub(crate) fn canonical_in_order(
    members: &[Member<'_>],
    order: impl Iterator<Item = usize>,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    for (n, member) in order.filter_map(|at| members.get(at)).enumerate() {
        if n > 0 {
            out.push(b',');
        }
        canonical_string(member.key, out);
        out.push(b':');
        member.value.write_canonical(out);
    }
    out.push(b'}');
}

fn canonical_string(value: Value<'_>, out: &mut Vec<u8>) {
    if !value.may_name_units() {
        // The text holds no quote and no control character but as it would be written here.
        out.push(b'"');
        out.extend_from_slice(value.text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut text = String::new();
    if value.is_inexact() {
        // Two texts that differ in half a character are two.
        text.push('"');
        let mut whole = String::new();
        unescape(value.text, &mut whole, |unit, whole| {
            write_inside(whole, &mut text);
            whole.clear();
            let _ = write!(text, "\\u{unit:04x}");
        });
        write_inside(&whole, &mut text);
        text.push('"');
    } else {
        write_string(&value.text(), &mut text);
    }
    out.extend_from_slice(text.as_bytes());
}

/// Appends `text` as a JSON string with as few escapes as JSON allows.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    write_inside(text, out);
    out.push('"');
}

fn write_inside(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some((plain, from)) = rest
        .split_at_checked(plain_run(rest.as_bytes(), 0))
        .filter(|(_, from)| !from.is_empty())
    {
        out.push_str(plain);
        let mut chars = from.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// Whether `text` is one JSON value and nothing else but blanks; the value if so.
pub(crate) fn parse(text: &str) -> Option<(Value<'_>, u32)> {
    let mut scanner = Scanner::new(text);
    scanner.blanks();
    let value = scanner.value().ok()?;
    scanner.blanks();
    (scanner.at == text.len()).then_some(value)
}

fn compact(text: &str, out: &mut String) {
    let mut scanner = Scanner::new(text);
    let mut from = 0;
    while let Some(b) = scanner.peek() {
        match b {
            b'"' => {
                let start = scanner.at;
                scanner.at += 1;
                let Ok(string) = scanner.string() else { break };
                if names_surrogates(string) {
                    out.push_str(text.get(from..start).unwrap_or_default());
                    write_token(string, out);
                    from = scanner.at;
                }
            }
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.push_str(text.get(from..scanner.at).unwrap_or_default());
                scanner.blanks();
                from = scanner.at;
            }
            _ => scanner.at += 1,
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

/// Appends a string as a JSON token. Escaped surrogates are decoded: readers of what is stored refuse
/// a lone one, and with it the whole value.
fn write_token(value: Value<'_>, out: &mut String) {
    if names_surrogates(value) {
        write_string(&value.text(), out);
    } else {
        out.push('"');
        out.push_str(value.text);
        out.push('"');
    }
}

fn names_surrogates(value: Value<'_>) -> bool {
    value.may_name_units() && (value.text.contains("\\ud") || value.text.contains("\\uD"))
}

/// Whether JSON text has the escape of half a character.
pub(crate) fn has_lone_surrogate(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, escape)) = at_escape(rest) {
        let Some(unit) = escape.strip_prefix('u') else {
            // Whatever is escaped is no backslash that escapes.
            let mut chars = escape.chars();
            chars.next();
            rest = chars.as_str();
            continue;
        };
        let (c, after) = unicode_escape(unit);
        if c.is_err() {
            return true;
        }
        rest = after;
    }
    false
}

fn replace_lone(_unit: u32, out: &mut String) {
    out.push(char::REPLACEMENT_CHARACTER);
}

/// Appends the characters that `text` says; `lone` is asked about each half of one.
fn unescape(text: &str, out: &mut String, mut lone: impl FnMut(u32, &mut String)) {
    let mut rest = text;
    out.reserve(text.len());
    while let Some((plain, escape)) = at_escape(rest) {
        out.push_str(plain);
        let mut chars = escape.chars();
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let (c, after) = unicode_escape(chars.as_str());
                match c {
                    Ok(c) => out.push(c),
                    Err(unit) => lone(unit, out),
                }
                chars = after.chars();
            }
            Some(c) => out.push(c),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// What stands before the next backslash, and what after it.
fn at_escape(text: &str) -> Option<(&str, &str)> {
    let at = memchr::memchr(b'\\', text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Reads what follows `\u`; a pair of surrogates is one character, a lone one none.
fn unicode_escape(text: &str) -> (Result<char, u32>, &str) {
    let unit = |t: &str| t.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let Some(first) = unit(text) else {
        return (Ok(char::REPLACEMENT_CHARACTER), text);
    };
    let rest = text.get(4..).unwrap_or_default();
    if (0xD800..0xDC00).contains(&first)
        && let Some(tail) = rest.strip_prefix("\\u")
        && let Some(second) = unit(tail)
        && (0xDC00..0xE000).contains(&second)
    {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        let rest = tail.get(4..).unwrap_or_default();
        return (char::from_u32(code).ok_or(first), rest);
    }
    (char::from_u32(first).ok_or(first), rest)
}

/// Which brackets are open, one bit each.
#[derive(Default)]
struct Open {
    low: u64,
    more: Vec<u64>,
    depth: u32,
}

impl Open {
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.more.push(self.low);
        }
        self.low = (self.low << 1) | u64::from(object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.low >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.low = self.more.pop().unwrap_or_default();
        }
    }

    fn in_object(&self) -> bool {
        self.low & 1 == 1
    }
}

/// A place in a text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    pub(crate) at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What is left of the text.
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The byte at a place that was passed.
    pub(crate) fn rest_at(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    pub(crate) fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// A fault here.
    pub(crate) const fn fault<T>(&self) -> Result<T, Fault> {
        Err(Fault { at: self.at })
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            self.fault()
        }
    }

    /// Reads one value and how deep it nests (0 for a scalar).
    pub(crate) fn value(&mut self) -> Result<(Value<'a>, u32), Fault> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => {
                self.at += 1;
                return Ok((self.string()?, 0));
            }
            Some(open @ (b'{' | b'[')) => {
                self.at += 1;
                let depth = self.container(open == b'{')?;
                let kind = if open == b'{' {
                    Kind::Object
                } else {
                    Kind::Array
                };
                return Ok((self.since(start, kind), depth));
            }
            Some(b) => self.scalar(b)?,
            None => return self.fault(),
        };
        Ok((self.since(start, kind), 0))
    }

    /// Reads the object that begins here, giving each key to `member`, which reads the value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Value<'a>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.expect(b'{')?;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.expect(b'"')?;
            let key = self.string()?;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            member(self, key)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.fault(),
            }
            self.blanks();
        }
    }

    /// Reads the object that begins here into `out` and says how deep it nests. Members that end
    /// beyond byte `keep_to` are checked but not kept: their record is too long to be used.
    pub(crate) fn members(
        &mut self,
        out: &mut Vec<Member<'a>>,
        keep_to: usize,
    ) -> Result<u32, Fault> {
        let mut deepest = 0;
        self.object(|scanner, key| {
            let (value, depth) = scanner.value()?;
            deepest = deepest.max(depth);
            if scanner.at <= keep_to {
                out.push(Member { key, value });
            }
            Ok(())
        })?;
        Ok(deepest + 1)
    }

    /// Inside an array: moves to the next item, or past the closing bracket (`None`).
    pub(crate) fn next_item(&mut self, first: bool) -> Result<Option<()>, Fault> {
        self.blanks();
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b',') if !first => self.at += 1,
            Some(_) if first => {}
            _ => return self.fault(),
        }
        self.blanks();
        Ok(Some(()))
    }

    fn since(&self, start: usize, kind: Kind) -> Value<'a> {
        Value {
            kind,
            text: self.text.get(start..self.at).unwrap_or_default(),
            escapes: Escapes::None,
        }
    }

    /// Reads on after an opening bracket to the one that closes it.
    fn container(&mut self, object: bool) -> Result<u32, Fault> {
        let mut open = Open::default();
        open.push(object);
        let mut deepest = 1;
        let mut fresh = true;
        while open.depth > 0 {
            self.blanks();
            let mut byte = self.peek();
            let close = if open.in_object() { b'}' } else { b']' };
            if byte == Some(close) {
                self.at += 1;
                open.pop();
                fresh = false;
                continue;
            }
            if !fresh {
                self.expect(b',')?;
                self.blanks();
                byte = self.peek();
            }
            if open.in_object() {
                self.expect(b'"')?;
                self.string()?;
                self.blanks();
                self.expect(b':')?;
                self.blanks();
                byte = self.peek();
            }
            match byte {
                Some(b'"') => {
                    self.at += 1;
                    self.string()?;
                }
                Some(b @ (b'{' | b'[')) => {
                    self.at += 1;
                    open.push(b == b'{');
                    deepest = deepest.max(open.depth);
                    fresh = true;
                    continue;
                }
                Some(b) => {
                    self.scalar(b)?;
                }
                None => return self.fault(),
            }
            fresh = false;
        }
        Ok(deepest)
    }

    /// Reads on after an opening quote.
    fn string(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escapes = Escapes::None;
        loop {
            self.at = plain_run(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    let mut value = self.since(start, Kind::String);
                    value.escapes = escapes;
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => {
                    escapes = escapes.max(self.escape()?);
                }
                _ => return self.fault(),
            }
        }
    }

    fn escape(&mut self) -> Result<Escapes, Fault> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'n' | b'r' | b't') => {
                self.at += 2;
                return Ok(Escapes::Canonical);
            }
            Some(b'/' | b'b' | b'f') => self.at += 2,
            Some(b'u')
                if bytes
                    .get(self.at + 2..self.at + 6)
                    .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) =>
            {
                self.at += 6;
            }
            _ => return self.fault(),
        }
        Ok(Escapes::Any)
    }

    fn scalar(&mut self, first: u8) -> Result<Kind, Fault> {
        let (word, kind) = match first {
            b't' => ("true", Kind::True),
            b'f' => ("false", Kind::False),
            b'n' => ("null", Kind::Null),
            b'-' | b'0'..=b'9' => return self.number(),
            _ => return self.fault(),
        };
        let bytes = self.text.as_bytes();
        if bytes.get(self.at..self.at + word.len()) != Some(word.as_bytes()) {
            return self.fault();
        }
        self.at += word.len();
        Ok(kind)
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            self.fault()
        } else {
            Ok(())
        }
    }
}

/// From `at`, the next byte that is a quote, a backslash or a control character, eight at a time:
/// most of a record is text, so this loop is most of what decoding costs.
fn plain_run(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*eight);
        // A zero byte after the exclusive or is a match; carries only disturb higher bytes, and
        // the lowest match is the one taken.
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5C);
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let found = found & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes
        .get(at)
        .is_some_and(|b| *b >= 0x20 && *b != b'"' && *b != b'\\')
    {
        at += 1;
    }
    at
}
