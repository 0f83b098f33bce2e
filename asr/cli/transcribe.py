"""``asr transcribe``: recordings to words."""

import os
import re
import sys
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from asr.audio.channels import Channel
from asr.cli.options import ModelOption, multiply_on_one_core
from asr.transcript.word import Style
from lm.cli.errors import one_line_errors


class Format(StrEnum):
    """Of transcripts."""

    txt = "txt"
    json = "json"
    srt = "srt"
    vtt = "vtt"
    tsv = "tsv"
    ctm = "ctm"
    all = "all"


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
    stream: Annotated[
        bool, typer.Option("--stream", help="Print each segment as soon as it is found, as on a terminal.")
    ] = False,
    style: Annotated[
        Style | None,
        typer.Option(
            help="readable has case, marks and numbers; plain is capitals, as it was said.",
            show_default="readable, if the model can; ctm is always plain",
        ),
    ] = None,
    line_width: Annotated[
        int | None, typer.Option(help="Break lines of txt, so that they have so many characters at most.", min=20)
    ] = None,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", help="Begin each paragraph of txt with its time, [h:mm:ss].")
    ] = False,
    word_times: Annotated[
        bool, typer.Option("--word-times", help="A line, row or cue a word. json and ctm have them anyway.")
    ] = False,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="How sure each word is, 0 to 1. json and ctm have it anyway.")
    ] = False,
    nbest: Annotated[
        int | None, typer.Option(help="Hypotheses of each segment in json.", min=1, show_default="10")
    ] = None,
    start: Annotated[str, typer.Option(help="Begin there.", metavar="TIME")] = "0",
    end: Annotated[
        str | None, typer.Option(help="Stop there. Times are seconds or h:mm:ss.", metavar="TIME", show_default=False)
    ] = None,
    channel: Annotated[
        Channel, typer.Option(help="Which channel to hear; mix is the mean of all, each tells both sides of a call.")
    ] = Channel.mix,
    hot_word: Annotated[
        list[str] | None,
        typer.Option(
            help="A word or phrase to listen for, known or new; WORD:6 prefers it by more than the usual 4 nats. "
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
    explain: Annotated[bool, typer.Option("--explain", help="Print a table of hypotheses and scores instead.")] = False,
    top: Annotated[
        int | None, typer.Option(help="How many hypotheses --explain shows.", min=1, show_default="10")
    ] = None,
    model: ModelOption = None,
    device: Annotated[str, typer.Option(help="Where the acoustic model runs: cpu, or what PyTorch knows.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(help="How many processes: of one recording, too.", min=1, show_default="all cores")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell only of errors: no bar, no counts.")] = False,
) -> None:
    """Print what is said in recordings: wav, flac, ogg, opus, mp3, of any rate, length and channel count.

    With the extra codecs m4a, mp4 and webm, too. One line a recording, preceded by its name if there are several; a
    silent one has an empty line. Of folders all sound files are read, by their suffix, also in folders within. Times
    are those of the whole recording.

    Text is readable: case, punctuation and numbers are put back, and paragraphs end at long pauses; --style plain
    leaves it as it was said, in capitals.

    **txt** is text, **json** an array of objects with segments, words, times, confidences and scored hypotheses,
    **srt** and **vtt** are subtitles, **tsv** has their times in milliseconds, **ctm** a word a line: file, channel,
    start, duration, word, confidence. **all** writes all six. What holds but one recording (srt, vtt, tsv) is printed
    for one only; for several, give --output-dir. There talk.mp3 becomes talk.txt, in folders as those named; what is
    there already is left alone and not transcribed again, so that the same command goes on after an interruption.

    A recording that can't be read costs one line on standard error, and the exit code is 1 then; the others are
    transcribed all the same. One that is damaged, or was cut off, is transcribed as far as it can be: a warning on
    standard error, also with --quiet and in json, tells which seconds are missing, and the exit code stays 0. Ctrl-C
    keeps what is done, of recordings under way as well; in --output-dir in files that end in .partial, which the same
    command replaces.

    To a terminal, and with --stream, one recording is printed while it is heard, text in a line a segment.

    Examples:

        asr transcribe talk.mp3

        asr transcribe --format all --output-dir transcripts recordings/

        asr transcribe --format json "interviews/**/*.flac" > transcripts.json

        ffmpeg -i film.mkv -f wav - | asr transcribe --format srt - > film.srt

        asr transcribe --start 1:02:00 --end 1:05:30 --channel left meeting.wav

        asr transcribe --channel each call.wav

        asr transcribe --explain talk.mp3

        asr transcribe --hot-word Kubernetes --hot-word Nguyen:6 meeting.mp3
    """
    multiply_on_one_core()
    with one_line_errors():
        refuse_what_means_nothing(format, output_dir, overwrite, stream, word_times, confidence, nbest, explain, top)
        refuse_unfitting_styles(format, style, line_width, timestamps, word_times or confidence, explain)
        seconds = read_time("--start", start), read_time("--end", end) if end else None
        from lm.settings import Cost, checked

        checked(Cost | None, unknown_words, "--unknown-words")
        boosts = read_hot_words(hot_word or [], hot_words)
        from asr.recognizer import Recognizer
        from asr.transcription.inputs import Recording, expand
        from asr.transcription.outputs import Folder, Printed, tell
        from asr.transcription.progress import Bar
        from asr.transcription.transcribe import FORMATS, STREAMED, TABLE, Options, transcribe_all

        recordings = expand(paths)
        kept: list[Recording] = []  # of which other transcripts are there
        given = len(recordings)
        formats = (TABLE,) if explain else FORMATS if format is Format.all else (format.value,)
        if not output_dir and given > 1 and (form := formats[0]) in ("srt", "vtt", "tsv"):
            raise ValueError(f"{form} holds one recording, these are {given}: give --output-dir")
        if stream and channel is Channel.each:
            raise ValueError("--stream: what channels say is merged when all is heard; leave out --channel each")
        if stream and given > 1:
            raise ValueError(f"--stream prints one recording as it is heard, these are {given}: leave it out")
        terminal = sys.stdout.isatty()
        stream = stream or (
            terminal and not output_dir and given == 1 and formats[0] in STREAMED and channel is not Channel.each
        )
        output: Folder | Printed
        if output_dir:
            made_with: dict[str, Any] = {"channel": channel, "start": start, "end": end, "word-times": word_times}
            made_with |= {"confidence": confidence, "nbest": nbest, "hot-words": boosts, "unknown-words": unknown_words}
            made_with |= {"style": style, "line-width": line_width, "timestamps": timestamps}
            made_with |= {"model": str(model.resolve()) if model else None}
            output = Folder(output_dir, formats, overwrite, made_with)
            clashes = [(recording, problem) for recording in recordings if (problem := output.differs(recording))]
            for recording, problem in clashes:
                tell(recording.path, problem)
            kept = [recording for recording, _ in clashes]
            recordings = [
                recording
                for recording in recordings
                if recording not in kept and (recording.problem or output.lacks(recording))
            ]
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
            channel,
            *seconds,
            style=style,
            line_width=line_width,
            timestamps=timestamps,
            word_times=word_times,
            confidence=confidence,
            nbest=nbest or Options.nbest,
            top=top or Options.top,
            terminal=terminal,
            stream=stream,
        )
        # What is streamed to a terminal tells itself how far it is.
        bar = Bar(recordings, shown=sys.stderr.isatty() and not quiet and not (stream and terminal))
        summary = transcribe_all(recognizer, recordings, options, output, processes, bar)
    if skipped := 0 if quiet else given - len(recordings) - len(kept):
        print(f"{skipped} of {given} transcribed before (--overwrite makes them anew)", file=sys.stderr)
    failed = summary.failed + len(kept)
    if failed and given > 1:
        print(f"{failed} of {given} files failed", file=sys.stderr)
    if summary.interrupted:
        print(f"interrupted: {summary.done} of {len(recordings)} files were done", file=sys.stderr)
    raise typer.Exit(130 if summary.interrupted else int(failed > 0))


