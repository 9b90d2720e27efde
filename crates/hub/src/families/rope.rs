//! Rotary positions as published configs describe them.

use ansatz_core::Result;
use ansatz_ops::{RotaryConfig, RotaryScaling};
use serde::Deserialize;

use crate::{Folder, refuse};

/// `rope_parameters`, which older configs call `rope_scaling` and leave out where nothing is stretched.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RopeParameters {
    rope_type: Option<String>,
    /// What older configs call it; some say both.
    #[serde(rename = "type")]
    older_type: Option<String>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    attention_factor: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
    truncate: Option<bool>,
    /// How many pairs go by the time, the height and the width of a picture, and in which order: in a text, whose
    /// tokens have but one position, all of these are the same.
    #[serde(rename = "mrope_section")]
    _sections: Option<Vec<usize>>,
    #[serde(rename = "mrope_interleaved")]
    _interleaved: Option<bool>,
}

impl RopeParameters {
    /// The whole of what a config says. `theta` and `fraction` stand beside the parameters in older configs, else
    /// are the defaults of the family; `length` is `max_position_embeddings`.
    pub(super) fn rotary(
        &self,
        folder: &Folder,
        theta: f64,
        fraction: f64,
        length: usize,
    ) -> Result<RotaryConfig> {
        let scaling = match self.rope_type.as_deref().or(self.older_type.as_deref()).unwrap_or("default") {
            "default" => None,
            "linear" => Some(RotaryScaling::Linear { factor: self.wanted(folder, "factor", self.factor)? }),
            "llama3" => Some(RotaryScaling::Llama3 {
                factor: self.wanted(folder, "factor", self.factor)?,
                low: self.wanted(folder, "low_freq_factor", self.low_freq_factor)?,
                high: self.wanted(folder, "high_freq_factor", self.high_freq_factor)?,
                length: self.original_max_position_embeddings.unwrap_or(length),
            }),
            "yarn" => Some(self.yarn(length)),
            other => {
                let implemented = "default, linear, llama3 or yarn; the others have no recurrent form";
                return refuse(folder, "rope_type", other, implemented);
            }
        };
        Ok(RotaryConfig {
            base: self.rope_theta.unwrap_or(theta),
            fraction: self.partial_rotary_factor.unwrap_or(fraction),
            scaling,
            ..RotaryConfig::default()
        })
    }

    fn yarn(&self, length: usize) -> RotaryScaling {
        let original = self.original_max_position_embeddings.unwrap_or(length);
        let factor = self.factor.unwrap_or(length as f64 / original as f64);
        let magnitude = |weight| RotaryScaling::yarn_magnitude(factor, weight);
        // Published code takes a zero for "not given".
        let given = |value: Option<f64>| value.filter(|value| *value != 0.0);
        let inferred = match (given(self.mscale), given(self.mscale_all_dim)) {
            (Some(own), Some(all)) => magnitude(own) / magnitude(all),
            _ => magnitude(1.0),
        };
        RotaryScaling::Yarn {
            factor,
            low: given(self.beta_slow).unwrap_or(1.0),
            high: given(self.beta_fast).unwrap_or(32.0),
            length: original,
            magnitude: self.attention_factor.unwrap_or(inferred),
            rounded: self.truncate.unwrap_or(true),
        }
    }

    fn wanted(&self, folder: &Folder, key: &str, value: Option<f64>) -> Result<f64> {
        match value {
            Some(value) => Ok(value),
            None => {
                let option = format!("rope_parameters.{key}");
                refuse(folder, &option, value, "a number, which this kind of scaling needs")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parameters: serde_json::Value) -> Result<RotaryConfig> {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("config.json"), "{}").unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let parameters: RopeParameters = serde_json::from_value(parameters).unwrap();
        parameters.rotary(&folder, 500.0, 0.5, 64)
    }

    #[test]
    fn what_is_left_out_stands_beside_the_parameters() {
        let plain = read(serde_json::json!({})).unwrap();
        assert_eq!((plain.base, plain.fraction, plain.scaling), (500.0, 0.5, None));
        let given = read(serde_json::json!({"rope_theta": 1e6, "partial_rotary_factor": 0.25})).unwrap();
        assert_eq!((given.base, given.fraction), (1e6, 0.25));
    }

    #[test]
    fn every_kind_of_scaling_is_read_by_either_name() {
        let linear = serde_json::json!({"type": "linear", "factor": 4.0});
        assert_eq!(read(linear).unwrap().scaling, Some(RotaryScaling::Linear { factor: 4.0 }));
        let llama = serde_json::json!({
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        });
        let expected = RotaryScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, length: 32 };
        assert_eq!(read(llama).unwrap().scaling, Some(expected));
        let yarn = serde_json::json!({
            "rope_type": "yarn", "type": "yarn", "original_max_position_embeddings": 16, "beta_fast": 0,
        });
        let magnitude = RotaryScaling::yarn_magnitude(4.0, 1.0);
        let expected =
            RotaryScaling::Yarn { factor: 4.0, low: 1.0, high: 32.0, length: 16, magnitude, rounded: true };
        assert_eq!(read(yarn).unwrap().scaling, Some(expected));
    }

    #[test]
    fn what_is_unknown_or_missing_is_refused() {
        let message = |parameters| read(parameters).unwrap_err().to_string();
        assert!(message(serde_json::json!({"rope_type": "dynamic"})).contains("`rope_type` is \"dynamic\""));
        assert!(message(serde_json::json!({"rope_type": "linear"})).contains("`rope_parameters.factor`"));
    }
}
