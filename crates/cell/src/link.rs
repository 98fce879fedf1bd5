//! What crosses the tenant link after the profile: alerts without content, and reads of content.
//!
//! ```text
//! second cell ── link-alerts (signed by it) ──────────────► home cell      kind 1
//! home cell ──── link-read (signed by it, one viewer) ────► second cell    a federated read
//!            ◄── the alert, sealed to the home cell's key ──
//! ```
//!
//! Promises
//! - An alert crosses as an [`AlertDigest`] without any free text: rules, tables and categories that are
//!   not the program's own cross as keyed tokens ([`crate::naming`]).
//! - A message is used only after its signature was verified with the key configured for the region
//!   that it names, and only by the cell that it is addressed to.
//! - What a read answers can be opened by the cell that asked and by nobody on the way.
//!
//! Does not move bytes: [`crate::PeerPort`] does.

use crypto::{Fields, PublicKey, Signer};
use model::{AlertDigest, AlertId, EntityKey, RegionCode, TableName, TenantId, Ticks, limits};
use residency::signed::{self, Kind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;

const FORMAT: u16 = 1;

/// Alerts of a tenant, from the cell where their rows rest to the tenant's home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkAlerts {
    magic: String,
    format: u16,
    /// Whose.
    pub tenant: TenantId,
    /// The region where the rows rest.
    pub origin: RegionCode,
    /// The tenant's home.
    pub home: RegionCode,
    /// When the message was made.
    pub at: Ticks,
    /// Number, in the origin's outbox, of the last of these alerts.
    pub upto: u64,
    /// Alerts of the origin that never cross, because of the cap per rule and day.
    pub held_back: u64,
    /// At most [`limits::LINK_ALERTS_MAX`].
    pub alerts: Vec<AlertDigest>,
}

/// A viewer's read of one alert's content where it rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRead {
    magic: String,
    format: u16,
    /// Whose.
    pub tenant: TenantId,
    /// The tenant's home, which asks.
    pub home: RegionCode,
    /// The region where the content rests.
    pub origin: RegionCode,
    /// The alert.
    pub alert: AlertId,
    /// Who looks, as the home cell's grant names them.
    pub actor: String,
    /// When the grant ends: after it the read is refused.
    pub until: Ticks,
    /// The tables that the grant is limited to, names of raw ones as tokens; absent if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<TableName>>,
}

macro_rules! message {
    ($name:ident, $kind:expr, $sender:ident) => {
        impl $name {
            /// The message as signed bytes.
            pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, Error> {
                let payload = serde_json::to_vec(self).map_err(|_| Error::Internal)?;
                if payload.len() > limits::DOCUMENT_BYTES_MAX / 2 {
                    return Err(Error::Bad("a link message is too large".to_owned()));
                }
                Ok(signed::sign($kind, &payload, signer))
            }

            /// The region that the message says it is from; nothing of it is verified.
            pub fn sender(bytes: &[u8]) -> Result<RegionCode, Error> {
                Ok(parse::<Self>(bytes)?.$sender)
            }

            /// Opens a message whose sender's key `key_of` knows.
            pub fn open(
                bytes: &[u8],
                key_of: impl FnOnce(&RegionCode) -> Option<PublicKey>,
            ) -> Result<Self, Error> {
                // The sender's name is read first, only to know whose key to verify with.
                let claimed: Self = parse(bytes)?;
                let key = key_of(&claimed.$sender).ok_or_else(|| {
                    let region = &claimed.$sender;
                    Error::Bad(format!("no key of region `{region}` is configured"))
                })?;
                signed::verify(bytes, $kind, &key)?;
                if claimed.magic != magic($kind) || claimed.format != FORMAT {
                    return Err(Error::Bad("not a link message of this format".to_owned()));
                }
                Ok(claimed)
            }
        }
    };
}

message!(LinkAlerts, Kind::LinkAlerts, origin);
message!(LinkRead, Kind::LinkRead, home);

impl LinkAlerts {
    /// The sender fills in its own figures.
    pub(crate) fn new(
        tenant: TenantId,
        origin: RegionCode,
        home: RegionCode,
        at: Ticks,
        alerts: Vec<AlertDigest>,
    ) -> Self {
        Self {
            magic: magic(Kind::LinkAlerts),
            format: FORMAT,
            tenant,
            origin,
            home,
            at,
            upto: 0,
            held_back: 0,
            alerts,
        }
    }
}

impl LinkRead {
    pub(crate) fn new(
        tenant: TenantId,
        home: RegionCode,
        origin: RegionCode,
        alert: AlertId,
        actor: String,
        until: Ticks,
        tables: Option<Vec<TableName>>,
    ) -> Self {
        Self {
            magic: magic(Kind::LinkRead),
            format: FORMAT,
            tenant,
            home,
            origin,
            alert,
            actor,
            until,
            tables,
        }
    }

    /// What the answer is sealed as: it opens as the answer to this very read only.
    pub(crate) fn context(&self) -> Fields {
        Fields::new("link-read-answer")
            .with(self.tenant.as_bytes())
            .with(self.alert.as_bytes())
            .with(self.home.as_str().as_bytes())
            .with(self.origin.as_str().as_bytes())
    }
}

/// The reference that stands for an entity's key: a keyed hash under the tenant's link secret, the
/// same in every cell of the tenant. `secret` is the link secret.
pub(crate) fn reference(secret: &crypto::kdf::MacKey, key: &EntityKey) -> [u8; 16] {
    let fields = Fields::new("entity-reference-v1")
        .with(key.kind.as_str().as_bytes())
        .with(key.value.as_bytes());
    secret.mac_128(fields.as_bytes())
}

fn magic(kind: Kind) -> String {
    format!("bailiwick-{kind}")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let not = || Error::Bad("not a link message".to_owned());
    let start = bytes.iter().position(|b| *b == b'\n').ok_or_else(not)?;
    let payload = bytes.get(start + 1..).ok_or_else(not)?;
    serde_json::from_slice(payload).map_err(|_| not())
}
