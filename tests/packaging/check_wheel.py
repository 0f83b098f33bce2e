"""Installs the wheels in dist/ where nothing can be compiled, and tries them where nothing can be written.

    python3 tests/packaging/check_wheel.py python3.11 python3.12 python3.13

Each Python gets a new venv, with no other program on PATH. The commands run as the user nobody if root runs this, HOME
unset, all folders read-only, and a limit of 0 bytes on whatever file they may open elsewhere.
"""

import os
import resource
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "tests/data/5789-70653-0013.flac"
PACKAGES = ("asr/", "lm/", "data_prep/")
TRIALS = (
    (["asr", "transcribe", RECORDING.name], "WHAT TIME IT WAS"),
    (["lm", "next", "how to recognize", "--model", "mixture"], "THE"),
    (["lm", "score", "how to recognize speech", "--model", "mixture"], "SPEECH"),
    (["python", "-c", f"from asr import Recognizer; print(Recognizer().transcribe('{RECORDING.name}').text)"], "TIME"),
)


def main() -> None:
    check_contents()
    for python in sys.argv[1:]:
        with TemporaryDirectory() as folder:
            check(python, Path(folder))


def dist(pattern: str) -> Path:
    found = sorted((ROOT / "dist").glob(pattern))
    if len(found) != 1:
        sys.exit(f"dist/ holds {len(found)} of {pattern}, one is wanted: make wheel")
    return found[0]


def check_contents() -> None:
    """The wheels hold all that runs and nothing else, the source package holds the repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = {name for name in listed.splitlines() if not name.startswith(".")}
    run = {name for name in tracked if name.startswith(PACKAGES) and not name.endswith((".cpp", ".hpp"))}
    for wheel in (dist("*-cp311-cp311-manylinux*.whl"), dist("*-cp312-abi3-manylinux*.whl")):
        held = {name for name in ZipFile(wheel).namelist() if not name.startswith("nicebeach-") and name[-1] != "/"}
        assert run <= held, f"{wheel.name} lacks {sorted(run - held)}"
        assert all(name.endswith(".so") for name in held - run), f"{wheel.name} holds {sorted(held - run)}"
        print(f"{wheel.name}: {len(held)} files")
    source = dist("*.tar.gz")
    with tarfile.open(source) as tar:
        held = {name.partition("/")[2] for name in tar.getnames()}
    assert tracked <= held, f"{source.name} lacks {sorted(tracked - held)}"
    print(f"{source.name}: the {len(tracked)} files of the repository")


def check(python: str, folder: Path) -> None:
    """Installs with this Python into the folder, takes away the right to write there, and tries the commands."""
    folder.chmod(0o755)
    venv = folder / "venv"
    path = {"PATH": f"{venv}/bin"}
    subprocess.run([python, "-m", "venv", venv], check=True)
    version = run(["python", "-c", "import platform; print(platform.python_version())"], folder, path).strip()
    wheel = dist("*-cp311-cp311-*.whl" if version.startswith("3.11.") else "*-cp312-abi3-*.whl")
    run(["python", "-m", "pip", "install", "-qq", wheel], folder, path | pip_settings())
    shutil.copy(RECORDING, folder)
    for item in (folder, *folder.rglob("*")):
        if not item.is_symlink():
            item.chmod(item.stat().st_mode & 0o555 | 0o444)
    before = snapshot(folder)
    for command, expected in TRIALS:
        said = run(command, folder, path, confined=True)
        assert expected in said, f"{python}: {command} printed {said!r}"
    changed = {name for name, _ in before.items() ^ snapshot(folder).items()}
    assert not changed, f"{python}: these were written: {sorted(changed)}"
    user = "nobody" if os.geteuid() == 0 else "you"
    print(f"Python {version}: {len(TRIALS)} commands ran as {user}, and wrote nothing")


def run(command: list[str | Path], folder: Path, environment: dict[str, str], confined: bool = False) -> str:
    """What a command prints; it must succeed, and in silence but for that."""
    identity = {"user": "nobody", "group": "nogroup", "extra_groups": []} if confined and os.geteuid() == 0 else {}
    done = subprocess.run(
        [folder / "venv/bin" / command[0], *command[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=write_nothing if confined else None,
        **identity,
    )
    assert done.returncode == 0, f"{command} failed: {done.stderr}"
    assert not confined or not done.stderr, f"{command} complained: {done.stderr}"
    return done.stdout


def write_nothing() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def pip_settings() -> dict[str, str]:
    """Where this machine's packages come from, if its environment says so."""
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_")}


def snapshot(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Each path below a folder, with when it was changed, its size and its mode."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_mtime_ns, status.st_size, status.st_mode)
    return found


if __name__ == "__main__":
    main()
