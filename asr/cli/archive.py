"""``asr archive``: any number of recordings, on any number of machines."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from asr.audio.channels import Channel
from asr.cli.options import ModelOption, multiply_on_one_core
from lm.cli.errors import one_line_errors


class Text(StrEnum):
    """Of what may be written beside the rows."""

    txt = "txt"
    srt = "srt"
    json = "json"


def archive(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A folder, a list (@FILE), a lhotse manifest (.jsonl, .jsonl.gz), or s3://BUCKET/FOLDER.",
        ),
    ],
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="A folder, or an address such as s3://BUCKET/FOLDER.")
    ],
    ray: Annotated[
        str | None,
        typer.Option(help="A cluster: auto, or HOST:6379.", metavar="ADDRESS", show_default="this machine, on its own"),
    ] = None,
    actors: Annotated[
        int | None, typer.Option(help="How many recordings at once.", min=1, show_default="one a core of the cluster")
    ] = None,
    format: Annotated[
        list[Text] | None, typer.Option(help="Write such a file a recording, too; may be given several times.")
    ] = None,
    channel: Annotated[
        Channel, typer.Option(help="Which channel to hear; mix is the mean of all, each tells both sides of a call.")
    ] = Channel.mix,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what has failed before.")] = False,
    model: ModelOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell only of errors.")] = False,
) -> None:
    """Transcribe an archive, on one machine or a Ray cluster, into Parquet: a row a recording.

    A row has text, segments, words with times, confidences and alternatives, and, if a recording failed, the reason.
    It is written whole or not at all, so that the same command goes on after whatever ended it, and does only what is
    missing. Recordings that changed are done again. Long ones are shared among all actors that would be idle. Needs
    `pip install 'nicebeach[cluster]'`, on all machines.

    Exit code 1: some recordings failed now. Failures of before are left alone without --retry-failed.

    Examples:

        asr archive recordings/ transcripts

        asr archive s3://radio/1998 s3://radio-text --ray auto --format srt
    """
    multiply_on_one_core()
    with one_line_errors():
        from asr.archive.archive import Settings
        from asr.archive.archive import archive as run
        from asr.archive.progress import Progress

        settings = Settings(model, tuple(dict.fromkeys(format or [])), channel, retry_failed)
        summary = run(source, output, settings, ray, actors, Progress(not quiet))
    if not quiet:
        told = f"{summary.done:,} recordings done, {summary.hours:,.2f} h; {summary.failed:,} of them failed"
        if summary.before:
            told += f"; {summary.before:,} were done before, {summary.failed_before:,} of them failed"
            told += " (--retry-failed tries again)" * bool(summary.failed_before)
        print(f"interrupted: {told}" if summary.interrupted else told, file=sys.stderr)
    raise typer.Exit(130 if summary.interrupted else int(summary.failed > 0))
