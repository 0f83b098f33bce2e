"""Subtitles for all recordings of a folder: talk.mp3 gets talk.srt beside it.

    python examples/subtitles.py recordings

`asr transcribe --format srt --output-dir recordings recordings` does the same on all cores; this shows how it goes from
Python, where you may do anything with the words before they are written.
"""

import sys
from pathlib import Path

from asr import Recognizer
from asr.audio.errors import AudioError

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


def main(folder: Path) -> None:
    recognizer = Recognizer()  # takes a second; one serves all recordings
    for recording in sorted(folder.iterdir()):
        if recording.suffix not in SUFFIXES:
            continue
        try:
            transcript = recognizer.transcribe(recording)
        except AudioError as error:  # a damaged file costs itself alone
            print(f"{recording}: {error}", file=sys.stderr)
            continue
        subtitles = recording.with_suffix(".srt")
        subtitles.write_text(transcript.to_srt())
        print(f"{subtitles}: {len(transcript.words)} words in {transcript.duration:.0f} s")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
