from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bertwright.files as under_test
from bertwright.errors import ShardError, StorageError, UserFault
from bertwright.files import hold, new_directory, read_json, refuse_existing, scratch_directory, sha256, write_atomic

FULL = Path("/dev/full")  # every write to it fails as on a full disk
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Writing


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / ".a.bertwright-partial").write_bytes(b"left by a kill")
    write_atomic(tmp_path / "a", b"first")
    write_atomic(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"second"
    assert names(tmp_path) == ["a"]


@needs_full
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"old")
    (tmp_path / ".a.bertwright-partial").symlink_to(FULL)
    with pytest.raises(StorageError, match="the disk is full; free some space and start again"):
        write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "a", b"old")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_missing_folder_is_the_callers_fault(tmp_path: Path) -> None:
    with pytest.raises(UserFault) as caught:
        write_atomic(tmp_path / "no" / "a", b"")
    assert str(caught.value) == f"{tmp_path / 'no' / 'a'}: no such file or directory"


def test_a_directory_appears_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with new_directory(out) as partial:
        (partial / "sub").mkdir()
        (partial / "sub" / "a").write_text("a")
        assert not out.exists()
    assert (out / "sub" / "a").read_text() == "a"
    assert names(tmp_path / "deep") == ["out"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_a_directory_vanishes_on_failure(tmp_path: Path, error: BaseException) -> None:
    def write() -> None:
        with new_directory(tmp_path / "out") as partial:
            (partial / "a").write_text("a")
            raise error

    with pytest.raises(type(error)):
        write()
    assert names(tmp_path) == []


def test_what_a_kill_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".out.bertwright-partial").mkdir()
    (tmp_path / ".out.bertwright-partial" / "old").write_text("old")
    told: list[str] = []
    with new_directory(tmp_path / "out", say=told.append) as partial:
        assert names(partial) == []
    assert names(tmp_path) == ["out"]
    assert told == [
        (
            f"{tmp_path}/.out.bertwright-partial: left unfinished by an earlier run that was killed; "
            "removed, this one begins anew"
        )
    ]


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / ".out.bertwright-old").mkdir()
    (tmp_path / ".out.bertwright-old" / "a").write_text("old")
    told: list[str] = []
    with (
        pytest.raises(ValueError, match="stop"),
        new_directory(tmp_path / "out", overwrite=["a"], say=told.append),
    ):
        raise ValueError("stop")
    assert (tmp_path / "out" / "a").read_text() == "old"
    assert told == [
        f"{tmp_path}/.out.bertwright-old: an earlier run was killed while replacing it; put back as {tmp_path}/out"
    ]
    (tmp_path / ".out.bertwright-old").mkdir()
    told.clear()
    with new_directory(tmp_path / "out", overwrite=["a"], say=told.append) as partial:
        (partial / "a").write_text("new")
    assert names(tmp_path) == ["out"]
    assert told == [f"{tmp_path}/.out.bertwright-old: already replaced when an earlier run was killed; removed"]


def test_a_scratch_directory_is_gone_afterwards_and_one_left_by_a_kill_is_told(tmp_path: Path) -> None:
    (tmp_path / ".out.bertwright-scratch").mkdir()
    told: list[str] = []
    with scratch_directory(tmp_path / "out", told.append) as folder:
        (folder / "a").write_text("a")
        assert names(tmp_path) == [".out.bertwright-scratch"]
    assert names(tmp_path) == []
    with pytest.raises(ValueError, match="stop"), scratch_directory(tmp_path / "out", told.append):
        raise ValueError("stop")
    assert names(tmp_path) == []
    assert len(told) == 1


def test_what_a_user_calls_old_or_partial_is_left_alone(tmp_path: Path) -> None:
    for name in ("out.old", "out.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("keep me")
    with new_directory(tmp_path / "out"):
        pass
    with new_directory(tmp_path / "out", overwrite=["*"]):
        pass
    for name in ("out.old", "out.partial"):
        assert (tmp_path / name / "notes.txt").read_text() == "keep me"


def test_what_is_put_back_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / ".out.bertwright-old").mkdir()
    (tmp_path / ".out.bertwright-old" / "a").write_text("old")
    with pytest.raises(UserFault, match="exists and is not empty"), new_directory(tmp_path / "out"):
        pass
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "a").read_text() == "old"


