//! Shapes made of shapes: what holds for any of them, over polygons and lines drawn at random.
//!
//! The manual (`spec/kql/geo.md`) has what each function gives; here stand the laws: areas add up, a
//! buffer has its shape, nothing moves by more than the tolerance. A failure prints its seed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::Schema;
use testkit::SeededRandom;

use super::support::run;
use crate::{Cell, HuntResult};

fn ask(query: &str) -> HuntResult {
    run(query, Schema::hunting(), &BTreeMap::new()).unwrap_or_else(|e| panic!("{query}: {e:?}"))
}

fn cells(query: &str) -> Vec<String> {
    let result = ask(query);
    let mut all = Vec::new();
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            all.extend(batch.cells(row).map(|cell| match cell {
                Cell::Null => "null".to_owned(),
                Cell::Bool(b) => b.to_string(),
                Cell::Long(n) => n.to_string(),
                Cell::Real(x) => x.to_string(),
                Cell::Dynamic(text) | Cell::Text(text) => text.to_owned(),
                other => format!("{other:?}"),
            }));
        }
    }
    all
}

/// Rows of which `wrong` holds, and there must be none.
fn none_is_wrong(seed: u64, rows: &str, wrong: &str) {
    let query = format!("{rows}\n| extend wrong = {wrong}\n| where isnull(wrong) or wrong");
    let found = cells(&query);
    assert!(found.is_empty(), "seed {seed}, {wrong}: {found:#?}");
}

/// A number between two, with four digits.
fn between(random: &SeededRandom, least: f64, most: f64) -> f64 {
    let share = f64::from(u32::try_from(random.below(10_001)).expect("small")) / 10_000.0;
    ((least + (most - least) * share) * 10_000.0).round() / 10_000.0
}

