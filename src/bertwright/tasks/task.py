"""What a task is: rows -> windows -> loss -> decoded predictions -> scores.

Fine-tuning, evaluation and prediction know a task by this alone, and so all cut, decode and score alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bertwright.batches.sequences import InputBatch, LabelledBatch
from bertwright.batches.windows import Lengths, Window
from bertwright.heads.model import Bert, Parts
from bertwright.records import Record
from bertwright.tasks.showing import Showing
from bertwright.tokens.tokenizer import Tokenizer

RowT = TypeVar("RowT")
PredictionT = TypeVar("PredictionT")
# What the model says of a window: as the task's `outputs` gives it, without the window's padding.
Said = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Item:
    """A row made ready: its windows, and what it is to be taught, None where it is only to be answered.

    lost: tokens of the row that are in none of its windows. sides: for each window the text of a pair that it is of,
    where the two are not read together. about: what else of the row decoding needs.
    """

    windows: tuple[Window, ...]
    target: Any = None
    lost: int = 0
    sides: tuple[int, ...] = ()
    about: Any = None


class Task(ABC, Generic[RowT, PredictionT]):
    """A task with the labels of its model. Its methods stand in the order in which data goes through them."""

    # As `--task` names it.
    name: str
    # The scores by which the best weights may be chosen, the usual one first; more is better in all of them.
    metrics: tuple[str, ...]
    lengths: Lengths
    labels: tuple[str, ...] = ()
    # Whether the loss of a step is the sum of those of its parts, so that they may go through the model one by one.
    in_parts: bool = True
    # What `tuned` chose, in sentences.
    chosen: tuple[str, ...] = ()

    @property
    @abstractmethod
    def parts(self) -> Parts:
        """What must stand on the encoder."""

    @abstractmethod
    def read(self, path: Path, say: Callable[[str], None]) -> list[RowT]:
        """The labelled rows of a file; what reading it mended or left out is said. Raises RowError with file:line."""

    @abstractmethod
    def unlabelled(self, records: Iterable[Record]) -> list[RowT]:
        """Rows to be answered, of records that were read already. Raises RowError with their places."""

    @abstractmethod
    def items(self, rows: Sequence[RowT], tokenizer: Tokenizer) -> list[Item]:
        """One item a row. Raises RowError where a label is none that the model has."""

    @property
    def asks(self) -> Hashable:
        """What `outputs` follows from beside the model and its inputs; here nothing."""
        return None

    def remarks(self, items: Sequence[Item]) -> list[str]:
        """What whoever trains on the items should be told of them, a line each; here nothing."""
        del items
        return []

    def lessons(self, items: Sequence[Item]) -> list[Item]:
        """What is shuffled in training and counted as one of a batch: here the items as they are."""
        return list(items)

    def before_training(self, model: Bert) -> None:
        """Change a head that goes on from its own weights into what is trained; here nothing."""
        del model

    def after_training(self, model: Bert) -> Self:
        """Change what was trained into the head that is written; returns the task of that model. Here nothing."""
        del model
        return self

    @abstractmethod
    def batch(self, lessons: Sequence[Item], pad_id: int) -> LabelledBatch:
        """Labelled items as tensors."""

    @abstractmethod
    def loss(self, model: Bert, batch: LabelledBatch, totals: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
        """The batch's part of a step's loss, and of the figures to be shown."""

    @abstractmethod
    def outputs(self, model: Bert, inputs: InputBatch) -> Tensor:
        """What is needed to decode: (windows, ...) or (windows, length, ...), fp32."""

    def said(self, arrays: Mapping[str, Said], inputs: InputBatch) -> Said:
        """What `outputs` gives, from the tensors that an exported graph names."""
        del inputs
        return arrays["logits"]

    @abstractmethod
    def decode(self, row: RowT, item: Item, said: Sequence[Said]) -> PredictionT:
        """The answer to a row from what the model said of each of its windows."""

    @abstractmethod
    def scores(self, rows: Sequence[RowT], predictions: Sequence[PredictionT]) -> dict[str, float]:
        """The task's metrics on labelled rows."""

    def baseline(self, train: Sequence[RowT], rows: Sequence[RowT]) -> dict[str, float]:
        """Scores on labelled rows of answers that take no model, only the training rows; here there are none."""
        del train, rows
        return {}

    def advice(self, rows: Sequence[RowT], predictions: Sequence[PredictionT]) -> list[str]:
        """What whoever scores the model on labelled rows should be told beside the scores; here nothing."""
        del rows, predictions
        return []

    def tuned(self, rows: Sequence[RowT], predictions: Sequence[PredictionT]) -> Self:
        """The same task with what is chosen on dev after training, such as a threshold; here nothing is."""
        del rows, predictions
        return self

    def showing(self, rows: Sequence[RowT], predictions: Sequence[PredictionT]) -> Showing:
        """What there is to see in the answers to labelled rows, beside the scores; here nothing is."""
        del rows, predictions
        return Showing()

    @abstractmethod
    def shown(self, prediction: PredictionT) -> dict[str, Any]:
        """A prediction as JSON has it."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """What bertwright.json must hold so that the task can be made again."""
