"""What recordings hold comes out whole, at the times that a player shows, or a warning says what doesn't."""

import importlib.util
import io
import re
import runpy
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asr.audio.channels import Channel
from asr.audio.errors import AudioError
from asr.audio.parts import parts
from asr.audio.reading import load

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made.py"))))
A, B = make.speech(0), make.speech(2)
HEAD, TAIL = A[:40_000], A[-40_000:]  # of A
TAIL_AT = (len(A) - len(TAIL)) / make.RATE

FORMS: dict[str, Callable[[np.ndarray], bytes]] = {
    "wav": partial(make.encoded, form="WAV"),
    "aiff": partial(make.encoded, form="AIFF"),
    "au": partial(make.encoded, form="AU"),
    "rf64": partial(make.encoded, form="RF64"),
    "w64": partial(make.encoded, form="W64"),
    "flac": partial(make.encoded, form="FLAC"),
    "vorbis": partial(make.encoded, form="OGG", subtype="VORBIS"),
    "opus": partial(make.encoded, form="OGG", subtype="OPUS"),
    "mp3": partial(make.encoded, form="MP3"),
}
FRAGMENTS = {"movflags": "empty_moov+frag_keyframe+default_base_moof", "frag_duration": "1000000"}
CODECS: dict[str, Callable[[np.ndarray], bytes]] = {
    "aac": partial(make.by_ffmpeg, container="adts", codec="aac"),
    "m4a": partial(make.by_ffmpeg, container="mp4", codec="aac"),
    "fragments of mp4": partial(make.by_ffmpeg, container="mp4", codec="aac", options=FRAGMENTS),
    "mkv": partial(make.by_ffmpeg, container="matroska", codec="aac"),
    "webm": partial(make.by_ffmpeg, container="webm", codec="libopus", rate=48_000),
    "ts": partial(make.by_ffmpeg, container="mpegts", codec="aac"),
    "vob": partial(make.by_ffmpeg, container="vob", codec="ac3", rate=48_000),
    "mp2": partial(make.by_ffmpeg, container="mp2", codec="mp2"),
    "caf, ALAC": partial(make.by_ffmpeg, container="caf", codec="alac"),
    "ogg, FLAC": partial(make.by_ffmpeg, container="ogg", codec="flac"),
    "wav, AAC": partial(make.by_ffmpeg, container="wav", codec="aac"),
    "wav, G.726": partial(make.by_ffmpeg, container="wav", codec="g726", rate=8000),
    "wav, mp3": partial(make.by_ffmpeg, container="wav", codec="libmp3lame"),
    "avi": partial(make.by_ffmpeg, container="avi", codec="libmp3lame"),
    "avi, AC-3": partial(make.by_ffmpeg, container="avi", codec="ac3", rate=48_000),
}
needs_codecs = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="the extra codecs is not installed")
ALL = [*FORMS, *(pytest.param(name, marks=needs_codecs) for name in CODECS)]
LATE = 0.1  # seconds that an encoder may need to begin


def some(*names: str) -> list[object]:
    return [name if name in FORMS else pytest.param(name, marks=needs_codecs) for name in names]


@cache
def recording(form: str, number: int = 0) -> bytes:
    return (FORMS | CODECS)[form]((A, B)[number])


def heard(data: bytes, **options: object) -> tuple[np.ndarray, list[str]]:
    """The waveform, and the warnings."""
    warnings: list[str] = []
    return load(io.BytesIO(data), warn=warnings.append, **options), warnings


def assert_there(waveform: np.ndarray, part: np.ndarray, seconds: float, late: float = LATE) -> None:
    """That a part of a waveform begins at a time, or somewhat later."""
    place, likeness = make.place(waveform, part)
    assert likeness > 0.9
    assert seconds - 0.03 <= place <= seconds + late


