// The scalar arithmetic of kernels for devices: the same operations in the same order as
// gpu-kernels/reference/src/numerics, whose bits it must give (docs/spec/numerics.md, NUM-1 to NUM-21).
//
// It compiles as CUDA C++ and as plain C++. On a device: --fmad=false -ftz=false -prec-div=true -prec-sqrt=true; on a
// host: -ffp-contract=off, and no option that allows another order. The test tests/headers.rs of the reference builds it
// with the system's compiler and compares bits.
#ifndef CPC_NUMERICS_H
#define CPC_NUMERICS_H

#if defined(__CUDACC__)
#define CPC_FN static __host__ __device__ __forceinline__
#else
#define CPC_FN static inline
#endif

#if defined(__CUDACC_RTC__)
// NVRTC brings no headers of its own.
typedef unsigned int uint32_t;
typedef int int32_t;
typedef unsigned long long uint64_t;
typedef long long int64_t;
#else
#include <math.h>
#include <stdint.h>
#include <string.h>
#endif

// ---- Bits -----------------------------------------------------------------------------------------------------------

CPC_FN float cpc_from_bits(uint32_t bits) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
#endif
}

CPC_FN uint32_t cpc_raw_bits(float x) {
#if defined(__CUDA_ARCH__)
    return __float_as_uint(x);
#else
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
#endif
}

// ---- The operations of IEEE 754 (NUM-1, NUM-2) ----------------------------------------------------------------------

CPC_FN float cpc_add(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fadd_rn(a, b);
#else
    return a + b;
#endif
}

CPC_FN float cpc_sub(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fsub_rn(a, b);
#else
    return a - b;
#endif
}

CPC_FN float cpc_mul(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
}

CPC_FN float cpc_div(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fdiv_rn(a, b);
#else
    return a / b;
#endif
}

CPC_FN float cpc_sqrt(float x) {
#if defined(__CUDA_ARCH__)
    return __fsqrt_rn(x);
#else
    return sqrtf(x);
#endif
}

CPC_FN float cpc_fma(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
    return __fmaf_rn(a, b, c);
#else
    return fmaf(a, b, c);
#endif
}

CPC_FN bool cpc_is_nan(float x) {
    return (cpc_raw_bits(x) & 0x7fffffffu) > 0x7f800000u;
}

// The one NaN whose bits are ever seen (NUM-5).
CPC_FN float cpc_nan() {
    return cpc_from_bits(0x7fc00000u);
}

CPC_FN float cpc_infinity() {
    return cpc_from_bits(0x7f800000u);
}

// The bits as they are hashed, stored and compared (NUM-5).
CPC_FN uint32_t cpc_bits(float x) {
    return cpc_is_nan(x) ? 0x7fc00000u : cpc_raw_bits(x);
}

// NUM-6.
CPC_FN float cpc_min(float a, float b) {
    return a < b ? a : b;
}

CPC_FN float cpc_max(float a, float b) {
    return a > b ? a : b;
}

CPC_FN float cpc_clamp(float x, float low, float high) {
    return cpc_min(cpc_max(x, low), high);
}

CPC_FN float cpc_abs(float x) {
    return cpc_from_bits(cpc_raw_bits(x) & 0x7fffffffu);
}

CPC_FN float cpc_neg(float x) {
    return cpc_from_bits(cpc_raw_bits(x) ^ 0x80000000u);
}

CPC_FN float cpc_copysign(float magnitude, float sign) {
    return cpc_from_bits((cpc_raw_bits(magnitude) & 0x7fffffffu) | (cpc_bits(sign) & 0x80000000u));
}

// NUM-7.
CPC_FN float cpc_rint(float x) {
    const float magnitude = cpc_abs(x);
    const float whole = cpc_sub(cpc_add(magnitude, 8388608.0f), 8388608.0f);
    return magnitude < 8388608.0f ? cpc_copysign(whole, x) : x;
}

CPC_FN float cpc_floor(float x) {
    const float near = cpc_rint(x);
    return near > x ? cpc_sub(near, 1.0f) : near;
}

