//! What can be asked for: one marker type per action.
//!
//! A marker is never a value; it stands in the type of a grant, so that a grant to read a tenant's
//! settings does not open its rows. The set is closed: each name is an action of the policy's schema.

use std::fmt;

mod sealed {
    pub trait Sealed {}
}

/// An action on one tenant's things.
pub trait TenantAction: sealed::Sealed + fmt::Debug {
    /// The action's name in the policy.
    const NAME: &'static str;
}

/// An action on the cell as a whole.
pub trait CellAction: sealed::Sealed + fmt::Debug {
    /// The action's name in the policy.
    const NAME: &'static str;
}

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal: $($of:ident),+;)*) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug)]
            pub enum $name {}
            impl sealed::Sealed for $name {}
            $(impl $of for $name { const NAME: &'static str = $text; })+
        )*

        /// The names of all actions, as the policy's schema must have them.
        pub(crate) const ALL: &[&str] = &[$($text),*];
    };
}

actions! {
    /// Store records of the tenant.
    Ingest = "ingest": TenantAction;
    /// Read rows of the tenant.
    Hunt = "hunt": TenantAction;
    /// Read the tenant's settings, sources and counts; never a row.
    ReadTenant = "read_tenant": TenantAction;
    /// Change the tenant's settings.
    AdministerTenant = "administer_tenant": TenantAction;
    /// Mint, list and revoke the tenant's tokens.
    ManageTokens = "manage_tokens": TenantAction;
    /// Add, change and disable the tenant's sources.
    ManageSources = "manage_sources": TenantAction;
    /// Read the tenant's alerts and incidents, and what was done about them.
    ReadIncidents = "read_incidents": TenantAction;
    /// Work on the tenant's incidents: status, assignment, classification, tags, comments.
    ManageIncidents = "manage_incidents": TenantAction;
    /// Read, add, change, switch on and off the tenant's detection rules.
    ManageRules = "manage_rules": TenantAction;
    /// Read what left the tenant's geography: kinds, counts, receipts; never a value.
    ReadEgress = "read_egress": TenantAction;
    /// Run the cell: provision tenants, accept registries, mint operator credentials.
    Operate = "operate": CellAction;
    /// Read where data rests and by which rule; never a row.
    ResidencyRead = "residency_read": TenantAction, CellAction;
    /// Read the record of what happened: who did what, when, to which id.
    ReadAudit = "read_audit": TenantAction, CellAction;
    /// Move stored data on without showing it to anybody: flush, compact, examine, export, retain, erase.
    Maintain = "maintain": TenantAction, CellAction;
}
