"""Training data: features computed once and kept on disk, and batches of utterances of similar length."""

import hashlib
import inspect
import json
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from asr.acoustic.model import output_length
from asr.audio import features, reading
from asr.audio.features import MELS
from asr.lexicon.units import Units, encode
from data_prep.manifest import one_utterance, open_cuts
from lm.files import open_text
from lm.progress import progress_bar
from lm.text.normalise import normalize
from lm.training.engine import make_once

if TYPE_CHECKING:
    from lhotse.cut import Cut

ITEMS_A_PROCESS = 500  # at least: a process takes seconds to start, their features no longer
BATCHES_AHEAD = 4


class Batch(NamedTuple):
    """features float32 [B, T, 80], lengths [B] in frames, labels [sum of label_lengths], label_lengths [B].

    share: of the units of a step, times the number of batches in it. A step's loss a unit is the mean over its batches
    of share times loss a unit. It is 0 of a batch that only keeps a process busy, where there is none for it. Without
    labels it is the share of the frames.
    """

    features: Tensor
    lengths: Tensor
    labels: Tensor
    label_lengths: Tensor
    share: float


class FeatureStore:
    """The log-mel features of a manifest or a folder of shards, in one memory-mapped file of half-precision numbers.

    Computed on first use with the model's own front end, on all cores, and kept under `cache`, by a name that changes
    with the manifest or the front end. A store half made by a killed process is made again. An hour of speech takes
    58 MB, 960 hours 55 GB.
    """

    def __init__(self, manifest: Path, cache: Path) -> None:
        if not manifest.exists():
            raise FileNotFoundError(f"{manifest}: no such manifest; make it with 'data-prep manifest'")
        lists = sorted(manifest.glob("cuts.*.jsonl.gz")) if manifest.is_dir() else [manifest]
        name = hashlib.sha256(inspect.getsource(features).encode())
        for file in lists:
            name.update(file.read_bytes())
        self._data_file = cache / f"{name.hexdigest()[:16]}.f16"
        self._index_file = self._data_file.with_suffix(".json")
        make_once(self._index_file, lambda: self._compute(manifest, lists))
        try:
            index = json.loads(self._index_file.read_text())
            self.texts: list[str] = index["texts"]
            self.frames = np.array(index["frames"], dtype=np.int64)
            self._starts = np.concatenate([[0], np.cumsum(self.frames)])
            total = int(self._starts[-1])
            self._data = np.memmap(self._data_file, dtype=np.float16, mode="r", shape=(total, MELS))
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{self._index_file}: damaged, or the .f16 beside it is; delete both") from None

    def _compute(self, manifest: Path, lists: Sequence[Path]) -> None:
        cuts = one_utterance(open_cuts(manifest))
        self._data_file.parent.mkdir(parents=True, exist_ok=True)
        # Each line is a cut; to count those of shards otherwise would be to read their audio.
        count = sum(map(_count_lines, lists))
        frames, texts = [], []
        with self._data_file.open("wb") as file:
            utterances = _on_all_cores(_log_mel_and_text, cuts, count)
            for log_mel, text in progress_bar(utterances, f"features of {manifest.name}", count):
                file.write(log_mel.tobytes())
                frames.append(len(log_mel))
                texts.append(text)
        unfinished = self._index_file.with_suffix(".part")
        unfinished.write_text(json.dumps({"frames": frames, "texts": texts}))
        unfinished.rename(self._index_file)  # the index stands only beside complete data

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> np.ndarray:
        """The features of one utterance, float16 [T, 80]."""
        return self._data[self._starts[index] : self._starts[index + 1]]


def _count_lines(path: Path) -> int:
    with open_text(path) as lines:
        return sum(1 for _ in lines)


def _log_mel_and_text(cut: "Cut") -> tuple[np.ndarray, str]:
    """The features float16 [T, 80] of a cut, and what is said in it."""
    return features.log_mel(reading.load_cut(cut)).astype(np.float16), cut.supervisions[0].text


