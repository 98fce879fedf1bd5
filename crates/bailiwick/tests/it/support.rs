//! A data directory made by `init`, a running server, and requests to it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

/// The program under test.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
    for name in [
        "BAILIWICK_SERVER",
        "BAILIWICK_TOKEN",
        "BAILIWICK_CONFIG",
        "BAILIWICK_PASSPHRASE",
        "COLUMNS",
    ] {
        command.env_remove(name);
    }
    command
}

/// A fresh data directory with its operators' credentials.
pub(crate) struct Site {
    pub(crate) dir: tempfile::TempDir,
    /// By region.
    pub(crate) operators: BTreeMap<String, String>,
}

impl Site {
    /// Runs `init` with a passphrase file, and lets the system choose the ports.
    pub(crate) fn init(regions: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("passphrase"),
            "correct horse battery staple\n",
        )
        .unwrap();
        let mut command = program();
        command
            .arg("init")
            .arg(dir.path().join("site"))
            .arg("--passphrase-file");
        command.arg(dir.path().join("passphrase"));
        for region in regions {
            command.args(["--region", region]);
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let operators: BTreeMap<_, _> = text
            .lines()
            .filter_map(|l| l.split_once(' '))
            .map(|(region, token)| (region.to_owned(), token.to_owned()))
            .collect();
        let site = Self { dir, operators };
        let config = std::fs::read_to_string(site.config()).unwrap();
        let free: Vec<String> = config
            .lines()
            .map(|l| {
                if l.starts_with("listen") {
                    "listen = \"127.0.0.1:0\"".to_owned()
                } else {
                    l.to_owned()
                }
            })
            .collect();
        std::fs::write(site.config(), free.join("\n")).unwrap();
        site
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("site")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.root().join("bailiwick.toml")
    }

    /// The program with this site's configuration and passphrase.
    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command.arg("--config").arg(self.config());
        command
            .arg("--passphrase-file")
            .arg(self.dir.path().join("passphrase"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Starts `serve` and waits for its listeners.
    pub(crate) fn serve(&self) -> Server {
        self.serve_some(self.operators.len())
    }

    /// Starts `serve` and waits for so many listeners.
    pub(crate) fn serve_some(&self, listeners: usize) -> Server {
        let mut child = self
            .command()
            .arg("serve")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut addresses = BTreeMap::new();
        let mut seen = String::new();
        while addresses.len() < listeners {
            let Some(Ok(line)) = lines.next() else {
                panic!("the server ended before it listened:\n{seen}");
            };
            if let Some((region, address)) = line.split_once(" listens on ") {
                addresses.insert(region.to_owned(), address.to_owned());
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        // Log lines go on coming: a full pipe would stop the server.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, addresses }
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) addresses: BTreeMap<String, String>,
}

impl Server {
    /// `kill -9`: nothing is flushed, nothing is said.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end, and gives its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap().code()
    }

    /// The program as a client of this server.
    pub(crate) fn command(&self, region: &str, token: &str) -> Command {
        let mut command = program();
        command.args(["--server", &self.addresses[region], "--token", token]);
        command
    }

    pub(crate) fn client(&self, region: &str, token: &str) -> Client {
        Client {
            base: self.addresses[region].clone(),
            token: token.to_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Requests with a token.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    token: String,
}

impl Client {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        Self {
            base: base.to_owned(),
            token: token.to_owned(),
        }
    }

    /// Sends a request; an I/O failure is the server's death.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<(u16, Value), Box<dyn std::error::Error>> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .new_agent();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body)?;
        let mut reply = agent.run(request)?;
        let bytes = reply.body_mut().read_to_vec()?;
        Ok((
            reply.status().as_u16(),
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        ))
    }

    /// Posts JSON and wants it to be taken.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self
            .send("POST", path, body.to_string().as_bytes())
            .unwrap();
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// Runs a hunt and gives its rows.
    pub(crate) fn hunt(&self, query: &str) -> Vec<Vec<Value>> {
        let answer = self.post("/api/v1/hunt", &json!({ "query": query }));
        serde_json::from_value(answer["rows"].clone()).unwrap()
    }
}

/// A tenant with one source and a token for everything, provisioned over HTTP.
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) token: String,
}

pub(crate) const ENVELOPE: &str = "11111111-2222-4333-8444-555555555555";

impl Tenant {
    pub(crate) fn provision(operator: &Client, country: &str, services: &[&str]) -> Self {
        let plan = operator.post("/api/v1/tenants/plan", &json!({ "country": country }));
        let tenant = operator.post(
            "/api/v1/tenants",
            &json!({
                "name": "Test",
                "country": country,
                "confirmed": plan["digest"],
                "settings": { "retention_days": 30 },
            }),
        );
        let id = tenant["tenant"].as_str().unwrap().to_owned();
        let source = operator.post(
            &format!("/api/v1/tenants/{id}/sources"),
            &json!({ "name": "export", "services": services, "envelope_tenant": ENVELOPE }),
        );
        let token = operator.post(
            &format!("/api/v1/tenants/{id}/tokens"),
            &json!({ "name": "all", "permissions": ["ingest", "hunt", "read", "residency"], "days": 1 }),
        );
        Self {
            id,
            source: source["source"].as_str().unwrap().to_owned(),
            token: token["secret"].as_str().unwrap().to_owned(),
        }
    }
}

/// One export record of a process start with a command line of one's own.
pub(crate) fn process_event(command_line: &str, at: &str) -> String {
    json!({
        "time": at,
        "tenantId": ENVELOPE,
        "operationName": "Publish",
        "category": "AdvancedHunting-DeviceProcessEvents",
        "properties": {
            "Timestamp": at,
            "DeviceId": "d0",
            "DeviceName": "host.test.example",
            "ActionType": "ProcessCreated",
            "FileName": "cmd.exe",
            "ProcessCommandLine": command_line,
            "ReportId": 1,
        },
        "Tenant": "DefaultTenant",
    })
    .to_string()
}

/// Now, as the export writes it.
pub(crate) fn now() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let seconds = i64::try_from(since.as_secs()).unwrap();
    model::Ticks::from_unix(seconds, since.subsec_nanos())
        .unwrap()
        .to_string()
}

/// Whether a folder has a file below it that contains these bytes.
pub(crate) fn contains(dir: &Path, needle: &[u8]) -> bool {
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if std::fs::read(&path)
                .unwrap()
                .windows(needle.len())
                .any(|w| w == needle)
            {
                return true;
            }
        }
    }
    false
}
