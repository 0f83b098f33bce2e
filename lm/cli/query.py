"""``lm next, fill, score, compare, show, generate, interactive, perplexity, mix``: what language models say."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lm.cli.errors import one_line_errors
from lm.cli.options import (
    BundleOption,
    JsonOption,
    Model,
    ModelOption,
    heldout_sentences,
    open_lines,
)

if TYPE_CHECKING:
    from lm.query import SentenceScore


def next_(
    text: Annotated[str, typer.Argument(help='The text so far, from the beginning of a sentence; "" for none.')],
    word: Annotated[str | None, typer.Option(help="Print only how probable this word is.")] = None,
    model: Annotated[
        Model | None, typer.Option(help="Which model.", show_default="mixture; with --word all three")
    ] = None,
    top: Annotated[
        int | None, typer.Option(help="How many words to print.", min=1, show_default="10, or --min-probability's")
    ] = None,
    min_probability: Annotated[
        float | None, typer.Option(help="Print the words that are at least so probable.", min=0, max=1)
    ] = None,
    as_json: JsonOption = False,
    bundle: BundleOption = None,
) -> None:
    """Print the most probable next words, or how probable one word is.

    `</s>` is the end of the sentence; `<unk>` is all words together that the vocabulary lacks. The text may be in any
    case and have punctuation: where it ends a sentence the next one begins, before which only the LSTM remembers what
    was said.

    Examples:

        lm next "how to recognize"

        lm next "How are you? Fine, and"

        lm next "how to recognize" --word speech

        lm next "how to recognize" --model lstm --min-probability 0.01 --json
    """
    with one_line_errors():
        from lm.answers import next_answer
        from lm.bundle import DEFAULT
        from lm.query import open_models

        answer = next_answer(open_models(bundle or DEFAULT), text, word, model, top, min_probability)
    if as_json:
        print(json.dumps(answer, indent=2))
        return
    for one in answer if isinstance(answer, list) else [answer]:
        for item in one["words"]:
            label = "" if word is None else f"{one['model']:<7}  "
            print(f"{label}{item['probability']:<10.4g}  {item['word']}")


def fill(
    text: Annotated[str, typer.Argument(help="A text with one gap: ___ stands for the word that is wanted.")],
    model: ModelOption = Model.mixture,
    top: Annotated[int, typer.Option(help="How many words to print.", min=1)] = 10,
    as_json: JsonOption = False,
    bundle: BundleOption = None,
) -> None:
    """Print the words that fit a gap best, given what stands on both sides of it.

    They are ranked by the probability of the whole text with them; the probabilities are of one word of all that are
    scored: the whole vocabulary by the n-gram, the 500 likeliest by the others.

    Examples:

        lm fill "how to ___ speech"

        lm fill "The captain ___ the ship." --model lstm --top 3 --json
    """
    with one_line_errors():
        from lm.bundle import DEFAULT
        from lm.query import fill as run
        from lm.query import open_models

        ranked = run(open_models(bundle or DEFAULT), text, model, top)
    if as_json:
        words = [{"word": word, "probability": probability} for word, probability in ranked]
        print(json.dumps({"text": text, "model": model, "words": words}, indent=2))
    else:
        for word, probability in ranked:
            print(f"{probability:<10.4g}  {word}")


def score(
    texts: Annotated[
        list[str], typer.Argument(metavar="TEXT...", help="Sentences; - reads them from stdin, one a line.")
    ],
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
        from lm.answers import score_object
        from lm.bundle import DEFAULT
        from lm.progress import progress_bar
        from lm.query import open_models, score_sentences

        if texts == ["-"]:
            with open_lines(Path("-")) as lines:
                texts = list(lines)
        scorer = open_models(bundle or DEFAULT)[model]
        scores = list(progress_bar(score_sentences(scorer, texts), "scoring", len(texts)))
    if as_json:
        print(json.dumps([score_object(item, model) for item in scores], indent=2))
    else:
        print("\n\n".join(map(score_table, scores)))


def score_table(score: "SentenceScore") -> str:
    rows = [
        f"log P {score.log_prob:.3f}   log10 P {score.log_prob / math.log(10):.3f}   perplexity {score.perplexity:.1f}"
    ]
    for word, log_prob, oov in zip(score.words, score.log_probs, score.oov, strict=True):
        rows.append(f"{log_prob:9.3f}  {word}{'  (not in the vocabulary)' if oov else ''}")
    return "\n".join(rows)


def compare(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT TEXT...", help="Sentences.")],
    model: ModelOption = Model.mixture,
    as_json: JsonOption = False,
    bundle: BundleOption = None,
) -> None:
    """Print sentences beside each other, word by word: which is likelier, and where it gains.

    Figures are logarithms to base 10. Words that the vocabulary lacks are scored as `<unk>` and marked with *.

    Examples:

        lm compare "how to recognize speech" "how to wreck a nice beach"
    """
    with one_line_errors():
        from lm.answers import score_object
        from lm.bundle import DEFAULT
        from lm.query import open_models, score_sentences

        if len(texts) < 2:
            raise ValueError("compare needs two sentences or more")
        scores = list(score_sentences(open_models(bundle or DEFAULT)[model], texts))
    if as_json:
        print(json.dumps([score_object(item, model) for item in scores], indent=2))
    else:
        print(comparison(scores))


def comparison(scores: "Sequence[SentenceScore]") -> str:
    """The words of each sentence in a column of their own, their sums, and what these mean."""
    columns = []
    for score in scores:
        log10s = [log_prob / math.log(10) for log_prob in score.log_probs]
        words = [f"{word}{'*' if oov else ''}" for word, oov in zip(score.words, score.oov, strict=True)]
        width = max(map(len, [*words, "perplexity"]))
        cells = [f"{word:<{width}} {log10:8.3f}" for word, log10 in zip(words, log10s, strict=True)]
        totals = [f"{'log10 P':<{width}} {sum(log10s):8.3f}", f"{'perplexity':<{width}} {score.perplexity:8.1f}"]
        columns.append((cells, totals))
    height = max(len(cells) for cells, _ in columns)
    padded = [[*cells, *[" " * len(cells[0])] * (height - len(cells)), *totals] for cells, totals in columns]
    rows = ["    ".join(row).rstrip() for row in zip(*padded, strict=True)]
    first, second = sorted(scores, key=lambda score: -score.log_prob)[:2]
    gain = first.log_prob - second.log_prob
    factor = f"{math.exp(gain):.3g}" if gain < 700 else f"10^{gain / math.log(10):.0f}"
    likelier = " ".join(first.words[:-1]) or "(no words)"
    return "\n".join([*rows[:height], "", *rows[height:], "", f"{likelier}: {factor} times as probable as the next"])


def show(
    text: Annotated[str, typer.Argument(help="A sentence.")],
    output: Annotated[
        Path | None, typer.Option(help="Draw it: .png, .svg or .html.", show_default="print a table")
    ] = None,
    top: Annotated[int, typer.Option(help="How many likelier words each place has, at most.", min=0)] = 3,
    bundle: BundleOption = None,
) -> None:
    """Show how probable each word of a sentence is by each model, and what was likelier.

    Likelier are the words that the mixture had expected more in that place. The picture needs
    `pip install 'nicebeach[pictures]'`.

    Examples:

        lm show "how to recognize speech"

        lm show "how to recognize speech" --output speech.png
    """
    with one_line_errors():
        from lm.bundle import DEFAULT
        from lm.query import open_models, places
        from lm.text.normalise import normalize, warn_left_out

        warn_left_out(text)
        if output:
            from lm.pictures import check_name

            check_name(output)
        if not (words := normalize(text)):
            raise ValueError(f"{text!r}: has no words that the models know letters of: give an English sentence")
        models = open_models(bundle or DEFAULT)
        models.vocabulary.warn_unknown(words)
        sentence = places(models, words, top)
        if output:
            from lm.pictures import draw_sentence, write

            write(draw_sentence(sentence), output, text)
            return
    width = max(len(place.word) for place in sentence)
    print(" " * width, *(f"{name:>9}" for name in sentence[0].probabilities), " likelier")
    for place in sentence:
        likelier = ", ".join(f"{word} {p:.2g}" for word, p in place.likelier)
        print(f"{place.word:<{width}}", *(f"{p:9.2g}" for p in place.probabilities.values()), f" {likelier}".rstrip())


def generate(
    text: Annotated[str, typer.Argument(help="How the sentences begin.")] = "",
    sentences: Annotated[int, typer.Option(help="How many.", min=1)] = 1,
    temperature: Annotated[float, typer.Option(help="Below 1 the probable words win more often, above 1 less.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Of so many most probable words only.", show_default="all")] = None,
    max_words: Annotated[int, typer.Option(help="Of a sentence.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same sentences.")] = 1,
    model: ModelOption = Model.lstm,
    bundle: BundleOption = None,
) -> None:
    """Write sentences as the model would, one a line.

    Examples:

        lm generate "it was a dark and" --sentences 3 --temperature 0.8
    """
    with one_line_errors():
        import numpy as np

        from lm.bundle import DEFAULT
        from lm.generate import generate as draw
        from lm.query import open_models
        from lm.text.normalise import normalize, warn_left_out

        warn_left_out(text)
        scorer = open_models(bundle or DEFAULT)[model]
        history = normalize(text)
        scorer.vocabulary.warn_unknown(history)
        rng = np.random.default_rng(seed)
        for _ in range(sentences):
            print(" ".join(history + draw(scorer, history, rng, temperature, top_k, max_words)), flush=True)


def interactive(model: ModelOption = Model.lstm, bundle: BundleOption = None) -> None:
    """Type, and see the next words as you go; Enter scores the sentence."""
    with one_line_errors():
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ValueError("lm interactive needs a terminal; in scripts use lm next")
        from lm.bundle import DEFAULT
        from lm.interactive import run
        from lm.query import open_models

        run(open_models(bundle or DEFAULT)[model])


def perplexity(
    file: Annotated[Path, typer.Argument(help="A text, one sentence a line (also .gz, .xz); - for stdin.")],
    model: ModelOption = Model.mixture,
    document: Annotated[
        bool, typer.Option("--document", help="The lines are one text; the LSTM remembers the sentences before.")
    ] = False,
    cache: Annotated[
        int, typer.Option(help="With --document: expect again the last so many words, by a neural cache.", min=0)
    ] = 0,
    as_json: JsonOption = False,
    bundle: BundleOption = None,
) -> None:
    """Print the perplexity of a model on a text.

    The text is normalised, lines without words are skipped. Each sentence begins anew, but for --document; its end is
    a token, its beginning isn't. With and without words that the vocabulary lacks (OOV): these are scored as `<unk>`,
    or left out.

    Examples:

        lm perplexity heldout.txt

        lm perplexity heldout.txt --model ngram --json

        lm perplexity novel.txt --document --cache 2000
    """
    with one_line_errors():
        from lm.bundle import DEFAULT
        from lm.query import open_models
        from lm.query import perplexity as measure

        with open_lines(file) as lines:
            text = list(lines)
        if cache and not document:
            raise ValueError("--cache remembers a document's words; give --document with it")
        scorer = open_models(bundle or DEFAULT, cache)[model]
        try:
            result = measure(scorer, text, document)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
    summary = {"model": model, **asdict(result)}
    if as_json:
        print(json.dumps(summary, indent=2))
        return
    for key, value in summary.items():
        print(f"{key.replace('_', ' '):<24}{value:.2f}" if isinstance(value, float) else f"{key:<24}{value}")


def mix(
    heldout: Annotated[Path, typer.Argument(help="Text, one sentence a line; - reads stdin.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="ngram, lstm, or the file of an n-gram.", show_default="ngram lstm"),
    ] = None,
    folds: Annotated[
        int, typer.Option(help="Measure each of so many parts with the weights that the others ask for.", min=1)
    ] = 1,
    log_linear: Annotated[bool, typer.Option("--log-linear", help="Multiply probabilities, don't add them.")] = False,
    words: Annotated[
        int | None, typer.Option(help="With --log-linear: of how many words of the text.", min=1, show_default="1000")
    ] = None,
    as_json: JsonOption = False,
    bundle: BundleOption = None,
) -> None:
    """Find the weights at which models mixed foretell a text best; print them and the perplexities.

    The text is normalised, each sentence begins anew, words that the vocabulary lacks are scored as `<unk>`. The
    weights are of the whole text. So is the perplexity, which flatters the mixture; with --folds 2 that of the even
    lines is under weights of the odd ones, and the other way round.

    --log-linear is slow: it asks each model for the whole vocabulary at each word, a second or so for ten words. It
    takes sentences from all over the text until there are --words, and a GB of memory for a thousand.

    N-grams given as files (.bin or .arpa) are asked for the words of the bundle's vocabulary.

    Examples:

        lm mix dev-clean.txt --folds 2

        lm mix heldout.txt ngram lstm --log-linear --words 500 --json

        lm mix heldout.txt news.bin books.bin lstm
    """
    with one_line_errors():
        from lm.bundle import DEFAULT
        from lm.mixture import fit_mixture
        from lm.ngram.model import NgramModel
        from lm.query import open_models
        from lm.text.vocabulary import END

        if words and not log_linear:
            raise ValueError("--words is how much of the text --log-linear takes: give it, too, or leave it out")
        names = names or [Model.ngram.value, Model.lstm.value]
        if len(names) < 2:
            raise ValueError("mix needs two models or more")
        sentences = heldout_sentences(heldout).values()
        open_ = open_models(bundle or DEFAULT)
        models = [
            open_[name] if name in ("ngram", "lstm") else NgramModel(Path(name), open_.vocabulary) for name in names
        ]
        ids = [[*open_.vocabulary.encode(words), END] for words in sentences]
        fit = fit_mixture(models, ids, folds, log_linear, words or 1000)
    if as_json:
        print(json.dumps({"models": names, "log_linear": log_linear, **asdict(fit)}, indent=2))
        return
    width = max(map(len, [*names, "mixture"]))
    print(f"{'model':<{width}}  weight  perplexity")
    for name, weight, perplexity in zip(names, fit.weights, fit.model_perplexities, strict=True):
        print(f"{name:<{width}}  {weight:6.4f}  {perplexity:.2f}")
    print(f"{'mixture':<{width}}          {fit.perplexity:.2f}")
    for fold, weights in enumerate(fit.fold_weights, 1):
        print(f"without part {fold}: {' '.join(f'{weight:.4f}' for weight in weights)}", file=sys.stderr)
