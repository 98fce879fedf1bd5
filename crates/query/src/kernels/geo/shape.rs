//! GeoJSON (RFC 7946) in and out, and what polygons are asked.

use super::sphere::{self, Point, Vector, arcs_meet, pairs};
use crate::json::Json;

/// A geometry, checked.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Shape {
    Lines(Vec<Vec<Point>>),
    Polygons(Vec<Polygon>),
}

/// An outer ring and its holes, each closed.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Polygon {
    pub(super) rings: Vec<Vec<Point>>,
}

/// A point as GeoJSON.
pub(super) fn point(p: Point) -> Json {
    geometry("Point", position(p))
}

/// A polygon of one ring, which is closed here.
pub(super) fn ring(corners: &[Point]) -> Json {
    let closed = corners.iter().chain(corners.first()).map(|p| position(*p));
    geometry("Polygon", Json::Array(vec![Json::Array(closed.collect())]))
}

pub(super) fn geometry(kind: &str, coordinates: Json) -> Json {
    Json::Bag(vec![
        ("type".to_owned(), Json::Text(kind.to_owned())),
        ("coordinates".to_owned(), coordinates),
    ])
}

/// Lines as GeoJSON: one, several, or none.
pub(super) fn lines(lines: &[Vec<Point>]) -> Option<Json> {
    match lines {
        [] => None,
        [only] => Some(geometry("LineString", positions(only))),
        many => {
            let all = many.iter().map(|l| positions(l)).collect();
            Some(geometry("MultiLineString", Json::Array(all)))
        }
    }
}

/// Polygons as GeoJSON, each with its closed rings: one, several, or none.
pub(super) fn polygons(polygons: &[Vec<Vec<Point>>]) -> Option<Json> {
    let one = |rings: &Vec<Vec<Point>>| Json::Array(rings.iter().map(|r| positions(r)).collect());
    match polygons {
        [] => None,
        [only] => Some(geometry("Polygon", one(only))),
        many => {
            let all = many.iter().map(one).collect();
            Some(geometry("MultiPolygon", Json::Array(all)))
        }
    }
}

/// Points as GeoJSON: one, several, or none.
pub(super) fn points(points: &[Point]) -> Option<Json> {
    match points {
        [] => None,
        [only] => Some(point(*only)),
        many => Some(geometry("MultiPoint", positions(many))),
    }
}

/// Several geometries as one: the only one, or a collection.
pub(super) fn together(mut geometries: Vec<Json>) -> Json {
    if geometries.len() == 1
        && let Some(only) = geometries.pop()
    {
        return only;
    }
    Json::Bag(vec![
        (
            "type".to_owned(),
            Json::Text("GeometryCollection".to_owned()),
        ),
        ("geometries".to_owned(), Json::Array(geometries)),
    ])
}

fn positions(line: &[Point]) -> Json {
    Json::Array(line.iter().map(|p| position(*p)).collect())
}

fn position(p: Point) -> Json {
    Json::Array(vec![Json::Real(p.longitude), Json::Real(p.latitude)])
}

fn read_point(value: &Json, longitude_max: f64) -> Option<Point> {
    let [longitude, latitude, ..] = value.as_array()? else {
        return None;
    };
    let number = |v: &Json| match v {
        Json::Long(_) | Json::Real(_) => crate::kernels::convert::json_to_real(v),
        _ => None,
    };
    let (longitude, latitude) = (number(longitude)?, number(latitude)?);
    let is_there = longitude.abs() <= longitude_max && latitude.abs() <= 90.0;
    is_there.then_some(Point {
        longitude,
        latitude,
    })
}

fn read_line(value: &Json, longitude_max: f64) -> Option<Vec<Point>> {
    let mut line: Vec<Point> = Vec::new();
    for position in value.as_array()? {
        let point = read_point(position, longitude_max)?;
        if line.last() != Some(&point) {
            line.push(point);
        }
    }
    (line.len() >= 2).then_some(line)
}

fn read_polygon(value: &Json, longitude_max: f64) -> Option<Polygon> {
    let rings: Option<Vec<Vec<Point>>> = value
        .as_array()?
        .iter()
        .map(|ring| {
            let mut line = read_line(ring, longitude_max)?;
            if line.first() != line.last() {
                line.push(*line.first()?);
            }
            (line.len() >= 4).then_some(line)
        })
        .collect();
    let rings = rings.filter(|r| !r.is_empty())?;
    Some(Polygon { rings })
}

impl Shape {
    /// Reads a line or a polygon, or several; `None` if it is invalid or something else.
    pub(super) fn read(value: &Json) -> Option<Self> {
        Self::read_wide(value, 180.0)
    }

