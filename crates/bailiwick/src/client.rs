//! One way to ask, two ways to be answered: a running server over HTTP, or the cells of a data
//! directory opened by this process.
//!
//! On a data directory the command takes the lock and the passphrase and acts as the local operator,
//! through the same routes and the same policy; a ledger leaf says so.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use access::{Credential, Discard, Operate};
use anyhow::Context as _;
use model::{Code, RegionCode, TenantId};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::beside::Beside;
use crate::cli::Global;
use crate::commands::file_error;
use crate::config::Config;
use crate::embedded::{
    AllowListSpec, CellSpec, CentreSpec, Deployment, Embedded, RegistrySpec, Ring,
};
use crate::environment;
use crate::failure::Failure;
use crate::link;
use crate::print;

/// Seconds after which an HTTP request is given up; a hunt may take its ten minutes.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(11);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Seconds after which it may be asked again, if it says so.
    pub(crate) retry_after: Option<u64>,
}

/// A request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Whose rows, where no token says so.
    pub(crate) tenant: Option<TenantId>,
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: "GET",
            path: path.into(),
            ..Self::default()
        }
    }

    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self {
            method: "POST",
            path: path.into(),
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
            tenant: None,
        }
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self {
            method: "DELETE",
            path: path.into(),
            ..Self::default()
        }
    }
}

impl Reply {
    /// The JSON of a good answer, or the refusal.
    pub(crate) fn json(self) -> anyhow::Result<Value> {
        let body = self.good()?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).context("the answer is not JSON")
    }

    /// The bytes of a good answer, or the refusal.
    pub(crate) fn good(self) -> anyhow::Result<Vec<u8>> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        Err(self.refusal().into())
    }

    /// What a refusal says.
    pub(crate) fn refusal(&self) -> Failure {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let code = body
            .get("code")
            .and_then(|c| serde_json::from_value(c.clone()).ok());
        let message =
            text("message").unwrap_or_else(|| format!("the server answered {}", self.status));
        let rendered = body
            .pointer("/details/diagnostics")
            .and_then(Value::as_array);
        let rendered = rendered
            .into_iter()
            .flatten()
            .filter_map(|d| d.get("rendered")?.as_str());
        let rendered = rendered.fold(String::new(), |mut text, r| {
            text.push('\n');
            text.push_str(r.trim_end());
            text
        });
        Failure {
            code: code.unwrap_or(Code::Internal),
            message: format!("{message}{rendered}"),
            help: text("help"),
        }
    }
}

/// Whose regions a list is asked of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reach {
    /// Every region that holds something of the tenant.
    Each(TenantId),
    /// The tenant's home.
    Home(TenantId),
    /// All cells.
    Cells,
}

/// Where requests go.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one, for as long as the command runs"
)]
pub(crate) enum Client {
    /// A running server.
    Http(Http),
    /// Cells opened by this process.
    Local(Local),
}

/// A running server and the token for it.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
    others: Arc<Others>,
}

/// What the caller gave for other regions. An address comes from the caller only, never from a
/// server: otherwise one server could have the tokens and records of all regions sent where it likes.
#[derive(Default)]
struct Others {
    /// By the region that they name.
    tokens: BTreeMap<String, String>,
    servers: Vec<String>,
    /// Address of each region, asked once.
    addresses: OnceLock<BTreeMap<String, String>>,
}

impl fmt::Debug for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Others({} servers)", self.servers.len())
    }
}

/// Opened cells and the runtime they live on.
pub(crate) struct Local {
    runtime: tokio::runtime::Runtime,
    embedded: Embedded,
}

