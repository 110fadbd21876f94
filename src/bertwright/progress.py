"""How long work shows itself: what the rooms below report to, without knowing a terminal.

The command line gives an implementation that draws; `Silent` is for programs and tests.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class Task(Protocol):
    """A piece of work under way."""

    def update(self, done: float, figures: str = "") -> None:
        """Say that `done` of the total is done, and what can be measured so far."""


class Progress(Protocol):
    """Where work reports to."""

    def say(self, line: str) -> None:
        """Tell one line."""

    def task(self, title: str, total: float | None, unit: str) -> AbstractContextManager[Task]:
        """Begin a piece of work of `total` units (None where it is not known)."""


class _SilentTask:
    def update(self, done: float, figures: str = "") -> None:
        pass


class Silent:
    """Says nothing."""

    def say(self, line: str) -> None:
        """Drop the line."""

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:  # noqa: ARG002  # the protocol's
        """Give a task that is not shown."""
        yield _SilentTask()
