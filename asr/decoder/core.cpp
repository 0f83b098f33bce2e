// The Python side of search.hpp and lattice.hpp. asr/decoder/beam.py is the only one to call it.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>

#include "lattice.hpp"
#include "search.hpp"

namespace py = pybind11;
using namespace nicebeach;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

// A Graph that keeps the arrays which it looks at alive.
struct OwnedGraph {
    Graph graph;
    std::vector<py::object> owned;

    template <class T>
    const T *view(const py::object &object) {
        Array<T> array = py::cast<Array<T>>(object);
        owned.push_back(array);
        return array.data();
    }
};

std::unique_ptr<OwnedGraph> make_graph(const py::object &tree, const py::object &ngram, const Array<double> &look_ahead,
                                       const Array<double> &boost, int units, int start, int end,
                                       double ngram_weight, double word_bonus, int beam_size, double beam_score,
                                       double skip_blank, bool add, int memory) {
    auto result = std::make_unique<OwnedGraph>();
    Graph &graph = result->graph;
    graph.unit = result->view<int32_t>(tree.attr("unit"));
    graph.parent = result->view<int32_t>(tree.attr("parent"));
    graph.first_child = result->view<int32_t>(tree.attr("first_child"));
    graph.end_child = result->view<int32_t>(tree.attr("end_child"));
    graph.first_word = result->view<int32_t>(tree.attr("first_word"));
    graph.end_word = result->view<int32_t>(tree.attr("end_word"));
    graph.words = result->view<int32_t>(tree.attr("words"));
    graph.look_ahead = result->view<double>(look_ahead);
    graph.order = py::cast<int>(ngram.attr("order"));
    graph.ids = result->view<int32_t>(ngram.attr("ids"));
    graph.ngram_word = result->view<int32_t>(ngram.attr("word"));
    graph.ngram_first = result->view<int32_t>(ngram.attr("first"));
    graph.ngram_log_prob = result->view<float>(ngram.attr("log_prob"));
    graph.ngram_backoff = result->view<float>(ngram.attr("backoff"));
    graph.boost = result->view<double>(boost);
    graph.units = units;
    graph.start_id = graph.ids[start];
    graph.end_id = graph.ids[end];
    graph.rules = {ngram_weight, word_bonus, beam_size, std::exp(-beam_score), skip_blank, add, memory};
    graph.prepare(int(boost.size()));
    return result;
}

template <class T>
Array<T> to_array(const std::vector<T> &values) {
    return Array<T>(py::ssize_t(values.size()), values.data());
}

template <class T, class Field>
Array<T> column(const std::vector<Arc> &arcs, size_t first, Field field) {
    Array<T> result(py::ssize_t(arcs.size() - first));
    for (size_t index = first; index < arcs.size(); ++index) result.mutable_at(index - first) = arcs[index].*field;
    return result;
}

PYBIND11_MODULE(core, module) {
    module.doc() = "The compiled beam search; see asr.decoder.beam.";

    py::class_<OwnedGraph>(module, "Graph")
        .def(py::init(&make_graph), py::kw_only(), py::arg("tree"), py::arg("ngram"), py::arg("look_ahead"),
             py::arg("boost"), py::arg("units"), py::arg("start"), py::arg("end"), py::arg("ngram_weight"),
             py::arg("word_bonus"), py::arg("beam_size"), py::arg("beam_score"), py::arg("skip_blank"), py::arg("add"),
             py::arg("memory"));

    py::class_<Search>(module, "Search")
        .def(py::init([](const OwnedGraph &graph, const std::vector<int32_t> &before) {
                 return std::make_unique<Search>(graph.graph, before);
             }),
             py::keep_alive<1, 2>())
        .def("accept",
             [](Search &search, const Array<float> &log_probs) {
                 py::gil_scoped_release release;
                 return search.accept(log_probs.data(), int(log_probs.shape(0)));
             })
        .def("end", &Search::end)
        .def("contexts", &Search::contexts)
        .def("sentence_ends",
             [](const Search &search) {
                 Array<double> result(search.contexts());
                 for (int context = 0; context < search.contexts(); ++context)
                     result.mutable_at(context) = search.sentence_end(context);
                 return result;
             })
        // source, word, target, ngram, lstm of the arcs from `first` on
        .def("arcs",
             [](const Search &search, size_t first) {
                 const std::vector<Arc> &arcs = search.arcs();
                 return py::make_tuple(column<int32_t>(arcs, first, &Arc::source), column<int32_t>(arcs, first, &Arc::word),
                                       column<int32_t>(arcs, first, &Arc::target), column<double>(arcs, first, &Arc::ngram),
                                       column<double>(arcs, first, &Arc::lstm));
             })
        .def("score",
             [](Search &search, size_t first, const Array<double> &log_probs, double weight) {
                 search.score(first, log_probs.data(), weight);
             })
        // log-probs, first word of each reading; arc, first and past-the-end frame, and posterior of each word, if
        // merged readings were added
        .def("nbest", [](const Search &search, const Array<double> &ends, size_t count, size_t most_items) {
            Readings readings;
            {
                py::gil_scoped_release release;
                Lattice lattice(search);
                readings = lattice.nbest(ends.data(), count, most_items);
                if (search.graph().rules.add) lattice.add_posteriors(readings, ends.data());
            }
            return py::make_tuple(to_array(readings.log_prob), to_array(readings.first_word), to_array(readings.arc),
                                  to_array(readings.start), to_array(readings.end), to_array(readings.posterior));
        });
}
