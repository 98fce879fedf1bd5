//! Secrets of one epoch: random, kept in the ring, destroyed one by one.
//!
//! Three kinds. The *linkage* secret is the same in every cell: two people bring a share each, and no
//! one share says anything of it. A *tenant's* secret is drawn here for one tenant and purpose. The
//! *disk* secret seals what the centre keeps of an epoch. None is derived from another key, so
//! destroying one is final.
//!
//! A share as text, one line, for a file that one person carries:
//!
//! ```text
//! bailiwick-linkage-share v1 <epoch> <64 hex digits> <8 hex digits of a checksum>
//! ```
//!
//! Promises
//! - A secret is durable before it is used, and gone from the ring file when `destroy` returns.
//! - The second share comes from another person than the first, and differs from it.
//! - A linkage secret that is there is never replaced.
//!
//! Does not know who is asking (that is `access`) and does not choose the epoch. Copies of the ring
//! that somebody kept hold what they held.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crypto::aead::AeadKey;
use crypto::kdf::{MacKey, hkdf};
use crypto::{Fields, Prf, Secret, hex, sha256, unhex};
use model::indicator::TokensFuture;
use model::{
    Epoch, Indicator, IndicatorToken, IndicatorTokens, Purpose, Random, TenantId, TokensError,
};
use zeroize::Zeroizing;

use crate::codec::Reader;
use crate::{Error, Vault};

/// First words of a share's text.
const SHARE_MAGIC: &str = "bailiwick-linkage-share v1";
/// Bytes of one entry in the ring's body.
pub(crate) const ENTRY_BYTES: usize = 1 + 16 + 1 + 4 + 32;
/// What an entry is, in the ring's body.
const LINKAGE: u8 = 1;
const SHARE: u8 = 2;
const TENANT: u8 = 3;
const DISK: u8 = 4;

/// Which secret. The order is that of the ring's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    /// The linkage secret.
    Linkage,
    /// The first share of one, and who brought it (a keyed hash).
    Share([u8; 16]),
    /// A tenant's, for a purpose.
    Tenant(TenantId, Purpose),
    /// What seals the centre's disk.
    Disk,
}

/// The epoch secrets of a ring.
pub(crate) type Secrets = BTreeMap<(Epoch, Slot), Arc<Secret<32>>>;

/// One person's half of a linkage secret.
pub struct LinkageShare {
    epoch: Epoch,
    bytes: Secret<32>,
}

impl fmt::Debug for LinkageShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkageShare(epoch {}, …)", self.epoch)
    }
}

impl LinkageShare {
    /// Draws a share. The same two shares go to every cell.
    pub fn random(epoch: Epoch, random: &dyn Random) -> Self {
        let bytes = Secret::random(|b| random.fill(b));
        Self { epoch, bytes }
    }

    /// Its epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The line that one person carries to the cells.
    pub fn to_line(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(hex(self.bytes.expose()));
        let check = checksum(self.epoch, self.bytes.expose());
        Zeroizing::new(format!(
            "{SHARE_MAGIC} {} {} {check}",
            self.epoch,
            secret.as_str()
        ))
    }
}

impl FromStr for LinkageShare {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let read = || {
            let mut words = line
                .trim()
                .strip_prefix(SHARE_MAGIC)?
                .split_ascii_whitespace();
            let epoch: Epoch = words.next()?.parse().ok()?;
            let bytes = Zeroizing::new(unhex(words.next()?)?);
            let bytes = Secret::from_slice(&bytes)?;
            let good = words.next()? == checksum(epoch, bytes.expose()) && words.next().is_none();
            good.then_some(Self { epoch, bytes })
        };
        read().ok_or(Error::NotAShare)
    }
}

/// Finds a digit that was mistyped; says nothing of 256 random bits that helps.
fn checksum(epoch: Epoch, bytes: &[u8; 32]) -> String {
    let fields = Fields::new("linkage-share-checksum-v1")
        .with_u64(epoch.0.into())
        .with(bytes);
    let mut check = hex(&sha256(&Zeroizing::new(fields.into_bytes())));
    check.truncate(8);
    check
}

