"""What is pasted is what comes out: the documents' commands are run, and what they print is compared with the page.

A ```console block is run command by command, a ```pycon block by Python, in a folder where the repository's files are;
what follows each command is what it printed, "..." stands for anything. A ```sh block shows commands that are not run,
for want of the files or the hours: programs, options and files of the repository that it names must exist, as must
those of commands within the text. ```toml holds settings that there are, ```text neither.

`make docs` (python tests/test_docs.py) writes what was printed into the pages, wherever it differs.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, fields
from decimal import Decimal
from io import StringIO
from itertools import chain, dropwhile, groupby
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import asr.cli
import data_prep.cli
import lm.cli
from asr.training.train import AcousticTrainConfig

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/**/*.md"), *ROOT.glob("tests/*/*.md")]
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
LANGUAGES = {"console", "pycon", "sh", "toml", "text"}


@dataclass(frozen=True)
class Block:
    """What stands between two lines of ```."""

    language: str
    text: str
    line: int  # of the document, from 0: the first of `text`


def blocks(document: str) -> list[Block]:
    """The blocks of a page of Markdown."""
    fences = re.finditer(r"^```(\w*)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    return [Block(fence[1], fence[2], document.count("\n", 0, fence.start(2))) for fence in fences]


# --- Blocks that are run ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A command or Python statement of a page, and what the page says that it prints."""

    language: str
    command: str
    expected: str
    lines: slice  # of the document, that `expected` fills


PROMPTS = {
    "console": re.compile(r"^\$ (.*\n)((?:(?!\$ ).*\n)*)", re.MULTILINE),
    "pycon": re.compile(r"^>>> (.*\n(?:\.\.\. .*\n)*)((?:(?!>>> ).*\n)*)", re.MULTILINE),
}


def steps(document: str) -> Iterator[Step]:
    """All that is to be run, in order."""
    for block in blocks(document):
        for found in PROMPTS[block.language].finditer(block.text) if block.language in PROMPTS else ():
            first = block.line + block.text.count("\n", 0, found.start(2))
            command = re.sub(r"^\.\.\. ", "", found[1], flags=re.MULTILINE)
            yield Step(block.language, command, found[2], slice(first, first + found[2].count("\n")))


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder that looks like the repository's, so that what commands write is not left there, nor they themselves."""
    with tempfile.TemporaryDirectory(prefix="nicebeach-docs-") as name:
        for path in ROOT.iterdir():
            if path.name[0] != "." and path.name not in ("build", "exp"):
                Path(name, path.name).symlink_to(path)
        try:
            yield Path(name)
        finally:
            for link in Path("/proc").glob("[0-9]*/cwd"):
                with suppress(OSError):  # it ended, or is another user's
                    if link.readlink() == Path(name):
                        os.kill(int(link.parent.name), signal.SIGTERM)


def run_command(command: str, folder: Path) -> str:
    """What a line of bash prints, errors among the rest, on a terminal of 120 columns that knows no colours."""
    programs = Path(sys.executable).parent
    changes = {"COLUMNS": "120", "NO_COLOR": "1", "PYTHONPATH": str(ROOT), "PATH": f"{programs}:{os.environ['PATH']}"}
    changes["PYTHONUNBUFFERED"] = "1"  # so that errors stand where a terminal would show them
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | changes,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def run_statement(statement: str, names: dict[str, object], folder: Path) -> str:
    """What a statement prints, or the last line of its traceback as doctest has it."""
    with chdir(folder), redirect_stdout(StringIO()) as printed:
        try:
            exec(compile(statement, "<pycon>", "single"), names)
        except Exception as error:
            last = "".join(traceback.format_exception_only(error))
            return f"{printed.getvalue()}Traceback (most recent call last):\n  ...\n{last}"
    return printed.getvalue()


def run(document: str) -> Iterator[tuple[Step, str]]:
    """Each step of a page, and what it really prints."""
    names: dict[str, object] = {"__name__": "__main__"}
    with workplace() as folder:
        for step in steps(document):
            if step.language == "console":
                yield step, run_command(step.command, folder)
            else:
                yield step, run_statement(step.command, names, folder)


