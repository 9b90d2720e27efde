//! The batches of one epoch, in order, while they are being prepared.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use ansatz_core::{Batch, Result};

use crate::loader::EpochPlan;

/// A thread and the channel it fills.
pub(crate) struct Worker {
    receiver: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn new(receiver: Receiver<Result<Batch>>, thread: JoinHandle<()>) -> Self {
        Self { receiver: Some(receiver), thread: Some(thread) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The closed channel ends the thread after the batch in its hands; waiting for it here means
        // that no thread outlives the epoch it works for. Its panics were turned into errors.
        drop(self.receiver.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The batches of one epoch, in order. After an error there are no more.
pub struct Batches {
    plan: Arc<EpochPlan>,
    start: usize,
    next: usize,
    end: usize,
    workers: Vec<Worker>,
}

impl Batches {
    pub(crate) fn new(plan: Arc<EpochPlan>, start: usize, end: usize, workers: Vec<Worker>) -> Self {
        Self { plan, start, next: start, end, workers }
    }

    /// The number of the batch that comes next, which is where to resume.
    pub fn position(&self) -> usize {
        self.next
    }

    fn receive(&self) -> Result<Batch> {
        if self.workers.is_empty() {
            return self.plan.prepare(self.next);
        }
        let worker = &self.workers[(self.next - self.start) % self.workers.len()];
        let received = worker.receiver.as_ref().and_then(|receiver| receiver.recv().ok());
        received.unwrap_or_else(|| Err(self.plan.broken(self.next, "the thread ended without an answer")))
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let received = self.receive();
        self.next = if received.is_ok() { self.next + 1 } else { self.end };
        Some(received)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.end.saturating_sub(self.next)))
    }
}
