//! Planted identities: unique markers in every column of every table, and the search for them.
//!
//! Two searches by the walker, which shares no code with the store: *raw*, every byte of every file,
//! where no marker may be; and *opened*, every value that each region's own keys open, where a marker
//! may lie only in the region that its tenant's pinned placement names. The expected places are
//! computed from the placement, not excepted by hand. Positive controls damage a copy, and must hit.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use generate::World;
use inspect::{
    ControlKind, DataDir, Needles, Opened, Places, RawReport, Subject, controls, judge, open, raw,
};
use model::{GeographyCode, RegionCode, TableName, TenantId};

use super::ship::{self, Shipped};
use super::tenants::Company;
use super::{CENTRE_GEOGRAPHY, Stage};
use crate::embedded::CENTRE;
use crate::machine::MachineRandom;
use crate::print::{bytes, number};

/// Markers that were shipped, as the walker wants them.
pub(crate) struct Plants {
    planted: Vec<inspect::Planted>,
    shipped: Shipped,
    /// The first company's records, its envelope tenant and its id.
    pub(crate) sample: Vec<String>,
    pub(crate) envelope: String,
    pub(crate) tenant: TenantId,
}

impl Plants {
    pub(crate) fn markers(&self) -> impl Iterator<Item = &inspect::Marker> {
        self.planted.iter().map(|p| &p.marker)
    }
}

/// What the search found, in words.
pub(crate) struct Search {
    pub(crate) text: String,
    pub(crate) is_clean: bool,
}

/// Ships a row full of markers for every table of every company.
pub(crate) fn plant(companies: &[Company], world: &World, seed: u64) -> anyhow::Result<Plants> {
    let (mut planted, mut shipped) = (Vec::new(), Shipped::default());
    let first = companies.first().context("a company")?;
    let mut sample = Vec::new();
    for (at, company) in companies.iter().enumerate() {
        let planting = world.plant(at, seed);
        let lines: Vec<String> = planting.records.iter().map(|r| r.json.clone()).collect();
        ship::send(company, &lines, &mut shipped)?;
        if at == 0 {
            sample = lines;
        }
        planted.extend(planting.planted.iter().map(|p| inspect::Planted {
            tenant: company.tenant,
            table: p.table.to_owned(),
            column: p.column.to_string(),
            marker: marker(&p.marker),
        }));
    }
    Ok(Plants {
        planted,
        shipped,
        sample,
        envelope: first.envelope.clone(),
        tenant: first.tenant,
    })
}

fn marker(marker: &generate::Marker) -> inspect::Marker {
    match marker {
        generate::Marker::Text { token, .. } => inspect::Marker::Text(token.clone()),
        generate::Marker::Number(n) => inspect::Marker::Number(*n),
        generate::Marker::Real(x) => inspect::Marker::Real(*x),
        generate::Marker::Guid(text) => inspect::Marker::Guid(text.clone()),
    }
}

/// Searches everything that the demo keeps.
pub(crate) fn search(
    stage: &Stage,
    companies: &[Company],
    plants: &Plants,
) -> anyhow::Result<Search> {
    let needles = Needles::new(plants.planted.iter().map(|p| &p.marker))?;
    let places = places(stage)?;
    let report = raw(&places, &needles)?;
    let mut opened = Vec::new();
    for dir in &places.data {
        let vault = stage
            .embedded
            .vaults
            .get(&dir.region)
            .context("the region's keys")?;
        opened.push(open(dir, vault, &needles)?);
    }
    let expected = expected(stage, companies);
    let verdict = judge(&plants.planted, &opened, |tenant, table| {
        expected
            .get(tenant)
            .and_then(|tables| tables.get(table))
            .cloned()
    });
    let mut text = String::new();
    writeln!(
        text,
        "Planted identities: {} markers in {} rows of {} tenants, in every column of all 66 tables that can hold one",
        number(u64::try_from(plants.planted.len())?),
        number(plants.shipped.sent),
        companies.len()
    )?;
    write_raw(&report, &mut text)?;
    let values: u64 = opened.iter().map(|o| o.values).sum();
    let findings: usize = opened.iter().map(|o| o.findings.len()).sum();
    let by_region: Vec<String> = verdict
        .by_region
        .iter()
        .map(|(region, n)| format!("{region} {}", number(*n)))
        .collect();
    writeln!(
        text,
        "  opened: {} values with each region's own keys; {} of {} markers in their place ({}), {} nowhere because their service is refused, {} misplaced, {} missing, {findings} findings",
        number(values),
        number(verdict.in_place),
        number(verdict.expected),
        by_region.join(", "),
        number(verdict.absent),
        verdict.misplaced.len(),
        verdict.missing.len(),
    )?;
    list_faults(&opened, &verdict, plants, &mut text)?;
    let caught = sabotage(stage, plants, &places, &needles, &expected, &mut text)?;
    let is_clean = report.is_clean() && verdict.is_clean() && findings == 0 && caught;
    writeln!(
        text,
        "{}",
        if is_clean {
            "\nResidency holds."
        } else {
            "\nRESIDENCY DOES NOT HOLD."
        }
    )?;
    Ok(Search { text, is_clean })
}

