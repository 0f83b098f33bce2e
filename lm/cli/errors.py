"""Faults that a user can cause, told in one line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What a user can cause is told in one line, without a traceback."""
    try:
        yield
    except BrokenPipeError:  # the reader has seen enough, as `head` does; Typer ends quietly
        raise
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    except ModuleNotFoundError as error:
        print(f"error: {error}; training and corpora need more: pip install 'nicebeach[train]'", file=sys.stderr)
        raise typer.Exit(1) from error
