//! The typed config of the stack.

use ansatz_core::{
    BackboneConfig, BoxedBackbone, BoxedChannel, Build, Choice, Component, ConfigError, FeatureSpec,
    Registry, Result, role,
};
use ansatz_ops::{NormConfig, NormKind};
use burn::nn::Initializer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Arrangement, Block, NormOver, Positions, Residual, Scales, Stack};

/// Residual blocks of sequence mixers and channel mixers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StackConfig {
    /// Values per token, 1 up to 65536.
    #[schemars(range(min = 1, max = 65536))]
    pub width: usize,
    /// Blocks, 1 up to 1024.
    #[schemars(range(min = 1, max = 1024))]
    pub depth: usize,
    /// The sequence mixers, from the first block on, begun again where the list ends: one entry makes all
    /// blocks alike, two alternate. At least one.
    pub pattern: Vec<Choice<role::Mixer>>,
    /// The channel mixers, from the first block on, begun again where the list ends. The kind `none` leaves the
    /// channel mixer out; an empty list does so everywhere.
    pub channels: Vec<Choice<role::Channel>>,
    /// The norm of every branch, and of the first and last tokens.
    pub norm: NormConfig,
    /// What a norm brings to one scale.
    pub norm_over: NormOver,
    /// Where the norms stand around the branches.
    pub arrangement: Arrangement,
    /// Whether the tokens are brought to one scale before the first block.
    pub first_norm: bool,
    /// Whether the first block's sequence mixer has a norm: ModernBERT leaves it out behind a first norm.
    pub first_mixer_norm: bool,
    /// Whether the tokens are brought to one scale behind the last block.
    pub last_norm: bool,
    /// The norm behind the last block, where it is another one. Left out: as `norm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closing_norm: Option<NormConfig>,
    /// Factors at every sequence mixer, from the first block on, begun again where the list ends; all 1 when empty.
    pub mixer_scales: Vec<Scales>,
    /// Factors at every channel mixer, likewise.
    pub channel_scales: Vec<Scales>,
    /// What each value of a branch is multiplied by at first, a finite number; the factors are then learned
    /// (Touvron et al., CaiT, 2021, arXiv:2103.17239, equation 4). Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_scale: Option<f64>,
    /// How tokens are told where they stand.
    pub positions: PositionKind,
    /// Probability with which each value of a residual branch is dropped while training, 0 up to but not
    /// including 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dropout: f64,
    /// Probability with which an example skips a residual branch of the last block while training, 0 up to
    /// but not including 1; it rises linearly from 0 at the first block.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub stochastic_depth: f64,
}

/// How tokens are told where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PositionKind {
    /// A learned vector for each position is added; there are as many as the longest example has tokens.
    Learned,
    /// Sines and cosines of the position are added; they have no end. They reach from −1 to 1: beside them embeddings of
    /// tokens, drawn small, want a factor of √width (`data.embedding.scale`; Vaswani et al. 2017, section 3.4).
    Sinusoidal,
    /// Nothing is added: the mixers tell positions apart by themselves, or need not.
    None,
}

impl Default for StackConfig {
    fn default() -> Self {
        Self {
            width: 64,
            depth: 4,
            pattern: vec![Choice::of("attention")],
            channels: vec![Choice::of("mlp")],
            norm: NormConfig::default(),
            norm_over: NormOver::default(),
            arrangement: Arrangement::default(),
            first_norm: false,
            first_mixer_norm: true,
            last_norm: true,
            closing_norm: None,
            mixer_scales: Vec::new(),
            channel_scales: Vec::new(),
            layer_scale: None,
            positions: PositionKind::Learned,
            dropout: 0.0,
            stochastic_depth: 0.0,
        }
    }
}

impl Component for StackConfig {
    const KIND: &'static str = "stack";
    const ABOUT: &'static str =
        "residual blocks of sequence mixers and channel mixers, in any pattern along the depth";
    const CITATION: &'static str = "Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762; norm \
        before the mixers: Xiong et al., On Layer Normalization in the Transformer Architecture, 2020, \
        arXiv:2002.04745";

