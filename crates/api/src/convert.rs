//! From the cell's types to the wire's and back, by hand.

use std::collections::BTreeMap;

use access::{Only, Permissions, Scope};
use cell::{
    CentreMode, CountryCode, GeographyChoice, IngestOutcome, Registry, TenantFacts, Verdict,
};
use model::{GeographyCode, limits};

use crate::failure::Failure;
use crate::wire;

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

pub(crate) fn ingest_answer(
    outcome: IngestOutcome,
    query: &wire::IngestQuery,
) -> wire::IngestAnswer {
    let rejection = |r: &cell::Rejected| wire::Rejection {
        record: r.record,
        offset: r.offset,
        code: r.code.as_str().to_owned(),
        reason: r.reason.to_string(),
        table: r.table.clone(),
        service: r.service.clone(),
    };
    let misdirected = |m: &cell::Misdirected| wire::Misdirected {
        record: m.record,
        offset: m.offset,
        table: m.table.clone(),
        service: m.service.clone(),
        region: m.region.clone(),
    };
    // Records of other regions are all named: the client is to send exactly these on. Their number is
    // bounded by the records of a request.
    let max = if query.all_rejected {
        limits::REQUEST_RECORDS_MAX.saturating_mul(2)
    } else {
        limits::REJECTIONS_REPORTED_MAX
    };
    let mut codes = BTreeMap::new();
    for rejected in &outcome.rejected {
        *codes.entry(rejected.code.as_str().to_owned()).or_default() += 1;
    }
    wire::IngestAnswer {
        read: outcome.read,
        stored: outcome.stored,
        duplicates: outcome.duplicates,
        mapped: outcome.tally.mapped,
        raw: outcome.tally.raw,
        tables: outcome.tables,
        rejected: outcome.rejected.iter().take(max).map(rejection).collect(),
        rejected_total: count(outcome.rejected.len()),
        rejected_codes: codes,
        untimed: outcome.tally.untimed,
        replaced: outcome.tally.replaced,
        wrong_region: outcome.wrong_region.iter().map(misdirected).collect(),
        wrong_region_total: count(outcome.wrong_region.len()),
        dry_run: query.dry_run,
    }
}

/// The country by code or name, as people write it.
pub(crate) fn facts(
    registry: Option<&Registry>,
    country: &str,
    geography: Option<&GeographyCode>,
) -> Result<TenantFacts, Failure> {
    let named = registry
        .and_then(|r| r.find_country(country))
        .map(|c| c.code);
    let code = match named {
        Some(code) => code,
        // A code that the registry does not know is the cell's to refuse.
        None => CountryCode::new(country).map_err(|e| {
            Failure::new(model::Code::UnknownCountry, e.to_string())
                .with_help("give two letters, or the country's name in English")
        })?,
    };
    Ok(TenantFacts {
        country: code,
        geography: geography.cloned(),
    })
}

pub(crate) fn digest(text: &str) -> Result<cell::Digest, Failure> {
    let value = serde_json::Value::String(text.to_owned());
    serde_json::from_value(value)
        .map_err(|_| Failure::bad("`confirmed` is the digest of the plan: 64 hex digits"))
}

pub(crate) fn plan(registry: &Registry, plan: &cell::Plan) -> wire::Plan {
    wire::Plan {
        digest: plan.digest().to_string(),
        registry_version: plan.registry.version,
        country: plan.country.to_string(),
        geography: plan.geography.clone(),
        geography_choice: match plan.geography_choice {
            GeographyChoice::Chosen => "chosen",
            GeographyChoice::Suggested => "suggested",
        }
        .to_owned(),
        home: plan.home.clone(),
        services: plan.services.iter().map(service_plan).collect(),
        rendered: cell::render_plan(registry, plan),
    }
}

fn service_plan(plan: &cell::ServicePlan) -> wire::ServicePlan {
    let candidate = |c: &cell::Candidate| wire::Candidate {
        place: place(&c.place),
        verdict: match c.verdict {
            Verdict::Picked => "picked",
            Verdict::NoRegion => "no_region",
            Verdict::NotReached => "not_reached",
        }
        .to_owned(),
        regions: c.regions.clone(),
    };
    wire::ServicePlan {
        pin: pin(&plan.pin),
        as_of: plan.as_of.clone(),
        candidates: plan.candidates.iter().map(candidate).collect(),
    }
}

fn place(place: &cell::Place) -> wire::Place {
    match place {
        cell::Place::Geography(code) => wire::Place::Geography(code.clone()),
        cell::Place::Country(code) => wire::Place::Country(code.to_string()),
    }
}

