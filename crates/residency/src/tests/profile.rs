//! What a second cell is told.

use crypto::Signer;
use expect_test::expect;
use model::{OrderId, OwnerGroupId, SourceId, TenantId};

use super::{
    TestKey, at, changed, default_registry, deploy_in_france, from, home_cell, provision, region,
    service, told, verified,
};
use crate::signed::{Kind, sign};
use crate::{
    CellProfile, CentreMode, Error, NotHere, Opaque, Order, ProfileInput, ProfileSource, Settings,
    TenantPlacement, Verified, place,
};

fn source(id: u8, services: &[&str]) -> ProfileSource {
    ProfileSource {
        id: SourceId::from_bytes([id; 16]),
        services: services.iter().map(|s| service(s)).collect(),
        envelope_tenant: Some(TenantId::from_bytes([id; 16]).to_string()),
        masked: id == 1,
        enabled: true,
    }
}

fn input() -> ProfileInput {
    ProfileInput {
        sources: vec![
            source(1, &["endpoint", "identity"]),
            source(2, &["endpoint"]),
        ],
        holds: vec![Order {
            id: OrderId::from_bytes([3; 16]),
            ordered_at: at(1),
            scope: Opaque::new(vec![1, 2, 3]).unwrap(),
        }],
        erasures: Vec::new(),
        link_secret: Opaque::new(vec![9; 60]).unwrap(),
    }
}

/// The UK tenant's profile for the EU cell.
fn issue() -> CellProfile {
    let record = verified(&provision(&default_registry(), &from("GB")));
    CellProfile::issue(&record, &region("eu"), 1, input(), at(2)).unwrap()
}

fn open(bytes: &[u8], own: &str) -> Result<Verified<CellProfile>, Error> {
    CellProfile::open(bytes, &home_cell().public_key(), &region(own), None)
}

