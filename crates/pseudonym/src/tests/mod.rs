//! Tests: canonical forms, tokens, facts, and the whole way from rows to the snapshot.

mod canonical;
mod domain;
mod facts;
mod story;
mod vectors;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crypto::Signer as _;
use model::{
    Epoch, GeographyCode, Indicator, IndicatorToken, IndicatorTokens as _, Purpose, RegionCode,
    RowId, Schema, ServiceName, SourceId, TableName, Technique, Ticks,
};
use residency::Verified;
use residency::egress::AllowList;
use rows::{RecordBatch, TableBuilder, hidden};
use testkit::SeededRandom;
use vault::{LinkageShare, Vault};

/// A ring of a region.
fn vault(code: &str, seed: u64) -> Arc<Vault> {
    let region = RegionCode::new(code).unwrap();
    let geography = GeographyCode::new(&code.to_uppercase()).unwrap();
    let random = Arc::new(SeededRandom::new(seed));
    Arc::new(Vault::ephemeral(region, geography, random))
}

/// Two people bring the same two shares to each ring.
fn link(rings: &[&Vault], epoch: Epoch) {
    let random = SeededRandom::new(u64::from(epoch.0));
    let shares = [0, 1].map(|_| LinkageShare::random(epoch, &random));
    for ring in rings {
        for (share, person) in shares.iter().zip(["ada", "grace"]) {
            ring.import_share(share, person).unwrap();
        }
    }
}

fn verified(list: &AllowList) -> Verified<AllowList> {
    let operator = vault("op", 99);
    let bytes = list.sign(&*operator).unwrap();
    AllowList::open(&bytes, &operator.public_key(), None).unwrap()
}

fn facts_list() -> Verified<AllowList> {
    verified(&AllowList::facts(1).unwrap())
}

/// Rows of a table with the given columns set, stamped as stored rows are.
fn rows(table: &str, arrived: Ticks, rows: &[&[(&str, &str)]]) -> RecordBatch {
    let of = Schema::hunting().table(table).unwrap();
    let mut builder = TableBuilder::known(of);
    for (n, row) in rows.iter().enumerate() {
        for (name, value) in *row {
            let (at, _) = of.column(name).unwrap();
            let set = match *name {
                "Timestamp" => builder.set_ticks(at, Ticks::parse(value).unwrap()),
                _ => builder.set_text(at, value),
            };
            assert!(set, "{name}");
        }
        builder.end_row(u64::try_from(n).unwrap(), |_| {});
    }
    let ids: Vec<RowId> = (0..rows.len()).map(row_id).collect();
    let stamp = hidden::Stamp {
        ingested_at: arrived,
        service: &ServiceName::new("endpoint").unwrap(),
        source: SourceId::from_bytes([5; 16]),
        row_ids: &ids,
    };
    hidden::stamp(&builder.finish().unwrap().batch, &stamp).unwrap()
}

fn row_id(n: usize) -> RowId {
    RowId::from_bytes([u8::try_from(n).unwrap(); 16])
}

fn table(name: &str) -> TableName {
    TableName::new(name).unwrap()
}

fn no_alerts() -> BTreeMap<RowId, BTreeSet<Technique>> {
    BTreeMap::new()
}

/// What the cell does with the port.
fn tokens_of(
    ring: &Vault,
    epoch: Epoch,
    wanted: &[Indicator],
) -> BTreeMap<Indicator, IndicatorToken> {
    let tokens = now(ring.tokens(Purpose::Prevalence, epoch, wanted)).unwrap();
    wanted.iter().cloned().zip(tokens).collect()
}

/// A future that is there at once: version 1 of the port waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("version 1 of the port waited"),
    }
}
