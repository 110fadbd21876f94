"""Tasks with one answer to a text or a pair: what the head says of its windows, averaged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bertwright.batches.sequences import InputBatch, LabelledBatch, pad
from bertwright.batches.windows import Lengths, cut_windows
from bertwright.heads.model import Bert, Parts
from bertwright.records import Record
from bertwright.tasks.rows import Kind, Row, read_rows, rows_of
from bertwright.tasks.task import Item, PredictionT, Task
from bertwright.tokens.tokenizer import Tokenizer


class PooledTask(Task[Row, PredictionT]):
    """Rows of one or two texts. A long text's scores are the mean over its windows, in training as later."""

    # How the label column is read.
    kind: Kind

    def __init__(
        self, name: str, *, columns: Sequence[str], label_column: str, labels: Sequence[str], lengths: Lengths
    ) -> None:
        """columns: those of the text, or of both texts."""
        self.name = name
        self.columns = tuple(columns)
        self.label_column = label_column
        self.labels = tuple(labels)
        self.lengths = lengths

    @property
    def parts(self) -> Parts:
        """A layer over the pooled [CLS] (paper, section 4.1)."""
        return Parts(labels=max(1, len(self.labels)))

    def read(self, path: Path, say: Callable[[str], None]) -> list[Row]:
        """Rows with their labels, which the model must have."""
        del say
        rows = read_rows(path, self.columns, self.label_column, self.kind)
        for row in rows:
            self.target(row)
        return rows

    def unlabelled(self, records: Iterable[Record]) -> list[Row]:
        """Rows of which only the texts are looked at."""
        return rows_of(records, self.columns, None)

    def items(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[Item]:
        """Texts that are too long are cut into windows."""
        found = []
        for row in rows:
            cut = cut_windows([tokenizer.ids(text) for text in row.texts], self.lengths, tokenizer.vocabulary)
            found.append(Item(cut.windows, self.target(row), cut.lost))
        return found

    @abstractmethod
    def target(self, row: Row) -> Any:
        """What a row teaches; None where it has no label. Raises RowError where the model has no such label."""

    @abstractmethod
    def targets(self, lessons: Sequence[Item]) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        """The targets of a batch as tensors, and what its loss counts."""

    @abstractmethod
    def loss_of(
        self, scores: Tensor, targets: tuple[Tensor, ...], totals: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """scores: (items, labels), fp32 -> the loss and the figures."""

    def batch(self, lessons: Sequence[Item], pad_id: int) -> LabelledBatch:
        """All windows of the lessons, one after the other."""
        windows = [window for lesson in lessons for window in lesson.windows]
        owners = [number for number, lesson in enumerate(lessons) for _ in lesson.windows]
        targets, counts = self.targets(lessons)
        return LabelledBatch(pad(windows, pad_id), torch.tensor(owners), targets, counts)

    def loss(self, model: Bert, batch: LabelledBatch, totals: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
        """That of the averaged scores."""
        scores = self.outputs(model, batch.inputs).float()
        return self.loss_of(mean_by_owner(scores, batch.owners), batch.targets, totals)

    def outputs(self, model: Bert, inputs: InputBatch) -> Tensor:
        """(windows, labels)."""
        return model.class_scores(inputs.input_ids, inputs.token_type_ids, inputs.attention_mask)

    def seen(self, row: Row) -> dict[str, Any]:
        """A row as it is told of: where it stands, and its texts by their columns."""
        return {"where": row.where, **dict(zip(self.columns, row.texts, strict=True))}

    def record(self) -> dict[str, Any]:
        """The columns, and how long texts are cut."""
        return {"columns": {"texts": list(self.columns), "label": self.label_column}}


def mean_by_owner(values: Tensor, owners: Tensor) -> Tensor:
    """The mean over the windows of each item: values (windows, ...), owners (windows,) -> (items, ...)."""
    items = int(owners[-1]) + 1
    if items == len(owners):
        return values
    sums = values.new_zeros(items, *values.shape[1:]).index_add(0, owners, values)
    counts = torch.bincount(owners, minlength=items).to(values.dtype)
    return sums / counts.view(-1, *[1] * (values.dim() - 1))
