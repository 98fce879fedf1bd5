//! Rows to facts.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Code, ContributorToken, CountBucket, Day, Epoch, IndicatorToken, PrivacyClass, Purpose,
    SegmentId, Technique, Ticks,
};
use residency::Verified;
use residency::egress::{AllowList, Batch, Computation, Entry, Transform, Value};
use rows::RecordBatch;

use super::{facts_list, no_alerts, row_id, rows, table, verified};
use crate::{Gatherer, Own};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

/// What the tests' tokens show of a hash.
fn half(hash: &str) -> &str {
    hash.get(..16).unwrap()
}

fn arrived() -> Ticks {
    Ticks::parse("2026-03-10T12:00:00Z").unwrap()
}

/// Tokens that show which indicator they are of.
fn finish(gatherer: Gatherer<'_>) -> Option<Batch> {
    let named = |text: &str| {
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(text.bytes())
            .for_each(|(to, from)| *to = from);
        IndicatorToken::from_bytes(bytes)
    };
    let wanted = gatherer.wanted();
    let tokens = wanted
        .iter()
        .map(|i| (i.clone(), named(&i.canonical)))
        .collect();
    let batch = SegmentId::from_bytes([1; 16]);
    let contributor = ContributorToken::from_bytes([2; 16]);
    let made = gatherer.finish(batch, contributor, &tokens).unwrap();
    made.map(|made| made.get().clone())
}

/// Facts as lines: column, value, day, technique, count.
fn lines(batch: &Batch) -> Vec<String> {
    let line = |fact: &residency::egress::Fact| {
        let value = match &fact.value {
            Value::Text(text) => format!("!{text}"),
            Value::Token(token) => {
                let bytes = token.as_bytes().iter().take_while(|b| **b != 0);
                bytes.map(|b| char::from(*b)).collect()
            }
        };
        let technique = fact
            .technique
            .map_or_else(|| "-".to_owned(), |t| t.to_string());
        let count = fact.count.map_or(0, CountBucket::at_least);
        format!(
            "{} {value} {} {technique} {count}",
            batch.shape(fact).unwrap().column,
            fact.day
        )
    };
    batch.facts().iter().map(line).collect()
}

fn gathered(list: &Verified<AllowList>, name: &str, batch: &RecordBatch) -> Option<Batch> {
    let own = Own::default();
    let mut gatherer = Gatherer::new(list, &own);
    gatherer.add(&table(name), batch, &no_alerts()).unwrap();
    finish(gatherer)
}

#[test]
fn rows_are_counted_by_value_and_day_and_nothing_else_of_them_is_left() {
    let list = facts_list();
    let person = [
        ("AccountName", "heather.nguyen"),
        ("ProcessCommandLine", "tool.exe --for heather"),
    ];
    let batch = rows(
        "DeviceProcessEvents",
        arrived(),
        &[
            &[
                ("Timestamp", "2026-03-10T01:00:00Z"),
                ("SHA256", A),
                ("InitiatingProcessSHA256", B),
                person[0],
            ],
            &[
                ("Timestamp", "2026-03-10T23:00:00Z"),
                ("SHA256", &A.to_uppercase()),
                person[1],
            ],
            &[
                ("Timestamp", "2026-03-09T23:59:59Z"),
                ("SHA256", A),
                ("SHA1", "0123"),
            ],
            &[
                ("Timestamp", "2026-03-10T01:00:00Z"),
                ("SHA256", "not a hash"),
            ],
            &[("Timestamp", "2026-03-10T01:00:00Z"), ("SHA256", "")],
        ],
    );
    let made = gathered(&list, "DeviceProcessEvents", &batch).unwrap();
    let b = B.to_lowercase();
    assert_eq!(
        lines(&made),
        [
            format!("InitiatingProcessSHA256 {} 2026-03-10 - 1", half(&b)),
            format!("SHA256 {} 2026-03-09 - 1", half(A)),
            format!("SHA256 {} 2026-03-10 - 2", half(A)),
        ]
    );
    let bytes = made.encode();
    for clear in [b"heather".as_slice(), b"tool.exe", b"0123", b"2026"] {
        assert!(!bytes.windows(clear.len()).any(|w| w == clear));
    }
}

