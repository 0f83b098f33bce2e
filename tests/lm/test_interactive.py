import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from lm.interactive import NextWords, run
from lm.query import Models, next_words


def completions(models: Models, text: str) -> list[tuple[str, int]]:
    found = NextWords(models["lstm"], top=3).get_completions(Document(text), CompleteEvent())
    return [(item.text, item.start_position) for item in found]


def test_completes_with_the_most_probable_words(models: Models) -> None:
    best = next_words(models["lstm"], ["THE", "NICE"], 3)
    assert completions(models, "The nice ") == [(f"{word} ", 0) for word, _ in best]
    assert len(completions(models, "")) == 3


def test_completes_the_word_begun(models: Models) -> None:
    found = completions(models, "the nice sp")
    assert ("SPEECH ", -2) in found
    assert all(word.startswith("SP") for word, _ in found)


@pytest.mark.filterwarnings("error")
def test_completes_after_unknown_words_without_a_word(models: Models) -> None:
    best = next_words(models["lstm"], ["THE", "<unk>"], 3)
    assert completions(models, "The nowhere ") == [(f"{word} ", 0) for word, _ in best]


def test_scores_sentences_until_the_end(models: Models, capsys: pytest.CaptureFixture[str]) -> None:
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("the nice beach\r\x04")
        run(models["lstm"])
    assert capsys.readouterr().out.startswith("log P -")
