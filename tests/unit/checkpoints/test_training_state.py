"""Every way in which a state may not be what was written, and what is used then."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertwright.checkpoints import training_state as under_test
from bertwright.checkpoints.training_state import (
    TrainingState,
    best_step,
    newest_state,
    newest_step,
    prune_states,
    read_state,
    write_state,
)
from bertwright.errors import DamagedState, ModelError, StorageError
from bertwright.files import OLD, PARTIAL, beside
from tests.unit.checkpoints.states import FILES, assert_same, names, state

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def told(folder: Path) -> list[str]:
    lines: list[str] = []
    newest_state(folder, lines.append)
    return lines


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


# What may become of a file, and what is then said of it.
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "its last byte gone": (lambda path: os.truncate(path, path.stat().st_size - 1), "has {less} bytes and should have"),
    "cut in the middle": (lambda path: os.truncate(path, path.stat().st_size // 2), "has {half} bytes and should have"),
    "empty": (lambda path: os.truncate(path, 0), "has 0 bytes and should have"),
    "a byte more": (lambda path: path.write_bytes(path.read_bytes() + b"\n"), "has {more} bytes and should have"),
    "its first bit flipped": (lambda path: flip(path, 0), "does not match its checksum"),
    "a middle bit flipped": (lambda path: flip(path, path.stat().st_size * 4), "does not match its checksum"),
    "its last bit flipped": (lambda path: flip(path, path.stat().st_size * 8 - 1), "does not match its checksum"),
    "gone": (Path.unlink, "is missing"),
    "a directory": (lambda path: replace(path, Path.mkdir), "is no file"),
    "a pipe": (lambda path: replace(path, os.mkfifo), "is no file"),
    "a link to nothing": (lambda path: replace(path, lambda link: link.symlink_to("nowhere")), "is missing"),
    "a link to a device": (lambda path: replace(path, lambda link: link.symlink_to("/dev/zero")), "is no file"),
}


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    nan = torch.tensor([0x7FC12345, 0x7F800001], dtype=torch.int32).view(torch.float32)
    wanted = TrainingState(
        7,
        {"w": nan, "zero": torch.tensor([-0.0, 1e-45, math.inf])},
        {"w/step": torch.tensor(7.0), "w/exp_avg": nan.clone()},
        {"cursor": {"epoch": 0, "index": 3}, "scores": {}, "seconds": 0.1, "name": "日本 é"},
    )
    path = write_state(tmp_path, wanted)
    assert path == tmp_path / "step-00000007"
    found = read_state(path)
    assert_same(found, wanted)
    assert found.optimizer["w/step"].shape == ()
    assert names(path) == list(FILES)


@given(JSON)
def test_any_values_come_back(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    wanted = TrainingState(1, {}, {}, {"values": values})
    assert_same(read_state(write_state(tmp_path_factory.mktemp("any"), wanted)), wanted)


def test_state_json_says_what_the_state_is(tmp_path: Path) -> None:
    path = write_state(tmp_path, state(2), best=True)
    head = json.loads((path / "state.json").read_text())
    assert list(head) == ["format", "step", "best", "files", "values", "sha256"]
    assert (head["format"], head["step"], head["best"]) == ("bertwright-state-2", 2, True)
    assert head["values"] == {"cursor": {"epoch": 1, "index": 2}, "seconds": 0.5}
    assert head["files"]["model.safetensors"]["bytes"] == (path / "model.safetensors").stat().st_size


@pytest.mark.parametrize("name", FILES[:2])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_tensors_is_named(tmp_path: Path, name: str, damage: str) -> None:
    path = write_state(tmp_path, state(1)) / name
    size = path.stat().st_size
    break_it, what = DAMAGES[damage]
    break_it(path)
    with pytest.raises(DamagedState) as caught:
        read_state(path.parent)
    assert str(caught.value).startswith(f"{path}: {what.format(less=size - 1, half=size // 2, more=size + 1)}")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_json_is_named(tmp_path: Path, damage: str) -> None:
    path = write_state(tmp_path, state(1)) / "state.json"
    break_it, what = DAMAGES[damage]
    break_it(path)
    with pytest.raises(DamagedState) as caught:
        read_state(path.parent)
    expected = [what] if what.startswith("is ") else ["is no JSON that can be read", "does not match its own checksum"]
    assert str(caught.value) in {f"{path}: {each}" for each in expected}


def test_every_byte_of_a_state_counts(tmp_path: Path) -> None:
    path = write_state(tmp_path, state(1))
    for name in FILES:
        for byte in range((path / name).stat().st_size):
            flip(path / name, byte * 8 + byte % 8)
            with pytest.raises(DamagedState):
                read_state(path)
            flip(path / name, byte * 8 + byte % 8)
    assert_same(read_state(path), state(1))


def sealed(path: Path, **changed: Any) -> None:
    """Write state.json anew with other values and a seal that fits them: not damage, but somebody's work."""
    head = json.loads(path.read_text())
    del head["sha256"]
    path.write_bytes(under_test._sealed({**head, **changed}))


