// Reading the lattice that a search left behind: the exact n best hypotheses, when their words were said, how sure.
//
// The n best are found from the end backwards by A* (Soong and Huang 1991, "A tree-trellis based fast search for finding
// the N best sentence hypotheses in continuous speech recognition"): an item is a sequence of words up to the
// utterance's end, with its probability by the frame in which it begins; what the search knew of the paths up to there
// bounds what an extension to the left can reach. A word's part is computed anew over all its CTC paths, so that the
// probability of a whole hypothesis is the sum over all its paths and pronunciations, however hypotheses were merged
// and pruned on the way.

#pragma once

#include <algorithm>
#include <unordered_map>

#include "search.hpp"

namespace nicebeach {

constexpr double NEGLIGIBLE = 1e-20;  // a share of a probability that is not worth following
constexpr double UNLIKELY = 1e-7;      // no word so improbable adds to how sure another one is
constexpr int LONGEST = 1000;         // frames: no word lasts longer

// The n best hypotheses, best first; the words of hypothesis i are first_word[i] .. first_word[i + 1].
struct Hypotheses {
    std::vector<double> log_prob;  // weighted scores and all
    std::vector<int64_t> first_word{0};
    std::vector<int32_t> arc, start, end;  // of each word; frames
    std::vector<double> posterior;         // of each word, if `add_posteriors` was called
};

// The units from the tree's root to a node.
inline void pronunciation(const Graph &graph, int32_t node, std::vector<int32_t> &units) {
    units.clear();
    for (; node > 0; node = graph.parent[node]) units.push_back(graph.unit[node]);
    std::reverse(units.begin(), units.end());
}

class Lattice {
   public:
    // Exits are sorted by the context that their arcs lead to, each context's by their frames.
    explicit Lattice(const Search &search)
        : search_(search), graph_(search.graph()), frames_(search.frames()), first_(search.contexts() + 1, 0) {
        const std::vector<Exit> &exits = search.exits();
        for (const Exit &exit : exits) ++first_[target(exit) + 1];
        for (size_t context = 1; context < first_.size(); ++context) first_[context] += first_[context - 1];
        sorted_.resize(exits.size());
        std::vector<int64_t> place(first_.begin(), first_.end() - 1);
        for (const Exit &exit : exits) sorted_[place[target(exit)]++] = exit;
    }

    // The `count` best hypotheses; ends [contexts]: the factor of the sentence end. Where very many are as good as each
    // other, as without a language model, so that most_items steps don't find them all, the others are those that
    // follow from the best beginnings of what is left.
    Hypotheses nbest(const double *ends, size_t count, size_t most_items) {
        items_.clear();
        pool_.clear();
        waiting_.clear();
        most_waiting_ = most_items + 2 * count;
        number_ = 0;
        mass_.assign(search_.arcs().size(), 0.0);
        for (int context = 0; context < search_.contexts(); ++context) {
            if (first_[context] == first_[context + 1] || sorted_[first_[context + 1] - 1].frame != frames_) continue;
            items_.push_back({-1, -1, {{-1, -1, frames_, frames_ + 1, pool_.size()}}});
            pool_.push_back(ends[context]);
            for (const Waiting &waiting : before_newest(context)) wait(waiting);
        }
        std::vector<std::pair<double, int32_t>> found;
        while (!waiting_.empty() && found.size() < count) {
            std::pop_heap(waiting_.begin(), waiting_.end());
            Waiting next = waiting_.back();
            waiting_.pop_back();
            while (next.arc != START) {
                std::vector<Waiting> &before = extend(next.arc, next.item);
                const bool dive = items_.size() > most_items && !before.empty();
                if (dive) {
                    std::iter_swap(std::max_element(before.begin(), before.end()), before.end() - 1);
                    next = before.back();
                    before.pop_back();
                }
                for (const Waiting &waiting : before) wait(waiting);
                if (!dive) break;
            }
            if (next.arc == START) found.emplace_back(next.prob, next.item);
        }
        std::stable_sort(found.begin(), found.end(), [](auto a, auto b) { return a.first > b.first; });
        Hypotheses hypotheses;
        for (auto &row : reach_) row.assign(frames_ + 1, 0.0);
        for (auto &row : ended_) row.assign(frames_ + 1, 0);
        for (const auto &[prob, item] : found) {
            hypotheses.log_prob.push_back(std::log(prob) + search_.log_scale());
            add_words(hypotheses, item);
            hypotheses.first_word.push_back(int64_t(hypotheses.arc.size()));
        }
        return hypotheses;
    }

