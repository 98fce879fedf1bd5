//! Well-known text of geometries, as GeoJSON.

use super::shape::geometry;
use crate::json::Json;

/// Collections in collections.
const DEPTH_MAX: usize = 16;

/// The geometry that a text says; `None` if it says none.
pub(super) fn parse(text: &str) -> Option<Json> {
    let mut reader = Reader { rest: text };
    let found = reader.geometry(0)?;
    reader.rest.trim().is_empty().then_some(found)
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn eat(&mut self, wanted: char) -> bool {
        match self.rest.trim_start().strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> Option<&'t str> {
        self.part(|c| c.is_ascii_alphabetic())
    }

    fn number(&mut self) -> Option<f64> {
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        self.part(is_part)?.parse().ok()
    }

    fn part(&mut self, is_part: impl Fn(char) -> bool) -> Option<&'t str> {
        let text = self.rest.trim_start();
        let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
        let (found, rest) = text.split_at_checked(end)?;
        self.rest = rest;
        (!found.is_empty()).then_some(found)
    }

    fn geometry(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH_MAX {
            return None;
        }
        let (name, levels) = match self.word()?.to_ascii_uppercase().as_str() {
            "POINT" => ("Point", 0),
            "LINESTRING" => ("LineString", 1),
            "MULTIPOINT" => ("MultiPoint", 1),
            "POLYGON" => ("Polygon", 2),
            "MULTILINESTRING" => ("MultiLineString", 2),
            "MULTIPOLYGON" => ("MultiPolygon", 3),
            "GEOMETRYCOLLECTION" => {
                let all = self.list(|reader| reader.geometry(depth + 1))?;
                return Some(Json::Bag(vec![
                    (
                        "type".to_owned(),
                        Json::Text("GeometryCollection".to_owned()),
                    ),
                    ("geometries".to_owned(), Json::Array(all)),
                ]));
            }
            _ => return None,
        };
        let coordinates = if levels == 0 {
            let mut only = self.list(Self::position)?;
            only.pop().filter(|_| only.is_empty())?
        } else {
            self.nested(levels)?
        };
        Some(geometry(name, coordinates))
    }

    fn nested(&mut self, levels: usize) -> Option<Json> {
        let items = if levels == 1 {
            self.list(|reader| {
                // The points of MULTIPOINT may have brackets of their own.
                if reader.rest.trim_start().starts_with('(') {
                    let mut only = reader.list(Self::position)?;
                    return only.pop();
                }
                reader.position()
            })?
        } else {
            self.list(|reader| reader.nested(levels - 1))?
        };
        Some(Json::Array(items))
    }

    fn position(&mut self) -> Option<Json> {
        let (x, y) = (self.number()?, self.number()?);
        // Heights are left out.
        while self.number().is_some() {}
        Some(Json::Array(vec![Json::Real(x), Json::Real(y)]))
    }

    fn list(&mut self, item: impl Fn(&mut Self) -> Option<Json>) -> Option<Vec<Json>> {
        if !self.eat('(') {
            return None;
        }
        let mut items = vec![item(self)?];
        while self.eat(',') {
            items.push(item(self)?);
        }
        self.eat(')').then_some(items)
    }
}
