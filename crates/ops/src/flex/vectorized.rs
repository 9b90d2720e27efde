//! Loops that the compiler vectorises, compiled for several kinds of processors.

/// Compiles each function for AVX-512, for AVX2 and for any processor, and calls the best one.
macro_rules! vectorized {
    ($($(#[$documentation:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        $(#[$documentation])*
        pub(super) fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
                fn wide($($argument: $type),*) $(-> $result)? {
                    body($($argument),*)
                }

                #[target_feature(enable = "avx2,fma")]
                fn middle($($argument: $type),*) $(-> $result)? {
                    body($($argument),*)
                }

                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("fma")
                {
                    // SAFETY: every feature that `wide` enables was just detected.
                    return unsafe { wide($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: every feature that `middle` enables was just detected.
                    return unsafe { middle($($argument),*) };
                }
            }
            body($($argument),*)
        }
    )*};
}

pub(super) use vectorized;
