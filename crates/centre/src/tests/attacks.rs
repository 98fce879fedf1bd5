//! Attacks on the centre: what is refused, and that refusing changes nothing.

use crypto::Signer as _;
use model::{Code, CountBucket, Day, Epoch, PrivacyClass, Purpose, TableName, limits};
use residency::egress::{
    Acknowledgement, AllowList, Batch, Computation, Entry, Fact, Header, Shape, Transform, Value,
    parcel,
};

use super::{PROCESSES, World, day, fact, group, open_list, region, shape, signed, start, token};
use crate::{Centre, Error};

async fn batches(centre: &Centre) -> u64 {
    centre
        .status()
        .await
        .unwrap()
        .epochs
        .iter()
        .map(|epoch| epoch.batches)
        .sum()
}

async fn refused(centre: &Centre, from: &str, bytes: &[u8]) -> Code {
    let error = centre
        .receive(&region(from), bytes, day(0))
        .await
        .unwrap_err();
    assert_eq!(batches(centre).await, 0, "refused and kept: {error}");
    error.code()
}

/// A list that keeps the account's name, as an operator could sign it.
fn list_that_keeps_a_name(version: u64) -> AllowList {
    let mut entries = AllowList::facts(1).unwrap().entries().to_vec();
    entries.push(Entry {
        table: TableName::new(PROCESSES).unwrap(),
        column: "AccountName".to_owned(),
        transform: Transform::KeepText,
        class: PrivacyClass::DirectIdentifier,
        purpose: Purpose::Prevalence,
        read_by: Computation::OwnerGroups,
        exception: Some("to show that the walker notices".to_owned()),
    });
    AllowList::new(version, entries).unwrap()
}

fn named(world: &mut World, list: &AllowList) -> Batch {
    let list = open_list(&signed(list, &world.operator), &world.operator);
    let shapes = vec![
        Shape {
            column: "AccountName".to_owned(),
            transform: Transform::KeepText,
            has_count: false,
            has_technique: false,
            ..shape()
        },
        shape(),
    ];
    let facts = vec![
        Fact {
            shape: 0,
            value: Value::Text("heather.nguyen".to_owned()),
            count: None,
            ..fact(token(1), day(0))
        },
        Fact {
            shape: 1,
            ..fact(token(1), day(0))
        },
    ];
    let header = Header {
        batch: world.batch_id(),
        contributor: group(1),
        epoch: Epoch::at(day(0)),
    };
    Batch::new(&list, header, shapes, facts).unwrap()
}

#[tokio::test]
async fn a_column_that_is_not_on_the_list_is_refused_though_the_cell_signed_it() {
    let mut world = World::new();
    let centre = world.open().await;
    // Made under an older list that had the column, honestly signed by its cell.
    let batch = named(&mut world, &list_that_keeps_a_name(0));
    let parcel = parcel::pack_batch(&batch, &region("eu"), day(0), &*world.eu).unwrap();
    assert_eq!(
        refused(&centre, "eu", &parcel.bytes).await,
        Code::NotAllowed
    );
    // Made under another list of the same version, and under one that the centre has not.
    for version in [1, 2] {
        let batch = named(&mut world, &list_that_keeps_a_name(version));
        let parcel = parcel::pack_batch(&batch, &region("eu"), day(0), &*world.eu).unwrap();
        assert_eq!(
            refused(&centre, "eu", &parcel.bytes).await,
            Code::OtherAllowList
        );
    }
}

#[tokio::test]
async fn under_a_list_that_keeps_a_name_the_name_is_held_sealed_and_counted_nowhere() {
    let mut world = World::new();
    let list = list_that_keeps_a_name(2);
    let options = world.options(&list);
    let centre = Centre::open(world.path(), world.keys.clone(), options, start())
        .await
        .unwrap();
    let batch = named(&mut world, &list);
    let parcel = parcel::pack_batch(&batch, &region("eu"), day(0), &*world.eu).unwrap();
    centre
        .receive(&region("eu"), &parcel.bytes, day(0))
        .await
        .unwrap();
    assert_eq!(centre.status().await.unwrap().epochs[0].indicators, 1);
    // The walker's positive control: it is there for whoever opens the table.
    let received = centre.held(Epoch::at(day(0))).await.unwrap();
    assert!(
        received[0]
            .parcel
            .windows(14)
            .any(|w| w == b"heather.nguyen")
    );
}

