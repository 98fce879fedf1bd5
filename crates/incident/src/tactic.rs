//! The kill chain: ATT&CK's tactics in the order in which an intrusion usually passes them.
//!
//! Reads names as rules and products write them (`InitialAccess`, `initial-access`, `Initial access`).
//! Does not guess a tactic from a technique.

use serde::{Deserialize, Serialize};

/// A tactic. The order of the variants is the order of the chain; those of one [`Tactic::rank`] are
/// the same step of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tactic {
    /// Looking around from outside.
    Reconnaissance,
    /// Getting tools and places ready.
    ResourceDevelopment,
    /// Getting in.
    InitialAccess,
    /// Running something.
    Execution,
    /// Staying.
    Persistence,
    /// Gaining rights.
    PrivilegeEscalation,
    /// Not being noticed, as ATT&CK called it until version 18.
    DefenseEvasion,
    /// Not being noticed.
    Stealth,
    /// Breaking what would notice.
    DefenseImpairment,
    /// Stealing credentials.
    CredentialAccess,
    /// Looking around from inside.
    Discovery,
    /// Moving to other machines.
    LateralMovement,
    /// Gathering what is wanted.
    Collection,
    /// Being steered from outside.
    CommandAndControl,
    /// Taking it away.
    Exfiltration,
    /// Breaking things.
    Impact,
}

impl Tactic {
    /// Every tactic, in the chain's order.
    pub const ALL: &'static [Self] = &[
        Self::Reconnaissance,
        Self::ResourceDevelopment,
        Self::InitialAccess,
        Self::Execution,
        Self::Persistence,
        Self::PrivilegeEscalation,
        Self::DefenseEvasion,
        Self::Stealth,
        Self::DefenseImpairment,
        Self::CredentialAccess,
        Self::Discovery,
        Self::LateralMovement,
        Self::Collection,
        Self::CommandAndControl,
        Self::Exfiltration,
        Self::Impact,
    ];

    /// The name as `AlertInfo.Category` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reconnaissance => "Reconnaissance",
            Self::ResourceDevelopment => "ResourceDevelopment",
            Self::InitialAccess => "InitialAccess",
            Self::Execution => "Execution",
            Self::Persistence => "Persistence",
            Self::PrivilegeEscalation => "PrivilegeEscalation",
            Self::DefenseEvasion => "DefenseEvasion",
            Self::Stealth => "Stealth",
            Self::DefenseImpairment => "DefenseImpairment",
            Self::CredentialAccess => "CredentialAccess",
            Self::Discovery => "Discovery",
            Self::LateralMovement => "LateralMovement",
            Self::Collection => "Collection",
            Self::CommandAndControl => "CommandAndControl",
            Self::Exfiltration => "Exfiltration",
            Self::Impact => "Impact",
        }
    }

    /// The name in a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Reconnaissance => "reconnaissance",
            Self::ResourceDevelopment => "resource development",
            Self::InitialAccess => "initial access",
            Self::Execution => "execution",
            Self::Persistence => "persistence",
            Self::PrivilegeEscalation => "privilege escalation",
            Self::DefenseEvasion => "defense evasion",
            Self::Stealth => "stealth",
            Self::DefenseImpairment => "defense impairment",
            Self::CredentialAccess => "credential access",
            Self::Discovery => "discovery",
            Self::LateralMovement => "lateral movement",
            Self::Collection => "collection",
            Self::CommandAndControl => "command and control",
            Self::Exfiltration => "exfiltration",
            Self::Impact => "impact",
        }
    }

    /// The step of the chain, from 0.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Reconnaissance => 0,
            Self::ResourceDevelopment => 1,
            Self::InitialAccess => 2,
            Self::Execution => 3,
            Self::Persistence => 4,
            Self::PrivilegeEscalation => 5,
            Self::DefenseEvasion | Self::Stealth | Self::DefenseImpairment => 6,
            Self::CredentialAccess => 7,
            Self::Discovery => 8,
            Self::LateralMovement => 9,
            Self::Collection => 10,
            Self::CommandAndControl => 11,
            Self::Exfiltration => 12,
            Self::Impact => 13,
        }
    }

    /// The tactic of this name; letters alone count, upper and lower case alike. Products have
    /// categories that are no tactic (`Malware`, `SuspiciousActivity`): those are `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let letters = |t: &str| -> String {
            t.chars()
                .filter(char::is_ascii_alphabetic)
                .map(|c| c.to_ascii_lowercase())
                .collect()
        };
        let wanted = letters(text);
        Self::ALL
            .iter()
            .copied()
            .find(|tactic| letters(tactic.as_str()) == wanted)
    }
}

impl std::fmt::Display for Tactic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
