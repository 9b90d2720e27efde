//! Checking everything that a program knows.

use ansatz_core::{Build, FeatureSpec, Grid, Registry};
use burn::tensor::Device;

use crate::{Failure, Property, Report, Rows, backbone, channel, grids, mixer_over};

/// Widths that are tried for a mixer or channel mixer; its default settings may ask for a multiple of something.
const WIDTHS: [usize; 6] = [8, 12, 16, 24, 32, 64];

/// Checks every registered mixer, channel mixer and backbone with its default settings, on the first shapes that suit it.
///
/// # Errors
/// With the first property that does not hold, or a component that cannot be built with its defaults.
pub fn registry(registry: &Registry, device: &Device) -> Result<Report, Failure> {
    let mut report = Report::default();
    for entry in registry.mixers.entries() {
        let name = format!("mixer {}", entry.kind);
        let config = entry.parse(Default::default(), registry).map_err(|error| unbuilt(&name, error))?;
        let build = |input: &FeatureSpec, device: &Device| {
            config.init(input.width, &Build::new(registry, device).over(*input))
        };
        let inputs = mixer_inputs(&name, |input| build(input, device))?;
        report.extend(mixer_over(build).named(name).inputs(inputs).check(device)?);
    }
    for entry in registry.channels.entries() {
        let name = format!("channel {}", entry.kind);
        let config = entry.parse(Default::default(), registry).map_err(|error| unbuilt(&name, error))?;
        if config.is_none() {
            continue;
        }
        let build = |width: usize, device: &Device| config.init(width, &Build::new(registry, device));
        let widths: Vec<usize> = suited(&name, &WIDTHS, |width| build(*width, device))?;
        report.extend(channel(build).named(name).widths(widths).check(device)?);
    }
    for entry in registry.backbones.entries() {
        let name = format!("backbone {}", entry.kind);
        let config = entry.parse(Default::default(), registry).map_err(|error| unbuilt(&name, error))?;
        let build = |input: &FeatureSpec, device: &Device| config.init(input, &Build::new(registry, device));
        let inputs = suited(&name, &shapes(config.width()), |input| build(input, device))?;
        report.extend(backbone(build).named(name).inputs(inputs).check(device)?);
    }
    Ok(report)
}

/// Rows of the first widths that suit a mixer, or pictures where it takes no row.
fn mixer_inputs<M>(
    name: &str,
    build: impl Fn(&FeatureSpec) -> ansatz_core::Result<M>,
) -> Result<Vec<FeatureSpec>, Failure> {
    if let Ok(widths) = suited(name, &WIDTHS, |width| build(&FeatureSpec::row(7, *width))) {
        return Ok(Rows::of_widths(widths).specs().collect());
    }
    let widths: Vec<usize> = suited(name, &WIDTHS, |width| build(&grids(*width)[0]))?;
    Ok(widths.into_iter().flat_map(grids).collect())
}

/// Shapes that are tried for a backbone: a row and a picture of the width it wants, or of usual ones.
fn shapes(width: Option<usize>) -> Vec<FeatureSpec> {
    let widths = width.map_or(vec![3, 8], |width| vec![width]);
    let shapes = widths.into_iter().flat_map(|width| {
        let picture = |height, across| FeatureSpec::picture(Grid { height, width: across }, width);
        [FeatureSpec::row(7, width), picture(9, 8), picture(32, 32)]
    });
    shapes.collect()
}

/// The first two candidates that can be built.
fn suited<T: Copy, M>(
    name: &str,
    candidates: &[T],
    build: impl Fn(&T) -> ansatz_core::Result<M>,
) -> Result<Vec<T>, Failure> {
    let mut found = Vec::new();
    let mut refusal = None;
    for candidate in candidates {
        match build(candidate) {
            Ok(_) => found.push(*candidate),
            Err(error) => refusal = Some(error),
        }
        if found.len() == 2 {
            break;
        }
    }
    match refusal {
        Some(error) if found.is_empty() => Err(unbuilt(name, error)),
        _ => Ok(found),
    }
}

fn unbuilt(name: &str, error: impl std::fmt::Display) -> Failure {
    Failure {
        subject: name.to_owned(),
        property: Property::Output,
        case: "its default settings".to_owned(),
        problem: error.to_string(),
    }
}
