//! What holds for every join.

use ansatz_core::{Batch, Build, FeatureSpec, OpenData, Part, Stem};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, Tolerance};

use super::*;
use crate::OpenFused;
use crate::open::tests::{config, open, registry, rows};

const JOINS: [&str; 4] =
    ["'concat-features'", "'concat-tokens'", "{ cross-attention = { heads = 2 } }", "'gated'"];

fn data(join: &str) -> OpenFused {
    let folder = tempfile::tempdir().unwrap();
    open(&config(folder.path(), &rows(40), &format!("join = {join}"))).unwrap()
}

fn stem(data: &OpenFused, join: &str, width: Option<usize>, device: &Device) -> FusedStem {
    device.seed(5);
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &rows(40), &format!("join = {join}"));
    let registry = registry();
    let build = Build::new(&registry, device);
    let preparation = data.encoder().preparation().unwrap();
    let kept = preparation["modalities"].as_array().unwrap();
    let branches =
        config.models().unwrap().iter().zip(&config.modalities).zip(kept).map(|((model, modality), kept)| {
            let encoder = model.modality().unwrap().restore(kept).unwrap();
            Branch::new(modality, &*encoder, config.join.wanted_width(width), &build).unwrap()
        });
    FusedStem::new(branches.collect(), &config, width, device).unwrap()
}

/// Examples with both modalities, without the first, and without the second.
fn batch(data: &OpenFused) -> Batch {
    let all: Vec<usize> = (0..data.examples(Part::Train)).collect();
    let whole = data.batch(Part::Train, &all, None).unwrap();
    let present: Vec<f32> =
        whole.inputs.iter().find(|(name, _)| name == PRESENT).unwrap().1.iter::<f32>().collect();
    let place = |wanted: [f32; 2]| present.chunks(2).position(|row| row == wanted).expect("such an example");
    let chosen = [place([1.0, 1.0]), place([0.0, 1.0]), place([1.0, 0.0])];
    data.batch(Part::Train, &chosen, None).unwrap()
}

fn values(tensor: Tensor<3>) -> TensorData {
    tensor.into_data()
}

#[test]
fn joined_features_have_the_shape_they_say_and_all_parameters_are_counted() {
    let device = ansatz_device::open("cpu").unwrap();
    for join in JOINS {
        for width in [Some(8), None] {
            let data = data(join);
            let stem = stem(&data, join, width, &device);
            let features = stem.forward(&batch(&data).inputs(&device)).unwrap();
            let FeatureSpec { length, width: wide, .. } = stem.output();
            assert_eq!(features.tokens.dims(), [3, length, wide], "{join}");
            assert!(width.is_none_or(|width| width == wide));
            let counted: usize = stem.layers().iter().map(|layer| layer.parameters).sum();
            assert_eq!(counted, stem.num_params(), "{join}");
        }
    }
}

#[test]
fn an_example_is_the_same_alone_and_what_is_missing_is_not_looked_at() {
    let device = ansatz_device::open("cpu").unwrap();
    for join in JOINS {
        let data = data(join);
        let stem = stem(&data, join, Some(8), &device);
        let mut batch = batch(&data);
        let whole = stem.forward(&batch.inputs(&device)).unwrap();
        for example in 0..3 {
            let alone = stem.forward(&batch.rows(example..example + 1).inputs(&device)).unwrap();
            let own = whole.tokens.clone().narrow(0, example, 1);
            values(alone.tokens).assert_approx_eq::<f32>(&values(own), Tolerance::default());
        }
        // Other numbers where the record is missing, other words where the text is.
        for (name, data) in &mut batch.inputs {
            let (row, columns) = match name.as_str() {
                "record/numbers" => (2, 2),
                "words/tokens" => (1, 3),
                _ => continue,
            };
            if name == "record/numbers" {
                let mut values: Vec<f32> = data.iter::<f32>().collect();
                values[row * columns..][..columns].fill(9.0);
                *data = TensorData::new(values, [3, columns]);
            } else {
                let mut values: Vec<i64> = data.iter::<i64>().collect();
                values[row * columns..][..columns].fill(1);
                *data = TensorData::new(values, [3, columns]);
            }
        }
        let other = stem.forward(&batch.inputs(&device)).unwrap();
        match (whole.mask, other.mask) {
            (Some(mask), Some(same)) => {
                mask.clone().into_data().assert_eq(&same.into_data(), true);
                let hidden = mask.bool_not().unsqueeze_dim::<3>(2).expand(whole.tokens.dims());
                let seen = |tokens: Tensor<3>| values(tokens.mask_fill(hidden.clone(), 0.0));
                seen(other.tokens).assert_approx_eq::<f32>(&seen(whole.tokens), Tolerance::default());
            }
            _ => values(other.tokens).assert_approx_eq::<f32>(&values(whole.tokens), Tolerance::default()),
        }
    }
}

