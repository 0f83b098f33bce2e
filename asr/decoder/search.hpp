// The first pass: CTC prefixes over the lexicon tree, with the n-gram looked up at every word.
//
// A token is a pair (context, tree node): the state of the n-gram after the words so far, and the place reached in the
// word being spelled. It holds the probability of all CTC paths that lead there, in two parts, paths that end in a
// blank and paths that don't (Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using
// bi-directional recurrent DNNs"). Hypotheses that the n-gram can't tell apart any more share a token: what comes after
// is computed once for all of them. What they were is kept in a lattice, from which lattice.hpp reads the best exactly.
//
// The lattice: an arc is a word said in a context, leading to another context; an exit is a frame before which an arc
// may end, so that the next word's first unit is emitted in that frame, with the probability of all that came before.
//
// Probabilities are plain numbers, not logarithms: those of each frame are divided by the best token's, so that neither
// under- nor overflow (Rabiner 1989, "A tutorial on hidden Markov models", section V.A), and a path costs
// multiplications and additions alone.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "lm/ngram/ngram.hpp"

namespace nicebeach {

constexpr int START = 0;         // the arc that leads to the initial context, and that context
constexpr double LEAST = 1e-30;  // a unit's probability in a frame is at least so much: no frame ends all hypotheses

// Settings of a search, see BeamConfig and Weights in Python.
struct Rules {
    double ngram_weight, word_bonus;
    int beam_size;      // tokens kept a frame
    double beam_ratio;  // a token less probable than the best by this factor is given up
    double skip_blank;  // frames whose blank is at least so probable hold nothing else
    bool add;           // are hypotheses that come to share a token added, or does the best stand for all?
    int memory;         // 0, or the number of last words by which contexts differ at least, for a fused language model
};

// What a search reads and never changes: views of arrays that Python owns. See LexiconTree and NgramTables there.
struct Graph {
    const int32_t *unit, *parent, *first_child, *end_child, *first_word, *end_word, *words;  // the tree
    const double *look_ahead;  // [nodes]: the largest factor of any word at or below a node, by the unigram
    Ngram ngram;
    const int32_t *ids;   // the n-gram's, of each word
    const double *share;  // [words]: added to log P of each: what the n-gram lacks shares the probability of <unk>
    const double *boost;  // [words]: nats, of hot words
    int units, start_id, end_id;
    Rules rules;

    std::vector<int32_t> root_child;  // [units]: the node of a word's first unit, -1 if no word begins so
    double largest = 1.0;             // no arc has a larger factor

    void prepare(int word_count) {
        root_child.assign(units, -1);
        for (int child = first_child[0]; child < end_child[0]; ++child) root_child[unit[child]] = child;
        double most = word_count ? *std::max_element(boost, boost + word_count) : 0.0;
        largest = std::max(1.0, std::exp(rules.word_bonus + most));
    }

    int context_size() const { return std::max(ngram.order - 1, rules.memory); }

    // What a word multiplies a path's probability by.
    double factor(int32_t word, double log_prob) const {
        return std::exp(rules.ngram_weight * log_prob + rules.word_bonus + boost[word]);
    }

    // log P(word | context), and the context that the word leaves behind, as by the n-gram; but as many of its words as
    // rules.memory says, whatever the n-gram could make of them, if that is set.
    double score(int32_t word, const int32_t *context, const float *backoff, int32_t *new_context,
                 float *new_backoff) const {
        const double log_prob = ngram.score(word, context, backoff, new_context, new_backoff);
        if (rules.memory) {
            new_context[0] = word;
            std::copy(context, context + context_size() - 1, new_context + 1);
        }
        return log_prob;
    }
};

inline uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t mixed = ((a << 32) ^ b ^ (a >> 29)) * 0x9E3779B97F4A7C15ull;
    return mixed ^ (mixed >> 32);
}

// An open hash table of positions in some array, whose owner can tell what stands there.
class Table {
   public:
    explicit Table(size_t slots = 1 << 12) : slots_(slots, -1) {}

