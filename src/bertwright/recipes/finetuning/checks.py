"""What is wrong with the wish for a fine-tuning, found before anything is read or written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bertwright.encoder.config import EncoderConfig
from bertwright.errors import RowError, SettingsError
from bertwright.lines import STANDARD_INPUT
from bertwright.recipes.finetuning.assembly import TASKS
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.tasks.task import Task
from bertwright.training.freezing import refuse_missing_layers


def check_wish(task: str, files: Iterable[Path]) -> None:
    """Raise SettingsError where the task is none, RowError where a file cannot be read twice."""
    if task not in TASKS:
        raise SettingsError(f"`--task` must be one of {', '.join(TASKS)}, but is {task!r}")
    for file in files:
        if str(file) == STANDARD_INPUT:
            raise RowError("rows are read more than once, and standard input only once", cure="save them to a file")


def check_settings(settings: FinetuneSettings, task: str, config: EncoderConfig, trained: int = 512) -> None:
    """Raise SettingsError where the settings do not suit the task, or a model trained on inputs of so many tokens."""
    settings.refuse_foreign(task)
    settings.lengths(config.max_position_embeddings, task, trained)
    if isinstance(settings.freeze, int):
        refuse_missing_layers(settings.freeze, config.num_hidden_layers)


def check_best_by(settings: FinetuneSettings, task: Task[Any, Any]) -> None:
    """Raise SettingsError where the best weights are to be chosen by a score that the task has not."""
    if settings.keep_best_by not in (None, *task.metrics):
        what = f"`keep_best_by` is {settings.keep_best_by!r}, but the scores are {', '.join(task.metrics)}"
        raise SettingsError(what, cure="name one of them")
