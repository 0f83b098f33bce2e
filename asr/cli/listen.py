"""``asr listen``: words while they are spoken."""

import io
import os
import shutil
import sys
from contextlib import closing, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import ModelOption, multiply_on_one_core
from asr.cli.transcribe import read_hot_words
from asr.transcript.word import Style
from lm.cli.errors import one_line_errors
from lm.files import open_text


class ListenFormat(StrEnum):
    """Of what is written while somebody speaks."""

    txt = "txt"
    json = "json"


def listen(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]",
            help="A file; or -, which is standard input, a wav or raw samples.",
            show_default="the microphone",
        ),
    ] = None,
    format: Annotated[
        ListenFormat, typer.Option(help="txt has a line an utterance; json an object a line of all that changes.")
    ] = ListenFormat.txt,
    output_dir: Annotated[
        Path | None, typer.Option(help="Keep what was heard (wav) and written in this folder, too.")
    ] = None,
    copy: Annotated[bool, typer.Option(help="Keep the wav in --output-dir; --no-copy leaves it out.")] = True,
    style: Annotated[
        Style | None,
        typer.Option(
            help="readable has case, marks and numbers; plain is capitals.", show_default="readable, if it can"
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="A microphone, by its number or a part of its name.", show_default="the system's")
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="Print the microphones, and end.")] = False,
    rate: Annotated[
        int | None, typer.Option(help="Of raw samples on standard input, Hz.", show_default="16000")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="Of raw samples; they are mixed.", min=1, max=64, show_default="1")
    ] = None,
    pace: Annotated[bool, typer.Option("--pace", help="Hear a file as if it were spoken now.")] = False,
    silence: Annotated[float, typer.Option(help="Seconds after words that end an utterance.")] = 1.2,
    sentence_silence: Annotated[
        float, typer.Option(help="Seconds that do where a sentence is likely to have ended.")
    ] = 0.5,
    hot_word: Annotated[
        list[str] | None,
        typer.Option(help="A word or phrase to listen for; WORD:6 prefers it by more than 4 nats.", metavar="WORD"),
    ] = None,
    hot_words: Annotated[
        Path | None, typer.Option(help="A file of such words, WORD or WORD:NATS a line.", metavar="FILE")
    ] = None,
    grammar: Annotated[
        Path | None,
        typer.Option(help="Hear nothing but the words and phrases of this file, one a line.", metavar="FILE"),
    ] = None,
    model: ModelOption = None,
) -> None:
    """Print what is being said, as it is said: of a microphone, of standard input, or of a file.

    On a terminal the words of the present sentence grow in place, faint as long as they may change; when it has ended,
    all of it is heard once more by better models, and its text stays. Elsewhere that is a line of its own; with
    --format json there is an object a line, {"type": "partial", "text", "stable", "words"} and {"type": "final",
    "start", "end", "text", "words"}.

    Standard input is a wav, or raw samples, integers of 16 bits, little-endian. If the machine falls behind, that is
    told on standard error, and no sound is left out. Ctrl-C ends it, with the last sentence; a second one at once.

    The microphone needs the extra live: pip install 'nicebeach[live]'.

    Examples:

        asr listen

        arecord -f S16_LE -r 16000 | asr listen -

        ffmpeg -i URL -f wav - | asr listen --format json -

        asr listen --output-dir notes --hot-word Kubernetes

        asr listen --pace talk.mp3

        asr listen --grammar commands.txt
    """
    multiply_on_one_core()
    with one_line_errors():
        if (rate is not None or channels) and source != "-":
            raise ValueError("--rate, --channels: are of raw samples on standard input: leave them out")
        if device and source:
            raise ValueError("--device: is of microphones: leave it out, or the source")
        if pace and source in (None, "-"):
            raise ValueError("--pace: is of files: what comes live has its own pace")
        if grammar and (hot_word or hot_words):
            raise ValueError("--grammar: hears nothing else anyway: leave out the hot words")
        if not copy and not output_dir:
            raise ValueError("--no-copy: is of what --output-dir keeps: leave it out, or name a folder")
        from asr.live import captions, sources
        from asr.live.listen import listen, stopped_by_signals
        from asr.live.live import Endpointing
        from asr.recognizer import Recognizer

        if list_devices:
            print(sources.devices(), end="")
            return
        terminal = sys.stdout.isatty() and format is ListenFormat.txt and os.environ.get("TERM") != "dumb"
        begin = captions.CLEAR if terminal else ""

        def warn(problem: str) -> None:
            print(f"{begin}warning: {source or 'microphone'}: {problem}", file=sys.stderr, flush=True)

        # Behind any phrase of a grammar its end is likely.
        endpointing = Endpointing(silence, sentence_silence, likely=0.0 if grammar else Endpointing.likely)
        boosts = read_hot_words(hot_word or [], hot_words)
        recognizer = Recognizer(model)
        recognizer = recognizer.with_hot_words(boosts) if boosts else recognizer
        recognizer = recognizer.with_grammar(_phrases(grammar)) if grammar else recognizer
        kind = captions.Json if format is ListenFormat.json else captions.Lines
        shown = captions.Terminal(sys.stdout, _columns) if terminal else kind(sys.stdout)
        if source is None:
            sound = sources.microphone(device, warn)
        elif source == "-":
            # Not sys.stdin, whose lock a thread that waits for more would keep from Python as it ends.
            raw_rate = 16_000 if rate is None else rate
            sound = sources.standard_input(io.FileIO(0, closefd=False), raw_rate, channels or 1)
        else:
            sound = sources.file(Path(source), pace, warn)
        with stopped_by_signals() as stop:  # from here on there is something to be told of
            live = recognizer.live(sound.rate, endpointing=endpointing, nbest=1, style=style)
            kept_rate = sound.rate if copy else None
            kept = captions.Kept(output_dir, kept_rate, kind, f".{format.value}") if output_dir else None
            with closing(kept) if kept else nullcontext():
                if not listen(live, sound, [shown], kept, stop, warn) and not stop.is_set():
                    warn("no words were heard" + (": are --rate and --channels right?" if sound.raw else ""))


def _phrases(path: Path) -> list[str]:
    """The lines of a file; empty ones and what follows # mean nothing, what has no letters is told on stderr.

    Raises ValueError if none is left.
    """
    from asr.recognizer import has_letters

    phrases = []
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            if text := line.partition("#")[0].strip():
                if has_letters(text):
                    phrases.append(text)
                else:
                    print(f"warning: {path}, line {number}: {text}: left out: has no letters", file=sys.stderr)
    if not phrases:
        raise ValueError(f"{path}: holds no phrase: write one a line")
    return phrases


def _columns() -> int:
    return shutil.get_terminal_size().columns
