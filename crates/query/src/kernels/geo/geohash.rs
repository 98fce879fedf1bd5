//! Geohash: bits of longitude and latitude in turn, five to a letter (G. Niemeyer, 2008).

use super::super::convert::real_of_long;
use super::floor;
use super::sphere::Point;

const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Letters of the longest.
const LETTERS_MAX: usize = 18;

/// Columns and rows of the grid, and bits of each.
struct Cell {
    column: i64,
    row: i64,
    column_bits: u32,
    row_bits: u32,
}

fn bits(letters: usize) -> (u32, u32) {
    let all = u32::try_from(letters * 5).unwrap_or(0);
    (all.div_ceil(2), all / 2)
}

/// The cell of so many letters that has the point; `None` for another number than 1 to 18.
pub(super) fn of(point: Point, letters: i64) -> Option<String> {
    let letters = usize::try_from(letters).ok()?;
    if !(1..=LETTERS_MAX).contains(&letters) {
        return None;
    }
    let (column_bits, row_bits) = bits(letters);
    let place = |share: f64, bits: u32| {
        let cells = 1_i64 << bits;
        floor(share * real_of_long(cells)).clamp(0, cells - 1)
    };
    let cell = Cell {
        column: place((point.longitude + 180.0) / 360.0, column_bits),
        row: place((point.latitude + 90.0) / 180.0, row_bits),
        column_bits,
        row_bits,
    };
    cell.name()
}

impl Cell {
    fn named(name: &str) -> Option<Self> {
        if !(1..=LETTERS_MAX).contains(&name.len()) {
            return None;
        }
        let (column_bits, row_bits) = bits(name.len());
        let mut cell = Self {
            column: 0,
            row: 0,
            column_bits,
            row_bits,
        };
        let mut of_column = true;
        for letter in name.bytes() {
            let lower = letter.to_ascii_lowercase();
            let value = LETTERS.iter().position(|l| *l == lower)?;
            for bit in (0..5).rev() {
                let one = i64::from(value >> bit & 1 == 1);
                let place = if of_column {
                    &mut cell.column
                } else {
                    &mut cell.row
                };
                *place = *place << 1 | one;
                of_column = !of_column;
            }
        }
        Some(cell)
    }

    fn name(&self) -> Option<String> {
        let all = self.column_bits + self.row_bits;
        let mut name = String::new();
        let (mut columns, mut rows) = (self.column_bits, self.row_bits);
        let mut letter = 0_usize;
        for at in 0..all {
            let bit = if at % 2 == 0 {
                columns -= 1;
                self.column >> columns & 1
            } else {
                rows -= 1;
                self.row >> rows & 1
            };
            letter = letter << 1 | usize::from(bit == 1);
            if at % 5 == 4 {
                name.push(char::from(*LETTERS.get(letter)?));
                letter = 0;
            }
        }
        Some(name)
    }

    /// West, south, width and height in degrees.
    fn bounds(&self) -> (f64, f64, f64, f64) {
        let width = 360.0 / real_of_long(1_i64 << self.column_bits);
        let height = 180.0 / real_of_long(1_i64 << self.row_bits);
        (
            real_of_long(self.column) * width - 180.0,
            real_of_long(self.row) * height - 90.0,
            width,
            height,
        )
    }
}

/// The middle of a cell; `None` if there is no such cell.
pub(super) fn center(name: &str) -> Option<Point> {
    let (west, south, width, height) = Cell::named(name)?.bounds();
    Point::new(west + width / 2.0, south + height / 2.0)
}

/// The corners from the south-west on, counterclockwise.
pub(super) fn corners(name: &str) -> Option<Vec<Point>> {
    let (west, south, width, height) = Cell::named(name)?.bounds();
    let places = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)];
    places
        .iter()
        .map(|(x, y)| Point::new(west + x * width, south + y * height))
        .collect()
}

/// The cells around, clockwise from the north-west on; fewer at the poles.
pub(super) fn neighbors(name: &str) -> Option<Vec<String>> {
    const AROUND: [(i64, i64); 8] = [
        (-1, 1),
        (0, 1),
        (1, 1),
        (1, 0),
        (1, -1),
        (0, -1),
        (-1, -1),
        (-1, 0),
    ];
    let cell = Cell::named(name)?;
    let mut found = Vec::new();
    for (east, north) in AROUND {
        let row = cell.row + north;
        if (0..1_i64 << cell.row_bits).contains(&row) {
            let beside = Cell {
                column: (cell.column + east).rem_euclid(1 << cell.column_bits),
                row,
                ..cell
            };
            found.push(beside.name()?);
        }
    }
    Some(found)
}
