"""What comes out of a recording."""

from asr.transcript.transcript import Segment, Transcript
from asr.transcript.word import Word

__all__ = ["Segment", "Transcript", "Word"]
