"""One label to a text or a pair of texts (paper, section 4.1)."""

from __future__ import annotations

import copy
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertwright.batches.windows import Lengths
from bertwright.errors import RowError
from bertwright.metrics.calibration import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, abstention, fit_temperature
from bertwright.metrics.classification import class_scores, classification_scores, confusion_matrix
from bertwright.objectives import classification_loss
from bertwright.tasks.pooled import PooledTask
from bertwright.tasks.rows import Row
from bertwright.tasks.showing import Fault, Showing
from bertwright.tasks.task import Item, Said

# Of a probability, so that its logarithm is a number.
_LEAST = 1e-300


@dataclass(frozen=True, slots=True)
class Classified:
    """The likeliest label of a text or a pair, and the probability of each label, likeliest first.

    label: None where the model was told to abstain from what it is not sure of. cut: tokens that no window held.
    """

    label: str | None
    probabilities: dict[str, float]
    cut: int


class Classify(PooledTask[Classified]):
    """Texts or pairs with one label each, the tasks `classify` and `pair`."""

    kind = "class"
    metrics = ("accuracy", "macro_f1", "mcc")

    def __init__(
        self,
        name: str,
        *,
        columns: Sequence[str],
        label_column: str,
        labels: Sequence[str],
        lengths: Lengths,
        weights: Sequence[float] | None = None,
        smoothing: float = 0.0,
        temperature: float = 1.0,
        abstain_below: float = 0.0,
        calibrate: bool = False,
        abstain_accuracy: float | None = None,
    ) -> None:
        """weights: of the labels in the loss. temperature: what scores are divided by before they are probabilities.

        abstain_below: the probability that the likeliest label must have to be given. calibrate: `tuned` chooses the
        temperature. abstain_accuracy: `tuned` chooses `abstain_below` such that this share of what is given is right.
        """
        super().__init__(name, columns=columns, label_column=label_column, labels=labels, lengths=lengths)
        self.weights = None if weights is None else torch.tensor(weights)
        self.smoothing = smoothing
        self.temperature = temperature
        self.abstain_below = abstain_below
        self.calibrate = calibrate
        self.abstain_accuracy = abstain_accuracy
        self._numbers = {label: number for number, label in enumerate(self.labels)}

    def target(self, row: Row) -> int | None:
        """The number of the row's label."""
        if row.label is None:
            return None
        if row.label not in self._numbers:
            raise unknown_label(row.label, self.labels, row.where)
        return self._numbers[row.label]

    def targets(self, lessons: Sequence[Item]) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        """(items,), and what the mean is over: with weights for the labels their sum."""
        classes = torch.tensor([lesson.target for lesson in lessons])
        weight = float(len(lessons)) if self.weights is None else float(self.weights[classes].sum())
        return (classes,), {"rows": float(len(lessons)), "weight": weight}

    def loss_of(
        self, scores: Tensor, targets: tuple[Tensor, ...], totals: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy, and the accuracy."""
        (classes,) = targets
        weights = None if self.weights is None else self.weights.to(scores.device)
        loss = classification_loss(scores, classes, totals["weight"], weights=weights, smoothing=self.smoothing)
        right = (scores.detach().argmax(dim=1) == classes).sum()
        return loss, {"accuracy": right / totals["rows"]}

    def decode(self, row: Row, item: Item, said: Sequence[Said]) -> Classified:
        """Probabilities of the averaged scores."""
        del row
        probabilities = softmax(np.mean(said, axis=0) / self.temperature)
        order = np.argsort(-probabilities, kind="stable")
        sure = probabilities[order[0]] >= self.abstain_below
        ranked = {self.labels[number]: float(probabilities[number]) for number in order}
        return Classified(self.labels[order[0]] if sure else None, ranked, item.lost)

    def baseline(self, train: Sequence[Row], rows: Sequence[Row]) -> dict[str, float]:
        """Of always giving the most frequent label of `train`.

        Of several that are equally frequent, the one that does best on `rows`: the bar is not lowered by chance.
        """
        often, there = Counter(row.label for row in train), Counter(row.label for row in rows)
        most = max(often, key=lambda label: (often[label], there[label]))
        gold = [number for row in rows if (number := self.target(row)) is not None]
        return classification_scores(gold, [self._numbers[str(most)]] * len(gold), len(self.labels))

    def scores(self, rows: Sequence[Row], predictions: Sequence[Classified]) -> dict[str, float]:
        """accuracy, macro_f1 and mcc of the likeliest labels; where it may abstain, also of what it answers."""
        gold, likeliest = self._sides(rows, predictions)
        scores = classification_scores(gold, likeliest, len(self.labels))
        if self.abstain_below > 0:
            kept = np.array([each.label is not None for each in predictions])
            scores["coverage"] = float(kept.mean())
            scores["accuracy_where_sure"] = float((gold == likeliest)[kept].mean()) if kept.any() else 0.0
        return scores

    def tuned(self, rows: Sequence[Row], predictions: Sequence[Classified]) -> Self:
        """With the temperature that makes the gold labels likeliest, and with the threshold that was wanted."""
        gold, likeliest = self._sides(rows, predictions)
        right = gold == likeliest
        # Scores up to a constant in each row, which changes no probability.
        logs = np.log([[max(each.probabilities[label], _LEAST) for label in self.labels] for each in predictions])
        found, chosen = copy.copy(self), []
        if self.calibrate and right.all():
            chosen.append("every dev row was answered right, so that no temperature can be told; it stays as it is")
        elif self.calibrate:
            change = fit_temperature(logs, gold)
            if LOWEST_TEMPERATURE < change < HIGHEST_TEMPERATURE:
                found.temperature, logs = self.temperature * change, logs / change
                fits = f"which fits the {len(rows):,} dev rows best"
                chosen.append(f"probabilities are those of the temperature {found.temperature:.3f}, {fits}")
            else:
                beyond = f"above {HIGHEST_TEMPERATURE:g}" if change > 1 else f"below {LOWEST_TEMPERATURE:g}"
                chosen.append(f"no temperature was chosen: what fits the {len(rows):,} dev rows best lies {beyond}")
        if self.abstain_accuracy is not None:
            sure = np.array([softmax(row).max() for row in logs])
            found.abstain_below, told = _threshold(sure, right, self.abstain_accuracy)
            chosen.append(told)
        found.chosen = tuple(chosen)
        return found

    def showing(self, rows: Sequence[Row], predictions: Sequence[Classified]) -> Showing:
        """All but the numbers. The loss of a row is minus the logarithm of its label's probability."""
        gold, likeliest = self._sides(rows, predictions)
        confusion = confusion_matrix(gold, likeliest, len(self.labels))
        faults = []
        for row, each in zip(rows, predictions, strict=True):
            predicted, sure = next(iter(each.probabilities.items()))
            if row.label is None or predicted == row.label:
                continue
            wanted = each.probabilities[row.label]
            answer: dict[str, Any] = {"gold": row.label, "predicted": predicted, "probability": sure}
            answer |= {"probability_of_gold": wanted}
            if self.abstain_below > 0:
                answer["given"] = each.label is not None
            faults.append(Fault(-math.log(max(wanted, _LEAST)), self.seen(row), answer))
        return Showing(
            faults=faults,
            classes=dict(zip(self.labels, class_scores(confusion), strict=True)),
            confusion=confusion,
            sure=np.array([next(iter(each.probabilities.values())) for each in predictions]),
            right=gold == likeliest,
        )

    def _sides(
        self, rows: Sequence[Row], predictions: Sequence[Classified]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The numbers of the gold labels and of the likeliest ones, (rows,) each."""
        gold = np.array([self._numbers[row.label] for row in rows if row.label is not None])
        return gold, np.array([self._numbers[next(iter(each.probabilities))] for each in predictions])

    def shown(self, prediction: Classified) -> dict[str, Any]:
        """label, probabilities and cut."""
        return asdict(prediction)

    def record(self) -> dict[str, Any]:
        """With the temperature and the threshold where they do something."""
        found = super().record()
        if self.temperature != 1:
            found["temperature"] = self.temperature
        if self.abstain_below > 0:
            found["abstain_below"] = self.abstain_below
        return found


def labels_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The labels of the training rows, sorted: by number where all are numbers, else by text. Raises RowError."""
    found = {row.label for row in rows if row.label is not None}
    if len(found) < 2:
        only = next(iter(found), None)
        file = rows[0].where.rpartition(":")[0]
        raise RowError(f"all rows have the label {only!r}", where=file, cure="two labels or more are needed")
    return in_order(found)


def in_order(labels: set[str]) -> tuple[str, ...]:
    """Sorted: by number where all are numbers, else by text."""
    if all(re.fullmatch(r"-?[0-9]{1,18}", label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


def balanced_weights(rows: Sequence[Row], labels: Sequence[str]) -> list[float]:
    """Weights by which every label counts as much as every other, 1 on average over the rows."""
    counts = Counter(row.label for row in rows)
    return [len(rows) / (len(labels) * counts[label]) for label in labels]


def unknown_label(label: str, labels: Sequence[str], where: str) -> RowError:
    """The fault of a label that the model does not have."""
    known = ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
    cure = "correct it, or train on rows with it"
    return RowError(f"the label {label!r} is unknown; the model's are: {known}", where=where, cure=cure)


def _threshold(sure: NDArray[np.float64], right: NDArray[np.bool_], wanted: float) -> tuple[float, str]:
    """The probability below which no label is given, so that the share `wanted` of those given is right; how that went.

    0 where there is none, or none is needed.
    """
    found = abstention(sure, right, wanted)
    if found is None:
        best = float(np.max(sure))
        at_best = float(right[sure == best].mean())
        told = f"no threshold brings the accuracy to {wanted:.1%}: of the surest answers {at_best:.1%} are right"
        return 0.0, f"{told}; a label is always given"
    below = sure[sure < found.threshold]
    if not len(below):
        return 0.0, f"all answers together are right in {found.accuracy:.1%} already; a label is always given"
    # Half way to the next row, so that rounding on another machine moves none over the line.
    threshold = (found.threshold + float(below.max())) / 2
    told = f"a label of at least {threshold:.3f} is given: to {found.coverage:.1%} of the dev rows"
    return threshold, f"{told}, of which {found.accuracy:.1%} are right"


def softmax(scores: Said) -> Said:
    """Probabilities of scores (labels,)."""
    shifted = np.exp(scores.astype(np.float64) - scores.max())
    found: Said = shifted / shifted.sum()
    return found