#[test]
fn a_modality_of_which_a_batch_has_no_inputs_is_missing() {
    let device = ansatz_device::open("cpu").unwrap();
    for join in JOINS {
        let data = data(join);
        let stem = stem(&data, join, Some(8), &device);
        let mut batch = batch(&data).rows(2..3);
        let whole = stem.forward(&batch.inputs(&device)).unwrap();
        batch.inputs.retain(|(name, _)| !name.starts_with("record/"));
        let found = stem.forward(&batch.inputs(&device)).unwrap();
        values(found.tokens).assert_approx_eq::<f32>(&values(whole.tokens), Tolerance::default());
        assert!(stem.forward(&Inputs::new(Vec::new(), &device)).is_err());
    }
}

#[test]
fn every_parameter_learns() {
    let device = ansatz_device::open("cpu").unwrap().autodiff();
    for join in JOINS {
        let data = data(join);
        let stem = stem(&data, join, Some(8), &device);
        let tokens = stem.forward(&batch(&data).inputs(&device)).unwrap().tokens;
        let weights = Tensor::<3>::random(tokens.dims(), burn::tensor::Distribution::Default, &device);
        let gradients = (tokens * weights).sum().backward();
        for branch in &stem.branches {
            let gradient = branch.missing.grad(&gradients).expect("a gradient").abs().sum();
            assert!(gradient.into_scalar::<f32>() > 0.0, "{join}");
        }
    }
}

/// The gated unit by its equations, value by value.
#[test]
fn gates_are_those_of_the_paper() {
    let device = ansatz_device::open("cpu").unwrap();
    let join = "'gated'";
    let data = data(join);
    let stem = stem(&data, join, Some(8), &device);
    let inputs = batch(&data).rows(0..1).inputs(&device);
    let Joined::Gated(gated) = &stem.joined else { unreachable!() };
    let one = || Tensor::<3>::ones([1, 1, 1], &device);
    let list = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
    let pooled: Vec<Vec<f32>> = stem
        .branches
        .iter()
        .map(|branch| list(branch.forward(&inputs, one()).unwrap().pooled(crate::ModalityPool::Mean)))
        .collect();
    let map = |values: &[f32], linear: &ansatz_ops::Linear, to: usize| {
        let [_, width] = linear.weight.dims();
        let weight = list(linear.weight.val());
        let bias: Vec<f32> = linear.bias.as_ref().unwrap().val().into_data().try_to_vec().unwrap();
        let sum: f32 = values.iter().enumerate().map(|(from, value)| value * weight[from * width + to]).sum();
        sum + bias[to]
    };
    let all = pooled.concat();
    let expected: Vec<f32> = (0..8)
        .map(|at| {
            let gate = 1.0 / (1.0 + (-map(&all, &gated.gates, at)).exp());
            let hidden = |index: usize| map(&pooled[index], &gated.projections[index], at).tanh();
            gate * hidden(0) + (1.0 - gate) * hidden(1)
        })
        .collect();
    let found = values(stem.forward(&inputs).unwrap().tokens);
    found.assert_approx_eq::<f32>(&TensorData::new(expected, [1, 1, 8]), Tolerance::default());
}
