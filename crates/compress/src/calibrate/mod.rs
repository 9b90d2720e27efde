//! Calibrating: examples pass a network, and what its weights meet is gathered.

mod order;
mod patches;
mod statistics;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::rc::Rc;

use ansatz_core::{Error, Result};
use ansatz_ops::{Observed, Observer, observing};
use ansatz_run::Place;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use order::{no_examples, one_by_one};
pub use patches::columns;
pub use statistics::{Hessian, Norms};

use crate::Weight;

/// Which examples a method is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationConfig {
    /// How many examples, at least 1, all of the training part, drawn by the run's seed and not varied; where it has
    /// fewer, all of it.
    pub examples: NonZeroUsize,
    /// How many of them pass the network at once, at least 1. It changes sums in their last digits alone.
    pub batch_size: NonZeroUsize,
    /// What is done with a weight whose inputs cannot be seen.
    pub unseen: Unseen,
}

impl Default for CalibrationConfig {
    fn default() -> Self {
        const { Self { examples: some(512), batch_size: some(64), unseen: Unseen::Refuse } }
    }
}

const fn some(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("above 0")
}

/// What is done with a weight whose inputs cannot be seen: that of a layer which does not show them, or which no example
/// reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Unseen {
    /// It is an error.
    #[default]
    Refuse,
    /// It is rounded, or pruned by magnitude.
    Plain,
}

/// Batches of examples, and how a module takes one.
///
/// ```
/// # use ansatz_compress::*;
/// # use burn::tensor::{Distribution, Tensor};
/// # let device = ansatz_device::open("cpu").unwrap();
/// # let module = ansatz_ops::LinearConfig::new(32, 8).init(&device);
/// # let batches = [Tensor::<2>::random([64, 32], Distribution::Default, &device)];
/// let forward = |module: &ansatz_ops::Linear, x: &Tensor<2>| Ok(drop(module.forward(x.clone())));
/// let examples = Examples { batches: &batches, forward: &forward };
/// let norms = gather::<Norms, _, _>(&module, &examples, &["weight".to_owned()])?;
/// assert_eq!(norms["weight"].count(), 64);
/// # Ok::<(), ansatz_core::Error>(())
/// ```
pub struct Examples<'a, M, B> {
    /// The batches, in the order in which they are shown.
    pub batches: &'a [B],
    /// A forward pass of one.
    pub forward: &'a dyn Fn(&M, &B) -> Result<()>,
}

/// What is gathered of the inputs of a weight. Whatever else is to be known of them, a range or a histogram, is a type of
/// one's own with this trait.
pub trait Statistic: Default + 'static {
    /// Bytes that it takes for a weight whose outputs, in so many `groups`, have so many `inputs` each.
    fn bytes(groups: usize, inputs: usize) -> usize;

    /// Some more examples.
    fn see(&mut self, inputs: &Observed);
}

/// Shows `examples` to `module` and gathers an `S` of the inputs of each of the weights `names`, dotted as
/// [`weights`](crate::weights()) has them. A weight that was not met is not in the result; see
/// [`observing`](ansatz_ops::observing()) for what can be seen.
///
/// # Errors
/// When the module refuses an example.
pub fn gather<S: Statistic, M: Module, B>(
    module: &M,
    examples: &Examples<'_, M, B>,
    names: &[String],
) -> Result<BTreeMap<String, S>> {
    let wanted = identities(module, names)?;
    let observer = Rc::new(RefCell::new(Gathering::<S> { wanted, found: BTreeMap::new() }));
    observing(&observer, || examples.batches.iter().try_for_each(|batch| (examples.forward)(module, batch)))?;
    let found = std::mem::take(&mut observer.borrow_mut().found);
    Ok(found)
}

struct Gathering<S> {
    wanted: BTreeMap<ParamId, String>,
    found: BTreeMap<String, S>,
}

impl<S: Statistic> Observer for Gathering<S> {
    fn see(&mut self, weight: ParamId, inputs: Observed) {
        let Some(name) = self.wanted.get(&weight) else { return };
        match self.found.get_mut(name) {
            Some(statistic) => statistic.see(&inputs),
            None => self.found.entry(name.clone()).or_default().see(&inputs),
        }
    }
}

/// The weights of these names, by their identities.
///
/// # Errors
/// When two have the same: then nobody can tell whose inputs are seen.
pub(crate) fn identities<M: Module>(module: &M, names: &[String]) -> Result<BTreeMap<ParamId, String>> {
    struct Reader<'a> {
        place: Place,
        names: &'a [String],
        found: BTreeMap<ParamId, String>,
        doubled: Option<[String; 2]>,
    }
    impl ModuleVisitor for Reader<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.place.name();
            if self.names.contains(&name)
                && let Some(other) = self.found.insert(param.id, name.clone())
            {
                self.doubled = Some([other, name]);
            }
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.place.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.place.exit();
        }
    }
    let mut reader = Reader { place: Place::default(), names, found: BTreeMap::new(), doubled: None };
    module.visit(&mut reader);
    match reader.doubled {
        Some([one, other]) => Err(Error::input(
            format!("`{one}` and `{other}`"),
            "both weights have the same identity, so that their inputs cannot be told apart",
            "a module whose parameters have an identity (ParamId) each",
            "initialize the layers one by one instead of cloning one",
        )),
        None => Ok(reader.found),
    }
}

