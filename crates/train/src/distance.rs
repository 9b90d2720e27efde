//! How far the insides of two networks are apart.

use burn::tensor::{Bool, Tensor};

/// Keeps the division by a size finite where the teacher's values are all alike.
const LEAST: f64 = 1e-12;

/// `Σ (s − t)² / Σ (t − t̄)²` over all real tokens and their values, `[1]`, with t̄ the mean of each value over the tokens:
/// 0 where the student's tokens are the teacher's, 1 where it knows no more than their mean.
///
/// Romero et al., FitNets, 2015, arXiv:1412.6550, equation 3, divided by the variance of what is imitated, so that layers
/// of any scale count alike.
///
/// # Shapes
/// - `student`, `teacher`: `[batch, length, width]`
/// - `mask`: `[batch, length]`, true where a token is real; `None`: all are
pub fn hidden_distance(student: Tensor<3>, teacher: Tensor<3>, mask: Option<Tensor<2, Bool>>) -> Tensor<1> {
    let real = match mask {
        Some(mask) => mask.float().cast(teacher.dtype()).unsqueeze_dim(2),
        None => teacher.clone().narrow(2, 0, 1).ones_like(),
    };
    let over_tokens = |values: Tensor<3>| values.sum_dim(0).sum_dim(1);
    let count = over_tokens(real.clone()).clamp_min(1.0);
    let mean = over_tokens(teacher.clone() * real.clone()) / count;
    let apart = ((student - teacher.clone()).square() * real.clone()).sum();
    let spread = ((teacher - mean).square() * real).sum();
    apart / spread.clamp_min(LEAST)
}

/// `Σ (S − T)² / Σ T²` over all heads and the rows of real tokens, `[1]`: the squared Frobenius distance of the matrices by
/// which two networks mix tokens, as part of the teacher's.
///
/// Bick et al., MOHAWK, 2024, arXiv:2408.10189, equation 3; for attention that is attention transfer (Zagoruyko and
/// Komodakis 2017, arXiv:1612.03928), head by head.
///
/// # Shapes
/// - `student`, `teacher`: `[batch, heads, to, from]`
/// - `mask`: `[batch, to]`, true where a token is real; `None`: all are
pub fn influence_distance(
    student: Tensor<4>,
    teacher: Tensor<4>,
    mask: Option<Tensor<2, Bool>>,
) -> Tensor<1> {
    let [batch, _, length, _] = teacher.dims();
    let of_real = |squares: Tensor<4>| match &mask {
        Some(mask) => {
            let real = mask.clone().float().cast(squares.dtype());
            (squares * real.reshape([batch, 1, length, 1])).sum()
        }
        None => squares.sum(),
    };
    let apart = of_real((student - teacher.clone()).square());
    apart / of_real(teacher.square()).clamp_min(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn device() -> Device {
        ansatz_device::open("cpu").unwrap()
    }

    fn value(tensor: Tensor<1>) -> f64 {
        f64::from(tensor.into_scalar::<f32>())
    }

    fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
        let values: Vec<f32> = tensor.to_data().try_to_vec().unwrap();
        values.into_iter().map(f64::from).collect()
    }

    #[test]
    fn the_distance_of_hidden_tokens_is_its_definition() {
        let random = |spread| Tensor::<3>::random([2, 3, 4], Distribution::Normal(1.0, spread), &device());
        let (student, teacher) = (random(1.0), random(3.0));
        let mask = [[true, true, false], [true, false, true]];
        for masked in [false, true] {
            let real = |token: usize| !masked || mask[token / 3][token % 3];
            let tokens: Vec<usize> = (0..6).filter(|token| real(*token)).collect();
            let (s, t) = (values(&student), values(&teacher));
            let (mut apart, mut spread) = (0.0, 0.0);
            for place in 0..4 {
                let at = |token: &usize| t[token * 4 + place];
                let mean = tokens.iter().map(at).sum::<f64>() / tokens.len() as f64;
                apart += tokens.iter().map(|token| (s[token * 4 + place] - at(token)).powi(2)).sum::<f64>();
                spread += tokens.iter().map(|token| (at(token) - mean).powi(2)).sum::<f64>();
            }
            let given = masked.then(|| Tensor::<2, Bool>::from_data(mask, &device()));
            let found = value(hidden_distance(student.clone(), teacher.clone(), given.clone()));
            assert!((found - apart / spread).abs() < 1e-5, "{found} and {}", apart / spread);
            assert_eq!(value(hidden_distance(teacher.clone(), teacher.clone(), given)), 0.0);
        }
        let mean = teacher.clone().mean_dim(0).mean_dim(1).expand([2, 3, 4]);
        assert!((value(hidden_distance(mean, teacher.clone(), None)) - 1.0).abs() < 1e-5);
        // The scale of a layer does not count.
        let far = value(hidden_distance(student.clone(), teacher.clone(), None));
        let scaled = value(hidden_distance(student * 100.0, teacher * 100.0, None));
        assert!((far - scaled).abs() < 1e-4 * far, "{far} and {scaled}");
    }

    #[test]
    fn the_distance_of_matrices_is_its_definition() {
        let random = || Tensor::<4>::random([2, 2, 3, 3], Distribution::Default, &device());
        let (student, teacher) = (random(), random());
        let mask = [[true, true, false], [true, false, true]];
        for masked in [false, true] {
            // Row after row of three values, three rows a head, two heads an example.
            let real = |index: &usize| !masked || mask[index / 18][index / 3 % 3];
            let (s, t) = (values(&student), values(&teacher));
            let rows: Vec<usize> = (0..36).filter(real).collect();
            let apart: f64 = rows.iter().map(|&index| (s[index] - t[index]).powi(2)).sum();
            let size: f64 = rows.iter().map(|&index| t[index].powi(2)).sum();
            let given = masked.then(|| Tensor::<2, Bool>::from_data(mask, &device()));
            let found = value(influence_distance(student.clone(), teacher.clone(), given));
            assert!((found - apart / size).abs() < 1e-5, "{found} and {}", apart / size);
        }
        assert!((value(influence_distance(teacher.zeros_like(), teacher, None)) - 1.0).abs() < 1e-6);
    }
}
