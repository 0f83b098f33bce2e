"""Whatever bytes a file holds, its reader reads it or raises its documented errors: one line, with the file's name.

Each file is changed, and read, in a process of its own, which ends where it would hang, crash or fill the memory.
"""

import gzip
import io
import json
import random
import runpy
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

mutants = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "mutants.py")))

DATA = Path(__file__).parents[1] / "data"
SHARE = 0.15  # of the cases of sound


class Reader(NamedTuple):
    """Files by name, whose contents are changed, and what reads them: it is given the folder in which they lie."""

    files: Mapping[str, bytes]
    read: Callable[[Path], object]
    text: bool = True
    by_id: bool = False  # errors may name an utterance instead of the file


# --- Language models --------------------------------------------------------------------------------------


def arpa(folder: Path) -> Reader:
    from lm.ngram.model import NgramModel
    from lm.text.vocabulary import Vocabulary

    words = Vocabulary(["THE", "PRIESTS", "ZEBRA"])

    small = b"\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1\t<unk>\t0\n-99\t<s>\t-0.1\n-0.5\t</s>\n-0.5\tTHE\t-0.2\n"
    small += b"\n\\2-grams:\n-0.2\t<s> THE\n-0.3\tTHE </s>\n\n\\end\\\n"
    return Reader(
        {"model.arpa": small},
        lambda folder: sensible(NgramModel(folder / "model.arpa", words).log_probs([[3, 4, 5, 2]])),
    )


def trie(folder: Path) -> Reader:
    from lm.ngram.model import NgramModel
    from lm.text.vocabulary import Vocabulary

    words = Vocabulary(["THE", "PRIESTS", "ZEBRA"])
    return Reader(
        {"ngram.bin": (DATA / "tiny.bin").read_bytes()},
        lambda folder: sensible(NgramModel(folder / "ngram.bin", words).log_probs([[3, 4, 5, 3, 3, 2]])),
        text=False,
    )


def sensible(log_probs: list[np.ndarray]) -> None:
    for part in log_probs:
        assert not np.isnan(part).any()


def vocabulary(folder: Path) -> Reader:
    from lm.text.vocabulary import Vocabulary

    return Reader({"vocabulary.txt": b"THE\nO'CLOCK\nTWO\n"}, lambda folder: Vocabulary.load(folder / "vocabulary.txt"))


def counts(folder: Path) -> Reader:
    from lm.text.vocabulary import read_counts

    return Reader({"counts.txt": b"the\t100\ntwo\t7\n"}, lambda folder: read_counts(folder / "counts.txt"))


def compressed_counts(folder: Path) -> Reader:
    from lm.text.vocabulary import read_counts

    data = gzip.compress(b"the\t100\ntwo\t7\n" * 50)
    return Reader({"counts.txt.gz": data}, lambda folder: read_counts(folder / "counts.txt.gz"), text=False)


# --- Bundles ----------------------------------------------------------------------------------------------


def settings_of_bundle(folder: Path) -> Reader:
    files = {"config.toml": (folder / "config.toml").read_bytes()}
    return Reader(files, lambda changed: use(beside(changed, folder)))


def weights_of_bundle(folder: Path) -> Reader:
    """Files whose checksums are right, as if somebody had made them so."""
    names = ("acoustic.safetensors", "lstm.safetensors", "ngram.bin", "vocabulary.txt")
    return Reader(
        {name: (folder / name).read_bytes() for name in names},
        lambda changed: use(signed(beside(changed, folder))),
        False,
    )


def beside(changed: Path, folder: Path) -> Path:
    """The rest of a bundle beside what was changed."""
    for path in folder.iterdir():
        if not (changed / path.name).exists():
            (changed / path.name).symlink_to(path)
    return changed


def signed(folder: Path) -> Path:
    from lm.bundle import CONFIG, open_bundle, write_bundle

    config = dict(open_bundle(folder).config)
    (folder / CONFIG).unlink()
    write_bundle(folder, config, {name: folder / name for name in config.pop("sha256")})
    return folder


def use(folder: Path) -> None:
    """Ask all models of a bundle something."""
    from asr.recognizer import Recognizer
    from lm.query import open_models, score_sentences

    rng = np.random.default_rng(1)
    recognizer = Recognizer(folder)
    for hypothesis in recognizer.decode(recognizer.emissions(rng.standard_normal(8000, dtype=np.float32) / 10)):
        assert np.isfinite(hypothesis.total(recognizer.weights))
    models = open_models(folder)
    for name in models:
        for sentence in score_sentences(models[name], ["something had to be done"]):
            assert not np.isnan(sentence.log_probs).any()


