"""``lm build-ngram, train, export, adapt``: how language models are made."""

import sys
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from lm.cli.errors import one_line_errors
from lm.cli.options import BundleOption, OutputOption

ORDER, PRUNE = 4, "0 0 1"

VocabularyOption = Annotated[Path, typer.Option(help="A file that `lm build-vocabulary` wrote.")]
Order = Annotated[int, typer.Option(help="Words of the longest n-grams.", min=2, max=6)]
Prune = Annotated[
    str, typer.Option(help="Leave out n-grams seen so often or less: a number for each order, the last for the rest.")
]


def cutoffs(prune: str) -> list[int]:
    try:
        return [int(count) for count in prune.replace(",", " ").split()]
    except ValueError:
        raise ValueError(f"--prune {prune}: want numbers of occurrences, as in '0 0 1'") from None


def count_ngrams(
    text: Annotated[Path, typer.Argument(help="Normalised sentences, as `lm prepare-text` writes them.")],
    output: OutputOption,
    vocabulary: VocabularyOption,
    order: Order = ORDER,
    prune: Prune = PRUNE,
    jobs: Annotated[int | None, typer.Option(help="Processes.", min=1, show_default="one a core")] = None,
    ray: Annotated[str | None, typer.Option(help="A Ray cluster to work instead: auto, HOST:6379.")] = None,
    temporary: Annotated[Path | None, typer.Option(help="Folder for shards.", show_default="the system's")] = None,
) -> None:
    """Count the n-grams of a text into a file that `lm build-ngram` takes for the text: NAME.counts.

    For text that one machine can't sort, or where KenLM's tools can't be built. The file is the same, whoever counts.

    Examples:

        lm count-ngrams books.txt --vocabulary vocabulary.txt --output books.counts

        lm count-ngrams web.txt.xz --vocabulary vocabulary.txt --prune "0 1 2" --ray auto --output web.counts
    """
    with one_line_errors():
        from lm.ngram.count import SUFFIX
        from lm.ngram.count import count_ngrams as count
        from lm.text.vocabulary import Vocabulary

        if output.suffix != SUFFIX:
            raise ValueError(f"{output}: name it {output.stem}{SUFFIX}, by which lm build-ngram knows counts")
        if not output.parent.is_dir():  # told before hours of counting
            raise ValueError(f"{output.parent}: no such folder: make it, or name another")
        counts = count(text, Vocabulary.load(vocabulary), order, cutoffs(prune), jobs, ray, temporary)
        counts.save(output)
    for n, found in enumerate(counts.counts, 1):
        print(f"{n}-grams: {len(found)}", file=sys.stderr)


