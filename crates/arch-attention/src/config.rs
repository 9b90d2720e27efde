//! The typed config of attention.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use ansatz_ops::{NormConfig, RotaryConfig};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Attention;
use crate::heads::Heads;

/// Multi-head softmax attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionConfig {
    /// Query heads, at least 1. They must divide the width unless `head_width` is given.
    pub heads: usize,
    /// Key and value heads, each shared by `heads / key_value_heads` query heads: 1 up to `heads`, a divisor
    /// of it. Left out: as many as `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_value_heads: Option<usize>,
    /// Values per head, at least 1. Left out: the width of the tokens divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_width: Option<usize>,
    /// Whether a token sees only itself and those before it, which gives attention a recurrent form.
    pub causal: bool,
    /// How far a token sees, itself included, at least 1: only tokens nearer than this, and where attention is not
    /// causal as many on the other side. The recurrent state then keeps one size. Left out: any distance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub window: Option<usize>,
    /// Whether queries, keys and values add a bias.
    pub bias: bool,
    /// Whether the output adds a bias. Left out: as `bias`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bias: Option<bool>,
    /// How queries and keys are turned by their position. Left out: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope: Option<RotaryConfig>,
    /// The norm of each head's query and key, before they are turned. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_key_norm: Option<NormConfig>,
    /// What the product of a query and a key is multiplied by; a number above 0. Left out: 1/√(head width).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Holds the scores between −cap and cap, by `cap · tanh(score / cap)`; above 0. Left out: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<f64>,
    /// What keys are multiplied by, before their norm; a number other than 0.
    pub key_scale: f64,
    /// Whether each head is multiplied by a sigmoid of the tokens, for which the query projection is twice as wide.
    pub gated: bool,
    /// Probability with which each attention weight is dropped while training, 0 up to but not including 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dropout: f64,
}

impl Default for AttentionConfig {
    fn default() -> Self {
        Self {
            heads: 4,
            key_value_heads: None,
            head_width: None,
            causal: false,
            window: None,
            bias: true,
            output_bias: None,
            rope: None,
            query_key_norm: None,
            scale: None,
            cap: None,
            key_scale: 1.0,
            gated: false,
            dropout: 0.0,
        }
    }
}

impl Component for AttentionConfig {
    const KIND: &'static str = "attention";
    const ABOUT: &'static str =
        "softmax attention: every token takes from every other as its key fits the query; causal on demand";
    const CITATION: &'static str = "Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762; grouped \
        keys and values: Ainslie et al., GQA, 2023, arXiv:2305.13245; rotary positions: Su et al., RoFormer, 2021, \
        arXiv:2104.09864; window: Beltagy et al., Longformer, 2020, arXiv:2004.05150; norm of queries and keys: Henry \
        et al. 2020, arXiv:2010.04245; gated: Qiu et al. 2025, arXiv:2505.06708";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.heads == 0 {
            return Err(ConfigError::value("heads", "0 heads", "at least 1"));
        }
        if let Some(shared) = self.key_value_heads
            && (shared == 0 || !self.heads.is_multiple_of(shared))
        {
            return Err(ConfigError::value(
                "key_value_heads",
                format!("{shared} key and value heads for {} query heads", self.heads),
                format!("a divisor of {}", self.heads),
            ));
        }
        if self.head_width == Some(0) {
            return Err(ConfigError::value("head_width", "heads of 0 values", "at least 1"));
        }
        if self.window == Some(0) {
            return Err(ConfigError::value(
                "window",
                "a window of 0 tokens",
                "at least 1: a token sees itself",
            ));
        }
        if let Some(Err((key, problem, expected))) = self.query_key_norm.map(|norm| norm.check()) {
            return Err(ConfigError::value(format!("query_key_norm.{key}"), problem, expected));
        }
        for (key, value) in [("scale", self.scale), ("cap", self.cap)] {
            if let Some(value) = value
                && !(value.is_finite() && value > 0.0)
            {
                return Err(ConfigError::value(key, value.to_string(), "a number above 0"));
            }
        }
        if !self.key_scale.is_finite() || self.key_scale == 0.0 {
            return Err(ConfigError::value("key_scale", self.key_scale.to_string(), "a number other than 0"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ConfigError::value(
                "dropout",
                format!("a probability of {}", self.dropout),
                "0 up to but not including 1",
            ));
        }
        Ok(())
    }
}

impl AttentionConfig {
    /// Builds attention for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or `width` cannot be divided among the heads.
    pub fn build(&self, width: usize, device: &Device) -> Result<Attention, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let head_width = match self.head_width {
            Some(head_width) => head_width,
            None if width > 0 && width.is_multiple_of(self.heads) => width / self.heads,
            None => {
                return Err(ConfigError::value(
                    "heads",
                    format!("{} heads do not divide a width of {width}", self.heads),
                    format!("a divisor of {width}, or `head_width`"),
                ));
            }
        };
        let key_value = self.key_value_heads.unwrap_or(self.heads);
        let heads = Heads { query: self.heads, key_value, width: head_width };
        let rotary = self.rope.map(|rope| rope.init(head_width)).transpose();
        let rotary = rotary.map_err(|(key, problem, expected)| {
            ConfigError::value(format!("rope.{key}"), problem, expected)
        })?;
        Ok(Attention::new(width, heads, rotary, self, device))
    }
}

impl MixerConfig for AttentionConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build.device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(config: AttentionConfig, width: usize) -> String {
        let device = ansatz_device::open("cpu").unwrap();
        config.build(width, &device).unwrap_err().to_string()
    }

    #[test]
    fn values_out_of_range_are_named() {
        let default = AttentionConfig::default();
        assert!(problem(AttentionConfig { heads: 0, ..default.clone() }, 8).contains("`heads`: 0 heads"));
        let shared = AttentionConfig { key_value_heads: Some(3), ..default.clone() };
        assert!(problem(shared, 8).contains("`key_value_heads`: 3 key and value heads for 4 query heads"));
        assert!(
            problem(AttentionConfig { head_width: Some(0), ..default.clone() }, 8).contains("`head_width`")
        );
        assert!(problem(AttentionConfig { dropout: 1.0, ..default.clone() }, 8).contains("`dropout`"));
        assert!(problem(AttentionConfig { dropout: f64::NAN, ..default.clone() }, 8).contains("`dropout`"));
        assert!(problem(AttentionConfig { window: Some(0), ..default.clone() }, 8).contains("`window`"));
        assert!(problem(AttentionConfig { cap: Some(0.0), ..default.clone() }, 8).contains("`cap`"));
        assert!(problem(AttentionConfig { scale: Some(f64::NAN), ..default.clone() }, 8).contains("`scale`"));
        assert!(problem(AttentionConfig { key_scale: 0.0, ..default.clone() }, 8).contains("`key_scale`"));
        let norm = AttentionConfig { query_key_norm: Some(NormConfig::rms(0.0)), ..default.clone() };
        assert!(problem(norm, 8).contains("`query_key_norm.epsilon`"));
        let rope =
            AttentionConfig { head_width: Some(3), rope: Some(RotaryConfig::default()), ..default.clone() };
        assert!(problem(rope, 8).contains("`rope.fraction`: 3 of a head's 3 values"));
        assert!(problem(default, 10).contains("4 heads do not divide a width of 10"));
    }

    #[test]
    fn a_head_width_frees_the_width_from_the_heads() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = AttentionConfig { head_width: Some(3), ..AttentionConfig::default() };
        assert!(config.build(10, &device).is_ok());
    }
}
