//! `restored/`: examples of which something was hidden, beside what the network told of it.

use std::fs;

use ansatz_core::{Error, HostOutputs, Model, OpenData, Part, Result, Target};
use ansatz_run::{RunFolder, write_atomically};
use burn::tensor::Device;

/// How many are drawn.
const DRAWN: usize = 12;

/// Draws examples of `part` at even distances, where the data hide values; otherwise does nothing.
///
/// # Errors
/// When an example cannot be read, or the run folder not be written.
pub(crate) fn draw(
    folder: &RunFolder,
    data: &dyn OpenData,
    part: Part,
    model: &Model,
    device: &Device,
) -> Result<()> {
    let Target::HiddenValues(_) = data.encoder().target() else { return Ok(()) };
    let restored = folder.restored();
    fs::create_dir_all(&restored).map_err(Error::file(&restored, "create"))?;
    let all = data.examples(part);
    let drawn = all.min(DRAWN);
    for place in 0..drawn {
        let index = place * all / drawn;
        let batch = data.batch(part, &[index], None)?;
        let outputs = HostOutputs::read(model.judge(&batch, data.encoder(), device)?)?;
        let exhibit = data.encoder().restored(&batch.targets, index, outputs.example(0))?;
        let Some(exhibit) = exhibit else { continue };
        let (ending, bytes) = exhibit.into_file();
        write_atomically(&restored.join(format!("{place:02}.{ending}")), &bytes)?;
    }
    Ok(())
}
