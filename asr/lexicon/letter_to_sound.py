"""Pronounces words that no dictionary lists: an LSTM from letters to phones, trained on CMUdict with CTC.

Each letter gives the network two output frames, enough for letters of two phones (X -> K S, U -> Y UW), and CTC finds
the alignment; the same recipe as the acoustic model's, on letters instead of sound. In NumPy;
asr.training.letter_to_sound trains it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from asr.acoustic.layers import LstmLayer
from lm.bundle import BundleError, Dequantized, Shapes
from lm.lstm.cells import LAYOUTS, layer_shapes

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ'"
FRAMES_A_LETTER = 2
LAYERS = 2


class LetterToSound:
    """A trained network; class 0 of its output is the CTC blank."""

    def __init__(self, weights: Mapping[str, np.ndarray], phones: list[str]) -> None:
        """weights: by the names that they have in an asr.training.letter_to_sound.LetterToSoundNetwork."""
        self._weights, self._phones = weights, phones
        self._layers = [
            LstmLayer(weights, [f"lstm.{{}}_l{layer}", f"lstm.{{}}_l{layer}_reverse"]) for layer in range(LAYERS)
        ]

    def pronounce(self, word: str) -> str:
        """The best phones of a word, such as "S P IY CH"; one without letters has none ("")."""
        letters = encode(word)
        if not letters:
            return ""
        x = self._weights["embedding.weight"][letters]
        for layer in self._layers:
            x = layer(x, layer.initial())
        logits = x @ self._weights["output.weight"].T + self._weights["output.bias"]
        best = logits.reshape(FRAMES_A_LETTER * len(x), -1).argmax(1)
        changes = best[np.diff(best, prepend=-1) != 0]
        return " ".join(self._phones[unit - 1] for unit in changes if unit)

    def save(self, path: Path) -> None:
        """Write the weights, in half precision."""
        save_file({name: weight.astype(np.float16) for name, weight in self._weights.items()}, path)

    @classmethod
    def load(cls, path: Path, phones: list[str]) -> "LetterToSound":
        """Read what `save` wrote. Raises ValueError for another file."""
        try:
            weights = dict(Dequantized(path))
            size, hidden = (weights[name].shape[-1] for name in ("embedding.weight", "lstm.weight_hh_l0"))
            fits = {name: weight.shape for name, weight in weights.items()} == dict(shapes(size, hidden, len(phones)))
        except (BundleError, KeyError, IndexError):
            fits = False
        if not fits:
            raise ValueError(f"{path}: not a letter-to-sound model; asr train-letter-to-sound makes one")
        return cls(weights, phones)


def shapes(size: int, hidden: int, phones: int) -> Shapes:
    """The shapes of all weights, with letters of so many numbers and so many cells a direction."""
    yield "embedding.weight", (len(LETTERS) + 1, size)
    yield "output.weight", (FRAMES_A_LETTER * (phones + 1), 2 * hidden)
    yield "output.bias", (FRAMES_A_LETTER * (phones + 1),)
    for layer in range(LAYERS):
        for direction in ("", "_reverse"):
            inputs = 2 * hidden if layer else size
            yield from layer_shapes(f"lstm.{{}}_l{layer}{direction}", len(LAYOUTS["lstm"]), inputs, hidden)


def encode(word: str) -> list[int]:
    """The letters of a word, from 1 on; other signs are left out."""
    return [LETTERS.index(letter) + 1 for letter in word if letter in LETTERS]
