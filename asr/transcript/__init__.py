"""What comes out of a recording."""

from asr.transcript.transcript import Segment, Transcript
from asr.transcript.word import Style, Word

__all__ = ["Segment", "Style", "Transcript", "Word"]