#[test]
fn files_that_merely_exist_make_no_fact() {
    let list = facts_list();
    for name in ["DeviceFileEvents", "EmailAttachmentInfo", "DeviceEvents"] {
        assert!(!Gatherer::wants(&list, &table(name)), "{name}");
        let batch = rows(name, arrived(), &[&[("SHA256", A)]]);
        assert!(gathered(&list, name, &batch).is_none(), "{name}");
    }
    let batch = rows("DeviceImageLoadEvents", arrived(), &[&[("SHA256", A)]]);
    assert!(gathered(&list, "DeviceImageLoadEvents", &batch).is_some());
}

#[test]
fn a_day_that_is_far_from_the_arrival_is_the_day_of_the_arrival() {
    let list = facts_list();
    for (time, day) in [
        ("2026-03-10T23:59:59Z", "2026-03-10"),
        ("2026-03-11T10:00:00Z", "2026-03-11"),
        ("2026-03-12T00:00:00Z", "2026-03-10"),
        ("2026-02-08T00:00:00Z", "2026-02-08"),
        ("2026-02-07T23:59:59Z", "2026-03-10"),
        ("1601-01-01T00:00:00Z", "2026-03-10"),
        ("9999-01-01T00:00:00Z", "2026-03-10"),
    ] {
        let batch = rows(
            "DeviceProcessEvents",
            arrived(),
            &[&[("Timestamp", time), ("SHA256", A)]],
        );
        let made = gathered(&list, "DeviceProcessEvents", &batch).unwrap();
        assert_eq!(
            lines(&made),
            [format!("SHA256 {} {day} - 1", half(A))],
            "{time}"
        );
    }
    // On every day of an epoch what was near is taken by the batch, too.
    for n in 0..30 {
        let first = Epoch::at(arrived()).first_day();
        let arrival = Day(first.0 + n).start();
        for back in [0, 1, 29, 30, 31] {
            let time = Day(first.0 + n - back).start().to_string();
            let batch = rows(
                "DeviceProcessEvents",
                arrival,
                &[&[("Timestamp", &time), ("SHA256", A)]],
            );
            assert!(
                gathered(&list, "DeviceProcessEvents", &batch).is_some(),
                "{n} {back}"
            );
        }
    }
}

#[test]
fn the_other_side_is_told_and_the_own_side_is_not() {
    let list = facts_list();
    let connection = |action: &'static str, ip: &'static str, url: &'static str| {
        vec![
            ("ActionType", action),
            ("RemoteIP", ip),
            ("RemoteUrl", url),
            ("LocalIP", "93.184.216.99"),
        ]
    };
    let all = [
        connection(
            "ConnectionSuccess",
            "93.184.216.34",
            "https://www.evil-site.com/heather",
        ),
        connection("ConnectionSuccess", "10.0.0.7", "intranet.local"),
        connection("ConnectionSuccess", "93.184.216.40", "files.contoso.com"),
        connection("InboundConnectionAccepted", "93.184.216.50", ""),
        connection("ListeningConnectionCreated", "93.184.216.51", ""),
    ];
    let all: Vec<&[(&str, &str)]> = all.iter().map(Vec::as_slice).collect();
    let batch = rows("DeviceNetworkEvents", arrived(), &all);
    let own = Own::new(["https://Contoso.COM/"], ["::ffff:93.184.216.40"]);
    let mut gatherer = Gatherer::new(&list, &own);
    gatherer
        .add(&table("DeviceNetworkEvents"), &batch, &no_alerts())
        .unwrap();
    let dropped = gatherer.dropped();
    assert_eq!(
        (dropped.not_indicators, dropped.own, dropped.inside),
        (2, 2, 2)
    );
    let made = finish(gatherer).unwrap();
    assert_eq!(
        lines(&made),
        [
            "RemoteIP 93.184.216.34 2026-03-10 - 1",
            "RemoteUrl evil-site.com 2026-03-10 - 1"
        ]
    );

    let mail = |direction: &'static str| {
        vec![
            ("EmailDirection", direction),
            ("SenderFromDomain", "sender.com"),
        ]
    };
    let all = ["Outbound", "Intra-org", ""].map(mail);
    let all: Vec<&[(&str, &str)]> = all.iter().map(Vec::as_slice).collect();
    assert!(gathered(&list, "EmailEvents", &rows("EmailEvents", arrived(), &all)).is_none());
    let inbound = rows("EmailEvents", arrived(), &[&mail("Inbound")]);
    assert!(gathered(&list, "EmailEvents", &inbound).is_some());
}

