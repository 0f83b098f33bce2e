from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.manifest import Item, open_cuts, prepare, write


@pytest.fixture
def manifest(recordings: dict[Path, str], tmp_path: Path) -> Path:
    """Of the three recordings, the second of which is a stereo file of another rate, with a folder in its id."""
    first, second, third = recordings
    samples = soundfile.read(second)[0]
    soundfile.write(tmp_path / "second.wav", np.stack([samples, -samples], 1), 22_050)
    files = {first.stem: first, "test/second": tmp_path / "second.wav", third.stem: third}
    items = [
        Item(name, file, text, "19") for (name, file), text in zip(files.items(), recordings.values(), strict=True)
    ]
    write(prepare(items).cuts, tmp_path / "m.jsonl.gz")
    return tmp_path / "m.jsonl.gz"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_shards_are_read_back_equal(jobs: str, manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep/shards"
    result = CliRunner().invoke(app, ["shards", str(manifest), str(folder), "--shard-size", "2", "--jobs", jobs])
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{folder}: 3 utterances\n"
    names = ("cuts.000000.jsonl.gz", "cuts.000001.jsonl.gz", "recording.000000.tar", "recording.000001.tar")
    assert tuple(sorted(path.name for path in folder.iterdir())) == names
    assert [path.name for path in folder.parent.iterdir()] == ["shards"]

    cuts = CutSet.from_file(manifest)
    shards = open_cuts(folder)
    assert len(shards) == 3
    for _ in range(2):  # it can be gone through again
        for cut, read in zip(cuts, shards, strict=True):
            assert (read.id, read.duration, read.supervisions) == (cut.id, cut.duration, cut.supervisions)
            assert (read.sampling_rate, read.num_samples) == (cut.sampling_rate, cut.num_samples)
            np.testing.assert_array_equal(read.load_audio(), cut.load_audio())


def test_damaged_audio_leaves_no_shards(manifest: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "second.wav"
    damaged.write_bytes(b"RIFF")
    (tmp_path / ".shards.part").mkdir()  # of a killed run
    result = CliRunner().invoke(app, ["shards", str(manifest), str(tmp_path / "shards")])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: Reading audio from '{damaged}' failed.")
    assert sorted(tmp_path.iterdir()) == [manifest, damaged]


def test_shards_that_are_there_are_left_alone(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    result = CliRunner().invoke(app, ["shards", str(manifest), str(tmp_path / "shards")])
    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path}/shards: exists, delete it to have its shards written again\n"


def test_open_cuts_opens_manifests_too(manifest: Path, tmp_path: Path) -> None:
    assert list(open_cuts(manifest)) == list(CutSet.from_file(manifest))
    with pytest.raises(ValueError, match="no shards"):
        open_cuts(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such manifest"):
        open_cuts(tmp_path / "gone.jsonl")
    with pytest.raises(ValueError, match="name ends in"):
        open_cuts(tmp_path / "second.wav")
