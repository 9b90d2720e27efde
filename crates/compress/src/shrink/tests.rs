use ansatz_core::{Batch, Encoder, Model, ModelPlan, Registry, Target};
use ansatz_run::{Experiment, Mask, Masks};
use burn::module::Module;
use burn::tensor::Device;

use super::tensors::Tensors;
use super::toy::{PointEncoder, batch, registry};
use super::*;

/// A network of the toy's with all that surrounds it.
struct Subject {
    registry: Registry,
    encoder: PointEncoder,
    experiment: Experiment,
    model: Model,
    masks: Masks,
    batch: Batch,
    device: Device,
}

impl Subject {
    fn new() -> Self {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = registry();
        let encoder = PointEncoder(Target::Classes { names: Vec::new() });
        let text = "data = { kind = 'points' }\nbackbone = { kind = 'branches' }\ntask = { kind = 'say' }";
        let experiment = Experiment::from_toml(text, &[], &registry).unwrap();
        let model = build(&experiment, &registry, &encoder, &device);
        Self { registry, encoder, experiment, model, masks: Masks::default(), batch: batch(), device }
    }

    fn shrink(&self, config: &str) -> Result<Shrunk> {
        let config: ShrinkConfig = toml::from_str(config).unwrap();
        config.shrink(Original {
            registry: &self.registry,
            encoder: &self.encoder,
            experiment: &self.experiment,
            model: &self.model,
            masks: &self.masks,
            batch: &self.batch,
            device: &self.device,
        })
    }

    fn refused(&self, config: &str) -> String {
        match self.shrink(config) {
            Ok(_) => panic!("{config} was not refused"),
            Err(error) => error.to_string(),
        }
    }

    fn said(&self, model: &Model) -> Vec<f32> {
        let outputs = model.forward(&self.batch.inputs(&self.device)).unwrap();
        outputs.into_data().try_to_vec().unwrap()
    }

    /// A number of the config of what was shrunk.
    fn number(&self, shrunk: &Shrunk, key: &str) -> usize {
        keys::number(&shrunk.experiment, key).unwrap().unwrap()
    }
}

fn build(experiment: &Experiment, registry: &Registry, encoder: &dyn Encoder, device: &Device) -> Model {
    let plan = experiment.plan(registry).unwrap();
    let plan = ModelPlan { registry, encoder, backbone: &*plan.backbone, task: &*plan.task };
    Model::init(&plan, 3, device).unwrap()
}

fn values(tensors: &Tensors, name: &str) -> Vec<f32> {
    let (_, data) = tensors.iter().find(|(found, _)| *found == name).unwrap();
    data.try_to_vec().unwrap()
}

fn assert_close(a: &[f32], b: &[f32]) {
    let largest = a.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    assert!(largest > 0.1, "nothing is said");
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}");
    }
}

/// What is cut from two halves side by side, worked out by hand.
#[test]
fn gated_units_go_from_both_halves_and_the_rest_is_the_masked_network() {
    let subject = Subject::new();
    let shrunk = subject.shrink("widths = [{ key = 'backbone.gated', keep = 0.5 }]").unwrap();
    assert_eq!(subject.number(&shrunk, "backbone.gated"), 3);
    assert_eq!(shrunk.told, ["backbone.gated: 6 → 3"]);
    let before = Tensors::read(&subject.model);
    let (gate, bias) = (values(&before, "backbone.gate.weight"), values(&before, "backbone.gate.bias"));
    let ungate = values(&before, "backbone.ungate.weight");
    // Unit u: columns u and 6 + u of `gate`, row u of `ungate`.
    let norm = |unit: usize| -> f32 {
        let column = |column: usize| (0..5).map(move |row| (row, column));
        let comes = column(unit).chain(column(6 + unit)).map(|(row, column)| gate[row * 12 + column].powi(2));
        let goes = ungate[unit * 5..(unit + 1) * 5].iter().map(|value| value.powi(2));
        comes.chain(goes).sum()
    };
    let mut units: Vec<usize> = (0..6).collect();
    units.sort_by(|a, b| norm(*b).total_cmp(&norm(*a)));
    let mut kept = units[..3].to_vec();
    kept.sort_unstable();
    let after = Tensors::read(&shrunk.model);
    let columns: Vec<usize> = kept.iter().copied().chain(kept.iter().map(|unit| 6 + unit)).collect();
    let expected: Vec<f32> = (0..5)
        .flat_map(|row| columns.iter().map(move |column| (row, *column)))
        .map(|(row, column)| gate[row * 12 + column])
        .collect();
    assert_eq!(values(&after, "backbone.gate.weight"), expected);
    assert_eq!(
        values(&after, "backbone.gate.bias"),
        columns.iter().map(|column| bias[*column]).collect::<Vec<_>>()
    );
    // The naive form: the whole network, in which the outputs of the other units are nothing.
    let silent: Vec<usize> = units[3..].to_vec();
    let mut masked = before.clone();
    masked.silence("backbone.ungate.weight", 0, &silent);
    let whole = build(&subject.experiment, &subject.registry, &subject.encoder, &subject.device);
    assert_close(&subject.said(&masked.fill(whole).unwrap()), &subject.said(&shrunk.model));
    assert!(shrunk.model.num_params() < subject.model.num_params());
}

