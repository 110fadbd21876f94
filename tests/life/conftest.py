"""What tests of a life share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warm_shell import WarmShell


@pytest.fixture(scope="module")
def shell() -> Iterator[WarmShell]:
    """One for all commands of a module."""
    with tempfile.TemporaryDirectory() as folder:
        shell = WarmShell(Path(folder))
        yield shell
        shell.close()
