"""Downloads from a server that holds LibriSpeech in small and can be told to misbehave."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.download import CORPORA, Archive, download, read_corpus
from data_prep.layouts import read
from data_prep.librispeech import download_librispeech
from data_prep.overlap import content_hash

can_unpack = pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python can't unpack safely")

NO_PAUSES = (0.0, 0.0)
PATH = "/12/dev-clean.tar.gz"
TABLES = ("BOOKS", "CHAPTERS", "LICENSE", "README", "SPEAKERS")


@dataclass
class Library:
    """LibriSpeech/ as its archives make it, the archives, and what would be said of them where they are published."""

    original: Path
    files: dict[str, Path]
    archives: dict[str, Archive]

    def add(self, subset: str, level: int = 1) -> None:
        """Packs a subset as LibriSpeech's archives are: LibriSpeech/<subset>/... and the tables beside it."""
        path = self.original.parent / f"{subset}.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=level, dereference=True) as tar:
            for name in (*(f"{table}.TXT" for table in TABLES), subset):
                tar.add(self.original / name, f"LibriSpeech/{name}")
        checksum = hashlib.md5(path.read_bytes()).hexdigest()
        self.files[subset] = path
        self.archives[subset] = Archive(f"12/{path.name}", path.stat().st_size, f"md5:{checksum}")

    def describe(self, path: Path, mirror: str) -> Path:
        """Writes a table as those of data_prep/corpora."""
        rows = [
            f'{name} = {{ path = "{archive.path}", size = {archive.size}, checksum = "{archive.checksum}" }}'
            for name, archive in self.archives.items()
        ]
        path.write_text("\n".join([f'mirrors = ["{mirror}"]', "[archives]", *rows]))
        return path


def add_tables(original: Path) -> None:
    original.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        (original / f"{table}.TXT").write_text("; of all subsets\n")


@pytest.fixture(scope="session")
def library(recordings: dict[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Two subsets: two speakers' recordings in dev-clean, one in train-clean-100."""
    original = tmp_path_factory.mktemp("library") / "LibriSpeech"
    add_tables(original)
    for (recording, text), subset in zip(
        recordings.items(), ("dev-clean", "dev-clean", "train-clean-100"), strict=True
    ):
        speaker, chapter, _ = recording.stem.split("-")
        folder = original / subset / speaker / chapter
        folder.mkdir(parents=True)
        (folder / recording.name).write_bytes(recording.read_bytes())
        (folder / f"{speaker}-{chapter}.trans.txt").write_text(f"{recording.stem} {text}\n")
    made = Library(original, {}, {})
    made.add("dev-clean")
    made.add("train-clean-100")
    return made


@dataclass
class Mirror:
    """A server's address, what it was asked for, and what it is to do wrong."""

    files: dict[str, Path]
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path and range of each request
    sent: int = 0  # bytes
    ranges: bool = True
    status: list[int] = field(default_factory=list)  # of the next answers, instead of the file
    cuts: list[int] = field(default_factory=list)  # after how many bytes to cut the next connections
    damages: list[int] = field(default_factory=list)  # which byte to change in the next answers
    pause: float = 0.0  # seconds after each 16 KiB


@pytest.fixture
def start_mirror(library: Library, monkeypatch: pytest.MonkeyPatch) -> Iterator["StartMirror"]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    starter = StartMirror(library)
    yield starter
    starter.stop()


class StartMirror:
    """Starts servers of a library's archives, each on a port of its own."""

    def __init__(self, library: Library) -> None:
        self._library, self._servers = library, list[ThreadingHTTPServer]()

    def __call__(self, library: Library | None = None) -> Mirror:
        chosen = library or self._library
        mirror = Mirror({f"/{archive.path}": chosen.files[name] for name, archive in chosen.archives.items()})

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self, mirror)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self._servers.append(server)
        mirror.url = f"http://127.0.0.1:{server.server_port}"
        return mirror

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


def answer(handler: BaseHTTPRequestHandler, mirror: Mirror) -> None:
    span = handler.headers.get("Range")
    mirror.asked.append((handler.path, span))
    if mirror.status or handler.path not in mirror.files:
        handler.send_error(mirror.status.pop(0) if mirror.status else 404)
        return
    data = bytearray(mirror.files[handler.path].read_bytes())
    start = int(span.removeprefix("bytes=").removesuffix("-")) if span and mirror.ranges else 0
    if mirror.damages:
        data[mirror.damages.pop(0)] ^= 1
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(data) - start))
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    handler.end_headers()
    end = start + mirror.cuts.pop(0) if mirror.cuts else len(data)
    for first in range(start, end, 1 << 14):
        block = data[first : min(first + (1 << 14), end)]
        mirror.sent += len(block)  # before: the other side may be done with it at once
        try:
            handler.wfile.write(block)
        except OSError:  # the other side is gone
            return
        time.sleep(mirror.pause)


