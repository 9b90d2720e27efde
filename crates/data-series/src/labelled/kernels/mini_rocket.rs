//! MiniRocket (Dempster et al. 2021, arXiv:2012.08791, section 3).

use ansatz_core::Result;
use ansatz_data::{Purpose, stream};
use rand::RngExt;
use rand::seq::index;

use super::{MiniRocketConfig, TAPS, channels_apart, overlap};

/// Kernels: three taps of nine weigh 2, the others −1 (section 3.1.1).
const KERNELS: usize = 84;

/// The most channels that a kernel sees at once.
const MOST_CHANNELS: usize = 9;

/// ```text
/// C = w ∗ x                    w of {−1, 2}⁹ with sum 0, taps d steps apart
/// y = share of the steps with C > b
/// ```
///
/// Distances d grow exponentially up to what fits the series, and thresholds b are quantiles of the answers of
/// training series. Every second kernel counts the steps alone at which it lies inside the series (section 3.1.4).
/// Of several channels a kernel sees the sum of a few, drawn at random.
#[derive(Debug, Clone)]
pub(super) struct MiniRocket {
    length: usize,
    channels: usize,
    dilations: Vec<Dilation>,
    thresholds: Vec<f32>,
}

/// The kernels whose taps are equally far apart.
#[derive(Debug, Clone)]
struct Dilation {
    /// Steps between taps.
    distance: usize,
    /// Thresholds of each kernel.
    thresholds: usize,
    /// The channels that each kernel sees.
    channels: Vec<Vec<usize>>,
}

/// Channels apart, each step by step.
type Planes = Vec<Vec<f32>>;

impl MiniRocket {
    pub(super) fn new(config: &MiniRocketConfig, [length, channels]: [usize; 2]) -> Self {
        let mut random = stream(0, Purpose::Kernel, 0, 0);
        let mut seen = || {
            // 2^u with u even up to log₂ of the most that are seen, and one more.
            let most = channels.min(MOST_CHANNELS);
            let count = random.random_range(0.0..((most + 1) as f64).log2()).exp2() as usize;
            let mut chosen = index::sample(&mut random, channels, count.clamp(1, most)).into_vec();
            chosen.sort_unstable();
            chosen
        };
        let dilation = |(distance, thresholds)| {
            let channels = (0..KERNELS).map(|_| seen()).collect();
            Dilation { distance, thresholds, channels }
        };
        let dilations: Vec<Dilation> = distances(config, length).into_iter().map(dilation).collect();
        let count = dilations.iter().map(|dilation| KERNELS * dilation.thresholds).sum();
        Self { length, channels, dilations, thresholds: vec![0.0; count] }
    }

    /// How many responses there are.
    pub(super) fn count(&self) -> usize {
        self.thresholds.len()
    }

    pub(super) fn thresholds(&self) -> &[f32] {
        &self.thresholds
    }

    pub(super) fn set_thresholds(&mut self, thresholds: &[f32]) -> Result<(), String> {
        if thresholds.len() != self.count() {
            return Err(format!("{} thresholds for {} responses", thresholds.len(), self.count()));
        }
        self.thresholds.copy_from_slice(thresholds);
        Ok(())
    }

    /// Takes the thresholds of each kernel from what it answers to a training series, drawn at random: those of all
    /// kernels together are the quantiles n φ mod 1 for n = 1, 2, … with the golden ratio φ (section 3.1.2).
    pub(super) fn fit(&mut self, examples: usize, series: impl Fn(usize) -> Result<Vec<f32>>) -> Result<()> {
        let ratio = f64::midpoint(1.0, 5f64.sqrt());
        let mut random = stream(0, Purpose::Kernel, 0, 1);
        let mut thresholds = Vec::with_capacity(self.count());
        for dilation in &self.dilations {
            for (kernel, taps) in kernels().enumerate() {
                let values = series(random.random_range(0..examples))?;
                let x = channels_apart(&values, self.length, self.channels);
                let shifted = Shifted::new(&x, dilation.distance, &dilation.channels[kernel]);
                let mut answers = vec![0.0; self.length];
                shifted.answers(taps, &dilation.channels[kernel], &mut answers);
                answers.sort_unstable_by(f32::total_cmp);
                for _ in 0..dilation.thresholds {
                    let share = ((thresholds.len() + 1) as f64 * ratio).fract();
                    thresholds.push(quantile(&answers, share));
                }
            }
        }
        self.thresholds = thresholds;
        Ok(())
    }

