import math
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm import query
from lm.bundle import BundleError, write_bundle
from lm.lstm import model as lstm
from lm.model import LanguageModel
from lm.query import MODELS, Models, fill, next_words, open_models, perplexity, score_sentences, word_probability
from lm.text.normalise import normalize, normalize_history
from lm.text.vocabulary import END, SPECIAL_WORDS, LeftOutWarning, UnknownWordWarning

TINY = Path(__file__).parents[1] / "data/tiny.bin"
# NOWHERE is, and is said to be.
pytestmark = pytest.mark.filterwarnings("ignore::lm.text.vocabulary.UnknownWordWarning")

WORDS = st.sampled_from("THE NICE BEACH RECOGNIZE SPEECH WRECK A ZEBRA NOWHERE".split())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("history", ["", "HOW", "THE NICE BEACH", "NOWHERE", "A NOWHERE ZEBRA THE"])
def test_next_words_of_all_the_vocabulary_sum_to_one(models: Models, name: str, history: str) -> None:
    ranked = next_words(models[name], history.split())
    assert len(ranked) == len(models.vocabulary)
    assert sum(probability for _, probability in ranked) == pytest.approx(1, abs=1e-5)
    assert [p for _, p in ranked] == sorted((p for _, p in ranked), reverse=True)
    assert dict(ranked)["<s>"] == 0
    assert next_words(models[name], history.split(), top=3) == ranked[:3]


@pytest.mark.parametrize("name", MODELS)
def test_word_probability_is_that_of_the_distribution(models: Models, name: str) -> None:
    history = ["THE", "NICE"]
    probabilities = dict(next_words(models[name], history))
    assert word_probability(models[name], history, "BEACH") == probabilities["BEACH"]
    assert word_probability(models[name], history, "NOWHERE") == probabilities["<unk>"]


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=20, deadline=None)
@given(words=st.lists(WORDS, max_size=6))
def test_chain_rule(models: Models, name: str, words: list[str]) -> None:
    model = models[name]
    (score,) = score_sentences(model, [words])
    chain = [math.log(word_probability(model, words[:i], word)) for i, word in enumerate([*words, "</s>"])]
    assert score.words == [*words, "</s>"]
    assert score.log_probs == pytest.approx(chain, abs=1e-4)
    assert score.oov.tolist() == [word == "NOWHERE" for word in words] + [False]


@pytest.mark.parametrize("name", MODELS)
def test_sentences_side_by_side_score_as_one_by_one(models: Models, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(1)
    sentences = [chance.choices(list(models.vocabulary)[3:], k=chance.randrange(9)) for _ in range(25)]
    alone = [score for words in sentences for score in score_sentences(models[name], [words])]
    monkeypatch.setattr(query, "BLOCK", 10)
    monkeypatch.setattr(lstm, "ROWS", 4)
    monkeypatch.setattr(lstm, "POSITIONS", 12)
    together = list(score_sentences(models[name], sentences))
    assert [score.words for score in together] == [[*words, "</s>"] for words in sentences]
    for one, other in zip(alone, together, strict=True):
        assert other.log_probs == pytest.approx(one.log_probs, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The nice", "THE NICE"),
        ("the NICE,", "THE NICE"),
        ("", ""),
        ("The nice beach. The", "THE NICE BEACH </s> THE"),
        ("The nice beach.", "THE NICE BEACH </s>"),
        ("The beach. “Speech?” A", "THE BEACH </s> SPEECH </s> A"),
    ],
)
def test_a_plain_history_is_its_words_and_sentence_ends(models: Models, text: str, words: str) -> None:
    for model in models.values():
        assert next_words(model, text) == next_words(model, words.split())
        assert word_probability(model, text, "speech") == word_probability(model, words.split(), "SPEECH")
    # The n-gram forgets what was said in sentences before.
    of_its_sentence = next_words(models["ngram"], words.rpartition("</s>")[2].split())
    assert next_words(models["ngram"], text) == of_its_sentence


