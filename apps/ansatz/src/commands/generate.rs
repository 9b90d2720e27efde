//! `ansatz generate RUN --prompt TEXT`

use std::io::Write;

use ansatz_core::Registry;
use ansatz_infer::{Generator, Limits, Sampling};

use crate::cli::Generate;
use crate::output::{self, Failure, Outcome};

pub(super) fn execute(arguments: &Generate, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open(&arguments.device.device)?;
    let sampling = Sampling {
        repetition_penalty: arguments.repetition_penalty,
        temperature: arguments.temperature,
        top_k: arguments.top_k,
        top_p: arguments.top_p,
        min_p: arguments.min_p,
        seed: arguments.seed,
    };
    sampling.check()?;
    let limits = Limits { tokens: arguments.tokens.get(), stop: arguments.stop.clone() };
    let generator = Generator::load(&arguments.run, registry, &device)?;
    if arguments.json {
        let written = generator.generate(&arguments.prompt, sampling, &limits, &mut |_| true)?;
        return output::json(out, &written);
    }
    // The prompt is said with the first piece, when nothing can be wrong with it any more.
    let mut said = (!generator.answers()).then_some(&arguments.prompt);
    let mut printed = Ok(());
    let written = generator.generate(&arguments.prompt, sampling, &limits, &mut |piece| {
        let prompt = said.take().map_or("", String::as_str);
        printed = write!(out, "{prompt}{piece}").and_then(|()| out.flush());
        printed.is_ok()
    })?;
    printed.map_err(Failure::Output)?;
    writeln!(out)?;
    let rate = written.tokens as f64 / written.seconds.max(f64::MIN_POSITIVE);
    output::note(&format!("{} tokens, {rate:.0} tokens/s", written.tokens));
    Ok(())
}
