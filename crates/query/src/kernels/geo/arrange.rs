//! Arcs cut at every place where two of them meet, so that what is left meets at its ends only.
//!
//! The plane of each arc goes through the middle of the sphere, so sides are signs of products.
//! Ends nearer than [`MERGE`] are one place, and an arc that passes so near by an end goes through
//! it; beyond that distance the products of 64-bit numbers have the right sign. What is as near
//! after the cuts as before (two cuts of one arc, say) is merged again. Costs n log n for arcs
//! that are short compared to the whole, as those of places on a map are.

use super::super::args::Guard;
use super::sphere::{Vector, angle, cross, dot, minus, normal, plus, times, unit};

/// LIMIT: arcs of one arrangement.
pub(super) const ARCS_MAX: usize = 200_000;
/// LIMIT: places at which they cross.
const CROSSINGS_MAX: usize = 1_000_000;
/// What is nearer is one place, in radians: 22 nanometres on the earth.
pub(super) const MERGE: f64 = 16.0 * f64::EPSILON;
/// Pairs of arcs after which it is looked whether the query was cancelled.
const PAIRS_PER_LOOK: usize = 1 << 16;
/// Arcs after which a long computation looks whether the query was cancelled.
pub(super) const ARCS_PER_LOOK: usize = 256;

/// A part of an arc between two places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The arc it is a part of.
    pub(super) arc: usize,
}

/// Places, and the pieces between them: by arc, and along each.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Arrangement {
    pub(super) places: Vec<Vector>,
    pub(super) pieces: Vec<Piece>,
}

/// One arc with what is asked of it again and again.
struct Line {
    from: usize,
    to: usize,
    start: Vector,
    end: Vector,
    normal: Vector,
    low: Vector,
    high: Vector,
}

impl Line {
    fn new(from: usize, to: usize, places: &[Vector]) -> Option<Self> {
        let (start, end) = (*places.get(from)?, *places.get(to)?);
        // An arc bulges out of the box of its ends, at most by its height over the chord.
        let bulge = 1.0 - (angle(start, end) / 2.0).cos() + MERGE;
        let both = |pick: fn(f64, f64) -> f64, by: f64| {
            let mut bound = start;
            for (bound, other) in bound.iter_mut().zip(end) {
                *bound = pick(*bound, other) + by;
            }
            bound
        };
        Some(Self {
            from,
            to,
            start,
            end,
            normal: normal(start, end)?,
            low: both(f64::min, -bulge),
            high: both(f64::max, bulge),
        })
    }

    /// How far to the left a place is; exact near the start.
    fn left(&self, place: Vector) -> f64 {
        dot(minus(place, self.start), self.normal)
    }

    /// Whether a place that lies on the plane is between the ends.
    fn spans(&self, place: Vector) -> bool {
        dot(cross(self.start, place), self.normal) > 0.0
            && dot(cross(place, self.end), self.normal) > 0.0
    }

    fn has_end(&self, place: usize) -> bool {
        self.from == place || self.to == place
    }

    fn far_from(&self, other: &Self) -> bool {
        let apart = |(a, b): (&Vector, &Vector)| a.iter().zip(b).any(|(x, y)| x > y);
        apart((&self.low, &other.high)) || apart((&other.low, &self.high))
    }

    /// Where two arcs cross that touch at no end.
    fn crossing(&self, other: &Self) -> Option<Vector> {
        let (c, d) = (self.left(other.start), self.left(other.end));
        let (a, b) = (other.left(self.start), other.left(self.end));
        // Parts of one great circle have no place in common that is not an end.
        let in_line = |x: f64, y: f64| x.abs() <= MERGE && y.abs() <= MERGE;
        if in_line(a, b) || in_line(c, d) {
            return None;
        }
        // Seen from the middle of the sphere, all four triangles turn the same way.
        let turns = [-c, d, -b, a];
        let all = turns.iter().all(|t| *t > 0.0) || turns.iter().all(|t| *t < 0.0);
        if !all {
            return None;
        }
        // Along the shorter arc, by how far its ends are from the plane of the longer one, which is
        // known better. So it is on the arc, however flat the angle.
        let chord = |line: &Self| minus(line.end, line.start);
        let (own, others) = (chord(self), chord(other));
        if dot(own, own) <= dot(others, others) {
            unit(plus(times(self.start, b.abs()), times(self.end, a.abs())))
        } else {
            unit(plus(times(other.start, d.abs()), times(other.end, c.abs())))
        }
    }
}

/// The representatives of places that are nearer to one another than [`MERGE`], and for each place
/// its representative.
pub(super) fn merged(all: &[Vector]) -> (Vec<Vector>, Vec<usize>) {
    // A direction that no meridian and no parallel is perpendicular to.
    const ALONG: Vector = [0.512_381, 0.601_097, 0.613_317];
    let mut order: Vec<(f64, usize)> = all
        .iter()
        .enumerate()
        .map(|(at, place)| (dot(*place, ALONG), at))
        .collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut first: Vec<usize> = (0..all.len()).collect();
    let mut kept: Vec<(f64, usize)> = Vec::new();
    for (key, at) in order {
        let near = kept.iter().rev().take_while(|(k, _)| key - k <= MERGE);
        let same = near.into_iter().find_map(|(_, other)| {
            let away = minus(*all.get(at)?, *all.get(*other)?);
            (dot(away, away) <= MERGE * MERGE).then_some(*other)
        });
        match (same, first.get_mut(at)) {
            (Some(other), Some(slot)) => *slot = other,
            _ => kept.push((key, at)),
        }
    }
    let mut number = vec![0; all.len()];
    let mut places = Vec::new();
    for (at, place) in all.iter().enumerate() {
        if first.get(at) == Some(&at) {
            if let Some(slot) = number.get_mut(at) {
                *slot = places.len();
            }
            places.push(*place);
        }
    }
    let of = first.iter().map(|f| number.get(*f).copied().unwrap_or(0));
    (places, of.collect())
}

