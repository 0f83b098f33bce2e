"""Waveform to log-mel features, as a layer of the acoustic model, so that training, recognition and export agree."""

import torch
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

SAMPLE_RATE = 16_000  # Hz; every waveform inside the package has it
HOP = 160  # samples between frames: 10 ms
WINDOW = 400  # samples a frame sees: 25 ms
MELS = 80
LOWEST, HIGHEST = 20.0, 7600.0  # Hz; leaves out mains hum and the roll-off of resampled recordings
FLOOR = 1e-6  # added to the mel power before the logarithm: about the noise of 16-bit rounding


def frame_count(samples: Tensor) -> Tensor:
    """Number of feature frames of a recording of so many samples (frame centres at 0, 10 ms, ...)."""
    return torch.where(samples > 0, samples // HOP + 1, 0)


def padding_mask(lengths: Tensor, size: int) -> Tensor:
    """[B] lengths to a bool mask [B, size], true where a frame is real."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


class LogMel(nn.Module):
    """Log-mel power, each bin's mean over the utterance removed (which cancels gain and channel colour).

    forward(waveform [B, N] in -1..1 at 16 kHz, lengths [B] in samples) -> features [B, T, 80], lengths [B] in frames.
    Frames past an utterance's end are zero, so that a batch equals its members one by one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mel = MelSpectrogram(
            SAMPLE_RATE,
            n_fft=512,
            win_length=WINDOW,
            hop_length=HOP,
            f_min=LOWEST,
            f_max=HIGHEST,
            n_mels=MELS,
            pad_mode="constant",
        )

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(waveform.device.type, enabled=False):
            power = self.mel(waveform.float())
            log_mel = torch.log(power + FLOOR).transpose(1, 2)
        frames = frame_count(lengths)
        log_mel = log_mel[:, : int(frames.max())] if len(frames) else log_mel
        mask = padding_mask(frames, log_mel.shape[1]).unsqueeze(-1)
        mean = (log_mel * mask).sum(1, keepdim=True) / frames.clamp(min=1)[:, None, None]
        return (log_mel - mean) * mask, frames
