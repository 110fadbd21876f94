"""The queue that reads the windows of many wishes together, tried without a model and without HTTP."""

from __future__ import annotations

import gc
import math
import threading
import time
import weakref
from collections.abc import Hashable, Sequence
from concurrent.futures import Future

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertwright.batches.windows import Window
from bertwright.inference.asked import Asked
from bertwright.serving.queue import Closed, Full, Queue, Read
from bertwright.tasks.task import Said


class Echo:
    """Says of each window its first id; what it was given is kept. Stands still while `gate` is shut."""

    def __init__(self, key: Hashable = "echo") -> None:
        self.key = key
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[int]] = []
        self.threads: list[int] = []

    def say(self, windows: Sequence[Window]) -> list[Said]:
        self.threads.append(torch.get_num_threads())
        assert self.gate.wait(30)
        self.batches.append([len(window) for window in windows])
        if any(window.ids[0] == 666 for window in windows):
            raise ValueError("a bad one")
        return [window.ids[:1].astype(np.float32) for window in windows]


def wish(kind: Echo, *lengths: int, first: int = 0) -> Asked[list[float]]:
    windows = tuple(
        Window(np.full(length, first + place, dtype=np.int32), length, 1, 0, (0, 0))
        for place, length in enumerate(lengths)
    )
    return Asked(kind, windows, lambda said: [float(each[0]) for each in said])


def answer(asked: Asked[list[float]], future: Future[list[Said]]) -> list[float]:
    return asked.finish(future.result(30))


def held(queue: Queue, kind: Echo) -> Future[list[Said]]:
    """Keep the only stream busy until the gate is opened."""
    kind.gate.clear()
    busy = queue.submit(wish(kind, 1))
    while queue.waiting:
        time.sleep(0.001)
    return busy


def test_windows_of_several_wishes_are_read_together_by_length() -> None:
    kind = Echo()
    queue = Queue(token_budget=100)
    held(queue, kind)
    a, b, c = wish(kind, 10, 40, first=10), wish(kind, 9, first=20), wish(kind, 40, 11, first=30)
    futures = [queue.submit(each) for each in (a, b, c)]
    kind.gate.set()
    found = [answer(asked, future) for asked, future in zip((a, b, c), futures, strict=True)]
    assert found == [[10, 11], [20], [30, 31]]
    assert kind.batches == [[1], [9, 10, 11], [40, 40]]
    queue.close()


def test_a_batch_alone_has_all_threads_and_one_beside_another_its_share() -> None:
    kind = Echo()
    queue = Queue(streams=2, threads=2, threads_alone=3, token_budget=100)
    first = held(queue, kind)
    second = held(queue, kind)
    kind.gate.set()
    assert [each.result(30) for each in (first, second)] == [[0], [0]]
    assert kind.threads == [3, 2]
    queue.close()


def test_a_batch_after_another_is_alone_again() -> None:
    kind = Echo()
    queue = Queue(threads=2, threads_alone=3)
    for _ in range(2):
        assert queue.submit(wish(kind, 1, first=7)).result(30) == [7]
    assert kind.threads == [3, 3]
    queue.close()


def test_a_batch_for_which_others_wait_has_its_share_of_the_threads() -> None:
    kind = Echo()
    queue = Queue(streams=2, threads=2, threads_alone=3, token_budget=5)
    # Of one wish, so that both wait before the first is taken.
    asked = wish(kind, 5, 5, first=1)
    assert answer(asked, queue.submit(asked)) == [1, 2]
    assert kind.threads[0] == 2
    queue.close()


def test_what_is_asked_differently_is_not_read_together() -> None:
    one, two = Echo("one"), Echo("two")
    queue = Queue()
    held(queue, one)
    futures = [queue.submit(wish(kind, 5)) for kind in (one, two, one)]
    one.gate.set()
    for future in futures:
        future.result(30)
    assert (one.batches, two.batches) == ([[1], [5, 5]], [[5]])
    queue.close()


def test_wishes_take_turns() -> None:
    """One of many windows does not hold up one that came after it."""
    kind = Echo()
    queue = Queue(token_budget=20)
    held(queue, kind)
    order: list[str] = []
    many, one = queue.submit(wish(kind, *[10] * 8)), queue.submit(wish(kind, 4))
    many.add_done_callback(lambda _: order.append("many"))
    one.add_done_callback(lambda _: order.append("one"))
    kind.gate.set()
    many.result(30)
    assert order == ["one", "many"]
    assert kind.batches == [[1], [10, 10], [4], [10, 10], [10, 10], [10, 10]]
    queue.close()


def test_past_the_limit_a_wish_is_told_when_to_come_again() -> None:
    kind = Echo()
    queue = Queue(most_waiting=100)
    held(queue, kind)
    # However long it is: nothing else waits.
    queue.submit(wish(kind, *[50] * 10))
    with pytest.raises(Full) as full:
        queue.submit(wish(kind, 1))
    assert 0 < full.value.seconds <= 60
    kind.gate.set()
    queue.close()
    assert sum(map(len, kind.batches)) == 11


