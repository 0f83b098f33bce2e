"""The training engine, by way of a tiny LSTM language model."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lm.lstm.model import LstmConfig, LstmModel
from lm.query import word_probability
from lm.text.vocabulary import Vocabulary
from lm.training.engine import read_checkpoint
from lm.training.train import LstmTrainConfig, LstmTraining, SequenceLoader, read_config, token_ids, train


@pytest.fixture
def config(tmp_path: Path) -> LstmTrainConfig:
    """Training on a text in which each letter is followed by the next."""
    Vocabulary("ABCDEF").save(tmp_path / "vocabulary.txt")
    (tmp_path / "text.txt").write_text("A B C D E F\n" * 37)
    return LstmTrainConfig(
        text=str(tmp_path / "text.txt"),
        dev=str(tmp_path / "text.txt"),
        vocabulary=str(tmp_path / "vocabulary.txt"),
        model={"hidden": 8, "cutoffs": (4,), "shrink": 2, "dropout": 0.2},
        rows=10,
        words=5,  # so that an epoch has five steps
        max_steps=12,
        validate_every=4,
        warmup_steps=3,
        learning_rate=3e-2,
        precision="32-true",
    )


def perplexities(log: str) -> list[float]:
    return [float(line.split("dev/perplexity ")[1].split()[0]) for line in log.splitlines() if "dev/" in line]


def test_it_learns(config: LstmTrainConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    best = train(replace(config, max_steps=150), tmp_path / "run")
    dev = perplexities(capfd.readouterr().err)
    assert dev[0] > 5
    assert dev[-1] < 1.3
    sizes, weights = read_checkpoint(best)
    model = LstmModel(LstmConfig(**sizes), weights, Vocabulary.load(Path(config.vocabulary)))
    assert word_probability(model, ["A", "B", "C"], "D") > 0.8


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"cell": "gru"}},
        {"model": {"cell": "rnn", "layers": 2}},
        {"model": {"layers": 2, "dropout": 0.0, "word_dropout": 0.01, "weight_drop": 0.1}},
        {"optimizer": "adam", "precision": "bf16-mixed"},
        {"optimizer": "sgd", "learning_rate": 2.0},
    ],
    ids=str,
)
def test_cells_regularisation_and_optimizers_learn(
    config: LstmTrainConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    model = {**config.model, **change.pop("model", {})}
    train(replace(config, max_steps=150, validate_every=50, model=model, **change), tmp_path / "run")
    assert perplexities(capfd.readouterr().err)[-1] < 1.5


# After the first step, before and after a validation, at the end of an epoch, and in the next one.
@pytest.mark.parametrize(
    ("killed_at", "accumulate"), [(1, 1), (4, 1), (5, 1), (8, 1), (10, 1), (11, 1), (5, 2), (8, 2), (9, 2)]
)
def test_a_resumed_training_equals_an_uninterrupted_one(
    config: LstmTrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int, accumulate: int
) -> None:
    config = replace(config, max_steps=12 // accumulate, validate_every=4 // accumulate, accumulate=accumulate)
    train(config, tmp_path / "whole")

    class Killed(Exception):
        pass

    def loss(self: LstmTraining, batch: tuple[torch.Tensor, bool]) -> torch.Tensor:
        if len(steps) == killed_at:
            steps.append(-1)
            raise Killed
        steps.append(self.global_step)
        return original(self, batch)

    steps: list[int] = []
    original = LstmTraining.loss
    monkeypatch.setattr(LstmTraining, "loss", loss)
    monkeypatch.setattr("lm.training.engine.CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Killed):
        train(config, tmp_path / "parts")
    train(config, tmp_path / "parts")
    # The last step before was finished if its number is a multiple of accumulate's.
    batches = [batch // accumulate for batch in range(12)]
    resumed_at = killed_at - killed_at % accumulate
    assert steps == [*batches[:killed_at], -1, *batches[resumed_at:]]
    _, expected = read_checkpoint(tmp_path / "whole/last.ckpt")
    _, found = read_checkpoint(tmp_path / "parts/last.ckpt")
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, rtol=0, atol=1e-6)


def test_a_training_ends_after_its_epochs_and_goes_on_if_it_is_given_more(
    config: LstmTrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(self: LstmTraining, batch: tuple[torch.Tensor, bool]) -> torch.Tensor:
        steps.append(self.global_step)
        rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        return original(self, batch)

    steps: list[int] = []
    rates: list[float] = []
    original = LstmTraining.loss
    monkeypatch.setattr(LstmTraining, "loss", loss)
    config = replace(config, max_steps=None, max_epochs=2)  # of five steps
    for epochs in (2, 2, 3):  # the second time there is nothing left to do
        train(replace(config, max_epochs=epochs), tmp_path / "run")
    assert steps == list(range(15))
    assert rates[9] == pytest.approx(0.01 * config.learning_rate)
    assert rates[3] > rates[6] > rates[9]


def test_a_learning_rate_too_high_is_told(
    config: LstmTrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LstmTraining, "_loss", lambda self, batch, which: torch.tensor(torch.nan, requires_grad=True))
    with pytest.raises(ValueError, match="10 losses in a row are not finite"):
        train(config, tmp_path / "run")


def test_a_text_becomes_rows_that_go_on_from_step_to_step(config: LstmTrainConfig, tmp_path: Path) -> None:
    ids = token_ids(Path(config.text), Vocabulary.load(Path(config.vocabulary)), tmp_path / "tokens")
    assert ids[:9].tolist() == [3, 4, 5, 6, 7, 8, 2, 3, 4]
    assert token_ids(Path(config.text), Vocabulary.load(Path(config.vocabulary)), tmp_path / "tokens")[-1] == 2
    loader = SequenceLoader(ids, rows=10, words=5)
    for _ in range(2):
        steps = list(loader)
        assert len(steps) == len(loader) == 5
        assert [beginning for _, beginning in steps] == [True, False, False, False, False]
        rows = np.concatenate([step.numpy()[:-1] for step, _ in steps]).T
        assert rows.flatten().tolist() == ids[:250].tolist()
        for (step, _), (following, _) in pairwise(steps):
            assert torch.equal(step[-1], following[0])  # a step's last words are targets, then read
    with pytest.raises(ValueError, match="fewer than one step"):
        SequenceLoader(ids, rows=10, words=100)


def test_says_what_is_wrong_with_settings(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    files = 'text = "a"\ndev = "b"\nvocabulary = "c"\n'
    for settings, problem in (
        (files + "hidden = 3\nmax_steps = 1", "no such setting: hidden"),
        ('text = "a"\nmax_steps = 1', "settings are missing: dev, vocabulary"),
        (files, "neither max_minutes nor max_steps nor max_epochs"),
        (files + "max_steps = 1\naccumulate = 0", "accumulate = 0: want a whole number from 1"),
        (files + "max_steps = 0", "max_steps = 0: want a whole number from 1"),
        (files + 'max_steps = "100"', 'max_steps = "100": want a whole number from 1'),
        (files + 'max_minutes = "fast"', 'max_minutes = "fast": want a finite number above 0'),
        (files + "max_steps = 1\nlearning_rate = nan", "learning_rate = nan: want a finite number above 0"),
        (files + "max_epochs = inf", "max_epochs = inf: want a finite number above 0"),
        (files + 'max_steps = 1\noptimizer = "adagrad"', 'optimizer = "adagrad": want "adamw" or "adam" or "sgd"'),
        (files + "max_steps = 1\nmodel = 3", "model = 3: want a table"),
        (files + 'max_steps = 1\n[model]\ncell = "transformer"', 'cell = "transformer": want "lstm" or "gru" or "rnn"'),
        (files + "max_steps = 1\n[model]\ncutoffs = [4, 4]", "cutoffs = .4, 4.: want one word id or more"),
        (files + "max_steps = 1\n[model]\nvocabulary = 3", "leave out model.vocabulary"),
        (files + "max_steps = 1\nbase = 7", "base = 7: want the name of a settings file"),
        (files + 'max_steps = 1\nbase = "settings.toml"', "leads back to this file"),
        ("text = ", "not a TOML file"),
    ):
        path.write_text(settings)
        with pytest.raises(ValueError, match=problem) as error:
            read_config(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model": {"hidden": 16, "cutoffs": (4,), "shrink": 2}}, r"of other sizes \(hidden = 8, now 16"),
        ({"model": {"hidden": 8, "cutoffs": (4,), "shrink": 2, "cell": "gru"}}, "cell = lstm, now gru"),
        ({"model": {"hidden": 8, "cutoffs": (4,), "shrink": 2, "layers": 2}}, "layers = 1, now 2"),
        ({"optimizer": "sgd"}, "of a training by adamw, not sgd"),
        ({"rows": 8}, "of rows = 10 on 1 processes"),
    ],
    ids=str,
)
def test_a_training_is_resumed_with_its_own_settings_only(
    config: LstmTrainConfig, tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    train(replace(config, max_steps=4), tmp_path / "run")
    with pytest.raises(ValueError, match=problem) as error:
        train(replace(config, **change), tmp_path / "run")
    assert "\n" not in str(error.value)


class Trap:
    """What a hostile checkpoint would have executed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("trapped"),)


