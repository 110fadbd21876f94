"""The training loop: batch -> loss -> gradient -> step, and who is told when.

It knows neither disks nor terminals: saving, measuring and reporting are functions that it is given, so it can be
tested without either.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import torch

from bertwright.errors import DivergenceError
from bertwright.randomness import Stream
from bertwright.training.precision import computing_in
from bertwright.training.schedules import linear_warmup_linear_decay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

    from bertwright.heads.model import Bert
    from bertwright.training.settings import TrainingSettings
    from bertwright.training.signals import StopWish


class Batch(Protocol):
    """What the loop must know of a batch."""

    @property
    def tokens(self) -> int:
        """Real tokens in it."""

    def to(self, device: torch.device) -> Self:
        """The batch on `device`."""


BatchT = TypeVar("BatchT", bound=Batch)


@dataclass(slots=True)
class Trainee:
    """What training changes: the weights, the optimizers' moments, and the number of steps done."""

    model: Bert
    optimizers: tuple[torch.optim.Optimizer, ...]
    step: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """Means since the last report. `tokens_per_second` counts real tokens."""

    step: int
    learning_rate: float
    figures: dict[str, float]
    tokens_per_second: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """Who is told what: `report` every log_every steps; `evaluate` and `save` every so many steps and at the end."""

    report: Callable[[Report], None]
    evaluate: Callable[[int], None]
    save: Callable[[int], None]


def train(
    trainee: Trainee,
    settings: TrainingSettings,
    *,
    batches: Iterable[BatchT],
    objective: Callable[[Bert, BatchT], tuple[Tensor, dict[str, Tensor]]],
    dtype: torch.dtype,
    hooks: Hooks,
    wish: StopWish,
) -> bool:
    """Train until `settings.steps`, or until someone wishes to stop; the state is saved in both cases.

    `batches` begins with the batch of step `trainee.step`. `objective` maps model and batch to the loss and to figures,
    all scalars; figures are averaged between reports. Layers compute in `dtype`. Returns whether all steps were done.
    Raises DivergenceError.
    """
    device = next(trainee.model.parameters()).device
    meter = _Meter()
    source = iter(batches)
    saved = trainee.step  # a run goes on from what was saved
    stopping = wish.signal_number is not None
    while trainee.step < settings.steps and not stopping:
        batch = next(source).to(device)
        share = rate_share(trainee.step, settings)
        for optimizer in trainee.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = share * group.setdefault("initial_lr", group["lr"])
        # Dropout is the one draw that torch makes. Seeding it from the step keeps law 1: no generator outlives a step.
        torch.manual_seed(Stream(settings.seed, "dropout", trainee.step).integer())

        trainee.model.train()
        with computing_in(dtype, device):
            loss, figures = objective(trainee.model, batch)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trainee.model.parameters(), settings.clip_norm)
        for optimizer in trainee.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        trainee.step += 1
        meter.add(batch.tokens, figures | {"loss": loss.detach(), "gradient_norm": norm})

        done = trainee.step == settings.steps
        # Asked once a step: a wish that comes while the hooks run is heard after the next one, which is then saved.
        stopping = wish.signal_number is not None
        saving = trainee.step % settings.save_every == 0 or done or stopping
        if trainee.step % settings.log_every == 0 or saving:
            hooks.report(meter.report(trainee.step, share * settings.learning_rate, saved))
        if trainee.step % settings.evaluate_every == 0 or done:
            hooks.evaluate(trainee.step)
            meter.restart()
        if saving:
            hooks.save(trainee.step)
            saved = trainee.step
            meter.restart()
    return trainee.step >= settings.steps


def rate_share(step: int, settings: TrainingSettings) -> float:
    """The share of its highest learning rate that each optimizer takes at a step (0 is the first)."""
    warmup = math.ceil(settings.steps * settings.warmup_fraction)
    return linear_warmup_linear_decay(step, steps=settings.steps, warmup_steps=warmup)


class _Meter:
    """Sums figures on their device, so that a step never waits for them, and tells their means."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._tokens = 0
        self._start = time.perf_counter()

    def add(self, tokens: int, figures: dict[str, Tensor]) -> None:
        for name, value in figures.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1
        self._tokens += tokens

    def report(self, step: int, rate: float, saved: int) -> Report:
        means = {name: float(total) / self._steps for name, total in self._sums.items()}
        if not math.isfinite(means["loss"]):
            raise DivergenceError(
                f"the loss is no longer a number at step {step}; "
                + (f"the checkpoint of step {saved} is kept" if saved else "nothing was saved before it")
                + ". Start again with a lower learning_rate"
            )
        # Reading the sums has waited for the device: only now is the time that of the work.
        elapsed = time.perf_counter() - self._start
        report = Report(step, rate, means, self._tokens / elapsed)
        self.restart()
        return report
