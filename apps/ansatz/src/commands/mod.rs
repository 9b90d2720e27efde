//! One file per command: each asks a crate for what it does and prints the answer.

mod bench;
mod compress;
mod config;
mod data;
mod embed;
mod evaluate;
mod generate;
mod hub;
mod init;
mod inspect;
mod list;
mod measure;
mod predict;
mod sensitivity;
mod train;
mod verify;

use std::io::{self, Write};

use ansatz_core::{Part, Places, Registry};
use clap::CommandFactory;

use crate::cli::{Cli, Command, PartName};
use crate::output::{Failure, Outcome};

/// Does what was asked.
pub(crate) fn execute(cli: Cli, registry: Registry) -> Outcome {
    let out = &mut io::stdout().lock();
    match cli.command {
        Command::Train(arguments) => train::execute(arguments, &registry, out),
        Command::Init(arguments) => init::execute(&arguments, &registry, out),
        Command::Evaluate(arguments) => evaluate::execute(&arguments, &registry, out),
        Command::Predict(arguments) => predict::execute(&arguments, &registry, out),
        Command::Compress(arguments) => compress::execute(&arguments, &registry, out),
        Command::Measure(arguments) => measure::execute(&arguments, &registry, out),
        Command::Inspect(arguments) => inspect::execute(&arguments, &registry, out),
        Command::Bench(arguments) => bench::execute(&arguments, &registry, out),
        Command::List(arguments) => list::execute(&arguments, &registry, out),
        Command::Config(arguments) => config::execute(arguments, &registry, out),
        Command::Data(arguments) => data::execute(arguments, &registry, out),
        Command::Generate(arguments) => generate::execute(&arguments, &registry, out),
        Command::Embed(arguments) => embed::execute(&arguments, &registry, out),
        Command::Import(arguments) => hub::import(&arguments, &registry, out),
        Command::Export(arguments) => hub::export(&arguments, &registry, out),
        Command::Verify(arguments) => verify::execute(&arguments, &registry, out),
        Command::Completions { shell } => completions(shell, out),
    }
}

fn completions(shell: clap_complete::Shell, out: &mut dyn Write) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ansatz", &mut script);
    Ok(out.write_all(&script)?)
}

/// The folders that data models may read.
fn places() -> Result<Places, Failure> {
    Ok(Places { data: ansatz_data::Cache::from_environment()?.root().to_owned() })
}

impl From<PartName> for Part {
    fn from(name: PartName) -> Self {
        match name {
            PartName::Train => Self::Train,
            PartName::Validation => Self::Validation,
            PartName::Test => Self::Test,
        }
    }
}
