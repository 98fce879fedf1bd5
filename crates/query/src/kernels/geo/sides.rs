//! How often closed rings run around a place, left of each piece of an arrangement and right of it.
//!
//! A number on the sphere is relative: it is known at a place once it is known at another and all
//! pieces are counted that a path between them crosses. Three fixed places, the [`VIEWS`], are the
//! others; a path from the middle of a piece goes to the view that is least in line with the
//! piece. Pieces that follow one another alone have the same numbers, so a path is made once for
//! each chain; of arrangements with very many chains, once for each connected part, and the rest
//! follows from the order of the pieces around each place. The former is not misled by pieces that
//! leave a place in nearly the same direction.

use super::super::args::Guard;
use super::arrange::{ARCS_PER_LOOK, Arrangement, Piece};
use super::sphere::{Vector, cross, dot, minus, normal, plus, times, triangle_area, unit};

/// Three directions at right angles, in line with no meridian and no parallel.
pub(super) const VIEWS: [Vector; 3] = [
    [
        0.419_820_355_323_659,
        -0.649_721_978_477_091,
        0.633_728_822_083_809,
    ],
    [
        0.782_548_584_832_211,
        0.612_817_384_494_863,
        0.109_875_227_590_114,
    ],
    [
        -0.459_748_389_483_880,
        0.449_795_735_800_919,
        0.765_712_226_898_780,
    ],
];

/// Places where chains meet, times borders: up to here a path is made for each chain.
const PATHS_MAX: usize = 20_000_000;

/// Times around a place: of the first region and of the second.
pub(super) type Counts = [i64; 2];

/// Between two places, all pieces as one: who runs there and what is on both sides.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Border {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Numbers of the pieces that run from `from` to `to`, of the first arc first.
    pub(super) forward: Vec<usize>,
    /// Numbers of those that run back.
    pub(super) backward: Vec<usize>,
    pub(super) left: Counts,
    pub(super) right: Counts,
    normal: Vector,
    /// By how much the left has more than the right.
    step: Counts,
    known: bool,
}

/// An arc that counts: from, to, perpendicular, by how much its left has more.
type Step = (Vector, Vector, Vector, Counts);

fn add(a: Counts, b: Counts, times: i64) -> Counts {
    let ([a0, a1], [b0, b1]) = (a, b);
    [a0 + times * b0, a1 + times * b1]
}

/// By how much `from` has more than `to`: what a path between them crosses.
fn crossed(from: Vector, to: Vector, steps: impl Iterator<Item = Step>) -> Option<Counts> {
    let path = normal(from, to)?;
    let mut sum = [0, 0];
    for (p, q, arc, step) in steps {
        // What is exactly on the path's circle counts as left, the same for all arcs that end there.
        let (p_left, q_left) = (dot(p, path) >= 0.0, dot(q, path) >= 0.0);
        if p_left == q_left {
            continue;
        }
        let place = cross(arc, path);
        let place = if dot(place, plus(p, q)) < 0.0 {
            times(place, -1.0)
        } else {
            place
        };
        if dot(cross(from, place), path) > 0.0 && dot(cross(place, to), path) > 0.0 {
            sum = add(sum, step, if p_left { -1 } else { 1 });
        }
    }
    Some(sum)
}

/// The view least in line with an arc, and whether it is on the arc's left.
fn view(arc: Vector) -> (usize, Vector, bool) {
    let mut best = (0, VIEWS[0], dot(VIEWS[0], arc));
    for (at, view) in VIEWS.iter().enumerate().skip(1) {
        let side = dot(*view, arc);
        if side.abs() > best.2.abs() {
            best = (at, *view, side);
        }
    }
    (best.0, best.1, best.2 > 0.0)
}

fn corners(ring: &[Vector]) -> impl Iterator<Item = (Vector, Vector)> + '_ {
    let next = ring.iter().skip(1).chain(ring.first());
    ring.iter().copied().zip(next.copied())
}

