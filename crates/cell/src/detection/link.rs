//! Both ends of the tenant link's alerts: out of the outbox here, into incidents at home, and content
//! read where it rests.

use std::sync::Arc;

use access::{Credential, Granted, Maintain, ReadEgress, ReadIncidents};
use detect::alert_rows;
use model::{Alert, AlertDigest, RegionCode, RuleKind, TenantId, limits};
use residency::CellProfile;
use store::{AuditDraft, DetectionCommit, LinkCounts};

use super::sweep::entry;
use crate::cell::{Cell, Standing, Tenant};
use crate::link::{LinkAlerts, LinkRead};
use crate::naming;
use crate::stored::StoredAlert;
use crate::viewing::{Readable, Viewing};
use crate::{Error, PeerError};

/// The tenant link, as one cell sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkView {
    /// The region at the other end.
    pub region: RegionCode,
    /// Alerts without content that went there; nothing at home, which sends none.
    pub sent: Option<LinkCounts>,
    /// Alerts that stay at their origin for good, because of the cap per rule and day: of this region, or
    /// of that one as it last said.
    pub held_back: u64,
}

impl Cell {
    /// Delivers what waits for the tenant's home; the number of alerts that arrived there.
    pub(super) async fn send_alerts_home(&self, tenant: &Arc<Tenant>) -> Result<u64, Error> {
        let Standing::Second(profile) = &tenant.standing else {
            return Ok(0);
        };
        let home = profile.home();
        let cx = &self.inner.cx;
        let grant = cx.decide::<Maintain>(&Credential::system("link"), tenant.id)?;
        self.fill_outbox(tenant, profile).await?;
        let waiting = self
            .store()
            .pending_link(&grant, home, limits::LINK_ALERTS_MAX)
            .await?;
        let Some(upto) = waiting.last().map(|w| w.sequence) else {
            return Ok(0);
        };
        let alerts: Vec<AlertDigest> = waiting
            .iter()
            .map(|w| serde_json::from_slice(&w.body).map_err(|_| Error::Internal))
            .collect::<Result<_, _>>()?;
        let sent = u64::try_from(alerts.len()).unwrap_or(u64::MAX);
        let slot = self.progress(tenant.id).await?;
        let linked = slot.as_ref().map(|p| p.detectors.linked.held_back);
        drop(slot);
        let (own, at) = (self.region().clone(), cx.now());
        let mut message = LinkAlerts::new(tenant.id, own, home.clone(), at, alerts);
        message.upto = upto;
        message.held_back = linked.unwrap_or(0);
        let signed = message.sign(&**self.store().vault())?;
        match self.inner.options.peers.deliver_alerts(home, &signed).await {
            Ok(()) => {}
            // It waits in the outbox, and is tried again by the next step.
            Err(PeerError::Unreachable) => return Ok(0),
            Err(refused @ PeerError::Refused(_)) => return Err(refused.of_link()),
        }
        self.store().acknowledge_link(&grant, home, upto).await?;
        Ok(sent)
    }

    /// How many more alerts of the tenant may wait for its home.
    pub(super) async fn link_room(
        &self,
        tenant: TenantId,
        home: &RegionCode,
    ) -> Result<u64, Error> {
        let grant = self.detect_grant(tenant)?;
        let most = self.inner.options.link_waiting_max;
        Ok(self.store().link_room(&grant, home, most).await?)
    }

    /// Alerts that waited outside the outbox get in as far as there is room, as they are by now.
    async fn fill_outbox(&self, tenant: &Arc<Tenant>, profile: &CellProfile) -> Result<(), Error> {
        let mut slot = self.progress(tenant.id).await?;
        let waits = |p: &super::Progress| p.detectors.linked.postponed() > 0;
        if !slot.as_ref().is_some_and(waits) {
            return Ok(());
        }
        let room = self.link_room(tenant.id, profile.home()).await?;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let mut progress = slot.take().ok_or(Error::Internal)?;
        let waiting = progress
            .detectors
            .linked
            .waiting(room.min(limits::LINK_ALERTS_MAX));
        let (naming, reads) = (self.naming(tenant)?, self.detect_reads(tenant.id)?);
        let mut commit = DetectionCommit::default();
        for id in &waiting {
            let linked = &mut progress.detectors.linked;
            linked.goes(id);
            let record = match self.store().alert(&reads, *id).await {
                // Erased meanwhile: there is nothing to tell any more.
                Ok(None) => continue,
                Err(store::Error::RowDamaged { .. }) => {
                    linked.held_back += 1;
                    continue;
                }
                record => record?.ok_or(Error::Internal)?,
            };
            let stored = serde_json::from_slice(&record.body).map_err(|_| Error::Internal)?;
            if let StoredAlert::Whole(alert) = stored {
                commit.outbox.push(entry(profile, &naming.digest(&alert)?)?);
            }
        }
        if !waiting.is_empty() {
            progress.detectors.changed = true;
            self.write_detectors(tenant.id, &mut progress, &mut commit)?;
            let grant = self.detect_grant(tenant.id)?;
            self.store().commit_detection(&grant, commit).await?;
        }
        *slot = Some(progress);
        Ok(())
    }

