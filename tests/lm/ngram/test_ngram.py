import random
import subprocess
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lm.ngram.model import NgramModel
from lm.text.vocabulary import END, SPECIAL_WORDS, START, UNKNOWN, Vocabulary
from lm.training.ngram import build_ngram

pytestmark = pytest.mark.filterwarnings("ignore::lm.text.vocabulary.MissingWordsWarning")  # so are some meant to be

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


def test_states_are_values(model: NgramModel) -> None:
    b, a, unseen = model.vocabulary.encode(["B", "A", "UNSEEN"])
    start = model.initial()
    before = bytes(start)
    after_a = model.read(start, [b, a])
    assert start == before
    assert after_a == model.read(start, [unseen, a])  # the model tells no longer histories apart
    assert len({after_a, model.read(start, [a]), start}) == 2
    assert model.read(after_a, [END]) == start
    assert model.read(start, []) == start


def test_refuses_what_is_no_word_or_no_state_of_it(model: NgramModel) -> None:
    for word in (-1, len(model.vocabulary)):
        with pytest.raises(IndexError, match="vocabulary"):
            model.score([model.initial()], [word])
    with pytest.raises(ValueError, match="another n-gram"):
        model.next_words(b"")
    with pytest.raises(ValueError, match="as many states"):
        model.score([model.initial()], [])


def test_has_kenlms_scores() -> None:
    words = "SHE LEARNT TO WRECK THE NICE BEACH A".split()
    model = NgramModel(DATA / "tiny.bin", Vocabulary(words))
    sentences = ["SHE LEARNT TO WRECK THE NICE BEACH </s>", "NOWHERE A NOWHERE THE THE </s>"]
    first, second = model.log_probs([model.vocabulary.encode(sentence.split()) for sentence in sentences])
    by_kenlm = [-1.16686, -1.68184, -0.17522, -1.26703, -1.95411, -1.10249, -0.29774, -1.43095]
    assert first / log(10) == pytest.approx(by_kenlm, abs=1e-5)
    assert second / log(10) == pytest.approx([-2.57199, -1.55602, -2.08753, -1.55602, -1.72843, -1.26701], abs=1e-5)


# --- Random models ----------------------------------------------------------------------------------------

WORDS = "A B C D E F G H".split()
VOCABULARY = Vocabulary([*WORDS, "UNSEEN"])


def write_random_arpa(path: Path, order: int, chance: random.Random) -> None:
    """n-grams of random sentences; an n-gram may stand there only if its beginning and its end do."""
    levels: list[set[tuple[str, ...]]] = [{(word,) for word in (*SPECIAL_WORDS, *WORDS)}]
    sentences = [["<s>", *chance.choices([*WORDS, "<unk>"], k=chance.randrange(12)), "</s>"] for _ in range(60)]
    for n in range(2, order + 1):
        found = {tuple(words[i : i + n]) for words in sentences for i in range(len(words) - n + 1)}
        levels.append({gram for gram in found if {gram[1:], gram[:-1]} <= levels[-1] and chance.random() < 0.8})
    with path.open("w") as file:
        file.write("\\data\\\n" + "".join(f"ngram {n}={len(level)}\n" for n, level in enumerate(levels, 1)))
        for n, level in enumerate(levels, 1):
            file.write(f"\n\\{n}-grams:\n")
            for gram in sorted(level, key=lambda _: chance.random()):
                backoff = chance.choice(["-0", "0", f"{chance.uniform(-1, 0.3):.4f}"])
                ending = f"\t{backoff}" if n < order and gram[-1] != "</s>" else ""
                file.write(f"{chance.uniform(-4, -0.1):.4f}\t{' '.join(gram)}{ending}\n")
        file.write("\n\\end\\\n")


def random_sentences(chance: random.Random) -> list[list[str]]:
    return [chance.choices(list(VOCABULARY)[3:], k=chance.randrange(12)) for _ in range(100)]


def log10_probs(model: NgramModel, words: list[str]) -> np.ndarray:
    """Of all words and the end; an unknown word with the probability of all of them, as KenLM has it."""
    ids = [*VOCABULARY.encode(words), END]
    (log_probs,) = model.log_probs([ids])
    return (log_probs + log(2) * np.isin(ids, VOCABULARY.encode(["<unk>", "UNSEEN"]))) / log(10)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_scores_random_models_by_the_textbook(tmp_path: Path, order: int, textbook: Any) -> None:
    chance = random.Random(order)
    arpa = tmp_path / "random.arpa"
    write_random_arpa(arpa, order, chance)
    model, judge = NgramModel(arpa, VOCABULARY), textbook(arpa)
    assert model.order == order
    for words in random_sentences(chance):
        history = ["<s>", *words, "</s>"]
        expected = [judge.log10_prob(history[:i], history[i]) for i in range(1, len(history))]
        assert log10_probs(model, words) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("order", [2, 5])
