//! `ansatz bench CONFIG`

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use ansatz_core::{Error, Model, ModelPlan, Places, Registry};
use ansatz_infer::{TokenTime, time_decoding};
use ansatz_run::{Environment, Experiment, peak_memory_bytes};
use ansatz_train::{Setting, StepTimes, time_steps};
use serde::Serialize;

use super::places;
use crate::cli::{Bench, Work};
use crate::output::{self, Failure, Outcome, bytes, grouped};

/// The times of a network.
#[derive(Serialize)]
struct Times {
    title: String,
    environment: Environment,
    device: String,
    parameters: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<StepTimes>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<TokenTime>,
    /// The most memory that the process held.
    peak_memory_bytes: Option<u64>,
}

pub(super) fn execute(arguments: &Bench, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let times = time(arguments, registry)?;
    if arguments.json { output::json(out, &times) } else { print(&times, out) }
}

fn time(arguments: &Bench, registry: &Registry) -> Result<Times, Failure> {
    let experiment = super::config::read(&arguments.config, &arguments.patches.set, registry)?;
    let places = places()?;
    let (tokens, parameters) = match arguments.only {
        Some(Work::Train) => (Vec::new(), None),
        only => {
            let (tokens, parameters) = decode(&experiment, arguments, &places, registry, only.is_some())?;
            (tokens, Some(parameters))
        }
    };
    let step = match arguments.only {
        Some(Work::Decode) => None,
        _ => Some(train(&experiment, arguments, &places, registry)?),
    };
    Ok(Times {
        title: experiment.title.clone(),
        environment: Environment::observe(),
        device: arguments.device.device.clone(),
        parameters: parameters.or(step.as_ref().map(|step| step.parameters)).unwrap_or(0),
        step,
        tokens,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

fn train(
    experiment: &Experiment,
    arguments: &Bench,
    places: &Places,
    registry: &Registry,
) -> Result<StepTimes, Failure> {
    let setting = Setting {
        registry,
        places,
        device: &ansatz_device::open(&arguments.device.device)?,
        host: &ansatz_device::host()?,
        device_name: &arguments.device.device,
        stop: Arc::default(),
        listeners: Vec::new(),
    };
    Ok(time_steps(experiment, &setting, Duration::from_secs(arguments.seconds.into()))?)
}

/// The times of tokens, none for a network that does not write, and the number of its parameters.
fn decode(
    experiment: &Experiment,
    arguments: &Bench,
    places: &Places,
    registry: &Registry,
    demanded: bool,
) -> Result<(Vec<TokenTime>, usize), Failure> {
    let device = ansatz_device::open(&arguments.device.device)?;
    let plan = experiment.plan(registry)?;
    let data = plan.data.open(places)?;
    let encoder = data.encoder();
    let network = ModelPlan { registry, encoder, backbone: &*plan.backbone, task: &*plan.task };
    let model = Model::init(&network, experiment.seed.into(), &device)?;
    let parameters = model.layers().iter().map(|layer| layer.parameters).sum();
    let tokens = match (encoder.codec(), model.backbone.recurrent()) {
        (Some(codec), Some(_)) => {
            time_decoding(&model, codec, &arguments.contexts, arguments.tokens.get(), &device)?
        }
        _ if demanded => {
            return Err(Failure::from(Error::input(
                arguments.config.display(),
                "its network does not write token by token",
                "text, and a backbone of causal mixers",
                "leave out --only decode",
            )));
        }
        _ => Vec::new(),
    };
    Ok((tokens, parameters))
}

fn print(times: &Times, out: &mut dyn Write) -> Outcome {
    let mut rows = vec![("parameters".to_owned(), grouped(times.parameters as u64))];
    if let Some(step) = &times.step {
        rows.push((
            "training step".to_owned(),
            format!(
                "{:.2} ms for {} examples, median of {}",
                step.milliseconds,
                grouped(step.examples as u64),
                step.steps
            ),
        ));
        let rate = step.examples as f64 / step.milliseconds * 1e3;
        rows.push(("training speed".to_owned(), format!("{} examples/s", grouped(rate as u64))));
    }
    for token in &times.tokens {
        rows.push((
            format!("token behind {}", grouped(token.context as u64)),
            format!("{:.3} ms, state {}", token.milliseconds, bytes(token.state_bytes as u64)),
        ));
    }
    if let Some(peak) = times.peak_memory_bytes {
        rows.push(("peak memory".to_owned(), bytes(peak)));
    }
    if times.environment.debug_build {
        output::note(&"this is a build without optimization: its times mean little");
    }
    if !times.title.is_empty() {
        writeln!(out, "{}\n", times.title)?;
    }
    for (name, value) in rows {
        writeln!(out, "  {name:<20} {value}")?;
    }
    Ok(())
}