/// Whether each view is on the left side of a ring, which is given without its last place.
fn on_left(ring: &[Vector]) -> Option<[i64; 3]> {
    let steps: Vec<Step> = corners(ring)
        .filter_map(|(p, q)| Some((p, q, normal(p, q)?, [1, 0])))
        .collect();
    let (p, q, arc, _) = *steps.first()?;
    let (best, place, is_left) = view(arc);
    let middle = unit(plus(p, q))?;
    let between = crossed(middle, place, steps.iter().skip(1).copied())?;
    let known = i64::from(is_left) - between[0];
    let mut counts = [known; 3];
    for (at, (count, view)) in counts.iter_mut().zip(VIEWS).enumerate() {
        if at != best {
            *count += crossed(view, place, steps.iter().copied())?[0];
        }
    }
    Some(counts)
}

/// The area to the left of a ring on the unit sphere, from 0 to 4π.
pub(super) fn left_area(ring: &[Vector]) -> f64 {
    let Some(first) = ring.first() else {
        return 0.0;
    };
    let parts = corners(ring).map(|(p, q)| triangle_area(*first, p, q));
    parts.sum::<f64>().rem_euclid(4.0 * std::f64::consts::PI)
}

/// Whether the left of a ring is the smaller side.
pub(super) fn is_shell(ring: &[Vector]) -> bool {
    left_area(ring) <= 2.0 * std::f64::consts::PI
}

/// What is in a region, asked place by place.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Inside {
    steps: Vec<Step>,
    at_views: [i64; 3],
}

impl Inside {
    pub(super) fn new(rings: &[Vec<Vector>]) -> Option<Self> {
        let steps = rings.iter().flat_map(|ring| corners(ring));
        Some(Self {
            steps: steps
                .filter_map(|(p, q)| Some((p, q, normal(p, q)?, [1, 0])))
                .collect(),
            at_views: around_views(rings)?,
        })
    }

    /// Whether a place is inside; on the boundary either is said.
    pub(super) fn has(&self, place: Vector) -> bool {
        let views = self.at_views.iter().zip(VIEWS);
        let nearest = views.max_by(|a, b| dot(a.1, place).total_cmp(&dot(b.1, place)));
        nearest.is_some_and(|(known, view)| {
            let between = crossed(place, view, self.steps.iter().copied());
            between.is_some_and(|[count, _]| known + count > 0)
        })
    }
}

/// How often rings run around each view: shells once around their smaller side, holes minus once.
pub(super) fn around_views(rings: &[Vec<Vector>]) -> Option<[i64; 3]> {
    let mut sum = [0; 3];
    for ring in rings {
        let outside = i64::from(!is_shell(ring));
        for (sum, count) in sum.iter_mut().zip(on_left(ring)?) {
            *sum += count - outside;
        }
    }
    Some(sum)
}

/// Pieces that run between the same two places as one, with the numbers of both sides. `region_of`
/// says which region an arc bounds, if any; `at_views` are the numbers at each view.
pub(super) fn borders(
    arrangement: &Arrangement,
    region_of: &dyn Fn(usize) -> Option<usize>,
    at_views: [Counts; 3],
    guard: &Guard,
) -> Option<Vec<Border>> {
    let mut borders = together(arrangement, region_of)?;
    let mut at_place: Vec<Vec<usize>> = vec![Vec::new(); arrangement.places.len()];
    for (at, border) in borders.iter().enumerate() {
        at_place.get_mut(border.from)?.push(at);
        at_place.get_mut(border.to)?.push(at);
    }
    let nodes = at_place.iter().filter(|around| around.len() > 2).count();
    let in_order = nodes.saturating_mul(borders.len()) > PATHS_MAX;
    if in_order {
        order(&mut at_place, &borders, &arrangement.places)?;
    }
    let step_of = |b: &Border| -> Option<Step> {
        let places = &arrangement.places;
        Some((*places.get(b.from)?, *places.get(b.to)?, b.normal, b.step))
    };
    let steps: Vec<Step> = borders.iter().map(step_of).collect::<Option<_>>()?;
    for at in 0..borders.len() {
        if at % ARCS_PER_LOOK == 0 && guard.is_cancelled() {
            return None;
        }
        if borders.get(at)?.known {
            continue;
        }
        if steps.len() > ARCS_PER_LOOK && guard.is_cancelled() {
            return None;
        }
        let (p, q, arc, step) = *steps.get(at)?;
        let (best, place, is_left) = view(arc);
        let counting = steps.iter().enumerate();
        let others = counting.filter(|(i, s)| *i != at && s.3 != [0, 0]);
        let between = crossed(unit(plus(p, q))?, place, others.map(|(_, s)| *s))?;
        let here = add(*at_views.get(best)?, between, 1);
        let left = if is_left { here } else { add(here, step, 1) };
        spread(&mut borders, &at_place, at, left, in_order)?;
    }
    Some(borders)
}

