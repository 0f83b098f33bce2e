"""``python -m asr.cli``, as torchrun starts it."""

from asr.cli import app

app()