impl Http {
    pub(crate) fn new(base: &str, token: Option<&str>) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_TIMEOUT))
            .build()
            .new_agent();
        Self {
            agent,
            base: base.trim_end_matches('/').to_owned(),
            token: token.map(str::to_owned),
            others: Arc::default(),
        }
    }

    /// The first of `servers`, with the token of its region; the others are other regions'.
    fn among(servers: &[String], tokens: &[String]) -> anyhow::Result<Self> {
        let first = servers.first().map_or("", String::as_str);
        let mut http = Self::new(first, tokens.first().map(String::as_str));
        if servers.len() < 2 && tokens.len() < 2 {
            return Ok(http);
        }
        let mut by_region = BTreeMap::new();
        for token in tokens {
            let region = cell::region_of_token(token).ok_or_else(|| {
                Failure::new(
                    Code::BadRequest,
                    "one of several tokens does not name its region",
                )
                .with_help("a token looks like `bwt_REGION_…`, with commas between several")
            })?;
            by_region.insert(region.to_string(), token.clone());
        }
        let region = http.region()?;
        if let Some(own) = by_region.get(&region) {
            http.token = Some(own.clone());
        }
        http.others = Arc::new(Others {
            tokens: by_region,
            servers: servers.iter().skip(1).cloned().collect(),
            addresses: OnceLock::new(),
        });
        Ok(http)
    }

    /// Which region's server this is.
    fn region(&self) -> anyhow::Result<String> {
        let answer = self.call(&Ask::get("/api/v1/region"))?.json()?;
        let region = answer.get("region").and_then(Value::as_str);
        let nameless = || Failure::new(Code::Unreachable, "the server does not say its region");
        Ok(region.ok_or_else(nameless)?.to_owned())
    }

    /// The answer under the name of the server's region: the token says it, else the server.
    fn call_named(&self, ask: &Ask) -> anyhow::Result<BTreeMap<String, Reply>> {
        let reply = self.call(ask)?;
        let told = self.token.as_deref().and_then(cell::region_of_token);
        let region = told.map_or_else(|| self.region(), |told| Ok(told.to_string()))?;
        Ok(BTreeMap::from([(region, reply)]))
    }

    /// The way to another region, if the caller gave its address and a token of it.
    fn way(&self, region: &str) -> Option<Self> {
        let token = self.others.tokens.get(region)?;
        let address = self.addresses().get(region)?;
        Some(Self {
            base: address.clone(),
            token: Some(token.clone()),
            ..self.clone()
        })
    }

    fn addresses(&self) -> &BTreeMap<String, String> {
        self.others.addresses.get_or_init(|| {
            let mut found = BTreeMap::new();
            for server in &self.others.servers {
                let other = Self {
                    base: server.trim_end_matches('/').to_owned(),
                    token: None,
                    ..self.clone()
                };
                match other.region() {
                    Ok(region) => drop(found.insert(region, other.base)),
                    Err(error) => print::error(&error),
                }
            }
            found
        })
    }

    /// What the caller would have to give, so that records reach a region.
    pub(crate) fn lacks(&self, region: &str) -> Option<&'static str> {
        if !self.others.tokens.contains_key(region) {
            return Some("a token of it (`--token A,B`) and its server (`--server A,B`)");
        }
        let known = self.addresses().contains_key(region);
        (!known).then_some("its server (`--server A,B`)")
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    pub(crate) fn call(&self, ask: &Ask) -> anyhow::Result<Reply> {
        if !self.base.starts_with("http://") && !self.base.starts_with("https://") {
            let message = format!("`{}` is no address of a server", self.base);
            return Err(Failure::new(Code::BadRequest, message)
                .with_help(format!("begin it with `http://`: `http://{}`", self.base))
                .into());
        }
        let url = format!("{}{}", self.base, ask.path);
        let builder = ureq::http::Request::builder().method(ask.method).uri(&url);
        let builder = ask
            .headers
            .iter()
            .fold(builder, |b, (name, value)| b.header(*name, value));
        let builder = match &self.token {
            Some(token) => builder.header("authorization", format!("Bearer {token}")),
            None => builder,
        };
        let request = builder.body(ask.body.as_slice()).context("bad request")?;
        let failed = || {
            Failure::new(Code::Unreachable, format!("no answer from `{}`", self.base))
                .with_help("is the server running, and is the address right?")
        };
        let mut reply = self
            .agent
            .run(request)
            .map_err(|e| anyhow::Error::new(e).context(failed()))?;
        let limit = u64::try_from(model::limits::HUNT_BYTES_MAX).unwrap_or(u64::MAX) * 8;
        let body = reply.body_mut().with_config().limit(limit).read_to_vec()?;
        let retry_after = reply.headers().get("retry-after");
        let retry_after = retry_after.and_then(|v| v.to_str().ok()?.trim().parse().ok());
        Ok(Reply {
            status: reply.status().as_u16(),
            body,
            retry_after,
        })
    }
}

