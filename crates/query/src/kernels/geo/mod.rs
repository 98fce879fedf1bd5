//! `geo_*`: points, lines and polygons on the sphere, and cells of Geohash, S2 and H3.
//!
//! Edges are arcs of great circles on a sphere of [`sphere::RADIUS`] metres. A coordinate outside of
//! its range, a line of fewer than two different points or a ring of fewer than three is invalid and
//! gives null. What makes shapes of shapes (unions, intersections, buffers, simpler ones) starts at
//! [`made`].

mod arrange;
mod buffer;
mod chains;
mod cover;
mod densify;
mod geohash;
mod h3;
pub(crate) mod lookup;
mod made;
mod overlay;
mod s2;
mod service_order;
mod shape;
mod sides;
mod simplify;
mod sphere;
mod wkt;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use model::ColumnType;

use super::args::{Arg, Call};
use super::convert;
use crate::json::Json;
use shape::Shape;
use sphere::Point;

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    match function {
        F::GeoDistance2points | F::GeoAzimuth | F::GeoAngle | F::GeoPointInCircle => {
            points(function, call)
        }
        F::GeoPointToGeohash
        | F::GeoGeohashToCentralPoint
        | F::GeoGeohashToPolygon
        | F::GeoGeohashNeighbors
        | F::GeoPointToS2cell
        | F::GeoS2cellToCentralPoint
        | F::GeoS2cellToPolygon
        | F::GeoS2cellNeighbors
        | F::GeoPointToH3cell
        | F::GeoH3cellToCentralPoint
        | F::GeoH3cellToPolygon
        | F::GeoH3cellNeighbors
        | F::GeoH3cellChildren
        | F::GeoH3cellParent
        | F::GeoH3cellRings
        | F::GeoH3cellLevel => cells(function, call),
        F::GeoFromWkt => {
            let text = call.arg(0)?;
            call.dynamics(|row| wkt::parse(text.text(row)))
        }
        F::GeoUnionLinesArray
        | F::GeoUnionPolygonsArray
        | F::GeoIntersection2lines
        | F::GeoIntersection2polygons
        | F::GeoIntersectionLineWithPolygon
        | F::GeoPointBuffer
        | F::GeoLineBuffer
        | F::GeoPolygonBuffer
        | F::GeoLineDensify
        | F::GeoPolygonDensify
        | F::GeoLineSimplify
        | F::GeoPolygonSimplify
        | F::GeoSimplifyPolygonsArray
        | F::GeoLineToS2cells
        | F::GeoPolygonToS2cells
        | F::GeoPolygonToH3cells => made::run(function, call),
        _ => shapes(function, call),
    }
}

/// The point of two arguments.
fn point(call: &Call<'_>, at: usize, row: usize) -> Option<Point> {
    let longitude = call.optional(at)?.real(row)?;
    let latitude = call.optional(at + 1)?.real(row)?;
    Point::new(longitude, latitude)
}

fn points(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    match function {
        F::GeoDistance2points => call.reals(|row| {
            let (a, b) = (point(call, 0, row)?, point(call, 2, row)?);
            let spheroid = call.optional(4).and_then(|flag| flag.json(row));
            Some(match spheroid {
                Some(Json::Bool(true)) => sphere::spheroid_distance(a, b),
                Some(Json::Long(n)) if n != 0 => sphere::spheroid_distance(a, b),
                _ => sphere::distance(a, b),
            })
        }),
        F::GeoAzimuth => call.reals(|row| {
            let (a, b) = (point(call, 0, row)?, point(call, 2, row)?);
            sphere::azimuth(a, b).map(|angle| angle.rem_euclid(std::f64::consts::TAU))
        }),
        F::GeoAngle => call.reals(|row| {
            let (a, b, c) = (
                point(call, 0, row)?,
                point(call, 2, row)?,
                point(call, 4, row)?,
            );
            let turn = sphere::azimuth(b, c)? - sphere::azimuth(b, a)?;
            Some(turn.rem_euclid(std::f64::consts::TAU))
        }),
        _ => {
            let radius = call.arg(4)?;
            call.bools(|row| {
                let (a, b) = (point(call, 0, row)?, point(call, 2, row)?);
                let radius = radius.real(row).filter(|r| r.is_finite() && *r >= 0.0)?;
                Some(sphere::distance(a, b) <= radius)
            })
        }
    }
}

