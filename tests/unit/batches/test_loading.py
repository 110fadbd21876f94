from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from bertwright.batches.loading import ahead


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "bertwright-batches"]


@pytest.mark.parametrize("depth", [1, 2, 50])
def test_items_come_in_order(depth: int) -> None:
    assert list(ahead(range(20), depth)) == list(range(20))
    assert list(ahead([], depth)) == []
    assert list(ahead([None, None], depth)) == [None, None]
    assert workers() == []


def test_items_are_made_in_advance_but_not_without_bound() -> None:
    made: list[int] = []

    def making() -> Iterator[int]:
        for number in itertools.count():
            made.append(number)
            yield number

    items = ahead(making(), depth=3)
    assert next(items) == 0
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) == 5  # one taken, three waiting, one in the hand
    items.close()  # type: ignore[attr-defined]  # it is a generator
    assert workers() == []


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_an_error_while_building_is_raised_after_what_came_before(error: BaseException) -> None:
    def making() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    items = ahead(making())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(type(error)) as caught:
        next(items)
    assert caught.value is error
    assert workers() == []


def test_an_early_stop_does_not_hang() -> None:
    def stop_early() -> None:
        for item in ahead(itertools.count(), depth=1):
            if item == 3:
                return

    def fail() -> None:
        for _ in ahead(itertools.count()):
            raise ValueError("the consumer fails")

    def both() -> None:
        stop_early()
        with pytest.raises(ValueError, match="the consumer fails"):
            fail()
        ended.set()

    # On a thread, so that what hangs is a failure here and not a test that never ends.
    ended = threading.Event()
    threading.Thread(target=both, daemon=True).start()
    assert ended.wait(10)
    deadline = time.monotonic() + 5
    while workers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert workers() == []
