//! Arcs of great circles. Formulas are those of spherical trigonometry and, where named, of the S2
//! geometry library's documentation; the spheroid is WGS 84 by Vincenty's inverse formula (1975).

use std::f64::consts::PI;

/// Metres: the sphere of the S2 library, which the language documents.
pub(super) const RADIUS: f64 = 6_371_010.0;

/// A vector of three coordinates.
pub(super) type Vector = [f64; 3];

/// A place on the sphere.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Point {
    /// Degrees.
    pub(super) longitude: f64,
    /// Degrees.
    pub(super) latitude: f64,
}

impl Point {
    /// `None` outside of ±180 and ±90 degrees.
    pub(super) fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let is_there = longitude.abs() <= 180.0 && latitude.abs() <= 90.0;
        is_there.then_some(Self {
            longitude,
            latitude,
        })
    }

    pub(super) fn vector(self) -> Vector {
        let (longitude, latitude) = (self.longitude.to_radians(), self.latitude.to_radians());
        [
            latitude.cos() * longitude.cos(),
            latitude.cos() * longitude.sin(),
            latitude.sin(),
        ]
    }

    pub(super) fn of_vector(v: Vector) -> Self {
        let [x, y, z] = v;
        Self {
            longitude: y.atan2(x).to_degrees(),
            latitude: z.atan2((x * x + y * y).sqrt()).to_degrees(),
        }
    }
}

pub(super) fn dot(a: Vector, b: Vector) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

pub(super) fn cross(a: Vector, b: Vector) -> Vector {
    let ([a0, a1, a2], [b0, b1, b2]) = (a, b);
    [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
}

pub(super) fn plus(a: Vector, b: Vector) -> Vector {
    let ([a0, a1, a2], [b0, b1, b2]) = (a, b);
    [a0 + b0, a1 + b1, a2 + b2]
}

pub(super) fn times(a: Vector, k: f64) -> Vector {
    a.map(|x| x * k)
}

pub(super) fn minus(a: Vector, b: Vector) -> Vector {
    plus(a, times(b, -1.0))
}

/// The same direction with length 1; `None` of what has none.
pub(super) fn unit(a: Vector) -> Option<Vector> {
    let length = dot(a, a).sqrt();
    (length > 0.0 && length.is_finite()).then(|| times(a, 1.0 / length))
}

/// Perpendicular to the arc from `a` to `b`, towards its left, with length 1. `None` if both are
/// one place or opposite ones: then no arc is the shortest.
pub(super) fn normal(a: Vector, b: Vector) -> Option<Vector> {
    // The product of difference and sum is twice that of both, and exact for near places.
    let n = cross(minus(a, b), plus(a, b));
    let length = dot(n, n).sqrt();
    (length > 1e-15).then(|| times(n, 1.0 / length))
}

/// The angle between two vectors of length 1.
pub(super) fn angle(a: Vector, b: Vector) -> f64 {
    let n = cross(a, b);
    dot(n, n).sqrt().atan2(dot(a, b))
}

/// Metres between two points, by the haversine.
pub(super) fn distance(a: Point, b: Point) -> f64 {
    let (from, to) = (a.latitude.to_radians(), b.latitude.to_radians());
    let half = |x: f64| (x / 2.0).sin().powi(2);
    let turn = (b.longitude - a.longitude).to_radians();
    let h = half(to - from) + from.cos() * to.cos() * half(turn);
    2.0 * RADIUS * h.sqrt().min(1.0).asin()
}

/// Metres on the spheroid; on the sphere where the formula does not end (antipodes).
#[expect(clippy::many_single_char_names, reason = "the letters of the formulas")]
pub(super) fn spheroid_distance(a: Point, b: Point) -> f64 {
    const MAJOR: f64 = 6_378_137.0;
    const FLATTENING: f64 = 1.0 / 298.257_223_563;
    let minor = MAJOR * (1.0 - FLATTENING);
    let reduced = |p: Point| ((1.0 - FLATTENING) * p.latitude.to_radians().tan()).atan();
    let (u1, u2) = (reduced(a), reduced(b));
    let turn = (b.longitude - a.longitude).to_radians();
    let mut lambda = turn;
    for _ in 0..200 {
        let (sin_l, cos_l) = lambda.sin_cos();
        let sin_s = (u2.cos() * sin_l).hypot(u1.cos() * u2.sin() - u1.sin() * u2.cos() * cos_l);
        if sin_s == 0.0 {
            return 0.0;
        }
        let cos_s = u1.sin() * u2.sin() + u1.cos() * u2.cos() * cos_l;
        let sigma = sin_s.atan2(cos_s);
        let sin_a = u1.cos() * u2.cos() * sin_l / sin_s;
        let cos2_a = 1.0 - sin_a * sin_a;
        let cos_m = if cos2_a == 0.0 {
            0.0
        } else {
            cos_s - 2.0 * u1.sin() * u2.sin() / cos2_a
        };
        let c = FLATTENING / 16.0 * cos2_a * (4.0 + FLATTENING * (4.0 - 3.0 * cos2_a));
        let before = lambda;
        let inner = cos_m + c * cos_s * (2.0 * cos_m * cos_m - 1.0);
        lambda = turn + (1.0 - c) * FLATTENING * sin_a * (sigma + c * sin_s * inner);
        if (lambda - before).abs() < 1e-14 {
            let u = cos2_a * (MAJOR * MAJOR - minor * minor) / (minor * minor);
            let big_a = 1.0 + u / 16_384.0 * (4_096.0 + u * (u * (320.0 - 175.0 * u) - 768.0));
            let big_b = u / 1_024.0 * (256.0 + u * (u * (74.0 - 47.0 * u) - 128.0));
            let m = cos_m;
            let first = cos_s * (2.0 * m * m - 1.0);
            let second = big_b / 6.0 * m * (4.0 * sin_s * sin_s - 3.0) * (4.0 * m * m - 3.0);
            let delta = big_b * sin_s * (m + big_b / 4.0 * (first - second));
            return minor * big_a * (sigma - delta);
        }
    }
    distance(a, b)
}

/// The direction from one point to another, in radians clockwise from north; `None` for the same.
pub(super) fn azimuth(a: Point, b: Point) -> Option<f64> {
    if a == b {
        return None;
    }
    let (from, to) = (a.latitude.to_radians(), b.latitude.to_radians());
    let turn = (b.longitude - a.longitude).to_radians();
    let east = turn.sin() * to.cos();
    let north = from.cos() * to.sin() - from.sin() * to.cos() * turn.cos();
    Some(east.atan2(north))
}

/// Metres along a line.
pub(super) fn length(line: &[Point]) -> f64 {
    pairs(line).map(|(a, b)| distance(a, b)).sum()
}

pub(super) fn pairs(line: &[Point]) -> impl Iterator<Item = (Point, Point)> + '_ {
    line.iter().copied().zip(line.iter().copied().skip(1))
}