    // For each word of the hypotheses, how probable it is among all of the lattice that it was said then: that it
    // ended after its beginning here, but no later than the next word.
    void add_posteriors(Hypotheses &hypotheses, const double *ends) const {
        const std::unordered_map<int32_t, std::vector<WordEnd>> all = word_ends(ends);
        for (size_t hypothesis = 0; hypothesis + 1 < hypotheses.first_word.size(); ++hypothesis)
            for (int64_t word = hypotheses.first_word[hypothesis]; word < hypotheses.first_word[hypothesis + 1]; ++word) {
                const bool last = word + 1 == hypotheses.first_word[hypothesis + 1];
                const int32_t latest = last ? frames_ : hypotheses.end[word + 1];
                double posterior = 0.0;
                const auto found = all.find(search_.arcs()[hypotheses.arc[word]].word);
                if (found != all.end()) {
                    auto later = [](const WordEnd &end, int32_t frame) { return end.frame > frame; };
                    auto end = std::lower_bound(found->second.begin(), found->second.end(), latest, later);
                    for (; end != found->second.end() && end->frame > hypotheses.start[word]; ++end)
                        posterior += end->prob;
                }
                hypotheses.posterior.push_back(std::min(1.0, posterior));
            }
    }

   private:
    // A pronunciation of an arc, on the way back through the frames.
    struct Strand {
        int32_t arc, node;
        std::vector<int32_t> units;
        std::vector<double> blank, label;  // of what comes after the current frame, by the state reached, see `step_back`
        double after_blank, after_label;   // of what follows the word from the current frame on
        bool alive;
    };

    // A frame before which a word may end, and how probable that is.
    struct WordEnd {
        int32_t frame;
        double prob;
    };

    // Where each word ends, the last first, by the forward-backward algorithm: the search went forwards, adding what
    // it merged (rules.add), this goes backwards. ends [contexts]: the factor of the sentence end.
    std::unordered_map<int32_t, std::vector<WordEnd>> word_ends(const double *ends) const {
        const std::vector<Exit> &exits = search_.exits();
        std::vector<Strand> strands;
        std::vector<int32_t> alive;
        std::vector<std::vector<int32_t>> strands_of(search_.arcs().size());
        // What may follow in a context from the current frame on, by its first unit.
        std::vector<std::vector<std::pair<int32_t, double>>> following(search_.contexts());
        std::vector<int32_t> filled;
        std::unordered_map<int32_t, std::vector<WordEnd>> result;
        double at_end = 0.0, total = 0.0;
        size_t next_exit = exits.size();
        for (int32_t frame = frames_; frame >= 0; --frame) {
            const double *probs = frame < frames_ ? search_.scaled(frame) : nullptr;
            for (int32_t context : filled) following[context].clear();
            filled.clear();
            auto follow = [&](int32_t context, int32_t unit, double prob) {
                if (following[context].empty()) filled.push_back(context);
                following[context].emplace_back(unit, prob);
            };
            if (probs)
                for (int32_t id : alive) {
                    const Strand &strand = strands[id];
                    const Arc &arc = search_.arcs()[strand.arc];
                    follow(arc.source, strand.units[0], arc.factor * probs[strand.units[0]] * strand.label[0]);
                }
            else
                for (int32_t context = 0; context < search_.contexts(); ++context) follow(context, -1, ends[context]);
            for (; next_exit > 0 && exits[next_exit - 1].frame == frame; --next_exit) {
                const Exit &exit = exits[next_exit - 1];
                const Arc &arc = search_.arcs()[exit.arc];
                double after_blank = 0.0, after_label = 0.0;
                for (const auto &[unit, prob] : following[arc.target]) {
                    after_blank += prob;
                    if (unit != graph_.unit[exit.node]) after_label += prob;
                }
                const double prob = arc.factor * (exit.blank * after_blank + exit.label * after_label);
                if (!probs) at_end += prob;
                if (exit.arc == START) {
                    total += prob;
                    continue;
                }
                if (prob <= UNLIKELY * at_end) continue;
                result[arc.word].push_back({frame, prob});
                const int32_t id = strand_of(exit, strands, strands_of[exit.arc]);
                if (!strands[id].alive) alive.push_back(id);
                strands[id].alive = true;
                strands[id].after_blank = after_blank;
                strands[id].after_label = after_label;
            }
            size_t kept = 0;
            for (int32_t id : alive) {
                Strand &strand = strands[id];
                const double most = step_back(strand.units, probs, strand.after_blank, strand.after_label, strand.blank,
                                              strand.label);
                strand.after_blank = strand.after_label = 0.0;
                strand.alive = most > NEGLIGIBLE * at_end;
                if (strand.alive) alive[kept++] = id;
            }
            alive.resize(kept);
        }
        for (auto &[word, word_ends] : result)
            for (WordEnd &end : word_ends) end.prob /= total;
        return result;
    }

