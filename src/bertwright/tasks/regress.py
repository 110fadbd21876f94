"""A number to a pair of texts or a text, such as how much two sentences mean the same (STS-B; paper, section 4.1)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from bertwright.batches.windows import Lengths
from bertwright.errors import RowError
from bertwright.heads.model import Bert
from bertwright.metrics.correlation import correlation_scores
from bertwright.objectives import regression_loss
from bertwright.tasks.pooled import PooledTask
from bertwright.tasks.rows import Row
from bertwright.tasks.showing import Fault, Showing
from bertwright.tasks.task import Item, Said

# Its square is a number of 32 bits.
_MOST = 1e18


@dataclass(frozen=True, slots=True)
class Measured:
    """The score of a text or a pair, on the scale of the training rows. cut: tokens that no window held."""

    score: float
    cut: int


class Regress(PooledTask[Measured]):
    """Texts or pairs with a score each.

    What is trained are standard scores, those less their mean over the training rows and in units of their deviation:
    weights move by some hundredths while a model is fine-tuned, and would not reach scores from 0 to 100. The head that
    is written gives the scores themselves.
    """

    kind = "score"
    metrics = ("spearman", "pearson")

    def __init__(
        self,
        name: str = "regress",
        *,
        columns: Sequence[str],
        label_column: str,
        lengths: Lengths,
        mean: float = 0.0,
        deviation: float = 1.0,
    ) -> None:
        """mean, deviation: of the scores in training; of a model that is finished 0 and 1."""
        super().__init__(name, columns=columns, label_column=label_column, labels=(), lengths=lengths)
        self.mean = mean
        self.deviation = deviation

    def before_training(self, model: Bert) -> None:
        """From scores to standard ones."""
        assert model.classifier is not None
        with torch.no_grad():
            model.classifier.dense.weight.div_(self.deviation)
            model.classifier.dense.bias.sub_(self.mean).div_(self.deviation)

    def after_training(self, model: Bert) -> Self:
        """From standard scores to the rows' own."""
        assert model.classifier is not None
        with torch.no_grad():
            model.classifier.dense.weight.mul_(self.deviation)
            model.classifier.dense.bias.mul_(self.deviation).add_(self.mean)
        found = copy.copy(self)
        found.mean, found.deviation = 0.0, 1.0
        return found

    def target(self, row: Row) -> float | None:
        """The row's score."""
        return row.score

    def targets(self, lessons: Sequence[Item]) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        """(items,), as standard scores, and the rows."""
        standard = [(lesson.target - self.mean) / self.deviation for lesson in lessons]
        return (torch.tensor(standard),), {"rows": float(len(lessons))}

    def loss_of(
        self, scores: Tensor, targets: tuple[Tensor, ...], totals: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean squared error; its figure is on the scale of the rows."""
        loss = regression_loss(scores[:, 0], targets[0], totals["rows"])
        return loss, {"squared_error": loss.detach() * self.deviation**2}

    def decode(self, row: Row, item: Item, said: Sequence[Said]) -> Measured:
        """The mean over the windows."""
        del row
        return Measured(float(np.mean(said)) * self.deviation + self.mean, item.lost)

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


def scale_of(rows: Sequence[Row]) -> tuple[float, float]:
    """The mean of the rows' scores and their deviation. Raises RowError where 32 bits cannot hold them."""
    scores = np.array([row.score for row in rows if row.score is not None])
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(scores.mean()), float(scores.std())
    if not (abs(mean) < _MOST and 1 / _MOST < deviation < _MOST):
        what = f"scores go from {scores.min():g} to {scores.max():g}, which numbers of 32 bits cannot tell apart"
        raise RowError(what, where=rows[0].where.rpartition(":")[0], cure="write them on another scale")
    return mean, deviation


def refuse_one_score(rows: Sequence[Row]) -> None:
    """Raise RowError where all training rows have the same score, so that there is nothing to learn."""
    found = {row.score for row in rows}
    if len(found) == 1:
        what = f"all rows have the score {found.pop()}"
        raise RowError(what, where=rows[0].where.rpartition(":")[0], cure="two scores or more are needed")