fn places(stage: &Stage) -> anyhow::Result<Places> {
    let mut data = Vec::new();
    for region in stage.addresses.keys() {
        let declared = stage.registry.region(region).context("a declared region")?;
        data.push(DataDir {
            path: stage.data(region),
            region: region.clone(),
            geography: declared.geography.clone(),
        });
    }
    let code = RegionCode::new(CENTRE)?;
    Ok(Places {
        data,
        centre: Some(DataDir {
            path: stage.data(&code),
            region: code,
            geography: GeographyCode::new(CENTRE_GEOGRAPHY)?,
        }),
        open: vec![stage.log.clone()],
        ..Places::default()
    })
}

/// For each tenant and table, the region that the pinned placement names.
type Expected = BTreeMap<TenantId, BTreeMap<String, RegionCode>>;

fn expected(stage: &Stage, companies: &[Company]) -> Expected {
    let tables = model::Schema::hunting().tables().map(|t| t.name.clone());
    let tables: Vec<TableName> = tables.collect();
    let of = |company: &Company| {
        let place = |table: &TableName| {
            let service = stage.registry.service_of_table(table)?;
            Some((
                table.to_string(),
                company.region_of(service.as_str())?.clone(),
            ))
        };
        tables.iter().filter_map(place).collect()
    };
    companies
        .iter()
        .map(|company| (company.tenant, of(company)))
        .collect()
}

fn write_raw(report: &RawReport, text: &mut String) -> anyhow::Result<()> {
    let total = report.total();
    writeln!(
        text,
        "  raw: {} files, {}, searched for {} byte patterns: {} markers in clear, {} findings",
        number(total.0),
        bytes(total.1),
        number(u64::try_from(report.patterns)?),
        number(report.hit_count),
        report.findings.len()
    )?;
    for finding in report.findings.iter().take(10) {
        writeln!(
            text,
            "    finding: {:?} {} {}",
            finding.what,
            finding.path.display(),
            finding.detail
        )?;
    }
    for hit in report.hits.iter().take(10) {
        writeln!(
            text,
            "    hit: marker {} as {:?} in {}",
            hit.marker,
            hit.form,
            hit.path.display()
        )?;
    }
    Ok(())
}

/// The first faults, by table and column: never a marker's text.
fn list_faults(
    opened: &[Opened],
    verdict: &inspect::Verdict,
    plants: &Plants,
    text: &mut String,
) -> anyhow::Result<()> {
    for finding in opened.iter().flat_map(|o| &o.findings).take(10) {
        writeln!(
            text,
            "    finding: {:?} {} {}",
            finding.what,
            finding.path.display(),
            finding.detail
        )?;
    }
    for at in verdict.missing.iter().take(10) {
        let Some(p) = plants.planted.get(*at) else {
            continue;
        };
        writeln!(
            text,
            "    missing: {}.{} of tenant {}",
            p.table, p.column, p.tenant
        )?;
    }
    for m in verdict.misplaced.iter().take(10) {
        writeln!(text, "    misplaced: {:?}", m.found)?;
    }
    Ok(())
}

fn sabotage(
    stage: &Stage,
    plants: &Plants,
    places: &Places,
    needles: &Needles,
    expected: &Expected,
    text: &mut String,
) -> anyhow::Result<bool> {
    let into = tempfile::tempdir()?;
    let vaults: Vec<_> = places
        .data
        .iter()
        .filter_map(|dir| stage.embedded.vaults.get(&dir.region).map(|vault| &**vault))
        .collect();
    let subject = Subject {
        places,
        vaults: &vaults,
        planted: &plants.planted,
        needles,
        into: into.path(),
        random: &MachineRandom,
    };
    let made = controls(&subject, |tenant, table| {
        expected
            .get(tenant)
            .and_then(|tables| tables.get(table))
            .cloned()
    })?;
    let caught = made.iter().filter(|c| c.caught).count();
    writeln!(
        text,
        "  positive controls on a damaged copy: {caught} of {} caught",
        made.len()
    )?;
    for control in &made {
        let word = if control.caught { "caught" } else { "MISSED" };
        let region = control.region.as_ref();
        let region = region.map_or_else(String::new, |region| format!(" in {region}"));
        writeln!(text, "    {word}: {}{region}", control_words(control.kind))?;
    }
    Ok(caught == made.len() && !made.is_empty())
}

fn control_words(kind: ControlKind) -> &'static str {
    match kind {
        ControlKind::Log => "a clear marker in a log file",
        ControlKind::Segment => "a plaintext Parquet file among sealed segments",
        ControlKind::Catalogue => "a clear marker in the catalogue",
        ControlKind::Temporary => "a clear marker in a temporary file",
        ControlKind::LogLines => "a marker in log lines",
        ControlKind::MovedSegment => "another region's segment",
        ControlKind::SealedElsewhere => "another region's row, sealed with this region's keys",
    }
}
