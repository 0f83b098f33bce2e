from asr.decoder.hypothesis import Hypothesis
from asr.transcript.alternatives import runners_up


def nbest(*texts: str) -> list[Hypothesis]:
    return [Hypothesis(tuple(text.split()), 0.0, 0.0) for text in texts]


def test_the_next_hypothesis_that_differs_in_a_place_tells_what_else_it_may_be() -> None:
    found = runners_up(nbest("A NICE BEACH", "A NICE PEACH", "AN ICE BEACH", "A NICE SPEECH"))
    assert found == ["AN", "ICE", "PEACH"]


def test_several_words_in_place_of_one() -> None:
    assert runners_up(nbest("HOW TO RECOGNIZE", "HOW TO WRECK A NICE")) == [None, None, "WRECK A NICE"]


def test_a_word_that_may_not_have_been_said() -> None:
    assert runners_up(nbest("HOW TO SPEAK", "HOW SPEAK")) == [None, "", None]


def test_where_there_is_no_list() -> None:
    assert runners_up([]) == []
    assert runners_up(nbest("HELLO THERE")) == [None, None]
