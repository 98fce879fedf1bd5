//! The byte search: many markers in every form in which they could be written down.
//!
//! A pattern is found by its first eight bytes, case dropped: a small bitmap of hashes of the first four
//! answers almost every position of a file with one look, a larger one of all eight most of the rest,
//! and what is left is compared byte for byte. Sealed files hold no beginnings of patterns, so they are
//! searched at the speed of the first look.
//!
//! Finds a marker only where its bytes stand together; what is compressed or sealed is opened first
//! (`opened`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};

use crate::Error;
use crate::marker::{Form, Marker};

/// Bytes of a pattern that its hash is made of, and so the least length of a pattern.
const KEY_BYTES: usize = 8;
/// Bit by which the cases of ASCII letters differ, in each byte of a key.
const CASE: u64 = 0x2020_2020_2020_2020;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// Digits of a number that does not come by chance.
const DIGITS_MIN: usize = 12;

/// Markers, ready to be searched for.
#[derive(Debug)]
pub struct Needles {
    patterns: Vec<Pattern>,
    /// Hash key and position of a pattern, in order.
    keys: Vec<(u64, u32)>,
    /// One bit a hash of four bytes, and one a hash of eight; both may say yes wrongly.
    near: Filter,
    far: Filter,
    longest: usize,
    numbers: HashMap<i64, usize>,
    reals: HashMap<u64, usize>,
    markers: usize,
}

#[derive(Debug)]
struct Pattern {
    bytes: Box<[u8]>,
    any_case: bool,
    form: Form,
    marker: usize,
}

