//! The log against a map, on a disk that crashes, tears, fails and fills up.
//!
//! Checked after every restart: acknowledged frames come back exactly once with their bytes; what comes
//! back was appended once, byte for byte; frames that were not acknowledged may come back, and if they
//! do they stay; a frame that a recovery has not found never comes back; nothing is called damage. The
//! last three hold from the moment on that [`Log::secure`] has succeeded: at once, unless the disk is full.

use std::collections::BTreeMap;

use testkit::{SeededRandom, SimDisk};

use super::{append, recovery, small, stream};
use crate::{Error, FrameRef, Log, LogSegmentId, Recovered};

const RUNS: u64 = 300;
const STEPS: u64 = 40;

/// What the caller of the log knows.
#[derive(Debug, Default)]
struct Known {
    /// Acknowledged, or handed out by a recovery.
    durable: BTreeMap<FrameRef, Vec<u8>>,
    /// Appended; the commit has not returned, or has failed.
    open: BTreeMap<FrameRef, Vec<u8>>,
    /// Handed out by a recovery on a full disk, and nothing was committed since.
    shown: BTreeMap<FrameRef, Vec<u8>>,
    /// Segments whose removal was asked for and failed: their frames may be there or not.
    going: Vec<LogSegmentId>,
}

struct Run {
    disk: SimDisk,
    random: SeededRandom,
    known: Known,
    tally: Tally,
}

/// What happened, so that a run in which nothing happens is noticed.
#[derive(Debug, Default)]
struct Tally {
    commits: u64,
    crashes: u64,
    full: u64,
    poisoned: u64,
    torn: u64,
    resurfaced: u64,
    removed: u64,
    /// Starts on a full disk that had no room to write the newest file anew and handed frames out.
    unsecured: u64,
    /// Closed by a failure, then started again without a crash.
    restarted: u64,
}

#[test]
fn acknowledged_frames_survive_everything() {
    let seed = testkit::seed(20_260_101);
    let mut tally = Tally::default();
    for n in 0..RUNS {
        let mut run = Run {
            disk: SimDisk::new(),
            random: SeededRandom::new(seed.wrapping_add(n)),
            known: Known::default(),
            tally,
        };
        // Named when an assertion in it fails.
        eprintln!("run {n}: BAILIWICK_SEED={}", seed.wrapping_add(n));
        run.go();
        tally = run.tally;
    }
    eprintln!("{tally:?}");
    let Tally {
        commits,
        crashes,
        full,
        poisoned,
        torn,
        resurfaced,
        removed,
        unsecured,
        restarted,
    } = tally;
    for count in [
        commits, crashes, full, poisoned, torn, resurfaced, removed, unsecured, restarted,
    ] {
        assert!(count > RUNS / 10, "{tally:?}");
    }
}

impl Run {
    fn go(&mut self) {
        let mut log = self.restart(true);
        for _ in 0..STEPS {
            let step = self.step(&mut log);
            let alive = match step {
                Ok(()) => !self.random.chance(8),
                Err(Error::DiskFull { .. }) => {
                    self.tally.full += 1;
                    if self.random.chance(50) {
                        self.disk.set_free(None);
                    }
                    true
                }
                Err(Error::Io { .. } | Error::Poisoned) => {
                    self.tally.poisoned += u64::from(log.is_poisoned());
                    false
                }
                Err(error) => panic!("{error:?}"),
            };
            if !alive {
                // A process that is killed leaves the cache as it is; a machine that stops does not.
                let crash = self.random.chance(50);
                self.tally.restarted += u64::from(log.is_poisoned() && !crash);
                log = self.restart(crash);
            }
        }
        self.restart(true);
    }

    fn step(&mut self, log: &mut Log) -> Result<(), Error> {
        self.arm();
        if self.random.chance(10) {
            return self.remove(log);
        }
        let mut batch = BTreeMap::new();
        for _ in 0..=self.random.below(4) {
            let len = usize::try_from(self.random.below(400)).unwrap();
            let payload = self.random.bytes(len);
            let to = stream(u8::try_from(self.random.below(5)).unwrap());
            if self.random.chance(5) {
                let reservation = log.reserve(to)?;
                log.cancel(reservation)?;
                continue;
            }
            let place = append(log, to, &payload)?;
            assert!(
                !self.known.durable.contains_key(&place),
                "given twice: {place:?}"
            );
            batch.insert(place, payload);
        }
        self.known
            .open
            .extend(batch.iter().map(|(place, p)| (*place, p.clone())));
        log.commit()?;
        self.secured();
        self.tally.commits += 1;
        // What an earlier commit left unacknowledged is void by now.
        self.known.open.clear();
        self.known.durable.extend(batch);
        Ok(())
    }