// NUM-8.
CPC_FN float cpc_from_u32(uint32_t x) {
#if defined(__CUDA_ARCH__)
    return __uint2float_rn(x);
#else
    return (float)x;
#endif
}

CPC_FN float cpc_from_i32(int32_t x) {
#if defined(__CUDA_ARCH__)
    return __int2float_rn(x);
#else
    return (float)x;
#endif
}

CPC_FN float cpc_from_i64(int64_t x) {
#if defined(__CUDA_ARCH__)
    return __ll2float_rn(x);
#else
    return (float)x;
#endif
}

CPC_FN int32_t cpc_to_i32(float x) {
    if (cpc_is_nan(x)) return 0;
    if (x >= 2147483648.0f) return 2147483647;
    if (x <= -2147483648.0f) return -2147483647 - 1;
    return (int32_t)x;
}

CPC_FN uint32_t cpc_to_u32(float x) {
    if (!(x > 0.0f)) return 0u;
    if (x >= 4294967296.0f) return 0xffffffffu;
    return (uint32_t)x;
}

// A power of two, for n from -126 to 127.
CPC_FN float cpc_power_of_two(int32_t n) {
    return cpc_from_bits((uint32_t)(n + 127) << 23);
}

// 24 high bits as a number in [0, 1) (NUM-13).
CPC_FN float cpc_unit(uint32_t word) {
    return cpc_mul(cpc_from_u32(word >> 8), cpc_from_bits(0x33800000u));
}

// ---- Philox 4x32-10 (NUM-12) ----------------------------------------------------------------------------------------

struct cpc_words {
    uint32_t w[4];
};

