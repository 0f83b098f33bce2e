"""``lm prepare-text, check-overlap, build-vocabulary``: what language models are made from."""

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lm.cli.errors import one_line_errors
from lm.cli.options import JsonOption, OutputOption, heldout_sentences, open_lines


def prepare_text(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE...", help="Folders or .tar archives of .txt books or talk, or single ones."),
    ],
    output: OutputOption,
    exclude: Annotated[Path | None, typer.Option(help="A list of books to leave out, one file name a line.")] = None,
    heldout: Annotated[Path | None, typer.Option(help="Put some books into this file instead.")] = None,
    heldout_books: Annotated[int | None, typer.Option(help="How many.", min=1, show_default="20")] = None,
    heldout_words: Annotated[
        int | None, typer.Option(help="How many words of them all.", min=1, show_default="500000")
    ] = None,
    heldout_share: Annotated[
        float | None,
        typer.Option(help="Or such a share of them, whole, by a hash of their names.", min=0, max=1),
    ] = None,
    avoid: Annotated[
        list[Path] | None,
        typer.Option(help="Transcripts, one a line: drop sentences that share eight words in a row with one."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes.", min=1, show_default="one a core")] = None,
    ray: Annotated[
        str | None, typer.Option(help="A Ray cluster to work instead, --jobs books at once: auto, HOST:6379.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the shuffled order of books.")] = 1,
) -> None:
    """Turn books into normalised sentences, one a line; what is left out is reported on stderr.

    A book has its lines wrapped and blank lines between paragraphs; of other texts each line may be a paragraph or a
    speaker's turn.
    Copies of a book are found and left out. --avoid may be given several times; lm check-overlap says afterwards
    whether it was needed.

    Examples:

        lm prepare-text books/ --output books.txt

        lm prepare-text gutenberg.tar.gz --output books.txt.xz --exclude test-books.txt --avoid dev-clean.txt

        lm prepare-text podcasts/ --output talk.txt --heldout talk-dev.txt --heldout-share 0.01
    """
    with one_line_errors():
        from lm.text.prepare import prepare_text as prepare

        if not heldout and any(option is not None for option in (heldout_books, heldout_words, heldout_share)):
            raise ValueError("--heldout-books, -words and -share say what goes into --heldout: give it, too")
        if heldout_share is not None and (heldout_books or heldout_words):
            raise ValueError("--heldout-share takes whole books, whatever their number: leave out -books and -words")
        excluded = []
        if exclude:
            with open_lines(exclude) as lines:
                excluded = [name for line in lines if (name := line.strip())]
        transcripts = [words for path in avoid or [] for words in heldout_sentences(path).values()]
        report = prepare(
            sources,
            output,
            excluded,
            heldout,
            heldout_books or 20,
            heldout_words or 500_000,
            heldout_share,
            jobs,
            seed,
            transcripts,
            ray,
        )
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
        from lm.progress import progress_bar
        from lm.text.overlap import find_overlaps

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


def build_vocabulary(
    texts: Annotated[
        list[Path], typer.Argument(metavar="TEXT...", help="Normalised sentences, as `lm prepare-text` writes them.")
    ],
    output: OutputOption,
    size: Annotated[int, typer.Option(help="How many words.", min=1)] = 200_000,
    alone: Annotated[
        int, typer.Option(help="Of several texts: how often a word must stand in one that alone has it.", min=1)
    ] = 1,
    speech_counts: Annotated[
        Path | None,
        typer.Option(help="Counts of transcripts' words (word<tab>count), to weigh in as much as the text."),
    ] = None,
    heldout: Annotated[
        list[Path] | None, typer.Option(help="Text, one sentence a line: report the share of its words left out.")
    ] = None,
) -> None:
    """Write the commonest words of a text, or of several, one a line, the commonest first.

    How much of the text they are is reported on stderr, and of each --heldout how much they lack.

    Examples:

        lm build-vocabulary books.txt --output vocabulary.txt --size 100000

        lm build-vocabulary books.txt --output vocabulary.txt --speech-counts word-counts.txt --heldout dev-clean.txt

        lm build-vocabulary books.txt podcasts.txt meetings.txt --alone 8 --output vocabulary.txt
    """
    with one_line_errors():
        from lm.progress import progress_bar
        from lm.text.vocabulary import SPECIAL_WORDS, common_words, count_words, oov_rate, read_counts
        from lm.text.vocabulary import build_vocabulary as build

        heldout_lines = {path: map(" ".join, heldout_sentences(path).values()) for path in heldout or []}
        speech = read_counts(speech_counts) if speech_counts else None
        counts = []
        for text in texts:
            with open_lines(text) as lines:
                counts.append(count_words(progress_bar(lines, f"words of {text.name}", None)))
        vocabulary = build(common_words(counts, alone), size, speech)
        vocabulary.save(output)
        rates = {path: oov_rate(lines, vocabulary) for path, lines in heldout_lines.items()}
    together = sum(counts, Counter[str]())
    covered = sum(count for word, count in together.items() if word in vocabulary) / max(1, together.total())
    print(f"{output}: {len(vocabulary) - len(SPECIAL_WORDS)} words, {covered:.2%} of the text's", file=sys.stderr)
    for path, rate in rates.items():
        print(f"{path}: {rate:.2%} of the words are out of vocabulary", file=sys.stderr)


def blend(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT[:SHARE]...", help="Normalised sentences, and their share of the words (1)."),
    ],
    output: OutputOption,
    words: Annotated[float, typer.Option(help="How many words to take, in millions.", min=0.001)],
    seed: Annotated[int, typer.Option(help="Of the order of blocks.")] = 1,
) -> None:
    """Mix texts of several kinds into one to train an LSTM on, in shuffled blocks of 15,000 words.

    Shares are 1 each where none is given. A text with fewer words than its share is repeated.

    Examples:

        lm blend books.txt:0.42 talk.txt:0.43 news.txt:0.15 --words 60 --output blend.txt
    """
    with one_line_errors():
        from lm.settings import Positive, checked
        from lm.text.blend import blend as run

        parts = [text.rpartition(":") for text in texts]
        try:
            named = [(Path(name), float(share)) if name else (Path(share), 1.0) for name, _, share in parts]
        except ValueError:
            raise ValueError(f"{' '.join(texts)}: want FILE or FILE:SHARE, as in books.txt:0.4") from None
        for path, share in named:
            checked(Positive, share, f"{path}: share")
            if not path.is_file():
                raise FileNotFoundError(f"{path}: no such text; make it with 'lm prepare-text'")
        passes = run([path for path, _ in named], [share for _, share in named], output, round(words * 1e6), seed=seed)
    for (path, _), count in zip(named, passes, strict=True):
        print(f"{path}: taken {count:.2f} times", file=sys.stderr)
