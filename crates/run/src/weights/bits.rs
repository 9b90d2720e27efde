//! Whole numbers of a few bits each, one behind the other.

/// Packs the low `bits` bits of each code, the first in the lowest bits of the first byte; `bits` is 1 to 8.
pub(crate) fn pack(codes: impl IntoIterator<Item = i8>, bits: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut waiting, mut held) = (0_u32, 0_u32);
    for code in codes {
        waiting |= (u32::from(code as u8) & ((1 << bits) - 1)) << held;
        held += bits;
        if held >= 8 {
            bytes.push(waiting as u8);
            waiting >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        bytes.push(waiting as u8);
    }
    bytes
}

/// The first `count` codes of `bits` bits each, their sign in the highest bit; `None` unless `bytes` are as many as
/// they take.
pub(crate) fn unpack(bytes: &[u8], bits: u32, count: usize) -> Option<Vec<i8>> {
    if !(1..=8).contains(&bits) || count.checked_mul(bits as usize)?.div_ceil(8) != bytes.len() {
        return None;
    }
    let code = |index: usize| {
        let first = index * bits as usize;
        let low = u16::from(bytes[first / 8]);
        let high = u16::from(bytes.get(first / 8 + 1).copied().unwrap_or(0));
        let raw = (low | high << 8) >> (first % 8);
        // The sign goes to the top, and comes back down with its copies.
        ((raw << (8 - bits)) as u8 as i8) >> (8 - bits)
    };
    Some((0..count).map(code).collect())
}

/// The fewest bits, from 2, that hold each of `codes` with its sign.
pub(crate) fn width(codes: &[i8]) -> u32 {
    let needed = |code: &i8| 9 - if *code < 0 { !*code } else { *code }.leading_zeros();
    codes.iter().map(needed).max().unwrap_or(0).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_stand_one_behind_the_other() {
        assert_eq!(pack([1, 2, 3], 3), [0b11_010_001, 0]);
        assert_eq!(pack([-1, 0, -8], 4), [0x0f, 0x08]);
        assert_eq!(pack([1, 0, 1, 1], 1), [0b1101]);
        assert_eq!(unpack(&[0b11_010_001, 0], 3, 3).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn the_width_is_that_of_the_widest() {
        for (codes, bits) in [
            (&[0, 1, -2][..], 2),
            (&[3, -3], 3),
            (&[-4], 3),
            (&[7, -7], 4),
            (&[-8], 4),
            (&[8], 5),
            (&[-128], 8),
        ] {
            assert_eq!(width(codes), bits, "{codes:?}");
        }
        assert_eq!(width(&[]), 2);
    }

    #[test]
    fn bytes_of_another_length_are_refused() {
        for (length, bits, count) in [(2, 3, 8), (4, 3, 8), (1, 0, 8), (9, 9, 8), (0, 3, usize::MAX)] {
            assert!(unpack(&vec![0; length], bits, count).is_none(), "{length} {bits} {count}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back_in_as_few_bytes_as_it_takes(
            bits in 1_u32..=8,
            raw in prop::collection::vec(any::<i8>(), 0..70),
        ) {
            let codes: Vec<i8> = raw.iter().map(|code| (code << (8 - bits)) >> (8 - bits)).collect();
            let bytes = pack(codes.iter().copied(), bits);
            prop_assert_eq!(bytes.len(), (codes.len() * bits as usize).div_ceil(8));
            prop_assert_eq!(unpack(&bytes, bits, codes.len()).unwrap(), codes.clone());
            prop_assert!(width(&codes) <= bits.max(2));
        }
    }
}
