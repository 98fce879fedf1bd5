//! Functions that make shapes of shapes: unions, intersections, buffers, and denser or simpler ones;
//! and the cells that cover a shape.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;

use super::super::args::{Arg, Call, Guard};
use super::buffer::{self, Reach};
use super::cover::cover;
use super::densify::{self, Densify, LONGITUDE_MAX, wrapped};
use super::overlay::{self, Made, Region};
use super::shape::{self, Polygon, Shape};
use super::sides::Inside;
use super::sphere::{Point, RADIUS, Vector};
use super::{h3, level, point, shape_of, simplify};
use crate::json::Json;

/// Metres by which a buffer may differ where nothing is said.
const BUFFER_TOLERANCE: f64 = 10.0;

pub(super) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    match function {
        F::GeoUnionLinesArray
        | F::GeoUnionPolygonsArray
        | F::GeoIntersection2lines
        | F::GeoIntersection2polygons
        | F::GeoIntersectionLineWithPolygon => combined(function, call),
        F::GeoPointBuffer | F::GeoLineBuffer | F::GeoPolygonBuffer => buffered(function, call),
        F::GeoLineDensify | F::GeoPolygonDensify => densified(function, call),
        F::GeoLineSimplify | F::GeoPolygonSimplify | F::GeoSimplifyPolygonsArray => {
            simplified(function, call)
        }
        F::GeoLineToS2cells | F::GeoPolygonToS2cells | F::GeoPolygonToH3cells => {
            covered(function, call)
        }
        other => exec_err!("`{}` makes no shape", other.as_str()),
    }
}

fn vectors(lines: &[Vec<Point>]) -> Vec<Vec<Vector>> {
    let one = |line: &Vec<Point>| line.iter().map(|p| p.vector()).collect();
    lines.iter().map(one).collect()
}

fn places(line: &[Vector]) -> Vec<Point> {
    line.iter().map(|v| Point::of_vector(*v)).collect()
}

/// Polygons with their rings closed; `None` if the region has no polygon.
fn polygons_of(region: &Region, guard: &Guard) -> Option<Vec<Vec<Vec<Point>>>> {
    let closed = |ring: &Vec<Vector>| {
        let mut places = places(ring);
        places.extend(places.first().copied());
        places
    };
    let polygons = overlay::polygons(region, guard)?;
    let all = polygons.iter().map(|p| p.iter().map(closed).collect());
    Some(all.collect())
}

/// Polygons as those of their union.
pub(super) fn united(polygons: &[Polygon], guard: &Guard) -> Option<Vec<Polygon>> {
    let polygons = polygons_of(&overlay::regions(polygons, guard)?, guard)?;
    let all = polygons.into_iter().map(|rings| Polygon { rings });
    Some(all.collect())
}

fn written(region: &Region, guard: &Guard) -> Option<Json> {
    shape::polygons(&polygons_of(region, guard)?)
}

/// All dimensions; of nothing, an empty collection.
fn collected(made: &Made, guard: &Guard) -> Option<Json> {
    let lines: Vec<Vec<Point>> = made.lines.iter().map(|l| places(l)).collect();
    let mut parts: Vec<Json> = Vec::new();
    parts.extend(shape::points(&places(&made.points)));
    parts.extend(shape::lines(&lines));
    if !made.region.is_empty() {
        parts.push(written(&made.region, guard)?);
    }
    Some(shape::together(parts))
}

/// The shapes of an array; `None` if one is invalid.
fn shapes_of(arg: &Arg, row: usize) -> Option<Vec<Shape>> {
    let value = arg.json(row)?;
    let shapes = value.as_array()?.iter().map(Shape::read);
    shapes.collect::<Option<Vec<_>>>().filter(|s| !s.is_empty())
}

fn combined(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let (a, guard) = (call.arg(0)?, call.guard);
    match function {
        F::GeoUnionLinesArray => call.dynamics(|row| {
            let mut lines = Vec::new();
            for shape in shapes_of(a, row)? {
                lines.extend(vectors(&shape.lines()?));
            }
            let joined = overlay::joined(&lines, guard)?;
            let joined: Vec<Vec<Point>> = joined.iter().map(|l| places(l)).collect();
            shape::lines(&joined)
        }),
        F::GeoUnionPolygonsArray => call.dynamics(|row| {
            let mut polygons: Vec<Region> = Vec::new();
            for shape in shapes_of(a, row)? {
                polygons.push(overlay::regions(shape.polygons()?, guard)?);
            }
            written(&overlay::united(polygons, guard)?, guard)
        }),
        F::GeoIntersection2lines => {
            let b = call.arg(1)?;
            call.dynamics(|row| {
                let a = vectors(&shape_of(a, row)?.lines()?);
                let b = vectors(&shape_of(b, row)?.lines()?);
                collected(&overlay::common(&a, &b, guard)?, guard)
            })
        }
        F::GeoIntersectionLineWithPolygon => {
            let b = call.arg(1)?;
            call.dynamics(|row| {
                let a = vectors(&shape_of(a, row)?.lines()?);
                let b = overlay::regions(shape_of(b, row)?.polygons()?, guard)?;
                collected(&overlay::inside(&a, &b, guard)?, guard)
            })
        }
        _ => {
            let b = call.arg(1)?;
            call.dynamics(|row| {
                let a = overlay::regions(shape_of(a, row)?.polygons()?, guard)?;
                let b = overlay::regions(shape_of(b, row)?.polygons()?, guard)?;
                collected(&overlay::intersection(&a, &b, guard)?, guard)
            })
        }
    }
}