# --- Whole ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ALL)
def test_good_recordings_have_no_warnings(form: str) -> None:
    waveform, warnings = heard(recording(form))
    assert not warnings
    assert_there(waveform, A, 0)
    assert len(waveform) == pytest.approx(len(A), abs=2500)
    part, warnings = heard(recording(form), start=3.5, end=5)
    assert not warnings
    assert len(part) == 24_000
    assert_there(part, waveform[57_600:78_400], 0.1, late=0.01)


@pytest.mark.parametrize("form", ALL)
def test_joined_recordings_are_all_read(form: str) -> None:
    data = recording(form) + recording(form, 1)
    waveform, warnings = heard(data)
    assert not warnings
    assert_there(waveform, A, 0)
    first = len(load(io.BytesIO(recording(form)))) / make.RATE
    assert_there(waveform, B, first)
    part, _ = heard(data, start=first + 2)
    assert_there(part, B[48_000:], 1)


KINDS = ("wav", "flac", "vorbis", "mp3", "aac", "m4a", "mkv")


# Where a flac ends can't be known, so that only what has a mark of its own is found behind one.
@pytest.mark.parametrize("second", some(*KINDS))
@pytest.mark.parametrize("first", some(*KINDS))
def test_joined_recordings_of_different_kinds_are_all_read(first: str, second: str) -> None:
    if first == "flac" and second in ("mp3", "aac", "m4a", "mkv"):
        pytest.skip("has no mark that couldn't stand in a flac by chance")
    waveform, warnings = heard(recording(first) + recording(second, 1))
    assert not warnings
    assert_there(waveform, A, 0)
    assert_there(waveform, B, len(A) / make.RATE, late=0.2)


def test_joined_mp3s_with_titles() -> None:
    title = b"ID3\x04\0\0" + bytes([0, 0, 2, 0]) + b"TIT2" + bytes(252)
    waveform, warnings = heard(title + recording("mp3") + b"TAG" + bytes(125) + title + recording("mp3", 1))
    assert not warnings
    assert_there(waveform, A, 0)
    assert_there(waveform, B, len(A) / make.RATE)


@pytest.mark.parametrize("form", some("mp3", "flac", "opus", "aac"))
def test_rate_and_channels_may_change(form: str) -> None:
    twice = np.repeat(B, 3)
    if form == "aac":
        other = make.by_ffmpeg(B, "adts", "aac", rate=48_000, layout="stereo")
    else:
        name, subtype = {"mp3": ("MP3", None), "flac": ("FLAC", None), "opus": ("OGG", "OPUS")}[form]
        other = make.encoded(np.stack([twice, twice], axis=1), name, subtype, 48_000)
    for data, first, second in ((recording(form) + other, A, B), (other + recording(form), B, A)):
        waveform, warnings = heard(data)
        assert not warnings
        assert_there(waveform, first, 0)
        assert_there(waveform, second, len(first) / make.RATE, late=0.2)
    assert_there(heard(other + recording(form), channel=Channel.right)[0], A, len(B) / make.RATE, late=0.2)


@pytest.mark.parametrize("size", [0, 32_000])
def test_a_wav_whose_size_was_never_written_is_read_to_its_end(size: int) -> None:
    """A recorder that lost power leaves 0, or what it last wrote."""
    waveform, warnings = heard(make.wav(make.pcm(A), size))
    assert not warnings
    assert waveform == pytest.approx(A, abs=1e-4)


def test_what_follows_the_sound_of_a_wav_is_none() -> None:
    for behind in (b"LIST" + (40_000).to_bytes(4, "little") + bytes(40_000), b"ID3\x04" + bytes(100_000)):
        waveform, warnings = heard(make.wav(make.pcm(A), None) + behind)
        assert not warnings
        assert len(waveform) == len(A)


