"""A wish made ready: the windows that a model is to read for it, and what becomes of what the model says of them.

Whoever has the windows read, the caller at once or a queue beside those of others, the rest is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Generic, TypeVar

import torch

from bertwright.batches.windows import Window
from bertwright.inference.kinds import Kind, OfTask
from bertwright.inference.runners import Runner
from bertwright.tasks.decoding import ON_CPU, decoded, in_batches
from bertwright.tasks.task import Item, PredictionT, RowT, Said, Task

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Asked(Generic[T]):
    """finish: makes the answer of what the model says of each window, in their order. cut: tokens that none holds.

    streams: batches of windows that may be read at a time, each of `batch_tokens` with its padding.
    """

    kind: Kind
    windows: tuple[Window, ...]
    finish: Callable[[Sequence[Said]], T]
    cut: int = 0
    streams: int = 1
    batch_tokens: int = ON_CPU

    @property
    def tokens(self) -> int:
        """Those of all windows."""
        return sum(map(len, self.windows))

    def then(self, more: Callable[[T], U]) -> Asked[U]:
        """The same, and something made of the answer."""
        return Asked(
            self.kind, self.windows, lambda said: more(self.finish(said)), self.cut, self.streams, self.batch_tokens
        )


def rows_asked(
    runner: Runner, task: Task[RowT, PredictionT], rows: Sequence[RowT], items: Sequence[Item]
) -> Asked[list[PredictionT]]:
    """What a task makes of each row."""
    return windows_asked(runner, task, items).then(lambda said: decoded(task, rows, items, said))


def windows_asked(runner: Runner, task: Task[RowT, PredictionT], items: Sequence[Item]) -> Asked[list[Sequence[Said]]]:
    """What the model says of the windows of each item."""
    ends = list(accumulate((len(item.windows) for item in items), initial=0))
    windows = tuple(window for item in items for window in item.windows)
    lost = sum(item.lost for item in items)

    def parted(said: Sequence[Said]) -> list[Sequence[Said]]:
        return [said[start:end] for start, end in pairwise(ends)]

    return Asked(OfTask(runner, task), windows, parted, lost, runner.streams, runner.batch_tokens)


def answered(asked: Asked[T], on_progress: Callable[[int], None] | None = None) -> T:
    """The answer, at once; windows of like length are read together, and how many are done is told."""
    said: list[Said | None] = [None] * len(asked.windows)
    done = 0
    batches = list(in_batches(asked.windows, asked.batch_tokens))

    def say(places: list[int]) -> list[Said]:
        return asked.kind.say([asked.windows[place] for place in places])

    with ExitStack() as stack:
        streams = asked.streams
        each_of: Callable[..., Iterable[list[Said]]] = map
        if streams > 1 and len(batches) > 1:
            threads = torch.get_num_threads()
            # What a thread sets is also what threads begin with that come later: it is set back at the end.
            stack.callback(torch.set_num_threads, threads)
            share = max(1, threads // streams)
            pool = ThreadPoolExecutor(streams, initializer=torch.set_num_threads, initargs=(share,))
            each_of = stack.enter_context(pool).map
        for places, found in zip(batches, each_of(say, batches), strict=True):
            for place, each in zip(places, found, strict=True):
                said[place] = each
            done += len(places)
            if on_progress is not None:
                on_progress(done)
    return asked.finish([each for each in said if each is not None])
