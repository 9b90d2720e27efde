//! Reading a published config without overlooking anything in it.

use ansatz_core::{Error, Result};
use serde::de::DeserializeOwned;

use crate::Folder;

/// Options of published configs that change no number of a forward pass: names and versions, tokens of the
/// tokenizer, how training draws and drops, what is returned.
const WITHOUT_EFFECT: &[&str] = &[
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_pdrop",
    "auto_map",
    "bos_token_id",
    "classifier_dropout",
    "decoder_start_token_id",
    "dropout",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "embedding_dropout",
    "forced_eos_token_id",
    "fuse_cross_entropy",
    "fuse_linear_cross_entropy",
    "fuse_norm",
    "fuse_swiglu",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "is_encoder_decoder",
    "keys_to_ignore_at_inference",
    "label2id",
    "layerdrop",
    "mask_token_id",
    "model_type",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "pad_token_id",
    "problem_type",
    "resid_pdrop",
    "return_dict",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "sep_token_id",
    "cls_token_id",
    "task_specific_params",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "use_l2warp",
    "chunk_size_feed_forward",
];

/// A published config as typed options.
///
/// Every key must be known: to the family that reads it, or to the list of those that change no number. A network
/// that silently leaves an option out computes other numbers than the published one.
#[derive(Debug, Clone)]
pub struct Options;

impl Options {
    /// Reads the config of `folder`. Declare `T` with `#[serde(deny_unknown_fields)]`, and with the defaults of
    /// the published class where a key may be left out. `without_effect` names further keys of this family
    /// that change no number.
    ///
    /// # Errors
    /// With the key that is missing, unknown, or of another type.
    pub fn read<T: DeserializeOwned>(folder: &Folder, without_effect: &[&str]) -> Result<T> {
        let mut config = folder.config.clone();
        config.retain(|key, _| {
            !WITHOUT_EFFECT.contains(&key.as_str()) && !without_effect.contains(&key.as_str())
        });
        serde_json::from_value(serde_json::Value::Object(config)).map_err(|error| {
            Error::input(
                folder.file("config.json").display(),
                error.to_string(),
                "options of this family that are implemented: one that changes the numbers is never left out",
                "check the option, or use another checkpoint",
            )
        })
    }
}

/// Refuses a value of an option that is not implemented.
///
/// # Errors
/// Always, with the option, its value, and what is implemented.
pub fn refuse<T>(folder: &Folder, option: &str, given: impl std::fmt::Debug, implemented: &str) -> Result<T> {
    Err(Error::input(
        folder.file("config.json").display(),
        format!("`{option}` is {given:?}, which is not implemented"),
        format!("`{option}`: {implemented}"),
        "use a checkpoint without this option",
    ))
}
