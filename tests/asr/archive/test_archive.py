"""Archives: each recording once, whatever happens."""

import gzip
import io
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from asr.cli import app
from asr.recognizer import Recognizer
from lm.cli import app as lm_app
from lm.ngram import count
from lm.text.vocabulary import Vocabulary

pytest.importorskip("ray", reason="archives need pip install 'nicebeach[cluster]'")
pytest.importorskip("pyarrow", reason="archives need pip install 'nicebeach[cluster]'")
pytest.importorskip("fsspec", reason="archives need pip install 'nicebeach[cluster]'")

from pyarrow import parquet

from asr.archive import places, rows
from asr.archive.actors import Orders
from asr.archive.archive import plan
from asr.archive.places import Item
from asr.audio.channels import Channel
from asr.audio.errors import AudioError
from lm.cluster import connected


def archive(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["archive", *map(str, arguments)])


def found(output: Path) -> list[dict[str, Any]]:
    """All rows, by their files."""
    paths = sorted(output.rglob("*.parquet"))
    return sorted((rows.unpacked(path.read_bytes()) for path in paths), key=lambda row: str(row["file"]))


@pytest.fixture
def folder(tmp_path: Path, recordings: dict[Path, str]) -> Path:
    """Three recordings, one of them twice, and one that is none."""
    folder = tmp_path / "sound"
    (folder / "more").mkdir(parents=True)
    for path in recordings:
        shutil.copy(path, folder)
    shutil.copy(next(iter(recordings)), folder / "more" / "copy.flac")
    (folder / "more" / "broken.flac").write_bytes(b"fLaC" + bytes(999))
    return folder


