//! `ansatz embed RUN TEXT…`

use std::io::Write;

use ansatz_core::Registry;
use ansatz_infer::Embedder;
use serde::Serialize;

use crate::cli::Embed;
use crate::output::{self, Outcome};

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    text: &'a str,
    embedding: Vec<f32>,
}

pub(super) fn execute(arguments: &Embed, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open(&arguments.device.device)?;
    let embedder = Embedder::load(&arguments.run, registry, &device)?;
    for text in &arguments.texts {
        let embedding = embedder.embed(text)?;
        if arguments.json {
            output::json(out, &Answer { text, embedding })?;
        } else {
            let values: Vec<String> = embedding.iter().map(f32::to_string).collect();
            writeln!(out, "{}", values.join(" "))?;
        }
    }
    Ok(())
}
