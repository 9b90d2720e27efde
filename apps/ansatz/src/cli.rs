//! The command line: what can be said, not what is done.

use std::path::PathBuf;

use ansatz_run::Patch;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Train, judge and use small networks of any architecture, from one config.
#[derive(Debug, Parser)]
#[command(name = "ansatz", version, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "Start here: ansatz train configs/digits.toml")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a network as a config says, or go on with a run that was stopped
    Train(Train),
    /// Look at files of your own, and write a config that trains on them
    Init(Init),
    /// Judge a trained run on a whole part of its data
    Evaluate(Evaluate),
    /// Say what a trained network sees in files
    Predict(Predict),
    /// Make a trained run smaller by the steps of a recipe, and measure each
    Compress(Compress),
    /// Measure what a trained run gives and costs: quality, size, time, memory
    Measure(Measure),
    /// Show the layers of a network: parameters, operations, memory
    Inspect(Inspect),
    /// Time the training steps of a network, and the tokens it decodes
    Bench(Bench),
    /// List the components that a config may name, the devices and the data sets
    List(List),
    /// Render, check or describe configs
    #[command(subcommand)]
    Config(Config),
    /// List, get or look at data sets
    #[command(subcommand)]
    Data(Data),
    /// Let a language model write on from a prompt
    Generate(Generate),
    /// Turn texts into vectors
    Embed(Embed),
    /// Make a run of a published checkpoint
    Import(Import),
    /// Write a run as the checkpoint that was published
    Export(Export),
    /// Prove that published checkpoints compute the published numbers
    Verify(Verify),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Where and how to compute.
#[derive(Debug, Args)]
pub(crate) struct DeviceChoice {
    /// Where to compute: cpu, ndarray, wgpu or cuda, as far as compiled in
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub device: String,
}

/// Values put over a config.
#[derive(Debug, Args)]
pub(crate) struct Patches {
    /// Put a value over the config, e.g. train.epochs=3; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_patch)]
    pub set: Vec<Patch>,
}

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// The experiment, a TOML file such as configs/digits.toml
    #[arg(required_unless_present = "resume")]
    pub config: Option<PathBuf>,
    /// Go on with the run in this folder from its last checkpoint
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "set", "out", "seed"])]
    pub resume: Option<PathBuf>,
    /// Where to write the run [default: runs/NAME-OF-CONFIG, numbered]
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// The seed of all randomness, instead of the config's
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,
    #[command(flatten)]
    pub patches: Patches,
    /// Stop at the first picture that cannot be read, instead of leaving it out; the same as
    /// --set data.source.folder.strict=true
    #[arg(long, conflicts_with = "resume")]
    pub strict: bool,
    #[command(flatten)]
    pub device: DeviceChoice,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    pub progress: Progress,
    /// Show no progress
    #[arg(long, short, conflicts_with_all = ["json", "progress"])]
    pub quiet: bool,
    /// Print events and the result as JSON lines
    #[arg(long, conflicts_with = "progress")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// A folder of pictures or texts per class, text, pairs of texts, a table of labelled texts, or a series
    pub path: PathBuf,
    /// Where to write the config [default: NAME-OF-PATH.toml]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// The dashboard on a terminal, lines elsewhere
    Auto,
    /// A full-screen dashboard
    Dashboard,
    /// Plain lines with the time left
    Lines,
}

