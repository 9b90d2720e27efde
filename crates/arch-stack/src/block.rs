//! One block: a sequence mixer and a channel mixer, each on a residual branch.

use ansatz_core::{BoxedChannel, BoxedMixer, Context, Recurrent, State};
use ansatz_ops::Norm;
use burn::module::{Module, Param};
use burn::tensor::{Bool, Tensor};

use crate::{Arrangement, NormOver, Residual, Scales};

/// One block: the tokens pass a sequence mixer, then a channel mixer, each joined as the [`Arrangement`] says.
#[derive(Module, Debug)]
pub struct Block {
    /// The norm of the sequence mixer's branch.
    pub mixer_norm: Option<Norm>,
    /// Tokens learn of each other.
    pub mixer: BoxedMixer,
    /// The second norm of the sequence mixer's branch, where the arrangement has one.
    pub mixer_second_norm: Option<Norm>,
    /// Learned factors of the sequence mixer's branch, `[width]`; of the whole branch where there is a single one.
    pub mixer_layer_scale: Option<Param<Tensor<1>>>,
    /// The norm of the channel mixer's branch.
    pub channel_norm: Option<Norm>,
    /// Works on the values of each token.
    pub channel: Option<BoxedChannel>,
    /// The second norm of the channel mixer's branch, where the arrangement has one.
    pub channel_second_norm: Option<Norm>,
    /// Learned factors of the channel mixer's branch, `[width]`.
    pub channel_layer_scale: Option<Param<Tensor<1>>>,
    /// What happens to both branches while training.
    pub residual: Residual,
    #[module(skip)]
    pub(crate) arrangement: Arrangement,
    #[module(skip)]
    pub(crate) norm_over: NormOver,
    #[module(skip)]
    pub(crate) mixer_scales: Scales,
    #[module(skip)]
    pub(crate) channel_scales: Scales,
}

/// Names of the parts of a block's state.
const MIXER: &str = "mixer";
const CHANNEL: &str = "channel";

/// What works on the tokens of a branch.
enum Part<'a> {
    Mixer(&'a BoxedMixer),
    Channel(&'a BoxedChannel),
}

/// What stands around a branch.
struct Around<'a> {
    norm: &'a Option<Norm>,
    second: &'a Option<Norm>,
    layer_scale: &'a Option<Param<Tensor<1>>>,
    scales: Scales,
}

