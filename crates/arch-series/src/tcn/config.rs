//! The typed config of the temporal convolutional network.

use ansatz_core::{
    BackboneConfig, BoxedBackbone, Build, Component, ConfigError, FeatureSpec, Registry, Result,
};
use ansatz_ops::{Activation, LinearConfig};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Tcn, TcnBlock};

/// Residual blocks of convolutions along time that reach further with every block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TcnConfig {
    /// Values per token behind each block, at least one block.
    pub widths: Vec<usize>,
    /// Steps that a convolution sees, at least 1.
    #[schemars(range(min = 1))]
    pub kernel: usize,
    /// Steps between those that a convolution sees, for each block; 1, 2, 4, … when empty.
    pub dilations: Vec<usize>,
    /// Whether a token sees only itself and those before it, which gives the network a recurrent form.
    pub causal: bool,
    /// What keeps the scale of a convolution.
    pub norm: ConvolutionNorm,
    /// The function behind each convolution and each block.
    pub activation: Activation,
    /// Whether the first convolution of a block is gated by a second one, in place of the function.
    pub gated: bool,
    /// Whether what each block adds is added to the output too.
    pub skips: bool,
    /// Width of a linear map behind the last block. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<usize>,
    /// A function at the very end. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_activation: Option<Activation>,
    /// Probability with which each value behind a convolution is dropped while training, 0 up to but not
    /// including 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dropout: f64,
}

/// What keeps the scale of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConvolutionNorm {
    /// Its weights: `w = g v / |v|` for each output (Salimans and Kingma 2016, arXiv:1602.07868, equation 2).
    #[default]
    Weight,
    /// Its outputs, over all tokens of a batch (Ioffe and Szegedy 2015).
    Batch,
    /// Its outputs, each token for itself (Ba et al. 2016).
    Layer,
    /// Nothing.
    None,
}

impl Default for TcnConfig {
    fn default() -> Self {
        Self {
            widths: vec![32; 4],
            kernel: 3,
            dilations: Vec::new(),
            causal: true,
            norm: ConvolutionNorm::default(),
            activation: Activation::Relu,
            gated: false,
            skips: false,
            output: None,
            output_activation: None,
            dropout: 0.0,
        }
    }
}

impl Component for TcnConfig {
    const KIND: &'static str = "tcn";
    const ABOUT: &'static str =
        "residual blocks of convolutions along time that reach twice as far with every block";
    const CITATION: &'static str = "Bai et al., An Empirical Evaluation of Generic Convolutional and Recurrent Networks \
        for Sequence Modeling, 2018, arXiv:1803.01271";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.widths.is_empty() || self.widths.contains(&0) {
            let problem = format!("{:?} is not a list of widths", self.widths);
            return Err(ConfigError::value("widths", problem, "numbers above 0, at least one"));
        }
        if self.kernel == 0 {
            return Err(ConfigError::value("kernel", "0 steps", "at least 1"));
        }
        if !self.dilations.is_empty()
            && (self.dilations.len() != self.widths.len() || self.dilations.contains(&0))
        {
            let problem = format!("{:?} for {} blocks", self.dilations, self.widths.len());
            return Err(ConfigError::value("dilations", problem, "a number above 0 for each block, or none"));
        }
        if self.dilations.is_empty() && self.widths.len() > 32 {
            let problem = format!("{} blocks, each of which reaches twice as far", self.widths.len());
            return Err(ConfigError::value("widths", problem, "at most 32, or `dilations`"));
        }
        if self.output == Some(0) {
            return Err(ConfigError::value("output", "a width of 0", "at least 1"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("a probability of {}", self.dropout);
            return Err(ConfigError::value("dropout", problem, "0 up to but not including 1"));
        }
        Ok(())
    }
}

impl TcnConfig {
    /// Steps between those that the convolutions of block `index` see.
    fn dilation(&self, index: usize) -> usize {
        self.dilations.get(index).copied().unwrap_or(1 << index.min(usize::BITS as usize - 2))
    }

    /// Builds the network for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, width: usize, device: &Device) -> Result<Tcn, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let last = self.widths[self.widths.len() - 1];
        let inputs = std::iter::once(&width).chain(&self.widths);
        let blocks = inputs.zip(&self.widths).enumerate().map(|(index, (&input, &output))| {
            TcnBlock::new([input, output], self.dilation(index), self, device)
        });
        let skip = |&width: &usize| {
            (self.skips && width != last).then(|| LinearConfig::new(width, last).init(device))
        };
        Ok(Tcn {
            blocks: blocks.collect(),
            skips: self.widths.iter().map(skip).collect(),
            output: self.output.map(|output| LinearConfig::new(last, output).init(device)),
            skipping: self.skips,
            causal: self.causal,
            activation: self.activation,
            output_activation: self.output_activation,
        })
    }
}

impl BackboneConfig for TcnConfig {
    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        Ok(BoxedBackbone::new(self.build(input.width, build.device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let default = TcnConfig::default();
        for (config, path) in [
            (TcnConfig { widths: Vec::new(), ..default.clone() }, "widths"),
            (TcnConfig { widths: vec![3, 0], ..default.clone() }, "widths"),
            (TcnConfig { widths: vec![1; 40], ..default.clone() }, "widths"),
            (TcnConfig { kernel: 0, ..default.clone() }, "kernel"),
            (TcnConfig { dilations: vec![1], ..default.clone() }, "dilations"),
            (TcnConfig { dilations: vec![1, 2, 0, 1], ..default.clone() }, "dilations"),
            (TcnConfig { output: Some(0), ..default.clone() }, "output"),
            (TcnConfig { dropout: 1.0, ..default }, "dropout"),
        ] {
            let said = config.clone().complete(&Registry::default()).unwrap_err().to_string();
            assert!(said.contains(&format!("`{path}`")), "{said}");
        }
    }
}
