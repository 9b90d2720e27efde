//! Weights as whole numbers with scales, as a file holds them.

use ansatz_ops::{Granularity, Quantized, dense, quantized};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Which values share a scale: [`Granularity`] as a file writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sharing {
    /// All.
    Tensor,
    /// Those with the same index along an axis.
    Axis(usize),
    /// As many consecutive inputs of each output.
    Group(usize),
}

impl From<Granularity> for Sharing {
    fn from(per: Granularity) -> Self {
        match per {
            Granularity::Tensor => Self::Tensor,
            Granularity::Axis(axis) => Self::Axis(axis),
            Granularity::Group(size) => Self::Group(size),
        }
    }
}

impl From<Sharing> for Granularity {
    fn from(sharing: Sharing) -> Self {
        match sharing {
            Sharing::Tensor => Self::Tensor,
            Sharing::Axis(axis) => Self::Axis(axis),
            Sharing::Group(size) => Self::Group(size),
        }
    }
}

/// A weight `scale · (code − zero point)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Codes {
    /// The weight's sizes.
    pub shape: Vec<usize>,
    /// From −127 to 127, row-major.
    pub codes: Vec<i8>,
    /// See [`Granularity`].
    pub scales: Vec<f32>,
    /// One per scale; none where the codes are symmetric about 0.
    pub zero_points: Vec<i8>,
    /// Which codes share a scale.
    pub sharing: Sharing,
}

impl Codes {
    /// What a quantized tensor holds, without zero points; none of a float tensor, nor of one whose blocks have no name of
    /// ours.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        let Quantized { values, scales, per } = Quantized::read(tensor)?;
        let shape = tensor.dims().to_vec();
        Some(Self { shape, codes: values, scales, zero_points: Vec::new(), sharing: per.into() })
    }

    /// The quantized tensor, on `device`; `shape` is that of the weight.
    pub(crate) fn tensor<const D: usize>(&self, shape: [usize; D], device: &Device) -> Tensor<D> {
        quantized(&self.codes, shape, &self.scales, self.sharing.into(), device)
    }

    /// Whether sizes, codes, scales and zero points belong together.
    pub(crate) fn is_whole(&self) -> bool {
        let count = self.shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
        let scales = match self.sharing {
            Sharing::Tensor => Some(1),
            Sharing::Axis(axis) => self.shape.get(axis).copied(),
            Sharing::Group(size) => groups(&self.shape, size),
        };
        let mut codes = self.codes.iter().chain(&self.zero_points);
        count == Some(self.codes.len())
            && scales == Some(self.scales.len())
            && (self.zero_points.is_empty() || self.zero_points.len() == self.scales.len())
            && codes.all(|code| *code != i8::MIN)
    }
}

/// How many groups of `size` inputs a weight has; none where they do not fit.
fn groups(shape: &[usize], size: usize) -> Option<usize> {
    let (outputs, inputs) = match *shape {
        [inputs, outputs] => (outputs, inputs),
        [outputs, inputs, ..] => (outputs, inputs),
        _ => return None,
    };
    let fits = (1..=255).contains(&size)
        && inputs.is_multiple_of(size)
        && shape[2..].iter().all(|side| *side <= 255);
    fits.then(|| outputs.saturating_mul(inputs / size))
}

/// The same module with float weights instead of quantized ones, without ranges of inputs and zero points: what trains, or is handed to
/// other programs.
pub fn dequantized<M: Module>(module: M) -> M {
    struct Dequantize;
    impl ModuleMapper for Dequantize {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(dense)
        }
    }
    module.map(&mut Dequantize).materialize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_ops::ZeroPoints;
    use burn::nn::LinearConfig;

    #[test]
    fn codes_go_into_a_tensor_and_come_back() {
        let device = ansatz_device::open("cpu").unwrap();
        for (sharing, scales) in [(Sharing::Tensor, 1), (Sharing::Axis(1), 3), (Sharing::Group(2), 6)] {
            let codes = Codes {
                shape: vec![4, 3],
                codes: (-6..6).collect(),
                scales: (1..=scales).map(|scale| scale as f32 * 0.5).collect(),
                zero_points: vec![],
                sharing,
            };
            assert!(codes.is_whole());
            assert_eq!(Codes::of(&codes.tensor([4, 3], &device)).unwrap(), codes);
        }
        assert!(Codes::of(&Tensor::<2>::ones([2, 2], &device)).is_none());
    }

    #[test]
    fn what_does_not_belong_together_is_told() {
        let whole = Codes {
            shape: vec![4, 3],
            codes: vec![1; 12],
            scales: vec![1.0; 3],
            zero_points: vec![2; 3],
            sharing: Sharing::Axis(1),
        };
        assert!(whole.is_whole());
        for spoiled in [
            Codes { shape: vec![4, 2], ..whole.clone() },
            Codes { shape: vec![usize::MAX, 3], ..whole.clone() },
            Codes { codes: vec![-128; 12], ..whole.clone() },
            Codes { zero_points: vec![-128; 3], ..whole.clone() },
            Codes { zero_points: vec![2; 2], ..whole.clone() },
            Codes { sharing: Sharing::Axis(2), ..whole.clone() },
            Codes { sharing: Sharing::Group(3), ..whole.clone() },
            Codes { sharing: Sharing::Group(0), ..whole.clone() },
            Codes { scales: vec![], zero_points: vec![], sharing: Sharing::Tensor, ..whole },
        ] {
            assert!(!spoiled.is_whole(), "{spoiled:?}");
        }
    }

    #[test]
    fn a_module_becomes_float_again_and_keeps_its_names() {
        let device = ansatz_device::open("cpu").unwrap();
        let mut layer = LinearConfig::new(4, 3).init(&device);
        let codes = Codes {
            shape: vec![4, 3],
            codes: (-6..6).collect(),
            scales: vec![0.5],
            zero_points: vec![3],
            sharing: Sharing::Tensor,
        };
        layer.weight = layer.weight.map(|_| codes.tensor([4, 3], &device));
        let points = (codes.zero_points, codes.scales, Granularity::Tensor);
        let layer = ZeroPoints::beside(layer, [("weight".to_owned(), points)].into());
        let weight = dequantized(layer).weight.base().into_data();
        let expected: Vec<f32> = (-6..6).map(|code| 0.5 * (code - 3) as f32).collect();
        assert_eq!(weight.try_to_vec::<f32>().unwrap(), expected);
    }
}
