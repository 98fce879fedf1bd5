//! What a snapshot says, and what it must not say.

use model::{CountBucket, Day, Epoch};
use residency::egress::PrevalenceBucket;

use super::{World, day, fact, group, technique, token};

#[tokio::test]
async fn nine_groups_are_not_told_ten_are_and_the_day_is_that_of_the_tenth() {
    let mut world = World::new();
    let centre = world.open().await;
    for n in 0..10 {
        let hashes: &[u8] = if n < 9 { &[1, 2] } else { &[1] };
        world.report(&centre, n, day(i64::from(n)), hashes).await;
    }
    let snapshot = world.publish(&centre, day(10)).await;
    let epoch = Epoch::at(day(0));
    let told = snapshot.lookup(epoch, &token(1)).unwrap();
    assert_eq!(told.groups, PrevalenceBucket::Ten);
    assert_eq!(told.first_day, Day::of(day(9)));
    assert_eq!(told.typical_count, CountBucket::of(1));
    assert_eq!(told.techniques, []);
    assert_eq!(snapshot.lookup(epoch, &token(2)), None);
    assert_eq!(snapshot.lookup(epoch.next(), &token(1)), None);
    assert_eq!(snapshot.figures(epoch).len(), 1, "nine are nowhere in it");
    // Not in its bytes, either.
    let bytes = snapshot.as_bytes();
    assert!(bytes.windows(16).any(|w| w == token(1).as_bytes()));
    assert!(!bytes.windows(16).any(|w| w == token(2).as_bytes()));
}

#[tokio::test]
async fn the_second_bucket_begins_at_fifty() {
    let mut world = World::new();
    let centre = world.open().await;
    for n in 0..50 {
        let hashes: &[u8] = if n < 49 { &[1, 2] } else { &[1] };
        world.report(&centre, n, day(0), hashes).await;
    }
    let snapshot = world.publish(&centre, day(1)).await;
    let told = |n| {
        snapshot
            .lookup(Epoch::at(day(0)), &token(n))
            .unwrap()
            .groups
    };
    assert_eq!(told(1), PrevalenceBucket::Fifty);
    assert_eq!(told(2), PrevalenceBucket::Ten);
}

#[tokio::test]
async fn a_figure_moves_only_when_three_joined_since_it_last_moved() {
    let mut world = World::new();
    let centre = world.open().await;
    let epoch = Epoch::at(day(0));
    for n in 0..9 {
        world.report(&centre, n, day(0), &[1]).await;
    }
    assert_eq!(
        world
            .publish(&centre, day(0))
            .await
            .lookup(epoch, &token(1)),
        None
    );
    // The tenth and the eleventh alone would be told by the difference.
    for n in 9..11 {
        world.report(&centre, n, day(1), &[1]).await;
        let snapshot = world.publish(&centre, day(1)).await;
        assert_eq!(snapshot.lookup(epoch, &token(1)), None, "{n}");
    }
    world.report(&centre, 11, day(2), &[1]).await;
    let first = world
        .publish(&centre, day(2))
        .await
        .lookup(epoch, &token(1))
        .unwrap();
    assert_eq!(first.groups, PrevalenceBucket::Ten);

    // 49, then one more: the fiftieth alone does not move it, the fifty-second does.
    for n in 12..49 {
        world.report(&centre, n, day(3), &[1]).await;
    }
    assert_eq!(
        world
            .publish(&centre, day(3))
            .await
            .lookup(epoch, &token(1)),
        Some(first.clone())
    );
    for n in 49..51 {
        world.report(&centre, n, day(4), &[1]).await;
        let snapshot = world.publish(&centre, day(4)).await;
        assert_eq!(
            snapshot.lookup(epoch, &token(1)),
            Some(first.clone()),
            "{n}"
        );
    }
    world.report(&centre, 51, day(4), &[1]).await;
    let moved = world
        .publish(&centre, day(4))
        .await
        .lookup(epoch, &token(1))
        .unwrap();
    assert_eq!(moved.groups, PrevalenceBucket::Fifty);
    assert_eq!(moved.first_day, first.first_day, "the first day stays");
}

