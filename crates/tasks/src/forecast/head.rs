//! The head of forecasting.

use ansatz_core::{ConfigError, FeatureSpec, Features, Grid, Head, Layer, Result, Shared, Targets};
use ansatz_ops::{Linear, LinearConfig, dropout};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor, assert_shape};

use super::{ForecastConfig, ForecastLoss, Projection};
use crate::Pool;

/// The map from tokens to a forecast, see [`Projection`]: `y = x W + b` of the tokens x of a channel, or of
/// all.
///
/// What the stem took off each channel is given back: `y σ + μ`.
///
/// # Shapes
/// `[rows, length, width]`, where rows are examples, or the channels of examples, →
/// `[batch, horizon, channels × each]`, for each channel as many values as there are quantiles, or one.
#[derive(Module, Debug)]
pub struct ForecastHead {
    /// W and b, where there is a map.
    pub linear: Option<Linear>,
    dropout: Dropout,
    #[module(skip)]
    projection: Projection,
    #[module(skip)]
    loss: ForecastLoss,
    #[module(skip)]
    standing: Standing,
    channels: usize,
    horizon: usize,
}

/// How the channels stand in the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Each channel is a row of the batch.
    Apart,
    /// Each channel is a row of the picture.
    Picture,
    /// Tokens are of all channels.
    Together,
}

impl ForecastHead {
    /// A head for features of a shape, which foretells `[channels, horizon]`.
    ///
    /// # Errors
    /// When the projection does not fit the features.
    pub fn new(
        config: &ForecastConfig,
        features: &FeatureSpec,
        [channels, horizon]: [usize; 2],
        apart: bool,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        let standing = match features.grid {
            _ if apart => Standing::Apart,
            Some(Grid { height, .. }) if height == channels => Standing::Picture,
            _ => Standing::Together,
        };
        let each = config.loss.each();
        let refuse = |problem: String, expected: &str| ConfigError::value("projection", problem, expected);
        let length = match standing {
            Standing::Picture => features.length / channels,
            Standing::Apart | Standing::Together => features.length,
        };
        let from = match config.projection {
            Projection::Flatten => length * features.width,
            Projection::Mean | Projection::Max | Projection::First | Projection::Last => features.width,
            Projection::Channels if standing == Standing::Together && length >= channels => features.width,
            Projection::Channels => {
                let problem = format!("{features} are no token for each of {channels} channels");
                return Err(refuse(problem, "the stem `channels` for it, or another projection"));
            }
            Projection::None => {
                let wanted = FeatureSpec::row(horizon, channels * each);
                if standing != Standing::Together
                    || [features.length, features.width] != [horizon, wanted.width]
                {
                    let problem = format!("{features} are no forecast, which is {wanted}");
                    return Err(refuse(problem, "a backbone that makes forecasts, or another projection"));
                }
                features.width
            }
        };
        let to = match (standing, config.projection) {
            (Standing::Together, Projection::Channels) | (Standing::Apart | Standing::Picture, _) => {
                horizon * each
            }
            (Standing::Together, _) => horizon * channels * each,
        };
        let map = || LinearConfig::new(from, to).init(device);
        Ok(Self {
            linear: (config.projection != Projection::None).then(map),
            dropout: DropoutConfig::new(config.dropout).init(),
            projection: config.projection,
            loss: config.loss.clone(),
            standing,
            channels,
            horizon,
        })
    }

    /// `[rows, length, width]` → `[rows, values]`, what the map reads.
    fn gather(&self, features: Features) -> Tensor<2> {
        let [rows, length, width] = features.tokens.dims();
        let pool = match self.projection {
            Projection::Flatten | Projection::Channels | Projection::None => {
                return features.tokens.reshape([rows, length * width]);
            }
            Projection::Mean => Pool::Mean,
            Projection::Max => Pool::Max,
            Projection::First => Pool::First,
            Projection::Last => Pool::Last,
        };
        pool.forward(features)
    }

