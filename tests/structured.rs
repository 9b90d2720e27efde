//! Units and blocks cut out of every kind of network, and what cannot be cut.

use ansatz_compress::{Original, ShrinkConfig, Shrunk};
use ansatz_core::{Batch, HostOutputs, Model, ModelPlan, OpenData, Part, Places, Registry, Result};
use ansatz_run::{Experiment, Masks};

use crate::program::{Program, json};

/// A network on the embedded digits, its weights drawn.
struct Subject {
    registry: Registry,
    experiment: Experiment,
    data: Box<dyn OpenData>,
    model: Model,
    batch: Batch,
}

const PIXELS: &str = "stem = 'pixels'";
const PATCHES: &str = "stem = { patches = { size = 2 } }";

impl Subject {
    fn new(stem: &str, backbone: &str) -> Self {
        let registry = ansatz::builtin();
        let text = format!(
            "data = {{ kind = 'image', source = 'digits', {stem} }}\nbackbone = {{ {backbone} }}\ntask = {{ kind = 'classify' }}"
        );
        let experiment = Experiment::from_toml(&text, &[], &registry).expect("an experiment");
        let plan = experiment.plan(&registry).expect("a plan");
        let data = plan.data.open(&Places { data: std::env::temp_dir() }).expect("digits");
        let network = ModelPlan {
            registry: &registry,
            encoder: data.encoder(),
            backbone: &*plan.backbone,
            task: &*plan.task,
        };
        let model = Model::init(&network, 5, &ansatz_device::open("cpu").expect("cpu")).expect("a network");
        let batch = data.batch(Part::Train, &(0..16).collect::<Vec<_>>(), None).expect("a batch");
        Self { registry, experiment, data, model, batch }
    }

    fn shrink(&self, config: &str) -> Result<Shrunk> {
        let config =
            match ansatz_recipe::Recipe::from_toml(&format!("[[step]]\nkind = 'shrink'\n{config}"), &[])?
                .step
                .remove(0)
            {
                ansatz_recipe::Step::Shrink(config) => config,
                other => panic!("{other:?}"),
            };
        self.shrink_by(&config)
    }

    fn shrink_by(&self, config: &ShrinkConfig) -> Result<Shrunk> {
        config.shrink(Original {
            registry: &self.registry,
            encoder: self.data.encoder(),
            experiment: &self.experiment,
            model: &self.model,
            masks: &Masks::default(),
            batch: &self.batch,
            device: &ansatz_device::open("cpu").expect("cpu"),
        })
    }
}

fn flops(model: &Model) -> f64 {
    model.layers().iter().map(|layer| layer.flops as f64).sum()
}

const PYRAMID: &str = "kind = 'conv-pyramid', stages = [{ widths = [8, 12], pool = 2 }, { widths = [16] }]";
const RESNET: &str = "kind = 'resnet', stem = 8, stages = [8, 12], blocks = 2";
const ATTENTION: &str = "kind = 'stack', width = 16, depth = 3, pattern = [{ kind = 'attention', heads = 4 }], channels = [{ kind = 'mlp', expansion = 2.0 }]";
const GROUPED: &str = "kind = 'stack', width = 16, depth = 2, pattern = [{ kind = 'attention', heads = 4, key_value_heads = 2, head_width = 4 }], channels = [{ kind = 'gated-mlp', hidden = 12 }]";
const LSTM: &str =
    "kind = 'stack', width = 16, depth = 2, pattern = [{ kind = 'lstm', hidden = 12 }], channels = []";
const GRU: &str =
    "kind = 'stack', width = 16, depth = 2, pattern = [{ kind = 'gru', hidden = 12 }], channels = []";
const HYBRID: &str = "kind = 'stack', width = 16, depth = 4, pattern = [{ kind = 'attention', heads = 4 }, { kind = 'lstm', hidden = 12 }], channels = []";

