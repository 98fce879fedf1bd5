//! What a credential was minted for: permissions, sources, tables, message content.
//!
//! Device groups come with the portal; a scope without them means all devices.

use std::collections::BTreeSet;
use std::fmt;

use model::{SourceId, TableName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing a credential may be minted for. What each allows is written in the policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Send records.
    Ingest,
    /// Read rows.
    Hunt,
    /// Read settings, sources and counts.
    Read,
    /// Change settings; manage tokens and sources.
    Administer,
    /// Read where data rests and why.
    Residency,
    /// Run the cell. Only operator credentials have it.
    Operator,
    /// Read alerts and incidents and work on them.
    Incidents,
    /// Read and change detection rules.
    Rules,
}

impl Permission {
    /// All of them, in the order they are printed.
    pub const ALL: [Self; 8] = [
        Self::Ingest,
        Self::Hunt,
        Self::Incidents,
        Self::Rules,
        Self::Read,
        Self::Administer,
        Self::Residency,
        Self::Operator,
    ];

    /// The name in tokens, on the command line and in the policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Hunt => "hunt",
            Self::Read => "read",
            Self::Administer => "administer",
            Self::Residency => "residency",
            Self::Operator => "operator",
            Self::Incidents => "incidents",
            Self::Rules => "rules",
        }
    }

    /// The permission of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == name)
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of permissions. Serialised as a list of names.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u16);

impl Permissions {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// Every permission but the operator's: what a tenant's own token may hold at most.
    pub const TENANT: Self = Self(Self::ALL.0 & !Permission::Operator.bit());
    /// Every permission.
    pub const ALL: Self = Self((1 << Permission::ALL.len()) - 1);

    /// The set of one.
    pub const fn only(permission: Permission) -> Self {
        Self(permission.bit())
    }

    /// The set with `permission` too.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | permission.bit())
    }

    /// Whether `permission` is in the set.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether everything in `other` is in this set.
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The permissions in printing order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .into_iter()
            .filter(move |p| self.contains(*p))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(all: I) -> Self {
        all.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Vec::<Permission>::deserialize(d)?.into_iter().collect())
    }
}

/// Everything, or only what is named.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only<T: Ord> {
    /// No restriction, things of the future included.
    #[default]
    All,
    /// These and no others.
    These(BTreeSet<T>),
}

impl<T: Ord> Only<T> {
    /// Only this one.
    pub fn one(item: T) -> Self {
        Self::These(BTreeSet::from([item]))
    }

    /// Whether `item` is inside.
    pub fn allows(&self, item: &T) -> bool {
        match self {
            Self::All => true,
            Self::These(set) => set.contains(item),
        }
    }

    /// Whether everything that `other` allows is inside.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::These(_), Self::All) => false,
            (Self::These(mine), Self::These(theirs)) => theirs.is_subset(mine),
        }
    }
}

/// What a credential was minted for. The tenant is the actor's, in one place only.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// What it may be used for.
    pub permissions: Permissions,
    /// Which sources it may send as or see the settings of.
    pub sources: Only<SourceId>,
    /// Which tables it may read or write.
    pub tables: Only<TableName>,
    /// Whether it may read what messages say, not only that they were sent. Reserved: no table has the
    /// text of a message yet, and subjects are columns like any other.
    pub message_content: bool,
}

impl Scope {
    /// All sources and tables, no message content.
    pub fn of(permissions: Permissions) -> Self {
        Self {
            permissions,
            ..Self::default()
        }
    }

    /// The same for one source only, as a sender's token.
    #[must_use]
    pub fn for_source(mut self, source: SourceId) -> Self {
        self.sources = Only::one(source);
        self
    }

    /// Whether `other` gives nothing that this scope lacks: a token may mint no more than it holds.
    pub fn covers(&self, other: &Self) -> bool {
        self.permissions.covers(other.permissions)
            && self.sources.covers(&other.sources)
            && self.tables.covers(&other.tables)
            && (self.message_content || !other.message_content)
    }
}
