//! Dot products of bytes: the few instructions that integer kernels need, and which of them the processor has.

#![expect(unsafe_code, reason = "the kernels read and write through pointers whose bounds are checked once")]

use super::super::vector::{Portable, Vector};
use super::activations::{ROUND, nearest};
#[cfg(target_arch = "x86_64")]
use super::x86::{Bytes256, Bytes512};

/// A register of 32-bit lanes, each a whole number or four bytes.
///
/// # Safety
/// An implementation may be used only on a processor that has its instructions; [`Dots`] sees to that.
pub(super) unsafe trait Integers: Copy {
    /// Lanes of 32 bits in one register.
    const LANES: usize;

    /// Whether there are thirty-two registers rather than sixteen.
    const WIDE: bool;

    /// A register with as many floats.
    type Floats: Vector;

    /// All lanes zero.
    unsafe fn zero() -> Self;

    /// All lanes these 32 bits.
    unsafe fn splat(bits: u32) -> Self;

    /// `LANES` lanes from `source` on, of any alignment.
    unsafe fn load(source: *const u8) -> Self;

    /// `LANES` lanes to `target` on, of any alignment.
    unsafe fn store(self, target: *mut u8);

    /// `self + Σ_i unsigned_i · signed_i` over the four bytes of each lane, without an overflow on the way.
    unsafe fn dot(self, unsigned: Self, signed: Self) -> Self;

    /// `self − left · right`, lane by lane, what overflows cut off.
    unsafe fn minus_product(self, left: Self, right: Self) -> Self;

    /// The nearest floats.
    unsafe fn floats(self) -> Self::Floats;

    /// The larger of each float and 0; NaN stays.
    unsafe fn rectified(floats: Self::Floats) -> Self::Floats;

    /// `round(x) + zero` of each float, within 0 to 255; NaN is some byte.
    unsafe fn byte(floats: Self::Floats, zero: Self) -> Self;

    /// Four bytes in each lane, the first register's first.
    unsafe fn quad(bytes: [Self; 4]) -> Self;

    /// Four rows of bytes, turned so that a lane holds one column's four bytes, in an order of the columns that
    /// [`Integers::in_order`] undoes.
    unsafe fn interleave(rows: [Self; 4]) -> [Self; 4];

    /// The lanes of four interleaved registers in the order of their columns.
    unsafe fn in_order(lanes: [Self; 4]) -> [Self; 4];
}

/// Kinds of registers and their dot products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dots {
    /// AVX-512 with the instruction made for it.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// AVX2: bytes are widened to 16 bits first, as its product of bytes saturates.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the compiler makes of arrays.
    Portable,
}

impl Dots {
    /// The kinds that this processor has, best first.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let known = [
            (is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni"))
            .then_some(Self::Vnni),
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self::Avx2),
            Some(Self::Portable),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let known = [Some(Self::Portable)];
        known.into_iter().flatten()
    }

    /// The best kind of this processor.
    pub(super) fn best() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }
}

/// Work written once for every kind of register.
pub(super) trait Work: Sized {
    /// Does the work with registers `V`, where it fits in tiles of `ROWS` × `COLUMNS` sums that stay in registers.
    ///
    /// # Safety
    /// The processor has the instructions of `V`, and the implementer's conditions on its slices hold.
    unsafe fn run<V: Integers, const ROWS: usize, const COLUMNS: usize>(self);

    /// Does the work with the given registers.
    ///
    /// # Safety
    /// The processor has `dots`, and the implementer's conditions on its slices hold.
    unsafe fn run_with(self, dots: Dots) {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
        unsafe fn wide<W: Work>(work: W) {
            // SAFETY: the caller's, which are the same.
            unsafe { work.run::<Bytes512, 8, 3>() }
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn middle<W: Work>(work: W) {
            // SAFETY: the caller's, which are the same.
            unsafe { work.run::<Bytes256, 4, 1>() }
        }

        // SAFETY: the caller vouches for the registers and the slices.
        unsafe {
            match dots {
                #[cfg(target_arch = "x86_64")]
                Dots::Vnni => wide(self),
                #[cfg(target_arch = "x86_64")]
                Dots::Avx2 => middle(self),
                Dots::Portable => self.run::<PortableBytes, 4, 1>(),
            }
        }
    }
}

/// Registers of a processor without one of the known extensions.
#[derive(Clone, Copy)]
pub(super) struct PortableBytes([i32; 4]);

// SAFETY: plain array arithmetic runs everywhere.
unsafe impl Integers for PortableBytes {
    const LANES: usize = 4;
    const WIDE: bool = false;

