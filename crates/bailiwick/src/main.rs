//! The program: commands, configuration, printer, and the adapters that bind the parts together.
//!
//! Promises
//! - Data goes to standard output, everything else to standard error.
//! - Exit codes: 0 fine, 1 found something or said no, 2 the input or usage is wrong, 3 the system
//!   failed. A broken pipe is 0.
//! - No core file is ever written: the process holds keys.

mod bench;
mod beside;
mod cli;
mod client;
mod commands;
mod config;
mod demo;
mod embedded;
mod environment;
mod failure;
mod grid;
mod hunting;
mod link;
mod machine;
mod ports;
mod print;
mod view;

use clap::{CommandFactory as _, FromArgMatches as _};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    machine::keep_panics_quiet();
    machine::keep_pages_small();
    machine::keep_freed_memory();
    let code = match machine::forbid_core_files().and_then(|()| commands::run(cli())) {
        Ok(code) => code,
        Err(error) if failure::is_broken_pipe(&error) => 0,
        Err(error) => {
            print::error(&error);
            failure::exit_code(&error)
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that ends the process"
    )]
    std::process::exit(code);
}

/// The command line. A configuration named on it goes before a server that the environment names.
fn cli() -> cli::Cli {
    let matches = cli::Cli::command().get_matches();
    let mut cli = cli::Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    let stated = |id: &str| {
        let mut at = Some(&matches);
        let mut stated = false;
        while let Some(matches) = at {
            stated |= matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
            at = matches.subcommand().map(|(_, inner)| inner);
        }
        stated
    };
    if stated("config") && !stated("server") {
        cli.global.server.clear();
    }
    cli
}