#[tokio::test]
async fn a_batch_counts_once_and_its_id_stays_its_own() {
    let mut world = World::new();
    let centre = world.open().await;
    let first = world.parcel(group(1), day(0), &[1, 2]);
    let mut signed = None;
    for n in 0..3 {
        let ack = centre
            .receive(&region("eu"), &first.bytes, day(n))
            .await
            .unwrap();
        assert_eq!((ack.batch, ack.repeated), (first.receipt.batch, n > 0));
        // Signed for once: a sender that lost the answer gets the same bytes.
        let signed = signed.get_or_insert(ack.signed.clone());
        assert_eq!(*signed, ack.signed);
        let key = world.keys.public_key();
        let opened = Acknowledgement::open(&ack.signed, &key, &first.receipt).unwrap();
        assert_eq!(opened.received_at, day(0));
        // It says nothing of another parcel, and nobody else can say it.
        let other = world.parcel(group(1), day(0), &[3]).receipt;
        assert!(Acknowledgement::open(&ack.signed, &key, &other).is_err());
        let cell = world.eu.public_key();
        assert!(Acknowledgement::open(&ack.signed, &cell, &first.receipt).is_err());
    }
    let status = centre.status().await.unwrap();
    assert_eq!((status.epochs[0].batches, status.epochs[0].facts), (1, 2));

    // The same facts in the name of another owner group, under the id that was used.
    let header = Header {
        batch: first.receipt.batch,
        contributor: group(2),
        epoch: Epoch::at(day(0)),
    };
    let facts = vec![fact(token(1), day(0)), fact(token(2), day(0))];
    let other = Batch::new(&world.list, header, vec![shape()], facts).unwrap();
    let other = parcel::pack_batch(&other, &region("eu"), day(0), &*world.eu).unwrap();
    let error = centre
        .receive(&region("eu"), &other.bytes, day(0))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::OtherBatch), "{error}");
    assert_eq!(error.code(), Code::AlreadyReceived);

    // A retry that its cell signed anew, later, is still the same batch.
    let (_, encoded) = parcel::split(&first.bytes).unwrap();
    let again = Batch::decode(encoded, &world.list).unwrap();
    let again = parcel::pack_batch(&again, &region("eu"), day(1), &*world.eu).unwrap();
    assert!(
        centre
            .receive(&region("eu"), &again.bytes, day(1))
            .await
            .unwrap()
            .repeated
    );
}

#[tokio::test]
async fn only_the_cell_that_signed_may_send() {
    let mut world = World::new();
    let centre = world.open().await;
    let parcel = world.parcel(group(1), day(0), &[1]);
    assert_eq!(
        refused(&centre, "uk", &parcel.bytes).await,
        Code::BadSignature
    );
    assert_eq!(refused(&centre, "us", &parcel.bytes).await, Code::Denied);
    // Signed by the UK cell, which says that it is the EU's.
    let batch = world.batch(group(1), day(0), &[1]);
    let forged = parcel::pack_batch(&batch, &region("eu"), day(0), &*world.uk).unwrap();
    assert_eq!(
        refused(&centre, "eu", &forged.bytes).await,
        Code::BadSignature
    );
    assert_eq!(
        refused(&centre, "uk", &forged.bytes).await,
        Code::BadDocument
    );
    // One batch with another one's receipt.
    let other = world.parcel(group(2), day(0), &[1]);
    let (receipt, _) = parcel::split(&parcel.bytes).unwrap();
    let (_, batch) = parcel::split(&other.bytes).unwrap();
    let mixed = parcel::join(receipt, batch);
    assert_eq!(refused(&centre, "eu", &mixed).await, Code::BadDocument);
}