def letter_to_sound(folder: Path) -> Reader:
    import torch

    from asr.lexicon.letter_to_sound import LetterToSound
    from asr.lexicon.units import PHONES
    from asr.training.letter_to_sound import LetterToSoundNetwork

    torch.manual_seed(1)
    network = LetterToSoundNetwork(len(PHONES), hidden=4)
    path = folder / "letter_to_sound.safetensors"
    LetterToSound({name: weight.numpy() for name, weight in network.state_dict().items()}, PHONES).save(path)
    return Reader(
        {path.name: path.read_bytes()},
        lambda folder: LetterToSound.load(folder / path.name, PHONES).pronounce("SPEECH"),
        text=False,
    )


def lexicon(folder: Path) -> Reader:
    from asr.lexicon.lexicon import read_lexicon
    from asr.lexicon.units import PHONES

    data = b"READ\tR EH D\nREAD\tR IY D\nSPEECH\tS P IY CH\n"
    return Reader({"lexicon.txt": data}, lambda folder: read_lexicon(folder / "lexicon.txt", PHONES))


# --- Settings ---------------------------------------------------------------------------------------------


def acoustic_settings(folder: Path) -> Reader:
    from asr.training.train import read_config

    recipes = Path(__file__).parents[2] / "recipes" / "librispeech"
    files = {name: (recipes / name).read_bytes() for name in ("crf.toml", "ctc.toml")}
    return Reader(files, lambda folder: read_config(folder / "crf.toml"))


def lstm_settings(folder: Path) -> Reader:
    from lm.training.train import read_config

    path = Path(__file__).parents[2] / "recipes" / "librispeech" / "lstm.toml"
    return Reader({path.name: path.read_bytes()}, lambda folder: read_config(folder / path.name))


def corpus_settings(folder: Path) -> Reader:
    import data_prep
    from data_prep.download import read_corpus

    path = Path(data_prep.__file__).parent / "corpora" / "librispeech.toml"
    return Reader({path.name: path.read_bytes()}, lambda folder: read_corpus(str(folder / path.name)))


def hot_words(folder: Path) -> Reader:
    from asr.cli.transcribe import read_hot_words

    data = "Kubernetes\nSmith and Co:6  # a firm\nNguyễn:0.5\nCOVID-19\n".encode()
    return Reader({"names.txt": data}, lambda folder: read_hot_words([], folder / "names.txt"))


# --- Checkpoints ------------------------------------------------------------------------------------------


def checkpoint(folder: Path) -> Reader:
    import torch

    from lm.training.engine import read_checkpoint

    buffer = io.BytesIO()
    torch.save({"state_dict": {"model.bias": torch.zeros(3)}, "sizes": {"units": 40}}, buffer)
    return Reader({"best.ckpt": buffer.getvalue()}, lambda folder: read_checkpoint(folder / "best.ckpt"), text=False)


# --- Corpora ----------------------------------------------------------------------------------------------


def manifest(folder: Path) -> Reader:
    from data_prep.manifest import Item, one_utterance, open_cuts, prepare, read_manifest, write

    write(prepare([Item("a", DATA / "1970-28415-0034.flac", "BUT"), Item("b", None, None)]).cuts, folder / "cuts.jsonl")

    def read(folder: Path) -> None:
        read_manifest(folder / "cuts.jsonl")
        for cut in one_utterance(open_cuts(folder / "cuts.jsonl")):
            assert isinstance(cut.supervisions[0].text, str)

    return Reader({"cuts.jsonl": (folder / "cuts.jsonl").read_bytes()}, read, by_id=True)


def compressed_manifest(folder: Path) -> Reader:
    from data_prep.manifest import one_utterance, open_cuts, read_manifest

    manifest(folder)
    data = gzip.compress((folder / "cuts.jsonl").read_bytes() * 3)

    def read(folder: Path) -> None:
        read_manifest(folder / "cuts.jsonl.gz")
        list(one_utterance(open_cuts(folder / "cuts.jsonl.gz")))

    return Reader({"cuts.jsonl.gz": data}, read, text=False, by_id=True)


def corpus(**files: bytes) -> Reader:
    """A corpus that asr evaluate and data-prep manifest find by its files; two slashes stand for those of folders."""
    from data_prep.layouts import read

    named = {name.replace("__", "/").replace("_DOT_", "."): data for name, data in files.items()}

    def prepared(folder: Path) -> None:
        for sound in ("clips/a.flac", "wavs/a.flac", "wav48/p1/a.flac", "wav/f/a.flac", "1/2/1-2-0001.flac", "a.flac"):
            (folder / sound).parent.mkdir(parents=True, exist_ok=True)
            (folder / sound).symlink_to(DATA / "1970-28415-0034.flac")
        for name in ("clips", "wavs", "wav48", "wav", "1"):
            if not any(part.startswith(name) or name in SOUND.get(part, ()) for part in named):
                shutil.rmtree(folder / name)
        read(folder, 30.0)

    return Reader(named, prepared)


SOUND = {"dev.tsv": ("clips",), "metadata.csv": ("wavs",), "etc/x.fileids": ("wav",), "txt/p1/a.txt": ("wav48",)}


