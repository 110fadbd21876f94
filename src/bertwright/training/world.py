"""The processes that train one model together, as `torchrun` starts them; one process alone is a world too.

What they tell each other about the run (counts, wishes, figures) goes between their processors, over gloo, so that no
step waits for a GPU; gradients go between devices.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist

from bertwright.errors import BertwrightError, OperationalFault, SettingsError, ToldElsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

_PATIENCE = timedelta(minutes=30)  # the first process may be counting a large corpus meanwhile
# Under this name the first process notes that it is done.
_ENDED = "bertwright-ended"
T = TypeVar("T")


class World:
    """One process among `size`: its `rank`, the device it computes on, and how it talks to the others."""

    def __init__(self, device: torch.device, rank: int = 0, size: int = 1, in_node: int = 1) -> None:
        """in_node: the processes of each node."""
        self.device = device
        self.rank = rank
        self.size = size
        self.in_node = in_node

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and talks."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Each value, summed over the processes; exact for whole numbers."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def smallest(self, value: int) -> int:
        """The smallest of the processes' values."""
        if self.size == 1:
            return value
        found = torch.tensor(value)
        dist.all_reduce(found, op=dist.ReduceOp.MIN)
        return int(found)

    def sum_tensor(self, tensor: Tensor) -> Tensor:
        """A tensor on this process's device, summed over the processes in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def of_first(self, work: Callable[[], T]) -> T:
        """What `work`, done by the first process alone, returns: a JSON value, told to all.

        Where it fails there, it fails everywhere: the first process raises its fault, the others ToldElsewhere.
        """
        if self.size == 1:
            return work()
        if not self.is_first:
            told = json.loads(self._tell(None))
            if "exit_code" in told:
                raise ToldElsewhere(told["exit_code"])
            return told["value"]
        try:
            value = work()
        except BaseException as fault:
            self._tell(json.dumps({"exit_code": fault.exit_code if isinstance(fault, BertwrightError) else 1}))
            raise
        self._tell(json.dumps({"value": value}))
        return value

    def _tell(self, text: str | None) -> str:
        encoded = (text or "").encode()
        length = torch.tensor(len(encoded))
        dist.broadcast(length, src=0)
        content = torch.empty(int(length), dtype=torch.uint8)
        if text is not None:
            content = torch.frombuffer(bytearray(encoded), dtype=torch.uint8)
        dist.broadcast(content, src=0)
        return bytes(content.tolist()).decode()


def alone(device: torch.device | None = None) -> World:
    """A world of one process, on a GPU where there is one."""
    return World(device or torch.device("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def open_world(device: torch.device | None = None) -> Iterator[World]:
    """Join the processes that torchrun started (it sets RANK, WORLD_SIZE and more), or stand alone.

    A fault of the network or of another process becomes OperationalFault. Raises SettingsError.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield alone(device)
        return
    names = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if missing := [name for name in names if name not in os.environ]:
        raise SettingsError(f"WORLD_SIZE is {size}, but {missing[0]} is not set", cure="start it with torchrun")
    rank, local, in_node = (int(os.environ[name]) for name in names)
    if device is None:
        device = torch.device("cpu")
        if torch.cuda.is_available():
            if in_node > torch.cuda.device_count():
                what = f"{in_node} processes were started on a machine with {torch.cuda.device_count()} GPUs"
                raise SettingsError(what, cure=f"give torchrun --nproc-per-node {torch.cuda.device_count()}")
            device = torch.device("cuda", local)
            torch.cuda.set_device(device)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
        yield World(device, rank, size, in_node)
    except ToldElsewhere:
        # torchrun ends all processes as soon as one has failed, and the first may still be writing a checkpoint.
        with suppress(RuntimeError):
            _store().wait([_ENDED], _PATIENCE)
        raise
    except (RuntimeError, ValueError) as fault:
        # torch tells a lost connection by RuntimeError, and so it does much else, which is ours to see whole.
        if not _is_of_the_network(fault):
            raise
        what = f"another process of the run is gone ({str(fault).splitlines()[0][:120]}); go on with --resume"
        raise OperationalFault(f"process {rank} of {size}: {what}") from None
    finally:
        if dist.is_initialized():
            if rank == 0:
                with suppress(RuntimeError):
                    _store().set(_ENDED, "")
            dist.destroy_process_group()


def _store() -> dist.distributed_c10d.Store:
    """Where processes leave each other notes, beside what they compute together."""
    return dist.distributed_c10d._get_default_store()  # noqa: SLF001  # torch has no public name for it


def _is_of_the_network(fault: Exception) -> bool:
    told = str(fault)
    signs = ("Connection", "connection", "gloo", "NCCL", "Broken pipe", "Timed out", "timed out", "TCPStore")
    return isinstance(fault, dist.DistError) or any(sign in told for sign in signs)


def share_of(total: int, world: World) -> tuple[int, int]:
    """First and last (exclusive) of `total` examples that this process takes: whole and nearly even."""
    return world.rank * total // world.size, (world.rank + 1) * total // world.size


def check_batch(smallest: int, world: World) -> None:
    """Raise SettingsError where a step has fewer examples than there are processes."""
    if smallest < world.size:
        what = f"a step has {smallest} examples, and there are {world.size} processes"
        raise SettingsError(what, cure="start fewer processes, or set training.batch_size higher")
