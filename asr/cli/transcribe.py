"""``asr``: recordings to words, how good that is, and how the models are made."""

import json
import os
import re
import sys
from dataclasses import asdict
from enum import StrEnum
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from data_prep.cli import report_drops
from lm.cli import one_line_errors
from lm.progress import progress_bar

if TYPE_CHECKING:
    from lhotse.cut import Cut

    from asr.decoder.hypothesis import Weights
    from asr.tune import Tuned
    from asr.units import Units

app = typer.Typer(
    help="Speech recognition: recordings to English words.",
    epilog="Begin with: asr transcribe talk.mp3",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)


class Format(StrEnum):
    """Of transcripts."""

    txt = "txt"
    json = "json"
    srt = "srt"
    vtt = "vtt"
    tsv = "tsv"
    ctm = "ctm"
    all = "all"


class ChannelName(StrEnum):
    """An asr.audio.Channel, without the libraries that read sound."""

    left = "left"
    right = "right"
    mix = "mix"


class UnitKind(StrEnum):
    """What an acoustic model emits."""

    phones = "phones"
    characters = "characters"
    pieces = "pieces"


ModelOption = Annotated[Path | None, typer.Option(help="A model folder.", show_default="the one that ships")]
DataOption = Annotated[
    Path, typer.Option(help="A corpus folder in a known layout, a Common Voice .tsv or a manifest.", show_default=False)
]
LimitOption = Annotated[int | None, typer.Option(help="Use so many utterances, evenly spread.", min=1)]


# --- Recordings -------------------------------------------------------------------------------------------


