// The Python side of ngram.hpp. lm/ngram/model.py is the only one to call it.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include "ngram.hpp"
#include "views.hpp"

namespace nicebeach {

using Output = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// An n-gram asked for the words of a vocabulary, by their ids there. A state is the bytes of a context, see Ngram: its
// words, then its back-off weights.
class Model {
   public:
    Model(const nb::object &tables, const Array<double> &shares, int start, int end)
        : ngram_(views_.ngram(tables)),
          ids_(views_.view<int32_t>(tables, "ids")),
          shares_(views_.view(shares)),
          words_(int32_t(shares.size())),
          end_(end),
          initial_(2 * half()) {
        ngram_.begin(ids_[start], words_of(initial_.data()), backoffs_of(initial_.data()));
    }

    nb::bytes initial() const { return nb::bytes(initial_.data(), initial_.size()); }

    nb::bytes read(const nb::bytes &state, const std::vector<int32_t> &words) const {
        std::vector<char> context = checked(state), after(context.size());
        for (int32_t word : words) {
            step(context.data(), word, after.data());
            std::swap(context, after);
        }
        return nb::bytes(context.data(), context.size());
    }

    // log_probs [B] is written to: NumPy makes arrays faster than nanobind.
    nb::list score(const std::vector<nb::bytes> &states, const std::vector<int32_t> &words,
                   const Output &log_probs) const {
        if (states.size() != words.size() || log_probs.size() != words.size())
            throw nb::value_error("as many states as words are needed");
        nb::list following;
        std::vector<char> after(initial_.size());
        for (size_t i = 0; i < words.size(); ++i) {
            log_probs(i) = step(checked(states[i]).data(), words[i], after.data());
            following.append(nb::bytes(after.data(), after.size()));
        }
        return following;
    }

    // log_probs: for each sequence an array to write to.
    void log_probs(const std::vector<std::vector<int32_t>> &sequences, const std::vector<Output> &log_probs) const {
        if (sequences.size() != log_probs.size()) throw nb::value_error("as many arrays as sequences are needed");
        std::vector<char> context, after(initial_.size());
        for (size_t i = 0; i < sequences.size(); ++i) {
            const std::vector<int32_t> &words = sequences[i];
            if (log_probs[i].size() != words.size()) throw nb::value_error("an array of another length");
            context = initial_;
            for (size_t place = 0; place < words.size(); ++place) {
                log_probs[i](place) = step(context.data(), words[place], after.data());
                std::swap(context, after);
            }
        }
    }

    auto next_words(const nb::bytes &state) const {
        std::vector<char> context = checked(state), after(context.size());
        std::vector<double> result(words_);
        for (int32_t word = 0; word < words_; ++word) result[word] = log_prob(context.data(), word, after.data());
        return to_array(std::move(result));
    }

   private:
    size_t half() const { return (ngram_.order - 1) * sizeof(int32_t); }
    int32_t *words_of(char *state) const { return reinterpret_cast<int32_t *>(state); }
    float *backoffs_of(char *state) const { return reinterpret_cast<float *>(state + half()); }

    std::vector<char> checked(const nb::bytes &state) const {
        if (state.size() != initial_.size()) throw nb::value_error("a state of another n-gram");
        return std::vector<char>(state.c_str(), state.c_str() + state.size());
    }

    // log P(word | state); what the word leaves behind is written to `after`.
    double log_prob(char *state, int32_t word, char *after) const {
        return ngram_.score(ids_[word], words_of(state), backoffs_of(state), words_of(after), backoffs_of(after)) +
               shares_[word];
    }

    // The same, but a sentence's end leaves the beginning of the next.
    float step(char *state, int32_t word, char *after) const {
        if (word < 0 || word >= words_) throw nb::index_error("a word outside the vocabulary");
        const double result = log_prob(state, word, after);
        if (word == end_) std::copy(initial_.begin(), initial_.end(), after);
        return float(result);
    }

    Views views_;
    Ngram ngram_;
    const int32_t *ids_;
    const double *shares_;
    int32_t words_, end_;
    std::vector<char> initial_;
};

}  // namespace nicebeach

using namespace nicebeach;

NB_MODULE(core, module) {
    module.doc() = "The compiled n-gram; see lm.ngram.model.";
    nb::set_leak_warnings(false);  // a model that lives as long as the program is no leak

    nb::class_<Model>(module, "Ngram")
        .def(nb::init<const nb::object &, const Array<double> &, int, int>(), nb::kw_only(), nb::arg("tables"),
             nb::arg("shares").noconvert(), nb::arg("start"), nb::arg("end"))
        .def("initial", &Model::initial)
        .def("read", &Model::read)
        .def("score", &Model::score, nb::arg(), nb::arg(), nb::arg().noconvert())
        .def("log_probs", &Model::log_probs, nb::arg(), nb::arg().noconvert())
        .def("next_words", &Model::next_words);
}
