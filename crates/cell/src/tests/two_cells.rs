//! A UK tenant whose identity rests in the EU: each cell takes its own rows and hands back the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use access::{
    Credential, Cx, Discard, Hunt, Ingest, ManageSources, ManageTokens, Operate, Policy, ReadTenant,
};
use crypto::{PublicKey, Signer as _};
use futures::future::BoxFuture;
use model::{Code, Diagnostic, RegionCode, RequestId, ServiceName, SourceId, TableName, TenantId};
use residency::{DEFAULT_REGISTRY, Draft, Settings, TenantFacts};
use store::catalogue::SqliteCatalogue;
use store::{LocalDir, Store, TemporaryFiles, View};
use testkit::{FakeClock, SeededRandom};
use vault::{SigningKey, Vault};

use crate::{
    Cell, CellOptions, Error, HuntAnswer, HuntOptions, HuntSchema, Hunting, IngestOutcome,
    IngestRequest, PeerError, PeerPort, Prepared, ProvisionRequest, Refusal, SourceRequest,
    TokenRequest, region_of_token,
};

/// Reads table names separated by blanks, and answers with nothing.
#[derive(Debug)]
struct Names;

impl Hunting for Names {
    fn prepare(&self, text: &str, _schema: &HuntSchema, _now: model::Ticks) -> Prepared {
        let tables = text
            .split_whitespace()
            .map(|name| TableName::new(name).unwrap());
        Prepared {
            tables: tables.collect::<BTreeSet<_>>(),
            diagnostics: Vec::<Diagnostic>::new(),
            plan: Some(Box::new(())),
        }
    }

    fn run(
        &self,
        _prepared: Prepared,
        _view: View,
        _temporary: TemporaryFiles,
        _options: HuntOptions,
    ) -> BoxFuture<'_, Result<HuntAnswer, Error>> {
        Box::pin(std::future::ready(Ok(HuntAnswer::default())))
    }
}

/// The cells of one process.
#[derive(Debug, Default)]
struct Link {
    keys: BTreeMap<RegionCode, PublicKey>,
    cells: OnceLock<BTreeMap<RegionCode, Cell>>,
}

impl PeerPort for Link {
    fn key_of(&self, region: &RegionCode) -> Option<PublicKey> {
        self.keys.get(region).copied()
    }

    fn deliver_profile<'a>(
        &'a self,
        region: &'a RegionCode,
        home: &'a RegionCode,
        profile: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>> {
        Box::pin(async move {
            let cell = self.cells.get().and_then(|cells| cells.get(region));
            let cell = cell.ok_or(PeerError::Unreachable)?;
            let taken = cell.accept_profile(home, profile).await;
            taken.map_err(|e| PeerError::Refused(e.code()))
        })
    }
}

struct World {
    cells: BTreeMap<RegionCode, Cell>,
    _dirs: Vec<tempfile::TempDir>,
}

fn region(code: &str) -> RegionCode {
    RegionCode::new(code).unwrap()
}

impl World {
    async fn new() -> Self {
        let operator = SigningKey::generate(&SeededRandom::new(1));
        let signed = Draft::parse(DEFAULT_REGISTRY.as_bytes())
            .unwrap()
            .sign(&operator);
        let mut vaults = BTreeMap::new();
        for (seed, (code, geography)) in (10..).zip([("eu", "EU"), ("uk", "UK"), ("us", "US")]) {
            let geography = model::GeographyCode::new(geography).unwrap();
            let random = Arc::new(SeededRandom::new(seed));
            let vault = Vault::ephemeral(region(code), geography, random);
            vaults.insert(region(code), Arc::new(vault));
        }
        let keys = vaults
            .iter()
            .map(|(code, vault)| (code.clone(), vault.public_key()))
            .collect();
        let link = Arc::new(Link {
            keys,
            cells: OnceLock::new(),
        });
        let (mut cells, mut dirs) = (BTreeMap::new(), Vec::new());
        for (seed, (code, vault)) in (20..).zip(&vaults) {
            let dir = tempfile::tempdir().unwrap();
            let random = Arc::new(SeededRandom::new(seed));
            let policy = Arc::new(Policy::shipped().unwrap());
            let clock = FakeClock::default();
            let cx = Cx::new(Arc::new(clock), random, Arc::new(Discard), policy);
            let path = dir.path().join("catalogue.db");
            let catalogue = SqliteCatalogue::open(&path, code, vault.geography(), cx.now())
                .await
                .unwrap();
            let options = store::Options {
                disk: Arc::new(LocalDir::open(dir.path()).unwrap()),
                catalogue: Arc::new(catalogue),
                vault: vault.clone(),
                log: wal::Options::default(),
            };
            let options = CellOptions {
                store: Store::open(cx.clone(), options).await.unwrap(),
                registry_key: operator.public_key(),
                registry_least_version: 1,
                hunting: Arc::new(Names),
                peers: link.clone(),
            };
            let cell = Cell::open(cx, options).await.unwrap();
            let operate = cell
                .cx()
                .decide_cell::<Operate>(&Credential::local_operator())
                .unwrap();
            cell.accept_registry(&operate, &signed).await.unwrap();
            cells.insert(code.clone(), cell);
            dirs.push(dir);
        }
        link.cells.set(cells.clone()).unwrap();
        Self { cells, _dirs: dirs }
    }

