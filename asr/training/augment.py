"""Augmentation of log-mel batches: speed and pitch, trimmed ends, noise, narrow bands, and SpecAugment's masks.

What moves sound in time can be drawn for pairs: the two halves of a batch [2 B, T, 80] then get the same.
"""

import torch
from torch import Tensor, nn

from asr.acoustic.network import padding_mask
from asr.audio.features import HIGHEST, LOWEST, MELS


class SpeedPerturbation(nn.Module):
    """Plays each utterance at a random speed, by warping its log-mel picture.

    Speed s squeezes time by s and moves frequency f to s f, as resampling the waveform does (Ko et al. 2015), but on
    cached features and at no more cost than a bilinear interpolation, so that every hearing has a speed of its own.
    """

    def __init__(self, slowest: float, fastest: float) -> None:
        super().__init__()
        self.slowest, self.fastest = slowest, fastest

    def forward(self, features: Tensor, lengths: Tensor, paired: bool = False) -> tuple[Tensor, Tensor]:
        """features [B, T, 80], lengths [B] -> the same with T and lengths divided by each utterance's speed."""
        batch, frames, _ = features.shape
        device = features.device
        speed = torch.empty(batch // 2 if paired else batch, device=device).uniform_(self.slowest, self.fastest)
        if paired:
            speed = speed.repeat(2)
        new_lengths = (lengths / speed).long().clamp(min=1)
        time = torch.arange(int(new_lengths.max()), device=device) * speed[:, None]
        bins = hertz_to_bin(bin_to_hertz(torch.arange(MELS, device=device)) / speed[:, None])
        # grid_sample wants positions scaled to -1..1; "border" repeats the outermost bin.
        x = (2 * bins / (MELS - 1) - 1)[:, None, :].expand(-1, time.shape[1], -1)
        y = (2 * time / max(1, frames - 1) - 1)[:, :, None].expand(-1, -1, MELS)
        warped = nn.functional.grid_sample(
            features[:, None], torch.stack([x, y], -1), padding_mode="border", align_corners=True
        )[:, 0]
        return warped * padding_mask(new_lengths, warped.shape[1])[..., None], new_lengths


def _mel(hertz: Tensor) -> Tensor:
    return 2595 * torch.log10(1 + hertz / 700)


def bin_to_hertz(index: Tensor) -> Tensor:
    """Centre frequency (Hz) of a mel bin; a fractional index lies between two."""
    low, high = _mel(torch.tensor([LOWEST, HIGHEST])).tolist()
    return 700 * (10 ** ((low + (index + 1) * (high - low) / (MELS + 1)) / 2595) - 1)


def hertz_to_bin(hertz: Tensor) -> Tensor:
    """The inverse of `bin_to_hertz`."""
    low, high = _mel(torch.tensor([LOWEST, HIGHEST])).tolist()
    return (_mel(hertz) - low) * (MELS + 1) / (high - low) - 1


class Noise(nn.Module):
    """Adds another utterance of the batch, or steady noise of a random colour, to some of the utterances.

    In the mel bins' power, which is that of a sum as good as the sum of the powers; the level is relative to the
    utterance's own, after each bin's mean logarithm has been removed.
    """

    def __init__(self, share: float, quietest: float, loudest: float) -> None:
        """share of the utterances; quietest, loudest: of the noise, in dB relative to the speech."""
        super().__init__()
        self.share, self.quietest, self.loudest = share, quietest, loudest

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """features [B, T, 80], lengths [B] -> the same shape, each bin's mean removed again."""
        batch, frames, _ = features.shape
        device = features.device
        mask = padding_mask(lengths, frames)[..., None]
        speech = features.exp() * mask
        colour = nn.functional.interpolate(torch.randn(batch, 1, 6, device=device), MELS, mode="linear")
        steady = (colour + 0.5 * torch.randn_like(features)).exp()
        babble = torch.rand(batch, 1, 1, device=device) < 0.5
        noise = torch.where(babble, speech.roll(1, 0), steady) * mask
        decibels = torch.empty(batch, 1, 1, device=device).uniform_(self.quietest, self.loudest)
        gain = 10 ** (decibels / 10) * speech.sum((1, 2), True) / noise.sum((1, 2), True).clamp(min=1e-3)
        noisy = (speech + gain * noise).clamp(min=1e-6).log() * mask
        noisy = (noisy - noisy.sum(1, True) / lengths[:, None, None].clamp(min=1)) * mask
        chosen = torch.rand(batch, 1, 1, device=device) < self.share
        return torch.where(chosen, noisy, features)


class Crops(nn.Module):
    """Cuts off what utterances begin and end with, as those who trim recordings at a level of sound do."""

    def __init__(self, frames: int) -> None:
        """frames: at most, at either end; and no more than a fifth of the utterance."""
        super().__init__()
        self.frames = frames

    def forward(self, features: Tensor, lengths: Tensor, least: Tensor, paired: bool = False) -> tuple[Tensor, Tensor]:
        """features [B, T, 80], lengths [B], and at least so many frames that are left, [B] -> the same, shorter."""
        most = torch.minimum(lengths // 5, (lengths - least) // 2).clamp(0, self.frames)[:, None]
        draws = torch.rand(len(lengths) // 2 if paired else len(lengths), 2, device=lengths.device)
        if paired:
            draws = draws.repeat(2, 1)
        first, last = (draws * (most + 1)).long().unbind(1)
        lengths = lengths - first - last
        place = first[:, None] + torch.arange(int(lengths.max()), device=lengths.device)
        cropped = features.gather(1, place.clamp(max=features.shape[1] - 1)[..., None].expand(-1, -1, MELS))
        return cropped * padding_mask(lengths, cropped.shape[1])[..., None], lengths


class BandLimits(nn.Module):
    """Takes the highest frequencies from some of the utterances, as telephones and lossy coders do.

    What isn't there is as loud in every frame, so it is zero once each bin's mean has been removed.
    """

    def __init__(self, share: float, lowest: float) -> None:
        """share of the utterances; lowest: Hz. From there up, all limits are as likely on the mel scale."""
        super().__init__()
        self.share, self.lowest = share, lowest

    def forward(self, features: Tensor) -> Tensor:
        """[B, T, 80] to the same shape."""
        batch, device = len(features), features.device
        first = float(hertz_to_bin(torch.tensor(self.lowest)))
        limits = torch.empty(batch, 1, device=device).uniform_(first, MELS)
        limits = torch.where(torch.rand(batch, 1, device=device) < self.share, limits, MELS)
        return features * (torch.arange(MELS, device=device) < limits)[:, None]


class Masks(nn.Module):
    """SpecAugment's masks (Park et al. 2019): runs of bins and of frames set to the mean, zero.

    torchaudio has the same, but its wheels on PyPI can't be imported beside a PyTorch without CUDA.
    """

    def __init__(self, frequency_masks: int, bins: int, time_masks: int, frames: int) -> None:
        """How many masks of each kind, and what the widest are less than."""
        super().__init__()
        self.frequency_masks, self.bins, self.time_masks, self.frames = frequency_masks, bins, time_masks, frames

    def forward(self, features: Tensor) -> Tensor:
        """[B, T, 80] to the same shape."""
        batch, frames, bins = features.shape
        for _ in range(self.frequency_masks):
            features = features.masked_fill(_mask(batch, bins, self.bins, features.device)[:, None, :], 0)
        # At most 15 % of an utterance under one mask, so that short ones keep their words.
        widest = min(self.frames, int(0.15 * frames))
        for _ in range(self.time_masks):
            features = features.masked_fill(_mask(batch, frames, widest, features.device)[:, :, None], 0)
        return features


def _mask(batch: int, size: int, widest: int, device: torch.device) -> Tensor:
    """bool [B, size]: a run of fewer than `widest` that are true, of as likely any length and place in each row."""
    width = widest * torch.rand(batch, 1, device=device)
    first = ((size - width) * torch.rand(batch, 1, device=device)).long()
    place = torch.arange(size, device=device)
    return (first <= place) & (place < first + width.long())
