//! Both searches over what the real store wrote, and what they say when something is wrong.

use std::collections::BTreeSet;
use std::path::Path;

use model::TenantId;

use super::kit::{TABLE, World, expected, region, tenant, token};
use crate::{
    FileKind, Form, Marker, Needles, Opened, Planted, RawReport, Rests, What, judge, open, raw,
};

fn opened(world: &World) -> Vec<Opened> {
    let dirs = world.places.data.iter().zip(&world.vaults);
    dirs.map(|(dir, vault)| open(dir, vault, &world.needles).unwrap())
        .collect()
}

/// Files and bytes of a kind in the EU's directory.
fn tally(report: &RawReport, kind: FileKind) -> (u64, u64) {
    let eu = report
        .files
        .iter()
        .find(|t| t.region == Some(region("eu")) && t.kind == kind);
    eu.map_or((0, 0), |tally| (tally.files, tally.bytes))
}

fn whats(report: &RawReport) -> Vec<What> {
    report.findings.iter().map(|f| f.what).collect()
}

fn append(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn nothing_is_in_clear_and_every_marker_is_in_its_place() {
    let mut world = World::new();
    // While the services run, and after they ended in order.
    for _ in 0..2 {
        let report = raw(&world.places, &world.needles).unwrap();
        assert_eq!(
            (report.findings.clone(), report.hits.clone()),
            (vec![], vec![])
        );
        assert!(report.is_clean());
        assert_eq!(report.markers, world.planted.len());
        for kind in [
            FileKind::Log,
            FileKind::Segment,
            FileKind::KeyTable,
            FileKind::Catalogue,
        ] {
            let (files, bytes) = tally(&report, kind);
            assert!(files == 1 && bytes > 0, "{kind:?}");
        }
        let opened = opened(&world);
        for opened in &opened {
            assert_eq!(opened.findings, vec![]);
        }
        let verdict = judge(&world.planted, &opened, expected);
        assert_eq!(
            (verdict.misplaced.clone(), verdict.missing.clone()),
            (vec![], vec![])
        );
        assert!(verdict.is_clean());
        let all = u64::try_from(world.planted.len()).unwrap();
        assert_eq!(
            (verdict.expected, verdict.in_place, verdict.absent),
            (all, all, 0)
        );
        assert_eq!(verdict.by_region[&region("eu")], all / 2);
        world.close();
    }
}

#[test]
fn places_are_told_apart() {
    let world = World::new();
    let eu = open(&world.places.data[0], &world.vaults[0], &world.needles).unwrap();
    let rests = |number: u8| -> BTreeSet<Rests> {
        let marker = Marker::Text(token(1, number));
        let marker = world
            .planted
            .iter()
            .position(|p| p.marker == marker)
            .unwrap();
        eu.found
            .iter()
            .filter(|found| found.marker == marker)
            .map(|found| found.rests)
            .collect()
    };
    assert_eq!(
        rests(10),
        BTreeSet::from([Rests::Segment, Rests::Log]),
        "flushed"
    );
    assert_eq!(rests(20), BTreeSet::from([Rests::Log]), "not flushed");
    assert_eq!(
        rests(91),
        BTreeSet::from([Rests::Catalogue]),
        "a source's name"
    );
    // A column outside the schema is in the manifest by its name.
    assert_eq!(
        rests(15),
        BTreeSet::from([Rests::Segment, Rests::Log, Rests::Catalogue])
    );
    let holding = eu.holdings.iter().find(|h| h.table == TABLE).unwrap();
    assert_eq!(
        (holding.tenant, holding.service.as_str()),
        (tenant(1), "endpoint")
    );
    assert_eq!(
        (holding.segments, holding.rows, holding.log_rows),
        (1, 1, 2)
    );
    // No report quotes a marker: it would be one more place where it rests.
    let text = format!("{eu:?}");
    assert!(world.planted.iter().all(|p| match &p.marker {
        Marker::Text(token) => !text.contains(token.as_str()),
        _ => true,
    }));
}

/// What is sealed for the centre is sealed as everything else, and opened by the walker.
#[test]
fn parcels_that_wait_are_searched() {
    let world = World::with(true);
    let report = raw(&world.places, &world.needles).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    let opened = opened(&world);
    for opened in &opened {
        assert_eq!(opened.findings, vec![]);
    }
    let verdict = judge(&world.planted, &opened, expected);
    assert!(verdict.is_clean(), "{verdict:?}");
    for column in ["parcel", "parcel's receipt", "own", "acknowledgement"] {
        let mut of = (0..world.planted.len()).filter(|n| world.planted[*n].column == column);
        let (eu, us) = (of.next().unwrap(), of.next().unwrap());
        for (place, marker) in opened.iter().zip([eu, us]) {
            let mut found = place.found.iter().filter(|found| found.marker == marker);
            let only = found.next().unwrap();
            assert_eq!(only.rests, Rests::Catalogue, "{column}");
        }
    }
}

#[test]
fn a_marker_elsewhere_and_a_lost_one_are_told() {
    let world = World::new();
    let opened = opened(&world);
    let all = |_: &TenantId, _: &str| Some(region("us"));
    let verdict = judge(&world.planted, &opened, all);
    let markers: BTreeSet<usize> = verdict.misplaced.iter().map(|m| m.found.marker).collect();
    let eu: BTreeSet<usize> = (0..world.planted.len() / 2).collect();
    assert_eq!(markers, eu);
    assert_eq!(verdict.missing, eu.into_iter().collect::<Vec<_>>());
    // Refused everywhere.
    let verdict = judge(&world.planted, &opened, |_, _| None);
    assert_eq!((verdict.absent, verdict.expected), (0, 0));
    assert!(!verdict.misplaced.is_empty());
    // Under another tenant's name, in the right region.
    let mut planted = world.planted.clone();
    planted[0].tenant = tenant(9);
    let verdict = judge(&planted, &opened, |_, _| Some(region("eu")));
    assert!(verdict.misplaced.iter().any(|m| m.found.marker == 0));
    assert!(verdict.missing.contains(&0));
    // Nothing at all.
    let nowhere = [Planted {
        tenant: tenant(1),
        table: TABLE.to_owned(),
        column: String::new(),
        marker: Marker::Text("never-planted-anywhere".to_owned()),
    }];
    assert_eq!(judge(&nowhere, &[], expected).missing, [0]);
    assert_eq!(judge(&nowhere, &[], |_, _| None).absent, 1);
}

#[test]
fn files_that_do_not_belong_are_found() {
    let mut world = World::new();
    world.close();
    let eu = world.places.data[0].path.clone();
    append(&eu.join("notes.txt"), b"a file of somebody's");
    append(&eu.join("ring"), b"BWKR\x01\x00 keys");
    append(&eu.join("core"), &[0x7f, b'E', b'L', b'F']);
    std::os::unix::fs::symlink("/etc/hostname", eu.join("link")).unwrap();
    let folder = token(1, 10);
    std::fs::create_dir(eu.join(&folder)).unwrap();
    let report = raw(&world.places, &world.needles).unwrap();
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.path.file_name().unwrap().to_str().unwrap(), f.what))
        .collect();
    let wanted = [
        ("core", What::UnknownFile),
        ("link", What::NotAFile),
        ("notes.txt", What::UnknownFile),
        ("ring", What::KeyRing),
        (folder.as_str(), What::UnknownName),
    ];
    assert_eq!(found, wanted);
    // A marker in a name is a marker at rest.
    assert_eq!(report.hit_count, 1);
    assert_eq!(
        (report.hits[0].offset, report.hits[0].form),
        (None, Form::Utf8)
    );
}

