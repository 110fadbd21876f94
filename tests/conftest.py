"""What all tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

# One thread, here and in the processes that tests start: with another process on the same cores, threads that wait for
# each other turned a test of 0.2 s into one of 54 s. Set before torch is imported, which reads it then.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("bertwright", deadline=None)
settings.load_profile("bertwright")

_VARIABLE = "BERTWRIGHT_DATA"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `data` where the folder of reference data is not given."""
    if not os.environ.get(_VARIABLE):
        for item in items:
            if item.get_closest_marker("data"):
                item.add_marker(pytest.mark.skip(reason=f"{_VARIABLE} is not set"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of reference data; a test that asks for it is marked `data`."""
    value = os.environ.get(_VARIABLE)
    assert value, f"{_VARIABLE} is not set, so this test must be marked `data`"
    return Path(value)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB, where one may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
