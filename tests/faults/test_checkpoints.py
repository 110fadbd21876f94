"""Checkpoints on a full disk, and under kill -9."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bertwright.checkpoints.training_state import newest_state, write_state
from bertwright.checkpoints.writer import StateWriter
from bertwright.errors import DiskFull
from tests.unit.checkpoints.states import assert_same, names, state

KILLS = 20
# The small disk has 64 kB: two states of 20 kB find room, and no third.
FLOATS = 2500
# Again and again: a process goes on from the newest state, writes the next ones as fast as the disk takes them, and is
# killed: when one is whole, and before as much time again has passed, however busy the machine is. They are forked, so
# that torch is imported once.
KILLED = """
import os, random, signal, struct, sys, time
from pathlib import Path
from bertwright.checkpoints.training_state import newest_state
from bertwright.checkpoints.writer import StateWriter
from tests.unit.checkpoints.states import assert_same, state

folder, floats, kills, chance = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), random.Random(0)

def write_for_ever(begun):
    found = newest_state(folder, lambda line: print("said", line, flush=True))
    step = found.step if found else 0
    if found:
        assert_same(found, state(step, floats))
    print("step", step, flush=True)
    writer = StateWriter(folder, keep=2, when_full="stop", say=print)
    first, now = step + 1, time.monotonic()
    while True:
        step += 1
        for _ in range(1 + (step % 3 == 0)):  # some twice: the state of this step is replaced
            writer.write(state(step, floats), best=step % 7 == 0)  # begun when the one before is whole
        if step == first + 1:
            os.write(begun, struct.pack("d", time.monotonic() - now))

for _ in range(kills):
    waiting, begun = os.pipe()
    process = os.fork()
    if not process:
        try:
            write_for_ever(begun)
        finally:
            os._exit(1)
    os.close(begun)
    (seconds,) = struct.unpack("d", os.read(waiting, 8))
    os.close(waiting)
    time.sleep(chance.uniform(0, 2 * seconds))
    os.kill(process, signal.SIGKILL)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


def unasked(sentence: str, step: int) -> None:
    pytest.fail(f"step {step}: {sentence}")


def test_killed_at_any_moment_the_newest_state_is_whole(tmp_path: Path) -> None:
    folder, floats = tmp_path / "checkpoints", 100_000
    command = [sys.executable, "-c", KILLED, str(folder), str(floats), str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    told = [line.partition(" ")[::2] for line in done.stdout.splitlines()]
    assert [text for kind, text in told if kind == "ended"] == [str(-signal.SIGKILL)] * KILLS, done.stderr
    lines: list[str] = []
    found = newest_state(folder, lines.append)
    assert found is not None
    assert_same(found, state(found.step, floats))
    begun = [*(int(text) for kind, text in told if kind == "step"), found.step]
    assert begun == sorted(begun)  # no state that was there is ever lost
    assert begun[-1] >= KILLS
    said = [text for kind, text in told if kind == "said"]
    assert any("was being written or removed" in line for line in said)  # some kills did hit a state half done
    assert not any("going back" in line for line in said)
    # The newest two and the best; a kill before older ones were removed leaves one more.
    left = names(folder)
    assert len(left) <= 4
    assert all(len(name) == len("step-00000001") for name in left)


def test_on_a_full_disk_it_stops_and_the_last_state_is_good(small_disk: Path) -> None:
    writer = StateWriter(small_disk, keep=2, when_full="stop", say=unasked)
    for step in (10, 20, 30):
        writer.write(state(step, FLOATS))
    with pytest.raises(DiskFull) as caught:
        writer.write(state(40, FLOATS))
    assert str(caught.value) == (
        f"{small_disk}: the disk is full, so the checkpoint of step 30 was not kept; "
        "that of step 20 is. Free some space and go on with --resume"
    )
    assert caught.value.exit_code == 1
    writer.close()
    assert names(small_disk) == ["step-00000010", "step-00000020"]
    for step in (20, 10):
        assert_same(newest_state(small_disk, pytest.fail), state(step, FLOATS))
        (small_disk / f"step-000000{step}").rename(small_disk / f"seen-{step}")


def test_on_a_full_disk_it_may_go_on_and_saves_once_there_is_room(small_disk: Path) -> None:
    lines: list[tuple[str, int]] = []
    writer = StateWriter(small_disk, keep=2, when_full="go on", say=lambda *told: lines.append(told))
    for step in (10, 20, 30, 40):
        writer.write(state(step, FLOATS))
    writer.close()
    what = "that of step 20 is. Training goes on, and the next save tries again"
    assert lines == [
        (f"{small_disk}: the disk is full, so the checkpoint of step {step} was not kept; {what}", step)
        for step in (30, 40)
    ]
    assert names(small_disk) == ["step-00000010", "step-00000020"]
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    writer = StateWriter(small_disk, keep=2, when_full="go on", say=unasked)
    writer.write(state(50, FLOATS))
    writer.close()
    assert_same(newest_state(small_disk, pytest.fail), state(50, FLOATS))
    assert names(small_disk) == ["step-00000020", "step-00000050"]


def test_a_disk_too_small_for_any_state_says_that_nothing_was_saved(small_disk: Path) -> None:
    writer = StateWriter(small_disk / "checkpoints", keep=1, when_full="stop", say=unasked)
    writer.write(state(10, 10 * FLOATS))
    with pytest.raises(DiskFull) as caught:
        writer.close()
    assert str(caught.value) == (
        f"{small_disk}/checkpoints: the disk is full, so the checkpoint of step 10 was not kept; "
        "nothing was saved before it. Free some space and start again"
    )
    assert names(small_disk / "checkpoints") == []


@pytest.mark.parametrize("free", range(0, 24 * 1024, 4096))
def test_wherever_the_disk_fills_up_the_state_before_is_whole(small_disk: Path, free: int) -> None:
    write_state(small_disk, state(10, FLOATS))
    (small_disk / "ballast").write_bytes(bytes(shutil.disk_usage(small_disk).free - free))
    for step in (10, 20):  # the same one anew, or the next
        with pytest.raises(DiskFull):
            write_state(small_disk, state(step, FLOATS))
        assert names(small_disk) == ["ballast", "step-00000010"]
        assert_same(newest_state(small_disk, pytest.fail), state(10, FLOATS))
