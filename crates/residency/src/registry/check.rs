//! What a registry must be beyond its types: the first contradiction is named in words.
//!
//! The order of the checks matters: later ones rely on earlier ones (codes exist before sets are
//! computed, containment is acyclic before it is followed).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use model::{GeographyCode, Ticks, limits};

use super::{Case, Document, Rule, Want};
use crate::CountryCode;

/// Checks the whole document.
pub(super) fn check(document: &Document) -> Result<(), String> {
    sizes(document)?;
    unique_codes(document)?;
    geographies(document)?;
    regions(document)?;
    countries(document)?;
    services(document)?;
    for rule in &document.rules {
        check_rule(document, rule).map_err(|what| format!("rule `{}`: {what}", rule.id))?;
    }
    Ok(())
}

/// The countries of every geography, containment followed. Only for a checked document: a cycle
/// would give incomplete sets (never a loop).
pub(super) fn countries_of(document: &Document) -> BTreeMap<GeographyCode, BTreeSet<CountryCode>> {
    let mut sets: BTreeMap<_, BTreeSet<_>> = document
        .geographies
        .iter()
        .map(|g| (g.code.clone(), g.countries.iter().copied().collect()))
        .collect();
    // A chain is no longer than there are geographies, so that many rounds reach the fixed point.
    for _ in &document.geographies {
        let mut grew = false;
        for geography in &document.geographies {
            let below: BTreeSet<_> = geography
                .contains
                .iter()
                .filter_map(|c| sets.get(c))
                .flatten()
                .copied()
                .collect();
            if let Some(set) = sets.get_mut(&geography.code) {
                let before = set.len();
                set.extend(below);
                grew |= set.len() > before;
            }
        }
        if !grew {
            break;
        }
    }
    sets
}

fn sizes(document: &Document) -> Result<(), String> {
    let lists = [
        ("geographies", document.geographies.len()),
        ("regions", document.regions.len()),
        ("countries", document.countries.len()),
        ("services", document.services.len()),
        ("rules", document.rules.len()),
        (
            "tables",
            document.services.iter().map(|s| s.tables.len()).sum(),
        ),
        ("cases", document.rules.iter().map(|r| r.cases.len()).sum()),
    ];
    for (name, len) in lists {
        if len > limits::DOCUMENT_ITEMS_MAX {
            let max = limits::DOCUMENT_ITEMS_MAX;
            return Err(format!("{len} {name}, at most {max} are read"));
        }
    }
    let names = document.geographies.iter().map(|g| &g.name);
    let names = names.chain(
        document
            .countries
            .iter()
            .flat_map(|c| c.also.iter().chain([&c.name])),
    );
    let texts = names.chain(document.regions.iter().filter_map(|r| r.url.as_ref()));
    for text in texts {
        if text.len() > limits::DOCUMENT_TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            let max = limits::DOCUMENT_TEXT_BYTES_MAX;
            return Err(format!(
                "a name or address is over {max} bytes or has control characters"
            ));
        }
    }
    Ok(())
}

fn unique_codes(document: &Document) -> Result<(), String> {
    unique("geography", document.geographies.iter().map(|g| &g.code))?;
    unique("region", document.regions.iter().map(|r| &r.code))?;
    unique("country", document.countries.iter().map(|c| &c.code))?;
    unique("service", document.services.iter().map(|s| &s.name))?;
    unique("table", document.services.iter().flat_map(|s| &s.tables))?;
    unique("rule", document.rules.iter().map(|r| &r.id))?;
    let names = document
        .countries
        .iter()
        .flat_map(|c| c.also.iter().chain([&c.name]));
    unique("country name", names.map(|name| name.to_lowercase()))
}

fn unique<T: Ord + Display>(what: &str, items: impl Iterator<Item = T>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for item in items {
        if let Some(item) = seen.replace(item) {
            return Err(format!("the {what} `{item}` is there twice"));
        }
    }
    Ok(())
}

fn geographies(document: &Document) -> Result<(), String> {
    let known = Known::of(document);
    for geography in &document.geographies {
        let code = &geography.code;
        for country in &geography.countries {
            known
                .country(*country)
                .map_err(|e| format!("geography `{code}`: {e}"))?;
        }
        for part in &geography.contains {
            known
                .geography(part)
                .map_err(|e| format!("geography `{code}`: {e}"))?;
        }
    }
    acyclic(document)
}

