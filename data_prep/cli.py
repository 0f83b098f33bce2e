"""``data-prep``: from a corpus on disk to a manifest, and what is in it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_prep import MAX_SECONDS

if TYPE_CHECKING:
    from data_prep.manifest import Prepared

app = typer.Typer(help="Speech corpora to lhotse manifests.", no_args_is_help=True, add_completion=False)

CORPUS_HELP = "A corpus folder, a Common Voice .tsv or a manifest."


@app.command()
def manifest(
    path: Annotated[Path, typer.Argument(help=CORPUS_HELP)],
    output: Annotated[Path, typer.Argument(help="The manifest to write: .jsonl or .jsonl.gz.")],
    max_seconds: Annotated[float, typer.Option(help="Drop longer utterances.", min=0.0)] = MAX_SECONDS,
) -> None:
    """Write the manifest of a corpus.

    The layout is recognised by its files: LibriSpeech, Common Voice, Kaldi, LJSpeech, CMU Sphinx, VCTK.
    Utterances that can't be used are counted by reason on stderr.

    Examples:

        data-prep manifest LibriSpeech/train-clean-100 train.jsonl.gz

        data-prep manifest cv-corpus/en/dev.tsv dev.jsonl.gz --max-seconds 20
    """
    with one_line_errors():
        from data_prep.layouts import read
        from data_prep.manifest import check_manifest_name, write

        check_manifest_name(output)  # before the long work
        prepared = read(path, max_seconds)
        report_drops(prepared)
        if not len(prepared.cuts):
            raise ValueError(f"{path}: no usable utterance")
        write(prepared.cuts, output)
        print(f"{output}: {len(prepared.cuts)} utterances", file=sys.stderr)


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help=CORPUS_HELP)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print a manifest's (or corpus's) size: utterances, hours, speakers, shortest and longest.

    Examples:

        data-prep show train.jsonl.gz

        data-prep show LibriSpeech/dev-clean --json
    """
    with one_line_errors():
        from data_prep.layouts import read

        prepared = read(path, float("inf"))
        report_drops(prepared)
        cuts = sorted(prepared.cuts, key=lambda cut: cut.duration)
        if not cuts:
            raise ValueError(f"{path}: no usable utterance")
    speakers = [supervision.speaker for cut in cuts for supervision in cut.supervisions]
    summary = {
        "utterances": len(cuts),
        "hours": round(sum(cut.duration for cut in cuts) / 3600, 4),
        "speakers": len(set(speakers) - {None}),
        "utterances_without_speaker": speakers.count(None),
        "shortest": {"id": cuts[0].id, "seconds": cuts[0].duration},
        "longest": {"id": cuts[-1].id, "seconds": cuts[-1].duration},
    }
    if as_json:
        print(json.dumps(summary))
        return
    for key, value in summary.items():
        shown = f"{value['seconds']:.2f} s  {value['id']}" if isinstance(value, dict) else value
        print(f"{key.replace('_', ' '):<28}{shown}")


def report_drops(prepared: "Prepared") -> None:
    for reason, ids in prepared.dropped.items():
        examples = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
        print(f"dropped {len(ids)}: {reason} ({examples})", file=sys.stderr)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What a user can cause is told in one line, without a traceback."""
    try:
        yield
    except BrokenPipeError:  # the reader has seen enough, as `head` does; Typer ends quietly
        raise
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