/// The nearest place of a line to a point, and how far it is.
pub(super) fn closest(line: &[Point], to: Point) -> Option<(Point, f64)> {
    let all = pairs(line).map(|(a, b)| {
        let place = on_arc(a, b, to);
        (place, distance(place, to))
    });
    all.reduce(|a, b| if b.1 < a.1 { b } else { a })
}

/// The place of the arc from `a` to `b` that is nearest to `to`.
fn on_arc(a: Point, b: Point, to: Point) -> Point {
    let (from, end, p) = (a.vector(), b.vector(), to.vector());
    if let Some(normal) = unit(cross(from, end))
        && let Some(foot) = unit(plus(p, times(normal, -dot(p, normal))))
        && dot(cross(from, foot), normal) >= 0.0
        && dot(cross(foot, end), normal) >= 0.0
    {
        return Point::of_vector(foot);
    }
    if distance(a, to) <= distance(b, to) {
        a
    } else {
        b
    }
}

/// The place after a share of a line's length.
pub(super) fn interpolated(line: &[Point], share: f64) -> Option<Point> {
    let wanted = share * length(line);
    let mut before = 0.0;
    for (a, b) in pairs(line) {
        let here = distance(a, b);
        if before + here >= wanted && here > 0.0 {
            let (from, to) = (a.vector(), b.vector());
            let whole = angle(from, to);
            let t = (wanted - before) / here;
            let left = ((1.0 - t) * whole).sin() / whole.sin();
            let right = (t * whole).sin() / whole.sin();
            return Some(Point::of_vector(plus(times(from, left), times(to, right))));
        }
        before += here;
    }
    line.last().copied()
}

