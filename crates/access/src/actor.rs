//! Who asks, and what the record of their credential says.

use std::fmt;

use model::{TenantId, Ticks, TokenId};
use serde::{Serialize, Serializer};

use crate::{Permission, Permissions, Scope};

/// Who acts. Printed and serialised as one word, for log lines and ledger leaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Actor {
    /// An API token.
    Token {
        /// Which one.
        id: TokenId,
        /// The tenant it belongs to; `None` for a token of the cell (an auditor's).
        tenant: Option<TenantId>,
    },
    /// Somebody at the machine with the data directory and its passphrase.
    LocalOperator,
    /// A part of the program itself, by name: `flush`, `compact` …
    System(&'static str),
    /// An operator's credential over HTTP.
    Operator(TokenId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { id, .. } => write!(f, "token:{id}"),
            Self::LocalOperator => f.write_str("local_operator"),
            Self::System(name) => write!(f, "system:{name}"),
            Self::Operator(id) => write!(f, "operator:{id}"),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// What the record of a presented credential says. Made by whoever verified the credential.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    /// Who.
    pub actor: Actor,
    /// What it was minted for.
    pub scope: Scope,
    /// First instant at which it is no longer good.
    pub until: Ticks,
    /// Taken back before its end.
    pub revoked: bool,
}

impl Credential {
    /// A tenant's token as its record describes it.
    pub fn token(id: TokenId, tenant: TenantId, scope: Scope, until: Ticks) -> Self {
        Self {
            actor: Actor::Token {
                id,
                tenant: Some(tenant),
            },
            scope,
            until,
            revoked: false,
        }
    }

    /// A token of the cell that may read where data rests, of every tenant.
    pub fn auditor(id: TokenId, until: Ticks) -> Self {
        Self {
            actor: Actor::Token { id, tenant: None },
            scope: Scope::of(Permissions::only(Permission::Residency)),
            until,
            revoked: false,
        }
    }

    /// An operator's credential.
    pub fn operator(id: TokenId, until: Ticks) -> Self {
        Self {
            actor: Actor::Operator(id),
            scope: Scope::of(Permissions::only(Permission::Operator)),
            until,
            revoked: false,
        }
    }

    /// Somebody at the machine who opened the key ring. Has no end of its own: the process has.
    pub fn local_operator() -> Self {
        Self {
            actor: Actor::LocalOperator,
            scope: Scope {
                message_content: true,
                ..Scope::of(Permissions::ALL)
            },
            until: Ticks::MAX,
            revoked: false,
        }
    }

    /// A part of the program itself. Has no permissions: the policy lists what it may do.
    pub fn system(name: &'static str) -> Self {
        Self {
            actor: Actor::System(name),
            scope: Scope::of(Permissions::NONE),
            until: Ticks::MAX,
            revoked: false,
        }
    }

    /// Whether it is good at `now`.
    pub fn is_live(&self, now: Ticks) -> bool {
        !self.revoked && now < self.until
    }
}