def test_plain_sentences_score_as_their_words(models: Models) -> None:
    texts = ["Wreck a nice beach.", ["THE", "BEACH"], "", "The nice. Beach!"]
    words = [["WRECK", "A", "NICE", "BEACH"], ["THE", "BEACH"], [], ["THE", "NICE", "BEACH"]]
    plain, normalised = list(score_sentences(models["lstm"], texts)), list(score_sentences(models["lstm"], words))
    assert [score.words for score in plain] == [score.words for score in normalised]
    assert [score.log_prob for score in plain] == [score.log_prob for score in normalised]
    with pytest.raises(TypeError, match="several sentences"):
        list(score_sentences(models["lstm"], "the nice beach"))


def test_a_word_is_asked_for_in_any_case(models: Models) -> None:
    assert word_probability(models["lstm"], "", "</s>") == word_probability(models["lstm"], [], "</s>")
    assert word_probability(models["lstm"], "", "Beach!") == word_probability(models["lstm"], "", "BEACH") > 0
    for words in ("a beach", "", "..."):
        with pytest.raises(ValueError, match="want one word"):
            word_probability(models["lstm"], "", words)


@pytest.mark.parametrize(
    "ask",
    [
        lambda model: next_words(model, "The nowhere man, the zorglub; nowhere"),
        lambda model: next_words(model, ["nowhere", "THE", "zorglub", "nowhere"]),
        lambda model: word_probability(model, "Nowhere. Zorglub", "THE"),
        lambda model: list(score_sentences(model, ["The nowhere man.", ["THE", "ZORGLUB", "NOWHERE"]])),
    ],
)
def test_words_taken_for_unknown_are_named(models: Models, ask: Callable[[LanguageModel[Any]], object]) -> None:
    with pytest.warns(UnknownWordWarning, match="(?i)not in the vocabulary, taken as <unk>: nowhere, zorglub$") as told:
        ask(models["ngram"])
    assert len(told) == 1
    assert told[0].filename == __file__  # it is the caller's words


@pytest.mark.parametrize(
    ("text", "left_out"),
    [("Привет", "Привет"), ("the 你好 man", "你好"), ("the नमस्ते man, ٣", "नमस्ते, ٣"), ("the manЖ", "manЖ")],
)
def test_words_of_other_scripts_are_named(models: Models, text: str, left_out: str) -> None:
    asks: list[Callable[[], object]] = [
        lambda: next_words(models["ngram"], text),
        lambda: list(score_sentences(models["ngram"], [text])),
    ]
    for ask in asks:
        with pytest.warns(LeftOutWarning, match=f"in no letters of English, left out: {left_out}$") as told:
            ask()
        assert told[0].filename == __file__


@pytest.mark.filterwarnings("error::lm.text.vocabulary.LeftOutWarning")
def test_what_can_be_written_in_english_is_not_left_out(models: Models) -> None:
    list(score_sentences(models["ngram"], ["naïve Füße ½ € 100 °C “the” … ― №5 x² ﬁne", "", "?!", "\N{GRINNING FACE}"]))


@pytest.mark.filterwarnings("error")
def test_known_words_and_perplexities_are_not_warned_of(models: Models) -> None:
    next_words(models["ngram"], ["THE", "<unk>", "</s>", "ZEBRA"])
    word_probability(models["ngram"], "The", "<unk>")
    list(score_sentences(models["ngram"], ["The zebra."]))
    assert perplexity(models["ngram"], ["The nowhere man"]).oov == 1


def test_models_are_a_mapping(models: Models, bundle: Path, tmp_path: Path) -> None:
    assert isinstance(models, Mapping)
    assert tuple(models) == tuple(models.keys()) == MODELS
    assert len(models) == len(MODELS)
    assert dict(models) == {name: models[name] for name in MODELS}
    assert "lstm" in models
    assert "trigram" not in models
    assert models.get("trigram") is None
    with pytest.raises(KeyError, match=r"no model 'trigram'; there are ngram, lstm, mixture$"):
        models["trigram"]
    files = {name: bundle / name for name in ("vocabulary.txt", "ngram.bin")}
    alone = open_models(str(write_bundle(tmp_path, {}, files).folder))
    assert list(alone) == ["ngram"]
    with pytest.raises(BundleError, match=r"no model 'lstm'; there are ngram$"):  # one line on the command line
        alone["lstm"]


