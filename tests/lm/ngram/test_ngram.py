from math import log
from pathlib import Path

import kenlm
import numpy as np
import pytest

from lm.ngram.model import NgramModel
from lm.query import score_sentences
from lm.text.vocabulary import END, START, UNKNOWN, Vocabulary
from lm.training.ngram import build_ngram

DATA = Path(__file__).parents[2] / "data"
TOOLS = Path(__file__).parents[3] / "build/kenlm/bin"
needs_tools = pytest.mark.skipif(not (TOOLS / "lmplz").is_file(), reason="no KenLM tools; `make lm-tools` builds them")

# P(</s>) = 0.4, P(A) = 0.3, P(B) = 0.2, P(<unk>) = 0.1; P(A | <s>) = 0.7, P(B | A) = 0.6, the rest backs off.
ARPA = f"""\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
{np.log10(0.1)}\t<unk>
-99\t<s>\t{np.log10(0.3 / 0.7)}
{np.log10(0.4)}\t</s>
{np.log10(0.3)}\tA\t{np.log10(0.4 / 0.8)}
{np.log10(0.2)}\tB\t0

\\2-grams:
{np.log10(0.7)}\t<s> A
{np.log10(0.6)}\tA B

\\end\\
"""


@pytest.fixture
def model(tmp_path: Path) -> NgramModel:
    path = tmp_path / "tiny.arpa"
    path.write_text(ARPA)
    return NgramModel(path, Vocabulary(["B", "A", "UNSEEN"]))


def test_scores_words_after_their_states(model: NgramModel) -> None:
    b, a = model.vocabulary.encode(["B", "A"])
    start = model.initial()
    first, states = model.score([start, start], [a, b])
    assert first.dtype == np.float32
    assert first == pytest.approx([log(0.7), log(0.2 * 0.3 / 0.7)])
    second, _ = model.score(states, [b, END])
    assert second == pytest.approx([log(0.6), log(0.4)])


def test_all_next_words_share_a_probability_of_one(model: NgramModel) -> None:
    vocabulary = model.vocabulary
    start = model.initial()
    state = model.score([start], vocabulary.encode(["A"]))[1][0]
    log_probs = model.next_words(state)
    assert log_probs.shape == (len(vocabulary),)
    assert np.exp(log_probs).sum() == pytest.approx(1)
    assert log_probs[START] == -np.inf
    # The word that the model lacks shares the probability of unknown words.
    assert np.exp(log_probs[[UNKNOWN, 5, END, 3, 4]]) == pytest.approx([0.025, 0.025, 0.2, 0.6, 0.15])
    assert model.score([state] * 4, [UNKNOWN, 5, 3, 4])[0] == pytest.approx(log_probs[[UNKNOWN, 5, 3, 4]])


def test_sentences_have_kenlms_own_scores() -> None:
    kenlm_model = kenlm.Model(str(DATA / "tiny.bin"))
    words = [*(DATA / "librispeech.trans.txt").read_text().split(), "THE", "NICE", "BEACH", "SPEECH", "<unk>"]
    vocabulary = Vocabulary(sorted({word for word in words if word in kenlm_model}))
    model = NgramModel(DATA / "tiny.bin", vocabulary)
    random = np.random.default_rng(1)
    sentences = [random.choice(words, length).tolist() for length in random.integers(0, 12, 200)]
    for sentence, score in zip(sentences, score_sentences(model, sentences), strict=True):
        expected = [log_prob for log_prob, _, _ in kenlm_model.full_scores(" ".join(sentence))]
        assert score.log_probs / log(10) == pytest.approx(expected, abs=1e-5)
        assert score.log_prob / log(10) == pytest.approx(kenlm_model.score(" ".join(sentence)), abs=1e-4)


def test_says_what_is_wrong_with_a_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.bin"):
        NgramModel(tmp_path / "no.bin", Vocabulary([]))
    bad = tmp_path / "bad.bin"
    bad.write_text("no model\n")
    with pytest.raises(ValueError, match=r"bad\.bin: not a KenLM"):
        NgramModel(bad, Vocabulary([]))


