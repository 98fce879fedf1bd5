//! What left for the centre, what it tells, and the search of everything that crossed.
//!
//! Promises
//! - What is searched is what the receiving side saw: each message between cells and to the centre, and
//!   each parcel that the centre holds, opened with the centre's own key.
//! - The sabotage is a list that permits too much, signed with the demo's own key: the same gate, the
//!   same search, and it must hit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Context as _;
use cell::AllowList;
use generate::Truth;
use ingest::{Format, RawSchema, SourceContext};
use inspect::Needles;
use model::{
    Clock as _, Epoch, IndicatorTokens as _, PrivacyClass, Purpose, RowId, SegmentId, ServiceName,
    SourceId,
};
use pseudonym::{Gatherer, Group, Own};
use residency::egress::{Computation, Entry, Transform};
use rows::hidden;
use serde_json::{Value, json};
use vault::SigningKey;

use super::Stage;
use super::planted::Plants;
use super::tenants::{Company, SILENT};
use crate::client::Ask;
use crate::commands::table_text;
use crate::machine::{MachineClock, MachineRandom};
use crate::print::{self, bytes, number};

/// What there is to say, and whether nothing left that must not.
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) is_clean: bool,
}

pub(crate) fn tell(
    stage: &Stage,
    companies: &[Company],
    truth: &[Truth; 2],
    plants: &Plants,
) -> anyhow::Result<Told> {
    let role = stage.embedded.centre.as_ref().context("the centre")?;
    stage.runtime.block_on(async {
        for cell in stage.embedded.cells.values() {
            cell.export_step().await;
        }
        role.centre.publish(MachineClock.now()).await?;
        for cell in stage.embedded.cells.values() {
            cell.pull_snapshot().await?;
        }
        anyhow::Ok(())
    })?;
    let mut text = String::from("Centre\n\n");
    left(companies, &mut text)?;
    prevalence(companies, truth, &mut text)?;
    let is_clean = search(stage, plants, &mut text)?;
    Ok(Told { text, is_clean })
}

/// Facts and bytes by tenant, as each tenant's own list of what left says.
fn left(companies: &[Company], text: &mut String) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (at, company) in companies.iter().enumerate() {
        let (mut batches, mut facts, mut sent) = (0_u64, 0_u64, 0_u64);
        for region in company.shippers.keys() {
            let asker = company.readers.get(region).context("a reader")?;
            let path = format!("/api/v1/tenants/{}/egress?limit=1000", company.tenant);
            let page = asker.call(&Ask::get(path))?.json()?;
            let entries = page.pointer("/egress").and_then(Value::as_array);
            for entry in entries.into_iter().flatten() {
                let n = |name: &str| entry.get(name).and_then(Value::as_u64).unwrap_or(0);
                batches += u64::from(n("facts") > 0);
                facts += n("facts");
                sent += n("bytes");
            }
        }
        rows.push(vec![
            company.name.clone(),
            if at == SILENT { "off" } else { "facts" }.to_owned(),
            number(batches),
            number(facts),
            bytes(sent),
        ]);
    }
    let header = ["tenant", "central", "batches", "facts", "bytes on the wire"];
    text.push_str(&print::table(&header, &rows));
    Ok(())
}

fn profile(company: &Company, sha256: &str) -> anyhow::Result<Value> {
    let path = format!("/api/v1/tenants/{}/files/{sha256}", company.tenant);
    company.hunter.call(&Ask::get(path))?.json()
}

fn prevalence(companies: &[Company], truth: &[Truth; 2], text: &mut String) -> anyhow::Result<()> {
    let asker = companies.first().context("a company")?;
    let [given, _] = truth;
    if let Some(tool) = &given.tool {
        let told = profile(asker, &tool.sha256)?;
        let groups = told.pointer("/global_prevalence").and_then(Value::as_u64);
        let day = told.pointer("/first_day").and_then(Value::as_str);
        match groups {
            Some(groups) => writeln!(
                text,
                "\n  A tool, {}: run by {groups} owner groups or more, first so on {}",
                tool.file_name,
                day.unwrap_or("?")
            )?,
            None => writeln!(
                text,
                "\n  A tool, {}: fewer than ten owner groups ran it, so nothing is told",
                tool.file_name
            )?,
        }
    }
    if let Some(document) = given.documents.first() {
        let told = profile(asker, &document.sha256)?;
        let known = told.pointer("/global_prevalence").is_some();
        writeln!(
            text,
            "  A private document: {}",
            if known {
                "KNOWN OUTSIDE"
            } else {
                "unknown, because it never left (nobody ran it)"
            }
        )?;
    }
    hunt(asker, given, text)
}

