"""``asr train, train-letter-to-sound, train-pieces, export, tune, calibrate``: how models are made."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.options import LimitOption, read_cuts
from lm.cli.errors import one_line_errors

if TYPE_CHECKING:
    from asr.decoder.hypothesis import Weights
    from asr.lexicon.units import Units
    from asr.training.calibrate import Calibrated
    from asr.training.tune import CorpusErrors, Tuned


class UnitKind(StrEnum):
    """What an acoustic model emits."""

    phones = "phones"
    characters = "characters"
    pieces = "pieces"


def train(
    settings: Annotated[Path, typer.Argument(help="A TOML file, such as recipes/librispeech/ctc.toml.")],
    output: Annotated[Path, typer.Option(help="The folder for checkpoints and logs.")],
    units: Annotated[UnitKind, typer.Option(help="What the model emits.")] = UnitKind.phones,
    letter_to_sound: Annotated[
        Path | None, typer.Option(help="What train-letter-to-sound wrote; phones need it.")
    ] = None,
    pieces: Annotated[Path | None, typer.Option(help="What train-pieces wrote; pieces need it.")] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="A checkpoint or model folder whose weights to begin with.")
    ] = None,
) -> None:
    """Train an acoustic model; resume if the output folder holds a checkpoint. Prints the best checkpoint's path.

    Examples:

        asr train recipes/librispeech/ctc.toml --letter-to-sound exp/letter_to_sound.safetensors --output exp/am

        asr train settings.toml --units pieces --pieces exp/pieces.model --output exp/pieces

        asr train settings.toml --units characters --start-from asr/default_model --output exp/characters

        torchrun --nproc-per-node 8 -m asr.cli train settings.toml --units characters --output exp/characters

    A pre-training (pretrain = "apc" in the settings) needs no units: what is said in its recordings doesn't matter.
    """
    with one_line_errors():
        refuse_files_of_other_units(units, letter_to_sound, pieces)
        from asr.training.train import read_config
        from asr.training.train import train as run
        from lm.training.engine import processes

        config = read_config(settings)
        made = make_units(units, letter_to_sound, pieces) if config.pretrain == "none" else None
        best = run(config, made, output, start_from)
        if processes()[0] == 0:
            print(best)


def train_letter_to_sound(
    output: Annotated[Path, typer.Argument(help="The file to write: .safetensors")],
) -> None:
    """Train the model that pronounces words which CMUdict lacks; about four minutes.

    Example:

        asr train-letter-to-sound exp/letter_to_sound.safetensors
    """
    with one_line_errors():
        from asr.lexicon.lexicon import cmudict
        from asr.lexicon.units import PHONES
        from asr.training.letter_to_sound import train_letter_to_sound as run

        output.parent.mkdir(parents=True, exist_ok=True)  # before the long work
        letter_to_sound, error_rate = run(cmudict(), PHONES)
        letter_to_sound.save(output)
        print(f"{output}: mispronounces {100 * error_rate:.1f} % of the words kept out", file=sys.stderr)


def train_pieces(
    text: Annotated[Path, typer.Argument(help="Normalised sentences, one a line, as data-prep text prints them.")],
    output: Annotated[Path, typer.Argument(help="The SentencePiece model to write: .model")],
    size: Annotated[int, typer.Option(help="How many pieces.", min=32)] = 300,
) -> None:
    """Choose the pieces of words that an acoustic model may emit, by what its training data says.

    Every letter is a piece, so that any word can be spelled.

    Example:

        data-prep text exp/manifests/train.jsonl.gz > exp/transcripts.txt

        asr train-pieces exp/transcripts.txt exp/pieces.model --size 500
    """
    with one_line_errors():
        from asr.training.pieces import train_pieces as run

        run(text, output, size)


def export(
    output: Annotated[Path, typer.Argument(help="The model folder to write.")],
    acoustic: Annotated[Path, typer.Option(help="A checkpoint of asr train.")],
    language_models: Annotated[Path, typer.Option(help="A folder that lm export or asr export wrote.")],
    streaming: Annotated[
        Path | None, typer.Option(help="A checkpoint of a one-way model, for evaluate --streaming and streams.")
    ] = None,
    units: Annotated[UnitKind, typer.Option(help="What the acoustic model was trained to emit.")] = UnitKind.phones,
    letter_to_sound: Annotated[
        Path | None, typer.Option(help="What train-letter-to-sound wrote; phones need it.")
    ] = None,
    pieces: Annotated[Path | None, typer.Option(help="What train-pieces wrote; pieces need it.")] = None,
    model_card: Annotated[Path | None, typer.Option(help="Becomes MODEL_CARD.md.")] = None,
) -> None:
    """Put trained models together into a folder for --model; weights are packed to a quarter of their size.

    Examples:

        asr export exp/model --acoustic exp/am/best.ckpt --language-models exp/lm
        --letter-to-sound exp/letter_to_sound.safetensors

        asr export exp/character_model --units characters --acoustic exp/characters/best.ckpt
        --language-models asr/default_model
    """
    with one_line_errors():
        refuse_files_of_other_units(units, letter_to_sound, pieces)
        from asr.training.export import export as run

        run(output, acoustic, language_models, streaming, units.value, letter_to_sound, pieces, model_card)


def tune(
    model: Annotated[Path, typer.Argument(help="A model folder; its settings are replaced.")],
    data: Annotated[
        list[Path],
        typer.Option(
            help="A corpus folder in a known layout, a Common Voice .tsv or a manifest; several together.",
            show_default=False,
        ),
    ],
    limit: LimitOption = None,
    emissions: Annotated[
        Path | None,
        typer.Option(help="A folder that keeps the recordings' emissions for the next time."),
    ] = None,
    folds: Annotated[
        int, typer.Option(help="Measure each of so many parts with the weights that the others ask for.", min=1)
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find what the scores should count for and how wide the search must be; write it into a model folder.

    By word error rate on recordings with known text: the n-gram's weight and a bonus for every word, for the search and
    anew for the rescoring, and there also the LSTM's weight and the n-gram's share in the LSTM's probabilities
    (linear). Of weights that are equally good those in their middle are taken. The beam is the smallest that costs no
    more than 0.1 points against the widest; on fewer than 1,000 words it stays as it is. Prints what was chosen, and
    tables of the WER around it.

    Of several corpora the geometric mean of their WERs counts: one error of ten fewer is as good in each.

    What is tuned on some recordings flatters on them. With --folds 2 the WER of each half is told under the weights of
    the other, speakers apart where they are known; the weights that are written are those of all recordings.

    Confidences depend on the weights: asr calibrate comes after this.

    Examples:

        asr tune exp/model --data exp/manifests/dev.jsonl.gz

        asr tune exp/model --data LibriSpeech/dev-clean --emissions exp/emissions --folds 2
    """
    with one_line_errors():
        from asr.recognizer import Recognizer
        from asr.training.tune import read_utterances, write_settings
        from asr.training.tune import tune as run

        recognizer = Recognizer(model)
        utterances = []
        for path in data:
            utterances += read_utterances(recognizer, read_cuts(path, limit)[0], model, emissions, str(path))
        tuned = run(recognizer, utterances, folds)
        write_settings(model, tuned.first_pass, tuned.second_pass, tuned.beam)
        for edge in tuned.at_the_edge():
            print(f"{edge} is the edge of what was tried; beyond may be better", file=sys.stderr)
        if as_json:
            print(json.dumps(asdict(tuned)))
        else:
            print_tuned(tuned)