#[tokio::test]
async fn one_changed_byte_anywhere_is_refused() {
    let mut world = World::new();
    let centre = world.open().await;
    let parcel = world.parcel(group(1), day(0), &[1]).bytes;
    // Every seventh: verifying takes its time.
    for at in (0..parcel.len()).step_by(7) {
        let mut damaged = parcel.clone();
        damaged[at] ^= 0x41;
        let answer = centre.receive(&region("eu"), &damaged, day(0)).await;
        assert!(answer.is_err(), "byte {at}");
    }
    for cut in (0..parcel.len()).step_by(31) {
        let answer = centre.receive(&region("eu"), &parcel[..cut], day(0)).await;
        assert!(answer.is_err(), "cut at {cut}");
    }
    assert_eq!(batches(&centre).await, 0);
    centre
        .receive(&region("eu"), &parcel, day(0))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_parcel_that_is_too_large_is_refused_before_it_is_read() {
    let world = World::new();
    let centre = world.open().await;
    let bytes = vec![0; limits::EGRESS_BATCH_BYTES_MAX + limits::DOCUMENT_BYTES_MAX + 1];
    assert_eq!(refused(&centre, "eu", &bytes).await, Code::TooLarge);
}

#[tokio::test]
async fn a_number_beyond_the_last_bucket_or_the_last_fact_is_refused() {
    let mut world = World::new();
    let centre = world.open().await;
    let batch = world.batch(group(1), day(0), &[1]);
    let encoded = batch.encode();
    // The count is the last byte of a fact, the number of facts stands 16+2+4+2+2+1+2 bytes before.
    let mut overflow = encoded.clone();
    *overflow.last_mut().unwrap() = CountBucket::LAST.code() + 1;
    let mut endless = encoded.clone();
    let at = encoded.len() - (2 + 16 + 4 + 4 + 1) - 4;
    endless[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    for (bytes, code) in [(overflow, Code::BadDocument), (endless, Code::TooLarge)] {
        let parcel = resigned(&world, &batch, &bytes);
        assert_eq!(refused(&centre, "eu", &parcel).await, code);
    }
}

/// Other bytes under a receipt that is right about them: a cell that went mad.
fn resigned(world: &World, batch: &Batch, bytes: &[u8]) -> Vec<u8> {
    let honest = parcel::pack_batch(batch, &region("eu"), day(0), &*world.eu).unwrap();
    let (receipt, _) = parcel::split(&honest.bytes).unwrap();
    let line_end = receipt.iter().position(|b| *b == b'\n').unwrap();
    let payload = std::str::from_utf8(&receipt[line_end + 1..]).unwrap();
    let payload = payload.replace(
        &honest.receipt.digest.to_string(),
        &residency::Digest::of(bytes).to_string(),
    );
    let receipt = residency::signed::sign(
        residency::Kind::EgressReceipt,
        payload.as_bytes(),
        &*world.eu,
    );
    parcel::join(&receipt, bytes)
}

#[tokio::test]
async fn epochs_that_ended_long_ago_or_did_not_begin_are_closed() {
    let mut world = World::new();
    let centre = world.open().await;
    let days = i64::from(model::indicator::EPOCH_DAYS * limits::CENTRE_EPOCHS_KEPT);
    for at in [day(-days), day(40)] {
        let parcel = world.parcel(group(1), at, &[1]);
        assert_eq!(refused(&centre, "eu", &parcel.bytes).await, Code::Conflict);
    }
    // A day that its epoch does not have is not even made.
    let header = Header {
        batch: world.batch_id(),
        contributor: group(1),
        epoch: Epoch::at(day(0)),
    };
    let far = Fact {
        day: Day(Day::of(day(0)).0 + 60),
        ..fact(token(1), day(0))
    };
    let error = Batch::new(&world.list, header, vec![shape()], vec![far]).unwrap_err();
    assert_eq!(error.code(), Code::BadDocument);
}

#[tokio::test]
async fn one_provider_with_fifty_tenants_counts_as_one() {
    let mut world = World::new();
    let centre = world.open().await;
    // Fifty tenants of one provider, in two geographies.
    for n in 0..50 {
        let batch = world.batch(group(0), day(0), &[1]);
        let (from, signer) = if n % 2 == 0 {
            ("eu", &world.eu)
        } else {
            ("uk", &world.uk)
        };
        let parcel = parcel::pack_batch(&batch, &region(from), day(0), &**signer).unwrap();
        centre
            .receive(&region(from), &parcel.bytes, day(0))
            .await
            .unwrap();
    }
    // With eight others that is nine owner groups.
    for n in 1..9 {
        world.report(&centre, n, day(0), &[1]).await;
    }
    let epoch = Epoch::at(day(0));
    assert_eq!(
        world
            .publish(&centre, day(0))
            .await
            .lookup(epoch, &token(1)),
        None
    );
    for n in 9..12 {
        world.report(&centre, n, day(0), &[1]).await;
    }
    let snapshot = world.publish(&centre, day(1)).await;
    assert_eq!(
        snapshot.lookup(epoch, &token(1)).unwrap().groups.at_least(),
        10
    );
}

#[tokio::test]
async fn who_joins_alone_learns_nothing_of_the_nine_that_were_there() {
    // Two worlds that differ in one victim; the attacker joins alone, or with one helper.
    for helpers in 1..limits::PREVALENCE_JOINED_MIN {
        let mut told = Vec::new();
        for victim in [false, true] {
            let mut world = World::new();
            let centre = world.open().await;
            for n in 0..9 - u16::from(!victim) {
                world.report(&centre, n, day(0), &[1]).await;
            }
            let mut seen = vec![world.publish(&centre, day(0)).await];
            for helper in 0..u16::try_from(helpers).unwrap() {
                world.report(&centre, 100 + helper, day(1), &[1]).await;
            }
            seen.push(world.publish(&centre, day(1)).await);
            let figures = |s: &residency::egress::Snapshot| s.figures(Epoch::at(day(0)));
            told.push(seen.iter().map(figures).collect::<Vec<_>>());
        }
        assert_eq!(told[0], told[1], "with {helpers} of the attacker's");
    }
}

#[tokio::test]
async fn a_snapshot_says_the_same_whoever_of_two_neighbours_joined_with_others() {
    // Nobody can tell from two days' snapshots which one of those that joined was the victim.
    let mut told = Vec::new();
    for victim in [20, 21] {
        let mut world = World::new();
        let centre = world.open().await;
        for n in 0..12 {
            world.report(&centre, n, day(0), &[1]).await;
        }
        let first = world.publish(&centre, day(0)).await;
        for n in [30, 31, victim] {
            world.report(&centre, n, day(1), &[1]).await;
        }
        let second = world.publish(&centre, day(1)).await;
        told.push((
            first.figures(Epoch::at(day(0))),
            second.figures(Epoch::at(day(0))),
        ));
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn a_cell_has_no_more_contributors_than_tenants_and_the_centre_no_more_indicators_than_room()
{
    let mut world = World::new();
    let centre = world.open().await;
    world.report(&centre, 1, day(0), &[1]).await;
    let mut tx = centre.database.begin().await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
         INSERT INTO contributor (epoch, region, contributor)
         SELECT ?1, 'eu', randomblob(16) FROM n",
    )
    .bind(i64::from(Epoch::at(day(0)).0))
    .bind(i64::try_from(limits::TENANTS_MAX).unwrap() - 1)
    .execute(tx.connection())
    .await
    .unwrap();
    tx.commit().await.unwrap();
    // One that is known is still heard, one more is not, and another region's is.
    world.report(&centre, 1, day(0), &[2]).await;
    let more = world.parcel(group(2), day(0), &[3]);
    let error = centre
        .receive(&region("eu"), &more.bytes, day(0))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Busy, "{error}");
    let batch = world.batch(group(2), day(0), &[3]);
    let uk = parcel::pack_batch(&batch, &region("uk"), day(0), &*world.uk).unwrap();
    centre
        .receive(&region("uk"), &uk.bytes, day(0))
        .await
        .unwrap();
    let status = centre.status().await.unwrap();
    assert_eq!(
        (status.epochs[0].batches, status.epochs[0].indicators),
        (3, 3)
    );

    let mut tx = centre.database.begin().await.unwrap();
    sqlx::query("UPDATE total SET indicators = ?1 WHERE region = 'eu'")
        .bind(i64::try_from(limits::CENTRE_INDICATORS_PER_CELL_MAX).unwrap() - 1)
        .execute(tx.connection())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.report(&centre, 1, day(0), &[4]).await;
    let more = world.parcel(group(1), day(0), &[5]);
    let error = centre
        .receive(&region("eu"), &more.bytes, day(0))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Busy, "{error}");
    // Nothing of the refused batch stayed, so that it can come again; the other cell has its own room.
    assert_eq!(batches(&centre).await, 4);
    let batch = world.batch(group(3), day(0), &[5]);
    let uk = parcel::pack_batch(&batch, &region("uk"), day(0), &*world.uk).unwrap();
    centre
        .receive(&region("uk"), &uk.bytes, day(0))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_centre_has_a_named_number_of_cells() {
    let world = World::new();
    let list = AllowList::facts(1).unwrap();
    let mut options = world.options(&list);
    let key = *options.cells.values().next().unwrap();
    for n in options.cells.len()..limits::CENTRE_CELLS_MAX {
        options.cells.insert(region(&format!("cell-{n}")), key);
    }
    let open = |options| Centre::open(world.path(), world.keys.clone(), options, start());
    drop(open(options.clone()).await.unwrap());
    options.cells.insert(region("one-more"), key);
    assert_eq!(open(options).await.unwrap_err().code(), Code::Busy);
}

#[tokio::test]
async fn nine_groups_of_one_hand_do_find_a_tenth() {
    // What `docs/threats.md` says is not prevented. If this fails, say there that it is.
    let mut told = Vec::new();
    for victim in [false, true] {
        let mut world = World::new();
        let centre = world.open().await;
        for n in 0..9 + u16::from(victim) {
            world.report(&centre, n, day(0), &[1]).await;
        }
        let snapshot = world.publish(&centre, day(0)).await;
        told.push(snapshot.lookup(Epoch::at(day(0)), &token(1)).is_some());
    }
    assert_eq!(told, [false, true]);
}
