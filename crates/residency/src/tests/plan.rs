//! Where tenants' data goes.

use expect_test::expect;
use proptest::prelude::*;

use super::{
    accept, changed, country, default_document, default_registry, deploy_in_france, from,
    geography, region_in, summary, told, wanted_countries,
};
use crate::{Document, Outcome, Place, Plan, TenantFacts, Verdict, plan, render_plan};

#[test]
fn an_ordinary_uk_tenant_has_identity_in_the_eu() {
    let registry = default_registry();
    let plan = plan(&registry, &from("GB")).unwrap();
    expect![[r#"
        country    GB (United Kingdom)
        geography  UK, suggested for the country
        home       uk
        registry   version 1
        regions    eu in IE (geography EU), uk in GB (geography UK), us in US (geography US)

        cloud_apps           region eu in IE (geography EU)
          rule (b) cloud-apps-nearest version 1, as of 2020-05
          1. EU (European Union): eu

        email                region uk in GB (geography UK)
          rule (b) email-country-map version 1, as of 2021-04
          1. country GB (United Kingdom): uk

        endpoint             region uk in GB (geography UK)
          rule (a) endpoint-tenant-geography version 1, as of 2020-05
          1. UK (United Kingdom): uk

        identity             region eu in IE (geography EU)
          rule (b) identity-nearest version 1, as of 2020-05
          1. EU (European Union): eu

        identity_protection  region eu in IE (geography EU)
          rule (b) identity-protection-sign-up version 1, as of 2020-05
          1. EU (European Union): eu

        xdr                  region uk in GB (geography UK)
          rule (a) xdr-follows-endpoint version 1, as of 2020-05
          1. UK (United Kingdom): uk

        plan       a09e853bfa48180dc6b1fe335e68d8494fa3ce0cac3d3e9379148462858eb223
    "#]]
    .assert_eq(&render_plan(&registry, &plan));
}

#[test]
fn norwegian_mail_is_refused_and_the_rest_works() {
    let registry = default_registry();
    let plan = plan(&registry, &from("NO")).unwrap();
    expect!["cloud_apps=eu email=- endpoint=eu identity=eu identity_protection=eu xdr=eu"]
        .assert_eq(&summary(&plan));
    expect![[r#"
        country    NO (Norway)
        geography  EU, suggested for the country
        home       eu
        registry   version 1
        regions    eu in IE (geography EU), uk in GB (geography UK), us in US (geography US)

        cloud_apps           region eu in IE (geography EU)
          rule (b) cloud-apps-nearest version 1, as of 2020-05
          1. EU (European Union): eu

        email                REFUSED; a region would have to be in: NO
          rule (b) email-country-map version 1, as of 2021-04
          1. country NO (Norway): no region there

        endpoint             region eu in IE (geography EU)
          rule (a) endpoint-tenant-geography version 1, as of 2020-05
          1. EU (European Union): eu

        identity             region eu in IE (geography EU)
          rule (b) identity-nearest version 1, as of 2020-05
          1. EU (European Union): eu

        identity_protection  region eu in IE (geography EU)
          rule (b) identity-protection-sign-up version 1, as of 2020-05
          1. EU (European Union): eu

        xdr                  region eu in IE (geography EU)
          rule (a) xdr-follows-endpoint version 1, as of 2020-05
          1. EU (European Union): eu

        plan       ba83641266f07fc21790b39c6b5ec771f4c8251b222309647cf46c8eb2742eb4
    "#]]
    .assert_eq(&render_plan(&registry, &plan));
    let mail = plan
        .services
        .iter()
        .find(|s| s.pin.service.as_str() == "email")
        .unwrap();
    let Outcome::Refused { countries } = &mail.pin.outcome else {
        panic!("{mail:?}")
    };
    assert!(countries.iter().eq(&[country("NO")]));
    assert_eq!(mail.pin.wanted, [Place::Country(country("NO"))]);
    assert_eq!(
        (mail.pin.rule.id.as_str(), mail.pin.rule.version),
        ("email-country-map", 1)
    );
}

#[test]
fn french_mail_wants_a_region_in_france_which_is_deployed_by_configuration() {
    let without = plan(&default_registry(), &from("FR")).unwrap();
    expect!["cloud_apps=eu email=- endpoint=eu identity=eu identity_protection=eu xdr=eu"]
        .assert_eq(&summary(&without));

    let registry = changed(deploy_in_france);
    let with = plan(&registry, &from("FR")).unwrap();
    expect!["cloud_apps=eu email=fr endpoint=eu identity=eu identity_protection=eu xdr=eu"]
        .assert_eq(&summary(&with));
    // Others in the EU stay where they were, though France is in the EU.
    let irish = plan(&registry, &from("IE")).unwrap();
    expect!["cloud_apps=eu email=eu endpoint=eu identity=eu identity_protection=eu xdr=eu"]
        .assert_eq(&summary(&irish));

    // The French geography is one that a tenant can choose now.
    let chosen = TenantFacts {
        country: country("FR"),
        geography: Some(geography("FR")),
    };
    expect!["cloud_apps=fr email=fr endpoint=fr identity=fr identity_protection=fr xdr=fr"]
        .assert_eq(&summary(&plan(&registry, &chosen).unwrap()));
}

#[test]
fn a_choice_is_taken_and_a_geography_without_a_region_is_not() {
    let registry = default_registry();
    let choose = |of: &str, code: &str| {
        let facts = TenantFacts {
            country: country(of),
            geography: Some(geography(code)),
        };
        plan(&registry, &facts)
    };
    expect!["cloud_apps=us email=- endpoint=eu identity=us identity_protection=- xdr=eu"]
        .assert_eq(&summary(&choose("JP", "EU").unwrap()));
    // The rules by country do not follow the choice; those by the tenant's geography do.
    expect!["cloud_apps=eu email=uk endpoint=us identity=eu identity_protection=eu xdr=us"]
        .assert_eq(&summary(&choose("GB", "US").unwrap()));
    expect!["unknown_geography: no region is deployed in geography `EMEA`"]
        .assert_eq(&told(&choose("GB", "EMEA").unwrap_err()));
    expect!["unknown_geography: no region is deployed in geography `MOON`"]
        .assert_eq(&told(&choose("GB", "MOON").unwrap_err()));
    expect!["unknown_country: the registry has no country `QQ`"]
        .assert_eq(&told(&plan(&registry, &from("QQ")).unwrap_err()));
}

#[test]
fn nearest_is_an_ordered_list() {
    // Japan's identity data goes to Asia if there is a region, else to the next of its list.
    let without = plan(&default_registry(), &from("JP")).unwrap();
    let with = changed(|document| document.regions.push(region_in("sg", "ASIA", "SG")));
    let with = plan(&with, &from("JP")).unwrap();
    let verdicts = |plan: &Plan| {
        let identity = plan
            .services
            .iter()
            .find(|s| s.pin.service.as_str() == "identity")
            .unwrap();
        identity
            .candidates
            .iter()
            .map(|c| c.verdict)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        verdicts(&without),
        [Verdict::NoRegion, Verdict::Picked, Verdict::NotReached]
    );
    assert_eq!(
        verdicts(&with),
        [Verdict::Picked, Verdict::NotReached, Verdict::NotReached]
    );
    expect!["cloud_apps=us email=- endpoint=us identity=sg identity_protection=sg xdr=us"]
        .assert_eq(&summary(&with));
}

#[test]
fn the_first_fitting_case_decides_and_an_empty_one_refuses() {
    let registry = changed(|document| {
        let endpoint = document
            .rules
            .iter_mut()
            .find(|r| r.service.as_str() == "endpoint")
            .unwrap();
        let first = crate::Case {
            geographies: Some([geography("EU")].into()),
            countries: Some([country("DE"), country("AT")].into()),
            want: Vec::new(),
        };
        endpoint.cases.insert(0, first);
    });
    assert!(summary(&plan(&registry, &from("DE")).unwrap()).contains("endpoint=-"));
    assert!(summary(&plan(&registry, &from("FI")).unwrap()).contains("endpoint=eu"));
    let german_in_us = TenantFacts {
        country: country("DE"),
        geography: Some(geography("US")),
    };
    assert!(summary(&plan(&registry, &german_in_us).unwrap()).contains("endpoint=us"));
}

#[test]
fn among_regions_of_one_place_home_comes_first_then_the_exact_geography_then_the_code() {
    let registry = changed(|document| {
        deploy_in_france(document);
        document.regions.push(region_in("eu-2", "EU", "NL"));
        document.regions.push(region_in("aa", "FR", "FR"));
    });
    let plan = plan(&registry, &from("GB")).unwrap();
    let identity = plan
        .services
        .iter()
        .find(|s| s.pin.service.as_str() == "identity")
        .unwrap();
    let codes: Vec<_> = identity.candidates[0]
        .regions
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(codes, ["eu", "eu-2", "aa", "fr"]);

    let french = TenantFacts {
        country: country("IE"),
        geography: Some(geography("FR")),
    };
    let plan = crate::plan(&registry, &french).unwrap();
    let identity = plan
        .services
        .iter()
        .find(|s| s.pin.service.as_str() == "identity")
        .unwrap();
    let codes: Vec<_> = identity.candidates[0]
        .regions
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(codes, ["aa", "eu", "eu-2", "fr"], "aa is home");
}

#[test]
fn the_digest_tells_plans_apart() {
    let registry = default_registry();
    let gb = plan(&registry, &from("GB")).unwrap().digest();
    assert_eq!(plan(&registry, &from("GB")).unwrap().digest(), gb);
    assert_ne!(plan(&registry, &from("IE")).unwrap().digest(), gb);
    let newer = changed(|_| {});
    assert_ne!(
        plan(&newer, &from("GB")).unwrap().digest(),
        gb,
        "another registry version"
    );
}

/// Registries with further regions in any country, in a geography of that country alone.
fn with_regions(extra: &[usize]) -> Document {
    let mut document = default_document();
    for (n, index) in extra.iter().enumerate() {
        let code = document.countries[index % document.countries.len()].code;
        let name = format!("X-{code}");
        if !document.geographies.iter().any(|g| g.code.as_str() == name) {
            document.geographies.push(crate::Geography {
                code: geography(&name),
                name: name.clone(),
                countries: vec![code],
                contains: Vec::new(),
            });
        }
        document
            .regions
            .push(region_in(&format!("x{n}"), &name, code.as_str()));
    }
    document
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_service_is_never_placed_outside_what_its_rule_wants(
        extra in proptest::collection::vec(0_usize..244, 0..12),
        tenants in proptest::collection::vec((0_usize..244, 0_usize..15), 1..20),
    ) {
        let registry = accept(with_regions(&extra));
        for (of, chosen) in tenants {
            let document = registry.document();
            let chosen = &document.regions[chosen % document.regions.len()];
            let facts = TenantFacts {
                country: document.countries[of].code,
                geography: Some(chosen.geography.clone()),
            };
            let plan = plan(&registry, &facts).unwrap();
            for pin in plan.services.iter().map(|s| &s.pin) {
                let wanted = wanted_countries(document, &pin.service, plan.country, &plan.geography);
                match &pin.outcome {
                    Outcome::Placed { region, country, .. } => {
                        prop_assert!(wanted.contains(country), "{pin:?}");
                        prop_assert_eq!(registry.region(region).unwrap().country, *country);
                    }
                    Outcome::Refused { .. } => {
                        let deployed = |r: &crate::Region| wanted.contains(&r.country);
                        prop_assert!(!document.regions.iter().any(deployed), "{pin:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_order_of_a_registry_means_nothing(
        extra in proptest::collection::vec(0_usize..244, 0..12),
        of in 0_usize..244,
        seed in any::<u64>(),
    ) {
        let document = with_regions(&extra);
        let mut shuffled = document.clone();
        let random = testkit::SeededRandom::new(seed);
        shuffle(&mut shuffled.regions, &random);
        shuffle(&mut shuffled.geographies, &random);
        shuffle(&mut shuffled.countries, &random);
        shuffle(&mut shuffled.services, &random);
        shuffle(&mut shuffled.rules, &random);
        let facts = TenantFacts { country: document.countries[of].code, geography: None };
        let one = plan(&accept(document), &facts).unwrap();
        let other = plan(&accept(shuffled), &facts).unwrap();
        prop_assert_eq!(&one.services, &other.services);
        prop_assert_eq!(one.home, other.home);
    }
}

fn shuffle<T>(items: &mut [T], random: &testkit::SeededRandom) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.index(last + 1));
    }
}
