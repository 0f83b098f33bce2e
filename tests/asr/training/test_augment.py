import torch

from asr.training.augment import BandLimits, Crops, Masks, Noise, SpeedPerturbation, bin_to_hertz, hertz_to_bin


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


def test_masks_are_runs_of_bins_and_of_frames_others_for_each_utterance() -> None:
    torch.manual_seed(0)
    in_bins = Masks(frequency_masks=1, bins=15, time_masks=0, frames=0)(torch.ones(400, 20, 80)) == 0
    assert (in_bins == in_bins[:, :1]).all()  # the same in all frames
    in_time = Masks(frequency_masks=0, bins=0, time_masks=1, frames=30)(torch.ones(400, 100, 80)) == 0
    assert (in_time == in_time[..., :1]).all()
    for masks in (in_bins[:, 0], in_time[..., 0]):  # 15 % of 100 frames are less than 30
        assert set(masks.sum(1).tolist()) == set(range(15))
        assert (masks.diff(dim=1).sum(1) <= 2).all()  # in one piece
        assert masks.any(0)[:-1].all()  # anywhere; rounding spares the last


def test_masks_of_both_kinds_together_keep_some() -> None:
    torch.manual_seed(0)
    masked = Masks(frequency_masks=2, bins=15, time_masks=2, frames=30)(torch.ones(8, 200, 80))
    assert masked.shape == (8, 200, 80)
    assert 0.3 < masked.mean() < 1


def test_noise_fills_the_pauses_and_leaves_means_and_padding_at_zero() -> None:
    torch.manual_seed(0)
    features = torch.full((8, 60, 80), -4.0)
    for row in range(8):
        features[row, 5 * row : 5 * row + 20] = 4.0  # sound between silences, at another time in each
    lengths = torch.tensor([60] * 7 + [50])
    features[7, 50:] = 0

    def contrast(noisy: torch.Tensor) -> float:
        assert noisy.shape == features.shape
        torch.testing.assert_close(noisy.sum(1), torch.zeros(8, 80), atol=1e-2, rtol=0)
        assert not noisy[7, 50:].any()
        return float((noisy.amax(1) - noisy.amin(1)).mean())

    assert contrast(Noise(1.0, -61.0, -60.0)(features, lengths)) > 7.5
    assert contrast(Noise(1.0, -1.0, 0.0)(features, lengths)) < 6


def test_no_utterance_gets_noise_if_the_share_is_zero() -> None:
    features = torch.randn(3, 20, 80)
    torch.testing.assert_close(Noise(0.0, -20.0, 0.0)(features, torch.tensor([20, 20, 20])), features)


def test_band_limits_take_what_is_above_them_from_some_utterances() -> None:
    torch.manual_seed(0)
    features = torch.randn(400, 5, 80)
    limited = BandLimits(0.3, 3400.0)(features)
    kept = limited != 0
    bins = kept.sum(2)  # from below, in all frames of an utterance the same
    assert (kept == (torch.arange(80) < bins[..., None])).all()
    assert (bins == bins[:, :1]).all()
    torch.testing.assert_close(limited[kept], features[kept])
    assert 80 < int((bins[:, 0] < 80).sum()) < 160
    assert 3300 < float(bin_to_hertz(bins.min())) < 3600


def test_crops_cut_ends_off_and_leave_as_much_as_is_needed() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([50] * 50 + [30] * 50)
    features = torch.arange(1.0, 51)[:, None].repeat(100, 1, 80) * (torch.arange(50) < lengths[:, None])[..., None]
    least = torch.tensor([0] * 50 + [28] * 25 + [40] * 25)
    cropped, left = Crops(8)(features, lengths, least)
    for row, length, before in zip(cropped, left.tolist(), lengths.tolist(), strict=True):
        first = int(row[0, 0])
        assert (row[:length, 0] == torch.arange(first, first + length)).all()
        assert not row[length:].any()
        assert first - 1 <= 8
        assert before - (first - 1 + length) <= 8
    assert {1, 9} <= set(cropped[:50, 0, 0].tolist())
    assert {28, 29, 30} == set(left[50:75].tolist())
    assert (left[75:] == 30).all()


def test_pairs_get_the_same_speed_and_the_same_crop() -> None:
    torch.manual_seed(0)
    features, lengths = torch.randn(4, 50, 80).repeat(2, 1, 1), torch.full((8,), 50)
    fast, new_lengths = SpeedPerturbation(0.8, 1.2)(features, lengths, paired=True)
    assert len(set(new_lengths[:4].tolist())) > 1  # each pair has its own
    cropped, left = Crops(8)(features, lengths, torch.zeros(8), paired=True)
    assert len(set(left[:4].tolist())) > 1
    for heard, frames in (fast, new_lengths), (cropped, left):
        torch.testing.assert_close(frames[:4], frames[4:])
        torch.testing.assert_close(heard[:4], heard[4:])
