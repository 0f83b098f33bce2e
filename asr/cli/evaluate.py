"""``asr evaluate``: how good it is."""

import json
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from asr.cli.options import DataOption, LimitOption, ModelOption, read_cuts
from lm.cli.errors import one_line_errors
from lm.progress import progress_bar


def evaluate(
    data: DataOption,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    limit: LimitOption = None,
    output: Annotated[
        Path | None,
        typer.Option(help="A folder for summary.json, utterances.jsonl (all texts) and alignments.txt (all errors)."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the WER by speaker, reliability and kinds of errors: .png, .svg or .html."),
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
    lstm (its n-best list rescored). Both sides are normalised alike: upper case, letters and apostrophes.

    Intervals are of 95 %, by 10,000 bootstrap resamples of the utterances. The oracle takes the best hypothesis of each
    n-best list. Of two systems' difference is told in how many resamples it is an improvement, and the p value of a
    matched-pairs test. Confidences are good if their calibration error is near 0, their AUC and normalised
    cross-entropy near 1; JSON has how many words of each tenth are right. All but the rates by decoding is of lstm.

    rtf is the time for emissions, search and rescoring over the duration of the audio. Exit code 1 if audio could not
    be read.

    Examples:

        asr evaluate --data LibriSpeech/dev-clean

        asr evaluate --data cv-corpus/en/dev.tsv --limit 100 --json

        asr evaluate --data LibriSpeech/dev-clean --output exp/old

        asr evaluate --data LibriSpeech/dev-clean --model exp/model --against exp/old

        asr evaluate --data LibriSpeech/dev-clean --plot errors.png
    """
    with one_line_errors():
        if plot:
            from asr.pictures.evaluation import draw
            from lm.pictures import check_name, write

            check_name(plot)
        from asr.evaluation.evaluate import DECODINGS, check_same, read_transcribed
        from asr.evaluation.evaluate import evaluate as run
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
        if plot:
            write(draw(summary, DECODINGS), plot, f"{data}: WER {summary[DECODINGS[-1]]['wer']:.2f} %")
        if as_json:
            print(json.dumps(summary))
        else:
            print_summary(summary)
    raise typer.Exit(int(not complete or bool(result.unreadable)))


def print_summary(summary: dict[str, Any]) -> None:
    """Print what `Evaluation.summary` makes as tables."""
    from asr.evaluation.evaluate import DECODINGS, STAGES

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
    auc, gain = (
        "undefined" if quality[name] is None else f"{quality[name]:.3f}" for name in ("auc", "normalized_cross_entropy")
    )
    error = quality["calibration_error"]
    print(f"confidences: calibration error {error:.3f}, AUC {auc}, normalised cross-entropy {gain}")
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
