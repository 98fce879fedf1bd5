//! What the tests share: cells over temporary directories, with a query engine that does as it is told.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::{Credential, Cx, Discard, Only, Operate, Permission, Permissions, Policy, Scope};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use cell::{
    AllowList, Cell, CellOptions, CentrePort, HuntAnswer, HuntColumn, HuntCompletion,
    HuntCompletions, HuntOptions, HuntSchema, Hunting, NoPeers, PeerError, Prepared,
    ProvisionRequest, Settings, SourceRequest, TenantFacts, TokenRequest, View,
};
use crypto::{PublicKey, Signer as _};
use futures::future::BoxFuture;
use model::{
    ColumnType, Diagnostic, RegionCode, ServiceName, SourceId, Span, TableName, TenantId, Ticks,
    TokenId,
};
use residency::egress::{Acknowledgement, Receipt, parcel};
use residency::{CountryCode, DEFAULT_REGISTRY, Draft};
use rows::arrow::array::{
    ArrayRef, BooleanArray, Decimal256Array, Float64Array, Int32Array, Int64Array, StringArray,
};
use rows::arrow::datatypes::{Schema, i256};
use rows::{RecordBatch, types};
use serde_json::Value;
use store::catalogue::SqliteCatalogue;
use store::{LocalDir, Store, TemporaryFiles};
use tempfile::TempDir;
use testkit::{FakeClock, SeededRandom};
use tower::ServiceExt as _;
use vault::{SigningKey, Vault};

use crate::ApiOptions;

/// Answers by the first word of the query.
#[derive(Debug, Default)]
pub(super) struct Engine {
    /// Whether a hunt that waited was told to stop.
    pub(super) cancelled: Arc<AtomicBool>,
}

impl Hunting for Engine {
    fn prepare(&self, text: &str, _schema: &HuntSchema, _now: Ticks) -> Prepared {
        let table = |name: &str| BTreeSet::from([TableName::new(name).unwrap()]);
        let bad =
            Diagnostic::error("KQL0001", Span::new(4, 7), "no such thing").with_help("mend it");
        let (tables, diagnostics) = match text {
            "bad\nquery" => (BTreeSet::new(), vec![bad]),
            "devices" => (table("DeviceInfo"), Vec::new()),
            "identities" => (table("IdentityLogonEvents"), Vec::new()),
            _ => (BTreeSet::new(), Vec::new()),
        };
        let plan = diagnostics
            .is_empty()
            .then(|| Box::new(text.to_owned()) as _);
        Prepared {
            tables,
            diagnostics,
            columns: None,
            has_several: false,
            plan,
        }
    }

    fn complete(&self, text: &str, offset: usize, schema: &HuntSchema) -> HuntCompletions {
        let own = schema.raw.tables().map(|(table, _)| table.to_string());
        let shipped = ["DeviceEvents", "DeviceInfo"].map(ToOwned::to_owned);
        let item = |label: String| HuntCompletion {
            label,
            kind: "table",
            detail: String::new(),
            doc: String::new(),
        };
        HuntCompletions {
            span: Span::new(0, u32::try_from(offset.min(text.len())).unwrap_or(0)),
            items: shipped.into_iter().chain(own).map(item).collect(),
        }
    }

    fn format(&self, text: &str) -> Result<String, Vec<Diagnostic>> {
        if text.contains("bad") {
            return Err(vec![Diagnostic::error("KQL0003", Span::default(), "bad")]);
        }
        Ok(text.trim().to_owned())
    }

    fn run(
        &self,
        prepared: Prepared,
        _view: View,
        _temporary: TemporaryFiles,
        options: HuntOptions,
    ) -> BoxFuture<'_, Result<HuntAnswer, cell::Error>> {
        Box::pin(async move {
            let text = prepared.plan.unwrap().downcast::<String>().unwrap();
            match text.as_str() {
                "panic" => panic!("the engine fell over at a secret value"),
                "wait" => {
                    while !options.cancel.load(Ordering::Acquire) {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    self.cancelled.store(true, Ordering::Release);
                    Ok(HuntAnswer::default())
                }
                _ => Ok(every_type()),
            }
        })
    }
}

/// When the centre of the tests says that it had a parcel.
pub(super) const ACKNOWLEDGED: &str = "2026-01-01T12:34:56.0000000Z";

/// A centre that keeps what it is handed, and hands out the snapshot it is given.
#[derive(Debug)]
pub(super) struct Centre {
    pub(super) key: SigningKey,
    pub(super) batches: Mutex<Vec<Vec<u8>>>,
    pub(super) snapshot: Mutex<Option<Vec<u8>>>,
}

impl CentrePort for Centre {
    fn key(&self) -> Option<PublicKey> {
        Some(self.key.public_key())
    }

