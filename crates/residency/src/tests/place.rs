//! The door to the store.

use expect_test::expect;

use super::{
    at, changed, default_registry, deploy_in_france, from, provision, region, service, table,
    verified, wanted_countries,
};
use crate::{Basis, NotHere, Placement, TenantFacts, TenantPlacement, place, service_of};

#[test]
fn a_placement_says_where_and_by_which_rule() {
    let tenant =
        TenantPlacement::of_record(&verified(&provision(&default_registry(), &from("GB"))));
    let placement = place(&tenant, &region("uk"), &service("endpoint")).unwrap();
    assert_eq!(placement.tenant(), super::tenant());
    assert_eq!(placement.geography().as_str(), "UK");
    assert_eq!(placement.country().as_str(), "GB");
    assert_eq!(placement.service().as_str(), "endpoint");
    assert_eq!(placement.rule_id().as_str(), "endpoint-tenant-geography");
    assert_eq!(placement.rule_version(), 1);
    assert_eq!(placement.basis(), Basis::A);
    assert_eq!(placement.registry_version(), 1);
}

#[test]
fn what_belongs_elsewhere_names_its_region() {
    let tenant =
        TenantPlacement::of_record(&verified(&provision(&default_registry(), &from("GB"))));
    let error = place(&tenant, &region("uk"), &service("identity")).unwrap_err();
    assert_eq!(
        error,
        NotHere::WrongRegion {
            service: service("identity"),
            region: region("eu")
        }
    );
    expect!["wrong_region: data of service `identity` belongs to region `eu`"]
        .assert_eq(&format!("{}: {error}", error.code()));
    assert_eq!(tenant.region_of(&service("identity")), Some(&region("eu")));
    let in_eu = region("eu");
    let services: Vec<_> = tenant
        .services_in(&in_eu)
        .map(model::ServiceName::as_str)
        .collect();
    assert_eq!(services, ["cloud_apps", "identity", "identity_protection"]);
    assert_eq!(tenant.services_in(&region("us")).count(), 0);
}

#[test]
fn what_is_refused_names_rule_version_and_countries() {
    let tenant =
        TenantPlacement::of_record(&verified(&provision(&default_registry(), &from("NO"))));
    // In every region alike.
    let told: std::collections::BTreeSet<_> = ["eu", "uk", "us"]
        .iter()
        .map(|code| place(&tenant, &region(code), &service("email")).unwrap_err())
        .map(|error| format!("{}: {error}", error.code()))
        .collect();
    expect!["service_refused: no deployed region satisfies rule `email-country-map` version 1 of service `email`, which wants NO"].assert_eq(&told.into_iter().collect::<Vec<_>>().join("\n"));
    assert!(place(&tenant, &region("eu"), &service("endpoint")).is_ok());
    let error = place(&tenant, &region("eu"), &service("fax")).unwrap_err();
    expect!["service_refused: service `fax` is not in the registry that the tenant accepted"]
        .assert_eq(&format!("{}: {error}", error.code()));
}

#[test]
fn a_new_registry_moves_new_rows_only_once_accepted() {
    let record = provision(&default_registry(), &from("FR"));
    let newer = changed(deploy_in_france);
    let before = TenantPlacement::of_record(&verified(&record));
    assert!(place(&before, &region("fr"), &service("email")).is_err());
    let shown = record.plan_with(&newer).unwrap().digest();
    let after = record.accept_registry(&newer, shown, at(1)).unwrap();
    let after = TenantPlacement::of_record(&verified(&after));
    let placement = place(&after, &region("fr"), &service("email")).unwrap();
    assert_eq!(
        (placement.registry_version(), placement.geography().as_str()),
        (2, "FR")
    );
}