impl Local {
    fn open(path: &Path, passphrase: Option<&Zeroizing<String>>) -> anyhow::Result<Self> {
        let config = Config::read(path)?;
        let runtime = tokio::runtime::Runtime::new()?;
        let embedded = runtime.block_on(async {
            let mut embedded =
                open_configured(&config, passphrase, Arc::new(Discard), false).await?;
            // With the centre alone there is nobody to ask.
            if embedded.cells.is_empty()
                && let Some((_, error)) = embedded.sick.pop_first()
            {
                return Err(error);
            }
            embedded.name_the_sick();
            embedded.start_detection();
            for cell in embedded.cells.values() {
                let grant = cell
                    .cx()
                    .decide_cell::<Operate>(&Credential::local_operator())
                    .map_err(|e| Failure::new(e.code(), e.to_string()))?;
                let noted = cell.store().note_local_access(&grant, "command line").await;
                noted.map_err(|e| Failure::new(e.code(), e.to_string()))?;
            }
            anyhow::Ok(embedded)
        })?;
        Ok(Self { runtime, embedded })
    }

    fn call(&self, region: &RegionCode, ask: &Ask) -> anyhow::Result<Reply> {
        let cell = self.embedded.cells.get(region).ok_or_else(|| {
            Failure::new(
                Code::BadConfig,
                format!("the configuration has no region `{region}`"),
            )
        })?;
        let request = api::LocalRequest {
            method: ask.method.to_owned(),
            path: ask.path.clone(),
            headers: ask
                .headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), v.clone()))
                .collect(),
            body: ask.body.clone(),
            tenant: ask.tenant,
        };
        let answer = self.runtime.block_on(api::call_locally(cell, request));
        Ok(Reply {
            status: answer.status,
            body: answer.body,
            retry_after: None,
        })
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // A command's changes are durable already; closing only tidies up.
        let _ = self.runtime.block_on(self.embedded.close());
    }
}

/// Opens the cells of a configuration; `fresh` ones have no catalogue yet.
pub(crate) async fn open_configured(
    config: &Config,
    passphrase: Option<&Zeroizing<String>>,
    log: Arc<dyn access::LogSink>,
    fresh: bool,
) -> anyhow::Result<Embedded> {
    let specs = config.cells.iter().map(|c| CellSpec {
        region: c.region.clone(),
        data: c.data.clone(),
        ring: Ring::File(c.key_ring.clone()),
        fresh,
    });
    let mut plan = Deployment::of_cells(specs.collect(), registry_spec(config)?);
    plan.allow_list = match &config.egress {
        None => None,
        Some(egress) => Some(AllowListSpec {
            signed: std::fs::read(&egress.allow_list)
                .map_err(|e| file_error("read", &egress.allow_list, e))?,
            least_version: egress.least_version,
        }),
    };
    plan.centre = config.centre.as_ref().map(|c| CentreSpec {
        data: c.data.clone(),
        ring: Ring::File(c.key_ring.clone()),
        geography: c.geography.clone(),
        cells: c.cells.iter().map(|s| (s.region.clone(), s.key)).collect(),
        fresh,
    });
    plan.beside = Beside::read(config.hunting.as_ref())?;
    let ways = link::ways(config)?;
    plan.peers = ways.peers;
    plan.central = ways.central;
    Embedded::start(plan, passphrase, log).await
}

/// The registry that a configuration names.
pub(crate) fn registry_spec(config: &Config) -> anyhow::Result<RegistrySpec> {
    let path = &config.registry.file;
    Ok(RegistrySpec {
        signed: std::fs::read(path).map_err(|e| file_error("read", path, e))?,
        key: config.registry.operator_key,
        least_version: config.registry.least_version,
    })
}

/// A path with the parameters that are there, so written that every value arrives as it is.
pub(crate) fn query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut out = path.to_owned();
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(name);
        out.push('=');
        out.push_str(&encoded(value));
    }
    out
}