    // The position for which `equal` holds; if there is none, the slot gets `next`, which is returned.
    template <class Equal>
    int32_t find_or_put(uint64_t hash, int32_t next, Equal equal) {
        const size_t mask = slots_.size() - 1;
        size_t slot = hash & mask;
        while (slots_[slot] >= 0) {
            if (equal(slots_[slot])) return slots_[slot];
            slot = (slot + 1) & mask;
        }
        return slots_[slot] = next;
    }

    // Keep the table at most half full; `hash_of` says where each of the `count` entries belongs.
    template <class Hash>
    void make_room(size_t count, Hash hash_of) {
        if (2 * (count + 1) <= slots_.size()) return;
        slots_.assign(2 * slots_.size(), -1);
        for (size_t entry = 0; entry < count; ++entry)
            find_or_put(hash_of(int32_t(entry)), int32_t(entry), [](int32_t) { return false; });
    }

    void clear() { std::fill(slots_.begin(), slots_.end(), -1); }

   private:
    std::vector<int32_t> slots_;
};

struct Arc {
    int32_t source, word, target;  // contexts, and the vocabulary's id; -1 for START's source and word
    int32_t last_exit;
    double ngram, lstm;  // log P(word | source); `lstm` by the fused language model, if there is one
    double factor;       // what the arc multiplies a path's probability by
};

// How the most probable paths came to where they are: by the exit of the word before, and when they reached this unit.
// Words so far are read from it at once; how hypotheses score in the end, the lattice tells exactly.
struct Trace {
    int32_t exit = -1, since = 0;
};

struct Exit {
    int32_t arc, frame, node;  // node: of the word's pronunciation
    int32_t previous;          // another exit of the same arc and frame, by another pronunciation; -1 if none
    double blank, label;       // probability of the paths that end in a blank, and of the others, without the arc's factor
    Trace trace;               // of the word, see below

    // Of the paths from which `unit` can go on: equal to the last one it is a new one only after a blank.
    double before(int unit, int last) const { return unit == last ? blank : blank + label; }
};

struct Token {
    int32_t context, node;
    double blank, label;  // probability of the paths that end in a blank, and of the others
    double entry;         // of the paths that enter a word in this frame; part of `label` afterwards
    Trace trace{};
    double traced = 0.0;  // the probability of the paths that `trace` is of

    void trace_by(const Trace &other, double prob) {
        if (prob <= traced) return;
        trace = other;
        traced = prob;
    }
};

// A word of the most probable hypothesis so far.
struct Spoken {
    int32_t word, start, end;  // frames
    double share;              // of the beam's probability: of what has this word in its place, after the same words
};

class Search {
   public:
    // before: words of the vocabulary that were said since the sentence began.
    Search(const Graph &graph, const std::vector<int32_t> &before) : graph_(graph) {
        context_words_.assign(graph.context_size(), -1);
        context_backoff_.resize(graph.ngram.order - 1);
        graph.ngram.begin(graph.start_id, context_words_.data(), context_backoff_.data());
        for (int32_t word : before) {
            std::vector<int32_t> words(context_words_);
            std::vector<float> backoff(context_backoff_);
            graph.score(graph.ids[word], words.data(), backoff.data(), context_words_.data(), context_backoff_.data());
        }
        contexts_ = 1;
        context_table_.find_or_put(context_hash(0), 0, [](int32_t) { return false; });
        arcs_.push_back({-1, -1, 0, -1, 0.0, 0.0, 1.0});
        arc_table_.find_or_put(arc_hash(0), 0, [](int32_t) { return false; });
        beam_.push_back({0, 0, 1.0, 0.0, 0.0});
    }

