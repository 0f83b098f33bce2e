"""The whole recipe, from recordings to an error rate, on a few recordings and with tiny models."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lm.ngram.model import NgramModel
from lm.text.vocabulary import END, Vocabulary

RECIPE = Path(__file__).parents[2] / "recipes/spoken_digits"
DIGITS = Vocabulary("ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE".split())


def test_the_packed_grammar_is_that_of_the_arpa_file() -> None:
    digits = DIGITS.encode(DIGITS)[3:]
    sentences = [[first, second, END] for first in digits for second in digits]
    packed, plain = (NgramModel(RECIPE / name, DIGITS).log_probs(sentences) for name in ("digits.bin", "digits.arpa"))
    assert all((one == other).all() for one, other in zip(packed, plain, strict=True))


@pytest.mark.skipif("NICEBEACH_DATA" not in os.environ, reason="NICEBEACH_DATA (the corpora) is not set")
def test_the_whole_recipe_runs_by_one_command(tmp_path: Path) -> None:
    recordings = Path(os.environ["NICEBEACH_DATA"]) / "speech/fsdd/recordings"
    (tmp_path / "data/recordings").mkdir(parents=True)
    for speaker in ("george", "theo"):
        for digit in range(10):
            for number in (0, 5):
                shutil.copy(recordings / f"{digit}_{speaker}_{number}.flac", tmp_path / "data/recordings")
    steps = "max_steps = 3\nvalidate_every = 3\n"
    tiny = {
        "acoustic": f"{steps}[model]\nhidden = 16\nlayers = 1\n",
        "lstm": f"rows = 1\nwords = 1\n{steps}[model]\nhidden = 4\ncutoffs = [12]\nshrink = 1\n",
    }
    for name, settings in tiny.items():
        (tmp_path / f"{name}.toml").write_text(f'base = "{RECIPE / name}.toml"\n{settings}')
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {"DATA": tmp_path / "data", "SETTINGS": tmp_path, "HELDOUT": "theo"}
    command = ["make", "-f", RECIPE / "Makefile", *(f"{name}={value}" for name, value in variables.items())]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True)

    done = run()
    assert done.returncode == 0, done.stderr
    made = tmp_path / "exp/digits"
    heard = {name: (made / f"{name}.jsonl").read_text() for name in ("train", "dev", "heldout")}
    assert {name: text.count("\n") for name, text in heard.items()} == {"train": 10, "dev": 10, "heldout": 20}
    assert "theo" not in heard["train"] + heard["dev"]
    assert "george" not in heard["heldout"]
    assert "oracle: WER" in (made / "results.txt").read_text()
    assert "utterances 20  words 20" in done.stdout
    assert "is up to date" in run().stdout
