"""How to recognize speech, and how to wreck a nice beach: the recordings that the project is named after."""

import os
from pathlib import Path

import pytest

from asr.recognizer import Recognizer
from data_prep.layouts import read
from lm.bundle import DEFAULT

DATA = os.environ.get("NICEBEACH_DATA")


@pytest.mark.skipif(DATA is None, reason="NICEBEACH_DATA names no folder with speech/nice_beach")
@pytest.mark.skipif(not (DEFAULT / "config.toml").exists(), reason="asr/default_model holds no models")
def test_nobody_who_recognizes_speech_wrecks_a_beach() -> None:
    recognizer = Recognizer()
    cuts = read(Path(str(DATA)) / "speech" / "nice_beach").cuts
    about_speech = [cut for cut in cuts if "recognize speech" in cut.supervisions[0].text.lower()]
    assert len(about_speech) == 12
    texts = [recognizer.transcribe(Path(cut.recording.sources[0].source)).text for cut in about_speech]
    assert not [text for text in texts if "WRECK A NICE BEACH" in text]
