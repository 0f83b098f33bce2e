"""CTC-CRF against sums over all paths and all sequences of units; consistency against sums over frames."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from asr.training.criteria import SECOND_TEACHES, UnitTrigram, consistency_loss, crf_loss

UNITS, FRAMES = 3, 5
SEQUENCES = [[1, 2, 1], [2, 2], [1], [2, 1, 1, 2]]


def emissions(batch: int, seed: int = 0) -> Tensor:
    scores = 2 * torch.randn(batch, FRAMES, UNITS, generator=torch.Generator().manual_seed(seed))
    return scores.log_softmax(-1)


def all_sequences() -> list[list[int]]:
    return [list(units) for length in range(FRAMES + 1) for units in product(range(1, UNITS), repeat=length)]


def log_sum_over_paths(log_probs: Tensor, trigram: UnitTrigram) -> Tensor:
    terms = []
    for path in product(range(UNITS), repeat=len(log_probs)):
        units = [unit for place, unit in enumerate(path) if unit and (place == 0 or path[place - 1] != unit)]
        prior = trigram.log_prob(torch.tensor(units, dtype=torch.long), torch.tensor([len(units)]))[0]
        terms.append(prior + log_probs[torch.arange(len(path)), list(path)].sum())
    return torch.logsumexp(torch.stack(terms), 0)


@pytest.fixture(scope="module")
def trigram() -> UnitTrigram:
    return UnitTrigram(SEQUENCES, UNITS)


def test_the_trigram_is_a_distribution_and_prefers_what_it_saw(trigram: UnitTrigram) -> None:
    torch.testing.assert_close(trigram.table.sum(-1), torch.ones(UNITS, UNITS))
    seen, unseen = trigram.log_prob(torch.tensor([2, 2, 2, 2, 2]), torch.tensor([2, 3]))
    assert seen > unseen


def test_the_sum_is_that_over_all_paths(trigram: UnitTrigram) -> None:
    log_probs = emissions(3)
    lengths = torch.tensor([FRAMES, 2, 4])
    expected = torch.stack(
        [log_sum_over_paths(row[:length], trigram) for row, length in zip(log_probs, lengths, strict=True)]
    )
    torch.testing.assert_close(trigram.log_sum(log_probs, lengths), expected, rtol=1e-5, atol=1e-5)


def test_nothing_said_is_a_sequence_like_others(trigram: UnitTrigram) -> None:
    log_probs, lengths, none = emissions(2), torch.tensor([FRAMES, 3]), torch.tensor([0, 0])
    labels = torch.tensor([], dtype=torch.long)
    ctc = ctc_loss(log_probs.transpose(0, 1), labels, lengths, none, reduction="none")
    loss = crf_loss(ctc, log_probs, lengths, labels, none, trigram)
    for row, length, found in zip(log_probs, lengths, loss, strict=True):
        silent = row[:length, 0].sum() + trigram.table[0, 0, 0].log()
        torch.testing.assert_close(found, log_sum_over_paths(row[:length], trigram) - silent, rtol=1e-5, atol=1e-5)


def test_the_sum_is_in_single_precision_where_the_model_is_not(trigram: UnitTrigram) -> None:
    log_probs, lengths = emissions(3), torch.tensor([FRAMES, 2, 4])
    with torch.autocast("cpu", torch.bfloat16):
        found = trigram.log_sum(log_probs, lengths)
    torch.testing.assert_close(found, trigram.log_sum(log_probs, lengths), rtol=0, atol=0)


def test_the_gradient_is_that_of_the_sum_over_all_paths(trigram: UnitTrigram) -> None:
    log_probs = emissions(2).requires_grad_()
    lengths = torch.tensor([4, 3])
    (found,) = torch.autograd.grad(trigram.log_sum(log_probs, lengths).sum(), log_probs)
    sums = [log_sum_over_paths(row[:length], trigram) for row, length in zip(log_probs, lengths, strict=True)]
    (expected,) = torch.autograd.grad(sum(sums, torch.zeros(())), log_probs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_probabilities_of_all_sequences_sum_to_one(trigram: UnitTrigram) -> None:
    log_probs = emissions(1, seed=1)
    total = torch.zeros(())
    for units in all_sequences():
        labels, size = torch.tensor(units, dtype=torch.long), torch.tensor([len(units)])
        frames = torch.tensor([FRAMES])
        ctc = ctc_loss(log_probs.transpose(0, 1), labels, frames, size, reduction="none")
        total += crf_loss(ctc, log_probs, frames, labels, size, trigram)[0].neg().exp()
    assert total == pytest.approx(1, abs=1e-5)


def test_long_and_confident_emissions_do_not_underflow(trigram: UnitTrigram) -> None:
    scores = 60 * torch.randn(1, 2000, UNITS, generator=torch.Generator().manual_seed(2))
    log_probs = scores.log_softmax(-1).requires_grad_()
    total = trigram.log_sum(log_probs, torch.tensor([2000]))
    total.sum().backward()
    assert torch.isfinite(total).all()
    assert log_probs.grad is not None
    torch.testing.assert_close(log_probs.grad.sum(-1), torch.ones(1, 2000), rtol=1e-4, atol=1e-4)


def test_consistency_is_the_divergence_of_all_real_frames() -> None:
    first, second = emissions(2, seed=3), emissions(2, seed=4)
    lengths = [FRAMES, 2]
    expected = [0.0, 0.0]
    for row, frame, unit in product(range(2), range(FRAMES), range(UNITS)):
        if frame < lengths[row]:
            p, q = float(first[row, frame, unit]), float(second[row, frame, unit])
            expected[row] += math.exp(p) * (p - q) + SECOND_TEACHES * math.exp(q) * (q - p)
    found = consistency_loss(torch.cat([first, second]), torch.tensor(lengths * 2))
    torch.testing.assert_close(found, torch.tensor(expected))


def test_hearings_that_are_read_alike_are_consistent() -> None:
    log_probs = emissions(2).repeat(2, 1, 1)
    assert consistency_loss(log_probs, torch.tensor([FRAMES, 2] * 2)).tolist() == [0, 0]


def test_each_hearing_learns_from_the_probabilities_of_the_other() -> None:
    log_probs = emissions(2).requires_grad_()
    (found,) = torch.autograd.grad(consistency_loss(log_probs, torch.tensor([3, 3])).sum(), log_probs)
    first, second = log_probs.detach().exp()
    expected = -torch.stack([SECOND_TEACHES * second, first])  # as of a cross-entropy: nothing moves a target
    expected[:, 3:] = 0
    torch.testing.assert_close(found, expected)
