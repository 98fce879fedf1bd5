//! Incidents: the words that analysts, rows and answers use for them.
//!
//! How alerts become incidents is the business of the crate `incident`; this is the vocabulary.

use serde::{Deserialize, Serialize};

use crate::alert::named;

/// An incident of a tenant: counts from 1, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub u64);

impl std::fmt::Display for IncidentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for IncidentId {
    type Err = crate::ids::BadId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || crate::ids::BadId {
            what: "incident id",
            text: text.chars().take(80).collect(),
        };
        let number: u64 = text.parse().map_err(|_| bad())?;
        if number == 0 {
            return Err(bad());
        }
        Ok(Self(number))
    }
}

named! {
    /// Where work on an incident stands.
    IncidentStatus {
        /// Nobody has taken it yet.
        Active = "active",
        /// Somebody works on it.
        InProgress = "inProgress",
        /// Done; no alert joins it any more.
        Resolved = "resolved",
        /// Merged into another one.
        Redirected = "redirected",
    }
}

named! {
    /// What an incident turned out to be.
    Classification {
        /// Not said.
        Unknown = "unknown",
        /// An attack.
        TruePositive = "truePositive",
        /// What it looked like, but allowed.
        InformationalExpectedActivity = "informationalExpectedActivity",
        /// Not what it looked like.
        FalsePositive = "falsePositive",
    }
}

named! {
    /// What kind of it; each belongs to one classification, see [`Determination::classification`].
    Determination {
        /// Not said.
        Unknown = "unknown",
        /// An attack in several stages.
        MultiStagedAttack = "multiStagedAttack",
        /// A person's account misused.
        MaliciousUserActivity = "maliciousUserActivity",
        /// An account taken over.
        CompromisedAccount = "compromisedAccount",
        /// Harmful software.
        Malware = "malware",
        /// Phishing.
        Phishing = "phishing",
        /// Software nobody wanted.
        UnwantedSoftware = "unwantedSoftware",
        /// A test or exercise.
        SecurityTesting = "securityTesting",
        /// A business application.
        LineOfBusinessApplication = "lineOfBusinessApplication",
        /// Something a person did on purpose and was allowed to.
        ConfirmedUserActivity = "confirmedUserActivity",
        /// Clean after all.
        NotMalicious = "notMalicious",
        /// Too little to tell.
        NotEnoughDataToValidate = "notEnoughDataToValidate",
        /// Something else.
        Other = "other",
    }
}

impl Determination {
    /// The classification that it needs; nothing for those that go with any.
    pub const fn classification(self) -> Option<Classification> {
        match self {
            Self::Unknown | Self::Other => None,
            Self::MultiStagedAttack
            | Self::MaliciousUserActivity
            | Self::CompromisedAccount
            | Self::Malware
            | Self::Phishing
            | Self::UnwantedSoftware => Some(Classification::TruePositive),
            Self::SecurityTesting
            | Self::LineOfBusinessApplication
            | Self::ConfirmedUserActivity => Some(Classification::InformationalExpectedActivity),
            Self::NotMalicious | Self::NotEnoughDataToValidate => {
                Some(Classification::FalsePositive)
            }
        }
    }
}