/// How far the import of a linkage secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Import {
    /// The first share is kept; another person brings the second.
    WaitsForSecond,
    /// The secret is there. Cells with the same fingerprint have the same secret.
    Complete {
        /// 16 hex digits.
        fingerprint: String,
    },
}

/// The linkage secret of one epoch.
pub struct Linkage {
    epoch: Epoch,
    secret: Arc<Secret<32>>,
}

impl fmt::Debug for Linkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linkage(epoch {}, …)", self.epoch)
    }
}

impl Linkage {
    /// The function that makes contributor tokens for `purpose`.
    pub fn contributors(&self, purpose: Purpose) -> EpochPrf {
        let info = Fields::new("contributor-v1").with(purpose.as_str().as_bytes());
        self.prf(&info)
    }

    /// To compare the secrets of two cells by.
    pub fn fingerprint(&self) -> String {
        let mut mac = hex(&self
            .prf(&Fields::new("linkage-fingerprint-v1"))
            .evaluate(b""));
        mac.truncate(16);
        mac
    }

    fn tokens(&self, purpose: Purpose, indicators: &[Indicator]) -> Vec<IndicatorToken> {
        let key = |class: model::IndicatorClass| {
            let info = Fields::new("indicator-token-v1")
                .with(purpose.as_str().as_bytes())
                .with(class.label().as_bytes());
            self.prf(&info).0
        };
        let keys = model::IndicatorClass::ALL.map(|class| (class, key(class)));
        let token = |indicator: &Indicator| {
            let (_, key) = keys.iter().find(|(class, _)| *class == indicator.class)?;
            Some(IndicatorToken::from_bytes(
                key.mac_128(indicator.canonical.as_bytes()),
            ))
        };
        // `ALL` has every class, so no indicator is left out.
        indicators.iter().filter_map(token).collect()
    }

    fn prf(&self, info: &Fields) -> EpochPrf {
        let key = hkdf(&self.secret, &self.epoch.0.to_le_bytes(), info.as_bytes());
        EpochPrf(MacKey::new(&key))
    }
}

/// A keyed function of one epoch, purpose and use.
#[derive(Debug, Clone)]
pub struct EpochPrf(MacKey);

impl Prf for EpochPrf {
    fn evaluate(&self, message: &[u8]) -> [u8; 32] {
        self.0.mac(message)
    }
}

/// Seals and indexes what is kept of one epoch.
pub struct EpochSeal {
    random: Arc<dyn Random>,
    place: Fields,
    aead: AeadKey,
    index: MacKey,
}

impl fmt::Debug for EpochSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochSeal(…)")
    }
}

impl EpochSeal {
    /// Seals a field; `context` says which row and column it is.
    pub fn seal(&self, context: &Fields, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce);
        let aad = self.place.clone().with(context.as_bytes());
        self.aead.seal(nonce, aad.as_bytes(), plain)
    }

    /// Opens what [`Self::seal`] made under the same context.
    pub fn open(&self, context: &Fields, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let aad = self.place.clone().with(context.as_bytes());
        let opened = self.aead.open(aad.as_bytes(), sealed);
        opened.map_err(|_| Error::DoesNotOpen { what: "entry" })
    }

    /// Stands for a value where only equality matters.
    pub fn index(&self, column: &str, value: &[u8]) -> [u8; 16] {
        self.index
            .mac_128(Fields::new(column).with(value).as_bytes())
    }
}

