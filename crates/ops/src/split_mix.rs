//! Numbers that look random, made by counting: SplitMix64 (Steele, Lea, Flood, Fast splittable pseudorandom number
//! generators, 2014, figure 14).

/// What the state of the generator grows by from number to number.
pub const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number that belongs to a state.
pub fn split_mix(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_published_ones() {
        // The first two from seed 0.
        assert_eq!(split_mix(GOLDEN_GAMMA), 0xe220_a839_7b1d_cdaf);
        assert_eq!(split_mix(GOLDEN_GAMMA.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
    }
}
