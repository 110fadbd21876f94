from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

import pytest

from bertwright.checkpoints import writer as under_test
from bertwright.checkpoints.training_state import TrainingState, newest_state, newest_step, prune_states, write_state
from bertwright.checkpoints.writer import StateWriter
from bertwright.errors import DiskFull, StorageError, UserFault
from tests.unit.checkpoints.states import assert_same, names, state


def writer(
    folder: Path,
    *,
    keep: int = 2,
    when_full: Literal["stop", "go on"] = "stop",
    dropped: list[int] | None = None,
) -> StateWriter:
    def say(sentence: str, step: int) -> None:
        if dropped is None:
            pytest.fail(sentence)
        dropped.append(step)

    return StateWriter(folder, keep=keep, when_full=when_full, say=say)


class Gate:
    """Writes states once it is opened, with the faults that it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.reached = threading.Event(), threading.Event()
        self.faults: dict[int, BaseException] = {}
        monkeypatch.setattr(under_test, "write_state", self.write)

    def write(self, folder: Path, state: TrainingState, *, best: bool = False) -> Path:
        self.reached.set()
        assert self.open.wait(60)
        if state.step in self.faults:
            raise self.faults[state.step]
        return write_state(folder, state, best=best)


def test_what_was_written_can_be_read_and_the_newest_stay(tmp_path: Path) -> None:
    states = writer(tmp_path / "checkpoints")
    for step in (10, 20, 30):
        states.write(state(step))
    states.close()
    assert names(tmp_path / "checkpoints") == ["step-00000020", "step-00000030"]
    assert_same(newest_state(tmp_path / "checkpoints", pytest.fail), state(30))


def test_nobody_waits_for_a_state_but_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    states = writer(tmp_path)
    states.write(state(10))  # returns, though the gate is shut
    assert gate.reached.wait(60)
    assert names(tmp_path) == []
    second = threading.Thread(target=states.write, args=(state(20),))
    second.start()
    second.join(0.05)
    assert second.is_alive()
    gate.open.set()
    second.join(60)
    assert newest_step(tmp_path) >= 10
    states.close()
    assert newest_step(tmp_path) == 20


def test_with_one_kept_the_old_one_goes_only_after_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = writer(tmp_path, keep=1)
    states.write(state(10))
    there: list[list[str]] = []

    def look(folder: Path, *, keep: int, best: int | None) -> None:
        there.append(names(folder))
        prune_states(folder, keep=keep, best=best)

    states.close()
    monkeypatch.setattr(under_test, "prune_states", look)
    states = writer(tmp_path, keep=1)
    states.write(state(20))
    states.close()
    assert there == [["step-00000010", "step-00000020"]]
    assert names(tmp_path) == ["step-00000020"]


def test_the_best_stays_however_old_and_whoever_wrote_it(tmp_path: Path) -> None:
    states = writer(tmp_path)
    for step in (10, 20, 30, 40):
        states.write(state(step), best=step in {10, 20})
    states.close()
    assert names(tmp_path) == ["step-00000020", "step-00000030", "step-00000040"]
    # The next sitting knows of it too.
    again = writer(tmp_path)
    again.write(state(50))
    again.write(state(60))
    again.close()
    assert names(tmp_path) == ["step-00000020", "step-00000050", "step-00000060"]
    again = writer(tmp_path)
    again.write(state(70), best=True)
    again.close()
    assert names(tmp_path) == ["step-00000060", "step-00000070"]


def test_a_best_state_that_was_not_kept_leaves_the_best_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, dropped = Gate(monkeypatch), list[int]()
    gate.open.set()
    gate.faults[20] = DiskFull("full")
    states = writer(tmp_path, keep=1, when_full="go on", dropped=dropped)
    assert states.best() is None
    states.write(state(10), best=True)
    assert states.best() == 10
    states.write(state(20), best=True)
    assert states.best() == 10
    states.write(state(30))
    assert states.best() == 10
    states.close()
    assert names(tmp_path) == ["step-00000010", "step-00000030"]
    assert dropped == [20]


@pytest.mark.parametrize("when_full", ["stop", "go on"])
@pytest.mark.parametrize("call", ["write", "best", "close"])
@pytest.mark.parametrize("fault", [StorageError("x: Input/output error"), UserFault("is odd"), KeyError("a bug")])
def test_every_other_fault_comes_from_the_next_call_and_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when_full: Literal["stop", "go on"],
    call: str,
    fault: Exception,
) -> None:
    gate = Gate(monkeypatch)
    gate.open.set()
    gate.faults[20] = fault
    states = writer(tmp_path, when_full=when_full)
    states.write(state(10))
    states.write(state(20))
    with pytest.raises(type(fault)) as caught:
        {"write": lambda: states.write(state(30)), "best": states.best, "close": states.close}[call]()
    assert caught.value is fault
    states.close()
    assert names(tmp_path) == ["step-00000010"]


def test_a_disk_too_full_to_remove_from_is_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = writer(tmp_path, keep=1)
    with monkeypatch.context() as patched:

        def full(*_: object, **__: object) -> None:
            raise DiskFull("full")

        patched.setattr(under_test, "prune_states", full)
        states.write(state(10))
        states.write(state(20))
        states.close()
    assert names(tmp_path) == ["step-00000010", "step-00000020"]
    states = writer(tmp_path, keep=1)
    states.write(state(30))
    states.close()
    assert names(tmp_path) == ["step-00000030"]


def test_a_writer_that_wrote_nothing_closes(tmp_path: Path) -> None:
    states = writer(tmp_path / "nowhere")
    states.close()
    states.close()
    assert not (tmp_path / "nowhere").exists()
