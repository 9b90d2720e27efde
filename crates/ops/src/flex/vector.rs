//! Vector registers: the few instructions that the kernels need, on a processor without known extensions.

#![expect(unsafe_code, reason = "the kernels read and write through pointers whose bounds are checked once")]

/// A register of float32 lanes.
///
/// # Safety
/// An implementation may be used only on a processor that has its instructions; [`Registers`](super::registers::Registers) sees to that.
pub(super) unsafe trait Vector: Copy {
    /// Floats in one register.
    const LANES: usize;

    /// All lanes zero.
    unsafe fn zero() -> Self;

    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self;

    /// `LANES` floats from `source` on, of any alignment.
    unsafe fn load(source: *const f32) -> Self;

    /// `LANES` floats to `target` on, of any alignment.
    unsafe fn store(self, target: *mut f32);

    /// `self · factor + sum`, lane by lane.
    unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self;

    /// The sum of all lanes, in a fixed order.
    unsafe fn sum(self) -> f32;
}

/// Registers of a processor without one of the known extensions: the compiler maps them on what there is.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 4]);

// SAFETY: plain array arithmetic runs everywhere.
unsafe impl Vector for Portable {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 4])
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn load(source: *const f32) -> Self {
        // SAFETY: the caller vouches for four floats at `source`.
        Self(unsafe { source.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut f32) {
        // SAFETY: the caller vouches for room for four floats at `target`.
        unsafe { target.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] * factor.0[lane] + sum.0[lane]))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        (self.0[0] + self.0[2]) + (self.0[1] + self.0[3])
    }
}
