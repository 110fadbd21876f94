"""Classifying texts or pairs of texts (paper, section 4.1): rows -> features -> loss -> labels -> scores."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bertwright.batches.sequences import Framed, LabelledBatch, by_length, frame, pad
from bertwright.errors import RowError
from bertwright.heads.model import Bert
from bertwright.metrics.classification import classification_scores
from bertwright.objectives import classification_loss
from bertwright.randomness import Stream
from bertwright.tasks.rows import Row
from bertwright.tokens.tokenizer import Tokenizer

_EVALUATION_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Features:
    """Rows ready for the encoder: one input and one class number each."""

    sequences: list[Framed]
    classes: list[int]

    @property
    def cut(self) -> int:
        """Rows that lost tokens to the length limit."""
        return sum(1 for sequence in self.sequences if sequence.cut)


def labels_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The labels of the training rows, sorted: by number where all are numbers, else by text. Raises RowError."""
    found = {row.label for row in rows if row.label is not None}
    if len(found) < 2:
        only = next(iter(found), None)
        raise RowError(f"all rows have the label {only!r}", where=_file(rows[0]), cure="two labels or more are needed")
    if all(re.fullmatch(r"-?[0-9]{1,18}", label) for label in found):
        return tuple(sorted(found, key=lambda label: (int(label), label)))
    return tuple(sorted(found))


def make_features(rows: Sequence[Row], labels: Sequence[str], tokenizer: Tokenizer, max_length: int) -> Features:
    """Turn rows into features. Raises RowError where a label is unknown."""
    numbers = {label: number for number, label in enumerate(labels)}
    for row in rows:
        if row.label not in numbers:
            known = ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
            raise RowError(f"the label {row.label!r} is unknown; the model's are: {known}", where=row.where)
    sequences = [frame(tokenizer, row.texts, max_length) for row in rows]
    return Features(sequences, [numbers[row.label] for row in rows if row.label is not None])


def training_batches(
    features: Features, *, batch_size: int, seed: int, start_step: int, pad_id: int
) -> Iterator[LabelledBatch]:
    """Batches from step `start_step` on, for ever; the rows are shuffled anew each epoch, and none is left out."""
    size = len(features.sequences)
    position = start_step * batch_size
    orders: dict[int, list[int]] = {}
    while True:
        rows = []
        for number in range(position, position + batch_size):
            epoch = number // size
            if epoch not in orders:
                orders = {epoch: Stream(seed, "rows", epoch).permutation(size).tolist()}
            rows.append(orders[epoch][number % size])
        yield _batch(features, rows, pad_id)
        position += batch_size


def objective(model: Bert, batch: LabelledBatch, totals: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch, and its accuracy as a figure; both are divided by `totals["rows"]`, the step's rows."""
    inputs = batch.inputs
    scores = model.class_scores(inputs.input_ids, inputs.token_type_ids, inputs.attention_mask)
    right = (scores.detach().argmax(dim=1) == batch.labels).sum()
    return classification_loss(scores, batch.labels, totals["rows"]), {"accuracy": right / totals["rows"]}


def predict_classes(
    model: Bert, features: Features, pad_id: int, on_progress: Callable[[int], None] | None = None
) -> list[int]:
    """The most likely class of each row; `on_progress` is told the number of rows done."""
    device = next(model.parameters()).device
    model.eval()
    predicted = [0] * len(features.sequences)
    done = 0
    with torch.inference_mode():
        for rows in by_length([len(s.ids) for s in features.sequences], _EVALUATION_TOKENS):
            inputs = _batch(features, rows, pad_id).to(device).inputs
            scores = model.class_scores(inputs.input_ids, inputs.token_type_ids, inputs.attention_mask)
            for row, best in zip(rows, scores.argmax(dim=1).tolist(), strict=True):
                predicted[row] = best
            done += len(rows)
            if on_progress is not None:
                on_progress(done)
    return predicted


def evaluate(
    model: Bert, features: Features, labels: int, pad_id: int, on_progress: Callable[[int], None] | None = None
) -> dict[str, float]:
    """accuracy, macro_f1 and mcc on labelled features; `on_progress` is told the number of rows done."""
    return classification_scores(features.classes, predict_classes(model, features, pad_id, on_progress), labels)


def majority_accuracy(train: Features, measured: Features) -> float:
    """Accuracy on `measured` of always giving the most frequent class of `train`: what any model must beat.

    Of several that are equally frequent, the one that does best on `measured`: the bar is not lowered by chance.
    """
    often, there = Counter(train.classes), Counter(measured.classes)
    most = max(often, key=lambda number: (often[number], there[number]))
    return measured.classes.count(most) / len(measured.classes)


def _batch(features: Features, rows: Sequence[int], pad_id: int) -> LabelledBatch:
    return LabelledBatch(
        pad([features.sequences[row] for row in rows], pad_id),
        torch.tensor([features.classes[row] for row in rows]),
    )


def _file(row: Row) -> str:
    return row.where.rpartition(":")[0]
