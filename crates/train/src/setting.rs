//! Starting a run, or going on with one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ansatz_core::{ConfigError, Error, Model, ModelPlan, OpenData, Part, Places, Registry, Result};
use ansatz_data::Balance;
use ansatz_run::{Experiment, InitConfig, Masks, RunFolder, Summary, Taken, dequantized};
use burn::module::Module;
use burn::tensor::Device;

use crate::TrainConfig;
use crate::adapt::adapt;
use crate::average::Average;
use crate::checkpoint::Recipe;
use crate::checkpoints::{Checkpoints, Newest};
use crate::config::{Keep, complete};
use crate::gradual::Gradual;
use crate::groups::Parameters;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::progress::{Event, Listener};
use crate::projections::Projections;
use crate::rates::LayerRates;
use crate::schedule::ScheduleConfig;
use crate::session::Session;
use crate::start::{freeze, take};
use crate::state::State;
use crate::step::Learner;
use crate::teacher::Teacher;

/// What surrounds a run.
pub struct Setting<'a> {
    /// The components that may be named in the experiment.
    pub registry: &'a Registry,
    /// Folders that the data model may read.
    pub places: &'a Places,
    /// Where the network is trained, with or without autodiff.
    pub device: &'a Device,
    /// Where the weights are drawn: the same for every `device`, so that one seed gives one network on all.
    pub host: &'a Device,
    /// The name of `device`, for the figures.
    pub device_name: &'a str,
    /// Raised from outside, by Ctrl-C or a button: the run finishes its step, saves, and ends.
    pub stop: Arc<AtomicBool>,
    /// Who hears what goes on.
    pub listeners: Vec<Box<dyn Listener>>,
}

/// Trains the network of `experiment` and leaves everything in `folder`, which should be new.
///
/// If the run was interrupted, the summary's `ended` says `interrupted`, nothing is final, and [`resume`]
/// goes on from where it stopped.
///
/// # Errors
/// When a setting is out of range, the data cannot be read, the parts do not fit together, the folder cannot
/// be written, or a loss is no longer finite.
pub fn train(experiment: &Experiment, folder: &RunFolder, setting: Setting<'_>) -> Result<Summary> {
    let mut experiment = experiment.clone();
    complete(&mut experiment)?;
    let opened = Opened::new(&experiment, &setting)?;
    let teacher = opened.teacher(&setting)?;
    let begun = opened.begin(&experiment, &setting)?;
    let projections = opened.projections(teacher.as_ref(), &begun.model, &experiment, &setting)?;
    // Not before all that can be refused was looked at.
    folder.make()?;
    folder.write_preparation(&opened.data.encoder().preparation()?)?;
    folder.write_layers(&begun.model.layers())?;
    if let Some(taken) = &begun.taken {
        folder.write_taken(taken)?;
    }
    if !begun.masks.is_empty() {
        begun.masks.write(&folder.masks())?;
    }
    // Last, because the folder is a run as soon as it has a config.
    folder.write_experiment(&experiment)?;
    start(opened, &experiment, folder, setting, Ready { begun, teacher, projections, newest: None })
}

/// Refuses what [`train`] would refuse before its first step, and gives the network that it would train.
///
/// # Errors
/// Like [`train`].
pub fn check(experiment: &Experiment, setting: &Setting<'_>) -> Result<Model> {
    let opened = Opened::new(experiment, setting)?;
    let teacher = opened.teacher(setting)?;
    let model = opened.begin(experiment, setting)?.model;
    opened.projections(teacher.as_ref(), &model, experiment, setting)?;
    Ok(model)
}