def test_scores_words_alike_in_all_its_ways(tmp_path: Path, order: int) -> None:
    """Word by word, side by side, a whole sequence; and, up to a common factor, all next words."""
    chance = random.Random(order)
    write_random_arpa(tmp_path / "random.arpa", order, chance)
    model = NgramModel(tmp_path / "random.arpa", VOCABULARY)
    sequences = [[*VOCABULARY.encode(words), END] for words in random_sentences(chance)]
    sequences.append([*sequences[0], *sequences[1]])
    for words, log_probs in zip(sequences, model.log_probs(sequences), strict=True):
        states = [model.read(model.initial(), words[:i]) for i in range(len(words))]
        together, following = model.score(states, words)
        assert together == pytest.approx(log_probs)
        assert following == [*states[1:], model.read(states[-1], words[-1:])]
    for state in states[:50]:
        every = [id for id in range(len(VOCABULARY)) if id != START]
        scores = np.exp(model.score([state] * len(every), every)[0], dtype=np.float64)
        assert np.exp(model.next_words(state)[every]) == pytest.approx(scores / scores.sum(), rel=1e-5)


@pytest.mark.parametrize(("name", "tolerance"), [("tiny.arpa", 1e-5), ("tiny.bin", 0.05)])  # the latter is quantised
def test_scores_of_all_words_sum_to_one(vocabulary: Vocabulary, name: str, tolerance: float) -> None:
    model, chance = NgramModel(DATA / name, vocabulary), random.Random(1)
    every = [id for id in range(len(vocabulary)) if id != START]
    for _ in range(100):
        state = model.read(model.initial(), chance.choices(every, k=chance.randrange(6)))
        log_probs, _ = model.score([state] * len(every), every)
        assert np.exp(log_probs).sum() == pytest.approx(1, abs=tolerance)


def write_binary(arpa: Path, *options: str) -> Path:
    binary = arpa.with_suffix(".bin")
    command = [TOOLS / "build_binary", *options, "-S", "50M", "trie", arpa, binary]
    subprocess.run(command, check=True, capture_output=True)
    return binary


@needs_tools
@pytest.mark.parametrize("order", [2, 3, 5])
def test_a_binary_is_as_good_as_its_arpa_file(tmp_path: Path, order: int) -> None:
    chance = random.Random(order)
    arpa = tmp_path / "random.arpa"
    write_random_arpa(arpa, order, chance)
    packed, plain = NgramModel(write_binary(arpa), VOCABULARY), NgramModel(arpa, VOCABULARY)
    for words in random_sentences(chance):
        assert log10_probs(packed, words) == pytest.approx(log10_probs(plain, words), abs=1e-6)


@needs_tools
@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("options", [[], ["-q", "8", "-b", "8"], ["-q", "3", "-b", "2"]])
def test_scores_random_binaries_as_kenlm_does(tmp_path: Path, order: int, options: list[str], kenlm: Any) -> None:
    chance = random.Random(order)
    write_random_arpa(tmp_path / "random.arpa", order, chance)
    binary = write_binary(tmp_path / "random.arpa", *options)
    model, judge = NgramModel(binary, VOCABULARY), kenlm.Model(str(binary))
    for words in random_sentences(chance):
        expected = [log_prob for log_prob, _, _ in judge.full_scores(" ".join(words))]
        assert log10_probs(model, words) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_scores_random_arpa_files_as_kenlm_does(tmp_path: Path, order: int, kenlm: Any) -> None:
    chance = random.Random(order)
    write_random_arpa(tmp_path / "random.arpa", order, chance)
    model, judge = NgramModel(tmp_path / "random.arpa", VOCABULARY), kenlm.Model(str(tmp_path / "random.arpa"))
    for words in random_sentences(chance):
        expected = [log_prob for log_prob, _, _ in judge.full_scores(" ".join(words))]
        assert log10_probs(model, words) == pytest.approx(expected, abs=1e-5)


# --- Files ------------------------------------------------------------------------------------------------


def test_says_what_is_wrong_with_a_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.bin"):
        NgramModel(tmp_path / "no.bin", Vocabulary([]))
    bad = tmp_path / "bad.bin"
    bad.write_text("no model\n")
    with pytest.raises(ValueError, match=r"bad\.bin: not a KenLM"):
        NgramModel(bad, Vocabulary([]))
    bad.write_text(ARPA.replace("</s>", "END"))
    with pytest.raises(ValueError, match=r"bad\.bin: lacks </s>"):
        NgramModel(bad, Vocabulary([]))
    bad.write_text(ARPA.replace("A B", "A C"))
    with pytest.raises(ValueError, match=r"bad\.bin: .* stands where a 2-gram should"):
        NgramModel(bad, Vocabulary([]))


def test_a_model_may_know_of_no_unknown_words(tmp_path: Path) -> None:
    path = tmp_path / "closed.arpa"
    path.write_text(ARPA.replace("ngram 1=5", "ngram 1=4").replace(f"{np.log10(0.1)}\t<unk>\n", ""))
    model = NgramModel(path, Vocabulary(["A", "B"]))
    log_probs, _ = model.score([model.initial()] * 2, model.vocabulary.encode(["A", "UNSEEN"]))
    assert log_probs / log(10) == pytest.approx([np.log10(0.7), -100 + np.log10(0.3 / 0.7)])  # as KenLM takes it


# --- Estimating -------------------------------------------------------------------------------------------


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
