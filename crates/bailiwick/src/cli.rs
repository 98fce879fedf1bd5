//! The one table of commands and flags: help, usage errors and the reference page come from here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::environment;

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
    /// Address of a running server, for example `http://127.0.0.1:7401`.
    #[arg(long, global = true, env = environment::SERVER)]
    pub(crate) server: Option<String>,
    /// Token presented to the server.
    #[arg(long, global = true, env = environment::TOKEN, hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Configuration of a data directory: used by `serve`, and by other commands without `--server`.
    #[arg(long, global = true, env = environment::CONFIG)]
    pub(crate) config: Option<PathBuf>,
    /// File whose first line is the passphrase of key rings and of the operator's key.
    #[arg(long, global = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// How results are written; by default a table on a terminal, lines of JSON in a pipe.
    #[arg(long, global = true)]
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
    Init(Init),
    /// Serve the cells of a configuration until Ctrl-C.
    Serve,
    /// Look at a configuration.
    #[command(subcommand)]
    Config(Config),
    /// Show, verify or sign a registry.
    #[command(subcommand)]
    Registry(Registry),
    /// Plan, provision, list or show tenants.
    #[command(subcommand)]
    Tenant(Tenant),
    /// Add, list, show or disable sources.
    #[command(subcommand)]
    Source(Source),
    /// Create, list or revoke tokens.
    #[command(subcommand)]
    Token(Token),
    /// Send files of records.
    Ingest(Ingest),
    /// Run a KQL query.
    Hunt(Hunt),
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
    #[arg(long, default_value_t = 20_000)]
    pub(crate) events: u64,
    /// Seed of the telemetry.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// First of three ports; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    pub(crate) ports: u16,
    /// Keep the directories here instead of removing them at the end.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
    /// End after the report instead of serving until Ctrl-C.
    #[arg(long)]
    pub(crate) exit: bool,
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
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Read the configuration and say what is wrong with it, without changing anything.
    Check,
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
        /// What it may do: ingest, hunt, read, administer, residency.
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
        token: String,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Ingest {
    /// Files; `-` reads standard input.
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
    /// Decode and place, store nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write refused and misdirected records here, one JSON object a line.
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
    #[arg(long, short)]
    pub(crate) file: Option<PathBuf>,
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
    /// region's own. Needs `--config`; the cells must not run.
    Scan {
        /// Texts that must not be found in clear anywhere.
        #[arg(long = "marker")]
        markers: Vec<String>,
    },
    /// Why a record rests where it does.
    Explain {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The record's row id.
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
    /// Directory for one file a tenant; by default the first tenant goes to standard output.
    #[arg(long)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Bench {
    /// Records of 3.6 KB (68-column DeviceProcessEvents) to ingest.
    #[arg(long, default_value_t = 200_000)]
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
    /// Where to put the data directory; by default a temporary one.
    #[arg(long)]
    pub(crate) directory: Option<PathBuf>,
}