/// A star around a middle: no edge crosses another.
fn polygon(random: &SeededRandom, longitude: f64, latitude: f64, size: f64) -> String {
    let corners = 3 + random.index(9);
    let mut ring = String::new();
    let mut first = String::new();
    for corner in 0..corners {
        let part = |n: usize| f64::from(u32::try_from(n).expect("small"));
        let turn = std::f64::consts::TAU * part(corner) / part(corners);
        let far = between(random, 0.2, 1.0) * size;
        let (x, y) = (longitude + far * turn.cos(), latitude + far * turn.sin());
        let place = format!("[{x:.5},{y:.5}]");
        let _ = write!(ring, "{place},");
        if corner == 0 {
            first = place;
        }
    }
    format!(r#"dynamic({{"type":"Polygon","coordinates":[[{ring}{first}]]}})"#)
}

fn line(random: &SeededRandom, longitude: f64, latitude: f64, size: f64) -> String {
    let places = 2 + random.index(8);
    let mut all = Vec::new();
    for _ in 0..places {
        let x = longitude + between(random, -size, size);
        let y = latitude + between(random, -size, size);
        all.push(format!("[{x:.5},{y:.5}]"));
    }
    let all = all.join(",");
    format!(r#"dynamic({{"type":"LineString","coordinates":[{all}]}})"#)
}

/// Pairs of polygons that may overlap, with a line across, as a table.
fn pairs(seed: u64) -> String {
    let random = SeededRandom::new(seed);
    let mut rows = Vec::new();
    for _ in 0..40 {
        let (x, y) = (
            between(&random, -150.0, 150.0),
            between(&random, -70.0, 70.0),
        );
        let size = [0.01, 1.0, 8.0][random.index(3)];
        let a = polygon(&random, x, y, size);
        let (dx, dy) = (between(&random, -size, size), between(&random, -size, size));
        let b = polygon(&random, x + dx, y + dy, size);
        rows.push(format!("{a}, {b}, {}", line(&random, x, y, size)));
    }
    format!(
        "datatable(a: dynamic, b: dynamic, l: dynamic) [{}]",
        rows.join(",\n")
    )
}

#[test]
fn areas_of_unions_and_intersections_add_up() {
    for seed in [1, 2] {
        let rows = format!(
            "{} | extend both = geo_union_polygons_array(pack_array(a, b)), shared = geo_intersection_2polygons(a, b)
            | extend whole = geo_polygon_area(both), common = coalesce(geo_polygon_area(shared), 0.0), parts = geo_polygon_area(a) + geo_polygon_area(b)",
            pairs(seed)
        );
        none_is_wrong(seed, &rows, "abs(whole + common - parts) > parts * 1e-9");
        none_is_wrong(
            seed,
            &rows,
            "geo_intersects_2polygons(a, b) != (array_length(shared.geometries) != 0 or isnull(shared.geometries))",
        );
    }
}

/// Corners on corners, on edges, edges on edges, three lines through one place: on a coarse grid all
/// of them are common. Parts of one great circle, and rings of some square millimetres.
#[test]
fn areas_add_up_where_much_coincides() {
    for (seed, corner, step) in [
        (11, (0.0, -2.0), 1.0),
        (12, (178.0, 80.0), 0.001),
        (13, (88.0, 0.0), 1.0),
    ] {
        let random = SeededRandom::new(seed);
        let triangle = || loop {
            let mut places = Vec::new();
            for _ in 0..3 {
                places.push((random.index(5), random.index(5)));
            }
            // Twice the area on the grid, from both turns around.
            let turns = |by: usize| -> usize {
                (0..3)
                    .map(|at| places[at].0 * places[(at + by) % 3].1)
                    .sum()
            };
            if turns(1) != turns(2) {
                places.push(places[0]);
                let part = |n: usize| f64::from(u32::try_from(n).expect("small")) * step;
                let ring = places
                    .iter()
                    .map(|(x, y)| format!("[{},{}]", corner.0 + part(*x), corner.1 + part(*y)));
                let ring: Vec<String> = ring.collect();
                break format!(
                    r#"dynamic({{"type":"Polygon","coordinates":[[{}]]}})"#,
                    ring.join(",")
                );
            }
        };
        let rows: Vec<String> = (0..120)
            .map(|_| format!("{}, {}, {}", triangle(), triangle(), triangle()))
            .collect();
        let rows = format!(
            "datatable(a: dynamic, b: dynamic, c: dynamic) [{}]
            | extend both = geo_union_polygons_array(pack_array(a, b)), shared = geo_intersection_2polygons(a, b), all = geo_union_polygons_array(pack_array(a, b, c))
            | extend shared = iff(tostring(shared.type) == 'GeometryCollection', shared.geometries[array_length(shared.geometries) - 1], shared)
            | extend whole = geo_polygon_area(both), common = coalesce(geo_polygon_area(shared), 0.0), parts = geo_polygon_area(a) + geo_polygon_area(b)",
            rows.join(",\n")
        );
        none_is_wrong(seed, &rows, "abs(whole + common - parts) > parts * 1e-9");
        none_is_wrong(
            seed,
            &rows,
            "geo_polygon_area(all) < whole * (1 - 1e-9) or geo_polygon_area(all) > (whole + geo_polygon_area(c)) * (1 + 1e-9)",
        );
    }
}

#[test]
fn a_union_does_not_depend_on_the_order_and_an_intersection_with_it_gives_the_part() {
    let rows = format!(
        "{} | extend one = geo_union_polygons_array(pack_array(a, b)), other = geo_union_polygons_array(pack_array(b, a))",
        pairs(3)
    );
    let wrong = "abs(geo_polygon_area(one) - geo_polygon_area(other)) > 1e-9 * geo_polygon_area(one)
        or abs(geo_polygon_perimeter(one) - geo_polygon_perimeter(other)) > 1e-9 * geo_polygon_perimeter(one)
        or abs(geo_polygon_area(geo_intersection_2polygons(one, a)) - geo_polygon_area(a)) > 1e-9 * geo_polygon_area(a)";
    none_is_wrong(3, &rows, wrong);
}

#[test]
fn a_line_is_cut_in_what_is_inside_and_nothing_else() {
    let rows = format!(
        "{} | extend inner = geo_intersection_line_with_polygon(l, a)
        | extend inner = coalesce(geo_line_length(inner), 0.0), all = geo_line_length(l)
        | extend again = geo_line_length(geo_union_lines_array(pack_array(l, l)))",
        pairs(4)
    );
    none_is_wrong(4, &rows, "inner > all * (1 + 1e-12)");
    none_is_wrong(4, &rows, "abs(again - all) > all * 1e-9");
    none_is_wrong(
        4,
        &rows,
        "not(geo_intersects_line_with_polygon(l, a)) and inner > 0.0",
    );
}

#[test]
fn a_buffer_has_its_shape_and_ends_within_the_tolerance() {
    let rows = format!(
        "{} | extend r = 0.1 * sqrt(geo_polygon_area(a)) | extend t = r / 20
        | extend around = geo_polygon_buffer(a, r, t), band = geo_line_buffer(l, r, t)",
        pairs(5)
    );
    none_is_wrong(
        5,
        &rows,
        "abs(geo_polygon_area(geo_intersection_2polygons(around, a)) - geo_polygon_area(a)) > 1e-9 * geo_polygon_area(a)",
    );
    none_is_wrong(
        5,
        &rows,
        "abs(geo_line_length(geo_intersection_line_with_polygon(l, band)) - geo_line_length(l)) > 1e-9 * geo_line_length(l)",
    );
    let corners = format!(
        "{rows} | mv-expand corner = around.coordinates[0] | extend far = geo_distance_point_to_polygon(todouble(corner[0]), todouble(corner[1]), a)"
    );
    none_is_wrong(5, &corners, "abs(far - r) > t");
}

#[test]
fn what_is_denser_stays_on_the_map_and_what_is_simpler_near() {
    let rows = format!(
        "{} | extend dense = geo_line_densify(l, 1000), t = geo_line_length(l) / 50 | extend simple = geo_line_simplify(l, t)",
        pairs(6)
    );
    let places = format!(
        "{rows} | mv-expand place = l.coordinates | extend far = geo_distance_point_to_line(todouble(place[0]), todouble(place[1]), simple)"
    );
    none_is_wrong(6, &places, "far > t * (1 + 1e-9)");
    let middles = format!(
        "{rows} | where array_length(l.coordinates) == 2
        | extend x = (todouble(l.coordinates[0][0]) + todouble(l.coordinates[1][0])) / 2, y = (todouble(l.coordinates[0][1]) + todouble(l.coordinates[1][1])) / 2
        | extend far = geo_distance_point_to_line(x, y, dense)"
    );
    none_is_wrong(6, &middles, "far > 1000.0");
    let rows = format!(
        "{} | extend t = sqrt(geo_polygon_area(a)) / 50 | extend simple = geo_polygon_simplify(a, t)
        | mv-expand place = a.coordinates[0]
        | extend nearest = geo_closest_point_on_polygon(todouble(place[0]), todouble(place[1]), simple)
        | extend far = geo_distance_2points(todouble(place[0]), todouble(place[1]), todouble(nearest.coordinates[0]), todouble(nearest.coordinates[1]))",
        pairs(7)
    );
    none_is_wrong(7, &rows, "far > t * (1 + 1e-9)");
}

#[test]
fn cells_cover_a_shape_and_no_neighbour_is_missing() {
    let rows = format!(
        "{} | extend level = toint(log2(7842000 / sqrt(geo_polygon_area(a)))) + 3 | where level < 25
        | extend cells = geo_polygon_to_s2cells(a, level), line = geo_line_to_s2cells(l, level)",
        pairs(8)
    );
    let corners = format!(
        "{rows} | mv-expand corner = a.coordinates[0] | extend cell = geo_point_to_s2cell(todouble(corner[0]), todouble(corner[1]), level)"
    );
    none_is_wrong(8, &corners, "not(set_has_element(cells, cell))");
    let middle = format!(
        "{rows} | extend middle = geo_polygon_centroid(a) | extend x = todouble(middle.coordinates[0]), y = todouble(middle.coordinates[1])
        | where geo_point_in_polygon(x, y, a) | extend cell = geo_point_to_s2cell(x, y, level)"
    );
    none_is_wrong(8, &middle, "not(set_has_element(cells, cell))");
    let along = format!(
        "{rows} | where array_length(l.coordinates) > 1 | mv-expand share = range(0.0, 1.0, 0.05) to typeof(real)
        | extend place = geo_line_interpolate_point(l, share)
        | extend cell = geo_point_to_s2cell(todouble(place.coordinates[0]), todouble(place.coordinates[1]), level)"
    );
    none_is_wrong(8, &along, "not(set_has_element(line, cell))");
    let size = format!(
        "{rows} | extend found = geo_union_polygons_array(array_concat(pack_array(a), pack_array(a)))"
    );
    none_is_wrong(8, &size, "array_length(cells) > 4000 or isnull(found)");
}

#[test]
fn tiles_make_a_whole_without_seams() {
    // Cells of a grid, children of a hexagon, and a ring of circles around a hole.
    let tiles = [
        (
            "range i from 0 to 63 step 1 | project p = geo_geohash_to_polygon(geo_point_to_geohash(10.0 + 0.044 * (i % 8), 50.0 + 0.044 * (i / 8), 5))",
            "1",
        ),
        (
            "print c = geo_h3cell_children(geo_point_to_h3cell(10.0, 50.0, 6), 8) | mv-expand c to typeof(string) | project p = geo_h3cell_to_polygon(c)",
            "1",
        ),
        (
            "print c = geo_polygon_to_s2cells(geo_point_buffer(179.99, 80.0, 20000), 12) | mv-expand c to typeof(string) | project p = geo_s2cell_to_polygon(c)",
            "1",
        ),
        (
            "range i from 0 to 23 step 1 | project p = geo_point_buffer(cos(i * pi() / 12), sin(i * pi() / 12), 20000, 50)",
            "2",
        ),
    ];
    for (query, rings) in tiles {
        let union = format!(
            "{query} | summarize areas = sum(geo_polygon_area(p)), all = make_list(p)
            | extend whole = geo_union_polygons_array(all)
            | project rings = array_length(whole.coordinates), type = tostring(whole.type), share = round(geo_polygon_area(whole) / areas, 6)"
        );
        let found = cells(&union);
        assert_eq!(
            found.get(..2),
            Some(&[rings.to_owned(), "Polygon".to_owned()][..]),
            "{union}"
        );
        if rings == "1" {
            assert_eq!(found.get(2).map(String::as_str), Some("1"), "{union}");
        }
    }
}

#[test]
fn a_shape_may_lie_anywhere() {
    // At a pole, over the antimeridian, larger than a quarter of the earth.
    let wrong = cells(
        "datatable(x: real, y: real, r: real) [0.0, 90.0, 100000.0, 179.9, 10.0, 100000.0, -180.0, -89.9, 1000000.0, 20.0, 5.0, 9900000.0, 100.0, -40.0, 3000000.0]
        | extend b = geo_point_buffer(x, y, r, r / 10000)
        | extend share = geo_polygon_area(b) / (2 * pi() * 6371010.0 * 6371010.0 * (1 - cos(r / 6371010.0)))
        | extend again = geo_polygon_area(geo_intersection_2polygons(b, b)) / geo_polygon_area(b)
        | where not(abs(share - 1) < 0.001) or not(abs(again - 1) < 1e-9)",
    );
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// So many that sides follow from the order around places, not from a path for each chain.
#[test]
fn a_shape_of_thousands_of_places_is_joined_as_one_of_few() {
    let ring = "let ring = (x: real) { bag_pack('type', 'Polygon', 'coordinates', pack_array(toscalar(range i from 0 to 4000 step 1
        | extend turn = (i % 4000) * 2 * pi() / 4000 | extend far = 1.0 + 0.05 * cos(40.0 * turn)
        | summarize make_list(pack_array(pack_array(x + far * cos(turn), far * sin(turn))))))) };";
    let query = format!(
        "{ring} print a = ring(0.0), b = ring(0.5)
        | extend around = geo_polygon_buffer(a, 1000, 10), both = geo_union_polygons_array(pack_array(a, b)), shared = geo_intersection_2polygons(a, b)
        | extend own = geo_polygon_area(a), other = geo_polygon_area(b)
        | project kept = abs(geo_polygon_area(geo_intersection_2polygons(around, a)) / own - 1) < 1e-9,
            parts = abs((geo_polygon_area(both) + geo_polygon_area(shared)) / (own + other) - 1) < 1e-9, rings = array_length(around.coordinates)"
    );
    assert_eq!(cells(&query), ["true", "true", "1"]);
}

