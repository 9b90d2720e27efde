//! Developer chores: `cargo xtask check`, `cargo xtask new-mixer`, `cargo xtask figures`, `cargo xtask results`,
//! `cargo xtask bench`.

mod bench;
mod check;
mod figures;
mod new_mixer;
mod results;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Chores of the Ansatz workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Chore {
    /// Check the invariants that ARCHITECTURE.md states
    Check,
    /// Write a crate with a new mixer from a template, under crates/
    NewMixer {
        /// The mixer's name in kebab case, such as `moving-average`
        name: String,
    },
    /// Train the given configs and print the rows of the README's table of figures
    Figures {
        /// Config files; the four of the README by default
        configs: Vec<std::path::PathBuf>,
    },
    /// Train, compress and teach what xtask/results.toml lists, with several seeds, and write docs/RESULTS.md; hours, and
    /// what is done is not done again
    Results {
        /// Seeds of each
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        seeds: u32,
        /// Train and compress only where the path of the config or recipe contains this
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Measure speed and memory and print the table
    #[command(subcommand)]
    Bench(bench::Bench),
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore says what came of it")]
fn main() -> ExitCode {
    let done = match Chore::parse() {
        Chore::Check => check::run(),
        Chore::NewMixer { name } => new_mixer::run(&name),
        Chore::Figures { configs } => figures::run(&configs),
        Chore::Results { seeds, only } => results::run(seeds, &only),
        Chore::Bench(bench) => bench::run(&bench),
    };
    match done {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
