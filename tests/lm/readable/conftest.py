"""A tagger that has learnt a tiny language, in a bundle, and the text that it learnt from."""

import random
from pathlib import Path

import pytest

from lm.training.readable import ReadableTrainConfig, Source, export, train

NAMES = "Anna Bob Carla London NASA".split()
SENTENCES = (
    "I saw {}, and {} saw me.",
    "Are you in {}?",
    "Well, {} has it.",
    "Is it {} or {}?",
    "We know that {} went to {}.",
)


def tiny_text(sentences: int, seed: int) -> str:
    chance = random.Random(seed)
    chosen = (chance.choice(SENTENCES).format(*chance.choices(NAMES, k=2)) for _ in range(sentences))
    return "\n".join(" ".join(next(chosen, "Yes, it is.") for _ in range(5)) for _ in range(sentences // 5)) + "\n"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With text/*.txt, of which one file is held out; tagger/best.ckpt; bundle."""
    folder = tmp_path_factory.mktemp("readable")
    (folder / "text").mkdir()
    for number, name in enumerate(["a.txt", "b.txt", "38.txt"]):  # the last one's hash is among the first hundredth
        (folder / "text" / name).write_text(tiny_text(400, number))
    config = ReadableTrainConfig(
        sources=[Source(path=str(folder / "text"), words=100_000)],
        vocabulary=25,
        model={"embedding": 16, "hidden": 16, "layers": 2},
        max_steps=150,
        validate_every=150,
        learning_rate=2e-2,
        warmup_steps=10,
        rows=8,
        words=16,
    )
    export(train(config, folder / "tagger"), folder / "bundle")
    return folder


@pytest.fixture(scope="session")
def bundle(folder: Path) -> Path:
    return folder / "bundle"