    fn submit<'a>(&'a self, batch: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, PeerError>> {
        self.batches.lock().unwrap().push(batch.to_vec());
        let (receipt, _) = parcel::split(batch).unwrap();
        let line = receipt.iter().position(|b| *b == b'\n').unwrap();
        let receipt: Receipt = serde_json::from_slice(&receipt[line + 1..]).unwrap();
        let at = Ticks::parse(ACKNOWLEDGED).unwrap();
        let signed = Acknowledgement::sign(&receipt, at, &self.key);
        Box::pin(std::future::ready(Ok(signed.unwrap())))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Option<Vec<u8>>, PeerError>> {
        Box::pin(std::future::ready(Ok(self
            .snapshot
            .lock()
            .unwrap()
            .clone())))
    }
}

/// Two rows with a column of every type: values, then nulls.
pub(super) fn every_type() -> HuntAnswer {
    let at = Ticks::parse("2026-03-04T05:06:07.1234567Z").unwrap().0;
    let decimal =
        Decimal256Array::from(vec![Some(i256::from_i128(-150_000_000_000_000_000)), None]);
    let columns: Vec<(&str, ColumnType, ArrayRef)> = vec![
        (
            "b",
            ColumnType::Bool,
            Arc::new(BooleanArray::from(vec![Some(true), None])),
        ),
        (
            "t",
            ColumnType::DateTime,
            Arc::new(Int64Array::from(vec![Some(at), None])),
        ),
        (
            "s",
            ColumnType::TimeSpan,
            Arc::new(Int64Array::from(vec![Some(-864_000_000_001), None])),
        ),
        (
            "i",
            ColumnType::Int,
            Arc::new(Int32Array::from(vec![Some(-3), None])),
        ),
        (
            "l",
            ColumnType::Long,
            Arc::new(Int64Array::from(vec![Some(i64::MAX), None])),
        ),
        (
            "r",
            ColumnType::Real,
            Arc::new(Float64Array::from(vec![Some(f64::NEG_INFINITY), None])),
        ),
        (
            "x",
            ColumnType::String,
            Arc::new(StringArray::from(vec![Some("a \"b\",\nc"), Some("")])),
        ),
        (
            "d",
            ColumnType::Dynamic,
            Arc::new(StringArray::from(vec![
                Some("{\"z\":1.50,\n\"a\":[null]}"),
                None,
            ])),
        ),
        (
            "g",
            ColumnType::Guid,
            Arc::new(StringArray::from(vec![
                Some("00000000-0000-0000-0000-000000000001"),
                None,
            ])),
        ),
        (
            "n",
            ColumnType::Decimal,
            Arc::new(decimal.with_precision_and_scale(76, 17).unwrap()),
        ),
    ];
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, ty, array)| {
            // As the engine answers: a decimal is wider than where it is stored.
            types::field(name, *ty).with_data_type(array.data_type().clone())
        })
        .collect();
    let arrays = columns.iter().map(|(.., array)| array.clone()).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let columns = columns.iter().map(|(name, ty, _)| HuntColumn {
        name: (*name).to_owned(),
        column_type: *ty,
    });
    HuntAnswer {
        columns: columns.collect(),
        batches: vec![batch],
        ..HuntAnswer::default()
    }
}

/// One region behind its router.
pub(super) struct Region {
    pub(super) cell: Cell,
    pub(super) router: Router,
    pub(super) clock: FakeClock,
    pub(super) engine: Arc<Engine>,
    pub(super) centre: Arc<Centre>,
    pub(super) operator: String,
    _data: TempDir,
}

/// A tenant with a source and credentials for everything.
pub(super) struct Customer {
    pub(super) tenant: TenantId,
    pub(super) source: SourceId,
    /// Every permission of a tenant.
    pub(super) token: String,
    /// A token to be named in paths.
    pub(super) victim: TokenId,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// The registry of all tests, signed: the shipped one with an address for the UK.
pub(super) fn registry(key: &SigningKey) -> Vec<u8> {
    let shipped = Draft::parse(DEFAULT_REGISTRY.as_bytes()).unwrap();
    let mut document = shipped.document().clone();
    let uk = document
        .regions
        .iter_mut()
        .find(|r| r.code.as_str() == "uk")
        .unwrap();
    uk.url = Some("https://uk.example".to_owned());
    Draft::of(document).unwrap().sign(key)
}

impl Region {
    pub(super) async fn new(code: &str) -> Self {
        Self::with(code, ApiOptions::default()).await
    }

