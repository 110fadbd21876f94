"""Two processes train what is left to learn above frozen layers, with copies of the model or with shares of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.multiprocessing.spawn import spawn

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.checkpoints.snapshot import restore, snapshot
from bertwright.checkpoints.training_state import TrainingState
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.tasks.pretrain import objective
from bertwright.training.freezing import Frozen, freeze
from bertwright.training.loop import Hooks, Portion, Trainee, train
from bertwright.training.optimizers import build_optimizers
from bertwright.training.settings import ShardingName
from bertwright.training.sharded import share_out
from bertwright.training.signals import StopWish
from bertwright.training.world import World, alone, open_world
from tests.unit.training.tiny import CONFIG, batches, settings

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def portions(world: World, first: int) -> Iterator[Portion[PretrainingBatch]]:
    """The steps of `batches`, four rows each, of which this process takes as many as the others."""
    for batch in batches(first):
        begin, end = (4 * rank // world.size for rank in (world.rank, world.rank + 1))
        rows = slice(begin, end)
        part = PretrainingBatch(
            batch.input_ids[rows],
            batch.token_type_ids[rows],
            batch.attention_mask[rows],
            batch.first_positions[rows],
            batch.masked_positions[rows],
            batch.masked_labels.view(4, -1)[rows].flatten(),
            batch.next_sentence_labels[rows],
        )
        yield Portion((part,), (begin,))


def train_twice(world: World, what: Frozen | int, sharding: ShardingName) -> TrainingState:
    """Train in one go, and again from the middle on; returns the state at the end, of both."""
    chosen = settings(layer_decay=0.5, save_every=3)
    states: list[TrainingState] = []

    def go_on(state: TrainingState | None) -> None:
        model = Bert(CONFIG, PRETRAINING)
        model.initialise(7 if state else 0)
        freeze(model, what)
        share_out(model, world, sharding)
        trainee = Trainee(model, build_optimizers(model, chosen))
        if state is not None:
            restore(trainee, state, Path("nowhere"))
        train(
            trainee,
            chosen,
            portions=portions(world, trainee.step),
            objective=objective,
            dtype=torch.float32,
            hooks=Hooks(
                report=lambda _: None,
                evaluate=lambda _: None,
                save=lambda _: states.append(snapshot(trainee, {})),
            ),
            wish=StopWish(),
            world=world,
        )

    go_on(None)
    go_on(states[0])
    assert [state.step for state in states] == [3, 6, 6]
    for name, tensor in states[1].weights.items():
        assert torch.equal(tensor, states[2].weights[name]), name
    return states[2]


def one_of_two(rank: int, port: int, what: Frozen | int, sharding: ShardingName, out: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with open_world(CPU) as world:
        state = train_twice(world, what, sharding)
        if world.is_first:
            torch.save(state.weights, out)


@pytest.mark.parametrize("sharding", ["ddp", "fsdp"])
@pytest.mark.parametrize("what", [1, "encoder"])
def test_two_processes_train_what_one_trains(tmp_path: Path, what: Frozen | int, sharding: ShardingName) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(one_of_two, (port, what, sharding, tmp_path / "weights"), nprocs=2)
    wanted = train_twice(alone(CPU), what, "ddp").weights
    found = torch.load(tmp_path / "weights")
    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, wanted[name], rtol=1e-4, atol=1e-5, msg=name)
