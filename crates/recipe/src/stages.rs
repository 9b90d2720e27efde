//! Distilling in stages: from the parts of a teacher to the whole of it.

use ansatz_core::ConfigError;
use ansatz_train::InsideConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DistillConfig;
use crate::merge::merge;
use crate::training::Start;

/// One stage of a `distill`: what is imitated, and for how long.
///
/// Bick et al., MOHAWK, 2024, arXiv:2408.10189, section 4, has three: the matrices by which tokens are mixed, each with the
/// teacher's tokens; then the tokens that leave the blocks, likewise; then the answers of the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DistillStage {
    /// Optimizer steps, at least 1.
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// What the loss of the answers counts, at least 0.
    pub outputs: f64,
    /// The tokens that leave the teacher's blocks are imitated. Left out: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<InsideConfig>,
    /// The matrices by which the teacher's mixers mix tokens are imitated. Left out: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub influence: Option<InsideConfig>,
    /// What is put over the `train` of the step.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub train: toml::Table,
}

impl Default for DistillStage {
    fn default() -> Self {
        Self { steps: 0, outputs: 1.0, hidden: None, influence: None, train: toml::Table::new() }
    }
}

impl DistillConfig {
    /// Checks what can be checked without a run.
    ///
    /// # Errors
    /// With the path of the value at fault.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.student.is_none() && self.start == Start::Teacher {
            let problem = "without a student the network of the step before goes on with its own weights";
            return Err(ConfigError::value("start", problem, "a student, or start = \"drawn\""));
        }
        if self.stages.is_empty() {
            return Ok(());
        }
        let shadowed = [
            ("hidden", self.hidden.is_some()),
            ("influence", self.influence.is_some()),
            ("outputs", self.outputs != Self::default().outputs),
        ];
        if let Some((key, _)) = shadowed.into_iter().find(|(_, given)| *given) {
            return Err(ConfigError::value(
                key,
                "each stage has its own",
                format!("stages = [{{ {key} = … }}]"),
            ));
        }
        match self.stages.iter().position(|stage| stage.steps == 0) {
            Some(index) => {
                let path = format!("stages[{index}].steps");
                Err(ConfigError::value(path, "it is 0 or missing", "optimizer steps, at least 1"))
            }
            None => Ok(()),
        }
    }

    /// The step, or its stages as so many steps: the first makes the student, the others go on with it.
    pub(crate) fn in_stages(mut self) -> Vec<Self> {
        let stages = std::mem::take(&mut self.stages);
        if stages.is_empty() {
            return vec![self];
        }
        let step = |(index, stage): (usize, DistillStage)| {
            let mut step = self.clone();
            if index > 0 {
                (step.student, step.start) = (None, Start::Drawn);
            }
            // No epoch has less than one step: the steps decide. A teacher's parts are no judge of the whole, and so the
            // last weights of a stage are kept, not those that answer best.
            let length = format!("epochs = {0}\nmax_steps = {0}\nkeep = \"last\"", stage.steps);
            merge(&mut step.train, &length.parse().expect("TOML"));
            merge(&mut step.train, &stage.train);
            (step.outputs, step.hidden, step.influence) = (stage.outputs, stage.hidden, stage.influence);
            step
        };
        stages.into_iter().enumerate().map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Recipe, Step};

    const STAGED: &str = "[[step]]\nkind = \"prune\"\n[[step]]\nkind = \"distill\"\nstudent = \"small.toml\"\n\
        start = \"teacher\"\ntrain = { batch_size = 8, optimizer = { learning_rate = 0.1 } }\nstages = [\n\
        { steps = 3, outputs = 0.0, influence = { inputs = \"teacher\" } },\n\
        { steps = 5, train = { optimizer = { learning_rate = 0.2 } } },\n]\n";

    #[test]
    fn stages_are_steps_that_go_on_with_each_other() {
        let recipe = Recipe::from_toml(STAGED, &[]).unwrap();
        let [Step::Prune(_), Step::Distill(first), Step::Distill(second)] = &recipe.step[..] else {
            panic!("{recipe:?}")
        };
        assert!(first.student.is_some() && second.student.is_none());
        assert_eq!(
            serde_json::to_value((first.start, second.start)).unwrap(),
            serde_json::json!(["teacher", "drawn"])
        );
        assert_eq!((first.outputs, second.outputs), (0.0, 1.0));
        assert!(first.influence.is_some() && second.influence.is_none() && second.stages.is_empty());
        let expected =
            "batch_size = 8\noptimizer = { learning_rate = 0.2 }\nepochs = 5\nmax_steps = 5\nkeep = \"last\"";
        assert_eq!(second.train, expected.parse::<toml::Table>().unwrap());
        assert_eq!(Recipe::from_toml(&recipe.render().unwrap(), &[]).unwrap(), recipe);
    }

    #[test]
    fn settings_that_stages_would_shadow_and_stages_without_steps_are_refused() {
        for (from, to, problem) in [
            ("student", "outputs = 0.5\nstudent", "`step[1].outputs`: each stage has its own"),
            ("steps = 5, ", "", "`step[1].stages[1].steps`"),
            ("steps = 5, ", "step = 5, ", "did you mean `steps`"),
            ("student = \"small.toml\"\n", "", "`step[1].start`"),
        ] {
            let message = Recipe::from_toml(&STAGED.replacen(from, to, 1), &[]).unwrap_err().to_string();
            assert!(message.contains(problem), "{message}");
        }
    }
}