def test_says_what_is_missing_to_build(tmp_path: Path) -> None:
    text, words = tmp_path / "text.txt", tmp_path / "words.txt"
    text.write_text("A B\n")
    with pytest.raises(FileNotFoundError, match=r"words\.txt"):
        build_ngram([text], tmp_path / "out.bin", words)
    words.write_text("A\nB\n")
    with pytest.raises(FileNotFoundError, match="make lm-tools"):
        build_ngram([text], tmp_path / "out.bin", words, tools=tmp_path)


@needs_tools
@pytest.mark.parametrize("threshold", [0, 1e-3])
def test_builds_a_model(tmp_path: Path, threshold: float) -> None:
    text, words = tmp_path / "text.txt", tmp_path / "words.txt"
    letters = np.random.default_rng(1).choice(["A", "B", "C", "OTHER"], (500, 8), p=[0.5, 0.3, 0.19, 0.01])
    text.write_text("".join(" ".join(["C", *row, "A"]) + "\n" for row in letters))
    vocabulary = Vocabulary(["A", "B", "C"])
    vocabulary.save(words)
    report = build_ngram(
        [text],
        tmp_path / "out.bin",
        words,
        order=3,
        prune=[0, 0, 1],
        threshold=threshold,
        memory="100M",
        tools=TOOLS,
    )
    (estimate,) = report.estimates
    assert estimate.estimated[0] == len(vocabulary)
    assert len(estimate.discounts) == 3
    assert (sum(estimate.kept) < sum(estimate.estimated)) == (threshold > 0)
    assert report.ngrams == estimate.kept
    assert report.binary_bytes == (tmp_path / "out.bin").stat().st_size
    model = NgramModel(tmp_path / "out.bin", vocabulary)
    assert model.order == 3
    probabilities = np.exp(model.next_words(model.initial()))
    assert probabilities[vocabulary.encode(["C"])[0]] > 0.9
    assert probabilities.sum() == pytest.approx(1)
    # Unknown words are expected about as often as they come, one time in a hundred.
    within = np.exp(model.next_words(model.read(model.initial(), vocabulary.encode(["C", "A"]))))
    assert 0.003 < within[UNKNOWN] < 0.05


@needs_tools
@pytest.mark.parametrize("threshold", [0, 1e-3])
def test_merges_the_models_of_several_texts(tmp_path: Path, threshold: float) -> None:
    random = np.random.default_rng(1)
    texts, words, tune, output = ([tmp_path / name for name in ("1", "2")], *(tmp_path / n for n in ("v", "t", "out")))
    Vocabulary(["A", "B", "C", "D"]).save(words)
    lines = [[" ".join(random.choice(list("ABC" + last), 8)) + "\n" for _ in range(400)] for last in ("D", "E")]
    for text, own in zip(texts, lines, strict=True):
        text.write_text("".join(own[:300]))
    tune.write_text("".join(lines[0][300:] + lines[1][300:325]))  # four times as much of the first kind
    report = build_ngram(texts, output, words, 3, [0], threshold=threshold, memory="100M", tune=tune, tools=TOOLS)
    assert sum(report.weights) == pytest.approx(1)
    assert report.weights[0] > 0.55
    assert len(report.estimates) == 2
    assert all(
        max(pair) <= merged <= sum(pair)
        for merged, *pair in zip(report.ngrams, *(estimate.kept for estimate in report.estimates), strict=True)
    )
    model = NgramModel(output, Vocabulary.load(words))
    assert np.exp(model.next_words(model.initial())).sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="several texts need held-out text"):
        build_ngram(texts, output, words, tools=TOOLS)


@needs_tools
def test_passes_on_why_a_tool_failed(tmp_path: Path) -> None:
    text, words = tmp_path / "text.txt", tmp_path / "words.txt"
    text.write_text("<s> A\n")
    words.write_text("A\n")
    with pytest.raises(ValueError, match=r"lmplz failed: .*<s>"):
        build_ngram([text], tmp_path / "out.bin", words, memory="100M", tools=TOOLS)
