//! The cell profile: what a tenant's second cell is told (tenant link, kind 0).
//!
//! Signed by the home cell, verified with the home cell's public key. It carries opaque ids and the
//! services that the receiving region holds, nothing about the rest (`docs/formats/provisioning.md`).
//!
//! Promises
//! - No name, mail address or host of the tenant is in it; what a hold or an erasure is about, and
//!   the link secret, are bytes sealed to the receiving cell's key, which this crate cannot open.
//! - A profile is of one region: another region's cell refuses it.

use crypto::{PublicKey, Signer, hex, unhex};
use model::{OrderId, OwnerGroupId, RegionCode, ServiceName, SourceId, TenantId, Ticks, limits};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::plan::Pin;
use crate::provisioning::{CentreMode, Earlier, Provisioning};
use crate::signed::{self, Accepted, Kind, Payload, Verified};

/// Bytes that only the receiver can open, written as hex.
#[derive(Clone, PartialEq, Eq)]
pub struct Opaque(Vec<u8>);

impl Opaque {
    /// Takes sealed bytes, at most [`limits::DOCUMENT_SEALED_BYTES_MAX`].
    pub fn new(sealed: Vec<u8>) -> Option<Self> {
        (sealed.len() <= limits::DOCUMENT_SEALED_BYTES_MAX).then_some(Self(sealed))
    }

    /// The sealed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opaque({} bytes)", self.0.len())
    }
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let sealed = unhex(&text).and_then(Self::new);
        sealed.ok_or_else(|| serde::de::Error::custom("not sealed bytes in hexadecimal"))
    }
}

/// A source of the tenant, as the second cell needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSource {
    /// The source.
    pub id: SourceId,
    /// The services that it declares, all of them: a raw table's service depends on their number.
    pub services: Vec<ServiceName>,
    /// The tenant id that its envelopes carry; without one, none is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_tenant: Option<String>,
    /// Whether its rows are masked before they are stored.
    pub masked: bool,
    /// Whether it may send at all.
    pub enabled: bool,
}

/// A legal hold or an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its id, as in the ledger.
    pub id: OrderId,
    /// When it was ordered.
    pub ordered_at: Ticks,
    /// What it is about, sealed to the receiving cell's key.
    pub scope: Opaque,
}

/// What the home cell adds to its record to make a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileInput {
    /// The tenant's sources; those that declare no service of the region are left out.
    pub sources: Vec<ProfileSource>,
    /// Legal holds in force.
    pub holds: Vec<Order>,
    /// Erasures to be carried out.
    pub erasures: Vec<Order>,
    /// The tenant's link secret, sealed to the receiving cell's key.
    pub link_secret: Opaque,
}

/// One version of what a second cell is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellProfile {
    magic: String,
    format: u16,
    version: u64,
    tenant: TenantId,
    issued_at: Ticks,
    provisioning_version: u64,
    registry: Accepted,
    home: RegionCode,
    region: RegionCode,
    services: Vec<Pin>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Earlier>,
    retention_days: i64,
    centre: CentreMode,
    /// Only where something goes to the centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner_group: Option<OwnerGroupId>,
    federated_reads: bool,
    sources: Vec<ProfileSource>,
    holds: Vec<Order>,
    erasures: Vec<Order>,
    link_secret: Opaque,
}

impl CellProfile {
    /// Version `version` of the profile of `region`, from the tenant's record. A region that only
    /// holds older data gets one too: holds, erasures and retention concern it.
    pub fn issue(
        record: &Verified<Provisioning>,
        region: &RegionCode,
        version: u64,
        input: ProfileInput,
        now: Ticks,
    ) -> Result<Self, Error> {
        let here = |pin: &&Pin| pin.region() == Some(region);
        let services: Vec<Pin> = record.services().iter().filter(here).cloned().collect();
        let was_here = |earlier: &&Earlier| earlier.region == *region;
        let earlier: Vec<Earlier> = record.earlier().iter().filter(was_here).cloned().collect();
        if region == record.home() || (services.is_empty() && earlier.is_empty()) {
            return Err(Error::NoSecondCell {
                region: region.clone(),
            });
        }
        let held = |name: &ServiceName| services.iter().any(|pin| pin.service == *name);
        let ProfileInput {
            mut sources,
            holds,
            erasures,
            link_secret,
        } = input;
        let counts = record.settings().centre != CentreMode::Off;
        sources.retain(|source| source.services.iter().any(held));
        let profile = Self {
            magic: signed::magic(Kind::CellProfile),
            format: Self::FORMAT,
            version,
            tenant: record.tenant(),
            issued_at: now,
            provisioning_version: record.version(),
            registry: record.registry(),
            home: record.home().clone(),
            region: region.clone(),
            services,
            earlier,
            retention_days: record.settings().retention_days,
            centre: record.settings().centre,
            owner_group: record.settings().owner_group.filter(|_| counts),
            federated_reads: record.settings().federated_reads,
            sources,
            holds,
            erasures,
            link_secret,
        };
        profile.check()?;
        Ok(profile)
    }

