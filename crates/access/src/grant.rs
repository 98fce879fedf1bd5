//! The proof that the policy said yes.
//!
//! [`decide`] is about one tenant, [`decide_cell`] about the cell as a whole; their grants are
//! different types, so that a grant for the cell never stands where a tenant's is asked for.
//!
//! A refusal is one of three codes and nothing else: `unauthenticated` (the credential is past its
//! end or revoked), `not_found` (another tenant's things, real or invented alike), `denied`.

use std::fmt;
use std::marker::PhantomData;

use model::{Code, SourceId, Span100ns, TableName, TenantId, Ticks, limits};

use crate::policy::{Question, Resource};
use crate::{
    Actor, CellAction, Credential, ManageTokens, Permissions, Policy, Scope, TenantAction,
};

/// Evidence that `actor` may do `A` to `tenant` within `scope`, until `until`.
///
/// The fields are private and [`decide`] is the only maker, so holding a grant means that the
/// policy was asked. A grant is neither `Clone` nor serialisable; ask again for each request.
#[must_use]
pub struct Granted<A> {
    tenant: TenantId,
    actor: Actor,
    scope: Scope,
    until: Ticks,
    _action: PhantomData<fn() -> A>,
}

/// Evidence that `actor` may do `A` to the cell as a whole, until `until`.
#[must_use]
pub struct GrantedCell<A> {
    actor: Actor,
    until: Ticks,
    _action: PhantomData<fn() -> A>,
}

/// A refusal: a code, and no text that could quote anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}")]
pub struct Denied {
    code: Code,
}

/// What is asked about: a tenant, and the source and table if the request names one.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    tenant: TenantId,
    source: Option<SourceId>,
    table: Option<&'a TableName>,
}

/// Asks the policy whether `credential` may do `A` to `target` at `now`.
pub fn decide<'a, A: TenantAction>(
    policy: &Policy,
    credential: &Credential,
    target: impl Into<Target<'a>>,
    now: Ticks,
) -> Result<Granted<A>, Denied> {
    let target = target.into();
    let scope = &credential.scope;
    let in_scope = target.source.is_none_or(|s| scope.sources.allows(&s))
        && target.table.is_none_or(|t| scope.tables.allows(t));
    if !credential.is_live(now) {
        return Err(Denied::UNAUTHENTICATED);
    }
    let allowed = policy.allows(&Question {
        credential,
        action: A::NAME,
        resource: Resource::Tenant(target.tenant),
        in_scope,
        now,
    });
    if !allowed {
        return Err(match credential.actor {
            // Alike for a real and an invented tenant: the policy was asked in both cases.
            Actor::Token { tenant, .. } if tenant != Some(target.tenant) => Denied::NOT_FOUND,
            _ => Denied::DENIED,
        });
    }
    Ok(Granted {
        tenant: target.tenant,
        actor: credential.actor,
        scope: scope.clone(),
        until: end_of_grant(credential, now),
        _action: PhantomData,
    })
}

/// Asks the policy whether `credential` may do `A` to the cell as a whole at `now`.
pub fn decide_cell<A: CellAction>(
    policy: &Policy,
    credential: &Credential,
    now: Ticks,
) -> Result<GrantedCell<A>, Denied> {
    if !credential.is_live(now) {
        return Err(Denied::UNAUTHENTICATED);
    }
    let allowed = policy.allows(&Question {
        credential,
        action: A::NAME,
        resource: Resource::Cell,
        in_scope: true,
        now,
    });
    if !allowed {
        return Err(Denied::DENIED);
    }
    Ok(GrantedCell {
        actor: credential.actor,
        until: end_of_grant(credential, now),
        _action: PhantomData,
    })
}

fn end_of_grant(credential: &Credential, now: Ticks) -> Ticks {
    credential
        .until
        .min(now.saturating_add(Span100ns::seconds(limits::GRANT_SECONDS_MAX)))
}

impl<A> Granted<A> {
    /// Whose things.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Who asked.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Within what. Whoever reads or writes a table or a source checks it here.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// First instant at which the grant is no longer good: the credential's end, or
    /// `limits::GRANT_SECONDS_MAX` after the decision.
    pub fn until(&self) -> Ticks {
        self.until
    }

    /// Fails if the grant is past its end: for work that may have waited in a queue.
    pub fn check(&self, now: Ticks) -> Result<(), Denied> {
        if now < self.until {
            Ok(())
        } else {
            Err(Denied::UNAUTHENTICATED)
        }
    }

    /// Fails if `table` is outside the scope.
    pub fn check_table(&self, table: &TableName) -> Result<(), Denied> {
        if self.scope.tables.allows(table) {
            Ok(())
        } else {
            Err(Denied::DENIED)
        }
    }

    /// Fails if `source` is outside the scope.
    pub fn check_source(&self, source: SourceId) -> Result<(), Denied> {
        if self.scope.sources.allows(&source) {
            Ok(())
        } else {
            Err(Denied::DENIED)
        }
    }
}

impl Granted<ManageTokens> {
    /// Fails if a token of that scope would open more than its minter may.
    ///
    /// A tenant's token mints no more than it holds. Operators, who hold no permission on rows,
    /// mint any token of a tenant: somebody has to mint the first one, and each minting leaves a
    /// leaf. Nobody mints a tenant's token with the operator's permission.
    pub fn check_mint(&self, scope: &Scope) -> Result<(), Denied> {
        let covered = match self.actor {
            Actor::Token { .. } => self.scope.covers(scope),
            Actor::Operator(_) | Actor::LocalOperator => true,
            Actor::System(_) => false,
        };
        if covered && Permissions::TENANT.covers(scope.permissions) {
            Ok(())
        } else {
            Err(Denied::DENIED)
        }
    }
}

impl<A> GrantedCell<A> {
    /// Who asked.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// First instant at which the grant is no longer good (see [`Granted::until`]).
    pub fn until(&self) -> Ticks {
        self.until
    }

    /// Fails if the grant is past its end.
    pub fn check(&self, now: Ticks) -> Result<(), Denied> {
        if now < self.until {
            Ok(())
        } else {
            Err(Denied::UNAUTHENTICATED)
        }
    }
}

impl Denied {
    pub(crate) const UNAUTHENTICATED: Self = Self {
        code: Code::Unauthenticated,
    };
    pub(crate) const DENIED: Self = Self { code: Code::Denied };
    pub(crate) const NOT_FOUND: Self = Self {
        code: Code::NotFound,
    };

    /// `unauthenticated`, `denied` or `not_found`.
    pub fn code(self) -> Code {
        self.code
    }
}

impl<'a> Target<'a> {
    /// The tenant as a whole.
    pub fn tenant(tenant: TenantId) -> Self {
        Self {
            tenant,
            source: None,
            table: None,
        }
    }

    /// One of its sources.
    #[must_use]
    pub fn source(mut self, source: SourceId) -> Self {
        self.source = Some(source);
        self
    }

    /// One of its tables.
    #[must_use]
    pub fn table(mut self, table: &'a TableName) -> Self {
        self.table = Some(table);
        self
    }
}

impl From<TenantId> for Target<'_> {
    fn from(tenant: TenantId) -> Self {
        Self::tenant(tenant)
    }
}

impl<A> fmt::Debug for Granted<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Granted({} for {})", self.actor, self.tenant)
    }
}

impl<A> fmt::Debug for GrantedCell<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantedCell({})", self.actor)
    }
}
