//! The S2 cells of one level that have a part of a shape, or of what is near it.
//!
//! Cells are cut in four from the faces of the cube down; each keeps the arcs that are near enough,
//! and is given up when it has none and is not inside of the shape. All distances are along the
//! sphere; what only touches counts.

use super::super::args::Guard;
use super::arrange::{ARCS_MAX, ARCS_PER_LOOK};
use super::s2::{Cell, LEVEL_MAX};
use super::sides::Inside;
use super::sphere::{Vector, angle, cross, dot, minus, normal, plus, times, unit};

/// LIMIT: cells of one shape, as in the service.
const CELLS_MAX: usize = 65_536;
/// Radians: what is as near touches.
const TOUCH: f64 = 1e-15;

/// One arc of the shape.
#[derive(Clone, Copy)]
struct Arc {
    from: Vector,
    to: Vector,
    normal: Option<Vector>,
}

impl Arc {
    fn new(from: Vector, to: Vector) -> Self {
        let normal = normal(from, to);
        Self { from, to, normal }
    }

    /// Radians from a place to the nearest of the arc.
    fn distance(&self, place: Vector) -> f64 {
        if let Some(normal) = self.normal
            && dot(cross(self.from, place), normal) > 0.0
            && dot(cross(place, self.to), normal) > 0.0
        {
            return dot(minus(place, self.from), normal).abs().min(1.0).asin();
        }
        angle(self.from, place).min(angle(self.to, place))
    }

    fn crosses(&self, other: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (self.normal, other.normal) else {
            return false;
        };
        let (c, d) = (
            dot(minus(other.from, self.from), ours),
            dot(minus(other.to, self.from), ours),
        );
        let (a, b) = (
            dot(minus(self.from, other.from), theirs),
            dot(minus(self.to, other.from), theirs),
        );
        if c * d > 0.0 || a * b > 0.0 {
            return false;
        }
        // Of the two places where both planes meet, the one on both arcs.
        let Some(place) = unit(cross(ours, theirs)) else {
            return false;
        };
        let near = plus(plus(self.from, self.to), plus(other.from, other.to));
        let place = if dot(place, near) < 0.0 {
            times(place, -1.0)
        } else {
            place
        };
        self.distance(place) <= TOUCH * 8.0 && other.distance(place) <= TOUCH * 8.0
    }
}

/// The cells, by number; `None` if they are too many. `inside` says what is in the shape's inner, if
/// it has some; `radius` is in radians.
pub(super) fn cover(
    arcs: &[(Vector, Vector)],
    inside: Option<&Inside>,
    level: i64,
    radius: f64,
    guard: &Guard,
) -> Option<Vec<String>> {
    if !(0..=LEVEL_MAX).contains(&level) || arcs.len() > ARCS_MAX {
        return None;
    }
    let arcs: Vec<Arc> = arcs.iter().map(|(a, b)| Arc::new(*a, *b)).collect();
    let all: Vec<usize> = (0..arcs.len()).collect();
    let mut open: Vec<(Cell, Vec<usize>)> = Vec::new();
    for face in Cell::faces() {
        open.extend(kept(face, &all, &arcs, inside, radius));
    }
    for _ in 0..level {
        let mut next = Vec::new();
        for (at, (cell, near)) in open.iter().enumerate() {
            if (at % ARCS_PER_LOOK == 0 || near.len() > ARCS_PER_LOOK) && guard.is_cancelled() {
                return None;
            }
            for child in cell.children() {
                if near.is_empty() {
                    next.push((child, Vec::new()));
                } else {
                    next.extend(kept(child, near, &arcs, inside, radius));
                }
            }
            if next.len() > CELLS_MAX {
                return None;
            }
        }
        open = next;
    }
    open.sort_by_key(|(cell, _)| cell.id());
    Some(open.into_iter().map(|(cell, _)| cell.name()).collect())
}

/// The cell with the arcs that are near it, if it has a part of the shape.
fn kept(
    cell: Cell,
    near: &[usize],
    arcs: &[Arc],
    inside: Option<&Inside>,
    radius: f64,
) -> Option<(Cell, Vec<usize>)> {
    let corners = cell.corners();
    let [a, b, c, d] = corners;
    let sides = [(a, b), (b, c), (c, d), (d, a)].map(|(p, q)| Arc::new(p, q));
    let middle = cell.middle();
    let reach = corners
        .iter()
        .map(|p| angle(middle, *p))
        .fold(0.0, f64::max);
    let is_near = |at: &&usize| {
        let Some(arc) = arcs.get(**at) else {
            return false;
        };
        if arc.distance(middle) > reach + radius + TOUCH {
            return false;
        }
        if cell.has(arc.from) || cell.has(arc.to) {
            return true;
        }
        let far = |side: &Arc| {
            let ends = side.distance(arc.from).min(side.distance(arc.to));
            ends.min(arc.distance(side.from))
        };
        sides
            .iter()
            .any(|side| arc.crosses(side) || far(side) <= radius + TOUCH)
    };
    let near: Vec<usize> = near.iter().filter(is_near).copied().collect();
    let has = !near.is_empty() || inside.is_some_and(|i| i.has(middle));
    has.then_some((cell, near))
}
