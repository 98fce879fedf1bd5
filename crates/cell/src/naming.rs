//! An alert without any name: what of it may be told at the tenant's home.
//!
//! | part | how it is told |
//! |---|---|
//! | rule | a shipped rule by its id; any other as `own-` and 128 bits, its version as 63 bits |
//! | table | a table of the hunting schema by its name; any other as `raw_` and 128 bits |
//! | tactic | a word of the fixed list; anything else as `SuspiciousActivity` |
//! | techniques | ids of ATT&CK's form; anything else is left out |
//! | entity | keyed hashes of its keys |
//!
//! The bits are HMAC-SHA-256 under the tenant's link secret, cut: the same in every cell of the tenant,
//! so that alerts of one rule can be told from those of another, and nothing to anybody else.
//!
//! Promises
//! - Ids of rules that a tenant or an operator wrote, names of raw tables and a vendor's words do not
//!   leave the region; neither does an unkeyed hash of them.
//! - [`check`] holds a digest of another cell to the same forms before anything of it is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use crypto::kdf::MacKey;
use crypto::{Fields, hex};
use model::{Alert, AlertDigest, DetectionRuleId, EntityKey, RuleRef, Schema, TableName};

use crate::Error;
use crate::cell::{Cell, Tenant};
use crate::detection::link_key;
use crate::link::reference;

const OWN_RULE: &str = "own-";
const RAW_TABLE: &str = "raw_";

/// Rules that ship with the program, with their versions.
pub(crate) type Shipped = BTreeMap<DetectionRuleId, u64>;

/// Gives words of one tenant the form in which they may be told.
pub(crate) struct Naming {
    key: MacKey,
    shipped: Arc<Shipped>,
}

impl Naming {
    pub(crate) fn new(key: MacKey, shipped: Arc<Shipped>) -> Self {
        Self { key, shipped }
    }

    pub(crate) fn reference(&self, key: &EntityKey) -> [u8; 16] {
        reference(&self.key, key)
    }

    /// The id of a rule, as it may be told.
    pub(crate) fn rule_id(&self, id: &DetectionRuleId) -> Result<DetectionRuleId, Error> {
        if self.shipped.contains_key(id) {
            return Ok(id.clone());
        }
        let token = self.token("link-rule-v1", &[id.as_str().as_bytes()]);
        let text = format!("{OWN_RULE}{}", hex(&token));
        DetectionRuleId::new(&text).map_err(|_| Error::Internal)
    }

    /// A rule, as it may be told. The version is a hash of its text.
    fn rule(&self, rule: &RuleRef) -> Result<RuleRef, Error> {
        let is_shipped = self.shipped.get(&rule.id) == Some(&rule.version);
        let version = if is_shipped {
            rule.version
        } else {
            let parts = [rule.id.as_str().as_bytes(), &rule.version.to_be_bytes()];
            let token = self.token("link-rule-version-v1", &parts);
            let first = token.first_chunk().ok_or(Error::Internal)?;
            u64::from_be_bytes(*first) >> 1
        };
        Ok(RuleRef {
            id: self.rule_id(&rule.id)?,
            version,
            kind: rule.kind,
        })
    }

    /// The name of a table, as it may be told.
    pub(crate) fn table(&self, table: &TableName) -> Result<TableName, Error> {
        if Schema::hunting().table(table.as_str()).is_some() {
            return Ok(table.clone());
        }
        let token = self.token("link-table-v1", &[table.as_str().as_bytes()]);
        let text = format!("{RAW_TABLE}{}", hex(&token));
        TableName::new(&text).map_err(|_| Error::Internal)
    }

    /// The alert without its content.
    pub(crate) fn digest(&self, alert: &Alert) -> Result<AlertDigest, Error> {
        let mut digest = alert.digest(|key| self.reference(key));
        digest.rule = self.rule(&alert.rule)?;
        detect::attack::category(&alert.category).clone_into(&mut digest.category);
        let techniques = &mut digest.techniques;
        techniques.retain(|t| detect::attack::is_technique(t));
        for record in &mut digest.records {
            record.table = self.table(&record.table)?;
        }
        Ok(digest)
    }

    fn token(&self, label: &'static str, parts: &[&[u8]]) -> [u8; 16] {
        let fields = Fields::new(label);
        let fields = parts.iter().fold(fields, |fields, part| fields.with(part));
        self.key.mac_128(fields.as_bytes())
    }
}

impl Cell {
    /// How words of the tenant may be told.
    pub(crate) fn naming(&self, tenant: &Tenant) -> Result<Naming, Error> {
        Ok(Naming::new(link_key(tenant)?, self.shipped_rules()))
    }
}

/// Whether a digest that another cell sent has words in it that are of no fixed form.
pub(crate) fn check(digest: &AlertDigest) -> Result<(), Error> {
    let refuse = |what: &str| Err(Error::Bad(what.to_owned()));
    let id = digest.rule.id.as_str();
    let is_token = |text: &str, prefix| {
        let token = text.strip_prefix(prefix);
        token.is_some_and(|t| t.len() == 32 && is_lower_hex(t))
    };
    // The rules that ship have UUIDs; an older home does not know those of a newer cell.
    let is_uuid = id.len() == 36 && id.split('-').all(is_lower_hex);
    if !is_token(id, OWN_RULE) && !is_uuid {
        return refuse("an alert names a rule that does not ship");
    }
    if detect::attack::category(&digest.category) != digest.category {
        return refuse("an alert has a category that is not of the list");
    }
    if !digest
        .techniques
        .iter()
        .all(|t| detect::attack::is_technique(t))
    {
        return refuse("an alert names a technique that is none");
    }
    let schema = Schema::hunting();
    let is_known = |table: &TableName| {
        schema.table(table.as_str()).is_some() || is_token(table.as_str(), RAW_TABLE)
    };
    if !digest.records.iter().all(|r| is_known(&r.table)) {
        return refuse("an alert names a table that is not of the schema");
    }
    Ok(())
}

fn is_lower_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
