"""What `import asr`, `import lm` and `import data_prep` offer, and that it costs nothing until it is asked for."""

import ast
import doctest
import importlib
import inspect
import pydoc
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from typer import Typer
from typer.testing import CliRunner

import asr
import data_prep
import lm
from asr.cli import app as asr_app
from data_prep.cli import app as data_prep_app
from lm.cli import app as lm_app

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("package", [asr, lm])
def test_every_name_is_offered_to_all_who_look(package: ModuleType) -> None:
    names: dict[str, object] = {}
    exec(f"from {package.__name__} import *", names)
    for name in package.__all__:
        assert names[name] is getattr(package, name)
        assert inspect.getdoc(names[name])
        assert name in dir(package)
        assert name in pydoc.plain(pydoc.render_doc(package))
    # And to type checkers.
    (guard,) = (node for node in ast.parse(inspect.getsource(package)).body if isinstance(node, ast.If))
    imports = [node for node in guard.body if isinstance(node, ast.ImportFrom)]
    assert sorted(alias.name for node in imports for alias in node.names) == package.__all__


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'asr' has no attribute 'Recogniser'"):
        asr.Recogniser  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="Recogniser"):
        from asr import Recogniser  # type: ignore[attr-defined]  # noqa: F401


def test_the_fronts_load_nothing() -> None:
    code = "import asr, data_prep, lm, sys; print(*{'numpy', 'typer', 'importlib.metadata'} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "\n"


@pytest.mark.parametrize(
    "module",
    ["asr", "asr.decoder.nbest", "lm", "lm.text.normalise", "lm.text.vocabulary"],
)
def test_examples_are_true(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert (failed, tried > 0) == (0, True)


@pytest.mark.parametrize("package", [asr, lm, data_prep])
def test_version(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", {"nicebeach": "1.2.3"}.get)
    assert package.__version__ == "1.2.3"
    assert "__version__" in dir(package)


def test_a_version_that_nobody_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert asr.__version__ == "0+unknown"


@pytest.mark.parametrize("app", [asr_app, lm_app, data_prep_app])
def test_commands_tell_their_version(app: Typer) -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"nicebeach {lm.__version__}\n", "")
