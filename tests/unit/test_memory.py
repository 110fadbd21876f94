from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from bertwright.memory import give_back_free_pages, keep_big_blocks


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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_holes_between_blocks_are_given_back() -> None:
    code = """
from bertwright.memory import give_back_free_pages, keep_big_blocks
def resident():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) >> 10
keep_big_blocks()
before = resident()
blocks = [bytearray(size) for _ in range(100) for size in (1 << 20, 1 << 10)]
del blocks[::2]
holes = resident() - before
give_back_free_pages()
print(holes > 90, resident() - before < 10)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "True True\n", "")


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: object) -> None:
        raise AssertionError(f"{name} was opened")

    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", refuse)
    keep_big_blocks()
    give_back_free_pages()


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_a_library_that_has_no_such_call_is_no_fault(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail(name: object) -> None:
        raise error(name)

    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr("ctypes.CDLL", fail)
    keep_big_blocks()
    give_back_free_pages()