impl Vault {
    /// Takes one person's share of an epoch's linkage secret. Bringing the first share again changes
    /// nothing; a complete secret takes no more shares.
    pub fn import_share(&self, share: &LinkageShare, person: &str) -> Result<Import, Error> {
        let epoch = share.epoch;
        let who = self.person(person);
        self.change_epochs(|secrets| {
            if secrets.contains_key(&(epoch, Slot::Linkage)) {
                return Err(Error::LinkageExists { epoch });
            }
            let first = secrets.iter().find_map(|((of, slot), bytes)| match slot {
                Slot::Share(by) if *of == epoch => Some((*by, bytes.clone())),
                _ => None,
            });
            let Some((by, first)) = first else {
                let bytes = Arc::new(share.bytes.duplicate());
                secrets.insert((epoch, Slot::Share(who)), bytes);
                return Ok(Import::WaitsForSecond);
            };
            let same = first.expose() == share.bytes.expose();
            match (by == who, same) {
                (true, true) => return Ok(Import::WaitsForSecond),
                (true, false) | (false, true) => return Err(Error::SecondPerson { epoch }),
                (false, false) => {}
            }
            let secret = Arc::new(joined(epoch, &first, &share.bytes));
            secrets.remove(&(epoch, Slot::Share(by)));
            secrets.insert((epoch, Slot::Linkage), secret.clone());
            let fingerprint = Linkage { epoch, secret }.fingerprint();
            Ok(Import::Complete { fingerprint })
        })
    }

    /// Forgets a first share whose second does not come, so that another may be first.
    pub fn drop_share(&self, epoch: Epoch) -> Result<(), Error> {
        self.change_epochs(|secrets| {
            secrets.retain(|(of, slot), _| *of != epoch || !matches!(slot, Slot::Share(_)));
            Ok(())
        })
    }

    /// The epochs of which a linkage secret is there, oldest first.
    pub fn linkage_epochs(&self) -> Vec<Epoch> {
        let secrets = self.epochs();
        let linkage = |(epoch, slot): &(Epoch, Slot)| (*slot == Slot::Linkage).then_some(*epoch);
        secrets.keys().filter_map(linkage).collect()
    }

    /// The linkage secret of an epoch.
    pub fn linkage(&self, epoch: Epoch) -> Result<Linkage, Error> {
        let secret = self.epochs().get(&(epoch, Slot::Linkage)).cloned();
        let secret = secret.ok_or(Error::NoEpochSecret { epoch })?;
        Ok(Linkage { epoch, secret })
    }

    /// The function that makes a tenant's pseudonyms for `purpose` in `epoch`; its secret is drawn at
    /// the first call and durable when this returns.
    pub fn tenant_prf(
        &self,
        tenant: TenantId,
        purpose: Purpose,
        epoch: Epoch,
    ) -> Result<EpochPrf, Error> {
        self.tenant(tenant)?;
        let secret = self.drawn(epoch, Slot::Tenant(tenant, purpose))?;
        let info = Fields::new("pseudonym-v1").with(purpose.as_str().as_bytes());
        let key = hkdf(&secret, tenant.as_bytes(), info.as_bytes());
        Ok(EpochPrf(MacKey::new(&key)))
    }

    /// What seals an epoch's part of the centre's disk; drawn at the first call, as above.
    pub fn epoch_seal(&self, epoch: Epoch) -> Result<EpochSeal, Error> {
        let secret = self.drawn(epoch, Slot::Disk)?;
        Ok(self.epoch_seal_of(epoch, &secret))
    }

    /// The same, if it was drawn before and not destroyed: for whoever only reads.
    pub fn known_epoch_seal(&self, epoch: Epoch) -> Result<EpochSeal, Error> {
        let secret = self.epochs().get(&(epoch, Slot::Disk)).cloned();
        let secret = secret.ok_or(Error::NoEpochSecret { epoch })?;
        Ok(self.epoch_seal_of(epoch, &secret))
    }

    /// Destroys all secrets of the epochs before `epoch`, and says how many. This is final.
    pub fn destroy_epochs_before(&self, epoch: Epoch) -> Result<usize, Error> {
        if self.epochs().keys().all(|(of, _)| *of >= epoch) {
            return Ok(0);
        }
        self.change_epochs(|secrets| {
            let before = secrets.len();
            secrets.retain(|(of, _), _| *of >= epoch);
            Ok(before - secrets.len())
        })
    }

