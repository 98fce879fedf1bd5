//! Aggregates that put values together, over segments: the same as row by row.

use super::encode;
use super::scan::{File, day, early, hunt};

/// What is over segments goes by numbers; below a random number nothing does.
#[test]
fn lists_by_numbers_are_those_of_the_rows() {
    let files = [
        File::new(&early(day("2024-06-10"), 1000), 250),
        File::new(&early(day("2024-06-12"), 700), 100),
    ];
    for aggregates in [
        "make_set(Device)",
        "make_set(Device, 3), make_set(Late), make_list(Late, 2)",
        "make_list(Size), make_list(Size, 5), make_list_with_nulls(Size)",
        "make_set(Timestamp), make_list(bin(Timestamp, 1d), 4)",
        "make_set(Size > 500), make_list(toint(Size)), make_set(Size * 1.5)",
        "make_set(Timestamp - datetime(2024-06-10)), make_set(strcat(Device, '\"\\\\', Size % 3))",
        "make_set_if(Device, Size % 5 == 1), make_list_if(Size, Device == 'd3', 7)",
        "make_set(todynamic(Device)), make_list(pack_array(Size, Device))",
        "make_set(Device, 0), make_list(Device, 1)",
        "percentile(Size, 50), percentiles(Size, 5, 95), make_bag(bag_pack(Device, Size))",
        "dcount(Device), count_distinct(Device), stdev(Size), variance(Size), arg_max(Timestamp, *)",
        "hll(Device), tdigest(Size), buildschema(todynamic(Late)), binary_all_or(Size)",
    ] {
        for key in ["k = Size % 4", "Device", "Late, k = Size % 3, Device"] {
            let of = |rows: &str| {
                let query = format!(
                    "{rows} | summarize n = count(), {aggregates} by {key} | sort by n asc, {} asc",
                    key.trim_start_matches("k = ")
                );
                let query = query.replace("Size % 4 asc", "k asc");
                let query = query.replace(
                    "Late, k = Size % 3, Device asc",
                    "Late asc, k asc, Device asc",
                );
                encode::json(&hunt(&query, &files))
            };
            let by_rows = of("Events | where rand() >= 0.0");
            assert_eq!(of("Events"), by_rows, "{aggregates} by {key}");
        }
    }
}
