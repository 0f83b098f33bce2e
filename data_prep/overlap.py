"""Whether training data holds what a model is to be measured on, and a hash that says what a manifest holds.

An error rate on voices, sentences or books that a model was trained on says little about others.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from lhotse import CutSet, MonoCut
from lhotse.cut import Cut

from data_prep import Kind
from data_prep.manifest import Prepared
from lm.text.normalise import normalize

WITHIN_LAYOUT = {Kind.speaker, Kind.recording}  # corpora number these for themselves: LibriSpeech's 19 is not VCTK's
LIBRISPEECH_ID = re.compile(r"\d+-(\d+)-\d{4}")


@dataclass(frozen=True)
class Utterance:
    name: str
    layout: str | None  # None: the manifest doesn't tell, so that it may be any
    traits: Mapping[Kind, str]  # without those that the manifest doesn't tell


@dataclass(frozen=True)
class Overlap:
    """Something that held-out utterances share with training utterances, and the names of both."""

    kind: Kind
    value: str
    heldout: list[str]
    train: list[str]


def utterance(cut: MonoCut, manifest: str) -> Utterance:
    """What is compared of a manifest's cut; its audio file is read."""
    (supervision,) = cut.supervisions
    custom = supervision.custom or {}
    chapter = LIBRISPEECH_ID.fullmatch(cut.recording.id)
    traits = {
        Kind.speaker: supervision.speaker,
        Kind.sentence: " ".join(normalize(supervision.text or "")),
        Kind.recording: cut.recording.id,
        Kind.audio: audio_hash(cut),
        Kind.chapter: chapter and chapter[1],
        Kind.book: custom.get("book"),
    }
    return Utterance(
        f"{manifest}:{cut.id}", custom.get("layout"), {kind: value for kind, value in traits.items() if value}
    )


def has_file(cut: Cut) -> TypeGuard[MonoCut]:
    """Whether a cut is as data-prep manifest writes them: one utterance with an audio file."""
    if not isinstance(cut, MonoCut) or not cut.recording:
        return False
    return len(cut.supervisions) == 1 and all(source.type == "file" for source in cut.recording.sources)


def audio_hash(cut: MonoCut) -> str:
    """SHA-256 of the file, or files, in which a cut's audio is."""
    digest = hashlib.sha256()
    for source in cut.recording.sources:
        with open(source.source, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def find_overlaps(train: Iterable[Utterance], heldout: Iterable[Utterance]) -> list[Overlap]:
    """All that held-out utterances share with training utterances, by kind, in the held-out ones' order."""
    wanted: defaultdict[tuple[Kind, str], list[Utterance]] = defaultdict(list)
    for item in heldout:
        for trait in item.traits.items():
            wanted[trait].append(item)
    found: defaultdict[tuple[Kind, str], list[Utterance]] = defaultdict(list)
    for item in train:
        for trait in item.traits.items() & wanted.keys():
            found[trait].append(item)

    overlaps = []
    for (kind, value), asked in wanted.items():
        given = found.get((kind, value), [])
        if kind in WITHIN_LAYOUT:
            asked, given = _comparable(asked, given), _comparable(given, asked)
        if asked and given:
            overlaps.append(Overlap(kind, value, [item.name for item in asked], [item.name for item in given]))
    return sorted(overlaps, key=lambda overlap: list(Kind).index(overlap.kind))


def without(prepared: Prepared, heldout: Iterable[Utterance]) -> Prepared:
    """What of a corpus may be trained on: the rest is dropped by what it shares with held-out utterances."""
    dropped = defaultdict(list, prepared.dropped)
    shared: dict[str, Kind] = {}
    for overlap in find_overlaps((utterance(cut, "") for cut in prepared.cuts), heldout):
        shared |= {name.removeprefix(":"): overlap.kind for name in overlap.train if name[1:] not in shared}
    for name, kind in sorted(shared.items()):
        dropped[f"held-out {kind}"].append(name)
    kept = CutSet.from_cuts(cut for cut in prepared.cuts if cut.id not in shared)
    return Prepared(kept, dict(sorted(dropped.items())))


def _comparable(utterances: list[Utterance], others: list[Utterance]) -> list[Utterance]:
    """Those that may be of the same corpus as one of the others."""
    layouts = {item.layout for item in others}
    return [item for item in utterances if item.layout in layouts or (layouts and None in (item.layout, *layouts))]


def content_hash(cuts: Iterable[MonoCut]) -> str:
    """SHA-256 of what a model is trained on: who says what in which audio; not of paths, nor of an order."""
    rows = []
    for cut in cuts:
        (supervision,) = cut.supervisions
        span = f"{cut.start:.3f} {cut.duration:.3f}"
        rows.append(json.dumps([cut.id, supervision.speaker, supervision.text, span, audio_hash(cut)]))
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