def test_each_recording_has_a_row_and_only_what_is_missing_is_done(
    cluster: None, tiny_bundle: Path, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = (folder, output, "--model", tiny_bundle, "--format", "srt", "--format", "json")
    result = archive(*command, "--actors", 1)
    assert result.exit_code == 1
    assert "5 recordings done" in result.stderr
    assert "1 of them failed" in result.stderr
    recognizer = Recognizer(tiny_bundle)
    made = found(output)
    assert [row["file"] for row in made] == sorted(map(str, folder.rglob("*.flac")))
    for row in made:
        path = Path(row["file"])
        name = f"{str(path).lstrip('/')}"
        if path.stem == "broken":
            assert row["text"] is None
            assert f"error: {path}: {row['error']}" in result.stderr
            assert not (output / "srt" / f"{name}.srt").exists()
            continue
        transcript = recognizer.transcribe(path, nbest=rows.NBEST)
        assert (row["text"], row["duration"], row["error"]) == (transcript.text, transcript.duration, None)
        words = [(word.word, word.start, word.end, word.confidence) for word in transcript.words]
        assert [tuple(word[key] for key in ("word", "start", "end", "confidence")) for word in row["words"]] == words
        assert [len(segment["nbest"]) for segment in row["segments"]] == [
            len(segment.nbest) for segment in transcript.segments
        ]
        assert (output / "srt" / f"{name}.srt").read_text() == transcript.to_srt()
        assert json.loads((output / "json" / f"{name}.json").read_text()) == row
    written = {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}

    # Nothing is missing; a failure stays one.
    again = archive(*command)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "0 recordings done" in again.stderr
    assert "1 of them failed (--retry-failed" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")} == written

    # What was mended, changed, or lost its text is done; a row that stands is read, not made again.
    good = next(path for path in folder.iterdir() if path.suffix == ".flac")
    shutil.copy(good, folder / "more" / "broken.flac")
    (output / "srt" / f"{str(good).lstrip('/')}.srt").unlink()
    cut = folder / "more" / "cut.flac"
    cut.write_bytes(good.read_bytes()[:20_000])
    last = archive(*command, "--retry-failed", "--actors", 1)
    assert last.exit_code == 0
    assert "3 recordings done" in last.stderr
    assert f"warning: {cut}: ends at 0:0" in last.stderr
    made = found(output)
    assert len(made) == 6
    assert [row["error"] for row in made] == [None] * 6
    assert (output / "srt" / f"{str(good).lstrip('/')}.srt").exists()
    assert len({row["text"] for row in made if row["file"] != str(cut)}) == 3


def reading() -> Iterator[int]:
    """The processes of this one's Ray that work on a recording, or a part of it."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cmdline").read_bytes().startswith((b"ray::Reader.read", b"ray::Reader.part")):
                raylet = (process / "stat").read_text().rpartition(")")[2].split()[1]
                parent = Path("/proc", raylet, "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == os.getpid():
                    yield int(process.name)


def test_a_long_recording_is_shared_and_outlives_an_actor(
    cluster: None, tiny_bundle: Path, recordings: dict[Path, str], tmp_path: Path
) -> None:
    waveform = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in recordings] * 3)
    soundfile.write(tmp_path / "long.wav", waveform, 16000)
    killed: list[int] = []

    def kill() -> None:
        until = time.monotonic() + 120
        while not killed and time.monotonic() < until:
            time.sleep(0.05)
            killed.extend(islice(reading(), 1))
        for process in killed:
            os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    result = archive(tmp_path / "long.wav", tmp_path / "out", "--model", tiny_bundle, "--actors", 2)
    killer.join()
    assert result.exit_code == 0
    assert killed
    [row] = found(tmp_path / "out")
    transcript = Recognizer(tiny_bundle).transcribe(tmp_path / "long.wav")
    assert [word["word"] for word in row["words"]] == [word.word for word in transcript.words]
    assert [word["start"] for word in row["words"]] == [word.start for word in transcript.words]


def test_objects_of_a_store(
    cluster: None, s3: Any, tiny_bundle: Path, recordings: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From S3 to S3, over connections that break in the middle of a file."""
    import s3fs

    files = s3fs.S3FileSystem()
    path, *_ = recordings
    files.pipe_file("archive/in/1998/talk.flac", path.read_bytes())
    files.pipe_file("archive/in/notes.txt", b"no sound")
    s3.breaks = 1
    result = archive("s3://archive/in", "s3://archive/out", "--model", tiny_bundle, "--format", "txt", "--actors", 1)
    assert (result.exit_code, s3.breaks) == (0, 0)
    files.invalidate_cache()
    [name] = files.glob("archive/out/recordings/*/*/*.parquet")
    row = rows.unpacked(files.cat_file(name))
    text = Recognizer(tiny_bundle).transcribe(path).text
    assert (row["file"], row["text"]) == ("s3://archive/in/1998/talk.flac", text)
    assert files.cat_file("archive/out/txt/archive/in/1998/talk.flac.txt").decode().replace("\n\n", " ") == f"{text}\n"
    again = archive("s3://archive/in", "s3://archive/out", "--model", tiny_bundle, "--format", "txt")
    assert "0 recordings done" in again.stderr

    monkeypatch.setattr(places, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3.breaks = 999
    item = Item("s3://archive/in/1998/talk.flac")
    with pytest.raises(ValueError, match="can't be read whole"), places.opened(item):
        pass
    s3.breaks = 0


def test_an_address_of_no_known_kind_is_told() -> None:
    with pytest.raises(AudioError, match="Protocol not known: foo"), places.opened(Item("foo://x/talk.wav")):
        pass


def test_text_is_prepared_as_on_one_machine(cluster: None, tmp_path: Path) -> None:
    for number in range(5):
        lines = [
            f"This is sentence {n} of book {number}, which is long enough to be told apart.\n\n" for n in range(50)
        ]
        (tmp_path / f"{number}.txt").write_text("".join(lines))
    shutil.copy(tmp_path / "3.txt", tmp_path / "copy.txt")
    (tmp_path / "odd.txt.gz").write_bytes(gzip.compress("A café.".encode("latin-1")))
    (tmp_path / "avoid.list").write_text("SENTENCE SEVEN OF BOOK TWO WHICH IS LONG ENOUGH TO BE TOLD\n")
    texts = []
    for name, where in (("here", []), ("there", ["--ray", "auto"])):
        command = ["prepare-text", tmp_path, "--output", tmp_path / name, "--avoid", tmp_path / "avoid.list", *where]
        result = CliRunner().invoke(lm_app, list(map(str, command)))
        assert result.exit_code == 0
        texts.append(((tmp_path / name).read_text(), result.stderr.replace(name, "")))
    assert texts[0] == texts[1]
    assert "A CAFE" in texts[0][0]

    (tmp_path / "broken.txt.gz").write_bytes(b"\x1f\x8b no more")
    result = CliRunner().invoke(
        lm_app, ["prepare-text", str(tmp_path), "--output", str(tmp_path / "x"), "--ray", "auto"]
    )
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "broken.txt.gz: can't be read" in result.stderr


def test_ngrams_are_counted_as_on_one_machine(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "CHUNK", 2000)
    chance = random.Random(1)
    words = ["THE", "SPEECH", "OF", "A", "NICE", "BEACH", "WAS", "UNKNOWN"]
    lines = (" ".join(chance.choices(words, k=chance.randint(1, 9))) for _ in range(500))
    (tmp_path / "text").write_text("\n".join(lines))
    Vocabulary(words[:-1]).save(tmp_path / "words")
    made = []
    for name, where in (("here", []), ("there", ["--ray", "auto"])):
        counts, model = tmp_path / f"{name}.counts", tmp_path / f"{name}.bin"
        for command in (
            ["count-ngrams", tmp_path / "text", "--output", counts, *where],
            ["build-ngram", counts, "--threshold", "1e-5", "--output", model],
        ):
            result = CliRunner().invoke(lm_app, list(map(str, [*command, "--vocabulary", tmp_path / "words"])))
            assert result.exit_code == 0, result.stderr
        made.append((counts.read_bytes(), model.read_bytes()))
    assert made[0] == made[1]


# --- Without Ray --------------------------------------------------------------------------------------------


@pytest.fixture
def orders(tmp_path: Path) -> Orders:
    return Orders(str(tmp_path / "recordings"), (), Channel.mix)


def put(orders: Orders, item: Item, content: str, failed: bool = False) -> str:
    address = f"{orders.folder}/{rows.Name.of(item, content, failed).path}"
    places.put(address, b"a row")
    return address


def test_what_is_out_of_date_goes_once_there_is_another(orders: Orders) -> None:
    """Whatever a run that was killed between writing and deleting left."""
    old, now = Item("a.wav", 1, "1 1"), Item("a.wav", 2, "2 2")
    first = put(orders, old, "a" * 64)
    [task] = plan([now], orders, False)[0]
    assert task.stale == (first,)  # stays until then
    second = put(orders, now, "b" * 64, failed=True)
    assert plan([now], orders, False) == ([], 1, 1)
    assert places.names_below(orders.folder) == [second]
    assert [task.stale for task in plan([now], orders, True)[0]] == [(second,)]
    third = put(orders, now, "b" * 64)
    assert plan([now], orders, True) == ([], 1, 0)
    assert places.names_below(orders.folder) == [third]


def test_the_largest_come_first(orders: Orders) -> None:
    items = [Item("a.wav", 5, "5"), Item("b.wav", 500, "500"), Item("c.wav", 50, "50")]
    put(orders, items[2], "c" * 64)
    tasks, before, failed = plan(items, orders, False)
    assert ([task.item.address for task in tasks], before, failed) == (["b.wav", "a.wav"], 1, 0)


def test_half_a_file_is_no_result(orders: Orders, tmp_path: Path) -> None:
    """Of a process that was killed while it wrote."""
    item = Item("a.wav", 1, "1")
    whole = Path(put(orders, item, "a" * 64))
    half = whole.with_name(f".asr-{os.uname().nodename}-99999999")
    whole.rename(half)
    assert len(plan([item], orders, False)[0]) == 1
    assert not half.exists()


def test_what_may_be_named(folder: Path, tmp_path: Path) -> None:
    here = sorted(map(str, folder.glob("*.flac")))
    (tmp_path / "list.txt").write_text("\n".join(["# Monday's", here[0], "", "s3://radio/1.mp3", f"file://{here[1]}"]))
    manifest = [
        {"id": "1", "sources": [{"type": "file", "channels": [0], "source": here[0]}], "sampling_rate": 16000},
        {"id": "2", "start": 1.0, "recording": {"sources": [{"type": "url", "source": "gs://radio/2.mp3"}]}},
    ]
    (tmp_path / "cuts.jsonl").write_text("\n".join(map(json.dumps, manifest)))

    def addresses(source: object) -> list[str]:
        return [item.address for item in places.find(str(source))]

    assert sorted(addresses(folder)) == sorted(map(str, folder.rglob("*.flac")))
    assert addresses(f"file://{folder}") == addresses(folder)
    assert addresses(here[0]) == here[:1]
    assert addresses(f"@{tmp_path / 'list.txt'}") == [here[0], "s3://radio/1.mp3", here[1]]
    assert addresses(tmp_path / "cuts.jsonl") == [here[0], "gs://radio/2.mp3"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("nowhere", None, "nowhere: no such folder, file or list: check its name"),
        ("empty", "folder", "empty: holds no recordings"),
        ("cuts.jsonl", '{"id": 1}', "cuts.jsonl, line 1: want a recording or cut"),
        ("cuts.jsonl", "{", "cuts.jsonl, line 1: want a recording or cut"),
        ("odd://a/b", None, "odd://a/b: Protocol not known: odd"),
    ],
)
def test_what_can_not_be_read_is_told(tmp_path: Path, name: str, content: str | None, problem: str) -> None:
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content:
        (tmp_path / name).write_text(content)
    result = archive(name if "://" in name else tmp_path / name, tmp_path / "out")
    assert result.exit_code == 1
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1


def test_who_has_no_ray_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("asr.archive.a")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    result = archive(tmp_path, tmp_path / "out")
    assert result.exit_code == 1
    assert "ray is not installed" in result.stderr
    assert "pip install 'nicebeach[cluster]'" in result.stderr


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "ray://127.0.0.1:1", "[::1]:1", "127.0.0.1:x", "nowhere.invalid:6379"]
)
def test_where_no_cluster_is_is_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(ValueError, match=r"^--ray .*: does `ray start` run there"), connected(address):
        pass


def test_rows_come_back_as_they_were() -> None:
    row = rows.failed(Item("/sound/\udcff \N{SNOWMAN}.wav", 7), None, 'a "problem"', 0.25)
    data = rows.packed(row)
    assert rows.unpacked(data) == row
    assert row["file"] == "/sound/\N{REPLACEMENT CHARACTER} \N{SNOWMAN}.wav"
    assert parquet.ParquetFile(io.BytesIO(data)).schema_arrow == rows.SCHEMA
