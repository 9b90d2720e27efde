//! Which vector registers the processor has, and work that is compiled for each of them.

#![expect(unsafe_code, reason = "functions compiled for processor extensions are called after detection")]

use super::vector::{Portable, Vector};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};

/// Kinds of vector registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registers {
    /// 32 registers of 16 floats.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 16 registers of 8 floats.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the compiler makes of arrays of 4 floats.
    Portable,
}

impl Registers {
    /// The kinds that this processor has, widest first.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let known = [
            is_x86_feature_detected!("avx512f").then_some(Self::Avx512),
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self::Avx2),
            Some(Self::Portable),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let known = [Some(Self::Portable)];
        known.into_iter().flatten()
    }

    /// The widest kind of this processor.
    pub(super) fn widest() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }
}

/// Work written once for every kind of register.
pub(super) trait Kernel: Sized {
    /// Does the work with registers `V`, in tiles of `ROWS` × `COLUMNS` sums that stay in registers.
    ///
    /// # Safety
    /// The processor has the instructions of `V`, and the implementer's conditions on its slices hold.
    unsafe fn run<V: Vector, const ROWS: usize, const COLUMNS: usize>(self);

    /// Does the work with the given registers.
    ///
    /// # Safety
    /// The processor has `registers`, and the implementer's conditions on its slices hold.
    unsafe fn run_with(self, registers: Registers) {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f")]
        unsafe fn wide<K: Kernel>(kernel: K) {
            // SAFETY: the caller's, which are the same.
            unsafe { kernel.run::<__m512, 8, 3>() }
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn middle<K: Kernel>(kernel: K) {
            // SAFETY: the caller's, which are the same.
            unsafe { kernel.run::<__m256, 4, 3>() }
        }

        // SAFETY: the caller vouches for the registers and the slices.
        unsafe {
            match registers {
                #[cfg(target_arch = "x86_64")]
                Registers::Avx512 => wide(self),
                #[cfg(target_arch = "x86_64")]
                Registers::Avx2 => middle(self),
                Registers::Portable => self.run::<Portable, 4, 2>(),
            }
        }
    }
}
