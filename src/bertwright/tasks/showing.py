"""What a task shows of its answers to labelled rows, for whoever wants to know more than a score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertwright.metrics.classification import ClassScore


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that was answered wrong: what the row is, what was wanted and what was said, as JSON has it.

    loss: how bad that is, more being worse; its unit is the task's own.
    """

    loss: float
    row: dict[str, Any]
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Showing:
    """Whatever of these the task knows; the rest stays empty.

    faults: every row that was not answered right, in the order of the rows. classes: how well each label or kind is
    found. confusion: counts, (labels, labels), row the gold label. sure, right: of each decision its probability and
    whether it was right, (decisions,). gold, measured: numbers wanted and given, (rows,),
    on one scale.
    """

    faults: list[Fault] = field(default_factory=list)
    classes: dict[str, ClassScore] = field(default_factory=dict)
    confusion: NDArray[np.int64] | None = None
    sure: NDArray[np.float64] | None = None
    right: NDArray[np.bool_] | None = None
    gold: NDArray[np.float64] | None = None
    measured: NDArray[np.float64] | None = None


def worst_first(faults: list[Fault]) -> list[Fault]:
    """By their loss; of equal ones the earlier row first."""
    return sorted(faults, key=lambda fault: -fault.loss)
