//! What one viewer is shown of alerts.
//!
//! Alerts show what rows say, so a credential that is limited to tables is shown the content of an alert
//! only if it may read all the rows behind it, or the tables `AlertInfo` and `AlertEvidence`, which hold
//! the content of every alert. Of the others it is shown what would cross the tenant link, and told that
//! something was left out.
//!
//! Names of raw tables are content: over the link a scope's tables go as [`crate::naming`] has them.

use std::collections::{BTreeMap, BTreeSet};

use access::{Granted, Only};
use model::{Alert, AlertDigest, DetectionRuleId, RecordRef, RuleKind, RuleRef, TableName, limits};
use store::AlertRecord;

use crate::Error;
use crate::cell::{Cell, Tenant};
use crate::incidents::AlertView;
use crate::naming::Naming;
use crate::stored::StoredAlert;

/// The tables in which every alert's content stands.
const ALERT_TABLES: [&str; 2] = ["AlertInfo", "AlertEvidence"];

/// What a viewer of one tenant's alerts may see; made once a request.
pub(crate) struct Viewing {
    pub(crate) naming: Naming,
    /// Titles of rules whose ids are told as tokens.
    titles: BTreeMap<DetectionRuleId, String>,
    readable: Readable,
}

/// Tables that a viewer may read, as they may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readable(Option<BTreeSet<TableName>>);

/// An alert as it is shown.
pub(crate) struct Shown {
    pub(crate) view: AlertView,
    pub(crate) digest: AlertDigest,
    /// Its content, if it is here and the viewer may read it.
    pub(crate) whole: Option<Box<Alert>>,
    /// Whether the viewer may read its content, wherever it is, as far as is known here.
    pub(crate) may_read: bool,
}

impl Readable {
    fn of(naming: &Naming, tables: &Only<TableName>) -> Result<Self, Error> {
        Ok(Self(match tables {
            Only::All => None,
            Only::These(tables) => {
                let words = tables.iter().map(|t| naming.table(t));
                Some(words.collect::<Result<_, _>>()?)
            }
        }))
    }

    /// Those that a read over the tenant link names; nothing named is everything.
    pub(crate) fn told(tables: Option<Vec<TableName>>) -> Self {
        Self(tables.map(|tables| tables.into_iter().collect()))
    }

    /// As a read over the tenant link names them.
    pub(crate) fn tell(&self) -> Option<Vec<TableName>> {
        let tables = self.0.as_ref()?;
        Some(tables.iter().cloned().collect())
    }

    /// Whether the content of an alert that rests on these rows may be read.
    pub(crate) fn covers(&self, records: &[RecordRef]) -> bool {
        let Some(tables) = &self.0 else { return true };
        let has = |name: &&str| tables.iter().any(|t| t.as_str() == *name);
        // A list that is full may be cut, and a scheduled rule's is empty: those rest on rows of tables
        // that it does not tell.
        let told = (1..limits::ALERT_RECORDS_MAX).contains(&records.len());
        ALERT_TABLES.iter().all(has) || (told && records.iter().all(|r| tables.contains(&r.table)))
    }
}

impl Viewing {
    pub(crate) fn readable(&self) -> &Readable {
        &self.readable
    }

    /// A stored alert, as the viewer may see it.
    pub(crate) fn show(&self, record: &AlertRecord) -> Result<Shown, Error> {
        let stored: StoredAlert =
            serde_json::from_slice(&record.body).map_err(|_| Error::Internal)?;
        Ok(match stored {
            StoredAlert::Whole(alert) => {
                let digest = self.naming.digest(&alert)?;
                let may_read = self.readable.covers(&digest.records);
                let view = if may_read {
                    whole_view(&alert)
                } else {
                    self.bare_view(&digest)
                };
                Shown {
                    view: AlertView {
                        incident: record.incident,
                        is_here: true,
                        ..view
                    },
                    digest,
                    whole: may_read.then_some(alert),
                    may_read,
                }
            }
            StoredAlert::Digest(digest) => Shown {
                view: AlertView {
                    incident: record.incident,
                    ..self.bare_view(&digest)
                },
                may_read: self.readable.covers(&digest.records),
                digest: *digest,
                whole: None,
            },
        })
    }

    /// A rule's title, for alerts whose content is not shown.
    pub(crate) fn title_of(&self, rule: &RuleRef) -> String {
        match (self.titles.get(&rule.id), rule.kind) {
            (Some(title), _) => title.clone(),
            (None, RuleKind::Vendor) => "An alert of another product".to_owned(),
            (None, _) => format!("Rule {}", rule.id),
        }
    }

    fn bare_view(&self, digest: &AlertDigest) -> AlertView {
        AlertView {
            id: digest.id,
            vendor_id: None,
            title: self.title_of(&digest.rule),
            severity: digest.severity,
            category: digest.category.clone(),
            techniques: digest.techniques.clone(),
            service: digest.service.clone(),
            origin: digest.origin.clone(),
            rule: digest.rule.clone(),
            created_at: digest.created_at,
            first_at: digest.first_at,
            last_at: digest.last_at,
            incident: None,
            is_here: false,
        }
    }
}

/// An alert with its content, in a list.
pub(crate) fn whole_view(alert: &Alert) -> AlertView {
    AlertView {
        id: alert.id,
        vendor_id: alert.vendor_id.clone(),
        title: alert.title.clone(),
        severity: alert.severity,
        category: alert.category.clone(),
        techniques: alert.techniques.clone(),
        service: alert.service.clone(),
        origin: alert.origin.clone(),
        rule: alert.rule.clone(),
        created_at: alert.created_at,
        first_at: alert.first_at,
        last_at: alert.last_at,
        incident: None,
        is_here: false,
    }
}

/// What a viewer is told if the content of alerts was left out.
pub(crate) fn left_out(alerts: usize) -> Option<String> {
    let whose = match alerts {
        0 => return None,
        1 => "1 alert".to_owned(),
        n => format!("{n} alerts"),
    };
    Some(format!(
        "the content of {whose} is left out: it comes from tables that this credential may not read"
    ))
}

impl Cell {
    /// What the holder of a grant may see of the tenant's alerts.
    pub(crate) fn viewing<A>(&self, grant: &Granted<A>) -> Result<Viewing, Error> {
        let tenant = self.tenant_of(grant.tenant())?;
        self.viewing_of(&tenant, &grant.scope().tables)
    }

    pub(crate) fn viewing_of(
        &self,
        tenant: &Tenant,
        tables: &Only<TableName>,
    ) -> Result<Viewing, Error> {
        let naming = self.naming(tenant)?;
        Ok(Viewing {
            titles: self.told_titles(tenant.id, &naming)?,
            readable: Readable::of(&naming, tables)?,
            naming,
        })
    }
}
