//! Different spellings meet; what is not of the outside is nothing.

use model::IndicatorClass::{self, ExternalIp, FileSha256, RegistrableDomain};
use proptest::prelude::*;

use crate::canonical::indicator;

fn form(class: IndicatorClass, text: &str) -> Option<String> {
    indicator(class, text).map(|found| found.canonical.into())
}

#[test]
fn hashes_meet_whatever_their_case() {
    let lower = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let upper = lower.to_uppercase();
    for text in [lower, &upper, &format!("  {upper}\n")] {
        assert_eq!(form(FileSha256, text).as_deref(), Some(lower));
    }
    let (short, long) = (lower.get(1..).unwrap(), format!("{lower}0"));
    for text in [short, &long, &lower.replace('e', "g"), "", "n/a"] {
        assert_eq!(form(FileSha256, text), None, "{text}");
    }
}

#[test]
fn addresses_meet_whatever_their_form() {
    for text in [
        "93.184.216.34",
        " 93.184.216.34 ",
        "93.184.216.34:443",
        "::ffff:93.184.216.34",
        "::FFFF:5DB8:D822",
        "[::ffff:93.184.216.34]:443",
        "0:0:0:0:0:ffff:93.184.216.34",
    ] {
        assert_eq!(
            form(ExternalIp, text).as_deref(),
            Some("93.184.216.34"),
            "{text}"
        );
    }
    for text in [
        "2606:2800:220:1::1946",
        "2606:2800:0220:0001:0000:0000:0000:1946",
        "[2606:2800:220:1:0::1946]",
    ] {
        assert_eq!(
            form(ExternalIp, text).as_deref(),
            Some("2606:2800:220:1::1946"),
            "{text}"
        );
    }
}

/// The first and the last of each range that is set aside, and its outer neighbours.
const ASIDE: &[(&str, &str, Option<&str>, Option<&str>)] = &[
    ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
    (
        "10.0.0.0",
        "10.255.255.255",
        Some("9.255.255.255"),
        Some("11.0.0.0"),
    ),
    (
        "100.64.0.0",
        "100.127.255.255",
        Some("100.63.255.255"),
        Some("100.128.0.0"),
    ),
    (
        "127.0.0.0",
        "127.255.255.255",
        Some("126.255.255.255"),
        Some("128.0.0.0"),
    ),
    (
        "169.254.0.0",
        "169.254.255.255",
        Some("169.253.255.255"),
        Some("169.255.0.0"),
    ),
    (
        "172.16.0.0",
        "172.31.255.255",
        Some("172.15.255.255"),
        Some("172.32.0.0"),
    ),
    (
        "192.0.0.0",
        "192.0.0.255",
        Some("191.255.255.255"),
        Some("192.0.1.0"),
    ),
    (
        "192.0.2.0",
        "192.0.2.255",
        Some("192.0.1.255"),
        Some("192.0.3.0"),
    ),
    (
        "192.88.99.0",
        "192.88.99.255",
        Some("192.88.98.255"),
        Some("192.88.100.0"),
    ),
    (
        "192.168.0.0",
        "192.168.255.255",
        Some("192.167.255.255"),
        Some("192.169.0.0"),
    ),
    (
        "198.18.0.0",
        "198.19.255.255",
        Some("198.17.255.255"),
        Some("198.20.0.0"),
    ),
    (
        "198.51.100.0",
        "198.51.100.255",
        Some("198.51.99.255"),
        Some("198.51.101.0"),
    ),
    (
        "203.0.113.0",
        "203.0.113.255",
        Some("203.0.112.255"),
        Some("203.0.114.0"),
    ),
    (
        "224.0.0.0",
        "255.255.255.255",
        Some("223.255.255.255"),
        None,
    ),
    ("::", "1fff:ffff::", None, Some("2000::")),
    (
        "2001::",
        "2001:1ff:ffff::",
        Some("2000:ffff::"),
        Some("2001:200::"),
    ),
    (
        "2001:db8::",
        "2001:db8:ffff::",
        Some("2001:db7:ffff::"),
        Some("2001:db9::"),
    ),
    ("2002::", "2002:ffff::", Some("2001:ffff::"), Some("2003::")),
    (
        "3fff::",
        "3fff:fff::",
        Some("3ffe:ffff::"),
        Some("3fff:1000::"),
    ),
    ("4000::", "ffff::", Some("3fff:ffff::"), None),
    // Loopback, unique local, link-local, multicast; documentation inside IPv6.
    ("::1", "fd00::1", None, None),
    ("fe80::1", "ff02::1", None, None),
    ("::ffff:192.168.0.1", "::ffff:203.0.113.7", None, None),
];

