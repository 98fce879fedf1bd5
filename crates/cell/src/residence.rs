//! Where a tenant's data rests in this region, and why each record is here.

use std::collections::BTreeMap;

use access::{Granted, ResidencyRead};
use model::{GeographyCode, RegionCode, RowId, RuleId, ServiceName, TableName, TenantId};
use residency::Pin;
use store::Holding;

use crate::Error;
use crate::cell::{Cell, Standing};

/// What rests here of one table of one service under one rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableResidence {
    /// Rows in segments.
    pub segment_rows: u64,
    /// Bytes of segments.
    pub segment_bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Rows in the log, not in a segment yet.
    pub log_rows: u64,
}

/// One service of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceResidence {
    /// The decision that is pinned.
    pub pin: Pin,
    /// What rests here, by table, rule id, rule version and clause.
    pub tables: BTreeMap<(TableName, RuleId, u32, String), TableResidence>,
}

/// What rests in this region of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResidencyReport {
    /// The tenant.
    pub tenant: TenantId,
    /// This region.
    pub region: RegionCode,
    /// Its geography.
    pub geography: GeographyCode,
    /// The services that the cell knows of, by name.
    pub services: BTreeMap<ServiceName, ServiceResidence>,
    /// Bytes of segments of all services.
    pub segment_bytes: u64,
    /// Rows of all services, segments and log.
    pub rows: u64,
}

/// Why one record rests here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Where it is: a segment's id, or nothing while it is in the log only.
    pub segment: Option<model::SegmentId>,
    /// The table.
    pub table: TableName,
    /// The service that processed it.
    pub service: ServiceName,
    /// The rule.
    pub rule: RuleId,
    /// Its version.
    pub rule_version: u32,
    /// `a`: the tenant's geography; `b`: the service's own storage rule.
    pub basis: String,
    /// Version of the registry that the tenant had accepted.
    pub registry_version: u64,
    /// This region.
    pub region: RegionCode,
    /// Its geography.
    pub geography: GeographyCode,
}

impl Cell {
    /// What rests here of the tenant.
    pub fn residency_report(
        &self,
        grant: &Granted<ResidencyRead>,
    ) -> Result<ResidencyReport, Error> {
        let tenant = self.tenant_of(grant.tenant())?;
        let pins = match &tenant.standing {
            Standing::Home(record) => record.services(),
            Standing::Second(profile) => profile.services(),
        };
        let empty = |pin: &Pin| ServiceResidence {
            pin: pin.clone(),
            tables: BTreeMap::new(),
        };
        let mut report = ResidencyReport {
            tenant: tenant.id,
            region: self.region().clone(),
            geography: self.geography().clone(),
            services: pins
                .iter()
                .map(|pin| (pin.service.clone(), empty(pin)))
                .collect(),
            segment_bytes: 0,
            rows: 0,
        };
        for p in self.store().partitions(grant) {
            report.segment_bytes += p.segment_bytes;
            report.rows += p.segment_rows + p.log_rows;
            let Some(service) = report.services.get_mut(&p.service) else {
                continue;
            };
            let key = (p.table, p.rule.0, p.rule.1, p.rule.2);
            let table = service.tables.entry(key).or_default();
            table.segments += p.segments;
            table.segment_rows += p.segment_rows;
            table.segment_bytes += p.segment_bytes;
            table.log_rows += p.log_rows;
        }
        Ok(report)
    }

    /// Why a record is here, by its row id.
    pub fn explain_row(
        &self,
        grant: &Granted<ResidencyRead>,
        row: RowId,
    ) -> Result<Explanation, Error> {
        let found = self
            .store()
            .find_row(grant, row)?
            .ok_or(Error::NotFound("record"))?;
        let (region, geography) = (self.region().clone(), self.geography().clone());
        Ok(match found {
            Holding::Segment { segment, manifest } => Explanation {
                segment: Some(segment),
                table: manifest.table().clone(),
                service: manifest.service().clone(),
                rule: manifest.rule().0.clone(),
                rule_version: manifest.rule().1,
                basis: manifest.rule().2.to_owned(),
                registry_version: manifest.registry_version(),
                region,
                geography,
            },
            Holding::Log { partition } => Explanation {
                segment: None,
                table: partition.table,
                service: partition.service,
                rule: partition.rule.0,
                rule_version: partition.rule.1,
                basis: partition.rule.2,
                registry_version: partition.registry_version,
                region,
                geography,
            },
        })
    }
}