/// Goes on with the run in `folder` from its newest good checkpoint, or from the start if it has none yet.
/// On the processor the weights it ends with are, to the bit, those it would have ended with uninterrupted.
///
/// # Errors
/// Like [`train`], and when the run has ended, all its checkpoints are damaged, or its config or data are
/// no longer those it was begun with.
pub fn resume(folder: &RunFolder, setting: Setting<'_>) -> Result<Summary> {
    if folder.summary().exists() {
        return Err(Error::input(
            folder.path().display(),
            "the run has ended",
            "a run that was interrupted",
            "train anew into another folder: ansatz train CONFIG --out FOLDER",
        ));
    }
    let experiment = folder.read_experiment(setting.registry)?;
    let opened = Opened::new(&experiment, &setting)?;
    if opened.data.encoder().preparation()? != folder.read_preparation()? {
        return Err(Error::input(
            folder.preparation().display(),
            "the data are no longer those that the run was begun with",
            "the same data, and so the same preparation",
            "restore the data, or train anew into another folder",
        ));
    }
    let checkpoints = Checkpoints::new(folder.checkpoints());
    checkpoints.clean()?;
    let newest = checkpoints.newest()?;
    let teacher = opened.teacher(&setting)?;
    let begun = match &newest {
        // A checkpoint holds all weights: the run that they came from is not asked any more.
        Some(_) => {
            let taken = folder.read_taken()?;
            let model = opened.drawn(&experiment, &setting, true)?;
            let model = adapted(model, experiment.init.as_ref(), taken.as_ref())?;
            let masks = Masks::read(&folder.masks())?;
            Begun { model: model.fork(&training_device(&setting)), taken, masks }
        }
        None => opened.begin(&experiment, &setting)?,
    };
    let projections = opened.projections(teacher.as_ref(), &begun.model, &experiment, &setting)?;
    start(opened, &experiment, folder, setting, Ready { begun, teacher, projections, newest })
}

/// An experiment's parts, read and checked.
pub(crate) struct Opened {
    pub config: TrainConfig,
    plan: ansatz_run::Plan,
    pub data: Arc<dyn OpenData>,
    balance: Option<Balance>,
    lengths: Option<Vec<usize>>,
    pub pace: Pace,
}

impl Opened {
    pub(crate) fn new(experiment: &Experiment, setting: &Setting<'_>) -> Result<Self> {
        let mut config = TrainConfig::from_experiment(experiment)?;
        let mut plan = experiment.plan(setting.registry)?;
        let data: Arc<dyn OpenData> = plan.data.open(setting.places)?.into();
        let labels = data.targets(Part::Train);
        plan.task.fit(labels.as_ref())?;
        let balance = config.sampling.balance(labels.as_ref())?;
        let lengths = config.batches.lengths(&*data)?;
        if data.examples(Part::Train) == 0 {
            return Err(Error::input(
                "the train part",
                "it has no examples",
                "a data set with examples to learn from",
                "check the data model's settings",
            ));
        }
        if data.examples(Part::Validation) == 0 {
            needs_no_validation(&config)?;
            config.keep = Keep::Last;
        }
        let pace = Pace::new(&config, data.examples(Part::Train));
        Ok(Self { config, plan, data, balance, lengths, pace })
    }

    /// The network ready to be trained: its weights drawn by the run's seed, and in their place those of the run that
    /// `[init]` names, as far as they fit.
    pub(crate) fn begin(&self, experiment: &Experiment, setting: &Setting<'_>) -> Result<Begun> {
        let mut model = self.drawn(experiment, setting, true)?;
        let (mut masks, mut taken) = (Masks::default(), None);
        if let Some(init) = &experiment.init {
            let mut plain = self.drawn(experiment, setting, false)?;
            let encoder = self.data.encoder();
            let found = take(&mut plain, init, experiment, encoder, setting.registry)?;
            model = model.load_record(dequantized(plain).into_record());
            masks = Masks::read(&RunFolder::open(&init.from)?.masks())?.of(&found.taken);
            freeze(model.clone(), init)?;
            taken = Some(found);
        }
        if let Some(prune) = &self.config.prune {
            prune.fits(&model, experiment.init.as_ref())?;
        }
        let model = adapted(model, experiment.init.as_ref(), taken.as_ref())?;
        rounded(model.clone(), &self.config, experiment.init.as_ref())?;
        Ok(Begun { model: model.fork(&training_device(setting)), taken, masks })
    }

