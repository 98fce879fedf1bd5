//! Detection rules that were added: a tenant's own, and the cell's for all of its tenants.
//!
//! Ids and texts are sealed (a rule's name and text are content); the catalogue knows a rule by a keyed
//! token. The text is opaque here: whoever adds a rule has compiled it before.

use access::{Granted, GrantedCell, Maintain, ManageRules, Operate, TenantAction};
use crypto::Fields;
use ledger::Happening;
use model::{DetectionRuleId, RuleKind, TenantId, Ticks, limits};
use serde::{Deserialize, Serialize};
use vault::TenantVault;

use crate::Error;
use crate::catalogue::RuleRow;
use crate::flush::detached;
use crate::leaves::Draft;
use crate::open::{Inner, Store};
use crate::row_damage::DamagedRow;

/// A rule in its newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleEntry {
    /// Its id.
    pub id: DetectionRuleId,
    /// Counts its texts, from 1.
    pub version: u64,
    /// What sort of rule.
    pub kind: RuleKind,
    /// Whether it runs.
    pub enabled: bool,
    /// When it was changed last.
    pub updated_at: Ticks,
    /// Its text.
    pub text: String,
}

/// Actions whose grant opens rules: those who change them, and the program that runs them.
pub trait ReadsRules: TenantAction {}

impl ReadsRules for ManageRules {}
impl ReadsRules for Maintain {}

#[derive(Serialize, Deserialize)]
struct SealedRule {
    id: DetectionRuleId,
    text: String,
}

/// A rule to be added or replaced.
struct Draught {
    id: DetectionRuleId,
    kind: RuleKind,
    enabled: bool,
    text: String,
}

impl Store {
    /// Adds a rule of the tenant, or replaces it: another text or kind is the next version. Its version.
    pub async fn put_rule(
        &self,
        grant: &Granted<ManageRules>,
        id: &DetectionRuleId,
        kind: RuleKind,
        enabled: bool,
        text: &str,
    ) -> Result<u64, Error> {
        self.inner.live(grant)?;
        let rule = Draught {
            id: id.clone(),
            kind,
            enabled,
            text: text.to_owned(),
        };
        let actor = grant.actor().to_string();
        self.store_rule(Some(grant.tenant()), actor, rule).await
    }

    /// The same for a rule of the cell.
    pub async fn put_cell_rule(
        &self,
        grant: &GrantedCell<Operate>,
        id: &DetectionRuleId,
        kind: RuleKind,
        enabled: bool,
        text: &str,
    ) -> Result<u64, Error> {
        let rule = Draught {
            id: id.clone(),
            kind,
            enabled,
            text: text.to_owned(),
        };
        self.store_rule(None, grant.actor().to_string(), rule).await
    }

    async fn store_rule(
        &self,
        tenant: Option<TenantId>,
        actor: String,
        rule: Draught,
    ) -> Result<u64, Error> {
        if rule.text.len() > limits::RULE_BYTES_MAX {
            return Err(Error::TooLarge { what: "rule" });
        }
        let inner = self.inner.clone();
        detached(async move {
            let mut writer = inner.writer.lock().await;
            let all = inner.rules_of(tenant).await?;
            let former = all.iter().find(|r| r.id == rule.id);
            if former.is_none() && all.len() >= limits::RULES_MAX {
                return Err(Error::TooLarge {
                    what: "number of rules",
                });
            }
            let same = former.filter(|r| r.text == rule.text && r.kind == rule.kind);
            if let Some(same) = same.filter(|r| r.enabled == rule.enabled) {
                return Ok(same.version);
            }
            let at = inner.cx.now();
            let token = inner.rule_token(tenant, &rule.id)?;
            let version = same.map_or_else(|| former.map_or(1, |r| r.version + 1), |r| r.version);
            // Without a text it is a shared rule that is switched.
            let happening = if rule.text.is_empty() {
                Happening::RuleSwitched
            } else {
                Happening::RuleChanged
            };
            let mut draft = named(Draft::new(tenant, at, actor, happening), &rule.id)
                .with("rule", crypto::hex(&token))
                .with("enabled", rule.enabled);
            if !rule.text.is_empty() {
                let digest = crypto::sha256(rule.text.as_bytes());
                draft = draft
                    .with("version", version)
                    .with("text_sha256", crypto::hex(&digest));
            }
            let leaves = [writer.seal(&inner.vault, draft)?];
            if same.is_some() {
                let catalogue = &inner.catalogue;
                let set = catalogue.set_rule_enabled(tenant, token, rule.enabled, at, &leaves);
                set.await?;
            } else {
                let row = inner.seal_rule(tenant, token, version, at, rule)?;
                inner.catalogue.put_rule(&row, &leaves).await?;
            }
            writer.all_committed(&leaves);
            Ok(version)
        })
        .await
    }