/// Percent-encoded for a part of a path or a parameter.
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

/// The passphrase that was given, if any: the file before the environment.
pub(crate) fn passphrase(global: &Global) -> anyhow::Result<Option<Zeroizing<String>>> {
    let Some(path) = &global.passphrase_file else {
        return Ok(environment::read(environment::PASSPHRASE).map(Zeroizing::new));
    };
    let text = std::fs::read_to_string(path).map_err(|e| file_error("read", path, e))?;
    let text = Zeroizing::new(text);
    Ok(Some(Zeroizing::new(
        text.lines().next().unwrap_or_default().to_owned(),
    )))
}

impl Client {
    /// A server if one is named, otherwise the data directory of the configuration.
    pub(crate) fn connect(global: &Global) -> anyhow::Result<Self> {
        if !global.server.is_empty() {
            return Ok(Self::Http(Http::among(&global.server, &global.token)?));
        }
        match &global.config {
            Some(path) => Ok(Self::Local(Local::open(
                path,
                passphrase(global)?.as_ref(),
            )?)),
            None => Err(Failure::new(
                Code::BadConfig,
                "neither a server nor a configuration was named",
            )
            .with_help("use `--server URL --token TOKEN`, or `--config FILE` for a data directory")
            .into()),
        }
    }

    /// Asks the server, or the first region of the data directory.
    pub(crate) fn call(&self, ask: &Ask) -> anyhow::Result<Reply> {
        match self {
            Self::Http(http) => http.call(ask),
            Self::Local(local) => {
                let first = local.embedded.cells.keys().next().cloned();
                let none = || Failure::new(Code::BadConfig, "the configuration has no cell");
                local.call(&first.ok_or_else(none)?, ask)
            }
        }
    }

    /// Asks the home of a tenant.
    pub(crate) fn call_home(&self, tenant: TenantId, ask: &Ask) -> anyhow::Result<Reply> {
        match self {
            Self::Http(http) => http.call(ask),
            Self::Local(local) => {
                let home = local.regions_of(tenant).into_iter().find(|(_, home)| *home);
                let none = || Failure::new(Code::NotFound, format!("no tenant {tenant}"));
                local.call(&home.ok_or_else(none)?.0, ask)
            }
        }
    }

    /// Asks every cell: the server, or all regions of the data directory.
    pub(crate) fn call_all(&self, ask: &Ask) -> anyhow::Result<BTreeMap<String, Reply>> {
        match self {
            Self::Http(http) => http.call_named(ask),
            Self::Local(local) => {
                let cells = local.embedded.cells.keys();
                let reply =
                    |region: &RegionCode| Ok((region.to_string(), local.call(region, ask)?));
                cells.map(reply).collect()
            }
        }
    }

    /// Asks every region that holds something of the tenant; the server if one is named.
    pub(crate) fn call_each(
        &self,
        tenant: Option<TenantId>,
        ask: &Ask,
    ) -> anyhow::Result<BTreeMap<String, Reply>> {
        match (self, tenant) {
            (Self::Http(http), _) => http.call_named(ask),
            (Self::Local(local), Some(tenant)) => {
                let regions = local.regions_of(tenant);
                if regions.is_empty() {
                    return Err(Failure::new(Code::NotFound, format!("no tenant {tenant}")).into());
                }
                let reply = |(region, _): (RegionCode, bool)| {
                    Ok((region.to_string(), local.call(&region, ask)?))
                };
                regions.into_iter().map(reply).collect()
            }
            (Self::Local(_), None) => Err(Failure::new(
                Code::BadRequest,
                "`--tenant` is needed with a data directory",
            )
            .into()),
        }
    }

    /// Every item of a paged list, of each region that `reach` names. Items of a data directory carry
    /// their region.
    pub(crate) fn list(&self, reach: Reach, path: &str, field: &str) -> anyhow::Result<Vec<Value>> {
        self.list_some(reach, path, field, usize::MAX)
    }

