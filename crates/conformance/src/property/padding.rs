//! Padding changes nothing for real tokens.

use ansatz_core::Features;
use burn::tensor::Tensor;
use rand::RngExt;

use crate::case::{Case, mask};
use crate::compare::{close, finite, host, magnitude};
use crate::network::Network;
use crate::parameters::{backward, gradients};
use crate::run::Subject;

/// What stands in a padded token must not matter, so it may be large.
const LARGE: f64 = 30.0;

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    let applies = case.input.grid.is_none() && subject.plain.output(&case.input).length == case.input.length;
    if !applies {
        return Ok(None);
    }
    Ok(Some(behind(subject, case)?.max(anywhere(subject, case)?)))
}

/// Shorter examples padded behind are as if they stood alone.
fn behind<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<f64, String> {
    let length = case.input.length;
    let lengths = [length, length.div_ceil(2), 1];
    let case = case.with_batch(lengths.len());
    let rows: Vec<Vec<bool>> =
        lengths.iter().map(|real| (0..length).map(|at| at < *real).collect()).collect();
    let tokens = case.tokens(1, &subject.device);
    let mut features = case.features(tokens.clone());
    features.mask = Some(mask(&rows, &subject.device));
    let padded = subject.plain.forward(features).tokens;
    let mut worst = 0.0f64;
    for (row, real) in lengths.into_iter().enumerate() {
        let alone = tokens.clone().narrow(0, row, 1).narrow(1, 0, real);
        let alone = host(subject.plain.forward(Features::row(alone)).tokens)?;
        let found = host(padded.clone().narrow(0, row, 1).narrow(1, 0, real))?;
        let what = format!("outputs of {real} real tokens with {} of padding behind them", length - real);
        worst = worst.max(close(&what, &found, &alone, magnitude(&alone))?);
    }
    Ok(worst)
}

/// What stands in padded tokens, wherever they are, changes nothing; not even where all are padded.
fn anywhere<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<f64, String> {
    let length = case.input.length;
    let case = case.with_batch(3);
    let mut random = case.random(4);
    let mut rows: Vec<Vec<bool>> =
        (0..2).map(|_| (0..length).map(|_| random.random::<bool>()).collect()).collect();
    let kept = random.random_range(0..length);
    rows[0][kept] = true;
    rows.push(vec![false; length]);

    let device = &subject.training_device;
    let real = mask(&rows, device);
    let hidden = real.clone().bool_not().unsqueeze_dim::<3>(2).expand([3, length, case.input.width]);
    let tokens = case.tokens(1, device);
    let other = tokens.clone().mask_where(hidden.clone(), case.tokens(2, device) * LARGE).require_grad();
    let run = |tokens: Tensor<3>| {
        subject.training.forward(Features { mask: Some(real.clone()), ..Features::row(tokens) }).tokens
    };
    let [_, _, out] = run(tokens.clone()).dims();
    let hidden = real.clone().bool_not().unsqueeze_dim::<3>(2).expand([3, length, out]);
    let only_real = |outputs: Tensor<3>| outputs.mask_fill(hidden.clone(), 0.0);
    let before = host(only_real(run(tokens)))?;
    let outputs = run(other.clone());
    finite("outputs where whole examples are padding", &host(outputs.clone())?)?;
    let after = only_real(outputs);
    let deviation = close(
        "outputs of real tokens, after padded ones were changed",
        &host(after.clone())?,
        &before,
        magnitude(&before),
    )?;
    let all = backward(after.sum(), &other);
    if let Some(gradient) = other.grad(&all) {
        finite("gradients of the tokens where whole examples are padding", &host(gradient)?)?;
    }
    for (path, values) in gradients(&subject.training, &all)? {
        finite(&format!("gradient of `{path}` where whole examples are padding"), &values)?;
    }
    Ok(deviation)
}
