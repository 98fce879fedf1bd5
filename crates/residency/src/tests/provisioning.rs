//! The tenant's record.

use crypto::Signer;
use expect_test::expect;

use super::{
    TestKey, accept, at, changed, country, default_document, default_registry, deploy_in_france,
    from, geography, home_cell, pin_summary, provision, region_in, service, settings, tenant, told,
    verified,
};
use crate::signed::{Kind, sign};
use crate::{CentreMode, Provisioning, Settings, Sharing, TenantFacts, plan};

fn places(record: &Provisioning) -> String {
    record
        .services()
        .iter()
        .map(pin_summary)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_record_is_what_was_shown() {
    let registry = default_registry();
    let record = provision(&registry, &from("GB"));
    assert_eq!(record.version(), 1);
    assert_eq!(record.registry(), registry.accepted());
    expect!["cloud_apps=eu email=uk endpoint=uk identity=eu identity_protection=eu xdr=uk"]
        .assert_eq(&places(&record));

    let other = plan(&registry, &from("IE")).unwrap().digest();
    let error =
        Provisioning::new(tenant(), &registry, &from("GB"), other, settings(), at(0)).unwrap_err();
    expect!["conflict: the plan is not the one that was confirmed"].assert_eq(&told(&error));
}

#[test]
fn the_signed_bytes_are_one_line_and_canonical_json() {
    let record = provision(&default_registry(), &from("NO"));
    let bytes = record.sign(&home_cell()).unwrap();
    assert_eq!(bytes, record.sign(&home_cell()).unwrap());
    let text = String::from_utf8(bytes).unwrap();
    expect![[r#"{"magic":"bailiwick-provisioning","format":1,"version":1,"tenant":"07070707070707070707070707070707","provisioned_at":"2026-01-01T00:00:00.0000000Z","changed_at":"2026-01-01T00:00:00.0000000Z","registry":{"version":1,"digest":"c25e82110f83442db27ff61cea1066dfeda5ce298772f200d503eb85e8e516da"},"country":"NO","geography":"EU","geography_choice":"suggested","home":"eu","services":[{"service":"cloud_apps","rule":{"id":"cloud-apps-nearest","version":1,"basis":"b"},"wanted":[{"geography":"EU"}],"outcome":{"placed":{"region":"eu","geography":"EU","country":"IE"}}},{"service":"email","rule":{"id":"email-country-map","version":1,"basis":"b"},"wanted":[{"country":"NO"}],"outcome":{"refused":{"countries":["NO"]}}},{"service":"endpoint","rule":{"id":"endpoint-tenant-geography","version":1,"basis":"a"},"wanted":[{"geography":"EU"}],"outcome":{"placed":{"region":"eu","geography":"EU","country":"IE"}}},{"service":"identity","rule":{"id":"identity-nearest","version":1,"basis":"b"},"wanted":[{"geography":"EU"}],"outcome":{"placed":{"region":"eu","geography":"EU","country":"IE"}}},{"service":"identity_protection","rule":{"id":"identity-protection-sign-up","version":1,"basis":"b"},"wanted":[{"geography":"EU"}],"outcome":{"placed":{"region":"eu","geography":"EU","country":"IE"}}},{"service":"xdr","rule":{"id":"xdr-follows-endpoint","version":1,"basis":"a"},"wanted":[{"geography":"EU"}],"outcome":{"placed":{"region":"eu","geography":"EU","country":"IE"}}}],"settings":{"retention_days":90,"sharing":"none","centre":"off","federated_reads":true}}"#]].assert_eq(text.split_once('\n').unwrap().1);
    assert_eq!(*verified(&record), record);
}

#[test]
fn placement_can_be_corrected_until_the_first_record() {
    let registry = default_registry();
    let record = provision(&registry, &from("GB"));
    let facts = from("IE");
    let shown = plan(&registry, &facts).unwrap().digest();
    let corrected = record
        .correct(&registry, &facts, shown, false, at(1))
        .unwrap();
    assert_eq!((corrected.version(), corrected.home().as_str()), (2, "eu"));
    assert_eq!(corrected.provisioned_at(), at(0));
    assert_eq!(corrected.changed_at(), at(1));

    let error = record
        .correct(&registry, &facts, shown, true, at(1))
        .unwrap_err();
    expect!["placement_fixed: the placement is fixed since the first record arrived"]
        .assert_eq(&told(&error));
    // The same facts are no exception: nothing about the place changes any more.
    let same = plan(&registry, &from("GB")).unwrap().digest();
    let error = record
        .correct(&registry, &from("GB"), same, true, at(1))
        .unwrap_err();
    assert_eq!(error.code(), model::Code::PlacementFixed);
}

#[test]
fn a_new_registry_changes_nothing_until_it_is_accepted() {
    let registry = default_registry();
    let record = provision(&registry, &from("FR"));
    assert!(places(&record).contains("email=-"));
    let newer = changed(deploy_in_france);
    let shown = record.plan_with(&newer).unwrap().digest();
    let accepted = record.accept_registry(&newer, shown, at(5)).unwrap();
    assert_eq!(accepted.version(), 2);
    assert_eq!(accepted.registry(), newer.accepted());
    assert!(places(&accepted).contains("email=fr"));
    assert_eq!(
        (accepted.home(), accepted.geography()),
        (record.home(), record.geography())
    );

    let error = accepted.plan_with(&registry).unwrap_err();
    expect!["old_version: the registry document has version 1, at least 2 is wanted"]
        .assert_eq(&told(&error));
}

#[test]
fn a_pinned_region_stays_when_a_better_named_one_comes() {
    let record = provision(&default_registry(), &from("GB"));
    let newer = changed(|document| {
        document.regions.push(region_in("a-eu", "EU", "NL"));
        document.regions.push(region_in("a-uk", "UK", "GB"));
    });
    let shown = record.plan_with(&newer).unwrap();
    assert_eq!(shown.home.as_str(), "uk", "home never moves by a registry");
    let accepted = record
        .accept_registry(&newer, shown.digest(), at(1))
        .unwrap();
    assert_eq!(places(&accepted), places(&record));
    // A new tenant takes the first by code.
    let fresh = provision(&newer, &from("GB"));
    assert_eq!(fresh.home().as_str(), "a-uk");
}

#[test]
fn a_registry_without_the_home_region_is_not_accepted() {
    let record = provision(&default_registry(), &from("GB"));
    let newer = changed(|document| {
        document.regions.retain(|r| r.code.as_str() != "uk");
        document.regions.push(region_in("uk-2", "UK", "GB"));
    });
    let error = record.plan_with(&newer).unwrap_err();
    expect!["conflict: the home region `uk` is not one of geography `UK` in this registry"]
        .assert_eq(&told(&error));
}

#[test]
fn a_chosen_geography_stays_chosen() {
    let facts = TenantFacts {
        country: country("JP"),
        geography: Some(geography("EU")),
    };
    let record = provision(&default_registry(), &facts);
    let newer = changed(|document| {
        let japan = document
            .countries
            .iter_mut()
            .find(|c| c.code.as_str() == "JP")
            .unwrap();
        japan.suggests = geography("UK");
    });
    let shown = record.plan_with(&newer).unwrap().digest();
    let accepted = record.accept_registry(&newer, shown, at(1)).unwrap();
    assert_eq!(accepted.geography().as_str(), "EU");
    assert_eq!(accepted.geography_choice(), record.geography_choice());
}

#[test]
fn settings_change_at_any_time_within_their_limits() {
    let record = provision(&default_registry(), &from("GB"));
    let changed = record
        .with_settings(
            Settings {
                centre: CentreMode::Facts,
                ..settings()
            },
            at(3),
        )
        .unwrap();
    assert_eq!(
        (changed.version(), changed.settings().centre),
        (2, CentreMode::Facts)
    );
    for days in [30, 180] {
        let record = record.with_settings(
            Settings {
                retention_days: days,
                ..settings()
            },
            at(3),
        );
        assert_eq!(record.unwrap().settings().retention_days, days);
    }
    for days in [29, 181, -1] {
        let error = record
            .with_settings(
                Settings {
                    retention_days: days,
                    ..settings()
                },
                at(3),
            )
            .unwrap_err();
        assert_eq!(error.code(), model::Code::BadRequest, "{days}");
    }
}

#[test]
fn sharing_is_by_unordered_pairs() {
    let (email, endpoint, xdr) = (service("email"), service("endpoint"), service("xdr"));
    let sharing = Sharing::pairs([(endpoint.clone(), email.clone())]);
    assert!(sharing.allows(&email, &endpoint) && sharing.allows(&endpoint, &email));
    assert!(!sharing.allows(&email, &xdr));
    assert!(Sharing::None.allows(&xdr, &xdr) && !Sharing::None.allows(&xdr, &email));
    assert!(Sharing::All.allows(&xdr, &email));

    let record = provision(&default_registry(), &from("GB"));
    let with = |sharing| {
        record.with_settings(
            Settings {
                sharing,
                ..settings()
            },
            at(1),
        )
    };
    assert!(with(sharing).is_ok());
    let error = with(Sharing::pairs([(email.clone(), email.clone())])).unwrap_err();
    expect!["bad_request: the sharing consent names the pair `email`, `email`, which is not two planned services"].assert_eq(&told(&error));
    let error = with(Sharing::pairs([(email, service("fax"))])).unwrap_err();
    assert_eq!(error.code(), model::Code::BadRequest);
}

#[test]
fn a_record_verifies_only_with_its_cell_and_never_goes_back() {
    let record = provision(&default_registry(), &from("GB"));
    let newer = record.with_settings(settings(), at(1)).unwrap();
    let (old, new) = (
        record.sign(&home_cell()).unwrap(),
        newer.sign(&home_cell()).unwrap(),
    );
    let key = home_cell().public_key();
    let highest = Provisioning::open(&new, &key, None).unwrap().accepted();
    let error = Provisioning::open(&old, &key, Some(highest)).unwrap_err();
    expect!["old_version: the provisioning document has version 1, at least 2 is wanted"]
        .assert_eq(&told(&error));
    let error = Provisioning::open(&new, &TestKey::new(3).public_key(), None).unwrap_err();
    assert_eq!(error.code(), model::Code::BadSignature);

    let other = record
        .with_settings(
            Settings {
                retention_days: 31,
                ..settings()
            },
            at(1),
        )
        .unwrap();
    let error = Provisioning::open(&other.sign(&home_cell()).unwrap(), &key, Some(highest));
    expect![
        "bad_document: the provisioning document of version 2 differs from the one already accepted"
    ]
    .assert_eq(&told(&error.unwrap_err()));
}

#[test]
fn a_correction_does_not_go_back_to_an_older_registry() {
    let newer = changed(|_| {});
    let record = provision(&newer, &from("GB"));
    let older = accept(default_document());
    let shown = plan(&older, &from("IE")).unwrap().digest();
    let error = record
        .correct(&older, &from("IE"), shown, false, at(1))
        .unwrap_err();
    assert_eq!(error.code(), model::Code::OldVersion);
}

#[test]
fn what_a_new_registry_leaves_behind_is_remembered() {
    let record = provision(&default_registry(), &from("JP"));
    let places_of = |record: &Provisioning, name: &str| {
        let regions = record.regions_of(&service(name));
        regions
            .into_iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(record.earlier().is_empty());
    assert_eq!(places_of(&record, "identity"), "us");
    assert_eq!(places_of(&record, "email"), "");

    // Asia is nearer than the US, so new identity data goes there.
    let asia = changed(|document| document.regions.push(region_in("sg", "ASIA", "SG")));
    let shown = record.plan_with(&asia).unwrap().digest();
    let moved = record.accept_registry(&asia, shown, at(5)).unwrap();
    assert_eq!(places_of(&moved, "identity"), "sg us");
    assert_eq!(places_of(&moved, "endpoint"), "us");
    let [earlier] = moved.earlier() else {
        panic!("{:?}", moved.earlier())
    };
    assert_eq!((earlier.region.as_str(), earlier.until), ("us", at(5)));
    assert_eq!(*verified(&moved), moved);

    // And it is not forgotten by the next change.
    let later = moved.with_settings(settings(), at(6)).unwrap();
    assert_eq!(later.earlier(), moved.earlier());
    let mut document = asia.document().clone();
    document.version += 1;
    document.regions.retain(|r| r.code.as_str() != "sg");
    let gone = accept(document);
    let shown = later.plan_with(&gone).unwrap().digest();
    let back = later.accept_registry(&gone, shown, at(7)).unwrap();
    assert_eq!(places_of(&back, "identity"), "sg us");
    assert_eq!(
        back.earlier().len(),
        3,
        "identity in sg and us, identity_protection in sg"
    );
}

#[test]
fn a_correction_leaves_nothing_behind() {
    let registry = default_registry();
    let record = provision(&registry, &from("GB"));
    let shown = plan(&registry, &from("US")).unwrap().digest();
    let corrected = record
        .correct(&registry, &from("US"), shown, false, at(1))
        .unwrap();
    assert!(corrected.earlier().is_empty());
}

#[test]
fn a_region_does_not_move_by_being_declared_elsewhere() {
    let record = provision(&default_registry(), &from("GB"));
    let elsewhere = changed(|document| document.regions[0].country = country("NL"));
    let error = record.plan_with(&elsewhere).unwrap_err();
    expect![
        "conflict: region `eu` was declared in another country or geography when it was pinned"
    ]
    .assert_eq(&told(&error));
}

#[test]
fn a_signed_record_that_contradicts_itself_is_refused() {
    let record = provision(&default_registry(), &from("GB"));
    let text = String::from_utf8(record.sign(&home_cell()).unwrap()).unwrap();
    let payload = text.split_once('\n').unwrap().1;
    let open = |from: &str, to: &str| {
        let changed = payload.replacen(from, to, 1);
        assert_ne!(changed, payload);
        let bytes = sign(Kind::Provisioning, changed.as_bytes(), &home_cell());
        told(&Provisioning::open(&bytes, &home_cell().public_key(), None).unwrap_err())
    };
    expect!["bad_document: the provisioning document contradicts itself: the services are not in order of their names, each once"].assert_eq(&open(r#""service":"xdr""#, r#""service":"endpoint""#));
    let twice = r#"{"service":"xdr","region":"eu","until":"2026-01-01T00:00:00.0000000Z"}"#;
    let twice = format!(r#""earlier":[{twice},{twice}],"settings""#);
    expect!["bad_document: the provisioning document contradicts itself: the earlier places are not in order, each once"].assert_eq(&open(r#""settings""#, &twice));
    expect!["bad_request: a retention of 900 days is outside 30 to 180"]
        .assert_eq(&open(r#""retention_days":90"#, r#""retention_days":900"#));
    expect!["bad_document: the provisioning document is not of its documented form"]
        .assert_eq(&open(r#""home""#, r#""owner":"me","home""#));
}
