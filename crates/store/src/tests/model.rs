//! Random work, crashes and failures against a simple model: what was acknowledged is there once,
//! what was not is there at most once; detection sees every row that is there, and makes of each the same
//! one alert, however often it is interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use access::Maintain;
use model::{AlertSeverity, RegionCode};
use rows::hidden;
use testkit::SeededRandom;

use super::incidents::alert_id;
use super::kit::{OTHER, World, number_of};
use crate::{AlertRecord, DetectionCommit, Error, StateRecord, Store};

const RUNS: u64 = 200;
const STEPS: u64 = 20;
/// Small tables: it is the order of things that is tried here, not their size.
const TABLES: [&str; 2] = ["Raw_CL", OTHER];

/// What the world outside knows.
#[derive(Default)]
struct Model {
    /// Rows of each tenant that were acknowledged.
    acknowledged: [BTreeSet<u64>; 4],
    /// Rows that were sent.
    sent: [BTreeSet<u64>; 4],
    next: u64,
    /// Whether rows are examined.
    detects: bool,
}

impl Model {
    fn check(&self, world: &World, store: &Store) {
        for n in 1..=3_u8 {
            let rows: BTreeMap<u64, usize> = world.rows(store, n);
            for (id, times) in &rows {
                assert_eq!(*times, 1, "row {id} of tenant {n} is there {times} times");
                assert!(
                    self.sent[usize::from(n)].contains(id),
                    "row {id} was never sent"
                );
            }
            for id in &self.acknowledged[usize::from(n)] {
                assert!(rows.contains_key(id), "row {id} of tenant {n} is lost");
            }
        }
    }

    /// What detection promises: a row that is there was examined, and then its alert is there, or waits.
    /// As many alerts as the state has counted, so that no commit was half.
    async fn check_detection(&self, world: &World, store: &Store) {
        for n in 1..=3_u8 {
            let behind = store.undetected(&world.grant(n), usize::MAX).unwrap();
            let mut waiting = BTreeSet::new();
            for id in behind
                .iter()
                .flat_map(|u| hidden::row_ids(&u.batch).unwrap())
            {
                assert!(waiting.insert(number_of(id)), "row {id} waits twice");
            }
            let state = store.detection_state(&world.grant(n)).await.unwrap();
            let mut alerts = 0;
            for id in world.rows(store, n).keys() {
                let alert = store.alert(&world.grant(n), alert_id(*id)).await.unwrap();
                assert!(
                    alert.is_some() != waiting.contains(id),
                    "row {id} of tenant {n} was skipped, or waits though it was examined"
                );
                alerts += u64::from(alert.is_some());
            }
            let counted = state.state.map_or(0, |s| count_of(&s));
            assert_eq!(alerts, counted, "tenant {n}: a commit was half");
        }
    }

    async fn append(&mut self, world: &World, store: &Store, random: &SeededRandom) {
        let n = u8::try_from(1 + random.below(3)).unwrap();
        let mut ids = Vec::new();
        for _ in 0..=random.below(6) {
            if random.chance(25) && self.next > 0 {
                ids.push(random.below(self.next));
            } else {
                ids.push(self.next);
                self.next += 1;
            }
        }
        // A row's identity covers its table: the same number always goes to the same one.
        for name in TABLES {
            let of_table = |id: &u64| TABLES[usize::try_from(id % 2).unwrap()] == name;
            let ids: Vec<u64> = ids.iter().copied().filter(of_table).collect();
            self.sent[usize::from(n)].extend(&ids);
            if !ids.is_empty() && world.append(store, n, name, &ids).await.is_ok() {
                self.acknowledged[usize::from(n)].extend(ids);
            }
        }
    }
}

fn count_of(state: &StateRecord) -> u64 {
    u64::from_le_bytes(state.body.as_slice().try_into().unwrap())
}

