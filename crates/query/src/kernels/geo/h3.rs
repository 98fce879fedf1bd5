//! H3 cells, by the crate `h3o`.

use h3o::{CellIndex, LatLng, Resolution};

use super::sphere::Point;
use super::within;

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
