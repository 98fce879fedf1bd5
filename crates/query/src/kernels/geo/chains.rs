//! Directed pieces put together: to rings that go around what is on their left, and to lines.
//!
//! Rules of the S2 library, from its documentation, so that rings begin where the service's begin:
//! - Where several rings meet, each turns left as sharply as it can, so they touch and never cross;
//!   a ring that comes back to one of its places ends there.
//! - A ring ends with the piece of the latest arc; of several such in a row, the last.
//! - Lines end where another line begins or ends; one that goes around alone is treated as a ring.
//! - Rings and lines stand in the order of the arcs with which they begin.

use std::collections::HashMap;

use super::sphere::{Vector, cross, dot, minus, unit};

/// A piece in the direction that the result has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) arc: usize,
    /// Its number: those of one arc follow one another.
    pub(super) piece: usize,
}

/// Rings as edges. `None` if they do not close: the numbers were too near one another.
pub(super) fn rings(places: &[Vector], mut edges: Vec<Edge>) -> Option<Vec<Vec<Edge>>> {
    edges.sort_unstable();
    let next = followers(places, &edges)?;
    let mut used = vec![false; edges.len()];
    let mut rings = Vec::new();
    for start in 0..edges.len() {
        let mut path: Vec<usize> = Vec::new();
        // Where in the path the edge is that begins at a place.
        let mut begins: HashMap<usize, usize> = HashMap::new();
        let mut at = start;
        while !*used.get(at)? {
            *used.get_mut(at)? = true;
            begins.insert(edges.get(at)?.from, path.len());
            path.push(at);
            let end = edges.get(at)?.to;
            at = *next.get(at)?;
            if let Some(from) = begins.get(&end).copied() {
                let ring: Vec<Edge> = path
                    .drain(from..)
                    .filter_map(|e| edges.get(e).copied())
                    .collect();
                for edge in &ring {
                    begins.remove(&edge.from);
                }
                rings.push(ring);
            }
        }
        if !path.is_empty() {
            return None;
        }
    }
    for ring in &mut rings {
        turn(ring);
    }
    rings.sort_by_key(|ring| ring.first().map(|e| e.arc));
    Some(rings)
}

/// The edge after each: at its end, the first that leaves clockwise from where it came.
fn followers(places: &[Vector], edges: &[Edge]) -> Option<Vec<usize>> {
    let mut leaving: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, edge) in edges.iter().enumerate() {
        leaving.entry(edge.from).or_default().push(at);
    }
    let one = |edge: &Edge| -> Option<usize> {
        let candidates = leaving.get(&edge.to)?;
        if let [only] = candidates.as_slice() {
            return Some(*only);
        }
        let place = *places.get(edge.to)?;
        let back = unit(minus(*places.get(edge.from)?, place))?;
        let side = cross(place, back);
        let clockwise = |at: &usize| -> Option<f64> {
            let away = minus(*places.get(edges.get(*at)?.to)?, place);
            let turn = -dot(away, side).atan2(dot(away, back));
            // Straight back comes last.
            Some(if turn <= 0.0 {
                turn + 2.0 * std::f64::consts::PI
            } else {
                turn
            })
        };
        let mut best: Option<(f64, usize)> = None;
        for at in candidates {
            let turn = clockwise(at)?;
            if best.is_none_or(|(least, _)| turn < least) {
                best = Some((turn, *at));
            }
        }
        best.map(|(_, at)| at)
    };
    edges.iter().map(one).collect()
}

/// Turns a ring so that it ends with the latest arc.
fn turn(ring: &mut [Edge]) {
    let mut last = 0;
    let mut gap = false;
    for at in 1..ring.len() {
        let (Some(here), Some(best)) = (ring.get(at), ring.get(last)) else {
            return;
        };
        if here.arc < best.arc {
            gap = true;
        } else if here.arc > best.arc || !gap {
            last = at;
            gap = false;
        }
    }
    if !ring.is_empty() {
        let by = (last + 1) % ring.len();
        ring.rotate_left(by);
    }
}

/// Lines as edges.
pub(super) fn lines(mut edges: Vec<Edge>) -> Vec<Vec<Edge>> {
    edges.sort_by_key(|e| e.piece);
    let mut leaving: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut arriving: HashMap<usize, usize> = HashMap::new();
    for (at, edge) in edges.iter().enumerate() {
        leaving.entry(edge.from).or_default().push(at);
        *arriving.entry(edge.to).or_default() += 1;
    }
    let passes = |place: usize| {
        leaving.get(&place).is_some_and(|l| l.len() == 1) && arriving.get(&place) == Some(&1)
    };
    let mut used = vec![false; edges.len()];
    let mut found: Vec<Vec<Edge>> = Vec::new();
    for only_ends in [true, false] {
        for start in 0..edges.len() {
            let begins = edges.get(start).is_some_and(|e| !passes(e.from));
            if used.get(start) != Some(&false) || (only_ends && !begins) {
                continue;
            }
            let mut line = Vec::new();
            let mut at = Some(start);
            while let Some(edge) = at.and_then(|a| edges.get(a))
                && let Some(slot) = at.and_then(|a| used.get_mut(a)).filter(|u| !**u)
            {
                *slot = true;
                line.push(*edge);
                at = if passes(edge.to) {
                    leaving.get(&edge.to).and_then(|l| l.first().copied())
                } else {
                    None
                };
            }
            if !only_ends {
                turn(&mut line);
            }
            found.push(line);
        }
    }
    found.sort_by_key(|line| line.first().map(|e| e.piece));
    found
}

/// The places of a chain without those at which one arc only was cut; the last one too if it is
/// no ring.
pub(super) fn places_of(
    chain: &[Edge],
    is_ring: bool,
    is_shared: &dyn Fn(usize) -> bool,
) -> Vec<usize> {
    let mut found = Vec::new();
    let before = chain.iter().skip(chain.len().saturating_sub(1));
    let mut last = before.map(|e| e.arc).next().filter(|_| is_ring);
    for edge in chain {
        if last != Some(edge.arc) || is_shared(edge.from) {
            found.push(edge.from);
        }
        last = Some(edge.arc);
    }
    if !is_ring {
        found.extend(chain.last().map(|e| e.to));
    }
    found
}
