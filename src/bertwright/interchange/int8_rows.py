"""Text of the user's own, to set the ranges of 8-bit numbers by and to see what they cost."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from bertwright.batches.sequences import InputBatch, pad
from bertwright.batches.windows import cut_windows
from bertwright.checkpoints.configuration import CHOICE
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.errors import RowError
from bertwright.inference.engines.engine import Engine
from bertwright.inference.known_task import lengths_of, task_of
from bertwright.interchange.check import read_texts
from bertwright.progress import Progress
from bertwright.records import TABLES, kind_of, read_records
from bertwright.tasks.decoding import decoded, said_of, token_budget
from bertwright.tasks.rows import FIELDS, first_row
from bertwright.tasks.task import Item, Task

# Inputs that set the ranges (nncf's own default), and what is kept aside to measure on.
_INPUTS = 300
_ASIDE = 0.2
_MOST_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Calibration:
    """inputs: batches of one, to set ranges by. texts: those kept aside, or `labelled`, the rows with their task."""

    inputs: list[InputBatch]
    texts: list[str]
    labelled: tuple[Task[Any, Any], list[Any], list[Item]] | None = None


def calibration_of(loaded: LoadedModel, path: Path, progress: Progress, *, ranges: bool = True) -> Calibration:
    """The rows of a file, a fifth of them, drawn once, kept aside: labelled ones of the model's task, else texts.

    ranges: whether the others set ranges; if not, all are kept aside, to measure on. Raises RowError where the file
    holds neither, or too little.
    """
    if loaded.task in ("", CHOICE):
        return _of_texts(loaded, path, ranges=ranges)
    try:
        task = task_of(loaded, row=first_row(path) if loaded.task in FIELDS else None)
        return _of_labelled(loaded, task, path, progress, ranges=ranges)
    except RowError as error:
        progress.say(f"not labelled rows of `{loaded.task}` ({error}): read as texts")
    if loaded.task in FIELDS and kind_of(path) in TABLES:
        with suppress(RowError):
            return _of_rows(loaded, path, ranges=ranges)
    return _of_texts(loaded, path, ranges=ranges)


def _of_labelled(
    loaded: LoadedModel, task: Task[Any, Any], path: Path, progress: Progress, *, ranges: bool
) -> Calibration:
    learning, aside = _parted(task.read(path, progress.say)[:_MOST_ROWS], path, ranges=ranges)
    labelled = task, aside, task.items(aside, loaded.tokenizer)
    return Calibration(_inputs(task.items(learning, loaded.tokenizer), loaded), [], labelled)


def _of_rows(loaded: LoadedModel, path: Path, *, ranges: bool) -> Calibration:
    """One text or two in an input, as the model was trained; those kept aside are compared by themselves and in twos.

    Raises RowError where the columns are not there.
    """
    task = task_of(loaded, row=first_row(path))
    with closing(read_records(path, RowError)) as records:
        rows = task.unlabelled(islice(records, _MOST_ROWS))
    learning, aside = _parted(rows, path, ranges=ranges)
    return Calibration(
        _inputs(task.items(learning, loaded.tokenizer), loaded), [text for row in aside for text in row.texts]
    )


def _of_texts(loaded: LoadedModel, path: Path, *, ranges: bool) -> Calibration:
    learning, aside = _parted(read_texts(path, _MOST_ROWS), path, ranges=ranges)
    vocabulary, lengths = loaded.tokenizer.vocabulary, lengths_of(loaded)
    items = (Item(cut_windows([loaded.tokenizer.ids(text)], lengths, vocabulary).windows) for text in learning)
    return Calibration(_inputs(items, loaded), aside)


def _inputs(items: Iterable[Item], loaded: LoadedModel) -> list[InputBatch]:
    windows = (window for item in items for window in item.windows)
    return [pad([window], loaded.tokenizer.vocabulary.pad_id) for window in islice(windows, _INPUTS)]


def scores_of(engine: Engine, calibration: Calibration) -> dict[str, float]:
    """The task's scores on the labelled rows kept aside; empty where there are none."""
    if calibration.labelled is None:
        return {}
    task, rows, items = calibration.labelled
    tokens = token_budget(torch.device("cpu"))
    said = said_of(lambda inputs: task.said(engine.run(inputs), inputs), items, engine.vocabulary.pad_id, tokens)
    found: dict[str, float] = task.scores(rows, decoded(task, rows, items, said))
    return found


def _parted(rows: Sequence[Any], path: Path, *, ranges: bool) -> tuple[list[Any], list[Any]]:
    if not ranges:
        return [], list(rows)
    aside = max(1, int(len(rows) * _ASIDE))
    if len(rows) - aside < 1:
        raise RowError("holds one text, and one more is needed to measure on", where=path, cure="give some hundreds")
    # Many files are sorted, by label above all.
    order = random.Random(0).sample(rows, len(rows))
    return order[:-aside], order[-aside:]