#[test]
fn heads_go_whole() {
    let subject = Subject::new();
    let shrunk =
        subject.shrink("widths = [{ key = 'backbone.heads', keep = 0.5 }]\nimportance = 'l1'").unwrap();
    let (before, after) = (Tensors::read(&subject.model), Tensors::read(&shrunk.model));
    let (scale, kept) = (values(&before, "backbone.scale"), values(&after, "backbone.scale"));
    let heads: Vec<usize> =
        kept.iter().map(|kept| scale.iter().position(|scale| scale == kept).unwrap()).collect();
    assert_eq!(heads.len(), 2);
    let (join, joined) = (values(&before, "backbone.join.weight"), values(&after, "backbone.join.weight"));
    let rows: Vec<f32> = heads.iter().flat_map(|head| join[head * 10..(head + 1) * 10].to_vec()).collect();
    assert_eq!(joined, rows);
}

#[test]
fn a_number_that_the_config_leaves_out_is_found_and_statistics_and_masks_are_cut_along() {
    let mut subject = Subject::new();
    let kept: Vec<bool> = (0..40).map(|index| index % 3 != 0).collect();
    subject.masks.add("backbone.blocks.1.second.weight", Mask { shape: vec![8, 5], kept: kept.clone() });
    let shrunk = subject.shrink("widths = [{ key = 'backbone.hidden', keep = 0.5 }]").unwrap();
    assert_eq!(subject.number(&shrunk, "backbone.hidden"), 4);
    let after = Tensors::read(&shrunk.model);
    assert_eq!(after.shape("backbone.blocks.2.norm.running_var"), Some(&[4][..]));
    let mask = shrunk.masks.get("backbone.blocks.1.second.weight").unwrap();
    assert_eq!((&mask.shape[..], mask.kept.len()), (&[4, 5][..], 20));
    let before = values(&Tensors::read(&subject.model), "backbone.blocks.1.second.weight");
    let weight = values(&after, "backbone.blocks.1.second.weight");
    for (row, mask) in weight.chunks(5).zip(mask.kept.chunks(5)) {
        let unit = before.chunks(5).position(|other| other == row).unwrap();
        assert_eq!(mask, &kept[unit * 5..(unit + 1) * 5]);
    }
}

