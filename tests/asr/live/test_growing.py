"""Which words are shown, and which stay."""

from hypothesis import given
from hypothesis import strategies as st

from asr.live.growing import Best, Growing


def words(text: str, share: float = 1.0) -> list[Best]:
    return [Best(word, 10 * place, 10 * place + 5, share) for place, word in enumerate(text.split())]


def texts(words: list[Best]) -> str:
    return " ".join(best.word for best in words)


def test_a_word_is_shown_when_it_is_over_and_agreed_on_or_has_stayed() -> None:
    growing = Growing()
    growing.update(words("A"), 5)
    assert growing.shown == []
    growing.update(words("A B"), 15)
    assert texts(growing.shown) == "A"
    growing.update(words("A B"), 19)
    assert texts(growing.shown) == "A B"
    growing = Growing()
    for now in range(2):
        growing.update(words("A B", share=0.5), 30 + now)
        assert growing.shown == []
    growing.update(words("A B", share=0.5), 32)
    assert texts(growing.shown) == "A B"


def test_promised_words_stay() -> None:
    growing = Growing()
    growing.settle(words("A B"))
    growing.update(words("X Y C D"), 100)
    assert texts(growing.shown) == "A B C D"
    growing.settle(words("A X C"))
    assert texts(growing.stable) == "A B"
    growing.settle(words("A B C"))
    assert texts(growing.stable) == "A B C"
    assert texts(growing.kept(words("A B C X"), 100)) == "A B C X"
    assert texts(growing.kept(words("A X C D"), 100)) == "A B C D"
    assert texts(growing.kept(words("A B"), 20)) == "A B"  # the utterance ended before C


BEST = st.lists(st.sampled_from("ABC"), max_size=5)


@given(st.lists(st.tuples(BEST, st.sampled_from([0.3, 1.0]), BEST), max_size=40))
def test_whatever_the_search_says(updates: list[tuple[list[str], float, list[str]]]) -> None:
    growing = Growing()
    before: list[str] = []
    for now, (best, share, settled) in enumerate(updates):
        if settled:
            growing.settle(words(" ".join(settled)))
        growing.update(words(" ".join(best), share), 10 + now)
        stable = [word.word for word in growing.stable]
        assert stable[: len(before)] == before
        assert growing.shown[: len(stable)] == growing.stable
        times = [time for word in growing.shown for time in (word.start, word.end)]
        assert times == sorted(times)
        before = stable
