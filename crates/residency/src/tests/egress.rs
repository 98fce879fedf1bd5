//! What may leave: the list, the batch, the receipt, the snapshot.

use std::sync::LazyLock;

use crypto::{PublicKey, Signer as _};
use model::{
    Code, ContributorToken, CountBucket, Day, Epoch, IndicatorToken, PrivacyClass, Purpose,
    RegionCode, SegmentId, TableName, Technique, Ticks, limits,
};
use proptest::prelude::*;

use super::{TestKey, operator, told};
use crate::egress::{
    AllowList, Batch, Computation, Entry, Fact, Figure, Header, NotTaken, Prevalence,
    PrevalenceBucket, Section, Shape, Snapshot, Transform, Value, parcel,
};
use crate::{Error, Verified};

fn facts_list() -> AllowList {
    AllowList::facts(1).unwrap()
}

fn verified(list: &AllowList) -> Verified<AllowList> {
    let bytes = list.sign(&operator()).unwrap();
    AllowList::open(&bytes, &operator().public_key(), None).unwrap()
}

fn entry(table: &str, column: &str, transform: Transform, class: PrivacyClass) -> Entry {
    let read_by = match transform {
        Transform::Day => Computation::FirstDay,
        Transform::Technique => Computation::Techniques,
        Transform::CountBucket => Computation::TypicalCount,
        _ => Computation::OwnerGroups,
    };
    Entry {
        table: TableName::new(table).unwrap(),
        column: column.to_owned(),
        transform,
        class,
        purpose: Purpose::Prevalence,
        read_by,
        exception: None,
    }
}

fn sha(table: &str) -> Entry {
    entry(
        table,
        "SHA256",
        Transform::IndicatorFileSha256,
        PrivacyClass::Technical,
    )
}

fn day_of(table: &str) -> Entry {
    entry(table, "Timestamp", Transform::Day, PrivacyClass::Technical)
}

/// The refusal of a list that has these entries beside the shipped ones.
fn refusal(more: Entry) -> String {
    let mut entries = facts_list().entries().to_vec();
    entries.push(more);
    told(&AllowList::new(1, entries).unwrap_err())
}

const PROCESSES: &str = "DeviceProcessEvents";

// ---- the list ----

#[test]
fn the_shipped_list_has_what_is_documented_and_nothing_of_people() {
    let list = facts_list();
    let lines: Vec<String> = list
        .entries()
        .iter()
        .map(|e| {
            format!(
                "{} {} {} {}",
                e.table,
                e.column,
                e.transform.as_str(),
                e.class.as_str()
            )
        })
        .collect();
    expect_test::expect_file!["egress_facts.txt"].assert_eq(&(lines.join("\n") + "\n"));
    for entry in list.entries() {
        assert_ne!(entry.class, PrivacyClass::DirectIdentifier);
        assert_ne!(entry.transform, Transform::KeepText);
        // Content and organisations' names leave as indicators only.
        let bare = matches!(entry.transform, Transform::Day | Transform::Technique);
        assert!(!bare || entry.class == PrivacyClass::Technical, "{entry:?}");
    }
    for (table, column) in [
        ("DeviceFileEvents", "SHA256"),
        ("EmailAttachmentInfo", "SHA256"),
        ("DeviceEvents", "SHA256"),
        ("DeviceNetworkEvents", "LocalIP"),
        ("AADSignInEventsBeta", "IPAddress"),
        ("EmailEvents", "RecipientDomain"),
    ] {
        let of = |e: &&Entry| e.table.as_str() == table && e.column == column;
        assert!(!list.entries().iter().any(|e| of(&e)), "{table}.{column}");
    }
}