#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// The folder of a trained run
    pub run: PathBuf,
    /// The part to judge on
    #[arg(long, value_enum, default_value_t = PartName::Test)]
    pub part: PartName,
    /// Examples per batch; changes no score
    #[arg(long, value_name = "NUMBER", default_value = "256")]
    pub batch_size: std::num::NonZeroUsize,
    #[command(flatten)]
    pub device: DeviceChoice,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// The folder of a run of a causal language model
    pub run: PathBuf,
    /// The text to write on from
    #[arg(long, value_name = "TEXT")]
    pub prompt: String,
    /// The most tokens to write
    #[arg(long, value_name = "NUMBER", default_value = "200")]
    pub tokens: std::num::NonZeroUsize,
    /// Divides the logits; 0 always takes the likeliest token
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    pub temperature: f64,
    /// Draw from this many of the likeliest tokens; 0: from all
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub top_k: usize,
    /// Draw from the likeliest tokens that together have this probability
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    pub top_p: f64,
    /// Draw from tokens at least this share as likely as the likeliest
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub min_p: f64,
    /// Make tokens that stand in the text already less likely; above 1
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    pub repetition_penalty: f64,
    /// End behind this text; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// The seed of all draws
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    pub device: DeviceChoice,
    /// Print one JSON object at the end instead of the text as it comes
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Embed {
    /// The folder of a run of text
    pub run: PathBuf,
    /// Texts, each of which becomes a vector of length 1
    #[arg(required = true)]
    pub texts: Vec<String>,
    #[command(flatten)]
    pub device: DeviceChoice,
    /// Print one JSON object per text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// A folder with config.json, model.safetensors and, where it has one, tokenizer.json
    pub folder: PathBuf,
    /// Where to write the run
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The folder of a run that was imported
    pub run: PathBuf,
    /// Where to write the checkpoint
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Folders with config.json, model.safetensors and what the reference computed: io.safetensors, meta.json
    #[arg(required = true)]
    pub folders: Vec<PathBuf>,
    #[command(flatten)]
    pub device: DeviceChoice,
    /// Print one JSON object per quantity
    #[arg(long)]
    pub json: bool,
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartName {
    /// What the network learned from
    Train,
    /// What choices were made by
    Validation,
    /// What figures are reported on
    Test,
}

#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// The folder of a trained run
    pub run: PathBuf,
    /// Files, or folders of them
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// How many answers to show for each file; left out: 3, or every label where any number may hold
    #[arg(long, value_name = "NUMBER")]
    pub top: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    pub device: DeviceChoice,
    /// Print one JSON line per file
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Compress {
    /// The folder of a trained run; it is not changed
    #[arg(required_unless_present = "resume")]
    pub run: Option<PathBuf>,
    /// The steps, a TOML file such as configs/compress/int8.toml
    #[arg(long, value_name = "FILE", required_unless_present_any = ["resume", "sensitivity"])]
    pub recipe: Option<PathBuf>,
    /// Where to write the compressed run, and that of each step
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["resume", "sensitivity"])]
    pub out: Option<PathBuf>,
    /// Only say what each layer loses under each method, judged on the validation part
    #[arg(long, conflicts_with_all = ["recipe", "out", "resume", "set"])]
    pub sensitivity: bool,
    /// Write a recipe that gives each layer the fewest bits under which it alone stays within the budget
    #[arg(long, value_name = "FILE", requires = "sensitivity")]
    pub write: Option<PathBuf>,
    /// The most that a layer may lose: points of a share, else the unit of the figure [default: 0.1]
    #[arg(long, value_name = "NUMBER", requires = "write", value_parser = parse_budget)]
    pub budget: Option<f64>,
    /// Go on with the compression in this folder behind its last finished step
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["run", "recipe", "out", "set"])]
    pub resume: Option<PathBuf>,
    /// Put a value over the recipe, e.g. step[0].bits=4; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_patch)]
    pub set: Vec<Patch>,
    #[command(flatten)]
    pub device: DeviceChoice,
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Measure {
    /// The folder of a trained run
    pub run: PathBuf,
    #[command(flatten)]
    pub device: DeviceChoice,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A config file or the folder of a run
    pub subject: PathBuf,
    #[command(flatten)]
    pub patches: Patches,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// A config file such as configs/bench/mamba.toml, or the folder of a run, whose decoding is timed with its weights as
    /// they are
    pub subject: PathBuf,
    /// Time only this
    #[arg(long, value_enum)]
    pub only: Option<Work>,
    /// Decode behind so many tokens
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "256")]
    pub contexts: Vec<usize>,
    /// Tokens that are decoded in each of four rounds
    #[arg(long, value_name = "NUMBER", default_value = "32")]
    pub tokens: std::num::NonZeroUsize,
    /// Take training steps for about so long; at least 5 and at most 50 are taken
    #[arg(long, value_name = "SECONDS", default_value = "4")]
    pub seconds: u32,
    #[command(flatten)]
    pub patches: Patches,
    #[command(flatten)]
    pub device: DeviceChoice,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What can be timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Forward, gradients and optimizer
    Train,
    /// A token from the recurrent form, one example at a time
    Decode,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print a config with every value that will be used
    Render {
        /// The config file
        config: PathBuf,
        #[command(flatten)]
        patches: Patches,
        /// Print JSON instead of TOML
        #[arg(long)]
        json: bool,
    },
    /// Check config files without running them
    Check {
        /// The config files
        #[arg(required = true)]
        configs: Vec<PathBuf>,
        #[command(flatten)]
        patches: Patches,
    },
    /// Print the JSON Schema of configs: every key, its meaning and its range
    Schema {
        /// Of recipes, as `ansatz compress` reads them, instead of experiments
        #[arg(long)]
        recipe: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// List the known data sets
    List(List),
    /// Fetch a data set, check it, and put it into the cache
    Get {
        /// A name from `ansatz data list`
        name: String,
        /// Take the files from this folder instead of fetching them
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Draw examples of each class on one sheet, a PNG file
    Show {
        /// A config file, or a name from `ansatz data list`
        subject: String,
        /// Where to write the sheet [default: NAME.png]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The part to draw from
        #[arg(long, value_enum, default_value_t = PartName::Train)]
        part: PartName,
        /// Examples per class
        #[arg(long, value_name = "NUMBER", default_value = "10")]
        each: std::num::NonZeroUsize,
        /// The seed that chooses the examples
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        patches: Patches,
    },
}

fn parse_budget(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(budget) if f64::is_finite(budget) && budget >= 0.0 => Ok(budget),
        _ => Err("expected a number of at least 0, such as 0.1".to_owned()),
    }
}

fn parse_patch(text: &str) -> Result<Patch, String> {
    text.parse().map_err(|error: ansatz_core::ConfigError| error.to_string())
}
