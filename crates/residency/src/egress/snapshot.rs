//! The snapshot of prevalence: what the centre tells every cell, once a day.
//!
//! Layout (little endian):
//!
//! ```text
//! "BWPS" version:u16 number:u64 published_at:i64 sections:u16
//! section: epoch:u32 n:u32 { token:16 } x n { bucket:u8 first_day:u8 count:u8 } x n
//!          m:u32 { figure:u32 technique:u16 sub:u16 } x m
//! signature:64
//! ```
//!
//! Tokens stand in ascending order, so a look-up is a binary search over the bytes as they came.
//! `first_day` counts from thirty days before the epoch. The signature is Ed25519 over the fields
//! `bailiwick-prevalence-snapshot-v1`, public key, all bytes before it.
//!
//! Promises
//! - [`Snapshot::verify`] checks the signature before it reads anything, and the whole structure before
//!   it gives the snapshot out: a look-up cannot fail.
//! - A figure is a bucket, never a count; an indicator below the threshold is not there, and cannot be
//!   told from one that nobody saw.
//!
//! Does not decide what is published (`centre` does) and holds no clear value.

use std::ops::Range;

use crypto::{Fields, PublicKey, Signature, Signer};
use model::{CountBucket, Day, Epoch, IndicatorToken, Technique, Ticks, limits};

use super::batch::{NotTaken, may_be_of};
use super::bytes::{Reader, count};
use crate::Error;
use crate::signed::Kind;

const MAGIC: [u8; 4] = *b"BWPS";
const VERSION: u16 = 1;
const SIGNATURE_BYTES: usize = 64;
const TOKEN_BYTES: usize = 16;
const FIGURE_BYTES: usize = 3;
const TECHNIQUE_BYTES: usize = 8;

/// How many owner groups, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrevalenceBucket {
    /// Ten.
    Ten,
    /// Fifty.
    Fifty,
    /// Two hundred and fifty.
    TwoHundredFifty,
}

impl PrevalenceBucket {
    /// All buckets, the least first.
    pub const ALL: [Self; 3] = [Self::Ten, Self::Fifty, Self::TwoHundredFifty];

    /// The bucket of so many owner groups; none below the threshold.
    pub fn of(groups: u32) -> Option<Self> {
        let reached = |bucket: &Self| groups >= bucket.at_least();
        Self::ALL.into_iter().rev().find(reached)
    }

    /// Its least number of owner groups.
    pub const fn at_least(self) -> u32 {
        match self {
            Self::Ten => limits::PREVALENCE_GROUPS_MIN,
            Self::Fifty => 50,
            Self::TwoHundredFifty => 250,
        }
    }

    /// The number of the format; never changed.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ten => 1,
            Self::Fifty => 2,
            Self::TwoHundredFifty => 3,
        }
    }

    /// The bucket of that number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|bucket| bucket.code() == code)
    }
}

/// What is told of one indicator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prevalence {
    /// How many owner groups have seen it.
    pub groups: PrevalenceBucket,
    /// The first day on which so many had seen it that it may be told.
    pub first_day: Day,
    /// How often a typical owner group sees it.
    pub typical_count: CountBucket,
    /// What enough owner groups saw it used for, in order.
    pub techniques: Vec<Technique>,
}

/// A figure before it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// The indicator.
    pub token: IndicatorToken,
    /// What is told of it.
    pub prevalence: Prevalence,
}

/// The figures of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The epoch of the tokens.
    pub epoch: Epoch,
    /// In ascending order of their tokens, each once.
    pub figures: Vec<Figure>,
}

/// Where a section's parts lie in the bytes.
#[derive(Debug, Clone)]
struct Place {
    epoch: Epoch,
    tokens: Range<usize>,
    figures: Range<usize>,
    techniques: Range<usize>,
}

/// A verified snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    bytes: Vec<u8>,
    number: u64,
    published_at: Ticks,
    places: Vec<Place>,
}