    pub(super) async fn with(code: &str, options: ApiOptions) -> Self {
        let random = Arc::new(SeededRandom::new(7));
        let key = SigningKey::generate(&*random);
        let signed = registry(&key);
        let known = residency::Registry::accept(&signed, &key.public_key(), 1, None).unwrap();
        let code = RegionCode::new(code).unwrap();
        let geography = known.region(&code).unwrap().geography.clone();
        // Other regions have other keys.
        let own = Arc::new(SeededRandom::new(u64::from(code.as_str().as_bytes()[1])));
        let vault = Arc::new(Vault::ephemeral(
            code.clone(),
            geography.clone(),
            own.clone(),
        ));
        let clock = FakeClock::default();
        let policy = Arc::new(Policy::shipped().unwrap());
        let cx = Cx::new(Arc::new(clock.clone()), own, Arc::new(Discard), policy);
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("catalogue.db");
        let catalogue = SqliteCatalogue::open(&path, &code, &geography, cx.now())
            .await
            .unwrap();
        let options_of_store = store::Options {
            disk: Arc::new(LocalDir::open(data.path()).unwrap()),
            catalogue: Arc::new(catalogue),
            vault,
            log: wal::Options::default(),
        };
        let store = Store::open_with_detection(cx.clone(), options_of_store)
            .await
            .unwrap();
        let engine = Arc::new(Engine::default());
        let facts = AllowList::facts(1).unwrap().sign(&key).unwrap();
        let allowed = AllowList::open(&facts, &key.public_key(), None).unwrap();
        let centre = Arc::new(Centre {
            key: SigningKey::generate(&*random),
            batches: Mutex::default(),
            snapshot: Mutex::default(),
        });
        let cell_options = CellOptions {
            link_waiting_max: model::limits::LINK_OUTBOX_ENTRIES_MAX,
            store,
            registry_key: key.public_key(),
            registry_least_version: 1,
            hunting: engine.clone(),
            peers: Arc::new(NoPeers),
            centre: centre.clone(),
            allow_list: Some(Arc::new(allowed)),
        };
        let cell = Cell::open(cx, cell_options).await.unwrap();
        let local = Credential::local_operator();
        let operate = cell.cx().decide_cell::<Operate>(&local).unwrap();
        cell.accept_registry(&operate, &signed).await.unwrap();
        let minted = cell.mint_operator(&operate, "operator", 366).await.unwrap();
        let operator = minted.text.to_string();
        let router = crate::router(cell.clone(), options);
        Self {
            cell,
            router,
            clock,
            engine,
            centre,
            operator,
            _data: data,
        }
    }

    /// Provisions a tenant of that country.
    pub(super) async fn customer(&self, country: &str) -> Customer {
        let local = Credential::local_operator();
        let cx = self.cell.cx();
        let operate = cx.decide_cell::<Operate>(&local).unwrap();
        let facts = TenantFacts {
            country: CountryCode::new(country).unwrap(),
            geography: None,
        };
        let plan = self.cell.plan(&operate, &facts).unwrap();
        let request = ProvisionRequest {
            name: format!("customer of {country}"),
            facts,
            confirmed: plan.digest(),
            settings: Settings::closed(90),
            tenant: None,
        };
        let tenant = self.cell.provision(&operate, request).await.unwrap().tenant;
        let services = ["endpoint", "identity", "email"].map(|s| ServiceName::new(s).unwrap());
        let request = SourceRequest {
            name: "export".to_owned(),
            services: services.to_vec(),
            envelope_tenant: None,
            domain_controllers: Vec::new(),
            source: None,
        };
        let grant = cx.decide(&local, tenant).unwrap();
        let source = self
            .cell
            .add_source(&grant, request)
            .await
            .unwrap()
            .entry
            .source;
        let token = self
            .token(tenant, Scope::of(Permissions::TENANT), 366)
            .await
            .1;
        let victim = self
            .token(tenant, Scope::of(Permissions::TENANT), 366)
            .await
            .0;
        Customer {
            tenant,
            source,
            token,
            victim,
        }
    }

    /// Mints a token of a tenant.
    pub(super) async fn token(
        &self,
        tenant: TenantId,
        scope: Scope,
        days: i64,
    ) -> (TokenId, String) {
        let grant = self
            .cell
            .cx()
            .decide(&Credential::local_operator(), tenant)
            .unwrap();
        let request = TokenRequest {
            name: "token".to_owned(),
            scope,
            days,
        };
        let minted = self.cell.mint_token(&grant, request).await.unwrap();
        (minted.entry.token, minted.text.to_string())
    }

    /// A token of a tenant for some permissions and sources.
    pub(super) async fn token_for(
        &self,
        tenant: TenantId,
        permissions: &[Permission],
        sources: Only<SourceId>,
    ) -> String {
        let scope = Scope {
            sources,
            ..Scope::of(permissions.iter().copied().collect())
        };
        self.token(tenant, scope, 366).await.1
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Reply {
        self.send(request("GET", path, Some(token), Body::empty()))
            .await
    }

    pub(super) async fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        self.send(request(
            "POST",
            path,
            Some(token),
            Body::from(body.to_string()),
        ))
        .await
    }
}

/// A request with a JSON content type.
pub(super) fn request(method: &str, path: &str, token: Option<&str>, body: Body) -> Request<Body> {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    let builder = match token {
        Some(token) => builder.header("authorization", format!("Bearer {token}")),
        None => builder,
    };
    builder.body(body).unwrap()
}

/// Records of the export, one per table, that differ by `n`.
pub(super) fn export(tables: &[&str], n: u32) -> Value {
    let record = |table: &&str| {
        serde_json::json!({
            "time": "2026-01-01T11:00:00.0000000Z",
            "operationName": "Publish",
            "category": format!("AdvancedHunting-{table}"),
            "properties": { "Timestamp": "2026-01-01T11:00:00Z", "ReportId": n },
        })
    };
    serde_json::json!({ "records": tables.iter().map(record).collect::<Vec<_>>() })
}
