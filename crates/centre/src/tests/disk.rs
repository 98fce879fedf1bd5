//! The centre's own disk: sealed, locked, and empty of what ended.

use std::future::Future;
use std::task::Poll;

use model::{Code, Epoch, limits};

use super::{World, day, group, region, token, vault};
use crate::{Centre, Error};

/// All bytes of all files.
fn everything(world: &World) -> Vec<u8> {
    let files = std::fs::read_dir(world.path()).unwrap();
    files
        .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect()
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn neither_a_token_nor_a_column_is_on_the_disk_in_clear() {
    let mut world = World::new();
    let centre = world.open().await;
    for n in 0..12 {
        world.report(&centre, n, day(0), &[1]).await;
    }
    let snapshot = world.publish(&centre, day(0)).await;
    for closed in [false, true] {
        if closed {
            centre.close().await.unwrap();
        }
        let bytes = everything(&world);
        assert!(bytes.len() > 10_000);
        assert!(!holds(&bytes, token(1).as_bytes()));
        assert!(!holds(&bytes, group(1).as_bytes()));
        assert!(!holds(&bytes, b"DeviceProcessEvents"));
        assert!(!holds(&bytes, &snapshot.as_bytes()[..20]));
    }
    assert_eq!(
        centre.status().await.unwrap_err().code(),
        Code::ShuttingDown
    );
}

#[tokio::test]
async fn it_opens_again_with_what_it_had_and_under_no_other_name() {
    let mut world = World::new();
    let centre = world.open().await;
    for n in 0..9 {
        world.report(&centre, n, day(0), &[1]).await;
    }
    world.publish(&centre, day(0)).await;
    assert!(matches!(world.try_open().await.unwrap_err(), Error::Locked));
    drop(centre);
    let centre = world.open().await;
    for n in 9..12 {
        world.report(&centre, n, day(0), &[1]).await;
    }
    let snapshot = world.publish(&centre, day(0)).await;
    assert_eq!(snapshot.number(), 2);
    assert!(snapshot.lookup(Epoch::at(day(0)), &token(1)).is_some());
    assert_eq!(centre.held(Epoch::at(day(0))).await.unwrap().len(), 12);
    drop(centre);

    let options = world.options(&residency::egress::AllowList::facts(1).unwrap());
    let other = vault("other", "US", 9);
    let error = Centre::open(world.path(), other, options, day(0))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::OtherCentre), "{error}");
}

#[tokio::test]
async fn an_older_allow_list_is_not_accepted_again() {
    let mut world = World::new();
    let newer = residency::egress::AllowList::facts(2).unwrap();
    let centre = world.open().await;
    let parcel = world.parcel(group(1), day(0), &[1]);
    let accepted = centre
        .accept_allow_list(&super::signed(&newer, &world.operator))
        .await;
    assert_eq!(accepted.unwrap().version, 2);
    // A batch of the older list has nothing that the newer one lacks.
    centre
        .receive(&region("eu"), &parcel.bytes, day(0))
        .await
        .unwrap();
    drop(centre);
    let error = world.try_open().await.unwrap_err();
    assert_eq!(error.code(), Code::OldVersion);
    let strange = super::signed(&newer, &world.eu);
    let options = crate::Options {
        allow_list: strange,
        ..world.options(&newer)
    };
    let error = Centre::open(world.path(), world.keys.clone(), options, day(0))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::BadSignature);
}

#[tokio::test]
async fn an_epoch_ends_with_its_key_and_its_rows() {
    let mut world = World::new();
    let centre = world.open().await;
    for n in 0..10 {
        world.report(&centre, n, day(0), &[1]).await;
    }
    let epoch = Epoch::at(day(0));
    let next = day(i64::from(model::indicator::EPOCH_DAYS));
    for n in 0..10 {
        let parcel = world.parcel(group(n), next, &[1]);
        centre
            .receive(&region("eu"), &parcel.bytes, next)
            .await
            .unwrap();
    }
    let last = day(i64::from(model::indicator::EPOCH_DAYS * limits::CENTRE_EPOCHS_KEPT) - 1);
    assert_eq!(centre.expire(last).await.unwrap().epochs, []);
    let snapshot = world.publish(&centre, last).await;
    assert_eq!(
        snapshot.epochs().collect::<Vec<_>>(),
        [(epoch, 1), (epoch.next(), 1)]
    );

    let after = day(i64::from(
        model::indicator::EPOCH_DAYS * limits::CENTRE_EPOCHS_KEPT,
    ));
    let expired = centre.expire(after).await.unwrap();
    assert_eq!(
        (expired.epochs.as_slice(), expired.batches),
        (&[epoch][..], 10)
    );
    assert_eq!(
        world.keys.known_epoch_seal(epoch).unwrap_err().code(),
        Code::LinkageMissing
    );
    let snapshot = world.publish(&centre, after).await;
    assert_eq!(snapshot.epochs().collect::<Vec<_>>(), [(epoch.next(), 1)]);
    assert!(centre.held(epoch).await.unwrap().is_empty());
    assert_eq!(
        centre.expire(after).await.unwrap(),
        crate::Expired::default()
    );
}

