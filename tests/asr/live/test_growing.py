"""Which words are shown, and which stay."""

from hypothesis import given
from hypothesis import strategies as st

from asr.live.growing import Growing
from asr.transcript import Word


def words(text: str, share: float = 1.0) -> list[Word]:
    return [Word(word, place, place + 0.5, share) for place, word in enumerate(text.split())]


def texts(words: list[Word]) -> str:
    return " ".join(word.word for word in words)


def test_a_word_is_shown_when_it_has_stayed_or_is_agreed_on() -> None:
    growing = Growing()
    growing.update(words("A", share=0.5))
    assert growing.shown == []
    growing.update(words("A B", share=0.5))
    assert texts(growing.shown) == "A"
    growing.update(words("C", share=1.0))
    assert texts(growing.shown) == "C"


def test_stable_words_stay() -> None:
    growing = Growing()
    for _ in range(10):
        growing.update(words("A B C"))
    assert texts(growing.stable) == "A B"
    for _ in range(10):
        growing.update(words("X Y C D"))
    assert texts(growing.stable) == "A B"
    assert texts(growing.shown) == "A B C D"


BEST = st.lists(st.sampled_from("ABC"), max_size=5)


@given(st.lists(st.tuples(BEST, st.sampled_from([0.3, 1.0])), max_size=40))
def test_whatever_the_search_says(updates: list[tuple[list[str], float]]) -> None:
    growing = Growing()
    before: list[str] = []
    for best, share in updates:
        growing.update(words(" ".join(best), share))
        stable = [word.word for word in growing.stable]
        assert stable[: len(before)] == before
        assert growing.shown[: len(stable)] == growing.stable
        times = [time for word in growing.shown for time in (word.start, word.end)]
        assert times == sorted(times)
        before = stable