@app.command()
def transcribe(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Recordings, folders of them, quoted globs, @FILE for a list; - is standard input."
        ),
    ],
    format: Annotated[Format, typer.Option(help="How transcripts are written.")] = Format.txt,
    output_dir: Annotated[
        Path | None, typer.Option(help="Write a file a recording into this folder, instead of printing.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make transcripts anew that --output-dir has already.")
    ] = False,
    word_times: Annotated[
        bool, typer.Option("--word-times", help="A line, row or cue a word. json and ctm have them anyway.")
    ] = False,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="How sure each word is, 0 to 1. json and ctm have it anyway.")
    ] = False,
    nbest: Annotated[
        int | None, typer.Option(help="Readings of each segment in json.", min=1, show_default="10")
    ] = None,
    start: Annotated[str, typer.Option(help="Begin there.", metavar="TIME")] = "0",
    end: Annotated[
        str | None, typer.Option(help="Stop there. Times are seconds or h:mm:ss.", metavar="TIME", show_default=False)
    ] = None,
    channel: Annotated[ChannelName, typer.Option(help="Which channel to hear; mix is the mean of all.")] = (
        ChannelName.mix
    ),
    hot_word: Annotated[
        list[str] | None,
        typer.Option(
            help="A word to listen for, known or new; WORD:6 prefers it by more than the usual 4 nats. "
            "May be given several times.",
            metavar="WORD",
        ),
    ] = None,
    hot_words: Annotated[
        Path | None, typer.Option(help="A file of such words, WORD or WORD:NATS a line.", metavar="FILE")
    ] = None,
    unknown_words: Annotated[
        float | None,
        typer.Option(help="Write `<unk>` where no known word fits, at so many nats a frame; try 2.2.", metavar="NATS"),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print a table of readings and scores instead.")] = False,
    top: Annotated[int, typer.Option(help="How many readings --explain shows.", min=1)] = 10,
    model: ModelOption = None,
    device: Annotated[str, typer.Option(help="Where the acoustic model runs: cpu, or what PyTorch knows.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(help="How many recordings at a time.", min=1, show_default="all cores")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell only of errors: no bar, no counts.")] = False,
) -> None:
    """Print what is said in recordings: wav, flac, ogg, opus, mp3, of any rate, length and channel count.

    With the extra codecs m4a, mp4 and webm, too. One line a recording, preceded by its name if there are several; a
    silent one has an empty line. Of folders all sound files are read, by their suffix, also in folders within. Times
    are those of the whole recording.

    **txt** is text, **json** an array of objects with segments, words, times, confidences and scored readings, **srt**
    and **vtt** are subtitles, **tsv** has their times in milliseconds, **ctm** a word a line: file, channel, start,
    duration, word, confidence. **all** writes all six. What holds but one recording (srt, vtt, tsv) is printed for one
    only; for several, give --output-dir. There talk.mp3 becomes talk.txt, in folders as those named; what is there
    already is left alone and not transcribed again, so that the same command goes on after an interruption.

    A recording that can't be read costs one line on standard error, and the exit code is 1 then; the others are
    transcribed all the same. Ctrl-C keeps what is finished.

    Examples:

        asr transcribe talk.mp3

        asr transcribe --format all --output-dir transcripts recordings/

        asr transcribe --format json "interviews/**/*.flac" > transcripts.json

        ffmpeg -i film.mkv -f wav - | asr transcribe --format srt - > film.srt

        asr transcribe --start 1:02:00 --end 1:05:30 --channel left meeting.wav

        asr transcribe --explain talk.mp3

        asr transcribe --hot-word Kubernetes --hot-word Nguyen:6 meeting.mp3
    """
    # Recordings are shared among processes; products with matrices that are, too, only get in each other's way.
    for library in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # which reads it when it is imported
        os.environ.setdefault(library, "1")
    with one_line_errors():
        refuse_what_means_nothing(format, output_dir, overwrite, word_times, confidence, nbest, explain)
        seconds = read_time("--start", start), read_time("--end", end) if end else None
        boosts = dict(map(read_hot_word, hot_word or [])) | (read_hot_words(hot_words) if hot_words else {})
        from asr.audio import Channel
        from asr.inputs import expand
        from asr.outputs import Folder, Printed
        from asr.progress import Bar
        from asr.recognizer import Recognizer
        from asr.transcribe import FORMATS, TABLE, Options, transcribe_all

        recordings = expand(paths)
        given = len(recordings)
        formats = (TABLE,) if explain else FORMATS if format is Format.all else (format.value,)
        if not output_dir and given > 1 and (form := formats[0]) in ("srt", "vtt", "tsv"):
            raise ValueError(f"{form} holds one recording, these are {given}: give --output-dir")
        output: Folder | Printed
        if output_dir:
            output = Folder(output_dir, formats, overwrite)
            recordings = [recording for recording in recordings if recording.problem or output.lacks(recording)]
        else:
            output = Printed(sys.stdout, formats[0], several=given > 1)

        @cache
        def recognizer() -> Recognizer:
            made = Recognizer(model, device=device)
            made = made.with_hot_words(boosts) if boosts else made
            return made if unknown_words is None else made.with_unknown_words(unknown_words)

        processes = threads or (len(os.sched_getaffinity(0)) if device == "cpu" else 1)
        if device == "cpu" and recordings:  # what PyTorch began elsewhere couldn't go on in another process
            recognizer()
        options = Options(
            formats,
            Channel(channel.value),
            *seconds,
            word_times=word_times,
            confidence=confidence,
            nbest=nbest or Options.nbest,
            top=top,
            terminal=sys.stdout.isatty(),
        )
        bar = Bar(recordings, shown=sys.stderr.isatty() and not quiet)
        summary = transcribe_all(recognizer, recordings, options, output, processes, bar)
    if skipped := 0 if quiet else given - len(recordings):
        print(f"{skipped} of {given} transcribed before (--overwrite makes them anew)", file=sys.stderr)
    if summary.failed and given > 1:
        print(f"{summary.failed} of {given} files failed", file=sys.stderr)
    if summary.interrupted:
        print(f"interrupted: {summary.done} of {len(recordings)} files were done", file=sys.stderr)
    raise typer.Exit(130 if summary.interrupted else int(summary.failed > 0))