#[test]
fn temporary_folders_hold_sealed_temporary_files_only() {
    let mut world = World::new();
    let quota = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(1 << 20));
    let mut file = world.stores[0].temporary_files().create(&quota).unwrap();
    std::io::Write::write_all(&mut file, &vec![b'x'; 200_000]).unwrap();
    let reader = file.finish().unwrap();
    let report = raw(&world.places, &world.needles).unwrap();
    assert_eq!(report.findings, vec![]);
    assert_eq!(tally(&report, FileKind::Temporary).0, 1);

    let folder = world.root.path().join("spill");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(world.file(0, "tmp/0"), folder.join("a")).unwrap();
    drop(reader);
    world.places.temporary.push(folder.clone());
    assert_eq!(whats(&raw(&world.places, &world.needles).unwrap()), []);
    std::fs::copy(world.file(0, ".parquet"), folder.join("b")).unwrap();
    append(
        &folder.join("c"),
        b"BWTF\x01\x00\x28\x00\x00\x00rows of forty bytes that nobody has sealed",
    );
    append(&folder.join("d"), b"BWTF\x01\x00\xff\xff\xff\xff");
    let report = raw(&world.places, &world.needles).unwrap();
    assert_eq!(
        whats(&report),
        [What::UnknownFile, What::Clear, What::Malformed]
    );
}

