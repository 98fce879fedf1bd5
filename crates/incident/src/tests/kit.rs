//! Alerts made of plain words: the token of a key is a hash of its kind and text.

use model::ticks::PER_SECOND;
use model::{
    AlertDigest, AlertId, AlertSeverity, DetectionRuleId, EntityKind, EntityRef, EntityRole,
    IncidentId, KeyKind, KeyToken, RecordRef, RegionCode, RowId, RuleKind, RuleRef, ServiceName,
    TableName, Ticks,
};

use crate::{Change, Found, Input, Outcome, Refusal, State, Summary, Update};

/// 2026-11-02T08:00:00Z.
pub(crate) fn start() -> Ticks {
    Ticks::parse("2026-11-02T08:00:00Z").unwrap()
}

pub(crate) fn at(minutes: i64) -> Ticks {
    Ticks(start().0 + minutes * 60 * PER_SECOND)
}

pub(crate) fn hash(text: &str) -> [u8; 16] {
    let mut state = [0xCBF2_9CE4_8422_2325_u64, 0x9AE1_6A3B_2F90_404F];
    for byte in text.bytes() {
        for word in &mut state {
            *word = (*word ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            *word ^= *word >> 29;
        }
        state[1] = state[1].rotate_left(17);
    }
    let mut out = [0; 16];
    out[..8].copy_from_slice(&state[0].to_be_bytes());
    out[8..].copy_from_slice(&state[1].to_be_bytes());
    out
}

pub(crate) fn key(kind: KeyKind, value: &str) -> KeyToken {
    KeyToken {
        kind,
        token: hash(&format!("{kind}:{value}")),
    }
}

pub(crate) fn id(name: &str) -> AlertId {
    AlertId::from_bytes(hash(&format!("alert:{name}")))
}

pub(crate) fn service(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

/// An alert under construction.
#[derive(Debug, Clone)]
pub(crate) struct Make(pub(crate) AlertDigest);

/// An endpoint alert of medium severity at `minutes`.
pub(crate) fn alert(name: &str, minutes: i64) -> Make {
    Make(AlertDigest {
        id: id(name),
        rule: RuleRef {
            id: DetectionRuleId::new(name).unwrap(),
            version: 1,
            kind: RuleKind::Sigma,
        },
        severity: AlertSeverity::Medium,
        category: "Execution".into(),
        techniques: vec!["T1059".into()],
        service: service("endpoint"),
        origin: RegionCode::new("eu").unwrap(),
        created_at: at(minutes),
        first_at: at(minutes),
        last_at: at(minutes),
        entities: Vec::new(),
        records: Vec::new(),
    })
}

impl Make {
    pub(crate) fn rule(mut self, rule: &str) -> Self {
        self.0.rule.id = DetectionRuleId::new(rule).unwrap();
        self
    }

    pub(crate) fn severity(mut self, severity: AlertSeverity) -> Self {
        self.0.severity = severity;
        self
    }

    pub(crate) fn tactic(mut self, tactic: &str) -> Self {
        self.0.category = tactic.into();
        self
    }

    pub(crate) fn service(mut self, name: &str) -> Self {
        self.0.service = service(name);
        self
    }

    pub(crate) fn origin(mut self, region: &str) -> Self {
        self.0.origin = RegionCode::new(region).unwrap();
        self
    }

    pub(crate) fn table(mut self, table: &str) -> Self {
        self.0.records.push(RecordRef {
            table: TableName::new(table).unwrap(),
            row: RowId::from_bytes([7; 16]),
            at: self.0.first_at,
        });
        self
    }

    pub(crate) fn until(mut self, minutes: i64) -> Self {
        self.0.last_at = at(minutes);
        self
    }

    pub(crate) fn entity(mut self, kind: EntityKind, keys: &[(KeyKind, &str)]) -> Self {
        let mut keys: Vec<KeyToken> = keys.iter().map(|(k, v)| key(*k, v)).collect();
        keys.sort_unstable();
        self.0.entities.push(EntityRef {
            kind,
            role: EntityRole::Impacted,
            keys,
        });
        self
    }

    pub(crate) fn device(self, name: &str) -> Self {
        self.entity(EntityKind::Device, &[(KeyKind::DeviceName, name)])
    }

    pub(crate) fn account(self, name: &str) -> Self {
        self.entity(EntityKind::Account, &[(KeyKind::Address, name)])
    }

    pub(crate) fn process(self, name: &str) -> Self {
        self.entity(EntityKind::Process, &[(KeyKind::Process, name)])
    }

    pub(crate) fn message(self, name: &str) -> Self {
        self.entity(EntityKind::MailMessage, &[(KeyKind::MessageId, name)])
    }

    pub(crate) fn url(self, url: &str) -> Self {
        self.entity(EntityKind::Url, &[(KeyKind::Url, url)])
    }

    pub(crate) fn ip(self, ip: &str) -> Self {
        self.entity(EntityKind::Ip, &[(KeyKind::IpAddress, ip)])
    }

    pub(crate) fn file(self, sha256: &str) -> Self {
        self.entity(EntityKind::File, &[(KeyKind::Sha256, sha256)])
    }

    pub(crate) fn app(self, app: &str) -> Self {
        self.entity(EntityKind::OAuthApp, &[(KeyKind::AppId, app)])
    }
}

pub(crate) const SERVICES: &[&str] = &["email", "endpoint", "identity", "cloud_apps"];

/// A state in which all services share.
pub(crate) fn sharing() -> State {
    let mut state = State::new();
    let mut pairs = Vec::new();
    for a in SERVICES {
        for b in SERVICES {
            pairs.push((service(a), service(b)));
        }
    }
    state.step(Input::Consent(pairs), start()).unwrap();
    state
}

pub(crate) fn give(state: &mut State, alert: &Make) -> Outcome {
    let now = alert.0.last_at;
    state
        .step(Input::NewAlert(Box::new(alert.0.clone())), now)
        .unwrap()
}

pub(crate) fn give_all(state: &mut State, alerts: &[Make]) -> Vec<Outcome> {
    alerts.iter().map(|a| give(state, a)).collect()
}

pub(crate) fn change(
    state: &mut State,
    incident: u64,
    change: Change,
    minutes: i64,
) -> Result<Outcome, Refusal> {
    let input = Input::Analyst {
        who: "an analyst".into(),
        incident: IncidentId(incident),
        change: Box::new(change),
    };
    state.step(input, at(minutes))
}

pub(crate) fn update(state: &mut State, incident: u64, update: Update) -> Result<Outcome, Refusal> {
    change(state, incident, Change::Update(Box::new(update)), 600)
}

pub(crate) fn held(state: &State, incident: u64) -> Summary {
    match state.incident(IncidentId(incident)) {
        Some(Found::Held(summary)) => *summary,
        other => panic!("incident {incident}: {other:?}"),
    }
}

/// The incident number of each alert by name.
pub(crate) fn places(state: &State, names: &[&str]) -> Vec<u64> {
    names
        .iter()
        .map(|name| state.incident_of(id(name)).unwrap().0)
        .collect()
}

/// The incidents' alerts, sorted: the partition, whatever the numbers.
pub(crate) fn partition(state: &State) -> Vec<Vec<AlertId>> {
    let mut parts: Vec<Vec<AlertId>> = state
        .incidents()
        .map(|incident| {
            let mut alerts = incident.alerts;
            alerts.sort_unstable();
            alerts
        })
        .collect();
    parts.sort_unstable();
    parts
}
