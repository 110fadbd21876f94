from __future__ import annotations

import pytest
import torch

from bertwright.errors import OperationalFault, SettingsError
from bertwright.training.world import World, alone, check_batch, open_world, share_of

CPU = torch.device("cpu")


def test_one_process_is_a_world_of_its_own() -> None:
    world = alone(CPU)
    assert (world.rank, world.size, world.in_node, world.is_first) == (0, 1, 1, True)
    assert world.sum([1.5, 2]) == [1.5, 2]
    assert world.smallest(7) == 7
    tensor = torch.ones(3)
    assert world.sum_tensor(tensor) is tensor
    assert tensor.tolist() == [1, 1, 1]
    assert world.of_first(lambda: {"any": object}) == {"any": object}  # told to nobody, so it need not be JSON


def test_a_fault_of_the_first_process_is_raised_there() -> None:
    def fail() -> None:
        raise OperationalFault("the disk is gone")

    with pytest.raises(OperationalFault, match="the disk is gone"):
        alone(CPU).of_first(fail)


def test_without_torchrun_one_process_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with open_world(CPU) as world:
        assert (world.size, world.device) == (1, CPU)
    assert not torch.distributed.is_initialized()
    monkeypatch.setenv("WORLD_SIZE", "1")
    with open_world(CPU) as world:
        assert world.size == 1


def test_alone_a_fault_of_torch_is_not_taken_for_one_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(RuntimeError, match="a defect"), open_world(CPU):
        raise RuntimeError("a defect")


@pytest.mark.parametrize(
    ("total", "size", "shares"),
    [
        (12, 1, [(0, 12)]),
        (12, 3, [(0, 4), (4, 8), (8, 12)]),
        (7, 3, [(0, 2), (2, 4), (4, 7)]),
        (4, 4, [(0, 1), (1, 2), (2, 3), (3, 4)]),
    ],
)
def test_examples_are_shared_out_whole_and_nearly_evenly(total: int, size: int, shares: list[tuple[int, int]]) -> None:
    assert [share_of(total, World(CPU, rank, size)) for rank in range(size)] == shares


def test_no_process_may_be_without_an_example() -> None:
    check_batch(4, World(CPU, 0, 4))
    with pytest.raises(SettingsError) as caught:
        check_batch(3, World(CPU, 0, 4))
    assert str(caught.value) == (
        "a step has 3 examples, and there are 4 processes; start fewer processes, or set training.batch_size higher"
    )