    fn complete(&mut self, registry: &Registry) -> Result<(), ConfigError> {
        self.check()?;
        for (index, mixer) in self.pattern.iter_mut().enumerate() {
            mixer.complete(&format!("pattern[{index}]"), registry)?;
        }
        for (index, channel) in self.channels.iter_mut().enumerate() {
            channel.complete(&format!("channels[{index}]"), registry)?;
        }
        Ok(())
    }
}

impl StackConfig {
    /// Checks the ranges of the stack's own values.
    fn check(&self) -> Result<(), ConfigError> {
        let whole = |path: &str, value: usize, largest: usize| {
            let problem = || ConfigError::value(path, value.to_string(), format!("1 up to {largest}"));
            if (1..=largest).contains(&value) { Ok(()) } else { Err(problem()) }
        };
        let probability = |path: &str, value: f64| {
            let problem = || {
                let problem = format!("a probability of {value}");
                ConfigError::value(path, problem, "0 up to but not including 1")
            };
            if (0.0..1.0).contains(&value) { Ok(()) } else { Err(problem()) }
        };
        whole("width", self.width, 65536)?;
        whole("depth", self.depth, 1024)?;
        if self.pattern.is_empty() {
            let expected = "at least one mixer, e.g. [[backbone.pattern]] kind = \"attention\"";
            return Err(ConfigError::value("pattern", "an empty list", expected));
        }
        for (name, norm) in [("norm", Some(self.norm)), ("closing_norm", self.closing_norm)] {
            if let Some(Err((key, problem, expected))) = norm.map(|norm| norm.check()) {
                return Err(ConfigError::value(format!("{name}.{key}"), problem, expected));
            }
        }
        for (list, scales) in [("mixer_scales", &self.mixer_scales), ("channel_scales", &self.channel_scales)]
        {
            for (index, scale) in scales.iter().enumerate() {
                for (key, value) in [("skip", scale.skip), ("branch", scale.branch)] {
                    if !value.is_finite() {
                        let path = format!("{list}[{index}].{key}");
                        return Err(ConfigError::value(path, value.to_string(), "a finite number"));
                    }
                }
            }
        }
        if let Some(scale) = self.layer_scale
            && !scale.is_finite()
        {
            return Err(ConfigError::value("layer_scale", scale.to_string(), "a finite number"));
        }
        if self.arrangement == Arrangement::Single {
            self.check_single()?;
        }
        let closing = self.closing_norm.unwrap_or(self.norm);
        if self.norm_over == NormOver::Example
            && [self.norm, closing].iter().any(|norm| norm.kind == NormKind::Batch)
        {
            let problem = "`example` beside a batch norm, which goes over all examples";
            return Err(ConfigError::value("norm_over", problem, "\"token\", or another norm"));
        }
        probability("dropout", self.dropout)?;
        probability("stochastic_depth", self.stochastic_depth)
    }

    /// Refuses what says something about a second branch or a first norm, where there is none.
    fn check_single(&self) -> Result<(), ConfigError> {
        if !self.channel_scales.is_empty() {
            let problem = "the arrangement `single` has no branch of the channel mixer";
            return Err(ConfigError::value(
                "channel_scales",
                problem,
                "[], and `mixer_scales` for the one branch",
            ));
        }
        if !self.first_mixer_norm {
            let problem = "the arrangement `single` has no norm in front of a sequence mixer";
            return Err(ConfigError::value("first_mixer_norm", problem, "true"));
        }
        Ok(())
    }

