// A few rows times a large matrix, which is where the networks' time goes.
//
// The matrix stays in memory as it ships, in bytes, and the rows become integers of two bytes, rounded a hundred
// times as finely as the matrix: processors multiply such two to four times as fast as floats. Sums of integers are exact, so
// that a batch equals its members, and every processor says the same.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nicebeach {

constexpr size_t COLUMNS = 64;  // of the matrix, in a block

// Blocks are [pairs, COLUMNS, 2]: of a column the weights of two inputs lie side by side. A tile is
// sums [rows, COLUMNS] = x [rows, pairs, 2] times a block.
using Tile = void (*)(const int16_t *x, size_t pairs, const int8_t *block, int32_t *sums);

// The largest integer that a row's largest number may become, so that no sum of so many products leaves 32 bits.
inline int32_t largest(size_t inputs) {
    return static_cast<int32_t>(std::min<size_t>(INT16_MAX, INT32_MAX / (128 * std::max<size_t>(1, inputs))));
}

// A row as integers, and what each of them counts. The last of an odd number of inputs gets a 0 beside it.
inline float rounded(const float *row, size_t inputs, int16_t *result) {
    float most = 0;
    for (size_t i = 0; i < inputs; ++i) most = std::max(most, std::abs(row[i]));
    const float unit = most / static_cast<float>(largest(inputs));
    const float factor = unit > 1e-37f ? 1 / unit : 0;  // what is less has no reciprocal
    for (size_t i = 0; i < inputs; ++i) {
        const float value = row[i] * factor;
        result[i] = static_cast<int16_t>(static_cast<int32_t>(value < 0 ? value - 0.5f : value + 0.5f));
    }
    if (inputs % 2) result[inputs] = 0;
    return unit;
}

template <int ROWS>
void tile_anywhere(const int16_t *x, size_t pairs, const int8_t *block, int32_t *sums) {
    std::memset(sums, 0, ROWS * COLUMNS * sizeof(int32_t));
    for (size_t pair = 0; pair < pairs; ++pair, block += 2 * COLUMNS)
        for (int row = 0; row < ROWS; ++row) {
            const int32_t first = x[2 * (row * pairs + pair)], second = x[2 * (row * pairs + pair) + 1];
            for (size_t column = 0; column < COLUMNS; ++column)
                sums[row * COLUMNS + column] += first * block[2 * column] + second * block[2 * column + 1];
        }
}

#if defined(__x86_64__)
#define UNROLL _Pragma("GCC unroll 8")

// Two inputs, as a vector takes them.
inline int32_t two(const int16_t *x, size_t pair) {
    int32_t result;
    std::memcpy(&result, x + 2 * pair, sizeof result);
    return result;
}

template <int ROWS>
__attribute__((target("avx2"))) void tile_avx2(const int16_t *x, size_t pairs, const int8_t *block, int32_t *sums) {
    constexpr int NUMBER = ROWS == 1 ? 8 : 4;  // vectors of columns at a time: sixteen registers hold the sums
    for (size_t begin = 0; begin < COLUMNS; begin += 8 * NUMBER) {
        __m256i found[ROWS][NUMBER];
        UNROLL for (int row = 0; row < ROWS; ++row)
            UNROLL for (int part = 0; part < NUMBER; ++part) found[row][part] = _mm256_setzero_si256();
        for (size_t pair = 0; pair < pairs; ++pair) {
            __m256i inputs[ROWS];
            UNROLL for (int row = 0; row < ROWS; ++row) inputs[row] = _mm256_set1_epi32(two(x, row * pairs + pair));
            UNROLL for (int part = 0; part < NUMBER; ++part) {
                const int8_t *bytes = block + 2 * (COLUMNS * pair + begin + 8 * part);
                const __m256i weights = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes)));
                UNROLL for (int row = 0; row < ROWS; ++row)
                    found[row][part] = _mm256_add_epi32(found[row][part], _mm256_madd_epi16(weights, inputs[row]));
            }
        }
        UNROLL for (int row = 0; row < ROWS; ++row)
            UNROLL for (int part = 0; part < NUMBER; ++part)
                _mm256_storeu_si256(reinterpret_cast<__m256i *>(sums + row * COLUMNS + begin + 8 * part), found[row][part]);
    }
}

template <int ROWS>
__attribute__((target("avx512f,avx512bw,avx512vnni"))) void tile_vnni(const int16_t *x, size_t pairs,
                                                                      const int8_t *block, int32_t *sums) {
    constexpr int NUMBER = COLUMNS / 16;
    __m512i found[ROWS][NUMBER];
    UNROLL for (int row = 0; row < ROWS; ++row)
        UNROLL for (int part = 0; part < NUMBER; ++part) found[row][part] = _mm512_setzero_si512();
    for (size_t pair = 0; pair < pairs; ++pair) {
        __m512i weights[NUMBER];
        UNROLL for (int part = 0; part < NUMBER; ++part) {
            const int8_t *bytes = block + 2 * (COLUMNS * pair + 16 * part);
            weights[part] = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(bytes)));
        }
        UNROLL for (int row = 0; row < ROWS; ++row) {
            const __m512i inputs = _mm512_set1_epi32(two(x, row * pairs + pair));
            UNROLL for (int part = 0; part < NUMBER; ++part)
                found[row][part] = _mm512_dpwssd_epi32(found[row][part], weights[part], inputs);
        }
    }
    UNROLL for (int row = 0; row < ROWS; ++row)
        UNROLL for (int part = 0; part < NUMBER; ++part)
            _mm512_storeu_si512(sums + row * COLUMNS + 16 * part, found[row][part]);
}
#endif

// The tiles of one row, two, and so on, that a processor makes at once.
using Tiles = std::vector<Tile>;

// What this processor can: the fastest first.
inline std::vector<Tiles> ways() {
    std::vector<Tiles> result;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
        result.push_back({tile_vnni<1>, tile_vnni<2>, tile_vnni<3>, tile_vnni<4>, tile_vnni<5>, tile_vnni<6>});
    if (__builtin_cpu_supports("avx2")) result.push_back({tile_avx2<1>, tile_avx2<2>, tile_avx2<3>});
#endif
    result.push_back({tile_anywhere<1>, tile_anywhere<2>, tile_anywhere<3>});
    return result;
}

// out [rows, outputs] = x [rows, inputs] @ blocks * scales. The blocks' last columns may be padding.
inline void multiply(const Tiles &tiles, const float *x, size_t rows, size_t inputs, const int8_t *blocks,
                     const float *scales, float *out, size_t outputs) {
    const size_t pairs = (inputs + 1) / 2;
    std::vector<int16_t> integers(rows * 2 * pairs);
    std::vector<float> units(rows);
    for (size_t row = 0; row < rows; ++row)
        units[row] = rounded(x + row * inputs, inputs, integers.data() + row * 2 * pairs);
    std::vector<int32_t> sums(tiles.size() * COLUMNS);
    for (size_t column = 0; column < outputs; column += COLUMNS, blocks += pairs * 2 * COLUMNS) {
        const size_t width = std::min(COLUMNS, outputs - column);
        for (size_t row = 0, taken; row < rows; row += taken) {
            taken = std::min(tiles.size(), rows - row);
            tiles[taken - 1](integers.data() + row * 2 * pairs, pairs, blocks, sums.data());
            for (size_t i = 0; i < taken; ++i)
                for (size_t j = 0; j < width; ++j)
                    out[(row + i) * outputs + column + j] =
                        static_cast<float>(sums[i * COLUMNS + j]) * (units[row + i] * scales[column + j]);
        }
    }
}

}  // namespace nicebeach