    /// The forecast on the scale of the network.
    fn project(&self, features: Features) -> Tensor<3> {
        let [rows, _, width] = features.tokens.dims();
        let (channels, horizon, each) = (self.channels, self.horizon, self.loss.each());
        let Some(linear) = &self.linear else { return features.tokens };
        // Every channel has a row of its own, or all have one together.
        let features = match (self.standing, self.projection) {
            (Standing::Together, Projection::Channels) => {
                let tokens = features.tokens.narrow(1, 0, channels).reshape([rows * channels, 1, width]);
                Features::row(tokens)
            }
            (Standing::Picture, _) => {
                let [_, length, _] = features.tokens.dims();
                Features::row(features.tokens.reshape([rows * channels, length / channels, width]))
            }
            (Standing::Apart | Standing::Together, _) => features,
        };
        let mapped = linear.forward(dropout(&self.dropout, self.gather(features)));
        let [mapped_rows, _] = mapped.dims();
        if self.has_rows_of_channels() {
            let batch = mapped_rows / channels;
            let apart = mapped.reshape([batch, channels, horizon, each]).swap_dims(1, 2);
            return apart.reshape([batch, horizon, channels * each]);
        }
        mapped.reshape([mapped_rows, horizon, channels * each])
    }

    /// Whether the map is applied to each channel for itself.
    fn has_rows_of_channels(&self) -> bool {
        self.standing != Standing::Together || self.projection == Projection::Channels
    }
}

impl Head for ForecastHead {
    fn forward(&self, features: Features) -> Tensor<3> {
        let shared = features.shared.clone();
        let forecast = self.project(features);
        let (channels, horizon, each) = (self.channels, self.horizon, self.loss.each());
        let [batch, _, _] = forecast.dims();
        assert_shape!(forecast, [batch, horizon, channels * each]);
        let found = |name| shared.find::<3>(name).map(|values| values.reshape([batch, 1, channels, 1]));
        let (Some(location), Some(scale)) = (found(Shared::SERIES_LOCATION), found(Shared::SERIES_SCALE))
        else {
            return forecast;
        };
        let shape = [batch, horizon, channels, each];
        let whole = forecast.reshape(shape) * scale + location;
        whole.reshape([batch, horizon, channels * each])
    }

