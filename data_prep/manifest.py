"""What all corpus layouts share: from items (id, audio, text) to a lhotse manifest, every drop counted."""

import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioLoadingError, AudioSource, DurationMismatchError
from lhotse.cut import Cut
from rich.console import Console
from rich.progress import track

from data_prep import MAX_SECONDS
from lm.files import find_files, open_text

AUDIO_SUFFIXES = (".flac", ".wav", ".opus", ".ogg", ".mp3")  # all read by soundfile; the first wins in a tie

MANIFEST_SUFFIXES = (".jsonl", ".jsonl.gz")

MOMENT = 0.05  # seconds that times may be off
KEPT = ("file", "memory")  # where sound may be: in shards it is in the cut itself
NO_TRANSCRIPT = "no transcript"


@dataclass(frozen=True)
class Item:
    """One utterance as its corpus lists it; ``audio`` or ``text`` is None where the corpus has none."""

    id: str
    audio: Path | None
    text: str | None
    speaker: str | None = None
    gender: str | None = None
    book: str | None = None  # its number at Project Gutenberg


@dataclass(frozen=True)
class Prepared:
    """The usable utterances, sorted by id, and the ids of the others by the reason why they were dropped."""

    cuts: CutSet
    dropped: dict[str, list[str]]


def prepare(items: Iterable[Item], max_seconds: float = MAX_SECONDS) -> Prepared:
    """Reads the header of every item's audio and sorts the items into usable and dropped ones.

    A cut has one supervision, over the whole recording, with the text as the corpus has it.
    Headers only: a file that is cut off after a sound header passes here and fails where it is decoded.
    """
    ordered = sorted(items, key=lambda item: (item.id, str(item.audio)))
    console = Console(stderr=True)
    with ThreadPoolExecutor() as pool:  # the time is the disk's and libsndfile's, which let other threads run
        looked_at = pool.map(lambda item: _cut_or_reason(item, max_seconds), ordered)
        quiet = not console.is_terminal
        results = list(track(looked_at, "Reading headers", len(ordered), console=console, disable=quiet))

    cuts: dict[str, MonoCut] = {}
    dropped: defaultdict[str, list[str]] = defaultdict(list)
    for item, result in zip(ordered, results, strict=True):
        if isinstance(result, str):
            dropped[result].append(item.id)
        elif item.id in cuts:
            dropped["duplicate id"].append(item.id)
        else:
            cuts[item.id] = result
    return Prepared(CutSet.from_cuts(cuts.values()), dict(sorted(dropped.items())))


def _cut_or_reason(item: Item, max_seconds: float) -> MonoCut | str:
    text = (item.text or "").strip()
    if not text:
        return NO_TRANSCRIPT
    if item.audio is None or not os.path.isfile(item.audio):  # of a name that none can have, too
        return "missing audio"
    try:
        header = soundfile.info(item.audio)
    except (soundfile.SoundFileError, TypeError):  # a .raw has no header
        return "unreadable audio"
    if header.frames == 0:
        return "empty audio"
    if header.duration > max_seconds:
        return _too_long(max_seconds)

    channels = list(range(header.channels))
    source = AudioSource(type="file", channels=channels, source=str(item.audio.absolute()))
    recording = Recording(
        id=item.id,
        sources=[source],
        sampling_rate=header.samplerate,
        num_samples=header.frames,
        duration=header.duration,
    )
    supervision = SupervisionSegment(
        id=item.id,
        recording_id=item.id,
        start=0.0,
        duration=header.duration,
        text=text,
        speaker=item.speaker,
        gender=item.gender,
        custom={"book": item.book} if item.book else None,
    )
    return MonoCut(
        id=item.id,
        start=0.0,
        duration=header.duration,
        channel=0,
        recording=recording,
        supervisions=[supervision],
    )


def _too_long(max_seconds: float) -> str:
    return f"longer than {max_seconds:g} s"


def audio_files(folder: Path) -> dict[str, Path]:
    """All audio under ``folder``, by path relative to it without the suffix: ``{"p239/p239_001": …}``."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder, the layout keeps its audio there")
    found = [path for path in find_files(folder, "**/*") if path.suffix.lower() in AUDIO_SUFFIXES]
    found.sort(key=lambda path: AUDIO_SUFFIXES.index(path.suffix.lower()), reverse=True)
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text file that hold more than blanks."""
    # Not splitlines(): sentences may hold U+2028 and the like, which it takes for line ends.
    with open_text(path) as file:
        return [line for line in file.read().split("\n") if line.strip()]


def read_table(path: Path) -> dict[str, str]:
    """A file of ``key value…`` lines; the value may be missing, as with an empty transcript."""
    table: dict[str, str] = {}
    for line in read_lines(path):
        key, *value = line.split(maxsplit=1)
        if key in table:
            raise ValueError(f"{path}: {key} stands in it twice, delete one of the lines")
        table[key] = " ".join(value).strip()
    return table


