"""Model bundles: a folder with config.toml, which holds the settings and the SHA-256 of every other file.

Everything that ships or is trained is opened through here, and nothing whose checksum differs is ever read. There is no
pickle in a bundle: weights are safetensors, n-grams KenLM binaries, the rest text.
"""

import hashlib
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar

import numpy as np
import tomli_w
from safetensors import SafetensorError, safe_open

from lm.settings import Count, read_table

DEFAULT = Path(__file__).resolve().parent.parent / "asr" / "default_model"
CONFIG = "config.toml"
VERSION = 1  # of the format; whatever changes so that an older reader would misunderstand it raises this

T = TypeVar("T")


class BundleError(ValueError):
    """A model folder that can't be used; the message is one line, naming folder, problem and mend."""


class NoSuchModelError(BundleError, KeyError):
    """A model that a bundle lacks, asked for by name; a KeyError, as of any mapping, that reads like a sentence."""

    __str__ = Exception.__str__


class MissingWeightsError(BundleError, KeyError):
    """Weights that a model's sizes ask for and its file lacks."""

    __str__ = Exception.__str__


@dataclass(frozen=True)
class Contents:
    """What a config.toml may hold. Each table is read by who needs it, into a dataclass of its own."""

    sha256: dict[str, str]  # of each other file
    version: Count = 1  # of the format; bundles of before it had one are of the first
    units: Literal["phones", "characters", "pieces"] | None = None
    acoustic: dict[str, Any] | None = None
    streaming: dict[str, Any] | None = None
    lstm: dict[str, Any] | None = None
    mixture: dict[str, Any] | None = None
    readable: dict[str, Any] | None = None
    decoder: dict[str, Any] | None = None
    confidence: dict[str, Any] | None = None


@dataclass(frozen=True)
class Bundle:
    """An open bundle: its folder and the tables of its config.toml."""

    folder: Path
    config: dict[str, Any]

    def read(self, kind: type[T], name: str) -> T:
        """The settings of a table. Raises BundleError if there is none, or it holds anything but what it may."""
        if name not in self.config:
            raise BundleError(f"{self.folder}: the model has no [{name}]; it serves other commands than this one")
        try:
            return read_table(kind, self.config[name], self.folder / CONFIG, name)
        except ValueError as error:
            raise BundleError(str(error)) from None

    def file(self, name: str) -> Path:
        """The path of one of the bundle's files. Raises BundleError if it is missing or not what was written."""
        path = self.folder / name
        expected = self.config["sha256"].get(name)
        if expected is None:
            raise BundleError(f"{self.folder}: the model has no {name}; it serves other commands than this one")
        if not path.is_file():
            raise BundleError(f"{path}: missing; copy the model again, or reinstall nicebeach")
        if _sha256(path) != expected:
            raise BundleError(f"{path}: damaged (its checksum differs); copy the model again, or reinstall nicebeach")
        return path

    def has(self, name: str) -> bool:
        """Whether the bundle holds this file."""
        return name in self.config["sha256"]


def open_bundle(folder: Path) -> Bundle:
    """Open a model folder. Raises BundleError if there is none, or it is of a newer format."""
    path = folder / CONFIG
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(f"{folder}: no model there (it has no {CONFIG}); name a model folder") from None
    except OSError as error:
        raise BundleError(f"{path}: can't be read ({error.strerror}): check its permissions") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: can't be read: {error}") from None
    if "sha256" not in config:
        raise BundleError(f"{path}: holds no checksums; it isn't the {CONFIG} of a nicebeach model")
    version = config.get("version", 1)
    if isinstance(version, int) and version > VERSION:
        raise BundleError(
            f"{path}: version = {version}: a model of a newer format; this nicebeach reads up to {VERSION}: "
            "pip install -U nicebeach"
        )
    try:
        read_table(Contents, config, path)
    except ValueError as error:
        raise BundleError(str(error)) from None
    return Bundle(folder, config)