/// The share of a line's length at which it is nearest to a point.
pub(super) fn located(line: &[Point], to: Point) -> Option<f64> {
    let mut before = 0.0;
    let mut best: Option<(f64, f64)> = None;
    for (a, b) in pairs(line) {
        let place = on_arc(a, b, to);
        let far = distance(place, to);
        if best.is_none_or(|(least, _)| far < least) {
            best = Some((far, before + distance(a, place)));
        }
        before += distance(a, b);
    }
    best.map(|(_, at)| at / before)
}

/// The mean place of lines, each weighted by its length.
pub(super) fn line_centroid(lines: &[Vec<Point>]) -> Option<Point> {
    let mut sum = [0.0; 3];
    for (a, b) in lines.iter().flat_map(|line| pairs(line)) {
        // The sum of both ends has the length 2 cos(d/2) and the arc's own centroid 2 sin(d/2):
        // S2's "true centroid" of an edge.
        let (a, b) = (a.vector(), b.vector());
        let (difference, both) = (plus(a, times(b, -1.0)), plus(a, b));
        let cos2 = dot(both, both);
        if cos2 > 0.0 {
            sum = plus(
                sum,
                times(both, (dot(difference, difference) / cos2).sqrt()),
            );
        }
    }
    unit(sum).map(Point::of_vector)
}

/// The signed area of a triangle on the unit sphere: positive if it runs counterclockwise.
pub(super) fn triangle_area(a: Vector, b: Vector, c: Vector) -> f64 {
    // The product of differences is that of the vectors, and has its sign for tiny triangles too.
    let product = dot(a, cross(minus(b, a), minus(c, a)));
    2.0 * product.atan2(1.0 + dot(a, b) + dot(b, c) + dot(c, a))
}

/// The centroid of a triangle times its signed area, as S2 does it.
#[expect(clippy::many_single_char_names, reason = "the letters of the formulas")]
pub(super) fn triangle_centroid(a: Vector, b: Vector, c: Vector) -> Vector {
    let ratio = |angle: f64| {
        if angle == 0.0 {
            1.0
        } else {
            angle / angle.sin()
        }
    };
    let (ra, rb, rc) = (ratio(angle(b, c)), ratio(angle(c, a)), ratio(angle(a, b)));
    let ([a0, a1, a2], [b0, b1, b2], [c0, c1, c2]) = (a, b, c);
    let x = [a0, b0 - a0, c0 - a0];
    let y = [a1, b1 - a1, c1 - a1];
    let z = [a2, b2 - a2, c2 - a2];
    let r = [ra, rb - ra, rc - ra];
    let part = |p: Vector, q: Vector| 0.5 * dot(cross(p, q), r);
    [part(y, z), part(z, x), part(x, y)]
}

/// Whether the arcs from `a` to `b` and from `c` to `d` meet.
pub(super) fn arcs_meet(a: Point, b: Point, c: Point, d: Point) -> bool {
    if a == c || a == d || b == c || b == d {
        return true;
    }
    let (va, vb, vc, vd) = (a.vector(), b.vector(), c.vector(), d.vector());
    let side = |p: Vector, q: Vector, r: Vector| dot(cross(p, q), r);
    let (acb, bda) = (-side(va, vb, vc), side(va, vb, vd));
    let (cbd, dac) = (-side(vc, vd, vb), side(vc, vd, va));
    let crosses = (acb > 0.0) == (bda > 0.0)
        && (cbd > 0.0) == (dac > 0.0)
        && (acb > 0.0) == (cbd > 0.0)
        && acb != 0.0
        && cbd != 0.0;
    // An end that lies on the other arc.
    let touches = |p: Point, q: Point, r: Point| distance(on_arc(p, q, r), r) < 1e-6;
    crosses || touches(a, b, c) || touches(a, b, d) || touches(c, d, a) || touches(c, d, b)
}

/// Whether a ring goes around a point: the turns of the directions to its corners add up to a full
/// one. For rings smaller than a hemisphere.
pub(super) fn goes_around(ring: &[Point], point: Point) -> bool {
    if ring.contains(&point) {
        return true;
    }
    let mut turn = 0.0;
    let mut center = [0.0; 3];
    for (a, b) in pairs(ring) {
        center = plus(center, a.vector());
        let (Some(from), Some(to)) = (azimuth(point, a), azimuth(point, b)) else {
            return true;
        };
        let mut step = to - from;
        if step > PI {
            step -= 2.0 * PI;
        } else if step < -PI {
            step += 2.0 * PI;
        }
        turn += step;
    }
    // Around the opposite point the turns add up too.
    turn.abs() > PI && dot(center, point.vector()) > 0.0
}
