"""``python -m lm.cli``, as torchrun starts it."""

from lm.cli import app

app()
