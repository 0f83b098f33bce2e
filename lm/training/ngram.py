"""Word n-gram models, estimated and packed by KenLM's own tools."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from lm.files import open_text
from lm.mixture import em_weights
from lm.ngram import count
from lm.ngram.arpa import read_arpa, write_arpa
from lm.ngram.interpolate import interpolate_ngrams
from lm.ngram.model import NgramModel
from lm.ngram.pack import write_trie
from lm.ngram.prune import DISCOUNTS, FIRST_PASS, choose, estimate, prune_ngram
from lm.progress import progress_bar
from lm.text.vocabulary import END, Vocabulary

OUTSIDE = "<outside>"  # stands for words outside the vocabulary while lmplz, which reserves <unk>, estimates


@dataclass(frozen=True)
class Estimate:
    """What one text gave; one item an order."""

    estimated: list[int]  # n-grams after the count cut-offs
    discounts: list[tuple[float, ...]]  # modified Kneser–Ney: for counts of 1, 2, 3 and more
    kept: list[int]  # n-grams after entropy pruning


@dataclass(frozen=True)
class NgramReport:
    """What `build_ngram` made."""

    estimates: list[Estimate]  # of each text
    weights: list[float]  # of these in the model
    ngrams: list[int]  # of the model, by order
    arpa_bytes: int
    binary_bytes: int


def build_ngram(
    texts: Sequence[Path],
    output: Path,
    vocabulary: Path,
    order: int = 4,
    prune: Sequence[int] = (0, 0, 1, 1),
    threshold: float = 0.0,
    bits: int = 8,
    memory: str = "50%",
    tune: Path | None = None,
    temporary: Path | None = None,
    tools: Path = Path("build/kenlm/bin"),
) -> NgramReport:
    """Estimate an interpolated modified Kneser–Ney model on each text and write them, mixed, as one KenLM trie.

    texts: one normalised sentence a line; or counts that `lm.ngram.count` made of one, which are smoothed by
    `lm.ngram.prune.estimate`, without KenLM's tools; `order` and `prune` are those of the counts then. vocabulary: a
    file of `Vocabulary`; all other words are `<unk>`, which is estimated like a word: it stands for all of them
    together, and comes as often as they do. prune: for each order the count up to which its n-grams are left out.
    threshold: leave out n-grams without which the perplexity rises by less than this share (see `lm.ngram.prune`),
    before the mixing. bits: of each quantised probability (see `lm.ngram.pack`; 0: nothing is quantised, for models too
    large to be read whole). memory: for sorting, as GNU sort says it ("8G", "50%"); lmplz sorts in files under
    `temporary`. tune: for several texts, held-out text of the kind that the model is for; the weights at which the
    models mix (see `interpolate`) are fitted on it. tools: where `make lm-tools` put lmplz and build_binary.

    Errors: FileNotFoundError for missing tools or input, ValueError with KenLM's message where a tool fails.
    """
    for path in (*texts, vocabulary, *([tune] if tune else [])):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
    if (len(texts) > 1) != (tune is not None):
        raise ValueError("several texts need held-out text, on which to tune their weights; a single one needs none")
    with tempfile.TemporaryDirectory(dir=temporary) as name:
        folder = Path(name)
        words = Vocabulary.load(vocabulary)
        arpas = [folder / f"{i}.arpa" for i in range(len(texts))]
        estimates = [
            estimate_counted(text, arpa, words, threshold)
            if text.suffix == count.SUFFIX
            else estimate_ngram(text, arpa, words, order, prune, threshold, memory, tools)
            for text, arpa in zip(texts, arpas, strict=True)
        ]
        arpa, weights, ngrams = arpas[0], [1.0], estimates[0].kept
        if tune:
            weights = tune_weights(arpas, words, tune)
            arpa = folder / "mixed.arpa"
            ngrams = interpolate_ngrams(arpas, weights, arpa)
        if bits:
            write_trie(read_arpa(arpa), output, bits)
        else:
            pack_ngram(arpa, output, memory, folder, tools)
        return NgramReport(estimates, weights, ngrams, arpa.stat().st_size, output.stat().st_size)


def tune_weights(arpas: Sequence[Path], vocabulary: Vocabulary, text: Path) -> list[float]:
    """The weights at which the models mix best on a text (normalised, one sentence a line)."""
    with open_text(text) as lines:
        sentences = [[*vocabulary.encode(words), END] for line in lines if (words := line.split())]
    if not sentences:
        raise ValueError(f"{text}: the text has no words")
    log_probs = [np.concatenate(NgramModel(arpa, vocabulary).log_probs(sentences)) for arpa in arpas]
    return em_weights(np.stack(log_probs)).tolist()


def estimate_ngram(
    text: Path,
    arpa: Path,
    vocabulary: Vocabulary,
    order: int,
    prune: Sequence[int],
    threshold: float,
    memory: str,
    tools: Path,
) -> Estimate:
    """Write the model of one text as an ARPA file (arguments as for `build_ngram`), sorting in the file's folder."""
    with tempfile.TemporaryDirectory(dir=arpa.parent) as folder:
        closed, large, small = (Path(folder, name) for name in ("text", "large.arpa", "small.arpa"))
        unknown = close_vocabulary(text, vocabulary, closed)
        estimated, discounts = run_lmplz(closed, large, order, prune, memory, tools)
        kept = estimated
        if threshold > 0:
            kept = prune_ngram(large, small, closed, threshold)
        else:
            small = large
        if unknown:
            name_unknown(small, arpa)
            estimated, kept = ([counts[0] - 1, *counts[1:]] for counts in (estimated, kept))
        else:
            small.rename(arpa)
    return Estimate(estimated, discounts, kept)