    fn cell(&self, code: &str) -> &Cell {
        &self.cells[&region(code)]
    }

    /// Provisions a tenant at its home, with one source of endpoint and identity rows.
    async fn tenant(&self, home: &str, country: &str) -> (TenantId, SourceId) {
        let (cell, me) = (self.cell(home), Credential::local_operator());
        let operate = cell.cx().decide_cell::<Operate>(&me).unwrap();
        let country = cell.registry().unwrap().find_country(country).unwrap().code;
        let facts = TenantFacts {
            country,
            geography: None,
        };
        let confirmed = cell.plan(&operate, &facts).unwrap().digest();
        let request = ProvisionRequest {
            name: "Test".to_owned(),
            facts,
            confirmed,
            settings: Settings::closed(90),
            tenant: None,
        };
        let tenant = cell.provision(&operate, request).await.unwrap().tenant;
        let grant = cell.cx().decide::<ManageSources>(&me, tenant).unwrap();
        let services = ["endpoint", "identity"].map(|s| ServiceName::new(s).unwrap());
        let request = SourceRequest {
            name: "export".to_owned(),
            services: services.to_vec(),
            envelope_tenant: None,
            domain_controllers: Vec::new(),
            source: None,
        };
        let source = cell.add_source(&grant, request).await.unwrap().entry.source;
        (tenant, source)
    }

    async fn ingest(&self, code: &str, tenant: TenantId, source: SourceId) -> IngestOutcome {
        let cell = self.cell(code);
        let me = Credential::local_operator();
        let grant = cell.cx().decide::<Ingest>(&me, tenant).unwrap();
        let record = |table: &str, unique: u32| {
            format!(
                "{{\"category\":\"AdvancedHunting-{table}\",\"properties\":{{\"Timestamp\":\"2026-01-01T00:00:00Z\",\"ReportId\":\"{unique}\"}}}}"
            )
        };
        let lines = [
            record("DeviceEvents", 1),
            record("IdentityLogonEvents", 2),
            record("EmailEvents", 3),
            record("DeviceEvents", 4),
        ];
        let request = IngestRequest {
            format: None,
            encoding: None,
            content_type: None,
            raw_table: None,
            time_column: None,
            body: lines.join("\n").into_bytes(),
            request: RequestId::from_bytes([0; 16]),
            dry_run: false,
        };
        cell.ingest(&grant, source, request).await.unwrap()
    }

    async fn hunt(&self, code: &str, tenant: TenantId, tables: &str) -> Result<HuntAnswer, Error> {
        let cell = self.cell(code);
        let grant = cell
            .cx()
            .decide::<Hunt>(&Credential::local_operator(), tenant)
            .unwrap();
        cell.hunt(&grant, tables, HuntOptions::default()).await
    }
}

