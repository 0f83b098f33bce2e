import math
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, MonoCut
from lhotse.cut import Cut

from asr.audio.reading import load_cut
from data_prep.manifest import Item, audio_files, one_utterance, prepare, read_lines, read_manifest, unusable, write


def put_audio(path: Path, seconds: float = 0.1, rate: int = 8_000, channels: int = 1) -> Path:
    soundfile.write(path, np.zeros((round(seconds * rate), channels), np.float32), rate)
    return path


def test_every_drop_is_counted_under_its_reason(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    (tmp_path / "nothing.wav").touch()
    good = put_audio(tmp_path / "good.wav")
    items = [
        Item("good", good, "HELLO"),
        Item("good", good, "HELLO AGAIN"),
        Item("blank", good, " \n"),
        Item("untranscribed", good, None),
        Item("unlisted", None, "HELLO"),
        Item("missing", tmp_path / "missing.wav", "HELLO"),
        Item("folder", tmp_path, "HELLO"),
        Item("text", tmp_path / "text.wav", "HELLO"),
        Item("nothing", tmp_path / "nothing.wav", "HELLO"),
        Item("zero", put_audio(tmp_path / "zero.wav", seconds=0.0), "HELLO"),
        Item("long", put_audio(tmp_path / "long.wav", seconds=1.1), "HELLO"),
        Item("limit", put_audio(tmp_path / "limit.wav", seconds=1.0), "HELLO"),
    ]
    prepared = prepare(items, max_seconds=1.0)
    assert [cut.id for cut in prepared.cuts] == ["good", "limit"]
    assert prepared.dropped == {
        "duplicate id": ["good"],
        "empty audio": ["zero"],
        "longer than 1 s": ["long"],
        "missing audio": ["folder", "missing", "unlisted"],
        "no transcript": ["blank", "untranscribed"],
        "unreadable audio": ["nothing", "text"],
    }


def test_rate_and_channels_are_the_files(tmp_path: Path) -> None:
    stereo = put_audio(tmp_path / "stereo.flac", seconds=0.5, rate=44_100, channels=2)
    (cut,) = prepare([Item("stereo", stereo, "Hi", "anna")]).cuts
    assert (cut.sampling_rate, cut.num_samples, cut.duration) == (44_100, 22_050, 0.5)
    assert cut.recording.channel_ids == [0, 1]
    assert cut.load_audio().shape == (1, 22_050)


def test_order_of_the_items_does_not_matter(tmp_path: Path) -> None:
    items = [Item(f"{i % 30:02}", put_audio(tmp_path / f"{i}.wav"), f"{i}") for i in range(40)]
    first = prepare(items)
    random.Random(0).shuffle(items)
    second = prepare(items)
    assert list(first.cuts) == list(second.cuts)
    assert [cut.id for cut in first.cuts] == [f"{i:02}" for i in range(30)]
    assert first.dropped == second.dropped == {"duplicate id": [f"{i:02}" for i in range(10)]}


@pytest.mark.parametrize("name", ["deep/m.jsonl", "deep/m.jsonl.gz"])
def test_write_and_read_again(name: str, tmp_path: Path) -> None:
    cuts = prepare([Item("é", put_audio(tmp_path / "e.wav"), "Überall “so”", "s", "f")]).cuts
    write(cuts, tmp_path / name)
    assert list(CutSet.from_file(tmp_path / name)) == list(cuts)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == [Path(name).name]


def test_failed_write_leaves_the_old_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = prepare([Item("a", put_audio(tmp_path / "a.wav"), "A")]).cuts
    output = tmp_path / "out" / "m.jsonl"
    write(cuts, output)
    before = output.read_bytes()

    def fail_half_way(self: CutSet, path: Path) -> None:
        path.write_text('{"id": "a')
        raise OSError("disk full")

    monkeypatch.setattr(CutSet, "to_file", fail_half_way)
    with pytest.raises(OSError, match="disk full"):
        write(cuts, output)
    assert output.read_bytes() == before
    assert list(output.parent.iterdir()) == [output]


def test_manifest_name_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"m\.json: a manifest's name ends in \.jsonl or \.jsonl\.gz"):
        write(CutSet.from_cuts([]), tmp_path / "m.json")


def test_audio_files_prefers_lossless(tmp_path: Path) -> None:
    (tmp_path / "sub.dir").mkdir()
    for name in ("a.mp3", "a.FLAC", "sub.dir/b.1.wav", "notes.txt"):
        (tmp_path / name).touch()
    assert audio_files(tmp_path) == {"a": tmp_path / "a.FLAC", "sub.dir/b.1": tmp_path / "sub.dir/b.1.wav"}


