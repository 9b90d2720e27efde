//! The state space of S4D, a chunk of tokens at a time.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor};

use crate::parts::{STEPS, parameter};

/// The most tokens whose products with each other are formed; further ones meet through the state.
const CHUNK: usize = 64;

/// A diagonal state space for each channel (Gu et al. 2022, arXiv:2206.11893, equations 2 to 5, discretised by
/// zero-order hold):
///
/// ```text
/// A = −exp(a) + i ω      Ā = exp(Δ A)      C̄ = C (Ā − 1) / A      Δ = exp(d)
/// h_t = Ā h_{t−1} + u_t
/// y_t = 2 Re(C̄ · h_t)
/// ```
///
/// Complex numbers are kept as pairs of real ones.
#[derive(Module, Debug)]
pub struct Kernel {
    /// d `[channels]`, the logarithm of the time step.
    pub step: Param<Tensor<1>>,
    /// a `[channels, numbers]`, the logarithm of the decay rate.
    pub rate: Param<Tensor<2>>,
    /// ω `[channels, numbers]`.
    pub frequency: Param<Tensor<2>>,
    /// C `[channels, numbers, 2]`.
    pub output: Param<Tensor<3>>,
}

/// What a chunk needs of the parameters; `numbers` complex ones per channel.
struct Powers {
    /// Real and imaginary part of Ā^j, `[channels, numbers, tokens + 1]`, j from 0 on.
    power: [Tensor<3>; 2],
    /// Real and imaginary part of 2 C̄, `[channels, numbers, 1]`.
    output: [Tensor<3>; 2],
}

impl Kernel {
    /// The initialization S4D-Lin (equation 9): A_n = −1/2 + i π n.
    pub(super) fn new(channels: usize, numbers: usize, device: &Device) -> Self {
        let [min, max] = STEPS.map(f64::ln);
        let normal = Initializer::Normal { mean: 0.0, std: 0.5f64.sqrt() };
        let frequency = Tensor::arange(0..numbers as i64, device).float() * std::f64::consts::PI;
        Self {
            step: Initializer::Uniform { min, max }.init([channels], device),
            rate: Initializer::Constant { value: 0.5f64.ln() }.init([channels, numbers], device),
            frequency: parameter(frequency.unsqueeze::<2>().repeat_dim(0, channels)),
            output: normal.init([channels, numbers, 2], device),
        }
    }

    /// Complex numbers per channel.
    pub(super) fn numbers(&self) -> usize {
        self.rate.lazy_shape().dims::<2>()[1]
    }

    /// The state before the first token, `[batch, channels, 2 numbers]`: the real parts, then the imaginary.
    pub(super) fn zeros(&self, batch: usize, device: &Device) -> Tensor<3> {
        let rate = self.rate.val();
        let [channels, numbers] = rate.dims();
        Tensor::zeros([batch, channels, 2 * numbers], (device, rate.dtype()))
    }

    fn powers(&self, tokens: usize) -> Powers {
        let (rate, frequency) = (self.rate.val().exp().neg(), self.frequency.val());
        let [channels, numbers] = rate.dims();
        let step = self.step.val().exp().unsqueeze_dim::<2>(1);
        let place = Tensor::<1, Int>::arange(0..tokens as i64 + 1, &rate.device()).float();
        let place = place.cast(rate.dtype()).reshape([1, 1, tokens + 1]);
        let exponent = |part: &Tensor<2>| (part.clone() * step.clone()).unsqueeze_dim::<3>(2) * place.clone();
        let (length, angle) = (exponent(&rate).exp(), exponent(&frequency));
        let power = [length.clone() * angle.clone().cos(), length * angle.sin()];
        // C̄ = C (Ā − 1) / A, with 1 / A = conj(A) / |A|².
        let [real, imaginary] = power.clone().map(|part| part.narrow(2, 1, 1));
        let [rate, frequency] = [rate, frequency].map(|part| part.unsqueeze_dim::<3>(2));
        let [c, d] = [0, 1].map(|part| self.output.val().narrow(2, part, 1));
        let hold = complex_product([real - 1.0, imaginary], [rate.clone(), frequency.clone().neg()]);
        let square = rate.clone() * rate + frequency.clone() * frequency;
        let output = complex_product([c, d], hold).map(|part| part / square.clone() * 2.0);
        debug_assert_eq!(output[0].dims(), [channels, numbers, 1]);
        Powers { power, output }
    }

