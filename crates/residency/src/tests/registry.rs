//! What a registry must be, and which of several is accepted.

use std::collections::BTreeSet;

use crypto::Signer;
use expect_test::{Expect, expect};

use super::{
    TestKey, accept, country, default_document, default_registry, geography, operator, region_in,
    service, table, told,
};
use crate::{DEFAULT_REGISTRY, Document, Draft, Registry, Want};

#[test]
fn the_default_is_whole() {
    let registry = default_registry();
    let document = registry.document();
    // 245 names of the mail map; two of them are one country (Bosnia and Herzegovina).
    assert_eq!(document.countries.len(), 244);
    let services: Vec<_> = document.services.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        services,
        [
            "cloud_apps",
            "email",
            "endpoint",
            "identity",
            "identity_protection",
            "xdr"
        ]
    );
    for table in model::Schema::hunting().tables() {
        assert!(
            registry.service_of_table(&table.name).is_some(),
            "{}",
            table.name
        );
    }
    assert_eq!(
        document
            .services
            .iter()
            .map(|s| s.tables.len())
            .sum::<usize>(),
        66
    );
}

#[test]
fn tables_go_to_the_services_of_the_shared_list() {
    let Some(folder) = testkit::shared_data() else {
        return testkit::skip("no shared data: table_service.csv was not compared");
    };
    let registry = default_registry();
    let text = std::fs::read_to_string(folder.join("table_service.csv")).unwrap();
    let mut n_rows = 0;
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let expected = service(fields[1]);
        assert_eq!(
            registry.service_of_table(&table(fields[0])),
            Some(&expected),
            "{line}"
        );
        n_rows += 1;
    }
    assert_eq!(n_rows, 66);
}

#[test]
fn countries_are_found_by_code_and_by_any_name() {
    let registry = default_registry();
    let found = |text: &str| registry.find_country(text).map(|c| c.code.to_string());
    assert_eq!(found("NO").as_deref(), Some("NO"));
    assert_eq!(found(" norway ").as_deref(), Some("NO"));
    assert_eq!(found("Herzegovina").as_deref(), Some("BA"));
    assert_eq!(found("TURKEY").as_deref(), Some("TR"));
    assert_eq!(found("türkiye").as_deref(), Some("TR"));
    assert_eq!(found("Atlantis"), None);
}

#[test]
fn containment_is_followed() {
    let registry = default_registry();
    let apac = registry.countries_of(&geography("APAC")).unwrap();
    assert!(apac.contains(&country("SG")), "by way of ASIA");
    let registry = super::changed(|document| {
        // A chain against the order of the list.
        document
            .geographies
            .insert(0, named("WORLD", &[], &["HALF"]));
        document
            .geographies
            .insert(1, named("HALF", &[], &["APAC", "EU"]));
    });
    let world = registry.countries_of(&geography("WORLD")).unwrap();
    assert!(world.contains(&country("SG")) && world.contains(&country("IE")));
    assert!(!world.contains(&country("NO")));
}

fn named(code: &str, countries: &[&str], contains: &[&str]) -> crate::Geography {
    crate::Geography {
        code: geography(code),
        name: code.to_owned(),
        countries: countries.iter().map(|c| country(c)).collect(),
        contains: contains.iter().map(|c| geography(c)).collect(),
    }
}

/// What is said of the default registry after a change.
fn check(change: impl FnOnce(&mut Document), expected: Expect) {
    let mut document = default_document();
    change(&mut document);
    let error = Draft::of(document).unwrap_err();
    assert_eq!(error.code(), model::Code::BadDocument);
    expected.assert_eq(&error.to_string());
}

