//! Three cells and the centre as processes of their own, over mutual TLS: the whole story, what each
//! process has open, and who is turned away.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cell::{CentrePort as _, PeerError, PeerPort as _};
use connect::{Endpoint, HttpCentre, HttpPeers, Identity, Party};
use model::{Code, Epoch, RegionCode, Ticks};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use vault::Vault;

use crate::support::{Client, ENVELOPE, now, program};

const CELLS: [&str; 3] = ["eu", "uk", "us"];
const PARTIES: [&str; 4] = ["eu", "uk", "us", "centre"];
/// How long something that other processes do may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

const PERSON: &str = "ida.holm@alder.example";
const ADDRESS: &str = "198.51.100.77";

/// What one process has.
struct Place {
    name: &'static str,
    root: PathBuf,
    port: u16,
    link: u16,
    operator: String,
    process: Option<Child>,
    /// What it wrote after it began to listen.
    said: Arc<Mutex<String>>,
}

struct World {
    dir: tempfile::TempDir,
    places: BTreeMap<&'static str, Place>,
}

fn output(mut command: std::process::Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A port that was free a moment ago.
fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Place {
    fn config(&self) -> PathBuf {
        self.root.join("bailiwick.toml")
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = program();
        command.arg("--config").arg(self.config());
        command
            .arg("--passphrase-file")
            .arg(self.root.with_extension("passphrase"));
        command.args(args);
        command
    }

    fn edit(&self, change: impl FnOnce(&mut toml::Table)) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        let mut table: toml::Table = text.parse().unwrap();
        change(&mut table);
        std::fs::write(self.config(), table.to_string()).unwrap();
    }

    fn client(&self) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", self.port), &self.operator)
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.link)
    }

    fn start(&mut self) {
        let mut child = self
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("{} ended before it listened:\n{seen}", self.name);
            };
            seen.push_str(&line);
            seen.push('\n');
            if line.starts_with("link listens on ") {
                break;
            }
        }
        let said = self.said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut said = said.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        self.process = Some(child);
    }

    fn stop(&mut self) {
        let mut child = self.process.take().unwrap();
        let pid = child.id().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", self.name);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for place in self.places.values_mut() {
            if let Some(mut child) = place.process.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

impl World {
    /// Certificates, four directories with a passphrase each, and what each is told of the others.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut tls = program();
        tls.args(["tls", "make", "--centre"])
            .arg(dir.path().join("tls"));
        for region in CELLS {
            tls.args(["--region", region]);
        }
        output(tls);
        let mut world = Self {
            dir,
            places: BTreeMap::new(),
        };
        for name in PARTIES {
            let place = world.init(name);
            world.places.insert(name, place);
        }
        world.introduce();
        world
    }

    /// The first one makes the operator's key; the others take what it signed.
    fn init(&self, name: &'static str) -> Place {
        let root = self.dir.path().join(name);
        let passphrase = root.with_extension("passphrase");
        std::fs::write(&passphrase, format!("passphrase of {name} alone\n")).unwrap();
        let mut init = program();
        init.arg("--passphrase-file").arg(&passphrase);
        init.arg("init").arg(&root);
        if name == "centre" {
            init.args(["--centre", "only"]);
        } else {
            init.args(["--centre", "none", "--region", name]);
        }
        if let Some(first) = self.places.get("eu") {
            let text = std::fs::read_to_string(first.config()).unwrap();
            let table: toml::Table = text.parse().unwrap();
            let key = table["registry"]["operator_key"].as_str().unwrap();
            init.args(["--operator-key", key]).arg("--registry-signed");
            init.arg(first.root.join("registry.signed"));
            init.arg("--allow-list-signed");
            init.arg(first.root.join("allow-list.signed"));
        }
        let said = output(init);
        let operator = said.split_once(' ').map_or("", |(_, token)| token);
        let place = Place {
            name,
            root,
            port: port(),
            link: port(),
            operator: operator.trim().to_owned(),
            process: None,
            said: Arc::default(),
        };
        if name != "eu" {
            assert!(!place.root.join("keys/operator.key").exists());
        }
        let tls = |ending: &str| format!("{}", self.dir.path().join("tls").join(ending).display());
        place.edit(|table| {
            let mut link = toml::Table::new();
            link.insert("listen".into(), format!("127.0.0.1:{}", place.link).into());
            link.insert("certificate".into(), tls(&format!("{name}.pem")).into());
            link.insert("key".into(), tls(&format!("{name}.key")).into());
            link.insert("authority".into(), tls("authority.pem").into());
            table.insert("link".into(), link.into());
            if let Some(cells) = table.get_mut("cell") {
                let listen = format!("127.0.0.1:{}", place.port);
                cells[0]["listen"] = listen.into();
            }
        });
        place
    }

    fn introduce(&self) {
        let mut told = BTreeMap::new();
        for (name, place) in &self.places {
            let text = output(place.command(&["--format", "ndjson", "config", "keys"]));
            let keys: Value = serde_json::from_str(text.trim()).unwrap();
            assert_eq!(keys["party"], *name);
            let key = keys["key"].as_str().unwrap().to_owned();
            told.insert(*name, (place.url(), key));
        }
        for (name, place) in &self.places {
            let party = |other: &str| {
                let (url, key) = &told[other];
                let mut table = toml::Table::new();
                table.insert("key".into(), key.clone().into());
                if *name != "centre" {
                    table.insert("url".into(), url.clone().into());
                }
                if other != "centre" {
                    table.insert("region".into(), other.into());
                }
                toml::Value::from(table)
            };
            let others = CELLS.iter().filter(|c| *c != name);
            let others: toml::Value = others.map(|c| party(c)).collect::<Vec<_>>().into();
            place.edit(|table| {
                if *name == "centre" {
                    let centre = table["centre"].as_table_mut().unwrap();
                    centre.insert("cell".into(), others);
                } else {
                    table.insert("peer".into(), others);
                    table.insert("central".into(), party("centre"));
                }
            });
            output(place.command(&["config", "check"]));
        }
    }

    fn place(&mut self, name: &str) -> &mut Place {
        self.places.get_mut(name).unwrap()
    }

    fn identity(&self, name: &str) -> Identity {
        let read = |ending: &str| {
            let path = self.dir.path().join("tls").join(ending);
            std::fs::read(path).unwrap()
        };
        let (certificate, key) = (read(&format!("{name}.pem")), read(&format!("{name}.key")));
        Identity::from_pem(&certificate, &key, &read("authority.pem")).unwrap()
    }
}