    /// Builds the stack for features of shape `input`.
    ///
    /// # Errors
    /// When a value is out of range, the features have another width, or a mixer does not fit it.
    pub fn build(&self, input: &FeatureSpec, build: &Build) -> Result<Stack> {
        self.check()?;
        if input.width != self.width {
            let problem = format!("{} but the stem makes tokens of {}", self.width, input.width);
            return Err(ConfigError::value("width", problem, format!("{}", input.width)).into());
        }
        let build = build.over(*input);
        let blocks = (0..self.depth).map(|index| self.block(index, &build.at(index, self.depth)));
        let norm = |wanted: bool, config: NormConfig| wanted.then(|| config.init(self.width, build.device));
        Ok(Stack {
            positions: Positions::new(self.positions, input, build.device),
            first_norm: norm(self.first_norm, self.norm),
            blocks: blocks.collect::<Result<_>>()?,
            norm: norm(self.last_norm, self.closing_norm.unwrap_or(self.norm)),
            norm_over: self.norm_over,
        })
    }

    fn block(&self, index: usize, build: &Build) -> Result<Block> {
        let norm = |wanted: bool| wanted.then(|| self.norm.init(self.width, build.device));
        let entry = index % self.pattern.len();
        let path = format!("pattern[{entry}]");
        let mixer = self.pattern[entry].resolve(&path, build.registry)?;
        let mixer = mixer.init(self.width, build).map_err(|error| error.under(&path))?;
        let channel = self.channel(index, build)?;
        let depth = index as f64 / (self.depth - 1).max(1) as f64;
        let single = self.arrangement == Arrangement::Single;
        let layer_scale = |wanted: bool| {
            let scale = self.layer_scale.filter(|_| wanted);
            scale.map(|value| Initializer::Constant { value }.init([self.width], build.device))
        };
        Ok(Block {
            mixer_norm: norm(!single && (index > 0 || self.first_mixer_norm)),
            mixer,
            mixer_second_norm: norm(self.arrangement.doubled()),
            mixer_layer_scale: layer_scale(true),
            channel_norm: norm(channel.is_some()),
            channel_second_norm: norm(channel.is_some() && self.arrangement.doubled()),
            channel_layer_scale: layer_scale(channel.is_some() && !single),
            channel,
            residual: Residual::new(self.dropout, self.stochastic_depth * depth),
            arrangement: self.arrangement,
            norm_over: self.norm_over,
            mixer_scales: repeated(&self.mixer_scales, index),
            channel_scales: repeated(&self.channel_scales, index),
        })
    }

    /// The channel mixer of block `index`, if it has one.
    fn channel(&self, index: usize, build: &Build) -> Result<Option<BoxedChannel>> {
        if self.channels.is_empty() {
            return Ok(None);
        }
        let entry = index % self.channels.len();
        let path = format!("channels[{entry}]");
        let channel = self.channels[entry].resolve(&path, build.registry)?;
        if channel.is_none() {
            return Ok(None);
        }
        Ok(Some(channel.init(self.width, build).map_err(|error| error.under(&path))?))
    }
}

/// The entry of `list` for block `index`.
fn repeated(list: &[Scales], index: usize) -> Scales {
    if list.is_empty() { Scales::default() } else { list[index % list.len()] }
}

