// The Python side of search.hpp and lattice.hpp. asr/decoder/beam.py is the only one to call it.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include "lattice.hpp"
#include "lm/ngram/views.hpp"
#include "search.hpp"

namespace nicebeach {

struct OwnedGraph {
    Graph graph;
    Views views;  // of its arrays
};

void make_graph(OwnedGraph *result, const nb::object &tree, const nb::object &ngram, const Array<double> &look_ahead,
                const Array<double> &share, const Array<double> &boost, int units, int start, int end, double ngram_weight, double word_bonus,
                int beam_size, double beam_score, double skip_blank, bool add, int memory) {
    OwnedGraph made;
    auto &[graph, views] = made;
    graph.unit = views.view<int32_t>(tree, "unit");
    graph.parent = views.view<int32_t>(tree, "parent");
    graph.first_child = views.view<int32_t>(tree, "first_child");
    graph.end_child = views.view<int32_t>(tree, "end_child");
    graph.first_word = views.view<int32_t>(tree, "first_word");
    graph.end_word = views.view<int32_t>(tree, "end_word");
    graph.words = views.view<int32_t>(tree, "words");
    graph.look_ahead = views.view(look_ahead);
    graph.ngram = views.ngram(ngram);
    graph.ids = views.view<int32_t>(ngram, "ids");
    graph.share = views.view(share);
    graph.boost = views.view(boost);
    graph.units = units;
    graph.start_id = graph.ids[start];
    graph.end_id = graph.ids[end];
    graph.rules = {ngram_weight, word_bonus, beam_size, std::exp(-beam_score), skip_blank, add, memory};
    graph.prepare(int(boost.size()));
    new (result) OwnedGraph(std::move(made));
}

template <class Row, class T>
auto column(const std::vector<Row> &rows, size_t first, T Row::*field) {
    std::vector<T> result;
    for (size_t index = first; index < rows.size(); ++index) result.push_back(rows[index].*field);
    return to_array(std::move(result));
}

}  // namespace nicebeach

using namespace nicebeach;
using namespace nb::literals;

NB_MODULE(core, module) {
    module.doc() = "The compiled beam search; see asr.decoder.beam.";
    nb::set_leak_warnings(false);  // a recogniser that lives as long as the program is no leak

    nb::class_<OwnedGraph>(module, "Graph")
        .def("__init__", &make_graph, nb::kw_only(), "tree"_a, "ngram"_a, "look_ahead"_a.noconvert(),
             "share"_a.noconvert(), "boost"_a.noconvert(), "units"_a, "start"_a, "end"_a, "ngram_weight"_a, "word_bonus"_a, "beam_size"_a,
             "beam_score"_a, "skip_blank"_a, "add"_a, "memory"_a);

    nb::class_<Search>(module, "Search")
        .def(
            "__init__",
            [](Search *search, const OwnedGraph &graph, const std::vector<int32_t> &before) {
                new (search) Search(graph.graph, before);
            },
            nb::keep_alive<1, 2>())
        .def("copy", [](const Search &search) { return Search(search); }, nb::keep_alive<0, 1>())
        .def(
            "accept",
            [](Search &search, const Array<float> &log_probs) {
                return search.accept(log_probs.data(), int(log_probs.shape(0)));
            },
            nb::arg().noconvert(), nb::call_guard<nb::gil_scoped_release>())
        .def("best",
             [](const Search &search) {
                 double sentence_end;
                 const std::vector<Spoken> words = search.best(sentence_end);
                 return nb::make_tuple(column(words, 0, &Spoken::word), column(words, 0, &Spoken::start),
                                       column(words, 0, &Spoken::end), column(words, 0, &Spoken::share), sentence_end);
             })
        .def("end", &Search::end)
        .def("contexts", &Search::contexts)
        .def("sentence_ends",
             [](const Search &search) {
                 std::vector<double> result;
                 for (int context = 0; context < search.contexts(); ++context)
                     result.push_back(search.sentence_end(context));
                 return to_array(std::move(result));
             })
        // source, word, target, ngram, lstm of the arcs from `first` on
        .def("arcs",
             [](const Search &search, size_t first) {
                 const std::vector<Arc> &arcs = search.arcs();
                 return nb::make_tuple(column(arcs, first, &Arc::source), column(arcs, first, &Arc::word),
                                       column(arcs, first, &Arc::target), column(arcs, first, &Arc::ngram),
                                       column(arcs, first, &Arc::lstm));
             })
        .def(
            "score",
            [](Search &search, size_t first, const Array<double> &log_probs, double weight) {
                search.score(first, log_probs.data(), weight);
            },
            nb::arg(), nb::arg().noconvert(), nb::arg())
        // log-probs, first word of each hypothesis; arc, first and past-the-end frame, and posterior of each word, if
        // merged hypotheses were added
        .def(
            "nbest",
            [](const Search &search, const Array<double> &ends, size_t count, size_t most_items) {
                Hypotheses found;
                {
                    nb::gil_scoped_release release;
                    Lattice lattice(search);
                    found = lattice.nbest(ends.data(), count, most_items);
                    if (search.graph().rules.add) lattice.add_posteriors(found, ends.data());
                }
                return nb::make_tuple(to_array(std::move(found.log_prob)), to_array(std::move(found.first_word)),
                                      to_array(std::move(found.arc)), to_array(std::move(found.start)),
                                      to_array(std::move(found.end)), to_array(std::move(found.posterior)));
            },
            nb::arg().noconvert(), nb::arg(), nb::arg());
}