    /// Switches a rule of the tenant on or off.
    pub async fn set_rule_enabled(
        &self,
        grant: &Granted<ManageRules>,
        id: &DetectionRuleId,
        enabled: bool,
    ) -> Result<(), Error> {
        self.inner.live(grant)?;
        let actor = grant.actor().to_string();
        self.switch_rule(Some(grant.tenant()), actor, id, enabled)
            .await
    }

    /// Switches a rule of the cell on or off.
    pub async fn set_cell_rule_enabled(
        &self,
        grant: &GrantedCell<Operate>,
        id: &DetectionRuleId,
        enabled: bool,
    ) -> Result<(), Error> {
        let actor = grant.actor().to_string();
        self.switch_rule(None, actor, id, enabled).await
    }

    async fn switch_rule(
        &self,
        tenant: Option<TenantId>,
        actor: String,
        id: &DetectionRuleId,
        enabled: bool,
    ) -> Result<(), Error> {
        let (inner, id) = (self.inner.clone(), id.clone());
        detached(async move {
            let mut writer = inner.writer.lock().await;
            let token = inner.rule_token(tenant, &id)?;
            let at = inner.cx.now();
            let draft = named(Draft::new(tenant, at, actor, Happening::RuleSwitched), &id);
            let draft = draft
                .with("rule", crypto::hex(&token))
                .with("enabled", enabled);
            let leaves = [writer.seal(&inner.vault, draft)?];
            let catalogue = &inner.catalogue;
            let set = catalogue.set_rule_enabled(tenant, token, enabled, at, &leaves);
            set.await?;
            writer.all_committed(&leaves);
            Ok(())
        })
        .await
    }

    /// The tenant's own rules, by id.
    pub async fn rules<A: ReadsRules>(&self, grant: &Granted<A>) -> Result<Vec<RuleEntry>, Error> {
        self.inner.live(grant)?;
        self.inner.rules_of(Some(grant.tenant())).await
    }

    /// The cell's rules, by id. Takes no tenant's grant: they are the operator's.
    pub async fn cell_rules(&self) -> Result<Vec<RuleEntry>, Error> {
        self.inner.rules_of(None).await
    }

    /// What the catalogue and the record know a tenant's rule by.
    pub fn rule_token(&self, tenant: TenantId, id: &DetectionRuleId) -> Option<[u8; 16]> {
        self.inner.rule_token(Some(tenant), id).ok()
    }

    /// The ends of the last windows that these scheduled rules looked at for the tenant, in their order.
    pub async fn rule_windows(
        &self,
        grant: &Granted<Maintain>,
        rules: &[DetectionRuleId],
    ) -> Result<Vec<Option<Ticks>>, Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        let windows = self.inner.catalogue.rule_windows(state.tenant).await?;
        let end = |rule| {
            let token = rule_token(&state.vault, rule);
            let found = windows.binary_search_by_key(&token, |(rule, _)| *rule);
            found
                .ok()
                .and_then(|at| windows.get(at))
                .map(|(_, end)| *end)
        };
        Ok(rules.iter().map(end).collect())
    }
}

