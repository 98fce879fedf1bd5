//! The gate against its definition: a list of who said what, and loops.

use std::collections::{BTreeMap, BTreeSet};

use model::{CountBucket, Day, Epoch};
use residency::egress::{PrevalenceBucket, parcel};
use testkit::SeededRandom;

use super::{World, day, fact, group, region, token};

/// What one indicator's figure was worked out from last.
#[derive(Default, Clone)]
struct Told {
    counted: usize,
    first_day: Option<Day>,
    typical_count: u8,
}

/// The centre, naively.
#[derive(Default)]
struct Naive {
    /// By indicator and group: earliest day, largest count.
    seen: BTreeMap<u8, BTreeMap<u16, (Day, u8)>>,
    told: BTreeMap<u8, Told>,
}

impl Naive {
    fn hear(&mut self, hash: u8, of: u16, at: Day, count: u8) {
        let entry = self
            .seen
            .entry(hash)
            .or_default()
            .entry(of)
            .or_insert((at, count));
        *entry = (entry.0.min(at), entry.1.max(count));
    }

    /// Figures by indicator: bucket, first day, typical count.
    fn publish(&mut self) -> BTreeMap<u8, (u32, Day, u8)> {
        let mut figures = BTreeMap::new();
        for (hash, groups) in &self.seen {
            let told = self.told.entry(*hash).or_default();
            if groups.len() >= told.counted + 3 {
                told.counted = groups.len();
                if groups.len() >= 10 {
                    let mut days: Vec<Day> = groups.values().map(|(day, _)| *day).collect();
                    let mut counts: Vec<u8> = groups.values().map(|(_, count)| *count).collect();
                    days.sort_unstable();
                    counts.sort_unstable();
                    told.first_day.get_or_insert(days[9]);
                    let reached =
                        |c: &&u8| counts.iter().filter(|of| of >= c).count() * 2 >= counts.len();
                    told.typical_count = *counts.iter().rev().find(reached).unwrap();
                }
            }
            if told.counted >= 10 {
                let bucket = [250, 50, 10]
                    .into_iter()
                    .find(|b| told.counted >= *b)
                    .unwrap();
                let bucket = u32::try_from(bucket).unwrap();
                figures.insert(*hash, (bucket, told.first_day.unwrap(), told.typical_count));
            }
        }
        figures
    }
}

#[tokio::test]
async fn the_centre_says_what_its_definition_says() {
    let random = SeededRandom::new(testkit::seed(4));
    let mut world = World::new();
    let centre = world.open().await;
    let mut naive = Naive::default();
    let epoch = Epoch::at(day(0));
    let mut shown = BTreeSet::new();
    for step in 0..120_i64 {
        let now = day(step / 6);
        let of = u16::try_from(random.below(36)).unwrap();
        let mut facts = Vec::new();
        for hash in 1..=6_u8 {
            // The higher the number, the rarer.
            if random.below(u64::from(hash)) > 0 {
                continue;
            }
            let at = day(step / 6 - i64::try_from(random.below(3)).unwrap());
            let count = u8::try_from(random.below(5)).unwrap();
            let mut fact = fact(token(hash), at);
            fact.count = CountBucket::from_code(count);
            facts.push(fact);
            naive.hear(hash, of, Day::of(at), count);
        }
        if !facts.is_empty() {
            let batch = {
                let header = residency::egress::Header {
                    batch: world.batch_id(),
                    contributor: group(of),
                    epoch,
                };
                residency::egress::Batch::new(&world.list, header, vec![super::shape()], facts)
            };
            let parcel =
                parcel::pack_batch(&batch.unwrap(), &region("eu"), now, &*world.eu).unwrap();
            centre
                .receive(&region("eu"), &parcel.bytes, now)
                .await
                .unwrap();
        }
        if random.chance(20) {
            let snapshot = world.publish(&centre, now).await;
            let figures: BTreeMap<u8, (u32, Day, u8)> = snapshot
                .figures(epoch)
                .iter()
                .map(|figure| {
                    let told = &figure.prevalence;
                    let bucket = PrevalenceBucket::at_least(told.groups);
                    let code = told.typical_count.code();
                    (figure.token.as_bytes()[0], (bucket, told.first_day, code))
                })
                .collect();
            assert_eq!(
                figures,
                naive.publish(),
                "step {step}, seed {}",
                random.seed()
            );
            shown.extend(figures.into_iter().map(|(hash, figure)| (hash, figure.0)));
        }
    }
    assert!(shown.len() > 3, "too little happened: {shown:?}");
}