    /// The network on the host, with or without gradients.
    fn drawn(&self, experiment: &Experiment, setting: &Setting<'_>, gradients: bool) -> Result<Model> {
        let network = ModelPlan {
            registry: setting.registry,
            encoder: self.data.encoder(),
            backbone: &*self.plan.backbone,
            task: &*self.plan.task,
        };
        let host = setting.host.clone().inner();
        let host = if gradients { host.autodiff() } else { host };
        Model::init(&network, experiment.seed.into(), &host)
    }

    /// The run's teacher, if it has one.
    pub(crate) fn teacher(&self, setting: &Setting<'_>) -> Result<Option<Teacher>> {
        let Some(teacher) = &self.config.teacher else { return Ok(None) };
        let device = setting.device.clone().inner();
        teacher.open(self.data.encoder(), setting.registry, &device).map(Some)
    }

    /// The maps through which the run's network is compared with its teacher, if any are needed.
    pub(crate) fn projections(
        &self,
        teacher: Option<&Teacher>,
        model: &Model,
        experiment: &Experiment,
        setting: &Setting<'_>,
    ) -> Result<Projections> {
        let Some(teacher) = teacher.filter(|teacher| teacher.shows_inside()) else {
            return Ok(Projections::default());
        };
        let batch = self.data.batch(Part::Train, &[0], None)?;
        let host = setting.host.clone().inner().autodiff();
        let projections = teacher.fit(&model.valid(), &batch, (&host, u64::from(experiment.seed) + 1))?;
        Ok(projections.fork(&training_device(setting)))
    }

    fn recipe(&self, experiment: &Experiment) -> Recipe {
        Recipe {
            seed: experiment.seed,
            optimizer: self.config.optimizer.kind().to_owned(),
            averaged: self.config.average.decay > 0.0,
            examples: self.pace.examples,
            batch_size: self.config.batch_size,
            accumulation: self.config.accumulation,
        }
    }
}

/// A network before its first step.
pub(crate) struct Begun {
    pub model: Model,
    /// What of it came from another run.
    pub taken: Option<Taken>,
    /// Which of its weights stay zero.
    pub masks: Masks,
}

/// All tensors that a run starts or goes on with.
struct Ready {
    begun: Begun,
    teacher: Option<Teacher>,
    projections: Projections,
    newest: Option<Newest>,
}

pub(crate) fn training_device(setting: &Setting<'_>) -> Device {
    setting.device.clone().inner().autodiff()
}

/// Refuses what is decided by the validation part, where there is none.
fn needs_no_validation(config: &TrainConfig) -> Result<(), ConfigError> {
    let missing = |path: &str, expected: &str| {
        Err(ConfigError::value(path, "the data have no validation part to decide by", expected))
    };
    if matches!(config.schedule, ScheduleConfig::Plateau(_)) {
        return missing("train.schedule.kind", "another schedule, or data with a validation part");
    }
    if config.early_stopping.patience > 0 {
        return missing("train.early_stopping.patience", "0, or data with a validation part");
    }
    Ok(())
}

/// The network with what `[init.lora]` puts beside its matrices.
fn adapted(model: Model, init: Option<&InitConfig>, taken: Option<&Taken>) -> Result<Model> {
    match (init, taken) {
        (Some(init), Some(taken)) => Ok(adapt(model, init, taken)?),
        _ => Ok(model),
    }
}

/// The network that is seen rounded, as `[train.fake_quantization]` says.
fn rounded(model: Model, config: &TrainConfig, init: Option<&InitConfig>) -> Result<Model> {
    let Some(rounding) = &config.fake_quantization else { return Ok(model) };
    if init.is_some_and(|init| init.lora.is_some()) {
        let problem = "the matrices have something beside them already, `init.lora`";
        return Err(ConfigError::value("train.fake_quantization", problem, "one of the two").into());
    }
    rounding.put_beside(model)
}

