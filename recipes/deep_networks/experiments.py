"""The experiments: what is compared, as data, and one run of any of them."""

import contextlib
import io
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from networks import (
    BINS,
    DIGITS,
    FRAMES,
    Batches,
    DigitTraining,
    FeedForward,
    NetworkConfig,
    Recordings,
    Warps,
    error_rate,
    gradient_sizes,
    stratified,
)
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from asr.acoustic.model import AcousticConfig
from asr.acoustic.network import AcousticNetwork
from asr.audio.features import MELS
from asr.lexicon.letter_to_sound import LetterToSound
from asr.lexicon.lexicon import cmudict
from asr.lexicon.units import PHONES, PhoneUnits, encode
from asr.training.corpus import FeatureStore, UnlabelledUtterances
from asr.training.train import read_config, train
from lm.bundle import DEFAULT
from lm.training.engine import Budget, fit, read_checkpoint

SEEDS = (1, 2, 3, 4, 5)
EVERYTHING = 10**6  # recordings, as the size of a batch
SPEAKERS = ("george", "jackson", "lucas", "nicolas")  # of train.jsonl; choices are made by leaving out each in turn
RECIPE = Path(__file__).parent
LETTER_TO_SOUND = DEFAULT / "letter_to_sound.safetensors"

# What holds unless a setting says otherwise. Gradients are clipped in recurrent networks alone, lest clipping mend
# what is to be shown.
BUDGET: dict[str, Any] = {
    "max_steps": 200,
    "validate_every": 40,
    "warmup_steps": 20,
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 0.0,
    "gradient_norm": 1e6,
}


CURVE: dict[str, Any] = {"validate_every": 20}  # where learning curves are drawn
RECURRENT = CURVE | {"optimizer": "adamw", "gradient_norm": 1.0}


@dataclass(frozen=True)
class Setting:
    """One row of a table. `choices` are what is tuned: the one with the fewest errors on speakers left out is taken."""

    name: str
    choices: tuple[dict[str, Any], ...] = ({},)  # changes of the others
    network: dict[str, Any] = field(default_factory=dict)  # of NetworkConfig
    budget: dict[str, Any] = field(default_factory=dict)  # of Budget, other than BUDGET
    share: float = 1.0  # of the training recordings
    batch: int = 64  # recordings
    warped: bool = False  # each time a recording is heard, its pitch, its beginning and its end are others
    kind: str = "network"  # or "ctc": asr train; or one of the baselines, which scikit-learn trains
    start_from_apc: bool = False


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Experiment:
    """Settings that are compared, in a table."""

    name: str
    title: str
    settings: tuple[Setting, ...]
    pairs: Pairs = ()  # of names of settings whose difference at the same seeds is told, too


def rates(*values: float) -> tuple[dict[str, Any], ...]:
    return tuple({"learning_rate": value} for value in values)


RECURRENT_RATES = rates(3e-3, 1e-2)


def _optimizers() -> Iterator[Setting]:
    plain: dict[str, Any] = {"momentum": 0.0}
    for name, tried, batch, budget in (
        ("gradient descent, full batch", rates(0.03, 0.1, 0.3, 1.0, 3.0), EVERYTHING, plain),
        ("stochastic gradient descent", rates(0.01, 0.03, 0.1, 0.3, 1.0), 64, plain),
        ("… with momentum 0.9", rates(0.003, 0.01, 0.03, 0.1, 0.3), 64, {}),
        ("… with Nesterov's momentum 0.9", rates(0.003, 0.01, 0.03, 0.1, 0.3), 64, {"nesterov": True}),
        ("AdamW", rates(1e-4, 3e-4, 1e-3, 3e-3, 1e-2), 64, {"optimizer": "adamw"}),
    ):
        yield Setting(name, tried, batch=batch, budget={**CURVE, **budget})


def _regularisation() -> Iterator[Setting]:
    for share in (0.05, 0.25, 1.0):
        for name, choices in (
            ("neither", ({},)),
            ("weight decay", ({"weight_decay": 3e-3}, {"weight_decay": 3e-2})),
            ("dropout", ({"dropout": 0.2}, {"dropout": 0.5})),
        ):
            name = f"{100 * share:g} % of the recordings, {name}"
            yield Setting(name, choices, network={"hidden": 128}, budget={"learning_rate": 0.03}, share=share)


def _initialisations() -> Iterator[Setting]:
    for name in ("zero", "too small", "too large", "Xavier", "He", "orthogonal"):
        network = {"layers": 8, "initialisation": name}
        yield Setting(name, rates(0.001, 0.01, 0.1), network=network, budget=CURVE)
    for bias in (0.0, 1.0):
        network = {"cell": "LSTM", "forget_bias": bias}
        yield Setting(f"LSTM, forget gates' bias {bias:g}", RECURRENT_RATES, network=network, budget=RECURRENT)


