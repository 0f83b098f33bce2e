"""Features from manifests and shards, and the dealing out of batches, on the three real recordings."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from lhotse import CutSet

from asr.lexicon.units import CharacterUnits
from asr.training.corpus import BatchLoader, FeatureStore, LabelledUtterances
from data_prep.manifest import Item, prepare, write, write_shards


@pytest.fixture(scope="module")
def manifest(recordings: dict[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recordings, and parts of them as if they said the same."""
    whole = list(prepare([Item(path.stem, path, text) for path, text in recordings.items()]).cuts)
    parts = [
        cut.truncate(offset=0.5, duration=3.5 - 0.3 * place).with_id(f"part{place}") for place, cut in enumerate(whole)
    ]
    path = tmp_path_factory.mktemp("recordings") / "recordings.jsonl.gz"
    write(CutSet.from_cuts([*whole, *parts]), path)
    return path


@pytest.fixture
def data(manifest: Path) -> LabelledUtterances:
    return LabelledUtterances([FeatureStore(manifest, manifest.parent)] * 3, [1.0] * 3, CharacterUnits(), fastest=0.5)


def contents(store: FeatureStore) -> list[tuple[str, bytes]]:
    return [(text, store[index].tobytes()) for index, text in enumerate(store.texts)]


def test_shards_have_the_features_of_the_manifest(manifest: Path, tmp_path: Path) -> None:
    write_shards(CutSet.from_file(manifest), tmp_path / "shards", shard_size=4)
    assert len(list((tmp_path / "shards").glob("cuts.*"))) == 2
    expected = contents(FeatureStore(manifest, tmp_path / "whole"))
    assert len(expected) == 6
    assert contents(FeatureStore(tmp_path / "shards", tmp_path / "sharded")) == expected


@pytest.mark.parametrize("damage", ["", "[]", '{"texts": []}', '{"texts": [], "frames": ["x"]}', None])
def test_damaged_features_are_told(manifest: Path, tmp_path: Path, damage: str | None) -> None:
    FeatureStore(manifest, tmp_path)
    (index,) = tmp_path.glob("*.json")
    if damage is None:
        index.with_suffix(".f16").write_bytes(b"short")
    else:
        index.write_text(damage)
    with pytest.raises(ValueError, match=r"\.json: damaged, or the \.f16 beside it is; delete both"):
        FeatureStore(manifest, tmp_path)


def test_several_processes_make_the_file_of_one(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = contents(FeatureStore(manifest, tmp_path / "one"))
    pools = []

    def pool(count: int, context: object) -> ThreadPoolExecutor:  # processes would take seconds to start
        pools.append(count)
        return ThreadPoolExecutor(count)

    monkeypatch.setattr("asr.training.corpus.ProcessPoolExecutor", pool)
    monkeypatch.setattr("asr.training.corpus.ITEMS_A_PROCESS", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert contents(FeatureStore(manifest, tmp_path / "several")) == expected
    assert pools == [3]


def test_a_folder_without_shards_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no shards"):
        FeatureStore(tmp_path, tmp_path / "features")


@pytest.mark.parametrize(("accumulate", "ranks"), [(1, 3), (2, 2)])
def test_the_batches_of_all_ranks_are_the_steps_of_one(data: LabelledUtterances, accumulate: int, ranks: int) -> None:
    parts = accumulate * ranks
    whole = BatchLoader(data, 14, seed=1)
    loaders = [BatchLoader(data, 14 / parts, 1, accumulate, rank, ranks) for rank in range(ranks)]
    stand_ins = 0
    for _ in range(3):
        steps, dealt = list(whole), [list(loader) for loader in loaders]
        assert {len(batches) for batches in dealt} == {accumulate * len(steps)}
        for number, step in enumerate(steps):
            batches = [batch for rank in dealt for batch in rank[number * accumulate : (number + 1) * accumulate]]
            real = [batch for batch in batches if batch.share]
            stand_ins += len(batches) - len(real)
            assert sum(batch.share for batch in batches) == pytest.approx(parts)
            units = step.label_lengths.sum()
            for batch in real:
                assert batch.share == pytest.approx(float(batch.label_lengths.sum() / units * parts))
            sums = [batch.features[row].sum() for batch in real for row in range(len(batch.lengths))]
            np.testing.assert_allclose(np.sort(sums), np.sort(step.features.sum((1, 2))), atol=0.05)
            lengths = np.concatenate([batch.lengths for batch in real])
            np.testing.assert_array_equal(np.sort(lengths), np.sort(step.lengths))
    assert stand_ins  # a step of fewer utterances than batches came up