NUMBER = re.compile(r"(-?\d+\.\d+(?:e-?\d+)?)")


def agree(expected: str, printed: str) -> bool:
    """Whether a page says what was printed, "..." standing for anything.

    A decimal may be off by one in its last place, or by a ten-thousandth: processors differ in the order in which they
    add. Empty lines at the end don't count.
    """
    pattern = "".join(
        NUMBER.pattern if index % 2 else re.escape(part).replace(r"\.\.\.", ".*?")
        for index, part in enumerate(NUMBER.split(expected.rstrip()))
    )
    match = re.fullmatch(pattern, printed.rstrip(), re.DOTALL)
    return match is not None and all(map(near, NUMBER.findall(expected), match.groups()))


def near(said: str, found: str) -> bool:
    last_place = Decimal(1).scaleb(int(Decimal(said).as_tuple().exponent))
    return abs(Decimal(said) - Decimal(found)) <= max(last_place, abs(Decimal(said)) / 10_000)


@pytest.mark.parametrize("name", [name for name in NAMES if [*steps((ROOT / name).read_text())]])
def test_what_is_pasted_is_what_comes_out(name: str) -> None:
    for step, printed in run((ROOT / name).read_text()):
        assert agree(step.expected, printed), f"{name}: {step.command}\n{printed}\nmake docs writes this into the page"


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("rtf ...\n", "rtf 0.113\n\n", True),
        ("-3.21 A\n", "-3.22 A\n", True),
        ("-3.21 A\n", "-3.23 A\n", False),
        ("2.972e-05\n", "2.973e-05\n", True),
        ("2.972e-05\n", "2.972e-06\n", False),
        ("3 files\n", "4 files\n", False),
        ("A\n", "A\nB\n", False),
    ],
)
def test_decimals_may_be_off_by_one_in_the_last_place(expected: str, printed: str, same: bool) -> None:
    assert agree(expected, printed) is same


def written_anew(document: str) -> str:
    """A page with what its commands print today, wherever it says something else."""
    lines = document.splitlines(keepends=True)
    for step, printed in reversed([*run(document)]):
        if not agree(step.expected, printed):
            lines[step.lines] = [printed.rstrip() + "\n"] if printed.strip() else []
    return "".join(lines)


def test_pages_are_written_anew_where_they_differ() -> None:
    before = "```console\n$ echo 1; echo 2\n3\n$ echo same\nsa...\n$ true\nno\n```\n"
    page = f"{before}\n```pycon\n>>> 1 + 1\n3\n>>> 1 / 0\n```\n"
    error = "Traceback (most recent call last):\n  ...\nZeroDivisionError: division by zero\n"
    console = "```console\n$ echo 1; echo 2\n1\n2\n$ echo same\nsa...\n$ true\n```\n"
    assert written_anew(page) == f"{console}\n```pycon\n>>> 1 + 1\n2\n>>> 1 / 0\n{error}```\n"


# --- Commands that are only looked at -----------------------------------------------------------------------------