#[test]
fn a_list_survives_signing_and_nothing_else_does() {
    let list = facts_list();
    let bytes = list.sign(&operator()).unwrap();
    let key = operator().public_key();
    let opened = AllowList::open(&bytes, &key, None).unwrap();
    assert_eq!(*opened, list);
    assert!(AllowList::open(&bytes, &TestKey::new(9).public_key(), None).is_err());
    let mut damaged = bytes.clone();
    let last = damaged.len() - 20;
    damaged[last] ^= 1;
    assert!(AllowList::open(&damaged, &key, None).is_err());

    let newer = verified(&AllowList::facts(2).unwrap()).accepted();
    let error = AllowList::open(&bytes, &key, Some(newer)).unwrap_err();
    assert_eq!(error.code(), Code::OldVersion);
    // Another list under the same version.
    let fewer = list.entries()[1..].to_vec();
    let fewer: Vec<_> = fewer
        .into_iter()
        .filter(|e| e.table.as_str() == "EmailUrlInfo")
        .collect();
    let other = AllowList::new(1, fewer).unwrap().sign(&operator()).unwrap();
    let error = AllowList::open(&other, &key, Some(opened.accepted())).unwrap_err();
    assert!(matches!(error, Error::Reused { .. }), "{error}");
}

#[test]
fn a_list_that_contradicts_the_schema_or_itself_is_refused() {
    use PrivacyClass::{Content, DirectIdentifier, NetworkIdentifier, Technical};
    use Transform as T;
    let cases = [
        // Nothing like it in the schema.
        (
            entry("NoSuchTable", "SHA256", T::IndicatorFileSha256, Technical),
            "no such column",
        ),
        (
            entry(PROCESSES, "NoSuchColumn", T::KeepText, Technical),
            "no such column",
        ),
        (
            entry(PROCESSES, "_row_id", T::KeepText, Technical),
            "no such column",
        ),
        // The class is not what the schema says.
        (
            entry(PROCESSES, "AccountName", T::KeepText, Technical),
            "class",
        ),
        // Files that merely exist.
        (sha("DeviceFileEvents"), "not leave in this form"),
        (sha("EmailAttachmentInfo"), "not leave in this form"),
        (sha("DeviceEvents"), "not leave in this form"),
        // Addresses and names of the tenant's side.
        (
            entry(
                "DeviceNetworkEvents",
                "LocalIP",
                T::IndicatorExternalIp,
                NetworkIdentifier,
            ),
            "not leave in this form",
        ),
        (
            entry(
                "AADSignInEventsBeta",
                "IPAddress",
                T::IndicatorExternalIp,
                NetworkIdentifier,
            ),
            "not leave in this form",
        ),
        (
            entry(
                PROCESSES,
                "AccountName",
                T::IndicatorRegistrableDomain,
                DirectIdentifier,
            ),
            "not leave in this form",
        ),
        // A time that is not the row's, a technique from elsewhere.
        (
            entry(PROCESSES, "ProcessCreationTime", T::Day, Technical),
            "not leave in this form",
        ),
        (
            entry("AlertInfo", "Title", T::Technique, Content),
            "not leave in this form",
        ),
        // Counted, and not an indicator.
        (
            entry(PROCESSES, "SHA1", T::CountBucket, Technical),
            "nothing of this column is counted",
        ),
        // Kept as it is, without saying why.
        (
            entry(PROCESSES, "AccountName", T::KeepText, DirectIdentifier),
            "only with an exception",
        ),
        // Technical, and still of a private document, or a key that joins rows.
        (
            entry("DeviceFileEvents", "SHA256", T::KeepText, Technical),
            "only with an exception",
        ),
        (
            entry("EmailEvents", "NetworkMessageId", T::KeepText, Technical),
            "only with an exception",
        ),
        (
            entry(PROCESSES, "ProcessCommandLine", T::KeepText, Content),
            "only with an exception",
        ),
        // Something the shipped list has already, once more.
        (sha(PROCESSES), "each once"),
    ];
    for (more, why) in cases {
        let told = refusal(more.clone());
        assert!(
            told.contains(why) && told.starts_with("bad_document"),
            "{more:?}: {told}"
        );
    }
    let mut no_reader = sha(PROCESSES);
    no_reader.read_by = Computation::Techniques;
    let told_reader = told(&AllowList::new(1, vec![day_of(PROCESSES), no_reader]).unwrap_err());
    assert!(told_reader.contains("does not read this"), "{told_reader}");
    let told_day = told(&AllowList::new(1, vec![sha(PROCESSES)]).unwrap_err());
    assert!(told_day.contains("day is not on the list"), "{told_day}");
    let mut campaigns = sha(PROCESSES);
    campaigns.purpose = Purpose::Campaigns;
    let told_purpose = told(&AllowList::new(1, vec![day_of(PROCESSES), campaigns]).unwrap_err());
    assert!(told_purpose.contains("no computation"), "{told_purpose}");
}