def _on_all_cores(function: Callable[[Any], Any], items: Iterable[Any], count: int) -> Iterator[Any]:
    """As map; with a process for each core if there are enough items, of which few are in memory at a time."""
    processes = min(os.cpu_count() or 1, count // ITEMS_A_PROCESS)
    if processes < 2:
        yield from map(function, items)
        return
    rest = iter(items)
    # Not forked: this process may have threads of its own.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        while some := list(islice(rest, 64 * processes)):
            yield from pool.map(function, some, chunksize=8)


class Utterances(ABC):
    """Utterances of several stores, each with its labels and how often it is heard an epoch."""

    items: list[tuple[FeatureStore, int, list[int], float]]  # store, number in it, labels, weight
    dropped: dict[str, int]  # how many are left out, by reason

    @abstractmethod
    def size(self, member: int) -> int:
        """What an utterance counts for in the loss of a step."""

    def batch(self, members: Sequence[int], share: float = 1.0) -> Batch:
        """The utterances of these positions, padded with zeros to the longest."""
        stores = [self.items[member] for member in members]
        lengths = torch.tensor([store.frames[index] for store, index, _, _ in stores])
        padded = torch.zeros(len(stores), int(lengths.max()), MELS)
        for row, (store, index, _, _) in zip(padded, stores, strict=True):
            row[: store.frames[index]] = torch.from_numpy(np.asarray(store[index], dtype=np.float32))
        return Batch(
            padded,
            lengths,
            torch.tensor([unit for _, _, labels, _ in stores for unit in labels]),
            torch.tensor([len(labels) for _, _, labels, _ in stores]),
            share,
        )


class UnlabelledUtterances(Utterances):
    """All utterances of the stores, but those of no more than `least` frames; what is said in them doesn't matter."""

    def __init__(self, stores: Sequence[FeatureStore], weights: Sequence[float], least: int):
        self.items = [
            (store, index, [], weight)
            for store, weight in zip(stores, weights, strict=True)
            for index in np.flatnonzero(store.frames > least).tolist()
        ]
        self.dropped = {"too short": sum(map(len, stores)) - len(self.items)}

    def size(self, member: int) -> int:
        store, index, _, _ = self.items[member]
        return int(store.frames[index])


class LabelledUtterances(Utterances):
    """Utterances with the units of what is said in them.

    Those whose units don't fit into their frames (CTC needs a frame a unit, and a blank between equal ones) even when
    spoken `fastest` times as fast are left out, and those without words; `dropped` counts them by reason.
    """

    def __init__(self, stores: Sequence[FeatureStore], weights: Sequence[float], units: Units, fastest: float):
        self.dropped = {"no words": 0, "too short for its words": 0}
        self.items = []
        for store, weight in zip(stores, weights, strict=True):
            for index, text in enumerate(store.texts):
                labels = encode(units, normalize(text))
                repeats = sum(a == b for a, b in pairwise(labels))
                room = output_length(int(store.frames[index] / fastest))
                if not labels:
                    self.dropped["no words"] += 1
                elif len(labels) + repeats > room:
                    self.dropped["too short for its words"] += 1
                else:
                    self.items.append((store, index, labels, weight))

    def size(self, member: int) -> int:
        return len(self.items[member][2])


class BatchLoader:
    """Batches of one epoch after another, each a function of the seed and the epoch alone.

    Utterances of similar length share a step, and steps come in random order. A step is dealt out to `ranks` processes,
    in `accumulate` batches each, of about `seconds` of padded speech. So which utterances it has depends only on the
    product of the three. `state_dict` lets Lightning resume in the middle of an epoch where the killed run stopped.
    """

    def __init__(
        self,
        data: Utterances,
        seconds: float,
        seed: int | None,
        accumulate: int = 1,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """seed None: always the same batches, the longest first, for evaluation."""
        self._data, self._seed = data, seed
        self._accumulate, self._rank, self._parts = accumulate, rank, accumulate * ranks
        self._frames = 100 * seconds * self._parts
        self._epoch, self._done = 0, 0
        self._plan = self._planned()

    def _planned(self) -> list[list[int]]:
        frames = np.array([store.frames[index] for store, index, _, _ in self._data.items])
        weights = np.array([weight for *_, weight in self._data.items])
        if self._seed is None:
            repeats, jitter = np.ones(len(frames), dtype=int), np.zeros(len(frames))
        else:
            random = np.random.default_rng([self._seed, self._epoch])
            # A weight of 1.3 is one hearing, and a second with probability 0.3.
            repeats = np.floor(weights + random.random(len(weights))).astype(int)
            jitter = random.uniform(0, 0.05, len(frames))
        members = np.repeat(np.arange(len(frames)), repeats)
        members = members[np.argsort(-(frames * (1 + jitter))[members], kind="stable")]
        plan: list[list[int]] = []
        longest = 0
        for member in members.tolist():
            longest = max(longest, int(frames[member]))
            if not plan or longest * (len(plan[-1]) + 1) > self._frames:
                plan.append([])
                longest = int(frames[member])
            plan[-1].append(member)
        if self._seed is not None:
            random.shuffle(plan)
        return plan

    def _batch(self, number: int) -> Batch:
        """The batch of this rank at a position in the epoch."""
        step, turn = divmod(number, self._accumulate)
        members = self._plan[step]
        part = members[self._rank * self._accumulate + turn :: self._parts]  # of all lengths, so that none has to wait
        share = sum(map(self._data.size, part)) / sum(map(self._data.size, members))
        return self._data.batch(part or members[-1:], share * self._parts)

    @property
    def epochs(self) -> float:
        return self._epoch + self._done / len(self)

    def __len__(self) -> int:
        return len(self._plan) * self._accumulate

    def __iter__(self) -> Iterator[Batch]:
        # The end of an epoch is noticed at the beginning of the next: Lightning never asks for a batch past the last.
        if self._done == len(self):
            self._epoch, self._done = self._epoch + 1, 0
            self._plan = self._planned()
        numbers = iter(range(self._done, len(self)))
        with ThreadPoolExecutor(1) as pool:  # so that a GPU needn't wait for a disk
            ahead = deque(pool.submit(self._batch, number) for number in islice(numbers, BATCHES_AHEAD))
            while ahead:
                batch = ahead.popleft().result()
                ahead.extend(pool.submit(self._batch, number) for number in islice(numbers, 1))
                self._done += 1
                yield batch

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self._epoch, "done": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._epoch, self._done = state["epoch"], state["done"]
        self._plan = self._planned()