    /// y `[batch, length, channels]`, and the state behind the last token, from `state` on.
    pub(super) fn scan(&self, u: Tensor<3>, mut state: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [_, length, _] = u.dims();
        let chunk = CHUNK.min(length);
        let powers = self.powers(chunk);
        let mut outputs = Vec::new();
        let mut done = 0;
        for tokens in [chunk, length % chunk] {
            let chunks = (length - done).checked_div(tokens).unwrap_or(0);
            if chunks > 0 {
                let part = u.clone().narrow(1, done, chunks * tokens);
                let (y, last) = powers.chunks(part, chunks, state);
                outputs.push(y);
                state = last;
                done += chunks * tokens;
            }
        }
        (Tensor::cat(outputs, 1), state)
    }
}

impl Powers {
    /// The same for `chunks` chunks of equal length.
    fn chunks(&self, u: Tensor<3>, chunks: usize, state: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [batch, length, channels] = u.dims();
        let tokens = length / chunks;
        // [channels, tokens, batch × chunks].
        let u = u.reshape([batch * chunks, tokens, channels]).permute([2, 1, 0]);
        let within = self.convolution(tokens).matmul(u.clone());
        // What each chunk adds to the state at its end: Ā^{tokens−1−s} u_s.
        let added = joined(self.part(0, tokens)).flip([2]).matmul(u);
        let states =
            self.starts(added.reshape([channels, added_rows(&self.power), batch, chunks]), state, tokens);
        let (starts, last) = states;
        let y = within + self.reading(tokens).matmul(starts);
        (y.permute([2, 1, 0]).reshape([batch, length, channels]), last)
    }

    /// Ā^j for j from `first` on, `[channels, numbers, count]`.
    fn part(&self, first: usize, count: usize) -> [Tensor<3>; 2] {
        self.power.clone().map(|part| part.narrow(2, first, count))
    }

    /// What a token adds to the outputs of those behind it, `[channels, to, from]`: 2 Re(C̄ Ā^{to−from}), 0 for a
    /// later token.
    fn convolution(&self, tokens: usize) -> Tensor<3> {
        let [channels, _, _] = self.power[0].dims();
        let device = self.power[0].device();
        let weights = complex_product(self.output.clone(), self.part(0, tokens))[0].clone().sum_dim(1);
        // A zero stands where the distance is negative.
        let weights = weights.reshape([channels, tokens]);
        let weights = Tensor::cat(vec![weights.clone().narrow(1, 0, 1).zeros_like(), weights], 1);
        let places: Vec<i64> = (0..tokens)
            .flat_map(|to| (0..tokens).map(move |from| (to + 1).saturating_sub(from) as i64))
            .collect();
        let places = Tensor::<1, Int>::from_data(places.as_slice(), &device);
        weights.select(1, places).reshape([channels, tokens, tokens])
    }

    /// How outputs read the state before the chunk, `[channels, tokens, 2 numbers]`: 2 C̄ Ā^{t+1}.
    fn reading(&self, tokens: usize) -> Tensor<3> {
        let [real, imaginary] = complex_product(self.output.clone(), self.part(1, tokens));
        // The real part of a product of complex numbers.
        joined([real, imaginary.neg()]).swap_dims(1, 2)
    }