@pytest.mark.parametrize("wraps", [1, 3])
def test_a_wav_whose_size_wrapped_is_read_to_its_end(tmp_path: Path, wraps: int) -> None:
    """A file with a hole of many GiB, which takes no room."""
    path, sound = tmp_path / "long.wav", make.pcm(A)
    rate, size = 48_000 * wraps, wraps * 2**32 + 1000 + len(sound)
    with path.open("wb") as file:
        file.write(make.wav(b"", size % 2**32, rate=rate))
        file.truncate(44 + size - len(sound))
        file.seek(0, 2)
        file.write(sound)
    with path.open("rb") as file:
        (part,) = parts(file, 0)
    assert (part.header, part.end) == (44, 44 + size)
    end = size / 2 / rate
    waveform = load(path, start=end - len(A) / rate)
    assert len(waveform) == pytest.approx(len(A) * make.RATE / rate, abs=2)
    assert np.abs(waveform).max() > 0.1


@needs_codecs
@pytest.mark.parametrize("share", [0.3, 0.5])
def test_a_flac_may_hold_more_than_its_header_says(share: float) -> None:
    sound = np.concatenate([A, B])
    data = make.encoded(sound, "FLAC")
    bits = int.from_bytes(data[18:26], "big") & ~(2**36 - 1) | round(share * len(sound))
    waveform, warnings = heard(data[:18] + bits.to_bytes(8, "big") + data[26:])
    assert not warnings
    assert waveform == pytest.approx(sound, abs=1e-4)


@pytest.mark.parametrize("size", [0, 50_000])
def test_so_may_an_au(size: int) -> None:
    data = make.encoded(A, "AU")
    waveform, warnings = heard(data[:8] + size.to_bytes(4, "big") + data[12:])
    assert not warnings
    assert waveform == pytest.approx(A, abs=1e-4)


# --- Cut and damaged --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [form for form in ALL if form not in ("wav", "aiff")])
def test_what_is_left_of_a_download_is_read(form: str) -> None:
    if form in ("m4a", "caf, ALAC"):  # whose index is at the end
        pytest.skip("nothing of it can be read")
    waveform, warnings = heard(make.cut(recording(form)))
    assert_there(waveform, HEAD, 0)
    assert 2.9 < len(waveform) / make.RATE < 5
    if form == "vob":  # its end is where its bytes are
        return
    (warning,) = warnings
    end = re.match(r"ends at 0:0([\d.]+)|.* from 0:0([\d.]+) on can't", warning)
    assert end
    assert float(end[1] or end[2]) == pytest.approx(len(waveform) / make.RATE, abs=0.2)


@needs_codecs
def test_a_lost_index_is_told() -> None:
    with pytest.raises(AudioError, match="index of its sound is missing: it was cut off"):
        heard(make.cut(recording("m4a")))


@pytest.mark.parametrize("damage", [make.zeroed, make.noised])
@pytest.mark.parametrize(
    "form", some(*"m4a aac mp3 flac vorbis opus mkv webm ts avi".split(), "avi, AC-3", "fragments of mp4", "caf, ALAC")
)
def test_what_is_damaged_costs_nothing_else(form: str, damage: Callable[[bytes], bytes]) -> None:
    """0.2 s of 6.8 are, or as much as lies together."""
    if importlib.util.find_spec("av") is None:
        pytest.skip("libsndfile goes no further")
    waveform, warnings = heard(damage(recording(form)))
    assert_there(waveform, HEAD, 0)
    assert_there(waveform, TAIL[16_000:], TAIL_AT + 1, late=0.13)
    (warning,) = warnings
    told = re.match(r"(\d\.\d) s from 0:0(\d\.\d) on (can't be decoded|holds no sound)", warning)
    assert told
    assert 0.1 <= float(told[1]) < 2
    assert 2.5 <= float(told[2]) <= 4.1
    part, _ = heard(damage(recording(form)), start=5, end=6.5)  # behind it
    assert_there(part, waveform[83_200:99_200], 0.2, late=0.1)


