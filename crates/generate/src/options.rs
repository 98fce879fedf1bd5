//! What a world is made from, and what is refused.

use std::collections::BTreeSet;

use model::Ticks;

use crate::attack::{AttackOptions, INTRUSIONS_MAX, SHARE_ALONE, SHARE_MIN};

/// Days a window may have; beyond, the hour table of a tenant would be the largest thing in it.
pub const DAYS_MAX: u32 = 366;
/// Extra deliveries a thousand rows may have.
pub const DUPLICATES_PERMILLE_MAX: u32 = 500;

/// Everything that decides a world. Two equal values give equal bytes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Picks names, ids, addresses and what happens.
    pub seed: u64,
    /// Distinct rows of background over all tenants; repeated deliveries come on top, and so does
    /// what is woven in.
    pub events: u64,
    /// The tenants, each with its share.
    pub tenants: Vec<TenantSpec>,
    /// First instant of the window.
    pub start: Ticks,
    /// Length of the window.
    pub days: u32,
    /// Rows in a thousand that are delivered again, byte-identical but for the envelope's clock.
    pub duplicates_permille: u32,
    /// Low-severity vendor alerts in 100,000 rows of background; 0 makes none at all.
    pub vendor_alerts_per_100k: u32,
    /// What the rows are.
    pub profile: Profile,
    /// What is woven in besides; its rows come on top of `events`. Nothing as a rule.
    pub attack: AttackOptions,
}

/// What the rows of a stream are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// Working days over endpoint, mail, identity and cloud apps.
    #[default]
    Mixed,
    /// Only rows of `DeviceProcessEvents`, all columns filled, about 3.6 KB each: for benchmarks.
    ProcessOnly,
}

/// One tenant of a world.
#[derive(Clone, Debug)]
pub struct TenantSpec {
    /// A display name, invented by the caller.
    pub name: String,
    /// ISO 3166 code of the country whose hours its people keep.
    pub country: String,
    /// The `tenantId` of its envelopes, a guid as text.
    pub envelope_tenant_id: String,
    /// Its mail domain, under `.example` or `.test`.
    pub mail_domain: String,
    /// Its share of the rows, relative to the other tenants' weights.
    pub weight: u32,
}

impl Options {
    /// A world of `tenants` with the usual figures: three days, 3 % repeats, few vendor alerts.
    pub fn new(seed: u64, events: u64, tenants: Vec<TenantSpec>, start: Ticks) -> Self {
        Self {
            seed,
            events,
            tenants,
            start,
            days: 3,
            duplicates_permille: 30,
            vendor_alerts_per_100k: 20,
            profile: Profile::Mixed,
            attack: AttackOptions::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(1..=DAYS_MAX).contains(&self.days) {
            return Err(Error::Days { days: self.days });
        }
        if self.duplicates_permille > DUPLICATES_PERMILLE_MAX {
            return Err(Error::Duplicates {
                permille: self.duplicates_permille,
            });
        }
        if self.tenants.is_empty() {
            return Err(Error::NoTenant);
        }
        self.attack.check(self.tenants.len())?;
        let mut seen = BTreeSet::new();
        for spec in &self.tenants {
            spec.check()?;
            if !seen.insert(spec.envelope_tenant_id.to_ascii_lowercase()) {
                return Err(Error::SameTenant {
                    id: spec.envelope_tenant_id.clone(),
                });
            }
        }
        Ok(())
    }

    /// Rows of each tenant: by weight, the remainder to the first ones, so that the sum is exact.
    pub(crate) fn shares(&self) -> Vec<u64> {
        let whole: u128 = self.tenants.iter().map(|t| u128::from(t.weight)).sum();
        let mut shares: Vec<u64> = self
            .tenants
            .iter()
            .map(|t| {
                let rows = u128::from(self.events) * u128::from(t.weight) / whole.max(1);
                u64::try_from(rows).unwrap_or(0)
            })
            .collect();
        // Rounding down lost less than one row per tenant.
        let left = self.events - shares.iter().sum::<u64>();
        for (share, _) in shares.iter_mut().zip(0..left) {
            *share += 1;
        }
        shares
    }
}

impl TenantSpec {
    fn check(&self) -> Result<(), Error> {
        if self.weight == 0 {
            return Err(Error::Weight {
                tenant: self.name.clone(),
            });
        }
        if !is_guid(&self.envelope_tenant_id) {
            return Err(Error::TenantId {
                id: self.envelope_tenant_id.clone(),
            });
        }
        if !is_reserved_domain(&self.mail_domain) {
            return Err(Error::MailDomain {
                domain: self.mail_domain.clone(),
            });
        }
        if self.name.trim().is_empty() || self.name.len() > model::limits::NAME_BYTES_MAX {
            return Err(Error::Name);
        }
        let country = self.country.as_bytes();
        if country.len() != 2 || !country.iter().all(u8::is_ascii_uppercase) {
            return Err(Error::Country {
                code: self.country.clone(),
            });
        }
        Ok(())
    }
}

/// Why a world cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The window is empty or too long.
    #[error("a window of {days} days is outside 1 to {DAYS_MAX}")]
    Days {
        /// As given.
        days: u32,
    },
    /// Too many repeats.
    #[error("{permille} repeats in a thousand rows are more than {DUPLICATES_PERMILLE_MAX}")]
    Duplicates {
        /// As given.
        permille: u32,
    },
    /// A share of true alerts that cannot be had.
    #[error(
        "a share of {permille} true alerts in a thousand is outside {SHARE_MIN} to {SHARE_ALONE}"
    )]
    Share {
        /// As given.
        permille: u32,
    },
    /// More close look-alikes than look-alikes.
    #[error("{permille} close look-alikes in a thousand are more than 1000")]
    Close {
        /// As given.
        permille: u32,
    },
    /// No intrusion, or too many.
    #[error("{n} intrusions are outside 1 to {INTRUSIONS_MAX}")]
    Intrusions {
        /// As given.
        n: u32,
    },
    /// A victim that is not there.
    #[error("there is no tenant at position {at}")]
    Victim {
        /// As given.
        at: usize,
    },
    /// Nobody to make rows for.
    #[error("a world needs at least one tenant")]
    NoTenant,
    /// Two tenants would be one.
    #[error("two tenants have the envelope tenant id `{id}`")]
    SameTenant {
        /// As given.
        id: String,
    },
    /// A tenant without a share.
    #[error("tenant `{tenant}` has weight 0")]
    Weight {
        /// Its name.
        tenant: String,
    },
    /// Not a guid.
    #[error("envelope tenant id `{id}` is not a hyphenated guid")]
    TenantId {
        /// As given.
        id: String,
    },
    /// A domain that could belong to somebody.
    #[error("mail domain `{domain}` is not a lower-case name under `.example` or `.test`")]
    MailDomain {
        /// As given.
        domain: String,
    },
    /// No name, or one too long.
    #[error(
        "a tenant's name must have 1 to {} bytes",
        model::limits::NAME_BYTES_MAX
    )]
    Name,
    /// Not a country code.
    #[error("country `{code}` is not two upper-case letters")]
    Country {
        /// As given.
        code: String,
    },
}

fn is_guid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

fn is_reserved_domain(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    let reserved = matches!(labels.last(), Some(&("example" | "test")));
    reserved
        && labels.len() >= 2
        && text.len() <= 100
        && labels.iter().all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}
