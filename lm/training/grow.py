"""A trained LSTM as the beginning of another: with more cells, and other words.

Words keep their vectors by name, whatever cluster of the adaptive softmax they are in now; cells stay what they were
and see nothing of the new ones. What is new is small and at random, so that at first nearly the same is computed: the
shipped LSTM of 512 cells and 100,000 words, grown to 640 and 146,000, began at a perplexity of 580 on talk and books,
where a random one begins at 146,000, and was at 163 after 1,000 steps.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from lm.bundle import Dequantized, open_bundle
from lm.lstm.cells import LAYOUTS
from lm.lstm.model import LstmConfig, shapes
from lm.text.vocabulary import Vocabulary
from lm.training.network import WordLstm

SMALL = 0.02  # standard deviation of new weights between old ones
DAMPED = 0.5  # of new cells' own weights, drawn as for a new model


def start_from(model: WordLstm, words: Vocabulary, folder: Path) -> None:
    """Set the parameters of a new model of these words after the LSTM of a model folder.

    Errors: BundleError for what is no model folder; ValueError for an LSTM of another cell, of other layers, or larger.
    """
    bundle = open_bundle(folder)
    config = bundle.read(LstmConfig, "lstm")
    known = Vocabulary.load(bundle.file("vocabulary.txt"))
    grow(model, words, config, Dequantized(bundle.file("lstm.safetensors"), shapes(config)), known)


def grow(
    model: WordLstm, words: Vocabulary, old: LstmConfig, weights: Mapping[str, np.ndarray], known: Vocabulary
) -> None:
    """Set the parameters of `model`, of `words`, after the `weights` of a model of sizes `old` and words `known`."""
    new = model.config
    if (old.cell, old.layers) != (new.cell, new.layers) or old.hidden > new.hidden:
        raise ValueError(
            f"{old.layers} layers of {old.hidden} {old.cell} cells"
            f" can't grow to {new.layers} of {new.hidden} {new.cell}"
        )
    state = {name: weight.clone() for name, weight in model.state_dict().items()}
    gates = len(LAYOUTS[old.cell])
    for layer in range(old.layers):
        _cells(state, weights, f"layers.{layer}.", gates, old.hidden, new.hidden)
    ids = np.array([known.encode([word])[0] if word in known else -1 for word in words])
    _words(state, weights, old, new, ids)
    model.load_state_dict(state)


def _cells(
    state: dict[str, torch.Tensor], weights: Mapping[str, np.ndarray], layer: str, gates: int, old: int, new: int
) -> None:
    for name in ("weight_ih_l0", "weight_hh_l0"):
        weight = state[layer + name].view(gates, new, new)
        weight *= DAMPED
        weight[:, :old, old:] = 0
        weight[:, :old, :old] = torch.from_numpy(weights[layer + name]).view(gates, old, old)
    for name in ("bias_ih_l0", "bias_hh_l0"):
        bias = state[layer + name].view(gates, new)
        bias.zero_()
        bias[:, :old] = torch.from_numpy(weights[layer + name]).view(gates, old)


def word_vectors(config: LstmConfig, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """The vectors of an LSTM's words, rare ones' at full length too: float32 [vocabulary, hidden]."""
    first = config.bounds[0]
    vectors = np.empty((config.vocabulary, config.hidden), np.float32)
    vectors[:first] = weights["softmax.head.weight"][:first]
    for k, (low, high) in enumerate(pairwise(config.bounds)):
        vectors[low:high] = weights[f"softmax.tail.{k}.1.weight"] @ weights[f"softmax.tail.{k}.0.weight"]
    return vectors


def _words(
    state: dict[str, torch.Tensor],
    weights: Mapping[str, np.ndarray],
    old: LstmConfig,
    new: LstmConfig,
    ids: np.ndarray,
) -> None:
    """ids: of the new model's words in the old one; -1: none."""
    vectors, clusters = word_vectors(old, weights), weights["softmax.head.weight"][old.bounds[0] :]

    head, first = state["softmax.head.weight"], new.bounds[0]
    head[:] = SMALL * torch.randn(head.shape)
    rows = np.flatnonzero(ids[:first] >= 0)
    head[rows, : old.hidden] = torch.from_numpy(vectors[ids[rows]])
    for k, (low, high) in enumerate(pairwise(new.bounds)):
        before = min(k, len(clusters) - 1)  # the old model may have had fewer clusters
        head[first + k, : old.hidden] = torch.from_numpy(clusters[before])
        shortening, short = state[f"softmax.tail.{k}.0.weight"], state[f"softmax.tail.{k}.1.weight"]
        kept = weights[f"softmax.tail.{before}.0.weight"][: len(shortening)]
        shortening *= DAMPED
        shortening[: len(kept), : old.hidden] = torch.from_numpy(kept)
        shortening[: len(kept), old.hidden :] = SMALL * torch.randn(len(kept), new.hidden - old.hidden)
        short[:] = SMALL * torch.randn(short.shape)
        rows = np.flatnonzero(ids[low:high] >= 0)
        # By least squares: exact for a word of the same cluster, the nearest that its new one has for another.
        nearest = np.linalg.lstsq(shortening[:, : old.hidden].numpy().T, vectors[ids[low + rows]].T)[0].T
        short[rows] = torch.from_numpy(nearest.astype(np.float32))
