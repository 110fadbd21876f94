from __future__ import annotations

import gc
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bertwright.shards.cache as under_test
from bertwright.errors import SettingsError, ShardError, StorageError, UserFault
from bertwright.shards.cache import ShardCache, Wanted, default_directory, size_of, told_size
from tests.support import lying

# Every file holds 9 numbers: 128 bytes of header and 72 of numbers.
BYTES = 200


def content(number: int) -> bytes:
    file = io.BytesIO()
    np.save(file, np.full(9, number))
    return file.getvalue()


class Source:
    """A store in memory that counts what it is asked for."""

    def __init__(self) -> None:
        self.fetched: list[int] = []
        self.refused: Exception | None = None

    def __call__(self, number: int, holds: int | None = None) -> Wanted:
        """File `number`; `holds` is what the store holds instead of it."""

        def blocks(_: bool) -> Iterator[bytes]:
            self.fetched.append(number)
            if self.refused is not None:
                raise self.refused
            whole = content(number if holds is None else holds)
            yield whole[:150]
            yield whole[150:]

        return Wanted(hashlib.sha256(content(number)).hexdigest(), BYTES, f"far://away/{number}", blocks)


@pytest.fixture
def source() -> Source:
    return Source()


def names(cache: ShardCache) -> list[str]:
    return sorted(path.name for path in cache.directory.iterdir())


def held(cache: ShardCache, among: int = 9) -> list[int]:
    """Which of the files 0, 1 ... lie in the cache."""
    known = {f"{Source()(number).sha256}.npy": number for number in range(among)}
    return sorted(known[name] for name in names(cache))


def test_a_file_is_fetched_once_and_mapped(tmp_path: Path, source: Source) -> None:
    cache = ShardCache(tmp_path / "cache", 1000)
    for _ in range(3):
        array = cache.open(source(7))
        assert array.tolist() == [7] * 9
        assert not array.flags.writeable
    assert source.fetched == [7]
    assert names(cache) == [hashlib.sha256(content(7)).hexdigest() + ".npy"]
    assert len(content(7)) == BYTES


def test_what_was_used_longest_ago_makes_way(tmp_path: Path, source: Source) -> None:
    cache = ShardCache(tmp_path, 3 * BYTES + 199)
    for number in (0, 1, 2, 0, 3, 4):
        cache.open(source(number))
    assert held(cache) == [0, 3, 4]
    cache.open(source(1))
    assert held(cache) == [1, 3, 4]
    assert source.fetched == [0, 1, 2, 3, 4, 1]