/// A number, or what stands for it if it was not given; `None` if it was given as null.
fn number(call: &Call<'_>, at: usize, row: usize, default: f64) -> Option<f64> {
    match call.optional(at) {
        Some(arg) => arg.real(row),
        None => Some(default),
    }
}

fn buffered(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let (a, guard) = (call.arg(0)?, call.guard);
    let radius_at = if function == F::GeoPointBuffer { 2 } else { 1 };
    let reach = |row: usize| {
        let radius = call.optional(radius_at)?.real(row)?;
        Reach::new(radius, number(call, radius_at + 1, row, BUFFER_TOLERANCE)?)
    };
    call.dynamics(|row| {
        let reach = reach(row)?;
        let region = match function {
            F::GeoPointBuffer => buffer::of_point(point(call, 0, row)?.vector(), reach, guard)?,
            F::GeoLineBuffer => {
                let lines = vectors(&shape_of(a, row)?.lines()?);
                buffer::of_lines(&lines, reach, guard)?
            }
            _ => {
                let region = overlay::regions(shape_of(a, row)?.polygons()?, guard)?;
                buffer::of_region(&region, reach, guard)?
            }
        };
        written(&region, guard)
    })
}

fn densified(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    call.dynamics(|row| {
        let metres = number(call, 1, row, densify::TOLERANCE_DEFAULT)?;
        let crosses = match call.optional(2).map(|flag| flag.json(row)) {
            None => false,
            Some(Some(Json::Bool(flag))) => flag,
            Some(_) => return None,
        };
        let densify = Densify::new(metres, crosses)?;
        match (function, Shape::read_wide(&a.json(row)?, LONGITUDE_MAX)?) {
            (F::GeoLineDensify, Shape::Lines(lines)) => {
                let mut found = Vec::new();
                for line in &lines {
                    found.extend(wrapped(&densify.line(line)?, !crosses));
                }
                shape::lines(&found)
            }
            (F::GeoPolygonDensify, Shape::Polygons(polygons)) => {
                let one = |polygon: &Polygon| -> Option<Vec<Vec<Point>>> {
                    let rings = densify.polygon(polygon)?;
                    Some(rings.iter().flat_map(|r| wrapped(r, false)).collect())
                };
                let found: Option<Vec<_>> = polygons.iter().map(one).collect();
                shape::polygons(&found?)
            }
            _ => None,
        }
    })
}

fn simplified(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let (a, guard) = (call.arg(0)?, call.guard);
    let tolerance =
        |row: usize| simplify::tolerance(number(call, 1, row, simplify::TOLERANCE_DEFAULT)?);
    match function {
        F::GeoLineSimplify => call.dynamics(|row| {
            let mut lines = vectors(&shape_of(a, row)?.lines()?);
            if lines.len() > 1 {
                lines = overlay::joined(&lines, guard)?;
            }
            let lines = simplify::lines(&lines, tolerance(row)?, guard)?;
            let lines: Vec<Vec<Point>> = lines.iter().map(|l| places(l)).collect();
            shape::lines(&lines)
        }),
        F::GeoPolygonSimplify => call.dynamics(|row| {
            let region = overlay::regions(shape_of(a, row)?.polygons()?, guard)?;
            let found = simplify::regions(&[region], tolerance(row)?, guard)?;
            written(found.first()?, guard)
        }),
        _ => call.dynamics(|row| {
            let mut regions: Vec<Region> = Vec::new();
            for shape in shapes_of(a, row)? {
                let polygons = shape.polygons()?;
                regions.extend(polygons.iter().map(overlay::region_of));
            }
            let mut found = Vec::new();
            for region in simplify::regions(&regions, tolerance(row)?, guard)? {
                if !region.is_empty() {
                    found.extend(polygons_of(&region, guard)?);
                }
            }
            shape::polygons(&found)
        }),
    }
}

fn covered(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let (a, guard) = (call.arg(0)?, call.guard);
    let list = |names: Vec<String>| Json::Array(names.into_iter().map(Json::Text).collect());
    let radius = |row: usize| {
        let radius = number(call, 2, row, 0.0)?;
        (radius >= 0.0 && radius.is_finite()).then_some(radius)
    };
    match function {
        F::GeoLineToS2cells => call.dynamics(|row| {
            let lines = vectors(&shape_of(a, row)?.lines()?);
            let arcs: Vec<(Vector, Vector)> = overlay::along(&lines).collect();
            let level = level(call, 1, row, 11)?;
            cover(&arcs, None, level, radius(row)? / RADIUS, guard).map(list)
        }),
        F::GeoPolygonToS2cells => call.dynamics(|row| {
            let region = overlay::regions(shape_of(a, row)?.polygons()?, guard)?;
            let arcs: Vec<(Vector, Vector)> = overlay::boundary(&region).collect();
            let inside = Inside::new(&region)?;
            let level = level(call, 1, row, 11)?;
            cover(&arcs, Some(&inside), level, radius(row)? / RADIUS, guard).map(list)
        }),
        _ => call.dynamics(|row| {
            let shape = shape_of(a, row)?;
            let (polygons, radius) = (shape.polygons()?, radius(row)?);
            let flat = if radius > 0.0 {
                let reach = Reach::new(radius, BUFFER_TOLERANCE)?;
                let region = overlay::regions(polygons, guard)?;
                polygons_of(&buffer::of_region(&region, reach, guard)?, guard)?
            } else {
                polygons.iter().map(|p| p.rings.clone()).collect()
            };
            h3::filling(&flat, level(call, 1, row, 6)?, guard).map(list)
        }),
    }
}