ENTRY = {"bytes": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"step": "1"}, "holds no valid `step`"),
        ({"step": -1}, "holds no valid `step`"),
        ({"step": True}, "holds no valid `step`"),
        ({"step": 2}, "is of step 2, so it does not belong here"),
        ({"best": 1}, "holds no valid `best`"),
        ({"values": []}, "holds no valid `values`"),
        ({"files": None}, "holds no valid `files`"),
        ({"files": {}}, "holds no valid `files`"),
        ({"files": {FILES[0]: ENTRY}}, "holds no valid `files`"),
        ({"files": {FILES[0]: ENTRY, "../../secret": ENTRY}}, "holds no valid `files`"),
        ({"files": {FILES[0]: ENTRY, FILES[1]: ENTRY, "/etc/passwd": ENTRY}}, "holds no valid `files`"),
        ({"files": {FILES[0]: ENTRY, FILES[1]: 5}}, "holds no valid `files`"),
        ({"files": {FILES[0]: ENTRY, FILES[1]: {"bytes": "1", "sha256": ""}}}, "holds no valid `files`"),
        ({"files": {FILES[0]: ENTRY, FILES[1]: {"bytes": 1, "sha256": 1}}}, "holds no valid `files`"),
        ({"files": {FILES[0]: ENTRY, FILES[1]: {**ENTRY, "path": "x"}}}, "holds no valid `files`"),
    ],
)
def test_a_state_json_that_somebody_made_is_not_believed(tmp_path: Path, changed: dict[str, Any], what: str) -> None:
    path = write_state(tmp_path, state(1)) / "state.json"
    sealed(path, **changed)
    with pytest.raises(DamagedState) as caught:
        read_state(path.parent)
    assert str(caught.value) == f"{path}: {what}"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"[" * 100_000, "is no JSON that can be read"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "is no JSON that can be read"),
        (b"9" * 10_000, "is no JSON that can be read"),
        (b"\xff\xfe{}", "is no JSON that can be read"),
        (b" " * ((1 << 24) + 1), "is longer than 16,777,216 bytes"),
        (b"[]", "is no JSON object"),
        (b"{}", "does not match its own checksum"),
        (b'{"format": "\\ud800", "step": 1}', "does not match its own checksum"),
        (b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", "does not match its own checksum"),
        (b'{"step": 1, "sha256": "' + b"0" * 64 + b'"}', "does not match its own checksum"),
    ],
    ids=["lists", "objects", "a long number", "no UTF-8", "long", "a list", "nothing", "surrogate", "deep", "no seal"],
)
def test_hostile_json_is_one_line(tmp_path: Path, content: bytes, what: str) -> None:
    path = write_state(tmp_path, state(1)) / "state.json"
    path.write_bytes(content)
    with pytest.raises(DamagedState) as caught:
        read_state(path.parent)
    assert str(caught.value) == f"{path}: {what}"


