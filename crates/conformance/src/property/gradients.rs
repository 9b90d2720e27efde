//! Gradients are those of finite differences.
//!
//! For a random direction d of one tensor x, the derivative ⟨∇L(x), d⟩ must equal
//! (L(x + h d) − L(x − h d)) / 2h. The difference has two errors: that of the formula, about h² L‴, and that
//! of rounding, about ε S / h, where S is the sum of the magnitudes that L adds up. In float64
//! (ε = 2.2e-16) h = 1e-5 leaves both far below 1e-6. In float32 (ε = 1.2e-7) no h does: where rounding is
//! small, ±h holds the kinks of many rectifiers. A device without float64 is therefore not checked this way.
//! Where a function has a kink even inside a small ±h, the formula is wrong though the gradient is right; so
//! smaller h are tried before anything is called an error.

use burn::tensor::{DType, Tensor};
use rand::seq::index::sample;

use crate::case::{Case, mask, normal};
use crate::compare::{finite, host};
use crate::float64::computes_float64;
use crate::network::Network;
use crate::parameters::{backward, cast, gradients, shift};
use crate::run::Subject;

/// Parameters that are checked one by one; of more, as many are drawn.
const PARAMETERS: usize = 32;

/// Steps h, the first first.
const STEPS: [f64; 4] = [1e-5, 1e-6, 1e-7, 1e-8];
/// Allowed share of the derivative.
const SHARE: f64 = 1e-5;
/// Rounding errors of the loss, in units of ε S: a value passes some hundred roundings on its way.
const ROUNDINGS: f64 = 256.0;

/// A loss with the sum of the magnitudes that it adds up.
struct Loss {
    value: f64,
    magnitude: f64,
}

struct Check<'a> {
    case: &'a Case,
    masked: bool,
    device: &'a burn::tensor::Device,
}

impl Check<'_> {
    /// Outputs times fixed random weights, elementwise.
    fn terms<N: Network>(&self, network: &N, tokens: Tensor<3>) -> Tensor<3> {
        let mut features = self.case.features(tokens);
        if self.masked {
            let length = self.case.input.length;
            let row = |at: usize| (0..length).map(|token| token + at % 2 < length).collect();
            features.mask = Some(mask(&(0..self.case.batch).map(row).collect::<Vec<_>>(), self.device));
        }
        let outputs = network.forward(features).tokens;
        let [batch, length, width] = outputs.dims();
        let weights = normal(&mut self.case.random(5), batch * length * width);
        let weights = burn::tensor::TensorData::new(weights, [batch, length, width]);
        outputs * Tensor::from_data(weights, (self.device, DType::F64))
    }

    fn loss<N: Network>(&self, network: &N, tokens: Tensor<3>) -> Result<Loss, String> {
        let terms = host(self.terms(network, tokens))?;
        finite("outputs", &terms)?;
        Ok(Loss { value: terms.iter().sum(), magnitude: terms.iter().map(|term| term.abs()).sum() })
    }

    /// Compares the derivative `analytic` with differences of `at`, the loss a step away.
    fn compare(
        &self,
        what: &str,
        analytic: f64,
        at: impl Fn(f64) -> Result<Loss, String>,
    ) -> Result<f64, String> {
        let mut best = f64::INFINITY;
        let mut nearest = f64::NAN;
        for step in STEPS {
            let (ahead, behind) = (at(step)?, at(-step)?);
            let numeric = (ahead.value - behind.value) / (2.0 * step);
            let rounding = ROUNDINGS * f64::EPSILON * (ahead.magnitude + behind.magnitude) / (2.0 * step);
            let allowed = SHARE * analytic.abs().max(numeric.abs()) + rounding;
            let deviation = (numeric - analytic).abs() / allowed.max(f64::MIN_POSITIVE);
            if deviation < best {
                (best, nearest) = (deviation, numeric);
            }
            if best <= 1.0 {
                return Ok(best);
            }
        }
        Err(format!(
            "the derivative along {what} is {analytic:e} by the gradient and {nearest:e} by finite differences, \
             {best:.1} times what is allowed"
        ))
    }
}

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    if !computes_float64(&subject.device) {
        return Ok(None);
    }
    let network = cast(subject.copy(case)?, DType::F64);
    let masks: &[bool] = if case.input.grid.is_none() { &[false, true] } else { &[false] };
    let mut worst = 0.0f64;
    for &masked in masks {
        let check = Check { case, masked, device: &subject.training_device };
        worst = worst.max(differences(&check, &network)?);
    }
    Ok(Some(worst))
}

fn differences<N: Network>(check: &Check<'_>, network: &N) -> Result<f64, String> {
    let tokens = || check.case.tokens_of(DType::F64, 1, check.device);
    let along = |gradient: &[f64], direction: &[f64]| -> f64 {
        gradient.iter().zip(direction).map(|(slope, step)| slope * step).sum()
    };
    let leaf = tokens().require_grad();
    let all = backward(check.terms(network, leaf.clone()).sum(), &leaf);
    let slopes = leaf.grad(&all).map_or(Ok(vec![0.0; leaf.shape().num_elements()]), host)?;
    let direction = check.case.tokens_of(DType::F64, 6, check.device);
    let analytic = along(&slopes, &host(direction.clone())?);
    let mut worst = check
        .compare("the tokens", analytic, |step| check.loss(network, tokens() + direction.clone() * step))?;

    let parameters = gradients(network, &all)?;
    let mut random = check.case.random(7);
    let chosen = sample(&mut random, parameters.len(), parameters.len().min(PARAMETERS));
    for index in chosen {
        let (path, slopes) = &parameters[index];
        let direction = normal(&mut random, slopes.len());
        let deviation = check.compare(&format!("`{path}`"), along(slopes, &direction), |step| {
            check.loss(&shift(network.clone(), index, &direction, step), tokens())
        })?;
        worst = worst.max(deviation);
    }
    Ok(worst)
}