    int32_t strand_of(const Exit &exit, std::vector<Strand> &strands, std::vector<int32_t> &of_arc) const {
        for (int32_t strand : of_arc)
            if (strands[strand].node == exit.node) return strand;
        of_arc.push_back(int32_t(strands.size()));
        strands.push_back({exit.arc, exit.node, {}, {}, {}, 0.0, 0.0, false});
        Strand &strand = strands.back();
        pronunciation(graph_, exit.node, strand.units);
        strand.blank.assign(strand.units.size(), 0.0);
        strand.label.assign(strand.units.size(), 0.0);
        return of_arc.back();
    }

    // What comes after a frame, by the state in which it leaves a word's paths (in a blank after unit k, or in unit k), to
    // what comes after the frame before. probs: of the frame's units, none at the utterance's end; after_blank,
    // after_label: of what follows the word in this frame, if its paths end in a blank, or in its last unit. Returns the
    // largest probability.
    static double step_back(const std::vector<int32_t> &units, const double *probs, double after_blank,
                            double after_label, std::vector<double> &blanks, std::vector<double> &labels) {
        double most = 0.0;
        const size_t size = units.size();
        for (size_t k = 0; k < size; ++k) {
            double blank = 0.0, label = 0.0;
            if (probs) {
                blank = probs[0] * blanks[k];
                label = blank + probs[units[k]] * labels[k];
                if (k + 1 < size) {
                    const double step = probs[units[k + 1]] * labels[k + 1];
                    blank += step;
                    if (units[k + 1] != units[k]) label += step;
                }
            }
            if (k + 1 == size) {
                blank += after_blank;
                label += after_label;
            }
            blanks[k] = blank;
            labels[k] = label;
            most = std::max(most, std::max(blank, label));
        }
        return most;
    }

    // The frames low .. high in which a sequence of words may begin by one pronunciation of its first word.
    struct Beginning {
        int32_t node, unit;  // of the pronunciation, and its first; -1 for the utterance's end
        int32_t low, high;
        size_t offset;  // of the frame `low`'s probability in the pool
    };
    struct Item {
        int32_t arc;   // the first word's; -1 for the end
        int32_t next;  // the item that follows
        std::vector<Beginning> beginnings;
    };
    struct Waiting {
        double prob;
        int64_t number;  // of equals the youngest, whose words go back furthest, comes first
        int32_t arc, item;
        bool operator<(const Waiting &other) const {
            return prob != other.prob ? prob < other.prob : number < other.number;
        }
    };
    struct Span {
        int32_t low, high;
    };

    int32_t target(const Exit &exit) const { return search_.arcs()[exit.arc].target; }
    double at(const Beginning &beginning, int32_t frame) const { return pool_[beginning.offset + frame - beginning.low]; }

    static Span span(const Item &item) {
        Span result{item.beginnings[0].low, item.beginnings[0].high};
        for (const Beginning &beginning : item.beginnings)
            result = {std::min(result.low, beginning.low), std::max(result.high, beginning.high)};
        return result;
    }

    // The exits that lead to a context in the frames of a span.
    std::pair<const Exit *, const Exit *> exits_within(int32_t context, Span span) const {
        auto before = [](const Exit &exit, int32_t frame) { return exit.frame < frame; };
        const Exit *first = sorted_.data() + first_[context], *last = sorted_.data() + first_[context + 1];
        first = std::lower_bound(first, last, span.low, before);
        return {first, std::lower_bound(first, last, span.high, before)};
    }

    // Put into the heap. In noise there are millions of them; those that no step is left for are thrown away.
    void wait(const Waiting &waiting) {
        if (waiting_.size() >= 2 * most_waiting_) {
            std::nth_element(waiting_.begin(), waiting_.begin() + most_waiting_, waiting_.end(),
                             [](const Waiting &a, const Waiting &b) { return b < a; });
            waiting_.resize(most_waiting_);
            std::make_heap(waiting_.begin(), waiting_.end());
        }
        waiting_.push_back(waiting);
        std::push_heap(waiting_.begin(), waiting_.end());
    }

