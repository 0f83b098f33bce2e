"""``asr show``: a picture of a recording."""

from pathlib import Path
from typing import Annotated

import typer

from asr.audio.channels import Channel
from asr.cli.options import ModelOption
from asr.cli.transcribe import read_time
from lm.cli.errors import one_line_errors


def show(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A recording.")],
    output: Annotated[Path, typer.Option(help="The picture: .png, .svg or .html.", show_default=False)],
    start: Annotated[str, typer.Option(help="Begin there.", metavar="TIME")] = "0",
    end: Annotated[
        str | None, typer.Option(help="Stop there. Times are seconds or h:mm:ss.", metavar="TIME", show_default=False)
    ] = None,
    channel: Annotated[Channel, typer.Option(help="Which channel to hear; mix is the mean of all.")] = Channel.mix,
    model: ModelOption = None,
) -> None:
    """Draw a recording: waveform, log-mel spectrogram, and its words at their times.

    Words have the colour of their confidence; doubtful ones have the runner-up below them, which is what the next
    hypothesis of the n-best list has there. Blue bars below the waveform mark speech, numbers between them pauses, in
    seconds; dashed lines are where segments end. An .html page has the text, too.

    A picture holds five minutes at most. Needs `pip install 'nicebeach[pictures]'`.

    Examples:

        asr show talk.wav --output talk.png

        asr show interview.mp3 --start 0:12:00 --end 0:12:30 --output quote.svg
    """
    with one_line_errors():
        if channel is Channel.each:
            raise ValueError("--channel each: a picture is of one channel: give left, right or mix")
        from lm.pictures import check_name, write

        check_name(output)
        first, last = read_time("--start", start), read_time("--end", end) if end else None
        from asr.audio.errors import AudioError
        from asr.audio.features import SAMPLE_RATE
        from asr.audio.reading import duration, load
        from asr.pictures.recording import LONGEST, as_html, draw
        from asr.recognizer import Recognizer
        from asr.transcript import Transcript

        length = (duration(path) or 0.0) - first if last is None else last - first
        if length > LONGEST:
            raise ValueError(
                f"{path}: {length:.0f} s are too long for a picture: choose {LONGEST:.0f} by --start, --end"
            )
        warnings: list[str] = []
        try:
            waveform = load(path, channel, first, last, warn=warnings.append)
        except AudioError as error:
            raise ValueError(f"{path}: {error}") from None
        for warning in warnings:
            typer.echo(f"warning: {path}: {warning}", err=True)
        if len(waveform) > (LONGEST + 1) * SAMPLE_RATE:  # its header didn't say
            raise ValueError(f"{path}: is too long for a picture: choose {LONGEST:.0f} s by --start, --end")
        recognizer = Recognizer(model)
        segments = list(recognizer.segments([waveform], first))
        transcript = Transcript(len(waveform) / SAMPLE_RATE, segments)
        write(draw(waveform, transcript, first), output, path.name, as_html(transcript))
