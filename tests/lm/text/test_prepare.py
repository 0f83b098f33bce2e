import gzip
import tarfile
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import pytest

from lm.files import open_text
from lm.text.prepare import _normalize_books, prepare_text


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "books"
    folder.mkdir()
    for number in range(6):
        story = "\n".join(
            f"This is sentence {n} of the long and winding story that bears the number {number}.\n" for n in range(99)
        )
        (folder / f"book {number}.txt").write_text(story)
    (folder / "copy.txt").write_text("Preface\n\n" + (folder / "book 3.txt").read_text())
    (folder / "latin.txt").write_bytes("A café was there.".encode("latin-1"))
    with gzip.open(folder / "zipped.txt.gz", "wt") as file:
        file.write(
            "*** START OF THIS PROJECT GUTENBERG EBOOK ***\nZipped.\n*** END OF THIS PROJECT GUTENBERG EBOOK ***"
        )
    return folder


def test_prepares_a_library(library: Path, tmp_path: Path) -> None:
    out, heldout = tmp_path / "text.txt", tmp_path / "heldout.txt"
    options = {"exclude": ["book 0.txt", "nowhere.txt"], "heldout": heldout, "heldout_books": 1}
    report = prepare_text([library], out, jobs=1, **options)  # type: ignore[arg-type]
    assert (report.excluded, report.not_found) == (["book 0.txt"], ["nowhere.txt"])
    assert len(report.duplicates) == 1
    assert report.duplicates[0] in ("copy.txt", "book 3.txt")
    text = out.read_text()
    assert "ZIPPED\n" in text
    assert "GUTENBERG" not in text
    assert "NUMBER ZERO" not in text
    assert len(text.split()) == report.words
    assert not set(text.split("\n")) & set(heldout.read_text().split("\n")) - {""}

    prepare_text([library], tmp_path / "parallel.txt.xz", jobs=2, **options)  # type: ignore[arg-type]
    with open_text(tmp_path / "parallel.txt.xz") as file:
        assert file.read() == text


def test_the_same_share_is_held_out_whatever_else_is_there(tmp_path: Path) -> None:
    def prepared(count: int) -> tuple[list[str], list[str]]:
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.txt").write_text(f"We met {number} people there.\nThey were {number}.\n")
        text, heldout = folder / "out/text", folder / "out/heldout"
        report = prepare_text([folder], text, heldout=heldout, heldout_share=0.2, jobs=1)
        assert len(heldout.read_text().split("\n")) == 2 * len(report.heldout) + 1
        return sorted(report.heldout), sorted(path.name for path in folder.glob("*.txt"))

    few, names = prepared(40)
    many, _ = prepared(60)
    assert 2 <= len(few) <= 16
    assert few == sorted(set(many) & set(names))


def test_whole_heldout_sentences_leave_the_text(tmp_path: Path) -> None:
    (tmp_path / "talk.txt").write_text("I will be back.\nWe said: I will be back.\nThank you.\nNo, I will be back.\n")
    report = prepare_text([tmp_path], tmp_path / "out", avoid=[["I", "WILL", "BE", "BACK"], ["THANK", "YOU"]], jobs=1)
    assert (tmp_path / "out").read_text() == "WE SAID I WILL BE BACK\nTHANK YOU\nNO I WILL BE BACK\n"
    assert report.dropped == {"held-out words": 1}


@pytest.mark.parametrize("packing", ["", ".gz", ".xz"])
def test_archives_are_read_as_folders_are(library: Path, tmp_path: Path, packing: str) -> None:
    archive = tmp_path / f"books.tar{packing}"
    with tarfile.open(archive, f"w:{packing[1:]}") as tar:
        tar.add(library / "zipped.txt.gz", "../../outside/zipped.txt.gz")  # no path leads out of the scratch folder
        for path in sorted(library.glob("*.txt"), reverse=True):
            tar.add(path, f"books/{path.name}")
        tar.add(__file__, "books/notes.md")
    out = tmp_path / "out"
    assert prepare_text([archive], out / "archive.txt") == prepare_text([library], out / "folder.txt")
    assert (out / "archive.txt").read_text() == (out / "folder.txt").read_text()
    assert "A CAFE WAS THERE\n" in (out / "folder.txt").read_text()
    assert sorted(path.name for path in out.iterdir()) == ["archive.txt", "folder.txt"]


def test_few_books_wait_in_memory() -> None:
    submitted = []

    def submit(path: Path) -> Future[tuple[list[str], Counter[str]]]:
        submitted.append(path)
        future: Future[tuple[list[str], Counter[str]]] = Future()
        future.set_result(([path.name], Counter()))
        return future

    books = [(f"{n}", Path(f"{n}")) for n in range(100)]
    normalized = _normalize_books(books, submit, 3)
    for n in range(50):
        assert next(normalized)[:2] == (f"{n}", [f"{n}"])
        assert len(submitted) <= n + 3
    assert len(list(normalized)) == 50


def test_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        prepare_text([tmp_path / "nowhere"], tmp_path / "out.txt")
    with pytest.raises(ValueError, match="no books"):
        prepare_text([tmp_path], tmp_path / "out.txt")
    for name in ("broken.txt.gz", "broken.tar.xz"):
        (tmp_path / name).write_text("not packed")
        with pytest.raises(ValueError, match=f"{name}: can't be read"):
            prepare_text([tmp_path / name], tmp_path / "out.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.tar.xz", "broken.txt.gz"]
