import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.transcript import Segment, Transcript, Word
from asr.transcript.readable import readable
from lm.readable import Readable
from lm.text.normalise import normalize

DATA = os.environ.get("NICEBEACH_DATA")


@cache
def writer() -> Readable:
    return Readable.open()


def segments(*texts: str, pause: float = 0.6) -> Iterator[Segment]:
    """Segments whose words last 0.3 s each, with pauses between them."""
    time = 0.0
    for text in texts:
        start = time
        words = []
        for word in text.split():
            words.append(Word(word, time, time + 0.3, 0.9))
            time += 0.3
        yield Segment(start, time, words, [])
        time += pause


def written(*texts: str) -> list[Segment]:
    return list(readable(segments(*texts), writer(), {}))


def test_words_keep_what_was_said_and_when() -> None:
    said = list(segments("HOW ARE YOU", "I AM TWENTY FIVE YEARS OLD"))
    found = written("HOW ARE YOU", "I AM TWENTY FIVE YEARS OLD")
    plain = [(word.word, word.start, word.end, word.confidence) for segment in said for word in segment.words]
    assert plain == [(word.word, word.start, word.end, word.confidence) for item in found for word in item.words]
    assert Transcript(9.0, found).text == "How are you? I am 25 years old."
    assert [word.written for word in found[1].words] == ["I", "am", "25", "", "years", "old."]


def test_a_number_that_a_pause_divides_is_written_once() -> None:
    found = written("IT WAS IN EIGHTEEN", "SIXTY FIVE WHEN THE WAR WAS OVER")
    text = Transcript(9.0, found).text
    assert normalize(text) == normalize("it was in eighteen sixty five when the war was over")
    assert " ".join(segment.text for segment in found) == text


def test_no_sentence_goes_on_over_a_long_pause() -> None:
    texts = ("THE WEEK WAS GOING BY AND", "WHAT TIME IT WAS", "SHE HAD ASKED")
    found = list(readable(segments(*texts, pause=2.0), writer(), {}))
    assert all(segment.text[-1] in ".?!" for segment in found)
    assert all(segment.text[0].isupper() for segment in found)
    assert Transcript(9.0, found).to_srt().count("-->") == 3


def test_what_follows_a_sentence_begins_with_a_capital() -> None:
    """Whatever the context of a segment makes of the end of the one before."""
    text = "HE WENT AND THEN WE ALL WENT TOO AND IT WAS LATE SO WE SLEPT BUT NOT FOR LONG AS IT WAS COLD".split()
    for cut in range(1, len(text)):
        for pause in (0.3, 0.7, 1.2):
            first, second = readable(segments(" ".join(text[:cut]), " ".join(text[cut:]), pause=pause), writer(), {})
            assert first.text[-1] not in ".?!" or second.text[0].isupper()


def test_forms_are_kept() -> None:
    found = list(readable(segments("WE RUN IT ON KUBERNETES NOW"), writer(), {"KUBERNETES": "KuberNetes"}))
    assert "KuberNetes" in found[0].text


@pytest.mark.parametrize("texts", [[], [""], ["", "", ""], ["", "YES", ""], ["<unk>"], ["A", "<unk> B"]])
def test_silence_and_what_is_no_word(texts: list[str]) -> None:
    found = written(*texts)
    assert [segment.start for segment in found] == [segment.start for segment in segments(*texts)]
    assert [len(segment.words) for segment in found] == [len(text.split()) for text in texts]


WORDS = st.sampled_from("I YOU TWENTY ONE HUNDRED THOUSAND OH FIVE FIFTH MAY THE A B C PERCENT AND POINT".split())


@given(st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=6))
def test_nothing_is_added_nothing_lost(texts: list[str]) -> None:
    """However sentences are cut into segments: each segment has its own words, and all are read again."""
    found = written(*texts)
    assert [[word.word for word in segment.words] for segment in found] == [text.split() for text in texts]
    assert all(word.written is not None for segment in found for word in segment.words)
    read = normalize(Transcript(9.0, found).text)
    joined = "".join(read)
    assert joined == "".join(normalize(" ".join(texts))) or joined == "".join(" ".join(texts).split())


@pytest.mark.skipif(
    DATA is None, reason="NICEBEACH_DATA names no folder with speech/LibriSpeech and speech/commonvoice"
)
@pytest.mark.parametrize("corpus", ["LibriSpeech/dev-mini", "commonvoice/dev.tsv"])
def test_recognised_text_has_as_many_errors_readable_as_plain(corpus: str) -> None:
    from asr import Recognizer
    from asr.audio.reading import load_cut
    from asr.cli.options import read_cuts
    from asr.evaluation.errors import error_rates

    recognizer = Recognizer()
    cuts, _ = read_cuts(Path(str(DATA)) / "speech" / corpus, None)
    found = [recognizer.transcribe(load_cut(cut), nbest=1) for cut in cuts]
    references = [cut.supervisions[0].text for cut in cuts]
    plain = error_rates(references, [" ".join(word.word for word in transcript.words) for transcript in found])
    written = error_rates(references, [transcript.text for transcript in found])
    print(f"{corpus}: WER {plain.wer} plain, {written.wer} readable")
    assert written == plain
