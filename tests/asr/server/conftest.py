"""A server for all tests of this folder, of the bundle that is small."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

running = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("running.py"))))


@pytest.fixture(scope="session")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """With a key; 2 recordings are worked on, 2 wait; 5 MB, 200 seconds; 3 streams; clients must send in 3 seconds.

    Pages of https://app.example may use it, too.
    """
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "websockets"):
        pytest.importorskip(package, reason=f"no {package}: the extra server is not installed")
    options = "--workers 2 --queue 2 --live 3 --max-upload 5 --max-seconds 200 --patience 3".split()
    options += ["--origin", "https://app.example"]
    made = running.Server(tmp_path_factory.mktemp("server"), "--model", tiny_bundle, *options)
    yield made
    assert made.end() == 0
    assert not [*made.temporary.iterdir()]