    /// What crosses the tenant link, by region: at home what others hold back, elsewhere what went home.
    pub async fn link_views(&self, grant: &Granted<ReadEgress>) -> Result<Vec<LinkView>, Error> {
        let tenant = self.tenant_of(grant.tenant())?;
        let slot = self.progress(tenant.id).await?;
        let detectors = slot.as_ref().map(|p| &p.detectors);
        let Some(detectors) = detectors else {
            return Ok(Vec::new());
        };
        match &tenant.standing {
            Standing::Home(_) => {
                let all = detectors.held_back.iter();
                let view = |(region, held_back): (&RegionCode, &u64)| LinkView {
                    region: region.clone(),
                    sent: None,
                    held_back: *held_back,
                };
                Ok(all.map(view).collect())
            }
            Standing::Second(profile) => {
                let region = profile.home().clone();
                let mut sent = self.store().link_counts(grant, &region).await?;
                // Those outside a full outbox wait, too.
                sent.waiting += detectors.linked.postponed();
                Ok(vec![LinkView {
                    sent: Some(sent),
                    held_back: detectors.linked.held_back,
                    region,
                }])
            }
        }
    }

    /// Takes alerts of a tenant of this home from the cell of `from`, durably. The same ones again are
    /// taken once.
    pub async fn accept_alerts(&self, from: &RegionCode, signed: &[u8]) -> Result<(), Error> {
        let peers = &self.inner.options.peers;
        let message = LinkAlerts::open(signed, |region| peers.key_of(region))?;
        let tenant = self.tenant_of(message.tenant)?;
        self.check_sender(&tenant, from, &message)?;
        let grant = self.detect_grant(tenant.id)?;
        let reads = self.detect_reads(tenant.id)?;
        let mut slot = self.progress(tenant.id).await?;
        let ids: Vec<_> = message.alerts.iter().map(|a| a.id).collect();
        let known = self.store().known_alerts(&reads, &ids).await?;
        // Of those that are known only a vendor's may say more than before.
        let alerts = message.alerts.into_iter();
        let alerts: Vec<AlertDigest> = alerts
            .filter(|a| a.rule.kind == RuleKind::Vendor || !known.contains(&a.id))
            .collect();
        if alerts.is_empty() {
            return Ok(());
        }
        let fresh: Vec<&AlertDigest> = alerts.iter().filter(|a| !known.contains(&a.id)).collect();
        let viewing = self.viewing_of(&tenant, &access::Only::All)?;
        let shown = fresh.iter().map(|digest| without_content(&viewing, digest));
        self.append_link_rows(&tenant, &shown.collect::<Vec<_>>())
            .await?;
        let mut next = slot.take().ok_or(Error::Internal)?;
        let mut commit = DetectionCommit::default();
        let link = Credential::system("link");
        let link = self.inner.cx.decide::<Maintain>(&link, tenant.id)?;
        // In the transaction of the alerts: what comes again is counted once.
        let received = AuditDraft::of(&link, ledger::Happening::LinkReceived)
            .with("region", from)
            .with("entries", fresh.len())
            .with("upto", message.upto)
            .with("message_sha256", crypto::hex(&crypto::sha256(signed)));
        commit.audit.push(received);
        let held_back = &mut next.detectors.held_back;
        if held_back.insert(from.clone(), message.held_back) != Some(message.held_back) {
            next.detectors.changed = true;
            self.write_detectors(tenant.id, &mut next, &mut commit)?;
        }
        let pairs = alerts.into_iter().map(|digest| (digest, None)).collect();
        self.join(&tenant, &mut next, pairs, &mut commit).await?;
        self.store().commit_detection(&grant, commit).await?;
        *slot = Some(next);
        Ok(())
    }

