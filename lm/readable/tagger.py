"""The tagger: a bidirectional LSTM that says how each word is written and which mark comes next.

It reads said words, after Tilk and Alumäe (Interspeech 2016), and tells their case beside their marks. Words that the
vocabulary lacks are known by their last three letters. Here it is asked, in NumPy; lm.training.readable trains it.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lm.bundle import Dequantized
from lm.lstm.cells import Layer
from lm.readable.marked import MARKS
from lm.settings import Count, Dropout

EDGE = 0  # the id of where what was said at once begins or ends
ENDINGS = 512  # ids of unknown words, by a hash of their last letters
CASES = 3  # LOWER, CAPITAL, OWN

WINDOW, CONTEXT = 192, 32  # words read at once, of which so many on each side are for others' sake only
ROWS = 8  # windows side by side: more take more memory than time is won


@dataclass(frozen=True)
class TaggerConfig:
    """Sizes of a tagger; stored in the bundle beside its weights."""

    vocabulary: Count  # words with vectors of their own
    embedding: Count = 96
    hidden: Count = 192  # cells in each direction
    layers: Count = 2
    dropout: Dropout = 0.1  # of embeddings and outputs
    word_dropout: Dropout = 0.05  # of words, which are taken for unknown ones

    @property
    def ids(self) -> int:
        """How many there are: of the edge, of endings, of words, in this order."""
        return 1 + ENDINGS + self.vocabulary


def unknown_id(word: str) -> int:
    """The id of a word that the vocabulary lacks."""
    return 1 + zlib.crc32(word[-3:].encode()) % ENDINGS


class Tagger:
    """A trained tagger."""

    def __init__(self, config: TaggerConfig, weights: Dequantized) -> None:
        """weights: by the names that they have in an lm.training.readable.TaggerNetwork."""
        # Most of the weights are vectors of words, few of which are needed at once: they stay packed.
        self._vectors, self._scales = weights.rows("embedding.weight")
        self._layers = [
            [Layer("lstm", weights, f"lstm.{{}}_l{k}{direction}") for direction in ("", "_reverse")]
            for k in range(config.layers)
        ]
        self._output, self._bias = weights["output.weight"].T, weights["output.bias"]

    def log_probs(self, texts: Sequence[Sequence[int]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of the words of each text log P of MARKS [words, marks] and of cases [words, CASES], float32.

        texts: ids of words. Each stands by itself; long ones are read in windows that overlap.
        """
        results = [np.empty((len(text), len(MARKS) + CASES), np.float32) for text in texts]
        windows = [
            (number, start)
            for number, text in enumerate(texts)
            for start in range(0, max(1, len(text) - 2 * CONTEXT), WINDOW - 2 * CONTEXT)
            if text
        ]
        closed = [[EDGE, *text, EDGE] for text in texts]
        windows.sort(key=lambda window: len(closed[window[0]]) - window[1])
        for first in range(0, len(windows), ROWS):
            batch = windows[first : first + ROWS]
            pieces = [closed[number][start : start + WINDOW + 2] for number, start in batch]
            for (number, start), logits in zip(batch, self._logits(pieces), strict=True):
                # The piece's first id is the edge or a word before word `start`, its last one likewise.
                first_word = CONTEXT if start else 0
                last_word = len(logits) - 2 - (CONTEXT if start + WINDOW < len(texts[number]) else 0)
                results[number][start + first_word : start + last_word] = logits[1 + first_word : 1 + last_word]
        split = (np.split(result, [len(MARKS)], axis=1) for result in results)
        return [(_log_softmax(marks), _log_softmax(cases)) for marks, cases in split]

    def _logits(self, pieces: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Logits [ids, marks + cases] of each piece."""
        lengths = np.array([len(piece) for piece in pieces])
        ids = np.zeros((max(lengths), len(pieces)), np.int64)
        for column, piece in zip(ids.T, pieces, strict=True):
            column[: len(piece)] = piece
        steps, rows = np.arange(len(ids))[:, None], np.arange(len(pieces))
        mirrored = np.where(steps < lengths, lengths - 1 - steps, steps)  # what is beyond a piece's end stays there
        outputs = self._vectors[ids] * self._scales[ids, None]
        for forwards, backwards in self._layers:
            outputs = np.concatenate(
                [_read(forwards, outputs), _read(backwards, outputs[mirrored, rows])[mirrored, rows]], axis=2
            )
        logits = outputs @ self._output + self._bias
        return [logits[:length, row] for row, length in enumerate(lengths)]


def _read(layer: Layer, inputs: np.ndarray) -> np.ndarray:
    """Outputs [T, B, hidden] of a layer that reads inputs [T, B, size] in their order."""
    return layer.read(inputs, np.zeros((2, inputs.shape[1], layer.hidden), np.float32))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(1, keepdims=True)
    normalised: np.ndarray = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return normalised