pub(crate) fn pin(pin: &cell::Pin) -> wire::Pin {
    wire::Pin {
        service: pin.service.clone(),
        rule: pin.rule.id.clone(),
        rule_version: pin.rule.version,
        basis: pin.rule.basis.to_string(),
        wanted: pin.wanted.iter().map(place).collect(),
        outcome: match &pin.outcome {
            cell::Outcome::Placed {
                region,
                geography,
                country,
            } => wire::Outcome::Placed {
                region: region.clone(),
                geography: geography.clone(),
                country: country.to_string(),
            },
            cell::Outcome::Refused { countries } => wire::Outcome::Refused {
                countries: countries.iter().map(ToString::to_string).collect(),
            },
        },
    }
}

pub(crate) fn settings_out(settings: &cell::Settings) -> wire::Settings {
    wire::Settings {
        retention_days: settings.retention_days,
        sharing: match &settings.sharing {
            cell::Sharing::None => wire::Sharing::None,
            cell::Sharing::All => wire::Sharing::All,
            cell::Sharing::Pairs(pairs) => wire::Sharing::Pairs(pairs.clone()),
        },
        centre: match settings.centre {
            CentreMode::Off => "off",
            CentreMode::Facts => "facts",
            CentreMode::Rows => "rows",
        }
        .to_owned(),
        federated_reads: settings.federated_reads,
        owner_group: settings.owner_group,
    }
}

pub(crate) fn settings_in(settings: wire::Settings) -> Result<cell::Settings, Failure> {
    Ok(cell::Settings {
        retention_days: settings.retention_days,
        sharing: sharing_in(settings.sharing),
        centre: centre_in(&settings.centre)?,
        federated_reads: settings.federated_reads,
        owner_group: settings.owner_group,
    })
}

fn sharing_in(sharing: wire::Sharing) -> cell::Sharing {
    match sharing {
        wire::Sharing::None => cell::Sharing::None,
        wire::Sharing::All => cell::Sharing::All,
        wire::Sharing::Pairs(pairs) => cell::Sharing::pairs(pairs),
    }
}

fn centre_in(text: &str) -> Result<CentreMode, Failure> {
    match text {
        "off" => Ok(CentreMode::Off),
        "facts" => Ok(CentreMode::Facts),
        "rows" => Err(Failure::bad(
            "pseudonymised rows cannot be sent to the centre yet: `centre` is `off` or `facts`",
        )),
        _ => Err(Failure::bad("`centre` is `off` or `facts`")),
    }
}

/// `settings` with what of them is to change.
/// The change as a function of the settings in force; what is absent stays.
pub(crate) fn change(
    change: wire::SettingsChange,
) -> Result<impl FnOnce(cell::Settings) -> cell::Settings, Failure> {
    let centre = change.centre.as_deref().map(centre_in).transpose()?;
    let sharing = change.sharing.map(sharing_in);
    Ok(move |settings: cell::Settings| cell::Settings {
        retention_days: change.retention_days.unwrap_or(settings.retention_days),
        sharing: sharing.unwrap_or(settings.sharing),
        centre: centre.unwrap_or(settings.centre),
        federated_reads: change.federated_reads.unwrap_or(settings.federated_reads),
        owner_group: settings.owner_group,
    })
}

pub(crate) fn tenant(view: &cell::TenantView) -> wire::Tenant {
    wire::Tenant {
        tenant: view.tenant,
        name: view.name.clone(),
        home: view.home.clone(),
        country: view.country.map(|c| c.to_string()),
        geography: view.geography.clone(),
        version: view.version,
        registry_version: view.registry.version,
        registry_digest: view.registry.digest.to_string(),
        services: view.services.iter().map(pin).collect(),
        settings: view.settings.as_ref().map(settings_out),
        first_record_at: view.first_record_at,
        pending: view.pending.clone(),
        detection: None,
        export_waits_for: view.export_waits_for.map(export_waits),
    }
}

/// What is missing before anything can leave, and what to do.
pub(crate) fn export_waits(waits: cell::ExportWaits) -> String {
    match waits {
        cell::ExportWaits::AllowList => "a signed list of what may leave: `[egress]`",
        cell::ExportWaits::Linkage => {
            "the linkage secret of these thirty days: two people run `key share`, then each `key import`"
        }
    }
    .to_owned()
}

pub(crate) fn detection(health: &cell::DetectionHealth) -> wire::Detection {
    wire::Detection {
        status: if health.is_well() { "ok" } else { "failing" }.to_owned(),
        step: health.failing.map(|(step, ..)| step.to_owned()),
        code: health.failing.map(|(_, code, _)| code.to_string()),
        since: health.failing.map(|(.., since)| since),
        rules_failing: health.rules_failing,
        rows_damaged: health.rows_damaged,
        lag_rows: health.lag_rows,
        lag_bytes: health.lag_bytes,
        lag_since: health.lag_since,
    }
}

