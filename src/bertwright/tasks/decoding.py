"""A model's answers to rows, decoded: the one way that scores and predictions take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from bertwright.batches.sequences import InputBatch, by_length, pad
from bertwright.batches.windows import Window
from bertwright.heads.model import Bert
from bertwright.tasks.task import Item, PredictionT, RowT, Said, Task

# Tokens in a batch, padding included. On a CPU few enough for what a layer makes of them to stay in the cache: with
# 4,096 vectors took a fifth to two fifths longer. A GPU is not busy with so few.
ON_CPU, _ON_GPU = 1024, 16_384
_NOTHING: Said = np.zeros(0, dtype=np.float32)


def token_budget(device: torch.device) -> int:
    """Tokens that are best read together on a device, padding included."""
    return ON_CPU if device.type == "cpu" else _ON_GPU


def in_batches(windows: Sequence[Window], tokens: int) -> Iterator[list[int]]:
    """The places of windows of like length that are read together, so many tokens with their padding."""
    return by_length([len(window) for window in windows], tokens)


def outputs_of(
    model: Bert,
    task: Task[RowT, PredictionT],
    items: Sequence[Item],
    pad_id: int,
    on_progress: Callable[[int], None] | None = None,
) -> list[list[Said]]:
    """What the model, which it leaves in evaluation, says of each window of each item.

    Windows of like length are read together; `on_progress` is told how many items are done.
    """
    device = next(model.parameters()).device
    model.eval()

    def say(inputs: InputBatch) -> Said:
        return task.outputs(model, inputs.to(device)).float().cpu().numpy()

    with torch.inference_mode():
        return said_of(say, items, pad_id, token_budget(device), on_progress)


def said_of(
    say: Callable[[InputBatch], Said],
    items: Sequence[Item],
    pad_id: int,
    tokens: int,
    on_progress: Callable[[int], None] | None = None,
) -> list[list[Said]]:
    """The same of anything that says of a batch of so many tokens what `Task.outputs` does."""
    windows = [(number, place) for number, item in enumerate(items) for place in range(len(item.windows))]
    said: list[list[Said]] = [[_NOTHING] * len(item.windows) for item in items]
    waiting = [len(item.windows) for item in items]
    done = 0
    for batch in in_batches([items[number].windows[place] for number, place in windows], tokens):
        chosen = [windows[position] for position in batch]
        found = say(pad([items[number].windows[place] for number, place in chosen], pad_id))
        for (number, place), output in zip(chosen, found, strict=True):
            size = len(items[number].windows[place])
            # Copied: a view would keep the whole batch.
            said[number][place] = (output[:size] if output.ndim > 1 else output).copy()
            waiting[number] -= 1
            done += not waiting[number]
        if on_progress is not None:
            on_progress(done)
    return said


def decoded(
    task: Task[RowT, PredictionT], rows: Sequence[RowT], items: Sequence[Item], said: Sequence[Sequence[Said]]
) -> list[PredictionT]:
    """The answers to rows, from what the model said of their windows."""
    return [task.decode(row, item, outputs) for row, item, outputs in zip(rows, items, said, strict=True)]
