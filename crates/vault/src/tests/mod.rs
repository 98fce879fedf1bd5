//! The ring, sealing and what must not open.

mod epochs;

use std::path::Path;
use std::sync::Arc;

use crypto::{Fields, Secret, Signer as _};
use model::{Code, Disk, GeographyCode, KeyId, RegionCode, StreamId, TableName, TenantId};
use testkit::{SeededRandom, SimDisk};
use zeroize::Zeroizing;

use crate::{Error, FramePlace, Protection, SigningKey, Vault};

const PATH: &str = "eu.ring";

fn region(code: &str) -> RegionCode {
    RegionCode::new(code).unwrap()
}

fn geography(code: &str) -> GeographyCode {
    GeographyCode::new(code).unwrap()
}

fn raw(byte: u8) -> Protection {
    Protection::RawKey(Secret::take(&mut [byte; 32]))
}

fn tenant(byte: u8) -> TenantId {
    TenantId::from_bytes([byte; 16])
}

fn ring(disk: &SimDisk, protection: Protection) -> Vault {
    let random = Arc::new(SeededRandom::new(1));
    let disk = Arc::new(disk.clone());
    Vault::create(
        region("eu"),
        geography("EU"),
        random,
        disk,
        Path::new(PATH),
        protection,
    )
    .unwrap()
}

fn open(disk: &SimDisk, code: &str, protection: Protection) -> Result<Vault, Error> {
    let random = Arc::new(SeededRandom::new(2));
    Vault::open(
        &region(code),
        random,
        Arc::new(disk.clone()),
        Path::new(PATH),
        protection,
    )
}

fn place() -> FramePlace {
    let stream = StreamId::from_bytes([3; 16]);
    FramePlace {
        segment: [4; 16],
        number: 5,
        stream,
        sequence: 6,
    }
}

#[test]
fn a_ring_opens_again_with_its_tenants_after_a_crash() {
    let disk = SimDisk::new();
    let vault = ring(&disk, raw(1));
    let keys = vault.create_tenant(tenant(1)).unwrap();
    let sealed = keys.seal_blob(&Fields::new("row"), b"secret");
    let public = vault.public_key();
    disk.crash(11);
    let again = open(&disk, "eu", raw(1)).unwrap();
    assert_eq!(again.public_key(), public);
    let keys = again.tenant(tenant(1)).unwrap();
    assert_eq!(
        keys.open_blob(&Fields::new("row"), &sealed).unwrap(),
        b"secret"
    );
    assert_eq!(
        keys.open_blob(&Fields::new("other"), &sealed)
            .unwrap_err()
            .code(),
        Code::WrongKey
    );
    assert!(matches!(
        again.create_tenant(tenant(1)),
        Err(Error::TenantExists { .. })
    ));
    assert!(matches!(
        again.tenant(tenant(2)),
        Err(Error::NoTenant { .. })
    ));
}

#[test]
fn a_ring_refuses_another_key_region_or_shape() {
    let disk = SimDisk::new();
    drop(ring(&disk, raw(1)));
    assert!(matches!(
        open(&disk, "eu", raw(2)),
        Err(Error::WrongPassphrase)
    ));
    assert!(matches!(
        open(&disk, "us", raw(1)),
        Err(Error::OtherRegion { .. })
    ));
    let mut short = disk.open(Path::new(PATH)).unwrap().len().unwrap();
    while short > 0 {
        short /= 2;
        let bytes = disk.read(Path::new(PATH)).unwrap();
        let path = format!("cut{short}");
        let mut file = disk.create_new(Path::new(&path)).unwrap();
        file.append(&bytes[..usize::try_from(short).unwrap()])
            .unwrap();
        let random = Arc::new(SeededRandom::new(2));
        let disk = Arc::new(disk.clone());
        let cut = Vault::open(&region("eu"), random, disk, Path::new(&path), raw(1));
        assert_eq!(cut.unwrap_err().code(), Code::WrongKey);
    }
}

#[test]
fn a_passphrase_opens_its_ring_only() {
    let disk = SimDisk::new();
    let phrase = |text: &str| Protection::Passphrase(Zeroizing::new(text.to_owned()));
    drop(ring(&disk, phrase("correct horse")));
    assert!(open(&disk, "eu", phrase("correct horse")).is_ok());
    assert!(matches!(
        open(&disk, "eu", phrase("wrong")),
        Err(Error::WrongPassphrase)
    ));
    assert!(matches!(
        open(&disk, "eu", raw(1)),
        Err(Error::WrongPassphrase)
    ));
    let again = Vault::create(
        region("eu"),
        geography("EU"),
        Arc::new(SeededRandom::new(3)),
        Arc::new(disk),
        Path::new(PATH),
        phrase("x"),
    );
    assert!(
        matches!(again, Err(Error::Exists { .. })),
        "a ring is never overwritten"
    );
}

#[test]
fn a_frame_opens_only_at_its_place_with_its_tenant_in_its_geography() {
    let random = Arc::new(SeededRandom::new(1));
    let eu = Vault::ephemeral(region("eu"), geography("EU"), random.clone());
    let (one, two) = (
        eu.create_tenant(tenant(1)).unwrap(),
        eu.create_tenant(tenant(2)).unwrap(),
    );
    let frame = one.seal_frame(place(), b"rows".to_vec());
    let bytes = frame.as_bytes().to_vec();
    assert!(!bytes.windows(4).any(|w| w == b"rows"));
    assert_eq!(one.open_frame(place(), bytes.clone()).unwrap(), b"rows");
    let elsewhere = [
        FramePlace {
            segment: [0; 16],
            ..place()
        },
        FramePlace {
            number: 0,
            ..place()
        },
        FramePlace {
            stream: StreamId::from_bytes([0; 16]),
            ..place()
        },
        FramePlace {
            sequence: 0,
            ..place()
        },
    ];
    for other in elsewhere {
        assert!(one.open_frame(other, bytes.clone()).is_err(), "{other:?}");
    }
    assert!(two.open_frame(place(), bytes).is_err());
}