impl Snapshot {
    /// Makes and signs a snapshot. Sections are in ascending order of epochs.
    pub fn sign(
        number: u64,
        published_at: Ticks,
        sections: &[Section],
        signer: &dyn Signer,
    ) -> Result<Vec<u8>, NotTaken> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&published_at.0.to_le_bytes());
        let n = u16::try_from(sections.len()).map_err(|_| NotTaken::TooLarge)?;
        out.extend_from_slice(&n.to_le_bytes());
        for section in sections {
            put_section(&mut out, section);
        }
        let signature = signer.sign(message(&signer.public_key(), &out).as_bytes());
        out.extend_from_slice(signature.as_bytes());
        if out.len() > limits::SNAPSHOT_BYTES_MAX {
            return Err(NotTaken::TooLarge);
        }
        // What a cell would refuse is not published.
        Self::verify(out.clone(), &signer.public_key(), None)?;
        Ok(out)
    }

    /// Verifies a snapshot with the centre's pinned key; refuses one older than number `newest`.
    pub fn verify(bytes: Vec<u8>, key: &PublicKey, newest: Option<u64>) -> Result<Self, NotTaken> {
        if bytes.len() > limits::SNAPSHOT_BYTES_MAX {
            return Err(NotTaken::TooLarge);
        }
        let (body, signature) = bytes
            .split_last_chunk::<SIGNATURE_BYTES>()
            .ok_or(MALFORMED)?;
        let kind = Kind::PrevalenceSnapshot;
        key.verify(
            message(key, body).as_bytes(),
            &Signature::from_bytes(*signature),
        )
        .map_err(|_| NotTaken::Receipt(Error::Signature { kind }))?;
        let (number, published_at, places) = read(body)?;
        if let Some(least) = newest.filter(|newest| number < *newest) {
            let found = number;
            return Err(NotTaken::Receipt(Error::Old { kind, found, least }));
        }
        Ok(Self {
            bytes,
            number,
            published_at,
            places,
        })
    }

    /// Grows with every snapshot.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When it was made.
    pub fn published_at(&self) -> Ticks {
        self.published_at
    }

    /// The signed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its epochs, oldest first, each with its number of figures.
    pub fn epochs(&self) -> impl Iterator<Item = (Epoch, usize)> + '_ {
        let n = |place: &Place| place.tokens.len() / TOKEN_BYTES;
        self.places.iter().map(move |place| (place.epoch, n(place)))
    }

    /// What is told of an indicator; nothing below the threshold.
    pub fn lookup(&self, epoch: Epoch, token: &IndicatorToken) -> Option<Prevalence> {
        let place = self.places.iter().find(|place| place.epoch == epoch)?;
        let (tokens, _) = self
            .bytes
            .get(place.tokens.clone())?
            .as_chunks::<TOKEN_BYTES>();
        let at = tokens.binary_search(token.as_bytes()).ok()?;
        self.prevalence(place, at)
    }

    fn prevalence(&self, place: &Place, at: usize) -> Option<Prevalence> {
        let (figures, _) = self
            .bytes
            .get(place.figures.clone())?
            .as_chunks::<FIGURE_BYTES>();
        let [bucket, first_day, count] = *figures.get(at)?;
        let (rows, _) = self
            .bytes
            .get(place.techniques.clone())?
            .as_chunks::<TECHNIQUE_BYTES>();
        let from = rows.partition_point(|row| technique(*row).is_some_and(|(of, _)| of < at));
        let rows = rows.get(from..)?.iter().copied().map_while(technique);
        Some(Prevalence {
            groups: PrevalenceBucket::from_code(bucket)?,
            first_day: Day(base(place.epoch) + u32::from(first_day)),
            typical_count: CountBucket::from_code(count)?,
            techniques: rows
                .take_while(|(of, _)| *of == at)
                .map(|(_, t)| t)
                .collect(),
        })
    }

    /// All figures of an epoch, in the order of their tokens.
    pub fn figures(&self, epoch: Epoch) -> Vec<Figure> {
        let Some(place) = self.places.iter().find(|place| place.epoch == epoch) else {
            return Vec::new();
        };
        let tokens = self.bytes.get(place.tokens.clone()).unwrap_or_default();
        let (tokens, _) = tokens.as_chunks::<TOKEN_BYTES>();
        let figure = |(at, token): (usize, &[u8; TOKEN_BYTES])| {
            Some(Figure {
                token: IndicatorToken::from_bytes(*token),
                prevalence: self.prevalence(place, at)?,
            })
        };
        tokens.iter().enumerate().filter_map(figure).collect()
    }
}

