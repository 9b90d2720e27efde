//! What a network gives and what it costs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ansatz_core::{Interval, Part};
use serde::{Deserialize, Serialize};

/// What a network gives and what it costs, measured on one machine in one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The part of the data that was judged, all of it.
    pub part: Part,
    /// The name of the task's deciding figure.
    pub figure: String,
    /// Whether more of it is better.
    pub higher_is_better: bool,
    /// Its value.
    pub quality: f64,
    /// How far chance may have moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Examples judged.
    pub examples: usize,
    /// Every figure by name.
    pub values: BTreeMap<String, f64>,
    /// Bytes of the weights on disk.
    pub bytes: u64,
    /// Trainable values.
    pub parameters: usize,
    /// Those of them that are not a zero of a matrix or kernel.
    pub non_zeros: usize,
    /// Floating-point operations for one example, forward; a multiply–add counts two. Zeros are counted as if they were
    /// multiplied, whole numbers as if they were floats. Absent from measurements of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops: Option<u64>,
    /// How long answers take, by examples asked at once.
    pub latency: Vec<Latency>,
    /// Examples per second while the part was judged, reading them included.
    pub examples_per_second: f64,
    /// Tokens per second meanwhile, padding included, where the network is asked for tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// The most memory that the process held; absent where the system does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

impl Measurement {
    /// The time of an answer to `batch` examples, where it was taken.
    pub fn latency_at(&self, batch: usize) -> Option<&Latency> {
        self.latency.iter().find(|latency| latency.batch == batch)
    }
}

/// How long an answer takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Examples asked at once.
    pub batch: usize,
    /// Answers that were timed, behind some that were not.
    pub calls: usize,
    /// The median, in milliseconds.
    pub median: f64,
    /// 95 of 100 answers took no longer, in milliseconds.
    pub percentile_95: f64,
}

impl Latency {
    /// The figures of `times`, in milliseconds, of which there is at least one.
    pub fn of(batch: usize, mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
        Self { batch, calls: times.len(), median: at(0.5), percentile_95: at(0.95) }
    }
}

/// A network on its way through a compression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// `original`, or the number and kind of the step: `1 prune`.
    pub step: String,
    /// The folder of its run.
    pub run: PathBuf,
    /// What it gives and costs.
    #[serde(flatten)]
    pub measured: Measurement,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_at_their_ranks() {
        let latency = Latency::of(1, (0..=100).rev().map(f64::from).collect());
        assert_eq!((latency.calls, latency.median, latency.percentile_95), (101, 50.0, 95.0));
        assert_eq!(Latency::of(1, vec![3.0]).percentile_95, 3.0);
    }
}
