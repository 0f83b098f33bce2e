"""The recipe: what its training data is, that nothing that models are measured on is in it, and that it runs."""

import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from itertools import islice
from pathlib import Path
from typing import Any

import click
import pytest
import soundfile
import typer
from lhotse import CutSet
from typer.testing import CliRunner

import asr.cli
import data_prep.cli
import lm.cli
from asr.training.train import read_config
from data_prep.layouts import read
from data_prep.overlap import Utterance, content_hash, find_overlaps, utterance, without
from lm.bundle import DEFAULT
from lm.text.normalise import normalize
from lm.text.overlap import find_overlaps as find_shared_words
from lm.training.train import read_config as read_lstm_config

RECIPE = Path(__file__).parents[2] / "recipes/librispeech"
HASHES = {Path(name).name: hash_ for hash_, name in map(str.split, (RECIPE / "manifest-hashes.txt").open())}
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


def load_recipe() -> Any:
    """recipes/librispeech/run as a module."""
    sys.path.insert(0, str(RECIPE))  # where it finds work.py
    loader = SourceFileLoader("librispeech_recipe", str(RECIPE / "run"))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = sys.modules[loader.name] = module_from_spec(spec)
    loader.exec_module(module)
    return module


recipe = load_recipe()


# --- Settings and commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [RECIPE, RECIPE / "small"])
def test_models_are_trained_on_the_manifests_whose_hashes_are_listed(folder: Path) -> None:
    for name, _ in recipe.TRAININGS[recipe.Set.mini]:
        if folder == RECIPE or (folder / f"{name}.toml").exists():
            config = read_config(folder / f"{name}.toml")
            used = {Path(corpus.manifest).name for corpus in config.corpora}
            assert used == HASHES.keys() - {f"{name}.jsonl.gz" for name in HELDOUT}
            assert Path(config.dev).name == "librispeech-dev.jsonl.gz"


@pytest.mark.parametrize("which", ["mini", "clean-100", "full-960"])
def test_a_dry_run_prints_commands_that_there_are_and_that_make_what_others_read(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["--set", which, "--data", "data", "--dry-run"]
    done = CliRunner().invoke(recipe.app, asked)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    programs = {name: typer.main.get_command(module.app) for name, module in PROGRAMS.items()}
    made = {Path("data")}
    for line in lines:
        program, *arguments = shlex.split(line.partition(" > ")[0])
        if program in programs:
            name = arguments.pop(0)
            subcommand = programs[program].get_command(click.Context(programs[program]), name)  # type: ignore[attr-defined]
            assert subcommand, line
            subcommand.make_context(name, arguments)  # fails if it wouldn't take these arguments
        else:
            assert shutil.which(program), line
        made |= {Path(word) for word in shlex.split(line) if word.startswith("exp/")}
    if which == "mini":
        settings: list[Any] = [read_config(RECIPE / f"{name}.toml") for name, _ in recipe.TRAININGS[recipe.Set.mini]]
        lstm = read_lstm_config(RECIPE / "lstm.toml")
    else:
        settings = [read_config(RECIPE / f"official/{which}.toml")]
        lstm = read_lstm_config(RECIPE / "official/lstm.toml")
    for config in settings:
        assert made >= {Path(name) for name in (config.dev, *(corpus.manifest for corpus in config.corpora))}
    assert made >= {Path(lstm.text), Path(lstm.dev), Path(lstm.vocabulary)}
    assert not (tmp_path / "exp").exists()
    # Some of the stages are some of the commands.
    parts = [("1", "4"), ("5", "8"), ("9", "11")]
    split = [CliRunner().invoke(recipe.app, [*asked, "--stage", a, "--stop-stage", b]).stdout for a, b in parts]
    assert "".join(split).splitlines() == lines


PROGRAMS = {"asr": asr.cli, "lm": lm.cli, "data-prep": data_prep.cli}


def test_several_gpus_and_machines_train_by_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["--set", "clean-100", "--data", "data", "--stage", "8", "--stop-stage", "8", "--dry-run"]
    one, eight = (CliRunner().invoke(recipe.app, [*asked, *more]).stdout for more in ([], ["--gpus", "8"]))
    assert eight == one.replace("asr train", "torchrun --nnodes 1 --nproc-per-node 8 --standalone -m asr.cli train")
    many = CliRunner().invoke(recipe.app, [*asked, "--nodes", "2"])
    assert many.exit_code == 1
    assert "--rendezvous HOST:PORT" in many.stderr


# --- What is current ------------------------------------------------------------------------------------------


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """a -> b -> a training, of settings that name b -> c; the training notes in its folder that it ran."""
    monkeypatch.chdir(tmp_path)
    Path("settings.toml").write_text('text = "b"\nsteps = 1\n')
    Path("raw").write_text("1")
    stage = recipe.Stage.text
    return [
        recipe.command(stage, "cat", "raw", output=Path("a")),
        recipe.command(stage, "cp", "a", "b", makes=[Path("b")]),
        recipe.command(
            *(stage, "sh", "-c", "mkdir -p model && echo ran >> model/log", "settings.toml"),
            makes=[Path("model")],
            training=True,
        ),
        recipe.command(stage, "cp", "model/log", "c", makes=[Path("c")]),
    ]


def ran(commands: list[Any]) -> list[bool]:
    """Which of the commands were run."""
    work = recipe.Work(commands)
    return [work.do(item) for item in commands]


def test_what_is_current_is_not_done_again(chain: list[Any]) -> None:
    assert ran(chain) == [True, True, True, True]
    assert ran(chain) == [False, False, False, False]
    assert Path("b").read_text() == "1"


def test_what_is_missing_is_made_again_and_all_that_read_it(chain: list[Any]) -> None:
    ran(chain)
    Path("b").unlink()
    assert ran(chain) == [False, True, True, True]
    # A training can't go on with other data; what there was isn't lost.
    assert Path("model/log").read_text() == Path("model.1/log").read_text() == "ran\n"
    shutil.rmtree("model")
    assert ran(chain) == [False, False, True, True]


def test_other_settings_are_another_training(chain: list[Any]) -> None:
    ran(chain)
    Path("settings.toml").write_text('# a comment is no setting\ntext = "b"\nsteps = 1\n')
    assert ran(chain) == [False, False, False, False]
    Path("settings.toml").write_text('text = "b"\nsteps = 2\n')
    assert ran(chain) == [False, False, True, True]
    assert Path("model.1").exists()


def test_a_training_that_failed_goes_on_in_its_folder(chain: list[Any]) -> None:
    script = "mkdir -p model && echo ran >> model/log && test -e rain"
    training = replace(chain[2], arguments=["sh", "-c", script, "settings.toml"])
    with pytest.raises(ValueError, match="stage 4"):
        ran([*chain[:2], training])
    Path("rain").touch()
    assert ran([*chain[:2], training]) == [False, False, True]
    assert Path("model/log").read_text() == "ran\nran\n"
    assert not Path("model.1").exists()


def test_what_a_failing_command_printed_is_no_output(chain: list[Any]) -> None:
    item = recipe.command(recipe.Stage.text, "sh", "-c", "echo half; exit 3", output=Path("out"))
    with pytest.raises(ValueError, match="exit code 3"):
        ran([item])
    assert not Path("out").exists()
    warned = recipe.command(recipe.Stage.text, "false", complaint="so what")
    assert ran([warned]) == [True]
    assert ran([warned]) == [False]


def test_an_archive_may_be_deleted_once_it_is_unpacked(chain: list[Any]) -> None:
    transient = [replace(chain[0], transient=True), *chain[1:]]
    ran(transient)
    Path("a").unlink()
    assert ran(transient) == [False, False, False, False]
    Path("b").unlink()
    assert ran(transient) == [True, True, True, True]


def test_what_a_killed_recipe_had_started_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command at once, that command's children when the recipe is run again, others never."""
    script = (
        "from work import Work, command; "
        "item = command(None, 'sh', '-c', 'sleep 60 & echo $$ $! > pids; wait'); "
        "Work([item]).do(item)"
    )
    killed, other = (
        subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(RECIPE)})
        for command in ([sys.executable, "-c", script], ["sleep", "60"])
    )
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"))
    killed.kill()
    killed.wait()
    pid, child = pids.read_text().split()
    wait_until(lambda: is_dead(pid))
    assert not is_dead(child)
    monkeypatch.chdir(tmp_path)
    with recipe.alone():
        pass
    wait_until(lambda: is_dead(child))
    assert other.poll() is None
    other.kill()
    other.wait()


