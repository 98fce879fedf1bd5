//! Buffers: all places within a distance of points, lines or polygons.
//!
//! The way around a shape at that distance is made of arcs about its corners and of lines beside
//! its edges, as chords so long that the error stays within the tolerance: steps, order and first
//! place are those of the S2 library's buffer operation, from its documentation. At a corner that
//! turns inwards the way goes through the corner itself, so that what it leaves out is surrounded
//! once less (Chen and McMains, "Polygon offsetting by computing winding numbers", 2005). The
//! buffer is what the way surrounds at least once.
//!
//! How often it surrounds the [`VIEWS`] follows from the triangles that a line from the shape to the
//! way sweeps over. A buffer of more than half of the sphere has no polygon and gives `None`.

use std::f64::consts::{FRAC_PI_2, PI};

use super::super::args::Guard;
use super::arrange::{ARCS_MAX, arranged};
use super::overlay::{Region, bounding, ringed};
use super::sides::{VIEWS, around_views, borders};
use super::sphere::{RADIUS, Vector, angle, cross, dot, minus, normal, plus, times, unit};

/// Tolerance over radius: less is refused, as in the service.
const FRACTION_MIN: f64 = 1e-6;
/// From a half on circles are triangles.
const FRACTION_MAX: f64 = 0.75;
/// What computing places on the way adds to the error, in radians.
const PLACE_ERROR: f64 = 1e-14;
/// What keeps a step from leaving a tiny one at the end.
const STEP_MORE: f64 = 1e-15;

/// How far, and in what steps; angles in radians.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Reach {
    radius: f64,
    /// Around a corner.
    corner: f64,
    /// Around a point.
    circle: f64,
    /// Beside an edge; none beyond a quarter of the way around.
    edge: Option<f64>,
}

impl Reach {
    /// `None` unless radius and tolerance (in metres) are positive, the tolerance is no less than
    /// [`FRACTION_MIN`] of the radius, and the radius is less than half of the way around.
    pub(super) fn new(radius: f64, tolerance: f64) -> Option<Self> {
        if !(radius > 0.0 && radius.is_finite() && tolerance > 0.0) {
            return None;
        }
        let fraction = (tolerance / radius).min(FRACTION_MAX);
        if fraction < FRACTION_MIN {
            return None;
        }
        let radius = radius / RADIUS;
        let error = (fraction * radius).max(4.0 * f64::EPSILON);
        let most = error + PLACE_ERROR;
        if radius <= most || radius + most >= PI {
            return None;
        }
        let corner = longest_step(radius, error);
        let circle = 2.0 * PI / (2.0 * PI / corner).ceil() + STEP_MORE;
        let beside = FRAC_PI_2 - radius;
        Some(Self {
            radius,
            corner,
            circle,
            edge: (beside > most).then(|| longest_step(beside, error)),
        })
    }
}

/// The longest chord of a circle that is nowhere nearer to its centre than the error allows.
fn longest_step(radius: f64, error: f64) -> f64 {
    let least = radius - error;
    let most = 2.0 * PI / 3.0 + STEP_MORE;
    if radius < FRAC_PI_2 {
        most.min(2.0 * (least.tan() / radius.tan()).acos())
    } else if least > FRAC_PI_2 {
        most.min(2.0 * (radius.tan() / least.tan()).acos())
    } else {
        most
    }
}

/// The place at an angle from another, in a direction at right angles to it.
fn toward(from: Vector, direction: Vector, by: f64) -> Vector {
    let place = plus(times(from, by.cos()), times(direction, by.sin()));
    unit(place).unwrap_or(from)
}

/// A direction at right angles to a place: the one where the service begins its circles.
fn beside(place: Vector) -> Option<Vector> {
    let [x, y, z] = place.map(f64::abs);
    // The axis before the longest gets a one.
    let other = if x > y && x > z {
        [0.012, 0.0053, 1.0]
    } else if y > z && y >= x {
        [1.0, 0.0053, 0.00457]
    } else {
        [0.012, 1.0, 0.00457]
    };
    unit(cross(place, other))
}