#[test]
fn a_tenants_domains_are_learned_from_the_mail_that_reaches_it() {
    let list = facts_list();
    let mail = |direction: &'static str, recipient: &'static str| {
        vec![
            ("EmailDirection", direction),
            ("SenderFromDomain", "sender.com"),
            ("RecipientDomain", recipient),
        ]
    };
    let all = [
        mail("Inbound", "Contoso.com"),
        mail("Inbound", "mail.contoso.co.uk"),
        mail("Inbound", ""),
        // Where the tenant writes to is not the tenant.
        mail("Outbound", "partner.com"),
    ];
    let all: Vec<&[(&str, &str)]> = all.iter().map(Vec::as_slice).collect();
    let mut own = Own::default();
    own.learn(&table("EmailEvents"), &rows("EmailEvents", arrived(), &all));
    let urls = [
        "https://www.contoso.com/",
        "contoso.co.uk",
        "partner.com",
        "sender.com",
    ];
    let clicks = urls.map(|url| [("Url", url)]);
    let clicks: Vec<&[(&str, &str)]> = clicks.iter().map(<[_; 1]>::as_slice).collect();
    let clicks = rows("UrlClickEvents", arrived(), &clicks);
    own.learn(&table("UrlClickEvents"), &clicks);
    let mut gatherer = Gatherer::new(&list, &own);
    gatherer
        .add(&table("UrlClickEvents"), &clicks, &no_alerts())
        .unwrap();
    assert_eq!(gatherer.dropped().own, 2);
    let told = lines(&finish(gatherer).unwrap());
    assert_eq!(
        told,
        [
            "Url partner.com 2026-03-10 - 1",
            "Url sender.com 2026-03-10 - 1"
        ]
    );
}

#[test]
fn techniques_come_from_the_alerts_that_name_a_row() {
    let list = facts_list();
    let batch = rows(
        "DeviceProcessEvents",
        arrived(),
        &[&[("SHA256", A)], &[("SHA256", A)], &[("SHA256", B)]],
    );
    let techniques: BTreeSet<Technique> = ["T1059.001", "T1566.002"]
        .map(|t| t.parse().unwrap())
        .into();
    let alerts = BTreeMap::from([(row_id(1), techniques), (row_id(2), BTreeSet::new())]);
    let own = Own::default();
    let mut gatherer = Gatherer::new(&list, &own);
    gatherer
        .add(&table("DeviceProcessEvents"), &batch, &alerts)
        .unwrap();
    let of_a = format!("SHA256 {} 2026-03-10", half(A));
    let of_b = format!("SHA256 {} 2026-03-10 - 1", half(&B.to_lowercase()));
    assert_eq!(
        lines(&finish(gatherer).unwrap()),
        [
            format!("{of_a} - 1"),
            format!("{of_a} T1059.001 1"),
            format!("{of_a} T1566.002 1"),
            of_b
        ]
    );

    // A list without techniques leaves them out.
    let entries = list
        .entries()
        .iter()
        .filter(|e| e.transform != Transform::Technique);
    let without = verified(&AllowList::new(1, entries.cloned().collect()).unwrap());
    let mut gatherer = Gatherer::new(&without, &own);
    gatherer
        .add(&table("DeviceProcessEvents"), &batch, &alerts)
        .unwrap();
    let made = finish(gatherer).unwrap();
    assert!(made.facts().iter().all(|fact| fact.technique.is_none()));
}

