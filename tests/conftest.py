"""Real recordings, and a bundle small enough to be made for every run of the tests."""

import os

# Two OpenMP threads on cores that have other work, too, take ten times as long as one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("always the same", derandomize=True, deadline=None)  # no test asserts a time
settings.load_profile("always the same")

# A shell has what runs in its background ignore Ctrl-C, and nohup has it ignore a closed terminal; so would programs
# that tests send these signals to.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, usual)

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def kenlm() -> Any:
    """The package, whose scores ours are compared with."""
    return pytest.importorskip("kenlm", reason="no kenlm: its source doesn't compile on Python 3.13 and later")


@pytest.fixture(scope="session")
def recordings() -> dict[Path, str]:
    """Three recordings of LibriSpeech and what is said in them."""
    lines = (DATA / "librispeech.trans.txt").read_text().splitlines()
    return {DATA / f"{name}.flac": text for name, text in (line.split(maxsplit=1) for line in lines)}


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of characters and thirty words: all its parts are real, but its weights are random."""
    import torch
    from safetensors.numpy import save_file

    from asr.acoustic.model import AcousticConfig
    from asr.acoustic.network import AcousticNetwork
    from asr.decoder.beam import BeamConfig
    from asr.decoder.hypothesis import Weights
    from asr.lexicon.units import CharacterUnits
    from lm.bundle import quantized, write_bundle
    from lm.lstm.model import LstmConfig
    from lm.text.vocabulary import SPECIAL_WORDS, Vocabulary
    from lm.training.network import WordLstm

    torch.manual_seed(1)
    made = tmp_path_factory.mktemp("made")
    unigrams = (DATA / "tiny.arpa").read_text().split("\\1-grams:\n")[1].split("\n\n")[0]
    words = [line.split("\t")[1] for line in unigrams.splitlines()]
    vocabulary = Vocabulary(word for word in words if word not in SPECIAL_WORDS)
    vocabulary.save(made / "vocabulary.txt")
    acoustic = AcousticNetwork(AcousticConfig(len(CharacterUnits().symbols), hidden=16, layers=1, channels=4))
    acoustic.output.weight.data *= 3  # so that units differ by more than rounding
    lstm = WordLstm(LstmConfig(len(vocabulary), hidden=16, cutoffs=(8, 20), shrink=2))
    for name, network in (("acoustic", acoustic), ("lstm", lstm)):
        weights = {name: weight.numpy() for name, weight in network.state_dict().items()}
        save_file(quantized(weights), made / f"{name}.safetensors")
    config = {
        "units": "characters",
        "acoustic": asdict(acoustic.config),
        "lstm": asdict(lstm.config),
        "mixture": {"ngram_weight": 0.5},
        "decoder": {
            "beam": asdict(BeamConfig(size=200, nbest=20)),
            "first_pass": asdict(Weights(ngram=0.5, lstm=0.0, word=4.0)),
            "second_pass": asdict(Weights(ngram=0.3, lstm=0.4, word=4.0)),
        },
    }
    files = {path.name: path for path in made.iterdir()} | {"ngram.bin": DATA / "tiny.bin"}
    return write_bundle(tmp_path_factory.mktemp("tiny"), config, files).folder
