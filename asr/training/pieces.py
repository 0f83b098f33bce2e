"""Chooses SentencePiece pieces (Kudo and Richardson 2018) as units of an acoustic model."""

from itertools import chain
from pathlib import Path

from sentencepiece import SentencePieceTrainer

from asr.lexicon.letter_to_sound import LETTERS
from lm.files import open_text


def train_pieces(text: Path, output: Path, size: int) -> None:
    """Write a model of `size` pieces, "<unk>" and all letters among them, by the unigram method.

    text: normalised sentences, one a line; all of them are read into memory. Errors: FileNotFoundError; ValueError if
    the text has too few words for so many pieces.
    """
    if not text.is_file():
        raise FileNotFoundError(f"{text}: no such text; data-prep text prints what a manifest says")
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(output.name + ".part")
    with open_text(text) as lines, unfinished.open("wb") as file:
        try:
            SentencePieceTrainer.train(
                sentence_iterator=chain(map(str.strip, lines), [LETTERS]),  # so that no letter lacks
                model_writer=file,
                vocab_size=size,
                model_type="unigram",
                character_coverage=1.0,
                normalization_rule_name="identity",  # the text is normalised
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            unfinished.unlink()
            # The reason ends a message that begins with SentencePiece's file and line.
            raise ValueError(f"{text}: can't choose {size} pieces: {str(error).split('] ')[-1].strip()}") from None
    unfinished.rename(output)
