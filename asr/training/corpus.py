"""Training data: features computed once and kept on disk, and batches of utterances of similar length."""

import hashlib
import inspect
import json
import os
from abc import ABC, abstractmethod
from collections import defaultdict, deque
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
MOST_APART = 2  # frames, between the lengths of an utterance and a copy: what resampling may round off


class Batch(NamedTuple):
    """features float32 [B, T, 80], lengths [B] in frames, labels [sum of label_lengths], label_lengths [B].

    share: of the units of a step, times the number of batches in it; an utterance in which nobody speaks counts as one
    unit. A step's loss a unit is the mean over its batches of share times loss a unit. It is 0 of a batch that only
    keeps a process busy, where there is none for it. Without labels it is the share of the frames.

    paired: it holds each utterance twice: the second half are other hearings of the first, in the same order, as long.
    """

    features: Tensor
    lengths: Tensor
    labels: Tensor
    label_lengths: Tensor
    share: float
    paired: bool = False


class FeatureStore:
    """The log-mel features of a manifest or a folder of shards, in one memory-mapped file of half-precision numbers.

    Computed on first use with the model's own front end, on all cores, and kept under `cache`, by a name that changes
    with the manifest or the front end. A store half made by a killed process is made again. An hour of speech takes
    58 MB, 960 hours 55 GB.
    """

    def __init__(self, manifest: Path, cache: Path) -> None:
        if not manifest.exists():
            raise FileNotFoundError(f"{manifest}: no such manifest; make it with 'data-prep manifest'")
        self.manifest = manifest
        self._lists = lists = sorted(manifest.glob("cuts.*.jsonl.gz")) if manifest.is_dir() else [manifest]
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

    def ids(self) -> Iterator[str]:
        """The ids of the utterances. They stand in the manifest alone."""
        for file in self._lists:
            with open_text(file) as lines:
                for line in lines:
                    yield json.loads(line)["id"]

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


class Utterance(NamedTuple):
    """The place of an utterance, its labels, how often an epoch hears it, and the places of its changed copies."""

    store: FeatureStore
    number: int  # in the store
    labels: list[int]
    weight: float
    copies: Sequence[tuple[FeatureStore, int]] = ()

    @property
    def frames(self) -> int:
        return int(self.store.frames[self.number])

    def second_hearing(self, draw: float) -> np.ndarray:
        """The features of one of the copies, float16 [about T, 80], or its own if it has none; draw: 0 to below 1."""
        store, number = self.copies[int(draw * len(self.copies))] if self.copies else (self.store, self.number)
        return store[number]


class Utterances(ABC):
    """Utterances of several stores, each with its labels and how often it is heard an epoch."""

    items: list[Utterance]
    dropped: dict[str, int]  # how many are left out, by reason

    @abstractmethod
    def size(self, member: int) -> int:
        """What an utterance counts for in the loss of a step."""

    def batch(self, members: Sequence[int], share: float = 1.0, draws: Sequence[float] | None = None) -> Batch:
        """The utterances of these positions, padded with zeros to the longest.

        draws: of each a number from 0 to below 1, for a paired batch; by it the second hearing is chosen.
        """
        items = [self.items[member] for member in members]
        sounds = [item.store[item.number] for item in items]
        if draws is not None:
            sounds += [item.second_hearing(draw) for item, draw in zip(items, draws, strict=True)]
            items *= 2
        lengths = torch.tensor([item.frames for item in items])
        padded = torch.zeros(len(items), int(lengths.max()), MELS)
        for row, item, sound in zip(padded, items, sounds, strict=True):
            real = sound[: item.frames]  # a copy may be a frame longer
            row[: len(real)] = torch.from_numpy(np.asarray(real, dtype=np.float32))
        return Batch(
            padded,
            lengths,
            torch.tensor([unit for item in items for unit in item.labels], dtype=torch.long),  # of none, too
            torch.tensor([len(item.labels) for item in items]),
            share,
            draws is not None,
        )


class UnlabelledUtterances(Utterances):
    """All utterances of the stores, but those of no more than `least` frames; what is said in them doesn't matter."""

    def __init__(self, stores: Sequence[FeatureStore], weights: Sequence[float], least: int):
        self.items = [
            Utterance(store, index, [], weight)
            for store, weight in zip(stores, weights, strict=True)
            for index in np.flatnonzero(store.frames > least).tolist()
        ]
        self.dropped = {"too short": sum(map(len, stores)) - len(self.items)}

    def size(self, member: int) -> int:
        return self.items[member].frames