#[test]
fn a_name_is_kept_only_by_a_list_that_says_so_and_why() {
    let mut name = entry(
        PROCESSES,
        "AccountName",
        Transform::KeepText,
        PrivacyClass::DirectIdentifier,
    );
    for nothing in ["", "  "] {
        name.exception = Some(nothing.to_owned());
        assert!(refusal(name.clone()).contains("exception says nothing"));
    }
    name.exception = Some("x".repeat(limits::DOCUMENT_TEXT_BYTES_MAX + 1));
    assert!(refusal(name.clone()).contains("exception says nothing, or too much"));
    name.exception = Some("a positive control".to_owned());
    let mut entries = facts_list().entries().to_vec();
    entries.push(name);
    let list = verified(&AllowList::new(2, entries).unwrap());
    assert!(
        list.entry(PROCESSES, "AccountName", Transform::KeepText)
            .is_some()
    );
    // An exception does not ride along where none is needed.
    let mut technical = day_of("DeviceFileEvents");
    technical.exception = Some("why not".to_owned());
    assert!(refusal(technical).contains("where none is needed"));
}

#[test]
fn unknown_fields_words_and_too_many_entries_are_refused() {
    let payload = String::from_utf8(facts_list().sign(&operator()).unwrap()).unwrap();
    let payload = payload.split_once('\n').unwrap().1;
    let key = operator().public_key();
    for (from, to) in [
        ("\"version\":1", "\"version\":1,\"extra\":true"),
        ("\"purpose\":\"prevalence\"", "\"purpose\":\"profit\""),
        ("\"transform\":\"day\"", "\"transform\":\"hour\""),
        ("\"read_by\":\"owner_groups\"", "\"read_by\":\"somebody\""),
        ("bailiwick-egress-allow-list", "bailiwick-registry"),
    ] {
        assert!(payload.contains(from), "{from}");
        let changed = payload.replacen(from, to, 1);
        let bytes = crate::signed::sign(
            crate::Kind::EgressAllowList,
            changed.as_bytes(),
            &operator(),
        );
        let error = AllowList::open(&bytes, &key, None).unwrap_err();
        assert_eq!(error.code(), Code::BadDocument, "{from} -> {to}");
    }
    let many = vec![day_of(PROCESSES); limits::ALLOW_LIST_ENTRIES_MAX + 1];
    assert!(told(&AllowList::new(1, many).unwrap_err()).contains("at most"));
}

// ---- the batch ----

fn header(epoch: Epoch) -> Header {
    Header {
        batch: SegmentId::from_bytes([1; 16]),
        contributor: ContributorToken::from_bytes([2; 16]),
        epoch,
    }
}

fn epoch() -> Epoch {
    Epoch::at(Ticks::parse("2026-03-03").unwrap())
}

fn shape(table: &str, column: &str) -> Shape {
    Shape {
        table: TableName::new(table).unwrap(),
        column: column.to_owned(),
        transform: Transform::IndicatorFileSha256,
        has_count: true,
        has_technique: true,
    }
}

fn fact(shape: u16, n: u8) -> Fact {
    Fact {
        shape,
        value: Value::Token(IndicatorToken::from_bytes([n; 16])),
        day: epoch().first_day(),
        technique: None,
        count: Some(CountBucket::of(1)),
    }
}

fn code(made: Result<Batch, NotTaken>) -> Code {
    made.unwrap_err().code()
}

