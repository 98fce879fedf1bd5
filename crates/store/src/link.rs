//! The tenant link's outbox: what waits here, sealed and counted, until the other region has it.
//!
//! Entries get in by [`Store::commit_detection`] only, in the transaction of the alert that they are
//! about. They go as soon as they have arrived; the counts stay.

use access::{Granted, Maintain, ReadEgress};
use crypto::Fields;
use ledger::Happening;
use model::{RegionCode, Ticks, limits};
use vault::TenantVault;

use crate::Error;
use crate::catalogue::LinkRow;
use crate::flush::detached;
use crate::leaves::Draft;
use crate::open::Store;

/// An entry that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLink {
    /// Its number among those for its region; [`Store::acknowledge_link`] takes it.
    pub sequence: u64,
    /// When it was put here.
    pub at: Ticks,
    /// What crosses.
    pub body: Vec<u8>,
}

/// What ever crossed to one region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Entries that were ever put into the outbox.
    pub entries: u64,
    /// Of these, the entries that wait.
    pub waiting: u64,
    /// Bytes of all entries, as sealed.
    pub bytes: u64,
}

impl Store {
    /// The oldest entries of the tenant that wait for a region, in order.
    pub async fn pending_link(
        &self,
        grant: &Granted<Maintain>,
        region: &RegionCode,
        limit: usize,
    ) -> Result<Vec<PendingLink>, Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        let token = destination(&state.vault, region);
        let limit = limit.min(limits::PAGE_ITEMS_MAX);
        let rows = self
            .inner
            .catalogue
            .link_entries(state.tenant, token, limit);
        let open = |row: LinkRow| {
            let context = entry_context(&token, row.sequence);
            Ok(PendingLink {
                sequence: row.sequence,
                at: row.at,
                body: state.vault.open_blob(&context, &row.sealed)?,
            })
        };
        rows.await?.into_iter().map(open).collect()
    }

    /// The entries up to `upto` have arrived: they are deleted, and a leaf says how many crossed.
    pub async fn acknowledge_link(
        &self,
        grant: &Granted<Maintain>,
        region: &RegionCode,
        upto: u64,
    ) -> Result<u64, Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        let token = destination(&state.vault, region);
        let (inner, actor, region) = (self.inner.clone(), *grant.actor(), region.clone());
        detached(async move {
            let mut writer = inner.writer.lock().await;
            let queues = inner.catalogue.link_queues(state.tenant).await?;
            let queue = queues.iter().find(|q| q.destination == token);
            let before = queue.map_or(0, |q| q.acknowledged);
            let mut leaves = Vec::new();
            if upto > before {
                let at = inner.cx.now();
                let draft = Draft::new(Some(state.tenant), at, actor, Happening::LinkDelivered)
                    .with("region", region)
                    .with("entries", upto - before)
                    .with("upto", upto);
                leaves.push(writer.seal(&inner.vault, draft)?);
            }
            let acknowledge = inner
                .catalogue
                .acknowledge_link(state.tenant, token, upto, &leaves);
            let removed = acknowledge.await?;
            writer.all_committed(&leaves);
            Ok(removed)
        })
        .await
    }

    /// How many more entries may wait for a region, if `most` may.
    pub async fn link_room(
        &self,
        grant: &Granted<Maintain>,
        region: &RegionCode,
        most: u64,
    ) -> Result<u64, Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        let token = destination(&state.vault, region);
        let queues = self.inner.catalogue.link_queues(state.tenant).await?;
        let queue = queues.iter().find(|q| q.destination == token);
        let waiting = queue.map_or(0, |q| q.next_sequence - 1 - q.acknowledged);
        Ok(most
            .min(limits::LINK_OUTBOX_ENTRIES_MAX)
            .saturating_sub(waiting))
    }

    /// What ever crossed to a region, and what waits for it.
    pub async fn link_counts(
        &self,
        grant: &Granted<ReadEgress>,
        region: &RegionCode,
    ) -> Result<LinkCounts, Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        let token = destination(&state.vault, region);
        let queues = self.inner.catalogue.link_queues(state.tenant).await?;
        let queue = queues.iter().find(|q| q.destination == token);
        Ok(queue.map_or_else(LinkCounts::default, |q| LinkCounts {
            entries: q.next_sequence - 1,
            waiting: q.next_sequence - 1 - q.acknowledged,
            bytes: q.bytes,
        }))
    }
}

/// What the catalogue knows a region by.
pub(crate) fn destination(vault: &TenantVault, region: &RegionCode) -> [u8; 16] {
    vault.blind_index("link-destination", region.as_str().as_bytes())
}

pub(crate) fn entry_context(destination: &[u8; 16], sequence: u64) -> Fields {
    Fields::new("link-entry")
        .with(destination)
        .with_u64(sequence)
}