impl BackboneConfig for StackConfig {
    fn width(&self) -> Option<usize> {
        Some(self.width)
    }

    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        Ok(BoxedBackbone::new(self.build(input, build)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_arch_attention::AttentionConfig;
    use ansatz_arch_channel::{GatedMlpConfig, MlpConfig, NoneConfig};

    fn registry() -> Registry {
        Registry::default()
            .mixer::<AttentionConfig>()
            .channel::<MlpConfig>()
            .channel::<GatedMlpConfig>()
            .channel::<NoneConfig>()
            .backbone::<StackConfig>()
    }

    fn choice(settings: &str) -> Choice<role::Backbone> {
        Choice::with("stack", settings.parse().expect("valid TOML"))
    }

    fn message(settings: &str) -> String {
        choice(settings).resolve("backbone", &registry()).unwrap_err().to_string()
    }

    #[test]
    fn a_rendered_config_shows_every_nested_value() {
        let mut config =
            choice("pattern = [{ kind = \"attention\", causal = true }, { kind = \"attention\" }]");
        config.complete("backbone", &registry()).unwrap();
        let settings = &config.settings;
        assert_eq!(settings["depth"].as_integer(), Some(4));
        assert_eq!(settings["norm"]["kind"].as_str(), Some("layer"));
        assert_eq!(settings["pattern"][0]["causal"].as_bool(), Some(true));
        assert_eq!(settings["pattern"][1]["heads"].as_integer(), Some(4));
        assert_eq!(settings["channels"][0]["kind"].as_str(), Some("mlp"));
        assert_eq!(settings["channels"][0]["activation"].as_str(), Some("gelu"));
        let again = settings.clone();
        config.complete("backbone", &registry()).unwrap();
        assert_eq!(config.settings, again);
    }

    #[test]
    fn errors_name_the_whole_path() {
        let heds = message("pattern = [{ kind = \"attention\", heds = 2 }]");
        assert!(heds.contains("unknown key `backbone.pattern[0].heds`"), "{heds}");
        assert!(heds.contains("did you mean `heads`?"), "{heds}");
        for (settings, path) in [
            (
                "pattern = [{ kind = \"attention\" }, { kind = \"attention\", heads = 0 }]",
                "backbone.pattern[1].heads",
            ),
            ("pattern = [{ kind = \"atention\" }]", "backbone.pattern[0].kind"),
            ("pattern = []", "backbone.pattern"),
            ("channels = [{ kind = \"mlp\", expansion = -1.0 }]", "backbone.channels[0].expansion"),
            ("channels = [{ kind = \"mlp\", activation = \"geluu\" }]", "backbone.channels[0].activation"),
            ("mixer_scales = [{}, { skip = inf }]", "backbone.mixer_scales[1].skip"),
            ("arrangement = \"prae\"", "backbone.arrangement"),
            ("arrangement = \"single\"\nchannel_scales = [{}]", "backbone.channel_scales"),
            ("arrangement = \"single\"\nfirst_mixer_norm = false", "backbone.first_mixer_norm"),
            ("norm_over = \"example\"\nnorm = { kind = \"batch\" }", "backbone.norm_over"),
            ("layer_scale = nan", "backbone.layer_scale"),
            ("norm_over = \"batch\"", "backbone.norm_over"),
            ("width = 0", "backbone.width"),
            ("depth = 2000", "backbone.depth"),
            ("norm = { epsilon = 0.0 }", "backbone.norm.epsilon"),
            ("dropout = 1.0", "backbone.dropout"),
            ("stochastic_depth = nan", "backbone.stochastic_depth"),
            ("norm = { kind = \"group\" }", "backbone.norm.kind"),
            ("closing_norm = { epsilon = 2.0 }", "backbone.closing_norm.epsilon"),
        ] {
            let message = message(settings);
            assert!(message.contains(&format!("`{path}`")), "{settings}: {message}");
        }
    }

    #[test]
    fn a_mixer_that_does_not_fit_the_width_is_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = registry();
        let build = Build::new(&registry, &device);
        let config = StackConfig { width: 10, ..StackConfig::default() };
        let message = config.build(&FeatureSpec::row(3, 10), &build).unwrap_err().to_string();
        assert!(message.contains("`pattern[0].heads`: 4 heads do not divide a width of 10"), "{message}");
        let message = config.build(&FeatureSpec::row(3, 8), &build).unwrap_err().to_string();
        assert!(message.contains("`width`: 10 but the stem makes tokens of 8"), "{message}");
    }

    #[test]
    fn channel_mixers_are_left_out_where_the_pattern_says_so() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = registry();
        let build = Build::new(&registry, &device);
        for (channels, expected) in [
            (vec![], [false, false, false]),
            (vec![Choice::of("none"), Choice::of("mlp")], [false, true, false]),
        ] {
            let config = StackConfig { width: 8, depth: 3, channels, ..StackConfig::default() };
            let stack = config.build(&FeatureSpec::row(3, 8), &build).unwrap();
            let found = [0, 1, 2].map(|index: usize| stack.blocks[index].channel.is_some());
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_registry_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        ansatz_conformance::registry(&registry(), &device).unwrap_or_else(|failure| panic!("{failure}"));
    }
}
