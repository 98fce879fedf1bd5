//! S2 cells: six faces of a cube, each a square in which a Hilbert curve numbers the cells. The
//! quadratic projection and the numbering are those of the S2 library's documentation.

use super::super::convert::real_of_long;
use super::floor;
use super::sphere::{Point, Vector, unit};

/// Cells along a face's edge at the finest level.
const SIZE: i64 = 1 << 30;
pub(super) const LEVEL_MAX: i64 = 30;

/// Place on the curve by orientation and by `2i + j`.
const PLACE: [[usize; 4]; 4] = [[0, 1, 3, 2], [0, 3, 1, 2], [2, 3, 1, 0], [2, 1, 3, 0]];
/// The inverse.
const SQUARE: [[usize; 4]; 4] = [[0, 1, 3, 2], [0, 2, 3, 1], [3, 2, 0, 1], [3, 1, 0, 2]];
/// How the curve turns at each place.
const TURN: [usize; 4] = [1, 0, 0, 3];

/// A cell: its face, its corner nearest to the face's origin, its level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cell {
    face: usize,
    i: i64,
    j: i64,
    level: i64,
}

/// Face and coordinates on it, from -1 to 1.
#[expect(clippy::many_single_char_names, reason = "the letters of the formulas")]
fn on_face(v: Vector) -> (usize, f64, f64) {
    let [x, y, z] = v;
    let (ax, ay, az) = (x.abs(), y.abs(), z.abs());
    let axis = if ax > ay && ax > az {
        (0, x)
    } else if ay > az {
        (1, y)
    } else {
        (2, z)
    };
    let face = if axis.1 < 0.0 { axis.0 + 3 } else { axis.0 };
    let (u, v) = match face {
        0 => (y / x, z / x),
        1 => (-x / y, z / y),
        2 => (-x / z, -y / z),
        3 => (z / x, y / x),
        4 => (z / y, -x / y),
        _ => (-y / z, -x / z),
    };
    (face, u, v)
}

fn off_face(face: usize, u: f64, v: f64) -> Vector {
    match face {
        0 => [1.0, u, v],
        1 => [-u, 1.0, v],
        2 => [-u, -v, 1.0],
        3 => [-1.0, -v, -u],
        4 => [v, -1.0, -u],
        _ => [v, u, -1.0],
    }
}

/// From the cube to cells of more even size.
fn squared(u: f64) -> f64 {
    if u >= 0.0 {
        0.5 * (1.0 + 3.0 * u).sqrt()
    } else {
        1.0 - 0.5 * (1.0 - 3.0 * u).sqrt()
    }
}

fn unsquared(s: f64) -> f64 {
    if s >= 0.5 {
        (4.0 * s * s - 1.0) / 3.0
    } else {
        (1.0 - 4.0 * (1.0 - s) * (1.0 - s)) / 3.0
    }
}

fn grid(s: f64) -> i64 {
    floor(s * real_of_long(SIZE)).clamp(0, SIZE - 1)
}

impl Cell {
    fn width(self) -> i64 {
        1 << (LEVEL_MAX - self.level)
    }

    /// The number, from the top bits on: face, then two bits per level, then a one.
    pub(super) fn id(self) -> u64 {
        let mut id = self.face as u64;
        let mut orientation = self.face & 1;
        for bit in (0..LEVEL_MAX)
            .rev()
            .take(usize::try_from(self.level).unwrap_or(0))
        {
            let square =
                usize::from(self.i >> bit & 1 == 1) << 1 | usize::from(self.j >> bit & 1 == 1);
            let place = PLACE
                .get(orientation)
                .and_then(|row| row.get(square))
                .copied()
                .unwrap_or(0);
            id = id << 2 | place as u64;
            orientation ^= TURN.get(place).copied().unwrap_or(0);
        }
        (id << 1 | 1) << (60 - 2 * self.level)
    }

    /// The cells of level 0: the faces.
    pub(super) fn faces() -> impl Iterator<Item = Self> {
        (0..6).map(|face| Self {
            face,
            i: 0,
            j: 0,
            level: 0,
        })
    }

    /// The cell of a level that has a place. The corner is that of the finest cell in it: only the
    /// bits of the level count.
    fn at_place(place: Vector, level: i64) -> Self {
        let (face, u, v) = on_face(place);
        Self {
            face,
            i: grid(squared(u)),
            j: grid(squared(v)),
            level,
        }
    }

    /// The four cells of the next level.
    pub(super) fn children(self) -> impl Iterator<Item = Self> {
        let half = self.width() / 2;
        [(0, 0), (half, 0), (half, half), (0, half)]
            .into_iter()
            .map(move |(i, j)| Self {
                i: self.i + i,
                j: self.j + j,
                level: self.level + 1,
                ..self
            })
    }