#[test]
fn contradictions_among_places_are_named() {
    check(
        |d| d.regions.push(region_in("eu", "EU", "NL")),
        expect!["the registry document contradicts itself: the region `eu` is there twice"],
    );
    check(
        |d| d.regions.push(region_in("no", "EU", "NO")),
        expect![
            "the registry document contradicts itself: region `no`: country `NO` is not in `EU`"
        ],
    );
    check(
        |d| d.regions.push(region_in("no", "NORDIC", "NO")),
        expect![
            "the registry document contradicts itself: region `no`: geography `NORDIC` is not in the registry"
        ],
    );
    check(
        |d| d.regions.clear(),
        expect!["the registry document contradicts itself: there is no region"],
    );
    check(
        |d| d.regions[0].url = Some("ftp://eu.example".to_owned()),
        expect![
            "the registry document contradicts itself: region `eu`: the address is not an http or https URL"
        ],
    );
    check(
        |d| d.geographies.push(named("EU", &[], &[])),
        expect!["the registry document contradicts itself: the geography `EU` is there twice"],
    );
    check(
        |d| d.geographies.push(named("LOST", &["QQ"], &[])),
        expect![
            "the registry document contradicts itself: geography `LOST`: country `QQ` is not in the registry"
        ],
    );
    check(
        |d| {
            d.geographies.push(named("ONE", &[], &["TWO"]));
            d.geographies.push(named("TWO", &[], &["ONE"]));
        },
        expect![
            "the registry document contradicts itself: geography `ONE` contains itself by way of others"
        ],
    );
    check(
        |d| d.countries[0].suggests = geography("MOON"),
        expect![
            "the registry document contradicts itself: country `AD`: geography `MOON` is not in the registry"
        ],
    );
    check(
        |d| d.countries[0].also.push("NORWAY".to_owned()),
        expect![
            "the registry document contradicts itself: the country name `norway` is there twice"
        ],
    );
}

#[test]
fn contradictions_among_services_and_rules_are_named() {
    check(
        |d| d.services[1].tables.push(table("DeviceEvents")),
        expect![
            "the registry document contradicts itself: the table `DeviceEvents` is there twice"
        ],
    );
    check(
        |d| d.rules.retain(|r| r.service.as_str() != "email"),
        expect!["the registry document contradicts itself: service `email` has no rule"],
    );
    check(
        |d| d.services.retain(|s| s.name.as_str() != "email"),
        expect![
            "the registry document contradicts itself: there is a rule of service `email`, which is not in the registry"
        ],
    );
    check(
        |d| d.rules[0].as_of = "spring".to_owned(),
        expect![
            "the registry document contradicts itself: rule `cloud-apps-nearest`: `spring` is not a month or a day"
        ],
    );
    check(
        |d| {
            d.rules[1]
                .cases
                .retain(|case| case.want != [Want::Country(country("NO"))]);
        },
        expect![
            "the registry document contradicts itself: rule `email-country-map`: no case for country `NO` in geography `EU`"
        ],
    );
    check(
        |d| d.rules[2].cases[0].geographies = Some(BTreeSet::from([geography("EU")])),
        expect![
            "the registry document contradicts itself: rule `endpoint-tenant-geography`: no case for country `AD` in geography `UK`"
        ],
    );
    check(
        |d| d.rules[0].cases[0].want = vec![Want::Country(country("QQ"))],
        expect![
            "the registry document contradicts itself: rule `cloud-apps-nearest`: country `QQ` is not in the registry"
        ],
    );
    check(
        |d| d.rules[0].cases[0].want = vec![Want::TenantGeography; 17],
        expect![
            "the registry document contradicts itself: rule `cloud-apps-nearest`: a case wants over 16 places"
        ],
    );
    check(
        |d| {
            d.services[0]
                .tables
                .extend((0..2_000).map(|n| table(&format!("T{n}"))));
        },
        expect!["the registry document contradicts itself: 2066 tables, at most 2000 are read"],
    );
    check(
        |d| d.geographies[0].name = "a".repeat(257),
        expect![
            "the registry document contradicts itself: a name or address is over 256 bytes or has control characters"
        ],
    );
}

#[test]
fn limits_hold_at_their_edge() {
    let mut document = default_document();
    document.services[0]
        .tables
        .extend((0..2_000 - 66).map(|n| table(&format!("T{n}"))));
    document.geographies[0].name = "a".repeat(256);
    document.rules[0].cases[0].want = vec![Want::TenantGeography; 16];
    Draft::of(document).unwrap();
}

#[test]
fn text_that_is_no_registry_is_told() {
    let check = |from: &str, to: &str, expected: Expect| {
        let text = DEFAULT_REGISTRY.replacen(from, to, 1);
        assert_ne!(text, DEFAULT_REGISTRY);
        expected.assert_eq(&told(&Draft::parse(text.as_bytes()).unwrap_err()));
    };
    check(
        "bailiwick-registry",
        "bailiwick-recipe",
        expect!["bad_document: the payload does not say that it is a registry document"],
    );
    check(
        "\"format\": 1",
        "\"format\": 2, \"new\": true",
        expect!["newer_format: the registry document has format 2, newest supported is 1"],
    );
    check(
        "\"version\": 1",
        "\"version\": 1, \"note\": true",
        expect!["bad_document: the registry document is not of its documented form"],
    );
    check(
        "\"version\": 1",
        "\"version\": 1, \"version\": 2",
        expect!["bad_document: the registry document is not of its documented form"],
    );
    check(
        "}",
        "",
        expect!["bad_document: the registry document is not of its documented form"],
    );
}

