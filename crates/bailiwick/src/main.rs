//! The program: commands, configuration, printer, and the adapters that bind the parts together.
//!
//! Promises
//! - Data goes to standard output, everything else to standard error.
//! - Exit codes: 0 fine, 1 found something or said no, 2 the input or usage is wrong, 3 the system
//!   failed. A broken pipe is 0.
//! - No core file is ever written: the process holds keys.

mod bench;
mod cli;
mod client;
mod commands;
mod config;
mod demo;
mod embedded;
mod environment;
mod failure;
mod hunting;
mod machine;
mod print;
mod view;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let cli = cli::Cli::parse();
    let code = match machine::forbid_core_files().and_then(|()| commands::run(cli)) {
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