def test_a_state_of_another_version_is_no_damage(tmp_path: Path) -> None:
    write_state(tmp_path, state(1))
    path = write_state(tmp_path, state(2))
    sealed(path / "state.json", format="bertwright-state-3")
    with pytest.raises(ModelError) as caught:
        newest_state(tmp_path, pytest.fail)
    assert str(caught.value) == (
        f"{path}: is a checkpoint of another version of bertwright; use that, or begin anew with --overwrite"
    )
    (path / "state.json").write_text('{"step": 2, "seconds": 1.5, "cursor": {"epoch": 0, "index": 3}}\n')
    with pytest.raises(ModelError) as caught:
        newest_state(tmp_path, pytest.fail)
    assert str(caught.value) == (
        f"{path}: is a checkpoint of an earlier version of bertwright; begin anew with --overwrite"
    )
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_the_newest_state_is_the_one_of_the_highest_step(tmp_path: Path) -> None:
    assert newest_state(tmp_path / "nowhere", pytest.fail) is None
    assert newest_state(tmp_path, pytest.fail) is None
    assert newest_step(tmp_path) == 0
    for step in (900, 100_000_000, 99_999_999):
        write_state(tmp_path, state(step))
    (tmp_path / "step-200000000").write_text("a file, no state")
    (tmp_path / "step-200000000.copy").mkdir()
    assert_same(newest_state(tmp_path, pytest.fail), state(100_000_000))
    assert newest_step(tmp_path) == 100_000_000


@pytest.mark.parametrize("name", FILES)
def test_the_one_before_a_damaged_state_is_used(tmp_path: Path, name: str) -> None:
    for step in (10, 20, 30):
        write_state(tmp_path, state(step))
    path = tmp_path / "step-00000030" / name
    path.unlink()
    lines: list[str] = []
    assert_same(newest_state(tmp_path, lines.append), state(20))
    assert lines == [
        f"{path}: is missing; going back to step 20, and the damaged checkpoint is kept as step-00000030.damaged"
    ]
    assert names(tmp_path) == ["step-00000010", "step-00000020", "step-00000030.damaged"]
    assert told(tmp_path) == []  # it is told once


def test_several_may_be_damaged_and_one_twice(tmp_path: Path) -> None:
    write_state(tmp_path, state(10))
    for _ in range(2):
        for step in (20, 30):
            (write_state(tmp_path, state(step)) / FILES[0]).unlink()
        assert [line.rpartition("; ")[2].partition(",")[0] for line in told(tmp_path)] == ["going back to step 10"] * 2
    assert names(tmp_path) == [
        "step-00000010",
        "step-00000020.damaged",
        "step-00000020.damaged-2",
        "step-00000030.damaged",
        "step-00000030.damaged-2",
    ]


def test_where_all_are_damaged_nothing_is_begun_in_silence(tmp_path: Path) -> None:
    for step in (10, 20):
        flip(write_state(tmp_path, state(step)) / FILES[1], 100)
    for _ in range(2):  # the second time too
        with pytest.raises(ModelError) as caught:
            newest_state(tmp_path, pytest.fail)
        assert str(caught.value) == (
            f"{tmp_path}/step-00000020/optimizer.safetensors: does not match its checksum; "
            "no earlier checkpoint is left to go back to: begin anew with --overwrite"
        )
        assert names(tmp_path) == ["step-00000010", "step-00000020"]


def test_a_file_that_may_not_be_read_now_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (10, 20):
        write_state(tmp_path, state(step))
    number = errno.EACCES

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr("hashlib.file_digest", refuse)
        with pytest.raises(StorageError) as caught:
            newest_state(tmp_path, pytest.fail)
        assert str(caught.value) == f"{tmp_path}/step-00000020/model.safetensors: Permission denied"
        assert names(tmp_path) == ["step-00000010", "step-00000020"]
        number = errno.EIO
        with pytest.raises(ModelError, match=r"step-00000020/model.safetensors: the disk cannot read it; no earlier"):
            newest_state(tmp_path, pytest.fail)
    assert told(tmp_path) == []


