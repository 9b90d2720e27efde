//! A recipe, as a file describes it.

use std::path::Path;

use ansatz_compress::{PruneConfig, QuantizeConfig, ShrinkConfig};
use ansatz_core::{ConfigError, Error, Result, nearest, parse};
use ansatz_run::Patch;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::training::{DistillConfig, FineTuneConfig};

/// Steps that are done in order, `[[step]]` each in a file.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Recipe {
    /// The steps, at least one.
    pub step: Vec<Step>,
}

/// One step of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Step {
    /// Leaves out the values that matter least.
    Prune(PruneConfig),
    /// Cuts whole units out, so that a smaller network of the same kind comes out.
    Shrink(ShrinkConfig),
    /// Rounds weights to few bits.
    Quantize(QuantizeConfig),
    /// Trains on, while what was pruned stays zero.
    FineTune(FineTuneConfig),
    /// Trains by the outputs of a teacher.
    Distill(DistillConfig),
}

/// A recipe before its steps were looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Outline {
    step: Vec<toml::Table>,
}

impl Step {
    const KINDS: [&'static str; 5] = ["prune", "shrink", "quantize", "fine-tune", "distill"];

    /// The name in recipes.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Prune(_) => "prune",
            Self::Shrink(_) => "shrink",
            Self::Quantize(_) => "quantize",
            Self::FineTune(_) => "fine-tune",
            Self::Distill(_) => "distill",
        }
    }

    fn parse(mut table: toml::Table) -> Result<Self, ConfigError> {
        let kind = match table.remove("kind") {
            Some(toml::Value::String(kind)) => kind,
            Some(other) => {
                return Err(ConfigError::value("kind", format!("{other} is not a name"), "a name in quotes"));
            }
            None => return Err(ConfigError::value("kind", "it is missing", Self::KINDS.join(", "))),
        };
        match kind.as_str() {
            "prune" => checked(table, PruneConfig::check).map(PruneConfig::complete).map(Self::Prune),
            "shrink" => checked(table, ShrinkConfig::check).map(Self::Shrink),
            "quantize" => {
                checked(table, QuantizeConfig::check).map(QuantizeConfig::complete).map(Self::Quantize)
            }
            "fine-tune" => checked(table, |_| Ok(())).map(Self::FineTune),
            "distill" => checked(table, DistillConfig::check).map(Self::Distill),
            _ => Err(ConfigError::UnknownKind {
                path: "kind".to_owned(),
                role: "step",
                nearest: nearest(&kind, Self::KINDS),
                given: kind,
                known: Self::KINDS.join(", "),
            }),
        }
    }
}

fn checked<C: DeserializeOwned>(
    table: toml::Table,
    check: impl Fn(&C) -> Result<(), ConfigError>,
) -> Result<C, ConfigError> {
    let config: C = parse(table)?;
    check(&config)?;
    Ok(config)
}

