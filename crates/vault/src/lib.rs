//! Keys of one region, and everything that is sealed with them.
//!
//! ```text
//! ring file (passphrase or 32 raw bytes) ─► region root ─► cell blobs, token hashes, signing key
//!                                       └─► per tenant: tenant key ─► log, blobs, row ids, blind index
//!                                                       key-encryption key, version n ─► key table
//!                                                                                        └─► segment keys
//!                                       └─► per epoch: linkage secret, tenants' secrets ([`epochs`])
//! ```
//!
//! Promises
//! - No key leaves this crate but through [`SegmentKey::expose_for_parquet`], because the Parquet
//!   library wants bytes; `store` calls it, and the walker `inspect` with code of its own.
//! - Everything sealed is bound to what it is and where it belongs (geography, tenant, purpose): it
//!   does not open anywhere else.
//! - Tenant keys and key-encryption keys live only in the ring, never in the catalogue: a backup of
//!   the catalogue cannot bring an erased key back.
//!
//! Does not decide who may use a key (that is `access`), and knows no KMS yet: its adapter goes
//! where [`ring::Protection`] opens the ring.

mod codec;
pub mod envelope;
pub mod epochs;
mod error;
pub mod frame;
mod key_table;
pub mod ring;
mod signing;
mod tenant;

pub use epochs::{EpochPrf, EpochSeal, Import, Linkage, LinkageShare};
pub use error::Error;
pub use frame::{FramePlace, SealedFrame};
pub use key_table::{KeyTable, SegmentKey};
pub use ring::{Protection, Vault};
pub use signing::SigningKey;
pub use tenant::TenantVault;

#[cfg(test)]
mod tests;
