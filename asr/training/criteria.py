"""What a model is trained for beside CTC: CTC-CRF, consistency, and APC, which needs no labels.

CTC-CRF is the probability of the right units among all sequences, weighed by an n-gram of units. CTC asks for the right
units whatever else the emissions allow, and takes frames for independent of each other. CTC-CRF (Xiang and Ou 2019)
divides by what all sequences of units would score under a language model of units, so a model learns to tell the right
sequence from the probable wrong ones, as maximum mutual information does, and leaves to the language model what that
knows.

Consistency (CR-CTC, Yao et al. 2024): two hearings of an utterance are to be read alike, frame by frame.

APC, autoregressive predictive coding (Chung et al. 2019), foretells speech from the speech before it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asr.acoustic.model import SUBSAMPLING
from asr.acoustic.network import padding_mask
from asr.lexicon.units import BLANK

SECOND_TEACHES = 0.3  # as much as the first hearing, which is the clearer one


class UnitTrigram(nn.Module):
    """P(unit | the two before), Witten-Bell smoothed, as a table: what the denominator of CTC-CRF sums over.

    Index 0 stands for "before the first unit" in a history and for the end in what follows it.
    """

    table: Tensor

    def __init__(self, sequences: Iterable[Sequence[int]], units: int) -> None:
        """sequences: ids of units (1 to units - 1), an utterance each, to count in."""
        super().__init__()
        counts = np.zeros((units, units, units))
        for sequence in sequences:
            padded = np.array([0, 0, *sequence, 0])
            np.add.at(counts, (padded[:-2], padded[1:-1], padded[2:]), 1)
        probabilities = np.full(units, 1 / units)
        for total in counts.sum((0, 1)), counts.sum(0), counts:
            kinds = np.maximum((total > 0).sum(-1, keepdims=True), 1)
            probabilities = (total + kinds * probabilities) / (total.sum(-1, keepdims=True) + kinds)
        self.register_buffer("table", torch.tensor(probabilities, dtype=torch.float32), persistent=False)

    def log_prob(self, labels: Tensor, lengths: Tensor) -> Tensor:
        """labels [sum of lengths] -> log P of each sequence with its end, [B]."""
        rows = nn.utils.rnn.pad_sequence(list(labels.split(lengths.tolist())), batch_first=True)
        padded = nn.functional.pad(rows, (2, 1))
        log_probs = self.table[padded[:, :-2], padded[:, 1:-1], padded[:, 2:]].log()
        place = torch.arange(log_probs.shape[1], device=labels.device)
        return (log_probs * (place <= lengths[:, None])).sum(1)

    def log_sum(self, log_probs: Tensor, lengths: Tensor) -> Tensor:
        """log-probs [B, T, units] -> log of the sum over all paths of P(path's units) times P(path), [B]."""
        # Training in bfloat16 would take its eight bits for the products here too.
        with torch.autocast(log_probs.device.type, enabled=False):
            total: Tensor = _LogSum.apply(log_probs, lengths, self.table)
        return total


def crf_loss(
    ctc: Tensor, log_probs: Tensor, lengths: Tensor, labels: Tensor, label_lengths: Tensor, trigram: UnitTrigram
) -> Tensor:
    """-log P(labels | log-probs) of each utterance, [B]. ctc [B]: its CTC loss; for the others see torch's ctc_loss."""
    return ctc - trigram.log_prob(labels, label_lengths) + trigram.log_sum(log_probs, lengths)


def consistency_loss(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """How differently the two hearings of each utterance are read: Kullback-Leibler divergences in nats, summed, [B].

    log_probs [2 B, T', units], lengths [2 B]: the first hearings, then the second ones in the same order, as long. Each
    half learns from the other one's probabilities, which stay as they are (Yao et al. 2024, arXiv 2410.05101). There
    both count the same; here the second half are copies in rooms and noise, from which less can be learnt.
    """
    first, second = log_probs.chunk(2)
    real = padding_mask(lengths[: len(first)], first.shape[1])[..., None]
    to_second = nn.functional.kl_div(second, first.detach(), reduction="none", log_target=True)
    to_first = nn.functional.kl_div(first, second.detach(), reduction="none", log_target=True)
    return ((to_second + SECOND_TEACHES * to_first) * real).sum((1, 2))


def apc_loss(predicted: Tensor, features: Tensor, lengths: Tensor, shift: int) -> tuple[Tensor, Tensor]:
    """The L1 distance between what a one-way model foretells and what comes, summed; and how many numbers those are.

    predicted [B, T', 4 * 80]: for each output frame the four feature frames of the one `shift` after it. features
    [B, T, 80], lengths [B]. An output frame has heard its own four feature frames, so a shift of 0 would be no task.
    """
    whole = features[:, : features.shape[1] // SUBSAMPLING * SUBSAMPLING]
    targets = whole.reshape(len(features), -1, predicted.shape[2])[:, shift:]
    distances = (predicted[:, : targets.shape[1]] - targets).abs()
    real = padding_mask(lengths // SUBSAMPLING - shift, targets.shape[1])[..., None].expand_as(distances)
    return (distances * real).sum(), real.sum()


class _LogSum(torch.autograd.Function):
    """The forward-backward algorithm over states (two units before, last frame blank or the last unit).

    A state's probability lies at [last unit, utterance, unit before]; a frame multiplies by the table with one batched
    product of matrices. Probabilities are scaled to a sum of one in every frame, so single precision is enough.
    """

    @staticmethod
    def forward(context: Any, log_probs: Tensor, lengths: Tensor, table: Tensor) -> Tensor:
        batch, frames, units = log_probs.shape
        # Past an utterance's end everything is blank, which leaves its sum as it is.
        past = torch.arange(frames, device=log_probs.device) >= lengths[:, None]
        silent = nn.functional.one_hot(torch.tensor(BLANK, device=log_probs.device), units).to(log_probs.dtype)
        emitted = torch.where(past[..., None], silent, log_probs.exp()).permute(1, 2, 0)[..., None]  # [T, units, B, 1]
        follow = table.transpose(0, 1).contiguous()  # [last, before, next]
        follow[:, :, 0] = 0  # the end follows after the last frame only
        again = follow.diagonal(dim1=0, dim2=2).T[:, None]  # [last, 1, before]: the same unit once more
        blank_ended = log_probs.new_zeros(frames + 1, units, batch, units)
        unit_ended = torch.zeros_like(blank_ended)
        blank_ended[0, 0, :, 0] = 1
        log_total = log_probs.new_zeros(batch)
        for frame in range(frames):
            blank, unit = blank_ended[frame], unit_ended[frame]
            both = blank + unit
            entered = torch.bmm(both, follow).transpose(0, 2)  # [next, B, last]
            # A unit follows itself only across a blank.
            entered.diagonal(dim1=0, dim2=2).sub_((unit * again).sum(-1).T).clamp_(min=0)
            new_unit = (unit + entered) * emitted[frame]
            new_blank = both * emitted[frame, BLANK]
            total = (new_unit.sum(0) + new_blank.sum(0)).sum(-1)  # [B]
            torch.div(new_unit, total[:, None], out=unit_ended[frame + 1])
            torch.div(new_blank, total[:, None], out=blank_ended[frame + 1])
            log_total += total.log()
        end = table[:, :, 0].T[:, None]  # [last, 1, before]
        log_total += ((blank_ended[-1] + unit_ended[-1]) * end).sum((0, 2)).log()
        context.save_for_backward(blank_ended, unit_ended, emitted, follow, again, end, past)
        return log_total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        blank_ended, unit_ended, emitted, follow, again, end, past = context.saved_tensors
        frames, units, batch, _ = emitted.shape
        before_next = follow.transpose(1, 2).contiguous()  # [last, next, before]
        blank_to_go = end.expand(units, batch, units)
        unit_to_go = blank_to_go
        occupied = emitted.new_zeros(frames, units, batch)  # P(unit at frame | all frames)
        for frame in reversed(range(frames)):
            occupied[frame] = (unit_ended[frame + 1] * unit_to_go).sum(-1)
            occupied[frame, BLANK] = (blank_ended[frame + 1] * blank_to_go).sum((0, 2))
            occupied[frame] /= occupied[frame].sum(0)
            blank = blank_to_go * emitted[frame, BLANK]
            unit = unit_to_go * emitted[frame]
            entered = unit.transpose(0, 2).contiguous()  # [before the next, B, next]
            blank_to_go = blank + torch.bmm(entered, before_next)
            unit_to_go = blank_to_go + unit - again * entered.diagonal(dim1=0, dim2=2).T[..., None]
            scale = blank_to_go.amax((0, 2))[:, None]
            blank_to_go, unit_to_go = blank_to_go / scale, unit_to_go.clamp(min=0) / scale
        occupied = occupied.permute(2, 0, 1).masked_fill(past[..., None], 0)
        return occupied * gradients[0][:, None, None], None, None
