from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr.acoustic.model import AcousticConfig, AcousticModel, output_length, running_mean, shapes
from asr.acoustic.network import AcousticNetwork
from asr.acoustic.stream import AHEAD, STEP, AcousticStream, AheadStream
from asr.audio.features import HOP, MELS, SAMPLE_RATE, WINDOW, log_mel, uncentred

DATA = Path(__file__).parents[2] / "data"
SMALL = AcousticConfig(units=5, hidden=8, layers=2, channels=4)


def in_numpy(network: AcousticNetwork) -> AcousticModel:
    return AcousticModel(network.config, {name: weight.numpy() for name, weight in network.state_dict().items()})


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples, np.float32)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_shapes_are_the_networks(bidirectional: bool) -> None:
    config = replace(SMALL, bidirectional=bidirectional)
    weights = AcousticNetwork(config).state_dict()
    assert dict(shapes(config)) == {name: tuple(weight.shape) for name, weight in weights.items()}


@pytest.mark.parametrize("samples", [1, 159, 160, 4_000, 20_000])
def test_features_are_torchaudios(samples: int) -> None:
    speech, _ = soundfile.read(DATA / "1970-28415-0034.flac", samples, start=16_000, dtype="float32")
    expected = np.load(DATA / "log_mel.npz")[str(samples)]
    found = log_mel(speech)
    assert found.dtype == np.float32
    # A brief recording is filled up, for the mean, with its quietest frame.
    quietest = np.tile(expected.min(0), (max(0, 120 - len(expected)), 1))
    np.testing.assert_allclose(found, expected - np.concatenate([expected, quietest]).mean(0), atol=1e-4)


