//! API tokens: minting, and telling from a presented one who asks.
//!
//! A token is `bwt_<region>_<64 hex digits>`; the digits are 256 random bits, kept only as a keyed
//! hash. The region is in clear so that any cell can say where the token belongs without looking
//! anything up: a foreign prefix is answered alike for a real and an invented token.

use access::{Credential, Granted, GrantedCell, ManageTokens, Operate, Permission, Scope};
use crypto::{Secret, hex, unhex};
use model::{Code, RegionCode, Span100ns, TokenId, limits};
use store::TokenEntry;
use zeroize::Zeroizing;

use crate::Error;
use crate::cell::Cell;

const PREFIX: &str = "bwt_";

/// Why a presented token opens nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It belongs to another region.
    WrongRegion(RegionCode),
    /// It is not of our form, unknown, expired or revoked; nobody is told which.
    Unauthenticated,
    /// The catalogue could not be asked.
    Failed(Code),
}

/// A token to be minted.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// Days until it is no longer good.
    pub days: i64,
}

/// A fresh token. Its text is shown once and kept nowhere.
pub struct Minted {
    /// What is stored of it.
    pub entry: TokenEntry,
    /// What its holder presents.
    pub text: Zeroizing<String>,
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Minted({})", self.entry.token)
    }
}

/// The region a token says it belongs to, and its secret.
fn parse(text: &str) -> Option<(RegionCode, Zeroizing<Vec<u8>>)> {
    let (region, digits) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let secret = Zeroizing::new(unhex(digits)?);
    (secret.len() == 32).then_some((RegionCode::new(region).ok()?, secret))
}

/// The region that a token's prefix names; nothing if it is not a token.
pub fn region_of_token(text: &str) -> Option<RegionCode> {
    parse(text).map(|(region, _)| region)
}

impl Cell {
    /// Who presents this token.
    pub async fn authenticate(&self, presented: &str) -> Result<Credential, Refusal> {
        let (region, secret) = parse(presented).ok_or(Refusal::Unauthenticated)?;
        if region != *self.region() {
            return Err(Refusal::WrongRegion(region));
        }
        let hash = self.store().vault().token_hash(&secret);
        let found = self.store().token_by_hash(&hash).await.map_err(|e| {
            self.inner.cx.error("token_lookup_failed", e.code(), &[]);
            Refusal::Failed(e.code())
        })?;
        let entry = found.ok_or(Refusal::Unauthenticated)?;
        let credential = credential(&entry);
        if credential.is_live(self.inner.cx.now()) {
            Ok(credential)
        } else {
            Err(Refusal::Unauthenticated)
        }
    }

    /// Mints a token of a tenant. Its scope may not exceed the minter's.
    pub async fn mint_token(
        &self,
        grant: &Granted<ManageTokens>,
        request: TokenRequest,
    ) -> Result<Minted, Error> {
        self.tenant_of(grant.tenant())?;
        if request
            .scope
            .permissions
            .iter()
            .any(|p| p == Permission::Operator)
        {
            return Err(Error::Bad(
                "a tenant's token cannot be an operator's".to_owned(),
            ));
        }
        grant.check_mint(&request.scope)?;
        if let access::Only::These(sources) = &request.scope.sources {
            for source in sources {
                self.own_source(grant.tenant(), *source)?;
            }
        }
        let live = self.store().tokens(grant).await?;
        let now = self.inner.cx.now();
        let n = live
            .iter()
            .filter(|t| t.revoked_at.is_none() && now < t.expires_at)
            .count();
        if n >= limits::TOKENS_PER_TENANT_MAX {
            return Err(Error::Conflict(
                "the tenant has its limit of live tokens".to_owned(),
            ));
        }
        let (mut minted, hash) = self.draw(&request)?;
        minted.entry.tenant = Some(grant.tenant());
        self.store().put_token(grant, &minted.entry, hash).await?;
        Ok(minted)
    }

    /// Mints an operator's credential of this cell.
    pub async fn mint_operator(
        &self,
        grant: &GrantedCell<Operate>,
        name: &str,
        days: i64,
    ) -> Result<Minted, Error> {
        let scope = Scope::of(access::Permissions::only(Permission::Operator));
        let (minted, hash) = self.draw(&TokenRequest {
            name: name.to_owned(),
            scope,
            days,
        })?;
        self.store()
            .put_operator_token(grant, &minted.entry, hash)
            .await?;
        Ok(minted)
    }

    /// Mints an auditor's credential: reads where data rests, of every tenant, and no row.
    pub async fn mint_auditor(
        &self,
        grant: &GrantedCell<Operate>,
        name: &str,
        days: i64,
    ) -> Result<Minted, Error> {
        let scope = Scope::of(access::Permissions::only(Permission::Residency));
        let (minted, hash) = self.draw(&TokenRequest {
            name: name.to_owned(),
            scope,
            days,
        })?;
        self.store()
            .put_operator_token(grant, &minted.entry, hash)
            .await?;
        Ok(minted)
    }

    /// The tenant's tokens, without their secrets.
    pub async fn tokens(&self, grant: &Granted<ManageTokens>) -> Result<Vec<TokenEntry>, Error> {
        Ok(self.store().tokens(grant).await?)
    }

    /// Takes a token back; it opens nothing from now on.
    pub async fn revoke_token(
        &self,
        grant: &Granted<ManageTokens>,
        token: TokenId,
    ) -> Result<(), Error> {
        Ok(self.store().revoke_token(grant, token).await?)
    }

    fn draw(&self, request: &TokenRequest) -> Result<(Minted, [u8; 32]), Error> {
        if !(1..=limits::TOKEN_DAYS_MAX).contains(&request.days) {
            let max = limits::TOKEN_DAYS_MAX;
            return Err(Error::Bad(format!("a token lives 1 to {max} days")));
        }
        if request.name.trim().is_empty() || request.name.len() > limits::NAME_BYTES_MAX {
            let max = limits::NAME_BYTES_MAX;
            return Err(Error::Bad(format!("a token's name has 1 to {max} bytes")));
        }
        let random = &self.inner.cx.random;
        let secret: Secret<32> = Secret::random(|b| random.fill(b));
        let now = self.inner.cx.now();
        let entry = TokenEntry {
            token: TokenId::random(&**random),
            tenant: None,
            name: request.name.clone(),
            scope: request.scope.clone(),
            created_at: now,
            expires_at: now.saturating_add(Span100ns::days(request.days)),
            revoked_at: None,
        };
        let text = Zeroizing::new(format!(
            "{PREFIX}{}_{}",
            self.region(),
            hex(secret.expose())
        ));
        let hash = self.store().vault().token_hash(secret.expose());
        Ok((Minted { entry, text }, hash))
    }
}

fn credential(entry: &TokenEntry) -> Credential {
    let is = |p| entry.scope.permissions.iter().any(|q| q == p);
    let base = match entry.tenant {
        Some(tenant) => {
            Credential::token(entry.token, tenant, entry.scope.clone(), entry.expires_at)
        }
        None if is(Permission::Operator) => Credential::operator(entry.token, entry.expires_at),
        None => Credential::auditor(entry.token, entry.expires_at),
    };
    Credential {
        revoked: entry.revoked_at.is_some(),
        ..base
    }
}
