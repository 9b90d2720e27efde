//! Sequence mixers that read the same tokens in several orders.

use ansatz_core::{
    BoxedMixer, Build, Choice, Component, ConfigError, Context, Grid, Mixer, MixerConfig, Recurrent,
    Registry, Result, State, role,
};
use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A mixer for each of several orders in which tokens are read: what looks back alone then sees all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScansConfig {
    /// The mixer, with weights of its own for each order.
    pub mixer: Choice<role::Mixer>,
    /// The orders, at least one, each of them once.
    pub orders: Vec<Order>,
}

/// An order in which tokens are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// From the first to the last; those of a picture row by row.
    Forward,
    /// From the last to the first.
    Backward,
    /// Those of a picture column by column.
    Down,
    /// The same from the last to the first.
    Up,
}

impl Order {
    /// What stands for the order in the lanes of shared tensors.
    fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Down => "down",
            Self::Up => "up",
        }
    }

    /// Whether it is by columns.
    fn by_columns(self) -> bool {
        matches!(self, Self::Down | Self::Up)
    }

    /// Whether it begins with the last.
    fn reversed(self) -> bool {
        matches!(self, Self::Backward | Self::Up)
    }

    /// The grid as it is read: with columns in the place of rows where these are read.
    fn grid(self, grid: Grid) -> Grid {
        if self.by_columns() { transposed(grid) } else { grid }
    }

    /// `[batch, length, …]` in this order.
    fn apply<const D: usize>(self, values: Tensor<D>, grid: Option<Grid>) -> Tensor<D> {
        let values = if self.by_columns() { by_columns(values, known(grid)) } else { values };
        if self.reversed() { values.flip([1]) } else { values }
    }

    /// What [`Order::apply`] was given, of what it gave.
    fn undo<const D: usize>(self, values: Tensor<D>, grid: Option<Grid>) -> Tensor<D> {
        let values = if self.reversed() { values.flip([1]) } else { values };
        if self.by_columns() { by_columns(values, transposed(known(grid))) } else { values }
    }
}

fn transposed(grid: Grid) -> Grid {
    Grid { height: grid.width, width: grid.height }
}

fn known(grid: Option<Grid>) -> Grid {
    grid.expect("orders by columns are built for pictures alone")
}

/// Rows of a picture as its columns, `[batch, height × width, …]` → `[batch, width × height, …]`.
fn by_columns<const D: usize>(values: Tensor<D>, Grid { height, width }: Grid) -> Tensor<D> {
    let shape = values.dims();
    let rest = shape[2..].iter().product();
    values.reshape([shape[0], height, width, rest]).swap_dims(1, 2).reshape(shape)
}

impl Default for ScansConfig {
    fn default() -> Self {
        Self { mixer: Choice::of("mamba"), orders: vec![Order::Forward, Order::Backward] }
    }
}

impl Component for ScansConfig {
    const KIND: &'static str = "scans";
    const ABOUT: &'static str =
        "a mixer for each of several orders: forwards and backwards, and of a picture by rows and by columns";
    const CITATION: &'static str = "Schuster and Paliwal, Bidirectional Recurrent Neural Networks, 1997, \
        doi:10.1109/78.650093; Zhu et al., Vision Mamba, 2024, arXiv:2401.09417; by columns: Liu et al., VMamba, 2024, \
        arXiv:2401.10166";

    fn complete(&mut self, registry: &Registry) -> Result<(), ConfigError> {
        if self.orders.is_empty() {
            return Err(ConfigError::value("orders", "an empty list", "at least one order"));
        }
        for (index, order) in self.orders.iter().enumerate() {
            if self.orders[..index].contains(order) {
                let problem = format!("`{}` comes twice", order.name());
                return Err(ConfigError::value(format!("orders[{index}]"), problem, "each order once"));
            }
        }
        self.mixer.complete("mixer", registry)
    }
}

impl MixerConfig for ScansConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build)?))
    }
}

impl ScansConfig {
    /// Builds the mixers for tokens of `width` values.
    ///
    /// # Errors
    /// When the mixer does not fit the width, or an order by columns the features, which are no picture.
    pub fn build(&self, width: usize, build: &Build) -> Result<Scans> {
        self.clone().complete(build.registry)?;
        let config = self.mixer.resolve("mixer", build.registry)?;
        let scan = |order: &Order| {
            let mut build = *build;
            if order.by_columns() {
                build.input_for(Self::KIND)?.grid_for(Self::KIND)?;
            }
            if let Some(input) = &mut build.input {
                input.grid = input.grid.map(|grid| order.grid(grid));
            }
            config.init(width, &build).map_err(|error| error.under("mixer"))
        };
        let mixers = self.orders.iter().map(scan).collect::<Result<_>>()?;
        Ok(Scans { mixers, orders: self.orders.clone() })
    }
}

