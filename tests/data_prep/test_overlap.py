import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import Result
from lhotse import CutSet
from typer.testing import CliRunner

from data_prep import Kind
from data_prep.cli import app
from data_prep.layouts import read
from data_prep.manifest import write
from data_prep.overlap import Utterance, content_hash, find_overlaps

CHAPTERS = "".join(
    f"{chapter} | 0 | 8.42 | train | 219 | {book} | Title | Book\n"
    for chapter, book in ((198, 121), (199, 121), (300, 5), (301, 6))
)


def librispeech(subset: Path, key: str, text: str, tone: float) -> Path:
    """A subset of one utterance; another `tone` is another recording."""
    speaker, chapter, _ = key.split("-")
    folder = subset / speaker / chapter
    folder.mkdir(parents=True)
    soundfile.write(folder / f"{key}.flac", np.full(1600, tone), 16_000)
    (folder / f"{speaker}-{chapter}.trans.txt").write_text(f"{key} {text}\n")
    (subset.parent / "CHAPTERS.TXT").write_text(f"; a comment\n{CHAPTERS}")
    return subset


def manifest(corpus: Path) -> Path:
    path = corpus.with_suffix(".jsonl.gz")
    write(read(corpus).cuts, path)
    return path


def run(*arguments: Path | str) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return manifest(librispeech(tmp_path / "train", "19-198-0000", "HOW TO RECOGNIZE 2 SPEECHES", 0.1))


@pytest.mark.parametrize(
    ("key", "text", "tone", "shared"),
    [
        ("7-300-0000", "WRECK A NICE BEACH", 0.2, {}),
        ("19-300-0000", "WRECK A NICE BEACH", 0.2, {"speaker": "19"}),
        ("7-300-0000", "How to recognize two speeches?", 0.2, {"sentence": "HOW TO RECOGNIZE TWO SPEECHES"}),
        ("7-198-0000", "WRECK A NICE BEACH", 0.2, {"chapter": "198", "book": "121"}),
        ("7-199-0000", "WRECK A NICE BEACH", 0.2, {"book": "121"}),
        (
            "19-198-0000",
            "WRECK A NICE BEACH",
            0.2,
            {"speaker": "19", "recording": "19-198-0000", "chapter": "198", "book": "121"},
        ),
    ],
)
def test_fails_by_whatever_is_shared_and_names_it(
    key: str, text: str, tone: float, shared: dict[str, str], train: Path, tmp_path: Path
) -> None:
    heldout = manifest(librispeech(tmp_path / "dev", key, text, tone))
    result = run("check-overlap", train, "--heldout", heldout)
    assert result.stdout.splitlines() == [
        f"{kind} {value}: {heldout}:{key}; in training {train}:19-198-0000" for kind, value in shared.items()
    ]
    assert result.exit_code == (1 if shared else 0)
    counts = {line.split(" shared")[0] for line in result.stderr.splitlines()}
    assert counts == {f"{kind}: {int(kind in shared)}" for kind in Kind}


def test_the_same_audio_under_another_name_is_found(train: Path, tmp_path: Path) -> None:
    heldout = manifest(librispeech(tmp_path / "dev", "7-300-0000", "WRECK A NICE BEACH", 0.1))
    result = run("check-overlap", train, "--heldout", heldout, "--json")
    (overlap,) = json.loads(result.stdout)
    assert overlap["kind"] == "audio"
    assert overlap["heldout"] == [f"{heldout}:7-300-0000"]
    assert result.exit_code == 1


def test_every_training_and_heldout_manifest_is_looked_at(train: Path, tmp_path: Path) -> None:
    other = manifest(librispeech(tmp_path / "other", "8-301-0000", "HELLO", 0.3))
    heldout = manifest(librispeech(tmp_path / "dev", "7-300-0000", "WRECK A NICE BEACH", 0.2))
    assert run("check-overlap", other, train, "--heldout", heldout).exit_code == 0
    assert run("check-overlap", other, "--heldout", heldout, "--heldout", train).exit_code == 0
    result = run("check-overlap", other, train, "--heldout", heldout, "--heldout", train)
    assert "speaker 19" in result.stdout
    assert result.exit_code == 1


def test_what_is_allowed_is_counted_but_does_not_fail(train: Path, tmp_path: Path) -> None:
    heldout = manifest(librispeech(tmp_path / "dev", "19-199-0000", "WRECK A NICE BEACH", 0.2))
    result = run("check-overlap", train, "--heldout", heldout, "--allow", "speaker")
    assert result.stdout.startswith("book 121: ")
    assert "speaker: 1 shared (allowed) by 1 of 1 held-out utterances" in result.stderr
    assert result.exit_code == 1
    result = run("check-overlap", train, "--heldout", heldout, "--allow", "speaker", "--allow", "book")
    assert (result.stdout, result.exit_code) == ("", 0)