#[test]
fn the_same_rows_in_any_order_and_cutting_make_the_same_batch() {
    let list = facts_list();
    let one = [("Timestamp", "2026-03-10T01:00:00Z"), ("SHA256", A)];
    let two = [
        ("Timestamp", "2026-03-09T01:00:00Z"),
        ("InitiatingProcessSHA256", A),
    ];
    let three = [("Timestamp", "2026-03-10T02:00:00Z"), ("SHA256", B)];
    let together = rows(
        "DeviceProcessEvents",
        arrived(),
        &[&one, &two, &three, &one],
    );
    let expected = gathered(&list, "DeviceProcessEvents", &together).unwrap();
    let own = Own::default();
    let mut gatherer = Gatherer::new(&list, &own);
    for part in [&three, &one, &one, &two] {
        let part = rows("DeviceProcessEvents", arrived(), &[part]);
        gatherer
            .add(&table("DeviceProcessEvents"), &part, &no_alerts())
            .unwrap();
    }
    assert_eq!(finish(gatherer).unwrap().encode(), expected.encode());
}

#[test]
fn no_facts_make_no_batch_and_what_cannot_be_made_is_said() {
    let list = facts_list();
    let own = Own::default();
    assert!(finish(Gatherer::new(&list, &own)).is_none());

    let name = table("DeviceProcessEvents");
    let mut gatherer = Gatherer::new(&list, &own);
    gatherer
        .add(
            &name,
            &rows("DeviceProcessEvents", arrived(), &[&[("SHA256", A)]]),
            &no_alerts(),
        )
        .unwrap();
    let later = Epoch::at(arrived()).next().first_day().start();
    let later = rows("DeviceProcessEvents", later, &[&[("SHA256", A)]]);
    assert!(gatherer.add(&name, &later, &no_alerts()).is_err());

    let mut gatherer = Gatherer::new(&list, &own);
    gatherer
        .add(
            &name,
            &rows("DeviceProcessEvents", arrived(), &[&[("SHA256", A)]]),
            &no_alerts(),
        )
        .unwrap();
    let batch = SegmentId::from_bytes([1; 16]);
    let contributor = ContributorToken::from_bytes([2; 16]);
    let error = gatherer
        .finish(batch, contributor, &BTreeMap::new())
        .unwrap_err();
    assert_eq!(error.code(), Code::Internal);
}

#[test]
fn a_list_that_keeps_a_name_keeps_it_and_only_it() {
    let mut entries = facts_list().entries().to_vec();
    entries.push(Entry {
        table: table("DeviceProcessEvents"),
        column: "AccountName".to_owned(),
        transform: Transform::KeepText,
        class: PrivacyClass::DirectIdentifier,
        purpose: Purpose::Prevalence,
        read_by: Computation::OwnerGroups,
        exception: Some("a positive control".to_owned()),
    });
    let list = verified(&AllowList::new(2, entries).unwrap());
    let long = format!("é{}", "x".repeat(400));
    let batch = rows(
        "DeviceProcessEvents",
        arrived(),
        &[
            &[
                ("AccountName", "heather.nguyen"),
                ("AccountUpn", "heather@contoso.com"),
                ("SHA256", A),
            ],
            &[("AccountName", &long)],
        ],
    );
    let made = gathered(&list, "DeviceProcessEvents", &batch).unwrap();
    let bytes = made.encode();
    assert!(
        bytes.windows(14).any(|w| w == b"heather.nguyen"),
        "a positive control that is not"
    );
    assert!(!bytes.windows(7).any(|w| w == b"contoso"));
    assert!(
        lines(&made)
            .iter()
            .any(|line| line.starts_with("AccountName !éxxx"))
    );
}

#[test]
fn what_belongs_to_the_tenant_is_read_back_as_it_was_kept() {
    let own = Own::new(["Alder.co.uk", "birch.org"], ["198.51.100.7", "8.8.8.8"]);
    let kept = own.to_bytes();
    let text = String::from_utf8(kept.clone()).unwrap();
    assert!(
        text.starts_with("bailiwick-own v1\n")
            && text.contains("registrable-domain/1\talder.co.uk\n"),
        "{text}"
    );
    assert_eq!(Own::from_bytes(&kept), Some(own));
    // Of another form: learnt anew. A class that this program does not know is left out.
    assert_eq!(Own::from_bytes(b"bailiwick-own v2\n"), None);
    assert_eq!(Own::from_bytes(b""), None);
    let newer = b"bailiwick-own v1\nregistrable-domain/2\tx\nregistrable-domain/1\tbirch.org\n";
    assert_eq!(Own::from_bytes(newer), Some(Own::new(["birch.org"], [])));
}
