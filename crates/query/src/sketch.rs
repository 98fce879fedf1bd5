//! Sketches that go through queries as values: distinct values (HyperLogLog) and digests of numbers
//! (merging t-digest).
//!
//! Both are exact for small inputs and estimates beyond. As a dynamic value a sketch is an array
//! whose layout is ours; the language documents none.
//!
//! Sources: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog" (2007); Dunning, Ertl, "Computing
//! extremely accurate quantiles using t-digests" (2019).

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use model::ColumnType;

use crate::json::{self, Json};
use crate::kernels::args::Cell;
use crate::kernels::{convert, member, time};

/// Bits of a hash that choose a register, by the accuracy that a query asks for (0 to 4).
const PRECISIONS: [u32; 5] = [12, 14, 16, 17, 18];
/// The accuracy when a query says none.
pub(crate) const DEFAULT_PRECISION: u32 = 14;
/// Distinct values counted exactly inside of a value that a query carries along.
pub(crate) const CARRIED_EXACT_MAX: usize = 1_024;

/// The precision for an accuracy, and the default for one that does not exist.
pub(crate) fn precision(accuracy: i64) -> u32 {
    let at = usize::try_from(accuracy).ok();
    at.and_then(|at| PRECISIONS.get(at).copied())
        .unwrap_or(DEFAULT_PRECISION)
}

/// The hash of a value; the same in every process, for states may meet.
pub(crate) fn hash_of(cell: Cell<'_>) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    match cell {
        Cell::Null => return None,
        Cell::Text(text) | Cell::Guid(text) => text.hash(&mut hasher),
        Cell::Bool(b) => b.hash(&mut hasher),
        Cell::Long(n) | Cell::DateTime(n) | Cell::TimeSpan(n) => n.hash(&mut hasher),
        Cell::Real(x) => x.to_bits().hash(&mut hasher),
        Cell::Dynamic(_) => member::canonical(cell)?.hash(&mut hasher),
    }
    Some(hasher.finish())
}

#[derive(Clone, Debug)]
enum State {
    Exact(HashSet<u64>),
    Registers(Vec<u8>),
}

/// Distinct values, by their 64-bit hashes.
#[derive(Clone, Debug)]
pub(crate) struct Hll {
    precision: u32,
    exact_max: usize,
    state: State,
}

impl Hll {
    /// Exact up to `exact_max` values, then 2^`precision` registers.
    pub(crate) fn new(precision: u32, exact_max: usize) -> Self {
        Self {
            precision,
            exact_max,
            state: State::Exact(HashSet::new()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.state, State::Exact(seen) if seen.is_empty())
    }

    pub(crate) fn add(&mut self, hash: u64) {
        match &mut self.state {
            State::Exact(seen) => {
                seen.insert(hash);
                if seen.len() > self.exact_max {
                    self.coarsen();
                }
            }
            State::Registers(registers) => set_register(registers, self.precision, hash),
        }
    }

    fn coarsen(&mut self) {
        if let State::Exact(seen) = &self.state {
            let mut registers = vec![0; 1 << self.precision];
            #[expect(
                clippy::iter_over_hash_type,
                reason = "a register keeps the largest value, in whatever order they come"
            )]
            for hash in seen {
                set_register(&mut registers, self.precision, *hash);
            }
            self.state = State::Registers(registers);
        }
    }

    /// Takes in what another has seen. Registers of another number are brought to the smaller one.
    pub(crate) fn merge(&mut self, other: &Self) {
        match &other.state {
            State::Exact(seen) =>
            {
                #[expect(
                    clippy::iter_over_hash_type,
                    reason = "adding is the same in every order"
                )]
                for hash in seen {
                    self.add(*hash);
                }
            }
            State::Registers(theirs) => {
                self.coarsen();
                let least = self.precision.min(other.precision);
                let theirs = folded(theirs, other.precision, least);
                if let State::Registers(ours) = &self.state {
                    let mut ours = folded(ours, self.precision, least);
                    ours.iter_mut()
                        .zip(theirs)
                        .for_each(|(a, b)| *a = (*a).max(b));
                    self.state = State::Registers(ours);
                    self.precision = least;
                }
            }
        }
    }

    /// How many there are.
    pub(crate) fn estimate(&self) -> i64 {
        match &self.state {
            State::Exact(seen) => convert::long_of(seen.len()),
            State::Registers(registers) => estimate(registers),
        }
    }

    /// Bytes held.
    pub(crate) fn size(&self) -> usize {
        match &self.state {
            State::Exact(seen) => seen.capacity() * 9,
            State::Registers(registers) => registers.capacity(),
        }
    }

    /// As bytes: the precision, 0 and hashes or 1 and registers.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let precision = u8::try_from(self.precision).unwrap_or_default();
        let mut bytes = vec![precision];
        match &self.state {
            State::Exact(seen) => {
                let mut hashes: Vec<u64> = seen.iter().copied().collect();
                hashes.sort_unstable();
                bytes.push(0);
                bytes.extend(hashes.into_iter().flat_map(u64::to_le_bytes));
            }
            State::Registers(registers) => {
                bytes.push(1);
                bytes.extend(registers);
            }
        }
        bytes
    }

    /// What [`Self::to_bytes`] gave.
    pub(crate) fn from_bytes(bytes: &[u8], exact_max: usize) -> Option<Self> {
        let [precision, kind, rest @ ..] = bytes else {
            return None;
        };
        let precision = u32::from(*precision);
        if !PRECISIONS.contains(&precision) {
            return None;
        }
        let mut sketch = Self::new(precision, exact_max);
        match kind {
            0 => {
                for hash in rest.as_chunks::<8>().0 {
                    sketch.add(u64::from_le_bytes(*hash));
                }
            }
            _ if rest.len() == 1 << precision => sketch.state = State::Registers(rest.to_vec()),
            _ => return None,
        }
        Some(sketch)
    }

    /// As a value of the language: `["hll", base64]`.
    pub(crate) fn to_json(&self) -> Json {
        packed("hll", &self.to_bytes())
    }

    /// What [`Self::to_json`] gave; `None` for anything else.
    pub(crate) fn from_json(value: &Json) -> Option<Self> {
        Self::from_bytes(&unpacked("hll", value)?, CARRIED_EXACT_MAX)
    }
}

