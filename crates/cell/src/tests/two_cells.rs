//! A UK tenant whose identity rests in the EU: each cell takes its own rows and hands back the others.

use std::sync::atomic::Ordering;

use access::{Credential, ManageTokens, ReadTenant};
use model::{Code, ServiceName, TableName};

use super::kit::{World, region};
use crate::{Error, Refusal, TokenRequest, region_of_token};

#[tokio::test]
async fn each_cell_takes_its_own_rows_of_a_mixed_batch() {
    let world = World::new().await;
    let (tenant, source) = world.tenant("uk", "GB").await;

    let home = world.ingest("uk", tenant, source).await;
    assert_eq!((home.read, home.stored), (4, 2));
    let [elsewhere] = &*home.wrong_region else {
        panic!("{:?}", home.wrong_region);
    };
    assert_eq!((elsewhere.record, elsewhere.region.as_str()), (1, "eu"));
    let [refused] = &*home.rejected else {
        panic!("{:?}", home.rejected);
    };
    assert_eq!(
        (refused.record, refused.code),
        (2, Code::ServiceNotDeclared)
    );
    // Both say which bytes they are, and the refusal says of what it is about.
    assert!(elsewhere.offset > Some(0) && refused.offset > elsewhere.offset);
    let table = refused.table.as_ref().map(TableName::as_str);
    let service = refused.service.as_ref().map(ServiceName::as_str);
    assert_eq!((table, service), (Some("EmailEvents"), Some("email")));
    assert_eq!(
        (home.tally.mapped, home.tally.raw),
        (2, 0),
        "only what rests here is counted as kept"
    );

    // The second cell knows the tenant and its source by the signed profile alone.
    let second = world.ingest("eu", tenant, source).await;
    assert_eq!(second.stored, 1);
    let elsewhere: Vec<_> = second
        .wrong_region
        .iter()
        .map(|m| (m.record, m.region.as_str()))
        .collect();
    assert_eq!(elsewhere, [(0, "uk"), (3, "uk")]);

    let again = world.ingest("eu", tenant, source).await;
    assert_eq!((again.stored, again.duplicates), (0, 1));

    // A third region has never heard of the tenant.
    let us = world.cell("us");
    let grant = us
        .cx()
        .decide::<ReadTenant>(&Credential::local_operator(), tenant)
        .unwrap();
    assert_eq!(us.tenant(&grant).unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_hunt_is_never_partial() {
    let world = World::new().await;
    let (tenant, _) = world.tenant("uk", "GB").await;
    assert!(
        world
            .hunt("uk", tenant, "DeviceEvents EmailEvents")
            .await
            .is_ok()
    );
    assert!(
        world
            .hunt("eu", tenant, "IdentityLogonEvents")
            .await
            .is_ok()
    );
    let elsewhere = world
        .hunt("uk", tenant, "IdentityLogonEvents")
        .await
        .unwrap_err();
    assert_eq!(elsewhere.code(), Code::WrongRegion);
    let several = world
        .hunt("uk", tenant, "DeviceEvents IdentityLogonEvents")
        .await
        .unwrap_err();
    assert_eq!(several.code(), Code::SeveralGeographies);
    assert_eq!(
        several.to_string(),
        "the query's tables rest in several geographies: `DeviceEvents` in UK, `IdentityLogonEvents` in EU"
    );
    let all = ["DeviceEvents"; 7];
    let geography = model::GeographyCode::new("EU").unwrap();
    let named = |t: &&str| (TableName::new(t).unwrap(), geography.clone());
    let many = Error::SeveralGeographies(all.iter().map(named).collect());
    assert!(many.to_string().ends_with(", and 2 more"), "{many}");
    let (norwegian, _) = world.tenant("eu", "NO").await;
    let refused = world
        .hunt("eu", norwegian, "EmailEvents")
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ServiceRefused);
}

#[tokio::test]
async fn a_forged_or_misdirected_profile_is_refused() {
    let world = World::new().await;
    let eu = world.cell("eu");
    let none = eu
        .accept_profile(&region("uk"), b"bailiwick-signed v1 cell-profile")
        .await;
    assert_eq!(none.unwrap_err().code(), Code::BadRequest);
    let text = b"bailiwick-signed v1 cell-profile 00 00\n{\"home\":\"uk\"}";
    let forged = eu.accept_profile(&region("uk"), text).await.unwrap_err();
    assert!(
        matches!(forged.code(), Code::BadSignature | Code::BadDocument),
        "{forged}"
    );
    let unknown = b"x\n{\"home\":\"fr\"}";
    assert_eq!(
        eu.accept_profile(&region("fr"), unknown)
            .await
            .unwrap_err()
            .code(),
        Code::BadRequest
    );
}

#[tokio::test]
async fn a_token_says_its_region_and_nothing_else() {
    let world = World::new().await;
    let (tenant, source) = world.tenant("uk", "GB").await;
    let uk = world.cell("uk");
    let grant = uk
        .cx()
        .decide::<ManageTokens>(&Credential::local_operator(), tenant)
        .unwrap();
    let scope = access::Scope::of(access::Permissions::only(access::Permission::Ingest));
    let request = TokenRequest {
        name: "t".to_owned(),
        scope: scope.for_source(source),
        days: 1,
    };
    let minted = uk.mint_token(&grant, request).await.unwrap();
    assert_eq!(region_of_token(&minted.text), Some(region("uk")));
    assert!(uk.authenticate(&minted.text).await.is_ok());
    let eu = world.cell("eu");
    let refused = eu.authenticate(&minted.text).await.unwrap_err();
    assert_eq!(refused, Refusal::WrongRegion(region("uk")));
    let invented = format!("bwt_uk_{}", "0".repeat(64));
    assert_eq!(
        eu.authenticate(&invented).await.unwrap_err(),
        refused,
        "alike for an invented one"
    );
    assert_eq!(
        uk.authenticate(&invented).await.unwrap_err(),
        Refusal::Unauthenticated
    );
    uk.revoke_token(&grant, minted.entry.token).await.unwrap();
    assert_eq!(
        uk.authenticate(&minted.text).await.unwrap_err(),
        Refusal::Unauthenticated
    );
}

#[tokio::test]
async fn a_profile_whose_answer_was_lost_is_taken_when_it_is_issued_again() {
    let world = World::new().await;
    world.link.loses_answers.store(true, Ordering::Release);
    let (tenant, source) = world.tenant("uk", "GB").await;
    world.cell("uk").step().await;
    world.link.loses_answers.store(false, Ordering::Release);
    let sent = || world.link.crossed.lock().unwrap().len();
    let before = sent();
    assert!(before > 1, "it was tried");
    world.cell("uk").step().await;
    let after = sent();
    assert_eq!(after, before + 1, "once more");
    world.cell("uk").step().await;
    assert_eq!(sent(), after, "and then it was taken");
    assert_eq!(world.ingest("eu", tenant, source).await.stored, 1);
}

/// What places the first record is the newest document: the store says no to rows that an older one placed,
/// and nothing is kept of them.
#[tokio::test]
async fn a_first_record_that_an_older_document_placed_is_refused() {
    let world = World::new().await;
    let (tenant, source) = world.tenant("uk", "GB").await;
    let uk = world.cell("uk");
    let me = Credential::local_operator();
    let stale = uk.tenant_of(tenant).unwrap();
    let grant = uk
        .cx()
        .decide::<access::AdministerTenant>(&me, tenant)
        .unwrap();
    let settings = |settings: crate::Settings| crate::Settings {
        retention_days: 30,
        ..settings
    };
    uk.change_settings(&grant, settings).await.unwrap();
    let newest = uk.tenant_of(tenant).unwrap();
    assert!(newest.document_version > stale.document_version);
    // As a request sees it that began before the change.
    let put = |tenant_of| uk.inner.tenants.write().unwrap().insert(tenant, tenant_of);
    put(stale);
    let line = [super::kit::record(
        "DeviceEvents",
        "2026-01-01T00:00:00Z",
        serde_json::json!({ "ReportId": "1" }),
    )];
    let refused = world.try_send("uk", tenant, source, &line).await;
    assert_eq!(refused.unwrap_err().code(), Code::Conflict);
    let first = uk.store().tenants()[0].first_record_at;
    assert_eq!(first, None);
    put(newest);
    let sent = world.try_send("uk", tenant, source, &line).await;
    assert_eq!(sent.unwrap().stored, 1);
    // And with the first record there, a document that may move it is refused.
    let again = uk
        .store()
        .update_tenant_before_first_record(&grant, b"elsewhere", Vec::new());
    assert_eq!(again.await.unwrap_err().code(), Code::Conflict);
}
