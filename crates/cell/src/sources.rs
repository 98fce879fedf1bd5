//! Sources: where a tenant's records come from, which services they may belong to, what they brought.

use access::{Granted, ManageSources, ReadTenant};
use model::{ServiceName, SourceId, Ticks, limits};
use store::{SourceCounts, SourceEntry};

use crate::Error;
use crate::cell::{Cell, Source, Standing};
use crate::tenants::home_record;

/// A source to be added.
#[derive(Debug, Clone)]
pub struct SourceRequest {
    /// What its owner calls it.
    pub name: String,
    /// The services whose rows it may bring.
    pub services: Vec<ServiceName>,
    /// The tenant id that its envelopes carry.
    pub envelope_tenant: Option<String>,
    /// Computers that are domain controllers.
    pub domain_controllers: Vec<String>,
    /// An id of the caller's, so that a retry is the same request.
    pub source: Option<SourceId>,
}

/// A source, for people.
#[derive(Debug, Clone)]
pub struct SourceView {
    /// What it is.
    pub entry: SourceEntry,
    /// What it delivered to this region.
    pub counts: SourceCounts,
    /// When its last row was stored here.
    pub last_stored_at: Option<Ticks>,
}

impl Cell {
    /// Adds a source at the tenant's home, which tells the second cells.
    pub async fn add_source(
        &self,
        grant: &Granted<ManageSources>,
        request: SourceRequest,
    ) -> Result<SourceView, Error> {
        let id = grant.tenant();
        let entry = {
            let _one = self.inner.changing.lock().await;
            let tenant = self.tenant_of(id)?;
            home_record(&tenant)?;
            check_source(&tenant.registry, &request)?;
            let source = request
                .source
                .unwrap_or_else(|| SourceId::random(&*self.inner.cx.random));
            if self.source_of(source).is_some() {
                return Err(Error::Conflict(format!("source {source} exists already")));
            }
            if self.sources_of(id).len() >= limits::SOURCES_PER_TENANT_MAX {
                return Err(Error::Conflict(
                    "the tenant has its limit of sources".to_owned(),
                ));
            }
            let entry = SourceEntry {
                source,
                tenant: id,
                name: request.name,
                services: request.services,
                envelope_tenant: request.envelope_tenant,
                domain_controllers: request.domain_controllers,
                created_at: self.inner.cx.now(),
                disabled: false,
            };
            self.store().put_source(grant, &entry).await?;
            self.put_source_entry(entry.clone());
            entry
        };
        self.renew_profiles(id).await?;
        self.source_of(entry.source)
            .map(|s| view(&s))
            .ok_or(Error::Internal)
    }

    /// Switches a source on or off, here and in the tenant's second cells.
    pub async fn set_source_disabled(
        &self,
        grant: &Granted<ManageSources>,
        source: SourceId,
        disabled: bool,
    ) -> Result<SourceView, Error> {
        let found = self.own_source(grant.tenant(), source)?;
        let tenant = self.tenant_of(grant.tenant())?;
        if let Standing::Second(_) = tenant.standing {
            home_record(&tenant)?;
        }
        if found.entry.disabled != disabled {
            self.store()
                .set_source_disabled(grant, source, disabled)
                .await?;
            self.put_source_entry(SourceEntry {
                disabled,
                ..found.entry.clone()
            });
            self.renew_profiles(grant.tenant()).await?;
        }
        self.source_of(source)
            .map(|s| view(&s))
            .ok_or(Error::Internal)
    }

    /// The tenant's sources in this region, by id.
    pub fn sources(&self, grant: &Granted<ReadTenant>) -> Vec<SourceView> {
        self.sources_of(grant.tenant())
            .iter()
            .map(|s| view(s))
            .collect()
    }

    /// A source of that tenant; another tenant's answers as if it did not exist.
    pub(crate) fn own_source(
        &self,
        tenant: model::TenantId,
        source: SourceId,
    ) -> Result<std::sync::Arc<Source>, Error> {
        let found = self.source_of(source).filter(|s| s.entry.tenant == tenant);
        found.ok_or(Error::NotFound("source"))
    }
}

fn view(source: &Source) -> SourceView {
    let (counts, last_stored_at) = source.counts();
    SourceView {
        entry: source.entry.clone(),
        counts,
        last_stored_at,
    }
}

fn check_source(registry: &residency::Registry, request: &SourceRequest) -> Result<(), Error> {
    if request.name.trim().is_empty() || request.name.len() > limits::NAME_BYTES_MAX {
        let max = limits::NAME_BYTES_MAX;
        return Err(Error::Bad(format!("a source's name has 1 to {max} bytes")));
    }
    if request.services.is_empty() {
        return Err(Error::Bad(
            "a source declares at least one service".to_owned(),
        ));
    }
    for service in &request.services {
        if registry.rule(service).is_none() {
            return Err(Error::Bad(format!(
                "the registry has no service `{service}`"
            )));
        }
    }
    Ok(())
}
