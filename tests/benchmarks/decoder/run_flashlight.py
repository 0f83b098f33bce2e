"""Times flashlight-text's lexicon decoder for peers.py.

A word ends here on the first frame of its last unit, which can't be held any longer: in phones, or spelled "▁WORD",
hypotheses lose nats. What can be held at the root of the tree is the separator, for which flashlight wants words that
end in it. So a word of characters is spelled "WORD▁", the first "▁" is held at the root, and a frame that is surely "▁"
ends the utterance, which leaves the criterion what it is.

Phones have no separator. There each phone gets a twin that is as probable, and a word stands in the tree twice: as
"S P IY CH" if its last phone takes one frame, and as "S P IY CH CH'" if it takes more. This lets through paths that are
none, with a blank between CH and CH', or with no blank between CH' and a word that begins with CH. Without twins there
are more errors by 0.8 points (20 utterances of dev-mini, beam 300; with CH' last in both, 0.1 more than so), at twice
the time. What sounds like six more frequent words is left out: the tree would drop words beyond six by itself.
"""

import math
from collections import Counter

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

IMPOSSIBLE = -1e3  # nats
MOST_ALIKE = 6  # words at a node of the tree


def with_last_separator(log_probs: np.ndarray, separator: int) -> np.ndarray:
    """[T + 1, units]: a frame at the end that is surely the separator."""
    last = np.full_like(log_probs[:1], IMPOSSIBLE)
    last[:, separator] = 0.0
    return np.concatenate([log_probs, last])


def with_twins(log_probs: np.ndarray) -> np.ndarray:
    """[T, 2 units + 1]: each unit's twin, and a separator that never is, for flashlight needs one."""
    return np.hstack([log_probs, log_probs, np.full_like(log_probs[:, :1], IMPOSSIBLE)])


def prepare(problem: Problem) -> Prepared:
    ids = {symbol: index for index, symbol in enumerate(problem.symbols)}
    phones = problem.separator is None
    columns, separator = (2 * len(ids) + 1, 2 * len(ids)) if phones else (len(ids), problem.separator)
    words = Dictionary([*problem.lexicon, "<unk>"])
    ngram = KenLM(problem.ngram, words)
    nothing = ngram.start(True)
    unigram = {word: ngram.score(nothing, words.get_index(word))[1] for word in problem.lexicon}
    trie = Trie(columns, separator)
    alike: Counter[str] = Counter()
    for word in sorted(unigram, key=unigram.__getitem__, reverse=True):
        for spelling in problem.lexicon[word]:
            alike[" ".join(spelling)] += 1
            if alike[" ".join(spelling)] > MOST_ALIKE:
                continue
            sequence = [ids[symbol] for symbol in spelling]
            ways = [sequence, [*sequence, len(ids) + sequence[-1]]] if phones else [[*sequence[1:], sequence[0]]]
            for way in ways:
                trie.insert(way, words.get_index(word), unigram[word])
    trie.smear(SmearingMode.MAX)  # look-ahead: the best unigram within reach, as ours
    settings = {
        "smearing": "MAX",
        "log_add": True,  # CTC paths of the same words are summed, as everywhere else here
        # This and the next: those of fewest errors, then the fastest, of 5 to 80 and 7.5 to 18 for phones, of 5 to 29
        # and 10 to 18 for characters.
        "beam_size_token": 8 if phones else 10,
        "beam_threshold": 9.0 if phones else 11.0,
        "unk_score": -math.inf,
        "sil_score": 0.0,
        "pronunciations left out": sum(max(0, count - MOST_ALIKE) for count in alike.values()),
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
            frames = with_twins(log_probs) if phones else with_last_separator(log_probs, separator)
            best = lexicon_decoder.decode(frames.ctypes.data, *frames.shape)[:1]
            return " ".join(words.get_entry(index) for index in (best[0].words if best else []) if index >= 0)

        return decode

    return decoder, settings


measure(prepare)
