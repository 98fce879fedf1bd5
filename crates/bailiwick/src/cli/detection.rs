//! Commands about what was found, what left and what happened.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use model::{Classification, Determination, IncidentStatus};

#[derive(Debug, Subcommand)]
pub(crate) enum Alert {
    /// A tenant's alerts, the newest first.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Of this severity or a worse one: `informational`, `low`, `medium`, `high`.
        #[arg(long)]
        severity: Option<String>,
        /// Of this incident.
        #[arg(long)]
        incident: Option<u64>,
        /// Made at this instant or later, RFC 3339.
        #[arg(long)]
        from: Option<String>,
        /// Made before this instant.
        #[arg(long)]
        to: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// One alert with its content, which is read where it rests.
    Show {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Its id, 32 hex digits.
        alert: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Incident {
    /// A tenant's incidents, the newest first.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// `active`, `inProgress`, `resolved` or `redirected`.
        #[arg(long)]
        status: Option<String>,
        /// Of this severity or a worse one.
        #[arg(long)]
        severity: Option<String>,
        /// Assigned to exactly this.
        #[arg(long)]
        assigned_to: Option<String>,
        /// Changed at this instant or later, RFC 3339.
        #[arg(long)]
        updated_since: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// The story of one incident: its path, alerts, entities, and hunts to go on with.
    Show {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Its number.
        incident: u64,
    },
    /// Change an incident: all of it or nothing. `--link`, `--unlink` and `--merge` stand alone.
    Update(Box<IncidentUpdate>),
    /// What was done to an incident and why, the oldest first.
    Activity {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Its number.
        incident: u64,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct IncidentUpdate {
    /// The tenant.
    #[arg(long)]
    pub(crate) tenant: String,
    /// Its number.
    pub(crate) incident: u64,
    /// Where work on it stands.
    #[arg(long, ignore_case = true, value_parser = statuses())]
    pub(crate) status: Option<String>,
    /// Whom to assign it to; an empty text takes it from whoever has it.
    #[arg(long)]
    pub(crate) assign: Option<String>,
    /// What it turned out to be.
    #[arg(long, ignore_case = true, value_parser = words(Classification::ALL, Classification::as_str))]
    pub(crate) classification: Option<String>,
    /// What kind of it; each belongs to one classification.
    #[arg(long, ignore_case = true, value_parser = words(Determination::ALL, Determination::as_str))]
    pub(crate) determination: Option<String>,
    /// In place of the worst of its alerts; an empty text goes back to that.
    #[arg(long)]
    pub(crate) severity: Option<String>,
    /// In place of the made name; an empty text goes back to that.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Add a tag.
    #[arg(long)]
    pub(crate) tag: Vec<String>,
    /// Take a tag away.
    #[arg(long)]
    pub(crate) untag: Vec<String>,
    /// A note for the activity log.
    #[arg(long)]
    pub(crate) comment: Option<String>,
    /// Move an alert of another incident here.
    #[arg(long, value_name = "ALERT", conflicts_with_all = ["unlink", "merge"])]
    pub(crate) link: Option<String>,
    /// Move an alert out, into an incident of its own.
    #[arg(long, value_name = "ALERT", conflicts_with = "merge")]
    pub(crate) unlink: Option<String>,
    /// Merge these incidents with this one; the oldest stays.
    #[arg(long, value_name = "INCIDENT", value_delimiter = ',')]
    pub(crate) merge: Vec<u64>,
}

/// Whose rules.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// The tenant.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Those for all tenants of the region, or of every region that the configuration names. Takes an
    /// operator's credential.
    #[arg(long)]
    pub(crate) all_tenants: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rule {
    /// The rules that examine a tenant's rows: shipped, the region's, and its own.
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// One rule with its text.
    Show {
        #[command(flatten)]
        whose: Whose,
        /// Its id.
        rule: String,
    },
    /// Add a rule of the tenant or for all tenants, or put it in place of the one with its id.
    Add {
        #[command(flatten)]
        whose: Whose,
        /// File with its text, YAML.
        file: PathBuf,
        /// Leave it switched off.
        #[arg(long)]
        disabled: bool,
    },
    /// Switch a rule on.
    Enable {
        #[command(flatten)]
        whose: Whose,
        /// Its id.
        rule: String,
    },
    /// Switch a rule off.
    Disable {
        #[command(flatten)]
        whose: Whose,
        /// Its id.
        rule: String,
    },
    /// Say what is wrong with rule files, with line and column. Needs no server.
    Check {
        /// The files, or folders with them.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Run the tests of rules: rows that a rule must find and rows that it must leave alone. Needs no
    /// server.
    Test {
        /// Rule files, or folders with them; by default the rules that ship with the program.
        files: Vec<PathBuf>,
        /// Test documents; by default `tests/<id>.yml` beside each rule, or beside its folder.
        #[arg(long)]
        tests: Vec<PathBuf>,
    },
    /// Say in words what a rule looks at, what must hold, how bad it is, and what may look like it.
    Explain {
        /// A file, the id of a rule that ships with the program, or with `--tenant` any rule's id.
        rule: String,
        /// The tenant whose rule it is.
        #[arg(long)]
        tenant: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// The alerts and incidents that name a device, and hunts to go on with.
    Show {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Its id, its full name, or the first part of it.
        device: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// The alerts and incidents that name a user, and hunts to go on with.
    Show {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Address, object id, security identifier or `domain\name`.
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum File {
    /// What the centre's last snapshot says of a file. Asks the region only; a data directory that is
    /// not served holds no snapshot.
    Show {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The file's SHA-256, 64 hex digits.
        sha256: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Egress {
    /// What left a tenant for the centre, batch by batch.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// What left in one batch, column by column.
    Show {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The batch's id.
        batch: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// What happened, the oldest first.
    List {
        /// The tenant; by default what happened to the cell itself.
        #[arg(long)]
        tenant: Option<String>,
        /// At this instant or later, RFC 3339.
        #[arg(long)]
        since: Option<String>,
        /// Before this instant.
        #[arg(long)]
        until: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Draw one person's share of an epoch's linkage secret. The same two shares go to every cell.
    Share {
        /// The epoch; by default the running one.
        #[arg(long)]
        epoch: Option<u32>,
        /// Where to write the line; must not exist.
        #[arg(long)]
        output: PathBuf,
    },
    /// Import a person's share into the key rings of a configuration. The cells must not run.
    Import {
        /// What the secret is for.
        #[arg(long, value_parser = ["linkage"])]
        purpose: String,
        /// The epoch that the share must be of.
        #[arg(long)]
        epoch: u32,
        /// Who brings it; the second share comes from another person.
        #[arg(long)]
        person: String,
        /// File with the share's line; `-` reads standard input.
        share: PathBuf,
        /// Only into this region's key ring.
        #[arg(long)]
        region: Option<String>,
    },
    /// The epochs of which a linkage secret is there, with its fingerprint. The cells must not run.
    List,
}

/// What `generate` weaves in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woven {
    /// Nothing.
    None,
    /// The documented attack.
    Story,
    /// Another one, that no rule was written for.
    Variant,
    /// Several intrusions at once.
    Many(u32),
}

/// `none`, `story`, `variant`, `many` or `many=N`.
pub(crate) fn woven(text: &str) -> Result<Woven, String> {
    match text {
        "none" => Ok(Woven::None),
        "story" => Ok(Woven::Story),
        "variant" => Ok(Woven::Variant),
        "many" => Ok(Woven::Many(INTRUSIONS)),
        other => other
            .strip_prefix("many=")
            .and_then(|n| n.parse().ok())
            .map(Woven::Many)
            .ok_or_else(|| "one of `none`, `story`, `variant`, `many`, `many=N`".to_owned()),
    }
}

/// Intrusions of `many` without a number.
const INTRUSIONS: u32 = 10;

/// The words of a vocabulary.
fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> PossibleValuesParser {
    PossibleValuesParser::new(all.iter().map(|one| word(*one)).collect::<Vec<_>>())
}

/// What a person may set; an incident is redirected only by being merged.
fn statuses() -> PossibleValuesParser {
    let all = IncidentStatus::ALL.iter();
    let settable: Vec<_> = all
        .copied()
        .filter(|s| *s != IncidentStatus::Redirected)
        .collect();
    words(&settable, IncidentStatus::as_str)
}
