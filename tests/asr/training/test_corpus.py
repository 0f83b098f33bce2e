"""Features from manifests and shards, and the dealing out of batches, on the three real recordings."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
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


@pytest.fixture(scope="module")
def copies(manifest: Path) -> Path:
    """Two changed copies of each of the parts, but one that is too long: other sound, as if it were of the parts."""
    path = manifest.parent / "copies.jsonl.gz"
    whole, parts = list(CutSet.from_file(manifest))[:3], list(CutSet.from_file(manifest))[3:]
    write(
        CutSet.from_cuts(
            cut.truncate(
                offset=0.6 + version / 10, duration=part.duration + 0.1 * (part.id == "part2" and version == 2)
            ).with_id(f"{part.id}-{version}")
            for cut, part in zip(whole, parts, strict=True)
            for version in (1, 2)
        ),
        path,
    )
    return path


@pytest.fixture
def data(manifest: Path, copies: Path) -> LabelledUtterances:
    store, changed = FeatureStore(manifest, manifest.parent), FeatureStore(copies, manifest.parent)
    return LabelledUtterances([store] * 3, [1.0] * 3, CharacterUnits(), fastest=0.5, copies=[[changed], [], [changed]])


def contents(store: FeatureStore) -> list[tuple[str, bytes]]:
    return [(text, store[index].tobytes()) for index, text in enumerate(store.texts)]


def test_shards_have_the_features_of_the_manifest(manifest: Path, tmp_path: Path) -> None:
    write_shards(CutSet.from_file(manifest), tmp_path / "shards", shard_size=4)
    assert len(list((tmp_path / "shards").glob("cuts.*"))) == 2
    whole, shards = FeatureStore(manifest, tmp_path / "whole"), FeatureStore(tmp_path / "shards", tmp_path / "sharded")
    assert len(contents(whole)) == 6
    assert contents(shards) == contents(whole)
    assert list(shards.ids()) == list(whole.ids()) == [cut.id for cut in CutSet.from_file(manifest)]


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


@pytest.mark.parametrize(("accumulate", "ranks", "paired"), [(1, 3, False), (2, 2, False), (2, 2, True)])
def test_the_batches_of_all_ranks_are_the_steps_of_one(
    data: LabelledUtterances, accumulate: int, ranks: int, paired: bool
) -> None:
    parts = accumulate * ranks
    seconds = 28 if paired else 14
    whole = BatchLoader(data, seconds, seed=1, paired=paired)
    loaders = [BatchLoader(data, seconds / parts, 1, accumulate, rank, ranks, paired) for rank in range(ranks)]
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


def test_pairs_are_an_utterance_and_one_of_its_copies_or_itself(data: LabelledUtterances) -> None:
    assert data.dropped["copies of another length"] == 2  # of the first and the third corpus
    # What may be heard second: by the features of the utterance all its copies, or itself if there are none.
    second: dict[bytes, set[bytes]] = {}
    for item in data.items:
        own = item.store[item.number].tobytes()
        second.setdefault(own, set()).update(
            {store[number].tobytes() for store, number in item.copies} or {own},
        )
    assert sorted(map(len, second.values())) == [1, 1, 1, 2, 3, 3]  # the second corpus has no copies
    heard: dict[bytes, set[bytes]] = {}
    loader = BatchLoader(data, 14, seed=1, paired=True)
    for _ in range(20):
        for batch in loader:
            assert batch.paired
            assert batch.features.shape[0] * batch.features.shape[1] <= 1400  # frames, of both
            for halves in batch.lengths, batch.label_lengths, batch.labels:
                first, again = halves.chunk(2)
                assert torch.equal(first, again)
            rows = [
                row[:length].numpy().astype(np.float16).tobytes()
                for row, length in zip(batch.features, batch.lengths, strict=True)
            ]
            for own, other in zip(rows[: len(rows) // 2], rows[len(rows) // 2 :], strict=True):
                heard.setdefault(own, set()).add(other)
    assert heard == second


def test_pairs_leave_the_order_of_utterances_as_it_is(data: LabelledUtterances) -> None:
    alone, paired = BatchLoader(data, 14, seed=1), BatchLoader(data, 28, seed=1, paired=True)
    for _ in range(3):
        for batch, pair in zip(alone, paired, strict=True):
            assert torch.equal(pair.features.chunk(2)[0], batch.features)


def test_copies_of_something_else_are_told(manifest: Path, copies: Path) -> None:
    store, changed = FeatureStore(manifest, manifest.parent), FeatureStore(copies, manifest.parent)
    with pytest.raises(ValueError, match=r"recordings\.jsonl\.gz: no copies of .*copies\.jsonl\.gz, whose ids"):
        LabelledUtterances([changed], [1.0], CharacterUnits(), fastest=1.0, copies=[[store]])
