//! Every form of every marker.

use std::collections::BTreeSet;

use testkit::SeededRandom;

use crate::{Form, Marker, Needles};

const TOKEN: &str = "zq0123456789abcdef01234567";

fn forms(needles: &Needles, bytes: &[u8]) -> BTreeSet<(Form, usize)> {
    let mut found = BTreeSet::new();
    needles.find(bytes, |_, form, marker| {
        found.insert((form, marker));
    });
    found
}

fn one(text: &str) -> Needles {
    Needles::new(&[Marker::Text(text.to_owned())]).unwrap()
}

fn only(form: Form) -> BTreeSet<(Form, usize)> {
    BTreeSet::from([(form, 0)])
}

#[test]
fn text_is_found_in_every_case() {
    let needles = one(TOKEN);
    let lower = format!("user={TOKEN};");
    assert_eq!(forms(&needles, lower.as_bytes()), only(Form::Utf8));
    assert_eq!(
        forms(&needles, lower.to_uppercase().as_bytes()),
        only(Form::Utf8)
    );
    assert_eq!(forms(&needles, &lower.as_bytes()[..30]), BTreeSet::new());
    let needles = one("MixedCaseMarker");
    assert_eq!(forms(&needles, b"..mixedcasemarker.."), only(Form::Utf8));
}

#[test]
fn text_of_two_bytes_a_character_is_found_in_both_orders() {
    let needles = one(TOKEN);
    let text = format!("x{TOKEN}x");
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(forms(&needles, &little), only(Form::Utf16));
    assert_eq!(forms(&needles, &big), only(Form::Utf16));
}

/// Made by another program's encoder, with zero, one and two bytes before the token.
#[test]
fn base64_is_found_at_each_alignment() {
    let needles = one(TOKEN);
    for encoded in [
        "enEwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njd0YWls",
        "eHpxMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3dGFpbA==",
        "eHl6cTAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2N3RhaWw=",
    ] {
        assert_eq!(
            forms(&needles, encoded.as_bytes()),
            only(Form::Base64),
            "{encoded}"
        );
        assert_eq!(
            forms(&needles, encoded.to_lowercase().as_bytes()),
            BTreeSet::new()
        );
    }
}

#[test]
fn base64_is_found_in_both_alphabets() {
    let needles = one("größe>>>???~~~ÿÿÿ");
    for encoded in [
        "Z3LDtsOfZT4+Pj8/P35+fsO/w7/Dvw==",
        "Z3LDtsOfZT4-Pj8_P35-fsO_w7_Dvw==",
    ] {
        assert_eq!(
            forms(&needles, encoded.as_bytes()),
            only(Form::Base64),
            "{encoded}"
        );
    }
}

#[test]
fn hexadecimal_and_percent_encoding_are_found_in_every_case() {
    let needles = one(TOKEN);
    let hex = crypto::hex(TOKEN.as_bytes());
    assert_eq!(forms(&needles, hex.as_bytes()), only(Form::Hex));
    assert_eq!(
        forms(&needles, hex.to_uppercase().as_bytes()),
        only(Form::Hex)
    );
    let all = "%7A%710123456789abcdef01234567".replacen(
        "0123456789abcdef01234567",
        "%30%31%32%33%34%35%36%37%38%39%61%62%63%64%65%66%30%31%32%33%34%35%36%37",
        1,
    );
    assert_eq!(forms(&needles, all.as_bytes()), only(Form::Percent));
    let needles = one("Ann Örn/9876543");
    assert_eq!(
        forms(&needles, b"q=Ann%20%C3%96rn%2F9876543&"),
        only(Form::Percent)
    );
}

#[test]
fn halves_of_a_mail_address_are_found_where_they_are_one_markers_own() {
    let mails = [
        "anna.lindqvist@shared.example",
        "b.oyelaran77@shared.example",
    ];
    let markers = mails.map(|mail| Marker::Text(mail.to_owned()));
    let needles = Needles::new(&markers).unwrap();
    assert_eq!(
        forms(&needles, b"CN=Anna.Lindqvist,OU=x"),
        only(Form::MailPart)
    );
    assert_eq!(
        forms(&needles, b"mail from shared.example"),
        BTreeSet::new(),
        "two have it"
    );
    let needles = Needles::new(&markers[..1]).unwrap();
    assert_eq!(
        forms(&needles, b"mail from shared.example"),
        only(Form::MailPart)
    );
}