    /// The same with longitudes up to a number of degrees.
    pub(super) fn read_wide(value: &Json, longitude_max: f64) -> Option<Self> {
        let read_line = |value: &Json| read_line(value, longitude_max);
        let read_polygon = |value: &Json| read_polygon(value, longitude_max);
        let entries = value.as_bag()?;
        let of = |name: &str| entries.iter().find(|(key, _)| key == name).map(|(_, v)| v);
        let Some(Json::Text(kind)) = of("type") else {
            return None;
        };
        let coordinates = of("coordinates")?;
        match kind.as_str() {
            "LineString" => Some(Self::Lines(vec![read_line(coordinates)?])),
            "MultiLineString" => {
                let lines = coordinates.as_array()?.iter().map(read_line);
                lines.collect::<Option<_>>().map(Self::Lines)
            }
            "Polygon" => Some(Self::Polygons(vec![read_polygon(coordinates)?])),
            "MultiPolygon" => {
                let polygons = coordinates.as_array()?.iter().map(read_polygon);
                polygons.collect::<Option<_>>().map(Self::Polygons)
            }
            _ => None,
        }
    }

    /// The lines, if it is some.
    pub(super) fn lines(&self) -> Option<Vec<Vec<Point>>> {
        match self {
            Self::Lines(lines) if !lines.is_empty() => Some(lines.clone()),
            _ => None,
        }
    }

    /// The polygons, if it is some.
    pub(super) fn polygons(&self) -> Option<&[Polygon]> {
        match self {
            Self::Polygons(polygons) if !polygons.is_empty() => Some(polygons),
            _ => None,
        }
    }

    /// The rings of all polygons.
    pub(super) fn rings(&self) -> Option<Vec<Vec<Point>>> {
        let polygons = self.polygons()?.iter();
        Some(polygons.flat_map(|p| p.rings.iter().cloned()).collect())
    }
}

impl Polygon {
    /// Whether a point is inside of the outer ring and of no hole.
    pub(super) fn has(&self, point: Point) -> bool {
        let mut rings = self.rings.iter();
        let inside = rings.next().is_some_and(|r| sphere::goes_around(r, point));
        inside && !rings.any(|hole| sphere::goes_around(hole, point))
    }

    /// Square metres.
    pub(super) fn area(&self) -> f64 {
        let mut areas = self.rings.iter().map(|ring| ring_area(ring).abs());
        let outer = areas.next().unwrap_or(0.0);
        (outer - areas.sum::<f64>()) * sphere::RADIUS * sphere::RADIUS
    }

    /// The mean place of polygons that share nothing.
    pub(super) fn centroid_of(polygons: &[Self]) -> Option<Point> {
        let mut sums = polygons.iter().map(Self::centroid_sum);
        let sum = sums.try_fold([0.0; 3], |sum, part| Some(sphere::plus(sum, part?)))?;
        let length = sphere::dot(sum, sum).sqrt();
        (length > 0.0).then(|| Point::of_vector(sum))
    }

    /// The mean place times the area.
    fn centroid_sum(&self) -> Option<Vector> {
        let mut sum = [0.0; 3];
        for (at, ring) in self.rings.iter().enumerate() {
            let sign = ring_area(ring).signum();
            let hole = if at == 0 { sign } else { -sign };
            let [first, rest @ ..] = ring.as_slice() else {
                return None;
            };
            for (a, b) in pairs(rest) {
                let part = sphere::triangle_centroid(first.vector(), a.vector(), b.vector());
                sum = sphere::plus(sum, sphere::times(part, hole));
            }
        }
        Some(sum)
    }

    /// Whether two polygons share a place.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let first = |p: &Self| p.rings.first().and_then(|r| r.first()).copied();
        lines_meet(&self.rings, &other.rings)
            || first(self).is_some_and(|p| other.has(p))
            || first(other).is_some_and(|p| self.has(p))
    }

    /// Whether it shares a place with one of the lines.
    pub(super) fn meets_lines(&self, lines: &[Vec<Point>]) -> bool {
        lines_meet(&self.rings, lines)
            || lines
                .iter()
                .any(|line| line.first().is_some_and(|p| self.has(*p)))
    }
}

/// The signed area of a ring on the unit sphere.
fn ring_area(ring: &[Point]) -> f64 {
    let [first, rest @ ..] = ring else {
        return 0.0;
    };
    pairs(rest)
        .map(|(a, b)| sphere::triangle_area(first.vector(), a.vector(), b.vector()))
        .sum()
}

/// Whether one of `a` shares a place with one of `b`.
pub(super) fn lines_meet(a: &[Vec<Point>], b: &[Vec<Point>]) -> bool {
    a.iter().flat_map(|line| pairs(line)).any(|(p, q)| {
        b.iter()
            .flat_map(|line| pairs(line))
            .any(|(r, s)| arcs_meet(p, q, r, s))
    })
}
