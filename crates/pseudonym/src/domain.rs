//! Pseudonymisation domains, and the tokens that stand for people, things and owner groups.
//!
//! A token is the first 128 bits of a keyed function over everything that its domain is made of. Tokens
//! are equal only if tenant (or owner group), purpose, class, epoch and value are; the key differs by
//! tenant, purpose and epoch as well, so that no list of tokens made in one domain says anything in
//! another.

use crypto::{Fields, Prf};
use model::{ContributorToken, Epoch, OwnerGroupId, Purpose, TenantId};

/// What a subject's pseudonym stands for, with the version of its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectClass {
    /// A person or account.
    Account,
    /// A device.
    Device,
    /// An address inside the tenant.
    InternalIp,
}

impl SubjectClass {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::Account, Self::Device, Self::InternalIp];

    const fn label(self) -> &'static str {
        match self {
            Self::Account => "account/1",
            Self::Device => "device/1",
            Self::InternalIp => "internal-ip/1",
        }
    }
}

/// The pseudonyms of one tenant, purpose and epoch.
pub struct Pseudonyms<'a> {
    prf: &'a dyn Prf,
    tenant: TenantId,
    purpose: Purpose,
    epoch: Epoch,
}

impl std::fmt::Debug for Pseudonyms<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Pseudonyms({}, {}, …)",
            self.purpose.as_str(),
            self.epoch
        )
    }
}

impl<'a> Pseudonyms<'a> {
    /// With the tenant's function for this purpose and epoch.
    pub fn new(prf: &'a dyn Prf, tenant: TenantId, purpose: Purpose, epoch: Epoch) -> Self {
        Self {
            prf,
            tenant,
            purpose,
            epoch,
        }
    }

    /// The token of a value in its canonical form.
    pub fn token(&self, class: SubjectClass, canonical: &str) -> [u8; 16] {
        let domain = Fields::new("pseudonym")
            .with(self.tenant.as_bytes())
            .with(self.purpose.as_str().as_bytes())
            .with(class.label().as_bytes())
            .with_u64(self.epoch.0.into())
            .with(canonical.as_bytes());
        first_half(self.prf.evaluate(domain.as_bytes()))
    }
}

/// Who counts as one contributor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// A provider or parent, with all its tenants.
    Owner(OwnerGroupId),
    /// A tenant that belongs to none.
    Alone(TenantId),
}

impl Group {
    /// The group of a tenant.
    pub fn of(tenant: TenantId, owner: Option<OwnerGroupId>) -> Self {
        owner.map_or(Self::Alone(tenant), Self::Owner)
    }
}

/// The token under which a group contributes, from the function that every cell has for this purpose
/// and epoch: a group with tenants in several geographies is one contributor.
pub fn contributor(
    prf: &dyn Prf,
    group: Group,
    purpose: Purpose,
    epoch: Epoch,
) -> ContributorToken {
    let (kind, id) = match &group {
        Group::Owner(id) => ("owner-group", id.as_bytes()),
        Group::Alone(id) => ("tenant", id.as_bytes()),
    };
    let domain = Fields::new("contributor")
        .with(purpose.as_str().as_bytes())
        .with_u64(epoch.0.into())
        .with(kind.as_bytes())
        .with(id);
    ContributorToken::from_bytes(first_half(prf.evaluate(domain.as_bytes())))
}

fn first_half(mac: [u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    out.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
    out
}
