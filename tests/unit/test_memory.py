from __future__ import annotations

import subprocess
import sys

import pytest

from bertwright.memory import keep_big_blocks


def test_it_does_no_harm() -> None:
    # In a process of its own, as there is no way back.
    code = """
import numpy as np
from bertwright.memory import keep_big_blocks
keep_big_blocks()
keep_big_blocks()
for size in (1 << 10, 40 << 20, 80 << 20):
    block = np.ones(size, dtype=np.uint8)
    assert int(block.sum()) == size
    del block
    assert not np.zeros(size, dtype=np.uint8).any()
print("well")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "well\n", "")


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: object) -> None:
        raise AssertionError(f"{name} was opened")

    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", refuse)
    keep_big_blocks()


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_a_library_that_has_no_such_call_is_no_fault(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail(name: object) -> None:
        raise error(name)

    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr("ctypes.CDLL", fail)
    keep_big_blocks()
