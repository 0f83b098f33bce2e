import pytest
import torch

from asr.acoustic import AcousticConfig, AcousticModel, output_length
from asr.features import frame_count

SMALL = AcousticConfig(units=5, hidden=8, layers=2, channels=4)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_batch_equals_its_members_one_by_one(bidirectional: bool) -> None:
    torch.manual_seed(0)
    model = AcousticModel(AcousticConfig(5, hidden=8, layers=2, channels=4, bidirectional=bidirectional)).eval()
    lengths = torch.tensor([16_000, 9_999, 161, 1])
    waveform = torch.randn(4, 16_000) * (torch.arange(16_000) < lengths[:, None])
    batched, frames = model(waveform, lengths)
    for row, length in enumerate(lengths):
        alone, alone_frames = model(waveform[row : row + 1, :length], lengths[row : row + 1])
        assert int(alone_frames) == int(frames[row]) == alone.shape[1]
        torch.testing.assert_close(batched[row, : frames[row]], alone[0], atol=1e-5, rtol=0)


def test_outputs_are_log_probs_every_40_ms() -> None:
    model = AcousticModel(SMALL).eval()
    log_probs, lengths = model(torch.randn(1, 32_000), torch.tensor([32_000]))
    assert log_probs.shape == (1, 51, 5)
    assert lengths.tolist() == output_length(frame_count(torch.tensor([32_000]))).tolist() == [51]
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(1, 51))


def test_a_unidirectional_model_hears_only_the_past() -> None:
    model = AcousticModel(AcousticConfig(5, hidden=8, layers=2, channels=4, bidirectional=False)).eval()
    features = torch.randn(1, 100, 80)
    changed = features.clone()
    changed[:, 60:] += 1
    before, _ = model.encode(features, torch.tensor([100]))
    after, _ = model.encode(changed, torch.tensor([100]))
    # An output frame sees three feature frames of the future, by its convolutions.
    torch.testing.assert_close(before[:, :14], after[:, :14])
    assert not torch.allclose(before[:, 15:], after[:, 15:])


def test_loudness_does_not_matter() -> None:
    model = AcousticModel(SMALL).eval()
    waveform = torch.randn(1, 16_000) * 0.1
    loud, _ = model(waveform * 5, torch.tensor([16_000]))
    quiet, _ = model(waveform, torch.tensor([16_000]))
    torch.testing.assert_close(loud, quiet, atol=1e-3, rtol=0)
