//! Lost parts of the log, and somebody's word that they may stay lost.
//!
//! A tenant of whose stream frames are missing is not served, and no log file goes: nobody must take
//! what is left for the whole, and there may be something to be rescued. Once an operator has accepted
//! the loss, the tenant is served with what is left and the log is trimmed again.
//!
//! Promises
//! - What was accepted is recorded with a leaf before the tenant is served, and is known again after a
//!   restart, by the exact numbers of the lost frames: other damage stops the tenant again.
//! - A log that something else holds (a stream that nobody has, files of a tenant whose keys are missing)
//!   stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use access::{GrantedCell, Operate};
use crypto::Fields;
use ledger::Happening;
use model::TenantId;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use vault::TenantVault;

use crate::Error;
use crate::commit::Message;
use crate::flush::detached;
use crate::leaves::Draft;
use crate::open::Store;

/// Frames of one stream that are lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    /// First and last number of each gap.
    ranges: BTreeSet<(u64, u64)>,
    /// Frames of which nothing says whose they were.
    unnamed: u64,
}

impl Lost {
    pub(crate) fn open(vault: &TenantVault, sealed: &[u8]) -> Result<Self, Error> {
        let json = vault.open_blob(&context(), sealed)?;
        serde_json::from_slice(&json).map_err(|_| Error::Form { what: "log damage" })
    }

    fn seal(&self, vault: &TenantVault) -> Vec<u8> {
        // Numbers always serialise.
        vault.seal_blob(&context(), &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Frames of known numbers.
    fn frames(&self) -> u64 {
        let frames = self.ranges.iter().map(|(from, to)| to - from + 1);
        frames.fold(0, u64::saturating_add)
    }

    fn add(&mut self, other: &Self) {
        self.ranges.extend(&other.ranges);
        self.unnamed = self.unnamed.max(other.unnamed);
    }
}

fn context() -> Fields {
    Fields::new("log-damage")
}

/// What is damaged of this log, and what of it was accepted.
#[derive(Debug, Default)]
pub(crate) struct LogDamage {
    pub(crate) accepted: BTreeMap<TenantId, Lost>,
    found: BTreeMap<TenantId, Lost>,
    /// Bytes that are no frame, or a header: whose they were, other findings say.
    unnamed_places: bool,
    /// Something else keeps the log as it is.
    pub(crate) held_otherwise: bool,
}

impl LogDamage {
    /// Notes lost frames; whether they are news.
    pub(crate) fn note(&mut self, tenant: TenantId, range: (u64, u64)) -> bool {
        let accepted = self.accepted.get(&tenant);
        let is_new = !accepted.is_some_and(|lost| lost.ranges.contains(&range));
        if is_new {
            self.found.entry(tenant).or_default().ranges.insert(range);
        }
        is_new
    }

    /// Notes frames that may have been anybody's; whether they are news to this tenant.
    pub(crate) fn note_unnamed(&mut self, tenant: TenantId, frames: u64) -> bool {
        let accepted = self.accepted.get(&tenant);
        let is_new = accepted.is_none_or(|lost| lost.unnamed < frames);
        if is_new {
            self.found.entry(tenant).or_default().unnamed = frames;
        }
        is_new
    }

    pub(crate) fn note_unnamed_place(&mut self) {
        self.unnamed_places = true;
    }

    /// Whether the log is kept as it is.
    pub(crate) fn holds(&self) -> bool {
        let unnamed = self.unnamed_places && self.accepted.is_empty();
        self.held_otherwise || unnamed || !self.found.is_empty()
    }
}

/// A tenant that has lost frames of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedTenant {
    /// The tenant.
    pub tenant: TenantId,
    /// Frames that are lost: each was one request's rows, or a copy of rows that are elsewhere.
    pub frames: u64,
    /// Frames that are lost and may have been this tenant's.
    pub unnamed: u64,
}

impl Store {
    /// The tenants that are not served because part of their log is lost, by id. Takes no tenant's
    /// grant: it is for the operator, and shows counts.
    pub fn log_damage(&self) -> Vec<DamagedTenant> {
        let damage = self.inner.damage.lock();
        let damage = damage.unwrap_or_else(PoisonError::into_inner);
        let tenants = damage.found.iter().map(|(tenant, lost)| DamagedTenant {
            tenant: *tenant,
            frames: lost.frames(),
            unnamed: lost.unnamed,
        });
        tenants.collect()
    }