impl Inner {
    async fn rules_of(&self, tenant: Option<TenantId>) -> Result<Vec<RuleEntry>, Error> {
        let page = limits::PAGE_ITEMS_MAX;
        let (mut out, mut after) = (Vec::new(), None);
        loop {
            let rows = self.catalogue.rules(tenant, after, page).await?;
            after = rows.last().map(|row| row.rule);
            let n = rows.len();
            for row in rows {
                let opened = self.open_rule(&row);
                let Some(tenant) = row.tenant else {
                    out.push(opened?);
                    continue;
                };
                let place = DamagedRow {
                    table: "rule",
                    number: crypto::hex(&row.rule),
                };
                let (state, number) = (self.tenant(tenant)?, access::Value::Id(row.rule));
                out.extend(self.isolate(&state, place, number, opened)?);
            }
            if n < page {
                break;
            }
        }
        out.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(out)
    }

    fn rule_token(
        &self,
        tenant: Option<TenantId>,
        id: &DetectionRuleId,
    ) -> Result<[u8; 16], Error> {
        if let Some(tenant) = tenant {
            return Ok(rule_token(&self.tenant(tenant)?.vault, id));
        }
        // The operator's words, in the operator's region: a digest is enough to find them by.
        let words = Fields::new("cell-rule").with(id.as_str().as_bytes());
        let digest = crypto::sha256(words.as_bytes());
        let token = digest.first_chunk().copied();
        token.ok_or(Error::Form { what: "rule" })
    }

    fn seal_rule(
        &self,
        tenant: Option<TenantId>,
        token: [u8; 16],
        version: u64,
        at: Ticks,
        rule: Draught,
    ) -> Result<RuleRow, Error> {
        let mut row = RuleRow {
            tenant,
            rule: token,
            version,
            kind: rule.kind,
            enabled: rule.enabled,
            updated_at: at,
            sealed: Vec::new(),
        };
        let content = SealedRule {
            id: rule.id,
            text: rule.text,
        };
        let json = serde_json::to_vec(&content).map_err(|_| Error::Form { what: "rule" })?;
        let context = rule_context(&row);
        row.sealed = match tenant {
            Some(tenant) => self.tenant(tenant)?.vault.seal_blob(&context, &json),
            None => self.vault.seal_cell_blob(&context, &json),
        };
        Ok(row)
    }

    fn open_rule(&self, row: &RuleRow) -> Result<RuleEntry, Error> {
        let context = rule_context(row);
        let json = match row.tenant {
            Some(tenant) => self
                .tenant(tenant)?
                .vault
                .open_blob(&context, &row.sealed)?,
            None => self.vault.open_cell_blob(&context, &row.sealed)?,
        };
        let content: SealedRule =
            serde_json::from_slice(&json).map_err(|_| Error::Form { what: "rule" })?;
        Ok(RuleEntry {
            id: content.id,
            version: row.version,
            kind: row.kind,
            enabled: row.enabled,
            updated_at: row.updated_at,
            text: content.text,
        })
    }
}

/// The draft with the rule's id: 128 bits are no content, a name of a tenant's own may be.
fn named(draft: Draft, id: &DetectionRuleId) -> Draft {
    let digits = id.as_str().chars().filter(|c| *c != '-');
    let is_opaque = digits.clone().count() == 32 && { digits }.all(|c| c.is_ascii_hexdigit());
    if is_opaque {
        draft.with("id", id)
    } else {
        draft.privately("id", id)
    }
}

/// What the catalogue knows a rule by, for this tenant.
pub(crate) fn rule_token(vault: &TenantVault, id: &DetectionRuleId) -> [u8; 16] {
    vault.blind_index("rule", id.as_str().as_bytes())
}

/// What a rule is sealed for: all of its row but whether it runs and since when.
fn rule_context(row: &RuleRow) -> Fields {
    Fields::new("rule")
        .with(&row.rule)
        .with_u64(row.version)
        .with(row.kind.as_str().as_bytes())
}
