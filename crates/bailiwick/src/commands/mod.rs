//! What each command does.

mod centre;
mod check;
mod evidence;
mod generate;
mod hunt;
mod incidents;
mod ingest;
pub(crate) mod init;
mod key;
mod kql;
mod region;
mod registry;
mod residency;
mod resting;
pub(crate) mod rules;
mod serve;
mod source;
mod tenant;
mod tls;
mod token;

pub(crate) use hunt::table_text;
pub(crate) use serve::listen;

use std::path::PathBuf;

use model::{Code, TenantId};
use serde_json::Value;

use crate::cli::{Cli, Command, Config as ConfigCommand, Global};
use crate::client::{Ask, Client};
use crate::config::Config;
use crate::failure::Failure;
use crate::{bench, demo, print, view};

/// Runs a command; the exit code if it did not fail.
pub(crate) fn run(cli: Cli) -> anyhow::Result<i32> {
    let Cli { global, command } = cli;
    match command {
        Command::Demo(options) => demo::run(&options),
        Command::Init(options) => init::run(&global, &options),
        Command::Serve => serve::run(&global),
        Command::Region(command) => region::run(&global, command),
        Command::Config(ConfigCommand::Check) => check::run(&global),
        Command::Config(ConfigCommand::Keys) => check::keys(&global),
        Command::Centre(command) => centre::run(&global, command),
        Command::Tls(command) => tls::run(command),
        Command::Registry(command) => registry::run(&global, command),
        Command::Tenant(command) => tenant::run(&global, command),
        Command::Source(command) => source::run(&global, command),
        Command::Token(command) => token::run(&global, command),
        Command::Ingest(options) => ingest::run(&global, &options),
        Command::Hunt(options) => hunt::run(&global, &options),
        Command::Kql(command) => kql::run(&global, command),
        Command::Alert(command) => incidents::alert(&global, command),
        Command::Incident(command) => incidents::incident(&global, command),
        Command::Rule(command) => rules::run(&global, command),
        Command::Device(command) => evidence::device(&global, command),
        Command::User(command) => evidence::user(&global, command),
        Command::File(command) => evidence::file(&global, command),
        Command::Egress(command) => evidence::egress(&global, command),
        Command::Audit(command) => evidence::audit(&global, command),
        Command::Key(command) => key::run(&global, command),
        Command::Flush { tenant } => flush(&global, &tenant),
        Command::Residency(command) => residency::run(&global, command),
        Command::Generate(options) => generate::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Docs { page } => docs(&page),
    }
}

/// The configuration named by `--config`.
pub(crate) fn configuration(global: &Global) -> anyhow::Result<Config> {
    let path: &PathBuf = global.config.as_ref().ok_or_else(|| {
        Failure::new(Code::BadConfig, "no configuration was named").with_help("use `--config FILE`")
    })?;
    Config::read(path)
}

pub(crate) fn tenant_id(text: &str) -> anyhow::Result<TenantId> {
    Ok(text
        .parse()
        .map_err(|e: model::ids::BadId| Failure::new(Code::BadRequest, e.to_string()))?)
}

fn flush(global: &Global, tenant: &str) -> anyhow::Result<i32> {
    let tenant = tenant_id(tenant)?;
    let client = Client::connect(global)?;
    let ask = Ask::post(format!("/api/v1/tenants/{tenant}/flush"), &Value::Null);
    let mut all = Vec::new();
    for (region, reply) in client.call_each(Some(tenant), &ask)? {
        let mut report = reply.json()?;
        if let Some(fields) = report.as_object_mut() {
            fields.insert("region".to_owned(), region.into());
        }
        all.push(report);
    }
    let columns = [
        ("REGION", "/region"),
        ("SEGMENTS", "/segments"),
        ("ROWS", "/rows"),
        ("BYTES", "/bytes"),
    ];
    view::list(global, &all, &columns, "nothing to flush")
}

fn docs(page: &str) -> anyhow::Result<i32> {
    match page {
        "openapi" => print::out(&api::openapi())?,
        "cli" => print::out(&cli_page())?,
        _ => return Err(Failure::new(Code::BadRequest, format!("no page `{page}`")).into()),
    }
    Ok(0)
}

/// The help of every command, as one Markdown page.
fn cli_page() -> String {
    use std::fmt::Write as _;

    use clap::CommandFactory as _;
    let mut out = String::from("# Command line\n\nGenerated from the program's own help.\n");
    let mut root = Cli::command();
    root.build();
    let mut waiting = vec![root];
    while let Some(mut command) = waiting.pop() {
        let name = command
            .get_bin_name()
            .unwrap_or_else(|| command.get_name())
            .to_owned();
        let help = command.render_long_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        let help = help.join("\n");
        let _ = writeln!(out, "\n## `{name}`\n\n```text\n{}\n```", help.trim_end());
        let subcommands = command
            .get_subcommands()
            .filter(|c| !c.is_hide_set() && c.get_name() != "help");
        let mut subcommands: Vec<_> = subcommands.cloned().collect();
        subcommands.reverse();
        waiting.extend(subcommands);
    }
    out
}

/// Writes a file for the user, replacing what is there.
#[expect(
    clippy::disallowed_methods,
    reason = "a file that the user asked for; nothing of a tenant"
)]
pub(crate) fn write_file(path: &std::path::Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).map_err(|e| file_error("write", path, e))
}

/// A file of the user's that cannot be read, written or made.
pub(crate) fn file_error(
    verb: &str,
    path: &std::path::Path,
    error: std::io::Error,
) -> anyhow::Error {
    let message = format!("cannot {verb} `{}`", path.display());
    anyhow::Error::new(error).context(Failure::new(Code::FileFailed, message))
}

/// A file that is there and is not to be lost.
pub(crate) fn exists_already(path: &std::path::Path) -> anyhow::Error {
    let failure = Failure::new(Code::Conflict, format!("`{}` exists", path.display()));
    failure
        .with_help("name another one, or replace it with `--force`")
        .into()
}

/// Prints one thing.
pub(crate) fn show(global: &Global, value: &Value) -> anyhow::Result<i32> {
    view::item(global, value)
}
