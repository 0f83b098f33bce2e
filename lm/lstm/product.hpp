// A few rows times a large matrix, which is where the networks' time goes.
//
// The matrix stays in memory as it ships, in bytes, and becomes floats on its way into the registers: with few rows it
// takes longer to fetch it than to multiply. A row's sums are made in one order, however many rows there are, so that a
// batch equals its members.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace nicebeach {

constexpr int COLUMNS = 64;  // of the matrix, in a block
constexpr int QUARTER = COLUMNS / 4;

#define INLINE __attribute__((always_inline)) inline  // whose instructions are those of the function that calls it

template <int LENGTH>
struct Vectors {
    typedef float floats __attribute__((vector_size(4 * LENGTH)));
    typedef int32_t ints __attribute__((vector_size(4 * LENGTH)));
};

// Columns number * LENGTH and following of a line of a block.
template <int LENGTH>
INLINE void read(const float *line, int number, typename Vectors<LENGTH>::floats &weights) {
    std::memcpy(&weights, line + number * LENGTH, sizeof weights);
}

// The bytes of columns c, QUARTER + c, 2 QUARTER + c, 3 QUARTER + c lie side by side, as an integer that shifts divide:
// every processor can do that to a whole vector.
template <int LENGTH>
INLINE void read(const int8_t *line, int number, typename Vectors<LENGTH>::floats &weights) {
    const int quarter = number * LENGTH / QUARTER, place = number * LENGTH % QUARTER;
    typename Vectors<LENGTH>::ints four;
    std::memcpy(&four, line + 4 * place, sizeof four);
    weights = __builtin_convertvector((four << (24 - 8 * quarter)) >> 24, typename Vectors<LENGTH>::floats);
}

// out [ROWS, COLUMNS] = x [ROWS, inputs] @ block [inputs, COLUMNS] * scales, NUMBER vectors of columns at a time.
template <int LENGTH, int NUMBER, int ROWS, class Weight>
INLINE void multiply_tile(const float *x, size_t inputs, const Weight *block, const float *scales, float *out) {
    using Floats = typename Vectors<LENGTH>::floats;
#pragma GCC unroll 16
    for (int first = 0; first < COLUMNS / LENGTH; first += NUMBER) {
        Floats sums[ROWS][NUMBER] = {};
        for (size_t input = 0; input < inputs; ++input) {
#pragma GCC unroll 16
            for (int v = 0; v < NUMBER; ++v) {
                Floats weights;
                read<LENGTH>(block + input * COLUMNS, first + v, weights);
#pragma GCC unroll 4
                for (int row = 0; row < ROWS; ++row) sums[row][v] += x[row * inputs + input] * weights;
            }
        }
#pragma GCC unroll 16
        for (int v = 0; v < NUMBER; ++v) {
            Floats scale;
            read<LENGTH>(scales, first + v, scale);
#pragma GCC unroll 4
            for (int row = 0; row < ROWS; ++row) {
                const Floats result = sums[row][v] * scale;
                std::memcpy(out + row * COLUMNS + (first + v) * LENGTH, &result, sizeof result);
            }
        }
    }
}

// out [rows, outputs] = x [rows, inputs] @ blocks [., inputs, COLUMNS] * scales. The blocks' last columns may be padding.
template <int LENGTH, class Weight>
INLINE void multiply_rows(const float *x, size_t rows, size_t inputs, const Weight *blocks, const float *scales,
                          float *out, size_t outputs) {
    constexpr int ROWS = 3, NUMBER = 4;  // sixteen registers hold a tile's sums
    float tile[ROWS * COLUMNS];
    for (size_t column = 0; column < outputs; column += COLUMNS, blocks += inputs * COLUMNS, scales += COLUMNS) {
        const size_t width = std::min<size_t>(COLUMNS, outputs - column);
        for (size_t row = 0; row < rows; row += ROWS) {
            const float *here = x + row * inputs;
            const size_t taken = std::min<size_t>(ROWS, rows - row);
            if (taken == 3)
                multiply_tile<LENGTH, NUMBER, 3>(here, inputs, blocks, scales, tile);
            else if (taken == 2)
                multiply_tile<LENGTH, NUMBER, 2>(here, inputs, blocks, scales, tile);
            else
                multiply_tile<LENGTH, 2 * NUMBER, 1>(here, inputs, blocks, scales, tile);
            for (size_t i = 0; i < taken; ++i)
                std::memcpy(out + (row + i) * outputs + column, tile + i * COLUMNS, width * sizeof(float));
        }
    }
}

#if defined(__x86_64__)
template <class Weight>
__attribute__((target("avx2,fma"))) void multiply_avx2(const float *x, size_t rows, size_t inputs, const Weight *blocks,
                                                       const float *scales, float *out, size_t outputs) {
    multiply_rows<8>(x, rows, inputs, blocks, scales, out, outputs);
}
#endif

template <class Weight>
void multiply_anywhere(const float *x, size_t rows, size_t inputs, const Weight *blocks, const float *scales,
                       float *out, size_t outputs) {
    multiply_rows<4>(x, rows, inputs, blocks, scales, out, outputs);
}

}  // namespace nicebeach
