//! Canonical forms of entity keys (`docs/reference/entities.md`), and what is nothing to join by.
//!
//! Each function gives `None` for a value that is not of its kind, or that so many unrelated things
//! share that alerts must not meet in it: built-in accounts, machine accounts, loopback.

use std::net::{IpAddr, Ipv4Addr};

use model::{EntityKey, KeyKind, Ticks, limits};

/// A key, unless its value is empty or so long that it would have to be cut.
pub(crate) fn key(kind: KeyKind, value: String) -> Option<EntityKey> {
    let fits = !value.is_empty() && value.len() <= limits::ALERT_VALUE_BYTES_MAX;
    fits.then_some(EntityKey { kind, value })
}

/// A device's id as its source gives it, lower case.
pub(crate) fn device_id(text: &str) -> Option<EntityKey> {
    key(KeyKind::DeviceId, text.trim().to_lowercase())
}

/// A device's name, lower case.
pub(crate) fn device_name(text: &str) -> Option<EntityKey> {
    let name = text.trim().trim_end_matches('.').to_lowercase();
    let is_name = name != "localhost" && name != "-" && name.parse::<IpAddr>().is_err();
    is_name.then(|| key(KeyKind::DeviceName, name))?
}

/// A sign-in name or mail address, lower case.
pub(crate) fn address(text: &str) -> Option<EntityKey> {
    let text = text.trim().trim_matches(['<', '>']).to_lowercase();
    let (local, domain) = text.rsplit_once('@')?;
    let whole = !local.is_empty() && domain.contains('.') && !text.contains(char::is_whitespace);
    whole.then(|| key(KeyKind::Address, text.clone()))?
}

/// A Windows security identifier, upper case; not those that every machine has.
pub(crate) fn sid(text: &str) -> Option<EntityKey> {
    let sid = text.trim().to_ascii_uppercase();
    let mut parts = sid.split('-');
    let shaped = parts.next() == Some("S")
        && parts.next() == Some("1")
        && sid.len() > 6
        && parts.all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    // Accounts of domains and machines, and of the cloud directory; all others are built in.
    let personal = sid.starts_with("S-1-5-21-") || sid.starts_with("S-1-12-1-");
    (shaped && personal).then(|| key(KeyKind::AccountSid, sid.clone()))?
}

/// The directory's object id: a GUID, lower case.
pub(crate) fn object_id(text: &str) -> Option<EntityKey> {
    guid(text).and_then(|id| key(KeyKind::AccountObjectId, id))
}

/// An application's id: a GUID, lower case.
pub(crate) fn app_id(text: &str) -> Option<EntityKey> {
    guid(text).and_then(|id| key(KeyKind::AppId, id))
}

fn guid(text: &str) -> Option<String> {
    let id = text.trim().trim_matches(['{', '}']).to_ascii_lowercase();
    let lengths = id.split('-').map(str::len);
    let shaped =
        lengths.eq([8, 4, 4, 4, 12]) && id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    let said = id.bytes().any(|b| b != b'0' && b != b'-');
    (shaped && said).then_some(id)
}

/// `domain\name`, lower case, the domain by its first label.
pub(crate) fn account_name(domain: &str, name: &str) -> Option<EntityKey> {
    let domain = domain.trim().to_lowercase();
    let short = domain.split('.').next().unwrap_or_default();
    let name = name.trim().to_lowercase();
    if short.is_empty() || short == "-" || is_well_known(&domain, &name) {
        return None;
    }
    key(KeyKind::AccountName, format!("{short}\\{name}"))
}

/// Whether an account is the machine's own or built in.
pub(crate) fn is_well_known(domain: &str, name: &str) -> bool {
    const DOMAINS: &[&str] = &[
        "nt authority",
        "nt service",
        "window manager",
        "font driver host",
        "nt virtual machine",
        "iis apppool",
        "builtin",
    ];
    const NAMES: &[&str] = &[
        "",
        "-",
        "system",
        "local service",
        "localservice",
        "network service",
        "networkservice",
        "anonymous logon",
        "anonymous",
        "iusr",
        "root",
        "nobody",
    ];
    let (domain, name) = (domain.to_lowercase(), name.to_lowercase());
    let is_numbered = |prefix| {
        let number = name.strip_prefix(prefix);
        number.is_some_and(|n: &str| n.bytes().all(|b| b.is_ascii_digit()))
    };
    name.ends_with('$')
        || DOMAINS.contains(&domain.as_str())
        || NAMES.contains(&name.as_str())
        || is_numbered("dwm-")
        || is_numbered("umfd-")
}

/// One run of a program: the device, the process id, and when it started.
pub(crate) fn process(device: &str, id: i64, started: Option<Ticks>) -> Option<EntityKey> {
    let started = started.filter(|t| *t > Ticks::MIN)?;
    let device = device.trim().to_lowercase();
    // Ids 0 and 4 are the system's own on every machine.
    let told_apart = !device.is_empty() && id != 0 && id != 4;
    told_apart.then(|| key(KeyKind::Process, format!("{device}|{id}|{started}")))?
}

