import torch

from asr.augment import Masks, SpeedPerturbation, bin_to_hertz, hertz_to_bin


def test_mel_bins_and_frequencies_are_inverse() -> None:
    bins = torch.linspace(-1, 80, 50)
    torch.testing.assert_close(hertz_to_bin(bin_to_hertz(bins)), bins, atol=1e-3, rtol=0)


def test_speed_1_changes_nothing() -> None:
    features = torch.randn(2, 50, 80)
    features[1, 30:] = 0
    same, lengths = SpeedPerturbation(1.0, 1.0)(features, torch.tensor([50, 30]))
    torch.testing.assert_close(same, features, atol=1e-4, rtol=0)
    assert lengths.tolist() == [50, 30]


def test_twice_as_fast_is_half_as_long_and_an_octave_higher() -> None:
    features = torch.zeros(1, 60, 80)
    tone = round(float(hertz_to_bin(torch.tensor(1000.0))))
    features[:, 20:40, tone] = 1
    fast, lengths = SpeedPerturbation(2.0, 2.0)(features, torch.tensor([60]))
    assert lengths.tolist() == [30]
    assert 8 <= int(fast[0, :, tone:].sum(1).nonzero()[0]) <= 11
    assert abs(float(bin_to_hertz(fast[0, 15].argmax())) - 2000) < 100


def test_masks_keep_the_shape_and_hide_some() -> None:
    torch.manual_seed(0)
    masked = Masks(bands=2, band_bins=15, stretches=2, stretch_frames=30)(torch.ones(8, 200, 80))
    assert masked.shape == (8, 200, 80)
    assert 0.3 < masked.mean() < 1
