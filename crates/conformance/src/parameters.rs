//! The parameters of a module, read and changed as a whole.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Gradients, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use crate::case::normal;
use crate::compare::host;

/// One parameter's path inside the module and its values.
pub(crate) type Named = (String, Vec<f64>);

/// Reads something of every float parameter.
struct Read<F> {
    path: Vec<String>,
    found: Vec<Named>,
    problem: Option<String>,
    read: F,
}

/// What may be read of a parameter, whatever its rank.
trait Reading {
    fn of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>>;
}

impl<F: Reading> ModuleVisitor for Read<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(tensor) = self.read.of(param) else { return };
        match host(tensor) {
            Ok(values) => self.found.push((self.path.join("."), values)),
            Err(problem) => self.problem = Some(problem),
        }
    }
}

fn read<M: Module>(module: &M, read: impl Reading) -> Result<Vec<Named>, String> {
    let mut visitor = Read { path: Vec::new(), found: Vec::new(), problem: None, read };
    module.visit(&mut visitor);
    visitor.problem.map_or(Ok(visitor.found), Err)
}

struct Values;

impl Reading for Values {
    fn of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        Some(param.val())
    }
}

/// The values of every float parameter.
pub(crate) fn values<M: Module>(module: &M) -> Result<Vec<Named>, String> {
    read(module, Values)
}

struct Trainable;

impl Reading for Trainable {
    fn of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        let value = param.val();
        value.is_require_grad().then_some(value)
    }
}

/// The values of every trainable parameter of a module on an autodiff device.
pub(crate) fn trainable<M: Module>(module: &M) -> Result<Vec<Named>, String> {
    read(module, Trainable)
}

/// The gradients of `loss`, which may depend on nothing: then the one of `tokens` is zero.
pub(crate) fn backward(loss: Tensor<1>, tokens: &Tensor<3>) -> Gradients {
    (loss + tokens.clone().sum() * 0.0).backward()
}

struct Gradient<'a>(&'a Gradients);

impl Reading for Gradient<'_> {
    fn of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        let value = param.val();
        if !value.is_require_grad() {
            return None;
        }
        // A parameter that the loss does not depend on has no gradient: it is zero.
        Some(value.grad(self.0).unwrap_or_else(|| value.inner().zeros_like()))
    }
}

/// The gradient of every trainable parameter.
pub(crate) fn gradients<M: Module>(module: &M, gradients: &Gradients) -> Result<Vec<Named>, String> {
    read(module, Gradient(gradients))
}

/// Changes every float parameter.
struct Change<F> {
    trainable: usize,
    change: F,
}

/// What is done to the parameter `index` among the trainable ones, whatever its rank.
trait Changing {
    fn value<const D: usize>(&mut self, index: usize, value: Tensor<D>) -> Tensor<D>;
}

impl<F: Changing> ModuleMapper for Change<F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = param.val().is_require_grad();
        let index = if trained { self.trainable } else { usize::MAX };
        self.trainable += usize::from(trained);
        param.map(|value| {
            let changed = self.change.value(index, value.detach());
            if trained { changed.detach().require_grad() } else { changed }
        })
    }
}

fn change<M: Module>(module: M, change: impl Changing) -> M {
    module.map(&mut Change { trainable: 0, change })
}

struct Cast(DType);

impl Changing for Cast {
    fn value<const D: usize>(&mut self, _index: usize, value: Tensor<D>) -> Tensor<D> {
        value.cast(self.0)
    }
}

/// The same module with parameters of another type of float.
pub(crate) fn cast<M: Module>(module: M, dtype: DType) -> M {
    change(module, Cast(dtype))
}

struct Shift<'a> {
    index: usize,
    by: &'a [f64],
    scale: f64,
}

impl Changing for Shift<'_> {
    fn value<const D: usize>(&mut self, index: usize, value: Tensor<D>) -> Tensor<D> {
        if index != self.index {
            return value;
        }
        let shape: [usize; D] = value.dims();
        let by =
            Tensor::from_data(TensorData::new(self.by.to_vec(), shape), (&value.device(), value.dtype()));
        value + by * self.scale
    }
}

/// The same module, `by · scale` added to the trainable parameter `index`.
pub(crate) fn shift<M: Module>(module: M, index: usize, by: &[f64], scale: f64) -> M {
    change(module, Shift { index, by, scale })
}

struct Roughen<'a>(&'a mut ChaCha8Rng);

impl Changing for Roughen<'_> {
    fn value<const D: usize>(&mut self, index: usize, value: Tensor<D>) -> Tensor<D> {
        if index == usize::MAX {
            return value;
        }
        let shape: [usize; D] = value.dims();
        let noise = normal(self.0, shape.iter().product());
        let noise = Tensor::from_data(TensorData::new(noise, shape), (&value.device(), value.dtype()));
        value + noise * 0.05
    }
}

/// The same module with a little noise on every trainable parameter: one that begins as zeros would hide
/// what is wrong with it.
pub(crate) fn roughen<M: Module>(module: M, random: &mut ChaCha8Rng) -> M {
    change(module, Roughen(random))
}