#[test]
fn log_output_is_searched_and_not_judged() {
    let mut world = World::new();
    let path = world.root.path().join("service.log");
    append(&path, b"{\"event\":\"started\"}\n");
    world.places.open.push(path.clone());
    assert!(raw(&world.places, &world.needles).unwrap().is_clean());
    append(&path, token(2, 21).as_bytes());
    let report = raw(&world.places, &world.needles).unwrap();
    assert_eq!(report.hits.len(), 1);
    assert_eq!(
        (&report.hits[0].path, report.hits[0].offset),
        (&path, Some(20))
    );
    assert_eq!(report.findings, vec![]);
}

#[test]
fn a_segment_of_another_region_does_not_pass() {
    let mut world = World::new();
    world.close();
    let segment = world.file(1, ".parquet");
    let name = segment.strip_prefix(&world.places.data[1].path).unwrap();
    let moved = world.places.data[0].path.join(name);
    std::fs::create_dir_all(moved.parent().unwrap()).unwrap();
    std::fs::copy(&segment, &moved).unwrap();
    let report = raw(&world.places, &world.needles).unwrap();
    assert_eq!(whats(&report), [What::WrongRegion]);
    assert_eq!(report.findings[0].detail, "its key is of region `us`");
    let opened = opened(&world);
    assert_eq!(opened[0].findings[0].what, What::NotInCatalogue);
    // With another region's keys nothing is opened at all.
    let wrong = open(&world.places.data[0], &world.vaults[1], &world.needles).unwrap();
    assert_eq!(wrong.findings[0].what, What::WrongRegion);
    assert_eq!(wrong.values, 0);
}

#[test]
fn what_was_changed_does_not_open() {
    let change = |part: &str, at: i64| {
        let mut world = World::new();
        world.close();
        let path = world.file(0, part);
        let mut bytes = std::fs::read(&path).unwrap();
        let len = i64::try_from(bytes.len()).unwrap();
        let at = usize::try_from((at + len) % len).unwrap();
        bytes[at] ^= 1;
        std::fs::remove_file(&path).unwrap();
        append(&path, &bytes);
        let found = open(&world.places.data[0], &world.vaults[0], &world.needles).unwrap();
        found.findings.iter().map(|f| f.what).collect::<Vec<_>>()
    };
    assert_eq!(change(".parquet", 1_000), [What::NotInCatalogue]);
    assert_eq!(
        change("keytables", -1),
        [What::DoesNotOpen, What::DoesNotOpen],
        "keys, segment"
    );
    let mut world = World::new();
    world.close();
    std::fs::remove_file(world.file(0, ".parquet")).unwrap();
    std::fs::remove_file(world.file(0, "keytables")).unwrap();
    let found = open(&world.places.data[0], &world.vaults[0], &world.needles).unwrap();
    let found: Vec<What> = found.findings.iter().map(|f| f.what).collect();
    assert_eq!(found, [What::NotInCatalogue, What::NotInCatalogue]);
}