/// Whether a program runs from the machine's start or a person's sign-in to the end, or works for
/// whoever calls it: whatever happens on the machine goes through it, so that it names no single run.
/// By name alone: the caller looks where it lies.
pub(crate) fn is_resident(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "csrss.exe",
        "ctfmon.exe",
        "dwm.exe",
        "explorer.exe",
        "fontdrvhost.exe",
        "init",
        "launchd",
        "lsaiso.exe",
        "lsass.exe",
        "ntoskrnl.exe",
        "services.exe",
        "sihost.exe",
        "smss.exe",
        "spoolsv.exe",
        "svchost.exe",
        "system",
        "systemd",
        "taskeng.exe",
        "taskhostw.exe",
        "wininit.exe",
        "winlogon.exe",
        "wmiprvse.exe",
    ];
    NAMES.binary_search(&name.to_lowercase().as_str()).is_ok()
}

/// A SHA-256, lower case; not that of the empty file.
pub(crate) fn sha256(text: &str) -> Option<EntityKey> {
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    hash(text, 64)
        .filter(|h| h != EMPTY)
        .and_then(|h| key(KeyKind::Sha256, h))
}

/// A SHA-1, lower case; not that of the empty file.
pub(crate) fn sha1(text: &str) -> Option<EntityKey> {
    const EMPTY: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    hash(text, 40)
        .filter(|h| h != EMPTY)
        .and_then(|h| key(KeyKind::Sha1, h))
}

fn hash(text: &str, length: usize) -> Option<String> {
    let hash = text.trim().to_ascii_lowercase();
    let shaped = hash.len() == length && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let said = hash.bytes().any(|b| b != b'0');
    (shaped && said).then_some(hash)
}

/// An address in its shortest form, without port and zone.
pub(crate) fn ip(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').split(['%', ']']).next()?;
    let parsed = bare.parse::<IpAddr>().ok().or_else(|| {
        let (host, port) = bare.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    })?;
    Some(match parsed {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(parsed, IpAddr::V4),
        IpAddr::V4(_) => parsed,
    })
}

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// No machine in particular: loopback, unspecified, broadcast, multicast, link-local.
    Nowhere,
    /// A network of the tenant's own.
    Private,
    /// The internet.
    Public,
}

pub(crate) fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second);
            if v4.is_loopback()
                || first == 0
                || first >= 240
                || v4.is_multicast()
                || v4.is_link_local()
            {
                Reach::Nowhere
            } else if v4.is_private() || shared {
                Reach::Private
            } else {
                Reach::Public
            }
        }
        IpAddr::V6(v6) => {
            if v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
            {
                Reach::Nowhere
            } else if v6.is_unique_local() {
                Reach::Private
            } else {
                Reach::Public
            }
        }
    }
}

/// The key of an address that reaches some machine.
pub(crate) fn ip_key(ip: IpAddr) -> Option<EntityKey> {
    (reach(ip) != Reach::Nowhere).then(|| key(KeyKind::IpAddress, ip.to_string()))?
}

/// A whole link: scheme and host in lower case, no default port, no fragment, no user part.
pub(crate) fn url(text: &str) -> Option<EntityKey> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.split('#').next().unwrap_or_default();
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(at)?;
    let host = host_of(authority);
    let default = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let host = host.strip_suffix(default).unwrap_or(&host);
    let path = if path.is_empty() { "/" } else { path };
    let whole = !host.is_empty();
    whole.then(|| key(KeyKind::Url, format!("{scheme}://{host}{path}")))?
}

/// The host name of a link, or a host name alone, lower case.
pub(crate) fn domain(text: &str) -> Option<EntityKey> {
    let rest = text.trim();
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host_of(authority);
    let host = host
        .split(':')
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let is_name = host.contains('.')
        && host.parse::<IpAddr>().is_err()
        && !host.starts_with('[')
        && host
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    is_name.then(|| key(KeyKind::Domain, host.to_owned()))?
}

fn host_of(authority: &str) -> String {
    let host = authority.rsplit('@').next().unwrap_or(authority);
    host.to_lowercase()
}

/// A network message id: a GUID, lower case.
pub(crate) fn message_id(text: &str) -> Option<EntityKey> {
    guid(text).and_then(|id| key(KeyKind::MessageId, id))
}

/// A cloud session.
pub(crate) fn session(text: &str) -> Option<EntityKey> {
    guid(text).and_then(|id| key(KeyKind::Session, id))
}

/// A logon session of a device; not those that every machine has from its start.
pub(crate) fn logon(device: &str, id: i64) -> Option<EntityKey> {
    const BUILT_IN: &[i64] = &[0, 0x3e3, 0x3e4, 0x3e5, 0x3e7];
    let device = device.trim().to_lowercase();
    let told_apart = !device.is_empty() && !BUILT_IN.contains(&id);
    told_apart.then(|| key(KeyKind::Session, format!("{device}|{id:x}")))?
}

/// A registry value of a device.
pub(crate) fn registry(device: &str, key_path: &str, value: &str) -> Option<EntityKey> {
    let parts = [device.trim(), key_path.trim(), value.trim()];
    let told_apart = parts.iter().take(2).all(|p| !p.is_empty());
    told_apart.then(|| key(KeyKind::Registry, parts.join("|").to_lowercase()))?
}

/// A cloud resource's id, lower case.
pub(crate) fn resource(text: &str) -> Option<EntityKey> {
    key(KeyKind::ResourceId, text.trim().to_lowercase())
}
