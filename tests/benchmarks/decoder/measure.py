"""What every decoder of peers.py is given, and how each is timed. Imports numpy only: it runs in the peers' venvs."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Decode = Callable[[np.ndarray], str]  # log-probs float32 [T, units] to text
Prepared = tuple[Callable[[int], Decode], dict[str, Any]]  # what makes a decoder of a beam size; settings to report


@dataclass(frozen=True)
class Problem:
    """What peers.py dumped. To be found: argmax of log P_CTC(words) + ngram_weight ln P(words </s>) + word_bonus n."""

    emissions: list[np.ndarray]  # float32 [T, units] each, natural logs, unit 0 the blank
    symbols: list[str]  # of the units
    lexicon: dict[str, list[list[str]]]  # word -> its pronunciations, in symbols; no other words are allowed
    ngram: str  # path of a KenLM binary
    ngram_weight: float
    word_bonus: float
    model: str  # path of the bundle that all this is from

    @property
    def separator(self) -> int | None:
        """The unit that words begin with; phones have none."""
        return self.symbols.index("▁") if "▁" in self.symbols else None


def read_problem(folder: Path) -> Problem:
    arrays = np.load(folder / "emissions.npz")
    emissions = np.split(arrays["frames"], np.cumsum(arrays["lengths"])[:-1])
    lines = (folder / "lexicon.txt").read_text(encoding="utf-8").splitlines()
    lexicon: dict[str, list[list[str]]] = {}
    for word, spelling in (line.split("\t") for line in lines):
        lexicon.setdefault(word, []).append(spelling.split())
    return Problem(emissions, lexicon=lexicon, **json.loads((folder / "problem.json").read_text(encoding="utf-8")))


def measure(prepare: Callable[[Problem], Prepared]) -> None:
    """Print, as JSON, the settings, and for each beam size the seconds in the decode calls and the texts.

    sys.argv[1:] are the folder of the dump and the beam sizes. Seconds are of processor time, which other work on the
    machine disturbs least.
    """
    problem = read_problem(Path(sys.argv[1]))
    decoder, settings = prepare(problem)
    runs = []
    for beam in map(int, sys.argv[2:]):
        decode = decoder(beam)
        decode(problem.emissions[0])  # warm-up
        seconds, texts = 0.0, []
        for log_probs in problem.emissions:
            started = time.process_time()
            text = decode(log_probs)
            seconds += time.process_time() - started
            texts.append(text)
        print(f"beam {beam}: {seconds:.1f} s", file=sys.stderr)
        runs.append({"beam": beam, "seconds": seconds, "texts": texts})
    json.dump({"settings": settings, "runs": runs}, sys.stdout)
