import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.layouts import read
from data_prep.manifest import write

RATE = 16_000


def put_audio(path: Path, seconds: float = 0.1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # libsndfile names the Opus codec, not the suffix
    kind = {"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}
    soundfile.write(path, np.zeros(round(seconds * RATE), np.float32), RATE, **kind)


def put_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def librispeech(root: Path) -> Path:
    put_audio(root / "train-mini/12/34/12-34-0000.flac")
    put_audio(root / "train-mini/12/34/12-34-0001.opus")
    put_audio(root / "train-mini/12/34/12-34-0003.flac")
    put_text(root / "train-mini/12/34/12-34.trans.txt", "12-34-0000 HOW TO\n12-34-0001 IT'S\n12-34-0002 GONE\n")
    return root / "train-mini"


def common_voice(root: Path) -> Path:
    put_audio(root / "clips/a.opus")
    put_audio(root / "clips/b.flac")
    header = "client_id\tpath\tsentence\tgender\n"
    good = 'unk\ta.opus\tHe said "no.\t\nf00d\tb.flac\tÉtudes, 1880\tfemale\n'
    bad = "f00d\tc.mp3\tGone.\t\nf00d\tb.flac\t\t\n"
    put_text(root / "train.tsv", header + good + bad)
    return root


def kaldi(root: Path) -> Path:
    put_audio(root / "WAVE/u1.flac")
    put_audio(root / "elsewhere/u2.wav")
    put_audio(root / "WAVE/u3.wav")
    put_text(
        root / "train/wav.scp",
        f"u1\tWAVE/u1.flac\nu2 {root}/elsewhere/u2.wav\nu3 WAVE/u3.wav\nu5 WAVE/u5.wav\n",
    )
    put_text(root / "train/text", "u1\tWE CALL  IT BEAR\nu2 ZERO\nu3\nu4 NOWHERE\nu5 GONE\n")
    put_text(root / "train/utt2spk", "u1 s1\nu2 s2\n")
    put_text(root / "train/spk2gender", "s1 m\n")
    return root / "train"


def ljspeech(root: Path) -> Path:
    for name in ("one.opus", "two.wav", "three.wav", "four.wav"):
        put_audio(root / "wavs" / name)
    put_text(root / "metadata.csv", "one|No. 1|Number one\ntwo|Two.\nthree\ntwo|Two again.\ngone|a|b\n")
    return root


def sphinx(root: Path) -> Path:
    for name in ("train/fash/an1.opus", "train/fash/an2.wav", "test/mxyz/an3.wav"):
        put_audio(root / "wav" / name)
    put_text(root / "etc/c_train.fileids", "train/fash/an1\ntrain/fash/an2\ntrain/fash/gone\n")
    put_text(root / "etc/c_train.transcription", "<s> YES (PLEASE) </s> (an1)\n<s> GO </s> (gone)\n")
    put_text(root / "etc/c_test.fileids", "test/mxyz/an3\n")
    put_text(root / "etc/c_test.transcription", "RUBOUT G M (test/mxyz/an3)\n")
    return root


def vctk(root: Path) -> Path:
    put_audio(root / "wav48/p239/p239_001.opus")
    put_audio(root / "wav48/p240/p240_001.wav")
    put_audio(root / "wav48/p315/p315_001.wav")
    put_text(root / "txt/p239/p239_001.txt", "Please call Stella.\n")
    put_text(root / "txt/p240/p240_001.txt", "Ask her.\n")
    put_text(root / "txt/p240/p240_002.txt", "Gone.\n")
    return root


def fsdd(root: Path) -> Path:
    for name in ("7_theo_0.wav", "0_lucas_12.flac", "ten_lucas_1.wav", "7_theo.wav"):
        put_audio(root / "recordings" / name)
    return root


CORPORA: dict[Callable[[Path], Path], tuple[list[tuple], dict[str, list[str]]]] = {
    librispeech: (
        [("12-34-0000", "HOW TO", "12", None), ("12-34-0001", "IT'S", "12", None)],
        {"missing audio": ["12-34-0002"], "no transcript": ["12-34-0003"]},
    ),
    common_voice: (
        [("a", 'He said "no.', None, None), ("b", "Études, 1880", "f00d", "female")],
        {"missing audio": ["c"], "no transcript": ["b"]},
    ),
    kaldi: (
        [("u1", "WE CALL  IT BEAR", "s1", "m"), ("u2", "ZERO", "s2", None)],
        {"missing audio": ["u4", "u5"], "no transcript": ["u3"]},
    ),
    ljspeech: (
        [("one", "Number one", None, None), ("two", "Two.", None, None)],
        {"duplicate id": ["two"], "missing audio": ["gone"], "no transcript": ["four", "three"]},
    ),
    sphinx: (
        [("test/mxyz/an3", "RUBOUT G M", "mxyz", None), ("train/fash/an1", "YES (PLEASE)", "fash", None)],
        {"missing audio": ["train/fash/gone"], "no transcript": ["train/fash/an2"]},
    ),
    vctk: (
        [("p239_001", "Please call Stella.", "p239", None), ("p240_001", "Ask her.", "p240", None)],
        {"missing audio": ["p240_002"], "no transcript": ["p315_001"]},
    ),
    fsdd: (
        [("0_lucas_12", "zero", "lucas", None), ("7_theo_0", "seven", "theo", None)],
        {"no transcript": ["7_theo", "ten_lucas_1"]},
    ),
}


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.__name__)
def test_layout(corpus: Callable[[Path], Path], tmp_path: Path) -> None:
    utterances, dropped = CORPORA[corpus]
    prepared = read(corpus(tmp_path))
    found = [(cut.id, s.text, s.speaker, s.gender) for cut in prepared.cuts for s in cut.supervisions]
    assert found == utterances
    assert prepared.dropped == dropped
    for cut in prepared.cuts:
        assert cut.duration == 0.1
        assert cut.load_audio().shape == (1, RATE // 10)


@pytest.mark.parametrize("part", [".", "train-mini", "train-mini/12", "train-mini/12/34"])
def test_librispeech_from_any_of_its_folders(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    librispeech(tmp_path)
    monkeypatch.chdir(tmp_path / part)
    cuts = read(Path(".")).cuts
    assert [cut.supervisions[0].speaker for cut in cuts] == ["12", "12"]
    assert all(Path(cut.recording.sources[0].source).is_absolute() for cut in cuts)


@pytest.mark.parametrize("part", [".", "train-mini", "train-mini/12/34"])
def test_manifest_tells_layout_and_book(part: str, tmp_path: Path) -> None:
    librispeech(tmp_path)
    (cut, _) = read(tmp_path / part).cuts
    assert cut.supervisions[0].custom == {"layout": "LibriSpeech"}
    put_text(tmp_path / "CHAPTERS.TXT", "; ID | …\n34 | 12 | 8.4 | train-clean-100 | 2 | 121 | I | Northanger Abbey\n")
    (cut, _) = read(tmp_path / part).cuts
    assert cut.supervisions[0].custom == {"layout": "LibriSpeech", "book": "121"}
    common_voice(tmp_path / "cv")
    (cut, _) = read(tmp_path / "cv/train.tsv").cuts
    assert cut.supervisions[0].custom == {"layout": "Common Voice"}


def test_common_voice_folder_of_several_splits_must_be_asked_by_file(tmp_path: Path) -> None:
    common_voice(tmp_path)
    put_text(tmp_path / "reported.tsv", "sentence_id\tsentence\treason\n")  # not a split
    assert len(read(tmp_path).cuts) == 2
    put_text(tmp_path / "dev.tsv", "client_id\tpath\tsentence\nf00d\tb.flac\tHello\n")
    with pytest.raises(ValueError, match=r"several splits, name one of the files dev\.tsv, train\.tsv"):
        read(tmp_path)
    assert [cut.id for cut in read(tmp_path / "dev.tsv").cuts] == ["b"]


def test_manifest_is_read_like_a_corpus(tmp_path: Path) -> None:
    cuts = read(vctk(tmp_path)).cuts
    put_audio(tmp_path / "wav48/p239/p239_001.opus", seconds=0.5)
    longer = read(tmp_path).cuts
    for name, written in (("a.jsonl", cuts), ("b.jsonl.gz", longer)):
        write(written, tmp_path / name)
    assert list(read(tmp_path / "a.jsonl").cuts) == list(cuts)
    prepared = read(tmp_path / "b.jsonl.gz", max_seconds=0.2)
    assert [cut.id for cut in prepared.cuts] == ["p240_001"]
    assert prepared.dropped == {"longer than 0.2 s": ["p239_001"]}


def no_layout(root: Path) -> Path:
    # A folder of corpora is none of them, though a LibriSpeech lies below.
    librispeech(root / "speech/LibriSpeech")
    return root / "speech"


def other_file(root: Path) -> Path:
    put_audio(root / "talk.wav")
    return root / "talk.wav"


def other_tsv(root: Path) -> Path:
    put_text(root / "voices.tsv", "name\tseconds\n")
    return root / "voices.tsv"


def no_clips(root: Path) -> Path:
    put_text(root / "dev.tsv", "path\tsentence\n")
    return root / "dev.tsv"


def no_wavs(root: Path) -> Path:
    put_text(root / "metadata.csv", "a|b\n")
    return root


def latin_1(root: Path) -> Path:
    ljspeech(root)
    (root / "metadata.csv").write_bytes("one|café\n".encode("latin-1"))
    return root


def kaldi_command(root: Path) -> Path:
    put_text(kaldi(root) / "wav.scp", "u1 sph2pipe -f wav u1.sph |\n")
    return root / "train"


def kaldi_segments(root: Path) -> Path:
    put_text(kaldi(root) / "segments", "u1 r1 0.0 1.0\n")
    return root / "train"


def kaldi_twice(root: Path) -> Path:
    put_text(kaldi(root) / "text", "u1 A\nu1 B\n")
    return root / "train"


def sphinx_without_id(root: Path) -> Path:
    put_text(sphinx(root) / "etc/c_test.transcription", "RUBOUT G M\n")
    return root


def sphinx_ambiguous(root: Path) -> Path:
    put_text(sphinx(root) / "etc/c_test.transcription", "A (an3)\nB (an3)\n")
    return root


def chapter_without_book(root: Path) -> Path:
    put_text(root / "CHAPTERS.TXT", "34 | 12 | 8.4 | train-clean-100\n")
    return librispeech(root)


def recordings_manifest(root: Path) -> Path:
    from lhotse import RecordingSet

    RecordingSet.from_recordings(cut.recording for cut in read(vctk(root)).cuts).to_file(root / "r.jsonl.gz")
    return root / "r.jsonl.gz"


def broken_manifest(root: Path) -> Path:
    put_text(root / "m.jsonl", "{not json\n")
    return root / "m.jsonl"


ERRORS: dict[Callable[[Path], Path], str] = {
    no_layout: r"no corpus layout recognised, looked for wav\.scp \(Kaldi\), metadata\.csv \(LJSpeech\)",
    other_file: r"talk\.wav: neither a folder",
    other_tsv: r"lacks the columns path and sentence",
    no_clips: r"clips: no such folder",
    no_wavs: r"wavs: no such folder",
    latin_1: r"metadata\.csv: not UTF-8 text \(at byte 7\)",
    kaldi_command: r"wav\.scp: u1 is a command",
    kaldi_segments: r"segments: parts of recordings",
    kaldi_twice: r"text: u1 stands in it twice",
    sphinx_without_id: r"'RUBOUT G M' doesn't end in its file id",
    sphinx_ambiguous: r"two transcripts for an3",
    chapter_without_book: r"CHAPTERS\.TXT: '34 \| 12 \| 8\.4 \| train-clean-100' lacks some",
    recordings_manifest: r"not a lhotse manifest of cuts",
    broken_manifest: r"not a lhotse manifest of cuts",
}


@pytest.mark.parametrize("corpus", ERRORS, ids=lambda corpus: corpus.__name__)
def test_errors_are_one_line_with_the_problem(corpus: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=ERRORS[corpus]) as caught:
        read(corpus(tmp_path))
    assert "\n" not in str(caught.value)


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        read(tmp_path / "nowhere")


@pytest.mark.skipif("NICEBEACH_DATA" not in os.environ, reason="NICEBEACH_DATA (the corpora) is not set")
@pytest.mark.parametrize(
    ("path", "utterances", "hours", "speakers"),
    [
        ("LibriSpeech/train-mini", 1267, 4.41, 22),
        ("LibriSpeech/dev-mini", 114, 0.42, 3),
        ("commonvoice/train.tsv", 5413, 7.12, 317),
        ("commonvoice/dev.tsv", 185, 0.24, 13),
        ("speechocean762/train", 2500, 2.88, 125),
        ("speechocean762/test", 2500, 2.69, 125),
        ("kathleen", 1620, 1.37, 0),
        ("an4", 1078, 0.81, 84),
        ("vctk", 503, 0.43, 1),
        ("synthetic", 654, 1.01, 0),
        ("nice_beach", 20, 0.02, 0),
        ("fsdd", 3000, 0.36, 6),
    ],
)
def test_real_corpora(path: str, utterances: int, hours: float, speakers: int) -> None:
    prepared = read(Path(os.environ["NICEBEACH_DATA"]) / "speech" / path)
    assert prepared.dropped == {}
    assert len(prepared.cuts) == utterances
    assert round(sum(cut.duration for cut in prepared.cuts) / 3600, 2) == hours
    assert len({cut.supervisions[0].speaker for cut in prepared.cuts} - {None}) == speakers


@pytest.mark.parametrize("field", ["x" * 200_000, '"' * 1_000_000])
def test_common_voice_with_a_field_that_is_none(tmp_path: Path, field: str) -> None:
    common_voice(tmp_path)
    tsv = next(tmp_path.glob("*.tsv"))
    with tsv.open("a", encoding="utf-8", newline="") as file:
        file.write(f"me\t{field}\tsome words\n")
    with pytest.raises(ValueError, match=rf"{tsv.name}: line \d+: .*; delete it") as error:
        read(tsv)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("layout", [librispeech, common_voice, kaldi, vctk, ljspeech, sphinx, fsdd])
def test_hidden_files_are_left_out(tmp_path: Path, layout: Callable[[Path], Path]) -> None:
    """Such as those of macOS beside every file, which begin as it is called."""
    path = layout(tmp_path / "corpus")
    before = read(path)
    for file in [file for file in (tmp_path / "corpus").rglob("*") if file.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(b"\x00\x05\x16\x07\x00\x02Mac OS X\xff\xfe" * 9)
    after = read(path)
    assert [cut.id for cut in after.cuts] == [cut.id for cut in before.cuts]
    assert after.dropped == before.dropped


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("layout", [librispeech, common_voice, kaldi])
def test_lists_as_windows_writes_them(tmp_path: Path, encoding: str, layout: Callable[[Path], Path]) -> None:
    path = layout(tmp_path)
    before = read(path)
    for file in tmp_path.rglob("*"):
        if (file.is_file() and file.suffix in (".txt", ".tsv", ".scp")) or file.name in ("text", "segments", "utt2spk"):
            file.write_text(file.read_text("utf-8"), encoding=encoding)
    after = read(path)
    assert [(cut.id, cut.supervisions[0].text) for cut in after.cuts] == [
        (cut.id, cut.supervisions[0].text) for cut in before.cuts
    ]
