//! The whole way: rows in two cells, tokens, parcels, the centre, a snapshot, and the answer to a cell
//! that asks about a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use centre::{Centre, Options};
use crypto::Signer as _;
use model::{Epoch, IndicatorClass, OwnerGroupId, Purpose, SegmentId, TenantId, Ticks};
use residency::Verified;
use residency::egress::{AllowList, Snapshot};
use vault::Vault;

use super::{link, no_alerts, rows, table, tokens_of, vault};
use crate::{Gatherer, Group, Own, canonical, contributor};

/// Seen by everybody.
const TOOL: &str = "11111111111111111111111111111111aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// A document of one tenant, executed nowhere.
const DOCUMENT: &str = "22222222222222222222222222222222bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// A program of one tenant's own.
const PRIVATE: &str = "33333333333333333333333333333333cccccccccccccccccccccccccccccccc";

fn arrived() -> Ticks {
    Ticks::parse("2026-03-10T12:00:00Z").unwrap()
}

struct Cell {
    ring: Arc<Vault>,
    list: Verified<AllowList>,
    sent: Vec<Vec<u8>>,
}

impl Cell {
    /// What the cell's export does with a segment of a tenant.
    async fn export(
        &mut self,
        centre: &Centre,
        tenant: TenantId,
        owner: Option<OwnerGroupId>,
        segment: u8,
    ) {
        let epoch = Epoch::at(arrived());
        let own = Own::new(["contoso.com"], []);
        let mut gatherer = Gatherer::new(&self.list, &own);
        let person = [
            ("AccountName", "heather.nguyen"),
            ("DeviceName", "heather-laptop"),
        ];
        let ran = rows(
            "DeviceProcessEvents",
            arrived(),
            &[
                &[("SHA256", TOOL), person[0]],
                &[("InitiatingProcessSHA256", PRIVATE), person[1]],
            ],
        );
        let program = if segment == 0 { &ran } else { &ran.slice(0, 1) };
        gatherer
            .add(&table("DeviceProcessEvents"), program, &no_alerts())
            .unwrap();
        let document = rows(
            "DeviceFileEvents",
            arrived(),
            &[&[("SHA256", DOCUMENT), person[1]]],
        );
        gatherer
            .add(&table("DeviceFileEvents"), &document, &no_alerts())
            .unwrap();
        let tokens = tokens_of(&self.ring, epoch, &gatherer.wanted());
        let linkage = self.ring.linkage(epoch).unwrap();
        let prf = linkage.contributors(Purpose::Prevalence);
        let who = contributor(&prf, Group::of(tenant, owner), Purpose::Prevalence, epoch);
        let segment = SegmentId::from_bytes([100 + segment; 16]);
        let batch = gatherer.finish(segment, who, &tokens).unwrap().unwrap();
        let parcel = batch
            .pack(self.ring.region(), arrived(), &*self.ring)
            .unwrap();
        centre
            .receive(self.ring.region(), &parcel.bytes, arrived())
            .await
            .unwrap();
        self.sent.push(parcel.bytes);
    }
}

#[tokio::test]
async fn what_ten_groups_ran_is_known_and_what_one_has_is_not() {
    let operator = vault("op", 1);
    let signed = AllowList::facts(1).unwrap().sign(&*operator).unwrap();
    let list = || AllowList::open(&signed, &operator.public_key(), None).unwrap();
    let (eu, uk, keys) = (vault("eu", 2), vault("uk", 3), vault("us", 4));
    let epoch = Epoch::at(arrived());
    link(&[&eu, &uk], epoch);
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        cells: BTreeMap::from([
            (eu.region().clone(), eu.public_key()),
            (uk.region().clone(), uk.public_key()),
        ]),
        operator: operator.public_key(),
        allow_list: signed.clone(),
    };
    let centre = Centre::open(directory.path(), keys.clone(), options, arrived())
        .await
        .unwrap();
    let mut cells = [eu, uk].map(|ring| Cell {
        ring,
        list: list(),
        sent: Vec::new(),
    });

    // Five tenants of one provider in both geographies, and eight that stand alone: nine groups.
    let provider = OwnerGroupId::from_bytes([9; 16]);
    for n in 0..13_u8 {
        let tenant = TenantId::from_bytes([n; 16]);
        let owner = (n < 5).then_some(provider);
        cells[usize::from(n % 2)]
            .export(&centre, tenant, owner, n)
            .await;
    }
    let ask = |snapshot: &Snapshot, ring: &Vault, text: &str| {
        let indicator = canonical::indicator(IndicatorClass::FileSha256, text).unwrap();
        let token = tokens_of(ring, epoch, std::slice::from_ref(&indicator))[&indicator];
        snapshot
            .lookup(epoch, &token)
            .map(|told| told.groups.at_least())
    };
    let published = async |at| {
        let bytes = centre.publish(at).await.unwrap().bytes;
        Snapshot::verify(bytes, &keys.public_key(), None).unwrap()
    };
    assert_eq!(ask(&published(arrived()).await, &cells[0].ring, TOOL), None);
    for n in 13..16_u8 {
        cells[0]
            .export(&centre, TenantId::from_bytes([n; 16]), None, n)
            .await;
    }
    let snapshot = published(arrived()).await;
    for cell in &cells {
        assert_eq!(ask(&snapshot, &cell.ring, &TOOL.to_uppercase()), Some(10));
        assert_eq!(ask(&snapshot, &cell.ring, PRIVATE), None);
        assert_eq!(ask(&snapshot, &cell.ring, DOCUMENT), None);
    }
    // The private program is held, as a token that nobody is told of; the document never left.
    assert_eq!(centre.status().await.unwrap().epochs[0].indicators, 2);

    let sent: Vec<u8> = cells.iter().flat_map(|cell| cell.sent.concat()).collect();
    let tenant = TenantId::from_bytes([12; 16]).to_string();
    for clear in [
        "heather",
        TOOL,
        DOCUMENT,
        PRIVATE,
        "contoso",
        tenant.as_str(),
    ] {
        assert!(
            !sent.windows(clear.len()).any(|w| w == clear.as_bytes()),
            "{clear}"
        );
    }
    for raw in [[0x11; 16], [0x22; 16], [0x33; 16], *provider.as_bytes()] {
        assert!(!sent.windows(16).any(|w| w == raw));
    }
}
