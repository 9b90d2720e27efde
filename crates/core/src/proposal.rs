//! What a data model makes of files that nobody has written a config for.

/// What a data model saw in a file or folder, and how it would read it.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// What was seen, a line each: "120 pictures in 3 classes: cat 40, dog 40, owl 40".
    pub seen: Vec<String>,
    /// What makes figures doubtful, a line each: copies in two classes, a class with one example.
    pub warnings: Vec<String>,
    /// Settings of the data model.
    pub settings: Vec<Setting>,
    /// What a network is to do with it.
    pub purpose: Purpose,
    /// Examples to train on, at least 1.
    pub examples: usize,
    /// How many times as many examples the largest class has as the smallest; 1 where there are no classes.
    pub imbalance: f64,
}

impl Proposal {
    /// How many times as many the largest of `counts` is as the smallest; 1 of none.
    pub fn imbalance(counts: impl Iterator<Item = usize> + Clone) -> f64 {
        counts.clone().max().unwrap_or(1).max(1) as f64 / counts.min().unwrap_or(1).max(1) as f64
    }
}

/// A line of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `key = value`, as TOML.
    pub line: String,
    /// Why it says so, for a comment beside it; may be empty.
    pub why: String,
}

impl Setting {
    /// A setting with its reason.
    pub fn new(line: impl Into<String>, why: impl Into<String>) -> Self {
        Self { line: line.into(), why: why.into() }
    }

    /// `path` as a TOML string.
    pub fn quoted(path: &std::path::Path) -> String {
        toml::Value::from(path.display().to_string()).to_string()
    }
}

/// What a network is to do with the examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To tell the class of a picture.
    ClassifyPictures {
        /// Height and width in pixels.
        size: [usize; 2],
    },
    /// To tell the class of a text.
    ClassifyText,
    /// To tell the class of a series.
    ClassifySeries {
        /// Steps of the longest.
        length: usize,
        /// Channels of a step.
        channels: usize,
    },
    /// To tell the class of a series that kernels, which are not trained, made one token of.
    ClassifyResponses,
    /// To foretell the next token of a text.
    ContinueText {
        /// Tokens of an example.
        length: usize,
    },
    /// To make one text of another.
    AnswerText {
        /// The most tokens of the two.
        lengths: [usize; 2],
    },
    /// To tell the class of a record, or a number that belongs to it.
    JudgeRecords {
        /// Columns that are read.
        columns: usize,
        /// Whether a number is asked, not a class.
        number: bool,
    },
    /// To tell the class of an example of several modalities, or a number that belongs to it.
    JudgeModalities {
        /// How many modalities it has.
        modalities: usize,
        /// Whether one of them is a picture.
        pictures: bool,
        /// Whether a number is asked, not a class.
        number: bool,
    },
    /// To foretell the next steps of a series.
    Forecast {
        /// Past steps that are read.
        length: usize,
        /// Steps that are foretold.
        horizon: usize,
        /// Channels of a step.
        channels: usize,
    },
}
