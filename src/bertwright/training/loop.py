"""The training loop: examples -> loss -> gradient -> step, and who is told when.

It knows neither disks nor terminals: saving, measuring and reporting are functions that it is given, so it can be
tested without either.
"""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel

from bertwright.encoder.dropout import drawing
from bertwright.errors import DivergenceError, ToldElsewhere
from bertwright.randomness import Stream
from bertwright.training.clipping import clip_gradients
from bertwright.training.freezing import set_training
from bertwright.training.meter import Meter, Report
from bertwright.training.precision import computing_in
from bertwright.training.schedules import rate_share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from bertwright.heads.model import Bert
    from bertwright.training.settings import TrainingSettings
    from bertwright.training.signals import StopWish
    from bertwright.training.world import World


class Batch(Protocol):
    """What the loop must know of a batch."""

    @property
    def tokens(self) -> int:
        """Real tokens in it."""

    @property
    def counts(self) -> Mapping[str, float]:
        """What the mean of each loss is over, such as the number of hidden words or the sum of the labels' weights."""

    def to(self, device: torch.device) -> Self:
        """The batch on `device`."""


BatchT = TypeVar("BatchT", bound=Batch)


@dataclass(frozen=True, slots=True)
class Portion(Generic[BatchT]):
    """What one process does of a step: batches that go through the model one after the other.

    first_rows: the number of each batch's first row in the whole step, by which dropout is drawn. examples: where they
    come from, to be told should they do harm.
    """

    batches: Sequence[BatchT]
    first_rows: Sequence[int]
    examples: str = ""


@dataclass(slots=True)
class Trainee:
    """What training changes: the weights, the optimizers' moments, the steps done and how many of them were skipped."""

    model: Bert
    optimizers: tuple[torch.optim.Optimizer, ...]
    step: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """Who is told what: `report` every log_every steps; `evaluate` and `save` every so many steps and at the end.

    `evaluate` returns true where the training has gone far enough.
    """

    report: Callable[[Report], None]
    evaluate: Callable[[int], bool | None]
    save: Callable[[int], None]


def undivided(batches: Iterable[BatchT]) -> Iterator[Portion[BatchT]]:
    """Steps of one process, each of one batch."""
    return (Portion((batch,), (0,)) for batch in batches)


def train(
    trainee: Trainee,
    settings: TrainingSettings,
    *,
    portions: Iterable[Portion[BatchT]],
    objective: Callable[[Bert, BatchT, Mapping[str, float]], tuple[Tensor, dict[str, Tensor]]],
    dtype: torch.dtype,
    hooks: Hooks,
    wish: StopWish,
    world: World,
) -> bool:
    """Train until `settings.steps`, or until `hooks.evaluate` says that it is enough, or someone wishes to stop.

    After any of them, the last step done is saved.

    `portions` begins with the step `trainee.step`. `objective` maps the model, a batch and what the whole step counts
    to the batch's part of the loss and of the figures, all scalars, which add up to the step's; figures are averaged
    between reports. Layers compute in `dtype`. Returns whether the training is finished. Raises DivergenceError.
    """
    learner = _learner(trainee.model, objective, world)
    meter = Meter(world)
    source = iter(portions)
    stopping = _anyone_wishes(wish, world)
    enough = False
    while trainee.step < settings.steps and not stopping and not enough:
        portion = next(source)
        share = rate_share(trainee.step, settings)
        for optimizer in trainee.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = share * group.setdefault("initial_lr", group["lr"])

        set_training(trainee.model)
        totals, stopping = _agree(portion, wish, world)
        figures = _gradients(trainee, learner, portion, totals, dtype=dtype, seed=settings.seed, world=world)
        norm = clip_gradients(trainee.model.parameters(), settings.clip_norm)
        if math.isfinite(norm):
            for optimizer in trainee.optimizers:
                optimizer.step()
            trainee.skipped_in_a_row = 0
            meter.add(figures | {"gradient_norm": norm / world.size})
        else:
            trainee.skipped += 1
            trainee.skipped_in_a_row += 1
            meter.skip()
        for optimizer in trainee.optimizers:
            optimizer.zero_grad(set_to_none=True)
        meter.tokens += sum(batch.tokens for batch in portion.batches)
        trainee.step += 1
        rate = share * settings.learning_rate
        if trainee.skipped_in_a_row >= settings.max_skipped_steps:
            _give_up(trainee, rate, portion, world)

        # Alone, a wish that came during the step is heard now; several agree on it when the next one begins.
        stopping = stopping or (world.size == 1 and wish.signal_number is not None)
        done = trainee.step == settings.steps
        saving = trainee.step % settings.save_every == 0 or done or stopping
        if trainee.step % settings.log_every == 0 or saving:
            hooks.report(meter.report(trainee.step, rate))
        aside = time.perf_counter()
        if trainee.step % settings.evaluate_every == 0 or done:
            enough = bool(hooks.evaluate(trainee.step))
        if saving or enough:
            hooks.save(trainee.step)
        meter.leave_out(time.perf_counter() - aside)
    return enough or trainee.step >= settings.steps


