"""Times flashlight-text's lexicon decoder for peers.py.

A word ends here on the first frame of its last unit, which can't be held any longer: spelled "▁WORD", hypotheses lose
ten nats an utterance. What can be held at the root of the tree is the separator, for which flashlight wants words that
end in it. So a word is spelled "WORD▁", the first "▁" is held at the root, and a frame that is surely "▁" ends the
utterance, which leaves the criterion what it is.
"""

import math

import numpy as np
from flashlight.lib.text.decoder import (
    CriterionType,
    LexiconDecoder,
    LexiconDecoderOptions,
    SmearingMode,
    Trie,
)
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary
from measure import Decode, Prepared, Problem, measure


def prepare(problem: Problem) -> Prepared:
    ids = {symbol: index for index, symbol in enumerate(problem.symbols)}
    separator = ids["▁"]
    words = Dictionary([*problem.lexicon, "<unk>"])
    ngram = KenLM(problem.ngram, words)
    nothing = ngram.start(True)
    trie = Trie(len(ids), separator)
    for word, (first, *rest) in problem.lexicon.items():
        index = words.get_index(word)
        trie.insert([ids[symbol] for symbol in [*rest, first]], index, ngram.score(nothing, index)[1])
    trie.smear(SmearingMode.MAX)  # look-ahead: the best unigram within reach, as ours
    last_frame = np.full((1, len(ids)), -1e3, dtype=np.float32)
    last_frame[0, separator] = 0.0
    settings = {
        "smearing": "MAX",
        "log_add": True,  # CTC paths of the same words are summed, as everywhere else here
        "beam_size_token": 10,  # this and the next: of 5 to 29 and 10 to 18 those of fewest errors, then the fastest
        "beam_threshold": 11.0,
        "unk_score": -math.inf,
        "sil_score": 0.0,
    }

    def decoder(beam: int) -> Decode:
        options = LexiconDecoderOptions(
            beam_size=beam,
            beam_size_token=settings["beam_size_token"],
            beam_threshold=settings["beam_threshold"],
            lm_weight=problem.ngram_weight * math.log(10),  # KenLM speaks log10
            word_score=problem.word_bonus,
            unk_score=settings["unk_score"],
            sil_score=settings["sil_score"],
            log_add=settings["log_add"],
            criterion_type=CriterionType.CTC,
        )
        lexicon_decoder = LexiconDecoder(options, trie, ngram, separator, 0, words.get_index("<unk>"), [], False)

        def decode(log_probs: np.ndarray) -> str:
            frames = np.concatenate([log_probs, last_frame])
            best = lexicon_decoder.decode(frames.ctypes.data, *frames.shape)[:1]
            return " ".join(words.get_entry(index) for index in (best[0].words if best else []) if index >= 0)

        return decode

    return decoder, settings


measure(prepare)
