//! The one form of an indicator.
//!
//! Two cells that saw the same thing must ask for a token of the same text, however it was written.
//! The forms are version 1 of their classes; a change makes a new version in
//! [`IndicatorClass::label`](model::IndicatorClass::label), never another meaning of the old one.
//!
//! | class | from | form |
//! |---|---|---|
//! | file hash | 64 hex digits of either case | lower case |
//! | external address | IPv4, IPv6, IPv4 inside IPv6, brackets, a port | RFC 5952; IPv4 if it is one |
//! | registrable domain | a name or a URL, IDN, any case, trailing dot | ASCII (punycode), lower case |
//!
//! An address counts as external only if it is globally routed by the registries of RFC 6890: private,
//! shared (CGNAT), loopback, link-local, documentation, benchmark, multicast and reserved ranges, and the
//! tunnels that carry another address, do not. A domain counts only if the public suffix list, which is
//! part of the program, knows its suffix; so `printer.local` and `host.corp` do not.
//!
//! Does not resolve names, and does not know a tenant's own domains (see [`Own`](crate::Own)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use model::{Indicator, IndicatorClass};

/// Bytes of a text in which a name or an address is looked for; longer ones are of nothing.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// The indicator of `text` as this class; nothing if it is not one.
pub fn indicator(class: IndicatorClass, text: &str) -> Option<Indicator> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let canonical = match class {
        IndicatorClass::FileSha256 => sha256(text)?,
        IndicatorClass::ExternalIp => external_ip(text)?.to_string(),
        IndicatorClass::RegistrableDomain => registrable_domain(text)?,
    };
    Some(Indicator {
        class,
        canonical: canonical.into(),
    })
}

fn sha256(text: &str) -> Option<String> {
    let hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| text.to_ascii_lowercase())
}

fn external_ip(text: &str) -> Option<IpAddr> {
    // `203.0.113.9:443`, `[2001:db8::9]:443` and `[2001:db8::9]` are addresses, too.
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let with_port = || text.parse().map(|at: std::net::SocketAddr| at.ip());
    let parsed = bare
        .unwrap_or(text)
        .parse::<IpAddr>()
        .or_else(|_| with_port());
    let address = parsed.ok()?.to_canonical();
    let external = match address {
        IpAddr::V4(v4) => is_external_v4(v4),
        IpAddr::V6(v6) => is_external_v6(v6),
    };
    external.then_some(address)
}

fn is_external_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// Global unicast is 2000::/3, less what is set aside in it.
fn is_external_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let global = a & 0xe000 == 0x2000;
    // Teredo, ORCHID, benchmarks and the like are in 2001::/23; documentation; 6to4; documentation.
    let aside = matches!(
        (a, b),
        (0x2001, ..0x0200 | 0x0db8) | (0x2002, _) | (0x3fff, ..0x1000)
    );
    global && !aside
}

fn registrable_domain(text: &str) -> Option<String> {
    let host = host_of(text)?;
    // As browsers do, but a host name may have `_`; an unknown form is of nothing.
    let ascii = Uts46::new()
        .to_ascii(
            host.as_bytes(),
            AsciiDenyList::URL,
            Hyphens::Allow,
            DnsLength::Ignore,
        )
        .ok()?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    if name.len() > 253
        || name
            .split('.')
            .any(|label| label.is_empty() || label.len() > 63)
    {
        return None;
    }
    if name.parse::<IpAddr>().is_ok() || ends_in_number(name) {
        return None;
    }
    let domain = psl::domain(name.as_bytes())?;
    if !domain.suffix().is_known() {
        return None;
    }
    std::str::from_utf8(domain.as_bytes())
        .ok()
        .map(str::to_owned)
}

/// The host in a URL, or of `host`, `host:port`, `host/path`.
fn host_of(text: &str) -> Option<&str> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => text.strip_prefix("//").unwrap_or(text),
    };
    let authority = rest.split(['/', '\\', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    if host.starts_with('[') {
        return None;
    }
    let host = host.split(':').next()?;
    (!host.is_empty()).then_some(host)
}

fn is_scheme(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic()) && text.bytes().all(word)
}

/// `10.1` and `0x7f.1` are addresses to some programs.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = last
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || last.bytes().all(|b| b.is_ascii_digit())
}