fn put_section(out: &mut Vec<u8>, section: &Section) {
    let figures = &section.figures;
    out.extend_from_slice(&section.epoch.0.to_le_bytes());
    out.extend_from_slice(&count(figures.len()).to_le_bytes());
    for figure in figures {
        out.extend_from_slice(figure.token.as_bytes());
    }
    for Figure { prevalence, .. } in figures {
        let day = prevalence.first_day.0.saturating_sub(base(section.epoch));
        out.push(prevalence.groups.code());
        out.push(u8::try_from(day).unwrap_or(u8::MAX));
        out.push(prevalence.typical_count.code());
    }
    let techniques = figures.iter().enumerate().flat_map(|(at, figure)| {
        let techniques = figure.prevalence.techniques.iter();
        techniques.map(move |technique| (at, technique.numbers()))
    });
    let techniques: Vec<_> = techniques.collect();
    out.extend_from_slice(&count(techniques.len()).to_le_bytes());
    for (at, (number, sub)) in techniques {
        out.extend_from_slice(&count(at).to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&sub.to_le_bytes());
    }
}

fn read(body: &[u8]) -> Result<(u64, Ticks, Vec<Place>), NotTaken> {
    let mut r = Reader(body);
    if r.array() != Some(MAGIC) {
        return Err(MALFORMED);
    }
    let found = r.u16().ok_or(MALFORMED)?;
    if found != VERSION {
        return Err(NotTaken::Format { found });
    }
    let mut rest = || {
        let number = r.u64()?;
        let published_at = Ticks(i64::from_le_bytes(r.array()?));
        let mut places = Vec::new();
        for _ in 0..r.u16()? {
            places.push(read_section(&mut r, body.len())?);
        }
        let in_order = places.is_sorted_by(|a: &Place, b: &Place| a.epoch < b.epoch);
        (r.0.is_empty() && in_order).then_some((number, published_at, places))
    };
    rest().ok_or(MALFORMED)
}

fn read_section(r: &mut Reader<'_>, whole: usize) -> Option<Place> {
    let part = |r: &mut Reader<'_>, n: u32, each: usize| {
        let start = whole.checked_sub(r.0.len())?;
        r.bytes(usize::try_from(n).ok()?.checked_mul(each)?)?;
        Some(start..whole.checked_sub(r.0.len())?)
    };
    let bytes_before = r.0;
    let epoch = Epoch(r.u32()?);
    let n = r.u32()?;
    let tokens = part(r, n, TOKEN_BYTES)?;
    let figures = part(r, n, FIGURE_BYTES)?;
    let m = r.u32()?;
    let techniques = part(r, m, TECHNIQUE_BYTES)?;
    let offset = whole.checked_sub(bytes_before.len())?;
    let slice = |range: &Range<usize>| {
        let range = range.start.checked_sub(offset)?..range.end.checked_sub(offset)?;
        bytes_before.get(range)
    };
    let sorted = slice(&tokens)?
        .as_chunks::<TOKEN_BYTES>()
        .0
        .is_sorted_by(|a, b| a < b);
    let (rows, _) = slice(&figures)?.as_chunks::<FIGURE_BYTES>();
    let known = rows.iter().all(|[bucket, day, count]| {
        PrevalenceBucket::from_code(*bucket).is_some()
            && may_be_of(epoch, Day(base(epoch).saturating_add(u32::from(*day))))
            && CountBucket::from_code(*count).is_some()
    });
    let (rows, _) = slice(&techniques)?.as_chunks::<TECHNIQUE_BYTES>();
    let n = usize::try_from(n).ok()?;
    let rows: Vec<_> = rows.iter().copied().map(technique).collect::<Option<_>>()?;
    let used = rows.iter().all(|(at, _)| *at < n) && rows.is_sorted_by(|a, b| a < b);
    (sorted && known && used).then_some(Place {
        epoch,
        tokens,
        figures,
        techniques,
    })
}

/// The figure that a technique belongs to, and the technique.
fn technique(row: [u8; TECHNIQUE_BYTES]) -> Option<(usize, Technique)> {
    let mut r = Reader(&row);
    let at = usize::try_from(r.u32()?).ok()?;
    Some((at, Technique::from_numbers(r.u16()?, r.u16()?)?))
}

/// The day that `first_day` counts from.
fn base(epoch: Epoch) -> u32 {
    epoch
        .first_day()
        .0
        .saturating_sub(limits::EGRESS_DAYS_LATE_MAX)
}

fn message(key: &PublicKey, body: &[u8]) -> Fields {
    Fields::new("bailiwick-prevalence-snapshot-v1")
        .with(key.as_bytes())
        .with(body)
}

const MALFORMED: NotTaken = NotTaken::Malformed {
    what: "not a snapshot of prevalence",
};