fn packed(kind: &str, bytes: &[u8]) -> Json {
    let text = crate::kernels::base64_of(bytes);
    Json::Array(vec![Json::Text(kind.to_owned()), Json::Text(text)])
}

fn unpacked(kind: &str, value: &Json) -> Option<Vec<u8>> {
    match value.as_array()? {
        [Json::Text(known), Json::Text(text)] if known == kind => {
            crate::kernels::bytes_of_base64(text)
        }
        _ => None,
    }
}

fn set_register(registers: &mut [u8], precision: u32, hash: u64) {
    let at = usize::try_from(hash >> (64 - precision)).unwrap_or(0);
    let rank = (hash << precision).leading_zeros().min(64 - precision) + 1;
    if let Some(register) = registers.get_mut(at) {
        *register = (*register).max(u8::try_from(rank).unwrap_or(u8::MAX));
    }
}

/// Registers of a smaller number. The bits that no longer choose a register count for the rank.
fn folded(registers: &[u8], from: u32, to: u32) -> Vec<u8> {
    let more = from.saturating_sub(to);
    if more == 0 {
        return registers.to_vec();
    }
    let mut out = vec![0_u8; 1 << to];
    for (at, rank) in registers.iter().enumerate().filter(|(_, rank)| **rank > 0) {
        let low = at & ((1 << more) - 1);
        let rank = if low == 0 {
            u32::from(*rank) + more
        } else {
            more - (usize::BITS - 1 - low.leading_zeros())
        };
        if let Some(slot) = out.get_mut(at >> more) {
            *slot = (*slot).max(u8::try_from(rank).unwrap_or(u8::MAX));
        }
    }
    out
}

fn estimate(registers: &[u8]) -> i64 {
    let m = f64::from(u32::try_from(registers.len()).unwrap_or(u32::MAX));
    let sum: f64 = registers.iter().map(|r| 0.5_f64.powi(i32::from(*r))).sum();
    let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
    let empty = registers.iter().filter(|r| **r == 0).count();
    let corrected = if raw <= 2.5 * m && empty > 0 {
        m * (m / convert::real_of_long(convert::long_of(empty))).ln()
    } else {
        raw
    };
    convert::long_of_real(corrected.round()).unwrap_or(i64::MAX)
}

/// Centroids kept exactly.
const CENTROIDS_MAX: usize = 4_096;
/// Centroids after a compression, about.
const COMPRESSION: f64 = 1_000.0;

/// A digest of numbers: means with weights, in order.
#[derive(Clone, Debug)]
pub(crate) struct Digest {
    ty: ColumnType,
    centroids: Vec<(f64, f64)>,
    sorted: bool,
}

