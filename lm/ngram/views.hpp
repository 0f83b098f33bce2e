// Arrays on their way between NumPy and C++, for the compiled parts of lm and asr.

#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <utility>
#include <vector>

#include "ngram.hpp"

namespace nicebeach {

namespace nb = nanobind;

// Taken as it is: another type or order is an error, not a silent copy, if the argument is declared `noconvert`.
template <class T>
using Array = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;

// Keeps the arrays alive that it gave the addresses of.
class Views {
   public:
    template <class T>
    const T *view(const Array<T> &array) {
        owned_.emplace_back(array);
        return array.data();
    }

    template <class T>
    const T *view(const nb::object &tables, const char *name) {
        return view(nb::cast<Array<T>>(tables.attr(name), false));
    }

    Ngram ngram(const nb::object &tables) {
        return {nb::cast<int>(tables.attr("order")), view<int32_t>(tables, "word"), view<int32_t>(tables, "first"),
                view<float>(tables, "log_prob"), view<float>(tables, "backoff")};
    }

   private:
    std::vector<nb::ndarray<nb::ro>> owned_;
};

// A NumPy array that owns the values.
template <class T>
auto to_array(std::vector<T> values) {
    auto *kept = new std::vector<T>(std::move(values));
    nb::capsule owner(kept, [](void *pointer) noexcept { delete static_cast<std::vector<T> *>(pointer); });
    return nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner);
}

}  // namespace nicebeach