impl Needles {
    /// Takes the markers; they are named by their position.
    pub fn new<'a>(markers: impl IntoIterator<Item = &'a Marker>) -> Result<Self, Error> {
        let markers: Vec<&Marker> = markers.into_iter().collect();
        let halves = Halves::count(&markers);
        let mut made = Made::default();
        for (number, marker) in markers.iter().enumerate() {
            made.marker(number, marker, &halves)?;
        }
        let (patterns, numbers, reals) = (made.patterns, made.numbers, made.reals);
        // Small enough for a core's own cache; then 64 bits a pattern: one look in 64 is for nothing.
        let mut near = Filter::new(1 << 16);
        let mut far = Filter::new((patterns.len() * 64).clamp(1 << 16, 1 << 24));
        let mut keys = Vec::with_capacity(patterns.len());
        for (position, pattern) in patterns.iter().enumerate() {
            let Some(key) = key_at(&pattern.bytes) else {
                continue;
            };
            keys.push((key, u32::try_from(position).unwrap_or(u32::MAX)));
            near.add(first_half(key));
            far.add(key);
        }
        keys.sort_unstable();
        Ok(Self {
            longest: patterns
                .iter()
                .map(|p| p.bytes.len())
                .max()
                .unwrap_or(KEY_BYTES),
            patterns,
            keys,
            near,
            far,
            numbers,
            reals,
            markers: markers.len(),
        })
    }

    /// How many markers there are.
    pub fn len(&self) -> usize {
        self.markers
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.markers == 0
    }

    /// How many byte patterns they are searched by.
    pub fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Calls `each` with offset, form and marker of every pattern in `bytes`.
    pub fn find(&self, bytes: &[u8], mut each: impl FnMut(usize, Form, usize)) {
        self.find_before(bytes, bytes.len(), &mut each);
    }

    /// [`Self::find`], but for patterns that begin before `end` only.
    fn find_before(&self, bytes: &[u8], end: usize, each: &mut impl FnMut(usize, Form, usize)) {
        for (offset, window) in bytes.windows(KEY_BYTES).take(end).enumerate() {
            let Some(key) = key_at(window) else { return };
            if self.near.may_have(first_half(key)) && self.far.may_have(key) {
                self.compare(
                    bytes.get(offset..).unwrap_or_default(),
                    key,
                    |form, marker| {
                        each(offset, form, marker);
                    },
                );
            }
        }
    }

    fn compare(&self, bytes: &[u8], key: u64, mut each: impl FnMut(Form, usize)) {
        let first = self.keys.partition_point(|(k, _)| *k < key);
        let same = self.keys.iter().skip(first).take_while(|(k, _)| *k == key);
        let patterns = same.filter_map(|(_, p)| self.patterns.get(usize::try_from(*p).ok()?));
        for pattern in patterns {
            let Some(there) = bytes.get(..pattern.bytes.len()) else {
                continue;
            };
            let same = if pattern.any_case {
                pattern.bytes.eq_ignore_ascii_case(there)
            } else {
                *pattern.bytes == *there
            };
            if same {
                each(pattern.form, pattern.marker);
            }
        }
    }

    /// Searches all that `reader` gives, and returns how much that was.
    pub(crate) fn find_in(
        &self,
        reader: &mut impl Read,
        mut each: impl FnMut(u64, Form, usize),
    ) -> io::Result<u64> {
        let overlap = self.longest - 1;
        let mut buffer = vec![0; CHUNK_BYTES + overlap];
        let (mut filled, mut start, mut ended) = (0, 0_u64, false);
        while !ended {
            while filled < buffer.len() && !ended {
                let room = buffer.get_mut(filled..).unwrap_or_default();
                match reader.read(room) {
                    Ok(0) => ended = true,
                    Ok(n) => filled += n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            let end = if ended {
                filled
            } else {
                filled.saturating_sub(overlap)
            };
            let bytes = buffer.get(..filled).unwrap_or_default();
            self.find_before(bytes, end, &mut |offset, form, marker| {
                each(start + to_u64(offset), form, marker);
            });
            // What a pattern could reach into is searched again with what follows.
            buffer.copy_within(end..filled, 0);
            filled -= end;
            start += to_u64(end);
        }
        Ok(start)
    }

    /// The marker that is this whole number.
    pub(crate) fn number(&self, number: i64) -> Option<usize> {
        self.numbers.get(&number).copied()
    }

    /// The marker that is this fraction.
    pub(crate) fn real(&self, real: f64) -> Option<usize> {
        self.reals.get(&real.to_bits()).copied()
    }

    /// Markers that are numbers and stand in `text` in digits.
    pub(crate) fn numbers_in(&self, text: &[u8], mut each: impl FnMut(usize)) {
        if self.numbers.is_empty() {
            return;
        }
        for run in text
            .split(|b| !b.is_ascii_digit())
            .filter(|r| r.len() >= DIGITS_MIN)
        {
            let number = std::str::from_utf8(run)
                .ok()
                .and_then(|run| run.parse::<i64>().ok());
            // A minus before it is not looked at: either sign of a marker is worth a finding.
            let found = number.and_then(|n| self.number(n).or_else(|| self.number(-n)));
            if let Some(marker) = found {
                each(marker);
            }
        }
    }
}

/// The first bytes as a number, case dropped.
fn key_at(bytes: &[u8]) -> Option<u64> {
    bytes
        .first_chunk()
        .map(|key| u64::from_le_bytes(*key) | CASE)
}

/// Of the first four bytes.
fn first_half(key: u64) -> u64 {
    key & 0xffff_ffff
}

/// A set that may say yes wrongly.
#[derive(Debug)]
struct Filter {
    words: Vec<u64>,
    shift: u32,
}

impl Filter {
    fn new(bits: usize) -> Self {
        let bits = bits.next_power_of_two();
        Self {
            words: vec![0; bits / 64],
            shift: 64 - bits.trailing_zeros(),
        }
    }

    fn add(&mut self, key: u64) {
        let (word, bit) = self.slot(key);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    fn may_have(&self, key: u64) -> bool {
        let (word, bit) = self.slot(key);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    fn slot(&self, key: u64) -> (usize, u64) {
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        let word = usize::try_from(hash >> 6).unwrap_or(usize::MAX);
        (word, 1 << (hash & 63))
    }
}

pub(crate) fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// How often each half of a mail address occurs among all markers.
struct Halves<'a>(BTreeMap<&'a str, usize>);

impl<'a> Halves<'a> {
    fn count(markers: &[&'a Marker]) -> Self {
        let mut counts = BTreeMap::new();
        for marker in markers {
            if let Marker::Text(text) = marker {
                for half in text.split('@').collect::<BTreeSet<_>>() {
                    *counts.entry(half).or_default() += 1;
                }
            }
        }
        Self(counts)
    }

    fn unique(&self, half: &str) -> bool {
        half.len() >= KEY_BYTES && self.0.get(half) == Some(&1)
    }
}

#[derive(Default)]
struct Made {
    patterns: Vec<Pattern>,
    numbers: HashMap<i64, usize>,
    reals: HashMap<u64, usize>,
    texts: HashMap<String, usize>,
}

impl Made {
    fn marker(&mut self, number: usize, marker: &Marker, halves: &Halves<'_>) -> Result<(), Error> {
        let again = match marker {
            Marker::Number(n) => self.numbers.insert(*n, number),
            Marker::Real(r) => self.reals.insert(r.to_bits(), number),
            Marker::Text(text) => {
                self.texts(number, text, Form::Utf8)?;
                let own = |half: &&str| *half != text && halves.unique(half);
                for half in text.split('@').filter(own) {
                    self.texts(number, half, Form::MailPart)?;
                }
                self.texts.insert(text.to_ascii_lowercase(), number)
            }
            Marker::Guid(guid) => {
                self.guid(number, guid)?;
                self.texts.insert(guid.to_ascii_lowercase(), number)
            }
        };
        match again {
            None => Ok(()),
            Some(_) => Err(Error::BadMarker {
                marker: number,
                why: "there is another like it",
            }),
        }
    }

    fn add(&mut self, marker: usize, form: Form, bytes: Vec<u8>) {
        self.patterns.push(Pattern {
            bytes: bytes.into(),
            any_case: form != Form::Base64 && form != Form::GuidBytes,
            form,
            marker,
        });
    }

    fn texts(&mut self, number: usize, text: &str, plain: Form) -> Result<(), Error> {
        let bytes = text.as_bytes();
        if bytes.len() < KEY_BYTES {
            return Err(Error::BadMarker {
                marker: number,
                why: "it is shorter than eight bytes",
            });
        }
        self.add(number, plain, bytes.to_vec());
        self.add(number, Form::Utf16, utf16(text));
        self.add(number, Form::Hex, crypto::hex(bytes).into_bytes());
        for encoded in percent(bytes) {
            self.add(number, Form::Percent, encoded);
        }
        for encoded in base64(bytes) {
            self.add(number, Form::Base64, encoded);
        }
        Ok(())
    }

    fn guid(&mut self, number: usize, guid: &str) -> Result<(), Error> {
        let digits: String = guid.chars().filter(|c| *c != '-').collect();
        let bytes: Option<[u8; 16]> = crypto::unhex(&digits).and_then(|b| b.try_into().ok());
        let bytes = bytes.ok_or(Error::BadMarker {
            marker: number,
            why: "it is not a guid",
        })?;
        self.texts(number, guid, Form::Utf8)?;
        self.add(number, Form::Utf8, digits.into_bytes());
        // Written as read, and as Windows keeps it: the first three fields little endian.
        let mut windows = bytes;
        for field in [0..4, 4..6, 6..8] {
            windows.get_mut(field).unwrap_or_default().reverse();
        }
        for bytes in [bytes, windows] {
            self.add(number, Form::GuidBytes, bytes.to_vec());
        }
        Ok(())
    }
}

/// Two bytes a character, little endian, without the last byte if it is zero: for ASCII what is left
/// stands in text of the other byte order as well.
fn utf16(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// With every byte encoded, and with those only that a URL demands, if there are such.
fn percent(bytes: &[u8]) -> Vec<Vec<u8>> {
    let encode = |all: bool| -> Vec<u8> {
        let mut out = Vec::new();
        for byte in bytes {
            let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
            if plain && !all {
                out.push(*byte);
            } else {
                out.push(b'%');
                out.extend(crypto::hex(&[*byte]).into_bytes());
            }
        }
        out
    };
    let mut forms = vec![encode(true)];
    let needed = encode(false);
    if needed != bytes {
        forms.push(needed);
    }
    forms
}

/// Base64 in both alphabets, of the bytes after none, one or two others: those characters that the
/// bytes alone decide.
fn base64(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut forms = BTreeSet::new();
    for before in 0..3 {
        let shifted = [vec![0; before], bytes.to_vec()].concat();
        let (first, last) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        for alphabet in [STANDARD, URL] {
            let sixes =
                (first..last).filter_map(|n| alphabet.get(usize::from(six_bits(&shifted, n))));
            forms.insert(sixes.copied().collect());
        }
    }
    forms
}

/// The `n`th group of six bits.
fn six_bits(bytes: &[u8], n: usize) -> u8 {
    let (at, skip) = (n * 6 / 8, n * 6 % 8);
    let byte = |at: usize| u16::from(bytes.get(at).copied().unwrap_or(0));
    let sixteen = (byte(at) << 8) | byte(at + 1);
    u8::try_from((sixteen >> (10 - skip)) & 0x3f).unwrap_or(0)
}
