//! Each control is caught, and a search that does not look is seen not to.

use model::Random;

use super::kit::{World, expected};
use crate::{Control, ControlKind, Needles, Subject, controls, raw};

fn run(world: &World, needles: &Needles) -> Vec<Control> {
    let into = tempfile::TempDir::new().unwrap();
    let vaults: Vec<_> = world.vaults.iter().map(|vault| &**vault).collect();
    let random: &dyn Random = &*world.random;
    let subject = Subject {
        places: &world.places,
        vaults: &vaults,
        planted: &world.planted,
        needles,
        into: into.path(),
        random,
    };
    controls(&subject, expected).unwrap()
}

const KINDS: [ControlKind; 7] = [
    ControlKind::Log,
    ControlKind::Segment,
    ControlKind::Catalogue,
    ControlKind::Temporary,
    ControlKind::LogLines,
    ControlKind::MovedSegment,
    ControlKind::SealedElsewhere,
];

#[test]
fn every_control_is_caught_and_the_originals_stay_clean() {
    let mut world = World::new();
    // While the services run, and after they ended in order.
    for _ in 0..2 {
        let controls = run(&world, &world.needles);
        assert_eq!(controls.iter().map(|c| c.kind).collect::<Vec<_>>(), KINDS);
        for control in &controls {
            assert!(control.caught, "{control:?}");
        }
        assert!(raw(&world.places, &world.needles).unwrap().is_clean());
        world.close();
    }
}

/// A search for nothing does not catch what only the byte search or the values show.
#[test]
fn a_blind_search_catches_nothing() {
    let mut world = World::new();
    world.close();
    let caught: Vec<_> = run(&world, &Needles::new([]).unwrap())
        .into_iter()
        .filter(|control| control.caught)
        .map(|control| control.kind)
        .collect();
    assert_eq!(caught, [ControlKind::MovedSegment]);
}

/// What the search says without the damage is no proof that it finds the damage.
#[test]
fn what_was_there_before_counts_for_nothing() {
    let mut world = World::new();
    world.close();
    let lines = world.root.path().join("service.log");
    let mut file = std::fs::File::create(&lines).unwrap();
    for planted in &world.planted {
        if let crate::Marker::Text(text) = &planted.marker {
            std::io::Write::write_all(&mut file, format!("{text}\n").as_bytes()).unwrap();
        }
    }
    world.places.open.push(lines);
    let missed: Vec<_> = run(&world, &world.needles)
        .into_iter()
        .filter(|control| !control.caught)
        .map(|control| control.kind)
        .collect();
    assert_eq!(missed, [ControlKind::LogLines]);
}
