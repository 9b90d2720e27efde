//! DLinear as Time-Series-Library publishes it: Zeng et al. 2023, arXiv:2205.13504.

use ansatz_arch_series::DLinearConfig;
use ansatz_core::{BackboneConfig, Build, Registry, Result, TaskConfig};
use ansatz_data_series::{InstanceNorm, SeriesShape, StemConfig, VALUES};
use ansatz_tasks::{ForecastConfig, Projection};
use burn::tensor::Device;

use super::tslib::{IGNORED, TslibOptions, is};
use crate::{Family, Folder, Forecaster, ForecasterParts, Names, Subject};

pub(super) const FAMILY: Family = Family { name: "dlinear", matches: |folder| is(folder, "DLinear"), open };

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options = TslibOptions::read(folder)?;
    let shape = SeriesShape { length: options.seq_len, channels: options.enc_in, marks: 0 };
    let stem = StemConfig::Steps.init(shape, InstanceNorm::None, None, device)?;
    let backbone = DLinearConfig {
        horizon: options.pred_len,
        moving_average: options.moving_avg,
        individual: options.individual,
    };
    let backbone = backbone.init(&stem.output(), &Build::new(registry, device))?;
    let task = ForecastConfig { projection: Projection::None, ..ForecastConfig::default() };
    let head = task.head(&backbone.output(&stem.output()), &options.target(false), device)?;
    let parts = ForecasterParts {
        stem,
        backbone,
        head,
        names: names(&options),
        inputs: vec![("x", VALUES)],
        ignored: IGNORED,
        forecast: "output",
        first_hidden: 0,
    };
    Ok(Box::new(Forecaster::open(parts, folder, device)?))
}

fn names(options: &TslibOptions) -> Names {
    let mut names = Names::new();
    for (published, ours) in [("Linear_Seasonal", "backbone.seasonal"), ("Linear_Trend", "backbone.trend")] {
        let of = |kind: &str| -> Vec<String> {
            if options.individual {
                (0..options.enc_in).map(|channel| format!("{published}.{channel}.{kind}")).collect()
            } else {
                vec![format!("{published}.{kind}")]
            }
        };
        names.stacked_linear(&of("weight"), format!("{ours}.weight"));
        names.stacked(&of("bias"), format!("{ours}.bias"));
    }
    names
}
