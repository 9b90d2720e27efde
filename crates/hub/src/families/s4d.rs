//! S4D, one layer: Gu et al. 2022, arXiv:2206.11893.

use std::collections::BTreeMap;

use ansatz_arch_ssm::{S4d, S4dConfig};
use ansatz_core::{Context, Mixer, Registry, Result};
use burn::tensor::{Device, Tensor};
use serde::Deserialize;

use crate::{Family, Folder, LayerSubject, Names, Options, Subject};

pub(super) const FAMILY: Family =
    Family { name: "s4d", matches: |folder| folder.class() == Some("s4d.S4D"), open };

/// The arguments of the published class.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct S4dOptions {
    d_model: usize,
    #[serde(default = "published_state")]
    d_state: usize,
    #[serde(default = "published_transposed")]
    transposed: bool,
}

fn published_state() -> usize {
    64
}

fn published_transposed() -> bool {
    true
}

fn open(folder: &Folder, _registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: S4dOptions = Options::read(folder, &[])?;
    let mut config = S4dConfig { state: options.d_state, ..S4dConfig::default() };
    // Numbers come in conjugate pairs; the published class rounds down.
    config.state -= config.state % 2;
    let layer = config.build(options.d_model, device)?;
    let mut names = Names::new();
    for (published, ours) in
        [("log_dt", "step"), ("log_A_real", "rate"), ("A_imag", "frequency"), ("C", "output")]
    {
        names.same(format!("kernel.{published}"), format!("kernel.{ours}"));
    }
    names.same("D", "skip");
    names.pointwise("output_linear.0.weight", "output.weight");
    names.same("output_linear.0.bias", "output.bias");
    let transposed = options.transposed;
    let run = move |layer: &S4d, x: Tensor<3>| {
        // Published tensors are [batch, width, length], unless the class is told otherwise.
        let turned = |x: Tensor<3>| if transposed { x.swap_dims(1, 2) } else { x };
        let output = turned(layer.forward(turned(x), &Context::default()));
        BTreeMap::from([("output".to_owned(), output)])
    };
    Ok(Box::new(LayerSubject::open(layer, &names, folder, device, run)?))
}