def test_what_is_in_use_stays(tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_PATIENCE", 0)
    cache = ShardCache(tmp_path, 2 * BYTES)
    first, second = cache.open(source(0)), cache.open(source(1))[2:5]
    assert not cache.fetch_ahead(source(2))
    with pytest.raises(StorageError) as caught:
        cache.open(source(2))
    assert str(caught.value) == (
        f"{tmp_path}: 200 bytes more do not fit in the 400 bytes of the cache, because what lies there is in use; "
        "give a larger --cache-size, or another --cache-dir"
    )
    assert held(cache) == [0, 1]
    assert first.tolist() == [0] * 9
    # A part of an array keeps its file as the whole does, and lets it go as the whole does.
    del first
    cache.open(source(2))
    assert held(cache) == [1, 2]
    assert second.tolist() == [1] * 3


def test_nothing_leaves_for_a_file_that_would_not_fit_even_so(tmp_path: Path, source: Source) -> None:
    cache = ShardCache(tmp_path, 3 * BYTES)
    kept = cache.open(source(0)), cache.open(source(1))
    cache.open(source(2))
    large = Wanted("a" * 64, 2 * BYTES, "far://away/large", source(3).blocks)
    assert not cache.fetch_ahead(large)
    assert held(cache) == [0, 1, 2]
    assert len(kept) == 2


def test_room_is_waited_for(tmp_path: Path, source: Source) -> None:
    cache = ShardCache(tmp_path, BYTES)
    holder = [cache.open(source(0))]
    found: list[list[int]] = []
    thread = threading.Thread(target=lambda: found.append(cache.open(source(1)).tolist()))
    thread.start()
    assert thread.is_alive()
    holder.clear()
    gc.collect()
    thread.join()
    assert found == [[1] * 9]
    assert held(cache) == [1]


def test_a_file_fetched_ahead_is_there(tmp_path: Path, source: Source) -> None:
    cache = ShardCache(tmp_path, 2 * BYTES)
    assert cache.fetch_ahead(source(0))
    assert cache.fetch_ahead(source(0))
    assert cache.open(source(0)).tolist() == [0] * 9
    assert source.fetched == [0]


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path: Path, source: Source) -> None:
    (tmp_path / "thesis.txt").write_bytes(b"x" * 1000)
    cache = ShardCache(tmp_path, BYTES)
    cache.open(source(0))
    cache.open(source(1))
    assert (tmp_path / "thesis.txt").read_bytes() == b"x" * 1000
    assert len(names(cache)) == 2


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50GB", 50 * 10**9),
        ("1.5 TB", 1_500 * 10**9),
        ("64GiB", 64 << 30),
        ("200kb", 200_000),
        ("4M", 4 * 10**6),
        ("7", 7),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert size_of(text, "--cache-size") == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1 litre", "1iB", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        size_of(text, "--cache-size")
    assert str(caught.value) == f"--cache-size: `{text}` is no size; give one such as 500MB, 50GB or 64GiB"


def test_a_size_that_is_told_is_enough() -> None:
    told = [told_size(size) for size in (999, 1000, 1_234_567, 50 * 10**9, 1001 * 10**12)]
    assert told == ["999 bytes", "1 kB", "1.3 MB", "50 GB", "1001 TB"]


def test_where_a_cache_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_directory() == ShardCache().directory == tmp_path / "bertwright" / "shards"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_directory() == tmp_path / ".cache" / "bertwright" / "shards"


# Faults


def test_another_content_is_named_and_not_kept(tmp_path: Path, source: Source) -> None:
    cache = ShardCache(tmp_path, 1000)
    with pytest.raises(ShardError) as caught:
        cache.open(source(3, holds=4))
    assert str(caught.value) == (
        "far://away/3: the checksum differs from the manifest's; it was changed or damaged; upload the shards again"
    )
    assert names(cache) == []


def test_a_fault_while_fetching_leaves_nothing(tmp_path: Path, source: Source) -> None:
    cache = ShardCache(tmp_path, 1000)
    source.refused = StorageError("the store does not answer")
    with pytest.raises(StorageError, match="the store does not answer"):
        cache.open(source(3))
    assert names(cache) == []
    source.refused = None
    assert cache.open(source(3)).tolist() == [3] * 9


@pytest.mark.parametrize("damage", [lambda whole: whole[:-1] + b"\1", lambda whole: whole[:90], lambda _: b""])
def test_a_damaged_file_is_fetched_again(tmp_path: Path, source: Source, damage: object) -> None:
    told: list[str] = []
    cache = ShardCache(tmp_path, 1000, told.append)
    cache.open(source(5))
    (path,) = tmp_path.iterdir()
    assert callable(damage)
    path.write_bytes(damage(content(5)))
    assert cache.open(source(5)).tolist() == [5] * 9
    assert path.read_bytes() == content(5)
    assert told == [f"{path}: damaged since it was fetched; fetched again"]


