//! Places among the hunts that run at once: reading a query holds one, and gives it back when nobody
//! waits any more.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use access::{Credential, Granted, Hunt};
use model::{Code, limits};

use super::kit::{SLOW, World};
use crate::{Cell, HuntOptions};

fn short() -> HuntOptions {
    HuntOptions {
        planning_max: Duration::from_millis(50),
        ..HuntOptions::default()
    }
}

async fn code(cell: &Cell, grant: &Granted<Hunt>, options: HuntOptions) -> Option<Code> {
    let outcome = cell.hunt(grant, SLOW, options).await;
    outcome.err().map(|error| error.code())
}

/// Waits until every place of the tenant is free.
async fn until_free(cell: &Cell, grant: &Granted<Hunt>) {
    for _ in 0..100 {
        let all = [(); limits::HUNTS_PER_TENANT_MAX].map(|()| code(cell, grant, short()));
        let codes = futures::future::join_all(all).await;
        if codes.iter().all(|code| *code == Some(Code::HuntPlanning)) {
            return until_idle(cell, grant).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a place did not come back");
}

/// Waits until those that asked last have given their places back as well.
async fn until_idle(cell: &Cell, grant: &Granted<Hunt>) {
    for _ in 0..1_000 {
        let check = || cell.check_hunt(grant, "DeviceEvents", Arc::default());
        let all = [(); limits::HUNTS_PER_TENANT_MAX].map(|()| check());
        let checked = futures::future::join_all(all).await;
        if checked.iter().all(Result::is_ok) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a place did not come back");
}

#[tokio::test]
async fn a_query_that_is_not_read_in_time_is_refused_and_its_place_comes_back() {
    let world = World::new().await;
    let (tenant, _) = world.tenant("uk", "GB").await;
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let grant = cell.cx().decide::<Hunt>(&me, tenant).unwrap();
    let five = [(); limits::HUNTS_PER_TENANT_MAX + 1].map(|()| code(cell, &grant, short()));
    let mut codes = futures::future::join_all(five).await;
    codes.sort();
    let mut wanted = vec![Some(Code::HuntPlanning); limits::HUNTS_PER_TENANT_MAX];
    wanted.push(Some(Code::Busy));
    wanted.sort();
    assert_eq!(codes, wanted);
    until_free(cell, &grant).await;
    // So is a check of a query.
    let checked = cell
        .check_hunt(&grant, "DeviceEvents", Arc::default())
        .await;
    assert!(checked.is_ok(), "{checked:?}");
}

#[tokio::test]
async fn what_is_probably_not_meant_is_said_beside_the_rows() {
    let world = World::new().await;
    let (tenant, _) = world.tenant("uk", "GB").await;
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let grant = cell.cx().decide::<Hunt>(&me, tenant).unwrap();
    let query = "DeviceEvents | where 'doubtful'";
    let answer = cell.hunt(&grant, query, HuntOptions::default()).await;
    let notices = answer.unwrap().notices;
    let codes: Vec<&str> = notices.iter().map(|n| n.code.as_str()).collect();
    assert!(codes.contains(&"KQL0501"), "{codes:?}");
}

#[tokio::test]
async fn a_caller_that_goes_away_calls_the_reading_off() {
    let world = World::new().await;
    let (tenant, _) = world.tenant("uk", "GB").await;
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let grant = cell.cx().decide::<Hunt>(&me, tenant).unwrap();
    for _ in 0..=limits::HUNTS_PER_TENANT_MAX {
        let cancel = Arc::<AtomicBool>::default();
        let options = HuntOptions {
            cancel: cancel.clone(),
            ..HuntOptions::default()
        };
        let hunt = cell.hunt(&grant, SLOW, options);
        let gone = tokio::time::timeout(Duration::from_millis(20), hunt).await;
        assert!(gone.is_err(), "{gone:?}");
        assert!(cancel.load(std::sync::atomic::Ordering::Acquire));
        until_free(cell, &grant).await;
    }
}
