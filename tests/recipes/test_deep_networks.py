"""Every setting of the experiments, on a few made-up digits: pairs of tones."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from asr.training.train import read_config, train
from data_prep.manifest import Item, prepare, write

RECIPE = Path(__file__).parents[2] / "recipes/deep_networks"
MODULES = ("networks", "experiments", "graph", "pictures", "run")

sys.path.insert(0, str(RECIPE))
try:
    networks, experiments, graph, pictures, run = map(importlib.import_module, MODULES)
finally:
    sys.path.remove(str(RECIPE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of recordings, of five speakers with voices of their own."""
    made = tmp_path_factory.mktemp("deep")
    random = np.random.default_rng(1)
    for name, voices in ("train", (0.98, 0.99, 1.0, 1.01)), ("heldout", (1.02,)):
        items = []
        for voice, speaker in zip(voices, experiments.SPEAKERS, strict=False):
            for digit, word in enumerate(networks.DIGITS):
                seconds = np.arange(6400) / 16_000
                tones = [
                    np.sin(2 * np.pi * voice * hertz * seconds) for hertz in (300 + 150 * digit, 2000 + 300 * digit)
                ]
                path = made / f"{digit}_{name}_{speaker}.wav"
                soundfile.write(path, 0.2 * sum(tones) + 0.01 * random.standard_normal(6400), 16_000)
                items.append(Item(path.stem, path, word, speaker, None))
        write(prepare(items, 35.0).cuts, made / f"{name}.jsonl")
    return made


