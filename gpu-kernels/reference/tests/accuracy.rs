//! How far each function is from the exact value, in units of the last place, beside a correctly rounded library.
//!
//! The bounds are promises of NUM-16 to NUM-21; what is measured is printed (`--nocapture`).

use cpc_kernels::numerics::functions;
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

/// A function of one argument with what is promised of it.
struct Function {
    name: &'static str,
    ours: fn(f32) -> f32,
    exact: fn(f64) -> f64,
    /// The promise, in hundredths of a unit of the last place.
    promised: u32,
}

const FUNCTIONS: &[Function] = &[
    Function { name: "exp", ours: functions::exp, exact: core_math::exp, promised: 105 },
    Function { name: "exp2", ours: functions::exp2, exact: core_math::exp2, promised: 85 },
    Function { name: "log", ours: functions::log, exact: core_math::log, promised: 95 },
    Function { name: "sin", ours: functions::sin, exact: core_math::sin, promised: 160 },
    Function { name: "cos", ours: functions::cos, exact: core_math::cos, promised: 160 },
    Function { name: "tanh", ours: functions::tanh, exact: core_math::tanh, promised: 145 },
    Function { name: "rsqrt", ours: functions::rsqrt, exact: core_math::rsqrt, promised: 60 },
    Function { name: "asin", ours: functions::asin, exact: core_math::asin, promised: 100 },
    Function { name: "acos", ours: functions::acos, exact: core_math::acos, promised: 100 },
];

/// How many arguments of each function: every bit pattern where the long tests are asked for.
fn stride() -> u64 {
    if std::env::var_os("CPC_LONG").is_some() { 1 } else { 1_021 }
}

/// The distance in units of the last place of a float near the exact value; 0 where both say the same of no number.
fn distance(found: f32, exact: f64) -> f64 {
    if exact.is_nan() || found.is_nan() {
        return if exact.is_nan() && found.is_nan() { 0.0 } else { f64::INFINITY };
    }
    // 2^128 is where a result rounds to infinity; a unit there is 2^104.
    let found = if found.is_infinite() { f64::from(found.signum()) * 2f64.powi(128) } else { f64::from(found) };
    let exact = exact.clamp(-(2f64.powi(128)), 2f64.powi(128));
    let exponent = (exact.abs().max(f64::from(f32::MIN_POSITIVE)).to_bits() >> 52) as i32 - 1023;
    (found - exact).abs() / 2f64.powi(exponent.min(127) - 23)
}

/// The farthest result so far, with its arguments.
#[derive(Clone, Copy)]
struct Worst {
    error: f64,
    at: [f32; 2],
    count: u64,
}

impl Worst {
    const NONE: Self = Self { error: 0.0, at: [0.0; 2], count: 0 };

    fn with(self, (found, exact, at): (f32, f64, [f32; 2])) -> Self {
        let error = distance(found, exact);
        let count = self.count + 1;
        if error > self.error { Self { error, at, count } } else { Self { count, ..self } }
    }

    fn or(self, other: Self) -> Self {
        let worse = if other.error > self.error { other } else { self };
        Self { count: self.count + other.count, ..worse }
    }
}

/// Results with the exact values and the arguments, spread over all threads.
fn check(name: &str, promised: u32, cases: impl ParallelIterator<Item = (f32, f64, [f32; 2])>) {
    let Worst { error, at: [x, y], count } = cases.fold(|| Worst::NONE, Worst::with).reduce(|| Worst::NONE, Worst::or);
    println!("{name:6} {error:.3} ulp at {x:e}, {y:e}, promised {:.2}, {count} arguments", f64::from(promised) / 100.0);
    assert!(error * 100.0 <= f64::from(promised), "{name} is {error} ulp from the exact value at {x:e}, {y:e}");
}

// NUM-16, NUM-17, NUM-19, NUM-20, NUM-21: the errors that the clauses promise.
#[test]
fn each_function_is_as_near_as_promised() {
    for Function { name, ours, exact, promised } in FUNCTIONS {
        let count = (1_u64 << 32).div_ceil(stride());
        let cases = (0..count).into_par_iter().map(|index| {
            let x = f32::from_bits(u32::try_from(index * stride()).expect("below 2^32"));
            (ours(x), exact(f64::from(x)), [x, 0.0])
        });
        check(name, *promised, cases);
    }
}

// NUM-18, NUM-21: of two arguments, over all pairs of a grid that grows by powers of two from either side of one.
#[test]
fn functions_of_two_arguments_are_as_near_as_promised() {
    let grid = |step: usize| -> Vec<f32> {
        (0..=u32::MAX).step_by(step).map(f32::from_bits).filter(|x| x.is_finite()).collect()
    };
    let (first, second) = (grid(4_000_037), grid(3_999_971));
    let far = || first.par_iter().flat_map_iter(|x| second.iter().map(move |y| [*x, *y]));
    let near = || {
        (0..4_000_000u32).into_par_iter().map(|i| {
            let x = f32::from_bits(0x3f00_0000 + i * 4);
            [x, ((i % 2_001) as f32 - 1_000.0) * 0.371]
        })
    };
    let pairs = || far().chain(near());
    let atan2 = pairs().map(|[x, y]| (functions::atan2(y, x), core_math::atan2(f64::from(y), f64::from(x)), [y, x]));
    check("atan2", 160, atan2);
    let pow = pairs().map(|[x, y]| (functions::pow(x, y), core_math::pow(f64::from(x), f64::from(y)), [x, y]));
    check("pow", 120, pow);
}

#[test]
fn special_arguments_have_the_results_of_ieee() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let special =
        [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 16_777_216.0, 1e30, -1e30, 1e-45, inf, -inf, nan];
    let same = |name: &str, found: f32, expected: f32, case: String| {
        let both = found.is_nan() && expected.is_nan();
        assert!(both || found.to_bits() == expected.to_bits(), "{name}({case}): {found}, not {expected}");
        assert!(!found.is_nan() || found.to_bits() == 0x7fc0_0000, "{name}({case}) is another NaN");
    };
    for x in special {
        for y in special {
            let pow = core_math::powf(x, y);
            if pow == 0.0 || !pow.is_finite() || pow == 1.0 {
                same("pow", functions::pow(x, y), pow, format!("{x}, {y}"));
            }
            // The odd multiples of pi/4 are one unit off, within the promise.
            let diagonal = x.abs() == y.abs() && x != 0.0;
            if !diagonal && [x, y].iter().any(|value| !value.is_normal()) {
                same("atan2", functions::atan2(y, x), core_math::atan2f(y, x), format!("{y}, {x}"));
            }
        }
        let exact: [(&str, f32, f32); 5] = [
            ("sin", functions::sin(x), core_math::sinf(x)),
            ("cos", functions::cos(x), core_math::cosf(x)),
            ("log", functions::log(x), core_math::logf(x)),
            ("exp", functions::exp(x), core_math::expf(x)),
            ("tanh", functions::tanh(x), core_math::tanhf(x)),
        ];
        for (name, found, expected) in exact {
            if expected == 0.0 || !expected.is_finite() || expected.abs() == 1.0 {
                same(name, found, expected, x.to_string());
            }
        }
    }
}
