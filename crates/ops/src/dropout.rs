//! Dropout.

use burn::nn::Dropout;
use burn::tensor::Tensor;

/// Each value is 0 with the layer's probability p, and else `x / (1 − p)`, while training; as it is otherwise (Srivastava
/// et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014).
///
/// What is left out follows from the device's random numbers, of which the fast form draws two for a whole tensor; the
/// rest it makes of these by counting.
pub fn dropout<const D: usize>(layer: &Dropout, x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if layer.prob > 0.0 && layer.training.is_enabled() && x.device().is_autodiff() && crate::flex::takes(&x) {
        return x.clone() * crate::flex::kept(&x, layer.prob);
    }
    layer.forward(x)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::nn::DropoutConfig;
    use burn::tensor::Device;

    const SHAPE: [usize; 2] = [401, 251];

    fn dropped(probability: f64, device: &Device) -> Vec<f32> {
        let layer = DropoutConfig::new(probability).init();
        dropout(&layer, Tensor::<2>::ones(SHAPE, device)).into_data().try_into_vec().unwrap()
    }

    #[test]
    fn values_are_left_out_with_the_probability_and_the_others_made_larger() {
        let device = Device::flex().autodiff();
        for probability in [0.1, 0.5, 0.97] {
            let values = dropped(probability, &device);
            let scale = (1.0 / (1.0 - probability)) as f32;
            assert!(values.iter().all(|value| *value == 0.0 || (value - scale).abs() < 1e-4 * scale));
            let zeros = values.iter().filter(|value| **value == 0.0).count() as f64;
            let expected = probability * values.len() as f64;
            let deviation = (expected * (1.0 - probability)).sqrt();
            assert!((zeros - expected).abs() < 5.0 * deviation, "{zeros} of {expected}");
            // Neighbours, and neighbours of rows, are left out independently.
            for distance in [1, SHAPE[1]] {
                let pairs = values.iter().zip(&values[distance..]);
                let both = pairs.filter(|(one, other)| **one == 0.0 && **other == 0.0).count() as f64;
                let expected = probability.powi(2) * (values.len() - distance) as f64;
                assert!((both - expected).abs() < 0.05 * expected.max(5000.0), "{both} of {expected}");
            }
        }
    }

    #[test]
    fn each_tensor_is_another_draw() {
        let device = Device::flex().autodiff();
        assert_ne!(dropped(0.5, &device), dropped(0.5, &device));
    }

    #[test]
    fn the_gradient_is_left_out_alike() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::ones(SHAPE, &device).require_grad();
        let y = dropout(&DropoutConfig::new(0.3).init(), x.clone());
        let gradient = x.grad(&y.clone().sum().backward()).expect("tracked");
        assert_eq!(gradient.into_data(), y.into_data());
    }

    #[test]
    fn nothing_is_left_out_without_training() {
        let plain = Device::flex();
        assert!(dropped(0.5, &plain).iter().all(|value| *value == 1.0));
        assert!(dropped(0.0, &plain.autodiff()).iter().all(|value| *value == 1.0));
    }
}
