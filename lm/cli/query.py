"""``lm``: what language models say about words, sentences and texts, and how they are made."""

import gzip
import io
import json
import lzma
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from lm.query import SentenceScore
    from lm.vocabulary import Vocabulary

app = typer.Typer(
    help="Language models of English words.", no_args_is_help=True, add_completion=False, rich_markup_mode="markdown"
)


class Model(StrEnum):
    """The models of lm.query by name."""

    ngram = "ngram"
    lstm = "lstm"
    mixture = "mixture"


ModelOption = Annotated[Model, typer.Option(help="The n-gram, the LSTM, or the two mixed.")]
BundleOption = Annotated[Path | None, typer.Option(help="A folder of models.", show_default="those that ship")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OutputOption = Annotated[Path, typer.Option(help="The file to write.")]


# --- Questions --------------------------------------------------------------------------------------------


@app.command("next")
def next_(
    text: Annotated[str, typer.Argument(help='The words so far, from the beginning of a sentence; "" for none.')],
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

    `</s>` is the end of the sentence; `<unk>` is all words together that the vocabulary lacks.

    Examples:

        lm next "how to recognize"

        lm next "how to recognize" --word speech

        lm next "how to recognize" --model lstm --min-probability 0.01 --json
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
            if asked is not None:
                chosen = [item for item in ranked if item[0] == asked]
            elif min_probability is not None:
                chosen = [item for item in ranked if item[1] >= min_probability][:top]
            else:
                chosen = ranked[: top or 10]
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
        from lm.bundle import DEFAULT
        from lm.progress import progress_bar
        from lm.query import open_models, score_sentences
        from lm.text import normalize

        if texts == ["-"]:
            with open_lines(Path("-")) as lines:
                texts = list(lines)
        scorer = open_models(bundle or DEFAULT)[model]
        scores = list(progress_bar(score_sentences(scorer, map(normalize, texts)), "scoring", len(texts)))
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
        from lm.bundle import DEFAULT
        from lm.query import open_models, score_sentences
        from lm.text import normalize

        if len(texts) < 2:
            raise ValueError("compare needs two sentences or more")
        scores = list(score_sentences(open_models(bundle or DEFAULT)[model], map(normalize, texts)))
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
    factor = math.exp(first.log_prob - second.log_prob)
    likelier = " ".join(first.words[:-1])
    return "\n".join(
        [*rows[:height], "", *rows[height:], "", f"{likelier}: {factor:.3g} times as probable as the next"]
    )


@app.command()
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
        from lm.text import normalize

        scorer = open_models(bundle or DEFAULT)[model]
        history = normalize(text)
        report_unknown(history, scorer.vocabulary)
        rng = np.random.default_rng(seed)
        for _ in range(sentences):
            print(" ".join(history + draw(scorer, history, rng, temperature, top_k, max_words)), flush=True)


@app.command()
def interactive(model: ModelOption = Model.lstm, bundle: BundleOption = None) -> None:
    """Type, and see the next words as you go; Enter scores the sentence."""
    with one_line_errors():
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ValueError("lm interactive needs a terminal; in scripts use lm next")
        from lm.bundle import DEFAULT
        from lm.interactive import run
        from lm.query import open_models

        run(open_models(bundle or DEFAULT)[model])


@app.command()
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


@app.command()
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
    words: Annotated[int, typer.Option(help="With --log-linear: of how many words of the text.", min=1)] = 1000,
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
        from lm.ngram import NgramModel
        from lm.query import open_models
        from lm.vocabulary import END

        names = names or [Model.ngram.value, Model.lstm.value]
        if len(names) < 2:
            raise ValueError("mix needs two models or more")
        sentences = heldout_sentences(heldout).values()
        open_ = open_models(bundle or DEFAULT)
        models = [
            open_[name] if name in ("ngram", "lstm") else NgramModel(Path(name), open_.vocabulary) for name in names
        ]
        ids = [[*open_.vocabulary.encode(words), END] for words in sentences]
        fit = fit_mixture(models, ids, folds, log_linear, words)
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


# --- Making -----------------------------------------------------------------------------------------------


@app.command()
def prepare_text(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Folders or .tar archives of .txt books, or single books.")
    ],
    output: OutputOption,
    exclude: Annotated[Path | None, typer.Option(help="A list of books to leave out, one file name a line.")] = None,
    heldout: Annotated[Path | None, typer.Option(help="Put some books into this file instead.")] = None,
    heldout_books: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
    heldout_words: Annotated[int, typer.Option(help="How many words of them all.", min=1)] = 500_000,
    avoid: Annotated[
        list[Path] | None,
        typer.Option(help="Transcripts, one a line: drop sentences that share eight words in a row with one."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes.", min=1, show_default="one a core")] = None,
    seed: Annotated[int, typer.Option(help="Of the shuffled order of books.")] = 1,
) -> None:
    """Turn books into normalised sentences, one a line; what is left out is reported on stderr.

    Copies of a book are found and left out. --avoid may be given several times; lm check-overlap says afterwards
    whether it was needed.

    Examples:

        lm prepare-text books/ --output books.txt

        lm prepare-text gutenberg.tar.gz --output books.txt.xz --exclude test-books.txt --avoid dev-clean.txt
    """
    with one_line_errors():
        from lm.text import prepare_text as prepare

        excluded = []
        if exclude:
            with open_lines(exclude) as lines:
                excluded = [name for line in lines if (name := line.strip())]
        transcripts = [words for path in avoid or [] for words in heldout_sentences(path).values()]
        report = prepare(sources, output, excluded, heldout, heldout_books, heldout_words, jobs, seed, transcripts)
    lines_out = [f"{output}: {report.books} books, {report.sentences} sentences, {report.words} words"]
    if heldout:
        lines_out.append(f"{heldout}: {len(report.heldout)} books, {report.heldout_words} words")
    left_out = {
        "excluded": report.excluded,
        "to be excluded, but not found": report.not_found,
        "held before in another book": report.duplicates,
        "near to the held-out books": report.near_heldout,
        "without sentences": report.empty,
    }
    lines_out += [f"dropped {len(names)} books: {reason}" for reason, names in left_out.items() if names]
    lines_out += [f"dropped {count} passages: {reason}" for reason, count in report.dropped.items()]
    print("\n".join(lines_out), file=sys.stderr)


@app.command()
def check_overlap(
    text: Annotated[Path, typer.Argument(help="Training text, as `lm prepare-text` writes it (also .gz, .xz).")],
    heldout: Annotated[list[Path], typer.Argument(metavar="HELDOUT...", help="Transcripts, one sentence a line.")],
    length: Annotated[int, typer.Option("--words", help="How many words in a row may not be shared.", min=1)] = 8,
    as_json: JsonOption = False,
) -> None:
    """Fail if training text holds what models are to be measured on; print the sentences in question.

    The transcripts are normalised as the text was. A sentence is in question if any --words words of it stand in a row
    in the text; `lm prepare-text --avoid` leaves such text out. Exit code 0: nothing is shared; 1: something is.

    Examples:

        lm check-overlap books.txt dev-clean.txt test-clean.txt

        lm check-overlap books.txt.xz dev-clean.txt --json > shared.json
    """
    with one_line_errors():
        from lm.overlap import find_overlaps
        from lm.progress import progress_bar

        sentences = {name: words for path in heldout for name, words in heldout_sentences(path).items()}
        short = sum(len(words) < length for words in sentences.values())
        if short == len(sentences):
            raise ValueError(f"{', '.join(map(str, heldout))}: no sentence of {length} words or more to look for")
        with open_lines(text) as lines:
            overlaps = find_overlaps(progress_bar(lines, f"reading {text.name}", None), sentences, length)
    if as_json:
        print(json.dumps([asdict(overlap) for overlap in overlaps], indent=2))
    else:
        for item in overlaps:
            print(f"{item.sentence}: {item.shared} of {item.ngrams} {length}-grams, {item.example} in line {item.line}")
    print(
        f"{text}: shares {length} words in a row with {len(overlaps)} of {len(sentences)} sentences"
        f" ({short} too short to tell)",
        file=sys.stderr,
    )
    if overlaps:
        raise typer.Exit(1)


@app.command()
def build_vocabulary(
    text: Annotated[Path, typer.Argument(help="Normalised sentences, as `lm prepare-text` writes them.")],
    output: OutputOption,
    size: Annotated[int, typer.Option(help="How many words.", min=1)] = 200_000,
    speech_counts: Annotated[
        Path | None,
        typer.Option(help="Counts of transcripts' words (word<tab>count), to weigh in as much as the text."),
    ] = None,
    heldout: Annotated[
        list[Path] | None, typer.Option(help="Text, one sentence a line: report the share of its words left out.")
    ] = None,
) -> None:
    """Write the commonest words of a text, one a line, the commonest first.

    How much of the text they are is reported on stderr, and of each --heldout how much they lack.

    Examples:

        lm build-vocabulary books.txt --output vocabulary.txt --size 100000

        lm build-vocabulary books.txt --output vocabulary.txt --speech-counts word-counts.txt --heldout dev-clean.txt
    """
    with one_line_errors():
        from lm.progress import progress_bar
        from lm.vocabulary import SPECIAL_WORDS, count_words, oov_rate, read_counts
        from lm.vocabulary import build_vocabulary as build

        heldout_lines = {path: map(" ".join, heldout_sentences(path).values()) for path in heldout or []}
        speech = read_counts(speech_counts) if speech_counts else None
        with open_lines(text) as lines:
            counts = count_words(progress_bar(lines, f"words of {text.name}", None))
        vocabulary = build(counts, size, speech)
        vocabulary.save(output)
        rates = {path: oov_rate(lines, vocabulary) for path, lines in heldout_lines.items()}
    covered = sum(count for word, count in counts.items() if word in vocabulary) / max(1, counts.total())
    print(f"{output}: {len(vocabulary) - len(SPECIAL_WORDS)} words, {covered:.2%} of the text's", file=sys.stderr)
    for path, rate in rates.items():
        print(f"{path}: {rate:.2%} of the words are out of vocabulary", file=sys.stderr)


@app.command()
def build_ngram(
    texts: Annotated[
        list[Path], typer.Argument(metavar="TEXT...", help="Normalised sentences, as `lm prepare-text` writes them.")
    ],
    output: OutputOption,
    vocabulary: Annotated[Path, typer.Option(help="A file that `lm build-vocabulary` wrote.")],
    tune: Annotated[
        Path | None, typer.Option(help="Of several texts: held-out text (normalised) to weigh them by.")
    ] = None,
    order: Annotated[int, typer.Option(help="Words of the longest n-grams.", min=2, max=6)] = 4,
    prune: Annotated[
        str,
        typer.Option(help="Leave out n-grams seen so often or less: a number for each order, the last for the rest."),
    ] = "0 0 1",
    threshold: Annotated[
        float, typer.Option(help="Leave out n-grams without which the perplexity rises by less than this share.", min=0)
    ] = 0.0,
    bits: Annotated[int, typer.Option(help="Of each quantised weight; 0: not quantised.", min=0, max=25)] = 8,
    memory: Annotated[str, typer.Option(help="For sorting: 8G, 50%.")] = "50%",
    temporary: Annotated[Path | None, typer.Option(help="Folder for sorting.", show_default="the system's")] = None,
) -> None:
    """Estimate an n-gram model (modified Kneser-Ney) with KenLM's tools and pack it.

    `make lm-tools` builds these tools. Of several texts each has a model of its own; the models are then merged into
    one, with the weights at which they foretell --tune best. Those are reported on stderr.

    Examples:

        lm build-ngram books.txt --vocabulary vocabulary.txt --output ngram.bin

        lm build-ngram books.txt --vocabulary vocabulary.txt --order 3 --threshold 1e-8 --output small.bin

        lm build-ngram news.txt books.txt --tune heldout.txt --vocabulary vocabulary.txt --output ngram.bin
    """
    with one_line_errors():
        from lm.ngram import build_ngram as build

        try:
            cutoffs = [int(count) for count in prune.replace(",", " ").split()]
        except ValueError:
            raise ValueError(f"--prune {prune}: want numbers of occurrences, as in '0 0 1'") from None
        report = build(
            texts,
            output,
            vocabulary,
            order,
            cutoffs,
            threshold=threshold,
            bits=bits,
            memory=memory,
            tune=tune,
            temporary=temporary,
        )
    for text, estimate, weight in zip(texts, report.estimates, report.weights, strict=True):
        if tune:
            print(f"{text}: weight {weight:.4f}", file=sys.stderr)
        for order, (estimated, kept) in enumerate(zip(estimate.estimated, estimate.kept, strict=True), 1):
            print(f"{order}-grams: {estimated} estimated, {kept} kept", file=sys.stderr)
    print(f"{output}: {sum(report.ngrams)} n-grams, {report.binary_bytes / 1e6:.1f} MB", file=sys.stderr)


@app.command()
def train(
    settings: Annotated[Path, typer.Argument(help="A TOML file; recipes/librispeech/lstm.toml is one.")],
    output: Annotated[Path, typer.Option(help="The folder for checkpoints and TensorBoard logs.")],
) -> None:
    """Train an LSTM language model; print the path of its best checkpoint.

    A training that was stopped goes on from its last checkpoint when the same command is given again.

    Examples:

        lm train recipes/librispeech/lstm.toml --output exp/lstm

        torchrun --nproc-per-node 8 -m lm.cli train recipes/librispeech/lstm.toml --output exp/lstm
    """
    with one_line_errors():
        from lm.engine import processes
        from lm.train import read_config
        from lm.train import train as run

        best = run(read_config(settings), output)
        if processes()[0] == 0:
            print(best)


@app.command()
def export(
    output: Annotated[Path, typer.Argument(help="The model folder to write.")],
    vocabulary: Annotated[Path, typer.Option(help="What lm build-vocabulary wrote.")],
    lstm: Annotated[Path | None, typer.Option(help="A checkpoint of lm train.")] = None,
    ngram: Annotated[Path | None, typer.Option(help="What lm build-ngram wrote.")] = None,
    words: Annotated[
        int | None, typer.Option(help="Keep so many words; the n-gram's must be these.", min=1, show_default="all")
    ] = None,
    mixture_weight: Annotated[float, typer.Option(help="Of the n-gram in their mixture; lm mix finds it.")] = 0.5,
) -> None:
    """Put trained models into a folder for --bundle; weights are packed to a quarter of their size.

    Examples:

        lm export exp/lm --vocabulary exp/text/vocabulary.txt --lstm exp/lstm/best.ckpt --ngram exp/text/ngram.bin
    """
    with one_line_errors():
        from lm.export import export as run

        for path in (lstm, ngram):
            if path and not path.is_file():
                raise FileNotFoundError(f"{path}: no such file")
        run(output, vocabulary, lstm, ngram, words, mixture_weight)


# --- What the commands share ------------------------------------------------------------------------------


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
    except ModuleNotFoundError as error:
        print(f"error: {error}; training and corpora need more: pip install 'nicebeach[train]'", file=sys.stderr)
        raise typer.Exit(1) from error


@contextmanager
def open_lines(path: Path) -> Iterator[TextIO]:
    """A text file, or stdin for `-`, to be read line by line. Errors: ValueError if that isn't UTF-8 text."""
    from lm.files import open_text

    try:
        with io.TextIOWrapper(sys.stdin.buffer, "utf-8") if str(path) == "-" else open_text(path) as file:
            yield file
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8 text; convert it first, for instance with iconv") from None
    except (gzip.BadGzipFile, lzma.LZMAError, EOFError) as error:
        raise ValueError(f"{path}: not a whole compressed file: {error}") from None


def heldout_sentences(path: Path) -> dict[str, list[str]]:
    """The words of a text's lines, by `FILE:LINE`; lines without are skipped. Errors: ValueError if all are."""
    from lm.text import normalize

    with open_lines(path) as lines:
        sentences = {f"{path}:{number}": words for number, line in enumerate(lines, 1) if (words := normalize(line))}
    if not sentences:
        raise ValueError(f"{path}: the text has no words")
    return sentences


def one_word(text: str, vocabulary: "Vocabulary") -> str:
    """A word as it stands in the vocabulary; `<unk>`, with a line on stderr, if it doesn't. Errors: ValueError."""
    from lm.text import normalize

    words = [text] if text in vocabulary else normalize(text)
    if len(words) != 1:
        raise ValueError(f"--word {text!r}: want one word")
    report_unknown(words, vocabulary)
    return vocabulary[vocabulary.encode(words)[0]]


def report_unknown(words: list[str], vocabulary: "Vocabulary") -> None:
    unknown = [word for word in words if word not in vocabulary]
    if unknown:
        print(f"not in the vocabulary, taken as <unk>: {', '.join(unknown)}", file=sys.stderr)


if __name__ == "__main__":
    app()
