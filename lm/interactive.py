"""A line to type into, with the next words and their probabilities below it."""

from collections.abc import Iterator
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from lm.model import LanguageModel
from lm.query import next_words, score_sentences
from lm.text.normalise import normalize
from lm.text.vocabulary import SPECIAL_WORDS, UNKNOWN


class NextWords(Completer):
    """The most probable next words, as completions of what stands before the cursor."""

    def __init__(self, model: LanguageModel[Any], top: int = 10) -> None:
        self._model, self._top = model, top

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        text = document.text_before_cursor
        begun = text[len(text.rstrip()) :] == "" and bool(text)  # a word that may go on
        words = normalize(text)
        prefix = words.pop() if begun and words else ""
        typed = len(text.split()[-1]) if prefix else 0
        known = [word if word in self._model.vocabulary else SPECIAL_WORDS[UNKNOWN] for word in words]  # unwarned of
        for word, probability in next_words(self._model, known, self._top, prefix):
            yield Completion(word + " ", start_position=-typed, display=word, display_meta=f"{probability:.2g}")


def run(model: LanguageModel[Any]) -> None:
    """Read sentences from the terminal until Ctrl-D; print the score of each."""
    session: PromptSession[str] = PromptSession(
        completer=NextWords(model),
        complete_while_typing=True,
        bottom_toolbar="P(next word). Tab or arrows take one, Enter scores the sentence, Ctrl-D ends.",
        reserve_space_for_menu=11,
    )
    while True:
        try:
            text = session.prompt("> ", pre_run=lambda: session.default_buffer.start_completion())
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        for score in score_sentences(model, [text] if normalize(text) else []):
            print(f"log P {score.log_prob:.2f}   perplexity {score.perplexity:.1f}")