    // Every arc that may come before the newest item, with the probability that the search saw for its paths. The item
    // keeps the frames that matter.
    std::vector<Waiting> &before_newest(int32_t context) {
        Item &item = items_.back();
        const auto [first, last] = exits_within(context, span(item));
        touched_.clear();
        double most = 0.0;
        for (const Beginning &beginning : item.beginnings)
            for (const Exit *exit = first; exit < last; ++exit) {
                const double prob = before(*exit, beginning);
                if (prob <= 0.0) continue;
                if (mass_[exit->arc] == 0.0) touched_.push_back(exit->arc);
                mass_[exit->arc] += prob;
                most = std::max(most, prob);
            }
        before_.clear();
        for (int32_t arc : touched_) {
            before_.push_back({mass_[arc], number_++, arc, int32_t(items_.size()) - 1});
            mass_[arc] = 0.0;
        }
        for (Beginning &beginning : item.beginnings) {
            Span kept{beginning.high, beginning.low};
            for (const Exit *exit = first; exit < last; ++exit)
                if (before(*exit, beginning) > NEGLIGIBLE * most)
                    kept = {std::min(kept.low, exit->frame), std::max(kept.high, exit->frame + 1)};
            kept.low = std::min(kept.low, kept.high);
            beginning.offset += kept.low - beginning.low;
            beginning.low = kept.low;
            beginning.high = kept.high;
        }
        const Beginning &newest = item.beginnings.back();
        pool_.resize(newest.offset + newest.high - newest.low);
        return before_;
    }

    // The probability of the paths that leave by an exit and go on with a beginning.
    double before(const Exit &exit, const Beginning &beginning) const {
        if (exit.frame < beginning.low || exit.frame >= beginning.high) return 0.0;
        const double prob = exit.before(beginning.unit, graph_.unit[exit.node]);
        return prob * search_.arcs()[exit.arc].factor * at(beginning, exit.frame);
    }

    // A new item: a word and the item that follows it. All its pronunciations count, and all frames they may begin in.
    // Returns what may come before.
    std::vector<Waiting> &extend(int32_t arc_id, int32_t next) {
        const Arc &arc = search_.arcs()[arc_id];
        const Span ends = span(items_[next]);
        const auto [first, last] = exits_within(arc.target, ends);
        const int32_t earliest = std::max(sorted_[first_[arc.source]].frame, ends.low - LONGEST);
        std::vector<Beginning> beginnings;
        for (const Exit *exit = first; exit < last; ++exit) {
            const int32_t node = exit->node;
            auto same = [node](const Beginning &beginning) { return beginning.node == node; };
            if (exit->arc != arc_id || std::any_of(beginnings.begin(), beginnings.end(), same)) continue;
            pronunciation(graph_, node, units_);
            after_blank_.assign(ends.high - ends.low, 0.0);
            after_label_.assign(ends.high - ends.low, 0.0);
            for (const Beginning &follow : items_[next].beginnings)
                for (int32_t frame = follow.low; frame < follow.high; ++frame) {
                    after_blank_[frame - ends.low] += at(follow, frame);
                    if (follow.unit != units_.back()) after_label_[frame - ends.low] += at(follow, frame);
                }
            Beginning beginning{node, units_[0], 0, 0, pool_.size()};
            backwards(arc.source, ends.low, earliest, arc.factor, beginning);
            beginnings.push_back(beginning);
        }
        if (beginnings.empty()) {  // its ends were too improbable to be kept
            before_.clear();
            return before_;
        }
        items_.push_back({arc_id, next, std::move(beginnings)});
        return before_newest(arc.source);
    }

    // Append to the pool the probability of a word, and of all that follows, by the frame in which its first unit is
    // emitted. The word is `units_`; after_blank_ and after_label_ are the probabilities of what follows if it begins in
    // frame low + i and the word's paths end in a blank, or in its last unit.
    void backwards(int32_t source, int32_t low, int32_t earliest, double factor, Beginning &beginning) {
        blank_.assign(units_.size(), 0.0);
        label_.assign(units_.size(), 0.0);
        backwards_.clear();
        double largest = 0.0;
        int32_t frame = low + int32_t(after_blank_.size()) - 1;
        beginning.high = frame;
        const Exit *earlier = sorted_.data() + first_[source], *exit = sorted_.data() + first_[source + 1] - 1;
        for (; frame > earliest; --frame) {
            const bool may_end = frame >= low;
            const double alive = step_back(units_, frame < frames_ ? search_.scaled(frame) : nullptr,
                                           may_end ? after_blank_[frame - low] : 0.0,
                                           may_end ? after_label_[frame - low] : 0.0, blank_, label_);
            const double prob = search_.scaled(frame - 1)[units_[0]] * label_[0];
            backwards_.push_back(factor * prob);
            // Only where something comes before is it worth as much as that.
            while (exit >= earlier && exit->frame >= frame) --exit;
            for (; exit >= earlier && exit->frame == frame - 1; --exit)
                largest = std::max(largest, prob * search_.arcs()[exit->arc].factor * (exit->blank + exit->label));
            if (frame <= low && alive <= NEGLIGIBLE * largest) break;
        }
        beginning.low = beginning.high - int32_t(backwards_.size());
        pool_.insert(pool_.end(), backwards_.rbegin(), backwards_.rend());
    }

