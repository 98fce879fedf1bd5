//! A plan as text for people, as `tenant plan` shows it.
//!
//! Only words and order are decided here; whatever a program wants to read, it reads from [`Plan`].

use std::fmt::Write as _;

use crate::plan::{Candidate, GeographyChoice, Outcome, Plan, ServicePlan, Verdict};
use crate::registry::{Place, Registry};

/// The plan as text, one paragraph per service.
pub fn render_plan(registry: &Registry, plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_plan(&mut out, registry, plan);
    out
}

fn write_plan(out: &mut String, registry: &Registry, plan: &Plan) -> std::fmt::Result {
    let country = registry
        .country(plan.country)
        .map(|c| c.name.as_str())
        .unwrap_or_default();
    let choice = match plan.geography_choice {
        GeographyChoice::Chosen => "as chosen",
        GeographyChoice::Suggested => "suggested for the country",
    };
    writeln!(out, "country    {} ({country})", plan.country)?;
    writeln!(out, "geography  {}, {choice}", plan.geography)?;
    writeln!(out, "home       {}", plan.home)?;
    writeln!(out, "registry   version {}", plan.registry.version)?;
    let regions: Vec<_> = sorted_regions(registry);
    writeln!(out, "regions    {}", regions.join(", "))?;
    for service in &plan.services {
        write_service(out, registry, service)?;
    }
    writeln!(out, "\nplan       {}", plan.digest())
}

fn write_service(out: &mut String, registry: &Registry, plan: &ServicePlan) -> std::fmt::Result {
    let pin = &plan.pin;
    match &pin.outcome {
        Outcome::Placed {
            region,
            geography,
            country,
        } => {
            writeln!(
                out,
                "\n{:<20} region {region} in {country} (geography {geography})",
                pin.service.as_str()
            )?;
        }
        Outcome::Refused { countries } => {
            let countries: Vec<_> = countries.iter().map(ToString::to_string).collect();
            let wanted = if countries.is_empty() {
                "none".to_owned()
            } else {
                countries.join(", ")
            };
            writeln!(
                out,
                "\n{:<20} REFUSED; a region would have to be in: {wanted}",
                pin.service.as_str()
            )?;
        }
    }
    let rule = &pin.rule;
    writeln!(
        out,
        "  rule ({}) {} version {}, as of {}",
        rule.basis, rule.id, rule.version, plan.as_of
    )?;
    for (n, candidate) in plan.candidates.iter().enumerate() {
        writeln!(out, "  {}. {}", n + 1, candidate_text(registry, candidate))?;
    }
    Ok(())
}

fn candidate_text(registry: &Registry, candidate: &Candidate) -> String {
    let place = match &candidate.place {
        Place::Geography(code) => {
            let of_code = |g: &&crate::Geography| g.code == *code;
            let found = registry.document().geographies.iter().find(of_code);
            format!(
                "{code} ({})",
                found.map(|g| g.name.as_str()).unwrap_or_default()
            )
        }
        Place::Country(code) => {
            let name = registry
                .country(*code)
                .map(|c| c.name.as_str())
                .unwrap_or_default();
            format!("country {code} ({name})")
        }
    };
    let regions: Vec<_> = candidate
        .regions
        .iter()
        .map(model::RegionCode::as_str)
        .collect();
    let verdict = match (candidate.verdict, regions.as_slice()) {
        (Verdict::NoRegion, _) => "no region there".to_owned(),
        (Verdict::NotReached, _) => "not needed".to_owned(),
        (Verdict::Picked, [first, rest @ ..]) if !rest.is_empty() => {
            format!("{first}, before {}", rest.join(", "))
        }
        (Verdict::Picked, _) => regions.join(", "),
    };
    format!("{place}: {verdict}")
}

fn sorted_regions(registry: &Registry) -> Vec<String> {
    let regions = registry.document().regions.iter();
    let mut texts: Vec<_> = regions
        .map(|r| format!("{} in {} (geography {})", r.code, r.country, r.geography))
        .collect();
    texts.sort();
    texts
}