    // Take frames: log-probs [count, units]. Returns how many were taken: fewer if there are new arcs that the fused
    // language model is to score before the search goes on.
    int accept(const float *log_probs, int count) {
        const int units = graph_.units;
        for (int taken = 0; taken < count; ++taken) {
            scaled_.resize((size_t(frames_) + 1) * units);
            double *probs = &scaled_[size_t(frames_) * units];
            for (int unit = 0; unit < units; ++unit)
                probs[unit] = std::max(std::exp(double(log_probs[size_t(taken) * units + unit])), LEAST);
            if (probs[0] >= graph_.rules.skip_blank)
                skip(probs);
            else if (!advance(probs))
                return taken;
            ++frames_;
        }
        return count;
    }

    // End the utterance: note which arcs may end there. If no word ends there, the unfinished words are given up: they
    // are arcs of no word that lead back to where they came from.
    void end() {
        const size_t first_exit = exits_.size();
        for (const Token &token : beam_) {
            if (token.node == 0) leave(START, token, first_exit);
            for (int place = graph_.first_word[token.node]; place < graph_.end_word[token.node]; ++place)
                leave(follow(token.context, graph_.words[place]), token, first_exit);
        }
        if (exits_.size() > first_exit) return;
        std::unordered_map<int32_t, int32_t> given_up;  // the arc of each context
        for (const Token &token : beam_) {
            const auto [arc, is_new] = given_up.emplace(token.context, int32_t(arcs_.size()));
            if (is_new) arcs_.push_back({token.context, -1, token.context, -1, 0.0, 0.0, 1.0});
            leave(arc->second, token, first_exit);
        }
    }

    // log P(</s> | context)
    double sentence_end(int context) const {
        std::vector<int32_t> words(graph_.context_size());
        std::vector<float> backoff(graph_.ngram.order - 1);
        return graph_.score(graph_.end_id, words_of(context), backoff_of(context), words.data(), backoff.data());
    }

    // The words of the most probable hypothesis so far, the one that may end now included, and in `sentence_end`
    // log P(</s>) after them. The search goes on afterwards as if nothing had been asked.
    std::vector<Spoken> best(double &sentence_end) const {
        const Token &top = *std::max_element(
            beam_.begin(), beam_.end(), [this](const Token &a, const Token &b) { return rank(a) < rank(b); });
        std::vector<Spoken> words;
        for (int32_t exit = top.trace.exit; exit >= 0 && exits_[exit].arc != START; exit = exits_[exit].trace.exit)
            words.push_back({arcs_[exits_[exit].arc].word, begins(exits_[exit].trace), exits_[exit].trace.since + 1, 0.0});
        std::reverse(words.begin(), words.end());
        std::vector<int32_t> context(words_of(top.context), words_of(top.context) + graph_.context_size()), after(context);
        std::vector<float> backoff(backoff_of(top.context), backoff_of(top.context) + graph_.ngram.order - 1);
        std::vector<float> backoff_after(backoff);
        int32_t newest = -1;
        double most = -INFINITY;
        for (int place = graph_.first_word[top.node]; place < graph_.end_word[top.node]; ++place) {
            const int32_t word = graph_.words[place];
            const double log_prob = graph_.share[word] + graph_.score(graph_.ids[word], context.data(), backoff.data(),
                                                                      after.data(), backoff_after.data());
            if (graph_.factor(word, log_prob) > most) {
                most = graph_.factor(word, log_prob);
                newest = word;
            }
        }
        if (newest >= 0) {
            graph_.score(graph_.ids[newest], context.data(), backoff.data(), after.data(), backoff_after.data());
            words.push_back({newest, begins(top.trace), top.trace.since + 1, 0.0});
            context = after;
            backoff = backoff_after;
        }
        sentence_end = graph_.score(graph_.end_id, context.data(), backoff.data(), after.data(), backoff_after.data());
        add_shares(words);
        return words;
    }

    // What a fused language model makes of the arcs from `first` on.
    void score(size_t first, const double *log_probs, double weight) {
        for (size_t arc = first; arc < arcs_.size(); ++arc) {
            arcs_[arc].lstm = log_probs[arc - first];
            arcs_[arc].factor *= std::exp(weight * arcs_[arc].lstm);
        }
    }

