"""Windows of many wishes, read together by one model: batches by tokens, bounded, fair. It knows no HTTP.

    wish A (3 windows) ──┐                      ┌── stream 1: a batch of like lengths ──┐
    wish B (1 window)  ──┼── waiting, by length ┤                                       ├── answers of A, B, ...
    wish C (9 windows) ──┘                      └── stream 2: another                 ──┘

A batch begins with the oldest window of the wish whose turn it is, and takes those nearest to it in length, whoever
asked, as long as little is padding. Wishes take turns: one of a thousand texts does not hold up one of a single text.
"""

from __future__ import annotations

import bisect
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

import torch

from bertwright.batches.windows import Window
from bertwright.inference.asked import Asked
from bertwright.inference.kinds import Kind
from bertwright.tasks.task import Said

# Of a batch, the share that may be padding.
_PADDING = 0.25
# Of what was read and how long it took, the share that each batch makes forgotten; and batches that do not count,
# the first ones, in which memory is had and a compiler may have its turn.
_NEWEST = 0.2
_FIRST = 4


class Full(Exception):
    """So much waits that a wish is not taken; `seconds` until there may be room."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"full for {seconds:.1f} s")
        self.seconds = seconds


class Closed(Exception):
    """The queue takes no more wishes."""


@dataclass(frozen=True, slots=True)
class Read:
    """A batch that was read: its windows, their tokens, those with padding, and how long it took."""

    windows: int
    tokens: int
    padded: int
    seconds: float


class Queue:
    """Made for one model; `submit` from any thread, `close` when no more is to come."""

    def __init__(
        self,
        *,
        streams: int = 1,
        threads: int = 1,
        threads_alone: int | None = None,
        token_budget: int = 4096,
        most_waiting: int = 1 << 18,
        most_seconds: float = math.inf,
        gather_seconds: float = 0.0,
        on_read: Callable[[Read], None] | None = None,
    ) -> None:
        """streams: batches that are read at a time, each with so many of torch's `threads`.

        threads_alone: those of a batch beside which nothing is read or waits. most_waiting: tokens that may wait;
        most_seconds: how long those may take that wait, by what was read so far: who comes later would wait in vain.
        gather_seconds: how long a batch that is not full waits for more, counted from its oldest window.
        """
        self._budget, self._most, self._gather, self._on_read = token_budget, most_waiting, gather_seconds, on_read
        self._most_seconds = most_seconds
        self._threads, self._alone = threads, threads_alone or threads
        self._reading = 0
        self._changed = threading.Condition()
        # Wishes in the order of their turns, and all windows that wait by what is asked of them and their lengths.
        self._turns: deque[_Wish] = deque()
        self._by_length: dict[Hashable, list[_Waiting]] = {}
        self._tokens = 0
        self._number = 0
        self._closed = False
        # Tokens that were read and the seconds that took, the newest batches counting most.
        self._read_tokens = self._read_seconds = 0.0
        self._batches = 0
        self._streams = [
            threading.Thread(target=self._stream, name=f"bertwright-stream-{number}", daemon=True)
            for number in range(streams)
        ]
        for stream in self._streams:
            stream.start()

    @property
    def waiting(self) -> int:
        """Tokens that wait."""
        return self._tokens

    def submit(self, asked: Asked[Any]) -> Future[list[Said]]:
        """What the model says of each window of a wish; cancelled, what of it still waits gives up its place.

        A wish finds room wherever nothing waits, however long it is. Raises Full or Closed.
        """
        future: Future[list[Said]] = Future()
        if not asked.windows:
            future.set_result([])
            return future
        wish = _Wish(asked.kind, future, [None] * len(asked.windows))
        with self._changed:
            if self._closed:
                raise Closed
            tokens = asked.tokens
            rate = self._rate()
            over = self._tokens + tokens - min(self._most, self._most_seconds * rate)
            if self._tokens and over > 0:
                raise Full(min(60.0, over / rate) if math.isfinite(rate) else 1.0)
            now = time.monotonic()
            side = self._by_length.setdefault(asked.kind.key, [])
            for place, window in enumerate(asked.windows):
                self._number += 1
                entry = _Waiting(len(window), self._number, now, window, place, wish)
                wish.waiting.append(entry)
                bisect.insort(side, entry, key=_Waiting.order)
            self._tokens += tokens
            self._turns.append(wish)
            self._changed.notify_all()
        future.add_done_callback(lambda done: self._give_up(wish) if done.cancelled() else None)
        return future

    def close(self, *, wait: bool = True) -> None:
        """Take no more; what was taken is answered. With `wait` it returns when that is done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if wait:
            for stream in self._streams:
                stream.join()

    def _stream(self) -> None:
        while self._read_next():
            pass

    def _read_next(self) -> bool:
        """Whether there was a batch. Nothing of it is held while the next one is waited for."""
        batch, threads = self._take()
        if not batch:
            return False
        try:
            # Each thread that calls torch has a number of its own.
            torch.set_num_threads(threads)
            self._read(batch)
        finally:
            with self._changed:
                self._reading -= 1
        return True

    def _take(self) -> tuple[list[_Waiting], int]:
        """The next batch and the threads that read it; empty where the queue is closed and nothing waits."""
        with self._changed:
            while True:
                first = self._next()
                if first is None:
                    if self._closed:
                        return [], 0
                    self._changed.wait()
                    continue
                left = first.since + self._gather - time.monotonic()
                if left <= 0 or self._closed or self._tokens >= self._budget:
                    batch = self._around(first)
                    self._reading += 1
                    alone = self._reading == 1 and not self._tokens
                    return batch, self._alone if alone else self._threads
                self._changed.wait(left)

    def _next(self) -> _Waiting | None:
        """The oldest window of the wish whose turn it is, which stays where it is."""
        while self._turns:
            waiting = self._turns[0].waiting
            while waiting and waiting[0].taken:
                waiting.popleft()
            if waiting:
                return waiting[0]
            self._turns.popleft()
        return None

    def _around(self, first: _Waiting) -> list[_Waiting]:
        """A window with those nearest to it in length, taken out."""
        side = self._by_length[first.wish.kind.key]
        low = bisect.bisect_left(side, first.order(), key=_Waiting.order)
        high = low + 1
        tokens = first.length
        while True:
            shorter = side[low - 1].length if low else None
            longer = side[high].length if high < len(side) else None
            # The nearer of the two first.
            down = shorter is not None and (longer is None or first.length - shorter <= longer - first.length)
            for downward in (down, not down):
                length = shorter if downward else longer
                if length is None:
                    continue
                padded = max(length, side[high - 1].length) * (high - low + 1)
                if padded <= self._budget and tokens + length >= padded * (1 - _PADDING):
                    break
            else:
                break
            tokens += length
            low, high = (low - 1, high) if downward else (low, high + 1)
        batch = side[low:high]
        del side[low:high]
        for entry in batch:
            entry.taken = True
        self._tokens -= tokens
        self._turns.rotate(-1)
        return batch

    def _rate(self) -> float:
        """Tokens a second, infinite while so little was read that it says nothing of full batches."""
        if self._read_tokens < self._budget:
            return math.inf
        return self._read_tokens / max(self._read_seconds, 1e-6) * len(self._streams)

    def _give_up(self, wish: _Wish) -> None:
        with self._changed:
            side = self._by_length[wish.kind.key]
            for entry in wish.waiting:
                if not entry.taken:
                    entry.taken = True
                    del side[bisect.bisect_left(side, entry.order(), key=_Waiting.order)]
                    self._tokens -= entry.length
            wish.waiting.clear()
            self._changed.notify_all()

    def _read(self, batch: list[_Waiting]) -> None:
        begun = time.perf_counter()
        try:
            found = batch[0].wish.kind.say([entry.window for entry in batch])
            answers = list(zip(batch, found, strict=True))
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait are told
            wishes = list({id(entry.wish): entry.wish for entry in batch}.values())
            if len(wishes) == 1:
                # The rest of it would be read for nobody.
                self._give_up(wishes[0])
                _fail(wishes[0], error)
                return
            # It may be the fault of one of them.
            for wish in wishes:
                self._read([entry for entry in batch if entry.wish is wish])
            return
        seconds = time.perf_counter() - begun
        tokens = sum(entry.length for entry in batch)
        with self._changed:
            self._batches += 1
            if self._batches > _FIRST:
                self._read_tokens += tokens - _NEWEST * self._read_tokens
                self._read_seconds += seconds - _NEWEST * self._read_seconds
            for entry, said in answers:
                entry.wish.said[entry.place] = said
                entry.wish.left -= 1
        for wish in {id(entry.wish): entry.wish for entry in batch}.values():
            if not wish.left:
                _answer(wish)
        if self._on_read:
            padded = max(entry.length for entry in batch) * len(batch)
            self._on_read(Read(len(batch), tokens, padded, seconds))


@dataclass(slots=True, eq=False)
class _Wish:
    kind: Kind
    future: Future[list[Said]]
    said: list[Said | None]
    left: int = field(init=False)
    waiting: deque[_Waiting] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.left = len(self.said)

    def released(self) -> Future[list[Said]]:
        """The future, which the wish forgets: it knows the wish, and a circle would keep answers and model alive."""
        future, self.future = self.future, Future()
        return future


@dataclass(slots=True, eq=False)
class _Waiting:
    length: int
    number: int
    since: float
    window: Window
    place: int
    wish: _Wish
    taken: bool = False

    def order(self) -> tuple[int, int]:
        return self.length, self.number


def _answer(wish: _Wish) -> None:
    try:
        wish.released().set_result([said for said in wish.said if said is not None])
    except InvalidStateError:
        # Cancelled, or answered by the stream that read another part of it.
        return
    finally:
        wish.said = []


def _fail(wish: _Wish, error: Exception) -> None:
    try:
        wish.released().set_exception(error)
    except InvalidStateError:
        return


def seconds_told(full: Full) -> int:
    """Whole seconds, as Retry-After has them."""
    return max(1, math.ceil(full.seconds))