/// Waits until `ask` has an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn record(table: &str, at: &str, mut columns: Value) -> String {
    columns["Timestamp"] = at.into();
    json!({
        "time": at, "tenantId": ENVELOPE, "operationName": "Publish",
        "category": format!("AdvancedHunting-{table}"), "properties": columns,
        "Tenant": "DefaultTenant",
    })
    .to_string()
}

fn process(at: &str) -> String {
    record(
        "DeviceProcessEvents",
        at,
        json!({
            "ReportId": 17, "DeviceId": "d17", "DeviceName": "ws-0017.alder.example",
            "ActionType": "ProcessCreated", "FileName": "powershell.exe",
            "FolderPath": r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
            "ProcessCommandLine":
                "powershell.exe -NoP -enc KABOAGUAdwAtAE8AYgBqAGUAYwB0ACAATgBlAHQALgBXAGUAYgBDAGwA",
            "SHA256": "5e9a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8",
            "AccountUpn": PERSON, "AccountName": "ida.holm", "AccountDomain": "alder",
            "InitiatingProcessFileName": "wscript.exe",
            "InitiatingProcessFolderPath": r"C:\Windows\System32\wscript.exe",
        }),
    )
}

fn sign_in(at: &str) -> String {
    record(
        "EntraIdSignInEvents",
        at,
        json!({
            "ReportId": "r-3", "Application": "OfficeHome", "AccountUpn": PERSON,
            "IPAddress": ADDRESS, "ErrorCode": 0, "RiskLevelDuringSignIn": 50,
        }),
    )
}

