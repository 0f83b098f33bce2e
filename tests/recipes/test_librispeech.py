"""The recipe's training data: what it is, and that nothing that models are measured on is in it."""

import os
import tomllib
from pathlib import Path

import pytest
from lhotse import CutSet

from data_prep.layouts import read
from data_prep.overlap import Utterance, content_hash, find_overlaps, utterance, without
from lm.overlap import find_overlaps as find_shared_words
from lm.text import normalize

RECIPE = Path(__file__).parents[2] / "recipes/librispeech"
HASHES = {Path(name).name: hash_ for hash_, name in map(str.split, (RECIPE / "manifest-hashes.txt").open())}
HELDOUT = ("librispeech-dev", "commonvoice-dev")
CORPORA = {
    "librispeech-train": "LibriSpeech/train-mini",
    "librispeech-dev": "LibriSpeech/dev-mini",
    "commonvoice-train": "commonvoice/train.tsv",
    "commonvoice-dev": "commonvoice/dev.tsv",
    "speechocean-train": "speechocean762/train",
    "speechocean-test": "speechocean762/test",
    "kathleen": "kathleen",
    "an4": "an4",
    "vctk": "vctk",
    "synthetic": "synthetic",
}


def test_models_are_trained_on_the_manifests_whose_hashes_are_listed() -> None:
    for settings in ("mini.toml", "further.toml"):
        config = tomllib.loads((RECIPE / settings).read_text())
        used = {Path(corpus["manifest"]).name for corpus in config["corpora"]}
        assert used == HASHES.keys() - {f"{name}.jsonl.gz" for name in HELDOUT}
        assert Path(config["dev"]).name == "librispeech-dev.jsonl.gz"


@pytest.fixture(scope="module")
def manifests() -> dict[str, CutSet]:
    """The cuts of every manifest, as the recipe writes them."""
    corpora = {name: read(Path(os.environ["NICEBEACH_DATA"]) / "speech" / path) for name, path in CORPORA.items()}
    heldout = utterances(corpora["commonvoice-dev"].cuts, "commonvoice-dev")
    corpora["commonvoice-train"] = without(corpora["commonvoice-train"], heldout)
    return {name: corpus.cuts for name, corpus in corpora.items()}


def utterances(cuts: CutSet, name: str) -> list[Utterance]:
    return [utterance(cut, name) for cut in cuts]


with_data = pytest.mark.skipif("NICEBEACH_DATA" not in os.environ, reason="NICEBEACH_DATA (the corpora) is not set")


@with_data
def test_manifests_are_those_that_the_models_were_trained_on(manifests: dict[str, CutSet]) -> None:
    assert {f"{name}.jsonl.gz": content_hash(cuts) for name, cuts in manifests.items()} == HASHES


@with_data
def test_no_heldout_speaker_sentence_or_book_is_trained_on(manifests: dict[str, CutSet]) -> None:
    train = [item for name in manifests if name not in HELDOUT for item in utterances(manifests[name], name)]
    for name in HELDOUT:
        assert find_overlaps(train, utterances(manifests[name], name)) == []


@with_data
def test_no_eight_heldout_words_in_a_row_are_trained_on(manifests: dict[str, CutSet]) -> None:
    """Where a corpus doesn't tell its books, as the synthetic one doesn't, their words would."""
    words = {cut.id: normalize(cut.supervisions[0].text) for cuts in manifests.values() for cut in cuts}
    heldout = {cut.id: words[cut.id] for name in HELDOUT for cut in manifests[name]}
    assert find_shared_words((" ".join(words[name]) for name in words.keys() - heldout.keys()), heldout) == []
