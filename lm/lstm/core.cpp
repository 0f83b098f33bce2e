// The Python side of product.hpp. lm/lstm/product.py is the only one to call it.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "product.hpp"

namespace nb = nanobind;

namespace nicebeach {

template <class T, int DIMENSIONS>
using Array = nb::ndarray<T, nb::ndim<DIMENSIONS>, nb::c_contig, nb::device::cpu>;

template <class Weight, bool ANYWHERE>
void multiply(const Array<const float, 2> &x, const Array<const Weight, 3> &blocks, const Array<const float, 1> &scales,
              const Array<float, 2> &out) {
    const size_t rows = x.shape(0), inputs = x.shape(1), outputs = out.shape(1), columns = scales.shape(0);
    if (out.shape(0) != rows || blocks.shape(1) != inputs || blocks.shape(2) != COLUMNS ||
        blocks.shape(0) * COLUMNS != columns || outputs > columns || outputs + COLUMNS <= columns)
        throw nb::value_error("shapes that don't fit");
    const nb::gil_scoped_release other_threads_may_run;
#if defined(__x86_64__)
    static const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (has_avx2 && !ANYWHERE)
        return multiply_avx2(x.data(), rows, inputs, blocks.data(), scales.data(), out.data(), outputs);
#endif
    multiply_anywhere(x.data(), rows, inputs, blocks.data(), scales.data(), out.data(), outputs);
}

template <bool ANYWHERE>
void define(nb::module_ &module, const char *name) {
    const auto taken = [&](auto function) {
        module.def(name, function, nb::arg("x").noconvert(), nb::arg("blocks").noconvert(),
                   nb::arg("scales").noconvert(), nb::arg("out").noconvert());
    };
    taken(&multiply<int8_t, ANYWHERE>);
    taken(&multiply<float, ANYWHERE>);
}

}  // namespace nicebeach

NB_MODULE(core, module) {
    module.doc() = "The compiled products; see lm.lstm.product.";
    nicebeach::define<false>(module, "multiply");
    nicebeach::define<true>(module, "multiply_anywhere");
}
