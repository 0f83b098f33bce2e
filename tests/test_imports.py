"""The house: who may import whom. docs/design.md says what each room is for."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[1]

# From the top floor down. A module may import what lies on its own floor or further down.
FLOORS = """
asr
asr.cli
asr.server
asr.archive
asr.transcription
asr.training
asr.evaluation
asr.pictures
asr.recognizer
asr.live
asr.workers
asr.transcript
asr.decoder
asr.lexicon
asr.acoustic
asr.audio
data_prep.cli
data_prep
lm
lm.cli
lm.training
lm.answers lm.interactive lm.pictures
lm.readable
lm.generate lm.query
lm.cache lm.mixture
lm.lstm lm.ngram
lm.model
lm.text
lm.bundle
lm.cluster lm.files lm.front lm.progress lm.settings
"""


def modules() -> dict[str, ast.Module]:
    """All modules of the packages, by name, parsed."""
    paths = chain.from_iterable((ROOT / package).rglob("*.py") for package in ("asr", "lm", "data_prep"))
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths}
    return {name: ast.parse(path.read_text()) for path, name in names.items()}


def imported(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """Which of the modules of these names one imports anywhere in it, be it for a type checker alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from inside & names or {str(node.module)} & names


def floor(module: str) -> int:
    """Which line of FLOORS a module is on: that of the longest of the names there that it begins with."""
    floors = {room: number for number, line in enumerate(FLOORS.split("\n")) for room in line.split()}
    rooms = [room for room in floors if f"{module}.".startswith(f"{room}.")]
    return floors[max(rooms, key=len)]


def test_nobody_imports_from_above() -> None:
    trees = modules()
    upwards = [
        f"{module} imports {other}"
        for module, tree in trees.items()
        for other in imported(tree, set(trees))
        if floor(other) < floor(module)
    ]
    assert not upwards


def test_nobody_imports_in_circles() -> None:
    trees = modules()
    try:
        TopologicalSorter({module: imported(tree, set(trees)) for module, tree in trees.items()}).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None


def test_every_room_is_there() -> None:
    """A room that moved out would keep its rules, and what moved in would be taken for its neighbour."""
    rooms = set(FLOORS.split())
    assert rooms <= modules().keys()
    packages = {str(path.parent.relative_to(ROOT)).replace("/", ".") for path in ROOT.glob("[al][sm]*/*/__init__.py")}
    assert packages <= rooms


def test_what_stands_beside_the_packages_imports_what_they_have() -> None:
    """Recipes, examples and benchmarks, which few tests run."""
    names = modules()
    folders = ("examples", "recipes", "tests/benchmarks")
    paths = [*chain.from_iterable((ROOT / name).rglob("*.py") for name in folders)]
    for path in [*paths, ROOT / "recipes/librispeech/run"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("asr", "lm", "data_prep"):
                module = import_module(str(node.module))
                for alias in node.names:
                    known = hasattr(module, alias.name) or f"{node.module}.{alias.name}" in names
                    assert known, f"{path}: {node.module} has no {alias.name}"
