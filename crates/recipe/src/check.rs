//! Whether a recipe fits a run, before any work starts.

use ansatz_compress::{
    CalibrationConfig, Examples, Original, ShrinkConfig, Unseen, Weight, check_seen, is_any_quantized,
    weights,
};
use ansatz_core::{Batch, Error, Model, Result};
use ansatz_run::{Experiment, Masks, Trained};
use burn::module::Module;

use crate::examples::{first_example, forward, no_examples};
use crate::shrink::some_of;
use crate::training::Lesson;
use crate::{Recipe, Step, Workshop};

/// A network on its way through the recipe, as far as can be known without doing it.
struct Expected {
    experiment: Experiment,
    /// Of the shape that it will have, its weights those of the original, or drawn.
    model: Model,
    /// Those of them that are still floats.
    weights: Vec<Weight>,
    quantized: bool,
    /// One of the training part.
    example: Option<Batch>,
    /// Whether another network has taken the place of the original.
    student: bool,
}

/// Refuses a recipe that does not fit the run `original`.
///
/// # Errors
/// When a step names an unknown layer, has a pattern or groups that do not divide, would undo an earlier step, or trains
/// with settings, data or a teacher that do not fit.
pub(crate) fn check(recipe: &Recipe, original: &Trained, workshop: &Workshop<'_>) -> Result<()> {
    // Figures need the data, and so do they before a single step is taken.
    let data = original.plan.data.open(workshop.places)?;
    let mut expected = Expected {
        experiment: original.experiment.clone(),
        model: original.model.clone(),
        weights: weights(&original.model),
        quantized: is_any_quantized(&original.model),
        example: first_example(&*data)?,
        student: false,
    };
    for (index, step) in recipe.step.iter().enumerate() {
        expected.pass(step, original, workshop).map_err(|error| within(error, index, step))?;
    }
    Ok(())
}

impl Expected {
    fn pass(&mut self, step: &Step, original: &Trained, workshop: &Workshop<'_>) -> Result<()> {
        match step {
            Step::Prune(config) => {
                let selected = config.select(self.weights.clone())?;
                self.calibrate(config.calibration(), &selected, workshop)
            }
            Step::Shrink(config) => self.shrink(config, workshop),
            Step::Quantize(config) => {
                let selected = config.select(self.weights.clone())?;
                self.calibrate(config.calibration(), &selected, workshop)?;
                for done in selected {
                    self.weights.retain(|weight| weight.name != done.name);
                }
                self.quantized = true;
                Ok(())
            }
            Step::FineTune(config) => self.learn(config.lesson(&self.experiment)?, workshop),
            Step::Distill(config) => {
                let lesson = config.lesson(&self.experiment, original.folder.path(), workshop.registry)?;
                self.learn(lesson, workshop)
            }
        }
    }

    fn learn(&mut self, lesson: Lesson, workshop: &Workshop<'_>) -> Result<()> {
        if lesson.goes_on {
            self.still_float("training on with weights that are quantized would undo it", "train")?;
        }
        let model = ansatz_train::check(&lesson.experiment, &workshop.setting(Vec::new()))?;
        if !lesson.goes_on {
            self.weights = weights(&model);
            self.model = model.valid();
            self.quantized = false;
            self.student = true;
        }
        self.experiment = lesson.experiment;
        Ok(())
    }

    /// Whether there are examples that show what the selected weights are multiplied with. Of a student, whose data may be
    /// others, that is known when it is there; it has examples, since it was trained.
    fn calibrate(
        &self,
        calibration: Option<CalibrationConfig>,
        selected: &[Weight],
        workshop: &Workshop<'_>,
    ) -> Result<()> {
        let Some(calibration) = calibration.filter(|_| !self.student) else { return Ok(()) };
        let example = self.example.as_ref().ok_or_else(no_examples)?;
        if calibration.unseen == Unseen::Plain {
            return Ok(());
        }
        let forward = forward(workshop);
        let examples = Examples { batches: std::slice::from_ref(example), forward: &forward };
        check_seen(&self.model, &examples, selected)
    }

    /// Shrinks what stands for the network, so that later steps are looked at with the sizes that they will find.
    fn shrink(&mut self, config: &ShrinkConfig, workshop: &Workshop<'_>) -> Result<()> {
        self.still_float("units are cut out of weights that are floats", "shrink")?;
        let data = self.experiment.plan(workshop.registry)?.data.open(workshop.places)?;
        let shrunk = config.shrink(Original {
            registry: workshop.registry,
            encoder: data.encoder(),
            experiment: &self.experiment,
            model: &self.model,
            masks: &Masks::default(),
            batch: &some_of(&*data)?,
            device: workshop.device,
        })?;
        self.weights = weights(&shrunk.model);
        (self.experiment, self.model) = (shrunk.experiment, shrunk.model);
        Ok(())
    }

    fn still_float(&self, problem: &str, kind: &str) -> Result<()> {
        if !self.quantized {
            return Ok(());
        }
        Err(Error::input(
            "the order of the steps",
            problem,
            format!("steps that quantize behind all that {kind}"),
            "move it to the end of the recipe, or begin with a run that is not quantized",
        ))
    }
}

/// The same error with the step it is about.
fn within(error: Error, index: usize, step: &Step) -> Error {
    let place = format!("step[{index}]");
    match error {
        Error::Input { input, problem, expected, remedy } => {
            Error::Input { input: format!("{place} ({}): {input}", step.kind()), problem, expected, remedy }
        }
        other => other.under(&place),
    }
}
