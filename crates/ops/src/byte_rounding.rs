//! Activations as they are after they were bytes, by tensor operations: what the integer kernels do on the way, where
//! these cannot be used.

use burn::tensor::Tensor;

/// Which values become the least and the largest byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Range {
    /// The least and the largest of each row.
    OfEachRow,
    /// These two; what lies beyond becomes one of them.
    Given([f32; 2]),
}

impl Range {
    /// What a layer sees of `x` where it computes with floats: all of it, unless its range is given. Gradients pass
    /// straight through.
    pub(crate) fn seen<const D: usize>(self, x: Tensor<D>, rows: usize) -> Tensor<D> {
        match self {
            Self::OfEachRow => x,
            Self::Given(_) => straight_through(x, |x| rounded(x, rows, self)),
        }
    }
}

/// `f(x)` with the gradient of x.
pub(crate) fn straight_through<const D: usize>(
    x: Tensor<D>,
    f: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    if !x.device().is_autodiff() {
        return f(x);
    }
    let y = Tensor::from_inner(f(x.clone().inner()));
    // Exactly 0, but for its gradient.
    y + (x.clone() - x.detach())
}

/// `scale · (clamp(round(x / scale) + zero, 0, 255) − zero)`, `scale = (largest − least) / 255`,
/// `zero = round(−least / scale)`, 0 counted to the values (Jacob et al. 2018, arXiv:1712.05877, equations 1 and 7): all
/// that lies behind the first `rows` axes is one row.
pub(crate) fn rounded<const D: usize>(x: Tensor<D>, rows: usize, range: Range) -> Tensor<D> {
    let shape = x.dims();
    let count: usize = shape[..rows].iter().product();
    let values: usize = shape[rows..].iter().product();
    if count * values == 0 {
        return x;
    }
    let x = x.reshape([count, values]);
    let [least, largest] = match range {
        Range::OfEachRow => [x.clone().min_dim(1), x.clone().max_dim(1)],
        Range::Given(bounds) => bounds.map(|bound| Tensor::full([1, 1], bound, (&x.device(), x.dtype()))),
    };
    let (least, largest) = (least.clamp_max(0.0), largest.clamp_min(0.0));
    let scale = (largest / 255.0 - least.clone() / 255.0).clamp_min(f32::MIN_POSITIVE);
    let zero = (-least / scale.clone()).round().clamp_max(255.0);
    let byte = ((x * scale.clone().recip()).round() + zero.clone()).clamp(0.0, 255.0);
    ((byte - zero) * scale).reshape(shape)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::tensor::Device;

    fn floats<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_into_vec().expect("float32")
    }

    #[test]
    fn rows_are_rounded_by_themselves_to_half_a_step() {
        let x = random([2, 3, 40], &Device::flex()) + 0.3;
        for rows in [1, 2] {
            let found = floats(rounded(x.clone(), rows, Range::OfEachRow));
            let length = 40 * if rows == 1 { 3 } else { 1 };
            for (x, found) in floats(x.clone()).chunks(length).zip(found.chunks(length)) {
                let [least, largest] =
                    [x.iter().copied().fold(0.0, f32::min), x.iter().copied().fold(0.0, f32::max)];
                let step = (largest - least) / 255.0;
                assert!(x.iter().zip(found).all(|(x, found)| (x - found).abs() <= 0.501 * step));
            }
        }
    }

    #[test]
    fn what_lies_beyond_a_given_range_becomes_its_end() {
        let x = Tensor::<2>::from_floats([[-9.0, -0.5, 0.0, 0.26, 5.0]], &Device::flex());
        let found = floats(rounded(x, 1, Range::Given([-0.5, 2.05])));
        // Steps of a hundredth.
        for (found, expected) in found.iter().zip([-0.5, -0.5, 0.0, 0.26, 2.05]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
