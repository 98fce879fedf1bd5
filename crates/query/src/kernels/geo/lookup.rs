//! Which of many shapes have a place: those of a table, read once, for each row of another.
//!
//! Each shape stands with a circle around it, so that most are passed over with one product.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;
use kql::resolved::LookupBy;

use super::super::args::{Arg, Call};
use super::shape::Shape;
use super::sphere::{self, Point, RADIUS, Vector, angle, plus, unit};
use crate::json::Json;

/// Shapes by the number of their row; what is no shape is found nowhere.
#[derive(Debug)]
pub(crate) struct Shapes {
    by: LookupBy,
    shapes: Vec<Placed>,
}

#[derive(Debug)]
struct Placed {
    number: i64,
    shape: Shape,
    /// The circle's middle and radius in radians; none around what may be larger than half of the
    /// earth.
    circle: Option<(Vector, f64)>,
}

impl Shapes {
    pub(crate) fn new(by: LookupBy, texts: &[String]) -> Self {
        let placed = (0_i64..).zip(texts).filter_map(|(number, text)| {
            let shape = Shape::read(&Json::of_column(text))?;
            let lines = match by {
                LookupBy::Line => shape.lines()?,
                _ => shape.rings()?,
            };
            let circle = circle(&lines);
            Some(Placed {
                number,
                shape,
                circle,
            })
        });
        Self {
            by,
            shapes: placed.collect(),
        }
    }

    pub(crate) fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let (longitude, latitude) = (call.arg(0)?, call.arg(1)?);
        let radius: Option<&Arg> = call.optional(2);
        call.dynamics(|row| {
            let place = Point::new(longitude.real(row)?, latitude.real(row)?)?;
            let radius = match radius {
                Some(radius) => Some(radius.real(row).filter(|r| *r >= 0.0)?),
                None => None,
            };
            let found = self
                .shapes
                .iter()
                .filter(|placed| !call.guard.is_cancelled() && self.has(placed, place, radius));
            let numbers: Vec<Json> = found.map(|placed| Json::Long(placed.number)).collect();
            (!numbers.is_empty()).then_some(Json::Array(numbers))
        })
    }

    fn has(&self, placed: &Placed, place: Point, radius: Option<f64>) -> bool {
        // More than rounding can add up to.
        const SPARE: f64 = 1e-9;
        let near = radius.unwrap_or(0.0);
        if let Some((middle, reach)) = placed.circle
            && angle(middle, place.vector()) > reach + near / RADIUS + SPARE
        {
            return false;
        }
        let is_near = |lines: Option<Vec<Vec<Point>>>| {
            let mut all = lines.into_iter().flatten();
            all.any(|line| sphere::closest(&line, place).is_some_and(|(_, far)| far <= near))
        };
        if self.by == LookupBy::Line {
            return is_near(placed.shape.lines());
        }
        let mut polygons = placed.shape.polygons().into_iter().flatten();
        polygons.any(|p| p.has(place)) || (radius.is_some() && is_near(placed.shape.rings()))
    }
}

/// A circle around lines, if it is smaller than a quarter of the way around: then it has the arcs
/// between places that it has.
fn circle(lines: &[Vec<Point>]) -> Option<(Vector, f64)> {
    let places = || lines.iter().flatten().map(|p| p.vector());
    let middle = unit(places().fold([0.0; 3], plus))?;
    let reach = places().map(|p| angle(middle, p)).fold(0.0, f64::max);
    (reach < std::f64::consts::FRAC_PI_4).then_some((middle, reach))
}
