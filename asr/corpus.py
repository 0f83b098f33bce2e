"""Training data: features computed once and kept on disk, and batches of utterances of similar length."""

import hashlib
import inspect
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from lhotse import CutSet
from rich.console import Console
from rich.progress import track
from torch import Tensor

from asr import audio, features
from asr.acoustic import output_length
from asr.features import MELS
from asr.units import Units, encode
from lm.text import normalize


class Batch(NamedTuple):
    """features float32 [B, T, 80], lengths [B] in frames, labels [sum of label_lengths], label_lengths [B]."""

    features: Tensor
    lengths: Tensor
    labels: Tensor
    label_lengths: Tensor


class FeatureStore:
    """The log-mel features of a manifest, in one memory-mapped file of half-precision numbers.

    Computed on first use with the model's own front end and kept under `cache`, by a name that changes with the
    manifest or the front end. A store half made by a killed process is made again.
    """

    def __init__(self, manifest: Path, cache: Path) -> None:
        if not manifest.exists():
            raise FileNotFoundError(f"{manifest}: no such manifest; make it with 'data-prep manifest'")
        source = inspect.getsource(features).encode()
        name = hashlib.sha256(manifest.read_bytes() + source).hexdigest()[:16]
        self._data_file = cache / f"{name}.f16"
        self._index_file = cache / f"{name}.json"
        if not self._index_file.exists():
            cache.mkdir(parents=True, exist_ok=True)
            self._compute(manifest)
        index = json.loads(self._index_file.read_text())
        self.texts: list[str] = index["texts"]
        self.frames = np.array(index["frames"], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self.frames)])
        total = int(self._starts[-1])
        self._data = np.memmap(self._data_file, dtype=np.float16, mode="r", shape=(total, MELS))

    def _compute(self, manifest: Path) -> None:
        frames, texts = [], []
        cuts = list(CutSet.from_file(manifest))
        progress = track(cuts, f"features of {manifest.name}", console=Console(stderr=True))
        with self._data_file.open("wb") as file:
            for cut in progress:
                log_mel = features.log_mel(audio.load_cut(cut))
                file.write(log_mel.astype(np.float16).tobytes())
                frames.append(len(log_mel))
                texts.append(cut.supervisions[0].text)
        unfinished = self._index_file.with_suffix(".part")
        unfinished.write_text(json.dumps({"frames": frames, "texts": texts}))
        unfinished.rename(self._index_file)  # the index stands only beside complete data

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> np.ndarray:
        """The features of one utterance, float16 [T, 80]."""
        return self._data[self._starts[index] : self._starts[index + 1]]


class LabelledUtterances:
    """The utterances of several stores with their units, and how often each is heard an epoch.

    Those whose units don't fit into their frames (CTC needs a frame a unit, and a blank between equal ones) even when
    spoken `fastest` times as fast are left out, and those without words; `dropped` counts them by reason.
    """

    def __init__(self, stores: Sequence[FeatureStore], weights: Sequence[float], units: Units, fastest: float):
        self.dropped = {"no words": 0, "too short for its words": 0}
        self.items: list[tuple[FeatureStore, int, list[int], float]] = []
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

    def batch(self, members: Sequence[int]) -> Batch:
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
        )


class BatchLoader:
    """Batches of one epoch after another, each a function of the seed and the epoch alone.

    Utterances of similar length share a batch (`seconds` of padded speech each), and batches come in random order.
    `state_dict` lets Lightning resume in the middle of an epoch where the killed run stopped.
    """

    def __init__(self, data: LabelledUtterances, seconds: float, seed: int | None) -> None:
        """seed None: always the same batches, the longest first, for evaluation."""
        self._data, self._frames, self._seed = data, 100 * seconds, seed
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

    def __len__(self) -> int:
        return len(self._plan)

    def __iter__(self) -> Iterator[Batch]:
        # The end of an epoch is noticed at the beginning of the next: Lightning never asks for a batch past the last.
        if self._done == len(self._plan):
            self._epoch, self._done = self._epoch + 1, 0
            self._plan = self._planned()
        while self._done < len(self._plan):
            self._done += 1
            yield self._data.batch(self._plan[self._done - 1])

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self._epoch, "done": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._epoch, self._done = state["epoch"], state["done"]
        self._plan = self._planned()