/// A tenant of the uk cell whose sign-ins rest in the EU: its id, source, and a token of
/// each of the two cells.
struct Customer {
    id: String,
    source: String,
    uk: Client,
    eu: Client,
}

impl World {
    fn customer(&mut self) -> Customer {
        let uk = self.place("uk").client();
        let plan = uk.post("/api/v1/tenants/plan", &json!({ "country": "GB" }));
        let tenant = uk.post(
            "/api/v1/tenants",
            &json!({
                "name": "Alder", "country": "GB", "confirmed": plan["digest"],
                "settings": {
                    "retention_days": 30,
                    "sharing": { "pairs": [["endpoint", "identity_protection"]] },
                },
            }),
        );
        let id = tenant["tenant"].as_str().unwrap().to_owned();
        let source = uk.post(
            &format!("/api/v1/tenants/{id}/sources"),
            &json!({
                "name": "export", "services": ["endpoint", "identity_protection"],
                "envelope_tenant": ENVELOPE,
            }),
        );
        let source = source["source"].as_str().unwrap().to_owned();
        let token = |operator: &Client| {
            let permissions = ["ingest", "hunt", "read", "incidents"];
            let body = json!({ "name": "all", "permissions": permissions, "days": 1 });
            let path = format!("/api/v1/tenants/{id}/tokens");
            let (status, answer) = operator
                .send("POST", &path, body.to_string().as_bytes())
                .unwrap();
            (status == 201).then(|| answer["secret"].as_str().unwrap().to_owned())
        };
        let at_uk = until("a token at home", || token(&uk));
        let eu = self.place("eu").client();
        let at_eu = until("the profile at the second cell", || {
            let path = format!("/api/v1/tenants/{id}/sources/{source}");
            let known = eu.send("GET", &path, b"").unwrap().0 == 200;
            known.then(|| token(&eu)).flatten()
        });
        let base = |place: &Place| format!("http://127.0.0.1:{}", place.port);
        Customer {
            uk: Client::new(&base(self.place("uk")), &at_uk),
            eu: Client::new(&base(self.place("eu")), &at_eu),
            id,
            source,
        }
    }
}

impl Customer {
    fn ingest(&self, client: &Client, line: &str) {
        let path = format!("/api/v1/ingest?source={}", self.source);
        let (status, answer) = client.send("POST", &path, line.as_bytes()).unwrap();
        assert_eq!((status, &answer["stored"]), (200, &json!(1)), "{answer}");
    }

    fn get(&self, client: &Client, path: &str) -> Value {
        let path = format!("/api/v1/tenants/{}/{path}", self.id);
        let (status, answer) = client.send("GET", &path, b"").unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }
}