#[test]
fn geography_is_bound_into_every_seal() {
    // The same ring bytes claimed for another geography: what was sealed before no longer opens.
    let disk = SimDisk::new();
    let vault = ring(&disk, raw(1));
    let keys = vault.create_tenant(tenant(1)).unwrap();
    let us = crate::tenant::TenantVault::new(
        tenant(1),
        &geography("US"),
        crate::tenant::TenantKeys {
            tenant_key: keys.keys().tenant_key.duplicate(),
            kek_version: 1,
            kek: keys.keys().kek.duplicate(),
        },
        &(Arc::new(SeededRandom::new(1)) as Arc<dyn model::Random>),
    );
    let frame = keys
        .seal_frame(place(), b"rows".to_vec())
        .as_bytes()
        .to_vec();
    assert!(us.open_frame(place(), frame).is_err());
    let blob = keys.seal_blob(&Fields::new("x"), b"y");
    assert!(us.open_blob(&Fields::new("x"), &blob).is_err());
    let table = keys.seal_key_table(&crate::KeyTable::default().next(vec![], &[]));
    assert!(us.open_key_table(&table).is_err());
    assert!(keys.open_key_table(&table).is_ok());
}

#[test]
fn the_key_table_grows_shrinks_and_detects_damage() {
    let vault = Vault::ephemeral(
        region("eu"),
        geography("EU"),
        Arc::new(SeededRandom::new(1)),
    );
    let keys = vault.create_tenant(tenant(1)).unwrap();
    let (a, b) = (KeyId::from_bytes([1; 16]), KeyId::from_bytes([2; 16]));
    let table = crate::KeyTable::default().next(
        vec![(a, keys.new_segment_key()), (b, keys.new_segment_key())],
        &[],
    );
    let expected = table.get(b).unwrap().expose_for_parquet();
    let table = table.next(vec![], &[a]);
    let bytes = keys.seal_key_table(&table);
    let again = keys.open_key_table(&bytes).unwrap();
    assert_eq!((again.generation(), again.len()), (2, 1));
    assert_eq!(again.get(b).unwrap().expose_for_parquet(), expected);
    assert!(matches!(again.get(a), Err(Error::NoSegmentKey { .. })));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        assert!(keys.open_key_table(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn identities_and_tokens_differ_by_tenant_and_table() {
    let vault = Vault::ephemeral(
        region("eu"),
        geography("EU"),
        Arc::new(SeededRandom::new(1)),
    );
    let (one, two) = (
        vault.create_tenant(tenant(1)).unwrap(),
        vault.create_tenant(tenant(2)).unwrap(),
    );
    let table = |name: &str| TableName::new(name).unwrap();
    let id = one.row_id(&table("A"), b"s", b"identity");
    assert_eq!(id, one.row_id(&table("A"), b"s", b"identity"));
    assert_ne!(id, one.row_id(&table("B"), b"s", b"identity"));
    assert_ne!(id, one.row_id(&table("A"), b"t", b"identity"));
    assert_ne!(id, two.row_id(&table("A"), b"s", b"identity"));
    assert_ne!(one.blind_index("name", b"x"), two.blind_index("name", b"x"));
    assert_ne!(
        one.blind_index("name", b"x"),
        one.blind_index("table", b"x")
    );
}

#[test]
fn operator_keys_round_trip_and_sign() {
    let disk = SimDisk::new();
    let random = SeededRandom::new(1);
    let path = Path::new("operator.key");
    let key = SigningKey::create_file(&disk, path, &raw(1), &random).unwrap();
    let again = SigningKey::open_file(&disk, path, &raw(1)).unwrap();
    assert_eq!(key.public_key(), again.public_key());
    let signature = again.sign(b"document");
    assert!(key.public_key().verify(b"document", &signature).is_ok());
    assert!(key.public_key().verify(b"documenT", &signature).is_err());
    assert!(SigningKey::open_file(&disk, path, &raw(2)).is_err());
}

#[test]
fn nothing_secret_prints() {
    let vault = Vault::ephemeral(
        region("eu"),
        geography("EU"),
        Arc::new(SeededRandom::new(1)),
    );
    let keys = vault.create_tenant(tenant(1)).unwrap();
    assert_eq!(format!("{:?}", keys.new_segment_key()), "SegmentKey(…)");
    assert_eq!(format!("{vault:?}"), "Vault(eu)");
    assert_eq!(format!("{:?}", raw(1)), "RawKey(…)");
}

#[test]
fn an_envelope_opens_only_for_its_recipient_and_context() {
    let random = Arc::new(SeededRandom::new(1));
    let eu = Vault::ephemeral(region("eu"), geography("EU"), random.clone());
    let us = Vault::ephemeral(
        region("us"),
        geography("US"),
        Arc::new(SeededRandom::new(2)),
    );
    let context = Fields::new("link").with(b"tenant");
    let sealed = crate::envelope::seal_to(&eu.public_key(), &context, b"secret", &*random).unwrap();
    assert_eq!(eu.open_envelope(&context, &sealed).unwrap(), b"secret");
    assert!(us.open_envelope(&context, &sealed).is_err());
    assert!(eu.open_envelope(&Fields::new("link"), &sealed).is_err());
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 1;
        assert!(eu.open_envelope(&context, &damaged).is_err(), "byte {at}");
    }
    assert!(eu.open_envelope(&context, &sealed[..20]).is_err());
}
