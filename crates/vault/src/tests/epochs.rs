//! Secrets of epochs: two people, durable, final when destroyed.

use crypto::{Fields, Prf as _};
use model::{Code, Epoch, Purpose};
use testkit::{SeededRandom, SimDisk};

use super::{open, raw, ring, tenant};
use crate::{Error, Import, LinkageShare, Vault};

const EPOCH: Epoch = Epoch(24_000);

fn shares(seed: u64) -> [LinkageShare; 2] {
    let random = SeededRandom::new(seed);
    [0, 1].map(|_| LinkageShare::random(EPOCH, &random))
}

fn fingerprint(vault: &Vault) -> String {
    vault.linkage(EPOCH).unwrap().fingerprint()
}

#[test]
fn two_people_make_one_secret_whoever_comes_first() {
    let [a, b] = shares(1);
    let mut fingerprints = Vec::new();
    for order in [[&a, &b], [&b, &a]] {
        let disk = SimDisk::new();
        let vault = ring(&disk, raw(1));
        let first = vault.import_share(order[0], "ada").unwrap();
        assert_eq!(first, Import::WaitsForSecond);
        assert!(matches!(
            vault.linkage(EPOCH),
            Err(Error::NoEpochSecret { .. })
        ));
        assert!(vault.linkage_epochs().is_empty());
        // A restart in between loses nothing; the first share again changes nothing.
        disk.crash(1);
        let vault = open(&disk, "eu", raw(1)).unwrap();
        let again = vault.import_share(order[0], "ada").unwrap();
        assert_eq!(again, Import::WaitsForSecond);
        let Import::Complete { fingerprint: told } = vault.import_share(order[1], "grace").unwrap()
        else {
            panic!("two shares are not enough");
        };
        disk.crash(2);
        let vault = open(&disk, "eu", raw(1)).unwrap();
        assert_eq!(fingerprint(&vault), told);
        assert_eq!(vault.linkage_epochs(), [EPOCH]);
        fingerprints.push(told);
    }
    assert_eq!(fingerprints[0], fingerprints[1]);
    let other = ring(&SimDisk::new(), raw(1));
    for (share, person) in shares(2).iter().zip(["ada", "grace"]) {
        other.import_share(share, person).unwrap();
    }
    assert_ne!(fingerprint(&other), fingerprints[0]);
}

#[test]
fn one_person_alone_or_one_share_twice_is_refused() {
    let [a, b] = shares(1);
    let vault = ring(&SimDisk::new(), raw(1));
    vault.import_share(&a, "ada").unwrap();
    for (share, person) in [(&b, "ada"), (&a, "grace")] {
        let error = vault.import_share(share, person).unwrap_err();
        assert_eq!(error.code(), Code::Denied);
        assert!(vault.linkage_epochs().is_empty());
    }
    // The first gave up; somebody else is first.
    vault.drop_share(EPOCH).unwrap();
    assert_eq!(
        vault.import_share(&b, "ada").unwrap(),
        Import::WaitsForSecond
    );
    vault.import_share(&a, "grace").unwrap();
    let before = fingerprint(&vault);
    for share in shares(3) {
        let error = vault.import_share(&share, "mallory").unwrap_err();
        assert_eq!(error.code(), Code::Conflict);
    }
    vault.drop_share(EPOCH).unwrap();
    assert_eq!(fingerprint(&vault), before);
}

#[test]
fn a_share_is_a_line_that_is_read_exactly() {
    let [a, b] = shares(1);
    let line = a.to_line();
    let read: LinkageShare = format!("  {}\n", line.as_str()).parse().unwrap();
    assert_eq!(read.epoch(), EPOCH);
    assert_eq!(*read.to_line(), *line);
    assert_ne!(*b.to_line(), *line);
    assert!(!format!("{read:?}").contains(line.get(40..60).unwrap()));
    for at in 0..line.len() {
        let mut changed = line.as_bytes().to_vec();
        changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(changed.parse::<LinkageShare>().is_err(), "{changed}");
        assert!(line.get(..at).unwrap().parse::<LinkageShare>().is_err());
    }
    assert!(
        format!("{} more", line.as_str())
            .parse::<LinkageShare>()
            .is_err()
    );
}

