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
    """Manifests of recordings, of three speakers with voices of their own, and a model that APC began to train."""
    made = tmp_path_factory.mktemp("deep")
    random = np.random.default_rng(1)
    for name, voice, times in (("train", 1.0, 3), ("dev", 1.02, 1), ("heldout", 0.98, 1)):
        items = []
        for digit, word in enumerate(networks.DIGITS):
            for number in range(times):
                seconds = np.arange(6400) / 16_000
                tones = [
                    np.sin(2 * np.pi * voice * hertz * seconds) for hertz in (300 + 150 * digit, 2000 + 300 * digit)
                ]
                path = made / f"{digit}_{name}_{number}.wav"
                soundfile.write(path, 0.2 * sum(tones) + 0.01 * random.standard_normal(6400), 16_000)
                items.append(Item(path.stem, path, word, name, None))
        write(prepare(items, 35.0).cuts, made / f"{name}.jsonl")
    return made


@pytest.fixture(scope="module", autouse=True)
def _small(folder: Path) -> Iterator[None]:
    """Fewer steps, and for `asr train` smaller models."""
    settings = folder / "settings"
    settings.mkdir()
    steps = "warmup_steps = 2\nbatch_seconds = 6\nslowest = 1\nfastest = 1\n"
    sizes = "[model]\nhidden = 24\nlayers = 1\nchannels = 4\ndropout = 0\nbidirectional = false\n"
    for name, most in (("apc", 10), ("digits", 60)):
        text = f'base = "{RECIPE / name}.toml"\nmax_steps = {most}\nvalidate_every = {most}\n{steps}{sizes}'
        (settings / f"{name}.toml").write_text(text)
    config = read_config(settings / "apc.toml")
    corpora = [replace(config.corpora[0], manifest=str(folder / "train.jsonl"))]
    train(replace(config, corpora=corpora, dev=str(folder / "dev.jsonl")), None, folder / "apc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "RECIPE", settings)
        patch.setattr(experiments, "BUDGET", experiments.BUDGET | {"max_steps": 40, "validate_every": 40})
        yield


def distinct() -> dict[str, Any]:
    """The settings that differ in more than depth and the share of the recordings, with all of these."""
    found = {}
    for experiment in experiments.EXPERIMENTS:
        for setting in experiment.settings:
            if setting.network.get("layers", 2) in (2, 8) and not (
                setting.network.get("layers") == 8 and "depth" in experiment.name
            ):
                name = setting.name.split(" % of the ")[-1]
                found[f"{experiment.name}: {name}"] = replace(setting, share=1.0)
    return found


@pytest.mark.parametrize("name", distinct())
def test_every_setting_learns(name: str, folder: Path) -> None:
    setting = distinct()[name]
    result = experiments.perform(experiments.Run("test", setting, len(setting.choices) - 1, 1), folder)
    print(name, result["train_error"], result["seconds"])
    if name.endswith(": zero"):  # nothing tells hidden cells apart, so nothing reaches them
        assert result["gradients"] == [0.0] * 8
        assert result["train_error"] == 90
    else:
        assert result["train_error"] < 70
