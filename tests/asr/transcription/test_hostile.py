"""Nothing that lies in a folder keeps the rest of it from being transcribed."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

from asr.recognizer import Recognizer


def test_bad_inputs_do_no_harm_to_twenty_good_ones(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    hostile = runpy.run_path(str(Path(__file__).with_name("hostile.py")))
    inputs, count = hostile["make"](folder), 200 if hostile["HAS_CODECS"] else 158
    command = [sys.executable, "-m", "asr.cli", "transcribe", "--model", str(tiny_bundle), "--threads", "3"]
    done = subprocess.run(
        [*command, "--format", "json", *inputs],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    items = {Path(item["file"]).name: item for item in json.loads(done.stdout)}
    assert len(items) == count

    recognizer = Recognizer(tiny_bundle)
    good = sorted(folder.glob("good-*"))
    assert len(good) == 20
    for path in good:
        assert items[path.name]["text"] == recognizer.transcribe(path).text

    failed = [item for item in items.values() if item["error"]]
    lines = []
    for item in items.values():
        lines += [f"error: {item['file']}: {item['error']}"] if item["error"] else []
        lines += [f"warning: {item['file']}: {warning}" for warning in item["warnings"]]
    assert done.stderr.splitlines() == [*lines, f"{len(failed)} of {count} files failed"]
    assert done.returncode == 1
    for item in failed:
        assert ": " in item["error"]  # before the mend
        assert "nicebeach" not in item["error"]  # a fault of ours
        assert "its process" not in item["error"]  # a crash
    # What still holds sound isn't refused: one sample, 32 channels, 2 GiB that are claimed, sizes that are none, a NaN.
    chance = ("good", "short", "flipped", "mutated")
    sound = {name for name in items if not name.startswith(chance)} - {Path(item["file"]).name for item in failed}
    assert sound == {
        "1-samples.wav",
        "1-samples.ogg",
        "flac-within.mp3",
        "sized-none.au",
        *("nan.wav", "infinite.wav", "loud.wav"),
        *(f"header-{name}.wav" for name in ("384-kilohertz", "32-channels", "7-bits", "8-bits", "24-bits")),
        *(f"header-{name}.wav" for name in ("0-bytes", "2-gibibytes", "4-gibibytes")),
        *(f"sized-{name}.wav" for name in ("never", "early", "odd", "late", "minus")),
        *(path.name for path in folder.glob("joined-*")),
        *(path.name for path in folder.glob("stamped-*") if hostile["HAS_CODECS"]),
        *(path.name for path in folder.glob("bomb-*")),
    }
