//! Scripts beside the background: the door for attacks.

use std::collections::BTreeSet;

use model::{Span100ns, Ticks};

use super::{monday, world};
use crate::stage::Stage;
use crate::stream::Script;

/// Every six hours, somebody's shell starts an editor.
#[derive(Debug)]
struct Visitor {
    due: Vec<Ticks>,
}

impl Visitor {
    fn new() -> Self {
        let due = (1..=8)
            .rev()
            .map(|n| monday().saturating_add(Span100ns::seconds(n * 21_600)));
        Self { due: due.collect() }
    }
}

impl Script for Visitor {
    fn name(&self) -> String {
        "visitor".to_owned()
    }

    fn due(&self) -> Option<Ticks> {
        self.due.last().copied()
    }

    fn play(&mut self, stage: &mut Stage<'_>) {
        let Some(at) = self.due.pop() else { return };
        stage.room = 1;
        let number = stage.dice.index(stage.tenant.people.len());
        let device = stage.person(number).device;
        let system = stage.system_process(device, "cmd.exe", "services.exe");
        let mut editor = system.clone();
        editor.program = stage.world.programs.named("notepad.exe");
        editor.created = at;
        stage.process_created(device, &editor, &system);
    }
}

#[test]
fn a_second_script_plays_among_the_background() {
    let world = world(6_000);
    let mut with = world.records(1);
    with.add(Box::new(Visitor::new()));
    let all: Vec<_> = with.filter(|r| !r.repeat).collect();
    let editors: Vec<_> = all
        .iter()
        .filter(|r| r.json.contains("notepad.exe"))
        .collect();
    assert_eq!(editors.len(), 8);
    assert_eq!(all.len() as u64, world.tenants()[1].events + 8);
    assert!(all.is_sorted_by_key(|r| r.delivered));
    let times: BTreeSet<Ticks> = editors.iter().map(|r| r.time).collect();
    assert!(times.contains(&Visitor::new().due.remove(0)));
}

#[test]
fn the_days_go_on_alike_with_and_without_a_second_script() {
    let world = world(3_000);
    let times = |visited: bool| {
        let mut records = world.records(1);
        if visited {
            records.add(Box::new(Visitor::new()));
        }
        records
            .filter(|r| !r.repeat && !r.json.contains("notepad.exe"))
            .map(|r| (r.time, r.table))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(times(true), times(false));
}

#[test]
fn streams_can_be_read_from_several_threads() {
    fn sendable<T: Send>(_: &T) {}
    let world = world(600);
    sendable(&world.records(0));
    let folds: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|tenant| {
                scope.spawn({
                    let world = &world;
                    move || world.records(tenant).count()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let one_by_one: Vec<usize> = (0..3).map(|tenant| world.records(tenant).count()).collect();
    assert_eq!(folds, one_by_one);
}
