"""Our beam search beside the beam searches that others use, on the same emissions, lexicon and n-gram. One core.

    python tests/benchmarks/decoder/peers.py --data $DATA/speech/LibriSpeech/dev-mini
    python tests/benchmarks/decoder/peers.py --model exp/character_model --data $DATA/speech/LibriSpeech/dev-mini

Of a model of phones, such as the one that ships, flashlight-text alone can spell words; all peers can of a model of
characters (asr export --units characters, then asr tune). What happens:

1. The emissions of all utterances are computed once and dumped into exp/decoder_peers, with the lexicon and the rest.
2. Each peer gets a virtual environment of its own in exp/decoder_peers/venvs, from PyPI.
3. run_ours.py and the peers' run_*.py are run one after the other on the dump (measure.py says how), each at three beam
   sizes, with the bundle's first-pass weights, for the best hypothesis alone. What else prunes is fixed: ours as in the
   bundle, the peers' to what served them best among settings tried on 20 utterances of dev-mini; each script states it.

The table's columns: microseconds of processor time in the decode calls over frames of 40 ms; WER; and the criterion all
of them maximise, log P_CTC(words) + weight * ln P(words </s>) + bonus * words, computed anew for the words that were
found and averaged over the utterances: the higher, the better the search. "× ours" compares each decoder's beam of
fewest errors with ours of fewest errors; "× ours at its WER" with our fastest that makes no more errors.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy; the decoders inherit it

import kenlm
import numpy as np
from corpus import on_one_core, with_emissions
from rich import box
from rich.console import Console
from rich.table import Table

from asr.acoustic.model import FRAME_SECONDS
from asr.cli.options import read_cuts
from asr.decoder.hypothesis import Weights
from asr.evaluation.errors import error_rates
from asr.lexicon.lexicon import write_lexicon
from asr.lexicon.units import BLANK, CharacterUnits, PhoneUnits, Units
from asr.recognizer import Recognizer
from lm.bundle import DEFAULT
from lm.text.vocabulary import SPECIAL_WORDS

HERE = Path(__file__).parent
OUTPUT = Path("exp/decoder_peers")


@dataclass(frozen=True)
class Peer:
    """A decoder, and what runs it."""

    name: str
    script: list[str]
    beams: tuple[int, ...]
    requirements: list[str] = field(default_factory=list)  # of its environment; none: that of this script
    lacks: str = ""
    phones: bool = True  # does it have a lexicon that can spell words in them?


OURS = Peer("nicebeach", ["run_ours.py"], (100, 300, 1000))
PEERS = [
    Peer(
        "flashlight-text 0.0.7",
        ["run_flashlight.py"],
        (100, 300, 1000),
        ["flashlight-text==0.0.7", "numpy"],
        "can't hold a word's last unit: words are spelled with their separator last, or twice with twins of the last "
        "phone; 6 words at most may sound alike",
    ),
    Peer(
        "ctc-beam-decoder 0.2.0",
        ["run_pyctcdecode.py", "ctc_beam_decoder"],
        (300, 1000, 3000),
        ["ctc-beam-decoder==0.2.0", "numpy"],
        "no lexicon but a list of words, no look-ahead of the n-gram within a word, spaces between words only",
        phones=False,
    ),
    Peer(
        "pyctcdecode 0.5.0",
        ["run_pyctcdecode.py", "pyctcdecode"],
        (100, 300, 1000),
        ["pyctcdecode==0.5.0", "kenlm", "numpy<2"],
        "the same as ctc-beam-decoder, which reproduces it",
        phones=False,
    ),
]


@dataclass(frozen=True)
class Row:
    """What a decoder did at one beam size."""

    beam: int
    frame_microseconds: float
    real_time_factor: float
    wer: float  # per cent
    criterion: float  # of what was found, nats an utterance


def environment(peer: Peer) -> str:
    """The Python that runs a peer, in a virtual environment made on the first call."""
    if not peer.requirements:
        return sys.executable
    folder = OUTPUT / "venvs" / peer.name.replace(" ", "-")
    ready = folder / "ready"
    if not ready.exists():
        print(f"{peer.name}: installing {' '.join(peer.requirements)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        path = f"{folder.resolve() / 'bin'}:{os.environ['PATH']}"
        for packages in ["cmake"], peer.requirements:  # kenlm is compiled by cmake
            pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *packages]
            subprocess.run(pip, check=True, env=os.environ | {"PATH": path}, stdout=sys.stderr)
        ready.touch()
    return str(folder.absolute() / "bin" / "python")  # not resolve(): it is a link


def dump(recognizer: Recognizer, emissions: list[np.ndarray], model: Path) -> None:
    """Write what measure.read_problem reads."""
    weights = recognizer.search.weights
    symbols = recognizer.units.symbols
    problem = {
        "symbols": symbols,
        "ngram": str(model.resolve() / "ngram.bin"),
        "ngram_weight": weights.ngram,
        "word_bonus": weights.word,
        "model": str(model.resolve()),
    }
    (OUTPUT / "problem.json").write_text(json.dumps(problem, ensure_ascii=False), encoding="utf-8")
    np.savez(OUTPUT / "emissions.npz", frames=np.concatenate(emissions), lengths=[len(item) for item in emissions])
    words = [word for word in recognizer.search.vocabulary if word not in SPECIAL_WORDS]
    spellings = {
        word: [" ".join(symbols[unit] for unit in units) for units in recognizer.units.pronunciations(word)]
        for word in words
    }
    write_lexicon(OUTPUT / "lexicon.txt", spellings)


def criterion(log_probs: np.ndarray, words: list[str], units: Units, ngram: kenlm.Model, weights: Weights) -> float:
    """What is to be maximised, of words (nats); log_probs [T, units]. By none of the decoders' code."""
    acoustic = ctc_log_prob(log_probs, [units.pronunciations(word) for word in words])
    return acoustic + weights.ngram * math.log(10) * ngram.score(" ".join(words)) + weights.word * len(words)


