"""The acoustic model as a PyTorch module, to be trained on batches. Once trained it runs in NumPy: see asr.acoustic."""

import torch
from torch import Tensor, nn

from asr.acoustic.model import SUBSAMPLING, AcousticConfig
from asr.audio.features import MELS


def padding_mask(lengths: Tensor, size: int) -> Tensor:
    """[B] lengths to a bool mask [B, size], true where a frame is real."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


class Convolutions(nn.Module):
    """Two 3 x 3 convolutions of stride 2 over time and frequency: [B, T, 80] -> [B, T/4, channels * 20]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.size = channels * MELS // SUBSAMPLING

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = features.unsqueeze(1)
        for convolution in (self.first, self.second):
            x = torch.relu(convolution(x))
            lengths = (lengths + 1) // 2
            # The next layer must see zeros past the end, as it would if the utterance stood alone.
            x = x * padding_mask(lengths, x.shape[2])[:, None, :, None]
        return x.transpose(1, 2).flatten(2), lengths


class RecurrentLayer(nn.Module):
    """One LSTM layer over [T, B, F], forwards and, if asked, backwards from each utterance's own end.

    The backward direction reads a copy reversed within each length. So padding is never read before speech, a batch
    equals its members one by one, and oneDNN's fused LSTM, which takes no packed sequences, can be used.
    """

    def __init__(self, inputs: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.forwards = nn.LSTM(inputs, hidden)
        self.backwards = nn.LSTM(inputs, hidden) if bidirectional else None
        self.size = hidden * (2 if bidirectional else 1)

    def forward(self, x: Tensor, reversal: Tensor) -> Tensor:
        """reversal [T, B]: for each position the one to read instead; it is its own inverse."""
        past = self.forwards(x)[0]
        if self.backwards is None:
            return past
        future = self.backwards(reverse(x, reversal))[0]
        return torch.cat([past, reverse(future, reversal)], dim=-1)


def reverse(x: Tensor, reversal: Tensor) -> Tensor:
    """Reorder [T, B, F] in time by `reversal` [T, B]."""
    return x.gather(0, reversal.unsqueeze(-1).expand_as(x))


def running_mean(features: Tensor) -> Tensor:
    """As in asr.acoustic.model, of a batch [B, T, 80]."""
    count = torch.arange(1, features.shape[1] + 1, device=features.device)[:, None]
    return features.cumsum(1) / count


def reversal_of(lengths: Tensor, size: int) -> Tensor:
    """[size, B] positions that reverse each utterance within its length and leave its padding in place."""
    position = torch.arange(size, device=lengths.device)[:, None]
    return torch.where(position < lengths, lengths - 1 - position, position)


class AcousticNetwork(nn.Module):
    """Two convolutions, LSTM layers with layer normalisation, and a CTC output layer."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.config = config
        self.convolutions = Convolutions(config.channels)
        self.layers = nn.ModuleList()
        self.norms = nn.ModuleList()
        size = self.convolutions.size
        for _ in range(config.layers):
            layer = RecurrentLayer(size, config.hidden, config.bidirectional)
            size = layer.size
            self.layers.append(layer)
            self.norms.append(nn.LayerNorm(size))
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(size, config.units)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """features [B, T, 80] of `log_mel`, padded with zeros, lengths [B] -> log-probs [B, T', units], lengths [B]."""
        logits, lengths = self.logits(features, lengths)
        return logits.log_softmax(-1), lengths

    def logits(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, but what the output layer says, float32 in any case."""
        if not self.config.bidirectional:
            mask = padding_mask(lengths, features.shape[1])[..., None]
            features = (features - running_mean(features)) * mask
        x, lengths = self.convolutions(features, lengths)
        x = x.transpose(0, 1).contiguous()
        reversal = reversal_of(lengths, x.shape[0])
        for index, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = norm(layer(x if index == 0 else self.dropout(x), reversal))
        return self.output(self.dropout(x)).float().transpose(0, 1), lengths
