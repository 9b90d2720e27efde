//! `ansatz bench CONFIG | RUN`

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use ansatz_core::{Encoder, Error, Model, ModelPlan, Places, Registry};
use ansatz_infer::{TokenTime, time_decoding};
use ansatz_run::{Environment, Experiment, Trained, peak_memory_bytes};
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

impl Times {
    fn new(
        arguments: &Bench,
        experiment: &Experiment,
        parameters: usize,
        step: Option<StepTimes>,
        tokens: Vec<TokenTime>,
    ) -> Self {
        Self {
            title: experiment.title.clone(),
            environment: Environment::observe(),
            device: arguments.device.device.clone(),
            parameters,
            step,
            tokens,
            peak_memory_bytes: peak_memory_bytes(),
        }
    }
}

pub(super) fn execute(arguments: &Bench, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let times = match arguments.subject.is_dir() {
        true => time_run(arguments, registry)?,
        false => time(arguments, registry)?,
    };
    if arguments.json { output::json(out, &times) } else { print(&times, out) }
}

fn time(arguments: &Bench, registry: &Registry) -> Result<Times, Failure> {
    let experiment = super::config::read(&arguments.subject, &arguments.patches.set, registry)?;
    let places = places()?;
    let (tokens, parameters) = match arguments.only {
        Some(Work::Train) => (Vec::new(), None),
        _ => {
            let (tokens, parameters) = decode(&experiment, arguments, &places, registry)?;
            (tokens, Some(parameters))
        }
    };
    let step = match arguments.only {
        Some(Work::Decode) => None,
        _ => Some(train(&experiment, arguments, &places, registry)?),
    };
    let parameters = parameters.or(step.as_ref().map(|step| step.parameters)).unwrap_or(0);
    Ok(Times::new(arguments, &experiment, parameters, step, tokens))
}

/// The times of tokens that the network of a run decodes, its weights as they are: quantized ones stay so.
fn time_run(arguments: &Bench, registry: &Registry) -> Result<Times, Failure> {
    let refused = |what: &str, problem: &str, remedy: &str| {
        let expected = "a run, which is timed as it is: the tokens that it decodes";
        Err(Failure::from(Error::input(what, problem, expected, remedy)))
    };
    if arguments.only == Some(Work::Train) {
        return refused("--only train", "a run is not trained", "give bench the run's config.toml");
    }
    if !arguments.patches.set.is_empty() {
        return refused("--set", "nothing of a run can be set", "give bench the run's config.toml");
    }
    let device = ansatz_device::open(&arguments.device.device)?;
    let Trained { experiment, encoder, model, .. } = Trained::load(&arguments.subject, registry, &device)?;
    let remedy = "measure the run instead: ansatz measure RUN";
    let tokens = match tokens(&model, &*encoder, arguments)? {
        Some(tokens) => tokens,
        None => return Err(writes_nothing(arguments, remedy)),
    };
    let parameters = model.layers().iter().map(|layer| layer.parameters).sum();
    Ok(Times::new(arguments, &experiment, parameters, None, tokens))
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
) -> Result<(Vec<TokenTime>, usize), Failure> {
    let device = ansatz_device::open(&arguments.device.device)?;
    let plan = experiment.plan(registry)?;
    let data = plan.data.open(places)?;
    let encoder = data.encoder();
    let network = ModelPlan { registry, encoder, backbone: &*plan.backbone, task: &*plan.task };
    let model = Model::init(&network, experiment.seed.into(), &device)?;
    let parameters = model.layers().iter().map(|layer| layer.parameters).sum();
    match tokens(&model, encoder, arguments)? {
        None if arguments.only.is_some() => Err(writes_nothing(arguments, "leave out --only decode")),
        tokens => Ok((tokens.unwrap_or_default(), parameters)),
    }
}

/// The times of tokens; none where the network does not write.
fn tokens(
    model: &Model,
    encoder: &dyn Encoder,
    arguments: &Bench,
) -> Result<Option<Vec<TokenTime>>, Failure> {
    let (Some(codec), Some(_)) = (encoder.codec(), model.backbone.recurrent()) else { return Ok(None) };
    let device = ansatz_device::open(&arguments.device.device)?;
    Ok(Some(time_decoding(model, codec, &arguments.contexts, arguments.tokens.get(), &device)?))
}

fn writes_nothing(arguments: &Bench, remedy: &str) -> Failure {
    let expected = "text, and a backbone of causal mixers";
    let subject = arguments.subject.display();
    Failure::from(Error::input(subject, "its network does not write token by token", expected, remedy))
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
