"""``lm readable, evaluate-readable``: said words as text with case, marks and figures."""

import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lm.cli.errors import one_line_errors
from lm.cli.options import BundleOption, JsonOption, open_lines

if TYPE_CHECKING:
    from lm.readable.scores import Scores


def readable(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT...", help="What was said, in any case; - reads it from stdin, a text a line."),
    ],
    as_json: JsonOption = False,
    bundle: BundleOption = None,
) -> None:
    """Write words as people write them: with case, punctuation, and numbers in figures.

    Each text is taken by itself and ends as a sentence does. Marks that it has already are left out, figures and
    abbreviations read as words first; what isn't in letters of English is told, and left out. With --json each token
    comes with the words that it stands for.

    Examples:

        lm readable "HOW ARE YOU I AM FINE"

        lm readable - < transcripts.txt
    """
    with one_line_errors():
        from lm.bundle import DEFAULT
        from lm.readable import Readable
        from lm.text.normalise import normalize, warn_left_out

        writer = Readable.open(bundle or DEFAULT)
        if texts == ["-"]:
            with open_lines(Path("-")) as lines:
                texts = list(lines)
        for text in texts:
            warn_left_out(text)
        said = [normalize(text) for text in texts]
        written = writer.write_all(said)
    if as_json:
        texts_out = [
            [{"text": token.text, "words": words[token.start : token.end]} for token in tokens]
            for words, tokens in zip(said, written, strict=True)
        ]
        print(json.dumps(texts_out, indent=2))
    else:
        print("\n".join(" ".join(token.text for token in tokens) for tokens in written))


def evaluate_readable(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Folders, archives or files of text with case and marks.")
    ],
    heldout_share: Annotated[
        float | None,
        typer.Option(help="Take such a share of the files, those held out by a hash of their names.", min=0, max=1),
    ] = None,
    words: Annotated[float, typer.Option(help="Of each source, in millions, from all over it.", min=0.001)] = 0.1,
    passages: Annotated[
        bool, typer.Option("--passages", help="Each paragraph or turn by itself, so that it is known where it ends.")
    ] = False,
    as_json: JsonOption = False,
    bundle: BundleOption = None,
) -> None:
    """Measure how well case and marks are put back into text: F1 of each mark, accuracy of case and of last marks.

    The words alone are given, as they are said. Where the text doesn't tell (brackets, three dots before "I") no mark
    is counted.

    Examples:

        lm evaluate-readable exp/docs/changelog exp/docs/meetings --heldout-share 0.01

        lm evaluate-readable --passages sentences.txt
    """
    with one_line_errors():
        from lm.bundle import DEFAULT
        from lm.readable import Readable
        from lm.readable.scores import score
        from lm.readable.texts import excerpts
        from lm.text.prepare import is_heldout

        def chosen(name: str) -> bool:
            return heldout_share is None or is_heldout(name, heldout_share)

        writer, texts = Readable.open(bundle or DEFAULT), []
        for source in sources:
            for parts in excerpts(source, round(words * 1e6), chosen):
                texts += parts if passages else [[*chain.from_iterable(parts)]]
        if not any(texts):
            raise ValueError(f"{', '.join(map(str, sources))}: no text with case and marks there")
        scores = score(writer, [text for text in texts if text])
    print(json.dumps(figures(scores), indent=2) if as_json else table(scores))


def figures(scores: "Scores") -> dict[str, object]:
    """The scores as JSON has them."""
    marks = {
        mark: {
            "precision": round(scores.precision(mark), 4),
            "recall": round(scores.recall(mark), 4),
            "f1": round(scores.f1(mark), 4),
            "count": count,
        }
        for mark, count in scores.there.most_common()
        if mark
    }
    return {
        "texts": scores.texts,
        "words": scores.words,
        "marks": marks,
        "case": round(scores.cases / scores.words, 4),
        "last_mark": round(scores.last / scores.texts, 4),
    }


def table(scores: "Scores") -> str:
    """The scores for people."""
    rows = ["mark  precision  recall     F1   count"]
    for mark, count in scores.there.most_common():
        if mark:
            precision, recall, f1 = scores.precision(mark), scores.recall(mark), scores.f1(mark)
            rows.append(f"{mark:<4} {precision:10.3f} {recall:7.3f} {f1:6.3f} {count:7}")
    rows.append(f"case {scores.cases / scores.words:.4f} of {scores.words} words")
    rows.append(f"last mark {scores.last / scores.texts:.4f} of {scores.texts} texts")
    return "\n".join(rows)