    fn drawn(&self, epoch: Epoch, slot: Slot) -> Result<Arc<Secret<32>>, Error> {
        if let Some(secret) = self.epochs().get(&(epoch, slot)) {
            return Ok(secret.clone());
        }
        self.change_epochs(|secrets| {
            let draw = || Arc::new(Secret::random(|b| self.random().fill(b)));
            Ok(secrets.entry((epoch, slot)).or_insert_with(draw).clone())
        })
    }

    fn epoch_seal_of(&self, epoch: Epoch, secret: &Secret<32>) -> EpochSeal {
        let derive = |label: &str| {
            hkdf(
                secret,
                &epoch.0.to_le_bytes(),
                Fields::new(label).as_bytes(),
            )
        };
        EpochSeal {
            random: self.random().clone(),
            place: Fields::new("epoch-blob-v1")
                .with(self.geography().as_str().as_bytes())
                .with(self.region().as_str().as_bytes())
                .with_u64(epoch.0.into()),
            aead: AeadKey::new(&derive("epoch-blob-v1")),
            index: MacKey::new(&derive("epoch-index-v1")),
        }
    }
}

/// Version 1 of the port: an HMAC under the epoch's linkage secret.
impl IndicatorTokens for Vault {
    fn tokens<'a>(
        &'a self,
        purpose: Purpose,
        epoch: Epoch,
        indicators: &'a [Indicator],
    ) -> TokensFuture<'a> {
        let linkage = self.linkage(epoch);
        let tokens = linkage.map(|linkage| linkage.tokens(purpose, indicators));
        let tokens = tokens.map_err(|_| TokensError::NoSecret { epoch });
        Box::pin(std::future::ready(tokens))
    }
}

/// Both shares are needed, and their order does not matter.
fn joined(epoch: Epoch, a: &Secret<32>, b: &Secret<32>) -> Secret<32> {
    let mut both = [0; 32];
    let pairs = a.expose().iter().zip(b.expose());
    for (to, (a, b)) in both.iter_mut().zip(pairs) {
        *to = a ^ b;
    }
    let info = Fields::new("linkage-v1");
    hkdf(
        &Secret::take(&mut both),
        &epoch.0.to_le_bytes(),
        info.as_bytes(),
    )
}

/// Appends the section to the ring's body.
pub(crate) fn put(out: &mut Vec<u8>, secrets: &Secrets) {
    let count = u32::try_from(secrets.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    for ((epoch, slot), secret) in secrets {
        let (kind, id, purpose) = match slot {
            Slot::Linkage => (LINKAGE, [0; 16], 0),
            Slot::Share(by) => (SHARE, *by, 0),
            Slot::Tenant(tenant, purpose) => (TENANT, *tenant.as_bytes(), purpose_code(*purpose)),
            Slot::Disk => (DISK, [0; 16], 0),
        };
        out.push(kind);
        out.extend_from_slice(&id);
        out.push(purpose);
        out.extend_from_slice(&epoch.0.to_le_bytes());
        out.extend_from_slice(secret.expose());
    }
}

/// Reads the section. Rings of before there were epochs end without it.
pub(crate) fn read(r: &mut Reader<'_>) -> Option<Secrets> {
    let mut secrets = Secrets::new();
    if r.0.is_empty() {
        return Some(secrets);
    }
    for _ in 0..r.u32()? {
        let [kind] = r.array()?;
        let (id, [purpose], epoch) = (r.array::<16>()?, r.array()?, Epoch(r.u32()?));
        let slot = match (kind, purpose) {
            (LINKAGE, 0) => Slot::Linkage,
            (SHARE, 0) => Slot::Share(id),
            (TENANT, code) => {
                let purpose = Purpose::ALL
                    .into_iter()
                    .find(|p| purpose_code(*p) == code)?;
                Slot::Tenant(TenantId::from_bytes(id), purpose)
            }
            (DISK, 0) => Slot::Disk,
            _ => return None,
        };
        secrets.insert((epoch, slot), Arc::new(Secret::from_slice(r.bytes(32)?)?));
    }
    Some(secrets)
}

const fn purpose_code(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Prevalence => 0,
        Purpose::Campaigns => 1,
    }
}