def refuse_what_means_nothing(
    format: Format,
    output_dir: Path | None,
    overwrite: bool,
    word_times: bool,
    confidence: bool,
    nbest: int | None,
    explain: bool,
) -> None:
    """Raises ValueError on options of transcribe that contradict each other."""
    if explain and (format is not Format.txt or output_dir or word_times or confidence or nbest):
        raise ValueError(
            "--explain prints tables, --format json has all they show: leave out the other options of output"
        )
    if format is Format.all and not output_dir:
        raise ValueError("--format all writes files: give --output-dir")
    if overwrite and not output_dir:
        raise ValueError("--overwrite needs --output-dir: what is printed overwrites nothing")
    if nbest and format not in (Format.json, Format.all):
        raise ValueError(f"--nbest: {format.value} has no place for other readings; give --format json")
    if confidence and format in (Format.srt, Format.vtt):
        raise ValueError(f"--confidence: {format.value} has no place for it; give --format txt, tsv, json or ctm")


@app.command()
def evaluate(
    data: DataOption,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    limit: LimitOption = None,
    output: Annotated[
        Path | None,
        typer.Option(help="A folder for summary.json, utterances.jsonl (all texts) and alignments.txt (all errors)."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="The --output folder of an earlier evaluation to compare with.")
    ] = None,
    confusions: Annotated[int, typer.Option(help="How many frequent errors of each kind to show.", min=0)] = 10,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Hear with the one-way model, as a live stream would be.")
    ] = False,
) -> None:
    """Measure word and character error rates on recordings with known text.

    Three decodings of the same emissions: greedy (the acoustic model alone), ngram (beam search with the n-gram) and
    lstm (its readings rescored). Both sides are normalised alike: upper case, letters and apostrophes.

    Intervals are of 95 %, by 10,000 bootstrap resamples of the utterances. The oracle takes the best reading of each
    n-best list. Of two systems' difference is told in how many resamples it is an improvement, and the p value of a
    matched-pairs test. Confidences are good if their calibration error is near 0 and their AUC near 1. All but the
    rates by decoding is of lstm.

    rtf is the time for emissions, search and rescoring over the duration of the audio. Exit code 1 if audio could not
    be read.

    Examples:

        asr evaluate --data LibriSpeech/dev-clean

        asr evaluate --data cv-corpus/en/dev.tsv --limit 100 --json

        asr evaluate --data LibriSpeech/dev-clean --output exp/old

        asr evaluate --data LibriSpeech/dev-clean --model exp/model --against exp/old
    """
    with one_line_errors():
        from asr.metrics import check_same, read_transcribed
        from asr.metrics import evaluate as run
        from asr.recognizer import Recognizer

        earlier = (str(against), read_transcribed(against)) if against else None
        cuts, complete = read_cuts(data, limit)
        if earlier:  # before the long work
            check_same(*earlier, {cut.id: cut.supervisions[0].text for cut in cuts})
        result = run(Recognizer(model, streaming=streaming), progress_bar(cuts, "evaluating", len(cuts)))
        for problem in result.unreadable:
            print(f"error: {problem}", file=sys.stderr)
        if result.unreadable:
            print(f"{len(result.unreadable)} of {len(cuts)} utterances could not be read", file=sys.stderr)
        summary = result.summary(confusions, earlier)
        if output:
            result.write(output, summary)
        if as_json:
            print(json.dumps(summary))
        else:
            print_summary(summary)
    raise typer.Exit(int(not complete or bool(result.unreadable)))


