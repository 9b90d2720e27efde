//! Hydra (Dempster et al. 2023, arXiv:2203.13652, section 3).

use ansatz_data::{Purpose, stream};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{HydraConfig, TAPS, channels_apart, slide};

/// In groups of kernels with normally distributed weights, taps 2ⁿ steps apart, at every step one answers most and one
/// least:
///
/// ```text
/// y_k = Σ w_k ∗ x[t]   over the steps t at which kernel k answers most of its group
/// z_k = the number of steps at which it answers least
/// ```
///
/// Half of the groups see the series, half how it changes from step to step. Of several channels a group sees the sum
/// of a few, drawn at random.
#[derive(Debug, Clone)]
pub(super) struct Hydra {
    length: usize,
    channels: usize,
    kernels: usize,
    /// For each distance, the groups that see the series, and those that see its changes.
    dilations: Vec<[Vec<Group>; 2]>,
}

/// Kernels that compete.
#[derive(Debug, Clone)]
struct Group {
    taps: Vec<[f32; TAPS]>,
    channels: Vec<usize>,
}

impl Group {
    fn new(kernels: usize, channels: usize, random: &mut ChaCha8Rng) -> Self {
        let mut taps = || {
            let drawn: [f32; TAPS] = std::array::from_fn(|_| StandardNormal.sample(random));
            let mean = drawn.iter().sum::<f32>() / TAPS as f32;
            let centred = drawn.map(|tap| tap - mean);
            let size: f32 = centred.iter().map(|tap| tap.abs()).sum();
            centred.map(|tap| tap / size)
        };
        let taps = (0..kernels).map(|_| taps()).collect();
        let seen = (channels / 2).clamp(2, 8);
        let channels = match channels {
            1 => vec![0],
            several => (0..seen).map(|_| random.random_range(0..several)).collect(),
        };
        Self { taps, channels }
    }
}

impl Hydra {
    pub(super) fn new(config: &HydraConfig, [length, channels]: [usize; 2]) -> Self {
        let mut random = stream(0, Purpose::Kernel, 0, 2);
        let last = ((length - 1) / (TAPS - 1)).ilog2();
        let mut groups = || -> Vec<Group> {
            (0..config.groups / 2).map(|_| Group::new(config.kernels, channels, &mut random)).collect()
        };
        let dilations = (0..=last).map(|_| [groups(), groups()]).collect();
        Self { length, channels, kernels: config.kernels, dilations }
    }

    /// How many responses there are.
    pub(super) fn count(&self) -> usize {
        self.dilations.iter().flatten().map(|groups| 2 * self.kernels * groups.len()).sum()
    }

    /// Writes the responses of a series `[steps × channels]` behind `responses`: for each distance, and for the series
    /// and its changes, y of all kernels and z of all kernels.
    pub(super) fn respond(&self, values: &[f32], responses: &mut Vec<f32>) {
        let series = channels_apart(values, self.length, self.channels);
        let changes = |x: &Vec<f32>| x.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let seen = [series.iter().map(changes).collect(), series];
        let [changes, series]: [Vec<Vec<f32>>; 2] = seen;
        for (exponent, halves) in self.dilations.iter().enumerate() {
            for (groups, seen) in halves.iter().zip([&series, &changes]) {
                let mut least = Vec::with_capacity(groups.len() * self.kernels);
                for group in groups {
                    let [sums, counts] = compete(group, seen, 1 << exponent);
                    responses.extend(sums);
                    least.extend(counts);
                }
                responses.extend(least);
            }
        }
    }
}

/// y and z of the kernels of a group.
fn compete(group: &Group, seen: &[Vec<f32>], dilation: usize) -> [Vec<f32>; 2] {
    let mut x = vec![0.0; seen[0].len()];
    for &channel in &group.channels {
        x.iter_mut().zip(&seen[channel]).for_each(|(sum, x)| *sum += x);
    }
    let mut most = vec![(f32::NEG_INFINITY, 0usize); x.len()];
    let mut least = vec![(f32::INFINITY, 0usize); x.len()];
    let mut answers = vec![0.0; x.len()];
    for (kernel, taps) in group.taps.iter().enumerate() {
        slide(&x, taps, dilation, &mut answers);
        for ((answer, most), least) in answers.iter().zip(&mut most).zip(&mut least) {
            if *answer > most.0 {
                *most = (*answer, kernel);
            }
            if *answer < least.0 {
                *least = (*answer, kernel);
            }
        }
    }
    let [mut sums, mut counts] = [(); 2].map(|()| vec![0.0; group.taps.len()]);
    most.iter().for_each(|(answer, kernel)| sums[*kernel] += answer);
    least.iter().for_each(|(_, kernel)| counts[*kernel] += 1.0);
    [sums, counts]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_every_step_one_kernel_answers_most_and_one_least() {
        for channels in [1, 5] {
            let (length, config) = (50, HydraConfig { groups: 6, kernels: 4 });
            let hydra = Hydra::new(&config, [length, channels]);
            // 49 / 8 = 6, hence distances 1, 2 and 4.
            assert_eq!(hydra.dilations.len(), 3);
            assert_eq!(hydra.count(), 3 * 6 * 4 * 2);
            let values: Vec<f32> =
                (0..length * channels).map(|at| ((at * at) % 13) as f32 - 6.0 + at as f32 * 0.01).collect();
            let mut found = Vec::new();
            hydra.respond(&values, &mut found);
            let planes = channels_apart(&values, length, channels);
            let mut place = 0;
            for (exponent, halves) in hydra.dilations.iter().enumerate() {
                for (half, groups) in halves.iter().enumerate() {
                    let steps = length - half;
                    for (number, group) in groups.iter().enumerate() {
                        let at = |step: usize| -> f32 {
                            let value = |channel: &usize| match half {
                                0 => planes[*channel][step],
                                _ => planes[*channel][step + 1] - planes[*channel][step],
                            };
                            group.channels.iter().map(value).sum()
                        };
                        let x: Vec<f32> = (0..steps).map(at).collect();
                        let answers: Vec<Vec<f32>> = group
                            .taps
                            .iter()
                            .map(|taps| {
                                let mut y = vec![0.0; steps];
                                slide(&x, taps, 1 << exponent, &mut y);
                                y
                            })
                            .collect();
                        let (mut sums, mut counts) = (vec![0.0; 4], vec![0.0; 4]);
                        let at_step = |step: usize| answers.iter().map(|y| y[step]).collect::<Vec<f32>>();
                        for answers in (0..steps).map(at_step) {
                            let of = |kernel: usize| answers[kernel];
                            let best = (0..4).rev().max_by(|a, b| of(*a).total_cmp(&of(*b))).unwrap();
                            let worst = (0..4).min_by(|a, b| of(*a).total_cmp(&of(*b))).unwrap();
                            sums[best] += of(best);
                            counts[worst] += 1.0;
                        }
                        let own = place + number * 4;
                        assert_eq!(found[own..own + 4], sums);
                        let own = own + groups.len() * 4;
                        assert_eq!(found[own..own + 4], counts);
                    }
                    place += groups.len() * 8;
                }
            }
        }
    }

    #[test]
    fn kernels_have_no_mean_and_size_one() {
        let hydra = Hydra::new(&HydraConfig::default(), [9, 1]);
        assert_eq!(hydra.dilations.len(), 1);
        for group in hydra.dilations.iter().flatten().flatten() {
            for taps in &group.taps {
                assert!(taps.iter().sum::<f32>().abs() < 1e-5);
                assert!((taps.iter().map(|tap| tap.abs()).sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }
}