#[test]
fn an_address_that_is_not_globally_routed_is_nothing() {
    for &(first, last, before, after) in ASIDE {
        assert_eq!(
            (form(ExternalIp, first), form(ExternalIp, last)),
            (None, None),
            "{first} to {last}"
        );
        for outside in [before, after].into_iter().flatten() {
            assert_eq!(form(ExternalIp, outside).as_deref(), Some(outside));
        }
    }
    for text in [
        "",
        "localhost",
        "999.1.1.1",
        "93.184.216",
        "fe80::1%eth0",
        "93.184.216.34/24",
    ] {
        assert_eq!(form(ExternalIp, text), None, "{text}");
    }
}

#[test]
fn names_meet_whatever_their_form() {
    for text in [
        "evil-site.com",
        "EVIL-Site.COM",
        "evil-site.com.",
        "a.b.evil-site.com",
        "https://login.evil-site.com/path?user=heather@contoso.com#part",
        "HTTPS://heather:secret@www.evil-site.com:8443/x",
        "//cdn.evil-site.com/a",
        "evil-site.com:443",
        "evil-site.com/a?b",
        "hxxp://www.evil-site.com/",
        " evil-site.com ",
        "evil\u{2010}site.com".replace('\u{2010}', "-").as_str(),
        // Full-width letters and the ideographic full stop are what they look like.
        "ｅｖｉｌ-ｓｉｔｅ。com",
    ] {
        assert_eq!(
            form(RegistrableDomain, text).as_deref(),
            Some("evil-site.com"),
            "{text}"
        );
    }
    for text in [
        "bücher.example.de",
        "b\u{fc}cher.DE",
        "bu\u{308}cher.de",
        "XN--BCHER-KVA.de",
        "www.bÜcher.de.",
    ] {
        let expected = if text.contains("example") {
            "example.de"
        } else {
            "xn--bcher-kva.de"
        };
        assert_eq!(
            form(RegistrableDomain, text).as_deref(),
            Some(expected),
            "{text}"
        );
    }
}

#[test]
fn a_domain_is_what_somebody_registered_under_a_public_suffix() {
    for (text, domain) in [
        ("www.bbc.co.uk", "bbc.co.uk"),
        ("a.b.city.kawasaki.jp", "city.kawasaki.jp"),
        ("x.y.blogspot.com", "y.blogspot.com"),
        ("someone.github.io", "someone.github.io"),
        ("_dmarc.evil-site.com", "evil-site.com"),
    ] {
        assert_eq!(
            form(RegistrableDomain, text).as_deref(),
            Some(domain),
            "{text}"
        );
    }
    let long = format!("{}.com", "a".repeat(64));
    for text in [
        "com",
        "co.uk",
        "github.io",
        "localhost",
        "printer.local",
        "dc01.contoso.corp",
        "host.internal",
        "a..com",
        ".com",
        "93.184.216.34",
        "http://93.184.216.34/x",
        "http://0x5d.0xb8.0xd8.0x22/",
        "http://1572395042/",
        "[2606:2800:220:1::1946]",
        "https://",
        "about:blank",
        "javascript:alert(1)",
        "exa mple.com",
        &long,
        "",
    ] {
        assert_eq!(form(RegistrableDomain, text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn a_form_is_the_form_of_itself(text in "\\PC{0,40}", name in "[a-zA-Zü.-]{1,20}\\.(com|co\\.uk|de)") {
        for class in IndicatorClass::ALL {
            for text in [&text, &name] {
                if let Some(once) = form(class, text) {
                    prop_assert_eq!(form(class, &once), Some(once));
                }
            }
        }
    }

    #[test]
    fn every_address_has_one_form(bits: u32) {
        let address = std::net::Ipv4Addr::from_bits(bits);
        let mapped = address.to_ipv6_mapped().to_string();
        prop_assert_eq!(form(ExternalIp, &address.to_string()), form(ExternalIp, &mapped));
    }
}
