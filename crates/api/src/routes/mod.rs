//! The handlers: one function per route, from a call to an answer.

pub(crate) mod alerts;
pub(crate) mod evidence;
pub(crate) mod hunts;
pub(crate) mod ingestion;
pub(crate) mod open;
pub(crate) mod registries;
pub(crate) mod residence;
pub(crate) mod rules;
pub(crate) mod sources;
pub(crate) mod tenants;
pub(crate) mod tokens;