/// Cuts arcs where they meet; those for which `may_cross` says no are cut at ends that lie on
/// others, but not where they cross. `None` for too many arcs, for one whose ends are opposite, or
/// once the query is cancelled.
pub(super) fn arranged(
    arcs: &[(Vector, Vector)],
    may_cross: &dyn Fn(usize, usize) -> bool,
    guard: &Guard,
) -> Option<Arrangement> {
    if arcs.len() > ARCS_MAX {
        return None;
    }
    let ends: Vec<Vector> = arcs.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let (mut places, number) = merged(&ends);
    let mut lines: Vec<Option<Line>> = Vec::with_capacity(arcs.len());
    for pair in number.chunks_exact(2) {
        let [from, to] = pair else { return None };
        lines.push(if from == to {
            None
        } else {
            Some(Line::new(*from, *to, &places)?)
        });
    }
    let mut cuts: Vec<Vec<usize>> = vec![Vec::new(); arcs.len()];
    cut(&lines, &mut places, &mut cuts, may_cross, guard)?;
    let (merged_places, number) = merged(&places);
    let mut pieces = Vec::new();
    for (arc, (line, cuts)) in lines.iter().zip(cuts).enumerate() {
        let Some(line) = line else { continue };
        let mut along: Vec<(f64, usize)> = Vec::with_capacity(cuts.len());
        for at in cuts {
            along.push((angle(line.start, *places.get(at)?), at));
        }
        along.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut from = *number.get(line.from)?;
        let inner = along.iter().map(|(_, at)| *at);
        for at in inner.chain([line.to]) {
            let to = *number.get(at)?;
            if to != from {
                pieces.push(Piece { from, to, arc });
                from = to;
            }
        }
    }
    Some(Arrangement {
        places: merged_places,
        pieces,
    })
}

/// Finds where each line is to be cut: pairs by their boxes, along the axis with the most room.
fn cut(
    lines: &[Option<Line>],
    places: &mut Vec<Vector>,
    cuts: &mut [Vec<usize>],
    may_cross: &dyn Fn(usize, usize) -> bool,
    guard: &Guard,
) -> Option<()> {
    let axis = widest(lines);
    let low = |line: &Line| line.low.get(axis).copied().unwrap_or(0.0);
    let mut order: Vec<(f64, usize, &Line)> = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| line.as_ref().map(|l| (low(l), at, l)))
        .collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let places_max = places.len() + CROSSINGS_MAX;
    let mut pairs = 0_usize;
    for (place, (_, i, one)) in order.iter().enumerate() {
        if places.len() > places_max {
            return None;
        }
        let end = one.high.get(axis).copied()?;
        for (_, j, other) in order.iter().skip(place + 1).take_while(|o| o.0 <= end) {
            pairs += 1;
            if pairs.is_multiple_of(PAIRS_PER_LOOK) && guard.is_cancelled() {
                return None;
            }
            if one.far_from(other) {
                continue;
            }
            if !touch(one, *i, other, places, cuts) & !touch(other, *j, one, places, cuts)
                && !one.has_end(other.from)
                && !one.has_end(other.to)
                && may_cross(*i, *j)
                && let Some(at) = one.crossing(other)
            {
                for line in [*i, *j] {
                    cuts.get_mut(line)?.push(places.len());
                }
                places.push(at);
            }
        }
    }
    Some(())
}

/// Cuts a line at the ends of another that lie on it; whether there are some.
fn touch(line: &Line, at: usize, other: &Line, places: &[Vector], cuts: &mut [Vec<usize>]) -> bool {
    let mut some = false;
    for end in [other.from, other.to] {
        let Some(place) = places.get(end) else {
            continue;
        };
        if !line.has_end(end) && line.left(*place).abs() <= MERGE && line.spans(*place) {
            some = true;
            if let Some(cuts) = cuts.get_mut(at)
                && !cuts.contains(&end)
            {
                cuts.push(end);
            }
        }
    }
    some
}

fn widest(lines: &[Option<Line>]) -> usize {
    let mut low = [f64::INFINITY; 3];
    let mut high = [f64::NEG_INFINITY; 3];
    for line in lines.iter().flatten() {
        for (bound, x) in low.iter_mut().zip(line.start) {
            *bound = bound.min(x);
        }
        for (bound, x) in high.iter_mut().zip(line.start) {
            *bound = bound.max(x);
        }
    }
    let [x, y, z] = minus(high, low);
    if x >= y && x >= z {
        0
    } else if y >= z {
        1
    } else {
        2
    }
}
