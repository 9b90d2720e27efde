//! Sums and maxima of rows, in a fixed order that fills vector registers.

/// Kept side by side, so that they fill two of the widest registers.
const LANES: usize = 32;

/// The sum of `term` over rows of one length, value by value.
#[inline(always)]
pub(super) fn sum<const N: usize>(rows: [&[f32]; N], term: impl Fn([f32; N]) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let chunks = rows.map(|row| row.as_chunks::<LANES>());
    for index in 0..chunks.iter().map(|(whole, _)| whole.len()).min().unwrap_or(0) {
        let chunk = chunks.map(|(whole, _)| whole[index]);
        for lane in 0..LANES {
            sums[lane] += term(std::array::from_fn(|row| chunk[row][lane]));
        }
    }
    let rest = chunks.iter().map(|(_, rest)| rest.len()).min().unwrap_or(0);
    for (index, sum) in sums.iter_mut().enumerate().take(rest) {
        *sum += term(std::array::from_fn(|row| chunks[row].1[index]));
    }
    sums.into_iter().sum()
}

/// The largest value, or −∞.
#[inline(always)]
pub(super) fn largest(row: &[f32]) -> f32 {
    let larger = |left: f32, right: f32| if right > left { right } else { left };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for chunk in whole {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], chunk[lane]);
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        lanes[lane] = larger(lanes[lane], value);
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_counts_once() {
        for length in [0, 1, 31, 32, 33, 97] {
            let row: Vec<f32> = (1..=length).map(|value| value as f32).collect();
            let squares: f32 = row.iter().map(|value| value * value).sum();
            assert_eq!(sum([&row, &row], |[left, right]| left * right), squares);
            assert_eq!(largest(&row), row.last().copied().unwrap_or(f32::NEG_INFINITY));
        }
    }
}