def print_summary(summary: dict[str, Any]) -> None:
    """Print what `Evaluation.summary` makes as tables."""
    from asr.metrics import DECODINGS, STAGES

    rates = Table("decoding", box=box.SIMPLE)
    for heading in ("WER %", "95 % interval", "subst.", "del.", "ins.", "CER %"):
        rates.add_column(heading, justify="right", no_wrap=True)
    for decoding in DECODINGS:
        item = summary[decoding]
        counts = (str(item[kind]) for kind in ("substitutions", "deletions", "insertions"))
        low, high = item["wer_interval"]
        rates.add_row(decoding, f"{item['wer']:.2f}", f"{low:.2f} to {high:.2f}", *counts, f"{item['cer']:.2f}")
    Console().print(rates)
    print(f"oracle: WER {summary['oracle_wer']:.2f} %")
    for item in summary["comparisons"]:
        low, high = item["interval"]
        print(
            f"{item['after']} against {item['before']}: WER {item['wer_difference']:+.2f} ({low:+.2f} to {high:+.2f}), "
            f"an improvement in {100 * item['probability_of_improvement']:.1f} % of resamples, p {item['p_value']:.2g}"
        )
    quality = summary["confidence"]
    auc = "undefined" if quality["auc"] is None else f"{quality['auc']:.3f}"
    print(f"confidences: calibration error {quality['calibration_error']:.3f}, AUC {auc}")
    print("  ".join(f"{name} {summary[name]}" for name in ("utterances", "words", "hours", "rtf")))
    print("seconds: " + "  ".join(f"{stage.replace('_', ' ')} {summary[f'seconds_{stage}']:.1f}" for stage in STAGES))
    frequent = summary["confusions"]
    lines = [
        [f"{said} -> {found}  {count}" for said, found, count in frequent["substitutions"]],
        *([f"{word}  {count}" for word, count in frequent[kind]] for kind in ("deletions", "insertions")),
    ]
    if any(lines):
        table = Table("substituted", "deleted", "inserted", box=box.SIMPLE)
        for row in zip_longest(*lines, fillvalue=""):
            table.add_row(*row)
        Console().print(table)


# --- Models -----------------------------------------------------------------------------------------------


@app.command()
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
    """
    with one_line_errors():
        made = make_units(units, letter_to_sound, pieces)
        from asr.train import read_config
        from asr.train import train as run
        from lm.engine import processes

        best = run(read_config(settings), made, output, start_from)
        if processes()[0] == 0:
            print(best)


@app.command()
def train_letter_to_sound(
    output: Annotated[Path, typer.Argument(help="The file to write: .safetensors")],
) -> None:
    """Train the model that pronounces words which CMUdict lacks; about four minutes.

    Example:

        asr train-letter-to-sound exp/letter_to_sound.safetensors
    """
    with one_line_errors():
        from asr.lexicon import cmudict
        from asr.train_letter_to_sound import train_letter_to_sound as run
        from asr.units import PHONES

        output.parent.mkdir(parents=True, exist_ok=True)  # before the long work
        letter_to_sound, error_rate = run(cmudict(), PHONES)
        letter_to_sound.save(output)
        print(f"{output}: mispronounces {100 * error_rate:.1f} % of the words kept out", file=sys.stderr)


@app.command()
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
        from asr.train_pieces import train_pieces as run

        run(text, output, size)


@app.command()
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
        from asr.export import export as run

        run(output, acoustic, language_models, streaming, units.value, letter_to_sound, pieces, model_card)


@app.command()
def tune(
    model: Annotated[Path, typer.Argument(help="A model folder; its settings are replaced.")],
    data: DataOption,
    limit: LimitOption = None,
    emissions: Annotated[
        Path | None,
        typer.Option(help="A folder that keeps what the acoustic model says of the recordings for the next time."),
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
    more than 0.1 points against the widest. Prints what was chosen, and tables of the WER around it.

    What is tuned on some recordings flatters on them. With --folds 2 the WER of each half is told under the weights of
    the other, speakers apart where they are known; the weights that are written are those of all recordings.

    Examples:

        asr tune exp/model --data exp/manifests/dev.jsonl.gz

        asr tune exp/model --data LibriSpeech/dev-clean --emissions exp/emissions --folds 2
    """
    with one_line_errors():
        from asr.recognizer import Recognizer
        from asr.tune import read_utterances, write_settings
        from asr.tune import tune as run

        cuts, _ = read_cuts(data, limit)
        recognizer = Recognizer(model)
        tuned = run(recognizer, read_utterances(recognizer, cuts, model, emissions), folds)
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
    if tuned.folds:
        first, second = tuned.folds.first_wer, tuned.folds.second_wer
        print(f"\nby weights of other parts: first pass WER {first:.2f} %, second pass {second:.2f} %")
        for part, (one, two) in enumerate(zip(tuned.folds.first_pass, tuned.folds.second_pass, strict=True), 1):
            print(f"part {part}: first pass {describe(one)}; second pass {describe(two)}")
    for name, surface in zip(("first pass", "second pass", "second pass"), tuned.surfaces, strict=True):
        print(f"\nWER of the {name} by {surface.row} (down) and {surface.column} (across)")
        print(" " * 6 + "".join(f"{value:7g}" for value in surface.columns))
        for value, rates in zip(surface.rows, surface.wer, strict=True):
            print(f"{value:<6g}" + "".join(f"{rate:7.2f}" for rate in rates))
    print("\n  size  score    WER  ms of search a second of audio")
    for trial in tuned.beam_trials:
        print(f"{trial.size:6d}  {trial.score:5g}  {trial.wer:5.2f}  {trial.milliseconds:.1f}")


