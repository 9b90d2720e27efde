//! Which network fits what is to be done, and how long it is trained: minutes on two cores.

use ansatz_core::Purpose;

/// Seconds of training that are aimed at.
const BUDGET: f64 = 180.0;

/// The sections `backbone`, `task` and `train` of a config.
pub(super) fn sections(purpose: Purpose, examples: usize) -> String {
    match purpose {
        Purpose::ClassifyPictures { size: [height, width] } => {
            // As fast as it was measured on 28×28 pixels; the work grows with the pixels.
            let rate = 1500.0 * 784.0 / (height * width) as f64;
            let batch = if examples < 2000 { 32 } else { 128 };
            let (epochs, time) = plan(rate, examples, 8..=60);
            format!(
                r#"[backbone]
# Convolutions, with the maximum of 2×2 pixels behind each stage but the last. Any mixer reads pictures too:
# kind = "stack", with data.stem = {{ patches = {{ size = 4 }} }}; see `ansatz list`.
kind = "conv-pyramid"
stages = {stages}

[task]
kind = "classify"
label_smoothing = 0.1

[train]
epochs = {epochs}  # {time} on two cores
batch_size = {batch}
optimizer = {{ kind = "adamw", learning_rate = 3e-3, weight_decay = 0.05 }}
schedule = {{ kind = "one-cycle" }}
"#,
                stages = stages(height.min(width)),
            )
        }
        Purpose::ClassifyText => {
            // Some 1,500 steps are enough, and three epochs are not too many.
            let epochs = (48_000 / examples.max(1)).clamp(3, 100);
            let (epochs, time) = plan(2500.0, examples, epochs..=epochs);
            format!(
                r#"[backbone]
# A linear map of the weighted terms. Words in their order are read without data.terms and data.token_dropout, by any
# mixer: kind = "stack", pattern = [{{ kind = "short-convolution" }}]; see `ansatz list`.
kind = "mlp"

[task]
kind = "classify"

[train]
epochs = {epochs}  # {time} on two cores
batch_size = 32
keep = "last"
optimizer = {{ kind = "adamw", learning_rate = 5e-3, weight_decay = 0.0 }}
schedule = {{ kind = "one-cycle" }}
"#,
            )
        }
        Purpose::ClassifySeries { length, .. } => {
            let rate = 60_000.0 / length.min(256) as f64;
            let (epochs, time) = plan(rate, examples, 30..=200);
            let batch = if examples < 200 { 8 } else { 16 };
            format!(
                r#"[backbone]
# Short convolutions between gates see forms; the mean over all steps tells the class. Any mixer fits, see `ansatz list`.
kind = "stack"
width = 48
depth = 3
positions = "none"
norm = {{ kind = "batch" }}
pattern = [{{ kind = "short-convolution", taps = 9 }}]
channels = [{{ kind = "mlp", expansion = 2.0 }}]
dropout = 0.1

[task]
kind = "classify"
label_smoothing = 0.05

[train]
epochs = {epochs}  # {time} on two cores
batch_size = {batch}
keep = "last"
optimizer = {{ kind = "adamw", learning_rate = 3e-3, weight_decay = 0.05 }}
schedule = {{ kind = "one-cycle" }}
"#,
            )
        }
        Purpose::ClassifyResponses => {
            // Some 1,200 steps, a second or two each thousand.
            let epochs = (19_200 / examples.max(1)).clamp(100, 400);
            format!(
                r#"[backbone]
# The head alone learns of what the kernels answer. A network that learns its own needs more examples: a stem in the place
# of data.kernels, and kind = "tcn", norm = "batch", causal = false; see `ansatz list`.
kind = "mlp"

[task]
kind = "classify"
loss = {{ squared-hinge = {{ margin = 1.0 }} }}

[train]
epochs = {epochs}  # seconds on two cores
batch_size = 16
keep = "last"
evaluation = {{ every_epochs = 20 }}
optimizer = {{ kind = "sgd", learning_rate = 0.5, momentum = 0.9, weight_decay = 1e-4 }}
schedule = {{ kind = "one-cycle" }}
"#
            )
        }
        Purpose::ContinueText { length } => {
            let steps = 1500;
            let batch = (1024 / length).max(1);
            // An epoch is what is there: as many as the steps need.
            let epochs = (steps * batch).div_ceil(examples).max(1);
            format!(
                r#"[backbone]
# Mamba-2: a state that does not grow with the text. For attention: {{ kind = "attention", heads = 4, causal = true }},
# with positions = "learned"; see `ansatz list`.
kind = "stack"
width = 128
depth = 4
positions = "none"
norm = {{ kind = "rms" }}
pattern = [{{ kind = "mamba-2" }}]
channels = []

[task]
kind = "language-model"

[train]
epochs = {epochs}
max_steps = {steps}  # a few minutes on two cores
batch_size = {batch}
clip_norm = 1.0
keep = "last"
optimizer = {{ kind = "adamw", learning_rate = 4e-3, betas = [0.9, 0.99], weight_decay = 0.1 }}
schedule = {{ kind = "cosine", warmup = 0.05 }}
"#
            )
        }
        Purpose::AnswerText { lengths: [source, target] } => {
            let rate = 1500.0 * 25.0 / (source + target) as f64;
            let (epochs, time) = plan(rate, examples, 5..=40);
            format!(
                r#"[backbone]
# An encoder reads the source, a decoder makes the target. Any causal stack does both with data.layout = "row".
kind = "encoder-decoder"
width = 64
positions = {{ kind = "learned", count = {positions} }}
encoder = {{ depth = 2, heads = 4 }}
decoder = {{ depth = 2, heads = 4 }}

[task]
kind = "language-model"

[train]
epochs = {epochs}  # {time} on two cores
batch_size = 64
clip_norm = 1.0
optimizer = {{ kind = "adamw", learning_rate = 2e-3, betas = [0.9, 0.98], weight_decay = 0.01 }}
schedule = {{ kind = "cosine", warmup = 0.05 }}
"#,
                positions = source.max(target),
            )
        }
        Purpose::JudgeRecords { columns, number } => {
            let rate = 6000.0 * 8.0 / columns as f64;
            let schedule = plan(rate, examples, 10..=100);
            judge("Attention among the columns of a record", [48, 2], schedule, number)
        }
        Purpose::JudgeModalities { modalities, pictures, number } => {
            let rate = if pictures { 200.0 } else { 2000.0 } / modalities as f64;
            let schedule = plan(rate, examples, 8..=60);
            judge("Attention over the features of all modalities", [64, 1], schedule, number)
        }
        Purpose::Forecast { length, horizon, channels } => {
            let rate = 2000.0 * 192.0 / ((length + horizon) * channels) as f64;
            let (epochs, time) = plan(rate, examples, 3..=30);
            format!(
                r#"[backbone]
# Attention among the tokens of a window; any mixer fits, see `ansatz list`.
kind = "stack"
width = 64
depth = 2
pattern = [{{ kind = "attention", heads = 4 }}]
channels = [{{ kind = "mlp", expansion = 2.0 }}]
last_norm = false
dropout = 0.1

[task]
kind = "forecast"

[train]
epochs = {epochs}  # {time} on two cores
batch_size = 32
keep = "best"
optimizer = {{ kind = "adamw", learning_rate = 1e-3, weight_decay = 0.0 }}
schedule = {{ kind = "cosine" }}
"#,
            )
        }
    }
}