    fn loss(&self, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>> {
        self.loss.apply(outputs, targets)
    }

    fn layers(&self, _input: &FeatureSpec) -> Vec<Layer> {
        let values = self.horizon * self.channels * self.loss.each();
        let times = if self.has_rows_of_channels() { self.channels } else { 1 };
        let row = |linear: &Linear| Layer {
            name: "linear".to_owned(),
            output: format!("{} steps of {}", self.horizon, self.channels * self.loss.each()),
            parameters: linear.num_params(),
            flops: (2 * times * linear.weight.lazy_shape().num_elements()) as u64,
            activations: values,
        };
        self.linear.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Param;
    use burn::tensor::TensorData;

    const CHANNELS: usize = 2;
    const HORIZON: usize = 3;

    fn counted(shape: [usize; 3], device: &Device) -> Tensor<3> {
        let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|value| value as f32 * 0.1).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn head(projection: Projection, loss: ForecastLoss, features: &FeatureSpec, apart: bool) -> ForecastHead {
        let device = ansatz_device::open("cpu").unwrap();
        let config = ForecastConfig { projection, loss, dropout: 0.0 };
        ForecastHead::new(&config, features, [CHANNELS, HORIZON], apart, &device).unwrap()
    }

    fn values(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn channels_apart_and_channels_of_a_picture_are_foretold_alike() {
        let device = ansatz_device::open("cpu").unwrap();
        let quantiles = ForecastLoss::Quantiles(vec![0.2, 0.8]);
        let apart = head(Projection::Flatten, quantiles.clone(), &FeatureSpec::row(4, 5), true);
        let grid = Grid { height: CHANNELS, width: 4 };
        let mut picture = head(Projection::Flatten, quantiles, &FeatureSpec::picture(grid, 5), false);
        picture.linear = apart.linear.clone();
        let rows = counted([3 * CHANNELS, 4, 5], &device);
        let whole = rows.clone().reshape([3, CHANNELS * 4, 5]);
        let forecast = apart.forward(Features::row(rows.clone()));
        assert_eq!(forecast.dims(), [3, HORIZON, CHANNELS * 2]);
        let pictured = picture.forward(Features { grid: Some(grid), ..Features::row(whole) });
        assert_eq!(values(forecast.clone()), values(pictured));
        // The second channel of the first example is the second row.
        let alone = apart.linear.as_ref().expect("a map").forward(rows.narrow(0, 1, 1).reshape([1, 20]));
        let alone: Vec<f32> = alone.into_data().try_to_vec().unwrap();
        let second = values(forecast.narrow(0, 0, 1).narrow(2, 2, 2));
        // One row is summed in another order than several.
        assert!(second.iter().zip(&alone).all(|(second, alone)| (second - alone).abs() < 1e-5));
    }

    #[test]
    fn each_projection_reads_its_tokens() {
        let device = ansatz_device::open("cpu").unwrap();
        let features = FeatureSpec::row(4, 5);
        let tokens = || counted([2, 4, 5], &device);
        for (projection, from, rows) in [
            (Projection::Flatten, 20, 1),
            (Projection::Mean, 5, 1),
            (Projection::Max, 5, 1),
            (Projection::First, 5, 1),
            (Projection::Last, 5, 1),
            (Projection::Channels, 5, CHANNELS),
        ] {
            let head = head(projection, ForecastLoss::Mse, &features, false);
            let map = head.linear.clone().expect("a map");
            assert_eq!(map.weight.dims(), [from, HORIZON * CHANNELS / rows], "{projection:?}");
            assert_eq!(head.forward(Features::row(tokens())).dims(), [2, HORIZON, CHANNELS]);
            assert_eq!(head.layers(&features)[0].parameters, map.num_params());
        }
        let head = head(Projection::Channels, ForecastLoss::Mse, &features, false);
        let second = head.linear.as_ref().expect("a map").forward(tokens().narrow(1, 1, 1));
        let found = head.forward(Features::row(tokens())).narrow(2, 1, 1).reshape([2, 1, HORIZON]);
        assert_eq!(values(found), values(second));
    }

    #[test]
    fn what_the_stem_took_off_is_given_back() {
        let device = ansatz_device::open("cpu").unwrap();
        let mut head = head(Projection::Last, ForecastLoss::Mse, &FeatureSpec::row(1, 1), true);
        let weight = Tensor::from_data([[1.0, 2.0, 3.0]], &device);
        head.linear = Some(Linear { weight: Param::from_tensor(weight), bias: None });
        let features = Features::row(Tensor::from_data([[[1.0]], [[2.0]]], &device));
        features.shared.leave(Shared::SERIES_LOCATION, Tensor::<3>::from_data([[[10.0, 20.0]]], &device));
        features.shared.leave(Shared::SERIES_SCALE, Tensor::<3>::from_data([[[1.0, 0.5]]], &device));
        assert_eq!(values(head.forward(features)), [11.0, 21.0, 12.0, 22.0, 13.0, 23.0]);
    }

    #[test]
    fn projections_that_do_not_fit_are_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        let message = |projection: Projection, features: FeatureSpec, apart: bool| {
            let config = ForecastConfig { projection, ..ForecastConfig::default() };
            let head = ForecastHead::new(&config, &features, [CHANNELS, HORIZON], apart, &device);
            head.map(|_| ()).map_err(|error| error.to_string())
        };
        let fits = FeatureSpec::row(HORIZON, CHANNELS);
        assert_eq!(message(Projection::None, fits, false), Ok(()));
        for (projection, features, apart) in [
            (Projection::None, FeatureSpec::row(HORIZON, 5), false),
            (Projection::None, fits, true),
            (Projection::Channels, FeatureSpec::row(1, 5), false),
            (Projection::Channels, FeatureSpec::row(4, 5), true),
        ] {
            let said = message(projection, features, apart).unwrap_err();
            assert!(said.contains("`projection`"), "{said}");
        }
    }
}