@pytest.mark.parametrize("name", ["1970-28415-0034", "3664-178355-0019", "5789-70653-0013"])
def test_speech_is_levelled_alike_between_pauses(name: str) -> None:
    speech, _ = soundfile.read(DATA / f"{name}.flac", dtype="float32")
    speech = speech[: len(speech) // HOP * HOP]
    alone, plain = log_mel(speech), uncentred(np.pad(speech, WINDOW // 2))
    np.testing.assert_allclose(alone, plain - plain.mean(0), atol=1e-4)  # where there is no pause
    shifts = []
    for seconds in (3, 20):
        pause = 1e-3 * noise(seconds * SAMPLE_RATE)
        between = np.concatenate([pause, speech, pause])
        there = slice(100 * seconds, 100 * seconds + len(alone))
        plain = uncentred(np.pad(between, WINDOW // 2))
        shifts.append(np.abs((log_mel(between)[there] - alone).mean(0)).mean())
        assert shifts[-1] < 0.6 * np.abs(((plain - plain.mean(0))[there] - alone).mean(0)).mean()
    assert shifts[1] < 1.2 * shifts[0]  # however long the pauses are


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_model_in_numpy_is_the_network(bidirectional: bool) -> None:
    torch.manual_seed(0)
    network = AcousticNetwork(replace(SMALL, bidirectional=bidirectional)).eval()
    for weight in network.parameters():
        weight.data *= 2  # so that units differ by more than rounding
    model = in_numpy(network)
    for frames in [1, 2, 3, 4, 5, 255, 256, 257, 258, 700]:
        features = np.random.default_rng(frames).standard_normal((frames, MELS), np.float32)
        with torch.no_grad():
            expected, _ = network(torch.from_numpy(features)[None], torch.tensor([frames]))
        np.testing.assert_allclose(model.encode(features), expected[0], atol=1e-4)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_batch_equals_its_members_one_by_one(bidirectional: bool) -> None:
    torch.manual_seed(0)
    network = AcousticNetwork(replace(SMALL, bidirectional=bidirectional)).eval()
    lengths = torch.tensor([100, 63, 2, 1])
    features = torch.randn(4, 100, MELS) * (torch.arange(100) < lengths[:, None])[..., None]
    batched, frames = network(features, lengths)
    for row, length in enumerate(lengths):
        alone, alone_frames = network(features[row : row + 1, :length], lengths[row : row + 1])
        assert int(alone_frames) == int(frames[row]) == alone.shape[1]
        torch.testing.assert_close(batched[row, : frames[row]], alone[0], atol=1e-5, rtol=0)


def test_outputs_are_log_probs_every_40_ms() -> None:
    log_probs = in_numpy(AcousticNetwork(SMALL)).log_probs(noise(32_000))
    assert log_probs.shape == (51, 5)
    assert output_length(len(log_mel(noise(32_000)))) == 51
    np.testing.assert_allclose(np.exp(log_probs).sum(1), 1, rtol=1e-5)


def test_an_empty_waveform_has_no_frames() -> None:
    assert in_numpy(AcousticNetwork(SMALL)).log_probs(noise(0)).shape == (0, 5)


def test_a_unidirectional_model_hears_only_the_past() -> None:
    model = in_numpy(AcousticNetwork(replace(SMALL, bidirectional=False)))
    features = np.random.default_rng(0).standard_normal((100, MELS), np.float32)
    changed = features.copy()
    changed[60:] += 1
    before, after = model.encode(features), model.encode(changed)
    # An output frame sees three feature frames of the future, by its convolutions.
    np.testing.assert_allclose(before[:14], after[:14], atol=1e-6)
    assert not np.allclose(before[15:], after[15:])


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 400, 4_000, 30_011])
@pytest.mark.parametrize("piece", [7, 200, 1_000, 16_000])
def test_a_stream_in_pieces_is_the_whole(samples: int, piece: int) -> None:
    torch.manual_seed(0)
    model = in_numpy(AcousticNetwork(replace(SMALL, bidirectional=False)))
    waveform = noise(samples)
    blocks = (waveform[first : first + piece] for first in range(0, samples, piece))
    *pieces, last = AcousticStream(model).run(blocks)
    # What is certain isn't kept back: a frame needs 43 ms beyond its centre.
    assert sum(map(len, pieces)) >= (samples / SAMPLE_RATE - 0.0525) / 0.04
    np.testing.assert_allclose(np.concatenate([*pieces, last]), model.log_probs(waveform), atol=1e-4)


def test_a_stream_needs_a_one_way_model() -> None:
    with pytest.raises(ValueError, match="one-way"):
        AcousticStream(in_numpy(AcousticNetwork(SMALL)))


def ahead(model: AcousticModel, waveform: np.ndarray, piece: int = 700) -> np.ndarray:
    blocks = (waveform[first : first + piece] for first in range(0, len(waveform), piece))
    return np.concatenate([*AheadStream(model).run(blocks)])


@pytest.mark.parametrize("piece", [7, 200, 16_000])
def test_a_stream_that_hears_ahead_does_not_depend_on_its_pieces(piece: int) -> None:
    model = in_numpy(AcousticNetwork(SMALL))
    waveform = noise(30_011)
    heard = ahead(model, waveform, piece)
    assert heard.shape == model.log_probs(waveform).shape
    np.testing.assert_allclose(heard, ahead(model, waveform), atol=1e-4)


def test_a_stream_that_hears_ahead_hears_the_past_and_a_little_of_the_future() -> None:
    model = in_numpy(AcousticNetwork(SMALL))
    waveform = noise(48_000)
    heard = ahead(model, waveform)
    changed = waveform.copy()
    changed[32_000:] = noise(16_000, seed=1)
    # A step ends so many frames before the change at least that nothing of it is heard.
    same = 50 - STEP - AHEAD - 2
    after = ahead(model, changed)
    np.testing.assert_allclose(heard[:same], after[:same], atol=1e-5)
    assert not np.allclose(heard[48:60], after[48:60], atol=1e-3)
    changed = waveform.copy()
    changed[:1_600] = 0
    assert not np.allclose(heard[10:], ahead(model, changed)[10:], atol=1e-6)


def test_a_short_stream_is_heard_as_a_whole() -> None:
    model = in_numpy(AcousticNetwork(SMALL))
    waveform = noise(640 * (STEP + AHEAD - 2))
    features = uncentred(np.pad(waveform, WINDOW // 2))
    whole = model.encode(features - running_mean(features))
    np.testing.assert_allclose(ahead(model, waveform), whole, atol=1e-4)
    stream = AheadStream(model)
    assert len(stream.accept(waveform)) == 0


def test_a_restarted_stream_forgets_what_was_said() -> None:
    model = in_numpy(AcousticNetwork(SMALL))
    streams = [AheadStream(model) for _ in range(2)]
    for stream in streams:
        stream.accept(noise(16_000))
    streams[1].restart()
    before, after = (stream.accept(noise(16_000, seed=1)) for stream in streams)
    assert before.shape == after.shape
    assert not np.allclose(before, after, atol=1e-6)


def test_loudness_does_not_matter() -> None:
    model = in_numpy(AcousticNetwork(SMALL))
    np.testing.assert_allclose(model.log_probs(5 * noise(16_000)), model.log_probs(noise(16_000)), atol=1e-3)
