// The Python side of product.hpp. lm/lstm/product.py is the only one to call it.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <vector>

#include "product.hpp"

namespace nb = nanobind;

namespace nicebeach {

template <class T, int DIMENSIONS>
using Array = nb::ndarray<T, nb::ndim<DIMENSIONS>, nb::c_contig, nb::device::cpu>;

template <class Weight>
using Multiply = void (*)(const float *x, size_t rows, size_t inputs, const Weight *blocks, const float *scales,
                          float *out, size_t outputs);

// What the processor can: the best first.
template <class Weight>
std::vector<Multiply<Weight>> ways() {
    std::vector<Multiply<Weight>> result;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) result.push_back(multiply_avx2<Weight>);
#endif
    result.push_back(multiply_anywhere<Weight>);
    return result;
}

template <class Weight>
void multiply(const Array<const float, 2> &x, const Array<const Weight, 3> &blocks, const Array<const float, 1> &scales,
              const Array<float, 2> &out, size_t way) {
    static const std::vector<Multiply<Weight>> known = ways<Weight>();
    const size_t rows = x.shape(0), inputs = x.shape(1), outputs = out.shape(1), columns = scales.shape(0);
    if (out.shape(0) != rows || blocks.shape(1) != inputs || blocks.shape(2) != COLUMNS ||
        blocks.shape(0) * COLUMNS != columns || outputs > columns || outputs + COLUMNS <= columns)
        throw nb::value_error("shapes that don't fit");
    const Multiply<Weight> best = known.at(way);
    const nb::gil_scoped_release other_threads_may_run;
    best(x.data(), rows, inputs, blocks.data(), scales.data(), out.data(), outputs);
}

template <class Weight>
void define(nb::module_ &module) {
    module.def("multiply", multiply<Weight>, nb::arg("x").noconvert(), nb::arg("blocks").noconvert(),
               nb::arg("scales").noconvert(), nb::arg("out").noconvert(), nb::arg("way") = 0);
}

}  // namespace nicebeach

NB_MODULE(core, module) {
    module.doc() = "The compiled products; see lm.lstm.product.";
    nicebeach::define<int8_t>(module);
    nicebeach::define<float>(module);
    module.def("ways", [] { return nicebeach::ways<float>().size(); });
}