    /// A cell speaks for itself alone, to the tenant's home alone, and of services that rest or rested
    /// with it.
    fn check_sender(
        &self,
        tenant: &Tenant,
        from: &RegionCode,
        message: &LinkAlerts,
    ) -> Result<(), Error> {
        let Standing::Home(record) = &tenant.standing else {
            return Err(Error::NotFound("tenant"));
        };
        let refuse = |what: &str| Err(Error::Bad(what.to_owned()));
        if message.origin != *from {
            return refuse("a cell brings its own alerts only");
        }
        if message.home != *self.region() || *record.home() != message.home {
            return refuse("the message is for another cell");
        }
        if message.alerts.len() > limits::LINK_ALERTS_MAX {
            return refuse("too many alerts in one message");
        }
        for alert in &message.alerts {
            let now = record.services().iter();
            let now = now.filter(|p| p.service == alert.service);
            let mut rests = now.map(|p| p.region() == Some(from));
            let earlier = record.earlier().iter();
            let mut rested = earlier.map(|e| e.service == alert.service && e.region == *from);
            if alert.origin != *from || !(rests.any(|r| r) || rested.any(|r| r)) {
                return refuse("an alert is of a service that does not rest with its sender");
            }
            if alert.entities.len() > limits::ALERT_ENTITIES_MAX
                || alert.records.len() > limits::ALERT_RECORDS_MAX
            {
                return refuse("an alert has more entities or records than it may");
            }
            naming::check(alert)?;
        }
        Ok(())
    }

    /// Alerts of other geographies can be hunted at home as far as they are known there.
    async fn append_link_rows(&self, tenant: &Tenant, alerts: &[Alert]) -> Result<(), Error> {
        if alerts.is_empty() {
            return Ok(());
        }
        let rows =
            alert_rows::alert_rows(alerts).map_err(|e| Error::from(store::Error::Rows(e)))?;
        self.append_own(tenant, vec![rows.info]).await
    }

    /// Answers a viewer of the tenant's home with the content of an alert that rests here, sealed to
    /// the home cell's key.
    pub async fn answer_read(&self, from: &RegionCode, signed: &[u8]) -> Result<Vec<u8>, Error> {
        let peers = &self.inner.options.peers;
        let read = LinkRead::open(signed, |region| peers.key_of(region))?;
        let tenant = self.tenant_of(read.tenant)?;
        let Standing::Second(profile) = &tenant.standing else {
            return Err(Error::NotFound("tenant"));
        };
        if read.home != *from || read.home != *profile.home() || read.origin != *self.region() {
            return Err(Error::Bad(
                "the read is not of the tenant's home".to_owned(),
            ));
        }
        if !profile.federated_reads() {
            return Err(Error::Withheld);
        }
        let cx = &self.inner.cx;
        if read.until <= cx.now() {
            return Err(Error::Bad("the viewer's grant has ended".to_owned()));
        }
        let grant = cx.decide::<ReadIncidents>(&Credential::system("link"), tenant.id)?;
        let record = self.store().alert(&grant, read.alert).await?;
        let record = record.ok_or(Error::NotFound("alert"))?;
        let stored: StoredAlert =
            serde_json::from_slice(&record.body).map_err(|_| Error::Internal)?;
        let StoredAlert::Whole(alert) = stored else {
            return Err(Error::NotFound("alert"));
        };
        let digest = self.naming(&tenant)?.digest(&alert)?;
        if !Readable::told(read.tables.clone()).covers(&digest.records) {
            return Err(Error::Withheld);
        }
        let key = peers.key_of(&read.home).ok_or(Error::Internal)?;
        let body = serde_json::to_vec(&alert).map_err(|_| Error::Internal)?;
        let sealed = vault::envelope::seal_to(&key, &read.context(), &body, &*cx.random)?;
        let happened = AuditDraft::of(&grant, ledger::Happening::AlertRead)
            .with("alert", read.alert)
            .with("home", &read.home)
            .with("viewer", &read.actor);
        self.store().append_audit(vec![happened]).await?;
        Ok(sealed)
    }
}

fn without_content(viewing: &Viewing, digest: &AlertDigest) -> Alert {
    Alert {
        id: digest.id,
        vendor_id: None,
        rule: digest.rule.clone(),
        title: viewing.title_of(&digest.rule),
        description: String::new(),
        severity: digest.severity,
        category: digest.category.clone(),
        techniques: digest.techniques.clone(),
        service: digest.service.clone(),
        origin: digest.origin.clone(),
        detection_source: "Tenant link".to_owned(),
        created_at: digest.created_at,
        first_at: digest.first_at,
        last_at: digest.last_at,
        entities: Vec::new(),
        records: Vec::new(),
    }
}
