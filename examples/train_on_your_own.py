"""From recordings of your own to a recogniser that has heard them, and its word error rate on some that it has not.

    pip install 'nicebeach[train]'
    python examples/train_on_your_own.py recordings exp/mine
    asr transcribe --model exp/mine/model talk.wav

The first folder is laid out as LJSpeech is: wavs/NAME.wav (or .flac, .mp3, ...), and metadata.csv with a line
NAME|what is said in it for each; a sentence or so, 35 seconds at most. A hundred recordings are a beginning. The
acoustic model that ships is trained on with them, 200 steps in some minutes; a third argument says how many instead. If
it is killed, the same command goes on from where it was.
"""

import sys
from pathlib import Path

from lhotse import CutSet
from safetensors.numpy import save_file

from asr import Recognizer
from asr.evaluation.evaluate import evaluate
from asr.recognizer import read_units
from asr.training.train import AcousticTrainConfig, Corpus, train
from data_prep.ljspeech import prepare_ljspeech
from data_prep.manifest import write
from lm.bundle import DEFAULT, open_bundle, quantized, write_bundle
from lm.training.engine import read_checkpoint


def main(recordings: Path, folder: Path, steps: int = 200) -> None:
    # 1. What there is to hear. One in ten is kept out, to choose the best weights and to measure them.
    cuts = list(prepare_ljspeech(recordings).cuts)
    dev, heard = cuts[::10], [cut for number, cut in enumerate(cuts) if number % 10]
    manifests = {name: folder / f"{name}.jsonl.gz" for name in ("dev", "train")}
    write(CutSet.from_cuts(dev), manifests["dev"])
    write(CutSet.from_cuts(heard), manifests["train"])

    # 2. The acoustic model, from the weights of the one that ships. So little data wants small steps.
    shipped = open_bundle(DEFAULT)
    sizes = {name: size for name, size in shipped.config["acoustic"].items() if name != "units"}
    config = AcousticTrainConfig(
        corpora=[Corpus(str(manifests["train"]))],
        dev=str(manifests["dev"]),
        model=sizes,
        max_steps=steps,
        validate_every=min(50, steps),
        learning_rate=3e-4,
        warmup_steps=20,
        batch_seconds=60,
        criterion="crf",
    )
    best = train(config, read_units(shipped), folder / "acoustic", start_from=DEFAULT)

    # 3. A model folder: that one's, but for the acoustic model. `asr export` is for models with words of their own.
    save_file(quantized(read_checkpoint(best)[1]), folder / "acoustic.safetensors")
    files = {name: shipped.file(name) for name in shipped.config["sha256"] if name != "MODEL_CARD.md"}
    files["acoustic.safetensors"] = folder / "acoustic.safetensors"
    write_bundle(folder / "model", shipped.config, files)

    # 4. How good it is on what was kept out.
    for name, model in (("the model that ships", DEFAULT), ("yours", folder / "model")):
        summary = evaluate(Recognizer(model), dev).summary()
        low, high = summary["lstm"]["wer_interval"]
        print(f"{name}: WER {summary['lstm']['wer']:.1f} % ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