@pytest.mark.parametrize("form", ["flac", "vorbis", "mp3"])
def test_without_ffmpeg_damage_is_told(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    waveform, warnings = heard(make.zeroed(recording(form) + recording(form, 1), at=0.9))
    assert_there(waveform, A, 0)
    assert warnings
    waveform, warnings = heard(recording(form) + recording(form, 1))
    assert not warnings
    assert_there(waveform, B, len(A) / make.RATE)


def test_a_wav_that_is_cut_says_how_much_is_missing() -> None:
    _, warnings = heard(make.cut(recording("wav")))
    assert warnings == ["ends at 0:04.5, 2.3 s before its header says: it was cut off, or is damaged"]
    for unknown in (2**31 - 1, 2**32 - 1):  # by those who write into pipes
        assert not heard(make.wav(make.pcm(A), unknown))[1]


# --- Times ------------------------------------------------------------------------------------------------


@needs_codecs
@pytest.mark.parametrize(
    ("container", "codec", "rate", "film"),
    [
        ("matroska", "aac", 16_000, "mpeg4"),
        ("mp4", "aac", 16_000, "mpeg4"),
        ("mpegts", "aac", 16_000, "mpeg2video"),
        ("webm", "libopus", 48_000, "libvpx"),
        ("vob", "ac3", 48_000, "mpeg2video"),
    ],
)
def test_sound_that_begins_late(container: str, codec: str, rate: int, film: str) -> None:
    data = make.by_ffmpeg(A, container, codec, rate, moved=lambda time: time + 4, pictures=(film, 280))
    waveform, warnings = heard(data)
    assert not warnings
    assert_there(waveform, A, 4)
    assert_there(heard(data, start=6, end=9)[0], A[40_000:72_000], 0.5)


@needs_codecs
@pytest.mark.parametrize(
    ("container", "codec", "rate"), [("matroska", "aac", 16_000), ("mp4", "aac", 16_000), ("flv", "aac", 44_100)]
)
def test_holes_in_time(container: str, codec: str, rate: int) -> None:
    data = make.by_ffmpeg(A, container, codec, rate, moved=lambda time: time + 10 * (time > 2.5) + 5 * (time > 4.28))
    waveform, warnings = heard(data)
    (warning,) = warnings
    assert re.match(r"15\.[01] s in 2 places \(0:02\.\d, 0:14\.\d\) holds no sound, by its time stamps", warning)
    assert_there(waveform, HEAD, 0)
    assert_there(waveform, TAIL[8000:], TAIL_AT + 15.5)
    assert_there(heard(data, start=20)[0], TAIL[16_000:], TAIL_AT - 4)


def stamped(*stamps: float) -> tuple[np.ndarray, list[str]]:
    """A, of which the blocks of 0.25 s have these stamps."""
    blocks = [(time, A[4000 * number : 4000 * (number + 1)]) for number, time in enumerate(stamps)]
    return heard(make.matroska(blocks))


@needs_codecs
def test_time_stamps_that_are_wrong_cost_no_sound() -> None:
    good = [number / 4 for number in range(24)]
    for wrong in (
        [0.0] * 24,  # that repeat
        [*good[:10], 0.0, *good[11:]],  # one that jumps back
        [*good[:10], 600.0, *good[11:]],  # one that jumps ahead
        [*good[:10], *good[:14]],  # that begin anew
        [*good[:10], *(time + 1e6 for time in good[10:])],  # that jump by days
        [*good[:10], *(time - 1 for time in good[10:])],  # that go back
        good[::-1],
    ):
        waveform, warnings = stamped(*wrong)
        assert not warnings
        assert waveform == pytest.approx(A[:96_000], abs=1e-3)
    waveform, _ = stamped(*good[:10], *(time + 3 for time in good[10:]))  # that are right
    assert waveform[88_000:] == pytest.approx(A[40_000:96_000], abs=1e-3)
    assert not waveform[40_000:88_000].any()


@needs_codecs
@pytest.mark.parametrize("subtype", ["OPUS", "VORBIS"])
def test_times_of_ogg(subtype: str) -> None:
    """Its pages tell how many samples come before their end."""
    data, rate = make.encoded(np.concatenate([A, B]), "OGG", subtype), 48_000 if subtype == "OPUS" else 16_000
    waveform, warnings = heard(make.ogg_moved(data, lambda time: time + 10 * (time > 6), rate))
    (warning,) = warnings
    assert warning.startswith("10.0 s from 0:0")
    assert_there(waveform, HEAD, 0)
    assert_there(waveform, B[40_000:], len(A) / make.RATE + 12.5)
    for moved in (lambda time: time + 100, lambda time: time - 5 * (time > 6)):
        waveform, warnings = heard(make.ogg_moved(data, moved, rate))
        assert not warnings
        assert_there(waveform, HEAD, 0)
        assert_there(waveform, B[40_000:], len(A) / make.RATE + 2.5)


@needs_codecs
def test_eight_channels() -> None:
    data = make.by_ffmpeg(A, "matroska", "flac", layout="7.1")
    assert len(heard(data)[0]) == len(A)


# --- Other formats ----------------------------------------------------------------------------------------


@needs_codecs
@pytest.mark.parametrize("form", ["mp3", "aac", "mp2"])
@pytest.mark.parametrize("junk", [bytes(5000), b"HTTP/1.1 200 OK\r\nicy-name: talk\r\n\r\n" + bytes(range(256)) * 9])
def test_junk_before_the_first_frame(form: str, junk: bytes) -> None:
    waveform, warnings = heard(junk + recording(form))
    assert not warnings
    assert_there(waveform, A, 0)


@needs_codecs
@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{path}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{path}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {path}\n",
        "v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        "[Reference]\nRef1=http://127.0.0.1/{path}\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{path}</BaseURL></MPD>',
    ],
)
def test_files_that_name_others_are_not_followed(tmp_path: Path, playlist: str) -> None:
    (tmp_path / "talk.wav").write_bytes(recording("wav"))
    with pytest.raises(AudioError, match="not a sound file"):
        heard(playlist.format(path=tmp_path / "talk.wav").encode())


