//! The one table of commands and flags: help, usage errors and the reference page come from here.

mod detection;
mod queries;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::environment;

pub(crate) use detection::{
    Alert, Audit, Device, Egress, File, Incident, IncidentUpdate, Key, Rule, User, Whose, Woven,
};
pub(crate) use queries::{CompleteQuery, FormatQueries, Kql};

const INIT_EXAMPLES: &str = "\
Examples:
  bailiwick init /srv/bailiwick --region eu --region uk --passphrase-file secret
  bailiwick serve --config /srv/bailiwick/bailiwick.toml --passphrase-file secret";
const INGEST_EXAMPLES: &str = "\
Examples:
  bailiwick ingest export.jsonl.gz recording.evtx archive.zip --rejects rejects.jsonl
  bailiwick ingest big.jsonl --resume big.state --rejects rejects.jsonl
  bailiwick ingest conn.log.json --as json --table Zeek_CL --time-column ts
  bailiwick ingest mixed.jsonl --server https://uk.example,https://eu.example --token UK_TOKEN,EU_TOKEN
  jq -r 'select(.region == \"eu\").text' rejects.jsonl | bailiwick ingest - --server EU --token TOKEN

Exit code: 0 if every record was stored (or would be), 1 if some were not, 2 or 3 if a file failed.";
const EXPLAIN_EXAMPLES: &str = "\
Examples:
  bailiwick hunt --tenant T 'DeviceProcessEvents | take 3 | project Timestamp, FileName, row_id()'
  bailiwick residency explain --tenant T 00112233445566778899aabbccddeeff";
const HUNT_EXAMPLES: &str = "\
Examples:
  bailiwick hunt 'DeviceProcessEvents | summarize count() by FileName | top 5 by count_'
  bailiwick hunt -f hunt.kql --format csv
  bailiwick hunt --config FILE --tenant T 'DeviceEvents | where Timestamp > datetime(2019-01-01) | take 5'";

