//! Edges that are straight on a flat map of longitude and latitude, as chains of arcs that stay
//! within a tolerance of them.
//!
//! An edge is halved until two places of each part, chosen so that they bound its greatest error,
//! are near enough to where they are on the map: the S2 library's edge tessellator, from its
//! documentation. A longitude may be beyond ±180 degrees, so a line can go around the earth the
//! long way; where it crosses the antimeridian, it is cut in two.

use super::overlay::region_of;
use super::shape::Polygon;
use super::sphere::RADIUS;
use super::sphere::{Point, Vector, angle, cross, dot, plus, times};

/// LIMIT: places of one result.
const PLACES_MAX: usize = 1 << 19;
/// Metres.
pub(super) const TOLERANCE_DEFAULT: f64 = 10.0;
/// Metres.
pub(super) const TOLERANCES: std::ops::RangeInclusive<f64> = 0.1..=10_000.0;
/// Degrees: a longitude that wraps once around.
pub(super) const LONGITUDE_MAX: f64 = 360.0;
/// An edge is halved so often at most.
const HALVINGS_MAX: u32 = 24;
/// Where an edge's error is looked at; where it is greatest, the error there is this share of it.
const LOOK: f64 = 0.312_156_910_822_483_1;
const LOOK_SHARE: f64 = 0.838_299_925_698_885_1;
/// Degrees: how near to the antimeridian a line that is cut there ends.
const ANTIMERIDIAN: f64 = 179.999_999_999_999;

/// How lines become denser.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Densify {
    /// Radians.
    pub(super) tolerance: f64,
    /// Whether an edge goes the short way around, over the antimeridian if need be.
    pub(super) crosses: bool,
}

impl Densify {
    /// `None` for a tolerance out of range.
    pub(super) fn new(metres: f64, crosses: bool) -> Option<Self> {
        let is_there = TOLERANCES.contains(&metres);
        is_there.then_some(Self {
            tolerance: metres / RADIUS,
            crosses,
        })
    }

    /// The places of a line; `None` if they are too many.
    pub(super) fn line(self, line: &[Point]) -> Option<Vec<Point>> {
        let mut places: Vec<Point> = line.first().copied().into_iter().collect();
        for (from, to) in super::sphere::pairs(line) {
            let mut to = to;
            if self.crosses {
                let turn = to.longitude - from.longitude;
                to.longitude -= 360.0 * (turn / 360.0).round();
            }
            self.edge(from, to, HALVINGS_MAX, &mut places)?;
        }
        Some(places)
    }

    fn edge(self, from: Point, to: Point, halvings: u32, places: &mut Vec<Point>) -> Option<()> {
        if places.len() > PLACES_MAX {
            return None;
        }
        if halvings == 0 || self.is_near(from, to) {
            places.push(to);
            return Some(());
        }
        let middle = between(from, to, 0.5);
        self.edge(from, middle, halvings - 1, places)?;
        self.edge(middle, to, halvings - 1, places)
    }

    fn is_near(self, from: Point, to: Point) -> bool {
        let (a, b) = (from.vector(), to.vector());
        // What is longer than a quarter of the way around is halved in any case.
        if dot(a, b) < -1e-14 {
            return false;
        }
        [LOOK, 1.0 - LOOK].iter().all(|share| {
            let on_map = between(from, to, *share).vector();
            angle(on_arc(a, b, *share), on_map) <= LOOK_SHARE * self.tolerance
        })
    }

    /// The rings of a polygon, shells counterclockwise.
    pub(super) fn polygon(self, polygon: &Polygon) -> Option<Vec<Vec<Point>>> {
        let turned = region_of(polygon);
        let rings = polygon.rings.iter().zip(turned).map(|(ring, turned)| {
            let mut ring = ring.clone();
            // The region says which way a ring runs; its own numbers are kept.
            if ring.first().map(|p| p.vector()) != turned.first().copied() {
                ring.pop();
                ring.reverse();
                ring.extend(ring.first().copied());
            }
            self.line(&ring)
        });
        rings.collect()
    }
}

/// The place after a share of the way on the map.
fn between(from: Point, to: Point, share: f64) -> Point {
    let part = |a: f64, b: f64| (1.0 - share) * a + share * b;
    Point {
        longitude: part(from.longitude, to.longitude),
        latitude: part(from.latitude, to.latitude),
    }
}

/// The place after a share of the arc.
fn on_arc(a: Vector, b: Vector, share: f64) -> Vector {
    let whole = angle(a, b);
    if whole == 0.0 {
        return a;
    }
    let part = |share: f64| (share * whole).sin() / whole.sin();
    plus(times(a, part(1.0 - share)), times(b, part(share)))
}

/// Longitudes within ±180 degrees, and a line cut at the antimeridian if it is to be.
pub(super) fn wrapped(line: &[Point], cuts: bool) -> Vec<Vec<Point>> {
    let mut lines: Vec<Vec<Point>> = vec![Vec::new()];
    let mut before: Option<Point> = None;
    for place in line {
        // By way of the vector, as the service does it: the last digits show it.
        let place = Point::of_vector(place.vector());
        if let Some(last) = before.filter(|b| cuts && (b.longitude - place.longitude).abs() > 180.0)
        {
            let edge = ANTIMERIDIAN.copysign(last.longitude);
            if let Some(line) = lines.last_mut() {
                line.push(on_meridian(last, place, edge));
            }
            lines.push(vec![on_meridian(last, place, -edge)]);
        }
        if let Some(line) = lines.last_mut() {
            line.push(place);
        }
        before = Some(place);
    }
    lines
}

fn on_meridian(a: Point, b: Point, longitude: f64) -> Point {
    let (sin, cos) = longitude.to_radians().sin_cos();
    let place = cross(cross(a.vector(), b.vector()), [-sin, cos, 0.0]);
    let toward = dot(place, [cos, sin, 0.0]);
    let place = if toward < 0.0 {
        times(place, -1.0)
    } else {
        place
    };
    Point {
        longitude,
        latitude: Point::of_vector(place).latitude,
    }
}
