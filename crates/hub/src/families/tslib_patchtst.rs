//! PatchTST as Time-Series-Library publishes it: Nie et al. 2023, arXiv:2211.14730.

use ansatz_arch_stack::PositionKind;
use ansatz_core::{BackboneConfig, Build, Registry, Result, TaskConfig};
use ansatz_data_series::{InstanceNorm, PatchesConfig, SeriesShape, StemConfig, VALUES};
use ansatz_ops::{NormConfig, NormKind};
use ansatz_tasks::{ForecastConfig, Projection};
use burn::tensor::Device;

use super::tslib::{IGNORED, TslibOptions, is};
use crate::{Family, Folder, Forecaster, ForecasterParts, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "tslib-patchtst", matches: |folder| is(folder, "PatchTST"), open };

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options = TslibOptions::read(folder)?;
    let patches = patches(folder, &options)?;
    let count = patches.count(options.seq_len);
    let shape = SeriesShape { length: options.seq_len, channels: options.enc_in, marks: 0 };
    let stem =
        StemConfig::Patches(patches).init(shape, InstanceNorm::Standard, Some(options.d_model), device)?;
    let closing = NormConfig { kind: NormKind::Batch, ..NormConfig::layer(1e-5) };
    let stack = options.stack(PositionKind::Sinusoidal, closing)?;
    let backbone = stack.init(&stem.output(), &Build::new(registry, device))?;
    let task = ForecastConfig { projection: Projection::Flatten, ..ForecastConfig::default() };
    let head = task.head(&backbone.output(&stem.output()), &options.target(true), device)?;
    let mut names = options.layer_names();
    names.linear("patch_embedding.value_embedding", "stem.projection");
    // Some versions store the waves that every one of them computes.
    names.ignored("patch_embedding.position_embedding.pe");
    names.batch_norm("encoder.norm.1", "backbone.norm");
    // The published head reads the values of a token one behind the other for all patches.
    let (width, horizon) = (options.d_model, options.pred_len);
    let whole = [horizon, width * count];
    names.permuted("head.linear.weight", &whole, &[horizon, width, count], &[2, 1, 0], "head.linear.weight");
    names.same("head.linear.bias", "head.linear.bias");
    let parts = ForecasterParts {
        stem,
        backbone,
        head,
        names,
        inputs: vec![("x", VALUES)],
        ignored: IGNORED,
        forecast: "output",
        first_hidden: 0,
    };
    Ok(Box::new(Forecaster::open(parts, folder, device)?))
}

/// The last step is repeated `stride` times, and what patches do not reach is left out at the end: so many of
/// the repeated steps are read as patches from the end reach.
fn patches(folder: &Folder, options: &TslibOptions) -> Result<PatchesConfig> {
    let (patch, stride, length) = (options.patch_len, options.stride, options.seq_len);
    if stride == 0 {
        return refuse(folder, "stride", stride, "at least 1");
    }
    let Some(beyond) = (length + stride).checked_sub(patch) else {
        return refuse(folder, "seq_len", length, "at least a patch less its stride");
    };
    Ok(PatchesConfig {
        length: patch,
        stride,
        padding: stride - beyond % stride,
        bias: false,
        ..PatchesConfig::default()
    })
}
