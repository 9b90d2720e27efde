//! `ansatz config render|check|schema`

use std::io::Write;

use ansatz_core::Registry;
use ansatz_run::{Experiment, Patch};

use crate::cli::Config;
use crate::output::{self, Failure, Outcome, complain};

pub(super) fn execute(arguments: Config, registry: &Registry, out: &mut dyn Write) -> Outcome {
    match arguments {
        Config::Render { config, patches, json } => {
            let experiment = read(&config, &patches.set, registry)?;
            if json {
                return output::json(out, &experiment);
            }
            write!(out, "{}", experiment.render()?)?;
            Ok(())
        }
        Config::Check { configs, patches } => {
            let mut failed = 0;
            for config in &configs {
                match read(config, &patches.set, registry) {
                    Ok(_) => writeln!(out, "{}: fine", config.display())?,
                    Err(error) => {
                        failed += 1;
                        complain(&format_args!("{}: {error}", config.display()));
                    }
                }
            }
            match failed {
                0 => Ok(()),
                _ => Err(Failure::Some { failed, total: configs.len(), what: "configs" }),
            }
        }
        Config::Schema { recipe } => {
            let schema = match recipe {
                true => ansatz_recipe::Recipe::schema(),
                false => Experiment::schema(registry, ansatz_train::schema()),
            };
            let text = serde_json::to_string_pretty(&schema).map_err(std::io::Error::from)?;
            writeln!(out, "{text}")?;
            Ok(())
        }
    }
}

/// Reads a config with every default of every part filled in, training included.
pub(super) fn read(
    path: &std::path::Path,
    patches: &[Patch],
    registry: &Registry,
) -> Result<Experiment, Failure> {
    let mut experiment = Experiment::read(path, patches, registry)?;
    ansatz_train::complete(&mut experiment)?;
    Ok(experiment)
}