/// The way around, and how often it surrounds the views.
struct Way {
    reach: Reach,
    path: Vec<Vector>,
    /// The line that sweeps: from the shape to the way, and where it began.
    shape: Option<Vector>,
    shape_start: Option<Vector>,
    at_views: [i64; 3],
    ways: Region,
    places: usize,
}

impl Way {
    fn new(reach: Reach) -> Self {
        Self {
            reach,
            path: Vec::new(),
            shape: None,
            shape_start: None,
            at_views: [0; 3],
            ways: Vec::new(),
            places: 0,
        }
    }

    /// Counts the views in a triangle that was swept over.
    fn sweep(&mut self, a: Vector, b: Vector, c: Vector) {
        let turn = dot(cross(a, b), c);
        if turn == 0.0 {
            return;
        }
        let sign = if turn > 0.0 { 1.0 } else { -1.0 };
        for (count, view) in self.at_views.iter_mut().zip(VIEWS) {
            let within = [(a, b), (b, c), (c, a)]
                .iter()
                .all(|(p, q)| sign * dot(cross(*p, *q), view) > 0.0);
            if within {
                *count += if turn > 0.0 { 1 } else { -1 };
            }
        }
    }

    fn shape_at(&mut self, place: Vector) {
        match (self.shape, self.path.last().copied()) {
            (Some(from), Some(end)) => self.sweep(from, end, place),
            _ => self.shape_start = Some(place),
        }
        self.shape = Some(place);
    }

    fn add(&mut self, place: Vector) {
        if let (Some(shape), Some(end)) = (self.shape, self.path.last().copied()) {
            self.sweep(shape, end, place);
        }
        self.path.push(place);
    }

    /// Ends one way around.
    fn close(&mut self) {
        let ends = (self.path.first().copied(), self.path.last().copied());
        if let (Some(shape), Some(start), (Some(first), Some(last))) =
            (self.shape, self.shape_start, ends)
        {
            self.sweep(shape, last, start);
            self.sweep(start, last, first);
        }
        self.places += self.path.len();
        self.ways.push(std::mem::take(&mut self.path));
        self.shape = None;
        self.shape_start = None;
    }

    /// LIMIT: a way that is longer is not followed to its end.
    fn is_full(&self) -> bool {
        self.places + self.path.len() > ARCS_MAX
    }

    fn out(&self, from: Vector, direction: Vector) -> Vector {
        toward(from, direction, self.reach.radius)
    }

    fn point(&mut self, point: Vector) -> Option<()> {
        self.shape_at(point);
        let mut start = beside(point)?;
        let mut turned = 0.0;
        for _ in 0..4 {
            let side = unit(cross(point, start))?;
            while turned < FRAC_PI_2 && !self.is_full() {
                let direction = toward(start, side, turned);
                self.add(self.out(point, direction));
                turned += self.reach.circle;
            }
            turned -= FRAC_PI_2;
            start = side;
        }
        self.close();
        Some(())
    }

    /// The way about a corner from one direction to another, without its end.
    fn corner(&mut self, corner: Vector, start: Vector, end: Vector) -> Option<()> {
        let side = unit(cross(corner, start))?;
        let span = angle(start, end);
        let mut turned = 0.0;
        loop {
            let direction = toward(start, side, turned);
            self.add(self.out(corner, direction));
            turned += self.reach.corner;
            if turned >= span || self.is_full() {
                return Some(());
            }
        }
    }

    /// The way beside an edge without its end.
    fn edge(&mut self, a: Vector, b: Vector) -> Option<()> {
        let axis = normal(b, a)?;
        match self.reach.edge {
            // Edges are no part of a way that far out; it has to go by on their side all the same.
            None => self.add(axis),
            Some(step) => {
                let side = unit(cross(a, axis))?;
                let span = angle(a, b);
                let mut gone = 0.0;
                loop {
                    let place = toward(a, side, gone);
                    self.add(self.out(place, axis));
                    gone += step;
                    if gone >= span || self.is_full() {
                        break;
                    }
                }
            }
        }
        self.shape_at(b);
        Some(())
    }

