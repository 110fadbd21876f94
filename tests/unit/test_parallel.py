from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bertwright.errors import CorpusError, OperationalFault
from bertwright.parallel import Engine, in_order, processors


@dataclass(frozen=True)
class Late:
    """Doubles a number; the even ones take longer, so that the odd ones would overtake them."""

    refused: int = -1
    deadly: int = -1

    def __call__(self, number: int) -> int:
        if number == self.refused:
            raise CorpusError("this one is not wanted", where=f"item {number}")
        if number == self.deadly:
            os._exit(9)
        time.sleep(0.02 if number % 2 == 0 else 0)
        return 2 * number


ENGINES = [
    "local",
    pytest.param(
        "ray", marks=pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="the extra `ray` is not installed")
    ),
]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    assert list(in_order(Late(), range(20), workers=workers)) == [2 * number for number in range(20)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fault_of_the_work_is_raised_here(engine: Engine) -> None:
    found: list[int] = []
    with pytest.raises(CorpusError, match="item 3: this one is not wanted"):
        found.extend(in_order(Late(refused=3), range(20), workers=2, engine=engine))


def test_a_worker_that_is_killed_is_told() -> None:
    with pytest.raises(OperationalFault, match="a worker process ended before its work was done"):
        list(in_order(Late(deadly=5), range(20), workers=2))


def test_items_are_taken_only_as_results_are() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_order(Late(), items(), workers=2)
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    assert len(taken) <= 3 + 4
    results.close()  # type: ignore[attr-defined]  # it is a generator


def test_there_is_a_processor() -> None:
    assert processors() >= 1
