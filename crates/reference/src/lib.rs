//! What queries look up beside the tenants' rows, from files that the operator supplies.
//!
//! [`Agents`] says what a user agent's text tells (`parse_user_agent`), [`Places`] where an address is
//! (`geo_info_from_ip_address`). Both are made of bytes: who reads the files is the program.
//!
//! Promises
//! - A file is looked at as a whole before it is used: one that cannot be used is an error that says
//!   where, never a look-up that quietly gives nothing.
//! - A look-up reads memory only, takes no lock and keeps nothing.

mod agents;
mod places;

pub use agents::{Agents, Browser, Device, Error as AgentsError, System};
pub use places::{Error as PlacesError, Place, Places};

/// Patterns for the common browsers, systems and devices, in the form that [`Agents::new`] reads: what
/// `bailiwick init` lays down, for an operator to add to or to replace.
pub const COMMON_AGENTS: &str = include_str!("../data/user-agents.yaml");

/// Everything that an operator supplied.
#[derive(Debug, Default)]
pub struct Reference {
    /// What user agents say.
    pub agents: Option<Agents>,
    /// Where addresses are.
    pub places: Option<Places>,
}

#[cfg(test)]
mod tests;