#[test]
fn a_batch_is_made_of_what_the_list_has_and_of_nothing_else() {
    let list = verified(&facts_list());
    let make = |shapes, facts| Batch::new(&list, header(epoch()), shapes, facts);
    make(vec![shape(PROCESSES, "SHA256")], vec![fact(0, 1)]).unwrap();
    // Each of these is one step beyond the list.
    let beyond = [
        shape(PROCESSES, "SHA1"),
        shape("DeviceFileEvents", "SHA256"),
        Shape {
            transform: Transform::KeepText,
            ..shape(PROCESSES, "SHA256")
        },
        Shape {
            transform: Transform::IndicatorExternalIp,
            ..shape(PROCESSES, "SHA256")
        },
    ];
    for shape in beyond {
        assert_eq!(
            code(make(vec![shape.clone()], vec![fact(0, 1)])),
            Code::NotAllowed,
            "{shape:?}"
        );
    }
    // A list without counts and techniques lets neither leave.
    let bare = verified(&AllowList::new(1, vec![sha(PROCESSES), day_of(PROCESSES)]).unwrap());
    for (has_count, has_technique) in [(true, false), (false, true)] {
        let shape = Shape {
            has_count,
            has_technique,
            ..shape(PROCESSES, "SHA256")
        };
        let mut fact = fact(0, 1);
        fact.count = fact.count.filter(|_| has_count);
        let made = Batch::new(&bare, header(epoch()), vec![shape], vec![fact]);
        assert_eq!(code(made), Code::NotAllowed);
    }
}

#[test]
fn a_batch_that_is_not_well_formed_is_not_made() {
    let list = verified(&facts_list());
    let sha256 = || shape(PROCESSES, "SHA256");
    let make = |shapes, facts| code(Batch::new(&list, header(epoch()), shapes, facts));
    let text = Fact {
        value: Value::Text("clear".to_owned()),
        ..fact(0, 1)
    };
    let no_count = Fact {
        count: None,
        ..fact(0, 1)
    };
    let early = Day(epoch().first_day().0 - limits::EGRESS_DAYS_LATE_MAX - 1);
    let early = Fact {
        day: early,
        ..fact(0, 1)
    };
    let late = Fact {
        day: Day(epoch().last_day().0 + 2),
        ..fact(0, 1)
    };
    let by_day = Shape {
        transform: Transform::Day,
        ..sha256()
    };
    let initiating = shape(PROCESSES, "InitiatingProcessSHA256");
    for (shapes, facts) in [
        (vec![sha256()], vec![]),
        (vec![sha256()], vec![fact(1, 1)]),
        (vec![sha256()], vec![fact(0, 1), fact(0, 1)]),
        (vec![sha256()], vec![text]),
        (vec![sha256()], vec![no_count]),
        (vec![sha256()], vec![early]),
        (vec![sha256()], vec![late]),
        (vec![by_day], vec![fact(0, 1)]),
        (
            vec![sha256(), initiating.clone()],
            vec![fact(0, 1), fact(1, 1)],
        ),
        (vec![initiating, sha256()], vec![fact(0, 1)]),
    ] {
        assert_eq!(
            make(shapes.clone(), facts.clone()),
            Code::BadDocument,
            "{shapes:?} {facts:?}"
        );
    }
    let many = vec![fact(0, 1); limits::EGRESS_FACTS_MAX + 1];
    assert_eq!(make(vec![sha256()], many), Code::TooLarge);
}

/// Verified once: a signature takes its time in a debug build.
static FACTS: LazyLock<Verified<AllowList>> = LazyLock::new(|| verified(&facts_list()));

fn some_fact() -> impl Strategy<Value = Fact> {
    let technique = proptest::option::of((1_u16..2_000, 0_u16..30));
    (0_u16..3, any::<[u8; 16]>(), 0_u32..60, technique, 0_u8..5).prop_map(
        |(shape, token, late, technique, count)| Fact {
            shape,
            value: Value::Token(IndicatorToken::from_bytes(token)),
            day: Day(epoch().last_day().0 + 1 - late),
            technique: technique.and_then(|(n, sub)| Technique::from_numbers(n, sub)),
            count: CountBucket::from_code(count),
        },
    )
}

