// Evaluates one function of cpc_numerics.h on a stream of pairs of words: what tests/headers.rs of the reference compares
// with its own.
#include "cpc_numerics.h"

#include <stdio.h>

typedef uint32_t (*cpc_case)(uint32_t, uint32_t);

static float f(uint32_t bits) { return cpc_from_bits(bits); }

static uint32_t case_exp(uint32_t x, uint32_t) { return cpc_bits(cpc_exp(f(x))); }
static uint32_t case_exp2(uint32_t x, uint32_t) { return cpc_bits(cpc_exp2(f(x))); }
static uint32_t case_log(uint32_t x, uint32_t) { return cpc_bits(cpc_log(f(x))); }
static uint32_t case_sin(uint32_t x, uint32_t) { return cpc_bits(cpc_sin(f(x))); }
static uint32_t case_cos(uint32_t x, uint32_t) { return cpc_bits(cpc_cos(f(x))); }
static uint32_t case_tanh(uint32_t x, uint32_t) { return cpc_bits(cpc_tanh(f(x))); }
static uint32_t case_rsqrt(uint32_t x, uint32_t) { return cpc_bits(cpc_rsqrt(f(x))); }
static uint32_t case_asin(uint32_t x, uint32_t) { return cpc_bits(cpc_asin(f(x))); }
static uint32_t case_acos(uint32_t x, uint32_t) { return cpc_bits(cpc_acos(f(x))); }
static uint32_t case_sqrt(uint32_t x, uint32_t) { return cpc_bits(cpc_sqrt(f(x))); }
static uint32_t case_rint(uint32_t x, uint32_t) { return cpc_bits(cpc_rint(f(x))); }
static uint32_t case_floor(uint32_t x, uint32_t) { return cpc_bits(cpc_floor(f(x))); }
static uint32_t case_to_i32(uint32_t x, uint32_t) { return (uint32_t)cpc_to_i32(f(x)); }
static uint32_t case_to_u32(uint32_t x, uint32_t) { return cpc_to_u32(f(x)); }
static uint32_t case_from_i32(uint32_t x, uint32_t) { return cpc_bits(cpc_from_i32((int32_t)x)); }
static uint32_t case_from_u32(uint32_t x, uint32_t) { return cpc_bits(cpc_from_u32(x)); }
static uint32_t case_unit(uint32_t x, uint32_t) { return cpc_bits(cpc_unit(x)); }
static uint32_t case_pow(uint32_t x, uint32_t y) { return cpc_bits(cpc_pow(f(x), f(y))); }
static uint32_t case_atan2(uint32_t x, uint32_t y) { return cpc_bits(cpc_atan2(f(x), f(y))); }
static uint32_t case_min(uint32_t x, uint32_t y) { return cpc_bits(cpc_min(f(x), f(y))); }
static uint32_t case_max(uint32_t x, uint32_t y) { return cpc_bits(cpc_max(f(x), f(y))); }
static uint32_t case_copysign(uint32_t x, uint32_t y) { return cpc_bits(cpc_copysign(f(x), f(y))); }
static uint32_t case_fma(uint32_t x, uint32_t y) { return cpc_bits(cpc_fma(f(x), f(y), f(x ^ y))); }
static uint32_t case_field_reduce(uint32_t x, uint32_t y) { return cpc_field_reduce((uint64_t)x << 32 | y); }
static uint32_t case_field(uint32_t x, uint32_t y) {
    const uint32_t a = cpc_field_reduce(x), b = cpc_field_reduce(y);
    const uint64_t sum = cpc_field_accumulate(cpc_field_mul(a, b), a, b);
    return cpc_field_add(cpc_field_reduce(sum), cpc_field_sub(a, b));
}
static uint32_t case_philox(uint32_t x, uint32_t y) {
    cpc_words at = {{x, y, x + y, 7u}};
    return cpc_philox(x, ~y, at).w[y & 3u];
}
static uint32_t case_sums(uint32_t x, uint32_t y) {
    float a[67], b[67];
    for (uint32_t i = 0; i < 67u; ++i) {
        a[i] = cpc_sub(cpc_unit(x * 2654435761u + i * y), 0.5f);
        b[i] = cpc_sub(cpc_unit(y * 2246822519u + i * x), 0.5f);
    }
    const float sum = cpc_add(cpc_row_sum(a, 67u), cpc_row_dot(a, b, 67u));
    return cpc_bits(cpc_add(sum, cpc_product_entry(a, b, 22u, 3u)));
}

struct cpc_named {
    const char *name;
    cpc_case function;
};

static const cpc_named cases[] = {
    {"exp", case_exp},         {"exp2", case_exp2},   {"log", case_log},           {"sin", case_sin},
    {"cos", case_cos},         {"tanh", case_tanh},   {"rsqrt", case_rsqrt},       {"asin", case_asin},
    {"acos", case_acos},       {"sqrt", case_sqrt},   {"rint", case_rint},         {"floor", case_floor},
    {"to_i32", case_to_i32},   {"to_u32", case_to_u32}, {"from_i32", case_from_i32}, {"from_u32", case_from_u32},
    {"unit", case_unit},       {"pow", case_pow},     {"atan2", case_atan2},       {"min", case_min},
    {"max", case_max},         {"copysign", case_copysign}, {"fma", case_fma},     {"field_reduce", case_field_reduce},
    {"field", case_field},     {"philox", case_philox}, {"sums", case_sums},
};

int main(int count, char **arguments) {
    cpc_case function = 0;
    for (const cpc_named &named : cases) {
        if (count == 2 && strcmp(arguments[1], named.name) == 0) function = named.function;
    }
    if (!function) {
        fprintf(stderr, "name one function of cpc_numerics.h\n");
        return 2;
    }
    static uint32_t pairs[2 << 15], results[1 << 15];
    size_t read;
    while ((read = fread(pairs, 2 * sizeof *pairs, 1 << 15, stdin)) > 0) {
        for (size_t i = 0; i < read; ++i) results[i] = function(pairs[2 * i], pairs[2 * i + 1]);
        if (fwrite(results, sizeof *results, read, stdout) != read) return 1;
    }
    return 0;
}
