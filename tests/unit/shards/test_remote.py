from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import bertwright.shards.store as under_test
from bertwright.batches.pretraining import PretrainingBatches
from bertwright.errors import SettingsError, ShardError, StorageError
from bertwright.examples.plan import SHARDS_PER_WINDOW, Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from bertwright.shards.cache import ShardCache
from bertwright.shards.format import ARRAYS, array_bytes, array_path
from bertwright.shards.read import ShardDirectory, open_shards
from bertwright.shards.store import Store
from tests.support import letters, lying, numbered, write_shards

ADDRESS = "flaky://bucket/shards"
VOCABULARY = letters(600)
# 20 shards of two documents, in windows of 8, 8 and 4; all their arrays differ, for equal files are fetched once.
DOCUMENTS = numbered([lengths for number in range(20) for lengths in ([3, *[1] * (number + 1)], [5, 2, 2])])


class Flaky(MemoryFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """A store in memory that remembers what is read of it, and fails as it is told."""

    protocol = "flaky"
    store: dict[str, Any] = {}  # noqa: RUF012  # as fsspec has it: one for all instances
    pseudo_dirs = [""]  # noqa: RUF012
    asked: list[str] = []  # noqa: RUF012
    faults: list[Exception] = []  # noqa: RUF012
    listing: Exception | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.replace("flaky://", "memory://")))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        Flaky.asked.append(path.rpartition("/")[2])
        if Flaky.faults:
            raise Flaky.faults.pop(0)
        content: bytes = super().cat_file(path, start=start, end=end)
        return content

    def ls(self, path: str, detail: bool = True, **_: Any) -> Any:
        if Flaky.listing is not None:
            raise Flaky.listing
        return super().ls(path, detail=detail)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A shard directory, which also lies at ADDRESS; no waiting between tries."""
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    for name, value in (("store", {}), ("pseudo_dirs", [""]), ("asked", []), ("faults", []), ("listing", None)):
        monkeypatch.setattr(Flaky, name, value)
    monkeypatch.setattr(under_test, "_WAITS", (0, 0))
    write_shards(tmp_path / "local", DOCUMENTS, VOCABULARY, held_out=DOCUMENTS[:2], tokens_per_shard=10)
    fsspec.filesystem("flaky").put(str(tmp_path / "local"), "/bucket/shards", recursive=True)
    yield tmp_path / "local"
    # What is fetched ahead ends by itself; the next test is not to hear of it.
    for thread in threading.enumerate():
        if thread.name == "bertwright-shards":
            thread.join()


def needed(opened: ShardDirectory, shards: int) -> int:
    sizes = [sum(array_bytes(entry, array, 605) for array in ARRAYS) for entry in opened.manifest.of("train")]
    return sum(sorted(sizes)[-shards:])


def remote(local: Path, limit: int = 1 << 20, told: list[str] | None = None) -> ShardDirectory:
    return open_shards(ADDRESS, ShardCache(local.parent / "cache", limit), None if told is None else told.append)


def stored(path: str) -> bytearray:
    return bytearray(fsspec.filesystem("flaky").store[f"/bucket/shards/{path}"].getvalue())


def store(path: str, content: bytes) -> None:
    fsspec.filesystem("flaky").pipe(f"/bucket/shards/{path}", content)


def test_the_manifest_tells_the_length_of_every_file(local: Path) -> None:
    opened = open_shards(local)
    assert len(opened.manifest.shards) == 21
    for entry in opened.manifest.shards:
        for array in ARRAYS:
            assert array_bytes(entry, array, len(VOCABULARY)) == array_path(local, entry.name, array).stat().st_size


@pytest.mark.parametrize("masked_unit", ["token", "whole_word"])
def test_batches_are_those_of_the_local_directory(local: Path, masked_unit: str) -> None:
    settings = ExampleSettings.from_values({"max_length": 16, "masked_unit": masked_unit})
    here = open_shards(local)
    # No more than what two windows take: most of it is fetched, evicted and fetched again.
    there = remote(local, needed(here, 2 * SHARDS_PER_WINDOW))
    there.refuse_small_cache(2 * SHARDS_PER_WINDOW)
    cache = ShardCache(local.parent / "cache")
    plans = [
        ExamplePlan(
            opened.shards("train"), settings, 3, lambda *which, opened=opened: opened.fetch_ahead("train", *which)
        )
        for opened in (here, there)
    ]
    builders = [PretrainingBatches(plan, VOCABULARY) for plan in plans]
    cursor = Cursor()
    while cursor.epoch < 2:
        one, other = (builder.build(cursor, 7) for builder in builders)
        for name in one.__dataclass_fields__:
            assert getattr(one, name).equal(getattr(other, name)), (cursor, name)
        cursor = plans[0].advance(cursor, 7)
        assert lying(cache) <= needed(here, 2 * SHARDS_PER_WINDOW)
    assert any(name.endswith(".words.npy") for name in Flaky.asked) == (masked_unit != "token")
    assert plans[0].report(1) == plans[1].report(1)


def test_counting_needs_no_tokens(local: Path) -> None:
    opened = remote(local)
    Flaky.asked.clear()
    ExamplePlan(opened.shards("train"), ExampleSettings(max_length=16), 0).report(0)
    assert {name.split(".")[1] for name in Flaky.asked} == {"sentences", "documents"}
    assert len(Flaky.asked) == 40


def test_the_next_window_is_fetched_ahead(local: Path) -> None:
    opened = remote(local)
    told: list[tuple[list[int], list[str]]] = []
    shards = opened.shards("train")
    plan = ExamplePlan(shards, ExampleSettings(max_length=16), 0, lambda *which: told.append(tuple(map(list, which))))  # type: ignore[arg-type]
    builder = PretrainingBatches(plan, VOCABULARY)
    first = plan._epoch(0).rows_before.tolist()
    for window in range(3):
        builder.build(Cursor(0, first[window]), 1)
    assert [which for which, _ in told] == [plan._shards_of(0, 1), plan._shards_of(0, 2), plan._shards_of(1, 0)]
    assert {tuple(arrays) for _, arrays in told} == {("sentences", "documents", "tokens")}
    opened.fetch_ahead("train", *told[0])
    for thread in threading.enumerate():
        if thread.name == "bertwright-shards":
            thread.join()
    Flaky.asked.clear()
    for number in told[0][0]:
        assert len(shards[number].tokens)
    assert Flaky.asked == []


def test_how_often_pieces_stand_there(local: Path) -> None:
    expected = np.bincount([token for document in DOCUMENTS for sentence in document for token in sentence])
    here, there = open_shards(local), remote(local)
    for opened in (here, there):
        counts = opened.unigrams(opened.shards("train"))
        assert counts.tolist() == [*expected.tolist(), *[0] * (605 - len(expected))]


def test_shards_in_a_store_are_a_sequence(local: Path) -> None:
    shards = remote(local).shards("train")
    assert [shard.name for shard in shards] == [f"train-{number:05d}" for number in range(20)]
    assert [shard.name for shard in shards[18:]] == ["train-00018", "train-00019"]
    with pytest.raises(IndexError):
        shards[20]


# Faults


def fault(local: Path) -> str:
    with pytest.raises(ShardError) as caught:
        remote(local).shards("train")
    return str(caught.value)


def test_what_is_missing_or_of_another_length_is_named_before_anything_is_fetched(local: Path) -> None:
    whole = stored("train-00003.words.npy")
    store("train-00003.words.npy", bytes(whole[:-1]))
    place = f"{ADDRESS}/train-00003.words.npy"
    assert fault(local) == f"{place}: is 129 bytes long, and by the manifest 130; upload the shards again"
    fsspec.filesystem("flaky").rm("/bucket/shards/train-00003.words.npy")
    missing = f"{place}: this file of the shard is missing; upload the shards again"
    assert fault(local) == missing
    # Where the store does not list, it is told when the array is asked for.
    Flaky.listing = PermissionError("no listing")
    shards = remote(local).shards("train")
    with pytest.raises(ShardError) as caught:
        assert len(shards[3].words)
    assert str(caught.value) == missing
    assert "train-00000.tokens.npy" not in Flaky.asked


@pytest.mark.parametrize("cut", [False, True])
def test_another_content_is_named(local: Path, cut: bool) -> None:
    Flaky.listing = NotImplementedError()
    damaged = stored("train-00003.tokens.npy")
    damaged[-1] ^= 1
    store("train-00003.tokens.npy", bytes(damaged[:-2] if cut else damaged))
    shards = remote(local).shards("train")
    with pytest.raises(ShardError) as caught:
        assert len(shards[3].tokens)
    assert str(caught.value) == (
        f"{ADDRESS}/train-00003.tokens.npy: the checksum differs from the manifest's; "
        "it was changed or damaged; upload the shards again"
    )


def test_a_store_that_does_not_answer_is_asked_again(local: Path) -> None:
    told: list[str] = []
    shards = remote(local, told=told).shards("train")
    Flaky.faults += [
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        RuntimeError("slow down\nplease"),
    ]
    assert len(shards[0].tokens) == 13
    place = f"{ADDRESS}/train-00000.tokens.npy"
    assert told == [
        f"{place}: [Errno 104] Connection reset by peer; tried again in 0 s",
        f"{place}: slow down; tried again in 0 s",
    ]
    Flaky.faults += [TimeoutError()] * 3
    with pytest.raises(StorageError) as caught:
        assert len(shards[1].tokens)
    assert str(caught.value) == (
        f"{ADDRESS}/train-00001.tokens.npy: the store does not answer: TimeoutError; "
        "start again when it does, a run that had begun with --resume"
    )
    assert len(shards[1].tokens) == 14


def test_a_store_that_refuses_is_not_asked_again(local: Path) -> None:
    shards = remote(local).shards("train")
    Flaky.faults += [PermissionError("Access Denied")]
    with pytest.raises(ShardError) as caught:
        assert len(shards[0].tokens)
    assert str(caught.value) == (
        f"{ADDRESS}/train-00000.tokens.npy: may not be read: Access Denied; "
        "look at the credentials and at the rights of the bucket"
    )


def test_a_cache_smaller_than_what_is_in_use_at_a_time_is_refused(local: Path) -> None:
    opened = remote(local, 5000)
    with pytest.raises(SettingsError) as caught:
        opened.refuse_small_cache(16)
    assert needed(opened, 16) == 11_656
    assert str(caught.value) == (
        "--cache-size: 5 kB do not hold the 16 shards that may be in use at a time; give 11.7kB or more"
    )
    remote(local, 11_700).refuse_small_cache(16)
    open_shards(local).refuse_small_cache(16)  # nothing is in the way of a directory that is here


def test_what_is_no_shard_directory_is_named_by_its_address(local: Path) -> None:
    def told(address: str) -> str:
        with pytest.raises((ShardError, SettingsError)) as caught:
            open_shards(address, ShardCache(local.parent / "cache"))
        return str(caught.value)

    assert told("flaky://bucket/none") == (
        "flaky://bucket/none: holds no manifest.json, so it is no shard directory; make shards with: bertwright prepare"
    )
    store("manifest.json", b'{"format": "other"}')
    assert told(f"{ADDRESS}/") == (
        f"{ADDRESS}/manifest.json: format is 'other', not 'bertwright-shards-2'; prepare it again"
    )
    assert told("nowhere://bucket").startswith("nowhere://bucket: cannot open this address: ")


def test_a_file_longer_than_a_part(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_BLOCK_BYTES", 50)
    whole = bytes(stored("train-00000.tokens.npy"))
    parts = list(Store(ADDRESS).blocks("train-00000.tokens.npy", len(whole)))
    assert [len(part) for part in parts] == [50, 50, 50, 4]
    assert b"".join(parts) == whole
    assert remote(local).shards("train")[0].tokens.tolist() == list(range(5, 18))
