"""``lm``: what language models say about words, sentences and texts, and how they are made."""

import gzip
import io
import json
import lzma
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from lm.query import SentenceScore
    from lm.vocabulary import Vocabulary

app = typer.Typer(help="Language models of English words.", no_args_is_help=True, add_completion=False)


class Model(StrEnum):
    """The models of lm.query by name."""

    ngram = "ngram"
    lstm = "lstm"
    mixture = "mixture"


ModelOption = Annotated[Model, typer.Option(help="The n-gram, the LSTM, or the two mixed.")]
BundleOption = Annotated[Path | None, typer.Option(help="A folder of models.  [default: the models that ship]")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OutputOption = Annotated[Path, typer.Option(help="The file to write.")]


# --- Questions --------------------------------------------------------------------------------------------


@app.command("next")
def next_(
    text: Annotated[str, typer.Argument(help='The words so far, from the beginning of a sentence; "" for none.')],
    word: Annotated[str | None, typer.Option(help="Print only how probable this word is.")] = None,
    model: Annotated[
        Model | None, typer.Option(help="[default: the mixture; with --word, all three]")
    ] = None,
    top: Annotated[int, typer.Option(help="How many words to print.", min=1)] = 10,
    as_json: JsonOption = False,
    bundle: BundleOption = None,
) -> None:
    """Print the most probable next words, or how probable one word is.

    `</s>` is the end of the sentence; `<unk>` is all words together that the vocabulary lacks.

    Examples:

        lm next "how to recognize"

        lm next "how to recognize" --word speech

        lm next "how to recognize" --model lstm --top 3 --json
    """
    with one_line_errors():
        from lm.bundle import DEFAULT
        from lm.query import next_words, open_models
        from lm.text import normalize

        models = open_models(bundle or DEFAULT)
        history = normalize(text)
        report_unknown(history, models.vocabulary)
        asked = None if word is None else one_word(word, models.vocabulary)
        answers: list[dict[str, Any]] = []
        for name in [model] if model else [Model.mixture] if asked is None else Model:
            ranked = next_words(models[name], history)
            chosen = ranked[:top] if asked is None else [item for item in ranked if item[0] == asked]
            answers.append(
                {
                    "history": " ".join(history),
                    "model": name,
                    "total": sum(probability for _, probability in ranked),
                    "words": [{"word": word, "probability": probability} for word, probability in chosen],
                }
            )
    if as_json:
        print(json.dumps(answers if asked is not None and model is None else answers[0], indent=2))
    elif asked is None:
        for item in answers[0]["words"]:
            print(f"{item['probability']:<10.4g}  {item['word']}")
    else:
        for answer in answers:
            print(f"{answer['model']:<7}  {answer['words'][0]['probability']:<10.4g}  {asked}")


@app.command()
def score(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Sentences; - reads them from stdin, one a line.")],
    model: ModelOption = Model.mixture,
    as_json: JsonOption = False,
    bundle: BundleOption = None,
) -> None:
    """Print the log-probability of sentences, and of each of their words.

    The sentence's end, `</s>`, is scored like a word. Perplexity is that of the sentence alone. Words that the
    vocabulary lacks are scored as `<unk>` and marked.

    Examples:

        lm score "how to recognize speech" "how to wreck a nice beach"

        lm score - --model ngram --json < sentences.txt
    """
    with one_line_errors():
        from lm.bundle import DEFAULT
        from lm.query import open_models, progress_bar, score_sentences
        from lm.text import normalize

        if texts == ["-"]:
            with open_lines(Path("-")) as lines:
                texts = list(lines)
        sentences = [words for text in texts if (words := normalize(text))]
        if not sentences:
            raise ValueError("nothing to score: the text has no words")
        scorer = open_models(bundle or DEFAULT)[model]
        scores = list(progress_bar(score_sentences(scorer, sentences), "scoring", len(sentences)))
    if as_json:
        print(json.dumps([score_object(item, model) for item in scores], indent=2))
    else:
        print("\n\n".join(map(score_table, scores)))


def score_object(score: "SentenceScore", model: str) -> dict[str, Any]:
    return {
        "text": " ".join(score.words[:-1]),
        "model": model,
        "log_probability": score.log_prob,
        "log10_probability": score.log_prob / math.log(10),
        "perplexity": score.perplexity,
        "oov": int(score.oov.sum()),
        "words": [
            {"word": word, "log_probability": log_prob, "oov": oov}
            for word, log_prob, oov in zip(score.words, score.log_probs.tolist(), score.oov.tolist(), strict=True)
        ],
    }


def score_table(score: "SentenceScore") -> str:
    rows = [
        f"log P {score.log_prob:.3f}   log10 P {score.log_prob / math.log(10):.3f}   perplexity {score.perplexity:.1f}"
    ]
    for word, log_prob, oov in zip(score.words, score.log_probs, score.oov, strict=True):
        rows.append(f"{log_prob:9.3f}  {word}{'  (not in the vocabulary)' if oov else ''}")
    return "\n".join(rows)


@app.command()
def perplexity(
    file: Annotated[Path, typer.Argument(help="A text, one sentence a line (also .gz, .xz); - for stdin.")],
    model: ModelOption = Model.mixture,
    as_json: JsonOption = False,
    bundle: BundleOption = None,
) -> None:
    """Print the perplexity of a model on a text.

    The text is normalised, lines without words are skipped. Each sentence begins anew; its end is a token, its
    beginning isn't. With and without words that the vocabulary lacks (OOV): these are scored as `<unk>`, or left out.

    Examples:

        lm perplexity heldout.txt

        lm perplexity heldout.txt --model ngram --json
    """
    with one_line_errors():
        from lm import query
        from lm.bundle import DEFAULT

        with open_lines(file) as lines:
            text = list(lines)
        try:
            result = query.perplexity(query.open_models(bundle or DEFAULT)[model], text)
        except query.NoWordsError:
            raise ValueError(f"{file}: the text has no words") from None
    summary = {"model": model, **asdict(result)}
    if as_json:
        print(json.dumps(summary))
        return
    for key, value in summary.items():
        print(f"{key.replace('_', ' '):<24}{value:.2f}" if isinstance(value, float) else f"{key:<24}{value}")
