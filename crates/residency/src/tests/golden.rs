//! Every country, and the mail map against its source.
//!
//! The map has 245 names; two of them, Bosnia and Herzegovina and Herzegovina, are one country.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{default_document, default_registry, from};
use crate::{Outcome, Place, Want, plan};

#[test]
fn all_countries_with_their_suggested_geography() {
    let registry = default_registry();
    let mut lines: Vec<String> = Vec::new();
    for country in &registry.document().countries {
        let plan = plan(&registry, &from(country.code.as_str())).unwrap();
        let mut line = String::new();
        for service in &plan.services {
            let pin = &service.pin;
            let wanted: Vec<_> = pin.wanted.iter().map(short).collect();
            let place = match &pin.outcome {
                Outcome::Placed { region, .. } => region.as_str(),
                Outcome::Refused { .. } => "refused",
            };
            let _ = write!(line, " | {} {place} <- {}", pin.service, wanted.join(" "));
        }
        let names: Vec<_> = [&country.name]
            .into_iter()
            .chain(&country.also)
            .cloned()
            .collect();
        lines.push(format!(
            "{} {} | {}{line}",
            country.code,
            names.join(" / "),
            plan.geography
        ));
    }
    lines.sort();
    let text = lines.join("\n") + "\n";
    testkit::golden("src/tests/golden_countries.txt", &text);
}

fn short(place: &Place) -> String {
    match place {
        Place::Geography(code) => code.to_string(),
        Place::Country(code) => format!("={code}"),
    }
}

/// The map's names as our places.
const PLACES: [(&str, &str); 18] = [
    ("Australia", "=AU"),
    ("Brazil", "=BR"),
    ("Canada", "=CA"),
    ("European Union", "EU"),
    ("France", "=FR"),
    ("Germany", "=DE"),
    ("Global Geography 1 - EMEA", "EMEA"),
    ("Global Geography 2 - Asia Pacific", "APAC"),
    ("Global Geography 3 - Americas", "AMERICAS"),
    ("India", "=IN"),
    ("Japan", "=JP"),
    ("Norway", "=NO"),
    ("South Africa", "=ZA"),
    ("South Korea", "=KR"),
    ("Switzerland", "=CH"),
    ("United Arab Emirates", "=AE"),
    ("United Kingdom", "=GB"),
    ("United States", "=US"),
];

#[test]
fn mail_follows_the_country_map() {
    let Some(folder) = testkit::shared_data() else {
        return testkit::skip("no shared data: country_geography.csv was not compared");
    };
    let text = std::fs::read_to_string(folder.join("country_geography.csv")).unwrap();
    let places = BTreeMap::from(PLACES);
    let registry = default_registry();
    let mut codes_by_slug = BTreeMap::new();
    for country in &registry.document().countries {
        for name in country.also.iter().chain([&country.name]) {
            codes_by_slug.insert(slug(name), country.code);
        }
    }
    let mut n_rows = 0;
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        // The source lost the accented letters of two names.
        let name = match fields[0] {
            "runion" => "reunion",
            "saint-barthlemy" => "saint-barthelemy",
            other => other,
        };
        let code = codes_by_slug
            .get(name)
            .unwrap_or_else(|| panic!("no country `{name}`"));
        let plan = plan(&registry, &from(code.as_str())).unwrap();
        let mail = plan
            .services
            .iter()
            .find(|s| s.pin.service.as_str() == "email")
            .unwrap();
        let wanted: Vec<_> = mail.pin.wanted.iter().map(short).collect();
        assert_eq!(wanted, [places[fields[1]]], "{line}");
        assert_eq!(fields[1], fields[2], "both columns of mail agree: {line}");
        n_rows += 1;
    }
    assert_eq!(n_rows, 245);
}

#[test]
fn the_mail_map_has_its_documented_sizes() {
    let document = default_document();
    let rule = document
        .rules
        .iter()
        .find(|r| r.service.as_str() == "email")
        .unwrap();
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    for case in &rule.cases {
        let [want] = case.want.as_slice() else {
            panic!("{case:?}")
        };
        let name = match want {
            Want::Geography(code) => code.to_string(),
            Want::Country(code) => format!("={code}"),
            Want::TenantGeography => panic!("{case:?}"),
        };
        sizes.insert(name, case.countries.as_ref().unwrap().len());
    }
    // EMEA has 98 names, two of which are Bosnia and Herzegovina.
    let expected = [
        ("EMEA", 97),
        ("APAC", 48),
        ("=US", 46),
        ("EU", 25),
        ("AMERICAS", 12),
        ("=AU", 3),
        ("=CH", 2),
    ];
    for (place, size) in expected {
        assert_eq!(sizes.remove(place), Some(size), "{place}");
    }
    assert_eq!(sizes.len(), 11);
    assert!(sizes.values().all(|size| *size == 1), "{sizes:?}");
}

/// Lower case, accents off, words joined by hyphens.
fn slug(name: &str) -> String {
    let plain: String = name
        .to_lowercase()
        .chars()
        .filter(|c| !"'()".contains(*c))
        .map(|c| match c {
            'å' => 'a',
            'ç' => 'c',
            'é' => 'e',
            'ô' => 'o',
            'ü' => 'u',
            c if c.is_ascii_alphanumeric() => c,
            _ => ' ',
        })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join("-")
}
