//! iTransformer as Time-Series-Library publishes it: Liu et al. 2023, arXiv:2310.06625. Its tokens are
//! channels, so that it is a stack like any other.

use ansatz_arch_stack::PositionKind;
use ansatz_core::{BackboneConfig, Build, Registry, Result, TaskConfig};
use ansatz_data_series::{InstanceNorm, MARKS, SeriesShape, StemConfig, VALUES};
use ansatz_ops::NormConfig;
use ansatz_tasks::{ForecastConfig, Projection};
use burn::tensor::Device;

use super::tslib::{TslibOptions, is};
use crate::{Family, Folder, Forecaster, ForecasterParts, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "itransformer", matches: |folder| is(folder, "iTransformer"), open };

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options = TslibOptions::read(folder)?;
    let shape =
        SeriesShape { length: options.seq_len, channels: options.enc_in, marks: marks(folder, &options)? };
    let stem = StemConfig::Channels.init(shape, InstanceNorm::Standard, Some(options.d_model), device)?;
    let stack = options.stack(PositionKind::None, NormConfig::layer(1e-5))?;
    let backbone = stack.init(&stem.output(), &Build::new(registry, device))?;
    let task = ForecastConfig { projection: Projection::Channels, ..ForecastConfig::default() };
    let head = task.head(&backbone.output(&stem.output()), &options.target(false), device)?;
    let mut names = options.layer_names();
    names.linear_with_bias("enc_embedding.value_embedding", "stem.projection");
    names.scale_and_shift("encoder.norm", "backbone.norm");
    names.linear_with_bias("projection", "head.linear");
    let parts = ForecasterParts {
        stem,
        backbone,
        head,
        names,
        inputs: vec![("x", VALUES), ("x_mark", MARKS)],
        ignored: &["decoder_x", "decoder_mark"],
        forecast: "output",
        first_hidden: 0,
    };
    Ok(Box::new(Forecaster::open(parts, folder, device)?))
}

/// Readings of the calendar, each of which is a token: what the library's time features are for a frequency,
/// and the fields of a date where these are embedded.
fn marks(folder: &Folder, options: &TslibOptions) -> Result<usize> {
    match (options.embed.as_str(), options.freq.as_str()) {
        ("timeF", "s") => Ok(6),
        ("timeF", "t") => Ok(5),
        ("timeF", "h") => Ok(4),
        ("timeF", "d" | "b") => Ok(3),
        ("timeF", "w") => Ok(2),
        ("timeF", "m" | "a") => Ok(1),
        ("fixed" | "learned", "t") => Ok(5),
        ("fixed" | "learned", _) => Ok(4),
        ("timeF", other) => refuse(folder, "freq", other, "s, t, h, d, b, w, m or a"),
        (other, _) => refuse(folder, "embed", other, "timeF, fixed or learned"),
    }
}