def common_voice(folder: Path) -> Reader:
    return corpus(dev_DOT_tsv=b"client_id\tpath\tsentence\tgender\nx\ta.flac\tBut it's \"so\n\tb.mp3\tNo.\t\n")


def librispeech(folder: Path) -> Reader:
    chapters = b"; a comment\n2 | 1 | 10.0 | dev | 3 | 1234 | A title | A book\n"
    return corpus(**{"1__2__1-2_DOT_trans_DOT_txt": b"1-2-0001 BUT SO\n1-2-0002 NO\n", "CHAPTERS_DOT_TXT": chapters})


def ljspeech(folder: Path) -> Reader:
    return corpus(metadata_DOT_csv=b"a|But 2|But two\nb|No\n")


def kaldi(folder: Path) -> Reader:
    lists = {"text": b"a BUT SO\nb NO\n", "utt2spk": b"a x\nb x\n", "spk2gender": b"x f\n"}
    return corpus(wav_DOT_scp=b"a a.flac\nb b.flac\n", **lists)


def sphinx(folder: Path) -> Reader:
    return corpus(etc__x_DOT_fileids=b"f/a\nf/b\n", etc__x_DOT_transcription=b"<s> BUT </s> (a)\nNO (f/b)\n")


# --- What we wrote ourselves ------------------------------------------------------------------------------


def record(folder: Path) -> Reader:
    from asr.transcription.inputs import expand
    from asr.transcription.outputs import RECORD, Folder, Outcome

    sound = DATA / "1970-28415-0034.flac"
    (recording,) = expand([str(sound)])
    Folder(folder, ["txt"], False, {"channel": "mix"}).write(0, recording, Outcome({"txt": "BUT\n"}))

    def read(folder: Path) -> None:
        (folder / f"{recording.output}.txt").write_text("BUT\n")
        output = Folder(folder, ["txt"], False, {"channel": "mix"})
        output.differs(recording)
        assert not output.lacks(recording)

    return Reader({RECORD: (folder / RECORD).read_bytes()}, read)


def nbest_lists(folder: Path) -> Reader:
    from asr.decoder.nbest import read_nbest
    from lm.cli.options import open_lines

    told = {"file": "talk.mp3", "segments": [{"start": 0.1, "nbest": [{"text": "BUT", "acoustic": -1.5}]}], "nbest": []}
    files = {"some.tsv": b"a\t-1.5\tBUT\na\t-2\tBAT\n\nb\t-1\tNO\n", "some.json": json.dumps([told]).encode()}

    def read(folder: Path) -> None:
        for name in files:
            with open_lines(folder / name) as lines:
                for nbest in read_nbest(lines, str(folder / name)):
                    assert np.isfinite(nbest.scores).all()

    return Reader(files, read)


def evaluation(folder: Path) -> Reader:
    from asr.evaluation.evaluate import UTTERANCES, read_transcribed

    data = json.dumps({"id": "a", "reference": "BUT", "lstm": "BUT"}).encode() + b"\n"
    return Reader({UTTERANCES: data * 2}, read_transcribed)


BUNDLES = (settings_of_bundle, weights_of_bundle)
READERS = (
    *(arpa, trie, vocabulary, counts, compressed_counts),
    *(*BUNDLES, letter_to_sound, lexicon),
    *(acoustic_settings, lstm_settings, corpus_settings, hot_words, checkpoint),
    *(manifest, compressed_manifest, common_voice, librispeech, ljspeech, kaldi, sphinx),
    *(record, nbest_lists, evaluation),
)


@pytest.mark.parametrize("made", READERS, ids=lambda made: made.__name__)
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_are_read_or_an_error(
    made: Callable[[Path], Reader], tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    reader = made(tiny_bundle if made in BUNDLES else whole)

    def run() -> None:
        chance, folder = random.Random(mutants.SEED), tmp_path / "changed"
        write(reader.files, folder)
        reader.read(folder)  # as it should be
        outcomes = {read_changed(reader, chance, folder) for _ in range(round(SHARE * mutants.CASES))}
        assert False in outcomes or made in FORGIVING

    mutants.in_child(run, tmp_path)


FORGIVING = (record, hot_words)  # what isn't understood there is passed over


def write(files: Mapping[str, bytes], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def read_changed(reader: Reader, chance: random.Random, folder: Path) -> bool:
    """Whether the files can be read, of which one was changed."""
    changed = chance.choice([*reader.files])
    data = mutants.mutant(reader.files[changed], mutants.TEXT if reader.text else mutants.BYTES, chance)
    write({**reader.files, changed: data}, folder)
    try:
        mutants.timed(lambda: reader.read(folder))
    except (ValueError, OSError) as error:
        problem = str(error)
        assert "\n" not in problem, problem
        named = str(folder) in problem or (reader.by_id and ": " in problem and not isinstance(error, UnicodeError))
        assert named, problem
        return False
    return True
