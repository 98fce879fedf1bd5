//! How much a shared key says, by its kind.
//!
//! The table here is the method's heart and is plain data: a class (keys of one class are one piece of
//! evidence), a strength in thousandths of what is needed to join, two times between which the strength
//! fades to nothing, and the number of places up to which a key is not yet called common.
//!
//! Does not know the alerts: [`crate::weigh`] adds up.

use model::KeyKind;
use model::ticks::PER_SECOND;

/// Thousandths of a weight that two alerts need to be one incident's.
pub const JOIN_WEIGHT: u32 = 1_000;

const MINUTE: i64 = 60 * PER_SECOND;
const HOUR: i64 = 60 * MINUTE;

/// What a key is evidence of. Two shared keys of one class (a sign-in name and a SID of one person)
/// are the same evidence and count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    Account,
    Device,
    Process,
    Session,
    Message,
    File,
    Network,
    Web,
    App,
    Registry,
    Resource,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strength {
    pub(crate) class: Class,
    /// Thousandths of a weight at full strength.
    pub(crate) weight: u32,
    /// Ticks between two alerts up to which the key has its full strength.
    pub(crate) near: i64,
    /// Ticks between two alerts from which on it has none.
    pub(crate) far: i64,
    /// Places up to which the key is not common.
    pub(crate) places: u32,
    /// Causal keys name one run, one logon or one message; a rule that fires everywhere is no reason
    /// to doubt them.
    pub(crate) causal: bool,
}

const fn row(class: Class, weight: u32, near: i64, far: i64, places: u32) -> Strength {
    Strength {
        class,
        weight,
        near,
        far,
        places,
        causal: matches!(class, Class::Process | Class::Session | Class::Message),
    }
}

/// The strength of a key of this kind.
pub(crate) const fn of(kind: KeyKind) -> Strength {
    match kind {
        KeyKind::Process => row(Class::Process, 3_000, 72 * HOUR, 96 * HOUR, 6),
        // A session is a working day of somebody on a machine: harmless things share it, too.
        KeyKind::Session => row(Class::Session, 1_800, HOUR, 6 * HOUR, 6),
        KeyKind::MessageId => row(Class::Message, 3_000, 72 * HOUR, 96 * HOUR, 20),
        // A link says that the same thing was fetched, which people of one house do: it needs a second
        // sign.
        KeyKind::Url => row(Class::Web, 900, 24 * HOUR, 72 * HOUR, 20),
        KeyKind::Domain => row(Class::Web, 900, 2 * HOUR, 24 * HOUR, 5),
        KeyKind::DeviceId | KeyKind::DeviceName => {
            row(Class::Device, 1_400, 30 * MINUTE, 2 * HOUR, 3)
        }
        KeyKind::Address
        | KeyKind::AccountSid
        | KeyKind::AccountObjectId
        | KeyKind::AccountName => row(Class::Account, 1_400, 30 * MINUTE, 2 * HOUR, 2),
        KeyKind::Sha256 | KeyKind::Sha1 => row(Class::File, 800, 2 * HOUR, 24 * HOUR, 3),
        KeyKind::IpAddress => row(Class::Network, 1_100, HOUR, 4 * HOUR, 3),
        KeyKind::AppId => row(Class::App, 1_200, 2 * HOUR, 24 * HOUR, 5),
        KeyKind::Registry => row(Class::Registry, 900, 30 * MINUTE, 2 * HOUR, 3),
        KeyKind::ResourceId => row(Class::Resource, 1_200, 2 * HOUR, 24 * HOUR, 5),
    }
}

/// Values that identify nobody, in canonical form. Whoever holds the link secret computes their
/// tokens and hands them in ([`crate::Input::Noise`]); such keys join nothing.
pub const WELL_KNOWN: &[(KeyKind, &str)] = &[
    (KeyKind::AccountSid, "S-1-0-0"),
    (KeyKind::AccountSid, "S-1-1-0"),
    (KeyKind::AccountSid, "S-1-5-7"),
    (KeyKind::AccountSid, "S-1-5-11"),
    (KeyKind::AccountSid, "S-1-5-18"),
    (KeyKind::AccountSid, "S-1-5-19"),
    (KeyKind::AccountSid, "S-1-5-20"),
    (KeyKind::AccountSid, "S-1-5-32-544"),
    (KeyKind::AccountSid, "S-1-5-32-545"),
    (KeyKind::AccountName, "nt authority\\system"),
    (KeyKind::AccountName, "nt authority\\local service"),
    (KeyKind::AccountName, "nt authority\\network service"),
    (KeyKind::AccountName, "nt authority\\anonymous logon"),
    (KeyKind::AccountName, "nt-autorit\u{e4}t\\system"),
    (KeyKind::AccountName, "autorite nt\\system"),
    (KeyKind::AccountName, "system"),
    (KeyKind::AccountName, "local service"),
    (KeyKind::AccountName, "network service"),
    (KeyKind::AccountName, "anonymous logon"),
    (KeyKind::AccountName, "root"),
    (KeyKind::AccountName, "-"),
    (
        KeyKind::AccountObjectId,
        "00000000-0000-0000-0000-000000000000",
    ),
    (KeyKind::AppId, "00000000-0000-0000-0000-000000000000"),
    (KeyKind::DeviceName, "localhost"),
    (KeyKind::DeviceName, "-"),
    (KeyKind::Domain, "localhost"),
    (KeyKind::IpAddress, "0.0.0.0"),
    (KeyKind::IpAddress, "127.0.0.1"),
    (KeyKind::IpAddress, "255.255.255.255"),
    (KeyKind::IpAddress, "::"),
    (KeyKind::IpAddress, "::1"),
    (
        KeyKind::Sha256,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ),
    (KeyKind::Sha1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
];