#[tokio::test]
async fn a_call_that_is_dropped_anywhere_leaves_a_batch_whole_or_not_there() {
    let mut world = World::new();
    let centre = world.open().await;
    let hashes: Vec<u8> = (1..=200).collect();
    let eu = region("eu");
    let mut dropped = 0;
    for round in 1..=6_u64 {
        let parcel = world.parcel(group(1), day(0), &hashes).bytes;
        for polls in 0.. {
            let call = centre.receive(&eu, &parcel, day(0));
            if let Some(answer) = polled(call, polls).await {
                answer.unwrap();
                break;
            }
            dropped += 1;
            let status = centre.status().await.unwrap();
            let (batches, facts, indicators) = status.epochs.first().map_or((0, 0, 0), |epoch| {
                (epoch.batches, epoch.facts, epoch.indicators)
            });
            assert!(batches == round || batches == round - 1, "{status:?}");
            assert_eq!(facts, batches * 200);
            assert_eq!(indicators, if batches == 0 { 0 } else { 200 });
        }
        assert_eq!(centre.status().await.unwrap().epochs[0].batches, round);
    }
    // How often a call stops depends on the machine; each round stops it more than once.
    assert!(dropped > 6, "{dropped}");
}

/// The call's answer, if it comes within so many polls; else the call is dropped.
async fn polled<T>(call: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut call = Box::pin(call);
    let mut n = 0;
    std::future::poll_fn(|cx| {
        if n == polls {
            return Poll::Ready(None);
        }
        n += 1;
        call.as_mut().poll(cx).map(Some)
    })
    .await
}

#[tokio::test]
async fn many_facts_of_two_groups_are_counted_apart() {
    let mut world = World::new();
    let centre = world.open().await;
    // More than one statement has rows, and half of them known already.
    let fact_of = |n: u32| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        super::fact(model::IndicatorToken::from_bytes(bytes), day(0))
    };
    for (of, range) in [(0, 0..1_200), (1, 600..1_800), (0, 0..1_200)] {
        let batch = world.batch_of(group(of), day(0), range.map(fact_of).collect());
        let parcel =
            residency::egress::parcel::pack_batch(&batch, &region("eu"), day(0), &*world.eu);
        centre
            .receive(&region("eu"), &parcel.unwrap().bytes, day(0))
            .await
            .unwrap();
    }
    let status = centre.status().await.unwrap();
    assert_eq!(
        (status.epochs[0].batches, status.epochs[0].indicators),
        (3, 1_800)
    );
}

#[tokio::test]
async fn a_parcel_is_kept_for_a_while_and_its_counts_longer() {
    let mut world = World::new();
    let centre = world.open().await;
    for n in 0..10 {
        world.report(&centre, n, day(0), &[1]).await;
    }
    let parcel = world.parcel(group(10), day(1), &[1]);
    centre
        .receive(&region("eu"), &parcel.bytes, day(1))
        .await
        .unwrap();
    let epoch = Epoch::at(day(0));
    let expired = centre
        .expire(day(limits::CENTRE_PARCEL_DAYS_MAX))
        .await
        .unwrap();
    assert_eq!(
        (expired.parcels, centre.held(epoch).await.unwrap().len()),
        (0, 11)
    );
    let later = day(limits::CENTRE_PARCEL_DAYS_MAX + 1);
    assert_eq!(centre.expire(later).await.unwrap().parcels, 10);
    let held = centre.held(epoch).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].parcel, parcel.bytes);
    assert_eq!(
        centre.expire(later).await.unwrap(),
        crate::Expired::default()
    );
    // It is still known, and still counted.
    assert!(
        world
            .publish(&centre, later)
            .await
            .lookup(epoch, &token(1))
            .is_some()
    );
    let last = day(limits::CENTRE_PARCEL_DAYS_MAX + 2);
    assert_eq!(centre.expire(last).await.unwrap().parcels, 1);
    assert!(
        centre
            .receive(&region("eu"), &parcel.bytes, last)
            .await
            .unwrap()
            .repeated
    );
}