def print_tuned(tuned: "Tuned") -> None:
    """Print what was chosen, and the tables of the WER around it."""
    print(f"first pass:   {describe(tuned.first_pass)}  WER {tuned.first_wer:.2f} %")
    print(f"second pass:  {describe(tuned.second_pass)}  WER {tuned.second_wer:.2f} %")
    print(f"beam:         size {tuned.beam.size}  score {tuned.beam.score:g}")
    if len(tuned.corpora) > 1:
        print()
        print_corpora(tuned.corpora)
    if tuned.folds:
        print("\nby weights of other parts")
        print_corpora(tuned.folds.corpora)
        for part, (one, two) in enumerate(zip(tuned.folds.first_pass, tuned.folds.second_pass, strict=True), 1):
            print(f"part {part}: first pass {describe(one)}; second pass {describe(two)}")
    for name, surface in zip(("first pass", "second pass", "second pass"), tuned.surfaces, strict=True):
        print(f"\nWER of the {name} by {surface.row} (down) and {surface.column} (across)")
        print(" " * 6 + "".join(f"{value:7g}" for value in surface.columns))
        for value, rates in zip(surface.rows, surface.wer, strict=True):
            print(f"{value:<6g}" + "".join(f"{rate:7.2f}" for rate in rates))
    if tuned.beam_trials:
        print("\n  size  score    WER  ms of search a second of audio")
    else:
        print("\nthe beam is as it was: there are too few words to tell what a narrower one costs")
    for trial in tuned.beam_trials:
        print(f"{trial.size:6d}  {trial.score:5g}  {trial.wer:5.2f}  {trial.milliseconds:.1f}")


