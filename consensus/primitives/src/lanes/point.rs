//! Eight points of the curve side by side: read from their encodings, added, doubled.

use core::arch::x86_64::__mmask8;

use super::field::{Field, LIMBS, Rows, root_power};

/// The curve's constant d, -121665 / 121666.
const D: [u64; LIMBS] = [929955233495203, 466365720129213, 1662059464998953, 2033849074728123, 1442794654840575];
/// 2 d.
const D2: [u64; LIMBS] = [1859910466990425, 932731440258426, 1072319116312658, 1815898335770999, 633789495995903];
/// A square root of -1.
const ROOT: [u64; LIMBS] = [1718705420411056, 234908883556509, 2233514472574048, 2117202627021982, 765476049583133];
/// 1.
const ONE: [u64; LIMBS] = [1, 0, 0, 0, 0];
/// 0.
const ZERO: [u64; LIMBS] = [0; LIMBS];

/// The encoding of the base point: y is 4/5, x is even.
pub(super) const BASE: [u8; 32] = {
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    bytes
};

/// Eight encodings, taken apart: the y of each in limbs, and which have an odd x.
pub(super) struct Encodings {
    y: Rows,
    odd: __mmask8,
}

/// Eight points as they are added: y + x, y - x and 2 d x y, each tight.
pub(super) struct Niels {
    plus: Rows,
    minus: Rows,
    product: Rows,
}

/// Eight points in extended coordinates, each tight: x is X / Z, y is Y / Z, T is X Y / Z.
#[derive(Clone, Copy)]
pub(super) struct Points {
    pub(super) x: Field,
    pub(super) y: Field,
    pub(super) z: Field,
    pub(super) t: Field,
}

impl Encodings {
    pub(super) const fn new() -> Self {
        Self { y: [[0; 8]; LIMBS], odd: 0 }
    }

    /// Takes one encoding apart. ZIP-215 takes a y of p and more as what it is modulo p, and so do limbs.
    pub(super) fn set(&mut self, lane: usize, bytes: &[u8; 32]) {
        const LOW: u64 = (1 << 51) - 1;
        let (words, _) = bytes.as_chunks();
        let word = |at: usize| u64::from_le_bytes(words[at]);
        let (a, b, c, d) = (word(0), word(1), word(2), word(3));
        self.y[0][lane] = a & LOW;
        self.y[1][lane] = (a >> 51 | b << 13) & LOW;
        self.y[2][lane] = (b >> 38 | c << 26) & LOW;
        self.y[3][lane] = (c >> 25 | d << 39) & LOW;
        self.y[4][lane] = d >> 12 & LOW;
        self.odd |= (bytes[31] >> 7) << lane;
    }
}

impl Niels {
    /// The points of two times eight encodings, or nothing where one of them is no point.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn decompress(encodings: [&Encodings; 2]) -> Option<[Self; 2]> {
        let (one, d) = (Field::constant(&ONE), Field::constant(&D));
        // x^2 is u / v, where u = y^2 - 1 and v = d y^2 + 1; v is never 0, for -1/d is no square.
        let y = encodings.map(|encodings| Field::load(&encodings.y));
        let squares = [y[0].square(), y[1].square()];
        let u = [squares[0].sub(&one), squares[1].sub(&one)];
        let v = [squares[0].mul(&d).add(&one), squares[1].mul(&d).add(&one)];
        let v3 = [v[0].square().mul(&v[0]), v[1].square().mul(&v[1])];
        let uv3 = [u[0].mul(&v3[0]), u[1].mul(&v3[1])];
        let uv7 = [uv3[0].mul(&v3[0].mul(&v[0])), uv3[1].mul(&v3[1].mul(&v[1]))];
        let power = root_power(&uv7);
        let x = [uv3[0].mul(&power[0]), uv3[1].mul(&power[1])];
        let [first, second] = [0, 1].map(|at| Self::finish(&u[at], &v[at], &x[at], &y[at], encodings[at].odd));
        Some([first?, second?])
    }

    /// The points of candidates for x, or nothing where one is the root of nothing.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn finish(u: &Field, v: &Field, x: &Field, y: &Field, odd: __mmask8) -> Option<Self> {
        // v x^2 is u, or -u and then x times the root of -1 is the root, or u / v is no square.
        let check = x.square().mul(v);
        let (right, turned) = (check.sub(u).zeros(), check.add(u).zeros());
        if right | turned != __mmask8::MAX {
            return None;
        }
        let x = x.or_where(turned & !right, &x.mul(&Field::constant(&ROOT)));
        // ZIP-215 takes an odd 0 as 0.
        let wrong = x.odds() ^ odd;
        let x = x.or_where(wrong, &Field::constant(&ZERO).sub(&x));
        let mut niels = Self { plus: [[0; 8]; LIMBS], minus: [[0; 8]; LIMBS], product: [[0; 8]; LIMBS] };
        y.add(&x).store(&mut niels.plus);
        y.sub(&x).store(&mut niels.minus);
        x.mul(y).mul(&Field::constant(&D2)).store(&mut niels.product);
        Some(niels)
    }
}

impl Points {
    /// Eight times the neutral point.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn neutral() -> Self {
        let (zero, one) = (Field::constant(&ZERO), Field::constant(&ONE));
        Self { x: zero, y: one, z: one, t: zero }
    }

    /// Each point and the one of a lane, or in the lanes of the mask its opposite.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn add_one(&self, niels: &Niels, lane: usize, opposite: __mmask8) -> Self {
        let (plus, minus) = (Field::lane(&niels.plus, lane), Field::lane(&niels.minus, lane));
        let product = Field::lane(&niels.product, lane);
        // The opposite has the other sign of x: sum and difference change places.
        let (plus, minus) = (plus.or_where(opposite, &minus), minus.or_where(opposite, &plus));
        let product = product.or_where(opposite, &product.neg());
        let a = self.y.sub(&self.x).mul(&minus);
        let b = self.y.add(&self.x).mul(&plus);
        let c = self.t.mul(&product);
        Self::join(&a, &b, &c, &self.z)
    }

    /// The sum in each lane. The formula has no exceptions on this curve, also not among points of small order.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn add(&self, other: &Self) -> Self {
        let a = self.y.sub(&self.x).mul(&other.y.sub(&other.x));
        let b = self.y.add(&self.x).mul(&other.y.add(&other.x));
        let c = self.t.mul(&other.t).mul(&Field::constant(&D2));
        Self::join(&a, &b, &c, &self.z.mul(&other.z))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn join(a: &Field, b: &Field, c: &Field, z: &Field) -> Self {
        let (e, h) = (b.sub(a), b.add(a));
        let (g, f) = z.double_and(c);
        Self { x: e.mul(&f), y: g.mul(&h), z: f.mul(&g), t: e.mul(&h) }
    }

    /// Twice each point.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn double(&self) -> Self {
        let (xx, yy, zz) = (self.x.square(), self.y.square(), self.z.square());
        let both = xx.add(&yy);
        let e = self.x.add(&self.y).square().sub(&both);
        let g = yy.sub(&xx);
        // The opposites of the usual f and h: every coordinate gets the other sign, which is the same point.
        let (h, f) = (both, zz.add(&zz).sub(&g));
        Self { x: e.mul(&f), y: g.mul(&h), z: f.mul(&g), t: e.mul(&h) }
    }
}