    /// Writes the responses of a series `[steps × channels]` behind `responses`.
    pub(super) fn respond(&self, values: &[f32], responses: &mut Vec<f32>) {
        let x = channels_apart(values, self.length, self.channels);
        let all: Vec<usize> = (0..self.channels).collect();
        let mut answers = vec![0.0; self.length];
        let mut thresholds = &self.thresholds[..];
        for (index, dilation) in self.dilations.iter().enumerate() {
            let shifted = Shifted::new(&x, dilation.distance, &all);
            for (kernel, taps) in kernels().enumerate() {
                shifted.answers(taps, &dilation.channels[kernel], &mut answers);
                // The longest distance leaves at least one step inside.
                let outside = if (index + kernel) % 2 == 0 { 0 } else { TAPS / 2 * dilation.distance };
                let counted = &answers[outside..self.length - outside];
                let (own, others) = thresholds.split_at(dilation.thresholds);
                responses.extend(own.iter().map(|threshold| share_above(counted, *threshold)));
                thresholds = others;
            }
        }
    }
}

/// Distances between taps, ascending, each with the thresholds of a kernel (section 3.1.3): exponents are even up to
/// the distance at which a kernel is as long as the series, and equal distances become one.
fn distances(config: &MiniRocketConfig, length: usize) -> Vec<(usize, usize)> {
    let each = config.features / KERNELS;
    let count = each.min(config.dilations);
    let last = ((length - 1) as f64 / (TAPS - 1) as f64).log2();
    let mut found: Vec<(usize, usize)> = Vec::new();
    for place in 0..count {
        let exponent = if count > 1 { last * place as f64 / (count - 1) as f64 } else { 0.0 };
        // A power of whole exponent may come out a little too small.
        let distance = (exponent.exp2() + 1e-9) as usize;
        match found.last_mut() {
            Some((known, times)) if *known == distance => *times += 1,
            _ => found.push((distance, 1)),
        }
    }
    for (_, times) in &mut found {
        *times = *times * each / count;
    }
    let given: usize = found.iter().map(|(_, times)| times).sum();
    let distances = found.len();
    for place in 0..each - given {
        found[place % distances].1 += 1;
    }
    found
}

/// The taps of weight 2 of every kernel, in lexical order.
fn kernels() -> impl Iterator<Item = [usize; 3]> {
    let pairs = |first: usize| {
        (first + 1..TAPS).flat_map(move |second| (second + 1..TAPS).map(move |third| [first, second, third]))
    };
    (0..TAPS).flat_map(pairs)
}

/// What all kernels of one distance share: `w ∗ x = Σ_j 3 x[t + (i_j − 4) d] − Σ_i x[t + (i − 4) d]`.
struct Shifted {
    /// For each channel, the second sum with its sign.
    base: Planes,
    /// For each channel, 3 x as each tap sees it.
    taps: Vec<[Vec<f32>; TAPS]>,
}

impl Shifted {
    /// For some of the channels; those of the others stay empty.
    fn new(x: &Planes, distance: usize, channels: &[usize]) -> Self {
        let mut shifted = Self { base: vec![Vec::new(); x.len()], taps: vec![Default::default(); x.len()] };
        for &channel in channels {
            let x = &x[channel];
            let mut base = vec![0.0; x.len()];
            let taps = std::array::from_fn(|tap| {
                let mut seen = vec![0.0; x.len()];
                let (to, from) = overlap(x.len(), tap, distance);
                for ((seen, base), x) in seen[to.clone()].iter_mut().zip(&mut base[to]).zip(&x[from]) {
                    *seen = 3.0 * x;
                    *base -= x;
                }
                seen
            });
            shifted.base[channel] = base;
            shifted.taps[channel] = taps;
        }
        shifted
    }

    /// What the kernel with the taps `[first, second, third]` answers at every step.
    fn answers(&self, [first, second, third]: [usize; 3], channels: &[usize], answers: &mut [f32]) {
        answers.fill(0.0);
        for &channel in channels {
            let (base, taps) = (&self.base[channel], &self.taps[channel]);
            let sums = base.iter().zip(&taps[first]).zip(&taps[second]).zip(&taps[third]);
            for (answer, (((base, first), second), third)) in answers.iter_mut().zip(sums) {
                *answer += base + first + second + third;
            }
        }
    }
}

/// The share of values above a threshold.
fn share_above(values: &[f32], threshold: f32) -> f32 {
    let above: u32 = values.iter().map(|value| u32::from(*value > threshold)).sum();
    above as f32 / values.len() as f32
}

/// The quantile of ascending values, on straight lines between them.
fn quantile(sorted: &[f32], share: f64) -> f32 {
    let at = share * (sorted.len() - 1) as f64;
    let below = at as usize;
    let (low, high) = (f64::from(sorted[below]), f64::from(sorted[(below + 1).min(sorted.len() - 1)]));
    (low + (high - low) * (at - below as f64)) as f32
}

#[cfg(test)]
mod tests {
    use super::super::slide;
    use super::*;