def ctc_log_prob(log_probs: np.ndarray, words: list[list[list[int]]]) -> float:
    """log P of all CTC paths of all pronunciations of the words; log_probs [T, units]. The forward algorithm."""
    emitted = [BLANK]  # of each state; here the blank before the first word
    arcs = [(0, 0)]
    reached = [0]  # the states in which all words so far have been said
    for pronunciations in words:
        ends = []
        for pronunciation in pronunciations:
            before = reached
            for place, unit in enumerate(pronunciation):
                label = len(emitted)
                emitted.append(unit)
                arcs += [(label, label), *((state, label) for state in before if emitted[state] != unit)]
                if place + 1 < len(pronunciation):
                    emitted.append(BLANK)
                    arcs += [(label, label + 1), (label + 1, label + 1)]
                    before = [label, label + 1]
            ends.append(label)
        blank = len(emitted)  # after the word, whatever its pronunciation
        emitted.append(BLANK)
        arcs += [(blank, blank), *((end, blank) for end in ends)]
        reached = [*ends, blank]
    steps = np.zeros((len(emitted), len(emitted)))
    steps[tuple(np.transpose(arcs))] = 1.0
    forward, total = np.zeros(len(emitted)), 0.0
    forward[0] = 1.0
    for frame in np.exp(log_probs[:, emitted].astype(np.float64)):
        forward = (forward @ steps) * frame
        total += math.log(forward.sum())
        forward /= forward.sum()
    return total + math.log(forward[reached].sum())