/// Refuses those of `weights` whose inputs `examples` do not show, before any work is done with them.
///
/// # Errors
/// When there are any, or the module refuses an example.
pub fn check_seen<M: Module, B>(module: &M, examples: &Examples<'_, M, B>, weights: &[Weight]) -> Result<()> {
    #[derive(Default)]
    struct Seen;
    impl Statistic for Seen {
        fn bytes(_groups: usize, _inputs: usize) -> usize {
            0
        }
        fn see(&mut self, _inputs: &Observed) {}
    }
    let names: Vec<String> = weights.iter().map(|weight| weight.name.clone()).collect();
    let seen = gather::<Seen, _, _>(module, examples, &names)?;
    let unseen = weights.iter().filter(|weight| !seen.contains_key(&weight.name));
    refuse_unseen(&unseen.cloned().collect::<Vec<_>>())
}

/// Refuses weights whose inputs were not seen.
///
/// # Errors
/// When there are any.
pub(crate) fn refuse_unseen(weights: &[Weight]) -> Result<()> {
    if weights.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = weights.iter().map(|weight| format!("`{}`", weight.name)).collect();
    Err(Error::input(
        names.join(", "),
        "the examples do not show what it is multiplied with",
        "weights of layers that show their inputs (ansatz_ops::observing), and that an example reaches",
        "name it in `except`, or put unseen = \"plain\" into `calibration`: then it is treated without examples",
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ansatz_ops::{ConvNorm, ConvNormConfig, Linear, LinearConfig};
    use burn::tensor::{Device, Distribution};

    /// A module that shows what its weights meet, but for those of burn's own layer.
    #[derive(Module, Debug)]
    pub(crate) struct Network {
        pub convolution: ConvNorm,
        pub twins: Vec<Linear>,
        pub last: Linear,
        pub hidden: burn::nn::Linear,
    }

    pub(crate) fn network(device: &Device) -> Network {
        Network {
            convolution: ConvNormConfig::same([2, 8], 3, 2).init(device),
            twins: (0..2).map(|_| LinearConfig::new(32, 16).init(device)).collect(),
            last: LinearConfig::new(16, 4).init(device),
            hidden: burn::nn::LinearConfig::new(4, 4).init(device),
        }
    }

    pub(crate) fn forward(network: &Network, picture: &Tensor<4>) -> Result<()> {
        let [batch, ..] = picture.dims();
        let x = network.convolution.forward(picture.clone()).reshape([batch, 32]);
        let [one, other] = [0, 1].map(|index| network.twins[index].forward(x.clone()));
        network.hidden.forward(network.last.forward((one + other).tanh()));
        Ok(())
    }

    /// Pictures whose neighbours are like each other.
    pub(crate) fn pictures(device: &Device, batches: usize) -> Vec<Tensor<4>> {
        device.seed(7);
        let blurred = |x: Tensor<4>| x.clone().narrow(2, 0, 4) + x.narrow(2, 1, 4).mul_scalar(0.8);
        let draw = |_| blurred(Tensor::random([24, 2, 5, 4], Distribution::Normal(0.0, 1.0), device));
        (0..batches).map(draw).collect()
    }

    /// The least and the largest input: a statistic of somebody else.
    #[derive(Default)]
    struct Range(Option<[f32; 2]>);

    impl Statistic for Range {
        fn bytes(_groups: usize, _inputs: usize) -> usize {
            size_of::<Self>()
        }
        fn see(&mut self, inputs: &Observed) {
            let limits = match inputs {
                Observed::Rows(x) => [x.clone().min(), x.clone().max()],
                Observed::Picture { picture, .. } => [picture.clone().min(), picture.clone().max()],
            };
            let [least, largest] = limits.map(|limit| limit.into_scalar::<f32>());
            let [before, behind] = self.0.unwrap_or([f32::INFINITY, f32::NEG_INFINITY]);
            self.0 = Some([least.min(before), largest.max(behind)]);
        }
    }

    #[test]
    fn any_statistic_is_gathered_over_all_batches() {
        let device = ansatz_device::open("cpu").unwrap();
        let (network, batches) = (network(&device), pictures(&device, 3));
        let examples = Examples { batches: &batches, forward: &forward };
        let names = ["convolution.conv.weight", "last.weight", "hidden.weight", "nobody"].map(str::to_owned);
        let found = gather::<Range, _, _>(&network, &examples, &names).unwrap();
        let message = check_seen(&network, &examples, &crate::weights(&network)).unwrap_err().to_string();
        assert!(message.starts_with("`hidden.weight`:"), "{message}");
        // burn's own layer shows nothing.
        assert_eq!(found.keys().collect::<Vec<_>>(), ["convolution.conv.weight", "last.weight"]);
        let all = Tensor::cat(batches.clone(), 0);
        let expected = [all.clone().min(), all.max()].map(|limit| limit.into_scalar::<f32>());
        assert_eq!(found["convolution.conv.weight"].0, Some(expected));
    }

    #[test]
    fn parameters_without_an_identity_of_their_own_are_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        let mut network = network(&device);
        network.twins[1] = network.twins[0].clone();
        let names = [0, 1].map(|index| format!("twins.{index}.weight"));
        assert!(identities(&network, &names[..1]).is_ok());
        let message = identities(&network, &names).unwrap_err().to_string();
        assert!(message.contains("twins.0") && message.contains("the same identity"), "{message}");
    }
}