/// An optional level: null if it was given as null.
fn level(call: &Call<'_>, at: usize, row: usize, default: i64) -> Option<i64> {
    match call.optional(at) {
        Some(arg) => arg.long(row),
        None => Some(default),
    }
}

fn cells(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    let list = |texts: Option<Vec<String>>| {
        Some(Json::Array(texts?.into_iter().map(Json::Text).collect()))
    };
    let around = |texts: Option<Vec<String>>| texts.map(service_order::of);
    let put = |text: Option<String>, out: &mut String| out.push_str(&text.unwrap_or_default());
    match function {
        F::GeoPointToGeohash => call.texts(|row, out| {
            let accuracy = level(call, 2, row, 5);
            let found = point(call, 0, row).and_then(|p| geohash::of(p, accuracy?));
            put(found, out);
        }),
        F::GeoPointToS2cell => call.texts(|row, out| {
            let level = level(call, 2, row, 11);
            let found = point(call, 0, row).and_then(|p| s2::of(p, level?));
            put(found, out);
        }),
        F::GeoPointToH3cell => call.texts(|row, out| {
            let level = level(call, 2, row, 6);
            put(point(call, 0, row).and_then(|p| h3::of(p, level?)), out);
        }),
        F::GeoGeohashToCentralPoint => {
            call.dynamics(|row| Some(shape::point(geohash::center(a.text(row))?)))
        }
        F::GeoGeohashToPolygon => {
            call.dynamics(|row| Some(shape::ring(&geohash::corners(a.text(row))?)))
        }
        F::GeoGeohashNeighbors => {
            call.dynamics(|row| list(around(geohash::neighbors(a.text(row)))))
        }
        F::GeoS2cellToCentralPoint => {
            call.dynamics(|row| Some(shape::point(s2::center(a.text(row))?)))
        }
        F::GeoS2cellToPolygon => call.dynamics(|row| Some(shape::ring(&s2::corners(a.text(row))?))),
        F::GeoS2cellNeighbors => call.dynamics(|row| list(around(s2::neighbors(a.text(row))))),
        F::GeoH3cellToCentralPoint => {
            call.dynamics(|row| Some(shape::point(h3::center(a.text(row))?)))
        }
        F::GeoH3cellToPolygon => call.dynamics(|row| Some(shape::ring(&h3::corners(a.text(row))?))),
        F::GeoH3cellNeighbors => call.dynamics(|row| list(around(h3::neighbors(a.text(row))))),
        F::GeoH3cellChildren => call.dynamics(|row| {
            let cell = a.text(row);
            let level = level(call, 1, row, h3::level(cell)? + 1)?;
            list(h3::children(cell, level))
        }),
        F::GeoH3cellParent => call.texts(|row, out| {
            let cell = a.text(row);
            let wanted = h3::level(cell).and_then(|own| level(call, 1, row, own - 1));
            put(wanted.and_then(|level| h3::parent(cell, level)), out);
        }),
        F::GeoH3cellRings => {
            let distance = call.arg(1)?;
            call.dynamics(|row| {
                let rings = h3::rings(a.text(row), distance.long(row)?)?;
                let rings = rings
                    .into_iter()
                    .map(|ring| Json::Array(ring.into_iter().map(Json::Text).collect()));
                Some(Json::Array(rings.collect()))
            })
        }
        _ => call.longs(|row| h3::level(a.text(row))),
    }
}

fn shape_of(arg: &Arg, row: usize) -> Option<Shape> {
    Shape::read(&arg.json(row)?)
}

