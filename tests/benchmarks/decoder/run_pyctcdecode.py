"""Times pyctcdecode for peers.py, or ctc-beam-decoder, which is the same in C++ behind the same interface.

Both have a list of words instead of a lexicon, and a penalty for words that aren't in it: so great a one that none is
found. "▁" is their space. They turn KenLM's log10 into natural logs themselves.
"""

import sys
from importlib import import_module

from measure import Decode, Prepared, Problem, measure

build_ctcdecoder = import_module(sys.argv.pop(1)).build_ctcdecoder


def prepare(problem: Problem) -> Prepared:
    # Of -8 to -18 and -2 to -9 those of fewest errors, then the fastest. The defaults, -10 and -5, cost more of both.
    settings = {"beam_prune_logp": -11.0, "token_min_logp": -3.0}
    unknown = -1000.0
    words = build_ctcdecoder(
        ["" if index == 0 else symbol.replace("▁", " ") for index, symbol in enumerate(problem.symbols)],
        kenlm_model_path=problem.ngram,
        unigrams=list(problem.lexicon),
        alpha=problem.ngram_weight,
        beta=problem.word_bonus,
        unk_score_offset=unknown,
        lm_score_boundary=True,
    )

    def decoder(beam: int) -> Decode:
        return lambda log_probs: words.decode(log_probs, beam_width=beam, **settings)

    return decoder, settings | {"unk_score_offset": unknown, "lm_score_boundary": True}


measure(prepare)