    /// Whether a place is in the cell.
    pub(super) fn has(self, place: Vector) -> bool {
        let (face, u, v) = on_face(place);
        let within = |n: i64, from: i64| n >= from && n < from + self.width();
        face == self.face && within(grid(squared(u)), self.i) && within(grid(squared(v)), self.j)
    }

    /// The corners, counterclockwise from the one nearest to the face's origin.
    pub(super) fn corners(self) -> [Vector; 4] {
        let (i, j, width) = (self.i, self.j, self.width());
        [
            (i, j),
            (i + width, j),
            (i + width, j + width),
            (i, j + width),
        ]
        .map(|(i, j)| self.vector(real_of_long(i), real_of_long(j)))
    }

    pub(super) fn middle(self) -> Vector {
        let half = real_of_long(self.width()) / 2.0;
        self.vector(real_of_long(self.i) + half, real_of_long(self.j) + half)
    }

    pub(super) fn name(self) -> String {
        format!("{:016x}", self.id())
            .trim_end_matches('0')
            .to_owned()
    }

    fn named(name: &str) -> Option<Self> {
        if !(1..=16).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let id = u64::from_str_radix(&format!("{name:0<16}"), 16).ok()?;
        let zeros = id.trailing_zeros();
        let face = usize::try_from(id >> 61).ok()?;
        if zeros > 60 || zeros % 2 == 1 || face > 5 {
            return None;
        }
        let level = LEVEL_MAX - i64::from(zeros / 2);
        let (mut i, mut j, mut orientation) = (0, 0, face & 1);
        for step in 0..level {
            let place = usize::try_from(id >> (59 - 2 * step) & 3).ok()?;
            let square = *SQUARE.get(orientation)?.get(place)?;
            i = i << 1 | i64::from(square >> 1 == 1);
            j = j << 1 | i64::from(square & 1 == 1);
            orientation ^= TURN.get(place)?;
        }
        let shift = LEVEL_MAX - level;
        Some(Self {
            face,
            i: i << shift,
            j: j << shift,
            level,
        })
    }

    fn vector(self, i: f64, j: f64) -> Vector {
        let (u, v) = (
            unsquared(i / real_of_long(SIZE)),
            unsquared(j / real_of_long(SIZE)),
        );
        let place = off_face(self.face, u, v);
        unit(place).unwrap_or(place)
    }

    /// The cell of the same level at other coordinates, which may lie on another face.
    fn beside(self, i: i64, j: i64) -> Self {
        if (0..SIZE).contains(&i) && (0..SIZE).contains(&j) {
            return Self { i, j, ..self };
        }
        // Just over the edge: by way of the cube.
        let side = |n: i64| {
            let middle = real_of_long(2 * n.clamp(-1, SIZE) + 1 - SIZE) / real_of_long(SIZE);
            middle.clamp(-1.0 - f64::EPSILON, 1.0 + f64::EPSILON)
        };
        let (face, u, v) = on_face(off_face(self.face, side(i), side(j)));
        let width = self.width();
        let down = |s: f64| grid(0.5 * (s + 1.0)).div_euclid(width) * width;
        Self {
            face,
            i: down(u),
            j: down(v),
            level: self.level,
        }
    }
}

pub(super) fn of(point: Point, level: i64) -> Option<String> {
    let is_there = (0..=LEVEL_MAX).contains(&level);
    is_there.then(|| Cell::at_place(point.vector(), level).name())
}

pub(super) fn center(name: &str) -> Option<Point> {
    Some(Point::of_vector(Cell::named(name)?.middle()))
}

/// The corners, counterclockwise from the one nearest to the face's origin.
pub(super) fn corners(name: &str) -> Option<Vec<Point>> {
    let corners = Cell::named(name)?.corners();
    Some(corners.map(Point::of_vector).to_vec())
}

/// The cells around, once each, row by row from the face's origin on: left and right ones, and in
/// the middle those below and above before them.
pub(super) fn neighbors(name: &str) -> Option<Vec<String>> {
    let cell = Cell::named(name)?;
    let around = [
        (-1, -1),
        (1, -1),
        (0, -1),
        (0, 1),
        (-1, 0),
        (1, 0),
        (-1, 1),
        (1, 1),
    ];
    let mut names: Vec<String> = Vec::new();
    for (east, north) in around {
        let width = cell.width();
        let name = cell
            .beside(cell.i + east * width, cell.j + north * width)
            .name();
        // At a corner of the cube two of them are one.
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(names)
}

/// The number of the finest cell that has a place: near places have near numbers.
pub(super) fn number(place: Vector) -> u64 {
    Cell::at_place(place, LEVEL_MAX).id()
}