def test_a_disk_that_damages_everything_is_told(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ShardCache(tmp_path, 1000)
    written = cache._fetch

    def damaging(wanted: Wanted, *, patient: bool) -> bool:
        written(wanted, patient=patient)
        cache._path(wanted).write_bytes(b"nothing of it")
        return True

    monkeypatch.setattr(cache, "_fetch", damaging)
    with pytest.raises(StorageError, match=r"\.npy: reads otherwise than it was written; the disk seems to fail"):
        cache.open(source(5))


def test_objects_are_not_mapped(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}]), allow_pickle=True)
    whole = file.getvalue()
    wanted = Wanted(hashlib.sha256(whole).hexdigest(), len(whole), "far://away/0", lambda _: iter([whole]))
    with pytest.raises(ShardError, match="far://away/0: holds object and no integers"):
        ShardCache(tmp_path, 1000).open(wanted)


def test_a_full_disk_is_one_line(small_disk: Path, source: Source) -> None:
    cache = ShardCache(small_disk / "cache", 1 << 30)
    whole = bytes(4 << 20)
    wanted = Wanted(hashlib.sha256(whole).hexdigest(), len(whole), "far://away/0", lambda _: iter([whole]))
    with pytest.raises(StorageError) as caught:
        cache.open(wanted)
    assert str(caught.value) == f"{cache.directory}: the disk is full; free some space and start again"
    assert names(cache) == []
    assert cache.open(source(1)).tolist() == [1] * 9


def test_a_file_in_the_place_of_the_folder(tmp_path: Path, source: Source) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(UserFault, match=r"/cache/\w+\.npy: not a directory"):
        ShardCache(tmp_path / "cache", 1000).open(source(0))


# Several processes

# Fetches are logged; one that is to stop half way does so until something comes in.
OTHER = """
import sys, time, pathlib
from tests.unit.shards.test_cache import BYTES, Source, content
from bertwright.shards.cache import ShardCache, Wanted
_, cache, log, limit, stop, number = sys.argv
log, number = pathlib.Path(log), int(number)
source = Source()(number)
def blocks(patient):
    with log.open("a") as file:
        file.write("fetched\\n")
    yield content(number)[:150]
    if stop == "half way":
        print("half way", flush=True)
        sys.stdin.read(1)
    yield content(number)[150:]
array = ShardCache(pathlib.Path(cache), int(limit)).open(Wanted(source.sha256, BYTES, source.place, blocks))
print(array.tolist(), flush=True)
if stop == "mapped":
    sys.stdin.read(1)
"""