/// Examines some of what waits: each row is an alert, and the state counts them.
async fn detect(world: &World, store: &Store, n: u8, random: &SeededRandom) -> Result<(), Error> {
    let waiting = store.undetected(&world.grant::<Maintain>(n), random.index(3_000))?;
    let Some(last) = waiting.last() else {
        return Ok(());
    };
    let former = store.detection_state(&world.grant(n)).await?.state;
    let ids = waiting
        .iter()
        .flat_map(|u| hidden::row_ids(&u.batch).unwrap());
    let alert = |id| AlertRecord {
        id: alert_id(number_of(id)),
        created_at: world.clock_now(),
        severity: AlertSeverity::Low,
        incident: None,
        origin: RegionCode::new("eu").unwrap(),
        linked: false,
        body: b"an alert".to_vec(),
    };
    let alerts: Vec<_> = ids.map(alert).collect();
    let counted = former.as_ref().map_or(0, count_of) + u64::try_from(alerts.len()).unwrap();
    let commit = DetectionCommit {
        cursor: Some(last.sequence),
        alerts,
        state: Some(StateRecord {
            version: former.map_or(0, |s| s.version) + 1,
            body: counted.to_le_bytes().to_vec(),
        }),
        ..DetectionCommit::default()
    };
    let done = store.commit_detection(&world.grant(n), commit).await?;
    assert_eq!(
        done.repeated,
        [],
        "a row was examined twice, and both counted"
    );
    Ok(())
}

async fn reopen(world: &World, seed: u64) -> Store {
    match world.open().await {
        Ok(store) => store,
        Err(error) => panic!("seed {seed}: {} {error:?}", error.code()),
    }
}

async fn step(world: &World, store: Store, model: &mut Model, random: &SeededRandom) -> Store {
    let n = u8::try_from(1 + random.below(3)).unwrap();
    match random.below(100) {
        0..12 if model.detects => drop(detect(world, &store, n, random).await),
        0..50 => model.append(world, &store, random).await,
        50..62 => drop(world.flush(&store, n).await),
        62..68 => {
            let now = world.clock_now();
            let _: Result<_, Arc<Error>> = store.flush_step(&world.grant(n), now).await;
        }
        68..76 => drop(store.compact_step(&world.grant(n)).await),
        76..79 => world.disk.fail_sync(1 + random.below(6)),
        79..81 => world
            .disk
            .fail_write(1 + random.below(4), random.index(200)),
        81..84 => world.disk.set_free(Some(random.below(20_000))),
        84..87 => world.disk.set_free(None),
        87..89 => world.disk.cut_power_after(random.below(12)),
        89..91 => world.database.fail(1, random.chance(50)),
        91..93 => world.database.fail_after(1, 1, random.chance(50)),
        93..96 => {
            // The process ends; the cache stays.
            drop(store);
            world.disk.clear_faults();
            if random.chance(30) {
                world.disk.set_free(Some(random.below(20_000)));
            }
            world.database.crash(random.chance(50));
            return reopen(world, random.seed()).await;
        }
        _ => {
            let crash = random.next_u64();
            world.disk.crash(crash);
            drop(store);
            world.disk.set_free(None);
            world.database.crash(random.chance(50));
            return reopen(world, random.seed()).await;
        }
    }
    store
}

#[tokio::test]
async fn each_acknowledged_row_is_there_once_whatever_happens() {
    let first = testkit::seed(1_000);
    for seed in first..first + RUNS {
        let random = SeededRandom::new(seed);
        let mut world = World::new(seed);
        if random.chance(50) {
            world.log.segment_bytes_max = 4_096;
        }
        world.detects = random.chance(60);
        let mut model = Model {
            detects: world.detects,
            ..Model::default()
        };
        let mut store = world.start().await;
        for _ in 0..STEPS {
            store = step(&world, store, &mut model, &random).await;
            if random.chance(70) {
                continue;
            }
            let run = std::panic::AssertUnwindSafe(|| model.check(&world, &store));
            if let Err(panic) = std::panic::catch_unwind(run) {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
        world.disk.crash(random.next_u64());
        drop(store);
        world.disk.set_free(None);
        world.database.crash(random.chance(50));
        let store = reopen(&world, seed).await;
        model.check(&world, &store);
        if model.detects {
            model.check_detection(&world, &store).await;
        }
    }
}
