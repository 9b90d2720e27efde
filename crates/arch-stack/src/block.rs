//! One block: a sequence mixer and a channel mixer, each on a residual branch.

use ansatz_core::{BoxedChannel, BoxedMixer, Context, Recurrent, State};
use ansatz_ops::Norm;
use burn::module::Module;
use burn::tensor::Tensor;

use crate::{Arrangement, Residual, Scales};

/// One block: the tokens pass a sequence mixer, then a channel mixer, each joined as the [`Arrangement`] says.
#[derive(Module, Debug)]
pub struct Block {
    /// The norm of the sequence mixer's branch.
    pub mixer_norm: Option<Norm>,
    /// Tokens learn of each other.
    pub mixer: BoxedMixer,
    /// The second norm of the sequence mixer's branch, where the arrangement has one.
    pub mixer_second_norm: Option<Norm>,
    /// The norm of the channel mixer's branch.
    pub channel_norm: Option<Norm>,
    /// Works on the values of each token.
    pub channel: Option<BoxedChannel>,
    /// The second norm of the channel mixer's branch, where the arrangement has one.
    pub channel_second_norm: Option<Norm>,
    /// What happens to both branches while training.
    pub residual: Residual,
    #[module(skip)]
    pub(crate) arrangement: Arrangement,
    #[module(skip)]
    pub(crate) mixer_scales: Scales,
    #[module(skip)]
    pub(crate) channel_scales: Scales,
}

/// Names of the parts of a block's state.
const MIXER: &str = "mixer";
const CHANNEL: &str = "channel";

impl Block {
    /// `[batch, length, width]` → the same; `mix` is the sequence mixer in the form it is wanted.
    pub(crate) fn forward(
        &self,
        tokens: Tensor<3>,
        context: &Context,
        mix: impl FnOnce(&BoxedMixer, Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let tokens = self.mix(tokens, |tokens| mix(&self.mixer, tokens));
        self.change(tokens, |channel, tokens| channel.forward(tokens, context))
    }

    /// Whether both branches have a recurrent form.
    pub(crate) fn is_recurrent(&self) -> bool {
        self.mixer.recurrent().is_some()
    }

    /// The state before the first token.
    ///
    /// # Panics
    /// When the sequence mixer has no recurrent form.
    pub(crate) fn state(&self, batch: usize, device: &burn::tensor::Device) -> State {
        let mut state = State::new();
        state.set_part(MIXER, self.recurrent_mixer().state(batch, device));
        if let Some(form) = self.recurrent_channel() {
            state.set_part(CHANNEL, form.state(batch, device));
        }
        state
    }

    /// The next tokens behind `state`, which moves on.
    ///
    /// # Panics
    /// When the sequence mixer has no recurrent form.
    pub(crate) fn step(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let tokens =
            self.mix(tokens, |tokens| self.recurrent_mixer().step(tokens, state.part(MIXER), context));
        state.position += length;
        self.change(tokens, |channel, tokens| match channel.recurrent() {
            Some(form) => form.step(tokens, state.part(CHANNEL), context),
            None => channel.forward(tokens, context),
        })
    }

    /// Whether the state keeps one size.
    ///
    /// # Panics
    /// When the sequence mixer has no recurrent form.
    pub(crate) fn constant_state(&self) -> bool {
        self.recurrent_mixer().constant_state()
            && self.recurrent_channel().is_none_or(|form| form.constant_state())
    }

    fn recurrent_mixer(&self) -> &dyn Recurrent {
        self.mixer.recurrent().expect("`Backbone::recurrent` gives a stack only if every mixer has this form")
    }

    fn recurrent_channel(&self) -> Option<&dyn Recurrent> {
        self.channel.as_ref().and_then(|channel| channel.recurrent())
    }

    fn mix(&self, tokens: Tensor<3>, mix: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        self.join(tokens, [&self.mixer_norm, &self.mixer_second_norm], self.mixer_scales, mix)
    }

    fn change(
        &self,
        tokens: Tensor<3>,
        change: impl FnOnce(&BoxedChannel, Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let Some(channel) = &self.channel else { return tokens };
        let norms = [&self.channel_norm, &self.channel_second_norm];
        self.join(tokens, norms, self.channel_scales, |tokens| change(channel, tokens))
    }

    /// The tokens with a branch, see [`Arrangement`].
    fn join(
        &self,
        tokens: Tensor<3>,
        [norm, second]: [&Option<Norm>; 2],
        scales: Scales,
        branch: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let apply = |norm: &Option<Norm>, tokens: Tensor<3>| match norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        };
        let add = |skip: Tensor<3>, branch: Tensor<3>| {
            let branch = self.residual.forward(branch);
            scaled(skip, scales.skip) + scaled(branch, scales.branch)
        };
        match self.arrangement {
            Arrangement::Pre => add(tokens.clone(), branch(apply(norm, tokens))),
            Arrangement::Post => apply(norm, add(tokens.clone(), branch(tokens))),
            Arrangement::Sandwich => add(tokens.clone(), apply(second, branch(apply(norm, tokens)))),
            Arrangement::Branch => add(tokens.clone(), apply(norm, branch(tokens))),
            Arrangement::Carried => {
                let tokens = apply(norm, tokens);
                add(tokens.clone(), branch(tokens))
            }
        }
    }
}

/// `factor · tokens`, without a pass where the factor is 1.
pub(crate) fn scaled(tokens: Tensor<3>, factor: f64) -> Tensor<3> {
    if factor == 1.0 { tokens } else { tokens * factor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StackConfig;
    use ansatz_arch_attention::AttentionConfig;
    use ansatz_arch_channel::MlpConfig;
    use ansatz_core::{Build, FeatureSpec, Registry};
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn every_arrangement_is_its_equation() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default().mixer::<AttentionConfig>().channel::<MlpConfig>();
        let scales = Scales { skip: 0.5, branch: 2.0 };
        for arrangement in [
            Arrangement::Pre,
            Arrangement::Post,
            Arrangement::Sandwich,
            Arrangement::Branch,
            Arrangement::Carried,
        ] {
            let config = StackConfig {
                width: 8,
                depth: 1,
                arrangement,
                mixer_scales: vec![scales],
                ..StackConfig::default()
            };
            let stack = config.build(&FeatureSpec::row(3, 8), &Build::new(&registry, &device)).unwrap();
            let block = &stack.blocks[0];
            assert_eq!(block.mixer_second_norm.is_some(), arrangement == Arrangement::Sandwich);
            let x = Tensor::<3>::random([2, 3, 8], Distribution::Normal(1.0, 2.0), &device);
            let norm = |x: Tensor<3>| block.mixer_norm.as_ref().expect("a norm").forward(x);
            let f = |x: Tensor<3>| block.mixer.forward(x, &Context::default()) * 2.0;
            let expected = match arrangement {
                Arrangement::Pre => x.clone() * 0.5 + f(norm(x.clone())),
                Arrangement::Post => norm(x.clone() * 0.5 + f(x.clone())),
                // Fresh norms are alike, so the second is the first; and it undoes any scale inside it.
                Arrangement::Sandwich => x.clone() * 0.5 + norm(f(norm(x.clone()))) * 2.0,
                Arrangement::Branch => x.clone() * 0.5 + norm(f(x.clone())) * 2.0,
                Arrangement::Carried => norm(x.clone()) * 0.5 + f(norm(x.clone())),
            };
            let found = block.mix(x, |x| block.mixer.forward(x, &Context::default()));
            found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-4));
        }
    }
}
