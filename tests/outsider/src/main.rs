//! The workbench with two more components.

use std::process::ExitCode;

use outsider::{FlatConfig, MovingAverageConfig};

fn main() -> ExitCode {
    ansatz::run(ansatz::builtin().mixer::<MovingAverageConfig>().backbone::<FlatConfig>())
}