#[test]
fn a_tenants_secret_is_drawn_once_and_is_not_derived() {
    let disk = SimDisk::new();
    let vault = ring(&disk, raw(1));
    for n in [1, 2] {
        vault.create_tenant(tenant(n)).unwrap();
    }
    let value = |vault: &Vault, n, purpose, epoch| {
        let prf = vault.tenant_prf(tenant(n), purpose, epoch).unwrap();
        prf.evaluate(b"heather")
    };
    let first = value(&vault, 1, Purpose::Prevalence, EPOCH);
    assert_eq!(value(&vault, 1, Purpose::Prevalence, EPOCH), first);
    assert_ne!(value(&vault, 2, Purpose::Prevalence, EPOCH), first);
    assert_ne!(value(&vault, 1, Purpose::Campaigns, EPOCH), first);
    assert_ne!(value(&vault, 1, Purpose::Prevalence, EPOCH.next()), first);
    disk.crash(3);
    let vault = open(&disk, "eu", raw(1)).unwrap();
    assert_eq!(value(&vault, 1, Purpose::Prevalence, EPOCH), first);
    // Destroyed and asked for again, it is another one: nothing in the ring brings it back.
    assert_eq!(vault.destroy_epochs_before(EPOCH.next()).unwrap(), 3);
    assert_ne!(value(&vault, 1, Purpose::Prevalence, EPOCH), first);
    let unknown = vault
        .tenant_prf(tenant(3), Purpose::Prevalence, EPOCH)
        .unwrap_err();
    assert!(matches!(unknown, Error::NoTenant { .. }));
}

#[test]
fn what_an_epoch_sealed_opens_until_the_epoch_is_destroyed() {
    let disk = SimDisk::new();
    let vault = ring(&disk, raw(1));
    let context = Fields::new("row").with_u64(1);
    let seal = vault.epoch_seal(EPOCH).unwrap();
    let sealed = seal.seal(&context, b"parcel");
    assert!(!sealed.windows(6).any(|w| w == b"parcel"));
    assert_ne!(sealed, seal.seal(&context, b"parcel"));
    assert!(seal.open(&Fields::new("row").with_u64(2), &sealed).is_err());
    let next = vault.epoch_seal(EPOCH.next()).unwrap();
    assert!(next.open(&context, &sealed).is_err());
    assert_ne!(
        next.index("column", b"value"),
        seal.index("column", b"value")
    );
    assert_ne!(
        seal.index("other", b"value"),
        seal.index("column", b"value")
    );

    disk.crash(4);
    let vault = open(&disk, "eu", raw(1)).unwrap();
    let seal = vault.known_epoch_seal(EPOCH).unwrap();
    assert_eq!(seal.open(&context, &sealed).unwrap(), b"parcel");
    assert_eq!(vault.destroy_epochs_before(EPOCH).unwrap(), 0);
    assert_eq!(vault.destroy_epochs_before(EPOCH.next()).unwrap(), 1);
    disk.crash(5);
    let vault = open(&disk, "eu", raw(1)).unwrap();
    assert!(matches!(
        vault.known_epoch_seal(EPOCH),
        Err(Error::NoEpochSecret { .. })
    ));
    assert!(vault.known_epoch_seal(EPOCH.next()).is_ok());
    let redrawn = vault.epoch_seal(EPOCH).unwrap();
    assert!(redrawn.open(&context, &sealed).is_err());
}

#[test]
fn the_ring_never_shows_a_share_a_secret_or_a_person() {
    let disk = SimDisk::new();
    let vault = ring(&disk, raw(1));
    let [a, b] = shares(1);
    let first = crypto::unhex(a.to_line().split(' ').nth(3).unwrap()).unwrap();
    vault.import_share(&a, "ada lovelace").unwrap();
    let holds = |needle: &[u8]| {
        let bytes = model::Disk::read(&disk, std::path::Path::new(super::PATH)).unwrap();
        bytes.windows(needle.len()).any(|w| w == needle)
    };
    assert!(!holds(&first) && !holds(b"ada"));
    vault.import_share(&b, "grace").unwrap();
    assert!(!holds(&first));
    let linkage = format!("{:?} {vault:?}", vault.linkage(EPOCH).unwrap());
    assert_eq!(linkage, "Linkage(epoch 24000, …) Vault(eu)");
}