def describe(weights: "Weights") -> str:
    """The weights that count, by name."""
    return "  ".join(f"{name} {value:g}" for name, value in asdict(weights).items() if value)


# --- What the commands share ------------------------------------------------------------------------------


def read_hot_word(text: str) -> tuple[str, float]:
    """WORD or WORD:NATS, the word in any case, and 4 nats if they aren't given."""
    word, colon, nats = text.partition(":")
    try:
        return word.upper(), float(nats) if colon else 4.0
    except ValueError:
        raise ValueError(f"--hot-word {text}: want WORD or WORD:NATS, such as Kubernetes:6") from None


def read_hot_words(path: Path) -> dict[str, float]:
    """A file of WORD or WORD:NATS, one a line; empty lines and what follows # mean nothing."""
    boosts = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ValueError(f"{path}: can't be read ({error.strerror}): check its name") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no text in UTF-8: write WORD or WORD:NATS a line") from None
    for number, line in enumerate(lines, 1):
        if text := line.partition("#")[0].strip():
            try:
                word, nats = read_hot_word(text)
            except ValueError:
                raise ValueError(f"{path}, line {number}: want WORD or WORD:NATS, such as Kubernetes:6") from None
            boosts[word] = nats
    return boosts


def read_time(option: str, text: str) -> float:
    """Seconds, or h:mm:ss or mm:ss, to seconds."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)", text)
    if not match:
        raise ValueError(f"{option} {text}: want seconds or h:mm:ss, such as 90 or 0:01:30")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def read_cuts(data: Path, limit: int | None) -> tuple[list["Cut"], bool]:
    """The utterances of a corpus with known text, and whether that is all of them; what is not is told on stderr."""
    from data_prep.layouts import read
    from data_prep.manifest import NO_TRANSCRIPT

    prepared = read(data, float("inf"))
    report_drops(prepared)
    cuts = list(prepared.cuts)
    if not cuts:
        raise ValueError(f"{data}: no usable utterance")
    if limit and limit < len(cuts):
        cuts = [cuts[index * len(cuts) // limit] for index in range(limit)]
    return cuts, not prepared.dropped.keys() - {NO_TRANSCRIPT}


def make_units(kind: UnitKind, letter_to_sound: Path | None, pieces: Path | None) -> "Units":
    """The units to train on, from the files that they need."""
    from asr.letter_to_sound import LetterToSound
    from asr.lexicon import cmudict
    from asr.units import PHONES, CharacterUnits, PhoneUnits, PieceUnits

    if kind is UnitKind.phones:
        if not letter_to_sound:
            raise ValueError("phones need --letter-to-sound FILE; asr train-letter-to-sound makes one")
        return PhoneUnits(cmudict(), LetterToSound.load(letter_to_sound, PHONES))
    if kind is UnitKind.pieces:
        if not pieces:
            raise ValueError("pieces need --pieces FILE; asr train-pieces makes one")
        return PieceUnits(pieces)
    return CharacterUnits()


if __name__ == "__main__":
    app()
