//! Whether a device can be checked in float64.

use burn::tensor::activation::gelu;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Whether `device` computes in float64. A software GPU may store the type and lack its functions (SPIR-V has
/// exp, log and tanh for float32 alone): what comes out is then not even a number.
pub(crate) fn computes_float64(device: &Device) -> bool {
    if !device.supports_dtype(DType::F64) {
        return false;
    }
    let x = [0.5, -1.25, 3.0];
    let tensor = Tensor::<1>::from_data(TensorData::from(x), (device, DType::F64));
    let close = |tensor: Tensor<1>, expected: [f64; 3]| {
        let found: Vec<f64> = tensor.into_data().try_to_vec().unwrap_or_default();
        found.len() == 3
            && found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12)
    };
    let smooth = gelu(tensor.clone());
    close(tensor.clone().exp(), x.map(f64::exp))
        && close(tensor.clone().tanh(), x.map(f64::tanh))
        && close(tensor.abs().log(), x.map(|x| x.abs().ln()))
        && smooth
            .into_data()
            .try_to_vec::<f64>()
            .is_ok_and(|values| values.iter().all(|value| value.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_computes_in_float64() {
        assert!(computes_float64(&ansatz_device::open("cpu").unwrap()));
    }
}
