//! `ansatz embed RUN TEXT…`

use std::io::Write;

use ansatz_core::Registry;
use ansatz_infer::{Embedder, Embedding};
use serde::Serialize;

use crate::cli::Embed;
use crate::output::{self, Outcome};

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    text: &'a str,
    #[serde(flatten)]
    embedding: &'a Embedding,
}

pub(super) fn execute(arguments: &Embed, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open(&arguments.device.device)?;
    let embedder = Embedder::load(&arguments.run, registry, &device)?;
    for text in &arguments.texts {
        let embedding = embedder.embed(text)?;
        if embedding.cut > 0 && !arguments.json {
            output::note(&format!("{} tokens were read, {} were cut off", embedding.tokens, embedding.cut));
        }
        if arguments.json {
            output::json(out, &Answer { text, embedding: &embedding })?;
        } else {
            let values: Vec<String> = embedding.vector.iter().map(f32::to_string).collect();
            writeln!(out, "{}", values.join(" "))?;
        }
    }
    Ok(())
}