def refuse_what_means_nothing(
    format: Format,
    output_dir: Path | None,
    overwrite: bool,
    stream: bool,
    word_times: bool,
    confidence: bool,
    nbest: int | None,
    explain: bool,
    top: int | None,
) -> None:
    """Raises ValueError on options of transcribe that contradict each other, or mean nothing without another."""
    if top and not explain:
        raise ValueError("--top is of the table that --explain prints: give it, too; json has --nbest")
    if explain and (format is not Format.txt or output_dir or word_times or confidence or nbest):
        raise ValueError(
            "--explain prints tables, --format json has all they show: leave out the other options of output"
        )
    if format is Format.all and not output_dir:
        raise ValueError("--format all writes files: give --output-dir")
    if stream and (output_dir or explain or format in (Format.json, Format.all)):
        what = "--output-dir" if output_dir else "--explain" if explain else format.value
        raise ValueError(f"--stream: {what} is written when a recording is done; give txt, srt, vtt, tsv or ctm alone")
    if overwrite and not output_dir:
        raise ValueError("--overwrite needs --output-dir: what is printed overwrites nothing")
    if nbest and format not in (Format.json, Format.all):
        raise ValueError(f"--nbest: {format.value} has no place for other hypotheses; give --format json")
    if confidence and format in (Format.srt, Format.vtt):
        raise ValueError(f"--confidence: {format.value} has no place for it; give --format txt, tsv, json or ctm")