fn together(
    arrangement: &Arrangement,
    region_of: &dyn Fn(usize) -> Option<usize>,
) -> Option<Vec<Border>> {
    let mut pieces: Vec<(usize, &Piece)> = arrangement.pieces.iter().enumerate().collect();
    let key = |p: &Piece| (p.from.min(p.to), p.from.max(p.to));
    pieces.sort_by_key(|(at, p)| (key(p), *at));
    let mut borders = Vec::new();
    for group in pieces.chunk_by(|a, b| key(a.1) == key(b.1)) {
        let (from, to) = key(group.first()?.1);
        let normal = normal(*arrangement.places.get(from)?, *arrangement.places.get(to)?)?;
        let mut border = Border {
            from,
            to,
            forward: Vec::new(),
            backward: Vec::new(),
            left: [0, 0],
            right: [0, 0],
            normal,
            step: [0, 0],
            known: false,
        };
        for (at, piece) in group {
            let is_forward = piece.from == from;
            if is_forward {
                border.forward.push(*at);
            } else {
                border.backward.push(*at);
            }
            if let Some(step) = region_of(piece.arc).and_then(|r| border.step.get_mut(r)) {
                *step += if is_forward { 1 } else { -1 };
            }
        }
        borders.push(border);
    }
    Some(borders)
}

/// Writes down what is left of a border, and of those that follow: around places with two borders
/// in any case, around others if they are in order.
fn spread(
    borders: &mut [Border],
    at_place: &[Vec<usize>],
    start: usize,
    left: Counts,
    in_order: bool,
) -> Option<()> {
    let set = |border: &mut Border, left: Counts| {
        border.left = left;
        border.right = add(left, border.step, -1);
        border.known = true;
    };
    set(borders.get_mut(start)?, left);
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        for is_end in [true, false] {
            let border = borders.get(at)?;
            // Seen from the place, the left of a border that leaves is its counterclockwise side.
            let (place, after, before) = if is_end {
                (border.to, border.right, border.left)
            } else {
                (border.from, border.left, border.right)
            };
            let around = at_place.get(place)?;
            if around.len() < 2 || (around.len() > 2 && !in_order) {
                continue;
            }
            let own = around.iter().position(|b| *b == at)?;
            let next = *around.get((own + 1) % around.len())?;
            let last = *around.get((own + around.len() - 1) % around.len())?;
            for (other, side, is_next) in [(next, after, true), (last, before, false)] {
                let border = borders.get_mut(other)?;
                if border.known {
                    continue;
                }
                // The next one's clockwise side is our counterclockwise one, and the other way round.
                let leaves = border.from == place;
                let left = if leaves == is_next {
                    add(side, border.step, 1)
                } else {
                    side
                };
                set(border, left);
                open.push(other);
            }
        }
    }
    Some(())
}

/// Puts the borders at each place in order, counterclockwise.
fn order(at_place: &mut [Vec<usize>], borders: &[Border], places: &[Vector]) -> Option<()> {
    for (place, around) in at_place.iter_mut().enumerate() {
        if around.len() < 3 {
            continue;
        }
        let here = *places.get(place)?;
        let away = |at: &usize| -> Option<Vector> {
            let border = borders.get(*at)?;
            let other = if border.from == place {
                border.to
            } else {
                border.from
            };
            Some(minus(*places.get(other)?, here))
        };
        let ahead = away(around.first()?)?;
        let side = cross(here, ahead);
        let turned = |at: &usize| -> Option<(f64, usize)> {
            let away = away(at)?;
            Some((dot(away, side).atan2(dot(away, ahead)), *at))
        };
        let mut sorted: Vec<(f64, usize)> = around.iter().map(turned).collect::<Option<_>>()?;
        sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        *around = sorted.into_iter().map(|(_, at)| at).collect();
    }
    Some(())
}