def run(peer: Peer) -> dict[str, Any]:
    """What measure.measure prints for this peer."""
    print(f"{peer.name}:", file=sys.stderr)
    command = [environment(peer), *peer.script, str(OUTPUT.resolve()), *map(str, peer.beams)]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, cwd=HERE, stdout=subprocess.PIPE).stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEFAULT, help="a model folder, of phones or characters")
    parser.add_argument(
        "--data", type=Path, required=True, help="recordings with known text, as asr evaluate reads them"
    )
    parser.add_argument("--limit", type=int, help="use so many utterances, evenly spread")
    arguments = parser.parse_args()
    on_one_core()

    recognizer = Recognizer(arguments.model)
    if not isinstance(recognizer.units, CharacterUnits | PhoneUnits):
        raise ValueError(f"{arguments.model}: of pieces, which the peers can't spell; take one of phones or characters")
    of_phones = isinstance(recognizer.units, PhoneUnits)
    decoders = [OURS, *(peer for peer in PEERS if peer.phones or not of_phones)]
    corpus = with_emissions(recognizer, read_cuts(arguments.data, arguments.limit)[0])
    emissions = corpus.emissions
    OUTPUT.mkdir(parents=True, exist_ok=True)
    dump(recognizer, emissions, arguments.model)

    weights, ngram = recognizer.search.weights, kenlm.Model(str(arguments.model / "ngram.bin"))
    frames = sum(map(len, emissions))
    settings, rows = {}, {}
    for peer in decoders:
        result = run(peer)
        settings[peer.name] = result["settings"]
        rows[peer.name] = [
            Row(
                beam=item["beam"],
                frame_microseconds=1e6 * item["seconds"] / frames,
                real_time_factor=item["seconds"] / (frames * FRAME_SECONDS),
                wer=error_rates(corpus.references, item["texts"]).wer,
                criterion=float(
                    np.mean(
                        [
                            criterion(log_probs, text.split(), recognizer.units, ngram, weights)
                            for log_probs, text in zip(emissions, item["texts"], strict=True)
                        ]
                    )
                ),
            )
            for item in result["runs"]
        ]
    report(rows)
    print(f"{len(emissions)} utterances, {frames} frames of {1000 * FRAME_SECONDS:g} ms; one core, processor time")
    print(f"criterion: acoustic + {weights.ngram:g} × ln P(words </s>) + {weights.word:g} × words")
    if of_phones:
        print("the other peers have no lexicon, so that they can't tell words from phones")
    for peer in decoders:
        print(f"{peer.name}: {', '.join(f'{name} {value}' for name, value in settings[peer.name].items())}")
        if peer.lacks:
            print(f"    {peer.lacks}")
    result = {
        "utterances": len(emissions),
        "frames": frames,
        "ngram_weight": weights.ngram,
        "word_bonus": weights.word,
        "settings": settings,
        "rows": {name: [asdict(row) for row in of_peer] for name, of_peer in rows.items()},
    }
    (OUTPUT / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"all this is in {OUTPUT / 'results.json'}", file=sys.stderr)


def best(rows: list[Row]) -> Row:
    """The row of fewest errors; of several the fastest."""
    return min(rows, key=lambda row: (row.wer, row.frame_microseconds))


def report(rows: dict[str, list[Row]]) -> None:
    """Print the table."""
    ours = rows[OURS.name]
    table = Table(
        "decoder", "beam", "µs a frame", "RTF", "WER %", "criterion", "× ours", "× ours at its WER", box=box.SIMPLE
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for name, of_peer in rows.items():
        for row in of_peer:
            ratios = ["", ""]
            if row is best(of_peer) and name != OURS.name:
                as_good = [own.frame_microseconds for own in ours if own.wer <= row.wer]
                ratios = [
                    f"{row.frame_microseconds / best(ours).frame_microseconds:.1f}",
                    f"{row.frame_microseconds / min(as_good):.1f}" if as_good else "none as good",
                ]
            figures = [row.beam, f"{row.frame_microseconds:.1f}", f"{row.real_time_factor:.5f}", f"{row.wer:.2f}"]
            table.add_row(name, *map(str, figures), f"{row.criterion:.2f}", *ratios)
    Console(width=120).print(table)


try:
    main()
except (ValueError, OSError) as error:
    sys.exit(f"error: {error}")
