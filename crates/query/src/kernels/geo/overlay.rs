//! Unions and intersections on the sphere.
//!
//! Boundaries are cut where they meet ([`super::arrange`]); of each piece it is known what is on
//! both sides ([`super::sides`]); pieces with the result on one side only bound it
//! ([`super::chains`]). Polygons and lines have their boundaries: where two only touch, the
//! intersection is a line or a point, as in the S2 library's closed model. An arc that another cuts
//! is whole again in the result where both parts of it are.
//!
//! A region is a list of rings that are not closed and have the region on their left; rings around
//! less than half of the sphere are shells, others are holes.

use std::collections::{BTreeMap, HashMap};

use super::super::args::Guard;
use super::arrange::{Arrangement, arranged};
use super::chains::{self, Edge};
use super::shape::Polygon;
use super::sides::{self, Border, Counts, Inside, around_views, borders, is_shell};
use super::sphere::{Vector, plus, unit};

/// Rings with the region on their left.
pub(super) type Region = Vec<Vec<Vector>>;
/// Arcs from place to place.
type Arcs = Vec<(Vector, Vector)>;

/// What an operation gives, by dimension.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Made {
    pub(super) points: Vec<Vector>,
    pub(super) lines: Vec<Vec<Vector>>,
    pub(super) region: Region,
}

/// A polygon's rings: shells counterclockwise, holes clockwise. A ring that is turned round begins
/// with its last place.
pub(super) fn region_of(polygon: &Polygon) -> Region {
    let rings = polygon.rings.iter().enumerate();
    let open = rings.map(|(at, ring)| {
        let places = ring.iter().skip(1).map(|p| p.vector());
        let mut places: Vec<Vector> = ring
            .iter()
            .take(1)
            .map(|p| p.vector())
            .chain(places)
            .collect();
        places.pop();
        if is_shell(&places) != (at == 0) {
            places.reverse();
        }
        places
    });
    open.collect()
}

/// Polygons as one region.
pub(super) fn regions(polygons: &[Polygon], guard: &Guard) -> Option<Region> {
    united(polygons.iter().map(region_of).collect(), guard)
}

/// The union of regions: always of the two with the fewest places, of equals the first. Where rings
/// begin follows from that order.
pub(super) fn united(regions: Vec<Region>, guard: &Guard) -> Option<Region> {
    let mut queue: BTreeMap<(usize, usize), Region> = BTreeMap::new();
    let mut number = regions.len();
    for (at, region) in regions.into_iter().enumerate() {
        queue.insert((region.iter().map(Vec::len).sum(), at), region);
    }
    while queue.len() > 1 {
        let ((a_places, _), a) = queue.pop_first()?;
        let ((b_places, _), b) = queue.pop_first()?;
        queue.insert((a_places + b_places, number), union(&a, &b, guard)?);
        number += 1;
    }
    queue.pop_first().map(|(_, region)| region)
}

/// The arcs along all rings.
pub(super) fn boundary(region: &Region) -> impl Iterator<Item = (Vector, Vector)> + '_ {
    region.iter().flat_map(|ring| {
        let next = ring.iter().skip(1).chain(ring.first());
        ring.iter().copied().zip(next.copied())
    })
}

/// The arcs along all lines.
pub(super) fn along(lines: &[Vec<Vector>]) -> impl Iterator<Item = (Vector, Vector)> + '_ {
    lines.iter().flat_map(|line| {
        let next = line.iter().skip(1).copied();
        line.iter().copied().zip(next)
    })
}

/// Two regions' boundaries, cut.
struct Pair {
    arrangement: Arrangement,
    /// Arcs of the first.
    first: usize,
    borders: Vec<Border>,
}

impl Pair {
    fn new(a: &Region, b: &Region, guard: &Guard) -> Option<Self> {
        let mut arcs: Arcs = boundary(a).collect();
        let first = arcs.len();
        arcs.extend(boundary(b));
        let arrangement = arranged(&arcs, &|_, _| true, guard)?;
        let [a0, a1, a2] = around_views(a)?;
        let [b0, b1, b2] = around_views(b)?;
        let at_views = [[a0, b0], [a1, b1], [a2, b2]];
        let region = |arc: usize| Some(usize::from(arc >= first));
        let borders = borders(&arrangement, &region, at_views, guard)?;
        Some(Self {
            arrangement,
            first,
            borders,
        })
    }

    fn is_of_both(&self, border: &Border) -> bool {
        let pieces = border.forward.iter().chain(&border.backward);
        let arcs = pieces.filter_map(|p| self.arrangement.pieces.get(*p));
        let (mut one, mut other) = (false, false);
        for piece in arcs {
            if piece.arc < self.first {
                one = true;
            } else {
                other = true;
            }
        }
        one && other
    }
}

