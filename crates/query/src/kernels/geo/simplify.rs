//! Lines and regions with fewer places, none moved by more than a tolerance.
//!
//! Two steps, as in the S2 library's builder, from its documentation. Places are taken in the order
//! of their S2 cells, and each that is nearer than the tolerance to one taken before becomes that
//! one, so that no two of the result are nearer. Then each chain between places at which several
//! meet is walked: an edge reaches as far as all places that it leaves out are within the
//! tolerance of it, in their order. A border that several polygons share is one chain, so it stays
//! one. What shrinks to less than an edge, or than a triangle, is gone.
//!
//! Does not look whether an edge now crosses another chain, as the builder does.

use std::collections::{HashMap, HashSet};

use super::super::args::Guard;
use super::arrange::ARCS_MAX;
use super::overlay::Region;
use super::s2;
use super::sides::is_shell;
use super::sphere::{RADIUS, Vector, angle, cross, dot, minus, unit};

/// Metres.
pub(super) const TOLERANCE_DEFAULT: f64 = 10.0;
/// Degrees: no tolerance is that large.
const TOLERANCE_END: f64 = 70.0;

/// LIMIT: places after the last that an edge may end at, among which another one is looked for.
const AHEAD_MAX: usize = 256;

/// Radians of a tolerance in metres; `None` if it is out of range.
pub(super) fn tolerance(metres: f64) -> Option<f64> {
    let radians = metres / RADIUS;
    (radians >= 0.0 && radians < TOLERANCE_END.to_radians()).then_some(radians)
}

/// Lines, simplified together.
pub(super) fn lines(
    lines: &[Vec<Vector>],
    tolerance: f64,
    guard: &Guard,
) -> Option<Vec<Vec<Vector>>> {
    let work = Simplify::new(lines, &[], tolerance, guard)?;
    let mut found = Vec::new();
    for line in lines {
        let chain = work.chain_of(line)?;
        if chain.len() > 1 {
            found.push(work.simplified(&chain, guard)?);
        }
    }
    let found = found.iter().filter(|l| l.len() > 1);
    Some(found.map(|l| work.vectors(l)).collect())
}

/// Regions, simplified together; each stays one, perhaps without rings.
pub(super) fn regions(regions: &[Region], tolerance: f64, guard: &Guard) -> Option<Vec<Region>> {
    let rings: Vec<Vec<Vector>> = regions.iter().flatten().cloned().collect();
    let work = Simplify::new(&[], &rings, tolerance, guard)?;
    let one = |region: &Region| -> Option<Region> {
        let mut found = Region::new();
        for ring in region {
            let mut chain = work.chain_of(ring)?;
            if chain.len() > 1 && chain.first() == chain.last() {
                chain.pop();
            }
            if chain.len() < 3 {
                continue;
            }
            let first = *chain.first()?;
            // From a place where borders meet on, if there is one, and back.
            let start = chain.iter().position(|at| work.nodes.contains(at));
            chain.rotate_left(start.unwrap_or(0));
            chain.push(*chain.first()?);
            let mut places = work.simplified(&chain, guard)?;
            places.pop();
            if let Some(at) = places.iter().position(|at| *at == first) {
                places.rotate_left(at);
            }
            let places = work.vectors(&places);
            if places.len() > 2 && is_shell(&places) == is_shell(ring) {
                found.push(places);
            }
        }
        Some(found)
    };
    regions.iter().map(one).collect()
}

struct Simplify {
    tolerance: f64,
    /// Places that are left.
    sites: Vec<Vector>,
    /// What each place became, by its bits.
    site_of: HashMap<[u64; 3], usize>,
    /// Places that became a site, with the site's own.
    members: Vec<Vec<Vector>>,
    /// Sites at which more than two edges meet, or a line ends.
    nodes: HashSet<usize>,
}

fn bits(place: Vector) -> [u64; 3] {
    place.map(f64::to_bits)
}