/// Both in a hunt: the figure is looked up here, beside the tenant's own rows.
fn hunt(asker: &Company, truth: &Truth, text: &mut String) -> anyhow::Result<()> {
    let tool = truth.tool.iter().map(|tool| tool.sha256.as_str());
    let document = truth.documents.iter().take(1).map(|d| d.sha256.as_str());
    let files: Vec<String> = tool.chain(document).map(|h| format!("\"{h}\"")).collect();
    if files.is_empty() {
        return Ok(());
    }
    let query = format!(
        "union DeviceProcessEvents, DeviceFileEvents\n| where SHA256 in ({})\n| distinct FileName, SHA256\n| invoke FileProfile(SHA256)\n| project FileName, GlobalPrevalence, GlobalFirstSeen, ProfileAvailability\n| sort by GlobalPrevalence desc",
        files.join(", ")
    );
    let ask = Ask::post("/api/v1/hunt", &json!({ "query": query }));
    let answer = asker.hunter.call(&ask)?.json()?;
    writeln!(
        text,
        "\n  Hunt of {}: what is known of both beyond it\n",
        asker.name
    )?;
    for line in query.lines() {
        writeln!(text, "      {line}")?;
    }
    text.push('\n');
    for line in table_text(&answer).lines() {
        writeln!(text, "    {line}")?;
    }
    text.push('\n');
    Ok(())
}

/// Planted identities in everything that crossed and in what the centre holds.
fn search(stage: &Stage, plants: &Plants, text: &mut String) -> anyhow::Result<bool> {
    let needles = Needles::new(plants.markers())?;
    let recorded = stage.recorder.recorded();
    let (mut searched, mut hits) = (0_usize, 0_u64);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut ways = BTreeSet::new();
    for crossing in &recorded.crossings {
        *kinds.entry(format!("{:?}", crossing.what)).or_default() += 1;
        ways.insert((&crossing.from, &crossing.to));
        searched += crossing.bytes.len();
        hits += count(&needles, &crossing.bytes);
    }
    let role = stage.embedded.centre.as_ref().context("the centre")?;
    let epoch = Epoch::at(MachineClock.now());
    let held = stage.runtime.block_on(role.centre.held(epoch))?;
    for parcel in &held {
        searched += parcel.parcel.len();
        hits += count(&needles, &parcel.parcel);
    }
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, n)| format!("{kind} {n}"))
        .collect();
    writeln!(
        text,
        "  Planted identities in what crossed on {} ways ({}; {} parcels that the centre holds, opened; {}): {hits} hits",
        ways.len(),
        kinds.join(", "),
        held.len(),
        bytes(u64::try_from(searched)?)
    )?;
    let caught = sabotage(stage, plants, &needles)?;
    writeln!(
        text,
        "  Sabotage, an allow-list that keeps a name: {}, {caught} hits in its batch\n",
        if caught > 0 { "caught" } else { "MISSED" }
    )?;
    Ok(hits == 0 && caught > 0 && recorded.missed == 0)
}

fn count(needles: &Needles, bytes: &[u8]) -> u64 {
    let mut hits = 0;
    needles.find(bytes, |_, _, _| hits += 1);
    hits
}

/// Hits in the batch that the gate makes of planted rows under a list that keeps device names.
fn sabotage(stage: &Stage, plants: &Plants, needles: &Needles) -> anyhow::Result<u64> {
    let table = model::TableName::new("DeviceProcessEvents")?;
    let key = SigningKey::generate(&MachineRandom);
    let mut entries = AllowList::facts(2)?.entries().to_vec();
    entries.push(Entry {
        table: table.clone(),
        column: "DeviceName".to_owned(),
        transform: Transform::KeepText,
        class: PrivacyClass::DirectIdentifier,
        purpose: Purpose::Prevalence,
        read_by: Computation::OwnerGroups,
        exception: Some("to see that the search notices".to_owned()),
    });
    let signed = AllowList::new(2, entries)?.sign(&key)?;
    let list = AllowList::open(&signed, &crypto::Signer::public_key(&key), None)?;
    let raw = RawSchema::new();
    let context = SourceContext {
        envelope_tenant: Some(&plants.envelope),
        known_raw: &raw,
        domain_controllers: &BTreeSet::new(),
        raw_table: None,
        time_column: None,
    };
    let body = plants.sample.join("\n");
    let decoded = ingest::decode(Format::DefenderExport, body.as_bytes(), &context)?;
    let own = Own::default();
    let mut gatherer = Gatherer::new(&list, &own);
    for rows in decoded.batches.iter().filter(|r| r.table == table) {
        let ids = vec![RowId::from_bytes([0; 16]); rows.batch.num_rows()];
        let stamp = hidden::Stamp {
            ingested_at: MachineClock.now(),
            service: &ServiceName::new("endpoint")?,
            source: SourceId::from_bytes([0; 16]),
            row_ids: &ids,
        };
        gatherer.add(
            &table,
            &hidden::stamp(&rows.batch, &stamp)?,
            &BTreeMap::new(),
        )?;
    }
    let (region, vault) = stage
        .embedded
        .vaults
        .iter()
        .next()
        .context("a cell's keys")?;
    let epoch = gatherer.epoch().context("planted rows")?;
    let wanted = gatherer.wanted();
    let tokens = vault.tokens(Purpose::Prevalence, epoch, &wanted);
    let tokens = stage.runtime.block_on(tokens)?;
    let tokens = wanted.into_iter().zip(tokens).collect();
    let contributors = vault.linkage(epoch)?.contributors(Purpose::Prevalence);
    let group = Group::of(plants.tenant, None);
    let contributor = pseudonym::contributor(&contributors, group, Purpose::Prevalence, epoch);
    let batch = gatherer.finish(SegmentId::from_bytes([0; 16]), contributor, &tokens)?;
    let batch = batch.context("a batch")?;
    let parcel = batch.pack(region, MachineClock.now(), &key)?;
    Ok(count(needles, &parcel.bytes))
}
