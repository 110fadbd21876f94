"""Talk on stderr: a live bar on a terminal, plain lines elsewhere. stdout is for data."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Task as RichTask
from rich.text import Text

_LINE_EVERY_SECONDS = 10.0


class Talk:
    """The `bertwright.progress.Progress` of the command line."""

    def __init__(self) -> None:
        # Soft wrapping and no markup: paths and texts are the user's, and brackets in them are theirs.
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.live = self.console.is_terminal

    def say(self, line: str) -> None:
        """Tell one line."""
        self.console.print(line, markup=False)

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[_LiveTask | _PlainTask]:
        """Show a piece of work until the block ends."""
        if not self.live:
            task = _PlainTask(self, title, total, unit)
            yield task
            task.end()
            return
        columns: list[ProgressColumn] = [TextColumn("{task.description}")]
        columns += [BarColumn(bar_width=24), MofNCompleteColumn()] if total else [TextColumn("{task.completed:,.0f}")]
        columns += [TextColumn(unit), TextColumn("{task.fields[figures]}"), TimeElapsedColumn(), _TimeLeft()]
        with Progress(*columns, console=self.console, refresh_per_second=4) as progress:
            yield _LiveTask(progress, title, total)


class _TimeLeft(ProgressColumn):
    """Time left at the mean rate since the task began, which for training steps is steadier than a moving window."""

    def render(self, task: RichTask) -> Text:
        first = task.fields["first"]
        if not task.total or not task.elapsed or task.completed <= first:
            return Text("")
        left = task.elapsed * (task.total - task.completed) / (task.completed - first)
        return Text(f"{duration(left)} left")


class _LiveTask:
    def __init__(self, progress: Progress, title: str, total: float | None) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total, figures="", first=0)
        self._begun = False

    def update(self, done: float, figures: str = "") -> None:
        if not self._begun:
            # What was done before a resume does not count for the rate.
            self._begun = True
            self._progress.update(self._task, first=done if not figures else 0)
        self._progress.update(self._task, completed=done, figures=figures)


class _PlainTask:
    def __init__(self, talk: Talk, title: str, total: float | None, unit: str) -> None:
        self._talk, self._title, self._total, self._unit = talk, title, total, unit
        self._start = self._told = time.monotonic()
        self._first: float | None = None
        self._last = ""

    def update(self, done: float, figures: str = "") -> None:
        now = time.monotonic()
        self._first = (done if not figures else 0) if self._first is None else self._first
        elapsed = now - self._start
        counted = f"{done:,.0f} of {self._total:,.0f}" if self._total else f"{done:,.0f}"
        left = ""
        if self._total and done > self._first and elapsed > 0:
            left = f", {duration(elapsed * (self._total - done) / (done - self._first))} left"
        self._last = f"{self._title}: {counted} {self._unit}  {figures}  {duration(elapsed)}{left}".replace(
            "    ", "  "
        )
        if now - self._told >= _LINE_EVERY_SECONDS:
            self._told = now
            self._talk.say(self._last)
            self._last = ""

    def end(self) -> None:
        if self._last:
            self._talk.say(self._last)


def duration(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60}:{whole % 60:02d}"


def out(line: str) -> None:
    """Print one line of data on stdout."""
    # A lone surrogate may come in by JSON, and goes out as a question mark: no text can hold it.
    sys.stdout.write(line.encode("utf-8", "replace").decode() + "\n")
