from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from asr.acoustic.model import AcousticConfig
from asr.acoustic.network import AcousticNetwork
from asr.cli import app
from asr.lexicon.units import PHONES, CharacterUnits
from asr.recognizer import Recognizer
from asr.training.pieces import train_pieces
from lm.bundle import DEFAULT
from lm.text.vocabulary import SPECIAL_WORDS, Vocabulary

DATA = Path(__file__).parents[2] / "data"


def checkpoint(path: Path, units: int, bidirectional: bool = True) -> Path:
    """As `asr train` writes it, with random weights."""
    torch.manual_seed(1)
    model = AcousticNetwork(AcousticConfig(units, hidden=16, layers=1, channels=4, bidirectional=bidirectional))
    weights = {f"model.{name}": weight for name, weight in model.state_dict().items()}
    torch.save({"sizes": vars(model.config), "state_dict": weights}, path)
    return path


def export(output: Path, acoustic: Path, language_models: Path, *more: object) -> Result:
    arguments = ["export", output, "--acoustic", acoustic, "--language-models", language_models, *more]
    return CliRunner().invoke(app, list(map(str, arguments)))


def assert_it_transcribes(model: Path, units: int) -> None:
    recognizer = Recognizer(model)
    noise = np.random.default_rng(1).standard_normal(16_000).astype(np.float32)
    assert recognizer.emissions(noise).shape[1] == units
    assert recognizer.transcribe(0.1 * noise).duration == 1


def test_characters(tiny_bundle: Path, tmp_path: Path) -> None:
    units = len(CharacterUnits().symbols)
    acoustic = checkpoint(tmp_path / "best.ckpt", units)
    assert export(tmp_path / "model", acoustic, tiny_bundle, "--units", "characters").exit_code == 0
    assert_it_transcribes(tmp_path / "model", units)
    assert not list(tmp_path.glob("model/l[ei]*"))  # neither lexicon nor letter-to-sound


def test_phones(tiny_bundle: Path, tmp_path: Path) -> None:
    units = 1 + len(PHONES)
    acoustic = checkpoint(tmp_path / "best.ckpt", units)
    result = export(tmp_path / "model", acoustic, tiny_bundle)
    assert (result.exit_code, result.stderr) == (
        1,
        "error: phones need --letter-to-sound FILE; asr train-letter-to-sound makes one\n",
    )
    letter_to_sound = DEFAULT / "letter_to_sound.safetensors"
    result = export(tmp_path / "model", acoustic, tiny_bundle, "--letter-to-sound", letter_to_sound)
    assert result.exit_code == 0
    assert_it_transcribes(tmp_path / "model", units)


def test_a_one_way_model_beside_the_other(tiny_bundle: Path, tmp_path: Path) -> None:
    units = len(CharacterUnits().symbols)
    both = checkpoint(tmp_path / "best.ckpt", units)
    one_way = checkpoint(tmp_path / "streaming.ckpt", units, bidirectional=False)
    characters = ["--units", "characters", "--streaming"]
    result = export(tmp_path / "model", both, tiny_bundle, *characters, both)
    assert result.exit_code == 1
    assert "bidirectional = false" in result.stderr
    assert export(tmp_path / "model", both, tiny_bundle, *characters, one_way).exit_code == 0
    assert_it_transcribes(tmp_path / "model", units)
    recognizer = Recognizer(tmp_path / "model", streaming=True)
    noise = 0.1 * np.random.default_rng(1).standard_normal(50_000).astype(np.float32)
    chunks = recognizer.chunks(np.split(noise, 50))
    whole = recognizer.chunks([noise])
    for one, other in zip(chunks, whole, strict=True):
        np.testing.assert_allclose(one.log_probs, other.log_probs, atol=1e-4)
    assert recognizer.emissions(noise).shape == (len(noise) // 640 + 1, units)


def test_pieces(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [word for word in Vocabulary.load(tiny_bundle / "vocabulary.txt") if word not in SPECIAL_WORDS]
    text, pieces, model = (tmp_path / name for name in ("text.txt", "pieces.model", "model"))
    text.write_text("\n".join(words))
    train_pieces(text, pieces, 33)
    acoustic = checkpoint(tmp_path / "best.ckpt", 34)
    assert export(model, acoustic, tiny_bundle, "--units", "pieces").stderr.startswith(
        "error: pieces need --pieces FILE; asr train-pieces makes one"
    )
    assert export(model, acoustic, tiny_bundle, "--units", "pieces", "--pieces", pieces).exit_code == 0
    assert_it_transcribes(model, 34)
    monkeypatch.setattr("asr.training.tune.TRIED", {"linear": [0.0], "lstm": [0.5], "ngram": [0.5], "word": [0.0, 1.0]})
    monkeypatch.setattr("asr.training.tune.SIZES", (5, 50))
    assert CliRunner().invoke(app, ["tune", str(model), "--data", str(DATA)]).exit_code == 0
    assert CliRunner().invoke(app, ["evaluate", "--model", str(model), "--data", str(DATA)]).exit_code == 0


def test_a_checkpoint_of_other_units(tiny_bundle: Path, tmp_path: Path) -> None:
    acoustic = checkpoint(tmp_path / "best.ckpt", 1 + len(PHONES))
    result = export(tmp_path / "model", acoustic, tiny_bundle, "--units", "characters")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "emits 40 units, but characters are 29" in line
