//! A data model, a backbone and a task small enough that whole runs take a fraction of a second.

mod backbone;
mod data;
mod task;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ansatz_core::{Places, Registry, Result};
use ansatz_run::{Experiment, Patch, RunFolder, Summary};
use ansatz_train::Setting;
use ansatz_train::progress::{Event, Listener};

/// All that the tests' experiments may name.
pub(crate) fn registry() -> Registry {
    Registry::default().data_model::<data::Blobs>().backbone::<backbone::Block>().task::<task::Guess>()
}

/// The random numbers of a device are one stream for the whole process: one run at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::new(());
    RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Two epochs of 7 batches (the last one smaller) with these `[train]` settings, as `--set` has them.
pub(crate) fn experiment(settings: &[&str]) -> Experiment {
    let text = "title = \"blobs\"\nseed = 3\n[data]\nkind = \"blobs\"\n[backbone]\nkind = \"block\"\n\
                [task]\nkind = \"guess\"\n\
                [train]\nepochs = 2\nbatch_size = 8\nlog_every = 1\n";
    let patches: Vec<Patch> = settings.iter().map(|patch| patch.parse().unwrap()).collect();
    Experiment::from_toml(text, &patches, &registry()).unwrap()
}

/// Everything a run told.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<Event>>>);

impl Heard {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}

impl Listener for Heard {
    fn hear(&mut self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// Ends the run behind a step: by the flag, as Ctrl-C does, or at once and without any farewell.
pub(crate) enum End {
    Asked(u64, Arc<AtomicBool>),
    Killed(u64),
}

impl Listener for End {
    fn hear(&mut self, event: &Event) {
        let Event::Step(figures) = event else { return };
        match self {
            Self::Asked(step, stop) if figures.step == *step => stop.store(true, Ordering::Relaxed),
            // Unwinds past everything without a message: nothing more is written, as when killed.
            Self::Killed(step) if figures.step == *step => std::panic::resume_unwind(Box::new("killed")),
            Self::Asked(..) | Self::Killed(_) => {}
        }
    }
}

/// How a run begins.
pub(crate) enum Begin<'a> {
    New(&'a Experiment),
    Resumed,
}

/// Trains in `folder`, heard by `listeners`.
pub(crate) fn run(
    begin: Begin<'_>,
    folder: &Path,
    stop: &Arc<AtomicBool>,
    listeners: Vec<Box<dyn Listener>>,
) -> Result<Summary> {
    let registry = registry();
    let device = ansatz_device::open("cpu").unwrap();
    let places = Places { data: folder.to_owned() };
    let setting = Setting {
        registry: &registry,
        places: &places,
        device: &device,
        host: &device,
        device_name: "cpu",
        stop: Arc::clone(stop),
        listeners,
    };
    match begin {
        Begin::New(experiment) => ansatz_train::train(experiment, &RunFolder::vacant(folder)?, setting),
        Begin::Resumed => ansatz_train::resume(&RunFolder::open(folder)?, setting),
    }
}

/// Trains to the end in `folder`, unheard.
pub(crate) fn train(experiment: &Experiment, folder: &Path) -> Result<Summary> {
    run(Begin::New(experiment), folder, &Arc::default(), Vec::new())
}

/// Goes on to the end in `folder`, unheard.
pub(crate) fn resume(folder: &Path) -> Result<Summary> {
    run(Begin::Resumed, folder, &Arc::default(), Vec::new())
}

/// Trains in `folder` until it is killed behind `step`.
pub(crate) fn train_and_kill(experiment: &Experiment, folder: &Path, step: u64) {
    let killed = std::panic::catch_unwind(|| {
        run(Begin::New(experiment), folder, &Arc::default(), vec![Box::new(End::Killed(step))])
    });
    assert!(killed.is_err(), "the run ended before step {step}");
}

/// The losses of the steps that a run logged.
pub(crate) fn losses(folder: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["event"] == "step").map(|line| line["loss"].as_f64().unwrap()).collect()
}