    #[test]
    fn distances_are_those_of_the_published_program() {
        // As NumPy finds them: unique(logspace(0, log2((length - 1) / 8), …, base = 2)) and what the program makes of it.
        let of = |length, features, dilations| distances(&MiniRocketConfig { features, dilations }, length);
        assert_eq!(of(65, 9996, 32), [(1, 41), (2, 23), (3, 15), (4, 12), (5, 11), (6, 11), (7, 3), (8, 3)]);
        assert_eq!(of(100, 840, 8), [(1, 3), (2, 3), (4, 1), (6, 1), (8, 1), (12, 1)]);
        assert_eq!(of(9, 84, 32), [(1, 1)]);
        let long = of(1460, 9996, 32);
        assert_eq!(long[long.len() - 3..], [(130, 3), (154, 3), (182, 3)]);
    }

    /// What another program made of a few series, see `tests/fixtures/mini_rocket.py`.
    #[derive(serde::Deserialize)]
    struct Published {
        channels: usize,
        features: usize,
        most_dilations: usize,
        series: Vec<Vec<f32>>,
        dilations: Vec<(usize, usize)>,
        /// The channels that each kernel of each distance sees.
        seen: Vec<Vec<usize>>,
        thresholds: Vec<f32>,
        responses: Vec<Vec<f32>>,
    }

    #[test]
    fn responses_are_those_of_the_published_program() {
        let published = include_str!("../../../tests/fixtures/mini_rocket.json");
        let cases: Vec<Published> = serde_json::from_str(published).unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let length = case.series[0].len() / case.channels;
            let config = MiniRocketConfig { features: case.features, dilations: case.most_dilations };
            assert_eq!(distances(&config, length), case.dilations);
            let mut ours = MiniRocket::new(&config, [length, case.channels]);
            for (dilation, seen) in ours.dilations.iter_mut().zip(case.seen.chunks(KERNELS)) {
                dilation.channels = seen.to_vec();
            }
            ours.set_thresholds(&case.thresholds).unwrap();
            for (series, expected) in case.series.iter().zip(&case.responses) {
                let mut found = Vec::new();
                ours.respond(series, &mut found);
                assert_eq!(found.len(), expected.len());
                for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
                    assert!((found - expected).abs() < 1e-6, "{place}: {found} instead of {expected}");
                }
            }
        }
    }

    #[test]
    fn responses_are_those_of_kernels_one_by_one() {
        assert_eq!(
            (kernels().count(), kernels().next(), kernels().last()),
            (84, Some([0, 1, 2]), Some([6, 7, 8]))
        );
        for channels in [1, 3] {
            let config = MiniRocketConfig { features: 84 * 7, dilations: 4 };
            let length = 41;
            let mut fast = MiniRocket::new(&config, [length, channels]);
            let series = |index: usize| -> Result<Vec<f32>> {
                let value =
                    |at: usize| ((at * 7 + index * 13) % 17) as f32 * 0.3 - 2.0 + (at as f32 * 0.1).sin();
                Ok((0..length * channels).map(value).collect())
            };
            fast.fit(4, series).unwrap();
            let x = channels_apart(&series(2).unwrap(), length, channels);
            let mut found = Vec::new();
            fast.respond(&series(2).unwrap(), &mut found);
            assert_eq!(found.len(), fast.count());
            let mut place = 0;
            for (index, dilation) in fast.dilations.iter().enumerate() {
                for (kernel, twos) in kernels().enumerate() {
                    let weights: [f32; TAPS] =
                        std::array::from_fn(|tap| if twos.contains(&tap) { 2.0 } else { -1.0 });
                    let mut answers = vec![0.0f32; length];
                    for &channel in &dilation.channels[kernel] {
                        let mut own = vec![0.0; length];
                        slide(&x[channel], &weights, dilation.distance, &mut own);
                        answers.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
                    }
                    let outside = if (index + kernel) % 2 == 0 { 0 } else { 4 * dilation.distance };
                    let counted = &answers[outside..length - outside];
                    for _ in 0..dilation.thresholds {
                        let threshold = fast.thresholds[place];
                        // Rounding decides nothing but which side of its threshold a value lies on that is as large.
                        let [least, most] =
                            [1e-4, -1e-4].map(|shift| share_above(counted, threshold + shift));
                        assert!(
                            (least..=most).contains(&found[place]),
                            "{place}: {} outside {least}–{most}",
                            found[place]
                        );
                        place += 1;
                    }
                }
            }
        }
    }

    #[test]
    fn quantiles_lie_on_straight_lines() {
        assert_eq!(
            [0.0, 0.25, 0.5, 1.0].map(|share| quantile(&[1.0, 2.0, 4.0], share)),
            [1.0, 1.5, 2.0, 4.0]
        );
    }
}
