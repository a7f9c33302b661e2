// Evaluates the functions of cpc_numerics.h on pairs of words: what tests/headers.rs of the reference compares with its own.
//
// With the name of a function it reads pairs and writes the results. With the numbers of dense_pairs and names it makes the
// pairs itself, and writes a digest of the results of each function: 2^32 results are too many to be sent.
#include "cpc_numerics.h"

#include <stdio.h>
#include <stdlib.h>

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

// The pairs of dense_pairs in tests/cases/mod.rs.
static void make_pairs(uint32_t begin, uint32_t count, uint32_t shift, uint32_t *pairs) {
    for (uint32_t n = 0; n < count; ++n) {
        const uint32_t i = begin + n;
        cpc_words at = {{i, 0u, 0u, 0u}};
        const cpc_words random = cpc_philox(1u, 2u, at);
        const uint32_t a = random.w[0], b = random.w[1], c = random.w[2];
        pairs[2u * n] = shift == 0u ? i : (i << shift | a >> (32u - shift));
        pairs[2u * n + 1u] = (b & 1u) == 0u ? c : ((c & 0x807fffffu) | (112u + (c >> 23 & 31u)) << 23);
    }
}

// Four chains of FNV-1a over words: a result that differs changes its chain.
struct cpc_digest {
    uint64_t chains[4];
};

static void add_results(cpc_digest *digest, cpc_case function, const uint32_t *pairs, uint32_t count) {
    for (uint32_t n = 0; n < count; ++n) {
        uint64_t *chain = &digest->chains[n & 3u];
        *chain = (*chain ^ function(pairs[2u * n], pairs[2u * n + 1u])) * 0x100000001b3u;
    }
}

static const uint32_t block = 1u << 15;
static int dense(uint32_t begin, uint32_t count, uint32_t shift, int named, const cpc_named *const *functions) {
    static uint32_t pairs[2u * block];
    static cpc_digest digests[sizeof cases / sizeof *cases];
    for (cpc_digest &digest : digests) {
        for (uint64_t &chain : digest.chains) chain = 0xcbf29ce484222325u;
    }
    for (uint32_t done = 0; done < count; done += block) {
        make_pairs(begin + done, block, shift, pairs);
        for (int at = 0; at < named; ++at) add_results(&digests[at], functions[at]->function, pairs, block);
    }
    for (int at = 0; at < named; ++at) {
        printf("%s", functions[at]->name);
        for (uint64_t chain : digests[at].chains) printf(" %016llx", (unsigned long long)chain);
        printf("\n");
    }
    return 0;
}

static int streamed(cpc_case function) {
    static uint32_t pairs[2u * block], results[block];
    size_t read;
    while ((read = fread(pairs, 2 * sizeof *pairs, block, stdin)) > 0) {
        for (size_t i = 0; i < read; ++i) results[i] = function(pairs[2 * i], pairs[2 * i + 1]);
        if (fwrite(results, sizeof *results, read, stdout) != read) return 1;
    }
    return 0;
}

static uint32_t number(const char *text) { return (uint32_t)strtoul(text, 0, 10); }

static const cpc_named *find(const char *name) {
    for (const cpc_named &one : cases) {
        if (strcmp(name, one.name) == 0) return &one;
    }
    fprintf(stderr, "%s is no function of cpc_numerics.h\n", name);
    exit(2);
}

int main(int count, char **arguments) {
    if (count == 2) return streamed(find(arguments[1])->function);
    static const cpc_named *functions[sizeof cases / sizeof *cases];
    const int named = count - 4;
    if (named < 1 || (size_t)named > sizeof functions / sizeof *functions) {
        fprintf(stderr, "name one function, or a first number, a count, a shift and functions\n");
        return 2;
    }
    for (int at = 0; at < named; ++at) functions[at] = find(arguments[4 + at]);
    // The count is a multiple of a block.
    return dense(number(arguments[1]), number(arguments[2]), number(arguments[3]), named, functions);
}