@pytest.fixture
def one(library: Library) -> dict[str, Archive]:
    return {"dev-clean": library.archives["dev-clean"]}


def check(library: Library, folder: Path, *names: str) -> None:
    """The folder holds these archives, byte for byte, and nothing else."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.tar.gz" for name in names)
    for name in names:
        assert (folder / f"{name}.tar.gz").read_bytes() == library.files[name].read_bytes()


def test_clean_run_then_nothing_to_do(library: Library, start_mirror: StartMirror, tmp_path: Path) -> None:
    mirror, folder = start_mirror(), tmp_path / "data"
    table = library.describe(tmp_path / "small.toml", mirror.url)
    result = CliRunner().invoke(app, ["download", str(table), str(folder)])
    assert (result.exit_code, result.stdout) == (0, "")
    for name, archive in library.archives.items():
        assert f"{folder}/{name}.tar.gz: {archive.size:,} bytes, {archive.checksum}" in result.stderr
    check(library, folder, *library.archives)
    assert len(mirror.asked) == 2

    result = CliRunner().invoke(app, ["download", str(table), str(folder)])
    assert result.exit_code == 0
    assert result.stderr == "nothing to do, all is there: dev-clean, train-clean-100\n"
    assert len(mirror.asked) == 2


def test_only_and_mirrors_in_order(library: Library, start_mirror: StartMirror, tmp_path: Path) -> None:
    table = library.describe(tmp_path / "small.toml", "http://127.0.0.1:9/nobody")
    first, second = start_mirror(), start_mirror()
    options = ["--only", "train-clean-100", "--mirror", f"{first.url}/", "--mirror", second.url]
    result = CliRunner().invoke(app, ["download", str(table), str(tmp_path / "data"), *options])
    assert result.exit_code == 0
    check(library, tmp_path / "data", "train-clean-100")
    assert (len(first.asked), len(second.asked)) == (1, 0)


def test_cut_connection_goes_on_where_it_stopped(
    library: Library, one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path
) -> None:
    mirror, size = start_mirror(), one["dev-clean"].size
    mirror.cuts = [size * 2 // 5]
    assert download(one, tmp_path, [mirror.url], NO_PAUSES) == [tmp_path / "dev-clean.tar.gz"]
    check(library, tmp_path, "dev-clean")
    assert mirror.asked == [(PATH, None), (PATH, f"bytes={size * 2 // 5}-")]
    assert mirror.sent == size


def test_server_without_ranges_starts_over(
    library: Library, one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path
) -> None:
    mirror, size = start_mirror(), one["dev-clean"].size
    mirror.cuts, mirror.ranges = [size * 2 // 5], False
    download(one, tmp_path, [mirror.url], NO_PAUSES)
    check(library, tmp_path, "dev-clean")
    assert mirror.sent == size * 2 // 5 + size


def test_damaged_file_is_fetched_again(
    library: Library,
    one: dict[str, Archive],
    start_mirror: StartMirror,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mirror = start_mirror()
    mirror.damages = [1000]
    download(one, tmp_path, [mirror.url], NO_PAUSES)
    check(library, tmp_path, "dev-clean")
    assert [span for _, span in mirror.asked] == [None, None]
    (problem, _) = capsys.readouterr().err.splitlines()
    assert problem.startswith(f"{tmp_path}/dev-clean.tar.gz: damaged, its checksum is md5:")
    assert f"should be {one['dev-clean'].checksum}; fetching it again from {mirror.url}" in problem


def test_damaged_file_is_fetched_from_the_next_mirror(
    library: Library, one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path
) -> None:
    first, second = start_mirror(), start_mirror()
    first.damages = [1000, 1000]
    download(one, tmp_path, [first.url, second.url], NO_PAUSES)
    check(library, tmp_path, "dev-clean")
    assert (len(first.asked), len(second.asked)) == (1, 1)


def test_file_that_is_always_damaged(one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path) -> None:
    mirror = start_mirror()
    mirror.damages = [1000, 2000]
    with pytest.raises(
        OSError, match=rf"dev-clean\.tar\.gz: damaged, .* md5:\w+ and should be {one['dev-clean'].checksum}"
    ):
        download(one, tmp_path, [mirror.url], NO_PAUSES)
    assert not list(tmp_path.iterdir())


def test_mirrors_that_are_down_busy_or_without_the_file(
    library: Library, one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path
) -> None:
    busy, empty, other, good = (start_mirror() for _ in range(4))
    busy.status, empty.status = [503], [404]
    other.files = {PATH: library.files["train-clean-100"]}
    mirrors = ["http://127.0.0.1:9", busy.url, empty.url, other.url, good.url]
    download(one, tmp_path, mirrors, NO_PAUSES)
    check(library, tmp_path, "dev-clean")
    assert [len(mirror.asked) for mirror in (busy, empty, other, good)] == [1, 1, 1, 1]


def test_no_mirror_has_it(one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path) -> None:
    first, second = start_mirror(), start_mirror()
    first.files = second.files = {}
    with pytest.raises(OSError, match=rf"{first.url}{PATH}: status 404; {second.url}{PATH}: status 404"):
        download(one, tmp_path, [first.url, second.url], NO_PAUSES)


def test_what_was_fetched_before_the_last_mirror_failed_is_kept(
    library: Library, one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path
) -> None:
    mirror = start_mirror()
    mirror.cuts = [50_000, 0, 0, 0]
    with pytest.raises(OSError, match="connection cut; run it again, it goes on at 50,000 bytes"):
        download(one, tmp_path, [mirror.url], NO_PAUSES)
    assert download(one, tmp_path, [mirror.url], NO_PAUSES)
    check(library, tmp_path, "dev-clean")
    assert mirror.sent == one["dev-clean"].size


@pytest.mark.parametrize("left", ["whole", "longer"])
def test_part_that_needs_no_more(
    left: str, library: Library, one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path
) -> None:
    mirror = start_mirror()
    whole = library.files["dev-clean"].read_bytes()
    (tmp_path / "dev-clean.tar.gz.part").write_bytes(whole if left == "whole" else whole + b"?")
    download(one, tmp_path, [mirror.url], NO_PAUSES)
    check(library, tmp_path, "dev-clean")
    assert mirror.sent == (0 if left == "whole" else len(whole))


def test_file_of_another_size_is_replaced(
    library: Library, one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path
) -> None:
    (tmp_path / "dev-clean.tar.gz").write_bytes(b"half a download")
    download(one, tmp_path, [start_mirror().url], NO_PAUSES)
    check(library, tmp_path, "dev-clean")


def test_without_checksum_the_size_is_verified_and_that_is_said(
    library: Library, start_mirror: StartMirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = library.archives["dev-clean"].size
    download({"dev-clean": Archive(PATH[1:], size)}, tmp_path, [start_mirror().url])
    check(library, tmp_path, "dev-clean")
    assert "no checksum is published, only the size is verified" in capsys.readouterr().err


def test_full_disk_is_noticed_before_anything_is_fetched(
    one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = start_mirror()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=one["dev-clean"].size - 1))
    with pytest.raises(OSError, match=r"GB needed, .* GB free"):
        download(one, tmp_path, [mirror.url])
    assert not mirror.asked
    (tmp_path / "dev-clean.tar.gz.part").write_bytes(b"?")  # so that one byte less is needed
    download(one, tmp_path, [mirror.url], NO_PAUSES)


def test_disk_that_fills_up_is_named(one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path) -> None:
    (tmp_path / "dev-clean.tar.gz.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: .*dev-clean\.tar\.gz\.part'"):
        download(one, tmp_path, [start_mirror().url], NO_PAUSES)


def test_killed_download_goes_on(
    library: Library, one: dict[str, Archive], start_mirror: StartMirror, tmp_path: Path
) -> None:
    mirror, table = start_mirror(), library.describe(tmp_path / "small.toml", "")
    mirror.pause, folder = 0.05, tmp_path / "data"
    command = [sys.executable, "-m", "data_prep.cli", "download", table, folder, "--only", "dev-clean"]
    process = subprocess.Popen([*command, "--mirror", mirror.url])
    part = folder / "dev-clean.tar.gz.part"
    while not part.exists() or part.stat().st_size < 30_000:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    had, mirror.pause = part.stat().st_size, 0.0
    assert had < one["dev-clean"].size
    download(one, folder, [mirror.url], NO_PAUSES)
    check(library, folder, "dev-clean")
    assert mirror.asked == [(PATH, None), (PATH, f"bytes={had}-")]


@can_unpack
def test_download_librispeech_makes_one_tree_that_reads_as_the_original(
    library: Library, start_mirror: StartMirror, tmp_path: Path
) -> None:
    table = library.describe(tmp_path / "small.toml", start_mirror().url)
    made = download_librispeech(tmp_path / "data", corpus=str(table))
    assert made == tmp_path / "data/LibriSpeech"
    assert content_hash(read(made).cuts) == content_hash(read(library.original).cuts)
    assert len(read(made / "dev-clean").cuts) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nowhere"], "nowhere: no such corpus, there are librispeech, librispeech-lm, ljspeech, mini-librispeech"),
        (["nowhere.toml"], "nowhere.toml"),
        (["librispeech", "--only", "dev"], "dev: no such archive, there are dev-clean, dev-other"),
        (["librispeech", "--only", "dev-clean", "--mirror", "here"], "here: a mirror begins with https:// or http://"),
    ],
)
def test_errors_are_one_line(arguments: list[str], problem: str, tmp_path: Path) -> None:
    corpus, *options = arguments
    result = CliRunner().invoke(app, ["download", corpus, str(tmp_path), *options])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert problem in line


def test_descriptions_are_complete() -> None:
    for path in CORPORA.glob("*.toml"):
        corpus = read_corpus(path.stem)
        assert all(mirror.startswith("https://") for mirror in corpus.mirrors)
        for archive in corpus.archives.values():
            algorithm, _, digits = (archive.checksum or "").partition(":")
            assert len(digits) == {"md5": 32, "sha256": 64}[algorithm]
            assert archive.size > 1e6


@can_unpack
@pytest.mark.skipif("NICEBEACH_DATA" not in os.environ, reason="NICEBEACH_DATA (the corpora) is not set")
def test_real_corpora_over_a_bad_connection(start_mirror: StartMirror, tmp_path: Path) -> None:
    original = tmp_path / "mirror/LibriSpeech"
    add_tables(original)
    for subset in ("dev-mini", "train-mini"):
        (original / subset).symlink_to(Path(os.environ["NICEBEACH_DATA"]) / "speech/LibriSpeech" / subset)
    real = Library(original, {}, {})
    for subset in ("dev-mini", "train-mini"):
        real.add(subset, level=0)
    mirror = start_mirror(real)
    mirror.cuts = [real.archives["dev-mini"].size * 2 // 5]
    mirror.damages = [1000]
    table = real.describe(tmp_path / "real.toml", mirror.url)
    made = download_librispeech(tmp_path / "data", corpus=str(table))
    assert content_hash(read(made).cuts) == content_hash(read(original).cuts)