pub(crate) fn source(view: &cell::SourceView) -> wire::Source {
    let entry = &view.entry;
    wire::Source {
        source: entry.source,
        name: entry.name.clone(),
        services: entry.services.clone(),
        envelope_tenant: entry.envelope_tenant.clone(),
        domain_controllers: entry.domain_controllers.clone(),
        created_at: entry.created_at,
        disabled: entry.disabled,
        counts: wire::SourceCounts {
            stored: view.counts.stored,
            raw: view.counts.raw,
            duplicate: view.counts.duplicate,
            rejected: view.counts.rejected,
            wrong_region: view.counts.wrong_region,
        },
        last_stored_at: view.last_stored_at,
    }
}

pub(crate) fn scope(request: &wire::TokenRequest) -> Scope {
    Scope {
        permissions: request.permissions.iter().copied().collect::<Permissions>(),
        sources: request.sources.clone().map_or(Only::All, Only::These),
        tables: request.tables.clone().map_or(Only::All, Only::These),
        message_content: request.message_content,
    }
}

pub(crate) fn token(entry: &cell::TokenEntry) -> wire::Token {
    fn named<T: Ord + Clone>(only: &Only<T>) -> Option<std::collections::BTreeSet<T>> {
        match only {
            Only::All => None,
            Only::These(set) => Some(set.clone()),
        }
    }
    wire::Token {
        token: entry.token,
        name: entry.name.clone(),
        permissions: entry.scope.permissions.iter().collect(),
        sources: named(&entry.scope.sources),
        tables: named(&entry.scope.tables),
        message_content: entry.scope.message_content,
        created_at: entry.created_at,
        expires_at: entry.expires_at,
        revoked_at: entry.revoked_at,
    }
}

pub(crate) fn residency(report: cell::ResidencyReport) -> wire::ResidencyReport {
    let services = report
        .services
        .into_values()
        .map(|service| wire::ServiceResidence {
            pin: pin(&service.pin),
            tables: tables(service.tables),
        });
    wire::ResidencyReport {
        tenant: report.tenant,
        region: report.region,
        geography: report.geography,
        services: services.collect(),
        segment_bytes: report.segment_bytes,
        rows: report.rows,
    }
}

type ByRule = BTreeMap<(model::TableName, model::RuleId, u32, String), cell::TableResidence>;

fn tables(tables: ByRule) -> Vec<wire::TableResidence> {
    let table = |((table, rule, rule_version, basis), of): (_, cell::TableResidence)| {
        wire::TableResidence {
            table,
            rule,
            rule_version,
            basis,
            segments: of.segments,
            segment_rows: of.segment_rows,
            segment_bytes: of.segment_bytes,
            log_rows: of.log_rows,
        }
    };
    tables.into_iter().map(table).collect()
}

pub(crate) fn explanation(e: cell::Explanation) -> wire::Explanation {
    wire::Explanation {
        segment: e.segment,
        table: e.table,
        service: e.service,
        rule: e.rule,
        rule_version: e.rule_version,
        basis: e.basis,
        registry_version: e.registry_version,
        region: e.region,
        geography: e.geography,
    }
}

pub(crate) fn leaf(leaf: cell::Leaf) -> wire::Leaf {
    // A unit variant always serialises, as its name.
    let happening = serde_json::to_value(leaf.happening).unwrap_or_default();
    wire::Leaf {
        sequence: leaf.sequence,
        at: leaf.at,
        actor: leaf.actor,
        happening: happening.as_str().unwrap_or_default().to_owned(),
        details: leaf.details,
    }
}

pub(crate) fn registry(registry: &Registry, full: bool) -> Result<wire::RegistryView, Failure> {
    let document = registry.document();
    let whole = serde_json::to_value(document).map_err(|_| Failure::of(model::Code::Internal));
    Ok(wire::RegistryView {
        version: registry.version(),
        digest: registry.accepted().digest.to_string(),
        regions: document
            .regions
            .iter()
            .map(|r| wire::RegionSummary {
                code: r.code.clone(),
                geography: r.geography.clone(),
                country: r.country.to_string(),
                url: r.url.clone(),
            })
            .collect(),
        geographies: document
            .geographies
            .iter()
            .map(|g| wire::GeographySummary {
                code: g.code.clone(),
                name: g.name.clone(),
                countries: registry
                    .countries_of(&g.code)
                    .map_or(0, std::collections::BTreeSet::len),
            })
            .collect(),
        services: document
            .services
            .iter()
            .map(|s| wire::ServiceSummary {
                name: s.name.clone(),
                tables: s.tables.len(),
            })
            .collect(),
        rules: document
            .rules
            .iter()
            .map(|r| wire::RuleSummary {
                service: r.service.clone(),
                id: r.id.clone(),
                version: r.version,
                as_of: r.as_of.clone(),
                basis: r.basis.to_string(),
            })
            .collect(),
        countries: document.countries.len(),
        document: if full { Some(whole?) } else { None },
    })
}