DEPTHS = (2, 4, 8, 16)
FEWER: dict[str, Any] = {"max_steps": 150}  # there are many of these
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "layer norm": {"layer_norm": True},
    "residual": {"residual": True},
    "both": {"layer_norm": True, "residual": True},
}


def _depths() -> Iterator[Setting]:
    for activation in ("sigmoid", "tanh", "ReLU"):
        for variant, changes in VARIANTS.items():
            for layers in DEPTHS:
                first = "He" if activation == "ReLU" else "Xavier"
                network = {"activation": activation, "layers": layers, "initialisation": first, **changes}
                yield Setting(
                    f"{activation}, {variant}, {layers} layers", rates(0.01, 0.1), network=network, budget=FEWER
                )


SHARES = (0.01, 0.05, 0.25, 1.0)


def _pretraining() -> Iterator[Setting]:
    for share in SHARES:
        for apc in (False, True):
            name = f"{100 * share:g} % of the labels, {'APC' if apc else 'random'}"
            yield Setting(name, share=share, kind="ctc", start_from_apc=apc)


def _baselines() -> Iterator[Setting]:
    for share in SHARES:
        for name, kind, choices in (
            ("softmax on all numbers", "softmax", tuple({"C": strength} for strength in (1e-4, 1e-3, 1e-2, 1e-1))),
            ("softmax on principal components", "pca_softmax", components(20, 50, 100)),
            ("logistic regressions on principal components", "pca_logistic", components(20, 50, 100)),
        ):
            yield Setting(f"{100 * share:g} % of the recordings, {name}", choices, share=share, kind=kind)


LONGER: dict[str, Any] = {"max_steps": 400, "optimizer": "adamw", "gradient_norm": 1.0, "weight_decay": 1e-2}
BASELINE = "100 % of the recordings, softmax on all numbers"


def _beyond_baseline() -> Iterator[Setting]:
    both_ways: dict[str, Any] = {"cell": "LSTM", "hidden": 64, "bidirectional": True, "dropout": 0.3}
    for warped in (False, True):
        for name, network in (
            ("softmax by AdamW", {"layers": 0}),
            ("two layers of 128 ReLU, dropout 0.5", {"hidden": 128, "dropout": 0.5}),
            ("LSTM both ways, 64 cells, dropout 0.3", both_ways),
        ):
            name += ", warped" if warped else ""
            yield Setting(name, RECURRENT_RATES, network=network, budget=LONGER, warped=warped)


def components(*values: int) -> tuple[dict[str, Any], ...]:
    return tuple({"components": value, "C": 0.1} for value in values)


def _cells() -> Iterator[Setting]:
    # About 22,000 parameters each: an LSTM has four times an RNN's weights a cell.
    for name, network in (
        ("RNN", {"cell": "RNN", "hidden": 134}),
        ("GRU", {"cell": "GRU", "hidden": 74}),
        ("LSTM", {"cell": "LSTM", "hidden": 63}),
        ("LSTM both ways", {"cell": "LSTM", "hidden": 42, "bidirectional": True}),
    ):
        yield Setting(name, RECURRENT_RATES, network=network, budget=RECURRENT)


def _against(settings: Sequence[Setting], first: str, *others: str) -> Pairs:
    """Pairs of settings whose names differ in what stands for `first`."""
    names = {setting.name for setting in settings}
    pairs = [(name, name.replace(first, other)) for name in names if first in name for other in others]
    return tuple(sorted(pair for pair in pairs if pair[1] in names))


def _experiment(name: str, title: str, settings: Iterable[Setting], *compared: tuple[str, ...]) -> Experiment:
    settings = tuple(settings)
    return Experiment(name, title, settings, tuple(pair for each in compared for pair in _against(settings, *each)))


EXPERIMENTS = (
    _experiment("optimizers", "Gradient descent", _optimizers()),
    _experiment(
        "regularisation", "Weight decay and dropout", _regularisation(), ("neither", "weight decay", "dropout")
    ),
    _experiment("initialisation", "Initialisation", _initialisations(), ("Xavier", "He"), ("bias 0", "bias 1")),
    _experiment(
        "depth",
        "Activations, layer normalisation and residual connections",
        _depths(),
        ("plain", "layer norm", "residual", "both"),
        ("tanh, plain", "ReLU, plain"),
    ),
    _experiment("pretraining", "Unsupervised pre-training", _pretraining(), ("random", "APC")),
    Experiment(
        "baselines",
        "Without hidden layers, and what does better",
        (*_baselines(), *_beyond_baseline()),
        tuple((BASELINE, setting.name) for setting in _beyond_baseline()),
    ),
    _experiment("cells", "Recurrent networks", _cells()),
)


