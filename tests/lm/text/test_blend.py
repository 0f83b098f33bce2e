from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lm.cli import app
from lm.text.blend import blend


@pytest.fixture
def texts(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("books.txt", "talk.txt")]
    for path, count in zip(paths, (1000, 100), strict=True):
        path.write_text("".join(f"{path.stem.upper()} {n}\n" for n in range(count)))
    return paths


def test_shares_hold_everywhere(texts: list[Path], tmp_path: Path) -> None:
    passes = blend(texts, [1, 3], tmp_path / "out", words=1600, block=10)
    lines = (tmp_path / "out").read_text().splitlines()
    assert passes == [0.2, 6.0]
    assert set(lines) < {line for path in texts for line in path.read_text().splitlines()}
    for start in (0, 400):  # in each half of it
        kinds = Counter(line.split()[0] for line in lines[start : start + 400])
        assert 0.15 < kinds["BOOKS"] / 400 < 0.35
    assert set(Counter(line for line in lines if "TALK" in line).values()) == {6}


def test_lines_of_a_block_stay_together(texts: list[Path], tmp_path: Path) -> None:
    blend(texts, [1, 1], tmp_path / "out", words=400, block=50)
    lines = (tmp_path / "out").read_text().splitlines()
    follows = sum(int(b.split()[1]) == int(a.split()[1]) + 1 for a, b in pairwise(lines))
    assert follows >= 0.95 * len(lines)


def test_command(texts: list[Path], tmp_path: Path) -> None:
    def run(*arguments: object) -> str:
        return CliRunner().invoke(app, ["blend", *map(str, arguments), "--output", str(tmp_path / "out")]).stderr

    assert "talk.txt: taken 5.00 times" in run(f"{texts[0]}", f"{texts[1]}:0.5", "--words", 0.003)
    assert "no such text" in run(tmp_path / "nowhere", "--words", 1)
    assert "want FILE or FILE:SHARE" in run(f"{texts[0]}:much", "--words", 1)