/// What two people bring, half by half, before facts can leave.
fn bring_linkage_secret(world: &World) {
    let epoch = Epoch::at(Ticks::parse(&now()).unwrap()).0.to_string();
    for person in ["ada", "grace"] {
        let file = world.dir.path().join(person).display().to_string();
        let mut share = program();
        share.args(["key", "share", "--epoch", &epoch, "--output", &file]);
        output(share);
        for cell in CELLS {
            let import = ["key", "import", "--purpose", "linkage", "--epoch", &epoch];
            let mut import = world.places[cell].command(&import);
            import.args(["--person", person, &file]);
            output(import);
        }
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn the_story_runs_over_processes_that_share_nothing() {
    let mut world = World::new();
    bring_linkage_secret(&world);
    for name in PARTIES {
        world.place(name).start();
    }
    let customer = world.customer();
    let at = now();
    customer.ingest(&customer.uk, &process(&at));
    customer.ingest(&customer.eu, &sign_in(&at));

    let incident = until("one incident of both geographies", || {
        let page = customer.get(&customer.uk, "incidents");
        let incidents = page["incidents"].as_array().unwrap();
        let joined = |i: &&Value| i["origins"] == json!(["eu", "uk"]);
        let found = incidents.iter().find(joined).cloned()?;
        assert_eq!(incidents.len(), 1, "{page}");
        Some(found)
    });
    assert!(incident["alert_count"].as_u64() >= Some(2), "{incident}");

    // The alert of the other geography is known by its rule; its content comes over TLS to who looks.
    let page = customer.get(&customer.uk, "alerts");
    assert!(!page.to_string().contains(ADDRESS));
    let alerts = page["alerts"].as_array().unwrap();
    let away = alerts.iter().find(|a| a["is_here"] == false).unwrap();
    assert_eq!(away["origin"], "eu");
    let path = format!("alerts/{}", away["id"].as_str().unwrap());
    let detail = customer.get(&customer.uk, &path).to_string();
    assert!(
        detail.contains(PERSON) && detail.contains(ADDRESS),
        "{detail}"
    );

    each_has_its_own_open(&world);
    facts_reach_the_centre(&mut world, &customer);
    // Nobody's data is in anybody else's directory.
    for (name, needle) in [("centre", PERSON), ("uk", ADDRESS), ("us", PERSON)] {
        let root = world.places[name].root.clone();
        assert!(
            !crate::support::contains(&root, needle.as_bytes()),
            "{name}"
        );
    }
}

/// The centre hears of the tenant only after the tenant's switch, and then of rows that come after it.
fn facts_reach_the_centre(world: &mut World, customer: &Customer) {
    let operator = world.place("uk").client();
    let path = format!("/api/v1/tenants/{}/settings", customer.id);
    let change = json!({ "centre": "facts" }).to_string();
    let (status, answer) = operator.send("PATCH", &path, change.as_bytes()).unwrap();
    assert_eq!(status, 200, "{answer}");
    // The switch takes effect with the next round of export.
    std::thread::sleep(Duration::from_secs(6));
    let later = process(&now()).replace("\"ReportId\":17", "\"ReportId\":18");
    customer.ingest(&customer.uk, &later);
    operator.post(
        &format!("/api/v1/tenants/{}/flush", customer.id),
        &Value::Null,
    );
    // Asked of the centre itself, which is stopped for it; whoever sends meanwhile waits.
    let centre = world.place("centre");
    let status = until("the facts at the centre", || {
        std::thread::sleep(Duration::from_secs(3));
        centre.stop();
        let status = output(centre.command(&["--format", "json", "centre", "status"]));
        centre.start();
        let status: Value = serde_json::from_str(&status).unwrap();
        let facts = status["epochs"][0]["facts"].as_u64();
        (facts > Some(0)).then_some(status)
    });
    assert_eq!(status["epochs"][0]["batches"], 1, "{status}");
    let path = format!("/api/v1/tenants/{}/egress", customer.id);
    let listed = until("the receipt at the cell", || {
        let (code, page) = operator.send("GET", &path, b"").unwrap();
        assert_eq!(code, 200, "{page}");
        let facts = &status["epochs"][0]["facts"];
        let all = page["egress"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|b| b["facts"] == *facts)
    });
    assert!(listed["bytes"].as_u64() > Some(0), "{listed}");
    centre.stop();
    let made = output(centre.command(&["--format", "json", "centre", "publish"]));
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(
        made["figures"], 0,
        "one tenant is below the threshold: {made}"
    );
    centre.start();
}

/// Which files a process has open.
fn open_files(child: &Child) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(format!("/proc/{}/fd", child.id()))?;
    let links = entries.filter_map(|e| std::fs::read_link(e.ok()?.path()).ok());
    Ok(links.collect())
}

fn each_has_its_own_open(world: &World) {
    for (name, place) in &world.places {
        // The processes cannot be looked into by their own user, only by root.
        let Ok(open) = open_files(place.process.as_ref().unwrap()) else {
            testkit::skip("what a process has open: this needs root");
            return;
        };
        let own = open.iter().filter(|f| f.starts_with(&place.root)).count();
        assert!(own > 0, "{name} has nothing open: {open:?}");
        for other in world.places.values().filter(|o| o.name != *name) {
            let foreign: Vec<_> = open.iter().filter(|f| f.starts_with(&other.root)).collect();
            assert!(foreign.is_empty(), "{name} has {foreign:?} open");
        }
    }
    // And it cannot: the directory is locked, the key ring wants another passphrase.
    let (eu, uk) = (&world.places["eu"], &world.places["uk"]);
    let text = std::fs::read_to_string(uk.config()).unwrap();
    let stolen = Place {
        said: Arc::default(),
        name: "eu",
        root: eu.root.clone(),
        port: port(),
        link: port(),
        operator: String::new(),
        process: None,
    };
    let path = world.dir.path().join("stolen.toml");
    let mut table: toml::Table = text.parse().unwrap();
    for key in ["data", "key_ring"] {
        let at = table["cell"][0][key].as_str().unwrap();
        let at = uk.root.join(at).display().to_string();
        table.get_mut("cell").unwrap()[0][key] = at.into();
    }
    let at = uk.root.join(table["registry"]["file"].as_str().unwrap());
    table.get_mut("registry").unwrap()["file"] = at.display().to_string().into();
    let list = uk.root.join("allow-list.signed").display().to_string();
    table.get_mut("egress").unwrap()["allow_list"] = list.into();
    table.remove("hunting");
    std::fs::write(&path, table.to_string()).unwrap();
    let mut serve = program();
    serve.arg("--config").arg(&path).arg("--passphrase-file");
    serve
        .arg(stolen.root.with_extension("passphrase"))
        .arg("serve");
    let refused = serve.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("[directory_locked]"),
        "{said}"
    );
}

