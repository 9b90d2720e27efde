//! Running properties over shapes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ansatz_core::{FeatureSpec, Result as Built};
use burn::tensor::Device;

use crate::case::Case;
use crate::network::Network;
use crate::parameters::roughen;
use crate::{Failure, Passed, Property, Report};

/// What the properties look at: one network in training and in use.
pub(crate) struct Subject<'a, N> {
    /// On an autodiff device.
    pub(crate) training: N,
    /// The same parameters without gradients.
    pub(crate) plain: N,
    /// The autodiff device.
    pub(crate) training_device: Device,
    /// The device without gradients.
    pub(crate) device: Device,
    /// Builds another one, with other parameters.
    pub(crate) build: &'a dyn Fn(&FeatureSpec, &Device) -> Built<N>,
}

impl<N: Network> Subject<'_, N> {
    /// A network for training with the same parameters and no memory in common: clones share the running
    /// statistics of burn's batch normalisation.
    pub(crate) fn copy(&self, case: &Case) -> Result<N, String> {
        let fresh = (self.build)(&case.input, &self.training_device).map_err(|error| error.to_string())?;
        let record = self.training.clone().into_record();
        fresh.try_load_record(record).map_err(|error| format!("the record: {error}"))
    }
}

/// What a run is made of.
pub(crate) struct Run<'a, N> {
    pub(crate) subject: &'a str,
    pub(crate) properties: &'a [Property],
    pub(crate) cases: &'a [Case],
    pub(crate) build: &'a dyn Fn(&FeatureSpec, &Device) -> Built<N>,
}

impl<N: Network> Run<'_, N> {
    /// Checks every property on every case.
    pub(crate) fn check(&self, device: &Device) -> Result<Report, Failure> {
        let device = device.clone().without_autodiff();
        let mut report = Report::default();
        for case in self.cases {
            let failure = |property: Property, problem: String| Failure {
                subject: self.subject.to_owned(),
                property,
                case: case.to_string(),
                problem,
            };
            let training_device = device.clone().autodiff();
            device.seed(case.seed);
            let built =
                guarded(|| (self.build)(&case.input, &training_device).map_err(|error| error.to_string()));
            let built = built.map_err(|problem| failure(Property::Output, problem))?;
            let training = roughen(built, &mut case.random(0));
            let plain = training.valid();
            let subject =
                Subject { training, plain, training_device, device: device.clone(), build: self.build };
            for &property in self.properties {
                let found = guarded(|| property.check(&subject, case));
                let found = found.map_err(|problem| failure(property, problem))?;
                report.passed.extend(found.map(|deviation| Passed {
                    subject: self.subject.to_owned(),
                    property,
                    case: case.to_string(),
                    deviation,
                }));
            }
        }
        Ok(report)
    }
}

/// Turns a panic inside the checked code into a problem.
fn guarded<T>(check: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("it panicked: {}", text.unwrap_or("without a message")))
    })
}