def write(cuts: CutSet, path: Path) -> None:
    """Writes a lhotse manifest (``.jsonl`` or ``.jsonl.gz``) whole or not at all."""
    check_manifest_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        unfinished = Path(folder) / path.name
        cuts.to_file(unfinished)
        os.replace(unfinished, path)


def open_cuts(path: Path) -> CutSet:
    """The cuts of a manifest, or of a folder of shards as ``write_shards`` makes them: ``cut.load_audio`` reads both.

    Those of shards are read as they are gone through, audio and all: keep none, and go through them in order.

    Raises:
        FileNotFoundError: there is no such path.
        ValueError: it is neither.
    """
    if path.is_dir():
        if not any(path.glob("cuts.*.jsonl.gz")):
            raise ValueError(f"{path}: no shards (cuts.000000.jsonl.gz, ...) in it, data-prep shards writes them")
        return CutSet.from_shar(in_dir=path)
    check_manifest_name(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such manifest, data-prep manifest writes one")
    return CutSet.from_file(path)


def write_shards(cuts: CutSet, folder: Path, shard_size: int, jobs: int = 1) -> None:
    """Writes lhotse Shar shards of ``shard_size`` utterances, whole or not at all: cuts, and their audio as FLAC.

    FLAC keeps 16 bits a sample, so that what had more is rounded. ``jobs`` processes write a shard each.

    Raises:
        FileExistsError: there is something at ``folder``.
        ValueError: audio can't be read.
    """
    if folder.exists():
        raise FileExistsError(f"{folder}: exists, delete it to have its shards written again")
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a killed run
    unfinished.mkdir(parents=True)
    try:
        cuts.to_shar(unfinished, {"recording": "flac"}, shard_size, num_jobs=jobs, verbose=sys.stderr.isatty())
        unfinished.rename(folder)
    except (AudioLoadingError, DurationMismatchError) as error:
        problem = str(error).splitlines()[0].removesuffix(" Details:")
        raise ValueError(f"{problem} Copy it again, or delete it and write the manifest again") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def read_manifest(path: Path, max_seconds: float = MAX_SECONDS) -> Prepared:
    """Reads a lhotse manifest of cuts; the audio itself is not looked at."""
    check_manifest_name(path)
    try:
        cuts = sorted(CutSet.from_file(path), key=lambda cut: cut.id)
        if not all(isinstance(cut, Cut) for cut in cuts):
            raise TypeError("of another kind, such as recordings")
    except Exception as error:  # lhotse lets through whatever its readers raise
        raise ValueError(f"{path}: not a lhotse manifest of cuts, data-prep manifest writes one") from error
    usable = []
    dropped: defaultdict[str, list[str]] = defaultdict(list)
    for cut in cuts:
        if problem := unusable(cut):
            dropped[problem].append(cut.id)
        elif not any(supervision.text for supervision in cut.supervisions):
            dropped[NO_TRANSCRIPT].append(cut.id)
        elif cut.duration > max_seconds:
            dropped[_too_long(max_seconds)].append(cut.id)
        else:
            usable.append(cut)
    return Prepared(CutSet.from_cuts(usable), dict(sorted(dropped.items())))


def unusable(cut: Cut) -> str | None:
    """Why a cut can't be taken for one utterance of a recording as it is; None if it can.

    Whatever reads cuts of other makers asks here: else it would hear other sound than was meant, or learn labels of it.
    """
    try:
        return _unusable(cut)
    except Exception:  # lhotse takes a field of any type, and fails where it is asked for
        return "damaged: one of its fields isn't what lhotse writes"


def _unusable(cut: Cut) -> str | None:
    if not isinstance(cut, MonoCut):
        return f"a {type(cut).__name__}: only cuts of one channel, neither padded nor mixed, can be used"
    if not cut.has_recording or len(cut.recording.sources) != 1 or cut.recording.sources[0].type not in KEPT:
        return "not of one recording in one file"
    if cut.recording.transforms:
        return "its sound is to be altered (speed, volume or the like): save it so first"
    if cut.recording.num_channels > 2:
        return "of a recording of more than two channels"
    if cut.duration > cut.recording.duration - cut.start + MOMENT:
        return "longer than its recording"
    if len(cut.supervisions) > 1:
        return f"{len(cut.supervisions)} supervisions: cut it at them first (trim_to_supervisions)"
    return None


def one_utterance(cuts: Iterable[Cut]) -> Iterator[Cut]:
    """The cuts. Raises ValueError, naming the cut, at one that is unusable, or has no text."""
    for cut in cuts:
        if problem := unusable(cut) or (None if any(said.text for said in cut.supervisions) else NO_TRANSCRIPT):
            raise ValueError(f"{cut.id}: {problem}")
        yield cut


def check_manifest_name(path: Path) -> None:
    """Raises ValueError unless ``path`` ends as lhotse manifests do."""
    if not path.name.endswith(MANIFEST_SUFFIXES):
        raise ValueError(f"{path}: a manifest's name ends in {' or '.join(MANIFEST_SUFFIXES)}")