def test_what_a_kill_left_is_cleared_and_told(tmp_path: Path) -> None:
    for step in (1, 2):
        write_state(tmp_path, state(step))
    half = beside(tmp_path / "step-00000003", PARTIAL)
    half.mkdir()
    (half / FILES[0]).write_bytes(b"half of")
    # Killed while state 2 was written anew: moved away, and the new one not there yet.
    (tmp_path / "step-00000002").rename(beside(tmp_path / "step-00000002", OLD))
    # Killed a moment later: state 1 was already replaced.
    shutil.copytree(tmp_path / "step-00000001", beside(tmp_path / "step-00000001", OLD))
    first, second = (beside(tmp_path / f"step-0000000{step}", OLD) for step in (1, 2))
    lines: list[str] = []
    assert_same(newest_state(tmp_path, lines.append), state(2))
    assert lines == [
        f"{first}: already replaced when an earlier run was killed; removed",
        f"{second}: an earlier run was killed while replacing it; put back as {tmp_path / 'step-00000002'}",
        f"{half}: a checkpoint that was being written or removed when the run was killed; removed",
    ]
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_a_fault_while_writing_keeps_the_states_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_state(tmp_path, state(1))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bertwright.checkpoints.training_state.write_atomic", stop)
    for step in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            write_state(tmp_path, state(step))
        assert_same(newest_state(tmp_path, pytest.fail), state(1))
    assert names(tmp_path) == ["step-00000001"]


def test_a_state_may_be_written_again(tmp_path: Path) -> None:
    write_state(tmp_path, state(1))
    again = TrainingState(1, {"w": torch.ones(1)}, {}, {"second": True})
    assert_same(read_state(write_state(tmp_path, again)), again)
    assert names(tmp_path) == ["step-00000001"]


@pytest.mark.parametrize(
    ("keep", "best", "left"),
    [
        (1, None, [50]),
        (2, None, [40, 50]),
        (9, None, [10, 20, 30, 40, 50]),
        (2, 10, [10, 40, 50]),
        (2, 50, [40, 50]),
        (2, 7, [40, 50]),
    ],
)
def test_the_newest_and_the_best_stay(tmp_path: Path, keep: int, best: int | None, left: list[int]) -> None:
    for step in (10, 20, 30, 40, 50):
        write_state(tmp_path, state(step))
    (tmp_path / "step-00000005.damaged").mkdir()
    (beside(tmp_path / "step-00000010", PARTIAL) / "left").mkdir(parents=True)
    prune_states(tmp_path, keep=keep, best=best)
    assert [path.name for path in sorted(tmp_path.glob("step-????????"))] == [f"step-{step:08d}" for step in left]
    assert (tmp_path / "step-00000005.damaged").exists()
    prune_states(tmp_path / "nowhere", keep=1, best=None)


def test_a_half_removed_state_is_not_taken_for_a_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (1, 2):
        write_state(tmp_path, state(step))

    def stop(path: Path) -> None:
        (path / FILES[0]).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            prune_states(tmp_path, keep=1, best=None)
    going = beside(tmp_path / "step-00000001", PARTIAL)
    assert told(tmp_path) == [
        f"{going}: a checkpoint that was being written or removed when the run was killed; removed"
    ]
    assert names(tmp_path) == ["step-00000002"]


def test_the_best_is_the_last_that_was_best_when_it_was_written(tmp_path: Path) -> None:
    assert best_step(tmp_path) is None
    for step in (1, 2, 3, 4):
        write_state(tmp_path, state(step), best=step in {1, 3})
    assert best_step(tmp_path) == 3
    flip(tmp_path / "step-00000003/state.json", 800)
    assert best_step(tmp_path) == 1
