// The Python side of product.hpp and step.hpp. lm/lstm/product.py and lm/lstm/cells.py are the only ones to call it.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "product.hpp"
#include "step.hpp"

namespace nb = nanobind;

namespace nicebeach {

template <class T, int DIMENSIONS>
using Array = nb::ndarray<T, nb::ndim<DIMENSIONS>, nb::c_contig, nb::device::cpu>;

const std::vector<Tiles> &known() {
    static const std::vector<Tiles> result = ways();
    return result;
}

void require(bool fits) {
    if (!fits) throw nb::value_error("shapes that don't fit");
}

void check(const Array<const int8_t, 4> &blocks, const Array<const float, 1> &scales, size_t inputs, size_t outputs) {
    const size_t columns = scales.shape(0);
    require(blocks.shape(1) == (inputs + 1) / 2 && blocks.shape(2) == COLUMNS && blocks.shape(3) == 2 &&
            blocks.shape(0) * COLUMNS == columns && outputs <= columns && outputs + COLUMNS > columns);
}

void multiply_arrays(const Array<const float, 2> &x, const Array<const int8_t, 4> &blocks,
                     const Array<const float, 1> &scales, const Array<float, 2> &out, size_t way) {
    const size_t rows = x.shape(0), inputs = x.shape(1), outputs = out.shape(1);
    require(out.shape(0) == rows);
    check(blocks, scales, inputs, outputs);
    const Tiles &tiles = known().at(way);
    const nb::gil_scoped_release other_threads_may_run;
    multiply(tiles, x.data(), rows, inputs, blocks.data(), scales.data(), out.data(), outputs);
}

void step_arrays(const Array<const float, 2> &seen, const Array<const float, 2> &recurrent,
                 const Array<const float, 2> &before, const Array<float, 2> &hidden, const Array<float, 2> &cells) {
    const size_t rows = hidden.shape(0), size = hidden.shape(1);
    for (const auto &gates : {seen, recurrent}) require(gates.shape(0) == rows && gates.shape(1) == 4 * size);
    require(before.shape(0) == rows && before.shape(1) == size && cells.shape(0) == rows && cells.shape(1) == size);
    step(seen.data(), recurrent.data(), before.data(), hidden.data(), cells.data(), rows, size);
}

void read_arrays(const Array<const float, 3> &seen, const Array<const int8_t, 4> &blocks,
                 const Array<const float, 1> &scales, const Array<float, 2> &hidden, const Array<float, 2> &cells,
                 const Array<float, 3> &outputs) {
    const size_t steps = seen.shape(0), rows = seen.shape(1), size = hidden.shape(1);
    require(seen.shape(2) == 4 * size && hidden.shape(0) == rows && cells.shape(0) == rows && cells.shape(1) == size &&
            outputs.shape(0) == steps && outputs.shape(1) == rows && outputs.shape(2) == size);
    check(blocks, scales, size, 4 * size);
    const nb::gil_scoped_release other_threads_may_run;
    read(known().front(), seen.data(), blocks.data(), scales.data(), hidden.data(), cells.data(), outputs.data(), steps,
         rows, size);
}

}  // namespace nicebeach

NB_MODULE(core, module) {
    module.doc() = "The compiled products and steps; see lm.lstm.product and lm.lstm.cells.";
    module.def("multiply", nicebeach::multiply_arrays, nb::arg("x").noconvert(), nb::arg("blocks").noconvert(),
               nb::arg("scales").noconvert(), nb::arg("out").noconvert(), nb::arg("way") = 0);
    module.def("step", nicebeach::step_arrays, nb::arg("seen").noconvert(), nb::arg("recurrent").noconvert(),
               nb::arg("before").noconvert(), nb::arg("hidden").noconvert(), nb::arg("cells").noconvert());
    module.def("read", nicebeach::read_arrays, nb::arg("seen").noconvert(), nb::arg("blocks").noconvert(),
               nb::arg("scales").noconvert(), nb::arg("hidden").noconvert(), nb::arg("cells").noconvert(),
               nb::arg("outputs").noconvert());
    module.def("ways", [] { return nicebeach::known().size(); });
}
