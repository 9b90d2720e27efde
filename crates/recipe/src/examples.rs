//! The examples that a step calibrates with.

use ansatz_compress::CalibrationConfig;
use ansatz_core::{Batch, Error, Model, OpenData, Part, Result};
use ansatz_data::Order;
use ansatz_run::Trained;

use crate::Workshop;

/// Examples of the training part of a run's own data, in the order in which its seed shuffles them, not varied.
///
/// # Errors
/// When the data cannot be read, or their training part is empty.
pub(crate) fn training_batches(
    trained: &Trained,
    calibration: &CalibrationConfig,
    workshop: &Workshop<'_>,
) -> Result<Vec<Batch>> {
    let data = trained.plan.data.open(workshop.places)?;
    let count = data.examples(Part::Train);
    if count == 0 {
        return Err(no_examples());
    }
    let order = Order::Shuffled { seed: trained.experiment.seed.into() };
    let mut chosen = order.indices(count, 0);
    chosen.truncate(calibration.examples.get());
    let batches = chosen.chunks(calibration.batch_size.get());
    batches.map(|indices| data.batch(Part::Train, indices, None)).collect()
}

/// One example of the training part; none where it is empty.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn first_example(data: &dyn OpenData) -> Result<Option<Batch>> {
    let any = data.examples(Part::Train) > 0;
    any.then(|| data.batch(Part::Train, &[0], None)).transpose()
}

/// The error of data without a training part.
pub(crate) fn no_examples() -> Error {
    Error::input(
        "the training part",
        "it has no examples, and the step is fitted to some",
        "data with a training part, from which alone anything is fitted",
        "let the data model split less off, or choose a step that needs no examples",
    )
}

/// How a network takes a batch.
pub(crate) fn forward(workshop: &Workshop<'_>) -> impl Fn(&Model, &Batch) -> Result<()> {
    move |model: &Model, batch: &Batch| model.forward(&batch.inputs(workshop.device)).map(drop)
}