#[test]
fn who_shows_no_certificate_or_another_regions_is_turned_away() {
    let mut world = World::new();
    for name in ["uk", "centre"] {
        world.place(name).start();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let region = |code: &str| code.parse::<RegionCode>().unwrap();
    let key = crypto::Signer::public_key(&Vault::ephemeral(
        region("uk"),
        model::GeographyCode::new("UK").unwrap(),
        Arc::new(testkit::SeededRandom::new(1)),
    ));
    let uk = Party::Cell(region("uk"));
    let (uk_url, centre_url) = (world.places["uk"].url(), world.places["centre"].url());
    let peers = |identity: &Identity| {
        let endpoint = Endpoint::new(identity, &uk, &uk_url).unwrap();
        HttpPeers::default().with(region("uk"), endpoint, key)
    };

    // The us cell, in the name of eu.
    let us = peers(&world.identity("us"));
    let (to, from) = (region("uk"), region("eu"));
    let refused = runtime.block_on(us.deliver_profile(&to, &from, b"profile"));
    assert_eq!(refused, Err(PeerError::Refused(Code::Denied)));
    // The centre is no cell.
    let centre = peers(&world.identity("centre"));
    let refused = runtime.block_on(centre.deliver_alerts(&to, b"alerts"));
    assert_eq!(refused, Err(PeerError::Refused(Code::Unauthenticated)));
    // Nobody is the uk cell but the uk cell: not even the centre's process answers for it.
    let other = Endpoint::new(&world.identity("us"), &uk, &centre_url).unwrap();
    let other = HttpPeers::default().with(region("uk"), other, key);
    let refused = runtime.block_on(other.deliver_alerts(&to, b"alerts"));
    assert_eq!(refused, Err(PeerError::Unreachable));

    // The centre takes nothing that its sender's key did not sign, and no cell may be another.
    let endpoint = Endpoint::new(&world.identity("us"), &Party::Centre, &centre_url).unwrap();
    let as_us = HttpCentre::new(endpoint, key);
    let refused = runtime.block_on(as_us.submit(b"parcel"));
    assert!(matches!(refused, Err(PeerError::Refused(_))), "{refused:?}");
    assert_eq!(
        runtime.block_on(as_us.snapshot()).map(|s| s.is_some()),
        Ok(true)
    );
    let endpoint = Endpoint::new(&world.identity("centre"), &Party::Centre, &centre_url).unwrap();
    let nobody = HttpCentre::new(endpoint, key);
    let refused = runtime.block_on(nobody.snapshot());
    assert_eq!(refused, Err(PeerError::Refused(Code::Unauthenticated)));

    // Another authority's certificate, none, and no TLS at all.
    let mut tls = program();
    tls.args(["tls", "make", "--region", "us"])
        .arg(world.dir.path().join("other"));
    output(tls);
    let read = |name: &str| std::fs::read(world.dir.path().join(name)).unwrap();
    let forged = Identity::from_pem(
        &read("other/us.pem"),
        &read("other/us.key"),
        &read("tls/authority.pem"),
    )
    .unwrap();
    let refused = runtime.block_on(peers(&forged).deliver_alerts(&to, b"alerts"));
    assert_eq!(refused, Err(PeerError::Unreachable));
    for place in ["uk", "centre"] {
        let port = world.places[place].link;
        assert_eq!(
            ask_without_certificate(&read("tls/authority.pem"), place, port),
            b""
        );
        let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
        plain
            .write_all(b"GET /centre/v1/snapshot HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "an answer without TLS");
    }
}

#[test]
fn certificates_that_are_replaced_are_in_force_without_a_restart_and_bad_ones_are_not() {
    let mut world = World::new();
    world.place("uk").start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let region = |code: &str| code.parse::<RegionCode>().unwrap();
    let key = crypto::Signer::public_key(&Vault::ephemeral(
        region("uk"),
        model::GeographyCode::new("UK").unwrap(),
        Arc::new(testkit::SeededRandom::new(1)),
    ));
    let (uk, url) = (Party::Cell(region("uk")), world.places["uk"].url());
    // A refusal comes after the handshake: both sides believed each other.
    let is_let_in = |identity: &Identity| {
        let endpoint = Endpoint::new(identity, &uk, &url).unwrap();
        let peers = HttpPeers::default().with(region("uk"), endpoint, key);
        let answer = runtime.block_on(peers.deliver_alerts(&region("uk"), b"alerts"));
        matches!(answer, Err(PeerError::Refused(_)))
    };
    let hang_up = |world: &World| {
        let pid = world.places["uk"].process.as_ref().unwrap().id();
        let mut kill = std::process::Command::new("kill");
        let sent = kill.args(["-HUP", &pid.to_string()]).status();
        assert!(sent.unwrap().success());
    };
    let says = |world: &World, event: &str| {
        until(event, || {
            let said = world.places["uk"].said.lock().unwrap();
            said.contains(&format!("\"{event}\"")).then_some(())
        });
    };
    let old = world.identity("us");
    assert!(is_let_in(&old));

    let mut tls = program();
    tls.args(["tls", "make", "--region", "uk", "--region", "us"])
        .arg(world.dir.path().join("new"));
    output(tls);
    let path = |name: &str| world.dir.path().join(name);
    std::fs::write(path("tls/uk.pem"), "no certificate\n").unwrap();
    hang_up(&world);
    says(&world, "certificates_not_renewed");
    assert!(is_let_in(&old), "what was in force stays so");

    for name in ["uk.pem", "uk.key", "us.pem", "us.key", "authority.pem"] {
        std::fs::copy(path("new").join(name), path("tls").join(name)).unwrap();
    }
    hang_up(&world);
    says(&world, "certificates_renewed");
    assert!(is_let_in(&world.identity("us")));
    assert!(!is_let_in(&old), "the former authority is believed no more");
}

/// What a listener says to somebody who believes the authority and shows nothing.
fn ask_without_certificate(authority: &[u8], place: &str, port: u16) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(authority) {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = match place {
        "centre" => Party::Centre.name(),
        region => Party::Cell(region.parse().unwrap()).name(),
    };
    let name = ServerName::try_from(name).unwrap();
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    let _ = tls.write_all(b"GET /centre/v1/snapshot HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut answer = Vec::new();
    let _ = tls.read_to_end(&mut answer);
    answer
}