#[test]
fn channels_neurons_heads_and_cells_are_cut() {
    for (stem, backbone, keys, keep, told) in [
        (PIXELS, PYRAMID, &["backbone.stages[0].widths[1]"][..], 0.5, "12 → 6"),
        (PIXELS, PYRAMID, &["backbone.stages[1].widths[0]"], 0.25, "16 → 4"),
        (PIXELS, RESNET, &["backbone.stem", "backbone.stages[0]"], 0.5, "8 → 4"),
        (PIXELS, RESNET, &["backbone.stages[1]"], 0.5, "12 → 6"),
        (PATCHES, ATTENTION, &["backbone.channels[0].hidden"], 0.5, "32 → 16"),
        (PATCHES, GROUPED, &["backbone.channels[0].hidden"], 0.5, "12 → 6"),
        (
            PATCHES,
            GROUPED,
            &["backbone.pattern[0].heads", "backbone.pattern[0].key_value_heads"],
            0.5,
            "4 → 2",
        ),
        (PATCHES, LSTM, &["backbone.pattern[0].hidden"], 0.5, "12 → 6"),
        (PATCHES, GRU, &["backbone.pattern[0].hidden"], 0.5, "12 → 6"),
    ] {
        let subject = Subject::new(stem, backbone);
        let with = keys[1..].iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", ");
        let config = format!("widths = [{{ key = '{}', keep = {keep}, with = [{with}] }}]", keys[0]);
        let shrunk = subject.shrink(&config).unwrap_or_else(|error| panic!("{backbone}, {config}: {error}"));
        assert_eq!(shrunk.told[0], format!("{}: {told}", keys[0]));
        assert!(flops(&shrunk.model) < flops(&subject.model), "{config}");
        // The config that comes out is that of the network, and it computes.
        let again = shrunk.experiment.render().expect("TOML");
        let again = Experiment::from_toml(&again, &[], &subject.registry).expect("what we write, we read");
        assert_eq!(again.backbone, shrunk.experiment.backbone);
        let device = ansatz_device::open("cpu").expect("cpu");
        let said = shrunk.model.forward(&subject.batch.inputs(&device)).expect("outputs");
        assert!(HostOutputs::read(said).expect("values").values.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn heads_that_share_the_width_get_a_size_of_their_own_first() {
    let subject = Subject::new(PATCHES, ATTENTION);
    let key = "widths = [{ key = 'backbone.pattern[0].heads', keep = 0.5 }]";
    let message = subject.shrink(key).err().expect("a refusal").to_string();
    assert!(message.contains("see `given`"), "{message}");
    let given = format!("{key}\ngiven = {{ \"backbone.pattern[0].head_width\" = 4 }}");
    assert_eq!(subject.shrink(&given).expect("fewer heads").told, ["backbone.pattern[0].heads: 4 → 2"]);
}

#[test]
fn blocks_are_left_out_one_by_one_or_as_the_pattern_repeats() {
    for (stem, backbone, key, drop, count) in [
        (PATCHES, ATTENTION, "backbone.depth", 2, 2),
        (PATCHES, HYBRID, "backbone.depth", 2, 1),
        (PIXELS, RESNET, "backbone.blocks", 1, 2),
    ] {
        let subject = Subject::new(stem, backbone);
        let shrunk = subject
            .shrink(&format!("blocks = [{{ key = '{key}', drop = {drop} }}]"))
            .unwrap_or_else(|error| panic!("{backbone}: {error}"));
        assert_eq!(shrunk.told.len(), count, "{:?}", shrunk.told);
        assert!(flops(&shrunk.model) < 0.8 * flops(&subject.model), "{backbone}");
    }
}

#[test]
fn what_something_else_depends_on_is_refused() {
    for (stem, backbone, config, problem) in [
        (PATCHES, ATTENTION, "widths = [{ key = 'backbone.width', keep = 0.5 }]", "interchangeable"),
        (PATCHES, LSTM, "widths = [{ key = 'backbone.width', keep = 0.5 }]", "a norm spans them"),
        (
            PATCHES,
            GROUPED,
            "widths = [{ key = 'backbone.pattern[0].head_width', keep = 0.5 }]",
            "a factor follows",
        ),
        (PATCHES, GROUPED, "widths = [{ key = 'backbone.pattern[0].heads', keep = 0.5 }]", "interchangeable"),
        (PIXELS, PYRAMID, "widths = [{ key = 'backbone.kernel', keep = 0.5 }]", "interchangeable"),
        (
            PIXELS,
            PYRAMID,
            "widths = [{ key = 'backbone.stages[0].pool', keep = 0.5 }]",
            "no weight is smaller",
        ),
        (PIXELS, RESNET, "widths = [{ key = 'backbone.stem', keep = 0.5 }]", "other weights"),
        (PIXELS, PYRAMID, "flops = 0.001", "with every width at its least"),
    ] {
        let message = Subject::new(stem, backbone).shrink(config).err().expect("a refusal").to_string();
        assert!(message.contains(problem), "{backbone}, {config}: {message}");
    }
}

#[test]
fn every_width_is_found_for_a_share_of_the_operations() {
    for (stem, backbone) in [(PIXELS, PYRAMID), (PATCHES, ATTENTION), (PATCHES, LSTM)] {
        let subject = Subject::new(stem, backbone);
        let shrunk = subject.shrink("flops = 0.6").unwrap_or_else(|error| panic!("{backbone}: {error}"));
        let share = flops(&shrunk.model) / flops(&subject.model);
        assert!(share <= 0.6 && share > 0.45, "{backbone}: {share} {:?}", shrunk.told);
    }
}

#[test]
fn a_smaller_run_is_trained_pruned_rounded_and_used_like_any_other() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=4"]);
    program.write(
        "recipe.toml",
        "[[step]]\nkind = 'prune'\npattern = { unstructured = { ratio = 0.5 } }\n\
         [[step]]\nkind = 'shrink'\nwidths = [{ key = 'backbone.channels[0].hidden', keep = 0.5 }]\nblocks = [{ key = 'backbone.depth', drop = 1 }]\n\
         [[step]]\nkind = 'fine-tune'\ntrain = { epochs = 1, keep = 'last' }\n\
         [[step]]\nkind = 'prune'\npattern = { n-of-m = { keep = 2, of = 4 } }\n\
         [[step]]\nkind = 'distill'\ntrain = { epochs = 1, keep = 'last' }\n\
         [[step]]\nkind = 'quantize'\n",
    );
    let said = program.succeed(&["compress", "run", "--recipe", "recipe.toml", "--out", "small", "--json"]);
    let said = json(&said);
    let parameters = |stage: usize| said["stages"][stage]["parameters"].as_u64().expect("a count");
    let non_zeros = |stage: usize| said["stages"][stage]["non_zeros"].as_u64().expect("a count");
    assert!(parameters(2) * 10 < parameters(1) * 6, "{said}");
    assert_eq!(parameters(6), parameters(2));
    // What was pruned before stays so through cutting and learning.
    assert!(non_zeros(3) <= non_zeros(2) && non_zeros(5) <= non_zeros(4), "{said}");
    program.succeed(&["data", "show", "digits", "--each", "1", "--out", "sheet.png"]);
    for folder in ["small", "small/steps/2"] {
        program.succeed(&["evaluate", folder]);
        program.succeed(&["predict", folder, "sheet.png"]);
        let layers = program.succeed(&["inspect", folder, "--json"]);
        assert!(!layers.contains("blocks.1."), "{layers}");
        assert!(
            !String::from_utf8(program.read(&format!("{folder}/layers.json")))
                .expect("text")
                .contains("blocks.1.")
        );
    }
}