#[test]
fn older_versions_are_refused() {
    let signed = |version: u64| {
        let mut document = default_document();
        document.version = version;
        Draft::of(document).unwrap().sign(&operator())
    };
    let key = operator().public_key();
    let newest = Registry::accept(&signed(5), &key, 5, None).unwrap();
    let highest = Some(newest.accepted());
    assert_eq!(
        Registry::accept(&signed(5), &key, 1, highest)
            .unwrap()
            .version(),
        5
    );
    assert_eq!(
        Registry::accept(&signed(6), &key, 1, highest)
            .unwrap()
            .version(),
        6
    );

    let error = Registry::accept(&signed(4), &key, 1, highest).unwrap_err();
    expect!["old_version: the registry document has version 4, at least 5 is wanted"]
        .assert_eq(&told(&error));
    let error = Registry::accept(&signed(4), &key, 5, None).unwrap_err();
    expect!["old_version: the registry document has version 4, at least 5 is wanted"]
        .assert_eq(&told(&error));
}

#[test]
fn a_version_is_used_once() {
    let key = operator().public_key();
    let first = default_registry();
    let mut document = default_document();
    document.regions[0].country = country("NL");
    let other = Draft::of(document).unwrap().sign(&operator());
    let error = Registry::accept(&other, &key, 1, Some(first.accepted())).unwrap_err();
    expect![
        "bad_document: the registry document of version 1 differs from the one already accepted"
    ]
    .assert_eq(&told(&error));
}

#[test]
fn only_the_pinned_key_makes_a_registry() {
    let bytes = Draft::of(default_document())
        .unwrap()
        .sign(&TestKey::new(9));
    let error = Registry::accept(&bytes, &operator().public_key(), 1, None).unwrap_err();
    assert_eq!(error.code(), model::Code::BadSignature);
}

#[test]
fn the_signed_bytes_are_the_written_ones() {
    // Not a re-serialised form: what the operator reviewed is what is signed.
    let draft = Draft::parse(DEFAULT_REGISTRY.as_bytes()).unwrap();
    let signed = draft.sign(&operator());
    assert!(signed.ends_with(DEFAULT_REGISTRY.as_bytes()));
    let registry = Registry::accept(&signed, &operator().public_key(), 1, None).unwrap();
    assert_eq!(registry.accepted().digest, draft.digest());
    assert_eq!(registry.document(), accept(default_document()).document());
}

#[test]
fn a_kept_registry_is_recalled_by_the_digest_in_a_verified_record() {
    let document = default_document();
    let kept = Draft::of(document).unwrap().sign(&TestKey::new(77));
    let old_key = TestKey::new(77).public_key();
    let registry = Registry::accept(&kept, &old_key, 1, None).unwrap();
    let record = super::verified(&super::provision(&registry, &super::from("GB")));
    let tenant = crate::TenantPlacement::of_record(&record);

    // The operator's key was changed since: the bytes no longer verify, the digest still does.
    assert!(Registry::accept(&kept, &operator().public_key(), 1, None).is_err());
    let recalled = Registry::recall(&kept, &tenant).unwrap();
    assert_eq!(recalled.accepted(), registry.accepted());
    assert_eq!(recalled.document(), registry.document());

    let newer = super::changed(|_| {});
    let other = Draft::of(newer.document().clone())
        .unwrap()
        .sign(&operator());
    let error = Registry::recall(&other, &tenant).unwrap_err();
    expect![
        "conflict: the registry of version 2 is not the one that the tenant accepted, of version 1"
    ]
    .assert_eq(&told(&error));
    for at in (0..kept.len()).filter(|at| kept[*at] != b'\n').step_by(97) {
        let mut damaged = kept.clone();
        damaged[at] ^= 1;
        let line_end = kept.iter().position(|b| *b == b'\n').unwrap();
        assert_eq!(
            Registry::recall(&damaged, &tenant).is_err(),
            at > line_end,
            "byte {at}"
        );
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn damaged_text_is_refused_or_read_never_a_panic(
        at in 0_usize..27_000,
        len in 0_usize..40,
        with in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
    ) {
        let mut bytes = DEFAULT_REGISTRY.as_bytes().to_vec();
        let end = (at + len).min(bytes.len());
        bytes.splice(at..end, with);
        let _ = Draft::parse(&bytes);
    }
}
