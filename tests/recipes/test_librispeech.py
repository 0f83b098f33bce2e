"""The recipe's training data: what it is, and that nothing that models are measured on is in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from lhotse import CutSet

from asr.train import read_config
from data_prep.layouts import read
from data_prep.overlap import Utterance, content_hash, find_overlaps, utterance, without
from lm.bundle import DEFAULT
from lm.overlap import find_overlaps as find_shared_words
from lm.text import normalize

RECIPE = Path(__file__).parents[2] / "recipes/librispeech"
HASHES = {Path(name).name: hash_ for hash_, name in map(str.split, (RECIPE / "manifest-hashes.txt").open())}
TRAININGS = ("ctc.toml", "further.toml", "crf.toml", "crf-further.toml", "crf-last.toml")
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
    for settings in TRAININGS:
        config = read_config(RECIPE / settings)
        used = {Path(corpus.manifest).name for corpus in config.corpora}
        assert used == HASHES.keys() - {f"{name}.jsonl.gz" for name in HELDOUT}
        assert Path(config.dev).name == "librispeech-dev.jsonl.gz"


def test_the_whole_recipe_runs_by_one_command(tmp_path: Path) -> None:
    """From corpora to results, on seconds of speech and with tiny acoustic models, but the shipped language models.

    The held-out recordings are of other speakers than the one who is trained on.
    """
    make_corpora(tmp_path / "data/speech")
    for settings in TRAININGS:
        tiny = "max_steps = 3\nvalidate_every = 3\n[model]\nhidden = 16\nlayers = 1\nchannels = 4\n"
        (tmp_path / settings).write_text(f'base = "{RECIPE / settings}"\n{tiny}')
    variables = {
        "DATA": tmp_path / "data",
        "SETTINGS": tmp_path,
        "LANGUAGE_MODELS": DEFAULT,
        "LETTER_TO_SOUND": DEFAULT / "letter_to_sound.safetensors",
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["make", "-f", RECIPE / "Makefile", *(f"{name}={value}" for name, value in variables.items())]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True)

    done = run()
    assert done.returncode == 0, done.stderr
    assert "these are not the manifests" in done.stderr
    results = (tmp_path / "exp/results.txt").read_text()
    assert results.count("oracle: WER") == 2
    assert "is up to date" in run().stdout


def make_corpora(speech: Path) -> None:
    """Each corpus of the recipe, in its layout: one speaker's recording to train on, others to be evaluated on."""
    tests = RECIPE.parents[1] / "tests"
    train, dev = "1970-28415-0034", ["5789-70653-0013", "3664-178355-0019"]
    texts = dict(line.split(" ", 1) for line in (tests / "data/librispeech.trans.txt").read_text().splitlines())

    def put(path: Path, name: str = train, gain: float = 1.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        waveform, rate = soundfile.read(tests / f"data/{name}.flac")
        soundfile.write(path, gain * waveform, rate)

    def note(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    for subset, names in ("train-mini", [train]), ("dev-mini", dev):
        for name in names:
            speaker, chapter, _ = name.split("-")
            put(speech / "LibriSpeech" / subset / speaker / chapter / f"{name}.flac", name)
            note(
                speech / "LibriSpeech" / subset / speaker / chapter / f"{speaker}-{chapter}.trans.txt",
                f"{name} {texts[name]}",
            )
    clips, columns = speech / "commonvoice/clips", "client_id\tpath\tsentence\n"
    put(clips / "a.flac", gain=0.9)
    note(speech / "commonvoice/train.tsv", f"{columns}unk\ta.flac\t{texts[train]}\n")
    shutil.copy(tests / "hot_words/5789-70653-0006.flac", clips / "b.flac")
    note(speech / "commonvoice/dev.tsv", f"{columns}unk\tb.flac\tMissus Manderson was taken through her evidence\n")
    for part, gain in ("train", 0.8), ("test", 0.7):
        put(speech / f"speechocean762/WAVE/{part}.flac", gain=gain)
        note(speech / f"speechocean762/{part}/wav.scp", f"{part} WAVE/{part}.flac\n")
        note(speech / f"speechocean762/{part}/text", f"{part} {texts[train]}\n")
    for corpus, gain in ("kathleen", 0.6), ("synthetic", 0.5):
        put(speech / f"{corpus}/wavs/{corpus}.flac", gain=gain)
        note(speech / f"{corpus}/metadata.csv", f"{corpus}|{texts[train]}\n")
    put(speech / "an4/wav/one.flac", gain=0.4)
    note(speech / "an4/etc/an4_train.fileids", "one\n")
    note(speech / "an4/etc/an4_train.transcription", f"<s> {texts[train]} </s> (one)\n")
    put(speech / "vctk/wav48/p239/p239_001.flac", gain=0.3)
    note(speech / "vctk/txt/p239/p239_001.txt", texts[train])


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