/// The sections for a class or a number of each example, by attention over a few tokens.
fn judge(about: &str, [width, depth]: [usize; 2], (epochs, time): (usize, String), number: bool) -> String {
    let task = if number { "regress" } else { "classify" };
    format!(
        r#"[backbone]
# {about}; any mixer fits, see `ansatz list`.
kind = "stack"
width = {width}
depth = {depth}
positions = "none"
pattern = [{{ kind = "attention", heads = 4 }}]
channels = [{{ kind = "mlp", expansion = 2.0 }}]
dropout = 0.1

[task]
kind = "{task}"

[train]
epochs = {epochs}  # {time} on two cores
batch_size = 32
keep = "best"
optimizer = {{ kind = "adamw", learning_rate = 2e-3, weight_decay = 0.05 }}
schedule = {{ kind = "one-cycle" }}
"#,
    )
}

/// How many times as many examples one class must have as another before weights are worth a thought.
const UNEVEN: f64 = 4.0;

/// The sections with a line that proposes to weigh classes, where these are of very different sizes. It stays a proposal:
/// rare classes are found more often at the price of accuracy, and probabilities are no longer those of the data.
pub(super) fn with_hint(sections: &str, imbalance: f64) -> String {
    const TASK: &str = "kind = \"classify\"\n";
    if imbalance < UNEVEN {
        return sections.to_owned();
    }
    let hint = format!(
        "# The largest class has {imbalance:.0} times the examples of the smallest. Rare ones count as much as frequent ones with:\n\
         # class_weights = \"balanced\"  # or train.sampling = \"balanced\"; accuracy and probabilities suffer\n"
    );
    sections.replacen(TASK, &format!("{TASK}{hint}"), 1)
}

/// Stages of convolutions for pictures of `side` pixels: until about seven are left.
fn stages(side: usize) -> &'static str {
    match side {
        ..16 => "[{ widths = [32, 32], pool = 2 }, { widths = [64, 64] }]",
        16..40 => "[{ widths = [24, 24], pool = 2 }, { widths = [48, 48], pool = 2 }, { widths = [96] }]",
        _ => {
            "[{ widths = [24], pool = 2 }, { widths = [32, 32], pool = 2 }, { widths = [64, 64], pool = 2 }, \
             { widths = [128] }]"
        }
    }
}

/// Epochs that fill the budget at `rate` examples a second, and the time that they take, in words.
fn plan(rate: f64, examples: usize, range: std::ops::RangeInclusive<usize>) -> (usize, String) {
    let epochs = ((BUDGET * rate / examples as f64) as usize).clamp(*range.start(), *range.end());
    let time = match ((examples * epochs) as f64 / rate / 60.0).ceil() {
        minutes if minutes > 1.0 => format!("about {minutes:.0} minutes"),
        _ => "a minute at most".to_owned(),
    };
    (epochs, time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_proposed_where_classes_are_uneven() {
        let sections = sections(Purpose::JudgeRecords { columns: 3, number: false }, 100);
        assert_eq!(with_hint(&sections, 2.0), sections);
        let hinted = with_hint(&sections, 12.2);
        assert!(
            hinted.contains("12 times") && hinted.contains("\n# class_weights = \"balanced\""),
            "{hinted}"
        );
        let task: toml::Table = hinted.parse().expect("TOML");
        assert_eq!(task["task"].as_table().map(toml::Table::len), Some(1));
    }

    #[test]
    fn the_budget_is_spent_within_bounds() {
        assert_eq!(plan(1000.0, 18_000, 5..=60), (10, "about 3 minutes".to_owned()));
        assert_eq!(plan(1000.0, 10, 5..=60).0, 60);
        assert_eq!(plan(1000.0, 1_000_000, 5..=60).0, 5);
        assert_eq!(plan(1000.0, 60_000, 1..=1), (1, "a minute at most".to_owned()));
    }
}