    const Graph &graph() const { return graph_; }
    const std::vector<Arc> &arcs() const { return arcs_; }
    const std::vector<Exit> &exits() const { return exits_; }
    int contexts() const { return contexts_; }
    int frames() const { return frames_; }
    double log_scale() const { return log_scale_; }
    const double *scaled(int frame) const { return &scaled_[size_t(frame) * graph_.units]; }

   private:
    const int32_t *words_of(int context) const { return &context_words_[size_t(context) * graph_.context_size()]; }
    const float *backoff_of(int context) const {
        return context_backoff_.data() + size_t(context) * (graph_.ngram.order - 1);
    }

    uint64_t context_hash(int32_t context) const {
        uint64_t hash = 0;
        for (int i = 0; i < graph_.context_size(); ++i) hash = mix(hash, uint32_t(words_of(context)[i]));
        return hash;
    }
    uint64_t arc_hash(int32_t arc) const { return mix(uint32_t(arcs_[arc].source), uint32_t(arcs_[arc].word)); }

    double rank(const Token &token) const { return (token.blank + token.label) * graph_.look_ahead[token.node]; }

    // The frame in which a word with this trace begins.
    int32_t begins(const Trace &trace) const { return trace.exit >= 0 ? exits_[trace.exit].frame : 0; }

    // Fill in the shares of the words of `best`.
    void add_shares(std::vector<Spoken> &words) const {
        struct Agreement {
            int32_t words, same;  // of a hypothesis, and how many of them, from the first on, are those of the best
        };
        std::unordered_map<int32_t, Agreement> known{{-1, {0, 0}}};  // by the exit that a hypothesis ends with
        std::vector<int32_t> chain;
        double total = 0.0;
        for (const Token &token : beam_) {
            int32_t exit = token.trace.exit;
            for (; !known.count(exit); exit = exits_[exit].trace.exit) chain.push_back(exit);
            Agreement agreement = known[exit];
            for (; !chain.empty(); chain.pop_back()) {
                const int32_t word = arcs_[exits_[chain.back()].arc].word;  // -1 of START
                if (word >= 0) agreement = further(agreement, words, [&](int32_t best) { return best == word; });
                known[chain.back()] = agreement;
            }
            const int32_t *begin = graph_.words + graph_.first_word[token.node];
            const int32_t *end = graph_.words + graph_.end_word[token.node];
            if (begin < end)
                agreement = further(agreement, words, [&](int32_t best) { return std::find(begin, end, best) < end; });
            const double prob = rank(token);
            total += prob;
            if (agreement.same) words[agreement.same - 1].share += prob;
        }
        double more = 0.0;  // of those that agree in later words, too
        for (size_t i = words.size(); i-- > 0;) {
            more += words[i].share / total;
            words[i].share = std::min(1.0, more);
        }
    }

    template <class Agreement, class Is>
    static Agreement further(Agreement before, const std::vector<Spoken> &words, Is is) {
        const bool same = before.same == before.words && before.words < int32_t(words.size()) && is(words[before.words].word);
        return {before.words + 1, before.same + same};
    }

    // The arc of a word said in a context; scored and stored when first met.
    int32_t follow(int32_t source, int32_t word) {
        const int32_t next = int32_t(arcs_.size());
        arc_table_.make_room(arcs_.size(), [this](int32_t arc) { return arc_hash(arc); });
        const int32_t known = arc_table_.find_or_put(mix(uint32_t(source), uint32_t(word)), next, [&](int32_t arc) {
            return arcs_[arc].source == source && arcs_[arc].word == word;
        });
        if (known != next) return known;

        // The new context is written behind the others, and stays there if it is new indeed.
        const size_t size = graph_.context_size(), backoffs = graph_.ngram.order - 1;
        context_words_.resize((contexts_ + 1) * size);
        context_backoff_.resize((contexts_ + 1) * backoffs);
        const double log_prob = graph_.score(graph_.ids[word], words_of(source), backoff_of(source),
                                             context_words_.data() + contexts_ * size,
                                             context_backoff_.data() + contexts_ * backoffs) +
                                graph_.share[word];
        context_table_.make_room(contexts_, [this](int32_t context) { return context_hash(context); });
        const int32_t target = context_table_.find_or_put(context_hash(contexts_), contexts_, [&](int32_t context) {
            return std::equal(words_of(context), words_of(context) + size, words_of(contexts_));
        });
        if (target == contexts_) ++contexts_;
        arcs_.push_back({source, word, target, -1, log_prob, 0.0, graph_.factor(word, log_prob)});
        return next;
    }