#[test]
fn it_holds_what_the_region_holds_and_no_more() {
    let profile = issue();
    let services: Vec<_> = profile
        .services()
        .iter()
        .map(|p| p.service.as_str())
        .collect();
    assert_eq!(services, ["cloud_apps", "identity", "identity_protection"]);
    assert_eq!(
        profile.sources().len(),
        1,
        "the endpoint-only source stays at home"
    );
    let bytes = profile.sign(&home_cell()).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    expect![[r#"{"magic":"bailiwick-cell-profile","format":1,"version":1,"tenant":"07070707070707070707070707070707","issued_at":"2026-01-03T00:00:00.0000000Z","provisioning_version":1,"registry":{"version":1,"digest":"c25e82110f83442db27ff61cea1066dfeda5ce298772f200d503eb85e8e516da"},"home":"uk","region":"eu","services":[{"service":"cloud_apps","rule":{"id":"cloud-apps-nearest","version":1,"basis":"b"},"wanted":[{"geography":"EU"}],"outcome":{"placed":{"region":"eu","geography":"EU","country":"IE"}}},{"service":"identity","rule":{"id":"identity-nearest","version":1,"basis":"b"},"wanted":[{"geography":"EU"}],"outcome":{"placed":{"region":"eu","geography":"EU","country":"IE"}}},{"service":"identity_protection","rule":{"id":"identity-protection-sign-up","version":1,"basis":"b"},"wanted":[{"geography":"EU"}],"outcome":{"placed":{"region":"eu","geography":"EU","country":"IE"}}}],"retention_days":90,"centre":"off","federated_reads":true,"sources":[{"id":"01010101010101010101010101010101","services":["endpoint","identity"],"envelope_tenant":"01010101010101010101010101010101","masked":true,"enabled":true}],"holds":[{"id":"03030303030303030303030303030303","ordered_at":"2026-01-02T00:00:00.0000000Z","scope":"010203"}],"erasures":[],"link_secret":"090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909"}"#]].assert_eq(text.split_once('\n').unwrap().1);
    assert_eq!(*open(&bytes, "eu").unwrap(), profile);
}

#[test]
fn it_says_whom_the_tenant_counts_with_where_something_goes_to_the_centre() {
    let group = OwnerGroupId::from_bytes([8; 16]);
    for (centre, told) in [(CentreMode::Off, None), (CentreMode::Facts, Some(group))] {
        let record = provision(&default_registry(), &from("GB"));
        let settings = Settings {
            centre,
            owner_group: Some(group),
            ..record.settings().clone()
        };
        let record = verified(&record.with_settings(settings, at(2)).unwrap());
        let profile = CellProfile::issue(&record, &region("eu"), 1, input(), at(2)).unwrap();
        assert_eq!(profile.owner_group(), told);
        let bytes = profile.sign(&home_cell()).unwrap();
        assert_eq!(open(&bytes, "eu").unwrap().owner_group(), told);
    }
}

#[test]
fn it_verifies_only_with_the_home_key_and_only_in_its_region() {
    let profile = issue();
    let bytes = profile.sign(&home_cell()).unwrap();
    assert!(open(&bytes, "eu").is_ok());
    expect!["bad_document: the cell profile is for region `eu`, not `us`"]
        .assert_eq(&told(&open(&bytes, "us").unwrap_err()));
    let forged = profile.sign(&TestKey::new(8)).unwrap();
    assert_eq!(
        open(&forged, "eu").unwrap_err().code(),
        model::Code::BadSignature
    );
}

#[test]
fn an_older_profile_is_refused() {
    let record = verified(&provision(&default_registry(), &from("GB")));
    let signed = |version| {
        let profile = CellProfile::issue(&record, &region("eu"), version, input(), at(2));
        profile.unwrap().sign(&home_cell()).unwrap()
    };
    let newest = open(&signed(4), "eu").unwrap().accepted();
    let key = home_cell().public_key();
    let error = CellProfile::open(&signed(3), &key, &region("eu"), Some(newest)).unwrap_err();
    expect!["old_version: the cell-profile document has version 3, at least 4 is wanted"]
        .assert_eq(&told(&error));
}

#[test]
fn there_is_none_for_home_or_for_a_region_that_holds_nothing() {
    let record = verified(&provision(&default_registry(), &from("GB")));
    for code in ["uk", "us", "mars"] {
        let error = CellProfile::issue(&record, &region(code), 1, input(), at(2)).unwrap_err();
        assert_eq!(error.code(), model::Code::Conflict, "{code}");
    }
}

#[test]
fn the_second_cell_places_its_services_and_sends_the_rest_home() {
    let bytes = issue().sign(&home_cell()).unwrap();
    let tenant = TenantPlacement::of_profile(&open(&bytes, "eu").unwrap());
    let here = region("eu");
    let placement = place(&tenant, &here, &service("identity")).unwrap();
    assert_eq!(
        (placement.region(), placement.geography().as_str()),
        (&here, "EU")
    );
    assert_eq!(placement.rule_id().as_str(), "identity-nearest");
    assert_eq!(
        place(&tenant, &here, &service("endpoint")).unwrap_err(),
        NotHere::WrongRegion {
            service: service("endpoint"),
            region: region("uk")
        }
    );
}

#[test]
fn a_region_that_only_keeps_older_data_is_still_told() {
    let record = provision(&default_registry(), &from("GB"));
    // Everything of the UK tenant that rested in the EU goes to a new region in France.
    let newer = changed(|document| {
        deploy_in_france(document);
        document.regions.retain(|r| r.code.as_str() != "eu");
    });
    let shown = record.plan_with(&newer).unwrap().digest();
    let record = verified(&record.accept_registry(&newer, shown, at(3)).unwrap());
    let profile = CellProfile::issue(&record, &region("eu"), 2, input(), at(4)).unwrap();
    assert!(profile.services().is_empty() && profile.sources().is_empty());
    assert_eq!(profile.earlier().len(), 3);
    assert_eq!(profile.holds().len(), 1);

    let bytes = profile.sign(&home_cell()).unwrap();
    let tenant = TenantPlacement::of_profile(&open(&bytes, "eu").unwrap());
    assert_eq!(
        place(&tenant, &region("eu"), &service("identity")).unwrap_err(),
        NotHere::WrongRegion {
            service: service("identity"),
            region: region("uk")
        },
        "no new data, and home knows where it belongs"
    );
}

#[test]
fn a_signed_profile_that_contradicts_itself_is_refused() {
    let text = String::from_utf8(issue().sign(&home_cell()).unwrap()).unwrap();
    let payload = text.split_once('\n').unwrap().1;
    let refused = |from: &str, to: &str| {
        let changed = payload.replacen(from, to, 1);
        assert_ne!(changed, payload);
        let bytes = sign(Kind::CellProfile, changed.as_bytes(), &home_cell());
        told(&open(&bytes, "eu").unwrap_err())
    };
    expect![
        "bad_document: the cell-profile document contradicts itself: it is for the home region"
    ]
    .assert_eq(&refused(r#""home":"uk""#, r#""home":"eu""#));
    expect!["bad_document: the cell-profile document contradicts itself: a service in it rests in another region"].assert_eq(&refused(r#"{"region":"eu""#, r#"{"region":"us""#));
    expect!["bad_document: the cell-profile document contradicts itself: the services are not in order of their names, each once"].assert_eq(&refused(r#""service":"cloud_apps""#, r#""service":"xdr""#));
    let elsewhere = r#"{"service":"xdr","region":"us","until":"2026-01-01T00:00:00.0000000Z"}"#;
    let elsewhere = format!(r#""earlier":[{elsewhere}],"retention_days""#);
    expect!["bad_document: the cell-profile document contradicts itself: a service in it rests in another region"].assert_eq(&refused(r#""retention_days""#, &elsewhere));
    let long = format!(r#""envelope_tenant":"{}"#, "0".repeat(257));
    expect!["bad_document: the cell-profile document contradicts itself: a list or a text in it is longer than its limit"].assert_eq(&refused(r#""envelope_tenant":""#, &long));
}

#[test]
fn sealed_fields_have_a_limit_and_do_not_print() {
    let max = model::limits::DOCUMENT_SEALED_BYTES_MAX;
    assert!(Opaque::new(vec![0; max]).is_some());
    assert!(Opaque::new(vec![0; max + 1]).is_none());
    assert_eq!(
        format!("{:?}", Opaque::new(vec![7; 5]).unwrap()),
        "Opaque(5 bytes)"
    );
}
