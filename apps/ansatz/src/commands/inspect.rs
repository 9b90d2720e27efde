//! `ansatz inspect CONFIG|RUN`

use std::io::Write;

use ansatz_core::{Encoder, Error, Layer, Model, ModelPlan, Registry};
use ansatz_run::{Experiment, RunFolder, Trained, bytes_held};
use serde::Serialize;

use super::places;
use crate::cli::Inspect;
use crate::output::{self, Failure, Outcome, bytes, grouped};

/// A network in figures.
#[derive(Serialize)]
struct Inspection {
    title: String,
    layers: Vec<Layer>,
    parameters: usize,
    flops: u64,
    activations: usize,
    /// Bytes of the weights in memory: as a run holds them, in float32 where there are none yet.
    weight_bytes: u64,
    /// Bytes of the weights on disk, of a run that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_bytes: Option<u64>,
    /// Bytes of float32 values that leave the layers for one example.
    activation_bytes: u64,
}

pub(super) fn execute(arguments: &Inspect, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let inspection = inspect(arguments, registry)?;
    if arguments.json { output::json(out, &inspection) } else { print(&inspection, out) }
}

fn inspect(arguments: &Inspect, registry: &Registry) -> Result<Inspection, Failure> {
    if arguments.subject.is_dir() {
        let folder = RunFolder::open(&arguments.subject)?;
        if folder.weights().is_file() {
            return trained(&folder, registry);
        }
        let experiment = folder.read_experiment(registry)?;
        let encoder = experiment.plan(registry)?.data.restore(&folder.read_preparation()?)?;
        return measure(&experiment, &*encoder, registry);
    }
    let experiment = Experiment::read(&arguments.subject, &arguments.patches.set, registry)?;
    let data = experiment.plan(registry)?.data.open(&places()?)?;
    measure(&experiment, data.encoder(), registry)
}

/// What a run that has ended holds, in memory and on disk.
fn trained(folder: &RunFolder, registry: &Registry) -> Result<Inspection, Failure> {
    let trained = Trained::load(folder.path(), registry, &ansatz_device::open("cpu")?)?;
    let weights = folder.weights();
    let disk = std::fs::metadata(&weights).map_err(Error::file(&weights, "read"))?.len();
    let inspection = Inspection::of(&trained.experiment.title, trained.model.layers());
    Ok(Inspection { weight_bytes: bytes_held(&trained.model), disk_bytes: Some(disk), ..inspection })
}

fn measure(
    experiment: &Experiment,
    encoder: &dyn Encoder,
    registry: &Registry,
) -> Result<Inspection, Failure> {
    let plan = experiment.plan(registry)?;
    let network = ModelPlan { registry, encoder, backbone: &*plan.backbone, task: &*plan.task };
    let device = ansatz_device::open("cpu")?;
    let layers = Model::init(&network, experiment.seed.into(), &device)?.layers();
    Ok(Inspection::of(&experiment.title, layers))
}

impl Inspection {
    /// A network with these layers, in float32.
    fn of(title: &str, layers: Vec<Layer>) -> Self {
        let parameters = layers.iter().map(|layer| layer.parameters).sum();
        let activations = layers.iter().map(|layer| layer.activations).sum();
        Self {
            title: title.to_owned(),
            parameters,
            flops: layers.iter().map(|layer| layer.flops).sum(),
            activations,
            weight_bytes: 4 * parameters as u64,
            disk_bytes: None,
            activation_bytes: 4 * activations as u64,
            layers,
        }
    }
}

fn print(inspection: &Inspection, out: &mut dyn Write) -> Outcome {
    let row = |layer: &Layer| {
        vec![
            layer.name.clone(),
            layer.output.clone(),
            grouped(layer.parameters as u64),
            grouped(layer.flops),
            grouped(layer.activations as u64),
        ]
    };
    let mut rows: Vec<_> = inspection.layers.iter().map(row).collect();
    rows.push(vec![
        "in all".to_owned(),
        String::new(),
        grouped(inspection.parameters as u64),
        grouped(inspection.flops),
        grouped(inspection.activations as u64),
    ]);
    if !inspection.title.is_empty() {
        writeln!(out, "{}\n", inspection.title)?;
    }
    output::table(out, &["layer", "output", "parameters", "operations", "activations"], &rows)?;
    let (held, activations) = (bytes(inspection.weight_bytes), bytes(inspection.activation_bytes));
    match inspection.disk_bytes {
        Some(disk) => writeln!(
            out,
            "\nweights: {held} in memory, {} on disk\nfor one example, forward, in float32: activations {activations}",
            bytes(disk)
        )?,
        None => {
            writeln!(
                out,
                "\nfor one example, forward, in float32: weights {held}, activations {activations}"
            )?;
        }
    }
    Ok(())
}
