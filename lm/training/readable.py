"""Trains the tagger of lm.readable on text with case and marks, from a settings file; puts it into a bundle."""

import hashlib
import random
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from lm.bundle import CONFIG, Bundle, Dequantized, open_bundle, quantized, write_bundle
from lm.files import open_text
from lm.lstm.model import LstmConfig
from lm.readable.forms import Words
from lm.readable.marked import LOWER, MARKS, OWN, UNSURE, Marked, begins_sentence
from lm.readable.readable import Readable
from lm.readable.scores import best_bias
from lm.readable.tagger import CASES, EDGE, ENDINGS, TaggerConfig, unknown_id
from lm.readable.texts import excerpts
from lm.settings import MOST, Count
from lm.text.prepare import is_heldout
from lm.text.vocabulary import Vocabulary
from lm.training.engine import Budget, Training, Windows, fit, make_once, processes, read_checkpoint, read_settings
from lm.training.grow import word_vectors

IGNORED = -100  # a label whose loss isn't counted
HELDOUT = 0.01  # of the files of each source
DEV_WORDS = 15_000  # of each source
# After such a share of passages, and of other sentences, what was said at once ends.
PASSAGE_ENDS, SENTENCE_ENDS = 0.4, 0.1
USUAL_COUNT = 4  # how often a text has to write a word in a way within its sentences, for that to be its usual form


@dataclass(frozen=True)
class Source:
    """Text of one kind: a folder or archive of files, or a file."""

    path: str
    words: Count  # to take, as far as there are so many; excerpts from all over it


@dataclass(frozen=True, kw_only=True)
class ReadableTrainConfig(Budget):
    """Settings of a training; the TOML file has the same names."""

    sources: list[Source]
    exclude: str | None = None  # a list of files to leave out, a name a line
    vocabulary: Count = 32_000  # words that have vectors of their own
    model: dict[str, Any] = field(default_factory=dict)  # of TaggerConfig, but for `vocabulary`
    rows: Count = 64  # windows side by side, on each process
    words: Count = 96  # of each


def read_config(path: Path) -> ReadableTrainConfig:
    """Read a settings file. Raises ValueError for a setting that doesn't exist, or a value that isn't allowed."""
    return read_settings(path, ReadableTrainConfig, TaggerConfig, vocabulary=MOST)


# --- Text ---------------------------------------------------------------------------------------------------


class _Stream:
    """Words one after another with their labels, edges between; words by their order of appearance."""

    def __init__(self, known: dict[str, int]) -> None:
        self._known = known
        self.words, self.marks, self.cases = array("i"), array("b"), array("b")
        self.own: list[tuple[int, str]] = []  # places of words written in a way of their own, and how

    def edge(self) -> None:
        if self.words and self.words[-1] != EDGE:
            self._add(EDGE, UNSURE, UNSURE)

    def word(self, item: Marked) -> None:
        if item.case == OWN:
            self.own.append((len(self.words), item.form))
        self._add(self._known.setdefault(item.word, len(self._known) + 1), item.mark, item.case)

    def _add(self, word: int, mark: int, case: int) -> None:
        self.words.append(word)
        self.marks.append(mark)
        self.cases.append(case)

    def read(self, texts: Sequence[Sequence[Marked]], chance: random.Random) -> None:
        """An excerpt."""
        for text in texts:
            following = [*begins_sentence(text)][1:]
            for item, ends in zip(text, [*following, False], strict=True):
                self.word(item)
                if ends and chance.random() < SENTENCE_ENDS:
                    self.edge()
            if chance.random() < PASSAGE_ENDS:
                self.edge()
        self.edge()

    def labelled(self, ids: np.ndarray, forms: dict[str, str]) -> np.ndarray:
        """int32 [3, N]: ids, marks, cases; `ids` of words in the order of their appearance."""
        result = np.array([ids[np.array(self.words)], self.marks, self.cases], np.int32)
        for place, form in self.own:
            if forms.get(form.upper()) != form:
                result[2, place] = UNSURE
        result[1:][result[1:] == UNSURE] = IGNORED
        return result