    /// Verifies and reads a profile that is meant for the cell of `own`, signed by the home cell;
    /// refuses one older than `highest`.
    pub fn open(
        bytes: &[u8],
        home_key: &PublicKey,
        own: &RegionCode,
        highest: Option<Accepted>,
    ) -> Result<Verified<Self>, Error> {
        let profile: Verified<Self> = signed::open(bytes, home_key, highest)?;
        if profile.region != *own {
            let found = profile.region.clone();
            return Err(Error::OtherRegion {
                found,
                expected: own.clone(),
            });
        }
        Ok(profile)
    }

    /// The profile as a signed document.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, Error> {
        Ok(signed::sign(
            Kind::CellProfile,
            &signed::payload(self)?,
            signer,
        ))
    }

    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Grows with every profile for this region.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When the home cell made it.
    pub fn issued_at(&self) -> Ticks {
        self.issued_at
    }

    /// The version of the record it was made from.
    pub fn provisioning_version(&self) -> u64 {
        self.provisioning_version
    }

    /// The registry that the pins are of.
    pub fn registry(&self) -> Accepted {
        self.registry
    }

    /// The tenant's home region.
    pub fn home(&self) -> &RegionCode {
        &self.home
    }

    /// The region that it is for.
    pub fn region(&self) -> &RegionCode {
        &self.region
    }

    /// The decisions about the services held there.
    pub fn services(&self) -> &[Pin] {
        &self.services
    }

    /// Days that records are kept after their ingestion.
    pub fn retention_days(&self) -> i64 {
        self.retention_days
    }

    /// The provider or parent that the tenant counts with at the centre, so that it is one contributor
    /// there, from whichever cell.
    pub fn owner_group(&self) -> Option<OwnerGroupId> {
        self.owner_group
    }

    /// What the centre may be told.
    pub fn centre(&self) -> CentreMode {
        self.centre
    }

    /// Whether hunts from home may read rows there.
    pub fn federated_reads(&self) -> bool {
        self.federated_reads
    }

    /// Services whose older data rests there.
    pub fn earlier(&self) -> &[Earlier] {
        &self.earlier
    }

    /// The sources that may send there.
    pub fn sources(&self) -> &[ProfileSource] {
        &self.sources
    }

    /// Legal holds in force.
    pub fn holds(&self) -> &[Order] {
        &self.holds
    }

    /// Erasures to be carried out.
    pub fn erasures(&self) -> &[Order] {
        &self.erasures
    }

    /// The tenant's link secret, sealed to the receiving cell's key.
    pub fn link_secret(&self) -> &Opaque {
        &self.link_secret
    }
}

impl Payload for CellProfile {
    const KIND: Kind = Kind::CellProfile;
    const FORMAT: u16 = 1;

    fn version(&self) -> u64 {
        self.version
    }

    fn check(&self) -> Result<(), Error> {
        let contradiction = |what: &str| {
            Err(Error::Contradiction {
                kind: Self::KIND,
                what: what.to_owned(),
            })
        };
        let bounds = limits::RETENTION_DAYS_MIN..=limits::RETENTION_DAYS_MAX;
        if !bounds.contains(&self.retention_days) {
            return Err(Error::Retention {
                days: self.retention_days,
            });
        }
        if self.home == self.region {
            return contradiction("it is for the home region");
        }
        if !self.services.is_sorted_by(|a, b| a.service < b.service) {
            return contradiction("the services are not in order of their names, each once");
        }
        if !self
            .services
            .iter()
            .all(|pin| pin.region() == Some(&self.region))
            || !self
                .earlier
                .iter()
                .all(|earlier| earlier.region == self.region)
        {
            return contradiction("a service in it rests in another region");
        }
        let texts = self
            .sources
            .iter()
            .filter_map(|s| s.envelope_tenant.as_ref());
        if self.sources.len() > limits::SOURCES_PER_TENANT_MAX
            || self.holds.len() > limits::DOCUMENT_ITEMS_MAX
            || self.erasures.len() > limits::DOCUMENT_ITEMS_MAX
            || texts
                .into_iter()
                .any(|text| text.len() > limits::DOCUMENT_TEXT_BYTES_MAX)
        {
            return contradiction("a list or a text in it is longer than its limit");
        }
        Ok(())
    }
}