def other(cache: Path, log: Path, limit: int, stop: str, number: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, str(cache), str(log), str(limit), stop, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_fetch_a_file_once(tmp_path: Path) -> None:
    cache, log = tmp_path / "cache", tmp_path / "log"
    with other(cache, log, 1000, "half way") as first:
        assert heard(first) == "half way"
        (partial,) = cache.iterdir()
        assert (partial.name[0], partial.stat().st_size) == (".", BYTES)  # it has the room that it will need
        with other(cache, log, 1000, "no") as second:
            first.communicate("x")
            assert heard(second) == str([0] * 9)
    assert log.read_text() == "fetched\n"


def test_what_another_process_maps_is_not_evicted(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ShardCache(tmp_path / "cache", BYTES)
    with other(cache.directory, tmp_path / "log", BYTES, "mapped") as process:
        assert heard(process) == str([0] * 9)
        with monkeypatch.context() as patched:
            patched.setattr(under_test, "_PATIENCE", 0)
            with pytest.raises(StorageError, match="because what lies there is in use"):
                cache.open(source(1))
        assert held(cache) == [0]
        os.kill(process.pid, signal.SIGKILL)  # its locks go with it
        process.wait()
        cache.open(source(1))
    assert held(cache) == [1]


def test_room_that_is_being_filled_by_another_process_counts(tmp_path: Path, source: Source) -> None:
    cache = ShardCache(tmp_path / "cache", 2 * BYTES - 1)
    with other(cache.directory, tmp_path / "log", 2 * BYTES - 1, "half way") as process:
        assert heard(process) == "half way"
        assert not cache.fetch_ahead(source(1))
        process.communicate("x")
    assert cache.fetch_ahead(source(1))
    assert held(cache) == [1]


def test_a_kill_while_fetching_leaves_nothing_that_is_taken_for_whole(tmp_path: Path, source: Source) -> None:
    cache = ShardCache(tmp_path / "cache", BYTES)
    for number in (0, 1):
        with other(cache.directory, tmp_path / "log", BYTES, "half way", number) as process:
            assert heard(process) == "half way"
            process.kill()
        assert lying(cache) == BYTES  # the room is taken until somebody needs it
    # What the first one left went when the second one took its room.
    assert [name[:9] for name in names(cache)] == ["." + source(1).sha256[:8]]
    assert cache.open(source(1)).tolist() == [1] * 9
    assert held(cache) == [1]


def test_what_lies_there_at_each_step_of_a_fetch(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files fill the cache, a third one comes, and whoever gets the lock meanwhile adds up what lies there."""
    cache = ShardCache(tmp_path, 2 * BYTES)
    cache.open(source(0))
    cache.open(source(1))
    looks: list[tuple[str, int]] = []

    def look(step: str) -> None:
        looks.append((step, lying(cache)))

    def looking(name: str) -> None:
        step = getattr(cache, name)

        def stepped(*arguments: object, **how: object) -> object:
            look(f"before {name}")
            done = step(*arguments, **how)
            look(f"after {name}")
            return done

        monkeypatch.setattr(cache, name, stepped)

    def blocks(_: bool) -> Iterator[bytes]:
        look("nothing written")
        yield content(2)[:150]
        look("half written")
        yield content(2)[150:]
        look("all written")

    looking("_take_room")
    looking("_fetch")
    cache.open(Wanted(source(2).sha256, BYTES, "far://away/2", blocks))
    assert looks == [
        ("before _fetch", 400),
        ("before _take_room", 400),
        ("after _take_room", 400),
        ("nothing written", 400),
        ("half written", 400),
        ("all written", 400),
        ("after _fetch", 400),
    ]
    assert held(cache) == [1, 2]


def test_a_store_that_gives_more_than_it_said_takes_no_more_room(tmp_path: Path, source: Source) -> None:
    cache = ShardCache(tmp_path, 2 * BYTES)
    cache.open(source(0))
    looks: list[int] = []

    def blocks(_: bool) -> Iterator[bytes]:
        while True:
            yield content(1)
            looks.append(lying(cache))

    with pytest.raises(ShardError, match="far://away/1: the checksum differs from the manifest's"):
        cache.open(Wanted(source(1).sha256, BYTES, "far://away/1", blocks))
    assert looks == [400]
    assert held(cache) == [0]


def test_of_two_who_find_a_file_damaged_one_removes_it(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the slower one comes to it, the file has been fetched anew and is mapped."""
    cache, quicker = ShardCache(tmp_path, 1000), ShardCache(tmp_path, 1000)
    cache.open(source(5))
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"nothing of it")
    mapped: list[NDArray[Any]] = []
    alone = cache._alone

    def late() -> AbstractContextManager[None]:
        monkeypatch.undo()
        mapped.append(quicker.open(source(5)))
        return alone()

    monkeypatch.setattr(cache, "_alone", late)
    assert cache.open(source(5)).tolist() == mapped[0].tolist() == [5] * 9
    assert source.fetched == [5, 5]


def test_the_limit_holds_at_any_instant(tmp_path: Path, source: Source) -> None:
    # To these locks a thread is as good as a process.
    cache = ShardCache(tmp_path / "cache", 6 * BYTES)
    cache.open(source(0))

    def work(seed: int) -> bool:
        numbers = np.random.default_rng(seed).integers(9, size=100).tolist()
        return all(cache.open(source(number)).tolist() == [number] * 9 for number in numbers)

    most = 0
    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(work, seed) for seed in range(5)]
        while not all(each.done() for each in running):
            most = max(most, lying(cache))
            time.sleep(0)
    assert all(each.result() for each in running)
    assert 0 < most <= cache.limit
