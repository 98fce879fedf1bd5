//! Functions over IP addresses. A text that is not an address gives null.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use rows::terms::is_term_char;

use super::args::{Arg, Call, Cell};
use super::convert;
use crate::json::Json;

/// An IPv4 address and its prefix length (32 if none was written).
fn parse_v4(text: &str) -> Option<(u32, u32)> {
    let text = text.trim();
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse().ok().filter(|p| *p <= 32)?),
        None => (text, 32),
    };
    Some((u32::from(address.parse::<Ipv4Addr>().ok()?), prefix))
}

fn mask_v4(prefix: u32) -> u32 {
    u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0)
}

/// An IPv6 address, or an IPv4 one mapped into IPv6, and its prefix length.
fn parse_v6(text: &str) -> Option<(u128, u32)> {
    let text = text.trim();
    if let Some((address, prefix)) = parse_v4(text) {
        return Some((
            u128::from(Ipv4Addr::from(address).to_ipv6_mapped()),
            prefix + 96,
        ));
    }
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse().ok().filter(|p| *p <= 128)?)),
        None => (text, None),
    };
    let number = u128::from(address.parse::<Ipv6Addr>().ok()?);
    let (high, low) = (number >> 32, number & u128::from(u32::MAX));
    if address.contains('.') && matches!(high, 0 | 0xffff) {
        // An IPv4 address in IPv6 notation; its prefix counts from where it begins.
        let prefix = prefix.map_or(Some(128), |p: u32| (p <= 32).then_some(p + 96))?;
        return Some((low | 0xffff << 32, prefix));
    }
    Some((number, prefix.unwrap_or(128)))
}

fn mask_v6(prefix: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0)
}

/// How two addresses stand under the smallest prefix named.
fn compare_v4(a: &str, b: &str, prefix: u32) -> Option<std::cmp::Ordering> {
    let ((a, a_prefix), (b, b_prefix)) = (parse_v4(a)?, parse_v4(b)?);
    let mask = mask_v4(a_prefix.min(b_prefix).min(prefix));
    Some((a & mask).cmp(&(b & mask)))
}

fn compare_v6(a: &str, b: &str, prefix: u32) -> Option<std::cmp::Ordering> {
    let ((a, a_prefix), (b, b_prefix)) = (parse_v6(a)?, parse_v6(b)?);
    let mask = mask_v6(a_prefix.min(b_prefix).min(prefix));
    Some((a & mask).cmp(&(b & mask)))
}

fn is_private(address: u32) -> bool {
    Ipv4Addr::from(address).is_private()
}

fn in_range_v4(address: &str, range: &str) -> Option<bool> {
    let ((address, _), (network, prefix)) = (parse_v4(address)?, parse_v4(range)?);
    let mask = mask_v4(prefix);
    Some(address & mask == network & mask)
}

/// The texts of an argument list whose tail is one array or several strings.
fn listed(args: &[Arg], row: usize) -> Vec<String> {
    let mut all = Vec::new();
    for arg in args {
        match arg.json(row) {
            Some(Json::Array(items)) => all.extend(items.iter().map(|item| {
                let mut text = String::new();
                item.display(&mut text);
                text
            })),
            Some(other) => {
                let mut text = String::new();
                other.display(&mut text);
                all.push(text);
            }
            None => {}
        }
    }
    all
}

/// Runs of digits and points that stand alone in a text.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(is_term_char(c) || c == '.'))
        .map(|word| word.trim_matches('.'))
        .filter(|word| word.parse::<Ipv4Addr>().is_ok())
}

fn starts_so(text: &str, prefix: &str) -> bool {
    // A prefix ends at a point or is a whole address.
    addresses(text)
        .any(|found| found == prefix || (prefix.ends_with('.') && found.starts_with(prefix)))
}

/// All eight groups of an address.
fn push_v6(address: u128, out: &mut String) {
    use std::fmt::Write as _;
    for (at, group) in Ipv6Addr::from(address).segments().iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        let _ = write!(out, "{group:04x}");
    }
}

