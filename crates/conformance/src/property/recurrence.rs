//! The recurrent form has the outputs and gradients of the parallel one.

use ansatz_core::{Context, Recurrent};
use burn::tensor::{Device, Tensor};

use crate::case::{Case, split};
use crate::compare::{close, host, magnitude};
use crate::network::Network;
use crate::parameters::{Named, backward, gradients};
use crate::run::Subject;

/// Random splits that are tried besides token by token.
const SPLITS: usize = 3;

/// All tokens through the recurrent form, in parts of these lengths.
pub(crate) fn steps(form: &dyn Recurrent, tokens: Tensor<3>, parts: &[usize], device: &Device) -> Tensor<3> {
    let [batch, _, _] = tokens.dims();
    let mut state = form.state(batch, device);
    let mut first = 0;
    let outputs = parts.iter().map(|&part| {
        let next = tokens.clone().narrow(1, first, part);
        first += part;
        form.step(next, &mut state, &Context::default())
    });
    Tensor::cat(outputs.collect(), 1)
}

/// Outputs and the gradients of a weighted sum of them.
struct Outcome {
    outputs: Vec<f64>,
    tokens: Vec<f64>,
    parameters: Vec<Named>,
}

fn outcome<N: Network>(
    subject: &Subject<'_, N>,
    case: &Case,
    form: impl Fn(Tensor<3>) -> Tensor<3>,
) -> Result<Outcome, String> {
    let device = &subject.training_device;
    let tokens = case.tokens(1, device).require_grad();
    let outputs = form(tokens.clone());
    let output = Case { input: subject.training.output(&case.input), ..*case };
    let loss = (outputs.clone() * output.tokens(2, device)).sum();
    let all = backward(loss, &tokens);
    Ok(Outcome {
        outputs: host(outputs)?,
        tokens: tokens.grad(&all).map_or(Ok(Vec::new()), host)?,
        parameters: gradients(&subject.training, &all)?,
    })
}

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    let (Some(form), Some(plain)) = (subject.training.recurrent(), subject.plain.recurrent()) else {
        return Ok(None);
    };
    let parallel = outcome(subject, case, |tokens| subject.training.forward(case.features(tokens)).tokens)?;
    // One scale for the gradients of all parameters: one that is zero by symmetry has only rounding errors.
    let scale = parallel.parameters.iter().map(|(_, values)| magnitude(values)).fold(0.0, f64::max);
    let mut random = case.random(3);
    let mut splits = vec![vec![1; case.input.length], vec![case.input.length]];
    splits.extend((0..SPLITS).map(|_| split(&mut random, case.input.length)));
    let mut worst = 0.0f64;
    for parts in splits {
        let found = outcome(subject, case, |tokens| steps(form, tokens, &parts, &subject.training_device))?;
        let name = |what: &str| format!("{what} in steps of {parts:?}");
        let mut compare = |what: &str, found: &[f64], expected: &[f64], scale: f64| {
            close(&name(what), found, expected, scale).map(|deviation| worst = worst.max(deviation))
        };
        compare("outputs", &found.outputs, &parallel.outputs, magnitude(&parallel.outputs))?;
        compare("gradients of the tokens", &found.tokens, &parallel.tokens, magnitude(&parallel.tokens))?;
        for ((path, found), (_, expected)) in found.parameters.iter().zip(&parallel.parameters) {
            compare(&format!("gradient of `{path}`"), found, expected, scale)?;
        }
        // Without gradients another form may be computed.
        let used = host(steps(plain, case.tokens(1, &subject.device), &parts, &subject.device))?;
        compare("outputs without gradients", &used, &parallel.outputs, magnitude(&parallel.outputs))?;
    }
    let used = host(subject.plain.forward(case.features(case.tokens(1, &subject.device))).tokens)?;
    let what = "outputs of the parallel form without gradients";
    worst = worst.max(close(what, &used, &parallel.outputs, magnitude(&parallel.outputs))?);
    Ok(Some(worst))
}
