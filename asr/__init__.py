"""Speech recognition: from asr import Recognizer."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.recognizer import Recognizer

__all__ = ["Recognizer"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: asr.lexicon.units and the like need none of the models."""
    if name != "Recognizer":
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    from asr.recognizer import Recognizer

    return Recognizer