/// Takes away geographies that contain none of the rest, until none are left.
fn acyclic(document: &Document) -> Result<(), String> {
    let mut left: BTreeMap<_, _> = document
        .geographies
        .iter()
        .map(|g| (&g.code, &g.contains))
        .collect();
    loop {
        let free: Vec<_> = left
            .iter()
            .filter(|(_, parts)| parts.iter().all(|part| !left.contains_key(part)))
            .map(|(code, _)| *code)
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|code, _| !free.contains(code));
    }
    match left.keys().next() {
        Some(code) => Err(format!(
            "geography `{code}` contains itself by way of others"
        )),
        None => Ok(()),
    }
}

fn regions(document: &Document) -> Result<(), String> {
    if document.regions.is_empty() {
        return Err("there is no region".to_owned());
    }
    let countries_of = countries_of(document);
    for region in &document.regions {
        let (code, geography) = (&region.code, &region.geography);
        let countries = countries_of.get(geography);
        let countries = countries.ok_or_else(|| {
            format!("region `{code}`: geography `{geography}` is not in the registry")
        })?;
        if !countries.contains(&region.country) {
            let country = region.country;
            return Err(format!(
                "region `{code}`: country `{country}` is not in `{geography}`"
            ));
        }
        if let Some(url) = &region.url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return Err(format!(
                "region `{code}`: the address is not an http or https URL"
            ));
        }
    }
    Ok(())
}

fn countries(document: &Document) -> Result<(), String> {
    if document.countries.is_empty() {
        return Err("there is no country".to_owned());
    }
    let known = Known::of(document);
    for country in &document.countries {
        known
            .geography(&country.suggests)
            .map_err(|e| format!("country `{}`: {e}", country.code))?;
    }
    Ok(())
}

/// Every service has exactly one rule, and every rule is of a service.
fn services(document: &Document) -> Result<(), String> {
    unique("rule of service", document.rules.iter().map(|r| &r.service))?;
    let named: BTreeSet<_> = document.services.iter().map(|s| &s.name).collect();
    let ruled: BTreeSet<_> = document.rules.iter().map(|r| &r.service).collect();
    if let Some(service) = named.difference(&ruled).next() {
        return Err(format!("service `{service}` has no rule"));
    }
    if let Some(service) = ruled.difference(&named).next() {
        return Err(format!(
            "there is a rule of service `{service}`, which is not in the registry"
        ));
    }
    Ok(())
}

fn check_rule(document: &Document, rule: &Rule) -> Result<(), String> {
    // A month is a date without its day.
    let date = if rule.as_of.len() == 7 {
        format!("{}-01", rule.as_of)
    } else {
        rule.as_of.clone()
    };
    if date.len() != 10 || Ticks::parse(&date).is_none() {
        return Err(format!("`{}` is not a month or a day", rule.as_of));
    }
    let known = Known::of(document);
    for case in &rule.cases {
        check_case(&known, case)?;
    }
    total(document, rule)
}

fn check_case(known: &Known<'_>, case: &Case) -> Result<(), String> {
    for country in case.countries.iter().flatten() {
        known.country(*country)?;
    }
    for geography in case.geographies.iter().flatten() {
        known.geography(geography)?;
    }
    if case.want.len() > limits::WANTED_PLACES_MAX {
        return Err(format!(
            "a case wants over {} places",
            limits::WANTED_PLACES_MAX
        ));
    }
    for want in &case.want {
        match want {
            Want::TenantGeography => {}
            Want::Geography(code) => known.geography(code)?,
            Want::Country(code) => known.country(*code)?,
        }
    }
    Ok(())
}

/// Every tenant that can exist (a country and a geography with a region) has a case.
fn total(document: &Document, rule: &Rule) -> Result<(), String> {
    let geographies: BTreeSet<_> = document.regions.iter().map(|r| &r.geography).collect();
    for country in &document.countries {
        for geography in &geographies {
            if !rule
                .cases
                .iter()
                .any(|case| case.fits(country.code, geography))
            {
                let country = country.code;
                return Err(format!(
                    "no case for country `{country}` in geography `{geography}`"
                ));
            }
        }
    }
    Ok(())
}

/// The codes that exist.
struct Known<'a> {
    countries: BTreeSet<CountryCode>,
    geographies: BTreeSet<&'a GeographyCode>,
}

impl<'a> Known<'a> {
    fn of(document: &'a Document) -> Self {
        Self {
            countries: document.countries.iter().map(|c| c.code).collect(),
            geographies: document.geographies.iter().map(|g| &g.code).collect(),
        }
    }

    fn country(&self, code: CountryCode) -> Result<(), String> {
        let known = self.countries.contains(&code);
        known
            .then_some(())
            .ok_or_else(|| format!("country `{code}` is not in the registry"))
    }

    fn geography(&self, code: &GeographyCode) -> Result<(), String> {
        let known = self.geographies.contains(code);
        known
            .then_some(())
            .ok_or_else(|| format!("geography `{code}` is not in the registry"))
    }
}