impl Recipe {
    /// Reads a file and puts `patches` over it.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or is no recipe.
    pub fn read(path: &Path, patches: &[Patch]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::input(
                path.display(),
                "there is no such file",
                "a recipe in TOML, such as configs/compress/int8.toml",
                "check the path; `ls configs/compress` shows those that come with Ansatz",
            ),
            _ => Error::file(path, "read")(error),
        })?;
        Self::from_toml(&text, patches)
    }

    /// Reads TOML and puts `patches` over it.
    ///
    /// # Errors
    /// When the text is not TOML or no recipe.
    pub fn from_toml(text: &str, patches: &[Patch]) -> Result<Self> {
        let mut table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax(error.to_string()))?;
        for patch in patches {
            patch.apply(&mut table)?;
        }
        let outline: Outline = parse(table)?;
        if outline.step.is_empty() {
            let expected = "at least one [[step]], such as kind = \"quantize\"";
            return Err(ConfigError::value("step", "the recipe has no steps", expected).into());
        }
        let steps = outline.step.into_iter().enumerate();
        let steps = steps
            .map(|(index, table)| Step::parse(table).map_err(|error| error.under(&format!("step[{index}]"))));
        let mut recipe = Self { step: Vec::new() };
        for step in steps {
            match step? {
                Step::Distill(config) => {
                    recipe.step.extend(config.in_stages().into_iter().map(Step::Distill))
                }
                step => recipe.step.push(step),
            }
        }
        Ok(recipe)
    }

    /// The JSON Schema of recipes: every key with its meaning.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Recipe).to_value()
    }

    /// The recipe as TOML, with every value that will be used.
    ///
    /// # Errors
    /// When a value cannot be written as TOML.
    pub fn render(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|error| ConfigError::Syntax(error.to_string()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Recipe::from_toml(text, &[]).unwrap_err().to_string()
    }

    #[test]
    fn what_is_rendered_is_read_back() {
        let text = "[[step]]\nkind = \"prune\"\npattern = { unstructured = { ratio = 0.8 } }\n\
                    [[step]]\nkind = \"fine-tune\"\ntrain = { epochs = 2 }\n\
                    [[step]]\nkind = \"distill\"\nstudent = \"small.toml\"\n\
                    [[step]]\nkind = \"shrink\"\nflops = 0.5\nblocks = [{ key = \"backbone.depth\", drop = 1 }]\n\
                    [[step]]\nkind = \"quantize\"\nbits = 4\nscales = { group = { size = 32 } }\n";
        let recipe = Recipe::from_toml(text, &[]).unwrap();
        let kinds: Vec<_> = recipe.step.iter().map(Step::kind).collect();
        assert_eq!(kinds, ["prune", "fine-tune", "distill", "shrink", "quantize"]);
        assert_eq!(Recipe::from_toml(&recipe.render().unwrap(), &[]).unwrap(), recipe);
    }

    #[test]
    fn a_step_that_sees_examples_says_which() {
        let text = "[[step]]\nkind = \"quantize\"\nmethod = \"gptq\"\n[[step]]\nkind = \"prune\"\n";
        let rendered = Recipe::from_toml(text, &[]).unwrap().render().unwrap();
        let calibration = "[step.calibration]\nexamples = 512\nbatch_size = 64\nunseen = \"refuse\"\n";
        assert_eq!(rendered.matches("[step.calibration]").count(), 1, "{rendered}");
        assert!(rendered.contains(calibration), "{rendered}");
    }

    #[test]
    fn a_value_can_be_put_over_a_recipe() {
        let patches = ["step[0].bits=4".parse().unwrap()];
        let recipe = Recipe::from_toml("[[step]]\nkind = \"quantize\"", &patches).unwrap();
        assert_eq!(recipe.step, [Step::Quantize(QuantizeConfig { bits: 4, ..QuantizeConfig::default() })]);
    }

    #[test]
    fn errors_name_the_step_and_the_key() {
        for (text, problem) in [
            ("", "`step`: the recipe has no steps"),
            ("[[steps]]\nkind = \"prune\"", "did you mean `step`"),
            ("[[step]]\nbits = 4", "`step[0].kind`: it is missing"),
            ("[[step]]\nkind = \"prunes\"", "did you mean `prune`"),
            ("[[step]]\nkind = \"quantize\"\nbit = 4", "did you mean `bits`"),
            ("[[step]]\nkind = \"quantize\"\n[[step]]\nkind = \"quantize\"\nbits = 9", "`step[1].bits`"),
            ("[[step]]\nkind = \"prune\"\npattern = { unstructured = { ratio = 1 } }", "unstructured.ratio"),
            ("[[step]]\nkind = \"quantize\"\ncalibration = { examples = 9 }", "`step[0].calibration`"),
            ("[[step]]\nkind = \"prune\"\ncriterion = \"wanda\"", "`step[0].pattern.unstructured.scope`"),
            ("[[step]]\nkind = \"shrink\"", "`step[0]`: it says nothing to cut"),
            ("[[step]]\nkind = \"shrink\"\nflops = 1.5", "`step[0].flops`: 1.5 is out of range"),
            ("[[step]]\nkind = \"distill\"\ntemprature = 1", "did you mean `temperature`"),
            ("[[step", "not valid TOML"),
        ] {
            let message = error(text);
            assert!(message.contains(problem), "{text}: {message}");
        }
    }
}