def test_what_the_data_does_not_tell_is_counted(train: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lj"
    (folder / "wavs").mkdir(parents=True)
    soundfile.write(folder / "wavs/a.wav", np.zeros(1600), 16_000)
    (folder / "metadata.csv").write_text("a|Wreck a nice beach\n")
    result = run("check-overlap", train, "--heldout", folder)
    assert result.exit_code == 0
    untold = {line.split(":")[0] for line in result.stderr.splitlines() if "not told of 1, nor of 0 of 1" in line}
    assert untold == {"speaker", "chapter", "book"}


def test_a_manifest_leaves_out_what_it_shall_avoid(train: Path, tmp_path: Path) -> None:
    corpus = librispeech(tmp_path / "more", "19-199-0000", "WRECK A NICE BEACH", 0.2)
    librispeech(corpus, "7-301-0000", "How to recognize two speeches?", 0.3)
    librispeech(corpus, "8-300-0000", "HELLO", 0.4)
    clean = tmp_path / "clean.jsonl.gz"
    result = run("manifest", corpus, clean, "--avoid", train)
    assert "dropped 1: held-out speaker (19-199-0000)" in result.stderr
    assert "dropped 1: held-out sentence (7-301-0000)" in result.stderr
    assert [cut.id for cut in read(clean).cuts] == ["8-300-0000"]
    assert run("check-overlap", clean, "--heldout", train).exit_code == 0


@pytest.mark.parametrize(
    ("heldout", "train", "found"),
    [
        ("LibriSpeech", "LibriSpeech", True),
        ("LibriSpeech", "Kaldi", False),
        (None, "Kaldi", True),
        ("VCTK", None, True),
    ],
)
def test_speakers_are_compared_where_the_corpus_may_be_the_same(
    heldout: str | None, train: str | None, found: bool
) -> None:
    traits = {Kind.speaker: "19", Kind.sentence: "YES"}
    overlaps = find_overlaps([Utterance("t", train, traits)], [Utterance("h", heldout, traits)])
    assert [overlap.kind for overlap in overlaps] == [Kind.speaker] * found + [Kind.sentence]


def test_names_are_those_of_the_corpora_that_share() -> None:
    speaker = {Kind.speaker: "19"}
    train = [Utterance("t1", "Kaldi", speaker), Utterance("t2", "VCTK", speaker)]
    heldout = [Utterance("h1", "LibriSpeech", speaker), Utterance("h2", "VCTK", speaker)]
    (overlap,) = find_overlaps(train, heldout)
    assert (overlap.heldout, overlap.train) == (["h2"], ["t2"])


def test_errors_are_one_line(train: Path, tmp_path: Path) -> None:
    no_file = tmp_path / "no-file.jsonl"
    CutSet.from_cuts(cut.pad(duration=1.0).with_id("padded") for cut in read(train).cuts).to_file(no_file)
    gone = manifest(librispeech(tmp_path / "gone", "7-300-0000", "WRECK A NICE BEACH", 0.2))
    (tmp_path / "gone/7/300/7-300-0000.flac").unlink()
    for path, problem in (
        (tmp_path / "nowhere.jsonl", "no such file"),
        (no_file, "neither padded nor mixed, can be used (padded)"),
        (gone, "7-300-0000.flac"),
    ):
        for arguments in (["check-overlap", path, "--heldout", train], ["hash", path]):
            result = run(*arguments)
            assert (result.exit_code, result.stdout) == (1, "")
            *dropped, line = result.stderr.splitlines()
            assert line.startswith("error: ")
            assert all(drop.startswith("dropped 1: ") for drop in dropped)
            assert problem in result.stderr


def test_hash_is_the_same_elsewhere_and_in_another_order(train: Path, tmp_path: Path) -> None:
    elsewhere = manifest(librispeech(tmp_path / "else/where", "19-198-0000", "HOW TO RECOGNIZE 2 SPEECHES", 0.1))
    lines = run("hash", train, elsewhere).stdout.splitlines()
    (first, first_path), (second, second_path) = (line.split("  ") for line in lines)
    assert first == second
    assert (first_path, second_path) == (str(train), str(elsewhere))
    other = librispeech(tmp_path / "other", "8-301-0000", "HELLO", 0.3)
    cuts = [*read(train).cuts, *read(other).cuts]
    assert content_hash(cuts) == content_hash(cuts[::-1]) != first


CHANGES: dict[str, Callable[[dict], object]] = {
    "id": lambda cut: cut.update(id="x"),
    "text": lambda cut: cut["supervisions"][0].update(text="HOW TO"),
    "speaker": lambda cut: cut["supervisions"][0].update(speaker="20"),
    "duration": lambda cut: cut.update(duration=0.05),
    "audio": lambda cut: soundfile.write(cut["recording"]["sources"][0]["source"], np.full(1600, 0.2), 16_000),
}


@pytest.mark.parametrize("change", CHANGES)
def test_hash_is_another_if_anything_is(change: str, train: Path, tmp_path: Path) -> None:
    before = run("hash", train).stdout.split()[0]
    (cut,) = (cut.to_dict() for cut in read(train).cuts)
    CHANGES[change](cut)
    changed = tmp_path / "changed.jsonl"
    changed.write_text(json.dumps(cut))
    after = run("hash", changed).stdout.split()[0]
    assert len(after) == 64
    assert after != before
