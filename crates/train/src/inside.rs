//! `[train.teacher.hidden]` and `[train.teacher.influence]`: which of a teacher's blocks are imitated, and how.

use ansatz_core::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::require;

/// Blocks of the teacher that are imitated besides its answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct InsideConfig {
    /// What the distance counts beside the loss of the answers, above 0. 1 is the distance of a student that gives the
    /// teacher's mean everywhere, or no influence at all.
    pub weight: f64,
    /// Pairs `[student, teacher]` of blocks, counted from 0. Left out: every block of the student with one of the
    /// teacher, evenly along the depth, the last with the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<[usize; 2]>,
    /// Whose tokens the student's blocks get.
    pub inputs: Whose,
}

/// Whose tokens a student's blocks get where they are compared with the teacher's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Whose {
    /// The student's own: errors of earlier blocks reach later ones, and all learn together.
    #[default]
    Own,
    /// Those that reach the teacher's block: every block learns by itself, and stem and head do not learn.
    Teacher,
}

impl Default for InsideConfig {
    fn default() -> Self {
        Self { weight: 1.0, layers: Vec::new(), inputs: Whose::Own }
    }
}

impl InsideConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        require("weight", self.weight, self.weight > 0.0, "a number above 0")
    }

    /// The pairs `[student, teacher]` of blocks of which there are `student` and `teacher`, in the student's order.
    ///
    /// # Errors
    /// When there is no such block, or a block of the student is named twice.
    pub(crate) fn pairs(&self, student: usize, teacher: usize) -> Result<Vec<[usize; 2]>, ConfigError> {
        if self.layers.is_empty() {
            // Of as many blocks as both have each with its own; else with the last of its share of the teacher's.
            return Ok((0..student)
                .map(|block| [block, ((block + 1) * teacher).div_ceil(student) - 1])
                .collect());
        }
        let mut pairs = self.layers.clone();
        for (index, pair) in pairs.iter().enumerate() {
            let blocks = [("student", pair[0], student), ("teacher", pair[1], teacher)];
            if let Some((who, block, count)) = blocks.into_iter().find(|(_, block, count)| block >= count) {
                let problem = format!("the {who} has no block {block}");
                let expected = format!("a block from 0 to {}", count.saturating_sub(1));
                return Err(ConfigError::value(format!("layers[{index}]"), problem, expected));
            }
            if pairs[..index].iter().any(|earlier| earlier[0] == pair[0]) {
                let problem = format!("block {} of the student has two teachers", pair[0]);
                return Err(ConfigError::value(
                    format!("layers[{index}]"),
                    problem,
                    "one pair for each block",
                ));
            }
        }
        pairs.sort_unstable();
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_paired_evenly_and_the_last_with_the_last() {
        let even = |student, teacher| InsideConfig::default().pairs(student, teacher).unwrap();
        assert_eq!(even(3, 3), [[0, 0], [1, 1], [2, 2]]);
        assert_eq!(even(2, 6), [[0, 2], [1, 5]]);
        assert_eq!(even(4, 2), [[0, 0], [1, 0], [2, 1], [3, 1]]);
        assert_eq!(even(2, 3), [[0, 1], [1, 2]]);
    }

    #[test]
    fn blocks_that_are_not_there_or_named_twice_are_refused() {
        let pairs = |layers: &[[usize; 2]]| {
            InsideConfig { layers: layers.to_vec(), ..InsideConfig::default() }.pairs(2, 3)
        };
        assert_eq!(pairs(&[[1, 2], [0, 1]]).unwrap(), [[0, 1], [1, 2]]);
        for (layers, problem) in [
            (&[[0, 3]][..], "the teacher has no block 3"),
            (&[[0, 0], [2, 0]], "`layers[1]`: the student has no block 2"),
            (&[[0, 0], [0, 1]], "has two teachers"),
        ] {
            let message = pairs(layers).unwrap_err().to_string();
            assert!(message.contains(problem), "{message}");
        }
    }
}