impl Block {
    /// `[batch, length, width]` → the same; `mix` is the sequence mixer in the form it is wanted.
    pub(crate) fn forward(
        &self,
        tokens: Tensor<3>,
        context: &Context,
        mut mix: impl FnMut(&BoxedMixer, Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        self.pass(tokens, context, |part, tokens| match part {
            Part::Mixer(mixer) => mix(mixer, tokens),
            Part::Channel(channel) => channel.forward(tokens, context),
        })
    }

    /// The same with the sequence mixer over all tokens at once.
    pub(crate) fn whole(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        self.forward(tokens, context, |mixer, tokens| mixer.forward(tokens, context))
    }

    /// What the sequence mixer reads of the tokens that reach the block, `[batch, heads, to, from]`, where it has such a
    /// reading.
    pub(crate) fn influence(&self, tokens: Tensor<3>, context: &Context) -> Option<Tensor<4>> {
        let tokens = match self.arrangement {
            Arrangement::Pre | Arrangement::Sandwich | Arrangement::Carried => {
                self.scaled(&self.mixer_norm, tokens, context.mask.as_ref())
            }
            Arrangement::Post | Arrangement::Branch | Arrangement::Single => tokens,
        };
        self.mixer.influence(tokens, context)
    }

    /// Whether both branches have a recurrent form.
    pub(crate) fn is_recurrent(&self) -> bool {
        self.mixer.recurrent().is_some() && self.norm_over == NormOver::Token
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
        let tokens = self.pass(tokens, context, |part, tokens| match part {
            Part::Mixer(_) => self.recurrent_mixer().step(tokens, state.part(MIXER), context),
            Part::Channel(channel) => match channel.recurrent() {
                Some(form) => form.step(tokens, state.part(CHANNEL), context),
                None => channel.forward(tokens, context),
            },
        });
        state.position += length;
        tokens
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

    /// The tokens through both branches, each part as `run` runs it. A mask in `context` is that of the tokens.
    fn pass(
        &self,
        tokens: Tensor<3>,
        context: &Context,
        mut run: impl FnMut(Part, Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let mask = context.mask.as_ref();
        let mixer = Around {
            norm: &self.mixer_norm,
            second: &self.mixer_second_norm,
            layer_scale: &self.mixer_layer_scale,
            scales: self.mixer_scales,
        };
        if self.arrangement == Arrangement::Single {
            return self.join(tokens, mask, &mixer, |tokens| {
                let mixed = run(Part::Mixer(&self.mixer), tokens);
                match &self.channel {
                    Some(channel) => {
                        run(Part::Channel(channel), self.scaled(&self.channel_norm, mixed, mask))
                    }
                    None => mixed,
                }
            });
        }
        let tokens = self.join(tokens, mask, &mixer, |tokens| run(Part::Mixer(&self.mixer), tokens));
        let Some(channel) = &self.channel else { return tokens };
        let around = Around {
            norm: &self.channel_norm,
            second: &self.channel_second_norm,
            layer_scale: &self.channel_layer_scale,
            scales: self.channel_scales,
        };
        self.join(tokens, mask, &around, |tokens| run(Part::Channel(channel), tokens))
    }

    /// The tokens brought to one scale, where there is a norm.
    fn scaled(&self, norm: &Option<Norm>, tokens: Tensor<3>, mask: Option<&Tensor<2, Bool>>) -> Tensor<3> {
        match norm {
            Some(norm) => self.norm_over.apply(norm, tokens, mask),
            None => tokens,
        }
    }

    /// The tokens with a branch, see [`Arrangement`].
    fn join(
        &self,
        tokens: Tensor<3>,
        mask: Option<&Tensor<2, Bool>>,
        around: &Around,
        branch: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let norm = |tokens| self.scaled(around.norm, tokens, mask);
        let add = |skip: Tensor<3>, branch: Tensor<3>| {
            let branch = match around.layer_scale {
                Some(factors) => branch * factors.val().unsqueeze(),
                None => branch,
            };
            let branch = self.residual.forward(branch);
            scaled(skip, around.scales.skip) + scaled(branch, around.scales.branch)
        };
        match self.arrangement {
            Arrangement::Pre => add(tokens.clone(), branch(norm(tokens))),
            Arrangement::Post => norm(add(tokens.clone(), branch(tokens))),
            Arrangement::Sandwich => {
                let branch = branch(norm(tokens.clone()));
                add(tokens, self.scaled(around.second, branch, mask))
            }
            Arrangement::Branch => add(tokens.clone(), norm(branch(tokens))),
            Arrangement::Carried => {
                let tokens = norm(tokens);
                add(tokens.clone(), branch(tokens))
            }
            Arrangement::Single => add(tokens.clone(), branch(tokens)),
        }
    }
}

/// `factor · tokens`, without a pass where the factor is 1.
pub(crate) fn scaled(tokens: Tensor<3>, factor: f64) -> Tensor<3> {
    if factor == 1.0 { tokens } else { tokens * factor }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::StackConfig;
    use ansatz_arch_attention::AttentionConfig;
    use ansatz_arch_channel::MlpConfig;
    use ansatz_core::{Build, FeatureSpec, Registry};
    use burn::tensor::{Distribution, Tolerance};

    pub(crate) const ARRANGEMENTS: [Arrangement; 6] = [
        Arrangement::Pre,
        Arrangement::Post,
        Arrangement::Sandwich,
        Arrangement::Branch,
        Arrangement::Carried,
        Arrangement::Single,
    ];

    #[test]
    fn every_arrangement_is_its_equation() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default().mixer::<AttentionConfig>().channel::<MlpConfig>();
        let scales = Scales { skip: 0.5, branch: 2.0 };
        for arrangement in ARRANGEMENTS {
            for (norm_over, layer_scale) in [(NormOver::Token, None), (NormOver::Example, Some(1.5))] {
                let config = StackConfig {
                    width: 8,
                    depth: 1,
                    channels: Vec::new(),
                    arrangement,
                    norm_over,
                    layer_scale,
                    mixer_scales: vec![scales],
                    ..StackConfig::default()
                };
                let stack = config.build(&FeatureSpec::row(3, 8), &Build::new(&registry, &device)).unwrap();
                let block = &stack.blocks[0];
                assert_eq!(block.mixer_second_norm.is_some(), arrangement == Arrangement::Sandwich);
                let x = Tensor::<3>::random([2, 3, 8], Distribution::Normal(1.0, 2.0), &device);
                let norm = |x: Tensor<3>| {
                    let norm = block.mixer_norm.as_ref().expect("a norm");
                    match norm_over {
                        NormOver::Token => norm.forward(x),
                        NormOver::Example => norm.over_example(x, None),
                    }
                };
                let factor = 2.0 * layer_scale.unwrap_or(1.0);
                let f = |x: Tensor<3>| block.mixer.forward(x, &Context::default());
                let expected = match arrangement {
                    Arrangement::Pre => x.clone() * 0.5 + f(norm(x.clone())) * factor,
                    Arrangement::Post => norm(x.clone() * 0.5 + f(x.clone()) * factor),
                    // Fresh norms are alike, so the second is the first.
                    Arrangement::Sandwich => x.clone() * 0.5 + norm(f(norm(x.clone()))) * factor,
                    Arrangement::Branch => x.clone() * 0.5 + norm(f(x.clone())) * factor,
                    Arrangement::Carried => norm(x.clone()) * 0.5 + f(norm(x.clone())) * factor,
                    Arrangement::Single => x.clone() * 0.5 + f(x.clone()) * factor,
                };
                let found =
                    block.forward(x, &Context::default(), |mixer, x| mixer.forward(x, &Context::default()));
                found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-4));
            }
        }
    }

    #[test]
    fn a_single_branch_holds_both_mixers() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default().mixer::<AttentionConfig>().channel::<MlpConfig>();
        let config = StackConfig {
            width: 8,
            depth: 1,
            arrangement: Arrangement::Single,
            layer_scale: Some(0.5),
            ..StackConfig::default()
        };
        let stack = config.build(&FeatureSpec::row(3, 8), &Build::new(&registry, &device)).unwrap();
        let block = &stack.blocks[0];
        assert!(block.mixer_norm.is_none() && block.channel_layer_scale.is_none());
        let x = Tensor::<3>::random([2, 3, 8], Distribution::Normal(1.0, 2.0), &device);
        let context = Context::default();
        let norm = block.channel_norm.as_ref().expect("a norm");
        let channel = block.channel.as_ref().expect("a channel mixer");
        let branch = channel.forward(norm.forward(block.mixer.forward(x.clone(), &context)), &context);
        let expected = x.clone() + branch * 0.5;
        let found = block.forward(x, &context, |mixer, x| mixer.forward(x, &context));
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }
}