#[tokio::test]
async fn each_cell_takes_its_own_rows_of_a_mixed_batch() {
    let world = World::new().await;
    let (tenant, source) = world.tenant("uk", "GB").await;

    let home = world.ingest("uk", tenant, source).await;
    assert_eq!((home.read, home.stored), (4, 2));
    let [elsewhere] = &*home.wrong_region else {
        panic!("{:?}", home.wrong_region);
    };
    assert_eq!((elsewhere.record, elsewhere.region.as_str()), (1, "eu"));
    let [refused] = &*home.rejected else {
        panic!("{:?}", home.rejected);
    };
    assert_eq!(
        (refused.record, refused.code),
        (2, Code::ServiceNotDeclared)
    );
    // Both say which bytes they are, and the refusal says of what it is about.
    assert!(elsewhere.offset > Some(0) && refused.offset > elsewhere.offset);
    let table = refused.table.as_ref().map(TableName::as_str);
    let service = refused.service.as_ref().map(ServiceName::as_str);
    assert_eq!((table, service), (Some("EmailEvents"), Some("email")));
    assert_eq!(
        (home.tally.mapped, home.tally.raw),
        (2, 0),
        "only what rests here is counted as kept"
    );

    // The second cell knows the tenant and its source by the signed profile alone.
    let second = world.ingest("eu", tenant, source).await;
    assert_eq!(second.stored, 1);
    let elsewhere: Vec<_> = second
        .wrong_region
        .iter()
        .map(|m| (m.record, m.region.as_str()))
        .collect();
    assert_eq!(elsewhere, [(0, "uk"), (3, "uk")]);

    let again = world.ingest("eu", tenant, source).await;
    assert_eq!((again.stored, again.duplicates), (0, 1));

    // A third region has never heard of the tenant.
    let us = world.cell("us");
    let grant = us
        .cx()
        .decide::<ReadTenant>(&Credential::local_operator(), tenant)
        .unwrap();
    assert_eq!(us.tenant(&grant).unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_hunt_is_never_partial() {
    let world = World::new().await;
    let (tenant, _) = world.tenant("uk", "GB").await;
    assert!(
        world
            .hunt("uk", tenant, "DeviceEvents EmailEvents")
            .await
            .is_ok()
    );
    assert!(
        world
            .hunt("eu", tenant, "IdentityLogonEvents")
            .await
            .is_ok()
    );
    let elsewhere = world
        .hunt("uk", tenant, "IdentityLogonEvents")
        .await
        .unwrap_err();
    assert_eq!(elsewhere.code(), Code::WrongRegion);
    let several = world
        .hunt("uk", tenant, "DeviceEvents IdentityLogonEvents")
        .await
        .unwrap_err();
    assert_eq!(several.code(), Code::SeveralGeographies);
    assert_eq!(
        several.to_string(),
        "the query's tables rest in several geographies: `DeviceEvents` in UK, `IdentityLogonEvents` in EU"
    );
    let all: Vec<String> = ["DeviceEvents"; 7].map(str::to_owned).to_vec();
    let many = Error::SeveralGeographies(
        all.iter()
            .map(|t| {
                (
                    TableName::new(t).unwrap(),
                    model::GeographyCode::new("EU").unwrap(),
                )
            })
            .collect(),
    );
    assert!(many.to_string().ends_with(", and 2 more"), "{many}");
    let (norwegian, _) = world.tenant("eu", "NO").await;
    let refused = world
        .hunt("eu", norwegian, "EmailEvents")
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ServiceRefused);
}

#[tokio::test]
async fn a_forged_or_misdirected_profile_is_refused() {
    let world = World::new().await;
    let eu = world.cell("eu");
    let none = eu
        .accept_profile(&region("uk"), b"bailiwick-signed v1 cell-profile")
        .await;
    assert_eq!(none.unwrap_err().code(), Code::BadRequest);
    let text = b"bailiwick-signed v1 cell-profile 00 00\n{\"home\":\"uk\"}";
    let forged = eu.accept_profile(&region("uk"), text).await.unwrap_err();
    assert!(
        matches!(forged.code(), Code::BadSignature | Code::BadDocument),
        "{forged}"
    );
    let unknown = b"x\n{\"home\":\"fr\"}";
    assert_eq!(
        eu.accept_profile(&region("fr"), unknown)
            .await
            .unwrap_err()
            .code(),
        Code::BadRequest
    );
}

#[tokio::test]
async fn a_token_says_its_region_and_nothing_else() {
    let world = World::new().await;
    let (tenant, source) = world.tenant("uk", "GB").await;
    let uk = world.cell("uk");
    let grant = uk
        .cx()
        .decide::<ManageTokens>(&Credential::local_operator(), tenant)
        .unwrap();
    let scope = access::Scope::of(access::Permissions::only(access::Permission::Ingest));
    let request = TokenRequest {
        name: "t".to_owned(),
        scope: scope.for_source(source),
        days: 1,
    };
    let minted = uk.mint_token(&grant, request).await.unwrap();
    assert_eq!(region_of_token(&minted.text), Some(region("uk")));
    assert!(uk.authenticate(&minted.text).await.is_ok());
    let eu = world.cell("eu");
    let refused = eu.authenticate(&minted.text).await.unwrap_err();
    assert_eq!(refused, Refusal::WrongRegion(region("uk")));
    let invented = format!("bwt_uk_{}", "0".repeat(64));
    assert_eq!(
        eu.authenticate(&invented).await.unwrap_err(),
        refused,
        "alike for an invented one"
    );
    assert_eq!(
        uk.authenticate(&invented).await.unwrap_err(),
        Refusal::Unauthenticated
    );
    uk.revoke_token(&grant, minted.entry.token).await.unwrap();
    assert_eq!(
        uk.authenticate(&minted.text).await.unwrap_err(),
        Refusal::Unauthenticated
    );
}