# --- Heard ------------------------------------------------------------------------------------------------


def test_channels_that_would_cancel_each_other() -> None:
    hiss = 1e-3 * np.random.default_rng(1).standard_normal((len(A), 2))
    hum = 0.2 * np.sin(2 * np.pi * 50 * np.arange(len(A)) / make.RATE)
    for channels in (
        np.stack([A, -A], axis=1),
        np.stack([A, -0.7 * A], axis=1) + hiss,
        np.stack([A, -A, A, A], axis=1),
    ):
        waveform = load(channels)
        assert abs(make.place(waveform, A)[1]) > 0.95
        assert np.abs(waveform).max() > 0.5 * np.abs(A).max()
    # Hum that differs in sign is no reason to turn the speech.
    waveform = load(np.stack([A + hum, A - hum], axis=1))
    assert waveform == pytest.approx(A, abs=1e-6)


@pytest.mark.parametrize("type", [np.int16, np.int32, np.int64])
def test_integers_by_what_they_hold_not_by_their_type(type: type) -> None:
    sixteen = (A * 2**15).astype(type)
    assert load(sixteen) == pytest.approx(A, abs=1e-4)
    assert load(np.stack([sixteen, sixteen], axis=1)) == pytest.approx(A, abs=1e-4)
    if type is not np.int16:
        assert load((A * 2**23).astype(type)) == pytest.approx(A, abs=1e-6)
        assert load((A * 2**31).astype(type)) == pytest.approx(A, abs=1e-6)


def test_a_file_of_32_bits_that_holds_16() -> None:
    quiet = np.append(np.zeros(80_000), A)
    waveform, _ = heard(make.encoded((quiet * 2**15).astype(np.int32), "WAV", "PCM_32"))
    assert waveform == pytest.approx(quiet, abs=1e-4)
    waveform, _ = heard(make.encoded(quiet, "WAV", "PCM_32"))
    assert waveform == pytest.approx(quiet, abs=1e-6)