@pytest.fixture(scope="module", autouse=True)
def _small(folder: Path) -> Iterator[None]:
    """For `asr train` fewer steps and smaller models, and one that APC began to train."""
    settings = folder / "settings"
    settings.mkdir()
    small = "warmup_steps = 2\nbatch_seconds = 6\nslowest = 1\nfastest = 1\nfrequency_masks = 0\ntime_masks = 0\n"
    sizes = "[model]\nhidden = 24\nlayers = 1\nchannels = 4\ndropout = 0\nbidirectional = false\n"
    for name, steps in (("apc", 10), ("digits", 80)):
        text = f'base = "{RECIPE / name}.toml"\nmax_steps = {steps}\nvalidate_every = {steps}\nlearning_rate = 1e-2\n'
        (settings / f"{name}.toml").write_text(text + small + sizes)
    config = read_config(settings / "apc.toml")
    corpora = [replace(config.corpora[0], manifest=str(folder / "train.jsonl"))]
    train(replace(config, corpora=corpora, dev=str(folder / "heldout.jsonl")), None, folder / "apc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "RECIPE", settings)
        yield


SHORT = {"max_steps": 40, "validate_every": 40}
SETTINGS = {
    f"{experiment.name}: {setting.name}": replace(setting, budget=setting.budget | SHORT)
    for experiment in experiments.EXPERIMENTS
    for setting in experiment.settings
    if setting.share == 1 and (experiment.name != "depth" or setting.network["layers"] == 2)
}
DOOMED = ("zero", "too small", "too large")


@pytest.mark.parametrize("name", [name for name in SETTINGS if not name.endswith(DOOMED)])
def test_every_setting_learns(name: str, folder: Path) -> None:
    setting = SETTINGS[name]
    result = experiments.perform(experiments.Run("test", setting, len(setting.choices) - 1, 1), folder)
    assert result["train_error"] < 60  # per cent; guessing makes 90


def test_beginnings_that_do_not_learn_have_no_gradients_or_huge_ones() -> None:
    torch.manual_seed(1)
    heard, digits = torch.randn(50, networks.FRAMES, networks.BINS), torch.arange(50) % 10
    sizes = {
        name: networks.gradient_sizes(
            networks.build(networks.NetworkConfig(layers=8, initialisation=name)), heard, digits
        )
        for name in ("He", *DOOMED)
    }
    assert sizes["zero"] == [0.0] * 8  # nothing tells hidden cells apart, so nothing reaches them
    for small, usual, large in zip(sizes["too small"], sizes["He"], sizes["too large"], strict=True):
        assert 0 < 1000 * small < usual < large / 1000


def test_a_result_is_kept_until_its_setting_changes(folder: Path, tmp_path: Path) -> None:
    setting = replace(SETTINGS["cells: GRU"], budget={**SETTINGS["cells: GRU"].budget, "max_steps": 2})
    tiny = experiments.Run("kept", setting, 0, 1)
    first = experiments.perform(tiny, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "train_network", None)
        assert experiments.perform(tiny, folder) == first
        with pytest.raises(TypeError):
            experiments.perform(replace(tiny, setting=replace(setting, batch=7)), folder)


def test_speakers_left_out_are_not_trained_on(folder: Path) -> None:
    setting = experiments.Setting("share", share=0.5)
    seen = {}
    for speaker in ("", *experiments.SPEAKERS):
        train, test, _ = experiments.recordings_of(experiments.Run("x", setting, 0, 1, speaker), folder)
        seen[speaker] = len(train.digits), len(test.digits)
    assert seen == {"": (20, 10)} | dict.fromkeys(experiments.SPEAKERS, (15, 10))
    train, test, warps = experiments.read_recordings(folder, "lucas")
    every, _, all_warps = experiments.read_recordings(folder, "")
    mine = np.array(experiments.speakers(folder)) == "lucas"
    raw = every.heard * all_warps.deviation + all_warps.mean
    torch.testing.assert_close(train.heard * warps.deviation + warps.mean, raw[~mine])
    torch.testing.assert_close(test.heard * warps.deviation + warps.mean, raw[mine])


def test_choices_are_made_on_speakers_left_out_by_the_first_seed() -> None:
    settings = experiments.Setting("rate", experiments.rates(0.1, 0.2, 0.3)), experiments.Setting("no choice")
    asked = []

    def perform_runs(runs: list[Any], what: str) -> Iterator[dict[str, Any]]:
        for each in runs:
            asked.append((each.choice, each.seed, each.left_out))
            yield {"test_error": abs(each.choice - 1) + 4.0 * (each.left_out == "lucas"), "seed": each.seed}

    tuned, fixed = run.perform_all(experiments.Experiment("x", "X", settings), perform_runs)
    folds = [(choice, 1, speaker) for choice in range(3) for speaker in experiments.SPEAKERS]
    finals = [(choice, seed, "") for choice in (1, 0) for seed in experiments.SEEDS]
    assert asked == folds + finals
    assert (tuned.setting, tuned.left_out) == (settings[0], 1.0)
    assert (fixed.setting, fixed.left_out) == (settings[1], None)
    for row in tuned, fixed:
        assert [result["seed"] for result in row.results] == list(experiments.SEEDS)


def test_warps_move_pitch_and_ends_of_recordings_and_change_no_more() -> None:
    torch.manual_seed(1)
    frames, bins = torch.meshgrid(torch.arange(networks.FRAMES), torch.arange(networks.BINS), indexing="ij")
    mean, deviation = torch.randn(networks.FRAMES, networks.BINS), 1 + torch.rand(networks.FRAMES, networks.BINS)
    for place, least, most in (bins, 0.5, 5.0), (frames, 0.5, 4.0):
        picture = (-0.5 * (place - 10.0) ** 2).exp()  # a tone, or a click
        heard = networks.Warps(mean, deviation)(((picture - mean) / deviation).repeat(100, 1, 1)) * deviation + mean
        peaks = place.flatten()[heard.flatten(1).argmax(1)] - 10.0
        assert least < peaks.abs().max() < most
        assert peaks.min() < 0 < peaks.max()
        assert heard.amax((1, 2)).min() > 0.7


def test_the_interval_is_students() -> None:
    mean, beyond = run.interval([1.0, 2.0, 3.0])
    assert (mean, round(beyond, 3)) == (2.0, 2.484)


@pytest.mark.parametrize(("share", "count"), [(0.05, 5), (0.2, 20), (1.0, 100)])
def test_a_part_has_as_many_of_each_digit_as_can_be(share: float, count: int) -> None:
    digits = np.arange(100) % 10
    first, second = (networks.stratified(digits, share, seed) for seed in (1, 2))
    assert len({*first.tolist()}) == count
    assert first.tolist() != second.tolist()
    counts = np.bincount(digits[first], minlength=10)
    assert counts.max() - counts.min() <= 1


def test_batches_go_on_where_their_state_was_taken() -> None:
    data = networks.Recordings(torch.zeros(20, 1, 1), torch.arange(20))
    first, second = (networks.Batches(data, 6, seed=1) for _ in range(2))
    assert len(first) == 3
    assert len({digit for batch in first for digit in batch.digits.tolist()}) == 18
    batches = iter(first)
    next(batches)
    second.load_state_dict(first.state_dict())
    assert [batch.digits.tolist() for batch in batches] == [batch.digits.tolist() for batch in second]
    assert first.epochs == 2


def test_the_graph_is_that_of_the_lstms_equations() -> None:
    one, three = graph.lstm_graph(1), graph.lstm_graph(3)
    names = "W,U,b,b′,x1,h0,c0,W x1 + b,U h0 + b′,+,split,σ,σ,σ,tanh,×,×,+,tanh,×,h1,c1"
    assert sorted(node.name for node in one) == sorted(names.split(","))
    assert sum(node.name == "σ" for node in three) == 9
    (weights,) = (node for node in three if node.name == "W")  # the same in all steps
    assert sorted(node.name for node in three if weights in node.inputs) == [f"W x{step} + b" for step in (1, 2, 3)]


def test_tables_and_pictures_are_made_of_what_was_found(tmp_path: Path) -> None:
    curve = [{"step": step, "train_loss": 1 / step, "test_error": 50.0} for step in (20, 40)]
    found = {"train_error": 1.0, "test_error": 25.0, "seconds": 1.5, "curve": curve}
    rows = {}
    for experiment in experiments.EXPERIMENTS:
        rows[experiment.name] = []
        for setting in experiment.settings:
            result = {**found, "choice": setting.choices[0]}
            if "cell" not in setting.network:
                result["gradients"] = [0.1] * setting.network.get("layers", 2)
            rows[experiment.name].append(experiments.Row(setting, 3 * [result], 33.0))
        assert "25.0 ± 0.0" in run.table(experiment, rows[experiment.name])
    pictures.draw_all(rows, tmp_path)
    named = {path.name for path in RECIPE.glob("*.png")}
    assert named
    assert {path.name for path in tmp_path.glob("*.png")} == named