#[tokio::test]
async fn what_a_group_says_again_moves_nothing() {
    let mut world = World::new();
    let centre = world.open().await;
    for n in 0..10 {
        world.report(&centre, n, day(5), &[1]).await;
    }
    let first = world.publish(&centre, day(5)).await;
    let epoch = Epoch::at(day(0));
    // Earlier days and larger counts of groups that had joined already.
    for n in 0..10 {
        let mut again = fact(token(1), day(1));
        again.count = Some(CountBucket::LAST);
        let batch = world.batch_of(group(n), day(6), vec![again]);
        let parcel =
            residency::egress::parcel::pack_batch(&batch, &super::region("eu"), day(6), &*world.eu);
        centre
            .receive(&super::region("eu"), &parcel.unwrap().bytes, day(6))
            .await
            .unwrap();
    }
    let second = world.publish(&centre, day(6)).await;
    assert_eq!(first.figures(epoch), second.figures(epoch));
    assert!(second.number() > first.number());
}

#[tokio::test]
async fn a_technique_is_told_only_if_ten_groups_report_it() {
    let mut world = World::new();
    let centre = world.open().await;
    let (common, rare) = (technique("T1566.002"), technique("T1059"));
    for n in 0..12 {
        let mut facts = vec![fact(token(1), day(0))];
        for (technique, of) in [(common, 10), (rare, 9)] {
            if n < of {
                let technique = Some(technique);
                facts.push(residency::egress::Fact {
                    technique,
                    ..fact(token(1), day(0))
                });
            }
        }
        let batch = world.batch_of(group(n), day(0), facts);
        let eu = super::region("eu");
        let parcel =
            residency::egress::parcel::pack_batch(&batch, &eu, day(0), &*world.eu).unwrap();
        centre.receive(&eu, &parcel.bytes, day(0)).await.unwrap();
    }
    let snapshot = world.publish(&centre, day(1)).await;
    let told = snapshot.lookup(Epoch::at(day(0)), &token(1)).unwrap();
    assert_eq!(told.techniques, [common]);
}

#[tokio::test]
async fn the_typical_count_is_one_that_half_of_the_groups_reach() {
    let mut world = World::new();
    let centre = world.open().await;
    for n in 0..10 {
        // One group alone sees it a thousand times: that is not typical.
        let count = if n == 0 {
            1_000
        } else if n < 6 {
            20
        } else {
            1
        };
        let mut of = fact(token(1), day(0));
        of.count = Some(CountBucket::of(count));
        let batch = world.batch_of(group(n), day(0), vec![of]);
        let eu = super::region("eu");
        let parcel =
            residency::egress::parcel::pack_batch(&batch, &eu, day(0), &*world.eu).unwrap();
        centre.receive(&eu, &parcel.bytes, day(0)).await.unwrap();
    }
    let snapshot = world.publish(&centre, day(1)).await;
    let told = snapshot.lookup(Epoch::at(day(0)), &token(1)).unwrap();
    assert_eq!(told.typical_count, CountBucket::of(20));
}

#[tokio::test]
async fn a_snapshot_is_made_once_a_day_unless_asked_for() {
    let world = World::new();
    let centre = world.open().await;
    assert!(centre.snapshot().await.unwrap().is_none());
    let first = centre.publish_if_due(day(0)).await.unwrap().unwrap();
    assert_eq!(centre.publish_if_due(day(0)).await.unwrap(), None);
    let asked = centre.publish(day(0)).await.unwrap();
    let next = centre.publish_if_due(day(1)).await.unwrap().unwrap();
    assert_eq!([first.number, asked.number, next.number], [1, 2, 3]);
    assert_eq!(centre.snapshot().await.unwrap(), Some(next.bytes));
}