# --- One run --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A training of a setting, with one of its choices."""

    experiment: str
    setting: Setting
    choice: int
    seed: int
    left_out: str = ""  # the speaker to measure errors on; "": trained on all speakers, measured on the held-out ones

    def file(self, folder: Path) -> Path:
        """Where its result is kept."""
        name = "".join(sign if sign.isalnum() else "-" for sign in self.setting.name)
        return folder / "runs" / self.experiment / f"{name}-{self.choice}-{self.left_out or self.seed}.json"


Result = dict[str, Any]


class Row(NamedTuple):
    """A setting, with the best of its choices."""

    setting: Setting
    results: list[Result]  # of all seeds
    left_out: float | None  # errors on speakers left out, by which it was chosen; None: there was nothing to choose


Rows = list[Row]


def settings_of(setting: Setting) -> Any:
    """All that a result depends on, but for choice and seed, as JSON has it."""
    files = [(RECIPE / name).read_text() for name in ("apc.toml", "digits.toml")]
    return json.loads(json.dumps([asdict(setting), files if setting.kind == "ctc" else BUDGET]))


def perform(run: Run, folder: Path) -> Result:
    """The result of a run: kept from an earlier time, unless the setting has changed since, or trained now.

    folder: has manifests train.jsonl and heldout.jsonl, and for pre-training apc/best.ckpt.
    """
    file, settings = run.file(folder), settings_of(run.setting)
    if file.exists():
        kept: Result = json.loads(file.read_text())
        if kept["settings"] == settings:
            return kept
    torch.set_num_threads(1)  # more would add in another order; other runs have the other cores
    started = time.process_time()
    kind = {"network": train_network, "ctc": train_ctc}.get(run.setting.kind, train_baseline)
    with contextlib.redirect_stderr(io.StringIO()):  # the trainings tell how they go, many at a time
        found = kind(run, folder)
    result = {**found, "settings": settings, "choice": run.setting.choices[run.choice], "seed": run.seed}
    result["seconds"] = time.process_time() - started
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(result))
    unfinished.rename(file)
    return result


@cache
def read_recordings(folder: Path, left_out: str) -> tuple[Recordings, Recordings, Warps]:
    """To train on and to measure errors on. Every number has mean 0 and deviation 1 in the former."""
    train, test = (_read(folder, name) for name in ("train", "heldout"))
    if left_out:
        mine = np.array([speaker == left_out for speaker in speakers(folder)])
        train, test = train.take(np.flatnonzero(~mine)), train.take(np.flatnonzero(mine))
    mean, deviation = train.heard.mean(0), train.heard.std(0)
    train, test = (data._replace(heard=(data.heard - mean) / deviation) for data in (train, test))
    return train, test, Warps(mean, deviation)


@cache
def _read(folder: Path, name: str) -> Recordings:
    store = FeatureStore(folder / f"{name}.jsonl", folder / "features")
    heard = torch.stack([squeezed(store[index]) for index in range(len(store))])
    return Recordings(heard, torch.tensor([DIGITS.index(text) for text in store.texts]))


def supervisions(folder: Path) -> list[dict[str, Any]]:
    """Of each recording to train on what is said in it, and by whom."""
    return [json.loads(line)["supervisions"][0] for line in (folder / "train.jsonl").read_text().splitlines()]


def speakers(folder: Path) -> list[str]:
    return [each["speaker"] for each in supervisions(folder)]


def recordings_of(run: Run, folder: Path) -> tuple[Recordings, Recordings, Warps]:
    """Those that a run trains on, its setting's share of all, and those that its errors are measured on."""
    train, test, warps = read_recordings(folder, run.left_out)
    return train.part(run.setting.share, run.seed), test, warps