class LabelledUtterances(Utterances):
    """Utterances with the units of what is said in them.

    Those whose units don't fit into their frames (CTC needs a frame a unit, and a blank between equal ones) even when
    spoken `fastest` times as fast are left out, and those without words, except of stores in which nobody speaks;
    `dropped` counts them by reason, and copies that are longer or shorter than what they are of.
    """

    def __init__(
        self,
        stores: Sequence[FeatureStore],
        weights: Sequence[float],
        units: Units,
        fastest: float,
        copies: Sequence[Sequence[FeatureStore]] = (),
        speech: Sequence[bool] = (),
    ) -> None:
        """copies: for each store those with changed copies of its utterances, see `matched`.

        speech: for each store whether anybody speaks in it; where nobody does, there are no units, whatever the texts.
        """
        self.dropped = {"no words": 0, "too short for its words": 0}
        self.items = []
        copies, speech = copies or [()] * len(stores), speech or [True] * len(stores)
        for store, weight, changed, spoken in zip(stores, weights, copies, speech, strict=True):
            copies_of, unfit = matched(store, changed)
            if changed:
                self.dropped["copies of another length"] = self.dropped.get("copies of another length", 0) + unfit
            for index, text in enumerate(store.texts):
                labels = encode(units, normalize(text)) if spoken else []
                repeats = sum(a == b for a, b in pairwise(labels))
                room = output_length(int(store.frames[index] / fastest))
                if spoken and not labels:
                    self.dropped["no words"] += 1
                elif len(labels) + repeats > room:
                    self.dropped["too short for its words"] += 1
                else:
                    self.items.append(Utterance(store, index, labels, weight, copies_of.get(index, ())))

    def size(self, member: int) -> int:
        return max(1, len(self.items[member].labels))


def matched(
    store: FeatureStore, copies: Sequence[FeatureStore]
) -> tuple[dict[int, list[tuple[FeatureStore, int]]], int]:
    """The copies of each utterance, by its number in the store; and how many are left out, of another length.

    The id of a copy is that of the utterance, "-" and a version, as `data-prep augment` has it. Raises ValueError if a
    store of copies has none.
    """
    numbers = {name: number for number, name in enumerate(store.ids())} if copies else {}
    found: defaultdict[int, list[tuple[FeatureStore, int]]] = defaultdict(list)
    unfit = 0
    for other in copies:
        originals = [name.rpartition("-")[0] for name in other.ids()]
        if numbers.keys().isdisjoint(originals):
            raise ValueError(f"{other.manifest}: no copies of {store.manifest}, whose ids would be ID-VERSION")
        for copy, name in enumerate(originals):
            if name not in numbers:  # of an utterance that is no longer trained on
                continue
            if abs(other.frames[copy] - store.frames[numbers[name]]) > MOST_APART:
                unfit += 1
            else:
                found[numbers[name]].append((other, copy))
    return found, unfit


class BatchLoader:
    """Batches of one epoch after another, each a function of the seed and the epoch alone.

    Utterances of similar length share a step, and steps come in random order. A step is dealt out to `ranks` processes,
    in `accumulate` batches each, of about `seconds` of padded speech. So which utterances it has depends only on the
    product of the three. `state_dict` lets Lightning resume in the middle of an epoch where the killed run stopped.

    Paired batches hold each utterance and a second hearing of it, drawn from its copies; `seconds` are of both.
    """

    def __init__(
        self,
        data: Utterances,
        seconds: float,
        seed: int | None,
        accumulate: int = 1,
        rank: int = 0,
        ranks: int = 1,
        paired: bool = False,
    ) -> None:
        """seed None: always the same batches, the longest first, for evaluation; they aren't paired."""
        self._data, self._seed, self._paired = data, seed, paired
        self._accumulate, self._rank, self._parts = accumulate, rank, accumulate * ranks
        self._frames = 100 * seconds * self._parts / (2 if paired else 1)
        self._epoch, self._done = 0, 0
        self._plan = self._planned()

    def _planned(self) -> list[list[tuple[int, float]]]:
        """The utterances of each step, and for each of them the draw of its second hearing."""
        frames = np.array([item.frames for item in self._data.items])
        weights = np.array([item.weight for item in self._data.items])
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
        if self._seed is None:
            return [[(member, 0.0) for member in step] for step in plan]
        random.shuffle(plan)
        return [list(zip(step, random.random(len(step)).tolist(), strict=True)) for step in plan]

    def _batch(self, number: int) -> Batch:
        """The batch of this rank at a position in the epoch."""
        step, turn = divmod(number, self._accumulate)
        planned = self._plan[step]
        part = planned[self._rank * self._accumulate + turn :: self._parts]  # of all lengths, so that none has to wait
        size = self._data.size
        share = sum(size(member) for member, _ in part) / sum(size(member) for member, _ in planned)
        members, draws = zip(*(part or planned[-1:]), strict=True)
        return self._data.batch(members, share * self._parts, draws if self._paired else None)

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