def print_corpora(corpora: Sequence["CorpusErrors"]) -> None:
    """Print the WER of each corpus."""
    for item in corpora:
        print(f"{item.corpus}: first pass WER {item.first_wer:.2f} %, second pass {item.second_wer:.2f} %")


def describe(weights: "Weights") -> str:
    """The weights that count, by name."""
    return "  ".join(f"{name} {value:g}" for name, value in asdict(weights).items() if value)


def calibrate(
    model: Annotated[Path, typer.Argument(help="A model folder; how its confidences are calibrated is replaced.")],
    data: Annotated[list[Path], typer.Option(help="A corpus, as for asr tune; several together.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find how often words are right of which a model is so sure; write it into its folder, for its confidences.

    Of 100 words with a confidence of 0.8 then 80 are right, in speech like that of the recordings. So take those of
    familiar and unfamiliar speakers, easy and hard, none of which were trained on. The weights of scores must have been
    tuned before. A one-way model in the folder is calibrated as well.

    Printed is how good confidences are before, and after: each half of the words judged by what the other half asks
    for, speakers apart where they are known. What is written is what all words ask for. asr evaluate --help says what
    the figures mean.

    Example:

        asr calibrate exp/model --data LibriSpeech/dev-clean --data cv-corpus/en/dev.tsv
    """
    with one_line_errors():
        from asr.decoder.confidence import Calibrations
        from asr.recognizer import Recognizer
        from asr.training.calibrate import calibrate as run
        from asr.training.calibrate import read_words, write_calibrations
        from lm.bundle import open_bundle

        corpora = {str(path): read_cuts(path, None)[0] for path in data}
        found: dict[str, Calibrated] = {}
        for name in ("acoustic", "streaming"):
            if name in open_bundle(model).config:
                recognizer = Recognizer(model, streaming=name == "streaming")
                found[name] = run({path: read_words(recognizer, cuts, path) for path, cuts in corpora.items()})
        write_calibrations(model, Calibrations(**{name: item.calibration for name, item in found.items()}))
        if as_json:
            print(json.dumps({name: asdict(item) for name, item in found.items()}))
        else:
            print_calibrated(found)


def print_calibrated(found: Mapping[str, "Calibrated"]) -> None:
    """Print the weights of each acoustic model's evidence, and how good confidences are without and with them."""
    for name, item in found.items():
        print(f"{name}:  " + "  ".join(f"{key} {value:g}" for key, value in asdict(item.calibration).items()))
        for judgement in item.judgements:
            before, after = asdict(judgement.before), asdict(judgement.after)
            print(f"  {judgement.data}, {after['words']} words")
            for key in ("calibration_error", "auc", "normalized_cross_entropy"):
                old, new = ("undefined" if values[key] is None else f"{values[key]:.3f}" for values in (before, after))
                print(f"    {key.replace('_', ' '):24} {old:>9} -> {new}")


def refuse_files_of_other_units(kind: UnitKind, letter_to_sound: Path | None, pieces: Path | None) -> None:
    """Raises ValueError where a file is given that units of this kind don't need."""
    for path, option, needed_by in (
        (letter_to_sound, "--letter-to-sound", UnitKind.phones),
        (pieces, "--pieces", UnitKind.pieces),
    ):
        if path and kind is not needed_by:
            raise ValueError(f"{option} is for {needed_by}, not {kind}: leave it out, or give --units {needed_by}")


def make_units(kind: UnitKind, letter_to_sound: Path | None, pieces: Path | None) -> "Units":
    """The units to train on, from the files that they need."""
    from asr.lexicon.letter_to_sound import LetterToSound
    from asr.lexicon.lexicon import cmudict
    from asr.lexicon.units import PHONES, CharacterUnits, PhoneUnits, PieceUnits

    if kind is UnitKind.phones:
        if not letter_to_sound:
            raise ValueError("phones need --letter-to-sound FILE; asr train-letter-to-sound makes one")
        return PhoneUnits(cmudict(), LetterToSound.load(letter_to_sound, PHONES))
    if kind is UnitKind.pieces:
        if not pieces:
            raise ValueError("pieces need --pieces FILE; asr train-pieces makes one")
        return PieceUnits(pieces)
    return CharacterUnits()
