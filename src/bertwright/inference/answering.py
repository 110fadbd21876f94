"""A runner's answers to rows: the way of predictions and of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bertwright.inference.runners import Runner
from bertwright.tasks.answering import decoded, said_of
from bertwright.tasks.task import Item, PredictionT, RowT, Task


def answers(
    runner: Runner,
    task: Task[RowT, PredictionT],
    rows: Sequence[RowT],
    items: Sequence[Item],
    on_progress: Callable[[int], None] | None = None,
) -> list[PredictionT]:
    """What the model answers to each row, of windows of like length read together; how many are done is told."""
    pad_id = runner.described.tokenizer.vocabulary.pad_id
    said = said_of(lambda inputs: runner.say(task, inputs), items, pad_id, on_progress)
    return decoded(task, rows, items, said)
