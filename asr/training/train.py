"""Trains an acoustic model from a settings file (see recipes/librispeech/ctc.toml)."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from msgspec import Meta
from rapidfuzz.distance import Levenshtein
from rich.console import Console
from torch import Tensor, nn

from asr.acoustic.model import SUBSAMPLING, AcousticConfig
from asr.acoustic.network import AcousticNetwork
from asr.audio.features import MELS
from asr.lexicon.units import BLANK, Units
from asr.training.augment import BandLimits, Crops, Masks, Noise, SpeedPerturbation
from asr.training.corpus import Batch, BatchLoader, FeatureStore, LabelledUtterances, UnlabelledUtterances, Utterances
from asr.training.criteria import UnitTrigram, apc_loss, consistency_loss, crf_loss
from lm.bundle import Dequantized, open_bundle
from lm.settings import MOST, Count, NotNegative, Number, Positive, Share, Whole
from lm.training.engine import Budget, Training, fit, processes, read_checkpoint, read_settings

CTC_SHARE = 0.1  # of CTC's loss that is added to CTC-CRF's


@dataclass(frozen=True)
class Corpus:
    """A manifest or a folder of shards to train on, and how often an epoch hears each of its utterances."""

    manifest: str
    weight: Positive = 1.0
    copies: list[str] = field(default_factory=list)  # manifests by `data-prep augment`: for second hearings
    speech: bool = True  # false: nobody speaks in it, and nothing is to be heard there; see `data-prep cut-noise`


@dataclass(frozen=True, kw_only=True)
class AcousticTrainConfig(Budget):
    """Settings of a training; the TOML file has the same names."""

    corpora: Annotated[list[Corpus], Meta(min_length=1, description="one [[corpora]] at least")]
    dev: str  # likewise; the model with the fewest unit errors on it is kept, of CTC-CRF that with the lowest loss
    model: dict[str, Any] = field(default_factory=dict)  # of AcousticConfig, but for `units`
    batch_seconds: Positive = 400.0  # of padded speech in a batch; a step has one a process, or `accumulate` of them
    criterion: Literal["ctc", "crf"] = "ctc"  # "crf": for a model that CTC has trained
    # "apc": no labels are used; a one-way model learns to foretell speech, for another training to --start-from.
    pretrain: Literal["none", "apc"] = "none"
    apc_shift: Count = 1  # output frames, of 40 ms, that it foretells ahead
    slowest: Positive = 0.88  # speed perturbation
    fastest: Positive = 1.12
    crop_frames: Whole = 0  # at most, are cut off at either end
    noise_share: Share = 0.0  # of utterances get noise
    quietest_noise: Number = -25.0  # dB relative to the speech
    loudest_noise: Number = 0.0
    band_limited_share: Share = 0.0  # of utterances lose their highest frequencies
    lowest_band_limit: Positive = 3400.0  # Hz, telephones'
    frequency_masks: Whole = 2  # SpecAugment, of so many bins at most
    frequency_mask_bins: Whole = 15
    time_masks: Whole = 2  # of so many frames at most
    time_mask_frames: Whole = 30
    # Weight of the loss by which two hearings of an utterance are to be read alike. With it, or with `copies` of any
    # corpus, batches hold each utterance twice: itself, and one of its copies, or itself again where it has none.
    consistency: NotNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for low, high in ("slowest", "fastest"), ("quietest_noise", "loudest_noise"):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} = {getattr(self, low)} is above {high} = {getattr(self, high)}")
        if self.frequency_mask_bins > MELS:
            raise ValueError(f"frequency_mask_bins = {self.frequency_mask_bins}: there are {MELS} bins")
        if self.pretrain == "apc" and self.model.get("bidirectional", True):
            raise ValueError(
                'pretrain = "apc" foretells what a model mustn\'t have heard: say model.bidirectional = false'
            )
        if self.pretrain == "apc" and self.paired:
            raise ValueError('pretrain = "apc" reads nothing that could be alike: leave out consistency and copies')

    @property
    def paired(self) -> bool:
        """Whether batches hold each utterance twice."""
        return self.consistency > 0 or any(corpus.copies for corpus in self.corpora)


def read_config(path: Path) -> AcousticTrainConfig:
    """Read a settings file. Raises ValueError for a setting that doesn't exist, or a value that isn't allowed."""
    return read_settings(path, AcousticTrainConfig, AcousticConfig, units=MOST)


class AcousticTraining(Training):
    """Training of an acoustic model on augmented log-mel features, with CTC, or CTC-CRF over a trigram of its units."""

    def __init__(self, config: AcousticTrainConfig, units: int, trigram: UnitTrigram | None) -> None:
        super().__init__(config)
        self.model = AcousticNetwork(AcousticConfig(units=units, **config.model))
        self.trigram = trigram
        self.consistency = config.consistency
        self.speed = SpeedPerturbation(config.slowest, config.fastest)
        self.crops = Crops(config.crop_frames)
        self.noise = Noise(config.noise_share, config.quietest_noise, config.loudest_noise)
        self.band_limits = BandLimits(config.band_limited_share, config.lowest_band_limit)
        self.masks = Masks(
            config.frequency_masks, config.frequency_mask_bins, config.time_masks, config.time_mask_frames
        )
        self._dev = torch.zeros(3)  # loss, errors, units

    def augmented(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Features and lengths of a batch as they are heard this time, but for SpecAugment's masks."""
        features, lengths = self.speed(batch.features, batch.lengths, batch.paired)
        if self.crops.frames:
            features, lengths = self.crops(features, lengths, SUBSAMPLING * frames_needed(batch), batch.paired)
        if self.noise.share:
            features = self.noise(features, lengths)
        if self.band_limits.share:
            features = self.band_limits(features)
        return features, lengths

    def loss(self, batch: Batch) -> Tensor:
        features, lengths = self.augmented(batch)
        log_probs, lengths = self.model(self.masks(features), lengths)
        loss = self._criterion(log_probs, lengths, batch).sum()
        if self.consistency:
            loss = loss + self.consistency * consistency_loss(log_probs, lengths).sum()
        return loss / batch.label_lengths.clamp(min=1).sum() * batch.share

    def _criterion(self, log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
        """The loss of each utterance, [B], from log-probs [B, T', units]."""
        loss = nn.functional.ctc_loss(
            log_probs.transpose(0, 1), batch.labels, lengths, batch.label_lengths, BLANK, reduction="none"
        )
        if self.trigram:
            # A share of CTC keeps the model from disowning frames that the trigram explains (An et al. 2020).
            loss = CTC_SHARE * loss + crf_loss(
                loss, log_probs, lengths, batch.labels, batch.label_lengths, self.trigram
            )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        if not batch.share:
            return
        log_probs, lengths = self.model(batch.features, batch.lengths)
        self._dev[0] += self._criterion(log_probs, lengths, batch).sum().item()
        for path, length, labels in zip(
            log_probs.argmax(-1), lengths, batch.labels.split(batch.label_lengths.tolist()), strict=True
        ):
            units = torch.unique_consecutive(path[:length])
            errors = Levenshtein.distance(units[units != BLANK].tolist(), labels.tolist())
            self._dev[1:] += torch.tensor([errors, len(labels)])

    def on_validation_epoch_end(self) -> None:
        """The loss a unit, and the unit error rate of the best path in per cent."""
        loss, errors, units = self.trainer.strategy.reduce(self._dev.to(self.device), reduce_op="sum")
        self.log("dev/loss", loss / units)
        self.log("dev/unit_error_rate", 100 * errors / units, prog_bar=True)
        self._dev.zero_()


class ApcTraining(AcousticTraining):
    """Pre-training: the network's LSTM foretells the features of speech, augmented as for training, from those before.

    Its output layer is of no further use.
    """

    def __init__(self, config: AcousticTrainConfig) -> None:
        super().__init__(config, SUBSAMPLING * MELS, None)
        self.shift = config.apc_shift
        self._dev = torch.zeros(2)  # loss, numbers

    def loss(self, batch: Batch) -> Tensor:
        features, lengths = self.augmented(batch)
        predicted, _ = self.model.logits(self.masks(features), lengths)
        loss, numbers = apc_loss(predicted, features, lengths, self.shift)
        return loss / numbers.clamp(min=1) * batch.share

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        if batch.share:
            predicted, _ = self.model.logits(batch.features, batch.lengths)
            self._dev += torch.stack(apc_loss(predicted, batch.features, batch.lengths, self.shift)).cpu()

    def on_validation_epoch_end(self) -> None:
        """The mean distance of a log-mel number from what was foretold, in nats."""
        loss, numbers = self.trainer.strategy.reduce(self._dev.to(self.device), reduce_op="sum")
        self.log("dev/loss", loss / numbers, prog_bar=True)
        self._dev.zero_()


def frames_needed(batch: Batch) -> Tensor:
    """Output frames that CTC needs for each utterance: one a unit, and a blank between equal ones; [B]."""
    owner = torch.repeat_interleave(batch.label_lengths)
    repeated = (batch.labels[1:] == batch.labels[:-1]) & (owner[1:] == owner[:-1])
    return batch.label_lengths + torch.bincount(owner[1:][repeated], minlength=len(batch.label_lengths))


def read_weights(path: Path) -> Mapping[str, np.ndarray]:
    """The weights of the acoustic model in a model folder or a checkpoint."""
    if path.is_dir():
        return Dequantized(open_bundle(path).file("acoustic.safetensors"))
    return read_checkpoint(path)[1]


def take_over(model: AcousticNetwork, weights: Mapping[str, np.ndarray]) -> list[str]:
    """Set a model's parameters to given weights wherever name and shape agree; the parts that stay as they are.

    Parts are called as the layers that hold them: "layers.0", "output". Raises ValueError if nothing agrees.
    """
    own = model.state_dict()
    fitting = {
        name: torch.from_numpy(weight)
        for name, weight in weights.items()
        if name in own and own[name].shape == weight.shape
    }
    if not fitting:
        raise ValueError("the model to start from has no layer of the sizes in the settings")
    model.load_state_dict({**own, **fitting})
    rest = (name.rpartition(".")[0] for name in own if name not in fitting)
    return list(dict.fromkeys(re.sub(r"\.(for|back)wards$", "", name) for name in rest))


def train(config: AcousticTrainConfig, units: Units | None, output: Path, start_from: Path | None = None) -> Path:
    """Train until the budget is spent; resume if `output` holds a checkpoint. Returns the best checkpoint's path.

    N processes of torchrun take the same steps as one process with N times the `batch_seconds`, as far as arithmetic
    goes; so does `accumulate = N`. But each batch draws its own dropout and augmentation. Features are kept beside
    `output`, in a folder that all processes must see.

    units: None for a pre-training, which has no use for any.
    start_from: a checkpoint or model folder whose acoustic weights to begin with, instead of random ones; layers of
    another shape, such as the output layer over other units, begin at random.
    """
    if (units is None) != (config.pretrain == "apc"):
        raise ValueError('units are for trainings with labels, so for all but pretrain = "apc"')
    cache = output.parent / "features"
    console = Console(stderr=True)
    rank, ranks = processes()

    def utterances(corpora: list[Corpus], fastest: float) -> Utterances:
        stores = [FeatureStore(Path(corpus.manifest), cache) for corpus in corpora]
        weights = [corpus.weight for corpus in corpora]
        data: Utterances
        if units:
            copies = [[FeatureStore(Path(path), cache) for path in corpus.copies] for corpus in corpora]
            speech = [corpus.speech for corpus in corpora]
            data = LabelledUtterances(stores, weights, units, fastest, copies, speech)
        else:  # the first frame that is foretold must be there, however fast the speech
            data = UnlabelledUtterances(stores, weights, math.ceil(SUBSAMPLING * (1 + config.apc_shift) * fastest))
        dropped = ", ".join(f"{count} {reason}" for reason, count in data.dropped.items())
        if rank == 0:
            console.print(f"{len(data.items)} utterances; left out: {dropped}")
        if not data.items:
            raise ValueError(f"nothing to train on in {', '.join(corpus.manifest for corpus in corpora)}")
        return data

    heard = utterances(config.corpora, config.fastest)
    training = BatchLoader(heard, config.batch_seconds, config.seed, config.accumulate, rank, ranks, config.paired)
    dev = BatchLoader(utterances([Corpus(config.dev)], 1.0), config.batch_seconds, None, 1, rank, ranks)
    trigram = None
    if units and config.criterion == "crf":
        trigram = UnitTrigram((item.labels for item in heard.items), len(units.symbols))
    torch.manual_seed(config.seed)
    module = AcousticTraining(config, len(units.symbols), trigram) if units else ApcTraining(config)
    if start_from:
        at_random = take_over(module.model, read_weights(start_from))
        if at_random and rank == 0:
            console.print(f"{start_from}: has other sizes, so these begin at random: {', '.join(at_random)}")
    # CTC-CRF leaves to a language model what that knows, so the best path alone has more errors.
    by_errors = units and not trigram
    return fit(module, training, dev, output, monitor="dev/unit_error_rate" if by_errors else "dev/loss")
