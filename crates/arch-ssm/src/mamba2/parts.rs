//! What the tokens are mapped to, and where it stands.

use burn::tensor::Tensor;

use super::PartScales;

/// How many of what there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Channels of x and of the gate.
    pub(crate) channels: usize,
    /// Heads, a divisor of the channels.
    pub(crate) heads: usize,
    /// Groups of heads that share B and C, a divisor of the heads.
    pub(crate) groups: usize,
    /// Numbers of B and of C for each group.
    pub(crate) state: usize,
}

impl Sizes {
    /// Values of x, B and C, which pass the convolution together.
    pub(crate) fn convolved(self) -> usize {
        self.channels + 2 * self.groups * self.state
    }

    /// Values that a token is mapped to: z, then x, B and C, then the time steps.
    pub(crate) fn mapped(self) -> usize {
        self.channels + self.convolved() + self.heads
    }

    /// z, the joined x, B and C, and the steps, each times its factor.
    pub(crate) fn split(self, mapped: Tensor<3>, scales: &PartScales) -> [Tensor<3>; 3] {
        let part = |start: usize, size: usize, factor: f64| {
            let part = mapped.clone().narrow(2, start, size);
            if factor == 1.0 { part } else { part * factor }
        };
        let (channels, inner) = (self.channels, self.groups * self.state);
        let steps = channels + self.convolved();
        let convolved = if [scales.x, scales.input, scales.output] == [1.0; 3] {
            part(channels, self.convolved(), 1.0)
        } else {
            let x = part(channels, channels, scales.x);
            let input = part(2 * channels, inner, scales.input);
            Tensor::cat(vec![x, input, part(2 * channels + inner, inner, scales.output)], 2)
        };
        [part(0, channels, scales.gate), convolved, part(steps, self.heads, scales.step)]
    }

    /// x `[batch, heads, length, channels / heads]`, B and C `[batch, heads, length, state]`.
    pub(crate) fn heads(self, convolved: Tensor<3>) -> [Tensor<4>; 3] {
        let [batch, length, _] = convolved.dims();
        let inner = self.groups * self.state;
        let part = |start: usize, size: usize, parts: usize| {
            let part = convolved.clone().narrow(2, start, size);
            part.reshape([batch, length, parts, size / parts]).swap_dims(1, 2)
        };
        // Head h uses group h / (heads / groups).
        let shared = |start: usize| {
            let part = part(start, inner, self.groups);
            if self.heads == self.groups {
                return part;
            }
            let each = [batch, self.groups, self.heads / self.groups, length, self.state];
            part.unsqueeze_dim::<5>(2).expand(each).reshape([batch, self.heads, length, self.state])
        };
        [part(0, self.channels, self.heads), shared(self.channels), shared(self.channels + inner)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_device::open;

    const SIZES: Sizes = Sizes { channels: 4, heads: 4, groups: 2, state: 1 };

    #[test]
    fn parts_stand_behind_each_other() {
        let device = open("cpu").unwrap();
        let mapped = Tensor::arange(0..SIZES.mapped() as i64, &device).float().unsqueeze::<3>();
        let scales = PartScales { input: 10.0, step: 2.0, ..PartScales::default() };
        let [gate, convolved, step] = SIZES.split(mapped, &scales);
        gate.into_data().assert_eq(&[[[0.0f32, 1.0, 2.0, 3.0]]].into(), true);
        convolved.into_data().assert_eq(&[[[4.0f32, 5.0, 6.0, 7.0, 80.0, 90.0, 10.0, 11.0]]].into(), true);
        step.into_data().assert_eq(&[[[24.0f32, 26.0, 28.0, 30.0]]].into(), true);
    }

    #[test]
    fn heads_of_a_group_share_its_numbers() {
        let device = open("cpu").unwrap();
        let convolved = Tensor::<3>::from_data([[[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]]], &device);
        let [x, input, output] = SIZES.heads(convolved);
        x.into_data().assert_eq(&[[[[0.0f32]], [[1.0]], [[2.0]], [[3.0]]]].into(), true);
        input.into_data().assert_eq(&[[[[4.0f32]], [[4.0]], [[5.0]], [[5.0]]]].into(), true);
        output.into_data().assert_eq(&[[[[6.0f32]], [[6.0]], [[7.0]], [[7.0]]]].into(), true);
    }
}
