//! `ansatz import FOLDER --out RUN` and `ansatz export RUN --out FOLDER`

use std::io::Write;

use ansatz_core::Registry;
use ansatz_hub::Folder;

use crate::cli::{Export, Import};
use crate::output::Outcome;

pub(super) fn import(arguments: &Import, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open("cpu")?;
    let imported = ansatz_hub::import(&Folder::open(&arguments.folder)?, &arguments.out, registry, &device)?;
    let run = arguments.out.display();
    writeln!(out, "{}: {} parameters of {}", run, imported.parameters, imported.family)?;
    let next = if imported.generates { "generate RUN --prompt TEXT" } else { "embed RUN TEXT" };
    writeln!(out, "next: ansatz {}", next.replace("RUN", &run.to_string()))?;
    Ok(())
}

pub(super) fn export(arguments: &Export, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open("cpu")?;
    let tensors = ansatz_hub::export(&arguments.run, &arguments.out, registry, &device)?;
    writeln!(out, "{}: {tensors} tensors", arguments.out.display())?;
    Ok(())
}