    // Append an item's words to the hypotheses, with their times: each word begins where it most probably does, given
    // where the one before began.
    void add_words(Hypotheses &hypotheses, int32_t item_id) {
        // Before the first word there are blanks alone.
        const Span before_words = span(items_[item_id]);
        for (auto &row : reach_) std::fill(row.begin() + before_words.low, row.begin() + before_words.high, 0.0);
        const auto [first, last] = exits_within(0, before_words);
        for (const Exit *exit = first; exit < last; ++exit)
            if (exit->arc == START) reach_[0][exit->frame] = exit->blank;
        int32_t start = -1, last_unit = -1;
        bool begun = false;
        while (true) {
            const Item &item = items_[item_id];
            const Beginning *best = &item.beginnings[0];
            int32_t next_start = start + 1, row = 0;
            double most = -1.0;
            for (const Beginning &beginning : item.beginnings)
                // A word that begins with the unit before needs a blank first.
                for (int ending = 0; ending < (beginning.unit == last_unit ? 1 : 2); ++ending)
                    for (int32_t frame = std::max(start + 1, beginning.low); frame < beginning.high; ++frame) {
                        const double prob = reach_[ending][frame] * at(beginning, frame);
                        if (prob > most) most = prob, next_start = frame, best = &beginning, row = ending;
                    }
            if (begun) hypotheses.end.push_back(std::max(ended_[row][next_start], start + 1));
            if (item.arc < 0 || search_.arcs()[item.arc].word < 0) break;
            begun = true;
            start = next_start;
            pronunciation(graph_, best->node, units_);
            last_unit = units_.back();
            hypotheses.arc.push_back(item.arc);
            hypotheses.start.push_back(start);
            item_id = item.next;
            forwards(start, span(items_[item_id]));
        }
    }

    // The best paths of the word `units_`, whose first unit is emitted in frame `start`, to the frames of a span, in which
    // the next word may begin: row 0 of those that end in a blank, row 1 of those that end in the word's last unit.
    void forwards(int32_t start, Span span) {
        const int size = int(units_.size());
        blank_.assign(size, 0.0);
        label_.assign(size, 0.0);
        std::vector<int32_t> blank_ended(size, 0);
        for (auto &row : reach_) std::fill(row.begin() + span.low, row.begin() + span.high, 0.0);
        label_[0] = 1.0;
        for (int32_t frame = start + 1; frame < span.high; ++frame) {
            if (frame >= span.low) {
                reach_[0][frame] = blank_.back(), ended_[0][frame] = blank_ended.back();
                reach_[1][frame] = label_.back(), ended_[1][frame] = frame;
            }
            if (frame == frames_) break;
            const double *probs = search_.scaled(frame);
            for (int k = size - 1; k >= 0; --k) {
                double before = 0.0;
                if (k) before = units_[k] == units_[k - 1] ? blank_[k - 1] : std::max(blank_[k - 1], label_[k - 1]);
                if (label_[k] > blank_[k]) blank_[k] = label_[k], blank_ended[k] = frame;
                blank_[k] *= probs[0];
                label_[k] = std::max(label_[k], before) * probs[units_[k]];
            }
        }
    }

    const Search &search_;
    const Graph &graph_;
    const int32_t frames_;
    std::vector<int64_t> first_;  // of each context's exits in `sorted_`
    std::vector<Exit> sorted_;

    std::vector<Item> items_;
    std::vector<double> pool_;
    std::vector<Waiting> waiting_;  // a heap
    size_t most_waiting_ = 0;
    int64_t number_ = 0;
    std::vector<double> mass_;  // [arcs], zero but within `before_newest`, as are the next two
    std::vector<int32_t> touched_;
    std::vector<Waiting> before_;

    std::vector<int32_t> units_, ended_[2];
    std::vector<double> after_blank_, after_label_, blank_, label_, backwards_, reach_[2];
};

}  // namespace nicebeach
