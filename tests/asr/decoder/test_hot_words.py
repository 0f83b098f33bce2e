"""Words that the user asks for: found where they are said, and only there."""

import os
from pathlib import Path

import numpy as np
import pytest

from asr.recognizer import Recognizer
from data_prep.layouts import read
from lm.bundle import DEFAULT

# The name that is said there, MANDERSON, is in the vocabulary; MANDERSEN, which sounds the same, isn't.
SAID = Path(__file__).parents[2] / "hot_words/5789-70653-0006.flac"
DATA = os.environ.get("NICEBEACH_DATA")
needs_models = pytest.mark.skipif(not (DEFAULT / "config.toml").exists(), reason=f"{DEFAULT} holds no models")


@pytest.fixture(scope="module")
def tiny(tiny_bundle: Path) -> Recognizer:
    return Recognizer(tiny_bundle)


@pytest.fixture(scope="module")
def shipped() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def mandersen(shipped: Recognizer) -> Recognizer:
    return shipped.with_hot_words({"MANDERSEN": 4.0})


def spelled(recognizer: Recognizer, text: str, sharpness: float = 4.0) -> np.ndarray:
    """Emissions of a speaker who isn't clear: each of the text's characters a frame, with a blank after it."""
    symbols = recognizer.units.symbols
    logits = np.random.default_rng(1).standard_normal((2 * len(text), len(symbols)))
    for frame, character in enumerate(text):
        logits[2 * frame, symbols.index(character)] += sharpness
        logits[2 * frame + 1, 0] += sharpness
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def units_of(recognizer: Recognizer, word: str) -> str:
    """The one spelling of a word, as the units' symbols."""
    (units,) = recognizer.units.pronunciations(word)
    return "".join(recognizer.units.symbols[unit] for unit in units)


@needs_models
def test_a_word_outside_the_vocabulary_is_found(shipped: Recognizer, mandersen: Recognizer) -> None:
    assert "MANDERSEN" not in shipped.search.vocabulary
    assert "MANDERSEN" not in shipped.transcribe(SAID).text.split()
    (segment,) = [found for found in mandersen.transcribe(SAID).segments if "MANDERSEN" in found.text.split()]
    (word,) = [word for word in segment.words if word.word == "MANDERSEN"]
    assert segment.start < word.start < word.end < segment.end
    for hypothesis in segment.nbest:
        assert (hypothesis.boost != 0) == ("MANDERSEN" in hypothesis.words)


@needs_models
def test_it_is_not_found_where_nobody_says_it(mandersen: Recognizer, recordings: dict[Path, str]) -> None:
    for path in recordings:
        assert "MANDERSEN" not in mandersen.transcribe(path).text.split()


@needs_models
@pytest.mark.skipif(DATA is None, reason="NICEBEACH_DATA names no folder with speech/LibriSpeech/dev-mini")
def test_it_is_not_found_in_a_hundred_recordings(mandersen: Recognizer) -> None:
    cuts = read(Path(str(DATA)) / "speech/LibriSpeech/dev-mini").cuts
    others = [cut for cut in cuts if "MANDERSON" not in cut.supervisions[0].text.upper()][:100]
    assert len(others) == 100
    texts = [mandersen.transcribe(Path(cut.recording.sources[0].source)).text for cut in others]
    assert not [text for text in texts if "MANDERSEN" in text.split()]


def test_a_boost_raises_a_word_among_its_rivals(tiny: Recognizer) -> None:
    log_probs = spelled(tiny, units_of(tiny, "NICE"), sharpness=1.5)
    best, *rivals = tiny.search.decode(log_probs)
    found = {hypothesis.words: hypothesis for hypothesis in rivals}
    rival = next(words for words in found if len(words) == 1)
    assert rival[0] not in best.words
    boosted = tiny.with_hot_words({rival[0]: 20.0}).search.decode(log_probs)
    assert rival[0] in boosted[0].words
    (again,) = [hypothesis for hypothesis in boosted if hypothesis.words == rival]
    assert again.boost == 20.0
    weights = tiny.search.weights
    assert again.total(weights) == pytest.approx(found[rival].total(weights) + 20.0)
    assert (again.acoustic, again.ngram) == pytest.approx((found[rival].acoustic, found[rival].ngram))