#[test]
fn a_border_with_more_places_on_one_side_is_one_border() {
    let query = "let line = dynamic({\"type\":\"LineString\",\"coordinates\":[[12.34567,48.1],[12.76543,49.7]]});
        range i from 1 to 40 step 1 | extend share = i / 41.0 | extend place = geo_line_interpolate_point(line, share) | sort by i asc
        | summarize inner = make_list(pack_array(place.coordinates))
        | project a = dynamic({\"type\":\"Polygon\",\"coordinates\":[[[12.34567,48.1],[12.76543,49.7],[11.0,49.0],[12.34567,48.1]]]}),
            b = bag_pack('type', 'Polygon', 'coordinates', pack_array(array_concat(pack_array(pack_array(12.76543, 49.7)), array_reverse(inner), pack_array(pack_array(12.34567, 48.1), pack_array(14.0, 48.5), pack_array(12.76543, 49.7)))))
        | extend both = geo_union_polygons_array(pack_array(a, b)), edge = geo_intersection_2polygons(a, b)
        | project corners = array_length(both.coordinates[0]), edge = tostring(edge.type), places = array_length(edge.coordinates),
            whole = abs(geo_polygon_area(both) / (geo_polygon_area(a) + geo_polygon_area(b)) - 1) < 1e-9";
    assert_eq!(cells(query), ["5", "LineString", "2", "true"]);
}

#[test]
fn what_is_no_shape_gives_null_and_no_text_breaks_anything() {
    let odd = [
        "dynamic(null)",
        "dynamic([])",
        "dynamic({})",
        r#"dynamic({"type":"Polygon","coordinates":[]})"#,
        r#"dynamic({"type":"Polygon","coordinates":[[]]})"#,
        r#"dynamic({"type":"Polygon","coordinates":[[[0,0],[1,1],[0,0],[1,1],[0,0]]]})"#,
        r#"dynamic({"type":"Polygon","coordinates":[[[0,0],[180,0],[0,1],[0,0]]]})"#,
        r#"dynamic({"type":"Polygon","coordinates":[[["NaN",0],[1,0],[1,1],["NaN",0]]]})"#,
        r#"dynamic({"type":"LineString","coordinates":[[0,0],[180,0]]})"#,
        r#"dynamic({"type":"LineString","coordinates":[[0,0]]})"#,
        r#"dynamic({"type":"LineString","coordinates":[[1e308,1e308],[-1e308,0]]})"#,
        r#"dynamic({"type":"LineString","coordinates":[[0,90],[0,-90]]})"#,
        r#"dynamic({"type":"MultiPolygon","coordinates":[]})"#,
        r#"dynamic({"type":"MultiLineString","coordinates":[]})"#,
        r#"dynamic({"type":"MultiPolygon","coordinates":[[[[0,0],[0,90],[90,0],[0,0]]],[[[0,0],[0,90],[-90,0],[0,0]]],[[[0,0],[0,-90],[90,0],[0,0]]],[[[0,0],[0,-90],[-90,0],[0,0]]],[[[180,0],[180,90],[90,0],[180,0]]]]})"#,
    ];
    for shape in odd {
        let query = format!(
            "let s = {shape}; let ok = dynamic({{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,0],[1,1],[0,0]]]}});
            print geo_union_polygons_array(pack_array(s, ok)), geo_union_lines_array(pack_array(s)), geo_union_polygons_array(s),
                geo_intersection_2polygons(s, ok), geo_intersection_line_with_polygon(s, ok), geo_intersection_2lines(s, s),
                geo_line_buffer(s, 100), geo_polygon_buffer(s, 100000), geo_polygon_buffer(s, 1e7, 1e5), geo_line_densify(s), geo_polygon_densify(s, 100, true),
                geo_line_simplify(s), geo_polygon_simplify(s, 1e6), geo_simplify_polygons_array(pack_array(s, s)),
                geo_line_to_s2cells(s, 4, 1e5), geo_polygon_to_s2cells(s, 3), geo_polygon_to_h3cells(s, 2), geo_polygon_area(s), geo_polygon_centroid(s)"
        );
        assert_eq!(cells(&query).len(), 19, "{query}");
    }
    let numbers = "print geo_point_buffer(0, 0, real(nan)), geo_point_buffer(0, 0, real(+inf)), geo_point_buffer(0, 0, 1e9), geo_point_buffer(0, 0, 10, 1e-9),
        geo_point_buffer(200, 0, 10), geo_point_buffer(0, 0, 10, real(nan)), geo_point_buffer(0, 0, 0)";
    assert_eq!(cells(numbers), ["null"; 7]);
}

#[test]
fn a_plugin_of_places_says_what_it_wants() {
    let code = |query: &str| {
        let error = run(query, Schema::hunting(), &BTreeMap::new()).expect_err("an error");
        super::support::describe(&error)
    };
    let tables = "let t = datatable(k: string, s: dynamic) []; print x = 1.0, y = 2.0 | evaluate";
    for (call, expected) in [
        (
            "geo_line_lookup(t, s, x, y)",
            "KQL0302 the plugin wants a radius in metres",
        ),
        (
            "geo_polygon_lookup(t, k, x, y)",
            "KQL0310 the plugin wants a dynamic column of shapes",
        ),
        (
            "geo_polygon_lookup(t, s, x)",
            "KQL0302 the plugin wants a table, its column of shapes, a longitude and a latitude",
        ),
        (
            "geo_polygon_lookup(t, s, x, y, nothing = true)",
            "KQL0210 unknown option `nothing`",
        ),
    ] {
        assert_eq!(code(&format!("{tables} {call}")), expected, "{call}");
    }
}

#[test]
fn a_plugin_of_places_takes_shapes_before_or_behind_the_place() {
    let tables = r#"let t = datatable(k: string, s: dynamic) ["a", dynamic({"type":"LineString","coordinates":[[0,0],[2,0]]}), "none", dynamic(null), "b", dynamic({"type":"LineString","coordinates":[[1,-1],[1,1]]})];
        datatable(x: real, y: real) [1.0, 0.001, 0.1, 0.0, 9.0, 9.0, 200.0, 0.0] | evaluate"#;
    let rows = |call: &str| cells(&format!("{tables} {call} | order by x asc, k asc"));
    let expected = ["0.1", "0", "a", "1", "0.001", "a", "1", "0.001", "b"];
    assert_eq!(rows("geo_line_lookup(t, s, x, y, 1000)"), expected);
    assert_eq!(rows("geo_line_lookup(t, x, y, s, 1000)"), expected);
    let all = rows("geo_line_lookup(t, s, x, y, 1000, true) | project x, k");
    assert_eq!(all, ["0.1", "a", "1", "a", "1", "b", "9", "", "200", ""]);
    let key = rows(
        "geo_line_lookup(t, s, x, y, radius = 1000, return_lookup_key = true) | where k == 'b' | project x, k = tostring(s.type)",
    );
    assert_eq!(key, ["1", "LineString"]);
}

#[test]
fn a_border_of_two_polygons_stays_one_when_both_are_simplified() {
    let query = r#"let border = toscalar(range i from 0 to 200 step 1 | extend y = 48 + i * 0.01 | summarize make_list(pack_array(pack_array(11 + 0.02 * sin(i / 7.0), y))));
        let west = bag_pack('type', 'Polygon', 'coordinates', pack_array(array_concat(border, dynamic([[9,50],[9,48]]), pack_array(border[0]))));
        let east = bag_pack('type', 'Polygon', 'coordinates', pack_array(array_concat(dynamic([[13,50]]), array_reverse(border), dynamic([[13,48],[13,50]]))));
        let simple = geo_simplify_polygons_array(pack_array(west, east), 500);
        print a = bag_pack('type', 'Polygon', 'coordinates', simple.coordinates[0]), b = bag_pack('type', 'Polygon', 'coordinates', simple.coordinates[1])
        | extend shared = geo_intersection_2polygons(a, b)
        | project count = array_length(simple.coordinates), edge = tostring(shared.type), fewer = array_length(shared.coordinates) < 60,
            apart = round(geo_polygon_area(geo_union_polygons_array(pack_array(a, b))) / (geo_polygon_area(a) + geo_polygon_area(b)), 9)"#;
    assert_eq!(cells(query), ["2", "LineString", "true", "1"]);
}