def prepare(config: ReadableTrainConfig, folder: Path) -> None:
    """Write train.npy and dev.npy (int32 [3, words]: ids, marks, cases) and words.txt into a folder."""
    excluded: set[str] = set()
    if config.exclude:
        with open_text(Path(config.exclude)) as lines:
            excluded = {line.strip() for line in lines}
    chance = random.Random(config.seed)
    known: dict[str, int] = {}
    streams = _Stream(known), _Stream(known)
    usual, within = Counter[str](), Counter[str]()  # forms but small ones, and words, where no sentence begins
    parts: list[list[list[Marked]]] = []
    for source in config.sources:
        parts += excerpts(
            Path(source.path), source.words, lambda name: name not in excluded and not is_heldout(name, HELDOUT)
        )
        heldout = excerpts(
            Path(source.path), DEV_WORDS, lambda name: name not in excluded and is_heldout(name, HELDOUT)
        )
        for texts in heldout:
            streams[1].read(texts, chance)
    chance.shuffle(parts)
    for texts in parts:
        streams[0].read(texts, chance)
        for text in texts:
            for item, begins in zip(text, begins_sentence(text), strict=True):
                if not begins:
                    within[item.word] += 1
                    if item.case != LOWER:
                        usual[item.form] += 1
    forms = {
        form.upper(): form for form, count in usual.items() if count >= USUAL_COUNT and 2 * count > within[form.upper()]
    }
    counts = np.bincount(streams[0].words, minlength=len(known) + 1)
    spelled = ["", *known]
    order = np.argsort(-counts[1:], kind="stable")[: config.vocabulary] + 1
    vocabulary = [spelled[i] for i in order]
    ids = np.array([EDGE, *map(unknown_id, known)], np.int32)
    ids[order] = 1 + ENDINGS + np.arange(len(order))
    Words(vocabulary, forms).save(folder / "words.txt")
    for name, stream in zip(("train", "dev"), streams, strict=True):
        np.save(folder / f"{name}.npy", stream.labelled(ids, forms))


class WindowLoader(Windows):
    """Batches int64 [3, words, rows] of a labelled stream.

    Each pass begins elsewhere, so that its windows are cut at other words.
    """

    def __init__(
        self, stream: np.ndarray, rows: int, words: int, accumulate: int = 1, rank: int = 0, ranks: int = 1
    ) -> None:
        super().__init__(stream.shape[1], rows, words, accumulate, rank, ranks)
        self._stream = stream

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self._left():
            start = batch * self._words + self._epoch * self._words * 382 // 1000
            places = (self._starts + start + np.arange(self._words)[:, None]) % self._stream.shape[1]
            yield torch.from_numpy(self._stream[:, places].astype(np.int64))


# --- The network ----------------------------------------------------------------------------------------------