/// The fewest networks that cover the addresses from `first` to `last`.
fn cidr_list(first: u32, last: u32) -> Json {
    let mut networks = Vec::new();
    let mut at = u64::from(first);
    let end = u64::from(last) + 1;
    while at < end {
        let mut bits = at.trailing_zeros().min(32);
        while 1_u64 << bits > end - at {
            bits -= 1;
        }
        let address = u32::try_from(at).map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from);
        networks.push(Json::Text(format!("{address}/{}", 32 - bits)));
        at += 1_u64 << bits;
    }
    Json::Array(networks)
}

/// Networks by prefix length and address, with the numbers of their rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks {
    /// Longest prefix first.
    by_prefix: Vec<(u32, HashMap<u128, Vec<i64>>)>,
}

impl Networks {
    pub(crate) fn new(texts: &[String]) -> Self {
        let mut found: BTreeMap<u32, HashMap<u128, Vec<i64>>> = BTreeMap::new();
        for (number, text) in (0_i64..).zip(texts) {
            if let Some((address, prefix)) = parse_v6(text) {
                let networks = found.entry(prefix).or_default();
                networks
                    .entry(address & mask_v6(prefix))
                    .or_default()
                    .push(number);
            }
        }
        Self {
            by_prefix: found.into_iter().rev().collect(),
        }
    }