/// `y = Σ_o P_oᵀ f_o(P_o x) / n` over n orders, P_o their permutations and f_o a mixer for each.
///
/// What mixers leave for later layers stays in a lane for each order. Where the one order is forwards there is a recurrent
/// form, otherwise none.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Scans {
    /// One for each order.
    pub mixers: Vec<BoxedMixer>,
    #[module(skip)]
    orders: Vec<Order>,
}

impl Scans {
    fn scans(&self) -> impl Iterator<Item = (Order, &BoxedMixer)> {
        self.orders.iter().copied().zip(&self.mixers)
    }

    /// What an order's mixer may know.
    fn context(order: Order, context: &Context) -> Context {
        Context {
            mask: context.mask.clone().map(|mask| order.apply(mask.float(), context.grid).greater_elem(0.5)),
            grid: context.grid.map(|grid| order.grid(grid)),
            shared: context.shared.lane(order.name()),
        }
    }

    fn mean(&self, outputs: impl Iterator<Item = Tensor<3>>) -> Tensor<3> {
        let sum = outputs.reduce(|sum, output| sum + output).expect("there is an order at least");
        if self.orders.len() == 1 { sum } else { sum / self.orders.len() as f64 }
    }
}

impl Mixer for Scans {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let shape = tokens.dims();
        let outputs = self.scans().map(|(order, mixer)| {
            let read = order.apply(tokens.clone(), context.grid);
            order.undo(mixer.forward(read, &Self::context(order, context)), context.grid)
        });
        let mixed = self.mean(outputs);
        assert_shape!(mixed, [shape[0], shape[1], shape[2]]);
        mixed
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        (self.orders == [Order::Forward] && self.mixers[0].recurrent().is_some()).then_some(self)
    }

    fn limit(&self) -> Option<usize> {
        self.mixers.iter().filter_map(|mixer| mixer.limit()).min()
    }

    /// Of several orders, the mean of what each took, from where it stood.
    fn influence(&self, tokens: Tensor<3>, context: &Context) -> Option<Tensor<4>> {
        let taken = self.scans().map(|(order, mixer)| {
            let read = order.apply(tokens.clone(), context.grid);
            let taken = mixer.influence(read, &Self::context(order, context))?;
            let [batch, heads, length, _] = taken.dims();
            // Both what takes and what is taken from go back to their places.
            let taken = taken.reshape([batch * heads, length, length]);
            let taken = order.undo(taken, context.grid).swap_dims(1, 2);
            let taken = order.undo(taken, context.grid).swap_dims(1, 2);
            Some(taken.reshape([batch, heads, length, length]))
        });
        let taken = taken.collect::<Option<Vec<_>>>()?;
        let count = taken.len() as f64;
        taken.into_iter().reduce(|sum, taken| sum + taken).map(|sum| sum / count)
    }

    fn flops(&self, length: usize) -> u64 {
        self.mixers.iter().map(|mixer| mixer.flops(length)).sum()
    }
}

impl Scans {
    fn only(&self) -> &dyn Recurrent {
        self.mixers[0].recurrent().expect("`Mixer::recurrent` gives this form only if the one mixer has it")
    }
}