pub(crate) fn alert(view: &cell::AlertView) -> wire::Alert {
    wire::Alert {
        id: view.id,
        vendor_id: view.vendor_id.clone(),
        title: view.title.clone(),
        severity: view.severity.to_string(),
        category: view.category.clone(),
        techniques: view.techniques.clone(),
        service: view.service.clone(),
        origin: view.origin.clone(),
        is_here: view.is_here,
        rule: wire::RuleName {
            id: view.rule.id.clone(),
            version: format!("{:016x}", view.rule.version),
            kind: view.rule.kind.to_string(),
        },
        created_at: view.created_at,
        first_at: view.first_at,
        last_at: view.last_at,
        incident: view.incident,
    }
}

fn entity(entity: model::Entity) -> wire::Entity {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for key in entity.keys {
        keys.entry(key.kind.to_string())
            .or_default()
            .push(key.value);
    }
    wire::Entity {
        kind: entity.kind.to_string(),
        role: entity.role.to_string(),
        name: entity.name,
        keys,
        details: entity.details.into_iter().collect(),
    }
}

pub(crate) fn alert_detail(detail: cell::AlertDetail) -> wire::AlertDetail {
    let mut out = wire::AlertDetail {
        alert: alert(&detail.view),
        description: None,
        detection_source: None,
        entities: Vec::new(),
        records: Vec::new(),
        notice: detail.notice,
    };
    if let Some(whole) = detail.alert {
        out.alert.title = whole.title;
        out.description = Some(whole.description);
        out.detection_source = Some(whole.detection_source);
        out.entities = whole.entities.into_iter().map(entity).collect();
        let record = |r: model::RecordRef| wire::RecordName {
            table: r.table,
            row_id: r.row,
            at: r.at,
        };
        out.records = whole.records.into_iter().map(record).collect();
    }
    out
}

pub(crate) fn incident(view: &cell::IncidentView) -> wire::Incident {
    let summary = &view.summary;
    wire::Incident {
        id: summary.id,
        name: summary.name.clone(),
        status: summary.status.to_string(),
        severity: summary.severity.to_string(),
        score: summary.score,
        assigned_to: summary.assigned.clone(),
        classification: summary.classification.to_string(),
        determination: summary.determination.to_string(),
        tags: summary.tags.clone(),
        tactics: summary.tactics.iter().map(ToString::to_string).collect(),
        techniques: summary.techniques.clone(),
        services: summary.services.clone(),
        origins: summary.origins.clone(),
        alert_count: summary.alerts.len(),
        devices: summary.devices,
        accounts: summary.accounts,
        created_at: summary.created_at,
        updated_at: summary.updated_at,
        first_at: summary.first_at,
        last_at: summary.last_at,
        redirected_to: view.redirected_to,
    }
}

pub(crate) fn incident_detail(
    detail: cell::IncidentDetail,
    next_page_token: Option<String>,
) -> wire::IncidentDetail {
    let step = |step: &cell::Step| wire::Step {
        stage: step.stage.to_string(),
        first_at: step.first_at,
        last_at: step.last_at,
        alerts: step.alerts.clone(),
        via: step.via.map(|via| wire::Via {
            from: via.from,
            key: via.kind.to_string(),
            seconds: via.gap_ticks / model::ticks::PER_SECOND,
        }),
    };
    let elsewhere = detail.elsewhere.into_iter();
    wire::IncidentDetail {
        incident: incident(&detail.view),
        path: detail.path.to_string(),
        steps: detail.path.steps.iter().map(step).collect(),
        alerts: detail.alerts.iter().map(alert).collect(),
        entities: detail.entities.into_iter().map(entity).collect(),
        entities_found: detail.entities_found,
        next_page_token,
        notice: detail.notice,
        elsewhere: elsewhere
            .map(|(region, n)| (region.to_string(), n))
            .collect(),
        hunts: detail.hunts.into_iter().map(ready_hunt).collect(),
    }
}