def test_lines_end_at_newlines_only(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufeffone\u2028still one\r\n \r\ntwo".encode())
    assert read_lines(path) == ["one\u2028still one", "two"]


def cut_of(folder: Path, channels: int = 1) -> MonoCut:
    (cut,) = prepare([Item("x", put_audio(folder / "x.wav", 2.0, channels=channels), "HELLO")]).cuts
    return cut


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda cut: cut.pad(3.0), "a PaddedCut: only cuts of one channel, neither padded nor mixed"),
        (lambda cut: cut.mix(cut.with_id("y")), "a MixedCut: only cuts of one channel, neither padded nor mixed"),
        (lambda cut: cut.append(cut.with_id("y")), "a MixedCut: only cuts"),
        (lambda cut: cut.perturb_speed(1.1), "its sound is to be altered"),
        (lambda cut: cut.perturb_volume(2.0), "its sound is to be altered"),
        (lambda cut: cut.resample(16_000), "its sound is to be altered"),
        (lambda cut: replace(cut, supervisions=cut.supervisions * 2), "2 supervisions: cut it at them first"),
        (lambda cut: replace(cut, recording=None), "not of one recording in one file"),
        (lambda cut: replace(cut, duration=3.0), "longer than its recording"),
    ],
)
def test_a_cut_that_is_no_utterance_as_it_is_is_refused(
    tmp_path: Path, change: Callable[[MonoCut], Cut], reason: str
) -> None:
    changed = change(cut_of(tmp_path))
    problem = unusable(changed)
    assert problem is not None
    assert problem.startswith(reason) or "PaddedCut" in reason
    with pytest.raises(ValueError, match=re.escape(f"{changed.id}: {problem}")):
        list(one_utterance([changed]))
    if changed.has_recording:  # lhotse would leave out of a manifest what is of nothing
        CutSet.from_cuts([changed]).to_file(tmp_path / "cuts.jsonl")
        prepared = read_manifest(tmp_path / "cuts.jsonl", math.inf)
        assert (len(prepared.cuts), prepared.dropped) == (0, {problem: [changed.id]})


def test_a_cut_without_text_is_no_utterance(tmp_path: Path) -> None:
    cut = cut_of(tmp_path)
    for supervisions in [], [replace(cut.supervisions[0], text=None)]:
        silent = replace(cut, supervisions=supervisions)
        assert unusable(silent) is None
        with pytest.raises(ValueError, match="x: no transcript"):
            list(one_utterance([silent]))


@pytest.mark.parametrize("name", ["a\0b.flac", 300 * "a" + ".flac", "folder.flac"])
def test_names_that_no_file_can_have_are_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.flac").mkdir()
    assert prepare([Item("x", tmp_path / name, "HELLO")]).dropped == {"missing audio": ["x"]}


def test_samples_without_a_header_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "talk.raw").write_bytes(bytes(1000))
    assert prepare([Item("x", tmp_path / "talk.raw", "HELLO")]).dropped == {"unreadable audio": ["x"]}


@pytest.mark.parametrize(
    "change",
    [
        lambda cut: cut,
        lambda cut: cut.trim_to_supervisions()[0],
        lambda cut: replace(cut, supervisions=[replace(cut.supervisions[0], start=0.5, duration=1.0)]),
        lambda cut: replace(cut, supervisions=[replace(cut.supervisions[0], duration=2.01)]),
    ],
)
def test_a_cut_that_is_an_utterance_is_taken(tmp_path: Path, change: Callable[[MonoCut], Cut]) -> None:
    assert unusable(change(cut_of(tmp_path))) is None


@pytest.mark.parametrize("channel", [0, 1])
def test_the_channel_of_a_cut_is_heard(tmp_path: Path, channel: int) -> None:
    cut = cut_of(tmp_path, channels=2)
    soundfile.write(tmp_path / "x.wav", np.tile([0.25, -0.5], (32_000, 1)), 16_000)
    cut = replace(cut, channel=channel)
    cut.recording.sampling_rate, cut.recording.num_samples = 16_000, 32_000
    assert load_cut(cut) == pytest.approx([0.25, -0.5][channel], abs=1e-3)


def test_a_recording_of_three_channels_is_refused(tmp_path: Path) -> None:
    assert unusable(cut_of(tmp_path, channels=3)) == "of a recording of more than two channels"
