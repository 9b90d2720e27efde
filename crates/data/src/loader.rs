//! Batches prepared ahead of time on threads, in an order that depends on the seed alone.
//!
//! Worker `w` of `n` prepares batches `w`, `w + n`, `w + 2n`, … and hands them over through a bounded
//! channel of its own, and the training thread asks the channels in turn. So the order needs no
//! sorting, memory is bounded, and no batch depends on which thread was faster.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use ansatz_core::{Batch, Error, OpenData, Part, Result, Variation};
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::balance::Balance;
use crate::batches::{Batches, Worker};
use crate::length::by_length;
use crate::random::{Purpose, stream};

/// How batches are loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoaderConfig {
    /// Examples in a batch, at least 1. The last batch of an epoch may be smaller; none is dropped.
    pub batch_size: NonZeroUsize,
    /// Threads that prepare batches; 0 prepares them on the training thread. Changes no result.
    pub workers: usize,
    /// Batches that may lie ready beyond the one in use, over all workers; at least one per worker.
    /// Changes no result.
    pub prefetch: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self { batch_size: const { NonZeroUsize::new(128).unwrap() }, workers: 1, prefetch: 4 }
    }
}

/// The order of the examples in an epoch, and whether they are varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they lie in the set and as they are: for evaluation.
    AsGiven,
    /// Shuffled by (seed, epoch) and varied by (seed, epoch, example): for training.
    Shuffled {
        /// The seed of the run.
        seed: u64,
    },
}

impl Order {
    /// How the examples of an epoch are varied.
    pub fn variation(self, epoch: u64) -> Option<Variation> {
        match self {
            Self::AsGiven => None,
            Self::Shuffled { seed } => Some(Variation { seed, epoch }),
        }
    }

    /// The indices of `examples` examples in the order of an epoch.
    pub fn indices(self, examples: usize, epoch: u64) -> Vec<usize> {
        let mut indices: Vec<usize> = (0..examples).collect();
        if let Self::Shuffled { seed } = self {
            indices.shuffle(&mut stream(seed, Purpose::Order, epoch, 0));
        }
        indices
    }
}

/// Loads a part of a data set in batches, epoch by epoch.
#[derive(Clone)]
pub struct Loader {
    data: Arc<dyn OpenData>,
    part: Part,
    order: Order,
    balance: Option<Arc<Balance>>,
    lengths: Option<Arc<Vec<usize>>>,
    config: LoaderConfig,
}

impl Loader {
    /// A loader over a part of a set.
    pub fn new(data: Arc<dyn OpenData>, part: Part, order: Order, config: &LoaderConfig) -> Self {
        Self { data, part, order, balance: None, lengths: None, config: config.clone() }
    }

    /// The same with shuffled epochs that are drawn from `balance`, so that every class comes equally often. Epochs in
    /// the order of the set stay as they are.
    pub fn balanced(self, balance: Balance) -> Self {
        Self { balance: Some(Arc::new(balance)), ..self }
    }

    /// The same with shuffled epochs whose batches hold examples of about the same length; `lengths` are those of all
    /// examples. Epochs in the order of the set stay as they are.
    pub fn by_length(self, lengths: Vec<usize>) -> Self {
        Self { lengths: Some(Arc::new(lengths)), ..self }
    }

    /// The indices of an epoch in their order.
    fn indices(&self, epoch: u64) -> Vec<usize> {
        let Order::Shuffled { seed } = self.order else {
            return self.order.indices(self.examples(), epoch);
        };
        let indices = match &self.balance {
            Some(balance) => balance.indices(seed, epoch),
            None => self.order.indices(self.examples(), epoch),
        };
        match &self.lengths {
            Some(lengths) => {
                let mut random = stream(seed, Purpose::Order, epoch, 2);
                by_length(indices, lengths, self.config.batch_size.get(), &mut random)
            }
            None => indices,
        }
    }

    /// Examples in an epoch.
    pub fn examples(&self) -> usize {
        self.data.examples(self.part)
    }

    /// Batches in an epoch, the smaller last one included.
    pub fn batches(&self) -> usize {
        self.examples().div_ceil(self.config.batch_size.get())
    }

    /// The batches of an epoch (from 0) from `start_batch` on: exactly those, to the bit, that the epoch
    /// would end with if it were started from batch 0. There are none from `start_batch = batches()` on.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn epoch(&self, epoch: u64, start_batch: usize) -> Result<Batches> {
        let plan = Arc::new(EpochPlan {
            data: Arc::clone(&self.data),
            part: self.part,
            epoch,
            batch_size: self.config.batch_size.get(),
            indices: self.indices(epoch),
            variation: self.order.variation(epoch),
        });
        let end = self.batches();
        let workers = self.config.workers.min(end.saturating_sub(start_batch));
        let mut started = Vec::with_capacity(workers);
        for worker in 0..workers {
            // A worker that waits for room holds one batch more, so it counts as ready too.
            let room = (self.config.prefetch / workers).saturating_sub(1);
            let (sender, receiver) = sync_channel(room);
            let plan = Arc::clone(&plan);
            let numbers = (start_batch + worker..end).step_by(workers);
            let thread = std::thread::Builder::new()
                .name(format!("loader {worker}"))
                .spawn(move || work(&plan, numbers, &sender))
                .map_err(|error| {
                    Error::Failed(format!(
                        "loader: cannot start thread {worker}: {error}\n  expected: {workers} threads\n  \
                         to do: lower `workers`"
                    ))
                })?;
            started.push(Worker::new(receiver, thread));
        }
        Ok(Batches::new(plan, start_batch, end, started))
    }
}

/// Everything that the batches of one epoch follow from.
pub(crate) struct EpochPlan {
    data: Arc<dyn OpenData>,
    part: Part,
    pub(crate) epoch: u64,
    batch_size: usize,
    indices: Vec<usize>,
    variation: Option<Variation>,
}

impl EpochPlan {
    /// Prepares one batch; a panic on the way becomes an error, so that no thread waits for ever.
    pub(crate) fn prepare(&self, number: usize) -> Result<Batch> {
        let from = number * self.batch_size;
        let indices = &self.indices[from..self.indices.len().min(from + self.batch_size)];
        let prepared = catch_unwind(AssertUnwindSafe(|| self.data.batch(self.part, indices, self.variation)));
        prepared.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(self.broken(number, &text.unwrap_or_else(|| "no message".to_owned())))
        })
    }

    /// A batch that could not be prepared through no fault of the data.
    pub(crate) fn broken(&self, number: usize, reason: &str) -> Error {
        Error::Failed(format!(
            "loader: batch {number} of epoch {} of the {} part panicked: {reason}\n  expected: a batch or an \
             error\n  to do: report it: this is a defect of the data model",
            self.epoch, self.part
        ))
    }
}

fn work(plan: &EpochPlan, numbers: impl Iterator<Item = usize>, sender: &SyncSender<Result<Batch>>) {
    for number in numbers {
        let prepared = plan.prepare(number);
        let failed = prepared.is_err();
        // A closed channel means that nobody wants more.
        if sender.send(prepared).is_err() || failed {
            return;
        }
    }
}
