//! `[init]`: a network that starts from another run, of which parts may stay as they are or learn more slowly.

use ansatz_core::{Codec, ConfigError, Encoder, Error, Model, Registry, Result, nearest};
use ansatz_run::{Experiment, InitConfig, RunFolder, Taken, take_weights};
use burn::module::{Flag, Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::tensor::{Bool, Int, Tensor};

/// Takes into `model` what fits of the run that `init` names; `encoder` and `experiment` are the network's own.
///
/// # Errors
/// When there is no such run, it has not ended, its text is cut into other tokens, or nothing of its backbone fits.
pub(crate) fn take(
    model: &mut Model,
    init: &InitConfig,
    experiment: &Experiment,
    encoder: &dyn Encoder,
    registry: &Registry,
) -> Result<Taken> {
    let folder = RunFolder::open(&init.from)?;
    let other = folder.read_experiment(registry)?;
    let (theirs, ours) = (&other.backbone.kind, &experiment.backbone.kind);
    if theirs != ours {
        return Err(ConfigError::value(
            "init.from",
            format!("the backbone of {} is `{theirs}`", init.from.display()),
            format!("a run whose backbone is `{ours}`, as here"),
        )
        .into());
    }
    let weights = folder.ended_weights()?;
    let restored = other.plan(registry)?.data.restore(&folder.read_preparation()?)?;
    if let (Some(theirs), Some(ours)) = (restored.codec(), encoder.codec()) {
        same_tokens(theirs, ours, init)?;
    }
    take_weights(model, &weights, &init.from)
}

/// Refuses weights that were learned of other tokens: their numbers would mean something else here.
fn same_tokens(theirs: &dyn Codec, ours: &dyn Codec, init: &InitConfig) -> Result<(), Error> {
    if theirs.tokenizer()? == ours.tokenizer()? {
        return Ok(());
    }
    let from = init.from.display();
    Err(Error::input(
        &from,
        "the run cuts text into other tokens",
        "the tokenizer of the run",
        format!("take it from there: data.tokenizer = {{ run = \"{from}\" }}, or name the same file"),
    ))
}

/// The network whose frozen parts neither learn nor vary.
///
/// # Errors
/// When a path leads nowhere, or nothing is left to learn.
pub(crate) fn freeze(model: Model, init: &InitConfig) -> Result<Model, ConfigError> {
    if init.freeze.is_empty() {
        return Ok(model);
    }
    let mut places = Places::default();
    model.visit(&mut places);
    let mut ids = Vec::new();
    for (index, part) in init.freeze.iter().enumerate() {
        let before = ids.len();
        ids.extend(places.inside(part).map(|place| place.id));
        if ids.len() == before {
            return Err(places.unknown(&format!("init.freeze[{index}]"), part, "part"));
        }
    }
    let model = model.freeze_group(ParamGroup::from_ids(ids));
    let mut learning = Learning(false);
    model.visit(&mut learning);
    if learning.0 {
        return Ok(model);
    }
    Err(ConfigError::value("init.freeze", "all of the network is frozen", "at least the head left out"))
}

/// Something in a network that has an identity.
pub(crate) struct Place {
    /// Its dotted path.
    pub path: String,
    pub id: ParamId,
    /// Of a tensor of floats.
    pub rank: Option<usize>,
}

/// Everything in a network that has an identity, in its order.
#[derive(Default)]
pub(crate) struct Places {
    path: Vec<String>,
    pub found: Vec<Place>,
}

impl Places {
    fn add(&mut self, id: ParamId, rank: Option<usize>) {
        self.found.push(Place { path: self.path.join("."), id, rank });
    }

    /// What stands at `part` and inside it.
    pub(crate) fn inside<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a Place> {
        let is_inside =
            |rest: Option<&str>| rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.found.iter().filter(move |place| is_inside(place.path.strip_prefix(part)))
    }

    /// A path that leads to no such thing, with the nearest path that leads somewhere.
    pub(crate) fn unknown(&self, key: &str, part: &str, what: &str) -> ConfigError {
        let mut known: Vec<&str> = Vec::new();
        for Place { path, .. } in &self.found {
            let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
            known.extend(ends.map(|end| &path[..end]));
        }
        let expected = match nearest(part, known) {
            Some(near) if near != part => format!("a part of the network: did you mean `{near}`?"),
            _ => "a part of the network, such as stem, backbone or backbone.blocks.0".to_owned(),
        };
        ConfigError::value(key, format!("the network has no {what} `{part}`"), expected)
    }
}

impl ModuleVisitor for Places {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param.id, Some(D));
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(param.id, None);
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(param.id, None);
    }
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.add(flag.id, None);
    }
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

/// Whether anything learns.
struct Learning(bool);

impl ModuleVisitor for Learning {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 |= param.is_require_grad();
    }
}