def test_perplexity_counts_sentence_ends_and_tells_unknown_words_apart(models: Models) -> None:
    result = perplexity(models["lstm"], ["The nice nowhere beach.\n", "\n", "* * *\n", "“Speech!”\n"])
    assert (result.sentences, result.tokens, result.oov) == (2, 7, 1)
    scores = list(score_sentences(models["lstm"], [["THE", "NICE", "NOWHERE", "BEACH"], ["SPEECH"]]))
    log_probs = np.concatenate([score.log_probs for score in scores])
    assert result.perplexity == pytest.approx(math.exp(-log_probs.mean()))
    assert result.perplexity_without_oov == pytest.approx(math.exp(-np.delete(log_probs, 2).mean()))


def test_perplexity_is_kenlms(models: Models) -> None:
    text = "SHE LEARNT TO WRECK THE NICE BEACH"
    (score,) = score_sentences(models["ngram"], [text.split()])
    by_kenlm = [1.16686, 1.68184, 0.17522, 1.26703, 1.95411, 1.10249, 0.29774, 1.43095]
    assert score.perplexity == pytest.approx(10 ** (sum(by_kenlm) / 8), rel=1e-4)
    assert perplexity(models["ngram"], [text]).perplexity == pytest.approx(score.perplexity)


def test_no_perplexity_without_words(models: Models) -> None:
    with pytest.raises(ValueError, match="no words"):
        perplexity(models["ngram"], ["\n", "--\n"])


def test_a_document_is_one_sequence(models: Models) -> None:
    lines = ["The nice beach.", "Speech!", "A zebra"]
    document = perplexity(models["lstm"], lines, document=True)
    vocabulary = models.vocabulary
    ids = [id for line in lines for id in [*vocabulary.encode(normalize(line)), END]]
    assert document.perplexity == pytest.approx(math.exp(-models["lstm"].log_probs([ids])[0].mean()))
    assert document.perplexity != pytest.approx(perplexity(models["lstm"], lines).perplexity, rel=1e-3)
    # An n-gram knows nothing beyond its sentence.
    ngram = models["ngram"]
    assert perplexity(ngram, lines, document=True) == perplexity(ngram, lines)


def test_only_words_that_begin_so(models: Models) -> None:
    ranked = next_words(models["lstm"], ["THE"], prefix="S")
    assert [word for word, _ in ranked] == [w for w, _ in next_words(models["lstm"], ["THE"]) if w.startswith("S")]
    assert next_words(models["lstm"], "the", prefix="s") == ranked


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("text", ["The ___ speech", "___", "A nice beach. He can ____ the words again!", "Again ___"])
def test_fills_a_gap_as_all_sentences_say(models: Models, name: str, text: str) -> None:
    words = [word for word in models.vocabulary if word not in SPECIAL_WORDS]
    scores = np.array([models[name].log_probs([whole(models, text, word)])[0].sum(dtype=np.float64) for word in words])
    expected = np.exp(scores - np.logaddexp.reduce(scores))
    ranked = fill(models, text, name, top=None)
    assert dict(ranked) == pytest.approx(dict(zip(words, expected, strict=True)), rel=1e-4)
    assert [p for _, p in ranked] == sorted((p for _, p in ranked), reverse=True)
    assert fill(models, text, name, top=3) == ranked[:3]


def whole(models: Models, text: str, word: str) -> list[int]:
    """The ids of a text with a word in its gap, up to its end."""
    before, after = re.split("_+", text)
    words = [*normalize_history(before), word, *normalize_history(after)]
    return models.vocabulary.encode(words if words[-1] == "</s>" else [*words, "</s>"])


def test_a_shortlist_loses_no_good_word(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ["HOW", "TO", "___", "A", "NICE", "BEACH"]
    best = fill(models, text, top=3)
    monkeypatch.setattr("lm.query.SHORTLIST", 8)
    short = fill(models, text, top=None)
    assert len(short) == 8
    assert [word for word, _ in short[:3]] == [word for word, _ in best]
    assert sum(p for _, p in short) == pytest.approx(1)


@pytest.mark.parametrize(("text", "gaps"), [("the speech", 0), ("the ___ of ___", 2), (["THE"], 0), (["___"] * 3, 3)])
def test_a_text_has_one_gap(models: Models, text: str | list[str], gaps: int) -> None:
    with pytest.raises(ValueError, match=f"{gaps} gaps in the text: mark the one word that is wanted"):
        fill(models, text)