impl Recurrent for Scans {
    fn state(&self, batch: usize, device: &Device) -> State {
        self.only().state(batch, device)
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3> {
        self.only().step(tokens, state, &Self::context(Order::Forward, context))
    }

    fn constant_state(&self) -> bool {
        self.only().constant_state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_arch_attention::AttentionConfig;
    use ansatz_core::{FeatureSpec, Features};
    use burn::tensor::{Distribution, Tolerance};

    const ALL: [Order; 4] = [Order::Forward, Order::Backward, Order::Down, Order::Up];

    fn registry() -> Registry {
        Registry::default().mixer::<AttentionConfig>().mixer::<ScansConfig>()
    }

    fn config(orders: &[Order]) -> ScansConfig {
        let attention = AttentionConfig { causal: true, heads: 2, ..AttentionConfig::default() };
        ScansConfig { mixer: Choice::typed(&attention).unwrap(), orders: orders.to_vec() }
    }

    #[test]
    fn scans_conform() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = registry();
        for orders in [&ALL[..1], &ALL[..2], &ALL[1..2]] {
            let config = config(orders);
            let build = |width, device: &Device| config.init(width, &Build::new(&registry, device));
            let checked = ansatz_conformance::mixer(build).named(format!("{orders:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            let forward = orders == [Order::Forward];
            assert_eq!(report.covers(ansatz_conformance::Property::Recurrence), forward);
        }
        let config = config(&ALL);
        let build = |input: &FeatureSpec, device: &Device| {
            config.init(input.width, &Build::new(&registry, device).over(*input))
        };
        let grids = ansatz_conformance::grids(4);
        let checked = ansatz_conformance::mixer_over(build).inputs(grids).check(&device);
        checked.unwrap_or_else(|failure| panic!("{failure}"));
    }

    #[test]
    fn each_order_reads_what_it_says_and_brings_it_back() {
        let device = ansatz_device::open("cpu").unwrap();
        let grid = Grid { height: 2, width: 3 };
        let tokens = Tensor::<1, burn::tensor::Int>::arange(0..6, &device).float().reshape([1, 6, 1]);
        for (order, expected) in ALL.into_iter().zip([
            [0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0],
            [5.0, 4.0, 3.0, 2.0, 1.0, 0.0],
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0],
            [5.0, 2.0, 4.0, 1.0, 3.0, 0.0],
        ]) {
            let read = order.apply(tokens.clone(), Some(grid));
            assert_eq!(read.clone().into_data().iter::<f32>().collect::<Vec<_>>(), expected, "{order:?}");
            order.undo(read, Some(grid)).into_data().assert_eq(&tokens.to_data(), true);
        }
    }

    #[test]
    fn the_scans_are_the_mean_of_their_mixers_and_so_is_what_they_took() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = registry();
        let grid = Grid { height: 3, width: 4 };
        let build = Build::new(&registry, &device).over(FeatureSpec::picture(grid, 4));
        let scans = config(&ALL).build(4, &build).unwrap();
        let tokens = Tensor::<3>::random([2, 12, 4], Distribution::Default, &device);
        let context = Features { grid: Some(grid), ..Features::row(tokens.clone()) }.context();
        // Token by token: where each stands in the order of a scan.
        let place = |order: Order, at: usize| {
            let at = if order.by_columns() { at % 4 * 3 + at / 4 } else { at };
            if order.reversed() { 11 - at } else { at }
        };
        let mut expected = tokens.zeros_like();
        let mut taken = Tensor::<4>::zeros([2, 2, 12, 12], &device);
        for (order, mixer) in scans.scans() {
            let by_place = |values: &Tensor<3>, from: &dyn Fn(usize) -> usize| {
                let one = |at| values.clone().narrow(1, from(at), 1);
                Tensor::cat((0..12).map(one).collect(), 1)
            };
            let stands = |at: usize| (0..12).find(|token| place(order, *token) == at).expect("a permutation");
            let read = by_place(&tokens, &stands);
            expected = expected
                + by_place(&mixer.forward(read.clone(), &Context::default()), &|at| place(order, at));
            let own =
                mixer.influence(read, &Context::default()).expect("attention says").reshape([4, 12, 12]);
            let own = by_place(&own, &|at| place(order, at)).swap_dims(1, 2);
            taken = taken + by_place(&own, &|at| place(order, at)).swap_dims(1, 2).reshape([2, 2, 12, 12]);
        }
        let close = |found: burn::tensor::TensorData, expected: burn::tensor::TensorData| {
            found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
        };
        close(scans.forward(tokens.clone(), &context).into_data(), (expected / 4.0).into_data());
        close(scans.influence(tokens, &context).expect("all say").into_data(), (taken / 4.0).into_data());
        assert_eq!(scans.flops(12), 4 * scans.mixers[0].flops(12));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let registry = registry();
        let message = |orders: &[Order]| config(orders).complete(&registry).unwrap_err().to_string();
        assert!(message(&[]).contains("`orders`"));
        assert!(message(&[Order::Up, Order::Up]).contains("`orders[1]`"));
        let device = ansatz_device::open("cpu").unwrap();
        let row = Build::new(&registry, &device).over(FeatureSpec::row(12, 4));
        let said = config(&[Order::Down]).build(4, &row).unwrap_err().to_string();
        assert!(said.contains("not a picture"), "{said}");
    }
}