def test_who_would_wait_in_vain_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = Echo()
    queue = Queue(most_seconds=60, token_budget=10)
    clock = iter(range(0, 10_000, 5))
    # A batch of ten tokens takes five seconds: 120 tokens in a minute.
    monkeypatch.setattr("bertwright.serving.queue.time.perf_counter", lambda: next(clock))
    # The first batches do not count, however long they take.
    for _ in range(4):
        queue.submit(wish(kind, 10)).result(30)
    assert queue._rate() == math.inf
    queue.submit(wish(kind, 10)).result(30)
    held(queue, kind)
    waits = queue.submit(wish(kind, *[10] * 11))
    with pytest.raises(Full) as full:
        queue.submit(wish(kind, 10, 10))
    assert full.value.seconds == pytest.approx(5, rel=0.2)
    kind.gate.set()
    waits.result(30)
    queue.close()


def test_who_goes_away_gives_up_the_place() -> None:
    kind = Echo()
    queue = Queue(most_waiting=100)
    held(queue, kind)
    gone, stays = queue.submit(wish(kind, 60)), queue.submit(wish(kind, 40))
    with pytest.raises(Full):
        queue.submit(wish(kind, 60))
    assert gone.cancel()
    assert queue.waiting == 40
    again = queue.submit(wish(kind, 60))
    kind.gate.set()
    assert (len(stays.result(30)), len(again.result(30))) == (1, 1)
    assert kind.batches == [[1], [40, 60]]
    queue.close()


def test_a_batch_that_is_not_full_waits_for_more_and_no_longer() -> None:
    kind = Echo()
    queue = Queue(gather_seconds=30, token_budget=20)
    futures = [queue.submit(wish(kind, 10)) for _ in range(2)]
    for future in futures:
        future.result(20)
    assert kind.batches == [[10, 10]], "the second made it full"
    late = queue.submit(wish(kind, 3))
    queue.close()
    assert len(late.result(0)) == 1, "closing waits for nobody"


def test_a_fault_is_told_to_whom_it_belongs() -> None:
    kind = Echo()
    queue = Queue()
    held(queue, kind)
    good, bad = queue.submit(wish(kind, 5)), queue.submit(wish(kind, 5, first=666))
    kind.gate.set()
    assert len(good.result(30)) == 1
    with pytest.raises(ValueError, match="a bad one"):
        bad.result(30)
    assert len(queue.submit(wish(kind, 5)).result(30)) == 1, "the stream goes on"
    queue.close()


def test_what_failed_is_read_no_further() -> None:
    kind = Echo()
    queue = Queue(token_budget=10)
    held(queue, kind)
    bad = queue.submit(wish(kind, *[10] * 8, first=666))
    kind.gate.set()
    with pytest.raises(ValueError, match="a bad one"):
        bad.result(30)
    queue.close()
    assert (len(kind.batches), queue.waiting) == (2, 0)


def test_what_is_answered_is_kept_by_nobody() -> None:
    """Without a collector of circles: of each answer the last reference is the caller's."""
    gc.collect()
    gc.disable()
    try:
        queue = Queue()
        futures = [queue.submit(wish(Echo(), 5)) for _ in range(20)]
        for future in futures:
            future.result(30)
        seen = [weakref.ref(future) for future in futures]
        queue.submit(wish(Echo(), 5)).result(30)
        del futures, future
        assert [each() for each in seen] == [None] * 20
        queue.close()
    finally:
        gc.enable()


def test_closed_it_finishes_and_takes_no_more() -> None:
    kind = Echo()
    queue = Queue()
    held(queue, kind)
    future = queue.submit(wish(kind, 5))
    queue.close(wait=False)
    with pytest.raises(Closed):
        queue.submit(wish(kind, 5))
    kind.gate.set()
    queue.close()
    assert future.done()


def test_nothing_is_answered_at_once() -> None:
    queue = Queue()
    assert queue.submit(wish(Echo())).result(0) == []
    queue.close()


@given(st.lists(st.lists(st.integers(1, 60), max_size=12), max_size=20), st.integers(1, 3), st.integers(1, 200))
def test_every_window_is_read_once_within_the_budget(wishes: list[list[int]], streams: int, budget: int) -> None:
    kind = Echo()
    read: list[Read] = []
    queue = Queue(streams=streams, token_budget=budget, on_read=read.append)
    asked = [wish(kind, *lengths, first=100 * number) for number, lengths in enumerate(wishes)]
    futures = [queue.submit(each) for each in asked]
    for number, (each, future) in enumerate(zip(asked, futures, strict=True)):
        assert answer(each, future) == [100 * number + place for place in range(len(each.windows))]
    queue.close()
    assert queue.waiting == 0
    assert sorted(length for batch in kind.batches for length in batch) == sorted(
        length for each in wishes for length in each
    )
    assert all(len(batch) == 1 or max(batch) * len(batch) <= budget for batch in kind.batches)
    assert all(sum(batch) >= 0.75 * max(batch) * len(batch) for batch in kind.batches)
    assert sum(each.tokens for each in read) == sum(map(sum, wishes))