impl Digest {
    pub(crate) fn new(ty: ColumnType) -> Self {
        Self {
            ty,
            centroids: Vec::new(),
            sorted: true,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.centroids.is_empty()
    }

    pub(crate) fn add(&mut self, value: f64, weight: f64) {
        if value.is_nan() || weight <= 0.0 {
            return;
        }
        self.centroids.push((value, weight));
        self.sorted = false;
        if self.centroids.len() > 2 * CENTROIDS_MAX {
            self.compress();
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.is_empty() {
            self.ty = other.ty;
        }
        for (mean, weight) in &other.centroids {
            self.add(*mean, *weight);
        }
    }

    /// In order, and no more than [`CENTROIDS_MAX`].
    pub(crate) fn compress(&mut self) {
        if !self.sorted {
            self.centroids.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.sorted = true;
        }
        if self.centroids.len() <= CENTROIDS_MAX {
            return;
        }
        let total: f64 = self.centroids.iter().map(|c| c.1).sum();
        // The scale function k1: thin at the ends, thick in the middle.
        let limit = |share: f64| {
            let k = COMPRESSION / std::f64::consts::TAU * (2.0 * share - 1.0).asin() + 1.0;
            let angle = k * std::f64::consts::TAU / COMPRESSION;
            if angle >= std::f64::consts::FRAC_PI_2 {
                1.0
            } else {
                f64::midpoint(angle.sin(), 1.0)
            }
        };
        let mut out: Vec<(f64, f64)> = Vec::new();
        let (mut before, mut most) = (0.0, limit(0.0) * total);
        for (mean, weight) in &self.centroids {
            match out.last_mut() {
                Some(last) if before + last.1 + weight <= most => {
                    let sum = last.1 + weight;
                    last.0 += (mean - last.0) * weight / sum;
                    last.1 = sum;
                }
                last => {
                    if let Some(last) = last {
                        before += last.1;
                        most = limit((before / total).clamp(0.0, 1.0)) * total;
                    }
                    out.push((*mean, *weight));
                }
            }
        }
        self.centroids = out;
    }

    fn total(&self) -> f64 {
        self.centroids.iter().map(|c| c.1).sum()
    }

    /// The value that so many percent of the values do not exceed.
    pub(crate) fn percentile(&self, percent: f64) -> Option<Json> {
        let wanted = (percent / 100.0 * self.total()).ceil().max(1.0);
        let mut sum = 0.0;
        let mut found = self.centroids.last().map(|c| c.0)?;
        for (mean, weight) in &self.centroids {
            sum += weight;
            if sum >= wanted {
                found = *mean;
                break;
            }
        }
        let whole = || convert::long_of_real(found.round());
        Some(match self.ty {
            ColumnType::Real | ColumnType::Decimal => Json::Real(found),
            ty if time::is_ticks(ty) => json::of_ticks(whole()?, ty),
            _ => Json::Long(whole()?),
        })
    }

    /// How many values are not above `value`.
    pub(crate) fn rank(&self, value: f64) -> f64 {
        self.centroids
            .iter()
            .take_while(|c| c.0 <= value)
            .map(|c| c.1)
            .sum()
    }

    /// The same in percent of all.
    pub(crate) fn percent_rank(&self, value: f64) -> f64 {
        self.rank(value) / self.total() * 100.0
    }

    /// Bytes held.
    pub(crate) fn size(&self) -> usize {
        self.centroids.capacity() * size_of::<(f64, f64)>()
    }

    /// As bytes: the type's name, a zero, means and weights in turn.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.ty.as_str().as_bytes().to_vec();
        bytes.push(0);
        for (mean, weight) in &self.centroids {
            bytes.extend(mean.to_le_bytes());
            bytes.extend(weight.to_le_bytes());
        }
        bytes
    }

    /// What [`Self::to_bytes`] gave.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|b| *b == 0)?;
        let (name, rest) = bytes.split_at_checked(end)?;
        let ty = ColumnType::parse(std::str::from_utf8(name).ok()?)?;
        let mut digest = Self::new(ty);
        for pair in rest.get(1..)?.as_chunks::<16>().0 {
            let (mean, weight) = pair.split_at_checked(8)?;
            digest.add(
                f64::from_le_bytes(mean.try_into().ok()?),
                f64::from_le_bytes(weight.try_into().ok()?),
            );
        }
        digest.compress();
        Some(digest)
    }

    /// As a value of the language: `["tdigest", base64]`.
    pub(crate) fn to_json(&self) -> Json {
        packed("tdigest", &self.to_bytes())
    }

    /// What [`Self::to_json`] gave; `None` for anything else.
    pub(crate) fn from_json(value: &Json) -> Option<Self> {
        Self::from_bytes(&unpacked("tdigest", value)?)
    }
}
