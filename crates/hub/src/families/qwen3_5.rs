//! Qwen3.5, its language model: Gated DeltaNet and gated attention; Qwen Team, 2026.

use ansatz_core::{Registry, Result};
use burn::tensor::Device;

use super::qwen3_hybrid::{Joined, translate};
use crate::{Family, Folder, Subject};

pub(super) const FAMILY: Family =
    Family { name: "qwen3-5", matches: |folder| folder.model_type() == Some("qwen3_5_text"), open };

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder, &[], Joined::ByPart)?.open(folder, registry, device)?))
}
