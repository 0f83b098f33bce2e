import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import typer

from lm.cli.errors import PICTURES, TRAIN, one_line_errors

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("extra", "modules"), [("train", TRAIN), ("pictures", PICTURES)])
def test_a_missing_module_is_told_with_the_extra_that_brings_it(
    extra: str, modules: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    brought = {re.split(r"[^\w-]", requirement)[0] for requirement in project["optional-dependencies"][extra]}
    assert brought == modules
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(typer.Exit), one_line_errors():
            import_module(name)
        told = capsys.readouterr().err
        assert told.startswith(f"error: {name} is not installed")
        assert told.endswith(f"pip install 'nicebeach[{extra}]'\n")


def test_a_missing_module_of_anything_else_is_no_fault_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ModuleNotFoundError), one_line_errors():
        import_module("numpy")


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        ("torch", "asr train settings.toml --units characters --output out"),
        ("lhotse", "asr evaluate --data tests/data"),
        ("lhotse", "data_prep show tests/data"),
        ("torch", "lm train settings.toml --output out"),
    ],
)
def test_commands_that_need_the_extra_say_so(missing: str, command: str) -> None:
    script = f"""if True:
        import importlib, sys
        sys.modules["{missing}"] = None
        importlib.import_module(f"{{sys.argv[1]}}.cli").app(sys.argv[2:])
    """
    done = subprocess.run([sys.executable, "-c", script, *command.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    need = f"{missing} is not installed, and training, evaluation and corpora need it"
    assert done.stderr == f"error: {need}: pip install 'nicebeach[train]'\n"
