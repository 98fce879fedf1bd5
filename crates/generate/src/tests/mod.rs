//! What the crate promises, tried on small worlds.

use model::Ticks;

use crate::{Options, TenantSpec, World};

mod attack;
mod content;
mod delivery;
mod export;
mod options;
mod plant;
mod score;
mod stream;
mod text;

/// Tenants of the tests: three countries, three sizes.
pub(crate) fn specs() -> Vec<TenantSpec> {
    [
        (
            "Alder Works",
            "IE",
            "0d9b1f52-6a5e-4c1e-8f9a-0b6c1d2e3f40",
            "alder.example",
            1,
        ),
        (
            "Briar Lane",
            "GB",
            "1E9b1f52-6a5e-4c1e-8f9a-0b6c1d2e3f41",
            "briar.test",
            2,
        ),
        (
            "Cedar & Daughters",
            "SG",
            "2d9b1f52-6a5e-4c1e-8f9a-0b6c1d2e3f42",
            "cedar.example",
            3,
        ),
    ]
    .map(|(name, country, id, domain, weight)| TenantSpec {
        name: name.to_owned(),
        country: country.to_owned(),
        envelope_tenant_id: id.to_owned(),
        mail_domain: domain.to_owned(),
        weight,
    })
    .into()
}

/// 2026-03-02, a Monday.
pub(crate) fn monday() -> Ticks {
    Ticks::parse("2026-03-02").unwrap()
}

pub(crate) fn options(events: u64) -> Options {
    Options::new(42, events, specs(), monday())
}

pub(crate) fn world(events: u64) -> World {
    World::new(&options(events)).unwrap()
}

/// FNV-1a over the whole stream of a tenant.
pub(crate) fn fold(world: &World, tenant: usize) -> u64 {
    world
        .records(tenant)
        .flat_map(|record| record.json.into_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}
