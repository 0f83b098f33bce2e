"""Which corpus layout a path is in: ``read`` recognises it by its files and prepares it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from data_prep import MAX_SECONDS
from data_prep.common_voice import prepare_common_voice
from data_prep.fsdd import prepare_fsdd
from data_prep.kaldi_dir import prepare_kaldi_dir
from data_prep.librispeech import LISTINGS, prepare_librispeech
from data_prep.ljspeech import prepare_ljspeech
from data_prep.manifest import MANIFEST_SUFFIXES, Prepared, read_manifest
from data_prep.sphinx import prepare_sphinx
from data_prep.vctk import prepare_vctk
from lm.files import find_files


class Layout(NamedTuple):
    name: str
    signs: tuple[str, ...]  # glob patterns: a folder in which one of them matches is in this layout
    prepare: Callable[[Path, float], Prepared]


COMMON_VOICE = Layout("Common Voice", ("clips",), prepare_common_voice)
LAYOUTS = (
    Layout("Kaldi", ("wav.scp",), prepare_kaldi_dir),
    Layout("LJSpeech", ("metadata.csv",), prepare_ljspeech),
    Layout("CMU Sphinx", ("etc/*.fileids",), prepare_sphinx),
    Layout("VCTK", ("wav48",), prepare_vctk),
    COMMON_VOICE,
    Layout("LibriSpeech", LISTINGS, prepare_librispeech),
    Layout("FSDD", ("recordings/[0-9]_*_*.*",), prepare_fsdd),
)


def read(path: Path, max_seconds: float = MAX_SECONDS) -> Prepared:
    """Prepares whatever ``path`` is: a folder in one of the layouts known here, a Common Voice .tsv, a manifest.

    Raises:
        FileNotFoundError: there is no such path, or a file that its layout needs is missing.
        ValueError: no layout fits, or a file of the layout is not as it should be.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.is_file():
        if path.suffix == ".tsv":
            return _prepare(COMMON_VOICE, path, max_seconds)
        if path.name.endswith(MANIFEST_SUFFIXES):
            return read_manifest(path, max_seconds)
        raise ValueError(f"{path}: neither a folder, a Common Voice .tsv nor a manifest (.jsonl, .jsonl.gz)")
    for layout in LAYOUTS:
        if any(next(find_files(path, sign), None) for sign in layout.signs):
            return _prepare(layout, path, max_seconds)
    looked_for = ", ".join(f"{layout.signs[0]} ({layout.name})" for layout in LAYOUTS)
    raise ValueError(f"{path}: no corpus layout recognised, looked for {looked_for}")


def _prepare(layout: Layout, path: Path, max_seconds: float) -> Prepared:
    """Notes the layout with each speaker: LibriSpeech's speaker 19 and a Kaldi directory's are two."""
    prepared = layout.prepare(path, max_seconds)
    for cut in prepared.cuts:
        for supervision in cut.supervisions:
            supervision.custom = {**(supervision.custom or {}), "layout": layout.name}
    return prepared
