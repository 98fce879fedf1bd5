//! What each command does.

mod data;
mod init;
mod manage;
mod residency;
mod serve;

pub(crate) use data::table_text;
pub(crate) use serve::listen;

use std::path::PathBuf;

use model::{Code, TenantId};
use serde_json::Value;

use crate::cli::{Cli, Command, Config as ConfigCommand, Global, Registry};
use crate::client::{Ask, Client, passphrase};
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
        Command::Config(ConfigCommand::Check) => check(&global),
        Command::Registry(command) => registry(&global, command),
        Command::Tenant(command) => manage::tenant(&global, command),
        Command::Source(command) => manage::source(&global, command),
        Command::Token(command) => manage::token(&global, command),
        Command::Ingest(options) => data::ingest(&global, &options),
        Command::Hunt(options) => data::hunt(&global, &options),
        Command::Flush { tenant } => flush(&global, &tenant),
        Command::Residency(command) => residency::run(&global, command),
        Command::Generate(options) => data::generate(&options),
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

fn check(global: &Global) -> anyhow::Result<i32> {
    let config = configuration(global)?;
    let signed = std::fs::read(&config.registry.file)
        .map_err(|e| Failure::new(Code::BadConfig, format!("registry: {e}")))?;
    let (key, least) = (&config.registry.operator_key, config.registry.least_version);
    let registry = ::residency::Registry::accept(&signed, key, least, None)
        .map_err(|e| Failure::new(e.code(), e.to_string()))?;
    for cell in &config.cells {
        if registry.region(&cell.region).is_none() {
            let message = format!("the registry has no region `{}`", cell.region);
            return Err(Failure::new(Code::BadConfig, message).into());
        }
    }
    print::note(&format!(
        "`{}` is fine: {} cell(s), registry version {}",
        config.path.display(),
        config.cells.len(),
        registry.version()
    ));
    Ok(0)
}

fn registry(global: &Global, command: Registry) -> anyhow::Result<i32> {
    match command {
        Registry::Show => {
            let client = Client::connect(global)?;
            show(global, &client.call(&Ask::get("/api/v1/registry"))?.json()?)
        }
        Registry::Verify { file } => {
            let config = configuration(global)?;
            let signed = std::fs::read(&file)?;
            let (key, least) = (&config.registry.operator_key, config.registry.least_version);
            let registry = ::residency::Registry::accept(&signed, key, least, None)
                .map_err(|e| Failure::new(e.code(), e.to_string()))?;
            let accepted = registry.accepted();
            print::out(&format!(
                "version {}, sha256 {}\n",
                accepted.version, accepted.digest
            ))?;
            Ok(0)
        }
        Registry::Sign {
            document,
            key,
            output,
        } => {
            let payload = std::fs::read(&document)?;
            let draft = ::residency::Draft::parse(&payload)
                .map_err(|e| Failure::new(e.code(), e.to_string()))?;
            let (disk, name) = crate::embedded::key_disk(&key)?;
            let protection = crate::embedded::protection(passphrase(global)?.as_ref())?;
            let signer = vault::SigningKey::open_file(&*disk, &name, &protection)
                .map_err(|e| Failure::new(e.code(), e.to_string()))?;
            write_file(&output, &draft.sign(&signer))?;
            print::note(&format!(
                "signed version {} as `{}`, sha256 {}",
                draft.document().version,
                output.display(),
                draft.digest()
            ));
            Ok(0)
        }
    }
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
    use anyhow::Context as _;
    std::fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Prints one thing.
pub(crate) fn show(global: &Global, value: &Value) -> anyhow::Result<i32> {
    view::item(global, value)
}
