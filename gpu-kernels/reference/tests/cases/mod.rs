//! Every scalar function of the arithmetic, as a function of two words, and the words that it is tried on.

use cpc_kernels::numerics::float::{self, bits};
use cpc_kernels::numerics::{Philox, field, functions, order};
use cpc_kernels::simd::{Level, Portable, dispatch};

/// The results of one function for pairs of words, as a level compiles it.
pub(crate) type Results = fn(Level, &[[u32; 2]]) -> Vec<u32>;

/// Makes a table of functions, each compiled for every level.
macro_rules! cases {
    ($($name:ident($x:ident, $y:ident) => $body:expr;)*) => {
        /// Every function by its name.
        pub(crate) const CASES: &[(&str, Results)] = &[$((stringify!($name), {
            struct Case<'a>(&'a [[u32; 2]]);
            impl Portable for Case<'_> {
                type Output = Vec<u32>;

                #[inline(always)]
                fn call(self) -> Vec<u32> {
                    self.0.iter().map(|&[$x, $y]| { let _ = $y; $body }).collect()
                }
            }
            |level, pairs| dispatch(level, Case(pairs))
        }),)*];
    };
}

fn f(word: u32) -> f32 {
    f32::from_bits(word)
}

cases! {
    exp(x, y) => bits(functions::exp(f(x)));
    exp2(x, y) => bits(functions::exp2(f(x)));
    log(x, y) => bits(functions::log(f(x)));
    sin(x, y) => bits(functions::sin(f(x)));
    cos(x, y) => bits(functions::cos(f(x)));
    tanh(x, y) => bits(functions::tanh(f(x)));
    rsqrt(x, y) => bits(functions::rsqrt(f(x)));
    asin(x, y) => bits(functions::asin(f(x)));
    acos(x, y) => bits(functions::acos(f(x)));
    sqrt(x, y) => bits(float::sqrt(f(x)));
    rint(x, y) => bits(float::rint(f(x)));
    floor(x, y) => bits(float::floor(f(x)));
    to_i32(x, y) => float::to_i32(f(x)).cast_unsigned();
    to_u32(x, y) => float::to_u32(f(x));
    from_i32(x, y) => bits(float::from_i32(x.cast_signed()));
    from_u32(x, y) => bits(float::from_u32(x));
    unit(x, y) => bits(float::unit(x));
    pow(x, y) => bits(functions::pow(f(x), f(y)));
    atan2(x, y) => bits(functions::atan2(f(x), f(y)));
    min(x, y) => bits(float::min(f(x), f(y)));
    max(x, y) => bits(float::max(f(x), f(y)));
    copysign(x, y) => bits(float::copysign(f(x), f(y)));
    fma(x, y) => bits(float::fma(f(x), f(y), f(x ^ y)));
    field_reduce(x, y) => field::reduce(u64::from(x) << 32 | u64::from(y));
    field(x, y) => {
        let (a, b) = (field::reduce(x.into()), field::reduce(y.into()));
        let sum = field::accumulate(field::mul(a, b).into(), a, b);
        field::add(field::reduce(sum), field::sub(a, b))
    };
    philox(x, y) => Philox::new([x, !y]).at([x, y, x.wrapping_add(y), 7])[(y & 3) as usize];
    sums(x, y) => {
        let row = |x: u32, y: u32, by: u32| -> [f32; 67] {
            let word = |i: usize| x.wrapping_mul(by).wrapping_add((i as u32).wrapping_mul(y));
            core::array::from_fn(|i| float::unit(word(i)) - 0.5)
        };
        let (a, b) = (row(x, y, 2_654_435_761), row(y, x, 2_246_822_519));
        let sum = order::row_sum(&a) + order::row_dot(&a, &b);
        bits(sum + order::product_entry(&a[..22], b.iter().copied().step_by(3)))
    };
}

/// Values at which something changes: of every sign, both zeros, the ends of the subnormals, halves, the bounds of the
/// reductions, whole numbers that are the last, infinities and NaNs of several kinds.
const SPECIAL: &[u32] = &[
    0x0000_0000,
    0x0000_0001,
    0x0000_0002,
    0x007f_ffff,
    0x0080_0000,
    0x0080_0001,
    0x3300_0000,
    0x3380_0000,
    0x3eff_ffff,
    0x3f00_0000,
    0x3f00_0001,
    0x3f0c_cccd,
    0x3f2a_aaaa,
    0x3f2a_aaab,
    0x3f35_04f3,
    0x3f49_0fdb,
    0x3f7f_ffff,
    0x3f80_0000,
    0x3f80_0001,
    0x3fc0_0000,
    0x3fc9_0fdb,
    0x4000_0000,
    0x4020_0000,
    0x4040_0000,
    0x4049_0fdb,
    0x4120_0000,
    0x42ae_ac50,
    0x42b1_7218,
    0x42b1_7219,
    0x42ce_ffff,
    0x42d0_0000,
    0x4300_0000,
    0x4316_0000,
    0x4317_0000,
    0x45ff_ffff,
    0x4600_0000,
    0x4600_0001,
    0x4aff_ffff,
    0x4b00_0000,
    0x4b7f_ffff,
    0x4b80_0000,
    0x4eff_ffff,
    0x4f00_0000,
    0x4f7f_ffff,
    0x4f80_0000,
    0x5f00_0000,
    0x7effffff,
    0x7f00_0000,
    0x7f7f_ffff,
    0x7f80_0000,
    0x7f80_0001,
    0x7fc0_0000,
    0x7fff_ffff,
];

/// Every pair of special values, of both signs.
pub(crate) fn special_pairs() -> Vec<[u32; 2]> {
    let all: Vec<u32> = SPECIAL.iter().flat_map(|word| [*word, word | 0x8000_0000]).collect();
    all.iter().flat_map(|x| all.iter().map(|y| [*x, *y])).collect()
}

/// The first word goes through all of its high bits densely; the second is random, near one half of the time.
pub(crate) fn dense_pairs(begin: u32, count: u32, shift: u32) -> Vec<[u32; 2]> {
    let random = Philox::new([1, 2]);
    let pair = |i: u32| {
        let [a, b, c, _] = random.at([i, 0, 0, 0]);
        let x = if shift == 0 { i } else { i << shift | a >> (32 - shift) };
        let near = c & 0x807f_ffff | (112 + (c >> 23 & 31)) << 23;
        [x, if b & 1 == 0 { c } else { near }]
    };
    (0..count).map(|i| pair(begin.wrapping_add(i))).collect()
}
