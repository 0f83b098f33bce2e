"""``asr rescore``: the n-best lists of other recognisers, ranked by our language models."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import ModelOption
from lm.cli.errors import one_line_errors
from lm.cli.options import open_lines


def rescore(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="N-best lists in text or JSON (also .gz, .xz); - for stdin."),
    ],
    top: Annotated[
        int | None,
        typer.Option(help="Print so many hypotheses of each list with their scores.", min=1, show_default="the best"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print an object a list, with all hypotheses (or --top) and all scores.")
    ] = False,
    weight_score: Annotated[
        float, typer.Option(help="Of the scores that came in; -1 if they are costs, of which less is better.")
    ] = 1.0,
    weight_ngram: Annotated[
        float | None, typer.Option(help="Of the n-gram's log-probability.", show_default="the model's second pass")
    ] = None,
    weight_lstm: Annotated[
        float | None, typer.Option(help="Of the LSTM's.", show_default="the model's second pass")
    ] = None,
    weight_word: Annotated[float, typer.Option(help="What each word adds.")] = 0.0,
    model: ModelOption = None,
) -> None:
    """Rank the n-best lists of another recogniser by the n-gram and the LSTM.

    Printed is the best text of each list, as it came in, after its id if it has one. To be scored texts are
    normalised: case, punctuation and numbers as read don't matter.

    **Text** has a hypothesis a line, in columns parted by tabs: the text alone, score and text, or id, score and text.
    An empty line, or another id, begins the next list. --top prints the same again, the totals for scores.

    **JSON** is an object a line, `{"id": ..., "nbest": [{"text": ..., "score": ...}, ...]}`, or what
    `asr transcribe --format json` prints.

    Scores are log-probabilities, natural logarithms. A hypothesis' total is the sum of its score and those of both
    language models by their weights, and --weight-word for each word. The usual weights fit acoustic scores like those
    of `asr transcribe`; for others try some where you know what was said.

    Examples:

        printf "Wreck a nice beach.\\nRecognize speech.\\n" | asr rescore -

        asr rescore nbest.tsv > best.txt

        asr rescore --json --top 5 nbest.jsonl

        asr rescore --weight-ngram 0.2 --weight-lstm 0.5 --weight-word 1 nbest.tsv

        asr transcribe --format json talk.mp3 | asr rescore --weight-lstm 2 --weight-word -1.5 -
    """
    with one_line_errors():
        from asr.decoder.nbest import default_weights, read_nbest, rescore_texts
        from lm.bundle import DEFAULT
        from lm.query import open_models
        from lm.settings import Number, checked

        given = {"score": weight_score, "ngram": weight_ngram, "lstm": weight_lstm, "word": weight_word}
        for score, weight in given.items():
            checked(Number | None, weight, f"--weight-{score}")
        models = open_models(model or DEFAULT)
        weights = default_weights(models.bundle)
        ngram = weights.ngram if weight_ngram is None else weight_ngram
        lstm = weights.lstm if weight_lstm is None else weight_lstm
        weights = replace(weights, ngram=ngram, lstm=lstm, word=weight_word)
        with open_lines(file) as text:
            for number, nbest in enumerate(read_nbest(text, str(file))):
                ranked = rescore_texts(models, nbest.texts, nbest.scores, weights, weight_score)[:top]
                if as_json:
                    name = {} if nbest.id is None else {"id": nbest.id}
                    print(json.dumps(name | {"nbest": [asdict(found) for found in ranked]}), flush=True)
                elif top is None:
                    print(*columns(nbest.id, ranked[0].text if ranked else ""), sep="\t", flush=True)
                else:
                    lines = ["\t".join(columns(nbest.id, f"{found.total:.4f}", found.text)) for found in ranked]
                    print(*[""][:number], *lines, sep="\n", flush=True)


def columns(id: object, *fields: str) -> list[str]:
    """The columns of a line in text, as `asr rescore` reads them, too: first the id, if there is one."""
    named = fields if id is None else (str(id), *fields)
    return [re.sub(r"[\t\r\n]+", " ", field) for field in named]