#[test]
fn the_service_of_a_row() {
    let registry = default_registry();
    let tenant = TenantPlacement::of_record(&verified(&provision(&registry, &from("GB"))));
    let check = |name: &str, declared: &[&str]| {
        let declared: Vec<_> = declared.iter().map(|s| service(s)).collect();
        match service_of(&registry, &tenant, &table(name), &declared) {
            Ok(service) => service.to_string(),
            Err(error) => super::told(&error),
        }
    };
    assert_eq!(check("DeviceEvents", &["endpoint"]), "endpoint");
    assert_eq!(
        check("IdentityLogonEvents", &["endpoint", "identity"]),
        "identity"
    );
    expect!["service_not_declared: table `EmailEvents` belongs to service `email`, which the source does not declare"].assert_eq(&check("EmailEvents", &["endpoint", "identity"]));
    assert_eq!(check("MyOwnTable", &["email"]), "email");
    expect!["service_ambiguous: table `MyOwnTable` is not in the registry and the source declares 2 services"].assert_eq(&check("MyOwnTable", &["endpoint", "identity"]));
    expect!["service_ambiguous: table `MyOwnTable` is not in the registry and the source declares 0 services"].assert_eq(&check("MyOwnTable", &[]));
    expect!["service_not_declared: table `EmailEvents` belongs to service `email`, which the source does not declare"].assert_eq(&check("EmailEvents", &[]));
}

#[test]
fn the_service_of_a_row_is_the_accepted_registrys() {
    let tenant =
        TenantPlacement::of_record(&verified(&provision(&default_registry(), &from("GB"))));
    // Version 2 says that a table belongs to another service; the tenant did not accept it.
    let newer = changed(|document| {
        let moved = table("UrlClickEvents");
        document
            .services
            .iter_mut()
            .for_each(|s| s.tables.retain(|t| *t != moved));
        document
            .services
            .iter_mut()
            .find(|s| s.name.as_str() == "xdr")
            .unwrap()
            .tables
            .push(moved);
    });
    let declared = [service("email"), service("xdr")];
    let error = service_of(&newer, &tenant, &table("UrlClickEvents"), &declared).unwrap_err();
    expect![
        "conflict: the registry of version 2 is not the one that the tenant accepted, of version 1"
    ]
    .assert_eq(&super::told(&error));
    let registry = default_registry();
    let service = service_of(&registry, &tenant, &table("UrlClickEvents"), &declared).unwrap();
    assert_eq!(service.as_str(), "email");
}

#[test]
fn a_placement_is_only_given_in_a_country_that_the_rule_wants() {
    // Every country with its suggested geography and, in turn, with each of the others; in each of
    // these, every service is asked of every region. What is wanted is read from the document.
    let registry = default_registry();
    let document = registry.document();
    let geographies: Vec<_> = document.regions.iter().map(|r| &r.geography).collect();
    let (mut n_placed, mut n_refused) = (0, 0);
    for (n, country) in document.countries.iter().enumerate() {
        let geography = (n % 2 == 0).then(|| geographies[n / 2 % geographies.len()].clone());
        let facts = TenantFacts {
            country: country.code,
            geography,
        };
        let record = verified(&provision(&registry, &facts));
        let tenant = TenantPlacement::of_record(&record);
        for service in &document.services {
            let wanted =
                wanted_countries(document, &service.name, country.code, record.geography());
            let mut n_here = 0;
            for region in &document.regions {
                if let Ok(placement) = place(&tenant, &region.code, &service.name) {
                    assert_eq!(placement.region(), &region.code);
                    assert_eq!(placement.country(), region.country);
                    assert!(
                        wanted.contains(&region.country),
                        "{placement:?} wants {wanted:?}"
                    );
                    n_here += 1;
                }
            }
            let n_satisfying = document
                .regions
                .iter()
                .filter(|r| wanted.contains(&r.country))
                .count();
            assert_eq!(
                n_here,
                n_satisfying.min(1),
                "{} {}",
                country.code,
                service.name
            );
            n_placed += n_here;
            n_refused += 1 - n_here;
        }
    }
    assert_eq!(n_placed + n_refused, 244 * 6);
    assert!(
        n_placed > 1_000 && n_refused > 100,
        "{n_placed} {n_refused}"
    );
}

/// A placement is shown, not copied or written down.
#[test]
fn a_placement_is_neither_cloned_nor_serialised() {
    // Each call names exactly one implementation, or does not compile: were `Placement` to become
    // `Clone` or `Serialize`, there would be two.
    trait NotClone<Marker> {
        fn not_clone() {}
    }
    impl<T> NotClone<()> for T {}
    impl<T: Clone> NotClone<u8> for T {}
    trait NotSerialize<Marker> {
        fn not_serialize() {}
    }
    impl<T> NotSerialize<()> for T {}
    impl<T: serde::Serialize> NotSerialize<u8> for T {}
    <Placement as NotClone<_>>::not_clone();
    <Placement as NotSerialize<_>>::not_serialize();
}