def build_ngram(
    texts: Annotated[
        list[Path],
        typer.Argument(
            metavar="TEXT...", help="Normalised sentences, as `lm prepare-text` writes them; or NAME.counts of such."
        ),
    ],
    output: OutputOption,
    vocabulary: VocabularyOption,
    tune: Annotated[
        Path | None, typer.Option(help="Of several texts: held-out text (normalised) to weigh them by.")
    ] = None,
    order: Order = ORDER,
    prune: Prune = PRUNE,
    threshold: Annotated[
        float, typer.Option(help="Leave out n-grams without which the perplexity rises by less than this share.", min=0)
    ] = 0.0,
    bits: Annotated[int, typer.Option(help="Of each quantised probability; 0: not quantised.", min=0, max=25)] = 8,
    memory: Annotated[str, typer.Option(help="For sorting: 8G, 50%.")] = "50%",
    temporary: Annotated[Path | None, typer.Option(help="Folder for sorting.", show_default="the system's")] = None,
) -> None:
    """Estimate an n-gram model (modified Kneser-Ney) with KenLM's tools and pack it.

    `make lm-tools` builds these tools. Counts of `lm count-ngrams` need none; --order and --prune are theirs. Several
    texts have models of their own, which are then merged into one, with the weights at which they foretell --tune best.
    Those are reported on stderr.

    Examples:

        lm build-ngram books.txt --vocabulary vocabulary.txt --output ngram.bin

        lm build-ngram books.txt --vocabulary vocabulary.txt --order 3 --threshold 1e-8 --output small.bin

        lm build-ngram news.txt books.txt --tune heldout.txt --vocabulary vocabulary.txt --output ngram.bin
    """
    with one_line_errors():
        from lm.ngram.count import SUFFIX
        from lm.settings import NotNegative, checked
        from lm.training.ngram import build_ngram as build

        checked(NotNegative, threshold, "--threshold")
        if (order, prune) != (ORDER, PRUNE) and any(text.suffix == SUFFIX for text in texts):
            raise ValueError("--order, --prune: counts have theirs already: leave them out, or count anew")
        report = build(
            texts,
            output,
            vocabulary,
            order,
            cutoffs(prune),
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


def train(
    settings: Annotated[Path, typer.Argument(help="A TOML file; recipes/librispeech/lstm.toml is one.")],
    output: Annotated[Path, typer.Option(help="The folder for checkpoints and TensorBoard logs.")],
    start_from: Annotated[
        Path | None,
        typer.Option(help="A model folder: begin with its LSTM, which may be smaller and know other words."),
    ] = None,
) -> None:
    """Train an LSTM language model; print the path of its best checkpoint.

    A training that was stopped goes on from its last checkpoint when the same command is given again.

    Examples:

        lm train recipes/librispeech/lstm.toml --output exp/lstm

        lm train settings.toml --start-from asr/default_model --output exp/larger

        torchrun --nproc-per-node 8 -m lm.cli train recipes/librispeech/lstm.toml --output exp/lstm
    """
    with one_line_errors():
        from lm.training.engine import processes
        from lm.training.train import read_config
        from lm.training.train import train as run

        best = run(read_config(settings), output, start_from)
        if processes()[0] == 0:
            print(best)


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
        from lm.settings import Between, checked
        from lm.training.export import export as run

        checked(Between, mixture_weight, "--mixture-weight")

        for path in (lstm, ngram):
            if path and not path.is_file():
                raise FileNotFoundError(f"{path}: no such file")
        run(output, vocabulary, lstm, ngram, words, mixture_weight)


def adapt(
    texts: Annotated[
        list[Path], typer.Argument(metavar="TEXT...", help="Plain text or Markdown, or folders of .txt and .md files.")
    ],
    output: Annotated[Path, typer.Option(help="The model folder to write.")],
    bundle: BundleOption = None,
) -> None:
    """Make a copy of a model folder that knows your own documents: their names and terms, and what stands beside these.

    Words that the vocabulary lacks join it; initialisms are spelled, the rest is pronounced by rules. An n-gram of the
    text is mixed into the model's, at the weight that foretells held-back parts of the text best, but at 0.05 at most:
    so other sentences become less probable by a twentieth a word at worst. `asr transcribe --model` hears with it.

    Examples:

        lm adapt minutes.txt handbook.md --output exp/mine

        lm adapt documents/ --output exp/mine
    """
    with one_line_errors():
        from lm.bundle import DEFAULT
        from lm.training.adapt import adapt as run

        made = run(texts, output, bundle or DEFAULT)
    lines = [f"{made.words} words, {made.sentences} sentences"]
    lines += [f"dropped {count} passages: {reason}" for reason, count in made.dropped.items()]
    shown = ", ".join(made.new[:10]) + (", ..." if len(made.new) > 10 else "")
    lines.append(f"new words: {len(made.new)}{f' ({shown})' if made.new else ''}, spelled: {len(made.spelled)}")
    before, after = made.perplexities
    lines.append(f"weight {made.weight:.3f}; held-back parts of the text: perplexity {before:.1f}, then {after:.1f}")
    print("\n".join([*lines, f"{output}: {sum(made.ngrams)} n-grams"]), file=sys.stderr)


def train_readable(
    settings: Annotated[Path, typer.Argument(help="A TOML file; recipes/readable/readable.toml is one.")],
    output: Annotated[Path, typer.Option(help="The folder for checkpoints and TensorBoard logs.")],
    vectors: Annotated[
        Path | None, typer.Option(help="A model folder: begin with the vectors that its LSTM has for words.")
    ] = None,
) -> None:
    """Train the tagger that gives words their case and marks; print the path of its best checkpoint.

    A training that was stopped goes on from its last checkpoint when the same command is given again.

    Examples:

        lm train-readable recipes/readable/readable.toml --vectors asr/default_model --output exp/readable/tagger
    """
    with one_line_errors():
        from lm.training.engine import processes
        from lm.training.readable import read_config
        from lm.training.readable import train as run

        best = run(read_config(settings), output, vectors)
        if processes()[0] == 0:
            print(best)


def export_readable(
    checkpoint: Annotated[Path, typer.Argument(help="One of lm train-readable.")],
    bundle: Annotated[Path, typer.Argument(help="The model folder to put it into; it is made if there is none.")],
    tune: Annotated[
        list[Path] | None,
        typer.Option(help="Folders of text with case and marks: on their files that aren't held out, tune the marks."),
    ] = None,
    words: Annotated[float, typer.Option(help="Of each of --tune, in millions, from all over it.", min=0.001)] = 0.03,
) -> None:
    """Put a trained tagger into a model folder, with how likely each mark must be for it to be put.

    Examples:

        lm export-readable exp/readable/tagger/best.ckpt asr/default_model --tune exp/docs/changelog --tune exp/books
    """
    with one_line_errors():
        from lm.readable.texts import excerpts
        from lm.text.prepare import is_heldout
        from lm.training.readable import HELDOUT
        from lm.training.readable import export as run

        texts = [
            [*chain.from_iterable(parts)]
            for source in tune or []
            for parts in excerpts(source, round(words * 1e6), lambda name: not is_heldout(name, HELDOUT))
        ]
        run(checkpoint, bundle, [text for text in texts if text])