    /// Accepts that the damaged parts of the log are lost: leaves a leaf for each tenant concerned and one
    /// for the cell, serves these tenants again and lets the log be trimmed. What is left of their rows
    /// is complete but for the lost frames. Answers with what was accepted.
    pub async fn accept_log_damage(
        &self,
        grant: &GrantedCell<Operate>,
    ) -> Result<Vec<DamagedTenant>, Arc<Error>> {
        let refused = |_| Error::NotGranted;
        grant.check(self.inner.cx.now()).map_err(refused)?;
        let (store, actor) = (self.clone(), grant.actor().to_string());
        detached(async move { store.accept_damage(actor).await }).await
    }

    async fn accept_damage(&self, actor: String) -> Result<Vec<DamagedTenant>, Arc<Error>> {
        let mut writer = self.inner.writer.lock().await;
        let damaged = self.log_damage();
        let at = self.inner.cx.now();
        let mut drafts = vec![
            Draft::new(None, at, actor.clone(), Happening::LogDamageAccepted)
                .with("tenants", damaged.len()),
        ];
        let mut accepted = Vec::new();
        for one in &damaged {
            let draft = Draft::new(
                Some(one.tenant),
                at,
                actor.clone(),
                Happening::LogDamageAccepted,
            );
            let draft = draft.with("frames", one.frames);
            drafts.push(draft.with("frames_unnamed", one.unnamed));
        }
        for state in self.inner.tenants() {
            if let Some(lost) = self.lost_of(state.tenant, damaged.is_empty()) {
                accepted.push((state.tenant, lost.seal(&state.vault), lost));
            }
        }
        let rows: Vec<_> = accepted
            .iter()
            .map(|(tenant, sealed, _)| (*tenant, sealed.clone()))
            .collect();
        let leaves = writer.seal_all(&self.inner.vault, drafts)?;
        let catalogue = &self.inner.catalogue;
        let recorded = catalogue.accept_damage(&rows, &leaves).await;
        recorded.map_err(Error::from)?;
        writer.all_committed(&leaves);
        let holds = {
            let damage = self.inner.damage.lock();
            let mut damage = damage.unwrap_or_else(PoisonError::into_inner);
            damage.found.clear();
            damage.unnamed_places = false;
            for (tenant, _, lost) in accepted {
                damage.accepted.insert(tenant, lost);
            }
            damage.holds()
        };
        for one in &damaged {
            self.inner.tenant(one.tenant)?.log_is_accepted();
        }
        if !holds {
            let (reply, answer) = oneshot::channel();
            self.inner.queue.send(Message::Release(reply))?;
            answer.await.map_err(|_| Error::Closed)??;
        }
        Ok(damaged)
    }

    /// What the tenant's list of accepted frames becomes; nothing if it stays. Damage that concerns no
    /// tenant is on everybody's list.
    fn lost_of(&self, tenant: TenantId, concerns_nobody: bool) -> Option<Lost> {
        let damage = self.inner.damage.lock();
        let damage = damage.unwrap_or_else(PoisonError::into_inner);
        let found = damage.found.get(&tenant);
        if found.is_none() && !concerns_nobody {
            return None;
        }
        let mut lost = damage.accepted.get(&tenant).cloned().unwrap_or_default();
        lost.add(found.unwrap_or(&Lost::default()));
        Some(lost)
    }
}
