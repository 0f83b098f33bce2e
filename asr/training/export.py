"""Puts trained models together into a bundle that a `Recognizer` opens."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from safetensors.numpy import save_file

from asr.decoder.beam import BeamConfig
from asr.decoder.hypothesis import Weights
from asr.lexicon.letter_to_sound import LetterToSound
from asr.lexicon.lexicon import cmudict, write_lexicon
from asr.lexicon.units import PHONES, CharacterUnits, PieceUnits
from lm.bundle import Bundle, open_bundle, quantized, write_bundle
from lm.lstm.model import LstmConfig
from lm.query import MixtureConfig
from lm.text.vocabulary import SPECIAL_WORDS, Vocabulary
from lm.training.engine import read_checkpoint
from lm.training.export import tell_missing

LANGUAGE_MODELS = ("vocabulary.txt", "ngram.bin", "lstm.safetensors")  # in what `lm export` and `export` write
# Where `asr tune` starts from.
DECODER: dict[str, Any] = {
    "beam": asdict(BeamConfig()),
    "first_pass": asdict(Weights(ngram=0.6, lstm=0.0, word=0.5)),
    "second_pass": asdict(Weights(ngram=0.3, lstm=0.4, word=0.5)),
    "carry_context": False,
}


def export(
    output: Path,
    acoustic: Path,
    language_models: Path,
    streaming: Path | None = None,
    units: str = "phones",
    letter_to_sound: Path | None = None,
    pieces: Path | None = None,
    model_card: Path | None = None,
) -> Bundle:
    """Write a bundle from the checkpoint of an acoustic model and a bundle that holds language models.

    streaming: the checkpoint of a one-way model, for streams, beside the first.
    units: "phones", "characters" or "pieces", as the acoustic model was trained. Phones need `letter_to_sound`, pieces
    `pieces`, a SentencePiece model. Raises ValueError if that is missing or a checkpoint emits other units.
    """
    paths = {"acoustic": acoustic} | ({"streaming": streaming} if streaming else {})
    models = {name: read_checkpoint(path) for name, path in paths.items()}
    for name, path in paths.items():
        if "units" not in models[name][0]:
            raise ValueError(f"{path}: a checkpoint of a language model; asr train writes those of acoustic models")
    if streaming and models["streaming"][0]["bidirectional"]:
        raise ValueError(f"{streaming}: hears the future too; train one for streams with bidirectional = false")
    lm = open_bundle(language_models)
    files = {name: lm.file(name) for name in LANGUAGE_MODELS}
    tell_missing(files["ngram.bin"], Vocabulary.load(files["vocabulary.txt"]))
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        if units == "phones":
            if not letter_to_sound:
                raise ValueError("phones need --letter-to-sound FILE; asr train-letter-to-sound makes one")
            emitted = 1 + len(PHONES)
            words = [word for word in Vocabulary.load(files["vocabulary.txt"]) if word not in SPECIAL_WORDS]
            write_lexicon(made / "lexicon.txt", pronounced(words, LetterToSound.load(letter_to_sound, PHONES)))
            files["letter_to_sound.safetensors"] = letter_to_sound
        elif units == "pieces":
            if not pieces:
                raise ValueError("pieces need --pieces FILE; asr train-pieces makes one")
            emitted = len(PieceUnits(pieces).symbols)
            files["pieces.model"] = pieces
        else:
            emitted = len(CharacterUnits().symbols)
        for name, (sizes, weights) in models.items():
            if sizes["units"] != emitted:
                raise ValueError(
                    f"{paths[name]}: emits {sizes['units']} units, but {units} are {emitted}: "
                    "name what it was trained on"
                )
            # Older checkpoints hold the tables of a front end as well.
            trained = {key: weight for key, weight in weights.items() if not key.startswith("front_end.")}
            save_file(quantized(trained), made / f"{name}.safetensors")
        files |= {path.name: path for path in made.iterdir()}
        if model_card:
            files["MODEL_CARD.md"] = model_card
        config = {
            "units": units,
            **{name: sizes for name, (sizes, _) in models.items()},
            "lstm": asdict(lm.read(LstmConfig, "lstm")),
            "mixture": asdict(lm.read(MixtureConfig, "mixture")),
            "decoder": DECODER,
        }
        return write_bundle(output, config, files)


def pronounced(words: list[str], letter_to_sound: LetterToSound) -> dict[str, list[str]]:
    """Word -> CMUdict's pronunciations, or the letter-to-sound model's if it has none; silent words are left out."""
    known = cmudict()
    unknown = [word for word in words if word not in known]
    guessed = {word: letter_to_sound.pronounce(word) for word in unknown}
    lexicon = {word: known.get(word) or [guessed[word]] for word in words if word in known or guessed[word]}
    Console(stderr=True).print(f"lexicon: {len(lexicon)} words, {len(unknown)} of them by letter-to-sound")
    return lexicon