fn shapes(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    match function {
        F::GeoLineLength => call.reals(|row| {
            let lines = shape_of(a, row)?.lines()?;
            Some(lines.iter().map(|l| sphere::length(l)).sum())
        }),
        F::GeoLineCentroid => call.dynamics(|row| {
            let lines = shape_of(a, row)?.lines()?;
            Some(shape::point(sphere::line_centroid(&lines)?))
        }),
        F::GeoLineInterpolatePoint => {
            let fraction = call.arg(1)?;
            call.dynamics(|row| {
                let lines = shape_of(a, row)?.lines()?;
                let [line] = lines.as_slice() else {
                    return None;
                };
                let share = fraction.real(row).filter(|f| (0.0..=1.0).contains(f))?;
                Some(shape::point(sphere::interpolated(line, share)?))
            })
        }
        F::GeoLineLocatePoint => call.reals(|row| {
            let lines = shape_of(a, row)?.lines()?;
            let [line] = lines.as_slice() else {
                return None;
            };
            sphere::located(line, point(call, 1, row)?)
        }),
        F::GeoDistancePointToLine | F::GeoClosestPointOnLine => {
            nearest(function, call, Shape::lines)
        }
        F::GeoDistancePointToPolygon | F::GeoClosestPointOnPolygon => {
            nearest(function, call, Shape::rings)
        }
        F::GeoPointInPolygon => {
            let polygon = call.arg(2)?;
            call.bools(|row| {
                let place = point(call, 0, row)?;
                Some(
                    shape_of(polygon, row)?
                        .polygons()?
                        .iter()
                        .any(|p| p.has(place)),
                )
            })
        }
        F::GeoPolygonArea => call.reals(|row| {
            let polygons = apart(shape_of(a, row)?, call)?;
            Some(polygons.iter().map(shape::Polygon::area).sum())
        }),
        F::GeoPolygonPerimeter => call.reals(|row| {
            let polygons = apart(shape_of(a, row)?, call)?;
            let rings = polygons.iter().flat_map(|p| &p.rings);
            Some(rings.map(|ring| sphere::length(ring)).sum())
        }),
        F::GeoPolygonCentroid => call.dynamics(|row| {
            let polygons = apart(shape_of(a, row)?, call)?;
            Some(shape::point(shape::Polygon::centroid_of(&polygons)?))
        }),
        F::GeoIntersects2lines => two(call, |a, b| {
            Some(shape::lines_meet(&a.lines()?, &b.lines()?))
        }),
        F::GeoIntersectsLineWithPolygon => two(call, |a, b| {
            let (lines, polygons) = (a.lines()?, b.polygons()?);
            Some(polygons.iter().any(|p| p.meets_lines(&lines)))
        }),
        F::GeoIntersects2polygons => two(call, |a, b| {
            let (ours, theirs) = (a.polygons()?, b.polygons()?);
            Some(ours.iter().any(|a| theirs.iter().any(|b| a.meets(b))))
        }),
        other => exec_err!("`{}` is not a function of places", other.as_str()),
    }
}

/// The polygons of a shape; of several their union, so that what they share counts once.
fn apart(shape: Shape, call: &Call<'_>) -> Option<Vec<shape::Polygon>> {
    match shape.polygons()? {
        [only] => Some(vec![only.clone()]),
        many => made::united(many, call.guard),
    }
}

fn two(call: &Call<'_>, f: impl Fn(&Shape, &Shape) -> Option<bool>) -> Result<ArrayRef> {
    let (a, b) = (call.arg(0)?, call.arg(1)?);
    call.bools(|row| f(&shape_of(a, row)?, &shape_of(b, row)?))
}

/// Distance to the nearest place of lines, or that place; inside of a polygon the point itself.
fn nearest(
    function: F,
    call: &Call<'_>,
    lines: impl Fn(&Shape) -> Option<Vec<Vec<Point>>>,
) -> Result<ArrayRef> {
    let shape = call.arg(2)?;
    let is_polygon = matches!(
        function,
        F::GeoDistancePointToPolygon | F::GeoClosestPointOnPolygon
    );
    let found = |row: usize| -> Option<(Point, f64)> {
        let place = point(call, 0, row)?;
        let shape = shape_of(shape, row)?;
        let lines = lines(&shape)?;
        if is_polygon && shape.polygons()?.iter().any(|p| p.has(place)) {
            return Some((place, 0.0));
        }
        let all = lines.iter().filter_map(|line| sphere::closest(line, place));
        all.reduce(|a, b| if b.1 < a.1 { b } else { a })
    };
    if call.result == ColumnType::Dynamic {
        return call.dynamics(|row| Some(shape::point(found(row)?.0)));
    }
    call.reals(|row| found(row).map(|(_, distance)| distance))
}

/// A whole number that is no more than `most`.
fn within(n: i64, most: i64) -> Option<u8> {
    (0..=most)
        .contains(&n)
        .then(|| u8::try_from(n).ok())
        .flatten()
}

/// A real as the nearest whole number below, in range.
fn floor(x: f64) -> i64 {
    convert::long_of_real(x.floor()).unwrap_or(0)
}