/// Trains from the newest checkpoint, or from the beginning.
fn start(
    opened: Opened,
    experiment: &Experiment,
    folder: &RunFolder,
    setting: Setting<'_>,
    ready: Ready,
) -> Result<Summary> {
    let recipe = opened.recipe(experiment);
    let init = experiment.init.as_ref();
    let Opened { config, plan, data, balance, lengths, pace } = opened;
    let Ready { begun, teacher, projections, newest } = ready;
    let (taken, device) = (begun.taken.clone(), setting.device.clone().inner());
    let (learner, state, passed_over) = match newest {
        Some(newest) => {
            same_recipe(&newest, &recipe)?;
            let model = newest.checkpoint.load_model(begun.model)?;
            let masks = if config.prune.is_some() { newest.checkpoint.load_masks()? } else { begun.masks };
            let begun = Begun { model, masks, ..begun };
            let projections = newest.checkpoint.load_projections(projections)?;
            let mut learner =
                learner(&config, init, begun, (teacher, projections), &device, pace.total_steps())?;
            learner.optimizer = learner.optimizer.load_record(newest.checkpoint.load_optimizer()?);
            if recipe.averaged {
                let averaged = newest.checkpoint.load_average(learner.model.valid())?;
                learner.average = Some(Average::new(config.average.decay, averaged));
            }
            (learner, newest.header.state, newest.passed_over)
        }
        None => {
            let learner = learner(&config, init, begun, (teacher, projections), &device, pace.total_steps())?;
            (learner, State::default(), Vec::new())
        }
    };
    let told = taken.as_ref().filter(|_| state.step == 0).map(Taken::told);
    let mut session = Session {
        metrics: Metrics::open(&folder.metrics(), state.step)?,
        checkpoints: Checkpoints::new(folder.checkpoints()),
        saved: (state.step > 0).then_some(state.step),
        parameters: Parameters::of(&learner.model).values,
        total_steps: pace.total_steps(),
        device: training_device(&setting),
        device_name: setting.device_name,
        stop: setting.stop,
        listeners: setting.listeners,
        experiment,
        folder,
        config,
        plan,
        data,
        balance,
        lengths,
        pace,
        recipe,
        taken,
        state,
        readings: crate::readings::Readings::default(),
    };
    if let Some(text) = told {
        session.tell(&Event::Noted { text })?;
    }
    for problem in passed_over {
        let step = session.state.step;
        session.tell(&Event::Noted { text: format!("{problem}\nGoing on from step {step} instead.") })?;
    }
    session.run(learner)
}

/// The network with its optimizer, frozen and slowed down as `init` says.
pub(crate) fn learner(
    config: &TrainConfig,
    init: Option<&InitConfig>,
    Begun { model, masks, .. }: Begun,
    (teacher, projections): (Option<Teacher>, Projections),
    device: &Device,
    total_steps: u64,
) -> Result<Learner> {
    let model = match init {
        Some(init) => freeze(model, init)?,
        None => model,
    };
    let model = rounded(model, config, init)?;
    let rates = LayerRates::of(&model, init.map_or(1.0, |init| init.layer_decay));
    let mut parameters = Parameters::of(&model);
    projections.visit(&mut parameters);
    let optimizer = config.optimizer.build(&parameters);
    let decay = config.average.decay;
    let average = (decay > 0.0).then(|| Average::new(decay, model.valid()));
    let holding = masks.on(device);
    let gradual = config.prune.clone().map(|prune| Gradual::new(prune, total_steps, masks));
    Ok(Learner { model, optimizer, average, rates, holding, gradual, teacher, projections })
}

fn same_recipe(newest: &Newest, recipe: &Recipe) -> Result<()> {
    if newest.header.recipe == *recipe {
        return Ok(());
    }
    Err(Error::input(
        newest.checkpoint.path().display(),
        format!("the checkpoint was written under other settings: {:?}", newest.header.recipe),
        format!("{recipe:?}, as the run's config and data say"),
        "restore the run's config.toml and data, or train anew into another folder",
    ))
}
