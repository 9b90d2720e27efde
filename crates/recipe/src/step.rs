//! One step: from a run folder to a run folder.

use std::fs;
use std::path::Path;
use std::time::Instant;

use ansatz_compress::{Examples, Original};
use ansatz_core::{Error, Model, Result};
use ansatz_run::{
    Environment, Figures, Masks, Measurement, RunFolder, Summary, Trained, save_weights,
    write_folder_atomically,
};
use ansatz_train::{resume, train};

use crate::examples::{forward, training_batches};
use crate::shrink::some_of;
use crate::training::Lesson;
use crate::{Step, Workshop};

/// Where a step stands in its chain.
pub(crate) struct Way<'a> {
    /// The run that the recipe is done with.
    pub original: &'a Path,
    /// The run of the step before.
    pub before: &'a Path,
    /// Where its own run lies, whole, in part or not at all.
    pub place: &'a Path,
}

impl Step {
    /// Does the step, or what is left of it; says whether it came to its end.
    ///
    /// # Errors
    /// When the step does not fit, or a folder cannot be written.
    pub(crate) fn take(&self, way: &Way<'_>, workshop: &Workshop<'_>) -> Result<bool> {
        match self {
            Self::Prune(_) | Self::Shrink(_) | Self::Quantize(_) if way.place.exists() => Ok(true),
            Self::Prune(config) => rewrite(way, workshop, |trained, masks| {
                let (model, added) = match config.calibration() {
                    Some(calibration) => {
                        let batches = training_batches(trained, &calibration, workshop)?;
                        let forward = forward(workshop);
                        let examples = Examples { batches: &batches, forward: &forward };
                        config.prune_with(trained.model.clone(), &examples)?
                    }
                    None => (trained.model.clone(), config.masks(&trained.model)?),
                };
                for (name, mask) in added.iter() {
                    masks.add(name, mask.clone());
                }
                Ok(masks.on(workshop.device).hold(model))
            }),
            Self::Quantize(config) => rewrite(way, workshop, |trained, _| match config.calibration() {
                Some(calibration) => {
                    let batches = training_batches(trained, &calibration, workshop)?;
                    let forward = forward(workshop);
                    let examples = Examples { batches: &batches, forward: &forward };
                    config.quantize_with(trained.model.clone(), &examples)
                }
                None => config.quantize(trained.model.clone()),
            }),
            Self::Shrink(config) => rewrite(way, workshop, |trained, masks| {
                let shrunk = config.shrink(Original {
                    registry: workshop.registry,
                    encoder: &*trained.encoder,
                    experiment: &trained.experiment,
                    model: &trained.model,
                    masks,
                    batch: &some_of(&*trained.plan.data.open(workshop.places)?)?,
                    device: workshop.device,
                })?;
                shrunk.told.iter().for_each(|told| (workshop.tell)(told));
                (trained.experiment, *masks) = (shrunk.experiment, shrunk.masks);
                Ok(shrunk.model)
            }),
            Self::FineTune(config) => learn(way, workshop, || {
                config.lesson(&RunFolder::open(way.before)?.read_experiment(workshop.registry)?)
            }),
            Self::Distill(config) => learn(way, workshop, || {
                let before = RunFolder::open(way.before)?.read_experiment(workshop.registry)?;
                config.lesson(&before, way.original, workshop.registry)
            }),
        }
    }
}

/// Writes the run of the step before with other weights; it is there whole, or not at all.
fn rewrite(
    way: &Way<'_>,
    workshop: &Workshop<'_>,
    change: impl FnOnce(&mut Trained, &mut Masks) -> Result<Model>,
) -> Result<bool> {
    let clock = Instant::now();
    let mut trained = Trained::load(way.before, workshop.registry, workshop.device)?;
    let mut masks = Masks::read(&trained.folder.masks())?;
    let before = trained.experiment.clone();
    trained.model = change(&mut trained, &mut masks)?;
    // Under other sizes it is no longer the network that was published.
    let same = before.backbone == trained.experiment.backbone
        && before.data == trained.experiment.data
        && before.task == trained.experiment.task;
    write_folder_atomically(way.place, |place| {
        let folder = RunFolder::at(place);
        folder.write_preparation(&trained.folder.read_preparation()?)?;
        save_weights(&trained.model, &folder.weights())?;
        folder.write_layers(&trained.model.layers())?;
        if !masks.is_empty() {
            masks.write(&folder.masks())?;
        }
        if same {
            copy_rest(trained.folder.path(), place)?;
        }
        folder.write_summary(&summary(&trained, workshop, clock.elapsed().as_secs_f64())?)?;
        folder.write_experiment(&trained.experiment)
    })?;
    Ok(true)
}

/// Trains, or goes on with it.
fn learn(way: &Way<'_>, workshop: &Workshop<'_>, lesson: impl FnOnce() -> Result<Lesson>) -> Result<bool> {
    let folder = RunFolder::at(way.place);
    if !folder.summary().exists() {
        let setting = workshop.setting((workshop.listeners)());
        let summary = if folder.config().exists() {
            resume(&folder, setting)?
        } else {
            // A few files may be left of a beginning that was cut off.
            if way.place.exists() {
                fs::remove_dir_all(way.place).map_err(Error::file(way.place, "write"))?;
            }
            train(&lesson()?.behind(way.before), &folder, setting)?
        };
        if summary.ended == "interrupted" {
            return Ok(false);
        }
    }
    copy_rest(way.before, way.place)?;
    Ok(true)
}

/// Copies what the run was published with, if it was.
fn copy_rest(from: &Path, to: &Path) -> Result<()> {
    copy_folder(&from.join("published"), &to.join("published"))
}

/// Copies a folder of files, if it is there.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to).map_err(Error::file(to, "create"))?;
    for entry in fs::read_dir(from).map_err(Error::file(from, "read"))? {
        let entry = entry.map_err(Error::file(from, "read"))?;
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).map_err(Error::file(to, "write"))?;
        }
    }
    Ok(())
}

/// The figures of a run that was not trained but changed in `seconds`.
fn summary(trained: &Trained, workshop: &Workshop<'_>, seconds: f64) -> Result<Summary> {
    let before = trained.folder.read_summary()?;
    Ok(Summary {
        title: trained.experiment.title.clone(),
        seed: trained.experiment.seed,
        device: workshop.device_name.to_owned(),
        parameters: trained.model.layers().iter().map(|layer| layer.parameters).sum(),
        epochs: before.as_ref().map_or(0.0, |before| before.epochs),
        steps: before.as_ref().map_or(0, |before| before.steps),
        seconds,
        examples_per_second: before.as_ref().map_or(0.0, |before| before.examples_per_second),
        peak_memory_bytes: None,
        ended: "finished".to_owned(),
        best_step: before.as_ref().map_or(0, |before| before.best_step),
        validation: None,
        test: None,
        compression: Vec::new(),
        init: None,
        environment: Environment::observe(),
    })
}

/// Writes into a run's summary what its network gives and costs, unless training did.
///
/// # Errors
/// When the summary cannot be read or written.
pub(crate) fn note_measured(run: &Path, measured: &Measurement) -> Result<()> {
    let folder = RunFolder::open(run)?;
    let Some(mut summary) = folder.read_summary()? else { return Ok(()) };
    let figures = Figures {
        examples: measured.examples,
        interval: measured.interval.clone(),
        values: measured.values.clone(),
    };
    match measured.part {
        ansatz_core::Part::Test => summary.test = Some(figures),
        _ => summary.validation = Some(figures),
    }
    folder.write_summary(&summary)
}