#[test]
fn guids_are_found_as_text_and_as_bytes() {
    let guid = "00112233-4455-6677-8899-aabbccddeeff";
    let needles = Needles::new(&[Marker::Guid(guid.to_owned())]).unwrap();
    assert_eq!(
        forms(&needles, guid.to_uppercase().as_bytes()),
        only(Form::Utf8)
    );
    assert_eq!(
        forms(&needles, guid.replace('-', "").as_bytes()),
        only(Form::Utf8)
    );
    let bytes: Vec<u8> = (0..16).map(|n| n * 0x11).collect();
    assert_eq!(forms(&needles, &bytes), only(Form::GuidBytes));
    let windows = [&[0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66], &bytes[8..]].concat();
    assert_eq!(forms(&needles, &windows), only(Form::GuidBytes));
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let text = |text: &str| Marker::Text(text.to_owned());
    let why = |markers: &[Marker]| Needles::new(markers).unwrap_err().to_string();
    assert_eq!(
        why(&[text("sevenby")]),
        "marker 0 cannot be searched: it is shorter than eight bytes"
    );
    assert_eq!(
        why(&[text("twice-the-same"), text("Twice-The-Same")]),
        "marker 1 cannot be searched: there is another like it"
    );
    assert_eq!(
        why(&[Marker::Guid("no-guid".into())]),
        "marker 0 cannot be searched: it is not a guid"
    );
}

/// Wherever a marker stands in a stream, also across the buffers that it is read in.
#[test]
fn a_marker_is_found_wherever_it_stands_in_a_stream() {
    let needles = one(TOKEN);
    let random = SeededRandom::new(11);
    let len = (2 << 20) + 500;
    let noise = random.bytes(len);
    // A buffer takes a mebibyte and as much as the longest pattern may reach into.
    let mebibyte = 1 << 20;
    let first = (mebibyte - 30..mebibyte + 110).step_by(3);
    let second = (2 * mebibyte - 30..2 * mebibyte + 220).step_by(11);
    let ends = [0, 1, len - 27, len - 26];
    for at in first.chain(second).chain(ends) {
        let mut bytes = noise.clone();
        bytes[at..at + 26].copy_from_slice(TOKEN.as_bytes());
        let mut found = Vec::new();
        let read = needles
            .find_in(&mut bytes.as_slice(), |offset, _, _| found.push(offset))
            .unwrap();
        assert_eq!((read, found), (len as u64, vec![at as u64]));
    }
}

/// Against a search that compares every pattern at every position.
#[test]
fn many_markers_are_found_as_by_plain_comparison() {
    let random = SeededRandom::new(12);
    let texts: Vec<String> = (0..500)
        .map(|_| format!("zq{}", crypto::hex(&random.bytes(4))))
        .collect();
    let markers: Vec<Marker> = texts.iter().cloned().map(Marker::Text).collect();
    let needles = Needles::new(&markers).unwrap();
    let mut haystack = String::new();
    for _ in 0..300 {
        let text = &texts[random.index(texts.len())];
        // Some are cut, so that beginnings alone do not count.
        haystack.extend(text.chars().take(text.len() - random.index(2)));
    }
    let mut plain = BTreeSet::new();
    for (marker, text) in texts.iter().enumerate() {
        plain.extend(haystack.match_indices(text).map(|(at, _)| (at, marker)));
    }
    let mut found = BTreeSet::new();
    needles.find(haystack.as_bytes(), |at, _, marker| {
        found.insert((at, marker));
    });
    assert!(plain.len() > 100);
    assert_eq!(found, plain);
}

#[test]
fn numbers_are_found_as_values_and_in_digits() {
    let big = (1 << 62) + 5;
    let markers = [
        Marker::Number(big),
        Marker::Number(7_000_000),
        Marker::Real(1_073_741_824.5),
    ];
    let needles = Needles::new(&markers).unwrap();
    assert_eq!(needles.number(big), Some(0));
    assert_eq!(needles.number(big + 1), None);
    assert_eq!(needles.real(1_073_741_824.5), Some(2));
    let digits = |text: &str| {
        let mut found = Vec::new();
        needles.numbers_in(text.as_bytes(), |marker| found.push(marker));
        found
    };
    assert_eq!(digits(&format!("{{\"size\":{big}}}")), [0]);
    assert_eq!(digits(&format!("{big}0")), [0; 0], "another number");
    assert_eq!(digits("7000000"), [0; 0], "short numbers come by chance");
}