impl Simplify {
    fn new(
        lines: &[Vec<Vector>],
        rings: &[Vec<Vector>],
        tolerance: f64,
        guard: &Guard,
    ) -> Option<Self> {
        let mut all: Vec<Vector> = lines.iter().chain(rings).flatten().copied().collect();
        if all.len() > ARCS_MAX {
            return None;
        }
        all.sort_by_cached_key(|place| s2::number(*place));
        all.dedup();
        let mut work = Self {
            tolerance,
            sites: Vec::new(),
            site_of: HashMap::new(),
            members: Vec::new(),
            nodes: HashSet::new(),
        };
        let mut near = Near::new(tolerance);
        for place in all {
            if guard.is_cancelled() {
                return None;
            }
            let at = near.site(place, &work.sites).unwrap_or_else(|| {
                near.add(place, work.sites.len());
                work.sites.push(place);
                work.members.push(Vec::new());
                work.sites.len() - 1
            });
            work.site_of.insert(bits(place), at);
            work.members.get_mut(at)?.push(place);
        }
        work.find_nodes(lines, rings)?;
        Some(work)
    }

    fn find_nodes(&mut self, lines: &[Vec<Vector>], rings: &[Vec<Vector>]) -> Option<()> {
        let mut beside: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut note = |a: usize, b: usize| {
            for (at, other) in [(a, b), (b, a)] {
                let known = beside.entry(at).or_default();
                if known.len() < 3 && !known.contains(&other) {
                    known.push(other);
                }
            }
        };
        let mut ends = Vec::new();
        for line in lines {
            let chain = self.chain_of(line)?;
            ends.extend(chain.first().into_iter().chain(chain.last()).copied());
            for (a, b) in chain.iter().zip(chain.iter().skip(1)) {
                note(*a, *b);
            }
        }
        for ring in rings {
            let chain = self.chain_of(ring)?;
            let next = chain.iter().skip(1).chain(chain.first());
            for (a, b) in chain.iter().zip(next) {
                if a != b {
                    note(*a, *b);
                }
            }
        }
        let many = beside.iter().filter(|(_, known)| known.len() != 2);
        self.nodes = many.map(|(at, _)| *at).chain(ends).collect();
        Some(())
    }

    /// The sites along a line.
    fn chain_of(&self, line: &[Vector]) -> Option<Vec<usize>> {
        let mut chain = Vec::new();
        for place in line {
            let at = *self.site_of.get(&bits(*place))?;
            if chain.last() != Some(&at) {
                chain.push(at);
            }
        }
        Some(chain)
    }

    fn vectors(&self, chain: &[usize]) -> Vec<Vector> {
        let places = chain.iter().filter_map(|at| self.sites.get(*at));
        places.copied().collect()
    }

    /// A chain's parts between nodes, each simplified in the same direction whoever has it.
    fn simplified(&self, chain: &[usize], guard: &Guard) -> Option<Vec<usize>> {
        let mut found: Vec<usize> = chain.first().copied().into_iter().collect();
        let mut part: Vec<usize> = found.clone();
        for (at, site) in chain.iter().enumerate().skip(1) {
            if guard.is_cancelled() {
                return None;
            }
            part.push(*site);
            if at + 1 < chain.len() && !self.nodes.contains(site) {
                continue;
            }
            let turned = part.first() > part.last();
            if turned {
                part.reverse();
            }
            let mut places = self.walked(&part);
            if turned {
                places.reverse();
            }
            found.extend(places.into_iter().skip(1));
            part = vec![*site];
        }
        Some(found)
    }

