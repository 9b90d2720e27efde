//! Qwen3-Next: Gated DeltaNet, gated attention and a mixture of experts; Qwen Team, 2025.

use ansatz_core::{Registry, Result};
use burn::tensor::Device;

use super::qwen3_hybrid::{Joined, translate};
use crate::{Family, Folder, Subject};

pub(super) const FAMILY: Family =
    Family { name: "qwen3-next", matches: |folder| folder.model_type() == Some("qwen3_next"), open };

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder, &[], Joined::ByHead)?.open(folder, registry, device)?))
}