def estimate_counted(counts_file: Path, arpa: Path, vocabulary: Vocabulary, threshold: float) -> Estimate:
    """Write the model of counts of one text as an ARPA file (arguments as for `build_ngram`)."""
    model, counts = count.NgramCounts.load(counts_file, vocabulary).model()
    estimated = [len(order) for order in model.orders]
    estimate(model, counts)
    for share in (FIRST_PASS, 1) if threshold > 0 else ():
        keep = choose(model, share * threshold, counts.history_probabilities())
        model, counts = model.without(keep), counts.only(keep)
        estimate(model, counts)
    write_arpa(model, arpa)
    return Estimate(estimated, [DISCOUNTS[1:]] * len(estimated), [len(order) for order in model.orders])


def close_vocabulary(text: Path, vocabulary: Vocabulary, output: Path) -> bool:
    """Copy a text with OUTSIDE in the place of every word that the vocabulary lacks; whether there was one."""
    unknown = False
    with open_text(text) as lines, output.open("w") as file:
        for line in progress_bar(lines, f"unknown words of {text.name}", None):
            words = [word if word in vocabulary else OUTSIDE for word in line.split()]
            unknown = unknown or OUTSIDE in words
            file.write(" ".join(words) + "\n")
    return unknown


def name_unknown(arpa: Path, output: Path) -> None:
    """Copy an ARPA file with `<unk>` for OUTSIDE, and without the `<unk>` that lmplz adds and never saw."""
    unigrams = False
    with arpa.open() as lines, output.open("w") as file:
        for line in lines:
            if line.startswith("\\"):
                unigrams = line.startswith("\\1-grams:")
            elif line.startswith("ngram 1="):
                line = f"ngram 1={int(line.removeprefix('ngram 1=')) - 1}\n"
            elif unigrams and line.split("\t")[1:2] == ["<unk>"]:
                continue
            elif OUTSIDE in line:
                line = line.replace(OUTSIDE, "<unk>")
            file.write(line)


def run_lmplz(
    text: Path, arpa: Path, order: int, prune: Sequence[int], memory: str, tools: Path
) -> tuple[list[int], list[tuple[float, ...]]]:
    """Write an ARPA file with `lmplz` (arguments as for `build_ngram`); its counts and discounts by order."""
    options = {
        "--order": order,
        "--text": text,
        "--arpa": arpa,
        "--memory": memory,
        "--temp_prefix": f"{arpa.parent}/",
    }
    # The fallback is for small texts, which don't determine the discounts.
    command = [tools / "lmplz", *chain.from_iterable(options.items()), "--prune", *prune, "--discount_fallback"]
    messages = _run(command)
    # Of "3 1234/5678 D1=0.5 D2=1.0 D3+=1.5" the first number is what the count cut-offs left.
    rows = re.findall(r"^(\d) (\d+)(?:/\d+)? D1=(\S+) D2=(\S+) D3\+=(\S+)", messages, re.MULTILINE)
    return [int(row[1]) for row in rows], [tuple(map(float, row[2:])) for row in rows]


def pack_ngram(arpa: Path, output: Path, memory: str, temporary: Path, tools: Path) -> None:
    """Pack an ARPA file with `build_binary` as a trie of full precision (arguments as for `build_ngram`)."""
    _run([tools / "build_binary", "-S", memory, "-T", f"{temporary}/", "trie", arpa, output])


def _run(command: Sequence[object]) -> str:
    """Run one of KenLM's tools; what it wrote on stderr."""
    program = Path(str(command[0]))
    if not program.is_file():
        raise FileNotFoundError(f"{program}: KenLM's tools are not there; `make lm-tools` builds them")
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        message = " ".join(done.stderr.split("\n")[-3:]).strip() or f"exit code {done.returncode}"
        raise ValueError(f"{program.name} failed: {message}")
    return done.stderr