    /// The sites at which the longest edges end.
    fn walked(&self, part: &[usize]) -> Vec<usize> {
        let mut kept: Vec<usize> = part.first().copied().into_iter().collect();
        let mut at = 0;
        while at + 1 < part.len() {
            let mut reached = at + 1;
            if let Some(start) = part.get(at).and_then(|s| self.sites.get(*s)) {
                let mut window = Window::new(*start, self.tolerance);
                for (to, site) in part.iter().enumerate().skip(at + 1) {
                    let Some(place) = self.sites.get(*site) else {
                        break;
                    };
                    if window.reaches(*place) {
                        reached = to;
                    }
                    let mut members = self.members.get(*site).into_iter().flatten();
                    if to - reached > AHEAD_MAX || !members.all(|m| window.keep(*m)) {
                        break;
                    }
                }
            }
            kept.extend(part.get(reached));
            at = reached;
        }
        kept
    }
}

/// The directions in which an edge passes all places that were left out.
struct Window {
    start: Vector,
    tolerance: f64,
    /// The direction of the first place that says something, and the side of it.
    axes: Option<(Vector, Vector)>,
    low: f64,
    high: f64,
    farthest: f64,
}

impl Window {
    fn new(start: Vector, tolerance: f64) -> Self {
        Self {
            start,
            tolerance,
            axes: None,
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
            farthest: 0.0,
        }
    }

    fn direction(&self, place: Vector) -> Option<f64> {
        let (ahead, side) = self.axes?;
        let away = minus(place, self.start);
        Some(dot(away, side).atan2(dot(away, ahead)))
    }

    /// Whether an edge may end here.
    fn reaches(&self, place: Vector) -> bool {
        let direction = self.direction(place).unwrap_or(0.0);
        let far = angle(self.start, place);
        direction >= self.low
            && direction <= self.high
            && far >= self.farthest
            && far < std::f64::consts::FRAC_PI_2
    }

    /// Narrows the window for a place to be left out; whether something is open.
    fn keep(&mut self, place: Vector) -> bool {
        let far = angle(self.start, place);
        if far <= self.tolerance {
            return true;
        }
        if self.axes.is_none() {
            let side = unit(cross(self.start, minus(place, self.start)));
            let axes = side.and_then(|s| Some((unit(cross(s, self.start))?, s)));
            let Some(axes) = axes else { return false };
            self.axes = Some(axes);
        }
        let Some(direction) = self.direction(place) else {
            return false;
        };
        let half = (self.tolerance.sin() / far.sin()).min(1.0).asin();
        self.low = self.low.max(direction - half);
        self.high = self.high.min(direction + half);
        self.farthest = self.farthest.max(far);
        self.low <= self.high
    }
}

/// Sites by their place in a grid.
struct Near {
    size: f64,
    cells: HashMap<[i64; 3], Vec<usize>>,
}

impl Near {
    fn new(tolerance: f64) -> Self {
        Self {
            size: 2.0 * (tolerance / 2.0).sin(),
            cells: HashMap::new(),
        }
    }

    fn cell(&self, place: Vector) -> [i64; 3] {
        place.map(|x| super::floor(x / self.size))
    }

    fn add(&mut self, place: Vector, site: usize) {
        if self.size > 0.0 {
            self.cells.entry(self.cell(place)).or_default().push(site);
        }
    }

    /// The nearest site within the tolerance.
    fn site(&self, place: Vector, sites: &[Vector]) -> Option<usize> {
        if self.size <= 0.0 {
            return None;
        }
        let [x, y, z] = self.cell(place);
        let mut best: Option<(f64, usize)> = None;
        let steps = [-1, 0, 1];
        for dx in steps {
            for dy in steps {
                for dz in steps {
                    let cell = [
                        x.saturating_add(dx),
                        y.saturating_add(dy),
                        z.saturating_add(dz),
                    ];
                    for at in self.cells.get(&cell).into_iter().flatten() {
                        let away = minus(place, *sites.get(*at)?);
                        let far = dot(away, away).sqrt();
                        if far <= self.size && best.is_none_or(|(least, _)| far < least) {
                            best = Some((far, *at));
                        }
                    }
                }
            }
        }
        best.map(|(_, at)| at)
    }
}