def write_trap(path: Path) -> None:
    torch.save({"state_dict": {}, "sizes": {}, "seconds": Trap()}, path)


def cut_short(path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(9999)}, "sizes": {}, "seconds": 0.0}, path)
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("speed = 3\n"),
        lambda path: path.write_bytes(bytes(range(256)) * 9),
        lambda path: path.write_bytes(b"\x80\x02}q\x00"),  # a pickle that ends too early
        lambda path: path.write_bytes(b"PK\x03\x04 an archive"),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"state_dict": {}}, path),
        lambda path: torch.save({"state_dict": [torch.zeros(1)], "sizes": {}}, path),
        lambda path: torch.save({"state_dict": {"a": 1}, "sizes": {}}, path),
        lambda path: torch.save({"state_dict": {"a": torch.zeros(1)}, "sizes": 3}, path),
        cut_short,
        write_trap,
    ],
)
def test_any_file_but_a_checkpoint_is_refused(
    config: LstmTrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    write(tmp_path / "run/last.ckpt")
    for read in (lambda: read_checkpoint(tmp_path / "run/last.ckpt"), lambda: train(config, tmp_path / "run")):
        with pytest.raises(ValueError, match=r"last\.ckpt: not a checkpoint"):
            read()
    assert not Path("trapped").exists()


def test_says_when_there_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"best\.ckpt: no such checkpoint"):
        read_checkpoint(tmp_path / "best.ckpt")
