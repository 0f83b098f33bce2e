from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lm.bundle import CONFIG, BundleError, Dequantized, open_bundle, quantized, write_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text("THE\n")
    return write_bundle(tmp_path / "model", {"units": "phones"}, {"lexicon.txt": tmp_path / "words.txt"}).folder


def test_holds_what_was_written(folder: Path) -> None:
    bundle = open_bundle(folder)
    assert bundle.config["units"] == "phones"
    assert bundle.file("lexicon.txt").read_text() == "THE\n"
    assert bundle.has("lexicon.txt")
    assert not bundle.has("ngram.bin")


def test_can_be_written_where_its_files_are(folder: Path) -> None:
    write_bundle(folder, {"units": "characters"}, {"lexicon.txt": folder / "lexicon.txt"})
    bundle = open_bundle(folder)
    assert bundle.config["units"] == "characters"
    assert bundle.file("lexicon.txt").read_text() == "THE\n"


def test_never_gives_a_damaged_or_missing_file(folder: Path) -> None:
    (folder / "lexicon.txt").write_text("THA\n")
    with pytest.raises(BundleError, match=r"lexicon\.txt: damaged"):
        open_bundle(folder).file("lexicon.txt")
    (folder / "lexicon.txt").unlink()
    with pytest.raises(BundleError, match=r"lexicon\.txt: missing"):
        open_bundle(folder).file("lexicon.txt")
    with pytest.raises(BundleError, match=r"the model has no ngram\.bin"):
        open_bundle(folder).file("ngram.bin")


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (None, "no model there"),
        (b"units = ", "can't be read"),
        (b"\xff", "can't be read"),
        (b"units = " + b"[" * 100_000, "can't be read"),
        (b"units = 'phones'", "no checksums"),
        (b"version = 2\nnewer = 1\n[sha256]", "version = 2: a model of a newer format"),
        (b"version = 0\n[sha256]", "version = 0: want a whole number from 1"),
        (b"version = '1'\n[sha256]", 'version = "1": want a whole number from 1'),
        (b"newer = 1\n[sha256]", "no such setting: newer = 1; there are sha256, version"),
        (b"units = 'syllables'\n[sha256]", 'units = "syllables": want "phones" or "characters" or "pieces"'),
        (b"decoder = 1\n[sha256]", "decoder = 1: want a table"),
        (b"sha256 = 1", "sha256 = 1: want a table"),
    ],
)
def test_says_why_a_folder_is_no_bundle(tmp_path: Path, config: bytes | None, problem: str) -> None:
    if config is not None:
        (tmp_path / CONFIG).write_bytes(config)
    with pytest.raises(BundleError, match=problem) as error:
        open_bundle(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_its_format_has_a_version(folder: Path) -> None:
    written = folder / CONFIG
    assert open_bundle(folder).config["version"] == 1
    written.write_text(written.read_text().replace("version = 1\n", ""))  # as in bundles of before
    assert "version" not in open_bundle(folder).config
    assert open_bundle(folder).config["units"] == "phones"


def test_weights_that_the_sizes_ask_for_and_the_file_lacks_are_named(tmp_path: Path) -> None:
    save_file({"bias": np.zeros(3, np.float32)}, tmp_path / "weights.safetensors")
    with pytest.raises(BundleError, match=r"weights\.safetensors: has no matrix"):
        Dequantized(tmp_path / "weights.safetensors")["matrix"]


def test_weights_of_other_shapes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(quantized({"matrix": np.ones((3, 2), np.float32), "bias": np.zeros(3, np.float32)}), path)
    assert dict(Dequantized(path, {"matrix": (3, 2), "bias": (3,)}.items())).keys() == {"matrix", "bias"}
    for name, shape in ("matrix", (2, 3)), ("matrix", (3, 2, 1)), ("bias", (4,)):
        with pytest.raises(BundleError, match=rf"weights\.safetensors: {name} is \[.*\], not \["):
            Dequantized(path, [(name, shape)])
    many = ((f"layers.{layer}", (1,)) for layer in range(2**31))  # by a config.toml that asks for so many
    with pytest.raises(BundleError, match=r"has no layers\.0"):
        Dequantized(path, many)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_named(tmp_path: Path, number: float) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"bias": np.array([1, number], np.float16)}, path)
    with pytest.raises(BundleError, match=r"weights\.safetensors: bias holds what are no numbers"):
        Dequantized(path)["bias"]


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}trailing"])
def test_says_when_a_file_holds_no_weights(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"weights\.safetensors: not a file of weights"):
        Dequantized(path)


def test_quantising_errs_by_half_a_step_at_most(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    matrix = random.standard_normal((50, 30)) * np.logspace(-3, 2, 50)[:, None]
    weights = {"matrix": matrix.astype(np.float32), "bias": random.standard_normal(30, np.float32)}
    weights["matrix"][7] = 0
    small = quantized(weights)
    assert small["matrix"].dtype == np.int8
    assert small["bias"].dtype == np.float16
    save_file(small, tmp_path / "weights.safetensors")
    back = Dequantized(tmp_path / "weights.safetensors")
    assert back.keys() == weights.keys()
    assert {weight.dtype for weight in back.values()} == {np.dtype(np.float32)}
    half_a_step = np.abs(weights["matrix"]).max(1, keepdims=True) / 127 / 2
    assert (np.abs(back["matrix"] - weights["matrix"]) <= half_a_step * 1.001).all()
    assert not back["matrix"][7].any()
    assert np.array_equal(back["bias"], weights["bias"].astype(np.float16))


def test_settings_of_something_else_are_not_overwritten(tmp_path: Path) -> None:
    own = tmp_path / "config.toml"
    own.write_text("of = 'mine'\n")
    with pytest.raises(BundleError, match="of a nicebeach model"):
        write_bundle(tmp_path, {}, {})
    assert own.read_text() == "of = 'mine'\n"
    own.unlink()
    write_bundle(tmp_path, {"units": "phones"}, {})
    write_bundle(tmp_path, {"units": "characters"}, {})  # a model takes the place of a model
    assert open_bundle(tmp_path).config["units"] == "characters"