def write_bundle(folder: Path, config: dict[str, Any], files: dict[str, Path]) -> Bundle:
    """Copy files (name in the bundle -> where it is now) into a folder and write their checksums and the settings.

    Raises BundleError for a folder whose config.toml is no bundle's: it isn't overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / CONFIG).exists():
        open_bundle(folder)
    for name, path in files.items():
        if path.resolve() != (folder / name).resolve():
            shutil.copyfile(path, folder / name)
    config = {"version": VERSION, **config, "sha256": {name: _sha256(folder / name) for name in sorted(files)}}
    unfinished = folder / f"{CONFIG}.part"  # settings that `asr tune` writes are changed whole or not at all
    unfinished.write_text(tomli_w.dumps(config), encoding="utf-8")
    unfinished.replace(folder / CONFIG)
    return Bundle(folder, config)


SCALE = "|scale"  # ends the name of the row scales that stand beside a quantised matrix


def quantized(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Matrices as int8 with a scale a row, everything else in half precision: a quarter of the bytes."""
    result = {}
    for name, weight in weights.items():
        if weight.ndim == 2:
            scale = np.abs(weight).max(1).clip(min=1e-8) / np.float32(127)
            result[name] = np.rint(weight / scale[:, None]).astype(np.int8)
            result[name + SCALE] = scale
        else:
            result[name] = weight.astype(np.float16)
    return result


class Rows(NamedTuple):
    """A matrix that need not have left the form in which it ships; row i is values[i] * scales[i]."""

    values: np.ndarray  # int8 or float32 [rows, columns]
    scales: np.ndarray  # float32 [rows]

    @classmethod
    def of(cls, matrix: np.ndarray) -> Self:
        return cls(matrix, np.ones(len(matrix), np.float32))


Shapes = Iterable[tuple[str, tuple[int, ...]]]  # of a model's weights, by name; there may be any number of them


class Dequantized(Mapping[str, np.ndarray]):
    """The single-precision weights in a file that holds `quantized` ones, but for rounding.

    Each is read when it is asked for, so that never all of them are in memory in both forms.
    """

    def __init__(self, path: Path, shapes: Shapes = ()) -> None:
        """shapes: what a model needs. Raises BundleError if the file lacks that, or is no file of weights."""
        self._path = path
        with path.open("rb"):  # whose errors have the file's name, and know folders
            pass
        try:
            self._file = safe_open(path, "numpy")
        except SafetensorError as error:
            raise BundleError(f"{path}: not a file of weights ({error}); make the model anew") from None
        self._names = frozenset(self._file.keys())
        for name, shape in shapes:
            self._check_shape(name, shape)
            if name + SCALE in self._names:
                self._check_shape(name + SCALE, shape[:1])

    def _check_shape(self, name: str, needed: tuple[int, ...]) -> None:
        if name not in self._names:
            raise MissingWeightsError(f"{self._path}: has no {name}; {CONFIG} beside it is of another model")
        if (there := self._file.get_slice(name).get_shape()) != [*needed]:
            mend = f"{CONFIG} beside it is of another model"
            raise BundleError(f"{self._path}: {name} is {there}, not {[*needed]}; {mend}")

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise MissingWeightsError(f"{self._path}: has no {name}; {CONFIG} beside it is of another model")
        weight = self._tensor(name)
        if name + SCALE in self._names:
            weight = weight * self._tensor(name + SCALE)[:, None]
        return weight.astype(np.float32, copy=False)

    def _tensor(self, name: str) -> np.ndarray:
        try:
            tensor: np.ndarray = self._file.get_tensor(name)
            usable = tensor.dtype.kind in "iu" or bool(np.isfinite(tensor).all())
        except (SafetensorError, TypeError, AttributeError):  # of a type that NumPy lacks
            usable = False
        if not usable:
            raise BundleError(f"{self._path}: {name} holds what are no numbers; make the model anew")
        return tensor

    def rows(self, name: str) -> Rows:
        """A matrix as it lies in the file."""
        if name + SCALE not in self._names:
            return Rows.of(self[name])
        return Rows(self._tensor(name), self._tensor(name + SCALE))

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if not name.endswith(SCALE))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def rows_of(weights: Mapping[str, np.ndarray], name: str) -> Rows:
    """A matrix among weights, in bytes if it lies so in their file."""
    return weights.rows(name) if isinstance(weights, Dequantized) else Rows.of(weights[name])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