def test_what_is_not_ours_is_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("train-1.npy", "thesis.txt"):
        (out / name).write_text("keep me")
    with pytest.raises(UserFault) as caught, new_directory(out, overwrite=["train-*.npy"]):
        pass
    assert str(caught.value) == (
        f"{out}: holds `thesis.txt`, which this command never makes, so --overwrite would lose it; "
        "move it away, or choose another name"
    )
    assert names(out) == ["thesis.txt", "train-1.npy"]


def test_a_directory_is_only_overwritten_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with new_directory(out) as partial:  # an empty one counts as absent
        (partial / "a").write_text("first")
    with pytest.raises(UserFault) as caught, new_directory(out):
        pass
    assert str(caught.value) == f"{out}: exists and is not empty; choose another name, or give --overwrite"
    with pytest.raises(ValueError, match="stop"), new_directory(out, overwrite=["*"]):
        raise ValueError("stop")
    assert (out / "a").read_text() == "first"
    with new_directory(out, overwrite=["*"]) as partial:
        (partial / "b").write_text("second")
    assert names(out) == ["b"]
    assert names(tmp_path) == ["out"]


def test_a_file_or_a_link_is_never_replaced_by_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(UserFault) as caught:
            refuse_existing(tmp_path / name, overwrite=["*"])
        assert str(caught.value) == f"{tmp_path / name}: exists and is no directory; choose another name"


def test_a_second_process_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from bertwright.files import new_directory\n"
        "with new_directory(pathlib.Path(sys.argv[1])): print('entered')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    with new_directory(tmp_path / "out") as partial:
        (partial / "a").write_text("a")
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.stdout == ""
        assert f"{partial}: another process is writing this directory; wait for it, or choose another" in second.stderr
    assert names(tmp_path / "out") == ["a"]
    shutil.rmtree(tmp_path / "out")
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "entered\n"


def test_a_hold_ends_with_its_block(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(UserFault, match="another process is writing"), hold(tmp_path):
        pass
    with hold(tmp_path):
        pass


def test_a_disk_that_fills_up_leaves_nothing_behind(small_disk: Path) -> None:
    def write(partial: Path) -> None:
        for number in range(100):
            (partial / str(number)).write_bytes(b"x" * 4096)

    with pytest.raises(StorageError, match="the disk is full"), new_directory(small_disk / "out") as partial:
        write(partial)
    assert names(small_disk) == []
    with pytest.raises(StorageError, match="the disk is full"), new_directory(small_disk / "out") as partial:
        np.save(partial / "a.npy", np.zeros(100_000))
    assert names(small_disk) == []
    write_atomic(small_disk / "a", b"there is room again")


@needs_full
def test_numpy_names_a_full_disk_too(tmp_path: Path) -> None:
    (tmp_path / "a.npy").symlink_to(FULL)
    with pytest.raises(StorageError, match="the disk is full"), under_test.storage_faults(tmp_path):
        np.save(tmp_path / "a.npy", np.zeros(100_000))


def test_other_refusals_keep_the_words_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, under_test.storage_faults(tmp_path):
        raise PermissionError(13, "Permission denied", str(tmp_path / "a"))
    assert str(caught.value) == f"{tmp_path / 'a'}: Permission denied"


# Reading


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,\n"b"}', ":2: this is no JSON: Expecting ':' delimiter"),
        (b"[1]", ": a JSON object was expected"),
        (b'{"a": "\xff"}', ": is not UTF-8 text"),
        (b"[" * 100_000, ": this JSON is nested too deeply"),
        (None, ": no such file"),
    ],
)
def test_a_fault_in_json_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ShardError) as caught:
        read_json(path, ShardError)
    assert str(caught.value) == f"{path}{message}"
