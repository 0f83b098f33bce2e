"""Training on a few made-up utterances: tones that stand for letters."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lhotse import CutSet

from asr.acoustic.model import AcousticConfig
from asr.acoustic.network import AcousticNetwork
from asr.lexicon.units import CharacterUnits
from asr.training.corpus import Batch, BatchLoader, FeatureStore, LabelledUtterances
from asr.training.criteria import apc_loss, consistency_loss
from asr.training.train import (
    AcousticTrainConfig,
    AcousticTraining,
    Corpus,
    frames_needed,
    read_config,
    take_over,
    train,
)
from data_prep.manifest import Item, prepare, write
from lm.training.engine import Training, read_checkpoint
from lm.training.readable import read_config as read_readable_config
from lm.training.train import read_config as read_lstm_config

TONES = {"A": 500, "B": 1000, "C": 2000}  # Hz
TEXTS = ["AB", "BA", "CAB", "ABC", "BCA", "AC", "CB", "BAC"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    items = []
    for text in [*TEXTS, "A" * 60, ""]:  # the last two can't be learnt: too many letters, and none
        tones = [np.sin(2 * np.pi * TONES[letter] * np.arange(3200) / 16_000) for letter in (text or "A")[:3]]
        path = folder / f"{text[:3] or 'none'}{len(text)}.wav"
        soundfile.write(path, np.concatenate([np.pad(tone, 1600) for tone in tones]) * 0.3, 16_000)
        items.append(Item(path.stem, path, text or "-", None, None))
    write(prepare(items, 35.0).cuts, folder / "tones.jsonl.gz")
    return folder / "tones.jsonl.gz"


@pytest.fixture(scope="module")
def copies(manifest: Path) -> Path:
    """A copy in noise of most utterances."""
    random = np.random.default_rng(1)
    items = []
    for cut in list(CutSet.from_file(manifest))[2:]:
        path = manifest.parent / f"{cut.id}-1.wav"
        sound = cut.load_audio()[0]
        soundfile.write(path, sound + 0.03 * random.standard_normal(len(sound)), 16_000)
        items.append(Item(path.stem, path, cut.supervisions[0].text, None, None))
    write(prepare(items, 35.0).cuts, manifest.parent / "copies.jsonl.gz")
    return manifest.parent / "copies.jsonl.gz"


def config(manifest: Path, steps: int) -> AcousticTrainConfig:
    return AcousticTrainConfig(
        corpora=[Corpus(str(manifest))],
        dev=str(manifest),
        model={"hidden": 32, "layers": 1, "channels": 4, "dropout": 0.1},
        max_steps=steps,
        validate_every=20,
        warmup_steps=5,
        learning_rate=1e-2,
        batch_seconds=4,
        frequency_masks=1,
        time_masks=0,
        precision="32-true",
    )


def test_it_learns_and_counts_what_it_leaves_out(
    manifest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    best = train(config(manifest, 160), CharacterUnits(), tmp_path / "run")
    log = capfd.readouterr().err
    assert "8 utterances; left out: 1 no words, 1 too short for its words" in log
    rates = [float(line.split("dev/unit_error_rate ")[1].split()[0]) for line in log.splitlines() if "dev/unit" in line]
    assert rates[0] > 30  # per cent
    assert 0 < rates[-1] < 20
    sizes, weights = read_checkpoint(best)
    assert sizes["hidden"] == 32
    assert "output.weight" in weights


def test_where_nobody_speaks_nothing_is_to_be_heard(
    manifest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Noise beside tones: CTC-CRF learns to tell them apart, and a step of noise alone has a loss, too."""
    random = np.random.default_rng(1)
    items = []
    for number in range(6):
        path = tmp_path / f"noise{number}.wav"
        soundfile.write(path, 0.1 * random.standard_normal(8000 + 2000 * number), 16_000)
        items.append(Item(path.stem, path, "B A"))  # whatever its text
    write(prepare(items).cuts, tmp_path / "noise.jsonl.gz")
    settings = replace(
        config(manifest, 120),
        corpora=[Corpus(str(manifest)), Corpus(str(tmp_path / "noise.jsonl.gz"), speech=False)],
        criterion="crf",
        batch_seconds=2,  # some steps are noise alone
    )
    best = train(settings, CharacterUnits(), tmp_path / "run")
    log = capfd.readouterr().err
    assert "14 utterances; left out: 1 no words, 1 too short for its words" in log
    sizes, weights = read_checkpoint(best)
    model = AcousticNetwork(AcousticConfig(**sizes))
    take_over(model, weights)
    model.eval()
    store = FeatureStore(tmp_path / "noise.jsonl.gz", tmp_path)
    tones = FeatureStore(manifest, tmp_path)

    @torch.inference_mode()
    def blank(features: np.ndarray) -> float:
        log_probs, _ = model(torch.from_numpy(features.astype(np.float32))[None], torch.tensor([len(features)]))
        return log_probs[0, :, 0].exp().mean().item()

    assert min(blank(store[number]) for number in range(len(store))) > 0.95
    assert max(blank(tones[number]) for number, text in enumerate(tones.texts) if len(text) == 3) < 0.95