def is_dead(pid: str) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().split()[2] == "Z"


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    pytest.fail("waited for 30 seconds")


# --- All of it, in small --------------------------------------------------------------------------------------


def test_the_whole_recipe_runs_and_goes_on_after_kills(tmp_path: Path) -> None:
    """From corpora to results, on seconds of speech and with tiny acoustic models, but the shipped language models.

    The held-out recordings are of other speakers than the one who is trained on.
    """
    make_corpora(tmp_path / "data/speech")
    settings = tmp_path / "settings"
    settings.mkdir()
    for name in ("ctc", "crf-last"):
        tiny = "max_steps = 3\nvalidate_every = 3\n[model]\nhidden = 16\nlayers = 1\nchannels = 4\n"
        (settings / f"{name}.toml").write_text(f'base = "{RECIPE / name}.toml"\n{tiny}')
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    options = {"--set": "mini", "--data": tmp_path / "data", "--settings": settings, "--language-models": DEFAULT}
    command = [sys.executable, RECIPE / "run", *(str(part) for item in options.items() for part in item)]

    def start(*more: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PATH": path}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*command, *more], cwd=tmp_path, env=environment, **pipes)  # type: ignore[call-overload,no-any-return]

    chance = random.Random(1)
    for _ in range(3):
        killed = start()
        assert killed.stderr
        commands = (line for line in killed.stderr if line.startswith("+ "))
        next(islice(commands, chance.randint(0, 6), None))  # the last of so many that were begun
        time.sleep(chance.uniform(0, 2))
        killed.kill()
        killed.communicate()
    finished = start()
    row, told = finished.communicate()
    assert finished.returncode == 0, told
    written = (tmp_path / "exp/RESULTS.md").read_text().splitlines()
    assert written[-1] == row.strip()
    assert len(written) == 5
    assert all((tmp_path / f"exp/decode/{name}/alignments.txt").exists() for name in ("dev-mini", "commonvoice-dev"))
    speech = tmp_path / "data/speech"
    made = {name: read(tmp_path / f"exp/manifests/{name}.jsonl.gz").cuts for name in CORPORA}
    assert {name: content_hash(cuts) for name, cuts in made.items()} == {
        name: content_hash(read(speech / corpus).cuts) for name, corpus in CORPORA.items()
    }
    again = start()
    assert again.communicate() == (row, "nothing to do: stages 1 to 11 of mini are current\n")
    assert again.returncode == 0
    assert (tmp_path / "exp/RESULTS.md").read_text().splitlines() == written


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