#[test]
fn what_is_no_width_is_refused_with_its_reason() {
    let subject = Subject::new();
    let width = |key: &str| format!("widths = [{{ key = '{key}', keep = 0.5 }}]");
    for (config, problem) in [
        (width("backbone.gatd"), "did you mean `gated`"),
        (width("backbone.kind"), "is not a number of units"),
        (width("train.epochs"), "no number there makes the network"),
        (width("backbone.outputs"), "not interchangeable"),
        (width("backbone.normed"), "a norm spans them"),
        (width("backbone.depth"), "other weights, such as `backbone.blocks.2."),
        ("widths = [{ key = 'backbone.heads', keep = 0.9 }]".to_owned(), "all 4 units"),
        ("flops = 0.01".to_owned(), "with every width at its least"),
        ("given = { 'backbone.hidden' = 7 }\nflops = 0.5".to_owned(), "7 makes another network"),
        ("blocks = [{ key = 'backbone.depth', drop = 3 }]".to_owned(), "of 3 blocks 3 cannot"),
        ("blocks = [{ key = 'backbone.gated', drop = 1 }]".to_owned(), "no 1 of its blocks"),
    ] {
        let message = subject.refused(&config);
        assert!(message.contains(problem), "{config}: {message}");
    }
}

#[test]
fn operations_fall_below_their_share() {
    let subject = Subject::new();
    for multiple in [1, 2] {
        let shrunk = subject.shrink(&format!("flops = 0.7\nmultiple = {multiple}")).unwrap();
        let share = flops(&shrunk.model) as f64 / flops(&subject.model) as f64;
        assert!(share <= 0.7 && share > 0.55, "{share}");
        assert_eq!(subject.number(&shrunk, "backbone.gated") % multiple, 0);
        assert_eq!(subject.number(&shrunk, "backbone.outputs"), 3);
        assert_eq!(subject.number(&shrunk, "backbone.normed"), 6);
    }
}

#[test]
fn the_block_that_does_least_is_left_out() {
    let mut subject = Subject::new();
    let mask = |kept| Mask { shape: vec![1], kept: vec![kept] };
    subject.masks.add("backbone.blocks.1.first.weight", mask(true));
    subject.masks.add("backbone.blocks.2.first.weight", mask(false));
    let shrunk = subject.shrink("blocks = [{ key = 'backbone.depth', drop = 1 }]").unwrap();
    let (before, after) = (Tensors::read(&subject.model), Tensors::read(&shrunk.model));
    assert_eq!(subject.number(&shrunk, "backbone.depth"), 2);
    let left_out: usize =
        shrunk.told[0].trim_start_matches("backbone.blocks: without block ").parse().unwrap();
    let others: Vec<usize> = (0..3).filter(|block| *block != left_out).collect();
    for (number, block) in others.iter().enumerate() {
        let name = |number: usize| format!("backbone.blocks.{number}.first.weight");
        assert_eq!(values(&after, &name(number)), values(&before, &name(*block)));
    }
    let mut silent = before.clone();
    silent.silence_all(|name| name.starts_with(&format!("backbone.blocks.{left_out}.second")));
    let whole = build(&subject.experiment, &subject.registry, &subject.encoder, &subject.device);
    let masked = silent.fill(whole).unwrap();
    assert_close(&subject.said(&masked), &subject.said(&shrunk.model));
    // It is the one whose silence costs least: the loss is how large the answer is.
    let cost = |block: usize| {
        let mut silent = before.clone();
        silent.silence_all(|name| name.starts_with(&format!("backbone.blocks.{block}.")));
        let whole = build(&subject.experiment, &subject.registry, &subject.encoder, &subject.device);
        let said = subject.said(&silent.fill(whole).unwrap());
        said.iter().map(|value| value.powi(2)).sum::<f32>()
    };
    assert!(others.iter().all(|block| cost(*block) >= cost(left_out)));
    // What was pruned of the blocks that stay goes with them.
    let expected: Vec<(usize, bool)> = others
        .iter()
        .enumerate()
        .filter(|(_, block)| **block > 0)
        .map(|(number, block)| (number, *block == 1))
        .collect();
    let found: Vec<(usize, bool)> = (0..2)
        .filter_map(|number| {
            Some((number, shrunk.masks.get(&format!("backbone.blocks.{number}.first.weight"))?.kept[0]))
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn whole_numbers_cannot_be_cut() {
    let subject = Subject::new();
    let model = crate::QuantizeConfig::default().quantize(subject.model.clone()).unwrap();
    let subject = Subject { model, ..subject };
    assert!(subject.refused("flops = 0.7").contains("quantized already"));
}
