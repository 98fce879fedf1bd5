//! A writer of flat JSON objects: text straight into one buffer, no tree of values.
//!
//! [`Row`] holds the inside of an object, without its braces. Fragments are insides too, made once
//! for what repeats (a device, a program, an account) and copied into each row.
//!
//! Promises: whatever text goes in, what comes out is valid JSON with each key as it was given.
//! Does not check that a key is written once; the tests do.

use model::Ticks;
use model::ticks::{PER_DAY, PER_SECOND};

/// The inside of one JSON object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    buf: String,
    /// Turned at each missing value, so that `null` and `""` both occur in every column.
    missing: u64,
}

impl Row {
    /// Forgets the content; `salt` decides which missing values are `null` and which are `""`.
    pub(crate) fn begin(&mut self, salt: u64) {
        self.buf.clear();
        self.missing = salt;
    }

    /// What was written, without braces.
    pub(crate) fn as_str(&self) -> &str {
        &self.buf
    }

    /// Ends a fragment.
    pub(crate) fn into_string(self) -> String {
        self.buf
    }

    /// Copies a fragment in.
    pub(crate) fn raw(&mut self, fragment: &str) -> &mut Self {
        if !self.buf.is_empty() {
            self.buf.push(',');
        }
        self.buf.push_str(fragment);
        self
    }

    /// A text value.
    pub(crate) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        push_text(&mut self.buf, value);
        self
    }

    /// A value that is JSON already.
    pub(crate) fn native(&mut self, key: &str, json: &str) -> &mut Self {
        self.key(key);
        self.buf.push_str(json);
        self
    }

    /// A whole number.
    pub(crate) fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.key(key);
        push_number(&mut self.buf, value);
        self
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.native(key, if value { "true" } else { "false" })
    }

    /// An instant with the fraction digits it needs, 0 to 7.
    pub(crate) fn time(&mut self, key: &str, at: Ticks) -> &mut Self {
        self.key(key);
        self.buf.push('"');
        push_time(&mut self.buf, at);
        self.buf.push_str("Z\"");
        self
    }

    /// Text columns without a value: `null` or `""`, as both are on the wire.
    pub(crate) fn missing_text(&mut self, keys: &[&str]) -> &mut Self {
        for key in keys {
            self.missing = self.missing.rotate_right(1);
            let word = if self.missing & 1 == 0 {
                "null"
            } else {
                "\"\""
            };
            self.native(key, word);
        }
        self
    }

    /// Columns of any other type without a value.
    pub(crate) fn missing(&mut self, keys: &[&str]) -> &mut Self {
        for key in keys {
            self.native(key, "null");
        }
        self
    }

    /// What the object's own member `name` was given, quotes and escapes included; nothing if it
    /// has no such member. Members of inner objects do not count.
    pub(crate) fn member(&self, name: &str) -> Option<&str> {
        let (mut depth, mut in_text, mut escaped) = (0_u32, false, false);
        // Where the text that may be a key began, and where the value wanted begins.
        let (mut began, mut value) = (0, None);
        for (at, byte) in self.buf.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => {
                    in_text = !in_text;
                    if in_text {
                        began = at + 1;
                    } else if depth == 0 && value.is_none() {
                        let is_key = self.buf.as_bytes().get(at + 1) == Some(&b':');
                        let found = self.buf.get(began..at) == Some(name);
                        value = (is_key && found).then_some(at + 2);
                    }
                }
                _ if in_text => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' if depth == 0 && value.is_some() => {
                    return self.buf.get(value?..at);
                }
                _ => {}
            }
        }
        self.buf.get(value?..)
    }

    fn key(&mut self, key: &str) {
        self.buf
            .push_str(if self.buf.is_empty() { "\"" } else { ",\"" });
        self.buf.push_str(key);
        self.buf.push_str("\":");
    }
}

/// Appends a quoted, escaped JSON string.
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|b| b == b'"' || b == b'\\' || b < 0x20)
    {
        // The byte found is ASCII, so both cuts are on character boundaries.
        let (clean, tail) = rest.split_at(at);
        let (special, tail) = tail.split_at(1);
        out.push_str(clean);
        match special {
            "\n" => out.push_str("\\n"),
            "\t" => out.push_str("\\t"),
            "\r" => out.push_str("\\r"),
            "\"" | "\\" => {
                out.push('\\');
                out.push_str(special);
            }
            // No other control character is ever written here; a blank keeps the JSON valid.
            _ => out.push(' '),
        }
        rest = tail;
    }
    out.push_str(rest);
    out.push('"');
}

/// Appends a number in decimal.
pub(crate) fn push_number(out: &mut String, n: u64) {
    if n >= 10 {
        push_number(out, n / 10);
    }
    out.push(digit(n % 10));
}

/// Appends `yyyy-mm-ddThh:mm:ss` and the fraction without trailing zeros; the caller adds `Z`.
pub(crate) fn push_time(out: &mut String, at: Ticks) {
    let (year, month, day) = at.date();
    let of_day = at.0.rem_euclid(PER_DAY);
    let (s, fraction) = (of_day / PER_SECOND, of_day % PER_SECOND);
    push_padded(out, year, 4);
    out.push('-');
    push_padded(out, month, 2);
    out.push('-');
    push_padded(out, day, 2);
    out.push('T');
    push_padded(out, s / 3600, 2);
    out.push(':');
    push_padded(out, s / 60 % 60, 2);
    out.push(':');
    push_padded(out, s % 60, 2);
    if fraction > 0 {
        out.push('.');
        let (mut left, mut unit) = (fraction, PER_SECOND / 10);
        while left > 0 {
            out.push(digit(left.unsigned_abs() / unit.unsigned_abs() % 10));
            left %= unit;
            unit = (unit / 10).max(1);
        }
    }
}

fn push_padded(out: &mut String, n: i64, width: u32) {
    let n = n.unsigned_abs();
    for place in (0..width).rev() {
        out.push(digit(n / 10_u64.pow(place) % 10));
    }
}

fn digit(n: u64) -> char {
    char::from(b'0' + u8::try_from(n).unwrap_or(0))
}
