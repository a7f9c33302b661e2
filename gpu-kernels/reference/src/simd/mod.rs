//! The instructions of the machine: chosen at run time, each beside its scalar twin, with equal bits.
//!
//! The only `unsafe` of this crate is here: calls of functions that are compiled for instructions which the machine was
//! asked for before.

#![allow(unsafe_code)]

pub mod carry;
#[cfg(target_arch = "x86_64")]
mod carry_avx2;
#[cfg(target_arch = "x86_64")]
mod carry_avx512;
pub mod dot;
pub mod field;
#[cfg(target_arch = "x86_64")]
mod field_avx2;
#[cfg(target_arch = "x86_64")]
mod field_avx512;
pub mod scale;

use core::fmt;
use std::sync::OnceLock;

/// A set of instructions, from the one that every machine has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The scalar twins: they define the bits.
    Scalar,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL) beside them.
    Avx512,
}

impl Level {
    /// The widest that this machine has.
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(Self::detect)
    }

    /// Every level that this machine has, from the scalar one.
    pub fn here() -> impl Iterator<Item = Self> {
        [Self::Scalar, Self::Avx2, Self::Avx512].into_iter().filter(|level| *level <= Self::best())
    }

    #[cfg(target_arch = "x86_64")]
    fn detect() -> Self {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        match (avx2, avx512) {
            (_, true) => Self::Avx512,
            (true, false) => Self::Avx2,
            (false, false) => Self::Scalar,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect() -> Self {
        Self::Scalar
    }

    /// This level, or the machine's best where it has less.
    #[must_use]
    pub fn within_reach(self) -> Self {
        self.min(Self::best())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}

/// Scalar code that is to be compiled for each level.
pub trait Portable {
    /// What it gives.
    type Output;

    /// The code. It, and all that it calls in its hot parts, is `#[inline(always)]`: what is not inlined is compiled
    /// for the machine that every build is for, where a fused multiply-add is a call.
    fn call(self) -> Self::Output;
}

/// Runs code as it was compiled for a level. The bits are the same at each: no float operation is contracted or
/// reordered by the compiler, and a fused one is fused at each (NUM-2).
pub fn dispatch<P: Portable>(level: Level, code: P) -> P::Output {
    match level.within_reach() {
        Level::Scalar => code.call(),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `within_reach` gives a level only where `detect` found its instructions on this machine.
        Level::Avx2 => unsafe { with_avx2(code) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx512 => unsafe { with_avx512(code) },
        #[cfg(not(target_arch = "x86_64"))]
        Level::Avx2 | Level::Avx512 => code.call(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<P: Portable>(code: P) -> P::Output {
    code.call()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn with_avx512<P: Portable>(code: P) -> P::Output {
    code.call()
}
