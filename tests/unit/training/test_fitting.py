from __future__ import annotations

import pytest
import torch

from bertwright.errors import OperationalFault
from bertwright.training.fitting import largest_fitting


class Memory:
    """Takes so many examples at once, and keeps account of what was tried."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []

    def attempt(self, count: int) -> None:
        self.tried.append(count)
        if count > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("most", "room", "found", "tried"),
    [
        (32, 99, 32, [32]),
        (32, 32, 32, [32]),
        (32, 20, 16, [32, 16]),
        (7, 1, 1, [7, 4, 2, 1]),  # halves are rounded up: 7 in two parts are 4 and 3
        (1, 1, 1, [1]),
    ],
)
def test_halved_until_it_fits(most: int, room: int, found: int, tried: list[int]) -> None:
    memory = Memory(room)
    assert largest_fitting(most, memory.attempt) == found
    assert memory.tried == tried


def test_not_even_one() -> None:
    with pytest.raises(OperationalFault) as caught:
        largest_fitting(3, Memory(0).attempt)
    assert str(caught.value) == (
        "the memory of the GPU is too small for one example; set machine.recompute=true, or take a smaller model"
    )
    assert caught.value.exit_code == 1


def test_another_fault_is_not_taken_for_a_full_memory() -> None:
    def attempt(count: int) -> None:
        raise RuntimeError(f"{count} examples, and a defect")

    with pytest.raises(RuntimeError, match="8 examples, and a defect"):
        largest_fitting(8, attempt)