class TaggerNetwork(nn.Module):
    """The tagger of lm.readable.tagger, to be trained."""

    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.ids, config.embedding)
        self.lstm = nn.LSTM(config.embedding, config.hidden, config.layers, bidirectional=True, dropout=config.dropout)
        self.output = nn.Linear(2 * config.hidden, len(MARKS) + CASES)
        self._drop = nn.Dropout(config.dropout)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids [T, B] -> logits of marks [T, B, marks] and of cases [T, B, CASES]."""
        outputs, _ = self.lstm(self._drop(self.embedding(ids)))
        marks, cases = self.output(self._drop(outputs)).float().split([len(MARKS), CASES], -1)
        return marks, cases


class ReadableTraining(Training):
    """Cross-entropy of marks and of cases, with equal weights."""

    def __init__(self, config: ReadableTrainConfig, words: Sequence[str]) -> None:
        super().__init__(config)
        self.model = TaggerNetwork(TaggerConfig(vocabulary=len(words), **config.model))
        # What each id is where its word is taken for an unknown one.
        self._unknown = torch.tensor([*range(1 + ENDINGS), *map(unknown_id, words)])
        self._counts = torch.zeros(3, len(MARKS))  # of the dev text: marks that are right, found, there
        self._dev = torch.zeros(2)

    def _loss_and_marks(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the marks found."""
        ids, marks, cases = batch
        if self.training:
            dropped = torch.rand(ids.shape, device=ids.device) < self.model.config.word_dropout
            ids = torch.where(dropped, self._unknown.to(ids.device)[ids], ids)
        logits = self.model(ids)
        loss = sum(
            nn.functional.cross_entropy(part.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
            for part, labels in zip(logits, (marks, cases), strict=True)
        )
        return loss, logits[0].argmax(-1)  # type: ignore[return-value]

    def loss(self, batch: Tensor) -> Tensor:
        return self._loss_and_marks(batch)[0]

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        loss, found = self._loss_and_marks(batch)
        there = batch[1]
        self._dev += torch.tensor([float(loss), 1.0])
        for kind in range(len(MARKS)):
            known = there != IGNORED
            right = ((found == kind) & (there == kind)).sum()
            self._counts[:, kind] += torch.tensor([right, ((found == kind) & known).sum(), (there == kind).sum()])

    def on_validation_epoch_end(self) -> None:
        self.log("dev/loss", float(self._dev[0] / self._dev[1]), prog_bar=True)
        for kind, name in ((1, "comma"), (2, "stop"), (3, "question")):
            right, found, there = self._counts[:, kind].tolist()
            self.log(f"dev/{name}", 2 * right / max(1.0, found + there))
        self._dev.zero_()
        self._counts.zero_()


def start_from(model: TaggerNetwork, words: Sequence[str], folder: Path) -> None:
    """Give words the vectors that the LSTM of a model folder has for them, as far as fewer numbers allow (PCA)."""
    bundle = open_bundle(folder)
    vectors = word_vectors(bundle.read(LstmConfig, "lstm"), Dequantized(bundle.file("lstm.safetensors")))
    known = Vocabulary.load(bundle.file("vocabulary.txt"))
    rows = np.array([i for i, word in enumerate(words) if word in known])
    chosen = vectors[known.encode([words[i] for i in rows])]
    chosen -= chosen.mean(0)
    _, directions = np.linalg.eigh(chosen.T @ chosen)
    main = chosen @ directions[:, -model.config.embedding :]
    with torch.no_grad():
        model.embedding.weight.mul_(0.5)
        model.embedding.weight[torch.from_numpy(1 + ENDINGS + rows)] = torch.from_numpy(main * (0.5 / main.std()))


def train(config: ReadableTrainConfig, output: Path, vectors: Path | None = None) -> Path:
    """Train until the budget is spent; resume if `output` holds a checkpoint. Returns the best checkpoint's path.

    The labelled text is kept beside `output`, in a folder that all processes must see, for other trainings on the same.

    vectors: a model folder, whose LSTM's vectors of words to begin with instead of random ones.
    """
    what = repr([config.sources, config.exclude, config.vocabulary, config.seed])
    folder = output.parent / "tokens" / hashlib.sha256(what.encode()).hexdigest()[:16]

    def make() -> None:
        unfinished = folder.with_suffix(".part")
        unfinished.mkdir(parents=True, exist_ok=True)
        prepare(config, unfinished)
        unfinished.rename(folder)

    make_once(folder, make)
    words = Words.load(folder / "words.txt")
    streams = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("train", "dev")]
    training = WindowLoader(streams[0], config.rows, config.words, config.accumulate, *processes())
    torch.manual_seed(config.seed)
    module = ReadableTraining(config, words.words)
    if vectors:
        start_from(module.model, words.words, vectors)
    output.mkdir(parents=True, exist_ok=True)
    words.save(output / "words.txt")  # for any checkpoint to be exported
    return fit(module, training, WindowLoader(streams[1], 16, config.words), output, monitor="dev/loss")


def export(checkpoint: Path, folder: Path, tune: Sequence[Sequence[Marked]] = ()) -> Bundle:
    """Put the tagger of a checkpoint of `train` into a bundle, which may be there already and have other parts.

    tune: texts on which it is found how likely a mark must be.
    """
    sizes, weights = read_checkpoint(checkpoint)
    if "embedding" not in sizes:
        raise ValueError(f"{checkpoint}: a checkpoint of another model; lm train-readable writes those of a tagger")
    config = open_bundle(folder).config if (folder / CONFIG).exists() else {"sha256": {}}
    settings: dict[str, Any] = {"tagger": sizes}
    with tempfile.TemporaryDirectory() as made:
        save_file(quantized(weights), Path(made) / "readable.safetensors")
        files = {name: folder / name for name in config.pop("sha256")}
        files["readable.safetensors"] = Path(made) / "readable.safetensors"
        files["readable.txt"] = checkpoint.parent / "words.txt"
        bundle = write_bundle(folder, {**config, "readable": settings}, files)
        if tune:
            settings["bias"] = best_bias(Readable.open(folder), tune)
            bundle = write_bundle(folder, {**config, "readable": settings}, {name: folder / name for name in files})
        return bundle
