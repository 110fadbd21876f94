"""Do two forms of one model say the same? Compared on text, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertwright.batches.sequences import by_length, pad
from bertwright.batches.windows import Lengths, Window, cut_windows
from bertwright.errors import ModelError
from bertwright.inference.engines.engine import Arrays, Engine
from bertwright.inference.outputs import BY_TOKEN

# What is chosen by the greatest score, and what by the direction of a vector.
_CHOICES = frozenset({"logits", "prediction_logits", "seq_relationship_logits", "start_logits", "end_logits"})
_OVER_TOKENS = frozenset({"start_logits", "end_logits"})
_VECTORS = frozenset({"sentence_embedding"})
_TOKEN_BUDGET = 1024


@dataclass(slots=True)
class Difference:
    """How far two forms are apart in one tensor: worst and mean of the absolute differences of its numbers.

    agreement: the share of predictions (the greatest score) that are the same, None where the tensor holds none.
    least_cosine: of the vectors that are farthest apart, None where it holds none.
    """

    name: str
    worst: float = 0.0
    mean: float = 0.0
    agreement: float | None = None
    least_cosine: float | None = None


@dataclass(slots=True)
class Parity:
    """What a comparison found. passed: the tokens are the same, and no number is farther apart than `tolerance`.

    unlike: the first text that the two tokenize in different ways, None where there is none. alone: tensors that one
    of the two says and the other does not. strangers: each has a head that the other has not.
    """

    forms: tuple[str, str]
    texts: int
    tokens: int
    tolerance: float
    unlike: str | None = None
    strangers: bool = False
    alone: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the two say the same."""
        # What is no number is never near, whatever the tolerance.
        near = all(isfinite(each.worst) and each.worst <= self.tolerance for each in self.differences)
        return self.unlike is None and not self.strangers and bool(self.differences) and near

    def as_json(self) -> dict[str, Any]:
        """Everything, with whether it passed; None for what JSON has no number for."""
        found = asdict(self) | {"passed": self.passed}
        for each in (found, *found["differences"]):
            each |= {name: None for name, value in each.items() if isinstance(value, float) and not isfinite(value)}
        return found


def compare(
    one: Engine,
    other: Engine,
    texts: Sequence[str],
    *,
    tolerance: float,
    on_progress: Callable[[int], None] | None = None,
) -> Parity:
    """Run two engines on texts, each alone and with the next one as a pair, cut to what both take.

    Raises ModelError where the two have no tensor in common.
    """
    windows = list(_windows(one, other, texts))
    found = Parity((one.form, other.form), len(texts), sum(map(len, windows)), tolerance)
    found.unlike = next((text for text in texts if _pieces(one, text) != _pieces(other, text)), None)
    if found.unlike is not None:
        # Their numbers are of other inputs, which one of the two may not even take.
        return found
    multilabel = "multilabel" in (one.task, other.task)
    sums: dict[str, _Sum] = {}
    done = 0
    pad_id = one.vocabulary.pad_id
    for numbers in by_length([len(window) for window in windows], _TOKEN_BUDGET):
        batch = pad([windows[number] for number in numbers], pad_id)
        a, b = one.run(batch), other.run(batch)
        _refuse_strangers(a, b)
        found.alone = sorted(a.keys() ^ b.keys())
        found.strangers = all(
            any("logits" in name for name in alone) for alone in (a.keys() - b.keys(), b.keys() - a.keys())
        )
        mask = batch.attention_mask.numpy()
        for name in sorted(a.keys() & b.keys()):
            sums.setdefault(name, _Sum(name, multilabel=multilabel)).add(a[name], b[name], mask)
        if on_progress:
            done += len(numbers)
            on_progress(done)
    found.differences = [each.difference() for each in sums.values()]
    return found


class _Sum:
    """Differences of one tensor, batch by batch."""

    def __init__(self, name: str, *, multilabel: bool) -> None:
        self._name = name
        self._multilabel = multilabel
        self._worst = self._total = 0.0
        self._numbers = self._same = self._choices = 0
        self._least_cosine = 1.0

    def add(self, a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        if a.shape != b.shape:
            what = f"`{self._name}` has shape {a.shape} in the one and {b.shape} in the other"
            raise ModelError(what, cure="compare two forms of one model, with the same head")
        by_token = self._name in _OVER_TOKENS or (self._name in BY_TOKEN and a.ndim == 3)
        if self._name in _OVER_TOKENS:
            a, b = (np.where(mask, scores, -np.inf) for scores in (a, b))
            self._same += int((a.argmax(axis=1) == b.argmax(axis=1)).sum())
            self._choices += len(a)
        if by_token:
            a, b = a[mask], b[mask]
        apart = np.abs(a - b)
        # A number that is none is as far apart as can be.
        self._worst = max(self._worst, float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0)))
        self._total += float(apart.sum(dtype=np.float64))
        self._numbers += apart.size
        if self._name in _CHOICES and self._name not in _OVER_TOKENS and a.shape[-1] > 1:
            same = (a > 0) == (b > 0) if self._multilabel else a.argmax(axis=-1) == b.argmax(axis=-1)
            self._same += int(same.sum())
            self._choices += same.size
        if self._name in _VECTORS:
            lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
            cosines = (a * b).sum(axis=-1) / np.maximum(lengths, 1e-12)
            self._least_cosine = min(self._least_cosine, float(cosines.min(initial=1.0)))

    def difference(self) -> Difference:
        return Difference(
            self._name,
            self._worst,
            self._total / max(self._numbers, 1),
            self._same / self._choices if self._choices else None,
            self._least_cosine if self._name in _VECTORS else None,
        )


def _windows(one: Engine, other: Engine, texts: Sequence[str]) -> Iterator[Window]:
    """All windows of each text, and the first of each pair of neighbours where both know segments."""
    longest = min(one.longest, other.longest)
    lengths = Lengths(max_length=longest, overlap=0)
    vocabulary = one.vocabulary
    ids = [one.ids(text) for text in texts]
    for number, each in enumerate(ids):
        yield from cut_windows([each], lengths, vocabulary).windows
        if number and min(one.segments, other.segments) > 1:
            yield cut_windows([ids[number - 1], each], lengths, vocabulary).windows[0]


def _pieces(engine: Engine, text: str) -> list[str]:
    pieces = engine.vocabulary.pieces
    # Another library may know tokens that the vocabulary does not.
    return [pieces[number] if number < len(pieces) else f"token {number}" for number in engine.ids(text)]


def _refuse_strangers(a: Arrays, b: Arrays) -> None:
    if not a.keys() & b.keys():
        what = f"the one says {', '.join(a)}, the other {', '.join(b)}: there is nothing to compare"
        raise ModelError(what, cure="compare two forms of one model, with the same head")