def refuse_unfitting_styles(
    format: Format, style: Style | None, line_width: int | None, timestamps: bool, columns: bool, explain: bool
) -> None:
    """Raises ValueError on a style that the output hasn't. columns: of words, with times or confidences?"""
    if style is Style.readable and (explain or format is Format.ctm):
        raise ValueError(
            f"--style readable: {'--explain' if explain else 'ctm'} has words as they were said: leave it out"
        )
    for option in ("--line-width",) * bool(line_width) + ("--timestamps",) * timestamps:
        if format not in (Format.txt, Format.all) or columns or explain:
            raise ValueError(f"{option} is of running text: give it with --format txt alone")


def read_hot_words(given: list[str], path: Path | None) -> dict[str, float]:
    """Words and phrases, TEXT or TEXT:NATS, from the command line and a file; what can't be one is told on stderr.

    4 nats if they aren't given. In the file one a line; empty lines and what follows # mean nothing.
    """
    from asr.recognizer import USUAL_NATS, hot_word
    from lm.files import open_text

    texts = [("--hot-word", text) for text in given]
    if path:
        with open_text(path) as file:
            lines = [line.partition("#")[0].strip() for line in file]
        texts += [(f"{path}, line {number}:", text) for number, text in enumerate(lines, 1) if text]
    boosts = {}
    for place, text in texts:
        word, colon, nats = text.rpartition(":") if ":" in text else (text, "", "")
        try:
            _, boosts[word] = hot_word(word, _number(nats) if colon else USUAL_NATS)
        except ValueError as error:
            print(f"warning: {place} {text}: left out: {error}", file=sys.stderr)
    return boosts


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("want WORD or WORD:NATS, such as Kubernetes:6") from None


def read_time(option: str, text: str) -> float:
    """Seconds, or h:mm:ss or mm:ss, to seconds."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)", text)
    if not match:
        raise ValueError(f"{option} {text}: want seconds or h:mm:ss, such as 90 or 0:01:30")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    if (match[1] and minutes >= 60) or (match[2] and seconds >= 60):
        raise ValueError(f"{option} {text}: minutes and seconds go up to 59 behind a colon: write 2:39, or 99 alone")
    return 3600 * hours + 60 * minutes + seconds