/// The edges of what holds on one side of a border.
pub(super) fn bounding(
    arrangement: &Arrangement,
    borders: &[Border],
    holds: &dyn Fn(Counts) -> bool,
) -> Vec<Edge> {
    let mut edges = Vec::new();
    for border in borders {
        let (pieces, from, to) = match (holds(border.left), holds(border.right)) {
            (true, false) => (&border.forward, border.from, border.to),
            (false, true) => (&border.backward, border.to, border.from),
            _ => continue,
        };
        // Pieces that cancel one another out may leave the result's direction without one.
        let other = border.forward.iter().chain(&border.backward);
        let first = pieces.iter().chain(other).next();
        let piece = first.and_then(|at| Some((*at, arrangement.pieces.get(*at)?)));
        if let Some((piece, of)) = piece {
            edges.push(Edge {
                from,
                to,
                arc: of.arc,
                piece,
            });
        }
    }
    edges
}

/// Rings of edges as places.
pub(super) fn ringed(places: &[Vector], edges: Vec<Edge>) -> Option<Region> {
    let mut leaving: HashMap<usize, usize> = HashMap::new();
    for edge in &edges {
        *leaving.entry(edge.from).or_default() += 1;
    }
    let is_shared = |place: usize| leaving.get(&place).is_some_and(|n| *n > 1);
    let rings = chains::rings(places, edges)?;
    let found = rings.iter().map(|ring| {
        let kept = chains::places_of(ring, true, &is_shared);
        kept.iter().map(|at| places.get(*at).copied()).collect()
    });
    let found: Option<Vec<Vec<Vector>>> = found.collect();
    Some(found?.into_iter().filter(|r| r.len() > 2).collect())
}

fn lined(places: &[Vector], edges: Vec<Edge>) -> Option<Vec<Vec<Vector>>> {
    let lines = chains::lines(edges);
    let found = lines.iter().map(|line| {
        let kept = chains::places_of(line, false, &|_| false);
        kept.iter().map(|at| places.get(*at).copied()).collect()
    });
    found.collect()
}

fn union(a: &Region, b: &Region, guard: &Guard) -> Option<Region> {
    let pair = Pair::new(a, b, guard)?;
    let edges = bounding(&pair.arrangement, &pair.borders, &|[a, b]| a > 0 || b > 0);
    ringed(&pair.arrangement.places, edges)
}

/// What two regions share.
pub(super) fn intersection(a: &Region, b: &Region, guard: &Guard) -> Option<Made> {
    let pair = Pair::new(a, b, guard)?;
    let holds = |[a, b]: Counts| a > 0 && b > 0;
    let edges = bounding(&pair.arrangement, &pair.borders, &holds);
    let mut shared: Vec<Edge> = Vec::new();
    for border in &pair.borders {
        if !holds(border.left) && !holds(border.right) && pair.is_of_both(border) {
            shared.extend(directed(&pair.arrangement, border, pair.first));
        }
    }
    let first = pair.first;
    let points = touched(&pair.arrangement, first, &[&edges, &shared]);
    let places = &pair.arrangement.places;
    Some(Made {
        points,
        lines: lined(places, shared)?,
        region: ringed(places, edges)?,
    })
}

/// A border in the direction of the first arc before `first` that runs there.
fn directed(arrangement: &Arrangement, border: &Border, first: usize) -> Option<Edge> {
    let all = border.forward.iter().chain(&border.backward);
    let at = *all
        .filter(|at| arrangement.pieces.get(**at).is_some_and(|p| p.arc < first))
        .min()?;
    let piece = arrangement.pieces.get(at)?;
    Some(Edge {
        from: piece.from,
        to: piece.to,
        arc: piece.arc,
        piece: at,
    })
}

/// Places at which arcs from before `first` meet later ones, and that no edge has: in the order of
/// the former.
fn touched(arrangement: &Arrangement, first: usize, edges: &[&Vec<Edge>]) -> Vec<Vector> {
    let count = arrangement.places.len();
    let (mut late, mut taken) = (vec![false; count], vec![false; count]);
    let mark = |flags: &mut Vec<bool>, at: usize| {
        if let Some(flag) = flags.get_mut(at) {
            *flag = true;
        }
    };
    for piece in arrangement.pieces.iter().filter(|p| p.arc >= first) {
        mark(&mut late, piece.from);
        mark(&mut late, piece.to);
    }
    for edge in edges.iter().flat_map(|e| e.iter()) {
        mark(&mut taken, edge.from);
        mark(&mut taken, edge.to);
    }
    let mut points = Vec::new();
    for piece in arrangement.pieces.iter().filter(|p| p.arc < first) {
        for at in [piece.from, piece.to] {
            if late.get(at) == Some(&true) && taken.get(at) == Some(&false) {
                mark(&mut taken, at);
                points.extend(arrangement.places.get(at));
            }
        }
    }
    points
}

