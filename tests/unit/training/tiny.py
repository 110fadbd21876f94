"""A model, batches and hooks small enough that a training run takes no time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.training.loop import Hooks, Trainee
from bertwright.training.meter import Report
from bertwright.training.optimizers import build_optimizers
from bertwright.training.settings import TrainingSettings

CONFIG = EncoderConfig(
    num_hidden_layers=2,
    hidden_size=16,
    num_attention_heads=2,
    intermediate_size=32,
    vocab_size=30,
    max_position_embeddings=12,
)


def settings(**values: Any) -> TrainingSettings:
    return TrainingSettings(**{"steps": 6, "learning_rate": 1e-2, "seed": 3} | values)


def trainee(settings: TrainingSettings, *, seed: int = 0) -> Trainee:
    model = Bert(CONFIG, PRETRAINING)
    model.initialise(seed)
    return Trainee(model, build_optimizers(model, settings))


@dataclass
class Followed:
    """A model whose one optimizer is followed by hand, in double precision, along gradients drawn at random."""

    model: Bert
    optimizer: torch.optim.Optimizer
    wanted: dict[str, Tensor]
    moments: dict[str, tuple[Tensor, Tensor]]
    _generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Give each parameter a gradient; its name, and the gradient in double precision."""
        for name, parameter in self.model.named_parameters():
            parameter.grad = torch.randn(parameter.shape, generator=self._generator)
            yield name, parameter.grad.double()

    def check(self) -> None:
        """The parameters are where those `wanted` are."""
        for name, parameter in self.model.named_parameters():
            torch.testing.assert_close(parameter.detach().double(), self.wanted[name], rtol=1e-4, atol=1e-5, msg=name)


def followed(optimizer: str) -> Followed:
    """At a rate of 0.25 and a decay of 0.5; the moments begin at 0."""
    begun = trainee(settings(optimizer=optimizer, learning_rate=0.25, weight_decay=0.5))
    (only,) = begun.optimizers
    wanted = {name: parameter.detach().double() for name, parameter in begun.model.named_parameters()}
    moments = {name: (torch.zeros_like(value), torch.zeros_like(value)) for name, value in wanted.items()}
    return Followed(begun.model, only, wanted, moments)


def batches(first: int = 0) -> Iterator[PretrainingBatch]:
    """The batches from step `first` on, each a function of its number; 4 x 8, the last row three tokens shorter."""
    number = first
    while True:
        generator = torch.Generator().manual_seed(number)
        ids = torch.randint(1, CONFIG.vocab_size, (4, 8), generator=generator)
        mask = torch.ones(4, 8, dtype=torch.bool)
        mask[3, 5:] = False
        yield PretrainingBatch(
            input_ids=ids.masked_fill(~mask, 0),
            token_type_ids=torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]]).expand(4, 8),
            attention_mask=mask,
            first_positions=torch.zeros(4, 1, dtype=torch.long),
            masked_positions=torch.tensor([[1, 4]]).expand(4, 2),
            masked_labels=torch.randint(1, CONFIG.vocab_size, (8,), generator=generator),
            next_sentence_labels=torch.tensor([0, 1, 0, 1]),
        )
        number += 1


@dataclass
class Diary:
    """Who was called when, in order, such as ("save", 3)."""

    events: list[tuple[str, int]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    @property
    def hooks(self) -> Hooks:
        return Hooks(
            report=self._report,
            evaluate=lambda step: self.events.append(("evaluate", step)),
            save=lambda step: self.events.append(("save", step)),
        )

    def of(self, name: str) -> list[int]:
        return [step for event, step in self.events if event == name]

    def _report(self, report: Report) -> None:
        self.reports.append(report)
        self.events.append(("report", report.step))
