//! Regular expressions as the language has them: those of the crate `regex`, and octal codes.
//!
//! The crate can read octal codes too, but then `\1` would be one, and somebody who means a
//! back-reference would get no match instead of an error. So only codes of three digits are read.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The pattern with `\101` written as `\x{41}`, for the crate.
pub fn pattern(text: &str) -> Cow<'_, str> {
    const DIGITS: usize = 3;
    let is_octal = |rest: &str| {
        let digits = rest.bytes().take(DIGITS);
        let count = digits.take_while(|b| matches!(b, b'0'..=b'7')).count();
        count == DIGITS
    };
    let mut out = String::new();
    let (mut done, mut at) = (0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        let escape = at + found;
        let rest = text.get(escape + 1..).unwrap_or_default();
        if is_octal(rest)
            && let Some(code) = rest.get(..DIGITS)
            && let Ok(code) = u32::from_str_radix(code, 8)
        {
            out.push_str(text.get(done..escape).unwrap_or_default());
            let _ = write!(out, "\\x{{{code:x}}}");
            done = escape + 1 + DIGITS;
            at = done;
        } else {
            // What is escaped may be a backslash itself.
            at = escape + 1 + rest.chars().next().map_or(0, char::len_utf8);
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}