def test_equal_neighbours_need_a_blank_between_them() -> None:
    labels = [1, 1, 2, 2, 2, 3, 3]  # of three utterances: 1 1 2, 2, and 2 3 3
    batch = Batch(torch.zeros(3, 9, 80), torch.full((3,), 9), torch.tensor(labels), torch.tensor([3, 1, 3]), 1.0)
    assert frames_needed(batch).tolist() == [4, 1, 4]


def losses(settings: AcousticTrainConfig, output: Path) -> list[float]:
    """Train; the loss of each step that was taken."""
    found: list[float] = []

    def log(self: Training, name: str, value: float, **options: object) -> None:
        if name == "train/loss":
            found.append(float(value))
        original(self, name, value, **options)

    original = Training.log
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "log", log)
        train(settings, CharacterUnits(), output)
    return found


def apc_config(manifest: Path, steps: int) -> AcousticTrainConfig:
    settings = config(manifest, steps)
    return replace(settings, pretrain="apc", model={**settings.model, "bidirectional": False})


def test_apc_learns_to_foretell_what_has_no_words_and_what_it_learnt_begins_a_training(
    manifest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    best = train(apc_config(manifest, 60), None, tmp_path / "run")
    log = capfd.readouterr().err
    assert "10 utterances; left out: 0 too short" in log
    found = [float(line.split("dev/loss ")[1].split()[0]) for line in log.splitlines() if "dev/loss" in line]
    assert found[-1] < 0.9 * found[0]
    _, weights = read_checkpoint(best)
    module = AcousticTraining(apc_config(manifest, 1), len(CharacterUnits().symbols), None)
    before = {name: weight.clone() for name, weight in module.model.state_dict().items()}
    assert take_over(module.model, weights) == ["output"]
    taken = {name for name, weight in module.model.state_dict().items() if not torch.equal(weight, before[name])}
    assert taken == before.keys() - {"output.weight", "output.bias"}


def foretold(frame: int, shift: int) -> list[int]:
    """The feature frames that the loss of an output frame compares with: those that it has of all frames up to it."""
    reached: list[set[int]] = []
    for last in frame, frame + 1:
        features = torch.randn(1, 24, 80, requires_grad=True)
        apc_loss(torch.zeros(1, 6, 320), features, torch.tensor([4 * (last + shift)]), shift)[0].backward()
        assert features.grad is not None
        reached.append(set(features.grad[0].any(1).nonzero().flatten().tolist()))
    return sorted(reached[1] - reached[0])


def heard_beforehand(shift: int) -> bool:
    """Whether what APC is to foretell changes what it says."""
    torch.manual_seed(1)
    model = AcousticNetwork(AcousticConfig(units=320, hidden=8, layers=2, channels=2, bidirectional=False)).eval()
    features, lengths = torch.randn(1, 24, 80), torch.tensor([24])
    before, _ = model.logits(features, lengths)
    changes = []
    for frame in range(24 // 4 - shift):
        targets = foretold(frame, shift)
        assert len(targets) == 4
        other = features.clone()
        other[0, targets] = torch.randn(4, 80)
        changes.append(not torch.equal(before[0, frame], model.logits(other, lengths)[0][0, frame]))
    return any(changes)


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_apc_has_not_heard_what_it_is_to_foretell(shift: int) -> None:
    assert not heard_beforehand(shift)


def test_with_a_shift_of_0_it_would_have_heard_it() -> None:
    assert heard_beforehand(0)


def test_apc_is_for_models_that_hear_the_past_alone(manifest: Path) -> None:
    with pytest.raises(ValueError, match=r"say model\.bidirectional = false"):
        replace(config(manifest, 1), pretrain="apc")


def test_apc_has_no_use_for_second_hearings(manifest: Path) -> None:
    settings = apc_config(manifest, 1)
    for pairs in {"consistency": 0.2}, {"corpora": [Corpus(str(manifest), copies=[str(manifest)])]}:
        with pytest.raises(ValueError, match="leave out consistency and copies"):
            replace(settings, **pairs)


def test_two_hearings_are_read_more_alike_if_they_are_asked_to(manifest: Path, copies: Path, tmp_path: Path) -> None:
    def apart(consistency: float) -> float:
        corpora = [Corpus(str(manifest), copies=[str(copies)])]
        settings = replace(config(manifest, 60), corpora=corpora, consistency=consistency, batch_seconds=8)
        best = train(settings, CharacterUnits(), tmp_path / str(consistency))
        module = AcousticTraining(settings, len(CharacterUnits().symbols), None).eval()
        take_over(module.model, read_checkpoint(best)[1])
        stores = [FeatureStore(path, tmp_path / "features") for path in (manifest, copies)]
        data = LabelledUtterances(stores[:1], [1.0], CharacterUnits(), fastest=1.0, copies=[stores[1:]])
        batch = data.batch(range(len(data.items)), draws=[0.0] * len(data.items))
        with torch.no_grad():
            read = module.model(batch.features, batch.lengths)
        return float(consistency_loss(*read).sum())

    assert 0 < apart(1.0) < 0.5 * apart(0.0)


@pytest.mark.parametrize(("accumulate", "consistency"), [(1, 0.0), (2, 0.0), (1, 0.2)])
def test_a_training_killed_in_an_epoch_goes_on_as_if_uninterrupted(
    manifest: Path, copies: Path, tmp_path: Path, accumulate: int, consistency: float
) -> None:
    settings = replace(config(manifest, 10), batch_seconds=2, accumulate=accumulate)
    if consistency:
        corpora = [Corpus(str(manifest), copies=[str(copies)])]
        settings = replace(settings, corpora=corpora, consistency=consistency, batch_seconds=4)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = losses(settings, whole)

    class Killed(Exception):
        pass

    def kill(self: AcousticTraining, batch: Batch) -> torch.Tensor:
        nonlocal heard
        heard += 1
        if heard == 8 * accumulate:  # in the 8th step, at its last batch
            raise Killed
        return original(self, batch)

    heard = 0
    original = AcousticTraining.loss
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AcousticTraining, "loss", kill)
        patch.setattr("lm.training.engine.CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(Killed):
            train(settings, CharacterUnits(), parts)
    checkpoint = torch.load(parts / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 7
    assert checkpoint["loops"]["fit_loop"]["state_dict"]["combined_loader"][0]["done"] > 0  # not between two epochs
    np.testing.assert_allclose(losses(settings, parts), expected[7:], rtol=0, atol=1e-5)
    _, weights = read_checkpoint(whole / "last.ckpt")
    _, found = read_checkpoint(parts / "last.ckpt")
    for name, weight in weights.items():
        np.testing.assert_allclose(found[name], weight, atol=1e-6, rtol=0)


def test_accumulated_batches_make_the_step_of_a_large_one(manifest: Path, tmp_path: Path) -> None:
    # Each batch would draw its own dropout and augmentation.
    plain = replace(config(manifest, 10), slowest=1.0, fastest=1.0, frequency_masks=0)
    plain.model["dropout"] = 0.0
    expected = losses(replace(plain, batch_seconds=4), tmp_path / "one")
    found = losses(replace(plain, batch_seconds=2, accumulate=2), tmp_path / "two")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_batches_hold_every_utterance_as_often_as_its_weight_says(manifest: Path, tmp_path: Path) -> None:
    store = FeatureStore(manifest, tmp_path)
    data = LabelledUtterances([store, store], [2.0, 0.5], CharacterUnits(), fastest=1.0)
    loader = BatchLoader(data, seconds=3, seed=1)
    heard = [sum(len(batch.lengths) for batch in loader) for _ in range(20)]
    assert min(heard) >= 2 * len(TEXTS)
    assert 2.2 * len(TEXTS) < np.mean(heard) < 2.8 * len(TEXTS)


def test_every_epoch_is_whole_though_nobody_asks_past_its_last_batch(manifest: Path, tmp_path: Path) -> None:
    data = LabelledUtterances([FeatureStore(manifest, tmp_path)], [1.0], CharacterUnits(), fastest=1.0)
    for loader in BatchLoader(data, seconds=2, seed=3), BatchLoader(data, seconds=2, seed=None):
        for _ in range(3):
            assert sum(len(batch.lengths) for batch in islice(loader, len(loader))) == len(TEXTS)


def test_a_loader_goes_on_where_its_state_was_taken(manifest: Path, tmp_path: Path) -> None:
    data = LabelledUtterances([FeatureStore(manifest, tmp_path)], [1.0], CharacterUnits(), fastest=1.0)
    first, second = (BatchLoader(data, seconds=2, seed=3) for _ in range(2))
    list(first)
    batches = iter(first)
    next(batches)
    second.load_state_dict(first.state_dict())
    for expected, found in zip(batches, second, strict=True):
        torch.testing.assert_close(found.features, expected.features)


def test_features_half_made_are_made_again(manifest: Path, tmp_path: Path) -> None:
    whole = FeatureStore(manifest, tmp_path)[0].copy()
    for index in tmp_path.glob("*.json"):
        index.unlink()
    for data in tmp_path.glob("*.f16"):
        data.write_bytes(b"cut")
    np.testing.assert_array_equal(FeatureStore(manifest, tmp_path)[0], whole)


def test_settings_that_do_not_exist_are_named(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('dev = "x"\nlearningrate = 1\n')
    with pytest.raises(ValueError, match="no such setting: learningrate"):
        read_config(tmp_path / "settings.toml")
    (tmp_path / "settings.toml").write_text('dev = "x"\n')
    with pytest.raises(ValueError, match="settings are missing: corpora"):
        read_config(tmp_path / "settings.toml")
    (tmp_path / "settings.toml").write_text('dev = "x"\n[[corpora]]\nmanifest = "y"\n')
    with pytest.raises(ValueError, match="neither max_minutes nor max_steps"):
        read_config(tmp_path / "settings.toml")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("validate_every = 0", "validate_every = 0: want a whole number from 1"),
        ("batch_seconds = -1", "batch_seconds = -1: want a finite number above 0"),
        ("warmup_steps = 1.5", "warmup_steps = 1.5: want a whole number from 1"),
        ("consistency = -0.1", "consistency = -0.1: want a finite number from 0"),
        ("noise_share = 1.1", "noise_share = 1.1: want a number from 0 to 1"),
        ("quietest_noise = -inf", "quietest_noise = -inf: want a finite number"),
        ('criterion = "mmi"', 'criterion = "mmi": want "ctc" or "crf"'),
        ('pretrain = "apc"\napc_shift = 0', "apc_shift = 0: want a whole number from 1"),
        ("slowest = 1.3", "slowest = 1.3 is above fastest = 1.12"),
        ("frequency_mask_bins = 81", "frequency_mask_bins = 81: there are 80 bins"),
        ("[model]\nlayers = true", "model.layers = true: want a whole number from 1"),
        ("[[corpora]]\nmanifest = 3", r"corpora\[1\].manifest = 3: want text in quotes"),
        ('[[corpora]]\nmanifest = "z"\ncopies = "c"', r'corpora\[1\].copies = "c": want a list, each text in quotes'),
        ("[[corpora]]\nweight = 1", r"missing: corpora\[1\].manifest"),
        (
            '[[corpora]]\nmanifest = "z"\nwieght = 1',
            r"no such setting: corpora\[1\].wieght = 1",
        ),
    ],
)
def test_values_that_are_not_allowed_are_named(tmp_path: Path, setting: str, problem: str) -> None:
    path = tmp_path / "settings.toml"
    tables = '[[corpora]]\nmanifest = "y"\n'
    first, second = ("", setting) if setting.startswith("[") else (setting, "")
    path.write_text(f'dev = "x"\nmax_steps = 1\n{first}\n{tables}{second}\n')
    with pytest.raises(ValueError, match=problem) as error:
        read_config(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[3] / "recipes").rglob("*.toml")), ids=str)
def test_the_settings_that_ship_are_allowed(path: Path) -> None:
    readers = {"lstm.toml": read_lstm_config, "readable.toml": read_readable_config}
    assert readers.get(path.name, read_config)(path).validate_every