    /// The states before each chunk `[channels, 2 numbers, batch × chunks]`, and the last.
    fn starts(&self, added: Tensor<4>, state: Tensor<3>, tokens: usize) -> (Tensor<3>, Tensor<3>) {
        let [channels, rows, batch, chunks] = added.dims();
        let fade = self.part(tokens, 1);
        // [channels, 2 numbers, batch].
        let mut state = state.permute([1, 2, 0]);
        let mut starts = Vec::new();
        for chunk in 0..chunks {
            starts.push(state.clone().unsqueeze_dim::<4>(3));
            let parts = [0, rows / 2].map(|first| state.clone().narrow(1, first, rows / 2));
            let new = added.clone().narrow(3, chunk, 1).reshape([channels, rows, batch]);
            state = joined(complex_product(parts, fade.clone())) + new;
        }
        let starts = Tensor::cat(starts, 3).reshape([channels, rows, batch * chunks]);
        (starts, state.permute([2, 0, 1]))
    }
}

/// Real and imaginary rows of a state.
fn added_rows(power: &[Tensor<3>; 2]) -> usize {
    2 * power[0].dims()[1]
}

/// The real rows, then the imaginary ones.
fn joined(parts: [Tensor<3>; 2]) -> Tensor<3> {
    Tensor::cat(parts.to_vec(), 1)
}

/// `(a + b i) (c + d i)`.
fn complex_product([a, b]: [Tensor<3>; 2], [c, d]: [Tensor<3>; 2]) -> [Tensor<3>; 2] {
    [a.clone() * c.clone() - b.clone() * d.clone(), a * d + b * c]
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    /// The equations in float64, one number at a time.
    fn naive(kernel: &Kernel, u: &Tensor<3>) -> Vec<f64> {
        let values =
            |data: burn::tensor::TensorData| -> Vec<f64> { data.convert::<f64>().try_to_vec().unwrap() };
        let [batch, length, channels] = u.dims();
        let numbers = kernel.numbers();
        let (u, step) = (values(u.to_data()), values(kernel.step.val().to_data()));
        let (rate, frequency) =
            (values(kernel.rate.val().to_data()), values(kernel.frequency.val().to_data()));
        let output = values(kernel.output.val().to_data());
        let times = |a: [f64; 2], b: [f64; 2]| [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];
        let mut y = vec![0.0; batch * length * channels];
        for row in 0..batch {
            for (channel, step) in step.iter().enumerate() {
                for number in 0..numbers {
                    let at = channel * numbers + number;
                    let (a, delta) = ([-rate[at].exp(), frequency[at]], step.exp());
                    let size = (a[0] * delta).exp();
                    let fade = [size * (a[1] * delta).cos(), size * (a[1] * delta).sin()];
                    let square = a[0] * a[0] + a[1] * a[1];
                    let hold = times([fade[0] - 1.0, fade[1]], [a[0] / square, -a[1] / square]);
                    let read = times([output[2 * at], output[2 * at + 1]], hold);
                    let mut state = [0.0; 2];
                    for token in 0..length {
                        let place = (row * length + token) * channels + channel;
                        state = times(state, fade);
                        state[0] += u[place];
                        y[place] += 2.0 * times(read, state)[0];
                    }
                }
            }
        }
        y
    }

    #[test]
    fn chunks_are_the_recurrence() {
        let device = ansatz_device::open("cpu").unwrap();
        for ([batch, length, channels], numbers) in
            [([1, 1, 1], 1), ([2, 7, 3], 4), ([2, 64, 2], 3), ([2, 150, 3], 5)]
        {
            let kernel = Kernel::new(channels, numbers, &device);
            let u = Tensor::<3>::random([batch, length, channels], Distribution::Normal(0.0, 1.0), &device);
            let (y, _) = kernel.scan(u.clone(), kernel.zeros(batch, &device));
            let expected: Vec<f32> = naive(&kernel, &u).into_iter().map(|value| value as f32).collect();
            let expected = burn::tensor::TensorData::new(expected, [batch, length, channels]);
            y.into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(2e-5));
        }
    }
}
