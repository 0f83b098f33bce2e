"""Puts trained language models together into a bundle that `lm.query.open_models` opens."""

import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from lm.bundle import Bundle, quantized, write_bundle
from lm.ngram.trie import FEW, missing_words, read_ngram, warn_missing
from lm.text.vocabulary import SPECIAL_WORDS, Vocabulary
from lm.training.engine import read_checkpoint


def export(
    output: Path,
    vocabulary: Path,
    lstm: Path | None = None,
    ngram: Path | None = None,
    words: int | None = None,
    mixture_weight: float = 0.5,
) -> Bundle:
    """Write a bundle of a vocabulary, the LSTM of a checkpoint of `lm train`, and a KenLM trie.

    words: keep only the so many commonest words, of the vocabulary and of the LSTM; the n-gram must be made for them.
    mixture_weight: of the n-gram in their mixture (`lm mix` finds the best). Errors: ValueError where the LSTM and the
    vocabulary don't belong together.
    """
    known = Vocabulary.load(vocabulary)
    kept = Vocabulary(islice(known, len(SPECIAL_WORDS), len(SPECIAL_WORDS) + words)) if words else known
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        kept.save(made / "vocabulary.txt")
        config: dict[str, Any] = {}
        if lstm:
            sizes, weights = read_checkpoint(lstm)
            if "vocabulary" not in sizes:
                raise ValueError(f"{lstm}: a checkpoint of an acoustic model; lm train writes those of an LSTM")
            if sizes["vocabulary"] != len(known):
                raise ValueError(f"{lstm}: an LSTM of {sizes['vocabulary']} words; {vocabulary} has {len(known)}")
            config["lstm"] = sizes | {"vocabulary": len(kept)}
            save_file(quantized(without_last_words(weights, len(known) - len(kept))), made / "lstm.safetensors")
        files = {path.name: path for path in made.iterdir()}
        if ngram:
            tell_missing(ngram, kept)
            files["ngram.bin"] = ngram
        if lstm and ngram:
            config["mixture"] = {"ngram_weight": mixture_weight}
        return write_bundle(output, config, files)


def tell_missing(ngram: Path, vocabulary: Vocabulary) -> None:
    """Tell on stderr how many words of the vocabulary an n-gram lacks; of many a MissingWordsWarning tells."""
    tables = read_ngram(ngram, vocabulary)
    warn_missing(tables, ngram)
    if 0 < tables.missing.sum() <= FEW * len(vocabulary):
        print(missing_words(tables, ngram), file=sys.stderr)


def without_last_words(weights: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """The weights of a WordLstm without its `count` rarest words, whose probability falls to the other rare ones."""
    name = max((name for name in weights if name.startswith("softmax.tail")), key=lambda name: int(name.split(".")[2]))
    name = name.rsplit(".", 2)[0] + ".1.weight"
    rows = len(weights[name]) - count
    if rows < 1:
        raise ValueError(f"only the last {len(weights[name]) - 1} words can be left out, not {count}")
    return weights | {name: weights[name][:rows]}
