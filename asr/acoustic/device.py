"""The acoustic model on a device of PyTorch's, such as a graphics card. Asked as an AcousticModel is."""

from collections.abc import Mapping

import numpy as np
import torch

from asr.acoustic.model import AcousticConfig
from asr.acoustic.network import AcousticNetwork
from asr.audio.features import log_mel


class TorchAcousticModel:
    """An AcousticNetwork with the weights of a bundle."""

    def __init__(self, config: AcousticConfig, weights: Mapping[str, np.ndarray], device: str) -> None:
        """device: as PyTorch calls it, such as "cuda". Raises ValueError if there is none of that name."""
        self._network = AcousticNetwork(config)
        self._network.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights})
        try:
            self._network.to(device)
        except (RuntimeError, AssertionError) as error:  # the latter from a PyTorch built without CUDA
            reason = str(error).splitlines()[0]
            raise ValueError(f"device {device!r} can't be used ({reason}): name another, or leave it out") from None
        self._device = device
        self._network.eval()

    def log_probs(self, waveform: np.ndarray) -> np.ndarray:
        """float32 [N] at 16 kHz to float32 [T', units]; T' is 0 if the waveform is empty."""
        if not len(waveform):
            return np.zeros((0, self._network.config.units), np.float32)
        features = torch.from_numpy(log_mel(waveform)).to(self._device)
        with torch.inference_mode():
            log_probs, _ = self._network(features[None], torch.tensor([len(features)], device=self._device))
        return log_probs[0].cpu().numpy()
