"""A bar for what takes longer than a breath."""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def progress_bar(items: Iterable[Item], description: str, total: int | None) -> Iterable[Item]:
    """The same items, with a bar on stderr while they are gone through, if that is a terminal."""
    console = Console(stderr=True)
    return track(items, description, total, console=console, transient=True, disable=not console.is_terminal)
