//! Sequence mixers side by side.

use ansatz_core::{
    BoxedMixer, Build, Choice, Component, ConfigError, Context, Mixer, MixerConfig, Recurrent, Registry,
    Result, State, role,
};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::block::scaled;

/// Sequence mixers that all see the same tokens, and whose outputs are added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ParallelConfig {
    /// The mixers side by side, at least one.
    pub branches: Vec<ParallelBranch>,
}

/// One of several mixers side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ParallelBranch {
    /// The mixer.
    pub mixer: Choice<role::Mixer>,
    /// What its tokens are multiplied by.
    pub input_scale: f64,
    /// What its outputs are multiplied by.
    pub output_scale: f64,
}

impl Default for ParallelBranch {
    fn default() -> Self {
        Self { mixer: Choice::of("attention"), input_scale: 1.0, output_scale: 1.0 }
    }
}

impl Default for ParallelConfig {
    fn default() -> Self {
        Self { branches: vec![ParallelBranch::default()] }
    }
}

impl Component for ParallelConfig {
    const KIND: &'static str = "parallel";
    const ABOUT: &'static str = "sequence mixers side by side over the same tokens, their outputs added";
    const CITATION: &'static str = "Dong et al., Hymba: A Hybrid-head Architecture for Small Language Models, 2024, \
        arXiv:2411.13676; Zuo et al., Falcon-H1, 2025, arXiv:2507.22448";

    fn complete(&mut self, registry: &Registry) -> Result<(), ConfigError> {
        if self.branches.is_empty() {
            return Err(ConfigError::value("branches", "an empty list", "at least one mixer"));
        }
        for (index, branch) in self.branches.iter_mut().enumerate() {
            for (key, scale) in [("input_scale", branch.input_scale), ("output_scale", branch.output_scale)] {
                if !scale.is_finite() {
                    let path = format!("branches[{index}].{key}");
                    return Err(ConfigError::value(path, scale.to_string(), "a finite number"));
                }
            }
            branch.mixer.complete(&format!("branches[{index}].mixer"), registry)?;
        }
        Ok(())
    }
}

impl MixerConfig for ParallelConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        self.clone().complete(build.registry)?;
        let branch = |(index, branch): (usize, &ParallelBranch)| {
            let path = format!("branches[{index}].mixer");
            let mixer = branch.mixer.resolve(&path, build.registry)?;
            mixer.init(width, build).map_err(|error| error.under(&path))
        };
        Ok(BoxedMixer::new(Parallel {
            branches: self.branches.iter().enumerate().map(branch).collect::<Result<_>>()?,
            scales: self.branches.iter().map(|branch| [branch.input_scale, branch.output_scale]).collect(),
        }))
    }
}

/// `Σ_b s_b f_b(r_b x)` over mixers `f_b` with factors `r_b` and `s_b`.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Parallel {
    /// The mixers.
    pub branches: Vec<BoxedMixer>,
    /// Of each its factors of tokens and outputs.
    #[module(skip)]
    scales: Vec<[f64; 2]>,
}

/// Where a branch's state stands.
fn part(index: usize) -> String {
    format!("branches.{index}")
}

impl Parallel {
    /// The sum of what `mix` makes of each branch.
    fn sum(
        &self,
        tokens: Tensor<3>,
        mut mix: impl FnMut(usize, &BoxedMixer, Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let branches = self.branches.iter().zip(&self.scales).enumerate();
        let outputs = branches.map(|(index, (mixer, [input, output]))| {
            scaled(mix(index, mixer, scaled(tokens.clone(), *input)), *output)
        });
        outputs.reduce(|sum, output| sum + output).expect("a parallel mixer has at least one branch")
    }

    fn forms(&self) -> impl Iterator<Item = Option<&dyn Recurrent>> {
        self.branches.iter().map(|mixer| mixer.recurrent())
    }
}

impl Mixer for Parallel {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        self.sum(tokens, |_, mixer, tokens| mixer.forward(tokens, context))
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        self.forms().all(|form| form.is_some()).then_some(self)
    }

    fn limit(&self) -> Option<usize> {
        self.branches.iter().filter_map(|mixer| mixer.limit()).min()
    }

    fn flops(&self, length: usize) -> u64 {
        self.branches.iter().map(|mixer| mixer.flops(length)).sum()
    }
}

impl Recurrent for Parallel {
    fn state(&self, batch: usize, device: &Device) -> State {
        let mut state = State::new();
        for (index, form) in self.forms().flatten().enumerate() {
            state.set_part(&part(index), form.state(batch, device));
        }
        state
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let output = self.sum(tokens, |index, mixer, tokens| {
            let form =
                mixer.recurrent().expect("`Mixer::recurrent` gives this form only if every branch has it");
            form.step(tokens, state.part(&part(index)), context)
        });
        state.position += length;
        output
    }

    fn constant_state(&self) -> bool {
        self.forms().flatten().all(|form| form.constant_state())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_arch_attention::AttentionConfig;
    use burn::tensor::Tolerance;

    fn registry() -> Registry {
        Registry::default().mixer::<AttentionConfig>().mixer::<ParallelConfig>()
    }

    fn branch(causal: bool, heads: usize, [input_scale, output_scale]: [f64; 2]) -> ParallelBranch {
        let attention = AttentionConfig { causal, heads, ..AttentionConfig::default() };
        ParallelBranch { mixer: Choice::typed(&attention).unwrap(), input_scale, output_scale }
    }

    #[test]
    fn mixers_side_by_side_conform() {
        let device = ansatz_device::open("cpu").unwrap();
        for causal in [true, false] {
            let branches = vec![branch(true, 2, [0.5, 2.0]), branch(causal, 4, [1.0, 1.5])];
            let config = ParallelConfig { branches };
            let build = |width, device: &Device| config.init(width, &Build::new(&registry(), device));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!(report.covers(ansatz_conformance::Property::Recurrence), causal);
        }
    }

    #[test]
    fn scaled_branches_are_added() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = registry();
        let build = Build::new(&registry, &device);
        let config =
            ParallelConfig { branches: vec![branch(true, 2, [0.5, 3.0]), branch(true, 1, [2.0, 1.0])] };
        config.clone().complete(&registry).unwrap();
        let branches: Vec<BoxedMixer> = config
            .branches
            .iter()
            .map(|branch| branch.mixer.resolve("", &registry).unwrap().init(4, &build).unwrap())
            .collect();
        let parallel = Parallel { branches, scales: vec![[0.5, 3.0], [2.0, 1.0]] };
        let x = Tensor::<3>::random([1, 3, 4], burn::tensor::Distribution::Default, &device);
        let each = |index: usize, x: Tensor<3>| parallel.branches[index].forward(x, &Context::default());
        let expected = each(0, x.clone() * 0.5) * 3.0 + each(1, x.clone() * 2.0);
        let found = parallel.forward(x, &Context::default());
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-6));
        assert_eq!(parallel.flops(3), parallel.branches.iter().map(|mixer| mixer.flops(3)).sum::<u64>());
    }

    #[test]
    fn errors_name_the_branch() {
        let message = |branches: Vec<ParallelBranch>| {
            ParallelConfig { branches }.complete(&registry()).unwrap_err().to_string()
        };
        assert!(message(Vec::new()).contains("`branches`"));
        let wrong = branch(true, 0, [1.0, 1.0]);
        assert!(message(vec![branch(true, 1, [1.0; 2]), wrong]).contains("`branches[1].mixer.heads`"));
        assert!(message(vec![branch(true, 1, [f64::NAN, 1.0])]).contains("`branches[0].input_scale`"));
    }
}