    pub(crate) fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let address = call.arg(0)?;
        call.dynamics(|row| {
            let (address, _) = parse_v6(address.text(row))?;
            let numbers = self
                .by_prefix
                .iter()
                .find_map(|(prefix, networks)| networks.get(&(address & mask_v6(*prefix))))?;
            Some(Json::Array(
                numbers.iter().map(|n| Json::Long(*n)).collect(),
            ))
        })
    }
}

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    let rest = call.args.get(1..).unwrap_or_default();
    let prefix = |row: usize, most: u32| match call.optional(2) {
        None => Some(most),
        Some(arg) => u32::try_from(arg.long(row)?).ok().filter(|p| *p <= most),
    };
    match function {
        F::Ipv4RangeToCidrList => {
            let b = call.arg(1)?;
            call.dynamics(|row| {
                let (first, last) = (parse_v4(a.text(row))?.0, parse_v4(b.text(row))?.0);
                Some(cidr_list(first, last))
            })
        }
        F::Ipv6IsInAnyRange => call.bools(|row| {
            let address = parse_v6(a.text(row))?.0;
            let ranges = listed(rest, row);
            let mut all = ranges.iter().filter_map(|range| parse_v6(range));
            Some(
                all.any(|(network, prefix)| address & mask_v6(prefix) == network & mask_v6(prefix)),
            )
        }),
        F::ParseIpv6Mask => {
            let b = call.arg(1)?;
            call.texts(|row, out| {
                let prefix = b.long(row).and_then(|p| u32::try_from(p).ok());
                if let (Some((address, own)), Some(prefix)) = (parse_v6(a.text(row)), prefix) {
                    let masked = address & mask_v6(prefix.min(own));
                    push_v6(masked, out);
                }
            })
        }
        F::ParseIpv4 => call.longs(|row| {
            let (address, prefix) = parse_v4(a.text(row))?;
            Some(i64::from(address & mask_v4(prefix)))
        }),
        F::ParseIpv4Mask => {
            let b = call.arg(1)?;
            call.longs(|row| {
                let (address, own) = parse_v4(a.text(row))?;
                let prefix = u32::try_from(b.long(row)?).ok().filter(|p| *p <= 32)?;
                Some(i64::from(address & mask_v4(prefix.min(own))))
            })
        }
        F::ParseIpv6 => call.texts(|row, out| {
            if let Some((address, prefix)) = parse_v6(a.text(row)) {
                let address = Ipv6Addr::from(address & mask_v6(prefix));
                let parts: Vec<String> = address
                    .segments()
                    .iter()
                    .map(|s| format!("{s:04x}"))
                    .collect();
                out.push_str(&parts.join(":"));
            }
        }),
        F::FormatIpv4 | F::FormatIpv4Mask => format_v4(function, call),
        F::Ipv4IsPrivate => call.bools(|row| {
            let (address, prefix) = parse_v4(a.text(row))?;
            Some(is_private(address & mask_v4(prefix)))
        }),
        F::Ipv4IsInRange => {
            let b = call.arg(1)?;
            call.bools(|row| in_range_v4(a.text(row), b.text(row)))
        }
        F::Ipv4IsInAnyRange => call.bools(|row| {
            parse_v4(a.text(row))?;
            let ranges = listed(rest, row);
            Some(
                ranges
                    .iter()
                    .any(|range| in_range_v4(a.text(row), range) == Some(true)),
            )
        }),
        F::Ipv4IsMatch => {
            let b = call.arg(1)?;
            call.bools(|row| Some(compare_v4(a.text(row), b.text(row), prefix(row, 32)?)?.is_eq()))
        }
        F::Ipv4Compare => {
            let b = call.arg(1)?;
            call.longs(|row| Some(compare_v4(a.text(row), b.text(row), prefix(row, 32)?)? as i64))
        }
        F::Ipv4NetmaskSuffix => call.longs(|row| Some(i64::from(parse_v4(a.text(row))?.1))),
        F::Ipv6IsMatch => {
            let b = call.arg(1)?;
            call.bools(|row| Some(compare_v6(a.text(row), b.text(row), prefix(row, 128)?)?.is_eq()))
        }
        F::Ipv6Compare => {
            let b = call.arg(1)?;
            call.longs(|row| Some(compare_v6(a.text(row), b.text(row), prefix(row, 128)?)? as i64))
        }
        F::Ipv6IsInRange => {
            let b = call.arg(1)?;
            call.bools(|row| {
                let ((address, _), (network, prefix)) =
                    (parse_v6(a.text(row))?, parse_v6(b.text(row))?);
                Some(address & mask_v6(prefix) == network & mask_v6(prefix))
            })
        }
        F::HasIpv4 | F::HasAnyIpv4 => call.bools(|row| {
            let wanted = listed(rest, row);
            let text = super::text::shown(a, row);
            Some(addresses(&text).any(|found| wanted.iter().any(|w| w == found)))
        }),
        F::HasIpv4Prefix | F::HasAnyIpv4Prefix => call.bools(|row| {
            let wanted = listed(rest, row);
            let text = super::text::shown(a, row);
            Some(wanted.iter().any(|prefix| starts_so(&text, prefix)))
        }),
        other => exec_err!("`{}` is not a function over addresses", other.as_str()),
    }
}

fn format_v4(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let (a, b) = (call.arg(0)?, call.optional(1));
    let form = |row: usize| {
        let (address, own) = match a.cell(row) {
            Cell::Long(n) => (u32::try_from(n).ok()?, 32),
            Cell::Text(text) => parse_v4(text)?,
            Cell::Dynamic(text) => match Json::of_column(text) {
                Json::Long(n) => (u32::try_from(n).ok()?, 32),
                Json::Text(text) => parse_v4(&text)?,
                _ => return None,
            },
            Cell::Real(x) => (u32::try_from(convert::long_of_real(x)?).ok()?, 32),
            _ => return None,
        };
        let prefix = match b {
            Some(b) => u32::try_from(b.long(row)?).ok().filter(|p| *p <= 32)?,
            None => own,
        };
        let prefix = prefix.min(own);
        let network = Ipv4Addr::from(address & mask_v4(prefix));
        Some(if function == F::FormatIpv4Mask {
            format!("{network}/{prefix}")
        } else {
            network.to_string()
        })
    };
    call.texts(|row, out| {
        if let Some(text) = form(row) {
            out.push_str(&text);
        }
    })
}
