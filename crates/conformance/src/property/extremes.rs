//! Zeros and large values give finite outputs and gradients.

use burn::tensor::Tensor;

use crate::case::Case;
use crate::compare::{finite, host};
use crate::network::Network;
use crate::parameters::{backward, gradients};
use crate::run::Subject;

const LARGE: f64 = 1e4;

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    let device = &subject.training_device;
    let normal = case.tokens(1, device);
    let inputs: [(&str, Tensor<3>); 5] = [
        ("zeros", normal.zeros_like()),
        ("1e4 everywhere", normal.ones_like() * LARGE),
        ("−1e4 everywhere", normal.ones_like() * -LARGE),
        ("±1e4", normal.clone().sign() * LARGE),
        ("normal values times 1e4", normal * LARGE),
    ];
    for (name, tokens) in inputs {
        let tokens = tokens.detach().require_grad();
        let outputs = subject.training.forward(case.features(tokens.clone())).tokens;
        finite(&format!("outputs of {name}"), &host(outputs.clone())?)?;
        let all = backward(outputs.sum(), &tokens);
        if let Some(gradient) = tokens.grad(&all) {
            finite(&format!("gradients of {name}"), &host(gradient)?)?;
        }
        for (path, values) in gradients(&subject.training, &all)? {
            finite(&format!("gradient of `{path}` at {name}"), &values)?;
        }
        let plain = subject.plain.forward(case.features(tokens.inner())).tokens;
        finite(&format!("outputs of {name} without gradients"), &host(plain)?)?;
    }
    Ok(Some(0.0))
}
