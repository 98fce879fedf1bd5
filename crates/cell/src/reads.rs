//! Who looked at which alert, incident, device or user: on record before it is shown.
//!
//! The same person who looks at the same thing again within [`limits::ACCESS_REPEAT_SECONDS`] is one row,
//! so that a page that refreshes itself does not fill the record.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use access::{Actor, Granted, ReadIncidents};
use model::{Span100ns, TenantId, Ticks, limits};

use crate::Error;
use crate::cell::Cell;

type Access = (TenantId, String, &'static str, [u8; 16]);

/// Accesses that are on record, and when.
#[derive(Debug, Default)]
pub(crate) struct Accesses(Mutex<BTreeMap<Access, Ticks>>);

impl Accesses {
    fn is_repeat(&self, access: &Access, now: Ticks) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(access).is_some_and(|at| is_recent(*at, now))
    }

    fn note(&self, access: Access, now: Ticks) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= limits::ACCESSES_REMEMBERED_MAX {
            all.retain(|_, at| is_recent(*at, now));
        }
        if all.len() >= limits::ACCESSES_REMEMBERED_MAX {
            all.clear();
        }
        all.insert(access, now);
    }
}

fn is_recent(at: Ticks, now: Ticks) -> bool {
    let since = now.since(at).0;
    (0..Span100ns::seconds(limits::ACCESS_REPEAT_SECONDS).0).contains(&since)
}

impl Cell {
    /// Puts on record that somebody looks at a thing: `kind` is what it is, `name` which; names of devices
    /// and users are content and stand beside the leaf.
    pub(crate) async fn note_read(
        &self,
        grant: &Granted<ReadIncidents>,
        kind: &'static str,
        name: &str,
    ) -> Result<(), Error> {
        if matches!(grant.actor(), Actor::System(_)) {
            return Ok(());
        }
        let vault = self.store().vault().tenant(grant.tenant())?;
        let token = vault.blind_index("access", format!("{kind}:{name}").as_bytes());
        let (now, actor) = (self.inner.cx.now(), grant.actor().to_string());
        let access = (grant.tenant(), actor, kind, token);
        if self.inner.accesses.is_repeat(&access, now) {
            return Ok(());
        }
        let draft = store::AuditDraft::of(grant, ledger::Happening::IncidentsRead);
        let draft = draft.with("kind", kind);
        let draft = match kind {
            "alert" | "incident" => draft.with("id", name),
            _ => draft
                .with("token", crypto::hex(&token))
                .with_private("name", name),
        };
        self.store().append_audit(vec![draft]).await?;
        self.inner.accesses.note(access, now);
        Ok(())
    }
}