    /// The same, at most `max` items of each region; whoever reads is told that there are more.
    pub(crate) fn list_some(
        &self,
        reach: Reach,
        path: &str,
        field: &str,
        max: usize,
    ) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        for region in self.reached(reach)? {
            let mut next: Option<String> = None;
            let mut left = max;
            loop {
                let mark = if path.contains('?') { '&' } else { '?' };
                let limit = left.clamp(1, model::limits::PAGE_ITEMS_MAX);
                let mut url = format!("{path}{mark}limit={limit}");
                if let Some(token) = &next {
                    url.push_str("&page_token=");
                    url.push_str(token);
                }
                let reply = match (self, &region) {
                    (Self::Local(local), Some(region)) => local.call(region, &Ask::get(url))?,
                    _ => self.call(&Ask::get(url))?,
                };
                let mut page = reply.json()?;
                if next.is_none() {
                    name_damaged(&page);
                }
                let Some(Value::Array(found)) = page.get_mut(field).map(Value::take) else {
                    break;
                };
                left = left.saturating_sub(found.len());
                all.extend(
                    found
                        .into_iter()
                        .map(|item| with_region(item, region.as_ref())),
                );
                next = page
                    .get("next_page_token")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                if next.is_none() {
                    break;
                }
                if left == 0 {
                    print::note("there are more: `--limit` shows them");
                    break;
                }
            }
        }
        Ok(all)
    }

    /// The regions to ask; one nameless entry for a server.
    fn reached(&self, reach: Reach) -> anyhow::Result<Vec<Option<RegionCode>>> {
        let Self::Local(local) = self else {
            return Ok(vec![None]);
        };
        let tenant = match reach {
            Reach::Cells => return Ok(local.embedded.cells.keys().cloned().map(Some).collect()),
            Reach::Each(tenant) | Reach::Home(tenant) => tenant,
        };
        let mut regions = local.regions_of(tenant);
        if matches!(reach, Reach::Home(_)) {
            regions.retain(|(_, home)| *home);
        }
        if regions.is_empty() {
            return Err(Failure::new(Code::NotFound, format!("no tenant {tenant}")).into());
        }
        Ok(regions
            .into_iter()
            .map(|(region, _)| Some(region))
            .collect())
    }

    /// Asks a region by name.
    pub(crate) fn call_region(&self, region: &str, ask: &Ask) -> anyhow::Result<Reply> {
        match self {
            // A server says itself what is not its own.
            Self::Http(http) => match http.way(region) {
                Some(there) => there.call(ask),
                None => http.call(ask),
            },
            Self::Local(local) => {
                let region = RegionCode::new(region)
                    .map_err(|e| Failure::new(Code::BadRequest, e.to_string()))?;
                local.call(&region, ask)
            }
        }
    }

    /// Whether [`Self::call_region`] reaches the region.
    pub(crate) fn reaches(&self, region: &str) -> bool {
        match self {
            Self::Http(http) => http.way(region).is_some(),
            Self::Local(local) => {
                let mut cells = local.embedded.cells.keys();
                cells.any(|cell| cell.as_str() == region)
            }
        }
    }
}

impl Local {
    /// The regions that know the tenant, with whether it is the home.
    fn regions_of(&self, tenant: TenantId) -> Vec<(RegionCode, bool)> {
        let mut out = Vec::new();
        for (region, cell) in &self.embedded.cells {
            let entry = cell
                .store()
                .tenants()
                .into_iter()
                .find(|t| t.tenant == tenant);
            out.extend(entry.map(|t| (region.clone(), t.home)));
        }
        out
    }
}

/// Rows that a list leaves out because they do not open.
fn name_damaged(page: &Value) {
    let rows = page.get("damaged").and_then(Value::as_array);
    for row in rows.into_iter().flatten() {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let (table, number) = (text("table"), text("number"));
        print::note(&format!(
            "row {number} of table `{table}` is damaged and left out [{}]",
            Code::TenantDamaged
        ));
    }
}

fn with_region(mut item: Value, region: Option<&RegionCode>) -> Value {
    if let (Some(fields), Some(region)) = (item.as_object_mut(), region) {
        fields
            .entry("region")
            .or_insert_with(|| region.to_string().into());
    }
    item
}