    // Note that an arc may end before the current frame, by the paths of a token.
    void leave(int32_t arc, const Token &token, size_t first_exit) {
        const int32_t last = arcs_[arc].last_exit, next = int32_t(exits_.size());
        // An earlier try at this frame may have left its mark.
        const bool same = last >= int32_t(first_exit) && last < next && exits_[last].arc == arc;
        exits_.push_back({arc, frames_, token.node, same ? last : -1, token.blank, token.label, token.trace});
        arcs_[arc].last_exit = next;
    }

    // The candidate of (context, node), made with no probability if it is new.
    Token &candidate(int32_t context, int32_t node) {
        const int32_t next = int32_t(candidates_.size());
        token_table_.make_room(candidates_.size(), [this](int32_t token) {
            return mix(uint32_t(candidates_[token].context), uint32_t(candidates_[token].node));
        });
        const int32_t place = token_table_.find_or_put(mix(uint32_t(context), uint32_t(node)), next, [&](int32_t token) {
            return candidates_[token].context == context && candidates_[token].node == node;
        });
        if (place == next) candidates_.push_back({context, node, 0.0, 0.0, 0.0});
        return candidates_[place];
    }

    // A frame of silence: every path goes on with a blank.
    void skip(double *probs) {
        for (Token &token : beam_) {
            token.blank += token.label;
            token.label = 0.0;
        }
        log_scale_ += std::log(probs[0]);
        std::fill(probs, probs + graph_.units, 0.0);
        probs[0] = 1.0;
    }

