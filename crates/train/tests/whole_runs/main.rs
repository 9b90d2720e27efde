//! Whole runs, from an experiment to a run folder.

mod gradual;
mod inside;
mod resume;
mod run;
mod synthetic;
mod taught;
