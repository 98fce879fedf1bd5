//! Tests of the centre. Everything goes through the same doors as in the program: lists and receipts are
//! signed with rings, parcels are made by `residency`, and the centre has a directory of its own.

mod attacks;
mod definition;
mod disk;
mod gate;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crypto::Signer as _;
use model::{
    ContributorToken, CountBucket, Day, Epoch, GeographyCode, IndicatorToken, RegionCode,
    SegmentId, TableName, Technique, Ticks,
};
use residency::Verified;
use residency::egress::{
    AllowList, Batch, Fact, Header, Shape, Snapshot, Transform, Value,
    parcel::{self, Parcel},
};
use testkit::SeededRandom;
use vault::Vault;

use crate::{Ack, Centre, Error, Options};

const SHA: &str = "SHA256";
const PROCESSES: &str = "DeviceProcessEvents";

/// The first day of an epoch, at noon: days of the tests count from here.
fn start() -> Ticks {
    let epoch = Epoch::at(Ticks::parse("2026-06-15").unwrap());
    Ticks(epoch.first_day().start().0 + model::ticks::PER_DAY / 2)
}

fn day(n: i64) -> Ticks {
    Ticks(start().0 + n * model::ticks::PER_DAY)
}

fn region(code: &str) -> RegionCode {
    RegionCode::new(code).unwrap()
}

fn vault(code: &str, geography: &str, seed: u64) -> Arc<Vault> {
    let geography = GeographyCode::new(geography).unwrap();
    let random = Arc::new(SeededRandom::new(seed));
    Arc::new(Vault::ephemeral(region(code), geography, random))
}

fn token(n: u8) -> IndicatorToken {
    IndicatorToken::from_bytes([n; 16])
}

fn group(n: u16) -> ContributorToken {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&n.to_le_bytes());
    ContributorToken::from_bytes(bytes)
}

/// A centre, the operator, and two cells.
struct World {
    directory: tempfile::TempDir,
    operator: Arc<Vault>,
    keys: Arc<Vault>,
    eu: Arc<Vault>,
    uk: Arc<Vault>,
    list: Verified<AllowList>,
    next_batch: u64,
}

impl World {
    fn new() -> Self {
        let operator = vault("operator", "OP", 1);
        let list = signed(&AllowList::facts(1).unwrap(), &operator);
        Self {
            directory: tempfile::tempdir().unwrap(),
            list: open_list(&list, &operator),
            operator,
            keys: vault("centre", "US", 2),
            eu: vault("eu", "EU", 3),
            uk: vault("uk", "UK", 4),
            next_batch: 0,
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn options(&self, list: &AllowList) -> Options {
        Options {
            cells: BTreeMap::from([
                (region("eu"), self.eu.public_key()),
                (region("uk"), self.uk.public_key()),
            ]),
            operator: self.operator.public_key(),
            allow_list: signed(list, &self.operator),
        }
    }

    async fn try_open(&self) -> Result<Centre, Error> {
        let options = self.options(&AllowList::facts(1).unwrap());
        Centre::open(self.path(), self.keys.clone(), options, start()).await
    }

    async fn open(&self) -> Centre {
        self.try_open().await.unwrap()
    }

    fn batch_id(&mut self) -> SegmentId {
        self.next_batch += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next_batch.to_le_bytes());
        SegmentId::from_bytes(bytes)
    }

    /// A batch of one group's hashes.
    fn batch(&mut self, of: ContributorToken, at: Ticks, hashes: &[u8]) -> Batch {
        let facts = hashes.iter().map(|n| fact(token(*n), at)).collect();
        self.batch_of(of, at, facts)
    }

    fn batch_of(&mut self, of: ContributorToken, at: Ticks, facts: Vec<Fact>) -> Batch {
        let header = Header {
            batch: self.batch_id(),
            contributor: of,
            epoch: Epoch::at(at),
        };
        Batch::new(&self.list, header, vec![shape()], facts).unwrap()
    }

    fn parcel(&mut self, of: ContributorToken, at: Ticks, hashes: &[u8]) -> Parcel {
        let batch = self.batch(of, at, hashes);
        parcel::pack_batch(&batch, &region("eu"), at, &*self.eu).unwrap()
    }

    /// One group reports hashes through the EU cell.
    async fn report(&mut self, centre: &Centre, of: u16, at: Ticks, hashes: &[u8]) -> Ack {
        let parcel = self.parcel(group(of), at, hashes);
        centre
            .receive(&region("eu"), &parcel.bytes, at)
            .await
            .unwrap()
    }

    /// A verified snapshot of now.
    async fn publish(&self, centre: &Centre, at: Ticks) -> Snapshot {
        let published = centre.publish(at).await.unwrap();
        Snapshot::verify(published.bytes, &self.keys.public_key(), None).unwrap()
    }
}

fn signed(list: &AllowList, operator: &Vault) -> Vec<u8> {
    list.sign(operator).unwrap()
}

fn open_list(bytes: &[u8], operator: &Vault) -> Verified<AllowList> {
    AllowList::open(bytes, &operator.public_key(), None).unwrap()
}

fn shape() -> Shape {
    Shape {
        table: TableName::new(PROCESSES).unwrap(),
        column: SHA.to_owned(),
        transform: Transform::IndicatorFileSha256,
        has_count: true,
        has_technique: true,
    }
}

fn fact(token: IndicatorToken, at: Ticks) -> Fact {
    Fact {
        shape: 0,
        value: Value::Token(token),
        day: Day::of(at),
        technique: None,
        count: Some(CountBucket::of(1)),
    }
}

fn technique(text: &str) -> Technique {
    text.parse().unwrap()
}