def squeezed(features: np.ndarray) -> Tensor:
    """Log-mel [T, 80] -> [FRAMES, BINS]: neighbouring bins averaged, time stretched or squeezed."""
    bins = torch.from_numpy(features.astype(np.float32)).reshape(-1, BINS, MELS // BINS).mean(2)
    bins = (bins - bins.mean()) / bins.std()  # however loud it is, and however dull or noisy
    return nn.functional.interpolate(bins.T[None], FRAMES, mode="linear", align_corners=True)[0].T


def train_network(run: Run, folder: Path) -> Result:
    """Train one of the networks by the engine of `asr train` and `lm train`."""
    setting = run.setting
    train, test, warps = recordings_of(run, folder)
    choice = setting.choices[run.choice]
    of_network = {name: value for name, value in choice.items() if name in NetworkConfig.__dataclass_fields__}
    of_budget = {name: value for name, value in choice.items() if name not in of_network}
    config = NetworkConfig(**{**setting.network, **of_network})
    budget = Budget(**{**BUDGET, **setting.budget, **of_budget, "seed": run.seed, "precision": "32-true"})
    torch.manual_seed(run.seed)
    training = DigitTraining(budget, config, train, test, warps if setting.warped else None)
    network = training.model
    found: Result = {"diverged": False, "parameters": sum(weights.numel() for weights in network.parameters())}
    if isinstance(network, FeedForward) and network.hidden:
        found["gradients"] = gradient_sizes(network.eval(), train.heard[:256], train.digits[:256])
        network.train()
    with tempfile.TemporaryDirectory() as output:
        try:
            heard, whole = Batches(train, setting.batch, run.seed), Batches(test, EVERYTHING, run.seed)
            fit(training, heard, whole, Path(output), "test/error")
        except ValueError as error:
            if "not finite" not in str(error):
                raise
            found["diverged"] = True
    network.eval()
    with torch.no_grad():
        for name, data in ("train", train), ("test", test):
            found[f"{name}_error"] = error_rate(network(data.heard), data.digits)
    return {**found, "curve": training.curve}


@cache
def phones() -> PhoneUnits:
    return PhoneUnits(cmudict(), LetterToSound.load(LETTER_TO_SOUND, PHONES))


def part_manifest(folder: Path, share: float, seed: int) -> Path:
    """A manifest of a share of the training recordings."""
    if share == 1:
        return folder / "train.jsonl"
    path = folder / "parts" / f"{100 * share:g}-{seed}.jsonl"
    if not path.exists():
        lines = (folder / "train.jsonl").read_text().splitlines(keepends=True)
        digits = np.array([DIGITS.index(each["text"]) for each in supervisions(folder)])
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(lines[number] for number in stratified(digits, share, seed)))
    return path


def train_ctc(run: Run, folder: Path) -> Result:
    """`asr train`, from random weights or what APC has learnt; then the digit that CTC finds most probable."""
    output, manifest = folder / run.file(folder).stem, part_manifest(folder, run.setting.share, run.seed)
    config = read_config(RECIPE / "digits.toml")
    corpora = [replace(config.corpora[0], manifest=str(manifest))]
    # Validated but once, at the end, so that the dev set decides nothing.
    config = replace(config, corpora=corpora, dev=str(manifest), validate_every=config.max_steps, seed=run.seed)
    best = train(config, phones(), output, folder / "apc/best.ckpt" if run.setting.start_from_apc else None)
    sizes, weights = read_checkpoint(best)
    network = AcousticNetwork(AcousticConfig(**sizes)).eval()
    network.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    found = {
        f"{name}_error": ctc_error(network, path, folder / "features")
        for name, path in (("train", manifest), ("test", folder / "heldout.jsonl"))
    }
    shutil.rmtree(output)
    return found


def ctc_error(network: AcousticNetwork, manifest: Path, cache: Path) -> float:
    """In how many recordings, per cent, the most probable of the ten digits' phones are those of another."""
    store = FeatureStore(manifest, cache)
    data = UnlabelledUtterances([store], [1.0], least=0)
    spelled = [encode(phones(), [digit.upper()]) for digit in DIGITS]
    wrong = 0
    for members in torch.arange(len(data.items)).split(100):
        batch = data.batch(members.tolist())
        with torch.no_grad():
            log_probs, lengths = network(batch.features, batch.lengths)
        scores = [
            nn.functional.ctc_loss(
                log_probs.transpose(0, 1),
                torch.tensor([labels] * len(lengths)),
                lengths,
                torch.full((len(lengths),), len(labels)),
                reduction="none",
            )
            for labels in spelled
        ]
        digits = torch.tensor([DIGITS.index(store.texts[member]) for member in members.tolist()])
        wrong += int((torch.stack(scores).argmin(0) != digits).sum())
    return 100 * wrong / len(data.items)


def train_baseline(run: Run, folder: Path) -> Result:
    """What needs no hidden layer: a softmax, or a logistic regression for each digit against all others."""
    (train, test, _), choice = recordings_of(run, folder), run.setting.choices[run.choice]
    heard = train.heard.flatten(1).numpy()
    classifier: Any = LogisticRegression(C=choice["C"], max_iter=500)
    if run.setting.kind == "pca_logistic":
        classifier = OneVsRestClassifier(classifier)
    if run.setting.kind != "softmax":
        components = min(choice["components"], len(heard) - 1)  # N points lie in a space of N - 1
        classifier = make_pipeline(PCA(components, random_state=run.seed), StandardScaler(), classifier)
    classifier.fit(heard, train.digits.numpy())
    return {
        f"{name}_error": 100 * float((classifier.predict(data.heard.flatten(1).numpy()) != data.digits.numpy()).mean())
        for name, data in (("train", train), ("test", test))
    }