const KQL_EXAMPLES: &str = "\
Examples:
  bailiwick kql check hunts/*.kql
  bailiwick kql fmt --write hunts/*.kql
  echo 'DeviceEvents | where ' | bailiwick kql complete -";

/// Open threat protection in which every tenant's data stays in its geography.
#[derive(Debug, Parser)]
#[command(name = "bailiwick", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where commands go: a running server, or a data directory opened by this process.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Address of a running server, for example `http://127.0.0.1:7401`. With several, comma between
    /// them, commands go to the first, and `ingest` sends what belongs to another region on to the
    /// server of that region.
    #[arg(long, global = true, env = environment::SERVER, value_delimiter = ',', help_heading = "Global options")]
    pub(crate) server: Vec<String>,
    /// Token presented to the server. With several, comma between them, each goes to the server of
    /// the region that it names.
    #[arg(long, global = true, env = environment::TOKEN, value_delimiter = ',', hide_env_values = true, help_heading = "Global options")]
    pub(crate) token: Vec<String>,
    /// Configuration of a data directory: used by `serve`, and by other commands without `--server`.
    /// Given here, it goes before a server of the environment.
    #[arg(long, global = true, env = environment::CONFIG, help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// File whose first line is the passphrase of key rings and of the operator's key.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// How results are written; by default a table on a terminal, lines of JSON in a pipe.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) format: Option<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
    Ndjson,
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start three regions on this machine, feed them telemetry, hunt, and print a report.
    Demo(Demo),
    /// Make a data directory: keys, configuration, signed registry, the first operator credential.
    #[command(after_help = INIT_EXAMPLES)]
    Init(Init),
    /// Serve the cells of a configuration until Ctrl-C.
    Serve,
    /// Add a region to a configuration: key ring, data directory, operator credential.
    #[command(subcommand)]
    Region(Region),
    /// Look at a configuration.
    #[command(subcommand)]
    Config(Config),
    /// Look at the centre of a configuration, or make a snapshot of prevalence now.
    #[command(subcommand)]
    Centre(Centre),
    /// Make certificates for processes that reach each other.
    #[command(subcommand)]
    Tls(Tls),
    /// Show, verify, sign or accept a registry.
    #[command(subcommand)]
    Registry(Registry),
    /// Plan, provision, list, show or change tenants.
    #[command(subcommand)]
    Tenant(Tenant),
    /// Add, list, show, disable or enable sources.
    #[command(subcommand)]
    Source(Source),
    /// Create, list or revoke tokens.
    #[command(subcommand)]
    Token(Token),
    /// Send files of records.
    #[command(after_help = INGEST_EXAMPLES)]
    Ingest(Ingest),
    /// Run a KQL query.
    #[command(after_help = HUNT_EXAMPLES)]
    Hunt(Hunt),
    /// Format, check or complete KQL queries; reads files and the shipped schema only.
    #[command(subcommand, after_help = KQL_EXAMPLES)]
    Kql(Kql),
    /// List or show alerts.
    #[command(subcommand)]
    Alert(Alert),
    /// List, show or change incidents.
    #[command(subcommand)]
    Incident(Incident),
    /// List, show, add, switch, check, test or explain detection rules.
    #[command(subcommand)]
    Rule(Rule),
    /// What is known of a device.
    #[command(subcommand)]
    Device(Device),
    /// What is known of a user.
    #[command(subcommand)]
    User(User),
    /// What is known of a file.
    #[command(subcommand)]
    File(File),
    /// What left for the centre.
    #[command(subcommand)]
    Egress(Egress),
    /// The record of what happened.
    #[command(subcommand)]
    Audit(Audit),
    /// Secrets that two people bring.
    #[command(subcommand)]
    Key(Key),
    /// Move everything of a tenant from memory into sealed segments.
    Flush {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// Where data rests and why.
    #[command(subcommand)]
    Residency(Residency),
    /// Write seeded telemetry in the Defender export's form.
    Generate(Generate),
    /// Measure ingest, flush, compaction and hunts on this machine.
    Bench(Bench),
    /// Print reference pages.
    #[command(hide = true)]
    Docs {
        /// `cli` or `openapi`.
        page: String,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Demo {
    /// Records to send, over all tenants.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) events: u64,
    /// Seed of the telemetry.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The attack that is woven into the telemetry.
    #[arg(long, value_enum, default_value_t = DemoAttack::Story)]
    pub(crate) attack: DemoAttack,
    /// First of three ports; 0 lets the system choose.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=65_533))]
    pub(crate) ports: u16,
    /// Keep the directories here instead of removing them at the end.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
    /// End after the report instead of serving until Ctrl-C.
    #[arg(long)]
    pub(crate) exit: bool,
}

/// What the demo weaves in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DemoAttack {
    /// Nothing: background alone.
    None,
    /// Mail, click, sign-in, process, consent.
    Story,
    /// Another chain, for which no rule was written.
    Variant,
}

impl DemoAttack {
    pub(crate) fn of_demo(self) -> generate::AttackOptions {
        match self {
            Self::None => generate::AttackOptions::default(),
            Self::Story => generate::AttackOptions::new(generate::Attack::Story),
            Self::Variant => generate::AttackOptions::new(generate::Attack::Variant),
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Init {
    /// The directory to make; must not exist or be empty.
    pub(crate) directory: PathBuf,
    /// Regions to deploy here; by default all of the registry.
    #[arg(long = "region")]
    pub(crate) regions: Vec<String>,
    /// First port to listen on; each region takes the next.
    #[arg(long, default_value_t = 7401)]
    pub(crate) ports: u16,
    /// A registry document to sign instead of the default one.
    #[arg(long)]
    pub(crate) registry: Option<PathBuf>,
    /// The centre: in this process, not made, or alone. By default `here`, and `none` with another
    /// operator's registry.
    #[arg(long, value_enum)]
    pub(crate) centre: Option<Place>,
    /// A registry that an operator signed already, to be used as it is; no operator's key is made.
    #[arg(long, conflicts_with = "registry", requires = "operator_key")]
    pub(crate) registry_signed: Option<PathBuf>,
    /// Public half of that operator's key, in hexadecimal.
    #[arg(long, requires = "registry_signed")]
    pub(crate) operator_key: Option<String>,
    /// The allow-list that the same operator signed; without one nothing leaves for a centre.
    #[arg(long, requires = "registry_signed")]
    pub(crate) allow_list_signed: Option<PathBuf>,
}

/// Where the centre is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// In the process of the cells.
    Here,
    /// In another process, or nowhere.
    None,
    /// In a process without cells.
    Only,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Centre {
    /// Epochs, batches, facts and indicators that the centre holds, and its newest snapshot.
    Status,
    /// Make a snapshot of prevalence now instead of tomorrow. The centre must not be served meanwhile.
    Publish,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tls {
    /// Make an authority, and a certificate with its key for each party. To try things with: a real
    /// deployment has an authority of its own, and its key elsewhere.
    Make {
        /// The directory to make; must not exist or be empty.
        directory: PathBuf,
        /// Regions whose cells get a certificate.
        #[arg(long = "region")]
        regions: Vec<String>,
        /// Make one for the centre.
        #[arg(long)]
        centre: bool,
        /// Days that the certificates are good for.
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=825))]
        days: u16,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Region {
    /// Make the key ring and data directory of a region of the configuration and mint its first
    /// operator credential. Running cells of other regions are left alone.
    Add {
        /// The region, as the registry names it.
        region: String,
        /// Where it listens, if the configuration does not have the region yet; by default the port
        /// after the last one.
        #[arg(long)]
        listen: Option<std::net::SocketAddr>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Read the configuration and say what is wrong with it, without changing anything: the file, the
    /// registry, data directories, key rings, and whether the passphrase opens them.
    Check,
    /// The public keys of the cells and the centre of a configuration, for the configurations of other
    /// processes.
    Keys,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Regions, geographies, services and rules that are in force.
    Show,
    /// Check a signed registry against the configured key and least version.
    Verify {
        /// The signed file.
        file: PathBuf,
    },
    /// Sign a registry document with the operator's key.
    Sign {
        /// The document (JSON).
        document: PathBuf,
        /// The operator's key file.
        #[arg(long)]
        key: PathBuf,
        /// Where to write the signed registry.
        #[arg(long)]
        output: PathBuf,
        /// Replace a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// Hand a signed registry to the server, or to the cells of the data directory.
    Accept {
        /// The signed file.
        file: PathBuf,
    },
}

/// A tenant's facts.
#[derive(Debug, Clone, Args)]
pub(crate) struct Facts {
    /// Country of the tenant: an ISO code or a name.
    #[arg(long)]
    pub(crate) country: String,
    /// Geography of the tenant; by default the one that the registry suggests for the country.
    #[arg(long)]
    pub(crate) geography: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tenant {
    /// Show where each service of a tenant would rest, and why. Changes nothing.
    Plan(Facts),
    /// Provision a tenant with the plan that was shown.
    Provision {
        #[command(flatten)]
        facts: Facts,
        /// What you call it.
        #[arg(long)]
        name: String,
        /// Digest that `tenant plan` printed; the same plan is pinned or nothing is.
        #[arg(long)]
        confirm: String,
        /// Days that records are kept.
        #[arg(long, default_value_t = 180)]
        retention_days: i64,
        /// Services that may see each other's data: `none`, `all`, or pairs `a+b,c+d`.
        #[arg(long, default_value = "none")]
        sharing: String,
    },
    /// The tenants of the server or data directory.
    List,
    /// One tenant.
    Show {
        /// Its id.
        tenant: String,
    },
    /// Put country and geography right before the first record.
    Correct {
        /// Its id.
        tenant: String,
        #[command(flatten)]
        facts: Facts,
        /// Digest that `tenant plan` printed for these facts.
        #[arg(long)]
        confirm: String,
    },
    /// Show what accepting the newest registry would change.
    PlanNewest {
        /// Its id.
        tenant: String,
    },
    /// Let new records follow the newest registry.
    AcceptRegistry {
        /// Its id.
        tenant: String,
        /// Digest that `tenant plan-newest` printed.
        #[arg(long)]
        confirm: String,
    },
    /// Change settings; what is not given stays.
    Settings {
        /// Its id.
        tenant: String,
        /// Days that records are kept.
        #[arg(long)]
        retention_days: Option<i64>,
        /// Services that may see each other's data: `none`, `all`, or pairs `a+b,c+d`.
        #[arg(long)]
        sharing: Option<String>,
        /// What the centre may be told: `off` or `facts`.
        #[arg(long)]
        centre: Option<String>,
        /// Whether hunts may read rows from the tenant's other cells.
        #[arg(long)]
        federated_reads: Option<bool>,
    },
    /// Choose which services may share alerts and see each other's data.
    Consent {
        /// Its id.
        tenant: String,
        /// `none`, `all`, or pairs `a+b,c+d`.
        sharing: String,
    },
    /// Choose what the centre may be told.
    Central {
        /// Its id.
        tenant: String,
        /// `off` or `facts`.
        #[arg(value_parser = ["off", "facts"])]
        mode: String,
    },
    /// What happened to a tenant, oldest first.
    Ledger {
        /// Its id.
        tenant: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Source {
    /// Add a source.
    Add {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// What you call it.
        #[arg(long)]
        name: String,
        /// Services whose rows it may bring.
        #[arg(long, value_delimiter = ',', required = true)]
        services: Vec<String>,
        /// The tenant id that its envelopes carry.
        #[arg(long)]
        envelope_tenant: Option<String>,
        /// Computers that are domain controllers.
        #[arg(long, value_delimiter = ',')]
        domain_controllers: Vec<String>,
    },
    /// A tenant's sources with what they delivered.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// One source.
    Show {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Its id.
        source: String,
    },
    /// Switch a source on again.
    Enable {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Its id.
        source: String,
    },
    /// Switch a source off.
    Disable {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Its id.
        source: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Mint a token; it is shown once.
    Create {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// What you call it.
        #[arg(long)]
        name: String,
        /// What it may do: ingest, hunt, incidents, rules, read, administer, residency.
        #[arg(long, value_delimiter = ',', required = true)]
        permissions: Vec<String>,
        /// Sources it is limited to.
        #[arg(long, value_delimiter = ',')]
        sources: Vec<String>,
        /// Tables it is limited to.
        #[arg(long, value_delimiter = ',')]
        tables: Vec<String>,
        /// Days until it is no longer good.
        #[arg(long, default_value_t = 90)]
        days: i64,
    },
    /// A tenant's tokens, without their secrets.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// Take a token back.
    Revoke {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Its id.
        #[arg(value_name = "TOKEN")]
        token_id: String,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Ingest {
    /// Files, also gzip, zstd, zip and tar; `-` reads standard input.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The source; by default the only one that the token allows.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// The tenant, when a data directory is opened.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// `defender`, `evtx`, `windows-json` or `json`; by default told from the bytes.
    #[arg(long = "as")]
    pub(crate) as_format: Option<String>,
    /// The table of plain JSON records.
    #[arg(long)]
    pub(crate) table: Option<String>,
    /// The column with the time of rows outside the schema; by default a usual name is looked for.
    #[arg(long)]
    pub(crate) time_column: Option<String>,
    /// Decode and place, store nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write refused and misdirected records here with their places, one JSON object a line; with a
    /// resume file that is there already, at its end.
    #[arg(long)]
    pub(crate) rejects: Option<PathBuf>,
    /// Remember here how far each file was sent, and go on from there.
    #[arg(long)]
    pub(crate) resume: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Hunt {
    /// The query; without it, `--file` or standard input.
    pub(crate) query: Option<String>,
    /// The tenant; a token says it by itself.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// File with the query.
    #[arg(long, short, conflicts_with = "query")]
    pub(crate) file: Option<PathBuf>,
    /// Show all columns in full, however wide the table gets.
    #[arg(long)]
    pub(crate) wide: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Residency {
    /// What rests where, by service, rule and table.
    Report {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// Look through data directories: every file sealed and of a known format, every segment its
    /// region's own. Needs `--config`; takes the directories'
    /// locks, so the cells must not run.
    Scan {
        /// Texts that must not be found in clear anywhere.
        #[arg(long = "marker")]
        markers: Vec<String>,
    },
    /// Why a record rests where it does.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The record's row id, 32 hex digits: `row_id()` of a hunt gives it.
        record: String,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Generate {
    /// Seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Distinct records over all tenants.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) events: u64,
    /// Tenants.
    #[arg(long, default_value_t = 1)]
    pub(crate) tenants: usize,
    /// Days over which they are spread.
    #[arg(long, default_value_t = 3)]
    pub(crate) days: u32,
    /// Start, RFC 3339; by default so that the last day ends now.
    #[arg(long)]
    pub(crate) start: Option<String>,
    /// What to weave in: `none`, `story`, `variant`, `many` (ten intrusions) or `many=N`.
    #[arg(long, default_value = "none", value_parser = detection::woven)]
    pub(crate) attack: Woven,
    /// As many look-alikes as the hardest setting has.
    #[arg(long)]
    pub(crate) hardest: bool,
    /// Write what was woven in here, one JSON object a line.
    #[arg(long)]
    pub(crate) truth: Option<PathBuf>,
    /// Directory for one file a tenant; by default the first tenant goes to standard output.
    #[arg(long)]
    pub(crate) output: Option<PathBuf>,
    /// Replace files that are there.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) kind: Option<BenchKind>,
    /// Records of 3.6 KB (68-column DeviceProcessEvents) to ingest.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) events: u64,
    /// Records of one request.
    #[arg(long, default_value_t = 500)]
    pub(crate) batch: usize,
    /// Requests under way at once.
    #[arg(long, default_value_t = 4)]
    pub(crate) clients: usize,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where to put the data directory, which stays; by default a temporary one.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BenchKind {
    /// Twenty named hunts over mixed telemetry that is made once and kept.
    Hunt(BenchHunt),
    /// How well intrusions are told from what only looks like them, over many seeds.
    Detect(BenchDetect),
    /// Rows per CPU second that rules examine: the starter pack, and a folder of others.
    Rules(BenchRules),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BenchRules {
    /// A folder of Sigma rules, with those below it.
    #[arg(long)]
    pub(crate) rules: Option<PathBuf>,
    /// Records of background, of one tenant; an intrusion and look-alikes come on top.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) events: u64,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BenchHunt {
    /// Records to make, if the directory has none yet.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) events: u64,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the rows are kept; by default they are made in a temporary directory.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Times that each hunt runs; the best one counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Only hunts whose name contains this.
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Write the hunted tables here as Arrow files, and the questions and answers as JSON: for
    /// `benches/peers`.
    #[arg(long)]
    pub(crate) export: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BenchDetect {
    /// Seeds to try.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    pub(crate) first_seed: u64,
    /// Records of background of each seed, over all tenants.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) events: u64,
    /// Intrusions of each seed, half of them in one tenant.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) intrusions: u32,
    /// What the worlds are like.
    #[arg(long, value_enum, default_value_t = DetectSetting::Hardest)]
    pub(crate) setting: DetectSetting,
    /// With `--setting demo`: days that lie between the end of the telemetry and now.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=60))]
    pub(crate) days_back: u32,
    /// Say on standard error which alerts are strangers, what is mixed, in pieces or not seen.
    #[arg(long)]
    pub(crate) details: bool,
    /// Write every alert, with the scene that its records are of, as JSON lines to this file.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
}

/// What `bench detect` lets happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DetectSetting {
    /// Several intrusions among the most look-alikes that are asked of a release.
    Hardest,
    /// One story in each of the demo's two victims.
    Demo,
}
