"""A number to a pair of texts or a text, such as how much two sentences mean the same (STS-B; paper, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bertwright.batches.windows import Lengths
from bertwright.errors import RowError
from bertwright.metrics.correlation import correlation_scores
from bertwright.objectives import regression_loss
from bertwright.tasks.pooled import PooledTask
from bertwright.tasks.rows import Row
from bertwright.tasks.showing import Fault, Showing
from bertwright.tasks.task import Item, Said


@dataclass(frozen=True, slots=True)
class Measured:
    """The score of a text or a pair, on the scale of the training rows. cut: tokens that no window held."""

    score: float
    cut: int


class Regress(PooledTask[Measured]):
    """Texts or pairs with a score each."""

    kind = "score"
    metrics = ("spearman", "pearson")

    def __init__(self, name: str = "regress", *, columns: Sequence[str], label_column: str, lengths: Lengths) -> None:
        super().__init__(name, columns=columns, label_column=label_column, labels=(), lengths=lengths)

    def target(self, row: Row) -> float | None:
        """The row's score."""
        return row.score

    def targets(self, lessons: Sequence[Item]) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        """(items,), and the rows."""
        return (torch.tensor([lesson.target for lesson in lessons]),), {"rows": float(len(lessons))}

    def loss_of(
        self, scores: Tensor, targets: tuple[Tensor, ...], totals: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean squared error, which is its own figure."""
        loss = regression_loss(scores[:, 0], targets[0], totals["rows"])
        return loss, {"squared_error": loss.detach()}

    def decode(self, row: Row, item: Item, said: Sequence[Said]) -> Measured:
        """The mean over the windows."""
        del row
        return Measured(float(np.mean(said)), item.lost)

    def scores(self, rows: Sequence[Row], predictions: Sequence[Measured]) -> dict[str, float]:
        """Pearson and spearman correlation."""
        gold = [row.score for row in rows if row.score is not None]
        return correlation_scores(gold, [each.score for each in predictions])

    def showing(self, rows: Sequence[Row], predictions: Sequence[Measured]) -> Showing:
        """Both numbers, and as faults all rows that are not met exactly; their loss is the distance."""
        gold = np.array([row.score for row in rows], dtype=np.float64)
        measured = np.array([each.score for each in predictions], dtype=np.float64)
        faults = [
            Fault(abs(wanted - got), self.seen(row), {"gold": wanted, "predicted": got})
            for row, wanted, got in zip(rows, gold.tolist(), measured.tolist(), strict=True)
            if wanted != got
        ]
        return Showing(faults=faults, gold=gold, measured=measured)

    def shown(self, prediction: Measured) -> dict[str, Any]:
        """Score and cut."""
        return asdict(prediction)


def refuse_one_score(rows: Sequence[Row]) -> None:
    """Raise RowError where all training rows have the same score, so that there is nothing to learn."""
    found = {row.score for row in rows}
    if len(found) == 1:
        what = f"all rows have the score {found.pop()}"
        raise RowError(what, where=rows[0].where.rpartition(":")[0], cure="two scores or more are needed")