pub(crate) fn activity(entry: cell::ActivityView) -> wire::Activity {
    let activity = entry.activity;
    wire::Activity {
        sequence: entry.sequence,
        at: activity.at,
        who: activity.who,
        what: activity.what,
        from: activity.from,
        to: activity.to,
        alert: activity.alert,
        why: activity.why,
    }
}

pub(crate) fn rule(view: &cell::RuleView, with_text: bool) -> wire::Rule {
    wire::Rule {
        id: view.id.clone(),
        title: view.title.clone(),
        kind: view.kind.to_string(),
        severity: view.severity.to_string(),
        category: view.category.clone(),
        techniques: view.techniques.clone(),
        origin: view.origin.as_str().to_owned(),
        enabled: view.enabled,
        text: with_text.then(|| view.text.clone()),
        failing: view.failing.as_ref().map(|f| wire::RuleFailure {
            code: f.code.to_string(),
            message: f.message.clone(),
            since: f.since,
            window_from: f.window.0,
            window_to: f.window.1,
        }),
    }
}

pub(crate) fn problem(problem: cell::RuleProblem) -> wire::RuleProblem {
    wire::RuleProblem {
        rule: problem.rule,
        line: problem.line,
        column: problem.column,
        weight: match problem.weight {
            cell::Weight::Error => "error",
            cell::Weight::Warning => "warning",
            cell::Weight::Hint => "hint",
        }
        .to_owned(),
        message: problem.message,
    }
}

pub(crate) fn egress(view: cell::EgressView) -> wire::Egress {
    let receipt = |receipt: cell::Receipt| wire::Receipt {
        region: receipt.region,
        epoch: receipt.epoch.0,
        made_at: receipt.made_at,
        allow_list_version: receipt.allow_list.version,
        allow_list_digest: receipt.allow_list.digest.to_string(),
        digest: receipt.digest.to_string(),
        left: (receipt.left.into_iter())
            .map(|left| wire::Left {
                table: left.table,
                column: left.column,
                transform: left.transform.as_str().to_owned(),
                facts: left.facts,
            })
            .collect(),
    };
    let entry = view.entry;
    wire::Egress {
        batch: entry.segment,
        sequence: entry.sequence,
        at: entry.at,
        outcome: match entry.outcome {
            cell::EgressOutcome::Sent if entry.facts == 0 => "nothing",
            cell::EgressOutcome::Sent => "sent",
            cell::EgressOutcome::Dropped => "dropped",
        }
        .to_owned(),
        rows: entry.rows,
        facts: entry.facts,
        bytes: entry.bytes,
        acknowledged_at: view.acknowledged_at,
        receipt: view.receipt.map(receipt),
    }
}

pub(crate) fn link(view: cell::LinkView) -> wire::Link {
    wire::Link {
        with: view.region,
        entries: view.sent.map(|sent| sent.entries),
        waiting: view.sent.map(|sent| sent.waiting),
        bytes: view.sent.map(|sent| sent.bytes),
        held_back: view.held_back,
    }
}

pub(crate) fn audit_row(entry: cell::AuditEntry) -> wire::AuditRow {
    let leaf = leaf(entry.leaf);
    wire::AuditRow {
        sequence: leaf.sequence,
        at: leaf.at,
        actor: leaf.actor,
        happening: leaf.happening,
        details: leaf.details,
        private: entry.private,
    }
}

pub(crate) fn file_profile(sha256: String, profile: cell::FileProfile) -> wire::FileProfile {
    let prevalence = profile.prevalence;
    let techniques = prevalence.as_ref().map(|p| &p.techniques);
    wire::FileProfile {
        sha256,
        global_prevalence: prevalence.as_ref().map(|p| p.groups.at_least()),
        first_day: prevalence.as_ref().map(|p| p.first_day.to_string()),
        techniques: techniques
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect(),
        snapshot: profile
            .snapshot
            .map(|(number, published_at)| wire::SnapshotName {
                number,
                published_at,
            }),
    }
}

pub(crate) fn entity_detail(view: cell::EntityView) -> wire::EntityDetail {
    wire::EntityDetail {
        entities: view.entities.into_iter().map(entity).collect(),
        alerts: view.alerts.iter().map(alert).collect(),
        alerts_found: view.alerts_found,
        is_cut: view.is_cut,
        incidents: view.incidents.iter().map(incident).collect(),
        hunts: view.hunts.into_iter().map(ready_hunt).collect(),
        notice: view.notice,
    }
}

fn ready_hunt(hunt: cell::ReadyHunt) -> wire::ReadyHunt {
    wire::ReadyHunt {
        title: hunt.title,
        query: hunt.query,
        region: hunt.region.map(|region| region.to_string()),
    }
}
