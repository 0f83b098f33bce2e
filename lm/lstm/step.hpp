// What LSTM cells make of what they see.

#pragma once

#include <cstring>
#include <vector>

#include "product.hpp"

namespace nicebeach {

#define INLINE __attribute__((always_inline)) inline  // whose instructions are those of the function that calls it

// tanh, but for rounding: a quotient of polynomials (Eigen's), which vectors of any size can compute.
INLINE float quick_tanh(float x) {
    x = x > 7.9f ? 7.9f : x;
    x = x < -7.9f ? -7.9f : x;
    const float y = x * x;
    float above = -2.76076847742355e-16f;
    above = above * y + 2.00018790482477e-13f;
    above = above * y - 8.60467152213735e-11f;
    above = above * y + 5.12229709037114e-08f;
    above = above * y + 1.48572235717979e-05f;
    above = above * y + 6.37261928875436e-04f;
    above = above * y + 4.89352455891786e-03f;
    float below = 1.19825839466702e-06f;
    below = below * y + 1.18534705686654e-04f;
    below = below * y + 2.26843463243900e-03f;
    below = below * y + 4.89352518554385e-03f;
    return x * above / below;
}

// σ(2 x)
INLINE float logistic(float x) { return 0.5f + 0.5f * quick_tanh(x); }

// Of [rows, 4, size] that cells see and remember: input, forget, output gate, halved, and what is new.
INLINE void step_rows(const float *seen, const float *recurrent, const float *before, float *hidden, float *cells,
                      size_t rows, size_t size) {
    for (size_t row = 0; row < rows; ++row) {
#pragma GCC ivdep  // before and cells may be the same array
        for (size_t i = 0; i < size; ++i) {
            const float let_in = logistic(seen[i] + recurrent[i]);
            const float keep = logistic(seen[size + i] + recurrent[size + i]);
            const float let_out = logistic(seen[2 * size + i] + recurrent[2 * size + i]);
            const float fresh = quick_tanh(seen[3 * size + i] + recurrent[3 * size + i]);
            const float cell = keep * before[i] + let_in * fresh;
            cells[i] = cell;
            hidden[i] = let_out * quick_tanh(cell);
        }
        seen += 4 * size, recurrent += 4 * size, before += size, hidden += size, cells += size;
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) inline void step_avx2(const float *seen, const float *recurrent, const float *before,
                                                      float *hidden, float *cells, size_t rows, size_t size) {
    step_rows(seen, recurrent, before, hidden, cells, rows, size);
}
#endif

inline void step(const float *seen, const float *recurrent, const float *before, float *hidden, float *cells,
                 size_t rows, size_t size) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return step_avx2(seen, recurrent, before, hidden, cells, rows, size);
#endif
    step_rows(seen, recurrent, before, hidden, cells, rows, size);
}

// Sequences side by side: seen [steps, rows, 4, size], hidden and cells [rows, size] before and after, to outputs
// [steps, rows, size]. What cells remember is multiplied by blocks, see product.hpp.
inline void read(const Tiles &tiles, const float *seen, const int8_t *blocks, const float *scales, float *hidden,
                 float *cells, float *outputs, size_t steps, size_t rows, size_t size) {
    std::vector<float> recurrent(rows * 4 * size);
    const float *before = hidden;
    for (size_t now = 0; now < steps; ++now, seen += rows * 4 * size, outputs += rows * size) {
        multiply(tiles, before, rows, size, blocks, scales, recurrent.data(), 4 * size);
        step(seen, recurrent.data(), cells, outputs, cells, rows, size);
        before = outputs;
    }
    if (steps) std::memcpy(hidden, before, rows * size * sizeof(float));
}

}  // namespace nicebeach