    fn edge_and_corner(&mut self, a: Vector, b: Vector, c: Vector) -> Option<()> {
        self.edge(a, b)?;
        let (before, after) = (normal(b, a)?, normal(c, b)?);
        // Back on the same arc is a turn to the left.
        if dot(minus(c, a), normal(a, b)?) >= 0.0 {
            self.corner(b, before, after)?;
            if self.reach.edge.is_none() {
                self.add(self.out(b, after));
            }
        } else {
            if self.reach.edge.is_some() {
                self.add(self.out(b, before));
            }
            self.add(b);
        }
        Some(())
    }

    fn ring(&mut self, ring: &[Vector]) -> Option<()> {
        let count = ring.len();
        let at = |i: usize| ring.get(i % count).copied();
        self.shape_at(at(0)?);
        for i in 0..count {
            self.edge_and_corner(at(i)?, at(i + 1)?, at(i + 2)?)?;
        }
        self.close();
        Some(())
    }

    fn line(&mut self, line: &[Vector]) -> Option<()> {
        let count = line.len();
        let at = |i: usize| line.get(i).copied();
        let (first, second) = (at(0)?, at(1)?);
        let (before, last) = (at(count.checked_sub(2)?)?, at(count - 1)?);
        self.shape_at(first);
        let axis = normal(second, first)?;
        self.corner(first, times(axis, -1.0), axis)?;
        for i in 0..count - 2 {
            self.edge_and_corner(at(i)?, at(i + 1)?, at(i + 2)?)?;
        }
        self.edge(before, last)?;
        let axis = normal(last, before)?;
        self.corner(last, axis, times(axis, -1.0))?;
        for i in (0..count - 2).rev() {
            self.edge_and_corner(at(i + 2)?, at(i + 1)?, at(i)?)?;
        }
        self.edge(second, first)?;
        self.close();
        Some(())
    }

    /// What the ways surround, given how often the shape itself has the views.
    fn region(self, shape: [i64; 3], guard: &Guard) -> Option<Region> {
        if self.is_full() {
            return None;
        }
        let arcs: Vec<(Vector, Vector)> = self
            .ways
            .iter()
            .flat_map(|way| {
                let next = way.iter().skip(1).chain(way.first());
                way.iter().copied().zip(next.copied())
            })
            .collect();
        let arrangement = arranged(&arcs, &|_, _| true, guard)?;
        let mut at_views = [[0, 0]; 3];
        for ((slot, swept), own) in at_views.iter_mut().zip(self.at_views).zip(shape) {
            *slot = [swept + own, 0];
        }
        let borders = borders(&arrangement, &|_| Some(0), at_views, guard)?;
        let edges = bounding(&arrangement, &borders, &|[count, _]| count > 0);
        let region = ringed(&arrangement.places, edges)?;
        (!region.is_empty()).then_some(region)
    }
}

/// The buffer of a point.
pub(super) fn of_point(point: Vector, reach: Reach, guard: &Guard) -> Option<Region> {
    let mut way = Way::new(reach);
    way.point(point)?;
    way.region([0; 3], guard)
}

/// The buffer of lines, with round ends.
pub(super) fn of_lines(lines: &[Vec<Vector>], reach: Reach, guard: &Guard) -> Option<Region> {
    let mut way = Way::new(reach);
    for line in lines {
        if guard.is_cancelled() {
            return None;
        }
        way.line(line)?;
    }
    way.region([0; 3], guard)
}

/// The buffer of a region.
pub(super) fn of_region(region: &Region, reach: Reach, guard: &Guard) -> Option<Region> {
    let mut way = Way::new(reach);
    for ring in region {
        if guard.is_cancelled() {
            return None;
        }
        way.ring(ring)?;
    }
    way.region(around_views(region)?, guard)
}
