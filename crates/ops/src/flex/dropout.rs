//! Which values dropout keeps.

#![expect(unsafe_code, reason = "results are made without being zeroed first")]

use super::buffer::fill_chunks;
use crate::{GOLDEN_GAMMA, split_mix};
use burn::tensor::{Distribution, Tensor, TensorData};
use std::mem::MaybeUninit;

/// Values of a task; a multiple of the four that one random number decides.
const CHUNK: usize = 1 << 14;

/// 1 / (1 − p) where a value of `x` is kept, else 0.
pub(crate) fn kept<const D: usize>(x: &Tensor<D>, probability: f64) -> Tensor<D> {
    let device = x.device();
    let drawn = Tensor::<1>::random([2], Distribution::Uniform(0.0, 1.0), &device.clone().inner());
    let seed =
        drawn.into_data().iter::<f32>().fold(0, |seed, number| seed << 32 | u64::from(number.to_bits()));
    let values = mask(x.shape().num_elements(), seed, probability);
    Tensor::from_data(TensorData::new(values, x.dims()), &device)
}

/// Every number of SplitMix64 decides on four values by 16 bits each.
fn mask(length: usize, seed: u64, probability: f64) -> Vec<f32> {
    let scale = (1.0 / (1.0 - probability)) as f32;
    let least = (probability * f64::from(1 << 16)).round() as u64;
    let fill = |index: usize, chunk: &mut [MaybeUninit<f32>]| {
        for (place, four) in chunk.chunks_mut(4).enumerate() {
            let count = (index * CHUNK / 4 + place) as u64;
            let number = split_mix(seed.wrapping_add(count.wrapping_mul(GOLDEN_GAMMA)));
            for (part, value) in four.iter_mut().enumerate() {
                let share = number >> (16 * part) & 0xffff;
                value.write(if share >= least { scale } else { 0.0 });
            }
        }
    };
    // SAFETY: every value of a chunk is in one of its fours, all of which are written.
    unsafe { fill_chunks(length, CHUNK, fill) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_any_length_are_the_same_in_front() {
        let long = mask(CHUNK + 7, 5, 0.3);
        for length in [1, 4, 6, CHUNK, CHUNK + 3] {
            assert_eq!(mask(length, 5, 0.3), long[..length]);
        }
        assert_ne!(mask(64, 6, 0.3), long[..64]);
    }
}
