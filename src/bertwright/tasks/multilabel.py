"""Any number of labels to a text: each label is a yes or no of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertwright.batches.windows import Lengths
from bertwright.errors import RowError
from bertwright.metrics.classification import multilabel_class_scores, multilabel_scores
from bertwright.objectives import multilabel_loss
from bertwright.tasks.classify import in_order, unknown_label
from bertwright.tasks.pooled import PooledTask
from bertwright.tasks.rows import Row
from bertwright.tasks.showing import Fault, Showing
from bertwright.tasks.task import Item, Said


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of a text, likeliest first, and the probability of every label. cut: tokens that no window held."""

    labels: tuple[str, ...]
    probabilities: dict[str, float]
    cut: int


class Multilabel(PooledTask[Labelled]):
    """Texts with none, one or several labels each."""

    kind = "labels"
    metrics = ("micro_f1", "macro_f1", "exact")

    def __init__(
        self,
        name: str = "multilabel",
        *,
        columns: Sequence[str],
        label_column: str,
        labels: Sequence[str],
        lengths: Lengths,
        weights: Sequence[float] | None = None,
        threshold: float = 0.5,
    ) -> None:
        """weights: of the labels in the loss. threshold: the probability from which on a label is given."""
        super().__init__(name, columns=columns, label_column=label_column, labels=labels, lengths=lengths)
        self.weights = None if weights is None else torch.tensor(weights)
        self.threshold = threshold
        self._numbers = {label: number for number, label in enumerate(self.labels)}

    def target(self, row: Row) -> NDArray[np.bool_] | None:
        """(labels,), true for those that the row has."""
        if row.labels is None:
            return None
        found = np.zeros(len(self.labels), dtype=np.bool_)
        for label in row.labels:
            if label not in self._numbers:
                raise unknown_label(label, self.labels, row.where)
            found[self._numbers[label]] = True
        return found

    def targets(self, lessons: Sequence[Item]) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        """(items, labels), and the rows."""
        wanted = torch.from_numpy(np.stack([lesson.target for lesson in lessons]).astype(np.float32))
        return (wanted,), {"rows": float(len(lessons))}

    def loss_of(
        self, scores: Tensor, targets: tuple[Tensor, ...], totals: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Binary cross-entropy, and the share of labels told right."""
        (wanted,) = targets
        weights = None if self.weights is None else self.weights.to(scores.device)
        loss = multilabel_loss(scores, wanted, totals["rows"], weights=weights)
        right = ((scores.detach() > 0) == wanted.bool()).float().mean(dim=1).sum()
        return loss, {"accuracy": right / totals["rows"]}

    def decode(self, row: Row, item: Item, said: Sequence[Said]) -> Labelled:
        """Every label whose probability, of the averaged scores, reaches the threshold."""
        del row
        probabilities = 1 / (1 + np.exp(-np.mean(said, axis=0, dtype=np.float64)))
        order = np.argsort(-probabilities, kind="stable")
        ranked = {self.labels[number]: float(probabilities[number]) for number in order}
        given = tuple(label for label, probability in ranked.items() if probability >= self.threshold)
        return Labelled(given, ranked, item.lost)

    def baseline(self, train: Sequence[Row], rows: Sequence[Row]) -> dict[str, float]:
        """Of always giving the most frequent label of `train`."""
        often = Counter(label for row in train for label in row.labels or ())
        given = (max(often, key=often.__getitem__),)
        return self.scores(rows, [Labelled(given, {}, 0) for _ in rows])

    def scores(self, rows: Sequence[Row], predictions: Sequence[Labelled]) -> dict[str, float]:
        """micro_f1, macro_f1 and the share of rows with all labels right."""
        return multilabel_scores(*self._sides(rows, predictions))

    def showing(self, rows: Sequence[Row], predictions: Sequence[Labelled]) -> Showing:
        """The labels, the wrong rows, and how sure each yes or no was. A row's loss is the mean over all labels."""
        gold, given = self._sides(rows, predictions)
        sure = np.array([[each.probabilities[label] for label in self.labels] for each in predictions])
        losses = -np.log(np.maximum(np.where(gold, sure, 1 - sure), 1e-300)).mean(axis=1)
        faults = []
        for number in np.flatnonzero((gold != given).any(axis=1)).tolist():
            named = {
                name: [label for label, is_one in zip(self.labels, which[number], strict=True) if is_one]
                for name, which in (("gold", gold), ("missing", gold & ~given), ("too_many", given & ~gold))
            }
            each = predictions[number]
            doubtful = [*named["missing"], *named["too_many"]]
            answer = {
                "gold": named["gold"],
                "predicted": list(each.labels),
                "missing": named["missing"],
                "too_many": named["too_many"],
                "probabilities": {label: each.probabilities[label] for label in doubtful},
            }
            faults.append(Fault(float(losses[number]), self.seen(rows[number]), answer))
        return Showing(
            faults=faults,
            classes=dict(zip(self.labels, multilabel_class_scores(gold, given), strict=True)),
            sure=sure.ravel(),
            right=gold.ravel(),
        )

    def _sides(
        self, rows: Sequence[Row], predictions: Sequence[Labelled]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The labels that the rows have and those that they were given, (rows, labels) each."""
        gold = np.stack([found for row in rows if (found := self.target(row)) is not None])
        given = np.array([[label in each.labels for label in self.labels] for each in predictions], dtype=np.bool_)
        return gold, given

    def shown(self, prediction: Labelled) -> dict[str, Any]:
        """labels, probabilities and cut."""
        return asdict(prediction) | {"labels": list(prediction.labels)}

    def record(self) -> dict[str, Any]:
        """With the threshold."""
        return super().record() | {"threshold": self.threshold}


def all_labels(rows: Sequence[Row]) -> tuple[str, ...]:
    """Every label that a training row has, sorted. Raises RowError where there is none, or all rows have all."""
    found = {label for row in rows for label in row.labels or ()}
    if not found:
        file = rows[0].where.rpartition(":")[0]
        raise RowError("no row has a label", where=file, cure="name the column that has them with --label-column")
    if all(set(row.labels or ()) == found for row in rows):
        what = f"all rows have the labels {', '.join(in_order(found))}"
        raise RowError(what, where=rows[0].where.rpartition(":")[0], cure="rows without some of them are needed")
    return in_order(found)


def balanced_label_weights(rows: Sequence[Row], labels: Sequence[str]) -> list[float]:
    """What each label counts where it holds, by which its yes counts as much as its no."""
    counts = Counter(label for row in rows for label in row.labels or ())
    return [max(1, len(rows) - counts[label]) / counts[label] for label in labels]