proptest! {
    #[test]
    fn a_batch_has_one_form_and_reads_back(facts in proptest::collection::vec(some_fact(), 1..40)) {
        let list = &*FACTS;
        let all = [
            shape("DeviceImageLoadEvents", "SHA256"),
            shape(PROCESSES, "InitiatingProcessSHA256"),
            shape(PROCESSES, "SHA256"),
        ];
        // Only the shapes that are used, renumbered; facts that differ in the count alone are one.
        let mut facts = facts;
        let used: Vec<u16> = (0..3).filter(|n| facts.iter().any(|f| f.shape == *n)).collect();
        for fact in &mut facts {
            let at = used.iter().position(|n| *n == fact.shape).unwrap();
            fact.shape = u16::try_from(at).unwrap();
        }
        facts.sort_by_key(|f| (f.shape, format!("{:?}", f.value), f.day, f.technique));
        facts.dedup_by_key(|f| (f.shape, format!("{:?}", f.value), f.day, f.technique));
        let shapes: Vec<Shape> = used.iter().map(|n| all[usize::from(*n)].clone()).collect();
        let batch = Batch::new(list, header(epoch()), shapes.clone(), facts.clone()).unwrap();
        let bytes = batch.encode();
        let read = Batch::decode(&bytes, list).unwrap();
        prop_assert_eq!(&read, &batch);
        prop_assert_eq!(read.encode(), bytes.clone());
        facts.reverse();
        let other_order = Batch::new(list, header(epoch()), shapes, facts).unwrap();
        prop_assert_eq!(other_order.encode(), bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(noise in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..300) {
        let list = &*FACTS;
        let batch = Batch::new(list, header(epoch()), vec![shape(PROCESSES, "SHA256")], vec![fact(0, 1)]);
        let mut bytes = batch.unwrap().encode();
        let at = at.min(bytes.len());
        bytes.splice(at..(at + noise.len() / 2).min(bytes.len()), noise);
        // What is taken has its one form.
        if let Ok(batch) = Batch::decode(&bytes, list) {
            prop_assert_eq!(batch.encode(), bytes.clone());
        }
        let _ = parcel::split(&bytes);
        let _ = Snapshot::verify(bytes, &operator().public_key(), None);
    }
}

#[test]
fn the_bytes_of_a_batch_and_of_a_snapshot_are_the_documented_ones() {
    let list = verified(&facts_list());
    let shapes = vec![
        shape(PROCESSES, "InitiatingProcessSHA256"),
        Shape {
            has_technique: false,
            ..shape(PROCESSES, "SHA256")
        },
    ];
    let technique = Some("T1566.002".parse().unwrap());
    let facts = vec![
        Fact {
            technique,
            ..fact(0, 0xaa)
        },
        fact(1, 0xbb),
    ];
    let batch = Batch::new(&list, header(epoch()), shapes, facts).unwrap();
    let bytes = batch.encode();
    // The list's digest is of a document that is tested elsewhere.
    let (head, rest) = bytes.split_at(4 + 2 + 16 + 16 + 4 + 8);
    let rest = rest.split_at(32).1;
    expect_test::expect!["42574542010001010101010101010101010101010101020202020202020202020202020202024f6000000100000000000000"].assert_eq(&crypto::hex(head));
    expect_test::expect!["0200130044657669636550726f636573734576656e74731700496e6974696174696e6750726f636573735348413235360103130044657669636550726f636573734576656e747306005348413235360101020000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa42490b001e060200000100bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb42490b0000"].assert_eq(&crypto::hex(rest));
    let (snapshot, _) = snapshot();
    let (body, _) = snapshot.split_at(snapshot.len() - 64);
    expect_test::expect!["4257505301000300000000000000008094fa8079de0802004e60000000000000000000004f60000003000000010101010101010101010101010101010202020202020202020202020202020209090909090909090909090909090909011f000220010327010300000001000000230400000100000023040100020000001e060200"].assert_eq(&crypto::hex(body));
}

#[test]
fn a_receipt_says_what_is_in_its_batch() {
    let list = verified(&facts_list());
    let cell = TestKey::new(5);
    let eu = RegionCode::new("eu").unwrap();
    let shapes = vec![
        shape(PROCESSES, "InitiatingProcessSHA256"),
        shape(PROCESSES, "SHA256"),
    ];
    let facts = vec![fact(0, 1), fact(1, 1), fact(1, 2)];
    let batch = Batch::new(&list, header(epoch()), shapes, facts).unwrap();
    let at = Ticks::parse("2026-03-03T10:00:00Z").unwrap();
    let parcel = parcel::pack_batch(&batch, &eu, at, &cell).unwrap();
    let left: Vec<_> = parcel
        .receipt
        .left
        .iter()
        .map(|l| (l.column.as_str(), l.facts))
        .collect();
    assert_eq!(left, [("InitiatingProcessSHA256", 1), ("SHA256", 2)]);
    assert_eq!(parcel.receipt.facts, 3);
    assert_eq!(
        usize::try_from(parcel.receipt.bytes).unwrap(),
        batch.encode().len()
    );
    let (receipt, opened) = parcel::open(&parcel.bytes, &eu, &cell.public_key(), &list).unwrap();
    assert_eq!((&*receipt, &opened), (&parcel.receipt, &batch));
    assert_eq!(
        *parcel::Receipt::open(&parcel.signed_receipt, &cell.public_key()).unwrap(),
        parcel.receipt
    );

    // A receipt that says less than the batch has, signed by the cell.
    let payload = parcel
        .signed_receipt
        .splitn(2, |b| *b == b'\n')
        .nth(1)
        .unwrap();
    let lie = String::from_utf8(payload.to_vec())
        .unwrap()
        .replace("\"facts\":3", "\"facts\":1");
    let lie = crate::signed::sign(crate::Kind::EgressReceipt, lie.as_bytes(), &cell);
    let bytes = parcel::join(&lie, &batch.encode());
    let error = parcel::open(&bytes, &eu, &cell.public_key(), &list).unwrap_err();
    assert!(matches!(error, NotTaken::OtherReceipt), "{error}");
}

// ---- the snapshot ----

fn figure(n: u8, groups: PrevalenceBucket, techniques: &[&str]) -> Figure {
    Figure {
        token: IndicatorToken::from_bytes([n; 16]),
        prevalence: Prevalence {
            groups,
            first_day: Day(epoch().first_day().0 + u32::from(n)),
            typical_count: CountBucket::of(u64::from(n)),
            techniques: techniques.iter().map(|t| t.parse().unwrap()).collect(),
        },
    }
}

fn sections() -> Vec<Section> {
    let figures = vec![
        figure(1, PrevalenceBucket::Ten, &[]),
        figure(2, PrevalenceBucket::Fifty, &["T1059", "T1059.001"]),
        figure(9, PrevalenceBucket::TwoHundredFifty, &["T1566.002"]),
    ];
    vec![
        Section {
            epoch: epoch().previous(),
            figures: vec![],
        },
        Section {
            epoch: epoch(),
            figures,
        },
    ]
}

fn snapshot() -> (Vec<u8>, PublicKey) {
    let centre = TestKey::new(7);
    let at = Ticks::parse("2026-03-04").unwrap();
    (
        Snapshot::sign(3, at, &sections(), &centre).unwrap(),
        centre.public_key(),
    )
}

#[test]
fn a_snapshot_answers_what_was_put_in() {
    let (bytes, key) = snapshot();
    let snapshot = Snapshot::verify(bytes, &key, Some(3)).unwrap();
    assert_eq!(snapshot.number(), 3);
    assert_eq!(snapshot.published_at(), Ticks::parse("2026-03-04").unwrap());
    for section in sections() {
        assert_eq!(snapshot.figures(section.epoch), section.figures);
        for figure in &section.figures {
            assert_eq!(
                snapshot.lookup(section.epoch, &figure.token),
                Some(figure.prevalence.clone())
            );
            assert_eq!(snapshot.lookup(section.epoch.next(), &figure.token), None);
        }
    }
    for n in [0, 3, 8, 10, 255] {
        assert_eq!(
            snapshot.lookup(epoch(), &IndicatorToken::from_bytes([n; 16])),
            None
        );
    }
    assert_eq!(snapshot.figures(epoch().next()), []);
}

#[test]
fn a_snapshot_is_refused_if_changed_older_or_of_another_key() {
    let (bytes, key) = snapshot();
    // Every fifth: verifying takes its time.
    for at in (0..bytes.len()).step_by(5) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        assert_eq!(
            Snapshot::verify(damaged, &key, None).unwrap_err().code(),
            Code::BadSignature,
            "byte {at}"
        );
    }
    for cut in (0..bytes.len()).step_by(9) {
        assert!(
            Snapshot::verify(bytes[..cut].to_vec(), &key, None).is_err(),
            "cut at {cut}"
        );
    }
    let other = TestKey::new(8).public_key();
    assert_eq!(
        Snapshot::verify(bytes.clone(), &other, None)
            .unwrap_err()
            .code(),
        Code::BadSignature
    );
    assert_eq!(
        Snapshot::verify(bytes, &key, Some(4)).unwrap_err().code(),
        Code::OldVersion
    );
}

#[test]
fn a_centre_cannot_sign_what_a_cell_would_refuse() {
    let centre = TestKey::new(7);
    let wrong = |change: &dyn Fn(&mut Vec<Section>)| {
        let mut sections = sections();
        change(&mut sections);
        Snapshot::sign(1, Ticks::MIN, &sections, &centre)
            .unwrap_err()
            .code()
    };
    assert_eq!(wrong(&|s| s.swap(0, 1)), Code::BadDocument);
    assert_eq!(wrong(&|s| s[1].figures.swap(0, 1)), Code::BadDocument);
    assert_eq!(
        wrong(&|s| s[1].figures[1].token = s[1].figures[0].token),
        Code::BadDocument
    );
    assert_eq!(
        wrong(&|s| s[1].figures[0].prevalence.first_day = Day(1_000_000)),
        Code::BadDocument
    );
    assert_eq!(
        wrong(&|s| s[1].figures[1].prevalence.techniques.reverse()),
        Code::BadDocument
    );
}

#[test]
fn what_is_too_long_is_refused_before_it_is_read() {
    let key = operator().public_key();
    let long = vec![0; limits::SNAPSHOT_BYTES_MAX + 1];
    let error = Snapshot::verify(long, &key, None).unwrap_err();
    assert_eq!(error.code(), Code::TooLarge);
    let long = vec![0; limits::EGRESS_BATCH_BYTES_MAX + 1];
    let error = Batch::decode(&long, &FACTS).unwrap_err();
    assert_eq!(error.code(), Code::TooLarge);
    let error = Batch::decode(&long[1..], &FACTS).unwrap_err();
    assert_eq!(error.code(), Code::BadDocument, "as long as a batch may be");
    let text = |bytes| {
        let mut kept = entry(
            PROCESSES,
            "ActionType",
            Transform::KeepText,
            PrivacyClass::Technical,
        );
        kept.exception = Some("to try its length".to_owned());
        let list = AllowList::new(2, vec![day_of(PROCESSES), kept]);
        let shape = Shape {
            transform: Transform::KeepText,
            has_count: false,
            has_technique: false,
            ..shape(PROCESSES, "ActionType")
        };
        let value = Value::Text("x".repeat(bytes));
        let fact = Fact {
            value,
            count: None,
            ..fact(0, 1)
        };
        Batch::new(
            &verified(&list.unwrap()),
            header(epoch()),
            vec![shape],
            vec![fact],
        )
    };
    let longest = text(limits::EGRESS_TEXT_BYTES_MAX).unwrap();
    assert_eq!(longest.facts().len(), 1);
    assert_eq!(
        code(text(limits::EGRESS_TEXT_BYTES_MAX + 1)),
        Code::BadDocument
    );
}

#[test]
fn buckets_begin_at_ten_fifty_and_two_hundred_and_fifty() {
    let of = |groups| PrevalenceBucket::of(groups).map(PrevalenceBucket::at_least);
    for (groups, least) in [(0, None), (9, None), (10, Some(10)), (49, Some(10))] {
        assert_eq!(of(groups), least, "{groups}");
    }
    for (groups, least) in [(50, 50), (249, 50), (250, 250), (u32::MAX, 250)] {
        assert_eq!(of(groups), Some(least), "{groups}");
    }
    for bucket in PrevalenceBucket::ALL {
        assert_eq!(PrevalenceBucket::from_code(bucket.code()), Some(bucket));
    }
}