def test_boosts_outlast_both_passes(tiny: Recognizer) -> None:
    boosted = tiny.with_hot_words({"ZEBRA": 3.0, "NICE": 1.5})
    found = boosted.decode(spelled(boosted, units_of(boosted, "ZEBRA") + units_of(boosted, "NICE")))
    assert found[0].words == ("ZEBRA", "NICE")
    for hypothesis in found:
        boost = 3.0 * hypothesis.words.count("ZEBRA") + 1.5 * hypothesis.words.count("NICE")
        assert hypothesis.boost == pytest.approx(boost)
        scores = hypothesis.acoustic + 0.3 * hypothesis.ngram + 0.4 * (hypothesis.lstm or 0.0)
        assert hypothesis.total(boosted.weights) == pytest.approx(scores + 4.0 * len(hypothesis.words) + boost)


def test_the_language_models_take_a_new_word_for_an_unknown_one(tiny: Recognizer) -> None:
    """Nothing else is known of it: so two new words, spelled alike, differ by nothing but their boosts."""
    boosted = tiny.with_hot_words({"ZEBRA": 3.0, "ZEBRU": 3.0})
    a, u = (
        next(hypothesis for hypothesis in boosted.decode(spelled(boosted, units_of(boosted, word))) if hypothesis.words)
        for word in ("ZEBRA", "ZEBRU")
    )
    assert (a.words, u.words) == (("ZEBRA",), ("ZEBRU",))
    assert (a.ngram, a.lstm) == pytest.approx((u.ngram, u.lstm))


@pytest.mark.parametrize("second", [{"ZEBRU": 2.0}, {"NICE": 2.0}, {}])
def test_hot_words_replace_those_before(tiny: Recognizer, second: dict[str, float]) -> None:
    log_probs = spelled(tiny, units_of(tiny, "ZEBRA") + units_of(tiny, "NICE"))
    twice = tiny.with_hot_words({"ZEBRA": 3.0, "BEACH": 1.0}).with_hot_words(second)
    assert twice.decode(log_probs) == tiny.with_hot_words(second).decode(log_probs)


def test_the_recognizer_itself_stays_as_it_is(tiny: Recognizer) -> None:
    log_probs = spelled(tiny, units_of(tiny, "ZEBRA"))
    before = tiny.decode(log_probs)
    tiny.with_hot_words({"ZEBRA": 9.0}).decode(log_probs)
    assert tiny.decode(log_probs) == before


@pytest.mark.parametrize("word", ["", "'", "?!", "\n", "--", "你好"])
def test_what_is_no_word_is_refused(tiny: Recognizer, word: str) -> None:
    with pytest.raises(ValueError, match=r"hot word .*: has no letters"):
        tiny.with_hot_words({"NICE": 1.0, word: 1.0})


@pytest.mark.parametrize("nats", [np.nan, np.inf, -np.inf, 1000.0, -51.0])
def test_what_would_outweigh_everything_is_refused(tiny: Recognizer, nats: float) -> None:
    with pytest.raises(ValueError, match=r"hot word 'NICE': nats .*: want a number from -50 to 50"):
        tiny.with_hot_words({"NICE": nats})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("Zebra and Co", "ZEBRA AND CO"),
        ("COVID-19", "COVID NINETEEN"),
        ("Nguyễn", "NGUYEN"),
        ("naïve café", "NAIVE CAFE"),
        ("4", "FOUR"),
        ("the nice beach", "THE NICE BEACH"),
    ],
)
def test_phrases_digits_and_accents_are_heard(tiny: Recognizer, given: str, words: str) -> None:
    boosted = tiny.with_hot_words({given: 9.0})
    log_probs = spelled(boosted, "".join(units_of(boosted, word) for word in words.split()))
    found = boosted.decode(log_probs)
    best = found[0]
    assert best.text == words
    assert len(best.times) == len(best.posteriors) == len(words.split()) == len(best.word_ngrams) - 1
    assert best.times == tuple(sorted(best.times))
    assert all(first <= end for first, end in best.times)
    assert best.ngram == pytest.approx(sum(best.word_ngrams))
    assert len({hypothesis.words for hypothesis in found}) == len(found)


def test_a_phrase_sounds_as_its_words_do(tiny: Recognizer) -> None:
    log_probs = spelled(tiny, "".join(units_of(tiny, word) for word in ("NICE", "BEACH")), sharpness=8.0)
    recognizers = tiny, tiny.with_hot_words({"nice beach": 9.0})
    plain, phrase = (
        next(found for found in recognizer.search.decode(log_probs) if found.words == ("NICE", "BEACH"))
        for recognizer in recognizers
    )
    assert phrase.boost
    assert phrase.acoustic == pytest.approx(plain.acoustic, abs=0.05)
