//! Determinism, order, counts and repeats.

use std::collections::{BTreeMap, BTreeSet};

use model::{Span100ns, Ticks};

use super::{fold, monday, options, specs, world};
use crate::{Options, Profile, World};

#[test]
fn a_seed_gives_the_bytes_it_always_gave() {
    // These figures change only when the generator is meant to change; say so in the change log.
    let world = world(1_200);
    let folds: Vec<String> = (0..3)
        .map(|t| format!("{:016x}", fold(&world, t)))
        .collect();
    assert_eq!(folds, GOLDEN);
}

const GOLDEN: [&str; 3] = ["11dfcdd420dc23d9", "31a8f53059f60ea6", "91ee397b8aaf85d6"];

#[test]
fn a_planting_is_what_it_always_was() {
    let planting = world(1_200).plant(1, 7);
    let text: String = planting.records.iter().map(|r| r.json.as_str()).collect();
    let sum = text
        .bytes()
        .fold(0_u64, |s, b| s.wrapping_mul(31).wrapping_add(b.into()));
    assert_eq!(format!("{sum:016x}"), "9832841bc0a4c705");
}

#[test]
fn another_seed_gives_other_bytes() {
    let mut other = options(1_200);
    other.seed += 1;
    assert_ne!(
        fold(&world(1_200), 0),
        fold(&World::new(&other).unwrap(), 0)
    );
}

#[test]
fn a_tenant_does_not_depend_on_the_others() {
    let three = world(6_000);
    let second = specs().remove(1);
    let alone = World::new(&Options::new(42, 2_000, vec![second], monday())).unwrap();
    assert_eq!(alone.tenants()[0].events, three.tenants()[1].events);
    assert_eq!(fold(&alone, 0), fold(&three, 1));
}

#[test]
fn the_count_is_exact() {
    for events in [0, 1, 5, 100, 2_003] {
        let world = world(events);
        let mut sum = 0;
        for tenant in 0..3 {
            let rows = world.records(tenant).filter(|r| !r.repeat).count() as u64;
            assert_eq!(rows, world.tenants()[tenant].events);
            sum += rows;
        }
        assert_eq!(sum, events);
    }
}

#[test]
fn a_tenant_that_is_not_there_has_no_records() {
    let world = world(100);
    assert_eq!(world.records(3).count(), 0);
    assert!(world.process_event(3).is_none());
    assert!(world.plant(3, 1).records.is_empty());
}

#[test]
fn records_come_in_order_of_delivery_and_inside_the_window() {
    let world = world(20_000);
    let end =
        Ticks(monday().0 + 3 * model::ticks::PER_DAY).saturating_add(Span100ns::seconds(1800));
    for tenant in 0..3 {
        let mut last = Ticks::MIN;
        for record in world.records(tenant) {
            assert!(
                record.delivered >= last,
                "{} after {last}",
                record.delivered
            );
            assert!(
                record.time >= monday() && record.time < end,
                "{}",
                record.time
            );
            assert!(record.delivered.since(record.time) >= Span100ns::seconds(88));
            last = record.delivered;
        }
    }
}

#[test]
fn repeats_have_the_same_row_and_a_fresh_clock() {
    let world = world(30_000);
    let mut first: BTreeMap<String, Ticks> = BTreeMap::new();
    let (mut rows, mut repeats) = (0_u32, 0_u32);
    for record in world.records(2) {
        if record.repeat {
            repeats += 1;
            let before = first.get(record.row()).expect("the same bytes came before");
            assert!(record.delivered.since(*before) >= Span100ns::seconds(60));
        } else {
            rows += 1;
            let seen = first.insert(record.row().to_owned(), record.delivered);
            assert!(
                seen.is_none(),
                "two different events have one row: {}",
                record.row()
            );
        }
    }
    let permille = repeats * 1000 / rows;
    assert!((25..55).contains(&permille), "{permille}");
}

#[test]
fn the_share_of_repeats_does_not_change_what_happens() {
    let rows = |permille| {
        let mut options = options(3_000);
        options.duplicates_permille = permille;
        let world = World::new(&options).unwrap();
        world
            .records(1)
            .filter(|r| !r.repeat)
            .map(|r| r.row().to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(rows(0), rows(500));
}

#[test]
fn some_rows_are_late() {
    let world = world(30_000);
    let late = world
        .records(2)
        .filter(|r| !r.repeat && r.delivered.since(r.time) > Span100ns::seconds(330))
        .count();
    assert!((20..200).contains(&late), "{late}");
}

#[test]
fn working_hours_carry_the_load() {
    let world = world(20_000);
    let (mut by_day, mut all) = (0, 0);
    for record in world.records(0) {
        let hour = record.time.0 / (3600 * model::ticks::PER_SECOND) % 24;
        all += 1;
        by_day += u32::from((7..19).contains(&hour));
    }
    assert!(by_day * 100 > all * 85, "{by_day} of {all}");
}

#[test]
fn process_rows_alone_are_of_the_size_that_is_measured() {
    let world = world(3_000);
    let records: Vec<_> = world.records_as(0, Profile::ProcessOnly).collect();
    assert_eq!(records.iter().filter(|r| !r.repeat).count(), 500);
    assert!(records.iter().all(|r| r.table == "DeviceProcessEvents"));
    let mean = records.iter().map(|r| r.json.len()).sum::<usize>() / records.len();
    assert!((3_400..3_800).contains(&mean), "{mean}");
    assert_eq!(world.process_event(0).as_ref(), records.first());
}

#[test]
fn vendor_alerts_can_be_left_out() {
    let count = |per_100k| {
        let mut options = options(20_000);
        options.vendor_alerts_per_100k = per_100k;
        let world = World::new(&options).unwrap();
        world
            .records(2)
            .filter(|r| r.table == "AlertInfo" && !r.repeat)
            .count()
    };
    assert_eq!(count(0), 0);
    assert!((2..60).contains(&count(200)), "{}", count(200));
}
