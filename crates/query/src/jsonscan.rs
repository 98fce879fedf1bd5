//! JSON text read past, eight bytes at a time, without values being made of it.
//!
//! What is asked most of dynamic texts needs no value: whether a text is in its one form, which
//! properties a bag has, which strings an array. A text that is unusual (a `\u`, an exponent, a real
//! where the form matters, deep nesting, something that is no JSON) is left to [`crate::json`]: then
//! the answer here is that there is none.
//!
//! Promise: what is answered is what [`crate::json::Json`] says of the same text.

/// Values inside of each other, at most; less than what `serde_json` allows.
const DEPTH_MAX: usize = 100;
/// Properties of a bag that are compared with each other.
const PROPERTIES_MAX: usize = 64;
/// Digits that surely are a long.
const DIGITS_MAX: usize = 18;
/// Bytes of a number whose size is surely that of a real.
const NUMBER_BYTES_MAX: usize = 64;

/// Whether the text is JSON in the form in which [`crate::json::Json`] writes it.
pub(crate) fn is_canonical(text: &str) -> bool {
    let mut scan = Scan::new(text);
    scan.value(0).is_some() && scan.at == text.len() && scan.is_canonical
}

/// Whether the text surely is JSON.
pub(crate) fn is_json(text: &str) -> bool {
    let mut scan = Scan::new(text);
    scan.space();
    scan.value(0).is_some() && scan.ends().is_some()
}

/// The names of a bag's properties, each once, in order.
pub(crate) fn keys<'t>(text: &'t str, into: &mut Vec<&'t str>) -> Option<()> {
    let mut scan = Scan::new(text);
    into.clear();
    scan.space();
    scan.take(b'{')?;
    scan.space();
    if scan.take(b'}').is_none() {
        loop {
            let key = scan.plain_string()?;
            let is_new = !into.contains(&key);
            if is_new && into.len() == PROPERTIES_MAX {
                return None;
            }
            if is_new {
                into.push(key);
            }
            scan.space();
            scan.take(b':')?;
            scan.space();
            scan.value(1)?;
            scan.space();
            if scan.take(b',').is_none() {
                scan.take(b'}')?;
                break;
            }
            scan.space();
        }
    }
    scan.ends()
}

/// The elements of an array of strings that stand in it as they are.
pub(crate) fn strings<'t>(text: &'t str, into: &mut Vec<&'t str>) -> Option<()> {
    let mut scan = Scan::new(text);
    into.clear();
    scan.space();
    scan.take(b'[')?;
    scan.space();
    if scan.take(b']').is_none() {
        loop {
            into.push(scan.plain_string()?);
            scan.space();
            if scan.take(b',').is_none() {
                scan.take(b']')?;
                break;
            }
            scan.space();
        }
    }
    scan.ends()
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// Nothing was met so far that would be written otherwise.
    is_canonical: bool,
}

/// What ends a stretch of plain bytes in a string: a quote, an escape, a control character.
fn special(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    let quote = zero(eight ^ (ONES * 0x22));
    let escape = zero(eight ^ (ONES * 0x5c));
    let control = eight.wrapping_sub(ONES * 0x20) & !eight & HIGH;
    quote | escape | control
}

impl<'t> Scan<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            is_canonical: true,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
            self.is_canonical = false;
        }
    }

    /// Nothing but space is left.
    fn ends(&mut self) -> Option<()> {
        self.space();
        (self.at == self.bytes.len()).then_some(())
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'{' if depth < DEPTH_MAX => self.bag(depth),
            b'[' if depth < DEPTH_MAX => self.array(depth),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let end = self.at + word.len();
        (self.bytes.get(self.at..end)? == word.as_bytes()).then(|| self.at = end)
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        let negative = self.take(b'-').is_some();
        let whole = self.digits();
        let zero_first = self.bytes.get(self.at - whole) == Some(&b'0');
        if whole == 0 || (zero_first && whole > 1) {
            return None;
        }
        if whole > DIGITS_MAX || (negative && zero_first) {
            self.is_canonical = false;
        }
        if self.take(b'.').is_some() {
            self.is_canonical = false;
            if self.digits() == 0 {
                return None;
            }
        }
        let is_plain = !matches!(self.peek(), Some(b'e' | b'E'));
        (is_plain && self.at - start <= NUMBER_BYTES_MAX).then_some(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    /// A string without escapes.
    fn plain_string(&mut self) -> Option<&'t str> {
        let (text, is_plain) = self.string()?;
        is_plain.then_some(text)
    }

    /// A string as it stands between its quotes, and whether it has no escapes.
    fn string(&mut self) -> Option<(&'t str, bool)> {
        self.take(b'"')?;
        let start = self.at;
        let mut is_plain = true;
        loop {
            while let Some(eight) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
                let found = special(u64::from_le_bytes(*eight));
                if found != 0 {
                    self.at += usize::try_from(found.trailing_zeros() / 8).unwrap_or(0);
                    break;
                }
                self.at += 8;
            }
            match self.peek()? {
                b'"' => {
                    let text = self.text.get(start..self.at)?;
                    self.at += 1;
                    return Some((text, is_plain));
                }
                b'\\' => {
                    is_plain = false;
                    // A simple escape may be one that is written otherwise.
                    self.is_canonical = false;
                    match self.bytes.get(self.at + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
                        _ => return None,
                    }
                }
                0x00..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.take(b'[')?;
        self.space();
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            if self.take(b',').is_none() {
                return self.take(b']');
            }
            self.space();
        }
    }

    fn bag(&mut self, depth: usize) -> Option<()> {
        self.take(b'{')?;
        self.space();
        if self.take(b'}').is_some() {
            return Some(());
        }
        let mut known: [&str; PROPERTIES_MAX] = [""; PROPERTIES_MAX];
        let mut count = 0;
        loop {
            let (key, _) = self.string()?;
            // Of two properties of one name one is left.
            if self.is_canonical {
                let former = known.get(..count)?;
                let is_new = former.iter().all(|other| *other != key);
                match known.get_mut(count).filter(|_| is_new) {
                    Some(slot) => *slot = key,
                    None => self.is_canonical = false,
                }
                count += 1;
            }
            self.space();
            self.take(b':')?;
            self.space();
            self.value(depth + 1)?;
            self.space();
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
            self.space();
        }
    }
}
