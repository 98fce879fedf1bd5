//! H3 cells, by the crate `h3o`.

use std::collections::HashSet;

use h3o::{CellIndex, LatLng, Resolution};

use super::super::args::Guard;
use super::super::convert::real_of_long;
use super::arrange::ARCS_PER_LOOK;
use super::sphere::{Point, pairs};
use super::{floor, within};

/// Cells that one call gives at most.
const CELLS_MAX: u64 = 1_000_000;
/// Children are at most so many levels below, as in the service.
const CHILD_LEVELS_MAX: i64 = 5;
/// Rings around a cell.
const RINGS_MAX: i64 = 142;

fn cell(name: &str) -> Option<CellIndex> {
    name.parse().ok()
}

fn resolution(level: i64) -> Option<Resolution> {
    Resolution::try_from(within(level, 15)?).ok()
}

fn place(at: LatLng) -> Point {
    Point {
        longitude: at.lng(),
        latitude: at.lat(),
    }
}

pub(super) fn of(point: Point, level: i64) -> Option<String> {
    let place = LatLng::new(point.latitude, point.longitude).ok()?;
    Some(place.to_cell(resolution(level)?).to_string())
}

pub(super) fn center(name: &str) -> Option<Point> {
    Some(place(LatLng::from(cell(name)?)))
}

pub(super) fn corners(name: &str) -> Option<Vec<Point>> {
    Some(cell(name)?.boundary().iter().map(|p| place(*p)).collect())
}

pub(super) fn level(name: &str) -> Option<i64> {
    Some(i64::from(u8::from(cell(name)?.resolution())))
}

/// The cells around, in the order of a ring.
pub(super) fn neighbors(name: &str) -> Option<Vec<String>> {
    let mut rings = rings(name, 1)?;
    rings.pop()
}

pub(super) fn parent(name: &str, level: i64) -> Option<String> {
    Some(cell(name)?.parent(resolution(level)?)?.to_string())
}

pub(super) fn children(name: &str, level: i64) -> Option<Vec<String>> {
    let cell = cell(name)?;
    let own = i64::from(u8::from(cell.resolution()));
    let level = Some(level).filter(|l| *l > own && *l <= own + CHILD_LEVELS_MAX)?;
    let resolution = resolution(level)?;
    if cell.children_count(resolution) > CELLS_MAX {
        return None;
    }
    Some(cell.children(resolution).map(|c| c.to_string()).collect())
}

/// The cell, then the cells at distance 1, 2 …
pub(super) fn rings(name: &str, distance: i64) -> Option<Vec<Vec<String>>> {
    let cell = cell(name)?;
    let distance = u32::try_from(distance)
        .ok()
        .filter(|d| i64::from(*d) <= RINGS_MAX)?;
    let mut rings: Vec<Vec<String>> = vec![Vec::new(); usize::try_from(distance).ok()? + 1];
    for (at, far) in cell.grid_disk_distances::<Vec<_>>(distance) {
        rings
            .get_mut(usize::try_from(far).ok()?)?
            .push(at.to_string());
    }
    Some(rings)
}

/// LIMIT: cells of one polygon, as in the service.
const FILL_MAX: usize = 61_680;
/// LIMIT: places along a boundary at which cells are looked for.
const LOOKS_MAX: usize = 1 << 19;

/// The cells whose middle is inside of polygons with edges that are straight on a flat map. An edge
/// that is longer than half of the map goes over the antimeridian.
pub(super) fn filling(
    polygons: &[Vec<Vec<Point>>],
    level: i64,
    guard: &Guard,
) -> Option<Vec<String>> {
    let resolution = resolution(level)?;
    let polygons: Vec<Vec<Vec<Point>>> = polygons.iter().map(|p| unrolled(p)).collect();
    // Half of the shortest edge of a cell, in degrees along a meridian.
    let step = resolution.edge_length_rads().to_degrees() / 4.0;
    let mut seen: HashSet<CellIndex> = HashSet::new();
    let mut open: Vec<CellIndex> = Vec::new();
    let mut looks = 0;
    for (a, b) in polygons.iter().flatten().flat_map(|ring| pairs(ring)) {
        let long = (a.longitude - b.longitude)
            .abs()
            .max((a.latitude - b.latitude).abs());
        let count = floor(long / step) + 1;
        looks += usize::try_from(count).ok()?;
        if looks > LOOKS_MAX || guard.is_cancelled() {
            return None;
        }
        for at in 0..=count {
            let share = real_of_long(at) / real_of_long(count);
            let between = |a: f64, b: f64| a + (b - a) * share;
            let longitude = between(a.longitude, b.longitude);
            let latitude = between(a.latitude, b.latitude);
            let cell = LatLng::new(latitude, longitude).ok()?.to_cell(resolution);
            if seen.insert(cell) {
                open.extend(cell.grid_disk::<Vec<_>>(2));
            }
        }
    }
    let (mut asked, mut found) = (HashSet::new(), Vec::new());
    while let Some(cell) = open.pop() {
        if !asked.insert(cell) {
            continue;
        }
        if asked.len().is_multiple_of(ARCS_PER_LOOK) && guard.is_cancelled() {
            return None;
        }
        if !polygons
            .iter()
            .any(|p| has_flat(p, place(LatLng::from(cell))))
        {
            continue;
        }
        found.push(cell);
        if found.len() > FILL_MAX {
            return None;
        }
        open.extend(cell.grid_disk::<Vec<_>>(1));
    }
    found.sort_unstable();
    Some(found.iter().map(ToString::to_string).collect())
}

/// Rings that do not jump from one edge of the map to the other, but go on beyond it.
fn unrolled(rings: &[Vec<Point>]) -> Vec<Vec<Point>> {
    let jumps = rings
        .iter()
        .flat_map(|ring| pairs(ring))
        .any(|(a, b)| (a.longitude - b.longitude).abs() > 180.0);
    let one = |p: &Point| Point {
        longitude: if jumps && p.longitude < 0.0 {
            p.longitude + 360.0
        } else {
            p.longitude
        },
        ..*p
    };
    let moved = rings.iter().map(|ring| ring.iter().map(one).collect());
    moved.collect()
}

/// Whether a place is inside on a flat map: an odd number of edges is east of it.
fn has_flat(rings: &[Vec<Point>], place: Point) -> bool {
    let odd = |longitude: f64| {
        let east = rings.iter().flat_map(|ring| pairs(ring)).filter(|(a, b)| {
            if (a.latitude > place.latitude) == (b.latitude > place.latitude) {
                return false;
            }
            let share = (place.latitude - a.latitude) / (b.latitude - a.latitude);
            longitude < a.longitude + share * (b.longitude - a.longitude)
        });
        east.count() % 2 == 1
    };
    odd(place.longitude) || odd(place.longitude + 360.0)
}