    fn arm(&mut self) {
        match self.random.below(40) {
            0 => self.disk.fail_sync(1 + self.random.below(4)),
            1 => {
                let keep = self.random.index(500);
                self.disk.fail_write(1 + self.random.below(3), keep);
            }
            2..=4 => self.disk.set_free(Some(self.random.below(2_000))),
            5..=7 => self.disk.cut_power_after(self.random.below(9)),
            _ => {}
        }
    }

    fn remove(&mut self, log: &mut Log) -> Result<(), Error> {
        let segments = log.segments();
        if segments.is_empty() {
            return Ok(());
        }
        let chosen = segments[self.random.index(segments.len())].number;
        let gone = segments.iter().filter(|s| s.number <= chosen);
        let gone: Vec<LogSegmentId> = gone.map(|s| s.segment).collect();
        self.known.going.extend(&gone);
        log.remove_through(*gone.last().unwrap())?;
        self.secured();
        self.known
            .durable
            .retain(|place, _| !gone.contains(&place.segment));
        self.known
            .open
            .retain(|place, _| !gone.contains(&place.segment));
        self.known.going.clear();
        self.tally.removed += 1;
        Ok(())
    }

    /// Something was written since the last recovery: what it handed out is durable by now.
    fn secured(&mut self) {
        self.known.durable.append(&mut self.known.shown);
    }

    fn restart(&mut self, crash: bool) -> Log {
        if crash {
            self.disk.crash(self.random.next_u64());
            self.tally.crashes += 1;
        }
        self.disk.clear_faults();
        if self.random.chance(35) {
            self.disk.set_free(Some(self.random.below(2_000)));
        }
        let first: Vec<Recovered> = self.recover();
        assert_eq!(first, self.recover(), "a second recovery finds the same");
        self.check(first);
        let recovery = recovery(&self.disk, &self.random, small());
        let mut log = recovery.unwrap().finish().unwrap();
        match log.secure() {
            Ok(()) => {
                self.secured();
                self.known.open.clear();
            }
            Err(Error::DiskFull { .. }) => {
                self.tally.unsecured += u64::from(!self.known.shown.is_empty());
            }
            Err(error) => panic!("{error:?}"),
        }
        log
    }

    fn recover(&mut self) -> Vec<Recovered> {
        let recovery = recovery(&self.disk, &self.random, small()).unwrap();
        recovery.collect::<Result<_, _>>().unwrap()
    }

    fn check(&mut self, found: Vec<Recovered>) {
        let mut known = std::mem::take(&mut self.known);
        let mut last = BTreeMap::new();
        for item in found {
            let (place, payload) = match item {
                Recovered::Frame(place, payload) => (place, payload),
                Recovered::TornTail { .. } => {
                    self.tally.torn += 1;
                    continue;
                }
                Recovered::Damage(damage) => panic!("{damage:?}"),
            };
            let acknowledged = known.durable.remove(&place);
            self.tally.resurfaced += u64::from(acknowledged.is_none());
            let is_durable = acknowledged.is_some();
            let written = acknowledged.or_else(|| known.open.remove(&place));
            let written = written.or_else(|| known.shown.remove(&place));
            assert_eq!(written.as_ref(), Some(&payload), "{place:?}");
            let before = last.insert(place.stream, place.sequence);
            assert!(before < Some(place.sequence), "{place:?} after {before:?}");
            let to = if is_durable {
                &mut self.known.durable
            } else {
                &mut self.known.shown
            };
            to.insert(place, payload);
        }
        self.known.open = known.open;
        known
            .durable
            .retain(|place, _| !known.going.contains(&place.segment));
        assert_eq!(known.durable, BTreeMap::new(), "acknowledged, then lost");
    }
}
