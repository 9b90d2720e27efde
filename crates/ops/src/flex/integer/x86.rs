//! Dot products of bytes on x86-64 processors.

#![expect(unsafe_code, reason = "vector instructions")]

use super::dot::Integers;
use std::arch::x86_64::*;

/// AVX-512 with its byte and word instructions and VNNI.
#[derive(Clone, Copy)]
pub(super) struct Bytes512(__m512i);

// SAFETY: used only where AVX-512F, AVX-512BW and AVX-512VNNI were detected, which all methods rely on; the caller
// vouches for what pointers point to.
unsafe impl Integers for Bytes512 {
    const LANES: usize = 16;
    const WIDE: bool = true;

    type Floats = __m512;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_setzero_si512() })
    }

    #[inline(always)]
    unsafe fn splat(bits: u32) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_set1_epi32(bits.cast_signed()) })
    }

    #[inline(always)]
    unsafe fn load(source: *const u8) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_loadu_si512(source.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut u8) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_si512(target.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn dot(self, unsigned: Self, signed: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_dpbusd_epi32(self.0, unsigned.0, signed.0) })
    }

    #[inline(always)]
    unsafe fn minus_product(self, left: Self, right: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_sub_epi32(self.0, _mm512_mullo_epi32(left.0, right.0)) })
    }

    #[inline(always)]
    unsafe fn floats(self) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(self.0) }
    }

    #[inline(always)]
    unsafe fn rectified(floats: __m512) -> __m512 {
        // SAFETY: see above. Of NaN and a number, the instruction gives the second.
        unsafe { _mm512_max_ps(_mm512_setzero_ps(), floats) }
    }

    #[inline(always)]
    unsafe fn byte(floats: __m512, zero: Self) -> Self {
        // SAFETY: see above. What lies far beyond all bytes is no whole number of 32 bits.
        unsafe {
            let near = _mm512_min_ps(_mm512_max_ps(floats, _mm512_set1_ps(-1024.0)), _mm512_set1_ps(1024.0));
            let whole = _mm512_add_epi32(_mm512_cvtps_epi32(near), zero.0);
            let positive = _mm512_max_epi32(whole, _mm512_setzero_si512());
            Self(_mm512_min_epi32(positive, _mm512_set1_epi32(255)))
        }
    }

    #[inline(always)]
    unsafe fn quad([a, b, c, d]: [Self; 4]) -> Self {
        // SAFETY: see above.
        unsafe {
            let low = _mm512_or_si512(a.0, _mm512_slli_epi32::<8>(b.0));
            let high = _mm512_or_si512(_mm512_slli_epi32::<16>(c.0), _mm512_slli_epi32::<24>(d.0));
            Self(_mm512_or_si512(low, high))
        }
    }

    /// Register `j` holds columns `16 l + 4 j .. + 4` in its 128-bit lane `l`, as unpacking stays within these lanes.
    #[inline(always)]
    unsafe fn interleave([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        // SAFETY: see above.
        unsafe {
            let (low, high) = (_mm512_unpacklo_epi8(a.0, b.0), _mm512_unpackhi_epi8(a.0, b.0));
            let (below, above) = (_mm512_unpacklo_epi8(c.0, d.0), _mm512_unpackhi_epi8(c.0, d.0));
            [
                Self(_mm512_unpacklo_epi16(low, below)),
                Self(_mm512_unpackhi_epi16(low, below)),
                Self(_mm512_unpacklo_epi16(high, above)),
                Self(_mm512_unpackhi_epi16(high, above)),
            ]
        }
    }

    /// Transposes the 4 × 4 blocks of 128 bits.
    #[inline(always)]
    unsafe fn in_order([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        // SAFETY: see above.
        unsafe {
            let (ab, cd) = (
                _mm512_shuffle_i32x4::<0b01_00_01_00>(a.0, b.0),
                _mm512_shuffle_i32x4::<0b01_00_01_00>(c.0, d.0),
            );
            let (ba, dc) = (
                _mm512_shuffle_i32x4::<0b11_10_11_10>(a.0, b.0),
                _mm512_shuffle_i32x4::<0b11_10_11_10>(c.0, d.0),
            );
            [
                Self(_mm512_shuffle_i32x4::<0b10_00_10_00>(ab, cd)),
                Self(_mm512_shuffle_i32x4::<0b11_01_11_01>(ab, cd)),
                Self(_mm512_shuffle_i32x4::<0b10_00_10_00>(ba, dc)),
                Self(_mm512_shuffle_i32x4::<0b11_01_11_01>(ba, dc)),
            ]
        }
    }
}

/// AVX2.
#[derive(Clone, Copy)]
pub(super) struct Bytes256(__m256i);

// SAFETY: used only where AVX2 and FMA were detected, which all methods rely on; the caller vouches for what pointers
// point to.
unsafe impl Integers for Bytes256 {
    const LANES: usize = 8;
    const WIDE: bool = false;

    type Floats = __m256;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_setzero_si256() })
    }

    #[inline(always)]
    unsafe fn splat(bits: u32) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_set1_epi32(bits.cast_signed()) })
    }

    #[inline(always)]
    unsafe fn load(source: *const u8) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_loadu_si256(source.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut u8) {
        // SAFETY: see above.
        unsafe { _mm256_storeu_si256(target.cast(), self.0) }
    }

    /// Even and odd bytes apart as 16-bit numbers, whose products' sums of two fit in 32 bits.
    #[inline(always)]
    unsafe fn dot(self, unsigned: Self, signed: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let low = _mm256_set1_epi16(0x00ff);
            let even = _mm256_madd_epi16(
                _mm256_and_si256(unsigned.0, low),
                _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(signed.0)),
            );
            let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(unsigned.0), _mm256_srai_epi16::<8>(signed.0));
            Self(_mm256_add_epi32(self.0, _mm256_add_epi32(even, odd)))
        }
    }

    #[inline(always)]
    unsafe fn minus_product(self, left: Self, right: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_sub_epi32(self.0, _mm256_mullo_epi32(left.0, right.0)) })
    }

    #[inline(always)]
    unsafe fn floats(self) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_cvtepi32_ps(self.0) }
    }

    #[inline(always)]
    unsafe fn rectified(floats: __m256) -> __m256 {
        // SAFETY: see above. Of NaN and a number, the instruction gives the second.
        unsafe { _mm256_max_ps(_mm256_setzero_ps(), floats) }
    }

    #[inline(always)]
    unsafe fn byte(floats: __m256, zero: Self) -> Self {
        // SAFETY: see above. What lies far beyond all bytes is no whole number of 32 bits.
        unsafe {
            let near = _mm256_min_ps(_mm256_max_ps(floats, _mm256_set1_ps(-1024.0)), _mm256_set1_ps(1024.0));
            let whole = _mm256_add_epi32(_mm256_cvtps_epi32(near), zero.0);
            let positive = _mm256_max_epi32(whole, _mm256_setzero_si256());
            Self(_mm256_min_epi32(positive, _mm256_set1_epi32(255)))
        }
    }

    #[inline(always)]
    unsafe fn quad([a, b, c, d]: [Self; 4]) -> Self {
        // SAFETY: see above.
        unsafe {
            let low = _mm256_or_si256(a.0, _mm256_slli_epi32::<8>(b.0));
            let high = _mm256_or_si256(_mm256_slli_epi32::<16>(c.0), _mm256_slli_epi32::<24>(d.0));
            Self(_mm256_or_si256(low, high))
        }
    }

    /// Register `j` holds columns `16 l + 4 j .. + 4` in its half `l`, as unpacking stays within halves.
    #[inline(always)]
    unsafe fn interleave([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        // SAFETY: see above.
        unsafe {
            let (low, high) = (_mm256_unpacklo_epi8(a.0, b.0), _mm256_unpackhi_epi8(a.0, b.0));
            let (below, above) = (_mm256_unpacklo_epi8(c.0, d.0), _mm256_unpackhi_epi8(c.0, d.0));
            [
                Self(_mm256_unpacklo_epi16(low, below)),
                Self(_mm256_unpackhi_epi16(low, below)),
                Self(_mm256_unpacklo_epi16(high, above)),
                Self(_mm256_unpackhi_epi16(high, above)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn in_order([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        // SAFETY: see above.
        unsafe {
            [
                Self(_mm256_permute2x128_si256::<0x20>(a.0, b.0)),
                Self(_mm256_permute2x128_si256::<0x20>(c.0, d.0)),
                Self(_mm256_permute2x128_si256::<0x31>(a.0, b.0)),
                Self(_mm256_permute2x128_si256::<0x31>(c.0, d.0)),
            ]
        }
    }
}