#[test]
fn a_directory_without_a_catalogue_is_an_error() {
    let mut world = World::new();
    world.close();
    let empty = world.root.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    world.places.data[0].path = empty;
    let error = open(
        &world.places.data[0],
        &world.vaults[0],
        &Needles::new([]).unwrap(),
    )
    .unwrap_err();
    assert!(error.to_string().ends_with("has no catalogue of ours"));
}

#[test]
fn a_log_of_another_region_does_not_open() {
    let mut world = World::new();
    world.close();
    let log = world.file(1, ".log");
    let folder = world.places.data[0].path.join("log");
    std::fs::copy(&log, folder.join(log.file_name().unwrap())).unwrap();
    let found = open(&world.places.data[0], &world.vaults[0], &world.needles).unwrap();
    let whats: Vec<What> = found.findings.iter().map(|f| f.what).collect();
    assert_eq!(whats, [What::DoesNotOpen; 3], "one for each frame");
    assert!(found.found.iter().all(|f| f.tenant == Some(tenant(1))));
}

/// Files that were made and not written to, and what a crash leaves of a log file's header.
#[test]
fn what_a_crash_leaves_is_no_finding() {
    let mut world = World::new();
    world.close();
    let eu = world.places.data[0].path.clone();
    let log = std::fs::read(world.file(0, ".log")).unwrap();
    let name = world.file(0, ".log");
    let name = name.file_name().unwrap().to_str().unwrap();
    for (number, len) in [(7, 5), (8, 40), (9, 100)] {
        let name = format!("{number:016x}-{}.log", name.get(17..49).unwrap());
        append(&eu.join("log").join(name), &log[..len]);
    }
    let copied = format!("log/{name}.{:016x}.new", 11);
    append(&eu.join(copied), &log[..log.len() / 2]);
    let zeros = format!("{:016x}-{}.log", 10, name.get(17..49).unwrap());
    append(&eu.join("log").join(zeros), &[0; 300]);
    let opaque = "01".repeat(16);
    append(&eu.join("tmp/0000000000000007.tmp"), b"");
    let table = format!("keytables/{opaque}.0000000000000009.new");
    append(&eu.join(table), b"");
    append(&eu.join("lock"), b"");
    let segment = std::fs::read(world.file(0, ".parquet")).unwrap();
    let part = format!("segments/{opaque}/{opaque}.parquet.new");
    append(&eu.join(part), &segment[..segment.len() / 2]);
    let report = raw(&world.places, &world.needles).unwrap();
    assert_eq!(report.findings, vec![]);
    assert_eq!(tally(&report, FileKind::Empty).0, 3);
    // An empty file of any other name is nobody's.
    append(&eu.join("anything"), b"");
    assert_eq!(
        whats(&raw(&world.places, &world.needles).unwrap()),
        [What::UnknownFile]
    );
}

#[test]
fn reports_are_written_as_json() {
    let world = World::new();
    let report = raw(&world.places, &world.needles).unwrap();
    let opened = opened(&world);
    let verdict = judge(&world.planted, &opened, expected);
    let raw = serde_json::to_value(&report).unwrap();
    assert_eq!(raw["files"][0]["region"], "eu");
    assert_eq!(raw["files"][0]["kind"], "log");
    let opened = serde_json::to_value(&opened).unwrap();
    assert_eq!(opened[0]["found"][0]["marker"], 0);
    assert_eq!(opened[0]["holdings"][1]["service"], "endpoint");
    assert_eq!(
        serde_json::to_value(&verdict).unwrap()["missing"],
        serde_json::json!([])
    );
}
