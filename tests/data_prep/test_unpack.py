import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.unpack import unpack

pytestmark = pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python can't unpack safely")


def pack(path: Path, files: dict[str, str], *others: tarfile.TarInfo) -> Path:
    """An archive of these files, then of these other members."""
    with tarfile.open(path, "w:" + path.suffix.removeprefix(".").replace("tar", "")) as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
        for other in others:
            tar.addfile(other)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def tree(folder: Path) -> dict[str, str]:
    """All files below a folder, but the notes of what was unpacked."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".unpacked"))
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


DEV = {"LibriSpeech/SPEAKERS.TXT": "; all", "LibriSpeech/dev-clean/1/2/1-2.trans.txt": "1-2-0 A"}
TEST = {"LibriSpeech/SPEAKERS.TXT": "; all", "LibriSpeech/test-clean/3/4/3-4.trans.txt": "3-4-0 B"}


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_two_archives_become_one_tree(suffix: str, tmp_path: Path) -> None:
    dev, test = pack(tmp_path / f"dev{suffix}", DEV), pack(tmp_path / f"test{suffix}", TEST)
    result = CliRunner().invoke(app, ["unpack", str(dev), str(test), str(tmp_path / "data")])
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{dev}: 2 files to {tmp_path}/data\n{test}: 2 files to {tmp_path}/data\n"
    assert tree(tmp_path / "data") == DEV | TEST

    changed = tmp_path / "data/LibriSpeech/SPEAKERS.TXT"
    changed.write_text("ours")
    result = CliRunner().invoke(app, ["unpack", str(dev), str(test), str(tmp_path / "data")])
    assert result.exit_code == 0
    assert result.stderr.count("nothing to do, unpacked before") == 2
    assert changed.read_text() == "ours"


def test_unpacked_again_if_deleted_or_another_archive(tmp_path: Path) -> None:
    archive = pack(tmp_path / "dev.tar", DEV)
    unpack(archive, tmp_path / "data")
    shutil.rmtree(tmp_path / "data/LibriSpeech/dev-clean")
    assert unpack(archive, tmp_path / "data") == 2
    assert tree(tmp_path / "data") == DEV
    pack(archive, TEST | {"LibriSpeech/more": "x" * 20_000})
    assert unpack(archive, tmp_path / "data") == 3


HOSTILE = {
    "parent": ([member("../evil")], "'../evil' lies outside"),
    "parent inside": ([member("LibriSpeech/../../evil")], "'LibriSpeech/../../evil' lies outside"),
    "absolute": ([member("/tmp/nicebeach-evil")], "'/tmp/nicebeach-evil' lies outside"),
    "symbolic link": ([member("out", tarfile.SYMTYPE, ".."), member("out/evil")], r"'out' is a link \(to \.\.\)"),
    "hard link": ([member("out", tarfile.LNKTYPE, "../victim")], r"'out' is a link \(to \.\./victim\)"),
    "character device": ([member("null", tarfile.CHRTYPE)], "'null' is a device"),
    "block device": ([member("disk", tarfile.BLKTYPE)], "'disk' is a device"),
    "pipe": ([member("pipe", tarfile.FIFOTYPE)], "'pipe' is a device"),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_archives_are_refused_whole(hostile: str, tmp_path: Path) -> None:
    members, problem = HOSTILE[hostile]
    archive = pack(tmp_path / "hostile.tar.gz", DEV, *members)
    (tmp_path / "victim").write_text("as it was")
    before = tree(tmp_path / "data"), sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=rf"hostile\.tar\.gz: refused, its member {problem}"):
        unpack(archive, tmp_path / "data")
    assert (tree(tmp_path / "data"), sorted(tmp_path.rglob("*"))) == before
    assert (tmp_path / "victim").read_text() == "as it was"
    assert not Path("/tmp/nicebeach-evil").exists()


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("damage", ["cut", "changed", "text"])
def test_damaged_archives_are_refused_whole(damage: str, suffix: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / f"a{suffix}", DEV | {f"{i}": os.urandom(500).hex() for i in range(20)})
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes({"cut": data[: len(data) // 2], "changed": data, "text": b"not an archive"}[damage])
    result = CliRunner().invoke(app, ["unpack", str(archive), str(tmp_path / "data")])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {archive}: damaged, or no archive (")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("archive", "problem"),
    [
        ("gone.tar.gz", "no such file: check its name"),
        ("a.zip", "name ends in .tar, .tar.gz"),
        ("empty.tar", "holds no files"),
    ],
)
def test_errors_are_one_line(archive: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    pack(tmp_path / "empty.tar", {})
    result = CliRunner().invoke(app, ["unpack", str(tmp_path / archive), str(tmp_path / "data")])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert problem in line


def test_full_disk_is_noticed_before_anything_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(tmp_path / "dev.tar.gz", DEV)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * 4096 - 1))
    with pytest.raises(OSError, match=r"data: 0\.00 GB needed, 0\.00 GB free"):
        unpack(archive, tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_disk_that_fills_up_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract = tarfile.TarFile.extract

    def fill(tar: tarfile.TarFile, item: tarfile.TarInfo, *args: object, **options: object) -> None:
        if "SPEAKERS" not in item.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        extract(tar, item, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(tarfile.TarFile, "extract", fill)
    with pytest.raises(OSError, match=r"No space left on device: .*/data'"):
        unpack(pack(tmp_path / "dev.tar.gz", DEV), tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize("where", ["tarfile.TarFile.extract", "json.dumps"])
def test_killed_unpacking_is_done_again(where: str, tmp_path: Path) -> None:
    archive, folder = pack(tmp_path / "dev.tar.gz", DEV), tmp_path / "data"
    program = (
        "import json, os, signal, sys, tarfile; from pathlib import Path; from data_prep.unpack import unpack\n"
        f"{where} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    killed = subprocess.run([sys.executable, "-c", program, archive, folder], check=False)
    assert killed.returncode == -signal.SIGKILL
    (folder / ".dev.tar.gz.part").mkdir(exist_ok=True)
    (folder / ".dev.tar.gz.part/half").touch()
    assert unpack(archive, folder) == 2
    assert tree(folder) == DEV
    assert unpack(archive, folder) is None