class _Learner(nn.Module):
    """Model and objective as one module: what DDP must see the forward pass of."""

    def __init__(
        self,
        model: Bert,
        objective: Callable[[Bert, BatchT, Mapping[str, float]], tuple[Tensor, dict[str, Tensor]]],
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: BatchT, totals: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
        found: tuple[Tensor, dict[str, Tensor]] = self.objective(self.model, batch, totals)  # type: ignore[arg-type]
        return found


def _learner(
    model: Bert,
    objective: Callable[[Bert, BatchT, Mapping[str, float]], tuple[Tensor, dict[str, Tensor]]],
    world: World,
) -> nn.Module:
    learner = _Learner(model, objective)
    if world.size == 1 or isinstance(model, FSDPModule):
        return learner
    return DistributedDataParallel(learner, gradient_as_bucket_view=True)


def _gradients(
    trainee: Trainee,
    learner: nn.Module,
    portion: Portion[BatchT],
    totals: Mapping[str, float],
    *,
    dtype: torch.dtype,
    seed: int,
    world: World,
) -> dict[str, Tensor]:
    """Put the gradients of the step, summed over its batches and over the processes, into the parameters.

    Returns this process's part of the figures.
    """
    figures: dict[str, Tensor] = {}
    stream = Stream(seed, "dropout", trainee.step)
    last = len(portion.batches) - 1
    for number, (batch, first_row) in enumerate(zip(portion.batches, portion.first_rows, strict=True)):
        there = batch.to(world.device)
        # Law 1: no generator outlives a batch. Where dropout is torch's, it is seeded by the step and the batch.
        torch.manual_seed(stream.integer(first_row))
        with drawing(stream, first_row), _exchanging(trainee.model, learner, now=number == last):
            with computing_in(dtype, world.device):
                loss, found = learner(there, totals)
            # Processes are averaged by torch; what is wanted is their sum.
            (loss * world.size).backward()
        for name, value in (found | {"loss": loss.detach()}).items():
            figures[name] = figures[name] + value if name in figures else value
    return figures


def _exchanging(model: Bert, learner: nn.Module, *, now: bool) -> AbstractContextManager[None]:
    """Gradients go to the other processes with the last batch of a step, and stay here before."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(now)
    elif isinstance(learner, DistributedDataParallel) and not now:
        kept: AbstractContextManager[None] = learner.no_sync()
        return kept
    return nullcontext()


def _agree(portion: Portion[BatchT], wish: StopWish, world: World) -> tuple[dict[str, float], bool]:
    """What the whole step counts, and whether any process wishes to stop after it."""
    counts: dict[str, float] = {}
    for batch in portion.batches:
        for name, count in batch.counts.items():
            counts[name] = counts.get(name, 0) + count
    *summed, wishes = world.sum([*counts.values(), wish.signal_number is not None])
    # A mean over nothing is 0, not a division by 0: a batch may hold no pair.
    return {name: count or 1.0 for name, count in zip(counts, summed, strict=True)}, wishes > 0


def _anyone_wishes(wish: StopWish, world: World) -> bool:
    return world.sum([wish.signal_number is not None])[0] > 0


def _give_up(trainee: Trainee, rate: float, portion: Portion[BatchT], world: World) -> None:
    if not world.is_first:
        raise ToldElsewhere(DivergenceError.exit_code)
    examples = f", {portion.examples}" if portion.examples else ""
    raise DivergenceError(
        f"the gradient was not finite in {trainee.skipped_in_a_row} steps in a row, the last of them step "
        f"{trainee.step:,} (learning rate {rate:.3g}{examples}); they were skipped. "
        "Begin anew with a lower learning_rate or a longer warm-up, or look at those examples"
    )