    // Take one frame of probabilities [units], which are divided by the best token's. Returns false, having changed
    // nothing, if there are new arcs for a fused language model to score.
    bool advance(double *probs) {
        const Graph &g = graph_;
        const double ratio = g.rules.beam_ratio;
        const size_t known_arcs = arcs_.size(), first_exit = exits_.size();
        candidates_.clear();
        token_table_.clear();

        // Every token stays where it is: the last unit goes on, or a blank follows.
        double best = 0.0;
        for (const Token &token : beam_) {
            const double stay = (token.blank + token.label) * probs[0] + token.label * probs[g.unit[token.node]];
            best = std::max(best, stay * g.look_ahead[token.node]);
        }
        for (const Token &token : beam_) {
            const double blank = (token.blank + token.label) * probs[0], label = token.label * probs[g.unit[token.node]];
            if ((blank + label) * g.look_ahead[token.node] < best * ratio) continue;
            Token &same = candidate(token.context, token.node);
            same.blank = blank;
            same.label = label;
            same.trace = token.trace;
            same.traced = blank + label;
        }

        // The spelling goes on down the tree. A unit equal to the last one is a new one only after a blank.
        for (const Token &token : beam_) {
            if (token.node == 0) continue;
            for (int child = g.first_child[token.node]; child < g.end_child[token.node]; ++child) {
                const int unit = g.unit[child];
                const double before = unit == g.unit[token.node] ? token.blank : token.blank + token.label;
                const double prob = before * probs[unit], rank = prob * g.look_ahead[child];
                if (rank < best * ratio || prob == 0.0) continue;
                best = std::max(best, rank);
                Token &further = candidate(token.context, child);
                further.label += prob;
                further.trace_by({token.trace.exit, frames_}, prob);
            }
        }

        // Words end.
        double top = 0.0;  // the most that a word's beginning can make of what came before
        for (int unit = 1; unit < g.units; ++unit)
            if (g.root_child[unit] >= 0) top = std::max(top, probs[unit] * g.look_ahead[g.root_child[unit]]);
        for (const Token &token : beam_) {
            const double reach = (token.blank + token.label) * top;
            if (reach * g.largest < best * ratio) continue;
            if (token.node == 0) leave(START, token, first_exit);
            for (int place = g.first_word[token.node]; place < g.end_word[token.node]; ++place) {
                const int32_t arc = follow(token.context, g.words[place]);
                if (reach * arcs_[arc].factor >= best * ratio) leave(arc, token, first_exit);
            }
        }
        if (g.rules.memory && arcs_.size() > known_arcs) {
            exits_.resize(first_exit);
            return false;
        }

        // Others begin: after each arc once, with all pronunciations that end here.
        for (size_t index = first_exit; index < exits_.size(); ++index) {
            const Arc &arc = arcs_[exits_[index].arc];
            if (arc.last_exit != int32_t(index)) continue;
            double total = 0.0;
            for (int32_t one = int32_t(index); one >= 0; one = exits_[one].previous)
                total += exits_[one].blank + exits_[one].label;
            for (int unit = 1; unit < g.units; ++unit) {
                const int child = g.root_child[unit];
                if (child < 0) continue;
                const double follow_on = arc.factor * probs[unit];
                if (total * follow_on * g.look_ahead[child] < best * ratio) continue;
                double before = 0.0;
                for (int32_t one = int32_t(index); one >= 0; one = exits_[one].previous)
                    before += exits_[one].before(unit, g.unit[exits_[one].node]);
                const double prob = before * follow_on, rank = prob * g.look_ahead[child];
                if (rank < best * ratio || prob <= 0.0) continue;
                best = std::max(best, rank);
                Token &token = candidate(arc.target, child);
                token.entry = g.rules.add ? token.entry + prob : std::max(token.entry, prob);
                token.trace_by({int32_t(index), frames_}, prob);
            }
        }

        const double scale = keep_best();
        log_scale_ += std::log(scale);
        for (int unit = 0; unit < g.units; ++unit) probs[unit] /= scale;
        return true;
    }

    // Move the best candidates to the beam, their probabilities divided by the best rank, which is returned.
    double keep_best() {
        ranks_.clear();
        double best = 0.0;
        for (Token &token : candidates_) {
            token.label += token.entry;
            token.entry = 0.0;
            ranks_.push_back(rank(token));
            best = std::max(best, ranks_.back());
        }
        double threshold = best * graph_.rules.beam_ratio;
        size_t ties = ranks_.size();
        const size_t size = graph_.rules.beam_size;
        if (ranks_.size() > size) {
            sorted_ = ranks_;
            std::nth_element(sorted_.begin(), sorted_.begin() + size - 1, sorted_.end(), std::greater<double>());
            const double nth = sorted_[size - 1];
            if (nth >= threshold) {
                threshold = nth;
                ties = size;
                for (double rank : ranks_) ties -= rank > nth;
            }
        }
        beam_.clear();
        for (size_t index = 0; index < ranks_.size(); ++index) {
            if (ranks_[index] < threshold || (ranks_[index] == threshold && !ties)) continue;
            ties -= ranks_[index] == threshold;
            Token token = candidates_[index];
            token.blank /= best;
            token.label /= best;
            beam_.push_back(token);
        }
        return best;
    }

    const Graph &graph_;
    std::vector<int32_t> context_words_;
    std::vector<float> context_backoff_;
    int32_t contexts_;
    std::vector<Arc> arcs_;
    std::vector<Exit> exits_;
    std::vector<Token> beam_, candidates_;
    Table context_table_, arc_table_, token_table_;
    std::vector<double> ranks_, sorted_;
    std::vector<double> scaled_;  // [frames, units]
    int32_t frames_ = 0;
    double log_scale_ = 0.0;
};

}  // namespace nicebeach
