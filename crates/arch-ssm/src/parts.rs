//! What the mixers here are made of.

use ansatz_core::ConfigError;
use ansatz_ops::Linear;
use burn::module::Param;
use burn::nn::Initializer;
use burn::tensor::{Bool, Device, Tensor};

/// The time steps that a new layer begins with lie between these (Gu and Dao 2023, section 3.6).
pub(crate) const STEPS: [f64; 2] = [0.001, 0.1];

/// A linear map as PyTorch draws it: uniform up to 1/√input either way; the bias begins as 0.
pub(crate) fn linear(input: usize, output: usize, bias: bool, device: &Device) -> Linear {
    let bound = (input as f64).sqrt().recip();
    let weight = Initializer::Uniform { min: -bound, max: bound };
    Linear {
        weight: weight.init([input, output], device),
        bias: bias.then(|| Initializer::Zeros.init([output], device)),
    }
}

/// What gives time steps between 0.001 and 0.1, drawn on a logarithmic scale, behind a softplus: with the step
/// Δ, `log(exp(Δ) − 1) = Δ + log(1 − exp(−Δ))`.
pub(crate) fn step_bias(count: usize, device: &Device) -> Param<Tensor<1>> {
    let [min, max] = STEPS.map(f64::ln);
    let step = Initializer::Uniform { min, max }.init::<1, _>([count], device).val().exp();
    parameter(step.clone() + (step.neg().exp().neg() + 1.0).log())
}

/// A parameter that begins as `values`, however they were computed.
pub(crate) fn parameter<const D: usize>(values: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(values.detach())
}

/// `log 1, log 2, …, log count`: the decay rates of a new layer.
pub(crate) fn logarithms(count: usize, device: &Device) -> Tensor<1> {
    Tensor::arange(1..count as i64 + 1, device).float().log()
}

/// Ones that are learned.
pub(crate) fn ones(count: usize, device: &Device) -> Param<Tensor<1>> {
    Initializer::Ones.init([count], device)
}

/// The tokens with zeros in the place of padding.
pub(crate) fn real(tokens: Tensor<3>, mask: Option<&Tensor<2, Bool>>) -> Tensor<3> {
    match mask {
        Some(mask) => {
            let padding = mask.clone().bool_not().unsqueeze_dim::<3>(2).expand(tokens.dims());
            tokens.mask_fill(padding, 0.0)
        }
        None => tokens,
    }
}

/// Checks that a number is at least 1 and at most `largest`.
pub(crate) fn check_size(key: &str, value: usize, largest: usize) -> Result<(), ConfigError> {
    if (1..=largest).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::value(key, value.to_string(), format!("1 up to {largest}")))
}

/// Checks what a norm adds to a mean square.
pub(crate) fn check_epsilon(epsilon: f64) -> Result<(), ConfigError> {
    if epsilon > 0.0 && epsilon <= 1.0 {
        return Ok(());
    }
    Err(ConfigError::value("epsilon", epsilon.to_string(), "above 0 up to 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_steps_lie_in_their_range() {
        let device = ansatz_device::open("cpu").unwrap();
        let steps = burn::tensor::activation::softplus(step_bias(100, &device).val(), 1.0);
        let steps: Vec<f32> = steps.into_data().try_to_vec().unwrap();
        assert!(steps.iter().all(|step| (0.00099..0.101).contains(step)), "{steps:?}");
        assert!(steps.iter().any(|step| *step < 0.01) && steps.iter().any(|step| *step > 0.01));
    }
}