CPC_FN cpc_words cpc_philox(uint32_t k0, uint32_t k1, cpc_words at) {
    uint32_t a = at.w[0], b = at.w[1], c = at.w[2], d = at.w[3];
    for (int round = 0; round < 10; ++round) {
        const uint64_t p0 = (uint64_t)0xd2511f53u * a;
        const uint64_t p1 = (uint64_t)0xcd9e8d57u * c;
        a = (uint32_t)(p1 >> 32) ^ b ^ k0;
        b = (uint32_t)p1;
        c = (uint32_t)(p0 >> 32) ^ d ^ k1;
        d = (uint32_t)p0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    cpc_words out = {{a, b, c, d}};
    return out;
}

// ---- The field of 2^31 - 1 elements (NUM-11) ------------------------------------------------------------------------

#define CPC_P 0x7fffffffu

CPC_FN uint32_t cpc_field_reduce(uint64_t x) {
    x = (x & CPC_P) + (x >> 31);
    x = (x & CPC_P) + (x >> 31);
    return (uint32_t)(x >= CPC_P ? x - CPC_P : x);
}

CPC_FN uint32_t cpc_field_add(uint32_t a, uint32_t b) {
    const uint32_t sum = a + b;
    return sum >= CPC_P ? sum - CPC_P : sum;
}

CPC_FN uint32_t cpc_field_sub(uint32_t a, uint32_t b) {
    return a >= b ? a - b : a + CPC_P - b;
}

CPC_FN uint32_t cpc_field_mul(uint32_t a, uint32_t b) {
    return cpc_field_reduce((uint64_t)a * b);
}

// The sum stays below 2^33.
CPC_FN uint64_t cpc_field_accumulate(uint64_t sum, uint32_t a, uint32_t b) {
    sum += (uint64_t)a * b;
    return (sum & CPC_P) + (sum >> 31);
}

// ---- Sums of products (NUM-9, NUM-10) -------------------------------------------------------------------------------

CPC_FN float cpc_fold(float *partial) {
    for (int half = 16; half > 0; half /= 2) {
        for (int lane = 0; lane < half; ++lane) partial[lane] = cpc_add(partial[lane], partial[lane + half]);
    }
    return partial[0];
}

CPC_FN float cpc_row_sum(const float *row, uint32_t count) {
    float partial[32];
    for (int lane = 0; lane < 32; ++lane) partial[lane] = 0.0f;
    for (uint32_t i = 0; i < count; ++i) partial[i & 31u] = cpc_add(partial[i & 31u], row[i]);
    return cpc_fold(partial);
}

CPC_FN float cpc_row_dot(const float *a, const float *b, uint32_t count) {
    float partial[32];
    for (int lane = 0; lane < 32; ++lane) partial[lane] = 0.0f;
    for (uint32_t i = 0; i < count; ++i) partial[i & 31u] = cpc_fma(a[i], b[i], partial[i & 31u]);
    return cpc_fold(partial);
}

CPC_FN float cpc_product_entry(const float *row, const float *column, uint32_t count, uint32_t stride) {
    float sum = 0.0f;
    for (uint32_t k = 0; k < count; ++k) sum = cpc_fma(row[k], column[k * stride], sum);
    return sum;
}

// ---- The transcendental functions (NUM-15 to NUM-21) ----------------------------------------------------------------

#define CPC_LN_2_0 0x3f317218u
#define CPC_LN_2_1 0xb102e308u
#define CPC_LOG2_E_0 0x3fb8aa3bu
#define CPC_LOG2_E_1 0x32a57060u
#define CPC_HALF_PI_0 0x3fc90fdbu
#define CPC_HALF_PI_1 0xb33bbd2eu
#define CPC_HALF_PI_2 0xa6f72cedu
#define CPC_PI_0 0x40490fdbu
#define CPC_PI_1 0xb3bbbd2eu

// From the highest coefficient down, one fused step each (NUM-15).
CPC_FN float cpc_polynomial(float x, const uint32_t *coefficients, int count) {
    float sum = cpc_from_bits(coefficients[count - 1]);
    for (int at = count - 2; at >= 0; --at) sum = cpc_fma(sum, x, cpc_from_bits(coefficients[at]));
    return sum;
}

CPC_FN float cpc_exp_polynomial(float x) {
    const uint32_t c[5] = {
        0x3efffffeu, 0x3e2aaa49u, 0x3d2aac57u, 0x3c091cbfu, 0x3ab52786u
    };
    return cpc_polynomial(x, c, 5);
}

CPC_FN float cpc_exp2_polynomial(float x) {
    const uint32_t c[7] = {
        0x3f317218u, 0x3e75fdf0u, 0x3d635838u, 0x3c1d952du, 0x3aaed16bu, 0x3922087bu, 0x3771ff68u
    };
    return cpc_polynomial(x, c, 7);
}

CPC_FN float cpc_log_polynomial(float x) {
    const uint32_t c[10] = {
        0xbf000000u, 0x3eaaaaabu, 0xbe7fff88u, 0x3e4ccc07u, 0xbe2acc6bu, 0x3e127345u, 0xbdf9c778u,
        0x3ddccce0u, 0xbe03836eu, 0x3df3f066u
    };
    return cpc_polynomial(x, c, 10);
}

CPC_FN float cpc_sin_polynomial(float x) {
    const uint32_t c[4] = {
        0xbe2aaaabu, 0x3c0888bau, 0xb9502cacu, 0x363e17c6u
    };
    return cpc_polynomial(x, c, 4);
}

CPC_FN float cpc_cos_polynomial(float x) {
    const uint32_t c[4] = {
        0x3d2aaaabu, 0xbab60baeu, 0x37d037d8u, 0xb49acaa6u
    };
    return cpc_polynomial(x, c, 4);
}

CPC_FN float cpc_tanh_polynomial(float x) {
    const uint32_t c[6] = {
        0xbeaaaaaau, 0x3e088843u, 0xbd5cfab2u, 0x3cb1ed42u, 0xbc06c477u, 0x3b0f5760u
    };
    return cpc_polynomial(x, c, 6);
}

CPC_FN float cpc_atan_polynomial(float x) {
    const uint32_t c[9] = {
        0xbeaaaa9fu, 0x3e4cc8f5u, 0xbe12107cu, 0x3de04955u, 0xbdac1000u, 0x3d6d42d3u, 0xbcff265du,
        0x3c328d62u, 0xbaea9d2du
    };
    return cpc_polynomial(x, c, 9);
}

CPC_FN float cpc_asin_polynomial(float x) {
    const uint32_t c[6] = {
        0x3e2aaaa6u, 0x3d999c50u, 0x3d365535u, 0x3d0258a3u, 0x3c6bbc5du, 0x3d19eddau
    };
    return cpc_polynomial(x, c, 6);
}

CPC_FN float cpc_atanh_polynomial(float x) {
    const uint32_t c[4] = {
        0x3ecccbf2u, 0x3e92a099u, 0x3e47df83u, 0x3f1093d5u
    };
    return cpc_polynomial(x, c, 4);
}

CPC_FN float cpc_scale(float x, int32_t n) {
    const int32_t half = n >> 1;
    return cpc_mul(cpc_mul(x, cpc_power_of_two(half)), cpc_power_of_two(n - half));
}

// NUM-16.
CPC_FN float cpc_exp(float x) {
    if (cpc_is_nan(x)) return cpc_nan();
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    const float n = cpc_rint(cpc_mul(x, cpc_from_bits(CPC_LOG2_E_0)));
    const float r = cpc_fma(n, cpc_neg(cpc_from_bits(CPC_LN_2_1)), cpc_fma(n, cpc_neg(cpc_from_bits(CPC_LN_2_0)), x));
    const float p = cpc_add(cpc_fma(cpc_exp_polynomial(r), cpc_mul(r, r), r), 1.0f);
    return cpc_scale(p, cpc_to_i32(n));
}

CPC_FN float cpc_exp2(float x) {
    if (cpc_is_nan(x)) return cpc_nan();
    x = x > 129.0f ? 129.0f : x;
    x = x < -151.0f ? -151.0f : x;
    const float n = cpc_rint(x);
    const float r = cpc_sub(x, n);
    return cpc_scale(cpc_fma(cpc_exp2_polynomial(r), r, 1.0f), cpc_to_i32(n));
}

// A positive finite float as m 2^k.
CPC_FN float cpc_split(float x, uint32_t low, int32_t *k) {
    const bool small = x < cpc_from_bits(0x00800000u);
    x = small ? cpc_mul(x, 8388608.0f) : x;
    const int32_t above = (int32_t)(cpc_raw_bits(x) - low) >> 23;
    *k = above + (small ? -23 : 0);
    return cpc_from_bits(cpc_raw_bits(x) - ((uint32_t)above << 23));
}

// NUM-17.
CPC_FN float cpc_log(float x) {
    if (x == 0.0f) return cpc_neg(cpc_infinity());
    if (!(x > 0.0f)) return cpc_nan();
    if (x == cpc_infinity()) return x;
    int32_t whole;
    const float m = cpc_split(x, 0x3f2aaaabu, &whole);
    const float k = cpc_from_i32(whole);
    const float f = cpc_sub(m, 1.0f);
    const float r = cpc_fma(cpc_log_polynomial(f), cpc_mul(f, f), f);
    return cpc_fma(k, cpc_from_bits(CPC_LN_2_0), cpc_fma(k, cpc_from_bits(CPC_LN_2_1), r));
}

// The logarithm to the base 2 of a positive finite float, as a sum of two floats.
CPC_FN float cpc_log2_in_two(float x, float *low) {
    int32_t whole;
    const float m = cpc_split(x, 0x3f3504f3u, &whole);
    const float k = cpc_from_i32(whole);
    const float two_thirds = cpc_from_bits(0x3f2aaaabu);
    const float log2_e = cpc_from_bits(CPC_LOG2_E_0);
    const float f = cpc_sub(m, 1.0f);
    const float d = cpc_add(m, 1.0f);
    const float d_low = cpc_sub(m, cpc_sub(d, 1.0f));
    const float s = cpc_div(f, d);
    const float s_low = cpc_div(cpc_fma(cpc_neg(s), d_low, cpc_fma(cpc_neg(s), d, f)), d);
    const float z = cpc_mul(s, s);
    const float z_low = cpc_fma(cpc_mul(2.0f, s), s_low, cpc_fma(s, s, cpc_neg(z)));
    const float q = cpc_mul(z, cpc_atanh_polynomial(z));
    const float p = cpc_add(two_thirds, q);
    const float p_low = cpc_add(cpc_add(cpc_sub(two_thirds, p), q), cpc_from_bits(0xb2aaaaabu));
    const float cube = cpc_mul(s, z);
    const float cube_low = cpc_fma(s_low, z, cpc_fma(s, z_low, cpc_fma(s, z, cpc_neg(cube))));
    const float t = cpc_mul(cube, p);
    const float t_low = cpc_fma(cube_low, p, cpc_fma(cube, p_low, cpc_fma(cube, p, cpc_neg(t))));
    const float u = cpc_fma(2.0f, s, t);
    const float u_low = cpc_add(cpc_add(cpc_fma(2.0f, s, cpc_neg(u)), t), cpc_fma(2.0f, s_low, t_low));
    const float v = cpc_mul(u, log2_e);
    const float v_low =
        cpc_fma(u_low, log2_e, cpc_fma(u, cpc_from_bits(CPC_LOG2_E_1), cpc_fma(u, log2_e, cpc_neg(v))));
    const float sum = cpc_add(k, v);
    const float back = cpc_sub(sum, k);
    const float lost = cpc_add(cpc_add(cpc_sub(k, cpc_sub(sum, back)), cpc_sub(v, back)), v_low);
    const float high = cpc_add(sum, lost);
    *low = cpc_add(cpc_sub(sum, high), lost);
    return high;
}

// NUM-18.
CPC_FN float cpc_pow(float x, float y) {
    if (x == 1.0f || y == 0.0f) return 1.0f;
    if (cpc_is_nan(x) || cpc_is_nan(y)) return cpc_nan();
    const bool big = cpc_abs(y) >= 16777216.0f;
    const bool is_whole = big || cpc_rint(y) == y;
    const bool is_odd = !big && is_whole && (cpc_to_i32(y) & 1) == 1;
    const float sign = is_odd ? cpc_copysign(1.0f, x) : 1.0f;
    const float a = cpc_abs(x);
    if (a == 0.0f || a == cpc_infinity()) {
        const bool grows = (a == 0.0f) == (y < 0.0f);
        return cpc_mul(sign, grows ? cpc_infinity() : 0.0f);
    }
    if (x < 0.0f && !is_whole && cpc_abs(y) != cpc_infinity()) return cpc_nan();
    if (cpc_abs(y) == cpc_infinity()) {
        if (a == 1.0f) return 1.0f;
        return (a > 1.0f) == (y > 0.0f) ? cpc_infinity() : 0.0f;
    }
    float low;
    const float high = cpc_log2_in_two(a, &low);
    const float w = cpc_mul(y, high);
    if (w >= 129.0f) return cpc_mul(sign, cpc_infinity());
    if (w <= -151.0f) return cpc_mul(sign, 0.0f);
    const float rest = cpc_fma(y, low, cpc_fma(y, high, cpc_neg(w)));
    const float n = cpc_rint(w);
    const float r = cpc_add(cpc_sub(w, n), rest);
    return cpc_mul(sign, cpc_scale(cpc_fma(cpc_exp2_polynomial(r), r, 1.0f), cpc_to_i32(n)));
}

CPC_FN float cpc_sin_near(float r) {
    const float z = cpc_mul(r, r);
    return cpc_fma(cpc_sin_polynomial(z), cpc_mul(z, r), r);
}

CPC_FN float cpc_cos_near(float r) {
    const float z = cpc_mul(r, r);
    const float half = cpc_mul(z, 0.5f);
    const float high = cpc_sub(1.0f, half);
    const float lost = cpc_sub(cpc_sub(1.0f, high), half);
    return cpc_add(high, cpc_fma(cpc_cos_polynomial(z), cpc_mul(z, z), lost));
}

// Large angles, by the 96 bits of 2 / pi that matter.
CPC_FN uint32_t cpc_far_quadrant(float x, float *angle) {
    const uint32_t words[8] = {0u,          0xa2f9836eu, 0x4e441529u, 0xfc2757d1u,
                               0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};
    const uint32_t bits = cpc_raw_bits(x);
    const uint64_t mantissa = (bits & 0x007fffffu) | 0x00800000u;
    const uint32_t start = (bits >> 23 & 0xffu) - 120u;
    const uint32_t word = start >> 5, shift = start & 31u;
    uint64_t at[3];
    for (uint32_t i = 0; i < 3; ++i) {
        const uint64_t both = (uint64_t)words[word + i] << 32 | words[word + i + 1];
        at[i] = both << shift >> 32;
    }
    const uint64_t low = mantissa * at[2];
    const uint64_t middle = mantissa * at[1] + (low >> 32);
    const uint64_t high = mantissa * at[0] + (middle >> 32);
    const uint64_t turns = high << 32 | (middle & 0xffffffffu);
    const uint64_t n = (turns + ((uint64_t)1 << 61)) >> 62;
    const int64_t fraction = (int64_t)(turns - (n << 62));
    const float f = cpc_from_i64(fraction);
    const float f_low = cpc_from_i64(fraction - (int64_t)f);
    const float c0 = cpc_from_bits(0x20c90fdbu), c1 = cpc_from_bits(0x943bbd2eu);
    float r = cpc_mul(f, c0);
    r = cpc_add(r, cpc_fma(f_low, c0, cpc_fma(f, c1, cpc_fma(f, c0, cpc_neg(r)))));
    const uint32_t quadrant = (uint32_t)n;
    *angle = x < 0.0f ? cpc_neg(r) : r;
    return (x < 0.0f ? 0u - quadrant : quadrant) & 3u;
}

CPC_FN uint32_t cpc_quadrant(float x, float *angle) {
    if (cpc_abs(x) < 8192.0f) {
        const float n = cpc_rint(cpc_mul(x, cpc_from_bits(0x3f22f983u)));
        const float r0 = cpc_fma(n, cpc_neg(cpc_from_bits(CPC_HALF_PI_0)), x);
        const float r1 = cpc_fma(n, cpc_neg(cpc_from_bits(CPC_HALF_PI_1)), r0);
        *angle = cpc_fma(n, cpc_neg(cpc_from_bits(CPC_HALF_PI_2)), r1);
        return (uint32_t)cpc_to_i32(n) & 3u;
    }
    return cpc_far_quadrant(x, angle);
}

// NUM-19.
CPC_FN void cpc_sin_cos(float x, float *sine, float *cosine) {
    if (!(cpc_abs(x) < cpc_infinity())) {
        *sine = cpc_nan();
        *cosine = cpc_nan();
        return;
    }
    float r;
    const uint32_t n = cpc_quadrant(x, &r);
    const float s = cpc_sin_near(r), c = cpc_cos_near(r);
    const float sin = (n & 1u) == 0u ? s : c, cos = (n & 1u) == 0u ? c : s;
    *sine = (n & 2u) == 0u ? sin : cpc_neg(sin);
    *cosine = ((n + 1u) & 2u) == 0u ? cos : cpc_neg(cos);
}

CPC_FN float cpc_sin(float x) {
    if (x == 0.0f) return x;
    float sine, cosine;
    cpc_sin_cos(x, &sine, &cosine);
    return sine;
}

CPC_FN float cpc_cos(float x) {
    float sine, cosine;
    cpc_sin_cos(x, &sine, &cosine);
    return cosine;
}

// NUM-20.
CPC_FN float cpc_tanh(float x) {
    if (cpc_is_nan(x)) return cpc_nan();
    if (x == 0.0f) return x;
    float a = cpc_abs(x);
    if (a < 0.55f) {
        const float z = cpc_mul(x, x);
        return cpc_fma(cpc_tanh_polynomial(z), cpc_mul(z, x), x);
    }
    a = a > 10.0f ? 10.0f : a;
    return cpc_copysign(cpc_sub(1.0f, cpc_div(2.0f, cpc_add(cpc_exp(cpc_mul(2.0f, a)), 1.0f))), x);
}

CPC_FN float cpc_rsqrt(float x) {
    const float y = cpc_div(1.0f, cpc_sqrt(x));
    if (cpc_is_nan(y)) return cpc_nan();
    if (x == 0.0f || x == cpc_infinity()) return y;
    const float t = cpc_mul(x, y);
    const float t_low = cpc_fma(x, y, cpc_neg(t));
    const float lost = cpc_fma(cpc_neg(t_low), y, cpc_fma(cpc_neg(t), y, 1.0f));
    return cpc_fma(cpc_mul(0.5f, y), lost, y);
}

// NUM-21.
CPC_FN float cpc_atan2(float y, float x) {
    if (cpc_is_nan(x) || cpc_is_nan(y)) return cpc_nan();
    const float ax = cpc_abs(x), ay = cpc_abs(y);
    const bool steep = ay > ax;
    const float small = steep ? ax : ay, large = steep ? ay : ax;
    const float q = large == 0.0f ? 0.0f : small == cpc_infinity() ? 1.0f : cpc_div(small, large);
    const float z = cpc_mul(q, q);
    const float near = cpc_fma(cpc_atan_polynomial(z), cpc_mul(z, q), q);
    const bool left = cpc_copysign(1.0f, x) < 0.0f;
    const float half0 = cpc_from_bits(CPC_HALF_PI_0), half1 = cpc_from_bits(CPC_HALF_PI_1);
    float angle = near;
    if (steep) {
        angle = left ? cpc_add(half0, cpc_add(near, half1)) : cpc_sub(half0, cpc_sub(near, half1));
    } else if (left) {
        angle = cpc_sub(cpc_from_bits(CPC_PI_0), cpc_sub(near, cpc_from_bits(CPC_PI_1)));
    }
    return cpc_copysign(angle, y);
}

CPC_FN float cpc_asin_more(float s, float z) {
    return cpc_mul(cpc_asin_polynomial(z), cpc_mul(z, s));
}

CPC_FN float cpc_half_acos(float a, float *more) {
    const float z = cpc_mul(cpc_sub(1.0f, a), 0.5f);
    const float s = cpc_sqrt(z);
    const float lost = s == 0.0f ? 0.0f : cpc_div(cpc_fma(cpc_neg(s), s, z), cpc_mul(2.0f, s));
    *more = cpc_add(cpc_asin_more(s, z), lost);
    return s;
}

CPC_FN float cpc_asin(float x) {
    const float a = cpc_abs(x);
    if (a <= 0.5f) return cpc_add(x, cpc_asin_more(x, cpc_mul(x, x)));
    if (!(a <= 1.0f)) return cpc_nan();
    const float half0 = cpc_from_bits(CPC_HALF_PI_0), half1 = cpc_from_bits(CPC_HALF_PI_1);
    float more;
    const float s = cpc_half_acos(a, &more);
    const float high = cpc_sub(half0, cpc_mul(2.0f, s));
    const float lost = cpc_sub(cpc_sub(half0, high), cpc_mul(2.0f, s));
    return cpc_copysign(cpc_add(high, cpc_sub(lost, cpc_fma(2.0f, more, cpc_neg(half1)))), x);
}

CPC_FN float cpc_acos(float x) {
    const float a = cpc_abs(x);
    const float half0 = cpc_from_bits(CPC_HALF_PI_0), half1 = cpc_from_bits(CPC_HALF_PI_1);
    if (a <= 0.5f) return cpc_sub(half0, cpc_add(x, cpc_sub(cpc_asin_more(x, cpc_mul(x, x)), half1)));
    if (!(a <= 1.0f)) return cpc_nan();
    const float pi0 = cpc_from_bits(CPC_PI_0), pi1 = cpc_from_bits(CPC_PI_1);
    float more;
    const float s = cpc_half_acos(a, &more);
    if (x > 0.0f) return cpc_mul(2.0f, cpc_add(s, more));
    const float high = cpc_sub(pi0, cpc_mul(2.0f, s));
    const float lost = cpc_sub(cpc_sub(pi0, high), cpc_mul(2.0f, s));
    return cpc_add(high, cpc_sub(lost, cpc_fma(2.0f, more, cpc_neg(pi1))));
}

#endif