/// What lines share with a region.
pub(super) fn inside(lines: &[Vec<Vector>], region: &Region, guard: &Guard) -> Option<Made> {
    let mut arcs: Arcs = along(lines).collect();
    let first = arcs.len();
    arcs.extend(boundary(region));
    // Lines that cross one another do not cut one another.
    let may_cross = |a: usize, b: usize| a >= first || b >= first;
    let arrangement = arranged(&arcs, &may_cross, guard)?;
    let at_views = around_views(region)?.map(|count| [count, 0]);
    let of = |arc: usize| (arc >= first).then_some(0);
    let borders = borders(&arrangement, &of, at_views, guard)?;
    let mut edges = Vec::new();
    for border in &borders {
        if border.left[0] > 0 || border.right[0] > 0 {
            edges.extend(directed(&arrangement, border, first));
        }
    }
    let points = touched(&arrangement, first, &[&edges]);
    Some(Made {
        points,
        lines: lined(&arrangement.places, edges)?,
        region: Region::new(),
    })
}

/// What two lists of lines share.
pub(super) fn common(a: &[Vec<Vector>], b: &[Vec<Vector>], guard: &Guard) -> Option<Made> {
    let mut arcs: Arcs = along(a).collect();
    let first = arcs.len();
    arcs.extend(along(b));
    let may_cross = |i: usize, j: usize| (i >= first) != (j >= first);
    let arrangement = arranged(&arcs, &may_cross, guard)?;
    let borders = borders(&arrangement, &|_| None, [[0, 0]; 3], guard)?;
    let mut edges = Vec::new();
    for border in &borders {
        let pieces = border.forward.iter().chain(&border.backward);
        let is_late = |at: &&usize| {
            let piece = arrangement.pieces.get(**at);
            piece.is_some_and(|p| p.arc >= first)
        };
        if pieces.clone().any(|at| is_late(&at)) {
            edges.extend(directed(&arrangement, border, first));
        }
    }
    let points = touched(&arrangement, first, &[&edges]);
    Some(Made {
        points,
        lines: lined(&arrangement.places, edges)?,
        region: Region::new(),
    })
}

/// Lines as one, where they run together; those that only cross stay whole.
pub(super) fn joined(lines: &[Vec<Vector>], guard: &Guard) -> Option<Vec<Vec<Vector>>> {
    let arcs: Arcs = along(lines).collect();
    let count = arcs.len();
    let arrangement = arranged(&arcs, &|_, _| false, guard)?;
    let borders = borders(&arrangement, &|_| None, [[0, 0]; 3], guard)?;
    let edges = borders
        .iter()
        .filter_map(|border| directed(&arrangement, border, count));
    lined(&arrangement.places, edges.collect())
}

/// Rings by polygon, each shell with its holes: the smallest around each. `None` for a region without a shell: it has more than half of the sphere.
pub(super) fn polygons(region: &Region, guard: &Guard) -> Option<Vec<Vec<Vec<Vector>>>> {
    let (shells, holes): (Vec<&Vec<Vector>>, Vec<&Vec<Vector>>) =
        region.iter().partition(|ring| is_shell(ring));
    if shells.is_empty() && !holes.is_empty() {
        return None;
    }
    let mut found: Vec<Vec<Vec<Vector>>> = shells.iter().map(|s| vec![(*s).clone()]).collect();
    let mut insides = Vec::new();
    if !holes.is_empty() {
        for shell in &shells {
            let inside = Inside::new(&[(*shell).clone()])?;
            insides.push((sides::left_area(shell), inside));
        }
    }
    for hole in holes {
        if guard.is_cancelled() {
            return None;
        }
        // A ring touches another in places only, so the middle of an edge is on no boundary.
        let (a, b) = (*hole.first()?, *hole.get(1)?);
        let middle = unit(plus(a, b))?;
        let mut best: Option<(f64, usize)> = None;
        for (at, (area, inside)) in insides.iter().enumerate() {
            if (shells.len() == 1 || inside.has(middle))
                && best.is_none_or(|(least, _)| *area < least)
            {
                best = Some((*area, at));
            }
        }
        let (_, at) = best?;
        found.get_mut(at)?.push(hole.clone());
    }
    Some(found)
}
