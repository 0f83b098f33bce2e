// Look-ups in a back-off n-gram, for the language model (core.cpp) and for the beam search (asr/decoder/search.hpp).

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace nicebeach {

// Views of the arrays of NgramTables, see lm/ngram/trie.py: a trie where the path w3 w2 w1 leads to the n-gram w1 w2 w3.
//
// A context is order - 1 words (the n-gram's own ids, the most recent first, -1 beyond them) and as many back-off
// weights: those of the last word, the last two, ...
struct Ngram {
    int order;
    const int32_t *word, *first;
    const float *log_prob, *backoff;

    // A context from which no n-gram goes on is marked by a back-off of -0.0.
    bool goes_on(int32_t entry) const { return backoff[entry] != 0.0f || !std::signbit(backoff[entry]); }

    // Where a word stands, or would stand, in a sorted list. KenLM orders words by their hashes, so a list's are spread
    // evenly: in a long one a few guesses come nearer than halving it, which reads memory far apart.
    const int32_t *find(int32_t value, const int32_t *low, const int32_t *high) const {
        int64_t least = 0, most = first[0];  // the bigrams stand after all words
        if (value >= most) return high;
        for (int guess = 0; guess < 4 && high - low > 16; ++guess) {
            const int32_t *middle = low + (value - least) * (high - low) / (most - least);
            if (*middle == value) return middle;
            if (*middle < value) {
                low = middle + 1;
                least = *middle + 1;
            } else {
                high = middle;
                most = *middle;
            }
        }
        return std::lower_bound(low, high, value);
    }

    // log P(word | context), and the context that the word leaves behind: the words that some n-gram goes on from.
    //
    // Finds the longest n-gram (context, word), then pays the back-off weights of the contexts longer than its own.
    double score(int32_t next, const int32_t *context, const float *context_backoff, int32_t *new_context,
                 float *new_backoff) const {
        const int size = order - 1;
        std::fill(new_context, new_context + size, -1);
        std::fill(new_backoff, new_backoff + size, 0.0f);
        int32_t entry = next;
        int matched = 0;
        auto remember = [&](int32_t last) {
            if (matched < size && goes_on(entry)) {
                new_context[matched] = last;
                new_backoff[matched] = backoff[entry];
            }
        };
        remember(next);
        while (matched < size && context[matched] >= 0) {
            const int32_t *low = word + first[entry], *high = word + first[entry + 1];
            const int32_t *found = find(context[matched], low, high);
            if (found == high || *found != context[matched]) break;
            entry = int32_t(found - word);
            ++matched;
            remember(context[matched - 1]);
        }
        double result = log_prob[entry];
        for (int length = matched; length < size; ++length) result += context_backoff[length];
        return result;
    }

    // The context in which a sentence begins: after `<s>`, which nobody says.
    void begin(int32_t start, int32_t *new_context, float *new_backoff) const {
        std::fill(new_context, new_context + order - 1, -1);
        std::fill(new_backoff, new_backoff + order - 1, 0.0f);
        if (order == 1) return;
        new_context[0] = start;
        new_backoff[0] = backoff[start];
    }
};

}  // namespace nicebeach