EXTRA = r"nicebeach\[\w+\]"
APPS = {"asr": asr.cli.app, "lm": lm.cli.app, "data-prep": data_prep.cli.app}
# Programs that others made. Of their arguments only files and extras of ours are looked at.
FOREIGN = set("apt-get arecord cat cd curl ffmpeg git grep head mypy pip python3 ruff source tensorboard".split())
FOLDERS = set("asr data_prep docs examples lm recipes tests".split())
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def commands(text: str) -> Iterator[list[str]]:
    """The simple commands of lines of shell, without redirections and settings of variables."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(re.sub(r"[<>]+ *\S+", "", line), posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        for between, words in groupby(lexer, lambda word: set(word) <= set("|&;")):
            if not between:
                yield [*dropwhile(lambda word: re.match(r"\w+=", word), words)]


def check(words: list[str], whole: bool = True) -> None:
    """Fail unless a command names what there is. whole: it is one that can be run, and no mere mention."""
    program, *arguments = words
    if program == "torchrun":
        program, *arguments = words[words.index("-m") + 1 :]
        program = program.removesuffix(".cli")
    if program in APPS:
        group = typer.main.get_command(APPS[program])
        if arguments[0].startswith("-"):
            assert options(arguments) <= known_options(group)
            return
        command = group.get_command(None, arguments[0])  # type: ignore[attr-defined]
        assert command, f"{program} has no {arguments[0]}"
        if whole:
            command.make_context(arguments[0], arguments[1:])  # fails if it wouldn't take these arguments
        else:
            assert options(arguments) <= known_options(command)
    elif program == "make":
        makefile = (ROOT / (arguments[1] if arguments[0] == "-f" else "Makefile")).read_text()
        for target in arguments[2 * (arguments[0] == "-f") :]:
            assert "=" in target or re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
    elif program not in FOREIGN:  # a program of the repository
        source = (ROOT / (arguments[0] if program == "python" else program)).read_text()
        for option in options(arguments):
            assert f'"{option}"' in source or f"{option[2:].replace('-', '_')}: Annotated" in source, option
    for word in words:
        if word.partition("/")[0] in FOLDERS and "/" in word:
            assert [*ROOT.glob(word)], f"there is no {word}"
        if extras := re.fullmatch(r"(?:nicebeach|\.)\[(.*)\]", word):
            assert set(extras[1].split(",")) <= EXTRAS.keys(), word


@pytest.mark.parametrize("name", APPS)
def test_help_names_extras_whole(name: str) -> None:
    """Not as Rich's markup, which would swallow [server]."""
    group = typer.main.get_command(APPS[name])
    for command in group.list_commands(None):  # type: ignore[attr-defined, arg-type]
        wanted = re.findall(EXTRA, group.get_command(None, command).help or "")  # type: ignore[attr-defined]
        shown = CliRunner().invoke(APPS[name], [command, "--help"]).output
        assert re.findall(EXTRA, " ".join(shown.split())) == wanted, command


def options(arguments: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in arguments if word.startswith("--")}


def known_options(command: Any) -> set[str]:
    return {"--help", *chain.from_iterable(parameter.opts for parameter in command.params)}


@pytest.mark.parametrize("name", NAMES)
def test_commands_that_are_not_run_name_what_there_is(name: str) -> None:
    document = (ROOT / name).read_text()
    assert 2 * len(blocks(document)) == len(re.findall(r"^ *```", document, re.MULTILINE)), f"{name}: a block is hidden"
    for block in blocks(document):
        assert block.language in LANGUAGES, f"{name}:{block.line}: ```{block.language} is none of {LANGUAGES}"
        if block.language == "sh":
            for words in commands(block.text):
                check(words, whole="..." not in words)
        elif block.language in PROMPTS:
            assert not PROMPTS[block.language].sub("", block.text), f"{name}:{block.line}: begins without a prompt"
        elif block.language == "toml":
            assert tomllib.loads(block.text).keys() <= {"base", *(field.name for field in fields(AcousticTrainConfig))}
    prose = re.sub(r"^```.*?^```$", "", document, flags=re.MULTILINE | re.DOTALL)
    for mention in re.findall(r"`((?:asr|lm|data-prep|make) [^`]+)`", prose):
        for words in commands(" ".join(mention.split())):
            check(words, whole=False)
    for mention in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[^` ]*)", prose):
        assert [*ROOT.glob(mention)], f"{name}: there is no {mention}"


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    for address, heading in re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", path.read_text()):
        target = path.parent / address if address else path
        assert target.exists(), f"{name}: {address}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, heading


if __name__ == "__main__":
    for path in DOCUMENTS:
        text = path.read_text()
        if (anew := written_anew(text)) != text:
            path.write_text(anew)
            print(f"{path.relative_to(ROOT)}: written anew")