    type Floats = Portable;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0; 4])
    }

    #[inline(always)]
    unsafe fn splat(bits: u32) -> Self {
        Self([bits.cast_signed(); 4])
    }

    #[inline(always)]
    unsafe fn load(source: *const u8) -> Self {
        // SAFETY: the caller vouches for sixteen bytes at `source`.
        Self(unsafe { source.cast::<[i32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut u8) {
        // SAFETY: the caller vouches for room for sixteen bytes at `target`.
        unsafe { target.cast::<[i32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn dot(self, unsigned: Self, signed: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            let (left, right) = (unsigned.0[lane].to_ne_bytes(), signed.0[lane].to_ne_bytes());
            let products =
                left.into_iter().zip(right).map(|(u, s)| i32::from(u) * i32::from(s.cast_signed()));
            products.fold(self.0[lane], i32::wrapping_add)
        }))
    }

    #[inline(always)]
    unsafe fn minus_product(self, left: Self, right: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane].wrapping_sub(left.0[lane].wrapping_mul(right.0[lane]))))
    }

    #[inline(always)]
    unsafe fn floats(self) -> Portable {
        let floats = self.0.map(|value| value as f32);
        // SAFETY: the array has as many floats as the register.
        unsafe { Portable::load(floats.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn rectified(floats: Portable) -> Portable {
        let mut lanes = [0.0; 4];
        // SAFETY: the array has as many floats as the register.
        unsafe {
            floats.store(lanes.as_mut_ptr());
            let lanes = lanes.map(|lane: f32| if lane < 0.0 { 0.0 } else { lane });
            Portable::load(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn byte(floats: Portable, zero: Self) -> Self {
        let mut lanes = [0.0; 4];
        // SAFETY: the array has as many floats as the register.
        unsafe { floats.store(lanes.as_mut_ptr()) }
        let offset = |zero: i32| zero - ROUND.to_bits().cast_signed();
        Self(std::array::from_fn(|lane| nearest(lanes[lane], offset(zero.0[lane]))))
    }

    #[inline(always)]
    unsafe fn quad(bytes: [Self; 4]) -> Self {
        Self(std::array::from_fn(|lane| i32::from_ne_bytes(bytes.map(|byte| byte.0[lane] as u8))))
    }

    #[inline(always)]
    unsafe fn interleave(rows: [Self; 4]) -> [Self; 4] {
        let bytes = rows.map(|row| row.0.map(i32::to_ne_bytes));
        std::array::from_fn(|quad| {
            Self(std::array::from_fn(|column| {
                i32::from_ne_bytes(std::array::from_fn(|row| bytes[row][quad][column]))
            }))
        })
    }

    #[inline(always)]
    unsafe fn in_order(lanes: [Self; 4]) -> [Self; 4] {
        lanes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks `dot`, `interleave` and `in_order` on bytes that reach both ends of their ranges.
    struct Check;

    impl Work for Check {
        unsafe fn run<V: Integers, const ROWS: usize, const COLUMNS: usize>(self) {
            let width = 4 * V::LANES;
            let rows: Vec<u8> =
                (0..4 * width).map(|index| [0, 255, 127, 128, 1, 200][(index * 7 + index / 5) % 6]).collect();
            // SAFETY: each row of `rows` has the bytes of one register, each buffer the lanes of four.
            unsafe {
                let registers = [0, 1, 2, 3].map(|row| V::load(rows.as_ptr().add(row * width)));
                let signed = V::interleave(registers);
                let unsigned = [3u8, 255, 0, 254];
                let factor = V::splat(u32::from_ne_bytes(unsigned));
                let sums = signed.map(|signed| V::zero().dot(factor, signed));
                let mut found = vec![0i32; width];
                for (register, sum) in V::in_order(sums).into_iter().enumerate() {
                    sum.store(found.as_mut_ptr().add(register * V::LANES).cast());
                }
                for (column, found) in found.into_iter().enumerate() {
                    let products = (0..4).map(|row| {
                        i32::from(unsigned[row]) * i32::from(rows[row * width + column].cast_signed())
                    });
                    assert_eq!(found, products.sum::<i32>(), "column {column}");
                }
                let less = V::splat(7).minus_product(V::splat(3), V::splat(5)).floats();
                let mut floats = vec![0.0; V::LANES];
                less.store(floats.as_mut_ptr());
                assert!(floats.iter().all(|&float| float == -8.0));
            }
        }
    }

    #[test]
    fn every_kind_of_register_sums_products_of_bytes() {
        for dots in Dots::available() {
            // SAFETY: the kinds are those that the processor has.
            unsafe { Check.run_with(dots) }
        }
    }
}
