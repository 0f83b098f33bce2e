"""A bundle that knows somebody's own documents: their names and terms, and what usually stands beside these.

Nothing is trained. The words that the vocabulary lacks join it; an n-gram of the text is mixed into the bundle's; and
to the LSTM a new word is a rare word like any other.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from safetensors.numpy import load_file, save_file

from lm.bundle import SCALE, Bundle, open_bundle, quantized, write_bundle
from lm.files import find_files, open_text
from lm.mixture import em_weights
from lm.ngram.estimate import estimate_ngram
from lm.ngram.interpolate import merge
from lm.ngram.model import NgramModel
from lm.ngram.pack import write_trie
from lm.ngram.trie import unpack_trie
from lm.text.normalise import sentences
from lm.text.vocabulary import END, SPECIAL_WORDS, UNKNOWN, Vocabulary, count_words

# The most that the text's n-gram may weigh: to it any other sentence becomes less probable by this share a word at
# most. Where the text comes back, most of what it knows is gained with less.
MOST_WEIGHT = 0.05
MOST_WORDS = 10_000  # that are new; those that a text has but once, of megabytes, are slips of the pen as a rule
MOST_BYTES = 50_000_000  # of text, which is in memory as a whole
PARTS = 8  # of the text, every other of which is held back in turn to find the weight
INITIALISM = re.compile(r"([A-Z]{2,})([a-z]?)")  # API, GPUs, NVMe
VOWEL = re.compile("[AEIOUY]")


@dataclass(frozen=True)
class Adaptation:
    """What `adapt` made."""

    sentences: int
    words: int  # in all
    new: list[str]  # that the vocabulary lacked, the most frequent first
    spelled: list[str]  # of these, letter by letter
    dropped: dict[str, int]  # passages, by the reasons of lm.text.normalise.sentences
    weight: float  # of the text's n-gram in the merged one
    best_weight: float  # for more of the same text, which may be above MOST_WEIGHT
    perplexities: tuple[float, float]  # of the n-gram on held-back parts of the text: before, after
    ngrams: list[int]  # of the merged model, by order


def adapt(texts: Sequence[Path], output: Path, model: Path) -> Adaptation:
    """Write the bundle `model` to `output` with what plain texts or Markdown (or folders of .txt and .md) have.

    Errors: FileNotFoundError; ValueError for what is no text, or not of English words, or too much of it.
    """
    if output.resolve() == model.resolve():
        raise ValueError(f"{output}: is the model itself; name another folder for the new one")
    bundle = open_bundle(model)
    with Console(stderr=True).status("reading the text") as status, tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        known = Vocabulary.load(bundle.file("vocabulary.txt"))
        lines, dropped, spellings = _read(texts)
        counts = count_words(lines)
        unknown = sorted((word for word in counts if word not in known), key=lambda word: (-counts[word], word))
        new = unknown[:MOST_WORDS]
        vocabulary = Vocabulary([*islice(known, len(SPECIAL_WORDS), None), *new])
        vocabulary.save(made / "vocabulary.txt")
        config: dict[str, Any] = {name: table for name, table in bundle.config.items() if name != "sha256"}
        spelled: dict[str, str] = {}
        if bundle.has("lexicon.txt") and new:
            spelled = _spell(new, spellings, bundle.file("lexicon.txt"), made / "lexicon.txt")

        status.update("weighing the text")
        ids = [vocabulary.encode(line.split()) for line in lines]
        before, own = _held_back(ids, vocabulary, known, bundle)
        best = float(em_weights(np.stack([before, own]))[1])
        weight = min(best, MOST_WEIGHT)
        after = np.logaddexp(np.log1p(-weight) + before, np.log(weight) + own)

        status.update("merging the n-grams")
        models = [unpack_trie(bundle.file("ngram.bin")), estimate_ngram(ids, vocabulary)]
        merged = merge(models, [1 - weight, weight])
        write_trie(merged, made / "ngram.bin")

        if bundle.has("lstm.safetensors") and new:
            config["lstm"] = config["lstm"] | {"vocabulary": len(vocabulary)}
            save_file(with_words(load_file(bundle.file("lstm.safetensors")), len(new)), made / "lstm.safetensors")
        files = {name: bundle.file(name) for name in bundle.config["sha256"]}
        write_bundle(output, config, files | {path.name: path for path in made.iterdir()})
    return Adaptation(
        sentences=len(lines),
        words=counts.total(),
        new=new,
        spelled=list(spelled),
        dropped=dict(dropped),
        weight=weight,
        best_weight=best,
        perplexities=(float(np.exp(-before.mean())), float(np.exp(-after.mean()))),
        ngrams=[len(order) for order in merged.orders],
    )


FENCED = re.compile(r"^ {0,3}(`{3,})[^\n`]*\n.*?^ {0,3}\1`*[ \t]*$", re.MULTILINE | re.DOTALL)  # Markdown's programs


def _read(texts: Sequence[Path]) -> tuple[list[str], Counter[str], Counter[str]]:
    """The normalised sentences of texts; how many passages were left out; how often its words stand as written."""
    lines: list[str] = []
    dropped: Counter[str] = Counter()
    spellings: Counter[str] = Counter()
    paths = [path for text in texts for path in (_files(text) if text.is_dir() else [text])]
    if (size := sum(path.stat().st_size for path in paths)) > MOST_BYTES:
        most = f"{MOST_BYTES // 10**6} MB are the most; `lm build-ngram` estimates models of so much"
        raise ValueError(f"{_names(texts)}: {size / 1e6:.0f} MB of text: {most}")
    for path in paths:
        with open_text(path) as file:
            text = file.read()
        if "\0" in text:
            raise ValueError(f"{path}: no text (it holds zero bytes); give plain text or Markdown")
        text, fenced = FENCED.subn("\n", text)
        dropped.update({"code": fenced} if fenced else {})
        lines += sentences(text.splitlines(), dropped)
        spellings.update(re.findall("[A-Za-z]+", "\n".join(line for line in text.splitlines() if not line.isupper())))
    if len(lines) == 1:
        raise ValueError(f"{_names(texts)}: has one sentence alone; give more, so that some can be held back")
    if not lines:
        found = ", ".join(f"{count} passages of kind {reason!r}" for reason, count in dropped.items()) or "no words"
        raise ValueError(f"{_names(texts)}: no sentences of English in it ({found}); give plain text or Markdown")
    return lines, dropped, spellings


def _files(folder: Path) -> list[Path]:
    files = sorted(path for path in find_files(folder, "**/*") if path.suffix in (".txt", ".md"))
    if not files:
        raise FileNotFoundError(f"{folder}: no .txt or .md files in it")
    return files


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))


# --- The weight of the text ---------------------------------------------------------------------------------


def _held_back(
    sentences: Sequence[Sequence[int]], vocabulary: Vocabulary, known: Vocabulary, bundle: Bundle
) -> tuple[np.ndarray, np.ndarray]:
    """log P of each word of the text by the bundle's n-gram, and by an n-gram of the parts in which it isn't."""
    part = np.arange(len(sentences)) * min(PARTS, len(sentences)) // len(sentences) % 2
    halves = [[words for words, own in zip(sentences, part, strict=True) if own == half] for half in (0, 1)]
    base = NgramModel(bundle.file("ngram.bin"), known)
    by_base, by_own = [], []
    for held, rest in (halves, halves[::-1]):
        ended = [[*words, END] for words in held]
        words = np.concatenate(ended)
        of_new = words >= len(known)  # which share what <unk> has
        scores = np.concatenate(base.log_probs([[id if id < len(known) else UNKNOWN for id in ids] for ids in ended]))
        by_base.append(scores - of_new * np.log(1 + len(vocabulary) - len(known)))
        by_own.append(np.concatenate(NgramModel(estimate_ngram(rest, vocabulary), vocabulary).log_probs(ended)))
    return np.concatenate(by_base).astype(np.float64), np.concatenate(by_own).astype(np.float64)


# --- New words in the other files ---------------------------------------------------------------------------


def _spell(new: Iterable[str], spellings: Mapping[str, int], lexicon: Path, output: Path) -> dict[str, str]:
    """Copy a lexicon with the initialisms among new words, spelled with the names that it has for letters; these.

    All others are pronounced by the recogniser as it opens the bundle, like hot words.
    """
    text = lexicon.read_text(encoding="utf-8")
    names: dict[str, str] = {}
    for line in text.splitlines():
        word, _, sounds = line.partition("\t")
        if len(word) == 1:
            names[word] = sounds  # the last is the letter's, as of A
    written: dict[str, Counter[str]] = {}
    for form, count in spellings.items():
        written.setdefault(form.upper(), Counter())[form] += count
    spelled = {}
    for word in new:
        forms = written.get(word, Counter({word.lower(): 1}))
        form, count = forms.most_common(1)[0]
        capitals = INITIALISM.fullmatch(form) if 5 * count >= 4 * forms.total() else None
        # With a vowel, four capitals and more are mostly read as a word (NASA, JSON).
        initialism = not VOWEL.search(word) or (capitals and len(capitals[1]) < 4)
        letters = capitals[1] if capitals and capitals[2] == "s" else word.replace("'", "")
        if initialism and len(word) > 1 and names.keys() >= set(letters):
            plural = ["Z"] if letters != word else []
            spelled[word] = " ".join([*(names[letter] for letter in letters), *plural])
    text += "".join(f"{word}\t{sounds}\n" for word, sounds in spelled.items())
    output.write_text(text, encoding="utf-8")
    return spelled


def with_words(weights: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """The weights of a bundle's LSTM with so many more words, each like the mean of the rarest ones."""
    tails = [name for name in weights if re.fullmatch(r"softmax\.tail\.\d+\.1\.weight", name)]
    name = max(tails, key=lambda name: int(name.split(".")[2]))
    rows = weights[name] * weights[name + SCALE][:, None]
    new = quantized({name: np.repeat(rows.mean(0, keepdims=True), count, 0)})
    return {**weights, **{part: np.concatenate([weights[part], new[part]]) for part in new}}
