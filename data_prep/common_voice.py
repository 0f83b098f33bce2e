"""Common Voice: ``<split>.tsv`` (columns client_id, path, sentence, …) beside ``clips/``.

Ours because lhotse's recipe needs columns that some releases lack (gender, age, variant), skips missing clips
without a count and stops at the first that it can't read.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from data_prep import MAX_SECONDS
from data_prep.manifest import Item, Prepared, prepare, read_lines
from lm.files import find_files, open_text


def prepare_common_voice(corpus_dir: Path, max_seconds: float = MAX_SECONDS) -> Prepared:
    """Takes one split's .tsv file, or a folder that holds exactly one.

    Raises:
        ValueError: the folder holds several splits (they overlap: validated.tsv contains train.tsv), or none.
    """
    if corpus_dir.is_file():
        return prepare(_items(corpus_dir), max_seconds)
    splits = sorted(path for path in find_files(corpus_dir, "*.tsv") if _lists_clips(path))
    if not splits:
        raise ValueError(f"{corpus_dir}: none of its .tsv files has the columns path and sentence")
    if len(splits) > 1:
        names = ", ".join(path.name for path in splits)
        raise ValueError(f"{corpus_dir}: several splits, name one of the files {names}")
    return prepare(_items(splits[0]), max_seconds)


def _lists_clips(tsv: Path) -> bool:
    try:
        with open_text(tsv) as lines:
            return {"path", "sentence"} <= set(lines.readline().rstrip("\r\n").split("\t"))
    except ValueError:  # it isn't text
        return False


def _items(tsv: Path) -> Iterator[Item]:
    if not _lists_clips(tsv):
        raise ValueError(f"{tsv}: not a Common Voice split, its first line lacks the columns path and sentence")
    clips = tsv.parent / "clips"
    if not clips.is_dir():
        raise FileNotFoundError(f"{clips}: no such folder, Common Voice keeps its audio there beside the .tsv")
    # Sentences hold unbalanced quotation marks: the files are not quoted.
    rows = csv.DictReader(read_lines(tsv), delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
    for row in _told(rows, tsv):
        speaker = row.get("client_id")
        yield Item(
            id=Path(row["path"]).stem,
            audio=clips / row["path"],
            text=row["sentence"],
            speaker=speaker if speaker not in ("", "unk") else None,
            gender=row.get("gender") or None,
        )


def _told(rows: "csv.DictReader[str]", tsv: Path) -> Iterator[dict[str, str]]:
    """The rows. Raises ValueError for one that is none, such as one with a field without end."""
    try:
        yield from rows
    except csv.Error as error:
        raise ValueError(f"{tsv}: line {rows.line_num + 1}: {error}; delete it, or get the file again") from None
